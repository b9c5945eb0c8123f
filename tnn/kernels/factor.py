"""QR by Householder reflections, and products of reflections; for batches of matrices.

    H_j = 1 - tau_j v_j v_j^T        v_j = (0, .., 0, 1, below)       A = H_1 .. H_k R        Q = H_1 .. H_k
    H_1 .. H_b = 1 - V T V^T         T upper triangular, so that BLOCK reflections are applied by matrix products

(R. Schreiber, C. Van Loan, "A storage-efficient WY representation for products of Householder transformations", SIAM J.
Sci. Stat. Comput. 10, 1989.) Signs are LAPACK's: a reflection leaves -sign(x_j) |x|, and a column of zeros as it is.

The columns of A, and those of Q, lie as rows, so that all loops run along memory.
"""

from math import copysign, sqrt

import numpy as np
from numba import njit, prange

from ._gemm import gemm_strided
from ._jit import JIT
from ._simd import keep, load, number, ptr, shift, store

BLOCK = 32


@njit(**JIT)
def _factor_for(size):
    """A power of two that takes numbers of about this size to where they can be squared, and divided by."""
    return 2.0**900 if size < 1e-140 else 2.0**-600 if size > 1e140 else 1.0


@njit(**JIT)
def _length(n, x):
    total = 0.0
    for i in range(n):
        v = np.float64(load(x, i))
        total += v * v
    return sqrt(total)


@njit(**JIT)
def _reflect(n, t, v, x):
    """x -= t (v . x) v for vectors of n elements whose v[0] counts as 1."""
    dot = load(x, 0)
    for i in range(1, n):
        dot += load(v, i) * load(x, i)
    dot *= t
    store(x, 0, load(x, 0) - dot)
    for i in range(1, n):
        store(x, i, load(x, i) - dot * load(v, i))


@njit(**JIT)
def _panel(m, lo, hi, w, tau):
    """Makes the columns lo to hi, rows of w (n, m), into R above their diagonal and reflections below it."""
    for j in range(lo, hi):
        x = shift(w, j * m + j)
        size = 0.0  # a sum, which keeps a NaN
        for i in range(1, m - j):
            size += abs(np.float64(load(x, i)))
        if size == 0.0:
            store(tau, j, number(x, 0))
            continue
        f = _factor_for(size + abs(np.float64(load(x, 0))))
        if f != 1.0:
            for i in range(m - j):
                store(x, i, load(x, i) * number(x, f))
        head = np.float64(load(x, 0))
        beta = -copysign(_length(m - j, x), head)
        for i in range(1, m - j):
            store(x, i, number(x, np.float64(load(x, i)) / (head - beta)))
        store(x, 0, number(x, beta / f))
        t = number(x, (beta - head) / beta)
        store(tau, j, t)
        for c in range(j + 1, hi):
            _reflect(m - j, t, x, shift(w, c * m + j))


@njit(**JIT)
def _reflections(m, lo, hi, w, tau, v, t):
    """v: the reflections lo to hi as rows of m - lo elements, with their ones and zeros; t: T (BLOCK, BLOCK)."""
    n, count = m - lo, hi - lo
    zero, one = number(v, 0), number(v, 1)
    for j in range(count):
        row, source = shift(v, j * n), shift(w, (lo + j) * m + lo)
        for i in range(j):
            store(row, i, zero)
        store(row, j, one)
        for i in range(j + 1, n):
            store(row, i, load(source, i))
    # T[:j, j] = -tau_j T[:j, :j] (V[:j] . v_j); the products of rows lie below the diagonal until they are used
    gemm_strided(count, count, n, one, v, n, 1, v, 1, n, zero, t, BLOCK, t, 0)
    for j in range(count):
        f = load(tau, lo + j)
        for i in range(j):
            total = zero
            for p in range(i, j):
                total += load(t, i * BLOCK + p) * load(t, j * BLOCK + p)
            store(t, i * BLOCK + j, -f * total)
        store(t, j * BLOCK + j, f)


