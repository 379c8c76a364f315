"""A resumed run follows the given config and reports the changes."""

import math
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmlgd.engine.hooks import ResumeHook
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import DATASETS, MODELS
from tests.tiny_runner import OneWeight

WARM = 3


@DATASETS.register_module(force=True)
class EightNumbers(Dataset):
    """Eight images of one pixel."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        return dict(inputs=torch.tensor(float(index)))


@MODELS.register_module(force=True)
class ResumedWeight(OneWeight):
    """Known to a config."""


class LearningRates(Hook):
    """Records the learning rate of each iteration."""

    def __init__(self) -> None:
        self.lrs = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.lrs[runner.iter] = runner.optim_wrapper.get_lr()['lr'][0]


def schedule(total: int, by_epoch: bool, epoch_length: int) -> list[dict]:
    """Linear warm-up over WARM iterations, then a cosine to 0 at ``total``."""
    linear = dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=WARM)
    cosine = dict(type='CosineAnnealingLR', by_epoch=False, begin=WARM, end=total)
    if by_epoch:
        cosine.update(by_epoch=True, convert_to_iter_based=True, begin=1)
        cosine.update(end=total // epoch_length, T_max=total // epoch_length - 1)
        linear.update(end=epoch_length)
    else:
        cosine.update(T_max=total - WARM)
    return [linear, cosine]


def formula(iteration: int, lr: float, total: int, warm: int) -> float:
    """The rate of the same schedule in closed form."""
    if iteration < warm - 1:
        return lr * (0.1 + 0.9 * iteration / (warm - 1))
    done = max(iteration - warm, 0) / (total - warm)
    return lr * 0.5 * (1 + math.cos(math.pi * done))


def run(work_dir, length, by_epoch=True, resume=None, lr=0.1, batch=2, **changes):
    """Train; ``length`` is in iterations, four of which are an epoch."""
    kind = dict(by_epoch=True, max_epochs=length * batch // 8)
    if not by_epoch:
        kind = dict(by_epoch=False, max_iters=length)
    sampler = dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler')
    cfg = Config(
        dict(
            work_dir=str(work_dir),
            model=dict(type='ResumedWeight'),
            train_dataloader=dict(
                dataset=dict(type='EightNumbers'), batch_size=batch, sampler=sampler
            ),
            train_cfg=kind,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9)),
            param_scheduler=schedule(length, by_epoch, 8 // batch),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=by_epoch)
            ),
            default_scope='mmlgd',
            experiment_name=uuid.uuid4().hex,
            randomness=dict(seed=5),
            resume=resume is not None,
            load_from=None if resume is None else str(resume),
            **changes,
        )
    )
    runner = Runner.from_cfg(cfg)
    watch = LearningRates()
    runner.register_hook(watch)
    runner.register_hook(ResumeHook())
    runner.train()
    return watch.lrs, runner


@pytest.fixture(params=['epochs', 'iterations'])
def first(request, tmp_path):
    """A whole run of 16 iterations, and a checkpoint of its half."""
    by_epoch = request.param == 'epochs'
    lrs, _ = run(tmp_path / 'first', 16, by_epoch)
    name = 'epoch_2.pth' if by_epoch else 'iter_8.pth'
    return by_epoch, lrs, tmp_path / 'first' / name


def test_an_unchanged_config_resumes_exactly(first, tmp_path, capsys):
    by_epoch, whole, checkpoint = first
    lrs, runner = run(tmp_path / 'second', 16, by_epoch, checkpoint)
    assert lrs == {number: whole[number] for number in range(8, 16)}
    assert 'differs' not in capsys.readouterr().out
    record = torch.load(checkpoint, weights_only=False)['meta']['training']
    assert record['images'] == 8
    assert (record['batch_size'], record['ranks']) == (2, 1)
    assert (record['optimizer'], record['lr']) == ('SGD', 0.1)


@pytest.mark.parametrize(('lr', 'length'), [(0.4, 16), (0.1, 32), (0.4, 12)])
def test_the_new_schedule_is_in_force_from_the_resumed_step(
    first, tmp_path, capsys, lr, length
):
    by_epoch, _, checkpoint = first
    lrs, _ = run(tmp_path / 'second', length, by_epoch, checkpoint, lr)
    warm = 4 if by_epoch else WARM
    assert list(lrs) == list(range(8, length))
    for number, found in lrs.items():
        assert found == pytest.approx(formula(number, lr, length, warm)), number
    # As if the run had followed the new schedule from the start.
    fresh, _ = run(tmp_path / 'fresh', length, by_epoch, lr=lr)
    assert lrs == {number: fresh[number] for number in range(8, length)}
    out = capsys.readouterr().out
    assert ('optimizer.lr 0.1 -> 0.4' in out) == (lr == 0.4)
    assert ('CosineAnnealingLR.T_max' in out) == (length != 16)


def test_another_batch_size_counts_in_epochs(tmp_path, capsys):
    run(tmp_path / 'first', 16)
    checkpoint = tmp_path / 'first' / 'epoch_2.pth'
    lrs, runner = run(tmp_path / 'second', 8, resume=checkpoint, batch=4)
    assert list(lrs) == [4, 5, 6, 7]  # epochs 2 and 3 of two iterations each
    fresh, _ = run(tmp_path / 'fresh', 8, batch=4)
    assert lrs == {number: fresh[number] for number in range(4, 8)}
    assert 'batch_size 2 -> 4' in capsys.readouterr().out


def test_another_optimizer_or_loop_is_refused(first, tmp_path):
    by_epoch, _, checkpoint = first
    with pytest.raises(ConfigError, match='by_epoch was'):
        run(tmp_path / 'second', 16, not by_epoch, checkpoint)
    state = torch.load(checkpoint, weights_only=False)
    state['meta']['training']['optimizer'] = 'AdamW'
    torch.save(state, tmp_path / 'adam.pth')
    with pytest.raises(ConfigError, match='optimizer was AdamW .* is SGD'):
        run(tmp_path / 'third', 16, by_epoch, tmp_path / 'adam.pth')


def test_a_checkpoint_without_schedule_or_record_gets_the_configs(first, tmp_path):
    by_epoch, whole, checkpoint = first
    state = torch.load(checkpoint, weights_only=False)
    del state['param_schedulers'], state['meta']['training']
    torch.save(state, tmp_path / 'bare.pth')
    lrs, _ = run(tmp_path / 'second', 16, by_epoch, tmp_path / 'bare.pth')
    assert lrs == {number: whole[number] for number in range(8, 16)}


def test_another_number_of_groups_is_refused(first, tmp_path):
    by_epoch, _, checkpoint = first
    state = torch.load(checkpoint, weights_only=False)
    state['optimizer']['param_groups'] *= 2
    torch.save(state, tmp_path / 'groups.pth')
    with pytest.raises(CheckpointError, match='parameter groups'):
        run(tmp_path / 'second', 16, by_epoch, tmp_path / 'groups.pth')
