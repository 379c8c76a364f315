"""Differentiable gathering of rows from all ranks, and from all parts of a step."""

import torch
from mmengine.dist import all_gather, get_dist_info, get_world_size

from .step_parts import current_part


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Gather rows of all ranks, for a loss that is the same on every rank.

    Each rank gets the gradient with respect to its own rows, times the inverse of its
    share of all rows (the number of ranks, if all have equally many). Averaged over
    ranks, as in DistributedDataParallel, with that share as the weight of a rank's loss,
    parameter gradients equal those of one rank with the whole batch. This requires that
    all ranks compute the same loss of the gathered rows. The backward pass needs no
    communication.

    Args:
        rows (torch.Tensor): (B, ...). B must be the same on every rank, unless
            :func:`~mmlgd.utils.step_parts.current_part` has their numbers.

    Returns:
        torch.Tensor: (sum of B, ...), the first row of each rank, then the second of
        each, and so on. This is the order of :class:`~mmlgd.datasets.ViewSampler`, so it
        does not depend on the number of ranks. With one rank, the rows themselves.
    """
    return rows if get_world_size() == 1 else _GatherRows.apply(rows)


class StepRows:
    """Gathers the rows of a whole step, also if it is computed in parts."""

    def __init__(self) -> None:
        self._parts: list[torch.Tensor] = []

    def gather(self, rows: torch.Tensor) -> torch.Tensor | None:
        """Gather the rows of a forward pass.

        Args:
            rows (torch.Tensor): As for :func:`gather_rows`.

        Returns:
            torch.Tensor | None: The rows of the step, in the last of its parts; None in
            the others.
        """
        part, gathered = current_part(), gather_rows(rows)
        if part is None:
            return gathered
        if part.is_first:
            # Those of a step that was not completed.
            self._parts.clear()
        self._parts.append(gathered)
        if not part.is_last:
            return None
        whole = torch.cat(self._parts)
        self._parts.clear()
        return whole


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: torch.Tensor) -> torch.Tensor:
        part = current_part()
        ctx.rank, ctx.world_size = get_dist_info()
        counts = part.rows if part else (len(rows),) * ctx.world_size
        ctx.own, ctx.given, ctx.total = counts[ctx.rank], len(rows), sum(counts)
        # Collectives need equal sizes. Lower ranks have at most one row more, so all
        # padding is at the end.
        most = counts[0]
        rows = rows[:most]
        missing = rows.new_zeros(most - len(rows), *rows.shape[1:])
        gathered = all_gather(torch.cat([rows, missing]))
        return torch.stack(gathered, dim=1).flatten(0, 1)[: ctx.total]

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        own = grad[ctx.rank :: ctx.world_size] * (ctx.total / max(ctx.own, 1))
        return torch.cat([own, own.new_zeros(ctx.given - len(own), *own.shape[1:])])
