"""Distilled checkpoints classify any dataset under any names, by tools/test.py."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmlgd.cli import test as test_tool
from mmlgd.datasets import load_category_names
from mmlgd.registry import MODELS
from tests.downstream_data import WORDS, write_caltech256, write_folders, write_imagenet
from tests.downstream_runs import configs_of
from tests.test_configs.shrink import CONFIGS, with_tiny_teacher

SMALL = 'test_dataloader.batch_size=4 test_dataloader.num_workers=0'
SMALL += ' test_dataloader.persistent_workers=False'


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with the datasets on a disk."""
    write_imagenet(tmp_path / 'data/imagenet')
    write_caltech256(tmp_path / 'data/caltech256', load_category_names('caltech256'))
    write_folders(tmp_path / 'data/mine')
    (tmp_path / 'words.txt').write_text('\n'.join(WORDS) + '\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(root, monkeypatch):
    """Run tools/test.py with a config, its teacher exchanged; returns the metrics."""

    def run_test(name: str, *options: str) -> dict:
        cfg = with_tiny_teacher(Config.fromfile(CONFIGS / f'zero_shot/{name}.py'))
        # One template: the text towers of 1000 names take their time.
        for bank in ('textual_bank', 'zero_shot_bank'):
            if bank in cfg.model:
                cfg.model[bank].templates = 'plain'
        cfg.custom_hooks[0].cache_dir = None
        cfg.test_dataloader.dataset.pipeline[1].scale = 72
        cfg.test_dataloader.dataset.pipeline[2].crop_size = 64
        cfg.dump(root / f'{name}.py')
        if not (root / 'model.pth').exists():
            init_default_scope('mmlgd')
            torch.manual_seed(0)
            model = MODELS.build(cfg.model)
            model.textual_bank.embeddings.normal_()
            torch.save(dict(state_dict=model.state_dict(), meta={}), root / 'model.pth')
        command = f'{name}.py model.pth --work-dir out --cfg-options {SMALL}'
        test_tool.main([*command.split(), *options])
        (report,) = (root / 'out').glob('*/*.json')
        return json.loads(report.read_text())

    return run_test


@pytest.mark.parametrize('name', configs_of('zero_shot'))
def test_config_uses_the_names_of_its_dataset(name, root):
    cfg = with_tiny_teacher(Config.fromfile(CONFIGS / f'zero_shot/{name}.py'))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    wanted = load_category_names(name.rpartition('_')[2])
    assert model.prediction_bank.category_names == wanted
    # Trained under ImageNet's names, as the checkpoint's bank has them.
    assert len(model.textual_bank.category_names) == 1000
    assert not model.predict_teacher


@pytest.mark.slow
@pytest.mark.parametrize('name', ['r50_r18_imagenet', 'r50_mbv3_caltech256'])
def test_prints_the_students_accuracy(name, run):
    metrics = run(name)
    assert {'zero_shot/student_top1', 'zero_shot/student_top5'} <= metrics.keys()
    assert not any('teacher' in key for key in metrics)


def test_any_folder_and_any_names(run):
    metrics = run(
        'r50_mbv2_caltech256',
        'model.zero_shot_bank.categories=words.txt',
        'test_dataloader.dataset.data_root=data/mine',
        'test_dataloader.dataset.data_prefix=',
        'test_dataloader.dataset.ann_file=',
        'test_dataloader.dataset.classes=words.txt',
    )
    # Four images, and fewer names than five.
    assert metrics['zero_shot/student_top1'] % 25 == 0
    assert 'zero_shot/student_top5' not in metrics
