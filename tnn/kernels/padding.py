"""Padding and cropping of up to three dimensions by index tables.

    y[o, d, h, w] = x[o, index_d[d], index_h[h], index_w[w]],  value where an index is -1
    dL/dx[o, d, h, w] = sum of dL/dy over the places that read x[o, d, h, w]

A block is what one o covers, D * H * W elements of x and D' * H' * W' of y. Two ways through it, since rows of a few
elements cost more to set up than to copy (8 x 8 blocks: 2x): small blocks go by one table for the whole block, others
row by row. Within a row the places ``lo <= w < hi`` read a contiguous part of x, which is copied as a whole.

The forward kernels only move elements: by blocks, and where vectors have no masks, on unsigned integers of the size of
an element; row by row on floats of that size, whose vectors take consecutive rows at a time (16 x 64 planes of 32 x 32,
zeros around: 197 us with loops over each row, 95 us so).
"""

import numpy as np
from numba import njit, prange
from numba.core import config

from ._jit import CHUNK, GRAIN, JIT
from ._move import move_rows
from ._simd import load, number, ptr, shift, store, vector_len
from ._simd_pool import add_rows
from ._simd_rows import MASKS, put_rows

# Whether rows go by vectors: where these have masks, and with the compiler.
VECTORS = MASKS and not config.DISABLE_JIT


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


# ---------------------------------------------------------------- rows as vectors


