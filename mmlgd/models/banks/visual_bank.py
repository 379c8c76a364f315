"""The visual semantics bank and its language-guided aggregation (LGKA)."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range
from mmlgd.utils.gather import StepRows


@MODELS.register_module()
class VisualSemanticsBank(nn.Module):
    """One visual anchor for each category, averaged from teacher embeddings.

    Rows are initialised with unit-length Gaussian noise and count as unseen until the
    first image of their category. They are saved in the checkpoint and restored on
    resume.

    Args:
        num_categories (int): C.
        embed_dims (int): D.
        momentum (float): Weight m of the old row, in [0, 1). Defaults to 0.999.
        normalize (bool): Ablation: whether to normalise rows to unit length after an
            update. Defaults to False, as published.
        soft_temperature (float, optional): Ablation, above 0: assign every image to all
            categories, weighted by softmax(t . T_c / temperature). A category is hit if
            its weights in the batch sum to 0.5 or more, and z_c is the weighted mean.
            Defaults to None: each image is assigned to the most similar category only,
            as published.

    Attributes:
        embeddings (torch.Tensor): V, (C, D) float32.
        seen (torch.Tensor): (C,) bool, whether a category was ever hit.

    Raises:
        ConfigError: The momentum or the temperature is out of range.

    Source: arXiv 2406.11689, language-guided knowledge aggregation.
    """

    def __init__(
        self,
        num_categories: int,
        embed_dims: int,
        momentum: float = 0.999,
        normalize: bool = False,
        soft_temperature: float | None = None,
    ) -> None:
        super().__init__()
        if soft_temperature is not None:
            name = 'VisualSemanticsBank.soft_temperature'
            check_in_range(name, soft_temperature, 0, float('inf'), low_open=True)
        self.normalize = normalize
        self.soft_temperature = soft_temperature
        self.momentum = check_in_range(
            'VisualSemanticsBank.momentum', momentum, 0, 1, high_open=True
        )
        noise = F.normalize(torch.randn(num_categories, embed_dims), dim=1)
        self.register_buffer('embeddings', noise)
        self.register_buffer('seen', torch.zeros(num_categories, dtype=torch.bool))
        self._step = StepRows()

    @torch.no_grad()
    def update(
        self,
        embeddings: torch.Tensor,
        text_anchors: torch.Tensor,
        assignment: torch.Tensor | None = None,
    ) -> None:
        """Aggregate a batch of teacher embeddings of all ranks into the bank.

        Each embedding is assigned to the category with the most similar text anchor.
        For each category hit, z_c is the mean of its embeddings. An unseen row becomes
        z_c, a seen one m V_c + (1 - m) z_c.

        One collective gathers embeddings and assignments, so its size does not grow
        with C. There is no loop over categories and no host synchronisation. The rows
        are sorted by category and reduced by segment, so the order of summation is the
        same on all ranks.

        A batch with a value that is not finite does not change the bank, so later
        losses are not affected. A step in several parts counts as one batch, in the
        last part.

        Args:
            embeddings (torch.Tensor): t, (B, D) unit rows of this rank.
            text_anchors (torch.Tensor): T, (C, D).
            assignment (torch.Tensor, optional): argmax_c t . T_c, (B,) int64, if the
                caller has computed it; not used with ``soft_temperature``. Defaults to
                None.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = embeddings.detach().float()
            if assignment is None:
                assignment = (rows @ text_anchors.float().T).argmax(dim=1)
            # float32 represents integers below 2^24 exactly, far more than categories.
            packed = self._step.gather(
                torch.cat([rows, assignment[:, None].to(rows.dtype)], dim=1)
            )
            if packed is None:
                return
            rows, assignment = packed[:, :-1], packed[:, -1].long()
            if self.soft_temperature is None:
                # A category hit k times is written k times, with identical values.
                category, means = _category_means(rows, assignment)
                is_hit = torch.ones_like(category, dtype=torch.bool)
            else:
                category = torch.arange(len(text_anchors), device=rows.device)
                is_hit, means = _weighted_means(
                    rows, text_anchors.float(), self.soft_temperature
                )
            self._blend(category, means, is_hit & rows.isfinite().all())

    def _blend(
        self, category: torch.Tensor, means: torch.Tensor, is_hit: torch.Tensor
    ) -> None:
        old, seen = self.embeddings[category], self.seen[category, None]
        blended = self.momentum * old + (1 - self.momentum) * means
        updated = torch.where(seen, blended, means)
        if self.normalize:
            updated = F.normalize(updated, dim=1)
        self.embeddings[category] = torch.where(is_hit[:, None], updated, old)
        self.seen[category] |= is_hit


def _category_means(
    rows: torch.Tensor, assignment: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sorted categories (N,) and, for each entry, the mean of its category (N, D)."""
    category, order = assignment.sort(stable=True)
    is_first = torch.ones_like(category, dtype=torch.bool)
    is_first[1:] = category[1:] != category[:-1]
    segment = is_first.cumsum(0) - 1
    # N segments, the last ones empty: the host does not know their true number.
    lengths = torch.zeros_like(segment).scatter_add_(
        0, segment, torch.ones_like(segment)
    )
    means = torch.segment_reduce(rows[order], 'mean', lengths=lengths, unsafe=True)
    return category, means[segment]


def _weighted_means(
    rows: torch.Tensor, text_anchors: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether the weights of each category sum to 0.5 (C,), and its mean (C, D)."""
    weights = (rows @ text_anchors.T / temperature).softmax(dim=1)
    total = weights.sum(dim=0)
    is_hit = total >= 0.5
    # The clamp avoids divisions by zero; means of categories not hit are not used.
    return is_hit, (weights.T @ rows) / total.clamp(min=0.5)[:, None]
