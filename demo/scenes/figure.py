"""Figures of the predictions of detectors and segmentors."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

_SCALE = 3
_OPACITY = 0.55


def draw_detections(
    scenes: Mapping[str, Sequence[tuple]],
    colours: Mapping[str, tuple[int, int, int]],
    path: str | Path,
    score_thr: float = 0.3,
) -> None:
    """Draw scenes with their instances and the predictions of several detectors.

    Args:
        scenes (Mapping): Scenes by name of the detector, the same for all detectors:
            pairs of an image, (H, W, 3) uint8 RGB, and a data sample of mmdet with
            ``gt_instances`` and ``pred_instances``.
        colours (Mapping): Category to RGB colour, 0 to 255, in the order of labels.
        path (str | Path): Output file, in a format supported by matplotlib.
        score_thr (float): Minimum score of drawn predictions. Defaults to 0.3.
    """
    palette = list(colours.values())
    rows = _rows(
        scenes,
        lambda image, sample: _paint_instances(
            image, sample.gt_instances, sample.gt_instances.masks.masks, palette
        ),
        lambda image, sample: _paint_found(image, sample, palette, score_thr),
    )
    title = f'Instances found with a score of at least {score_thr:g}'
    _draw_rows(rows, colours, title, path)


def draw_segmentations(
    scenes: Mapping[str, Sequence[tuple]],
    colours: Mapping[str, tuple[int, int, int]],
    path: str | Path,
) -> None:
    """Draw scenes with their label maps and the predictions of several segmentors.

    Args:
        scenes (Mapping): As for :func:`draw_detections`, with data samples of mmseg
            that have ``gt_sem_seg`` and ``pred_sem_seg``.
        colours (Mapping): Category to RGB colour, 0 to 255, in the order of labels.
        path (str | Path): Output file, in a format supported by matplotlib.
    """
    palette = list(colours.values())
    rows = _rows(
        scenes,
        lambda image, sample: _paint_labels(image, sample.gt_sem_seg, palette),
        lambda image, sample: _paint_labels(image, sample.pred_sem_seg, palette),
    )
    _draw_rows(rows, colours, 'Category of each pixel', path)


def _rows(
    scenes: Mapping[str, Sequence[tuple]], paint_truth: Callable, paint_found: Callable
) -> dict[str, list[np.ndarray]]:
    """Images by row name: scene, ground truth, and one row per model."""
    first = next(iter(scenes.values()))
    return dict(
        scene=[_enlarge(image) for image, _ in first],
        truth=[paint_truth(image, sample) for image, sample in first],
        **{name: [paint_found(*pair) for pair in scenes[name]] for name in scenes},
    )


def _paint_found(
    image: np.ndarray, sample: Any, palette: list, score_thr: float
) -> np.ndarray:
    found = sample.pred_instances
    # Highest score last, on top.
    found = found[found.scores >= score_thr]
    found = found[found.scores.argsort()]
    return _paint_instances(image, found, found.masks.cpu().numpy(), palette)


def _paint_instances(
    image: np.ndarray, instances: Any, masks: np.ndarray, palette: list
) -> np.ndarray:
    """Draw masks and boxes on an image, in the colours of their categories."""
    painted = _enlarge(image)
    boxes = instances.bboxes
    boxes = getattr(boxes, 'tensor', boxes).cpu().numpy()
    for box, mask, label in zip(boxes, masks, instances.labels.tolist()):
        inside = _enlarge(mask.astype(np.uint8)) > 0
        painted[inside] = _blend(painted[inside], np.array(palette[label]))
        left, top, right, bottom = (round(_SCALE * float(edge)) for edge in box)
        cv2.rectangle(painted, (left, top), (right, bottom), palette[label], 2)
    return painted


def _paint_labels(image: np.ndarray, pixels: Any, palette: list) -> np.ndarray:
    """Draw the colours of a label map over an image."""
    labels = pixels.data[0].cpu().numpy()
    return _enlarge(_blend(image, np.array(palette)[labels]))


def _draw_rows(
    rows: Mapping[str, Sequence[np.ndarray]],
    colours: Mapping[str, tuple[int, int, int]],
    title: str,
    path: str | Path,
) -> None:
    """Draw rows of images with a legend of categories."""
    columns = len(next(iter(rows.values())))
    size = (2.4 * columns, 2.4 * len(rows) + 0.9)
    figure = Figure(figsize=size, layout='constrained')
    figure.suptitle(title)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, pictures) in zip(axes, rows.items()):
        line[0].set_ylabel(name, fontsize=12)
        for axis, picture in zip(line, pictures):
            axis.imshow(picture)
            axis.set(xticks=(), yticks=())
            axis.spines[:].set_visible(False)
    handles = [
        Patch(color=tuple(np.array(colour) / 255), label=name)
        for name, colour in colours.items()
    ]
    figure.legend(
        handles=handles,
        loc='outside lower center',
        ncols=(len(handles) + 1) // 2,
        frameon=False,
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def _enlarge(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(
        picture, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_NEAREST
    )


def _blend(pixels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return ((1 - _OPACITY) * pixels + _OPACITY * colours).astype(np.uint8)
