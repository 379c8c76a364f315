"""One crop, two sizes: a teacher with larger images than the student's."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image

from mmlgd.apis import ZeroShotClassifier
from mmlgd.apis.export import export_backbone_onnx, export_classifier_onnx
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.models.resizing import resize_images
from mmlgd.registry import MODELS
from tests.runs import toy_run_cfg, write_images
from tests.spatial_toys import MapTeacher
from tests.toys import NAMES, ToyTeacher, toy_lgd, toy_lgd_cfg

CROP, SMALL = ToyTeacher.image_size, 8


def halve(images: torch.Tensor) -> torch.Tensor:
    """16 pixels to 8 under a triangle of two output pixels, by hand."""
    rows = torch.zeros(8, 16, dtype=torch.float64)
    for index in range(8):
        for offset, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1)):
            if 0 <= 2 * index + offset < 16:
                rows[index, 2 * index + offset] = weight
    rows /= rows.sum(dim=1, keepdim=True)
    return (rows @ images.double() @ rows.T).float()


def watch(model) -> tuple[list, list]:
    """What teacher and backbone get, from now on."""
    teachers, students = [], []
    for place in ('image_features', 'map_features'):
        method = getattr(model.teacher, place)

        def note(inputs, method=method):
            teachers.append(inputs)
            return method(inputs)

        setattr(model.teacher, place, note)
    model.backbone.register_forward_pre_hook(lambda _, args: students.append(args[0]))
    return teachers, students


@pytest.mark.parametrize('sides', [(384, 224), (336, 224), (256, 160)])
def test_resizing_is_pillows(sides):
    large, small = sides
    image = np.random.default_rng(0).normal(size=(large, large)).astype(np.float32)

    found = resize_images(torch.from_numpy(image).expand(1, 3, -1, -1), small)

    resized = Image.fromarray(image).resize((small, small), Image.Resampling.BILINEAR)
    assert found.shape == (1, 3, small, small)
    np.testing.assert_allclose(found[0, 1], np.asarray(resized), atol=5e-5)


def method(kind: str) -> dict:
    cfg = toy_lgd_cfg(student_size=SMALL)
    if kind == 'LGD':
        return cfg
    del cfg['textual_bank'], cfg['visual_bank']
    cfg['type'] = kind
    if kind in ('SEED', 'BINGO', 'SpatialMimicry'):
        cfg['queue_size'] = 8
    if kind == 'BINGO':
        cfg['warmup_epochs'] = 0
    if kind == 'SpatialMimicry':
        cfg['teacher'] = dict(type=MapTeacher)
    return cfg


@pytest.mark.parametrize(
    'kind',
    ['LGD', 'SEED', 'BINGO', 'FeatureMimicry', 'RelationalKD', 'SpatialMimicry'],
)
def test_teacher_sees_the_crop_and_student_its_smaller_copy(kind):
    model = MODELS.build(method(kind))
    teachers, students = watch(model)
    images = torch.randn(4, 3, CROP, CROP)
    pair = torch.randn(4, 3, CROP, CROP)

    model([images, pair] if kind == 'BINGO' else images, mode='loss')

    seen = torch.cat([images, pair]) if kind == 'BINGO' else images
    assert torch.equal(teachers[0], seen)
    torch.testing.assert_close(students[0], halve(images), atol=1e-6, rtol=0)
    assert all(each.shape[-2:] == (SMALL, SMALL) for each in students)


def test_nothing_is_resized_unless_asked():
    model = toy_lgd()
    _, students = watch(model)
    images = torch.randn(2, 3, CROP, CROP)

    model(images, mode='loss')

    assert torch.equal(students[0], images)
    assert 'student_size' not in model.checkpoint_meta


def test_small_patches_and_other_sizes_are_left_alone():
    cfg = method('SEED')
    model = MODELS.build(dict(cfg, num_patches=1))
    _, students = watch(model)
    images, patches = torch.randn(4, 3, CROP, CROP), torch.randn(4, 3, 6, 6)

    model([images, patches], mode='loss')

    assert students[0].shape[-1] == SMALL
    assert torch.equal(students[1], patches)


def test_predictions_are_of_both_sizes():
    model = toy_lgd(student_size=SMALL)
    teachers, students = watch(model)
    images = torch.randn(2, 3, CROP, CROP)

    found = model(images, mode='predict')

    assert torch.equal(teachers[-1], images)
    torch.testing.assert_close(students[-1], halve(images), atol=1e-6, rtol=0)
    assert found[0].teacher_pred_score.shape == (len(NAMES),)


@pytest.mark.parametrize('size', [0, 17, 8.0, True])
def test_sizes_that_cannot_be(size):
    with pytest.raises(ConfigError, match='LGD.student_size'):
        toy_lgd(student_size=size)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of one epoch with a student of 8 pixels beside a teacher of 16."""
    root = write_images(tmp_path_factory.mktemp('two_sizes'))
    cfg = toy_run_cfg(root, root / 'run', toy_lgd_cfg(sorted(NAMES), student_size=8))
    cfg.train_cfg.max_epochs = 1
    runner = Runner.from_cfg(cfg)
    runner.train()
    init_default_scope('mmlgd')
    return root, runner


def test_checkpoint_classifies_as_it_was_trained(trained):
    root, runner = trained
    files = sorted(str(file) for file in (root / 'val').rglob('*.png'))

    classifier = ZeroShotClassifier(root / 'run/epoch_1.pth')
    scores = classifier.scores(files)

    assert classifier.student.student_size == SMALL
    runner.model.eval()
    expected = []
    for batch in runner.val_dataloader:
        inputs = runner.model.data_preprocessor(batch, False)
        found = runner.model(**inputs, mode='predict')
        expected += [(sample.img_path, sample.pred_score) for sample in found]
    expected = torch.stack([score for _, score in sorted(expected, key=lambda x: x[0])])
    torch.testing.assert_close(scores, expected.cpu(), atol=1e-5, rtol=0)


def test_meta_says_both_sizes(trained):
    root, _ = trained
    for name in ('epoch_1.pth', 'backbone.pth'):
        meta = torch.load(root / 'run' / name, weights_only=True)['meta']
        assert (meta['image_size'], meta['student_size']) == (CROP, SMALL)


@pytest.mark.parametrize(
    'export, name',
    [
        (export_backbone_onnx, 'backbone.pth'),
        (export_backbone_onnx, 'epoch_1.pth'),
        (export_classifier_onnx, 'epoch_1.pth'),
    ],
)
def test_export_is_of_the_students_size(trained, tmp_path, export, name):
    onnx = pytest.importorskip('onnx')
    root, _ = trained

    export(root / 'run' / name, tmp_path / 'out.onnx')

    graph = onnx.load(str(tmp_path / 'out.onnx')).graph
    sides = graph.input[0].type.tensor_type.shape.dim[2:]
    assert [side.dim_value for side in sides] == [SMALL, SMALL]


@pytest.mark.parametrize('size', ['8', -1, 5000, [8, 8], True])
def test_a_size_that_no_file_can_have(trained, tmp_path, size):
    root, _ = trained
    contents = torch.load(root / 'run/epoch_1.pth', weights_only=True)
    contents['meta']['student_size'] = size
    torch.save(contents, tmp_path / 'edited.pth')

    with pytest.raises(CheckpointError, match='student_size'):
        ZeroShotClassifier(tmp_path / 'edited.pth')
