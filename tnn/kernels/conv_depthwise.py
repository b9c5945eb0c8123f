"""Convolution with one input channel in a group and few output channels: depthwise convolution.

The same functions as in ``conv``, with the same arrays and geometry, and other loops: a unit of work is one plane, an
output row is a weighted sum of shifted rows of the slab (``sum_taps``), and no matrices are involved.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from ._simd import VECTOR_BYTES, keep, load, number, ptr, scratch, shift, store, vector_len
from ._simd_rows import copy_segments, four_dots, sum_taps
from .conv_slab import (
    BATCH,
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
    PD,
    PH,
    SD,
    SH,
    SLAB_H,
    SLAB_SIZE,
    SW,
    UNITS_ROWS,
    WQ,
    D,
    H,
    W,
    _offsets,
    _part,
    _whole,
    empty_slab,
    fill_slab,
)


def mirrors(geo):
    """Whether ``conv_forward`` in mode 16 is right here too: for one output channel in a group."""
    return bool(geo[COUT] == geo[GROUPS])


def suits(geo):
    """Whether these kernels are the right ones for a geometry."""
    groups = geo[GROUPS]
    return bool(geo[CIN] == groups and geo[COUT] <= 4 * groups)


@njit(**JIT)
def _forward_plane(x, w, bias, y, geo, offsets, mode, unit):
    """One image, group and part of the rows; all outputs of the group."""
    units, groups = geo[UNITS_ROWS], geo[GROUPS]
    image, group = unit // (units * groups), unit // units % groups
    d0, nd, h0, nh = _part(geo, unit % units)
    cout, taps, ow = geo[COUT] // groups, offsets.size, geo[OW]
    slab_h, across = geo[SLAB_H], geo[SW] * geo[WQ]
    vl = vector_len(x)
    # At stride 1 the lines of a slab make one long line: outputs that lie between two rows are thrown away.
    long = (nh - 1) * across + ow if geo[SW] == 1 and geo[SH] == 1 and ow < 8 * vl else 0
    buffer = np.empty((geo[SLAB_SIZE] + long + 8 * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    lines = np.empty(nh + 3, np.intp)
    for j in range(nh):
        lines[j] = j * across
    lines[nh], lines[nh + 1], lines[nh + 2] = 0, 0, ow
    result = scratch(buffer, x)
    slab = shift(result, long)
    source = shift(x, (image * geo[CIN] + group) * geo[D] * geo[H] * geo[W])
    rows_d, rows_h = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    top, first = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
    fill_slab(geo, source, 1, top, rows_d, first, rows_h, slab_h, geo[SLAB_SIZE], slab)
    for o in range(group * cout, (group + 1) * cout):
        base = load(bias, o) if mode & 2 else number(y, 0)
        out = shift(y, ((image * geo[COUT] + o) * geo[OD] + d0) * geo[OH] * ow + h0 * ow)
        weight = shift(w, o * taps)
        for i in range(nd):
            if long:
                sum_taps(taps, ptr(offsets, 0), weight, shift(slab, i * geo[SD] * slab_h * across), base, result, long)
                copy_segments(nh, ptr(lines, 0), result, 1, ptr(lines, nh), shift(out, i * nh * ow), ow)
                continue
            for j in range(nh):
                line = shift(slab, (i * geo[SD] * slab_h + j * geo[SH]) * across)
                sum_taps(taps, ptr(offsets, 0), weight, line, base, shift(out, (i * nh + j) * ow), ow)
        if mode & 8:
            for q in range(nd * nh * ow):
                if load(out, q) < 0:
                    store(out, q, number(y, 0))
    keep(buffer)
    keep(lines)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """As ``conv.conv_forward``."""
    units = geo[BATCH] * geo[GROUPS] * geo[UNITS_ROWS]
    offsets = np.empty(geo[KD] * geo[KH] * geo[KW], np.intp)
    _offsets(geo, 1, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    if mode & 16:
        offsets = offsets[::-1].copy()
    if y.size < GRAIN // 4:
        for unit in range(units):
            _forward_plane(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, unit)
    else:
        for unit in prange(units):
            _forward_plane(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, np.intp(unit))


@njit(**JIT)
def _input_plane(dy, w, bias, dx, geo, offsets, with_bias, unit):
    """One image and group."""
    groups = geo[GROUPS]
    image, group = unit // groups, unit % groups
    cout, taps, ow = geo[COUT] // groups, offsets.size, geo[OW]
    slab_d, slab_h, across = _whole(geo)
    plane = slab_d * slab_h * across
    buffer = np.empty(plane * (VECTOR_BYTES // vector_len(dy)) + 64, np.uint8)
    slab = scratch(buffer, dy)
    zero = number(dy, 0)
    for i in range(plane):
        store(slab, i, zero)
    lines = geo[OD] * geo[OH]
    for o in range(group * cout, (group + 1) * cout):
        source = shift(dy, (image * geo[COUT] + o) * lines * ow)
        for line in range(lines):
            i, j = line // geo[OH], line % geo[OH]
            start = shift(slab, (i * geo[SD] * slab_h + j * geo[SH]) * across)
            grad = shift(source, line * ow)
            for t in range(taps):
                weight, out = load(w, o * taps + t), shift(start, offsets[t])
                for q in range(ow):
                    store(out, q, load(out, q) + weight * load(grad, q))
    out = shift(dx, (image * geo[CIN] + group) * geo[D] * geo[H] * geo[W])
    empty_slab(geo, slab, 1, slab_h, plane, shift(bias, group if with_bias else 0), with_bias, out)
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """As ``conv.conv_backward_input``."""
    units = geo[BATCH] * geo[GROUPS]
    slab_d, slab_h, across = _whole(geo)
    offsets = np.empty(geo[KD] * geo[KH] * geo[KW], np.intp)
    _offsets(geo, 1, slab_d * slab_h * across, slab_h, offsets, False)
    if dy.size < GRAIN // 4:
        for unit in range(units):
            _input_plane(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, offsets, with_bias, unit)
    else:
        for unit in prange(units):
            _input_plane(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, offsets, with_bias, np.intp(unit))


@njit(**JIT)
def _weight_plane(x, dy, dw, geo, offsets, group):
    """One group, all images."""
    groups = geo[GROUPS]
    cout, ow = geo[COUT] // groups, geo[OW]
    taps = geo[KD] * geo[KH] * geo[KW]
    slab_h, across = geo[SLAB_H], geo[SW] * geo[WQ]
    vl = vector_len(x)
    quads = (taps + 3) // 4 * 4
    buffer = np.empty((geo[SLAB_SIZE] + 2 * vl + quads * cout) * (VECTOR_BYTES // vl) + 64, np.uint8)
    sums = scratch(buffer, x)
    slab = shift(sums, quads * cout)
    for i in range(quads * cout):
        store(sums, i, number(x, 0))
    for item in range(geo[BATCH] * geo[UNITS_ROWS]):
        image = item // geo[UNITS_ROWS]
        d0, nd, h0, nh = _part(geo, item % geo[UNITS_ROWS])
        source = shift(x, (image * geo[CIN] + group) * geo[D] * geo[H] * geo[W])
        rows_d = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
        rows_h = (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
        top, first = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
        fill_slab(geo, source, 1, top, rows_d, first, rows_h, slab_h, geo[SLAB_SIZE], slab)
        for o in range(cout):
            start = ((image * geo[COUT] + group * cout + o) * geo[OD] + d0) * geo[OH] * ow + h0 * ow
            for i in range(nd):
                grad, rows = shift(dy, start + i * geo[OH] * ow), shift(slab, i * geo[SD] * slab_h * across)
                for t in range(0, quads, 4):
                    target = shift(sums, o * quads + t)
                    four_dots(ptr(offsets, t), rows, geo[SH] * across, grad, ow, nh, ow, target)
    for o in range(cout):
        for t in range(taps):
            store(dw, (group * cout + o) * taps + t, load(sums, o * quads + t))
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """As ``conv.conv_backward_weight``."""
    taps = geo[KD] * geo[KH] * geo[KW]
    offsets = np.zeros((taps + 3) // 4 * 4, np.intp)
    _offsets(geo, 1, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    if dy.size < GRAIN // 4:
        for group in range(geo[GROUPS]):
            _weight_plane(ptr(x, 0), ptr(dy, 0), ptr(dw, 0), geo, offsets, group)
    else:
        for group in prange(geo[GROUPS]):
            _weight_plane(ptr(x, 0), ptr(dy, 0), ptr(dw, 0), geo, offsets, np.intp(group))
