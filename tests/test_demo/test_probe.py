"""`make demo-probe` with 16-pixel images, and its parts on features made by hand."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from demo import probe as tool
from mmlgd.errors import CheckpointError
from tests.backbone_files import MBV3_SMALL, write_backbone

ROOT = Path(__file__).parents[2]


def small_config(folder: Path) -> str:
    cfg = Config.fromfile(ROOT / 'configs/demo/probe_supervised.py')
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(folder / 'data')
        loader.dataset.pipeline[1].scale = 16 if name == 'train' else (16, 16)
    cfg.dump(folder / 'small.py')
    return str(folder / 'small.py')


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:The given NumPy array is not writable')
def test_a_short_run_compares_three_backbones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    write_backbone(tmp_path / 'backbone.pth', MBV3_SMALL)
    options = ['--config', small_config(tmp_path), '--work-dir', str(tmp_path / 'out')]
    tool.main([str(tmp_path / 'backbone.pth'), '--short', *options])

    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert list(summary['probes']) == ['distilled', 'random']
    assert (summary['num_train_images'], summary['num_test_images']) == (800, 200)
    table = capsys.readouterr().out
    for rows in summary['probes'].values():
        for row in rows.values():
            for kind in ('linear', 'knn'):
                # Ten classes: not far below chance level.
                assert 5 < row[kind] <= 100
                assert f'{row[kind]:.2f}' in table
            assert row['linear'] == row['draws'][0]['linear']
    assert f'{summary["supervised"]:.2f}' in table
    assert summary['probes']['distilled'] != summary['probes']['random']


def test_a_missing_backbone_names_the_demo(tmp_path):
    with pytest.raises(
        CheckpointError, match='none.pth does not exist: run `make demo`'
    ):
        tool.main([str(tmp_path / 'none.pth')])


def corners(per_class: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat(per_class)
    noise = 0.05 * torch.randn(len(labels), 5, generator=generator)
    return torch.eye(3, 5)[labels] + noise, labels


@pytest.mark.parametrize('scale', [1.0, 1e-7])
def test_a_probe_finds_classes_whatever_the_scale_of_features(scale):
    (train, labels), (test, test_labels) = corners(80, 0), corners(20, 1)
    # A deliberately wrong test label, which costs 1 / 60.
    test_labels[0] = 1
    data = dict(
        train=train * scale, labels=labels, test=test * scale, test_labels=test_labels
    )
    found = tool.probe(data, percent=10, epochs=20, seed=0)
    assert found['linear'] == found['knn'] == 98.33
    assert found['rate'] in tool.RATES
