"""Reference implementation of the mimicry losses in float64 numpy with loops."""

from collections.abc import Callable

import numpy as np


def _log_softmax(x):
    shifted = x - x.max()
    return shifted - np.log(np.exp(shifted).sum())


def kl_row(student, teacher, tau):
    """KL(softmax(teacher / tau) || softmax(student / tau)) of two vectors."""
    q, p = _log_softmax(np.array(student) / tau), _log_softmax(np.array(teacher) / tau)
    return sum(np.exp(p[k]) * (p[k] - q[k]) for k in range(len(p)))


def mimicry(s, t):
    """Mean over all elements of the squared difference."""
    total = sum((s[b, d] - t[b, d]) ** 2 for b, d in np.ndindex(s.shape))
    return total / s.size


def relational(s, t, tau):
    """Mean over i of the divergence over j != i."""
    total = 0.0
    for i in range(len(s)):
        others = [j for j in range(len(s)) if j != i]
        total += kl_row(
            [s[i] @ s[j] for j in others], [t[i] @ t[j] for j in others], tau
        )
    return total / len(s)


def queue_term(s, t, queue, tau):
    """Mean over b of the divergence over the rows of the queue."""
    rows = range(len(s))
    return np.mean([kl_row(queue @ s[b], queue @ t[b], tau) for b in rows])


def resize(maps, height, width):
    """Bilinear, half-pixel centres, clamped at the border: (B, C, height, width)."""
    rows, columns = maps.shape[2:]
    out = np.zeros((*maps.shape[:2], height, width))
    for y, x in np.ndindex(height, width):
        v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
        u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
        top, left = int(v), int(u)
        low, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        for row, weight in ((top, 1 - (v - top)), (low, v - top)):
            out[:, :, y, x] += weight * (1 - (u - left)) * maps[:, :, row, left]
            out[:, :, y, x] += weight * (u - left) * maps[:, :, row, right]
    return out


def spatial_mse(student, teacher):
    """Mean over all elements, on the teacher's grid."""
    student = resize(student, *teacher.shape[2:])
    total = sum((student[i] - teacher[i]) ** 2 for i in np.ndindex(teacher.shape))
    return total / teacher.size


def spatial_relations(student, teacher, tau):
    """Mean over images and locations of the divergence over locations."""
    student = resize(student, *teacher.shape[2:])
    rows = []
    for image in range(len(teacher)):
        cosines = []
        for maps in (student[image], teacher[image]):
            places = [maps[:, y, x] for y, x in np.ndindex(maps.shape[1:])]
            places = [place / np.linalg.norm(place) for place in places]
            cosines.append([[a @ b for b in places] for a in places])
        rows += [kl_row(*pair, tau) for pair in zip(*cosines)]
    return np.mean(rows)


def conv1x1(maps, weight, bias):
    """A 1 x 1 convolution of maps (B, C, h, w)."""
    return np.einsum('bchw,oc->bohw', maps, weight) + bias[None, :, None, None]


def gradient(function: Callable, x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences of a scalar function."""
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            values.append(function(moved))
        grad[index] = (values[0] - values[1]) / (2 * step)
    return grad
