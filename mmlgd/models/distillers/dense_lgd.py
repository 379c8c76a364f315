"""Language-guided distillation of images and of spatial locations."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.models.losses import resize_to_grid, soft_cross_entropy
from mmlgd.models.pooled_features import as_maps
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range

from .lgd import LGD


@MODELS.register_module()
class DenseLGD(LGD):
    """LGD with an additional textual loss at each location of the last feature map.

    A 1 x 1 convolution (``dense_projector``) maps the student's last feature map to the
    embedding space. The dense term is the textual loss of every location against the
    teacher's dense embeddings. It is meant for detection and segmentation backbones, and
    needs maps with more than one location.

    Args:
        teacher (dict | nn.Module): See :class:`LGD`; it must have dense embeddings
            (``encode_dense``).
        backbone (dict): See :class:`LGD`.
        dense_weight (float): Weight of the dense term, above 0. Defaults to 1.
        **kwargs: The other options of :class:`LGD`.

    Raises:
        ConfigError: The weight is out of range, or the student has no feature map;
            see also :class:`LGD`.
        TeacherError: The teacher has no dense embeddings.

    Source: ours; dense embeddings as in MaskCLIP, arXiv 2112.01071. docs/methods.md
    reports its measured effect.
    """

    learns_from_store = False

    def __init__(
        self, teacher: dict, backbone: dict, dense_weight: float = 1.0, **kwargs
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        check_in_range(
            'DenseLGD.dense_weight', dense_weight, 0, float('inf'), low_open=True
        )
        super().__init__(teacher, backbone, **kwargs)
        self.dense_weight = dense_weight
        # A teacher without dense embeddings raises here, not at the first step.
        size, device = self.teacher.image_size, self.teacher.device
        self.teacher.encode_dense(torch.zeros(1, 3, size, size, device=device))
        self.check_gives_maps()
        self.dense_projector = nn.Conv2d(
            self.map_dims[-1], self.teacher.embed_dims, kernel_size=1
        )

    def loss(  # type: ignore[override]  # no stored embeddings: see BaseDistiller.loss
        self, inputs: torch.Tensor, data_samples: list | None = None
    ) -> dict:
        """Compute the weighted losses of a batch, then update the visual bank.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.

        Returns:
            dict[str, torch.Tensor]: ``loss_textual`` and ``loss_visual`` of
            :meth:`LGD.loss`, and ``loss_dense``: scalars.
        """
        # The teacher first: its features are freed before the student's are kept.
        teacher, _, dense = self.teacher.encode_spatial(inputs, dense=True)
        outputs = self.run_backbone(inputs)
        losses = self.guide(self.project(self.pool(outputs)), teacher)
        student_map = self.dense_projector(as_maps(outputs)[-1])
        losses['loss_dense'] = self.dense_weight * self._dense_loss(student_map, dense)
        return losses

    def _dense_loss(
        self, student_map: torch.Tensor, teacher_map: torch.Tensor
    ) -> torch.Tensor:
        with torch.autocast(student_map.device.type, enabled=False):
            student_map = F.normalize(resize_to_grid(student_map, teacher_map), dim=1)
            student_logits, teacher_logits = (
                part.permute(0, 2, 3, 1).flatten(0, 2) @ self.textual_bank.embeddings.T
                for part in (student_map, teacher_map)
            )
            return soft_cross_entropy(
                student_logits,
                teacher_logits,
                self.student_temperature,
                self.teacher_temperature,
            )
