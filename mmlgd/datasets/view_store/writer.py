"""Writing shards, so that a killed build goes on where it was."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from mmlgd.errors import DataError
from mmlgd.utils.atomic import write_atomically

from .locks import claim
from .rows import cosine_loss, pack_rows, row_dtype
from .shards import Shard

_BLOCK_BYTES = 2**20


class ShardWriter:
    """Appends rows to an unfinished shard; those of a killed build stay.

    Args:
        store: Folder of the store.
        shard: What to write.
        embedding_dtype: See :func:`row_dtype`.
        embed_dims: D.

    Attributes:
        done (int): Rows that are there.

    Raises:
        DataError: Another process writes this shard.
    """

    def __init__(
        self, store: Path, shard: Shard, embedding_dtype: str, embed_dims: int
    ) -> None:
        self.store, self.shard = store, shard
        self.embedding_dtype = embedding_dtype
        row_bytes = row_dtype(embedding_dtype, embed_dims).itemsize
        path = shard.part(store)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, 'ab')
        claim(self._file, path)
        self.done = written_rows(store, shard, row_bytes)
        # A killed write may have left part of a row.
        self._file.truncate(self.done * row_bytes)
        self._losses: list[np.ndarray] = []

    @property
    def missing(self) -> int:
        """Rows still to come."""
        return self.shard.size - self.done

    def append(self, pixels: np.ndarray, embeddings: np.ndarray) -> None:
        """Write the next rows to the disk; the last ones finish the shard.

        Args:
            pixels: (B,) checksums, B at most :attr:`missing`.
            embeddings: (B, D) float32.

        Raises:
            DataError: An embedding is not finite.
        """
        if not np.isfinite(embeddings).all():
            raise DataError(
                f'The teacher gave NaN or infinity for view {self.shard.view} of a row from '
                f'{self.shard.first + self.done}; set precision of the teacher to "fp32".'
            )
        rows = pack_rows(pixels, embeddings, self.embedding_dtype)
        self._losses.append(cosine_loss(rows, embeddings))
        self._file.write(rows.tobytes())
        self._file.flush()
        # After a power cut, too, the rows before the last batch are what they were.
        os.fsync(self._file.fileno())
        self.done += len(rows)
        if not self.missing:
            self._finish()

    def __enter__(self) -> 'ShardWriter':
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _finish(self) -> None:
        part, path = self.shard.part(self.store), self.shard.path(self.store)
        losses = np.concatenate(self._losses)
        facts = dict(
            sha256=file_sha256(part),
            # Of a resumed shard, the rows since.
            measured_rows=len(losses),
            mean_cosine_loss=float(losses.mean()),
            worst_cosine_loss=float(losses.max()),
        )
        write_atomically(self.shard.facts(self.store), json.dumps(facts) + '\n')
        os.replace(part, path)


def written_rows(store: Path, shard: Shard, row_bytes: int) -> int:
    """Whole rows of an unfinished shard, all but the last at the most.

    The last one finishes the shard, so a build that was killed between the two has
    it written again.
    """
    try:
        size = os.stat(shard.part(store)).st_size
    except FileNotFoundError:
        return 0
    return min(size // row_bytes, shard.size - 1)


def read_facts(path: Path) -> dict:
    """What is known of a finished shard; empty where the file is absent or broken."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
