"""Evaluation of linear maps between two embedding spaces on held-out images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from mmlgd.errors import DataError

from .alignment import LinearMap, check_pair


class CosineMeter:
    """Mean cosine between the targets and the mapped features, for several maps.

    Args:
        maps (Sequence[LinearMap]): G maps, compared in their own precision.
    """

    def __init__(self, maps: Sequence[LinearMap]) -> None:
        self.maps = list(maps)
        bias = self.maps[0].bias
        self._sums = bias.new_zeros(len(self.maps) + 1, dtype=torch.float64)

    @property
    def num_images(self) -> int:
        """Number of images added."""
        return int(self._sums[-1])

    @torch.no_grad()
    def update(self, features: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            features (Tensor): (B, C).
            targets (Tensor): (B, D), unit rows or not.

        Raises:
            TeacherError: The widths differ, or values are not finite.
        """
        out_dims, in_dims = self.maps[0].weight.shape
        check_pair(features, targets, in_dims, out_dims)
        for index, (weight, bias) in enumerate(self.maps):
            rows = F.linear(features.to(weight.dtype), weight, bias)
            cosines = F.cosine_similarity(rows, targets.to(rows.dtype), dim=1)
            self._sums[index] += cosines.double().sum()
        self._sums[-1] += len(features)

    def reduce(self) -> None:
        """Sum over ranks; to be called once, after the last batch."""
        all_reduce(self._sums)

    def means(self) -> list[float]:
        """Mean cosine of each map, in [-1, 1].

        Raises:
            DataError: There are no images.
        """
        if not self.num_images:
            raise DataError('The dataset has no held-out image. Hold out more images.')
        return (self._sums[:-1] / self._sums[-1]).tolist()
