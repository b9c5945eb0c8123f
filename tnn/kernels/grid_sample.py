"""Sampling an image or volume at given points, linearly, at the nearest element, or by cubic convolution.

x is (N, C, D, H, W), grid (N, P, 3) in units of [-1, 1] as (x, y, z), y (N, C, P). Images have D = 1 and points (x, y).

A coordinate g becomes u = (g + 1) (n - 1) / 2 where corners are aligned, else (g + 1) n / 2 - 1 / 2. ``pad`` says
what lies
outside: 0 zeros, 1 the border's value, 2 the image reflected. ``mode``: 0 linear, 1 nearest, 2 cubic (images).
"""

import math

import numpy as np
from numba import njit, prange

from ._jit import JIT

CHUNK_POINTS = 512
NOWHERE = 16


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
        if not u > 0:  # NaN too
            u, d = 0.0, 0.0
        elif u >= n - 1:
            u, d = float(n - 1), 0.0
    if not (u > -2147483648.0 and u < 2147483646.0):
        u = -100.0
    return u, d


@njit(**JIT)
def _pixel(g, p, n, align):
    """The coordinate g[p] in pixels and its derivative, rounded to g's type where PyTorch rounds: on a grid that moves
    little, points lie within a bit of pixels' centers, and that bit says between which pixels the slope is taken."""
    scale, shift = ((n - 1) / 2, 0.0) if align else (n / 2, -0.5)
    kind = g.dtype.type
    return np.float64(kind(np.float64(kind(g[p] + kind(1))) * scale + shift)), scale


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
def _axis(g, p, n, mode, pad, align, at, w, d):
    """The taps of one axis for the coordinate g[p]: positions ``at`` (-1: none), weights w and derivatives d by it;
    returns how many."""
    u, scale = _pixel(g, p, n, align)
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
        for k in range(4):
            at[p, k] = -1
        _axis(g, p, n, mode, pad, align, at[p], w, d)
        u, scale = _pixel(g, p, n, align)
        s = 1.0
        if mode != 2:
            u, s = _bound(u, n, pad, align)
        elif not (u > -2147483648.0 and u < 2147483646.0):
            u = -100.0
        t[p], slope[p] = u - math.floor(u), s * scale


# -- the nearest element. 8 x 16 x 24 x 24 on one thread: 457 us point by point, 35 us so.


@njit(**JIT)
def _nearest_axis(g, n, pad, align, at):
    """For each coordinate in g (P,): the nearest of n elements, or -1; without branches, so that it vectorises."""
    low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
    last = float(n - 1)
    if pad == 2:
        for p in range(at.size):
            u, _ = _pixel(g, p, n, align)
            v = abs(u - low)
            turns = np.floor(v / span)
            rest = v - turns * span
            u = (rest if turns == 2 * np.floor(turns / 2) else span - rest) + low
            u = u if u > 0.0 else 0.0
            at[p] = np.int32(np.rint(u if u < last else last))
        return
    kind = g.dtype.type
    zero, one, end = kind(0), kind(1), kind(last)
    for p in range(at.size):
        u, _ = _pixel(g, p, n, align)
        v = kind(u)
        if pad == 1:
            v = v if v > zero else zero
            v = np.rint(v if v < end else end)
        else:
            v = np.rint(v if (v > -one) & (v < end + one) else -one)
        at[p] = np.int32(v if v <= end else -one)


@njit(**JIT)
def column(grid, j):
    """One coordinate of all points, side by side: loops over a grid's column, which lie apart, do not vectorise."""
    out = np.empty(grid.shape[0], grid.dtype)
    for p in range(out.size):
        out[p] = grid[p, j]
    return out


@njit(**JIT)
def _nearest(x, grid, pad, align, at):
    """Writes at (P,) int32: where the points of grid (P, 2 or 3) lie in a plane of x, or one of NOWHERE places behind
    it: additions to the same one would wait for each other."""
    m, h, w = at.size, np.int32(x.shape[3]), np.int32(x.shape[4])
    size = np.int32(x.shape[2] * x.shape[3] * x.shape[4])
    across, down, deep = np.empty(m, np.int32), np.empty(m, np.int32), np.zeros(m, np.int32)
    _nearest_axis(column(grid, 0), x.shape[4], pad, align, across)
    _nearest_axis(column(grid, 1), x.shape[3], pad, align, down)
    if grid.shape[1] == 3:
        _nearest_axis(column(grid, 2), x.shape[2], pad, align, deep)
    for p in range(m):
        there = (across[p] >= 0) & (down[p] >= 0) & (deep[p] >= 0)
        place = np.int32(np.int32(deep[p] * h + down[p]) * w + across[p])
        at[p] = place if there else np.int32(size + np.int32(p & (NOWHERE - 1)))


