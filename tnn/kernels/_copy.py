"""Contiguous copies of ndarrays: in parallel where they are large, tile by tile where memory is transposed."""

from math import prod

import numpy as np

from . import shape as kernels
from ._pool import empty

# From this many elements on, transposed memory is copied tile by tile: NumPy's strided copy is several times slower.
_TILED = 8192
# From this many elements on, a copy pays for starting threads.
_PARALLEL = 262144
BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def contiguous_copy(d):
    """A C-contiguous copy of an ndarray."""
    out = empty(d.shape, d.dtype)
    if d.size >= _PARALLEL and d.flags.c_contiguous:
        bits = BITS[d.itemsize]
        kernels.place(d.view(bits).reshape(1, -1), out.view(bits).reshape(1, -1), 0)
        return out
    swap = _swapped_groups(d) if d.size >= _TILED and d.strides[-1] != d.itemsize else None
    if swap is None:
        np.copyto(out, d)
    else:
        source, shape = swap
        bits = BITS[d.itemsize]
        kernels.transpose(source.view(bits).reshape(shape), out.view(bits).reshape(shape[0], shape[2], shape[1]))
    return out


def _swapped_groups(d):
    """The array in the order of its memory and that as (batch, m, n), if two groups of dimensions changed places and
    those before them did not; else None."""
    order = sorted(range(d.ndim), key=lambda i: -d.strides[i])
    source = d.transpose(order)
    if not source.flags.c_contiguous:
        return None
    same = next((i for i in range(d.ndim) if order[i] != i), None)
    if same is None:
        return None
    rest = order[same:]
    cut = rest.index(same)
    if rest[cut:] + rest[:cut] != sorted(rest):
        return None
    sizes = source.shape
    return source, (prod(sizes[:same]), prod(sizes[same : same + cut]), prod(sizes[same + cut :]))
