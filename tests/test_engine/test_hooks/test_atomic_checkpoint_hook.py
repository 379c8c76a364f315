import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from mmengine.runner import find_latest_checkpoint

from mmlgd.engine import atomic_backend
from mmlgd.errors import CheckpointError
from mmlgd.utils.atomic import replace_file
from tests.tiny_runner import OneWeight, tiny_runner


def run(
    work_dir,
    iterations=4,
    accuracies=None,
    resume=False,
    hooks=(),
    ballast=0,
    **options,
):
    hook = dict(type='AtomicCheckpointHook', by_epoch=False, interval=1, **options)
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
