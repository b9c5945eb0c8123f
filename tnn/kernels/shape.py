"""Copies that keep a triangle, copies into a part of the columns, reversed rows, and copies of transposed matrices.

These move bits: the arrays are views as unsigned integers of the elements' size.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT

_TILE = 32


@njit(**JIT)
def _keep(x, y, first, last):
    """Copies ``x[first:last]`` of a row and clears the rest."""
    zero = x.dtype.type(0)
    for j in range(first):
        y[j] = zero
    for j in range(first, last):
        y[j] = x[j]
    for j in range(last, y.shape[0]):
        y[j] = zero


@njit(**JIT)
def _triangle_row(x, y, i, diagonal, upper):
    n = x.shape[0]
    edge = min(max(i + diagonal + (0 if upper else 1), 0), n)
    if upper:
        _keep(x, y, edge, n)
    else:
        _keep(x, y, 0, edge)


@njit(parallel=True, **JIT)
def triangle(x, y, diagonal, upper):
    """Writes y (batch, m, n): x with the elements above (or, ``upper``, below) a diagonal cleared."""
    batch, m, n = x.shape
    rows = batch * m
    x2, y2 = x.reshape(rows, n), y.reshape(rows, n)
    if rows * n < GRAIN:
        for r in range(rows):
            _triangle_row(x2[r], y2[r], r % m, diagonal, upper)
    else:
        for r in prange(rows):
            row = np.intp(r)
            _triangle_row(x2[row], y2[row], row % m, diagonal, upper)


@njit(**JIT)
def _copy(x, y):
    for i in range(x.shape[0]):
        y[i] = x[i]


@njit(parallel=True, **JIT)
def place(x, y, start):
    """Writes x (rows, m) into the columns of y (rows, n) that begin at start."""
    rows, m = x.shape
    if rows == 1:
        source, target = x[0], y[0, start : start + m]
        for c in prange((m + CHUNK - 1) // CHUNK):
            low = np.intp(c) * CHUNK
            _copy(source[low : low + CHUNK], target[low : low + CHUNK])
    else:
        step = max(1, CHUNK // m)
        for c in prange((rows + step - 1) // step):
            low = np.intp(c) * step
            for r in range(low, min(rows, low + step)):
                _copy(x[r], y[r, start : start + m])


@njit(**JIT)
def _reverse(x, y):
    last = np.uintp(x.shape[0] - 1)
    for i in range(np.uintp(x.shape[0])):
        y[i] = x[last - i]  # unsigned: no test for negative indices, which would keep the loop from vectorising


@njit(parallel=True, **JIT)
def reverse_rows(x, y):
    """Writes y (rows, n): each row of x (rows, n) from its end to its beginning."""
    rows, n = x.shape
    if rows * n < GRAIN:
        for r in range(rows):
            _reverse(x[r], y[r])
    else:
        step = max(1, CHUNK // n)
        for c in prange((rows + step - 1) // step):
            low = np.intp(c) * step
            for r in range(low, min(rows, low + step)):
                _reverse(x[r], y[r])


@njit(**JIT)
def _transpose_band(x, y, low, high):
    """Rows low to high of y = x.T for one matrix, in tiles that stay in the cache."""
    m = x.shape[0]
    for i in range(0, m, _TILE):
        top = min(i + _TILE, m)
        block = x[i:top, low:high]
        out = y[low:high, i:top]
        for b in range(out.shape[0]):
            for a in range(out.shape[1]):
                out[b, a] = block[a, b]


@njit(parallel=True, **JIT)
def transpose(x, y):
    """Writes y (batch, n, m) from x (batch, m, n): every matrix transposed."""
    batch, m, n = x.shape
    bands = (n + _TILE - 1) // _TILE
    if batch * m * n < GRAIN:
        for b in range(batch):
            for band in range(bands):
                _transpose_band(x[b], y[b], band * _TILE, min(n, band * _TILE + _TILE))
    else:
        for task in prange(batch * bands):
            t = np.intp(task)
            low = t % bands * _TILE
            _transpose_band(x[t // bands], y[t // bands], low, min(n, low + _TILE))
