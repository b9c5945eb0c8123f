"""Entries of layer, RMS, group and batch norm, by the kernels that the general way calls; of any size.

Statistics are written into ``stats``, (2, k): means, and reciprocals of standard deviations. A weight or bias may be
None.
"""

import numpy as np
from numba import njit

from . import batchnorm, normalization
from ._entry import (
    Shortcut,
    bytes_of,
    cube,
    declined,
    dim,
    enter,
    invoke,
    is_array,
    is_float,
    is_none,
    kernel_for,
    leave,
    matrix,
    ndim,
    new_like,
    own_words,
    size,
    vector,
)
from ._jit import PLAIN
from ._words import DATA, DTYPE, FLAGS, VALUE, double, half_word, pointer32, word

_WRITEABLE = 0x400


@njit(**PLAIN)
def _is_vector(words, x, dtype, n):
    """Whether x is an array (n,) of a dtype, or None."""
    if is_none(words, x):
        return True
    return is_array(words, x) and word(x + DTYPE) == dtype and ndim(x) == 1 and dim(x, 0) == n


@njit(**PLAIN)
def _vector_or_none(words, x, like, item):
    """A vector for a kernel: an empty one for None."""
    if is_none(words, x):
        return vector(word(like + DATA), 0, item)
    return vector(word(x + DATA), size(x), item)


@njit(**PLAIN)
def _is_stats(words, x, dtype, n):
    return is_array(words, x) and word(x + DTYPE) == dtype and ndim(x) == 2 and dim(x, 0) == 2 and dim(x, 1) == n


@njit(**PLAIN)
def _mean(stats, n, item):
    return vector(word(stats + DATA), n, item)


@njit(**PLAIN)
def _rstd(stats, n, item):
    return vector(word(stats + DATA) + n * item, n, item)


@njit(**PLAIN)
def layer_norm(own, args, count):
    """call(x, w, b, stats, eps, center): x (..., n) normalized over its last dimension; center: 1.0, or 0.0 for RMS."""
    words = own_words(own)
    if count != 6:
        return declined(words)
    x, w, b, stats, eps, center = (
        word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32), word(args + 40)
    )  # fmt: skip
    if not is_array(words, x) or ndim(x) == 0 or size(x) == 0:
        return declined(words)
    dtype, n = word(x + DTYPE), dim(x, ndim(x) - 1)
    rows, kernel = size(x) // n, kernel_for(words, dtype)
    good = kernel != 0 and _is_vector(words, w, dtype, n) and _is_vector(words, b, dtype, n)
    if not (good and _is_stats(words, stats, dtype, rows) and is_float(words, eps) and is_float(words, center)):
        return declined(words)
    y = new_like(words, x, dtype)
    if y:
        item, thread = bytes_of(words, dtype), leave(words)
        given = matrix(word(x + DATA), rows, n, item) + matrix(word(y + DATA), rows, n, item)
        given_too = _vector_or_none(words, w, x, item) + _vector_or_none(words, b, x, item)
        statistics = _mean(stats, rows, item) + _rstd(stats, rows, item)
        invoke(kernel, given + given_too + statistics + (double(eps + VALUE), double(center + VALUE) != 0.0))
        enter(words, thread)
    return y


@njit(**PLAIN)
def layer_norm_backward(own, args, count):
    """call(g, x, w, stats, dw, db, center): the gradient of x; writes those of w and b unless they are None."""
    words = own_words(own)
    if count != 7:
        return declined(words)
    g, x, w, stats, dw, db, center = (
        word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32), word(args + 40), word(args + 48)
    )  # fmt: skip
    if not (is_array(words, g) and is_array(words, x)) or ndim(x) == 0 or size(x) == 0 or size(g) != size(x):
        return declined(words)
    dtype, n = word(x + DTYPE), dim(x, ndim(x) - 1)
    rows, kernel = size(x) // n, kernel_for(words, dtype)
    good = kernel != 0 and word(g + DTYPE) == dtype and _is_vector(words, w, dtype, n)
    good = good and _is_vector(words, dw, dtype, n) and _is_vector(words, db, dtype, n)
    if not (good and _is_stats(words, stats, dtype, rows) and is_float(words, center)):
        return declined(words)
    dx = new_like(words, x, dtype)
    if dx:
        item, thread = bytes_of(words, dtype), leave(words)
        given = matrix(word(g + DATA), rows, n, item) + matrix(word(x + DATA), rows, n, item)
        given_too = _vector_or_none(words, w, x, item) + _mean(stats, rows, item) + _rstd(stats, rows, item)
        written = _vector_or_none(words, dw, x, item) + _vector_or_none(words, db, x, item)
        center = double(center + VALUE) != 0.0
        invoke(kernel, given + given_too + matrix(word(dx + DATA), rows, n, item) + written + (center,))
        enter(words, thread)
    return dx


