"""Differentiable gathering of rows from all ranks."""

import torch
from mmengine.dist import all_gather, get_rank, get_world_size


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Gather rows of all ranks, for a loss that is the same on every rank.

    Each rank gets the gradient with respect to its own rows, times the number of ranks.
    Averaged over ranks, as in DistributedDataParallel, parameter gradients equal those
    of one rank with the whole batch. This requires that all ranks compute the same loss
    of the gathered rows. The backward pass needs no communication.

    Args:
        rows (torch.Tensor): (B, D); B must be the same on every rank.

    Returns:
        torch.Tensor: (W B, D), by rank; with one rank, the rows themselves.
    """
    return rows if get_world_size() == 1 else _GatherRows.apply(rows)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: torch.Tensor) -> torch.Tensor:
        ctx.batch_size = len(rows)
        return torch.cat(all_gather(rows.contiguous()))

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        start = get_rank() * ctx.batch_size
        return grad[start : start + ctx.batch_size] * get_world_size()
