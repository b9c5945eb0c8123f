"""Convolution whose windows lie side by side: kernel and stride are equal and nothing is padded, as where a vision
Transformer cuts an image into patches (A. Dosovitskiy et al., arXiv:2010.11929).

A unit of work copies some windows one after the other, as many as half of a second-level cache holds, and a single
product with the weights, packed beforehand, makes their outputs, which are turned on the way to y. Windows are counted
through all images, so that the products have whole tiles. (3 -> 192 channels, 16 x 16 on 4 images of 224 x 224, one
thread: 2.25 ms; with the weights as the left operand and a unit for some lines of an image 2.54.) ``geo`` is
``geometry``'s; arrays as in ``conv``.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import PACKED, SERIAL, _pack_panels, gemm_strided
from ._jit import JIT
from ._move import move_rows
from ._simd import DEPTH, MR, NV, VECTOR_BYTES, keep, ptr, scratch, shift, vector_len
from ._simd_reduce import turn_out
from .conv_slab import READY, ceil_div

BATCH, CIN, D, H, W, COUT, OD, OH, OW, KD, KH, KW, UNITS = range(13)
# Elements of a unit's windows.
MOST = 1 << 16


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups):
    """As ``conv_slab.geometry``, or None if this kernel is not the right one."""
    depth, positions = cin * kernel[0] * kernel[1] * kernel[2], out[0] * out[1] * out[2]
    beside = kernel == stride and max(padding) == min(padding) == 0 and groups == 1
    beside = beside and all(d == 1 or k == 1 for d, k in zip(dilation, kernel, strict=True))
    # Windows of a few elements a row are slow to copy, and small products to set up.
    if not beside or kernel[2] < 8 or min(batch * positions, cout) < 32 or batch * positions * cout * depth < SERIAL:
        return None
    # An even share for each of two or four threads: of 784 windows in units of 84 one of two threads had 420.
    units = -(-batch * positions // (MR * max(1, MOST // (MR * depth))))
    return np.array([batch, cin, *size, cout, *out, *kernel, -(-units // 4) * 4 if units > 1 else 1], np.intp)


@njit(**JIT)
def _copy(x, geo, first, last, windows):
    """The windows first..last of all images."""
    cin, d, h, width, ow = geo[CIN], geo[D], geo[H], geo[W], geo[OW]
    kd, kh, kw = geo[KD], geo[KH], geo[KW]
    depth, lines = cin * kd * kh * kw, geo[OD] * geo[OH]
    at = first
    while at < last:
        line, q = at // ow, at % ow
        run = min(ow - q, last - at)
        image, z, r = line // lines, line % lines // geo[OH] * kd, line % geo[OH] * kh
        out = shift(windows, (at - first) * depth)
        for c in range(cin):
            for a in range(kd):
                for b in range(kh):
                    source = ptr(x, (((image * cin + c) * d + z + a) * h + r + b) * width + q * kw)
                    move_rows(run, source, kw, shift(out, ((c * kd + a) * kh + b) * kw), depth, kw)
        at += run


@njit(**JIT)
def _unit(x, packed, bias, y, geo, first, last, mode):
    """The windows first..last of all images."""
    like = ptr(x, 0)
    cout, size, vl = geo[COUT], geo[OD] * geo[OH] * geo[OW], vector_len(like)
    depth, count, wide = geo[CIN] * geo[KD] * geo[KH] * geo[KW], last - first, (cout + vl - 1) // vl * vl
    panels = (cout + NV * vl - 1) // (NV * vl) * NV * vl
    buffer = np.empty((count * (depth + wide) + vl) * x.itemsize + 64, np.uint8)
    out = scratch(buffer, like)
    windows = shift(out, count * wide)
    _copy(x, geo, first, last, windows)
    flags = PACKED | (mode & 8) | (1 if mode & 2 else 0)
    gemm_strided(count, cout, depth, 1.0, windows, depth, 1, packed, panels, 0, 0.0, out, wide, ptr(bias, 0), flags)
    at = first
    while at < last:
        image, q = at // size, at % size
        run = min(size - q, last - at)
        for p in range(0, run, vl):
            for v in range(0, cout, vl):
                source, target = shift(out, (at - first + p) * wide + v), ptr(y, (image * cout + v) * size + q + p)
                turn_out(source, wide, min(vl, run - p) - 1, target, size, min(vl, cout - v), source, 0)
        at += run
    keep(buffer)


@njit(**JIT)
def _pack(w, packed, geo, unit):
    """The weights of one block of a window and some output channels."""
    cout, depth, width = geo[COUT], geo[CIN] * geo[KD] * geo[KH] * geo[KW], NV * vector_len(w)
    panels, blocks = (cout + width - 1) // width, (depth + DEPTH - 1) // DEPTH
    block, j = unit // panels, unit % panels * width
    p = depth * block // blocks
    kc = depth * (block + 1) // blocks - p
    target = shift(packed, p * panels * width + j * kc)
    _pack_panels(kc, min(width, cout - j), shift(w, j * depth + p), 1, depth, target, width)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """Writes y; see ``conv.conv_forward``."""
    cout, depth, width = geo[COUT], geo[CIN] * geo[KD] * geo[KH] * geo[KW], NV * vector_len(ptr(x, 0))
    panels, blocks = (cout + width - 1) // width, (depth + DEPTH - 1) // DEPTH
    ready = mode & READY
    room = np.empty((0 if ready else depth * panels * width * x.itemsize) + 64, np.uint8)
    for unit in prange(0 if ready else blocks * panels):
        _pack(ptr(w, 0), scratch(room, ptr(x, 0)), geo, np.intp(unit))
    total = geo[BATCH] * geo[OD] * geo[OH] * geo[OW]
    tiles, units = (total + MR - 1) // MR, geo[UNITS]
    for unit in prange(units):
        first, last = tiles * np.intp(unit) // units * MR, min(total, tiles * (np.intp(unit) + 1) // units * MR)
        if first < last:
            packed = ptr(w, 0) if ready else scratch(room, ptr(x, 0))
            _unit(x, packed, bias, y, geo, first, last, mode)
    keep(room)


def packed_size(geo, itemsize):
    """The number of elements that ``conv_pack`` writes."""
    width = NV * VECTOR_BYTES // itemsize
    return int(geo[CIN] * geo[KD] * geo[KH] * geo[KW]) * ceil_div(int(geo[COUT]), width) * width


@njit(parallel=True, **JIT)
def conv_pack(w, packed, geo, mode):
    """The weights as ``conv_forward`` reads them."""
    depth, width = geo[CIN] * geo[KD] * geo[KH] * geo[KW], NV * vector_len(ptr(w, 0))
    for unit in prange((depth + DEPTH - 1) // DEPTH * ((geo[COUT] + width - 1) // width)):
        _pack(ptr(w, 0), ptr(packed, 0), geo, np.intp(unit))
