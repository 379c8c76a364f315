"""Images without labels."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mmlgd.errors import ConfigError, DataError
from mmlgd.registry import DATASETS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.first_rank import on_first_rank
from mmlgd.utils.paths import expand_user

from .image_folder import EXTENSIONS, check_extensions, list_images, listing_backend
from .replacing import ReplacingDataset


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
        backend_args: Options of mmengine's file backend for listing the folder.
            Defaults to None.
        pipeline: Transforms; those up to the one that sets ``img`` are the loading.
        **kwargs: ``metainfo``, ``indices``, ``test_mode``, ``serialize_data``, ...
            of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        ConfigError: ``data_root``, ``max_broken`` or ``extensions`` is invalid; later,
            a transform fails on an image that was read.
        DataError: The folder is missing, cannot be read or has no image, or the list
            cannot be read or is empty; later, too
            many images do not load, or any with ``test_mode=True``, where a
            replacement would falsify a measurement.
    """

    def __init__(
        self,
        data_root: str,
        data_prefix: str | Mapping[str, str] = '',
        ann_file: str = '',
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
        self.extensions = check_extensions('UnlabeledImages.extensions', extensions)
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
            ann_file=ann_file,
            pipeline=list(pipeline),
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """One dict with ``img_path`` for each image: those of the list, or sorted."""
        folder = self.data_prefix['img_path']
        if self.ann_file:
            names = _read_list(self.ann_file)
            return [dict(img_path=os.path.join(folder, name)) for name in names]
        listing = partial(list_images, folder, self.extensions, self.backend_args)
        paths = on_first_rank(listing) if self.share_listing else listing()
        return [dict(img_path=path) for path in paths]


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
