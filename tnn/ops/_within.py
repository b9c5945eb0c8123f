"""Writing an operation's result where its first operand lies: the short way of in-place forms.

An operation that has one carries it as ``op.within``: a function of the operation's arguments that returns whether it
wrote the result into the first tensor. What it leaves (something is to be recorded, a tensor has gaps, a dtype is
another one) goes the general way of :func:`tnn.ops._common.inplace`, which makes the result first and raises what there
is to raise.
"""

import numpy as np

from ..autograd.autocast import active
from ..autograd.grad_mode import mode
from ..kernels._elementwise import plan
from ..tensor import Tensor
from ._common import F32, F64, broadcast, finite_float, is_number, row_major

# Functions of NumPy's that give an operand's own dtype, cannot fail and take their output as an argument.
_SAFE = {
    np.add, np.subtract, np.multiply, np.maximum, np.minimum,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor,
}  # fmt: skip


def open_array(self):
    """The ndarray of a tensor that may be overwritten without further ado, or None."""
    if active.n or type(self) is not Tensor and not isinstance(self, Tensor):
        return None
    if mode.grad and (self._rg or (self._base is not None and self._base.base._rg)):
        return None
    return self._data


def run_within(kernel, out, a, b, c, p=0.0, q=0.0):
    """out = f(a, b, c, p, q) for ndarrays, of which the first ones may be ``out`` itself; returns whether it could."""
    if kernel.within(out, a, b, c, p, q) is not None:
        return True
    kind = out.dtype
    if type(out) is not np.ndarray or (kind is not F32 and kind is not F64) or kernel.result is not None:
        return False
    first = kind if kernel.first is None else np.dtype(kernel.first)
    if a.dtype != first or b.dtype is not kind or c.dtype is not kind or not out.size:
        return False
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        return False
    operands = [a, b, c]
    if broadcast(out.shape, *(x.shape for x in operands)) != out.shape:
        return False
    for i, x in enumerate(operands):
        if x is not out and np.may_share_memory(out, x):
            operands[i] = np.array(x)
        elif not x.flags.c_contiguous:
            operands[i] = row_major(x)
    flat = (x.reshape(-1) for x in operands)
    kernel.into(out.reshape(-1), *flat, plan(out.shape, *(x.shape for x in operands)), p, q)
    return True


def unary_within(kernel):
    """The short way of a one-operand operation."""

    def within(self):
        d = open_array(self)
        if d is None or not run_within(kernel, d, d, d, d):
            return False
        self._bump()
        return True

    return within


def binary_within(kernel, integer):
    """The short way of a two-operand operation: see :func:`tnn.ops._elementwise.binary_op` for the arguments."""
    right = kernel.right

    def within(self, other):
        d = open_array(self)
        if d is None:
            return False
        if isinstance(other, Tensor):
            if other._rg and mode.grad:
                return False
            y = other._data
            done = run_within(kernel, d, d, y, y) or (integer in _SAFE and _integers(integer, d, y))
        elif not is_number(other):
            return False
        elif d.dtype is F32 or d.dtype is F64:
            done = run_within(right, d, d, d, d, finite_float(other))
        else:
            done = integer in _SAFE and _integers(integer, d, other)
        if done:
            self._bump()
        return done

    return within


def _integers(function, d, y):
    """d = function(d, y) for integers, y an ndarray of the same dtype or an int that it can hold."""
    if type(d) is not np.ndarray or d.dtype.kind not in "iu" or 0 in d.strides:
        return False
    if type(y) is int:
        info = np.iinfo(d.dtype)
        if not info.min <= y <= info.max:
            return False
    elif type(y) is not np.ndarray or y.dtype is not d.dtype or broadcast(d.shape, y.shape) != d.shape:
        return False
    function(d, y, out=d)
    return True
