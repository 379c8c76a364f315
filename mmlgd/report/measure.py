"""Measurement of a sample of images with student and teacher."""

import base64
import time
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.evaluation import match_dataset
from mmlgd.evaluation.calibration import reliability_bins
from mmlgd.utils.checks import check_count
from mmlgd.utils.printable import printable
from mmlgd.utils.progress import track

from .sample import Example, Sample

_THUMBNAIL = 96
_NUM_EXAMPLES = 24
_UNKNOWN = -1


def measure_sample(
    model: nn.Module,
    dataset: Any,
    source: str,
    num_images: int = 1000,
    max_seconds: float = float('inf'),
    batch_size: int = 32,
    labelled: bool = True,
    class_names: Mapping[str, str | None] | None = None,
) -> Sample:
    """Embed a random sample of images with student and teacher.

    The images are drawn without replacement from a fixed seed, so that reports of runs
    on the same dataset show the same images. The model is put into eval mode for the
    measurement; its mode is restored afterwards.

    Args:
        model (nn.Module): A distiller, on its device.
        dataset (Any): Its items are those of a distillation or of a validation.
        source (str): Name of the dataset in the report.
        num_images (int): Size of the sample. Defaults to 1000.
        max_seconds (float): No further batch begins after this time. Defaults to
            infinity.
        batch_size (int): Images in the models at a time. Defaults to 32.
        labelled (bool): Whether the labels of the images are used. Defaults to True.
        class_names (Mapping[str, str | None], optional): See
            :func:`~mmlgd.evaluation.match_classes`. Defaults to None.

    Raises:
        ConfigError: ``num_images`` is below 1, the dataset is empty, or its classes do
            not match the names.
        DataError: An image cannot be read.
    """
    check_count('the number of images', num_images, 1)
    if not len(dataset):
        raise ConfigError(f'{source} has no images to report on.')
    bank, to_name = model.prediction_bank, None
    if bank is not None:
        model.build_text_banks()
        if labelled:
            to_name = match_dataset(dataset, bank.category_names, source, class_names)
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(dataset), generator=generator)[:num_images].tolist()
    was_training, begin = model.training, time.monotonic()
    model.eval()
    rows: list[dict] = []
    try:
        for start in track(range(0, len(chosen), batch_size), 'Measuring the report'):
            if rows and time.monotonic() - begin > max_seconds:
                break
            part = chosen[start : start + batch_size]
            rows += _measure(model, [(i, dataset[i]) for i in part], to_name)
    finally:
        model.train(was_training)
    return Sample(
        epoch=0,
        iter=0,
        source=source,
        images=len(rows),
        available=len(dataset),
        seconds=round(time.monotonic() - begin, 2),
        ended_early=len(rows) < len(chosen),
        **_summary(rows, [] if bank is None else list(bank.category_names)),
    )


@torch.no_grad()
def _measure(
    model: nn.Module, items: list[tuple[int, dict]], to_name: list[int] | None
) -> list[dict]:
    """Names, confidences and similarity of each image of a batch."""
    views = [{**item, 'inputs': first_view(item['inputs'])} for _, item in items]
    inputs = model.data_preprocessor(pseudo_collate(views))['inputs']
    rows: list[dict] = [
        dict(
            image=view['inputs'],
            path=_path(index, view),
            label=_label(view, to_name),
        )
        for (index, _), view in zip(items, views)
    ]
    columns, student = {}, model.embed(inputs)
    embeddings = dict(student=(student, model.student_temperature))
    if model.teacher.has_image_tower:
        teacher = model.teacher.encode_image(inputs)
        embeddings['teacher'] = (teacher, model.teacher_temperature)
        columns['cosine'] = (student * teacher).sum(dim=1).clamp(-1, 1)
    if model.prediction_bank is not None:
        anchors = model.prediction_bank.embeddings
        for who, (vectors, temperature) in embeddings.items():
            best = (vectors @ anchors.T / temperature).softmax(dim=1).max(dim=1)
            columns[f'{who}_score'], columns[who] = best.values, best.indices
    for key, values in columns.items():
        for row, value in zip(rows, values.tolist()):
            row[key] = value
    for row in rows:
        # Compressed at once: the images of the sample would need too much memory.
        row['image'] = _thumbnail(row['image']) if _differs(row) else ''
    return rows


def _summary(rows: list[dict], names: list[str]) -> dict[str, Any]:
    number, found = len(names), dict[str, Any](names=names)
    both = [row for row in rows if 'teacher' in row]
    known = [row for row in rows if row['label'] != _UNKNOWN]
    if names:
        found['student_counts'] = _count(rows, 'student', number)
        if known:
            found['correct'] = 'labels'
            found['calibration'] = {
                who: _calibrate(known, who, 'label')
                for who in ('student', 'teacher')
                if who in known[0]
            }
        elif both:
            found['correct'] = 'teacher'
            found['calibration'] = dict(student=_calibrate(both, 'student', 'teacher'))
    if both:
        found['teacher_counts'] = _count(both, 'teacher', number)
        agreed = [row for row in both if row['teacher'] == row['student']]
        found['agreed'] = _count(agreed, 'teacher', number)
    cosines = [row['cosine'] for row in rows if 'cosine' in row]
    if cosines:
        found['cosine'] = sum(cosines) / len(cosines)
        worst = sorted(
            (row for row in rows if row['image']), key=lambda row: row['cosine']
        )
        found['examples'] = [_example(row, names) for row in worst[:_NUM_EXAMPLES]]
    return found


def _differs(row: dict) -> bool:
    """Whether student and teacher chose different names, or there are none."""
    return 'cosine' in row and (
        'teacher' not in row or row['teacher'] != row['student']
    )


def _calibrate(rows: list[dict], who: str, correct: str) -> list[tuple]:
    confidences = torch.tensor([row[f'{who}_score'] for row in rows])
    return reliability_bins(
        confidences, torch.tensor([row[who] == row[correct] for row in rows])
    )


def _count(rows: list[dict], key: str, number: int) -> list[int]:
    chosen = torch.tensor([row[key] for row in rows], dtype=torch.long)
    return torch.bincount(chosen, minlength=number).tolist()


def _example(row: dict, names: list[str]) -> Example:
    chosen = {
        key: names[row[key]]
        for key in ('student', 'teacher', 'label')
        if row.get(key, _UNKNOWN) != _UNKNOWN
    }
    scores = {key: round(row[key], 4) for key in row if key.endswith('_score')}
    cosine = round(row['cosine'], 4)
    return Example(row['image'], row['path'], cosine, **chosen, **scores)


def first_view(inputs: Any) -> torch.Tensor:
    """The image, or the first of several views, as a tensor (3, H, W)."""
    inputs = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
    # Of PackForDevice, before its augmentation.
    return inputs['image'] if isinstance(inputs, Mapping) else inputs


def _path(index: int, view: dict) -> str:
    path = getattr(view.get('data_samples'), 'img_path', None)
    return printable(str(path)) if path else f'image {index}'


def _label(view: dict, to_name: list[int] | None) -> int:
    label = getattr(view.get('data_samples'), 'gt_label', None)
    if to_name is None or label is None or label.numel() != 1:
        return _UNKNOWN
    return to_name[int(label)]


def _thumbnail(image: torch.Tensor) -> str:
    """A JPEG in base64 of an image (3, H, W), uint8 BGR, at most 96 pixels wide."""
    array = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    scale = _THUMBNAIL / max(array.shape[:2])
    if scale < 1:
        array = cv2.resize(
            array, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
        )
    _, data = cv2.imencode('.jpg', array, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return base64.b64encode(data.tobytes()).decode()
