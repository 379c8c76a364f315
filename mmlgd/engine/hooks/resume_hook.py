"""Resumes a training under the config that is given, and says what it changes."""

import warnings
from copy import deepcopy
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, ReduceOnPlateauParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import HOOKS
from mmlgd.utils.config_types import class_name

#: State of a scheduler that changes while it runs, and base values, which are the
#: optimizer's options.
_PROGRESS = {
    'base_values',
    'best',
    'cooldown_counter',
    'last_step',
    'num_bad_epochs',
    'verbose',
    '_global_step',
    '_last_value',
}
#: Of a dataset's description, which may list many images.
_MAX_TEXT = 2000
#: What a resumed run may not change, with the reason.
_FIXED = {
    'by_epoch': 'epochs and iterations count differently',
    'optimizer': "another optimizer cannot use this one's state",
}


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
        around = _compare_records(checkpoint['meta'], training_record(runner))
        fresh = [_options(group) for group in runner.optim_wrapper.param_groups]
        stepped = [
            *_compare_groups(_stored_groups(checkpoint), fresh),
            *_compare_schedulers(
                checkpoint.get('param_schedulers'), runner.param_schedulers
            ),
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


def training_record(runner: Runner) -> dict[str, Any]:
    """What a training does, as plain data."""
    loader, loop, cfg = runner.train_dataloader, runner.train_loop, runner.cfg
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    schedule = cfg.get('param_scheduler') or []
    plain = [each.to_dict() for each in _as_list(schedule) if hasattr(each, 'to_dict')]
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    return dict(
        by_epoch=isinstance(loop, EpochBasedTrainLoop),
        max_epochs=runner.max_epochs,
        max_iters=runner.max_iters,
        optimizer=type(optimizer).__name__,
        lr=float(optimizer.defaults['lr']) if optimizer is not None else None,
        schedule=_as_text(plain),
        batch_size=loader.batch_size,
        ranks=get_world_size(),
        images=len(loader.dataset),
        dataset=_describe(dataset)[:_MAX_TEXT],
    )


def _describe(dataset: Any) -> str:
    """A dataset's config on one line: wrappers and options, without transforms."""
    if not isinstance(dataset, dict):
        return type(dataset).__name__
    options = [
        f'{key}={value}'
        for key, value in sorted(dataset.items())
        if key not in ('type', 'pipeline', 'dataset', 'datasets')
    ]
    inner = (
        [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets', ())
    )
    options += [_describe(each) for each in inner]
    return f'{class_name(dataset.get("type", ""))}({", ".join(options)})'


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _as_text(value: Any) -> Any:
    """Leave plain values as they are, and write others as text."""
    if isinstance(value, dict):
        return {str(key): _as_text(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text(each) for each in value]
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else str(value)


def _compare_records(meta: dict, now: dict) -> list[str]:
    before = meta.get('training', {})
    changed = {
        key: (before[key], value)
        for key, value in now.items()
        if key in before and before[key] != value
    }
    for key, reason in _FIXED.items():
        if key in changed:
            raise ConfigError(
                f'--resume: {key} was {changed[key][0]} in the checkpoint and is '
                f'{changed[key][1]} in the config; {reason}. Keep it, or start a new run '
                'from the weights with --cfg-options load_from=....'
            )
    # The exact differences of these are those of the states.
    shown = {key for key in changed if key not in ('lr', 'schedule')}
    if now['by_epoch']:
        shown.discard('max_iters')
    return [f'{k} {changed[k][0]} -> {changed[k][1]}' for k in now if k in shown]


def _stored_groups(checkpoint: dict) -> list[dict]:
    state = checkpoint['optimizer']
    base = state.get('base_param_settings')
    groups = [*state['param_groups'], *([base] if base is not None else [])]
    return [_options(group) for group in groups]


def _options(group: dict) -> dict:
    """Options of a parameter group as they were before any schedule."""
    options = {key: value for key, value in group.items() if key != 'params'}
    for key in [key for key in options if key.startswith('initial_')]:
        options[key.removeprefix('initial_')] = options.pop(key)
    return options


def _compare_groups(before: list[dict], now: list[dict]) -> list[str]:
    if len(before) != len(now):
        raise CheckpointError(
            f"--resume: the checkpoint's optimizer has {len(before)} parameter groups, "
            f"the config's {len(now)}; keep model and optim_wrapper.paramwise_cfg."
        )
    found: dict[str, None] = {}
    for old, new in zip(before, now):
        for key in new:
            if key in old and old[key] != new[key]:
                found[f'optimizer.{key} {old[key]} -> {new[key]}'] = None
    return [*list(found)[:4], *(['...'] if found and len(found) > 4 else [])]


def _compare_schedulers(before: list[dict] | None, now: list | None) -> list[str]:
    before, now = before or [], now or []
    if len(before) != len(now):
        return [f'{len(before)} parameter schedulers -> {len(now)}']
    found = []
    for index, (old, scheduler) in enumerate(zip(before, now)):
        name, new = type(scheduler).__name__, scheduler.state_dict()
        keys = (old.keys() | new.keys()) - _PROGRESS
        if old.keys() - new.keys() - _PROGRESS and new.keys() - old.keys() - _PROGRESS:
            found.append(f'param_scheduler.{index} is now a {name}')
            continue
        found += [
            f'{name}.{key} {old[key]} -> {new[key]}'
            for key in sorted(keys & old.keys() & new.keys())
            if old[key] != new[key]
        ]
    return found


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
