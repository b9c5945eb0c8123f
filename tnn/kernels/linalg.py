"""LU with partial pivoting, Cholesky, triangular systems, and the gradient of Cholesky; for batches of matrices.

    lu         A[order] = L U                          L unit lower, U upper triangular, both in one matrix
    solve      L U X = B[order]                        or, transposed,  U^T L^T X[order] = B
    cholesky   A = L L^T = U^T U
    backward   dA = sym(L^-T (sym(tril(L^T dL)) - diag(..) / 2) L^-1),   sym(X) = (X + X^T) / 2

All go by blocks of BLOCK rows or columns: within a block plain loops, and what a block does to the rest is a matrix
product. Matrices lie row after row; loops run along rows, where they vectorise. The columns that LU works on at a time
are turned first, so that searching, swapping and subtracting run along rows there too.

Many matrices are shared out to the threads, each matrix to one. A single large one is cut into strips of columns, which
go through each step side by side.

Measured on one thread, float32, us, beside what was there before: numpy.linalg, that is LAPACK of OpenBLAS, and
gradients made of differentiable operations:

    n      cholesky     backward      inv           solve, n columns   det
    32     7 (8)        23 (89)       11 (22)       12 (23)            8 (8)
    128    32 (89)      104 (441)     111 (405)     113 (412)          44 (106)
    512    830 (6700)   4250 (15300)  4900 (19300)  4900 (20500)       1370 (3630)
"""

from math import sqrt

import numpy as np
from numba import njit, prange

from ._gemm import gemm_strided
from ._jit import GRAIN, JIT
from ._math import log
from ._simd import keep, load, number, ptr, shift, store, turn_exact, vector_len

BLOCK = 32
# Columns in a strip of a single matrix.
STRIP = 64
# Multiply-adds from which on a batch, or a single matrix, is shared out to threads.
SHARED = 1 << 18
# Multiply-adds from which on the steps of factoring a single matrix are shared out: they are short, and many.
SINGLE = 1 << 22


@njit(**JIT)
def _turned(m, n, x, ldx, y, ldy):
    """y[j*ldy + i] = x[i*ldx + j], i < m, j < n."""
    if m * n < 256:
        for i in range(m):
            for j in range(n):
                store(y, j * ldy + i, load(x, i * ldx + j))
        return
    vl = vector_len(x)
    for i in range(0, m, vl):
        for j in range(0, n, vl):
            turn_exact(shift(x, i * ldx + j), ldx, min(vl, m - i) - 1, shift(y, j * ldy + i), ldy, min(vl, n - j))


@njit(**JIT)
def _subtract(n, count, t, step, x, ldx, y):
    """y[j] -= sum_p t[p*step] x[p*ldx + j], p < count, j < n: four rows pass at a time."""
    p = 0
    while p + 4 <= count:
        x0 = shift(x, p * ldx)
        x1, x2, x3 = shift(x0, ldx), shift(x0, 2 * ldx), shift(x0, 3 * ldx)
        f0, f1 = load(t, p * step), load(t, (p + 1) * step)
        f2, f3 = load(t, (p + 2) * step), load(t, (p + 3) * step)
        for j in range(n):
            a = f0 * load(x0, j) + f1 * load(x1, j)
            b = f2 * load(x2, j) + f3 * load(x3, j)
            store(y, j, load(y, j) - (a + b))
        p += 4
    while p < count:
        x0, f0 = shift(x, p * ldx), load(t, p * step)
        for j in range(n):
            store(y, j, load(y, j) - f0 * load(x0, j))
        p += 1


@njit(**JIT)
def _scale(n, f, x):
    for j in range(n):
        store(x, j, load(x, j) * f)


@njit(**JIT)
def _swap(n, x, y):
    for j in range(n):
        a = load(x, j)
        store(x, j, load(y, j))
        store(y, j, a)


