r"""Distils each ready student on emoji: accuracy against latency and size.

    python -m benchmarks.students
    python -m benchmarks.students --students mbv3_small repvit_m1_0 --passes 20 \
        --out work_dirs/students/emoji_20.json
    python -m benchmarks.students --latencies            # again, on a quiet machine

All students have the same teacher, images, number of iterations and settings, which were
not tuned for any of them. Finished rows of ``--out`` are not repeated. The checkpoints
in ``--work-dir`` are those that benchmarks/export_formats.py converts.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from benchmarks.comparison.methods import run_config
from benchmarks.comparison.plan import Benchmark, load_benchmark
from benchmarks.in_memory.images import Images
from benchmarks.in_memory.training import evaluate, prepare, train
from benchmarks.resumable import add_row, origin, read_result, write_result
from mmlgd.apis import export_backbone, list_students
from mmlgd.errors import ConfigError
from mmlgd.registry import MODELS
from mmlgd.utils.tool import run_tool

BENCHMARK = 'benchmarks/comparison/configs/emoji.py'
#: Students that need another image size than the emoji's: ``img_size`` of the backbone.
FIXED_SIZE = ('efficientformerv2_s0', 'tinyvit', 'vit_tiny_patch16_224')
#: oneDNN corrupts memory in their backward pass in the channels-last format, which is
#: otherwise up to 2.5 times as fast.
CONTIGUOUS = ('fastvit', 'mobileone', 'poolformer', 'repvgg')
#: ``timm`` is a template for any name.
STUDENTS = sorted({*list_students()} - {*FIXED_SIZE, 'timm'})
_BATCH = 64
#: Of AdamW.
_LR = 1e-3


def student_config(benchmark: Benchmark, name: str, work_dir: Path) -> Config:
    """The benchmark's config of LGD with another student."""
    if name != 'mbv3_small':  # whose BatchNorm the benchmark sets
        student = dict(list_students()[name]['student'])
        if name == 'mbv3':
            norm = dict(type='BN', eps=1e-3, momentum=0.1)
            student['backbone'] = dict(student['backbone'], norm_cfg=norm)
        benchmark = replace(benchmark, student=student)
    return run_config(benchmark, benchmark.methods['lgd'], 0, work_dir / name)


def distil(
    benchmark: Benchmark, cfg: Config, sets: tuple[Images, Images, Images], passes: int
) -> dict[str, float]:
    """Train a student and save its checkpoint.

    Args:
        benchmark (Benchmark): Its data have been read.
        cfg (Config): Of the student.
        sets (tuple): Unlabeled, labelled and test images.
        passes (int): Over the unlabeled images.

    Returns:
        dict: Accuracies in percent and ``cost``, the CPU time in seconds.
    """
    runner = Runner.from_cfg(cfg)
    model = runner.model
    images, labelled, tested = sets
    prepare(model, images)
    method = benchmark.methods['lgd']
    cost = train(model, method, images, passes, _BATCH, seed=0, adamw=_LR)
    file = f'passes_{passes}.pth'
    runner.save_checkpoint(
        cfg.work_dir, file, save_optimizer=False, save_param_scheduler=False
    )
    found = evaluate(model, labelled, tested, benchmark.names)
    return dict(found, cost=round(cost))


def deployed(checkpoint: Path, side: int) -> dict[str, float]:
    """Megabytes and milliseconds of the backbone's float32 ONNX file, with one thread."""
    noise = [torch.zeros(3, side, side, dtype=torch.uint8)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'backbone.onnx')
        done = export_backbone(checkpoint, 'onnx', file, image_size=side, check=noise)
    return dict(
        megabytes=round(done.check.num_bytes / 1e6, 2),
        latency_ms=round(done.check.latency_ms, 2),
    )


def is_best(row: dict, rows: list[dict], cost: str) -> bool:
    """Whether no other row has less of a cost and at least the same accuracy."""
    return not any(
        other[cost] < row[cost] and other['zero_shot'] >= row['zero_shot']
        for other in rows
    )


