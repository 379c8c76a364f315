"""CPU time and wall time of a training."""

import json
import time
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmlgd.registry import HOOKS
from mmlgd.utils.atomic import write_atomically

_CLOCKS = dict(cpu_seconds=time.process_time, wall_seconds=time.monotonic)


@HOOKS.register_module()
class TrainingCostHook(Hook):
    """Sums CPU time and wall time up to the last iteration, across resumed runs.

    Logged as ``cpu_seconds`` and ``wall_seconds``. At the end of training the main
    process writes both, with the number of ``iterations``, to a JSON file in the work
    folder. The time from before the other hooks prepare the run (textual banks,
    neighbours) to the last step is counted, including validation. CPU time is that of
    this process with its threads, without worker processes; it hardly depends on other
    load of the machine. A resumed run adds to the time in its checkpoint.

    Args:
        filename (str): Name within the work folder. Defaults to 'training_cost.json'.
    """

    # Its before_run must precede those of the other hooks, so that they are counted.
    priority = 'VERY_HIGH'

    def __init__(self, filename: str = 'training_cost.json') -> None:
        self.filename = filename
        self._begin: dict[str, float] = {}

    def before_run(self, runner: Runner) -> None:
        """Start both clocks."""
        self._begin = {name: clock() for name, clock in _CLOCKS.items()}

    def before_train(self, runner: Runner) -> None:
        """Add the time of the run before it was interrupted."""
        if runner.iter:
            spent = runner.message_hub.log_scalars
            for name in _CLOCKS:
                if f'train/{name}' in spent:
                    self._begin[name] -= spent[f'train/{name}'].current()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Log the sums, which are saved in checkpoints."""
        for name, clock in _CLOCKS.items():
            runner.message_hub.update_scalar(
                f'train/{name}', clock() - self._begin[name]
            )

    def after_train(self, runner: Runner) -> None:
        """Write the file."""
        if is_main_process():
            cost = dict(iterations=runner.iter)
            for name in _CLOCKS:
                total = runner.message_hub.get_scalar(f'train/{name}').current()
                cost[name] = round(float(total), 2)
            path = Path(runner.work_dir) / self.filename
            write_atomically(path, json.dumps(cost) + '\n')
