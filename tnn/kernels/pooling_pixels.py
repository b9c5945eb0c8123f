"""Pooling of images whose channels lie side by side: arrays (images, D, H, W, C), a pixel's channels in vectors' lanes.

Pooling and its gradient are one loop. Each place of the target takes some places of the source, its taps: going
forward a window its elements, going back an element the windows that hold it. So nothing is added to memory twice, and
nothing has to be set to 0 first. ``Taps`` has both directions as tables: for each row of places (D, H) the source's
rows it takes, for each column the source's columns; rows or columns that take the same but for a shift are a run. An
element of a window has a number, row by row, and each window a size to divide by.

Contiguous planes are turned into such images a vector of planes at a time, and back: unless rows are long that takes
less than to pool rows shorter than vectors (two threads, 3 x 3, two apart, 8 x 32 planes of 14 x 14: maximum 44 and 12
us, mean 33 and 10, gradient of the mean 70 and 14; 4 x 64 of 56 x 56: 190 and 115, 154 and 89, 296 and 127).

Speed beside PyTorch 2.13 with the same strides, two threads, 8 x 64 x 56 x 56, by way of a contiguous copy and so:
maximum of 3 x 3 two apart 0.40 and 2.2, with the gradient 0.70 and 1.3; mean of these 0.44 and 2.2, 0.37 and 2.2.
"""

import numpy as np
from numba import njit, prange
from numba.core import config

from ._jit import GRAIN, JIT
from ._simd import VECTOR_BYTES, VL32, VL64, keep, number, ptr, scratch, shift, vector_len
from ._simd_pixels import max_pixels, spread_pixels, sum_pixels, top_pixels
from ._turn import turn_in, turn_out

# Taps taken at a time, and elements of the target that a unit of work has at least.
MOST = 64
UNIT = 1 << 13
# What is done with the taps: ``pool_pixels``.
MAX, TOP, MEAN, SPREAD, GIVE = range(5)


# Elements of a plane above which an image of planes does not fit the cache, and of all planes from which on to turn
# them pays for a longer way in.
LARGE, SMALL = 1 << 14, 1 << 10


def lanes(itemsize):
    """How many planes are turned into an image."""
    return VL32 if itemsize == 4 else VL64


