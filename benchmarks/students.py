"""Distils each ready student on the demo's images: accuracy against latency and size.

    python -m benchmarks.students
    python -m benchmarks.students --students mbv3_small repvit_m1_0 --epochs 10

All students have the same teacher, images, number of iterations and settings, which were
not tuned for any of them. Finished rows of ``--out`` are not repeated. The checkpoints
in ``--work-dir`` are those that benchmarks/export_formats.py converts.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from benchmarks.resumable import add_row, origin, read_result
from benchmarks.small_depthwise import use_small_depthwise
from demo.fashion_mnist import prepare_demo_data
from mmlgd.apis import export_backbone, list_students

CONFIG = 'configs/demo/fashion_mnist_mbv3_small.py'
#: Students that need another image size than the demo's: ``img_size`` of the backbone.
FIXED_SIZE = ('efficientformerv2_s0', 'tinyvit', 'vit_tiny_patch16_224')
#: ``timm`` is a template for any name.
STUDENTS = sorted({*list_students()} - {*FIXED_SIZE, 'timm'})
_BATCH = 64


def student_config(name: str, epochs: int, work_dir: Path) -> Config:
    """The demo's config with another student, AdamW and a shorter schedule."""
    cfg = Config.fromfile(CONFIG)
    if name != 'mbv3_small':  # whose BatchNorm the demo's config sets
        student = list_students()[name]['student']
        cfg.model.backbone, cfg.model.neck = student['backbone'], student['neck']
    if name == 'mbv3':
        cfg.model.backbone.norm_cfg = dict(type='BN', eps=1e-3, momentum=0.1)
    cfg.work_dir = str(work_dir / name)
    # oneDNN aborts in the backward pass of some students in the channels-last format.
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks if hook.type != 'ChannelsLastHook'
    ]
    cfg.train_dataloader.update(
        batch_size=_BATCH, num_workers=0, persistent_workers=False
    )
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.05)
    cfg.param_scheduler[0].end = cfg.param_scheduler[1].begin = 0.1 * epochs
    cfg.param_scheduler[1].update(T_max=0.9 * epochs, end=epochs)
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.default_hooks.checkpoint.update(interval=epochs)
    return cfg


def distil(cfg: Config) -> dict[str, float]:
    """Train a student: its zero-shot accuracy in percent and the CPU time in seconds."""
    runner = Runner.from_cfg(cfg)
    use_small_depthwise(runner.model)
    started = time.process_time()
    runner.train()
    used = time.process_time() - started
    accuracy = runner.val()['zero_shot/student_top1']
    return dict(zero_shot=round(accuracy, 2), cost=round(used))


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
        '# Students on Fashion-MNIST',
        '',
        f'LGD on the 8,000 unlabeled images of the demo at 64 pixels, '
        f'{result["epochs"]} epochs, batch size {_BATCH}, AdamW, one seed, the same '
        'settings for all. Accuracy: zero-shot on 2,000 test images. Latency: float32 '
        'ONNX of the backbone, one image of 224 pixels, one thread. Bold: no faster '
        'student is as accurate.',
        '',
        '| student | zero-shot (%) | latency (ms) | ONNX (MB) | training (CPU s) |',
        '|---|---:|---:|---:|---:|',
    ]
    for row in rows:
        name = f'`{row["student"]}`'
        name = f'**{name}**' if is_best(row, rows, 'latency_ms') else name
        lines.append(
            f'| {name} | {row["zero_shot"]:.1f} | {row["latency_ms"]:.1f} | '
            f'{row["megabytes"]:.1f} | {row["cost"]} |'
        )
    lines += ['', *origin(result)]
    return '\n'.join(lines)


def draw(result: dict, path: Path) -> None:
    """Draw accuracy against latency and against size."""
    from matplotlib.figure import Figure

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
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('zero-shot accuracy (%)')
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing; write JSON, table and figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--students', nargs='+', choices=STUDENTS, default=STUDENTS)
    parser.add_argument('--epochs', type=int, default=2)
    parser.add_argument('--side', type=int, default=224, help='pixels, for the latency')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/students'))
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/students/fashion_mnist.json')
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    result = read_result(args.out, epochs=args.epochs, side=args.side)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name in args.students:
        if any(row['student'] == name for row in result['rows']):
            continue
        cfg = student_config(name, args.epochs, args.work_dir)
        prepare_demo_data(cfg.val_dataloader.dataset.data_root)
        row = dict(student=name, **distil(cfg))
        checkpoint = Path(cfg.work_dir, f'epoch_{args.epochs}.pth')
        row.update(deployed(checkpoint, args.side))
        add_row(args.out, result, row, table)
        draw(result, args.out.with_suffix('.png'))


if __name__ == '__main__':
    main()
