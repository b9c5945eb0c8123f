"""Dense 3 x 3 convolution with stride 1 by Winograd's minimal filtering: 16 products where 36 are defined.

A tile is 2 x 2 outputs and the 4 x 4 inputs d below them. With the small matrices of ``_simd_winograd``, for each
output channel o,

    Y = A^T [sum_c (G g[o, c] G^T) * (B^T d[c] B)] A,

so the sum over channels is 16 matrix products, one for each element of the 4 x 4. A unit of work transforms some
lines of tiles, tiles side by side in the lanes of a vector, multiplies them with the
transformed weights, some output channels at a time, and transforms the sums back on the way to y: nothing of it leaves
the second-level cache. (A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308.)

Rounding errors are about twice those of a direct sum. Where inputs are infinite, outputs of the same tile may become
NaN that would be infinite: inf - inf arises in the transform.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL
from ._jit import JIT
from ._simd import MR, NV, VL32, keep, number, ptr, scratch, shift, tile, turn, turn_exact, vector_len
from ._simd_winograd import winograd_input, winograd_kernel, winograd_output
from .conv_slab import (
    BATCH,
    CIN,
    COUT,
    GROUPS,
    OH,
    OW,
    PH,
    SLAB_H,
    SLAB_SIZE,
    UNITS,
    UNITS_ROWS,
    H,
    W,
    ceil_div,
    fill_slab,
)

# Elements of the tiles and sums of a unit that are aimed at, and those that its tiles have at most: three quarters of a
# second-level cache of 1 MiB, and all of it. (64 channels of 56 x 56, two threads: 4.8 ms, with all of it 5.1.)
WANTED, MOST = 3 << 16, 1 << 18
# Elements of all transformed weights above which no thread reads all of them. At times two cores seem not to share a
# last-level cache, and reading what the other one wrote takes so long that 1 image of 256 channels, 14 x 14, took
# 2.5 ms, and 1.0 so; 8 of 512 channels, 7 x 7, 10.8 and 7.7. At others 1.0 and 0.82, 6.5 and 6.5.
OWN = 1 << 18
CHUNKS, PITCH = 28, 29


def _inside(size, out, padding):
    """The share of taps that lie inside of x along one dimension."""
    return sum(0 <= o + t - padding < size for o in range(out) for t in range(3)) / (3 * out)


def _gain(channels, couts, positions, inside, vectors, runs, chunks):
    """Vector operations of a direct convolution over those of this one, as measured: products, transforms, weights."""
    direct = 9 * channels * couts * positions / VL32 * inside + 12 * channels * couts
    transforms = 100 * runs * (chunks * channels + couts)
    return direct / (17 * channels * couts * vectors + transforms + 7 * channels * couts)


def _cut(lines, across, most):
    """Lines of tiles in a unit: of those that fit, the number that wastes the fewest lanes; 4 units or more, if so."""

    def loss(rows):
        units = ceil_div(lines, rows)
        return ceil_div(rows * across, VL32) * units * (1 if units >= 4 else 1.1), -rows

    return min(range(1, max(1, min(lines, most // across)) + 1), key=loss)


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """As ``conv_slab.geometry``, or None if these kernels are not the right ones."""
    (d, h, w), (od, oh, ow), (pd, ph, pw) = size, out, padding
    channels, couts = cin // groups, cout // groups
    if kernel != (1, 3, 3) or max(stride) > 1 or max(dilation) > 1 or d > 1 or od > 1 or pd or min(padding) < 0:
        return None
    if min(batch, channels, oh, ow) < 1 or max(padding) > 2:
        return None
    across, lines = ceil_div(ow, 2), ceil_div(oh, 2)
    rows = _cut(batch * lines, across, max(2 * VL32, WANTED // (16 * (channels + MR))))
    pitch = ceil_div(rows * across, VL32) * VL32
    parts = ceil_div(batch * lines, rows)
    work = batch * oh * ow * channels * couts * groups * 9
    if 16 * channels * pitch > MOST or work < SERIAL:
        return None
    # Each chunk of output channels transforms the inputs anew. Where it makes a unit, four do: 1 image of 512 channels,
    # 7 x 7, on one thread 1.98 ms, in eight chunks 2.17, as a direct convolution 2.58.
    wanted = ceil_div(UNITS if parts > 1 else UNITS // 2, parts * groups)
    chunks = min(ceil_div(couts, MR), max(2 if 16 * channels * couts > OWN else 1, wanted))
    inside = _inside(h, oh, ph) * _inside(w, ow, pw)
    runs = batch * lines * ceil_div(across, VL32)
    if _gain(channels, couts, batch * oh * ow, inside, parts * pitch / VL32, runs, chunks) < 1:
        return None
    wq, slab_h = across + 1, 2 * min(rows, lines) + 2
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, 1, 3, 3, 1, 2, 2, 1, 1, 1, pd, ph, pw, groups,
        rows, 1, slab_h, wq, slab_h * 2 * wq, parts, chunks, pitch,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry of the input gradient as a convolution, or None; arguments as ``geometry``'s."""
    if max(padding) > 2 or min(padding) < 0:
        return None
    front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True))
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups)


