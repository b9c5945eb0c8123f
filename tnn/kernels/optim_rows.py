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


@njit(**JIT)
def _row_moments(k, g, row, blocks, at_once, w, u):
    b, lo = k // blocks, (k % blocks) * at_once
    for r in range(lo, min(g.shape[1], lo + at_once)):
        row[b, r] = lerp_one(row[b, r], _mean_square(g[b, r]), w, u)


@njit(**JIT)
def _column_moments(k, g, col, strips, w, u):
    b, lo = k // strips, (k % strips) * COLUMNS
    part = col[b, lo : min(col.shape[1], lo + COLUMNS)]
    total = np.zeros(part.size, g.dtype)
    _column_squares(g[b, :, lo : lo + part.size], total)
    rows = g.dtype.type(g.shape[1])
    for c in range(part.size):
        part[c] = lerp_one(part[c], total[c] / rows, w, u)


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
    at_once = max(1, CHUNK // max(nc, 1))
    blocks = (nr + at_once - 1) // at_once
    strips = (nc + COLUMNS - 1) // COLUMNS
    if g.size < GRAIN:
        for k in range(nb * blocks):
            _row_moments(k, g, row, blocks, at_once, w, u)
        for k in range(nb * strips):
            _column_moments(k, g, col, strips, w, u)
    else:
        for k in prange(nb * blocks):
            _row_moments(np.intp(k), g, row, blocks, at_once, w, u)
        for k in prange(nb * strips):
            _column_moments(np.intp(k), g, col, strips, w, u)
    for b in range(nb):
        s = t(0)
        for r in range(nr):
            s += row[b, r]
        mean[b] = larger(s / t(nr), t(eps))


@njit(**JIT)
def _matrix_square(k, g, row, col, mean, blocks, at_once, least):
    b, lo = k // blocks, (k % blocks) * at_once
    s = 0.0
    for r in range(lo, min(g.shape[1], lo + at_once)):
        x, y, f = g[b, r], col[b], row[b, r] / mean[b]
        for c in range(x.size):
            z = x[c] / np.sqrt(larger(f * y[c], least))
            s += np.float64(z * z)
    return s


@njit(**JIT)
def _matrix_apply(k, p, g, row, col, mean, blocks, at_once, least, keep, step):
    b, lo = k // blocks, (k % blocks) * at_once
    for r in range(lo, min(g.shape[1], lo + at_once)):
        w, x, y, f = p[b, r], g[b, r], col[b], row[b, r] / mean[b]
        for c in range(x.size):
            w[c] = keep * w[c] - step * (x[c] / np.sqrt(larger(f * y[c], least)))


@njit(parallel=True, **JIT)
def adafactor_matrix(p, g, row, col, mean, sign, least, keep, alpha, clip):
    """Applies Adafactor's update to p and g of shape (batch, rows, columns):

        x = g / sqrt(max(row col / mean, least));  p <- keep p - sign alpha / max(1, |x| / clip) x

    |x| is the 2-norm. Writes p.
    """
    t = p.dtype.type
    nb, nr, nc = p.shape
    low, f = t(least), t(keep)
    at_once = max(1, CHUNK // max(nc, 1))
    blocks = (nr + at_once - 1) // at_once
    part = np.zeros(nb * blocks, np.float64)
    if p.size < GRAIN:
        for k in range(nb * blocks):
            part[k] = _matrix_square(k, g, row, col, mean, blocks, at_once, low)
    else:
        for k in prange(nb * blocks):
            part[np.intp(k)] = _matrix_square(np.intp(k), g, row, col, mean, blocks, at_once, low)
    s = 0.0
    for k in range(nb * blocks):
        s += part[k]
    step = t(sign * alpha / larger(np.sqrt(s) / clip, 1.0))
    if p.size < GRAIN:
        for k in range(nb * blocks):
            _matrix_apply(k, p, g, row, col, mean, blocks, at_once, low, f, step)
    else:
        for k in prange(nb * blocks):
            _matrix_apply(np.intp(k), p, g, row, col, mean, blocks, at_once, low, f, step)


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
    if n < GRAIN:
        s = _vector_moment(g, v, w, u, low)
        _vector_apply(p, g, v, low, k, t(sign * alpha / larger(np.sqrt(s) / clip, 1.0)))
        return
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


@njit(**JIT)
def _sgd_rows(p, rows, values, step):
    for k in range(rows.size):
        x, d = p[rows[k]], values[k]
        for i in range(d.size):
            x[i] -= step * d[i]


@njit(parallel=True, **JIT)
def sgd_rows(p, rows, values, step):
    """p[rows[k]] <- p[rows[k]] - step values[k]; p (n, width), rows (k,) distinct and in range, values (k, width).
    Writes p."""
    a = p.dtype.type(step)
    m = rows.size
    if values.size < GRAIN:
        _sgd_rows(p, rows, values, a)
    else:
        at_once = max(1, CHUNK // values.shape[1])
        for c in prange((m + at_once - 1) // at_once):
            lo = np.intp(c) * at_once
            hi = min(m, lo + at_once)
            _sgd_rows(p, rows[lo:hi], values[lo:hi], a)


@njit(**JIT)
def _adagrad_rows(p, v, rows, values, eps, step):
    for k in range(rows.size):
        x, s, d = p[rows[k]], v[rows[k]], values[k]
        for i in range(d.size):
            s[i] += d[i] * d[i]
            x[i] -= step * (d[i] / (np.sqrt(s[i]) + eps))


@njit(parallel=True, **JIT)
def adagrad_rows(p, v, rows, values, eps, step):
    """Adagrad on the named rows: v <- v + d^2;  p <- p - step d / (sqrt(v) + eps). Shapes as in ``sgd_rows``; v as p.
    Writes p, v."""
    t = p.dtype.type
    e, a = t(eps), t(step)
    m = rows.size
    if values.size < GRAIN:
        _adagrad_rows(p, v, rows, values, e, a)
    else:
        at_once = max(1, CHUNK // values.shape[1])
        for c in prange((m + at_once - 1) // at_once):
            lo = np.intp(c) * at_once
            hi = min(m, lo + at_once)
            _adagrad_rows(p, v, rows[lo:hi], values[lo:hi], e, a)


@njit(**JIT)
def _adam_rows(p, m, v, rows, values, sign, w1, w2, eps, step):
    for k in range(rows.size):
        x, y, s, g = p[rows[k]], m[rows[k]], v[rows[k]], values[k]
        for i in range(g.size):
            d = sign * g[i]
            y[i] += w1 * (d - y[i])
            s[i] += w2 * (d * d - s[i])
            x[i] -= step * (y[i] / (np.sqrt(s[i]) + eps))


@njit(parallel=True, **JIT)
def adam_rows(p, m, v, rows, values, sign, beta1, beta2, eps, step):
    """Adam on the named rows: m <- m + (1 - beta1) (d - m);  v <- v + (1 - beta2) (d^2 - v);
    p <- p - step m / (sqrt(v) + eps). Shapes as in ``sgd_rows``; m and v as p. Writes p, m, v."""
    t = p.dtype.type
    sg, w1, w2, e, a = t(sign), t(1 - beta1), t(1 - beta2), t(eps), t(step)
    n = rows.size
    if values.size < GRAIN:
        _adam_rows(p, m, v, rows, values, sg, w1, w2, e, a)
    else:
        at_once = max(1, CHUNK // values.shape[1])
        for c in prange((n + at_once - 1) // at_once):
            lo = np.intp(c) * at_once
            hi = min(n, lo + at_once)
            _adam_rows(p, m, v, rows[lo:hi], values[lo:hi], sg, w1, w2, e, a)


@njit(**JIT)
def _abs_max(x):
    # the sum tells of NaN, so that the loop of the maximum can do without a test
    most, s = x.dtype.type(0), x.dtype.type(0)
    for i in range(x.size):
        a = abs(x[i])
        most = a if a > most else most
        s += a
    return most if s == s else s


@njit(**JIT)
def _abs_sum(x):
    s = 0.0
    for i in range(x.size):
        s += np.float64(abs(x[i]))
    return s


@njit(parallel=True, **JIT)
def abs_max(x):
    """Returns max |x|, NaN if one is NaN."""
    n = x.size
    if n < GRAIN:
        return np.float64(_abs_max(x))
    chunks = (n + CHUNK - 1) // CHUNK
    part = np.empty(chunks, x.dtype)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        part[np.intp(c)] = _abs_max(x[lo : min(n, lo + CHUNK)])
    return np.float64(_abs_max(part))


@njit(parallel=True, **JIT)
def abs_sum(x):
    """Returns sum |x|, in float64."""
    n = x.size
    if n < GRAIN:
        return _abs_sum(x)
    chunks = (n + CHUNK - 1) // CHUNK
    part = np.empty(chunks, np.float64)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        part[np.intp(c)] = _abs_sum(x[lo : min(n, lo + CHUNK)])
    total = 0.0
    for c in range(chunks):
        total += part[c]
    return total
