"""Relational distillation: similarities between images, as for the teacher."""

import torch

from mmlgd.errors import ConfigError
from mmlgd.models.losses import mimicry_loss, relational_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.gather import gather_rows

from .base import BaseDistiller


@MODELS.register_module()
class RelationalKD(BaseDistiller):
    """Distillation of the similarities between the images of a batch.

    The batch is gathered from all ranks, so the loss is the same on every rank and
    does not depend on how the batch is split.

    Similarities are invariant to rotations of the embedding space. Zero-shot accuracy
    is therefore at chance level unless ``mimicry_weight`` aligns the student with the
    teacher's space.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        temperature (float): Temperature of both softmaxes, above 0. In CLIP-KD, each
            model learns its own over image-text pairs, starting from the default.
            Defaults to 0.07.
        loss_weight (float): Weight of the relational loss, above 0. Defaults to 1.
        mimicry_weight (float): Weight of the squared error between embeddings, see
            :class:`FeatureMimicry`; 2000 in CLIP-KD. Defaults to 0: not used.
        **kwargs: The other options of :class:`BaseDistiller`.

    Raises:
        ConfigError: An option is out of range; see also :class:`BaseDistiller`.

    Source: CLIP-KD, arXiv 2307.12732, contrastive relational distillation (CRD);
    see :func:`~mmlgd.models.losses.relational_loss` for what differs without text.
    """

    learns_from_store = True
    needs_whole_batch = True

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        temperature: float = 0.07,
        loss_weight: float = 1.0,
        mimicry_weight: float = 0.0,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        for name, value in (('temperature', temperature), ('loss_weight', loss_weight)):
            place = f'RelationalKD.{name}'
            check_in_range(place, value, 0, float('inf'), low_open=True)
        check_in_range('RelationalKD.mimicry_weight', mimicry_weight, 0, float('inf'))
        super().__init__(teacher, backbone, **kwargs)
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.mimicry_weight = mimicry_weight

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """Compute the loss of a batch gathered from all ranks.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_relational`` and, with a
            ``mimicry_weight``, ``loss_mimicry``, weighted scalars.

        Raises:
            ConfigError: Fewer than three images over all ranks.
        """
        teacher = self.targets(inputs, teacher_embeddings)
        student = self.embed(inputs)
        # One collective for both.
        rows = gather_rows(torch.cat([student, teacher], dim=1))
        if len(rows) < 3:
            raise ConfigError(
                f'A batch of {len(rows)} images over all ranks has no relations to '
                'compare: each image needs two others. Set train_dataloader.batch_size '
                'to 3 or more, and train_dataloader.drop_last=True if the last batch of '
                'an epoch may be smaller.'
            )
        all_student, all_teacher = rows.split([student.shape[1], teacher.shape[1]], 1)
        loss = relational_loss(all_student, all_teacher, self.temperature)
        losses = dict(loss_relational=self.loss_weight * loss)
        if self.mimicry_weight:
            losses['loss_mimicry'] = self.mimicry_weight * mimicry_loss(
                student, teacher
            )
        return losses
