"""Cluster centres of teacher embeddings: anchors that need no names."""

import torch
import torch.nn.functional as F
from torch import nn

from mmlgd.registry import MODELS
from mmlgd.utils.checks import check_count, check_in_range
from mmlgd.utils.gather import StepRows


@MODELS.register_module()
class ClusterBank(nn.Module):
    """Centres of the teacher's embeddings, updated by online spherical k-means.

    The first K embeddings of the training become the centres; until then, rows are
    unit-length Gaussian noise, as in a queue. They are saved in the checkpoint,
    restored on resume, and identical on every rank.

    Args:
        num_clusters (int): K, at least 1.
        embed_dims (int): D.
        momentum (float): Weight of the old centre for each assigned embedding, in
            [0, 1). Defaults to 0.99.

    Attributes:
        embeddings (torch.Tensor): (K, D) float32 unit rows.
        num_started (torch.Tensor): Scalar int64, number of embeddings that became
            centres, at most K.

    Raises:
        ConfigError: The number is not an integer above 0, or the momentum is out of
            range.
    """

    def __init__(
        self, num_clusters: int, embed_dims: int, momentum: float = 0.99
    ) -> None:
        super().__init__()
        self.num_clusters = check_count('ClusterBank.num_clusters', num_clusters, 1)
        self.momentum = check_in_range(
            'ClusterBank.momentum', momentum, 0, 1, high_open=True
        )
        noise = F.normalize(torch.randn(num_clusters, embed_dims), dim=1)
        self.register_buffer('embeddings', noise)
        self.register_buffer('num_started', torch.zeros((), dtype=torch.int64))
        self._step = StepRows()

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Move the centres towards a batch of teacher embeddings of all ranks.

        Each embedding is assigned to the most similar centre. A centre with n of them
        becomes the unit row of m^n c + (1 - m^n) z, where z is their mean, so that one
        large batch moves it as far as several small ones. A batch with a value that is
        not finite changes nothing. There is no host synchronisation. A step in several
        parts counts as one batch, in the last part.

        Args:
            embeddings (torch.Tensor): t, (B, D) unit rows of this rank.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = self._step.gather(embeddings.detach().float())
            if rows is None:
                return
            is_finite = rows.isfinite().all()
            moved = self._move(rows)
            moved = self._start(rows, moved)
            self.embeddings.copy_(torch.where(is_finite, moved, self.embeddings))
            started = (self.num_started + len(rows)).clamp(max=self.num_clusters)
            self.num_started.copy_(torch.where(is_finite, started, self.num_started))

    def _move(self, rows: torch.Tensor) -> torch.Tensor:
        nearest = (rows @ self.embeddings.T).argmax(dim=1)
        # A product, since scattered sums are not deterministic on GPUs, and ranks
        # must stay identical.
        clusters = torch.arange(self.num_clusters, device=rows.device)
        members = (nearest[:, None] == clusters).to(rows.dtype)
        count = members.sum(dim=0)[:, None]
        mean = (members.T @ rows) / count.clamp(min=1)
        kept = self.momentum**count
        return F.normalize(kept * self.embeddings + (1 - kept) * mean, dim=1)

    def _start(self, rows: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        """Replace noise by the batch's rows, as long as some is left."""
        rows = rows[: self.num_clusters]
        index = self.num_started + torch.arange(len(rows), device=rows.device)
        is_noise = index < self.num_clusters
        index = index % self.num_clusters
        started = moved.clone()
        started[index] = torch.where(is_noise[:, None], rows, moved[index])
        return started
