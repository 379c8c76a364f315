import struct
import zlib

import numpy as np
import pytest
import torch

from mmlgd.datasets.view_store.rows import (
    cosine_loss,
    pack_rows,
    pixel_checksum,
    row_dtype,
    unpack_embeddings,
)
from mmlgd.errors import ConfigError

ROWS = np.array([[0.5, -0.25, 1.0], [0.0, 0.0, 0.0]], np.float32)


def test_float16_rows_byte_for_byte():
    packed = pack_rows(np.array([7, 2**32 - 1]), ROWS, 'float16')
    expected = struct.pack('<I3e', 7, 0.5, -0.25, 1) + struct.pack(
        '<I3e', 2**32 - 1, 0, 0, 0
    )
    assert packed.tobytes() == expected
    assert np.array_equal(unpack_embeddings(packed), ROWS)


def test_int8_rows_byte_for_byte():
    packed = pack_rows(np.array([7, 8]), ROWS, 'int8')
    # 0.5 and -0.25 of 1 / 127 are 63.5 (to the even 64) and -31.75.
    expected = struct.pack('<If3b', 7, 1 / 127, 64, -32, 127)
    assert packed[:1].tobytes() == expected
    wanted = [[64 / 127, -32 / 127, 1], [0, 0, 0]]
    assert np.allclose(unpack_embeddings(packed), wanted, atol=1e-7)


@pytest.mark.parametrize(('kind', 'size'), [('float16', 2052), ('int8', 1032)])
def test_bytes_of_a_row_of_clip_rn50(kind, size):
    assert row_dtype(kind, 1024).itemsize == size


def test_one_row_unpacks_like_many():
    packed = pack_rows(np.zeros(2), ROWS, 'int8')
    assert np.array_equal(unpack_embeddings(packed[0]), unpack_embeddings(packed)[0])
    assert unpack_embeddings(packed[0]).dtype == np.float32


def test_cosine_loss_is_that_of_the_angle():
    packed = pack_rows(np.zeros(2), np.array([[1, 0], [3, 4]], np.float32), 'float16')
    others = np.array([[2, 0], [0, 1]], np.float32)
    assert np.allclose(cosine_loss(packed, others), [0, 0.2])


def test_checksum_is_of_the_pixels_in_their_order():
    image = torch.arange(12, dtype=torch.uint8).reshape(3, 2, 2)
    assert pixel_checksum(image) == zlib.crc32(bytes(range(12)))
    # As PackInputs may leave it: other strides, the same image.
    strided = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert pixel_checksum(strided) == zlib.crc32(bytes(range(12)))


def test_other_types_are_refused():
    with pytest.raises(ConfigError, match="float16 or int8, not 'float32'"):
        row_dtype('float32', 4)
