"""Embeddings of the batches of a data loader."""

from collections.abc import Callable

import torch

from mmlgd.registry import MODELS

from .base import BaseTeacher


def batch_encoder(
    teacher: BaseTeacher, device: str | torch.device = 'cpu'
) -> Callable[[dict], torch.Tensor]:
    """Return a function that normalises and embeds a batch.

    Views of ``PackForDevice`` are augmented first, as in training.

    Args:
        teacher (BaseTeacher): The teacher; it is moved to ``device``.
        device (str | torch.device): Device of the teacher. Defaults to 'cpu'.

    Returns:
        Callable[[dict], torch.Tensor]: From a loader's batch, with ``inputs``, to
        (B, D) float32 unit rows on the CPU.
    """
    preprocessor = MODELS.build(
        dict(
            type='mmlgd.DistillDataPreprocessor',
            mean=teacher.image_mean,
            std=teacher.image_std,
            to_rgb=True,
        )
    ).to(device)
    teacher.to(device)

    def encode(batch: dict) -> torch.Tensor:
        inputs = preprocessor(batch, training=True)['inputs']
        return teacher.encode_image(inputs).cpu()

    return encode
