r"""Reductions along the middle axis of arrays seen as (outer, n, inner).

Every sum is taken in float64 whatever the input, so that a float32 result is rounded once:

    sum_forward       y[o, i] = (scale * sum_k f(x[o, k, i])) ** root
    extreme_forward   y[o, i] = max_k, min_k, max_k |.|, min_k |.| or prod_k of x[o, k, i]
    arg_forward       the largest (smallest) x[o, k, i] and the first k that holds it
    prod_backward     dx[o, k, i] = g[o, i] * prod_{j != k} x[o, j, i]

NaN is larger and smaller than any number: the first one is the maximum and the minimum.
Work is cut by shape alone; partial results of one (o, i) are combined in order of k.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, GRAIN, JIT
from ._minmax import maximum, minimum

# What sum_forward adds up: x, |x|, x * x, x != 0, |x| ** p, x without its NaNs, (x - shift) ** 2.
SUM, ABS, SQUARE, NONZERO, POWER, NANSUM, DEVIATION = range(7)
# What extreme_forward and arg_forward look for.
MAX, MIN, ABSMAX, ABSMIN, PROD = range(5)

# Columns that one task of a strided reduction takes, and lanes of a contiguous one.
TILE = 1024
LANES = 64


@njit(**JIT)
def _terms(x, f, kind, p, shift):
    """f[i] = f(x[i]) in float64 for 1-D x and f; shift[i % shift.size] is read where kind is DEVIATION."""
    n = x.size
    if kind == ABS:
        for i in range(n):
            f[i] = abs(np.float64(x[i]))
    elif kind == SQUARE:
        for i in range(n):
            f[i] = np.float64(x[i]) * np.float64(x[i])
    elif kind == DEVIATION:
        if shift.size == 1:
            m = shift[0]
            for i in range(n):
                v = np.float64(x[i]) - m
                f[i] = v * v
        else:
            for i in range(n):
                v = np.float64(x[i]) - shift[i]
                f[i] = v * v
    elif kind == NONZERO:
        for i in range(n):
            f[i] = 1.0 if x[i] != 0 else 0.0
    elif kind == NANSUM:
        for i in range(n):
            f[i] = np.float64(x[i]) if x[i] == x[i] else 0.0
    else:
        for i in range(n):
            f[i] = abs(np.float64(x[i])) ** p


@njit(**JIT)
def _sum_row(x, kind, p, shift, f):
    """Sum of f(x) over a 1-D array, in float64; f is scratch of TILE elements."""
    s = 0.0
    n = x.size
    if kind == SUM:
        for i in range(n):
            s += np.float64(x[i])
        return s
    i = 0
    while i < n:
        m = min(TILE, n - i)
        _terms(x[i : i + m], f, kind, p, shift)
        for j in range(m):
            s += f[j]
        i += m
    return s


@njit(**JIT)
def _sum_columns(x, lo, hi, j0, j1, acc, kind, p, shift, f):
    """Adds f(x[k, j0 + j]) for lo <= k < hi to acc[j]; shift holds j1 - j0 numbers where kind is DEVIATION."""
    w = j1 - j0
    k = lo
    if kind == SUM:
        while k + 4 <= hi:
            a, b, c, d = x[k][j0:j1], x[k + 1][j0:j1], x[k + 2][j0:j1], x[k + 3][j0:j1]
            for j in range(w):
                acc[j] += (np.float64(a[j]) + np.float64(b[j])) + (np.float64(c[j]) + np.float64(d[j]))
            k += 4
        while k < hi:
            a = x[k][j0:j1]
            for j in range(w):
                acc[j] += np.float64(a[j])
            k += 1
    while k < hi:
        _terms(x[k][j0:j1], f, kind, p, shift)
        for j in range(w):
            acc[j] += f[j]
        k += 1


@njit(**JIT)
def _sum_slab(x, lo, hi, j0, j1, acc, kind, p, shift, wide, f):
    """acc[j] = sum over lo <= k < hi of f(x[k, j0 + j]); narrow rows are taken several at a time (wide, f: scratch)."""
    w = j1 - j0
    for j in range(w):
        acc[j] = 0.0
    inner = x.shape[1]
    times = LANES // inner
    if times > 1 and hi - lo >= 4 * times and kind != DEVIATION:
        rows = (hi - lo) // times
        grouped = x[lo : lo + rows * times].reshape(rows, times * inner)
        for j in range(times * inner):
            wide[j] = 0.0
        _sum_columns(grouped, 0, rows, 0, times * inner, wide, kind, p, shift, f)
        for t in range(times):
            for j in range(inner):
                acc[j] += wide[t * inner + j]
        lo += rows * times
    _sum_columns(x, lo, hi, j0, j1, acc, kind, p, shift, f)


@njit(**JIT)
def _finish(s, scale, root):
    """(scale * s) ** root."""
    s *= scale
    if root == 1.0:
        return s
    if root == 0.5:
        return np.sqrt(s)
    return s**root


@njit(**JIT)
def _sum_row_tasks(x, y, lo, hi, kind, p, shift, scale, root):
    """Rows lo <= o < hi of the contiguous reduction x (outer, n) -> y (outer,)."""
    m, f = np.zeros(1), np.empty(TILE if kind != SUM else 0)
    for o in range(lo, hi):
        if kind == DEVIATION:
            m[0] = shift[o, 0]
        y[o] = _finish(_sum_row(x[o], kind, p, m, f), scale, root)


@njit(**JIT)
def _sum_tile_tasks(x, y, part, lo, hi, tiles, chunks, rows, kind, p, shift, scale, root):
    """Tasks lo <= t < hi of the strided reduction: task t is (o, tile of columns, chunk of rows)."""
    n, inner = x.shape[1], x.shape[2]
    acc = np.empty(min(inner, TILE))
    wide = np.empty(2 * LANES)
    m, f = np.zeros(min(inner, TILE)), np.empty(TILE if kind != SUM else 0)
    for t in range(lo, hi):
        c = t % chunks
        tile = (t // chunks) % tiles
        o = t // (chunks * tiles)
        j0 = tile * TILE
        j1 = min(inner, j0 + TILE)
        if kind == DEVIATION:
            for j in range(j1 - j0):
                m[j] = shift[o, j0 + j]
        _sum_slab(x[o], c * rows, min(n, (c + 1) * rows), j0, j1, acc, kind, p, m, wide, f)
        if chunks == 1:
            out = y[o][j0:j1]
            for j in range(j1 - j0):
                out[j] = _finish(acc[j], scale, root)
        else:
            piece = part[o, c][j0:j1]
            for j in range(j1 - j0):
                piece[j] = acc[j]


@njit(parallel=True, **JIT)
def sum_forward(x, y, kind, p, shift, scale, root):
    """y[o, i] = (scale * sum_k f(x[o, k, i])) ** root.

    x: (outer, n, inner). y: (outer, inner), written. kind: one of the sums listed above. p: float exponent of POWER.
    shift: (outer, inner), read where kind is DEVIATION, else any 2-D array of x's dtype. scale, root: floats.
    """
    outer, n, inner = x.shape
    total = outer * n * inner
    if inner == 1:
        x2 = x.reshape(outer, n)
        y1 = y.reshape(outer)
        if total < GRAIN:
            _sum_row_tasks(x2, y1, 0, outer, kind, p, shift, scale, root)
        elif n <= CHUNK:
            per = max(1, CHUNK // n)
            for c in prange((outer + per - 1) // per):
                lo = np.intp(c) * per
                _sum_row_tasks(x2, y1, lo, min(outer, lo + per), kind, p, shift, scale, root)
        else:
            chunks = (n + CHUNK - 1) // CHUNK
            part = np.empty((outer, chunks))
            for t in prange(outer * chunks):
                o = np.intp(t) // chunks
                c = np.intp(t) % chunks
                _sum_row_tasks(x2[o : o + 1, c * CHUNK : min(n, (c + 1) * CHUNK)], part[o][c : c + 1], 0, 1, kind, p, shift[o:], 1.0, 1.0)
            _sum_row_tasks(part, y1, 0, outer, SUM, p, shift, scale, root)
    else:
        tiles = (inner + TILE - 1) // TILE
        rows = max(64, CHUNK // min(inner, TILE)) if outer * tiles < 16 and total >= GRAIN else max(1, n)
        chunks = max(1, (n + rows - 1) // rows)
        tasks = outer * tiles * chunks
        part = np.empty((outer if chunks > 1 else 0, chunks, inner))
        if total < GRAIN:
            _sum_tile_tasks(x, y, part, 0, tasks, tiles, chunks, rows, kind, p, shift, scale, root)
        else:
            per = max(1, CHUNK // (min(rows, n) * min(inner, TILE)))
            for c in prange((tasks + per - 1) // per):
                lo = np.intp(c) * per
                hi = min(tasks, lo + per)
                _sum_tile_tasks(x, y, part, lo, hi, tiles, chunks, rows, kind, p, shift, scale, root)
        if chunks > 1:
            for o in range(outer):
                for c in range(1, chunks):
                    first, piece = part[o, 0], part[o, c]
                    for j in range(inner):
                        first[j] += piece[j]
                first, out = part[o, 0], y[o]
                for j in range(inner):
                    out[j] = _finish(first[j], scale, root)


@njit(**JIT)
def _start(x, kind):
    """The element, in x's dtype, that changes nothing under the reduction."""
    if kind == MAX or kind == ABSMAX:
        return x.dtype.type(-np.inf)
    if kind == PROD:
        return x.dtype.type(1.0)
    return x.dtype.type(np.inf)


