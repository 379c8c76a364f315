"""Only the backbone is compiled, once, for any change of the learning rate."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch._dynamo.utils import counters

from mmlgd.errors import ConfigError
from tests.runs import toy_run_cfg, write_images
from tests.tiny_runner import tiny_runner


@HOOKS.register_module(force=True)
class CountGraphs(Hook):
    """What was compiled up to the end of each step, and its learning rate."""

    def before_train(self, runner):
        torch._dynamo.reset()
        counters.clear()
        self.graphs, self.rates = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.graphs.append(counters['stats']['unique_graphs'])
        self.rates.append(runner.optim_wrapper.get_lr()['lr'][0])


def train(tmp_path, hooks, **overrides):
    cfg = toy_run_cfg(write_images(tmp_path / 'data'), tmp_path / 'run', **overrides)
    cfg.custom_hooks += [*hooks, dict(type='CountGraphs')]
    # Another learning rate in every step.
    cfg.param_scheduler = dict(type='PolyLR', by_epoch=False, end=8, eta_min=0.0)
    cfg.default_hooks.param_scheduler = dict(type='ParamSchedulerHook')
    runner = Runner.from_cfg(cfg)
    runner.train()
    (count,) = (hook for hook in runner.hooks if isinstance(hook, CountGraphs))
    assert len(set(count.rates)) == len(count.rates) == 8
    return runner, count.graphs


def check(tmp_path, backend):
    plain, _ = train(tmp_path / 'plain', [])
    compile_hook = dict(type='CompileHook', backend=backend)
    # Two epochs with a validation after each, the second after the compiling.
    runner, graphs = train(tmp_path / 'compiled', [compile_hook])
    assert graphs == [1] * 8
    state, expected = runner.model.state_dict(), plain.model.state_dict()
    assert list(state) == list(expected)
    torch.testing.assert_close(state, expected, rtol=1e-3, atol=1e-4)
    saved = torch.load(tmp_path / 'compiled/run/epoch_2.pth', weights_only=False)[
        'state_dict'
    ]
    assert not [key for key in saved if '_orig_mod' in key]


@pytest.mark.slow
def test_nothing_is_compiled_again(tmp_path):
    check(tmp_path, 'eager')


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='inductor needs a compiler')
def test_nothing_is_compiled_again_by_inductor(tmp_path):
    check(tmp_path, 'inductor')


def test_a_model_without_backbone_is_refused(tmp_path):
    runner = tiny_runner(tmp_path, custom_hooks=[dict(type='CompileHook')])
    with pytest.raises(ConfigError, match='OneWeight has none'):
        runner.train()


@pytest.mark.slow
def test_mmengines_own_option_beside_it_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='both CompileHook and compile=True'):
        train(tmp_path, [dict(type='CompileHook')], compile=True)
