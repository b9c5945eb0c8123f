r"""Clipping of gradients: the power sums of a norm, and scaling and clamping in place.

    power_sum_forward    s = sum_i |x_i|^p, or max_i |x_i|, min_i |x_i|, the number of x_i != 0
    norm_forward         (sum_j s_j)^(1/p), or max_j s_j, min_j s_j, sum_j s_j
    clip_forward         x_i <- x_i min(1, m / (norm + 1e-6))
    clamp_forward        x_i <- min(max(x_i, lo), hi)

Sums are taken in float64, in chunks that depend on the size alone.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT

# What power_sum_forward adds up.
ABS, SQUARE, POWER, MAX, MIN, NONZERO = range(6)


@njit(**JIT)
def _power_sum(x, kind, p):
    s = 0.0
    if kind == SQUARE:
        for i in range(x.size):
            v = np.float64(x[i])
            s += v * v
    elif kind == ABS:
        for i in range(x.size):
            s += abs(np.float64(x[i]))
    elif kind == POWER:
        for i in range(x.size):
            s += abs(np.float64(x[i])) ** p
    elif kind == NONZERO:
        for i in range(x.size):
            s += 1.0 if x[i] != 0 else 0.0
    else:
        s = -np.inf if kind == MAX else np.inf
        for i in range(x.size):
            s = _combine(s, abs(np.float64(x[i])), kind)
    return s


@njit(**JIT)
def _combine(a, b, kind):
    """Two parts of one norm together; a NaN stays."""
    if kind == MAX:
        return b if b > a or b != b else a
    if kind == MIN:
        return b if b < a or b != b else a
    return a + b


@njit(parallel=True, **JIT)
def power_sum_forward(x, kind, p, partial, out):
    """out[0] = the power sum of x.

    x: (n,). kind: ABS, SQUARE, POWER, MAX, MIN or NONZERO. p: float, the exponent of POWER. partial: (chunks,) float64
    with chunks = max(1, ceil(n / CHUNK)), written. out: float64.
    """
    n = x.size
    if n < GRAIN:
        out[0] = _power_sum(x, kind, p)
    else:
        for c in prange(partial.size):
            lo = np.intp(c) * CHUNK
            partial[np.intp(c)] = _power_sum(x[lo : min(n, lo + CHUNK)], kind, p)
        s = partial[0]
        for c in range(1, partial.size):
            s = _combine(s, partial[c], kind)
        out[0] = s


@njit(**JIT)
def norm_forward(sums, kind, p, out):
    """out[0] = the norm of tensors from their power sums, (k,) float64; kind and p as for ``power_sum_forward``."""
    s = sums[0]
    for i in range(1, sums.size):
        s = _combine(s, sums[i], kind)
    if kind == SQUARE:
        s = np.sqrt(s)
    elif kind == POWER:
        s = s ** (1.0 / p)
    out[0] = s


@njit(**JIT)
def _scale(x, c):
    for i in range(x.size):
        x[i] *= c


@njit(parallel=True, **JIT)
def clip_forward(x, norm, most):
    """x *= most / (norm + 1e-6) where that is not 1 or more. x: (n,), changed. norm: (1,) of a dtype in which the
    factor is computed. most: float."""
    n, kind = x.size, norm.dtype.type
    factor = kind(most) / (norm[0] + kind(1e-6))
    if factor >= 1:
        return
    c = x.dtype.type(factor)
    if n < GRAIN:
        _scale(x, c)
    else:
        for k in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(k) * CHUNK
            _scale(x[lo : min(n, lo + CHUNK)], c)


@njit(**JIT)
def _clamp(x, lo, hi):
    for i in range(x.size):
        v = x[i]
        v = lo if v < lo else v
        x[i] = hi if v > hi else v


@njit(parallel=True, **JIT)
def clamp_forward(x, lo, hi):
    """x = min(max(x, lo), hi); a NaN stays. x: (n,), changed. lo, hi: scalars of x's dtype."""
    n = x.size
    if n < GRAIN:
        _clamp(x, lo, hi)
    else:
        for k in prange((n + CHUNK - 1) // CHUNK):
            a = np.intp(k) * CHUNK
            _clamp(x[a : min(n, a + CHUNK)], lo, hi)
