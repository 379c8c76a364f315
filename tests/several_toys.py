"""Toy teachers of different sizes, widths and normalisations, for one student."""

import torch
from torch import nn

from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import MODELS
from tests.toys import toy_lgd_cfg

WIDTH = 10


@MODELS.register_module(force=True)
class FurtherToy(BaseTeacher):
    """A strided convolution and its tanh's mean; without text."""

    image_mean = [100.0, 90.0, 80.0]
    image_std = [50.0, 45.0, 40.0]

    def __init__(self, seed: int = 0, size: int = 24, width: int = WIDTH) -> None:
        super().__init__()
        self._name = f'further{seed}'
        self.image_size, self.embed_dims = size, width
        generator = torch.Generator().manual_seed(seed)
        self.conv = nn.Conv2d(3, width, 8, stride=8)
        for parameter in self.parameters():
            parameter.data.normal_(std=0.1, generator=generator)
        self.passes = 0
        self.freeze()

    def image_features(self, inputs):
        return self.map_features(inputs)[0]

    def map_features(self, inputs):
        assert inputs.shape[-2:] == (self.image_size, self.image_size)
        self.passes += 1
        feature_map = self.conv(inputs)
        return feature_map.tanh().mean(dim=(2, 3)), feature_map


def entry(**options) -> dict:
    """An entry of ``teachers`` with a :class:`FurtherToy`."""
    kept = {key: options.pop(key) for key in ('seed', 'size', 'width') & options.keys()}
    return dict(teacher=dict(type='FurtherToy', **kept), **options)


def several_cfg(*further: dict, **overrides) -> dict:
    """Config of a MultiTeacherLGD over the toys; the teacher of language is ToyTeacher."""
    cfg = toy_lgd_cfg(type='MultiTeacherLGD')
    first = cfg.pop('teacher')
    return dict(cfg, teachers=[first, *further], **overrides)


def several(*further: dict, **overrides) -> nn.Module:
    """A MultiTeacherLGD over the toys."""
    torch.manual_seed(0)
    return MODELS.build(several_cfg(*further, **overrides))


def fit(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Set its statistics from a batch of images, as the hook does."""
    for name, target in model.feature_targets(images).items():
        statistics = model.feature_statistics[name]
        statistics.fit(statistics.moments(target), name)
    return model