@njit(**JIT)
def _fold(a, x, kind):
    """a[j] = op(a[j], x[j]) over 1-D arrays a and x of one length."""
    if kind == MAX:
        for j in range(a.size):
            a[j] = maximum(a[j], x[j])
    elif kind == MIN:
        for j in range(a.size):
            a[j] = minimum(a[j], x[j])
    elif kind == ABSMAX:
        for j in range(a.size):
            a[j] = maximum(a[j], abs(x[j]))
    elif kind == ABSMIN:
        for j in range(a.size):
            a[j] = minimum(a[j], abs(x[j]))
    else:
        for j in range(a.size):
            a[j] *= x[j]


@njit(**JIT)
def _extreme_row(x, kind):
    """The reduction of a 1-D array."""
    m = _start(x, kind)
    if kind == MAX:
        for i in range(x.size):
            m = maximum(m, x[i])
    elif kind == MIN:
        for i in range(x.size):
            m = minimum(m, x[i])
    elif kind == ABSMAX:
        for i in range(x.size):
            m = maximum(m, abs(x[i]))
    elif kind == ABSMIN:
        for i in range(x.size):
            m = minimum(m, abs(x[i]))
    else:
        for i in range(x.size):
            m *= x[i]
    return m


@njit(**JIT)
def _extreme_row_tasks(x, y, lo, hi, kind):
    """Rows lo <= o < hi of x (outer, n) -> y (outer,)."""
    for o in range(lo, hi):
        y[o] = _extreme_row(x[o], kind)


