import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner, find_latest_checkpoint

from mmlgd.engine.hooks import NonFiniteLossHook
from mmlgd.errors import CheckpointError, ConfigError, MMLGDError
from tests.device_reads import device_reads
from tests.runs import toy_run_cfg, write_images
from tests.tiny_runner import OneWeight, tiny_runner
from tests.two_ranks import run_on_two_ranks

NAN, INF = math.nan, math.inf


class Steady(OneWeight):
    """A model whose weight stays finite, as with AMP's loss scaler."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        losses = self._run_forward(data, mode='loss')
        return dict(loss=losses['loss'].detach(), grad_norm=torch.tensor(INF))


def run(work_dir, model, interval=-1, accuracies=None, options=None, **hook):
    hook = dict(hook, type='AtomicCheckpointHook', by_epoch=False, interval=interval)
    runner = tiny_runner(
        work_dir,
        8 if accuracies is None else len(accuracies),
        model,
        accuracies,
        default_hooks=dict(checkpoint=hook),
        custom_hooks=[dict(type='NonFiniteLossHook', patience=3)],
        **(options or {}),
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


def test_a_good_step_resets_the_count(tmp_path):
    runner = run(tmp_path, Steady({0: NAN, 1: NAN, 3: NAN, 4: NAN, 6: INF}))
    assert runner.iter == 8


def test_gradient_norm_is_not_a_loss(tmp_path):
    assert run(tmp_path, Steady()).iter == 8


def saved(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_a_checkpoint_after_a_bad_step_is_postponed_to_the_next_good_one(tmp_path):
    runner = run(tmp_path, Steady({3: NAN, 4: NAN}), interval=4)
    assert runner.iter == 8
    # Steps 4 and 5 are bad; the checkpoint of step 4 is made up after step 6.
    assert saved(tmp_path) == ['iter_6.pth', 'iter_8.pth']


def test_a_postponed_checkpoint_replaces_no_other(tmp_path):
    bad = Steady(dict.fromkeys((3, 4, 5), NAN))
    with pytest.raises(MMLGDError, match='3 steps.*iteration 6.*iter_2.pth'):
        run(tmp_path, bad, interval=2, max_keep_ckpts=1)
    assert saved(tmp_path) == ['iter_2.pth']
    assert find_latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_2.pth')


def test_the_last_step_is_saved_though_its_loss_is_lost(tmp_path):
    runner = run(tmp_path, Steady({7: NAN}), interval=4)
    assert runner.iter == 8
    assert saved(tmp_path) == ['iter_4.pth', 'iter_8.pth']


def test_no_best_checkpoint_of_a_bad_step(tmp_path):
    runner = run(
        tmp_path,
        Steady({1: NAN}),
        interval=-1,
        save_best='acc',
        accuracies=[1, 9, 3, 2],
    )
    assert runner.iter == 4
    assert [name for name in saved(tmp_path) if 'best' in name] == [
        'best_acc_iter_3.pth'
    ]


@pytest.mark.slow
def test_an_epoch_whose_end_is_bad_is_saved_with_the_next(tmp_path):
    cfg = toy_run_cfg(write_images(tmp_path / 'data'), tmp_path / 'run')
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_cfg.max_epochs = 4
    cfg.default_hooks.checkpoint.interval = 2
    runner = Runner.from_cfg(cfg)
    step = runner.model.train_step

    def fail_at_the_end_of_epoch_2(*args, **kwargs):
        outputs = step(*args, **kwargs)
        return dict(outputs, loss=torch.tensor(NAN)) if runner.iter == 7 else outputs

    runner.model.train_step = fail_at_the_end_of_epoch_2
    runner.train()
    names = [name for name in saved(tmp_path / 'run') if name.startswith('epoch')]
    assert names == ['epoch_3.pth', 'epoch_4.pth']


# Iterations whose loss is bad on rank 1 alone; how the run ends, and what it saves.
ON_ONE_RANK = [
    ([3], 'done', ['iter_2.pth', 'iter_5.pth', 'iter_6.pth', 'iter_8.pth']),
    ([3, 4, 5], '3 steps', ['iter_2.pth']),
]


def _train_on_two(rank: int, folder: str) -> list[str]:
    """How each training ends on this rank."""
    os.environ['LOCAL_RANK'] = str(rank)
    options = dict(
        launcher='pytorch', cfg=dict(model_wrapper_cfg=dict(type='mmlgd.AnyDeviceDDP'))
    )
    ends = []
    for faults, _, _ in ON_ONE_RANK:
        model = Steady(dict.fromkeys(faults, NAN) if rank else {})
        try:
            run(Path(folder) / f'{len(faults)}', model, interval=2, options=options)
        except MMLGDError as error:
            ends.append(str(error))
        else:
            ends.append('done')
    return ends


@pytest.mark.slow
def test_all_ranks_decide_as_the_one_that_is_bad(tmp_path):
    for ends in run_on_two_ranks(_train_on_two, tmp_path, str(tmp_path)):
        for found, (_, end, _) in zip(ends, ON_ONE_RANK):
            assert end in found
    for faults, _, names in ON_ONE_RANK:
        assert saved(tmp_path / f'{len(faults)}') == names


def test_ruined_parameters_are_not_saved(tmp_path):
    class Ruined(Steady):
        def train_step(self, data, optim_wrapper):
            if self.steps == 3:
                self.weight.data.fill_(INF)
                self.steps += 1
                return dict(loss=torch.tensor(1.0))
            return super().train_step(data, optim_wrapper)

    with pytest.raises(CheckpointError, match='weight weight is not.*iter_2.pth'):
        run(tmp_path, Ruined(), interval=2)
    assert saved(tmp_path) == ['iter_2.pth']


def test_infinite_buffer_is_saved(tmp_path):
    model = Steady(ballast=2)
    model.ballast.fill_(-INF)
    run(tmp_path, model, interval=8)
    assert (tmp_path / 'iter_8.pth').exists()


def test_a_buffer_with_nan_is_not_saved(tmp_path):
    # As running statistics of BatchNorm after one bad batch.
    model = Steady(ballast=2)
    model.ballast[1] = NAN
    with pytest.raises(CheckpointError, match='weight ballast is not finite'):
        run(tmp_path, model, interval=8)


def runner_at(iteration):
    return SimpleNamespace(
        iter=iteration,
        max_iters=100,
        work_dir='nowhere',
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.5])),
    )


def test_every_loss_is_checked():
    hook = NonFiniteLossHook(patience=1, interval=1)
    hook.after_train_iter(runner_at(0), 0, outputs=dict(loss=0.0, accuracy=NAN))
    hook.after_train_iter(runner_at(1), 0, outputs=None)
    outputs = dict(loss_textual=1.0, loss_visual=torch.tensor(NAN), accuracy=NAN)
    with pytest.raises(MMLGDError, match='loss_textual 1, loss_visual nan; '):
        hook.after_train_iter(runner_at(2), 0, outputs=outputs)


def test_nothing_is_read_between_two_checks():
    hook = NonFiniteLossHook(patience=3, interval=5)
    bad, good = dict(loss=torch.tensor(NAN)), dict(loss=torch.tensor(1.0))
    with device_reads() as found:
        # A streak that has ended before the check still counts.
        for iteration, outputs in enumerate([bad, bad, bad, good]):
            hook.after_train_iter(runner_at(iteration), 0, outputs=outputs)
    assert found == []
    with pytest.raises(MMLGDError, match='3 steps in a row.*iteration 3'):
        hook.after_train_iter(runner_at(4), 0, outputs=good)


def test_later_hooks_find_tensors():
    outputs = dict(loss=torch.tensor(2.0, dtype=torch.float64), loss_a=0.5)
    NonFiniteLossHook().after_train_iter(runner_at(0), 0, outputs=outputs)
    # As expected by mmdet's CheckInvalidLossHook.
    assert torch.isfinite(outputs['loss']) and outputs['loss'].item() == 2
    assert outputs['loss_a'] == 0.5


@pytest.mark.parametrize('option', ['patience', 'interval'])
def test_options_below_one_are_refused(option):
    with pytest.raises(ConfigError, match=f'NonFiniteLossHook.{option}'):
        NonFiniteLossHook(**{option: 0})
