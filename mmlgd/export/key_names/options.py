"""Options of a backbone that another library may not have."""

import inspect
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from mmlgd.errors import ConfigError

from .layers import STAGES

_VARIANTS = dict(
    ResNet=(18, 34, 50, 101, 152),
    MobileNetV3=('small', 'large'),
    EfficientNet=('b0', 'b1', 'b2', 'b3', 'b4'),
)

#: Options that change no feature of a trained backbone in eval mode.
_HARMLESS = frozenset(
    'out_indices frozen_stages norm_eval with_cp drop_path_rate zero_init_residual'.split()
)


def arguments_of(backbone: dict) -> dict:
    """What a backbone is built with, by its config."""
    return {
        k: v for k, v in backbone.items() if k not in ('type', '_scope_', 'init_cfg')
    }


def changed_options(backbone: dict, cls: type) -> dict:
    """Options that shape the features: those changed, and always a few.

    ``depth``, ``arch``, ``norm_cfg`` and EfficientNet's ``conv_cfg`` are named even
    as defaults, since the other libraries' defaults differ.

    Args:
        backbone (dict): Its config.
        cls (type): Its class.
    """
    parameters = inspect.signature(cls).parameters
    defaults = {key: p.default for key, p in parameters.items()}
    changed = {
        key: value
        for key, value in arguments_of(backbone).items()
        if key not in _HARMLESS and _plain(value) != _plain(defaults.get(key))
    }
    always: tuple[str, ...] = ('depth', 'arch', 'norm_cfg')
    always += ('conv_cfg',) if cls.__name__ == 'EfficientNet' else ()
    named = {key: defaults[key] for key in always if key in defaults}
    return {**named, **changed}


def _plain(value: object) -> object:
    """Configs write as lists what signatures write as tuples."""
    return tuple(value) if isinstance(value, list) else value


def check_only(name: str, library: str, options: dict, known: Iterable[str]) -> None:
    """Refuse options that the other library's model does not have.

    Raises:
        ConfigError: One of ``options`` is not among ``known``.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        listed = ', '.join(f'{key}={options[key]!r}' for key in unknown)
        refuse(name, library, f'the option {listed} has no equal there')


class PublishedModel(NamedTuple):
    """Options in which the published models of a family differ.

    Attributes:
        variant (object): The depth of a ResNet, 'small' or 'large', 'b0' to 'b4'; None
            where there is one only.
        eps (float): Of the BatchNorms.
        stages (tuple[int, ...] | None): Blocks in each stage; None for a ResNet.
        pads_unevenly (bool): As TensorFlow does, where the stride is 2.
    """

    variant: object
    eps: float
    stages: tuple[int, ...] | None
    pads_unevenly: bool


def published_model(backbone: dict, cls: type, library: str) -> PublishedModel:
    """Find which published model a backbone is, as torchvision and timm have them.

    Args:
        backbone (dict): Its config.
        cls (type): Its class, one of the four families.
        library (str): For messages.

    Raises:
        ConfigError: It is none of them.
    """
    name, options = cls.__name__, changed_options(backbone, cls)
    norm = options.pop('norm_cfg')
    if norm['type'] not in ('BN', 'BN2d', 'SyncBN'):
        refuse(name, library, f'its norm layer {norm["type"]} has no equal there')
    uneven = False
    if name == 'EfficientNet':
        # What mmpretrain calls adaptive is TensorFlow's SAME: uneven for stride 2.
        conv = (options.pop('conv_cfg') or {}).get('type', 'Conv2d')
        uneven = conv == 'Conv2dAdaptivePadding'
        if not uneven and conv != 'Conv2d':
            refuse(name, library, f'its convolution {conv} has no equal there')
    variants = _VARIANTS.get(name)
    option = 'depth' if name == 'ResNet' else 'arch'
    check_only(name, library, options, (option,) if variants else ())
    variant = options.get(option)
    if variants and variant not in variants:
        known = ', '.join(map(str, variants))
        refuse(f'{name} {variant}', library, f'only {known} are known there')
    stages = STAGES.get(f'{name}-{variant}' if variants else name)
    return PublishedModel(variant, norm.get('eps', 1e-5), stages, uneven)


def refuse(name: str, library: str, reason: str) -> NoReturn:
    """Raise the error that names the pair, the reason and another way.

    Raises:
        ConfigError: Always.
    """
    advice = (
        f' In {library}, use mmpretrain.{name.split(" ")[0]} with the checkpoint as it is.'
        if library in ('mmdet', 'mmseg')
        else ''
    )
    raise ConfigError(f'{name} cannot be exported to {library}: {reason}.{advice}')
