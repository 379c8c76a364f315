"""The two losses of language-guided distillation."""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class LGDLoss(NamedTuple):
    """The loss terms of LGD and the textual logits.

    Attributes:
        textual (torch.Tensor): L_TEX, scalar, unweighted.
        visual (torch.Tensor): L_VIS, scalar, unweighted.
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
    weights: torch.Tensor | None = None,
) -> LGDLoss:
    """Soft cross-entropies over the textual and the visual semantics bank.

    The similarity to the image's own teacher embedding precedes the visual logits,
    which makes them C + 1. Computed in float32 by default, also under autocast: at a
    temperature of 0.01 half precision is too coarse.

    The gradient with respect to the student is computed in the forward pass. The
    anchors may thus be changed in place before the backward pass, without a copy.

    Args:
        student (torch.Tensor): Unit rows (B, D), with gradient.
        teacher (torch.Tensor): Unit rows (B, D), without gradient.
        text_anchors (torch.Tensor): T, (C, D), unit rows.
        visual_anchors (torch.Tensor): V, (C, D), used without normalisation.
        student_temperature (float): Defaults to 0.2.
        teacher_temperature (float): Defaults to 0.01.
        self_logit (bool): Whether the similarity to the own teacher embedding precedes
            the visual logits. Defaults to True.
        half_similarities (bool): Whether similarities are float16 products, as in the
            authors' code, which uses autocast. Near ties, the most similar name can
            differ from that in float32. Defaults to False.
        weights (torch.Tensor, optional): Weight (B,) of each image; losses are the
            means of weighted cross-entropies. Defaults to None: 1.

    Returns:
        LGDLoss: Both losses and the textual logits.

    Source: arXiv 2406.11689, section III; the self logit and the temperatures as in
    the authors' training code.
    """
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.float(), teacher.float()
        temperatures = (student_temperature, teacher_temperature)
        compute = _half_cross_entropy if half_similarities else _anchored_cross_entropy
        textual, logits = compute(
            student, teacher, text_anchors.float(), *temperatures, weights=weights
        )
        visual, _ = compute(
            student, teacher, visual_anchors.float(), *temperatures, self_logit, weights
        )
        return LGDLoss(textual, visual, *logits.chunk(2))


def _anchored_cross_entropy(
    student: torch.Tensor,
    teacher: torch.Tensor,
    anchors: torch.Tensor,
    student_temperature: float,
    teacher_temperature: float,
    self_logit: bool = False,
    weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Soft cross-entropy over similarities, and the similarities (2 B, C), student first.

    With the softmaxes q of the student and p of the teacher, the gradient is
    :math:`(q - p) A / (B \tau_s)`, where A are the anchors. With ``self_logit``, the
    own teacher embedding is the first anchor.
    """
    with torch.no_grad():
        # One pass over the anchors for both: with few rows, reading them dominates.
        rows = torch.cat([student, teacher])
        logits = rows @ anchors.T
        if self_logit:
            similarity = (rows * teacher.repeat(2, 1)).sum(dim=1, keepdim=True)
            logits = torch.cat([similarity, logits], dim=1)
        student_logits, teacher_logits = logits.chunk(2)
        target = F.softmax(teacher_logits / teacher_temperature, dim=1)
        log_probs = F.log_softmax(student_logits / student_temperature, dim=1)
        each = -(target * log_probs).sum(dim=1)
        grad = (log_probs.exp() - target) / (len(student) * student_temperature)
        if weights is not None:
            each, grad = each * weights, grad * weights[:, None]
        loss = each.mean()
        if self_logit:
            gradient = grad[:, 1:] @ anchors + grad[:, :1] * teacher
        else:
            gradient = grad @ anchors
    # The added term is zero; it only attaches the gradient.
    return loss + ((student - student.detach()) * gradient).sum(), logits


def _half_cross_entropy(
    student: torch.Tensor,
    teacher: torch.Tensor,
    anchors: torch.Tensor,
    student_temperature: float,
    teacher_temperature: float,
    self_logit: bool = False,
    weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same with float16 products, as under autocast, without fused gradient.

    The cast copies the anchors, so they may change before the backward pass.
    """
    student, teacher, anchors = student.half(), teacher.half(), anchors.half()
    student_logits, teacher_logits = student @ anchors.T, teacher @ anchors.T
    if self_logit:
        own = (torch.linalg.vecdot(rows, teacher) for rows in (student, teacher))
        student_logits, teacher_logits = (
            torch.cat([first[:, None], others], dim=1)
            for first, others in zip(own, (student_logits, teacher_logits))
        )
    # The division stays in float16; both softmaxes are float32 under autocast.
    target = F.softmax((teacher_logits / teacher_temperature).float(), dim=1)
    student_logits_scaled = (student_logits / student_temperature).float()
    each = F.cross_entropy(student_logits_scaled, target, reduction='none')
    loss = (each if weights is None else each * weights).mean()
    logits = torch.cat([student_logits, teacher_logits]).detach().float()
    return loss, logits
