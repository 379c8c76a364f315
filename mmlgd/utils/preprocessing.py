"""Normalisation of images, in a checkpoint and in a data preprocessor."""

from typing import NamedTuple

from torch import nn

from mmlgd.errors import ConfigError

#: Tolerance of a mean or std, in units of 0 to 255: configs round to two or three
#: decimals.
TOLERANCE = 0.01

#: Options of the libraries for the conversion from BGR (mmcv) to RGB in a config, ...
_CHANNEL_OPTIONS = ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb')
#: ... and the attributes of a data preprocessor; only mmpretrain's has the first.
_CHANNEL_ATTRIBUTES = ('to_rgb', '_channel_conversion')


class Preprocessing(NamedTuple):
    """Normalisation of images read by mmcv.

    Attributes:
        mean (tuple[float, ...]): Three channel means, 0 to 255, in RGB order with
            ``to_rgb``, otherwise in BGR order.
        std (tuple[float, ...]): Three standard deviations, in the same order.
        to_rgb (bool): Whether the channels are first converted from BGR to RGB.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool

    @classmethod
    def from_module(cls, module: nn.Module) -> 'Preprocessing | None':
        """The normalisation of a data preprocessor; None if it does not normalise."""
        if getattr(module, 'mean', None) is None:
            return None
        mean, std = _floats(module.mean.flatten()), _floats(module.std.flatten())
        return cls(mean, std, bool(getattr(module, _channel_attribute(module))))

    def to_meta(self) -> dict:
        """The entries for a checkpoint's ``meta``."""
        return dict(
            image_mean=list(self.mean), image_std=list(self.std), to_rgb=self.to_rgb
        )

    def equals(self, other: 'Preprocessing | None') -> bool:
        """Whether both are equal up to :data:`TOLERANCE`."""
        if other is None or self.to_rgb != other.to_rgb:
            return False
        mine, theirs = self.mean + self.std, other.mean + other.std
        return len(mine) == len(theirs) and all(
            abs(a - b) <= TOLERANCE for a, b in zip(mine, theirs)
        )

    def apply_to(self, module: nn.Module) -> None:
        """Set the normalisation of a data preprocessor, in place.

        Raises:
            ConfigError: The data preprocessor does not normalise three channels.
        """
        if getattr(module, 'mean', None) is None or module.mean.numel() != 3:
            raise ConfigError(
                f'The data preprocessor {type(module).__name__} does not normalise '
                'three channels, so its mean and std cannot be changed; set them in the '
                'config.'
            )
        for buffer, values in ((module.mean, self.mean), (module.std, self.std)):
            buffer.copy_(buffer.new_tensor(values).view_as(buffer))
        setattr(module, _channel_attribute(module), self.to_rgb)

    def write_to(self, config: dict, module: nn.Module) -> None:
        """Write the normalisation into the config of a data preprocessor, in place.

        Args:
            config (dict): Config of the data preprocessor.
            module (nn.Module): The data preprocessor that was built from it.
        """
        for name in _CHANNEL_OPTIONS:
            config.pop(name, None)
        option = 'to_rgb' if hasattr(module, 'to_rgb') else 'bgr_to_rgb'
        config.update(mean=list(self.mean), std=list(self.std), **{option: self.to_rgb})

    def __str__(self) -> str:
        mean, std = (
            '[' + ', '.join(f'{value:.2f}' for value in row) + ']'
            for row in (self.mean, self.std)
        )
        return f'mean {mean}, std {std}, {"RGB" if self.to_rgb else "BGR"}'


def _floats(values) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _channel_attribute(module: nn.Module) -> str:
    for name in _CHANNEL_ATTRIBUTES:
        if hasattr(module, name):
            return name
    raise ConfigError(
        f'The channel order of {type(module).__name__} is unknown; set '
        "preprocessing='ignore' for BackboneLoadCheckHook and compare by hand."
    )
