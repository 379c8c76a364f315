"""Encoded views: what is decoded, and what is refused."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mmlgd.errors import ConfigError
from mmlgd.pixels.codec import PixelCodec

CODECS = ['jpeg', 'webp']


def smooth(height, width, seed=0):
    """A coloured view without fine detail, (3, H, W) uint8."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(1, 3, 3, 3, generator=generator)
    return F.interpolate(coarse, (height, width), mode='bilinear')[0].to(torch.uint8)


def by_pillow(data):
    """Decoded by the library that encoded it, as BGR (3, H, W)."""
    image = Image.open(io.BytesIO(data))
    return np.asarray(image.convert('RGB'))[..., ::-1].transpose(2, 0, 1)


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('size', [(1, 1), (16, 16), (33, 20), (224, 224)])
@pytest.mark.parametrize('quality', [1, 75, 100])
def test_decoded_pixels_are_those_of_the_encoders_library(codec, size, quality):
    noise = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, *size), dtype=np.uint8)
    )
    coder = PixelCodec(codec, quality, *size)
    encoded, seen = coder.round_trip(noise)
    assert Image.open(io.BytesIO(encoded)).format == codec.upper()
    assert np.array_equal(coder.decode(encoded).numpy(), by_pillow(encoded))
    assert torch.equal(seen, coder.decode(encoded))


@pytest.mark.parametrize('codec', CODECS)
def test_a_smooth_view_is_nearly_unchanged_with_its_colours_in_place(codec):
    view = smooth(32, 24)
    view[0], view[1] = 200, 20  # Blue in BGR, hardly any green.
    _, seen = PixelCodec(codec, 95, 32, 24).round_trip(view)
    assert (seen.float() - view.float()).abs().mean() < 4


def test_jpeg_keeps_the_resolution_of_colours():
    view = torch.full((3, 32, 32), 100, dtype=torch.uint8)
    view[2, :, ::2] = 160  # Red in every other column.
    view[0, :, 1::2] = 160
    _, seen = PixelCodec('jpeg', 95, 32, 32).round_trip(view)
    assert (seen.float() - view.float()).abs().max() < 16


@pytest.mark.parametrize('codec', CODECS)
def test_a_smaller_view_is_stored_and_the_teacher_sees_it_enlarged(codec):
    view = smooth(64, 64)
    coder = PixelCodec(codec, 95, 16, 16)
    encoded, seen = coder.round_trip(view)
    small = coder.decode(encoded)
    assert by_pillow(encoded).shape == (3, 16, 16)
    # Pillow's filter is that of the models.
    wanted = Image.fromarray(view.permute(1, 2, 0).numpy()).resize((16, 16), 2)
    wanted = np.asarray(wanted).transpose(2, 0, 1).astype(float)
    assert abs(small.numpy() - wanted).mean() < 4
    enlarged = F.interpolate(
        small[None].float(), (64, 64), mode='bilinear', antialias=True
    )
    assert (seen - enlarged[0]).abs().max() <= 0.5


@pytest.mark.parametrize('codec', CODECS)
@pytest.mark.parametrize('size', [(16, 17), (8, 8), (2000, 2000)])
def test_images_of_another_size_are_refused_undecoded(codec, size, monkeypatch):
    encoded = PixelCodec(codec, 90, *size).encode(smooth(*size))
    monkeypatch.setattr('cv2.imdecode', lambda *args: pytest.fail('decoded'))
    with pytest.raises(ValueError, match=f'not a {codec} image of 16x16 pixels'):
        PixelCodec(codec, 90, 16, 16).decode(encoded)


@pytest.mark.parametrize(('codec', 'other'), [('jpeg', 'webp'), ('webp', 'jpeg')])
def test_images_of_another_codec_are_refused(codec, other):
    encoded = PixelCodec(other, 90, 16, 16).encode(smooth(16, 16))
    for data in (encoded, b'', b'RIFF'):
        with pytest.raises(ValueError, match=f'not a {codec} image'):
            PixelCodec(codec, 90, 16, 16).decode(data)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('png', 90, 8, 8), "jpeg or webp, not 'png'"),
        ((['jpeg'], 90, 8, 8), 'jpeg or webp'),
        (('jpeg', 0, 8, 8), '1 to 100, but is 0'),
        (('webp', 101, 8, 8), '1 to 100, but is 101'),
        (('webp', 9.5, 8, 8), '1 to 100, but is 9.5'),
        (('webp', 90, 8, 2**15), '1 to 16383 pixels'),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        PixelCodec(*options)


def test_views_that_are_not_square_are_not_resized():
    with pytest.raises(ConfigError, match='only squares are resized'):
        PixelCodec('jpeg', 90, 8, 8).encode(smooth(8, 9))
