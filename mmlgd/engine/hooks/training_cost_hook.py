"""What a training costs, whoever else uses the machine."""

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
    """Sums processor and wall time up to the last iteration, across resumptions.

    Logged as ``cpu_seconds`` and ``wall_seconds``; at the end of training the main
    process writes both, with the number of ``iterations``, into a JSON file of the
    work folder. Counted is everything from before the other hooks prepare the run
    (textual banks, neighbours) up to the last step, validation in between included.
    CPU time is that of this process with its threads, without worker processes;
    it hardly depends on what else the machine does. A resumed run adds to what its
    checkpoint had cost.

    Args:
        filename (str): Within the work folder. Defaults to 'training_cost.json'.
    """

    # Its before_run is the first to run, so that the others' count.
    priority = 'VERY_HIGH'

    def __init__(self, filename: str = 'training_cost.json') -> None:
        self.filename = filename
        self._begin: dict[str, float] = {}

    def before_run(self, runner: Runner) -> None:
        """Start both clocks."""
        self._begin = {name: clock() for name, clock in _CLOCKS.items()}

    def before_train(self, runner: Runner) -> None:
        """Add what the run had cost before it was interrupted."""
        if runner.iter:
            spent = runner.message_hub.log_scalars
            for name in _CLOCKS:
                if f'train/{name}' in spent:
                    self._begin[name] -= spent[f'train/{name}'].current()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Note the sums; a checkpoint saves them."""
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
