"""Trains and evaluates one run, in a process of its own, as its run.py says.

    python -m benchmarks.comparison.run FOLDER

A training that was interrupted resumes from its last checkpoint. The evaluations go to
``evaluations.json``.
"""

import copy
import json
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from benchmarks.comparison.evaluate import evaluate
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.tool import run_tool


def train(cfg: Config) -> None:
    """Train without validation, from the last checkpoint where there is one."""
    cfg = copy.deepcopy(cfg)
    for split in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{split}_{part}'] = None
    cfg.resume = True
    Runner.from_cfg(cfg).train()


def main() -> None:
    folder = Path(sys.argv[1])
    cfg = Config.fromfile(folder / 'run.py')
    asked = cfg.pop('comparison')
    if asked.role == 'student' and not (folder / 'training_cost.json').is_file():
        train(cfg)
    found = evaluate(cfg, folder, asked)
    write_atomically(folder / 'evaluations.json', json.dumps(found) + '\n')


if __name__ == '__main__':
    run_tool(main)
