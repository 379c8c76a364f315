"""Language-guided distillation."""

import torch
from torch import nn

from mmlgd.models.banks import AssignmentFrequency, BankStatistics
from mmlgd.models.losses import lgd_loss
from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range

from .base import BaseDistiller


@MODELS.register_module()
class LGD(BaseDistiller):
    """Language-guided distillation on unlabeled images.

    The student learns to match the teacher's similarities to the anchors of a textual
    and a visual semantics bank. Then each teacher embedding is aggregated into the
    visual bank, in the category with the most similar text anchor.

    Args:
        teacher (dict | nn.Module): Teacher, or its config.
        backbone (dict): Config of an mmpretrain backbone, the student.
        textual_bank (dict): Config of a ``TextualSemanticsBank``; its width is
            filled in.
        visual_bank (dict): Config of a ``VisualSemanticsBank``; its shape is
            filled in.
        alpha (float): Weight of the visual loss, in [0, 1]; that of the textual loss is
            1 - alpha. Defaults to 0.5.
        self_logit (bool): Whether the image's own teacher embedding is an additional
            anchor of the visual loss. Defaults to True.
        half_similarities (bool): Whether similarities are float16 products, as in the
            authors' code; see :func:`~mmlgd.models.losses.lgd_loss`. Defaults to False.
        anchor_bank (dict, optional): Config of an ``EmbeddingQueue`` or a
            ``ClusterBank``, whose rows are further anchors of the visual loss; its
            width is filled in. Defaults to None, as published.
        balance (float): Weight images of rarely assigned categories more, see
            :class:`~mmlgd.models.banks.AssignmentFrequency`; in [0, 1]. Defaults to 0:
            all images are equal, as published.
        **kwargs: The other options of :class:`BaseDistiller`. With ``zero_shot_bank``,
            names other than those of ``textual_bank`` are predicted.

    Raises:
        ConfigError: Alpha or balance is out of range; see also :class:`BaseDistiller`.

    Source: arXiv 2406.11689, L = alpha L_VIS + (1 - alpha) L_TEX.
    """

    learns_from_store = True

    def __init__(
        self,
        teacher: dict,
        backbone: dict,
        textual_bank: dict,
        visual_bank: dict,
        alpha: float = 0.5,
        self_logit: bool = True,
        half_similarities: bool = False,
        anchor_bank: dict | None = None,
        balance: float = 0.0,
        **kwargs,
    ) -> None:
        # Checked before the teacher is loaded, which may take a while.
        check_in_range('LGD.alpha', alpha, 0, 1)
        check_in_range('LGD.balance', balance, 0, 1)
        super().__init__(teacher, backbone, **kwargs)
        self.alpha = alpha
        self.self_logit = self_logit
        self.half_similarities = half_similarities

        embed_dims = self.teacher.embed_dims
        self.textual_bank = MODELS.build(dict(textual_bank, embed_dims=embed_dims))
        num_categories = len(self.textual_bank.category_names)
        self.visual_bank = MODELS.build(
            dict(visual_bank, num_categories=num_categories, embed_dims=embed_dims)
        )
        self.anchor_bank = None
        if anchor_bank is not None:
            self.anchor_bank = MODELS.build(dict(anchor_bank, embed_dims=embed_dims))
        self.frequency = None
        if balance:
            self.frequency = AssignmentFrequency(num_categories, balance)
        self.bank_statistics = BankStatistics(num_categories)

    @property
    def checkpoint_meta(self) -> dict:
        """See :attr:`BaseDistiller.checkpoint_meta`; with the category names."""
        return dict(
            super().checkpoint_meta, category_names=self.textual_bank.category_names
        )

    @property
    def text_banks(self) -> list[nn.Module]:
        """See :attr:`BaseDistiller.text_banks`."""
        return [self.textual_bank, *super().text_banks]

    @property
    def prediction_bank(self) -> nn.Module:
        """The textual bank whose names :meth:`predict` chooses from."""
        return self.zero_shot_bank or self.textual_bank

    def statistics(self) -> dict[str, float]:
        """Statistics of the banks since the last call.

        Returns:
            dict[str, float]: See :meth:`BankStatistics.compute`; and
            ``categories_hit``, the number of categories ever hit.
        """
        found = self.bank_statistics.compute()
        self.bank_statistics.reset()
        return dict(found, categories_hit=int(self.visual_bank.seen.sum()))

    def loss(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        teacher_embeddings: torch.Tensor | None = None,
    ) -> dict:
        """Compute both weighted losses of a batch, then update the visual bank.

        Args:
            inputs (torch.Tensor): Normalised images (B, 3, H, W).
            data_samples (list, optional): Not used: training needs no labels.
            teacher_embeddings (torch.Tensor, optional): See :meth:`targets`.

        Returns:
            dict[str, torch.Tensor]: ``loss_textual`` = (1 - alpha) L_TEX and
            ``loss_visual`` = alpha L_VIS, scalars.
        """
        # The teacher first: its features are freed before the student's are kept.
        teacher = self.targets(inputs, teacher_embeddings)
        return self.guide(self.embed(inputs), teacher)

    def guide(self, student: torch.Tensor, teacher: torch.Tensor) -> dict:
        """Compute the losses of given embeddings, then update the visual bank.

        Args:
            student (torch.Tensor): s, unit rows (B, D), with gradient.
            teacher (torch.Tensor): t, unit rows (B, D), without gradient.

        Returns:
            dict[str, torch.Tensor]: See :meth:`loss`.
        """
        self.build_text_banks()
        text_anchors = self.textual_bank.embeddings
        visual_anchors = self.visual_bank.embeddings
        if self.anchor_bank is not None:
            visual_anchors = torch.cat([visual_anchors, self.anchor_bank.embeddings])
        weights = None
        if self.frequency is not None:
            weights = self.frequency.weights((teacher @ text_anchors.T).argmax(dim=1))
        losses = lgd_loss(
            student,
            teacher,
            text_anchors,
            visual_anchors,
            self.student_temperature,
            self.teacher_temperature,
            self.self_logit,
            self.half_similarities,
            weights,
        )
        assignment = losses.teacher_text_logits.argmax(dim=1)
        self.visual_bank.update(teacher, text_anchors, assignment)
        if self.anchor_bank is not None:
            self.anchor_bank.update(teacher)
        if self.frequency is not None:
            self.frequency.update(assignment)
        self.bank_statistics.update(
            assignment, losses.student_text_logits.argmax(dim=1)
        )
        return dict(
            loss_textual=(1 - self.alpha) * losses.textual,
            loss_visual=self.alpha * losses.visual,
        )
