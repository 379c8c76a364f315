import struct
import zlib

import numpy as np
import pytest
import torch

from mmlgd.pixels.comparison import pixel_checksum
from mmlgd.stores.shards import (
    Shard,
    pack_rows,
    row_type,
    unpack_embeddings,
    write_rows,
)
from mmlgd.utils.cosine import cosine_loss
from tests.view_stores import toy_manifest

ROWS = np.array([[0.5, -0.25, 1.0], [0.0, 0.0, 0.0]], np.float32)


def packed_rows(kind, pixels):
    return pack_rows(np.array(pixels), ROWS, row_type(kind, 3, False))


def test_float16_rows_byte_for_byte():
    packed = packed_rows('float16', [7, 2**32 - 1])
    expected = struct.pack('<I3eI3e', 7, 0.5, -0.25, 1, 2**32 - 1, 0, 0, 0)
    assert packed.tobytes() == expected
    assert np.array_equal(unpack_embeddings(packed), ROWS)


def test_int8_rows_byte_for_byte():
    packed = packed_rows('int8', [7, 8])
    # 0.5 and -0.25 of 1 / 127 are 63.5 (to the even 64) and -31.75.
    expected = struct.pack('<If3b', 7, 1 / 127, 64, -32, 127)
    assert packed.tobytes() == expected + struct.pack('<If3b', 8, 1 / 127, 0, 0, 0)
    wanted = [[64 / 127, -32 / 127, 1], [0, 0, 0]]
    assert np.allclose(unpack_embeddings(packed), wanted, atol=1e-7)


@pytest.mark.parametrize(('kind', 'size'), [('float16', 2056), ('int8', 1036)])
def test_bytes_of_a_row_of_clip_rn50(kind, size):
    assert toy_manifest(embedding_dtype=kind, embed_dims=1024).row_bytes == size


def test_one_row_unpacks_like_many():
    packed = packed_rows('int8', [0, 0])
    assert np.array_equal(unpack_embeddings(packed[0]), unpack_embeddings(packed)[0])
    assert unpack_embeddings(packed[0]).dtype == np.float32


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


def test_a_record_begins_with_a_checksum_of_its_place_and_content(tmp_path):
    shard = Shard(4, 32768, 2, '1234abcd')
    packed = packed_rows('float16', [7, 8])
    write_rows(tmp_path, shard, packed)
    content = (tmp_path / 'views/004/000032768.records').read_bytes()
    second = packed[1].tobytes()
    checksum = zlib.crc32(b'1234abcd views/004 32769 ' + second)
    assert content[14:] == struct.pack('<I', checksum) + second
