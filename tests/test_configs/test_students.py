"""Every student is trained for two iterations and loaded where it will be used."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_state_dict

from mmlgd.apis import load_backbone
from mmlgd.registry import MODELS
from tests.test_configs.shrink import CONFIGS, IMAGE_SIZE, shrink, write_images

# Student -> out_indices of its maps at strides 4, 8, 16, 32 and their channels.
MAPS = {
    'mbv3': ((3, 6, 12, 15), (24, 40, 112, 160)),
    'mbv3_small': ((1, 3, 8, 11), (16, 24, 48, 96)),
    'mbv2': ((1, 2, 4, 6), (24, 32, 96, 320)),
    'r18': ((0, 1, 2, 3), (64, 128, 256, 512)),
    'r34': ((0, 1, 2, 3), (64, 128, 256, 512)),
    'effb0': ((2, 3, 4, 5), (24, 40, 112, 320)),
    'mobileone_s0': ((0, 1, 2, 3), (48, 128, 256, 1024)),
    'repvgg_a0': ((0, 1, 2, 3), (48, 96, 192, 1280)),
    'mobilevit_xs': ((1, 2, 3, 4), (48, 64, 80, 384)),
    'edgenext': ((0, 1, 2, 3), (48, 96, 160, 304)),
    'poolformer_s12': ((0, 2, 4, 6), (64, 128, 320, 512)),
    # Strides 8, 16, 32: it has no map of stride 4.
    'shufflenetv2': ((0, 1, 2), (116, 232, 464)),
}
# Of timm: all maps but a first one of stride 2.
TIMM_MAPS = {
    'mobilenetv4_conv_small': ((1, 2, 3, 4), (32, 64, 96, 960)),
    'mobilenetv4_conv_medium': ((1, 2, 3, 4), (48, 80, 160, 960)),
    'repvit_m1_0': ((0, 1, 2, 3), (56, 112, 224, 448)),
    'fastvit_t8': ((0, 1, 2, 3), (48, 96, 192, 384)),
    'fastvit_mci0': ((0, 1, 2, 3), (64, 128, 256, 512)),
    'efficientvit_b0': ((0, 1, 2, 3), (16, 32, 64, 128)),
    'efficientvit_b1': ((0, 1, 2, 3), (32, 64, 128, 256)),
    'efficientformerv2_s0': ((0, 1, 2, 3), (32, 48, 96, 176)),
    'starnet_s1': ((0, 1, 2, 3), (24, 48, 96, 192)),
    'convnext_atto': ((0, 1, 2, 3), (40, 80, 160, 320)),
    'ghostnetv3_100': ((1, 2, 3, 4), (24, 40, 80, 160)),
    'tiny_vit_5m': ((0, 1, 2, 3), (64, 128, 160, 320)),
    'timm': ((1, 2, 3, 4), (32, 64, 96, 960)),
}
MAPS |= TIMM_MAPS
FAST = 'efficientvit_b0'
STOCK_TINYVIT = "_base_ = 'mmpretrain::_base_/models/tinyvit/tinyvit-5m.py'"


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'))


def distil(student: str, images, work_dir) -> tuple[dict, dict]:
    """Train two iterations; the backbone's config and its weights as saved."""
    cfg = shrink(Config.fromfile(CONFIGS / f'lgd/r50_{student}.py'), images, work_dir)
    runner = Runner.from_cfg(cfg)
    runner.train()

    assert runner.iter == 2
    scalars = (work_dir / runner.timestamp / 'vis_data/scalars.json').read_text()
    assert scalars.count('loss_visual') == 2 and 'NaN' not in scalars
    saved = torch.load(work_dir / 'backbone.pth', weights_only=True)['state_dict']
    checkpoint = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    prefix = 'backbone.'
    state = {k: v for k, v in checkpoint['state_dict'].items() if k.startswith(prefix)}
    assert state.keys() == saved.keys()
    assert all(torch.equal(state[key], saved[key]) for key in state)
    state = {key[len(prefix) :]: value for key, value in state.items()}
    # Built from what the file says of itself.
    assert_loaded(load_backbone(work_dir / 'epoch_1.pth'), state)
    return cfg.model.backbone, state


