"""Entries for small matrices: products of two, the linear layer, sums of columns, of rows and of everything.

Each calls the kernel that the general way calls, so that results are the same to the last bit.
"""

import numpy as np
from numba import njit

from . import reduction
from ._entry import (
    Shortcut,
    bytes_of,
    cube,
    declined,
    dim,
    drop,
    enter,
    invoke,
    is_array,
    is_float,
    is_none,
    is_turned,
    kernel_for,
    leave,
    matrix,
    ndim,
    new,
    new_last,
    new_matrix,
    own_words,
    size,
    vector,
)
from ._gemm import gemm_bias_act
from ._jit import GRAIN, PLAIN
from ._words import DATA, DIMS, DTYPE, VALUE, double, word

MOST = 1 << 18  # multiplications that an entry does while it holds the interpreter's lock: some 5 us


@njit(**PLAIN)
def _product(own, args, count, turn):
    """a b, or a^T b with `turn`."""
    words = own_words(own)
    if count != 2:
        return declined(words)
    a, b = word(args), word(args + 8)
    row_a, row_b = is_array(words, a), is_array(words, b)
    if not ((row_a or is_turned(words, a)) and (row_b or is_turned(words, b))) or ndim(a) != 2 or ndim(b) != 2:
        return declined(words)
    dtype = word(b + DTYPE)
    kernel = kernel_for(words, dtype)
    m, k = (dim(a, 1), dim(a, 0)) if turn else (dim(a, 0), dim(a, 1))
    n = dim(b, 1)
    if not kernel or word(a + DTYPE) != dtype or dim(b, 0) != k or not 0 < m * n * k < MOST:
        return declined(words)
    out = new_matrix(words, dtype, m, n)
    if out:
        item = bytes_of(words, dtype)
        turn_a = turn == row_a
        left = matrix(word(a + DATA), k if turn_a else m, m if turn_a else k, item)
        right = matrix(word(b + DATA), k if row_b else n, n if row_b else k, item)
        c = word(out + DATA)
        result, nothing = matrix(c, m, n, item), vector(c, 1, item)
        invoke(kernel, (turn_a, not row_b, 1.0) + left + right + (0.0,) + result + nothing + (0,))
    return out


@njit(**PLAIN)
def product(own, args, count):
    """call(a, b): the product of two matrices, each in row-major or column-major order."""
    return _product(own, args, count, False)


@njit(**PLAIN)
def turned_product(own, args, count):
    """call(a, b): the product of the transposed a, and b."""
    return _product(own, args, count, True)


@njit(**PLAIN)
def linear(own, args, count):
    """call(x, w, b): x (..., k), w (n, k), b (n,) or None -> x w^T + b, (..., n)."""
    words = own_words(own)
    if count != 3:
        return declined(words)
    x, w, b = word(args), word(args + 8), word(args + 16)
    if not (is_array(words, x) and is_array(words, w)) or ndim(x) == 0 or ndim(w) != 2:
        return declined(words)
    dtype = word(x + DTYPE)
    kernel = kernel_for(words, dtype)
    n, k, last = dim(w, 0), dim(w, 1), dim(x, ndim(x) - 1)
    good = kernel != 0 and word(w + DTYPE) == dtype and last == k and 0 < size(x) * n < MOST
    added = not is_none(words, b)
    if added:
        good = good and is_array(words, b) and word(b + DTYPE) == dtype and ndim(b) == 1 and dim(b, 0) == n
    if not good:
        return declined(words)
    out = new_last(words, x, dtype, n)
    if out:
        item, m = bytes_of(words, dtype), size(x) // k
        left, right = matrix(word(x + DATA), m, k, item), matrix(word(w + DATA), n, k, item)
        c = word(out + DATA)
        bias = vector(word(b + DATA) if added else c, n, item)
        result = matrix(c, m, n, item)
        invoke(kernel, (False, True, 1.0) + left + right + (0.0,) + result + bias + (1 if added else 0,))
    return out


