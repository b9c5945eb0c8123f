"""p-norm distances between rows.

d(a, b) = (sum_j |a_j - b_j| ** p) ** (1 / p)        p = inf: the largest difference; p = 0: how many differ

dd/da_j = sign(a_j - b_j) (|a_j - b_j| / d) ** (p - 1),   0 where d is 0

For p = 2 and many rows d ** 2 = |a| ** 2 - 2 a . b + |b| ** 2, whose products one matrix product gives; see
`euclidean_forward`. Cosine similarity is a . b / (max(|a|, eps) max(|b|, eps)).
"""

import numpy as np
from numba import njit, prange

from . import _math as m
from ._jit import GRAIN, JIT

# Rows in one task: by size alone.
ROWS = 32


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


@njit(**JIT)
def _row_slopes(g, a, b, p, y, flip, r, out):
    for j in range(out.size):
        out[j] = 0
    for s in range(b.shape[0]):
        if flip:
            _add_slope(a, b[s], p, y[s, r], g[s, r], out)
        else:
            _add_slope(a, b[s], p, y[r, s], g[r, s], out)


@njit(parallel=True, **JIT)
def cdist_backward(g, a, b, p, y, flip, ga):
    """Writes ga (B, P, M), the gradient of a. g and y are (B, P, R), or (B, R, P) where ``flip``."""
    batch, rows, width = a.shape
    if g.size * width < GRAIN:
        for k in range(batch * rows):
            i, r = k // rows, k % rows
            _row_slopes(g[i], a[i, r], b[i], p, y[i], flip, r, ga[i, r])
    else:
        for k in prange(batch * rows):
            i, r = np.intp(k) // rows, np.intp(k) % rows
            _row_slopes(g[i], a[i, r], b[i], p, y[i], flip, r, ga[i, r])


@njit(**JIT)
def _dot(a, b):
    total = a.dtype.type(0)
    for j in range(a.size):
        total += a[j] * b[j]
    return total


@njit(**JIT)
def _euclidean_row(norm, norms, y):
    zero = y.dtype.type(0)
    for r in range(y.size):
        v = y[r] + (norm + norms[r])
        y[r] = np.sqrt(v if (v > 0) | (v != v) else zero)


