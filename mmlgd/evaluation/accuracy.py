"""Accuracies of predicted classes: over images, per class and per group of classes.

All are in percent. Equal scores are ranked by index, the lower one first, as in
``torch.argmax``.
"""

from collections.abc import Mapping, Sequence

import torch


def label_ranks(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Number of names that rank before the correct one.

    Args:
        scores (torch.Tensor): (B, C).
        labels (torch.Tensor): Correct indices (B,), int64, in [0, C).

    Returns:
        torch.Tensor: (B,) int64; 0 if the correct name ranks first.
    """
    own = scores.gather(1, labels[:, None])
    indices = torch.arange(scores.shape[1], device=scores.device)
    before = (scores > own) | ((scores == own) & (indices < labels[:, None]))
    return before.sum(dim=1)


def class_recalls(
    labels: torch.Tensor, hits: torch.Tensor, num_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Accuracy of each class.

    Args:
        labels (torch.Tensor): Correct classes (N,), int64.
        hits (torch.Tensor): Whether each image was classified correctly (N,), bool.
        num_classes (int): C.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Recalls (C,) float64 in percent, NaN for
        classes without images; and the number of images of each class (C,) int64.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    right = torch.bincount(labels[hits], minlength=num_classes)
    return 100 * right.double() / counts, counts


def mean_recall(recalls: torch.Tensor, classes: Sequence[int] | None = None) -> float:
    """Class-balanced accuracy: the mean of the recalls of classes with images.

    Args:
        recalls (torch.Tensor): (C,) of :func:`class_recalls`.
        classes (Sequence[int], optional): Classes to average over. Defaults to None:
            all classes.

    Returns:
        float: In percent; NaN if none of the classes has images.
    """
    return float((recalls if classes is None else recalls[list(classes)]).nanmean())


def summarize(
    labels: torch.Tensor, hits: torch.Tensor, num_classes: int
) -> dict[str, float]:
    """Accuracy and class-balanced accuracy, in percent with two decimals.

    Args:
        labels (torch.Tensor): Correct classes (N,), int64.
        hits (torch.Tensor): Whether each image was classified correctly (N,), bool.
        num_classes (int): C.

    Returns:
        dict[str, float]: ``top1`` and ``balanced``.
    """
    recalls, _ = class_recalls(labels, hits, num_classes)
    return dict(
        top1=round(100 * hits.double().mean().item(), 2),
        balanced=round(mean_recall(recalls), 2),
    )


def worst_classes(
    recalls: Mapping[str, float | None], number: int = 5
) -> list[tuple[str, float]]:
    """Classes with the lowest recalls, in ascending order.

    A recall of None (a class without images) is skipped.
    """
    found = [(name, value) for name, value in recalls.items() if value is not None]
    return sorted(found, key=lambda item: item[1])[:number]
