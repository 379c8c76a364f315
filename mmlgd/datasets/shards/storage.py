"""Where shards are: a local folder, or a place behind http(s) or S3."""

import glob
import os
import os.path as osp
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmlgd.errors import DataError

from .shard_names import expand_braces, is_glob

#: Local shards that a process keeps open.
_MAX_OPEN = 64


class Range(NamedTuple):
    """Bytes [start, end) of the shard ``name``; ``member`` is in them, for messages."""

    name: str
    start: int
    end: int
    member: str = ''


class Stat(NamedTuple):
    """What is compared to find out whether a shard changed.

    Attributes:
        size: In bytes.
        stamp: Time of the last change in ns for a local shard; ETag or time of the last
            change for a remote one, '' if the server gives neither.
    """

    size: int
    stamp: str


class Storage(ABC):
    """A place that holds shards, which are named relative to it.

    Attributes:
        root (str): Folder or URL, without a slash at its end.
        is_remote (bool): Whether each read is a request to a server.
    """

    is_remote = False

    def __init__(self, root: str) -> None:
        self.root = root.rstrip('/') or '/'

    def path(self, name: str) -> str:
        """Path or URL of a shard."""
        return f'{self.root}/{name}'

    def find(self, patterns: Sequence[str]) -> list[str]:
        """Names of the shards, in the order of the patterns, without duplicates.

        Args:
            patterns: Names, with ranges like ``{0000..0123}`` or with ``*``, whose
                matches are sorted.

        Raises:
            ConfigError: A range is invalid.
            DataError: A pattern with ``*`` has no match, or cannot be listed.
        """
        names: list[str] = []
        for pattern in patterns:
            for name in expand_braces(pattern):
                names += self._match(name) if is_glob(name) else [name]
        return [*dict.fromkeys(names)]

    def read(self, each: Range) -> bytes:
        """Read one range; see :meth:`read_many`."""
        return self.read_many([each])[0]

    @abstractmethod
    def stat(self, names: Sequence[str]) -> list[Stat | None]:
        """Size and stamp of shards; None for a missing one."""

    @abstractmethod
    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """Read ranges of shards; shorter only where a local shard ends.

        Raises:
            DataError: A shard is missing or cannot be read.
        """

    @abstractmethod
    def _match(self, pattern: str) -> list[str]:
        """Sorted names that match a pattern with ``*``, ``?`` or ``[``."""


class LocalStorage(Storage):
    """A folder. Files are read by ``pread``, which is safe in forked workers."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self._files: OrderedDict[str, int] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker opens its own files.
        return dict(self.__dict__, _files=OrderedDict())

    def __del__(self) -> None:
        for descriptor in self.__dict__.get('_files', {}).values():
            os.close(descriptor)

    def stat(self, names: Sequence[str]) -> list[Stat | None]:
        """See :meth:`Storage.stat`."""
        found: list[Stat | None] = []
        for name in names:
            try:
                status = os.stat(self.path(name))
            except FileNotFoundError:
                found.append(None)
            except OSError as error:
                raise self._unreadable(name, error) from error
            else:
                found.append(Stat(status.st_size, str(status.st_mtime_ns)))
        return found

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """See :meth:`Storage.read_many`."""
        return [self._read(*each[:3]) for each in ranges]

    def _read(self, name: str, start: int, end: int) -> bytes:
        try:
            if name not in self._files:
                if len(self._files) >= _MAX_OPEN:
                    os.close(self._files.popitem(last=False)[1])
                self._files[name] = os.open(self.path(name), os.O_RDONLY)
            self._files.move_to_end(name)
            return os.pread(self._files[name], end - start, start)
        except OSError as error:
            raise self._unreadable(name, error) from error

    def _match(self, pattern: str) -> list[str]:
        if not osp.isdir(self.root):
            raise DataError(
                f'The folder of shards {self.root!r} does not exist. Correct data_root '
                'of the dataset in the config (relative paths start from the current '
                f'folder, {osp.abspath(".")!r}).'
            )
        names = sorted(glob.glob(pattern, root_dir=self.root, recursive=True))
        if not names:
            raise DataError(
                f'The folder {self.root!r} has no shard {pattern!r}. Correct data_root '
                'and shards of the dataset in the config.'
            )
        return names

    def _unreadable(self, name: str, error: OSError) -> DataError:
        return DataError(
            f'The shard {self.path(name)} cannot be read: {error.strerror}. Put it back, '
            'or correct its permissions.'
        )
