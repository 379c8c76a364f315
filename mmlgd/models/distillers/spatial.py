"""Spatial mimicry: distillation of the teacher's feature map."""

from typing import Any

import torch
from torch import nn

from mmlgd.errors import ConfigError
from mmlgd.models.banks import EmbeddingQueue
from mmlgd.models.losses import (
    kl_divergence,
    mimicry_loss,
    spatial_mse_loss,
    spatial_relations_loss,
)
from mmlgd.models.pooled_features import as_maps
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count, check_in_range

from .base import BaseDistiller

_FORMS = ('mse', 'relations')
_DEFAULT_WEIGHTS = {'queue': 1.0, 'mimicry': 2000.0, None: 1.0}


@MODELS.register_module()
class SpatialMimicry(BaseDistiller):
    """Distillation of the teacher's feature map, for detection and segmentation.

    A 1 x 1 convolution, ``spatial_projector``, projects a feature map of the student to
    the channels of the teacher's last map; the result is resized to the teacher's grid.
    An optional global term trains neck and projector. Without it they are frozen, and
    zero-shot classification is not possible.

    LightlyTrain's v3 is the default; its v2 is ``form='mse', global_term=None``.

    Args:
        teacher (dict | nn.Module): Teacher with a feature map, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        form (str): The spatial term: 'relations', the KL divergence between the
            similarities of each image's locations, or 'mse', the squared error
            between unnormalised maps. Defaults to 'relations'.
        global_term (str, optional): 'queue', the KL divergence between the
            similarities to a queue of teacher embeddings, to which the batch is added
            before its loss; 'mimicry', see :class:`FeatureMimicry`; or None.
            Defaults to 'queue'.
        spatial_weight (float): Above 0. The squared error grows with the square
            of the teacher's features. Defaults to 1.
        global_weight (float, optional): Above 0. Defaults to None: 1 for 'queue',
            2000 for 'mimicry'.
        temperature (float): Temperature of all softmaxes, above 0. Defaults to 0.07.
        queue_size (int): Rows of the queue. Defaults to 8192.
        student_stage (int): Index of the backbone's feature map. Defaults to -1: the
            last.
        **kwargs: The other options of :class:`BaseDistiller`.

    Raises:
        ConfigError: An option is out of range, or options contradict each other;
            see also :class:`BaseDistiller`.
        TeacherError: The teacher has no feature map.

    Source: LightlyTrain, distillation v2 and v3; here with one block of the teacher and
    one queue for all ranks, which is initialised randomly instead of with zeros.
    """

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        form: str = 'relations',
        global_term: str | None = 'queue',
        spatial_weight: float = 1.0,
        global_weight: float | None = None,
        temperature: float = 0.07,
        queue_size: int = 8192,
        student_stage: int = -1,
        **kwargs,
    ) -> None:
        if global_weight is None:
            global_weight = _DEFAULT_WEIGHTS.get(global_term)
        # Checked before the teacher is loaded, which may take a while.
        _check_choices(form, global_term)
        _check_positive(spatial_weight=spatial_weight, temperature=temperature)
        _check_positive(global_weight=global_weight)
        check_count('SpatialMimicry.queue_size', queue_size, 1)
        super().__init__(teacher, backbone, **kwargs)
        self.form = form
        self.global_term = global_term
        self.spatial_weight = spatial_weight
        self.global_weight = global_weight
        self.temperature = temperature
        self.student_stage = student_stage
        self.spatial_projector = nn.Conv2d(
            self._student_channels(), self.teacher.feature_map_dims, kernel_size=1
        )
        self.queue = None
        if global_term == 'queue':
            self.queue = EmbeddingQueue(queue_size, self.teacher.embed_dims)
            # The loss follows the update of the queue.
            self.needs_whole_batch = True
        if global_term is None:
            self._freeze_projector()

    def loss(  # type: ignore[override]  # no stored embeddings: see BaseDistiller.loss
        self, inputs: torch.Tensor, data_samples: list | None = None
    ) -> dict:
        """Compute the losses of a batch.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.

        Returns:
            dict[str, torch.Tensor]: ``loss_spatial`` and, with a global term,
            ``loss_queue`` or ``loss_mimicry``, weighted scalars.

        Raises:
            ConfigError: The teacher's map has one location, so there are no relations.
        """
        teacher = self.teacher.encode_spatial(inputs)
        outputs = self.run_backbone(inputs)
        student_map = self.spatial_projector(as_maps(outputs)[self.student_stage])
        loss = self._spatial_loss(student_map, teacher.feature_map)
        losses = dict(loss_spatial=self.spatial_weight * loss)
        if self.global_term is not None:
            student = self.project(self.pool(outputs))
            loss = self._global_loss(student, teacher.embeddings)
            losses[f'loss_{self.global_term}'] = self.global_weight * loss
        return losses

    def _spatial_loss(
        self, student_map: torch.Tensor, teacher_map: torch.Tensor
    ) -> torch.Tensor:
        if self.form == 'mse':
            return spatial_mse_loss(student_map, teacher_map)
        if teacher_map.shape[-2:].numel() == 1:
            raise ConfigError(
                "SpatialMimicry.form is 'relations', but the teacher's feature map of "
                f'images of {self.teacher.image_size} pixels has a single location and '
                "thus no relations; set form='mse', or use a teacher with larger images."
            )
        return spatial_relations_loss(student_map, teacher_map, self.temperature)

    def _global_loss(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        if self.global_term == 'mimicry':
            return mimicry_loss(student, teacher)
        assert self.queue is not None  # it is built for this term
        self.queue.update(teacher)
        with torch.autocast(student.device.type, enabled=False):
            anchors = self.queue.embeddings.T
            return kl_divergence(student @ anchors, teacher @ anchors, self.temperature)

    def _student_channels(self) -> int:
        dims, stage = self.map_dims, self.student_stage
        self.check_gives_maps()
        if not isinstance(stage, int) or not -len(dims) <= stage < len(dims):
            raise ConfigError(
                f'SpatialMimicry.student_stage is {stage!r}, but the student returns '
                f'{len(dims)} feature maps (channels {dims}); set it to one of '
                f'{-len(dims)}..{len(dims) - 1}, or out_indices of model.backbone.'
            )
        if self.global_term is None and stage not in (-1, len(dims) - 1):
            raise ConfigError(
                f'SpatialMimicry.student_stage={stage} leaves the later stages of the '
                "student untrained while global_term is None; set global_term='queue' "
                'or the last stage.'
            )
        return dims[stage]

    def _freeze_projector(self) -> None:
        """Freeze neck and projector, which no loss trains."""
        if self.zero_shot_bank is not None:
            raise ConfigError(
                'SpatialMimicry.global_term is None, so the projector is not trained '
                "and zero_shot_bank would predict at random; set global_term='queue' or "
                "'mimicry', or omit zero_shot_bank and validation."
            )
        for module in (self.neck, self.projector):
            if module is not None:
                module.requires_grad_(False)


def _check_choices(form: str, global_term: str | None) -> None:
    for name, value, choices in (
        ('form', form, _FORMS),
        ('global_term', global_term, tuple(_DEFAULT_WEIGHTS)),
    ):
        if value not in choices:
            raise ConfigError(
                f'SpatialMimicry.{name} is {value!r}; set it to one of '
                f'{", ".join(map(repr, choices))}.'
            )


def _check_positive(**options: Any) -> None:
    for name, value in options.items():
        place = f'SpatialMimicry.{name}'
        check_in_range(place, value, 0, float('inf'), low_open=True)
