r"""Running reductions along the middle axis of arrays (outer, n, inner).

    scan_forward          y_k = sum_{j <= k} x_j, prod_{j <= k} x_j or log sum_{j <= k} exp(x_j)
    cumextreme_forward    y_k = max_{j <= k} x_j (or min) and the last j that holds it
    cumprod_backward      dx_k = (prod_{j < k} x_j) * r_k with r_k = g_k + x_{k+1} r_{k+1}: no division by x
    logcumsumexp_backward dx_k = exp(x_k - y_k) * t_k with t_k = g_k + exp(y_k - y_{k+1}) t_{k+1}: exponents never > 0
    cumextreme_backward   dx_j = sum of g_k over the k whose index is j
    diff_forward          y_k = x_{k+1} - x_k; diff_backward: dx_k = g_{k-1} - g_k

Sums and products run in float64 and are rounded as they are stored.
"""

import math

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT

CUMSUM, CUMPROD, LOGCUMSUMEXP = range(3)


@njit(**JIT)
def _log_add(m, v):
    """log(exp(m) + exp(v)); a NaN stays, and two equal infinities give themselves."""
    top = max(m, v)
    if m != m or v != v:
        return m + v
    if top - min(m, v) != top - min(m, v) or abs(top) == np.inf:
        return top
    return top + math.log1p(math.exp(min(m, v) - top))


@njit(**JIT)
def _scan_row(x, y, kind, reverse):
    """One contiguous row."""
    n = x.size
    first, step = (n - 1, -1) if reverse else (0, 1)
    if kind == CUMSUM:
        acc = 0.0
        for i in range(n):
            k = first + step * i
            acc += np.float64(x[k])
            y[k] = acc
    elif kind == CUMPROD:
        acc = 1.0
        for i in range(n):
            k = first + step * i
            acc *= np.float64(x[k])
            y[k] = acc
    else:
        acc = -np.inf
        for i in range(n):
            k = first + step * i
            acc = _log_add(acc, np.float64(x[k]))
            y[k] = acc


@njit(**JIT)
def _cumsum_four(x, y, n, reverse):
    """Four rows of n elements side by side: the additions of one row wait for each other."""
    first, step = (n - 1, -1) if reverse else (0, 1)
    a, b, c, d = x[:n], x[n : 2 * n], x[2 * n : 3 * n], x[3 * n :]
    p, q, r, s = y[:n], y[n : 2 * n], y[2 * n : 3 * n], y[3 * n :]
    sa = sb = sc = sd = 0.0
    for i in range(n):
        k = np.uint64(first + step * i)
        sa += np.float64(a[k])
        sb += np.float64(b[k])
        sc += np.float64(c[k])
        sd += np.float64(d[k])
        p[k], q[k], r[k], s[k] = sa, sb, sc, sd


