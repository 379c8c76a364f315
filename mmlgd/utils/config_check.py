"""Check for misspelt types and options in a config, before anything is built."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    TestLoop,
    ValLoop,
)
from torch.utils.data import DataLoader

from mmlgd.errors import ConfigError

from .config_fields import runner_fields
from .signatures import options_of
from .suggest import suggest

#: Registry of the types directly under a key. Only under these keys is a type that no
#: registry contains an error.
_REGISTRIES = {
    'batch_sampler': 'DATA_SAMPLERS',
    'collate_fn': 'FUNCTIONS',
    'custom_hooks': 'HOOKS',
    'dataset': 'DATASETS',
    'datasets': 'DATASETS',
    'default_hooks': 'HOOKS',
    'model': 'MODELS',
    'model_wrapper_cfg': 'MODEL_WRAPPERS',
    'optim_wrapper': 'OPTIM_WRAPPERS',
    'optimizer': 'OPTIMIZERS',
    'param_scheduler': 'PARAM_SCHEDULERS',
    'pipeline': 'TRANSFORMS',
    'target': 'MODELS',
    'teacher': 'MODELS',
    'teachers': 'MODELS',
    'test_evaluator': 'METRICS',
    'val_evaluator': 'METRICS',
    'vis_backends': 'VISBACKENDS',
    'visualizer': 'VISUALIZERS',
}
#: Under other keys a type may belong to any of these.
_ALL = ('MODELS', 'TASK_UTILS', 'TRANSFORMS', 'DATA_SAMPLERS', 'WEIGHT_INITIALIZERS')
#: Options of the builder of an object, not of its class.
_BUILDER_OPTIONS = {
    'HOOKS': {'priority'},
    'OPTIM_WRAPPERS': {'optimizer', 'paramwise_cfg', 'constructor'},
    'PARAM_SCHEDULERS': {'convert_to_iter_based', 'epoch_length'},
    'WEIGHT_INITIALIZERS': {'override', 'name'},
}
_COMMON_OPTIONS = {'type', '_scope_', '_delete_'}
#: Fields read by functions whose options differ from those of the type's class.
_SKIPPED = ('norm_cfg', 'act_cfg', 'conv_cfg', 'upsample_cfg', 'worker_init_fn')
#: Fields without a type, and the only keys that are read in them.
_PLAIN_FIELDS = {
    'auto_scale_lr': ('base_batch_size', 'enable'),
    'env_cfg': (
        *('cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'),
        'start_up_timeout',
    ),
    'env_cfg.mp_cfg': ('mp_start_method', 'opencv_num_threads'),
    'randomness': ('deterministic', 'diff_rank_seed', 'seed'),
}
#: Options that the Runner removes from a data loader's config before it builds it.
_LOADER_OPTIONS = {'num_batch_per_epoch', 'disable_subprocess_warning'}
_MAX_SHOWN = 5


def check_config(
    cfg: Config, fields: Collection[str] | None = None, scope: str = 'mmengine'
) -> None:
    """Check that types are registered and that their classes accept the options.

    Types are looked up and signatures are read; nothing is built. If a class passes its
    options on, any option is accepted.

    Args:
        cfg (Config): Full config.
        fields (Collection[str], optional): Top-level fields to check. Defaults to all
            that a Runner builds objects from.
        scope (str): Scope of types if the config has no ``default_scope``. Defaults to
            'mmengine', as for a Runner.

    Raises:
        ConfigError: A type or an option is unknown. The message gives the place, the
            option and the class, and the closest valid name.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', scope)):
        fields = _built_fields() if fields is None else fields
        found = [
            problem
            for key in cfg
            if key in fields
            for problem in (*_untyped(key, cfg[key]), *_walk(cfg[key], (key,)))
        ]
    if found:
        more = f' And {len(found) - _MAX_SHOWN} more.' if found[_MAX_SHOWN:] else ''
        raise ConfigError(' '.join(found[:_MAX_SHOWN]) + more)


def _built_fields() -> set[str]:
    loaders = {f'{mode}_dataloader' for mode in ('train', 'val', 'test')}
    loops = {f'{mode}_cfg' for mode in ('train', 'val', 'test')}
    named = loaders | loops | set(_REGISTRIES) | {'log_processor', *_PLAIN_FIELDS}
    return named & runner_fields()


def _untyped(field: str, value: Any) -> Iterator[str]:
    """Problems of a field without a type whose class is known."""
    if field == 'default_hooks':
        yield from _hooks_without_type(value or {})
    if field in _PLAIN_FIELDS:
        yield from _unread(field, value)
    if not isinstance(value, dict) or 'type' in value:
        return
    classes = {
        'train_cfg': EpochBasedTrainLoop
        if value.get('by_epoch', True)
        else IterBasedTrainLoop,
        'val_cfg': ValLoop,
        'test_cfg': TestLoop,
        'log_processor': LogProcessor,
    }
    if field in classes:
        yield from _unknown(value, classes[field], field, {'by_epoch'})
    elif field.endswith('_dataloader'):
        yield from _unknown(value, DataLoader, field, _LOADER_OPTIONS)
    elif field == 'optim_wrapper' and 'constructor' not in value:
        wrapper = roots.OPTIM_WRAPPERS.get('OptimWrapper')
        yield from _unknown(value, wrapper, field, _BUILDER_OPTIONS['OPTIM_WRAPPERS'])


