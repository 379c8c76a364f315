"""A distiller's backbone as the file that downstream configs load."""

from pathlib import Path

import torch
from torch import nn


def save_backbone(model: nn.Module, path: Path) -> None:
    """Write the weights and the preprocessing that ``backbone.pth`` of a run contains.

    Args:
        model (nn.Module): Has ``backbone`` and ``teacher``.
        path (Path): The file.
    """
    state = {f'backbone.{key}': v for key, v in model.backbone.state_dict().items()}
    mean, std = model.teacher.image_mean, model.teacher.image_std
    meta = dict(image_mean=mean, image_std=std, to_rgb=True)
    torch.save(dict(state_dict=state, meta=meta), path)
