"""Embeddings in files: ``.npy``, ``.csv`` and ``.parquet``."""

import csv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mmlgd.errors import ConfigError, DependencyError
from mmlgd.utils.atomic import check_output_file, replace_file, write_atomically
from mmlgd.utils.printable import printable

from .label_files import open_text

_SUFFIXES = ('.npy', '.csv', '.parquet')


def check_embedding_file(path: str | Path) -> None:
    """Check that embeddings can be written to a file, before they are computed.

    Raises:
        ConfigError: The suffix is another one, or the file cannot be written.
        DependencyError: The package for this format is missing.
    """
    check_output_file(path, suffixes=_SUFFIXES)
    if Path(path).suffix == '.parquet' and find_spec('pyarrow') is None:
        raise DependencyError(
            f'{path} needs pyarrow: pip install pyarrow. Or write a .npy or .csv file.'
        )


def write_embeddings(
    path: str | Path, images: Sequence[str], rows: np.ndarray
) -> list[Path]:
    """Write embeddings with the paths of their images.

    Args:
        path (str | Path): ``.npy``: the rows, with the paths in a ``.txt`` file of the
            same stem, one per line; ``.csv``: a line per image, its path first;
            ``.parquet``: columns ``image`` and ``embedding``.
        images (Sequence[str]): N paths.
        rows (np.ndarray): (N, D) float32.

    Returns:
        list[Path]: The files.

    Raises:
        ConfigError: The numbers of paths and rows differ.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if len(images) != len(rows):
        raise ConfigError(f'There are {len(images)} images, but {len(rows)} rows.')
    written = [path]
    with replace_file(path) as part:
        if path.suffix == '.npy':
            with part.open('wb') as file:
                np.save(file, rows)
        elif path.suffix == '.csv':
            with open_text(part) as file:
                writer = csv.writer(file)
                writer.writerow(['image', *range(rows.shape[1])])
                writer.writerows([name, *row] for name, row in zip(images, rows))
        else:
            _write_parquet(part, images, rows)
    if path.suffix == '.npy':
        written.append(path.with_suffix('.txt'))
        text = ''.join(f'{name}\n' for name in images)
        write_atomically(written[1], text.encode('utf-8', 'surrogateescape'))
    return written


def _write_parquet(path: Path, images: Sequence[str], rows: np.ndarray) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = dict(image=[printable(name) for name in images], embedding=list(rows))
    parquet.write_table(pyarrow.table(columns), path)
