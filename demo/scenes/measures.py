"""What a training of the transfer demo measured, in percent."""

import math
from collections.abc import Mapping
from pathlib import Path

from mmlgd.errors import MMLGDError

from .runs import METRICS


def percentages(task: str, logged: Mapping, folder: Path) -> dict[str, float]:
    """What a validation measured, in percent.

    Args:
        task (str): 'detection' or 'segmentation'.
        logged (Mapping): What :func:`~demo.scenes.runs.train` returns.
        folder (Path): Of the training, for the message.

    Returns:
        dict[str, float]: By the names of :data:`~demo.scenes.runs.METRICS`.

    Raises:
        MMLGDError: A metric is absent, as mmdet's are where nothing was detected, or
            has no value: -1 in COCO's counting, else nan.
    """
    found = {}
    for name, (key, title, factor) in METRICS[task].items():
        value = logged.get(key, math.nan)
        if not value >= 0:
            raise MMLGDError(
                f'the last validation in {folder} has no {title} ({key}: '
                f'{logged.get(key, "absent")}), as where nothing was detected or there '
                f'was nothing to detect; {folder / "output.txt"} tells. Train longer, or '
                'look at the learning rate.'
            )
        found[name] = factor * value
    return found
