"""The learning-rate schedule of the authors' training code."""

import math

# mmengine exports the base class of its schedulers under this name.
from mmengine.optim import _ParamScheduler

from mmlgd.errors import ConfigError
from mmlgd.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class EpochCosineLR(_ParamScheduler):
    r"""Linear warm-up, then a cosine over *all* epochs; constant within an epoch.

    With the peak learning rate :math:`r`, :math:`w` warm-up epochs from :math:`f r`,
    and :math:`E` epochs in total, epoch :math:`e` (from 0) is trained at

    .. math::
        r \, (f + (1 - f) \, e / w) \quad (e < w), \qquad
        \frac{r}{2} \left(1 + \cos \frac{\pi e}{E}\right) \quad (e \ge w)

    so the warm-up ends one step below the peak, and the cosine is already below the
    peak in its first epoch. Chaining mmengine's ``LinearLR`` and ``CosineAnnealingLR``
    is not equivalent: there, the cosine starts after the warm-up.

    Args:
        optimizer (Optimizer | OptimWrapper): Its parameter groups are scheduled.
        max_epochs (int): E.
        warmup_epochs (int): w, at least 0 and below E. Defaults to 5.
        start_factor (float): f, in (0, 1]. Defaults to 0.125: from 0.03 to 0.24.
        **kwargs: Options of mmengine's parameter schedulers (``begin``, ``end``,
            ``last_step``, ``verbose``). ``by_epoch=False`` is refused.

    Raises:
        ConfigError: An option is out of range.

    Source: the published schedule (warm-up of 5 epochs from 0.03; cosine over all
    epochs; set once per epoch), arXiv 2406.11689 and its code.
    """

    def __init__(
        self,
        optimizer: object,
        max_epochs: int,
        warmup_epochs: int = 5,
        start_factor: float = 0.125,
        **kwargs: object,
    ) -> None:
        if not 0 <= warmup_epochs < max_epochs or not 0 < start_factor <= 1:
            raise ConfigError(
                f'EpochCosineLR needs 0 <= warmup_epochs < max_epochs and a start_factor '
                f'in (0, 1], but got {warmup_epochs}, {max_epochs} and {start_factor}; '
                'correct param_scheduler in the config.'
            )
        if not kwargs.get('by_epoch', True):
            raise ConfigError(
                'EpochCosineLR sets the rate once per epoch; remove by_epoch=False from '
                'param_scheduler, or use LinearLR and CosineAnnealingLR.'
            )
        self.max_epochs = max_epochs
        self.warmup_epochs = warmup_epochs
        self.start_factor = start_factor
        super().__init__(optimizer, 'lr', **kwargs)

    def _get_value(self) -> list[float]:
        epoch = self.last_step
        if epoch < self.warmup_epochs:
            rise = (1 - self.start_factor) * epoch / self.warmup_epochs
            factor = self.start_factor + rise
        else:
            # A longer run keeps the last value of the cosine.
            factor = 0.5 * (1 + math.cos(math.pi * min(epoch / self.max_epochs, 1)))
        return [factor * base for base in self.base_values]
