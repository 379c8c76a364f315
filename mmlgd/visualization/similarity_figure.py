"""A figure that compares a distilled student with its teacher."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from mmengine.dataset import pseudo_collate
from torch import nn

from mmlgd.evaluation import match_dataset

_TEACHER, _STUDENT = '#b0b7c3', '#0b6e99'


@torch.no_grad()
def draw_similarities(
    model: nn.Module, dataset: Any, path: str | Path, num_images: int = 10
) -> None:
    """Draw test images with their similarities to the names, and both banks.

    The upper half shows one image of each of the first categories with the
    probabilities that teacher and student assign to the names. The lower half shows, for
    each bank, the mean similarities of the student's embeddings of each category to the
    anchors, and the similarities between the anchors.

    Args:
        model (nn.Module): A distiller with a textual and a visual bank.
        dataset (Dataset): A labelled mmpretrain dataset with the same classes.
        path (str | Path): Output file, in a format that matplotlib supports.
        num_images (int): Images in the upper half, at most one per category. Defaults to
            10.
    """
    model.eval()
    samples = _encode(model, dataset)
    figure = Figure(figsize=(16, 10), layout='constrained')
    rows: Any = figure.subfigures(2, 1, height_ratios=(1.25, 1), hspace=0.04)
    upper, lower = rows
    _draw_images(upper, model, samples, num_images)
    _draw_banks(lower, model, samples)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _encode(model: nn.Module, dataset: Any, batch_size: int = 200) -> dict:
    """Embeddings, scores, labels and images of the whole dataset."""
    found: dict[str, Any] = dict(
        embeddings=[], student=[], teacher=[], labels=[], images=[]
    )
    for start in range(0, len(dataset), batch_size):
        items = [
            dataset[i] for i in range(start, min(start + batch_size, len(dataset)))
        ]
        data = model.data_preprocessor(pseudo_collate(items))
        found['embeddings'].append(model.embed(data['inputs']).cpu())
        for item, sample in zip(items, model(**data, mode='predict')):
            found['student'].append(sample.pred_score.cpu())
            found['teacher'].append(sample.teacher_pred_score.cpu())
            found['labels'].append(int(sample.gt_label))
            found['images'].append(item['inputs'])
    found['embeddings'] = torch.cat(found['embeddings'])
    names = model.prediction_bank.category_names
    matched = torch.tensor(match_dataset(dataset, names, 'the images'))
    found['labels'] = matched[found['labels']]
    return found


def _draw_images(
    figure: Figure, model: nn.Module, samples: dict, num_images: int
) -> None:
    names = model.prediction_bank.category_names
    labels = samples['labels'].tolist()
    chosen = [labels.index(c) for c in range(len(names)) if c in labels][:num_images]
    columns = (len(chosen) + 1) // 2
    figure.suptitle('Zero-shot predictions of teacher and student for test images')
    axes = figure.subplots(
        2, 2 * columns, width_ratios=[1.2, 1] * columns, squeeze=False
    )
    for axis in axes.flat[2 * len(chosen) :]:
        axis.axis('off')
    y = np.arange(len(names))
    for number, index in enumerate(chosen):
        image_axis, bars = axes.flat[2 * number], axes.flat[2 * number + 1]
        image_axis.imshow(samples['images'][index].flip(0).permute(1, 2, 0))
        image_axis.set_title(names[labels[index]], fontsize=11)
        image_axis.axis('off')
        bars.barh(
            y - 0.2, samples['teacher'][index], 0.4, color=_TEACHER, label='teacher'
        )
        bars.barh(
            y + 0.2, samples['student'][index], 0.4, color=_STUDENT, label='student'
        )
        bars.set(xlim=(0, 1), xticks=(0, 1), yticks=y, ylim=(len(names) - 0.5, -0.5))
        bars.set_yticklabels(names, fontsize=8)
        bars.spines[['top', 'right']].set_visible(False)
        if number == 0:
            bars.legend(fontsize=8, loc='lower right', frameon=False)


def _draw_banks(figure: Figure, model: nn.Module, samples: dict) -> None:
    names = model.textual_bank.category_names
    labels, rows = samples['labels'], samples['embeddings']
    means = torch.stack([rows[labels == c].mean(0) for c in range(len(names))])
    figure.suptitle(
        'Anchors of both banks, and mean similarities of the student per category'
    )
    axes = figure.subplots(1, 4)
    for column, (title, bank) in enumerate(
        (('textual bank', model.textual_bank), ('visual bank', model.visual_bank))
    ):
        anchors = bank.embeddings.cpu()
        unit = nn.functional.normalize(anchors, dim=1)
        _heat_map(axes[2 * column], unit @ unit.T, names, f'{title}: anchor x anchor')
        image = _heat_map(
            axes[2 * column + 1], means @ anchors.T, names, f'student x {title}'
        )
    figure.colorbar(image, ax=axes, shrink=0.6, label='similarity')


def _heat_map(axis: Axes, values: torch.Tensor, names: list, title: str) -> AxesImage:
    image = axis.imshow(values, cmap='RdBu_r', vmin=-1, vmax=1)
    ticks = range(len(names))
    axis.set_xticks(ticks, names, rotation=90, fontsize=8)
    axis.set_yticks(ticks, names, fontsize=8)
    axis.set_title(title, fontsize=11)
    return image
