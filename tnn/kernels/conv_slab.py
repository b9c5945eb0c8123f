"""What all convolution kernels share: the geometry, slabs (padded copies of the input) and runs of positions in them.

See ``conv`` for what they are for.
"""

import functools

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from ._gemm import HALF_WORK, SERIAL
from ._jit import JIT
from ._simd import (
    MR,
    NR32,
    load,
    number,
    shared_code,
    shift,
    store,
)
from ._simd_rows import MASKS, part_rows, part_rows_by_four, put_rows

# Part of ``mode`` that says that the weights are as ``conv_pack`` leaves them.
READY = 32
# Elements of a slab that a unit aims at: a quarter of a second-level cache of 1 MiB in float32.
SLAB = 1 << 16
# Output positions of one image up to which several images make one unit.
FEW = 224
# Units that a large problem is cut into at least, if it can be.
UNITS = 8

_NAMES = (
    "batch cin d h w cout od oh ow kd kh kw sd sh sw dd dh dw pd ph pw groups "
    "rows slab_d slab_h wq slab units_rows channels units_channels parts images units_images units_cout"
).split()
(
    BATCH, CIN, D, H, W, COUT, OD, OH, OW, KD, KH, KW, SD, SH, SW, DD, DH, DW, PD, PH, PW, GROUPS,
    ROWS, SLAB_D, SLAB_H, WQ, SLAB_SIZE, UNITS_ROWS, CHANNELS, UNITS_CHANNELS, PARTS, IMAGES, UNITS_IMAGES, UNITS_COUT,
) = range(len(_NAMES))  # fmt: skip


