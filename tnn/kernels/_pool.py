"""Where arrays come from: `empty`, `empty_like` and `zeros`, with large blocks reused.

The system hands out a large block as fresh pages and clears each at first touch, which costs a memory-bound kernel as
much as its own work. So arrays of 64 KiB and more lie on blocks from a pool (_blocks.py), which return to it when the
last array that looks at them is gone. Nothing has to be given back by hand. Arrays are made by an entry (_entry.py):
measured 0.2 us for 2 MiB, where blocks kept in Python took 2.5 us, as long as a kernel on 32,768 floats.

Idle memory is limited to a quarter of what the process may use, or to ``$TNN_POOL_LIMIT`` MiB (0: no pool); the classes
that were used longest ago go first. Without the compiler there is no pool.
"""

from __future__ import annotations

import ctypes
import os
from math import prod
from operator import index
from pathlib import Path

import ml_dtypes
import numpy as np
from numba import njit

from . import _blocks
from ._blocks import SMALL
from ._entry import OWN, TUPLE, builtin, declined, due, new, own_words
from ._jit import PLAIN
from ._words import ITEMS, LENGTH, TYPE, call, function_of_python, put, room, word

# With fewer elements than this no dtype of numbers reaches SMALL.
FEW = SMALL // 16
_MOST_BYTES = 1 << 46

# The type of what holds a block for the arrays on it: their base.
Capsule = type(np._core.multiarray._ARRAY_API)  # type: ignore[attr-defined]

_new = np.ndarray.__new__
_float32, _uint8 = np.dtype(np.float32), np.dtype(np.uint8)
_DTYPES = [
    *map(np.dtype, (np.float32, np.float64, np.int64, np.bool_, np.int32, np.uint8, np.int8, np.int16, np.float16)),
    *map(np.dtype, (ml_dtypes.bfloat16, np.uint16, np.uint32, np.uint64)),
]

# Own words of the entry below: the type of integers, the function that reads one, then dtypes and their sizes.
_INTEGER, _READ, _FORGET, _KINDS = range(OWN, OWN + 4)
_COUNT = len(_DTYPES)


@njit(**PLAIN)
def _make(own, args, count):
    """An entry, (shape, dtype): an uninitialised array."""
    words = own_words(own)
    shape, dtype = word(args), word(args + 8)
    kinds = words + 8 * _KINDS
    k = 0
    while k < _COUNT and word(kinds + 16 * k) != dtype:
        k += 1
    if k == _COUNT or word(shape + TYPE) != word(words + 8 * TUPLE):
        return declined(words)
    n = word(shape + LENGTH)
    if n > 32:
        return declined(words)
    dims = room()
    total = float(word(kinds + 16 * k + 8))
    good = True
    for i in range(n):
        item = word(shape + ITEMS + 8 * i)
        if word(item + TYPE) != word(words + 8 * _INTEGER):
            return declined(words)
        size = call(word(words + 8 * _READ), (item,))
        good = good and size >= 0
        total *= size
        put(dims + 8 * i, size)
    if not good:
        call(word(words + 8 * _FORGET), (0,))  # what reading a number too large has raised
    if not good or not total < _MOST_BYTES:
        return declined(words)
    return new(words, dtype, n, dims)


@njit(**PLAIN)
def _shrink(own, args, count):
    """An entry, (): keep no more waiting than the limit allows."""
    words = own_words(own)
    state = word(words + 8 * OWN)
    _blocks.trim(state, word(state + 8 * _blocks.LIMIT), 0)
    return declined(words)


def _set_up():
    """Compile the entries, at the first array."""
    global _take, _trim

    functions = map(function_of_python, ("PyLong_AsSsize_t", "PyErr_Clear"))
    kinds = [n for d in _DTYPES for n in (id(d), d.itemsize)]
    _trim = builtin(_shrink, "trim", [_blocks.STATE])[0]
    _take = builtin(_make, "take", [id(int), *functions, *kinds])[0]


def _take(shape, dtype):
    n = prod(shape) if type(shape) is tuple else FEW
    if n < FEW and not due(_make):
        return None
    _set_up()
    return _take(shape, dtype)


def _trim():
    """What `_set_up` puts an entry in the place of: nothing waits before, unless other entries made it."""
    if _blocks.state[_blocks.IDLE]:
        _set_up()
        _trim()


def _memory() -> int:
    """Bytes of memory that this process may use."""
    try:
        least = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        least = 8 << 30
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            least = min(least, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return least


def _default_limit() -> int:
    asked = os.environ.get("TNN_POOL_LIMIT", "")
    return int(asked) << 20 if asked.isdigit() else _memory() // 4


_blocks.state[_blocks.LIMIT] = _default_limit()


def empty(shape, dtype=_float32) -> np.ndarray:
    """An uninitialised C-contiguous array; 64-byte aligned and from the pool where it is large."""
    out = _take(shape, dtype)
    return _general(shape, dtype) if out is None else out


def _general(shape, dtype):
    """What the entry declines: sizes that are no tuple, rare dtypes, errors."""
    sizes = shape if isinstance(shape, tuple) else np.atleast_1d(shape).tolist()
    shape = tuple(map(index, sizes))
    dtype = np.dtype(dtype)
    if dtype in _DTYPES and (out := _take(shape, dtype)) is not None:
        return out
    nbytes = prod(shape) * dtype.itemsize
    if SMALL <= nbytes < _MOST_BYTES and not dtype.hasobject:
        memory = _take((nbytes,), _uint8)
        if memory is not None:
            return _new(np.ndarray, shape, dtype, memory)
    return np.empty(shape, dtype)


def empty_like(x: np.ndarray, dtype=None) -> np.ndarray:
    """An uninitialised C-contiguous array of the shape of `x` and, unless another is given, its dtype."""
    return empty(x.shape, x.dtype if dtype is None else dtype)


def zeros(shape, dtype=_float32) -> np.ndarray:
    """A C-contiguous array of zeros; 64-byte aligned and from the pool where it is large."""
    n = prod(shape) if type(shape) is tuple else FEW
    if n < FEW:
        return np.zeros(shape, dtype)
    x = empty(shape, dtype)
    _fill(x, 0)
    return x


def _fill(x, value):
    """The function of _copy.py, which imports this file, from the first call on."""
    global _fill
    from ._copy import fill

    _fill = fill
    fill(x, value)


def pooled(x: np.ndarray) -> bool:
    """Whether an array lies on a block of its own from the pool."""
    # others' capsules, of DLPack for one, have names
    return type(x.base) is Capsule and bool(_is_capsule(x.base, None))


_is_capsule = ctypes.pythonapi.PyCapsule_IsValid
_is_capsule.argtypes = [ctypes.py_object, ctypes.c_char_p]


def clear() -> None:
    """Give idle memory back to the system; arrays in use stay."""
    limit = _blocks.state[_blocks.LIMIT]
    _blocks.state[_blocks.LIMIT] = 0
    _trim()
    _blocks.state[_blocks.LIMIT] = limit


def idle_bytes() -> int:
    """Bytes that wait in the pool."""
    return int(_blocks.state[_blocks.IDLE])


def limit() -> int:
    """The most bytes that may wait in the pool."""
    return int(_blocks.state[_blocks.LIMIT])


def set_limit(nbytes: int) -> None:
    """Set the most bytes that may wait in the pool; 0 turns reuse off."""
    if nbytes < 0:
        raise ValueError(f"set_limit expects a number of bytes that is not negative, but got {nbytes}")
    _blocks.state[_blocks.LIMIT] = nbytes
    _trim()
