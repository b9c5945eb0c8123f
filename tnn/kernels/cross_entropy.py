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
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._math import exp, log
from ._minmax import maximum

TILE = 64


@njit(**JIT)
def first_invalid(target, n, ignore):
    """The position of the first element of a 1-D int64 array that is neither in [0, n) nor ``ignore``, or -1."""
    for i in range(target.size):
        t = target[i]
        if (t < 0 or t >= n) and t != ignore:
            return i
    return -1


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


@njit(parallel=True, **JIT)
def nll_forward(x, target, w, ignore, loss):
    """Writes loss (N, L) from x (N, C, L), target (N, L), w (C,)."""
    for n in prange(x.shape[0]):
        for j in range(x.shape[2]):
            t = target[n, j]
            loss[n, j] = 0 if t == ignore else -w[t] * x[n, t, j]


@njit(parallel=True, **JIT)
def nll_backward(g, target, w, ignore, scale, gx):
    """Writes gx (N, C, L); g (N, L), or (1, 1) for one gradient of all."""
    if not gx.size:  # g[0, 0] is read before the loop
        return
    for n in prange(gx.shape[0]):
        for c in range(gx.shape[1]):
            for j in range(gx.shape[2]):
                gx[n, c, j] = 0
        for j in range(gx.shape[2]):
            t = target[n, j]
            if t != ignore:
                gx[n, t, j] = -w[t] * (g[0, 0] if g.size == 1 else g[n, j]) * scale


@njit(**JIT)
def target_weight(target, w, ignore, total):
    """Writes total (1,) float64: the sum of w[t] over the targets (1-D) that are not ignored."""
    s = 0.0
    for i in range(target.size):
        if target[i] != ignore:
            s += w[target[i]]
    total[0] = s


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
def _lse_sample(x, lse, s):
    if x.shape[1] == 1:
        lse[0] = _lse_row(x.reshape(x.size))
        return
    for j0 in range(0, x.shape[1], TILE):
        j1 = min(x.shape[1], j0 + TILE)
        _lse_tile(x, j0, j1, lse[j0:j1], s[: j1 - j0])


@njit(**JIT)
def _class_loss(x, target, w, ignore, smooth, loss, lse):
    classes = x.shape[0]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    for j in range(target.size):
        t = target[j]
        if t == ignore:
            loss[j] = 0
            continue
        total = keep * w[t] * (lse[j] - x[t, j])
        if smooth > 0:
            for c in range(classes):
                total += share * w[c] * (lse[j] - x[c, j])
        loss[j] = total


@njit(parallel=True, **JIT)
def cross_entropy_forward(x, target, w, ignore, smooth, loss, lse):
    """Writes loss and lse, both (N, L), from x (N, C, L), target (N, L) of classes, w (C,)."""
    if x.size < GRAIN // 8:
        s = np.empty(TILE, x.dtype)
        for n in range(x.shape[0]):
            _lse_sample(x[n], lse[n], s)
            _class_loss(x[n], target[n], w, ignore, smooth, loss[n], lse[n])
    else:
        for n in prange(x.shape[0]):
            s = np.empty(TILE, x.dtype)
            _lse_sample(x[n], lse[n], s)
            _class_loss(x[n], target[n], w, ignore, smooth, loss[n], lse[n])


@njit(**JIT)
def _class_slope(g, x, lse, target, w, total, ignore, smooth, scale, gx):
    classes, positions = x.shape
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    k = x.dtype.type(scale)
    if positions == 1:
        t = target[0]
        row, out = x.reshape(classes), gx.reshape(classes)
        if t == ignore:
            for c in range(classes):
                out[c] = 0
            return
        a = g[0] * k
        p = a * (keep * w[t] + share * total)
        b = a * share
        for c in range(classes):
            out[c] = p * exp(row[c] - lse[0]) - b * w[c]
        out[t] -= a * keep * w[t]
        return
    for c in range(classes):
        row, out = x[c], gx[c]
        for j in range(positions):
            t = target[j]
            a = g[0] * k if g.size == 1 else g[j] * k
            valid = t != ignore
            wt = w[t if valid else 0]
            d = a * ((keep * wt + share * total) * exp(row[j] - lse[j]) - share * w[c])
            d = d - a * keep * wt if t == c else d
            out[j] = d if valid else x.dtype.type(0)


@njit(parallel=True, **JIT)
def cross_entropy_backward(g, x, lse, target, w, total, ignore, smooth, scale, gx):
    """Writes gx (N, C, L). g: (N, L), or (1, 1) for one gradient of all; total: the sum of w."""
    one = g.size == 1
    if x.size < GRAIN // 4:
        for n in range(x.shape[0]):
            _class_slope(g[0] if one else g[n], x[n], lse[n], target[n], w, total, ignore, smooth, scale, gx[n])
    else:
        for n in prange(x.shape[0]):
            _class_slope(g[0] if one else g[n], x[n], lse[n], target[n], w, total, ignore, smooth, scale, gx[n])


@njit(parallel=True, **JIT)
def soft_forward(x, target, w, smooth, loss, lse):
    """Writes loss and lse, both (N, L), from x and target, both (N, C, L), and w (C,)."""
    classes = x.shape[1]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    for n in prange(x.shape[0]):
        s = np.empty(TILE, x.dtype)
        _lse_sample(x[n], lse[n], s)
        for j in range(x.shape[2]):
            loss[n, j] = 0
        for c in range(classes):
            for j in range(x.shape[2]):
                loss[n, j] += w[c] * (keep * target[n, c, j] + share) * (lse[n, j] - x[n, c, j])


@njit(parallel=True, **JIT)
def soft_backward(g, x, lse, target, w, smooth, scale, gx):
    """Writes gx (N, C, L). g: (N, L), or (1, 1) for one gradient of all."""
    classes = x.shape[1]
    keep = x.dtype.type(1 - smooth)
    share = x.dtype.type(smooth / classes)
    for n in prange(x.shape[0]):
        total = np.zeros(x.shape[2], x.dtype)
        for c in range(classes):
            for j in range(x.shape[2]):
                total[j] += w[c] * (keep * target[n, c, j] + share)
        for c in range(classes):
            for j in range(x.shape[2]):
                a = (g[0, 0] if g.size == 1 else g[n, j]) * x.dtype.type(scale)
                p = exp(x[n, c, j] - lse[n, j])
                gx[n, c, j] = a * (total[j] * p - w[c] * (keep * target[n, c, j] + share))
