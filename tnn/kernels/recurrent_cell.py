"""One step of a gated cell for some tens of sequences, its products turned: the weights are read as they lie.

    G^T = W_ih x^T + W_hh h^T + b_ih + b_hh

As G = x W_ih^T + ... all weights would have to be turned into panels first, for a single use: 17 us of the 75 that a
step of an LSTM 64 -> 128 with 32 sequences took so. Here it is the inputs and the results that are turned, which are
fewer.

A task has as many units as a vector has elements, and a panel of sequences: the gates of a unit lie in one row, those
of the sequences side by side, and go from products to results without leaving the cache. The equations are those of
recurrent_lstm.py and recurrent_gru.py.
"""

import numpy as np
from numba import njit, prange

from ._callees import ahead
from ._gemm import _pack_b
from ._jit import JIT
from ._math_gates import gate, squash
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    keep,
    load,
    number,
    ptr,
    scratch,
    shift,
    store,
    tile,
    turn_exact,
    vector_len,
)

# Sequences for which a step is made so: fewer leave a panel too empty, of more the results cost more than the weights.
FEWEST, MOST = 8, 64
# Multiply-adds below which all is done by the calling thread.
SERIAL = 1 << 18
HEIGHT = min(MR, 9)


def room(batch, depth, itemsize):
    """Elements of work space for so many sequences and inputs and states together."""
    columns = NV * VECTOR_BYTES // itemsize
    return -(-batch // columns) * columns * depth


@njit(**JIT)
def _add_product(units, k, w, panel, out, nr):
    """out[i*nr + r] += sum_p w[i*k + p] panel[p*nr + r] for i < units, r < nr."""
    one, zero = number(w, 1), number(w, 0)
    tiles = (units + HEIGHT - 1) // HEIGHT
    for t in range(tiles):
        lo, hi = units * t // tiles, units * (t + 1) // tiles
        here = shift(out, lo * nr)
        tile(hi - lo, NV, k, shift(w, lo * k), k, 1, panel, nr, here, nr, nr, one, one, here, 4, zero)


@njit(**JIT)
def _part(units, row, x_size, h_size, panel, w_in, bias_in, w, bias, uses, out, nr):
    """``units`` rows of G^T from ``row`` on, for a panel; uses: 1 the inputs, 2 their bias, 4 the state, 8 its bias."""
    for i in range(units):
        start = number(out, 0)
        if uses & 2:
            start += bias_in[row + i]
        if uses & 8:
            start += bias[row + i]
        for r in range(nr):
            store(out, i * nr + r, start)
    if uses & 1:
        _add_product(units, x_size, ptr(w_in, row * x_size), panel, out, nr)
    if uses & 4:
        _add_product(units, h_size, ptr(w, row * h_size), shift(panel, x_size * nr), out, nr)


@njit(**JIT)
def _turn_in(units, count, x, ldx, out, nr):
    """out[i*nr + r] = x[r*ldx + i] for i < units, r < count."""
    vl = vector_len(x)
    for r in range(0, count, vl):
        turn_exact(shift(x, r * ldx), ldx, min(vl, count - r) - 1, shift(out, r), nr, units)


@njit(**JIT)
def _turn_out(units, count, x, nr, out, ldo):
    """out[r*ldo + i] = x[i*nr + r] for i < units, r < count."""
    vl = vector_len(x)
    for r in range(0, count, vl):
        turn_exact(shift(x, r), nr, units - 1, shift(out, r * ldo), ldo, min(vl, count - r))


@njit(**JIT)
def _pack_sides(x, h, panels, p, nr):
    """Panel p: its sequences' inputs, and below them their states, a sequence in each column."""
    batch, x_size, h_size = x.shape[0], x.shape[1], h.shape[1]
    count = min(nr, batch - p * nr)
    to = shift(panels, p * nr * (x_size + h_size))
    if x_size:
        _pack_b(x_size, count, ptr(x, p * nr * x_size), 1, x_size, to, nr)
    _pack_b(h_size, count, ptr(h, p * nr * h_size), 1, h_size, shift(to, x_size * nr), nr)


@ahead
@njit(**JIT)
def _lstm_units(n, g, old, c, m):
    """n elements of each gate, one gate after the other; then c and m from the earlier c."""
    f, s, o = shift(g, n), shift(g, 2 * n), shift(g, 3 * n)
    for j in range(2 * n):
        store(g, j, gate(load(g, j)))
    for j in range(n):
        store(s, j, squash(load(s, j)))
    for j in range(n):
        store(o, j, gate(load(o, j)))
    for j in range(n):
        store(c, j, load(f, j) * load(old, j) + load(g, j) * load(s, j))
    for j in range(n):
        store(m, j, load(o, j) * squash(load(c, j)))


@njit(**JIT)
def _lstm_task(x, w_in, bias_in, w, bias, uses, h, c0, y, c, cn, gates, panels, task):
    batch, x_size, size = x.shape[0], x.shape[1], h.shape[1]
    one = ptr(y, 0)
    vl = vector_len(one)
    nr = NV * vl
    blocks = (size + vl - 1) // vl
    p, j0 = task // blocks, task % blocks * vl
    units, lo = min(vl, size - j0), p * nr
    count = min(nr, batch - lo)
    n = units * nr
    room = np.empty(7 * n * y.itemsize + 64, np.uint8)
    g = scratch(room, one)
    old, new, m = shift(g, 4 * n), shift(g, 5 * n), shift(g, 6 * n)
    panel = shift(panels, p * nr * (x_size + size))
    for q in range(4):
        _part(units, q * size + j0, x_size, size, panel, w_in, bias_in, w, bias, uses, shift(g, q * n), nr)
    at = lo * size + j0
    for i in range(n):
        store(old, i, number(one, 0))
    _turn_in(units, count, ptr(c0, at), size, old, nr)
    _lstm_units(n, g, old, new, m)
    _turn_out(units, count, m, nr, ptr(y, at), size)
    _turn_out(units, count, new, nr, ptr(cn, at), size)
    if gates.size:
        _turn_out(units, count, new, nr, ptr(c, at), size)
        for q in range(4):
            _turn_out(units, count, shift(g, q * n), nr, ptr(gates, 4 * lo * size + q * size + j0), 4 * size)
    keep(room)


@njit(parallel=True, **JIT)
def lstm_step(x, w_in, bias_in, w, bias, uses, h, c0, y, c, cn, gates, work):
    """Writes y (batch, size), the new state, and cn; for backward c and gates (batch, 4 size), unless they are empty.

    x (batch, inputs), w_in (4 size, inputs), w (4 size, size), h and c0 (batch, size); the biases are used if ``uses``
    has 2 and 8 besides 5. ``work`` has ``room(batch, inputs + size)`` elements.
    """
    batch, size = h.shape
    nr = NV * vector_len(ptr(y, 0))
    count, blocks = (batch + nr - 1) // nr, (size + nr // NV - 1) // (nr // NV)
    for p in range(count):
        _pack_sides(x, h, ptr(work, 0), p, nr)
    if batch * 4 * size * (x.shape[1] + size) < SERIAL:
        for task in range(count * blocks):
            _lstm_task(x, w_in, bias_in, w, bias, uses, h, c0, y, c, cn, gates, ptr(work, 0), task)
    else:
        for task in prange(count * blocks):
            _lstm_task(x, w_in, bias_in, w, bias, uses, h, c0, y, c, cn, gates, ptr(work, 0), np.intp(task))


@ahead
@njit(**JIT)
def _gru_units(n, g, q, old, h):
    """n elements of each gate, then h from the earlier h."""
    z, new = shift(g, n), shift(g, 2 * n)
    for j in range(2 * n):
        store(g, j, gate(load(g, j)))
    for j in range(n):
        store(new, j, squash(load(new, j) + load(g, j) * load(q, j)))
    for j in range(n):
        v = load(new, j)
        store(h, j, v + load(z, j) * (load(old, j) - v))


@njit(**JIT)
def _gru_task(x, w_in, bias_in, w, bias, uses, h, y, q, gates, panels, task):
    batch, x_size, size = x.shape[0], x.shape[1], h.shape[1]
    one = ptr(y, 0)
    vl = vector_len(one)
    nr = NV * vl
    blocks = (size + vl - 1) // vl
    p, j0 = task // blocks, task % blocks * vl
    units, lo = min(vl, size - j0), p * nr
    count = min(nr, batch - lo)
    n = units * nr
    room = np.empty(5 * n * y.itemsize + 64, np.uint8)
    g = scratch(room, one)
    recurrent, new = shift(g, 3 * n), shift(g, 4 * n)
    panel = shift(panels, p * nr * (x_size + size))
    for part in range(4):
        used = uses if part < 2 else uses & 3 if part == 2 else uses & 12
        row = min(part, 2) * size + j0
        _part(units, row, x_size, size, panel, w_in, bias_in, w, bias, used, shift(g, part * n), nr)
    at = lo * size + j0
    old = shift(panel, (x_size + j0) * nr)
    _gru_units(n, g, recurrent, old, new)
    _turn_out(units, count, new, nr, ptr(y, at), size)
    if gates.size:
        _turn_out(units, count, recurrent, nr, ptr(q, at), size)
        for part in range(3):
            _turn_out(units, count, shift(g, part * n), nr, ptr(gates, 3 * lo * size + part * size + j0), 3 * size)
    keep(room)


@njit(parallel=True, **JIT)
def gru_step(x, w_in, bias_in, w, bias, uses, h, y, q, gates, work):
    """Writes y (batch, size), the new state; for backward q and gates (batch, 3 size) too, unless they are empty.

    The rest is as in ``lstm_step``.
    """
    batch, size = h.shape
    nr = NV * vector_len(ptr(y, 0))
    count, blocks = (batch + nr - 1) // nr, (size + nr // NV - 1) // (nr // NV)
    for p in range(count):
        _pack_sides(x, h, ptr(work, 0), p, nr)
    if batch * 3 * size * (x.shape[1] + size) < SERIAL:
        for task in range(count * blocks):
            _gru_task(x, w_in, bias_in, w, bias, uses, h, y, q, gates, ptr(work, 0), task)
    else:
        for task in prange(count * blocks):
            _gru_task(x, w_in, bias_in, w, bias, uses, h, y, q, gates, ptr(work, 0), np.intp(task))
