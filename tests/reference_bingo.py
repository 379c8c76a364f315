"""Reference implementation of BINGO's losses in float64 numpy with loops."""

import numpy as np


def _contrast(x, y, queue, tau):
    """InfoNCE of one pair, and its gradient with respect to x."""
    rows = [y, *queue]
    logits = np.array([x @ row for row in rows]) / tau
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    slope = sum(weight * row for weight, row in zip(weights, rows)) - y
    return -np.log(weights[0]), slope / tau


def info_nce_reference(x, y, queue, tau):
    """N of each pair (B,)."""
    x, y, queue = (np.asarray(part, dtype=np.float64) for part in (x, y, queue))
    return np.array([_contrast(*pair, queue, tau)[0] for pair in zip(x, y)])


def bingo_reference(a, b, m, ta, tb, queue, mixing, tau=0.2, intra_only=False):
    """(L_a, L_b, L_mix), and of their mean the gradients by a, b and m."""
    parts = (np.asarray(part, dtype=np.float64) for part in (a, b, m, ta, tb, queue))
    a, b, m, ta, tb, queue = parts
    # Of each student row, its weights for t_a and t_b.
    shares = [(0.5, 0.5), (0.5, 0.5), (mixing, 1 - mixing)]
    if intra_only:
        shares[:2] = [(1, 0), (0, 1)]
    losses, grads = np.zeros(3), np.zeros((3, *a.shape))
    for which, (student, (to_anchor, to_positive)) in enumerate(zip((a, b, m), shares)):
        for i in range(len(student)):
            for share, target in ((to_anchor, ta[i]), (to_positive, tb[i])):
                value, slope = _contrast(student[i], target, queue, tau)
                losses[which] += share * value / len(student)
                grads[which, i] += share * slope / len(student) / 3
    return losses, grads