@njit(**JIT)
def _triangle(n, m, t, ts, tc, upper, unit, x, ldx):
    """Solves T X' = X in place: T[i, p] = t[i*ts + p*tc] is triangular of size n, X has m columns."""
    one = number(t, 1)
    blocks = (n + BLOCK - 1) // BLOCK
    for block in range(blocks):
        lo = (blocks - 1 - block if upper else block) * BLOCK
        hi = min(n, lo + BLOCK)
        for k in range(hi - lo):
            i = hi - 1 - k if upper else lo + k
            first = i + 1 if upper else lo
            row = shift(x, i * ldx)
            _subtract(m, k, shift(t, i * ts + first * tc), tc, shift(x, first * ldx), ldx, row)
            if not unit:
                _scale(m, one / load(t, i * ts + i * tc), row)
        first, last = (0, lo) if upper else (hi, n)
        if first < last:
            out = shift(x, first * ldx)
            gemm_strided(
                last - first, m, hi - lo, -one, shift(t, first * ts + lo * tc), ts, tc, shift(x, lo * ldx), ldx, 1, one,
                out, ldx, out, 0,
            )  # fmt: skip


# ---------------------------------------------------------------- LU


@njit(**JIT)
def _panel(rows, width, w, pivots, first):
    """Factors a turned panel: w[j*rows + i] is row i, column j. Pivots count rows from ``first`` + 1.

    Returns 0, or the number, counted so too, of the first column in which all that is left is 0.
    """
    zero = 0
    for j in range(min(rows, width)):
        column = shift(w, j * rows)
        p, most = j, abs(load(column, j))
        for i in range(j + 1, rows):
            v = abs(load(column, i))
            if v > most:
                p, most = i, v
        pivots[j] = np.int32(first + p + 1)
        if most == 0:
            zero = zero if zero else first + j + 1
            continue
        if p != j:
            for c in range(width):
                a = load(w, c * rows + j)
                store(w, c * rows + j, load(w, c * rows + p))
                store(w, c * rows + p, a)
        below = shift(column, j + 1)
        _scale(rows - j - 1, number(w, 1) / load(column, j), below)
        for c in range(j + 1, width):
            other = shift(w, c * rows + j)
            f = load(other, 0)
            target = shift(other, 1)
            for i in range(rows - j - 1):
                store(target, i, load(target, i) - f * load(below, i))
    return zero


@njit(**JIT)
def _columns(f, m, n, lo, hi, pivots, first, last):
    """What the panel of columns lo to hi does to the columns ``first`` to ``last``, all of them beside it."""
    steps = min(m, hi) - lo
    for k in range(lo, lo + steps):
        p = np.intp(pivots[k]) - 1
        if p != k:
            _swap(last - first, shift(f, k * n + first), shift(f, p * n + first))
    if first < hi:
        return
    x = shift(f, lo * n + first)
    _triangle(steps, last - first, shift(f, lo * n + lo), n, 1, False, True, x, n)
    below = m - lo - steps
    if below > 0:
        one, out = number(f, 1), shift(f, (lo + steps) * n + first)
        left = shift(f, (lo + steps) * n + lo)
        gemm_strided(below, last - first, steps, -one, left, n, 1, x, n, 1, one, out, n, out, 0)


@njit(**JIT)
def _factor_panel(f, m, n, lo, hi, pivots, w):
    _turned(m - lo, hi - lo, shift(f, lo * n + lo), n, w, m - lo)
    zero = _panel(m - lo, hi - lo, w, pivots[lo:], lo)
    _turned(hi - lo, m - lo, w, m - lo, shift(f, lo * n + lo), n)
    return zero


@njit(**JIT)
def _lu(a, pivots):
    m, n = a.shape
    work = np.empty(m * min(n, BLOCK), a.dtype)
    f, w = ptr(a, 0), ptr(work, 0)
    info = 0
    for lo in range(0, min(m, n), BLOCK):
        hi = min(n, lo + BLOCK)
        zero = _factor_panel(f, m, n, lo, hi, pivots, w)
        info = info if info else zero
        if lo > 0:
            _columns(f, m, n, lo, hi, pivots, 0, lo)
        if hi < n:
            _columns(f, m, n, lo, hi, pivots, hi, n)
    keep(work)
    return np.int32(info)


