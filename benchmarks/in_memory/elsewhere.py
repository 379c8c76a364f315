"""Training by another program, on the same images and for as many iterations."""

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.comparison.methods import Method
from benchmarks.comparison.plan import Benchmark
from benchmarks.comparison.runs import Run, complete_all
from mmlgd.errors import MMLGDError


def train_elsewhere(
    model: torch.nn.Module,
    benchmark: Benchmark,
    method: Method,
    iterations: int,
    seed: int,
    work_dir: Path,
) -> float:
    """Train with a method's program as benchmarks.comparison does; load the backbone.

    Returns:
        float: CPU time of the training in seconds.

    Raises:
        MMLGDError: The program failed; the message names its output.
    """
    changed = replace(
        method,
        name=f'{method.name}_{iterations}',
        iterations=iterations,
        prepare={'method': method.name, **method.prepare} if method.prepare else None,
    )
    run = Run(replace(benchmark, work_dir=work_dir), changed, seed)
    if complete_all([run], [], 'test', jobs=1):
        raise MMLGDError(f'{run.name} failed; see {run.folder / "output.txt"}.')
    saved = torch.load(run.folder / 'backbone.pth', weights_only=True)['state_dict']
    weights = {key.removeprefix('backbone.'): value for key, value in saved.items()}
    model.backbone.load_state_dict(weights)
    training = run.result('test')['training']
    return training['cpu_seconds'] + training['preparation_seconds']
