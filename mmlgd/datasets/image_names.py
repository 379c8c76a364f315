"""Paths of many images in little memory."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

#: Names that are decoded at once.
_CHUNK = 4096


class ImageNames(Sequence):
    """Names of images in two arrays: what mmengine takes for a list of data infos.

    A list of a million dicts takes 500 MB, and forked workers copy it as they read it.
    This takes the bytes of the names and 8 bytes per image, which all workers share.

    Args:
        prefix: What precedes each name in a path, with its slash.
        texts: (M,) uint8, the bytes of all names.
        ends: (N,) int64, where each name ends in ``texts``.
        images: Which names. Defaults to None: all.
    """

    def __init__(
        self,
        prefix: str,
        texts: np.ndarray,
        ends: np.ndarray,
        images: range | None = None,
    ) -> None:
        self.prefix, self.texts, self.ends = prefix, texts, ends
        self.images = range(len(ends)) if images is None else images

    @classmethod
    def pack(cls, prefix: str, names: Iterable[str]) -> 'ImageNames':
        """Pack names; those that are not UTF-8 keep their bytes."""
        encoded = [name.encode('utf-8', 'surrogateescape') for name in names]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(
            prefix, np.frombuffer(b''.join(encoded), np.uint8), np.cumsum(lengths)
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """The data info of an image, or for a slice the names of some."""
        if isinstance(index, slice):
            return ImageNames(self.prefix, self.texts, self.ends, self.images[index])
        return dict(img_path=self.prefix + self.name(index))

    def name(self, index: int) -> str:
        """Name ``index``, in [-N, N)."""
        place = self.images[index]
        start = int(self.ends[place - 1]) if place else 0
        return _decode(self.texts[start : int(self.ends[place])].tobytes())

    def paths(self) -> Iterator[str]:
        """All paths."""
        return (self.prefix + name for name in self.names())

    def names(self) -> Iterator[str]:
        """All names, several times faster than one by one."""
        if self.images.step != 1:
            yield from map(self.name, range(len(self)))
            return
        for first in range(self.images.start, self.images.stop, _CHUNK):
            last = min(first + _CHUNK, self.images.stop)
            start = int(self.ends[first - 1]) if first else 0
            yield from split_names(self.texts, start, self.ends[first:last])


def split_names(texts: np.ndarray, start: int, ends: np.ndarray) -> list[str]:
    """Names that follow each other in an array of bytes.

    Args:
        texts: (M,) uint8.
        start: Where the first name begins.
        ends: (N,), where each name ends.
    """
    stops = (ends - start).tolist()
    content = texts[start : start + stops[-1]].tobytes() if stops else b''
    return [
        _decode(content[begin:stop]) for begin, stop in zip([0, *stops[:-1]], stops)
    ]


def _decode(name: bytes) -> str:
    return name.decode('utf-8', 'surrogateescape')
