"""Views from a store that has their pixels, with the embeddings of their teacher."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from mmlgd.datasets.pipeline_description import (
    check_pipeline,
    compare_pipelines,
    describe_pipeline,
)
from mmlgd.datasets.seeded_views import split_index
from mmlgd.errors import ConfigError
from mmlgd.registry import DATASETS
from mmlgd.stores.dataset import ViewStore
from mmlgd.stores.shards import unpack_embeddings

from .files import PixelReader


@DATASETS.register_module()
class StoredPixels(Dataset):
    """The views of a store that was built with ``--pixels``; no image file is read.

    An item has ``inputs``, (3, H, W) uint8 BGR, and ``teacher_embeddings``, (D,) float32.
    Index ``view * N + i`` is view ``view`` of the store's image ``i``, as in
    :class:`~mmlgd.datasets.SeededViews`, and view K is the first again.

    Args:
        store: Folder that tools/build_stored_views.py wrote.
        dataset: Config of the images that the store is of. It is not built: only the
            options of its transforms are compared with those of the store. Defaults to
            None: nothing is compared.
        num_views: How many of the store's views to use. Defaults to None: all.

    Attributes:
        store (ViewStore): The store.
        store_path (str): Its folder.
        num_views (int): K.
        metainfo (dict): Empty, since there is no dataset of images.

    Raises:
        ConfigError: The store has no pixels, the transforms are not those of the store,
            or ``num_views`` is more than it has.
        DataError: The store is not whole, or damaged.
    """

    metainfo: dict = {}

    def __init__(
        self,
        store: str | Path,
        dataset: dict | None = None,
        num_views: int | None = None,
    ) -> None:
        self.store_path, self.store = str(store), ViewStore(store)
        self.num_views = self.store.usable_views('StoredPixels', num_views)
        codec = self.store.manifest.codec
        if codec is None:
            raise ConfigError(
                f'The store {store} has no pixels: set train_dataloader.dataset.type to '
                "'StoredViews', which draws its views again from the images, or build a "
                'store with tools/build_stored_views.py and --pixels.'
            )
        self._codec = codec
        self._size_here = None if dataset is None else self._check_transforms(dataset)
        self._pixels = {one.shard: PixelReader(one) for one in self.store.readers}
        for reader in self._pixels.values():
            # The end of each tar file, to find truncated ones early.
            reader.encoded(reader.rows.row(reader.rows.shard.size - 1))

    def __len__(self) -> int:
        """N, the number of images."""
        return self.store.num_images

    def split(self, index: int) -> tuple[int, int]:
        """(view, i) of an index, with view in [0, K) and i in [0, N)."""
        view, image = split_index(index, len(self))
        return view % self.num_views, image

    def __getitem__(self, index: int) -> dict:
        rows, place = self.store.locate(*self.split(index))
        row, pixels = rows.row(place), self._pixels[rows.shard]
        encoded = pixels.encoded(row)
        try:
            inputs = self._codec.decode(encoded)
        except ValueError as error:
            state = f'has a wrong view at byte {row["start"]}: {error}'
            raise pixels.fault(state) from error
        embedding = torch.from_numpy(unpack_embeddings(row))
        return dict(inputs=inputs, teacher_embeddings=embedding)

    def __iter__(self) -> Iterator[dict]:
        # Without it, Python would iterate forever: no index is out of range.
        return (self[index] for index in range(len(self)))

    def check_size(self, student_size: int | None) -> None:
        """Check that the stored pixels have the size that a config trains with.

        Args:
            student_size: Of the model; None if it takes images as they are.

        Raises:
            ConfigError: They have not.
        """
        stored = self._codec.height, self._codec.width
        option, wanted = 'the scale of its transforms', self._size_here
        if student_size is not None:
            option, wanted = 'model.student_size', (student_size, student_size)
        if wanted not in (None, stored):
            raise ConfigError(
                f'The store {self.store_path} has pixels of {_show(stored)}, but the config '
                f'trains with {_show(wanted)} ({option}). Change it, or build a store with '
                'this config.'
            )

    def _check_transforms(self, dataset: dict) -> tuple[int, int]:
        """(H, W) of the views of a config, whose other options must be the store's."""
        while 'pipeline' not in dataset and 'dataset' in dataset:
            dataset = dataset['dataset']
        transforms = dataset.get('pipeline')
        pipeline = None if transforms is None else Compose(transforms)
        here = describe_pipeline(SimpleNamespace(pipeline=pipeline))
        manifest = self.store.manifest
        check_pipeline(f'The store {self.store_path}', manifest.pipeline, here, True)
        _, height, width = manifest.input_shape
        for difference in compare_pipelines(manifest.pipeline, here):
            scale: Any = difference.here
            width, height = scale if isinstance(scale, list) else (scale, scale)
        return height, width


def _show(size: tuple[int, int] | None) -> str:
    return 'x'.join(map(str, size or ()))
