r"""Layer, RMS and group normalization: statistics over contiguous rows.

    mean = sum(x) / n        rstd = 1 / sqrt(sum((x - mean)^2) / n + eps)        xhat = (x - mean) rstd
    layer_norm_forward    y = xhat w + b over rows (rows, n); without centering mean is 0 (RMS norm)
    layer_norm_backward   dx = rstd (h - sum(h) / n - xhat sum(h xhat) / n),  h = g w;  dw = sum g xhat;  db = sum g
    group_norm_forward    the same over rows (groups of D channels of L elements), w and b per channel
    group_norm_backward

    normalize_forward     y = x / s,  s = max(sqrt(sum(x^2)), eps), along the middle axis of (outer, n, inner)
    normalize_backward    dx = (g - y sum(g y)) / s,  or g / s where s is eps

Sums over a row run in its dtype for BLOCK elements and in float64 beyond; the mean is that of x less the row's first
element, so that a row far from 0 loses nothing. An absent weight or bias is an empty array.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._simd import keep, ptr
from ._simd_short import (
    LONGEST,
    norm_columns,
    norm_rows,
    norm_rows_plain,
    norm_rows_scaled,
    norm_slopes,
    norm_slopes_plain,
    norm_sums,
    norm_sums_plain,
)
from ._simd_sums import rows_squares, rows_sums

BLOCK = 512
# Parts that a sum over rows is cut into at most.
PARTS = 64
# Elements of a row from which on gradients of weight and bias are taken column by column.
WIDE = 4096
# Rows that are added up in their own dtype before they go into a float64 sum.
FEW = 16
# Elements of a row up to which layer norm takes several rows at a time: of 100 twice as fast, of 257 slower.
SHORT = min(128, LONGEST)


@njit(**JIT)
def _moments(x, center):
    """Mean and variance of a 1-D array; without centering, 0 and the mean square."""
    n = x.size
    zero = x.dtype.type(0.0)
    first, mean = x[0] if center else zero, zero
    total = 0.0
    if center:
        for i0 in range(0, n, BLOCK):
            a = x[i0 : i0 + BLOCK]
            s = zero
            for i in range(a.size):
                s += a[i] - first
            total += np.float64(s)
        mean = x.dtype.type(np.float64(first) + total / n)
    total = 0.0
    for i0 in range(0, n, BLOCK):
        a = x[i0 : i0 + BLOCK]
        s = zero
        for i in range(a.size):
            v = a[i] - mean
            s += v * v
        total += np.float64(s)
    return mean, total / n


@njit(**JIT)
def _scale_row(x, y, w, b, mean, rstd):
    """y = (x - mean) rstd w + b over 1-D arrays; w and b of x's length or empty."""
    if w.size and b.size:
        for i in range(x.size):
            y[i] = (x[i] - mean) * rstd * w[i] + b[i]
    elif w.size:
        for i in range(x.size):
            y[i] = (x[i] - mean) * rstd * w[i]
    else:
        for i in range(x.size):
            y[i] = (x[i] - mean) * rstd
        if b.size:
            for i in range(x.size):
                y[i] += b[i]


@njit(**JIT)
def _short_forward(x, y, w, b, mean, rstd, eps, center, lo, hi):
    """Rows lo <= r < hi that are short, several at a time: float32, whose sums in float64 lose nothing."""
    n, some = x.shape[1], 64
    sums = np.empty(some)
    for first in range(lo, hi, some):
        rows, at = min(some, hi - first), first * n
        u, m, s = ptr(x, at), ptr(mean, first), ptr(rstd, first)
        middle, scale = mean[first : first + rows], rstd[first : first + rows]
        if center:
            rows_sums(rows, n, u, 1.0, ptr(sums, 0))
        for i in range(rows):
            middle[i] = sums[i] / n if center else 0.0
        rows_squares(rows, n, u, m, 1.0, ptr(sums, 0))
        for i in range(rows):
            scale[i] = 1.0 / np.sqrt(sums[i] / n + eps)
        if w.size and b.size:
            norm_rows(rows, n, u, ptr(w, 0), ptr(b, 0), m, s, ptr(y, at))
        elif w.size:
            norm_rows_scaled(rows, n, u, ptr(w, 0), m, s, ptr(y, at))
        else:
            norm_rows_plain(rows, n, u, m, s, ptr(y, at))
    keep(sums)


