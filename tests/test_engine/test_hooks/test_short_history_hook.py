import pytest
import torch

from mmlgd.engine.hooks import ShortHistoryHook
from mmlgd.errors import ConfigError
from tests.tiny_runner import tiny_runner


def losses(work_dir, hooks):
    runner = tiny_runner(work_dir, 6, custom_hooks=hooks)
    runner.train()
    return runner.message_hub.get_scalar('train/loss').data[0].tolist()


def test_the_latest_values_stay(tmp_path):
    whole = losses(tmp_path / 'whole', [])
    assert len(whole) == 6
    short = losses(tmp_path / 'short', [dict(type='ShortHistoryHook', length=4)])
    assert short == whole[2:]


def test_a_long_history_of_a_checkpoint_is_cut(tmp_path):
    keep = dict(type='AtomicCheckpointHook', by_epoch=False, interval=3)
    hooks = dict(checkpoint=keep)
    tiny_runner(tmp_path / 'first', 6, default_hooks=hooks).train()
    runner = tiny_runner(
        tmp_path / 'second',
        8,
        load_from=str(tmp_path / 'first/iter_6.pth'),
        resume=True,
        default_hooks=hooks,
        custom_hooks=[dict(type='ShortHistoryHook', length=3)],
    )
    runner.train()
    assert len(runner.message_hub.get_scalar('train/loss').data[0]) == 3
    # Whatever is logged beside the loss.
    for history in runner.message_hub.log_scalars.values():
        assert len(history.data[0]) <= 3


@pytest.mark.parametrize('length', [0, 2.5, torch.inf])
def test_an_invalid_length_is_refused(length):
    with pytest.raises(ConfigError, match='ShortHistoryHook.length'):
        ShortHistoryHook(length)
