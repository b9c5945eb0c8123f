"""Gated recurrent units (K. Cho et al., 2014), with the reset gate applied after the recurrent product.

    r, z = sigmoid(.)  of the first two parts of  x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh
    q = h_(t-1) W_hn^T + b_hn,    n = tanh(x_t W_in^T + b_in + r q),    h_t = (1 - z) n + z h_(t-1)

``gates`` holds r, z, n afterwards. Backward, with the gradient dh of
h_t and gradients named after what they belong to, before the gates' functions:

    dz = dh (h_(t-1) - n) z (1 - z),    dn = dh (1 - z) (1 - n^2),    dq = dn r,    dr = dn q r (1 - r)
    dh_(t-1) += dh z + (dr, dz, dq) W_hh

Loops are short and write few arrays: more, and the tests for overlap keep LLVM from vectorising. For the rows of a
packed sequence see recurrent.py.
"""

import numpy as np
from numba import njit, prange

from ._callees import ahead
from ._jit import JIT
from ._math_gates import gate, squash
from ._simd import load, number, ptr, shift, store
from .recurrent import add, before, copy, ended, pack, product


@ahead  # gru 64->128, 32 rows of 40 steps, forward: 1.5 ms without, 1.2 ms with it
@njit(**JIT)
def _row(n, gates, q, old, h):
    """One row: gates, then h from the earlier h."""
    z, new = shift(gates, n), shift(gates, 2 * n)
    for j in range(2 * n):
        store(gates, j, gate(load(gates, j)))
    for j in range(n):
        store(new, j, squash(load(new, j) + load(gates, j) * load(q, j)))
    for j in range(n):
        v = load(new, j)
        store(h, j, v + load(z, j) * (load(old, j) - v))


@njit(**JIT)
def _rows(
    x, bias_in, mode_in, gates, q, keep, w, bias, mode, h0, starts, y, column, hn, reverse, packed, work, offsets, lo,
    end,
):  # fmt: skip
    hidden, ldy, steps, inputs = h0.shape[1], y.shape[1], len(starts) - 1, x.shape[1]
    weights = ptr(work, 0) if packed else ptr(w, 0)
    new_weights = ptr(work, offsets[0]) if packed else ptr(w, 2 * hidden * hidden)
    new_bias = ptr(bias, 2 * hidden if mode & 1 else 0)
    wide = 3 * hidden
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        g_top = top if keep else 0
        if mode_in >= 0:
            product(
                hi - lo, wide, inputs, ptr(x, (top + lo) * inputs), inputs, True, ptr(work, offsets[1]), 1, inputs,
                ptr(gates, (g_top + lo) * wide), wide, ptr(bias_in, 0), mode_in,
            )  # fmt: skip
        for part in range(2):
            a, b = (lo, kept) if part == 0 else (kept, hi)
            left, lda = ptr(h0, a * hidden), hidden
            if part == 0:
                left, lda = ptr(y, (first + a) * ldy + column), ldy
            if b > a:
                out = ptr(gates, (g_top + a) * wide)
                product(b - a, 2 * hidden, hidden, left, lda, packed, weights, 1, hidden, out, wide, ptr(bias, 0), mode)
                out = ptr(q, (g_top + a) * hidden)
                product(
                    b - a, hidden, hidden, left, lda, packed, new_weights, 1, hidden, out, hidden, new_bias, mode & 1
                )
        for r in range(lo, hi):
            old = ptr(y, (first + r) * ldy + column) if r < kept else ptr(h0, r * hidden)
            at = (g_top + r) * hidden
            _row(hidden, ptr(gates, 3 * at), ptr(q, at), old, ptr(y, (top + r) * ldy + column))
        for r in range(ended(starts, t, reverse, lo, hi), hi):
            copy(hidden, ptr(y, (top + r) * ldy + column), ptr(hn, r * hidden))


