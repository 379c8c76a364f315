"""The inferencers, against the classifier and the model that they are made of."""

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from PIL import Image

import mmlgd
from mmlgd.apis import ZeroShotClassifier, build_preprocessor, load_backbone
from mmlgd.apis.images import list_inputs
from mmlgd.apis.inferencers import picture_names
from mmlgd.errors import CheckpointError, ConfigError, DataError
from tests.runs import trained_toy
from tests.toys import NAMES


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return trained_toy(tmp_path_factory.mktemp('toy'))


@pytest.fixture(scope='module')
def checkpoint(run):
    return run[1] / 'epoch_2.pth'


def test_a_folder_is_classified_as_by_the_classifier(run, checkpoint):
    folder = run[0] / 'train'
    found = mmlgd.ZeroShotInferencer(checkpoint, device='cpu')(folder, batch_size=5)
    scores = ZeroShotClassifier(checkpoint).scores(folder)
    assert len(found) == 16
    for each, expected in zip(found, scores):
        np.testing.assert_allclose(each['pred_scores'], expected, rtol=1e-5)
        assert each['pred_label'] == int(expected.argmax())
        assert each['pred_class'] == sorted(NAMES)[each['pred_label']]
        assert each['pred_score'] == pytest.approx(float(expected.max()))


def same_scores(first: dict, second: dict) -> None:
    # A batch of another size is summed in another order.
    np.testing.assert_allclose(first['pred_scores'], second['pred_scores'], rtol=1e-5)


def test_every_form_of_an_image_gives_the_same(run, checkpoint):
    path = str(run[0] / 'train/003.png')
    array = cv2.imread(path)
    inferencer = mmlgd.ZeroShotInferencer(checkpoint, device='cpu')
    (expected,) = inferencer(path)
    batch = np.stack([array, array])
    for inputs, count in (
        (array, 1),
        (Image.open(path), 1),
        ([path, array], 2),
        (batch, 2),
    ):
        found = inferencer(inputs)
        assert len(found) == count
        for each in found:
            same_scores(each, expected)
    (rgb,) = inferencer(array[..., ::-1], channel_order='rgb')
    same_scores(rgb, expected)
    (sample,) = inferencer(path, return_datasamples=True)
    assert isinstance(sample, DataSample)
    assert sample.img_path == path
    assert inferencer([]) == []


def test_other_names_are_encoded_by_the_teacher(run, checkpoint):
    inferencer = mmlgd.ZeroShotInferencer(checkpoint, ['wolf', 'bear'], device='cpu')
    (found,) = inferencer(run[0] / 'train/000.png')
    assert found['pred_class'] in ('wolf', 'bear')


def test_a_broken_image_raises_or_is_left_out(run, checkpoint, tmp_path):
    good = run[0] / 'train/000.png'
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'not an image')
    inferencer = mmlgd.ZeroShotInferencer(checkpoint, device='cpu')
    with pytest.raises(DataError, match='bad.png'):
        inferencer([good, bad])
    broken = []
    found = inferencer([bad, good], broken=broken, show_dir=tmp_path / 'drawn')
    same_scores(found[0], inferencer(good)[0])
    assert [path for path, _ in broken] == [str(bad)]
    assert [each.name for each in (tmp_path / 'drawn').iterdir()] == ['000.png']


def test_pictures_of_equal_names_are_all_drawn(run, checkpoint, tmp_path):
    first = run[0] / 'train/000.png'
    second = tmp_path / '000.png'
    second.write_bytes(first.read_bytes())
    inferencer = mmlgd.ZeroShotInferencer(checkpoint, device='cpu')
    inferencer([first, second], show_dir=tmp_path / 'drawn', resize=40)
    drawn = sorted((tmp_path / 'drawn').iterdir())
    assert [each.name for each in drawn] == ['000_0.png', '000_1.png']
    image = cv2.imread(str(drawn[0]))
    assert min(image.shape[:2]) == 40