@njit(**JIT)
def _tap(row, o):
    """An element of a plane, or 0 for a tap that is not there (negative)."""
    v = row[np.uint64(max(o, np.int32(0)))]
    return v if o >= 0 else row.dtype.type(0)


@njit(**JIT)
def _pick(row, at, out, line):
    """Takes the elements at ``at``, of which those behind the row are 0. A row that is short beside the points is
    copied with zeros behind it, so that the loop need not ask: 0.65 and 0.4 ns an element."""
    if row.size <= 2 * out.size:
        for i in range(row.size):
            line[i] = row[i]
        for i in range(out.size):
            out[i] = line[np.uint64(np.uint32(at[i]))]
    else:
        for i in range(out.size):
            out[i] = row[np.uint64(np.uint32(at[i]))] if at[i] < row.size else row.dtype.type(0)


@njit(parallel=True, **JIT)
def nearest_forward(x, grid, pad, align, y):
    """Writes y (N, C, P)."""
    points = grid.shape[1]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        hi = min(points, lo + CHUNK_POINTS)
        at, size = np.empty(hi - lo, np.int32), x.shape[2] * x.shape[3] * x.shape[4]
        _nearest(x, grid[n, lo:hi], pad, align, at)
        line = np.zeros(size + NOWHERE if size <= 2 * at.size else 0, x.dtype)
        for c in range(x.shape[1]):
            _pick(x[n, c].reshape(-1), at, y[n, c, lo:hi], line)


@njit(parallel=True, **JIT)
def nearest_backward(g, x, grid, pad, align, at, gx):
    """Writes gx (N, C, D, H, W) from g (N, C, P); at (N, P) int32 is scratch."""
    channels = x.shape[1]
    for k in prange(x.shape[0]):
        _nearest(x, grid[np.intp(k)], pad, align, at[np.intp(k)])
    for k in prange(x.shape[0] * channels):
        n, c = np.intp(k) // channels, np.intp(k) % channels
        out, places, grad = gx[n, c].reshape(-1), at[n], g[n, c]
        total = np.zeros(out.size + NOWHERE, x.dtype)
        for i in range(grad.size):
            total[np.uint64(np.uint32(places[i]))] += grad[i]
        for i in range(out.size):
            out[i] = total[i]


# -- images, linearly: the common case, with loops over points that vectorise. 8 x 16 x 32 x 32 on two threads: forward
# 529 us point by point, 133 us so; with the backward 1.47 ms, and 469 us.


@njit(**JIT)
def _line(g, n, pad, align, at, t, slope):
    """For each coordinate in g (P,): the first of its two taps, the fraction from there on, and that one's
    derivative."""
    if pad == 0:
        for p in range(at.size):
            u, scale = _pixel(g, p, n, align)
            u = u if (u > -2147483648.0) & (u < 2147483646.0) else -100.0
            i = np.int32(u)
            i = np.int32(i - 1) if np.float64(i) > u else i
            at[p] = i
            t[p] = u - np.float64(i) if abs(g[p]) < np.inf else np.nan
            slope[p] = scale
    else:
        for p in range(at.size):
            u, scale = _pixel(g, p, n, align)
            u, s = _bound(u, n, pad, align)
            first = math.floor(u)
            at[p] = int(first)
            t[p] = u - first
            slope[p] = s * scale


@njit(**JIT)
def _cubic_axis(g, n, pad, align, at, w, d):
    """For each coordinate in g (P,): its four taps' positions (-1: none), weights and derivatives of these, all (4, P).
    Without branches, so that it vectorises: 100 ns a point one by one, 20 ns so."""
    low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
    last = float(n - 1)
    kind = w.dtype.type
    a, one, two, three, four = kind(-0.75), kind(1), kind(2), kind(3), kind(4)
    five, eight, ten = kind(5), kind(8), kind(10)
    k = kind((n - 1) / 2 if align else n / 2)
    for p in range(g.size):
        u, _ = _pixel(g, p, n, align)
        first = np.floor(u)
        t = kind(u - first)  # NaN for an infinity, and so are the weights
        first = first if first > -2147483000.0 else -2147483000.0
        first = first if first < 2147483000.0 else 2147483000.0
        x, s, y = t + one, one - t, two - t
        w[0, p] = ((a * x - five * a) * x + eight * a) * x - four * a
        d[0, p] = ((three * a * x - ten * a) * x + eight * a) * k
        w[1, p] = ((a + two) * t - (a + three)) * t * t + one
        d[1, p] = (three * (a + two) * t - two * (a + three)) * t * k
        w[2, p] = ((a + two) * s - (a + three)) * s * s + one
        d[2, p] = -(three * (a + two) * s - two * (a + three)) * s * k
        w[3, p] = ((a * y - five * a) * y + eight * a) * y - four * a
        d[3, p] = -((three * a * y - ten * a) * y + eight * a) * k
        at[0, p] = np.int32(first) - 1
    for tap in range(3, -1, -1):
        places = at[tap]
        for p in range(g.size):
            i = np.float64(at[0, p]) + tap
            if pad == 2:
                v = abs(i - low)
                turns = np.floor(v / span)
                rest = v - turns * span
                i = (rest if turns == 2 * np.floor(turns / 2) else span - rest) + low
            if pad != 0:
                i = i if i > 0.0 else 0.0
                i = i if i < last else last
            places[p] = np.int32(i) if (i >= 0.0) & (i <= last) else np.int32(-1)


