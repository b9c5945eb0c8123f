"""Resampling on a regular grid: every mode is a table of taps for each dimension.

Arrays are (planes, D, H, W). For dimension j, ``index[j]`` (n_out, K) names the K inputs of each output and
``weight[j]``
(n_out, K) their weights; a tap that is not there has weight 0 and index 0.

    y[o] = sum over taps a, b, c of wD[a] wH[b] wW[c] x[iD[a], iH[b], iW[c]]

A row of outputs first mixes the input rows it needs, which is contiguous and vectorises, and then the mixed row's
columns. For two taps (linear modes) the columns have loops of their own: 16 x 32 signals of 256 to 512 232 us with a
loop over the taps, 159 us so.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT


@njit(**JIT)
def _mix_rows(x, od, oh, id_, wd, ih, wh, row):
    for i in range(row.size):
        row[i] = 0
    for a in range(id_.shape[1]):
        for b in range(ih.shape[1]):
            w = wd[od, a] * wh[oh, b]
            if w != 0:
                line = x[id_[od, a], ih[oh, b]]
                for i in range(row.size):
                    row[i] += w * line[i]


@njit(**JIT)
def _plane(x, y, id_, wd, ih, wh, iw, ww, row):
    for od in range(y.shape[0]):
        for oh in range(y.shape[1]):
            _mix_rows(x, od, oh, id_, wd, ih, wh, row)
            out = y[od, oh]
            if iw.shape[1] == 1:
                for o in range(out.size):
                    out[o] = ww[o, 0] * row[np.uint64(iw[o, 0])]
            elif iw.shape[1] == 2:
                for o in range(out.size):
                    out[o] = ww[o, 0] * row[np.uint64(iw[o, 0])] + ww[o, 1] * row[np.uint64(iw[o, 1])]
            else:
                for o in range(out.size):
                    total = row.dtype.type(0)
                    for k in range(iw.shape[1]):
                        total += ww[o, k] * row[np.uint64(iw[o, k])]
                    out[o] = total


@njit(parallel=True, **JIT)
def resample_forward(x, y, id_, wd, ih, wh, iw, ww):
    """Writes y (planes, OD, OH, OW) from x (planes, D, H, W)."""
    n = x.shape[0]
    if y.size < GRAIN:
        row = np.empty(x.shape[3], x.dtype)
        for i in range(n):
            _plane(x[i], y[i], id_, wd, ih, wh, iw, ww, row)
    else:
        for i in prange(n):
            row = np.empty(x.shape[3], x.dtype)
            _plane(x[i], y[i], id_, wd, ih, wh, iw, ww, row)


@njit(**JIT)
def _plane_backward(gy, gx, id_, wd, ih, wh, iw, ww, row, other):
    for z in range(gx.shape[0]):
        for r in range(gx.shape[1]):
            for i in range(gx.shape[2]):
                gx[z, r, i] = 0
    for od in range(gy.shape[0]):
        for oh in range(gy.shape[1]):
            g = gy[od, oh]
            for i in range(row.size):
                row[i] = 0
            if iw.shape[1] == 2:
                # A row for each tap: neighbours add to the same elements, and each addition waits for the one before.
                for i in range(row.size):
                    other[i] = 0
                for o in range(g.size):
                    row[np.uint64(iw[o, 0])] += ww[o, 0] * g[o]
                    other[np.uint64(iw[o, 1])] += ww[o, 1] * g[o]
                for i in range(row.size):
                    row[i] += other[i]
            else:
                for o in range(g.size):
                    for k in range(iw.shape[1]):
                        row[np.uint64(iw[o, k])] += ww[o, k] * g[o]
            for a in range(id_.shape[1]):
                for b in range(ih.shape[1]):
                    w = wd[od, a] * wh[oh, b]
                    if w != 0:
                        line = gx[id_[od, a], ih[oh, b]]
                        for i in range(row.size):
                            line[i] += w * row[i]


@njit(parallel=True, **JIT)
def resample_backward(gy, gx, id_, wd, ih, wh, iw, ww):
    """Writes gx (planes, D, H, W) from gy (planes, OD, OH, OW): the transpose of resample_forward."""
    n = gx.shape[0]
    if gy.size < GRAIN:
        row, other = np.empty(gx.shape[3], gx.dtype), np.empty(gx.shape[3], gx.dtype)
        for i in range(n):
            _plane_backward(gy[i], gx[i], id_, wd, ih, wh, iw, ww, row, other)
    else:
        for i in prange(n):
            row, other = np.empty(gx.shape[3], gx.dtype), np.empty(gx.shape[3], gx.dtype)
            _plane_backward(gy[i], gx[i], id_, wd, ih, wh, iw, ww, row, other)
