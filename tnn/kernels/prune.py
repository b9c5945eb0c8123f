r"""Masks of pruning: which k elements are the smallest, and the norms of channels.

    select_forward         keep_i = 0 for the k smallest (largest) |x_i|, 1 elsewhere
    channel_norm_forward   y_c = (sum over o, i of |x[o, c, i]|^p)^{1/p}, max |x|, min |x| or the number of x != 0

select_forward compares the bits of |x|, whose order as unsigned integers is that of the numbers, with NaN above
infinity. It finds the k-th smallest by counting digits of 11 bits from the top, so that its time does not depend on the
values; of equal elements the first ones go.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from .clip_grad import MAX, MIN, NONZERO, _combine

DIGIT = 11


@njit(**JIT)
def _kth_key(keys, width, k, flip, counts):
    """The k-th smallest (from 1) of keys ^ flip, and how many of the elements equal to it are among the k smallest."""
    one = keys.dtype.type(1)
    prefix = keys.dtype.type(0)
    left = k
    top = width
    while top > 0:
        bits = min(DIGIT, top)
        low = keys.dtype.type(top - bits)
        size = 1 << bits
        digit_mask = keys.dtype.type(size - 1)
        counts[:size] = 0
        whole = top == width
        high = keys.dtype.type(top if not whole else 0)
        for i in range(keys.size):
            key = (keys[i] & flip[0]) ^ flip[1]
            if whole or (key >> high) == (prefix >> high):
                counts[np.intp((key >> low) & digit_mask)] += 1
        d = 0
        while counts[d] < left:
            left -= counts[d]
            d += 1
        prefix |= (one * keys.dtype.type(d)) << low
        top -= bits
    return prefix, left


@njit(**JIT)
def select_forward(keys, keep, k, flip, counts):
    """keep[i] = 0 for the k elements with the smallest key, (keys[i] & flip[0]) ^ flip[1], and 1 for the others.

    keys: (n,) uint32 or uint64, the bits of the numbers. keep: (n,) uint8, written. k: 1 <= k <= n. flip: (2,) of keys'
    dtype: the bits that count, and those to invert (all of them to select the largest). counts: (2 ** DIGIT,) int64,
    scratch.
    """
    kth, ties = _kth_key(keys, 8 * keys.itemsize, k, flip, counts)
    for i in range(keys.size):
        key = (keys[i] & flip[0]) ^ flip[1]
        tie = key == kth and ties > 0
        ties -= tie
        keep[i] = 0 if key < kth or tie else 1


@njit(**JIT)
def _channel_norm(x, p, kind):
    s = -np.inf if kind == MAX else np.inf if kind == MIN else 0.0
    for o in range(x.shape[0]):
        for i in range(x.shape[1]):
            v = abs(np.float64(x[o, i]))
            if kind == MAX or kind == MIN:
                s = _combine(s, v, kind)
            elif kind == NONZERO:
                s += 1.0 if v != 0 else 0.0
            else:
                s += v**p
    return s if kind == MAX or kind == MIN or kind == NONZERO else s ** (1.0 / p)


@njit(parallel=True, **JIT)
def channel_norm_forward(x, p, kind, y):
    """y[c] = norm of channel c, in float64.

    x: (outer, n, inner). p: float. kind: MAX, MIN, NONZERO, or any other number for the p-norm. y: (n,) float64,
    written.
    """
    if x.size < GRAIN:
        for c in range(x.shape[1]):
            y[c] = _channel_norm(x[:, c, :], p, kind)
    else:
        for k in prange(x.shape[1]):
            c = np.intp(k)
            y[c] = _channel_norm(x[:, c, :], p, kind)