@njit(**PLAIN)
def column_sums(own, args, count):
    """call(x, scale): x (m, n) -> (n,), the sums of the columns times scale."""
    words = own_words(own)
    if count != 2:
        return declined(words)
    x, scale = word(args), word(args + 8)
    if not is_array(words, x) or not is_float(words, scale) or ndim(x) != 2:
        return declined(words)
    dtype, m, n = word(x + DTYPE), dim(x, 0), dim(x, 1)
    kernel = kernel_for(words, dtype)
    if not kernel or m == 0 or n < 2 or m * n >= GRAIN:
        return declined(words)
    out = new(words, dtype, 1, word(x + DIMS) + 8)  # its last dimension
    if out:
        item, y = bytes_of(words, dtype), word(out + DATA)
        invoke(
            kernel,
            cube(word(x + DATA), 1, m, n, item)
            + matrix(y, 1, n, item)
            + (reduction.SUM, 1.0)
            + matrix(y, 0, 0, item)
            + (double(scale + VALUE), 1.0),
        )
    return out


@njit(**PLAIN)
def sums(own, args, count):
    """call(x, scale): the sum of all elements times scale, an array without dimensions; call(x, scale, None): sums over
    the last dimension. Large arrays too, without the interpreter's lock."""
    words = own_words(own)
    if count != 2 and count != 3:
        return declined(words)
    x, scale = word(args), word(args + 8)
    if not is_array(words, x) or not is_float(words, scale) or ndim(x) < count - 2:
        return declined(words)
    dtype, n = word(x + DTYPE), size(x)
    kernel = kernel_for(words, dtype)
    if not kernel or n == 0:
        return declined(words)
    out = new(words, dtype, ndim(x) - 1 if count == 3 else 0, word(x + DIMS))
    if out:
        item, y, rows = bytes_of(words, dtype), word(out + DATA), size(out)
        thread = leave(words) if n >= GRAIN else 0
        invoke(
            kernel,
            matrix(word(x + DATA), rows, n // rows, item)
            + vector(y, rows, item)
            + (reduction.SUM, 1.0)
            + vector(y, 0, item)
            + (double(scale + VALUE), 1.0),
        )
        if n >= GRAIN:
            enter(words, thread)
    return out


@njit(**PLAIN)
def channel_sums(own, args, count):
    """call(x): x (n, c, ...) -> (c,), sums over all other dimensions; large arrays too."""
    words = own_words(own)
    if count != 1:
        return declined(words)
    x = word(args)
    if not is_array(words, x) or ndim(x) < 3:
        return declined(words)
    dtype, n, c = word(x + DTYPE), dim(x, 0), dim(x, 1)
    rows, columns = kernel_for(words, dtype, 0), kernel_for(words, dtype, 1)
    if not (rows and columns) or size(x) == 0 or n * c >= GRAIN:
        return declined(words)
    out = new(words, dtype, 1, word(x + DIMS) + 8)
    if not out:
        return out
    each = out if n == 1 else new_matrix(words, dtype, n, c)
    if not each:
        drop(words, out)
        return each
    item, y, z, m = bytes_of(words, dtype), word(each + DATA), word(out + DATA), size(x)
    thread = leave(words) if m >= GRAIN else 0
    sums = matrix(word(x + DATA), n * c, m // (n * c), item) + vector(y, n * c, item)
    invoke(rows, sums + (reduction.SUM, 1.0) + vector(y, 0, item) + (1.0, 1.0))
    if m >= GRAIN:
        enter(words, thread)
    if n > 1:
        sums = cube(y, 1, n, c, item) + matrix(z, 1, c, item)
        invoke(columns, sums + (reduction.SUM, 1.0) + matrix(y, 0, 0, item) + (1.0, 1.0))
        drop(words, each)
    return out


def _gemm_examples(dtype):
    x = np.zeros((1, 1), dtype)
    return False, True, 1.0, x, x, 0.0, x, np.zeros(1, dtype), 1


def _columns_examples(dtype):
    x = np.zeros((1, 1), dtype)
    return x[None], x, reduction.SUM, 1.0, x, 1.0, 1.0


def _sums_examples(dtype):
    x = np.zeros((1, 1), dtype)
    return x, x[0], reduction.SUM, 1.0, x[0], 1.0, 1.0


PRODUCT = Shortcut(product, (gemm_bias_act, _gemm_examples))
TURNED_PRODUCT = Shortcut(turned_product, (gemm_bias_act, _gemm_examples))
LINEAR = Shortcut(linear, (gemm_bias_act, _gemm_examples))
COLUMN_SUMS = Shortcut(column_sums, (reduction.sum_columns, _columns_examples))
SUMS = Shortcut(sums, (reduction.sum_rows, _sums_examples))
CHANNEL_SUMS = Shortcut(channel_sums, (reduction.sum_rows, _sums_examples), (reduction.sum_columns, _columns_examples))
