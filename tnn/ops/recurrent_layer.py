"""One layer of a recurrent network over a whole sequence, in one or both directions, as a recorded operation."""

from itertools import accumulate

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _gemm, recurrent_cell, recurrent_gru, recurrent_lstm, recurrent_rnn
from ..kernels._copy import assign
from ..kernels._pool import empty, zeros
from ..kernels.activation import relu_forward, tanh_forward
from ..kernels.recurrent import plan, room, stepwise
from ..tensor import wrap
from ._common import F32, F64, composed_backward, dense, recording
from .joining import cat, stack

NOTHING = {k: np.empty((0, 0), k) for k in (F32, F64)}
NO_BIAS = {k: np.empty(1, k) for k in (F32, F64)}


def weight_shapes(gates, inputs, hidden, out):
    """Shapes of W_ih, W_hh, b_ih, b_hh and W_hr."""
    return (gates * hidden, inputs), (gates * hidden, out), (gates * hidden,), (gates * hidden,), (out, hidden)


class _Layer(Node):
    """Inputs: x, h0, c0, and W_ih, W_hh, b_ih, b_hh, W_hr of each direction (None where there is none).

    Outputs: y, then (unless it is a cell) hn, then (LSTM) cn.
    """

    __slots__ = ("starts", "kept", "cell")

    materialize = False
    gates = 1
    has_cell = False
    one_step = None  # as forward, for the single step of some tens of sequences

    @classmethod
    def run(cls, x, starts, h0, c0, weights, cell=False):
        """The outputs as a tuple of tensors.

        Args:
            x: (..., inputs), whose rows are those of a packed sequence (kernels/recurrent.py).
            starts: int64 array, the first row of each step, and the number of rows.
            h0, c0: (directions, batch, out) and (directions, batch, hidden), or None for zeros.
            weights: for each direction a tuple (W_ih, W_hh, b_ih, b_hh, W_hr).
            cell: a single step, forward: h0 and c0 are 2-D, and so is cn.
        """
        d = dense(x)
        rows, dtype = int(starts[-1]), d.dtype
        out = weights[0][1]._data.shape[1]
        hidden = weights[0][1]._data.shape[0] // cls.gates
        lead = len(weights), int(starts[1])
        x2 = d.reshape(rows, d.shape[-1])
        y = empty((rows, lead[0] * out), dtype)
        hn = y.reshape(*lead, out) if cell else empty((*lead, out), dtype)
        cn = empty((*lead, hidden), dtype) if cls.has_cell else None
        h = _state(h0, (*lead, out), dtype)
        c = _state(c0, (*lead, hidden), dtype) if cls.has_cell else None
        flat = [t for group in weights for t in group]
        record = recording(x, h0, c0, *flat)
        one_step = cell and cls.one_step and recurrent_cell.FEWEST <= rows <= recurrent_cell.MOST
        forward = cls.one_step if one_step else cls.forward
        kept = [
            forward(x2, _arrays(group, dtype), h[i], c if c is None else c[i], starts, y, i, hn[i],
                        cn if cn is None else cn[i], record)
            for i, group in enumerate(weights)
        ]  # fmt: skip
        outs = [wrap(y.reshape(*d.shape[:-1], y.shape[1]))]
        if not cell:
            outs.append(wrap(hn))
        if cls.has_cell:
            outs.append(wrap(cn[0] if cell else cn))
        if record:
            node = cls(x, h0, c0, *flat)
            node.starts, node.kept, node.cell = starts, (x2, h, c, kept), cell
            node.attach_all(outs)
            node.save(x, h0, c0, outs[0], *flat)
        return tuple(outs)

    def release(self):
        """Drops what was kept."""
        super().release()
        self.kept = None

    def _split(self, grads):
        """Gradients of y, hn and cn."""
        grads = list(grads)
        if self.cell:
            grads.insert(1, None)
        return grads if self.has_cell else [*grads, None]

    def backward(self, *grads):
        x, h0, c0, y, *flat = self.saved_tensors()
        if mode.grad:
            return self._composed(grads, (x, h0, c0, *flat))
        x2, h, c, kept = self.kept
        gy, ghn, gcn = self._split(grads)
        weights = [flat[i : i + 5] for i in range(0, len(flat), 5)]
        y2 = dense(y).reshape(x2.shape[0], y._data.shape[-1])
        gy = zeros(y2.shape, y2.dtype) if gy is None else dense(gy).reshape(y2.shape)
        dh = zeros(h.shape, h.dtype) if ghn is None else _copy(ghn)
        dc = None if c is None else zeros(c.shape, c.dtype) if gcn is None else _copy(gcn).reshape(c.shape)
        dx = empty(x2.shape, x2.dtype) if self.needs(0) else None
        result = []
        for i, group in enumerate(weights):
            w = [None if t is None else dense(t) for t in group]
            states = dh[i], None if dc is None else dc[i], kept[i], w, h[i], None if c is None else c[i]
            parts = self.unwind(gy, i, *states, self.starts, y2)
            if dx is not None:
                _gemm.gemm(False, False, 1.0, parts[0], w[0], 1.0 if i else 0.0, dx)
            result += self._weight_gradients(3 + 5 * i, x2, kept[i], w, parts)
        dx = None if dx is None else wrap(dx.reshape(x._data.shape))
        dh = wrap(dh.reshape(h0._data.shape)) if self.needs(1) else None
        dc = wrap(dc.reshape(c0._data.shape)) if self.needs(2) else None
        return (dx, dh, dc, *result)

    def _weight_gradients(self, first, x2, kept, w, parts):
        """Gradients of the five weights of a direction, the first of which is input number ``first``."""
        from_x, from_h, before, dp = parts
        out = [None] * 5
        for k, left, right in ((0, from_x, x2), (1, from_h, before), (4, dp, kept[-1])):
            if self.needs(first + k):
                out[k] = empty(w[k].shape, w[k].dtype)
                _gemm.gemm(True, False, 1.0, left, right, 0.0, out[k])
                out[k] = wrap(out[k])
        for k, grad in ((2, from_x), (3, from_h)):
            if self.needs(first + k):
                same = k == 3 and out[2] is not None and from_h is from_x
                out[k] = wrap(out[2]._data.copy()) if same else wrap(grad).sum(0)
        return out

    def _composed(self, grads, inputs):
        """Differentiable gradients, through the same layer made of differentiable operations."""
        given = [i for i, g in enumerate(grads) if g is not None]

        def compose(*inputs):
            outs = self.compose(*inputs)
            return tuple(outs[i] for i in given)

        return composed_backward(compose, inputs, tuple(grads[i] for i in given))

    def compose(self, x, h0, c0, *flat):
        """The outputs from differentiable operations."""
        starts = self.starts.tolist()
        steps = len(starts) - 1
        lead = len(flat) // 5, starts[1]
        rows = x.reshape(starts[-1], x.shape[-1])
        ys, hs, cs = [], [], []
        for i in range(lead[0]):
            w_ih, w_hh, b_ih, b_hh, w_hr = flat[5 * i : 5 * i + 5]
            sizes = w_hh.shape[1], w_hh.shape[0] // self.gates
            state = [
                x.new_zeros(lead[1], size) if given is None else given.reshape(*lead, size)[i]
                for given, size in zip((h0, c0), sizes, strict=True)
            ]
            left = _affine(rows, w_ih, b_ih)
            pieces = [None] * steps
            for t in reversed(range(steps)) if i else range(steps):
                a, b = starts[t], starts[t + 1]
                new = self.step(left[a:b], state[0][: b - a], state[1][: b - a], w_hh, b_hh, w_hr)
                state = [cat([n, s[b - a :]]) if b - a < lead[1] else n for n, s in zip(new, state, strict=True)]
                pieces[t] = new[0]
            ys.append(cat(pieces))
            hs.append(state[0])
            cs.append(state[1])
        outs = [cat(ys, 1).reshape(*x.shape[:-1], sum(y.shape[1] for y in ys))]
        if not self.cell:
            outs.append(stack(hs))
        if self.has_cell:
            outs.append(cs[0] if self.cell else stack(cs))
        return outs


