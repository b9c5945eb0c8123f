"""Input gradient of a convolution with strides, and so the transposed convolution, for channels in plenty.

    dx[n, c, x] = bias[c] + sum over o and the taps t with (x + pad - t * dilation) divisible by the stride of
                  w[o, c, t] * dy[n, o, (x + pad - t * dilation) / stride]

in each dimension. Positions x with the same remainder modulo the stride (a phase) have the same taps, and from one of
them to the next dy moves on by one: for each phase it is a convolution with stride 1 of some of the taps (W. Shi et
al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network",
arXiv:1609.05158). These are computed as in ``conv_direct``; the tiles of a phase leave room for the others'.

Measured on two cores (Zen 4) against PyTorch 2.13, with additions into a slab as in ``conv_backward`` and so:
transposed convolutions 4x4 of stride 2 of 8x8 planes 0.90 and 1.05, of 8x8x8 0.86 and 1.6; the input gradient of 3x3 of
stride 2 with 14x14 planes 0.70 and 1.0.
"""

import functools
import math

import numpy as np
from numba import njit, prange

from ._gemm import KC, SERIAL
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    VL32,
    keep,
    number,
    ptr,
    scratch,
    shift,
    store,
    vector_len,
)
from ._simd_reduce import reduce_tile, turn_out, turn_places
from .conv_direct import POSITIONS, SHALLOW, SLAB, _taps_inside
from .conv_slab import (
    BATCH,
    CIN,
    COUT,
    GROUPS,
    KD,
    KH,
    KW,
    OD,
    OH,
    OW,
    PD,
    PH,
    PW,
    UNITS,
    D,
    H,
    W,
    ceil_div,
    fill_slab,
    share,
)

# The geometry is that of a convolution of dy with stride 1, as far as the slab is concerned: CIN are dy's channels and
# (D, H, W) its size, COUT and (OD, OH, OW) those of dx. What follows the groups:
ROWS, SPAN_D, SLAB_H, WQ, SLAB_SIZE, PARTS, CHUNKS, BLOCKS, SPAN_H, SD, SH, SW, JUMPS = range(22, 35)
# For each dimension: the steps from a tap of a phase to its next one, and between the inputs of the two, backwards.
# Then, for each phase of the depth, of the height and of the width: the first tap, how many there are, and where in dy
# the last of them reads, from the phase's own position on.
TABLE = JUMPS + 6
TAP, COUNT, LOW = range(3)


