"""Settings of a set of scenes, except for the items."""

from dataclasses import dataclass

from mmlgd.errors import ConfigError

_MIN_SIZE = 32


@dataclass(frozen=True)
class SceneSettings:
    """Counts, size and seed of the scenes.

    Attributes:
        num_train (int): Number of training scenes, composed of training items only.
        num_val (int): Number of validation scenes, composed of test items only.
        size (int): Height and width in pixels; items have 0.175 to 0.6 of this size.
        seed (int): Not negative. Scene ``i`` depends on seed, size and ``i`` only.
    """

    num_train: int = 400
    num_val: int = 100
    size: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        lowest = dict(num_train=1, num_val=1, size=_MIN_SIZE, seed=0)
        for name, low in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise ConfigError(
                    f'{name} of the scenes must be a whole number of at least {low}, '
                    f'but is {value!r}.'
                )
