"""Contiguous copies of ndarrays and setting all elements, in parallel where they are large."""

from functools import lru_cache

import numpy as np
from numba import njit
from numba.core import config

from . import shape as kernels
from ._entry import OWN, address_for, builtin, declined, due, enter, held, invoke, is_array, leave, own_words, size
from ._jit import PLAIN
from ._move import move
from ._pool import empty, zeros
from ._turn import copy_turned
from ._walk import merged
from ._words import BYTES, DATA, DTYPE, TYPE, address, call, function_of_python, word

# Below this many elements NumPy's copy is faster than a call of a kernel.
_FEW = 4096
# From this many bytes on, setting all elements pays for starting threads: 2 MiB in 13 us, by one thread 37.
_LARGE = 1 << 17
# With fewer elements side by side, rows with steps are faster than tiles: 8 x 16 images of 64 x 64 unshuffled by 2 took
# 670 us in tiles and 135 in rows, 40960 x 2 transposed 110 and 19.
_NARROW = 17
# From this many bytes on, a row takes longer than the way into its loop.
_LONG = 1024
BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def contiguous_copy(d):
    """A C-contiguous copy of an ndarray."""
    out = empty(d.shape, d.dtype)
    if d.size < _FEW or d.itemsize not in BITS:
        np.copyto(out, d)
        return out
    if d.flags.c_contiguous:
        bits = BITS[d.itemsize]
        kernels.place(d.view(bits).reshape(1, -1), out.view(bits).reshape(1, -1), 0)
        return out
    plan = None if config.DISABLE_JIT else _turned(d.shape, d.strides, d.itemsize)
    if plan is None:
        assign(out, d)
    else:
        copy_turned(address(d), address(out), d.itemsize, *plan)
    return out


def assign(target, source):
    """Copies an ndarray into another one of its shape and dtype, which does not share its memory."""
    plan = None
    if target.size >= _FEW and target.itemsize in BITS and not config.DISABLE_JIT:
        plan = _rows(target.shape, source.strides, target.strides, target.itemsize)
    if plan is None:
        np.copyto(target, source)
    else:
        move(address(source), address(target), target.itemsize, *plan)


def repeated(d, repeats, shape):
    """A C-contiguous ndarray repeated ``repeats[i]`` times along dimension i, as an ndarray of ``shape``; repeats may
    have dimensions in front."""
    out = empty(shape, d.dtype)
    if out.size:
        plan = _repeats(d.shape, repeats, d.itemsize) if out.size >= _FEW and not config.DISABLE_JIT else None
        if plan is None:
            split = [n for pair in zip(repeats, (1,) * (len(repeats) - d.ndim) + d.shape, strict=True) for n in pair]
            np.copyto(out.reshape(split), d.reshape([n if i % 2 else 1 for i, n in enumerate(split)]))
        else:
            move(address(d), address(out), d.itemsize, *plan)
    return out


