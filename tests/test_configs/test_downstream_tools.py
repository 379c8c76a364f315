"""tools/test.py on a finished downstream run; and a run on two processes."""

import json
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from mmlgd.cli import test as test_tool
from mmlgd.datasets import load_category_names
from tests.downstream_data import write_caltech256, write_cityscapes, write_coco
from tests.downstream_runs import load, metrics_of, train
from tests.test_configs.test_downstream_classification import shrink as shrink_images
from tests.test_configs.test_downstream_detection import shrink as shrink_detector
from tests.test_configs.test_downstream_segmentation import shrink as shrink_segmentor
from tests.toy_tool_run import TOOLS, run_tool


def detector(root: Path, work_dir: Path) -> Config:
    """Recall of proposals is above zero even after two iterations."""
    write_coco(root / 'data/coco', CocoDataset.METAINFO['classes'])
    cfg = shrink_detector(load('detection', 'faster-rcnn_r18_fpn_1x_coco', work_dir))
    cfg.model.test_cfg.rcnn.max_per_img = 100
    cfg.model.test_cfg.rpn.max_per_img = 100
    for part in ('val', 'test'):
        cfg[f'{part}_evaluator'].metric = ['bbox', 'proposal']
    return cfg


def segmentor(root: Path, work_dir: Path) -> Config:
    write_cityscapes(root / 'data/cityscapes')
    name = 'fpn_mbv3_4xb2-80k_cityscapes-512x1024'
    return shrink_segmentor(load('segmentation', name, work_dir))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('make', 'checkpoint', 'telling'),
    [
        (detector, 'epoch_1.pth', 'coco/AR@100'),
        (segmentor, 'iter_2.pth', 'aAcc'),
    ],
)
def test_test_py_prints_what_training_logged(
    make, checkpoint, telling, in_root, tmp_path, capfd
):
    cfg = make(in_root, tmp_path / 'run')
    cfg.default_hooks.checkpoint.update(save_last=True, save_optimizer=False)
    runner, _ = train(cfg)
    logged = metrics_of(runner)
    assert logged[telling] > 0
    (config,) = (tmp_path / 'run').glob('*.py')
    capfd.readouterr()

    path = str(tmp_path / 'run' / checkpoint)
    test_tool.main([str(config), path, '--work-dir', str(tmp_path / 'test')])

    (report,) = (tmp_path / 'test').glob('*/*.json')
    found = json.loads(report.read_text())
    assert {key: found[key] for key in logged} == pytest.approx(logged, nan_ok=True)
    printed = ''.join(capfd.readouterr())
    assert f'{telling}: {logged[telling]:.4f}' in printed


@pytest.mark.slow
def test_frozen_mobilenet_under_ddp(in_root, tmp_path):
    write_caltech256(in_root / 'data/caltech256', load_category_names('caltech256'))
    name = 'mbv2_linear_8xb32-100e_caltech256'
    cfg = shrink_images(load('classification', name, tmp_path / 'run'))
    cfg.train_dataloader.batch_size = 1
    cfg.dump(tmp_path / 'c.py')

    result = run_tool(
        *('bash', TOOLS / 'dist_train.sh', tmp_path / 'c.py', 2),
        cwd=in_root,
        CUDA_VISIBLE_DEVICES='-1',
    )

    assert result.returncode == 0, result.stderr
    assert 'accuracy/top1' in result.stdout
