"""Slow and plain references."""

import numpy as np


def _windows(x, k, s, p, d, fill):
    """The windows of (N, C, H, W) as (N, C, OH, OW, k, k), with the padding's value."""
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    span = d * (k - 1) + 1
    oh, ow = ((n - span) // s + 1 for n in x.shape[2:])
    out = np.empty(x.shape[:2] + (oh, ow, k, k), x.dtype)
    for i in range(oh):
        for j in range(ow):
            out[:, :, i, j] = x[:, :, i * s : i * s + span : d, j * s : j * s + span : d]
    return out


def max_pool2d(x, k, s, p, d):
    """The largest element of each window."""
    return _windows(x, k, s, p, d, -np.inf).max((-2, -1))


def avg_pool2d(x, k, s, p, include_pad):
    """The mean of each window."""
    total = _windows(x, k, s, p, 1, 0).sum((-2, -1))
    count = _windows(np.ones_like(x), k, s, p, 1, 1 if include_pad else 0).sum((-2, -1))
    return total / count
