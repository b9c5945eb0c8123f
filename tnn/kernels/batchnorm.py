r"""Batch normalization of arrays (N, C, L): statistics of each channel over N and L.

    batch_norm_reduce     mean = sum(x) / m,  rstd = 1 / sqrt(sum((x - mean)^2) / m + eps),  m = N L
                          or dw = sum g xhat,  db = sum g
    batch_norm_apply      y = (x - mean) rstd w + b
    batch_norm_backward   dx = rstd w (g - (db + xhat dw) / m)  in training,  rstd w g  in evaluation

Two layouts of the work: long strips x[n, c, :] are taken one by one; where L is short (L = 1 for input (N, C)) whole
rows x[n] are, with every per-channel number repeated L times, and several samples together where rows are short, so
that the loops stay long. Sums run in float64, of x less a value of the channel, over pieces that depend on the shape
alone.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT

# Strips shorter than this are taken as rows.
SHORT = 16
PARTS = 64
# Elements in a row of several samples: 4096 x 8 in evaluation took 86 us on one thread a sample at a time, 9 so.
WIDE = 512


@njit(**JIT)
def _together(batch, row):
    """How many samples of ``row`` elements are taken as one row."""
    return max(1, min(WIDE // row, batch // 8))


@njit(**JIT)
def _strip_sums(g, x, shift, squares):
    """Over a 1-D strip, v = x - shift: sums of v and v v where squares is true, else of g and g v."""
    s1, s2 = 0.0, 0.0
    if squares:
        for i in range(x.size):
            v = np.float64(x[i]) - shift
            s1 += v
            s2 += v * v
    else:
        for i in range(x.size):
            h = np.float64(g[i])
            s1 += h
            s2 += h * (np.float64(x[i]) - shift)
    return s1, s2


@njit(**JIT)
def _row_task(g, x, shift, part, lo, hi, squares):
    """The same for rows lo <= n < hi of all channels, element by element: written to part[0] and part[1]."""
    s1, s2 = part[0], part[1]
    s1[:] = 0.0
    s2[:] = 0.0
    # Four rows at a time, added up in their own dtype: 1024 x 1000 in 330 us one by one, 120 us so.
    low = shift.astype(x.dtype)
    n = lo
    while n + 4 <= hi:
        u0, u1, u2, u3 = x[n], x[n + 1], x[n + 2], x[n + 3]
        if squares:
            for i in range(u0.size):
                m = low[i]
                v0, v1, v2, v3 = u0[i] - m, u1[i] - m, u2[i] - m, u3[i] - m
                s1[i] += np.float64((v0 + v1) + (v2 + v3))
                s2[i] += np.float64((v0 * v0 + v1 * v1) + (v2 * v2 + v3 * v3))
        else:
            a0, a1, a2, a3 = g[n], g[n + 1], g[n + 2], g[n + 3]
            for i in range(u0.size):
                m, h0, h1, h2, h3 = low[i], a0[i], a1[i], a2[i], a3[i]
                s1[i] += np.float64((h0 + h1) + (h2 + h3))
                first = h0 * (u0[i] - m) + h1 * (u1[i] - m)
                s2[i] += np.float64(first + (h2 * (u2[i] - m) + h3 * (u3[i] - m)))
        n += 4
    for k in range(n, hi):
        a, u = g[k], x[k]
        if squares:
            for i in range(u.size):
                v = np.float64(u[i]) - shift[i]
                s1[i] += v
                s2[i] += v * v
        else:
            for i in range(u.size):
                h = np.float64(a[i])
                s1[i] += h
                s2[i] += h * (np.float64(u[i]) - shift[i])


@njit(**JIT)
def _strip_task(g, x, shift, part, t, samples, pieces, width, squares):
    """Task t of the strips: channel t // pieces, and of its strips a group of samples or a piece of one strip."""
    batch, length = x.shape[0], x.shape[2]
    c, p = t // pieces, t % pieces
    s1, s2 = 0.0, 0.0
    if width < length:
        cuts = (length + width - 1) // width
        n, lo = p // cuts, p % cuts * width
        hi = min(length, lo + width)
        s1, s2 = _strip_sums(g[n, c][lo:hi], x[n, c][lo:hi], shift[c], squares)
    else:
        for n in range(p * samples, min(batch, (p + 1) * samples)):
            a, b = _strip_sums(g[n, c], x[n, c], shift[c], squares)
            s1 += a
            s2 += b
    part[t, 0] = s1
    part[t, 1] = s2