def _unread(field: str, value: object) -> Iterator[str]:
    known = _PLAIN_FIELDS[field]
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key not in known:
            yield (
                f'{field}.{key}: nothing reads {key!r}.'
                f'{suggest(str(key), known) or _list(list(known))}'
            )
        elif f'{field}.{key}' in _PLAIN_FIELDS:
            yield from _unread(f'{field}.{key}', inner)


def _hooks_without_type(hooks: dict) -> Iterator[str]:
    for name, hook in hooks.items():
        if isinstance(hook, dict) and 'type' not in hook:
            others = [key for key in hooks if key != name]
            yield (
                f'default_hooks.{name} has no type, and no hook of this name was set '
                f'before.{suggest(name, others)}'
            )


def _walk(node: object, path: tuple[str | int, ...]) -> Iterator[str]:
    """Problems of a part of a config and of all its children."""
    names = [part for part in path if isinstance(part, str)]
    if names[-1] in _SKIPPED:
        return
    if isinstance(node, dict):
        scope = node.get('_scope_')
        with DefaultScope.overwrite_default_scope(scope):
            if 'type' in node:
                yield from _check(node, path, names)
            for key, inner in node.items():
                yield from _walk(inner, (*path, key))
    elif isinstance(node, (list, tuple)):
        for index, inner in enumerate(node):
            yield from _walk(inner, (*path, index))


def _check(node: dict, path: tuple, names: list[str]) -> Iterator[str]:
    place = '.'.join(str(part) for part in path)
    kind = _kind(names)
    if callable(node['type']):
        yield from _unknown(
            node, node['type'], place, set().union(*_BUILDER_OPTIONS.values())
        )
        return
    if not isinstance(node['type'], str):
        return
    problems: list[str] = []
    for each in (kind, *(other for other in _ALL if other != kind)):
        target = _find(each, node['type']) if each else None
        if each is None or target is None:
            continue
        extra = _BUILDER_OPTIONS.get(each, set())
        # Several registries may contain the same name.
        unknown = list(_unknown(node, target, place, extra))
        if not unknown:
            return
        problems = problems or unknown
    if problems:
        yield from problems
    elif kind is not None:
        yield (
            f'{place}.type {node["type"]!r} is not registered among {kind}.'
            f'{suggest(node["type"], _registered(kind, node["type"]))}'
        )


def _kind(names: list[str]) -> str | None:
    """Name of the registry of a typed dict, determined by the keys of its path."""
    last = names[-1]
    if names[0] == 'default_hooks' and len(names) == 2:
        return 'HOOKS'
    if last == 'sampler' and names[0].endswith('_dataloader') and len(names) == 2:
        return 'DATA_SAMPLERS'
    if last == 'transforms' and any(name.endswith('pipeline') for name in names):
        return 'TRANSFORMS'
    if last in ('train_cfg', 'val_cfg', 'test_cfg') and len(names) == 1:
        return 'LOOPS'
    return _REGISTRIES.get(last)


def _find(kind: str, name: str) -> Callable | None:
    root: Registry = getattr(roots, kind)
    if kind == 'MODEL_WRAPPERS':  # the Runner searches the root registry
        return root.get(name)
    with root.switch_scope_and_registry(None) as registry:
        found = registry.get(name)
    if found is None and kind == 'METRICS':
        return roots.EVALUATOR.get(name)
    return found


def _registered(kind: str, name: str) -> list[str]:
    """Candidates for ``name``, with its scope if it has one."""
    prefix, dot, _ = name.rpartition('.')
    root: Registry = getattr(roots, kind)
    with root.switch_scope_and_registry(prefix or None) as registry:
        own = [f'{prefix}{dot}{each}' for each in registry.module_dict]
    return [*own, *root.module_dict]


def _unknown(
    node: dict, target: Callable, place: str, extra: set[str]
) -> Iterator[str]:
    options = options_of(target)
    if options is None:
        return
    for key in node:
        if key not in options | extra | _COMMON_OPTIONS:
            name = target.__name__
            accepted = sorted(options - {'args', 'kwargs'})
            yield (
                f'{place}.{key}: {name} has no option {key!r}.'
                f'{suggest(str(key), accepted) or _list(accepted)}'
            )


def _list(names: list[str]) -> str:
    return f' It accepts {", ".join(names[:12])}{", ..." if names[12:] else ""}.'
