"""mmdet's own backbones."""

from mmlgd.export.key_names import Place, refuse
from mmlgd.export.library import (
    LibraryFormat,
    Target,
    family_of,
    shared_options_target,
)
from mmlgd.export.model import ExportModel

#: Options that its model understands just as mmpretrain's does.
SHARED = {
    'ResNet': (
        *('depth', 'style', 'strides', 'dilations', 'norm_cfg', 'conv_cfg'),
        *('base_channels', 'stem_channels'),
    ),
    'MobileNetV2': ('widen_factor', 'norm_cfg', 'act_cfg', 'conv_cfg'),
    'EfficientNet': ('arch', 'norm_cfg', 'act_cfg', 'conv_cfg'),
}
# It names its convolutions by what they do.
_CONVS = dict(expand='expand_conv', depthwise='depthwise_conv', project='linear_conv')


class MMDetFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for mmdet's own class"
    library = 'mmdet'

    def target(self, model: ExportModel) -> Target:
        family = family_of(model, 'mmdet')
        if family == 'MobileNetV3':
            refuse(family, 'mmdet', 'it has no such backbone')
        last = dict(MobileNetV2=7, EfficientNet=6).get(family)
        return shared_options_target(
            model,
            'mmdet',
            SHARED,
            namer=_mobilenet_v2 if family == 'MobileNetV2' else None,
            check={} if last is None else dict(out_indices=(last,)),
        )


def _mobilenet_v2(place: Place) -> str:
    if place.role in ('stem', 'last'):
        return place.key
    block = place.key.partition('.conv.')[0]
    return f'{block}.{_CONVS[place.role]}.{place.kind}.{place.leaf}'


FORMAT = MMDetFormat
