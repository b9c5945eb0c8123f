"""Elements and rows by index: entries that take them from small arrays and put them there.

What gather of eight elements costs is the way to its kernel: 6 us, where PyTorch takes 1.5, most of it for views as
(outer, k, inner) and the dispatcher. The entries read shapes where they lie: 0.15 us. They decline what is large, has
gaps or an index out of range; the general way does that, or raises.
"""

import numpy as np
from numba import njit
from numba.core import config

from ._entry import (
    ARRAY,
    F32,
    F64,
    I64,
    OWN,
    builtin,
    declined,
    dim,
    due,
    held,
    is_array,
    is_float,
    is_none,
    ndim,
    new,
    own_words,
    size,
)
from ._jit import GRAIN, PLAIN
from ._move import copy_bytes
from ._words import (
    BYTES,
    DATA,
    DTYPE,
    FLAGS,
    TYPE,
    VALUE,
    call,
    double,
    function_of_python,
    half_word,
    pointer8,
    pointer16,
    pointer32,
    pointer64,
    pointer_to_words,
    put,
    room,
    word,
)

# What is done with an element and what stands in its place.
SET, SUM, PROD, AMAX, AMIN = range(5)
# Added to that: an index is of whole rows; negative ones count from the end.
ROWS, NEGATIVE = 8, 16

# Own words: the type of an integer, and functions of CPython (read one, was something raised, forget it).
_INTEGER, _READ, _RAISED, _FORGET = range(OWN, OWN + 4)
_WRITEABLE = 0x400
_FAR = 2**62


@njit(**PLAIN)
def _number(words, x):
    """An integer's value; far beyond any dimension where it is none, or too large."""
    if word(x + TYPE) != word(words + 8 * _INTEGER):
        return _FAR
    value = call(word(words + 8 * _READ), (x,))
    if value == -1 and call(word(words + 8 * _RAISED), (0,)) != 0:
        call(word(words + 8 * _FORGET), (0,))
        return _FAR
    return value


@njit(**PLAIN)
def _axis(words, x, number):
    """The dimension that an object names, with a check; -1 for None, and -2 where there is none such."""
    if is_none(words, number):
        return -1
    n, axis = ndim(x), _number(words, number)
    if axis < -n or axis >= n:
        return -2
    return axis + n if axis < 0 else axis


@njit(**PLAIN)
def _collapsed(x, axis):
    """(outer, k, inner): the sizes before, of and after a dimension; -1: all of them count as one."""
    if axis < 0:
        return 1, size(x), 1
    outer, inner = 1, 1
    for i in range(ndim(x)):
        if i < axis:
            outer *= dim(x, i)
        elif i > axis:
            inner *= dim(x, i)
    return outer, dim(x, axis), inner


@njit(**PLAIN)
def _fits(words, x, index, axis, rows):
    """Whether an index goes with an array: per element it has the array's shape but for the dimension."""
    if not is_array(words, index) or word(index + DTYPE) != word(words + 8 * I64):
        return False
    if rows or axis < 0:
        return True
    n = ndim(x)
    same = n == ndim(index)
    if same:
        for i in range(n):
            same = same and (i == axis or dim(x, i) == dim(index, i))
    return same


@njit(**PLAIN)
def _within(index, n, low, k):
    """Whether all indices lie from ``low`` on and below k."""
    bad = False
    for j in range(n):
        bad |= (index[j] < low) | (index[j] >= k)
    return not bad


@njit(**PLAIN)
def _gather(x, index, y, outer, k, n, inner):
    at = 0
    for o in range(outer):
        for _ in range(n):
            for i in range(inner):
                y[at] = x[(o * k + index[at]) * inner + i]
                at += 1


@njit(**PLAIN)
def _take(x, index, y, k, n):
    for j in range(n):
        v = index[j]
        y[j] = x[v + k if v < 0 else v]


@njit(**PLAIN)
def _pick(x, index, y, item, outer, k, n, inner, rows):
    """Writes y: rows or elements of x, of ``item`` bytes."""
    places = pointer_to_words(index)
    if rows and outer == 1 and inner == 1:
        if item == 4:
            _take(pointer32(x), places, pointer32(y), k, n)
        elif item == 8:
            _take(pointer64(x), places, pointer64(y), k, n)
        elif item == 2:
            _take(pointer16(x), places, pointer16(y), k, n)
        else:
            _take(pointer8(x), places, pointer8(y), k, n)
    elif rows:
        width = inner * item
        for o in range(outer):
            for j in range(n):
                v = places[j]
                copy_bytes(y + (o * n + j) * width, x + (o * k + (v + k if v < 0 else v)) * width, width)
    elif item == 4:
        _gather(pointer32(x), places, pointer32(y), outer, k, n, inner)
    elif item == 8:
        _gather(pointer64(x), places, pointer64(y), outer, k, n, inner)
    elif item == 2:
        _gather(pointer16(x), places, pointer16(y), outer, k, n, inner)
    else:
        _gather(pointer8(x), places, pointer8(y), outer, k, n, inner)


