"""Convolution of images with few channels in a group, but more than one: the same functions as in ``conv``.

As many groups as fill a vector with their output channels are computed together, a pack: see ``_simd_groups``. A unit
of work copies the planes of a pack into a slab, padded, the groups of the pack side by side at each position. A tile is
some consecutive output positions by one vector and stays in registers over all taps and channels; for the gradient of
the weight it is the input channels at one tap by one vector, over all positions.

Measured on two cores (Zen 4) against PyTorch 2.13, 32 groups of 8 channels, planes of 14x14, as in ``conv`` and so:
forward 0.70 and 1.25, the input gradient 0.72 and 1.3, that of the weight 0.54 and 1.25.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL
from ._jit import JIT
from ._simd import MR, VECTOR_BYTES, VL32, keep, load, number, ptr, scratch, shift, store, vector_len
from ._simd_groups import SHARED, gather_in, group_tile, spread_out, zip_rows
from .conv_slab import BATCH, CIN, COUT, DH, DW, GROUPS, KH, KW, OH, OW, PH, PW, SH, SW, UNITS, H, W, ceil_div

# Output positions of a unit, and elements of its slab, that are aimed at.
POSITIONS, SLAB = 512, 1 << 15
ROWS, ACROSS, PARTS, PARTS_WEIGHT = range(22, 26)


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """As ``conv_slab.geometry``, or None if these kernels are not the right ones."""
    (d, h, w), (od, oh, ow), (kd, kh, kw) = size, out, kernel
    channels, couts = cin // groups, cout // groups
    if max(d, od, kd) > 1 or padding[0] or min(batch, channels, oh, ow) < 1 or min(padding) < 0:
        return None
    work = batch * cout * channels * kh * kw * oh * ow
    # In float64 a pack has half as many groups.
    packs = [n for n in SHARED[1:] if n * couts == VL32 and groups % n == 0]
    if not packs or channels < 2 or channels * kh * kw < 16 or work < SERIAL // 4 or max(padding) > 1 << 20:
        return None
    across = (ow - 1) * stride[2] + (kw - 1) * dilation[2] + 1
    halo = (kh - 1) * dilation[1] + 1 - stride[1]
    fit = min(POSITIONS // ow, SLAB // (VL32 // couts * channels * across) - halo)
    fit = max(fit // stride[1] if stride[1] > 1 else fit, 1)
    fit = max(fit, min(oh, halo // stride[1]))
    rows = ceil_div(oh, ceil_div(oh, min(oh, fit)))
    parts = ceil_div(oh, rows)
    items = batch * parts
    parts_weight = max(1, min(items, ceil_div(UNITS, groups * couts // VL32))) if work // UNITS >= SERIAL // 4 else 1
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, kd, kh, kw, *stride, *dilation, *padding, groups,
        rows, across, parts, parts_weight,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry of the input gradient as a convolution, or None; arguments as ``geometry``'s."""
    if max(stride) > 1:
        return None
    front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True))
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups)


@njit(**JIT)
def _lines(geo):
    """Rows of a unit's slab."""
    return (geo[ROWS] - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1


@njit(**JIT)
def _fill(geo, x, shared, image, pack, first, rows, slab):
    """The slab of output rows from ``first`` on; ``rows`` are the slab's. A few elements beyond its end are written."""
    channels, h, w, across = geo[CIN] // geo[GROUPS], geo[H], geo[W], geo[ACROSS]
    top, pitch = first * geo[SH] - geo[PH], across * shared
    ja = min(rows, max(0, -top))
    jb = max(ja, min(rows, h - top))
    hi = min(across, geo[PW] + w)
    for c in range(channels):
        box = shift(slab, c * _lines(geo) * pitch)
        for q in range(ja * pitch):
            store(box, q, number(x, 0))
        source = shift(x, (image * geo[CIN] + pack * shared * channels + c) * h * w + (top + ja) * w - geo[PW])
        zip_rows(shared, jb - ja, source, w, channels * h * w, geo[PW], hi, shift(box, ja * pitch), pitch, across)
        for q in range(jb * pitch, rows * pitch):
            store(box, q, number(x, 0))


@njit(**JIT)
def _pack(w, packed, geo, shared, mirrored, pack):
    """The weights of a pack: (tap, channel, lane)."""
    cin, cout, taps = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS], geo[KH] * geo[KW]
    vl = vector_len(w)
    out = shift(packed, pack * taps * cin * vl)
    for g in range(shared):
        source = shift(w, (pack * shared + g) * cin * cout * taps)
        for o in range(cout):
            for c in range(cin):
                for t in range(taps):
                    place = (t * cin + c) * vl + o * shared + g
                    if mirrored:
                        store(out, place, load(source, (c * cout + o) * taps + taps - 1 - t))
                    else:
                        store(out, place, load(source, (o * cin + c) * taps + t))


