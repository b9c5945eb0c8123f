"""Convolution whose windows lie side by side: kernel and stride are equal and nothing is padded, as where a vision
Transformer cuts an image into patches (A. Dosovitskiy et al., arXiv:2010.11929).

A unit of work copies the windows of some lines of outputs one after the other, as many as half of a second-level cache
holds, and a single product with the weights makes their outputs. (3 -> 192 channels, 16 x 16 on 4 images of 224 x 224:
0.52 of PyTorch's speed as ``conv`` does it, 1.19 so.) ``geo`` is ``geometry``'s; arrays as in ``conv``.
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL, gemm_strided
from ._jit import JIT
from ._move import move_rows
from ._simd import keep, ptr, scratch, shift

BATCH, CIN, D, H, W, COUT, OD, OH, OW, KD, KH, KW, LINES = range(13)
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
    lines = max(1, min(out[0] * out[1], MOST // (out[2] * depth)))
    return np.array([batch, cin, *size, cout, *out, *kernel, lines], np.intp)


@njit(**JIT)
def _unit(x, w, bias, y, geo, image, first, last, mode):
    """Lines first..last of the outputs of one image."""
    cin, d, h, width, ow = geo[CIN], geo[D], geo[H], geo[W], geo[OW]
    kd, kh, kw = geo[KD], geo[KH], geo[KW]
    depth, count, positions = cin * kd * kh * kw, (last - first) * ow, geo[OD] * geo[OH] * ow
    buffer = np.empty(count * depth * x.itemsize + 64, np.uint8)
    windows = scratch(buffer, ptr(x, 0))
    for line in range(first, last):
        z, r = line // geo[OH] * kd, line % geo[OH] * kh
        out = shift(windows, (line - first) * ow * depth)
        for c in range(cin):
            for a in range(kd):
                for b in range(kh):
                    source = ptr(x, (((image * cin + c) * d + z + a) * h + r + b) * width)
                    move_rows(ow, source, kw, shift(out, ((c * kd + a) * kh + b) * kw), depth, kw)
    one, start = x.dtype.type(1), ptr(y, image * geo[COUT] * positions + first * ow)
    gemm_strided(
        geo[COUT], count, depth, one, ptr(w, 0), depth, 1, windows, 1, depth, x.dtype.type(0), start, positions,
        ptr(bias, 0), mode,
    )  # fmt: skip
    keep(buffer)


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """Writes y; see ``conv.conv_forward``."""
    lines = geo[OD] * geo[OH]
    parts = (lines + geo[LINES] - 1) // geo[LINES]
    for unit in prange(geo[BATCH] * parts):
        image, part = np.intp(unit) // parts, np.intp(unit) % parts
        _unit(x, w, bias, y, geo, image, lines * part // parts, lines * (part + 1) // parts, mode)
