"""Which library has which backbone, under what name and with what arguments."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .layers import places
from .naming import (
    STAGES,
    Namer,
    mmdet_mobilenet_v2,
    mmseg_mobilenet_v2,
    timm_namer,
    torchvision_blocks,
    torchvision_mobilenet_v2,
)
from .options import arguments_of, changed_options, check_only, refuse

FORMATS = ('mmpretrain', 'mmdet', 'mmseg', 'torchvision', 'timm')

#: Options that the model of mmdet or mmseg understands just as mmpretrain's does.
_SHARED = {
    'ResNet': (
        *('depth', 'style', 'strides', 'dilations', 'norm_cfg', 'conv_cfg'),
        *('base_channels', 'stem_channels'),
    ),
    'MobileNetV2': ('widen_factor', 'norm_cfg', 'act_cfg', 'conv_cfg'),
    'EfficientNet': ('arch', 'norm_cfg', 'act_cfg', 'conv_cfg'),
}
_FAMILIES = ('ResNet', 'MobileNetV2', 'MobileNetV3', 'EfficientNet')
_RESNET_DEPTHS = (18, 34, 50, 101, 152)
_NAMERS = {
    ('mmdet', 'MobileNetV2'): mmdet_mobilenet_v2,
    ('mmseg', 'MobileNetV2'): mmseg_mobilenet_v2,
}


@dataclass(frozen=True)
class Target:
    """A model of another library that gives the same features.

    Attributes:
        library (str): One of :data:`FORMATS`.
        model (str): The type in a config, or the name that the library builds by.
        arguments (dict): What it must be built with; all else is its default.
        prefix (str): Of its keys in the file.
    """

    library: str
    model: str
    arguments: dict = field(default_factory=dict)
    prefix: str = ''
    _name: Namer | None = field(default=None, repr=False)

    def rename(self, keys: Iterable[str]) -> dict[str, str]:
        """Names of a backbone's keys in the target.

        Args:
            keys (Iterable[str]): Of mmpretrain's model, in its order, no prefix.

        Returns:
            dict[str, str]: Old to new name. A key that the target has no layer for
            is left out.
        """
        if self._name is None:
            return {key: self.prefix + key for key in keys}
        names = {key: self._name(place) for key, place in places(keys).items()}
        return {key: self.prefix + name for key, name in names.items() if name}


def find_target(backbone: dict, library: str) -> Target:
    """Find the model of a library that computes what an mmpretrain backbone does.

    Args:
        backbone (dict): Its config.
        library (str): One of :data:`FORMATS`.

    Raises:
        ConfigError: The library has no such model, or none that gives equal
            features; the message says why.
    """
    if library == 'mmpretrain':
        # The same library: any backbone, unchanged.
        return Target(library, backbone['type'], arguments_of(backbone), 'backbone.')
    scope, _, name = backbone['type'].rpartition('.')
    if scope not in ('', 'mmpretrain') or name not in _FAMILIES:
        refuse(name, library, f'only {", ".join(_FAMILIES)} of mmpretrain can be')
    options = changed_options(backbone)
    if library in ('mmdet', 'mmseg'):
        return _openmmlab(name, library, options)
    return _other(name, library, options)


def _openmmlab(name: str, library: str, options: dict) -> Target:
    if (name, library) == ('MobileNetV3', 'mmseg'):
        refuse(
            name,
            library,
            'its own MobileNetV3 is another network: it pads the first convolution '
            'unevenly and dilates the last stages instead of striding',
        )
    if (name, library) in (('MobileNetV3', 'mmdet'), ('EfficientNet', 'mmseg')):
        refuse(name, library, 'it has no such backbone')
    check_only(name, library, options, _SHARED[name])
    namer = _NAMERS.get((library, name))
    return Target(library, f'{library}.{name}', options, _name=namer)


def _other(name: str, library: str, options: dict) -> Target:
    norm = options.pop('norm_cfg')
    if norm['type'] not in ('BN', 'BN2d', 'SyncBN'):
        refuse(name, library, f'its norm layer {norm["type"]} has no equal there')
    eps = norm.get('eps', 1e-5)
    namer = None
    if name == 'ResNet':
        check_only(name, library, options, ('depth',))
        model, native_eps = f'resnet{options["depth"]}', 1e-5
        if options['depth'] not in _RESNET_DEPTHS:
            refuse(f'{name}-{options["depth"]}', library, 'it has no such depth')
    elif name == 'MobileNetV2':
        check_only(name, library, options, ())
        model = dict(torchvision='mobilenet_v2', timm='mobilenetv2_100')[library]
        native_eps, namer = 1e-5, torchvision_mobilenet_v2
        if library == 'timm':
            namer = timm_namer(STAGES[name], last_is_block=False)
    elif name == 'MobileNetV3':
        model, native_eps, namer = _mobilenet_v3(library, options)
    else:
        model, native_eps, namer = _efficientnet(library, options)
    arguments = {}
    if eps != native_eps and library == 'timm':
        arguments = dict(bn_eps=eps)
    elif eps != native_eps:
        arguments = dict(
            norm_layer=f'functools.partial(torch.nn.BatchNorm2d, eps={eps})'
        )
    return Target(library, model, arguments, _name=namer)


def _mobilenet_v3(library: str, options: dict) -> tuple:
    check_only('MobileNetV3', library, options, ('arch',))
    arch = options['arch']
    if arch not in ('small', 'large'):
        refuse(f'MobileNetV3 {arch}', library, 'only small and large are known there')
    if library == 'torchvision':
        return f'mobilenet_v3_{arch}', 1e-3, torchvision_blocks(None)
    namer = timm_namer(STAGES[f'MobileNetV3-{arch}'], last_is_block=True)
    return f'mobilenetv3_{arch}_100', 1e-5, namer


def _efficientnet(library: str, options: dict) -> tuple:
    check_only('EfficientNet', library, options, ('arch', 'conv_cfg'))
    stages = STAGES.get(f'EfficientNet-{options["arch"]}')
    if stages is None:
        refuse(f'EfficientNet {options["arch"]}', library, 'only b0 to b4 are known')
    # What mmpretrain calls adaptive is TensorFlow's SAME: uneven for stride 2.
    uneven = (options['conv_cfg'] or {}).get('type') == 'Conv2dAdaptivePadding'
    if library == 'torchvision':
        if uneven:
            refuse(
                'EfficientNet',
                library,
                "torchvision's pads evenly, and this one as TensorFlow does, so the "
                'features would differ; it fits timm, or must be trained with '
                'backbone.conv_cfg=None',
            )
        return f'efficientnet_{options["arch"]}', 1e-5, torchvision_blocks(stages)
    namer = timm_namer(stages, last_is_block=False)
    prefix = 'tf_' if uneven else ''
    return f'{prefix}efficientnet_{options["arch"]}', 1e-3 if uneven else 1e-5, namer
