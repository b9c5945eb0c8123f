"""Dense 3 x 3 convolution with stride 1, dilated or not, by Winograd's minimal filtering: 16 products instead of 36.

A tile is 2 x 2 outputs and the 4 x 4 inputs d below them. With the small matrices of ``_simd_winograd``, for each
output channel o,

    Y = A^T [sum_c (G g[o, c] G^T) * (B^T d[c] B)] A,

so the sum over channels is 16 matrix products, one for each element of the 4 x 4. A unit of work transforms some
lines of tiles, tiles side by side in the lanes of a vector, multiplies them with the
transformed weights, some output channels at a time, and transforms the sums back on the way to y: nothing of it leaves
the second-level cache. (A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308.)

With a dilation, rows and columns of a tile lie so far apart: each remainder modulo the dilation has tiles of its own.
Lines of tiles are counted remainder by remainder; in a line, the tiles of all remainders of the columns take turns, so
that the lanes of a vector still read neighbours. (2 images of 64 channels, 32 x 32, dilation 4, one thread: 1.29 ms
as a direct convolution, 0.77 so.)

Rounding errors are about twice those of a direct sum. Where inputs are infinite, outputs of the same tile may become
NaN that would be infinite: inf - inf arises in the transform.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    VL32,
    keep,
    load,
    number,
    ptr,
    scratch,
    shift,
    store,
    tile,
    turn,
    turn_exact,
    vector_len,
)
from ._simd_rows import MASKS, part_runs
from ._simd_winograd import winograd_input, winograd_kernel, winograd_output
from .conv_slab import (
    BATCH,
    CIN,
    COUT,
    DH,
    DW,
    GROUPS,
    OH,
    OW,
    PH,
    PW,
    READY,
    SLAB_SIZE,
    UNITS,
    UNITS_ROWS,
    WQ,
    H,
    W,
    ceil_div,
)

# Elements of the tiles and sums of a unit that are aimed at, and those that its tiles have at most: three quarters of a
# second-level cache of 1 MiB, and all of it. (64 channels of 56 x 56, two threads: 4.8 ms, with all of it 5.1.)
WANTED, MOST = 3 << 16, 1 << 18
# Elements of all transformed weights above which no thread reads all of them. At times two cores seem not to share a
# last-level cache, and reading what the other one wrote takes so long that 1 image of 256 channels, 14 x 14, took
# 2.5 ms, and 1.0 so; 8 of 512 channels, 7 x 7, 10.8 and 7.7. At others 1.0 and 0.82, 6.5 and 6.5.
OWN = 1 << 18
CHUNKS, PITCH, SEGMENTS, SPAN = 28, 29, 30, 31


def _inside(size, out, padding, dilation=1):
    """The share of taps that lie inside of x along one dimension."""
    return sum(0 <= o + t * dilation - padding < size for o in range(out) for t in range(3)) / (3 * out)


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
    (_, dh, dw) = dilation
    if kernel != (1, 3, 3) or max(stride) > 1 or d > 1 or od > 1 or pd or min(padding) < 0:
        return None
    if min(batch, channels, oh, ow) < 1 or ph > 2 * dh or pw > 2 * dw:
        return None
    across, lines = dw * ceil_div(ow, 2 * dw), dh * ceil_div(oh, 2 * dh)
    wanted = max(2 * VL32, WANTED // (16 * (channels + MR)))
    # Lines that are too long are cut.
    segments = ceil_div(across, wanted) if 16 * channels * (across + VL32) > MOST and VL32 % dw == 0 else 1
    span = ceil_div(ceil_div(across, segments), VL32) * VL32 if segments > 1 else across
    segments = ceil_div(across, span)
    rows = _cut(batch * lines, span, wanted) if segments == 1 else 1
    pitch = ceil_div(rows * span, VL32) * VL32
    parts = ceil_div(batch * lines, rows) * segments
    work = batch * oh * ow * channels * couts * groups * 9
    if 16 * channels * pitch > MOST or work < SERIAL:
        return None
    # Each chunk of output channels transforms the inputs anew. Where it makes a unit, four do: 1 image of 512 channels,
    # 7 x 7, on one thread 1.98 ms, in eight chunks 2.17, as a direct convolution 2.58.
    wanted = ceil_div(UNITS if parts > 1 else UNITS // 2, parts * groups)
    chunks = min(ceil_div(couts, MR), max(2 if 16 * channels * couts > OWN else 1, wanted))
    inside = _inside(h, oh, ph, dh) * _inside(w, ow, pw, dw)
    # With other dilations of the columns, what goes in and out is moved element by element.
    runs = batch * lines * ceil_div(across, VL32) * (2 if VL32 % dw else 1)
    if _gain(channels, couts, batch * oh * ow, inside, parts * pitch / VL32, runs, chunks) < 1:
        return None
    wq, slab_h = span + dw, 2 * min(rows, lines // dh) + 2
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, 1, 3, 3, 1, 2, 2, 1, dh, dw, pd, ph, pw, groups,
        rows, 1, slab_h, wq, slab_h * 2 * wq, parts, chunks, pitch, segments, span,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry of the input gradient as a convolution, or None; arguments as ``geometry``'s."""
    if min(padding) < 0 or any(p > 2 * d for p, d in zip(padding, dilation, strict=True)):
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
def _fill(geo, source, top, rows, first, slab):
    """Rows ``top``, ``top`` + dilation.. of a plane: the even elements of all tiles from ``first`` on, then the odd."""
    h, w, dh, dw, wq, pw = geo[H], geo[W], geo[DH], geo[DW], geo[WQ], geo[PW]
    left, zero = 2 * first - pw, number(source, 0)
    # Rows ja..jb lie inside.
    ja = min(rows, max(0, (dh - 1 - top) // dh))
    jb = max(ja, min(rows, (h - 1 - top) // dh + 1))
    for q in range(ja * 2 * wq):
        store(slab, q, zero)
    for q in range(jb * 2 * wq, rows * 2 * wq):
        store(slab, q, zero)
    if MASKS and vector_len(slab) % dw == 0:
        start = shift(source, (top + ja * dh) * w + left)
        part_runs(jb - ja, start, dh * w, -left, w - left, shift(slab, ja * 2 * wq), 2 * wq, wq, dw)
        return
    for r in range(ja, jb):
        line, start = shift(slab, r * 2 * wq), shift(source, (top + r * dh) * w)
        for side in range(2):
            # Runs of dw elements, twice that apart.
            for q in range(0, wq, dw):
                run, column = shift(line, side * wq + q), left + 2 * q + side * dw
                lo = min(dw, max(0, -column))
                hi = max(lo, min(dw, w - column))
                for i in range(lo):
                    store(run, i, zero)
                for i in range(lo, hi):
                    store(run, i, load(start, column + i))
                for i in range(hi, dw):
                    store(run, i, zero)


@njit(**JIT)
def _top(geo, line):
    """The first output row of a line of tiles."""
    half = (geo[OH] + 2 * geo[DH] - 1) // (2 * geo[DH])
    return line // half + line % half * 2 * geo[DH]


@njit(**JIT)
def _transform_inputs(x, geo, group, first, last, q0, q1, slab, step, out):
    """out[element, channel, tile] for tiles q0..q1 of lines first..last; a vector may reach into the next channel."""
    channels, vl = geo[CIN] // geo[GROUPS], vector_len(out)
    wq, size, dh, dw = geo[WQ], geo[H] * geo[W], geo[DH], geo[DW]
    half = (geo[OH] + 2 * dh - 1) // (2 * dh)
    lines = half * dh
    for c in range(channels):
        at = first
        while at < last:
            image, line = at // lines, at % lines
            high = min(half - line % half, last - at)
            source = ptr(x, (image * geo[CIN] + group * channels + c) * size)
            _fill(geo, source, _top(geo, line) - geo[PH], 2 * high + 2, q0, slab)
            for j in range(high):
                place = shift(out, c * geo[PITCH] + (at - first + j) * (q1 - q0))
                for q in range(0, q1 - q0, vl):
                    winograd_input(shift(slab, 4 * j * wq + q), 2 * wq, wq, dw, shift(place, q), step)
            at += high


@njit(**JIT)
def _put(line, rows, dw, left, width, across, ow, y):
    """Rows of y, ``width`` apart, from outputs of which two neighbours belong to a tile; columns ``left``.. of y."""
    for r in range(rows):
        source, target = shift(line, r * 2 * across), shift(y, r * width)
        for q in range(0, across, dw):
            column = left + 2 * q
            for i in range(min(dw, ow - column)):
                store(target, column + i, load(source, 2 * (q + i)))
            for i in range(min(dw, ow - column - dw)):
                store(target, column + dw + i, load(source, 2 * (q + i) + 1))


@njit(**JIT)
def _unit(x, w, packed, bias, y, geo, mode, unit):
    """Some lines of tiles, one group and some output channels; the weights as ``_pack`` leaves them.

    If there is one unit for all lines, nobody else needs its weights: it transforms them itself, some at a time.

    Units of the same output channels follow each other, so that mostly the thread reads weights that has packed them.
    """
    chunks, groups = geo[CHUNKS], geo[GROUPS]
    part, chunk, group = unit % geo[UNITS_ROWS], unit // geo[UNITS_ROWS] % chunks, unit // (geo[UNITS_ROWS] * chunks)
    cin, cout, oh, ow, pitch = geo[CIN] // groups, geo[COUT] // groups, geo[OH], geo[OW], geo[PITCH]
    dh, dw, segments = geo[DH], geo[DW], geo[SEGMENTS]
    lines = (oh + 2 * dh - 1) // (2 * dh) * dh
    total, parts = geo[BATCH] * lines, geo[UNITS_ROWS] // segments
    first, last = total * (part // segments) // parts, total * (part // segments + 1) // parts
    q0 = part % segments * geo[SPAN]
    q1 = min(q0 + geo[SPAN], (ow + 2 * dw - 1) // (2 * dw) * dw)
    across = q1 - q0
    vl = vector_len(packed)
    vectors = ((last - first) * across + vl - 1) // vl
    step, wide, stretch = cin * pitch + vl, MR * pitch, cin * MR + vl
    alone = geo[UNITS_ROWS] == 1 and mode & READY == 0
    need = 16 * (step + wide) + geo[SLAB_SIZE] + 4 * vl
    buffer = np.empty((need + (16 * stretch + vl if alone else 0)) * x.itemsize + 64, np.uint8)
    inputs = scratch(buffer, packed)
    sums = shift(inputs, 16 * step)
    slab = shift(sums, 16 * wide + vl)
    _transform_inputs(x, geo, group, first, last, q0, q1, slab, step, inputs)
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
                top = _top(geo, at % lines)
                if top >= oh:
                    continue
                source = shift(sums, r * pitch + (at - first) * across)
                high = 2 if top + dh < oh else 1
                line = ptr(y, ((at // lines * geo[COUT] + o) * oh + top) * ow)
                if vl % dw:
                    # Tile by tile first.
                    for q in range(0, across, vl):
                        winograd_output(shift(source, q), wide, shift(slab, 2 * q), 2 * across, 2 * (across - q), high,
                                        extra, mode & 8, 1)  # fmt: skip
                    _put(slab, high, dw, 2 * q0, dh * ow, across, ow, line)
                    continue
                for q in range(0, across, vl):
                    winograd_output(shift(source, q), wide, shift(line, 2 * (q0 + q)), dh * ow, ow - 2 * (q0 + q),
                                    high, extra, mode & 8, dw)  # fmt: skip
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """Writes y; as ``conv.conv_forward``."""
    groups, vl = geo[GROUPS], vector_len(ptr(x, 0))
    cin, tiles = geo[CIN] // groups, (geo[COUT] // groups + MR - 1) // MR
    units, stretch = geo[UNITS_ROWS] * groups * geo[CHUNKS], 16 * (cin * MR + vl)
    ready = mode & READY
    packs = groups * tiles if geo[UNITS_ROWS] > 1 and ready == 0 else 0
    storage = np.empty(packs * stretch * x.itemsize + 64, np.uint8)
    for unit in prange(packs):
        out = shift(scratch(storage, ptr(x, 0)), np.intp(unit) * stretch)
        _pack(ptr(w, 0), out, geo, mode & 16, np.intp(unit))
    for unit in prange(units):
        packed = ptr(w, 0) if ready else scratch(storage, ptr(x, 0))
        _unit(x, w, packed, bias, y, geo, mode, np.intp(unit))
    keep(storage)


def packed_size(geo, itemsize):
    """The number of elements that ``conv_pack`` writes."""
    cin, cout = int(geo[CIN] // geo[GROUPS]), int(geo[COUT] // geo[GROUPS])
    return int(geo[GROUPS]) * ceil_div(cout, MR) * 16 * (cin * MR + VECTOR_BYTES // itemsize)


@njit(parallel=True, **JIT)
def conv_pack(w, packed, geo, mode):
    """The weights as ``conv_forward`` in the same mode reads them."""
    groups, vl = geo[GROUPS], vector_len(ptr(w, 0))
    cin, tiles = geo[CIN] // groups, (geo[COUT] // groups + MR - 1) // MR
    for unit in prange(groups * tiles):
        out = ptr(packed, np.intp(unit) * 16 * (cin * MR + vl))
        _pack(ptr(w, 0), out, geo, mode & 16, np.intp(unit))
