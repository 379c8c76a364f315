"""A model and hooks for trainings that are signalled or killed."""

import json
import os
import signal
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mmlgd.registry import HOOKS, MODELS


@MODELS.register_module()
class NoisyLinear(BaseModel):
    """A linear layer with dropout, and without a state that differs between ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Dropout(0.3))

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        outputs = self.layers(torch.stack(inputs))
        return dict(loss=(outputs - torch.rand_like(outputs)).square().mean())


@HOOKS.register_module()
class LogLosses(Hook):
    """Appends (iteration, batch, loss) to ``losses<rank>.jsonl``, and each start."""

    def before_run(self, runner):
        self.path = Path(runner.work_dir, f'losses{get_rank()}.jsonl')
        self.write(None)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.write((runner.iter, batch_idx, outputs['loss'].item()))

    def write(self, line):
        with self.path.open('a') as file:
            print(json.dumps(line), file=file)


@HOOKS.register_module()
class HitOnce(Hook):
    """Hits rank 1 or its launcher after the optimizer's step of an iteration.

    ``kill`` kills the rank, ``signal`` signals the rank and its workers, ``launcher``
    signals the parent of torchrun.
    """

    # Before the hooks that save.
    priority = 'HIGHEST'

    def __init__(self, what, at):
        self.what, self.at = what, at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        marker = Path(runner.work_dir, 'hit')
        if runner.iter != self.at or get_rank() != 1 or marker.exists():
            return
        marker.touch()
        if self.what == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.what == 'signal':
            os.killpg(os.getpgid(0), signal.SIGTERM)
        else:
            status = Path(f'/proc/{os.getppid()}/stat').read_text()
            os.kill(int(status.rpartition(')')[2].split()[1]), signal.SIGTERM)


def losses(folder):
    """(iteration, batch) -> loss, for each rank; and the number of starts."""
    found, starts = [], 0
    for rank in (0, 1):
        lines = Path(folder, f'losses{rank}.jsonl').read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        starts = rows.count(None)
        found.append({(row[0], row[1]): row[2] for row in rows if row is not None})
    return found, starts