def _arrays(group, dtype):
    """The five weights as arrays: an empty one in place of None."""
    return [NOTHING[dtype] if t is None else dense(t) for t in group]


def _bias(b, mode):
    """(array, mode) of a bias that may be missing, for a product whose mode is otherwise ``mode``."""
    return (b, mode + 1) if b.size else (NO_BIAS[b.dtype], mode)


def _inputs(x, weights, batch, steps, wide, keep):
    """(mode_in, gates): -1 and the products of the inputs, or 0 or 1 and space, where the kernel makes them.

    Without ``keep`` the space is that of one step.
    """
    w, _, b = weights[:3]
    rows = len(x)
    if stepwise(steps, batch, w.size):
        return (1 if b.size else 0), empty((rows if keep else batch, wide), x.dtype)
    gates = empty((rows, wide), x.dtype)
    _gemm.gemm_bias_act(False, True, 1.0, x, w, 0.0, gates, *_bias(b, 0))
    return -1, gates


def _one_step(x, h, w):
    """(biases, which parts are used, work space) of a step by the kernels of recurrent_cell."""
    (b_in, in_mode), (b, b_mode) = _bias(w[2], 0), _bias(w[3], 0)
    work = empty(recurrent_cell.room(len(x), x.shape[1] + h.shape[1], x.itemsize), x.dtype)
    return b_in, b, 5 + 2 * in_mode + 8 * b_mode, work


