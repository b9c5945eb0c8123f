r"""Reductions along the middle axis of arrays seen as (outer, n, inner).

Every sum is taken in float64 whatever the input, so that a float32 result is rounded once:

    sum_rows          y[o] = (scale * sum_k f(x[o, k])) ** root
    sum_columns       y[o, i] = (scale * sum_k f(x[o, k, i])) ** root
    extreme_forward   y[o, i] = max_k, min_k, max_k |.|, min_k |.| or prod_k of x[o, k, i]
    arg_forward       the largest (smallest) x[o, k, i] and the first k that holds it
    extreme_backward  equal extremes share the gradient; arg_backward gives it to the one that was found
    prod_backward     dx[o, k, i] = g[o, i] * prod_{j != k} x[o, j, i]

NaN is larger and smaller than any number: the first one is the maximum and the minimum.
Work is cut by shape alone; partial results of one (o, i) are combined in order of k.
"""

import numpy as np
from numba import njit, prange, types

from ._jit import CHUNK, GRAIN, JIT
from ._minmax import maximum, minimum
from ._simd import keep, ptr, shared_kernel
from ._simd_short import LONGEST, row_maxima, row_minima, row_products
from ._simd_sums import MANY, column_sums, row_squares, row_sum, rows_squares, rows_sums

# What sum_rows and sum_columns add up: x, |x|, (x - shift) ** 2 or |x| ** p.
SUM, ABS, SQUARE, POWER = range(4)
# What extreme_forward and arg_forward look for.
MAX, MIN, ABSMAX, ABSMIN, PROD = range(5)

# Columns that one task of a strided reduction takes, and lanes of a contiguous one.
TILE = 1024
LANES = 64
# Rows of no more elements are added up several at a time.
SHORT = 512
# Up to so many, rows are added up in one go.
FEW_ROWS = 32
# Elements of several narrow rows that are summed side by side.
NARROW = 64
# Elements up to which sums of columns are plain loops.
FEW = 1024


@njit(**JIT)
def _sum_row(x, kind, p, m):
    """Sum of f(x) over a 1-D array, in float64; m is the shift of SQUARE."""
    if kind == SUM:
        return row_sum(x, p)
    if kind == SQUARE:
        return row_squares(x, m)
    s = 0.0
    if kind == ABS:
        for i in range(x.size):
            s += abs(np.float64(x[i]))
    elif p == 3.0:
        for i in range(x.size):
            v = abs(np.float64(x[i]))
            s += v * v * v
    else:
        for i in range(x.size):
            s += abs(np.float64(x[i])) ** p
    return s


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
def _short_sums(x, y, lo, hi, kind, p, shift, scale, root):
    """The same for short rows, SUM and SQUARE, several rows at a time."""
    n, some = x.shape[1], 64
    sums, zeros = np.empty(some), np.zeros(some if shift.size == 0 else 0, x.dtype)
    for first in range(lo, hi, some):
        rows, at = min(some, hi - first), ptr(x, first * n)
        if kind == SUM:
            rows_sums(rows, n, at, p, ptr(sums, 0))
        elif shift.size > 0:
            rows_squares(rows, n, at, ptr(shift, first), p, ptr(sums, 0))
        else:
            rows_squares(rows, n, at, ptr(zeros, 0), p, ptr(sums, 0))
        _finish_all(sums, y[first : first + rows], scale, root)
    keep(sums)
    keep(zeros)


@njit(**JIT)
def _finish_all(sums, out, scale, root):
    """out[j] = (scale * sums[j]) ** root; a loop with a power in it is not vectorised."""
    if root == 1.0:
        for j in range(out.size):
            out[j] = sums[j] * scale
    elif root == 0.5:
        for j in range(out.size):
            out[j] = np.sqrt(sums[j] * scale)
    else:
        for j in range(out.size):
            out[j] = _finish(sums[j], scale, root)


@njit(**JIT)
def _sum_row_tasks(x, y, lo, hi, kind, p, shift, scale, root):
    """Rows lo <= o < hi of x (outer, n) -> y (outer,)."""
    if MANY and x.shape[1] <= SHORT and (kind == SUM or kind == SQUARE):
        _short_sums(x, y, lo, hi, kind, p, shift, scale, root)
        return
    for o in range(lo, hi):
        m = np.float64(shift[o]) if shift.size > 0 else 0.0
        y[o] = _finish(_sum_row(x[o], kind, p, m), scale, root)


