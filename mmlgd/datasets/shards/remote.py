"""Shards behind http(s) or S3, read by ranges of bytes through fsspec."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import fsspec
from fsspec.asyn import sync
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.printable import printable

from .shard_names import is_glob
from .storage import Range, Stat, Storage

#: Ranges of one shard with at most this gap are read in one request.
_MAX_GAP = 2**16
_MAX_REQUEST = 2**26
_CONCURRENT = 64
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


class RemoteStorage(Storage):
    """Shards behind a URL. Requests of a batch are made concurrently.

    A failed request is repeated ``retries`` times, with pauses of 0.5, 1, 2, ... up to
    15 seconds. A request fails after ``timeout`` seconds at the latest.
    """

    is_remote = True

    def __init__(
        self, root: str, options: dict[str, Any], retries: int, timeout: float
    ) -> None:
        super().__init__(root)
        self.options, self.retries, self.timeout = options, retries, timeout
        # Wrong options are reported here.
        self._opened = os.getpid(), self._open()

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__, _opened=(0, None))

    def _open(self) -> Any:
        """A file system of fsspec.

        Raises:
            ConfigError: The options do not fit.
        """
        scheme = self.root.split(':')[0].lower()
        try:
            return fsspec.filesystem(scheme, skip_instance_cache=True, **self.options)
        except TypeError as error:
            raise ConfigError(
                f'storage_options {[*self.options]} do not fit {scheme}: {error}'
            ) from error

    @property
    def _files(self) -> Any:
        """The file system of this process; its connections cannot be shared."""
        if self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._open()
        return self._opened[1]

    def stat(self, names: Sequence[str]) -> list[Stat | None]:
        """See :meth:`Storage.stat`."""
        infos = self._repeat(
            [self.path(name) for name in names],
            lambda files, urls: [files._info(url) for url in urls],
            is_complete=lambda url, info: info.get('size') is not None,
            what='stated no size',
        )
        return [
            None
            if info is None
            else Stat(
                info['size'], str(info.get('ETag') or info.get('Last-Modified', ''))
            )
            for info in infos
        ]

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """See :meth:`Storage.read_many`."""
        requests = _merge(ranges)
        contents = self._repeat(
            requests,
            lambda files, parts: [
                files._cat_file(self.path(name), start=start, end=end)
                for name, start, end, _ in parts
            ],
            is_complete=lambda each, data: len(data) == each.end - each.start,
            what='sent another number of bytes than requested; it may not support ranges',
        )
        found: dict[str, list] = {}
        for request, content in zip(requests, contents):
            if content is None:
                raise DataError(
                    f'The shard {self.path(request.name)} does not exist any more. Put '
                    'it back.'
                )
            found.setdefault(request.name, []).append((request, content))
        return [_cut(each, found[each.name]) for each in ranges]

    def _repeat(self, items: list, start: Any, is_complete: Any, what: str) -> list:
        """Results of concurrent requests; None where the server has no such file."""
        results: list[Any] = [None] * len(items)
        pending, reason, url = [*range(len(items))], '', ''
        for attempt in range(self.retries + 1):
            if attempt:
                pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
                print_log(
                    f'{url}: {reason}; request {attempt + 1} of {self.retries + 1} '
                    f'follows in {pause:g} s.',
                    logger='current',
                    level=logging.WARNING,
                )
                time.sleep(pause)
            replies = self._gather([items[index] for index in pending], start)
            failed = []
            for index, reply in zip(pending, replies):
                item = items[index]
                if _is_missing(reply):
                    continue
                if isinstance(reply, FileNotFoundError):
                    reply = reply.__cause__
                if isinstance(reply, PermissionError):
                    raise self._failed(item, _describe(reply), 1) from reply
                if isinstance(reply, BaseException):
                    cause = _describe(reply)
                elif is_complete(item, reply):
                    results[index] = reply
                    continue
                else:
                    cause = f'the server {what}'
                failed.append(index)
                reason, url = cause, self._url(item)
            pending = failed
            if not pending:
                return results
        raise self._failed(items[pending[0]], reason, self.retries + 1)

    def _gather(self, items: list, start: Any) -> list:
        files = self._files

        async def run() -> list:
            limit = asyncio.Semaphore(_CONCURRENT)

            async def one(request: Any) -> Any:
                async with limit:
                    return await asyncio.wait_for(request, self.timeout)

            requests = start(files, items)
            return await asyncio.gather(*map(one, requests), return_exceptions=True)

        return sync(files.loop, run)

    def _url(self, item: Any) -> str:
        return item if isinstance(item, str) else self.path(item.name)

    def _failed(self, item: Any, reason: str, tries: int) -> DataError:
        wanted = ''
        if isinstance(item, Range) and item.member:
            wanted = f' The first image of this request is {item.member!a}.'
        return DataError(
            f'{self._url(item)} cannot be read: {reason}.{wanted} Tried {tries} time(s), '
            f'each for at most {self.timeout:g} s. Check the server, the URL and the '
            'credentials in the environment, and resume the run; or raise retries and '
            'timeout of the dataset.'
        )

    def _match(self, pattern: str) -> list[str]:
        if not self.root.lower().startswith('s3:'):
            raise ConfigError(
                f'{self.root} cannot be searched for {pattern!r}, since http has no list '
                "of files: set shards='{00000..01234}.tar', or a list of names."
            )
        prefix = pattern[: next(i for i, char in enumerate(pattern) if is_glob(char))]
        folder = self.path(prefix).rpartition('/')[0]
        (names,) = self._repeat(
            [self.path(pattern)],
            lambda files, urls: [files._glob(url) for url in urls],
            is_complete=lambda url, found: True,
            what='',
        )
        if not names:
            raise DataError(
                f'{folder} has no shard {pattern!r}. Correct data_root and shards of the '
                'dataset in the config.'
            )
        inside = len(self._files._strip_protocol(self.root)) + 1
        return sorted(name[inside:] for name in names)


def _merge(ranges: Sequence[Range]) -> list[Range]:
    """Requests that cover the ranges; neighbours of one shard share a request."""
    requests: list[Range] = []
    for name, start, end, member in sorted(set(ranges)):
        last = requests[-1] if requests else Range('', 0, 0)
        if (
            last.name == name
            and start - last.end <= _MAX_GAP
            and max(end, last.end) - last.start <= _MAX_REQUEST
        ):
            requests[-1] = last._replace(end=max(end, last.end))
        else:
            requests.append(Range(name, start, end, member))
    return requests


def _cut(each: Range, found: list[tuple[Range, bytes]]) -> bytes:
    request, content = next(
        pair
        for pair in found
        if pair[0].start <= each.start and each.end <= pair[0].end
    )
    return content[each.start - request.start : each.end - request.start]


def _is_missing(error: Any) -> bool:
    """Whether the server answered that a file does not exist.

    fsspec also raises FileNotFoundError if there was no answer, with the cause.
    """
    cause = getattr(error, '__cause__', None)
    no_answer = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    failed = no_answer or getattr(cause, 'status', 404) not in (404, 410)
    return isinstance(error, FileNotFoundError) and not failed


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError) or type(error).__name__ == 'TimeoutError':
        return 'no answer in time'
    return printable(f'{type(error).__name__}: {error}')
