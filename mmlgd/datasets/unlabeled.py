"""Images without labels."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.dataset import force_full_init
from mmengine.fileio.backends import LocalBackend

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.paths import expand_user

from .image_folder import EXTENSIONS, check_extensions, listing_backend
from .image_names import ImageNames
from .replacing import ReplacingDataset
from .shared_listing import list_names, share_names


@DATASETS.register_module()
class UnlabeledImages(ReplacingDataset):
    """Every image under a folder, nested folders included, in sorted order.

    With ``ann_file``, the images are those of a list instead, in its order.

    Hidden files and folders are skipped; see
    :func:`~mmlgd.datasets.image_folder.list_images`.

    Images that do not load are replaced; see
    :class:`~mmlgd.datasets.replacing.ReplacingDataset`.

    Args:
        data_root: The folder, or the root that ``data_prefix`` is relative to.
        data_prefix: Folder of the images within ``data_root``, as a string or as
            ``dict(img_path=...)``. Defaults to ''.
        ann_file: UTF-8 text file with the path of one image per line, absolute or
            relative to the folder. A relative ``ann_file`` is relative to
            ``data_root``. Defaults to '': the folder is listed.
        extensions: File extensions, case-insensitive. Defaults to
            :data:`~mmlgd.datasets.image_folder.EXTENSIONS`.
        max_broken: Largest share of the dataset, in [0, 1], that may fail to
            load. 0 stops at the first. Defaults to 0.01.
        share_listing: Whether rank 0 lists the folder for all ranks of a distributed
            run, which reduces the load on a file server. All ranks must then build
            the dataset. Defaults to True.
        cache_dir: Folder for a list of the images, with the times of their folders.
            While these do not change, later runs read the list instead of listing the
            folder, and so do the other ranks; see
            :func:`~mmlgd.datasets.shared_listing.share_names`. Needs a local folder and
            ``share_listing``. Defaults to None: no list is kept.
        backend_args: Options of mmengine's file backend for listing the folder.
            Defaults to None.
        pipeline: Transforms; those up to the one that sets ``img`` are the loading.
        serialize_data: Whether mmengine packs the list, as it does by default. Defaults
            to False, since :class:`~mmlgd.datasets.image_names.ImageNames` is smaller.
        **kwargs: ``metainfo``, ``indices``, ``test_mode``, ... of
            :class:`mmengine.dataset.BaseDataset`.

    Raises:
        ConfigError: ``data_root``, ``max_broken``, ``extensions`` or ``cache_dir`` is
            invalid; later, a transform fails on an image that was read.
        DataError: The folder is missing, cannot be read or has no image, or the list
            cannot be read or is empty; later, too
            many images do not load, or any with ``test_mode=True``, where a
            replacement would falsify a measurement.
    """

    #: ``ImageNames``, or a list of a subclass.
    data_list: Any

    def __init__(
        self,
        data_root: str,
        data_prefix: str | Mapping[str, str] = '',
        ann_file: str = '',
        extensions: Sequence[str] = EXTENSIONS,
        max_broken: float = 0.01,
        share_listing: bool = True,
        cache_dir: str | None = None,
        backend_args: dict | None = None,
        pipeline: Sequence[dict | Callable] = (),
        serialize_data: bool = False,
        **kwargs,
    ) -> None:
        check_in_range('UnlabeledImages.max_broken', max_broken, 0, 1)
        if not isinstance(data_root, str | os.PathLike):
            raise ConfigError(
                f'UnlabeledImages.data_root must be a folder, but is {data_root!r}.'
            )
        self.extensions = check_extensions('UnlabeledImages.extensions', extensions)
        self.max_broken = max_broken
        self.share_listing = share_listing
        self.backend_args = backend_args
        if isinstance(data_prefix, str):
            data_prefix = dict(img_path=data_prefix)
        data_root = expand_user(data_root, 'the images')
        # Before mmengine joins the paths, which may raise errors of its backends.
        backend = listing_backend(data_root, backend_args)
        if cache_dir is not None:
            if not (share_listing and isinstance(backend, LocalBackend)):
                raise ConfigError(
                    'UnlabeledImages.cache_dir needs a local folder, whose times can be '
                    f'compared, and share_listing=True, but data_root is {data_root!r} '
                    f'and share_listing={share_listing}: omit it.'
                )
            cache_dir = expand_user(cache_dir, 'the list of images')
        self.cache_dir = cache_dir
        super().__init__(
            data_root=data_root,
            data_prefix=dict(data_prefix),
            ann_file=ann_file,
            pipeline=list(pipeline),
            serialize_data=serialize_data,
            **kwargs,
        )

    def load_data_list(self) -> ImageNames:
        """A data info with ``img_path`` for each image: of the list, or sorted."""
        if self.ann_file:
            folder = self.data_prefix['img_path']
            names = _read_list(self.ann_file)
            return ImageNames.pack('', [os.path.join(folder, name) for name in names])
        args = self.data_prefix['img_path'], self.extensions, self.backend_args
        if self.share_listing:
            return share_names(*args, self.cache_dir)
        return list_names(*args)

    def full_init(self) -> None:
        """List the images; see :meth:`ReplacingDataset.full_init`."""
        if self._fully_initialized:
            return
        super().full_init()
        infos = self.data_list
        # mmengine selects a list of indices into a list of dicts.
        if isinstance(infos, list) and not self.serialize_data:
            if all(info.keys() == {'img_path'} for info in infos):
                self.data_list = ImageNames.pack('', [i['img_path'] for i in infos])

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """``img_path`` and ``sample_idx`` of image ``idx``, in [-N, N)."""
        if not isinstance(self.data_list, ImageNames) or self.serialize_data:
            return super().get_data_info(idx)
        return dict(self.data_list[idx], sample_idx=idx % len(self))

    @force_full_init
    def image_paths(self) -> Iterator[str]:
        """Paths of all images, several times faster than by :meth:`get_data_info`."""
        if not isinstance(self.data_list, ImageNames) or self.serialize_data:
            return (self.get_data_info(i)['img_path'] for i in range(len(self)))
        return self.data_list.paths()


def _read_list(path: str) -> list[str]:
    try:
        # File names that are not UTF-8 are written with surrogates.
        with open(
            path, encoding='utf-8', errors='surrogateescape', newline='\n'
        ) as file:
            names = [line.removesuffix('\n') for line in file]
    except OSError as error:
        raise DataError(
            f'The list of images {path!r} cannot be read ({error.strerror}); correct '
            'ann_file of UnlabeledImages.'
        ) from error
    names = [name for name in names if name]
    if not names:
        raise DataError(f'The list of images {path!r} is empty; write a path per line.')
    return names
