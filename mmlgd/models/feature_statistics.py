"""Fixed mean and standard deviation of a teacher's features."""

import torch
from torch import Tensor, nn

from mmlgd.errors import ConfigError, DataError

# A dimension that varies less than this share of the others has rounding errors only.
_SMALLEST_SHARE = 1e-3


class FeatureStatistics(nn.Module):
    """Standardises features or maps by a mean and a std for each dimension.

    Both are set once, before training, and are saved in checkpoints.

    Args:
        dims (int): D.

    Attributes:
        mean (torch.Tensor): (D,) float32.
        std (torch.Tensor): (D,) float32, without Bessel's correction; of a dimension
            that hardly varies it is raised to 0.001 times the root mean square of all.
        num_rows (torch.Tensor): Number of feature vectors they are computed from, int64
            scalar; 0 until :attr:`fitted`.
        fitted (bool): Whether mean and std are set.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.fitted = False
        self.register_buffer('mean', torch.zeros(dims))
        self.register_buffer('std', torch.ones(dims))
        self.register_buffer('num_rows', torch.zeros((), dtype=torch.int64))

    @staticmethod
    def moments(features: Tensor) -> Tensor:
        """Sums over the vectors of a batch, which can be added up.

        Args:
            features (Tensor): (B, D) or (B, D, h, w).

        Returns:
            Tensor: (3, D) float64: number of vectors, sum, sum of squares.
        """
        rows = features.double()
        if rows.dim() == 4:
            rows = rows.permute(0, 2, 3, 1).flatten(0, 2)
        number = rows.new_full((1, rows.shape[1]), len(rows))
        return torch.cat([number, rows.sum(0)[None], rows.square().sum(0)[None]])

    def fit(self, moments: Tensor, place: str) -> None:
        """Set mean and std.

        Args:
            moments (Tensor): (3, D) float64, the sum of :meth:`moments` of all batches.
            place (str): Name of the features, for the message.

        Raises:
            DataError: There are no features, all are equal, or some are not finite.
        """
        number, total, squares = moments
        count = int(number[0])
        if not count:
            raise DataError(
                f'The training set has no image to compute the mean of {place} from. '
                'Check data_root of train_dataloader.'
            )
        mean = total / count
        # Rounding may make it negative.
        variance = (squares / count - mean.square()).clamp(min=0)
        spread = variance.mean().sqrt()
        if not spread.isfinite():
            raise DataError(
                f'{place} are NaN or infinite for some images. Set precision="fp32" of '
                'that teacher, or copy its weight file again.'
            )
        if spread <= 1e-6 * (squares.mean() / count).sqrt():
            raise DataError(
                f'{place} are the same for all images, so there is nothing to learn from '
                "them. Check the images and that teacher's weights."
            )
        self.mean.copy_(mean)
        self.std.copy_(variance.sqrt().clamp(min=_SMALLEST_SHARE * spread))
        self.num_rows.fill_(count)
        self.fitted = True

    def forward(self, features: Tensor) -> Tensor:
        """Standardise features (B, D) or a map (B, D, h, w), in float32.

        Raises:
            ConfigError: Mean and std are not set.
        """
        if not self.fitted:
            raise ConfigError(
                'The mean and standard deviation of the features of further teachers are '
                "not set. Add dict(type='FeatureStatisticsHook') to custom_hooks, which "
                'computes them before the first iteration.'
            )
        shape = (-1, *(1,) * (features.dim() - 2))
        return (features.float() - self.mean.view(shape)) / self.std.view(shape)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.fitted = bool(self.num_rows)
