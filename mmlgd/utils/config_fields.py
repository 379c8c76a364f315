"""Top-level fields of a config: those that are read, and unused ones."""

import difflib
import inspect
import logging
from collections.abc import Iterable, Iterator

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmlgd.errors import ConfigError

from .plain_config import name_of
from .suggest import suggest

#: Fields that mmengine reads in addition to the Runner's options, and those of the test
#: tools of mmdet and mmseg.
_ALSO_READ = (
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)
#: A variable at least this similar to a field is likely a misspelling of it.
_CLOSE = 0.9


def runner_fields() -> set[str]:
    """The top-level fields that a Runner reads."""
    options = set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}
    return options.union(_ALSO_READ)


def check_option_fields(cfg: Config, keys: Iterable[str], read: Iterable[str]) -> None:
    """Refuse command-line options that would have no effect.

    A config file may contain variables that only the file itself uses. They are not
    read after the file is loaded, so an option that changes one has no effect.

    Args:
        cfg (Config): The config before the options are merged.
        keys (Iterable[str]): Dotted keys of ``--cfg-options``.
        read (Iterable[str]): Fields that the tool reads in addition to the Runner's.

    Raises:
        ConfigError: Nothing reads the field. The message gives the closest field, or
            the fields with the variable's value.
    """
    known = runner_fields().union(read)
    for key in keys:
        field = key.split('.')[0]
        if field in known:
            continue
        if field not in cfg:
            raise ConfigError(
                f'--cfg-options {key}: nothing reads a field {field!r}.'
                f'{suggest(field, known)} '
                'The first part of a key is a top-level field of the config.'
            )
        places = list(_uses(cfg, field, known))
        instead = f'Change {" and ".join(places[:3])} instead.' if places else ''
        raise ConfigError(
            f'--cfg-options {key}: {field!r} is a variable of the config file; its value '
            'was copied when the file was read, so the option would have no effect. '
            f'{instead or "Change the field that it was used for."}'
        )


def warn_about_misspelt_fields(cfg: Config) -> None:
    """Warn about each variable of a config that looks like a misspelt field.

    Args:
        cfg (Config): Config as read from its file.
    """
    known = runner_fields()
    for field in cfg:
        if field in known:
            continue
        # A field that the config already sets is unlikely to be meant.
        close = difflib.get_close_matches(field, known, n=1, cutoff=_CLOSE)
        if close and cfg.get(close[0]) is None:
            print_log(
                f'The config sets {field!r}, which nothing reads. Did you mean '
                f'{close[0]!r}?',
                logger='current',
                level=logging.WARNING,
            )


def warn_about_compile(cfg: Config) -> None:
    """Warn about mmengine's ``compile``, which is slow under most schedules.

    Args:
        cfg (Config): Config of a training.
    """
    if cfg.get('compile'):
        print_log(
            f'compile={cfg.compile!r} compiles the whole training step including the '
            'optimizer, and recompiles it whenever the learning rate changes, which may '
            "take most of the time. Use custom_hooks=[..., dict(type='CompileHook')] "
            'instead, which compiles the backbone once.',
            logger='current',
            level=logging.WARNING,
        )


def check_sync_bn(cfg: Config) -> None:
    """Check that the Runner's ``sync_bn`` is not used with a backbone of timm.

    timm's norm layers contain the activation. torch's conversion silently replaces them
    by plain norms, which changes the network.

    Args:
        cfg (Config): Config of a training.

    Raises:
        ConfigError: It is used; the message says what to set instead.
    """
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    if cfg.get('sync_bn') and name_of(backbone).endswith('TIMMBackbone'):
        raise ConfigError(
            f'sync_bn={cfg.sync_bn!r} would remove the activations in norm layers of timm; '
            "omit it, and set model.backbone.type='mmlgd.TIMMBackbone' and "
            'model.backbone.sync_bn=True.'
        )


def _uses(cfg: Config, variable: str, known: set[str]) -> Iterator[str]:
    """Dotted keys of the fields that have the value of a variable."""
    value = cfg[variable]
    if isinstance(value, (dict, list, tuple)):
        for field in sorted(known.intersection(cfg.keys())):
            yield from _keys_with_value(cfg[field], value, field)


def _keys_with_value(node: object, value: object, path: str) -> Iterator[str]:
    if node == value:
        yield path
    elif isinstance(node, dict):
        for key, inner in node.items():
            yield from _keys_with_value(inner, value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, inner in enumerate(node):
            yield from _keys_with_value(inner, value, f'{path}.{index}')
