"""Gradient of the weight by Winograd's minimal filtering: ``conv_winograd``'s partner.

A 3 x 3 gradient is the sum, over all 2 x 2 tiles of dy and the 4 x 4 inputs d below them, of a 2 x 2 filter's 3 x 3
outputs. With the matrices of ``_simd_winograd``,

    dw[o, c] = T^T [sum over tiles of (G dy[o] G^T) * (B^T d[c] B)] T,

16 products of a matrix (output channels, tiles) with one (tiles, input channels). Both sides are transformed with
channels in the lanes of a vector. A unit of work has some channels of each side, whose sums stay in the second-level
cache while blocks of tiles pass by.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL
from ._jit import JIT
from ._simd import MR, NV, VL32, keep, number, ptr, scratch, shift, store, tile, turn_exact, vector_len
from ._simd_winograd import winograd_gradient, winograd_input, winograd_taps
from .conv_direct_weight import ALL_SUMS, _combine
from .conv_slab import BATCH, CIN, COUT, GROUPS, OH, OW, PH, PW, ROWS, UNITS, H, W, ceil_div
from .conv_winograd import _inside

# Channels of each side in a unit, and elements of its transformed tiles: with the sums, 640 KiB in float32.
CHANNELS = 64
WANTED = 3 << 15
PARTS, INS, OUTS = range(23, 26)


def _gain(channels, couts, positions, inside, tiles, ins, outs, parts):
    """Vector operations of a direct gradient over those of this one, as measured: products, transforms, weights."""
    direct = 9 * channels * couts * positions / VL32 * inside
    transforms = (outs * channels * 140 + ins * couts * 110) * tiles / VL32
    return direct / (18 * channels * couts * tiles / VL32 + transforms + 40 * parts * channels * couts)


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """As ``conv_slab.geometry``, or None if this kernel is not the right one."""
    (d, h, w), (od, oh, ow), (pd, ph, pw) = size, out, padding
    channels, couts = cin // groups, cout // groups
    if kernel != (1, 3, 3) or max(stride) > 1 or max(dilation) > 1 or d > 1 or od > 1 or pd or min(padding) < 0:
        return None
    if min(batch, channels, oh, ow) < 1 or max(padding) > 2:
        return None
    across, lines = ceil_div(ow, 2), ceil_div(oh, 2)
    ins, outs = ceil_div(channels, CHANNELS), ceil_div(couts, CHANNELS)
    wide = (ceil_div(ceil_div(channels, VL32), ins) + ceil_div(ceil_div(couts, VL32), outs)) * VL32
    most = WANTED // (16 * wide * across)
    work = batch * oh * ow * channels * couts * groups * 9
    if most < 1 or work < SERIAL:
        return None
    parts = min(ceil_div(UNITS, groups * ins * outs), max(1, ALL_SUMS // (cout * channels * 9)), batch * lines)
    inside = _inside(h, oh, ph) * _inside(w, ow, pw)
    if _gain(channels, couts, batch * oh * ow, inside, batch * lines * across, ins, outs, parts) < 1.1:
        return None
    rows = min(most, ceil_div(batch * lines, parts))
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, 1, 3, 3, 1, 1, 1, 1, 1, 1, pd, ph, pw, groups,
        rows, parts, ins, outs,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@njit(**JIT)
def _turn_lines(source, size, channels, top, high, left, across, rows, columns, slab):
    """slab[row, column, lane] = the channels' rows top.. and columns left.., zeros outside of rows x columns."""
    vl = vector_len(slab)
    for i in range(high * across * vl):
        store(slab, i, number(slab, 0))
    for r in range(max(0, -top), min(high, rows - top)):
        for q in range(max(0, left), min(columns, left + across), vl):
            count = min(vl, min(columns, left + across) - q)
            line = shift(source, (top + r) * columns + q)
            turn_exact(line, size, channels - 1, shift(slab, (r * across + q - left) * vl), vl, count)


