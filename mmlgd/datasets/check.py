"""Checks which files of a dataset exist."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from .expected import EXPECTED, ExpectedDataset, Need


@dataclass(frozen=True)
class NeedReport:
    """A required set of files, and what was found.

    Attributes:
        what (str): The patterns, and the lines if they are counted.
        expected (int, optional): Files (or lines); None is any number above 0.
        found (int): Files (or lines).
        fault (str): What is wrong; empty if nothing is.
    """

    what: str
    expected: int | None
    found: int
    fault: str


@dataclass(frozen=True)
class DatasetReport:
    """A dataset and its required files.

    Attributes:
        name (str): Key in ``EXPECTED``.
        title (str): Readable name.
        folder (str): The folder that was searched.
        status (str): 'ready', 'incomplete' or 'absent'.
        needs (list[NeedReport]): One report per requirement.
        get (str): How to obtain it.
    """

    name: str
    title: str
    folder: str
    status: str
    needs: list[NeedReport]
    get: str


def check_dataset(
    name: str, folder: str | Path, dataset: ExpectedDataset | None = None
) -> DatasetReport:
    """Check the files that a dataset consists of.

    Names, counts, sizes above zero and the first byte of JSON files are checked;
    images are not opened.

    Args:
        name: Key in ``EXPECTED``.
        folder: The dataset's folder.
        dataset: What to expect. Defaults to ``EXPECTED[name]``.
    """
    dataset = dataset or EXPECTED[name]
    folder = Path(folder)
    reports = [
        _check_need(folder, need)
        for need in dataset.needs
        if not (need.unless and any(_matches(folder, need.unless)))
    ]
    if not any(report.fault for report in reports):
        status = 'ready'
    elif any(report.found for report in reports):
        status = 'incomplete'
    else:
        status = 'absent'
    return DatasetReport(name, dataset.title, str(folder), status, reports, dataset.get)


def _check_need(folder: Path, need: Need) -> NeedReport:
    found, example = 0, None
    for pattern in need.patterns:
        for path in _matches(folder, pattern):
            found, example = found + 1, example or path
    what, expected = ' or '.join(need.patterns), need.count
    fault = _content_fault(example) if example else ''
    if example and not fault and need.lines is not None:
        what, expected = f'lines of {what}', need.lines
        with open(example, 'rb') as file:
            found = sum(1 for _ in file)
    return NeedReport(what, expected, found, fault or _count_fault(found, expected))


def _count_fault(found: int, expected: int | None) -> str:
    if not found:
        return 'missing'
    if expected is None or found == expected:
        return ''
    return f'{abs(found - expected):,} too {"few" if found < expected else "many"}'


def _content_fault(path: str) -> str:
    """What is wrong with a file, judged by its size and first byte."""
    with open(path, 'rb') as file:
        head = file.read(64).lstrip()
    if not head:
        return 'empty file'
    if path.endswith('.json') and not head.startswith(b'{'):
        return f'not a JSON object: it starts with {head[:12]!r}'
    return ''


def _matches(folder: Path, pattern: str) -> Iterator[str]:
    """Paths of files below a folder; each part of the pattern matches one level.

    ``Path.glob`` makes an object a file, which a million files turn into minutes.
    """
    *levels, last = [re.compile(translate(part)) for part in pattern.split('/')]
    folders = [str(folder)]
    for level in levels:
        folders = [
            entry.path
            for parent in folders
            for entry in _entries(parent)
            if level.match(entry.name) and entry.is_dir()
        ]
    for parent in folders:
        for entry in _entries(parent):
            if last.match(entry.name) and entry.is_file():
                yield entry.path


def _entries(folder: str) -> list[os.DirEntry]:
    """Sorted entries of a folder; an empty list if it does not exist."""
    if not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
