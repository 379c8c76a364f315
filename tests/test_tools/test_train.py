"""tools/train.py: one whole run, a resume, and each option's effect on the config."""

import shutil
import signal
import sys

import pytest
import torch
from mmengine.config import Config

from mmlgd.apis import training
from mmlgd.cli import train
from mmlgd.engine.hooks.preemption_hook import Preempted
from mmlgd.errors import CheckpointError, ConfigError
from mmlgd.utils import resume, torchrun
from tests.toy_tool_run import TOOLS, run_tool


def toy(**changes) -> Config:
    return Config(dict(work_dir='w', optim_wrapper=dict(optimizer={}), **changes))


@pytest.mark.slow
def test_trains_from_any_folder_into_work_dirs(trained):
    work_dir, result = trained
    assert result.returncode == 0, result.stderr
    state = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    assert state['meta']['iter'] == 2 * 2  # 8 images in batches of 4
    # 0.01 is for 8 images; 4 halve it.
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)
    assert 'loss_scaler' in state['optimizer']  # --amp
    assert 'accuracy/top1' in result.stdout


@pytest.mark.slow
def test_auto_resume_works_after_the_folder_was_moved(trained, toy_config, tmp_path):
    moved = shutil.copytree(trained[0], tmp_path / 'moved')
    shutil.move(trained[0], tmp_path / 'gone')  # last_checkpoint names this place
    try:
        result = run_tool(
            *(sys.executable, TOOLS / 'train.py', toy_config, '--work-dir', moved),
            *('--resume', '--no-validate', '--cfg-options', 'train_cfg.max_epochs=3'),
            *('--amp', '--auto-scale-lr', '--global-batch-size', 4),
            cwd=tmp_path,
        )
    finally:
        shutil.move(tmp_path / 'gone', trained[0])
    assert result.returncode == 0, result.stderr
    assert 'epoch_2.pth after epoch 2, iteration 4' in result.stdout
    assert 'wrote the checkpoint: max_epochs 2 -> 3. ' in result.stdout
    assert (moved / 'epoch_3.pth').is_file()
    assert 'Epoch(train) [1]' not in result.stdout
    assert 'Epoch(val)' not in result.stdout


def test_auto_resume_without_checkpoint_starts_a_new_run_and_says_so(tmp_path, capsys):
    cfg = toy(load_from='pretrained.pth')
    cfg.work_dir = str(tmp_path)
    resume.set_resume(cfg, 'auto')
    assert cfg.resume is False
    assert cfg.load_from == 'pretrained.pth'
    assert f'no checkpoint in {tmp_path}; a new run' in capsys.readouterr().out


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"--resume refers to .*'/none/epoch_9.pth'"
    ):
        resume.set_resume(toy(), '/none/epoch_9.pth')
    (tmp_path / 'last_checkpoint').write_text('/none/epoch_8.pth')
    cfg = toy()
    cfg.work_dir = str(tmp_path)
    with pytest.raises(
        CheckpointError, match=r'last_checkpoint refers to .*epoch_8.pth'
    ):
        resume.set_resume(cfg, 'auto')


def test_resume_from_a_path(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    path.touch()
    cfg = toy()
    resume.set_resume(cfg, str(path))
    assert (cfg.resume, cfg.load_from) == (True, str(path))


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


def training_state(**meta) -> dict:
    meta = dict(epoch=3, iter=30, **meta)
    return dict(state_dict={}, optimizer={}, message_hub={}, meta=meta)


def resuming(tmp_path, checkpoint: dict, **train_cfg) -> Config:
    torch.save(checkpoint, tmp_path / 'c.pth')
    return toy(load_from=str(tmp_path / 'c.pth'), train_cfg=train_cfg)


@pytest.mark.parametrize(
    ('train_cfg', 'finished'),
    [
        (dict(max_epochs=3), True),
        (dict(max_epochs=4), False),
        (dict(by_epoch=False, max_iters=30), True),
        (dict(by_epoch=False, max_iters=31), False),
    ],
)
def test_a_finished_run_is_reported(tmp_path, capsys, train_cfg, finished):
    cfg = resuming(tmp_path, training_state(), **train_cfg)
    meta = resume.read_training_meta(cfg)
    assert resume.is_finished(cfg, meta) is finished
    assert ('already finished' in capsys.readouterr().out) is finished


def test_only_a_trainings_checkpoint_can_be_resumed(tmp_path):
    weights = dict(state_dict={}, meta=dict(epoch=1))
    with pytest.raises(
        CheckpointError, match='no optimizer, message_hub, meta.iter.*load_from='
    ):
        resume.read_training_meta(resuming(tmp_path, weights))
    code = training_state(config='raise SystemExit')
    with pytest.raises(CheckpointError, match='Python code .*not executed'):
        resume.read_training_meta(resuming(tmp_path, code, max_epochs=9))


def test_a_used_work_dir_is_refused_unless_overwritten(tmp_path):
    cfg = toy()
    cfg.work_dir = str(tmp_path)
    resume.check_work_dir(cfg, overwrite=False)  # empty
    (tmp_path / 'run.py').touch()
    (tmp_path / '20250101_000000').mkdir()
    resume.check_work_dir(cfg, overwrite=False)  # logs and configs are no run
    (tmp_path / 'epoch_1.pth').touch()
    (tmp_path / 'last_checkpoint').write_text('epoch_1.pth')
    with pytest.raises(ConfigError, match='epoch_1.pth.*--resume.*--overwrite'):
        resume.check_work_dir(cfg, overwrite=False)
    resume.check_work_dir(cfg, overwrite=True)
    # A later --resume must not find the earlier run; its weights stay.
    assert not (tmp_path / 'last_checkpoint').exists()
    assert (tmp_path / 'epoch_1.pth').exists()


def test_a_config_that_resumes_does_so_through_the_same_checks(tmp_path):
    cfg = toy(resume=True, load_from='/none/epoch_3.pth')
    with pytest.raises(CheckpointError, match='epoch_3.pth'):
        training.train_config(cfg)


@pytest.mark.parametrize('installed', [True, False])
def test_tensorboard_is_used_where_it_is_installed(monkeypatch, installed):
    monkeypatch.setattr(training, 'find_spec', lambda name: installed or None)
    cfg = toy(visualizer=dict(vis_backends=[dict(type='LocalVisBackend')]))
    training.use_tensorboard(cfg)
    kinds = [each['type'] for each in cfg.visualizer.vis_backends]
    assert kinds == ['LocalVisBackend', 'TensorboardVisBackend'][: 1 + installed]
    own = toy(visualizer=dict(vis_backends=[dict(type='WandbVisBackend')]))
    training.use_tensorboard(own)
    assert len(own.visualizer.vis_backends) == 1


@pytest.mark.parametrize(
    ('launched', 'requested', 'code'),
    [(False, False, 75), (True, False, 75), (True, True, 0)],
)
def test_exit_code_of_a_preempted_rank(
    tmp_path, monkeypatch, launched, requested, code
):
    handlers = {each: signal.getsignal(each) for each in torchrun.SIGNALS}
    monkeypatch.setenv(torchrun.FOLDER_VARIABLE, str(tmp_path) if launched else '')
    try:
        # torchrun restarts a rank with another code than 0.
        assert train.exit_code(Preempted(75, requested)) == code
        # Slurm ends the other ranks when the first one has exited.
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    left = torchrun.LaunchFolder(tmp_path).read_code()
    assert left == (75 if launched else None)
