"""A row of a store: the checksum of a view's pixels and the teacher's embedding."""

import zlib

import numpy as np
import torch

from mmlgd.errors import ConfigError

#: What an embedding can be stored as.
EMBEDDING_DTYPES = ('float16', 'int8')
_INT8_MAX = 127


def row_dtype(embedding_dtype: str, embed_dims: int) -> np.dtype:
    """Layout of a row, little-endian and without padding.

    Args:
        embedding_dtype: 'float16', or 'int8' with one float32 scale a row.
        embed_dims: D.

    Raises:
        ConfigError: Another embedding type.
    """
    if embedding_dtype == 'float16':
        return np.dtype([('pixels', '<u4'), ('embedding', '<f2', (embed_dims,))])
    if embedding_dtype == 'int8':
        return np.dtype(
            [('pixels', '<u4'), ('scale', '<f4'), ('embedding', 'i1', (embed_dims,))]
        )
    raise ConfigError(
        f'Stored views are {" or ".join(EMBEDDING_DTYPES)}, not {embedding_dtype!r}.'
    )


def pixel_checksum(inputs: torch.Tensor) -> int:
    """CRC-32 of a packed image (3, H, W), as its row has it."""
    return zlib.crc32(inputs.contiguous().numpy())


def pack_rows(
    pixels: np.ndarray, embeddings: np.ndarray, embedding_dtype: str
) -> np.ndarray:
    """Make rows.

    Args:
        pixels: (B,) checksums of :func:`pixel_checksum`.
        embeddings: (B, D) float32.
        embedding_dtype: See :func:`row_dtype`.

    Returns:
        np.ndarray: (B,) of :func:`row_dtype`.
    """
    rows = np.empty(
        len(embeddings), dtype=row_dtype(embedding_dtype, embeddings.shape[1])
    )
    rows['pixels'] = pixels
    if embedding_dtype == 'int8':
        # A row of zeros has no scale of its own; any will do.
        largest = np.abs(embeddings).max(axis=1)
        rows['scale'] = np.where(largest > 0, largest, 1) / _INT8_MAX
        embeddings = np.rint(embeddings / rows['scale'][:, None])
    rows['embedding'] = embeddings
    return rows


def unpack_embeddings(rows: np.ndarray) -> np.ndarray:
    """Embeddings of one row or several, float32, not normalised anew.

    Args:
        rows: Of :func:`row_dtype`, of any shape.

    Returns:
        np.ndarray: That shape and D.
    """
    embeddings = rows['embedding'].astype(np.float32)
    if 'scale' in rows.dtype.names:
        embeddings *= rows['scale'][..., None]
    return embeddings


def cosine_loss(rows: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """1 - cos between rows and the embeddings (B, D) they are of: (B,) float64."""
    stored = unpack_embeddings(rows).astype(np.float64)
    exact = embeddings.astype(np.float64)
    norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(exact, axis=1)
    return 1 - (stored * exact).sum(axis=1) / np.maximum(norms, 1e-12)