def test_picture_names_differ():
    paths = ['a/x.png', 'b/x.jpg', 'y.png', '']
    assert picture_names(iter(paths)) == ['x_0.png', 'x_1.png', 'y.png', '3.png']


def test_embeddings_are_unit_rows_of_the_student(run, checkpoint):
    found = mmlgd.EmbeddingInferencer(checkpoint, device='cpu')(run[0] / 'train')
    assert (found.shape, found.dtype) == ((16, 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    classifier = ZeroShotClassifier(checkpoint)
    logits = torch.from_numpy(found) @ classifier.text_embeddings.T / 0.2
    torch.testing.assert_close(
        logits.softmax(1), classifier.scores(run[0] / 'train'), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('name', ['epoch_2.pth', 'backbone.pth'])
def test_features_are_those_of_the_backbone(run, name):
    path = run[0] / 'train/003.png'
    inferencer = mmlgd.EmbeddingInferencer(run[1] / name, 'cpu', part='features')
    found = inferencer([path, path])
    # 24 x 20 -> short edge 16 (or 18 of 16 * 256 / 224) -> centre 16 x 16.
    assert found.shape == (2, 12)
    backbone = load_backbone(run[1] / name)
    preprocessor = build_preprocessor(run[1] / name)
    batch = torch.stack([inferencer.pipeline(cv2.imread(str(path)))])
    maps = backbone(preprocessor(dict(inputs=batch))['inputs'])[0]
    expected = maps.mean(dim=(2, 3)).detach().numpy()
    np.testing.assert_allclose(found[:1], expected, rtol=1e-4, atol=1e-6)
    assert mmlgd.EmbeddingInferencer(run[1] / 'backbone.pth').part == 'features'


def test_wrong_arguments(run, checkpoint):
    with pytest.raises(ConfigError, match="part is 'embedding'"):
        mmlgd.EmbeddingInferencer(run[1] / 'backbone.pth', part='embedding')
    with pytest.raises(ConfigError, match="part is 'rows'"):
        mmlgd.EmbeddingInferencer(checkpoint, part='rows')
    with pytest.raises(CheckpointError, match='no checkpoint'):
        mmlgd.ZeroShotInferencer('absent.pth')
    with pytest.raises(ConfigError, match='device'):
        mmlgd.EmbeddingInferencer(checkpoint, device='gpu')
    with pytest.raises(ConfigError, match='batch_size'):
        mmlgd.EmbeddingInferencer(checkpoint, 'cpu')(run[0] / 'train', batch_size=0)


def test_inputs_are_listed_without_being_read(run, tmp_path):
    folder = run[0] / 'train'
    array = np.zeros((2, 4, 4, 3), np.uint8)
    found = list_inputs([folder, 'absent.png', array, 'https://host/a.png'])
    assert found[:16] == [str(path) for path in sorted(folder.iterdir())]
    assert (found[16], found[19]) == ('absent.png', 'https://host/a.png')
    assert len(found) == 20


def test_models_by_name(run):
    names = mmlgd.list_models()
    assert {'mbv3_small', 'clip_rn50'} <= {*names}
    assert mmlgd.list_models('dfn*') == ['dfn_vitb16', 'dfn_vitl14']
    assert 'clip_rn50' not in mmlgd.list_models(kind='student')
    with pytest.raises(ConfigError, match="kind is 'net'"):
        mmlgd.list_models(kind='net')
    with pytest.raises(ConfigError, match="no model 'r17'. Did you mean"):
        mmlgd.get_model('r17')
    model = mmlgd.get_model('mbv3_small', device='cpu', out_indices=(0, 3))
    assert len(model(torch.zeros(1, 3, 64, 64))) == 2
    assert not model.training
    with pytest.raises(ConfigError, match='mbv3_small does not accept'):
        mmlgd.get_model('mbv3_small', depth=3)
    backbone = mmlgd.get_model(run[1] / 'backbone.pth')
    expected = load_backbone(run[1] / 'backbone.pth').state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in backbone.state_dict().items())
