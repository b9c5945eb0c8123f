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
input channel in a group (depthwise convolution) are in ``conv_depthwise`` and ``conv_lanes``, those for channels in
plenty, which need no panels, in ``conv_direct`` and ``conv_direct_weight``, and those that make do with fewer products
in ``conv_winograd`` and ``conv_winograd_weight``. (Implicit GEMM: S. Chetlur et al., "cuDNN:
Efficient primitives for deep learning", arXiv:1410.0759.)
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import KC, SERIAL, _pack_a, gemm_strided
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    keep,
    load,
    number,
    ptr,
    scratch,
    shift,
    store,
    tile,
    turn_exact,
    vector_len,
)
from ._simd_rows import copy_segments
from .conv_backward import conv_backward_input, conv_backward_weight
from .conv_slab import (
    BATCH,
    CIN,
    COUT,
    DD,
    DH,
    GROUPS,
    IMAGES,
    KD,
    KH,
    KW,
    OD,
    OH,
    OW,
    PD,
    PH,
    READY,
    SD,
    SH,
    SLAB_H,
    SLAB_SIZE,
    UNITS_COUT,
    UNITS_IMAGES,
    UNITS_ROWS,
    D,
    H,
    W,
    _is_pointwise,
    _offsets,
    _part,
    _segments,
    _work,
    fill_slab,
    geometry,
    scatters,
    share,
)

__all__ = [
    "conv_backward_input", "conv_backward_weight", "conv_forward", "conv_pack", "geometry", "mirror", "packed_size",
]  # fmt: skip


