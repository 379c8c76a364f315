"""Writes tar shards."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmlgd.utils.atomic import replace_file

from .tar import BLOCK


def write_tar(
    path: str | Path, names: Sequence[str], contents: Sequence[bytes]
) -> np.ndarray:
    """Write a tar file, completely or not at all.

    The same members give the same bytes.

    Args:
        path: The file.
        names: Names of its members, of at most 100 ASCII characters.
        contents: Their contents.

    Returns:
        Offset (n,) int64 of each member's content in the file.

    Raises:
        OSError: The file cannot be written.
    """
    starts = np.empty(len(names), np.int64)
    with replace_file(path) as part, open(part, 'wb') as file:
        for number, (name, content) in enumerate(zip(names, contents, strict=True)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.write(member.tobuf(tarfile.USTAR_FORMAT))
            starts[number] = file.tell()
            file.write(content + bytes(-len(content) % BLOCK))
        file.write(bytes(2 * BLOCK))
    return starts
