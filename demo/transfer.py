"""Trains detector and segmentor from the demo's distilled backbone and from scratch.

Both use the same scenes of Fashion-MNIST items, the same schedule and the same seeds.
Prints a table; writes summary.json and two figures of predictions and ground truth.
"""

import argparse
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import Config

from demo import ROOT
from demo.scenes import SceneSettings, prepare_fashion_scenes
from demo.scenes.figure import draw_detections, draw_segmentations
from demo.scenes.measures import percentages
from demo.scenes.runs import CONFIGS, METRICS, load_config, predict, train
from mmlgd.errors import CheckpointError
from mmlgd.utils.atomic import check_output_folder, write_atomically
from mmlgd.utils.tool import run_tool

STARTS = ('distilled', 'scratch')
SHORT = SceneSettings(num_train=4, num_val=4, size=96)
# Number of parallel runs, which share the cores: the operations of these small models
# are too short for many threads.
NUM_PARALLEL = 2
SHOWN_SCENES = 6


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = dict(help='default: %(default)s')
    checkpoint = 'work_dirs/demo/backbone.pth'
    parser.add_argument('checkpoint', nargs='?', default=checkpoint, **default)
    parser.add_argument('--work-dir', default='work_dirs/demo_transfer', **default)
    parser.add_argument(
        '--seeds', type=int, default=1, metavar='N', help='number of seeds; default: 1'
    )
    parser.add_argument(
        '--short',
        action='store_true',
        help='test run with two iterations on four scenes',
    )
    return parser.parse_args(argv)


def config_of(task: str, start: str, seed: int, args: argparse.Namespace) -> Config:
    """The config of one run; for a task and seed, only the initial weights differ."""
    checkpoint = args.checkpoint if start == 'distilled' else None
    work_dir = Path(args.work_dir, f'{task}_{start}_seed{seed}')
    return load_config(task, checkpoint, seed, work_dir, args.short)


def train_all(args: argparse.Namespace) -> dict[tuple, dict]:
    """Metrics in percent and ``seconds``, by (task, start, seed)."""
    names = [
        (task, start, seed)
        for task in CONFIGS
        for seed in range(args.seeds)
        for start in STARTS
    ]
    threads = max(1, os.cpu_count() // NUM_PARALLEL)

    def train_one(name: tuple) -> dict:
        cfg = config_of(*name, args)
        logged = train(cfg, threads)
        print(f'{name[0]}, {name[1]}, seed {name[2]}: {logged["seconds"]:.0f} s')
        shares = percentages(name[0], logged, Path(cfg.work_dir))
        return dict(shares, seconds=logged['seconds'])

    with ThreadPoolExecutor(NUM_PARALLEL) as pool:
        return dict(zip(names, pool.map(train_one, names)))


def summarize(runs: dict[tuple, dict], args: argparse.Namespace) -> dict:
    """Means over seeds in percent, and all runs."""
    summary = {}
    for task, metrics in METRICS.items():
        cfg = config_of(task, 'distilled', 0, args)
        part = dict(config=CONFIGS[task], iterations=cfg.train_cfg.max_iters)
        for start in STARTS:
            part[start] = dict(seconds=[])
            for seed in range(args.seeds):
                seconds = runs[task, start, seed]['seconds']
                part[start]['seconds'].append(round(seconds, 1))
            for key in metrics:
                values = [
                    round(runs[task, start, seed][key], 2) for seed in range(args.seeds)
                ]
                mean = round(statistics.fmean(values), 2)
                part[start].update({key: mean, f'{key}_by_seed': values})
        part['distilled_wins'] = all(
            part['distilled'][key] > part['scratch'][key] for key in metrics
        )
        summary[task] = part
    return summary


def print_table(summary: dict) -> None:
    titles = [title for part in METRICS.values() for _, title, _ in part.values()]
    print(f'\n{"percent, validation scenes":<34}', end='')
    print(''.join(f'{title:>9}' for title in titles))
    for start in STARTS:
        values = [
            summary[task][start][key] for task, part in METRICS.items() for key in part
        ]
        row = ''.join(f'{value:>9.2f}' for value in values)
        print(f'{"backbone " + start:<34}{row}')
    for task in METRICS:
        print(f'{task}: {summary[task]["config"]}', end=', ')
        print(f'{summary[task]["iterations"]} iterations')
    print(f'seeds {summary["seeds"]}, {summary["seconds"]:.0f} s\n')


def draw(task: str, args: argparse.Namespace) -> None:
    """Draw ground truth and predictions of both models of the first seed."""
    draw_task = dict(detection=draw_detections, segmentation=draw_segmentations)[task]
    found = {
        start: predict(config_of(task, start, 0, args), SHOWN_SCENES)
        for start in STARTS
    }
    metainfo = config_of(task, 'distilled', 0, args).val_dataloader.dataset.metainfo
    colours = dict(zip(metainfo.classes, metainfo.palette))
    draw_task(found, colours, Path(args.work_dir, f'predictions_{task}.png'))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.chdir(ROOT)
    check_output_folder(args.work_dir, '--work-dir')
    if not Path(args.checkpoint).is_file():
        raise CheckpointError(
            f'{args.checkpoint} does not exist: run `make demo`, or give a backbone.pth.'
        )
    begin = time.monotonic()
    settings = SHORT if args.short else SceneSettings()
    prepare_fashion_scenes(Path(args.work_dir, 'scenes'), settings)
    summary = summarize(train_all(args), args)
    for task in CONFIGS:
        draw(task, args)
    summary.update(
        seeds=list(range(args.seeds)),
        num_train_scenes=settings.num_train,
        num_val_scenes=settings.num_val,
        checkpoint=args.checkpoint,
        seconds=round(time.monotonic() - begin, 1),
    )
    path = Path(args.work_dir, 'summary.json')
    write_atomically(path, json.dumps(summary, indent=2) + '\n')
    print_table(summary)
    print(f'Written: {path}, predictions_detection.png, predictions_segmentation.png')
    lost = [task for task in CONFIGS if not summary[task]['distilled_wins']]
    if lost and not args.short:
        sys.exit(f'The distilled backbone is not better: {", ".join(lost)}.')


if __name__ == '__main__':
    run_tool(main)
