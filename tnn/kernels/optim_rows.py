"""Optimizers that work by rows: Adafactor's factored second moments, and updates of the rows that a sparse gradient
names.

Arrays are C-contiguous and of one dtype (float32 or float64); scalars are Python floats.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from .optim import larger, lerp_one

COLUMNS = 64


@njit(**JIT)
def _mean_square(x):
    s = x.dtype.type(0)
    for i in range(x.size):
        s += x[i] * x[i]
    return s / x.dtype.type(x.size)


@njit(**JIT)
def _column_squares(g, total):
    for r in range(g.shape[0]):
        row = g[r]
        for c in range(total.size):
            total[c] += row[c] * row[c]


@njit(parallel=True, **JIT)
def adafactor_moments(g, row, col, mean, weight, eps):
    """The running means of g^2 along its rows and its columns, for g of shape (batch, rows, columns):

        row[b, r] <- lerp(row[b, r], mean_c g^2, weight);  col[b, c] <- lerp(col[b, c], mean_r g^2, weight);
        mean[b] = max(mean_r row[b, r], eps)

    Writes row (batch, rows), col (batch, columns) and mean (batch,).
    """
    t = g.dtype.type
    nb, nr, nc = g.shape
    w, u = t(weight), t(1 - weight)
    rows_at_once = max(1, CHUNK // max(nc, 1))
    blocks = (nr + rows_at_once - 1) // rows_at_once
    strips = (nc + COLUMNS - 1) // COLUMNS
    for k in prange(nb * blocks):
        b = np.intp(k) // blocks
        lo = (np.intp(k) % blocks) * rows_at_once
        for r in range(lo, min(nr, lo + rows_at_once)):
            row[b, r] = lerp_one(row[b, r], _mean_square(g[b, r]), w, u)
    for k in prange(nb * strips):
        b = np.intp(k) // strips
        lo = (np.intp(k) % strips) * COLUMNS
        hi = min(nc, lo + COLUMNS)
        total = np.zeros(hi - lo, g.dtype)
        _column_squares(g[b, :, lo:hi], total)
        for c in range(hi - lo):
            col[b, lo + c] = lerp_one(col[b, lo + c], total[c] / t(nr), w, u)
    for b in range(nb):
        s = t(0)
        for r in range(nr):
            s += row[b, r]
        mean[b] = larger(s / t(nr), t(eps))


@njit(**JIT)
def _factored_square(g, r, col, least):
    s = 0.0
    for c in range(g.size):
        x = g[c] / np.sqrt(larger(r * col[c], least))
        s += np.float64(x * x)
    return s


@njit(**JIT)
def _factored_apply(p, g, r, col, least, keep, step):
    for c in range(g.size):
        p[c] = keep * p[c] - step * (g[c] / np.sqrt(larger(r * col[c], least)))


@njit(parallel=True, **JIT)
def adafactor_matrix(p, g, row, col, mean, sign, least, keep, alpha, clip):
    """Applies Adafactor's update to p and g of shape (batch, rows, columns):

        x = g / sqrt(max(row col / mean, least));  p <- keep p - sign alpha / max(1, |x| / clip) x

    |x| is the 2-norm. Writes p.
    """
    t = p.dtype.type
    nb, nr, nc = p.shape
    low, k = t(least), t(keep)
    rows_at_once = max(1, CHUNK // max(nc, 1))
    blocks = (nr + rows_at_once - 1) // rows_at_once
    part = np.zeros(nb * blocks, np.float64)
    for c in prange(nb * blocks):
        b = np.intp(c) // blocks
        lo = (np.intp(c) % blocks) * rows_at_once
        for r in range(lo, min(nr, lo + rows_at_once)):
            part[np.intp(c)] += _factored_square(g[b, r], row[b, r] / mean[b], col[b], low)
    s = 0.0
    for c in range(nb * blocks):
        s += part[c]
    step = t(sign * alpha / larger(np.sqrt(s) / clip, 1.0))
    for c in prange(nb * blocks):
        b = np.intp(c) // blocks
        lo = (np.intp(c) % blocks) * rows_at_once
        for r in range(lo, min(nr, lo + rows_at_once)):
            _factored_apply(p[b, r], g[b, r], row[b, r] / mean[b], col[b], low, k, step)


@njit(**JIT)
def _vector_moment(g, v, w, u, least):
    s = 0.0
    for i in range(g.size):
        a = lerp_one(v[i], g[i] * g[i], w, u)
        v[i] = a
        x = g[i] / np.sqrt(larger(a, least))
        s += np.float64(x * x)
    return s


@njit(**JIT)
def _vector_apply(p, g, v, least, keep, step):
    for i in range(p.size):
        p[i] = keep * p[i] - step * (g[i] / np.sqrt(larger(v[i], least)))


@njit(parallel=True, **JIT)
def adafactor_vector(p, g, v, sign, weight, least, keep, alpha, clip):
    """As ``adafactor_matrix`` for 1-D arrays, with v <- lerp(v, g^2, weight) for the second moment. Writes p, v."""
    t, n = p.dtype.type, p.size
    w, u, low, k = t(weight), t(1 - weight), t(least), t(keep)
    chunks = (n + CHUNK - 1) // CHUNK
    part = np.zeros(chunks, np.float64)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        hi = min(n, lo + CHUNK)
        part[np.intp(c)] = _vector_moment(g[lo:hi], v[lo:hi], w, u, low)
    s = 0.0
    for c in range(chunks):
        s += part[c]
    step = t(sign * alpha / larger(np.sqrt(s) / clip, 1.0))
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        hi = min(n, lo + CHUNK)
        _vector_apply(p[lo:hi], g[lo:hi], v[lo:hi], low, k, step)


@njit(parallel=True, **JIT)
def sgd_rows(p, rows, values, step):
    """p[rows[k]] <- p[rows[k]] - step values[k]; p (n, width), rows (k,) distinct and in range, values (k, width).
    Writes p."""
    a = p.dtype.type(step)
    m, width = values.shape
    at_once = max(1, GRAIN // max(width, 1))
    for c in prange((m + at_once - 1) // at_once):
        lo = np.intp(c) * at_once
        for k in range(lo, min(m, lo + at_once)):
            x, d = p[rows[k]], values[k]
            for i in range(width):
                x[i] -= a * d[i]


@njit(parallel=True, **JIT)
def adagrad_rows(p, v, rows, values, eps, step):
    """Adagrad on the named rows: v <- v + d^2;  p <- p - step d / (sqrt(v) + eps). Shapes as in ``sgd_rows``; v as p.
    Writes p, v."""
    t = p.dtype.type
    e, a = t(eps), t(step)
    m, width = values.shape
    at_once = max(1, GRAIN // max(width, 1))
    for c in prange((m + at_once - 1) // at_once):
        lo = np.intp(c) * at_once
        for k in range(lo, min(m, lo + at_once)):
            x, s, d = p[rows[k]], v[rows[k]], values[k]
            for i in range(width):
                s[i] += d[i] * d[i]
                x[i] -= a * (d[i] / (np.sqrt(s[i]) + e))


@njit(parallel=True, **JIT)
def adam_rows(p, m, v, rows, values, sign, beta1, beta2, eps, step):
    """Adam on the named rows: m <- m + (1 - beta1) (d - m);  v <- v + (1 - beta2) (d^2 - v);  p <- p - step m /
    (sqrt(v) + eps). Shapes as in ``sgd_rows``; m and v as p. Writes p, m, v."""
    t = p.dtype.type
    sg, w1, w2, e, a = t(sign), t(1 - beta1), t(1 - beta2), t(eps), t(step)
    n, width = values.shape
    at_once = max(1, GRAIN // max(width, 1))
    for c in prange((n + at_once - 1) // at_once):
        lo = np.intp(c) * at_once
        for k in range(lo, min(n, lo + at_once)):
            x, y, s, g = p[rows[k]], m[rows[k]], v[rows[k]], values[k]
            for i in range(width):
                d = sg * g[i]
                y[i] += w1 * (d - y[i])
                s[i] += w2 * (d * d - s[i])
                x[i] -= a * (y[i] / (np.sqrt(s[i]) + e))


@njit(**JIT)
def _abs_max_sum(x):
    most = x.dtype.type(0)
    s = 0.0
    for i in range(x.size):
        a = abs(x[i])
        most = larger(a, most)
        s += np.float64(a)
    return most, s


@njit(parallel=True, **JIT)
def abs_max_sum(x, out):
    """out[0] = max |x|, out[1] = sum |x|; out is float64 (2,)."""
    n = x.size
    chunks = (n + CHUNK - 1) // CHUNK
    most, part = np.zeros(chunks, x.dtype), np.zeros(chunks, np.float64)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        most[np.intp(c)], part[np.intp(c)] = _abs_max_sum(x[lo : min(n, lo + CHUNK)])
    out[0] = out[1] = 0.0
    for c in range(chunks):
        out[0] = larger(np.float64(most[c]), out[0])
        out[1] += part[c]
