"""Dropout: a random mask, and what it does to the elements.

    y = x * multiplier + kept        with probability ``keep``
    y = x * 0 + dropped              otherwise
    dL/dx = dL/dy * multiplier where kept, else dL/dy * 0

Plain dropout (Srivastava et al., 2014) has multiplier 1 / keep and adds nothing; alpha dropout (Klambauer et al., 2017)
adds two constants that preserve mean and variance. The mask is uint8, one element for each x, or for each row of x in
the feature forms. It is drawn as ``random.bernoulli_forward`` draws, two words a number.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from .random import BLOCK, bernoulli_forward

# The interpreter's lock is kept where numbers are drawn: it guards the generator's state.
LOCKED = JIT | {"nogil": False}


@njit(**JIT)
def _apply(x, mask, y, multiplier, kept, dropped):
    zero = y.dtype.type(0)  # multiplier * 0 would be a float64, and with it the loop
    for i in range(y.size):
        on = mask[i] != 0
        y[i] = x[i] * (multiplier if on else zero) + (kept if on else dropped)


@njit(**JIT)
def _apply_rows(x, mask, y, multiplier, kept, dropped):
    zero = y.dtype.type(0)
    for row in range(y.shape[0]):
        on = mask[row] != 0
        factor, term = (multiplier, kept) if on else (zero, dropped)
        a, b = x[row], y[row]
        for i in range(b.size):
            b[i] = a[i] * factor + term


@njit(**LOCKED)
def dropout_forward(state, x, mask, y, keep, factors):
    """Draw ``mask`` (uint8[n]) and write y (float[n]) from x (float[n]).

    keep: float64. factors: x's dtype[3], the multiplier and the terms for kept and for dropped elements.
    """
    for lo in range(0, y.size, BLOCK // 2):
        part = mask[lo : lo + BLOCK // 2]
        bernoulli_forward(state, part, keep)
        _apply(x[lo : lo + part.size], part, y[lo : lo + part.size], factors[0], factors[1], factors[2])


@njit(parallel=True, **JIT)
def dropout_backward(g, mask, gx, factors):
    """Write gx (float[rows, inner]) from g and ``mask`` (uint8[rows], or uint8[inner] where rows is 1).

    factors: as in dropout_forward; the multiplier alone adds nothing. The feature forms' forward is this kernel too, so
    that rows are shared among threads.
    """
    rows, inner = gx.shape
    m = factors[0]
    zero = gx.dtype.type(0)
    kept, dropped = (factors[1], factors[2]) if factors.size == 3 else (zero, zero)
    by_rows = mask.size == rows
    if gx.size < GRAIN:
        if not by_rows:
            _apply(g[0], mask, gx[0], m, kept, dropped)
        else:
            _apply_rows(g, mask, gx, m, kept, dropped)
    elif not by_rows:
        for c in prange((inner + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(inner, lo + CHUNK)
            _apply(g[0, lo:hi], mask[lo:hi], gx[0, lo:hi], m, kept, dropped)
    else:
        step = max(1, CHUNK // inner)
        for c in prange((rows + step - 1) // step):
            lo = np.intp(c) * step
            hi = min(rows, lo + step)
            _apply_rows(g[lo:hi], mask[lo:hi], gx[lo:hi], m, kept, dropped)
