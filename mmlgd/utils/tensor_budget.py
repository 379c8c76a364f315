"""A limit on the allocations of a constructor."""

import math

from torch.utils._python_dispatch import TorchDispatchMode

# Many small tensors cost time instead of memory.
_MIN_ELEMENTS = 2**16


class TensorBudget(TorchDispatchMode):
    """Context that limits the total number of elements of new tensors.

    A short config can request a model that fits on no machine. torch itself has no
    limit; ``TorchDispatchMode`` is its interface to intercept calls, and has the same
    name in torch 2.1 to 2.11.

    Args:
        elements (int): The limit. Each new tensor counts as at least 65,536.

    Raises:
        ValueError: The next tensor would exceed the limit; it is not allocated.
    """

    def __init__(self, elements: int) -> None:
        super().__init__()
        self._elements = self._left = elements

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count tensors that are created from a size, such as ``torch.empty(2, 3)``."""
        size = _new_elements(args)
        if size is not None:
            self._left -= max(size, _MIN_ELEMENTS)
            if self._left < 0:
                raise ValueError(
                    f'it has more than {self._elements:,} elements, or very many parts'
                )
        return func(*args, **(kwargs or {}))


def _new_elements(args: tuple) -> int | None:
    first = args[0] if args else None
    if isinstance(first, (list, tuple)) and all(type(side) is int for side in first):
        return math.prod(first)
    is_number = isinstance(first, (int, float)) and math.isfinite(first)
    # For arange and linspace, whose length is close to their largest argument.
    return (
        int(max(each for each in args if type(each) in (int, float)))
        if is_number
        else None
    )
