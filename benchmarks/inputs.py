"""What a result was made from: digests of settings, files and image folders."""

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

    A file counts by its content: weights, names, model configs, lists. A folder counts
    by the names, sizes and modification times of the files in it; it is read once a
    process, see :func:`forget_folders`.

    Args:
        settings (Any): Dicts, lists and plain values. A string that has a slash or
            a dot in it and names an existing file or folder is one.

    Returns:
        dict[str, str]: Digest by path; that of the settings under :data:`SETTINGS`.
    """
    # Paths below the current folder count from there, so that a copy is the same.
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
    """Names of the inputs that are not what they were, sorted."""
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
    """Of all files but hidden ones; links are followed, each folder is read once."""
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
