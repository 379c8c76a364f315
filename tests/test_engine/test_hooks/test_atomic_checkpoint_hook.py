import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.runner import find_latest_checkpoint

from mmlgd.engine import atomic_backend
from mmlgd.engine.hooks import AtomicCheckpointHook
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.atomic import replace_file
from tests.tiny_runner import OneWeight, tiny_runner
from tests.two_ranks import run_on_two_ranks


def run(
    work_dir,
    iterations=4,
    accuracies=None,
    resume=False,
    hooks=(),
    ballast=0,
    **options,
):
    hook = dict(type='AtomicCheckpointHook', by_epoch=False, **options)
    hook.setdefault('interval', 1)
    runner = tiny_runner(
        work_dir,
        iterations,
        OneWeight(ballast=ballast),
        accuracies=accuracies,
        default_hooks=dict(checkpoint=hook),
        custom_hooks=list(hooks),
        resume=resume,
    )
    runner.train()
    return runner


def checkpoints(folder):
    return sorted(path.name for path in Path(folder).glob('*.pth'))


def fill_disk(monkeypatch, name):
    """Make writing files of this name fail after some bytes."""
    write = atomic_backend.write_atomically

    def write_until_full(path, data):
        if Path(path).name != name:
            write(path, data)
            return
        with replace_file(path) as part:
            part.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(atomic_backend, 'write_atomically', write_until_full)


def test_saves_keeps_and_resumes_as_the_stock_hook(tmp_path):
    runner = run(tmp_path, 5, max_keep_ckpts=2)
    assert checkpoints(tmp_path) == ['iter_4.pth', 'iter_5.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_5.pth')
    state = torch.load(tmp_path / 'iter_5.pth', weights_only=False)
    assert state['meta']['iter'] == 5
    assert torch.equal(state['state_dict']['weight'], runner.model.weight.data)
    run(tmp_path, 6, max_keep_ckpts=2, resume=True)
    assert checkpoints(tmp_path) == ['iter_5.pth', 'iter_6.pth']
    assert not list(tmp_path.glob('.*'))


def test_out_dir(tmp_path):
    run(tmp_path / 'run', 1, out_dir=str(tmp_path / 'elsewhere'))
    assert checkpoints(tmp_path / 'elsewhere' / 'run') == ['iter_1.pth']


def test_full_disk_leaves_the_previous_checkpoint_whole(tmp_path, monkeypatch):
    fill_disk(monkeypatch, 'iter_3.pth')
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, max_keep_ckpts=1)
    for part in ('iter_3.pth', 'No space', 'MiB are free', 'iter_2.pth is complete'):
        assert part in str(caught.value)
    # The stock hook would have removed it by now, to make room.
    assert checkpoints(tmp_path) == ['iter_2.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_2.pth')
    assert not list(tmp_path.glob('.*'))
    monkeypatch.undo()
    run(tmp_path, max_keep_ckpts=1, resume=True)
    assert checkpoints(tmp_path) == ['iter_4.pth']


def test_full_disk_at_the_pointer_keeps_both(tmp_path, monkeypatch):
    run(tmp_path, 1, max_keep_ckpts=1)
    fill_disk(monkeypatch, 'last_checkpoint')
    with pytest.raises(
        CheckpointError, match='last_checkpoint could not.*iter_1.pth is'
    ):
        run(tmp_path, 2, max_keep_ckpts=1, resume=True)
    assert checkpoints(tmp_path) == ['iter_1.pth', 'iter_2.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_1.pth')


def test_full_disk_at_the_first_checkpoint(tmp_path, monkeypatch):
    fill_disk(monkeypatch, 'iter_1.pth')
    with pytest.raises(CheckpointError, match='There is no previous checkpoint'):
        run(tmp_path)


def test_best_checkpoint_replaces_the_previous_best(tmp_path):
    run(tmp_path, 3, [10.0, 30.0, 20.0], save_best='acc', max_keep_ckpts=1)
    assert checkpoints(tmp_path) == ['best_acc_iter_2.pth', 'iter_3.pth']


def test_full_disk_at_the_best_keeps_the_previous_best(tmp_path, monkeypatch):
    fill_disk(monkeypatch, 'best_acc_iter_2.pth')
    with pytest.raises(
        CheckpointError, match='best_acc_iter_2.*iter_2.pth is complete'
    ):
        run(tmp_path, 3, [10.0, 30.0, 20.0], save_best='acc', max_keep_ckpts=1)
    assert checkpoints(tmp_path) == ['best_acc_iter_1.pth', 'iter_2.pth']


def test_best_that_a_resumed_run_repeats_is_not_removed(tmp_path):
    run(tmp_path, 2, [10.0, 30.0], save_best='acc')
    state = torch.load(tmp_path / 'iter_2.pth', weights_only=False)
    assert state['message_hub']['runtime_info']['best_ckpt'].endswith('iter_2.pth')
    # Resumed from the second checkpoint, but told that the best is still to come.
    state['meta']['iter'] = 1
    torch.save(state, tmp_path / 'iter_2.pth')
    run(tmp_path, 2, [40.0], save_best='acc', resume=True)
    assert 'best_acc_iter_2.pth' in checkpoints(tmp_path)


