"""Linear classifiers on frozen features that were computed once.

For a probe with augmentation, which needs the backbone at every step, train a config
of configs/classification/ instead.
"""

import math
from collections.abc import Sequence

import torch
from mmengine.logging import print_log

from mmlgd.errors import ConfigError, DataError

from .classes import check_label_range

_MOMENTUM = 0.9
# Logits held at once when predicting: 64 MB.
_MAX_LOGITS = 2**24


@torch.no_grad()
def fit_linear_probes(
    features: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    rates: Sequence[float],
    epochs: int = 100,
    batch_size: int = 256,
    seed: int = 0,
) -> torch.Tensor:
    """Train one linear classifier for each learning rate, side by side.

    Softmax cross-entropy, SGD with momentum 0.9 and no weight decay, rates that fall
    to zero along a cosine, epoch by epoch. All see the same batches and start from
    the same weights, of standard deviation 0.01, and from biases of zero.

    Args:
        features (torch.Tensor): (N, h) float32.
        labels (torch.Tensor): Their classes (N,), int64, below ``num_classes``.
        num_classes (int): C.
        rates (Sequence[float]): R learning rates at a batch of 256; scaled in
            proportion to the batch that is used.
        epochs (int): Passes over the features. Defaults to 100.
        batch_size (int): Rows a step; all N where there are fewer. Defaults to 256.
        seed (int): Of the start and of the order. Defaults to 0.

    Returns:
        torch.Tensor: Weights (R, C, h + 1) float32, the bias last; for
        :func:`predict`.

    Raises:
        DataError: Labels do not fit, or a feature is not finite.

    Source: the linear evaluation of He et al., arXiv 1911.05722, section 4.1, which
    arXiv 2406.11689 takes over: a rate of 30, 100 epochs. The rate is left open here,
    since it suits the scale of one backbone's features.
    """
    _check(features, labels, num_classes)
    generator = torch.Generator().manual_seed(seed)
    width, batch_size = features.shape[1] + 1, min(batch_size, len(features))
    start = 0.01 * torch.randn(num_classes, width, generator=generator)
    start[:, -1] = 0
    # (R * C, h + 1): all classifiers in one product, which takes little longer than
    # one of them.
    weights = start.to(features).repeat(len(rates), 1)
    velocity = torch.zeros_like(weights)
    full = features.new_tensor(rates).repeat_interleave(num_classes)[:, None]
    full *= batch_size / 256
    for epoch in range(epochs):
        rate = full * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        order = torch.randperm(len(features), generator=generator)
        for batch in order.to(features.device).split(batch_size):
            rows = _with_ones(features[batch])
            logits = (rows @ weights.T).unflatten(1, (-1, num_classes))
            # d loss / d logits = (softmax - target) / batch. A one-hot target of all
            # images would take 4 N C bytes, 5 GB for ImageNet.
            errors = logits.softmax(dim=2)
            errors[torch.arange(len(rows), device=rows.device), :, labels[batch]] -= 1
            velocity.mul_(_MOMENTUM).addmm_(
                errors.flatten(1).T, rows, alpha=1 / len(rows)
            )
            weights -= rate * velocity
    return weights.unflatten(0, (-1, num_classes))


def choose_rate(
    features: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    rates: Sequence[float],
    folds: int = 4,
    **options: int,
) -> float:
    """Choose the learning rate of a linear probe by cross-validation.

    Only the labelled images themselves are used. The images of every class are dealt
    out to the folds in turn, and each fold is held out once, so that a class of at
    least two images is always in the training part. The only image of a class is never
    held out and judges nothing.

    Args:
        features (torch.Tensor): (N, h) float32.
        labels (torch.Tensor): Their classes (N,), int64.
        num_classes (int): C.
        rates (Sequence[float]): To choose from; of equally good ones the first.
        folds (int): At least 2; no more are made than the largest class has images.
            Defaults to 4.
        **options: ``epochs``, ``batch_size`` and ``seed`` of
            :func:`fit_linear_probes`.

    Raises:
        ConfigError: There are no rates, or fewer than two folds.
        DataError: No class has two images; or training diverges at every rate.
    """
    if not rates or folds < 2:
        raise ConfigError(
            'cross-validation takes learning rates and at least 2 folds, not '
            f'{list(rates)} and {folds}.'
        )
    fold_of = assign_folds(labels, folds)
    correct = torch.zeros(len(rates), dtype=torch.int64)
    diverged = torch.zeros(len(rates), dtype=torch.bool)
    for fold in range(int(fold_of.max()) + 1):
        held_out = fold_of == fold
        kept = ~held_out
        weights = fit_linear_probes(
            features[kept], labels[kept], num_classes, rates, **options
        )
        predicted = predict(weights, features[held_out])
        correct += (predicted == labels[held_out]).sum(dim=1).cpu()
        diverged |= (predicted < 0).any(dim=1).cpu()
    if diverged.all():
        raise DataError(
            f'the linear probe diverged at all learning rates {list(rates)}: scale the '
            'features, or give smaller rates.'
        )
    return rates[int(correct.masked_fill(diverged, -1).argmax())]


def assign_folds(labels: torch.Tensor, folds: int) -> torch.Tensor:
    """Deal out the images of every class to the folds in turn.

    To be called before a long run whose labels are to be probed after it, too: it
    raises where no learning rate could be chosen.

    Args:
        labels (torch.Tensor): Classes (N,), int64, not negative.
        folds (int): The most folds.

    Returns:
        torch.Tensor: Fold (N,) int64 of each image, from 0; -1 for the only image of a
        class, which is in no fold.

    Raises:
        DataError: No class has two images.
    """
    counts = torch.bincount(labels)
    alone = int((counts == 1).sum())
    if counts.max() < 2:
        raise DataError(
            f'each of the {alone} classes has one labelled image, so that none can be '
            'held out to choose a learning rate: label more images, or give one rate.'
        )
    if alone:
        print_log(
            f'{alone} of {int((counts > 0).sum())} classes have one labelled image, '
            'which is used for training but not for choosing the learning rate.',
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
    """Classes that linear classifiers choose; of equal logits the lower index.

    Args:
        weights (torch.Tensor): (R, C, h + 1) of :func:`fit_linear_probes`.
        features (torch.Tensor): (N, h).

    Returns:
        torch.Tensor: (R, N) int64; -1 from a classifier whose training diverged.
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
            f'{tuple(labels.shape)} must be (N, width) and (N,) of at least one image.'
        )
    check_label_range(labels, num_classes, 'the labelled set')
    if not features.isfinite().all():
        raise DataError(
            'features hold values that are not finite: the weights of the backbone, or '
            'the images, are broken.'
        )


def _with_ones(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)