@njit(**JIT)
def _parts(width, rows, planes, total):
    """(rows in a part of a plane, parts, planes in a unit): small work is one unit, which stays on its thread."""
    if total < GRAIN:
        return rows, 1, max(1, planes)
    some = min(rows, max(1, CHUNK // width))
    parts = (rows + some - 1) // some
    return some, parts, 1 if parts > 1 else max(1, CHUNK // (rows * width))


@njit(**JIT)
def _frame(rows, src, lds, lo, hi, dst, n, zeros):
    """dst[r*n + i] = src[r*lds + i - lo] for lo <= i < hi, and zeros around if ``zeros`` says so, else anything."""
    if n < vector_len(src):
        put_rows(rows, shift(src, -lo), lds, lo, hi, dst, n, n)
        return
    # Vectors of zeros at the ends of each row cross cache lines: 16 x 64 planes of 32 x 32 took 1.46 times as long.
    if zeros and hi - lo < n:
        for i in range(rows * n):
            store(dst, i, number(dst, 0))
    move_rows(rows, src, lds, shift(dst, lo), n, hi - lo)


@njit(**JIT)
def _edge(index_w, first, last, rows, src, lds, dst, ldd, value):
    """Columns first..last of some rows, one by one: loops over two elements of a row take four times as long."""
    for w in range(first, last):
        i = index_w[np.uintp(w)]
        if i < 0:
            for r in range(rows):
                store(dst, r * ldd + w, value)
        else:
            for r in range(rows):
                store(dst, r * ldd + w, load(src, r * lds + i))


@njit(**JIT)
def _pad_part(x, y, table, value, plain, plane, h0, h1, size_d, size_h, out_d, out_h, lo, hi):
    """Rows h0..h1 of one plane (o, d) of y."""
    size_w, width = x.shape[1], y.shape[1]
    index_w = table[out_d + out_h :]
    off = index_w[lo] if hi > lo else 0
    k = table[plane % out_d]
    source = ptr(x, ((plane // out_d) * size_d + max(k, 0)) * size_h * size_w)
    out = ptr(y, plane * out_h * width)
    h = h0
    while h < h1:
        j, run = table[out_d + h], 1
        line = shift(out, h * width)
        if k < 0 or j < 0:
            for w in range(width):
                store(line, w, value)
            h += 1
            continue
        while h + run < h1 and table[out_d + h + run] == j + run:
            run += 1
        from_ = shift(source, j * size_w)
        _frame(run, shift(from_, off), size_w, lo, hi, line, width, plain)
        if not plain:
            _edge(index_w, 0, lo, run, from_, size_w, line, width, value)
            _edge(index_w, hi, width, run, from_, size_w, line, width, value)
        h += run


@njit(parallel=True, **JIT)
def pad_rows_forward(x, y, table, value, plain, size_d, size_h, out_d, out_h, lo, hi):
    """As ``pad_forward`` by rows, on floats; ``plain``: whether all places outside lo..hi become zeros of all bits."""
    width, planes = y.shape[1], y.shape[0] // out_h
    some, parts, bunch = _parts(width, out_h, planes, y.size)
    for unit in prange((planes + bunch - 1) // bunch * parts):
        first, part = np.intp(unit) // parts * bunch, np.intp(unit) % parts
        for plane in range(first, min(planes, first + bunch)):
            h0, h1 = part * some, min(out_h, (part + 1) * some)
            _pad_part(x, y, table, value[0], plain, plane, h0, h1, size_d, size_h, out_d, out_h, lo, hi)


@njit(**JIT)
def _add_edge(index_w, first, last, rows, g, ldg, out, ldo):
    for w in range(first, last):
        i = index_w[np.uintp(w)]
        if i >= 0:
            for r in range(rows):
                store(out, r * ldo + i, load(out, r * ldo + i) + load(g, r * ldg + w))


@njit(**JIT)
def _gather_part(g, gx, table, readers, rows, plane, h0, h1, size_d, size_h, out_d, out_h, lo, hi):
    """Rows h0..h1 of one plane (o, d) of gx."""
    width, size_w = g.shape[1], gx.shape[1]
    index_w = table[out_d + out_h :]
    start_d, start_h = readers[: size_d + 1], readers[size_d + 1 : size_d + size_h + 2]
    place_d = readers[size_d + size_h + 2 :]
    place_h = place_d[start_d[size_d] :]
    o, d = plane // size_d, plane % size_d
    first, last = (index_w[lo], index_w[lo] + hi - lo) if hi > lo else (0, 0)
    deep = start_d[d + 1] - start_d[d]
    h = h0
    while h < h1:
        n, run = 0, 1
        for j in range(start_d[d], start_d[d + 1]):
            for k in range(start_h[h], start_h[h + 1]):
                rows[n] = ((o * out_d + place_d[j]) * out_h + place_h[k]) * width
                n += 1
        out = ptr(gx, (plane * size_h + h) * size_w)
        if n == 1:
            # Rows with one reader each, consecutive as they are.
            k = start_h[h]
            while deep == 1 and h + run < h1 and start_h[h + run + 1] == k + run + 1:
                if place_h[k + run] != place_h[k] + run:
                    break
                run += 1
            _frame(run, ptr(g, rows[0] + lo), width, first, last, out, size_w, True)
        else:
            for w in range(size_w):
                store(out, w, gx.dtype.type(0))
            add_rows(n, ptr(rows, 0), ptr(g, lo), shift(out, first), last - first)
        for i in range(n):
            _add_edge(index_w, 0, lo, run, ptr(g, rows[i]), width, out, size_w)
            _add_edge(index_w, hi, width, run, ptr(g, rows[i]), width, out, size_w)
        h += run


@njit(parallel=True, **JIT)
def pad_rows_backward(g, gx, table, readers, size_d, size_h, out_d, out_h, lo, hi):
    """As ``pad_backward`` by rows."""
    width, planes = gx.shape[1], gx.shape[0] // size_h
    some, parts, bunch = _parts(width, size_h, planes, max(g.size, gx.size))
    for unit in prange((planes + bunch - 1) // bunch * parts):
        first, part = np.intp(unit) // parts * bunch, np.intp(unit) % parts
        rows = np.empty(out_d * out_h, np.intp)
        for plane in range(first, min(planes, first + bunch)):
            h0, h1 = part * some, min(size_h, (part + 1) * some)
            _gather_part(g, gx, table, readers, rows, plane, h0, h1, size_d, size_h, out_d, out_h, lo, hi)
