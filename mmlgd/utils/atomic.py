"""Files that are written completely or not at all."""

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
    """Write a file under a temporary name, then rename it.

    A reader, or a run after a crash, sees the old or the new file, never a partial one.
    If the body raises, the old file is kept and the partial one is removed.

    Args:
        path: The file to create or replace. Its folder is created if missing.

    Yields:
        Path: The file to write, in the same folder (a rename works only within
        one file system).

    Raises:
        OSError: The disk is full, or the folder cannot be written.

    Example:
        >>> with replace_file('bank.pth') as part:
        ...     torch.save(state, part)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _temporary_path(path)
    try:
        yield part
        # Otherwise a power failure may leave a renamed file of zero bytes; some file
        # systems report a full disk only here.
        _flush_to_disk(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    # The new file is in place; some network file systems refuse to flush a folder.
    with suppress(OSError):
        _flush_to_disk(path.parent)


def check_output_file(
    path: str | Path,
    option: str = '--out',
    suffixes: tuple[str, ...] = (),
    is_folder: bool = False,
) -> None:
    """Check that an output file can be written, before its content is computed.

    Args:
        path: The output file. Its folder is created if missing.
        option: Option that sets it, for the message. Defaults to '--out'.
        suffixes: Accepted suffixes, such as ``('.pkl', '.pickle')``. Defaults to none,
            which accepts any.
        is_folder: Whether the output is a folder, such as a package of Core ML, which
            replaces one of the same name. Defaults to False.

    Raises:
        ConfigError: The folder cannot be created or written, the name is too long or
            has another suffix, or ``path`` is a folder (or a file if a folder is
            written).
    """
    path = Path(path)
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(
            f'{option} must end with {" or ".join(suffixes)}, but is {str(path)!r}.'
        )
    check_output_folder(path.parent, option)
    try:
        found_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f'{option} {path} cannot be written: {error.strerror}; name another file.'
        ) from error
    if found_folder and not is_folder:
        raise ConfigError(f'{option} {path} is a folder; name a file in it.')
    if is_folder and not found_folder:
        raise ConfigError(f'{option} {path} is a file; remove it, or set another name.')


def check_output_folder(path: str | Path, option: str = '--out') -> None:
    """Check that an output folder can be written, before its content is computed.

    Args:
        path: The folder, created if missing.
        option: Option that sets it, for the message. Defaults to '--out'.

    Raises:
        ConfigError: The folder cannot be created or written, or is a file.
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


def _temporary_path(path: Path) -> Path:
    """A temporary name in the folder of ``path``, short enough if that name is."""
    unique = uuid.uuid4().hex[:8]
    return path.with_name(f'.{path.name[:40]}.{unique}{TEMPORARY_SUFFIX}')


@contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Fill a folder under a temporary name, then rename it.

    If the body raises, the old folder is kept and the partial one is removed. Between
    the removal of the old folder and the renaming, there is briefly none.

    Args:
        path: The folder to create or replace.

    Yields:
        Path: The empty folder to fill, in the parent folder of ``path`` (a rename works
        only within one file system).

    Raises:
        OSError: The disk is full, or the parent folder cannot be written.
    """
    path = Path(path)
    part = _temporary_path(path)
    try:
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def replace_group(path: str | Path) -> Iterator[Path]:
    """Write a file and the files or folders beside it that belong to it, then move them.

    If the body raises, existing files are kept. Each file is replaced as a whole, the
    named one last; a crash in between may leave new files beside the old one.

    Args:
        path: The file or folder to create or replace.

    Yields:
        Path: What to write: of the same name, in an empty temporary folder.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _temporary_path(path)
    folder.mkdir()
    try:
        yield folder / path.name
        found = sorted(folder.iterdir(), key=lambda each: each.name == path.name)
        for each in found:
            target = path.parent / each.name
            if each.is_dir():
                shutil.rmtree(target, ignore_errors=True)
            else:
                _flush_to_disk(each)
            os.replace(each, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a complete file or nothing.

    Args:
        path: The file to create or replace.
        data: Its content; text is encoded as UTF-8.

    Raises:
        OSError: See :func:`replace_file`.
    """
    with replace_file(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def remove_leftovers(folder: str | Path, min_age: float = 0) -> list[str]:
    """Remove the temporary files of killed runs in a folder.

    Args:
        folder: A folder that no other process is writing to, or none for longer than
            ``min_age``.
        min_age: Minimum seconds since a file was last modified. Defaults to 0.

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
    """Seconds since a file was modified; 0 if it has just been removed."""
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
