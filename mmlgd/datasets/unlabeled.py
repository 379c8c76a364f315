"""Images without labels and without a list file."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError, ImageReadError, MMLGDError
from mmlgd.registry import DATASETS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.first_rank import on_first_rank
from mmlgd.utils.paths import expand_user
from mmlgd.utils.printable import printable

from .image_folder import EXTENSIONS, list_images, listing_backend
from .reading import run_transforms

#: The first broken images are logged one by one, later ones only at powers of ten.
_LOGGED = 10


@DATASETS.register_module()
class UnlabeledImages(BaseDataset):
    """Every image under a folder, nested folders included, in sorted order.

    Hidden files and folders are skipped; see
    :func:`~mmlgd.datasets.image_folder.list_images`.

    An image that cannot be loaded is replaced by the next one that can, so an index
    gives the same image in every run. It is counted once, even if several workers or
    epochs encounter it; the count is in memory that the workers share. The first ten are
    logged, then the 100th, the 1000th and so on, and
    :class:`~mmlgd.engine.hooks.BrokenImagesHook` lists all. Loading stops
    when their share of the dataset exceeds ``max_broken``.

    Only errors of reading and decoding count: :class:`~mmlgd.errors.ImageReadError`,
    and for loading transforms of other libraries the usual errors of readers
    (:data:`~mmlgd.datasets.reading.FOREIGN_READ_ERRORS`) as long as there is no
    ``img``. Any other error of a transform ends the loading at once.

    Args:
        data_root: The folder, or the root that ``data_prefix`` is relative to.
        data_prefix: Folder of the images within ``data_root``, as a string or as
            ``dict(img_path=...)``. Defaults to ''.
        extensions: File extensions, case-insensitive. Defaults to
            :data:`~mmlgd.datasets.image_folder.EXTENSIONS`.
        max_broken: Largest share of the dataset, in [0, 1], that may fail to
            load. 0 stops at the first. Defaults to 0.01.
        share_listing: Whether rank 0 lists the folder for all ranks of a distributed
            run, which reduces the load on a file server. All ranks must then build
            the dataset. Defaults to True.
        backend_args: Options of mmengine's file backend for listing the folder.
            Defaults to None.
        pipeline: Transforms; those up to the one that sets ``img`` are the loading.
        **kwargs: ``metainfo``, ``indices``, ``test_mode``, ``serialize_data``, ...
            of :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        broken_flags: (N,) uint8 in shared memory, 1 where an image did not load.

    Raises:
        ConfigError: ``data_root``, ``max_broken`` or ``extensions`` is invalid; later,
            a transform fails on an image that was read.
        DataError: The folder is missing, cannot be read or has no image; later, too
            many images do not load, or any with ``test_mode=True``, where a
            replacement would falsify a measurement.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str | Mapping[str, str] = '',
        extensions: Sequence[str] = EXTENSIONS,
        max_broken: float = 0.01,
        share_listing: bool = True,
        backend_args: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        check_in_range('UnlabeledImages.max_broken', max_broken, 0, 1)
        if not isinstance(data_root, str | os.PathLike):
            raise ConfigError(
                f'UnlabeledImages.data_root must be a folder, but is {data_root!r}.'
            )
        if (
            isinstance(extensions, str)
            or not extensions
            or not all(isinstance(ext, str) and ext for ext in extensions)
        ):
            raise ConfigError(
                f"UnlabeledImages.extensions must be like ['.jpg'], not {extensions!r}."
            )
        self.extensions = tuple(dict.fromkeys(ext.lower() for ext in extensions))
        self.max_broken = max_broken
        self.share_listing = share_listing
        self.backend_args = backend_args
        if isinstance(data_prefix, str):
            data_prefix = dict(img_path=data_prefix)
        data_root = expand_user(data_root, 'the images')
        # Before mmengine joins the paths, which may raise errors of its backends.
        listing_backend(data_root, backend_args)
        super().__init__(
            data_root=data_root,
            data_prefix=dict(data_prefix),
            pipeline=list(pipeline),
            **kwargs,
        )

    def full_init(self) -> None:
        """List the folder and set up the count that the workers share."""
        if self._fully_initialized:
            return
        super().full_init()
        self.broken_flags = torch.zeros(len(self), dtype=torch.uint8).share_memory_()

    def load_data_list(self) -> list[dict]:
        """One dict with ``img_path`` for each image, sorted by path."""
        folder = self.data_prefix['img_path']
        listing = partial(list_images, folder, self.extensions, self.backend_args)
        paths = on_first_rank(listing) if self.share_listing else listing()
        return [dict(img_path=path) for path in paths]

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
            f'replace it; check the pipeline of UnlabeledImages.{self._first_reason()}'
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
            self.pipeline.transforms, self.get_data_info(idx), self._path(idx)
        )

    def broken_paths(self, flags: torch.Tensor | None = None) -> list[str]:
        """Paths of the images that did not load so far.

        Args:
            flags: (N,) flags, for example combined over ranks. Defaults to None:
                those of this process and its workers.

        Returns:
            list[str]: Sorted.
        """
        flags = self.broken_flags if flags is None else flags
        indices = flags.nonzero().flatten().tolist()
        return [self.get_data_info(index)['img_path'] for index in indices]

    def check_broken(self, flags: torch.Tensor | None = None) -> None:
        """Stop when too many images did not load.

        Args:
            flags: As for :meth:`broken_paths`.

        Raises:
            DataError: Lists them (the first 50).
        """
        flags = self.broken_flags if flags is None else flags
        count, size = int(flags.sum()), len(self)
        if count <= self.max_broken * size and not (count and self.test_mode):
            return
        paths = [printable(path) for path in self.broken_paths(flags)]
        listed = '\n  '.join(paths[:50])
        more = f'\n  and {count - 50} more' if count > 50 else ''
        raise DataError(
            f'{count} of the {size} images under {self.data_prefix["img_path"]!r} do '
            f'not load, more than max_broken={self.max_broken:g} allows '
            f'({int(self.max_broken * size)} of {size}):\n  {listed}{more}\n'
            f'{self._first_reason(flags).strip()}\nRepair or remove them, or raise '
            f'max_broken of UnlabeledImages in the config.'
        )

    def _first_reason(self, flags: torch.Tensor | None = None) -> str:
        """A sentence on the first image that does not load; '' if all do.

        The image is read again, as a worker or another rank may have met it.
        """
        flags = self.broken_flags if flags is None else flags
        if not flags.any():
            return ''
        first = int(flags.nonzero()[0])
        try:
            self._run_pipeline(first)
        except ImageReadError as error:
            return f' The first: {error}'
        except MMLGDError:
            pass  # A later transform fails: the image can be loaded.
        return f' The first, {self._path(first)}, loads now; it did not before.'

    def _path(self, idx: int) -> str:
        return printable(self.get_data_info(idx)['img_path'])

    def _note_broken(self, idx: int, reason: str) -> None:
        # One byte per image needs no lock: all workers write the same 1.
        if not self.broken_flags[idx]:
            self.broken_flags[idx] = 1
            count = int(self.broken_flags.sum())
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
