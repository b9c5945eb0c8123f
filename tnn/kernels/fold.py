"""Sliding blocks of images as columns, and their sum back into images.

    unfold: col[n, (c, i, j), (a, b)] = x[n, c, a*sh + i*dh - ph, b*sw + j*dw - pw], zero outside
    fold:   x[n, c, h, w] = sum of all col elements that unfold would have read there

One unit of work is a plane (n, c). ``geo`` is an intp array: h, w, kh, kw, sh, sw, dh, dw, ph, pw, rows, cols (the
numbers of blocks along both dimensions).
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT


@njit(**JIT)
def _first(shift, stride):
    """The least a with a * stride + shift >= 0."""
    return 0 if shift >= 0 else (stride - 1 - shift) // stride


@njit(**JIT)
def _unfold_plane(x, col, geo):
    h, w, kh, kw, sh, sw, dh, dw, ph, pw, rows, cols = geo
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh - ph, j * dw - pw
            lo = min(cols, _first(left, sw))
            hi = min(cols, max(lo, (w - 1 - left) // sw + 1)) if w > left else lo
            for a in range(rows):
                y = a * sh + top
                start = ((i * kw + j) * rows + a) * cols
                out = col[start : start + cols]
                out[:] = 0
                if 0 <= y < h:
                    at = y * w + left + lo * sw
                    source, target = x[at:], out[lo:hi]
                    for b in range(hi - lo):
                        target[b] = source[b * sw]


@njit(**JIT)
def _fold_plane(col, x, geo):
    h, w, kh, kw, sh, sw, dh, dw, ph, pw, rows, cols = geo
    x[:] = 0
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh - ph, j * dw - pw
            lo = min(cols, _first(left, sw))
            hi = min(cols, max(lo, (w - 1 - left) // sw + 1)) if w > left else lo
            for a in range(rows):
                y = a * sh + top
                if 0 <= y < h and lo < hi:
                    start = ((i * kw + j) * rows + a) * cols
                    source = col[start + lo : start + hi]
                    target = x[y * w + left + lo * sw :]
                    for b in range(hi - lo):
                        target[b * sw] += source[b]


@njit(**JIT)
def _numbers(geo):
    return (
        geo[0], geo[1], geo[2], geo[3], geo[4], geo[5], geo[6], geo[7], geo[8], geo[9], geo[10], geo[11],
    )  # fmt: skip


@njit(parallel=True, **JIT)
def unfold_forward(x, col, geo):
    """col (planes, kh*kw*rows*cols) from x (planes, h*w)."""
    numbers = _numbers(geo)
    if col.size < GRAIN:
        for p in range(x.shape[0]):
            _unfold_plane(x[p], col[p], numbers)
    else:
        for p in prange(x.shape[0]):
            i = np.intp(p)
            _unfold_plane(x[i], col[i], numbers)


@njit(parallel=True, **JIT)
def fold_forward(col, x, geo):
    """x (planes, h*w) from col (planes, kh*kw*rows*cols)."""
    numbers = _numbers(geo)
    if col.size < GRAIN:
        for p in range(x.shape[0]):
            _fold_plane(col[p], x[p], numbers)
    else:
        for p in prange(x.shape[0]):
            i = np.intp(p)
            _fold_plane(col[i], x[i], numbers)
