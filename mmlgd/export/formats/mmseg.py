"""Export to backbones of mmseg."""

from mmlgd.export.key_names import ParsedKey, refuse
from mmlgd.export.library import (
    LibraryFormat,
    Target,
    family_of,
    shared_options_target,
)
from mmlgd.export.model import ExportModel

from .mmdet import SHARED


class MMSegFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for mmseg's own class"
    library = 'mmseg'

    def target(self, model: ExportModel) -> Target:
        family = family_of(model, 'mmseg')
        if family == 'MobileNetV3':
            refuse(
                family,
                'mmseg',
                'the MobileNetV3 of mmseg is another network: it pads the first convolution '
                'unevenly, and dilates the last stages instead of striding',
            )
        if family == 'EfficientNet':
            refuse(family, 'mmseg', 'it has no EfficientNet')
        if family == 'MobileNetV2':
            kwargs = dict(namer=_without_last, last=6)
        else:
            kwargs = {}
        return shared_options_target(model, 'mmseg', SHARED, **kwargs)


def _without_last(key: ParsedKey) -> str | None:
    """Keys of mmseg's MobileNetV2: those of mmpretrain without the last convolution."""
    return None if key.role == 'last' else key.name


FORMAT = MMSegFormat
