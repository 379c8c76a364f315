"""Images without labels and without a list file."""

import logging
import os.path as osp
from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS

from .image_folder import EXTENSIONS, list_images


@DATASETS.register_module()
class UnlabeledImages(BaseDataset):
    """Every image under a folder, nested folders included, in sorted order.

    An image that does not load is replaced by the next one that does, so the same
    index gives the same image in every run. It is counted once, however many
    workers and epochs meet it, in memory that the workers share; each is reported
    when first met, and :class:`~mmlgd.engine.hooks.BrokenImagesHook` lists all.
    When they exceed ``max_broken`` of the data set, loading stops.

    Args:
        data_root: The folder, or the root that ``data_prefix`` is relative to.
        data_prefix: Folder of the images within ``data_root``, as a string or as
            ``dict(img_path=...)``. Defaults to ''.
        extensions: Endings to look for, in any case. Defaults to
            :data:`~mmlgd.datasets.image_folder.EXTENSIONS`.
        max_broken: Largest share of the data set, in [0, 1], that may fail to
            load. 0 stops at the first. Defaults to 0.01.
        backend_args: Options of mmengine's file backend for listing the folder.
            Defaults to None.
        pipeline: Transforms; those up to the one that sets ``img`` are the loading.
        **kwargs: ``metainfo``, ``indices``, ``test_mode``, ``serialize_data``, ...
            of :class:`mmengine.dataset.BaseDataset`.

    Attributes:
        broken_flags: (N,) uint8 in shared memory, 1 where an image did not load.

    Raises:
        ConfigError: ``max_broken`` or ``extensions`` cannot work.
        DataError: The folder is absent or holds no image; later, too many images do
            not load, or any with ``test_mode=True``, where a replacement would
            falsify a measurement.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str | Mapping[str, str] = '',
        extensions: Sequence[str] = EXTENSIONS,
        max_broken: float = 0.01,
        backend_args: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ) -> None:
        if not isinstance(max_broken, Real) or not 0 <= max_broken <= 1:
            raise ConfigError(
                f'UnlabeledImages.max_broken must be in [0, 1], but is {max_broken!r}.'
            )
        if isinstance(extensions, str) or not extensions:
            raise ConfigError(
                f"UnlabeledImages.extensions must be like ['.jpg'], not {extensions!r}."
            )
        self.extensions = tuple(dict.fromkeys(ext.lower() for ext in extensions))
        self.max_broken = max_broken
        self.backend_args = backend_args
        if isinstance(data_prefix, str):
            data_prefix = dict(img_path=data_prefix)
        super().__init__(
            data_root=osp.expanduser(data_root),
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
        """One dict with ``img_path`` an image, sorted by path."""
        folder = self.data_prefix['img_path']
        paths = list_images(folder, self.extensions, self.backend_args)
        return [dict(img_path=path) for path in paths]

    def __getitem__(self, idx: int) -> dict:
        """Load an image, or in its place the next one that loads.

        Args:
            idx: Index in [-N, N).

        Returns:
            dict: What the pipeline makes of it.

        Raises:
            IndexError: ``idx`` is outside.
            DataError: Too many images do not load.
        """
        size = len(self)
        if not -size <= idx < size:
            raise IndexError(f'index {idx} of a data set of {size} images')
        for offset in range(size):
            data = self.prepare_data((idx + offset) % size)
            if data is not None:
                return data
            if self.test_mode:
                break
        raise DataError(
            f'Image {idx} ({self.get_data_info(idx)["img_path"]}) gave no sample and '
            'no other may replace it; look at the pipeline of UnlabeledImages.'
        )

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline on one image.

        Args:
            idx: Index in [0, N).

        Returns:
            dict or None: None when the image does not load or a transform rejects
            it. An error after loading, a fault of the pipeline, is raised.
        """
        data = self.get_data_info(idx)
        path, loaded = data['img_path'], False
        for transform in self.pipeline.transforms:
            try:
                result = transform(data)
            except MemoryError:
                raise
            except Exception as error:
                if loaded or data.get('img') is not None:
                    raise
                self._note_broken(idx, path, f'{type(error).__name__}: {error}')
                return None
            if result is None:
                if not loaded:
                    self._note_broken(idx, path, 'the loading transform gave nothing')
                return None
            data = result
            loaded = loaded or data.get('img') is not None
        return data

    def broken_paths(self, flags: torch.Tensor | None = None) -> list[str]:
        """Paths of the images that did not load so far.

        Args:
            flags: (N,) flags, for example united over ranks. Defaults to None,
                which takes this process's and its workers'.

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
        paths = self.broken_paths(flags)
        listed = '\n  '.join(paths[:50])
        more = f'\n  and {count - 50} more' if count > 50 else ''
        raise DataError(
            f'{count} of the {size} images under {self.data_prefix["img_path"]!r} do '
            f'not load, more than max_broken={self.max_broken:g} allows:\n  {listed}'
            f'{more}\nRepair or remove them, or raise max_broken of UnlabeledImages '
            'in the config.'
        )

    def _note_broken(self, idx: int, path: str, reason: str) -> None:
        # A byte an image needs no lock: workers can only write the same 1.
        if not self.broken_flags[idx]:
            self.broken_flags[idx] = 1
            print_log(
                f'An image does not load and is replaced ({int(self.broken_flags.sum())} of '
                f'{len(self)} so far): {path} ({reason})',
                logger='current',
                level=logging.WARNING,
            )
        self.check_broken()
