"""Evaluates one run of a benchmark: zero-shot, linear probes, k-NN.

tools/benchmarks/compare_methods.py calls it, each run in a process of its own.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mmlgd  # noqa: F401, I001  (first: it makes `mmpretrain::` bases resolve)
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, find_latest_checkpoint, set_random_seed
from torch import nn

from mmlgd.apis import evaluation_loaders, extract_features
from mmlgd.datasets.splits import draw_labelled
from mmlgd.evaluation import fit_linear_probes, predict, weighted_knn
from mmlgd.registry import METRICS, MODELS
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint
from mmlgd.utils.tool import run_tool


class TeacherFeatures(nn.Module):
    """The teacher's embeddings in the place of a backbone's features."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, D) of normalised images (B, 3, H, W)."""
        return self.teacher.encode_image(inputs)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='work folder with run.py')
    parser.add_argument('settings', type=json.loads, help='JSON: evaluation to options')
    parser.add_argument('--role', default='student')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--split', choices=('val', 'test'), default='test')
    parser.add_argument('--out', type=Path, required=True)
    return parser.parse_args(argv)


def build_model(cfg: Config, args: argparse.Namespace) -> nn.Module:
    """The run's model as its role asks for, ready to classify."""
    init_default_scope(cfg.default_scope)
    set_random_seed(args.seed)
    model = MODELS.build(cfg.model)
    if args.role == 'student':
        path = find_latest_checkpoint(args.folder)
        load_exactly(model, read_checkpoint(path)['state_dict'], '', path)
    elif args.role == 'untrained':
        model.init_weights()
    return model.to(memory_format=torch.channels_last).eval()


def classify(model: nn.Module, cfg: Config, args: argparse.Namespace) -> dict | None:
    """Zero-shot top-1 accuracy (%) of the student, or the teacher; None without names."""
    if args.role == 'untrained' or getattr(model, 'prediction_bank', None) is None:
        return None
    who = 'teacher' if args.role == 'teacher' else 'student'
    model.predict_teacher = who == 'teacher'
    loader = Runner.build_dataloader(cfg[f'{args.split}_dataloader'])
    metric = METRICS.build(cfg[f'{args.split}_evaluator'])
    for batch in loader:
        metric.process(batch, [sample.to_dict() for sample in model.test_step(batch)])
    found = metric.evaluate(len(loader.dataset))
    return dict(top1=round(found[f'zero_shot/{who}_top1'], 2))


def features_of(model: nn.Module, cfg: Config, args: argparse.Namespace) -> dict:
    """Features and labels of the training images, of those for validation, and of
    the split that is reported: name to pair."""
    backbone = TeacherFeatures(model.teacher) if args.role == 'teacher' else None
    backbone = backbone or model.backbone
    found = {}
    for split in dict.fromkeys(('val', args.split)):
        part = dict(cfg, test_dataloader=cfg[f'{split}_dataloader'])
        loaders = evaluation_loaders(Config(part))
        for name, loader in zip(('train', split), loaders):
            if name not in found:
                found[name] = extract_features(
                    backbone, loader, model.data_preprocessor
                )
    return found


def probe(data: dict, percent: int, epochs: int, rates: list, seed: int) -> dict:
    """Top-1 accuracy (%) of a linear probe by a part of the training labels.

    The learning rate is the one that is best on the images for validation.
    """
    features, labels = data['train']
    chosen = draw_labelled(labels, percent, seed)
    labels, num_classes = labels[chosen], int(labels.max()) + 1
    # Backbones differ in the scale of their features: no rate would suit them all.
    mean = features[chosen].mean(dim=0)
    std = features[chosen].std(dim=0).clamp_min(1e-12)
    weights = fit_linear_probes(
        (features[chosen] - mean) / std, labels, num_classes, rates, epochs, seed=seed
    )
    hits = {
        split: (predict(weights, (x - mean) / std) == y).float().mean(dim=1)
        for split, (x, y) in data.items()
        if split != 'train'
    }
    best = int(hits['val'].argmax())
    reported = hits.get('test', hits['val'])
    return dict(top1=round(100 * reported[best].item(), 2), rate=rates[best])


def probe_all(data: dict, settings: dict, seed: int) -> dict:
    """Probes by percentage of labels, the mean over some draws of them."""
    found = {}
    for percent, options in settings['percentages'].items():
        runs = [
            probe(
                data, int(percent), options['epochs'], settings['rates'], 100 * seed + i
            )
            for i in range(options['draws'])
        ]
        mean = sum(run['top1'] for run in runs) / len(runs)
        found[percent] = dict(top1=round(mean, 2), draws=runs)
    return found


def vote(data: dict, split: str, k: int) -> dict:
    """Top-1 accuracy (%) of weighted k-NN by all training labels."""
    (bank, bank_labels), (queries, labels) = data['train'], data[split]
    scores = weighted_knn(queries, bank, bank_labels, int(bank_labels.max()) + 1, k=k)
    return dict(top1=round(100 * (scores.argmax(1) == labels).float().mean().item(), 2))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = Config.fromfile(args.folder / 'run.py')
    model, found = build_model(cfg, args), {}
    begin = time.process_time()
    if 'zero_shot' in args.settings:
        found['zero_shot'] = classify(model, cfg, args)
    if {'probe', 'knn'} & set(args.settings):
        data = features_of(model, cfg, args)
        print(f'features: {time.process_time() - begin:.1f} s')
    if 'probe' in args.settings:
        found['probe'] = probe_all(data, args.settings['probe'], args.seed)
    if 'knn' in args.settings:
        found['knn'] = vote(data, args.split, **args.settings['knn'])
    print(f'{json.dumps(found)}\nin all: {time.process_time() - begin:.1f} s')
    write_atomically(args.out, json.dumps(found) + '\n')


if __name__ == '__main__':
    run_tool(main)
