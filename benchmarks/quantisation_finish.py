"""What the quantisation-aware finish wins back, against as much training without it.

    python -m benchmarks.quantisation_finish effb0

The student is trained on the demo's images first. Four checkpoints are exported to ONNX:
the student, and the student after more epochs from it, trained as before, with
QuantisationAwareHook, and with ``per_channel=False`` of it. Accuracy is zero-shot on 1,000
test images of the demo.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from benchmarks.resumable import add_row, origin, read_result
from benchmarks.small_depthwise import use_small_depthwise
from demo.fashion_mnist import prepare_demo_data, read_split
from mmlgd.apis import export_classifier, list_students
from mmlgd.datasets.category_names import load_category_names

CONFIG = 'configs/demo/fashion_mnist_mbv3_small.py'
_BATCH = 64
#: Hooks of each way to continue.
FINISHES: dict[str, list[dict]] = {
    'as before': [],
    'finish': [dict(type='QuantisationAwareHook')],
    'finish, per_channel=False': [
        dict(type='QuantisationAwareHook', per_channel=False)
    ],
}
#: Options of the export.
FILES = {
    'float32': dict(dtype='float32'),
    'int8': dict(dtype='int8'),
    'int8_per_tensor': dict(dtype='int8', per_tensor=True),
}


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


def train_student(cfg: Config) -> None:
    """Train a student."""
    runner = Runner.from_cfg(cfg)
    use_small_depthwise(runner.model)
    runner.train()


def labelled_images(data: Path, folder: Path, number: int) -> Path:
    """Write test images to a folder with a subfolder per class; return the folder."""
    names = load_category_names('fashion_mnist')
    images, labels = read_split(data, 'test')
    for index, (image, label) in enumerate(zip(images[:number], labels)):
        place = folder / names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f'{index:04}.png')
    return folder


def finish_config(
    name: str, checkpoint: Path, hooks: list[dict], epochs: int, folder: Path
) -> Config:
    """The student's config, continued from a checkpoint with a small learning rate."""
    cfg = student_config(name, epochs, folder)
    cfg.load_from = str(checkpoint)
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    cfg.optim_wrapper.optimizer.lr = 2e-4
    cfg.param_scheduler = [
        dict(
            type='CosineAnnealingLR',
            T_max=epochs,
            by_epoch=True,
            convert_to_iter_based=True,
        )
    ]
    return cfg


def accuracies(checkpoint: Path, calibration: list, images: Path) -> dict[str, float]:
    """Accuracy in percent of each file."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, options in FILES.items():
            done = export_classifier(
                checkpoint,
                'onnx',
                Path(folder, 'student.onnx'),
                calibration=calibration if title != 'float32' else None,
                check=images,
                labels=True,
                **options,
            )
            found[title] = round(done.check.accuracy_after, 2)
    return found


def table(result: dict) -> str:
    """The rows in Markdown."""
    lines = [
        '# Quantisation-aware finish',
        '',
        f'Zero-shot accuracy (%) on Fashion-MNIST of ONNX files, one seed: students of '
        f'{result["trained"]} epochs, and the same after more training (epochs: '
        f'{result["epochs"]}) with a learning rate of 0.0002 (AdamW).',
        '',
        '| student | training | float32 | int8 | int8, `--per-tensor` |',
        '| --- | --- | ---: | ---: | ---: |',
    ]
    for row in result['rows']:
        cells = ' | '.join(f'{row[title]:.1f}' for title in FILES)
        lines.append(f'| `{row["student"]}` | {row["training"]} | {cells} |')
    lines += ['', *origin(result)]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measure what is missing; write JSON and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('students', nargs='+')
    add('--epochs', type=int, default=1, help='of the finish')
    add('--trained', type=int, default=2, help='epochs of the students')
    add('--work-dir', type=Path, default=Path('work_dirs/quantisation_finish'))
    add('--out', type=Path, default=Path('docs/benchmarks/export/finish.json'))
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    data = Path('work_dirs/demo/data')
    prepare_demo_data(data)
    calibration = list(read_split(data, 'train')[0][:300])
    result = read_result(args.out, epochs=args.epochs, trained=args.trained)
    known = {(row['student'], row['training']) for row in result['rows']}
    with tempfile.TemporaryDirectory() as folder:
        images = labelled_images(data, Path(folder, 'test'), 1000)
        for name in args.students:
            cfg = student_config(name, args.trained, args.work_dir)
            start = Path(cfg.work_dir, f'epoch_{args.trained}.pth')
            for training in ('student', *FINISHES):
                if (name, training) in known:
                    continue
                if not start.is_file():
                    train_student(cfg)
                checkpoint = start
                if training in FINISHES:
                    place = args.work_dir / 'finish' / training.replace(', ', '_')
                    hooks = FINISHES[training]
                    cfg = finish_config(name, start, hooks, args.epochs, place)
                    train_student(cfg)
                    checkpoint = Path(cfg.work_dir, f'epoch_{args.epochs}.pth')
                row = dict(student=name, training=training)
                row.update(accuracies(checkpoint, calibration, images))
                add_row(args.out, result, row, table)


if __name__ == '__main__':
    main()
