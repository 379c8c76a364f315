"""Metrics of a training of the transfer demo, in percent."""

import math
from collections.abc import Mapping
from pathlib import Path

from mmlgd.errors import MMLGDError

from .runs import METRICS


def percentages(task: str, logged: Mapping, folder: Path) -> dict[str, float]:
    """Metrics of a validation, in percent.

    Args:
        task (str): 'detection' or 'segmentation'.
        logged (Mapping): Result of :func:`~demo.scenes.runs.train`.
        folder (Path): Work directory of the training, for the message.

    Returns:
        dict[str, float]: By the names of :data:`~demo.scenes.runs.METRICS`.

    Raises:
        MMLGDError: A metric is missing, as mmdet's are if nothing was detected, or has
            no value (-1 for COCO's metrics, otherwise NaN).
    """
    found = {}
    for name, (key, title, factor) in METRICS[task].items():
        value = logged.get(key, math.nan)
        if not value >= 0:
            raise MMLGDError(
                f'the last validation in {folder} has no {title} ({key}: '
                f'{logged.get(key, "missing")}), which happens if nothing was detected or '
                f'there was nothing to detect; see {folder / "output.txt"}. Train longer, or '
                'check the learning rate.'
            )
        found[name] = factor * value
    return found
