"""Sampling an image or volume at given points, linearly, at the nearest element, or by cubic convolution.

x is (N, C, D, H, W), grid (N, P, 3) in units of [-1, 1] as (x, y, z), y (N, C, P). Images have D = 1 and points with
z such that plane 0 is hit exactly (``flat``).

A coordinate g becomes u = (g + 1) / 2 (n - 1) where corners are aligned, else ((g + 1) n - 1) / 2. ``pad`` says
what lies
outside: 0 zeros, 1 the border's value, 2 the image reflected. ``mode``: 0 linear, 1 nearest, 2 cubic (images).
"""

import math

import numpy as np
from numba import njit, prange

from ._jit import JIT

CHUNK_POINTS = 512


@njit(**JIT)
def _reflect(u, twice_low, twice_high):
    """The reflected coordinate and the sign of its derivative."""
    if twice_low == twice_high:
        return 0.0, 0.0
    low = twice_low / 2
    span = (twice_high - twice_low) / 2
    v = u - low
    sign = 1.0
    if v < 0:
        v = -v
        sign = -1.0
    flips = math.floor(v / span)
    extra = v - flips * span
    if int(flips) % 2 == 0:
        return extra + low, sign
    return span - extra + low, -sign


@njit(**JIT)
def _bound(u, n, pad, align):
    """A coordinate in pixels after padding, and its derivative."""
    d = 1.0
    if pad == 2:
        if align:
            u, d = _reflect(u, 0.0, 2.0 * (n - 1))
        else:
            u, d = _reflect(u, -1.0, 2.0 * n - 1)
    if pad != 0:
        if u <= 0:
            u, d = 0.0, 0.0
        elif u >= n - 1:
            u, d = float(n - 1), 0.0
    if not (u > -2147483648.0 and u < 2147483646.0):
        u = -100.0
    return u, d


@njit(**JIT)
def _pixel(g, n, align):
    return ((g + 1) / 2 * (n - 1), (n - 1) / 2) if align else (((g + 1) * n - 1) / 2, n / 2)


@njit(**JIT)
def _clip_pixel(i, n, pad, align):
    """An integer tap of the cubic filter after padding; outside [0, n) only for zeros."""
    u, _ = _bound(float(i), n, pad, align)
    return int(u)


@njit(**JIT)
def _cubic_weights(t, w, d):
    """Weights of the four taps around fraction t and their derivatives by t (Keys, a = -0.75)."""
    a = -0.75
    s = 1 - t
    x = t + 1
    w[0] = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    d[0] = (3 * a * x - 10 * a) * x + 8 * a
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1
    d[1] = (3 * (a + 2) * t - 2 * (a + 3)) * t
    w[2] = ((a + 2) * s - (a + 3)) * s * s + 1
    d[2] = -(3 * (a + 2) * s - 2 * (a + 3)) * s
    x = 2 - t
    w[3] = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    d[3] = -((3 * a * x - 10 * a) * x + 8 * a)


@njit(**JIT)
def _axis(g, n, mode, pad, align, at, w, d):
    """The taps of one axis: positions ``at`` (-1: none), weights w and derivatives d by g; returns how many."""
    u, scale = _pixel(g, n, align)
    if mode == 2:
        if not (u > -2147483648.0 and u < 2147483646.0):
            u = -100.0
        first = math.floor(u)
        _cubic_weights(u - first, w, d)
        for k in range(4):
            i = _clip_pixel(int(first) - 1 + k, n, pad, align)
            at[k] = i if 0 <= i < n else -1
            d[k] *= scale
        return 4
    u, slope = _bound(u, n, pad, align)
    if mode == 1:
        i = int(np.rint(u))
        at[0] = i if 0 <= i < n else -1
        w[0] = 1.0
        d[0] = 0.0
        return 1
    first = math.floor(u)
    i = int(first)
    t = u - first
    at[0] = i if 0 <= i < n else -1
    at[1] = i + 1 if 0 <= i + 1 < n else -1
    w[0], w[1] = 1 - t, t
    d[0], d[1] = -slope * scale, slope * scale
    return 2


