"""Linear classifiers on precomputed features.

A probe with augmentation runs the backbone in every step: train a config of
configs/classification/ for it.
"""

import math
from collections.abc import Sequence

import torch
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.progress import track

from .classes import check_label_range

_MOMENTUM = 0.9
# Logits computed at once in a prediction: 64 MB.
_MAX_LOGITS = 2**24


@torch.no_grad()
def fit_linear_probes(
    features: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    lrs: Sequence[float],
    epochs: int = 100,
    batch_size: int = 256,
    seed: int = 0,
) -> torch.Tensor:
    """Train one linear classifier for each learning rate, in parallel.

    Softmax cross-entropy, SGD with momentum 0.9 and without weight decay, and a cosine
    learning rate schedule to zero, stepped per epoch. All classifiers see the same
    batches and start from the same weights, of standard deviation 0.01, and zero biases.

    Args:
        features (torch.Tensor): (N, h) float32.
        labels (torch.Tensor): Their classes (N,), int64, below ``num_classes``.
        num_classes (int): C.
        lrs (Sequence[float]): R learning rates for a batch size of 256; they are scaled
            linearly to the actual batch size.
        epochs (int): Passes over the features. Defaults to 100.
        batch_size (int): Rows in a step, at most N. Defaults to 256.
        seed (int): Seed of the initial weights and of the order. Defaults to 0.

    Returns:
        torch.Tensor: Weights (R, C, h + 1) float32 for :func:`predict`; the last column
        is the bias.

    Raises:
        DataError: Labels do not match, or a feature is not finite.

    Source: the linear evaluation of He et al., arXiv 1911.05722, section 4.1, as used by
    arXiv 2406.11689 with a learning rate of 30 and 100 epochs. Here the learning rate is
    an argument, since it depends on the scale of the features.
    """
    _check(features, labels, num_classes)
    generator = torch.Generator().manual_seed(seed)
    width, batch_size = features.shape[1] + 1, min(batch_size, len(features))
    initial = 0.01 * torch.randn(num_classes, width, generator=generator)
    initial[:, -1] = 0
    # (R * C, h + 1): all classifiers in one product, which takes little longer than one.
    weights = initial.to(features).repeat(len(lrs), 1)
    velocity = torch.zeros_like(weights)
    peak_lr = features.new_tensor(lrs).repeat_interleave(num_classes)[:, None]
    peak_lr *= batch_size / 256
    for epoch in track(range(epochs), 'Fitting linear probes'):
        lr = peak_lr * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        order = torch.randperm(len(features), generator=generator)
        for batch in order.to(features.device).split(batch_size):
            rows = _with_ones(features[batch])
            logits = (rows @ weights.T).unflatten(1, (-1, num_classes))
            # d loss / d logits = (softmax - target) / batch. One-hot targets of all
            # images would need 4 N C bytes, 5 GB for ImageNet.
            errors = logits.softmax(dim=2)
            errors[torch.arange(len(rows), device=rows.device), :, labels[batch]] -= 1
            velocity.mul_(_MOMENTUM).addmm_(
                errors.flatten(1).T, rows, alpha=1 / len(rows)
            )
            weights -= lr * velocity
    return weights.unflatten(0, (-1, num_classes))


def choose_lr(
    features: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    lrs: Sequence[float],
    folds: int = 4,
    **options: int,
) -> float:
    """Choose the learning rate of a linear probe by cross-validation.

    Only the labelled images are used. The images of each class are distributed evenly
    over the folds, and each fold is held out once, so a class with two or more images is
    always in the training part. The only image of a class is never held out.

    Args:
        features (torch.Tensor): (N, h) float32.
        labels (torch.Tensor): Their classes (N,), int64.
        num_classes (int): C.
        lrs (Sequence[float]): Candidates; of equally good ones, the first is chosen.
        folds (int): At least 2, and limited to the images of the largest class.
            Defaults to 4.
        **options: ``epochs``, ``batch_size`` and ``seed`` of
            :func:`fit_linear_probes`.

    Raises:
        ConfigError: There are no learning rates, or fewer than two folds.
        DataError: No class has two images, or training diverges at every learning rate.
    """
    if not lrs or folds < 2:
        raise ConfigError(
            'cross-validation needs learning rates and at least 2 folds, but got '
            f'{list(lrs)} and {folds}.'
        )
    fold_of = assign_folds(labels, folds)
    correct = torch.zeros(len(lrs), dtype=torch.int64)
    diverged = torch.zeros(len(lrs), dtype=torch.bool)
    for fold in range(int(fold_of.max()) + 1):
        held_out = fold_of == fold
        kept = ~held_out
        weights = fit_linear_probes(
            features[kept], labels[kept], num_classes, lrs, **options
        )
        predicted = predict(weights, features[held_out])
        correct += (predicted == labels[held_out]).sum(dim=1).cpu()
        diverged |= (predicted < 0).any(dim=1).cpu()
    if diverged.all():
        raise DataError(
            f'the linear probe diverged at all learning rates {list(lrs)}: scale the '
            'features, or use lower learning rates.'
        )
    return lrs[int(correct.masked_fill(diverged, -1).argmax())]


def assign_folds(labels: torch.Tensor, folds: int) -> torch.Tensor:
    """Distribute the images of each class evenly over the folds.

    Call it before a long run whose labels are used for a probe afterwards: it raises if
    no learning rate could be chosen.

    Args:
        labels (torch.Tensor): Classes (N,), int64, not negative.
        folds (int): Largest number of folds.

    Returns:
        torch.Tensor: Fold (N,) int64 of each image, from 0; -1 for the only image of a
        class.

    Raises:
        DataError: No class has two images.
    """
    counts = torch.bincount(labels)
    alone = int((counts == 1).sum())
    if counts.max() < 2:
        raise DataError(
            f'each of the {alone} classes has one labelled image, so none can be held out '
            'to choose a learning rate: label more images, or give a single rate.'
        )
    if alone:
        print_log(
            f'{alone} of {int((counts > 0).sum())} classes have one labelled image, '
            'which is used for training, but not for choosing the learning rate.',
            'current',
        )
    order = labels.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    position = torch.empty_like(labels)
    position[order] = (
        torch.arange(len(labels), device=labels.device) - starts[labels[order]]
    )
    return (position % folds).masked_fill(counts[labels] == 1, -1)


@torch.no_grad()
def predict(weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Predict classes with linear classifiers; of equal logits, the lower index wins.

    Args:
        weights (torch.Tensor): (R, C, h + 1) of :func:`fit_linear_probes`.
        features (torch.Tensor): (N, h).

    Returns:
        torch.Tensor: (R, N) int64; -1 for a classifier whose training diverged.
    """
    found = [
        (_with_ones(rows) @ weights.mT).argmax(dim=2)
        for rows in features.split(max(1, _MAX_LOGITS // weights[..., 0].numel()))
    ]
    finite = weights.flatten(1).isfinite().all(dim=1)
    return torch.cat(found, dim=1).masked_fill(~finite[:, None], -1)


def _check(features: torch.Tensor, labels: torch.Tensor, num_classes: int) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise DataError(
            f'features of shape {tuple(features.shape)} and labels of shape '
            f'{tuple(labels.shape)} must be (N, width) and (N,), with at least one image.'
        )
    check_label_range(labels, num_classes, 'the labelled set')
    if not features.isfinite().all():
        raise DataError(
            'features contain values that are not finite: the weights of the backbone, or '
            'the images, are broken.'
        )


def _with_ones(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)