def test_parts_of_a_killed_run_are_removed(tmp_path):
    part = tmp_path / '.iter_9.pth.0123abcd.mmlgd-tmp'
    part.touch()
    run(tmp_path, 1)
    assert not part.exists()


def test_own_backend_is_kept(tmp_path):
    runner = run(tmp_path, 3, max_keep_ckpts=1, backend_args=dict(backend='local'))
    hook = runner.hooks[-1]
    assert type(hook.file_backend) is LocalBackend
    assert checkpoints(tmp_path) == ['iter_3.pth']


def test_weights_of_the_moving_average_are_the_state_dict(tmp_path):
    runner = run(tmp_path, 3, hooks=[dict(type='EMAHook', momentum=0.5)])
    state = torch.load(tmp_path / 'iter_3.pth', weights_only=False)
    hook = next(hook for hook in runner.hooks if hasattr(hook, 'ema_model'))
    average = hook.ema_model.module
    assert torch.equal(state['state_dict']['weight'], average.weight.data)
    assert state['state_dict']['weight'] != runner.model.weight
    raw = state['ema_state_dict']['module.weight']
    assert torch.equal(raw, runner.model.weight.data)


@contextmanager
def largest_file(size: int):
    """The system refuses files beyond ``size`` bytes, as a quota or a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_file_size_limit_of_the_system(tmp_path):
    run(tmp_path, 1, max_keep_ckpts=1, ballast=2**18)
    before = (tmp_path / 'iter_1.pth').read_bytes()
    with largest_file(len(before) - 100), pytest.raises(CheckpointError) as caught:
        run(tmp_path, 2, max_keep_ckpts=1, resume=True, ballast=2**18)
    message = str(caught.value)
    assert 'iter_2.pth could not be saved' in message
    assert os.strerror(errno.EFBIG) in message
    assert checkpoints(tmp_path) == ['iter_1.pth']
    assert (tmp_path / 'iter_1.pth').read_bytes() == before
    assert not list(tmp_path.glob('.*'))


class LateHook(Hook):
    """Lets the time since the last checkpoint be 30 minutes more, on one rank."""

    priority = 'HIGHEST'

    def __init__(self, at, rank=0):
        self.at, self.rank = at, rank

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter in self.at and get_rank() == self.rank:
            (saver,) = (h for h in runner.hooks if isinstance(h, AtomicCheckpointHook))
            saver._saved_time -= 30 * 60


def test_saves_by_minutes_and_keeps_the_last_of_them(tmp_path):
    kept = []

    class Watch(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            kept.append(checkpoints(tmp_path))

    hooks = [LateHook([1, 3]), Watch()]
    run(tmp_path, 7, interval=6, interval_minutes=20, hooks=hooks, max_keep_ckpts=1)
    two, four, six = ['iter_2.pth'], ['iter_4.pth'], ['iter_6.pth']
    assert kept == [[], two, two, four, four, six, ['iter_7.pth']]


def test_a_resumed_run_removes_the_checkpoint_by_minutes(tmp_path):
    options = dict(interval=3, max_keep_ckpts=3, interval_minutes=20)
    with pytest.raises(InterruptedError):

        class Fail(Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                if runner.iter == 4:
                    raise InterruptedError

        run(tmp_path, 6, hooks=[LateHook([3]), Fail()], **options)
    assert checkpoints(tmp_path) == ['iter_3.pth', 'iter_4.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_4.pth')
    run(tmp_path, 6, resume=True, **options)
    assert checkpoints(tmp_path) == ['iter_3.pth', 'iter_6.pth']


def test_wrong_minutes_are_named(tmp_path):
    with pytest.raises(ConfigError, match='interval_minutes=0 must be positive'):
        AtomicCheckpointHook(interval_minutes=0)
    hook = dict(type='AtomicCheckpointHook', interval_minutes=5)
    runner = tiny_runner(tmp_path, default_hooks=dict(checkpoint=hook))
    runner._train_loop = dict(by_epoch=True, max_epochs=1)
    with pytest.raises(ConfigError, match='EpochBasedTrainLoop resumes at the start'):
        runner.train()


def _late_rank_1(rank, folder):
    options = dict(interval=100, interval_minutes=20, save_last=False)
    run(folder, 20, hooks=[LateHook([3], rank=1)], **options)
    return rank


@pytest.mark.slow
def test_ranks_agree_on_the_minutes(tmp_path):
    run_on_two_ranks(_late_rank_1, tmp_path, tmp_path / 'run')
    # Ten iterations are between two agreements.
    assert checkpoints(tmp_path / 'run') == ['iter_10.pth']
