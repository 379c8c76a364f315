"""Shards, the files of a store: named columns of one run of rows, as safetensors."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .rows import Columns

#: numpy's types by their names in a safetensors header.
_DTYPES = dict(U8='|u1', I8='|i1', U32='<u4', F16='<f2', F32='<f4')
#: Key of a shard's checksum and numbers in its header's metadata.
_FACTS = 'mmlgd'
#: Files that stay open, each with a descriptor.
_OPEN_FILES = 64


class Shard(NamedTuple):
    """A run of ``size`` rows of a view, or of the image table where ``view`` is None.

    A finished shard is never modified: images that come later get their own.
    """

    view: int | None
    first: int
    size: int

    def path(self, store: Path) -> Path:
        """The finished shard."""
        folder = 'images' if self.view is None else f'views/{self.view:03}'
        return Path(store) / folder / f'{self.first:09}.safetensors'


def write_shard(path: Path, columns: Columns, **facts: float | str) -> None:
    """Write the columns of a shard, and numbers about it, whole or not at all."""
    facts['sha256'] = _digest(columns)
    # One entry, since their order is random.
    write_atomically(path, save(columns, {_FACTS: json.dumps(facts, sort_keys=True)}))


class ShardReader:
    """Reads a shard, row by row or as a whole; a copy in another process costs nothing.

    Rows are read, not mapped: pages of a map count as this process's memory, and a file
    that is cut off while it is mapped kills the process.

    Args:
        path: The shard.
        rows: How many it should have.
        types: Names and types of the columns that it should have, at least.

    Attributes:
        facts (dict): ``sha256``, and what :func:`write_shard` was given.

    Raises:
        DataError: It is missing, truncated or malformed, or has other columns.
    """

    def __init__(self, path: Path, rows: int, types: dict[str, np.dtype]) -> None:
        self.path, self.types = path, types
        try:
            # The library refuses headers that do not fit the file.
            with safe_open(path, 'np') as checked, open(path, 'rb') as file:
                self.facts = json.loads((checked.metadata() or {}).get(_FACTS, '{}'))
                if not isinstance(self.facts, dict):
                    raise ValueError('its facts are not a JSON object')
                length = int.from_bytes(file.read(8), 'little')
                header = json.loads(file.read(length))
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            state = 'is malformed or truncated' if path.is_file() else 'is missing'
            raise self.fault(f'{state} ({error})') from error
        self._begins = {}
        for name, dtype in types.items():
            found, shape = header.get(name, {}), [rows, *dtype.shape]
            kind = _DTYPES.get(found.get('dtype'))
            if kind != dtype.base.str or found['shape'] != shape:
                raise self.fault(f'has no {name} of type {dtype.base}, shape {shape}')
            self._begins[name] = 8 + length + found['data_offsets'][0]

    def row(self, index: int) -> Columns:
        """One row of ``types``.

        Raises:
            DataError: The file has become shorter.
        """
        row = {}
        for name, dtype in self.types.items():
            offset = self._begins[name] + index * dtype.itemsize
            data = os.pread(_file_of(self).fileno(), dtype.itemsize, offset)
            if len(data) != dtype.itemsize:
                raise self.fault('is truncated')
            row[name] = np.frombuffer(data, dtype)[0]
        return row

    def columns(self) -> Columns:
        """All columns, whole."""
        try:
            with safe_open(self.path, 'np') as file:
                return {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, TypeError, ValueError, SafetensorError) as error:
            raise self.fault(f'cannot be read ({error})') from error

    def is_intact(self) -> bool:
        """Whether the columns have the checksum of its facts."""
        return _digest(self.columns()) == self.facts.get('sha256')

    def number(self, name: str) -> float:
        """One of its facts.

        Raises:
            DataError: There is no such number.
        """
        if not isinstance(number := self.facts.get(name), float):
            raise self.fault(f'has no {name}')
        return number

    def fault(self, state: str) -> DataError:
        """An error about this shard, with how to fix it."""
        return DataError(
            f'The shard {self.path} {state}; copy it again, or remove it and run '
            'tools/build_stored_views.py, which computes it again.'
        )


@lru_cache(_OPEN_FILES)
def _file_of(reader: ShardReader) -> BinaryIO:
    return open(reader.path, 'rb')


def _digest(columns: Columns) -> str:
    """SHA-256 over the bytes of all columns, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(np.ascontiguousarray(columns[name]))
    return digest.hexdigest()
