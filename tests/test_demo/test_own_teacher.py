"""A teacher trained on user images and captions."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from demo import caption_data, contrastive, train_teacher
from mmlgd.errors import DataError

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'tests/data/rn_tiny.json'


@pytest.fixture
def folder(tmp_path):
    """Five red and two blue squares, one folder per class."""
    for name, colour, count in (('red', (200, 0, 0), 5), ('dark_blue', (0, 0, 99), 2)):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for index in range(count):
            path = tmp_path / f'images/{name}/{index}.png'
            Image.new('RGB', (40, 30), colour).save(path)
    return tmp_path / 'images'


def rows(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, 6, generator=generator), dim=1)


def test_loss_of_different_captions_is_that_of_open_clip():
    image, text, scale = rows(5, 0), rows(5, 1), torch.tensor(7.0)
    loss = contrastive.multi_positive_clip_loss
    wanted = open_clip.ClipLoss()(image, text, scale)
    torch.testing.assert_close(loss(image, text, torch.arange(5), scale), wanted)


def test_loss_of_unequal_classes_by_hand():
    # Three images, the first two of one class. Logits 2, 0, 1 / 0, 2, 1 / 0, 0, 2 by
    # rows of unit vectors e1, e2, ...; targets 1/2, 1/2, 0 / 1/2, 1/2, 0 / 0, 0, 1.
    image = torch.eye(3)
    text = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, math.sqrt(0.5)]])
    keys = torch.tensor([4, 4, 1])
    found = contrastive.multi_positive_clip_loss(image, text, keys, torch.tensor(2.0))
    logits = np.array([[2, 0, 1], [0, 2, 1], [0, 0, 2 * math.sqrt(0.5)]])
    target = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])

    def cross_entropy(values):
        exponent = np.exp(values)
        logs = np.log(exponent / exponent.sum(1, keepdims=True))
        return -(target * logs).sum(1).mean()

    wanted = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
    assert found.item() == pytest.approx(wanted, abs=1e-6)


def test_images_of_unequal_classes_get_their_own_captions(folder):
    data = caption_data.read_classes(folder, ['a {}.', 'the {}.'])
    assert data.texts == ['a dark blue.', 'the dark blue.', 'a red.', 'the red.']
    assert data.keys.tolist() == [0, 0, 1, 1]
    assert [path.parent.name for path in data.paths] == ['dark_blue'] * 2 + ['red'] * 5
    torch.manual_seed(0)
    places = torch.arange(7).repeat(30)
    drawn = data.draw(places)
    assert torch.equal(data.keys[drawn], (places >= 2).long())
    assert {*drawn.tolist()} == {0, 1, 2, 3}
    images = data.read_images(8)
    assert images.shape == (7, 3, 8, 8) and images.dtype == torch.uint8
    assert images[2, :, 0, 0].tolist() == [200, 0, 0]


def test_csv_and_json_say_the_same(folder, tmp_path):
    table = tmp_path / 'captions.csv'
    table.write_text(
        'path,caption\nred/0.png,"red, square"\nred/1.png,one more\n'
        'red/0.png,one more\n'
    )
    listed = tmp_path / 'captions.json'
    listed.write_text(
        json.dumps({'red/0.png': ['red, square', 'one more'], 'red/1.png': 'one more'})
    )
    for file in (table, listed):
        data = caption_data.read_captions(file, folder)
        assert data.texts == ['red, square', 'one more']
        assert dict(zip([path.name for path in data.paths], data.captions)) == {
            '0.png': [0, 1],
            '1.png': [1],
        }
        # Equal captions share a key; different ones do not.
        assert data.keys.tolist() == [0, 1]


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('c.csv', 'file,text\na.png,b\n', 'columns path and caption'),
        ('c.csv', 'path,caption\n', 'lists no image'),
        ('c.csv', 'path,caption\na.png,\n', "'a.png' has an empty caption"),
        ('c.csv', 'path,caption\na.png,b\n', 'names 1 of 1 images that do not exist'),
        ('c.json', '["a.png"]', 'JSON object'),
        ('c.json', '{"a.png": []}', "'a.png' has no caption"),
        ('c.json', '{"a.png": [1]}', 'is not a text'),
        ('c.json', '{', 'cannot be read'),
    ],
)
def test_invalid_captions_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        caption_data.read_captions(tmp_path / name)


def test_a_single_class_is_refused(folder):
    with pytest.raises(DataError, match='1 class folder'):
        caption_data.read_classes(folder.parent)


def test_a_batch_is_never_larger_than_the_images(folder):
    args = SimpleNamespace(
        captions=None,
        images=folder,
        templates=None,
        batch_size=250,
        model_config=MODEL,
    )
    data = train_teacher.Captioned(args)
    (batch,) = data.batches()
    assert sorted(batch.tolist()) == [*range(7)]


@pytest.mark.slow
def test_a_teacher_of_unequal_classes_is_trained(folder, tmp_path, capsys):
    out = tmp_path / 'own/teacher.pt'
    options = f'--images {folder} --model-config {MODEL} --out {out} --threads 1'
    torch.manual_seed(0)
    train_teacher.main(
        [*options.split(), '--epochs', '6', '--batch-size', '7', '--lr', '1e-3']
    )
    losses = [
        float(line.split('loss ')[1].split(',')[0])
        for line in capsys.readouterr().out.splitlines()
        if 'loss ' in line
    ]
    # Never below the entropy of a target that several texts share.
    bound = (2 * math.log(2) + 5 * math.log(5)) / 7
    assert bound < losses[-1] < losses[0]
    open_clip.create_model('rn_tiny', pretrained=str(out))
