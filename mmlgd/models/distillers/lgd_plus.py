"""Language-guided distillation, and what makes it better."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.models.banks import EmbeddingQueue
from mmlgd.models.losses import on_grid, seed_loss, soft_cross_entropy
from mmlgd.models.student import as_maps
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count, check_in_range

from .lgd import LGD


@MODELS.register_module()
class LGDPlus(LGD):
    """LGD whose student also mimics the teacher, and reads the map with language.

    The banks say how an image lies to the categories; the mimicry term keeps what
    else the teacher sees in it. The dense term asks the textual loss of every place:
    the student's last map, through a 1 x 1 convolution (``dense_projector``),
    against the teacher's embeddings of places.

    Args:
        teacher (dict | nn.Module): See :class:`LGD`.
        backbone (dict): See :class:`LGD`.
        mimicry_weight (float): Of 1 - s . t, at least 0. Defaults to 4.
        dense_weight (float): Of the dense term, at least 0; above it, the teacher
            must give embeddings of places. Defaults to 0.
        centred_mimicry (bool): Whether the mimicry term leaves out what all images
            have in common: both embeddings then are differences from the mean of the
            visual anchors. Defaults to False.
        queue_weight (float): Of SEED's loss, over a queue of the teacher's latest
            embeddings: instances beside the categories. At least 0, the default.
        queue_size (int): Rows of that queue. Defaults to 65536.
        learned_temperature (bool): Whether the student's temperature is learned, from
            ``student_temperature`` on. Defaults to False.
        **kwargs: The other options of :class:`LGD`.

    Raises:
        ConfigError: A weight is out of range; see also :class:`LGD`.
        TeacherError: The dense term is asked of a teacher without embeddings of
            places.
    """

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        mimicry_weight: float = 4.0,
        dense_weight: float = 0.0,
        centred_mimicry: bool = False,
        queue_weight: float = 0.0,
        queue_size: int = 65536,
        learned_temperature: bool = False,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        for name, value in (
            ('mimicry', mimicry_weight),
            ('dense', dense_weight),
            ('queue', queue_weight),
        ):
            check_in_range(f'LGDPlus.{name}_weight', value, 0, float('inf'))
        check_count('LGDPlus.queue_size', queue_size, 1)
        super().__init__(teacher, backbone, **kwargs)
        self.mimicry_weight = mimicry_weight
        self.dense_weight = dense_weight
        self.centred_mimicry = centred_mimicry
        self.queue_weight = queue_weight
        self.queue = None
        if queue_weight > 0:
            self.queue = EmbeddingQueue(queue_size, self.teacher.embed_dims)
        self.log_scale = nn.Parameter(torch.zeros(())) if learned_temperature else None
        self.learns_from_store = dense_weight == 0
        if dense_weight > 0:
            # A teacher without embeddings of places says so now, not at the first step.
            size = self.teacher.image_size
            self.teacher.encode_dense(torch.zeros(1, 3, size, size))
            self.dense_projector = nn.Conv2d(
                self.map_dims[-1], self.teacher.embed_dims, kernel_size=1
            )

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """The losses of one batch, weighted; then the visual bank is updated.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: no label takes part.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_textual`` and ``loss_visual`` of
            :meth:`LGD.loss`, ``loss_mimicry`` and, where it is asked for,
            ``loss_dense``: scalars.
        """
        # The teacher first: its features are gone before the student's are kept.
        if self.dense_weight == 0:
            teacher, places = self.targets(inputs, teacher_embeddings), None
        else:
            teacher, _, places = self.teacher.encode_spatial(inputs, dense=True)
        outputs = self.backbone(inputs)
        student = self.project(self.pool(outputs))
        losses = dict(loss_mimicry=self.mimicry_weight * self._gap(student, teacher))
        if self.queue is not None:
            losses['loss_queue'] = self.queue_weight * seed_loss(
                student,
                teacher,
                # The backward pass needs the rows that the update overwrites.
                self.queue.embeddings.clone(),
                self.student_temperature,
                self.teacher_temperature,
            )
            self.queue.update(teacher)
        if self.log_scale is not None:
            # Longer rows are what a lower temperature makes of unit rows.
            student = student * self.log_scale.exp()
        losses.update(self.guide(student, teacher))
        if places is not None:
            student_map = self.dense_projector(as_maps(outputs)[-1])
            losses['loss_dense'] = self.dense_weight * self._dense_loss(
                student_map, places
            )
        return losses

    def _gap(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        if self.centred_mimicry:
            centre = self.visual_bank.embeddings.mean(dim=0)
            student, teacher = student - centre, teacher - centre
        return 1 - F.cosine_similarity(student, teacher).mean()

    def _dense_loss(
        self, student_map: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        with torch.autocast(student_map.device.type, enabled=False):
            student_map = F.normalize(on_grid(student_map, places), dim=1)
            student_logits, teacher_logits = (
                part.permute(0, 2, 3, 1).flatten(0, 2) @ self.textual_bank.embeddings.T
                for part in (student_map, places)
            )
            return soft_cross_entropy(
                student_logits,
                teacher_logits,
                self.student_temperature,
                self.teacher_temperature,
            )
