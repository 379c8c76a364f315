"""What a benchmark file asks for: methods, seeds, evaluations."""

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.methods import Method
from mmengine.config import Config

from mmlgd.errors import ConfigError

EVALUATIONS = ('zero_shot', 'probe', 'knn', 'transfer')
SPLITS = ('val', 'test')
ROLES = ('student', 'untrained', 'teacher')
_NEEDED = ('name', 'title', 'data', 'methods', 'seeds', 'evaluations', 'settings')


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

    def reported_on(self, split: str) -> 'Benchmark':
        """The same with those columns that the images of a split have."""
        absent = ('transfer',) if split == 'val' else ()
        return replace(
            self, evaluations=[name for name in self.evaluations if name not in absent]
        )


def load_benchmark(path: str | Path, work_dir: str | Path | None = None) -> Benchmark:
    """Read a benchmark file.

    Args:
        path (str | Path): The file; its configs are relative to its folder.
        work_dir (str | Path, optional): Defaults to None: the file's ``work_dir``,
            or work_dirs/benchmarks/<name>.

    Raises:
        ConfigError: A field or a config is absent, an evaluation or a role unknown,
            or a teacher would be measured by transfer.
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
    for method in fields['methods'].values():
        _check_teacher(method, cfg['evaluations'], path)
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


def check_split(evaluations: list[str], split: str) -> None:
    """Refuse to choose by what test images tell.

    Raises:
        ConfigError: The split is 'val', and transfer is among the evaluations.
    """
    if split == 'val' and 'transfer' in evaluations:
        raise ConfigError(
            'the scenes of transfer come from test images, on which nothing may be '
            'chosen: with --split val, leave transfer out of --evaluations (and, in a '
            'benchmark file, out of default_evaluations).'
        )


def _method(name: str, entry: dict, path: Path, work_dir: Path) -> Method:
    choose([entry.get('role', ROLES[0])], ROLES, f'role of {name}', path)
    skip = tuple(choose(entry.pop('skip', []), EVALUATIONS, 'evaluation', path))
    config = path.parent / entry.pop('config')
    if not config.is_file():
        raise ConfigError(
            f'{path}: method {name} has no config {config}; mend its path.'
        )
    if 'prepare' not in entry:
        return Method(name=name, config=config, skip=skip, **entry)
    prepare = dict(entry.pop('prepare'))
    if 'config' in prepare:
        prepare['config'] = str(path.parent / prepare['config'])
    file_name = prepare.get('name', name) + prepare.get('suffix', '.pth')
    made = work_dir / 'prepared' / file_name
    method = Method(
        name=name, config=config, skip=skip, prepare=prepare, prepared=made, **entry
    )
    return method.reading(str(made))


def _check_teacher(method: Method, evaluations: list[str], path: Path) -> None:
    if (
        method.role == 'teacher'
        and 'transfer' in evaluations
        and 'transfer' not in method.skip
    ):
        raise ConfigError(
            f'{path}: method {method.name} is a teacher, whose place in a detector the '
            "student's backbone with random weights would take; give it "
            "skip=['transfer']."
        )
