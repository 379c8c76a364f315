import struct
import zlib

import numpy as np
import pytest
import torch

from mmlgd.errors import ConfigError
from mmlgd.stores.shards import (
    cosine_loss,
    pack_rows,
    pixel_checksum,
    unpack_embeddings,
    view_columns,
)
from tests.view_stores import toy_manifest

ROWS = np.array([[0.5, -0.25, 1.0], [0.0, 0.0, 0.0]], np.float32)


def test_float16_columns_byte_for_byte():
    packed = pack_rows(np.array([7, 2**32 - 1]), ROWS, 'float16')
    assert packed['pixels'].tobytes() == struct.pack('<2I', 7, 2**32 - 1)
    expected = struct.pack('<6e', 0.5, -0.25, 1, 0, 0, 0)
    assert packed['embedding'].tobytes() == expected
    assert np.array_equal(unpack_embeddings(packed), ROWS)


def test_int8_columns_byte_for_byte():
    packed = pack_rows(np.array([7, 8]), ROWS, 'int8')
    # 0.5 and -0.25 of 1 / 127 are 63.5 (to the even 64) and -31.75.
    assert packed['embedding'].tobytes() == struct.pack('<6b', 64, -32, 127, 0, 0, 0)
    assert packed['scale'].tobytes() == struct.pack('<2f', 1 / 127, 1 / 127)
    wanted = [[64 / 127, -32 / 127, 1], [0, 0, 0]]
    assert np.allclose(unpack_embeddings(packed), wanted, atol=1e-7)


@pytest.mark.parametrize(('kind', 'size'), [('float16', 2052), ('int8', 1032)])
def test_bytes_of_a_row_of_clip_rn50(kind, size):
    assert toy_manifest(embedding_dtype=kind, embed_dims=1024).row_bytes == size


def test_one_row_unpacks_like_many():
    packed = pack_rows(np.zeros(2), ROWS, 'int8')
    first = {name: column[0] for name, column in packed.items()}
    assert np.array_equal(unpack_embeddings(first), unpack_embeddings(packed)[0])
    assert unpack_embeddings(first).dtype == np.float32


def test_cosine_loss_is_that_of_the_angle():
    rows = np.array([[1, 0], [3, 4]], np.float32)
    others = np.array([[2, 0], [0, 1]], np.float32)
    assert np.allclose(cosine_loss(rows, others), [0, 0.2])


def test_checksum_is_of_the_pixels_in_their_order():
    image = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    assert pixel_checksum(image) == zlib.crc32(bytes(range(12)))
    # As PackInputs may leave it: other strides, the same image.
    strided = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert pixel_checksum(strided) == zlib.crc32(bytes(range(12)))


def test_other_types_are_refused():
    with pytest.raises(ConfigError, match="float16 or int8, not 'float32'"):
        view_columns('float32', 4)
