"""Entries for cross entropy with classes on small inputs, by the kernels that the general way calls."""

import numpy as np
from numba import njit

from . import cross_entropy as kernels
from ._entry import (
    I64,
    Shortcut,
    bytes_of,
    cube,
    declined,
    dim,
    drop,
    invoke,
    is_array,
    is_float,
    kernel_for,
    matrix,
    ndim,
    new_like,
    new_matrix,
    own_words,
    size,
    vector,
)
from ._jit import PLAIN
from ._words import DATA, DTYPE, VALUE, double, word

MOST = 4096  # elements of the input: less than the kernels take for more than one thread
IGNORE = -100  # the target that is ignored unless another is named


@njit(**PLAIN)
def _classes_fit(target, n, classes):
    """Whether n targets at an address name a class each."""
    good = True
    for i in range(n):
        t = word(target + 8 * i)
        good = good and 0 <= t < classes
    return good


@njit(**PLAIN)
def _fits(words, x, target, w):
    """Whether x is (n, classes), target (n,) or (n, 1) of int64, w (classes,)."""
    if not (is_array(words, x) and is_array(words, target) and is_array(words, w)):
        return False
    return (
        ndim(x) == 2
        and 0 < size(x) < MOST
        and word(target + DTYPE) == word(words + 8 * I64)
        and ndim(target) > 0
        and size(target) == dim(target, 0) == dim(x, 0)
        and ndim(w) == 1
        and dim(w, 0) == dim(x, 1)
        and word(w + DTYPE) == word(x + DTYPE)
    )


@njit(**PLAIN)
def forward(own, args, count):
    """call(x, target, w, scale, loss): writes `scale` times the sum of the losses into loss, an array without
    dimensions, and gives the log-sum-exps, (n, 1)."""
    words = own_words(own)
    if count != 5:
        return declined(words)
    x, target, w, scale, loss = word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32)
    if not (_fits(words, x, target, w) and is_float(words, scale) and is_array(words, loss)):
        return declined(words)
    dtype, n, classes = word(x + DTYPE), dim(x, 0), dim(x, 1)
    rows, total = kernel_for(words, dtype, 0), kernel_for(words, dtype, 1)
    good = rows != 0 and total != 0 and word(loss + DTYPE) == dtype and size(loss) == 1
    if not (good and _classes_fit(word(target + DATA), n, classes)):
        return declined(words)
    each = new_matrix(words, dtype, n, 1)
    if not each:
        return each
    lse = new_matrix(words, dtype, n, 1)
    if lse:
        item = bytes_of(words, dtype)
        given = cube(word(x + DATA), n, classes, 1, item) + matrix(word(target + DATA), n, 1, 8)
        losses = word(each + DATA)
        written = matrix(losses, n, 1, item) + matrix(word(lse + DATA), n, 1, item)
        invoke(rows, given + vector(word(w + DATA), classes, item) + (IGNORE, 0.0) + written)
        invoke(total, vector(losses, n, item) + (double(scale + VALUE),) + vector(word(loss + DATA), 1, item))
    drop(words, each)
    return lse


@njit(**PLAIN)
def backward(own, args, count):
    """call(g, x, lse, target, w, total, scale): the gradient of x; g has one element."""
    words = own_words(own)
    if count != 7:
        return declined(words)
    g, x, lse, target, w = word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32)
    total, scale = word(args + 40), word(args + 48)
    if not (_fits(words, x, target, w) and is_array(words, g) and is_array(words, lse)):
        return declined(words)
    dtype, n, classes = word(x + DTYPE), dim(x, 0), dim(x, 1)
    kernel = kernel_for(words, dtype)
    good = kernel != 0 and word(g + DTYPE) == dtype and word(lse + DTYPE) == dtype
    good = good and size(g) == 1 and size(lse) == n and is_float(words, total) and is_float(words, scale)
    if not (good and _classes_fit(word(target + DATA), n, classes)):
        return declined(words)
    out = new_like(words, x, dtype)
    if out:
        item = bytes_of(words, dtype)
        given = matrix(word(g + DATA), 1, 1, item) + cube(word(x + DATA), n, classes, 1, item)
        given_too = matrix(word(lse + DATA), n, 1, item) + matrix(word(target + DATA), n, 1, 8)
        weights = vector(word(w + DATA), classes, item)
        scalars = (double(total + VALUE), IGNORE, 0.0, double(scale + VALUE))
        invoke(kernel, given + given_too + weights + scalars + cube(word(out + DATA), n, classes, 1, item))
    return out


def _forward_examples(dtype):
    x, target = np.zeros((1, 1), dtype), np.zeros((1, 1), np.int64)
    return x[None], target, x[0], IGNORE, 0.0, x, x


def _total_examples(dtype):
    x = np.zeros(1, dtype)
    return x, 1.0, x


def _backward_examples(dtype):
    x, target = np.zeros((1, 1), dtype), np.zeros((1, 1), np.int64)
    return x, x[None], x, target, x[0], 1.0, IGNORE, 0.0, 1.0, x[None]


FORWARD = Shortcut(
    forward, (kernels.cross_entropy_forward, _forward_examples), (kernels.total_forward, _total_examples)
)
BACKWARD = Shortcut(backward, (kernels.cross_entropy_backward, _backward_examples))
