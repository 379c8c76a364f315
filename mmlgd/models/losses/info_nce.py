"""The InfoNCE loss."""

import torch
import torch.nn.functional as F


def info_nce(
    embeddings: torch.Tensor,
    targets: torch.Tensor,
    negatives: torch.Tensor,
    temperature: float = 0.2,
) -> torch.Tensor:
    r"""InfoNCE loss of each embedding, with its target as the positive.

    .. math::
        N(x, y) = -\log \frac{\exp(x \cdot y / \tau)}
            {\exp(x \cdot y / \tau) + \sum_k \exp(x \cdot q_k / \tau)}

    Several targets of one embedding are contrasted separately; the sum over the
    negatives is computed once. Computed in float32, also under autocast.

    Args:
        embeddings (torch.Tensor): x, (B, D) unit rows, with gradient.
        targets (torch.Tensor): y, (B, D) or (P, B, D) unit rows.
        negatives (torch.Tensor): q, (K, D) rows.
        temperature (float): :math:`\tau`, above 0. Defaults to 0.2.

    Returns:
        torch.Tensor: N for each pair, (B,) or (P, B) float32.

    Source: arXiv 1807.03748; with teacher embeddings as in arXiv 2107.01691,
    equation 4.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings, targets = embeddings.float(), targets.float()
        positive = (embeddings * targets).sum(dim=-1) / temperature
        negative = embeddings @ negatives.float().T / temperature
        # More precise for small losses than a difference of two logarithms.
        return F.softplus(negative.logsumexp(dim=1) - positive)
