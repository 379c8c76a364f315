"""Where the rows of a store lie: one file for a run of rows of one view."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shard:
    """A run of rows of one view.

    A finished shard is never touched again: images that come later get shards of
    their own.

    Attributes:
        view (int): The view.
        first (int): Row of the store that it begins with.
        size (int): Rows it has when finished.
    """

    view: int
    first: int
    size: int

    def path(self, store: Path) -> Path:
        """The finished shard."""
        return store / 'views' / f'{self.view:03}' / f'{self.first:09}.bin'

    def part(self, store: Path) -> Path:
        """The shard while it is being written."""
        return self.path(store).with_suffix('.part')

    def facts(self, store: Path) -> Path:
        """Checksum and quality of the finished shard, as JSON."""
        return self.path(store).with_suffix('.json')


def list_shards(
    views: int, segments: Sequence[int], shard_size: int
) -> Iterator[Shard]:
    """All shards of a store, view by view.

    Args:
        views: K.
        segments: Numbers of images that were added together, oldest first.
        shard_size: Rows of a full shard.
    """
    starts = list(shard_starts(segments, shard_size))
    return (Shard(view, *start) for view in range(views) for start in starts)


def shard_starts(segments: Sequence[int], shard_size: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each shard of a view."""
    begin = 0
    for images in segments:
        end = begin + images
        for first in range(begin, end, shard_size):
            yield first, min(shard_size, end - first)
        begin = end