@njit(**JIT)
def grid_sample_taps(g, n, mode, pad, align, at, t, slope):
    """Writes, for the coordinates g (M,) along an axis of n elements, what :func:`_axis` makes weights from.

    at (M, 4): the taps' positions, -1 for none; t (M,): the fraction from the first tap on (from the second one for
    cubic); slope (M,): its derivative by g.
    """
    w, d = np.zeros(4), np.zeros(4)
    for p in range(g.shape[0]):
        c = float(g[p])
        for k in range(4):
            at[p, k] = -1
        _axis(c, n, mode, pad, align, at[p], w, d)
        u, scale = _pixel(c, n, align)
        s = 1.0
        if mode != 2:
            u, s = _bound(u, n, pad, align)
        elif not (u > -2147483648.0 and u < 2147483646.0):
            u = -100.0
        t[p], slope[p] = u - math.floor(u), s * scale


@njit(**JIT)
def _axes(point, x, mode, pad, align, flat, at, w, d, count):
    for j in range(3):
        n = x.shape[4 - j]
        if j == 2 and flat:
            at[2, 0], w[2, 0], d[2, 0], count[2] = 0, 1.0, 0.0, 1
        else:
            count[j] = _axis(float(point[j]), n, mode, pad, align, at[j], w[j], d[j])


@njit(**JIT)
def _sample(x, grid, n, lo, hi, mode, pad, align, flat, y):
    at, w, d = np.zeros((3, 4), np.int64), np.zeros((3, 4)), np.zeros((3, 4))
    count = np.zeros(3, np.int64)
    for p in range(lo, hi):
        _axes(grid[n, p], x, mode, pad, align, flat, at, w, d, count)
        for c in range(x.shape[1]):
            total = 0.0
            for a in range(count[2]):
                for b in range(count[1]):
                    for e in range(count[0]):
                        if at[2, a] >= 0 and at[1, b] >= 0 and at[0, e] >= 0:
                            total += w[2, a] * w[1, b] * w[0, e] * x[n, c, at[2, a], at[1, b], at[0, e]]
            y[n, c, p] = total


@njit(parallel=True, **JIT)
def grid_sample_forward(x, grid, mode, pad, align, flat, y):
    """Writes y (N, C, P)."""
    points = grid.shape[1]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    for k in prange(x.shape[0] * per):
        n = np.intp(k) // per
        lo = np.intp(k) % per * CHUNK_POINTS
        _sample(x, grid, n, lo, min(points, lo + CHUNK_POINTS), mode, pad, align, flat, y)


@njit(parallel=True, **JIT)
def grid_sample_backward(g, x, grid, mode, pad, align, flat, gx, ggrid):
    """Writes gx (N, C, D, H, W) and ggrid (N, P, 3) from g (N, C, P)."""
    for k in prange(x.shape[0]):
        n = np.intp(k)
        at, w, d = np.zeros((3, 4), np.int64), np.zeros((3, 4)), np.zeros((3, 4))
        count = np.zeros(3, np.int64)
        for c in range(x.shape[1]):
            for z in range(x.shape[2]):
                for r in range(x.shape[3]):
                    for i in range(x.shape[4]):
                        gx[n, c, z, r, i] = 0
        for p in range(grid.shape[1]):
            _axes(grid[n, p], x, mode, pad, align, flat, at, w, d, count)
            sx = sy = sz = 0.0
            for c in range(x.shape[1]):
                v = g[n, c, p]
                for a in range(count[2]):
                    for b in range(count[1]):
                        for e in range(count[0]):
                            if at[2, a] >= 0 and at[1, b] >= 0 and at[0, e] >= 0:
                                gx[n, c, at[2, a], at[1, b], at[0, e]] += w[2, a] * w[1, b] * w[0, e] * v
                                t = v * x[n, c, at[2, a], at[1, b], at[0, e]]
                                sx += t * w[2, a] * w[1, b] * d[0, e]
                                sy += t * w[2, a] * d[1, b] * w[0, e]
                                sz += t * d[2, a] * w[1, b] * w[0, e]
            ggrid[n, p, 0], ggrid[n, p, 1], ggrid[n, p, 2] = sx, sy, sz
