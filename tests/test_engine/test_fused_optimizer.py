"""A fused optimizer step on CUDA, also after resuming."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmlgd.engine import AmpOptimWrapper, fused_optimizer
from mmlgd.engine.training_record import compare_groups, group_options

SGD = dict(type='SGD', lr=0.1, momentum=0.9)


def build(optimizer: dict):
    cfg = dict(
        type='OptimWrapper',
        optimizer=optimizer,
        constructor='mmlgd.FusedOptimWrapperConstructor',
    )
    return build_optim_wrapper(nn.Linear(2, 2), cfg).optimizer


@pytest.fixture
def on_cuda(monkeypatch):
    """A model whose parameters count as those of a GPU."""
    monkeypatch.setattr(fused_optimizer, '_is_on_cuda', lambda model: True)


def test_a_model_on_the_cpu_keeps_the_default_step():
    assert build(SGD).defaults['fused'] is None


@pytest.mark.parametrize('kind', ['SGD', torch.optim.SGD])
def test_a_model_on_cuda_gets_a_fused_step(on_cuda, kind):
    assert build(dict(SGD, type=kind)).defaults['fused'] is True


@pytest.mark.parametrize('choice', [dict(fused=False), dict(foreach=True)])
def test_the_config_takes_precedence(on_cuda, choice):
    defaults = build(dict(SGD, **choice)).defaults
    assert not defaults['fused']
    assert defaults['foreach'] == choice.get('foreach')


def test_an_optimizer_without_a_fused_step_is_built(on_cuda):
    assert isinstance(build(dict(type='LBFGS')), torch.optim.LBFGS)


def wrapper(**options) -> AmpOptimWrapper:
    weights = [nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9, **options)
    return AmpOptimWrapper(optimizer=optimizer, cpu_dtype='float32')


@pytest.mark.parametrize('saved, now', [(None, True), (True, None)])
def test_a_resumed_run_steps_in_its_own_way(saved, now):
    # A fused step cannot be resumed where it does not exist; a checkpoint from before
    # fused steps must not turn off the present one.
    before, after = wrapper(fused=saved), wrapper(fused=now)
    before.optimizer.param_groups[0]['lr'] = 0.05
    state = before.state_dict()
    groups = [group_options(group) for group in after.optimizer.param_groups]
    named = compare_groups(dict(optimizer=state), groups)
    assert named == ['optimizer.lr 0.05 -> 0.1']
    after.load_state_dict(state)
    (group,) = after.optimizer.param_groups
    assert (group['lr'], group['fused']) == (0.05, now)
