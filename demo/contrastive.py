"""Views, batches and loss of the teacher's training."""

from collections.abc import Iterator

import open_clip
import torch
import torch.nn.functional as F


def random_views(images: torch.Tensor, size: int, jitter: float = 0.4) -> torch.Tensor:
    """Augment a batch as the distillation will: crop, flip, jitter.

    Transforms of a distillation in batched form: a crop of 40 to 100 % of the
    area resized bilinearly, a flip with probability 0.5, and brightness and
    contrast changed with probability 0.8.

    Args:
        images: (B, C, H, W) float, gray or RGB, 0 to 255.
        size: Side of the result in pixels.
        jitter: Largest relative change of brightness and of contrast.

    Returns:
        (B, C, size, size) float, whole numbers from 0 to 255.
    """
    batch = len(images)

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.empty(batch).uniform_(low, high)

    area, ratio = uniform(0.4, 1.0), uniform(-0.2877, 0.2877).exp()
    extent = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp(max=1)
    centre = (1 - extent) * (2 * torch.rand(batch, 2) - 1)
    affine = torch.zeros(batch, 2, 3)
    affine[:, 0, 0] = extent[:, 0] * (torch.rand(batch) < 0.5).float().mul(2).sub(1)
    affine[:, 1, 1] = extent[:, 1]
    affine[:, :, 2] = centre
    grid = F.affine_grid(affine, [batch, 1, size, size], align_corners=False)
    views = F.grid_sample(images, grid, padding_mode='border', align_corners=False)
    jittered = (torch.rand(batch) < 0.8).float()
    brightness = 1 + jittered * uniform(-jitter, jitter)
    contrast = 1 + jittered * uniform(-jitter, jitter)
    views = views * brightness[:, None, None, None]
    mean = views.mean((1, 2, 3), keepdim=True)
    views = mean + contrast[:, None, None, None] * (views - mean)
    return views.round().clamp(0, 255)


def grouped_batches(labels: torch.Tensor, groups: int) -> Iterator[torch.Tensor]:
    """One epoch of index batches, each of groups that hold every category once.

    Args:
        labels: (N,) labels 0 to C - 1, the same number of each.
        groups: Groups in a batch, G.

    Yields:
        (G, C) positions in ``labels``; column c holds images of category c.
    """
    columns = []
    for label in range(int(labels.max()) + 1):
        positions = (labels == label).nonzero().flatten()
        columns.append(positions[torch.randperm(len(positions))])
    yield from torch.stack(columns, 1).split(groups)


def grouped_clip_loss(
    image_features: torch.Tensor, text_features: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Mean of open_clip's loss over groups.

    In a group no two images share a category. Across groups they do, and the
    loss would push an image away from a caption that is true of it.

    Args:
        image_features: (G, C, D) unit rows.
        text_features: (G, C, D) unit rows, row c the caption of image c.
        scale: Inverse temperature, a scalar.

    Returns:
        Scalar loss.
    """
    loss = open_clip.ClipLoss()
    groups = zip(image_features, text_features)
    return torch.stack([loss(image, text, scale) for image, text in groups]).mean()


def multi_positive_clip_loss(
    image_features: torch.Tensor,
    text_features: torch.Tensor,
    keys: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """CLIP's loss where several texts of a batch may be true of an image.

    All images and texts of one key belong together: the target is the same share for
    each of them. Of different keys throughout, it is open_clip's ``ClipLoss``. Classes
    may be of any sizes.

    Args:
        image_features: (B, D) unit rows.
        text_features: (B, D) unit rows, row b a caption of image b.
        keys: (B,) what the caption says; the same number, the same thing.
        scale: Inverse temperature, a scalar.

    Returns:
        Scalar loss.
    """
    logits = scale * image_features @ text_features.T
    same = (keys[:, None] == keys).to(logits)
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
