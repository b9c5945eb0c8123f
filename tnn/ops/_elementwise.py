"""What elementwise operations share: type promotion, broadcasting, and the nodes of two- and three-operand operations.

An operation of two operands is one row of data: a kernel for floating point, a NumPy function for integers and bools,
and the two partial derivatives (see :class:`Rule`). :func:`binary_op` makes the public function of it.
"""

import math
from functools import lru_cache

import numpy as np
from numba.core import config

from .. import dtypes
from ..autograd.autocast import active
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels._elementwise import WHOLE
from ..kernels._jit import GRAIN
from ..kernels._pool import empty
from ..kernels._walk import plan, plan_at
from ..tensor import Tensor, wrap
from ._common import (
    F32,
    F64,
    HALF,
    WITHIN,
    broadcast,
    in_memory_order,
    inplace,
    into,
    is_number,
    memory_order,
    row_major,
)
from ._common import finite_float as finite_float
from ._within import TESTS, binary_within, unary_within, whole_kernel
from .cast import convert

BOOL = np.dtype(np.bool_)
_FLOATING = frozenset((F32, F64, *HALF))
# From so many elements on, half precisions have loops of their own.
_HALVES = 1024
# Runs of fewer elements are worth a copy without the gaps first.
_SHORT = 8

# ------------------------------------------------------------------------------------------ what docstrings say alike

_INTO = "``out`` cannot hold the result's dtype, repeats memory, or gradients are recorded"
_OPERANDS = {
    "both": "tensors or numbers, at least one a tensor; their shapes broadcast.",
    "other": "tensors, ``other`` also a number; their shapes broadcast.",
    "": "tensors; their shapes broadcast.",
}
_ONE_INTEGER = {
    "float": "any dtype; integers and bool are computed in the default floating-point dtype.",
    None: "a floating-point dtype.",
}
_TWO_INTEGER = {
    True: "that to which the operands' dtypes promote, floating point in place of integers.",
    False: "that to which the operands' dtypes promote.",
}
_REFUSES = {
    True: "NotImplementedError: the dtype is an integer one or bool.",
    False: "NotImplementedError: there is no such operation for the dtype, as for bool in some.",
}


def unary_doc(first, integer):
    """The docstring of a one-operand operation; for ``integer`` see :func:`unary_data`."""
    kinds = _ONE_INTEGER.get(integer, "a floating-point or integer dtype, which the result has too.")
    refuses = "" if integer == "float" else f"\n        {_REFUSES[integer is None]}"
    return f"""{first}

    Args:
        input: tensor of any shape and of {kinds}
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.{refuses}
        RuntimeError: {_INTO}.
    """


def binary_doc(first, numbers="both", always_float=False, refuses=False, result=None):
    """The docstring of a two-operand operation.

    Args:
        first: its first line.
        numbers, always_float: see :func:`binary_op`.
        refuses: whether there is no such operation for integers.
        result: the result's dtype, where it is not the operands'.
    """
    refused = f"\n        {_REFUSES[True]}" if refuses else ""
    return f"""{first}

    Args:
        input, other: {_OPERANDS[numbers]}
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast; the dtype is {result or _TWO_INTEGER[always_float]}

    Raises:
        TypeError: an operand is neither a tensor nor, where allowed, a number.
        RuntimeError: the shapes do not broadcast; or {_INTO}.{refused}
    """


# ---------------------------------------------------------------------------------------------- shapes and types


def promoted(*operands):
    """The dtype in which operands, tensors and numbers, meet."""
    dim = zero = scalar = None
    for x in operands:
        if isinstance(x, Tensor):
            if x._data.ndim:
                dim = x.dtype if dim is None else dtypes.promote_types(dim, x.dtype)
            else:
                zero = x.dtype if zero is None else dtypes.promote_types(zero, x.dtype)
        else:
            kind = dtypes.of_scalar(x)
            scalar = kind if scalar is None else dtypes.promote_types(scalar, kind)
    return dtypes.result_of(dim, zero, scalar)


