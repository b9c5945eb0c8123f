r"""Softmax, its logarithm and logsumexp along the middle axis of arrays (outer, n, inner).

    m = max_k x_k        s = sum_k exp(x_k - m)
    softmax_*_forward    y_k = exp(x_k - m) / s            or, where log is true,  y_k = x_k - m - log s
    softmax_*_backward   dx_k = y_k (g_k - sum_j g_j y_j)  or                      dx_k = g_k - exp(y_k) sum_j g_j
    logsumexp_forward    y = m + log s
    logsumexp_backward   dx_k = g exp(x_k - y)

Rows are an axis with nothing behind it, columns the others: a program seldom needs both. A row of -inf gives NaN, as
0 / 0 does. Sums over the axis are kept in float64 beyond BLOCK elements. Strided axes are taken a tile of columns at a
time, narrow enough that the tile's n rows stay in the cache.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._math import exp, log
from ._minmax import maximum
from ._simd import keep, ptr, vector_len
from ._simd_short import (
    LONGEST,
    class_slopes,
    less_rows,
    log_softmax_slopes,
    row_dots,
    row_exp_sums,
    row_exps,
    row_sums,
    row_tops,
    scale_rows,
    softmax_slopes,
)

BLOCK = 512


def short(n):
    """Whether the kernels of short rows take rows of n elements. Of 16 elements softmax took 3.3 times as long, of 64
    twice and of 500 1.4 times as long by the others."""
    return n <= LONGEST


@njit(**JIT)
def _row_max(x):
    """Largest element of a 1-D array."""
    m = x.dtype.type(-np.inf)
    for i in range(x.size):
        m = maximum(m, x[i])
    return m


@njit(**JIT)
def _exp_sum(x, y, m):
    """y[i] = exp(x[i] - m) over 1-D arrays; their sum in float64."""
    total = 0.0
    for i0 in range(0, x.size, BLOCK):
        a, b = x[i0 : i0 + BLOCK], y[i0 : i0 + BLOCK]
        for i in range(a.size):
            b[i] = exp(a[i] - m)
        # A loop of its own: one that stores too is vectorised or not as the arrays lie, and so would the rounding vary.
        s = x.dtype.type(0.0)
        for i in range(a.size):
            s += b[i]
        total += np.float64(s)
    return total


@njit(**JIT)
def _softmax_row(x, y, take_log):
    """One contiguous row."""
    m = _row_max(x)
    s = _exp_sum(x, y, m)
    if take_log:
        ls = x.dtype.type(np.log(s))
        for i in range(x.size):
            y[i] = (x[i] - m) - ls
    else:
        r = x.dtype.type(1.0 / s)
        for i in range(x.size):
            y[i] *= r


@njit(**JIT)
def _softmax_tile(x, y, j0, j1, m, s, take_log):
    """Columns j0 <= j < j1 of one slab x (n, inner) -> y; m, s: scratch of j1 - j0 elements."""
    n, w = x.shape[0], j1 - j0
    m[:] = -np.inf
    s[:] = 0.0
    for k in range(n):
        a = x[k][j0:j1]
        for j in range(w):
            m[j] = maximum(m[j], a[j])
    for k in range(n):
        a, b = x[k][j0:j1], y[k][j0:j1]
        for j in range(w):
            e = exp(a[j] - m[j])
            b[j] = e
            s[j] += e
    if take_log:
        for j in range(w):
            s[j] = log(s[j])
        for k in range(n):
            a, b = x[k][j0:j1], y[k][j0:j1]
            for j in range(w):
                b[j] = (a[j] - m[j]) - s[j]
    else:
        for j in range(w):
            s[j] = 1 / s[j]
        for k in range(n):
            b = y[k][j0:j1]
            for j in range(w):
                b[j] *= s[j]


@njit(**JIT)
def _tile_width(n, inner):
    """Columns in one tile: n rows of them are about 16384 elements, at least 64 columns and at most 1024."""
    return min(inner, max(64, min(1024, (16384 // max(1, n)) // 64 * 64)))


@njit(**JIT)
def _softmax_rows(x, y, lo, hi, take_log):
    """Rows lo <= o < hi."""
    for o in range(lo, hi):
        _softmax_row(x[o], y[o], take_log)


@njit(parallel=True, **JIT)
def softmax_rows_forward(x, y, take_log):
    """Softmax of the rows of x (rows, n), or its logarithm. y: the same shape, written."""
    rows, n = x.shape
    per = max(1, CHUNK // 2 // n)
    if rows * n < GRAIN // 4 or per >= rows:
        _softmax_rows(x, y, 0, rows, take_log)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_rows(x, y, lo, min(rows, lo + per), take_log)


@njit(**JIT)
def rows_at_once(n):
    """Rows that the short ways take through all passes: they stay in the first-level cache."""
    return max(16, 1024 // n // 16 * 16)


@njit(**JIT)
def _softmax_short(x, y, lo, hi, take_log):
    """Rows lo <= o < hi."""
    n, some = x.shape[1], rows_at_once(x.shape[1])
    top, total = np.empty(some, x.dtype), np.empty(some, x.dtype)
    m, s = ptr(top, 0), ptr(total, 0)
    vl = vector_len(m)
    pitch = (n + vl - 1) // vl * vl
    memory = np.empty(some * pitch if pitch > n and not take_log else 0, x.dtype)
    for first in range(lo, hi, some):
        rows = min(some, hi - first)
        p, q = ptr(x, first * n), ptr(y, first * n)
        row_tops(rows, n, p, m)
        if take_log:
            row_exp_sums(rows, n, p, m, s)
            for i in range(rows):
                total[i] = log(total[i])
            less_rows(rows, n, p, m, s, q)
        else:
            e = ptr(memory, 0) if pitch > n else q
            row_exps(rows, n, p, e, m, s)
            for i in range(rows):
                total[i] = 1 / total[i]
            scale_rows(rows, n, e, s, q)
    keep(top)
    keep(total)
    keep(memory)


@njit(parallel=True, **JIT)
def softmax_short_forward(x, y, take_log):
    """As softmax_rows_forward, for rows that are ``short``."""
    rows, n = x.shape
    per = max(1, CHUNK // 2 // n)
    if rows * n < GRAIN // 4:
        _softmax_short(x, y, 0, rows, take_log)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_short(x, y, lo, min(rows, lo + per), take_log)


@njit(**JIT)
def _softmax_tiles(x, y, lo, hi, width, take_log):
    """Tasks lo <= t < hi: task t is (o, tile of columns)."""
    inner = x.shape[2]
    tiles = (inner + width - 1) // width
    m, s = np.empty(width, x.dtype), np.empty(width, x.dtype)
    for t in range(lo, hi):
        o = t // tiles
        j0 = t % tiles * width
        j1 = min(inner, j0 + width)
        _softmax_tile(x[o], y[o], j0, j1, m[: j1 - j0], s[: j1 - j0], take_log)


@njit(parallel=True, **JIT)
def softmax_columns_forward(x, y, take_log):
    """Softmax of x (outer, n, inner) over its middle axis, or its logarithm. y: the same shape, written."""
    outer, n, inner = x.shape
    width = _tile_width(n, inner)
    tasks = outer * ((inner + width - 1) // width)
    per = max(1, CHUNK // 2 // (n * width))
    if outer * n * inner < GRAIN // 4 or per >= tasks:
        _softmax_tiles(x, y, 0, tasks, width, take_log)
    else:
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_tiles(x, y, lo, min(tasks, lo + per), width, take_log)


@njit(**JIT)
def _softmax_backward_row(g, y, dx, took_log):
    """One contiguous row."""
    s = 0.0
    if took_log:
        for i in range(g.size):
            s += np.float64(g[i])
        t = g.dtype.type(s)
        for i in range(g.size):
            dx[i] = g[i] - exp(y[i]) * t
    else:
        for i in range(g.size):
            s += np.float64(g[i] * y[i])
        t = g.dtype.type(s)
        for i in range(g.size):
            dx[i] = y[i] * (g[i] - t)


@njit(**JIT)
def _softmax_backward_tile(g, y, dx, j0, j1, s, took_log):
    """Columns j0 <= j < j1 of one slab (n, inner); s: scratch of j1 - j0 elements."""
    n, w = g.shape[0], j1 - j0
    s[:] = 0.0
    for k in range(n):
        a, b = g[k][j0:j1], y[k][j0:j1]
        if took_log:
            for j in range(w):
                s[j] += a[j]
        else:
            for j in range(w):
                s[j] += a[j] * b[j]
    for k in range(n):
        a, b, c = g[k][j0:j1], y[k][j0:j1], dx[k][j0:j1]
        if took_log:
            for j in range(w):
                c[j] = a[j] - exp(b[j]) * s[j]
        else:
            for j in range(w):
                c[j] = b[j] * (a[j] - s[j])


@njit(**JIT)
def _softmax_backward_rows(g, y, dx, lo, hi, took_log):
    """Rows lo <= o < hi."""
    for o in range(lo, hi):
        _softmax_backward_row(g[o], y[o], dx[o], took_log)


@njit(parallel=True, **JIT)
def softmax_rows_backward(g, y, dx, took_log):
    """Gradient of softmax over rows (or of its logarithm, where took_log is true) from its result y.

    g, y: (rows, n). dx: the same shape, written.
    """
    rows, n = g.shape
    per = max(1, CHUNK // n)
    if rows * n < GRAIN // 2 or per >= rows:
        _softmax_backward_rows(g, y, dx, 0, rows, took_log)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_backward_rows(g, y, dx, lo, min(rows, lo + per), took_log)


@njit(**JIT)
def _softmax_backward_short(g, y, dx, lo, hi, took_log):
    """Rows lo <= o < hi."""
    n, some = g.shape[1], rows_at_once(g.shape[1])
    total = np.empty(some, g.dtype)
    s = ptr(total, 0)
    for first in range(lo, hi, some):
        rows, at = min(some, hi - first), first * n
        p, q, out = ptr(g, at), ptr(y, at), ptr(dx, at)
        if took_log:
            row_sums(rows, n, p, s)
            log_softmax_slopes(rows, n, p, q, s, out)
        else:
            row_dots(rows, n, p, q, s)
            softmax_slopes(rows, n, p, q, s, out)
    keep(total)


@njit(parallel=True, **JIT)
def softmax_short_backward(g, y, dx, took_log):
    """As softmax_rows_backward, for rows that are ``short``."""
    rows, n = g.shape
    per = max(1, CHUNK // 2 // n)
    if rows * n < GRAIN // 2:
        _softmax_backward_short(g, y, dx, 0, rows, took_log)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_backward_short(g, y, dx, lo, min(rows, lo + per), took_log)


@njit(**JIT)
def _softmax_backward_tiles(g, y, dx, lo, hi, width, took_log):
    """Tasks lo <= t < hi: task t is (o, tile of columns)."""
    inner = g.shape[2]
    tiles = (inner + width - 1) // width
    s = np.empty(width, g.dtype)
    for t in range(lo, hi):
        o = t // tiles
        j0 = t % tiles * width
        j1 = min(inner, j0 + width)
        _softmax_backward_tile(g[o], y[o], dx[o], j0, j1, s[: j1 - j0], took_log)


@njit(parallel=True, **JIT)
def softmax_columns_backward(g, y, dx, took_log):
    """Gradient of softmax over the middle axis (or of its logarithm, where took_log is true) from its result y.

    g, y: (outer, n, inner). dx: the same shape, written.
    """
    outer, n, inner = g.shape
    width = _tile_width(n, inner)
    tasks = outer * ((inner + width - 1) // width)
    per = max(1, CHUNK // (n * width))
    if outer * n * inner < GRAIN // 2 or per >= tasks:
        _softmax_backward_tiles(g, y, dx, 0, tasks, width, took_log)
    else:
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _softmax_backward_tiles(g, y, dx, lo, min(tasks, lo + per), width, took_log)


@njit(**JIT)
def lse_rows(x, y, lo, hi):
    """y[o] = log of the sum of the exponentials of row o of x (rows, n), for lo <= o < hi; rows that are ``short``.
    Where nothing lies above -inf it is NaN."""
    n, some = x.shape[1], rows_at_once(x.shape[1])
    top, total = np.empty(some, x.dtype), np.empty(some, x.dtype)
    for first in range(lo, hi, some):
        rows = min(some, hi - first)
        row_tops(rows, n, ptr(x, first * n), ptr(top, 0))
        row_exp_sums(rows, n, ptr(x, first * n), ptr(top, 0), ptr(total, 0))
        out = y[first : first + rows]
        for i in range(rows):
            out[i] = top[i] + log(total[i])
    keep(top)
    keep(total)


@njit(**JIT)
def _lse_of_infinities(x, y, lo, hi):
    """Rows lo <= o < hi of which y is NaN, anew: of nothing but -inf, or with an element inf, unless there is a NaN."""
    for o in range(lo, hi):
        if y[o] != y[o]:
            m, row = _row_max(x[o]), x[o]
            for i in range(row.size):
                m = row[i] if row[i] != row[i] else m
            y[o] = m if abs(m) == np.inf else y[o]


@njit(parallel=True, **JIT)
def logsumexp_short_forward(x, y):
    """As logsumexp_forward, for rows (rows, n) that are ``short``. y: (rows,), written."""
    rows, n = x.shape
    per = max(1, CHUNK // 2 // n)
    if rows * n < GRAIN // 4:
        lse_rows(x, y, 0, rows)
        _lse_of_infinities(x, y, 0, rows)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            hi = min(rows, lo + per)
            lse_rows(x, y, lo, hi)
            _lse_of_infinities(x, y, lo, hi)


@njit(**JIT)
def _logsumexp_tasks(x, y, lo, hi, width):
    """Tasks lo <= t < hi: task t is (o, tile of columns)."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        e = np.empty(BLOCK, x.dtype)
        for o in range(lo, hi):
            row = x[o].reshape(n)
            m = _row_max(row)
            m = x.dtype.type(0.0) if abs(m) == np.inf else m
            s = 0.0
            for i0 in range(0, n, BLOCK):
                s += _exp_sum(row[i0 : i0 + BLOCK], e, m)
            y[o, 0] = np.float64(m) + np.log(s)
        return
    tiles = (inner + width - 1) // width
    m, s = np.empty(width, x.dtype), np.empty(width, x.dtype)
    for t in range(lo, hi):
        o = t // tiles
        j0 = t % tiles * width
        j1 = min(inner, j0 + width)
        m[:] = -np.inf
        s[:] = 0.0
        for k in range(n):
            a = x[o, k][j0:j1]
            for j in range(j1 - j0):
                m[j] = maximum(m[j], a[j])
        for j in range(j1 - j0):
            m[j] = x.dtype.type(0.0) if abs(m[j]) == np.inf else m[j]
        for k in range(n):
            a = x[o, k][j0:j1]
            for j in range(j1 - j0):
                s[j] += exp(a[j] - m[j])
        out = y[o][j0:j1]
        for j in range(j1 - j0):
            out[j] = m[j] + log(s[j])


