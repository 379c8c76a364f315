"""Contents of a benchmark file: data, names, models, methods, seeds, evaluations."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from benchmarks.comparison.methods import CONFIGS, METHODS, Method, choose, read_method
from benchmarks.comparison.own_data import (
    Names,
    keep_back,
    read_labelled,
    read_names,
    write_dataset,
)
from benchmarks.inputs import forget_folders
from mmlgd.errors import ConfigError

EVALUATIONS = ('zero_shot', 'probe', 'knn', 'transfer')
SPLITS = ('val', 'test')
_NEEDED = ('train', 'test', 'teacher', 'methods')
_STUDENT = 'configs/_base_/students/{}.py'


@dataclass(kw_only=True)
class Benchmark:
    """A parsed benchmark file; docs/own_data.md describes its fields."""

    path: Path
    name: str
    title: str
    work_dir: Path
    # Called first: ``function``, a dotted name, with the other entries as arguments.
    prepare: dict | None = None
    # A path, or a dataset config without its pipeline.
    images: str | dict | None = None  # None: those of `train`
    train: str | dict
    val: str | dict | None = None  # None: a tenth of `train`, held out
    test: str | dict
    names: Names = None
    templates: str | list = 'imagenet'
    teacher: dict
    student: str | dict = 'mbv3_small'
    image_size: int = 224
    train_pipeline: list | None = None
    test_pipeline: list | None = None
    methods: dict[str, Method]
    iterations: int = 430
    warm_up: int | None = None  # None: a seventh of the iterations, at most 60
    batch_size: int = 128
    num_workers: int = 0
    seeds: Sequence[int] = (0, 1, 2)
    evaluations: Sequence[str] = ('zero_shot', 'probe', 'knn')
    on_request: Sequence[str] = ()  # run only if requested on the command line
    settings: dict | None = None
    split: str = 'test'
    reference: str | None = None  # None: the first trained method

    def read_data(self) -> None:
        """Prepare all datasets and replace paths by dataset configs.

        Raises:
            ConfigError: Names and class folders do not match.
            DataError: Images or a list are missing or invalid.
        """
        forget_folders()
        if self.prepare:
            arguments = dict(self.prepare)
            module, function = arguments.pop('function').rsplit('.', 1)
            getattr(importlib.import_module(module), function)(**arguments)
        given, self.names = self.names, read_names(self.names, self.train)
        found = {
            split: read_labelled(getattr(self, split), self.names, given)
            for split in ('train', 'val', 'test')
            if isinstance(getattr(self, split), str)
        }
        if self.val is None:
            if 'train' not in found:
                raise ConfigError(f'{self.path}: a dict as `train` needs `val`, too.')
            found['train'], found['val'] = keep_back(found['train'])
        for split, labelled in found.items():
            path = self.work_dir / f'lists/{split}.txt'
            setattr(self, split, write_dataset(labelled, path))
        if self.images is None:
            self.images = self.train
        elif isinstance(self.images, str):
            self.images = dict(type='UnlabeledImages', data_root=self.images)

    def reported_on(self, split: str) -> list[str]:
        """Evaluations that are allowed on a split: scenes contain test images."""
        return [n for n in self.evaluations if split == 'test' or n != 'transfer']

    def seeds_of(self, method: Method) -> tuple[int, ...]:
        """A single seed for a teacher, which is the same model in all runs."""
        return tuple(self.seeds[:1] if method.role == 'teacher' else self.seeds)


def load_benchmark(path: str | Path, work_dir: str | Path | None = None) -> Benchmark:
    """Read a benchmark file; its paths are relative to the current folder.

    Raises:
        ConfigError: A field is missing or unknown, or has an unknown value.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f'benchmark file {path} does not exist; docs/own_data.md describes the format.'
        )
    fields = Config.fromfile(path).to_dict()
    fields = {key: value for key, value in fields.items() if not key.startswith('_')}
    choose(fields, Benchmark.__dataclass_fields__, 'field', path)
    if absent := [name for name in _NEEDED if name not in fields]:
        raise ConfigError(f'benchmark file {path} has no {", ".join(absent)}; add it.')
    fields.setdefault('name', path.stem)
    fields.setdefault('title', fields['name'])
    default = Path('work_dirs/benchmarks', fields['name'])
    fields['work_dir'] = Path(work_dir or fields.get('work_dir', default))
    benchmark = Benchmark(path=path, **fields)
    choose(benchmark.evaluations, EVALUATIONS, 'evaluation', path)
    choose(benchmark.on_request, benchmark.evaluations, 'evaluation', path)
    choose([benchmark.split], SPLITS, 'split', path)
    settings = Config.fromfile(CONFIGS / '_base_/settings.py').to_dict()
    choose(benchmark.settings or {}, EVALUATIONS, 'evaluation', path)
    for name, given in (benchmark.settings or {}).items():
        settings[name].update(given)
    benchmark.settings = settings
    benchmark.student = _read_student(benchmark.student, path)
    methods = benchmark.methods
    if not isinstance(methods, dict):
        choose(methods, METHODS, 'method', path)
        methods = {name: {} for name in methods}
    benchmark.methods = {n: read_method(n, m, path) for n, m in methods.items()}
    trained = [m.name for m in benchmark.methods.values() if m.role == 'student']
    if benchmark.reference is None:
        benchmark.reference = trained[0] if trained else None
    else:
        choose([benchmark.reference], trained, 'trained method', path)
    return benchmark


def _read_student(student: str | dict, path: Path) -> dict:
    if isinstance(student, dict):
        return student
    file = Path(_STUDENT.format(student))
    names = sorted(each.stem for each in file.parent.glob('*.py'))
    choose([student], names, 'student', path)
    return Config.fromfile(file).student.to_dict()
