"""Stored views of a teacher whose images are larger than the student's."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from PIL import Image

from mmlgd.errors import DataError
from mmlgd.registry import DATASETS, MODELS
from mmlgd.stores import Manifest, StoredTeacher
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import write_store
from tests.toys import toy_lgd_cfg

LARGE, SMALL = 16, 8
#: As configs have it: the crop of a view is read and resized at once.
_CROP = dict(type='FastRandomResizedCrop', crop_ratio_range=(0.3, 1.0))
_PACK = dict(type='mmpretrain.PackInputs', meta_keys=('crop_box', 'img_path'))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = write_images(tmp_path_factory.mktemp('two_sizes'))
    write_store(online(root), root / 'store')
    return root


def online(root):
    """A run with a teacher of 16 pixels and a student of 8."""
    cfg = toy_run_cfg(root, root / 'run', toy_lgd_cfg(student_size=SMALL))
    cfg.train_dataloader.dataset.dataset.pipeline = pipeline(LARGE)
    return cfg


def pipeline(scale):
    return [dict(_CROP, scale=scale), dict(type='FastRandomFlip', prob=0.5), _PACK]


def views(root, kind, scale, **options):
    init_default_scope('mmlgd')
    images = dict(
        type='UnlabeledImages',
        data_root=str(root / 'train'),
        pipeline=pipeline(scale),
    )
    return DATASETS.build(dict(type=kind, dataset=images, **options))


def resized_box(sample, side):
    """The sample's box of its file, by Pillow, (3, side, side) in BGR."""
    top, left, height, width = sample.crop_box
    image = Image.open(sample.img_path).convert('RGB')
    box = (left, top, left + width, top + height)
    image = image.crop(box).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)[..., ::-1].transpose(2, 0, 1).astype(float)


@pytest.mark.parametrize('index', [0, 5, 16 + 3])
def test_views_of_both_sizes_are_of_one_box(root, index):
    large = views(root, 'SeededViews', LARGE)[index]
    small = views(root, 'StoredViews', SMALL, store=str(root / 'store'))[index]

    assert large['data_samples'].crop_box == small['data_samples'].crop_box
    for item, side in ((large, LARGE), (small, SMALL)):
        wanted = resized_box(item['data_samples'], side)
        found = item['inputs'].numpy().astype(float)
        mirrored = wanted[..., ::-1]
        assert min(abs(found - wanted).max(), abs(found - mirrored).max()) <= 1


def test_stored_embeddings_are_those_of_the_online_step(root):
    model = MODELS.build(online(root).model)
    teacher, seen = model.teacher, []
    encode = teacher.image_features
    teacher.image_features = lambda inputs: (seen.append(inputs), encode(inputs))[1]
    online_views = views(root, 'SeededViews', LARGE)
    small = views(root, 'StoredViews', SMALL, store=str(root / 'store'))
    large = views(root, 'StoredViews', LARGE, store=str(root / 'store'))
    indices = [0, 7, 16, 31]
    batch = torch.stack([online_views[index]['inputs'] for index in indices])
    batch = model.data_preprocessor(dict(inputs=batch), True)

    model(**batch, mode='loss')

    assert seen[0].shape == (4, 3, LARGE, LARGE)
    assert torch.equal(seen[0], batch['inputs'])
    rows = F.normalize(encode(seen[0]))
    for stored in (small, large):
        found = torch.stack([stored[i]['teacher_embeddings'] for i in indices])
        # Stored in float16.
        torch.testing.assert_close(found, rows, atol=1e-3, rtol=0)


def test_a_step_from_the_store_is_the_online_step(root):
    cfg = online(root).model
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    from_store = dict(type='StoredTeacher', store=str(root / 'store'))
    torch.manual_seed(0)
    stored_model = MODELS.build(
        dict(cfg, teacher=dict(from_store, teacher=dict(cfg.teacher)))
    )
    stored_model.load_state_dict(model.state_dict())
    stored = views(root, 'StoredViews', LARGE, store=str(root / 'store'))
    items = [stored[index] for index in range(4)]
    batch = dict(inputs=torch.stack([item['inputs'] for item in items]))
    rows = torch.stack([item['teacher_embeddings'] for item in items])

    inputs = model.data_preprocessor(batch, True)['inputs']
    expected = model(inputs, mode='loss')
    seen = []
    stored_model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args))
    found = stored_model(inputs, mode='loss', teacher_embeddings=rows)

    assert seen[0][0].shape == (4, 3, SMALL, SMALL)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=0.02, rtol=0.02)


def test_views_in_the_students_size_pass_as_they_are(root):
    cfg = online(root).model
    teacher = dict(
        type='StoredTeacher', store=str(root / 'store'), teacher=dict(cfg.teacher)
    )
    model = MODELS.build(dict(cfg, teacher=teacher))
    images, seen = torch.randn(2, 3, SMALL, SMALL), []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))

    model(images, mode='loss', teacher_embeddings=torch.eye(2, 16))

    assert torch.equal(seen[0], images)
    assert model.checkpoint_meta['student_size'] == SMALL


@pytest.mark.parametrize('scale', [None, 4.605170185988092])
def test_a_store_knows_the_temperature_of_its_teacher(root, tmp_path, scale):
    manifest = Manifest.read(root / 'store')
    manifest.logit_scale = scale
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest

    assert StoredTeacher(tmp_path).logit_scale == scale


def test_a_manifest_without_a_field_or_with_a_wrong_scale_is_refused(root, tmp_path):
    content = json.loads((root / 'store/manifest.json').read_text())
    content['logit_scale'] = 'warm'
    (tmp_path / 'manifest.json').write_text(json.dumps(content))
    with pytest.raises(DataError, match='logit_scale'):
        StoredTeacher(tmp_path)
    del content['logit_scale']
    (tmp_path / 'manifest.json').write_text(json.dumps(content))
    with pytest.raises(DataError, match='with the fields'):
        StoredTeacher(tmp_path)
