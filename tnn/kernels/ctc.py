r"""Connectionist temporal classification (Graves et al., ICML 2006), in the log semiring.

The target l of length S is spread out to z = (blank, l_1, blank, ..., l_S, blank). With x_t(k) the log-probabilities:

    a_0(0) = x_0(blank), a_0(1) = x_0(l_1)
    a_t(s) = x_t(z_s) + log(e^a_{t-1}(s) + e^a_{t-1}(s-1) + [z_s != z_{s-2}] e^a_{t-1}(s-2))
    loss   = -log(e^a_{T-1}(2S) + e^a_{T-1}(2S-1))

    b_t(s) is the same backwards, and the gradient by x_t(k) is
    e^x_t(k) - e^(loss - x_t(k) + log sum over s with z_s = k of e^(a_t(s) + b_t(s)))

Arrays: x (T, N, C); targets 1-D int64, those of sample n starting at start[n].
"""

import math

import numpy as np
from numba import njit, prange

from ._jit import JIT


@njit(**JIT)
def _label(targets, start, s, blank):
    return blank if s % 2 == 0 else targets[start + s // 2]


@njit(**JIT)
def _log_add(a, b):
    m = max(a, b)
    if m == -np.inf:
        return m
    return m + math.log(math.exp(a - m) + math.exp(b - m))


@njit(**JIT)
def _log_add3(a, b, c):
    m = max(a, max(b, c))
    if m == -np.inf:
        return m
    return m + math.log(math.exp(a - m) + math.exp(b - m) + math.exp(c - m))


@njit(**JIT)
def _forward(x, n, targets, start, steps, length, blank, alpha):
    """Fills alpha (T, S) for one sample and returns its loss."""
    states = 2 * length + 1
    for t in range(alpha.shape[0]):
        for s in range(alpha.shape[1]):
            alpha[t, s] = -np.inf
    if steps == 0:
        return 0.0 if length == 0 else np.inf
    alpha[0, 0] = x[0, n, blank]
    if length > 0:
        alpha[0, 1] = x[0, n, targets[start]]
    for t in range(1, steps):
        for s in range(states):
            k = _label(targets, start, s, blank)
            one = alpha[t - 1, s - 1] if s > 0 else -np.inf
            skip = s > 1 and k != _label(targets, start, s - 2, blank)
            two = alpha[t - 1, s - 2] if skip else -np.inf
            alpha[t, s] = x[t, n, k] + _log_add3(alpha[t - 1, s], one, two)
    if length == 0:
        return -alpha[steps - 1, 0]
    return -_log_add(alpha[steps - 1, states - 1], alpha[steps - 1, states - 2])


@njit(parallel=True, **JIT)
def ctc_forward(x, targets, start, steps, length, blank, alpha, loss):
    """Writes alpha (N, T, 2 max(length) + 1) and loss (N,)."""
    for i in prange(x.shape[1]):
        n = np.intp(i)
        loss[n] = _forward(x, n, targets, start[n], steps[n], length[n], blank, alpha[n])


@njit(**JIT)
def _backward(g, x, n, targets, start, steps, length, blank, alpha, loss, zero_infinity, gx):
    states = 2 * length + 1
    classes = x.shape[2]
    for t in range(x.shape[0]):
        for k in range(classes):
            gx[t, n, k] = 0
    if steps == 0 or (zero_infinity and loss == np.inf):
        return
    beta, last = np.empty(states), np.empty(states)
    total = np.empty(classes)
    for t in range(steps - 1, -1, -1):
        for s in range(states):
            k = _label(targets, start, s, blank)
            if t == steps - 1:
                beta[s] = x[t, n, k] if s >= states - 2 else -np.inf
                continue
            one = last[s + 1] if s + 1 < states else -np.inf
            skip = s + 2 < states and k != _label(targets, start, s + 2, blank)
            two = last[s + 2] if skip else -np.inf
            beta[s] = x[t, n, k] + _log_add3(last[s], one, two)
        for k in range(classes):
            total[k] = -np.inf
        for s in range(states):
            k = _label(targets, start, s, blank)
            total[k] = _log_add(total[k], alpha[t, s] + beta[s])
            last[s] = beta[s]
        for k in range(classes):
            v = x[t, n, k]
            gx[t, n, k] = (math.exp(v) - math.exp(total[k] + loss - v)) * g


@njit(parallel=True, **JIT)
def ctc_backward(g, x, targets, start, steps, length, blank, alpha, loss, zero_infinity, gx):
    """Writes gx (T, N, C); g and loss are (N,), alpha as ctc_forward left it."""
    for i in prange(x.shape[1]):
        n = np.intp(i)
        _backward(
            g[n], x, n, targets, start[n], steps[n], length[n], blank, alpha[n], loss[n], zero_infinity, gx
        )  # fmt: skip
