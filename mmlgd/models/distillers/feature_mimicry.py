"""Feature mimicry: regression of the teacher's embeddings."""

import torch

from mmlgd.models.losses import mimicry_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range

from .base import BaseDistiller


@MODELS.register_module()
class FeatureMimicry(BaseDistiller):
    """Distillation by the squared error between unit embeddings.

    A simple and strong baseline, without bank, queue or communication between ranks.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        loss_weight (float): Weight of the squared error averaged over all B D elements,
            above 0. Summed over D and averaged over the batch, the loss is
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
        """Compute the loss of a batch.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_mimicry``, weighted, a scalar.
        """
        teacher = self.targets(inputs, teacher_embeddings)
        loss = mimicry_loss(self.embed(inputs), teacher)
        return dict(loss_mimicry=self.loss_weight * loss)
