"""Margin losses over the classes of each row x (C,).

    multi_margin        loss = w_t / C sum_{c != t} max(0, margin - x_t + x_c) ** p,      p 1 or 2
    multilabel_margin   loss = 1 / C sum_{t in T} sum_{c not in T} max(0, 1 - (x_t - x_c))

T are the row's targets up to the first negative one.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from .cross_entropy import _total, first_invalid

# Elements in a unit of work.
UNIT = 8192


@njit(**JIT)
def _per(x):
    """Rows in a unit of work; small work is one unit, which runs on the calling thread."""
    return max(1, x.shape[0] if x.size < GRAIN else UNIT // max(1, x.shape[1]))


@njit(**JIT)
def _beyond(part, base, square):
    """The sum of max(0, base + x), or of its square, over some classes."""
    total = part.dtype.type(0)
    for c in range(part.size):
        z = base + part[c]
        z = z if z > 0 else part.dtype.type(0)
        total += z * z if square else z
    return total


@njit(**JIT)
def _multi_margin(x, target, w, p, margin, loss):
    for n in range(loss.size):
        row, t = x[n], target[n]
        base = x.dtype.type(margin) - row[t]
        total = _beyond(row[:t], base, p == 2) + _beyond(row[t + 1 :], base, p == 2)
        loss[n] = total * w[t] / x.dtype.type(row.size)


@njit(parallel=True, **JIT)
def multi_margin_forward(x, target, w, p, margin, loss, scale, out):
    """Writes loss (N,) from x (N, C), target (N,), w (C,), and their sum times scale to out (1,), unless it is empty.

    Returns the position of the first target that is no class, and then writes nothing, or -1. The classes before and
    after the target are loops that vectorise: 64 x 801 on one thread 100 us with a test in one loop, 14 us so.
    """
    bad = first_invalid(target, x.shape[1], 0)  # none is ignored: 0 is a class
    if bad >= 0:
        return bad
    rows, per = x.shape[0], _per(x)
    for unit in prange((rows + per - 1) // per):
        lo = np.intp(unit) * per
        hi = min(rows, lo + per)
        _multi_margin(x[lo:hi], target[lo:hi], w, p, margin, loss[lo:hi])
    if out.size > 0:
        out[0] = scale * _total(loss)
    return -1


@njit(**JIT)
def _beyond_slope(part, base, k, square, out):
    """k, or k times max(0, base + x), where that is above 0; returns the sum."""
    total, zero = part.dtype.type(0), part.dtype.type(0)
    for c in range(part.size):
        z = base + part[c]
        d = (k * z if square else k) if z > 0 else zero
        out[c] = d
        total += d
    return total


@njit(**JIT)
def _multi_margin_slopes(g, x, target, w, p, margin, scale, gx):
    for n in range(gx.shape[0]):
        row, t, out = x[n], target[n], gx[n]
        k = (g[0] if g.size == 1 else g[n]) * x.dtype.type(scale) * w[t] / x.dtype.type(row.size)
        k = k * x.dtype.type(2) if p == 2 else k
        base = x.dtype.type(margin) - row[t]
        total = _beyond_slope(row[:t], base, k, p == 2, out[:t])
        total += _beyond_slope(row[t + 1 :], base, k, p == 2, out[t + 1 :])
        out[t] = -total


@njit(parallel=True, **JIT)
def multi_margin_backward(g, x, target, w, p, margin, scale, gx):
    """Writes gx (N, C); g (N,), or (1,) for one gradient of all."""
    rows, per = x.shape[0], _per(x)
    for unit in prange((rows + per - 1) // per):
        lo = np.intp(unit) * per
        hi = min(rows, lo + per)
        one = g if g.size == 1 else g[lo:hi]
        _multi_margin_slopes(one, x[lo:hi], target[lo:hi], w, p, margin, scale, gx[lo:hi])


@njit(**JIT)
def _mark(target, mark):
    """Sets mark (C,) to 1 at the row's targets, else 0; returns how many there are before the first negative one."""
    for c in range(mark.size):
        mark[c] = 0
    count = 0
    while count < target.size and target[count] >= 0:
        mark[target[count]] = 1
        count += 1
    return count


@njit(**JIT)
def _others(row, mark, out):
    """The row with -inf in place of its targets, which no margin counts then: (64, 50) 292 us with a test, 26 us so."""
    low = row.dtype.type(-np.inf)
    for c in range(row.size):
        out[c] = row[c] if mark[c] == 0 else low


@njit(**JIT)
def _multilabel_margin(x, target, mark, loss):
    others = np.empty(x.shape[1], x.dtype)
    for n in range(loss.size):
        row, count = x[n], _mark(target[n], mark[n])
        _others(row, mark[n], others)
        total = x.dtype.type(0)
        for i in range(count):
            total += _beyond(others, x.dtype.type(1) - row[target[n, i]], False)
        loss[n] = total / x.dtype.type(row.size)


@njit(parallel=True, **JIT)
def multilabel_margin_forward(x, target, mark, loss, scale, out):
    """Writes loss (N,) and mark (N, C), 1 where a class is a target, from x (N, C), target (N, C); the rest as for
    multi_margin_forward, of the targets laid out in a row, which may be -1."""
    bad = first_invalid(target.reshape(target.size), x.shape[1], -1)
    if bad >= 0:
        return bad
    rows, per = x.shape[0], _per(x)
    for unit in prange((rows + per - 1) // per):
        lo = np.intp(unit) * per
        hi = min(rows, lo + per)
        _multilabel_margin(x[lo:hi], target[lo:hi], mark[lo:hi], loss[lo:hi])
    if out.size > 0:
        out[0] = scale * _total(loss)
    return -1


@njit(**JIT)
def _multilabel_slopes(g, x, target, mark, scale, gx):
    others, part = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    for n in range(gx.shape[0]):
        row, out = x[n], gx[n]
        k = (g[0] if g.size == 1 else g[n]) * x.dtype.type(scale) / x.dtype.type(row.size)
        _others(row, mark[n], others)
        for c in range(row.size):
            out[c] = 0
        i = 0
        while i < target.shape[1] and target[n, i] >= 0:
            t = target[n, i]
            out[t] -= _beyond_slope(others, x.dtype.type(1) - row[t], k, False, part)
            for c in range(row.size):
                out[c] += part[c]
            i += 1


@njit(parallel=True, **JIT)
def multilabel_margin_backward(g, x, target, mark, scale, gx):
    """Writes gx (N, C); g (N,), or (1,) for one gradient of all; mark as the forward left it."""
    rows, per = x.shape[0], _per(x)
    for unit in prange((rows + per - 1) // per):
        lo = np.intp(unit) * per
        hi = min(rows, lo + per)
        one = g if g.size == 1 else g[lo:hi]
        _multilabel_slopes(one, x[lo:hi], target[lo:hi], mark[lo:hi], scale, gx[lo:hi])