def result_type(tensor1, tensor2):
    """The dtype that an operation on two operands has as its result: of tensors with dimensions, those without and
    numbers, the first kind decides, the others only where they are of a higher category (bool, integer, float).

    Args:
        tensor1, tensor2: tensors or numbers.

    Raises:
        TypeError: an operand is neither.

    >>> import tnn
    >>> tnn.result_type(tnn.tensor([1, 2], dtype=tnn.int32), 1.0)
    tnn.float32
    """
    for argument, value in (("tensor1", tensor1), ("tensor2", tensor2)):
        if not isinstance(value, Tensor) and not is_number(value):
            got = type(value).__name__
            raise TypeError(f"result_type(): argument '{argument}' must be Tensor or Number, not {got}")
    return promoted(tensor1, tensor2)


def to_float(dtype):
    """A floating-point dtype as it is, the default one in place of integers and bool."""
    return dtype if dtype.kind == 2 else dtypes.get_default_dtype()


def as_array(operand, np_dtype):
    """An operand's ndarray in a dtype; a number as an array without dimensions."""
    if isinstance(operand, Tensor):
        d = operand._data
        return d if d.dtype == np_dtype else convert(d, np_dtype)
    with np.errstate(over="ignore"):
        if np_dtype.kind in "iu" and isinstance(operand, int | np.integer | np.bool_):
            bits = 8 * np_dtype.itemsize
            return np.array(int(operand) % (1 << bits), np.dtype(f"u{np_dtype.itemsize}")).astype(np_dtype)
        return np.array(operand).astype(np_dtype)


def working(np_dtype):
    """The dtype in which a kernel works for this one: half precisions are computed in float32."""
    return F32 if np_dtype in HALF else np_dtype


# ---------------------------------------------------------------------------------------------- running kernels


def _packed(d):
    """An operand in row-major order, without the dimensions along which it merely repeats: those get size 1 again."""
    if d.flags.c_contiguous:
        return d
    if 0 in d.strides:
        d = d[tuple(slice(0, 1) if s == 0 and n > 1 else slice(None) for s, n in zip(d.strides, d.shape, strict=True))]
    return row_major(d)


def _turned(shape, *operands):
    """Operands with their dimensions in the order of the result's in memory, and the axes that turn the result back;
    the operands as they are and None where that order is the rows' own."""
    ndim = len(shape)
    strides = []
    for d in operands:
        own = (s if n == m else 0 for s, n, m in zip(d.strides, d.shape, shape[ndim - d.ndim :], strict=True))
        strides.append((*(0,) * (ndim - d.ndim), *own))
    order = memory_order(shape, *strides)
    if order is None:
        return *operands, None
    full = (d if d.ndim == ndim else d.reshape((1,) * (ndim - d.ndim) + d.shape) for d in operands)
    return *(d.transpose(order[0]) for d in full), order[1]


def in_order_of(g, s):
    """An ndarray with its elements in the order in memory that those of another one of its shape have, a copy where it
    has another order: a gradient is wanted as its leaf lies, and would be copied after the kernel has run through both
    out of step. (relu6 of 1000 x 1000 transposed floats, forward and backward on one thread, took 440 us and takes 307
    since that and the leaf's copy are spared.)"""
    if g.strides == s.strides or g.size < 4096 or g.shape != s.shape:
        return g
    order = memory_order(s.shape, s.strides)
    if memory_order(g.shape, g.strides, s.strides) == order:
        return g
    return row_major(g) if order is None else row_major(g.transpose(order[0])).transpose(order[1])


def run1(kernel, x, p=0.0, q=0.0):
    """A kernel of one array on an ndarray. As run2 and run3, it gives the result the order of dimensions in memory that
    the operands have (:func:`memory_order`)."""
    out = kernel.small(x, p, q)
    if out is not None:
        return out
    out = None if x.flags.c_contiguous else _over_gaps(kernel, p, q, x)
    if out is not None:
        return out
    x, turned = in_memory_order(x)
    x = x if x.flags.c_contiguous else row_major(x)
    out = empty(x.shape, kernel.result or x.dtype)
    kernel(x.ravel(), out.ravel(), p, q)
    return out if turned is None else out.transpose(turned)


