"""Scalars of several steps that stay on their device until they are read."""

from collections.abc import Mapping

import torch
from torch import Tensor


class PendingScalars:
    """Collects scalars of training steps and copies them to the host in one transfer.

    Reading a GPU tensor makes the host wait for all preceding work. Here a step costs
    one small kernel, and the host waits once for many steps.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, dict[str, Tensor | float]]] = []
        self._rows: list[Tensor] = []

    def add(self, step: int, values: Mapping[str, Tensor | float]) -> None:
        """Keep the scalars of a step.

        Args:
            step: Number of the step, returned by :meth:`read`.
            values: Names to numbers, or to one-element tensors on any device, whose
                current values are kept as float32.
        """
        tensors = [each for each in values.values() if isinstance(each, Tensor)]
        if tensors:
            device = tensors[0].device
            row = [
                value.detach().reshape(()).to(device, torch.float32, non_blocking=True)
                for value in tensors
            ]
            self._rows.append(torch.stack(row))
        # None stands for a value in the row.
        numbers = {
            name: None if isinstance(value, Tensor) else float(value)
            for name, value in values.items()
        }
        self._steps.append((step, numbers))

    def read(self) -> list[tuple[int, dict[str, float]]]:
        """Return the kept scalars by step, oldest first, and clear them."""
        read = iter(torch.cat(self._rows).tolist() if self._rows else ())
        steps = [
            (
                step,
                {
                    name: next(read) if value is None else value
                    for name, value in numbers.items()
                },
            )
            for step, numbers in self._steps
        ]
        self._steps, self._rows = [], []
        return steps
