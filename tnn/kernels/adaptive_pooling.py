"""Pooling over windows given one by one: adaptive and fractional pooling in one to three dimensions.

Arrays are (planes, D, H, W). ``lo`` and ``hi`` are int64 arrays of shape (3, n): output o of dimension j pools the
inputs
lo[j, o] <= i < hi[j, o]. Adaptive pooling to ``m`` outputs of ``n`` inputs has lo = floor(o*n/m), hi = ceil((o+1)*n/m).
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT


@njit(**JIT)
def _sum_row(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@njit(**JIT)
def _avg_plane(x, y, lo, hi):
    for a in range(y.shape[0]):
        for b in range(y.shape[1]):
            for c in range(y.shape[2]):
                total = x.dtype.type(0)
                for z in range(lo[0, a], hi[0, a]):
                    if hi[2, c] - lo[2, c] == x.shape[2]:  # whole rows lie side by side
                        total += _sum_row(x[z, lo[1, b] : hi[1, b]].reshape(-1))
                        continue
                    for r in range(lo[1, b], hi[1, b]):
                        total += _sum_row(x[z, r, lo[2, c] : hi[2, c]])
                n = (hi[0, a] - lo[0, a]) * (hi[1, b] - lo[1, b]) * (hi[2, c] - lo[2, c])
                y[a, b, c] = total / x.dtype.type(n)


@njit(parallel=True, **JIT)
def adaptive_avg_pool_forward(x, y, lo, hi):
    """Writes y (planes, OD, OH, OW): the mean over each window."""
    n = x.shape[0]
    if x.size < GRAIN:
        for i in range(n):
            _avg_plane(x[i], y[i], lo, hi)
    else:
        for i in prange(n):
            _avg_plane(x[i], y[i], lo, hi)


@njit(**JIT)
def _avg_plane_backward(gy, gx, lo, hi):
    for z in range(gx.shape[0]):
        for r in range(gx.shape[1]):
            for i in range(gx.shape[2]):
                gx[z, r, i] = 0
    for a in range(gy.shape[0]):
        for b in range(gy.shape[1]):
            for c in range(gy.shape[2]):
                n = (hi[0, a] - lo[0, a]) * (hi[1, b] - lo[1, b]) * (hi[2, c] - lo[2, c])
                g = gy[a, b, c] / gy.dtype.type(n)
                for z in range(lo[0, a], hi[0, a]):
                    for r in range(lo[1, b], hi[1, b]):
                        row = gx[z, r, lo[2, c] : hi[2, c]]
                        for i in range(row.size):
                            row[i] += g


@njit(parallel=True, **JIT)
def adaptive_avg_pool_backward(gy, gx, lo, hi):
    """Writes gx (planes, D, H, W) from gy (planes, OD, OH, OW)."""
    n = gx.shape[0]
    if gx.size < GRAIN:
        for i in range(n):
            _avg_plane_backward(gy[i], gx[i], lo, hi)
    else:
        for i in prange(n):
            _avg_plane_backward(gy[i], gx[i], lo, hi)


@njit(**JIT)
def _max_plane(x, y, index, lo, hi):
    h, w = x.shape[1], x.shape[2]
    for a in range(y.shape[0]):
        for b in range(y.shape[1]):
            for c in range(y.shape[2]):
                best = x.dtype.type(-np.inf)
                at = (lo[0, a] * h + lo[1, b]) * w + lo[2, c]
                for z in range(lo[0, a], hi[0, a]):
                    for r in range(lo[1, b], hi[1, b]):
                        for i in range(lo[2, c], hi[2, c]):
                            v = x[z, r, i]
                            if v > best or v != v:
                                best = v
                                at = (z * h + r) * w + i
                y[a, b, c] = best
                index[a, b, c] = at


@njit(parallel=True, **JIT)
def adaptive_max_pool_forward(x, y, index, lo, hi):
    """Writes y and index (int64, flat in the plane), both (planes, OD, OH, OW): the maximum of each window."""
    n = x.shape[0]
    if x.size < GRAIN:
        for i in range(n):
            _max_plane(x[i], y[i], index[i], lo, hi)
    else:
        for i in prange(n):
            _max_plane(x[i], y[i], index[i], lo, hi)


@njit(parallel=True, **JIT)
def fractional_max_pool_forward(x, y, index, lo, hi):
    """As adaptive_max_pool_forward, with windows of each plane's own: lo and hi are (planes, 3, n)."""
    for i in prange(x.shape[0]):
        _max_plane(x[i], y[i], index[i], lo[i], hi[i])
