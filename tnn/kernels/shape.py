"""Copies that keep a triangle, copies into a part of the columns, reversed rows, and fills.

These move bits: the arrays are views as unsigned integers of the elements' size.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._simd import store
from ._words import pointer8, pointer_to_words


@njit(**JIT)
def _copy(x, y):
    for i in range(x.shape[0]):
        y[i] = x[i]


@njit(**JIT)
def _fill(y, value):
    for i in range(y.shape[0]):
        y[i] = value


@njit(**JIT)
def _fill_words(address, count, pattern):
    words = pointer_to_words(address)
    if pattern == 0:
        # A constant, which becomes a call of memset: 2 MiB on one thread in 23 us instead of 27.
        for i in range(count):
            store(words, i, np.int64(0))
    else:
        for i in range(count):
            store(words, i, pattern)


@njit(**JIT)
def _keep(x, y, first, last):
    """Copies ``x[first:last]`` of a row and clears the rest."""
    zero = x.dtype.type(0)
    _fill(y[:first], zero)
    _copy(x[first:last], y[first:last])
    _fill(y[last:], zero)


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
        step = max(1, CHUNK // n)
        for c in prange((rows + step - 1) // step):
            low = np.intp(c) * step
            for row in range(low, min(rows, low + step)):
                _triangle_row(x2[row], y2[row], row % m, diagonal, upper)


@njit(parallel=True, **JIT)
def clear_triangle(y, diagonal, upper):
    """Clears the elements of y (batch, m, n) above (or, ``upper``, below) a diagonal."""
    batch, m, n = y.shape
    rows = batch * m
    y2 = y.reshape(rows, n)
    step = max(1, CHUNK // n)
    for c in prange((rows + step - 1) // step):
        low = np.intp(c) * step
        for row in range(low, min(rows, low + step)):
            edge = min(max(row % m + diagonal + (0 if upper else 1), 0), n)
            part = y2[row, :edge] if upper else y2[row, edge:]
            for i in range(part.shape[0]):
                part[i] = 0


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


@njit(parallel=True, **JIT)
def fill(address, nbytes, pattern):
    """Writes the eight bytes of ``pattern`` over and over into ``nbytes`` bytes at ``address``."""
    count = nbytes // 8
    if count < GRAIN // 2:
        _fill_words(address, count, pattern)
    else:
        for c in prange((count + CHUNK - 1) // CHUNK):
            first = np.intp(c) * CHUNK
            _fill_words(address + 8 * first, min(CHUNK, count - first), pattern)
    rest = pointer8(address + 8 * count)
    for i in range(nbytes % 8):
        store(rest, i, np.uint8((pattern >> 8 * i) & 255))