@lru_cache(4096)
def _layout(*operands):
    """How a kernel walks through operands with gaps, each a shape, strides and the size of an element.

    Returns:
        The shape of the result as it lies in memory, the axes that turn it back (None where there is nothing to turn),
        the dimensions (:func:`plan_at`) and whether the innermost one is short; None instead of all where copies
        without the gaps have to be made first.
    """
    shape = broadcast(*(sizes for sizes, _, _ in operands))
    ndim = len(shape)
    if 0 in shape:
        return None
    full = []
    for sizes, strides, item in operands:
        own = [0 if n == 1 else s for s, n in zip(strides, sizes, strict=True)]
        full.append(([1] * (ndim - len(sizes)) + list(sizes), [0] * (ndim - len(sizes)) + own, item))
    order = memory_order(shape, *(tuple(strides) for _, strides, _ in full))
    turned = None
    if order is not None:
        turn, turned = order
        shape = tuple(shape[i] for i in turn)
        full = [([sizes[i] for i in turn], [strides[i] for i in turn], item) for sizes, strides, item in full]
    dims = plan_at(shape, *((tuple(sizes), tuple(strides), item) for sizes, strides, item in full))
    # a loop over one operand has no way to read one element again and again
    if dims is None or (len(operands) == 1 and dims[-1, 1] == 0):
        return None
    return shape, turned, dims, len(dims) > 1 and dims[-1, 0] < _SHORT


def _over_gaps(kernel, p, q, *operands):
    """The result of a kernel that walks through operands with gaps as they lie; None where that is not possible."""
    if config.DISABLE_JIT:
        return None
    for x in operands:
        if type(x) is not np.ndarray:
            return None
    found = _layout(*[(x.shape, x.strides, x.itemsize) for x in operands])
    if found is None or found[3]:
        return None
    shape, turned, dims, _ = found
    out = empty(shape, kernel.result or operands[-1].dtype)
    kernel.apart(out, operands[0], operands[-2 if len(operands) == 3 else -1], operands[-1], dims, p, q)
    return out if turned is None else out.transpose(turned)


def run2(kernel, x, y, p=0.0, q=0.0):
    """A kernel of two arrays on ndarrays of one dtype, float32 or float64, that broadcast."""
    out = kernel.small(x, y, p, q)
    if out is not None:
        return out
    shape, turned = x.shape, None
    if x.flags.c_contiguous and y.flags.c_contiguous:
        if shape == y.shape:
            out = empty(shape, kernel.result or x.dtype)
            kernel(x.ravel(), y.ravel(), out.ravel(), p, q)
            return out
        shape = broadcast(shape, y.shape)
    else:
        out = _over_gaps(kernel, p, q, x, y)
        if out is not None:
            return out
        shape = broadcast(shape, y.shape)
        x, y, turned = _turned(shape, x, y)
        shape = shape if turned is None else broadcast(x.shape, y.shape)
    out = empty(shape, kernel.result or x.dtype)
    x, y = _packed(x), _packed(y)
    if x.shape == y.shape == shape:
        kernel(x.ravel(), y.ravel(), out.ravel(), p, q)
    else:
        b = y.ravel()
        kernel.strided(out.ravel(), x.ravel(), b, b, plan(shape, x.shape, y.shape), p, q)
    return out if turned is None else out.transpose(turned)


