"""The visual semantics bank and its language-guided aggregation (LGKA)."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_in_range


@MODELS.register_module()
class VisualSemanticsBank(nn.Module):
    """One visual anchor for each category, averaged from teacher embeddings.

    Rows start as unit-length Gaussian noise and count as unseen until an image
    of their category turns up. They are saved with the checkpoint and resumed.

    Args:
        num_categories (int): C.
        embed_dims (int): D.
        momentum (float): Weight m of the old row, in [0, 1). Defaults to 0.999.

    Attributes:
        embeddings (torch.Tensor): V, (C, D) float32; rows are *not*
            re-normalised after an update.
        seen (torch.Tensor): (C,) bool, whether a row was ever hit.

    Raises:
        ConfigError: The momentum is out of range.

    Source: arXiv 2406.11689, language-guided knowledge aggregation.
    """

    def __init__(
        self, num_categories: int, embed_dims: int, momentum: float = 0.999
    ) -> None:
        super().__init__()
        self.momentum = check_in_range(
            'VisualSemanticsBank.momentum', momentum, 0, 1, high_open=True
        )
        noise = F.normalize(torch.randn(num_categories, embed_dims), dim=1)
        self.register_buffer('embeddings', noise)
        self.register_buffer('seen', torch.zeros(num_categories, dtype=torch.bool))

    @torch.no_grad()
    def update(
        self,
        embeddings: torch.Tensor,
        text_anchors: torch.Tensor,
        assignment: torch.Tensor | None = None,
    ) -> None:
        """Aggregate a batch of teacher embeddings of all ranks into the bank.

        Language decides: each row belongs to the category whose text anchor it
        is most similar to. For each category hit, z_c is the plain mean of its
        rows; an unseen row becomes z_c, a seen one m V_c + (1 - m) z_c.

        One collective gathers embeddings and assignments together, so its size
        does not grow with C. There is no loop over categories, nothing that
        waits for the device, and no sum whose order could differ between ranks:
        sorted by category, the rows are reduced segment by segment.

        Args:
            embeddings (torch.Tensor): t, (B, D) unit rows of this rank; every
                rank must bring the same B.
            text_anchors (torch.Tensor): T, (C, D).
            assignment (torch.Tensor, optional): argmax_c t . T_c, (B,) int64,
                where the caller has it already. Defaults to None.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = embeddings.detach().float()
            if assignment is None:
                assignment = (rows @ text_anchors.float().T).argmax(dim=1)
            category, means = _category_means(*_gather(rows, assignment))
            old = self.embeddings[category]
            blended = self.momentum * old + (1 - self.momentum) * means
            seen = self.seen[category, None]
            # A category hit k times is written k times, with the same bits.
            self.embeddings[category] = torch.where(seen, blended, means)
            self.seen[category] = True


def _gather(
    rows: torch.Tensor, assignment: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (N, D) and assignments (N,) of all ranks, through one collective."""
    if get_world_size() == 1:
        return rows, assignment
    # float32 holds every integer below 2^24 exactly: far more than categories.
    packed = torch.cat([rows, assignment[:, None].to(rows.dtype)], dim=1)
    packed = torch.cat(all_gather(packed.contiguous()))
    return packed[:, :-1], packed[:, -1].long()


def _category_means(
    rows: torch.Tensor, assignment: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sorted categories (N,) and, beside each, the mean of its rows (N, D)."""
    category, order = assignment.sort(stable=True)
    is_first = torch.ones_like(category, dtype=torch.bool)
    is_first[1:] = category[1:] != category[:-1]
    segment = is_first.cumsum(0) - 1
    # N segments, the last ones empty: their true number is not known on the host.
    lengths = torch.zeros_like(segment).scatter_add_(
        0, segment, torch.ones_like(segment)
    )
    means = torch.segment_reduce(rows[order], 'mean', lengths=lengths, unsafe=True)
    return category, means[segment]