@njit(**JIT)
def _forward_unit(x, packed, bias, y, geo, offsets, shared, mode, unit):
    """One image and pack, part of the rows."""
    packs, parts = geo[GROUPS] // shared, geo[PARTS]
    part, pack, image = unit % parts, unit // parts % packs, unit // (parts * packs)
    cin, ow, vl = geo[CIN] // geo[GROUPS], geo[OW], vector_len(x)
    first = geo[OH] * part // parts
    nh = geo[OH] * (part + 1) // parts - first
    pitch, plane = geo[ACROSS] * shared, _lines(geo) * geo[ACROSS] * shared
    count, size = nh * ow, geo[OH] * ow
    buffer = np.empty((cin * plane + (count + shared) * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    out = scratch(buffer, x)
    slab = shift(out, count * vl)
    _fill(geo, x, shared, image, pack, first, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1, slab)
    weight = shift(packed, pack * offsets.size * vl)
    tiles = (ow + MR - 1) // MR
    for j in range(nh):
        line = shift(slab, j * geo[SH] * pitch)
        for t in range(tiles):
            lo = ow * t // tiles
            group_tile(
                shared, ow * (t + 1) // tiles - lo, offsets.size, shift(line, lo * geo[SW] * shared), ptr(offsets, 0),
                geo[SW] * shared, weight, shift(out, (j * ow + lo) * vl), vl, 0,
            )  # fmt: skip
    target = shift(y, (image * geo[COUT] + pack * vl) * size + first * ow)
    extra = shift(bias, pack * vl if mode & 2 else 0)
    for p in range(0, count, vl):
        spread_out(shared, shift(out, p * vl), vl, min(vl, count - p) - 1, shift(target, p), size, extra, mode & 2)
    keep(buffer)


@njit(**JIT)
def _steps(geo, shared, offsets):
    """offsets[tap, channel] in a slab."""
    cin, at = geo[CIN] // geo[GROUPS], 0
    for i in range(geo[KH]):
        for j in range(geo[KW]):
            for c in range(cin):
                offsets[at] = ((c * _lines(geo) + i * geo[DH]) * geo[ACROSS] + j * geo[DW]) * shared
                at += 1


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """As ``conv.conv_forward``."""
    vl, mirrored = vector_len(ptr(x, 0)), mode & 16
    shared = vl * geo[GROUPS] // geo[COUT]
    packs, units = geo[GROUPS] // shared, geo[BATCH] * geo[GROUPS] // shared * geo[PARTS]
    offsets = np.empty(geo[CIN] // geo[GROUPS] * geo[KH] * geo[KW], np.intp)
    _steps(geo, shared, offsets)
    packed = np.empty(w.size, w.dtype)
    if y.size * offsets.size < SERIAL:
        for pack in range(packs):
            _pack(ptr(w, 0), ptr(packed, 0), geo, shared, mirrored, pack)
        for unit in range(units):
            _forward_unit(ptr(x, 0), ptr(packed, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, shared, mode, unit)
    else:
        for pack in prange(packs):
            _pack(ptr(w, 0), ptr(packed, 0), geo, shared, mirrored, np.intp(pack))
        for unit in prange(units):
            _forward_unit(ptr(x, 0), ptr(packed, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, shared, mode, np.intp(unit))
    keep(packed)


# ---------------------------------------------------------------- gradient of the weight


@njit(**JIT)
def _weight_unit(x, dy, total, geo, offsets, shared, unit):
    """One pack, part of the (image, rows) items: ``total`` of that part."""
    packs, parts, split = geo[GROUPS] // shared, geo[PARTS], geo[PARTS_WEIGHT]
    pack, some = unit % packs, unit // packs
    cin, cout, taps = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS], geo[KH] * geo[KW]
    ow, vl = geo[OW], vector_len(x)
    size, plane = geo[OH] * ow, _lines(geo) * geo[ACROSS] * shared
    buffer = np.empty((cin * plane + (geo[ROWS] * ow + shared + cin * taps) * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    sums = scratch(buffer, x)
    grad = shift(sums, cin * taps * vl)
    slab = shift(grad, geo[ROWS] * ow * vl)
    items, tiles = geo[BATCH] * parts, (cin + MR - 1) // MR
    start = items * some // split
    for item in range(start, items * (some + 1) // split):
        image, part = item // parts, item % parts
        first = geo[OH] * part // parts
        nh = geo[OH] * (part + 1) // parts - first
        _fill(geo, x, shared, image, pack, first, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1, slab)
        source, count = shift(dy, (image * geo[COUT] + pack * vl) * size + first * ow), nh * ow
        for p in range(0, count, vl):
            gather_in(shared, shift(source, p), size, min(vl, count - p), shift(grad, p * vl))
        for i in range(geo[KH]):
            for j in range(geo[KW]):
                base = shift(slab, (i * geo[DH] * geo[ACROSS] + j * geo[DW]) * shared)
                tap = i * geo[KW] + j
                for t in range(tiles):
                    lo = cin * t // tiles
                    group_tile(
                        shared, cin * (t + 1) // tiles - lo, count, shift(base, lo * plane), ptr(offsets, 0), plane,
                        grad, shift(sums, (lo * taps + tap) * vl), taps * vl, 1 if item > start else 0,
                    )  # fmt: skip
    for g in range(shared):
        out = shift(total, (some * geo[COUT] + (pack * shared + g) * cout) * cin * taps)
        for o in range(cout):
            for r in range(cin * taps):
                store(out, o * cin * taps + r, load(sums, r * vl + o * shared + g))
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """As ``conv.conv_backward_weight``."""
    vl = vector_len(ptr(x, 0))
    shared = vl * geo[GROUPS] // geo[COUT]
    parts, size = geo[PARTS_WEIGHT], dw.size
    units = geo[GROUPS] // shared * parts
    offsets = np.empty(geo[ROWS] * geo[OW], np.intp)
    for p in range(offsets.size):
        offsets[p] = (p // geo[OW] * geo[SH] * geo[ACROSS] + p % geo[OW] * geo[SW]) * shared
    sums = dw if parts == 1 else np.empty(parts * size, dw.dtype)
    if dy.size * (dw.size // geo[COUT]) < SERIAL:
        for unit in range(units):
            _weight_unit(ptr(x, 0), ptr(dy, 0), ptr(sums, 0), geo, offsets, shared, unit)
    else:
        for unit in prange(units):
            _weight_unit(ptr(x, 0), ptr(dy, 0), ptr(sums, 0), geo, offsets, shared, np.intp(unit))
    if parts > 1:
        for i in range(size):
            s = sums[i]
            for p in range(1, parts):
                s += sums[p * size + i]
            dw[i] = s
    keep(sums)
