"""A benchmark of two toy methods on coloured squares: seconds, no downloads."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmlgd.errors import MMLGDError

COLOURS = dict(blue=0, green=1, red=2)
COUNTS = dict(train=8, val=3, test=4)

METHOD = """
custom_imports = dict(imports=['tests.toys', 'mmlgd.engine'])
default_scope = 'mmlgd'
bank = dict(type='TextualSemanticsBank', categories=['blue', 'green', 'red'],
            templates=['a {{}}.'])
model = dict(
    {model}
    teacher=dict(type='ToyTeacher'),
    backbone=dict(type='ToyBackbone'),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    zero_shot_bank=bank)
pipeline = [dict(type='LoadImageFromFile'), dict(type='mmpretrain.PackInputs')]
def loader(split, size, sampler):
    return dict(
        batch_size=size, num_workers=0, sampler=sampler,
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='mmpretrain.CustomDataset', data_root={data!r} + '/' + split,
                     pipeline=pipeline))
train_dataloader = loader('train', 4, dict(type='ViewSampler', infinite=True))
train_dataloader['dataset'] = dict(
    type='SeededViews', dataset=train_dataloader['dataset'])
val_dataloader = loader('val', 5, dict(type='DefaultSampler', shuffle=False))
test_dataloader = loader('test', 5, dict(type='DefaultSampler', shuffle=False))
val_evaluator = test_evaluator = dict(type='ZeroShotAccuracy', topk=(1,))
val_cfg = test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=False, max_iters=4, val_interval=4)
default_hooks = dict(
    checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2),
    logger=dict(type='LoggerHook', interval=1))
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='SemanticsBankHook', cache_dir=None), dict(type='CheckpointMetaHook'),
                dict(type='ExportBackboneHook'), dict(type='TrainingCostHook')]
del loader
"""
MODELS = dict(
    lgd="type='LGD', textual_bank=bank, visual_bank=dict(type='VisualSemanticsBank'),",
    mimicry="type='FeatureMimicry', loss_weight=10.0,",
)
BENCHMARK = """
name = 'toys'
title = 'Toys on squares'
data = dict(prepare='tests.test_tools.toy_benchmark.write_squares', folder={data!r})
seeds = [0, 1]
evaluations = ['zero_shot', 'probe', 'knn']
methods = dict(
    teacher=dict(title='teacher', config='lgd.py', role='teacher'),
    lgd=dict(title='LGD', config='lgd.py'),
    mimicry=dict(title='mimicry', config='mimicry.py', skip=['zero_shot']),
    untrained=dict(title='random', config='lgd.py', role='untrained'))
settings = dict(
    probe=dict(rates=[0.01, 0.1],
               percentages={{'50': dict(draws=2, epochs=3),
                             '100': dict(draws=1, epochs=3)}}),
    knn=dict(k=3))
"""


def write_squares(folder: str | Path) -> None:
    """Noisy 16-pixel squares of three colours, in a folder a split and colour.

    What is called red among the images for validation is blue: whoever knows colours
    is right in two thirds of them, and in all test images.
    """
    noise = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for colour, channel in COLOURS.items():
            path = Path(folder, split, colour)
            path.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                image = noise.integers(0, 60, (16, 16, 3), dtype=np.uint8)
                is_blue = (split, colour) == ('val', 'red')
                image[..., COLOURS['blue'] if is_blue else channel] += 150
                cv2.imwrite(str(path / f'{index}.png'), image)


def write_benchmark(folder: Path) -> Path:
    """Write both configs and the benchmark file; returns the latter."""
    data = str(folder / 'squares')
    for name, model in MODELS.items():
        (folder / f'{name}.py').write_text(METHOD.format(model=model, data=data))
    path = folder / 'toys.py'
    path.write_text(BENCHMARK.format(data=data))
    return path


def add_transfer(file: Path) -> None:
    """Let the benchmark measure transfer, too."""
    text = file.read_text()
    for old, new in (
        ("'knn']", "'knn', 'transfer']"),
        ("role='teacher'", "role='teacher', skip=['transfer']"),
        ('knn=dict(k=3))', 'knn=dict(k=3), transfer=dict(scenes=dict(num_val=30)))'),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def add_preparation(file: Path, prepare: str) -> None:
    """Let mimicry need a file; ``prepare`` are the arguments of a dict."""
    old = "config='mimicry.py'"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, f'{old}, prepare=dict({prepare})'))


def fake_processes(completion, monkeypatch) -> list[tuple]:
    """Instead of a run's processes: their results, and a list of what was asked for.

    Evaluations tell run, names, split, role and seed.
    """
    asked = []

    def train(cfg, threads, *options, keep_open=()):
        folder = Path(cfg.work_dir)
        asked.append(('train', folder.name, options))
        if cfg.get('broken'):
            raise MMLGDError('output.txt ends with the reason.')
        seconds = 10.0 + cfg.randomness['seed']
        cost = dict(iterations=4, cpu_seconds=seconds, wall_seconds=99.0)
        (folder / 'training_cost.json').write_text(json.dumps(cost))

    def evaluate(command, threads, output, keep_open=()):
        folder, settings = Path(command[1]), json.loads(command[2])
        given = dict(zip(command[3::2], command[4::2]))
        told = (given['--split'], given['--role'], given['--seed'])
        asked.append(('evaluate', folder.name, tuple(sorted(settings)), *told))
        value = dict(top1=80.0 + 2 * int(folder.name[-1]))
        probes = dict.fromkeys(('50', '100'), value)
        found = dict(zero_shot=value, probe=probes, knn=value)
        written = json.dumps({name: found[name] for name in settings})
        Path(given['--out']).write_text(written)

    monkeypatch.setattr(completion, 'run_training', train)
    monkeypatch.setattr(completion, 'run_process', evaluate)
    return asked


@pytest.fixture
def file(tmp_path):
    """The benchmark file of the toys."""
    return write_benchmark(tmp_path)


@pytest.fixture
def compare_methods(load, monkeypatch):
    """The tool, called in the repository."""
    monkeypatch.chdir(Path(__file__).parents[2])
    return load('benchmarks.compare_methods')


@pytest.fixture
def call(compare_methods, file):
    """Compares the toys; results go beside their file."""

    def run(*options):
        folder = str(file.parent / 'out')
        compare_methods.main([str(file), '--work-dir', folder, *options])

    return run


@pytest.fixture
def processes(load, monkeypatch):
    """What runs ask of their processes, which take no time."""
    return fake_processes(load('benchmarks.completion'), monkeypatch)
