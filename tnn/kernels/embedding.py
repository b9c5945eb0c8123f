"""Looking rows of a table up, one by one or in bags, and adding gradients back to them.

embedding_forward    y[i] = w[index[i]]
bag_forward          y[b] = sum of psw[i] w[index[i]] over the bag's i, divided by their number for the mean, or the
maximum
add_rows             gw[index[i]] += scale[i] g[source[i]],   in the order of i
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from ._math import pow as power

# Columns that one task of add_rows takes: tasks never share an element, so the order of addition is fixed.
COLUMNS = 64
SUM, MEAN, MAX = range(3)


@njit(**JIT)
def invalid_index(index, n):
    """The position of the first element of a 1-D int64 array outside [0, n), or -1."""
    bad = False
    for i in range(index.size):  # without a way out, so that it vectorises
        bad |= (index[i] < 0) | (index[i] >= n)
    if bad:
        for i in range(index.size):
            if index[i] < 0 or index[i] >= n:
                return i
    return -1


@njit(**JIT)
def _copy_rows(w, index, y):
    for i in range(index.size):
        row, out = w[np.uint64(index[i])], y[i]
        for j in range(out.size):
            out[j] = row[j]


@njit(parallel=True, **JIT)
def embedding_forward(w, index, y):
    """Writes y (n, D) from w (V, D) and index (n,) in [0, V)."""
    if y.size < GRAIN:
        _copy_rows(w, index, y)
    else:
        per = max(1, GRAIN // 2 // y.shape[1])
        for c in prange((index.size + per - 1) // per):
            lo = np.intp(c) * per
            hi = min(index.size, lo + per)
            _copy_rows(w, index[lo:hi], y[lo:hi])


@njit(parallel=True, **JIT)
def count_rows(index, count):
    """Writes count (V,) int64: how often each row is asked for."""
    for v in prange(count.size):
        count[v] = 0
    for i in range(index.size):
        count[index[i]] += 1


@njit(**JIT)
def _add(g, source, scale, index, pad, gw, lo, hi):
    for i in range(index.size):
        if index[i] == pad:
            continue
        row, out = g[np.uint64(source[i])][lo:hi], gw[np.uint64(index[i])][lo:hi]
        s = scale[i]
        for j in range(out.size):
            out[j] += s * row[j]


@njit(parallel=True, **JIT)
def add_rows(g, source, scale, index, pad, gw):
    """Writes gw (V, D): zeros, and for each i not at ``pad`` scale[i] g[source[i]] added to row index[i]."""
    width = gw.shape[1]
    if gw.size < GRAIN:
        for v in range(gw.shape[0]):
            for j in range(width):
                gw[v, j] = 0
    else:
        for v in prange(gw.shape[0]):
            out = gw[v]
            for j in range(width):
                out[j] = 0
    if index.size * width < GRAIN:
        _add(g, source, scale, index, pad, gw, 0, width)
    else:
        for c in prange((width + COLUMNS - 1) // COLUMNS):
            lo = np.intp(c) * COLUMNS
            _add(g, source, scale, index, pad, gw, lo, min(width, lo + COLUMNS))


@njit(**JIT)
def _add_four(a, b, c, d, weight, y):
    p, q, r, s = weight[0], weight[1], weight[2], weight[3]
    for j in range(y.size):
        y[j] += (p * a[j] + q * b[j]) + (r * c[j] + s * d[j])


@njit(**JIT)
def _bag(w, index, weight, mode, pad, y, best):
    """Reduces one bag into y (D,); best (D,) gets the rows of the maxima (-1: none). Returns how many rows counted."""
    for j in range(y.size):
        y[j] = 0
    count = done = 0
    while mode != MAX and done + 4 <= index.size:  # four rows at a time: y is read and written less often
        a, b, c, d = index[done], index[done + 1], index[done + 2], index[done + 3]
        if a == pad or b == pad or c == pad or d == pad:
            break
        _add_four(w[np.uint64(a)], w[np.uint64(b)], w[np.uint64(c)], w[np.uint64(d)], weight[done : done + 4], y)
        count += 4
        done += 4
    for i in range(done, index.size):
        if index[i] == pad:
            continue
        row = w[np.uint64(index[i])]
        if mode == MAX:
            for j in range(y.size):
                if count == 0 or row[j] > y[j] or row[j] != row[j]:
                    y[j] = row[j]
                    best[j] = index[i]
        else:
            s = weight[i]
            for j in range(y.size):
                y[j] += s * row[j]
        count += 1
    if mode == MEAN and count > 0:
        for j in range(y.size):
            y[j] /= y.dtype.type(count)
    if mode == MAX and count == 0:
        for j in range(y.size):
            best[j] = -1
    return count


@njit(parallel=True, **JIT)
def bag_forward(w, index, bounds, weight, mode, pad, y, best, count):
    """Writes y (B, D), count (B,) int64, and for the maximum best (B, D) int64 (else it has no rows).

    index and weight are (n,); bag b holds bounds[b] <= i < bounds[b + 1].
    """
    none = np.empty(0, np.int64)
    if index.size * w.shape[1] < GRAIN:
        for b in range(y.shape[0]):
            lo, hi = bounds[b], bounds[b + 1]
            count[b] = _bag(w, index[lo:hi], weight[lo:hi], mode, pad, y[b], best[b] if mode == MAX else none)
    else:
        for b in prange(y.shape[0]):
            lo, hi = bounds[b], bounds[b + 1]
            count[b] = _bag(w, index[lo:hi], weight[lo:hi], mode, pad, y[b], best[b] if mode == MAX else none)


@njit(parallel=True, **JIT)
def bag_max_backward(g, best, gw):
    """Writes gw (V, D): zeros, and g (B, D) added to the rows of the maxima."""
    for v in prange(gw.shape[0]):
        for j in range(gw.shape[1]):
            gw[v, j] = 0
    for b in range(g.shape[0]):
        for j in range(g.shape[1]):
            if best[b, j] >= 0:
                gw[best[b, j], j] += g[b, j]


@njit(parallel=True, **JIT)
def bag_weight_backward(g, w, index, source, pad, gs):
    """Writes gs (n,): g[source[i]] . w[index[i]], 0 at ``pad``."""
    for i in prange(index.size):
        total = w.dtype.type(0)
        if index[i] != pad:
            a, b = g[source[i]], w[index[i]]
            for j in range(a.size):
                total += a[j] * b[j]
        gs[i] = total


@njit(parallel=True, **JIT)
def renorm_rows(w, index, p, limit):
    """Scales the rows of w (V, D) named by index (distinct) whose p-norm exceeds ``limit`` down to it, in place."""
    for i in prange(index.size):
        row = w[index[i]]
        total = 0.0
        for j in range(row.size):
            a = abs(row[j])
            if p == 2.0:
                total += a * a
            elif p == 1.0:
                total += a
            elif p == np.inf:
                total = max(total, np.float64(a))
            else:
                total += power(np.float64(a), p)
        norm = np.sqrt(total) if p == 2.0 else (total if p == 1.0 or p == np.inf else total ** (1 / p))
        if norm > limit:
            s = row.dtype.type(limit / (norm + 1e-7))
            for j in range(row.size):
                row[j] *= s
