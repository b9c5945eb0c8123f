"""What the recurrent kernels share: the order of steps in a packed sequence, and products with packed weights.

The rows of a batch of sequences are stored step by step: step t owns the rows ``starts[t]`` to ``starts[t + 1] - 1``,
and row r of each step belongs to sequence r. Sequences are sorted by length, the longest first, so that step t holds
the first ``starts[t + 1] - starts[t]`` of them. A padded batch is the case of equal lengths.

A kernel cuts the batch into chunks of sequences and runs each through all steps on one thread: between the steps
nothing has to be waited for, and the rows of a chunk stay in its core's cache. The weights are brought into the order
of the micro-kernel once for the whole sequence.

The products of the inputs with W_ih are either made beforehand for the whole sequence, or, where W_ih is small enough
to stay in the cache beside W_hh, step by step: then the gates go from product to product without leaving the cache, and
where no gradient is wanted, every step uses the same memory for them.
"""

import numpy as np
from numba import njit, prange

from ._gemm import _pack_b, gemm_strided
from ._jit import GRAIN, JIT
from ._simd import MR, NV, VECTOR_BYTES, load, number, shift, store, tile, vector_len

# Multiply-adds of a whole sequence below which it stays on the calling thread.
SERIAL = 1 << 19
# Sequences of a chunk, at least, and at least where there would be one chunk: every chunk reads all weights at each
# step, so few sequences make that reading count. 512 -> 512, 8 sequences, two threads: 9.5 ms as one chunk, 6.6 as two.
LEAST_ROWS = 8
FEWEST_ROWS = 4
# How many chunks a large batch is cut into, at most.
MOST_CHUNKS = 16
# Steps from which the weights are packed: for fewer, reading them as they lie costs less.
PACK_STEPS = 4
# The largest W_ih (elements) that is applied step by step, and the least batch; and a W_ih that is for larger batches,
# whose chunks work longer on what they read. Two layers both ways, 128 -> 256, 16 sequences of 50 steps, one thread:
# 40 ms with a product beforehand, 37 step by step.
STEPWISE_WEIGHTS, STEPWISE_BATCH = 1 << 16, 8
STEPWISE_LARGE_WEIGHTS, STEPWISE_LARGE_BATCH = 1 << 19, 16


def plan(steps, batch, work):
    """(chunks, packed) for `steps` of `batch` sequences with `work` multiply-adds for a row: by sizes alone."""
    packed = steps >= PACK_STEPS and batch > 1
    if steps * batch * work < SERIAL:
        return 1, packed
    return max(1, min(2, batch // FEWEST_ROWS), min(batch // LEAST_ROWS, MOST_CHUNKS)), packed


def stepwise(steps, batch, weights):
    """Whether W_ih, of that many elements, is applied step by step."""
    if steps < PACK_STEPS or batch < STEPWISE_BATCH:
        return False
    return weights <= (STEPWISE_LARGE_WEIGHTS if batch >= STEPWISE_LARGE_BATCH else STEPWISE_WEIGHTS)


def room(k, n, itemsize):
    """Elements that packed weights (k, n) take."""
    width = NV * VECTOR_BYTES // itemsize
    return (n + width - 1) // width * width * k + 64


@njit(**JIT)
def _pack_panel(k, n, w, wrs, wcs, dst, first, depth, j):
    vl = vector_len(w)
    columns = min(NV * vl, n - j)
    step = (columns + vl - 1) // vl * vl
    _pack_b(k, columns, shift(w, j * wcs), wrs, wcs, shift(dst, j * depth + first * step), step)


@njit(parallel=True, **JIT)
def pack_part(k, n, w, wrs, wcs, dst, first, depth):
    """Writes w[p*wrs + j*wcs], p < k, j < n, to ``dst`` in panels of as many columns as a tile has and ``depth`` rows,
    of which these are the rows from ``first`` on."""
    width = NV * vector_len(w)
    panels = (n + width - 1) // width
    if k * n < GRAIN:
        for panel in range(panels):
            _pack_panel(k, n, w, wrs, wcs, dst, first, depth, panel * width)
    else:
        for panel in prange(panels):
            _pack_panel(k, n, w, wrs, wcs, dst, first, depth, np.intp(panel) * width)


@njit(**JIT)
def pack(k, n, w, wrs, wcs, dst):
    """As ``pack_part``, whole panels."""
    pack_part(k, n, w, wrs, wcs, dst, 0, k)


@njit(**JIT)
def product(rows, n, k, a, lda, packed, w, wrs, wcs, c, ldc, bias, mode):
    """c[i*ldc + j] = sum_p a[i*lda + p] w[p*wrs + j*wcs], plus itself if mode & 4, plus bias[j] if mode & 1.

    If ``packed``, w is what ``pack`` wrote.
    """
    one, zero = number(a, 1), number(a, 0)
    if not packed:
        gemm_strided(rows, n, k, one, a, lda, 1, w, wrs, wcs, one if mode & 4 else zero, c, ldc, bias, mode & 1)
        return
    vl = vector_len(a)
    width = NV * vl
    tiles = (rows + MR - 1) // MR
    for j in range(0, n, width):
        nc = min(width, n - j)
        vectors = (nc + vl - 1) // vl
        panel = shift(w, j * k)
        added = shift(bias, j if mode & 1 else 0)
        for t in range(tiles):
            lo = rows * t // tiles
            height = rows * (t + 1) // tiles - lo
            out = shift(c, lo * ldc + j)
            tile(
                height, vectors, k, shift(a, lo * lda), lda, 1, panel, vectors * vl, out, ldc, nc, one, one, added,
                mode, zero,
            )  # fmt: skip


@njit(**JIT)
def before(starts, t, reverse, lo, hi):
    """(first, kept): row r of step t, ``lo <= r < kept``, goes on from row ``first + r`` of the step before it.

    Rows from ``kept`` to ``hi`` - 1 start from the initial state.
    """
    last = len(starts) - 2
    if reverse:
        if t == last:
            return np.intp(0), lo
        return np.intp(starts[t + 1]), max(lo, min(hi, np.intp(starts[t + 2] - starts[t + 1])))
    if t == 0:
        return np.intp(0), lo
    return np.intp(starts[t - 1]), hi


@njit(**JIT)
def ended(starts, t, reverse, lo, hi):
    """Rows from this one to ``hi`` - 1 of step t have no step after it in time."""
    last = len(starts) - 2
    if reverse:
        return hi if t > 0 else lo
    return lo if t == last else max(lo, min(hi, np.intp(starts[t + 2] - starts[t + 1])))


@njit(**JIT)
def copy(n, source, target):
    """target[j] = source[j] for j < n."""
    for j in range(n):
        store(target, j, load(source, j))


@njit(**JIT)
def add(n, source, target):
    """target[j] += source[j] for j < n."""
    for j in range(n):
        store(target, j, load(target, j) + load(source, j))
