"""New-style configs, whose types are classes, work with every option."""

import pickle
import sys

import pytest
import torch

from mmlgd.cli import test as test_tool
from mmlgd.cli import train
from tests.toy_tool_run import TOOLS, run_tool

BASE = """
from mmengine.dataset import DefaultSampler
from mmengine.optim import OptimWrapper
from mmengine.visualization import LocalVisBackend
from mmpretrain.datasets import CustomDataset, LoadImageFromFile, PackInputs
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import (
    CrossEntropyLoss, GlobalAveragePooling, ImageClassifier, LinearClsHead, ResNet)
from mmpretrain.visualization import UniversalVisualizer
from torch.optim import SGD

dataset = dict(
    type=CustomDataset,
    data_root={data!r},
    pipeline=[dict(type=LoadImageFromFile), dict(type=PackInputs)])
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dataset,
    sampler=dict(type=DefaultSampler, shuffle=True))
test_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dataset,
    sampler=dict(type=DefaultSampler, shuffle=False))
test_evaluator = dict(type=Accuracy, topk=(1,))
model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True, num_classes=2),
    backbone=dict(type=ResNet, depth=18, stem_channels=4, base_channels=4),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead, num_classes=2, in_channels=32,
        loss=dict(type=CrossEntropyLoss)))
auto_scale_lr = dict(base_batch_size=8)
train_cfg = dict(by_epoch=True, max_epochs=1)
test_cfg = dict()
default_scope = 'mmpretrain'
randomness = dict(seed=0)
visualizer = dict(
    type=UniversalVisualizer, vis_backends=[dict(type=LocalVisBackend)])
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.01, momentum=0.9))
"""
CHILD = """
from mmengine.config import read_base

with read_base():
    from .base import *

train_cfg.update(max_epochs=2)
"""


@pytest.fixture
def config(toy_config, tmp_path):
    (tmp_path / 'base.py').write_text(BASE.format(data=str(toy_config.parent / 'data')))
    (tmp_path / 'lazy.py').write_text(CHILD)
    return tmp_path / 'lazy.py'


def test_options_apply_to_class_types(config):
    args = train.parse_args([str(config), '--amp', '--auto-scale-lr'])
    cfg = train.load_config(args, train._NEEDED)
    train.apply_options(cfg, args)
    assert cfg.optim_wrapper.type == 'mmlgd.AmpOptimWrapper'
    assert test_tool.prediction_library(cfg) == 'mmpretrain'
    assert test_tool.dump_metric(cfg, 'x.pkl')['type'] == 'mmengine.DumpResults'
    test_tool.enable_drawing(cfg, '/show')
    # Its own visualizer is of the right kind, and keeps its options.
    assert cfg.default_hooks.visualization.type == 'mmlgd.TrueColorVisualizationHook'


@pytest.mark.slow
def test_a_lazy_config_trains_resumes_and_is_tested_with_all_options(config, tmp_path):
    result = run_tool(
        *(sys.executable, TOOLS / 'train.py', config, '--amp', '--auto-scale-lr'),
        *('--global-batch-size', 4, '--work-dir', 'w', '--no-validate'),
        *('--cfg-options', 'optim_wrapper.optimizer.lr=0.04', 'train_cfg.max_epochs=1'),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    state = torch.load(tmp_path / 'w/epoch_1.pth', weights_only=False)
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.02)
    result = run_tool(
        *(sys.executable, TOOLS / 'test.py', config, tmp_path / 'w/epoch_1.pth'),
        *('--work-dir', 'w', '--out', 'out.pkl', '--show-dir', 'show'),
        *('--cfg-options', 'test_dataloader.batch_size=3'),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) == 8
    assert len(list((tmp_path / 'show').iterdir())) == 8