@njit(parallel=True, **JIT)
def euclidean_forward(a, b, norms, y):
    """Makes distances of y (B, P, R), which holds -2 a . b for a (B, P, M) and b (B, R, M); norms (B, R) is scratch.

    With that product 256 x 64 by 256 x 64 takes 37 us on two threads, 362 us by differences.
    """
    batch, rows, width = a.shape
    others = b.shape[1]
    for k in prange((batch * others + ROWS - 1) // ROWS):
        lo = np.intp(k) * ROWS
        for i in range(lo, min(batch * others, lo + ROWS)):
            row = b[i // others, i % others]
            norms[i // others, i % others] = _dot(row, row)
    for k in prange((batch * rows + ROWS - 1) // ROWS):
        lo = np.intp(k) * ROWS
        for i in range(lo, min(batch * rows, lo + ROWS)):
            row = a[i // rows, i % rows]
            _euclidean_row(_dot(row, row), norms[i // rows], y[i // rows, i % rows])


@njit(**JIT)
def _ratio_rows(g, y, a, ratio, scaled):
    """Rows of the ratio, and of a times their sums."""
    zero = y.dtype.type(0)
    for r in range(g.shape[0]):
        x, d, out = g[r], y[r], ratio[r]
        for s in range(out.size):
            out[s] = zero if d[s] == 0 else x[s] / d[s]
        total = zero
        for s in range(out.size):
            total += out[s]
        for j in range(scaled.shape[1]):
            scaled[r, j] = total * a[r, j]


@njit(**JIT)
def _column_sums(ratio, b, sums, scaled):
    """b times the sums of the ratio's columns."""
    for s in range(sums.size):
        sums[s] = 0
    for r in range(ratio.shape[0]):
        row = ratio[r]
        for s in range(sums.size):
            sums[s] += row[s]
    for s in range(sums.size):
        for j in range(scaled.shape[1]):
            scaled[s, j] = sums[s] * b[s, j]


@njit(parallel=True, **JIT)
def euclidean_backward(g, y, a, b, ratio, ga, gb):
    """Writes ratio (B, P, R), which is g / y or 0 where y is 0, and its sums along either side times the rows: ga (B,
    P, M) and gb (B, R, M). What is left is to take ratio b from ga and ratio' a from gb. gb may be empty."""
    batch, rows, others = g.shape
    per, parts = (rows + ROWS - 1) // ROWS, (others + ROWS - 1) // ROWS
    for k in prange(batch * per):
        i, lo = np.intp(k) // per, np.intp(k) % per * ROWS
        hi = min(rows, lo + ROWS)
        _ratio_rows(g[i, lo:hi], y[i, lo:hi], a[i, lo:hi], ratio[i, lo:hi], ga[i, lo:hi])
    if gb.size > 0:
        for k in prange(batch * parts):
            i, lo = np.intp(k) // parts, np.intp(k) % parts * ROWS
            hi = min(others, lo + ROWS)
            _column_sums(ratio[i, :, lo:hi], b[i, lo:hi], np.empty(hi - lo, g.dtype), gb[i, lo:hi])


@njit(**m.MATH)
def _apart(u, v, shift):
    """u - v + shift, in this order: where it may reassociate, LLVM adds shift to u first, and beside a large u shift is
    lost."""
    return (u - v) + shift


@njit(**JIT)
def _pairwise_rows(a, b, p, eps, y):
    shift = y.dtype.type(eps)
    for i in range(y.size):
        u, v, total = a[i], b[i], y.dtype.type(0)
        if p == 2:
            for j in range(u.size):
                d = _apart(u[j], v[j], shift)
                total += d * d
            y[i] = np.sqrt(total)
        else:
            for j in range(u.size):
                total += abs(_apart(u[j], v[j], shift))
            y[i] = total


@njit(parallel=True, **JIT)
def pairwise_forward(a, b, p, eps, y):
    """Writes y (n,), the p-norms, p 1 or 2, of the rows of a - b + eps, a and b (n, M); p and eps floats. 64 x 128 on
    one thread: 14 us by operations on tensors, 5 us so."""
    if a.size < GRAIN:
        _pairwise_rows(a, b, p, eps, y)
    else:
        for k in prange((y.size + ROWS - 1) // ROWS):
            lo = np.intp(k) * ROWS
            hi = min(y.size, lo + ROWS)
            _pairwise_rows(a[lo:hi], b[lo:hi], p, eps, y[lo:hi])


@njit(**JIT)
def _pairwise_slopes(g, a, b, p, eps, y, ga, gb):
    kind = y.dtype.type
    shift = kind(eps)
    for i in range(y.size):
        u, v, s = a[i], b[i], ga[i]
        k = g[i] if p == 1 else (kind(0) if y[i] == 0 else g[i] / y[i])
        if p == 2:
            for j in range(u.size):
                s[j] = k * _apart(u[j], v[j], shift)
        else:
            for j in range(u.size):
                d = _apart(u[j], v[j], shift)
                s[j] = k if d > 0 else (-k if d < 0 else d * k)
        if gb.size > 0:
            t = gb[i]
            for j in range(u.size):
                t[j] = -s[j]


@njit(parallel=True, **JIT)
def pairwise_backward(g, a, b, p, eps, y, ga, gb):
    """Writes ga and, unless it is empty, gb (n, M) from g (n,) and the distances y."""
    if a.size < GRAIN:
        _pairwise_slopes(g, a, b, p, eps, y, ga, gb)
    else:
        both = gb.size > 0
        for k in prange((y.size + ROWS - 1) // ROWS):
            lo = np.intp(k) * ROWS
            hi = min(y.size, lo + ROWS)
            other = gb[lo:hi] if both else gb
            _pairwise_slopes(g[lo:hi], a[lo:hi], b[lo:hi], p, eps, y[lo:hi], ga[lo:hi], other)


@njit(**JIT)
def _cosine_rows(a, b, eps, more, y, norms):
    least, more = y.dtype.type(eps), y.dtype.type(more)
    for i in range(y.size):
        p, q = np.sqrt(_dot(a[i], a[i]) + more), np.sqrt(_dot(b[i], b[i]) + more)
        norms[i, 0], norms[i, 1] = p, q
        p, q = p if (p > least) | (p != p) else least, q if (q > least) | (q != q) else least
        y[i] = _dot(a[i], b[i]) / (p * q)


@njit(parallel=True, **JIT)
def cosine_forward(a, b, eps, more, y, norms):
    """Writes y (n,), the cosines of the rows of a and b, both (n, M), and norms (n, 2); the floats eps, a bound for
    norms, and more, which is added to their squares. 4096 x 128 on two threads: 41 us, and 206 by operations on
    tensors."""
    if a.size < GRAIN:
        _cosine_rows(a, b, eps, more, y, norms)
    else:
        for k in prange((y.size + ROWS - 1) // ROWS):
            lo = np.intp(k) * ROWS
            hi = min(y.size, lo + ROWS)
            _cosine_rows(a[lo:hi], b[lo:hi], eps, more, y[lo:hi], norms[lo:hi])


@njit(**JIT)
def _cosine_slopes(g, a, b, eps, y, norms, ga, gb):
    kind = y.dtype.type
    least = kind(eps)
    for i in range(y.size):
        p, q = norms[i, 0], norms[i, 1]
        # the gradient passes the lower bound as if it were not there; that of a norm of 0 is 0
        u = p if (p > least) | (p != p) else least
        v = q if (q > least) | (q != q) else least
        k = g[i] / (u * v)
        f = kind(0) if p == 0 else g[i] * y[i] / (u * p)
        h = kind(0) if q == 0 else g[i] * y[i] / (v * q)
        c, d, s, t = a[i], b[i], ga[i], gb[i]
        for j in range(c.size):
            s[j] = k * d[j] - f * c[j]
            t[j] = k * c[j] - h * d[j]


@njit(parallel=True, **JIT)
def cosine_backward(g, a, b, eps, y, norms, ga, gb):
    """Writes ga and gb (n, M) from g (n,) and what cosine_forward left."""
    if a.size < GRAIN:
        _cosine_slopes(g, a, b, eps, y, norms, ga, gb)
    else:
        for k in prange((y.size + ROWS - 1) // ROWS):
            lo = np.intp(k) * ROWS
            hi = min(y.size, lo + ROWS)
            _cosine_slopes(g[lo:hi], a[lo:hi], b[lo:hi], eps, y[lo:hi], norms[lo:hi], ga[lo:hi], gb[lo:hi])


@njit(parallel=True, **JIT)
def pdist_forward(a, p, y):
    """Writes y (n (n - 1) / 2,), the distances of the rows r < s of a (n, M), in row-major order."""
    n = a.shape[0]
    per = max(1, n if n * a.size < GRAIN else 1)
    for k in prange((n + per - 1) // per):
        for r in range(np.intp(k) * per, min(n, (np.intp(k) + 1) * per)):
            at = r * n - r * (r + 1) // 2
            for s in range(r + 1, n):
                y[at + s - r - 1] = _distance(a[r], a[s], p)


@njit(parallel=True, **JIT)
def pdist_backward(g, a, p, y, ga):
    """Writes ga (n, M)."""
    n = a.shape[0]
    per = max(1, n if n * a.size < GRAIN else 1)
    for k in prange((n + per - 1) // per):
        for r in range(np.intp(k) * per, min(n, (np.intp(k) + 1) * per)):
            out = ga[r]
            for j in range(a.shape[1]):
                out[j] = 0
            for s in range(n):
                if s != r:
                    lo, hi = min(r, s), max(r, s)
                    at = lo * n - lo * (lo + 1) // 2 + hi - lo - 1
                    _add_slope(a[r], a[s], p, y[at], g[at], out)
