import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from mmlgd.engine.hooks.preemption_hook import Preempted, PreemptionHook
from mmlgd.errors import ConfigError
from mmlgd.utils.torchrun import FOLDER_VARIABLE, LaunchFolder
from tests.tiny_runner import Accuracies, tiny_runner
from tests.two_ranks import run_on_two_ranks

# Four images in batches of two: two iterations an epoch.
EPOCHS = dict(type='mmlgd.ResumableEpochLoop', max_epochs=3)


class SignalHook(Hook):
    """Sends this process signals within an iteration, or within a validation."""

    def __init__(self, number, at, times=1, validating=False):
        self.number, self.at, self.times = number, at, times
        self.validating = validating

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.at and not self.validating:
            self.send()

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.at and self.validating:
            self.send()

    def after_save_checkpoint(self, runner, path):
        if self.times > 1:
            self.send()

    def send(self):
        for _ in range(self.times):
            os.kill(os.getpid(), self.number)


class RefuseHook(Hook):
    def __init__(self, until):
        self.until = until

    def refuse_checkpoint(self, runner, reasons):
        if runner.iter < self.until:
            reasons.append('the loss is not finite')


class LossHook(Hook):
    """The loss of each iteration, by its number."""

    def __init__(self):
        self.losses = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses[runner.iter, batch_idx] = outputs['loss'].item()


def run(
    folder, *hooks, loop=None, by_epoch=False, every=100, resume=False, saver=None, **kw
):
    options = {key: kw.pop(key) for key in ('check_interval', 'exit_code') if key in kw}
    saver = saver or dict(
        type='AtomicCheckpointHook', by_epoch=by_epoch, interval=every
    )
    if loop:
        kw.setdefault('loader', dict(sampler=dict(type='DefaultSampler', shuffle=True)))
    runner = tiny_runner(
        folder,
        6,
        default_hooks=dict(checkpoint=saver),
        custom_hooks=[dict(type='PreemptionHook', **options), *hooks],
        resume=resume,
        **kw,
    )
    if loop:
        runner._train_loop = dict(loop)
    runner.train()
    return runner


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_signal_saves_the_running_step_and_resumes_bit_for_bit(tmp_path, number):
    before = signal.getsignal(number)
    whole = run(tmp_path / 'whole')
    with pytest.raises(SystemExit) as stop:
        run(tmp_path / 'broken', SignalHook(number, 2))
    assert stop.value.code == 75
    assert names(tmp_path / 'broken') == ['iter_3.pth']
    assert signal.getsignal(number) == before
    resumed = run(tmp_path / 'broken', resume=True)
    assert torch.equal(whole.model.weight, resumed.model.weight)


@pytest.mark.parametrize('at', range(5))
def test_an_epoch_resumes_at_its_next_batch(tmp_path, at):
    whole = LossHook()
    run(tmp_path / 'whole', whole, loop=EPOCHS, by_epoch=True, every=1)
    first, second = LossHook(), LossHook()
    options = dict(loop=EPOCHS, by_epoch=True, every=1)
    with pytest.raises(Preempted):
        run(tmp_path / 'broken', first, SignalHook(signal.SIGTERM, at), **options)
    assert f'iter_{at + 1}.pth' in names(tmp_path / 'broken')
    run(tmp_path / 'broken', second, resume=True, **options)
    assert len(first.losses) == at + 1
    assert not first.losses.keys() & second.losses.keys()
    # The same losses, under the same numbers of iteration and batch.
    assert {**first.losses, **second.losses} == whole.losses
    assert names(tmp_path / 'broken') == [f'epoch_{n}.pth' for n in (1, 2, 3)]


def test_an_epoch_of_another_length_starts_again_and_says_so(tmp_path):
    options = dict(loop=EPOCHS, by_epoch=True, every=1)
    with pytest.raises(Preempted):
        run(tmp_path, SignalHook(signal.SIGTERM, 2), **options)
    seen = LossHook()
    single = dict(sampler=dict(type='DefaultSampler', shuffle=True), batch_size=1)
    runner = run(tmp_path, seen, resume=True, loader=single, **options)
    # The second of three epochs, now of four batches, from its start.
    assert min(seen.losses) == (4, 0)
    assert len(seen.losses) == 8
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'saved after 1 batches of an epoch' in log


def test_mmengines_epochs_keep_their_last_checkpoint(tmp_path):
    loop = dict(by_epoch=True, max_epochs=3)
    with pytest.raises(Preempted):
        run(tmp_path, SignalHook(15, 2), loop=loop, by_epoch=True, every=1)
    assert names(tmp_path) == ['epoch_1.pth']


