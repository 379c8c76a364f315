"""Rows of all ranks, with a gradient for one's own."""

import torch
from mmengine.dist import all_gather, get_rank, get_world_size


def gather_rows(rows: torch.Tensor) -> torch.Tensor:
    """Rows of all ranks, for a loss that every rank computes alike.

    Each rank's gradient is the one with respect to its own rows, times the number
    of ranks: averaged over ranks, as DistributedDataParallel does, gradients of
    parameters are those of one rank with the whole batch. This holds where all
    ranks compute the same loss of the gathered rows, and nothing is sent back.

    Args:
        rows (torch.Tensor): (B, D); every rank must bring the same B.

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
