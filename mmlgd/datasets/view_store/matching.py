"""Which row of a store each image of a data set has, and whether it is unchanged."""

from collections.abc import Sized
from pathlib import Path

import numpy as np

from mmlgd.datasets.image_list import list_image
from mmlgd.errors import DataError

from .image_keys import content_hash, find_keys, survey
from .image_table import ImageTable

#: Images of which not only the size but the content is compared.
HASHED_SAMPLE = 64


def find_rows(table: ImageTable, dataset: Sized, store: Path) -> np.ndarray:
    """Rows of a data set's images, after a look at whether they are the same.

    Sizes of all files are compared, and the content of a sample.

    Args:
        table: Of the store.
        dataset: The images.
        store: For messages.

    Returns:
        np.ndarray: (N,) int64, -1 where the store does not know the image.

    Raises:
        DataError: A file is not there, or another than the teacher saw.
    """
    keys, sizes = survey(dataset)
    if np.array_equal(keys, table.keys):
        # Also where some images are there twice: each keeps its own row.
        rows = np.arange(len(keys))
    else:
        rows = find_keys(keys, table.keys)
    known = np.flatnonzero(rows >= 0)
    for index in known[sizes[known] != table.sizes[rows[known]]][:1]:
        row, size = rows[index], sizes[index]
        then = f'{table.sizes[row]} bytes then'
        found = f'it has {size} bytes, {then}' if size >= 0 else f'no file, {then}'
        raise _changed(table, row, store, found)
    step = max(1, len(known) // HASHED_SAMPLE)
    for index in known[::step]:
        check_content(table, dataset, int(index), int(rows[index]), store)
    return rows


def check_content(
    table: ImageTable, dataset: Sized, index: int, row: int, store: Path
) -> None:
    """Compare size and hash of one image.

    Args:
        table: Of the store.
        dataset: The images.
        index: Of the image in the data set.
        row: Its row in the store.
        store: For the message.

    Raises:
        DataError: The content differs.
    """
    size, digest = content_hash(list_image(dataset, index).source)
    if digest != bytes(table.hashes[row]):
        raise _changed(
            table,
            row,
            store,
            f'its content differs ({size} bytes, {table.sizes[row]} then)',
        )


def _changed(table: ImageTable, row: int, store: Path, reason: str) -> DataError:
    return DataError(
        f'The image {table.name(row)} is not what the teacher of the store {store} saw: '
        f'{reason}. Put the old file back, or build a store of these images.'
    )
