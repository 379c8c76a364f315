"""Augmented images together with the embeddings that a teacher once gave them."""

import logging
from collections.abc import Sized
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmlgd.datasets.image_list import list_image, show_name
from mmlgd.datasets.pipeline_description import check_pipeline, describe_pipeline
from mmlgd.datasets.seeded_views import SeededViews, draw_view
from mmlgd.datasets.shards.storage import LocalStorage
from mmlgd.errors import ConfigError, DataError
from mmlgd.pixels.comparison import (
    changed_pixels,
    check_is_drawn,
    other_libraries,
    pixel_checksum,
)
from mmlgd.registry import DATASETS

from .images import ImageTable
from .manifest import Manifest
from .shards import ShardReader, unpack_embeddings


class ViewStore:
    """A finished store of views, for reading within bounded memory.

    Args:
        path: Folder that tools/build_stored_views.py wrote.
        whole: Whether all shards must exist; else a missing one has None as reader.

    Attributes:
        path (Path): That folder.
        manifest (Manifest): What the store is of.
        num_views, num_images (int): K and N.
        readers (list[ShardReader]): Of all shards, view by view.

    Raises:
        DataError: There is no store, it is of an unknown version, or not whole.
    """

    def __init__(self, path: str | Path, whole: bool = True) -> None:
        self.path, self.manifest = Path(path), (manifest := Manifest.read(path))
        self.num_views, self.num_images = manifest.num_views, manifest.num_images
        if not self.num_views:
            raise DataError(
                f'The store {path} is not finished; run the tools/build_stored_views.py '
                'command that began it once more.'
            )
        self._firsts = np.array([run.first for run in manifest.image_shards()])
        storage, dtype = LocalStorage(str(path)), manifest.row_type
        self.readers: list[Any] = []
        for shard in manifest.view_shards():
            found = whole or shard.path(path).is_file()
            self.readers.append(ShardReader(storage, shard, dtype) if found else None)

    def usable_views(self, user: str, wanted: int | None) -> int:
        """Number of views that a dataset uses: all, or those wanted, else ConfigError."""
        if wanted is None or 1 <= wanted <= self.num_views:
            return wanted or self.num_views
        raise ConfigError(
            f'{user}.num_views is {wanted}, but the store {self.path} has '
            f'{self.num_views} (1 is the least); to add some: `python '
            f'tools/build_stored_views.py CONFIG --views {wanted} --out {self.path}`.'
        )

    def table(self) -> ImageTable:
        """The images, read each time."""
        return ImageTable.read(self.path, self.manifest.image_shards())

    def read(self, view: int, row: int) -> tuple[int, np.ndarray]:
        """CRC-32 of a view's pixels, and its embedding (D,) float32, not normalised."""
        reader, index = self.locate(view, row)
        stored = reader.row(index)
        return int(stored['pixels']), unpack_embeddings(stored)

    def locate(self, view: int, row: int) -> tuple[ShardReader, int]:
        """The shard of a view in [0, K) of an image in [0, N), and its row there."""
        if not (0 <= view < self.num_views and 0 <= row < self.num_images):
            size = f'{self.num_views} views of {self.num_images} images'
            raise IndexError(f'view {view} of row {row} in a store of {size}')
        run = int(np.searchsorted(self._firsts, row, side='right')) - 1
        reader = self.readers[view * len(self._firsts) + run]
        return reader, row - int(self._firsts[run])

    def match(self, dataset: Sized) -> np.ndarray | None:
        """Rows (N,) int64 of a dataset's images; None where they are 0, 1, 2, ...

        Raises:
            DataError: An image is unknown, missing, or (of a sample) has changed.
        """
        rows, _ = self.table().match(dataset, self.path)
        if (unknown := np.flatnonzero(rows < 0)).size:
            name = show_name(list_image(dataset, int(unknown[0])).key())
            raise DataError(
                f'{len(unknown)} of the {len(rows)} images are not in the store '
                f'{self.path}, the first is {name}; add them: `python '
                f'tools/build_stored_views.py CONFIG --views {self.num_views} --out '
                f'{self.path}`.'
            )
        return None if np.array_equal(rows, np.arange(self.num_images)) else rows


@DATASETS.register_module()
class StoredViews(SeededViews):
    """Views of images as :class:`SeededViews` gives them, with their embeddings.

    An item is the wrapped dataset's and ``teacher_embeddings``, (D,) float32. The seed
    and the K views are the store's; view K is the first again. At the store's resolution
    the pixels of every item are compared with those that the teacher saw, by checksum.
    At another resolution the crops are the same, and the image files are compared.

    Args:
        dataset: The dataset to wrap, or its config.
        store: Folder that tools/build_stored_views.py wrote.
        num_views: How many of the store's views to use. Defaults to None: all.
        check_pixels: Whether to compare pixels or files. Defaults to True.
        lazy_init: Whether to leave ``full_init`` for later. Defaults to False.

    Attributes:
        store (ViewStore): Opened by ``full_init``.
        num_views (int): K.
        compares_pixels (bool): Whether the resolution allows it and it is wanted.

    Raises:
        ConfigError: The transforms are not those of the store, or leave a part to the
            device, or ``num_views`` is more than the store has.
        DataError: The store is not whole, or its images are not these.
    """

    def __init__(
        self,
        dataset: Any,
        store: str | Path,
        num_views: int | None = None,
        check_pixels: bool = True,
        lazy_init: bool = False,
    ) -> None:
        self.store_path, self.check_pixels = str(store), check_pixels
        self.num_views: Any = num_views
        super().__init__(dataset, lazy_init=lazy_init)

    def _prepare(self) -> None:
        self.store = ViewStore(self.store_path)
        check_is_drawn(self.store.manifest.pixels, self.store_path)
        self.seed = self.store.manifest.seed
        self.num_views = self.store.usable_views('StoredViews', self.num_views)
        manifest, here = self.store.manifest, describe_pipeline(self.dataset)
        same_pixels = check_pipeline(
            f'The store {self.store_path}', manifest.pipeline, here, other_size=True
        )
        if not same_pixels and (libraries := other_libraries(manifest.libraries)):
            message = f'Views of {self.store_path} cannot be compared, but {libraries}.'
            print_log(message, logger='current', level=logging.WARNING)
        self.compares_pixels = self.check_pixels and same_pixels
        self._rows = self.store.match(self.dataset)
        compares_files = self.check_pixels and not same_pixels
        self._hashes = self.store.table().hashes if compares_files else None

    def split(self, index: int) -> tuple[int, int]:
        """(view, i) of an index, with view in [0, K) and i in [0, N)."""
        view, image = super().split(index)
        return view % self.num_views, image

    def __getitem__(self, index: int) -> dict:
        view, image = self.split(index)
        row = image if self._rows is None else int(self._rows[image])
        item = draw_view(self.dataset, image, self.seed, view, row)
        checksum, embedding = self.store.read(view, row)
        if self.compares_pixels and pixel_checksum(item['inputs']) != checksum:
            name = f'View {view} of {self.store.table().name(row)}'
            raise changed_pixels(name, self.store_path, self.store.manifest.libraries)
        if self._hashes is not None:
            found = list_image(self.dataset, image).content_hash()
            if found != self._hashes[row].tobytes():
                self.store.table().check_hash(row, found, self.store.path)
        return {**item, 'teacher_embeddings': torch.from_numpy(embedding)}
