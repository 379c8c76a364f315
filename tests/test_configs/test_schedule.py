"""The default schedules against their formula; the authors' own is in test_strict.py."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from tests.test_configs.shrink import CONFIGS, distillation_configs

ITERATIONS = 4  # an epoch


def expected_rate(epoch: float, epochs: int) -> float:
    """Linear from 0.03 to 0.24 = 0.03 * 2048 / 256 in 5 epochs, then cosine."""
    if epoch < 5:
        # The last iteration of the warm-up is at the peak.
        return 0.03 + 0.21 * epoch / (5 - 1 / ITERATIONS)
    return 0.12 * (1 + math.cos(math.pi * (epoch - 5) / (epochs - 5)))


@pytest.mark.parametrize('name, epochs', [('r50_r18', 200), ('r50_r18_90e', 90)])
def test_learning_rate(name, epochs):
    cfg = Config.fromfile(CONFIGS / f'lgd/{name}.py')
    settings = cfg.optim_wrapper.optimizer.copy()
    assert settings.pop('type') == 'SGD'
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], **settings)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(each, optimizer=optimizer, epoch_length=ITERATIONS))
        for each in cfg.param_scheduler
    ]

    rates = []
    for _ in range(epochs * ITERATIONS):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()

    wanted = [expected_rate(i / ITERATIONS, epochs) for i in range(epochs * ITERATIONS)]
    assert rates == pytest.approx(wanted, abs=1e-6)
    assert cfg.train_cfg == dict(by_epoch=True, max_epochs=epochs, val_interval=5)
    group = optimizer.param_groups[0]
    assert (group['momentum'], group['weight_decay']) == (0.9, 1e-4)


def test_global_batch_of_eight_gpus_is_what_the_rate_is_for():
    cfg = Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py')
    batch = 8 * cfg.train_dataloader.batch_size
    assert batch == cfg.auto_scale_lr.base_batch_size == 2048
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.03 * batch / 256)
    assert cfg.train_dataloader.drop_last
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'


@pytest.mark.parametrize('name', distillation_configs())
def test_the_fast_path_is_the_default(name):
    cfg = Config.fromfile(CONFIGS / name)
    assert [hook.type for hook in cfg.custom_hooks].count('ChannelsLastHook') == 1
    if name.startswith('demo/'):
        return  # float32 on a CPU
    wrapper = cfg.optim_wrapper
    assert wrapper.constructor == 'FusedOptimWrapperConstructor'
    assert not {'fused', 'foreach'} & set(wrapper.optimizer)
    # The authors' training is in float16.
    assert wrapper.dtype == ('float16' if name.endswith('_strict.py') else 'auto')


def test_accumulation_makes_the_same_global_batch_on_one_gpu():
    cfg = Config.fromfile(CONFIGS / 'lgd/r50_mbv3_1xb256-accum8.py')
    batch = cfg.train_dataloader.batch_size * cfg.optim_wrapper.accumulative_counts
    assert batch == cfg.auto_scale_lr.base_batch_size
