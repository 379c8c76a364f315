"""A Runner that trains one weight in memory, to watch hooks at work."""

import uuid
from pathlib import Path

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn


class OneWeight(BaseModel):
    """loss = (w - x)^2 of a scalar weight, plus the summands in ``faults``.

    ``faults`` maps iterations to a summand of the loss, e.g. NaN. A buffer of
    ``ballast`` floats makes checkpoints larger than logs.
    """

    def __init__(
        self, faults: dict[int, float] | None = None, ballast: int = 0
    ) -> None:
        super().__init__()
        self.register_buffer('ballast', torch.zeros(ballast))
        self.weight = nn.Parameter(torch.zeros(()))
        self.faults = faults or {}
        self.steps = 0

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        if mode == 'predict':
            return [0]
        fault = self.faults.get(self.steps, 0.0)
        self.steps += 1
        return dict(loss=(self.weight - torch.stack(inputs)).square().mean() + fault)


class Recorder(OneWeight):
    """Records its input images."""

    def __init__(self):
        super().__init__()
        self.images = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.images += [int(one) for one in inputs]
        return super().forward(inputs, data_samples, mode)


class Accuracies:
    """An evaluator that returns prepared accuracies."""

    def __init__(self, values: list[float]) -> None:
        self.values = list(values)

    def process(self, *args, **kwargs) -> None:
        pass

    def evaluate(self, size: int) -> dict:
        return dict(acc=self.values.pop(0))


def tiny_runner(
    work_dir: Path,
    iterations: int = 4,
    model: nn.Module | None = None,
    accuracies: list[float] | None = None,
    loader: dict | None = None,
    **kwargs,
) -> Runner:
    """Build a Runner of an iteration-based training.

    Args:
        work_dir: Folder of checkpoints and logs.
        iterations: Its length.
        model: Defaults to a :class:`OneWeight`.
        accuracies: One per validation, after each iteration. Defaults to None, no
            validation.
        loader: Options of the training's data loader in place of the usual ones.
        **kwargs: Further options of ``Runner``, such as ``custom_hooks``.
    """
    data = [dict(inputs=torch.tensor(float(number))) for number in range(4)]
    usual = dict(dataset=data, batch_size=2)
    once, endless = dict(type='DefaultSampler'), dict(type='InfiniteSampler')
    train_loader = {**usual, 'sampler': endless, **(loader or {})}
    val = {}
    if accuracies is not None:
        val = dict(
            val_dataloader=dict(usual, sampler=once), val_cfg={}, val_evaluator=[]
        )
    by_iterations = dict(by_epoch=False, max_iters=iterations, val_interval=1)
    runner = Runner(
        model=OneWeight() if model is None else model,
        work_dir=str(work_dir),
        train_dataloader=train_loader,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        log_processor=dict(by_epoch=False),
        default_scope='mmlgd',
        # Unique: mmengine keeps loggers by name and second.
        experiment_name=uuid.uuid4().hex,
        randomness=dict(seed=5),
        **val,
        **{'train_cfg': by_iterations, **kwargs},
    )
    if accuracies is not None:
        runner.val_loop.evaluator = Accuracies(accuracies)
    return runner
