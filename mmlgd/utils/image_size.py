"""Check that the teacher accepts the crop size of a dataset."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mmlgd.errors import ConfigError

from .rng import seeded


def check_image_size(model: nn.Module, dataset: Any, place: str) -> None:
    """Check that the teacher can embed the crops, before anything expensive starts.

    One image is loaded; the states of the global random generators are restored. If its
    size is not the teacher's ``image_size``, the teacher embeds it.

    Args:
        model (nn.Module): Model with ``teacher`` and ``data_preprocessor``.
        dataset (Any): Dataset of the model. It is not checked if it has no items, no
            tensors under 'inputs', or stored embeddings.
        place (str): Where the dataset is configured, for the message.

    Raises:
        ConfigError: The teacher accepts none of the sample's views.
    """
    teacher = model.teacher
    if not (teacher.has_image_tower and hasattr(dataset, '__getitem__')):
        return
    with seeded(0):
        sample = dataset[0] if len(dataset) else None
    if not isinstance(sample, dict) or 'teacher_embeddings' in sample:
        return
    views = sample.get('inputs')
    views = views if isinstance(views, Sequence) else [views]
    # PackForDevice packs the image with drawn operations, which keep its size.
    views = [view['image'] if isinstance(view, dict) else view for view in views]
    if not views or not all(isinstance(view, torch.Tensor) for view in views):
        return
    # Methods with several views may resize some of them, so one valid view is enough.
    errors = [_error(model, view) for view in views]
    if None in errors:
        return
    height, width = views[0].shape[-2:]
    size = teacher.image_size
    raise ConfigError(
        f'{place} has crops of {height}x{width} pixels, but the teacher expects '
        f'{size}x{size} ({errors[0]}). Set the crop of {place}.dataset.pipeline '
        f'(scale or crop_size) to {size}, or choose a teacher, or an image_size of it, '
        f'for {height}x{width}.'
    )


def _error(model: nn.Module, view: torch.Tensor) -> Exception | None:
    """The teacher's error for one view; None if it accepts the size."""
    batch = model.data_preprocessor(dict(inputs=[view]), False)['inputs']
    if tuple(batch.shape[-2:]) == (model.teacher.image_size,) * 2:
        return None
    try:
        model.teacher.encode_image(batch)
    except Exception as error:  # Libraries raise different types.
        return error
    return None