@njit(**JIT)
def _pack(w, out, geo, mirrored, unit):
    """Transforms the weights of one tile of output channels: out[element, channel, output channel]."""
    cin, cout = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS]
    tiles, vl = (cout + MR - 1) // MR, vector_len(w)
    group, t = unit // tiles, unit % tiles
    lo = cout * t // tiles
    rows = cout * (t + 1) // tiles - lo
    step, size = cin * MR + vl, 9 * vl
    source = shift(w, group * cout * cin * 9)
    # Squares are turned whole where w has that much left: it takes half the time.
    end = cout * cin * 9 - vl
    buffer = np.empty(((MR + vl - 1) // vl * size + vl) * vl * (64 // vl) + 64, np.uint8)
    taps = shift(scratch(buffer, w), vl * vl)
    for c0 in range(0, cin, vl):
        some = min(vl, cin - c0)
        if mirrored:
            for c in range(c0, c0 + some):
                for r in range(0, rows, vl):
                    many = min(vl, rows - r)
                    for i in range(0, 9, vl):
                        at, target = (c * cout + lo + r) * 9 + i, shift(taps, (8 - i) * vl)
                        if at + 9 * (many - 1) <= end:
                            turn(shift(source, at), 9, many - 1, target, -vl)
                        else:
                            turn_exact(shift(source, at), 9, many - 1, target, -vl, min(vl, 9 - i))
                    winograd_kernel(taps, 3 * vl, vl, 2 * vl, shift(out, c * rows + r), step)
            continue
        for r in range(0, rows, vl):
            many = min(vl, rows - r)
            line, square = shift(source, ((lo + r) * cin + c0) * 9), shift(taps, r * size)
            for i in range(0, 9 * some, vl):
                if i + vl <= 9 * some:
                    turn(shift(line, i), cin * 9, many - 1, shift(square, i * vl), vl)
                else:
                    turn_exact(shift(line, i), cin * 9, many - 1, shift(square, i * vl), vl, 9 * some - i)
        # A vector that reaches past its rows is mended by what follows.
        for c in range(some):
            for r in range(0, rows, vl):
                left = shift(taps, r * size + c * size)
                winograd_kernel(left, 3 * vl, vl, 2 * vl, shift(out, (c0 + c) * rows + r), step)
    keep(buffer)


@njit(**JIT)
def _transform_inputs(x, geo, group, first, last, slab, step, out):
    """out[element, channel, tile] for the tiles of lines first..last; a vector may reach into the next channel."""
    channels, across, vl = geo[CIN] // geo[GROUPS], (geo[OW] + 1) // 2, vector_len(out)
    wq, size, lines = across + 1, geo[H] * geo[W], (geo[OH] + 1) // 2
    for c in range(channels):
        at = first
        while at < last:
            image, line = at // lines, at % lines
            high = min(lines - line, last - at)
            source = ptr(x, (image * geo[CIN] + group * channels + c) * size)
            fill_slab(geo, source, 1, 0, 1, 2 * line - geo[PH], 2 * high + 2, geo[SLAB_H], geo[SLAB_SIZE], slab)
            for j in range(high):
                place = shift(out, c * geo[PITCH] + (at - first + j) * across)
                for q in range(0, across, vl):
                    winograd_input(shift(slab, 4 * j * wq + q), 2 * wq, wq, 1, shift(place, q), step)
            at += high


@njit(**JIT)
def _unit(x, w, packed, bias, y, geo, mode, unit):
    """Some lines of tiles, one group and some output channels; the weights as ``_pack`` leaves them.

    If there is one unit for all lines, nobody else needs its weights: it transforms them itself, some at a time.

    Units of the same output channels follow each other, so that mostly the thread reads weights that has packed them.
    """
    chunks, groups = geo[CHUNKS], geo[GROUPS]
    part, chunk, group = unit % geo[UNITS_ROWS], unit // geo[UNITS_ROWS] % chunks, unit // (geo[UNITS_ROWS] * chunks)
    cin, cout, oh, ow, pitch = geo[CIN] // groups, geo[COUT] // groups, geo[OH], geo[OW], geo[PITCH]
    across, lines = (ow + 1) // 2, (oh + 1) // 2
    total = geo[BATCH] * lines
    first, last = total * part // geo[UNITS_ROWS], total * (part + 1) // geo[UNITS_ROWS]
    vl = vector_len(packed)
    vectors = ((last - first) * across + vl - 1) // vl
    step, wide, stretch, alone = cin * pitch + vl, MR * pitch, cin * MR + vl, geo[UNITS_ROWS] == 1
    need = 16 * (step + wide) + geo[SLAB_SIZE] + 4 * vl
    buffer = np.empty((need + (16 * stretch + vl if alone else 0)) * x.itemsize + 64, np.uint8)
    inputs = scratch(buffer, packed)
    sums = shift(inputs, 16 * step)
    _transform_inputs(x, geo, group, first, last, shift(sums, 16 * wide + vl), step, inputs)
    zero, one = number(packed, 0), number(packed, 1)
    tiles = (cout + MR - 1) // MR
    for t in range(tiles * chunk // chunks, tiles * (chunk + 1) // chunks):
        lo = cout * t // tiles
        rows = cout * (t + 1) // tiles - lo
        weights = shift(packed, (group * tiles + t) * 16 * stretch)
        if alone:
            weights = shift(inputs, need)
            _pack(ptr(w, 0), weights, geo, mode & 16, group * tiles + t)
        for e in range(16):
            left = shift(weights, e * stretch)
            right, out = shift(inputs, e * step), shift(sums, e * wide)
            for v in range(0, vectors, NV):
                some = min(NV, vectors - v)
                tile(
                    rows, some, cin, left, 1, rows, shift(right, v * vl), pitch, shift(out, v * vl), pitch, some * vl,
                    one, zero, left, 0, zero,
                )  # fmt: skip
        for r in range(rows):
            o = group * cout + lo + r
            extra = bias[o] if mode & 2 else zero
            for at in range(first, last):
                top = at % lines * 2
                source = shift(sums, r * pitch + (at - first) * across)
                line = ptr(y, ((at // lines * geo[COUT] + o) * oh + top) * ow)
                for q in range(0, across, vl):
                    winograd_output(shift(source, q), wide, shift(line, 2 * q), ow, ow - 2 * q, oh - top, extra,
                                    mode & 8)  # fmt: skip
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """Writes y; as ``conv.conv_forward``."""
    groups, vl = geo[GROUPS], vector_len(ptr(x, 0))
    cin, tiles = geo[CIN] // groups, (geo[COUT] // groups + MR - 1) // MR
    units, stretch = geo[UNITS_ROWS] * groups * geo[CHUNKS], 16 * (cin * MR + vl)
    packs = groups * tiles if geo[UNITS_ROWS] > 1 else 0
    storage = np.empty(packs * stretch * x.itemsize + 64, np.uint8)
    for unit in prange(packs):
        out = shift(scratch(storage, ptr(x, 0)), np.intp(unit) * stretch)
        _pack(ptr(w, 0), out, geo, mode & 16, np.intp(unit))
    for unit in prange(units):
        _unit(x, w, scratch(storage, ptr(x, 0)), bias, y, geo, mode, np.intp(unit))
    keep(storage)
