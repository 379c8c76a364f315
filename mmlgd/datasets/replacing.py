"""Base class of datasets that replace images that do not load."""

import logging
from collections.abc import Iterable

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmlgd.errors import DataError, ImageReadError, MMLGDError
from mmlgd.utils.printable import printable

from .broken_images import BrokenImages
from .reading import run_transforms

#: The first broken images are logged one by one, later ones only at powers of ten.
_LOGGED = 10


class ReplacingDataset(BaseDataset):
    """A dataset of images in which a broken image is replaced by the next one.

    An image that cannot be loaded is replaced by the next one that can, so an index
    gives the same image in every run. It is counted once, even if several workers or
    epochs encounter it; the workers share the count. The first ten are logged, then the
    100th, the 1000th and so on, and :class:`~mmlgd.engine.hooks.BrokenImagesHook` lists
    all. Loading stops when their share of the dataset exceeds ``max_broken``.

    Only errors of reading and decoding count: :class:`~mmlgd.errors.ImageReadError`,
    and for loading transforms of other libraries the usual errors of readers
    (:data:`~mmlgd.datasets.reading.FOREIGN_READ_ERRORS`) as long as there is no
    ``img``. Any other error of a transform ends the loading at once.

    A subclass sets ``max_broken`` and ``data_prefix['img_path']``, the place of the
    images.

    Attributes:
        broken (BrokenImages): The images that did not load, once ``full_init`` was
            called.
    """

    max_broken: float

    def full_init(self) -> None:
        """List the images and set up the count that the workers share."""
        if self._fully_initialized:
            return
        super().full_init()
        self.broken = BrokenImages()

    def __getitem__(self, idx: int) -> dict:
        """Load an image, or the next one that can be loaded.

        Args:
            idx: Index in [-N, N).

        Returns:
            dict: Result of the pipeline.

        Raises:
            IndexError: ``idx`` is outside.
            DataError: Too many images do not load.
        """
        size = len(self)
        if not -size <= idx < size:
            raise IndexError(f'index {idx} of a dataset of {size} images')
        for offset in range(size):
            data = self.prepare_data((idx + offset) % size)
            if data is not None:
                return data
            if self.test_mode:
                break
        raise DataError(
            f'Image {idx} ({self._path(idx)}) gave no sample, and no other image can '
            f'replace it; check the pipeline of {type(self).__name__}.{self._first_reason()}'
        )

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline on one image.

        Args:
            idx: Index in [0, N).

        Returns:
            dict or None: None when the image does not load or a transform rejects
            it.

        Raises:
            ConfigError: A transform fails for a reason other than the image file.
            DataError: Too many images do not load.
        """
        try:
            return self._run_pipeline(idx)
        except ImageReadError as error:
            self._note_broken(idx, str(error))
            return None

    def _run_pipeline(self, idx: int) -> dict | None:
        return run_transforms(
            self.pipeline.transforms, self._load_info(idx), self._path(idx)
        )

    def _load_info(self, idx: int) -> dict:
        """What the first transform gets."""
        return self.get_data_info(idx)

    def broken_paths(self, indices: Iterable[int] | None = None) -> list[str]:
        """Paths of the images that did not load so far.

        Args:
            indices: Ascending indices, for example of all ranks. Defaults to None:
                those met by this process and its workers.
        """
        indices = self.broken.indices() if indices is None else indices
        return [self.get_data_info(int(index))['img_path'] for index in indices]

    def check_broken(self, indices: Iterable[int] | None = None) -> None:
        """Stop when too many images did not load.

        Args:
            indices: As for :meth:`broken_paths`.

        Raises:
            DataError: Lists them (the first 50).
        """
        broken = [*map(int, self.broken.indices() if indices is None else indices)]
        count, size = len(broken), len(self)
        if count <= self.max_broken * size and not (count and self.test_mode):
            return
        paths = [printable(path) for path in self.broken_paths(broken[:50])]
        listed = '\n  '.join(paths)
        more = f'\n  and {count - 50} more' if count > 50 else ''
        raise DataError(
            f'{count} of the {size} images under {self.data_prefix["img_path"]!r} do '
            f'not load, more than max_broken={self.max_broken:g} allows '
            f'({int(self.max_broken * size)} of {size}):\n  {listed}{more}\n'
            f'{self._first_reason(broken).strip()}\nRepair or remove them, or raise '
            f'max_broken of {type(self).__name__} in the config.'
        )

    def _first_reason(self, broken: list[int] | None = None) -> str:
        """A sentence on the first image that does not load; '' if all do.

        The image is read again, as a worker or another rank may have met it.
        """
        broken = self.broken.indices().tolist() if broken is None else broken
        if not broken:
            return ''
        try:
            self._run_pipeline(broken[0])
        except ImageReadError as error:
            return f' The first: {error}'
        except MMLGDError:
            pass  # A later transform fails: the image can be loaded.
        return f' The first, {self._path(broken[0])}, loads now; it did not before.'

    def _path(self, idx: int) -> str:
        return printable(self.get_data_info(idx)['img_path'])

    def _note_broken(self, idx: int, reason: str) -> None:
        if self.broken.add(idx):
            count = len(self.broken.indices())
            if count <= _LOGGED or str(count).strip('0') == '1':
                later = (
                    ' From here on, only the 100th, the 1000th and so on are logged.'
                    if count == _LOGGED
                    else ''
                )
                print_log(
                    f'An image does not load and is replaced ({count} of {len(self)} '
                    f'so far): {printable(reason)}{later}',
                    logger='current',
                    level=logging.WARNING,
                )
        self.check_broken()