def _state(t, shape, dtype):
    return zeros(shape, dtype) if t is None else dense(t).reshape(shape)


def _copy(t):
    out = empty(t._data.shape, t._data.dtype)
    out[...] = t._data
    return out


def _affine(x, w, b):
    y = x.matmul(w.t())
    return y if b is None else y + b


def _work(packed, dtype, *sizes, more=()):
    """Room for packed weights of these sizes and for ``more`` elements: (array, offsets of all but the first)."""
    if not packed:
        return NO_BIAS[dtype], (0,) * (len(sizes) + len(more) - 1)
    rooms = [*(room(k, n, dtype.itemsize) for k, n in sizes), *more]
    return empty(sum(rooms), dtype), tuple(accumulate(rooms))[:-1]


_LARGE_STEP = 1 << 18


class RnnTanh(_Layer):
    __slots__ = ()
    relu = False

    @classmethod
    def forward(cls, x, w, h, c, starts, y, i, hn, cn, keep):
        batch, n, steps = *h.shape, len(starts) - 1
        gates = empty((len(x), n), x.dtype)
        _gemm.gemm_bias_act(False, True, 1.0, x, w[0], 0.0, gates, *_bias(w[2], 0))
        if steps == 1 and y.shape == gates.shape and len(x) == batch and batch * n * n >= _LARGE_STEP:
            # A cell's state is no panel to keep: 64 x 512 by 512 in 300 us as any product, 470 as a step of many.
            _gemm.gemm_bias_act(False, True, 1.0, h, w[1], 1.0, gates, *_bias(w[3], 0))
            (relu_forward if cls.relu else tanh_forward)(gates.reshape(-1), y.reshape(-1))
            assign(hn, y)
            return (None,)
        chunks, packed = plan(steps, batch, n * n)
        work, _ = _work(packed, y.dtype, (n, n))
        recurrent_rnn.rnn_forward(
            gates, w[1], *_bias(w[3], 4), h, starts, y, i * n, hn, i == 1, cls.relu, packed, work, chunks
        )
        return (None,)

    def unwind(self, gy, i, dh, dc, kept, w, h, c, starts, y):
        n = h.shape[1]
        da, before = empty((len(y), n), y.dtype), empty((len(y), n), y.dtype)
        chunks, packed = plan(len(starts) - 1, h.shape[0], n * n)
        work, _ = _work(packed, y.dtype, (n, n))
        recurrent_rnn.rnn_backward(
            gy, i * n, dh, w[1], h, starts, y, da, before, i == 1, self.relu, packed, work, chunks
        )
        return da, da, before, None

    def step(self, left, h, c, w, b, w_hr):
        """The state (h, unused) after one step, from differentiable operations."""
        a = left + _affine(h, w, b)
        return (a.relu() if self.relu else a.tanh()), c


class RnnRelu(RnnTanh):
    __slots__ = ()
    relu = True