@njit(**JIT)
def _scan_tasks(x, y, lo, hi, kind, reverse):
    """Slabs lo <= o < hi of scan_forward."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        if kind == CUMSUM:
            while lo + 4 <= hi:
                _cumsum_four(x[lo : lo + 4].reshape(4 * n), y[lo : lo + 4].reshape(4 * n), n, reverse)
                lo += 4
        for o in range(lo, hi):
            _scan_row(x[o].reshape(n), y[o].reshape(n), kind, reverse)
        return
    acc = np.empty(inner)
    for o in range(lo, hi):
        acc[:] = 0.0 if kind == CUMSUM else 1.0 if kind == CUMPROD else -np.inf
        for i in range(n):
            k = n - 1 - i if reverse else i
            row, out = x[o, k], y[o, k]
            if kind == CUMSUM:
                for j in range(inner):
                    acc[j] += np.float64(row[j])
                    out[j] = acc[j]
            elif kind == CUMPROD:
                for j in range(inner):
                    acc[j] *= np.float64(row[j])
                    out[j] = acc[j]
            else:
                for j in range(inner):
                    acc[j] = _log_add(acc[j], np.float64(row[j]))
                    out[j] = acc[j]


@njit(parallel=True, **JIT)
def scan_forward(x, y, kind, reverse):
    """y[o, k, i] = running CUMSUM, CUMPROD or LOGCUMSUMEXP of x[o, :, i], from the end where reverse is true.

    x: (outer, n, inner). y: the same shape, written.
    """
    outer, n, inner = x.shape
    if outer * n * inner < GRAIN or outer == 1:
        _scan_tasks(x, y, 0, outer, kind, reverse)
    else:
        per = max(1, CHUNK // (n * inner))
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _scan_tasks(x, y, lo, min(outer, lo + per), kind, reverse)


@njit(**JIT)
def _cumextreme_rows(x, values, indices, sign):
    """Rows (m, n), at most four: side by side, since one element of a row waits for the one before."""
    m, n = x.shape
    one = x.dtype.type(sign)
    a, b, c, d = x[0], x[min(1, m - 1)], x[min(2, m - 1)], x[m - 1]
    va, vb, vc, vd = values[0], values[min(1, m - 1)], values[min(2, m - 1)], values[m - 1]
    ia, ib, ic, id_ = indices[0], indices[min(1, m - 1)], indices[min(2, m - 1)], indices[m - 1]
    p, q, r, s = a[0] * one, b[0] * one, c[0] * one, d[0] * one
    at_a = at_b = at_c = at_d = 0
    for k in range(n):
        # a NaN is never passed again: no comparison with it holds
        u = a[k] * one
        new = (u >= p) | (u != u)
        p, at_a = u if new else p, k if new else at_a
        va[k], ia[k] = p * one, at_a
        u = b[k] * one
        new = (u >= q) | (u != u)
        q, at_b = u if new else q, k if new else at_b
        vb[k], ib[k] = q * one, at_b
        u = c[k] * one
        new = (u >= r) | (u != u)
        r, at_c = u if new else r, k if new else at_c
        vc[k], ic[k] = r * one, at_c
        u = d[k] * one
        new = (u >= s) | (u != u)
        s, at_d = u if new else s, k if new else at_d
        vd[k], id_[k] = s * one, at_d


@njit(parallel=True, **JIT)
def cumextreme_forward(x, values, indices, sign):
    """Running maximum (sign 1) or minimum (sign -1) of x over k, and the last k that holds it.

    x: (outer, n, inner). values, indices (int64): the same shape, written. A NaN stays the result from where it stands.
    """
    outer, n, inner = x.shape
    if inner == 1 and n > 0:
        # as rows: slices of one element each took five times as long
        x2, v2, i2 = x.reshape(outer, n), values.reshape(outer, n), indices.reshape(outer, n)
        per = max(4, CHUNK // n // 4 * 4)
        for c in prange((outer + per - 1) // per):
            low = np.intp(c) * per
            for o in range(low, min(outer, low + per), 4):
                high = min(outer, o + 4)
                _cumextreme_rows(x2[o:high], v2[o:high], i2[o:high], sign)
        return
    for o in prange(outer):
        for k in range(n):
            row, v, a = x[o, k], values[o, k], indices[o, k]
            if k == 0:
                for j in range(inner):
                    v[j] = row[j]
                    a[j] = 0
                continue
            v0, a0 = values[o, k - 1], indices[o, k - 1]
            for j in range(inner):
                new = (row[j] != row[j]) | ((v0[j] == v0[j]) & (row[j] * sign >= v0[j] * sign))
                v[j] = row[j] if new else v0[j]
                a[j] = k if new else a0[j]


@njit(parallel=True, **JIT)
def cumextreme_backward(g, indices, dx):
    """dx[o, j, i] = sum of g[o, k, i] where indices[o, k, i] == j. g, indices, dx (written): (outer, n, inner)."""
    outer, n, inner = g.shape
    for o in prange(outer):
        dx[o] = 0.0
        for k in range(n):
            for j in range(inner):
                dx[o, np.uintp(indices[o, k, j]), j] += g[o, k, j]


@njit(**JIT)
def _cumprod_backward_row(g, x, dx):
    """One contiguous row of cumprod_backward."""
    n = x.size
    acc = 1.0
    for k in range(n):
        dx[k] = acc
        acc *= np.float64(x[k])
    acc = 0.0
    for i in range(n):
        k = np.uint64(n - 1 - i)
        r = np.float64(g[k]) + acc
        dx[k] *= r
        acc = r * np.float64(x[k])


@njit(**JIT)
def _cumprod_backward_tasks(g, x, dx, lo, hi):
    """Slabs lo <= o < hi of cumprod_backward."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        for o in range(lo, hi):
            _cumprod_backward_row(g[o].reshape(n), x[o].reshape(n), dx[o].reshape(n))
        return
    acc = np.empty(inner)
    for o in range(lo, hi):
        acc[:] = 1.0
        for k in range(n):
            row, out = x[o, k], dx[o, k]
            for j in range(inner):
                out[j] = acc[j]
                acc[j] *= np.float64(row[j])
        acc[:] = 0.0
        for k in range(n - 1, -1, -1):
            row, out, up = x[o, k], dx[o, k], g[o, k]
            for j in range(inner):
                r = np.float64(up[j]) + acc[j]
                out[j] *= r
                acc[j] = r * np.float64(row[j])


