"""Pooling over windows given one by one: adaptive and fractional pooling in one to three dimensions, and maxima of
windows far apart.

Arrays are (planes, D, H, W). ``lo`` and ``hi`` are int64 arrays of shape (3, n), for maxima (1, 3, n): output o of
dimension j pools the inputs lo[j, o] <= i < hi[j, o]. Adaptive pooling to ``m`` outputs of ``n`` inputs has lo =
floor(o*n/m), hi = ceil((o+1)*n/m). Where m divides n, windows are those of ``pooling``; one window for all of a plane
has kernels of its own, on arrays (planes, elements).

Measured on two threads: the mean of 8 x 512 planes of 7x7 111 us with a plain loop, 20 us with whole vectors and a
mask; the maximum of 8 x 256 planes of 14x14 1070 us and 145 us.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT, PLAIN
from ._simd import VL32, keep, load, ptr, shift, vector_len
from ._simd_pool import add_rows, max_rows, row_fill, row_max, row_totals, top_rows


@njit(**JIT)
def _bunch(x):
    """Planes in a unit of work."""
    return max(1, x.shape[0] if x.size < GRAIN // 4 else (GRAIN // 2) // x.shape[1])


@njit(**JIT)
def _mean_rows(x, y):
    n = x.shape[1]
    row_totals(ptr(x, 0), y.size, n, ptr(y, 0))
    for i in range(y.size):
        y[i] /= y.dtype.type(n)


@njit(parallel=True, **JIT)
def global_avg_pool_forward(x, y):
    """Writes y (planes,): the mean of each row of x."""
    planes, bunch = x.shape[0], _bunch(x)
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        _mean_rows(x[lo:hi], y[lo:hi])


@njit(parallel=True, **JIT)
def global_avg_pool_backward(gy, gx):
    """Writes gx (planes, elements) from gy (planes,)."""
    planes, bunch, n = gx.shape[0], _bunch(gx), gx.shape[1]
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        row_fill(ptr(gy, lo), hi - lo, n, gx.dtype.type(n), ptr(gx, lo * n))


@njit(**JIT)
def _best_lane(best, place):
    """The largest of the lanes' maxima and its place, the first one of equal elements; the last NaN if there is one."""
    broken = 0
    for lane in range(best.size):
        broken += best[lane] != best[lane]
    m, at = best[0], place[0]
    if broken:
        for lane in range(best.size):
            if best[lane] != best[lane] and (m == m or place[lane] > at):
                m, at = best[lane], place[lane]
        return m, at
    for lane in range(1, best.size):
        m = best[lane] if best[lane] > m else m
    at = place.dtype.type(1 << 62)
    for lane in range(best.size):
        at = min(at, place[lane] if best[lane] == m else place.dtype.type(1 << 62))
    return m, at


@njit(**JIT)
def _max_rows(x, y, index):
    vl = vector_len(ptr(x, 0))
    best, place = np.empty(vl, x.dtype), np.empty(vl, np.intp)
    for row in range(y.size):
        row_max(ptr(x, row * x.shape[1]), x.shape[1], ptr(best, 0), ptr(place, 0))
        y[row], index[row] = _best_lane(best, place)


