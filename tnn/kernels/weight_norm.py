r"""Weight normalisation of an array seen as (outer, n, inner), with one norm for each of the n channels.

    weight_norm_forward    r_c = sqrt(sum_{o,i} v[o, c, i]^2),    w[o, c, i] = v[o, c, i] g_c / r_c
    weight_norm_backward   s_c = sum_{o,i} dw[o, c, i] v[o, c, i],    dg_c = s_c / r_c
                           dv[o, c, i] = g_c / r_c (dw[o, c, i] - v[o, c, i] s_c / r_c^2)

Sums are taken in float64. Arrays come as (outer, n * inner); channels are cut into blocks of a fixed size.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT

BLOCK = 16


@njit(**JIT)
def _dots(a, b, inner, s, first):
    """s[k] = sum over o, i of a[o, c, i] b[o, c, i] for the channels c = first + k."""
    s[:] = 0.0
    for o in range(a.shape[0]):
        x = a[o][first * inner : (first + s.size) * inner]
        y = b[o][first * inner : (first + s.size) * inner]
        if inner == 1:
            for k in range(s.size):
                s[k] += np.float64(x[k]) * np.float64(y[k])
        else:
            for k in range(s.size):
                p, q = x[k * inner : (k + 1) * inner], y[k * inner : (k + 1) * inner]
                t = 0.0
                for i in range(p.size):
                    t += np.float64(p[i]) * np.float64(q[i])
                s[k] += t


@njit(**JIT)
def _combine(a, p, b, q, y, inner, first):
    """y[o, c, i] = p[k] a[o, c, i] + q[k] b[o, c, i] for the channels c = first + k."""
    for o in range(a.shape[0]):
        x = a[o][first * inner : (first + p.size) * inner]
        u = b[o][first * inner : (first + p.size) * inner]
        z = y[o][first * inner : (first + p.size) * inner]
        if inner == 1:
            for k in range(p.size):
                z[k] = p[k] * x[k] + q[k] * u[k]
        else:
            for k in range(p.size):
                lo, hi = k * inner, (k + 1) * inner
                x1, u1, z1 = x[lo:hi], u[lo:hi], z[lo:hi]
                for i in range(z1.size):
                    z1[i] = p[k] * x1[i] + q[k] * u1[i]


@njit(**JIT)
def _forward(v, g, inner, w, norm, scale, lo, hi):
    s = np.empty(hi - lo)
    _dots(v, v, inner, s, lo)
    r, k, h = norm[lo:hi], scale[lo:hi], g[lo:hi]
    for c in range(s.size):
        r[c] = np.sqrt(s[c])
        k[c] = h[c] / r[c]
    for o in range(v.shape[0]):
        x, y = v[o][lo * inner : hi * inner], w[o][lo * inner : hi * inner]
        if inner == 1:
            for c in range(k.size):
                y[c] = x[c] * k[c]
        else:
            for c in range(k.size):
                x1, y1, t = x[c * inner : (c + 1) * inner], y[c * inner : (c + 1) * inner], k[c]
                for i in range(x1.size):
                    y1[i] = x1[i] * t


@njit(parallel=True, **JIT)
def weight_norm_forward(v, g, inner, w, norm, scale):
    """Writes w (outer, n * inner), norm (n,) and scale (n,), which is g / norm.

    v: (outer, n * inner). g: (n,). inner: int.
    """
    n = g.size
    if v.size < GRAIN:
        _forward(v, g, inner, w, norm, scale, 0, n)
    else:
        for k in prange((n + BLOCK - 1) // BLOCK):
            lo = np.intp(k) * BLOCK
            _forward(v, g, inner, w, norm, scale, lo, min(n, lo + BLOCK))


@njit(**JIT)
def _backward(dw, v, scale, norm, inner, dv, dg, lo, hi):
    s = np.empty(hi - lo)
    _dots(dw, v, inner, s, lo)
    r, k, d = norm[lo:hi], scale[lo:hi], dg[lo:hi]
    q = np.empty(s.size, v.dtype)
    for c in range(s.size):
        d[c] = s[c] / r[c]
        q[c] = -k[c] * (d[c] / r[c])
    _combine(dw, k, v, q, dv, inner, lo)


@njit(parallel=True, **JIT)
def weight_norm_backward(dw, v, scale, norm, inner, dv, dg):
    """Writes dv (outer, n * inner) and dg (n,).

    dw, v: (outer, n * inner). scale, norm: (n,), of the forward. inner: int.
    """
    n = norm.size
    if v.size < GRAIN:
        _backward(dw, v, scale, norm, inner, dv, dg, 0, n)
    else:
        for k in prange((n + BLOCK - 1) // BLOCK):
            lo = np.intp(k) * BLOCK
            _backward(dw, v, scale, norm, inner, dv, dg, lo, min(n, lo + BLOCK))