@njit(**JIT)
def _repeated(v, times, copies):
    """Each element of a 1-D array ``times`` times over, and all that ``copies`` times."""
    row = v.size * times
    out = np.empty(row * copies, v.dtype)
    for c in range(v.size):
        for i in range(times):
            out[c * times + i] = v[c]
    for i in range(row, out.size):
        out[i] = out[i - row]
    return out


@njit(**JIT)
def _add_parts(part, length, sums):
    """sums[c, k]: what all parts (parts, 2, copies * C * length) have for a channel; part by part, so that rows are
    read as they lie (1024 x 1000 in 64 parts: 130 us channel by channel, 20 us so)."""
    row = sums.shape[0] * length
    for k in range(2):
        total = part[0, k]
        for p in range(1, part.shape[0]):
            more = part[p, k]
            for i in range(total.size):
                total[i] += more[i]
        for c in range(sums.shape[0]):
            s = 0.0
            for first in range(c * length, total.size, row):
                for i in range(first, first + length):
                    s += total[i]
            sums[c, k] = s


@njit(**JIT)
def _rest_task(g, x, shift, part, squares):
    """Adds what _row_task sums over a row that may be shorter than the others."""
    s1, s2 = part[0][: x.size], part[1][: x.size]
    for i in range(x.size):
        v, h = np.float64(x[i]) - shift[i], np.float64(g[i])
        s1[i] += v if squares else h
        s2[i] += v * v if squares else h * v


