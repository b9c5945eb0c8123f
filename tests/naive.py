"""Slow and plain references."""

from fractions import Fraction

import numpy as np


def _windows(x, k, s, p, d, fill):
    """The windows of (N, C, H, W) as (N, C, OH, OW, k, k), with the padding's value."""
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    span = d * (k - 1) + 1
    oh, ow = ((n - span) // s + 1 for n in x.shape[2:])
    out = np.empty(x.shape[:2] + (oh, ow, k, k), x.dtype)
    for i in range(oh):
        for j in range(ow):
            out[:, :, i, j] = x[:, :, i * s : i * s + span : d, j * s : j * s + span : d]
    return out


def max_pool2d(x, k, s, p, d):
    """The largest element of each window."""
    return _windows(x, k, s, p, d, -np.inf).max((-2, -1))


def avg_pool2d(x, k, s, p, include_pad):
    """The mean of each window."""
    total = _windows(x, k, s, p, 1, 0).sum((-2, -1))
    count = _windows(np.ones_like(x), k, s, p, 1, 1 if include_pad else 0).sum((-2, -1))
    return total / count


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent_step(kind, x, h, c, w_ih, w_hh, b_ih=0.0, b_hh=0.0, w_hr=None):
    """(h, c) after one step of one sequence; ``kind`` is tanh, relu, gru or lstm."""
    a, b = w_ih @ x + b_ih, w_hh @ h + b_hh
    if kind == "tanh":
        return np.tanh(a + b), c
    if kind == "relu":
        return np.maximum(a + b, 0), c
    if kind == "gru":
        (r, z, n), (hr, hz, hn) = a.reshape(3, -1), b.reshape(3, -1)
        z = _sigmoid(z + hz)
        return (1 - z) * np.tanh(n + _sigmoid(r + hr) * hn) + z * h, c
    i, f, g, o = (a + b).reshape(4, -1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    m = _sigmoid(o) * np.tanh(c)
    return (m if w_hr is None else w_hr @ m), c


def recurrent(kind, sequences, weights, h0, c0):
    """Outputs (a list of (L, D R)), hn and cn of a recurrent network on sequences (L, I).

    weights[layer][direction] are the arguments of ``recurrent_step``; h0 and c0 are (layers D, B, ...).
    """
    hn, cn = h0.copy(), c0.copy()
    outs = []
    for b, x in enumerate(sequences):
        row = 0
        for layer in weights:
            parts = []
            for d, w in enumerate(layer):
                h, c, y = h0[row, b], c0[row, b], [None] * len(x)
                for t in reversed(range(len(x))) if d else range(len(x)):
                    h, c = recurrent_step(kind, x[t], h, c, *w)
                    y[t] = h
                hn[row, b], cn[row, b] = h, c
                parts.append(np.stack(y))
                row += 1
            x = np.concatenate(parts, 1)
        outs.append(x)
    return outs, hn, cn


def arange(start, step, n, dtype):
    """start + i step, each rounded once; in whole pairs of 8 float32 or 4 float64, the first of those is rounded to the
    dtype before the steps to the others are added to it."""

    def add(a, i):
        return dtype.type(float(Fraction(float(a)) + i * Fraction(step)))

    lanes = 32 // dtype.itemsize
    whole = n // (2 * lanes) * (2 * lanes)
    firsts = [add(start, i - i % lanes) for i in range(whole)]
    return np.array([add(f, i % lanes) for i, f in enumerate(firsts)] + [add(start, i) for i in range(whole, n)])