def table(result: dict) -> str:
    """The rows in Markdown, the fastest first."""
    rows = sorted(result['rows'], key=lambda row: row['latency_ms'])
    lines = [
        '# Students on emoji',
        '',
        f'LGD on 5,080 unlabeled images of 64 pixels in three designs, '
        f'{result["passes"]} passes, batch size {_BATCH}, AdamW with a learning rate of '
        f'{_LR:g}, one seed, the same settings for all. Accuracy in percent on 1,895 test '
        'images in another design, 68 classes. Latency: float32 ONNX of the backbone, one '
        f'image of {result["side"]} pixels, one thread. Bold: no faster student is as '
        'accurate zero-shot. FastViT, MobileOne, PoolFormer and RepVGG are trained in another '
        'memory format, which is slower.',
        '',
        '| student | zero-shot | k-NN | probe | latency (ms) | ONNX (MB) | training (CPU s) |',
        '|---|---:|---:|---:|---:|---:|---:|',
    ]
    for row in rows:
        name = f'`{row["student"]}`'
        name = f'**{name}**' if is_best(row, rows, 'latency_ms') else name
        lines.append(
            f'| {name} | {row["zero_shot"]:.1f} | {row["knn"]:.1f} | '
            f'{row["probe"]:.1f} | {row["latency_ms"]:.1f} | '
            f'{row["megabytes"]:.1f} | {row["cost"]} |'
        )
    lines += ['', *origin(result)]
    return '\n'.join(lines)


def draw(result: dict, path: Path) -> None:
    """Draw accuracy against latency and against size."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(11, 5), layout='constrained')
    axes = figure.subplots(1, 2, sharey=True)
    costs = dict(latency_ms='latency of one image (ms)', megabytes='ONNX file (MB)')
    for axis, (cost, title) in zip(axes, costs.items()):
        rows = sorted(result['rows'], key=lambda row: row[cost])
        front = [row for row in rows if is_best(row, rows, cost)]
        axis.plot(
            [row[cost] for row in front],
            [row['zero_shot'] for row in front],
            color='tab:orange',
        )
        axis.scatter([r[cost] for r in rows], [r['zero_shot'] for r in rows])
        for row in rows:
            axis.annotate(
                row['student'],
                (row[cost], row['zero_shot']),
                textcoords='offset points',
                xytext=(4, 4),
                fontsize=7,
            )
        axis.set_xscale('log')
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter('{x:g}')
        axis.xaxis.set_minor_formatter('')
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('zero-shot accuracy (%)')
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing; write JSON, table and figure.

    Raises:
        ConfigError: A checkpoint is missing, or the output has rows of other settings.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--students', nargs='+', choices=STUDENTS, default=STUDENTS)
    add('--passes', type=int, default=4)
    add('--side', type=int, default=224, help='pixels, for the latency')
    add('--work-dir', type=Path, default=Path('work_dirs/students'))
    add('--out', type=Path, default=Path('docs/benchmarks/students/emoji.json'))
    text = 'only measure all rows again, when no other program runs'
    add('--latencies', action='store_true', help=text)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    init_default_scope('mmlgd')
    result = read_result(args.out, passes=args.passes, side=args.side)
    if args.latencies:
        checkpoints = [
            args.work_dir / row['student'] / f'passes_{args.passes}.pth'
            for row in result['rows']
        ]
        for file in checkpoints:
            if not file.is_file():
                raise ConfigError(
                    f'{file} does not exist; name the --work-dir of its distillation, or '
                    'distil all students again, into another --out.'
                )
        for row, file in zip(result['rows'], checkpoints):
            row.update(deployed(file, args.side))
        write_result(args.out, result, table)
        draw(result, args.out.with_suffix('.png'))
        return
    benchmark = load_benchmark(BENCHMARK)
    benchmark.read_data()
    teacher = MODELS.build(benchmark.teacher)
    sets = tuple(
        Images(dataset, benchmark, teacher)
        for dataset in (benchmark.images, benchmark.train, benchmark.test)
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.students:
        if any(row['student'] == name for row in result['rows']):
            continue
        is_contiguous = name.startswith(CONTIGUOUS)
        for one in sets:
            one.memory_format = (
                torch.contiguous_format if is_contiguous else torch.channels_last
            )
        cfg = student_config(benchmark, name, args.work_dir)
        row = dict(student=name, **distil(benchmark, cfg, sets, args.passes))
        checkpoint = Path(cfg.work_dir, f'passes_{args.passes}.pth')
        row.update(deployed(checkpoint, args.side))
        add_row(args.out, result, row, table)
        draw(result, args.out.with_suffix('.png'))


if __name__ == '__main__':
    run_tool(main)
