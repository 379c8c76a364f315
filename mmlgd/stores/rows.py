"""The columns of a stored view: its pixels' checksum and the teacher's embedding."""

import zlib

import numpy as np
import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError

#: What an embedding can be stored as, with numpy's name of the type.
EMBEDDING_DTYPES = dict(float16='<f2', int8='i1')
_INT8_MAX = 127
Columns = dict[str, np.ndarray]


def view_columns(embedding_dtype: str, embed_dims: int) -> dict[str, np.dtype]:
    """Name and type of each column; a type has the shape of one row.

    Args:
        embedding_dtype: 'float16', or 'int8' with one float32 scale per row.
        embed_dims: D.

    Raises:
        ConfigError: Another embedding type.
    """
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
    columns = dict(pixels=pixels)
    if dtype == 'int8':
        # A row of zeros has no scale of its own; any will do.
        largest = np.abs(embeddings).max(axis=1)
        columns['scale'] = (np.where(largest > 0, largest, 1) / _INT8_MAX).astype('<f4')
        embeddings = np.rint(embeddings / columns['scale'][:, None])
    columns['embedding'] = embeddings
    types = view_columns(dtype, embeddings.shape[1])
    return {name: columns[name].astype(one.base) for name, one in types.items()}


def unpack_embeddings(columns: Columns) -> np.ndarray:
    """Embeddings (B, D), or (D,) of one row, as stored: float32, not normalised."""
    embeddings = columns['embedding'].astype(np.float32)
    if 'scale' in columns:
        embeddings *= columns['scale'][..., None]
    return embeddings


def cosine_loss(stored: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """1 - cos between embeddings (..., D), unpacked and as they were: (...) float64."""
    pair = (torch.from_numpy(one).double() for one in (stored, exact))
    return 1 - F.cosine_similarity(*pair, dim=-1).numpy()