@njit(**JIT)
def _transform_tiles(inputs, source, geo, channels, first, last, wide, slab, out):
    """out[element, tile, channel] for lines first..last of tiles, of x if ``inputs`` and of dy otherwise."""
    vl, across, lines = vector_len(slab), (geo[OW] + 1) // 2, (geo[OH] + 1) // 2
    edge = 2 if inputs else 0
    rows, columns = (geo[H], geo[W]) if inputs else (geo[OH], geo[OW])
    up, left, count = (geo[PH], geo[PW], geo[CIN]) if inputs else (0, 0, geo[COUT])
    size, pitch = rows * columns, 2 * across + edge
    step = (last - first) * across * wide
    for c in range(0, channels, vl):
        for at in range(first, last):
            start = shift(source, (at // lines * count + c) * size)
            some, top = min(vl, channels - c), 2 * (at % lines) - up
            _turn_lines(start, size, some, top, 2 + edge, -left, pitch, rows, columns, slab)
            line = shift(out, (at - first) * across * wide + c)
            for q in range(across):
                if inputs:
                    winograd_input(shift(slab, 2 * q * vl), pitch * vl, vl, 2 * vl, shift(line, q * wide), step)
                else:
                    winograd_gradient(shift(slab, 2 * q * vl), pitch * vl, vl, vl, shift(line, q * wide), step)


@njit(**JIT)
def _store_taps(sums, step, wide, channels, couts, pitch, dw):
    """dw[output channel, input channel, tap] from sums[element, output channel, input channel]."""
    vl = vector_len(sums)
    buffer = np.empty(9 * vl * (64 // vl) + 64, np.uint8)
    taps = scratch(buffer, sums)
    for o in range(couts):
        for c in range(0, channels, vl):
            winograd_taps(shift(sums, o * wide + c), 4 * step, step, 2 * step, taps, vl)
            for i in range(0, 9, vl):
                line = shift(dw, o * pitch + c * 9 + i)
                turn_exact(shift(taps, i * vl), vl, min(vl, 9 - i) - 1, line, 9, min(vl, channels - c))
    keep(buffer)


@njit(**JIT)
def _unit(x, dy, total, geo, unit):
    """One group, some channels of each side and part of the tiles: ``total`` of that part."""
    groups, ins, outs, parts = geo[GROUPS], geo[INS], geo[OUTS], geo[PARTS]
    ic, oc = unit % ins, unit // ins % outs
    group, part = unit // (ins * outs) % groups, unit // (ins * outs * groups)
    cin, cout, across = geo[CIN] // groups, geo[COUT] // groups, (geo[OW] + 1) // 2
    vl = vector_len(ptr(x, 0))
    c_vectors, o_vectors = (cin + vl - 1) // vl, (cout + vl - 1) // vl
    c0, o0 = c_vectors * ic // ins * vl, o_vectors * oc // outs * vl
    c_wide, o_wide = c_vectors * (ic + 1) // ins * vl - c0, o_vectors * (oc + 1) // outs * vl - o0
    channels, couts = min(c_wide, cin - c0), min(o_wide, cout - o0)
    step = couts * c_wide
    count = geo[BATCH] * ((geo[OH] + 1) // 2)
    first, last, rows = count * part // parts, count * (part + 1) // parts, geo[ROWS]
    need = 16 * (step + rows * across * (c_wide + o_wide)) + 4 * (2 * across + 2) * vl
    buffer = np.empty(need * x.itemsize + 64, np.uint8)
    sums = scratch(buffer, ptr(x, 0))
    right = shift(sums, 16 * step)
    left = shift(right, 16 * rows * across * c_wide)
    slab = shift(left, 16 * rows * across * o_wide)
    source = ptr(x, (group * cin + c0) * geo[H] * geo[W])
    grads = ptr(dy, (group * cout + o0) * geo[OH] * geo[OW])
    one, tiles, panel = number(sums, 1), (couts + MR - 1) // MR, NV * vl
    for at in range(first, last, rows):
        end = min(last, at + rows)
        _transform_tiles(True, source, geo, channels, at, end, c_wide, slab, right)
        _transform_tiles(False, grads, geo, couts, at, end, o_wide, slab, left)
        k = (end - at) * across
        for e in range(16):
            for v in range(0, c_wide, panel):
                some = min(panel, c_wide - v)
                for t in range(tiles):
                    lo = couts * t // tiles
                    tile(
                        couts * (t + 1) // tiles - lo, some // vl, k, shift(left, e * k * o_wide + lo), 1, o_wide,
                        shift(right, e * k * c_wide + v), c_wide, shift(sums, e * step + lo * c_wide + v), c_wide, some,
                        one, one, sums, 4 if at > first else 0, one,
                    )  # fmt: skip
    place = ((part * geo[COUT] + group * cout + o0) * cin + c0) * 9
    _store_taps(sums, step, c_wide, channels, couts, cin * 9, ptr(total, place))
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """As ``conv_backward.conv_backward_weight``."""
    parts, size = geo[PARTS], dw.size
    sums = dw if parts == 1 else np.empty(parts * size, dw.dtype)
    for unit in prange(parts * geo[GROUPS] * geo[INS] * geo[OUTS]):
        _unit(x, dy, sums, geo, np.intp(unit))
    if parts > 1:
        for chunk in prange(8):
            _combine(sums, parts, size, size * np.intp(chunk) // 8, size * (np.intp(chunk) + 1) // 8, dw)
