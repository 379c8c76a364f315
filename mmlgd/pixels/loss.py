"""What a codec changes in the embeddings of a teacher, measured before a store is built."""

import numpy as np
import torch

from mmlgd.datasets.seeded_views import draw_view
from mmlgd.errors import ConfigError
from mmlgd.stores.source import ViewSource
from mmlgd.utils.cosine import cosine_loss

#: Images that are compared.
_SAMPLE = 64
#: Largest loss, as a share of the difference of two views of an image.
_LIMIT = 0.5


def measure_pixel_loss(source: ViewSource) -> dict[str, float]:
    """Compare the teacher's embeddings of stored and exact pixels.

    The yardstick is the mean 1 - cos between two views of the same image, because 1 - cos
    alone has another range for each teacher.

    Returns:
        dict: ``pixel_cosine_loss``, the mean 1 - cos between stored and exact pixels, and
        ``view_cosine_loss``, that between two views.

    Raises:
        ConfigError: The first is more than half of the second.
    """
    codec, dataset = source.manifest.codec, source.dataset
    assert codec is not None
    images = np.linspace(0, len(dataset) - 1, min(_SAMPLE, len(dataset)), dtype=int)
    views = [
        [
            draw_view(dataset, image, source.manifest.seed, view, image)['inputs']
            for image in images.tolist()
        ]
        for view in (0, 1)
    ]
    decoded = [codec.round_trip(inputs)[1] for inputs in views[0]]
    exact, other, stored = (_embed(source, part) for part in (*views, decoded))
    loss = float(cosine_loss(exact, stored).mean())
    spread = float(cosine_loss(exact, other).mean())
    if loss > _LIMIT * spread:
        raise ConfigError(
            f'Stored as {codec.codec} of quality {codec.quality} and '
            f'{codec.width}x{codec.height} pixels, views lose too much: the embeddings of '
            f'{len(images)} of them change by 1 - cos = {loss:.2g} on average, and another '
            f'view of the image by only {spread:.2g}. Set a higher --quality, or a '
            f'model.student_size closer to the {source.manifest.image_size} pixels of the '
            'teacher, or leave out --pixels.'
        )
    return dict(pixel_cosine_loss=loss, view_cosine_loss=spread)


def _embed(source: ViewSource, inputs: list[torch.Tensor]) -> np.ndarray:
    size = source.batch_size
    parts = [inputs[first : first + size] for first in range(0, len(inputs), size)]
    rows = [source.encode(dict(inputs=torch.stack(part))) for part in parts]
    return torch.cat(rows).numpy()