@njit(**JIT)
def _apply(rows, n, count, c, ldc, v, t, turned, work):
    """C -= C V^T T V, or T^T for T if ``turned``; C (rows, n), V (count, n), work (2 rows BLOCK)."""
    zero, one = number(c, 0), number(c, 1)
    first, second = work, shift(work, rows * BLOCK)
    # Below T's diagonal lies something else
    for i in range(count):
        for j in range(i):
            store(t, i * BLOCK + j, zero)
    gemm_strided(rows, count, n, one, c, ldc, 1, v, 1, n, zero, first, BLOCK, first, 0)
    ts, tc = (1, BLOCK) if turned else (BLOCK, 1)
    gemm_strided(rows, count, count, one, first, BLOCK, 1, t, ts, tc, zero, second, BLOCK, second, 0)
    gemm_strided(rows, n, count, -one, second, BLOCK, 1, v, n, 1, one, c, ldc, c, 0)


@njit(**JIT)
def _product(m, k, w, tau, q, rows, v, t, work):
    """q (rows, m): the first columns of H_1 .. H_k, each a row; the reflections stand in the rows of w (k, m)."""
    zero, one = number(q, 0), number(q, 1)
    for i in range(rows * m):
        store(q, i, zero)
    for i in range(rows):
        store(q, i * m + i, one)
    for block in range((k + BLOCK - 1) // BLOCK - 1, -1, -1):
        lo, hi = block * BLOCK, min(k, (block + 1) * BLOCK)
        _reflections(m, lo, hi, w, tau, v, t)
        # The columns before lo are still those of the unit matrix
        _apply(rows - lo, m - lo, hi - lo, shift(q, lo * m + lo), m, v, t, True, work)


@njit(**JIT)
def _turn(x, y):
    """y (n, m) = x (m, n) transposed."""
    for j in range(y.shape[0]):
        row = y[j]
        for i in range(row.size):
            row[i] = x[i, j]


@njit(**JIT)
def _factor(a, q, r):
    m, n = a.shape
    k, rows = min(m, n), q.shape[1]
    w, tau = np.empty((n, m), a.dtype), np.empty(k, a.dtype)
    v, t = np.empty((BLOCK, m), a.dtype), np.empty((BLOCK, BLOCK), a.dtype)
    work = np.empty(2 * max(n, rows) * BLOCK, a.dtype)
    _turn(a, w)
    for lo in range(0, k, BLOCK):
        hi = min(k, lo + BLOCK)
        _panel(m, lo, hi, ptr(w, 0), ptr(tau, 0))
        if hi < n:
            _reflections(m, lo, hi, ptr(w, 0), ptr(tau, 0), ptr(v, 0), ptr(t, 0))
            _apply(n - hi, m - lo, hi - lo, ptr(w, hi * m + lo), m, ptr(v, 0), ptr(t, 0), False, ptr(work, 0))
    for i in range(r.shape[0]):
        for j in range(n):
            r[i, j] = w[j, i] if i <= j and i < m else 0
    if rows > 0:
        columns = np.empty((rows, m), a.dtype)
        _product(m, k, ptr(w, 0), ptr(tau, 0), ptr(columns, 0), rows, ptr(v, 0), ptr(t, 0), ptr(work, 0))
        _turn(columns, q)
        keep(columns)
    keep(w)
    keep(tau)
    keep(v)
    keep(t)
    keep(work)


@njit(parallel=True, **JIT)
def qr_forward(a, q, r):
    """Factors a (batch, m, n). Writes r (batch, k, n), upper triangular, and q (batch, m, k), which may be (batch, m,
    0) and is then left out; k is min(m, n) or m. Nothing else may be empty."""
    for b in prange(a.shape[0]):
        _factor(a[b], q[b], r[b])


@njit(**JIT)
def _householder(a, tau, q):
    m, n = q.shape
    k = tau.shape[0]
    w, columns = np.empty((a.shape[1], m), q.dtype), np.empty((n, m), q.dtype)
    v, t = np.empty((BLOCK, m), q.dtype), np.empty((BLOCK, BLOCK), q.dtype)
    work = np.empty(2 * n * BLOCK, q.dtype)
    _turn(a, w)
    _product(m, k, ptr(w, 0), ptr(tau, 0), ptr(columns, 0), n, ptr(v, 0), ptr(t, 0), ptr(work, 0))
    _turn(columns, q)
    keep(w)
    keep(columns)
    keep(v)
    keep(t)
    keep(work)


@njit(parallel=True, **JIT)
def householder(a, tau, q):
    """Writes q (batch, m, n): the first n columns of the product of the reflections below the diagonal of a (batch, m,
    n) with the factors tau (batch, k). m >= n >= k."""
    for b in prange(q.shape[0]):
        _householder(a[b], tau[b], q[b])
