"""Independent reference implementation of LGD in float64 numpy with loops."""

import numpy as np


def _softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def lgd_reference(s, t, text, visual, tau_s=0.2, tau_t=0.01, self_logit=True):
    """Returns L_TEX, L_VIS and their gradients with respect to s."""
    s, t, text, visual = (np.asarray(x, dtype=np.float64) for x in (s, t, text, visual))
    batch = len(s)
    losses = np.zeros(2)
    grads = np.zeros((2, *s.shape))
    for b in range(batch):
        own = t[b : b + 1] if self_logit else t[:0]
        anchor_sets = (text, np.concatenate([own, visual]))
        for which, anchors in enumerate(anchor_sets):
            q = _softmax(np.array([s[b] @ a for a in anchors]) / tau_s)
            p = _softmax(np.array([t[b] @ a for a in anchors]) / tau_t)
            losses[which] -= (p * np.log(q)).sum() / batch
            grads[which, b] = (q - p) @ anchors / tau_s / batch
    return losses[0], losses[1], grads[0], grads[1]


def lgka_reference(visual, seen, t, text, momentum):
    """The bank and its `seen` flags after one batch, category by category."""
    visual, seen = np.array(visual, dtype=np.float64), np.array(seen)
    t, text = np.asarray(t, dtype=np.float64), np.asarray(text, dtype=np.float64)
    owner = np.array([int(np.argmax([row @ c for c in text])) for row in t])
    for c in range(len(text)):
        rows = t[owner == c]
        if len(rows) == 0:
            continue
        z = rows.mean(axis=0)
        visual[c] = momentum * visual[c] + (1 - momentum) * z if seen[c] else z
        seen[c] = True
    return visual, seen


def weights_reference(counts, assignment, balance):
    """Weight of each image: its category's (n + 1)^-b, with an expected value of 1."""
    frequency = (np.asarray(counts, dtype=np.float64) + 1) / (sum(counts) + len(counts))
    mean = sum(f * f**-balance for f in frequency)
    return np.array([frequency[c] ** -balance / mean for c in assignment])


def k_means_reference(centres, started, rows, momentum):
    """Centres and number of started ones after a batch of online spherical k-means."""
    centres = np.array(centres, dtype=np.float64)
    rows = np.asarray(rows, dtype=np.float64)
    owner = [int(np.argmax([row @ c for c in centres])) for row in rows]
    moved = centres.copy()
    for k in range(len(centres)):
        mine = [row for row, index in zip(rows, owner) if index == k]
        if mine:
            kept = momentum ** len(mine)
            moved[k] = kept * centres[k] + (1 - kept) * np.mean(mine, axis=0)
            moved[k] /= np.linalg.norm(moved[k])
    for row in rows:
        if started < len(centres):
            moved[started] = row
            started += 1
    return moved, started


def soft_lgka_reference(visual, seen, t, text, momentum, temperature):
    """The same with soft assignment of images to categories."""
    visual, seen = np.array(visual, dtype=np.float64), np.array(seen)
    t, text = np.asarray(t, dtype=np.float64), np.asarray(text, dtype=np.float64)
    shares = np.array([_softmax(text @ row / temperature) for row in t])
    for c in range(len(text)):
        total = sum(share[c] for share in shares)
        if total < 0.5:
            continue
        z = sum(share[c] * row for share, row in zip(shares, t)) / total
        visual[c] = momentum * visual[c] + (1 - momentum) * z if seen[c] else z
        seen[c] = True
    return visual, seen
