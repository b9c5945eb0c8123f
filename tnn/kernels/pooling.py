"""Pooling over windows of a fixed size, in one to three dimensions (fewer: leading sizes of 1).

Arrays are flat, planes of (D, H, W) one after the other, a plane being one channel of one sample; ``geo`` is the
geometry of one plane as a convolution (``conv_slab.geometry``), whose kernel is the window. A window's elements
("taps") are numbered in row-major order; max pooling keeps the number of the tap that won, one byte for each output
instead of PyTorch's eight for a flat index.

    max:  y[o] = max_t x[o*s - p + t*d]          NaN wins, the last NaN of a window; else the first of equal elements
    avg:  y[o] = sum_t x[o*s - p + t] / divisor

Maxima are taken as a depthwise convolution's sums are: a plane goes to a slab with its padding, columns sorted by their
remainder modulo the stride, and a vector of outputs stays in registers over all taps (3x3 on 28x28: 825 us tap by tap
over rows, 60 us so). Sums are taken along the columns first, where rows are contiguous, then along the rows.
"""

import numpy as np
from numba import njit, prange

from ._callees import ahead
from ._jit import GRAIN, JIT
from ._simd import VECTOR_BYTES, VL32, keep, load, number, ptr, scratch, shift, store, vector_len
from ._simd_halves import max_halves, spread_halves, top_halves
from ._simd_pool import add_rows, max_rows, top_rows, top_signals
from ._simd_rows import MASKS, part_rows, sum_rows
from .conv_slab import (
    DD,
    DH,
    DW,
    KD,
    KH,
    KW,
    OD,
    OH,
    OW,
    PD,
    PH,
    PW,
    ROWS,
    SD,
    SH,
    SLAB_H,
    SLAB_SIZE,
    SW,
    UNITS_ROWS,
    WQ,
    D,
    H,
    W,
    _offsets,
    _part,
    _valid,
    fill_slab,
)

# Elements of x that a chunk of small planes has together, and rows of outputs that are averaged at a time.
BUNCH = 1 << 14
LINES = 8