def _phases(kernel, stride, dilation, pad):
    """[(first tap, taps, where the last one reads)] for each phase, steps between taps and between their inputs."""
    common = math.gcd(stride, dilation)
    tap_step, move = stride // common, dilation // common
    found = []
    for phase in range(stride):
        taps = [t for t in range(kernel) if (phase + pad - t * dilation) % stride == 0]
        found.append((taps[0], len(taps), (phase + pad - taps[-1] * dilation) // stride) if taps else (0, 0, 0))
    return found, tap_step, move


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The numbers that the kernel needs, or None if it is not the right one; arguments as ``conv_slab.geometry``'s."""
    channels, couts, taps = cout // groups, cin // groups, kernel[0] * kernel[1] * kernel[2]
    strides = stride[0] * stride[1] * stride[2]
    if min(batch, channels, couts, *size, *out) < 1 or max(*padding, *stride) > 1 << 20 or strides == 1:
        return None
    work = batch * cout * couts * taps * out[0] * out[1] * out[2]
    phases = [_phases(*numbers) for numbers in zip(kernel, stride, dilation, padding, strict=True)]
    lanes = ceil_div(couts, VL32) * VL32
    # As in conv_direct.
    if channels * taps < SHALLOW * strides or work < SERIAL // 4 or couts < 0.74 * lanes:
        return None
    low, high = [], []
    for found, _, move in phases:
        some = [(at, at + (count - 1) * move) for _, count, at in found if count]
        low.append(min(0, *(a for a, _ in some)))
        high.append(max(0, *(b for _, b in some)))
    span = [b - a for a, b in zip(low, high, strict=True)]
    across = ceil_div(size[2], stride[2]) + span[2]
    (d, h, w), (sd, sh, _) = size, stride
    # Rows are counted in steps of the stride: all phases of some.
    lines, step, halo = (ceil_div(d, sd), sd, span[0]) if d > 1 else (ceil_div(h, sh), sh, span[1])
    full_h = ceil_div(h, sh) + span[1]
    thick = across * channels * (full_h if d > 1 else 1)
    per_line = step * w * (h if d > 1 else 1)
    fit = max(1, min(4 * SLAB // thick - halo, POSITIONS // per_line))
    fit = max(fit, min(lines, halo))
    rows = ceil_div(lines, ceil_div(lines, min(lines, fit)))
    parts = ceil_div(lines, rows)
    slab_d, slab_h = (rows + halo, full_h) if d > 1 else (1 + span[0], rows + halo)
    plane = ceil_div(slab_d * slab_h * across, VL32) * VL32
    plane += VL32 if plane // VL32 % 2 == 0 else 0
    panels = ceil_div(couts, VL32 * NV)
    chunks = min(panels, ceil_div(UNITS, batch * groups * parts)) if work // UNITS >= SERIAL // 4 else 1
    blocks = ceil_div(channels, max(1, KC * strides // taps))
    numbers = (
        batch, cout, *out, cin, *size, *kernel, 1, 1, 1, 1, 1, 1, *(-a for a in low), groups,
        rows, span[0], slab_h, across, plane, parts, chunks, blocks, span[1], *stride,
    )  # fmt: skip
    steps = [n for _, tap_step, move in phases for n in (tap_step, move)]
    table = [n for found, _, _ in phases for phase in found for n in phase]
    return np.array([*numbers, *steps, *table], np.intp)


@njit(**JIT)
def _steps(geo, starts, order, moves, offsets):
    """Where the taps of each phase begin, which tap comes at which place, and where each step of a sum reads.

    ``starts[phase]``; ``order[place]`` and ``moves[place]``, within a plane; ``offsets[block, place, channel]``.
    """
    sd, sh, sw, slab_h, wq = geo[SD], geo[SH], geo[SW], geo[SLAB_H], geo[WQ]
    place = 0
    for phase in range(sd * sh * sw):
        starts[phase] = place
        pd, ph, pw = phase // (sh * sw), phase // sw % sh, phase % sw
        d, h, w = TABLE + 3 * pd, TABLE + 3 * (sd + ph), TABLE + 3 * (sd + sh + pw)
        nd, nh, nw = geo[d + COUNT], geo[h + COUNT], geo[w + COUNT]
        for i in range(nd):
            for j in range(nh):
                for m in range(nw):
                    tap_d = geo[d + TAP] + (nd - 1 - i) * geo[JUMPS]
                    tap_h = geo[h + TAP] + (nh - 1 - j) * geo[JUMPS + 2]
                    tap_w = geo[w + TAP] + (nw - 1 - m) * geo[JUMPS + 4]
                    z = geo[PD] + geo[d + LOW] + i * geo[JUMPS + 1]
                    y = geo[PH] + geo[h + LOW] + j * geo[JUMPS + 3]
                    x = geo[PW] + geo[w + LOW] + m * geo[JUMPS + 5]
                    order[place] = (tap_d * geo[KH] + tap_h) * geo[KW] + tap_w
                    moves[place] = (z * slab_h + y) * wq + x
                    place += 1
    starts[sd * sh * sw] = place
    channels, blocks, at = geo[CIN] // geo[GROUPS], geo[BLOCKS], 0
    for block in range(blocks):
        for p in range(place):
            for c in range(channels * block // blocks, channels * (block + 1) // blocks):
                offsets[at] = moves[p] + c * geo[SLAB_SIZE]
                at += 1


@njit(**JIT)
def _pack(w, packed, geo, order, unit):
    """The weights of one group and panel of dx's channels, in the order in which the tiles read them."""
    cin, cout, blocks = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS], geo[BLOCKS]
    taps = geo[KD] * geo[KH] * geo[KW]
    vl = vector_len(w)
    width = NV * vl
    padded = (cout + vl - 1) // vl * vl
    panels = (cout + width - 1) // width
    group, panel = unit // panels, unit % panels
    o0 = panel * width
    wide = min(width, padded - o0)
    source = shift(w, group * cin * cout * taps)
    target = shift(packed, (group * padded + o0) * cin * taps)
    # From its last whole vector on, w is read with masks.
    end = cin * cout * taps - vl
    places = np.empty((cin + blocks - 1) // blocks * taps, np.intp)
    for block in range(blocks):
        c0 = cin * block // blocks
        nc = cin * (block + 1) // blocks - c0
        out = shift(target, c0 * taps * wide)
        for p in range(taps):
            for c in range(nc):
                places[c * taps + order[p]] = (p * nc + c) * wide
        for v in range(0, wide, vl):
            last, column = min(vl, cout - o0 - v) - 1, shift(out, v)
            for c in range(nc):
                start = ((c0 + c) * cout + o0 + v) * taps
                for t in range(0, taps, vl):
                    whole = start + last * taps + t <= end
                    where = ptr(places, c * taps + t)
                    turn_places(shift(source, start + t), taps, last, column, where, min(vl, taps - t), whole)
    keep(places)


@njit(**JIT)
def _rows(geo, slab, d0, nd, h0, nh, depth, starts, offsets, right, vectors, add, out, wide):
    """All tiles of a unit for one panel and one block of ``depth`` channels: phase by phase.

    The unit has dx's depths and rows from d0 and h0 on, multiples of the strides.
    """
    sd, sh, sw, slab_h, wq, ow = geo[SD], geo[SH], geo[SW], geo[SLAB_H], geo[WQ], geo[OW]
    for phase in range(sd * sh * sw):
        pd, ph, pw = phase // (sh * sw), phase // sw % sh, phase % sw
        d, h, w = TABLE + 3 * pd, TABLE + 3 * (sd + ph), TABLE + 3 * (sd + sh + pw)
        kh, kw = geo[h + COUNT], geo[w + COUNT]
        weights, where = shift(right, starts[phase] * depth * wide), shift(offsets, starts[phase] * depth)
        count = (ow - pw + sw - 1) // sw
        tiles = (count + MR - 1) // MR
        for i in range((nd - pd + sd - 1) // sd):
            kd0, kd1 = _taps_inside(d0 // sd + i + geo[d + LOW], geo[D], geo[d + COUNT], geo[JUMPS + 1])
            for j in range((nh - ph + sh - 1) // sh):
                kh0, kh1 = _taps_inside(h0 // sh + j + geo[h + LOW], geo[H], kh, geo[JUMPS + 3])
                n1, n2, gap = kd1 - kd0, (kh1 - kh0) * kw * depth, (kh - kh1 + kh0) * kw * depth
                if gap == 0:
                    n1, n2 = min(n1, 1), n1 * n2
                first = (kd0 * kh + kh0) * kw * depth
                line = shift(slab, (i * slab_h + j) * wq)
                target = shift(out, (((i * sd + pd) * nh + j * sh + ph) * ow + pw) * wide)
                for t in range(tiles):
                    lo = count * t // tiles
                    rows = count * (t + 1) // tiles - lo
                    place = shift(target, lo * sw * wide)
                    if n1 > 0 and n2 > 0:
                        reduce_tile(rows, vectors, n1, n2, gap, shift(line, lo), shift(where, first),
                                    shift(weights, first * wide), place, sw * wide, add)  # fmt: skip
                    elif not add:
                        for r in range(rows):
                            for q in range(wide):
                                store(place, r * sw * wide + q, number(place, 0))


@njit(**JIT)
def _input_unit(dy, w, bias, dx, geo, steps, with_bias, unit):
    """One image and group, part of dx's rows and some panels; w as ``_pack`` leaves it. Arrays as pointers.

    ``steps``: the starts of the phases, then the offsets.
    """
    chunks, groups, parts = geo[CHUNKS], geo[GROUPS], geo[PARTS]
    chunk, group = unit % chunks, unit // chunks % groups
    part, image = unit // (chunks * groups) % parts, unit // (chunks * groups * parts)
    cin, cout, blocks = geo[CIN] // groups, geo[COUT] // groups, geo[BLOCKS]
    taps, ow = geo[KD] * geo[KH] * geo[KW], geo[OW]
    d0, nd, h0, nh = 0, geo[OD], 0, geo[OH]
    if nd > 1:
        d0 = part * geo[ROWS] * geo[SD]
        nd = min(nd - d0, geo[ROWS] * geo[SD])
    else:
        h0 = part * geo[ROWS] * geo[SH]
        nh = min(nh - h0, geo[ROWS] * geo[SH])
    size, count = geo[OD] * geo[OH] * ow, nd * nh * ow
    plane, slab_h = geo[SLAB_SIZE], geo[SLAB_H]
    vl = vector_len(dy)
    width, item = NV * vl, VECTOR_BYTES // vl
    buffer = np.empty((cin * plane + (count + vl) * width + 8 * vl) * item + 64, np.uint8)
    slab = scratch(buffer, dy)
    out = shift(slab, cin * plane + 4 * vl)
    source = shift(dy, (image * geo[CIN] + group * cin) * geo[D] * geo[H] * geo[W])
    rows_d = (nd + geo[SD] - 1) // geo[SD] + geo[SPAN_D]
    rows_h = (nh + geo[SH] - 1) // geo[SH] + geo[SPAN_H]
    first_d, first_h = d0 // geo[SD] - geo[PD], h0 // geo[SH] - geo[PH]
    fill_slab(geo, source, cin, first_d, rows_d, first_h, rows_h, slab_h, plane, slab)
    padded, panels = (cout + vl - 1) // vl * vl, (cout + width - 1) // width
    phases = geo[SD] * geo[SH] * geo[SW]
    for panel in range(panels * chunk // chunks, panels * (chunk + 1) // chunks):
        o0 = panel * width
        wide = min(width, padded - o0)
        weight = shift(w, (group * padded + o0) * cin * taps)
        for block in range(blocks):
            c0 = cin * block // blocks
            depth = cin * (block + 1) // blocks - c0
            right, where = shift(weight, c0 * taps * wide), ptr(steps, phases + 1 + c0 * taps)
            _rows(geo, slab, d0, nd, h0, nh, depth, steps, where, right, wide // vl, 1 if block else 0, out, wide)
        target = shift(dx, (image * geo[COUT] + group * cout + o0) * size + (d0 * geo[OH] + h0) * ow)
        extra = shift(bias, group * cout + o0 if with_bias else 0)
        for p in range(0, count, vl):
            for v in range(0, wide, vl):
                turn_out(
                    shift(out, p * wide + v), wide, min(vl, count - p) - 1, shift(target, v * size + p), size,
                    min(vl, cout - o0 - v), shift(extra, v if with_bias else 0), 2 * with_bias,
                )  # fmt: skip
    keep(buffer)


input_unit = share(_input_unit, 16)


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """As ``conv_backward.conv_backward_input``."""
    groups, phases = geo[GROUPS], geo[SD] * geo[SH] * geo[SW]
    cin, cout, taps = geo[CIN] // groups, geo[COUT] // groups, geo[KD] * geo[KH] * geo[KW]
    vl = vector_len(ptr(dy, 0))
    width = NV * vl
    packs = groups * ((cout + width - 1) // width)
    units = geo[BATCH] * geo[PARTS] * groups * geo[CHUNKS]
    steps, order, moves = np.empty(phases + 1 + cin * taps, np.intp), np.empty(taps, np.intp), np.empty(taps, np.intp)
    _steps(geo, steps, order, moves, steps[phases + 1 :])
    storage = np.empty(groups * ((cout + vl - 1) // vl * vl) * cin * taps * (VECTOR_BYTES // vl) + 64, np.uint8)
    if geo[BATCH] * geo[CIN] * cout * taps * geo[D] * geo[H] * geo[W] < SERIAL:
        packed = scratch(storage, ptr(dy, 0))
        for unit in range(packs):
            _pack(ptr(w, 0), packed, geo, order, unit)
        for unit in range(units):
            input_unit(ptr(dy, 0), packed, ptr(bias, 0), ptr(dx, 0), geo, steps, with_bias, unit)
    else:
        for unit in prange(packs):
            _pack(ptr(w, 0), scratch(storage, ptr(dy, 0)), geo, order, np.intp(unit))
        for unit in prange(units):
            packed_ = scratch(storage, ptr(dy, 0))
            input_unit(ptr(dy, 0), packed_, ptr(bias, 0), ptr(dx, 0), geo, steps, with_bias, np.intp(unit))
    keep(storage)
