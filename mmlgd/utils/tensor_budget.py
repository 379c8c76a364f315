"""A limit on what a constructor may allocate."""

import math

from torch.utils._python_dispatch import TorchDispatchMode

# Many small tensors take time instead of memory.
_LEAST = 2**16


class TensorBudget(TorchDispatchMode):
    """Within it, no more than a number of elements is allocated, all tensors together.

    A config of ten words can ask for a model that no machine holds. torch has no limit of
    its own; ``TorchDispatchMode`` is what it offers to libraries that watch its calls,
    and has the same name in torch 2.1 to 2.11.

    Args:
        elements (int): Each new tensor counts as 65,536 at least.

    Raises:
        ValueError: The next tensor would be too much; it is not allocated.
    """

    def __init__(self, elements: int) -> None:
        super().__init__()
        self._elements = self._left = elements

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Count what is created of a size alone, such as ``torch.empty(2, 3)``."""
        size = _new_elements(args)
        if size is not None:
            self._left -= max(size, _LEAST)
            if self._left < 0:
                raise ValueError(
                    f'it is larger than {self._elements:,} elements, or has very many '
                    'parts'
                )
        return func(*args, **(kwargs or {}))


def _new_elements(args: tuple) -> int | None:
    first = args[0] if args else None
    if isinstance(first, (list, tuple)) and all(type(side) is int for side in first):
        return math.prod(first)
    is_number = isinstance(first, (int, float)) and math.isfinite(first)
    # Of arange and linspace, whose length is not far from their largest argument.
    return (
        int(max(each for each in args if type(each) in (int, float)))
        if is_number
        else None
    )