def run3(kernel, x, y, z, p=0.0, q=0.0):
    """A kernel of three arrays on ndarrays that broadcast."""
    out = kernel.small(x, y, z, p, q)
    if out is not None:
        return out
    shape, turned = broadcast(x.shape, y.shape, z.shape), None
    if not (x.flags.c_contiguous and y.flags.c_contiguous and z.flags.c_contiguous):
        out = _over_gaps(kernel, p, q, x, y, z)
        if out is not None:
            return out
        x, y, z, turned = _turned(shape, x, y, z)
        shape = shape if turned is None else broadcast(x.shape, y.shape, z.shape)
    out = empty(shape, kernel.result or z.dtype)
    x, y, z = _packed(x), _packed(y), _packed(z)
    if x.shape == y.shape == z.shape == shape:
        kernel(x.ravel(), y.ravel(), z.ravel(), out.ravel(), p, q)
    else:
        dims = plan(shape, x.shape, y.shape, z.shape)
        kernel.strided(out.ravel(), x.ravel(), y.ravel(), z.ravel(), dims, p, q)
    return out if turned is None else out.transpose(turned)


def run_half(kernel, *operands, p=0.0, q=0.0):
    """A kernel on ndarrays of one half precision that broadcast; None where it is better to convert them first, or
    operands are of other dtypes. In one pass: the sum of 2^19 bfloat16 took 245 us by way of float32 in blocks, and
    takes 75."""
    kind = operands[-1].dtype
    if kind not in HALF or config.DISABLE_JIT:
        return None
    for x in operands:
        if type(x) is not np.ndarray or x.dtype is not kind:
            return None
    # for few elements, what is compiled for float32 will do
    if max(x.size for x in operands) < _HALVES and math.prod(broadcast(*(x.shape for x in operands))) < _HALVES:
        return None
    return _over_gaps(kernel, p, q, *operands)


def straight(kernel, out, tensors, p=0.0, q=0.0):
    """Writes the result of a kernel into ``out``, the tensor that an operation was given for it; returns whether it
    could: nothing is to be recorded, cast, resized, turned, warned of or refused. (add of 2^19 floats and a copy of the
    result: 110 us, straight into ``out`` 36.)"""
    if not isinstance(out, Tensor) or config.DISABLE_JIT or active.n or (mode.grad and out._rg):
        return False
    d = out._data
    if type(d) is not np.ndarray or not d.flags.c_contiguous or not d.flags.writeable or not d.size:
        return False
    arrays = []
    for t in tensors:
        x = t._data
        if (mode.grad and t._rg) or type(x) is not np.ndarray or np.may_share_memory(d, x):
            return False
        arrays.append(x)
    kind = arrays[-1].dtype
    if kind not in _FLOATING and kind not in WHOLE:
        return False
    if d.dtype != (kernel.result or kind) or any(x.dtype is not kind for x in arrays[1 if kernel.first else 0 :]):
        return False
    if kernel.first is not None and arrays[0].dtype != kernel.first:
        return False
    found = _layout(*[(x.shape, x.strides, x.itemsize) for x in arrays])
    if found is None or found[1] is not None or found[0] != d.shape:
        return False
    kernel.apart(d, arrays[0], arrays[-2 if len(arrays) == 3 else -1], arrays[-1], found[2], p, q)
    out._bump()
    return True


def straight1(kernel, out, input, p=0.0, q=0.0):
    """The same for one tensor of a floating-point dtype."""
    return isinstance(input, Tensor) and input._data.dtype in _FLOATING and straight(kernel, out, (input,), p, q)


def _straight2(op, kernel, integer, input, other, out):
    """The same for an operation of two operands, see :func:`binary_op`."""
    if not isinstance(input, Tensor) or input is other:
        return False
    if out is input:
        return op in WITHIN and WITHIN[op](input, other)
    kind = input._data.dtype
    floating = kind in _FLOATING
    if isinstance(other, Tensor):
        if not floating and integer in _PLAIN and isinstance(out, Tensor):
            kernel = whole_kernel(integer, kind, out._data.size)
            return kernel is not None and straight(kernel, out, (input, other))
        return floating and straight(kernel, out, (input, other))
    return floating and is_number(other) and straight(kernel.right, out, (input,), finite_float(other))


