"""Labels of a folder, in every format, and the page to review them."""

import csv
import json
import os
import re

import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from mmlgd.apis import ZeroShotClassifier
from mmlgd.apis.autolabel import (
    Label,
    TeacherInferencer,
    autolabel,
    folder_name,
)
from mmlgd.errors import ConfigError, DataError
from mmlgd.visualization.review_page import review_page
from tests.runs import trained_toy
from tests.toys import NAMES, ToyTeacher


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return trained_toy(tmp_path_factory.mktemp('toy'))


@pytest.fixture(scope='module')
def truth(run):
    """Name and score of each image by path, of the classifier."""
    paths = sorted((run[0] / 'train').iterdir())
    found = ZeroShotClassifier(run[1] / 'epoch_2.pth')(paths)
    return {str(path): best[0] for path, best in zip(paths, found)}


@pytest.fixture
def threshold(truth):
    """Half of the images have this score or more."""
    return sorted(score for _, score in truth.values())[8]


def label(run, out, **options):
    return autolabel(
        run[1] / 'epoch_2.pth', run[0] / 'train', out, device='cpu', **options
    )


def rows_of(path):
    with open(path, newline='') as file:
        return [*csv.DictReader(file)]


def test_names_above_the_threshold_are_written(run, truth, threshold, tmp_path):
    found = label(run, tmp_path, threshold=threshold)
    assert len(found.kept) + len(found.unsure) == 16
    rows = rows_of(tmp_path / 'labels.csv')
    assert 0 < len(rows) < 16
    for row in rows:
        name, score = truth[row['image']]
        assert row['name'] == name
        assert float(row['score']) == pytest.approx(score, abs=1e-5)
        assert score >= threshold - 1e-6


def test_folders_and_coco(run, threshold, tmp_path):
    label(run, tmp_path, threshold=threshold, formats=['imagefolder', 'coco'])
    rows = rows_of(tmp_path / 'labels.csv')
    copies = sorted((tmp_path / 'images').rglob('*.png'))
    assert sorted(
        (row['name'], row['image'].rpartition('/')[2]) for row in rows
    ) == sorted((path.parent.name, path.name) for path in copies)
    coco = COCO(tmp_path / 'labels.json')
    assert len(coco.anns) == len(coco.imgs) == len(rows)
    assert [each['name'] for each in coco.loadCats(coco.getCatIds())] == sorted(NAMES)
    (first,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    # Images are 24 wide and 20 high.
    assert (first['bbox'], first['area']) == ([0, 0, 24, 20], 480)
    names = {each['id']: each['name'] for each in coco.cats.values()}
    assert names[first['category_id']] == rows[0]['name']


def test_equal_file_names_are_all_kept_and_may_be_links(run, tmp_path):
    image = (run[0] / 'train/000.png').read_bytes()
    for folder in 'ab':
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'x.png').write_bytes(image)
    autolabel(
        run[1] / 'epoch_2.pth',
        [tmp_path / 'a', tmp_path / 'b'],
        tmp_path / 'out',
        threshold=0,
        formats=['imagefolder'],
        link=True,
        device='cpu',
    )
    found = sorted((tmp_path / 'out/images').rglob('*.png'))
    assert [path.name for path in found] == ['0_x.png', '1_x.png']
    assert [path.resolve().parent.name for path in found] == ['a', 'b']


def test_a_turned_photo_has_its_upright_size(run, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new('RGB', (30, 20)).save(tmp_path / 'turned.jpg', exif=exif)
    autolabel(
        run[1] / 'epoch_2.pth',
        tmp_path / 'turned.jpg',
        tmp_path / 'out',
        threshold=0,
        formats=['coco'],
        device='cpu',
    )
    (image,) = json.loads((tmp_path / 'out/labels.json').read_text())['images']
    assert (image['width'], image['height']) == (20, 30)


def test_the_teacher_labels_at_its_own_temperature(run):
    inferencer = TeacherInferencer(run[1] / 'epoch_2.pth', device='cpu')
    images = torch.randn(3, 3, 16, 16)
    teacher = ToyTeacher()
    bank = ZeroShotClassifier(run[1] / 'epoch_2.pth').text_embeddings
    # LGD's default teacher_temperature.
    expected = (teacher.encode_image(images) @ bank.T / 0.01).softmax(1)
    torch.testing.assert_close(inferencer.scores(images), expected)


def test_rejected_images_are_left_out(run, truth, tmp_path):
    first, *others = truth
    found = label(run, tmp_path, threshold=0, exclude=[first])
    assert [each.image for each in found.kept] == others


def test_the_page_shows_the_names_and_needs_no_network(run, threshold, tmp_path):
    found = label(run, tmp_path, threshold=threshold)
    page = (tmp_path / 'review.html').read_text()
    assert page.count('<input type="checkbox"') == 16
    assert page.count('data:image/jpeg;base64,') == 16
    assert 'http' not in page
    for each in found.kept:
        assert f'value="{each.image}"' in page
    assert f'{len(found.kept)} images named by the student' in page
    assert 'rejected.txt' in page


def test_names_on_the_page_are_text(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a"b.png')
    each = type('Label', (), dict(image=str(tmp_path / 'a"b.png')))
    each.name, each.score = '<script>alert(1)</script>', 0.5
    page = review_page([each], [], 0.5, 'student')
    assert '<script>alert' not in page
    assert 'a&quot;b.png' in page


def test_names_become_folders():
    assert folder_name('T-shirt or top') == 'T-shirt or top'
    assert folder_name('bow/tie') == 'bow_tie'
    assert folder_name('..') == '_'


@pytest.mark.parametrize(
    ('options', 'error', 'what'),
    [
        (dict(threshold=1.5), ConfigError, 'threshold must be'),
        (dict(formats=['yolo']), ConfigError, "format 'yolo' is not one of"),
    ],
)
def test_wrong_options(run, tmp_path, options, error, what):
    with pytest.raises(error, match=what):
        label(run, tmp_path, **options)


def test_images_that_are_not_files(run, tmp_path):
    (tmp_path / 'bad.png').write_bytes(b'x')
    checkpoint = run[1] / 'epoch_2.pth'
    with pytest.raises(DataError, match='No image could be read'):
        autolabel(checkpoint, tmp_path / 'bad.png', tmp_path / 'out', device='cpu')
    with pytest.raises(ConfigError, match='Only image files'):
        autolabel(checkpoint, 'https://host/a.png', tmp_path / 'out', device='cpu')


def test_file_names_that_are_not_utf8(run, tmp_path):
    name = os.fsdecode(b'\xff.png')
    image = (run[0] / 'train/000.png').read_bytes()
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / name).write_bytes(image)
    formats = ['imagefolder', 'coco']
    autolabel(
        run[1] / 'epoch_2.pth',
        tmp_path / 'in',
        tmp_path / 'out',
        threshold=0,
        formats=formats,
        device='cpu',
    )
    assert b'/in/\xff.png,' in (tmp_path / 'out/labels.csv').read_bytes()
    assert [path.name for path in (tmp_path / 'out/images').rglob('*.png')] == [name]


def test_the_review_page_starts_with_the_images_nearest_to_the_threshold(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.png')
    labels = [
        Label(str(tmp_path / 'a.png'), 'fox', score) for score in (0.7, 0.1, 0.4, 0.6)
    ]
    kept, unsure = [labels[0], labels[3]], labels[1:3]
    page = review_page(kept, unsure, 0.5, 'student')
    assert re.findall(r'fox (0\.\d+)', page) == ['0.60', '0.70', '0.40', '0.10']
    assert '2 others have a score below 0.5' in page
