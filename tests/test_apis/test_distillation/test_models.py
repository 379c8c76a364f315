"""Teachers and students by name, found without a network."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmlgd.apis.distillation.models import find_student, find_teacher
from mmlgd.errors import ConfigError, TeacherError
from mmlgd.registry import MODELS

DEMO = Path(__file__).parents[3] / 'demo/teacher'


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmlgd')


def test_a_listed_teacher_has_its_own_temperature():
    found = find_teacher('dfn_vitl14')
    assert found.config['model_name'] == 'ViT-L-14-quickgelu'
    assert (found.temperature, found.image_size) == (0.015, 224)
    assert find_teacher('clip_rn50').temperature == 0.01


@pytest.mark.parametrize(
    ('name', 'model', 'tag', 'size'),
    [
        ('ViT-B-16/dfn2b', 'ViT-B-16', 'dfn2b', 224),
        ('PE-Core-L-14-336/meta', 'PE-Core-L-14-336', 'meta', 336),
    ],
)
def test_any_tag_of_open_clip(name, model, tag, size):
    found = find_teacher(name)
    assert found.config == dict(
        type='OpenCLIPTeacher', model_name=model, pretrained=tag
    )
    assert (found.image_size, found.temperature) == (size, 'auto')


def test_a_weight_file_with_its_model_json_beside_it(monkeypatch):
    monkeypatch.chdir(DEMO.parent)
    found = find_teacher('teacher/fashion-clip.pt')
    assert found.image_size == 64
    teacher = MODELS.build(found.config)
    assert teacher.image_size == 64
    assert teacher.identity.startswith('open_clip/fashion-clip/')


def test_a_weight_file_without_its_model(tmp_path):
    file = tmp_path / 'mine.pt'
    file.write_bytes((DEMO / 'fashion-clip.pt').read_bytes()[:100])
    with pytest.raises(ConfigError, match="as mine.json, or give 'MODEL/.*mine.pt'"):
        find_teacher(file)
    # A published architecture with own weights.
    found = find_teacher(f'ViT-B-32/{DEMO / "fashion-clip.pt"}')
    assert found.config['pretrained'] == str(DEMO / 'fashion-clip.pt')


@pytest.mark.parametrize(
    ('name', 'error', 'what'),
    [
        ('clip_rn5', ConfigError, "no teacher 'clip_rn5'. Did you mean 'clip_rn50'"),
        ('ViT-B-61/dfn2b', ConfigError, 'ViT-B-16'),
        ('ViT-B-16/dfn3b', ConfigError, 'its tags: .*dfn2b'),
        ('ViT-B-16/absent.pt', TeacherError, 'absent.pt'),
        ('dinov2_vits14', ConfigError, 'has no text tower.* clip_rn50'),
    ],
)
def test_a_teacher_that_does_not_exist_is_refused(name, error, what):
    with pytest.raises(error, match=what):
        find_teacher(name)


def test_a_listed_student():
    found = find_student('mbv3_small', 64)
    assert found.config['backbone']['type'] == 'mmpretrain.MobileNetV3'
    # Its BatchNorm has eps 0.001 and momentum 0.01.
    assert found.quick_norms == dict(norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1))
    assert f'{found.parameters / 1e6:.2f}' == '0.93'
    assert find_student('r18', 64).quick_norms is None


def test_a_network_of_timm_gives_maps_and_a_vit_vectors():
    net = find_student('test_resnet', 64).config
    assert net['backbone']['features_only']
    vit = find_student('test_vit', 64).config
    assert (vit['backbone']['pooled'], vit['neck']) == (True, None)
    assert vit['backbone']['img_size'] == 64


def test_networks_of_one_size_are_built_for_that_of_the_teacher():
    """tinyvit's config is for 224 pixels."""
    found = find_student('tinyvit', 64)
    assert found.config['backbone']['img_size'] == (64, 64)


@pytest.mark.parametrize(
    ('name', 'what'),
    [
        ('mbv3_smal', "no student 'mbv3_smal'. Did you mean 'mbv3_small'"),
        ('resnett18', "'resnet18'"),
        (dict(neck=None), 'needs backbone'),
    ],
)
def test_a_student_that_does_not_exist_is_refused(name, what):
    with pytest.raises(ConfigError, match=what):
        find_student(name, 64)


def test_a_student_that_needs_larger_images_is_refused():
    backbone = dict(type='mmpretrain.VGG', depth=11, num_classes=10)
    with pytest.raises(ConfigError, match='64 pixels'):
        find_student(dict(backbone=backbone, neck=None), 64)