@njit(**PLAIN)
def _moves(item):
    """Whether elements of so many bytes are moved here."""
    return item == 1 or item == 2 or item == 4 or item == 8


@njit(**PLAIN)
def _picked(own, args, count):
    """An entry, (x, dim, index, how): rows of x, or elements, by index along a dimension; of x as flat for None."""
    words = own_words(own)
    if count != 4:
        return declined(words)
    x, index, how = word(args), word(args + 16), _number(words, word(args + 24))
    if not is_array(words, x) or ndim(x) == 0:
        return declined(words)
    axis, rows = _axis(words, x, word(args + 8)), how & ROWS != 0
    if axis < -1 or how == _FAR or not _fits(words, x, index, axis, rows):
        return declined(words)
    dtype, (outer, k, inner) = word(x + DTYPE), _collapsed(x, axis)
    item, n = word(dtype + BYTES), size(index) if rows else 1
    n = n if rows else dim(index, axis)
    total = outer * n * inner
    if not _moves(item) or total >= GRAIN or size(index) >= GRAIN:
        return declined(words)
    if not _within(pointer_to_words(word(index + DATA)), size(index), -k if how & NEGATIVE != 0 else 0, k):
        return declined(words)
    dims, most = room(), 0
    have = ndim(index)
    if ndim(x) + have > 60:
        return declined(words)
    if not rows or axis < 0:
        for i in range(have):
            put(dims + 8 * i, dim(index, i))
        most = have
    else:
        for i in range(axis):
            put(dims + 8 * i, dim(x, i))
        for i in range(have):
            put(dims + 8 * (axis + i), dim(index, i))
        for i in range(axis + 1, ndim(x)):
            put(dims + 8 * (have + i - 1), dim(x, i))
        most = ndim(x) - 1 + have
    out = new(words, dtype, most, dims)
    if out != 0 and total > 0:
        _pick(word(x + DATA), word(index + DATA), word(out + DATA), item, outer, k, n, inner, rows)
    return out


@njit(**PLAIN)
def _combined(old, v, op):
    if op == SUM:
        return old + v
    if op == PROD:
        return old * v
    if op == AMAX:
        return v if (v > old) | (v != v) else old
    return v if (v < old) | (v != v) else old


@njit(**PLAIN)
def _put_rows(y, index, src, step, outer, k, n, inner, op):
    for o in range(outer):
        for j in range(n):
            v = index[j]
            to, of = (o * k + (v + k if v < 0 else v)) * inner, (o * n + j) * inner
            if op == SET:
                for i in range(inner):
                    y[to + i] = src[(of + i) * step]
            else:
                for i in range(inner):
                    y[to + i] = _combined(y[to + i], src[(of + i) * step], op)


@njit(**PLAIN)
def _put_elements(y, index, src, step, outer, k, n, inner, op):
    at = 0
    for o in range(outer):
        for _ in range(n):
            for i in range(inner):
                to = (o * k + index[at]) * inner + i
                if op == SET:
                    y[to] = src[at * step]
                else:
                    y[to] = _combined(y[to], src[at * step], op)
                at += 1


@njit(**PLAIN)
def _place(y, index, src, step, outer, k, n, inner, op, rows):
    if rows:
        _put_rows(y, index, src, step, outer, k, n, inner, op)
    else:
        _put_elements(y, index, src, step, outer, k, n, inner, op)


@njit(**PLAIN)
def _apart(x, y):
    """Whether two arrays share no memory."""
    a, b = word(x + DATA), word(y + DATA)
    return a + size(x) * word(word(x + DTYPE) + BYTES) <= b or b + size(y) * word(word(y + DTYPE) + BYTES) <= a


@njit(**PLAIN)
def _write_number(words, number, dtype, to):
    """Writes a number of Python's as an element; whether it is one that fits."""
    value, whole, far = 0.0, np.int64(0), True
    if is_float(words, number):
        value, far = double(number + VALUE), dtype == word(words + 8 * I64)
    else:
        whole = _number(words, number)
        value = np.float64(whole)
        far = whole == _FAR or abs(whole) > 2**53
    if far or (dtype == word(words + 8 * F32) and abs(value) > 3.4e38):
        return False
    if dtype == word(words + 8 * F32):
        pointer32(to)[0] = np.float32(value)
    elif dtype == word(words + 8 * F64):
        pointer64(to)[0] = value
    else:
        pointer_to_words(to)[0] = whole
    return True


