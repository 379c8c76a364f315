"""Resumes a training under the config that is given, and says what it changes."""

import warnings
from copy import deepcopy

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, ReduceOnPlateauParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmlgd.engine.training_record import (
    compare_groups,
    compare_records,
    compare_schedulers,
    group_options,
    training_record,
)
from mmlgd.errors import ConfigError
from mmlgd.registry import HOOKS


@HOOKS.register_module()
class ResumeHook(Hook):
    """Compares a resumed run with the one that wrote the checkpoint.

    mmengine takes learning rate and schedule from the checkpoint, whatever the config
    says. With this hook the config is in force: where its optimizer options or
    schedulers differ from the checkpoint's, the schedulers are built again and stepped
    to the resumed iteration, so that the learning rate is what the new schedule has
    there. Each difference is logged as a warning. Where nothing differs, nothing is
    touched.

    Checkpoints get a record of the training as plain data, ``meta['training']``.
    """

    # Before the hooks that read the learning rate.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._wanted: list[dict] | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write the record."""
        checkpoint['meta']['training'] = training_record(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, before mmengine takes anything from the checkpoint.

        Raises:
            ConfigError: The run cannot be resumed under this config.
            CheckpointError: The optimizer's state is of other parameters.
        """
        if not runner.cfg.get('resume') or not isinstance(
            runner.optim_wrapper, OptimWrapper
        ):
            return
        around = compare_records(checkpoint['meta'], training_record(runner))
        fresh = [group_options(group) for group in runner.optim_wrapper.param_groups]
        stepped = [
            *compare_groups(checkpoint, fresh),
            *compare_schedulers(checkpoint, runner.param_schedulers),
        ]
        _count_in_new_epochs(runner, checkpoint['meta'])
        if around or stepped:
            runner.logger.warning(
                'The resumed run differs from the one that wrote the checkpoint: '
                f'{"; ".join((*around, *stepped))}. The new values are in force from '
                'here on.'
            )
        if stepped:
            _check_can_be_stepped(runner.param_schedulers)
            self._wanted = fresh
            checkpoint.pop('param_schedulers', None)

    def before_train(self, runner: Runner) -> None:
        """Put the config's options and schedule in force, where they changed."""
        if self._wanted is None:
            return
        groups = runner.optim_wrapper.param_groups
        for group, wanted in zip(groups, self._wanted):
            for key in [key for key in group if key.startswith('initial_')]:
                del group[key]
            group.update(wanted)
        if runner.cfg.get('param_scheduler') is not None:
            runner.param_schedulers = runner.build_param_scheduler(
                deepcopy(runner.cfg.param_scheduler)
            )
            _step_to_now(runner)
        self._wanted = None


def _check_can_be_stepped(schedulers: list | None) -> None:
    if any(
        isinstance(each, ReduceOnPlateauParamScheduler) for each in schedulers or []
    ):
        raise ConfigError(
            '--resume: a schedule that follows a metric (ReduceOnPlateau) cannot be '
            'changed, nor its learning rate, since the metrics of the past are not '
            'stored; keep param_scheduler and optim_wrapper.'
        )


def _count_in_new_epochs(runner: Runner, meta: dict) -> None:
    """Count the iterations done in epochs of the new length, where that changed."""
    before = meta.get('training')
    if not before or not before['by_epoch'] or not before['max_epochs']:
        return
    old_length = before['max_iters'] // before['max_epochs']
    new_length = len(runner.train_dataloader)
    if old_length != new_length:
        meta['iter'] = meta['epoch'] * new_length


def _step_to_now(runner: Runner) -> None:
    """Step fresh schedulers as often as the iterations and epochs done would have."""
    by_iter = [each for each in runner.param_schedulers if not each.by_epoch]
    by_epoch = [each for each in runner.param_schedulers if each.by_epoch]
    is_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
    length = len(runner.train_dataloader)
    with warnings.catch_warnings():
        # Of steps before the optimizer's first: it has made them in the past.
        warnings.simplefilter('ignore')
        for done in range(1, runner.iter + 1):
            for scheduler in by_iter:
                scheduler.step()
            if is_epochs and done % length == 0:
                for scheduler in by_epoch:
                    scheduler.step()
