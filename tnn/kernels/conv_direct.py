"""Direct convolution for channels in plenty: the same functions as in ``conv``, without panels of X~.

A tile is some consecutive output positions by two vectors of output channels; it stays in registers over all taps and
input channels of a block. The weights of a block lie in that order (tap, channel, output channel), the inputs are read
from the slab where they are: ``offsets[tap, channel]`` plus the tile's place. Taps that fall outside of x in a whole
output row are left out; so are those of single columns if the images are so small that several of them lie interleaved
in the slab, a position of all images next to each other. The tiles are turned on the way to y.

Measured on two cores (Zen 5) against PyTorch 2.13: 3x3 kernels 0.75-0.92 with panels and 0.97-1.05 so; 64 images of
8x8 and of 4x4 0.81 and 0.69, now 1.18 and 1.44; their input gradients 0.54 and 0.37, now 1.25 and 1.14.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import KC, SERIAL
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    VL32,
    copy_rows,
    keep,
    number,
    ptr,
    scratch,
    shift,
    store,
    turn_exact,
    vector_len,
)
from ._simd_reduce import reduce_tile, turn_out, turn_places
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
    READY,
    SD,
    SH,
    SLAB_H,
    SLAB_SIZE,
    SW,
    UNITS,
    UNITS_ROWS,
    WQ,
    D,
    H,
    W,
    _part,
    _work,
    ceil_div,
    fill_slab,
    scatters,
    share,
)

# Elements of a slab that a unit aims at, and output positions.
SLAB = 1 << 16
POSITIONS = 512
# Steps of a sum below which the turning of the tiles costs more than panels do: with one or two taps, and with more.
DEPTH, SHALLOW = 100, 20
# Elements of the weights above which no thread reads all of them, as in ``conv_winograd``: what the other core has
# packed is slow to read. (4 images of 7 x 7, 960 -> 160 channels, one tap: 0.45 ms on two threads, with this and x read
# where it lies 0.32; 1 image of 7 x 7, 512 -> 512, 3 x 3, with faster packing too: 1.50 and 1.21.)
OWN = 1 << 18
# Positions of a plane from which kernels of one tap are a plain product, and elements of the weights up to which.
PLANE, WEIGHTS = 96, 1 << 17

# Numbers of the geometry that differ from conv_slab's; the pieces of a row follow.
IMAGES, SETS, CHUNKS, BLOCKS, SPAN, COPIES, PIECES, FIRST = range(28, 36)


def _runs(ow, w, kw, sw, dw, pw):
    """The positions of an output row with the same taps inside of x: (first, last + 1, first tap, last tap + 1)."""
    taps = [[t for t in range(kw) if 0 <= x * sw - pw + t * dw < w] for x in range(ow)]
    bounds = [(t[0], t[-1] + 1) if t else (0, 0) for t in taps]
    runs, x = [], 0
    while x < ow:
        last = x + 1
        while last < ow and bounds[last] == bounds[x]:
            last += 1
        runs.append((x, last, *bounds[x]))
        x = last
    return runs


def _pieces(runs, images):
    """The tiles of an output row: (first position in the slab's row, rows, first and last tap + 1), flat."""
    out = []
    for lo, hi, first, last in runs:
        count, start = (hi - lo) * images, lo * images
        tiles = ceil_div(count, MR)
        for t in range(tiles):
            a, b = count * t // tiles, count * (t + 1) // tiles
            out += [start + a, b - a, first, last]
    return out


def _length(pieces):
    """Steps of all tiles: fewer than four rows take as long as four."""
    return sum(max(pieces[i + 1], 4) * (pieces[i + 3] - pieces[i + 2]) for i in range(0, len(pieces), 4))


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """As ``conv_slab.geometry``, or None if these kernels are not the right ones."""
    (d, h, w), (od, oh, ow), (kd, kh, kw) = size, out, kernel
    (sd, sh, sw), (dd, dh, dw), (pd, ph, pw) = stride, dilation, padding
    channels, couts, taps = cin // groups, cout // groups, kd * kh * kw
    if min(batch, channels, od, oh, ow) < 1 or max(max(padding), -min(padding)) > 1 << 20:
        return None
    work = batch * cout * channels * taps * od * oh * ow
    lanes = ceil_div(couts, VL32) * VL32
    # Lanes without a channel are lost; panels are lost too, the more the fewer channels share them.
    depth, least = channels * taps, SHALLOW if taps > 2 else DEPTH
    if depth < least or work < SERIAL // 4 or couts < 0.74 * lanes and (couts < 5 or depth < 300):
        return None
    alone = taps == 1 and max(stride) == 1 and size == out and max(padding) == 0
    # A product with x as it lies copies nothing, but packs the weights for each image: 256 -> 64 channels of 56x56 take
    # 4.1 ms instead of 6.1, 1024 -> 256 of 14x14 as much longer.
    if alone and d * h * w >= PLANE and (batch == 1 or channels * couts < WEIGHTS):
        return None
    if alone:
        d, h, w, od, oh, ow = 1, 1, d * h * w, 1, 1, od * oh * ow
    many = d == od == kd == 1 and pd == 0 and sw == 1 and batch >= 7 and min(padding) >= 0
    many = many and oh * ow <= (100 if taps > 1 else 2 * MR)
    images = ceil_div(batch, ceil_div(batch, 16)) if many else 1
    span, halo = ow, (kw - 1) * dw // sw
    if not many and max(d, h, od, oh) == 1:
        # A long row is cut: tiles of 14 positions, the slab and the sums of a unit in the second-level cache.
        span = max(min(2 * SLAB // (sw * channels) - halo, POSITIONS), halo, MR)
        span = ceil_div(ceil_div(ow, ceil_div(ow, span)), MR) * MR if span < ow else ow
    wq = span + halo
    across = sw * wq
    lines = od if od > 1 else oh
    full_h = (oh - 1) * sh + (kh - 1) * dh + 1
    if many:
        rows, parts = lines, 1
        slab_d, slab_h = 1, h
        plane = h * w * images
    else:
        thick = across * channels * (full_h if od > 1 else 1)
        step, halo = (sd, (kd - 1) * dd) if od > 1 else (sh, (kh - 1) * dh)
        per_line = ow * (oh if od > 1 else 1)
        fit = max(1, min((4 * SLAB // thick - halo) // step, POSITIONS // per_line))
        fit = max(fit, min(lines, ceil_div(halo, step)))
        rows = ceil_div(lines, ceil_div(lines, min(lines, fit)))
        parts = ceil_div(lines, rows) * ceil_div(ow, span)
        slab_d, slab_h = (rows - 1) * sd + (kd - 1) * dd + 1 if od > 1 else (kd - 1) * dd + 1, full_h
        if od == 1:
            slab_h = (rows - 1) * sh + (kh - 1) * dh + 1
        plane = slab_d * slab_h * across
    # An odd number of lines: channels do not meet in the same set of the first-level cache.
    plane = ceil_div(plane, VL32) * VL32
    plane += VL32 if plane // VL32 % 2 == 0 else 0
    # Kernels of one tap read x where it lies, unless its channels would meet in the same set.
    copies = not (alone and images == 1 and w % VL32)
    if not copies:
        plane = w
    sets = ceil_div(batch, images)
    panels = ceil_div(couts, VL32 * NV)
    # Each chunk of output channels fills the slab anew. (1 image of 28 x 28, 512 -> 1024 channels, one tap of stride 2,
    # one thread: 2.19 ms in eight units, 2.06 in four.)
    wanted = UNITS // 2 if copies else UNITS
    chunks = min(panels, ceil_div(wanted, sets * groups * parts)) if work // UNITS >= SERIAL // 4 else 1
    if channels * couts * taps > OWN:
        chunks = max(chunks, min(panels, 2))
    blocks = ceil_div(channels, max(1, KC // taps))
    pieces = _pieces(_runs(ow, w, kw, sw, dw, pw) if many else [(0, span, 0, kw)], images)
    if kd == 1 and span == ow and not many:
        # Taps in the padding are left out where tiles do not become too low for it. (256 channels, 33 x 33, dilation 6,
        # one thread: 10.4 ms, 9.3 so.)
        pieces = min(_pieces(_runs(ow, w, kw, sw, dw, pw), images), pieces, key=_length)
    numbers = (
        batch, cin, d, h, w, cout, od, oh, ow, kd, kh, kw, sd, sh, sw, dd, dh, dw, pd, ph, pw, groups,
        rows, slab_d, slab_h, wq, plane, parts, images, sets, chunks, blocks, span, copies, len(pieces) // 4,
        *pieces,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry of the input gradient as a convolution, or None; arguments as ``geometry``'s."""
    if max(stride) > 1 or scatters(cin // groups, cout // groups, groups):
        return None
    front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True))
    if min(front) < 0:
        return None
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups)


@njit(**JIT)
def _steps(geo, offsets):
    """offsets[channel block, tap, channel]: where the step of a sum finds its inputs, from a tile's place."""
    cin, blocks, images = geo[CIN] // geo[GROUPS], geo[BLOCKS], geo[IMAGES]
    sw, wq, slab_h = geo[SW], geo[WQ], geo[SLAB_H]
    at = 0
    for block in range(blocks):
        lo, hi = cin * block // blocks, cin * (block + 1) // blocks
        for i in range(geo[KD]):
            for j in range(geo[KH]):
                for m in range(geo[KW]):
                    x = m * geo[DW]
                    if images > 1:
                        start = ((j * geo[DH] - geo[PH]) * geo[W] + x - geo[PW]) * images
                    else:
                        start = ((i * geo[DD]) * slab_h + j * geo[DH]) * sw * wq + x % sw * wq + x // sw
                    for c in range(lo, hi):
                        offsets[at] = start + c * geo[SLAB_SIZE]
                        at += 1


@njit(**JIT)
def _pack(w, packed, geo, mirrored, unit):
    """The weights of one group and panel of output channels, in the order in which the tiles read them."""
    cin, cout, blocks = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS], geo[BLOCKS]
    taps = geo[KD] * geo[KH] * geo[KW]
    vl = vector_len(w)
    width = NV * vl
    padded = (cout + vl - 1) // vl * vl
    panels = (cout + width - 1) // width
    group, panel = unit // panels, unit % panels
    o0 = panel * width
    wide = min(width, padded - o0)
    source = shift(w, group * cout * cin * taps)
    target = shift(packed, (group * padded + o0) * cin * taps)
    # From its last whole vector on, w is read with masks.
    end = cout * cin * taps - vl
    deepest = (cin + blocks - 1) // blocks
    places = np.empty(deepest * taps, np.intp)
    for block in range(blocks):
        c0 = cin * block // blocks
        nc = cin * (block + 1) // blocks - c0
        out = shift(target, c0 * taps * wide)
        if taps == 1 and mirrored:
            copy_rows(nc, shift(source, c0 * cout + o0), cout, out, wide, wide // vl, min(wide, cout - o0))
            continue
        for c in range(nc):
            for t in range(taps):
                places[c * taps + t] = ((taps - 1 - t if mirrored else t) * nc + c) * wide
        for v in range(0, wide, vl):
            last, column = min(vl, cout - o0 - v) - 1, shift(out, v)
            if not mirrored:
                start = ((o0 + v) * cin + c0) * taps
                for p in range(0, nc * taps, vl):
                    count = min(vl, nc * taps - p)
                    turn_places(shift(source, start + p), cin * taps, last, column, ptr(places, p), count, count == vl)
                continue
            for c in range(nc):
                start = ((c0 + c) * cout + o0 + v) * taps
                for t in range(0, taps, vl):
                    count = min(vl, taps - t)
                    whole = start + last * taps + t <= end
                    turn_places(shift(source, start + t), taps, last, column, ptr(places, c * taps + t), count, whole)
    keep(places)


@njit(**JIT)
def _interleave(geo, x, channels, many, slab):
    """Copies whole images into the slab: position by position, all images of one next to each other."""
    images, size = geo[IMAGES], geo[H] * geo[W]
    step, vl = geo[CIN] * size, vector_len(x)
    for c in range(channels):
        out = shift(slab, c * geo[SLAB_SIZE])
        if many < images:
            for i in range(size * images):
                store(out, i, number(x, 0))
        for i in range(0, many, vl):
            for p in range(0, size, vl):
                line = shift(x, i * step + c * size + p)
                turn_exact(line, step, min(vl, many - i) - 1, shift(out, p * images + i), images, min(vl, size - p))


@njit(**JIT)
def _taps_inside(first, size, taps, dilation):
    """(lo, hi): the taps whose inputs, from ``first`` on, lie inside."""
    lo = min(taps, max(0, (dilation - 1 - first) // dilation))
    hi = max(lo, min(taps, (size - 1 - first) // dilation + 1)) if first < size else lo
    return lo, hi


@njit(**JIT)
def _rows(geo, source, d0, nd, h0, nh, depth, offsets, right, vectors, add, out, wide):
    """All tiles of a unit for one panel and one block of ``depth`` channels."""
    images, pieces, ow, kh, kw = geo[IMAGES], geo[PIECES], geo[OW], geo[KH], geo[KW]
    pitch = geo[SW] * geo[WQ] if images == 1 else geo[W] * images
    for i in range(nd):
        kd0, kd1 = _taps_inside((d0 + i) * geo[SD] - geo[PD], geo[D], geo[KD], geo[DD])
        for j in range(nh):
            kh0, kh1 = _taps_inside((h0 + j) * geo[SH] - geo[PH], geo[H], kh, geo[DH])
            line = shift(source, (i * geo[SD] * geo[SLAB_H] + j * geo[SH]) * pitch)
            target = shift(out, (i * nh + j) * ow * images * wide)
            for piece in range(pieces):
                at = FIRST + 4 * piece
                start, kw0, kw1 = geo[at], geo[at + 2], geo[at + 3]
                rows = min(geo[at + 1], ow * images - start)
                if rows <= 0:
                    break
                n1, n2, gap = kd1 - kd0, (kh1 - kh0) * kw * depth, (kh - kh1 + kh0) * kw * depth
                if kw1 - kw0 < kw:
                    n1, n2, gap = min(n1, 1) * (kh1 - kh0), (kw1 - kw0) * depth, (kw - kw1 + kw0) * depth
                elif gap == 0:
                    n1, n2 = min(n1, 1), n1 * n2
                place = shift(target, start * wide)
                if n1 > 0 and n2 > 0:
                    first = ((kd0 * kh + kh0) * kw + kw0) * depth
                    right_first = shift(right, first * wide)
                    reduce_tile(rows, vectors, n1, n2, gap, shift(line, start), shift(offsets, first), right_first,
                                place, wide, add)  # fmt: skip
                elif not add:
                    for q in range(rows * wide):
                        store(place, q, number(place, 0))


@njit(**JIT)
def _forward_unit(x, w, bias, y, geo, offsets, mode, unit):
    """Some images, one group, part of the rows and some panels; w as ``_pack`` leaves it. Arrays as pointers.

    Units of the same panels follow each other, so that mostly the thread reads weights that has packed them.
    """
    chunks, groups, parts, images = geo[CHUNKS], geo[GROUPS], geo[UNITS_ROWS], geo[IMAGES]
    item, chunk = unit % (geo[SETS] * parts), unit // (geo[SETS] * parts)
    chunk, group = chunk % chunks, chunk // chunks
    part, image = item % parts, item // parts * images
    many = min(images, geo[BATCH] - image)
    size, w0 = geo[OD] * geo[OH] * geo[OW], 0
    if geo[SPAN] < geo[OW]:
        part, w0 = 0, part * geo[SPAN]
        local = geo.copy()
        local[PW] -= w0 * geo[SW]
        local[OW] = min(geo[SPAN], geo[OW] - w0)
        geo = local
    d0, nd, h0, nh = _part(geo, part)
    cin, cout, blocks = geo[CIN] // groups, geo[COUT] // groups, geo[BLOCKS]
    taps = geo[KD] * geo[KH] * geo[KW]
    count, first = nd * nh * geo[OW], (d0 * geo[OH] + h0) * geo[OW] + w0
    plane, slab_h = geo[SLAB_SIZE], geo[SLAB_H]
    vl = vector_len(x)
    width, bytes_ = NV * vl, VECTOR_BYTES // vl
    room = cin * plane if geo[COPIES] else 0
    buffer = np.empty((room + (count * images + vl) * width + 8 * vl) * bytes_ + 64, np.uint8)
    slab = scratch(buffer, x)
    out = shift(slab, room + 4 * vl)
    source = shift(x, (image * geo[CIN] + group * cin) * geo[D] * geo[H] * geo[W])
    if geo[COPIES] == 0:
        slab = shift(source, w0)
    elif images > 1:
        _interleave(geo, source, cin, many, slab)
    else:
        rows_d = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1
        rows_h = (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
        top, left = d0 * geo[SD] - geo[PD], h0 * geo[SH] - geo[PH]
        fill_slab(geo, source, cin, top, rows_d, left, rows_h, slab_h, plane, slab)
    padded, panels = (cout + vl - 1) // vl * vl, (cout + width - 1) // width
    for panel in range(panels * chunk // chunks, panels * (chunk + 1) // chunks):
        o0 = panel * width
        wide = min(width, padded - o0)
        weight = shift(w, (group * padded + o0) * cin * taps)
        for block in range(blocks):
            c0 = cin * block // blocks
            depth = cin * (block + 1) // blocks - c0
            right, where = shift(weight, c0 * taps * wide), ptr(offsets, c0 * taps)
            _rows(geo, slab, d0, nd, h0, nh, depth, where, right, wide // vl, 1 if block else 0, out, wide)
        for i in range(many):
            target = shift(y, ((image + i) * geo[COUT] + group * cout + o0) * size + first)
            extra = shift(bias, group * cout + o0 if mode & 2 else 0)
            for p in range(0, count, vl):
                for v in range(0, wide, vl):
                    turn_out(
                        shift(out, (p * images + i) * wide + v), images * wide, min(vl, count - p) - 1,
                        shift(target, v * size + p), size, min(vl, cout - o0 - v), shift(extra, v if mode & 2 else 0),
                        mode,
                    )  # fmt: skip
    keep(buffer)


forward_unit = share(_forward_unit, 12)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """As ``conv.conv_forward``."""
    groups, mirrored, ready = geo[GROUPS], mode & 16, mode & READY
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    depth = cin * geo[KD] * geo[KH] * geo[KW]
    vl = vector_len(ptr(x, 0))
    width = NV * vl
    packs = 0 if ready else groups * ((cout + width - 1) // width)
    units = geo[SETS] * geo[UNITS_ROWS] * groups * geo[CHUNKS]
    offsets = np.empty(depth, np.intp)
    _steps(geo, offsets)
    size = 0 if ready else groups * ((cout + vl - 1) // vl * vl) * depth
    storage = np.empty(size * (VECTOR_BYTES // vl) + 64, np.uint8)
    mode &= 15
    if _work(geo) < SERIAL:
        packed = ptr(w, 0) if ready else scratch(storage, ptr(x, 0))
        for unit in range(packs):
            _pack(ptr(w, 0), packed, geo, mirrored, unit)
        for unit in range(units):
            forward_unit(ptr(x, 0), packed, ptr(bias, 0), ptr(y, 0), geo, offsets, mode, unit)
    else:
        for unit in prange(packs):
            _pack(ptr(w, 0), scratch(storage, ptr(x, 0)), geo, mirrored, np.intp(unit))
        for unit in prange(units):
            packed_ = ptr(w, 0) if ready else scratch(storage, ptr(x, 0))
            forward_unit(ptr(x, 0), packed_, ptr(bias, 0), ptr(y, 0), geo, offsets, mode, np.intp(unit))
    keep(storage)


def packed_size(geo, itemsize):
    """The number of elements that ``conv_pack`` writes."""
    groups, vl = int(geo[GROUPS]), VECTOR_BYTES // itemsize
    depth = int(geo[CIN]) // groups * int(geo[KD] * geo[KH] * geo[KW])
    return groups * ceil_div(int(geo[COUT]) // groups, vl) * vl * depth


@njit(parallel=True, **JIT)
def conv_pack(w, packed, geo, mode):
    """The weights as ``conv_forward`` in the same mode reads them."""
    width = NV * vector_len(ptr(w, 0))
    for unit in prange(geo[GROUPS] * ((geo[COUT] // geo[GROUPS] + width - 1) // width)):
        _pack(ptr(w, 0), ptr(packed, 0), geo, mode & 16, np.intp(unit))
