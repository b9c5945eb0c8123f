"""Resampling many planes at once, one in each lane of a vector: the same tables of taps as in ``resample``.

The planes of as many images and channels as a vector holds are turned, so that a pixel of all of them is one vector and
a tap one load, whatever its place. Up to four taps are taken from the image itself; with more, the rows of the taps are
mixed first, and then the columns of the mixed row, four at a time. A pixel of zeros behind the image, or behind the
mixed row, stands for taps that are not there.

One thread, row by row and so: linear, 8 x 32 planes of 32 x 32 to 64 x 64, forward 1127 and 440 us, with the backward
2724 and 956; cubic 3955 and 612, 7793 and 1248; 4 x 16 planes of 14 x 14 to 28 x 28, linear, 100 and 28.
"""

import numpy as np
from numba import njit, prange
from numba.core import config

from ._jit import JIT
from ._simd import VL32, VL64, keep, load, number, ptr, shift, store, vector_len
from ._simd_taps import add_taps, take_taps
from ._turn import clear, turn_in, turn_out

# Elements of a plane above which it does not fit the cache in vectors, and bytes of those that a unit reads.
MOST, UNIT_BYTES = 1 << 15, 1 << 18


def _size(x):
    return x.shape[1] * x.shape[2] * x.shape[3]


def _lanes(x):
    return VL32 if x.itemsize == 4 else VL64


def suits(x, taps, wide):
    """Whether planes x (planes, D, H, W) with so many taps an output, rows of outputs ``wide``, are for these kernels:
    a vector of planes takes as long as 4 planes do row by row, and as 8 where rows are long enough for vectors."""
    if config.DISABLE_JIT or taps == 1 or _size(x) > MOST:
        return False
    return x.shape[0] > _lanes(x) // (2 if wide >= 128 else 4)


