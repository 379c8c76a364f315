"""The two losses of language-guided distillation."""

from typing import NamedTuple

import torch
import torch.nn.functional as F


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
    half_similarities: bool = False,
) -> LGDLoss:
    """Cross-entropies over the textual and over the visual semantics bank.

    The visual logits are preceded by the similarity with the image's own
    teacher embedding, which makes them C + 1. float32 by default, also under
    autocast: at a temperature of 0.01 half precision is coarse.

    The gradient with respect to the student is found at once, so the anchors may
    be changed in place before the backward pass, and no copy of them is made.

    Args:
        student (torch.Tensor): Unit rows (B, D), with gradient.
        teacher (torch.Tensor): Unit rows (B, D), without gradient.
        text_anchors (torch.Tensor): T, (C, D), unit rows.
        visual_anchors (torch.Tensor): V, (C, D), as they stand.
        student_temperature (float): Defaults to 0.2.
        teacher_temperature (float): Defaults to 0.01.
        self_logit (bool): Whether the visual logits are preceded by the similarity
            with the own teacher embedding. Defaults to True.
        half_similarities (bool): Whether similarities are products in float16, as in
            the authors' code, which computes them under autocast; near ties, another
            name can win than in float32. Defaults to False.

    Returns:
        LGDLoss: Both losses and the textual logits they came from.

    Source: arXiv 2406.11689, section III; the own-similarity logit and the
    temperatures as in the authors' training code.
    """
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.float(), teacher.float()
        temperatures = (student_temperature, teacher_temperature)
        compute = _half_cross_entropy if half_similarities else _anchored_cross_entropy
        textual, logits = compute(student, teacher, text_anchors.float(), *temperatures)
        visual, _ = compute(
            student, teacher, visual_anchors.float(), *temperatures, own=self_logit
        )
        return LGDLoss(textual, visual, *logits.chunk(2))


def _anchored_cross_entropy(
    student: torch.Tensor,
    teacher: torch.Tensor,
    anchors: torch.Tensor,
    student_temperature: float,
    teacher_temperature: float,
    own: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Soft cross-entropy over similarities, and these: (2 B, C), the student's first.

    With q and p, the softmaxes of student and teacher, its gradient is
    :math:`(q - p) A / (B \tau_s)`, A being the anchors, with the own teacher
    embedding before them where ``own`` asks for it.
    """
    with torch.no_grad():
        # One pass over the anchors for both: with few rows, reading them is the cost.
        rows = torch.cat([student, teacher])
        logits = rows @ anchors.T
        if own:
            similarity = (rows * teacher.repeat(2, 1)).sum(dim=1, keepdim=True)
            logits = torch.cat([similarity, logits], dim=1)
        student_logits, teacher_logits = logits.chunk(2)
        target = F.softmax(teacher_logits / teacher_temperature, dim=1)
        log_found = F.log_softmax(student_logits / student_temperature, dim=1)
        loss = -(target * log_found).sum(dim=1).mean()
        pull = (log_found.exp() - target) / (len(student) * student_temperature)
        if own:
            gradient = pull[:, 1:] @ anchors + pull[:, :1] * teacher
        else:
            gradient = pull @ anchors
    # Adds nothing but the gradient: the difference is zero.
    return loss + ((student - student.detach()) * gradient).sum(), logits


def _half_cross_entropy(
    student: torch.Tensor,
    teacher: torch.Tensor,
    anchors: torch.Tensor,
    student_temperature: float,
    teacher_temperature: float,
    own: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same with float16 products, as autocast makes them: no fused gradient.

    The cast copies the anchors, so these may change before the backward pass.
    """
    student, teacher, anchors = student.half(), teacher.half(), anchors.half()
    student_logits, teacher_logits = student @ anchors.T, teacher @ anchors.T
    if own:
        own_logits = (torch.linalg.vecdot(rows, teacher) for rows in (student, teacher))
        student_logits, teacher_logits = (
            torch.cat([first[:, None], others], dim=1)
            for first, others in zip(own_logits, (student_logits, teacher_logits))
        )
    # The division stays in float16; both softmaxes are float32 under autocast.
    target = F.softmax((teacher_logits / teacher_temperature).float(), dim=1)
    loss = F.cross_entropy((student_logits / student_temperature).float(), target)
    logits = torch.cat([student_logits, teacher_logits]).detach().float()
    return loss, logits
