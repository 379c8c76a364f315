"""Checkpoints of mmpretrain backbones with random weights, as mmlgd saves them."""

from pathlib import Path

import torch
from torch import nn

import mmlgd
from mmlgd.registry import MODELS

CLIP_MEAN = [122.7709383, 116.7460125, 104.09373615]
CLIP_STD = [68.5005327, 66.6321375, 70.3231627]

R18 = dict(type='mmpretrain.ResNet', depth=18)
MBV2 = dict(type='mmpretrain.MobileNetV2')
MBV3_LARGE = dict(type='mmpretrain.MobileNetV3', arch='large')
MBV3_SMALL = dict(type='mmpretrain.MobileNetV3', arch='small')
EFF_B0 = dict(type='mmpretrain.EfficientNet', arch='b0')


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Randomise the statistics and weights of every BatchNorm, in eval mode.

    Initial ones are the identity, which would hide swapped or lost tensors.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(like, low, high):
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan = part.weight[0].numel()
            part.weight.data = uniform(part.weight, -1, 1) * (3 / fan) ** 0.5
        elif isinstance(part, nn.BatchNorm2d):
            part.weight.data = uniform(part.weight, 0.7, 1.3)
            part.bias.data = uniform(part.bias, -0.3, 0.3)
            part.running_mean = uniform(part.running_mean, -0.3, 0.3)
            part.running_var = uniform(part.running_var, 0.7, 1.3)
    module.eval()
    return module


def random_backbone(config: dict, **overrides) -> nn.Module:
    """A backbone of mmpretrain with random weights and statistics."""
    return randomise(MODELS.build(dict(config, **overrides)))


def meta_of(config: dict, **overrides) -> dict:
    """The meta of a checkpoint of mmlgd, distilled from CLIP."""
    meta = dict(
        mmlgd_version=mmlgd.__version__,
        image_mean=CLIP_MEAN,
        image_std=CLIP_STD,
        to_rgb=True,
        image_size=224,
        backbone=dict(config),
    )
    return {**meta, **overrides}


def write_backbone(path: Path, config: dict, **meta) -> nn.Module:
    """Write a checkpoint like that of a run, with a projector; return the backbone."""
    backbone = random_backbone(config)
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    state['projector.layers.0.weight'] = torch.ones(2, 2)
    torch.save(dict(state_dict=state, meta=meta_of(config, **meta)), path)
    return backbone
