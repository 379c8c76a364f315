"""A model and a transform with every kind of randomness and state."""

import random

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import nn

from mmlgd.registry import MODELS, TRANSFORMS


@TRANSFORMS.register_module()
class ToyAugment:
    """Adds noise from the three global generators and packs the image."""

    def __call__(self, results: dict) -> dict:
        noise = random.random() + np.random.rand() + torch.rand(1).item()
        image = torch.from_numpy(results['img'].copy()).float().div(255)
        return dict(inputs=image.permute(2, 0, 1) + noise)


@MODELS.register_module()
class ToyNet(BaseModel):
    """Convolution, BatchNorm, dropout, and a buffer with momentum like a bank."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, 4)
        self.register_buffer('bank', torch.zeros(4))

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        features = self.norm(self.conv(torch.stack(inputs))).relu().mean((2, 3))
        outputs = self.head(self.drop(features))
        if mode != 'loss':
            return outputs
        target = torch.rand_like(outputs) + self.bank
        self.bank.mul_(0.9).add_(outputs.detach().mean(0), alpha=0.1)
        return dict(loss=(outputs - target).square().mean())