@njit(**JIT)
def _pointwise_unit(x, w, bias, y, geo, mode, unit):
    """Kernel of one tap, stride 1, no padding: a product with x itself."""
    units, groups, chunks = geo[UNITS_ROWS], geo[GROUPS], geo[UNITS_COUT]
    chunk, group, image = unit % chunks, unit // (chunks * units) % groups, unit // (chunks * units * groups)
    d0, nd, h0, nh = _part(geo, unit // chunks % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    o0 = cout * chunk // chunks
    rows = cout * (chunk + 1) // chunks - o0
    size = geo[OD] * geo[OH] * geo[OW]
    start = (d0 * geo[OH] + h0) * geo[OW]
    source = shift(x, (image * geo[CIN] + group * cin) * size + start)
    first = group * cout + o0
    out = shift(y, (image * geo[COUT] + first) * size + start)
    extra = shift(bias, first if mode & 2 else 0)
    count = nd * nh * geo[OW]
    gemm_strided(rows, count, cin, 1.0, shift(w, first * cin), cin, 1, source, size, 1, 0.0, out, size, extra, mode)


@njit(**JIT)
def _stretch(cout, depth):
    """Elements between the blocks of packed weights: ``_pack_a`` writes a little past the end."""
    blocks = (depth + KC - 1) // KC
    return cout * ((depth + blocks - 1) // blocks) + 64


@njit(**JIT)
def _pack_block(w, packed, geo, mirrored, unit):
    """The weights of one group and block of the rows of X~, in the order in which the tiles read them.

    ``mirrored``: w is a weight (cin, cout / groups, taps) of which cin and cout change places. (That the taps change
    their order is left to the offsets.)
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
    if not mirrored:
        for t in range(tiles):
            lo = cout * t // tiles
            rows = cout * (t + 1) // tiles - lo
            _pack_a(rows, kc, shift(source, lo * depth + p0), depth, 1, shift(target, lo * kc))
        return
    # In the order of w: it is read once, from one end to the other.
    vl, p = vector_len(w), 0
    while p < kc:
        channel, tap = (p0 + p) // taps, (p0 + p) % taps
        count = min(vl, taps - tap, kc - p)
        line = shift(source, channel * cout * taps + tap)
        for t in range(tiles):
            lo = cout * t // tiles
            rows = cout * (t + 1) // tiles - lo
            out = shift(target, lo * kc + p * rows)
            for r in range(0, rows, vl):
                turn_exact(shift(line, (lo + r) * taps), taps, min(vl, rows - r) - 1, shift(out, r), rows, count)
        p += count


@njit(**JIT)
def _forward_unit(x, w, bias, y, geo, offsets, mode, unit):
    """One image, group and part of the rows; w as ``_pack_block`` leaves it. Here and below: arrays as pointers."""
    if _is_pointwise(geo):
        _pointwise_unit(x, w, bias, y, geo, mode, unit)
        return
    groups, chunks, units = geo[GROUPS], geo[UNITS_COUT], geo[UNITS_ROWS]
    chunk, group = unit % chunks, unit // (chunks * units) % groups
    image = unit // (chunks * units * groups) * geo[IMAGES]
    many = min(geo[IMAGES], geo[BATCH] - image)
    d0, nd, h0, nh = _part(geo, unit // chunks % units)
    cin, cout = geo[CIN] // groups, geo[COUT] // groups
    size, depth, count = geo[OD] * geo[OH] * geo[OW], offsets.size, nd * nh * geo[OW]
    slab_h, plane = geo[SLAB_H], geo[SLAB_SIZE]
    vl = vector_len(x)
    width, item = NV * vl, VECTOR_BYTES // vl
    blocks, tiles = (depth + KC - 1) // KC, (cout + MR - 1) // MR
    first, last = tiles * chunk // chunks, tiles * (chunk + 1) // chunks
    o0, o1 = cout * first // tiles, cout * last // tiles
    deepest = (depth + blocks - 1) // blocks
    total = many * count
    need = many * cin * plane + deepest * width + 4 * vl + ((o1 - o0) * total if many > 1 else 0)
    buffer = np.empty(need * item + 64, np.uint8)
    panel = scratch(buffer, x)
    slab = shift(panel, deepest * width)
    runs = np.empty(3 * width, np.intp)
    table = ptr(runs, 0)
    rows_d, rows_h = (nd - 1) * geo[SD] + (geo[KD] - 1) * geo[DD] + 1, (nh - 1) * geo[SH] + (geo[KH] - 1) * geo[DH] + 1
    for i in range(many):
        source = shift(x, ((image + i) * geo[CIN] + group * cin) * geo[D] * geo[H] * geo[W])
        box = shift(slab, i * cin * plane)
        fill_slab(geo, source, cin, d0 * geo[SD] - geo[PD], rows_d, h0 * geo[SH] - geo[PH], rows_h, slab_h, plane, box)
    stretch = _stretch(cout, depth)
    weight = shift(w, group * blocks * stretch)
    # One image goes straight to y; several meet in a matrix of their own first.
    target = shift(y, (image * geo[COUT] + group * cout + o0) * size + (d0 * geo[OH] + h0) * geo[OW])
    out, pitch = target, size
    if many > 1:
        out, pitch = shift(slab, many * cin * plane), total
    extra = shift(bias, group * cout if mode & 2 else 0)
    zero, one = number(out, 0), number(out, 1)
    for block in range(blocks):
        p0 = depth * block // blocks
        kc = depth * (block + 1) // blocks - p0
        flags = (0 if block == 0 else 4) | (mode if block == blocks - 1 else 0)
        for q in range(0, total, width):
            nc = min(width, total - q)
            vectors = (nc + vl - 1) // vl
            done, pieces = 0, 0
            while done < nc:
                i, at = (q + done) // count, (q + done) % count
                run = min(count - at, nc - done)
                added = _segments(geo, slab_h, nh, at, run, shift(table, 3 * pieces))
                for piece in range(pieces, pieces + added):
                    store(table, 3 * piece, load(table, 3 * piece) + i * cin * plane)
                    store(table, 3 * piece + 1, load(table, 3 * piece + 1) + done)
                pieces += added
                done += run
            copy_segments(kc, ptr(offsets, p0), slab, pieces, table, panel, vectors * vl)
            for t in range(first, last):
                lo = cout * t // tiles
                rows = cout * (t + 1) // tiles - lo
                tile(
                    rows, vectors, kc, shift(weight, block * stretch + lo * kc), 1, rows, panel, vectors * vl,
                    shift(out, (lo - o0) * pitch + q), pitch, nc, one, one, shift(extra, lo if flags & 2 else 0), flags,
                    zero,
                )  # fmt: skip
    if many > 1:
        for i in range(many):
            for o in range(o1 - o0):
                source, place = shift(out, o * total + i * count), shift(target, (i * geo[COUT] + o) * size)
                for q in range(count):
                    store(place, q, load(source, q))
    keep(buffer)
    keep(runs)


forward_unit = share(_forward_unit, 4)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """y (batch, cout, od, oh, ow) = conv(x (batch, cin, d, h, w), w (cout, cin/groups, kd, kh, kw)) + bias, all flat.

    ``mode``: 2 if ``bias`` (cout,) is to be added, else 0 (then ``bias`` is any array of one element); plus 8 for relu;
    plus 16 if w is the weight (cin, cout/groups, ...) of a convolution whose input gradient this is (``mirrored``);
    plus 32 if w is the weight as ``conv_pack`` leaves it.
    """
    groups, mirrored, ready = geo[GROUPS], mode & 16, mode & READY
    depth = geo[CIN] // groups * geo[KD] * geo[KH] * geo[KW]
    direct = _is_pointwise(geo)
    units = (geo[BATCH] if direct else geo[UNITS_IMAGES]) * groups * geo[UNITS_ROWS] * geo[UNITS_COUT]
    offsets = np.empty(depth, np.intp)
    _offsets(geo, geo[CIN] // groups, geo[SLAB_SIZE], geo[SLAB_H], offsets, False)
    if mirrored:
        taps = geo[KD] * geo[KH] * geo[KW]
        for c in range(0, depth, taps):
            offsets[c : c + taps] = offsets[c : c + taps][::-1].copy()
    packs = 0 if direct or ready else groups * ((depth + KC - 1) // KC)
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


def packed_size(geo, itemsize):
    """The number of elements that ``conv_pack`` writes; 0 where weights are read as they lie."""
    if _is_pointwise.py_func(geo):
        return 0
    depth = int(geo[CIN] // geo[GROUPS] * geo[KD] * geo[KH] * geo[KW])
    return int(geo[GROUPS]) * -(-depth // KC) * _stretch.py_func(int(geo[COUT] // geo[GROUPS]), depth)


@njit(parallel=True, **JIT)
def conv_pack(w, packed, geo, mode):
    """The weights as ``conv_forward`` in the same mode reads them."""
    depth = geo[CIN] // geo[GROUPS] * geo[KD] * geo[KH] * geo[KW]
    for unit in prange(geo[GROUPS] * ((depth + KC - 1) // KC)):
        _pack_block(ptr(w, 0), ptr(packed, 0), geo, mode & 16, np.intp(unit))


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """The geometry with which ``conv_forward`` in mode 16 gives the input gradient, or None if strides forbid it.

    Arguments as ``geometry``'s. With stride 1 the input gradient is itself a convolution, of the output gradient with
    the kernel turned around; the products are the same, and none has to be added to memory.
    """
    if max(stride) > 1 or (max(kernel) == 1 and size == out) or scatters(cin // groups, cout // groups, groups):
        return None
    front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True))
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups)
