"""Linear sampling of images with several channels, cubic sampling, and linear sampling of volumes: ``grid_sample``'s,
with a channel in each lane of a vector.

The planes of as many channels as a vector holds are turned, so that a pixel of all of them is one vector and a tap one
load. Four pixels of zeros behind the image stand for taps outside it. 8 x 16 x 32 x 32 on one thread: forward 350 us
channel by channel, 130 us so; backward 670 and 270.
"""

import numpy as np
from numba import njit, prange

from ._jit import JIT
from ._simd import VL32, VL64, keep, ptr, shift
from ._simd_taps import add_taps, slope_taps, take_taps
from ._turn import clear, turn_in, turn_out
from .grid_sample import CHUNK_POINTS, _table, taps

# With fewer channels the kernels of grid_sample.py are as fast, and need less memory.
FEWEST = 6
# Pixels behind the image.
SPARE = 4


def vectors(x, count):
    """The shape of ``count`` vectors for each image and block of channels of x (N, C, H, W)."""
    lanes = VL32 if x.itemsize == 4 else VL64
    return x.shape[0], -(-x.shape[1] // lanes), count, lanes


@njit(parallel=True, **JIT)
def _turn_images(x, image):
    """The pixels of x (N, C, H, W) to image (N, blocks, H W + SPARE, lanes), the spare ones zero."""
    channels, size = x.shape[1], x.shape[2] * x.shape[3]
    blocks, vl = image.shape[1], image.shape[3]
    parts = (size + CHUNK_POINTS - 1) // CHUNK_POINTS
    for k in prange(x.shape[0] * blocks * parts):
        plane, lo = np.intp(k) // parts, np.intp(k) % parts * CHUNK_POINTS
        n, c = plane // blocks, plane % blocks * vl
        target = ptr(image, plane * (size + SPARE) * vl)
        count = min(CHUNK_POINTS, size - lo)
        turn_in(ptr(x, (n * channels + c) * size + lo), size, min(vl, channels - c), shift(target, lo * vl), count)
        if lo == 0:
            clear(shift(target, size * vl), SPARE * vl)


@njit(parallel=True, **JIT)
def lanes_forward(x, grid, pad, align, image, y):
    """Writes y (N, C, P) from images x (N, C, H, W) of less than 2**31 elements each, and grid (N, P, 2).

    image: scratch, ``vectors(x, H * W + SPARE)``.
    """
    points, channels, h, w = grid.shape[1], x.shape[1], x.shape[2], x.shape[3]
    blocks, vl = image.shape[1], image.shape[3]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    _turn_images(x, image)
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        m = min(points, lo + CHUNK_POINTS) - lo
        at, weight = np.empty((4, m), np.int32), np.empty((4, m), x.dtype)
        line, part = np.empty((2, m), np.int32), np.empty((4, m), np.float64)
        _table(grid[n, lo : lo + m], h, w, pad, align, h * w + SPARE - 1, at, weight, line, part)
        sums = np.empty(m * vl, x.dtype)
        for block in range(blocks):
            c = block * vl
            plane = ptr(image, (n * blocks + block) * (h * w + SPARE) * vl)
            take_taps(m, plane, ptr(at, 0), ptr(weight, 0), m, ptr(sums, 0))
            turn_out(ptr(sums, 0), ptr(y, (n * channels + c) * points + lo), points, min(vl, channels - c), m)
        keep(at)
        keep(weight)
        keep(sums)


@njit(parallel=True, **JIT)
def lanes_backward(g, x, grid, pad, align, image, turned, at, weight, gx, ggrid):
    """Writes gx (N, C, H, W) and ggrid (N, P, 2) from g (N, C, P); either may be empty, and is then left out.

    Scratch: image as for the forward, turned ``vectors(x, P)``, at (N, 4, P) int32, weight (N, 4, P).
    """
    points, channels, h, w = grid.shape[1], x.shape[1], x.shape[2], x.shape[3]
    blocks, vl, size = image.shape[1], image.shape[3], h * w
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    if ggrid.size > 0:
        _turn_images(x, image)
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        m = min(points, lo + CHUNK_POINTS) - lo
        line, part = np.empty((2, m), np.int32), np.empty((4, m), np.float64)
        places, factors = at[n, :, lo : lo + m], weight[n, :, lo : lo + m]
        _table(grid[n, lo : lo + m], h, w, pad, align, size + SPARE - 1, places, factors, line, part)
        fraction, slope = part[:2].astype(x.dtype), np.zeros((2, m), x.dtype)
        for block in range(blocks):
            c = block * vl
            mine = ptr(turned, ((n * blocks + block) * points + lo) * vl)
            turn_in(ptr(g, (n * channels + c) * points + lo), points, min(vl, channels - c), mine, m)
            if ggrid.size > 0:
                plane = ptr(image, (n * blocks + block) * (size + SPARE) * vl)
                mine_at = ptr(at, n * 4 * points + lo)
                slope_taps(m, mine, plane, mine_at, points, ptr(fraction, 0), m, ptr(slope, 0), ptr(slope, m))
        if ggrid.size > 0:
            for i in range(m):
                ggrid[n, lo + i, 0] = slope[0, i] * part[2, i]
                ggrid[n, lo + i, 1] = slope[1, i] * part[3, i]
        keep(fraction)
        keep(slope)
    if gx.size > 0:
        for k in prange(x.shape[0] * blocks):
            n, c = np.intp(k) // blocks, np.intp(k) % blocks * vl
            plane = ptr(image, np.intp(k) * (size + SPARE) * vl)
            clear(plane, (size + SPARE) * vl)
            mine = ptr(turned, np.intp(k) * points * vl)
            add_taps(points, mine, plane, ptr(at, n * 4 * points), ptr(weight, n * 4 * points), points)
            turn_out(plane, ptr(gx, (n * channels + c) * size), size, min(vl, channels - c), size)


# -- any number of taps, four at a time. Cubic, 8 x 16 x 24 x 24 on one thread: 1050 us channel by channel, 330 us so.


@njit(**JIT)
def _as_images(x):
    return x.reshape((x.shape[0], x.shape[1], x.shape[2] * x.shape[3], x.shape[4]))


@njit(**JIT)
def _taken(m, plane, at, weight, part, sums):
    """sums[i] = the sum of weight[t, i] times pixel at[t, i] over all taps t; ``part``: room for as many vectors."""
    for t in range(0, at.shape[0], 4):
        target = sums if t == 0 else part
        take_taps(m, plane, ptr(at, t * m), ptr(weight, t * m), m, ptr(target, 0))
        if t > 0:
            for i in range(sums.size):
                sums[i] += part[i]


@njit(parallel=True, **JIT)
def taps_forward(x, grid, mode, pad, align, count, image, y):
    """Writes y (N, C, P) from x (N, C, D, H, W), planes of less than 2**31 elements, and grid (N, P, 2 or 3).

    ``count`` taps a point, a multiple of 4; image: scratch, ``vectors(x, D * H * W + SPARE)``.
    """
    points, channels, size = grid.shape[1], x.shape[1], x.shape[2] * x.shape[3] * x.shape[4]
    blocks, vl = image.shape[1], image.shape[3]
    per = (points + CHUNK_POINTS - 1) // CHUNK_POINTS
    _turn_images(_as_images(x), image)
    for k in prange(x.shape[0] * per):
        n, lo = np.intp(k) // per, np.intp(k) % per * CHUNK_POINTS
        m = min(points, lo + CHUNK_POINTS) - lo
        at, weight, none = np.empty((count, m), np.int32), np.empty((count, m), x.dtype), np.empty((0, 0, 0), x.dtype)
        taps(x, grid[n, lo : lo + m], mode, pad, align, SPARE, at, weight, none)
        sums, part = np.empty(m * vl, x.dtype), np.empty(m * vl, x.dtype)
        for block in range(blocks):
            c = block * vl
            _taken(m, ptr(image, (n * blocks + block) * (size + SPARE) * vl), at, weight, part, sums)
            turn_out(ptr(sums, 0), ptr(y, (n * channels + c) * points + lo), points, min(vl, channels - c), m)
        keep(sums)


@njit(**JIT)
def _taps_backward(g, x, grid, mode, pad, align, count, n, image, total, gx, ggrid):
    """One sample."""
    points, channels, size = grid.shape[0], x.shape[1], x.shape[2] * x.shape[3] * x.shape[4]
    blocks, vl = image.shape[1], image.shape[3]
    axes = grid.shape[1] if ggrid.size > 0 else 0
    if gx.size > 0:
        clear(ptr(total, n * blocks * (size + SPARE) * vl), blocks * (size + SPARE) * vl)
    for lo in range(0, points, CHUNK_POINTS):
        m = min(points, lo + CHUNK_POINTS) - lo
        at, weight = np.empty((count, m), np.int32), np.empty((count, m), x.dtype)
        slopes = np.empty((axes, count, m), x.dtype)
        taps(x, grid[lo : lo + m], mode, pad, align, SPARE, at, weight, slopes)
        mine, sums, part = np.empty(m * vl, x.dtype), np.empty(m * vl, x.dtype), np.empty(m * vl, x.dtype)
        for i in range(m):
            for axis in range(axes):
                ggrid[n, lo + i, axis] = 0
        for block in range(blocks):
            c, plane = block * vl, (n * blocks + block) * (size + SPARE) * vl
            turn_in(ptr(g, (n * channels + c) * points + lo), points, min(vl, channels - c), ptr(mine, 0), m)
            for axis in range(axes):
                _taken(m, ptr(image, plane), at, slopes[axis], part, sums)
                for i in range(m):
                    slope = x.dtype.type(0)
                    a, b = sums[i * vl : (i + 1) * vl], mine[i * vl : (i + 1) * vl]
                    for lane in range(vl):
                        slope += a[lane] * b[lane]
                    ggrid[n, lo + i, axis] += slope
            if gx.size > 0:
                for t in range(0, count, 4):
                    add_taps(m, ptr(mine, 0), ptr(total, plane), ptr(at, t * m), ptr(weight, t * m), m)
        keep(at)
        keep(weight)
        keep(mine)
    if gx.size > 0:
        for block in range(blocks):
            c, plane = block * vl, (n * blocks + block) * (size + SPARE) * vl
            turn_out(ptr(total, plane), ptr(gx, (n * channels + c) * size), size, min(vl, channels - c), size)


@njit(parallel=True, **JIT)
def taps_backward(g, x, grid, mode, pad, align, count, image, total, gx, ggrid):
    """Writes gx (N, C, D, H, W) and ggrid (N, P, 2 or 3) from g (N, C, P); either may be empty, and is then left out.

    Scratch: image as for the forward, and total as large.
    """
    if ggrid.size > 0:
        _turn_images(_as_images(x), image)
    for k in prange(x.shape[0]):
        n = np.intp(k)
        _taps_backward(g, x, grid[n], mode, pad, align, count, n, image, total, gx, ggrid)
