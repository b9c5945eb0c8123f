"""Writing an operation's result where its first operand lies: the short way of in-place forms.

An operation that has one stands in ``WITHIN`` with it: a function of the operation's arguments that returns whether it
wrote the result into the first tensor, and recorded what is to be recorded. What it leaves (a view's history, a tensor
with gaps, another dtype) goes the general way of :func:`tnn.ops._common.inplace`, which makes the result first and
raises what there is to raise.
"""

import numpy as np
from numba.core import config

from ..autograd.autocast import active
from ..autograd.grad_mode import mode
from ..kernels import pointwise as kernels
from ..kernels import pointwise_compare as compare_kernels
from ..kernels import pointwise_integer as integer_kernels
from ..kernels._copy import BITS, contiguous_copy
from ..kernels._elementwise import WHOLE
from ..kernels._jit import GRAIN
from ..kernels._walk import plan_at
from ..tensor import Tensor, wrap
from ._common import F32, F64, broadcast, finite_float, is_number, memory_order, row_major

# Kernels that do with integers what functions of NumPy's do, which run on one thread.
_OF_INTEGERS = {
    np.add: kernels.add_forward, np.subtract: kernels.sub_forward, np.multiply: kernels.mul_forward,
    np.maximum: integer_kernels.larger_forward, np.minimum: integer_kernels.smaller_forward,
    np.bitwise_and: integer_kernels.and_forward, np.bitwise_or: integer_kernels.or_forward,
    np.bitwise_xor: integer_kernels.xor_forward, np.equal: compare_kernels.eq_forward,
    np.not_equal: compare_kernels.ne_forward, np.less: compare_kernels.lt_forward,
    np.less_equal: compare_kernels.le_forward, np.greater: compare_kernels.gt_forward,
    np.greater_equal: compare_kernels.ge_forward,
}  # fmt: skip
# Those that give an operand's own dtype, cannot fail and take their output as an argument.
_SAFE = {
    np.add, np.subtract, np.multiply, np.maximum, np.minimum,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor,
}  # fmt: skip
TESTS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
# With bools these are not what they are with integers.
_OTHER_FOR_BOOLS = {np.add, np.subtract, np.multiply}


def whole_kernel(function, kind, size):
    """The kernel for one of NumPy's functions of many integers or bools; None where NumPy is to do it."""
    if size < GRAIN or config.DISABLE_JIT or kind not in WHOLE or (kind == np.bool_ and function in _OTHER_FOR_BOOLS):
        return None
    return _OF_INTEGERS[function]


def open_array(self):
    """The ndarray of a tensor that may be overwritten without further ado, or None."""
    if active.n or type(self) is not Tensor and not isinstance(self, Tensor):
        return None
    if mode.grad and (self._rg or (self._base is not None and self._base.base._rg)):
        return None
    return self._data


def open_run(self):
    """As :func:`open_array`, for kernels over elements side by side, at least one, that move as bits."""
    d = open_array(self)
    if d is None or type(d) is not np.ndarray or not d.size or d.itemsize not in BITS:
        return None
    return d if d.flags.c_contiguous and d.flags.writeable else None


def run_within(kernel, a, b, c, p=0.0, q=0.0):
    """a = f(a, b, c, p, q), or c = ... for kernels that are made so, on ndarrays that broadcast to it; returns whether
    it could."""
    if kernel.within(a, b, c, p, q) is not None:
        return True
    out = c if kernel.last else a
    kind = out.dtype
    if type(out) is not np.ndarray or (kind is not F32 and kind is not F64) or not kernel.overwrites:
        return False
    first = kind if kernel.first is None else np.dtype(kernel.first)
    if kernel.result is not None or a.dtype != first or b.dtype is not kind or c.dtype is not kind:
        return False
    if config.DISABLE_JIT or not out.size or not out.flags.writeable or not out.flags.aligned or 0 in out.strides:
        return False
    operands, own = [a, b, c], [x is out for x in (a, b, c)]
    if broadcast(out.shape, *(x.shape for x in operands)) != out.shape:
        return False
    order = memory_order(out.shape, out.strides)
    for i, x in enumerate(operands):
        if x is not out and np.may_share_memory(out, x):
            x = np.array(x)
        if order is not None:
            x = (x if x.ndim == out.ndim else x.reshape((1,) * (out.ndim - x.ndim) + x.shape)).transpose(order[0])
        operands[i] = x
    shape = operands[2 if kernel.last else 0].shape
    dims = plan_at(shape, *((x.shape, x.strides, x.itemsize) for x in operands))
    if dims is None:
        operands = [x if mine or x.flags.c_contiguous else row_major(x) for x, mine in zip(operands, own, strict=True)]
        dims = plan_at(shape, *((x.shape, x.strides, x.itemsize) for x in operands))
    if dims is None or dims[-1, 3 if kernel.last else 1] != 1:
        return False
    kernel.into(*operands, dims, p, q)
    return True


def recorded_array(self):
    """The ndarray of a tensor, no view, that an operation which is recorded may overwrite, or None."""
    if active.n or not mode.grad or not isinstance(self, Tensor) or self._base is not None:
        return None
    if self._rg and self._node is None:
        return None
    d = self._data
    whole = type(d) is np.ndarray and (d.dtype is F32 or d.dtype is F64) and d.flags.c_contiguous
    return d if whole and not config.DISABLE_JIT else None