def assert_loaded(backbone, state: dict) -> None:
    """Zero missing, zero unexpected keys, and equal tensors."""
    found = backbone.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def detector(backbone: dict, channels: tuple) -> dict:
    return dict(
        type='RetinaNet',
        _scope_='mmdet',
        backbone=backbone,
        neck=dict(type='FPN', in_channels=list(channels), out_channels=8, num_outs=5),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=2,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
        ),
        train_cfg=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4)
        ),
    )


def segmentor(backbone: dict, channels: tuple) -> dict:
    size, count = 8, len(channels)
    return dict(
        type='EncoderDecoder',
        _scope_='mmseg',
        backbone=backbone,
        neck=dict(
            type='FPN', in_channels=list(channels), out_channels=size, num_outs=count
        ),
        decode_head=dict(
            type='FPNHead',
            in_channels=[size] * count,
            in_index=list(range(count)),
            feature_strides=[4, 8, 16, 32][-count:],
            channels=size,
            num_classes=3,
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


@pytest.mark.parametrize(
    'student',
    [pytest.param(s, marks=[] if s == FAST else pytest.mark.slow) for s in MAPS],
)
def test_student_trains_and_loads_downstream(student, images, tmp_path):
    backbone, state = distil(student, images, tmp_path / 'run')
    out_indices, channels = MAPS[student]
    init_cfg = dict(
        type='Pretrained',
        checkpoint=str(tmp_path / 'run/epoch_1.pth'),
        prefix='backbone.',
    )
    backbone = dict(backbone, out_indices=out_indices, init_cfg=init_cfg)

    for config in (detector, segmentor):
        model = MODELS.build(config(backbone, channels))
        model.init_weights()
        assert_loaded(model.backbone, state)
        model.eval()
        with torch.no_grad():
            maps = model.backbone(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE))
            model.neck(maps)
        assert tuple(each.shape[1] for each in maps) == channels
        strides = [4, 8, 16, 32][-len(channels) :]
        assert [IMAGE_SIZE // each.shape[3] for each in maps] == strides

    if student in TIMM_MAPS:
        assert_loads_without_last_map(backbone, state, out_indices)


def assert_loads_without_last_map(
    backbone: dict, state: dict, out_indices: tuple
) -> None:
    """As above, into the class that downstream configs use."""
    kind = dict(type='mmlgd.TIMMBackbone', out_indices=out_indices[:-1], init_cfg=None)
    shorter = MODELS.build({**backbone, **kind})
    # As mmengine loads: an error where a key is missing or unexpected.
    load_state_dict(shorter, state, strict=True)
    found = shorter.state_dict()
    assert found and found.keys() <= state.keys()
    assert all(torch.equal(found[key], state[key]) for key in found)


@pytest.mark.slow
def test_a_vit_trains_and_loads_into_a_classifier(images, tmp_path):
    backbone, state = distil('vit_tiny_patch16_224', images, tmp_path / 'run')
    init_cfg = dict(
        type='Pretrained',
        checkpoint=str(tmp_path / 'run/backbone.pth'),
        prefix='backbone.',
    )
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            _scope_='mmpretrain',
            backbone=dict(backbone, init_cfg=init_cfg, frozen=True),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=192),
        )
    )
    model.init_weights()
    assert_loaded(model.backbone, state)
    model.eval()
    assert model(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE)).shape == (1, 5)


@pytest.mark.slow
def test_tinyvit_trains_and_loads_into_a_classifier(images, tmp_path):
    backbone, state = distil('tinyvit', images, tmp_path / 'run')
    init_default_scope('mmlgd')
    stock = Config.fromstring(STOCK_TINYVIT, '.py').model
    stock.backbone.img_size = backbone.img_size
    stock.backbone.init_cfg = dict(
        type='Pretrained',
        checkpoint=str(tmp_path / 'run/backbone.pth'),
        prefix='backbone.',
    )

    model = MODELS.build(stock)
    model.init_weights()

    assert_loaded(model.backbone, state)
    model.eval()
    scores = model(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    assert scores.shape == (1, 1000)
