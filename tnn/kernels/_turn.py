"""Copies of arrays that are contiguous in another dimension than the last: transposes, with dimensions around them.

Tile by tile. A block of four or eight bytes' elements is turned in registers, so that whole cache lines are read and
written: 1024 x 1024 floats take 240 us on one thread, 760 by way of a buffer and more without.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._move import offsets
from ._simd import load, number, shift, stack_panel, store, turn, turn_exact, vector_len
from ._words import pointer8, pointer16, pointer32, pointer64

# Sides of a tile: of elements of four and eight bytes, which are turned in registers, and of shorter ones. In tiles of
# 32 a 4096 x 4096 transpose took 15.3 ms on one thread and 7.8 on two, in tiles of 64 it takes 10.6 and 5.6: half as
# many pages are entered for each. Up to 512 x 1024 both are as fast.
_TILE = 64
_TILE_SHORT = 32
_PAD = _TILE_SHORT + 1


@njit(**JIT)
def _column(x, y, step, rows):
    for a in range(rows):
        store(y, a * step, load(x, a))


@njit(**JIT)
def _turn_tile(x, y, rows, columns, sx, sy):
    """y[a sy + b] = x[a + b sx] for a < rows, b < columns; floats."""
    vl = vector_len(x)
    for a in range(0, rows, vl):
        for b in range(0, columns, vl):
            source, target = shift(x, a + b * sx), shift(y, a * sy + b)
            high, wide = min(vl, rows - a), min(vl, columns - b)
            if high == vl and wide == vl:
                turn(source, sx, vl - 1, target, sy)
            else:
                turn_exact(source, sx, wide - 1, target, sy, high)


@njit(**JIT)
def _turn_short(x, y, rows, columns, sx, sy):
    """The same for elements of one or two bytes, by way of a buffer: rows a power of two apart share their places in
    the cache."""
    buffer = stack_panel(x)
    for a in range(0, rows, _TILE_SHORT):
        high = min(_TILE_SHORT, rows - a)
        for b in range(columns):
            for i in range(high):
                store(buffer, b * _PAD + i, load(x, a + i + b * sx))
        for i in range(high):
            for b in range(columns):
                store(y, (a + i) * sy + b, load(buffer, b * _PAD + i))


@njit(**JIT)
def _tiles(x, y, turn_tile, outer, m, n, sx, sy, high, wide, first, last):
    down, across = (m + high - 1) // high, (n + wide - 1) // wide
    for task in range(first, last):
        source, target = offsets(outer, task // (down * across))
        i, j = task // across % down * high, task % across * wide
        rows, columns = min(high, m - i), min(wide, n - j)
        source += i + j * sx
        target += i * sy + j
        if columns < 8:
            for b in range(columns):
                _column(shift(x, source + b * sx), shift(y, target + b), sy, rows)
        else:
            turn_tile(shift(x, source), shift(y, target), rows, columns, sx, sy)


@njit(**JIT)
def _task(x, y, item, outer, m, n, sx, sy, high, wide, first, last):
    if item == 4:
        _tiles(pointer32(x), pointer32(y), _turn_tile, outer, m, n, sx, sy, high, wide, first, last)
    elif item == 8:
        _tiles(pointer64(x), pointer64(y), _turn_tile, outer, m, n, sx, sy, high, wide, first, last)
    elif item == 2:
        _tiles(pointer16(x), pointer16(y), _turn_short, outer, m, n, sx, sy, high, wide, first, last)
    else:
        _tiles(pointer8(x), pointer8(y), _turn_short, outer, m, n, sx, sy, high, wide, first, last)


@njit(parallel=True, **JIT)
def copy_turned(x, y, item, outer, m, n, sx, sy):
    """Copies elements of ``item`` (1, 2, 4 or 8) bytes from address x to address y: y[a sy + b] = x[a + b sx], a < m,
    b < n, for all places of ``outer`` (see `offsets` in _move.py)."""
    places = 1
    for d in range(outer.shape[0]):
        places *= outer[d, 0]
    side = _TILE if item >= 4 else _TILE_SHORT
    wide = min(n, side)
    high = min(m, side * side // wide)
    parts = places * ((m + high - 1) // high) * ((n + wide - 1) // wide)
    if places * m * n < GRAIN:
        _task(x, y, item, outer, m, n, sx, sy, high, wide, 0, parts)
    else:
        block = max(1, CHUNK // (high * wide))
        for c in prange((parts + block - 1) // block):
            first = np.intp(c) * block
            _task(x, y, item, outer, m, n, sx, sy, high, wide, first, min(parts, first + block))


# -- planes to vectors of a pixel of each, and back


@njit(**JIT)
def clear(p, count):
    """Sets count elements to 0."""
    zero = number(p, 0)
    for i in range(count):
        store(p, i, zero)


@njit(**JIT)
def turn_in(src, size, channels, dst, count):
    """dst[i, c] = src[c, i] for i < count and c < channels, in vectors with zeros behind; src's rows are ``size``
    apart."""
    vl = vector_len(src)
    i = 0
    if channels == vl:
        while i + vl <= count:
            turn(shift(src, i), size, vl - 1, shift(dst, i * vl), vl)
            i += vl
    clear(shift(dst, i * vl), (count - i) * vl if channels < vl else 0)
    while i < count:
        turn_exact(shift(src, i), size, channels - 1, shift(dst, i * vl), vl, min(vl, count - i))
        i += vl


@njit(**JIT)
def turn_out(src, dst, size, channels, count):
    """dst[c, i] = src[i, c] for i < count and c < channels; dst's rows are ``size`` apart."""
    vl = vector_len(src)
    i = 0
    if channels == vl:
        while i + vl <= count:
            turn(shift(src, i * vl), vl, vl - 1, shift(dst, i), size)
            i += vl
    while i < count:
        turn_exact(shift(src, i * vl), vl, min(vl, count - i) - 1, shift(dst, i), size, channels)
        i += vl
