"""Which axis of a backbone's output holds the channels, and what pools it."""

import pytest
import torch
from torch import nn

from mmlgd.errors import ConfigError, TeacherError
from mmlgd.models.student import Student
from mmlgd.models.teachers import MMPretrainTeacher
from mmlgd.registry import MODELS

GAP = dict(type='mmpretrain.GlobalAveragePooling')
VIT = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='vit_tiny_patch16_224',
    depth=1,
    img_size=32,
)
SWIN = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='swin_tiny_patch4_window7_224',
    depths=(1, 1),
    img_size=64,
    window_size=4,
)


@MODELS.register_module(force=True)
class Gives(nn.Module):
    """Returns a tensor with a given layout: channels, and locations at stride 8."""

    def __init__(self, form: str, channels: int = 6) -> None:
        super().__init__()
        self.form = form
        self.conv = nn.Conv2d(3, channels, 8, stride=8)

    def forward(self, inputs):
        maps = self.conv(inputs)
        tokens = maps.flatten(2).transpose(1, 2)
        forms = dict(
            maps=maps,
            last=maps.permute(0, 2, 3, 1),
            tokens=tokens,
            vectors=tokens.mean(1),
            pair=[tokens, tokens[:, 0]],
        )
        return (forms[self.form],)


def student(backbone, neck=GAP, image_size=32):
    return Student(backbone, embed_dims=4, neck=neck, image_size=image_size)


@pytest.mark.parametrize('channels', [6, 4])
@pytest.mark.parametrize(
    ('form', 'neck', 'named'),
    [
        ('tokens', GAP, 'tokens of shape .*TokenPooling'),
        ('tokens', None, 'tokens of shape .*TokenPooling'),
        ('last', GAP, 'channels-last maps .*TokenPooling'),
        ('vectors', GAP, 'vectors .*neck=None'),
        ('pair', GAP, 'vectors .*neck=None'),
        ('maps', None, 'maps .*GlobalAveragePooling'),
    ],
)
def test_outputs_with_other_axes_than_the_neck_are_refused(form, neck, named, channels):
    # With 4 channels there are as many rows, columns and channels.
    backbone = dict(type='Gives', form=form, channels=channels)
    with pytest.raises(ConfigError, match=f'The student returns {named}'):
        student(backbone, neck)


@pytest.mark.parametrize(
    ('form', 'neck'),
    [
        ('maps', GAP),
        ('tokens', dict(type='TokenPooling')),
        ('last', dict(type='TokenPooling')),
        ('vectors', None),
    ],
)
@pytest.mark.parametrize('channels', [6, 4])
def test_the_mean_over_locations_is_the_same_in_every_layout(form, neck, channels):
    model = student(dict(type='Gives', form=form, channels=channels), neck)
    images = torch.randn(2, 3, 32, 32)
    expected = model.backbone.conv(images).mean(dim=(2, 3))
    assert model.feature_dims == channels
    torch.testing.assert_close(model.extract_feat(images), expected)
    assert model.map_dims == ([channels] if form == 'maps' else [])


def test_the_class_token_is_the_first_token():
    backbone = dict(type='Gives', form='tokens')
    images = torch.randn(2, 3, 32, 32)
    cls = student(backbone, dict(type='TokenPooling', pool='cls'))
    tokens = cls.backbone(images)[0]
    assert torch.equal(cls.extract_feat(images), tokens[:, 0])
    rest = student(backbone, dict(type='TokenPooling', num_prefix_tokens=1))
    tokens = rest.backbone(images)[0]
    torch.testing.assert_close(rest.extract_feat(images), tokens[:, 1:].mean(1))


def test_a_pair_of_patches_and_class_token_gives_the_latter():
    model = student(dict(type='Gives', form='pair'), neck=None)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.extract_feat(images), model.backbone(images)[0][1])


def test_tokens_of_a_vit_of_timm_are_refused_with_what_pools_them():
    with pytest.raises(ConfigError) as caught:
        student(VIT)
    assert "pool='cls'" in str(caught.value)
    assert 'num_prefix_tokens=1' in str(caught.value)


def test_a_vit_of_timm_is_pooled_as_the_model_pools():
    model = student(VIT, dict(type='TokenPooling', pool='cls')).eval()
    images = torch.randn(2, 3, 32, 32)
    timm_model = model.backbone.timm_model
    expected = timm_model.pool(timm_model.forward_features(images), pool_type='token')
    assert model.feature_dims == 192
    torch.testing.assert_close(model.extract_feat(images), expected)


def test_a_swin_of_timm_has_its_channels_last():
    with pytest.raises(ConfigError, match='channels-last maps'):
        student(SWIN, image_size=64)
    model = student(SWIN, dict(type='TokenPooling'), image_size=64)
    assert model.feature_dims == 192


@pytest.mark.parametrize('form', ['tokens', 'last'])
def test_the_same_holds_for_teachers(form):
    backbone = dict(type='Gives', form=form)
    with pytest.raises(TeacherError, match='TokenPooling'):
        MMPretrainTeacher(backbone, neck=GAP, image_size=32)
    teacher = MMPretrainTeacher(
        backbone,
        neck=dict(type='TokenPooling'),
        projection=dict(out_channels=5),
        image_size=32,
    )
    assert teacher.embed_dims == 5
    with pytest.raises(TeacherError, match='has no feature map'):
        teacher.encode_feature_map(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize('options', [dict(pool='max'), dict(num_prefix_tokens=-1)])
def test_options_of_token_pooling_are_checked(options):
    with pytest.raises(ConfigError, match='TokenPooling'):
        MODELS.build(dict(type='TokenPooling', **options))
