import pytest

from tests.resume_helper import assert_same_training, run_killed_and_resumed
from tests.runs import toy_run_cfg, write_images
from tests.toys import NAMES, toy_lgd_cfg

LOOPS = dict(
    epochs=dict(
        train_cfg=dict(by_epoch=True, max_epochs=3),
        sampler=dict(type='ViewSampler'),
        checkpoint=dict(type='AtomicCheckpointHook', interval=1),
    ),
    iterations=dict(
        train_cfg=dict(by_epoch=False, max_iters=12, val_interval=6),
        sampler=dict(type='ViewSampler', infinite=True),
        checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=4),
    ),
)


def train_twice(cfg, loop, tmp_path):
    """Last checkpoints of a run and of one that was killed and resumed."""
    cfg.custom_imports = dict(imports=['tests.toys'])
    cfg.train_cfg = loop['train_cfg']
    cfg.train_dataloader.update(sampler=loop['sampler'], num_workers=2)
    cfg.default_hooks.checkpoint = loop['checkpoint']
    cfg.dump(tmp_path / 'cfg.py')
    whole, resumed = run_killed_and_resumed(
        tmp_path / 'cfg.py', kill_at=6, folder=tmp_path
    )
    assert whole['meta']['iter'] == 12
    return whole, resumed


@pytest.mark.slow
@pytest.mark.parametrize('loop', LOOPS)
def test_lgd_resumes_bit_by_bit(tmp_path, loop):
    # BatchNorm's statistics, drop path's random numbers, both banks.
    backbone = dict(type='mmpretrain.EfficientNet', arch='b0', drop_path_rate=0.3)
    model = toy_lgd_cfg(sorted(NAMES), backbone=backbone)
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'unused', model)
    whole, resumed = train_twice(cfg, LOOPS[loop], tmp_path)
    assert whole['state_dict']['visual_bank.seen'].any()
    assert_same_training(whole, resumed)


@pytest.mark.slow
def test_augmentation_on_the_device_resumes_bit_by_bit(tmp_path):
    cfg = toy_run_cfg(write_images(tmp_path), tmp_path / 'unused')
    jitter = dict(type='FastColorJitter', brightness=0.4, contrast=0.4, hue=0.1)
    blur = dict(
        type='FastGaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf'
    )
    cfg.train_dataloader.dataset.dataset.pipeline[-1] = dict(
        type='PackForDevice',
        transforms=[dict(type='RandomApply', transforms=[jitter], prob=0.8), blur],
    )
    assert_same_training(*train_twice(cfg, LOOPS['epochs'], tmp_path))
