"""Trains and evaluates one run in a separate process, as configured in its run.py.

    python -m benchmarks.comparison.run FOLDER

An interrupted training resumes from its last checkpoint. The evaluations are written to
``evaluations.json``: zero-shot, linear probes with subsets of the labels, k-NN.
"""

import copy
import json
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, find_latest_checkpoint, set_random_seed
from torch import nn
from torch.utils.data import DataLoader

from mmlgd.apis import extract_features
from mmlgd.datasets.splits import draw_labelled
from mmlgd.evaluation import (
    fit_linear_probes,
    match_dataset,
    match_labels,
    predict,
    summarize,
    weighted_knn,
)
from mmlgd.registry import MODELS
from mmlgd.utils.atomic import write_atomically
from mmlgd.utils.checkpoint import load_exactly, read_checkpoint
from mmlgd.utils.tool import run_tool

#: Features (N, h) float32 and labels (N,) int64, by split.
Features = dict[str, tuple[torch.Tensor, torch.Tensor]]


class TeacherFeatures(nn.Module):
    """Provides the teacher's embeddings as the features of a backbone."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.teacher.encode_image(inputs)


def train(cfg: Config) -> None:
    """Train without validation, from the last checkpoint if there is one."""
    cfg = copy.deepcopy(cfg)
    for split in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{split}_{part}'] = None
    cfg.resume = True
    Runner.from_cfg(cfg).train()


def evaluate(cfg: Config, folder: Path, asked: dict) -> dict:
    """Run the requested evaluations.

    Args:
        cfg (Config): Config of the run.
        folder (Path): Its work directory, with the checkpoint.
        asked (dict): ``role``, ``seed``, ``split`` and ``evaluations``, settings by
            name.

    Returns:
        dict: By name, ``top1`` and ``balanced`` accuracy in percent; for ``probe``, by
        percentage of the labels. None if an evaluation does not apply.
    """
    found, wanted = {}, asked['evaluations']
    if not wanted:
        return found
    init_default_scope(cfg.default_scope)
    set_random_seed(asked['seed'])
    device = get_device()
    model = MODELS.build(cfg.model)
    if asked['role'] == 'student':
        path = find_latest_checkpoint(str(folder))
        load_exactly(model, read_checkpoint(path)['state_dict'], '', path)
    elif asked['role'] == 'untrained':
        model.init_weights()
    model.to(device, memory_format=torch.channels_last).eval()
    split, role = asked['split'], asked['role']
    loaders = {
        name: Runner.build_dataloader(cfg[f'{key}_dataloader'])
        for name, key in (('train', 'labelled'), ('val', 'val'), (split, split))
    }
    if 'zero_shot' in wanted:
        found['zero_shot'] = classify(model, loaders[split], role)
    if {'probe', 'knn'} & wanted.keys():
        is_teacher = role == 'teacher'
        backbone = TeacherFeatures(model.teacher) if is_teacher else model.backbone
        data = {
            name: extract_features(backbone, loader, model.data_preprocessor, device)
            for name, loader in loaders.items()
        }
        data = count_alike(data, loaders)
    if 'probe' in wanted:
        found['probe'] = probe_all(data, split, wanted['probe'], asked['seed'])
    if 'knn' in wanted:
        found['knn'] = vote(data, split, **wanted['knn'])
    return found


@torch.no_grad()
def classify(model: nn.Module, loader: DataLoader, role: str) -> dict | None:
    """Zero-shot accuracy of student or teacher; None for a model without names."""
    if getattr(model, 'prediction_bank', None) is None:
        return None
    is_teacher = role == 'teacher'
    model.predict_teacher = is_teacher
    key = 'teacher_pred_score' if is_teacher else 'pred_score'
    samples = [sample for batch in loader for sample in model.test_step(batch)]
    scores = torch.stack([sample.get(key) for sample in samples]).cpu()
    labels = torch.cat([sample.gt_label for sample in samples]).cpu()
    names = model.prediction_bank.category_names
    labels = torch.tensor(match_dataset(loader.dataset, names, 'the images'))[labels]
    return summarize(labels, scores.argmax(dim=1) == labels, scores.shape[1])


def count_alike(data: Features, loaders: dict[str, DataLoader]) -> Features:
    """Map the labels of every split to the class indices of the training set."""
    train, found = loaders['train'].dataset, dict(data)
    for name, (features, labels) in data.items():
        _, matched = match_labels(train, loaders[name].dataset)
        if matched is not None:
            found[name] = (features, torch.tensor(matched)[labels])
    return found


def _num_classes(data: Features) -> int:
    return 1 + max(int(labels.max()) for _, labels in data.values())


def probe(
    data: Features, split: str, percent: int, epochs: int, lrs: list, seed: int
) -> dict:
    """Accuracy of a linear probe with a subset of the training labels.

    The learning rate is the best one on the validation images.
    """
    features, labels = data['train']
    chosen = draw_labelled(labels, percent, seed)
    # The scale of the features differs between backbones, so no learning rate fits all.
    mean = features[chosen].mean(dim=0)
    std = features[chosen].std(dim=0).clamp_min(1e-12)
    scaled = {name: ((x - mean) / std, y) for name, (x, y) in data.items()}
    count, labelled = _num_classes(data), scaled['train'][0][chosen]
    weights = fit_linear_probes(labelled, labels[chosen], count, lrs, epochs, seed=seed)
    val_features, val_labels = scaled['val']
    hits = (predict(weights, val_features) == val_labels).float().mean(dim=1)
    best = int(hits.argmax())
    features, labels = scaled[split]
    right = predict(weights[best : best + 1], features)[0] == labels
    return dict(summarize(labels, right, count), lr=lrs[best])


def probe_all(data: Features, split: str, settings: dict, seed: int) -> dict:
    """Probes by percentage of labels, averaged over random draws of the images."""
    found = {}
    for percent, options in settings['percentages'].items():
        epochs, count = options['epochs'], options['draws']
        draws = [
            probe(data, split, int(percent), epochs, settings['lrs'], 100 * seed + i)
            for i in range(count)
        ]
        found[percent] = {
            key: round(sum(draw[key] for draw in draws) / count, 2)
            for key in ('top1', 'balanced')
        }
        found[percent]['lrs'] = [draw['lr'] for draw in draws]
    return found


def vote(data: Features, split: str, k: int) -> dict:
    """Accuracy of weighted k-NN with all training labels, which limit k."""
    (bank, bank_labels), (queries, labels) = data['train'], data[split]
    count = _num_classes(data)
    scores = weighted_knn(queries, bank, bank_labels, count, k=min(k, len(bank)))
    return summarize(labels, scores.argmax(dim=1) == labels, count)


def main() -> None:
    folder = Path(sys.argv[1])
    cfg = Config.fromfile(folder / 'run.py')
    asked = cfg.pop('comparison')
    if asked.role == 'student' and not (folder / 'training_cost.json').is_file():
        train(cfg)
    found = evaluate(cfg, folder, asked)
    write_atomically(folder / 'evaluations.json', json.dumps(found) + '\n')


if __name__ == '__main__':
    run_tool(main)
