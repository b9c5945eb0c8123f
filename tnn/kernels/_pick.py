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
    new_like,
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
    STRIDES,
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
# They stand behind two words for addresses of kernels, of which entries that call some have them.
_INTEGER, _READ, _RAISED, _FORGET = range(OWN + 2, OWN + 6)
_ALIGNED, _WRITEABLE = 0x100, 0x400
_MOST = 16  # dimensions
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
def axis_of(words, x, number):
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
def is_strided(words, x):
    """Whether an object is an ndarray with dimensions whose elements lie whole steps apart."""
    good = word(x + TYPE) == word(words + 8 * ARRAY) and half_word(x + FLAGS) & _ALIGNED != 0
    if good:
        item = word(word(x + DTYPE) + BYTES)
        good = 0 < ndim(x) < _MOST and (item == 1 or item == 2 or item == 4 or item == 8)
        if good:
            for i in range(ndim(x)):
                good = good and word(word(x + STRIDES) + 8 * i) % item == 0
    return good


@njit(**PLAIN)
def _is_index(words, x):
    """Whether an object is an ndarray of int64 in row-major order."""
    return is_array(words, x) and word(x + DTYPE) == word(words + 8 * I64)


@njit(**PLAIN)
def _no_larger(index, x, axis):
    """Whether an array has as many dimensions as another, and but for one, -1 for none, none is larger."""
    n = ndim(x)
    same = n == ndim(index)
    if same:
        for i in range(n):
            same = same and (i == axis or dim(index, i) <= dim(x, i))
    return same


@njit(**PLAIN)
def _within(index, n, low, k):
    """Whether all indices lie from ``low`` on and below k."""
    bad = False
    for j in range(n):
        bad |= (index[j] < low) | (index[j] >= k)
    return not bad


@njit(**PLAIN)
def _steps(x, axis, steps):
    """Writes how many elements lie between neighbours along each dimension, 0 along ``axis``; returns that of it."""
    item, apart = word(word(x + DTYPE) + BYTES), 0
    for i in range(ndim(x)):
        step = word(word(x + STRIDES) + 8 * i) // item
        apart = step if i == axis else apart
        put(steps + 8 * i, 0 if i == axis else step)
    return apart


@njit(**PLAIN)
def _start(row, index, steps):
    """Where row number ``row`` of an array's last dimension begins in one with these steps."""
    at = 0
    for i in range(ndim(index) - 2, -1, -1):
        at += row % dim(index, i) * word(steps + 8 * i)
        row //= dim(index, i)
    return at


@njit(**PLAIN)
def _gather_row(x, index, y, n, step, apart):
    if step == 0 and apart == 1:
        for i in range(n):
            y[i] = x[index[i]]
    else:
        for i in range(n):
            y[i] = x[i * step + index[i] * apart]


@njit(**PLAIN)
def _gather(x, index, y, item, steps, apart):
    """Writes y, of the shape of an array of indices, from the memory at x."""
    n = dim(index, ndim(index) - 1)
    step, places = word(steps + 8 * (ndim(index) - 1)), word(index + DATA)
    rows = size(index) // n if n > 0 else 0
    for r in range(rows):
        of, to, at = x + _start(r, index, steps) * item, y + r * n * item, pointer_to_words(places + r * n * 8)
        if item == 4:
            _gather_row(pointer32(of), at, pointer32(to), n, step, apart)
        elif item == 8:
            _gather_row(pointer64(of), at, pointer64(to), n, step, apart)
        elif item == 2:
            _gather_row(pointer16(of), at, pointer16(to), n, step, apart)
        else:
            _gather_row(pointer8(of), at, pointer8(to), n, step, apart)


@njit(**PLAIN)
def _take(x, index, y, outer, k, n):
    for o in range(outer):
        first = o * k
        for j in range(n):
            v = index[j]
            y[o * n + j] = x[first + (v + k if v < 0 else v)]


@njit(**PLAIN)
def _take_rows(x, places, y, item, outer, k, n, inner):
    """Writes y: rows of x at the indices, elements of ``item`` bytes."""
    if inner == 1 and item == 4:
        _take(pointer32(x), places, pointer32(y), outer, k, n)
    elif inner == 1 and item == 8:
        _take(pointer64(x), places, pointer64(y), outer, k, n)
    elif inner == 1 and item == 2:
        _take(pointer16(x), places, pointer16(y), outer, k, n)
    elif inner == 1:
        _take(pointer8(x), places, pointer8(y), outer, k, n)
    else:
        width = inner * item
        for o in range(outer):
            for j in range(n):
                v = places[j]
                copy_bytes(y + (o * n + j) * width, x + (o * k + (v + k if v < 0 else v)) * width, width)


