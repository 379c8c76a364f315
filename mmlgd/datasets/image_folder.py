"""The images under a folder."""

import logging
import os
import os.path as osp
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mmengine.fileio import get_file_backend
from mmengine.fileio.backends import BaseStorageBackend, LocalBackend
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif', '.tiff', '.webp')
#: Folders of operating systems and programs, in lower case. They are hidden, like those
#: whose name starts with a dot.
SYSTEM_FOLDERS = (
    '#recycle',
    '#snapshot',
    '$recycle.bin',
    '@eadir',
    '@recently-snapshot',
    '@recycle',
    '__macosx',
    'lost+found',
    'system volume information',
    '~snapshot',
)


def list_images(
    folder: str,
    extensions: Sequence[str] = EXTENSIONS,
    backend_args: dict | None = None,
) -> list[str]:
    """List the images of a folder and of its subfolders, as :func:`find_images`.

    Returns:
        list[str]: Their paths, in the order of :attr:`FoundImages.names`.
    """
    found = find_images(folder, extensions, backend_args)
    found.log_skipped()
    return [found.prefix + name for name in found.names]


class FolderTimes(NamedTuple):
    """A folder below the listed one ('' for itself), and when it changed, in ns."""

    name: str
    modified: int
    changed: int


@dataclass
class FoundImages:
    """The images of a folder.

    Attributes:
        folder: As it was given.
        prefix: What precedes a name in a path.
        names: Paths below the folder, sorted by code points, which depends on no locale.
        skipped: A line for each reason why images or folders were skipped.
        folders: The listed folders, with their times before they were listed; empty if
            the folder is not local.
        begun: When the listing began, in ns.
    """

    folder: str
    prefix: str
    names: list[str]
    skipped: list[str]
    folders: list[FolderTimes]
    begun: int

    def log_skipped(self) -> None:
        """Warn about what was skipped."""
        log_skipped(self.folder, self.skipped)


def log_skipped(folder: str, skipped: Iterable[str]) -> None:
    """Warn about images or folders that were skipped."""
    for line in skipped:
        print_log(
            f'Image folder {folder!r}: {line}.', logger='current', level=logging.WARNING
        )


def find_images(
    folder: str,
    extensions: Sequence[str] = EXTENSIONS,
    backend_args: dict | None = None,
) -> FoundImages:
    """Find the images of a folder and of its subfolders.

    Hidden files and folders are skipped: those whose name starts with a dot, and
    :data:`SYSTEM_FOLDERS`. The name of ``folder`` itself and its parents do not matter.

    Links to folders are followed. Each folder is listed once: under its own path if
    that is below ``folder``, otherwise under the first link to it, so loops of links
    end. Links to files count as files. Broken links and entries that are not regular
    files (pipes, sockets, devices) are skipped with a warning.

    In a local folder no file is opened.

    Args:
        folder: Local folder, or one that a file backend of mmengine can list.
        extensions: Lower-case file extensions; the case of file names does not matter.
            Defaults to :data:`EXTENSIONS`.
        backend_args: Options of the file backend. Defaults to None.

    Raises:
        DataError: The folder is missing, cannot be read or listed, or has no image; or
            a subfolder cannot be read.
    """
    backend = listing_backend(folder, backend_args)
    if not backend.isdir(folder):
        raise DataError(
            f'The image folder {folder!r} '
            f'{"is a file" if backend.exists(folder) else "does not exist"}. Give '
            'another one (in a config, data_root and data_prefix of the dataset). '
            f'Relative paths start from the current folder, {osp.abspath(".")!r}.'
        )
    listing, begun = _Listing(tuple(extensions)), time.time_ns()
    if isinstance(backend, LocalBackend):
        listing.walk(folder)
    else:
        names = backend.list_dir_or_file(folder, list_dir=False, recursive=True)
        for name in names:
            listing.add_file(name, any(map(is_hidden, name.split('/'))))
    if not listing.images:
        raise DataError(
            f'The image folder {folder!r} has no image. Searched it and its '
            f'subfolders for {", ".join(extensions)}; {listing.summarise_endings()}'
            f'{"".join(f"; {line}" for line in listing.summarise_skipped())}. '
            'Give another folder (in a config, data_root and data_prefix of the '
            'dataset, or other extensions).'
        )
    return FoundImages(
        folder,
        name_prefix(backend, folder),
        sorted(listing.images),
        listing.summarise_skipped(),
        listing.folders,
        begun,
    )


def check_extensions(option: str, extensions: Sequence[str]) -> tuple[str, ...]:
    """Lower-case extensions without duplicates.

    Raises:
        ConfigError: They are not a list of strings; names the option.
    """
    if (
        isinstance(extensions, str)
        or not extensions
        or not all(isinstance(ext, str) and ext for ext in extensions)
    ):
        raise ConfigError(f"{option} must be like ['.jpg'], not {extensions!r}.")
    return tuple(dict.fromkeys(ext.lower() for ext in extensions))


def listing_backend(folder: str, backend_args: dict | None) -> BaseStorageBackend:
    """The file backend of mmengine that lists a folder.

    Raises:
        DataError: No backend exists for this path, or it cannot list folders.
    """
    try:
        backend = get_file_backend(folder, backend_args=backend_args)
    except Exception as error:
        # Unknown schemes, missing clients and wrong options: mmengine and each of its
        # backends report these with errors of their own.
        raise _not_listed(folder, f'{type(error).__name__}: {error}') from error
    if not _has_all(backend, ('isdir', 'exists', 'list_dir_or_file', 'join_path')):
        raise _not_listed(folder, f'{type(backend).__name__} cannot list folders')
    return backend


@dataclass
class _Listing:
    """Contents of a folder, as paths relative to it.

    Attributes:
        extensions: Extensions of images, in lower case.
        images: Paths of the images.
        endings: Number of other files by extension.
        hidden: Hidden images.
        unusable: Broken links and other entries that are not files but have an image's
            extension.
        repeated: Links to folders that were already listed.
        folders: The folders that are not hidden, if they are local.
    """

    extensions: tuple[str, ...]
    images: list[str] = field(default_factory=list)
    endings: Counter = field(default_factory=Counter)
    hidden: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    folders: list[FolderTimes] = field(default_factory=list)

    def add_file(self, name: str, hidden: bool) -> None:
        """Add a regular file."""
        if name.lower().endswith(self.extensions):
            (self.hidden if hidden else self.images).append(name)
        elif not hidden:
            self.endings[osp.splitext(name)[1].lower() or 'no ending'] += 1

    def walk(self, root: str) -> None:
        """Add all files under a local folder."""
        seen = set()
        links = [('', osp.realpath(root), False)]
        # Links are followed last, so that a folder has its own path rather than that
        # of a link.
        while links:
            starts, links = sorted(links), []
            for start in starts:
                if start[1:] in seen:
                    self.repeated.append(start[0])
                    continue
                folders = [start]
                while folders:
                    name, real, is_hidden = folders.pop()
                    # A hidden folder may still be listed through a link.
                    if (real, is_hidden) not in seen:
                        seen.add((real, is_hidden))
                        found, linked = self._scan(root, name, real, is_hidden)
                        folders += found
                        links += linked

    def _scan(self, root: str, folder: str, real: str, hidden: bool) -> tuple:
        """Add the files of one folder; return its subfolders and its links to folders."""
        folders, links = [], []
        path = osp.join(root, folder)
        try:
            if not hidden:
                self.folders.append(times_of(root, folder))
            with os.scandir(path) as entries:
                for entry in entries:
                    name = osp.join(folder, entry.name)
                    inside = hidden or is_hidden(entry.name)
                    if _is_folder(entry):
                        if not entry.is_symlink():
                            target = osp.join(real, entry.name)
                            folders.append((name, target, inside))
                        elif not inside:
                            links.append((name, osp.realpath(entry.path), False))
                    elif _is_regular(entry):
                        self.add_file(name, inside)
                    elif name.lower().endswith(self.extensions) and not inside:
                        self.unusable.append(name)
        except OSError as error:
            # Hidden folders are not needed; the trash of other users is often unreadable.
            if not hidden:
                raise DataError(
                    f'The folder {path!r} cannot be read ({error.strerror}), so that '
                    'its images would be missing. Change its permissions, or move it '
                    f'out of {root!r}.'
                ) from error
        return folders, links

    def summarise_endings(self) -> str:
        """Number of files by extension, the most frequent first."""
        if not self.endings:
            return 'it has no other files'
        common = self.endings.most_common(5)
        return f'found {", ".join(f"{count} with {ext}" for ext, count in common)}'

    def summarise_skipped(self) -> list[str]:
        """A line for each reason why images or folders were skipped."""
        reasons = {
            'hidden images (in hidden folders, or with a leading dot)': self.hidden,
            'entries that are not files (broken links, pipes, ...)': self.unusable,
            'links to folders that were already listed': self.repeated,
        }
        return [
            f'skipped {len(names)} {reason}, such as {min(names)!r}'
            for reason, names in reasons.items()
            if names
        ]


def name_prefix(backend: BaseStorageBackend, folder: str) -> str:
    """What precedes a name in the path of an image: the folder with its separator."""
    return backend.join_path(folder, 'x')[:-1]


def times_of(root: str, folder: str) -> FolderTimes:
    """When a folder below ``root`` changed; OSError if it is missing or unreadable."""
    status = os.stat(osp.join(root, folder))
    return FolderTimes(folder, status.st_mtime_ns, status.st_ctime_ns)


def _not_listed(folder: str, reason: str) -> DataError:
    return DataError(
        f'The image folder {folder!r} cannot be listed: {reason}. Use a local or '
        'mounted folder, or a file backend of mmengine that lists folders, with its '
        'backend_args (images behind HTTP have to be downloaded first).'
    )


def _has_all(instance: object, names: Iterable[str]) -> bool:
    return all(hasattr(instance, name) for name in names)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name, without its parents, is skipped."""
    return name.startswith('.') or name.casefold() in SYSTEM_FOLDERS


# A link in a loop of links, or into a folder without permission, raises an error.
def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: os.DirEntry) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
