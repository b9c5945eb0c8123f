"""Elman networks: h_t = f(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh), f = tanh or relu.

The caller has put x_t W_ih^T + b_ih into ``gates``. Backward, with the gradient dh_t of h_t:

    da_t = dh_t (1 - h_t^2) or dh_t [h_t > 0],    dh_(t-1) += da_t W_hh

For the rows of a packed sequence see recurrent.py.
"""

import numpy as np
from numba import njit, prange

from ._jit import JIT
from ._math_gates import squash
from ._simd import load, number, ptr, store
from .recurrent import add, before, copy, ended, pack, product


@njit(**JIT)
def _rows(gates, w, bias, mode, h0, starts, y, column, hn, reverse, relu, packed, work, lo, end):
    hidden, ldy, steps = gates.shape[1], y.shape[1], len(starts) - 1
    zero = number(ptr(gates, 0), 0)
    weights = ptr(work, 0) if packed else ptr(w, 0)
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        for part in range(2):
            a, b = (lo, kept) if part == 0 else (kept, hi)
            left, lda = ptr(h0, a * hidden), hidden
            if part == 0:
                left, lda = ptr(y, (first + a) * ldy + column), ldy
            if b > a:
                out = ptr(gates, (top + a) * hidden)
                product(b - a, hidden, hidden, left, lda, packed, weights, 1, hidden, out, hidden, ptr(bias, 0), mode)
        for r in range(lo, hi):
            g, h = ptr(gates, (top + r) * hidden), ptr(y, (top + r) * ldy + column)
            if relu:
                for j in range(hidden):
                    v = load(g, j)
                    store(h, j, zero if v < zero else v)
            else:
                for j in range(hidden):
                    store(h, j, squash(load(g, j)))
        for r in range(ended(starts, t, reverse, lo, hi), hi):
            copy(hidden, ptr(y, (top + r) * ldy + column), ptr(hn, r * hidden))


@njit(parallel=True, **JIT)
def rnn_forward(gates, w, bias, mode, h0, starts, y, column, hn, reverse, relu, packed, work, chunks):
    """Writes the columns from ``column`` on of y (rows, ...), and hn (batch, hidden).

    gates (rows, hidden) is used up. w (hidden, hidden), h0 (batch, hidden); bias (hidden,) is added if ``mode`` is 5
    and not if it is 4. ``work`` has room(hidden, hidden) elements.
    """
    batch, hidden = h0.shape
    if packed:
        pack(hidden, hidden, ptr(w, 0), 1, hidden, ptr(work, 0))
    if chunks == 1:
        _rows(gates, w, bias, mode, h0, starts, y, column, hn, reverse, relu, packed, work, 0, batch)
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows(gates, w, bias, mode, h0, starts, y, column, hn, reverse, relu, packed, work, lo, hi)


@njit(**JIT)
def _row_backward(n, dy, dh, h, relu, da):
    zero, one = number(dh, 0), number(dh, 1)
    add(n, dy, dh)
    if relu:
        for j in range(n):
            store(da, j, load(dh, j) if load(h, j) > zero else zero)
    else:
        for j in range(n):
            v = load(h, j)
            store(da, j, load(dh, j) * (one - v * v))


@njit(**JIT)
def _rows_backward(dy, column, dh, w, h0, starts, y, da, before_h, reverse, relu, packed, work, lo, end):
    hidden, ldy, steps = da.shape[1], y.shape[1], len(starts) - 1
    weights = ptr(work, 0) if packed else ptr(w, 0)
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        for r in range(lo, hi):
            at = (top + r) * ldy + column
            _row_backward(hidden, ptr(dy, at), ptr(dh, r * hidden), ptr(y, at), relu, ptr(da, (top + r) * hidden))
            old = ptr(y, (first + r) * ldy + column) if r < kept else ptr(h0, r * hidden)
            copy(hidden, old, ptr(before_h, (top + r) * hidden))
        left, out = ptr(da, (top + lo) * hidden), ptr(dh, lo * hidden)
        product(hi - lo, hidden, hidden, left, hidden, packed, weights, hidden, 1, out, hidden, out, 0)


@njit(parallel=True, **JIT)
def rnn_backward(dy, column, dh, w, h0, starts, y, da, before_h, reverse, relu, packed, work, chunks):
    """Writes da (rows, hidden), the gradient of the sum inside f, and before_h (rows, hidden), each row's earlier h.

    dh (batch, hidden) comes as the gradient of hn and leaves as that of h0. dy and y are (rows, ...), used from
    ``column`` on; the rest is as in ``rnn_forward``.
    """
    batch, hidden = h0.shape
    if packed:
        pack(hidden, hidden, ptr(w, 0), hidden, 1, ptr(work, 0))
    if chunks == 1:
        _rows_backward(dy, column, dh, w, h0, starts, y, da, before_h, reverse, relu, packed, work, 0, batch)
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows_backward(dy, column, dh, w, h0, starts, y, da, before_h, reverse, relu, packed, work, lo, hi)
