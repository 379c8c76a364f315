"""Every shipped config is parsed and its model built."""

import copy

import pytest
from mmengine.config import Config

from mmlgd.datasets import load_category_names
from mmlgd.registry import MODELS
from tests.test_configs.shrink import CONFIGS, ready_configs, with_tiny_teacher

DISTILLATION = [name for name in ready_configs() if name.startswith('lgd/')]
RN50 = dict(type='OpenCLIPTeacher', model_name='RN50', pretrained='openai')
STUDENTS = (
    'mbv3 mbv2 r18 effb0 r34 mbv3_small shufflenetv2 mobileone_s0 repvgg_a0 '
    'mobilevit_xs edgenext tinyvit poolformer_s12'
).split()


def test_every_student_has_its_config():
    assert {f'lgd/r50_{student}.py' for student in STUDENTS} <= set(DISTILLATION)


@pytest.mark.parametrize('name', DISTILLATION)
def test_config_builds(name):
    cfg = Config.fromfile(CONFIGS / name)

    assert cfg.default_scope == 'mmlgd'
    assert cfg.model.teacher == RN50
    names = load_category_names(cfg.model.textual_bank.categories)

    model = MODELS.build(with_tiny_teacher(cfg).model)

    assert model.teacher.embed_dims == 32
    assert tuple(model.textual_bank.embeddings.shape) == (len(names), 32)
    assert tuple(model.visual_bank.embeddings.shape) == (len(names), 32)
    assert not [key for key in model.state_dict() if 'teacher' in key]


def test_published_settings():
    cfg = Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py')
    model = MODELS.build(dict(cfg.model, teacher=dict(RN50, pretrained=None)))

    assert (model.alpha, model.student_temperature, model.teacher_temperature) == (
        0.5,
        0.2,
        0.01,
    )
    assert model.visual_bank.momentum == 0.999
    assert tuple(model.textual_bank.embeddings.shape) == (1000, 1024)
    assert len(model.textual_bank.templates) == 80
    assert model.feature_dims == 960
    assert [
        layer.weight.shape[0]
        for layer in model.projector.modules()
        if hasattr(layer, 'weight')
    ] == [960, 1024]
    # CLIP's constants, from its paper's code; scaled to 0..255.
    mean = [255 * value for value in (0.48145466, 0.4578275, 0.40821073)]
    std = [255 * value for value in (0.26862954, 0.26130258, 0.27577711)]
    assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(mean)
    assert model.data_preprocessor.std.flatten().tolist() == pytest.approx(std)


def test_coco_names_are_validated_over_imagenets():
    model = Config.fromfile(CONFIGS / 'lgd/r50_mbv3_coco-names.py').model
    assert len(load_category_names(model.textual_bank.categories)) == 80
    assert len(load_category_names(model.zero_shot_bank.categories)) == 1000
    assert model.textual_bank.templates == 'imagenet'


def test_coco_images_are_a_flat_folder_and_the_only_difference():
    base = Config.fromfile(CONFIGS / 'lgd/r50_mbv3.py').to_dict()
    found = Config.fromfile(CONFIGS / 'lgd/r50_mbv3_coco-images.py').to_dict()
    expected = copy.deepcopy(base)
    expected['train_dataloader']['dataset']['dataset']['data_root'] = (
        'data/coco/train2017'
    )
    assert found == expected
