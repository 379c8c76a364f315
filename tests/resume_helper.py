"""Runs a training without interruption, and again with a SIGKILL and a resume.

Each run is a separate process, forked from a server that has imported everything
(``forkserver``), because importing takes longer than training.
"""

import multiprocessing
import os
import signal
from pathlib import Path

import mmcv.transforms  # noqa: F401  (registers its transforms)
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner, find_latest_checkpoint


class KillHook(Hook):
    """Kills the process within an iteration, after the optimizer's step."""

    # Before the hooks that save.
    priority = 'HIGHEST'

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def train(cfg_path: str, work_dir: str, kill_at: int | None, resume: bool) -> None:
    """One run, in a separate process."""
    torch.set_num_threads(1)
    cfg = Config.fromfile(cfg_path)
    cfg.update(work_dir=work_dir, resume=resume)
    runner = Runner.from_cfg(cfg)
    if kill_at is not None:
        runner.register_hook(KillHook(kill_at))
    runner.train()


def run(*args) -> int:
    """Run :func:`train` in a fresh process and return its exit code."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmlgd.engine', 'mmlgd.datasets', __name__])
    process = context.Process(target=train, args=args)
    process.start()
    process.join()
    return process.exitcode


def run_killed_and_resumed(
    cfg_path: str | Path, kill_at: int, folder: str | Path
) -> tuple[dict, dict]:
    """Train twice: without interruption, and killed in an iteration and resumed.

    Args:
        cfg_path: A config that saves checkpoints; its ``work_dir`` and ``resume``
            are replaced.
        kill_at: Zero-based iteration that ends with SIGKILL, after a first
            checkpoint and before the end.
        folder: Output folder of the runs.

    Returns:
        tuple[dict, dict]: Last checkpoints of the uninterrupted and of the resumed run.
    """
    whole, broken = str(Path(folder) / 'whole'), str(Path(folder) / 'broken')
    assert run(str(cfg_path), whole, None, False) == 0
    assert run(str(cfg_path), broken, kill_at, False) == -signal.SIGKILL
    saved = load_last(broken)
    assert 0 < saved['meta']['iter'] <= kill_at
    assert run(str(cfg_path), broken, None, True) == 0
    return load_last(whole), load_last(broken)


def load_last(work_dir: str) -> dict:
    """The last checkpoint of a run."""
    return torch.load(find_latest_checkpoint(work_dir), weights_only=False)


def assert_same(first, second, place: str = '') -> None:
    """Compare nested states bit by bit, naming the first difference."""
    assert type(first) is type(second), place
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            assert_same(first[key], second[key], f'{place}.{key}')
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), place
        for number, pair in enumerate(zip(first, second)):
            assert_same(*pair, f'{place}[{number}]')
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), place
    else:
        assert first == second, place


def assert_same_training(first: dict, second: dict) -> None:
    """Compare the training states of two checkpoints (without times)."""
    parts = ['state_dict', 'optimizer', 'param_schedulers', 'ema_state_dict']
    assert {'state_dict', 'optimizer'} <= first.keys()
    for part in parts:
        assert_same(first.get(part), second.get(part), part)
    assert first['meta']['iter'] == second['meta']['iter']
    assert first['meta']['epoch'] == second['meta']['epoch']