@njit(parallel=True, **JIT)
def sum_rows(x, y, kind, p, shift, scale, root):
    """y[o] = (scale * sum_k f(x[o, k])) ** root.

    x: (outer, n). y: (outer,), written. kind: SUM, ABS, SQUARE or POWER. p: float, the exponent of POWER, else 1.0.
    shift: (outer,), subtracted from x under SQUARE, or (0,) for none. scale, root: floats.
    """
    outer, n = x.shape
    if outer * n < GRAIN:
        _sum_row_tasks(x, y, 0, outer, kind, p, shift, scale, root)
    elif n <= CHUNK:
        per = max(1, CHUNK // n)
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _sum_row_tasks(x, y, lo, min(outer, lo + per), kind, p, shift, scale, root)
    else:
        chunks = (n + CHUNK - 1) // CHUNK
        part = np.empty((outer, chunks))
        for t in prange(outer * chunks):
            o = np.intp(t) // chunks
            c = np.intp(t) % chunks
            m = np.float64(shift[o]) if shift.size > 0 else 0.0
            part[o, c] = _sum_row(x[o][c * CHUNK : min(n, (c + 1) * CHUNK)], kind, p, m)
        for o in range(outer):
            s = 0.0
            for c in range(chunks):
                s += part[o, c]
            y[o] = _finish(s, scale, root)


@njit(**JIT)
def _sum_columns(x, lo, hi, j0, j1, acc, kind, p, shift):
    """Adds f(x[k, j0 + j]) for lo <= k < hi to acc[j]; shift: one number for each j, under SUM room for as many."""
    w = j1 - j0
    k = lo
    if kind == SUM and MANY and x.shape[1] <= NARROW:
        # 2048 x 64 in 9 us, 13 with loops; wider rows, which have to be read in several strips, gain nothing.
        column_sums(hi - lo, x.shape[1], w, ptr(x, lo * x.shape[1] + j0), p, 1.0, ptr(shift, 0))
        for j in range(w):
            acc[j] += shift[j]
        return
    if kind == SUM:
        while k + 4 <= hi:
            a, b, c, d = x[k][j0:j1], x[k + 1][j0:j1], x[k + 2][j0:j1], x[k + 3][j0:j1]
            for j in range(w):
                acc[j] += (np.float64(a[j]) + np.float64(b[j])) + (np.float64(c[j]) + np.float64(d[j]))
            k += 4
    while k < hi:
        a = x[k][j0:j1]
        if kind == SUM:
            for j in range(w):
                acc[j] += np.float64(a[j])
        elif kind == ABS:
            for j in range(w):
                acc[j] += abs(np.float64(a[j]))
        elif kind == SQUARE:
            for j in range(w):
                v = np.float64(a[j]) - shift[j]
                acc[j] += v * v
        else:
            for j in range(w):
                acc[j] += abs(np.float64(a[j])) ** p
        k += 1


@njit(**JIT)
def _sum_tasks(x, y, part, lo, hi, plan, kind, p, shift, scale, root):
    """Tasks lo <= t < hi of sum_columns: task t is (o, tile of columns, chunk of rows)."""
    n, inner = x.shape[1], x.shape[2]
    tiles, chunks, rows = plan
    width = min(inner, TILE)
    # Narrow rows are summed several at a time, which fills the vectors.
    times = NARROW // inner if n >= NARROW and shift.size == 0 else 1
    # No more than is used: clearing a row of a million sums for each of its tiles took 430 ms of 3 x 1048576, now 3.
    acc = np.empty(times * inner if times > 1 else width)
    m = np.zeros(acc.size)
    for t in range(lo, hi):
        c = t % chunks
        j0 = (t // chunks) % tiles * TILE
        o = t // (chunks * tiles)
        j1 = min(inner, j0 + TILE)
        if kind == SUM and MANY and n <= FEW_ROWS and chunks == 1 and root == 1.0:
            column_sums(n, inner, j1 - j0, ptr(x, o * n * inner + j0), p, scale, ptr(y, o * inner + j0))
            continue
        k0, k1 = c * rows, min(n, (c + 1) * rows)
        acc[:] = 0.0
        many = (k1 - k0) // times if times > 1 else 0
        # first the rows that are taken several at a time, then the rest
        for rest in range(0 if many else 1, 2):
            if rest:
                if shift.size > 0:
                    for j in range(j1 - j0):
                        m[j] = shift[o, j0 + j]
                slab, first, past, left, right = x[o], k0, k1, j0, j1
            else:
                slab = x[o, k0 : k0 + many * times].reshape(many, times * inner)
                first, past, left, right = 0, many, 0, times * inner
            _sum_columns(slab, first, past, left, right, acc, kind, p, m)
            if not rest:
                for i in range(inner, times * inner):
                    acc[i % inner] += acc[i]
                k0 += many * times
        if chunks == 1:
            _finish_all(acc, y[o][j0:j1], scale, root)
        else:
            piece = part[o, c][j0:j1]
            for j in range(j1 - j0):
                piece[j] = acc[j]


@njit(parallel=True, **JIT)
def _sum_many_columns(x, y, kind, p, shift, scale, root):
    """See ``sum_columns``."""
    outer, n, inner = x.shape
    total = outer * n * inner
    tiles = (inner + TILE - 1) // TILE
    width = max(1, min(inner, TILE))
    rows = max(64, CHUNK // width) if outer * tiles < 16 and total >= GRAIN else max(1, n)
    chunks = max(1, (n + rows - 1) // rows)
    plan = (tiles, chunks, rows)
    tasks = outer * tiles * chunks
    part = np.empty((outer if chunks > 1 else 0, chunks, inner))
    per = max(1, CHUNK // max(1, min(rows, n) * width)) if total >= GRAIN else max(1, tasks)
    if per >= tasks:
        _sum_tasks(x, y, part, 0, tasks, plan, kind, p, shift, scale, root)
    else:
        for c in prange((tasks + per - 1) // per):
            lo = np.intp(c) * per
            _sum_tasks(x, y, part, lo, min(tasks, lo + per), plan, kind, p, shift, scale, root)
    if chunks > 1:
        for o in range(outer):
            first = part[o, 0]
            for c in range(1, chunks):
                piece = part[o, c]
                for j in range(inner):
                    first[j] += piece[j]
            _finish_all(first, y[o], scale, root)


@njit(**JIT)
def _sum_few_columns(x, y, scale, root):
    """See ``sum_columns``."""
    outer, n, inner = x.shape
    acc = np.empty(inner)
    for o in range(outer):
        for j in range(inner):
            acc[j] = 0.0
        for k in range(n):
            for j in range(inner):
                acc[j] += np.float64(x[o, k, j])
        for j in range(inner):
            y[o, j] = _finish(acc[j], scale, root)


@njit(**JIT)
def _add_few(x, y, scale, lo, hi):
    """Columns lo to hi of x (n, inner), n from 2 to 4."""
    n = x.shape[0]
    a, b, c, d = x[0, lo:hi], x[1, lo:hi], x[min(2, n - 1), lo:hi], x[n - 1, lo:hi]
    out = y[lo:hi]
    if n == 2:
        for j in range(out.size):
            out[j] = (np.float64(a[j]) + np.float64(b[j])) * scale
    elif n == 3:
        for j in range(out.size):
            out[j] = (np.float64(a[j]) + np.float64(b[j]) + np.float64(c[j])) * scale
    else:
        for j in range(out.size):
            out[j] = (np.float64(a[j]) + np.float64(b[j]) + np.float64(c[j]) + np.float64(d[j])) * scale


@njit(parallel=True, **JIT)
def add_few(x, y, scale):
    """y[o, i] = scale * sum_k x[o, k, i] over n from 2 to 4. x: (outer, n, inner). y: (outer, inner), written.

    In one pass: sum_columns keeps the sums of a tile in memory, 3 x 512 x 1024 took 150 us on two threads.
    """
    outer, n, inner = x.shape
    per, parts = max(1, CHUNK // inner), (inner + CHUNK - 1) // CHUNK
    for t in prange((outer + per - 1) // per * parts):
        first, lo = np.intp(t) // parts * per, np.intp(t) % parts * CHUNK
        for o in range(first, min(outer, first + per)):
            _add_few(x[o], y[o], scale, lo, min(inner, lo + CHUNK))


def _arguments(real):
    matrix, number = types.Array(real, 2, "C"), types.float64
    return types.Array(real, 3, "C"), matrix, types.intp, number, matrix, number, number


_many_columns = shared_kernel(26, _sum_many_columns, _arguments)


@njit(**JIT)
def sum_columns(x, y, kind, p, shift, scale, root):
    """y[o, i] = (scale * sum_k f(x[o, k, i])) ** root, the sum over a strided axis.

    x: (outer, n, inner). y: (outer, inner), written. shift: (outer, inner), or (0, 0). The rest as for sum_rows.
    """
    # Apart, since the first call of the other takes 1.8 s to compile.
    if kind == SUM and shift.size == 0 and x.size <= FEW:
        _sum_few_columns(x, y, scale, root)
    else:
        _many_columns((x, y, kind, p, shift, scale, root))


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
    n = x.shape[1]
    if n <= LONGEST and (kind == MAX or kind == MIN or kind == PROD):
        p, s = ptr(x, lo * n), ptr(y, lo)
        if kind == MAX:
            row_maxima(hi - lo, n, p, s)
        elif kind == MIN:
            row_minima(hi - lo, n, p, s)
        else:
            row_products(hi - lo, n, p, s)
        return
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
    """y[o, i] = op_k x[o, k, i] by MAX, MIN, ABSMAX, ABSMIN or PROD. x: (outer, n, inner). y (written): (outer,
    inner)."""
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
def _prod_backward_row(g, x, dx):
    """dx (n,) of the product of x (n,), as LANES products side by side: in each the product of what comes before an
    element times that of what comes after it, times that of the other lanes. 512 x 1024 took 3.6 times as long in one
    run from the first element to the last and back.
    """
    n = x.shape[0]
    rows = n // LANES
    tail = rows * LANES
    one = x.dtype.type(1.0)
    acc, others = np.empty(LANES, x.dtype), np.empty(LANES, x.dtype)
    acc[:] = one
    for k in range(rows):
        a, out = x[k * LANES : (k + 1) * LANES], dx[k * LANES : (k + 1) * LANES]
        for j in range(LANES):
            out[j] = acc[j]
            acc[j] *= a[j]
    before = g
    for k in range(tail, n):
        before *= x[k]
    for j in range(LANES):
        others[j] = before
        before *= acc[j]
    after = one
    for j in range(LANES - 1, -1, -1):
        others[j] *= after
        after *= acc[j]
    for k in range(rows - 1, -1, -1):
        a, out = x[k * LANES : (k + 1) * LANES], dx[k * LANES : (k + 1) * LANES]
        for j in range(LANES):
            out[j] *= others[j]
            others[j] *= a[j]
    before = g * after
    for k in range(tail, n):
        dx[k] = before
        before *= x[k]
    after = one
    for k in range(n - 1, tail - 1, -1):
        dx[k] *= after
        after *= x[k]


@njit(**JIT)
def _prod_backward_tasks(g, x, dx, lo, hi):
    """dx[o] for lo <= o < hi: products before k on the way up, times products after k on the way down."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1 and n >= LANES:
        for o in range(lo, hi):
            _prod_backward_row(g[o, 0], x[o].reshape(n), dx[o].reshape(n))
        return
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


@njit(**JIT)
def _share_row(up, x, best, dx):
    """One contiguous row of extreme_backward."""
    count = 0
    for k in range(x.size):
        count += (x[k] == best) | ((x[k] != x[k]) & (best != best))
    share = up / x.dtype.type(max(1, count))
    for k in range(x.size):
        dx[k] = share if (x[k] == best) | ((x[k] != x[k]) & (best != best)) else x.dtype.type(0.0)


@njit(**JIT)
def _extreme_backward(g, x, y, dx, lo, hi):
    """Slabs lo <= o < hi of extreme_backward."""
    n, inner = x.shape[1], x.shape[2]
    if inner == 1:
        for o in range(lo, hi):
            _share_row(g[o, 0], x[o].reshape(n), y[o, 0], dx[o].reshape(n))
        return
    count = np.empty(inner, x.dtype)
    for o in range(lo, hi):
        best, up = y[o], g[o]
        count[:] = 0.0
        for k in range(n):
            row = x[o, k]
            for j in range(inner):
                hit = (row[j] == best[j]) | ((row[j] != row[j]) & (best[j] != best[j]))
                count[j] += x.dtype.type(1.0) if hit else x.dtype.type(0.0)
        for j in range(inner):
            count[j] = up[j] / count[j]
        for k in range(n):
            row, out = x[o, k], dx[o, k]
            for j in range(inner):
                hit = (row[j] == best[j]) | ((row[j] != row[j]) & (best[j] != best[j]))
                out[j] = count[j] if hit else x.dtype.type(0.0)


@njit(parallel=True, **JIT)
def extreme_backward(g, x, y, dx):
    """dx[o, k, i] = g[o, i] / (how many x[o, :, i] are y[o, i]) where x is y, else 0; a NaN is another NaN here.

    g, y: (outer, inner). x, dx (written): (outer, n, inner).
    """
    outer, n, inner = x.shape
    per = max(1, CHUNK // max(1, n * inner))
    if x.size < GRAIN or per >= outer:
        _extreme_backward(g, x, y, dx, 0, outer)
    else:
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _extreme_backward(g, x, y, dx, lo, min(outer, lo + per))


@njit(**JIT)
def _arg_backward(g, indices, dx, lo, hi):
    """Slabs lo <= o < hi of arg_backward."""
    inner = dx.shape[2]
    for o in range(lo, hi):
        dx[o] = 0.0
        for i in range(inner):
            dx[o, np.uintp(indices[o, i]), i] = g[o, i]


@njit(parallel=True, **JIT)
def arg_backward(g, indices, dx):
    """dx[o, indices[o, i], i] = g[o, i] in zeros. g, indices (from 0, below n): (outer, inner). dx: (outer, n,
    inner)."""
    outer, n, inner = dx.shape
    per = max(1, CHUNK // max(1, n * inner))
    if dx.size < GRAIN or per >= outer:
        _arg_backward(g, indices, dx, 0, outer)
    else:
        for c in prange((outer + per - 1) // per):
            lo = np.intp(c) * per
            _arg_backward(g, indices, dx, lo, min(outer, lo + per))