def run_float(kernel, x, p=0.0, q=0.0):
    """A kernel of one array on an ndarray of any floating-point dtype, which the result has too."""
    if x.dtype not in HALF:
        return run1(kernel, x, p, q)
    data = run_half(kernel, x, p=p, q=q)
    if data is None:
        data = run1(kernel, convert(x, F32), p, q)
    return data if data.dtype == BOOL else convert(data, x.dtype)


# ---------------------------------------------------------------------------------------------- one operand


class UnaryRule(Node):
    """Base of the nodes of one-operand operations: ``derivative(g, s)`` in Tensor operations, s being what ``uses``
    names: ``"a"`` the operand, ``"o"`` the output, ``""`` nothing."""

    __slots__ = ()

    uses = ""
    derivative = None

    def backward(self, grad):
        return self.derivative(grad, self.saved_tensor() if self.uses else None)


def unary_node(name, uses, derivative):
    """The node class of a one-operand operation; derivative None: there is none."""
    if derivative is None:
        return type(name.title(), (Node,), {"__slots__": (), "uses": ""})
    return type(name.title(), (UnaryRule,), {"__slots__": (), "uses": uses, "derivative": staticmethod(derivative)})


def record1(node, input, result):
    """Records a one-operand operation."""
    step = node(input)
    result._rg, result._node = True, step
    if node.uses == "a":
        step.save(input)
    elif node.uses == "o":
        step.save(result)


