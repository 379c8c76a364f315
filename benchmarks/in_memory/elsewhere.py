"""Training outside of memory, for as many iterations."""

from dataclasses import replace

import torch

from benchmarks.comparison.methods import Method
from benchmarks.comparison.plan import Benchmark
from benchmarks.comparison.runs import Run, complete_all
from mmlgd.errors import ConfigError, MMLGDError


def train_elsewhere(
    model: torch.nn.Module,
    benchmark: Benchmark,
    method: Method,
    iterations: int,
    seed: int,
) -> float:
    """Train as benchmarks.comparison does, and load the backbone.

    Returns:
        float: CPU time of the training in seconds.

    Raises:
        ConfigError: It learned from images with another normalisation.
        MMLGDError: The training failed; the message names its output.
    """
    changed = replace(
        method,
        name=f'{method.name}_{iterations}',
        iterations=iterations,
        prepare={'method': method.name, **method.prepare} if method.prepare else None,
    )
    run = Run(benchmark, changed, seed)
    if complete_all([run], [], 'test', jobs=1):
        raise MMLGDError(f'{run.name} failed: {run.read()["failed"]}')
    saved = torch.load(run.folder / 'backbone.pth', weights_only=True)
    for name in ('image_mean', 'image_std'):
        found, wanted = saved['meta'][name], getattr(model.teacher, name)
        if not torch.allclose(torch.tensor(found), torch.tensor(wanted)):
            raise ConfigError(
                f'{method.title} was trained with {name}={list(found)}, but is evaluated '
                f"with the teacher's {list(wanted)}; set the same in its method file."
            )
    weights = {
        key.removeprefix('backbone.'): value
        for key, value in saved['state_dict'].items()
    }
    model.backbone.load_state_dict(weights)
    training = run.result('test')['training']
    return training['cpu_seconds'] + training['preparation_seconds']