@njit(**PLAIN)
def _source_fits(words, x, src, index, axis, rows):
    """Whether an array has an element for each that is put."""
    if not is_array(words, src) or word(src + DTYPE) != word(x + DTYPE):
        return False
    n = ndim(src)
    if axis < 0:
        return size(src) == size(index)
    same = n == ndim(x)
    if same:
        for i in range(n):
            want = size(index) if rows and i == axis else dim(x, i) if rows else dim(index, i)
            same = same and dim(src, i) == want
    return same


@njit(**PLAIN)
def _placed(own, args, count):
    """An entry, (x, dim, index, src, how, fresh): src, an array or a number, put into x by index along a dimension, or
    into x as flat for None; into a copy, which is returned, if ``fresh`` is not None, and else x is."""
    words = own_words(own)
    if count != 6:
        return declined(words)
    x, index, src, how = word(args), word(args + 16), word(args + 24), _number(words, word(args + 32))
    fresh = not is_none(words, word(args + 40))
    if not is_array(words, x) or ndim(x) == 0 or how == _FAR:
        return declined(words)
    axis, rows, op = _axis(words, x, word(args + 8)), how & ROWS != 0, how & 7
    if axis < -1 or not _fits(words, x, index, axis, rows) or (rows and axis >= 0 and ndim(index) != 1):
        return declined(words)
    if not rows and axis < 0:
        return declined(words)
    dtype, (outer, k, inner) = word(x + DTYPE), _collapsed(x, axis)
    real = dtype == word(words + 8 * F32) or dtype == word(words + 8 * F64) or dtype == word(words + 8 * I64)
    item, n = word(dtype + BYTES), size(index)
    if not rows:
        n = dim(index, axis)
    if (op != SET and not real) or not _moves(item) or size(x) >= GRAIN or outer * n * inner >= GRAIN:
        return declined(words)
    own_number, of, step = room(), 0, 1
    if word(src + TYPE) == word(words + 8 * ARRAY):
        if not _source_fits(words, x, src, index, axis, rows):
            return declined(words)
        of = word(src + DATA)
    else:
        if not real or not _write_number(words, src, dtype, own_number):
            return declined(words)
        of, step = own_number, 0
    if not _within(pointer_to_words(word(index + DATA)), size(index), -k if how & NEGATIVE != 0 else 0, k):
        return declined(words)
    out = x
    if fresh:
        dims = room()
        for i in range(ndim(x)):
            put(dims + 8 * i, dim(x, i))
        out = new(words, dtype, ndim(x), dims)
        if out == 0:
            return out
        copy_bytes(word(out + DATA), word(x + DATA), size(x) * item)
    else:
        if half_word(x + FLAGS) & _WRITEABLE == 0 or not _apart(x, index) or (step == 1 and not _apart(x, src)):
            return declined(words)
        held(words, x)
    at, places = word(out + DATA), pointer_to_words(word(index + DATA))
    if dtype == word(words + 8 * I64):
        _place(pointer_to_words(at), places, pointer_to_words(of), step, outer, k, n, inner, op, rows)
    elif item == 4 and (op == SET or real):
        _place(pointer32(at), places, pointer32(of), step, outer, k, n, inner, op, rows)
    elif item == 8:
        _place(pointer64(at), places, pointer64(of), step, outer, k, n, inner, op, rows)
    elif item == 2:
        _place(pointer16(at), places, pointer16(of), step, outer, k, n, inner, SET, rows)
    else:
        _place(pointer8(at), places, pointer8(of), step, outer, k, n, inner, SET, rows)
    return out


def _entry(function, name):
    functions = map(function_of_python, ("PyLong_AsSsize_t", "PyErr_Occurred", "PyErr_Clear"))
    return builtin(function, name, [id(int), *functions])[0]


_pick_entry = _place_entry = None


def picked(x, dim, index, how):
    """Rows of an ndarray (how = ROWS), or elements (how = 0), by index along a dimension, in a new one; None for what
    is not small and plain, or has an index out of range, and before the entry is due."""
    global _pick_entry
    if _pick_entry is None:
        if config.DISABLE_JIT or not due(_picked):
            return None
        _pick_entry = _entry(_picked, "picked")
    return _pick_entry(x, dim, index, how)


def placed(x, dim, index, src, how, fresh=True):
    """A copy of an ndarray, or itself with ``fresh`` None, in which elements or rows (how & ROWS) of ``src``, or one
    number, are put by index along a dimension, or combined with what stands there; None as in :func:`picked`."""
    global _place_entry
    if _place_entry is None:
        if config.DISABLE_JIT or not due(_placed):
            return None
        _place_entry = _entry(_placed, "placed")
    return _place_entry(x, dim, index, src, how, fresh)
