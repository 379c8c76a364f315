"""Export to backbones of mmdet."""

from mmlgd.export.key_names import ParsedKey, refuse
from mmlgd.export.library import (
    LibraryFormat,
    Target,
    family_of,
    shared_options_target,
)
from mmlgd.export.model import ExportModel

#: Options with the same meaning in mmpretrain and in the other library.
SHARED = {
    'ResNet': (
        *('depth', 'style', 'strides', 'dilations', 'norm_cfg', 'conv_cfg'),
        *('base_channels', 'stem_channels'),
    ),
    'MobileNetV2': ('widen_factor', 'norm_cfg', 'act_cfg', 'conv_cfg'),
    'EfficientNet': ('arch', 'norm_cfg', 'act_cfg', 'conv_cfg'),
}
# Names of mmdet's convolutions.
_CONVS = dict(expand='expand_conv', depthwise='depthwise_conv', project='linear_conv')


class MMDetFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for mmdet's own class"
    library = 'mmdet'

    def target(self, model: ExportModel) -> Target:
        family = family_of(model, 'mmdet')
        if family == 'MobileNetV3':
            refuse(family, 'mmdet', 'it has no MobileNetV3')
        last = dict(MobileNetV2=7, EfficientNet=6).get(family)
        return shared_options_target(
            model,
            'mmdet',
            SHARED,
            namer=_mobilenet_v2 if family == 'MobileNetV2' else None,
            check={} if last is None else dict(out_indices=(last,)),
        )


def _mobilenet_v2(key: ParsedKey) -> str:
    if key.role in ('stem', 'last'):
        return key.name
    block = key.name.partition('.conv.')[0]
    return f'{block}.{_CONVS[key.role]}.{key.kind}.{key.leaf}'


FORMAT = MMDetFormat
