"""A toy teacher with a feature map, and a toy student with two."""

import torch
from torch import nn

from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import MODELS
from tests.toys import D, ToyText

CHANNELS = 6


@MODELS.register_module(force=True)
class MapTeacher(BaseTeacher):
    """A convolution to a grid, then its mean through a linear map."""

    embed_dims = D
    image_mean = [120.0, 110.0, 100.0]
    image_std = [60.0, 61.0, 62.0]
    image_size = 16

    def __init__(self, stride: int = 4) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv = nn.Conv2d(3, CHANNELS, stride, stride=stride)
        self.weight = nn.Parameter(torch.empty(CHANNELS, D))
        for parameter in self.parameters():
            parameter.data.normal_(std=0.3, generator=generator)
        self.text = ToyText()
        self.freeze()

    def image_features(self, inputs):
        return self.map_features(inputs)[0]

    def map_features(self, inputs):
        feature_map = self.conv(inputs)
        return feature_map.mean(dim=(2, 3)) @ self.weight, feature_map


@MODELS.register_module(force=True)
class TwoStages(nn.Module):
    """Two maps: 8 channels of 8 x 8, then 10 of 2 x 2, for 16 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 10, 4, stride=4)

    def forward(self, inputs):
        first = self.first(inputs).relu()
        return first, self.second(first).relu()
