"""Every config for distillation is parsed, and its parts are built."""

import copy

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.datasets import load_category_names
from mmlgd.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from tests.test_configs.shrink import CONFIGS, distillation_configs, with_tiny_teacher

PUBLISHED = [name for name in distillation_configs() if name.startswith('lgd/r50_')]
RN50 = dict(type='OpenCLIPTeacher', model_name='RN50', pretrained='openai')


def test_every_student_has_a_config():
    students = [path.stem for path in (CONFIGS / '_base_/students').glob('*.py')]
    assert {f'lgd/r50_{student}.py' for student in students} <= set(PUBLISHED)


@pytest.mark.parametrize('name', PUBLISHED)
def test_teacher_is_openais_rn50(name):
    teacher = Config.fromfile(CONFIGS / name).model.teacher
    # A StoredTeacher contains the config of the teacher of its embeddings.
    teacher = dict(teacher.get('teacher', teacher))
    # The strict configs change the precision, not the teacher.
    teacher.pop('precision', None)
    assert teacher == RN50


@pytest.mark.parametrize('name', distillation_configs())
def test_config_builds(name):
    cfg = Config.fromfile(CONFIGS / name)
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = loader.dataset.get('dataset', loader.dataset)
        assert all(TRANSFORMS.build(step) for step in dataset.pipeline)
        assert DATASETS.get(dataset.type)
        assert DATA_SAMPLERS.get(loader.sampler.type)
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        assert HOOKS.get(hook.type)
    assert METRICS.build(cfg.val_evaluator)
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