@njit(**JIT)
def _linear_axis(g, n, pad, align, at, w, d):
    """The same for two taps: at, w and d (2, P)."""
    _line(g, n, pad, align, at[0], w[1], d[1])
    for p in range(g.size):
        i, t = at[0, p], w[1, p]
        t = t if t == t else w.dtype.type(0)
        at[0, p] = i if (i >= 0) & (i < n) else -1
        at[1, p] = i + 1 if (i >= -1) & (i < n - 1) else -1
        w[0, p], w[1, p], d[0, p] = w.dtype.type(1) - t, t, -d[1, p]


@njit(**JIT)
def taps(x, grid, mode, pad, align, spare, at, weight, slopes):
    """The pixels of x (N, C, D, H, W) that the points of grid (P, 2 or 3) lie between: at (taps, P) int32, flat in the
    plane or, for those that are not there, one of ``spare`` behind it, and what they count by: weight (taps, P), and
    slopes (2 or 3, taps, P), derivatives of that by the point, unless it is empty."""
    axes, m, few = grid.shape[1], grid.shape[0], 4 if mode == 2 else 2
    size = x.shape[2] * x.shape[3] * x.shape[4]
    o = np.zeros((3, few, m), np.int32)
    w, d = np.ones((3, few, m), x.dtype), np.zeros((3, few, m), x.dtype)
    for j in range(axes):
        if mode == 2:
            _cubic_axis(column(grid, j), x.shape[4 - j], pad, align, o[j], w[j], d[j])
        else:
            _linear_axis(column(grid, j), x.shape[4 - j], pad, align, o[j], w[j], d[j])
    t = 0
    for i in range(few if axes == 3 else 1):
        for j in range(few):
            for k in range(few):
                z, r, c, u, v, s = o[2, i], o[1, j], o[0, k], w[2, i], w[1, j], w[0, k]
                places, factors, nowhere = at[t], weight[t], np.int32(size + t % spare)
                for p in range(m):
                    there = (z[p] >= 0) & (r[p] >= 0) & (c[p] >= 0)
                    place = (np.intp(z[p]) * x.shape[3] + np.intp(r[p])) * x.shape[4] + np.intp(c[p])
                    places[p] = np.int32(place) if there else nowhere
                    factors[p] = u[p] * v[p] * s[p]
                if slopes.shape[0] > 0:
                    across, down = slopes[0, t], slopes[1, t]
                    e, f = d[0, k], d[1, j]
                    for p in range(m):
                        across[p] = u[p] * v[p] * e[p]
                        down[p] = u[p] * f[p] * s[p]
                if slopes.shape[0] > 2:
                    deep, e = slopes[2, t], d[2, i]
                    for p in range(m):
                        deep[p] = e[p] * v[p] * s[p]
                t += 1


@njit(**JIT)
def _corners(ax, ay, tx, ty, h, w, outside, at, weight):
    """The four taps of each point in a plane, row by row: at (4, P) and weight (4, P). Tap t that is not there is
    ``outside`` - t."""
    a, b, c, d = at[0], at[1], at[2], at[3]
    p, q, r, s = weight[0], weight[1], weight[2], weight[3]
    for i in range(ax.size):
        x, y, fx, fy = ax[i], ay[i], tx[i], ty[i]
        o = y * w + x
        left, right = (x >= 0) & (x < w), (x >= -1) & (x < w - 1)
        top, low = (y >= 0) & (y < h), (y >= -1) & (y < h - 1)
        a[i] = o if top & left else outside
        b[i] = o + 1 if top & right else outside - 1
        c[i] = o + w if low & left else outside - 2
        d[i] = o + w + 1 if low & right else outside - 3
        p[i], q[i], r[i], s[i] = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx


@njit(**JIT)
def _blend(row, a, b, c, d, p, q, r, s, out):
    for i in range(out.size):
        upper = p[i] * _tap(row, a[i]) + q[i] * _tap(row, b[i])
        out[i] = upper + (r[i] * _tap(row, c[i]) + s[i] * _tap(row, d[i]))


