"""The two losses of language-guided distillation."""

from typing import NamedTuple

import torch

from .soft_cross_entropy import soft_cross_entropy


class LGDLoss(NamedTuple):
    """What one step of LGD computes from the embeddings and the anchors.

    Attributes:
        textual (torch.Tensor): L_TEX, scalar, not yet weighted.
        visual (torch.Tensor): L_VIS, scalar, not yet weighted.
        student_text_logits (torch.Tensor): s T^T, (B, C), float32.
        teacher_text_logits (torch.Tensor): t T^T, (B, C), float32.
    """

    textual: torch.Tensor
    visual: torch.Tensor
    student_text_logits: torch.Tensor
    teacher_text_logits: torch.Tensor


def lgd_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    text_anchors: torch.Tensor,
    visual_anchors: torch.Tensor,
    student_temperature: float = 0.2,
    teacher_temperature: float = 0.01,
    self_logit: bool = True,
) -> LGDLoss:
    """Cross-entropies over the textual and over the visual semantics bank.

    Both banks are stacked, so each model's logits come from one matrix product.
    The visual logits are preceded by the similarity with the image's own
    teacher embedding, which makes them C + 1. Always float32, also under
    autocast: at a temperature of 0.01 half precision is too coarse.

    Args:
        student (torch.Tensor): Unit rows (B, D), with gradient.
        teacher (torch.Tensor): Unit rows (B, D), without gradient.
        text_anchors (torch.Tensor): T, (C, D), unit rows.
        visual_anchors (torch.Tensor): V, (C, D), as they stand.
        student_temperature (float): Defaults to 0.2.
        teacher_temperature (float): Defaults to 0.01.
        self_logit (bool): Whether the visual logits are preceded by the similarity
            with the own teacher embedding. Defaults to True.

    Returns:
        LGDLoss: Both losses and the textual logits they came from.

    Source: arXiv 2406.11689, section III; the own-similarity logit and the
    temperatures as in the authors' training code.
    """
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.float(), teacher.float()
        anchors = torch.cat([text_anchors, visual_anchors]).float()
        num_categories = text_anchors.shape[0]
        student_text, student_visual = (student @ anchors.T).split(
            num_categories, dim=1
        )
        teacher_text, teacher_visual = (teacher @ anchors.T).split(
            num_categories, dim=1
        )
        if self_logit:
            student_own = (student * teacher).sum(dim=1, keepdim=True)
            teacher_own = (teacher * teacher).sum(dim=1, keepdim=True)
            student_visual = torch.cat([student_own, student_visual], dim=1)
            teacher_visual = torch.cat([teacher_own, teacher_visual], dim=1)
        temperatures = (student_temperature, teacher_temperature)
        return LGDLoss(
            textual=soft_cross_entropy(student_text, teacher_text, *temperatures),
            visual=soft_cross_entropy(student_visual, teacher_visual, *temperatures),
            student_text_logits=student_text,
            teacher_text_logits=teacher_text,
        )