def ceil_div(a, b):
    """a / b, rounded up."""
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
    wanted = ceil_div(UNITS if work // UNITS >= SERIAL else 2, batch * groups) if work >= 2 * HALF_WORK else 1
    if od * oh * ow <= FEW:
        wanted, fit = 1, lines
    fit = max(fit, ceil_div(6 * NR32, max(1, ow * (oh if od > 1 else 1))))
    rows = max(1, min(lines, max(fit, ceil_div(2 * halo + 1, sd if od > 1 else sh)), ceil_div(lines, wanted)))
    rows = ceil_div(lines, ceil_div(lines, rows))
    if od > 1:
        slab_d, slab_h = (rows - 1) * sd + (kd - 1) * dd + 1, full_h
    else:
        slab_d, slab_h = full_d, (rows - 1) * sh + (kh - 1) * dh + 1
    # Small images: several in a unit, so that the panels are full and the weights are read less often.
    plane = slab_d * slab_h * across
    images = 1
    if od * oh * ow <= FEW and channels:
        images = max(1, min(batch, ceil_div(FEW, max(1, od * oh * ow)), 3 * SLAB // (plane * channels)))
        images = ceil_div(batch, ceil_div(batch, images)) if batch else 1
    units_images = ceil_div(batch, images)
    units = max(1, units_images * groups * ceil_div(lines, rows))
    tiles = ceil_div(cout // groups, MR)
    units_cout = max(1, min(ceil_div(UNITS, units), tiles // 9)) if work // UNITS >= SERIAL else 1
    # Input and weight gradient: a unit has some channels.
    plane = full_d * full_h * across
    taps = kd * kh * kw
    some = max(1, min(channels, max(SLAB // max(1, plane), ceil_div(4 * MR, taps))))
    if work // UNITS >= SERIAL:
        some = max(min(some, ceil_div(2 * MR, taps)), min(some, ceil_div(channels, ceil_div(UNITS, batch * groups))))
    some = min(some, max(ceil_div(2 * MR, taps), SLAB // max(1, taps * (cout // groups))))
    some = ceil_div(channels, ceil_div(channels, some)) if channels else 1
    units_channels = ceil_div(channels, some)
    # Weight gradient: sums over parts of the batch where channels alone give too few units.
    items = batch * ceil_div(lines, rows)
    parts = min(items, max(1, 8 // max(1, groups * units_channels))) if work // 8 >= SERIAL else 1
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, kd, kh, kw, sd, sh, sw, dd, dh, dw, pd, ph, pw, groups,
        rows, slab_d, slab_h, wq, slab_d * slab_h * across, ceil_div(lines, rows), some, units_channels, max(1, parts),
        images, units_images, units_cout,
    )  # fmt: skip
    return np.array(numbers, np.intp)


def scatters(channels, couts, groups):
    """Whether an input gradient of so few channels is scattered.

    It could be a convolution, which would leave most lanes or rows of its tiles empty. (Two threads, 64 images, 6
    channels of 14 x 14 -> 16, 5 x 5: 0.54 ms as a direct convolution, 0.61 with panels, 0.36 so; 16 images, 6 of
    28 x 28 -> 64, 3 x 3: 1.07, 0.91, 0.53; 8 images, 8 channels -> 8: 0.08 with panels, 0.10 so.)
    """
    return groups == 1 and channels < 12 and 2 * channels <= couts


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
    lo1, hi1 = _valid(geo, 0)
    across = sw * wq
    # Rows ja..jb lie inside of x.
    ja = min(nh, max(0, -h0))
    jb = max(ja, min(nh, h - h0))
    for c in range(channels):
        for i in range(nd):
            box = shift(slab, c * plane + i * slab_h * across)
            if d0 + i < 0 or d0 + i >= d:
                for q in range(nh * across):
                    store(box, q, zero)
                continue
            for q in range(ja * across):
                store(box, q, zero)
            for q in range(jb * across, nh * across):
                store(box, q, zero)
            source = shift(x, ((c * d + d0 + i) * h + h0 + ja) * w)
            line = shift(box, ja * across)
            if sw == 1 and MASKS:
                put_rows(jb - ja, shift(source, -pw), w, lo1, hi1, line, across, wq)
                continue
            if sw == 2 and MASKS:
                part_rows(jb - ja, shift(source, -pw), w, pw, pw + w, line, across, wq)
                continue
            if sw == 4 and MASKS:
                part_rows_by_four(jb - ja, shift(source, -pw), w, pw, pw + w, line, across, wq)
                continue
            for j in range(jb - ja):
                for phase in range(sw):
                    lo, hi = _valid(geo, phase)
                    out = shift(line, j * across + phase * wq)
                    for q in range(lo):
                        store(out, q, zero)
                    inside, count = shift(out, lo), hi - lo
                    start = shift(source, j * w + lo * sw + phase - pw)
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


@njit(**JIT)
def _is_pointwise(geo):
    taps = geo[KD] * geo[KH] * geo[KW]
    strides = geo[SD] * geo[SH] * geo[SW]
    same = geo[D] == geo[OD] and geo[H] == geo[OH] and geo[W] == geo[OW]
    return taps == 1 and strides == 1 and same and geo[PD] == 0 and geo[PH] == 0 and geo[PW] == 0


@njit(**JIT)
def _whole(geo):
    """(depths, rows, elements of a row) of a slab for all outputs."""
    slab_d = (geo[OD] - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
    slab_h = (geo[OH] - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    return slab_d, slab_h, geo[SW] * geo[WQ]


@njit(**JIT)
def _work(geo):
    taps = geo[KD] * geo[KH] * geo[KW]
    return geo[BATCH] * geo[COUT] * (geo[CIN] // geo[GROUPS]) * taps * geo[OD] * geo[OH] * geo[OW]


def unit_signature(real):
    """Numba signature of a unit of work: four pointers, geometry, offsets, a mode and the unit's number."""
    p, array = types.CPointer(real), types.Array(types.intp, 1, "C")
    return types.void(p, p, p, p, array, array, types.intp, types.intp)


def share(function, slot):
    """A unit of work as an intrinsic that any kernel may call, compiled once for all its calls: it would be compiled
    three times in its kernel. ``slot`` and the next one are places in the table of shared code."""
    pairs = enumerate((types.float32, types.float64), slot)
    emits = {real: shared_code(number, function, unit_signature(real)) for number, real in pairs}

    @intrinsic
    def shared(typingctx, x, w, bias, y, geo, offsets, mode, unit):
        emit = emits[x.dtype]

        def codegen(context, builder, sig, args):
            return emit(context, builder, args)

        return unit_signature(x.dtype), codegen

    return shared
