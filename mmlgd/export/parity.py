"""Comparison of the outputs of an exported file with those of the student."""

import math
from collections.abc import Callable, Iterable

import torch
from torch.nn.functional import cosine_similarity

from mmlgd.errors import CheckpointError
from mmlgd.utils.printable import describe_error

#: Maps images (B, 3, H, W) to arrays or tensors.
Run = Callable[[torch.Tensor], Iterable]


def compare(
    expected: Run, found: Run, batches: Iterable[torch.Tensor], absolute: bool = False
) -> float:
    """Largest difference between two functions of images.

    Args:
        expected (Run): The student.
        found (Run): The exported model.
        batches (Iterable[torch.Tensor]): Images (B, 3, H, W).
        absolute (bool): Whether differences are absolute, as for probabilities, instead of
            relative to the largest value of each output. Defaults to False.

    Returns:
        float: Infinite if a value is not finite, or if the numbers or shapes of the
        outputs differ.

    Raises:
        CheckpointError: The exported model cannot be run.
    """
    worst = 0.0
    for images in batches:
        wanted = [torch.as_tensor(each) for each in expected(images)]
        try:
            got = [torch.as_tensor(each) for each in found(images)]
        except Exception as error:  # depends on the library or runtime
            raise CheckpointError(
                f'The exported model does not run on images of shape '
                f'{tuple(images.shape)} ({describe_error(error)}).'
            ) from error
        shapes = [[tuple(each.shape) for each in outputs] for outputs in (wanted, got)]
        if shapes[0] != shapes[1] or not wanted:
            return math.inf
        for one, other in zip(wanted, got):
            scale = 1.0 if absolute else one.abs().max().item() or 1.0
            difference = (one - other).abs().max().item() / scale
            worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst


def run_all(run: Run, images: torch.Tensor, batch: int = 16) -> list[torch.Tensor]:
    """Outputs for many images, each (N, ...) float32."""
    rows = [
        [torch.as_tensor(each).float() for each in run(part)]
        for part in images.split(batch)
    ]
    return [torch.cat(parts) for parts in zip(*rows)]


def cosines(one: list[torch.Tensor], other: list[torch.Tensor]) -> torch.Tensor:
    """Cosine of each image's outputs, the smallest of several: (N,).

    Args:
        one (list[torch.Tensor]): Outputs (N, ...) of :func:`run_all`.
        other (list[torch.Tensor]): The same of another model.
    """
    rows = [
        cosine_similarity(first.flatten(1).double(), second.flatten(1).double())
        for first, second in zip(one, other)
    ]
    return torch.stack(rows).amin(0)
