"""Where the elements of a mask are True.

Two passes over chunks: how many there are, then their indices, each chunk's behind those of the chunks before.
"""

import numpy as np
from numba import njit, prange

from ._jit import CHUNK, JIT


@njit(**JIT)
def _count(mask):
    n = 0
    for i in range(mask.shape[0]):
        n += mask[i] != 0
    return n


@njit(parallel=True, **JIT)
def nonzero_ends(mask, ends):
    """Writes ends (chunks,) of int64: how many elements of mask (n,) of uint8 are not 0 up to each chunk's end."""
    n = mask.shape[0]
    for c in prange(ends.shape[0]):
        low = np.intp(c) * CHUNK
        ends[c] = _count(mask[low : min(n, low + CHUNK)])
    for c in range(1, ends.shape[0]):
        ends[c] += ends[c - 1]


@njit(**JIT)
def _nonzero_chunk(mask, shape, low, high, out, at, step, apart):
    last = shape.shape[0] - 1
    width = shape[last]
    places, outer = np.empty(min(width, high - low) + 1, np.int64), np.empty(last, np.int64)
    while low < high:
        row, first = low // width, low % width
        part = mask[low : min(high, low + width - first)]
        # without a branch, which a random mask has mispredicted half the time
        n = 0
        for i in range(part.shape[0]):
            places[np.uint64(n)] = first + i
            n += part[i] != 0
        for d in range(last - 1, -1, -1):
            outer[d] = row % shape[d]
            row //= shape[d]
        for d in range(last):
            for t in range(n):
                out[np.uint64((at + t) * step + d * apart)] = outer[d]
        for t in range(n):
            out[np.uint64((at + t) * step + last * apart)] = places[t]
        at += n
        low += part.shape[0]


@njit(parallel=True, **JIT)
def nonzero_indices(mask, shape, ends, out, step, apart):
    """Writes the indices of the elements that are not 0 of mask (n,) of uint8, which has this shape (int64, at least
    one dimension), to out (count * dimensions,) of int64: ``step`` from element to element, ``apart`` from dimension
    to dimension. ends: as `nonzero_ends` writes it."""
    n = mask.shape[0]
    for c in prange(ends.shape[0]):
        at = ends[c - 1] if c > 0 else 0
        low = np.intp(c) * CHUNK
        if ends[c] > at:
            _nonzero_chunk(mask, shape, low, min(n, low + CHUNK), out, at, step, apart)
