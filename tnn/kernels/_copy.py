"""Contiguous copies of ndarrays and setting all elements, in parallel where they are large."""

from functools import lru_cache

import numpy as np

from . import shape as kernels
from ._pool import empty

# Below this many elements NumPy's copy is faster than a call of a kernel.
_FEW = 4096
# From this many elements on, a copy of rows pays for starting threads.
_PARALLEL = 65536
# From this many bytes on, setting all elements pays for starting threads: 2 MiB in 13 us, by one thread 37.
_LARGE = 1 << 18
BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def contiguous_copy(d):
    """A C-contiguous copy of an ndarray."""
    out = empty(d.shape, d.dtype)
    plan = None
    if d.size >= _FEW and d.itemsize in BITS:
        if d.flags.c_contiguous:
            if d.size >= _PARALLEL:
                bits = BITS[d.itemsize]
                kernels.place(d.view(bits).reshape(1, -1), out.view(bits).reshape(1, -1), 0)
                return out
        else:
            plan = _plan(d.shape, d.strides, d.itemsize)
    if plan is None:
        np.copyto(out, d)
        return out
    extent, outer, inner = plan
    bits = BITS[d.itemsize]
    source = np.lib.stride_tricks.as_strided(d, (extent,), (d.itemsize,)).view(bits)
    target = out.reshape(-1).view(bits)
    if extent == 1:
        kernels.fill(target, source[0])
    elif len(inner) == 2:
        kernels.copy_rows(source, target, outer, *inner)
    else:
        kernels.copy_turned(source, target, outer, *inner)
    return out


def fill(d, value):
    """Sets all elements of an ndarray to a number, with all threads where it is large."""
    if d.nbytes < _LARGE or not d.flags.c_contiguous or d.itemsize not in BITS:
        d.fill(value)
        return
    bits = BITS[d.itemsize]
    kernels.fill(d.reshape(-1).view(bits), np.array(value).astype(d.dtype).view(bits)[()])


@lru_cache(1024)
def _plan(shape, strides, itemsize):
    """How to copy an array that is not contiguous: its extent in elements, its outer dimensions and the inner loop's
    numbers, `copy_rows`' or `copy_turned`'s; None where strides are negative or no multiple of the element."""
    if any(s < 0 or s % itemsize for s in strides):
        return None
    dims: list[list[int]] = []
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        stride //= itemsize
        if size > 1:
            if dims and stride == dims[-1][0] * dims[-1][1]:
                dims[-1][0] *= size
            else:
                dims.append([size, stride, step])
            step *= size
    extent = 1 + sum((size - 1) * stride for size, stride, _ in dims)
    last = dims.pop(0)
    unit = next((d for d in dims if d[1] == 1), None)
    if last[1] == 1 or unit is None:
        inner = (last[0], last[1])
    else:
        dims.remove(unit)
        inner = (unit[0], last[0], last[1], unit[2])
    return extent, np.array(dims[::-1] or [[1, 0, 0]], np.int64), inner
