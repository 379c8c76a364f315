"""Augmented images together with the embeddings that a teacher once gave them."""

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from mmlgd.datasets import SeededViews
from mmlgd.datasets.image_list import list_image
from mmlgd.datasets.pipeline_description import compare_pipelines, describe_pipeline
from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS

from .images import content_hash
from .manifest import pixel_libraries
from .reader import ViewStore
from .rows import pixel_checksum
from .source import draw_view


@DATASETS.register_module()
class StoredViews(SeededViews):
    """Views of images as :class:`SeededViews` gives them, with their embeddings.

    An item is the wrapped dataset's and ``teacher_embeddings``, (D,) float32. The
    views are the store's: its seed, and its K views, of which view K is the first
    again. At the store's resolution the pixels of every item are compared with
    those that the teacher saw, by checksum. The student may take another
    resolution: the crops are then the same, and the image files are compared instead.

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
        ConfigError: The transforms are not those of the store, or ``num_views``
            is more than it has.
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
        self.store_path = str(store)
        self.num_views = num_views
        self.check_pixels = check_pixels
        super().__init__(dataset, lazy_init=lazy_init)

    def _prepare(self) -> None:
        self.store = ViewStore(self.store_path)
        self.seed, stored = self.store.manifest.seed, self.store.num_views
        self.num_views = stored if self.num_views is None else self.num_views
        if not 1 <= self.num_views <= stored:
            raise ConfigError(
                f'StoredViews.num_views is {self.num_views}, but the store '
                f'{self.store_path} has {stored} (1 is the least); to add some: `python '
                f'tools/build_stored_views.py CONFIG --views {self.num_views} --out '
                f'{self.store_path}`.'
            )
        self.compares_pixels = self._check_transforms() and self.check_pixels
        self._rows = self.store.match(self.dataset)
        compares_files = self.check_pixels and not self.compares_pixels
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
            raise self._other_pixels(view, row)
        if self._hashes is not None:
            found = content_hash(list_image(self.dataset, image).source)
            if found != self._hashes[row].tobytes():
                self.store.table().check_hash(row, found, self.store.path)
        return {**item, 'teacher_embeddings': torch.from_numpy(embedding)}

    def _check_transforms(self) -> bool:
        """Whether the pixels must be the store's, bit for bit."""
        differences = compare_pipelines(
            self.store.manifest.pipeline, describe_pipeline(self.dataset)
        )
        for option, stored, here, resolution in differences:
            if not resolution:
                raise ConfigError(
                    f'The store {self.store_path} was made with {option} = {stored!r}, but '
                    f'the dataset has {here!r}: its embeddings are of other crops. Set '
                    'what the store has, or build a store of these transforms.'
                )
        if differences and (libraries := self._other_libraries()):
            print_log(
                f'Views of the store {self.store_path} were drawn with {libraries}, and '
                'cannot be compared at this resolution.',
                logger='current',
                level=logging.WARNING,
            )
        return not differences

    def _other_libraries(self) -> str:
        stored, here = self.store.manifest.libraries, pixel_libraries()
        return ', '.join(
            f'{name} {stored.get(name)} (here {here.get(name)})'
            for name in sorted({*stored, *here})
            if stored.get(name) != here.get(name)
        )

    def _other_pixels(self, view: int, row: int) -> DataError:
        libraries = self._other_libraries()
        cause = (
            f'they were drawn with {libraries}'
            if libraries
            else 'the file, or what its decoder or a transform makes of it, has changed'
        )
        return DataError(
            f'View {view} of {self.store.table().name(row)} does not have the pixels that the '
            f'teacher of the store {self.store_path} saw: {cause}. Look with `python '
            'tools/build_stored_views.py CONFIG --verify --out '
            f'{self.store_path}`, and build the store again if it says so.'
        )
