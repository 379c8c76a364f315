"""A first-in, first-out queue of teacher embeddings."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count
from mmlgd.utils.gather import StepRows


@MODELS.register_module()
class EmbeddingQueue(nn.Module):
    """The latest teacher embeddings of all ranks, identical on every rank.

    Rows are initialised with unit-length Gaussian noise. Rows and position are saved
    in the checkpoint and restored on resume.

    Args:
        size (int): K, the number of rows kept, at least 1.
        embed_dims (int): D.

    Attributes:
        embeddings (torch.Tensor): Q, (K, D) float32. :meth:`update` writes in
            place, so a loss whose backward pass follows the update needs a
            ``clone()``.
        position (torch.Tensor): Scalar int64, index of the row written next, which
            is the oldest.

    Raises:
        ConfigError: The size is not an integer above 0.

    Source: arXiv 2101.04731 (SEED), after MoCo's dictionary, arXiv 1911.05722.
    """

    def __init__(self, size: int, embed_dims: int) -> None:
        super().__init__()
        self.size = check_count('EmbeddingQueue.size', size, 1)
        noise = F.normalize(torch.randn(size, embed_dims), dim=1)
        self.register_buffer('embeddings', noise)
        self.register_buffer('position', torch.zeros((), dtype=torch.int64))
        self._step = StepRows()

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Replace the oldest rows by a batch gathered from all ranks.

        Of a step in several parts, all rows are added in the last part.

        The queue is a ring buffer: a batch that reaches its end continues at its start,
        so the size need not be a multiple of the batch size. Of a batch with more rows
        than the queue, the last ones are kept. A row that is not finite does not replace
        the old one, since it would turn every later loss into NaN. There is no host
        synchronisation.

        Args:
            embeddings (torch.Tensor): (B, D) rows of this rank. The order is that of
                :func:`~mmlgd.utils.gather.gather_rows`.
        """
        rows = self._step.gather(embeddings.detach().float())
        if rows is None:
            return
        kept = rows[-self.size :]
        # The position after writing the rows that are not kept.
        first = self.position + (len(rows) - len(kept))
        offsets = torch.arange(len(kept), device=rows.device)
        indices = (first + offsets) % self.size
        is_finite = kept.isfinite().all(dim=1, keepdim=True)
        old = self.embeddings[indices]
        self.embeddings[indices] = torch.where(is_finite, kept, old)
        self.position.add_(len(rows)).remainder_(self.size)
