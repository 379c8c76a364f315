"""How images are normalised, as a checkpoint carries it and as a model does it."""

from typing import NamedTuple

from torch import nn

from mmlgd.errors import ConfigError

#: Largest difference of a mean or std, in units of 0 to 255, that is no difference:
#: configs round to two or three decimals.
TOLERANCE = 0.01

#: How the libraries name the turn from BGR, as mmcv reads, to RGB, in a config ...
_CHANNEL_OPTIONS = ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb')
#: ... and in a built data preprocessor; mmpretrain's alone has the first.
_CHANNEL_ATTRIBUTES = ('to_rgb', '_channel_conversion')


class Preprocessing(NamedTuple):
    """Normalisation of images that mmcv has read.

    Attributes:
        mean (tuple[float, ...]): Three channel means, 0 to 255, in RGB order where
            ``to_rgb`` holds.
        std (tuple[float, ...]): Three standard deviations, likewise.
        to_rgb (bool): Whether the channels are turned from BGR to RGB first.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool

    @classmethod
    def from_module(cls, module: nn.Module) -> 'Preprocessing | None':
        """What a data preprocessor does; None where it does not normalise."""
        if getattr(module, 'mean', None) is None:
            return None
        mean, std = _floats(module.mean.flatten()), _floats(module.std.flatten())
        return cls(mean, std, bool(getattr(module, _channel_attribute(module))))

    def to_meta(self) -> dict:
        """The entries of a checkpoint's ``meta``."""
        return dict(
            image_mean=list(self.mean), image_std=list(self.std), to_rgb=self.to_rgb
        )

    def equals(self, other: 'Preprocessing | None') -> bool:
        """Whether both normalise alike, up to :data:`TOLERANCE`."""
        if other is None or self.to_rgb != other.to_rgb:
            return False
        mine, theirs = self.mean + self.std, other.mean + other.std
        return len(mine) == len(theirs) and all(
            abs(a - b) <= TOLERANCE for a, b in zip(mine, theirs)
        )

    def give_to(self, module: nn.Module) -> None:
        """Make a data preprocessor normalise like this, in place.

        Raises:
            ConfigError: It does not normalise three channels.
        """
        if getattr(module, 'mean', None) is None or module.mean.numel() != 3:
            raise ConfigError(
                f'The data preprocessor {type(module).__name__} does not normalise '
                'three channels, so it can take no mean and std; set its mean and std '
                'in the config.'
            )
        for buffer, values in ((module.mean, self.mean), (module.std, self.std)):
            buffer.copy_(buffer.new_tensor(values).view_as(buffer))
        setattr(module, _channel_attribute(module), self.to_rgb)

    def write_to(self, config: dict, module: nn.Module) -> None:
        """Write it into the config of a data preprocessor, in place.

        Args:
            config (dict): Changed.
            module (nn.Module): What was built from it.
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
        f'It is not known how {type(module).__name__} orders channels; set '
        "preprocessing='ignore' for BackboneLoadCheckHook and compare by hand."
    )
