"""Inputs of a result: digests of settings, files and image folders."""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SETTINGS = 'settings'


def describe_inputs(settings: Any) -> dict[str, str]:
    """Digests of plain settings and of every file and folder that they name.

    For a file (weights, names, model configs, lists), the digest is that of its
    content. For a folder, it is that of the names, sizes and modification times of its
    files. A folder is read once per process, see :func:`forget_folders`.

    Args:
        settings (Any): Dicts, lists and plain values. A string with a slash or a dot
            that names an existing file or folder is treated as a path.

    Returns:
        dict[str, str]: Digest by path, and the digest of the settings under
        :data:`SETTINGS`.
    """
    # Paths within the current folder are relative to it, so that copies are equal.
    text = json.dumps(settings, sort_keys=True, default=str)
    found = {SETTINGS: _digest(text.replace(f'{os.getcwd()}/', ''))}
    for path in sorted({*_strings(settings)}):
        if ('/' in path or '.' in path) and '\0' not in path and len(path) < 4096:
            if os.path.isfile(path):
                found[path] = _file_digest(path, os.stat(path).st_mtime_ns)
            elif '/' in path and os.path.isdir(path):
                found[path] = _folder_digest(path)
    return found


def changed_inputs(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Sorted names of the inputs that have changed."""
    return sorted(n for n in {*before, *now} if before.get(n) != now.get(n))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


@cache
def _file_digest(path: str, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


@cache
def _folder_digest(folder: str) -> str:
    """Digest of all files that are not hidden, following links to folders once."""
    lines, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith('.')]
        for name in files:
            path = os.path.join(root, name)
            if not name.startswith('.') and os.path.exists(path):
                status, place = os.stat(path), os.path.relpath(path, folder)
                lines.append(f'{place} {status.st_size} {status.st_mtime_ns}')
    return _digest('\n'.join(sorted(lines)))


forget_folders = _folder_digest.cache_clear