@njit(**JIT)
def _sizes(geo, total):
    """Elements of a plane of x and of y, the planes of ``total`` elements of x, and how many of them make a unit.

    Small work is one unit, which runs on the calling thread: a serial way beside the parallel loop would have all of it
    compiled twice.
    """
    size = geo[D] * geo[H] * geo[W]
    planes = total // size
    return size, geo[OD] * geo[OH] * geo[OW], planes, max(1, planes if total < GRAIN // 4 else BUNCH // size)


@njit(**JIT)
def _halves(geo):
    """Whether the windows are the 2 x 2 blocks of an image: the common case has loops of its own, which read and write
    every element once (5x faster than tap by tap on 8 x 8 images, 30x on 32 x 32)."""
    flat = geo[KD] == 1 and geo[SD] == 1 and geo[PD] == 0 and geo[DH] * geo[DW] == 1
    inside = 2 * geo[OH] <= geo[H] and 2 * geo[OW] <= geo[W]
    square = geo[KH] == 2 and geo[KW] == 2 and geo[SH] == 2 and geo[SW] == 2
    return flat and inside and square and geo[PH] + geo[PW] == 0


# ---------------------------------------------------------------- maxima


@njit(**JIT)
def _whole_vectors(x, y):
    """Of images (n, 2 rows, width) with ``y`` (n, rows, width / 2), how many vectors of outputs lines that are narrow
    give, and which output row comes after them, counted through all images. 64 images of 64 x 8 x 8, two threads:
    50 us line by line and 16 so, backward 187 and 25; of 128 x 4 x 4: 86 and 9, backward 142 and 13."""
    vl = vector_len(ptr(x, 0))
    width = x.shape[2]
    known = (width == 2) | (width == 4) | (width == 8) | (width == 16)
    if not known or width > 2 * vl or x.shape[1] != 2 * y.shape[1]:
        return 0, 0
    blocks = y.size // vl
    return blocks, blocks * vl // (width // 2)


@njit(**JIT)
def _rest(x, start):
    """The lines of images (n, rows, width) from one on, counted through all images, as one image."""
    lines = x.reshape(x.shape[0] * x.shape[1], x.shape[2])[start:]
    return lines.reshape(1, lines.shape[0], lines.shape[1])


@njit(**JIT)
def _max_halves(x, y, tap):
    blocks, done = _whole_vectors(x, y)
    if blocks > 0:
        max_halves(x.shape[2], blocks, ptr(x, 0), ptr(y, 0), ptr(tap, 0))
        _max_lines(_rest(x, 2 * done), _rest(y, done), _rest(tap, done))
    else:
        _max_lines(x, y, tap)


@njit(**JIT)
def _top_halves(x, y):
    blocks, done = _whole_vectors(x, y)
    if blocks > 0:
        top_halves(x.shape[2], blocks, ptr(x, 0), ptr(y, 0), ptr(y, 0))
        _top_lines(_rest(x, 2 * done), _rest(y, done))
    else:
        _top_lines(x, y)


@njit(**JIT)
def _max_lines(x, y, tap):
    one, two, three = tap.dtype.type(1), tap.dtype.type(2), tap.dtype.type(3)
    for z in range(y.shape[0]):
        for oh in range(y.shape[1]):
            top, low, row, trow = x[z, 2 * oh], x[z, 2 * oh + 1], y[z, oh], tap[z, oh]
            for i in range(row.size):
                m, t = top[2 * i], tap.dtype.type(0)
                v = top[2 * i + 1]
                win = (v > m) | (v != v)
                m, t = v if win else m, one if win else t
                v = low[2 * i]
                win = (v > m) | (v != v)
                m, t = v if win else m, two if win else t
                v = low[2 * i + 1]
                win = (v > m) | (v != v)
                row[i] = v if win else m
                trow[i] = three if win else t


@njit(**JIT)
def _top_lines(x, y):
    for z in range(y.shape[0]):
        for oh in range(y.shape[1]):
            top, low, row = x[z, 2 * oh], x[z, 2 * oh + 1], y[z, oh]
            for i in range(row.size):
                a, b, c, d = top[2 * i], top[2 * i + 1], low[2 * i], low[2 * i + 1]
                a = b if (b > a) | (b != b) else a
                c = d if (d > c) | (d != d) else c
                row[i] = c if (c > a) | (c != c) else a


@njit(**JIT)
def _lowest(geo, slab, rows_d, h0, rows_h, slab_h, d0):
    """What ``fill_slab`` leaves as zeros around the plane becomes -inf."""
    sw, wq = geo[SW], geo[WQ]
    across, low = sw * wq, number(slab, -np.inf)
    for i in range(rows_d):
        for j in range(rows_h):
            line = shift(slab, (i * slab_h + j) * across)
            if d0 + i < 0 or d0 + i >= geo[D] or h0 + j < 0 or h0 + j >= geo[H]:
                for q in range(across):
                    store(line, q, low)
                continue
            for phase in range(sw):
                lo, hi = _valid(geo, phase)
                for q in range(lo):
                    store(line, phase * wq + q, low)
                for q in range(hi, wq):
                    store(line, phase * wq + q, low)


@njit(**JIT)
def _first(gap, step):
    """The first tap inside, if the tap 0 lies ``gap`` elements in front of the plane."""
    return (gap + step - 1) // step if gap > 0 else 0


@njit(**JIT)
def _max_part(x, y, tap, geo, offsets, firsts, slab, index, wanted):
    """Part of the rows of one plane. Arrays as pointers."""
    d0, nd, h0, nh = _part(geo, index)
    slab_h, across, ow = geo[SLAB_H], geo[SW] * geo[WQ], geo[OW]
    rows_d, rows_h = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    top, left = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
    fill_slab(geo, x, 1, top, rows_d, left, rows_h, slab_h, geo[SLAB_SIZE], slab)
    _lowest(geo, slab, rows_d, left, rows_h, slab_h, top)
    for i in range(nd):
        a, j = _first(geo[PD] - (d0 + i) * geo[SD], geo[DD]), 0
        while j < nh:
            b = _first(geo[PH] - (h0 + j) * geo[SH], geo[DH])
            many = nh - j if b == 0 else 1
            start = ((d0 + i) * geo[OH] + h0 + j) * ow
            source = shift(slab, (i * geo[SD] * slab_h + j * geo[SH]) * across)
            if wanted:
                base = (a * geo[KH] + b) * geo[KW]
                max_rows(
                    offsets.size, ptr(offsets, 0), source, geo[SH] * across, base, ptr(firsts, 0), shift(y, start), ow,
                    shift(tap, start), ow, many,
                )  # fmt: skip
            else:
                top_rows(
                    offsets.size, ptr(offsets, 0), source, geo[SH] * across, 0, ptr(firsts, 0), shift(y, start), ow,
                    tap, ow, many,
                )  # fmt: skip
            j += many


@njit(**JIT)
def _max_planes(x, y, tap, geo, offsets, firsts, lo, hi, part, parts, wanted):
    """Some planes, all parts or one."""
    size, count, _, _ = _sizes(geo, x.size)
    if _halves(geo):
        n = (hi - lo) * geo[D]
        x3 = x[lo * size : hi * size].reshape(n, geo[H], geo[W])
        y3 = y[lo * count : hi * count].reshape(n, geo[OH], geo[OW])
        if wanted:
            _max_halves(x3, y3, tap[lo * count : hi * count].reshape(n, geo[OH], geo[OW]))
        else:
            _top_halves(x3, y3)
        return
    like = ptr(x, 0)
    vl = vector_len(like)
    buffer = np.empty((geo[SLAB_SIZE] + 8 * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    slab = scratch(buffer, like)
    for plane in range(lo, hi):
        for index in range(part, parts):
            numbers = ptr(tap, plane * count if wanted else 0)
            _max_part(ptr(x, plane * size), ptr(y, plane * count), numbers, geo, offsets, firsts, slab, index, wanted)
    keep(buffer)


@njit(**JIT)
def _is_signal(geo):
    return geo[D] * geo[H] * geo[OD] * geo[OH] * geo[KD] * geo[KH] == 1


@njit(**JIT)
def _one_plane(geo, rows, some):
    """The geometry of ``rows`` planes of a single row each as one plane, in parts of ``some`` rows."""
    geo = geo.copy()
    geo[H] = geo[OH] = rows
    geo[SH] = 1
    geo[ROWS] = geo[SLAB_H] = some
    geo[SLAB_SIZE] = some * geo[SW] * geo[WQ]
    geo[UNITS_ROWS] = (rows + some - 1) // some
    return geo


@njit(parallel=True, **JIT)
def max_pool_forward(x, y, tap, geo):
    """Writes y and, unless it is empty, tap (unsigned or signed integers)."""
    size, count, planes, bunch = _sizes(geo, x.size)
    if _is_signal(geo) and tap.size == 0 and geo[SW] <= 4:
        # Without a slab: 16 x 64 signals of 512 in windows of 2, 128 us on one thread with it and 90 so.
        for unit in prange((planes + bunch - 1) // bunch):
            lo = np.intp(unit) * bunch
            source, target = ptr(x, lo * size), ptr(y, lo * count)
            rows = min(bunch, planes - lo)
            top_signals(geo[SW], rows, source, size, target, count, geo[KW], geo[DW], geo[PW])
        return
    if _is_signal(geo):
        # Signals: the rows of one plane (16 x 64 signals of 512: 113 us one by one, 60 us so).
        geo, planes = _one_plane(geo, planes, bunch), 1
    parts = 1 if _halves(geo) else geo[UNITS_ROWS]
    bunch = 1 if parts > 1 else bunch
    offsets = np.empty(geo[KD] * geo[KH] * geo[KW], np.intp)
    _offsets(geo, 1, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    firsts = np.empty(geo[OW] + VL32, np.int32)
    for i in range(geo[OW]):
        firsts[i] = _first(geo[PW] - i * geo[SW], geo[DW])
    for unit in prange((planes + bunch - 1) // bunch * parts):
        part, lo = np.intp(unit) % parts, np.intp(unit) // parts * bunch
        _max_planes(x, y, tap, geo, offsets, firsts, lo, min(planes, lo + bunch), part, part + 1, tap.size > 0)


@njit(**JIT)
def _max_halves_backward(gy, tap, gx):
    blocks, done = _whole_vectors(gx, gy)
    if blocks > 0:
        spread_halves(gx.shape[2], blocks, ptr(gx, 0), ptr(gy, 0), ptr(tap, 0))
        _max_lines_backward(_rest(gy, done), _rest(tap, done), _rest(gx, 2 * done))
    else:
        _max_lines_backward(gy, tap, gx)


@njit(**JIT)
def _max_lines_backward(gy, tap, gx):
    zero = gy.dtype.type(0)
    rows, cols = gy.shape[1], gy.shape[2]
    for z in range(gy.shape[0]):
        for oh in range(rows):
            top, low, row, trow = gx[z, 2 * oh], gx[z, 2 * oh + 1], gy[z, oh], tap[z, oh]
            for i in range(row.size):
                g, t = row[i], trow[i]
                top[2 * i] = g if t == 0 else zero
                top[2 * i + 1] = g if t == 1 else zero
                low[2 * i] = g if t == 2 else zero
                low[2 * i + 1] = g if t == 3 else zero
            for i in range(2 * cols, gx.shape[2]):
                top[i] = zero
                low[i] = zero
        for r in range(2 * rows, gx.shape[1]):
            for i in range(gx.shape[2]):
                gx[z, r, i] = zero


@njit(**JIT)
def _places(geo):
    """Where each tap lies from the first one on, in elements of a plane."""
    places = np.empty(geo[KD] * geo[KH] * geo[KW], np.intp)
    for t in range(places.size):
        a, b, c = t // (geo[KH] * geo[KW]), t // geo[KW] % geo[KH], t % geo[KW]
        places[t] = (a * geo[DD] * geo[H] + b * geo[DH]) * geo[W] + c * geo[DW]
    return places


@njit(**JIT)
def _max_planes_backward(gy, tap, gx, geo, places):
    """Some planes, from their first element on: each gradient goes to the place of its tap."""
    size, count, planes, _ = _sizes(geo, gx.size)
    if _halves(geo):
        n = planes * geo[D]
        small = n, geo[OH], geo[OW]
        _max_halves_backward(gy.reshape(small), tap.reshape(small), gx.reshape(n, geo[H], geo[W]))
        return
    ow = geo[OW]
    for plane in range(planes):
        source, taps, out = ptr(gy, plane * count), ptr(tap, plane * count), ptr(gx, plane * size)
        for i in range(size):
            store(out, i, number(out, 0))
        for od in range(geo[OD]):
            for oh in range(geo[OH]):
                grad, which = shift(source, (od * geo[OH] + oh) * ow), shift(taps, (od * geo[OH] + oh) * ow)
                corner = ((od * geo[SD] - geo[PD]) * geo[H] + oh * geo[SH] - geo[PH]) * geo[W] - geo[PW]
                for i in range(ow):
                    at = corner + places[np.uintp(load(which, i))] + i * geo[SW]
                    # A dilated window may hold no element of a small plane.
                    if 0 <= at < size:
                        store(out, at, load(out, at) + load(grad, i))


@njit(parallel=True, **JIT)
def max_pool_backward(gy, tap, gx, geo):
    """Writes gx from gy and the taps that won."""
    size, count, planes, bunch = _sizes(geo, gx.size)
    places = _places(geo)
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        small, large = slice(lo * count, hi * count), slice(lo * size, hi * size)
        _max_planes_backward(gy[small], tap[small], gx[large], geo, places)


@njit(**JIT)
def _flat_indices(tap, index, geo, places, lo, hi):
    """Rows lo to hi of outputs, counted over all planes."""
    last, ow = geo[D] * geo[H] * geo[W] - 1, geo[OW]
    for row in range(lo, hi):
        oh, od = row % geo[OH], row // geo[OH] % geo[OD]
        corner = ((od * geo[SD] - geo[PD]) * geo[H] + oh * geo[SH] - geo[PH]) * geo[W] - geo[PW]
        which, out = tap[row * ow : (row + 1) * ow], index[row * ow : (row + 1) * ow]
        for i in range(ow):
            at = corner + places[np.uintp(which[i])] + i * geo[SW]
            out[i] = min(max(at, 0), last)


@njit(parallel=True, **JIT)
def flat_index(tap, index, geo):
    """Writes index (int64, tap's size): where in its plane each winning tap lies."""
    places, rows = _places(geo), tap.size // max(1, geo[OW])
    some = max(1, 4096 // max(1, geo[OW]))
    for c in prange((rows + some - 1) // some):
        lo = np.intp(c) * some
        _flat_indices(tap, index, geo, places, lo, min(rows, lo + some))


@njit(**JIT)
def _rows_per_unit(x, y):
    """Rows in a unit of work; small work is one unit, which runs on the calling thread."""
    width = max(1, x.shape[1] + y.shape[1])
    return max(1, x.shape[0] if x.size + y.size < GRAIN else BUNCH // width)


@njit(parallel=True, **JIT)
def gather_plane(x, index, y):
    """Writes y (planes, m) = x[plane, index[plane, j]] for x (planes, n) and index (planes, m) in [0, n)."""
    rows, per = y.shape[0], _rows_per_unit(x, y)
    for unit in prange((rows + per - 1) // per):
        for i in range(np.intp(unit) * per, min(rows, (np.intp(unit) + 1) * per)):
            row, ix, out = x[i], index[i], y[i]
            for j in range(out.size):
                out[j] = row[np.uint64(ix[j])]


@njit(parallel=True, **JIT)
def scatter_plane(gy, index, gx):
    """Writes gx (planes, n): the sum of gy[plane, j] over all j with index[plane, j] == position."""
    rows, per = gx.shape[0], _rows_per_unit(gy, gx)
    for unit in prange((rows + per - 1) // per):
        for i in range(np.intp(unit) * per, min(rows, (np.intp(unit) + 1) * per)):
            row, ix, out = gy[i], index[i], gx[i]
            for j in range(out.size):
                out[j] = 0
            for j in range(row.size):
                out[np.uint64(ix[j])] += row[j]


@njit(parallel=True, **JIT)
def unpool_plane(x, index, y):
    """Writes y (planes, n): zeros, and x[plane, j] at index[plane, j] (the last one of equal indices)."""
    rows, per = y.shape[0], _rows_per_unit(x, y)
    for unit in prange((rows + per - 1) // per):
        for i in range(np.intp(unit) * per, min(rows, (np.intp(unit) + 1) * per)):
            row, ix, out = x[i], index[i], y[i]
            for j in range(out.size):
                out[j] = 0
            for j in range(row.size):
                out[np.uint64(ix[j])] = row[j]


# ---------------------------------------------------------------- means


@njit(**JIT)
def _avg_halves(x, y, divisor):
    scale = y.dtype.type(1.0 / divisor)
    for z in range(y.shape[0]):
        for oh in range(y.shape[1]):
            top, low, row = x[z, 2 * oh], x[z, 2 * oh + 1], y[z, oh]
            for i in range(row.size):
                row[i] = (top[2 * i] + top[2 * i + 1] + low[2 * i] + low[2 * i + 1]) * scale


@njit(**JIT)
def _avg_halves_backward(gy, gx, divisor):
    scale = gy.dtype.type(1.0 / divisor)
    rows, cols = gy.shape[1], gy.shape[2]
    for z in range(gy.shape[0]):
        for oh in range(rows):
            top, low, row = gx[z, 2 * oh], gx[z, 2 * oh + 1], gy[z, oh]
            for i in range(row.size):
                g = row[i] * scale
                top[2 * i] = g
                top[2 * i + 1] = g
                low[2 * i] = g
                low[2 * i + 1] = g
            for i in range(2 * cols, gx.shape[2]):
                top[i] = 0
                low[i] = 0
        for r in range(2 * rows, gx.shape[1]):
            for i in range(gx.shape[2]):
                gx[z, r, i] = 0


@njit(**JIT)
def _extent(o, s, p, k, n):
    """A window's length, with padding counted (cut at the far padding's end) and without."""
    lo = o * s - p
    hi = min(lo + k, n + p)
    return hi - lo, min(hi, n) - max(lo, 0)


@njit(**JIT)
def _columns(geo, include_pad, divisor, wide):
    """What the windows' lengths contribute to the divisor in each column of outputs; whether it is one for all."""
    same = True
    for i in range(geo[OW]):
        padded, inside = _extent(i, geo[SW], geo[PW], geo[KW], geo[W])
        wide[i] = (padded if include_pad else inside) if divisor == 0 else 1
        same = same and wide[i] == wide[0]
    return same


@njit(**JIT)
def _divide(y, od, oh, rows, geo, include_pad, divisor, wide, same):
    """Rows of sums, divided by the windows' sizes."""
    ow, j = geo[OW], 0
    pd, vd = _extent(od, geo[SD], geo[PD], geo[KD], geo[D])
    while j < rows:
        size, many = divisor, rows
        if divisor == 0:
            ph, vh = _extent(oh + j, geo[SH], geo[PH], geo[KH], geo[H])
            size, many = pd * ph if include_pad else vd * vh, j + 1
            while many < rows and same:
                # Rows of one size together: vectors of more than a row.
                pn, vn = _extent(oh + many, geo[SH], geo[PH], geo[KH], geo[H])
                if (pn if include_pad else vn) != (ph if include_pad else vh):
                    break
                many += 1
        row = shift(y, j * ow)
        if same:
            by = number(row, size * wide[0])
            for i in range((many - j) * ow):
                store(row, i, load(row, i) / by)
        else:
            for i in range(ow):
                store(row, i, load(row, i) / number(row, size * wide[i]))
        j = many if same else j + 1


@ahead  # windows of 4 on 16 x 64 signals of 512: 179 us without, 91 us with it
@njit(**JIT)
def _sum_far(lines, pitch, rows, sw, kw, y, ow):
    """As ``_sum_taps`` for any stride."""
    for r in range(rows):
        line, out = shift(lines, r * pitch), shift(y, r * ow)
        for i in range(ow):
            total = number(y, 0)
            for c in range(kw):
                total += load(line, i * sw + c)
            store(out, i, total)


@njit(**JIT)
def _sum_taps(lines, pitch, rows, sw, kw, taps, ones, room, y, ow):
    """y[r*ow + i] = sum over c < kw of lines[r*pitch + i*sw + c]; ``room``: as many elements as the lines."""
    if sw <= 2 and MASKS:
        source, step = lines, pitch
        if sw == 2:
            step = 2 * (pitch // 2)
            part_rows(rows, lines, pitch, 0, pitch, room, step, pitch // 2)
            source = room
        for c in range(kw):
            taps[c] = c % sw * (pitch // 2) + c // sw
        sum_rows(kw, ptr(taps, 0), ptr(ones, 0), source, step, number(y, 0), y, ow, ow, rows)
        return
    _sum_far(lines, pitch, rows, sw, kw, y, ow)


@njit(**JIT)
def _inside(first, k, n):
    """The taps (lo, hi) of a window that lie in the plane."""
    return max(0, -first), min(k, n - first)


@njit(**JIT)
def _avg_planes(x, y, geo, include_pad, divisor):
    """Some planes, from their first element on."""
    size, count, planes, _ = _sizes(geo, x.size)
    if _halves(geo):
        n = planes * geo[D]
        by = divisor if divisor != 0 else 4
        _avg_halves(x.reshape(n, geo[H], geo[W]), y.reshape(n, geo[OH], geo[OW]), by)
        return
    if _is_signal(geo):
        geo, planes = _one_plane(geo, planes, 1), 1
    like = ptr(x, 0)
    vl = vector_len(like)
    ow, kw, w, pw = geo[OW], geo[KW], geo[W], geo[PW]
    # As wide as the windows reach, and even.
    pitch = (max(pw + w, (ow - 1) * geo[SW] + kw) + 1) // 2 * 2
    buffer = np.empty((2 * LINES * pitch + 8 * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    lines = scratch(buffer, like)
    room = shift(lines, LINES * pitch + 4 * vl)
    rows, taps = np.empty(geo[KD] * geo[KH], np.intp), np.empty(kw, np.intp)
    ones, wide = np.ones(kw, x.dtype), np.empty(ow, np.intp)
    same = _columns(geo, include_pad, divisor, wide)
    for i in range(LINES * pitch):
        store(lines, i, number(lines, 0))
    for plane in range(planes):
        source, out = ptr(x, plane * size), ptr(y, plane * count)
        for od in range(geo[OD]):
            z0 = od * geo[SD] - geo[PD]
            za, zb = _inside(z0, geo[KD], geo[D])
            for start in range(0, geo[OH], LINES):
                many = min(LINES, geo[OH] - start)
                for j in range(many):
                    r0 = (start + j) * geo[SH] - geo[PH]
                    ra, rb = _inside(r0, geo[KH], geo[H])
                    n = 0
                    for a in range(za, zb):
                        for b in range(ra, rb):
                            rows[n] = ((z0 + a) * geo[H] + r0 + b) * w
                            n += 1
                    add_rows(n, ptr(rows, 0), source, shift(lines, j * pitch + pw), w)
                target = shift(out, (od * geo[OH] + start) * ow)
                _sum_taps(lines, pitch, many, geo[SW], kw, taps, ones, room, target, ow)
                _divide(target, od, start, many, geo, include_pad, divisor, wide, same)
    keep(buffer)


@njit(parallel=True, **JIT)
def avg_pool_forward(x, y, geo, include_pad, divisor):
    """Writes y. ``divisor`` 0: the window's size, with padding counted if ``include_pad``."""
    size, count, planes, bunch = _sizes(geo, x.size)
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        _avg_planes(x[lo * size : hi * size], y[lo * count : hi * count], geo, include_pad, divisor)


@njit(**JIT)
def _give_far(lines, pitch, rows, front, geo, start, out):
    """As ``_give_rows`` for any stride, from row ``start`` on; rows of the same windows are copied."""
    sw, kw, pw, w, kh, sh = geo[SW], geo[KW], geo[PW], geo[W], geo[KH], geo[SH]
    for r in range(rows):
        line, target, before = shift(lines, r * pitch + front), shift(out, r * w), shift(out, (r - 1) * w)
        place = start + r + geo[PH]
        if r > 0 and kh == sh and place % sh and place < geo[OH] * sh:
            for i in range(w):
                store(target, i, load(before, i))
            continue
        for i in range(w):
            store(target, i, number(out, 0))
        for o in range(geo[OW]):
            g = load(line, o)
            lo = o * sw - pw
            if kw == 3 and sw >= 3 and lo >= 0 and lo + 3 <= w:  # the common case, without a loop of three
                store(target, lo, g)
                store(target, lo + 1, g)
                store(target, lo + 2, g)
                continue
            for i in range(max(0, lo), min(w, lo + kw)):
                store(target, i, load(target, i) + g)


@njit(**JIT)
def _give_rows(lines, pitch, rows, front, geo, taps, ones, room, out):
    """out[r*w + i] = sum of the windows of row r that hold column i, for strides up to 2.

    ``lines``: the windows' gradients, between zeros.
    """
    sw, kw, pw, w = geo[SW], geo[KW], geo[PW], geo[W]
    step = w // sw + 1
    for phase in range(sw):
        # Columns i with i + pw = q * sw + phase, and the windows q - c // sw of the taps c = phase (mod sw).
        n, first = 0, (phase - pw) % sw
        for c in range(phase, kw, sw):
            taps[n] = front - c // sw
            n += 1
        total = (w - 1 - first) // sw + 1 if first < w else 0
        source = shift(lines, (first + pw) // sw)
        if sw == 1:
            sum_rows(n, ptr(taps, 0), ptr(ones, 0), source, pitch, number(out, 0), out, w, w, rows)
        elif total > 0:
            # The phase of column 0 first.
            part = shift(room, first * rows * step)
            sum_rows(n, ptr(taps, 0), ptr(ones, 0), source, pitch, number(out, 0), part, step, total, rows)
    if sw == 2:
        for r in range(rows):
            even, odd, target = shift(room, r * step), shift(room, (rows + r) * step), shift(out, r * w)
            for q in range(w // 2):
                store(target, 2 * q, load(even, q))
                store(target, 2 * q + 1, load(odd, q))
            if w % 2:
                store(target, w - 1, load(even, w // 2))


@njit(**JIT)
def _owners(geo, owners):
    """The window that holds each element of a plane, where windows do not overlap; the number of windows if none."""
    count = geo[OD] * geo[OH] * geo[OW]
    owners[:] = count
    for window in range(count):
        d, h, w = window // (geo[OH] * geo[OW]), window // geo[OW] % geo[OH], window % geo[OW]
        d0, h0, w0 = d * geo[SD] - geo[PD], h * geo[SH] - geo[PH], w * geo[SW] - geo[PW]
        for z in range(max(0, d0), min(geo[D], d0 + geo[KD])):
            for r in range(max(0, h0), min(geo[H], h0 + geo[KH])):
                for i in range(max(0, w0), min(geo[W], w0 + geo[KW])):
                    owners[(z * geo[H] + r) * geo[W] + i] = window


@njit(**JIT)
def _avg_planes_backward(gy, gx, geo, owners, include_pad, divisor):
    """Some planes, from their first element on."""
    size, count, planes, _ = _sizes(geo, gx.size)
    if _halves(geo):
        n = planes * geo[D]
        by = divisor if divisor != 0 else 4
        _avg_halves_backward(gy.reshape(n, geo[OH], geo[OW]), gx.reshape(n, geo[H], geo[W]), by)
        return
    if _is_signal(geo):
        geo, planes, size, count = _one_plane(geo, planes, 1), 1, gx.size, gy.size
    like = ptr(gy, 0)
    vl = vector_len(like)
    ow, kw, w, pw, sw = geo[OW], geo[KW], geo[W], geo[PW], geo[SW]
    front = (kw - 1) // sw
    pitch = front + max(ow, (w - 1 + pw) // sw + 1)
    need = count + LINES * pitch + LINES * sw * (w // sw + 1) + 8 * vl
    buffer = np.empty(need * (VECTOR_BYTES // vl) + 64, np.uint8)
    share = scratch(buffer, like)
    lines = shift(share, count + 2 * vl)
    room = shift(lines, LINES * pitch + 4 * vl)
    rows, taps = np.empty(geo[KD] * geo[KH], np.intp), np.empty(kw, np.intp)
    ones, wide = np.ones(kw, gx.dtype), np.empty(ow, np.intp)
    same = _columns(geo, include_pad, divisor, wide)
    for i in range(LINES * pitch):
        store(lines, i, number(lines, 0))
    for plane in range(planes):
        grad, out = ptr(gy, plane * count), ptr(gx, plane * size)
        for i in range(count):
            store(share, i, load(grad, i))
        for od in range(geo[OD]):
            _divide(shift(share, od * geo[OH] * ow), od, 0, geo[OH], geo, include_pad, divisor, wide, same)
        if owners.size > 0:
            store(share, count, number(out, 0))
            for i in range(size):
                store(out, i, load(share, np.uintp(owners[i])))
            continue
        for z in range(geo[D]):
            # The windows o of a dimension with o*s - p <= place < o*s - p + k.
            za = max(0, (z + geo[PD] - geo[KD]) // geo[SD] + 1)
            zb = min(geo[OD], (z + geo[PD]) // geo[SD] + 1)
            for start in range(0, geo[H], LINES):
                many = min(LINES, geo[H] - start)
                for j in range(many):
                    r = start + j + geo[PH]
                    ra, rb = max(0, (r - geo[KH]) // geo[SH] + 1), min(geo[OH], r // geo[SH] + 1)
                    n = 0
                    for a in range(za, zb):
                        for b in range(ra, rb):
                            rows[n] = (a * geo[OH] + b) * ow
                            n += 1
                    add_rows(n, ptr(rows, 0), share, shift(lines, j * pitch + front), ow)
                target = shift(out, (z * geo[H] + start) * w)
                if sw <= 2:
                    _give_rows(lines, pitch, many, front, geo, taps, ones, room, target)
                else:
                    _give_far(lines, pitch, many, front, geo, start, target)
    keep(buffer)


@njit(parallel=True, **JIT)
def avg_pool_backward(gy, gx, geo, include_pad, divisor):
    """Writes gx from gy."""
    size, count, planes, bunch = _sizes(geo, gx.size)
    apart = geo[KD] <= geo[SD] and geo[KH] <= geo[SH] and geo[KW] <= geo[SW]
    # Small planes are looked up: 8 x 32 planes of 14 x 14 in windows of 3 took 85 us row by row, and take 21.
    owners = np.empty(size if apart and size <= 4096 and not _halves(geo) and not _is_signal(geo) else 0, np.int32)
    if owners.size > 0:
        _owners(geo, owners)
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        small, large = slice(lo * count, hi * count), slice(lo * size, hi * size)
        _avg_planes_backward(gy[small], gx[large], geo, owners, include_pad, divisor)
