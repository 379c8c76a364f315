"""The same log as with mmengine's hook, from fewer readings."""

import pytest
import torch

from mmlgd.engine.hooks import DeferredRuntimeInfoHook
from mmlgd.errors import ConfigError
from tests.tiny_runner import tiny_runner

OURS = dict(type='DeferredRuntimeInfoHook')


def train(work_dir, runtime_info, logger=2, **options):
    runner = tiny_runner(
        work_dir,
        5,
        default_hooks=dict(
            runtime_info=runtime_info,
            logger=dict(type='LoggerHook', interval=logger),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3),
        ),
        **options,
    )
    runner.optim_wrapper = dict(
        optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=0.5)
    )
    runner.train()
    return runner


def scalars(state):
    return {
        name: history.data[0].tolist()
        for name, history in state.items()
        if name in ('train/loss', 'train/grad_norm', 'train/lr')
    }


@pytest.mark.parametrize('logger', [2, 100])
def test_the_history_is_the_same(tmp_path, logger):
    usual = train(tmp_path / 'usual', dict(type='RuntimeInfoHook'), logger)
    ours = train(tmp_path / 'ours', OURS, logger)
    expected = scalars(usual.message_hub.log_scalars)
    assert all(len(values) == 5 for values in expected.values())
    assert set(expected) == {'train/loss', 'train/grad_norm', 'train/lr'}
    assert scalars(ours.message_hub.log_scalars) == expected


def test_a_checkpoint_between_two_readings_has_all_steps(tmp_path):
    histories = []
    for name, hook in (('usual', dict(type='RuntimeInfoHook')), ('ours', OURS)):
        train(tmp_path / name, hook, logger=100)
        state = torch.load(tmp_path / name / 'iter_3.pth', weights_only=False)
        histories.append(scalars(state['message_hub']['log_scalars']))
    assert len(histories[0]['train/loss']) == 3
    assert histories[1] == histories[0]


def test_a_validation_finds_all_steps(tmp_path):
    runner = train(tmp_path, OURS, logger=100, accuracies=[1.0] * 5)
    assert len(runner.message_hub.get_scalar('train/loss').data[0]) == 5


def test_an_interval_below_one_is_refused():
    with pytest.raises(ConfigError, match='DeferredRuntimeInfoHook.interval'):
        DeferredRuntimeInfoHook(interval=0)
