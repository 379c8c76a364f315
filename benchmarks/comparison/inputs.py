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
    by the names, sizes and modification times of the files in it.

    Args:
        settings (Any): Dicts, lists and plain values. A string that has a slash or
            a dot in it and names an existing file or folder is one.

    Returns:
        dict[str, str]: Digest by path; that of the settings under :data:`SETTINGS`.
    """
    # Paths below the current folder count from there, so that a copy is the same.
    text = json.dumps(settings, sort_keys=True, default=str)
    found = {SETTINGS: _digest(text.replace(f'{os.getcwd()}/', ''))}
    for path in sorted({text for text in _strings(settings) if _is_path_like(text)}):
        if os.path.isfile(path):
            status = os.stat(path)
            found[path] = _file_digest(path, status.st_size, status.st_mtime_ns)
        elif '/' in path and os.path.isdir(path):
            found[path] = _digest('\n'.join(_listing(path)))
    return found


def changed_inputs(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Names of the inputs that are not what they were, sorted."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _is_path_like(text: str) -> bool:
    return len(text) < 4096 and '\0' not in text and ('/' in text or '.' in text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _strings(each)


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


@cache
def _file_digest(path: str, size: int, modified: int) -> str:
    """Of the content; read again only where size or time of the file have changed."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _listing(folder: str) -> list[str]:
    """One line a file, hidden ones left out, sorted by path; links are followed once."""
    lines, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(root))
        folders[:] = [
            name
            for name in folders
            if not name.startswith('.')
            and os.path.realpath(os.path.join(root, name)) not in seen
        ]
        for name in files:
            path = os.path.join(root, name)
            if not name.startswith('.') and os.path.exists(path):
                status = os.stat(path)
                place = os.path.relpath(path, folder)
                lines.append(f'{place} {status.st_size} {status.st_mtime_ns}')
    return sorted(lines)
