"""Linear classifiers on frozen features that were computed once.

For a probe with augmentation, which needs the backbone at every step, train a config
of configs/classification/ instead.
"""

import math
from collections.abc import Sequence

import torch

from mmlgd.errors import ConfigError, DataError

_MOMENTUM = 0.9


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

    Source: the linear evaluation of He et al., arXiv 1911.05722, section 4.1, which
    arXiv 2406.11689 takes over: a rate of 30, 100 epochs. The rate is left open here,
    since it suits the scale of one backbone's features.
    """
    generator = torch.Generator().manual_seed(seed)
    features = _with_ones(features)
    width, batch_size = features.shape[1], min(batch_size, len(features))
    start = 0.01 * torch.randn(num_classes, width, generator=generator)
    start[:, -1] = 0
    # (R * C, h + 1): all classifiers in one product, which takes little longer than
    # one of them.
    weights = start.to(features).repeat(len(rates), 1)
    velocity = torch.zeros_like(weights)
    full = features.new_tensor(rates).repeat_interleave(num_classes)[:, None]
    full *= batch_size / 256
    targets = torch.eye(num_classes).to(features)[labels][:, None]
    for epoch in range(epochs):
        rate = full * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        order = torch.randperm(len(features), generator=generator)
        for batch in order.to(features.device).split(batch_size):
            rows = features[batch]
            logits = (rows @ weights.T).unflatten(1, (-1, num_classes))
            # d loss / d logits = (softmax - target) / batch
            errors = (logits.softmax(dim=2) - targets[batch]).flatten(1)
            velocity.mul_(_MOMENTUM).addmm_(errors.T, rows, alpha=1 / len(rows))
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

    Only the labelled images themselves are used: each fold, with every class in
    proportion, is held out once.

    Args:
        features (torch.Tensor): (N, h) float32.
        labels (torch.Tensor): Their classes (N,), int64.
        num_classes (int): C.
        rates (Sequence[float]): To choose from; of equally good ones the first.
        folds (int): At least 2, at most the images of the smallest class. Defaults
            to 4.
        **options: ``epochs``, ``batch_size`` and ``seed`` of
            :func:`fit_linear_probes`.

    Raises:
        ConfigError: There are no rates, or fewer than two folds.
        DataError: A class has fewer images than there are folds.
    """
    if not rates or folds < 2:
        raise ConfigError(
            'cross-validation takes learning rates and at least 2 folds, not '
            f'{list(rates)} and {folds}.'
        )
    fold_of = _folds(labels, folds)
    correct = torch.zeros(len(rates), dtype=torch.int64)
    for fold in range(folds):
        held_out = fold_of == fold
        kept = ~held_out
        weights = fit_linear_probes(
            features[kept], labels[kept], num_classes, rates, **options
        )
        hits = predict(weights, features[held_out]) == labels[held_out]
        correct += hits.sum(dim=1).cpu()
    return rates[int(correct.argmax())]


@torch.no_grad()
def predict(weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Classes that linear classifiers choose.

    Args:
        weights (torch.Tensor): (R, C, h + 1) of :func:`fit_linear_probes`.
        features (torch.Tensor): (N, h).

    Returns:
        torch.Tensor: (R, N) int64.
    """
    return (_with_ones(features) @ weights.mT).argmax(dim=2)


def _with_ones(features: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def _folds(labels: torch.Tensor, folds: int) -> torch.Tensor:
    """Fold (N,) of each image: every class is dealt out in turn."""
    fold_of = torch.empty_like(labels)
    for label in labels.unique():
        places = (labels == label).nonzero()[:, 0]
        if len(places) < folds:
            raise DataError(
                f'class {label} has {len(places)} labelled images, fewer than the '
                f'{folds} folds of the cross-validation: label more, or take fewer '
                'folds.'
            )
        fold_of[places] = torch.arange(len(places), device=labels.device) % folds
    return fold_of
