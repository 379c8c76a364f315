"""Independent reference implementation of SEED in float64 numpy with loops."""

import numpy as np

from tests.reference import _softmax


def seed_reference(s, t, queue, tau_s=0.2, tau_t=0.01):
    """Returns the loss and its gradient with respect to s."""
    s, t, queue = (np.asarray(x, dtype=np.float64) for x in (s, t, queue))
    loss, grad = 0.0, np.zeros_like(s)
    for b in range(len(s)):
        anchors = np.concatenate([t[b : b + 1], queue])
        q = _softmax(np.array([s[b] @ a for a in anchors]) / tau_s)
        p = _softmax(np.array([t[b] @ a for a in anchors]) / tau_t)
        loss -= (p * np.log(q)).sum() / len(s)
        grad[b] = (q - p) @ anchors / tau_s / len(s)
    return loss, grad


class QueueReference:
    """A list of rows and the index of the oldest, pushed row by row."""

    def __init__(self, rows) -> None:
        self.rows = [np.array(row, dtype=np.float64) for row in rows]
        self.oldest = 0

    def push(self, rows) -> None:
        for row in np.asarray(rows, dtype=np.float64):
            self.rows[self.oldest] = row
            self.oldest = (self.oldest + 1) % len(self.rows)
