import os
import signal
import time

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import find_latest_checkpoint

from mmlgd.engine.hooks.preemption_hook import Preempted, PreemptionHook
from mmlgd.errors import ConfigError
from tests.tiny_runner import tiny_runner
from tests.two_ranks import run_on_two_ranks


class SignalHook(Hook):
    """Sends this process a signal within an iteration."""

    def __init__(self, number, at):
        self.number, self.at = number, at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.at:
            os.kill(os.getpid(), self.number)


class RefuseHook(Hook):
    def __init__(self, until):
        self.until = until

    def refuse_checkpoint(self, runner, reasons):
        if runner.iter < self.until:
            reasons.append('the loss is not finite')


def run(folder, *hooks, iterations=6, every=None, resume=False, **options):
    saver = dict(type='AtomicCheckpointHook', by_epoch=False, interval=100)
    runner = tiny_runner(
        folder,
        iterations,
        default_hooks=dict(checkpoint=saver),
        custom_hooks=[dict(type='PreemptionHook', iterations=every, **options), *hooks],
        resume=resume,
    )
    runner.train()
    return runner


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_signal_saves_the_running_step_and_resumes_bit_for_bit(tmp_path, number):
    before = signal.getsignal(number)
    whole = run(tmp_path / 'whole')
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / 'broken', SignalHook(number, 2), check_interval=1)
    assert stop.value.code == 75
    assert names(tmp_path / 'broken') == ['iter_3.pth']
    assert signal.getsignal(number) == before
    resumed = run(tmp_path / 'broken', resume=True)
    assert torch.equal(whole.model.weight, resumed.model.weight)


def test_exit_code_and_the_interval_of_agreement(tmp_path):
    options = dict(check_interval=4, exit_code=99)
    with pytest.raises(Preempted) as stop:
        run(tmp_path, SignalHook(signal.SIGTERM, 1), **options)
    assert stop.value.code == 99
    assert names(tmp_path) == ['iter_4.pth']


def test_a_refused_checkpoint_is_saved_one_step_later(tmp_path):
    with pytest.raises(Preempted):
        run(tmp_path, SignalHook(signal.SIGTERM, 1), RefuseHook(3), check_interval=1)
    assert names(tmp_path) == ['iter_4.pth']


def test_saves_by_iterations(tmp_path):
    run(tmp_path, iterations=5, every=2)
    assert names(tmp_path) == ['iter_2.pth', 'iter_4.pth', 'iter_5.pth']


class SlowHook(Hook):
    """An iteration that takes longer than the interval of the checkpoints."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            time.sleep(1.2)


def test_saves_by_minutes(tmp_path):
    run(tmp_path, SlowHook(), iterations=5, minutes=1 / 60, check_interval=1)
    assert names(tmp_path) == ['iter_3.pth', 'iter_5.pth']


@pytest.mark.parametrize('options', [dict(minutes=0), dict(signals=['SIGNONE'])])
def test_wrong_options_are_named(options):
    with pytest.raises(ConfigError, match='PreemptionHook: .*(minutes=0|SIGNONE)'):
        PreemptionHook(**options)


def _preempt_rank_1(rank, folder):
    hooks = [SignalHook(signal.SIGTERM, 1)] if rank == 1 else []
    try:
        run(folder, *hooks, check_interval=2)
    except Preempted as stop:
        return stop.code
    return 0


@pytest.mark.slow
def test_a_signal_on_one_rank_stops_both(tmp_path):
    assert run_on_two_ranks(_preempt_rank_1, tmp_path, tmp_path / 'run') == [75, 75]
    path = find_latest_checkpoint(str(tmp_path / 'run'))
    assert path.endswith(('iter_2.pth', 'iter_4.pth'))
