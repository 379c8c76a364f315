"""Options of a backbone that another library may not support."""

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

#: Options without influence on the features of a trained backbone in eval mode.
_HARMLESS = frozenset(
    'out_indices frozen_stages norm_eval with_cp drop_path_rate zero_init_residual'.split()
)


def arguments_of(backbone: dict) -> dict:
    """Constructor arguments in the config of a backbone."""
    return {
        k: v for k, v in backbone.items() if k not in ('type', '_scope_', 'init_cfg')
    }


def changed_options(backbone: dict, cls: type) -> dict:
    """Options that determine the features and are not the default.

    ``depth``, ``arch``, ``norm_cfg`` and EfficientNet's ``conv_cfg`` are always included,
    since their defaults differ between libraries.

    Args:
        backbone (dict): Config of the backbone.
        cls (type): Class of the backbone.
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
    """Convert lists of configs to the tuples of signatures."""
    return tuple(value) if isinstance(value, list) else value


def check_only(name: str, library: str, options: dict, known: Iterable[str]) -> None:
    """Refuse options that the model of the other library does not have.

    Raises:
        ConfigError: One of ``options`` is not among ``known``.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        listed = ', '.join(f'{key}={options[key]!r}' for key in unknown)
        refuse(name, library, f'the option {listed} has no equivalent there')


class PublishedModel(NamedTuple):
    """Options that distinguish the published models of a family.

    Attributes:
        variant (object): The depth of a ResNet, 'small' or 'large', 'b0' to 'b4'; None
            if the family has one model only.
        eps (float): Epsilon of the BatchNorms.
        stages (tuple[int, ...] | None): Blocks in each stage; None for a ResNet.
        pads_unevenly (bool): Whether convolutions of stride 2 pad as in TensorFlow.
    """

    variant: object
    eps: float
    stages: tuple[int, ...] | None
    pads_unevenly: bool


def published_model(backbone: dict, cls: type, library: str) -> PublishedModel:
    """Identify the published model, as in torchvision and timm, that a backbone is.

    Args:
        backbone (dict): Config of the backbone.
        cls (type): Class of the backbone, of one of the four families.
        library (str): Name of the library, for messages.

    Raises:
        ConfigError: It is not a published model.
    """
    name, options = cls.__name__, changed_options(backbone, cls)
    norm = options.pop('norm_cfg')
    if norm['type'] not in ('BN', 'BN2d', 'SyncBN'):
        refuse(name, library, f'its norm layer {norm["type"]} has no equivalent there')
    uneven = False
    if name == 'EfficientNet':
        # mmpretrain's adaptive padding is TensorFlow's SAME: uneven for stride 2.
        conv = (options.pop('conv_cfg') or {}).get('type', 'Conv2d')
        uneven = conv == 'Conv2dAdaptivePadding'
        if not uneven and conv != 'Conv2d':
            refuse(name, library, f'its convolution {conv} has no equivalent there')
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
    """Raise an error with the model, the library, the reason and advice.

    Raises:
        ConfigError: Always.
    """
    advice = (
        f' In {library}, use mmpretrain.{name.split(" ")[0]} with the checkpoint as it is.'
        if library in ('mmdet', 'mmseg')
        else ''
    )
    raise ConfigError(f'{name} cannot be exported to {library}: {reason}.{advice}')