def record_unary_within(kernel, make, uses, self, p=0.0, q=0.0):
    """self = f(self, p, q), recorded by the node that ``make`` gives for its operand; returns whether it could.

    The node saves what ``uses`` names: ``"o"`` the result, ``"a"`` the operand (a copy is made), ``""`` nothing. A sum
    and ReLU in place, 16 x 64 x 32 x 32 on one thread, forward and backward 1.07 -> 1.50 of PyTorch's speed beside a
    new result that is copied to its place; SiLU 1.04 -> 1.44, ReLU6 forward alone 0.50 -> 1.01.
    """
    d = recorded_array(self)
    if d is None:
        return False
    before = self
    if uses == "a":
        before = wrap(contiguous_copy(d))
        before._rg, before._node, before._nr = True, self._node, self._nr
    step = make(before)
    if not run_within(kernel, d, d, d, p, q):
        return False
    self._bump()
    step.attach(self)
    if uses:
        step.save(before)
    return True


def unary_within(kernel, node=None):
    """The short way of a one-operand operation; node: the class that records it, or None."""

    def within(self):
        d = open_array(self)
        if d is None:
            return node is not None and record_unary_within(kernel, node, node.uses, self)
        if not run_within(kernel, d, d, d):
            return False
        self._bump()
        return True

    return within


def activation_within(kernel, node, uses="a"):
    """The short way of an activation with parameters p and q; see :func:`record_unary_within`."""

    def within(self, p=0.0, q=0.0):
        def make(before):
            step = node(before)
            step.p, step.q = p, q
            return step

        d = open_array(self)
        if d is None:
            return record_unary_within(kernel, make, uses, self, p, q)
        if not run_within(kernel, d, d, d, p, q):
            return False
        self._bump()
        return True

    return within


def _record_binary_within(kernel, node, self, other):
    """self = f(self, other), recorded; returns whether it could: not where the gradient needs what is overwritten."""
    d = recorded_array(self)
    if d is None:
        return False
    if isinstance(other, Tensor):
        if np.may_share_memory(d, other._data):
            return False
        step = node(self, other)
    else:
        step = node(self, None)
    if "a" in step.reads():
        return False
    if isinstance(other, Tensor):
        done = run_within(kernel, d, other._data, other._data)
    else:
        done = run_within(kernel.right, d, d, d, finite_float(other))
    if done:
        self._bump()
        step.attach(self)
        step.record(self, other, self)
    return done


def binary_within(kernel, integer, numbers, node=None):
    """The short way of a two-operand operation: see :func:`tnn.ops._elementwise.binary_op` for the arguments."""
    right = kernel.right

    def within(self, other):
        d = open_array(self)
        tensor = isinstance(other, Tensor)
        if d is None or (tensor and other._rg and mode.grad):
            able = node is not None and (tensor or (numbers and is_number(other)))
            return able and _record_binary_within(kernel, node, self, other)
        if tensor:
            y = other._data
            done = run_within(kernel, d, y, y) or (integer in _SAFE and integers_within(integer, d, y))
            done = done or (integer in TESTS and bools_within(integer, d, y))
        elif not numbers or not is_number(other):
            return False
        elif d.dtype is F32 or d.dtype is F64:
            done = run_within(right, d, d, d, finite_float(other))
        else:
            done = integer in _SAFE and integers_within(integer, d, other)
        if done:
            self._bump()
        return done

    return within


def bools_within(function, d, *others):
    """d = function(d, ...) for bools, with one of NumPy's functions: returns whether it could."""
    if type(d) is not np.ndarray or d.dtype.kind != "b" or 0 in d.strides or not d.flags.writeable:
        return False
    for y in others:
        if type(y) is not np.ndarray or y.dtype is not d.dtype or broadcast(d.shape, y.shape) != d.shape:
            return False
    function(d, *others, out=d)
    return True


def integers_between(d, low, high):
    """d within [low, high] for integers, the limits ints that it can hold: returns whether it could."""
    if config.DISABLE_JIT or d.dtype not in WHOLE or d.size < GRAIN or type(d) is not np.ndarray:
        return False
    if not d.flags.c_contiguous or not d.flags.writeable:
        return False
    low, high = np.asarray(low, d.dtype), np.asarray(high, d.dtype)
    dims = plan_at(d.shape, *((x.shape, x.strides, x.itemsize) for x in (d, low, high)))
    integer_kernels.between_forward.into(d, low, high, dims)
    return True


def integers_within(function, d, y):
    """d = function(d, y) for integers, y an ndarray of the same dtype or an int that it can hold."""
    if type(d) is not np.ndarray or d.dtype.kind not in "iu" or 0 in d.strides:
        return False
    if type(y) is int:
        info = np.iinfo(d.dtype)
        if not info.min <= y <= info.max:
            return False
        y = np.asarray(y, d.dtype)
    elif type(y) is not np.ndarray or y.dtype is not d.dtype or broadcast(d.shape, y.shape) != d.shape:
        return False
    kernel = whole_kernel(function, d.dtype, d.size)
    if kernel is not None and d.flags.c_contiguous and d.flags.writeable and (y is d or not np.may_share_memory(d, y)):
        dims = plan_at(d.shape, *((x.shape, x.strides, x.itemsize) for x in (d, y)))
        if dims is not None and dims[-1, 1] == 1:
            kernel.into(d, y, y, dims)
            return True
    function(d, y, out=d)
    return True