def unary_data(name, kernel, integer, input):
    """The ndarray of a one-operand operation on a tensor of any type.

    Args:
        integer: what to do with integers and bool: "float" (compute in floating point), a function of an ndarray, or
            None (refuse).
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    x = input._data
    kind = x.dtype
    if kind.kind in "biu":
        if integer == "float":
            kind = dtypes.get_default_dtype().np
            data = run1(kernel, as_array(input, working(kind)))
            return data if kind == data.dtype or data.dtype == BOOL else convert(data, kind)
        if integer is None:
            raise NotImplementedError(f"\"{name}\" not implemented for '{input.dtype.torch_name}'")
        return np.asarray(integer(x))
    return run_float(kernel, x)


def unary_op(name, kernel, uses, derivative, doc, integer="float"):
    """The public function of a one-operand operation; for the arguments see :func:`unary_node`, :func:`unary_data`."""
    node = unary_node(name, uses, derivative)

    def op(input, *, out=None):
        if out is not None and straight1(kernel, out, input):
            return out
        data = kernel.small(input._data) if isinstance(input, Tensor) else None
        if data is None:
            data = unary_data(name, kernel, integer, input)
        result = wrap(data)
        if input._rg and mode.grad:
            record1(node, input, result)
        return result if out is None else into(out, result, name, input)

    op.node = node
    WITHIN[op] = unary_within(kernel, node)
    op.__name__ = op.__qualname__ = name
    op.__module__ = "tnn"
    op.__doc__ = unary_doc(doc, integer if integer is None or integer == "float" else "kept")
    return op


_OUT_OF_TESTS = """
        out: bool tensor to write the result to, or None."""
_ERROR_OF_TESTS = """
        RuntimeError: ``out`` is not of bool dtype."""


def predicate_op(name, kernel, integer, doc, with_out=False):
    """The public function of a test of each element; ``integer`` is the test for integer and bool ndarrays."""

    def op(input):
        return wrap(unary_data(name, kernel, integer, input))

    def op_with_out(input, *, out=None):
        if out is not None and straight1(kernel, out, input):
            return out
        result = wrap(unary_data(name, kernel, integer, input))
        return result if out is None else into(out, result, name, input)

    if with_out:
        op = op_with_out
    op.__name__ = op.__qualname__ = name
    op.__module__ = "tnn"
    op.__doc__ = f"""{doc}

    Args:
        input: tensor of any shape and dtype.{_OUT_OF_TESTS if with_out else ""}

    Shape:
        that of ``input``; the result is of bool dtype.

    Raises:
        TypeError: ``input`` is not a tensor.{_ERROR_OF_TESTS if with_out else ""}
    """
    return op


# ---------------------------------------------------------------------------------------------- two operands


class Rule(Node):
    """Base of the nodes of two-operand operations.

    A subclass gives the partial derivatives as methods ``da(g, a, b, out)`` and ``db(g, a, b, out)``, written with
    Tensor operations, and in ``uses_a``, ``uses_b`` which of ``"a"``, ``"b"``, ``"o"`` (the output) each of them reads.
    Operands that are numbers arrive as numbers.
    """

    __slots__ = ("a", "b")  # an operand's shape and dtype where its gradient is reduced to them; an operand's number

    uses_a = uses_b = ""

    def da(self, g, a, b, out):
        """The gradient of the first operand, before it is summed to its shape."""
        raise RuntimeError(f"{self.name()}: derivative with respect to the first operand is not implemented")

    def db(self, g, a, b, out):
        """The gradient of the second operand."""
        raise RuntimeError(f"{self.name()}: derivative with respect to the second operand is not implemented")

    def reads(self):
        """What the wanted derivatives read: a part of ``"abo"``."""
        to_a, to_b = self.next
        return self.uses_b if to_a is None else self.uses_a if to_b is None else self.uses_a + self.uses_b

    def record(self, a, b, out):
        """Attaches the output and saves what the wanted derivatives read."""
        out._rg, out._node = True, self
        to_a, to_b = self.next
        uses = self.reads()
        self.a = self.b = None
        keep_a = keep_b = None
        d = out._data
        shape, kind = d.shape, d.dtype
        if isinstance(a, Tensor):
            d = a._data
            if to_a is not None and (d.dtype is not kind or d.shape != shape):
                self.a = d.shape, d.dtype
            if "a" in uses:
                keep_a = a
        else:
            self.a = a
        if isinstance(b, Tensor):
            d = b._data
            if to_b is not None and (d.dtype is not kind or d.shape != shape):
                self.b = d.shape, d.dtype
            if "b" in uses:
                keep_b = b
        else:
            self.b = b
        if uses:
            self.save(keep_a, keep_b, out if "o" in uses else None)
        return out

    def backward(self, grad):
        a = b = out = None
        if self.saved or self.saved is None:
            a, b, out = self.saved_tensors()
        ga = gb = None
        to_a, to_b = self.next
        if to_a is None and a is None:
            a = self.a
        if to_b is None and b is None:
            b = self.b
        if to_a is not None:
            ga = self.da(grad, a, b, out)
            if self.a is not None:
                ga = reduced(ga, self.a)
        if to_b is not None:
            gb = self.db(grad, a, b, out)
            if self.b is not None:
                gb = reduced(gb, self.b)
        return ga, gb


def reduced(grad, target):
    """A gradient summed to the shape and cast to the dtype of an operand, ``target`` being both of these."""
    if grad is None:
        return None
    shape, np_dtype = target
    d = grad._data
    if d.shape != shape:
        lead = d.ndim - len(shape)
        dims = (*range(lead), *(i + lead for i, s in enumerate(shape) if s == 1 and d.shape[i + lead] != 1))
        if dims:
            grad = grad.sum(dims, keepdim=True)
        if grad._data.shape != shape:
            grad = grad.reshape(shape)
    if grad._data.dtype != np_dtype:
        grad = grad.to(dtypes.FROM_NUMPY[np_dtype])
    return grad


def _check_operands(name, input, other):
    for argument, value in (("input", input), ("other", other)):
        if not isinstance(value, Tensor) and not is_number(value):
            raise TypeError(f"{name}(): argument '{argument}' must be Tensor or Number, not {type(value).__name__}")
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")


# Operations that take two numbers as well.
_OF_NUMBERS = {"add", "sub", "mul", "div", "true_divide", "floor_divide"}


def _general_half(kernel, kind, input, other):
    """:func:`general` for tensors of one half precision, or one and a number; None for others."""
    if isinstance(input, Tensor) and input._data.dtype is kind:
        if isinstance(other, Tensor):
            return run_half(kernel, input._data, other._data)
        if hasattr(kernel, "right"):
            return run_half(kernel.right, input._data, p=finite_float(other))
    return None


def general(name, kernel, integer, input, other, always_float=False):
    """The ndarray of an operation on two operands of any types, by way of the dtype in which they meet."""
    if name in _OF_NUMBERS and is_number(input) and is_number(other):
        input, other = (wrap(np.asarray(x, dtypes.of_scalar(x).np)) for x in (input, other))
    _check_operands(name, input, other)
    dtype = promoted(input, other)
    if always_float:
        dtype = to_float(dtype)
    kind = dtype.np
    if dtype.kind == 2:
        if kind in HALF:
            data = _general_half(kernel, kind, input, other)
            if data is not None:
                return data
        work = working(kind)
        data = run2(kernel, as_array(input, work), as_array(other, work))
        return data if work == kind or data.dtype == BOOL else convert(data, kind)
    if integer is None:
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtype.torch_name}'")
    x, y = as_array(input, kind), as_array(other, kind)
    broadcast(x.shape, y.shape)
    plain = integer if integer in _PLAIN else WITHOUT_BOOLS.get(integer) if kind.kind != "b" else None
    if plain is not None:
        data = whole(plain, x, y)
        if data is not None:
            return data
    with np.errstate(all="ignore"):
        data = np.asarray(integer(x, y))
    return data if data.dtype in (kind, BOOL) else data.astype(kind)


# Functions of NumPy's whose result has the operands' dtype, and those whose result is of bools.
_KEEPING = {np.add, np.multiply, np.maximum, np.minimum, np.bitwise_and, np.bitwise_or, np.bitwise_xor}
_PLAIN = _KEEPING | TESTS
# Functions that refuse bools, and what they do with integers.
WITHOUT_BOOLS: dict = {}


def whole(function, x, y):
    """What one of NumPy's functions gives for an ndarray of integers or bools and another of its dtype, or an int: into
    memory of the pool, which spares the system's fresh pages. None for operands of another kind."""
    kind = x.dtype
    if kind.kind not in "biu" or type(x) is not np.ndarray:
        return None
    if type(y) is int:
        if kind.kind == "b":
            return None
        try:
            y = np.asarray(y, kind)
        except OverflowError:
            return None
    elif type(y) is not np.ndarray or y.dtype is not kind:
        return None
    shape = broadcast(x.shape, y.shape)
    kernel = whole_kernel(function, kind, math.prod(shape))
    if kernel is not None:
        found = _over_gaps(kernel, 0.0, 0.0, x, y)
        if found is not None:
            return found
    if not (x.flags.c_contiguous and y.flags.c_contiguous):
        return np.asarray(function(x, y))
    return function(x, y, out=empty(shape, BOOL if function in TESTS else kind))


