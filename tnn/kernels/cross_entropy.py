r"""Negative log-likelihood, and softmax with cross entropy in one pass, on x (N, C, L): C classes, L positions.

    lse = log sum_c exp(x_c)
    nll_forward              loss = -w_t x_t
    cross_entropy_forward    loss = (1 - e) w_t (lse - x_t) + e/C sum_c w_c (lse - x_c)          t a class
    cross_entropy_backward   dx_c = g ((1 - e) w_t (p_c - [c = t]) + e/C (W p_c - w_c)),         p_c = exp(x_c -
        lse), W = sum w
    soft_forward             loss = sum_c w_c q_c (lse - x_c),   q_c = (1 - e) t_c + e/C         t a distribution
    soft_backward            dx_c = g (Q p_c - w_c q_c),         Q = sum_c w_c q_c

A target equal to ``ignore`` gives 0. Only lse is kept for backward, not the probabilities: reading x again costs
less than
writing and reading them.
"""

import numpy as np
from numba import njit, prange, types

from ._jit import CHUNK, GRAIN, JIT
from ._math import exp, log
from ._minmax import maximum
from ._simd import keep, ptr, shared_kernel
from ._simd_short import LONGEST, class_slopes
from .softmax import lse_rows

# Columns in a unit of work.
TILE = 256


@njit(**JIT)
def first_invalid(target, n, ignore):
    """The position of the first element of a 1-D int64 array that is neither in [0, n) nor ``ignore``, or -1."""
    for i in range(target.size):
        t = target[i]
        if (t < 0 or t >= n) and t != ignore:
            return i
    return -1


@njit(**JIT)
def scan_targets(target, n, ignore, w, given, total):
    """The position of the first element of a 1-D int64 array that is neither in [0, n) nor ``ignore``; else -1 if all
    count, -2 if some are ignored. Writes total (1,) float64: the weights w, 1 unless ``given``, of those that count."""
    wrong, valid = 0, 0
    for i in range(target.size):
        t = target[i]
        counts = t != ignore
        wrong += counts & ((t < 0) | (t >= n))
        valid += counts
    if wrong:
        return first_invalid(target, n, ignore)
    total[0] = valid
    if given:
        weight = 0.0
        for i in range(target.size):
            if target[i] != ignore:
                weight += np.float64(w[target[i]])
        total[0] = weight
    return -1 if valid == target.size else -2


@njit(**JIT)
def _total(x):
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i])
    return total


@njit(parallel=True, **JIT)
def total_forward(x, scale, out):
    """Writes out (1,): ``scale`` times the sum of x (1-D), added up in float64."""
    n = x.size
    if n < GRAIN:
        out[0] = scale * _total(x)
        return
    chunks = (n + CHUNK - 1) // CHUNK
    parts = np.empty(chunks)
    for c in prange(chunks):
        lo = np.intp(c) * CHUNK
        parts[np.intp(c)] = _total(x[lo : min(n, lo + CHUNK)])
    out[0] = scale * _total(parts)


