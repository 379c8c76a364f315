"""Compares methods on small images in memory: long runs, several seeds, long tails.

    python -m benchmarks.in_memory benchmarks/comparison/configs/cifar10_long_tail.py \
        --methods lgd lgd_plus seed --passes 1 3 --out result.json
    python -m benchmarks.in_memory result.json          # only prints the tables

Methods, data, teacher and student are those of a file of benchmarks/comparison. What
takes most of the time there is shared or replaced here: images are decoded once; views
are drawn once for each pass, embedded by the teacher and used by all methods and seeds;
a closed-form probe replaces those with gradient descent. The seed applies to weights and
order. Another program, or a training with labels, is run by benchmarks.comparison, and
its backbone evaluated here.
Finished rows of ``--out`` are not repeated.
"""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from benchmarks.backbone_file import save_backbone
from benchmarks.comparison.methods import Method, choose, read_method, run_config
from benchmarks.comparison.plan import SPLITS, Benchmark, load_benchmark
from benchmarks.comparison.report import TRANSFER
from benchmarks.comparison.runs import interpreter
from benchmarks.comparison.scene_transfer import measure_transfer, prepare_scenes
from benchmarks.in_memory.elsewhere import train_elsewhere
from benchmarks.in_memory.images import Images
from benchmarks.in_memory.report import COST, draw, report
from benchmarks.in_memory.training import TeacherAsStudent, evaluate, prepare, train
from benchmarks.resumable import add_row, read_result
from demo.scenes.runs import CONFIGS as TASKS
from mmlgd.errors import ConfigError, MMLGDError
from mmlgd.pixels.codec import PixelCodec
from mmlgd.registry import MODELS
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.tool import run_tool

#: Options of the trainings in memory.
_IN_MEMORY = ('images', 'adamw', 'last_size', 'pixels')


