r"""Connectionist temporal classification (Graves et al., ICML 2006), in the log semiring.

The target l of length S is spread out to z = (blank, l_1, blank, ..., l_S, blank). With x_t(k) the log-probabilities:

    a_0(0) = x_0(blank), a_0(1) = x_0(l_1)
    a_t(s) = x_t(z_s) + log(e^a_{t-1}(s) + e^a_{t-1}(s-1) + [z_s != z_{s-2}] e^a_{t-1}(s-2))
    loss   = -log(e^a_{T-1}(2S) + e^a_{T-1}(2S-1))

    b_t(s) is the same backwards, and the gradient by x_t(k) is
    e^x_t(k) - e^(loss - x_t(k) + log sum over s with z_s = k of e^(a_t(s) + b_t(s)))

Arrays: x (T, N, C); targets 1-D int64, those of sample n starting at start[n].
"""

import numpy as np
from numba import njit, prange

from . import _math as m
from ._callees import ahead
from ._jit import JIT

# Fewer states over all samples and times than this are not worth threads.
SMALL = 2048


@njit(**JIT)
def fits(targets, columns, steps, length, total, classes, start):
    """Writes start (N,) and returns the largest length, or -1 if a length or a label is out of bounds.

    columns: the width of targets (N, columns) seen as one vector; -1 for targets in a row. steps, length: (N,). total:
    the size of x in time.
    """
    at = longest = 0
    for n in range(start.size):
        start[n] = n * columns if columns >= 0 else at
        at += length[n]
    for n in range(start.size):
        if length[n] < 0 or steps[n] < 0 or steps[n] > total or (columns >= 0 and length[n] > columns):
            return -1
        if start[n] + length[n] > targets.size:
            return -1
        for i in range(start[n], start[n] + length[n]):
            if targets[i] < 0 or targets[i] >= classes:
                return -1
        longest = max(longest, length[n])
    return longest if columns >= 0 or at == targets.size else -1


