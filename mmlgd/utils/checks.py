"""Checks of numeric options, raised as :class:`~mmlgd.errors.ConfigError`."""

import math
from numbers import Integral, Real
from typing import Any

from mmlgd.errors import ConfigError


def check_in_range(
    name: str,
    value: Any,
    low: float,
    high: float,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Return ``value`` if it is a finite number in the interval.

    Args:
        name (str): Name of the option, for example ``LGD.alpha``.
        value (float): Its value.
        low (float): Lower end of the interval.
        high (float): Upper end of the interval; ``inf`` for none.
        low_open (bool): Whether ``low`` itself is excluded. Defaults to False.
        high_open (bool): Whether ``high`` itself is excluded. Defaults to False.

    Raises:
        ConfigError: ``value`` is not a number or lies outside the interval.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    above = is_number and (value > low if low_open else value >= low)
    below = is_number and (value < high if high_open else value <= high)
    if not (above and below and math.isfinite(value)):
        interval = f'{"(" if low_open else "["}{low}, {high}{")" if high_open else "]"}'
        raise ConfigError(
            f'{name} must be a number in {interval}, but is {value!r}; set it in the '
            'config.'
        )
    return value


def check_count(name: str, value: Any, low: int) -> int:
    """Return ``value`` if it is an integer of at least ``low``.

    Args:
        name (str): Name of the option, for example ``SEED.queue_size``.
        value (int): Its value.
        low (int): The smallest accepted value.

    Raises:
        ConfigError: ``value`` is not an integer, or is below ``low``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ConfigError(
            f'{name} must be a whole number of at least {low}, but is {value!r}.'
        )
    return int(value)
