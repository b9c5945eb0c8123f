"""Padding and cropping of up to three dimensions by index tables.

    y[o, d, h, w] = x[o, index_d[d], index_h[h], index_w[w]],  value where an index is -1
    dL/dx[o, d, h, w] = sum of dL/dy over the places that read x[o, d, h, w]

A block is what one o covers, D * H * W elements of x and D' * H' * W' of y. Two ways through it, since rows of a few
elements cost more to set up than to copy (8 x 8 blocks: 2x): small blocks go by one table for the whole block, others
row by row. Within a row the places ``lo <= w < hi`` read a contiguous part of x, which is copied as a whole.

The forward kernel only moves elements: it runs on unsigned integers of the elements' size.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT


@njit(**JIT)
def _blocks(x, y, table, value):
    for o in range(y.shape[0]):
        a, b = x[o], y[o]
        for i in range(b.size):
            j = table[i]
            b[i] = a[np.uintp(j)] if j >= 0 else value


@njit(**JIT)
def _rows(x, y, table, value, first, size_d, size_h, out_d, out_h, lo, hi):
    # table: index_d, index_h and index_w end to end. Unsigned indices instead of slices: slicing three times a row took
    # four times as long as the copy.
    index_w = table[out_d + out_h :]
    width, left, right = np.uintp(y.shape[1]), np.uintp(lo), np.uintp(hi)
    shift = np.uintp(index_w[lo] - lo) if hi > lo else np.uintp(0)
    h = first % out_h
    d = first // out_h % out_d
    o = first // out_h // out_d
    for i in range(y.shape[0]):
        j, k = table[d], table[out_d + h]
        row = np.uintp(i)
        if j < 0 or k < 0:
            for w in range(np.uintp(0), width):
                y[row, w] = value
        else:
            source = np.uintp((o * size_d + j) * size_h + k)
            for w in range(np.uintp(0), left):
                y[row, w] = x[source, np.uintp(index_w[w])] if index_w[w] >= 0 else value
            for w in range(left, right):
                y[row, w] = x[source, w + shift]
            for w in range(right, width):
                y[row, w] = x[source, np.uintp(index_w[w])] if index_w[w] >= 0 else value
        h += 1
        if h == out_h:
            h = 0
            d += 1
            if d == out_d:
                d = 0
                o += 1


@njit(parallel=True, **JIT)
def pad_forward(x, y, table, value, size_d, size_h, out_d, out_h, lo, hi):
    """Write y from x (unsigned integers), with value (x's dtype[1]) where the table has -1.

    By blocks where out_d is 0: x is [blocks, D * H * W], y [blocks, D' * H' * W'], table int64[D' * H' * W'].
    By rows otherwise: x is [blocks * D * H, W], y [blocks * D' * H', W'], table int64[D' + H' + W'].

    size_d, size_h, out_d, out_h: D, H, D', H'. lo, hi: the places of a row that are one copy.
    """
    rows, width = y.shape
    fill = value[0]
    if y.size < GRAIN:
        if out_d == 0:
            _blocks(x, y, table, fill)
        else:
            _rows(x, y, table, fill, 0, size_d, size_h, out_d, out_h, lo, hi)
        return
    step = max(1, CHUNK // width)
    for c in prange((rows + step - 1) // step):
        first = np.intp(c) * step
        last = min(rows, first + step)
        if out_d == 0:
            _blocks(x[first:last], y[first:last], table, fill)
        else:
            _rows(x, y[first:last], table, fill, first, size_d, size_h, out_d, out_h, lo, hi)


@njit(**JIT)
def _gather_blocks(g, gx, table):
    for o in range(gx.shape[0]):
        a, b = g[o], gx[o]
        for i in range(b.size):
            b[i] = 0
        for i in range(a.size):
            if table[i] >= 0:
                b[table[i]] += a[i]


@njit(**JIT)
def _gather_rows(g, gx, table, readers, first, size_d, size_h, out_d, out_h, lo, hi):
    index_w = table[out_d + out_h :]
    start_d, start_h = readers[: size_d + 1], readers[size_d + 1 : size_d + size_h + 2]
    place_d = readers[size_d + size_h + 2 :]
    place_h = place_d[start_d[size_d] :]
    width, left, right = np.uintp(g.shape[1]), np.uintp(lo), np.uintp(hi)
    shift = np.uintp(index_w[lo] - lo) if hi > lo else np.uintp(0)
    for i in range(gx.shape[0]):
        h = (first + i) % size_h
        d = (first + i) // size_h % size_d
        o = (first + i) // size_h // size_d
        row = np.uintp(i)
        for w in range(np.uintp(0), np.uintp(gx.shape[1])):
            gx[row, w] = 0
        for j in range(start_d[d], start_d[d + 1]):
            for k in range(start_h[h], start_h[h + 1]):
                source = np.uintp((o * out_d + place_d[j]) * out_h + place_h[k])
                for w in range(left, right):
                    gx[row, w + shift] += g[source, w]
                for w in range(np.uintp(0), left):
                    if index_w[w] >= 0:
                        gx[row, np.uintp(index_w[w])] += g[source, w]
                for w in range(right, width):
                    if index_w[w] >= 0:
                        gx[row, np.uintp(index_w[w])] += g[source, w]


@njit(parallel=True, **JIT)
def pad_backward(g, gx, table, readers, size_d, size_h, out_d, out_h, lo, hi):
    """Write gx from g (float), shaped as x and y in ``pad_forward``, by blocks or by rows as there.

    readers: int64. For rows: D + 1 and H + 1 numbers that say where the readers of each index begin in the two lists
    that follow, which hold the places of D' and of H' that read something, in the order of what they read.
    """
    rows, width = gx.shape
    if max(g.size, gx.size) < GRAIN:
        if out_d == 0:
            _gather_blocks(g, gx, table)
        else:
            _gather_rows(g, gx, table, readers, 0, size_d, size_h, out_d, out_h, lo, hi)
        return
    step = max(1, CHUNK // width)
    for c in prange((rows + step - 1) // step):
        first = np.intp(c) * step
        last = min(rows, first + step)
        if out_d == 0:
            _gather_blocks(g[first:last], gx[first:last], table)
        else:
            _gather_rows(g, gx[first:last], table, readers, first, size_d, size_h, out_d, out_h, lo, hi)
