"""`mmlgd knn`, from images to a table and its JSON."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmlgd.cli import knn
from mmlgd.errors import ConfigError
from tests.backbone_files import R18, write_backbone
from tests.downstream_data import COUNT, write_imagenet
from tests.runs import toy_run_cfg, write_images
from tests.toys import ToyBackbone, ToyTeacher

TOOLS = Path(__file__).parents[2] / 'tools/analysis_tools'


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A config whose training images are its test images, and a checkpoint."""
    root = write_images(tmp_path_factory.mktemp('images'), num=12)
    cfg = toy_run_cfg(root, root)
    cfg.train_dataloader.dataset.dataset = cfg.val_dataloader.dataset
    cfg.dump(root / 'config.py')
    torch.manual_seed(0)
    state = {f'backbone.{k}': v for k, v in ToyBackbone().state_dict().items()}
    meta = dict(
        backbone=dict(type='ToyBackbone'),
        image_mean=ToyTeacher.image_mean,
        image_std=ToyTeacher.image_std,
        to_rgb=True,
    )
    torch.save(dict(state_dict=state, meta=meta), root / 'backbone.pth')
    return [str(root / 'config.py'), str(root / 'backbone.pth')]


@pytest.mark.slow
def test_knn_writes_what_it_prints(files, tmp_path, capsys):
    out = tmp_path / 'knn.json'
    knn.main([*files, '--k', '1', '2', '--out', str(out), '--device', 'cpu'])
    found = json.loads(out.read_text())
    assert (found['num_train_images'], found['num_test_images']) == (12, 12)
    assert found['num_classes'] == 4
    # Each image is its own nearest neighbour and outvotes the other one.
    assert found['results'] == [
        dict(k=1, top1=100.0, balanced=100.0),
        dict(k=2, top1=100.0, balanced=100.0),
    ]
    assert 'k 2       top1 100.0' in capsys.readouterr().out


@pytest.mark.slow
def test_knn_takes_options_of_the_config_and_of_the_votes(files, tmp_path):
    out = tmp_path / 'knn.json'
    options = ['--out', str(out), '--device', 'cpu']
    five = ['--cfg-options', 'train_dataloader.dataset.dataset.indices=5']
    knn.main([*files, '--k', '5', '--temperature', '1e6', *options, *five])
    found = json.loads(out.read_text())
    # Three birds and two cats with equal votes: everything is a bird.
    assert found['num_train_images'] == 5
    assert found['results'] == [dict(k=5, top1=25.0, balanced=25.0)]
    with pytest.raises(ConfigError, match='k is 20, but must be between 1 and .* 12'):
        knn.main([*files, *options])


@pytest.mark.slow
def test_knn_matches_the_classes_of_both_sets_by_name(files, tmp_path):
    # The test set's folders, the same pictures, are named so that they sort otherwise.
    config = Path(files[0])
    other = tmp_path / 'val'
    names = dict(bird='_fish', cat='Cat', dog='dog', fish='Bird')
    for folder in (config.parent / 'val').iterdir():
        shutil.copytree(folder, other / names[folder.name])
    out = tmp_path / 'knn.json'
    rest = f'val_dataloader.dataset.data_root={other}'
    # Sorted as text: Bird, Cat, _fish, dog. Birds are in fish's folder and vice versa.
    classes = 'val_dataloader.dataset.classes=[fish,cat,bird,dog]'
    options = ['--k', '1', '--out', str(out), '--device', 'cpu', '--cfg-options']
    knn.main([*files, *options, rest, classes])
    found = json.loads(out.read_text())
    assert found['results'] == [dict(k=1, top1=100.0, balanced=100.0)]
    with pytest.raises(ConfigError, match="test set are not among the 4 names.*'wolf'"):
        knn.main([*files, *options, rest, classes.replace('dog', 'wolf')])


@pytest.mark.slow
def test_knn_ends_with_one_line_for_a_missing_file(files, tmp_path):
    command = [sys.executable, str(TOOLS / 'knn.py'), files[0], 'absent.pth']
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "CheckpointError: The checkpoint 'absent.pth' does not exist" in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_knn_takes_the_stock_config_of_a_linear_probe(tmp_path, monkeypatch):
    root = TOOLS.parents[1]
    monkeypatch.chdir(tmp_path)
    write_imagenet(tmp_path / 'data/imagenet')
    write_backbone(tmp_path / 'backbone.pth', R18)
    config = root / 'configs/classification/r18_linear_8xb32-100e_in1k-1percent.py'
    workers = ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=0']
    options = ['--k', '1', '--device', 'cpu', '--cfg-options', *workers]
    knn.main([str(config), 'backbone.pth', *options])
    found = json.loads(Path(f'work_dirs/{config.stem}/knn.json').read_text())
    # The lists hold the same pictures with the same labels.
    assert found['results'] == [dict(k=1, top1=100.0, balanced=100.0, top5=100.0)]
    assert found['num_train_images'] == found['num_test_images'] == COUNT