@njit(**PLAIN)
def _picked(own, args, count):
    """An entry, (x, dim, index, how): rows of x, or elements, by index along a dimension; of x as flat for None."""
    words = own_words(own)
    if count != 4:
        return declined(words)
    x, index, how = word(args), word(args + 16), _number(words, word(args + 24))
    if how == _FAR or not is_strided(words, x) or not _is_index(words, index):
        return declined(words)
    axis, rows, dtype = axis_of(words, x, word(args + 8)), how & ROWS != 0, word(x + DTYPE)
    have, item, dims, most = ndim(index), word(dtype + BYTES), room(), 0
    if axis < -1 or have > _MOST or size(index) >= GRAIN:
        return declined(words)
    if rows and not is_array(words, x) or not rows and (axis < 0 or not _no_larger(index, x, axis)):
        return declined(words)
    outer, k, inner = _collapsed(x, axis)
    low = -k if how & NEGATIVE != 0 else 0
    places = pointer_to_words(word(index + DATA))
    if (rows and outer * size(index) * inner >= GRAIN) or not _within(places, size(index), low, k):
        return declined(words)
    if rows and axis >= 0:
        for i in range(axis):
            put(dims + 8 * i, dim(x, i))
        for i in range(have):
            put(dims + 8 * (axis + i), dim(index, i))
        for i in range(axis + 1, ndim(x)):
            put(dims + 8 * (have + i - 1), dim(x, i))
        most = ndim(x) - 1 + have
    else:
        for i in range(have):
            put(dims + 8 * i, dim(index, i))
        most = have
    out = new(words, dtype, most, dims)
    if out != 0 and size(out) > 0:
        if rows:
            _take_rows(word(x + DATA), places, word(out + DATA), item, outer, k, size(index), inner)
        else:
            steps = room()
            apart = _steps(x, axis, steps)
            _gather(word(x + DATA), index, word(out + DATA), item, steps, apart)
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
def _put_slices(y, index, src, pace, outer, k, n, inner, op):
    """Slices of src into y at the indices; ``pace`` is 0 where src is one element for all, and else 1."""
    for o in range(outer):
        if inner == 1:
            first, of = o * k, o * n
            for j in range(n):
                v = index[j]
                to = first + (v + k if v < 0 else v)
                value = src[(of + j) * pace]
                y[to] = value if op == SET else _combined(y[to], value, op)
            continue
        for j in range(n):
            v = index[j]
            to, of = (o * k + (v + k if v < 0 else v)) * inner, (o * n + j) * inner
            if op == SET:
                for i in range(inner):
                    y[to + i] = src[(of + i) * pace]
            else:
                for i in range(inner):
                    y[to + i] = _combined(y[to + i], src[(of + i) * pace], op)


@njit(**PLAIN)
def _put_row(y, index, src, n, pace, step, apart, op):
    if op == SET:
        for i in range(n):
            y[i * step + index[i] * apart] = src[i * pace]
    elif op == SUM:
        for i in range(n):
            y[i * step + index[i] * apart] += src[i * pace]
    else:
        for i in range(n):
            to = i * step + index[i] * apart
            y[to] = _combined(y[to], src[i * pace], op)


@njit(**PLAIN)
def _put_elements(y, index, src, kind, steps, apart, paces, op):
    """Elements of src into y at the indices; kind: 0 for int64, else how many bytes they have."""
    n, item = dim(index, ndim(index) - 1), kind if kind > 0 else 8
    last = 8 * (ndim(index) - 1)
    step, pace, places = word(steps + last), word(paces + last), word(index + DATA)
    rows = size(index) // n if n > 0 else 0
    for r in range(rows):
        to, of = y + _start(r, index, steps) * item, src + _start(r, index, paces) * item
        at = pointer_to_words(places + r * n * 8)
        if kind == 0:
            _put_row(pointer_to_words(to), at, pointer_to_words(of), n, pace, step, apart, op)
        elif kind == 4:
            _put_row(pointer32(to), at, pointer32(of), n, pace, step, apart, op)
        elif kind == 8:
            _put_row(pointer64(to), at, pointer64(of), n, pace, step, apart, op)
        elif kind == 2:
            _put_row(pointer16(to), at, pointer16(of), n, pace, step, apart, SET)
        else:
            _put_row(pointer8(to), at, pointer8(of), n, pace, step, apart, SET)


@njit(**PLAIN)
def _put_rows(y, places, src, kind, pace, outer, k, n, inner, op):
    if kind == 0:
        _put_slices(pointer_to_words(y), places, pointer_to_words(src), pace, outer, k, n, inner, op)
    elif kind == 4:
        _put_slices(pointer32(y), places, pointer32(src), pace, outer, k, n, inner, op)
    elif kind == 8:
        _put_slices(pointer64(y), places, pointer64(src), pace, outer, k, n, inner, op)
    elif kind == 2:
        _put_slices(pointer16(y), places, pointer16(src), pace, outer, k, n, inner, SET)
    else:
        _put_slices(pointer8(y), places, pointer8(src), pace, outer, k, n, inner, SET)


@njit(**PLAIN)
def writeable(x):
    """Whether an array may be written."""
    return half_word(x + FLAGS) & _WRITEABLE != 0


@njit(**PLAIN)
def separate(x, y):
    """Whether two arrays in row-major order share no memory."""
    a, b = word(x + DATA), word(y + DATA)
    return a + size(x) * word(word(x + DTYPE) + BYTES) <= b or b + size(y) * word(word(y + DTYPE) + BYTES) <= a


