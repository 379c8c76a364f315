"""Probes the demo's distilled backbone: linear classifiers and k-NN on frozen features.

Uses 1 %, 10 % and all of the 8,000 labels. The backbone is compared with the same one
with random weights, and with one trained from scratch with all labels. Prints a table
and writes summary.json.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner, set_random_seed

from demo import ROOT
from demo.fashion_mnist import prepare_demo_data
from mmlgd.apis import build_preprocessor, evaluation_loaders, extract_features
from mmlgd.apis.loading import build_backbone, load_backbone
from mmlgd.datasets.splits import draw_labelled
from mmlgd.errors import CheckpointError
from mmlgd.evaluation import (
    choose_lr,
    fit_linear_probes,
    match_labels,
    predict,
    summarize,
    weighted_knn,
)
from mmlgd.utils.atomic import check_output_folder, write_atomically
from mmlgd.utils.checkpoint import read_checkpoint
from mmlgd.utils.checkpoint_meta import CheckpointMeta
from mmlgd.utils.tool import run_tool

CONFIG = 'configs/demo/probe_supervised.py'
# Among equally good values the first is chosen. 30 is the published value for ImageNet.
RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 3.0, 30.0)
# Number of random draws of the labelled images, by percentage of the labels.
DRAWS = {1: 3, 10: 3, 100: 1}
# Balanced accuracy: the mean of the per-class accuracies.
KINDS = {
    'linear': 'linear probe',
    'linear_balanced': 'balanced probe',
    'knn': 'k-NN',
    'knn_balanced': 'balanced k-NN',
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = dict(help='default: %(default)s')
    checkpoint = 'work_dirs/demo/backbone.pth'
    parser.add_argument('checkpoint', nargs='?', default=checkpoint, **default)
    parser.add_argument('--config', default=CONFIG, **default)
    parser.add_argument('--work-dir', default='work_dirs/demo_probe', **default)
    parser.add_argument('--seed', type=int, default=0, **default)
    parser.add_argument(
        '--short',
        action='store_true',
        help='test run with 800 and 200 images and a few epochs',
    )
    return parser.parse_args(argv)


def load_config(args: argparse.Namespace) -> Config:
    """The config of the supervised run with the options of the command line."""
    cfg = Config.fromfile(args.config)
    cfg.work_dir = args.work_dir
    cfg.randomness = dict(seed=args.seed)
    if args.short:
        cfg.train_dataloader.dataset.indices = 800
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.indices = 200
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.param_scheduler[0].end = 1
        cfg.param_scheduler[1].update(begin=1, T_max=1, end=2)
    return cfg


def features_of(backbone: torch.nn.Module, cfg: Config, checkpoint: str) -> dict:
    """Features and labels of all training and test images."""
    loaders = evaluation_loaders(cfg)
    _, matched = match_labels(*(loader.dataset for loader in loaders))
    train, test = (
        extract_features(backbone, loader, build_preprocessor(checkpoint))
        for loader in loaders
    )
    test_labels = test[1] if matched is None else torch.tensor(matched)[test[1]]
    return dict(train=train[0], labels=train[1], test=test[0], test_labels=test_labels)


def random_backbone(checkpoint: str, seed: int) -> torch.nn.Module:
    """The checkpoint's backbone with random weights, as before training.

    BatchNorm keeps mean 0 and variance 1. With measured statistics, the k-NN accuracy
    was 45 % instead of 74 %.
    """
    # init_weights() would report every tensor.
    MMLogger.get_current_instance().setLevel('WARNING')
    set_random_seed(seed)
    record = CheckpointMeta.from_meta(read_checkpoint(checkpoint)['meta'], checkpoint)
    backbone = build_backbone(record)
    backbone.init_weights()
    return backbone


def probe(data: dict, percent: int, epochs: int, seed: int) -> dict:
    """Accuracies (%) on the test images, with a subset of the training labels.

    ``linear`` and ``knn`` are top-1 accuracies, ``linear_balanced`` and
    ``knn_balanced`` means of the per-class accuracies.
    """
    chosen = draw_labelled(data['labels'], percent, seed)
    train, labels, test = data['train'][chosen], data['labels'][chosen], data['test']
    test_labels = data['test_labels']
    num_classes = int(max(data['labels'].max(), test_labels.max())) + 1
    votes = weighted_knn(test, train, labels, num_classes, k=20).argmax(dim=1)
    # Features of a random network are a billion times smaller than those of a trained
    # one, so no learning rate fits both without scaling. k-NN uses cosine similarity
    # and needs no scaling.
    mean, std = train.mean(dim=0), train.std(dim=0).clamp_min(1e-12)
    train, test = (train - mean) / std, (test - mean) / std
    options = dict(epochs=epochs, seed=seed)
    rate = choose_lr(train, labels, num_classes, RATES, **options)
    weights = fit_linear_probes(train, labels, num_classes, [rate], **options)
    found = dict(rate=rate)
    for kind, predicted in (('linear', predict(weights, test)[0]), ('knn', votes)):
        accuracies = summarize(test_labels, predicted == test_labels, num_classes)
        found[kind] = accuracies['top1']
        found[f'{kind}_balanced'] = accuracies['balanced']
    return found


def probe_all(data: dict, args: argparse.Namespace) -> dict:
    """All probes of one backbone, by percentage of labels."""
    # 1 % of the 800 images of a short run is one image per class, too few for
    # cross-validation.
    draws = {10: 1, 100: 1} if args.short else DRAWS
    epochs = 5 if args.short else 100
    found = {}
    for percent, number in draws.items():
        runs = [probe(data, percent, epochs, args.seed + i) for i in range(number)]
        found[str(percent)] = dict(draws=runs)
        for kind in KINDS:
            mean = statistics.fmean(run[kind] for run in runs)
            found[str(percent)][kind] = round(mean, 2)
    return found


def supervise(cfg: Config) -> float:
    """Train from scratch with all labels; top-1 accuracy (%) on the test images."""
    runner = Runner.from_cfg(cfg)
    runner.train()
    return round(runner.message_hub.get_scalar('val/accuracy/top1').current(), 2)


def print_table(summary: dict) -> None:
    found = summary['probes']
    percentages = list(found['distilled'])
    print('\n' + f'{"accuracy (%), Fashion-MNIST test images":<40}', end='')
    print(''.join(f'{percent + " %":>9}' for percent in percentages) + ' of labels')
    for kind, title in KINDS.items():
        for name, rows in found.items():
            row = ''.join(f'{rows[percent][kind]:>9.2f}' for percent in percentages)
            print(f'{f"{title}, {name} weights":<40}{row}')
    blank = ' ' * 9 * (len(percentages) - 1)
    print(f'{"supervised from scratch":<40}{blank}{summary["supervised"]:>9.2f}')
    print(f'{summary["seconds"]:.0f} s\n')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.chdir(ROOT)
    check_output_folder(args.work_dir, '--work-dir')
    start = time.monotonic()
    if not Path(args.checkpoint).is_file():
        raise CheckpointError(
            f'{args.checkpoint} does not exist: run `make demo`, or give a backbone.pth.'
        )
    distilled = load_backbone(args.checkpoint)
    cfg = load_config(args)
    prepare_demo_data(cfg.train_dataloader.dataset.data_root)
    untrained = random_backbone(args.checkpoint, args.seed)
    found = {}
    for name, backbone in (('distilled', distilled), ('random', untrained)):
        data = features_of(backbone, cfg, args.checkpoint)
        found[name] = probe_all(data, args)
    summary = dict(
        probes=found,
        supervised=supervise(cfg),
        num_train_images=len(data['labels']),
        num_test_images=len(data['test_labels']),
        seconds=round(time.monotonic() - start, 1),
        checkpoint=args.checkpoint,
        config=os.path.relpath(cfg.filename, ROOT),
    )
    path = Path(args.work_dir) / 'summary.json'
    write_atomically(path, json.dumps(summary, indent=2) + '\n')
    print_table(summary)
    print('Written:', path)


if __name__ == '__main__':
    run_tool(main)