class Lstm(_Layer):
    __slots__ = ()
    gates = 4
    has_cell = True

    @classmethod
    def forward(cls, x, w, h, c0, starts, y, i, hn, cn, keep):
        batch, out, n, steps = *h.shape, c0.shape[1], len(starts) - 1
        mode_in, gates = _inputs(x, w, batch, steps, 4 * n, keep)
        keep = len(gates) == len(x)
        c = empty((len(x) if keep else 2 * batch, n), y.dtype)
        wr = w[4]
        m = empty((len(gates), n), y.dtype) if wr.size else NOTHING[y.dtype]
        chunks, packed = plan(steps, batch, 4 * n * out + wr.size)
        depth, side = (x.shape[1] + out, batch) if mode_in >= 0 else (out, 0)
        sizes = (depth, 4 * n), (n, out if wr.size else 0)
        work, offsets = _work(packed, y.dtype, *sizes, more=((side * depth + 15) // 16 * 16, 4 * n if side else 0))
        recurrent_lstm.lstm_forward(
            x, w[0], _bias(w[2], 0)[0], mode_in, gates, keep, w[1], wr, *_bias(w[3], 4), h, c0, starts, y, i * out, c,
            m, hn, cn, i == 1, packed, work, offsets, chunks,
        )  # fmt: skip
        return gates, c, m

    @classmethod
    def one_step(cls, x, w, h, c0, starts, y, i, hn, cn, keep):
        nothing = NOTHING[y.dtype]
        gates, c = (empty((len(x), 4 * c0.shape[1]), y.dtype), empty(c0.shape, y.dtype)) if keep else (nothing, nothing)
        b_in, b, uses, work = _one_step(x, h, w)
        recurrent_cell.lstm_step(x, w[0], b_in, w[1], b, uses, h, c0, y, c, cn, gates, work)
        return gates, c, nothing

    def unwind(self, gy, i, dh, dc, kept, w, h, c0, starts, y):
        gates, c, _ = kept
        out, n = h.shape[1], c.shape[1]
        nothing = NOTHING[y.dtype]
        wr = nothing if w[4] is None else w[4]
        dgates, before = empty(gates.shape, y.dtype), empty((len(y), out), y.dtype)
        dp = empty((len(y), out), y.dtype) if wr.size else nothing
        dm = empty((h.shape[0], n), y.dtype) if wr.size else nothing
        chunks, packed = plan(len(starts) - 1, h.shape[0], 4 * n * out + wr.size)
        work, offsets = _work(packed, y.dtype, (4 * n, out), (out if wr.size else 0, n))
        recurrent_lstm.lstm_backward(
            gy, i * out, dh, dc, gates, c, w[1], wr, h, c0, starts, y, dgates, before, dp, dm, i == 1, packed, work,
            offsets[0], chunks,
        )  # fmt: skip
        return dgates, dgates, before, dp

    def step(self, left, h, c, w, b, w_hr):
        """The state (h, c) after one step, from differentiable operations."""
        i, f, g, o = (left + _affine(h, w, b)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        m = o.sigmoid() * c.tanh()
        return (m if w_hr is None else m.matmul(w_hr.t())), c


class Gru(_Layer):
    __slots__ = ()
    gates = 3

    @classmethod
    def forward(cls, x, w, h, c, starts, y, i, hn, cn, keep):
        batch, n, steps = *h.shape, len(starts) - 1
        mode_in, gates = _inputs(x, w, batch, steps, 3 * n, keep)
        q = empty((len(gates), n), y.dtype)
        chunks, packed = plan(steps, batch, 3 * n * n)
        sizes = (n, 2 * n), (n, n), (x.shape[1] if mode_in >= 0 else 0, 3 * n)
        work, offsets = _work(packed, y.dtype, *sizes)
        recurrent_gru.gru_forward(
            x, w[0], _bias(w[2], 0)[0], mode_in, gates, q, len(gates) == len(x), w[1], *_bias(w[3], 4), h, starts, y,
            i * n, hn, i == 1, packed, work, offsets, chunks,
        )  # fmt: skip
        return gates, q, None

    @classmethod
    def one_step(cls, x, w, h, c, starts, y, i, hn, cn, keep):
        nothing = NOTHING[y.dtype]
        gates, q = (empty((len(x), 3 * h.shape[1]), y.dtype), empty(h.shape, y.dtype)) if keep else (nothing, nothing)
        b_in, b, uses, work = _one_step(x, h, w)
        recurrent_cell.gru_step(x, w[0], b_in, w[1], b, uses, h, y, q, gates, work)
        return gates, q, None

    def unwind(self, gy, i, dh, dc, kept, w, h, c, starts, y):
        gates, q, _ = kept
        n = h.shape[1]
        dx, dr, before = empty(gates.shape, y.dtype), empty(gates.shape, y.dtype), empty((len(y), n), y.dtype)
        chunks, packed = plan(len(starts) - 1, h.shape[0], 3 * n * n)
        work, _ = _work(packed, y.dtype, (3 * n, n))
        recurrent_gru.gru_backward(
            gy, i * n, dh, gates, q, w[1], h, starts, y, dx, dr, before, i == 1, packed, work, chunks
        )
        return dx, dr, before, None

    def step(self, left, h, c, w, b, w_hr):
        """The state (h, unused) after one step, from differentiable operations."""
        r, z, n = left.chunk(3, 1)
        hr, hz, hn = _affine(h, w, b).chunk(3, 1)
        z = (z + hz).sigmoid()
        n = (n + (r + hr).sigmoid() * hn).tanh()
        return n + z * (h - n), c