def strips(x, rows):
    """Into how many strips of rows of outputs a plane is cut: those of images too large for the cache, or too few."""
    blocks = -(-x.shape[0] // _lanes(x))
    large = -(-_size(x) * _lanes(x) * x.itemsize // UNIT_BYTES)
    return max(1, min(rows // 4, max(large, 8 // blocks if x.size > 4096 else 1)))


@njit(**JIT)
def _tables(iw, ww, absent):
    """Tables (4 n, OW) of the columns' taps, ``absent`` for one that is not there, and of their weights."""
    rows = -(-iw.shape[1] // 4) * 4
    columns, shares = np.full((rows, iw.shape[0]), absent, np.int32), np.zeros((rows, iw.shape[0]), ww.dtype)
    for o in range(iw.shape[0]):
        for k in range(iw.shape[1]):
            if ww[o, k] != 0:
                columns[k, o], shares[k, o] = iw[o, k], ww[o, k]
    return columns, shares


@njit(**JIT)
def _rows_of(r, height, id_, wd, ih, wh, rows, factors):
    """The input rows, counted through the plane, that row r of outputs takes, and their weights; how many."""
    od, oh = r // ih.shape[0], r % ih.shape[0]
    n = 0
    for a in range(id_.shape[1]):
        for b in range(ih.shape[1]):
            w = wd[od, a] * wh[oh, b]
            if w != 0:
                rows[n], factors[n] = id_[od, a] * height + ih[oh, b], w
                n += 1
    return n


@njit(**JIT)
def _place(n, rows, factors, first, width, spare, count, columns, shares, at, weight):
    """The taps (4, OW) of a row of outputs in an image that begins with row ``first``, from its n rows and ``count``
    columns of each output."""
    t = 0
    for k in range(n):
        base, w = np.int32((rows[k] - first) * width), factors[k]
        for j in range(count):
            column, share, places, products = columns[j], shares[j], at[t], weight[t]
            for o in range(column.size):
                places[o] = base + column[o] if column[o] >= 0 else spare
                products[o] = w * share[o]
            t += 1
    for j in range(t, 4):
        places, products = at[j], weight[j]
        for o in range(places.size):
            places[o], products[o] = spare, 0


@njit(**JIT)
def _mix(n, rows, factors, first, width, image, line):
    """line = the sum of rows of the image by their factors; ``width`` counts elements."""
    k = 0
    zero = number(line, 0)
    if n == 0:
        for i in range(width):
            store(line, i, zero)
    while k < n:
        p = shift(image, (rows[k] - first) * width)
        q, u, v = p, factors[k], factors[k] * 0
        if k + 1 < n:
            q, v = shift(image, (rows[k + 1] - first) * width), factors[k + 1]
        if k == 0 and n == 1:
            for i in range(width):
                store(line, i, u * load(p, i))
        elif k == 0:
            for i in range(width):
                store(line, i, u * load(p, i) + v * load(q, i))
        elif k + 1 < n:
            for i in range(width):
                store(line, i, load(line, i) + (u * load(p, i) + v * load(q, i)))
        else:
            for i in range(width):
                store(line, i, load(line, i) + u * load(p, i))
        k += 2


@njit(**JIT)
def _strip(source, size, planes, shape, target, r0, r1, id_, wd, ih, wh, columns, shares):
    """Rows r0 to r1 of the outputs of some planes, up to a vector of them."""
    vl = vector_len(source)
    height, width, ow, kw = shape[1], shape[2], columns.shape[1], shape[3]
    count = id_.shape[1] * ih.shape[1]
    direct = count * kw <= 4
    rows, factors = np.empty(count, np.intp), np.empty(count, wd.dtype)
    first, past = size // width, 0
    for r in range(r0, r1):
        for k in range(_rows_of(r, height, id_, wd, ih, wh, rows, factors)):
            first, past = min(first, rows[k]), max(past, rows[k] + 1)
    first = min(first, past)
    pixels = (past - first) * width
    image, line = np.empty((pixels + 1) * vl, wd.dtype), np.empty((width + 1) * vl, wd.dtype)
    sums, part = np.empty(ow * vl, wd.dtype), np.empty(ow * vl, wd.dtype)
    at, weight = np.empty((4, ow), np.int32), np.empty((4, ow), wd.dtype)
    turn_in(shift(source, first * width), size, planes, ptr(image, 0), pixels)
    clear(ptr(image, pixels * vl), vl)
    clear(ptr(line, width * vl), vl)
    for r in range(r0, r1):
        n = _rows_of(r, height, id_, wd, ih, wh, rows, factors)
        if direct:
            _place(n, rows, factors, first, width, pixels, kw, columns, shares, at, weight)
            take_taps(ow, ptr(image, 0), ptr(at, 0), ptr(weight, 0), ow, ptr(sums, 0))
        else:
            _mix(n, rows, factors, first, width * vl, ptr(image, 0), ptr(line, 0))
            for t in range(0, columns.shape[0], 4):
                out = ptr(sums if t == 0 else part, 0)
                take_taps(ow, ptr(line, 0), ptr(columns, t * ow), ptr(shares, t * ow), ow, out)
                if t > 0:
                    for i in range(sums.size):
                        sums[i] += part[i]
        turn_out(ptr(sums, 0), shift(target, r * ow), shape[4] * ow, planes, ow)
    keep(image)
    keep(line)
    keep(sums)
    keep(part)
    keep(at)
    keep(weight)


@njit(parallel=True, **JIT)
def lanes_forward(x, y, id_, wd, ih, wh, iw, ww, cuts):
    """Writes y (planes, OD, OH, OW) from x (planes, D, H, W), ``cuts`` strips of each vector of planes at a time."""
    planes, size = x.shape[0], x.shape[1] * x.shape[2] * x.shape[3]
    shape = (x.shape[1], x.shape[2], x.shape[3], iw.shape[1], y.shape[1] * y.shape[2])
    vl = vector_len(ptr(x, 0))
    columns, shares = _tables(iw, ww, -1 if id_.shape[1] * ih.shape[1] * iw.shape[1] <= 4 else x.shape[3])
    for unit in prange((planes + vl - 1) // vl * cuts):
        plane, cut = np.intp(unit) // cuts * vl, np.intp(unit) % cuts
        source, target = ptr(x, plane * size), ptr(y, plane * shape[4] * y.shape[3])
        r0, r1 = shape[4] * cut // cuts, shape[4] * (cut + 1) // cuts
        _strip(source, size, min(vl, planes - plane), shape, target, r0, r1, id_, wd, ih, wh, columns, shares)
    keep(columns)
    keep(shares)


@njit(**JIT)
def _planes_backward(source, size, planes, shape, target, id_, wd, ih, wh, columns, shares):
    """Some planes, up to a vector of them: as ``_strip``, the other way round."""
    vl = vector_len(source)
    height, width, ow, kw = shape[1], shape[2], columns.shape[1], shape[3]
    count = id_.shape[1] * ih.shape[1]
    direct = count * kw <= 4
    rows, factors = np.empty(count, np.intp), np.empty(count, wd.dtype)
    image, line = np.empty((size + 1) * vl, wd.dtype), np.empty((width + 1) * vl, wd.dtype)
    grad = np.empty(ow * vl, wd.dtype)
    at, weight = np.empty((4, ow), np.int32), np.empty((4, ow), wd.dtype)
    clear(ptr(image, 0), (size + 1) * vl)
    for r in range(shape[4]):
        n = _rows_of(r, height, id_, wd, ih, wh, rows, factors)
        turn_in(shift(source, r * ow), shape[4] * ow, planes, ptr(grad, 0), ow)
        if direct:
            _place(n, rows, factors, 0, width, size, kw, columns, shares, at, weight)
            add_taps(ow, ptr(grad, 0), ptr(image, 0), ptr(at, 0), ptr(weight, 0), ow)
        else:
            clear(ptr(line, 0), (width + 1) * vl)
            for t in range(0, columns.shape[0], 4):
                add_taps(ow, ptr(grad, 0), ptr(line, 0), ptr(columns, t * ow), ptr(shares, t * ow), ow)
            for k in range(n):
                w, out = factors[k], shift(ptr(image, 0), rows[k] * width * vl)
                for i in range(width * vl):
                    store(out, i, load(out, i) + w * line[i])
    turn_out(ptr(image, 0), target, size, planes, size)
    keep(image)
    keep(line)
    keep(grad)
    keep(at)
    keep(weight)


@njit(parallel=True, **JIT)
def lanes_backward(gy, gx, id_, wd, ih, wh, iw, ww):
    """Writes gx (planes, D, H, W) from gy (planes, OD, OH, OW): the transpose of ``lanes_forward``."""
    planes, size = gx.shape[0], gx.shape[1] * gx.shape[2] * gx.shape[3]
    shape = (gx.shape[1], gx.shape[2], gx.shape[3], iw.shape[1], gy.shape[1] * gy.shape[2])
    vl = vector_len(ptr(gx, 0))
    columns, shares = _tables(iw, ww, -1 if id_.shape[1] * ih.shape[1] * iw.shape[1] <= 4 else gx.shape[3])
    for unit in prange((planes + vl - 1) // vl):
        plane = np.intp(unit) * vl
        source, target = ptr(gy, plane * shape[4] * gy.shape[3]), ptr(gx, plane * size)
        _planes_backward(source, size, min(vl, planes - plane), shape, target, id_, wd, ih, wh, columns, shares)
    keep(columns)
    keep(shares)
