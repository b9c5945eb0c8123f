"""Long short-term memory (S. Hochreiter and J. Schmidhuber, 1997; with forget gates: F. A. Gers et al., 2000).

    i, f, o = sigmoid(.),  g = tanh(.)  of the four parts of  x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh
    c_t = f c_(t-1) + i g,    m_t = o tanh(c_t),    h_t = m_t  or, projected,  m_t W_hr^T

``gates`` holds i, f, g, o afterwards. Backward, with the gradients
dm of m_t and dc of c_t:

    do = dm tanh(c) o (1 - o),    dc += dm o (1 - tanh(c)^2),    di = dc g i (1 - i),    dg = dc i (1 - g^2),
    df = dc c_(t-1) f (1 - f),    dc_(t-1) = dc f,    dh_(t-1) += (di, df, dg, do) W_hh

Loops are short and write one array each: more, and the tests for overlap keep LLVM from vectorising. For the rows of a
packed sequence see recurrent.py. Where W_ih is applied step by step, x_t and h_(t-1) are put side by side, so that both
products are one. 64 -> 128, 32 sequences of 40 steps on one thread: 2.60 ms forward, 2.80 before and with the functions
of _math.py.
"""

import numpy as np
from numba import njit, prange

from ._jit import JIT
from ._math_gates import gate, squash
from ._simd import load, number, ptr, shift, store
from .recurrent import add, before, copy, ended, pack, pack_part, product


@njit(**JIT)
def _row(n, gates, old, c, m):
    """One row: gates, then c and m from the earlier c."""
    f, g, o = shift(gates, n), shift(gates, 2 * n), shift(gates, 3 * n)
    for j in range(2 * n):
        store(gates, j, gate(load(gates, j)))
    for j in range(n):
        store(g, j, squash(load(g, j)))
    for j in range(n):
        store(o, j, gate(load(o, j)))
    for j in range(n):
        store(c, j, load(f, j) * load(old, j) + load(gates, j) * load(g, j))
    for j in range(n):
        store(m, j, load(o, j) * squash(load(c, j)))


@njit(**JIT)
def _rows(
    x, mode_in, gates, keep, w, wr, bias, mode, h0, c0, starts, y, column, c, m, hn, cn, reverse, packed, work,
    offsets, lo, end,
):  # fmt: skip
    hidden, out_size, ldy, steps = c.shape[1], h0.shape[1], y.shape[1], len(starts) - 1
    batch, inputs = h0.shape[0], x.shape[1]
    depth = inputs + out_size
    sides = ptr(work, offsets[1])
    projected = wr.size > 0
    weights = ptr(work, 0) if packed else ptr(w, 0)
    projection = ptr(work, offsets[0]) if packed else ptr(wr, 0)
    for s in range(steps):
        t = steps - 1 - s if reverse else s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        g_top, c_top, c_first = top, top, first
        if not keep:
            g_top, c_top, c_first = 0, s % 2 * batch, (s + 1) % 2 * batch
        if mode_in >= 0:
            for r in range(lo, hi):
                old = ptr(y, (first + r) * ldy + column) if r < kept else ptr(h0, r * out_size)
                copy(inputs, ptr(x, (top + r) * inputs), shift(sides, r * depth))
                copy(out_size, old, shift(sides, r * depth + inputs))
            product(
                hi - lo, 4 * hidden, depth, shift(sides, lo * depth), depth, True, weights, 1, depth,
                ptr(gates, (g_top + lo) * 4 * hidden), 4 * hidden, ptr(work, offsets[2]), 1,
            )  # fmt: skip
        for part in range(2):
            a, b = (lo, kept) if part == 0 else (kept, hi)
            left, lda = ptr(h0, a * out_size), out_size
            if part == 0:
                left, lda = ptr(y, (first + a) * ldy + column), ldy
            if b > a and mode_in < 0:
                product(
                    b - a, 4 * hidden, out_size, left, lda, packed, weights, 1, out_size,
                    ptr(gates, (g_top + a) * 4 * hidden), 4 * hidden, ptr(bias, 0), mode,
                )  # fmt: skip
        for r in range(lo, hi):
            old = ptr(c, (c_first + r) * hidden) if r < kept else ptr(c0, r * hidden)
            result = ptr(m, (g_top + r) * hidden) if projected else ptr(y, (top + r) * ldy + column)
            _row(hidden, ptr(gates, (g_top + r) * 4 * hidden), old, ptr(c, (c_top + r) * hidden), result)
        if projected:
            out = ptr(y, (top + lo) * ldy + column)
            product(
                hi - lo, out_size, hidden, ptr(m, (g_top + lo) * hidden), hidden, packed, projection, 1, hidden, out,
                ldy, out, 0,
            )  # fmt: skip
        for r in range(ended(starts, t, reverse, lo, hi), hi):
            copy(out_size, ptr(y, (top + r) * ldy + column), ptr(hn, r * out_size))
            copy(hidden, ptr(c, (c_top + r) * hidden), ptr(cn, r * hidden))


