"""Export to models of timm, including timm models that a student wraps."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from mmlgd.export.key_names import (
    Namer,
    ParsedKey,
    arguments_of,
    published_model,
    refuse,
    split_into_stages,
)
from mmlgd.export.library import LibraryFormat, Target, family_of, load_lines
from mmlgd.export.model import ExportModel

#: Names of timm's models.
_MODELS = dict(
    ResNet='resnet{}',
    MobileNetV2='mobilenetv2_100',
    MobileNetV3='mobilenetv3_{}_100',
    EfficientNet='efficientnet_{}',
)
_FUSE = 'model = timm.utils.reparameterize_model(model)'
_NO_CLASSIFIER = "model.reset_classifier(0, '')"
# Of the wrappers: how they start and train, and what they call otherwise.
_WRAPPER_OPTIONS = (
    *('model_name', 'pretrained', 'checkpoint_path', 'in_channels'),
    *('pooled', 'frozen', 'norm_eval', 'sync_bn'),
)


class TimmFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for timm.create_model"
    library = 'timm'

    def target(self, model: ExportModel) -> Target:
        if model.name == 'TIMMBackbone':
            return _own_model(model, (_FUSE,) if self.fuse else ())
        family = family_of(model, 'timm')
        ours = published_model(model.config, type(model.module), 'timm')
        name, native_eps = _MODELS[family].format(ours.variant), 1e-5
        if ours.pads_unevenly:
            name, native_eps = f'tf_{name}', 1e-3
        arguments = {} if ours.eps == native_eps else dict(bn_eps=ours.eps)
        is_v3 = family == 'MobileNetV3'
        namer = _namer(ours.stages, is_v3) if ours.stages else None
        return Target(name, arguments, namer)

    def build(self, target: Target) -> nn.Module:
        import timm

        module = timm.create_model(target.model, **target.arguments)
        if _NO_CLASSIFIER in target.steps:
            module.reset_classifier(0, '')
        if _FUSE in target.steps:
            module = timm.utils.reparameterize_model(module)
        return module

    def features(self, module: nn.Module, images: torch.Tensor) -> object:
        # A model without classifier, or a feature extractor, is called directly.
        has_classifier = getattr(module, 'num_classes', 0)
        return module.forward_features(images) if has_classifier else module(images)

    def usage(self, model: ExportModel, path: str | Path) -> str:
        target = self.target(model)
        options = ''.join(
            f', {key}={value!r}' for key, value in target.arguments.items()
        )
        return load_lines(f'timm.create_model({target.model!r}{options})', target, path)


def _own_model(model: ExportModel, steps: tuple[str, ...]) -> Target:
    """The model of timm that a TIMMBackbone wraps, mmpretrain's or ours."""
    arguments = arguments_of(model.config)
    name = arguments['model_name']
    channels = arguments.get('in_channels', 3)
    is_pooled = arguments.get('pooled', False)
    for option in _WRAPPER_OPTIONS:
        arguments.pop(option, None)
    if channels != 3:
        arguments['in_chans'] = channels
    if 'norm_layer' in arguments:
        refuse(name, 'timm', 'its norm_layer is a name in a registry of mmpretrain')
    if is_pooled:
        arguments['num_classes'] = 0
    elif not arguments.get('features_only'):
        whole = {**arguments, 'num_classes': 0, 'global_pool': ''}
        # Most models omit their classifier when they are built. The last norm of some
        # depends on the pooling, so their classifier is removed afterwards.
        if _keys(name, whole) == set(model.module.timm_model.state_dict()):
            arguments = whole
        else:
            steps = (_NO_CLASSIFIER, *steps)
    return Target(name, arguments, removed='timm_model.', steps=steps, is_same=True)


def _keys(name: str, arguments: dict) -> set[str]:
    """Keys of a model; an empty set if it does not accept the arguments."""
    import timm

    try:
        with torch.device('meta'):
            return set(timm.create_model(name, **arguments).state_dict())
    except Exception:  # depends on the constructor
        return set()


def _namer(stages: Sequence[int], last_is_block: bool) -> Namer:
    """Return the key names of MobileNets and EfficientNets.

    Args:
        stages (Sequence[int]): Blocks in each stage.
        last_is_block (bool): Whether the last convolution is a stage and precedes the
            pooling, as in MobileNetV3.
    """
    last = f'blocks.{len(stages)}.0.' if last_is_block else ''
    outer = {
        'stem': dict(conv='conv_stem', bn='bn1'),
        'last': dict(conv='conv', bn='bn1')
        if last_is_block
        else dict(conv='conv_head', bn='bn2'),
    }

    def name(key: ParsedKey) -> str:
        if key.role in outer:
            prefix = last if key.role == 'last' else ''
            return f'{prefix}{outer[key.role][key.kind]}.{key.leaf}'
        stage, index = split_into_stages(key.block, stages)
        # Depthwise separable blocks have no expansion and end with `conv_pw`.
        first, end = (
            ('conv_pw', 'conv_pwl') if 'expand' in key.roles else ('', 'conv_pw')
        )
        layer = dict(
            expand=first,
            depthwise='conv_dw',
            reduce='se.conv_reduce',
            excite='se.conv_expand',
            project=end,
        )[key.role]
        if key.kind == 'bn':
            norms = [role for role in key.roles if role not in ('reduce', 'excite')]
            layer = f'bn{norms.index(key.role) + 1}'
        return f'blocks.{stage}.{index}.{layer}.{key.leaf}'

    return name


FORMAT = TimmFormat
