"""Feature mimicry: the student's embedding shall be the teacher's."""

import torch

from mmlgd.models.losses import mimicry_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range

from .base import BaseDistiller


@MODELS.register_module()
class FeatureMimicry(BaseDistiller):
    """Distillation by the squared error between unit embeddings.

    The simplest method, and a strong one: no bank, no queue, nothing between
    ranks.

    Args:
        teacher (dict | nn.Module): Config of a teacher, or one.
        backbone (dict): Config of an mmpretrain backbone, the student.
        loss_weight (float): Of the squared error averaged over all B D elements,
            above 0. Summed over D and averaged over the batch, it is
            ``loss_weight / D`` times ``|s - t|^2``, or ``2 loss_weight / D`` times
            ``1 - cos(s, t)``: about 3.9 for D = 1024. Defaults to 2000.
        **kwargs: The other options of :class:`BaseDistiller`.

    Raises:
        ConfigError: An option is out of range; see also :class:`BaseDistiller`.

    Source: CLIP-KD, arXiv 2307.12732, feature distillation (FD) of the images,
    with its weight.
    """

    learns_from_store = True

    def __init__(
        self, teacher: dict, backbone: dict, loss_weight: float = 2000.0, **kwargs
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        name = 'FeatureMimicry.loss_weight'
        check_in_range(name, loss_weight, 0, float('inf'), low_open=True)
        super().__init__(teacher, backbone, **kwargs)
        self.loss_weight = loss_weight

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """The loss of one batch.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: no label takes part.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_mimicry``, weighted, a scalar.
        """
        teacher = self.targets(inputs, teacher_embeddings)
        loss = mimicry_loss(self.embed(inputs), teacher)
        return dict(loss_mimicry=self.loss_weight * loss)