@njit(**JIT)
def _table(grid, h, w, pad, align, outside, at, weight, line, part):
    """_corners of the points in grid (P, 2); line (2, P) and part (4, P) get what _line writes for each axis."""
    _line(column(grid, 0), w, pad, align, line[0], part[0], part[2])
    _line(column(grid, 1), h, pad, align, line[1], part[1], part[3])
    _corners(line[0], line[1], part[0], part[1], h, w, outside, at, weight)


@njit(parallel=True, **JIT)
def bilinear_forward(x, grid, pad, align, y):
    """Writes y (N, C, P) from images x (N, C, H, W) of less than 2**31 elements each, and grid (N, P, 2)."""
    points, channels, h, w = grid.shape[1], x.shape[1], x.shape[2], x.shape[3]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        hi = min(points, lo + CHUNK_POINTS)
        m = hi - lo
        at, weight = np.empty((4, m), np.int32), np.empty((4, m), x.dtype)
        line, part = np.empty((2, m), np.int32), np.empty((4, m), np.float64)
        _table(grid[n, lo:hi], h, w, pad, align, -1, at, weight, line, part)
        for c in range(channels):
            row = x[n, c].reshape(-1)
            _blend(row, at[0], at[1], at[2], at[3], weight[0], weight[1], weight[2], weight[3], y[n, c, lo:hi])


@njit(**JIT)
def _slopes(row, g, a, b, c, d, tx, ty, sx, sy):
    """Adds one channel's part to the derivatives by the points' pixel coordinates."""
    kind = row.dtype.type
    for i in range(g.size):
        p, q, r, s = _tap(row, a[i]), _tap(row, b[i]), _tap(row, c[i]), _tap(row, d[i])
        fx, fy = tx[i], ty[i]
        sx[i] += g[i] * ((q - p) * (kind(1) - fy) + (s - r) * fy)
        sy[i] += g[i] * ((r - p) * (kind(1) - fx) + (s - q) * fx)


@njit(**JIT)
def _spread(g, a, b, c, d, p, q, r, s, total):
    for i in range(g.size):
        v = g[i]
        total[np.uint64(a[i])] += p[i] * v
        total[np.uint64(b[i])] += q[i] * v
        total[np.uint64(c[i])] += r[i] * v
        total[np.uint64(d[i])] += s[i] * v


@njit(parallel=True, **JIT)
def bilinear_backward(g, x, grid, pad, align, at, weight, gx, ggrid):
    """Writes gx (N, C, H, W) and ggrid (N, P, 2) from g (N, C, P); either may be empty, and is then left out.

    at (N, 4, P) int32 and weight (N, 4, P) are scratch.
    """
    points, channels, h, w = grid.shape[1], x.shape[1], x.shape[2], x.shape[3]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        hi = min(points, lo + CHUNK_POINTS)
        m = hi - lo
        line, part = np.empty((2, m), np.int32), np.empty((4, m), np.float64)
        o, f = np.empty((4, m), np.int32), np.empty((4, m), x.dtype)
        _table(grid[n, lo:hi], h, w, pad, align, -1, o, f, line, part)
        if ggrid.size > 0:
            total, fraction = np.zeros((2, m), x.dtype), np.empty((2, m), x.dtype)
            for i in range(m):
                fraction[0, i], fraction[1, i] = part[0, i], part[1, i]
            for c in range(channels):
                row = x[n, c].reshape(-1)
                _slopes(row, g[n, c, lo:hi], o[0], o[1], o[2], o[3], fraction[0], fraction[1], total[0], total[1])
            for i in range(m):
                ggrid[n, lo + i, 0] = total[0, i] * part[2, i]
                ggrid[n, lo + i, 1] = total[1, i] * part[3, i]
        for j in range(4):
            places, factors, taps, parts = at[n, j, lo:hi], weight[n, j, lo:hi], o[j], f[j]
            for i in range(m):
                places[i] = taps[i] if taps[i] >= 0 else h * w + 16 * j + (i & 15)
                factors[i] = parts[i]
    if gx.size > 0:
        for k in prange(x.shape[0] * channels):
            n, c = np.intp(k) // channels, np.intp(k) % channels
            # The last elements take what lies outside: many, since additions to the same one wait for each other.
            total = np.zeros(h * w + 64, x.dtype)
            o, f = at[n], weight[n]
            _spread(g[n, c], o[0], o[1], o[2], o[3], f[0], f[1], f[2], f[3], total)
            out = gx[n, c].reshape(-1)
            for i in range(out.size):
                out[i] = total[i]
