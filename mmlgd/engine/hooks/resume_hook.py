"""Resuming with changed options, and a log of the changes."""

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

    mmengine restores learning rate and schedule from the checkpoint and ignores those of
    the config. With this hook the config is used: if its optimizer options or schedulers
    differ from the checkpoint's, the schedulers are built again and stepped to the
    resumed iteration, so that the learning rate follows the new schedule. Each
    difference is logged as a warning. Without differences, nothing is changed.

    A record of the training is saved as plain data in ``meta['training']``.
    """

    # Before the hooks that read the learning rate.
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._wanted: list[dict] | None = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write the record."""
        checkpoint['meta']['training'] = training_record(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the runs, before mmengine restores anything from the checkpoint.

        Raises:
            ConfigError: The run cannot be resumed with this config.
            CheckpointError: The optimizer's state belongs to other parameters.
        """
        if not runner.cfg.get('resume') or not isinstance(
            runner.optim_wrapper, OptimWrapper
        ):
            return
        changed = compare_records(checkpoint['meta'], training_record(runner))
        fresh = [group_options(group) for group in runner.optim_wrapper.param_groups]
        stepped = [
            *compare_groups(checkpoint, fresh),
            *compare_schedulers(checkpoint, runner.param_schedulers),
        ]
        _convert_iterations(runner, checkpoint['meta'])
        if changed or stepped:
            runner.logger.warning(
                'The resumed run differs from the one that wrote the checkpoint: '
                f'{"; ".join((*changed, *stepped))}. The new values are used from here '
                'on.'
            )
        if stepped:
            _check_can_be_stepped(runner.param_schedulers)
            self._wanted = fresh
            checkpoint.pop('param_schedulers', None)

    def before_train(self, runner: Runner) -> None:
        """Apply the options and the schedule of the config if they changed."""
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
            _step_to_current(runner)
        self._wanted = None


def _check_can_be_stepped(schedulers: list | None) -> None:
    if any(
        isinstance(each, ReduceOnPlateauParamScheduler) for each in schedulers or []
    ):
        raise ConfigError(
            '--resume: a schedule that follows a metric (ReduceOnPlateau) and its learning '
            'rate cannot be changed, since past metrics are not stored; keep '
            'param_scheduler and optim_wrapper.'
        )


def _convert_iterations(runner: Runner, meta: dict) -> None:
    """Convert the completed iterations to the new epoch length, if that changed."""
    before = meta.get('training')
    if not before or not before['by_epoch'] or not before['max_epochs']:
        return
    old_length = before['max_iters'] // before['max_epochs']
    new_length = len(runner.train_dataloader)
    if old_length != new_length:
        meta['iter'] = meta['epoch'] * new_length


def _step_to_current(runner: Runner) -> None:
    """Step new schedulers through the completed iterations and epochs."""
    by_iter = [each for each in runner.param_schedulers if not each.by_epoch]
    by_epoch = [each for each in runner.param_schedulers if each.by_epoch]
    is_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
    length = len(runner.train_dataloader)
    with warnings.catch_warnings():
        # torch warns of steps before the optimizer's first step in this process.
        warnings.simplefilter('ignore')
        for done in range(1, runner.iter + 1):
            for scheduler in by_iter:
                scheduler.step()
            if is_epochs and done % length == 0:
                for scheduler in by_epoch:
                    scheduler.step()
