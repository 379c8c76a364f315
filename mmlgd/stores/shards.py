"""Shards, the files of a store: named columns of one run of rows, as safetensors."""

import hashlib
import json
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.atomic import write_atomically

#: What an embedding can be stored as, with numpy's name of the type.
EMBEDDING_DTYPES = dict(float16='<f2', int8='i1')
#: numpy's types by their names in a safetensors header.
_DTYPES = dict(U8='|u1', I8='|i1', U32='<u4', F16='<f2', F32='<f4')
#: Key of a shard's checksum and numbers in its header's metadata.
_FACTS = 'mmlgd'
Columns = dict[str, np.ndarray]


class Shard(NamedTuple):
    """A run of ``size`` rows of a view, or of the image table where ``view`` is None.

    A finished shard is never modified: images that come later get their own.
    """

    view: int | None
    first: int
    size: int

    def path(self, store: str | Path) -> Path:
        """The finished shard."""
        folder = 'images' if self.view is None else f'views/{self.view:03}'
        return Path(store) / folder / f'{self.first:09}.safetensors'


def view_columns(embedding_dtype: str, embed_dims: int) -> dict[str, np.dtype]:
    """Name and type of each column of a view; a type has the shape of one row."""
    if embedding_dtype not in EMBEDDING_DTYPES:
        names = ' or '.join(EMBEDDING_DTYPES)
        raise ConfigError(f'Stored views are {names}, not {embedding_dtype!r}.')
    scale = dict(scale=np.dtype('<f4')) if embedding_dtype == 'int8' else {}
    embedding = np.dtype((EMBEDDING_DTYPES[embedding_dtype], (embed_dims,)))
    return dict(pixels=np.dtype('<u4'), **scale, embedding=embedding)


def pixel_checksum(inputs: torch.Tensor) -> int:
    """CRC-32 of a packed image (3, H, W), as the column ``pixels`` has it."""
    return zlib.crc32(inputs.contiguous().numpy())


def pack_rows(pixels: np.ndarray, embeddings: np.ndarray, dtype: str) -> Columns:
    """Columns of B checksums (B,) and embeddings (B, D); see :func:`view_columns`."""
    types = view_columns(dtype, embeddings.shape[1])
    columns = dict(pixels=pixels, embedding=embeddings)
    if 'scale' in types:
        # A row of zeros has no scale of its own; any will do.
        largest = np.abs(embeddings).max(axis=1)
        columns['scale'] = (np.where(largest > 0, largest, 1) / 127).astype('<f4')
        columns['embedding'] = np.rint(embeddings / columns['scale'][:, None])
    return {name: columns[name].astype(one.base) for name, one in types.items()}


def unpack_embeddings(columns: Columns) -> np.ndarray:
    """Embeddings (B, D), or (D,) of one row, as stored: float32, not normalised."""
    embeddings = columns['embedding'].astype(np.float32)
    return (
        embeddings * columns['scale'][..., None] if 'scale' in columns else embeddings
    )


def cosine_loss(stored: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """1 - cos between embeddings (..., D), unpacked and as they were: (...) float64."""
    stored, exact = stored.astype(np.float64), exact.astype(np.float64)
    norms = np.linalg.norm(stored, axis=-1) * np.linalg.norm(exact, axis=-1)
    return 1 - (stored * exact).sum(axis=-1) / np.maximum(norms, 1e-12)


def write_shard(path: Path, columns: Columns, **facts: float | str) -> None:
    """Write the columns of a shard, and numbers about it, whole or not at all."""
    facts['sha256'] = _digest(columns)
    # One entry, since their order is random.
    write_atomically(path, save(columns, {_FACTS: json.dumps(facts, sort_keys=True)}))


class ShardReader:
    """Reads a shard, row by row or as a whole.

    ``types`` are the columns that it should have at least. Rows are read, not mapped:
    pages of a map count as this process's memory, and a file that is cut off while it is
    mapped kills the process.

    Raises:
        DataError: It is missing, truncated or malformed, or has other columns.
    """

    def __init__(self, path: Path, rows: int, types: dict[str, np.dtype]) -> None:
        self.path, self.types, self._begins = path, types, {}
        try:
            # The library refuses headers that do not fit the file.
            with safe_open(path, 'np') as checked, open(path, 'rb') as file:
                self._facts = json.loads((checked.metadata() or {}).get(_FACTS, '{}'))
                if not isinstance(self._facts, dict):
                    raise ValueError('its facts are not a JSON object')
                length = int.from_bytes(file.read(8), 'little')
                header = json.loads(file.read(length))
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            state = 'is malformed or truncated' if path.is_file() else 'is missing'
            raise self.fault(f'{state} ({error})') from error
        for name, dtype in types.items():
            found, shape = header.get(name, {}), [rows, *dtype.shape]
            kind = _DTYPES.get(found.get('dtype'))
            if kind != dtype.base.str or found['shape'] != shape:
                raise self.fault(f'has no {name} of type {dtype.base}, shape {shape}')
            self._begins[name] = 8 + length + found['data_offsets'][0]

    def row(self, index: int) -> Columns:
        """One row of ``types``; DataError where the file has become shorter."""
        row = {}
        for name, dtype in self.types.items():
            offset = self._begins[name] + index * dtype.itemsize
            data = os.pread(_file_of(self).fileno(), dtype.itemsize, offset)
            if len(data) != dtype.itemsize:
                raise self.fault('is truncated')
            row[name] = np.frombuffer(data, dtype)[0]
        return row

    def columns(self) -> Columns:
        """All columns, whole; DataError where one has an unknown type."""
        try:
            with safe_open(self.path, 'np') as file:
                return {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, TypeError, ValueError, SafetensorError) as error:
            raise self.fault(f'cannot be read ({error})') from error

    def is_intact(self) -> bool:
        """Whether the columns have the checksum that was written with them."""
        return _digest(self.columns()) == self._facts.get('sha256')

    def number(self, name: str) -> float:
        """A number that was written with the columns; DataError without it."""
        if not isinstance(number := self._facts.get(name), float):
            raise self.fault(f'has no {name}')
        return number

    def fault(self, state: str) -> DataError:
        """An error about this shard, with how to fix it."""
        return DataError(
            f'The shard {self.path} {state}; copy it again, or remove it and run '
            'tools/build_stored_views.py, which computes it again.'
        )


@lru_cache(64)  # That many files stay open, each with a descriptor.
def _file_of(reader: ShardReader) -> BinaryIO:
    return open(reader.path, 'rb')


def _digest(columns: Columns) -> str:
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(np.ascontiguousarray(columns[name]).data)
    return digest.hexdigest()
