"""Every classifier is trained for two iterations from a distilled backbone."""

import pytest
import torch
from mmengine.config import Config

from mmlgd.datasets import load_category_names
from tests.downstream_data import write_caltech256, write_imagenet
from tests.downstream_runs import (
    assert_equals_checkpoint,
    configs_of,
    load,
    metrics_of,
    set_sizes,
    stock,
    student_of,
    train,
)

CONFIGS = configs_of('classification')
LINEAR = [name for name in CONFIGS if '_linear_' in name]
KINDS = {
    'linear_8xb32-100e_in1k': (100, ''),
    'linear_8xb32-100e_in1k-10percent': (100, 'meta/10percent.txt'),
    'linear_8xb32-100e_in1k-1percent': (100, 'meta/1percent.txt'),
    'linear_8xb32-100e_caltech256': (100, 'meta/train.txt'),
    'finetune_8xb32-30e_in1k-10percent': (30, 'meta/10percent.txt'),
    'finetune_8xb32-60e_in1k-1percent': (60, 'meta/1percent.txt'),
}

pytestmark = pytest.mark.usefixtures('in_root', 'data')


@pytest.fixture(scope='module')
def data(downstream_root):
    write_imagenet(downstream_root / 'data/imagenet')
    names = load_category_names('caltech256')
    write_caltech256(downstream_root / 'data/caltech256', names)


def shrink(cfg: Config) -> Config:
    for split in ('train', 'val', 'test'):
        set_sizes(cfg[f'{split}_dataloader'].dataset.pipeline, 64, 64)
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_trains_from_the_checkpoint_and_validates(name, tmp_path):
    cfg = shrink(load('classification', name, tmp_path))
    runner, witness = train(cfg)

    assert_equals_checkpoint(witness.start, student_of(name))
    # Under DDP, a parameter without gradient is an error unless it is announced.
    assert not witness.unused or cfg.find_unused_parameters
    assert name in LINEAR or not witness.unused
    assert {'accuracy/top1', 'accuracy/top5'} <= metrics_of(runner).keys()
    end = runner.model.backbone.state_dict()
    same = [torch.equal(value, end[key]) for key, value in witness.start.items()]
    # A probe leaves the backbone alone, statistics included.
    assert all(same) if name in LINEAR else not any(same)


@pytest.mark.parametrize('name', CONFIGS)
def test_protocol(name):
    cfg = stock('classification', name)
    epochs, ann_file = KINDS[name.removeprefix(f'{student_of(name)}_')]
    assert cfg.train_dataloader.dataset.get('ann_file', '') == ann_file
    assert cfg.train_cfg.max_epochs == epochs
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.T_max) == ('CosineAnnealingLR', epochs)
    assert (schedule.begin, schedule.end) == (0, epochs)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.momentum) == ('SGD', 0.9)
    assert optimizer.weight_decay == 0
    # MoCo's linear probe (arXiv 1911.05722) and SimCLR's fine-tuning (arXiv 2002.05709,
    # B.5), both stated for batch size 256 = 8 x 32.
    assert 8 * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size
    assert optimizer.lr == (30.0 if name in LINEAR else 0.05)
