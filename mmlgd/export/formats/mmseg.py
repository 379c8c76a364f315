"""mmseg's own backbones."""

from mmlgd.export.key_names import Place, refuse
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
                'its own MobileNetV3 is another network: it pads the first convolution '
                'unevenly and dilates the last stages instead of striding',
            )
        if family == 'EfficientNet':
            refuse(family, 'mmseg', 'it has no such backbone')
        if family == 'MobileNetV2':
            kwargs = dict(namer=_without_last, last=6)
        else:
            kwargs = {}
        return shared_options_target(model, 'mmseg', SHARED, **kwargs)


def _without_last(place: Place) -> str | None:
    """Its MobileNetV2 is mmpretrain's, without the last convolution."""
    return None if place.role == 'last' else place.key


FORMAT = MMSegFormat
