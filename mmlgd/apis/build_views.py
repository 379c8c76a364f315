"""The teacher's embeddings of stored views."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import default_collate
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Dataset, Sampler

from mmlgd.datasets.view_store.drawing import draw_view
from mmlgd.datasets.view_store.plan import StorePlan
from mmlgd.datasets.view_store.rows import pixel_checksum
from mmlgd.datasets.view_store.shards import Shard
from mmlgd.datasets.view_store.writer import ShardWriter, written_rows
from mmlgd.errors import DataError

from .plan_views import ViewSource

#: Options of a config's data loader that a store has no use for.
_NOT_OURS = (
    *('dataset', 'sampler', 'batch_sampler', 'collate_fn', 'drop_last'),
    *('worker_init_fn', 'num_batch_per_epoch'),
)


class PlannedViews(Dataset):
    """The views of a store that is being written: ``view * N + row``.

    Args:
        dataset: The images, with their pipeline.
        plan: The store.
    """

    def __init__(self, dataset: Any, plan: StorePlan) -> None:
        self.dataset = dataset
        self.indices, self.seed = plan.indices, plan.manifest.seed

    def __getitem__(self, position: int) -> dict:
        """``inputs`` (3, H, W) and their checksum, ``pixels``."""
        view, row = divmod(position, len(self.indices))
        image = int(self.indices[row])
        inputs = draw_view(self.dataset, image, self.seed, view, row)['inputs']
        return dict(inputs=inputs, pixels=pixel_checksum(inputs))


class _RowOrder(Sampler[int]):
    """Positions of the rows that some shards still lack."""

    def __init__(self, plan: StorePlan, shards: Sequence[Shard]) -> None:
        images, row_bytes = len(plan.indices), plan.manifest.row_dtype.itemsize
        self.ranges = []
        for shard in shards:
            begin = shard.view * images + shard.first
            done = written_rows(plan.store, shard, row_bytes)
            self.ranges.append(range(begin + done, begin + shard.size))

    def __iter__(self) -> Iterator[int]:
        return (position for one in self.ranges for position in one)

    def __len__(self) -> int:
        return sum(map(len, self.ranges))


def embedded_views(
    plan: StorePlan, order: Iterable[int], source: ViewSource
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw views and embed them.

    Args:
        plan: The store.
        order: Positions, see :class:`PlannedViews`.
        source: Images and teacher.

    Yields:
        tuple[np.ndarray, np.ndarray]: For a batch, (B,) checksums of the pixels and
        (B, D) float32 unit rows.
    """
    options = {key: one for key, one in source.loader.items() if key not in _NOT_OURS}
    loader = DataLoader(
        PlannedViews(source.dataset, plan),
        sampler=order,
        collate_fn=default_collate,
        **options,
    )
    for batch in loader:
        yield batch['pixels'].numpy(), source.encode(batch).numpy()


def write_shards(plan: StorePlan, shards: Sequence[Shard], source: ViewSource) -> int:
    """Compute and write shards, from where an earlier run left each.

    Args:
        plan: The store.
        shards: From :meth:`StorePlan.share`.
        source: Images and teacher.

    Returns:
        int: Rows written.

    Raises:
        DataError: Another process writes the same shards.
    """
    order = _RowOrder(plan, shards)
    batches = embedded_views(plan, order, source)
    layout = plan.manifest.embedding_dtype, plan.manifest.embed_dims
    pixels, embeddings = np.empty(0), np.empty((0, 0))
    start = time.perf_counter()
    for number, (shard, rows) in enumerate(zip(shards, order.ranges), 1):
        with ShardWriter(plan.store, shard, *layout) as writer:
            if writer.missing != len(rows):
                raise DataError(
                    f'Another process has written {shard.part(plan.store)} meanwhile; '
                    'give each machine its own --part, and start this one again.'
                )
            while writer.missing:
                if not len(pixels):
                    pixels, embeddings = next(batches)
                count = min(writer.missing, len(pixels))
                writer.append(pixels[:count], embeddings[:count])
                pixels, embeddings = pixels[count:], embeddings[count:]
        seconds, start = time.perf_counter() - start, time.perf_counter()
        print_log(
            f'View {shard.view}, rows {shard.first} to {shard.first + shard.size}: '
            f'{len(rows) / seconds:.0f} images/s; {number} of {len(shards)} shards',
            logger='current',
        )
    return len(order)
