import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS
from tests.helpers import tiny_teacher, tiny_teacher_cfg

RESNET = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8)
POOL = dict(type='mmpretrain.GlobalAveragePooling')


def build(**overrides):
    cfg = dict(type='MMPretrainTeacher', backbone=RESNET, neck=POOL, image_size=32)
    return MODELS.build(cfg | overrides)


def save_checkpoint(file, backbone=RESNET, edit=lambda state_dict: None):
    """Writes a checkpoint like that of an mmpretrain classifier."""
    torch.manual_seed(3)
    module = MODELS.build(backbone)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)
    state_dict = {f'backbone.{k}': v for k, v in module.state_dict().items()}
    state_dict['head.fc.weight'] = torch.zeros(10, 64)
    edit(state_dict)
    torch.save(dict(state_dict=state_dict, meta=dict(epoch=1)), file)
    return module


@pytest.fixture
def checkpoint(tmp_path):
    save_checkpoint(tmp_path / 'r18.pth')
    return str(tmp_path / 'r18.pth')


def test_image_rows_are_the_backbones_pooled_features(tmp_path):
    backbone = save_checkpoint(tmp_path / 'r18.pth')
    backbone.eval()
    images = torch.rand(3, 3, 32, 32)

    teacher = build(checkpoint=str(tmp_path / 'r18.pth'))

    pooled = backbone(images)[-1].mean(dim=(2, 3))
    torch.testing.assert_close(teacher.encode_image(images), F.normalize(pooled))
    assert teacher.embed_dims == 64
    assert teacher.identity.startswith('mmpretrain/ResNet/r18.pth#')
    assert not any(module.training for module in teacher.modules())


def test_defaults_are_imagenets():
    teacher = build()

    assert teacher.image_mean == [123.675, 116.28, 103.53]
    assert teacher.image_std == [58.395, 57.12, 57.375]
    assert not teacher.has_text_tower and teacher.text_identity == ''
    with pytest.raises(TeacherError, match='set text_encoder'):
        teacher.encode_text(['a cat'])


def test_projection_and_text_share_a_space(tmp_path, checkpoint):
    torch.manual_seed(5)
    linear = nn.Linear(64, 32)
    torch.save(linear.state_dict(), tmp_path / 'map.pth')
    text_cfg = tiny_teacher_cfg()

    by_path = build(
        checkpoint=checkpoint,
        projection=str(tmp_path / 'map.pth'),
        text_encoder=text_cfg,
    )
    by_cfg = build(
        checkpoint=checkpoint,
        projection=dict(out_channels=32, checkpoint=str(tmp_path / 'map.pth')),
    )

    images = torch.rand(2, 3, 32, 32)
    pooled = by_path.backbone(images)[-1].mean(dim=(2, 3))
    expected = F.normalize(linear(pooled).detach())
    torch.testing.assert_close(by_path.encode_image(images), expected)
    torch.testing.assert_close(by_cfg.encode_image(images), expected)
    assert by_path.embed_dims == 32
    assert by_path.encode_text(['a cat', 'a dog']).shape == (2, 32)
    assert by_path.text_identity.startswith('open_clip/rn_tiny/text#')
    assert by_path.identity == by_cfg.identity


def test_text_is_that_of_the_open_clip_teacher(tmp_path):
    import open_clip

    tiny_teacher()  # registers the model's config
    torch.save(open_clip.create_model('rn_tiny').state_dict(), tmp_path / 'w.pt')
    text_encoder = tiny_teacher_cfg() | dict(pretrained=str(tmp_path / 'w.pt'))
    clip = tiny_teacher(str(tmp_path / 'w.pt'))

    teacher = build(projection=dict(out_channels=32), text_encoder=text_encoder)

    texts = ['a cat', 'a dog']
    assert torch.equal(teacher.encode_text(texts), clip.encode_text(texts))
    assert teacher.text_identity == clip.text_identity
    own = sum(p.numel() for p in teacher.backbone.parameters()) + 64 * 32 + 32
    teacher.release_text_tower()
    assert sum(p.numel() for p in teacher.parameters()) == own


def test_widths_that_differ_are_both_named():
    with pytest.raises(TeacherError, match='has 64, the text .* has 32.*projection'):
        build(text_encoder=tiny_teacher_cfg())


def test_width_is_found_for_other_backbones():
    mobilenet = dict(type='mmpretrain.MobileNetV3', arch='small')
    vit = dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24),
        img_size=32,
        patch_size=16,
    )

    assert build(backbone=mobilenet).embed_dims == 576
    assert build(backbone=vit, neck=None).embed_dims == 24


def test_building_does_not_touch_the_random_state():
    torch.manual_seed(0)
    build()
    after_build = torch.get_rng_state()
    torch.manual_seed(0)
    MODELS.build(RESNET)

    assert torch.equal(torch.get_rng_state(), after_build)


def test_feature_maps_need_a_neck():
    with pytest.raises(TeacherError, match=r'\(1, 64, 1, 1\).*GlobalAveragePooling'):
        build(neck=None)


@pytest.mark.parametrize('depth, fault', [(34, 'missing layer1.2'), (50, r'not \(')])
def test_checkpoint_of_another_depth(checkpoint, depth, fault):
    with pytest.raises(TeacherError, match=f'of .* tensors match .*{fault}'):
        build(backbone=RESNET | dict(depth=depth), checkpoint=checkpoint)


def test_checkpoint_of_a_deeper_net_has_unexpected_keys(tmp_path):
    save_checkpoint(tmp_path / 'r34.pth', RESNET | dict(depth=34))

    with pytest.raises(TeacherError, match='100%.*unexpected layer1.2'):
        build(checkpoint=str(tmp_path / 'r34.pth'))


def test_checkpoint_with_a_missing_tensor(tmp_path):
    file = tmp_path / 'r18.pth'
    save_checkpoint(file, edit=lambda weights: weights.pop('backbone.conv1.weight'))

    with pytest.raises(
        TeacherError, match='99%.*1 are missing, .*missing conv1.weight'
    ):
        build(checkpoint=str(file))


def test_checkpoint_without_a_backbone(tmp_path):
    torch.save(dict(state_dict={'head.weight': torch.zeros(1)}), tmp_path / 'h.pth')

    with pytest.raises(TeacherError, match=r'backbone of .*h.pth: 0 of \d+ tensors'):
        build(checkpoint=str(tmp_path / 'h.pth'))


def test_missing_checkpoint():
    with pytest.raises(TeacherError, match='absent.pth.*does not exist'):
        build(checkpoint='absent.pth')


def test_projection_of_another_width(tmp_path):
    torch.save(nn.Linear(48, 32).state_dict(), tmp_path / 'map.pth')

    with pytest.raises(TeacherError, match=r'weight is \(32, 48\), not \(32, 64\)'):
        build(projection=str(tmp_path / 'map.pth'))
    with pytest.raises(ConfigError, match='in_channels is 48, .* 64 wide'):
        build(projection=dict(in_channels=48, out_channels=32))


def test_pretrained_init_cfg_would_be_ignored():
    init_cfg = dict(type='Pretrained', checkpoint='x.pth')

    with pytest.raises(ConfigError, match='Set checkpoint of MMPretrainTeacher'):
        build(backbone=RESNET | dict(init_cfg=init_cfg))
