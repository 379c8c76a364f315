"""Export to models of torchvision."""

import functools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from mmlgd.export.key_names import (
    Namer,
    ParsedKey,
    published_model,
    refuse,
    split_into_stages,
)
from mmlgd.export.library import LibraryFormat, Target, family_of, load_lines
from mmlgd.export.model import ExportModel

#: Names of torchvision's models.
_MODELS = dict(
    ResNet='resnet{}',
    MobileNetV2='mobilenet_v2',
    MobileNetV3='mobilenet_v3_{}',
    EfficientNet='efficientnet_{}',
)


class TorchvisionFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for torchvision's model"
    library = 'torchvision'

    def target(self, model: ExportModel) -> Target:
        family = family_of(model, 'torchvision')
        ours = published_model(model.config, type(model.module), 'torchvision')
        if ours.pads_unevenly:
            refuse(
                family,
                'torchvision',
                'torchvision pads evenly, but this backbone pads as TensorFlow does, so the '
                'features would differ; export it to timm, or train with '
                'backbone.conv_cfg=None',
            )
        name, eps = _MODELS[family].format(ours.variant), ours.eps
        namer = {
            'MobileNetV2': _name_mobilenet_v2,
            'MobileNetV3': _block_namer(None),
            'EfficientNet': _block_namer(ours.stages),
        }.get(family)
        if eps == (1e-3 if family == 'MobileNetV3' else 1e-5):
            return Target(name, namer=namer)
        # An expression rather than a string: it goes into the code that builds the model.
        layer = f'functools.partial(torch.nn.BatchNorm2d, eps={eps})'
        norm = functools.partial(nn.BatchNorm2d, eps=eps)
        return Target(name, dict(norm_layer=layer), namer, check=dict(norm_layer=norm))

    def build(self, target: Target) -> nn.Module:
        import torchvision

        return getattr(torchvision.models, target.model)(weights=None, **target.check)

    def features(self, module: nn.Module, images: torch.Tensor) -> torch.Tensor:
        if hasattr(module, 'features'):
            return module.features(images)
        return nn.Sequential(*list(module.children())[:-2])(images)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        target = self.target(model)
        options = ', '.join(f'{key}={value}' for key, value in target.arguments.items())
        call = f'torchvision.models.{target.model}({options})'
        return load_lines(call, target, path)


def _name_mobilenet_v2(key: ParsedKey) -> str:
    part = dict(conv=0, bn=1)[key.kind]
    if key.role in ('stem', 'last'):
        return f'features.{key.block + 1}.{part}.{key.leaf}'
    order = key.roles.index(key.role)
    # The last convolution and its BatchNorm are not in one module.
    layer = f'{order + part}' if key.role == 'project' else f'{order}.{part}'
    return f'features.{key.block + 1}.conv.{layer}.{key.leaf}'


def _block_namer(stages: Sequence[int] | None) -> Namer:
    """Return the key names of MobileNetV3 or EfficientNet.

    Args:
        stages (Sequence[int] | None): Blocks in each stage; None if the blocks are
            numbered without stages, as in MobileNetV3.
    """

    def name(key: ParsedKey) -> str:
        part = dict(conv=0, bn=1)[key.kind]
        if key.role in ('stem', 'last'):
            number = len(stages) if stages and key.role == 'last' else key.block
            return f'features.{number + 1}.{part}.{key.leaf}'
        where = f'features.{key.block + 1}'
        if stages:
            stage, index = split_into_stages(key.block, stages)
            where = f'features.{stage + 1}.{index}'
        # Both convolutions of squeeze-and-excitation belong to one module.
        parts = [role for role in key.roles if role != 'excite']
        if key.role in ('reduce', 'excite'):
            layer = dict(reduce='fc1', excite='fc2')[key.role]
            return f'{where}.block.{parts.index("reduce")}.{layer}.{key.leaf}'
        return f'{where}.block.{parts.index(key.role)}.{part}.{key.leaf}'

    return name


FORMAT = TorchvisionFormat
