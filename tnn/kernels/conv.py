"""Convolution (cross-correlation) in up to three dimensions; one and two dimensions have leading dimensions of size 1.

    y[n, o, d, h, w] = bias[o] + sum_{c, i, j, l} weight[o, c, i, j, l]
                       * x[n, c', d*sd + i*dd - pd, h*sh + j*dh - ph, w*sw + l*dw - pw]

with x zero outside, c' = c + (group of o) * (input channels of a group). As matrices, for each image and group:
Y = W X~, dX~ = W^T dY, dW = dY X~^T, with one row of X~ for each (c, i, j, l) and one column for each output position.

X~ is never stored. A unit of work copies its channels and rows of x into a slab that holds the zeros of the padding,
with the columns sorted by their remainder modulo the stride sw; in a slab, a row of X~ is the constant
``offsets[row]`` plus a position that all rows share, and consecutive outputs are consecutive in memory. So panels of X~
are gathered by copying runs (``copy_segments``) straight into the micro-kernel's panel in the first-level cache, and
dX~ is scattered by adding runs. Units depend on sizes alone, sums run in a fixed order: results do not depend on the
number of threads.

Arrays are flat and C-contiguous; ``geo`` describes them, an intp array made by ``geometry``. Kernels of the case of one
input channel in a group (depthwise convolution) are in ``conv_depthwise``. (Implicit GEMM: S. Chetlur et al., "cuDNN:
Efficient primitives for deep learning", arXiv:1410.0759.)
"""

import functools

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic

from ._gemm import KC, SERIAL, _pack_a, _pack_b, gemm_strided
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    copy_rows,
    keep,
    load,
    number,
    ptr,
    scratch,
    shared_code,
    shift,
    store,
    tile,
    vector_len,
)
from ._simd_rows import add_segments, copy_segments

# Elements of a slab that a unit aims at: a quarter of a second-level cache of 1 MiB in float32.
SLAB = 1 << 16
# Units that a large problem is cut into at least, if it can be.
UNITS = 16

_NAMES = (
    "batch cin d h w cout od oh ow kd kh kw sd sh sw dd dh dw pd ph pw groups "
    "rows slab_d slab_h wq slab units_rows channels units_channels parts"
).split()
(
    BATCH, CIN, D, H, W, COUT, OD, OH, OW, KD, KH, KW, SD, SH, SW, DD, DH, DW, PD, PH, PW, GROUPS,
    ROWS, SLAB_D, SLAB_H, WQ, SLAB_SIZE, UNITS_ROWS, CHANNELS, UNITS_CHANNELS, PARTS,
) = range(len(_NAMES))  # fmt: skip