@njit(parallel=True, **JIT)
def logsumexp_forward(x, y):
    """y[o, i] = log sum_k exp(x[o, k, i]). x: (outer, n, inner). y: (outer, inner), written."""
    outer, n, inner = x.shape
    width = _tile_width(n, inner)
    tasks = outer * ((inner + width - 1) // width)
    if outer * n * inner < GRAIN // 4:
        _logsumexp_tasks(x, y, 0, tasks, width)
    else:
        per = max(1, CHUNK // 2 // (n * width))
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _logsumexp_tasks(x, y, lo, min(tasks, lo + per), width)


@njit(**JIT)
def _logsumexp_backward_tasks(g, x, y, dx, lo, hi):
    """Rows lo <= r < hi of the rows (o, k)."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        for o in range(lo // n, (hi + n - 1) // n):
            k0, k1 = max(lo, o * n) - o * n, min(hi, (o + 1) * n) - o * n
            up, top = g[o, 0], y[o, 0]
            a, b = x[o].reshape(n)[k0:k1], dx[o].reshape(n)[k0:k1]
            for i in range(a.size):
                b[i] = up * exp(a[i] - top)
        return
    for r in range(lo, hi):
        o, k = r // n, r % n
        a, b, top, up = x[o, k], dx[o, k], y[o], g[o]
        for j in range(inner):
            b[j] = up[j] * exp(a[j] - top[j])


@njit(**JIT)
def _logsumexp_backward_short(g, x, y, dx, lo, hi):
    """Rows lo <= o < hi of x (rows, n, 1)."""
    n, rows = x.shape[1], hi - lo
    none, zeros = np.zeros(n, x.dtype), np.zeros(rows, x.dtype)
    class_slopes(rows, n, ptr(x, lo * n), ptr(none, 0), ptr(y, lo), ptr(g, lo), ptr(zeros, 0), ptr(dx, lo * n))
    keep(none)
    keep(zeros)


@njit(parallel=True, **JIT)
def logsumexp_short_backward(g, x, y, dx):
    """As logsumexp_backward, for rows (rows, n, 1) that are ``short``."""
    rows, n = x.shape[0], x.shape[1]
    per = max(1, CHUNK // 2 // n)
    if rows * n < GRAIN // 4:
        _logsumexp_backward_short(g, x, y, dx, 0, rows)
    else:
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _logsumexp_backward_short(g, x, y, dx, lo, min(rows, lo + per))


@njit(parallel=True, **JIT)
def logsumexp_backward(g, x, y, dx):
    """dx[o, k, i] = g[o, i] exp(x[o, k, i] - y[o, i]). g, y: (outer, inner). x, dx (written): (outer, n, inner)."""
    outer, n, inner = x.shape
    if outer * n * inner < GRAIN // 4:
        _logsumexp_backward_tasks(g, x, y, dx, 0, outer * n)
    else:
        per = max(1, CHUNK // 2 // inner)
        for c in prange((outer * n + per - 1) // per):
            lo = np.intp(c) * per
            _logsumexp_backward_tasks(g, x, y, dx, lo, min(outer * n, lo + per))
