"""Exact nearest neighbours of every row among the others."""

import torch
import torch.nn.functional as F

from mmlgd.errors import ConfigError, DataError
from mmlgd.utils.progress import track

# Rows that the float32 product may rank wrongly are ranked again in float64: this many
# more than requested, or all rows within the band if more are that close.
_SPARE = 8
_BAND = 1e-5


@torch.no_grad()
def nearest_neighbours(
    features: torch.Tensor, k: int, chunk_bytes: int = 2**29
) -> torch.Tensor:
    """The k rows most similar to each row, excluding the row itself.

    Similarity is the cosine, which ranks unit rows like the Euclidean distance.
    Candidates come from float32 products, their order from float64 sums. Equally
    near rows, such as copies of one image, are ordered by index, so the result
    depends neither on the chunks nor on the device.

    Args:
        features (torch.Tensor): (N, D) float, rows of any length but zero.
        k (int): Neighbours, in [1, N - 1].
        chunk_bytes (int): Memory limit of one chunk of rows (similarities to all N rows
            and candidates). A chunk has at least one row. Defaults to 512 MiB.

    Returns:
        torch.Tensor: (N, k) int32 on the CPU, nearest first.

    Raises:
        ConfigError: ``k`` is out of range.
        DataError: ``features`` is not a matrix, or has a row that is zero or not
            finite.

    Source: the bags of arXiv 2107.01691, section 3.2.
    """
    check_neighbour_count(k, len(features))
    _check(features)
    # Avoids overflow of the norms; _rank corrects the float32 rounding of the norm.
    features = F.normalize(features.float(), dim=1)
    size = len(features)
    # Per row: the products and their copy in top-k; per candidate: the float32 row, the
    # float64 row and their product.
    row_bytes = 8 * size + 20 * (k + _SPARE) * features.shape[1]
    rows = max(1, chunk_bytes // row_bytes)
    chunks = [
        _neighbours_of(features, start, min(start + rows, size), k)
        for start in track(range(0, size, rows), 'Finding neighbours')
    ]
    return torch.cat(chunks)


def _neighbours_of(
    features: torch.Tensor, start: int, end: int, k: int
) -> torch.Tensor:
    """Neighbours of the rows from ``start`` to ``end``."""
    similarities = features[start:end] @ features.T
    own = torch.arange(start, end, device=features.device)
    similarities[own - start, own] = -torch.inf
    spare = min(k + _SPARE, len(features) - 1)
    best, candidates = similarities.topk(spare, dim=1)
    found = _rank(features, own, candidates, k)
    if spare < len(features) - 1:
        # A row that is not a candidate may be as near as the k-th.
        crowded = best[:, -1] >= best[:, k - 1] - _BAND
        for row in crowded.nonzero().flatten().tolist():
            near = similarities[row] >= best[row, k - 1] - _BAND
            near = near.nonzero().flatten()[None]
            found[row] = _rank(features, own[row : row + 1], near, k)[0]
    return found.to('cpu', torch.int32)


def _rank(
    features: torch.Tensor, own: torch.Tensor, candidates: torch.Tensor, k: int
) -> torch.Tensor:
    """The k nearest of the candidates (R, M) of each row, in float64."""
    # Ascending, so that the stable order below puts lower indices first.
    candidates = candidates.sort(dim=1).values
    rows = features[candidates].double()
    # Not a matrix product: its sums of equal rows may differ in the last bit. The norm
    # of the row itself scales all its cosines equally, so it is omitted.
    exact = (features[own, None].double() * rows).sum(dim=2) / rows.norm(dim=2)
    order = exact.argsort(dim=1, descending=True, stable=True)
    return candidates.gather(1, order[:, :k])


def check_neighbour_count(k: int, num_images: int) -> None:
    """Refuse a number of neighbours that so many images do not have.

    Args:
        k (int): Neighbours of each image.
        num_images (int): N.

    Raises:
        ConfigError: ``k`` is not in [1, N - 1].
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < num_images:
        raise ConfigError(
            f'k is {k!r}, but must be a whole number from 1 to one less than the '
            f'{num_images} images.'
        )


def _check(features: torch.Tensor) -> None:
    if features.ndim != 2:
        raise DataError(
            f'features of shape {tuple(features.shape)} have no neighbours: give a '
            'matrix (images, width).'
        )
    usable = features.isfinite().all(dim=1) & (features != 0).any(dim=1)
    if not usable.all():
        first = int((~usable).nonzero()[0])
        raise DataError(
            f'{int((~usable).sum())} of {len(features)} features are zero or not '
            f'finite, first that of image {first}: the weights of the teacher, or the '
            'images, are broken.'
        )
