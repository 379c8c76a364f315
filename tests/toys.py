"""A toy teacher and a toy student: no BatchNorm, milliseconds to run."""

import zlib

import torch
from torch import nn

from mmlgd.models.teachers import BaseTeacher
from mmlgd.registry import MODELS

D = 16
NAMES = ['cat', 'dog', 'bird', 'fish']


class ToyText(nn.Module):
    """Embeds a text by its checksum: the same text, the same row."""

    name = 'toy_text'

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, texts):
        seeds = [zlib.crc32(text.encode()) for text in texts]
        rows = [
            torch.randn(D, generator=torch.Generator().manual_seed(s)) for s in seeds
        ]
        return nn.functional.normalize(self.scale.detach() * torch.stack(rows), dim=1)


@MODELS.register_module(force=True)
class ToyTeacher(BaseTeacher):
    """A fixed random projection of the 8 x 8 thumbnail."""

    embed_dims = D
    image_mean = [120.0, 110.0, 100.0]
    image_std = [60.0, 61.0, 62.0]
    image_size = 16

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(3 * 64, D, generator=generator))
        self.text = ToyText()
        self.freeze()

    def image_features(self, inputs):
        return nn.functional.adaptive_avg_pool2d(inputs, 8).flatten(1) @ self.weight


@MODELS.register_module(force=True)
class ToyBackbone(nn.Module):
    """One convolution, no running statistics."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2, padding=1)

    def forward(self, inputs):
        return (self.conv(inputs).relu(),)


def toy_lgd_cfg(names=None, **overrides) -> dict:
    """Config of an LGD over the toys."""
    cfg = dict(
        type='LGD',
        teacher=dict(type='ToyTeacher'),
        backbone=dict(type='ToyBackbone'),
        textual_bank=dict(
            type='TextualSemanticsBank',
            categories=names or NAMES,
            templates=['a {}.', 'the {}.'],
        ),
        visual_bank=dict(type='VisualSemanticsBank', momentum=0.9),
    )
    cfg.update(overrides)
    return cfg


def toy_lgd(names=None, **overrides):
    """An LGD over the toys."""
    torch.manual_seed(0)
    return MODELS.build(toy_lgd_cfg(names, **overrides))


def order_of_passes(model, images: torch.Tensor, asked: str) -> list[str]:
    """Order of teacher (by its method ``asked``) and student in a step."""
    order = []
    encode = getattr(model.teacher, asked)

    def note_and_encode(inputs):
        order.append('teacher')
        return encode(inputs)

    setattr(model.teacher, asked, note_and_encode)
    model.backbone.register_forward_hook(lambda *args: order.append('student'))
    model(images, mode='loss')
    return order