@njit(parallel=True, **JIT)
def lu_factor(a, pivots, info):
    """Factors each matrix of a (batch, m, n) in place into L (unit lower, below the diagonal) and U (above and on it).

    pivots: (batch, min(m, n)) of int32, written: row that step k swapped with row k, from 1. info: (batch,) of int32,
    written: 0, or the number, from 1, of the first zero on U's diagonal.
    """
    batch, m, n = a.shape
    each = m * n * min(m, n) // 3 + 1
    if batch == 1 and each < SINGLE or batch * each < SHARED:
        for b in range(batch):
            info[b] = _lu(a[b], pivots[b])
    elif batch > 1:
        step = max(1, SHARED // 8 // each)
        for c in prange((batch + step - 1) // step):
            low = np.intp(c) * step
            for b in range(low, min(batch, low + step)):
                info[b] = _lu(a[b], pivots[b])
    else:
        work = np.empty(m * min(n, BLOCK), a.dtype)
        first_zero = 0
        for lo in range(0, min(m, n), BLOCK):
            hi = min(n, lo + BLOCK)
            zero = _factor_panel(ptr(a, 0), m, n, lo, hi, pivots[0], ptr(work, 0))
            first_zero = first_zero if first_zero else zero
            before = (lo + STRIP - 1) // STRIP
            for c in prange(before + (n - hi + STRIP - 1) // STRIP):
                s = np.intp(c)
                first, last = s * STRIP, min(lo, (s + 1) * STRIP)
                if s >= before:
                    first = hi + (s - before) * STRIP
                    last = min(n, first + STRIP)
                _columns(ptr(a, 0), m, n, lo, hi, pivots[0], first, last)
        info[0] = np.int32(first_zero)
        keep(work)


@njit(**JIT)
def _order(pivots, order):
    """order[i] = the row that stands at i after all swaps."""
    for i in range(order.shape[0]):
        order[i] = i
    for k in range(pivots.shape[0]):
        p = np.intp(pivots[k]) - 1
        order[k], order[p] = order[p], order[k]


@njit(**JIT)
def _solve(n, m, f, order, unit, b, work, x, transposed, first, last):
    """Columns ``first`` to ``last`` of x; b is the unit matrix if ``unit``."""
    count = last - first
    out = shift(work if transposed else x, first)
    for i in range(n):
        row, source = shift(out, i * m), i if transposed else order[i]
        if unit:
            for j in range(count):
                store(row, j, number(row, 0))
            if first <= source < last:
                store(row, source - first, number(row, 1))
        else:
            given = shift(b, source * m + first)
            for j in range(count):
                store(row, j, load(given, j))
    if transposed:
        _triangle(n, count, f, 1, n, False, False, out, m)
        _triangle(n, count, f, 1, n, True, True, out, m)
        for i in range(n):
            row, target = shift(out, i * m), shift(x, order[i] * m + first)
            for j in range(count):
                store(target, j, load(row, j))
    else:
        _triangle(n, count, f, n, 1, False, True, out, m)
        _triangle(n, count, f, n, 1, True, False, out, m)


@njit(**JIT)
def _solve_some(f, pivots, b, work, x, transposed, low, high):
    _, n, m = x.shape
    order, unit = np.empty(n, np.intp), b.shape[0] == 0
    for k in range(low, high):
        at = k * n * m
        _order(pivots[k], order)
        _solve(n, m, ptr(f, k * n * n), order, unit, ptr(b, 0 if unit else at), ptr(work, at if transposed else 0),
               ptr(x, at), transposed, 0, m)  # fmt: skip


@njit(parallel=True, **JIT)
def lu_solve(f, pivots, b, work, x, transposed):
    """Writes x (batch, n, m), the solutions of A X = B or, ``transposed``, of A^T X = B.

    f (batch, n, n) and pivots are what `lu_factor` made of A. b (batch, n, m) has a batch of 0 in place of unit
    matrices, where m = n. work is like x if ``transposed``, else anything of three dimensions.
    """
    batch, n, m = x.shape
    each = n * n * m + 1
    if batch * each < SHARED:
        _solve_some(f, pivots, b, work, x, transposed, 0, batch)
    elif batch > 1:
        step = max(1, SHARED // 8 // each)
        for c in prange((batch + step - 1) // step):
            low = np.intp(c) * step
            _solve_some(f, pivots, b, work, x, transposed, low, min(batch, low + step))
    else:
        order = np.empty(n, np.intp)
        _order(pivots[0], order)
        for c in prange((m + STRIP - 1) // STRIP):
            first = np.intp(c) * STRIP
            _solve(n, m, ptr(f, 0), order, b.shape[0] == 0, ptr(b, 0), ptr(work, 0), ptr(x, 0), transposed, first,
                   min(m, first + STRIP))  # fmt: skip


@njit(**JIT)
def determinant(f, pivots, det, sign, logs):
    """From what `lu_factor` made: the determinants det (batch,), and their signs and the logarithms of their absolute
    values, unless these have no elements."""
    batch, n, _ = f.shape
    one = f.dtype.type(1)
    for b in range(batch):
        product, s, total = one, one, f.dtype.type(0)
        for k in range(n):
            d = f[b, k, k]
            product *= d
            if pivots[b, k] != k + 1:
                product, s = -product, -s
            if logs.size > 0:
                total += log(abs(d))
                s = -s if d < 0 else s if d > 0 else d * s
        det[b] = product
        if logs.size > 0:
            sign[b], logs[b] = s, total


# ---------------------------------------------------------------- Cholesky


@njit(**JIT)
def _upper_rows(u, n, lo, hi, first, last):
    """Rows lo to hi of U in the columns ``first`` to ``last``: from ``first`` = lo on, with the diagonal, or beside it.

    Returns 0, or the number, from 1, of the row whose diagonal element is not positive.
    """
    one = number(u, 1)
    for i in range(lo, hi):
        start = max(first, i)
        row = shift(u, i * n + start)
        _subtract(last - start, i - lo, shift(u, lo * n + i), n, shift(u, lo * n + start), n, row)
        if first == lo:
            d = load(row, 0)
            if not d > 0:
                return i + 1
            d = sqrt(d)
            store(row, 0, d)
            _scale(last - start - 1, one / d, shift(row, 1))
        else:
            _scale(last - start, one / load(u, i * n + i), row)
    return 0


@njit(**JIT)
def _rest(u, n, lo, hi, first, last):
    """Subtracts what rows lo to hi give from rows ``first`` to ``last``, from the diagonal on."""
    one, out = number(u, 1), shift(u, first * n + first)
    left = shift(u, lo * n + first)
    gemm_strided(last - first, n - first, hi - lo, -one, left, 1, n, left, n, 1, one, out, n, out, 0)


@njit(**JIT)
def _clear(n, x, upper):
    """Clears what is above the diagonal or, ``upper``, below it."""
    for i in range(n):
        first, last = (0, i) if upper else (i + 1, n)
        row = shift(x, i * n + first)
        for j in range(last - first):
            store(row, j, number(row, 0))


@njit(**JIT)
def _begin(n, a, upper, x, work):
    """Copies A so that its triangle is an upper one; returns where it is."""
    if not upper:
        _turned(n, n, a, n, work, n)
        return work
    for i in range(n * n):
        store(x, i, load(a, i))
    return x


@njit(**JIT)
def _finish(n, upper, x, work):
    if not upper:
        _turned(n, n, work, n, x, n)
    _clear(n, x, upper)


@njit(**JIT)
def _cholesky(n, a, upper, x, work):
    u = _begin(n, a, upper, x, work)
    info = 0
    for lo in range(0, n, BLOCK):
        hi = min(n, lo + BLOCK)
        info = _upper_rows(u, n, lo, hi, lo, n)
        if info:
            break
        for first in range(hi, n, STRIP):
            _rest(u, n, lo, hi, first, min(n, first + STRIP))
    _finish(n, upper, x, work)
    return np.int32(info)


@njit(parallel=True, **JIT)
def cholesky_forward(a, upper, x, work, info):
    """Writes x (batch, n, n): L or, ``upper``, U, of the symmetric a, of which only that triangle is read.

    info (batch,) of int32: 0, or the order of the first leading minor that is not positive; what follows in x is then
    of no meaning. work is like x.
    """
    batch, n, _ = x.shape
    each = n * n * n // 3 + 1
    if batch == 1 and each >= SINGLE:
        u = _begin(n, ptr(a, 0), upper, ptr(x, 0), ptr(work, 0))
        found = 0
        for lo in range(0, n, BLOCK):
            hi = min(n, lo + BLOCK)
            found = _upper_rows(u, n, lo, hi, lo, hi)
            if found:
                break
            for c in prange((n - hi + STRIP - 1) // STRIP):
                first = hi + np.intp(c) * STRIP
                _upper_rows(u, n, lo, hi, first, min(n, first + STRIP))
            for c in prange((n - hi + STRIP - 1) // STRIP):
                first = hi + np.intp(c) * STRIP
                _rest(u, n, lo, hi, first, min(n, first + STRIP))
        _finish(n, upper, ptr(x, 0), ptr(work, 0))
        info[0] = np.int32(found)
    elif batch == 1 or batch * each < SHARED:
        for b in range(batch):
            at = b * n * n
            info[b] = _cholesky(n, ptr(a, at), upper, ptr(x, at), ptr(work, at))
    else:
        step = max(1, SHARED // 8 // each)
        for c in prange((batch + step - 1) // step):
            low = np.intp(c) * step
            for b in range(low, min(batch, low + step)):
                at = b * n * n
                info[b] = _cholesky(n, ptr(a, at), upper, ptr(x, at), ptr(work, at))


@njit(**JIT)
def _inner_rows(n, x, g, out, first, last):
    """Rows of tril(L^T dL); what is right of the diagonal is of no meaning."""
    one, target = number(x, 1), shift(out, first * n)
    gemm_strided(last - first, last, n - first, one, shift(x, first * n + first), 1, n, shift(g, first * n), n, 1,
                 one - one, target, n, target, 0)  # fmt: skip


@njit(**JIT)
def _mirror(n, x, turned):
    """x = (its lower triangle and that mirrored, without the diagonal twice) / 2; turned is its transpose."""
    half = number(x, 0.5)
    for i in range(n):
        row = shift(x, i * n)
        _scale(i + 1, half, row)
        right, source = shift(row, i + 1), shift(turned, i * n + i + 1)
        for j in range(n - i - 1):
            store(right, j, half * load(source, j))


@njit(**JIT)
def _mean(n, x, y):
    """x = (x + y) / 2."""
    half = number(x, 0.5)
    for i in range(n):
        store(x, i, half * (load(x, i) + load(y, i)))


@njit(**JIT)
def _cholesky_backward(n, x, g, work, out):
    for first in range(0, n, STRIP):
        _inner_rows(n, x, g, work, first, min(n, first + STRIP))
    _turned(n, n, work, n, out, n)
    _mirror(n, work, out)
    _triangle(n, n, x, 1, n, True, False, work, n)
    _turned(n, n, work, n, out, n)
    _triangle(n, n, x, 1, n, True, False, out, n)
    _turned(n, n, out, n, work, n)
    _mean(n * n, out, work)


@njit(parallel=True, **JIT)
def cholesky_backward(x, g, work, out):
    """Writes out, the gradient of A from g, that of the lower x; all (batch, n, n)."""
    batch, n, _ = x.shape
    each = n * n * n + 1
    if batch == 1 and each >= SINGLE:
        strips = (n + STRIP - 1) // STRIP
        for c in prange(strips):
            first = np.intp(c) * STRIP
            _inner_rows(n, ptr(x, 0), ptr(g, 0), ptr(work, 0), first, min(n, first + STRIP))
        _turned(n, n, ptr(work, 0), n, ptr(out, 0), n)
        _mirror(n, ptr(work, 0), ptr(out, 0))
        for c in prange(strips):
            first = np.intp(c) * STRIP
            _triangle(n, min(STRIP, n - first), ptr(x, 0), 1, n, True, False, ptr(work, first), n)
        _turned(n, n, ptr(work, 0), n, ptr(out, 0), n)
        for c in prange(strips):
            first = np.intp(c) * STRIP
            _triangle(n, min(STRIP, n - first), ptr(x, 0), 1, n, True, False, ptr(out, first), n)
        _turned(n, n, ptr(out, 0), n, ptr(work, 0), n)
        _mean(n * n, ptr(out, 0), ptr(work, 0))
    elif batch == 1 or batch * each < SHARED:
        for b in range(batch):
            at = b * n * n
            _cholesky_backward(n, ptr(x, at), ptr(g, at), ptr(work, at), ptr(out, at))
    else:
        step = max(1, SHARED // 8 // each)
        for c in prange((batch + step - 1) // step):
            low = np.intp(c) * step
            for b in range(low, min(batch, low + step)):
                at = b * n * n
                _cholesky_backward(n, ptr(x, at), ptr(g, at), ptr(work, at), ptr(out, at))


# ---------------------------------------------------------------- triangular systems


@njit(parallel=True, **JIT)
def triangular_solve(t, x, upper, unit, transposed):
    """Solves T X' = X or, ``transposed``, T^T X' = X in place; t (batch, n, n), x (batch, n, m).

    Only the upper or the lower triangle of t is read, and, if ``unit``, its diagonal is taken as ones.
    """
    batch, n, m = x.shape
    each = n * n * m // 2 + 1
    ts, tc = (1, n) if transposed else (n, 1)
    strips = (m + STRIP - 1) // STRIP if batch * each >= SHARED else 1
    width = STRIP if strips > 1 else m
    high = upper != transposed
    if batch * each < SHARED:
        for b in range(batch):
            _triangle(n, m, ptr(t, b * n * n), ts, tc, high, unit, ptr(x, b * n * m), m)
    else:
        for c in prange(batch * strips):
            b, first = np.intp(c) // strips, np.intp(c) % strips * width
            _triangle(n, min(width, m - first), ptr(t, b * n * n), ts, tc, high, unit, ptr(x, b * n * m + first), m)


@njit(**JIT)
def _multiply_row(a, b, out):
    """out (n,) = a (k,) times b (k, n); four rows of b at a time, which spares three of four times reading out."""
    n, depth = out.shape[0], a.shape[0]
    for j in range(n):
        out[j] = 0
    whole = depth // 4 * 4
    for k in range(0, whole, 4):
        p, q, r, s = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
        for j in range(n):
            out[j] += p * b0[j] + q * b1[j] + r * b2[j] + s * b3[j]
    for k in range(whole, depth):
        p, b0 = a[k], b[k]
        for j in range(n):
            out[j] += p * b0[j]


@njit(parallel=True, **JIT)
def multiply_integers(a, b, out):
    """Writes out (batch, m, n) = a (batch, m, k) times b (batch, k, n), integers of one type, modulo its range."""
    batch, m, n = out.shape
    rows = batch * m
    step = max(1, GRAIN // max(1, n * a.shape[2]))
    if rows <= step:
        for row in range(rows):
            _multiply_row(a[row // m, row % m], b[row // m], out[row // m, row % m])
        return
    for c in prange((rows + step - 1) // step):
        low = np.intp(c) * step
        for row in range(low, min(rows, low + step)):
            _multiply_row(a[row // m, row % m], b[row // m], out[row // m, row % m])
