"""Configs with stored views, compared with their online counterparts."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tests.stored_runs import write_store
from tests.test_configs.shrink import CONFIGS, shrink, write_images

# Those of several teachers are in test_several_teachers.py.
STORED = sorted(path.stem for path in (CONFIGS / 'lgd').glob('r50_*_stored.py'))
TEACHER = CONFIGS.parent / 'demo/teacher'
FASHION_CLIP = dict(
    type='OpenCLIPTeacher',
    model_name='fashion-clip',
    model_config=str(TEACHER / 'fashion-clip.json'),
    pretrained=str(TEACHER / 'fashion-clip.pt'),
)


def read(name):
    return Config.fromfile(CONFIGS / f'lgd/{name}.py')


@pytest.mark.parametrize('name', STORED)
def test_it_differs_from_its_sibling_in_the_store_alone(name):
    stored, online = (
        read(one).to_dict() for one in (name, name.removesuffix('_stored'))
    )
    store = stored.pop('store')
    assert stored['model']['teacher'] == dict(
        type='StoredTeacher', store=store, teacher=online['model']['teacher']
    )
    online['model']['teacher'] = stored['model']['teacher']
    online['train_dataloader']['dataset'].update(type='StoredViews', store=store)
    online['custom_hooks'].append(dict(type='StoredViewsHook'))
    assert stored == online


@pytest.mark.slow
def test_it_trains_from_a_store_of_its_sibling(tmp_path):
    images = write_images(tmp_path / 'images')
    online = shrink(read('r50_r18'), images, tmp_path / 'online')
    # Weights from files: the text tower is read again when the bank is built.
    online.model.teacher = FASHION_CLIP
    write_store(online, tmp_path / 'store', views=1)
    cfg = shrink(read('r50_r18_stored'), images, tmp_path / 'stored')
    cfg.model.teacher = dict(
        type='StoredTeacher',
        store=str(tmp_path / 'store'),
        teacher=online.model.teacher,
    )
    cfg.train_dataloader.dataset.store = str(tmp_path / 'store')
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    assert (tmp_path / 'stored/backbone.pth').is_file()
    assert runner.model.visual_bank.seen.any()
