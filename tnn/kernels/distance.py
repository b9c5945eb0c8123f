"""p-norm distances between rows.

d(a, b) = (sum_j |a_j - b_j| ** p) ** (1 / p)        p = inf: the largest difference; p = 0: how many differ

dd/da_j = sign(a_j - b_j) (|a_j - b_j| / d) ** (p - 1),   0 where d is 0
"""

import numpy as np
from numba import njit, prange

from . import _math as m
from ._jit import GRAIN, JIT


@njit(**JIT)
def _distance(a, b, p):
    kind = a.dtype.type
    total = kind(0)
    if p == 2:
        for j in range(a.size):
            d = a[j] - b[j]
            total += d * d
        return np.sqrt(total)
    if p == 1:
        for j in range(a.size):
            total += abs(a[j] - b[j])
        return total
    if p == 0:
        for j in range(a.size):
            total += kind(1) if a[j] != b[j] else kind(0)
        return total
    if p == np.inf:
        for j in range(a.size):
            d = abs(a[j] - b[j])
            total = d if d > total or d != d else total
        return total
    q = kind(p)
    for j in range(a.size):
        total += m.pow(abs(a[j] - b[j]), q)
    return m.pow(total, kind(1) / q)


@njit(**JIT)
def _add_slope(a, b, p, dist, g, out):
    """Adds g * dd/da to out, all of one row's length."""
    kind = a.dtype.type
    if p == 0 or dist == 0:
        return
    if p == 2:
        k = g / dist
        for j in range(a.size):
            out[j] += k * (a[j] - b[j])
        return
    q = kind(p - 1)
    for j in range(a.size):
        d = a[j] - b[j]
        sign = kind(1) if d > 0 else (kind(-1) if d < 0 else kind(0))
        if p == 1:
            out[j] += g * sign
        elif p == np.inf:
            out[j] += g * sign if abs(d) == dist else kind(0)
        elif d != 0:
            out[j] += g * sign * m.pow(abs(d) / dist, q)


@njit(parallel=True, **JIT)
def cdist_forward(a, b, p, y):
    """Writes y (B, P, R) from a (B, P, M) and b (B, R, M); p float."""
    batch, rows, width = a.shape
    if y.size * width < GRAIN:
        for i in range(batch * rows):
            for r in range(b.shape[1]):
                y[i // rows, i % rows, r] = _distance(a[i // rows, i % rows], b[i // rows, r], p)
    else:
        for k in prange(batch * rows):
            i = np.intp(k)
            for r in range(b.shape[1]):
                y[i // rows, i % rows, r] = _distance(a[i // rows, i % rows], b[i // rows, r], p)


@njit(parallel=True, **JIT)
def cdist_backward(g, a, b, p, y, flip, ga):
    """Writes ga (B, P, M), the gradient of a. g and y are (B, P, R), or (B, R, P) where ``flip``."""
    batch, rows, width = a.shape
    for k in prange(batch * rows):
        i = np.intp(k) // rows
        r = np.intp(k) % rows
        out = ga[i, r]
        for j in range(width):
            out[j] = 0
        for s in range(b.shape[1]):
            if flip:
                _add_slope(a[i, r], b[i, s], p, y[i, s, r], g[i, s, r], out)
            else:
                _add_slope(a[i, r], b[i, s], p, y[i, r, s], g[i, r, s], out)


@njit(parallel=True, **JIT)
def pdist_forward(a, p, y):
    """Writes y (n (n - 1) / 2,), the distances of the rows r < s of a (n, M), in row-major order."""
    n = a.shape[0]
    for k in prange(n):
        r = np.intp(k)
        at = r * n - r * (r + 1) // 2
        for s in range(r + 1, n):
            y[at + s - r - 1] = _distance(a[r], a[s], p)


@njit(parallel=True, **JIT)
def pdist_backward(g, a, p, y, ga):
    """Writes ga (n, M)."""
    n = a.shape[0]
    for k in prange(n):
        r = np.intp(k)
        out = ga[r]
        for j in range(a.shape[1]):
            out[j] = 0
        for s in range(n):
            if s != r:
                lo, hi = min(r, s), max(r, s)
                at = lo * n - lo * (lo + 1) // 2 + hi - lo - 1
                _add_slope(a[r], a[s], p, y[at], g[at], out)
