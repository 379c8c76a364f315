"""Two-dimensional maps of banks, and the neighbours of their names."""

import torch
import torch.nn.functional as F


def project_rows(rows: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Project rows onto their two main directions.

    Args:
        rows (torch.Tensor): (N, D).

    Returns:
        tuple[torch.Tensor, float]: Coordinates (N, 2), float32, around their mean, and
        the share of the variance that they show.
    """
    centred = rows.float() - rows.float().mean(dim=0)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    left, values = F.pad(left, (0, 2)), F.pad(values, (0, 2))
    points = left[:, :2] * values[:2]
    # The signs of singular vectors are arbitrary.
    largest = points.gather(0, points.abs().argmax(dim=0, keepdim=True))
    total = values.square().sum()
    share = (values[:2].square().sum() / total).item() if total > 0 else 1.0
    return points * torch.where(largest < 0, -1.0, 1.0), share


def align_points(
    points: torch.Tensor, known: list[int], targets: list[torch.Tensor]
) -> torch.Tensor:
    """Rotate and mirror a map so that points are close to their targets.

    No distance changes (orthogonal Procrustes problem).

    Args:
        points (torch.Tensor): (N, 2).
        known (list[int]): Indices of the K points with targets.
        targets (list[torch.Tensor]): K points (2,) of another map.
    """
    u, _, v = torch.linalg.svd(points[known].T @ torch.stack(targets))
    return points @ (u @ v)


def nearest_names(
    rows: torch.Tensor, names: list[str], number: int = 3
) -> list[list[tuple[str, float]]]:
    """The names of the most similar other rows of a bank.

    Args:
        rows (torch.Tensor): (C, D).
        names (list[str]): The C names.
        number (int): Neighbours of each, at most C - 1. Defaults to 3.

    Returns:
        list[list[tuple[str, float]]]: For each row, names with cosine similarities, the
        most similar first.
    """
    unit = F.normalize(rows.float(), dim=1)
    number = min(number, len(names) - 1)
    found = []
    # In parts: all similarities of many names at once would need gigabytes.
    for start in range(0, len(unit), 1024):
        part = unit[start : start + 1024] @ unit.T
        part[torch.arange(len(part)), torch.arange(start, start + len(part))] = -2
        best = part.topk(number, dim=1)
        for indices, values in zip(best.indices.tolist(), best.values.tolist()):
            found.append([(names[i], value) for i, value in zip(indices, values)])
    return found