def test_further_signals_do_not_lose_the_checkpoint(tmp_path):
    with pytest.raises(Preempted):
        run(tmp_path, SignalHook(signal.SIGTERM, 2, times=3))
    assert names(tmp_path) == ['iter_3.pth']


def test_a_signal_stops_a_validation(tmp_path):
    sent = SignalHook(signal.SIGUSR1, 2, validating=True)
    ema = dict(type='EMAHook', momentum=0.5)
    with pytest.raises(Preempted):
        run(tmp_path / 'broken', sent, ema, accuracies=[1.0] * 6)
    assert names(tmp_path / 'broken') == ['iter_2.pth']
    # EMAHook validates the averaged weights, and saves them as the state dict.
    saved = torch.load(tmp_path / 'broken' / 'iter_2.pth', weights_only=False)
    run(tmp_path / 'whole', ema, every=2, accuracies=[1.0] * 6)
    wanted = torch.load(tmp_path / 'whole' / 'iter_2.pth', weights_only=False)
    for part in ('state_dict', 'ema_state_dict'):
        assert saved[part].keys() == wanted[part].keys()
        for name, value in wanted[part].items():
            assert torch.equal(saved[part][name], value), (part, name)
    assert saved['meta']['iter'] == 2


def test_a_run_that_only_validates_catches_nothing(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    runner = tiny_runner(tmp_path, accuracies=[1.0])
    runner.register_hook(PreemptionHook())
    assert isinstance(runner.val_loop.evaluator, Accuracies)
    runner.val()
    assert signal.getsignal(signal.SIGTERM) == before


def test_after_a_failed_training_signals_have_their_usual_effect(tmp_path):
    received = []

    class Fail(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            raise InterruptedError

    before = signal.signal(signal.SIGUSR1, lambda *_: received.append('usual'))
    try:
        with pytest.raises(InterruptedError):
            run(tmp_path, Fail())
        os.kill(os.getpid(), signal.SIGUSR1)
        assert received == ['usual']
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_exit_code(tmp_path):
    with pytest.raises(Preempted) as stop:
        run(tmp_path, SignalHook(signal.SIGTERM, 1), exit_code=99)
    assert stop.value.code == 99


def test_a_refused_checkpoint_is_saved_one_step_later(tmp_path):
    with pytest.raises(Preempted):
        run(tmp_path, SignalHook(signal.SIGTERM, 1), RefuseHook(3))
    assert names(tmp_path) == ['iter_4.pth']


def test_a_launcher_asks_for_the_stop_by_a_file(tmp_path, monkeypatch):
    folder = tmp_path / 'launch'
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    launch = LaunchFolder(folder)
    launch.leave_code(75)  # of an earlier start of the ranks
    assert not launch.request_stop()

    class AskHook(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 3:
                assert launch.request_stop()

    with pytest.raises(Preempted) as stop:
        run(tmp_path / 'run', AskHook())
    assert stop.value.requested
    assert names(tmp_path / 'run') == ['iter_4.pth']
    # Nobody listens any longer.
    assert launch.read_code() is None
    assert not launch.request_stop()


def test_a_training_in_a_thread_is_told_that_nothing_is_caught(tmp_path):
    thread = threading.Thread(target=run, args=(tmp_path,))
    thread.start()
    thread.join()
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'PreemptionHook catches no signals' in log


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(check_interval=0), 'PreemptionHook.check_interval'),
        (dict(exit_code=0), 'PreemptionHook.exit_code'),
        (dict(signals=['SIGTREM']), "'SIGTREM' is not a signal.*'SIGTERM'"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ConfigError, match=said):
        PreemptionHook(**options)


def _preempt_rank_1(rank, folder, validating):
    hooks = [SignalHook(signal.SIGTERM, 2, validating=validating)] if rank == 1 else []
    more = dict(accuracies=[1.0] * 6) if validating else {}
    try:
        run(folder, *hooks, check_interval=1 if validating else 2, **more)
    except Preempted as stop:
        return stop.code
    return 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ('validating', 'saved'), [(False, 'iter_4.pth'), (True, 'iter_2.pth')]
)
def test_a_signal_on_one_rank_stops_both(tmp_path, validating, saved):
    arguments = (tmp_path, tmp_path / 'run', validating)
    assert run_on_two_ranks(_preempt_rank_1, *arguments) == [75, 75]
    assert names(tmp_path / 'run') == [saved]
