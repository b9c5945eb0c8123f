"""Comparisons, logical and bitwise operations."""

import numpy as np

from ..kernels import pointwise_compare as kernels
from ..tensor import Tensor, wrap
from ._common import check_tensors, into
from ._elementwise import (
    as_array,
    binary_doc,
    binary_op,
    broadcast,
    by_numpy,
    inplace_operator,
    operator,
    run2,
    working,
)


def _compare(name, kernel, integer, sign):
    doc = f"Whether input {sign} other, element by element; false where either is NaN."
    if sign == "!=":
        doc = "Whether input != other, element by element; true where either is NaN."
    return binary_op(name, kernel, integer, None, doc, numbers="other", result="bool.")


eq = _compare("eq", kernels.eq_forward, np.equal, "==")
ne = _compare("ne", kernels.ne_forward, np.not_equal, "!=")
lt = _compare("lt", kernels.lt_forward, np.less, "<")
le = _compare("le", kernels.le_forward, np.less_equal, "<=")
gt = _compare("gt", kernels.gt_forward, np.greater, ">")
ge = _compare("ge", kernels.ge_forward, np.greater_equal, ">=")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def equal(input, other):
    """Whether two tensors have one shape and equal elements (False for NaN): a Python bool.

    Args:
        input, other: tensors of any shape and dtype.

    Raises:
        TypeError: an argument is not a tensor.
    """
    check_tensors("equal", input=input, other=other)
    return input._data.shape == other._data.shape and bool(eq(input, other)._data.all())


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |input - other| <= atol + rtol |other|, element by element.

    Args:
        input, other: tensors of one dtype; their shapes broadcast.
        rtol, atol: relative and absolute tolerance, not negative.
        equal_nan: whether NaN is close to NaN.

    Shape:
        that to which the operands broadcast; the result is of bool dtype.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the dtypes differ, a tolerance is negative, or the shapes do not broadcast.
    """
    check_tensors("isclose", input=input, other=other)
    if input._data.dtype != other._data.dtype:
        raise RuntimeError(f"{input.dtype.torch_name} did not match {other.dtype.torch_name}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose expects rtol and atol not to be negative, but got {rtol} and {atol}")
    kind = np.dtype(np.float64) if input.dtype.kind < 2 else working(input._data.dtype)
    kernel = kernels.isclose_nan_forward if equal_nan else kernels.isclose_forward
    return wrap(run2(kernel, as_array(input, kind), as_array(other, kind), float(rtol), float(atol)))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |input - other| <= atol + rtol |other| for all elements: a Python bool.

    Args:
        input, other: tensors of one dtype; their shapes broadcast.
        rtol, atol: relative and absolute tolerance, not negative.
        equal_nan: whether NaN is close to NaN.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the dtypes differ, a tolerance is negative, or the shapes do not broadcast.
    """
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


# ---------------------------------------------------------------------------------------------- logical


def _logical(name, function, doc):
    def op(input, other, *, out=None):
        if not isinstance(input, Tensor) or not isinstance(other, Tensor):
            bad = other if isinstance(input, Tensor) else input
            raise TypeError(f"{name}(): arguments 'input' and 'other' must be Tensors, not {type(bad).__name__}")
        x, y = (t._data if t.dtype.kind < 2 else ne(t, 0.0)._data for t in (input, other))
        broadcast(x.shape, y.shape)
        result = wrap(np.asarray(function(x, y)))
        return result if out is None else into(out, result, name)

    op.__name__ = op.__qualname__ = name
    op.__module__ = "tnn"
    op.__doc__ = binary_doc(f"{doc} of the elements' truth (not zero).", "", result="bool.")
    return op


logical_and = _logical("logical_and", np.logical_and, "Conjunction")
logical_or = _logical("logical_or", np.logical_or, "Disjunction")
logical_xor = _logical("logical_xor", np.logical_xor, "Exclusive disjunction")


# ---------------------------------------------------------------------------------------------- bitwise


def _bitwise(name, function, kinds, doc):
    def op(input, other, *, out=None):
        return by_numpy(name, function, input, other, out, kinds)

    op.__name__ = op.__qualname__ = name
    op.__module__ = "tnn"
    integers = "integer or bool" if 0 in kinds else "integer"
    op.__doc__ = f"""{doc}

    Args:
        input, other: tensors or numbers of {integers} type, at least one a tensor; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast; the dtype is that to which theirs promote.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        NotImplementedError: the dtype is not of {integers} type.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return op


def _left_shift(x, y):
    bits = 8 * x.dtype.itemsize
    if y.ndim == 0 and 0 <= y < bits:
        return np.left_shift(x, y)
    return np.where((y >= bits) | (y < 0), x.dtype.type(0), np.left_shift(x, np.clip(y, 0, bits - 1)))


def _right_shift(x, y):
    bits = 8 * x.dtype.itemsize
    if y.ndim == 0 and 0 <= y < bits:
        return np.right_shift(x, y)
    return np.right_shift(x, np.where((y >= bits) | (y < 0), x.dtype.type(bits - 1), y))


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, (0, 1), "input & other.")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, (0, 1), "input | other.")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, (0, 1), "input ^ other.")
bitwise_left_shift = _bitwise("bitwise_left_shift", _left_shift, (1,), "input << other.")
bitwise_right_shift = _bitwise("bitwise_right_shift", _right_shift, (1,), "input >> other, keeping the sign.")


def bitwise_not(input, *, out=None):
    """The complement: ~input, for bool the negation.

    Args:
        input: tensor of any shape, of integer or bool type.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is of floating point.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensors("bitwise_not", input=input)
    if input.dtype.kind == 2:
        raise NotImplementedError(f"\"bitwise_not\" not implemented for '{input.dtype.torch_name}'")
    result = wrap(np.asarray(np.invert(input._data)))
    return result if out is None else into(out, result, "bitwise_not", input)


# ---------------------------------------------------------------------------------------------- operators

def _equality(op):
    """Its special method, which takes NumPy's arrays too."""
    plain = operator(op)

    def method(self, other):
        return plain(self, wrap(other) if isinstance(other, np.ndarray) else other)

    method.__name__, method.__doc__ = plain.__name__, plain.__doc__
    return method


op_eq, op_ne = _equality(eq), _equality(ne)
op_lt, op_le, op_gt, op_ge = map(operator, (lt, le, gt, ge))
op_and, op_or, op_xor = map(operator, (bitwise_and, bitwise_or, bitwise_xor))
op_lshift, op_rshift = map(operator, (bitwise_left_shift, bitwise_right_shift))
op_iand, op_ior, op_ixor = map(inplace_operator, (bitwise_and, bitwise_or, bitwise_xor))
op_ilshift, op_irshift = map(inplace_operator, (bitwise_left_shift, bitwise_right_shift))


def op_rand(self, other):
    """other & self."""
    return op_and(self, other)


def op_ror(self, other):
    """other | self."""
    return op_or(self, other)


def op_rxor(self, other):
    """other ^ self."""
    return op_xor(self, other)
