"""The projection head of the student."""

import torch
from mmengine.model import BaseModule
from torch import nn

from mmlgd.registry import MODELS


@MODELS.register_module()
class Projector(BaseModule):
    """Two-layer perceptron from student features to the teacher's space.

    It belongs to pre-training, and to zero-shot use of the student; downstream
    tasks take the backbone alone. A distiller fills in both widths.

    Args:
        in_channels (int): Width h of the student's pooled features.
        out_channels (int): Width D of the teacher's embeddings.
        hidden_channels (int, optional): Width between the two layers. Defaults
            to None, which means ``in_channels``.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Source: arXiv 2406.11689; Linear(h, h), ReLU, Linear(h, D).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        hidden_channels = hidden_channels or in_channels
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, out_channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Project features (B, h) to embeddings (B, D), not normalised."""
        return self.layers(features)