@njit(parallel=True, **JIT)
def _channel_sums(g, x, shift, sums, squares):
    """sums (C, 2) of float64: for each channel the two sums of _strip_sums. shift: (C,) of float64."""
    batch, channels, length = x.shape
    if length >= SHORT:
        width = min(length, CHUNK)
        samples = max(1, CHUNK // length)
        pieces = batch * ((length + width - 1) // width) if width < length else (batch + samples - 1) // samples
        tasks = channels * pieces
        part = np.empty((tasks, 2))
        if x.size < GRAIN:
            for t in range(tasks):
                _strip_task(g, x, shift, part, t, samples, pieces, width, squares)
        else:
            for t in prange(tasks):
                _strip_task(g, x, shift, part, np.intp(t), samples, pieces, width, squares)
        for c in range(channels):
            s1, s2 = 0.0, 0.0
            for p in range(pieces):
                s1 += part[c * pieces + p, 0]
                s2 += part[c * pieces + p, 1]
            sums[c, 0], sums[c, 1] = s1, s2
    else:
        copies = _together(batch, channels * length)
        rows, row = batch // copies, copies * channels * length
        x1, g1 = x.reshape(x.size), g.reshape(g.size)
        x2, g2 = x1[: rows * row].reshape(rows, row), g1[: rows * row].reshape(rows, row)
        wide = _repeated(shift, length, copies)
        per = max(1, CHUNK // row, (rows + PARTS - 1) // PARTS) if x.size >= GRAIN else max(1, rows)
        parts = (rows + per - 1) // per
        part = np.empty((parts, 2, row))
        if parts == 1:
            _row_task(g2, x2, wide, part[0], 0, rows, squares)
        else:
            for c in prange(parts):
                p = np.intp(c)
                _row_task(g2, x2, wide, part[p], p * per, min(rows, (p + 1) * per), squares)
        _rest_task(g1[rows * row :], x1[rows * row :], wide, part[0], squares)
        _add_parts(part, length, sums)


@njit(**JIT)
def batch_norm_reduce(g, x, mean, rstd, first, second, momentum, eps, backward):
    """The sums over each channel that batch norm needs; one kernel for two tasks, which share most of their code.

    Forward: the statistics of x (N, C, L); g is x. mean, rstd: (C,), written. first, second: running mean and variance,
    (C,), moved by momentum towards the mean and the unbiased variance; or (0,).
    Backward: first = dw = sum of g xhat and second = db = sum of g, (C,), written. mean, rstd: read.
    """
    channels = x.shape[1]
    m = x.shape[0] * x.shape[2]
    shift, sums = np.empty(channels), np.empty((channels, 2))
    for c in range(channels):
        shift[c] = mean[c] if backward else x[0, c, 0]
    _channel_sums(g, x, shift, sums, not backward)
    for c in range(channels):
        if backward:
            second[c] = sums[c, 0]
            first[c] = sums[c, 1] * rstd[c]
            continue
        d = sums[c, 0] / m
        v = sums[c, 1] / m - d * d
        v = 0.0 if v < 0.0 else v
        mean[c] = shift[c] + d
        rstd[c] = 1.0 / np.sqrt(v + eps)
        if first.size:
            first[c] = (1.0 - momentum) * first[c] + momentum * (shift[c] + d)
            second[c] = (1.0 - momentum) * second[c] + momentum * (v * (m / (m - 1.0)))


@njit(**JIT)
def batch_norm_rstd(var, rstd, eps):
    """rstd = 1 / sqrt(var + eps). var, rstd (written): (C,)."""
    for c in range(var.size):
        rstd[c] = 1.0 / np.sqrt(np.float64(var[c]) + eps)


@njit(**JIT)
def _copied(out, row):
    """Copies what stands in the first ``row`` columns to the others."""
    for k in range(out.shape[0]):
        line = out[k]
        for i in range(row, line.size):
            line[i] = line[i - row]


@njit(**JIT)
def _apply_numbers(mean, rstd, w, b, times, copies):
    """(3, copies * C * times): mean, scale and offset of each channel, each ``times`` times over, and that ``copies``
    times."""
    out = np.empty((3, copies * mean.size * times), mean.dtype)
    for c in range(mean.size):
        scale = rstd[c] * w[c] if w.size else rstd[c]
        offset = b[c] if b.size else mean.dtype.type(0.0)
        for i in range(c * times, (c + 1) * times):
            out[0, i], out[1, i], out[2, i] = mean[c], scale, offset
    _copied(out, mean.size * times)
    return out


@njit(**JIT)
def _apply_tasks(x, y, numbers, low, lo, hi):
    """y = max((x - mean) scale + offset, low): strips lo <= t < hi of (n, c) where the strip is long, else rows as wide
    as ``numbers``."""
    channels, length = x.shape[1], x.shape[2]
    mean, scale, offset = numbers[0], numbers[1], numbers[2]
    if length >= SHORT:
        for t in range(lo, hi):
            n, c = t // channels, t % channels
            a, out, m, s, o = x[n, c], y[n, c], mean[c], scale[c], offset[c]
            for i in range(length):
                v = (a[i] - m) * s + o
                out[i] = low if v < low else v
    else:
        x1, y1, row = x.reshape(x.size), y.reshape(y.size), mean.size
        for n in range(lo, hi):
            a, out = x1[n * row : (n + 1) * row], y1[n * row : (n + 1) * row]
            for i in range(a.size):
                v = (a[i] - mean[i]) * scale[i] + offset[i]
                out[i] = low if v < low else v


@njit(parallel=True, **JIT)
def batch_norm_apply(x, y, mean, rstd, w, b, relu):
    """y = (x - mean) rstd w + b, where ``relu`` is true max(y, 0). x, y (written): (N, C, L). mean, rstd: (C,). w, b:
    (C,) or (0,)."""
    batch, channels, length = x.shape
    strips = length >= SHORT
    copies = 1 if strips else _together(batch, channels * length)
    numbers = _apply_numbers(mean, rstd, w, b, 1 if strips else length, copies)
    tasks = batch * channels if strips else (batch + copies - 1) // copies
    low = x.dtype.type(0.0 if relu else -np.inf)
    if x.size < GRAIN:
        _apply_tasks(x, y, numbers, low, 0, tasks)
    else:
        per = max(1, CHUNK // (length if strips else copies * channels * length))
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _apply_tasks(x, y, numbers, low, lo, min(tasks, lo + per))


@njit(**JIT)
def _backward_numbers(mean, rstd, w, dw, db, m, times, copies, training):
    """(4, copies * C * times): mean, a, p and q of dx = a g - p - q (x - mean), each ``times`` times over, and that
    ``copies`` times."""
    out = np.empty((4, copies * mean.size * times), mean.dtype)
    for c in range(mean.size):
        a = rstd[c] * w[c] if w.size else rstd[c]
        p, q = mean.dtype.type(0.0), mean.dtype.type(0.0)
        if training:
            p = mean.dtype.type(a * (db[c] / m))
            q = mean.dtype.type(a * (rstd[c] * (dw[c] / m)))
        for i in range(c * times, (c + 1) * times):
            out[0, i], out[1, i], out[2, i], out[3, i] = mean[c], a, p, q
    _copied(out, mean.size * times)
    return out


@njit(**JIT)
def _backward_tasks(g, x, dx, numbers, lo, hi, training):
    """dx = a g - p - q (x - mean), in evaluation dx = a g, whatever x is: strips or rows, as in _apply_tasks."""
    channels, length = x.shape[1], x.shape[2]
    mean, a, p, q = numbers[0], numbers[1], numbers[2], numbers[3]
    if length >= SHORT:
        for t in range(lo, hi):
            n, c = t // channels, t % channels
            u, v, out, m, a1, p1, q1 = g[n, c], x[n, c], dx[n, c], mean[c], a[c], p[c], q[c]
            if training:
                for i in range(length):
                    out[i] = a1 * u[i] - p1 - q1 * (v[i] - m)
            else:
                for i in range(length):
                    out[i] = a1 * u[i]
    else:
        g1, x1, dx1, row = g.reshape(g.size), x.reshape(x.size), dx.reshape(dx.size), mean.size
        for n in range(lo, hi):
            first, past = n * row, (n + 1) * row
            u, v, out = g1[first:past], x1[first:past], dx1[first:past]
            if training:
                for i in range(out.size):
                    out[i] = a[i] * u[i] - p[i] - q[i] * (v[i] - mean[i])
            else:
                for i in range(out.size):
                    out[i] = a[i] * u[i]


@njit(parallel=True, **JIT)
def batch_norm_backward(g, x, mean, rstd, w, dw, db, dx, training):
    """dx of batch_norm_apply. g, x, dx (written): (N, C, L). mean, rstd: (C,). w: (C,) or (0,).

    dw, db: (C,), what batch_norm_reduce gives; read in training, where mean and rstd depend on x.
    """
    batch, channels, length = x.shape
    strips = length >= SHORT
    copies = 1 if strips else _together(batch, channels * length)
    numbers = _backward_numbers(mean, rstd, w, dw, db, batch * length, 1 if strips else length, copies, training)
    tasks = batch * channels if strips else (batch + copies - 1) // copies
    if x.size < GRAIN:
        _backward_tasks(g, x, dx, numbers, 0, tasks, training)
    else:
        per = max(1, CHUNK // (length if strips else copies * channels * length))
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _backward_tasks(g, x, dx, numbers, lo, min(tasks, lo + per), training)
