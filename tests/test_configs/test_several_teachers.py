"""The configs of several teachers, from distillation to a detector."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmlgd.apis import load_backbone
from mmlgd.registry import HOOKS, MODELS, TRANSFORMS
from mmlgd.utils.config_check import check_config
from mmlgd.utils.run_config import read_config
from tests.stored_runs import write_store
from tests.test_configs.shrink import CONFIGS, FURTHER_SIZE, shrink, write_images
from tests.test_configs.test_stored import FASHION_CLIP
from tests.test_configs.test_students import MAPS, assert_loaded, detector

NAME = 'dfn-vitb16_dinov3-vits16_mbv3'
FURTHER = dict(type='TIMMTeacher', model_name='test_resnet', image_size=FURTHER_SIZE)


def read(name: str = NAME) -> Config:
    return Config.fromfile(CONFIGS / f'lgd/{name}.py')


def base(name: str) -> dict:
    return Config.fromfile(CONFIGS / f'_base_/teachers/{name}.py')


def test_teachers_are_those_of_the_bases():
    cfg = read_config(str(CONFIGS / f'lgd/{NAME}.py'), {}, ['model'])
    check_config(cfg)
    language, further = cfg.model.teachers
    assert language == base('dfn_vitb16').teacher
    assert further.teacher == base('dinov3_vits16').teacher
    assert cfg.model.teacher_temperature == base('dfn_vitb16').teacher_temperature
    init_default_scope('mmlgd')
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.dataset.pipeline[0])
    # DINOv3's, the larger of the two.
    assert (crop.scale, cfg.model.student_size) == ((256, 256), 224)
    assert cfg.val_dataloader.dataset.pipeline[2].crop_size == 256


def test_the_stored_config_differs_in_the_store_alone():
    stored, online = read(f'{NAME}_stored').to_dict(), read().to_dict()
    store = stored.pop('store')
    language, further = online['model']['teachers']
    kind = dict(type='StoredTeacher', store=store)
    online['model']['teachers'] = [
        dict(kind, teacher=language),
        dict(further, teacher=dict(kind, teacher=further['teacher'], position=1)),
    ]
    online['train_dataloader']['dataset'].update(type='StoredViews', store=store)
    online['custom_hooks'].append(dict(type='StoredViewsHook'))
    assert stored == online


def test_a_misspelt_type_is_found_before_the_run():
    cfg = read()
    cfg.model.teachers[1].teacher.type = 'TIMTeacher'
    with pytest.raises(ValueError, match="teachers.1.teacher.type 'TIMTeacher'"):
        check_config(cfg)


def test_the_sample_of_the_documentation_takes_a_step(tmp_path):
    text = (
        (CONFIGS.parent / 'docs/teachers.md')
        .read_text()
        .split('## Several teachers')[1]
    )
    sample = text.split('```python\n')[1].split('```')[0]
    file = tmp_path / 'sample.py'
    file.write_text(sample.replace('../_base_', f'{CONFIGS}/_base_'))
    cfg = Config.fromfile(file)
    check_config(cfg)
    shrink(cfg, write_images(tmp_path / 'images'), tmp_path / 'sample/run')
    init_default_scope('mmlgd')
    model = MODELS.build(cfg.model)
    loader = Runner.build_dataloader(cfg.train_dataloader)
    (hook,) = [one for one in cfg.custom_hooks if 'Feature' in one.type]
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, logger=MMLogger.get_instance('sample')
    )
    HOOKS.build(hook).before_train(runner)

    losses = model(**model.data_preprocessor(next(iter(loader))), mode='loss')

    further = {'loss_features_1', 'loss_maps_1'}
    assert losses.keys() == {'loss_textual', 'loss_visual'} | further
    assert all(value.isfinite() for value in losses.values())


def assert_trained(cfg: Config, runner: Runner) -> None:
    """Two iterations with finite losses; all is saved; the backbone loads downstream."""
    work_dir = cfg.work_dir
    assert runner.iter == 2
    saved = torch.load(f'{work_dir}/epoch_1.pth', weights_only=True)
    again = MODELS.build(cfg.model)
    again.load_state_dict(saved['state_dict'])
    for key, value in runner.model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    assert saved['state_dict']['feature_statistics.features_1.num_rows'] == 8
    state = {
        key.removeprefix('backbone.'): value
        for key, value in saved['state_dict'].items()
        if key.startswith('backbone.')
    }
    assert_loaded(load_backbone(f'{work_dir}/epoch_1.pth'), state)
    out_indices, channels = MAPS['mbv3']
    init_cfg = dict(
        type='Pretrained', checkpoint=f'{work_dir}/epoch_1.pth', prefix='backbone.'
    )
    backbone = dict(cfg.model.backbone, out_indices=out_indices, init_cfg=init_cfg)
    model = MODELS.build(detector(backbone, channels))
    model.init_weights()
    assert_loaded(model.backbone, state)


@pytest.mark.slow
def test_both_train_and_load_downstream(tmp_path):
    images = write_images(tmp_path / 'images')
    further = dict(FURTHER, pretrained=str(tmp_path / 'further.pth'))
    torch.save(MODELS.build(FURTHER).backbone.state_dict(), further['pretrained'])
    online = shrink(read(), images, tmp_path / 'online/run')
    online.model.teachers[0] = FASHION_CLIP
    online.model.teachers[1].teacher = further
    pipeline = online.train_dataloader.dataset.dataset.pipeline
    assert pipeline[0].scale == FURTHER_SIZE

    store = str(tmp_path / 'store')
    write_store(online.copy(), tmp_path / 'store', views=1)
    stored = shrink(read(f'{NAME}_stored'), images, tmp_path / 'stored/run')
    kind = dict(type='StoredTeacher', store=store)
    stored.model.teachers[0] = dict(kind, teacher=FASHION_CLIP)
    stored.model.teachers[1].teacher = dict(kind, teacher=further, position=1)
    stored.train_dataloader.dataset.store = store

    for cfg in (online, stored):
        runner = Runner.from_cfg(cfg)
        runner.train()
        assert_trained(cfg, runner)