def _ceil(a, b):
    return -(-a // b)


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The numbers that the kernels need, as an intp array; arguments are ints and 3-tuples (depth, height, width).

    ``padding`` is the padding in front: what lies behind follows from the output size ``out``.
    """
    (d, h, w), (od, oh, ow), (kd, kh, kw) = size, out, kernel
    (sd, sh, sw), (dd, dh, dw), (pd, ph, pw) = stride, dilation, padding
    channels = cin // groups
    wq = ow + (kw - 1) * dw // sw
    across = sw * wq
    full_d, full_h = (od - 1) * sd + (kd - 1) * dd + 1, (oh - 1) * sh + (kh - 1) * dh + 1
    # Forward and weight: a unit has all channels of a group and some output rows, along the depth if there is one.
    lines, per_line, halo = (od, sd * full_h, (kd - 1) * dd) if od > 1 else (oh, sh, (kh - 1) * dh)
    thick = across * max(1, channels) * (full_h if od > 1 else 1)
    fit = max(1, (SLAB // max(1, thick) - halo) // (sd if od > 1 else sh))
    work = max(1, batch * cout * channels * kd * kh * kw * od * oh * ow)
    wanted = _ceil(UNITS, batch * groups) if work // UNITS >= SERIAL else 1
    rows = max(1, min(lines, max(fit, _ceil(2 * halo + 1, sd if od > 1 else sh)), _ceil(lines, wanted)))
    rows = _ceil(lines, _ceil(lines, rows))
    if od > 1:
        slab_d, slab_h = (rows - 1) * sd + (kd - 1) * dd + 1, full_h
    else:
        slab_d, slab_h = full_d, (rows - 1) * sh + (kh - 1) * dh + 1
    # Input and weight gradient: a unit has some channels.
    plane = full_d * full_h * across
    taps = kd * kh * kw
    some = max(1, min(channels, max(SLAB // max(1, plane), _ceil(4 * MR, taps))))
    if work // UNITS >= SERIAL:
        some = max(min(some, _ceil(2 * MR, taps)), min(some, _ceil(channels, _ceil(UNITS, batch * groups))))
    some = min(some, max(_ceil(2 * MR, taps), SLAB // max(1, taps * (cout // groups))))
    some = _ceil(channels, _ceil(channels, some)) if channels else 1
    units_channels = _ceil(channels, some)
    # Weight gradient: sums over parts of the batch where channels alone give too few units.
    items = batch * _ceil(lines, rows)
    parts = min(items, max(1, 8 // max(1, groups * units_channels))) if work // 8 >= SERIAL else 1
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, kd, kh, kw, sd, sh, sw, dd, dh, dw, pd, ph, pw, groups,
        rows, slab_d, slab_h, wq, slab_d * slab_h * across, _ceil(lines, rows), some, units_channels, max(1, parts),
    )  # fmt: skip
    return np.array(numbers, np.intp)


# ---------------------------------------------------------------- slabs


@njit(**JIT)
def _offsets(geo, channels, plane, slab_h, offsets, taps_first):
    """offsets[row of X~] within a slab of ``channels`` planes; rows are (channel, tap), or (tap, channel)."""
    taps = geo[KD] * geo[KH] * geo[KW]
    sw, wq = geo[SW], geo[WQ]
    t = 0
    for i in range(geo[KD]):
        for j in range(geo[KH]):
            for m in range(geo[KW]):
                x = m * geo[DW]
                start = ((i * geo[DD]) * slab_h + j * geo[DH]) * sw * wq + x % sw * wq + x // sw
                for c in range(channels):
                    offsets[t * channels + c if taps_first else c * taps + t] = start + c * plane
                t += 1


@njit(**JIT)
def _valid(geo, phase):
    """(lo, hi): slab columns q of a phase that lie inside x: column q is x's column q*sw + phase - pw."""
    sw, wq, pw, w = geo[SW], geo[WQ], geo[PW], geo[W]
    lo = min(wq, max(0, (pw - phase + sw - 1) // sw))
    hi = min(wq, max(lo, (w - 1 + pw - phase) // sw + 1)) if w - 1 + pw - phase >= 0 else lo
    return lo, hi


@njit(**JIT)
def fill_slab(geo, x, channels, d0, nd, h0, nh, slab_h, plane, slab):
    """Copies x's channels, depths d0.. and rows h0.. (these may lie outside: zeros) into the slab."""
    d, h, w, sw, wq, pw = geo[D], geo[H], geo[W], geo[SW], geo[WQ], geo[PW]
    zero = number(x, 0)
    for c in range(channels):
        for i in range(nd):
            for j in range(nh):
                line = shift(slab, c * plane + (i * slab_h + j) * sw * wq)
                if d0 + i < 0 or d0 + i >= d or h0 + j < 0 or h0 + j >= h:
                    for q in range(sw * wq):
                        store(line, q, zero)
                    continue
                source = shift(x, ((c * d + d0 + i) * h + h0 + j) * w)
                for phase in range(sw):
                    lo, hi = _valid(geo, phase)
                    out = shift(line, phase * wq)
                    for q in range(lo):
                        store(out, q, zero)
                    inside, count = shift(out, lo), hi - lo
                    start = shift(source, lo * sw + phase - pw)
                    if sw == 1:
                        for q in range(count):
                            store(inside, q, load(start, q))
                    else:
                        for q in range(count):
                            store(inside, q, load(start, q * sw))
                    for q in range(hi, wq):
                        store(out, q, zero)


@njit(**JIT)
def empty_slab(geo, slab, channels, slab_h, plane, bias, with_bias, dx):
    """dx = what the slab holds of it (+ bias), for whole planes; columns between strides are zero."""
    d, h, w, sw, wq, pw = geo[D], geo[H], geo[W], geo[SW], geo[WQ], geo[PW]
    slab_d = plane // max(1, slab_h * sw * wq)
    for c in range(channels):
        base = load(bias, c) if with_bias else number(dx, 0)
        for i in range(d):
            for j in range(h):
                out = shift(dx, ((c * d + i) * h + j) * w)
                row, deep = j + geo[PH], i + geo[PD]
                for q in range(w):
                    store(out, q, base)
                if row >= slab_h or deep >= slab_d:
                    continue
                line = shift(slab, c * plane + (deep * slab_h + row) * sw * wq)
                for phase in range(sw):
                    lo, hi = _valid(geo, phase)
                    start, count = shift(out, lo * sw + phase - pw), hi - lo
                    source = shift(line, phase * wq + lo)
                    if sw == 1:
                        for q in range(count):
                            store(start, q, base + load(source, q))
                    else:
                        for q in range(count):
                            store(start, q * sw, base + load(source, q))


@njit(**JIT)
def _segments(geo, slab_h, nh, position, count, table):
    """Runs of consecutive slab elements under the output positions position .. position + count; returns their number.

    The positions count through the (depth, height, width) outputs of a unit, ``nh`` rows high.
    """
    ow = geo[OW]
    across = geo[SW] * geo[WQ]
    line, x = position // ow, position % ow
    deep, row = line // nh, line % nh
    done, pieces = 0, 0
    while done < count:
        run = min(ow - x, count - done)
        store(table, 3 * pieces, (deep * geo[SD] * slab_h + row * geo[SH]) * across + x)
        store(table, 3 * pieces + 1, done)
        store(table, 3 * pieces + 2, run)
        pieces += 1
        done += run
        x = 0
        row += 1
        if row == nh:
            row = 0
            deep += 1
    return pieces


@njit(**JIT)
def _part(geo, index):
    """(first depth, depths, first row, rows) of the outputs of the unit ``index``."""
    lo = index * geo[ROWS]
    if geo[OD] > 1:
        return lo, min(geo[ROWS], geo[OD] - lo), 0, geo[OH]
    return 0, geo[OD], lo, min(geo[ROWS], geo[OH] - lo)


# ---------------------------------------------------------------- forward


def _unit_signature(real):
    p, array = types.CPointer(real), types.Array(types.intp, 1, "C")
    return types.void(p, p, p, p, array, array, types.intp, types.intp)


def _share(function, slot):
    """Entries of the table of shared code for a unit of work: it would be compiled three times in its kernel."""
    pairs = enumerate((types.float32, types.float64), slot)
    return {real: shared_code(number, function, _unit_signature(real)) for number, real in pairs}


@njit(**JIT)
def _is_pointwise(geo):
    taps = geo[KD] * geo[KH] * geo[KW]
    strides = geo[SD] * geo[SH] * geo[SW]
    same = geo[D] == geo[OD] and geo[H] == geo[OH] and geo[W] == geo[OW]
    return taps == 1 and strides == 1 and same and geo[PD] == 0 and geo[PH] == 0 and geo[PW] == 0


@njit(**JIT)
def _pointwise_unit(x, w, bias, y, geo, mode, unit):
    """Kernel of one tap, stride 1, no padding: a product with x itself."""
    units, groups = geo[UNITS_ROWS], geo[GROUPS]
    image, group = unit // (units * groups), unit // units % groups
    d0, nd, h0, nh = _part(geo, unit % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    size = geo[OD] * geo[OH] * geo[OW]
    start = (d0 * geo[OH] + h0) * geo[OW]
    source = shift(x, (image * geo[CIN] + group * cin) * size + start)
    out = shift(y, (image * geo[COUT] + group * cout) * size + start)
    extra = shift(bias, group * cout if mode & 2 else 0)
    count = nd * nh * geo[OW]
    gemm_strided(
        cout, count, cin, 1.0, shift(w, group * cout * cin), cin, 1, source, size, 1, 0.0, out, size, extra, mode
    )


@njit(**JIT)
def _stretch(cout, depth):
    """Elements between the blocks of packed weights: ``_pack_a`` writes a little past the end."""
    blocks = (depth + KC - 1) // KC
    return cout * ((depth + blocks - 1) // blocks) + 64


@njit(**JIT)
def _pack_block(w, packed, geo, mirrored, unit):
    """The weights of one group and block of the rows of X~, in the order in which the tiles read them.

    ``mirrored``: w is a weight (cin, cout / groups, taps) of which cin and cout change places and the taps their order.
    """
    groups, taps = geo[GROUPS], geo[KD] * geo[KH] * geo[KW]
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    depth = cin * taps
    blocks, tiles = (depth + KC - 1) // KC, (cout + MR - 1) // MR
    group, block = unit // blocks, unit % blocks
    p0 = depth * block // blocks
    kc = depth * (block + 1) // blocks - p0
    source = shift(w, group * cout * depth)
    target = shift(packed, unit * _stretch(cout, depth))
    for t in range(tiles):
        lo = cout * t // tiles
        rows = cout * (t + 1) // tiles - lo
        out = shift(target, lo * kc)
        if not mirrored:
            _pack_a(rows, kc, shift(source, lo * depth + p0), depth, 1, out)
            continue
        for p in range(kc):
            at = (p0 + p) // taps * cout * taps + lo * taps + taps - 1 - (p0 + p) % taps
            for r in range(rows):
                store(out, p * rows + r, load(source, at + r * taps))


@njit(**JIT)
def _forward_unit(x, w, bias, y, geo, offsets, mode, unit):
    """One image, group and part of the rows; w as ``_pack_block`` leaves it. Here and below: arrays as pointers."""
    if _is_pointwise(geo):
        _pointwise_unit(x, w, bias, y, geo, mode, unit)
        return
    units, groups = geo[UNITS_ROWS], geo[GROUPS]
    image, group = unit // (units * groups), unit // units % groups
    d0, nd, h0, nh = _part(geo, unit % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    size, depth = geo[OD] * geo[OH] * geo[OW], offsets.size
    slab_h, plane = geo[SLAB_H], geo[SLAB_SIZE]
    vl = vector_len(x)
    width, item = NV * vl, VECTOR_BYTES // vl
    blocks = (depth + KC - 1) // KC
    deepest = (depth + blocks - 1) // blocks
    buffer = np.empty((cin * plane + deepest * width + 4 * vl) * item + 64, np.uint8)
    slab = scratch(buffer, x)
    panel = shift(slab, (cin * plane + 2 * vl) // vl * vl)
    runs = np.empty(3 * width, np.intp)
    table = ptr(runs, 0)
    source = shift(x, (image * geo[CIN] + group * cin) * geo[D] * geo[H] * geo[W])
    rows_d, rows_h = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    fill_slab(geo, source, cin, d0 * geo[SD] - geo[PD], rows_d, h0 * geo[SH] - geo[PH], rows_h, slab_h, plane, slab)
    stretch = _stretch(cout, depth)
    weight = shift(w, group * blocks * stretch)
    out = shift(y, (image * geo[COUT] + group * cout) * size + (d0 * geo[OH] + h0) * geo[OW])
    extra = shift(bias, group * cout if mode & 2 else 0)
    count = nd * nh * geo[OW]
    tiles = (cout + MR - 1) // MR
    zero, one = number(out, 0), number(out, 1)
    for block in range(blocks):
        p0 = depth * block // blocks
        kc = depth * (block + 1) // blocks - p0
        flags = (0 if block == 0 else 4) | (mode if block == blocks - 1 else 0)
        for q in range(0, count, width):
            nc = min(width, count - q)
            vectors = (nc + vl - 1) // vl
            pieces = _segments(geo, slab_h, nh, q, nc, table)
            copy_segments(kc, ptr(offsets, p0), slab, pieces, table, panel, vectors * vl)
            for t in range(tiles):
                lo = cout * t // tiles
                rows = cout * (t + 1) // tiles - lo
                tile(
                    rows, vectors, kc, shift(weight, block * stretch + lo * kc), 1, rows, panel, vectors * vl,
                    shift(out, lo * size + q), size, nc, one, one, shift(extra, lo if flags & 2 else 0), flags, zero,
                )  # fmt: skip
    keep(buffer)
    keep(runs)


_FORWARD_UNIT = _share(_forward_unit, 4)


@intrinsic
def forward_unit(typingctx, x, w, bias, y, geo, offsets, mode, unit):
    """``_forward_unit``, compiled once for all callers."""
    emit = _FORWARD_UNIT[x.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return _unit_signature(x.dtype), codegen


@njit(**JIT)
def _work(geo):
    taps = geo[KD] * geo[KH] * geo[KW]
    return geo[BATCH] * geo[COUT] * (geo[CIN] // geo[GROUPS]) * taps * geo[OD] * geo[OH] * geo[OW]


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """y (batch, cout, od, oh, ow) = conv(x (batch, cin, d, h, w), w (cout, cin/groups, kd, kh, kw)) + bias, all flat.

    ``mode``: 2 if ``bias`` (cout,) is to be added, else 0 (then ``bias`` is any array of one element); plus 8 for relu;
    plus 16 if w is the weight (cin, cout/groups, ...) of a convolution whose input gradient this is (``mirrored``).
    """
    groups, mirrored = geo[GROUPS], mode & 16
    depth = geo[CIN] // groups * geo[KD] * geo[KH] * geo[KW]
    units = geo[BATCH] * groups * geo[UNITS_ROWS]
    offsets = np.empty(depth, np.intp)
    _offsets(geo, geo[CIN] // groups, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    packs = 0 if _is_pointwise(geo) else groups * ((depth + KC - 1) // KC)
    packed = np.empty(packs * _stretch(geo[COUT] // groups, depth), w.dtype) if packs else w
    mode &= 15
    if _work(geo) < SERIAL:
        for unit in range(packs):
            _pack_block(ptr(w, 0), ptr(packed, 0), geo, mirrored, unit)
        for unit in range(units):
            forward_unit(ptr(x, 0), ptr(packed, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, unit)
    else:
        for unit in prange(packs):
            _pack_block(ptr(w, 0), ptr(packed, 0), geo, mirrored, np.intp(unit))
        for unit in prange(units):
            forward_unit(ptr(x, 0), ptr(packed, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, np.intp(unit))
    keep(packed)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry with which ``conv_forward`` in mode 16 gives the input gradient, or None if strides forbid it.

    Arguments as ``geometry``'s. With stride 1 the input gradient is itself a convolution, of the output gradient with
    the kernel turned around; the products are the same, and none has to be added to memory.
    """
    if max(stride) > 1 or (max(kernel) == 1 and size == out):
        return None
    front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True))
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups)


# ---------------------------------------------------------------- gradient of the input


@njit(**JIT)
def _whole(geo):
    """(depths, rows, elements of a row) of a slab for all outputs."""
    slab_d = (geo[OD] - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
    slab_h = (geo[OH] - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    return slab_d, slab_h, geo[SW] * geo[WQ]


@njit(**JIT)
def _pointwise_input_unit(dy, w, bias, dx, geo, with_bias, unit):
    units, groups = geo[UNITS_ROWS], geo[GROUPS]
    image, group = unit // (units * groups), unit // units % groups
    d0, nd, h0, nh = _part(geo, unit % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    size = geo[OD] * geo[OH] * geo[OW]
    start = (d0 * geo[OH] + h0) * geo[OW]
    source = shift(dy, (image * geo[COUT] + group * cout) * size + start)
    out = shift(dx, (image * geo[CIN] + group * cin) * size + start)
    extra = shift(bias, group * cin if with_bias else 0)
    count = nd * nh * geo[OW]
    mode = 2 if with_bias else 0
    gemm_strided(
        cin, count, cout, 1.0, shift(w, group * cout * cin), 1, cin, source, size, 1, 0.0, out, size, extra, mode
    )


@njit(**JIT)
def _input_unit(dy, w, bias, dx, geo, unused, with_bias, unit):
    """One image, group and range of channels; w as ``_pack_unit`` leaves it."""
    if _is_pointwise(geo):
        _pointwise_input_unit(dy, w, bias, dx, geo, with_bias, unit)
        return
    units, groups = geo[UNITS_CHANNELS], geo[GROUPS]
    image, group = unit // (units * groups), unit // units % groups
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    taps = geo[KD] * geo[KH] * geo[KW]
    c0 = unit % units * geo[CHANNELS]
    channels = min(geo[CHANNELS], cin - c0)
    kr = channels * taps
    slab_d, slab_h, across = _whole(geo)
    plane = slab_d * slab_h * across
    count = geo[OD] * geo[OH] * geo[OW]
    vl = vector_len(dy)
    width, item = NV * vl, VECTOR_BYTES // vl
    blocks = (cout + KC - 1) // KC
    deepest = (cout + blocks - 1) // blocks
    need = channels * plane + kr * width + deepest * width + 8 * vl
    buffer = np.empty(need * item + 64, np.uint8)
    panel = scratch(buffer, dy)
    result = shift(panel, deepest * width)
    slab = shift(result, kr * width)
    packed = shift(w, (group * cin + c0) * taps * cout)
    offsets = np.empty(kr, np.intp)
    _offsets(geo, channels, plane, slab_h, offsets, True)
    runs = np.empty(3 * width, np.intp)
    table = ptr(runs, 0)
    zero, one = number(slab, 0), number(slab, 1)
    for i in range(channels * plane):
        store(slab, i, zero)
    tiles = (kr + MR - 1) // MR
    source = shift(dy, (image * geo[COUT] + group * cout) * count)
    for q in range(0, count, width):
        nc = min(width, count - q)
        vectors = (nc + vl - 1) // vl
        for block in range(blocks):
            p0 = cout * block // blocks
            kc = cout * (block + 1) // blocks - p0
            copy_rows(kc, shift(source, p0 * count + q), count, panel, vectors * vl, vectors, nc)
            for t in range(tiles):
                lo = kr * t // tiles
                rows = kr * (t + 1) // tiles - lo
                tile(
                    rows, vectors, kc, shift(packed, p0 * kr + lo * kc), 1, rows, panel, vectors * vl,
                    shift(result, lo * width), width, width, one, one, result, 4 if block else 0, zero,
                )  # fmt: skip
        pieces = _segments(geo, slab_h, geo[OH], q, nc, table)
        add_segments(kr, ptr(offsets, 0), slab, pieces, table, result, width)
    first = group * cin + c0
    extra = shift(bias, first if with_bias else 0)
    out = shift(dx, (image * geo[CIN] + first) * geo[D] * geo[H] * geo[W])
    empty_slab(geo, slab, channels, slab_h, plane, extra, with_bias, out)
    keep(buffer)
    keep(offsets)
    keep(runs)


@njit(**JIT)
def _pack_unit(w, packed, geo, unit):
    """The weights of one group and range of channels as the tiles of ``_input_unit`` read them, rows (tap, channel)."""
    units, groups = geo[UNITS_CHANNELS], geo[GROUPS]
    group, c0 = unit // units, unit % units * geo[CHANNELS]
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    taps = geo[KD] * geo[KH] * geo[KW]
    channels = min(geo[CHANNELS], cin - c0)
    kr = channels * taps
    blocks, tiles = (cout + KC - 1) // KC, (kr + MR - 1) // MR
    places = np.empty(MR, np.intp)
    source = shift(w, group * cout * cin * taps + c0 * taps)
    target = shift(packed, (group * cin + c0) * taps * cout)
    for block in range(blocks):
        p0 = cout * block // blocks
        kc = cout * (block + 1) // blocks - p0
        for t in range(tiles):
            lo = kr * t // tiles
            rows = kr * (t + 1) // tiles - lo
            out = shift(target, p0 * kr + lo * kc)
            for r in range(rows):
                places[r] = (lo + r) % channels * taps + (lo + r) // channels
            for p in range(kc):
                line = shift(source, (p0 + p) * cin * taps)
                for r in range(rows):
                    store(out, p * rows + r, load(line, places[r]))


_INPUT_UNIT = _share(_input_unit, 6)


@intrinsic
def input_unit(typingctx, x, w, bias, y, geo, offsets, mode, unit):
    """``_input_unit``, compiled once for all callers."""
    emit = _INPUT_UNIT[x.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return _unit_signature(x.dtype), codegen


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """dx (batch, cin, d, h, w) = gradient of conv_forward's x (+ bias (cin,)): dy convolved, transposed. All flat.

    ``with_bias``: 1 if ``bias`` is to be added to dx's channels, else 0 (then ``bias`` is any array of one element).
    """
    direct = _is_pointwise(geo)
    units = geo[BATCH] * geo[GROUPS] * (geo[UNITS_ROWS] if direct else geo[UNITS_CHANNELS])
    packs = 0 if direct else geo[GROUPS] * geo[UNITS_CHANNELS]
    packed = w if direct else np.empty(w.size, w.dtype)
    if _work(geo) < SERIAL:
        for unit in range(packs):
            _pack_unit(ptr(w, 0), ptr(packed, 0), geo, unit)
        for unit in range(units):
            input_unit(ptr(dy, 0), ptr(packed, 0), ptr(bias, 0), ptr(dx, 0), geo, geo, with_bias, unit)
    else:
        for unit in prange(packs):
            _pack_unit(ptr(w, 0), ptr(packed, 0), geo, np.intp(unit))
        for unit in prange(units):
            input_unit(ptr(dy, 0), ptr(packed, 0), ptr(bias, 0), ptr(dx, 0), geo, geo, with_bias, np.intp(unit))
    keep(packed)


# ---------------------------------------------------------------- gradient of the weight


@njit(**JIT)
def _pointwise_weight_unit(x, dy, total, geo, unit):
    groups, parts = geo[GROUPS], geo[PARTS]
    part, group = unit // groups, unit % groups
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    size = geo[OD] * geo[OH] * geo[OW]
    items = geo[BATCH] * geo[UNITS_ROWS]
    out = shift(total, (part * geo[COUT] + group * cout) * cin)
    lo = items * part // parts
    for index in range(lo, items * (part + 1) // parts):
        image = index // geo[UNITS_ROWS]
        d0, nd, h0, nh = _part(geo, index % geo[UNITS_ROWS])
        start = (d0 * geo[OH] + h0) * geo[OW]
        grad = shift(dy, (image * geo[COUT] + group * cout) * size + start)
        source = shift(x, (image * geo[CIN] + group * cin) * size + start)
        beta = 1.0 if index > lo else 0.0
        count = nd * nh * geo[OW]
        gemm_strided(cout, cin, count, 1.0, grad, size, 1, source, 1, size, beta, out, cin, out, 0)


@njit(**JIT)
def _weight_unit(x, dy, unused, total, geo, offsets, mode, unit):
    """One group, range of channels, part of the (image, rows) items: total (cout, all rows of X~) of that part."""
    if _is_pointwise(geo):
        _pointwise_weight_unit(x, dy, total, geo, unit)
        return
    units, groups, parts = geo[UNITS_CHANNELS], geo[GROUPS], geo[PARTS]
    part, group = unit // (units * groups), unit // units % groups
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    taps = geo[KD] * geo[KH] * geo[KW]
    c0 = unit % units * geo[CHANNELS]
    channels = min(geo[CHANNELS], cin - c0)
    kr = channels * taps
    slab_h, plane = geo[SLAB_H], geo[SLAB_SIZE]
    size = geo[OD] * geo[OH] * geo[OW]
    vl = vector_len(x)
    width, item = NV * vl, VECTOR_BYTES // vl
    wide = (cout + vl - 1) // vl * vl
    # Several small images together make a block as deep as the tiles like it.
    whole = geo[OD] * geo[OH] * geo[OW]
    together = max(1, KC // max(1, whole)) if geo[UNITS_ROWS] == 1 else 1
    need = together * channels * plane + kr * wide + KC * wide + MR * KC + 8 * vl
    buffer = np.empty(need * item + 64, np.uint8)
    sums = scratch(buffer, x)
    right = shift(sums, kr * wide)
    left = shift(right, KC * wide)
    slab = shift(left, MR * KC + 2 * vl)
    runs = np.empty(3 * KC, np.intp)
    table = ptr(runs, 0)
    zero, one = number(sums, 0), number(sums, 1)
    for i in range(kr * wide):
        store(sums, i, zero)
    tiles = (kr + MR - 1) // MR
    items = geo[BATCH] * geo[UNITS_ROWS]
    end = items * (part + 1) // parts
    for index in range(items * part // parts, end, together):
        many = min(together, end - index)
        image = index // geo[UNITS_ROWS]
        d0, nd, h0, nh = _part(geo, index % geo[UNITS_ROWS])
        rows_d = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
        rows_h = (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
        top, first = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
        for i in range(many):
            source = shift(x, ((image + i) * geo[CIN] + group * cin + c0) * geo[D] * geo[H] * geo[W])
            box = shift(slab, i * channels * plane)
            fill_slab(geo, source, channels, top, rows_d, first, rows_h, slab_h, plane, box)
        count = nd * nh * geo[OW]
        for q in range(0, count, KC):
            deep = min(KC, count - q)
            kc, pieces = 0, 0
            for i in range(many):
                grad = shift(dy, ((image + i) * geo[COUT] + group * cout) * size + (d0 * geo[OH] + h0) * geo[OW] + q)
                for j in range(0, cout, width):
                    nc = min(width, cout - j)
                    step = (nc + vl - 1) // vl * vl
                    _pack_b(deep, nc, shift(grad, j * size), 1, size, shift(right, j * deep * many + kc * step), step)
                added = _segments(geo, slab_h, nh, q, deep, shift(table, 3 * pieces))
                for piece in range(pieces, pieces + added):
                    store(table, 3 * piece, load(table, 3 * piece) + i * channels * plane)
                    store(table, 3 * piece + 1, load(table, 3 * piece + 1) + kc)
                pieces += added
                kc += deep
            for t in range(tiles):
                lo = kr * t // tiles
                rows = kr * (t + 1) // tiles - lo
                copy_segments(rows, ptr(offsets, lo), slab, pieces, table, left, kc)
                for j in range(0, cout, width):
                    vectors = (min(width, cout - j) + vl - 1) // vl
                    tile(
                        rows, vectors, kc, left, kc, 1, shift(right, j * kc), vectors * vl,
                        shift(sums, lo * wide + j), wide, vectors * vl, one, one, sums, 4, zero,
                    )  # fmt: skip
    depth = cin * taps
    out = shift(total, (part * geo[COUT] + group * cout) * depth + c0 * taps)
    for o in range(cout):
        for r in range(kr):
            store(out, o * depth + r, load(sums, r * wide + o))
    keep(buffer)
    keep(runs)


_WEIGHT_UNIT = _share(_weight_unit, 8)


@intrinsic
def weight_unit(typingctx, x, w, bias, y, geo, offsets, mode, unit):
    """``_weight_unit``, compiled once for all callers."""
    emit = _WEIGHT_UNIT[x.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return _unit_signature(x.dtype), codegen


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """dw (cout, cin/groups, kd, kh, kw) = gradient of conv_forward's w. All flat."""
    if geo[BATCH] * geo[OD] * geo[OH] * geo[OW] == 0:
        dw[:] = 0
        return
    direct = _is_pointwise(geo)
    parts = geo[PARTS]
    channels = geo[CHANNELS]
    units = parts * geo[GROUPS] * (1 if direct else geo[UNITS_CHANNELS])
    offsets = np.empty(channels * geo[KD] * geo[KH] * geo[KW], np.intp)
    _offsets(geo, channels, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    sums = dw if parts == 1 else np.empty(parts * dw.size, dw.dtype)
    if _work(geo) < SERIAL:
        for unit in range(units):
            weight_unit(ptr(x, 0), ptr(dy, 0), ptr(x, 0), ptr(sums, 0), geo, offsets, 0, unit)
    else:
        for unit in prange(units):
            weight_unit(ptr(x, 0), ptr(dy, 0), ptr(x, 0), ptr(sums, 0), geo, offsets, 0, np.intp(unit))
    if parts > 1:
        size = dw.size
        for i in range(size):
            s = sums[i]
            for p in range(1, parts):
                s += sums[p * size + i]
            dw[i] = s
    keep(sums)
