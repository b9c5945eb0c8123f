"""Gradients of convolution. See ``conv`` for the method and the arrays."""

import numpy as np
from numba import njit, prange

from ._gemm import KC, SERIAL, _pack_b, gemm_strided
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
    shift,
    store,
    tile,
    vector_len,
)
from ._simd_rows import add_segments, copy_segments
from .conv_slab import (
    BATCH,
    CHANNELS,
    CIN,
    COUT,
    DD,
    DH,
    GROUPS,
    KD,
    KH,
    KW,
    OD,
    OH,
    OW,
    PARTS,
    PD,
    PH,
    SD,
    SH,
    SLAB_H,
    SLAB_SIZE,
    UNITS_CHANNELS,
    UNITS_COUT,
    UNITS_ROWS,
    D,
    H,
    W,
    _is_pointwise,
    _offsets,
    _part,
    _segments,
    _whole,
    _work,
    empty_slab,
    fill_slab,
    share,
)

# ---------------------------------------------------------------- gradient of the input


@njit(**JIT)
def _pointwise_input_unit(dy, w, bias, dx, geo, with_bias, unit):
    units, groups, chunks = geo[UNITS_ROWS], geo[GROUPS], geo[UNITS_COUT]
    chunk, group, image = unit % chunks, unit // (chunks * units) % groups, unit // (chunks * units * groups)
    d0, nd, h0, nh = _part(geo, unit // chunks % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    c0 = cin * chunk // chunks
    rows = cin * (chunk + 1) // chunks - c0
    size = geo[OD] * geo[OH] * geo[OW]
    start = (d0 * geo[OH] + h0) * geo[OW]
    source = shift(dy, (image * geo[COUT] + group * cout) * size + start)
    first = group * cin + c0
    out = shift(dx, (image * geo[CIN] + first) * size + start)
    extra = shift(bias, first if with_bias else 0)
    count = nd * nh * geo[OW]
    left, mode = shift(w, group * cout * cin + c0), 2 if with_bias else 0
    gemm_strided(rows, count, cout, 1.0, left, 1, cin, source, size, 1, 0.0, out, size, extra, mode)


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
    places = np.empty(kr, np.intp)
    for r in range(kr):
        places[r] = r % channels * taps + r // channels
    source = shift(w, group * cout * cin * taps + c0 * taps)
    target = shift(packed, (group * cin + c0) * taps * cout)
    for block in range(blocks):
        p0 = cout * block // blocks
        kc = cout * (block + 1) // blocks - p0
        for p in range(kc):
            line = shift(source, (p0 + p) * cin * taps)
            for t in range(tiles):
                lo = kr * t // tiles
                rows = kr * (t + 1) // tiles - lo
                out = shift(target, p0 * kr + lo * kc + p * rows)
                for r in range(rows):
                    store(out, r, load(line, places[lo + r]))


input_unit = share(_input_unit, 6)


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """dx (batch, cin, d, h, w) = gradient of conv_forward's x (+ bias (cin,)): dy convolved, transposed. All flat.

    ``with_bias``: 1 if ``bias`` is to be added to dx's channels, else 0 (then ``bias`` is any array of one element).
    """
    direct = _is_pointwise(geo)
    units = geo[BATCH] * geo[GROUPS] * (geo[UNITS_ROWS] * geo[UNITS_COUT] if direct else geo[UNITS_CHANNELS])
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


weight_unit = share(_weight_unit, 8)


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
