"""The projection head of the student."""

import torch
from mmengine.model import BaseModule, normal_init
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range


@MODELS.register_module()
class Projector(BaseModule):
    """Two-layer perceptron from student features to the teacher's embedding space.

    It is used in pre-training and for zero-shot prediction; downstream tasks use the
    backbone only. A distiller fills in both widths.

    Args:
        in_channels (int): Width h of the student's pooled features.
        out_channels (int): Width D of the teacher's embeddings.
        hidden_channels (int, optional): Width between the two layers. Defaults
            to None, which means ``in_channels``.
        dropout (float): Probability in [0, 1) that a feature is set to zero before the
            first layer, while training. Defaults to 0.
        last_std (float, optional): Standard deviation of the initial weights of the last
            layer; its biases start at zero. Defaults to None: torch's initialisation.
        init_cfg (dict, optional): Initialisation. Defaults to None.

    Raises:
        ConfigError: ``dropout`` or ``last_std`` is out of range.

    Source: arXiv 2406.11689; Linear(h, h), ReLU, Linear(h, D). For MobileNetV2 it has
    dropout 0.2 and a last layer with standard deviation 0.01.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int | None = None,
        dropout: float = 0.0,
        last_std: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check_in_range('Projector.dropout', dropout, 0, 1, high_open=True)
        if last_std is not None:
            check_in_range('Projector.last_std', last_std, 0, float('inf'))
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        hidden_channels = hidden_channels or in_channels
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, out_channels),
        )
        if last_std is not None:
            normal_init(self.layers[-1], std=last_std)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Project features (B, h) to embeddings (B, D), not normalised."""
        return self.layers(self.dropout(features))