@njit(**JIT)
def _extreme_tile_tasks(x, y, lo, hi, tiles, kind):
    """Tasks lo <= t < hi: task t is (o, tile of columns), reduced straight into y (outer, inner)."""
    n, inner = x.shape[1], x.shape[2]
    e = _start(x, kind)
    for t in range(lo, hi):
        o = t // tiles
        j0 = (t % tiles) * TILE
        j1 = min(inner, j0 + TILE)
        acc = y[o][j0:j1]
        acc[:] = e
        for k in range(n):
            _fold(acc, x[o, k][j0:j1], kind)


@njit(parallel=True, **JIT)
def extreme_forward(x, y, kind):
    """y[o, i] = op_k x[o, k, i] for MAX, MIN, ABSMAX, ABSMIN or PROD. x: (outer, n, inner). y: (outer, inner), written."""
    outer, n, inner = x.shape
    total = outer * n * inner
    if inner == 1:
        x2 = x.reshape(outer, n)
        y1 = y.reshape(outer)
        if total < GRAIN:
            _extreme_row_tasks(x2, y1, 0, outer, kind)
        elif n <= CHUNK:
            per = max(1, CHUNK // n)
            for c in prange((outer + per - 1) // per):
                lo = np.intp(c) * per
                _extreme_row_tasks(x2, y1, lo, min(outer, lo + per), kind)
        else:
            chunks = (n + CHUNK - 1) // CHUNK
            part = np.empty((outer, chunks), x.dtype)
            for t in prange(outer * chunks):
                o = np.intp(t) // chunks
                c = np.intp(t) % chunks
                piece = x2[o][c * CHUNK : min(n, (c + 1) * CHUNK)]
                part[o, c] = _extreme_row(piece, kind)
            _extreme_row_tasks(part, y1, 0, outer, MAX if kind == ABSMAX else MIN if kind == ABSMIN else kind)
    else:
        tiles = (inner + TILE - 1) // TILE
        tasks = outer * tiles
        if total < GRAIN:
            _extreme_tile_tasks(x, y, 0, tasks, tiles, kind)
        else:
            per = max(1, CHUNK // (max(1, n) * min(inner, TILE)))
            for c in prange((tasks + per - 1) // per):
                lo = np.intp(c) * per
                _extreme_tile_tasks(x, y, lo, min(tasks, lo + per), tiles, kind)


@njit(**JIT)
def _first(x, v):
    """First index of v (of a NaN where v is one) in the 1-D array x; x.size where there is none."""
    n = x.size
    i = 0
    while i + LANES <= n:
        found = 0
        for j in range(LANES):
            u = x[i + j]
            found |= (u == v) | ((u != u) & (v != v))
        if found:
            break
        i += LANES
    while i < n:
        if x[i] == v or (x[i] != x[i] and v != v):
            return i
        i += 1
    return n


@njit(**JIT)
def _arg_row_tasks(x, values, indices, lo, hi, kind):
    """Rows lo <= o < hi of x (outer, n): values[o] and indices[o]."""
    for o in range(lo, hi):
        values[o] = _extreme_row(x[o], kind)
        indices[o] = _first(x[o], values[o])


@njit(**JIT)
def _arg_tile_tasks(x, values, indices, lo, hi, tiles, kind):
    """Tasks lo <= t < hi: task t is (o, tile of columns)."""
    n, inner = x.shape[1], x.shape[2]
    for t in range(lo, hi):
        o = t // tiles
        j0 = (t % tiles) * TILE
        j1 = min(inner, j0 + TILE)
        v, a = values[o][j0:j1], indices[o][j0:j1]
        row = x[o, 0][j0:j1]
        for j in range(j1 - j0):
            v[j] = row[j]
            a[j] = 0
        for k in range(1, n):
            row = x[o, k][j0:j1]
            if kind == MAX:
                for j in range(j1 - j0):
                    new = (row[j] > v[j]) | ((row[j] != row[j]) & (v[j] == v[j]))
                    v[j] = row[j] if new else v[j]
                    a[j] = k if new else a[j]
            else:
                for j in range(j1 - j0):
                    new = (row[j] < v[j]) | ((row[j] != row[j]) & (v[j] == v[j]))
                    v[j] = row[j] if new else v[j]
                    a[j] = k if new else a[j]


@njit(parallel=True, **JIT)
def arg_forward(x, values, indices, kind):
    """The MAX or MIN of x (outer, n > 0, inner) over k, and the first k that holds it.

    values: (outer, inner), written. indices: (outer, inner) of int64, written.
    """
    outer, n, inner = x.shape
    total = outer * n * inner
    if inner == 1:
        x2 = x.reshape(outer, n)
        v1, a1 = values.reshape(outer), indices.reshape(outer)
        if total < GRAIN:
            _arg_row_tasks(x2, v1, a1, 0, outer, kind)
        elif n <= CHUNK:
            per = max(1, CHUNK // n)
            for c in prange((outer + per - 1) // per):
                lo = np.intp(c) * per
                _arg_row_tasks(x2, v1, a1, lo, min(outer, lo + per), kind)
        else:
            chunks = (n + CHUNK - 1) // CHUNK
            part = np.empty((outer, chunks), x.dtype)
            for t in prange(outer * chunks):
                o = np.intp(t) // chunks
                c = np.intp(t) % chunks
                piece = x2[o][c * CHUNK : min(n, (c + 1) * CHUNK)]
                part[o, c] = _extreme_row(piece, kind)
            _arg_row_tasks(part, v1, a1, 0, outer, kind)
            for o in range(outer):
                lo = a1[o] * CHUNK
                a1[o] = lo + _first(x2[o][lo : min(n, lo + CHUNK)], v1[o])
    else:
        tiles = (inner + TILE - 1) // TILE
        tasks = outer * tiles
        if total < GRAIN:
            _arg_tile_tasks(x, values, indices, 0, tasks, tiles, kind)
        else:
            per = max(1, CHUNK // (n * min(inner, TILE)))
            for c in prange((tasks + per - 1) // per):
                lo = np.intp(c) * per
                _arg_tile_tasks(x, values, indices, lo, min(tasks, lo + per), tiles, kind)


@njit(**JIT)
def _prod_backward_tasks(g, x, dx, lo, hi):
    """dx[o] for lo <= o < hi: products before k on the way up, times products after k on the way down."""
    n, inner = x.shape[1], x.shape[2]
    acc = np.empty(inner, x.dtype)
    for o in range(lo, hi):
        acc[:] = g[o]
        for k in range(n):
            row, out = x[o, k], dx[o, k]
            for j in range(inner):
                out[j] = acc[j]
                acc[j] *= row[j]
        acc[:] = 1.0
        for k in range(n - 1, -1, -1):
            row, out = x[o, k], dx[o, k]
            for j in range(inner):
                out[j] *= acc[j]
                acc[j] *= row[j]


@njit(parallel=True, **JIT)
def prod_backward(g, x, dx):
    """dx[o, k, i] = g[o, i] * prod_{j != k} x[o, j, i], right where some x are 0.

    g: (outer, inner). x: (outer, n, inner). dx: (outer, n, inner), written.
    """
    outer, n, inner = x.shape
    if outer * n * inner < GRAIN:
        _prod_backward_tasks(g, x, dx, 0, outer)
    else:
        per = max(1, CHUNK // max(1, n * inner))
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _prod_backward_tasks(g, x, dx, lo, min(outer, lo + per))
