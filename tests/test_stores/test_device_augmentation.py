"""Stored views are those that a teacher saw; the device must not change them."""

import pytest
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmlgd.apis.stored_views import prepare_views
from mmlgd.errors import ConfigError
from tests.runs import toy_run_cfg, write_images
from tests.stored_runs import stored_run_cfg, write_store
from tests.toys import ToyTeacher


def leave_to_device(cfg):
    pipeline = cfg.train_dataloader.dataset.dataset.pipeline
    pipeline[-1] = dict(
        type='PackForDevice', transforms=[dict(type='FastRandomGrayscale')]
    )
    return cfg


def test_training_is_refused_before_it_starts(tmp_path):
    root = write_images(tmp_path)
    write_store(toy_run_cfg(root, root / 'online'), root / 'store', views=1)
    cfg = leave_to_device(stored_run_cfg(root, root / 'store', root / 'run'))

    with pytest.raises(ConfigError, match='PackForDevice.*PackInputs.*SeededViews'):
        Runner.from_cfg(cfg).train()
    assert not list((root / 'run').glob('*.pth'))


def test_building_is_refused_before_the_teacher_is_built(tmp_path, monkeypatch):
    init_default_scope('mmlgd')
    cfg = leave_to_device(toy_run_cfg(write_images(tmp_path), tmp_path / 'run'))
    monkeypatch.setattr(ToyTeacher, '__init__', None)

    with pytest.raises(ConfigError, match='PackForDevice leaves'):
        prepare_views(cfg, 'float16', 5, 'cpu')
