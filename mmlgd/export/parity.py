"""Comparison of the outputs of an exported file with those of the student."""

import math
from collections.abc import Callable, Iterable

import torch

from mmlgd.errors import CheckpointError

#: Largest accepted difference.
TOLERANCE = 1e-4

#: Maps images (B, 3, H, W) to arrays or tensors.
Run = Callable[[torch.Tensor], Iterable]


def compare(
    expected: Run, found: Run, batches: Iterable[torch.Tensor], absolute: bool = False
) -> float:
    """Largest difference between two functions of images.

    Args:
        found (Run): The exported model.
        found (Run): What was exported.
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
            reason = ' '.join(str(error).split())[:400]
            raise CheckpointError(
                f'The exported model does not run on images of shape '
                f'{tuple(images.shape)} ({type(error).__name__}: {reason}).'
            ) from error
        shapes = [[tuple(each.shape) for each in outputs] for outputs in (wanted, got)]
        if shapes[0] != shapes[1] or not wanted:
            return math.inf
        for one, other in zip(wanted, got):
            scale = 1.0 if absolute else one.abs().max().item() or 1.0
            difference = (one - other).abs().max().item() / scale
            worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst
