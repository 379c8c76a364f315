"""A file with the names of the images of a folder, so that it need not be listed again.

A line of JSON, then arrays: bytes and ends of the images' names, bytes and ends of the
folders' names, times of the folders. Nothing in it is executed.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import replace_file
from mmlgd.utils.printable import printable

from .image_folder import FolderTimes, FoundImages, times_of
from .image_names import ImageNames

FORMAT = dict(format='mmlgd image list', version=1)
#: Longest line of JSON.
_MAX_HEAD = 2**20
#: A folder that changed less than this before it was listed, in ns, is listed again next
#: time: a later change might have the same time.
_SETTLED = 2 * 10**9
_UNKNOWN = -1


class FolderManifest:
    """A manifest that was read.

    Attributes:
        digest (str): SHA-256 of its content.
        names (ImageNames): The images.
        skipped (list[str]): See :class:`FoundImages`.

    Args:
        path: The file.
        prefix: What precedes the names in a path.

    Raises:
        DataError: There is none, or it is damaged or of another version.
    """

    def __init__(self, path: str | Path, prefix: str) -> None:
        try:
            with open(path, 'rb') as stream:
                head = json.loads(stream.readline(_MAX_HEAD))
                content = stream.read()
            self._read(head, content, prefix)
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            ArithmeticError,
            RecursionError,
        ) as error:
            reason = printable(f'{type(error).__name__}: {error}')[:200]
            raise DataError(f'{path} is not a list of images: {reason}.') from error

    def _read(self, head: dict, content: bytes, prefix: str) -> None:
        if {key: head[key] for key in FORMAT} != FORMAT:
            raise ValueError(f'it is not of version {FORMAT["version"]}')
        self.digest = hashlib.sha256(content).hexdigest()
        if self.digest != head['sha256']:
            raise ValueError('its checksum differs')
        self.extensions, self.skipped = head['extensions'], head['skipped']
        for texts in (self.extensions, self.skipped):
            if not (isinstance(texts, list) and all(isinstance(t, str) for t in texts)):
                raise ValueError('its head is damaged')
        images, folders = int(head['images']), int(head['folders'])
        sizes = [head['image_bytes'], 8 * images, head['folder_bytes'], 8 * folders]
        starts = np.cumsum([0, *sizes]).tolist()
        if not images or min(sizes) < 0 or starts[-1] + 16 * folders != len(content):
            raise ValueError('its sizes differ')
        texts, ends, folder_texts, folder_ends = (
            np.frombuffer(content, kind, size // np.dtype(kind).itemsize, start)
            for kind, size, start in zip(('u1', '<i8') * 2, sizes, starts)
        )
        self.names = ImageNames(prefix, texts, ends)
        self._folders = ImageNames('', folder_texts, folder_ends)
        times = np.frombuffer(content, '<i8', 2 * folders, starts[-1])
        self._times = times.reshape(folders, 2)
        for each in (self.names, self._folders):
            steps = np.diff(each.ends, prepend=0)
            if (steps < 0).any() or each.ends[-1:].sum() != len(each.texts):
                raise ValueError('the ends of its names are wrong')

    def find_change(self, folder: str, extensions: Sequence[str]) -> str:
        """Why it does not hold for a folder; '' if it does.

        A folder's times change whenever an entry of it is added, removed or renamed.
        """
        if [*self.extensions] != [*extensions]:
            return f'it is of files that end with {", ".join(self.extensions)}'
        for name, times in zip(self._folders.names(), self._times.tolist()):
            try:
                found = times_of(folder, name)
            except OSError as error:
                return f'the folder {name!a} cannot be read ({error.strerror})'
            if times != [*found[1:]]:
                return f'the folder {name or "."!a} changed, or was new'
        return '' if len(self._folders) else 'it has no folder'


def write_manifest(
    path: Path, found: FoundImages, extensions: Sequence[str]
) -> tuple[ImageNames, str]:
    """Write a manifest, completely or not at all.

    Returns:
        tuple[ImageNames, str]: The names, and the digest of the manifest.

    Raises:
        OSError: It cannot be written.
    """
    names = ImageNames.pack(found.prefix, found.names)
    folders = ImageNames.pack('', [each.name for each in found.folders])
    limit = found.begun - _SETTLED
    times = np.array([_settled(each, limit) for each in found.folders], '<i8').reshape(
        -1, 2
    )
    parts: list[Any] = [names.texts, names.ends, folders.texts, folders.ends, times]
    content = b''.join(part.tobytes() for part in parts)
    digest = hashlib.sha256(content).hexdigest()
    head = dict(
        FORMAT,
        images=len(names),
        image_bytes=len(names.texts),
        folders=len(folders),
        folder_bytes=len(folders.texts),
        extensions=[*extensions],
        skipped=found.skipped,
        sha256=digest,
    )
    with replace_file(path) as part:
        part.write_bytes(json.dumps(head).encode() + b'\n' + content)
    return names, digest


def _settled(folder: FolderTimes, limit: int) -> tuple[int, int]:
    times = folder.modified, folder.changed
    return times if 0 < min(times) and max(times) < limit else (_UNKNOWN, _UNKNOWN)