@njit(**JIT)
def _layer_norm_tasks(x, y, w, b, mean, rstd, eps, center, lo, hi):
    """Rows lo <= r < hi."""
    if x.shape[1] <= SHORT and x.itemsize == 4 and w.size >= b.size:
        _short_forward(x, y, w, b, mean, rstd, eps, center, lo, hi)
        return
    for r in range(lo, hi):
        m, v = _moments(x[r], center)
        mean[r] = m
        rstd[r] = 1.0 / np.sqrt(v + eps)
        _scale_row(x[r], y[r], w, b, mean[r], rstd[r])


@njit(parallel=True, **JIT)
def layer_norm_forward(x, y, w, b, mean, rstd, eps, center):
    """Normalizes the rows of x (rows, n > 0) into y. mean, rstd: (rows,), written. w, b: (n,) or (0,)."""
    rows, n = x.shape
    if x.size < GRAIN:
        _layer_norm_tasks(x, y, w, b, mean, rstd, eps, center, 0, rows)
    else:
        per = max(1, CHUNK // n)
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _layer_norm_tasks(x, y, w, b, mean, rstd, eps, center, lo, min(rows, lo + per))


@njit(**JIT)
def _row_sums(g, x, w, mean, rstd):
    """Sums of h and h xhat over one row, h = g w (g where w is empty), in float64."""
    t1, t2 = 0.0, 0.0
    for i0 in range(0, g.size, BLOCK):
        a, u, v = g[i0 : i0 + BLOCK], x[i0 : i0 + BLOCK], w[i0 : i0 + BLOCK]
        s1, s2 = x.dtype.type(0.0), x.dtype.type(0.0)
        if w.size:
            for i in range(a.size):
                h = a[i] * v[i]
                s1 += h
                s2 += h * (u[i] - mean)
        else:
            for i in range(a.size):
                s1 += a[i]
                s2 += a[i] * (u[i] - mean)
        t1 += np.float64(s1)
        t2 += np.float64(s2)
    return t1, t2 * rstd


@njit(**JIT)
def _row_backward(g, x, w, dx, mean, rstd, s1, s2):
    """dx = rstd (h - s1 - xhat s2) over one row."""
    if w.size:
        for i in range(g.size):
            dx[i] = rstd * (g[i] * w[i] - s1 - ((x[i] - mean) * rstd) * s2)
    else:
        for i in range(g.size):
            dx[i] = rstd * (g[i] - s1 - ((x[i] - mean) * rstd) * s2)


@njit(**JIT)
def _flush(total, part):
    """total += part; part = 0."""
    for i in range(part.size):
        total[i] += np.float64(part[i])
        part[i] = 0.0


@njit(**JIT)
def _short_backward(g, x, w, mean, rstd, dx, dw, db, center, lo, hi):
    """The same for rows that are short, several at a time. 4096 x 16, forward and backward on one thread: 266 us row by
    row, 84 so."""
    n = x.shape[1]
    some = max(16, 1024 // n // 16 * 16)
    pw, pb = np.empty(n, x.dtype), np.empty(n, x.dtype)
    p, q = np.empty(some, x.dtype), np.empty(some, x.dtype)
    for first in range(lo, hi, some):
        rows, at = min(some, hi - first), first * n
        a, u, m, s = ptr(g, at), ptr(x, at), ptr(mean, first), ptr(rstd, first)
        if dx.size:
            if w.size:
                norm_sums(rows, n, a, u, ptr(w, 0), m, ptr(p, 0), ptr(q, 0))
            else:
                norm_sums_plain(rows, n, a, u, m, ptr(p, 0), ptr(q, 0))
            scales = rstd[first : first + rows]
            for i in range(rows):
                p[i] = p[i] / n if center else 0.0
                q[i] = q[i] * scales[i] * scales[i] / n
            if w.size:
                norm_slopes(rows, n, a, u, ptr(w, 0), m, s, ptr(p, 0), ptr(q, 0), ptr(dx, at))
            else:
                norm_slopes_plain(rows, n, a, u, m, s, ptr(p, 0), ptr(q, 0), ptr(dx, at))
        if dw.size or db.size:
            for i in range(n):
                pw[i] = pb[i] = 0.0
            norm_columns(rows, n, a, u, m, s, ptr(pw, 0), ptr(pb, 0))
            for i in range(dw.size):
                dw[i] += np.float64(pw[i])
            for i in range(db.size):
                db[i] += np.float64(pb[i])
    keep(pw)
    keep(pb)
    keep(p)
    keep(q)


@njit(**JIT)
def _layer_norm_backward_tasks(g, x, w, mean, rstd, dx, dw, db, center, lo, hi):
    """Rows lo <= r < hi: writes dx (where it is wanted) and adds to dw and db (float64, where they are)."""
    n = x.shape[1]
    if n <= SHORT:
        _short_backward(g, x, w, mean, rstd, dx, dw, db, center, lo, hi)
        return
    pw, pb = np.zeros(dw.size, x.dtype), np.zeros(db.size, x.dtype)
    for r in range(lo, hi):
        a, u, m, s = g[r], x[r], mean[r], rstd[r]
        if dx.size:
            s1, s2 = _row_sums(a, u, w, m, s)
            s1 = s1 / n if center else 0.0
            _row_backward(a, u, w, dx[r], m, s, x.dtype.type(s1), x.dtype.type(s2 / n))
        if dw.size and db.size:
            for i in range(n):
                pw[i] += a[i] * ((u[i] - m) * s)
                pb[i] += a[i]
        elif dw.size:
            for i in range(n):
                pw[i] += a[i] * ((u[i] - m) * s)
        elif db.size:
            for i in range(n):
                pb[i] += a[i]
        if (r - lo) % FEW == FEW - 1 or r == hi - 1:
            _flush(dw, pw)
            _flush(db, pb)


@njit(**JIT)
def _zeros(a, b, c):
    """Zeros of float64 (outside the parallel function, which would start threads to fill them)."""
    return np.zeros((a, b, c))


@njit(**JIT)
def _sum_parts(parts, out):
    """out[i] = sum_p parts[p, i], in order of p; nothing where out is empty."""
    n = out.size
    if n:
        total = np.zeros(n)
        for p in range(parts.shape[0]):
            row = parts[p]
            for i in range(n):
                total[i] += row[i]
        for i in range(n):
            out[i] = total[i]


@njit(**JIT)
def _none():
    return np.zeros(0)


@njit(**JIT)
def _weight_columns(g, x, mean, rstd, dw, db, lo, hi):
    """dw and db, where they are wanted, for the columns lo <= i < hi. A sum of float64 over all of n for each part of
    the rows costs more than reading wide rows again: 16 x (64, 16, 16) forward and backward 580 us with it, 390 so."""
    pw, pb = np.zeros(hi - lo), np.zeros(hi - lo)
    for r in range(x.shape[0]):
        a, u, m, s = g[r][lo:hi], x[r][lo:hi], mean[r], rstd[r]
        for i in range(pw.size):
            pw[i] += np.float64(a[i] * ((u[i] - m) * s))
            pb[i] += np.float64(a[i])
    if dw.size:
        for i in range(pw.size):
            dw[lo:hi][i] = pw[i]
    if db.size:
        for i in range(pb.size):
            db[lo:hi][i] = pb[i]


@njit(parallel=True, **JIT)
def layer_norm_backward(g, x, w, mean, rstd, dx, dw, db, center):
    """Gradients of layer_norm_forward. g, x: (rows, n). w: (n,) or (0,). mean, rstd: (rows,).

    dx (rows, n), dw (n,), db (n,): written; any of them is empty where it is not wanted.
    """
    rows, n = x.shape
    if n >= WIDE and x.size >= GRAIN:
        if dx.size:
            for r in prange(rows):
                k = np.intp(r)
                _layer_norm_backward_tasks(g, x, w, mean, rstd, dx, _none(), _none(), center, k, k + 1)
        if dw.size or db.size:
            for t in prange((n + BLOCK - 1) // BLOCK):
                lo = np.intp(t) * BLOCK
                _weight_columns(g, x, mean, rstd, dw, db, lo, min(n, lo + BLOCK))
        return
    per = max(1, CHUNK // n, (rows + PARTS - 1) // PARTS) if x.size >= GRAIN else max(1, rows)
    parts = max(1, (rows + per - 1) // per)
    sums = _zeros(2, parts, n if dw.size or db.size else 0)
    if parts == 1:
        pw, pb = sums[0, 0][: dw.size], sums[1, 0][: db.size]
        _layer_norm_backward_tasks(g, x, w, mean, rstd, dx, pw, pb, center, 0, rows)
    else:
        for c in prange(parts):
            p = np.intp(c)
            pw, pb = sums[0, p][: dw.size], sums[1, p][: db.size]
            _layer_norm_backward_tasks(g, x, w, mean, rstd, dx, pw, pb, center, p * per, min(rows, (p + 1) * per))
    _sum_parts(sums[0], dw)
    _sum_parts(sums[1], db)


@njit(**JIT)
def _group_norm_tasks(x, y, w, b, mean, rstd, var, groups, eps, lo, hi):
    """Rows lo <= r < hi of x (rows, D, L)."""
    depth, length = x.shape[1], x.shape[2]
    for r in range(lo, hi):
        m, v = _moments(x[r].reshape(depth * length), True)
        mean[r] = m
        rstd[r] = 1.0 / np.sqrt(v + eps)
        if var.size:
            var[r] = v
        m, s = mean[r], rstd[r]
        c0 = (r % groups) * depth
        if length == 1:
            row, out = x[r].reshape(depth), y[r].reshape(depth)
            _scale_row(row, out, w[c0 : c0 + depth], b[c0 : c0 + depth], m, s)
            continue
        for d in range(depth):
            scale = s * w[c0 + d] if w.size else s
            offset = b[c0 + d] if b.size else x.dtype.type(0.0)
            a, out = x[r, d], y[r, d]
            for i in range(length):
                out[i] = (a[i] - m) * scale + offset


@njit(parallel=True, **JIT)
def group_norm_forward(x, y, w, b, mean, rstd, var, groups, eps):
    """Normalizes x (rows, D, L) over D and L; row r is group r % groups, w and b: (groups * D,) or (0,).

    y (x's shape), mean, rstd (rows,): written. var: (rows,), written, or (0,).
    """
    rows, depth, length = x.shape
    if x.size < GRAIN:
        _group_norm_tasks(x, y, w, b, mean, rstd, var, groups, eps, 0, rows)
    else:
        per = max(1, CHUNK // (depth * length))
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _group_norm_tasks(x, y, w, b, mean, rstd, var, groups, eps, lo, min(rows, lo + per))


@njit(**JIT)
def _group_norm_backward_tasks(g, x, w, mean, rstd, dx, part, groups, lo, hi):
    """Rows lo <= r < hi; part (2, samples, channels) of float64 gets each channel's sums of g xhat and g."""
    depth, length = x.shape[1], x.shape[2]
    size = depth * length
    none = w[:0]
    for r in range(lo, hi):
        m, s = mean[r], rstd[r]
        c0 = (r % groups) * depth
        h1, h2 = 0.0, 0.0
        for d in range(depth):
            s1, s2 = _row_sums(g[r, d], x[r, d], none, m, s)
            part[0, r // groups, c0 + d] = s2
            part[1, r // groups, c0 + d] = s1
            scale = np.float64(w[c0 + d]) if w.size else 1.0
            h1 += s1 * scale
            h2 += s2 * scale
        if dx.size:
            k1, k2 = x.dtype.type(h1 / size), x.dtype.type(h2 / size)
            for d in range(depth):
                a, u, out = g[r, d], x[r, d], dx[r, d]
                scale = w[c0 + d] if w.size else x.dtype.type(1.0)
                for i in range(length):
                    out[i] = s * (a[i] * scale - k1 - ((u[i] - m) * s) * k2)


@njit(parallel=True, **JIT)
def group_norm_backward(g, x, w, mean, rstd, dx, dw, db, groups):
    """Gradients of group_norm_forward. g, x: (rows, D, L). w: (groups * D,) or (0,). mean, rstd: (rows,).

    dx (x's shape), dw, db (groups * D,): written; any of them is empty where it is not wanted.
    """
    rows, depth, length = x.shape
    channels, samples = groups * depth, rows // groups
    part = np.empty((2, samples, channels))
    if x.size < GRAIN:
        _group_norm_backward_tasks(g, x, w, mean, rstd, dx, part, groups, 0, rows)
    else:
        per = max(1, CHUNK // (depth * length))
        for c in prange((rows + per - 1) // per):
            lo = np.intp(c) * per
            _group_norm_backward_tasks(g, x, w, mean, rstd, dx, part, groups, lo, min(rows, lo + per))
    _sum_parts(part[0], dw)
    _sum_parts(part[1], db)


@njit(**JIT)
def instance_norm_running(mean, var, running_mean, running_var, momentum, unbias):
    """Moves running statistics (C,) by momentum towards the average over samples of mean and unbias * var (N, C)."""
    samples, channels = mean.shape
    for c in range(channels):
        m, v = 0.0, 0.0
        for i in range(samples):
            m += np.float64(mean[i, c])
            v += np.float64(var[i, c])
        running_mean[c] = (1.0 - momentum) * running_mean[c] + momentum * (m / samples)
        running_var[c] = (1.0 - momentum) * running_var[c] + momentum * (v * unbias / samples)


@njit(**JIT)
def _normalize_short(x, y, size, eps, lo, hi):
    """The same for rows that are short, several at a time: 4096 x 16 took 100 us on one thread, 26 so."""
    n, some = x.shape[1], 64
    sums, zeros, scale = np.empty(some), np.zeros(some, x.dtype), np.empty(some, x.dtype)
    for first in range(lo, hi, some):
        rows, at = min(some, hi - first), first * n
        rows_squares(rows, n, ptr(x, at), ptr(zeros, 0), 1.0, ptr(sums, 0))
        norms = size[first : first + rows].reshape(rows)
        for i in range(rows):
            total = sums[i]
            norms[i] = max(np.sqrt(total), eps) if total == total else total
            scale[i] = 1 / norms[i]
        norm_rows_plain(rows, n, ptr(x, at), ptr(zeros, 0), ptr(scale, 0), ptr(y, at))
    keep(sums)
    keep(zeros)
    keep(scale)


@njit(**JIT)
def _normalize_rows(x, y, size, eps, lo, hi):
    """The same for contiguous rows (inner is 1)."""
    n = x.shape[1]
    if n <= LONGEST:
        _normalize_short(x, y, size, eps, lo, hi)
        return
    for o in range(lo, hi):
        row, out = x[o].reshape(n), y[o].reshape(n)
        total = 0.0
        for k in range(n):
            v = np.float64(row[k])
            total += v * v
        size[o, 0] = max(np.sqrt(total), eps) if total == total else total
        scale = 1 / size[o, 0]
        for k in range(n):
            out[k] = row[k] * scale


@njit(**JIT)
def _normalize_forward(x, y, size, eps, lo, hi):
    """Slabs lo <= o < hi of normalize_forward."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        _normalize_rows(x, y, size, eps, lo, hi)
        return
    total, scale = np.empty(inner), np.empty(inner, x.dtype)
    for o in range(lo, hi):
        total[:] = 0.0
        for k in range(n):
            row = x[o, k]
            for j in range(inner):
                v = np.float64(row[j])
                total[j] += v * v
        for j in range(inner):
            size[o, j] = max(np.sqrt(total[j]), eps) if total[j] == total[j] else total[j]
            scale[j] = 1 / size[o, j]
        for k in range(n):
            row, out = x[o, k], y[o, k]
            for j in range(inner):
                out[j] = row[j] * scale[j]


@njit(parallel=True, **JIT)
def normalize_forward(x, y, size, eps):
    """y = x / size, size = max(2-norm over k, eps). x, y (written): (outer, n, inner). size (written): (outer,
    inner)."""
    outer, n, inner = x.shape
    per = max(1, CHUNK // max(1, n * inner))
    if x.size < GRAIN or per >= outer:
        _normalize_forward(x, y, size, eps, 0, outer)
    else:
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _normalize_forward(x, y, size, eps, lo, min(outer, lo + per))


@njit(**JIT)
def _normalize_backward_rows(g, y, size, dx, eps, lo, hi):
    """The same for contiguous rows (inner is 1)."""
    n = y.shape[1]
    for o in range(lo, hi):
        a, b, out = g[o].reshape(n), y[o].reshape(n), dx[o].reshape(n)
        total = 0.0
        for k in range(n):
            total += np.float64(a[k]) * np.float64(b[k])
        scale = 1 / size[o, 0]
        dot = y.dtype.type(0.0 if size[o, 0] <= y.dtype.type(eps) else total)
        for k in range(n):
            out[k] = (a[k] - b[k] * dot) * scale


@njit(**JIT)
def _normalize_backward(g, y, size, dx, eps, lo, hi):
    """Slabs lo <= o < hi of normalize_backward."""
    n, inner = y.shape[1], y.shape[2]
    if inner == 1:
        _normalize_backward_rows(g, y, size, dx, eps, lo, hi)
        return
    total, scale, dot = np.empty(inner), np.empty(inner, y.dtype), np.empty(inner, y.dtype)
    for o in range(lo, hi):
        total[:] = 0.0
        for k in range(n):
            a, b = g[o, k], y[o, k]
            for j in range(inner):
                total[j] += np.float64(a[j]) * np.float64(b[j])
        for j in range(inner):
            scale[j] = 1 / size[o, j]
            dot[j] = 0.0 if size[o, j] <= y.dtype.type(eps) else total[j]
        for k in range(n):
            a, b, out = g[o, k], y[o, k], dx[o, k]
            for j in range(inner):
                out[j] = (a[j] - b[j] * dot[j]) * scale[j]


@njit(parallel=True, **JIT)
def normalize_backward(g, y, size, dx, eps):
    """Gradient of normalize_forward. g, y, dx (written): (outer, n, inner). size: (outer, inner)."""
    outer, n, inner = y.shape
    per = max(1, CHUNK // max(1, n * inner))
    if y.size < GRAIN or per >= outer:
        _normalize_backward(g, y, size, dx, eps, 0, outer)
    else:
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _normalize_backward(g, y, size, dx, eps, lo, min(outer, lo + per))
