"""Files that are either whole or not there."""

import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmlgd.errors import ConfigError

TEMPORARY_SUFFIX = '.mmlgd-tmp'


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Write a file under another name first, then rename it.

    A reader, or a run after a crash, sees the old file or the new one, never a
    part. When the body raises, the old file stays and the part is removed.

    Args:
        path: The file to make or replace. Its folder is made when absent.

    Yields:
        Path: The file to write, in the same folder (a rename works only within
        one file system).

    Raises:
        OSError: When the disk is full, or the folder cannot be written.

    Example:
        >>> with replace_file('bank.pth') as part:
        ...     torch.save(state, part)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part_of(path)
    try:
        yield part
        # Without it a power cut may leave a renamed file of zero bytes; some file
        # systems report a full disk only here.
        _flush_to_disk(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    # The new file is in place; some network file systems refuse to flush a folder.
    with suppress(OSError):
        _flush_to_disk(path.parent)


def check_output_file(
    path: str | Path, option: str = '--out', suffixes: tuple[str, ...] = ()
) -> None:
    """Refuse a place for a file before work is spent on what it will hold.

    Args:
        path: The file to come. Its folder is made when absent.
        option: Where the user named it, for the message. Defaults to '--out'.
        suffixes: Accepted endings, such as ``('.pkl', '.pickle')``. Defaults to none,
            which accepts any.

    Raises:
        ConfigError: The folder cannot be made or written, the name is too long or
            ends otherwise, or ``path`` is a folder.
    """
    path = Path(path)
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(
            f'{option} must end with {" or ".join(suffixes)}, but is {str(path)!r}.'
        )
    check_output_folder(path.parent, option)
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f'{option} {path} cannot be written: {error.strerror}; name another file.'
        ) from error
    if is_folder:
        raise ConfigError(f'{option} {path} is a folder; name a file in it.')


def check_output_folder(path: str | Path, option: str = '--out') -> None:
    """Refuse a folder for results before work is spent on them.

    Args:
        path: The folder, made when absent.
        option: Where the user named it, for the message. Defaults to '--out'.

    Raises:
        ConfigError: The folder cannot be made or written, or is a file.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ConfigError(
            f'{option}: the folder {path} cannot be written: {error.strerror}; name '
            'another one.'
        ) from error


def _part_of(path: Path) -> Path:
    """A name beside ``path``, short enough wherever the name itself is."""
    unique = uuid.uuid4().hex[:8]
    return path.with_name(f'.{path.name[:40]}.{unique}{TEMPORARY_SUFFIX}')


@contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Fill a folder under another name first, then rename it.

    When the body raises, the old folder stays and the part is removed. Between the
    removal of the old one and the renaming there is, for an instant, none.

    Args:
        path: The folder to make or replace.

    Yields:
        Path: The folder to fill, made, beside ``path`` (a rename works only within
        one file system).

    Raises:
        OSError: When the disk is full, or the parent folder cannot be written.
    """
    path = Path(path)
    part = _part_of(path)
    try:
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a whole file or nothing.

    Args:
        path: The file to make or replace.
        data: Its content; text is encoded as UTF-8.

    Raises:
        OSError: As :func:`replace_file` does.
    """
    with replace_file(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def remove_leftovers(folder: str | Path, min_age: float = 0) -> list[str]:
    """Remove the parts that killed runs left in a folder.

    Args:
        folder: Where nobody else is writing now, or nobody for longer than ``min_age``.
        min_age: Seconds since a part was last written to. Defaults to 0.

    Returns:
        list[str]: Names of the removed files.
    """
    parts = sorted(Path(folder).glob(f'.*{TEMPORARY_SUFFIX}'))
    if min_age:
        parts = [part for part in parts if _age(part) >= min_age]
    for part in parts:
        part.unlink(missing_ok=True)
    return [part.name for part in parts]


def _age(path: Path) -> float:
    """Seconds since a file was written to; 0 where it has just gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
