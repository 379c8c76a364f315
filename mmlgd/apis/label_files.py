"""Names and scores of images, in a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import torch

from mmlgd.errors import ConfigError
from mmlgd.utils.atomic import replace_file
from mmlgd.utils.checks import check_count

Best = list[tuple[str, float]]


def best_names(scores: torch.Tensor, names: Sequence[str], topk: int) -> Best:
    """The best names of an image, with their scores, best first.

    Args:
        scores (torch.Tensor): (C,).
        names (Sequence[str]): The C names.
        topk (int): Number of names, 1 to C.

    Raises:
        ConfigError: ``topk`` is out of range.
    """
    if check_count('topk', topk, 1) > len(names):
        raise ConfigError(f'topk is {topk}, but there are only {len(names)} names.')
    found = scores.topk(topk)
    return [
        (names[index], score)
        for index, score in zip(found.indices.tolist(), found.values.tolist())
    ]


def write_labels(path: str | Path, rows: Sequence[tuple[str, Best]]) -> None:
    """Write a line per image: its path, then names and scores.

    Args:
        path (str | Path): CSV file.
        rows (Sequence): Paths with the result of :func:`best_names`.

    Raises:
        OSError: The file cannot be written.
    """
    count = max((len(best) for _, best in rows), default=1)
    numbers = range(1, count + 1) if count > 1 else ['']
    head = [f'{field}{number}' for number in numbers for field in ('name', 'score')]
    with replace_file(path) as part, open_text(part) as file:
        writer = csv.writer(file)
        writer.writerow(['image', *head])
        for image, best in rows:
            cells = [cell for name, score in best for cell in (name, f'{score:.6f}')]
            writer.writerow([image, *cells])


def open_text(path: Path) -> TextIO:
    """Open a CSV file to write; file names that are not UTF-8 keep their bytes."""
    return path.open('w', newline='', encoding='utf-8', errors='surrogateescape')
