"""Drawing one view of one image, the same when a store is built and when it is read."""

from typing import Any

import torch

from mmlgd.errors import ConfigError
from mmlgd.utils.rng import mix_seed, seeded


def draw_view(dataset: Any, image: int, seed: int, view: int, row: int) -> dict:
    """An item of a data set under the random numbers of (seed, view, row).

    Where rows are indices it is what ``SeededViews`` gives; an image that a store
    knows under another row has that row's views.

    Args:
        dataset: The images, with their pipeline.
        image: Index in the data set.
        seed: Of the store.
        view: The view.
        row: Of the image in the store.

    Returns:
        dict: With ``inputs`` (3, H, W).

    Raises:
        ConfigError: The item holds anything but one image.
    """
    with seeded(mix_seed(seed, view, row)):
        item = dataset[image]
    inputs = item.get('inputs') if isinstance(item, dict) else None
    if not isinstance(inputs, torch.Tensor) or inputs.dim() != 3:
        raise ConfigError(
            f'Stored views are of one image (3, H, W) each, but {type(dataset).__name__} '
            f'gives inputs of {getattr(inputs, "shape", type(inputs).__name__)}; end the '
            'pipeline with PackInputs, and use the online teacher for methods of several '
            'views, pairs or small patches.'
        )
    return item
