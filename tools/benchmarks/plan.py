"""What a benchmark file asks for: methods, seeds, evaluations, and their configs."""

import importlib
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmlgd.errors import ConfigError

EVALUATIONS = ('zero_shot', 'probe', 'knn', 'transfer')
SPLITS = ('val', 'test')
ROLES = ('student', 'untrained', 'teacher')
_NEEDED = ('name', 'title', 'data', 'methods', 'seeds', 'evaluations', 'settings')


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


@dataclass(frozen=True)
class Benchmark:
    """A benchmark file, read.

    Attributes:
        name (str): Of the results.
        title (str): Of the table.
        data (dict): ``prepare``, the dotted name of a function, and its arguments.
        methods (dict[str, Method]): By name, in the order of the table.
        seeds (list[int]): One run a method and seed.
        evaluations (list[str]): Columns of the table, some of :data:`EVALUATIONS`.
        default_evaluations (list[str]): Those that are made without being asked for.
        settings (dict[str, dict]): Options of the evaluations, by name.
        split (str): Images that are reported where nobody asks for others: 'test',
            or 'val' in a file that serves to choose settings.
        work_dir (Path): Where runs and results go.
        path (Path): The file.
    """

    name: str
    title: str
    data: dict
    methods: dict[str, Method]
    seeds: list[int]
    evaluations: list[str]
    default_evaluations: list[str]
    settings: dict[str, dict]
    split: str
    work_dir: Path
    path: Path

    def prepare_data(self) -> None:
        """Put the data set where the configs expect it."""
        arguments = dict(self.data)
        module, function = arguments.pop('prepare').rsplit('.', 1)
        getattr(importlib.import_module(module), function)(**arguments)

    def folder(self, method: str, seed: int) -> Path:
        """Where one run lives."""
        return self.work_dir / 'runs' / f'{method}_seed{seed}'


def load_benchmark(path: str | Path, work_dir: str | Path | None = None) -> Benchmark:
    """Read a benchmark file.

    Args:
        path (str | Path): The file; its configs are relative to its folder.
        work_dir (str | Path, optional): Defaults to None: the file's ``work_dir``,
            or work_dirs/benchmarks/<name>.

    Raises:
        ConfigError: A field or a config is absent, or an evaluation or a role unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f'there is no benchmark file {path}; see configs/benchmarks/.'
        )
    cfg = Config.fromfile(path).to_dict()
    absent = [name for name in _NEEDED if name not in cfg]
    if absent:
        raise ConfigError(f'benchmark file {path} has no {", ".join(absent)}; add it.')
    choose(cfg['evaluations'], EVALUATIONS, 'evaluation', path)
    default = Path('work_dirs/benchmarks', cfg['name'])
    work_dir = Path(work_dir or cfg.get('work_dir', default))
    fields = {name: cfg[name] for name in _NEEDED}
    fields['default_evaluations'] = choose(
        cfg.get('default_evaluations'), cfg['evaluations'], 'evaluation', path
    )
    (fields['split'],) = choose([cfg.get('split', 'test')], SPLITS, 'split', path)
    fields['methods'] = {
        name: _method(name, dict(entry), path, work_dir)
        for name, entry in cfg['methods'].items()
    }
    return Benchmark(**fields, work_dir=work_dir, path=path)


def choose(
    wanted: list | None, known: list | tuple | dict, kind: str, path: str | Path
) -> list:
    """What the command line asks for of what there is; all where it is silent.

    Raises:
        ConfigError: Something is asked for that there is not.
    """
    unknown = [str(name) for name in wanted or () if name not in known]
    if unknown:
        raise ConfigError(
            f'{path}: there is no {kind} {", ".join(unknown)}; there are '
            f'{", ".join(map(str, known))}.'
        )
    return [name for name in known if wanted is None or name in wanted]


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


def _method(name: str, entry: dict, path: Path, work_dir: Path) -> Method:
    choose([entry.get('role', ROLES[0])], ROLES, f'role of {name}', path)
    skip = tuple(choose(entry.pop('skip', []), EVALUATIONS, 'evaluation', path))
    config = path.parent / entry.pop('config')
    if not config.is_file():
        raise ConfigError(
            f'{path}: method {name} has no config {config}; mend its path.'
        )
    if 'prepare' in entry:
        prepare = entry['prepare'] = dict(entry['prepare'])
        if 'config' in prepare:
            prepare['config'] = str(path.parent / prepare['config'])
        file_name = prepare.get('name', name) + prepare.get('suffix', '.pth')
        made = work_dir / 'prepared' / file_name
        taken = dict.fromkeys(prepare['options'], str(made))
        entry.update(options={**entry.get('options', {}), **taken}, prepared=made)
    return Method(name=name, config=config, skip=skip, **entry)


def _shorten(cfg: Config) -> None:
    """Two iterations of eight images, to see that everything runs."""
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.train_dataloader.batch_size = 8
    for split, count in (('train', 200), ('val', -50), ('test', 50)):
        dataset = cfg[f'{split}_dataloader'].dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        dataset.indices = count
