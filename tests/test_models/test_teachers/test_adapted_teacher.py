"""A teacher behind the crops of another one: size, mean and standard deviation."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmlgd.errors import TeacherError
from mmlgd.models.teachers import AdaptedTeacher
from tests.several_toys import FurtherToy
from tests.toys import ToyTeacher

MEAN, STD = ToyTeacher.image_mean, ToyTeacher.image_std


def channels(values):
    return np.array(values)[:, None, None]


def crop(side: int, seed: int = 0) -> np.ndarray:
    """An image (3, side, side), RGB of 0 to 255."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (3, side, side)).astype(np.float64)


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """By Pillow, in float32."""
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize(
            (side, side), Image.Resampling.BILINEAR
        )
        for plane in image
    ]
    return np.stack([np.asarray(plane, dtype=np.float64) for plane in planes])


def adapted(size: int, crop_size: int) -> AdaptedTeacher:
    return AdaptedTeacher(FurtherToy(size=size), MEAN, STD, crop_size)


@pytest.mark.parametrize('sides', [(24, 24), (16, 48), (16, 20), (8, 48)])
def test_it_sees_what_its_own_preprocessing_gives(sides):
    size, crop_size = sides
    teacher, image = adapted(size, crop_size), crop(crop_size)
    shared = (image - channels(MEAN)) / channels(STD)

    found = teacher.view(torch.tensor(shared)[None].float())[0]

    own = FurtherToy
    wanted = (resized(image, size) - channels(own.image_mean)) / channels(own.image_std)
    np.testing.assert_allclose(found.numpy(), wanted, atol=2e-5)


def test_embeddings_and_maps_are_the_teachers():
    teacher, inner = adapted(16, 24), FurtherToy(size=16)
    inputs = torch.randn(3, 3, 24, 24)

    found = teacher.encode_spatial(inputs)

    wanted = inner.encode_spatial(teacher.view(inputs))
    assert torch.equal(found.embeddings, wanted.embeddings)
    assert torch.equal(found.feature_map, wanted.feature_map)
    assert torch.equal(teacher.encode_image(inputs), wanted.embeddings)
    assert teacher.feature_map_dims == inner.feature_map_dims
    assert teacher.identity == inner.identity


def test_a_crop_of_another_size_is_refused():
    with pytest.raises(TeacherError, match='further0 .* 24x24 pixels, .*16, 16'):
        adapted(16, 24).encode_image(torch.zeros(1, 3, 16, 16))


def test_text_is_the_teachers_and_can_be_released():
    inner = ToyTeacher()
    teacher = AdaptedTeacher(inner, MEAN, STD, 24)
    identity = teacher.text_identity

    assert torch.equal(teacher.encode_text(['a']), ToyTeacher().encode_text(['a']))
    assert identity == ToyTeacher().text_identity
    teacher.release_text_tower()
    assert inner.text is None and not teacher.has_text_tower
    assert teacher.text_identity == identity