@njit(**PLAIN)
def group_norm(own, args, count):
    """call(x, w, b, stats, groups, eps): x (n, c, ...) normalized over each sample's groups of channels; groups: a
    float."""
    words = own_words(own)
    if count != 6:
        return declined(words)
    x, w, b, stats, parts, eps = (
        word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32), word(args + 40)
    )  # fmt: skip
    if not is_array(words, x) or ndim(x) < 2 or size(x) == 0 or not is_float(words, parts):
        return declined(words)
    dtype, n, c, groups = word(x + DTYPE), dim(x, 0), dim(x, 1), int(double(parts + VALUE))
    kernel = kernel_for(words, dtype)
    good = kernel != 0 and _is_vector(words, w, dtype, c) and _is_vector(words, b, dtype, c)
    if not good or groups <= 0 or c % groups or not is_float(words, eps):
        return declined(words)
    rows = n * groups
    if not _is_stats(words, stats, dtype, rows):
        return declined(words)
    y = new_like(words, x, dtype)
    if y:
        item, depth, thread = bytes_of(words, dtype), c // groups, leave(words)
        length = size(x) // (rows * depth)
        given = cube(word(x + DATA), rows, depth, length, item) + cube(word(y + DATA), rows, depth, length, item)
        given_too = _vector_or_none(words, w, x, item) + _vector_or_none(words, b, x, item)
        statistics = _mean(stats, rows, item) + _rstd(stats, rows, item) + vector(word(x + DATA), 0, item)
        invoke(kernel, given + given_too + statistics + (groups, double(eps + VALUE)))
        enter(words, thread)
    return y


@njit(**PLAIN)
def batch_norm(own, args, count):
    """call(x, w, b, stats, mean, var, momentum, eps): x (n, c, ...) normalized over all but its channels, by the
    statistics of the batch; moves mean and var towards them, unless they are None. Without a momentum (None) mean and
    var are the statistics. stats is written in both cases."""
    words = own_words(own)
    if count != 8:
        return declined(words)
    x, w, b, stats = word(args), word(args + 8), word(args + 16), word(args + 24)
    mean, var, momentum, eps = word(args + 32), word(args + 40), word(args + 48), word(args + 56)
    if not is_array(words, x) or ndim(x) < 2 or size(x) == 0 or not is_float(words, eps):
        return declined(words)
    dtype, n, c, training = word(x + DTYPE), dim(x, 0), dim(x, 1), not is_none(words, momentum)
    good = _is_vector(words, w, dtype, c) and _is_vector(words, b, dtype, c) and _is_stats(words, stats, dtype, c)
    good = good and _is_vector(words, mean, dtype, c) and _is_vector(words, var, dtype, c)
    good = good and is_none(words, mean) == is_none(words, var) and (training or not is_none(words, mean))
    if training and not is_none(words, mean):
        good = good and half_word(mean + FLAGS) & half_word(var + FLAGS) & _WRITEABLE != 0
    reduce, rstd, apply = kernel_for(words, dtype, 0), kernel_for(words, dtype, 1), kernel_for(words, dtype, 2)
    if not (good and reduce and rstd and apply) or (training and not is_float(words, momentum)):
        return declined(words)
    y = new_like(words, x, dtype)
    if y:
        item, thread = bytes_of(words, dtype), leave(words)
        x3 = cube(word(x + DATA), n, c, size(x) // (n * c), item)
        y3 = cube(word(y + DATA), n, c, size(x) // (n * c), item)
        statistics = _mean(stats, c, item) + _rstd(stats, c, item)
        first, second = _vector_or_none(words, mean, x, item), _vector_or_none(words, var, x, item)
        if training:
            numbers = (double(momentum + VALUE), double(eps + VALUE), False)
            invoke(reduce, x3 + x3 + statistics + first + second + numbers)
        else:
            means, given_means = pointer32(word(stats + DATA)), pointer32(word(mean + DATA))
            for i in range(c * item // 4):
                means[i] = given_means[i]
            invoke(rstd, second + _rstd(stats, c, item) + (double(eps + VALUE),))
        given_too = _vector_or_none(words, w, x, item) + _vector_or_none(words, b, x, item)
        invoke(apply, x3 + y3 + statistics + given_too + (False,))
        enter(words, thread)
    return y


def _layer_examples(dtype):
    x = np.zeros((1, 1), dtype)
    return x, x, x[0], x[0], x[0], x[0], 1.0, True


def _layer_backward_examples(dtype):
    x = np.zeros((1, 1), dtype)
    return x, x, x[0], x[0], x[0], x, x[0], x[0], True


def _group_examples(dtype):
    x = np.zeros((1, 1, 1), dtype)
    return (x, x, *[x[0, 0]] * 5, 1, 1.0)


def _reduce_examples(dtype):
    x = np.zeros((1, 1, 1), dtype)
    return (x, x, *[x[0, 0]] * 4, 1.0, 1.0, False)


def _rstd_examples(dtype):
    x = np.zeros(1, dtype)
    return x, x, 1.0


def _apply_examples(dtype):
    x = np.zeros((1, 1, 1), dtype)
    return (x, x, *[x[0, 0]] * 4, False)


LAYER = Shortcut(layer_norm, (normalization.layer_norm_forward, _layer_examples))
LAYER_BACKWARD = Shortcut(layer_norm_backward, (normalization.layer_norm_backward, _layer_backward_examples))
GROUP = Shortcut(group_norm, (normalization.group_norm_forward, _group_examples))
BATCH = Shortcut(
    batch_norm,
    (batchnorm.batch_norm_reduce, _reduce_examples),
    (batchnorm.batch_norm_rstd, _rstd_examples),
    (batchnorm.batch_norm_apply, _apply_examples),
)
