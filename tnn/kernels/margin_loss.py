"""Margin losses over the classes of each row x (C,).

    multi_margin        loss = w_t / C sum_{c != t} max(0, margin - x_t + x_c) ** p,      p 1 or 2
    multilabel_margin   loss = 1 / C sum_{t in T} sum_{c not in T} max(0, 1 - (x_t - x_c))

T are the row's targets up to the first negative one.
"""

import numpy as np
from numba import njit, prange

from ._jit import JIT


@njit(parallel=True, **JIT)
def multi_margin_forward(x, target, w, p, margin, loss):
    """Writes loss (N,) from x (N, C), target (N,), w (C,)."""
    for n in prange(x.shape[0]):
        t = target[n]
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            z = x.dtype.type(margin) - x[n, t] + x[n, c]
            if c != t and z > 0:
                total += z if p == 1 else z * z
        loss[n] = total * w[t] / x.dtype.type(x.shape[1])


@njit(parallel=True, **JIT)
def multi_margin_backward(g, x, target, w, p, margin, scale, gx):
    """Writes gx (N, C); g (N,), or (1,) for one gradient of all."""
    for n in prange(x.shape[0]):
        t = target[n]
        k = (g[0] if g.size == 1 else g[n]) * x.dtype.type(scale) * w[t] / x.dtype.type(x.shape[1])
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            z = x.dtype.type(margin) - x[n, t] + x[n, c]
            d = x.dtype.type(0)
            if c != t and z > 0:
                d = k if p == 1 else k * z * x.dtype.type(2)
            gx[n, c] = d
            total += d
        gx[n, t] = -total


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


@njit(parallel=True, **JIT)
def multilabel_margin_forward(x, target, mark, loss):
    """Writes loss (N,) and mark (N, C), 1 where a class is a target, from x (N, C), target (N, C)."""
    for n in prange(x.shape[0]):
        count = _mark(target[n], mark[n])
        total = x.dtype.type(0)
        for i in range(count):
            t = target[n, i]
            for c in range(x.shape[1]):
                z = x.dtype.type(1) - (x[n, t] - x[n, c])
                if mark[n, c] == 0 and z > 0:
                    total += z
        loss[n] = total / x.dtype.type(x.shape[1])


@njit(parallel=True, **JIT)
def multilabel_margin_backward(g, x, target, mark, scale, gx):
    """Writes gx (N, C); g (N,), or (1,) for one gradient of all; mark as the forward left it."""
    for n in prange(x.shape[0]):
        k = (g[0] if g.size == 1 else g[n]) * x.dtype.type(scale) / x.dtype.type(x.shape[1])
        for c in range(x.shape[1]):
            gx[n, c] = 0
        i = np.int64(0)
        while i < target.shape[1] and target[n, i] >= 0:
            t = target[n, i]
            for c in range(x.shape[1]):
                z = x.dtype.type(1) - (x[n, t] - x[n, c])
                if mark[n, c] == 0 and z > 0:
                    gx[n, t] -= k
                    gx[n, c] += k
            i += 1
