"""The classifiers of the demo: from scratch, and linear on the distilled backbone."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from demo.fashion_mnist import prepare_demo_data
from tests.backbone_files import MBV3_SMALL, write_backbone
from tests.test_configs.shrink import CONFIGS

pytestmark = pytest.mark.filterwarnings('ignore:The given NumPy array is not writable')


def small_run(name: str, folder) -> Config:
    """Two iterations of four 16-pixel images."""
    cfg = Config.fromfile(CONFIGS / f'demo/{name}.py')
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset.update(data_root=str(folder / 'data'), indices=8)
        loader.dataset.pipeline[1].scale = 16 if split == 'train' else (16, 16)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.checkpoint.interval = -1
    cfg.update(work_dir=str(folder / name), experiment_name=f'{name}-{folder.name}')
    prepare_demo_data(folder / 'data')
    return cfg


def test_the_probe_trains_a_classifier_and_keeps_the_backbone(tmp_path):
    cfg = small_run('probe_linear', tmp_path)
    cfg.model.backbone.init_cfg.checkpoint = str(tmp_path / 'backbone.pth')
    stored = write_backbone(tmp_path / 'backbone.pth', MBV3_SMALL).state_dict()
    runner = Runner.from_cfg(cfg)
    untrained = runner.model.head.fc.weight.clone()
    runner.train()
    for key, value in runner.model.backbone.state_dict().items():
        assert torch.equal(value, stored[key]), key
    assert not torch.equal(runner.model.head.fc.weight, untrained)
    assert runner.iter == 2
    top1 = runner.message_hub.get_scalar('val/accuracy/top1').current()
    assert top1 * 8 / 100 == pytest.approx(round(top1 * 8 / 100))


def test_training_from_scratch_moves_every_weight(tmp_path):
    runner = Runner.from_cfg(small_run('probe_supervised', tmp_path))
    runner.model.init_weights()
    start = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 2
    for name, value in runner.model.named_parameters():
        assert value.requires_grad and not torch.equal(value, start[name]), name


def test_the_supervised_run_has_the_student_and_the_views_of_the_distillation():
    ours = Config.fromfile(CONFIGS / 'demo/probe_supervised.py')
    other = Config.fromfile(CONFIGS / 'demo/fashion_mnist_mbv3_small.py')
    assert ours.train_dataloader.batch_size == other.train_dataloader.batch_size
    assert ours.model.backbone == other.model.backbone
    views = other.train_dataloader.dataset.dataset
    assert ours.train_dataloader.dataset == views
    assert ours.val_dataloader.dataset == other.val_dataloader.dataset
