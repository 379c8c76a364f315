"""The exported backbone is the same function in the other library's own model."""

import functools

import pytest
import timm
import torch
import torchvision
from torch import nn

from mmlgd.apis import export_backbone
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.registry import MODELS
from tests.backbone_files import (
    CLIP_MEAN,
    EFF_B0,
    MBV2,
    MBV3_LARGE,
    MBV3_SMALL,
    R18,
    random_backbone,
    write_backbone,
)

R34, R50 = dict(R18, depth=34), dict(R18, depth=50)
EFF_B1 = dict(EFF_B0, arch='b1')
EFF_B0_EVEN = dict(EFF_B0, conv_cfg=None)
MBV2_HALF = dict(MBV2, widen_factor=0.5)
R18_THIN = dict(R18, base_channels=16, stem_channels=16)
# Deeper ones of families that are there: their keys are in the names of the others.
_DEEP = (R34, R50, EFF_B1)
PAIRS = [
    *(
        (config, 'mmdet')
        for config in (R18, R50, R18_THIN, MBV2, MBV2_HALF, EFF_B0, EFF_B1)
    ),
    *((config, 'mmseg') for config in (R18, R34, MBV2)),
    *((c, 'torchvision') for c in (R18, R34, R50, MBV2, MBV3_LARGE, MBV3_SMALL)),
    (EFF_B0_EVEN, 'torchvision'),
    *((c, 'timm') for c in (R18, R50, MBV2, MBV3_LARGE, MBV3_SMALL, EFF_B0, EFF_B1)),
    (EFF_B0_EVEN, 'timm'),
    *((c, 'mmpretrain') for c in (R18, MBV2, MBV3_SMALL, EFF_B0)),
]


def maps_of(model, library, name, images):
    """The last feature map, by the API of the library."""
    if library == 'timm':
        return model.forward_features(images)
    if library == 'torchvision' and 'resnet' in name:
        return nn.Sequential(*list(model.children())[:-2])(images)
    if library == 'torchvision':
        return model.features(images)
    return model(images)[-1]


def built_as_told(target):
    """The target library's model, built from the export's usage code."""
    arguments = dict(target['arguments'])
    if target['library'] == 'timm':
        return timm.create_model(target['model'], pretrained=False, **arguments)
    if target['library'] == 'torchvision':
        if 'norm_layer' in arguments:
            arguments['norm_layer'] = eval(
                arguments['norm_layer'], dict(functools=functools, torch=torch)
            )
        return getattr(torchvision.models, target['model'])(weights=None, **arguments)
    return MODELS.build(dict(type=target['model'], **arguments))


def last_of(config, library):
    """Where both libraries end: mmseg's MobileNetV2 has no last convolution."""
    if library == 'mmseg' and 'MobileNetV2' in config['type']:
        return dict(out_indices=(6,)), {}
    if library == 'mmdet' and 'MobileNetV2' in config['type']:
        return {}, dict(out_indices=(7,))
    if library == 'mmdet' and 'Efficient' in config['type']:
        return {}, dict(out_indices=(6,))
    return {}, {}


@pytest.mark.parametrize(
    'config, library',
    [
        pytest.param(*pair, marks=[pytest.mark.slow] if pair[0] in _DEEP else [])
        for pair in PAIRS
    ],
    ids=lambda v: v if isinstance(v, str) else str(v)[14:-1],
)
@torch.no_grad()
def test_features_are_equal(tmp_path, config, library):
    ours = write_backbone(tmp_path / 'epoch_1.pth', config, image_size=(64, 96))
    done = export_backbone(tmp_path / 'epoch_1.pth', library, tmp_path / 'out.pth')
    assert done.difference < 1e-4
    contents = torch.load(tmp_path / 'out.pth', weights_only=True)
    target, state = contents['meta']['target'], contents['state_dict']
    mine, theirs = last_of(config, library)
    target['arguments'].update(theirs)
    other = built_as_told(target)
    if library == 'mmpretrain':
        state = {key.removeprefix('backbone.'): value for key, value in state.items()}
    missing, unexpected = other.load_state_dict(state, strict=False)
    assert not unexpected
    # timm's MobileNetV3 has a layer behind its pooling, a part of its classifier.
    assert not [
        k for k in missing if k.split('.')[0] not in ('fc', 'classifier', 'conv_head')
    ]
    other.eval()
    if mine:
        ours = MODELS.build(dict(config, **mine))
        keys = torch.load(tmp_path / 'epoch_1.pth')['state_dict']
        ours.load_state_dict(
            {k[9:]: v for k, v in keys.items() if k.startswith('backbone.')}
        )
        ours.eval()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    expected = ours(images)[-1]
    found = maps_of(other, library, target['model'], images)
    assert expected.abs().mean() > 0.01 and expected.std(dim=(2, 3)).mean() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert contents['meta']['image_mean'] == CLIP_MEAN


