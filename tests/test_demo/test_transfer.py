"""`make demo-transfer --short`, and its table for given values."""

import json
from argparse import Namespace
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config

from demo import transfer as tool
from demo.scenes import ITEM_CLASSES, SCENE_CLASSES, runs
from mmlgd.errors import CheckpointError, MMLGDError
from tests.backbone_files import MBV3_SMALL, write_backbone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def backbone(tmp_path):
    write_backbone(tmp_path / 'backbone.pth', MBV3_SMALL)
    return str(tmp_path / 'backbone.pth')


@pytest.mark.slow
def test_a_short_run_writes_table_summary_and_images(
    backbone, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(ROOT)
    out = tmp_path / 'out'
    tool.main([backbone, '--short', '--work-dir', str(out)])

    summary = json.loads((out / 'summary.json').read_text())
    assert summary['seeds'] == [0]
    assert (summary['num_train_scenes'], summary['num_val_scenes']) == (4, 4)
    assert summary['checkpoint'] == backbone
    table = capsys.readouterr().out
    for task, keys in (
        ('detection', ('box_ap', 'mask_ap')),
        ('segmentation', ('mIoU', 'aAcc')),
    ):
        part = summary[task]
        assert part['iterations'] == 2
        assert (ROOT / part['config']).is_file()
        for start in ('distilled', 'scratch'):
            for key in keys:
                assert 0 <= part[start][key] <= 100
                assert f'{part[start][key]:.2f}' in table
            assert part[start]['seconds'][0] > 0
        # Rows of scene, ground truth and two models.
        picture = cv2.imread(str(out / f'predictions_{task}.png'))
        assert picture.shape[0] > 600 and picture.std() > 10


def test_starts_differ_in_the_weights_alone(tmp_path):
    args = Namespace(checkpoint='b.pth', work_dir=str(tmp_path), short=False)
    for task in tool.CONFIGS:
        distilled, scratch = (tool.config_of(task, s, 3, args) for s in tool.STARTS)
        assert distilled.model.backbone.pop('init_cfg') == dict(
            type='Pretrained', checkpoint='b.pth', prefix='backbone.'
        )
        assert distilled.randomness == dict(seed=3)
        assert distilled.work_dir != scratch.work_dir
        distilled.work_dir = scratch.work_dir
        assert distilled.to_dict() == scratch.to_dict()


def test_means_over_seeds_and_the_better_start(capsys):
    args = Namespace(checkpoint='b.pth', work_dir='w', short=False, seeds=2)
    runs = {}
    for start, ap in (('distilled', 30.0), ('scratch', 20.0)):
        for seed in range(2):
            ap_of_seed = ap + 10 * seed
            runs['detection', start, seed] = {
                'box_ap': ap_of_seed,
                'mask_ap': 25.0,
                'seconds': 1.0,
            }
            runs['segmentation', start, seed] = {
                'mIoU': ap_of_seed,
                'aAcc': ap,
                'seconds': 2.0,
            }
    summary = tool.summarize(runs, args)
    distilled = summary['detection']['distilled']
    assert distilled['box_ap'] == 35 and distilled['box_ap_by_seed'] == [30, 40]
    assert summary['segmentation']['scratch']['mIoU'] == 25
    # With equal mask AP, no start is better.
    assert not summary['detection']['distilled_wins']
    assert summary['segmentation']['distilled_wins']


def test_configs_name_the_classes_of_the_scenes():
    for task, names in (('detection', ITEM_CLASSES), ('segmentation', SCENE_CLASSES)):
        cfg = Config.fromfile(ROOT / tool.CONFIGS[task])
        for split in ('train', 'val', 'test'):
            metainfo = cfg[f'{split}_dataloader'].dataset.metainfo
            assert tuple(metainfo.classes) == names
            assert len({tuple(colour) for colour in metainfo.palette}) == len(names)


@pytest.mark.slow
def test_a_failed_training_names_its_output(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path / 'run')))
    with pytest.raises(MMLGDError, match='output.txt'):
        runs.train(cfg, threads=1)
    assert 'ConfigError' in (tmp_path / 'run/output.txt').read_text()


def test_a_missing_backbone_names_the_demo(tmp_path):
    with pytest.raises(CheckpointError, match='make demo'):
        tool.main([str(tmp_path / 'none.pth')])
