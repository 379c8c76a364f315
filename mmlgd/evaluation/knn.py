"""Weighted k-nearest-neighbour classification of frozen features."""

import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError, DataError

from .classes import check_label_range


@torch.no_grad()
def weighted_knn(
    queries: torch.Tensor,
    bank: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk_size: int = 256,
) -> torch.Tensor:
    """Classify each query by a vote of the k most similar labelled images.

    Similarity is the cosine, and a vote has the weight exp(similarity / temperature).
    The weights of each query are normalised to the sum 1, which changes no ranking and
    avoids overflow.

    Args:
        queries (torch.Tensor): Features (Q, h), float, rows of any length.
        bank (torch.Tensor): Features (N, h) of the labelled images, on the device
            of ``queries``.
        labels (torch.Tensor): Their classes (N,), int64, below ``num_classes``.
        num_classes (int): C.
        k (int): Number of neighbours, at most N. Ties for the last one are broken
            arbitrarily. Defaults to 20.
        temperature (float): Above 0. Defaults to 0.07.
        chunk_size (int): Queries compared at once. This needs ``chunk_size`` x N x 4
            bytes, 1.3 GB for ImageNet. Defaults to 256.

    Returns:
        torch.Tensor: Scores (Q, C) float32; each row sums to 1.

    Raises:
        ConfigError: ``k`` or ``temperature`` is out of range.
        DataError: Shapes or labels do not match, or a feature is not finite.

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", section 3.4, arXiv 1805.01978; k = 20 as in Caron et al.,
    arXiv 2104.14294.
    """
    _check_options(k, temperature, len(bank))
    _check_features(queries, bank, labels, num_classes)
    bank = F.normalize(bank.float(), dim=1)
    scores = queries.new_zeros(len(queries), num_classes, dtype=torch.float32)
    for rows, out in zip(queries.split(chunk_size), scores.split(chunk_size)):
        similarities = F.normalize(rows.float(), dim=1) @ bank.T
        nearest, indices = similarities.topk(k, dim=1)
        votes = (nearest / temperature).softmax(dim=1)
        out.scatter_add_(1, labels[indices], votes)
    return scores


def _check_options(k: int, temperature: float, num_bank: int) -> None:
    if not 1 <= k <= num_bank:
        raise ConfigError(
            f'k is {k}, but must be between 1 and the number of labelled images, '
            f'{num_bank}: use a smaller k, or more labelled images.'
        )
    if not temperature > 0:
        raise ConfigError(f'the temperature must be above 0, but is {temperature}.')


def _check_features(
    queries: torch.Tensor, bank: torch.Tensor, labels: torch.Tensor, num_classes: int
) -> None:
    if bank.ndim != 2 or queries.shape[1:] != bank.shape[1:]:
        raise DataError(
            f'features of queries {tuple(queries.shape)} and of labelled images '
            f'{tuple(bank.shape)} must both be (images, width), with the same width.'
        )
    if labels.shape != bank.shape[:1]:
        raise DataError(
            f'{len(bank)} labelled images have labels of shape {tuple(labels.shape)}: '
            'give one label per image.'
        )
    check_label_range(labels, num_classes, 'the labelled set')
    for name, features in (('queries', queries), ('labelled images', bank)):
        if not features.isfinite().all():
            raise DataError(
                f'features of the {name} contain values that are not finite: the '
                'weights of the backbone, or the images, are broken.'
            )