REFUSED = [
    (MBV3_LARGE, 'mmdet', 'has no MobileNetV3'),
    (MBV3_LARGE, 'mmseg', 'pads the first convolution'),
    (EFF_B0, 'mmseg', 'has no EfficientNet'),
    (EFF_B0, 'torchvision', 'pads evenly'),
    (dict(EFF_B0, arch='b5'), 'timm', 'only b0, b1, b2, b3, b4'),
    (dict(type='mmpretrain.MobileOne', arch='s0'), 'timm', 'only ResNet, MobileNetV2'),
    (dict(R18, type='mmpretrain.ResNetV1c'), 'mmdet', 'only ResNet, MobileNetV2'),
    (dict(R18, type='mmdet.ResNet'), 'timm', 'of mmpretrain are supported'),
    (MBV2_HALF, 'timm', 'widen_factor=0.5'),
    (dict(MBV2, act_cfg=dict(type='ReLU')), 'torchvision', 'act_cfg'),
    (dict(R50, style='caffe'), 'torchvision', "style='caffe'"),
    (dict(R18, norm_cfg=dict(type='GN', num_groups=4)), 'timm', 'norm layer GN'),
    (dict(R18, deep_stem=True), 'mmdet', 'deep_stem=True'),
]


@pytest.mark.parametrize('config, library, reason', REFUSED)
def test_pairs_without_equal_are_refused_by_name(tmp_path, config, library, reason):
    write_backbone(tmp_path / 'in.pth', config, image_size=64)
    with pytest.raises(ConfigError, match=reason) as error:
        export_backbone(tmp_path / 'in.pth', library, tmp_path / 'out.pth')
    name = config['type'].rpartition('.')[2]
    assert name in str(error.value) and library in str(error.value)
    assert not (tmp_path / 'out.pth').exists()


@torch.no_grad()
@pytest.mark.parametrize(
    'config, build',
    [
        (EFF_B0, lambda: torchvision.models.efficientnet_b0()),
        (EFF_B0, lambda: timm.create_model('efficientnet_b0', bn_eps=1e-3)),
        (MBV3_SMALL, lambda: timm.create_model('mobilenetv3_small_100')),
        (
            MBV3_SMALL,
            lambda: MODELS.build(dict(type='mmseg.MobileNetV3', arch='small')),
        ),
    ],
)
def test_refusals_and_arguments_have_a_reason(config, build):
    """Similar models that are refused, or need an argument, do differ."""
    ours, other = random_backbone(config), build()
    # Without the classifier, both list the same tensors in the same order.
    tensors = dict(zip(other.state_dict(), ours.state_dict().values()))
    assert all(other.state_dict()[k].shape == v.shape for k, v in tensors.items())
    other.load_state_dict(tensors, strict=False)
    other.eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = ours(images)[-1]
    if isinstance(other, torchvision.models.EfficientNet):
        found = other.features(images)
    elif hasattr(other, 'forward_features'):
        found = other.forward_features(images)
    else:
        found = other(images)[-1]
    assert found.shape != expected.shape or (found - expected).abs().max() > 1e-3


def test_a_checkpoint_without_backbone_config_needs_one(tmp_path):
    write_backbone(tmp_path / 'in.pth', R18, image_size=64)
    contents = torch.load(tmp_path / 'in.pth')
    torch.save(dict(contents, meta={}), tmp_path / 'in.pth')
    with pytest.raises(
        CheckpointError, match='does not contain the config of its backbone'
    ):
        export_backbone(tmp_path / 'in.pth', 'timm', tmp_path / 'out.pth')
    done = export_backbone(tmp_path / 'in.pth', 'timm', tmp_path / 'out.pth', R18)
    assert "timm.create_model('resnet18')" in done.usage


def test_weights_of_another_architecture_are_refused(tmp_path):
    write_backbone(tmp_path / 'in.pth', R18, backbone=R34)
    with pytest.raises(CheckpointError, match='do not match a ResNet'):
        export_backbone(tmp_path / 'in.pth', 'timm', tmp_path / 'out.pth')


@pytest.mark.parametrize(
    'config, library',
    [(MBV3_SMALL, 'timm'), (EFF_B0_EVEN, 'torchvision'), (MBV2, 'mmdet')],
)
def test_usage_is_python_that_runs(tmp_path, config, library):
    write_backbone(tmp_path / 'in.pth', config, image_size=64)
    out = tmp_path / 'out.pth'
    done = export_backbone(tmp_path / 'in.pth', library, out)
    names = dict(torch=torch, timm=timm, torchvision=torchvision, functools=functools)
    exec(done.usage, names)
    stored = next(iter(torch.load(out)['state_dict'].values()))
    if library == 'mmdet':
        names['model'] = MODELS.build(names['backbone'])
        names['model'].init_weights()
    assert torch.equal(next(iter(names['model'].state_dict().values())), stored)
