"""Record of a training run, and its differences from that of a checkpoint."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils.config_types import class_name

#: State of a scheduler that changes while it runs; also the base values, which come
#: from the optimizer's options.
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
#: Options of an optimizer that choose how a step is computed, not its result.
STEP_OPTIONS = ('fused', 'foreach')
#: Maximum length of a dataset's description, which may list many images.
_MAX_TEXT = 2000
#: Entries that a resumed run must not change, with the reason.
_FIXED = {
    'by_epoch': 'epochs and iterations count differently',
    'optimizer': "another optimizer cannot use this one's state",
}


def training_record(runner: Runner) -> dict[str, Any]:
    """Record of a training run as plain data."""
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
    """A dataset's config in one line: wrappers and options, without transforms."""
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
    """Keep plain values and convert others to text."""
    if isinstance(value, dict):
        return {str(key): _as_text(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text(each) for each in value]
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else str(value)


def compare_records(meta: dict, now: dict) -> list[str]:
    """Differences between the record of a checkpoint and that of this run.

    Raises:
        ConfigError: An entry differs that a resumed run must keep.
    """
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
    # These are compared in detail by the states.
    shown = {key for key in changed if key not in ('lr', 'schedule')}
    if now['by_epoch']:
        shown.discard('max_iters')
    return [f'{k} {changed[k][0]} -> {changed[k][1]}' for k in now if k in shown]


def _stored_groups(checkpoint: dict) -> list[dict]:
    state = checkpoint['optimizer']
    base = state.get('base_param_settings')
    groups = [*state['param_groups'], *([base] if base is not None else [])]
    return [group_options(group) for group in groups]


def group_options(group: dict) -> dict:
    """Options of a parameter group that determine its steps, before any schedule."""
    ignored = ('params', *STEP_OPTIONS)
    options = {key: value for key, value in group.items() if key not in ignored}
    for key in [key for key in options if key.startswith('initial_')]:
        options[key.removeprefix('initial_')] = options.pop(key)
    return options


def compare_groups(checkpoint: dict, now: list[dict]) -> list[str]:
    """Differences in the options of the optimizer's parameter groups.

    Args:
        checkpoint (dict): Checkpoint with the state of the optimizer.
        now (list[dict]): :func:`group_options` of this run's groups.

    Raises:
        CheckpointError: The numbers of groups differ.
    """
    before = _stored_groups(checkpoint)
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


def compare_schedulers(checkpoint: dict, now: list | None) -> list[str]:
    """Differences between the schedulers of a checkpoint and those of this run."""
    before, now = checkpoint.get('param_schedulers') or [], now or []
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
