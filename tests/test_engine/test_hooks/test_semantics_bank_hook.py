"""Checkpoints and crop sizes that do not match a teacher are refused."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner

from mmlgd.engine.hooks import SemanticsBankHook
from mmlgd.errors import BankError, ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.image_size import check_image_size
from tests.helpers import tiny_teacher, tiny_teacher_cfg
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, ToyTeacher, toy_lgd, toy_lgd_cfg

DIGEST = ToyTeacher().identity.split('#')[1]


def load(meta):
    runner = SimpleNamespace(model=toy_lgd())
    SemanticsBankHook().after_load_checkpoint(runner, dict(meta=meta))


@pytest.mark.parametrize(
    'meta',
    [
        {},
        dict(teacher=f'ToyTeacher#{DIGEST}'),
        dict(teacher=f'open_clip/RN50/renamed.pt#{DIGEST}'),
        dict(teacher=f'x#{DIGEST}00000000'),
        dict(teacher=f'x#{DIGEST}', image_mean=[120.00001, 110, 100], image_size=16),
    ],
)
def test_a_checkpoint_of_the_same_weights_is_taken(meta):
    load(meta)


@pytest.mark.parametrize(
    'meta, message',
    [
        (dict(teacher='ToyTeacher#00000000'), f'from ToyTeacher#00000000, .*#{DIGEST}'),
        (dict(teacher=f'open_clip/RN50-quickgelu/a#{DIGEST}'), 'force_quick_gelu=True'),
        (dict(image_mean=[121.0, 110.0, 100.0]), r'image_mean=\[121.*\[120'),
        (dict(image_std=[60.0]), 'image_std'),
        (dict(image_size=224), 'image_size=224 .* has 16'),
    ],
)
def test_a_checkpoint_of_another_teacher_is_refused(meta, message):
    with pytest.raises(BankError, match=message):
        load(meta)


def small_lgd(**overrides):
    """An LGD whose teacher only accepts 64 pixels."""
    return MODELS.build(toy_lgd_cfg(teacher=tiny_teacher(), **overrides))


def crops(size, **extra):
    image = torch.zeros(3, *size, dtype=torch.uint8)
    return [dict(inputs=image, data_samples=None, **extra)]


def test_crops_that_a_clip_cannot_take_are_refused():
    model = small_lgd()
    check_image_size(model, crops((64, 64)), 'train_dataloader')
    with pytest.raises(ConfigError) as error:
        check_image_size(model, crops((224, 224)), 'train_dataloader')
    message = str(error.value)
    assert '224x224' in message and '64x64' in message
    assert 'train_dataloader.dataset.pipeline' in message and 'image_size' in message
    with pytest.raises(ConfigError, match='64x48'):
        check_image_size(model, crops((64, 48)), 'train_dataloader')


def test_inputs_that_fit_the_teacher_are_accepted():
    # A teacher of any size.
    check_image_size(toy_lgd(), crops((32, 20)), 'train_dataloader')
    model = small_lgd()
    # Stored embeddings, several views of which one is the teacher's, and no tensors.
    stored = crops((224, 224), teacher_embeddings=torch.zeros(32))
    check_image_size(model, stored, 'train_dataloader')
    views = [torch.zeros(3, size, size) for size in (96, 64)]
    check_image_size(model, [dict(inputs=views)], 'train_dataloader')
    check_image_size(model, [dict(inputs='picture.png')], 'train_dataloader')
    check_image_size(model, [], 'train_dataloader')
    check_image_size(model, iter(crops((224, 224))), 'train_dataloader')


def test_the_check_leaves_the_random_numbers():
    class Noise:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return dict(inputs=torch.rand(3, 64, 64))

    model = small_lgd()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check_image_size(model, Noise(), 'train_dataloader')
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize('place', ['train_dataloader', 'val_dataloader'])
def test_a_run_ends_before_its_bank_is_built(tmp_path, monkeypatch, place):
    root = write_images(tmp_path / 'images')
    model = toy_lgd_cfg(sorted(NAMES), teacher=tiny_teacher_cfg())
    cfg = toy_run_cfg(root, tmp_path / 'run', model)
    train = cfg.train_dataloader.dataset.dataset.pipeline[1]
    edge, crop = cfg.val_dataloader.dataset.pipeline[1:3]
    if place == 'train_dataloader':
        edge.scale = crop.crop_size = 64
    else:
        train.scale = 64
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(runner.model, 'build_text_banks', None)
    with pytest.raises(ConfigError, match=f'{place} has crops of 16x16 .* 64x64'):
        runner.train()


@pytest.mark.parametrize('mode', ['val', 'test'])
def test_a_test_ends_before_its_bank_is_built(tmp_path, monkeypatch, mode):
    root = write_images(tmp_path / 'images')
    model = toy_lgd_cfg(sorted(NAMES), teacher=tiny_teacher_cfg(), predict_teacher=True)
    cfg = toy_run_cfg(root, tmp_path / 'run', model)
    for part in ('cfg', 'dataloader', 'evaluator'):
        cfg[f'test_{part}'] = cfg[f'val_{part}']
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr(runner.model, 'build_text_banks', None)
    with pytest.raises(ConfigError, match=f'{mode}_dataloader has crops of 16x16'):
        getattr(runner, mode)()