def run(benchmark: Benchmark, args: argparse.Namespace) -> None:
    """Train and evaluate what is missing in the output.

    Raises:
        ConfigError: A method is unknown, an option does not apply to it, its environment
            does not exist, there are fewer images than in a batch, or the output has rows
            of other settings.
        MMLGDError: A training outside of memory failed; the others are finished.
    """
    init_default_scope('mmlgd')
    names = choose(args.methods, benchmark.methods, 'method', benchmark.path)
    wanted = [benchmark.methods[name] for name in names]
    _check(wanted, args)
    benchmark.read_data()
    teacher = MODELS.build(benchmark.teacher)
    size = benchmark.image_size
    codec = None
    if args.pixels:
        name, _, quality = args.pixels.partition(':')
        codec = PixelCodec(name, int(quality), size, size)
    images = Images(benchmark.images, benchmark, teacher, codec)
    labelled = Images(benchmark.train, benchmark, teacher)
    # A part of the labelled images suffices for k-NN and the probe.
    part = _part(len(labelled.pixels), 20_000)
    labelled.pixels, labelled.labels = labelled.pixels[part], labelled.labels[part]
    if args.images:
        images.pixels = images.pixels[_part(len(images.pixels), args.images)]
    tested = Images(getattr(benchmark, args.split), benchmark, teacher)
    batch = benchmark.batch_size
    if len(images.pixels) < batch:
        raise ConfigError(
            f'{benchmark.path}: {len(images.pixels)} images are fewer than a batch; set '
            f'a batch_size below {batch}.'
        )
    out = Path(args.out)
    result = read_result(
        out,
        title=benchmark.title,
        split=args.split,
        images=len(images.pixels),
        cost=COST,
    )
    failed = []
    for method, passes, seed in _jobs(wanted, args):
        key = dict(method=_title(method, args), passes=passes, seed=seed)
        if any(key.items() <= row.items() for row in result['rows']):
            continue
        model = build(benchmark, method, seed, images, out.parent)
        cost = 0.0
        if _is_elsewhere(method):
            iterations = passes * (len(images.pixels) // batch)
            try:
                cost = train_elsewhere(model, benchmark, method, iterations, seed)
            except MMLGDError as error:
                failed.append(str(error))
                continue
        elif method.role == 'student':
            options = passes, batch, seed, args.adamw, args.last_size
            cost = train(model, method, images, *options)
        student = TeacherAsStudent(model) if method.role == 'teacher' else model
        found = evaluate(student, labelled, tested, benchmark.names)
        for name in method.skip:
            found.pop(name, None)
        row = dict(key, **found, cost=round(cost, 1))
        row['commit'] = result['provenance']['commit']
        if args.transfer and 'transfer' not in method.skip:
            settings = dict(benchmark.settings['transfer'], tasks=args.transfer)
            if args.transfer_iterations:
                settings['iterations'] = args.transfer_iterations
            folder = out.with_suffix('') / f'{method.name}_{passes}_{seed}'
            row.update(transfer(model, settings, seed, folder))
        # Another process may have added rows.
        if out.is_file():
            result['rows'] = json.loads(out.read_text(encoding='utf-8'))['rows']
        out.parent.mkdir(parents=True, exist_ok=True)
        add_row(out, result, row, partial(report, reference=args.reference))
    if failed:
        raise MMLGDError(' '.join(failed))


def _is_elsewhere(method: Method) -> bool:
    """Whether another program trains it, or a training with labels."""
    return bool(method.program) or method.labelled


def _check(methods: list[Method], args: argparse.Namespace) -> None:
    if min(args.passes) < 1:
        raise ConfigError(f'--passes must be at least 1, but is {min(args.passes)}.')
    given = [name for name in _IN_MEMORY if getattr(args, name)]
    outside = [method.name for method in methods if _is_elsewhere(method)]
    if given and outside:
        raise ConfigError(
            f'--{given[0].replace("_", "-")} does not apply to {", ".join(outside)}, which '
            'another program trains; omit the option, or name other --methods.'
        )
    for method in methods:
        if method.iterations:
            raise ConfigError(
                f'method {method.name} sets iterations={method.iterations}, but the length '
                'of a training is that of --passes; omit the entry, or the method.'
            )
        if method.program:
            interpreter(method.program)


def _jobs(
    methods: list[Method], args: argparse.Namespace
) -> Iterator[tuple[Method, int, int]]:
    """Methods with passes and seed; 0 passes without a training."""
    for seed in args.seeds:
        for passes in args.passes:
            yield from ((m, passes, seed) for m in methods if m.role == 'student')
        yield from ((m, 0, seed) for m in methods if m.role == 'untrained')
    # The same for all seeds.
    yield from ((m, 0, 0) for m in methods if m.role == 'teacher')


def build(
    benchmark: Benchmark,
    method: Method,
    seed: int,
    images: Images,
    folder: Path,
) -> torch.nn.Module:
    """A distiller with its initial weights.

    It is only the student's frame if another program trains it, or labels do.
    """
    if method.labelled:
        model = dict(type='FeatureMimicry', projector=dict(type='Projector'))
        method = read_method('mimicry', dict(model=model), benchmark.path)
    torch.manual_seed(seed)
    cfg: Config = run_config(benchmark, method, seed, folder)
    if 'teachers' in cfg.model:
        cfg.model.teachers[0] = images.teacher
    else:
        cfg.model.teacher = images.teacher
    model = MODELS.build(cfg.model)
    prepare(model, images)
    return model


def _title(method: Method, args: argparse.Namespace) -> str:
    """Title of a method's rows, which says what differs from the benchmark's settings."""
    changes = [(args.transfer_iterations, '{:,} iterations of transfer')]
    if method.role == 'student':
        changes[:0] = [
            (args.adamw, 'AdamW {:g}'),
            (args.pixels, '{}'),
            (args.last_size, 'last tenth at {} pixels'),
        ]
    return ', '.join([method.title, *(text.format(v) for v, text in changes if v)])


def transfer(
    model: torch.nn.Module, settings: dict, seed: int, folder: Path
) -> dict[str, float]:
    """Box AP, mask AP and mIoU in percent on scenes, which are next to the folder."""
    prepare_scenes(folder.parent, settings)
    folder.mkdir(parents=True, exist_ok=True)
    save_backbone(model, folder / 'backbone.pth')
    found = measure_transfer(folder, folder / 'backbone.pth', seed, settings)
    return {name: found[name] for name in TRANSFER if name in found}


def _part(total: int, number: int) -> torch.Tensor:
    """Indices of a random part, always the same one."""
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(total, generator=generator)[:number]


def main() -> None:
    """Run what is missing, print the tables and write them beside the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('benchmark', help='a benchmark file, or the JSON of a result')
    parser.add_argument('--methods', nargs='+', help='default: those of the file')
    parser.add_argument('--passes', nargs='+', type=int, default=[1])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--split', choices=SPLITS, default='test')
    parser.add_argument('--images', type=int, help='train on this many of the images')
    parser.add_argument('--adamw', type=float, help='its learning rate, not SGD')
    parser.add_argument('--last-size', type=int, help='pixels in the last tenth')
    parser.add_argument('--transfer', nargs='+', choices=TASKS, help='to scenes, too')
    parser.add_argument('--transfer-iterations', type=int, help="default: the file's")
    parser.add_argument(
        '--pixels', metavar='CODEC:QUALITY', help='store views so, such as webp:90'
    )
    text = 'title of the method whose differences to the others are shown'
    parser.add_argument('--reference', default='LGDPlus', help=text)
    parser.add_argument('--out', default='work_dirs/benchmarks/in_memory.json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.benchmark.endswith('.json'):
        args.out = args.benchmark
    else:
        run(load_benchmark(args.benchmark), args)
    out = Path(args.out)
    if not out.is_file():
        raise ConfigError(f'{out} does not exist; name a result of this program.')
    result = json.loads(out.read_text(encoding='utf-8'))
    if args.reference != parser.get_default('reference'):
        titles = dict.fromkeys(row['method'] for row in result['rows'])
        choose([args.reference], titles, 'reference', out)
    text = report(result, args.reference)
    write_atomically(out.with_suffix('.md'), text)
    if len({row['passes'] for row in result['rows']}) > 1:
        draw(result, out.with_suffix('.png'))
    print(text)


if __name__ == '__main__':
    run_tool(main)
