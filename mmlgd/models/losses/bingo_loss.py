"""The three losses of bag-of-instances distillation."""

from typing import NamedTuple

import torch

from .info_nce import info_nce


class BINGOLoss(NamedTuple):
    """The loss terms of BINGO; the total loss is their mean.

    Attributes:
        anchor (torch.Tensor): L_a, scalar.
        positive (torch.Tensor): L_b, scalar.
        mix (torch.Tensor): L_mix, scalar.
    """

    anchor: torch.Tensor
    positive: torch.Tensor
    mix: torch.Tensor


def bingo_loss(
    anchor: torch.Tensor,
    positive: torch.Tensor,
    mixed: torch.Tensor,
    anchor_target: torch.Tensor,
    positive_target: torch.Tensor,
    queue: torch.Tensor,
    mixing: float,
    temperature: float = 0.2,
    intra_only: bool = False,
) -> BINGOLoss:
    """Contrast anchor, positive and their mixture with the targets of both images.

    N is :func:`info_nce` against the queue, averaged over the batch::

        L_a   = 1/2 N(a, t_a) + 1/2 N(a, t_b)     intra only: N(a, t_a)
        L_b   = 1/2 N(b, t_b) + 1/2 N(b, t_a)     intra only: N(b, t_b)
        L_mix = mixing N(m, t_a) + (1 - mixing) N(m, t_b)

    Args:
        anchor (torch.Tensor): a, the student's unit rows (B, D).
        positive (torch.Tensor): b, (B, D), of images from the anchors' bags.
        mixed (torch.Tensor): m, (B, D), of the mixed images.
        anchor_target (torch.Tensor): t_a, the teacher's unit rows (B, D).
        positive_target (torch.Tensor): t_b, (B, D).
        queue (torch.Tensor): Q, (K, D), targets of earlier anchors.
        mixing (float): Share of the anchor in the mixture, in [0, 1].
        temperature (float): Defaults to 0.2.
        intra_only (bool): Whether anchor and positive learn from their own target
            only, as during warm-up. Defaults to False.

    Returns:
        BINGOLoss: The three terms, unweighted.

    Source: arXiv 2107.01691, section 3.3; CutMix and the warm-up as in the authors'
    training code.
    """
    # One matrix product with the queue for all three.
    students = torch.cat([anchor, positive, mixed])
    targets = torch.stack([anchor_target.repeat(3, 1), positive_target.repeat(3, 1)])
    losses = info_nce(students, targets, queue, temperature)
    to_anchor, to_positive = losses.view(2, 3, len(anchor)).mean(dim=2)
    own = 1.0 if intra_only else 0.5
    return BINGOLoss(
        anchor=own * to_anchor[0] + (1 - own) * to_positive[0],
        positive=own * to_positive[1] + (1 - own) * to_anchor[1],
        mix=mixing * to_anchor[2] + (1 - mixing) * to_positive[2],
    )
