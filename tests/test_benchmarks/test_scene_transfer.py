"""Fine-tuning on the scenes: its configs and its log."""

import json
import math
from pathlib import Path

import pytest
from mmengine.config import Config

from benchmarks.comparison import scene_transfer
from demo.scenes import runs
from demo.scenes.measures import percentages
from mmlgd.errors import ConfigError, MMLGDError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def transfer(monkeypatch):
    monkeypatch.chdir(ROOT)
    return scene_transfer


@pytest.fixture
def trained(transfer, monkeypatch):
    """Configs of the trainings, which are replaced by stubs."""
    seen = []

    def train(cfg, threads):
        seen.append(cfg)
        return {'coco/bbox_mAP': 0.16, 'coco/segm_mAP': 0.1337, 'seconds': 2.0}

    monkeypatch.setattr(transfer, 'train', train)
    return seen


def measure(transfer, tmp_path, **settings):
    settings = dict(tasks=['detection'], **settings)
    folder = tmp_path / 'lgd_seed1'
    return transfer.measure_transfer(folder, Path('b.pth'), 1, settings)


def test_scenes_get_the_backbone_the_seed_and_the_options(transfer, trained, tmp_path):
    options = dict(train_dataloader=dict(num_workers=0))
    found = measure(transfer, tmp_path, options=options)
    assert found == dict(box_ap=16, mask_ap=13.37, seconds=2)
    (cfg,) = trained
    assert cfg.model.backbone.init_cfg.checkpoint == 'b.pth'
    assert cfg.randomness.seed == 1 and cfg.train_dataloader.num_workers == 0
    # Beside the scenes that all runs share.
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path / 'scenes')
    assert json.dumps(found)


def test_a_short_transfer_is_short_whatever_the_options_say(
    transfer, trained, tmp_path
):
    options = {'train_cfg.max_iters': 160, 'train_cfg.val_interval': 160}
    measure(transfer, tmp_path, options=options)
    measure(transfer, tmp_path, options=options, short=True)
    assert [cfg.train_cfg.max_iters for cfg in trained] == [160, 2]
    assert trained[1].train_cfg.val_interval == 2


def test_a_given_length_counts_whatever_the_options_say(transfer, trained, tmp_path):
    options = {'train_cfg.max_iters': 160, 'train_cfg.val_interval': 160}
    measure(transfer, tmp_path, options=options, iterations=800)
    (cfg,) = trained
    assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == 800
    assert cfg.param_scheduler[1].end == cfg.default_hooks.checkpoint.interval == 800


def test_settings_that_fit_no_config_are_refused(transfer, trained, tmp_path):
    with pytest.raises(ConfigError, match=r"\['options'\] do not match .*mask-rcnn"):
        measure(transfer, tmp_path, options={'param_scheduler.9.end': 1})
    with pytest.raises(ConfigError, match="no task 'depth'; there are detection"):
        transfer.measure_transfer(tmp_path, None, 0, dict(tasks=['depth']))
    assert not trained


# mmdet omits its metrics if nothing was detected; COCO gives -1 if there was nothing to
# detect.
@pytest.mark.parametrize(
    ('logged', 'told'),
    [
        ({'coco/segm_mAP': 0.1}, r'box AP \(coco/bbox_mAP: missing\)'),
        ({'coco/bbox_mAP': 0.1, 'coco/segm_mAP': -1.0}, r'mask AP \(.*: -1\.0\)'),
        ({'coco/bbox_mAP': math.nan, 'coco/segm_mAP': 0.1}, r'box AP \(.*: nan\)'),
    ],
)
def test_missing_metrics_are_not_zero(transfer, tmp_path, monkeypatch, logged, told):
    monkeypatch.setattr(transfer, 'train', lambda *args: dict(logged, seconds=1.0))
    with pytest.raises(MMLGDError, match=f'{told}.*lgd_seed1_detection/output.txt'):
        measure(transfer, tmp_path)


def test_an_ap_of_zero_is_valid():
    found = percentages(
        'detection', {'coco/bbox_mAP': 0.0, 'coco/segm_mAP': 0.25}, Path('run')
    )
    assert found == dict(box_ap=0, mask_ap=25)


@pytest.mark.parametrize('content', [None, '', '{"mIoU": 1'])
def test_a_training_that_logged_nothing_names_its_output(
    tmp_path, monkeypatch, content
):
    def log(cfg, threads):
        if content is not None:
            folder = Path(cfg.work_dir, '20260101/vis_data')
            folder.mkdir(parents=True)
            (folder / 'scalars.json').write_text(content)

    monkeypatch.setattr(runs, 'run_training', log)
    with pytest.raises(MMLGDError, match='no readable .*scalars.json.*run/output.txt'):
        runs.train(Config(dict(work_dir=str(tmp_path / 'run'))), threads=1)
