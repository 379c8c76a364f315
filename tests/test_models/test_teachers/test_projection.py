"""A fitted projection belongs to one backbone and one image-text model."""

import open_clip
import pytest
import torch
from torch import nn

from mmlgd.errors import TeacherError
from mmlgd.models.teachers.projection import normalisation_of
from mmlgd.registry import MODELS
from tests.helpers import tiny_teacher, tiny_teacher_cfg

RESNET = dict(type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4)
POOL = dict(type='mmpretrain.GlobalAveragePooling')
WIDTH = 32


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Weights of a backbone and of a CLIP, and a projection from one to the other."""
    folder = tmp_path_factory.mktemp('projection')
    torch.manual_seed(0)
    backbone = MODELS.build(RESNET)
    weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    # As in a self-supervised checkpoint: the neck of its pretext task.
    weights['neck.fc0.weight'] = torch.zeros(3, WIDTH)
    torch.save(dict(state_dict=weights), folder / 'r18.pth')
    tiny_teacher()  # registers the model's config
    torch.save(open_clip.create_model('rn_tiny').state_dict(), folder / 'clip.pt')
    teacher = build(folder)
    meta = dict(
        aligned_teacher=teacher.identity,
        alignment_target=tiny_teacher(str(folder / 'clip.pt')).identity,
        **normalisation_of(teacher),
    )
    linear = nn.Linear(WIDTH, 32)
    torch.save(dict(state_dict=linear.state_dict(), meta=meta), folder / 'map.pth')
    torch.save(linear.state_dict(), folder / 'bare.pth')
    return folder


def build(folder, **overrides):
    cfg = dict(
        type='MMPretrainTeacher',
        backbone=RESNET,
        neck=POOL,
        checkpoint=str(folder / 'r18.pth'),
        image_size=32,
    )
    return MODELS.build(cfg | overrides)


def clip_cfg(folder):
    return tiny_teacher_cfg() | dict(pretrained=str(folder / 'clip.pt'))


def test_the_pair_it_was_fitted_for(root):
    plain = build(root)
    fitted = build(root, projection=str(root / 'map.pth'), text_encoder=clip_cfg(root))

    assert fitted.feature_identity == plain.feature_identity == plain.identity
    assert fitted.identity != plain.identity
    weights = torch.load(root / 'map.pth', weights_only=True)['state_dict']
    images = torch.rand(2, 3, 32, 32)
    expected = nn.functional.linear(plain.encode_features(images), **weights)
    torch.testing.assert_close(fitted.encode_features(images), expected)


def test_files_may_be_renamed(root, tmp_path):
    for name in ('r18.pth', 'clip.pt'):
        (tmp_path / f'my_{name}').write_bytes((root / name).read_bytes())

    teacher = build(
        root,
        checkpoint=str(tmp_path / 'my_r18.pth'),
        projection=str(root / 'map.pth'),
        text_encoder=clip_cfg(root) | dict(pretrained=str(tmp_path / 'my_clip.pt')),
    )

    assert teacher.embed_dims == 32


def test_another_backbone_is_refused(root):
    torch.manual_seed(1)
    with pytest.raises(
        TeacherError, match=r'for the features of .*/r18.pth#.*/random#'
    ):
        build(root, checkpoint=None, projection=str(root / 'map.pth'))


@pytest.mark.parametrize(
    'name, value',
    [('image_mean', [0, 0, 0]), ('image_std', [1, 1, 1]), ('image_size', 64)],
)
def test_another_normalisation_is_refused(root, name, value):
    with pytest.raises(TeacherError, match=f'fitted with {name}=.* Set {name}'):
        build(root, projection=str(root / 'map.pth'), **{name: value})


def test_another_clip_is_refused(root):
    torch.manual_seed(2)
    with pytest.raises(
        TeacherError, match=r'rn_tiny/clip.pt#.*text_encoder is .*random#'
    ):
        build(root, projection=str(root / 'map.pth'), text_encoder=tiny_teacher_cfg())


def test_a_projection_without_meta_is_accepted(root):
    teacher = build(
        root,
        checkpoint=None,
        projection=str(root / 'bare.pth'),
        text_encoder=tiny_teacher_cfg(),
    )
    assert teacher.embed_dims == 32


def test_a_projection_is_computed_in_float32_under_autocast(root):
    teacher = build(root, projection=str(root / 'map.pth'))
    images = torch.rand(2, 3, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = teacher.image_features(images)
        assert teacher.backbone(images)[-1].dtype == torch.bfloat16
    assert found.dtype == torch.float32
