"""The entry of kernels on flat arrays and a geometry: convolutions and poolings, of any size.

A plan says which kernel, for operands of which sizes, and the shape of the result: what operations find out once for
each shape. The interpreter's lock is let go while the kernel runs.
"""

import numpy as np
from numba import njit

from ._entry import (
    Shortcut,
    address_for,
    declined,
    drop,
    enter,
    invoke,
    is_array,
    is_none,
    leave,
    new,
    own_words,
    size,
    vector,
)
from ._jit import PLAIN
from ._words import BYTES, DATA, DTYPE, word

# Words of a plan: the kernel's address, its arguments' order, the dtypes of the first operand and of the second, the
# sizes of both and of a bias, two numbers, the result's number of dimensions and, from there on, its shape.
KERNEL, ORDER, KIND, SECOND_KIND, FIRST, SECOND, BIAS, P, Q, NDIM, SHAPE = range(11)

# Orders of arguments, y being the result:
BIASED = 0  # (a, b, bias, y, geo, p), or with q where there is a bias
TWO = 1  # (a, b, y, geo)
BETWEEN = 2  # (a, y, b, geo)
ONE = 3  # (a, y, geo, p != 0, q)


@njit(**PLAIN)
def _at(plan, i):
    return word(plan + 8 * i)


@njit(**PLAIN)
def _holds(words, x, dtype, n):
    """Whether x is an array of n elements of a dtype."""
    return is_array(words, x) and word(x + DTYPE) == dtype and size(x) == n


@njit(**PLAIN)
def _flat(x):
    return vector(word(x + DATA), size(x), word(word(x + DTYPE) + BYTES))


@njit(**PLAIN)
def planned(own, args, count):
    """call(a, b, bias, plan, geo): the result of the plan's kernel; b and bias are None where there are none."""
    words = own_words(own)
    if count != 5:
        return declined(words)
    a, b, bias, head, geo = word(args), word(args + 8), word(args + 16), word(args + 24), word(args + 32)
    if not (is_array(words, head) and is_array(words, geo)):
        return declined(words)
    plan = word(head + DATA)
    order, dtype, added = _at(plan, ORDER), _at(plan, KIND), not is_none(words, bias)
    good = _holds(words, a, dtype, _at(plan, FIRST)) and not (added and order != BIASED)
    if order != ONE:
        good = good and _holds(words, b, _at(plan, SECOND_KIND), _at(plan, SECOND))
    if not good or (added and not _holds(words, bias, dtype, _at(plan, BIAS))):
        return declined(words)
    y = new(words, dtype, _at(plan, NDIM), plan + 8 * SHAPE)
    if not y:
        return y
    kernel, p, q, thread = _at(plan, KERNEL), _at(plan, P), _at(plan, Q), leave(words)
    if order == ONE:
        failed = invoke(kernel, _flat(a) + _flat(y) + _flat(geo) + (p != 0, q))
    elif order == TWO:
        failed = invoke(kernel, _flat(a) + _flat(b) + _flat(y) + _flat(geo))
    elif order == BETWEEN:
        failed = invoke(kernel, _flat(a) + _flat(y) + _flat(b) + _flat(geo))
    elif added:
        failed = invoke(kernel, _flat(a) + _flat(b) + _flat(bias) + _flat(y) + _flat(geo) + (q,))
    else:  # in the bias's place what no kernel reads
        failed = invoke(kernel, _flat(a) + _flat(b) + _flat(a) + _flat(y) + _flat(geo) + (p,))
    enter(words, thread)
    if failed:
        drop(words, y)
        return declined(words)
    return y


PLANNED = Shortcut(planned)


def plan_for(kernel, order, operands, sizes, shape, geo, p=0, q=0):
    """What PLANNED.call takes behind its operands: the words of a plan, and the geometry. None until that is due.

    Args:
        kernel: a kernel on flat arrays.
        order: of its arguments.
        operands: the operands' dtypes; the first one is float32 or float64.
        sizes: how many elements they have; of a bias, too.
        shape: that of the result.
        geo: the kernel's geometry.
        p, q: the two numbers.
    """
    dtype = operands[0]
    PLANNED.prepare(dtype)
    if dtype not in PLANNED.ready:
        return None
    a, b = np.zeros(1, dtype), np.zeros(1, operands[-1])
    given = (a, b, a, a, geo, p), (a, b, a, geo), (a, a, b, geo), (a, a, geo, bool(p), q)
    sizes = (*sizes, 0, 0, 0)[:3]
    head = address_for(kernel, given[order]), order, id(dtype), id(operands[-1]), *sizes, p, q, len(shape), *shape
    return np.array(head, np.int64), geo
