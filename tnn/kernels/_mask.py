"""Masks and pairs of indices of small arrays: entries, as those of _pick.py.

Without a branch for each element: a random mask would have it mispredicted half the time.
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
    drop,
    due,
    held,
    is_array,
    is_none,
    ndim,
    new,
    own_words,
    same_shape,
    size,
)
from ._jit import GRAIN, PLAIN
from ._pick import copied, is_strided, own_functions, separate, write_number, writeable
from ._words import (
    BYTES,
    DATA,
    DTYPE,
    STRIDES,
    TYPE,
    pointer8,
    pointer16,
    pointer32,
    pointer64,
    pointer_to_words,
    put,
    room,
    word,
)

# Own words, behind those of _pick.py: the dtype of bools.
_BOOL = OWN + 6


@njit(**PLAIN)
def _is_mask(words, x):
    """Whether an object is an ndarray of bools in row-major order."""
    return is_array(words, x) and word(x + DTYPE) == word(words + 8 * _BOOL)


@njit(**PLAIN)
def _count(mask, n):
    many = 0
    for i in range(n):
        many += mask[i] != 0
    return many


@njit(**PLAIN)
def _take(x, mask, y, count):
    i, at = 0, 0
    while at < count:
        y[at] = x[i]
        at += mask[i] != 0
        i += 1


@njit(**PLAIN)
def _put(y, mask, src, n, count):
    at = 0
    for i in range(n):
        if at < count:
            y[i] = src[at] if mask[i] != 0 else y[i]
            at += mask[i] != 0


@njit(**PLAIN)
def _fill(y, mask, value, n):
    for i in range(n):
        y[i] = value if mask[i] != 0 else y[i]


@njit(**PLAIN)
def _selected(own, args, count):
    """An entry, (x, mask): the elements of x where a mask of its shape is True."""
    words = own_words(own)
    x, mask = word(args), word(args + 8)
    if count != 2 or not is_array(words, x) or not is_strided(words, x) or not _is_mask(words, mask):
        return declined(words)
    if not same_shape(x, mask) or size(x) >= GRAIN:
        return declined(words)
    marks, dims, dtype = pointer8(word(mask + DATA)), room(), word(x + DTYPE)
    many, item = _count(marks, size(x)), word(dtype + BYTES)
    put(dims, many)
    out = new(words, dtype, 1, dims)
    if out != 0:
        of, to = word(x + DATA), word(out + DATA)
        if item == 4:
            _take(pointer32(of), marks, pointer32(to), many)
        elif item == 8:
            _take(pointer64(of), marks, pointer64(to), many)
        elif item == 2:
            _take(pointer16(of), marks, pointer16(to), many)
        else:
            _take(pointer8(of), marks, pointer8(to), many)
    return out


@njit(**PLAIN)
def _masked(own, args, count):
    """An entry, (x, mask, src, fresh): the first elements of an array, or a number, put into x where a mask of its
    shape is True; into a copy, which is returned, if ``fresh`` is not None, and else x is."""
    words = own_words(own)
    x, mask, src = word(args), word(args + 8), word(args + 16)
    if count != 4 or not is_array(words, x) or not is_strided(words, x) or not _is_mask(words, mask):
        return declined(words)
    n, dtype, fresh = size(x), word(x + DTYPE), not is_none(words, word(args + 24))
    if not same_shape(x, mask) or n >= GRAIN:
        return declined(words)
    marks, item, number, many = pointer8(word(mask + DATA)), word(dtype + BYTES), room(), 0
    some = word(src + TYPE) == word(words + 8 * ARRAY)
    if some:
        many = _count(marks, n)
        if not is_array(words, src) or word(src + DTYPE) != dtype or size(src) < many:
            return declined(words)
    elif dtype != word(words + 8 * F32) and dtype != word(words + 8 * F64) and dtype != word(words + 8 * I64):
        return declined(words)
    elif not write_number(words, src, dtype, number):
        return declined(words)
    out = x
    if fresh:
        out = copied(words, x)
        if out == 0:
            return out
    else:
        if not writeable(x) or not separate(x, mask) or (some and not separate(x, src)):
            return declined(words)
        held(words, x)
    to, of = word(out + DATA), word(src + DATA) if some else number
    if not some:
        if item == 4:
            _fill(pointer32(to), marks, pointer32(of)[0], n)
        else:
            _fill(pointer_to_words(to), marks, pointer_to_words(of)[0], n)
    elif item == 4:
        _put(pointer32(to), marks, pointer32(of), n, many)
    elif item == 8:
        _put(pointer64(to), marks, pointer64(of), n, many)
    elif item == 2:
        _put(pointer16(to), marks, pointer16(of), n, many)
    else:
        _put(pointer8(to), marks, pointer8(of), n, many)
    return out


@njit(**PLAIN)
def _find(x, shape, out, count, step, wide):
    """Writes the indices of the elements of x that are not 0: ``step`` from one to the next, ``wide`` from dimension to
    dimension; shape: an object of x's shape."""
    most = ndim(shape) - 1
    last, at, row = dim(shape, most), 0, 0
    while at < count:
        first = at
        for c in range(last):
            if at < count:
                out[at * step + most * wide] = c
                at += x[row * last + c] != 0
        rest = row
        for d in range(most - 1, -1, -1):
            for t in range(first, at):
                out[t * step + d * wide] = rest % dim(shape, d)
            rest //= dim(shape, d)
        row += 1