@njit(parallel=True, **JIT)
def global_max_pool_forward(x, y, index):
    """Writes y and index (int64), both (planes,): the maximum of each row of x and where it lies."""
    planes, bunch = x.shape[0], _bunch(x)
    for unit in prange((planes + bunch - 1) // bunch):
        lo, hi = np.intp(unit) * bunch, min(planes, (np.intp(unit) + 1) * bunch)
        _max_rows(x[lo:hi], y[lo:hi], index[lo:hi])


@njit(**JIT)
def _avg_plane(x, y, lo, hi, rows, line):
    h, w = x.shape[1], x.shape[2]
    for a in range(y.shape[0]):
        for b in range(y.shape[1]):
            n = 0
            for z in range(lo[0, a], hi[0, a]):
                for r in range(lo[1, b], hi[1, b]):
                    rows[n] = (z * h + r) * w
                    n += 1
            add_rows(n, ptr(rows, 0), ptr(x, 0), ptr(line, 0), w)
            for c in range(y.shape[2]):
                total = x.dtype.type(0)
                for i in range(lo[2, c], hi[2, c]):
                    total += line[np.uintp(i)]
                y[a, b, c] = total / x.dtype.type(n * (hi[2, c] - lo[2, c]))


@njit(parallel=True, **JIT)
def adaptive_avg_pool_forward(x, y, lo, hi):
    """Writes y (planes, OD, OH, OW): the mean over each window."""
    for i in prange(x.shape[0]):
        rows, line = np.empty(x.shape[1] * x.shape[2], np.intp), np.empty(x.shape[3], x.dtype)
        _avg_plane(x[i], y[i], lo, hi, rows, line)


@njit(**JIT)
def _avg_plane_backward(gy, gx, lo, hi, line):
    h, w = gx.shape[1], gx.shape[2]
    for z in range(gx.shape[0]):
        for r in range(h):
            for i in range(w):
                gx[z, r, i] = 0
    for a in range(gy.shape[0]):
        for b in range(gy.shape[1]):
            n = (hi[0, a] - lo[0, a]) * (hi[1, b] - lo[1, b])
            for i in range(w):
                line[i] = 0
            for c in range(gy.shape[2]):
                g = gy[a, b, c] / gy.dtype.type(n * (hi[2, c] - lo[2, c]))
                for i in range(lo[2, c], hi[2, c]):
                    line[np.uintp(i)] += g
            for z in range(lo[0, a], hi[0, a]):
                for r in range(lo[1, b], hi[1, b]):
                    row = gx[z, r]
                    for i in range(w):
                        row[i] += line[i]


@njit(parallel=True, **JIT)
def adaptive_avg_pool_backward(gy, gx, lo, hi):
    """Writes gx (planes, D, H, W) from gy (planes, OD, OH, OW)."""
    for i in prange(gx.shape[0]):
        line = np.empty(gx.shape[3], gx.dtype)
        _avg_plane_backward(gy[i], gx[i], lo, hi, line)


@njit(**JIT)
def _rows_of(lo, hi, a, b, height, width, rows):
    """Where the rows of the windows (a, b) begin in a plane; how many there are."""
    n = 0
    for z in range(lo[0, a], hi[0, a]):
        for r in range(lo[1, b], hi[1, b]):
            rows[n] = (z * height + r) * width
            n += 1
    return n


@njit(**JIT)
def _best_of(best, which, rows, first, past):
    """The largest of some columns, and where it lies in its plane: the first of equal ones, or the last NaN."""
    m, at = best[first], rows[which[first]] + first
    for i in range(first + 1, past):
        v, place = best[i], rows[which[i]] + i
        win = (v > m) | ((v == m) & (place < at)) | ((v != v) & ((m == m) | (place > at)))
        m, at = v if win else m, place if win else at
    return m, at


@njit(**JIT)
def _max_plane(x, y, index, lo, hi, source, rows, best, which, lanes, places):
    """Rows first, which are contiguous, then along the columns: 16 x 64 images of 32 x 32 in 2 x 2 windows took 5100 us
    element by element, and 360 us so. source: the plane, with a vector to spare."""
    w = x.shape[2]
    zeros = which[w + VL32 :]
    for a in range(y.shape[0]):
        for b in range(y.shape[1]):
            n = _rows_of(lo, hi, a, b, x.shape[1], w, rows)
            start = rows[0]
            if n > 1:
                max_rows(n, ptr(rows, 0), source, 0, 0, ptr(zeros, 0), ptr(best, 0), w, ptr(which, 0), w, 1)
            for c in range(y.shape[2]):
                first, past = lo[2, c], hi[2, c]
                if n > 1:
                    m, at = _best_of(best, which, rows, first, past)
                elif past - first < 16:
                    m, at = load(source, start + first), start + first
                    for i in range(start + first + 1, start + past):
                        v = load(source, i)
                        win = (v > m) | (v != v)
                        m, at = v if win else m, i if win else at
                else:
                    row_max(shift(source, start + first), past - first, ptr(lanes, 0), ptr(places, 0))
                    m, at = _best_lane(lanes, places)
                    at += start + first
                y[a, b, c], index[a, b, c] = m, at


@njit(**JIT)
def _top_plane(x, y, lo, hi, source, rows, best, which):
    """The maxima alone."""
    w = x.shape[2]
    for a in range(y.shape[0]):
        for b in range(y.shape[1]):
            n = _rows_of(lo, hi, a, b, x.shape[1], w, rows)
            top_rows(n, ptr(rows, 0), source, 0, 0, ptr(which, 0), ptr(best, 0), w, ptr(which, 0), w, 1)
            for c in range(y.shape[2]):
                m = best[lo[2, c]]
                for i in range(lo[2, c] + 1, hi[2, c]):
                    v = best[i]
                    m = v if (v > m) | (v != v) else m
                y[a, b, c] = m


@njit(**JIT)
def _max_planes(x, y, index, lo, hi, each):
    """Some planes; each: whether lo and hi are (planes, 3, n), windows of each plane's own."""
    size, w = x.shape[1] * x.shape[2] * x.shape[3], x.shape[3]
    vl = vector_len(ptr(x, 0))
    rows, best, which = np.empty(size // w, np.intp), np.empty(w, x.dtype), np.zeros(2 * (w + VL32), np.int32)
    lanes, places = np.empty(vl, x.dtype), np.empty(vl, np.intp)
    padded = np.empty(size + vl, x.dtype)
    for i in range(x.shape[0]):
        k = i if each else 0
        plane, source = x[i].reshape(size), ptr(x, i * size)
        if (x.shape[0] - 1 - i) * size < vl:
            # Loads go up to a vector past a row's end: small planes are less, and then not only the last one is copied.
            for j in range(size):
                padded[j] = plane[j]
            source = ptr(padded, 0)
        if index.size > 0:
            _max_plane(x[i], y[i], index[i], lo[k], hi[k], source, rows, best, which, lanes, places)
        else:
            _top_plane(x[i], y[i], lo[k], hi[k], source, rows, best, which)
    keep(rows)
    keep(best)
    keep(which)
    keep(lanes)
    keep(places)
    keep(padded)


@njit(parallel=True, **JIT)
def windows_max_forward(x, y, index, lo, hi):
    """Writes y and, unless it is empty, index (int64, flat in the plane), both (planes, OD, OH, OW): the maximum of
    each window.

    lo and hi are (1, 3, n), or (planes, 3, n) where each plane has windows of its own.
    """
    planes, each = x.shape[0], lo.shape[0] > 1
    bunch = max(1, planes if x.size < GRAIN // 4 else (GRAIN // 2) // (x.shape[1] * x.shape[2] * x.shape[3]))
    for unit in prange((planes + bunch - 1) // bunch):
        first = np.intp(unit) * bunch
        past = min(planes, first + bunch)
        k, m = (first, past) if each else (0, 1)
        _max_planes(x[first:past], y[first:past], index[first:past], lo[k:m], hi[k:m], each)


@njit(**PLAIN)
def fractional_windows(u, turn, n, m, k, lo, hi):
    """Writes lo and hi (planes, 3, outputs): windows of k of the n elements of each dimension, m of them, that start at
    floor((i + u) alpha) - floor(u alpha), alpha = (n - k) / (m - 1), the last at n - k (Graham, arXiv 1412.6071).

    u: (planes, dimensions), in the order of the dimensions or, with ``turn``, the other way round. n, m, k: int64 (3,).
    Returns whether all windows lie inside.
    """
    inside = True
    first = 3 - u.shape[1]
    for plane in range(u.shape[0]):
        for j in range(3):
            for i in range(m[j]):
                start = n[j] - k[j]
                if j >= first and i < m[j] - 1:
                    v = u[plane, u.shape[1] - 1 - (j - first) if turn else j - first]
                    alpha = u.dtype.type(n[j] - k[j]) / u.dtype.type(m[j] - 1)
                    start = np.intp((u.dtype.type(i) + v) * alpha) - np.intp(v * alpha)
                inside = inside and 0 <= start <= n[j] - k[j]
                lo[plane, j, i] = start
                hi[plane, j, i] = start + k[j]
    return inside
