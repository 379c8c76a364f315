"""A row of a benchmark's table, and the config of its runs."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config

from mmlgd.errors import ConfigError
from mmlgd.models.student import Student
from mmlgd.utils.suggest import suggest

if TYPE_CHECKING:
    from benchmarks.comparison.plan import Benchmark

CONFIGS = Path(__file__).parent / 'configs'
#: Files of the methods by name; each states what differs from the common recipe.
METHODS = sorted(path.stem for path in (CONFIGS / 'methods').glob('*.py'))
_BANKS = ('textual_bank', 'zero_shot_bank')


@dataclass(kw_only=True)
class Method:
    """One row of the table: a file of configs/methods with the benchmark's changes."""

    name: str
    title: str
    # 'student': the trained model; 'untrained': its backbone before training;
    # 'teacher': the model that it is distilled from.
    role: str = 'student'
    model: dict  # in addition to teacher, student and names
    lr: float = 0.24  # for batch size 128, scaled in proportion
    labelled: bool = False  # whether it trains on the labels, without a teacher
    iterations: int | None = None  # None: the benchmark's
    teacher: dict | None = None  # None: the benchmark's
    wrapper: dict | None = None  # dataset wrapper around the images, inside the views
    views: dict = field(default_factory=lambda: dict(type='SeededViews'))
    hooks: list = field(default_factory=list)  # in addition to those of the recipe
    options: dict = field(default_factory=dict)  # dotted keys that override the config
    # ``script``: run before the first training with the config of ``method`` (default:
    # this one) and ``arguments``. ``fills``: dotted keys that are set to the path
    # ``out``. ``is_counted``: whether its cost is added to that of each training.
    prepare: dict | None = None
    # What trains instead of mmlgd: ``module``, run with the interpreter ``python``; its
    # other entries are in the config of the run.
    program: dict | None = None
    skip: list = field(default_factory=list)  # evaluations that do not apply to it


def choose(wanted: Iterable | None, known: Collection, kind: str, path: object) -> list:
    """Requested items of the known ones, in their order; all if none are requested.

    Raises:
        ConfigError: A requested item is unknown.
    """
    for name in wanted or ():
        if name not in known:
            raise ConfigError(
                f'{path}: unknown {kind} {name}; known are '
                f'{", ".join(map(str, known))}.{suggest(str(name), map(str, known))}'
            )
    return [name for name in known if wanted is None or name in wanted]


def read_method(name: str, entry: dict, path: Path) -> Method:
    """Read a method: the file of ``base`` (by default its name), with changes.

    Raises:
        ConfigError: The file does not exist, or an entry is unknown.
    """
    entry = dict(entry)
    base = entry.pop('base', name)
    choose([base], METHODS, 'method', path)
    choose(entry, Method.__dataclass_fields__, f'entry of method {name}', path)
    fields = Config.fromfile(CONFIGS / f'methods/{base}.py').to_dict()
    return Method(**{**fields, **entry, 'name': name})


def run_config(
    benchmark: 'Benchmark', method: Method, seed: int, folder: Path, prepared: str = ''
) -> Config:
    """The config of one run of a benchmark whose data have been read.

    The seed applies to weights, order, random numbers and views. ``prepared`` is the
    output of the method's script.
    """
    cfg = Config.fromfile(CONFIGS / '_base_/recipe.py')
    cfg.work_dir, cfg.randomness = str(folder), dict(seed=seed)
    _set_schedule(cfg, benchmark, method)
    _set_data(cfg, benchmark, method, seed)
    _set_model(cfg, benchmark, method)
    if method.labelled:
        needless = ('SemanticsBankHook', 'CheckpointMetaHook', 'BrokenImagesHook')
        cfg.custom_hooks = [h for h in cfg.custom_hooks if h.type not in needless]
    cfg.custom_hooks += method.hooks
    if method.program:
        cfg.program = method.program
    cfg.merge_from_dict(method.options)
    if method.prepare:
        cfg.merge_from_dict(dict.fromkeys(method.prepare['fills'], prepared))
    return cfg


def _set_schedule(cfg: Config, benchmark: 'Benchmark', method: Method) -> None:
    iterations = method.iterations or benchmark.iterations
    warm_up = benchmark.warm_up or max(1, min(60, iterations // 7))
    cfg.optim_wrapper.optimizer.lr = method.lr * benchmark.batch_size / 128
    cfg.param_scheduler[0].end = cfg.param_scheduler[1].begin = warm_up
    cfg.param_scheduler[1].update(T_max=iterations - warm_up, end=iterations)
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)


def _set_data(cfg: Config, benchmark: 'Benchmark', method: Method, seed: int) -> None:
    size = benchmark.image_size
    load = dict(type='LoadImageFromFile')
    pack = dict(type='mmpretrain.PackInputs')
    shape = dict(scale=(size, size), interpolation='bilinear')
    crop = dict(type='mmpretrain.RandomResizedCrop', crop_ratio_range=(0.5, 1.0))
    crop.update(shape, scale=size)
    flip = dict(type='RandomFlip', prob=0.5)
    augment = benchmark.train_pipeline or [load, crop, flip, pack]
    prepare = benchmark.test_pipeline or [load, dict(type='Resize', **shape), pack]
    source = benchmark.train if method.labelled else benchmark.images
    images = dict(source, pipeline=augment)
    if method.wrapper:
        images = dict(method.wrapper, dataset=images)
    views = dict(method.views, dataset=images)
    if views['type'] == 'SeededViews':
        views['seed'] = seed
    cfg.train_dataloader.update(batch_size=benchmark.batch_size, dataset=views)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].num_workers = benchmark.num_workers
        if split != 'train':
            labelled = dict(getattr(benchmark, split), pipeline=prepare)
            cfg[f'{split}_dataloader'].dataset = labelled
    # Not a key of mmengine: the labelled images for the evaluations.
    cfg.labelled_dataloader = dict(
        cfg.test_dataloader, dataset=dict(benchmark.train, pipeline=prepare)
    )


def _set_model(cfg: Config, benchmark: 'Benchmark', method: Method) -> None:
    model = {**method.model, **benchmark.student}
    if method.labelled:
        width = _feature_dims(json.dumps(benchmark.student), benchmark.image_size)
        shape = dict(num_classes=len(benchmark.names), in_channels=width)
        model['head'] = {**model['head'], **shape}
    else:
        teacher = method.teacher or benchmark.teacher
        if 'teachers' in model:  # those after the first
            model['teachers'] = [teacher, *model['teachers']]
        else:
            model['teacher'] = teacher
        for bank in {*_BANKS} & {*model}:
            names = dict(categories=benchmark.names, templates=benchmark.templates)
            model[bank] = {**model[bank], **names}
    cfg.model = model


@cache
def _feature_dims(student: str, image_size: int) -> int:
    options = dict(json.loads(student), embed_dims=1, image_size=image_size)
    return Student(**options).feature_dims