def by_threads(kernel, function):
    """A function of NumPy's of one ndarray, by a kernel where that is of many integers."""

    def run(x):
        data = None
        if x.dtype in WHOLE and x.dtype.kind != "b" and x.size >= GRAIN:
            data = _over_gaps(kernel, 0.0, 0.0, x)
        return function(x) if data is None else data

    return run


def whole3(kernel, x, y, z):
    """A kernel of three arrays on ndarrays of integers or bools of one dtype that broadcast; None where they are few:
    then NumPy's functions do."""
    if x.dtype not in WHOLE or math.prod(broadcast(x.shape, y.shape, z.shape)) < GRAIN:
        return None
    return _over_gaps(kernel, 0.0, 0.0, x, y, z) if x.dtype is y.dtype is z.dtype else None


def binary_op(name, kernel, integer, node, doc, always_float=False, numbers="both", result=None):
    """The public function of a two-operand operation.

    Args:
        name: its name.
        kernel: the kernel for float32 and float64.
        integer: the function of two ndarrays for integers and bool, or None where there is none.
        node: the subclass of :class:`Rule`, or None where there is no derivative (comparisons).
        doc: the docstring's first line.
        always_float: integers and bools are turned to floating point first.
        numbers: which operand may be a number: "both" (either), "other" or "".
        result: what the docstring says of the result's dtype, where it is not the operands'.
    """
    right, left = kernel.right, kernel.left

    def op(input, other, *, out=None):
        if out is not None and _straight2(op, kernel, integer, input, other, out):
            return out
        a = input if isinstance(input, Tensor) else None
        b = other if isinstance(other, Tensor) else None
        data = None
        if a is not None and b is not None:
            data = kernel.small(a._data, b._data)
            if data is None:
                kind = a._data.dtype
                if kind is b._data.dtype:
                    if kind is F32 or kind is F64:
                        data = run2(kernel, a._data, b._data)
                    elif integer in _PLAIN:
                        data = whole(integer, a._data, b._data)
        elif a is not None:
            if not numbers or not is_number(other):
                raise TypeError(f"{name}(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}")
            if a._data.dtype is F32 or a._data.dtype is F64:
                data = run1(right, a._data, float(other))
            elif integer in _PLAIN:
                data = whole(integer, a._data, other)
        elif numbers != "both":
            raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
        elif b is not None and is_number(input) and (b._data.dtype is F32 or b._data.dtype is F64):
            data = run1(left, b._data, float(input))
        if data is None:
            data = general(name, kernel, integer, input, other, always_float)
        result = wrap(data)
        if ((a is not None and a._rg) or (b is not None and b._rg)) and node is not None and mode.grad:
            node(a, b).record(input, other, result)
        return result if out is None else into(out, result, name, input, other)

    WITHIN[op] = binary_within(kernel, integer, numbers, node)
    op.__name__ = op.__qualname__ = name
    op.__module__ = "tnn"
    op.__doc__ = binary_doc(doc, numbers, always_float, integer is None and not always_float, result)
    return op


