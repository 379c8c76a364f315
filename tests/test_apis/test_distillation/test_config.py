"""The config of a run, against the configs of the repository."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.apis.distillation.choices import choose
from mmlgd.apis.distillation.config import build_config, config_text
from mmlgd.apis.distillation.inputs import FoundImages
from mmlgd.apis.distillation.models import find_student, find_teacher
from mmlgd.utils.config_check import check_config

CONFIGS = Path(__file__).parents[3] / 'configs'


def written(tmp_path, teacher, student, count=1_281_167, **options):
    init_default_scope('mmlgd')
    found = find_teacher(teacher)
    net = find_student(student, min(224, found.image_size))
    images = FoundImages(dict(type='UnlabeledImages', data_root='data'), count, '')
    chosen = choose(images.count, found.image_size, False, **options)
    cfg = build_config(images, 'imagenet', found, net, chosen)
    (tmp_path / 'config.py').write_text(config_text(cfg, chosen))
    return Config.fromfile(tmp_path / 'config.py')


def test_imagenet_on_eight_gpus_is_the_published_run(gpu, tmp_path):
    """configs/lgd/r50_mbv3_device-aug.py, which was written by hand."""
    cfg = written(tmp_path, 'clip_rn50', 'mbv3', devices=8, epochs=200)
    expected = Config.fromfile(CONFIGS / 'lgd/r50_mbv3_device-aug.py')
    assert cfg.model == expected.model
    assert cfg.param_scheduler == expected.param_scheduler
    assert cfg.optim_wrapper.optimizer == expected.optim_wrapper.optimizer
    assert cfg.optim_wrapper.dtype == 'bfloat16'
    assert cfg.train_dataloader.batch_size == expected.train_dataloader.batch_size
    pipeline = expected.train_dataloader.dataset.dataset.pipeline
    assert cfg.train_dataloader.dataset.dataset.pipeline == pipeline
    assert cfg.test_pipeline == expected.test_dataloader.dataset.pipeline
    kinds = [[hook.type for hook in each.custom_hooks] for each in (cfg, expected)]
    assert kinds[0] == kinds[1]
    check_config(cfg)


@pytest.mark.parametrize(
    ('count', 'allowed'),
    [(4, 2), (7, 3), (11, 3), (21, 3), (299, 3), (300, 3), (796, 7)],
)
def test_a_small_folder_may_have_broken_images(tmp_path, count, allowed):
    cfg = written(tmp_path, 'clip_rn50', 'mbv3', count, epochs=1)
    check_config(cfg)
    options = cfg.train_dataloader.dataset.dataset
    # By default, the dataset allows one of a hundred.
    assert int(options.get('max_broken', 0.01) * count) == allowed
    assert ('max_broken' in options) == (count < 300)


def test_a_larger_teacher_and_one_epoch(gpu, tmp_path):
    cfg = written(tmp_path, 'pe_core_l14', 'mbv3', epochs=1)
    assert cfg.model.student_size == 224
    assert cfg.train_dataloader.dataset.dataset.pipeline[0].scale == 336
    # 224 of 256 are cropped, as published for 224: 336 of 384.
    assert [cfg.test_pipeline[1].scale, cfg.test_pipeline[2].crop_size] == [384, 336]
    (cosine,) = cfg.param_scheduler
    assert (cosine.begin, cosine.end, cosine.T_max) == (0, 1, 1)
    check_config(cfg)
