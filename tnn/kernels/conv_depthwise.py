"""Convolution with one input channel in a group and few output channels: depthwise convolution.

The same functions as in ``conv``, with the same arrays and geometry, and other loops: a unit of work is some planes, an
output row is a weighted sum of shifted rows of the slab (``sum_rows``), and no matrices are involved. The gradient of
the input is such a sum too, for each remainder of a position modulo the strides one of its own, with the taps that
meet it. Planes of up to some thousand positions have kernels of their own in ``conv_lanes``.

Four rows at a time, and slabs filled several at a time: 1.29 to 1.85 times PyTorch's speed on planes of 32x32.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT
from ._simd import VECTOR_BYTES, copy_rows, keep, load, number, ptr, scratch, shift, store, vector_len
from ._simd_rows import DOTS, some_dots, sum_rows
from .conv_slab import (
    BATCH,
    CIN,
    COUT,
    DD,
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
    ROWS,
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
    fill_slab,
)

# Multiplications that make a unit of several planes, and elements of the slabs that are filled at a time: a vector is
# read from several rows of a slab, which has to wait if they were written just before.
BUNCH = 1 << 16
SLABS = 1 << 12
# Parts of the batch for the gradient of the weight, if there are few groups.
PARTS = 8


def mirrors(geo):
    """Whether ``conv_forward`` in mode 16 is right here too: for one output channel in a group."""
    return bool(geo[COUT] == geo[GROUPS])


def suits(geo):
    """Whether these kernels are the right ones for a geometry."""
    groups = geo[GROUPS]
    return bool(geo[CIN] == groups and geo[COUT] <= 4 * groups)


def suits_weight(geo):
    """Whether ``conv_backward_weight`` is the right one."""
    groups = geo[GROUPS]
    return bool(geo[CIN] == groups and geo[COUT] <= 8 * groups)


@njit(**JIT)
def _bunch(geo):
    """Groups in a unit: planes are small, and buffers cost more than they do."""
    work = geo[ROWS] * geo[OW] * (geo[OH] if geo[OD] > 1 else 1) * geo[KD] * geo[KH] * geo[KW]
    return min(geo[GROUPS], max(1, BUNCH // max(1, work)))


@njit(**JIT)
def _together(geo, bunch):
    """Planes whose slabs are filled at a time."""
    return min(bunch, max(1, SLABS // max(1, geo[SLAB_SIZE])))


@njit(**JIT)
def _forward_planes(x, w, bias, y, geo, offsets, mode, bunch, unit):
    """One image, part of the rows and some groups; all outputs of a group."""
    units, groups = geo[UNITS_ROWS], geo[GROUPS]
    bunches = (groups + bunch - 1) // bunch
    image, part, first = unit // (units * bunches), unit % units, unit // units % bunches * bunch
    d0, nd, h0, nh = _part(geo, part)
    cout, taps, ow = geo[COUT] // groups, offsets.size, geo[OW]
    slab_h, across = geo[SLAB_H], geo[SW] * geo[WQ]
    vl = vector_len(x)
    many = _together(geo, bunch)
    buffer = np.empty((many * geo[SLAB_SIZE] + 8 * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    slab = scratch(buffer, x)
    rows_d, rows_h = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    top, left = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
    last = min(groups, first + bunch)
    for group in range(first, last):
        place = (group - first) % many
        if place == 0:
            source = shift(x, (image * geo[CIN] + group) * geo[D] * geo[H] * geo[W])
            count = min(many, last - group)
            fill_slab(geo, source, count, top, rows_d, left, rows_h, slab_h, geo[SLAB_SIZE], slab)
        box = shift(slab, place * geo[SLAB_SIZE])
        for o in range(group * cout, (group + 1) * cout):
            base = load(bias, o) if mode & 2 else number(y, 0)
            out = shift(y, ((image * geo[COUT] + o) * geo[OD] + d0) * geo[OH] * ow + h0 * ow)
            for i in range(nd):
                line, target = shift(box, i * geo[SD] * slab_h * across), shift(out, i * nh * ow)
                sum_rows(
                    taps, ptr(offsets, 0), shift(w, o * taps), line, geo[SH] * across, base, target, ow, ow, nh
                )  # fmt: skip
            if mode & 8:
                for q in range(nd * nh * ow):
                    if load(out, q) < 0:
                        store(out, q, number(y, 0))
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """As ``conv.conv_forward``."""
    bunch = _bunch(geo)
    units = geo[BATCH] * ((geo[GROUPS] + bunch - 1) // bunch) * geo[UNITS_ROWS]
    offsets = np.empty(geo[KD] * geo[KH] * geo[KW], np.intp)
    _offsets(geo, 1, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    if mode & 16:
        offsets = offsets[::-1].copy()
    if y.size < GRAIN // 4:
        for unit in range(units):
            _forward_planes(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, bunch, unit)
    else:
        for unit in prange(units):
            _forward_planes(ptr(x, 0), ptr(w, 0), ptr(bias, 0), ptr(y, 0), geo, offsets, mode, bunch, np.intp(unit))


# ---------------------------------------------------------------- gradient of the input


@njit(**JIT)
def _reach(size, out, taps, stride, dilation, padding):
    """(zeros in front of dy, rows of the slab): for a sum over the taps at every position of x."""
    front = (taps - 1) * dilation // stride
    return front, front + max(out, (size - 1 + padding) // stride + 1)


@njit(**JIT)
def _phases(geo, cout, places, order, starts):
    """For each remainder (depth, row, column) modulo the strides: its taps' numbers and places in the slab of dy.

    The taps of all ``cout`` output channels of a group count as one.
    """
    taps = geo[KD] * geo[KH] * geo[KW]
    front_d, slab_d = _reach(geo[D], geo[OD], geo[KD], geo[SD], geo[DD], geo[PD])
    front_h, slab_h = _reach(geo[H], geo[OH], geo[KH], geo[SH], geo[DH], geo[PH])
    front_w, slab_w = _reach(geo[W], geo[OW], geo[KW], geo[SW], geo[DW], geo[PW])
    at, phase = 0, 0
    for pd in range(geo[SD]):
        for ph in range(geo[SH]):
            for pw in range(geo[SW]):
                starts[phase] = at
                phase += 1
                for t in range(taps):
                    d = t // (geo[KH] * geo[KW]) * geo[DD] - pd
                    h = t // geo[KW] % geo[KH] * geo[DH] - ph
                    w = t % geo[KW] * geo[DW] - pw
                    if d % geo[SD] or h % geo[SH] or w % geo[SW]:
                        continue
                    deep, row, column = front_d - d // geo[SD], front_h - h // geo[SH], front_w - w // geo[SW]
                    for o in range(cout):
                        order[at] = o * taps + t
                        places[at] = ((o * slab_d + deep) * slab_h + row) * slab_w + column
                        at += 1
    starts[phase] = at


@njit(**JIT)
def _input_planes(dy, w, bias, dx, geo, places, order, starts, with_bias, bunch, unit):
    """One image and some groups."""
    groups = geo[GROUPS]
    bunches = (groups + bunch - 1) // bunch
    image, group0 = unit // bunches, unit % bunches * bunch
    cout, total, ow, h, wide, sw = geo[COUT] // groups, order.size, geo[OW], geo[H], geo[W], geo[SW]
    front_d, slab_d = _reach(geo[D], geo[OD], geo[KD], geo[SD], geo[DD], geo[PD])
    front_h, slab_h = _reach(h, geo[OH], geo[KH], geo[SH], geo[DH], geo[PH])
    front_w, slab_w = _reach(wide, ow, geo[KW], sw, geo[DW], geo[PW])
    size, vl = cout * slab_d * slab_h * slab_w, vector_len(dy)
    many, last = min(bunch, max(1, SLABS // max(1, size))), min(groups, group0 + bunch)
    need = many * size + slab_h * slab_w + total + 8 * vl
    buffer = np.empty(need * (VECTOR_BYTES // vl) + 64, np.uint8)
    slabs = scratch(buffer, dy)
    part = shift(slabs, many * size + 2 * vl)
    weights = shift(part, slab_h * slab_w + 2 * vl)
    for q in range(many * size):
        store(slabs, q, number(dy, 0))
    for group in range(group0, last):
        place = (group - group0) % many
        if place == 0:
            for o in range(min(many, last - group) * cout):
                for i in range(geo[OD]):
                    box = shift(slabs, ((o * slab_d + front_d + i) * slab_h + front_h) * slab_w + front_w)
                    grad = shift(dy, ((image * geo[COUT] + group * cout + o) * geo[OD] + i) * geo[OH] * ow)
                    copy_rows(geo[OH], grad, ow, box, slab_w, (ow + vl - 1) // vl, ow)
        slab = shift(slabs, place * size)
        for p in range(total):
            store(weights, p, load(w, group * total + order[p]))
        base = load(bias, group) if with_bias else number(dx, 0)
        plane = shift(dx, (image * geo[CIN] + group) * geo[D] * h * wide)
        for d in range(geo[D]):
            deep = d + geo[PD]
            layer = shift(plane, d * h * wide)
            for ph in range(geo[SH]):
                # Rows of x with this remainder, and columns: the first of each, and how many.
                top = (ph - geo[PH]) % geo[SH]
                rows = (h - 1 - top) // geo[SH] + 1 if top < h else 0
                for pw in range(sw):
                    phase = (deep % geo[SD] * geo[SH] + ph) * sw + pw
                    left = (pw - geo[PW]) % sw
                    n = (wide - 1 - left) // sw + 1 if left < wide else 0
                    if rows == 0 or n == 0:
                        continue
                    source = shift(slab, (deep // geo[SD] * slab_h + (top + geo[PH]) // geo[SH]) * slab_w
                                   + (left + geo[PW]) // sw)  # fmt: skip
                    first = starts[phase]
                    out, pitch = (shift(layer, top * wide), geo[SH] * wide) if sw == 1 else (part, n)
                    sum_rows(
                        starts[phase + 1] - first, ptr(places, first), shift(weights, first), source, slab_w, base,
                        out, pitch, n, rows,
                    )  # fmt: skip
                    if sw == 1:
                        continue
                    for j in range(rows):
                        line, from_ = shift(layer, (top + j * geo[SH]) * wide + left), shift(part, j * n)
                        for q in range(n):
                            store(line, q * sw, load(from_, q))
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_input(dy, w, bias, dx, geo, with_bias):
    """As ``conv.conv_backward_input``."""
    bunch = _bunch(geo)
    units = geo[BATCH] * ((geo[GROUPS] + bunch - 1) // bunch)
    cout = geo[COUT] // geo[GROUPS]
    total = cout * geo[KD] * geo[KH] * geo[KW]
    places, order = np.zeros(total, np.intp), np.zeros(total, np.intp)
    starts = np.zeros(geo[SD] * geo[SH] * geo[SW] + 1, np.intp)
    _phases(geo, cout, places, order, starts)
    if dy.size < GRAIN // 4:
        for unit in range(units):
            _input_planes(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, places, order, starts, with_bias,
                          bunch, unit)  # fmt: skip
    else:
        for unit in prange(units):
            _input_planes(ptr(dy, 0), ptr(w, 0), ptr(bias, 0), ptr(dx, 0), geo, places, order, starts, with_bias,
                          bunch, np.intp(unit))  # fmt: skip


# ---------------------------------------------------------------- gradient of the weight


@njit(**JIT)
def _weight_planes(x, dy, total, geo, offsets, parts, bunch, unit):
    """Some groups, part of the (image, rows) items: ``total`` of that part."""
    groups = geo[GROUPS]
    part, first = unit % parts, unit // parts * bunch
    last = min(groups, first + bunch)
    cout, ow = geo[COUT] // groups, geo[OW]
    taps = geo[KD] * geo[KH] * geo[KW]
    slab_h, across, plane = geo[SLAB_H], geo[SW] * geo[WQ], geo[SLAB_SIZE]
    vl = vector_len(x)
    most, many = offsets.size, _together(geo, bunch)
    buffer = np.empty((many * plane + 2 * vl + many * most * cout * vl) * (VECTOR_BYTES // vl) + 64, np.uint8)
    sums = scratch(buffer, x)
    slab = shift(sums, many * most * cout * vl)
    items = geo[BATCH] * geo[UNITS_ROWS]
    for group in range(first, last, many):
        count = min(many, last - group)
        for i in range(count * most * cout * vl):
            store(sums, i, number(x, 0))
        for item in range(items * part // parts, items * (part + 1) // parts):
            image = item // geo[UNITS_ROWS]
            d0, nd, h0, nh = _part(geo, item % geo[UNITS_ROWS])
            source = shift(x, (image * geo[CIN] + group) * geo[D] * geo[H] * geo[W])
            rows_d = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
            rows_h = (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
            top, left = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
            fill_slab(geo, source, count, top, rows_d, left, rows_h, slab_h, plane, slab)
            for o in range(count * cout):
                start = ((image * geo[COUT] + group * cout + o) * geo[OD] + d0) * geo[OH] * ow + h0 * ow
                box = shift(slab, o // cout * plane)
                for i in range(nd):
                    grad, rows = shift(dy, start + i * geo[OH] * ow), shift(box, i * geo[SD] * slab_h * across)
                    for t in range(0, most, DOTS):
                        target = shift(sums, (o * most + t) * vl)
                        some_dots(ptr(offsets, t), rows, geo[SH] * across, grad, ow, nh, ow, target)
        for o in range(count * cout):
            for t in range(taps):
                s, lanes = number(x, 0), shift(sums, (o * most + t) * vl)
                for i in range(vl):
                    s += load(lanes, i)
                store(total, (part * geo[COUT] + group * cout + o) * taps + t, s)
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_backward_weight(x, dy, dw, geo):
    """As ``conv.conv_backward_weight``."""
    taps, size = geo[KD] * geo[KH] * geo[KW], dw.size
    offsets = np.zeros((taps + DOTS - 1) // DOTS * DOTS, np.intp)
    _offsets(geo, 1, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    items = geo[BATCH] * geo[UNITS_ROWS]
    bunch = max(1, _bunch(geo) // max(1, items))
    bunches = (geo[GROUPS] + bunch - 1) // bunch
    parts = max(1, min(items, (PARTS + bunches - 1) // bunches)) if dy.size >= GRAIN // 4 else 1
    sums = dw if parts == 1 else np.empty(parts * size, dw.dtype)
    if dy.size < GRAIN // 4:
        for unit in range(bunches):
            _weight_planes(ptr(x, 0), ptr(dy, 0), ptr(dw, 0), geo, offsets, parts, bunch, unit)
    else:
        for unit in prange(bunches * parts):
            _weight_planes(ptr(x, 0), ptr(dy, 0), ptr(sums, 0), geo, offsets, parts, bunch, np.intp(unit))
    if parts > 1:
        for i in range(size):
            s = sums[i]
            for p in range(1, parts):
                s += sums[p * size + i]
            dw[i] = s
    keep(sums)
