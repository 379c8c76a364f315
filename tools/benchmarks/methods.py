"""A row of a benchmark's table, and the config of its trainings."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from mmengine.config import Config


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name (str): Key in the benchmark file and beginning of its runs' folders.
        title (str): How tables and figures call it.
        config (Path): Config of the training.
        options (dict): Dotted keys laid over the config.
        role (str): 'student', what the training makes; 'untrained', its backbone
            before; 'teacher', the model it learns from.
        skip (tuple[str]): Evaluations that say nothing about it.
        prepare (dict | None): ``script`` to run before the first training, with
            ``arguments``; ``options``, the dotted keys that take what it writes;
            its ``name`` and ``suffix``, by default the method's and '.pth', for
            several methods to share; the ``config`` that the script reads where that
            is not the training's.
        prepared (Path | None): The file or folder that it writes.
    """

    name: str
    title: str
    config: Path
    options: dict = field(default_factory=dict)
    role: str = 'student'
    skip: tuple[str, ...] = ()
    prepare: dict | None = None
    prepared: Path | None = None

    def reading(self, prepared: str) -> 'Method':
        """The same, with ``prepared`` where its config takes what the script writes."""
        taken = dict.fromkeys(self.prepare['options'], prepared)
        return replace(self, options={**self.options, **taken})


def run_config(method: Method, seed: int, folder: Path, short: bool = False) -> Config:
    """The config of one training.

    Args:
        method (Method): Tells config and options.
        seed (int): Of weights, order and drawn numbers; and of the views.
        folder (Path): Its work folder.
        short (bool): Whether two iterations of a few images do.
    """
    cfg = Config.fromfile(method.config)
    cfg.merge_from_dict(method.options)
    cfg.work_dir = str(folder)
    cfg.randomness = dict(seed=seed)
    if cfg.train_dataloader.dataset.type == 'SeededViews':
        cfg.train_dataloader.dataset.seed = seed
    if short:
        _shorten(cfg)
    return cfg


def _shorten(cfg: Config) -> None:
    """Two iterations of eight images, to see that everything runs."""
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.train_dataloader.batch_size = 8
    for split, count in (('train', 200), ('val', -50), ('test', 50)):
        dataset = cfg[f'{split}_dataloader'].dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        dataset.indices = count