@njit(parallel=True, **JIT)
def lstm_forward(
    x, w_in, bias_in, mode_in, gates, keep, w, wr, bias, mode, h0, c0, starts, y, column, c, m, hn, cn, reverse, packed,
    work, offsets, chunks,
):  # fmt: skip
    """Writes the columns from ``column`` on of y (rows, ...); hn (batch, out), cn (batch, hidden).

    gates (rows, 4 hidden) and c (rows, hidden) are left for backward if ``keep``; otherwise they are work space and may
    have batch and 2 batch rows. The products of x (rows, inputs) with w_in (4 hidden, inputs) are made here, and all is
    ``packed``, if ``mode_in`` is 1 (bias_in is added) or 0; if it is -1 they stand in ``gates``. w (4 hidden, out), h0
    (batch, out), c0 (batch, hidden); bias (4 hidden,) is added if ``mode`` is 5 and not if it is 4. With a projection
    wr is (out, hidden), and m, like gates but of ``hidden`` columns, is written; without, both have no elements.
    ``work`` has room for the packed w, before it w_in if that is applied here; from offsets[0] on for wr; and for
    w_in's sake (batch, inputs + out) elements from offsets[1] on and 4 hidden from offsets[2] on.
    """
    batch, out_size = h0.shape
    hidden, inputs = c.shape[1], x.shape[1]
    if mode_in >= 0:
        pack_part(inputs, 4 * hidden, ptr(w_in, 0), 1, inputs, ptr(work, 0), 0, inputs + out_size)
        pack_part(out_size, 4 * hidden, ptr(w, 0), 1, out_size, ptr(work, 0), inputs, inputs + out_size)
        total = ptr(work, offsets[2])
        for j in range(4 * hidden):
            store(total, j, number(total, 0))
        if mode_in == 1:
            add(4 * hidden, ptr(bias_in, 0), total)
        if mode == 5:
            add(4 * hidden, ptr(bias, 0), total)
    elif packed:
        pack(out_size, 4 * hidden, ptr(w, 0), 1, out_size, ptr(work, 0))
    if packed and wr.size > 0:
        pack(hidden, out_size, ptr(wr, 0), 1, hidden, ptr(work, offsets[0]))
    if chunks == 1:
        _rows(
            x, mode_in, gates, keep, w, wr, bias, mode, h0, c0, starts, y, column, c, m, hn, cn, reverse, packed,
            work, offsets, 0, batch,
        )  # fmt: skip
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows(
            x, mode_in, gates, keep, w, wr, bias, mode, h0, c0, starts, y, column, c, m, hn, cn, reverse, packed,
            work, offsets, lo, hi,
        )  # fmt: skip


@njit(**JIT)
def _row_backward(n, gates, c, old, dm, dc, out):
    """One row: ``out`` = gradients before the gates' functions; dc becomes that of the earlier c."""
    one = number(dc, 1)
    f, g, o = shift(gates, n), shift(gates, 2 * n), shift(gates, 3 * n)
    df, dg, do = shift(out, n), shift(out, 2 * n), shift(out, 3 * n)
    for j in range(n):
        th, v, d = squash(load(c, j)), load(o, j), load(dm, j)
        store(do, j, d * th * v * (one - v))
        store(dc, j, load(dc, j) + d * v * (one - th * th))
    for j in range(n):
        d, a, b = load(dc, j), load(gates, j), load(g, j)
        store(out, j, d * b * a * (one - a))
        store(dg, j, d * a * (one - b * b))
    for j in range(n):
        d, v = load(dc, j), load(f, j)
        store(df, j, d * load(old, j) * v * (one - v))
        store(dc, j, d * v)


