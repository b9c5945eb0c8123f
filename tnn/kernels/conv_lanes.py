"""Depthwise convolution of small planes: ``conv_depthwise`` with a channel in each lane of a vector.

A unit of work turns the planes of as many channels as a vector holds, so that a position of all of them is one vector;
then sums over taps need no shifted loads, any stride will do, and no lane is lost on short rows. What was turned is
small, and stays in the cache.

Measured on two cores (Zen 5) against PyTorch 2.13, 3x3 kernels: 0.59 with shifted rows and 1.2-1.7 so for planes of
14x14, 0.3 and 1.5-1.8 for 7x7, 0.28 and above 1.4 for the input gradient with stride 2.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from ._simd import VECTOR_BYTES, VL32, keep, load, number, ptr, scratch, shift, store, turn_exact, vector_len
from ._simd_lanes import DOTS, lane_dots, lane_sums
from ._simd_reduce import turn_out
from ._simd_rows import MASKS
from .conv_depthwise import _phases, _reach
from .conv_slab import (
    BATCH,
    COUT,
    DH,
    DW,
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
    SD,
    SH,
    SW,
    D,
    H,
    W,
)

# Positions of a plane up to which these kernels are used, and parts of the batch for the gradient of the weight.
POSITIONS = 1200
PARTS = 8


def suits(geo):
    """Whether these kernels are the right ones for a geometry."""
    groups, size = geo[GROUPS], max(geo[H] * geo[W], geo[OH] * geo[OW])
    flat = geo[D] == geo[OD] == geo[KD] == geo[SD] == 1 and geo[PD] == 0 and min(geo[PH], geo[PW]) >= 0
    small = size <= POSITIONS and max(geo[H], geo[W]) <= 64 and max(geo[PH], geo[PW]) <= 64 and geo[OH] > 1
    return bool(MASKS and flat and small and geo[COUT] == groups and groups >= 0.74 * (-(-groups // VL32) * VL32))


@njit(**JIT)
def _turn_in(x, size, channels, h, w, box, pitch, room):
    """Planes (h, w) of some channels, ``size`` elements apart, to vectors in the rows of ``box``, ``pitch`` apart.

    ``room``: as many vectors as a plane has positions.
    """
    vl = vector_len(x)
    if w >= 12 or h == 1:
        for j in range(h):
            for q in range(0, w, vl):
                target = shift(box, (j * pitch + q) * vl)
                turn_exact(shift(x, j * w + q), size, channels - 1, target, vl, min(vl, w - q))
        return
    for q in range(0, h * w, vl):
        turn_exact(shift(x, q), size, channels - 1, shift(room, q * vl), vl, min(vl, h * w - q))
    for j in range(h):
        for q in range(w * vl):
            store(box, j * pitch * vl + q, load(room, j * w * vl + q))


@njit(**JIT)
def _slab(geo):
    """(rows, columns) of x with its padding, as far as a sum reaches."""
    rows = max(geo[PH] + geo[H], (geo[OH] - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1)
    return rows, max(geo[PW] + geo[W], (geo[OW] - 1) * geo[SW] + (geo[KW] - 1) * geo[DW] + 1)


@njit(**JIT)
def _turn_weights(w, taps, channels, out):
    vl = vector_len(w)
    for t in range(0, taps, vl):
        turn_exact(shift(w, t), taps, channels - 1, shift(out, t * vl), vl, min(vl, taps - t))


@njit(**JIT)
def _forward_lanes(x, w, bias, y, geo, offsets, mode, unit):
    """One image, and as many channels as a vector holds."""
    vl = vector_len(x)
    groups, taps = geo[GROUPS], offsets.size
    blocks = (groups + vl - 1) // vl
    image, c0 = unit // blocks, unit % blocks * vl
    channels = min(vl, groups - c0)
    rows, pitch = _slab(geo)
    size, count = geo[H] * geo[W], geo[OH] * geo[OW]
    need = rows * pitch + size + count + taps + 2
    buffer = np.empty(need * VECTOR_BYTES + 64, np.uint8)
    slab = scratch(buffer, x)
    zeros = shift(slab, (rows * pitch + size) * vl)
    weights, out = shift(zeros, vl), shift(zeros, (taps + 1) * vl)
    for q in range((need - 1) * vl):
        store(slab, q, number(x, 0))
    box = shift(slab, (geo[PH] * pitch + geo[PW]) * vl)
    room = shift(slab, rows * pitch * vl)
    _turn_in(shift(x, (image * groups + c0) * size), size, channels, geo[H], geo[W], box, pitch, room)
    _turn_weights(shift(w, c0 * taps), taps, channels, weights)
    lane_sums(
        taps, ptr(offsets, 0), weights, slab, geo[SH] * pitch * vl, geo[SW] * vl, zeros, out, geo[OW] * vl, vl,
        geo[OW], geo[OH],
    )  # fmt: skip
    target, extra = shift(y, (image * groups + c0) * count), shift(bias, c0 if mode & 2 else 0)
    for q in range(0, count, vl):
        last = min(vl, count - q) - 1
        turn_out(shift(out, q * vl), vl, last, shift(target, q), count, channels, extra, mode)
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """As ``conv.conv_forward``."""
    vl = vector_len(ptr(x, 0))
    units = geo[BATCH] * ((geo[GROUPS] + vl - 1) // vl)
    offsets = np.empty(geo[KH] * geo[KW], np.intp)
    rows, pitch = _slab(geo)
    for t in range(offsets.size):
        # In mode 16 the kernel is turned around.
        place = offsets.size - 1 - t if mode & 16 else t
        offsets[place] = (t // geo[KW] * geo[DH] * pitch + t % geo[KW] * geo[DW]) * vl
    mode &= 15
    if y.size < GRAIN // 4:
        for unit in range(units):
            _forward_lanes(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, unit)
    else:
        for unit in prange(units):
            _forward_lanes(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, np.intp(unit))


# ---------------------------------------------------------------- gradient of the input


@njit(**JIT)
def _input_lanes(dy, w, bias, dx, geo, places, order, starts, with_bias, unit):
    """One image, and as many channels as a vector holds."""
    vl = vector_len(dy)
    groups, taps, h, wide, sh, sw = geo[GROUPS], order.size, geo[H], geo[W], geo[SH], geo[SW]
    blocks = (groups + vl - 1) // vl
    image, c0 = unit // blocks, unit % blocks * vl
    channels = min(vl, groups - c0)
    front_h, rows = _reach(h, geo[OH], geo[KH], sh, geo[DH], geo[PH])
    front_w, pitch = _reach(wide, geo[OW], geo[KW], sw, geo[DW], geo[PW])
    size, count = h * wide, geo[OH] * geo[OW]
    need = rows * pitch + size + count + 2 * taps + 2
    buffer = np.empty(need * VECTOR_BYTES + 64, np.uint8)
    slab = scratch(buffer, dy)
    for q in range((need - 1) * vl):
        store(slab, q, number(dy, 0))
    room = shift(slab, rows * pitch * vl)
    zeros = shift(room, count * vl)
    plain, weights, out = shift(zeros, vl), shift(zeros, (taps + 1) * vl), shift(zeros, (2 * taps + 1) * vl)
    box = shift(slab, (front_h * pitch + front_w) * vl)
    _turn_in(shift(dy, (image * groups + c0) * count), count, channels, geo[OH], geo[OW], box, pitch, room)
    _turn_weights(shift(w, c0 * taps), taps, channels, plain)
    for t in range(taps):
        for i in range(vl):
            store(weights, t * vl + i, load(plain, order[t] * vl + i))
    for ph in range(sh):
        # Rows of x with this remainder, and columns: the first of each, and how many.
        top = (ph - geo[PH]) % sh
        lines = (h - 1 - top) // sh + 1 if top < h else 0
        for pw in range(sw):
            left = (pw - geo[PW]) % sw
            n = (wide - 1 - left) // sw + 1 if left < wide else 0
            if lines == 0 or n == 0:
                continue
            first = starts[ph * sw + pw]
            source = shift(slab, ((top + geo[PH]) // sh * pitch + (left + geo[PW]) // sw) * vl)
            lane_sums(
                starts[ph * sw + pw + 1] - first, ptr(places, first), shift(weights, first * vl), source, pitch * vl,
                vl, zeros, shift(out, (top * wide + left) * vl), sh * wide * vl, sw * vl, n, lines,
            )  # fmt: skip
    target, extra = shift(dx, (image * groups + c0) * size), shift(bias, c0 if with_bias else 0)
    for q in range(0, size, vl):
        last = min(vl, size - q) - 1
        turn_out(shift(out, q * vl), vl, last, shift(target, q), size, channels, extra, 2 * with_bias)
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """As ``conv.conv_backward_input``."""
    vl = vector_len(ptr(dy, 0))
    units, taps = geo[BATCH] * ((geo[GROUPS] + vl - 1) // vl), geo[KH] * geo[KW]
    places, order = np.zeros(taps, np.intp), np.zeros(taps, np.intp)
    starts = np.zeros(geo[SH] * geo[SW] + 1, np.intp)
    _phases(geo, 1, places, order, starts)
    places *= vl
    if dy.size < GRAIN // 4:
        for unit in range(units):
            _input_lanes(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, places, order, starts, with_bias, unit)
    else:
        for unit in prange(units):
            _input_lanes(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, places, order, starts, with_bias,
                         np.intp(unit))  # fmt: skip


# ---------------------------------------------------------------- gradient of the weight


@njit(**JIT)
def _weight_lanes(x, dy, total, geo, offsets, parts, unit):
    """As many channels as a vector holds, part of the images: ``total`` of that part."""
    vl = vector_len(x)
    groups, most, taps = geo[GROUPS], offsets.size, geo[KH] * geo[KW]
    part, c0 = unit % parts, unit // parts * vl
    channels = min(vl, groups - c0)
    rows, pitch = _slab(geo)
    size, count = geo[H] * geo[W], geo[OH] * geo[OW]
    need = rows * pitch + size + count + most + 2
    buffer = np.empty(need * VECTOR_BYTES + 64, np.uint8)
    slab = scratch(buffer, x)
    for q in range((need - 1) * vl):
        store(slab, q, number(x, 0))
    room = shift(slab, rows * pitch * vl)
    grad, sums = shift(room, size * vl), shift(room, (size + count) * vl)
    box = shift(slab, (geo[PH] * pitch + geo[PW]) * vl)
    for image in range(geo[BATCH] * part // parts, geo[BATCH] * (part + 1) // parts):
        _turn_in(shift(x, (image * groups + c0) * size), size, channels, geo[H], geo[W], box, pitch, room)
        _turn_in(shift(dy, (image * groups + c0) * count), count, channels, 1, count, grad, count, room)
        for t in range(0, most, DOTS):
            lane_dots(
                ptr(offsets, t), slab, geo[SH] * pitch * vl, geo[SW] * vl, grad, geo[OW], geo[OH], shift(sums, t * vl)
            )
    for t in range(0, taps, vl):
        last = min(vl, taps - t) - 1
        turn_out(shift(sums, t * vl), vl, last, shift(total, (part * groups + c0) * taps + t), taps, channels, sums, 0)
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """As ``conv.conv_backward_weight``."""
    vl = vector_len(ptr(x, 0))
    blocks, taps, size = (geo[GROUPS] + vl - 1) // vl, geo[KH] * geo[KW], dw.size
    rows, pitch = _slab(geo)
    offsets = np.zeros((taps + DOTS - 1) // DOTS * DOTS, np.intp)
    for t in range(taps):
        offsets[t] = (t // geo[KW] * geo[DH] * pitch + t % geo[KW] * geo[DW]) * vl
    parts = max(1, min(geo[BATCH], (PARTS + blocks - 1) // blocks)) if dy.size >= GRAIN // 4 else 1
    sums = dw if parts == 1 else np.empty(parts * size, dw.dtype)
    if dy.size < GRAIN // 4:
        for unit in range(blocks):
            _weight_lanes(ptr(x, 0), ptr(dy, 0), ptr(dw, 0), geo, offsets, parts, unit)
    else:
        for unit in prange(blocks * parts):
            _weight_lanes(ptr(x, 0), ptr(dy, 0), ptr(sums, 0), geo, offsets, parts, np.intp(unit))
    if parts > 1:
        for i in range(size):
            s = sums[i]
            for p in range(1, parts):
                s += sums[p * size + i]
            dw[i] = s
    keep(sums)
