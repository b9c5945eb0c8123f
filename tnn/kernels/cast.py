"""Conversions between float32 and bfloat16, on the 16-bit halves' bits (Numba's CPU target has no bfloat16).

A bfloat16 is the upper half of a float32; rounding is to nearest, ties to even; a NaN stays a (quiet) NaN.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT


@njit(**JIT)
def _widen(x, y):
    for i in range(x.size):
        y[i] = np.uint32(x[i]) << np.uint32(16)


@njit(parallel=True, **JIT)
def bfloat16_to_float32(x, y):
    """Writes y (uint32 bits of float32, shape (n,)) from x (uint16 bits of bfloat16, shape (n,))."""
    n = x.size
    if n < GRAIN:
        _widen(x, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _widen(x[lo:hi], y[lo:hi])


@njit(**JIT)
def _narrow(x, y):
    for i in range(x.size):
        u = x[i]
        rounded = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        nan = (u & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        y[i] = np.uint16((u >> np.uint32(16)) | np.uint32(0x40)) if nan else np.uint16(rounded)


@njit(parallel=True, **JIT)
def float32_to_bfloat16(x, y):
    """Writes y (uint16 bits of bfloat16, shape (n,)) from x (uint32 bits of float32, shape (n,))."""
    n = x.size
    if n < GRAIN:
        _narrow(x, y)
    else:
        for c in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(c) * CHUNK
            hi = min(n, lo + CHUNK)
            _narrow(x[lo:hi], y[lo:hi])
