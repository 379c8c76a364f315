"""The images of a folder, listed by one rank for all."""

import hashlib
import logging
import os.path as osp
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log

from mmlgd.errors import DataError
from mmlgd.utils.first_rank import on_first_rank, works_alone
from mmlgd.utils.printable import printable

from .folder_manifest import FolderManifest, write_manifest
from .image_folder import find_images, listing_backend, log_skipped, name_prefix
from .image_names import ImageNames


def share_names(
    folder: str,
    extensions: Sequence[str],
    backend_args: dict | None = None,
    cache_dir: str | None = None,
) -> ImageNames:
    """Names of the images of a folder, on all ranks.

    With ``cache_dir``, rank 0 lists the folder only if there is no manifest or the folder
    changed, and the other ranks read the manifest. If one of them cannot, for example
    because the place is not shared by the machines, rank 0 sends the names to all.

    Args:
        folder: See :func:`find_images`, also for the next two.
        extensions: Of the images.
        backend_args: Options of the file backend.
        cache_dir: Folder of manifests. Defaults to None: rank 0 lists, and sends.

    Raises:
        DataError: See :func:`find_images`; or rank 0 needs too long.
    """
    what = f'listing the images of {folder!a}'
    if cache_dir is None:
        return on_first_rank(
            partial(list_names, folder, extensions, backend_args), what
        )
    path = manifest_path(cache_dir, folder, extensions)
    listed: list[ImageNames] = []

    def prepare() -> str:
        names, digest = _read_or_list(path, folder, extensions, backend_args)
        listed.append(names)
        return digest

    digest = on_first_rank(prepare, what)
    if not works_alone():
        if not listed:
            listed += _read(path, _prefix(folder, backend_args), digest)
        everywhere = torch.tensor(int(bool(listed)))
        all_reduce(everywhere, op='min')
        if not everywhere:
            return on_first_rank(lambda: listed[0], f'sending the names of {folder!a}')
    return listed[0]


def manifest_path(cache_dir: str, folder: str, extensions: Sequence[str]) -> Path:
    """The manifest of a folder; one of each folder and choice of extensions."""
    key = '\0'.join([osp.realpath(folder), *extensions])
    digest = hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()
    return Path(cache_dir) / f'images-{digest[:16]}.list'


def list_names(
    folder: str, extensions: Sequence[str], backend_args: dict | None = None
) -> ImageNames:
    """Names of the images of a folder, listed by this rank; see :func:`find_images`."""
    found = find_images(folder, extensions, backend_args)
    found.log_skipped()
    return ImageNames.pack(found.prefix, found.names)


def _read_or_list(
    path: Path, folder: str, extensions: Sequence[str], backend_args: dict | None
) -> tuple[ImageNames, str]:
    """The names, and the digest of the manifest; '' if it cannot be written."""
    reason = 'there is none'
    if path.exists():
        try:
            manifest = FolderManifest(path, _prefix(folder, backend_args))
            reason = manifest.find_change(folder, extensions)
        except DataError as error:
            reason = str(error)
    if not reason:
        _log(f'{folder}: {len(manifest.names)} images, as listed in {path}.')
        log_skipped(folder, manifest.skipped)
        return manifest.names, manifest.digest
    _log(f'{folder} is listed, for the list of its images {path}: {reason}.')
    found = find_images(folder, extensions, backend_args)
    found.log_skipped()
    try:
        return write_manifest(path, found, extensions)
    except OSError as error:
        _log(
            f'The list of images {path} cannot be written ({error.strerror}); the next '
            'run will list the folder again. Set cache_dir of UnlabeledImages.',
            logging.WARNING,
        )
    return ImageNames.pack(found.prefix, found.names), ''


def _read(path: Path, prefix: str, digest: str) -> list[ImageNames]:
    """The names in a list, which is empty if this is not the manifest of rank 0."""
    try:
        manifest = FolderManifest(path, prefix)
    except DataError:
        return []
    return [manifest.names] if manifest.digest == digest else []


def _prefix(folder: str, backend_args: dict | None) -> str:
    return name_prefix(listing_backend(folder, backend_args), folder)


def _log(text: str, level: int = logging.INFO) -> None:
    print_log(printable(text), logger='current', level=level)