def turns(size, total, itemsize):
    """Whether planes of so many elements, ``total`` in all, are better turned: where few lanes stay empty."""
    planes, vl = total // size, lanes(itemsize)
    return SMALL <= total and size <= LARGE and planes >= 0.7 * vl * -(-planes // vl) and not config.DISABLE_JIT


def _lists(window, dilation, size):
    """For each window of a dimension (source, tap, share of the divisor) of its elements, and for each of ``size``
    elements the same of its windows."""
    windows, elements = [], [[] for _ in range(size)]
    for o, (start, first, past, share) in enumerate(window):
        windows.append([(start + t * dilation, t, share) for t in range(first, past)])
        for i, t, _ in windows[-1]:
            elements[i].append((o, t, share))
    return windows, elements


def _runs(lists, steps):
    """Runs of columns: (first, how many, step in the target, step in the source, first and past entry)."""
    runs, entries, done = [], [], set()
    for i, mine in enumerate(lists):
        if i in done:
            continue
        best = 1, 1, 0
        for step, shifted in steps:
            count, following = 1, mine
            while i + count * step < len(lists):
                following = [(at + shifted, t, w) for at, t, w in following]
                if lists[i + count * step] != following:
                    break
                count += 1
            best = max(best, (count, step, shifted))
        count, step, shifted = best
        done.update(range(i, i + count * step, step))
        runs.append((i, count, step, shifted, len(entries), len(entries) + len(mine)))
        entries += mine
    return runs, entries


def _table(lists, kernel, height, steps, pitch):
    """All of a direction in one array: sizes, then runs and entries of the rows, then those of the columns."""
    depth, high, width = lists
    rows = [
        [(z * height + r, (a * kernel[1] + b) * kernel[2], v * w) for z, a, v in deep for r, b, w in line]
        for deep in depth for line in high
    ]  # fmt: skip
    parts = [*_runs(rows, steps[:1]), *_runs(width, steps[1:])]
    head = [len(rows), len(width), pitch, max(len(line) for line in width), *map(len, parts)]
    return np.array([*head, *(n for part in parts for entry in part for n in entry)], np.int64)


class Taps:
    """The tables of a pooling in three dimensions: ``forward``, of windows that take elements, and ``backward``.

    Args:
        size: of a plane.
        windows: for each dimension its windows: where each starts (in front of the plane where there is padding), the
            first and last-plus-one of its elements inside, and its share of the divisor.
        kernel, stride, dilation: of the windows.
        numbers: what an element's number is: its place in the "window", in the "plane", or None.
    """

    __slots__ = ("forward", "backward")

    def __init__(self, size, windows, kernel, stride, dilation, numbers="window"):
        pairs = [_lists(*args) for args in zip(windows, dilation, size, strict=True)]
        there, back = zip(*pairs, strict=True)
        if numbers == "plane":
            there, kernel = [[[(i, i, w) for i, _, w in one] for one in lists] for lists in there], size
        elif numbers is None:
            both = there, back
            there, back = ([[[(i, 0, w) for i, _, w in one] for one in lists] for lists in way] for way in both)
        down, right = stride[1:]
        self.forward = _table(there, kernel, size[1], ((1, down), (1, right)), size[2])
        self.backward = _table(back, kernel, len(windows[1]), ((down, 1), (right, 1), (1, 0)), len(windows[2]))


def window_taps(size, out, kernel, stride, padding, dilation, include_pad, divisor):
    """The tables for windows of one size in three dimensions; ``divisor`` 0: that of ``pooling.avg_pool_forward``."""
    windows = []
    for j, (n, m, k, s, p, d) in enumerate(zip(size, out, kernel, stride, padding, dilation, strict=True)):
        some = []
        for start in range(-p, m * s - p, s):
            first, past = max(0, -(start // d)), max(0, min(k, -((start - n) // d)))
            length = min(start + k, n + p) - start if include_pad else past - first
            share = max(1, length) if divisor == 0 else (divisor if j == 0 else 1)
            some.append((start, first, past, share))
        windows.append(some)
    return Taps(size, windows, kernel, stride, dilation)


def adaptive_taps(size, out, numbers):
    """The tables for windows that divide each dimension into ``out`` parts."""
    windows = []
    for n, m in zip(size, out, strict=True):
        bounds = [(o * n // m, -(-(o + 1) * n // m)) for o in range(m)]
        windows.append([(lo, 0, hi - lo, hi - lo) for lo, hi in bounds])
    stride = [max(1, n // m) for n, m in zip(size, out, strict=True)]
    return Taps(size, windows, size, stride, (1, 1, 1), numbers)


@njit(**JIT)
def _parts(table):
    """Runs (first, how many, step in the target, step in the source, first and past entry) and entries (place in the
    source, number, share of the divisor) of rows and columns."""
    a = 8
    b = a + 6 * table[4]
    c = b + 3 * table[5]
    d = c + 6 * table[6]
    rows, columns = table[a:b].reshape(table[4], 6), table[c:d].reshape(table[6], 6)
    return rows, table[b:c].reshape(table[5], 3), columns, table[d:].reshape(table[7], 3)


@njit(**JIT)
def _offsets(rows, columns, pitch, channels, offsets, numbers, weights, given):
    """The taps of some of the source's rows and of a run's columns; how many. Weights are 1 where none are given."""
    n = 0
    for a in range(rows.shape[0]):
        row, first, share = rows[a, 0] * pitch, rows[a, 1], rows[a, 2]
        for c in range(columns.shape[0]):
            offsets[n] = (row + columns[c, 0]) * channels
            numbers[n] = first + columns[c, 1]
            weights[n] = 1
            if given:
                weights[n] = 1.0 / (share * columns[c, 2])
            n += 1
    return n


@njit(**JIT)
def _block(kind, source, target, tap, table, first_row, last_row, channels, many, offsets, numbers, weights):
    """Some rows of the target: ``many`` channels of each pixel. Arrays from the first of them on, as pointers; a run of
    columns in all rows that take the same together, since to write their taps down may take as long as to take them."""
    runs, rows, column_runs, columns = _parts(table)
    width, pitch = table[1], table[2]
    one = number(target, 1)
    for i in range(runs.shape[0]):
        top, lines, down, apart, a, last = runs[i]
        j0 = max(0, (first_row - top + down - 1) // down)
        j1 = min(lines, (last_row - top + down - 1) // down)
        for k in range(column_runs.shape[0] if j0 < j1 else 0):
            left, count, right, shifted, c0, c1 = column_runs[k]
            some, r0, more = max(1, MOST // max(1, c1 - c0)), a, True
            lds, ldd = shifted * channels, right * channels
            numbers[0] = 0
            while more:
                r1 = min(last, r0 + some)
                parts = rows[r0:r1], columns[c0:c1]
                n = _offsets(*parts, pitch, channels, offsets, numbers, weights, kind == GIVE)
                at, on = ptr(offsets, 0), np.intp(r0 > a)
                more = r1 < last
                divisor = one if more or n == 0 or kind != MEAN else number(target, rows[a, 2] * columns[c0, 2])
                for j in range(j0, j1):
                    near = ((top + j * down - first_row) * width + left) * channels
                    far = j * apart * pitch * channels
                    src, dst = shift(source, far), shift(target, near)
                    if kind == MEAN or kind == GIVE:
                        sum_pixels(n, at, ptr(weights, 0), src, lds, dst, ldd, many, count, on, divisor)
                    elif kind == MAX:
                        max_pixels(n, at, ptr(numbers, 0), src, lds, dst, ldd, shift(tap, near), many, count, on)
                    elif kind == TOP:
                        top_pixels(n, at, ptr(numbers, 0), src, lds, dst, ldd, many, count, on)
                    else:
                        spread_pixels(n, at, ptr(numbers, 0), src, lds, dst, ldd, shift(tap, far), many, count, on)
                r0 = r1


@njit(parallel=True, **JIT)
def pool_pixels(source, target, tap, table, kind, images, channels, planes):
    """Writes target and, where ``kind`` is MAX, tap; all flat. SPREAD reads tap, the others do not need it.

    table: a direction of ``Taps``. planes: 0, or the number of planes that lie one after the other in source and
    target; then there are as many ``images`` as hold all of them in ``channels`` = vector_len lanes. Planes are turned
    into such images, a few at a time, and back; taps stay as these images have them.
    """
    lines, width = table[0], table[1]
    vl = vector_len(ptr(source, 0))
    size = source.size // max(1, planes if planes else images * channels)
    count = lines * width
    some, parts, each = lines, 1, 1
    small = max(source.size, target.size) < GRAIN // 4
    if small:
        each = images
    elif planes > 0:
        each = max(1, UNIT // (max(size, count) * channels))
    else:
        some = max(1, min(lines, UNIT // (max(width, table[2]) * channels)))
        if images * lines < 8:
            parts = max(1, min(8, channels // 64))
    blocks, bunches = (lines + some - 1) // some, (images + each - 1) // each
    room = max(MOST, table[3])
    for unit in prange(bunches * blocks * parts):
        u = np.intp(unit)
        part, block, bunch = u % parts, u // parts % blocks, u // (parts * blocks)
        lo, hi = channels * part // parts, channels * (part + 1) // parts
        offsets, numbers, weights = np.empty(room, np.intp), np.empty(room, np.int32), np.empty(room, target.dtype)
        turned = (size + count) * vl if planes > 0 else 0
        buffer = np.empty(turned * (VECTOR_BYTES // vl) + 64, np.uint8)
        near = scratch(buffer, ptr(source, 0))
        far = shift(near, size * vl)
        first = block * some
        for image in range(bunch * each, min(images, (bunch + 1) * each)):
            src, dst = image * size * channels, (image * count + first * width) * channels
            which = dst + lo if kind == MAX else src + lo if kind == SPREAD else 0
            left, right = ptr(source, src + lo), ptr(target, dst + lo)
            if planes > 0:
                turn_in(left, size, min(vl, planes - image * vl), near, size)
                left, right = near, far
            _block(
                kind, left, right, ptr(tap, which), table, first, min(lines, first + some), channels, hi - lo, offsets,
                numbers, weights,
            )  # fmt: skip
            if planes > 0:
                turn_out(far, ptr(target, dst), count, min(vl, planes - image * vl), count)
        keep(offsets)
        keep(numbers)
        keep(weights)
        keep(buffer)


@njit(parallel=True, **JIT)
def scatter_pixels(gy, index, gx, images, channels):
    """Writes gx, flat: the sum of the gradients gy of all outputs of an image and channel whose index it is."""
    outputs, pixels = gy.size // max(1, images * channels), gx.size // max(1, images * channels)
    parts = max(1, min(channels // 64, 8 // images)) if gx.size >= GRAIN // 4 else 1
    for unit in prange(images * parts):
        part, image = np.intp(unit) % parts, np.intp(unit) // parts
        lo, hi = channels * part // parts, channels * (part + 1) // parts
        target = gx[image * pixels * channels : (image + 1) * pixels * channels].reshape(pixels, channels)
        for i in range(pixels):
            pixel = target[i, lo:hi]
            for c in range(pixel.size):
                pixel[c] = 0
        for o in range(image * outputs, (image + 1) * outputs):
            grad, where = gy[o * channels + lo : o * channels + hi], index[o * channels + lo : o * channels + hi]
            for c in range(grad.size):
                target[np.uintp(where[c]), np.uintp(lo + c)] += grad[c]