@njit(**PLAIN)
def write_number(words, number, dtype, to):
    """Writes a number of Python's as an element; whether it is one that fits."""
    value, whole, far = 0.0, np.int64(0), True
    if is_float(words, number):
        value, far = double(number + VALUE), dtype == word(words + 8 * I64)
    else:
        whole = _number(words, number)
        value = np.float64(whole)
        far = whole == _FAR or abs(whole) > 2**53
    if far or (dtype == word(words + 8 * F32) and 3.4e38 < abs(value) < np.inf):
        return False
    if dtype == word(words + 8 * F32):
        pointer32(to)[0] = np.float32(value)
    elif dtype == word(words + 8 * F64):
        pointer64(to)[0] = value
    else:
        pointer_to_words(to)[0] = whole
    return True


@njit(**PLAIN)
def copied(words, x):
    """A new array of the elements of one in row-major order; 0 where there is no memory for it."""
    dtype = word(x + DTYPE)
    out = new_like(words, x, dtype)
    if out != 0:
        copy_bytes(word(out + DATA), word(x + DATA), size(x) * word(dtype + BYTES))
    return out


@njit(**PLAIN)
def _source_fits(words, x, src, index, axis, rows, fresh):
    """Whether an array has an element for each that is put."""
    if not is_strided(words, src) or word(src + DTYPE) != word(x + DTYPE):
        return False
    if (rows or not fresh) and not is_array(words, src):
        return False
    if axis < 0:
        return size(src) == size(index)
    if not rows:
        return _no_larger(index, src, -1)
    same = ndim(src) == ndim(x)
    if same:
        for i in range(ndim(x)):
            same = same and dim(src, i) == (size(index) if i == axis else dim(x, i))
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
    if how == _FAR or not is_array(words, x) or not is_strided(words, x) or not _is_index(words, index):
        return declined(words)
    axis, rows, op, dtype = axis_of(words, x, word(args + 8)), how & ROWS != 0, how & 7, word(x + DTYPE)
    if axis < -1 or (rows and axis >= 0 and ndim(index) != 1):
        return declined(words)
    if not rows and (axis < 0 or not _no_larger(index, x, axis)):
        return declined(words)
    outer, k, inner = _collapsed(x, axis)
    real = dtype == word(words + 8 * F32) or dtype == word(words + 8 * F64) or dtype == word(words + 8 * I64)
    kind, n = 0 if dtype == word(words + 8 * I64) else word(dtype + BYTES), size(index)
    if (op != SET and not real) or size(x) >= GRAIN or n >= GRAIN or (rows and outer * n * inner >= GRAIN):
        return declined(words)
    number, of, many = room(), 0, word(src + TYPE) == word(words + 8 * ARRAY)
    if many:
        if not _source_fits(words, x, src, index, axis, rows, fresh):
            return declined(words)
        of = word(src + DATA)
    else:
        if not real or not write_number(words, src, dtype, number):
            return declined(words)
        of = number
    places = pointer_to_words(word(index + DATA))
    if not _within(places, n, -k if how & NEGATIVE != 0 else 0, k):
        return declined(words)
    out = x
    if fresh:
        out = copied(words, x)
        if out == 0:
            return out
    else:
        if not writeable(x) or not separate(x, index) or (many and not separate(x, src)):
            return declined(words)
        held(words, x)
    if rows:
        _put_rows(word(out + DATA), places, of, kind, 1 if many else 0, outer, k, n, inner, op)
    else:
        steps, paces = room(), room()
        far = _steps(out, axis, steps)
        for i in range(ndim(x)):
            put(paces + 8 * i, 0)
        if many:
            _steps(src, -1, paces)
        _put_elements(word(out + DATA), index, of, kind, steps, far, paces, op)
    return out


def own_functions():
    """An entry's own words."""
    return [id(int), *map(function_of_python, ("PyLong_AsSsize_t", "PyErr_Occurred", "PyErr_Clear"))]


_pick_entry = _place_entry = None


def picked(x, dim, index, how):
    """Rows of an ndarray (how = ROWS), or elements (how = 0), by index along a dimension, in a new one; None for what
    is not small and plain, or has an index out of range, and before the entry is due."""
    global _pick_entry
    if _pick_entry is None:
        if config.DISABLE_JIT or not due(_picked):
            return None
        _pick_entry = builtin(_picked, "picked", [0, 0, *own_functions()])[0]
    return _pick_entry(x, dim, index, how)


def placed(x, dim, index, src, how, fresh=True):
    """A copy of an ndarray, or itself with ``fresh`` None, in which elements or rows (how & ROWS) of ``src``, or one
    number, are put by index along a dimension, or combined with what stands there; None as in :func:`picked`."""
    global _place_entry
    if _place_entry is None:
        if config.DISABLE_JIT or not due(_placed):
            return None
        _place_entry = builtin(_placed, "placed", [0, 0, *own_functions()])[0]
    return _place_entry(x, dim, index, src, how, fresh)
