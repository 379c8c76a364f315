"""Views, batches and loss for training a teacher."""

from collections.abc import Iterator

import open_clip
import torch
import torch.nn.functional as F


def random_views(images: torch.Tensor, size: int, jitter: float = 0.4) -> torch.Tensor:
    """Augment a batch as in the distillation: crop, flip, jitter.

    Batched versions of the distillation's transforms: a crop of 40 to 100 % of the
    area, resized bilinearly; a flip with probability 0.5; and a change of brightness
    and contrast with probability 0.8.

    Args:
        images: (B, C, H, W) float, gray or RGB, 0 to 255.
        size: Height and width of the result in pixels.
        jitter: Largest relative change of brightness and of contrast.

    Returns:
        (B, C, size, size) float, integer values from 0 to 255.
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
    """One epoch of index batches, consisting of groups with one image per category.

    Args:
        labels: (N,) labels 0 to C - 1, equally frequent.
        groups: Number of groups in a batch, G.

    Yields:
        (G, C) indices into ``labels``; column c has images of category c.
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

    Within a group, all images have different categories. Across groups, categories
    repeat, and the loss would push an image away from a caption that describes it.

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
    """CLIP's loss for batches in which several texts may describe an image.

    All images and texts with the same key match; the target distributes the probability
    evenly among them. If all keys differ, the loss equals open_clip's ``ClipLoss``.
    Classes may have any sizes.

    Args:
        image_features: (B, D) unit rows.
        text_features: (B, D) unit rows, row b a caption of image b.
        keys: (B,) class of each caption; equal keys mean equal content.
        scale: Inverse temperature, a scalar.

    Returns:
        Scalar loss.
    """
    logits = scale * image_features @ text_features.T
    same = (keys[:, None] == keys).to(logits)
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
