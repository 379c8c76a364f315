"""Linear maps between two embedding spaces, fitted in closed form from batches."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmlgd.errors import ConfigError, DataError, TeacherError
from mmlgd.utils.checks import check_in_range


class LinearMap(NamedTuple):
    """y = W x + b.

    Attributes:
        weight (Tensor): W, (D, C), as in ``torch.nn.Linear``.
        bias (Tensor): b, (D,).
    """

    weight: Tensor
    bias: Tensor


class RidgeAlignment:
    """Ridge regression with a bias, from features to target embeddings.

    Minimises sum_i |W x_i + b - y_i|^2 + lambda |W|^2 over W and b; the bias is not
    penalised. Only the number of images and the sums of x, y, x x^T and x y^T are kept,
    in float64. The memory of 8 C (C + D) bytes does not grow with the number of images.

    lambda is set by a strength relative to the mean eigenvalue of the features' scatter
    matrix S = sum_i (x_i - mean) (x_i - mean)^T: lambda = strength * trace(S) / C. The
    strength thus depends neither on the scale of the features nor on the number of
    images.

    Args:
        in_dims (int): C, width of the features.
        out_dims (int): D, width of the targets.
        device (str | torch.device): Device of the sums. Defaults to 'cpu'.

    Source: Hoerl and Kennard, "Ridge Regression", Technometrics 12 (1970).
    """

    def __init__(
        self, in_dims: int, out_dims: int, device: str | torch.device = 'cpu'
    ) -> None:
        self.in_dims, self.out_dims = in_dims, out_dims
        # [x, 1]^T [x, y, 1] contains all sums: one tensor to reduce over ranks.
        self._moments = torch.zeros(
            in_dims + 1, in_dims + out_dims + 1, dtype=torch.float64, device=device
        )

    @property
    def num_images(self) -> int:
        """Number of images added."""
        return int(self._moments[-1, -1])

    @torch.no_grad()
    def update(self, features: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            features (Tensor): x, (B, C).
            targets (Tensor): y, (B, D).

        Raises:
            TeacherError: The widths differ, or values are not finite.
        """
        check_pair(features, targets, self.in_dims, self.out_dims)
        ones = features.new_ones(len(features), 1, dtype=torch.float64)
        inputs, outputs = features.double(), targets.double()
        left = torch.cat([inputs, ones], dim=1)
        self._moments += left.T @ torch.cat([inputs, outputs, ones], dim=1)

    def reduce(self) -> None:
        """Sum over ranks; to be called once, after the last batch."""
        all_reduce(self._moments)

    def solve(self, strengths: Sequence[float]) -> list[LinearMap]:
        """Solve for several strengths at the cost of one eigendecomposition.

        Args:
            strengths (Sequence[float]): Relative strengths, not negative.

        Returns:
            list[LinearMap]: float64, one per strength.

        Raises:
            ConfigError: ``strengths`` is empty or has a negative one; or one is 0 and the
                rank of the features is below C, so that the solution is not unique.
            DataError: There are no images, or all have the same features.
        """
        check_strengths(strengths)
        scatter, cross, mean_in, mean_out = self._centred()
        values, vectors = torch.linalg.eigh(scatter)
        scale = values.mean()
        noise = torch.finfo(torch.float64).eps * self.in_dims * self._power()
        rank = int((values > noise).sum())
        if min(strengths) == 0 and rank < self.in_dims:
            raise ConfigError(
                f'The features of {self.num_images} images span {rank} of '
                f'{self.in_dims} dimensions, so strength 0 (no regularisation) has no '
                'unique solution. Use only strengths above 0, or more images.'
            )
        rotated = vectors.T @ cross
        maps = []
        for strength in strengths:
            denominators = values.clamp(min=0) + strength * scale
            weight = (vectors @ (rotated / denominators[:, None])).T
            maps.append(LinearMap(weight, mean_out - weight @ mean_in))
        return maps

    def constant(self) -> LinearMap:
        """The map to the mean target for every image, as a baseline."""
        mean_out = self._centred()[3]
        return LinearMap(mean_out.new_zeros(self.out_dims, self.in_dims), mean_out)

    def _power(self) -> Tensor:
        """Sum of |x|^2: rounding errors are relative to it, not to the scatter."""
        return self._moments[:-1, : self.in_dims].diagonal().sum()

    def _centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scatter (C, C) and cross scatter (C, D), means of x (C,) and of y (D,)."""
        number = self._moments[-1, -1]
        if not number:
            raise DataError(
                'The dataset has no image to fit a projection to. Check data_root.'
            )
        sums, means = self._moments[:-1, :-1], self._moments[-1, :-1] / number
        mean_in, mean_out = means[: self.in_dims], means[self.in_dims :]
        centred = sums - number * torch.outer(mean_in, means)
        scatter, cross = centred[:, : self.in_dims], centred[:, self.in_dims :]
        # Rounding errors of constant features are not variance.
        if scatter.diagonal().sum() <= 1e-12 * self._power():
            raise DataError(
                f'All {self.num_images} images have the same features, so nothing can '
                "be fitted. Check the images and the teacher's checkpoint."
            )
        return (scatter + scatter.T) / 2, cross, mean_in, mean_out


def check_strengths(strengths: Sequence[float]) -> None:
    """Check strengths before images are loaded.

    Raises:
        ConfigError: The list is empty, or a strength is negative or not a number.
    """
    if not isinstance(strengths, (list, tuple)) or not strengths:
        raise ConfigError(
            f'strengths must be a list of at least one number, not {strengths!r}; set '
            'it in alignment of the config.'
        )
    for strength in strengths:
        check_in_range('strengths', strength, 0, math.inf)


def check_pair(features: Tensor, targets: Tensor, in_dims: int, out_dims: int) -> None:
    """Check a batch of features and targets.

    Raises:
        TeacherError: Features are not (B, C), targets are not (B, D), or values are not
            finite.
    """
    shapes = tuple(features.shape), tuple(targets.shape)
    if shapes != ((len(features), in_dims), (len(features), out_dims)):
        raise TeacherError(
            f'Features and targets are {shapes[0]} and {shapes[1]}, but must be '
            f'(B, {in_dims}) and (B, {out_dims}), of the same B images.'
        )
    for name, rows in (('teacher', features), ('target', targets)):
        broken = int((~rows.isfinite()).any(dim=1).sum())
        if broken:
            raise TeacherError(
                f'The {name} returns values that are not finite for {broken} of '
                f"{len(rows)} images of a batch. Set precision='fp32' of the {name}; "
                'if this does not help, its checkpoint is broken.'
            )