@njit(**PLAIN)
def _found(own, args, count):
    """An entry, (x, across): the indices of the elements of bools or numbers that are not 0, as (number, dimensions);
    as (dimensions, number) if ``across`` is not None."""
    words = own_words(own)
    x, across = word(args), not is_none(words, word(args + 8))
    if count != 2 or not is_array(words, x) or ndim(x) == 0 or ndim(x) > 16 or size(x) >= GRAIN:
        return declined(words)
    dtype, n, many, data, dims = word(x + DTYPE), size(x), 0, word(x + DATA), room()
    if dtype == word(words + 8 * _BOOL):
        many = _count(pointer8(data), n)
    elif dtype == word(words + 8 * F32):
        many = _count(pointer32(data), n)
    elif dtype == word(words + 8 * F64):
        many = _count(pointer64(data), n)
    elif dtype == word(words + 8 * I64):
        many = _count(pointer_to_words(data), n)
    else:
        return declined(words)
    put(dims, ndim(x) if across else many)
    put(dims + 8, many if across else ndim(x))
    out = new(words, word(words + 8 * I64), 2, dims)
    if out != 0:
        to, step, wide = pointer_to_words(word(out + DATA)), 1 if across else ndim(x), many if across else 1
        if dtype == word(words + 8 * _BOOL):
            _find(pointer8(data), x, to, many, step, wide)
        elif dtype == word(words + 8 * F32):
            _find(pointer32(data), x, to, many, step, wide)
        elif dtype == word(words + 8 * F64):
            _find(pointer64(data), x, to, many, step, wide)
        else:
            _find(pointer_to_words(data), x, to, many, step, wide)
    return out


@njit(**PLAIN)
def _spread(x, most, steps):
    """Writes how many elements lie between neighbours along each of ``most`` dimensions, 0 where it is repeated."""
    missing = most - ndim(x)
    for i in range(most):
        step = 0
        if i >= missing and dim(x, i - missing) != 1:
            step = word(word(x + STRIDES) + 8 * (i - missing)) // 8
        put(steps + 8 * i, step)


@njit(**PLAIN)
def _joined(own, args, count):
    """An entry, (i, j, x): the positions i n + j in the first two dimensions of x, n being the second one's size; i and
    j are broadcast, and negative ones count from the end."""
    words = own_words(own)
    i, j, x = word(args), word(args + 8), word(args + 16)
    if count != 3 or not is_array(words, x) or ndim(x) < 2 or not is_strided(words, i) or not is_strided(words, j):
        return declined(words)
    whole = word(words + 8 * I64)
    if word(i + DTYPE) != whole or word(j + DTYPE) != whole:
        return declined(words)
    most, dims, rows, columns = max(ndim(i), ndim(j)), room(), dim(x, 0), dim(x, 1)
    total = 1
    for d in range(most):
        a = dim(i, d - most + ndim(i)) if d >= most - ndim(i) else 1
        b = dim(j, d - most + ndim(j)) if d >= most - ndim(j) else 1
        if a != b and a != 1 and b != 1:
            return declined(words)
        put(dims + 8 * d, b if a == 1 else a)
        total *= b if a == 1 else a
    if total == 0 or total >= GRAIN:
        return declined(words)
    left, right, last = room(), room(), word(dims + 8 * (most - 1))
    _spread(i, most, left)
    _spread(j, most, right)
    out = new(words, whole, most, dims)
    if out == 0:
        return out
    to, bad = pointer_to_words(word(out + DATA)), False
    up, down = word(left + 8 * (most - 1)), word(right + 8 * (most - 1))
    for row in range(total // last):
        at, of, rest = word(i + DATA), word(j + DATA), row
        for d in range(most - 2, -1, -1):
            at += rest % word(dims + 8 * d) * word(left + 8 * d) * 8
            of += rest % word(dims + 8 * d) * word(right + 8 * d) * 8
            rest //= word(dims + 8 * d)
        a, b = pointer_to_words(at), pointer_to_words(of)
        for t in range(last):
            u, v = a[t * up], b[t * down]
            u, v = u + rows if u < 0 else u, v + columns if v < 0 else v
            bad |= (u < 0) | (u >= rows) | (v < 0) | (v >= columns)
            to[row * last + t] = u * columns + v
    if bad:
        drop(words, out)
        put(dims, 0)
        return new(words, whole, 1, dims)
    return out


_entries: dict = {}


def _made(function, name):
    """The entry, or None before it is due."""
    if config.DISABLE_JIT or not due(function):
        return None
    made = _entries[name] = builtin(function, name, [0, 0, *own_functions(), id(np.dtype(np.bool_))])[0]
    return made


def selected(x, mask):
    """The elements of an ndarray where a mask of its shape is True; None for what is not small and plain, and before
    the entry is due."""
    entry = _entries.get("selected") or _made(_selected, "selected")
    return None if entry is None else entry(x, mask)


def masked(x, mask, src, fresh=True):
    """A copy of an ndarray, or itself with ``fresh`` None, in which the first elements of ``src``, or one number, are
    put where a mask is True; None as in :func:`selected`."""
    entry = _entries.get("masked") or _made(_masked, "masked")
    return None if entry is None else entry(x, mask, src, fresh)


def found(x, across=None):
    """The indices of an ndarray's elements that are not 0: (number, dimensions), or ``across``; None as above."""
    entry = _entries.get("found") or _made(_found, "found")
    return None if entry is None else entry(x, across)


def joined(i, j, x):
    """Positions in an ndarray's first two dimensions, as one, from two arrays of int64; None as above, and an empty
    array where one is out of range."""
    entry = _entries.get("joined") or _made(_joined, "joined")
    return None if entry is None else entry(i, j, x)
