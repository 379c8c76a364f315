"""`mmlgd build-bags`, from images to the training that reads its file."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmlgd.cli import build_bags
from mmlgd.datasets import Bags
from mmlgd.errors import ConfigError
from tests.bingo_runs import bingo_run_cfg
from tests.runs import write_images
from tests.toys import ToyTeacher

TOOL = Path(__file__).parents[2] / 'tools/build_bags.py'


def main(*arguments) -> None:
    """Call the command on the CPU."""
    build_bags.main([*map(str, arguments), '--device', 'cpu'])


def write_config(root: Path) -> Path:
    write_images(root)
    cfg = bingo_run_cfg(root, root / 'run')
    cfg.dump(root / 'cfg.py')
    return root / 'cfg.py'


def neighbours_by_hand(root: Path, k: int) -> list:
    """Neighbours of the files in order, without any of the tool's parts."""
    teacher, rows = ToyTeacher(), []
    for path in sorted((root / 'train').iterdir()):
        # 24 x 20 pictures: the short edge to 16, then 16 x 16 from the middle of
        # 19, which is rounded to begin at 2.
        image = cv2.resize(cv2.imread(str(path)), (19, 16))[:, 2:18]
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        mean, std = (
            torch.tensor(values)[:, None, None]
            for values in (teacher.image_mean, teacher.image_std)
        )
        rows.append(teacher.encode_image((rgb - mean) / std)[0].double().numpy())
    near = np.array(rows) @ np.array(rows).T
    np.fill_diagonal(near, -2)
    return np.argsort(-near, axis=1)[:, :k].tolist()


@pytest.mark.slow
def test_bags_are_written_and_trained_on(tmp_path, capsys):
    config, out = write_config(tmp_path), tmp_path / 'bags.pth'
    main(config, '--out', out, '--k', 4)
    # Libraries may have printed before it.
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    bags = Bags.read(out)
    assert bags.neighbours.tolist() == neighbours_by_hand(tmp_path, 4)
    assert bags.teacher == ToyTeacher().identity == summary['teacher']
    assert (summary['images'], summary['k'], summary['embed_dims']) == (16, 4, 16)
    assert summary['similarity_nearest'] > summary['similarity_all']
    assert summary['out'] == str(out) and summary['image_list'] == bags.images

    runner = Runner.from_cfg(Config.fromfile(config))
    runner.train()
    assert runner.iter == 8
    for name in ('anchor', 'positive', 'mix'):
        losses = runner.message_hub.get_scalar(f'train/loss_{name}').data
        assert np.isfinite(losses[0]).all()
    assert 'val/zero_shot/student_top1' in runner.message_hub.log_scalars


def test_wrong_options_are_found_before_the_images_are_embedded(tmp_path, monkeypatch):
    config = write_config(tmp_path)
    monkeypatch.setattr(ToyTeacher, 'image_features', None)
    with pytest.raises(ConfigError, match='from 1 to one less than the 16 images'):
        main(config, '--out', tmp_path / 'bags.pth', '--k', 0)
    with pytest.raises(
        ConfigError, match='--out: the folder .*cfg.py cannot be written'
    ):
        main(config, '--out', config / 'bags.pth')
    with pytest.raises(ConfigError, match='train is a folder'):
        main(config, '--out', tmp_path / 'train')


@pytest.mark.parametrize(
    'options, message',
    [
        (['--k', 16], 'one less than the 16 images'),
        (['--cfg-options', 'val_dataloader=None'], 'val_dataloader or test_dataloader'),
        (['--cfg-options', 'model.teacher=None'], 'has no teacher'),
    ],
)
def test_invalid_inputs_are_refused_and_nothing_is_written(tmp_path, options, message):
    config, out = write_config(tmp_path), tmp_path / 'bags.pth'
    with pytest.raises(ConfigError, match=message):
        main(config, '--out', out, *options)
    assert not out.exists()


@pytest.mark.slow
def test_tool_ends_with_one_line_for_a_missing_config(tmp_path):
    command = [sys.executable, str(TOOL), 'none.py', '--out', 'bags.pth']
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "ConfigError: Config 'none.py' cannot be read" in done.stderr
    assert 'Traceback' not in done.stderr
