"""Images to transform."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image


@pytest.fixture(scope='package', autouse=True)
def scope():
    init_default_scope('mmlgd')


@pytest.fixture(scope='package')
def picture() -> Image.Image:
    """RGB, 320 x 240, with colours, large shapes and fine detail, as photographs have:
    noise of every octave, half as strong from one to the next."""
    rng = np.random.default_rng(5)
    total = np.zeros((240, 320, 3))
    for octave in range(6):
        coarse = rng.uniform(-1, 1, (2**octave * 3, 2**octave * 4, 3))
        planes = [
            Image.fromarray(coarse[..., c].astype(np.float32)).resize(
                (320, 240), Image.BICUBIC
            )
            for c in range(3)
        ]
        total += np.stack(planes, axis=-1) / 2**octave
    return Image.fromarray(np.clip(128 + 90 * total, 0, 255).astype(np.uint8))


@pytest.fixture
def bgr(picture) -> np.ndarray:
    """The same as OpenMMLab holds it."""
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])
