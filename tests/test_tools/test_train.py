"""tools/train.py: one whole run, a resume, and each option's effect on the config."""

import shutil
import sys

import pytest
import torch
from mmengine.config import Config

from mmlgd.cli import train
from mmlgd.errors import CheckpointError, ConfigError
from tests.toy_tool_run import TOOLS, run_tool


def toy(**changes) -> Config:
    return Config(dict(work_dir='w', optim_wrapper=dict(optimizer={}), **changes))


def test_trains_from_any_folder_into_work_dirs(trained):
    work_dir, result = trained
    assert result.returncode == 0, result.stderr
    state = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    assert state['meta']['iter'] == 2 * 2  # 8 images in batches of 4
    # 0.01 is for 8 images; 4 halve it.
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)
    assert 'loss_scaler' in state['optimizer']  # --amp
    assert 'accuracy/top1' in result.stdout


def test_auto_resume_works_after_the_folder_was_moved(trained, toy_config, tmp_path):
    moved = shutil.copytree(trained[0], tmp_path / 'moved')
    shutil.move(trained[0], tmp_path / 'gone')  # last_checkpoint names this place
    try:
        result = run_tool(
            *(sys.executable, TOOLS / 'train.py', toy_config, '--work-dir', moved),
            *('--resume', '--no-validate', '--cfg-options', 'train_cfg.max_epochs=3'),
            cwd=tmp_path,
        )
    finally:
        shutil.move(tmp_path / 'gone', trained[0])
    assert result.returncode == 0, result.stderr
    assert 'epoch_2.pth after epoch 2, iteration 4' in result.stdout
    assert 'max_epochs 2 -> 3' in result.stdout
    assert (moved / 'epoch_3.pth').is_file()
    assert 'Epoch(train) [1]' not in result.stdout
    assert 'Epoch(val)' not in result.stdout


def test_auto_resume_without_checkpoint_starts_a_new_run_and_says_so(tmp_path, capsys):
    cfg = toy(load_from='pretrained.pth')
    cfg.work_dir = str(tmp_path)
    train.set_resume(cfg, 'auto')
    assert cfg.resume is False
    assert cfg.load_from == 'pretrained.pth'
    assert f'no checkpoint in {tmp_path}; a new run' in capsys.readouterr().out


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"--resume names .*'/none/epoch_9.pth'"):
        train.set_resume(toy(), '/none/epoch_9.pth')
    (tmp_path / 'last_checkpoint').write_text('/none/epoch_8.pth')
    cfg = toy()
    cfg.work_dir = str(tmp_path)
    with pytest.raises(CheckpointError, match=r'last_checkpoint names .*epoch_8.pth'):
        train.set_resume(cfg, 'auto')


def test_resume_from_a_path(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    path.touch()
    cfg = toy()
    train.set_resume(cfg, str(path))
    assert (cfg.resume, cfg.load_from) == (True, str(path))


def test_global_batch_is_split_over_the_ranks():
    cfg = toy(train_dataloader=dict(batch_size=1))
    train.split_global_batch(cfg, 256, world_size=8)
    assert cfg.train_dataloader.batch_size == 32


@pytest.mark.parametrize(
    ('total', 'nearest'), [(10, '8 and 12'), (3, '4'), (0, '4'), (-5, '4')]
)
def test_a_batch_that_does_not_split_names_the_nearest(total, nearest):
    with pytest.raises(ConfigError, match=rf'{total} .*4 rank.*can: {nearest}\.'):
        train.split_global_batch(toy(train_dataloader={}), total, world_size=4)


def test_auto_scale_lr_needs_a_base():
    cfg = toy(auto_scale_lr=dict(base_batch_size=256))
    train.use_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable is True
    for wrong in ({}, dict(auto_scale_lr=dict(enable=False))):
        with pytest.raises(ConfigError, match='base_batch_size'):
            train.use_auto_scale_lr(toy(**wrong))


def test_amp_refuses_a_wrapper_it_would_replace():
    cfg = toy()
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ConfigError, match='ApexOptimWrapper'):
        train.use_amp(cfg)


def test_no_validate_removes_all_three_parts():
    cfg = toy(val_cfg={}, val_dataloader={}, val_evaluator={})
    train.apply_options(cfg, train.parse_args(['c.py', '--no-validate']))
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
