"""Whether the crops of a dataset are of a size that the teacher can take."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mmlgd.errors import ConfigError

from .rng import seeded


def check_image_size(model: nn.Module, dataset: Any, place: str) -> None:
    """Refuse crops that the teacher cannot embed, before anything expensive starts.

    One image is loaded, without a trace in the global random generators. A teacher that
    takes other sizes than its ``image_size`` is asked for an embedding.

    Args:
        model (nn.Module): With ``teacher`` and ``data_preprocessor``.
        dataset (Any): What the model will see; one without items or without tensors
            under 'inputs' is not checked, nor is one that brings stored embeddings.
        place (str): Where the dataset is configured, for the message.

    Raises:
        ConfigError: The teacher takes none of the sample's views.
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
    if not views or not all(isinstance(view, torch.Tensor) for view in views):
        return
    # Methods of several views may resize some of them: one that fits is enough.
    errors = [_error(model, view) for view in views]
    if None in errors:
        return
    height, width = views[0].shape[-2:]
    size = teacher.image_size
    raise ConfigError(
        f'{place} gives crops of {height}x{width} pixels, but the teacher takes '
        f'{size}x{size} ({errors[0]}). Set the crop of {place}.dataset.pipeline '
        f'(scale or crop_size) to {size}, or choose a teacher, or an image_size of it, '
        f'for {height}x{width}.'
    )


def _error(model: nn.Module, view: torch.Tensor) -> Exception | None:
    """What the teacher says to one view, if it is not of its own size."""
    batch = model.data_preprocessor(dict(inputs=[view]), False)['inputs']
    if tuple(batch.shape[-2:]) == (model.teacher.image_size,) * 2:
        return None
    try:
        model.teacher.encode_image(batch)
    except Exception as error:  # Of any library.
        return error
    return None