@njit(**JIT)
def _samples(count, work):
    """Samples in a unit of work; small work is one unit, which runs on the calling thread."""
    return max(1, count if work < GRAIN else CHUNK * count // work)


@njit(parallel=True, **JIT)
def nll_forward(x, target, w, ignore, loss):
    """Writes loss (N, L) from x (N, C, L), target (N, L), w (C,)."""
    count, per = x.shape[0], _samples(x.shape[0], 4 * target.size)
    for unit in prange((count + per - 1) // per):
        for n in range(np.intp(unit) * per, min(count, (np.intp(unit) + 1) * per)):
            for j in range(x.shape[2]):
                t = target[n, j]
                loss[n, j] = 0 if t == ignore else -w[t] * x[n, t, j]


@njit(**JIT)
def nll_total(x, target, w, ignore, how, out, total):
    """scan_targets and nll_forward in one pass. how: 0 writes out (N L,), the losses; 1 out (1,), their sum; 2 that by
    the targets' weights. Writes total (1,) float64, these weights' sum; returns what scan_targets does."""
    loss, weight, ignored = 0.0, 0.0, 0
    for n in range(x.shape[0]):
        for j in range(x.shape[2]):
            at = n * x.shape[2] + j
            t = target[n, j]
            value = x.dtype.type(0)
            if t == ignore:
                ignored += 1
            elif t < 0 or t >= x.shape[1]:
                return at
            else:
                value = -w[t] * x[n, t, j]
                weight += np.float64(w[t])
            if how == 0:
                out[at] = value
            loss += np.float64(value)
    total[0] = weight
    if how > 0:
        out[0] = loss / weight if how == 2 else loss
    return -2 if ignored else -1


@njit(parallel=True, **JIT)
def nll_backward(g, target, w, ignore, scale, gx):
    """Writes gx (N, C, L); g (N, L), or (1, 1) for one gradient of all."""
    if not gx.size:  # g[0, 0] is read before the loop
        return
    count, per = gx.shape[0], _samples(gx.shape[0], gx.size)
    for unit in prange((count + per - 1) // per):
        for n in range(np.intp(unit) * per, min(count, (np.intp(unit) + 1) * per)):
            out = gx[n].reshape(gx.shape[1] * gx.shape[2])
            for i in range(out.size):
                out[i] = 0
            for j in range(gx.shape[2]):
                t = target[n, j]
                if t != ignore:
                    gx[n, t, j] = -w[t] * (g[0, 0] if g.size == 1 else g[n, j]) * scale


@njit(**JIT)
def _lse_row(x):
    m = x.dtype.type(-np.inf)
    for i in range(x.size):
        m = maximum(m, x[i])
    s = x.dtype.type(0)
    for i in range(x.size):
        s += exp(x[i] - m)
    return m + log(s)


@njit(**JIT)
def _lse_tile(x, j0, j1, lse, s):
    """Log-sum-exp over the rows of x (C, L), for columns j0 <= j < j1, into lse (j1 - j0,)."""
    for j in range(lse.size):
        lse[j] = -np.inf
        s[j] = 0
    for c in range(x.shape[0]):
        a = x[c][j0:j1]
        for j in range(lse.size):
            lse[j] = maximum(lse[j], a[j])
    for c in range(x.shape[0]):
        a = x[c][j0:j1]
        for j in range(lse.size):
            s[j] += exp(a[j] - lse[j])
    for j in range(lse.size):
        lse[j] += log(s[j])


@njit(**JIT)
def _lse_columns(x, j0, lse, s):
    """Log-sum-exp of the columns of x (C, L) from j0 on, as many as lse has."""
    if x.shape[1] == 1:
        lse[0] = _lse_row(x.reshape(x.size))
    else:
        _lse_tile(x, j0, j0 + lse.size, lse, s)


@njit(**JIT)
def _class_loss(x, j0, target, w, ignore, smooth, loss, lse):
    """The losses of the columns of x (C, L) from j0 on, as many as target has."""
    classes = x.shape[0]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    for j in range(loss.size):
        loss[j] = 0
    if smooth > 0 and x.shape[1] == 1:
        row = x.reshape(classes)
        for c in range(classes):
            loss[0] += share * w[c] * (lse[0] - row[c])
    elif smooth > 0:
        for c in range(classes):
            row, k = x[c][j0 : j0 + loss.size], share * w[c]
            for j in range(loss.size):
                loss[j] += k * (lse[j] - row[j])
    for j in range(target.size):
        t = target[j]
        loss[j] = 0 if t == ignore else loss[j] + keep * w[t] * (lse[j] - x[t, j0 + j])


@njit(**JIT)
def _tiles(x):
    """Into how many tiles of columns a sample of x (N, C, L) is cut."""
    return (x.shape[2] + TILE - 1) // TILE


@njit(**JIT)
def _class_losses(x, unit, target, w, ignore, smooth, loss, lse):
    tiles = _tiles(x)
    n, j0 = unit // tiles, unit % tiles * TILE
    j1 = min(x.shape[2], j0 + TILE)
    _lse_tile(x[n], j0, j1, lse[n][j0:j1], np.empty(TILE, x.dtype))
    _class_loss(x[n], j0, target[n][j0:j1], w, ignore, smooth, loss[n][j0:j1], lse[n][j0:j1])


@njit(**JIT)
def _plain_losses(x, classes, target, w, ignore, loss, lse, first):
    """Losses without smoothing, of samples from ``first`` on; all arrays are 1-D."""
    for i in range(target.size):
        t = target[i]
        valid = t != ignore
        t = t if valid else 0
        value = w[np.uintp(t)] * (lse[i] - x[np.uintp((first + i) * classes + t)])
        loss[i] = value if valid else x.dtype.type(0)


@njit(**JIT)
def _row_losses(x, lo, hi, target, w, ignore, smooth, loss, lse):
    """The samples lo <= n < hi of x (N, C, 1)."""
    if x.shape[1] <= LONGEST:
        lse_rows(x.reshape(x.shape[0], x.shape[1]), lse.reshape(lse.size), lo, hi)
    else:
        for n in range(lo, hi):
            lse[n, 0] = _lse_row(x[n].reshape(x.shape[1]))
    if smooth == 0:
        _plain_losses(x.reshape(x.size), x.shape[1], target[lo:hi].reshape(hi - lo), w, ignore,
                      loss[lo:hi].reshape(hi - lo), lse[lo:hi].reshape(hi - lo), lo)  # fmt: skip
        return
    for n in range(lo, hi):
        _class_loss(x[n], 0, target[n], w, ignore, smooth, loss[n], lse[n])


@njit(parallel=True, **JIT)
def _forward_in_parallel(x, target, w, ignore, smooth, loss, lse):
    if x.shape[2] == 1:
        # Many samples to a unit of work: 1024 of 64 classes, one thread, 142 us singly, 64 so; backward 76 and 51.
        count, per = x.shape[0], _samples(x.shape[0], 4 * x.size)
        for unit in prange((count + per - 1) // per):
            lo, hi = np.intp(unit) * per, min(count, (np.intp(unit) + 1) * per)
            _row_losses(x, lo, hi, target, w, ignore, smooth, loss, lse)
        return
    units = x.shape[0] * _tiles(x)
    if x.size < GRAIN // 8:
        for unit in range(units):
            _class_losses(x, unit, target, w, ignore, smooth, loss, lse)
    else:
        for unit in prange(units):
            _class_losses(x, np.intp(unit), target, w, ignore, smooth, loss, lse)


def _forward_arguments(real):
    matrix = real[:, ::1]
    return real[:, :, ::1], types.int64[:, ::1], real[::1], types.intp, types.float64, matrix, matrix


_large_forward = shared_kernel(30, _forward_in_parallel, _forward_arguments)


@njit(**JIT)
def cross_entropy_forward(x, target, w, ignore, smooth, loss, lse):
    """Writes loss and lse, both (N, L), from x (N, C, L), target (N, L) of classes, w (C,)."""
    # A few samples of one position each are apart, since the first call of the other takes a second to compile.
    if x.shape[2] == 1 and x.size < GRAIN // 8:
        for n in range(x.shape[0]):
            lse[n, 0] = _lse_row(x[n].reshape(x.shape[1]))
            _class_loss(x[n], 0, target[n], w, ignore, smooth, loss[n], lse[n])
    else:
        _large_forward((x, target, w, ignore, smooth, loss, lse))


@njit(**JIT)
def _class_slope_row(a, row, lse, t, w, total, keep, share, out):
    p = a * (keep * w[t] + share * total)
    b = a * share
    for c in range(row.size):
        out[c] = p * exp(row[c] - lse) - b * w[c]
    out[t] -= a * keep * w[t]


@njit(**JIT)
def _short_slopes(g, x, lo, hi, lse, target, w, total, ignore, most, share, scale, gx):
    """The same for rows that are short; x and gx (N C,), target (N,). 4096 x 16, forward and backward on one thread:
    346 us row by row, 86 so."""
    rows, classes = hi - lo, w.size
    p, q, mine = np.empty(rows, x.dtype), np.empty(rows, x.dtype), target[lo:hi]
    for i in range(rows):
        t = mine[i]
        a = (g[0] if g.size == 1 else g[lo + i]) * scale
        p[i] = a * (most * w[np.uintp(t if t != ignore else 0)] + share * total)
        q[i] = a * share
    at = lo * classes
    class_slopes(rows, classes, ptr(x, at), ptr(w, 0), ptr(lse, lo), ptr(p, 0), ptr(q, 0), ptr(gx, at))
    keep(p)
    keep(q)
    for i in range(rows):
        t, at = mine[i], (lo + i) * classes
        if t != ignore:
            gx[np.uintp(at + t)] -= (g[0] if g.size == 1 else g[lo + i]) * scale * most * w[np.uintp(t)]
        else:
            for c in range(classes):
                gx[np.uintp(at + c)] = 0


@njit(**JIT)
def _row_slopes(g, x, lo, hi, lse, target, w, total, ignore, smooth, scale, gx):
    """The gradients of the samples lo <= n < hi of x (N, C, 1)."""
    classes, most = x.shape[1], x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    if classes <= LONGEST:
        _short_slopes(g.reshape(g.size), x.reshape(x.size), lo, hi, lse, target.reshape(target.size), w,
                      x.dtype.type(total), ignore, most, share, x.dtype.type(scale), gx.reshape(gx.size))  # fmt: skip
        return
    for n in range(lo, hi):
        row, out, t = x[n].reshape(classes), gx[n].reshape(classes), target[n, 0]
        if t == ignore:
            for c in range(classes):
                out[c] = 0
        else:
            a = (g[0, 0] if g.size == 1 else g[n, 0]) * x.dtype.type(scale)
            _class_slope_row(a, row, lse[n, 0], t, w, x.dtype.type(total), most, share, out)


@njit(**JIT)
def _class_slope(g, x, j0, lse, target, w, total, ignore, smooth, scale, gx):
    """The gradient of the columns of x (C, L) from j0 on, as many as target has; g: for each column, or one for all."""
    classes = x.shape[0]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    k = x.dtype.type(scale)
    # What does not depend on the class first: with the classes' weights looked up inside, the loop would not vectorise
    # (4 x 21 x 40 x 40 in 880 us, not 130).
    n = target.size
    p, q = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
    ignored = 0
    for j in range(n):
        a = (g[0] if g.size == 1 else g[j]) * k
        valid = target[j] != ignore
        ignored += not valid
        p[j] = a * (keep * w[target[j] if valid else 0] + share * x.dtype.type(total))
        q[j] = a * share
    for c in range(classes):
        row, out, wc = x[c][j0 : j0 + n], gx[c][j0 : j0 + n], w[c]
        for j in range(n):
            out[j] = p[j] * exp(row[j] - lse[j]) - q[j] * wc
    for j in range(n):
        if target[j] != ignore:
            gx[target[j], j0 + j] -= (g[0] if g.size == 1 else g[j]) * k * keep * w[target[j]]
    if ignored:
        for c in range(classes):
            out = gx[c][j0 : j0 + n]
            for j in range(n):
                out[j] = out[j] if target[j] != ignore else x.dtype.type(0)


@njit(**JIT)
def _class_slopes(g, x, unit, lse, target, w, total, ignore, smooth, scale, gx):
    tiles = _tiles(x)
    n, j0 = unit // tiles, unit % tiles * TILE
    j1 = min(x.shape[2], j0 + TILE)
    one = g[0][0:1] if g.size == 1 else g[n][j0:j1]
    _class_slope(one, x[n], j0, lse[n][j0:j1], target[n][j0:j1], w, total, ignore, smooth, scale, gx[n])


@njit(parallel=True, **JIT)
def _backward_in_parallel(g, x, lse, target, w, total, ignore, smooth, scale, gx):
    if x.shape[2] == 1:
        count, per = x.shape[0], _samples(x.shape[0], 4 * x.size)
        for unit in prange((count + per - 1) // per):
            lo, hi = np.intp(unit) * per, min(count, (np.intp(unit) + 1) * per)
            _row_slopes(g, x, lo, hi, lse, target, w, total, ignore, smooth, scale, gx)
        return
    units = x.shape[0] * _tiles(x)
    if x.size < GRAIN // 4:
        for unit in range(units):
            _class_slopes(g, x, unit, lse, target, w, total, ignore, smooth, scale, gx)
    else:
        for unit in prange(units):
            _class_slopes(g, x, np.intp(unit), lse, target, w, total, ignore, smooth, scale, gx)


def _backward_arguments(real):
    cube, matrix, number = real[:, :, ::1], real[:, ::1], types.float64
    return matrix, cube, matrix, types.int64[:, ::1], real[::1], number, types.intp, number, number, cube


_large_backward = shared_kernel(32, _backward_in_parallel, _backward_arguments)


@njit(**JIT)
def cross_entropy_backward(g, x, lse, target, w, total, ignore, smooth, scale, gx):
    """Writes gx (N, C, L). g: (N, L), or (1, 1) for one gradient of all; total: the sum of w."""
    if not x.size:  # w[0] is read for positions that do not count
        return
    if x.shape[2] == 1 and x.size < GRAIN // 4:
        classes, keep = x.shape[1], x.dtype.type(1 - smooth)
        share = x.dtype.type(smooth / classes)
        for n in range(x.shape[0]):
            row, out, t = x[n].reshape(classes), gx[n].reshape(classes), target[n, 0]
            if t == ignore:
                for c in range(classes):
                    out[c] = 0
            else:
                a = (g[0, 0] if g.size == 1 else g[n, 0]) * x.dtype.type(scale)
                _class_slope_row(a, row, lse[n, 0], t, w, x.dtype.type(total), keep, share, out)
    else:
        _large_backward((g, x, lse, target, w, total, ignore, smooth, scale, gx))


@njit(**JIT)
def _soft_loss(x, target, j0, w, smooth, loss, lse):
    classes = x.shape[0]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    if x.shape[1] == 1:
        row, t, at = x.reshape(classes), target.reshape(classes), lse[0]
        total = x.dtype.type(0)
        for c in range(classes):
            total += w[c] * (keep * t[c] + share) * (at - row[c])
        loss[0] = total
        return
    for j in range(loss.size):
        loss[j] = 0
    for c in range(classes):
        row, t, wc = x[c][j0 : j0 + loss.size], target[c][j0 : j0 + loss.size], w[c]
        for j in range(loss.size):
            loss[j] += wc * (keep * t[j] + share) * (lse[j] - row[j])


@njit(**JIT)
def _soft_losses(x, unit, target, w, smooth, loss, lse):
    tiles = _tiles(x)
    n, j0 = unit // tiles, unit % tiles * TILE
    j1 = min(x.shape[2], j0 + TILE)
    _lse_columns(x[n], j0, lse[n][j0:j1], np.empty(TILE, x.dtype))
    _soft_loss(x[n], target[n], j0, w, smooth, loss[n][j0:j1], lse[n][j0:j1])


@njit(parallel=True, **JIT)
def soft_forward(x, target, w, smooth, loss, lse):
    """Writes loss and lse, both (N, L), from x and target, both (N, C, L), and w (C,)."""
    units = x.shape[0] * _tiles(x)
    if x.size < GRAIN // 8:
        for unit in range(units):
            _soft_losses(x, unit, target, w, smooth, loss, lse)
    else:
        for unit in prange(units):
            _soft_losses(x, np.intp(unit), target, w, smooth, loss, lse)


@njit(**JIT)
def _soft_slope(g, x, j0, lse, target, w, smooth, scale, gx):
    classes = x.shape[0]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    k = x.dtype.type(scale)
    if x.shape[1] == 1:
        row, t, out, a, at = x.reshape(classes), target.reshape(classes), gx.reshape(classes), g[0] * k, lse[0]
        total = x.dtype.type(0)
        for c in range(classes):
            total += w[c] * (keep * t[c] + share)
        for c in range(classes):
            out[c] = a * (total * exp(row[c] - at) - w[c] * (keep * t[c] + share))
        return
    n = lse.size
    total, a = np.zeros(TILE, x.dtype), np.empty(TILE, x.dtype)
    for j in range(n):
        a[j] = (g[0] if g.size == 1 else g[j]) * k
    for c in range(classes):
        t, wc = target[c][j0 : j0 + n], w[c]
        for j in range(n):
            total[j] += wc * (keep * t[j] + share)
    for c in range(classes):
        row, t, out, wc = x[c][j0 : j0 + n], target[c][j0 : j0 + n], gx[c][j0 : j0 + n], w[c]
        for j in range(n):
            out[j] = a[j] * (total[j] * exp(row[j] - lse[j]) - wc * (keep * t[j] + share))


@njit(**JIT)
def _soft_slopes(g, x, unit, lse, target, w, smooth, scale, gx):
    tiles = _tiles(x)
    n, j0 = unit // tiles, unit % tiles * TILE
    j1 = min(x.shape[2], j0 + TILE)
    one = g[0][0:1] if g.size == 1 else g[n][j0:j1]
    _soft_slope(one, x[n], j0, lse[n][j0:j1], target[n], w, smooth, scale, gx[n])


@njit(parallel=True, **JIT)
def soft_backward(g, x, lse, target, w, smooth, scale, gx):
    """Writes gx (N, C, L). g: (N, L), or (1, 1) for one gradient of all."""
    units = x.shape[0] * _tiles(x)
    if x.size < GRAIN // 4:
        for unit in range(units):
            _soft_slopes(g, x, unit, lse, target, w, smooth, scale, gx)
    else:
        for unit in prange(units):
            _soft_slopes(g, x, np.intp(unit), lse, target, w, smooth, scale, gx)