@njit(parallel=True, **JIT)
def cumprod_backward(g, x, dx):
    """Gradient of the running product. g, x, dx (written): (outer, n, inner)."""
    outer, n, inner = x.shape
    if outer * n * inner < GRAIN or outer == 1:
        _cumprod_backward_tasks(g, x, dx, 0, outer)
    else:
        for o in prange(outer):
            _cumprod_backward_tasks(g, x, dx, np.intp(o), np.intp(o) + 1)


@njit(parallel=True, **JIT)
def logcumsumexp_backward(g, x, y, dx):
    """Gradient of y = logcumsumexp(x). g, x, y, dx (written): (outer, n, inner)."""
    outer, n, inner = x.shape
    for o in prange(outer):
        t = np.zeros(inner)
        for k in range(n - 1, -1, -1):
            for j in range(inner):
                here = np.float64(y[o, k, j])
                if k + 1 < n and t[j] != 0.0:
                    step = here - np.float64(y[o, k + 1, j])
                    t[j] *= 0.0 if here == -np.inf else 1.0 if step != step and abs(here) == np.inf else math.exp(step)
                t[j] += np.float64(g[o, k, j])
                share = 0.0 if x[o, k, j] == -np.inf else math.exp(np.float64(x[o, k, j]) - here)
                dx[o, k, j] = share * t[j]


@njit(**JIT)
def _subtract(a, b, y):
    for i in range(y.shape[0]):
        y[i] = a[i] - b[i]


@njit(parallel=True, **JIT)
def diff_forward(x, y, inner):
    """y[o, k * inner + i] = x[o, (k + 1) * inner + i] - x[o, k * inner + i].

    x: (outer, n * inner). y: (outer, (n - 1) * inner), written.
    """
    outer, m = y.shape
    if outer * m < GRAIN:
        for o in range(outer):
            _subtract(x[o, inner:], x[o, :m], y[o])
    else:
        per, parts = max(1, CHUNK // m), (m + CHUNK - 1) // CHUNK
        for t in prange((outer + per - 1) // per * parts):
            first, low = np.intp(t) // parts * per, np.intp(t) % parts * CHUNK
            high = min(m, low + CHUNK)
            for o in range(first, min(outer, first + per)):
                _subtract(x[o, low + inner : high + inner], x[o, low:high], y[o, low:high])


@njit(**JIT)
def _diff_backward(g, dx, inner, low, high):
    """Elements low to high of a row."""
    m = g.shape[0]
    stop = min(high, inner)
    for i in range(low, stop):
        dx[np.uint64(i)] = -g[np.uint64(i)]
    start, stop = max(low, inner), min(high, m)
    if start < stop:
        _subtract(g[start - inner : stop - inner], g[start:stop], dx[start:stop])
    for i in range(max(low, m), high):
        dx[np.uint64(i)] = g[np.uint64(i - inner)]


@njit(parallel=True, **JIT)
def diff_backward(g, dx, inner):
    """The gradient of diff_forward: g (outer, (n - 1) * inner), n at least 2, dx (written): (outer, n * inner)."""
    outer, n = dx.shape
    if outer * n < GRAIN:
        for o in range(outer):
            _diff_backward(g[o], dx[o], inner, 0, n)
    else:
        per, parts = max(1, CHUNK // n), (n + CHUNK - 1) // CHUNK
        for t in prange((outer + per - 1) // per * parts):
            first, low = np.intp(t) // parts * per, np.intp(t) % parts * CHUNK
            for o in range(first, min(outer, first + per)):
                _diff_backward(g[o], dx[o], inner, low, min(n, low + CHUNK))
