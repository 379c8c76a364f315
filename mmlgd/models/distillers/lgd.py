"""Language-guided distillation."""

import torch
from mmpretrain.structures import DataSample

from mmlgd.models.banks import BankStatistics
from mmlgd.models.losses import lgd_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range

from .base import BaseDistiller


@MODELS.register_module()
class LGD(BaseDistiller):
    """Language-guided distillation on unlabeled images.

    The student's similarities to the anchors of a textual and a visual
    semantics bank are drawn to the teacher's; then the teacher's embeddings are
    aggregated into the visual bank, each in the category that language gives it.

    Args:
        teacher (dict | nn.Module): Config of a teacher.
        backbone (dict): Config of an mmpretrain backbone, the student.
        textual_bank (dict): Config of a ``TextualSemanticsBank``; its width is
            filled in.
        visual_bank (dict): Config of a ``VisualSemanticsBank``; its shape is
            filled in.
        alpha (float): Weight of the visual loss against the textual one, in
            [0, 1]. Defaults to 0.5.
        student_temperature (float): Above 0. Defaults to 0.2.
        teacher_temperature (float): Above 0. Defaults to 0.01.
        zero_shot_bank (dict, optional): Config of a textual bank with the names
            to predict. Defaults to None: those of ``textual_bank``.
        predict_teacher (bool): Whether predictions carry the teacher's scores
            too, at the cost of its forward pass. Defaults to True.
        **kwargs: ``neck``, ``projector``, ``data_preprocessor``, ``init_cfg``;
            see :class:`BaseDistiller`.

    Raises:
        ConfigError: Alpha or a temperature is out of range.

    Source: arXiv 2406.11689, L = alpha L_VIS + (1 - alpha) L_TEX.
    """

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        textual_bank: dict,
        visual_bank: dict,
        alpha: float = 0.5,
        student_temperature: float = 0.2,
        teacher_temperature: float = 0.01,
        zero_shot_bank: dict | None = None,
        predict_teacher: bool = True,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        check_in_range('LGD.alpha', alpha, 0, 1)
        for name, value in (
            ('student', student_temperature),
            ('teacher', teacher_temperature),
        ):
            check_in_range(
                f'LGD.{name}_temperature', value, 0, float('inf'), low_open=True
            )
        super().__init__(teacher, backbone, **kwargs)
        self.alpha = alpha
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.predict_teacher = predict_teacher

        embed_dims = self.teacher.embed_dims
        self.textual_bank = MODELS.build(dict(textual_bank, embed_dims=embed_dims))
        num_categories = len(self.textual_bank.category_names)
        self.visual_bank = MODELS.build(
            dict(visual_bank, num_categories=num_categories, embed_dims=embed_dims)
        )
        self.bank_statistics = BankStatistics(num_categories)
        self.zero_shot_bank = (
            MODELS.build(dict(zero_shot_bank, embed_dims=embed_dims, persistent=False))
            if zero_shot_bank
            else None
        )

    @property
    def checkpoint_meta(self) -> dict:
        """See :attr:`BaseDistiller.checkpoint_meta`; with the category names."""
        return dict(
            super().checkpoint_meta, category_names=self.textual_bank.category_names
        )

    @property
    def prediction_bank(self) -> torch.nn.Module:
        """The textual bank whose names :meth:`predict` chooses from."""
        return self.zero_shot_bank or self.textual_bank

    def build_text_banks(self, cache_dir: str | None = None) -> None:
        """Build every textual bank that is still empty, see its ``build``."""
        for bank in (self.textual_bank, self.zero_shot_bank):
            if bank is not None and not bank.built:
                bank.build(self.teacher, cache_dir)

    def loss(self, inputs: torch.Tensor, data_samples: list | None = None) -> dict:
        """Both losses of one batch, weighted; then the visual bank is updated.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: no label takes part.

        Returns:
            dict[str, torch.Tensor]: ``loss_textual`` = (1 - alpha) L_TEX and
            ``loss_visual`` = alpha L_VIS, scalars.
        """
        self.build_text_banks()
        teacher = self.teacher.encode_image(inputs)
        student = self.embed(inputs)
        text_anchors = self.textual_bank.embeddings
        losses = lgd_loss(
            student,
            teacher,
            text_anchors,
            self.visual_bank.embeddings,
            self.student_temperature,
            self.teacher_temperature,
        )
        assignment = losses.teacher_text_logits.argmax(dim=1)
        self.visual_bank.update(teacher, text_anchors, assignment)
        self.bank_statistics.update(
            assignment, losses.student_text_logits.argmax(dim=1)
        )
        return dict(
            loss_textual=(1 - self.alpha) * losses.textual,
            loss_visual=self.alpha * losses.visual,
        )

    @torch.no_grad()
    def predict(self, inputs: torch.Tensor, data_samples: list | None = None) -> list:
        """Classify images zero-shot, by their similarity to the names.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list[DataSample], optional): Take the predictions, and
                keep what they hold. Defaults to None.

        Returns:
            list[DataSample]: With ``pred_score`` (C,), the softmax over s . T_c
            at the student's temperature, and ``pred_label``; where
            ``predict_teacher`` is set, ``teacher_pred_score`` (C,) at the
            teacher's.
        """
        self.build_text_banks()
        data_samples = data_samples or [DataSample() for _ in range(len(inputs))]
        scores = self._name_scores(self.embed(inputs), self.student_temperature)
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(score.argmax())
        if self.predict_teacher:
            teacher = self.teacher.encode_image(inputs)
            scores = self._name_scores(teacher, self.teacher_temperature)
            for sample, score in zip(data_samples, scores):
                sample.set_field(score, 'teacher_pred_score')
        return data_samples

    def _name_scores(
        self, embeddings: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = embeddings @ self.prediction_bank.embeddings.T
            return (logits / temperature).softmax(dim=1)