@njit(parallel=True, **JIT)
def gru_forward(
    x, w_in, bias_in, mode_in, gates, q, keep, w, bias, mode, h0, starts, y, column, hn, reverse, packed, work, offsets,
    chunks,
):  # fmt: skip
    """Writes the columns from ``column`` on of y (rows, ...), and hn (batch, hidden).

    gates (rows, 3 hidden) and q (rows, hidden) are left for backward if ``keep``; otherwise they are work space and may
    have batch rows. The products of x (rows, inputs) with w_in (3 hidden, inputs) are made here if ``mode_in`` is 1
    (bias_in is added) or 0; if it is -1 they stand in ``gates``. w (3 hidden, hidden), h0 (batch, hidden); bias
    (3 hidden,) is added if ``mode`` is 5 and not if it is 4. ``work`` has room for the first two parts of w, packed,
    the third from offsets[0] on, and w_in from offsets[1] on.
    """
    batch, hidden = h0.shape
    if packed:
        pack(hidden, 2 * hidden, ptr(w, 0), 1, hidden, ptr(work, 0))
        pack(hidden, hidden, ptr(w, 2 * hidden * hidden), 1, hidden, ptr(work, offsets[0]))
        if mode_in >= 0:
            pack(x.shape[1], 3 * hidden, ptr(w_in, 0), 1, x.shape[1], ptr(work, offsets[1]))
    if chunks == 1:
        _rows(
            x, bias_in, mode_in, gates, q, keep, w, bias, mode, h0, starts, y, column, hn, reverse, packed, work,
            offsets, 0, batch,
        )  # fmt: skip
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows(
            x, bias_in, mode_in, gates, q, keep, w, bias, mode, h0, starts, y, column, hn, reverse, packed, work,
            offsets, lo, hi,
        )  # fmt: skip


@ahead
@njit(**JIT)
def _row_backward(size, gates, q, old, dh, dx, dr):
    """One row: gradients of the two products, dx = (dr, dz, dn) and dr = (dr, dz, dq); dh becomes dh z."""
    one = number(dh, 1)
    z, n = shift(gates, size), shift(gates, 2 * size)
    dz, dn, dq = shift(dx, size), shift(dx, 2 * size), shift(dr, 2 * size)
    for j in range(size):
        v = load(z, j)
        store(dz, j, load(dh, j) * (load(old, j) - load(n, j)) * v * (one - v))
    for j in range(size):
        v, u, d = load(z, j), load(n, j), load(dh, j)
        store(dn, j, d * (one - v) * (one - u * u))
        store(dh, j, d * v)
    for j in range(size):
        d, v = load(dn, j), load(gates, j)
        store(dq, j, d * v)
        store(dx, j, d * load(q, j) * v * (one - v))
    copy(2 * size, dx, dr)


@njit(**JIT)
def _rows_backward(
    dy, column, dh, gates, q, w, h0, starts, y, dx, dr, before_h, reverse, packed, work, lo, end
):  # fmt: skip
    hidden, ldy, steps = h0.shape[1], y.shape[1], len(starts) - 1
    weights = ptr(work, 0) if packed else ptr(w, 0)
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        for r in range(lo, hi):
            at = (top + r) * hidden
            grad = ptr(dh, r * hidden)
            add(hidden, ptr(dy, (top + r) * ldy + column), grad)
            old = ptr(y, (first + r) * ldy + column) if r < kept else ptr(h0, r * hidden)
            copy(hidden, old, ptr(before_h, at))
            _row_backward(hidden, ptr(gates, 3 * at), ptr(q, at), old, grad, ptr(dx, 3 * at), ptr(dr, 3 * at))
        left, out = ptr(dr, (top + lo) * 3 * hidden), ptr(dh, lo * hidden)
        product(hi - lo, hidden, 3 * hidden, left, 3 * hidden, packed, weights, hidden, 1, out, hidden, out, 4)


@njit(parallel=True, **JIT)
def gru_backward(dy, column, dh, gates, q, w, h0, starts, y, dx, dr, before_h, reverse, packed, work, chunks):
    """Writes dx and dr (rows, 3 hidden), gradients of the products with W_ih and W_hh; and before_h (rows, hidden).

    before_h is each row's earlier h. dh (batch, hidden) comes as the gradient of hn and leaves as that of h0. dy and y
    are (rows, ...), used from ``column`` on. ``work`` has room(3 hidden, hidden) elements; the rest is as in
    ``gru_forward``.
    """
    batch, hidden = h0.shape
    if packed:
        pack(3 * hidden, hidden, ptr(w, 0), hidden, 1, ptr(work, 0))
    if chunks == 1:
        _rows_backward(dy, column, dh, gates, q, w, h0, starts, y, dx, dr, before_h, reverse, packed, work, 0, batch)
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows_backward(dy, column, dh, gates, q, w, h0, starts, y, dx, dr, before_h, reverse, packed, work, lo, hi)