@njit(**JIT)
def _spread(targets, start, length, blank, label, never):
    """Writes label (2 length + 1,), z, and never (2 length + 1,): 0 where two states may be left out before one's own,
    else -inf."""
    for s in range(label.size):
        label[s] = blank if s % 2 == 0 else targets[start + s // 2]
        never[s] = 0.0 if s > 1 and label[s] != label[s - 2] else -np.inf


@ahead  # 128 x 16 x 32, forward and backward: 0.85 of the speed without, 0.92 to 1.03 with it, here and below
@njit(**JIT)
def _step(emitted, never, before, after):
    """One step in time for all states: after[s] from before[s], before[s + 1] and before[s + 2], where the state s is
    at s + 2 in ``before`` and two states that are never reached stand at its beginning."""
    own, one, two = before[2:], before[1:], before
    for s in range(after.size):
        a, b, c = own[s], one[s], two[s] + never[s]
        top = max(a, max(b, c))
        top = top if top > -np.inf else 0.0
        after[s] = emitted[s] + (top + m.log(m.exp(a - top) + m.exp(b - top) + m.exp(c - top)))


@njit(**JIT)
def _emit(x, label, emitted):
    for s in range(label.size):
        emitted[s] = x[np.uint64(label[s])]


@njit(**JIT)
def _log_add(a, b):
    top = max(a, b)
    return top if top == -np.inf else top + m.log(m.exp(a - top) + m.exp(b - top))


@njit(**JIT)
def _forward(x, n, targets, start, steps, length, blank, alpha):
    """Fills alpha (T, S) for one sample and returns its loss."""
    states = 2 * length + 1
    for t in range(alpha.shape[0]):
        for s in range(states if t < steps else 0, alpha.shape[1]):
            alpha[t, s] = -np.inf
    if steps == 0:
        return 0.0 if length == 0 else np.inf
    label, never = np.empty(states, np.int64), np.empty(states)
    _spread(targets, start, length, blank, label, never)
    emitted, before, after = np.empty(states), np.full(states + 2, -np.inf), np.empty(states)
    for t in range(steps):
        _emit(x[t, n], label, emitted)
        if t == 0:
            for s in range(states):
                after[s] = emitted[s] if s < 2 else -np.inf
        else:
            _step(emitted, never, before, after)
        row, kept = alpha[t], before[2:]
        for s in range(states):
            row[s] = after[s]
            kept[s] = after[s]
    return -after[0] if length == 0 else -_log_add(after[states - 1], after[states - 2])


@njit(parallel=True, **JIT)
def ctc_forward(x, targets, start, steps, length, blank, alpha, loss):
    """Writes alpha (N, T, 2 max(length) + 1) and loss (N,).

    All states of a step in one loop that vectorises: 128 x 16 x 32 on two threads 281 us, 1.03 ms state by state.
    """
    if alpha.size < SMALL:
        for n in range(x.shape[1]):
            loss[n] = _forward(x, n, targets, start[n], steps[n], length[n], blank, alpha[n])
    else:
        for i in prange(x.shape[1]):
            n = np.intp(i)
            loss[n] = _forward(x, n, targets, start[n], steps[n], length[n], blank, alpha[n])


@ahead
@njit(**JIT)
def _slope(x, label, alpha, beta, emitted, loss, g, total, gx):
    """The gradient of one step in time; total (classes,) and emitted (states,) are overwritten."""
    for s in range(label.size):
        emitted[s] = m.exp(alpha[s] + beta[s] + (loss - emitted[s]))
    for k in range(total.size):
        total[k] = 0.0
    for s in range(label.size):
        total[np.uint64(label[s])] += emitted[s]
    for k in range(total.size):
        v = np.float64(x[k])
        # a class that cannot be, or a loss that is infinite: -inf - -inf, as in PyTorch
        p = total[k] if (v > -np.inf) & (loss < np.inf) else np.nan
        gx[k] = (m.exp(v) - p) * g


@njit(**JIT)
def _backward(g, x, n, targets, start, steps, length, blank, alpha, loss, zero_infinity, gx):
    states = 2 * length + 1
    none = steps == 0 or (zero_infinity and loss == np.inf)
    for t in range(0 if none else steps, x.shape[0]):
        row = gx[t, n]
        for k in range(row.size):
            row[k] = 0
    if none:
        return
    # From the last state to the first, time is a step forward: states are kept in this order.
    label, never, turned = np.empty(states, np.int64), np.empty(states), np.empty(states, np.int64)
    _spread(targets, start, length, blank, label, never)
    for s in range(states):
        turned[s] = label[states - 1 - s]
        never[s] = 0.0 if s > 1 and turned[s] != turned[s - 2] else -np.inf
    emitted, before, after = np.empty(states), np.full(states + 2, -np.inf), np.empty(states)
    total, mirrored = np.empty(x.shape[2]), np.empty(states)
    for t in range(steps - 1, -1, -1):
        _emit(x[t, n], turned, emitted)
        if t == steps - 1:
            for s in range(states):
                after[s] = emitted[s] if s < 2 else -np.inf
        else:
            _step(emitted, never, before, after)
        kept, row = before[2:], alpha[t]
        for s in range(states):
            kept[s] = after[s]
            mirrored[s] = row[states - 1 - s]
        _slope(x[t, n], turned, mirrored, after, emitted, np.float64(loss), np.float64(g), total, gx[t, n])


@njit(parallel=True, **JIT)
def ctc_backward(g, x, targets, start, steps, length, blank, alpha, loss, zero_infinity, gx):
    """Writes gx (T, N, C); g and loss are (N,), alpha as ctc_forward left it."""
    if alpha.size < SMALL:
        for n in range(x.shape[1]):
            _backward(
                g[n], x, n, targets, start[n], steps[n], length[n], blank, alpha[n], loss[n], zero_infinity, gx
            )  # fmt: skip
    else:
        for i in prange(x.shape[1]):
            n = np.intp(i)
            _backward(
                g[n], x, n, targets, start[n], steps[n], length[n], blank, alpha[n], loss[n], zero_infinity, gx
            )  # fmt: skip
