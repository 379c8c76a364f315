"""Distils the small CLIP of the repository into MobileNetV3-small.

Unpacks the embedded Fashion-MNIST images, trains without their labels, prints a table,
and writes summary.json and a figure to the work directory.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from benchmarks.small_depthwise import use_small_depthwise
from demo import ROOT
from demo.fashion_mnist import prepare_demo_data
from mmlgd.utils.atomic import write_atomically
from mmlgd.visualization import draw_similarities

CONFIG = 'configs/demo/fashion_mnist_mbv3_small.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', default=CONFIG, help=f'default: {CONFIG}')
    parser.add_argument('--work-dir', help='default: work_dirs/demo, or demo_short')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument(
        '--short',
        action='store_true',
        help='test run with two epochs',
    )
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """The demo's config with the options of the command line."""
    cfg = Config.fromfile(args.config)
    cfg.randomness.seed = args.seed
    if args.short:
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.param_scheduler[1].update(T_max=1, end=2)
    return cfg


def speed_up(model: nn.Module) -> int:
    """Replace convolutions that oneDNN computes slowly without AVX-512.

    On an AMD EPYC (AVX2), a step takes 0.74 instead of 1.03 s of CPU time. The values are
    the same up to rounding, so the accuracy differs as with another CPU.

    Args:
        model (nn.Module): Changed in place.

    Returns:
        int: Number of replaced convolutions; 0 on a GPU and on other CPUs.
    """
    if torch.cuda.is_available() or torch.backends.cpu.get_cpu_capability() != 'AVX2':
        return 0
    return use_small_depthwise(model)


def distil(cfg: Config) -> tuple[Runner, dict]:
    """Validate, train, and return the runner with the summary of the run."""
    runner = Runner.from_cfg(cfg)
    speed_up(runner.model)
    before = runner.val()
    start = time.monotonic()
    runner.train()
    seconds = time.monotonic() - start
    after = runner.val()
    dataset = runner.train_dataloader.dataset
    return runner, dict(
        teacher_top1=round(after['zero_shot/teacher_top1'], 2),
        student_before_top1=round(before['zero_shot/student_top1'], 2),
        student_top1=round(after['zero_shot/student_top1'], 2),
        chance_top1=round(100 / len(runner.model.prediction_bank.category_names), 2),
        num_train_images=len(dataset),
        num_test_images=len(runner.val_dataloader.dataset),
        iterations=runner.iter,
        seconds=round(seconds, 1),
        config=os.path.relpath(cfg.filename, ROOT),
    )


def print_table(summary: dict) -> None:
    rows = (
        ('teacher (small CLIP)', 'teacher_top1'),
        ('student before', 'student_before_top1'),
        ('student after', 'student_top1'),
        ('chance', 'chance_top1'),
    )
    print(f'\n{"zero-shot, Fashion-MNIST test images":<38}top-1 (%)')
    for title, key in rows:
        print(f'{title:<38}{summary[key]:>9.2f}')
    print(
        f'{summary["num_train_images"]} images without labels, {summary["iterations"]} '
        f'iterations, {summary["seconds"]:.0f} s of training\n'
    )


def main() -> None:
    args = parse_args()
    os.chdir(ROOT)
    # Other demos must not start from the backbone of a short run.
    work_dir = Path(args.work_dir or f'work_dirs/demo{"_short" if args.short else ""}')
    cfg = load_config(args)
    cfg.work_dir = str(work_dir)
    prepare_demo_data(cfg.val_dataloader.dataset.data_root)
    runner, summary = distil(cfg)
    draw_similarities(
        runner.model, runner.val_dataloader.dataset, work_dir / 'similarities.png'
    )
    write_atomically(work_dir / 'summary.json', json.dumps(summary, indent=2) + '\n')
    print_table(summary)
    print(f'Written: {work_dir}/summary.json, similarities.png, backbone.pth')


if __name__ == '__main__':
    main()
