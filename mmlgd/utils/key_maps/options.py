"""Options of a backbone that another library may not have."""

import inspect
from collections.abc import Iterable

from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS

#: Options that change no feature of a trained backbone in eval mode.
_HARMLESS = frozenset(
    'type _scope_ out_indices frozen_stages norm_eval with_cp init_cfg drop_path_rate '
    'zero_init_residual'.split()
)


def arguments_of(backbone: dict) -> dict:
    """What a backbone is built with."""
    return {
        k: v for k, v in backbone.items() if k not in ('type', '_scope_', 'init_cfg')
    }


def changed_options(backbone: dict) -> dict:
    """Options that shape the features: those changed, and always a few.

    ``depth``, ``arch``, ``norm_cfg`` and EfficientNet's ``conv_cfg`` are named even
    as defaults, since the other libraries' defaults differ.
    """
    type_ = backbone['type']
    cls = MODELS.get(type_ if '.' in type_ else f'mmpretrain.{type_}')
    parameters = inspect.signature(cls.__init__).parameters
    defaults = {key: p.default for key, p in parameters.items()}
    changed = {
        key: value
        for key, value in arguments_of(backbone).items()
        if key not in _HARMLESS and _plain(value) != _plain(defaults.get(key))
    }
    always = ('depth', 'arch', 'norm_cfg')
    always += ('conv_cfg',) if cls.__name__ == 'EfficientNet' else ()
    named = {key: defaults[key] for key in always if key in defaults}
    return {**named, **changed}


def _plain(value: object) -> object:
    """Configs write as lists what signatures write as tuples."""
    return tuple(value) if isinstance(value, list) else value


def check_only(name: str, library: str, options: dict, known: Iterable[str]) -> None:
    """Refuse options that the target cannot be told."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        listed = ', '.join(f'{key}={options[key]!r}' for key in unknown)
        refuse(name, library, f'the option {listed} has no equal there')


def refuse(name: str, library: str, reason: str) -> None:
    """Raise the error that names the pair, the reason and another way."""
    advice = (
        f' In {library}, use mmpretrain.{name.split(" ")[0]} with the checkpoint as it is.'
        if library in ('mmdet', 'mmseg')
        else ''
    )
    raise ConfigError(f'{name} cannot be exported to {library}: {reason}.{advice}')
