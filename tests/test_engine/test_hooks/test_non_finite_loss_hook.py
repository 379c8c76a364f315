import math
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmlgd.engine.hooks import NonFiniteLossHook
from mmlgd.errors import CheckpointError, ConfigError, MMLGDError
from tests.tiny_runner import OneWeight, tiny_runner

NAN, INF = math.nan, math.inf


class Steady(OneWeight):
    """A model whose weight no fault can reach, as under AMP's loss scaler."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        losses = self._run_forward(data, mode='loss')
        return dict(loss=losses['loss'].detach(), grad_norm=torch.tensor(INF))


def run(work_dir, model, interval=-1, iterations=8):
    hook = dict(type='AtomicCheckpointHook', by_epoch=False, interval=interval)
    runner = tiny_runner(
        work_dir,
        iterations,
        model,
        default_hooks=dict(checkpoint=hook),
        custom_hooks=[dict(type='NonFiniteLossHook', patience=3)],
    )
    runner.train()
    return runner


@pytest.mark.parametrize('fault', [NAN, INF, -INF])
def test_third_bad_step_in_a_row_stops(tmp_path, fault):
    with pytest.raises(MMLGDError) as caught:
        run(tmp_path, Steady(dict.fromkeys((2, 3, 4, 5), fault)))
    message = str(caught.value)
    for part in ('3 steps', 'iteration 5', f'loss {fault:g}', 'lr 0.1', 'AMP'):
        assert part in message
    assert 'None was saved before' in message


def test_good_step_in_between_starts_anew(tmp_path):
    runner = run(tmp_path, Steady({0: NAN, 1: NAN, 3: NAN, 4: NAN, 6: INF}))
    assert runner.iter == 8


def test_gradient_norm_is_no_loss(tmp_path):
    assert run(tmp_path, Steady()).iter == 8


def test_last_good_checkpoint_stays(tmp_path):
    with pytest.raises(CheckpointError, match='iteration 4.*iter_2.pth'):
        run(tmp_path, Steady({3: NAN}), interval=2)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']


def test_ruined_parameters_are_not_saved(tmp_path):
    class Ruined(Steady):
        def train_step(self, data, optim_wrapper):
            if self.steps == 3:
                self.weight.data.fill_(INF)
                self.steps += 1
                return dict(loss=torch.tensor(1.0))
            return super().train_step(data, optim_wrapper)

    with pytest.raises(CheckpointError, match='parameter weight is not finite'):
        run(tmp_path, Ruined(), interval=2)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']


def test_infinite_buffer_is_saved(tmp_path):
    model = Steady(ballast=2)
    model.ballast.fill_(-INF)
    run(tmp_path, model, interval=8)
    assert (tmp_path / 'iter_8.pth').exists()


def test_every_loss_is_looked_at():
    hook = NonFiniteLossHook(patience=1)
    runner = SimpleNamespace(
        iter=0,
        work_dir='nowhere',
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.5])),
    )
    outputs = dict(loss_textual=1.0, loss_visual=torch.tensor(NAN), accuracy=NAN)
    with pytest.raises(MMLGDError, match='loss_textual 1, loss_visual nan; '):
        hook.after_train_iter(runner, 0, outputs=outputs)
    hook._streak = 0
    hook.after_train_iter(runner, 0, outputs=dict(loss=0.0, accuracy=NAN))
    hook.after_train_iter(runner, 0, outputs=None)


class CountReads(TorchDispatchMode):
    """Counts the times that the value of a tensor is asked for by itself, unless it
    was stacked with others before, to be brought from the device with them."""

    def __init__(self):
        super().__init__()
        self.reads, self.stacked = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.stack.default:
            self.stacked.append(result)
        if function is torch.ops.aten._local_scalar_dense.default:
            storage = args[0].untyped_storage().data_ptr()
            together = [one.untyped_storage().data_ptr() for one in self.stacked]
            self.reads += storage not in together
        return result


def test_no_other_hook_reads_from_the_device(tmp_path):
    def reads_of(work_dir, hooks):
        default = dict(checkpoint=None)
        runner = tiny_runner(
            work_dir, 4, Steady(), default_hooks=default, custom_hooks=hooks
        )
        with CountReads() as counter:
            runner.train()
        return counter.reads, runner.message_hub

    without, usual = reads_of(tmp_path / 'without', [])
    reads, logged = reads_of(tmp_path / 'with', [dict(type='NonFiniteLossHook')])
    # Loss and gradient norm in each of four steps.
    assert without - reads == 8
    losses = [hub.get_scalar('train/loss').data[0] for hub in (logged, usual)]
    assert len(losses[0]) == 4 and losses[0].tolist() == losses[1].tolist()
    assert logged.get_scalar('train/grad_norm').current() == INF


def test_later_hooks_find_tensors():
    outputs = dict(loss=torch.tensor(2.0, dtype=torch.float64), loss_a=0.5)
    NonFiniteLossHook().after_train_iter(None, 0, outputs=outputs)
    # As mmdet's CheckInvalidLossHook asks.
    assert torch.isfinite(outputs['loss']) and outputs['loss'].item() == 2
    assert outputs['loss_a'] == 0.5


def test_patience_below_one_is_refused():
    with pytest.raises(ConfigError, match='patience'):
        NonFiniteLossHook(patience=0)
