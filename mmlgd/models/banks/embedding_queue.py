"""A first-in, first-out queue of teacher embeddings."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count
from mmlgd.utils.gather import gather_rows


@MODELS.register_module()
class EmbeddingQueue(nn.Module):
    """The latest teacher embeddings of all ranks, the same on each of them.

    Rows start as unit-length Gaussian noise. They and the position are saved
    with the checkpoint and resumed.

    Args:
        size (int): K, the number of rows kept, at least 1.
        embed_dims (int): D.

    Attributes:
        embeddings (torch.Tensor): Q, (K, D) float32. :meth:`update` writes in
            place, so a loss whose backward pass comes after the update takes a
            ``clone()``.
        position (torch.Tensor): Scalar int64, the row written next, which is
            the oldest.

    Raises:
        ConfigError: The size is no whole number above 0.

    Source: arXiv 2101.04731 (SEED), after MoCo's dictionary, arXiv 1911.05722.
    """

    def __init__(self, size: int, embed_dims: int) -> None:
        super().__init__()
        self.size = check_count('EmbeddingQueue.size', size, 1)
        noise = F.normalize(torch.randn(size, embed_dims), dim=1)
        self.register_buffer('embeddings', noise)
        self.register_buffer('position', torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Put a batch of all ranks in the place of the oldest rows.

        The queue is a ring: a batch that reaches its end goes on at its start,
        so the size need not be a multiple of the batch. Of a batch with more
        rows than the queue, the last ones stay. In the place of a row that is not
        finite the old one stays: it would make every later loss NaN. Nothing waits
        for the device.

        Args:
            embeddings (torch.Tensor): (B, D) rows of this rank; every rank must
                bring the same B. The order is by rank, then by row.
        """
        rows = gather_rows(embeddings.detach().float())
        kept = rows[-self.size :]
        # Where the kept rows would stand, had the others been written before.
        first = self.position + (len(rows) - len(kept))
        offsets = torch.arange(len(kept), device=rows.device)
        places = (first + offsets) % self.size
        is_sound = kept.isfinite().all(dim=1, keepdim=True)
        self.embeddings[places] = torch.where(is_sound, kept, self.embeddings[places])
        self.position.add_(len(rows)).remainder_(self.size)
