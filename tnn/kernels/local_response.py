r"""Local response normalization across channels of arrays (N, C, L).

    local_response_forward    s_c = k + alpha sum_{c - before <= j <= c + after} x_j^2,   y_c = x_c s_c^-beta
    local_response_backward   dx_c = g_c s_c^-beta - 2 alpha beta x_c sum_{c - after <= j <= c + before} g_j y_j / s_j

The backward's windows are arguments of its own: the sum over j is the exact gradient's with those written here.

A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural networks" (2012).
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from ._math import exp, log

TILE = 256


@njit(**JIT)
def _forward_task(x, y, s, j0, j1, before, after, keep_first, alpha, beta, k):
    """Columns j0 <= j < j1 of one sample x (C, L)."""
    channels, w = x.shape[0], j1 - j0
    for c in range(channels):
        out, total = y[c][j0:j1], s[c][j0:j1]
        for j in range(w):
            total[j] = 0.0
        lo = max(0, c - before)
        for i in range(lo - 1 if keep_first and lo > 0 else lo, min(channels, c + after + 1)):
            a = x[i][j0:j1] if i >= lo else x[0][j0:j1]
            for j in range(w):
                total[j] += a[j] * a[j]
        a = x[c][j0:j1]
        for j in range(w):
            total[j] = k + alpha * total[j]
            out[j] = a[j] * exp(-beta * log(total[j]))


@njit(parallel=True, **JIT)
def local_response_forward(x, y, s, before, after, keep_first, alpha, beta, k):
    """x, y (written), s (written): (N, C, L). alpha, beta, k: scalars of x's dtype.

    keep_first: channel 0 stays in the windows that have moved past it.
    """
    batch, channels, length = x.shape
    tiles = (length + TILE - 1) // TILE
    if x.size < GRAIN // 4:
        for t in range(batch * tiles):
            j0 = t % tiles * TILE
            n = t // tiles
            _forward_task(x[n], y[n], s[n], j0, min(length, j0 + TILE), before, after, keep_first, alpha, beta, k)
    else:
        for t in prange(batch * tiles):
            n = np.intp(t) // tiles
            j0 = np.intp(t) % tiles * TILE
            _forward_task(x[n], y[n], s[n], j0, min(length, j0 + TILE), before, after, keep_first, alpha, beta, k)


@njit(**JIT)
def _backward_task(g, x, s, dx, j0, j1, before, after, alpha, beta):
    """Columns j0 <= j < j1 of one sample; q holds g y / s."""
    channels, w = x.shape[0], j1 - j0
    q = np.empty((channels, w), x.dtype)
    for c in range(channels):
        a, u, total, out, ratio = g[c][j0:j1], x[c][j0:j1], s[c][j0:j1], dx[c][j0:j1], q[c]
        for j in range(w):
            power = a[j] * exp(-beta * log(total[j]))
            out[j] = power
            ratio[j] = power * u[j] / total[j]
    twice = 2 * alpha * beta
    for c in range(channels):
        u, out = x[c][j0:j1], dx[c][j0:j1]
        for i in range(max(0, c - before), min(channels, c + after + 1)):
            ratio = q[i]
            for j in range(w):
                out[j] -= twice * u[j] * ratio[j]


@njit(parallel=True, **JIT)
def local_response_backward(g, x, s, dx, before, after, alpha, beta):
    """g, x, s (as the forward wrote it), dx (written): (N, C, L). alpha, beta: scalars of x's dtype."""
    batch, channels, length = x.shape
    tiles = (length + TILE - 1) // TILE
    if x.size < GRAIN // 4:
        for t in range(batch * tiles):
            j0 = t % tiles * TILE
            n = t // tiles
            _backward_task(g[n], x[n], s[n], dx[n], j0, min(length, j0 + TILE), before, after, alpha, beta)
    else:
        for t in prange(batch * tiles):
            n = np.intp(t) // tiles
            j0 = np.intp(t) % tiles * TILE
            _backward_task(g[n], x[n], s[n], dx[n], j0, min(length, j0 + TILE), before, after, alpha, beta)
