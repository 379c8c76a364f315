"""Images of any kind: pixels or an mmlgd error."""

import io

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from mmlgd.apis.images import iter_images
from mmlgd.errors import MMLGDError

FORMATS = ('png', 'jpeg', 'bmp', 'webp', 'tiff', 'gif', 'ppm')


def read(images, **options):
    """The images, or None if they are refused."""
    try:
        found = list(iter_images(images, **options))
    except MMLGDError:
        return None
    for image in found:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
        assert image.size
    return found


def encoded(form):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (9, 7, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


@given(form=st.sampled_from(FORMATS), data=st.data())
def test_mutated_files(form, data):
    content = bytearray(encoded(form))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    read(bytes(content[:end]))
    read(io.BytesIO(content[:end]))


@given(
    array=arrays.arrays(
        arrays.scalar_dtypes(),
        arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    ),
    order=st.sampled_from(['bgr', 'rgb', 'RGB', None, 3]),
)
def test_arrays(array, order):
    found = read(array, channel_order=order)
    is_picture = array.dtype == np.uint8 and array.ndim in (2, 3) and array.size
    if is_picture and order in ('bgr', 'rgb'):
        is_picture = array.ndim == 2 or array.shape[2] in (1, 3, 4)
        assert bool(found) == is_picture
    read([array])


@given(
    shape=st.lists(st.integers(0, 4), max_size=5),
    dtype=st.sampled_from([torch.uint8, torch.float32, torch.bool, torch.complex64]),
)
def test_tensors(shape, dtype):
    read(torch.zeros(shape, dtype=dtype))


@given(
    mode=st.sampled_from(['1', 'L', 'P', 'RGB', 'RGBA', 'CMYK', 'I', 'F', 'LAB', 'PA'])
)
def test_pillow_modes(mode):
    assert read(Image.new(mode, (3, 2))) is None or mode not in ('I', 'F')


@given(
    value=st.recursive(
        st.none()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=9),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner),
        max_leaves=4,
    )
)
def test_any_input(value):
    read(value)
