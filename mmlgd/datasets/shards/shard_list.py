"""What mmengine takes for a list of data infos, read from an index when needed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .index import Entry, ShardIndex


class ShardList(Sequence):
    """Data infos of consecutive images of an index.

    Args:
        source: The index.
        root: Folder or URL of the shards.
        images: Which images. Defaults to None: all.
    """

    def __init__(
        self, source: ShardIndex, root: str, images: range | None = None
    ) -> None:
        self.source, self.root = source, root
        self.images = range(len(source)) if images is None else images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ShardList(self.source, self.root, self.images[index])
        entry = self.source[self.images[index]]
        path = f'{self.root}/{entry.shard}/{entry.name}'
        return dict(img_path=path, entry=tuple(entry))

    def paths(self) -> Iterator[str]:
        """Paths of all these images."""
        if self.images.step != 1:
            return (self[place]['img_path'] for place in range(len(self)))
        names = self.source.names(self.images.start, self.images.stop)
        return (f'{self.root}/{shard}/{name}' for shard, name in names)

    def counts(self) -> list[int]:
        """Number of these images in each shard."""
        ends = np.cumsum(self.source.counts)
        inside = np.clip(ends, self.images.start, self.images.stop)
        return np.diff(inside, prepend=self.images.start).tolist()


def entry_of(info: dict) -> Entry:
    """Where the image of a data info is."""
    return Entry(*info['entry'])
