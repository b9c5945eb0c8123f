"""Extremes and running results of small arrays: an entry for kernels that work along one dimension.

The kernels see (outer, n, inner). argmax of eight elements took 3.3 us by way of views and the dispatcher, PyTorch 1.5.
"""

import numpy as np
from numba import njit
from numba.core import config

from ._entry import (
    I64,
    NONE,
    OWN,
    address_for,
    builtin,
    bytes_of,
    cube,
    declined,
    dim,
    drop,
    due,
    invoke,
    is_array,
    kernel_for,
    matrix,
    ndim,
    new,
    own_words,
    size,
)
from ._jit import GRAIN, PLAIN
from ._pick import axis_of, own_functions
from ._words import DATA, DTYPE, ITEMS, call, function_of_python, put, room, word

# What a kernel writes: one element for each place along the others, or as many as there are; and int64 indices too.
REDUCED, FOUND, RUNNING = range(3)

# Own words: the addresses of the kernel for float32 and float64, those of _pick.py, the form, the kernel's number,
# a function of CPython that makes a tuple.
_FORM, _NUMBER, _TUPLE = range(OWN + 6, OWN + 9)


@njit(**PLAIN)
def _result(words, x, dtype, axis, form, keep):
    """A new array for a result."""
    dims, most = room(), 0
    for i in range(ndim(x)):
        if axis >= 0 and i != axis or form == RUNNING:
            put(dims + 8 * most, dim(x, i))
            most += 1
        elif keep:
            put(dims + 8 * most, 1)
            most += 1
    return new(words, dtype, most, dims)


@njit(**PLAIN)
def _along(own, args, count):
    """An entry, (x, dim, keep): what the kernel makes of x along a dimension, or of all of it for None; a tuple with
    the indices where there are some."""
    words = own_words(own)
    x = word(args)
    if count != 3 or not is_array(words, x) or ndim(x) == 0 or ndim(x) > 32 or size(x) == 0 or size(x) >= GRAIN:
        return declined(words)
    dtype, form = word(x + DTYPE), word(words + 8 * _FORM)
    kernel, axis = kernel_for(words, dtype), axis_of(words, x, word(args + 8))
    keep = word(args + 16) != word(words + 8 * NONE)
    if kernel == 0 or axis < -1 or (axis == -1 and form == RUNNING):
        return declined(words)
    outer, n, inner = 1, size(x), 1
    if axis >= 0:
        n = dim(x, axis)
        for i in range(axis):
            outer *= dim(x, i)
        inner = size(x) // (outer * n)
    item, number = bytes_of(words, dtype), word(words + 8 * _NUMBER)
    out = _result(words, x, dtype, axis, form, keep)
    if out == 0:
        return out
    given, to = cube(word(x + DATA), outer, n, inner, item), word(out + DATA)
    if form == REDUCED:
        invoke(kernel, given + matrix(to, outer, inner, item) + (number,))
        return out
    if form == RUNNING:
        invoke(kernel, given + cube(to, outer, n, inner, item) + (number, False))
        return out
    places = _result(words, x, word(words + 8 * I64), axis, form, keep)
    pair = call(word(words + 8 * _TUPLE), (2,)) if places != 0 else 0
    if pair == 0:
        drop(words, out)
        return 0
    invoke(kernel, given + matrix(to, outer, inner, item) + matrix(word(places + DATA), outer, inner, 8) + (number,))
    put(pair + ITEMS, out)
    put(pair + ITEMS + 8, places)
    return pair


class Along:
    """The entry of one kernel: call(x, dim, keep) gives what it makes, or None.

    Args:
        kernel: a function of a cube, of its results and of a number, and for RUNNING of False.
        form: REDUCED, FOUND or RUNNING.
        number: an integer.
    """

    def __init__(self, kernel, form, number):
        self.kernel, self.form, self.number = kernel, form, number
        self._call, self._words = None, None
        self._ready = set()

    def _prepare(self, dtype):
        self._ready.add(dtype)
        x, y = np.zeros((1, 1, 1), dtype), np.zeros((1, 1), dtype)
        results = {REDUCED: (y, 0), FOUND: (y, np.zeros((1, 1), np.int64), 0), RUNNING: (x, 0, False)}
        place = address_for(self.kernel, (x, *results[self.form]))
        if self._call is None:
            words = [0, 0, *own_functions(), self.form, self.number, function_of_python("PyTuple_New")]
            self._call, self._words = builtin(_along, "along", words)
        self._words[OWN + (dtype != np.float32)] = place

    def __call__(self, x, dim, keep=None):
        if type(x) is not np.ndarray:
            return None
        dtype = x.dtype
        if dtype not in self._ready:
            if dtype not in _DTYPES or config.DISABLE_JIT or not x.size or not due(_along):
                return None
            self._prepare(dtype)
        return self._call(x, dim, keep)


_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