@njit(**JIT)
def _rows_backward(
    dy, column, dh, dc, gates, c, w, wr, h0, c0, starts, y, dgates, before_h, dp, dm, reverse, packed, work, offset, lo,
    end,
):  # fmt: skip
    hidden, out_size, ldy, steps = c.shape[1], h0.shape[1], y.shape[1], len(starts) - 1
    projected = wr.size > 0
    weights = ptr(work, 0) if packed else ptr(w, 0)
    projection = ptr(work, offset) if packed else ptr(wr, 0)
    for s in range(steps):
        t = s if reverse else steps - 1 - s
        top = np.intp(starts[t])
        hi = min(end, np.intp(starts[t + 1]) - top)
        if hi <= lo:
            continue
        first, kept = before(starts, t, reverse, lo, hi)
        for r in range(lo, hi):
            grad = ptr(dh, r * out_size)
            add(out_size, ptr(dy, (top + r) * ldy + column), grad)
            old = ptr(y, (first + r) * ldy + column) if r < kept else ptr(h0, r * out_size)
            copy(out_size, old, ptr(before_h, (top + r) * out_size))
            if projected:
                copy(out_size, grad, ptr(dp, (top + r) * out_size))
        if projected:
            out = ptr(dm, lo * hidden)
            product(
                hi - lo, hidden, out_size, ptr(dh, lo * out_size), out_size, packed, projection, hidden, 1, out, hidden,
                out, 0,
            )  # fmt: skip
        for r in range(lo, hi):
            at = (top + r) * hidden
            old = ptr(c, (first + r) * hidden) if r < kept else ptr(c0, r * hidden)
            grad = ptr(dm, r * hidden) if projected else ptr(dh, r * out_size)
            _row_backward(hidden, ptr(gates, 4 * at), ptr(c, at), old, grad, ptr(dc, r * hidden), ptr(dgates, 4 * at))
        left, out = ptr(dgates, (top + lo) * 4 * hidden), ptr(dh, lo * out_size)
        product(hi - lo, out_size, 4 * hidden, left, 4 * hidden, packed, weights, out_size, 1, out, out_size, out, 0)


@njit(parallel=True, **JIT)
def lstm_backward(
    dy, column, dh, dc, gates, c, w, wr, h0, c0, starts, y, dgates, before_h, dp, dm, reverse, packed, work, offset,
    chunks,
):  # fmt: skip
    """Writes dgates (rows, 4 hidden), gradients before the gates' functions, and before_h (rows, out), the earlier h.

    dh (batch, out) and dc (batch, hidden) come as the gradients of hn and cn and leave as those of h0 and c0. dy and y
    are (rows, ...), used from ``column`` on. With a projection dp (rows, out) is written, the gradient of h, and dm
    (batch, hidden) is work space. ``work`` has room(4 hidden, out) = ``offset`` elements and room(out, hidden) more;
    the rest is as in ``lstm_forward``.
    """
    batch, out_size = h0.shape
    hidden = c.shape[1]
    if packed:
        pack(4 * hidden, out_size, ptr(w, 0), out_size, 1, ptr(work, 0))
        if wr.size > 0:
            pack(out_size, hidden, ptr(wr, 0), hidden, 1, ptr(work, offset))
    if chunks == 1:
        _rows_backward(
            dy, column, dh, dc, gates, c, w, wr, h0, c0, starts, y, dgates, before_h, dp, dm, reverse, packed, work,
            offset, 0, batch,
        )  # fmt: skip
        return
    for chunk in prange(chunks):
        lo, hi = batch * np.intp(chunk) // chunks, batch * (np.intp(chunk) + 1) // chunks
        _rows_backward(
            dy, column, dh, dc, gates, c, w, wr, h0, c0, starts, y, dgates, before_h, dp, dm, reverse, packed, work,
            offset, lo, hi,
        )  # fmt: skip