def by_numpy(name, function, input, other, out, kinds):
    """An operation without derivative that NumPy has, on operands of the dtype in which they meet.

    Args:
        kinds: of which kinds that dtype may be (0 bool, 1 integer, 2 floating point).
    """
    if function in _PLAIN and isinstance(input, Tensor) and isinstance(other, Tensor) and input.dtype.kind in kinds:
        if out is not None:
            kind = input._data.dtype
            kernel = whole_kernel(function, kind, out._data.size) if isinstance(out, Tensor) else None
            if kernel is not None and straight(kernel, out, (input, other)):
                return out
        else:
            data = whole(function, input._data, other._data)
            if data is not None:
                return wrap(data)
    _check_operands(name, input, other)
    dtype = promoted(input, other)
    if dtype.kind not in kinds:
        raise NotImplementedError(f"\"{name}\" not implemented for '{dtype.torch_name}'")
    x, y = as_array(input, dtype.np), as_array(other, dtype.np)
    broadcast(x.shape, y.shape)
    with np.errstate(all="ignore"):
        result = wrap(np.asarray(function(x, y)))
    return result if out is None else into(out, result, name, input, other)


def operator(op, swapped=False):
    """The special method of an operation: NotImplemented for what is neither a tensor nor a number."""

    def method(self, other):
        if not isinstance(other, Tensor) and not is_number(other):
            return NotImplemented
        return op(other, self) if swapped else op(self, other)

    method.__name__ = method.__qualname__ = f"__{'r' if swapped else ''}{op.__name__}__"
    method.__doc__ = op.__doc__
    return method


def inplace_operator(op):
    """The special method of an operation in place (`+=`)."""
    inner = inplace(op)

    def method(self, other):
        if not isinstance(other, Tensor) and not is_number(other):
            return NotImplemented
        return inner(self, other)

    method.__name__ = method.__qualname__ = f"__i{op.__name__}__"
    method.__doc__ = inner.__doc__
    return method