def flipped_rows(d):
    """A C-contiguous ndarray copied with its last dimension reversed."""
    out = empty(d.shape, d.dtype)
    if d.size < _FEW or d.itemsize not in BITS or config.DISABLE_JIT:
        np.copyto(out, d[..., ::-1])
    else:
        n = d.shape[-1]
        kernels.reverse_rows(address(d), address(out), d.itemsize, d.size // n, n)
    return out


def rolled(d, shift, dim):
    """A C-contiguous ndarray copied with its elements moved on by ``shift`` along a dimension, round its end."""
    out = empty(d.shape, d.dtype)
    if d.size:
        n = d.shape[dim]
        shift %= n
        if d.size < _FEW or config.DISABLE_JIT:
            lead = (slice(None),) * dim
            out[(*lead, slice(shift, None))] = d[(*lead, slice(0, n - shift))]
            out[(*lead, slice(0, shift))] = d[(*lead, slice(n - shift, None))]
        else:
            step = d.strides[dim]
            kernels.roll_rows(address(d), address(out), d.nbytes // (n * step), n * step, shift * step)
    return out


def in_zeros(d, shape, dim, start):
    """Zeros of ``shape`` that hold an ndarray from ``start`` on along a dimension; it has the shape but for that
    dimension, and need not have that one if it is of size 1."""
    if d.size < _FEW or not d.flags.c_contiguous or config.DISABLE_JIT:
        out = zeros(shape, d.dtype)
        part = out[(*(slice(None),) * dim, slice(start, start + d.size * shape[dim] // max(out.size, 1)))]
        assign(part, d.reshape(part.shape))
        return out
    out = empty(shape, d.dtype)
    step = out.strides[dim]
    rows = out.nbytes // (step * shape[dim])
    kernels.place_in_zeros(address(d), address(out), rows, d.nbytes // rows, step * shape[dim], step * start)
    return out


@lru_cache(1024)
def _repeats(shape, repeats, itemsize):
    """What `move` needs for `repeated`."""
    if itemsize not in BITS:
        return None
    split, source, target, step, apart = [], [], [], itemsize, itemsize
    for n, r in zip(reversed((1,) * (len(repeats) - len(shape)) + shape), reversed(repeats), strict=True):
        split += [n, r]
        source += [step, 0]
        target += [apart, apart * n]
        step, apart = step * n, apart * n * r
    return _rows(tuple(split[::-1]), tuple(source[::-1]), tuple(target[::-1]), itemsize)


def copy_into(target, source):
    """Copies an ndarray of the same dtype, whose shape broadcasts to the target's, into it. They may share memory."""
    if target.size < _FEW or target.shape != source.shape or np.may_share_memory(target, source):
        np.copyto(target, source)
        return
    turned = not source.flags.c_contiguous and target.flags.c_contiguous and target.itemsize in BITS
    plan = _turned(source.shape, source.strides, source.itemsize) if turned and not config.DISABLE_JIT else None
    if plan is None:
        assign(target, source)
    else:
        copy_turned(address(source), address(target), source.itemsize, *plan)


def fill(d, value):
    """Sets all elements of an ndarray to a number, with all threads where it is large."""
    if d.nbytes < _LARGE or not d.flags.c_contiguous or d.itemsize not in BITS or config.DISABLE_JIT:
        d.fill(value)
    else:
        # 0.0 equals -0.0, which has other bits.
        known = value != 0 or type(value) is int
        pattern = _pattern(value, d.dtype) if known else _bits(value, d.dtype)
        if _fill_entry(d, pattern) is None:
            kernels.fill(address(d), d.nbytes, pattern)


# Own words of the entry below: the type of an integer, the function that reads one, the kernel.
_INTEGER, _READ, _KERNEL = range(OWN, OWN + 3)


@njit(**PLAIN)
def _fill_all(own, args, count):
    """An entry, (array, pattern): fills it and returns it. 2 MiB of zeros, all told: 18 us on two threads by way of the
    dispatcher, PyTorch 17."""
    words = own_words(own)
    x, number = word(args), word(args + 8)
    if not is_array(words, x) or word(number + TYPE) != word(words + 8 * _INTEGER):
        return declined(words)
    nbytes, pattern = size(x) * word(word(x + DTYPE) + BYTES), call(word(words + 8 * _READ), (number,))
    thread = leave(words)
    invoke(word(words + 8 * _KERNEL), (word(x + DATA), nbytes, pattern))
    enter(words, thread)
    return held(words, x)


def _fill_entry(d, pattern):
    """What the entry takes the place of, once it is due."""
    global _fill_entry
    if not config.DISABLE_JIT and due(_fill_all):
        words = [id(int), function_of_python("PyLong_AsSsize_t"), address_for(kernels.fill, (0, 0, 0))]
        _fill_entry = builtin(_fill_all, "fill", words)[0]


def _bits(value, dtype):
    """Eight bytes of a number as a dtype keeps it, over and over, as an int."""
    with np.errstate(over="ignore"):
        return int(np.full(8 // dtype.itemsize, value).astype(dtype).view(np.int64)[0])


# Turning a number into bits takes 5 us.
_pattern = lru_cache(256, typed=True)(_bits)


@lru_cache(1024)
def _rows(shape, source, target, itemsize):
    """What `move` needs to copy from one array to another: its outer dimensions, a row's length and its steps in both;
    None where an element is not aligned."""
    if any(s % itemsize for s in source + target):
        return None
    dims = merged(shape, [s // itemsize for s in source], [s // itemsize for s in target])
    row = dims.pop() if dims else [1, 1, 1]
    if row[0] * itemsize >= _LONG:
        dims.sort(key=lambda d: d[1] == 0)  # a row that repeats is in the cache the second time
    return np.array(dims or [[1, 0, 0]], np.int64), *row


@lru_cache(1024)
def _turned(shape, strides, itemsize):
    """What `copy_turned` needs to copy an array that is contiguous in another dimension than the last: its outer
    dimensions and the inner loop's numbers; None where it is not so, or a stride is negative."""
    if any(s < 0 or s % itemsize for s in strides):
        return None
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= n
    dims = merged(shape, [s // itemsize for s in strides], steps[::-1])[::-1]
    unit = next((d for d in dims[1:] if d[1] == 1), None)
    if unit is None or dims[0][1] in (0, 1) or unit[0] < _NARROW:
        return None
    last = dims.pop(0)
    dims.remove(unit)
    return np.array(dims[::-1] or [[1, 0, 0]], np.int64), unit[0], last[0], last[1], unit[2]
