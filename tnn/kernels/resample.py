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
    if id_.shape[1] == 1 and ih.shape[1] == 2:  # an image, linearly
        plane, w = x[id_[od, 0]], wd[od, 0]
        top, low, u, v = plane[ih[oh, 0]], plane[ih[oh, 1]], w * wh[oh, 0], w * wh[oh, 1]
        for i in range(row.size):
            row[i] = u * top[i] + v * low[i]
        return
    fresh = True
    for a in range(id_.shape[1]):
        for b in range(ih.shape[1]):
            w = wd[od, a] * wh[oh, b]
            if w != 0:
                line = x[id_[od, a], ih[oh, b]]
                if fresh:
                    for i in range(row.size):
                        row[i] = w * line[i]
                else:
                    for i in range(row.size):
                        row[i] += w * line[i]
                fresh = False
    if fresh:
        for i in range(row.size):
            row[i] = 0


@njit(**JIT)
def _single(id_, wd, ih, wh, od, oh):
    """Whether a row of outputs has its columns from one input row as it is: the nearest one, or a signal."""
    return id_.shape[1] == 1 and ih.shape[1] == 1 and wd[od, 0] * wh[oh, 0] == 1


@njit(**JIT)
def _columns(row, out, iw, ww, twice):
    if twice and iw.shape[1] == 1:
        for i in range(row.size):
            v = row[i]
            out[2 * i], out[2 * i + 1] = v, v
    elif twice and row.size >= 64:
        # Outputs 2i + 1 and 2i + 2 both lie between inputs i and i + 1.
        n, w, inner = row.size, ww.reshape(-1)[2:], out[1:]
        out[0] = ww[0, 0] * row[np.uint64(iw[0, 0])] + ww[0, 1] * row[np.uint64(iw[0, 1])]
        for i in range(n - 1):
            a, b = row[i], row[1:][i]
            inner[2 * i] = w[4 * i] * a + w[4 * i + 1] * b
            inner[2 * i + 1] = w[4 * i + 2] * a + w[4 * i + 3] * b
        last = out.size - 1
        out[last] = ww[last, 0] * row[np.uint64(iw[last, 0])] + ww[last, 1] * row[np.uint64(iw[last, 1])]
    elif iw.shape[1] == 1:
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


@njit(**JIT)
def _plane(x, y, id_, wd, ih, wh, iw, ww, twice, row):
    single = id_.shape[1] == 1 and ih.shape[1] == 1
    for od in range(y.shape[0]):
        if single and od > 0 and id_[od, 0] == id_[od - 1, 0] and wd[od, 0] == wd[od - 1, 0]:  # two layers from one
            layer, done = y[od].reshape(-1), y[od - 1].reshape(-1)
            for i in range(layer.size):
                layer[i] = done[i]
            continue
        for oh in range(y.shape[1]):
            out = y[od, oh]
            if not (single and wd[od, 0] * wh[oh, 0] == 1):
                _mix_rows(x, od, oh, id_, wd, ih, wh, row)
                _columns(row, out, iw, ww, twice)
            elif oh > 0 and ih[oh, 0] == ih[oh - 1, 0]:  # two rows from one
                above = y[od, oh - 1]
                for i in range(out.size):
                    out[i] = above[i]
            else:
                _columns(x[id_[od, 0], ih[oh, 0]], out, iw, ww, twice)


@njit(parallel=True, **JIT)
def resample_forward(x, y, id_, wd, ih, wh, iw, ww, twice):
    """Writes y (planes, OD, OH, OW) from x (planes, D, H, W). twice: columns o take the input o // 2, or
    lie between inputs (o - 1) // 2 and the next, with loops of their own: 16 x 64 signals of 500 in 547 and 980 us by
    the tables, 160 and 400 us so."""
    n = x.shape[0]
    if y.size < GRAIN:
        row = np.empty(x.shape[3], x.dtype)
        for i in range(n):
            _plane(x[i], y[i], id_, wd, ih, wh, iw, ww, twice, row)
    else:
        for i in prange(n):
            row = np.empty(x.shape[3], x.dtype)
            _plane(x[i], y[i], id_, wd, ih, wh, iw, ww, twice, row)


@njit(**JIT)
def _plane_backward(gy, gx, id_, wd, ih, wh, iw, ww, twice, row, other):
    for z in range(gx.shape[0]):
        for r in range(gx.shape[1]):
            for i in range(gx.shape[2]):
                gx[z, r, i] = 0
    for od in range(gy.shape[0]):
        for oh in range(gy.shape[1]):
            g = gy[od, oh]
            if twice and iw.shape[1] == 1 and _single(id_, wd, ih, wh, od, oh):
                line = gx[id_[od, 0], ih[oh, 0]]
                for i in range(line.size):
                    line[i] += g[2 * i] + g[2 * i + 1]
                continue
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
def resample_backward(gy, gx, id_, wd, ih, wh, iw, ww, twice):
    """Writes gx (planes, D, H, W) from gy (planes, OD, OH, OW): the transpose of resample_forward."""
    n = gx.shape[0]
    if gy.size < GRAIN:
        row, other = np.empty(gx.shape[3], gx.dtype), np.empty(gx.shape[3], gx.dtype)
        for i in range(n):
            _plane_backward(gy[i], gx[i], id_, wd, ih, wh, iw, ww, twice, row, other)
    else:
        for i in prange(n):
            row, other = np.empty(gx.shape[3], gx.dtype), np.empty(gx.shape[3], gx.dtype)
            _plane_backward(gy[i], gx[i], id_, wd, ih, wh, iw, ww, twice, row, other)
