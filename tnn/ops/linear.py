"""Products of matrices and vectors: linear, bilinear, matmul and its special cases."""

import math

import numpy as np

from .. import dtypes
from ..autograd.autocast import active, casts, run, state
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _gemm as kernels
from ..kernels import _small_products as small
from ..kernels._elementwise import cast_to
from ..kernels._pool import empty
from ..kernels.linalg import multiply_integers
from ..kernels.search import extent
from ..tensor import Tensor, wrap
from ._common import F32, F64, check_tensor, dense, half_as_float32, into, sum_to
from ._elementwise import record1
from ._old_order import in_new_order
from .activation import relu_node

# ---------------------------------------------------------------- on arrays


def _order(d):
    """(C-contiguous array, transposed) for a 2-D array: as it is where it or its transpose is contiguous."""
    flags = d.flags
    if flags.c_contiguous:
        return d, False
    if flags.f_contiguous:
        return d.T, True
    return np.ascontiguousarray(d), False


def _mm(a, b, alpha=1.0, out=None, beta=0.0):
    """alpha * a @ b + beta * out for 2-D arrays of one dtype."""
    if out is None:
        if alpha == 1.0:
            out = small.PRODUCT.call(a, b)
            if out is not None:
                return out
        out = empty((a.shape[0], b.shape[1]), a.dtype)
    if out.dtype.kind != "f":
        return _mm_integer(a, b, alpha, out, beta)
    small.PRODUCT.prepare(out.dtype)
    a, ta = _order(a)
    b, tb = _order(b)
    kernels.gemm(ta, tb, alpha, a, b, beta, out)
    return out


_WHOLE = (np.dtype(np.int64), np.dtype(np.int32))


# Multiplications from which on integers are looked at, whether floats hold all sums.
_MANY = 32**3


def _holding(a, b):
    """The floating-point dtype that holds all products of two ndarrays of integers, and their sums, exactly, in any
    order; None where there is none."""
    sizes = [max(map(abs, extent(x.reshape(-1)))) for x in (a, b)]
    most = sizes[0] * sizes[1] * a.shape[-1]
    if most > (1 << 24) and most > (1 << (53 if a.dtype == np.int64 else 31)) - 1:
        return None
    return F32 if most <= 1 << 24 and max(sizes) <= 1 << 24 else F64


def _by_floats(a, b, out):
    """The product of C-contiguous integers as one of floats, where that is exact; returns whether it is.

    128 x 128, against PyTorch on two threads and on one: 1.19 and 0.75 of its speed by integers, 2.0 and 1.9 so.
    """
    if type(a) is not np.ndarray or type(b) is not np.ndarray or a.shape[-1] * out.size < _MANY:
        return False
    kind = _holding(a, b)
    if kind is None:
        return False
    x, y = (empty(z.shape, kind) for z in (a, b))
    if not cast_to(a, x) or not cast_to(b, y):
        return False
    return cast_to((_mm if a.ndim == 2 else _bmm)(x, y), out)


def _mm_integer(a, b, alpha, out, beta):
    if alpha == 1 and not beta and a.ndim == b.ndim == 2 and a.dtype == b.dtype == out.dtype and a.size and out.size:
        if a.flags.c_contiguous and b.flags.c_contiguous and out.flags.c_contiguous and out.dtype in _WHOLE:
            if not _by_floats(a, b, out):
                multiply_integers(a[None], b[None], out[None])
            return out
    if a.dtype == b.dtype == out.dtype and out.dtype in _WHOLE and out.shape[-1] > 3 and out.size and a.size:
        product = empty(out.shape, out.dtype)
        a, b = (np.ascontiguousarray(np.broadcast_to(x, (*out.shape[:-2], *x.shape[-2:]))) for x in (a, b))
        if not _by_floats(a, b, product):
            multiply_integers(*(x.reshape(-1, *x.shape[-2:]) for x in (a, b, product)))
    else:
        product = np.matmul(a, b)
    if alpha != 1:
        product = product * out.dtype.type(alpha)
    out[...] = product + out * out.dtype.type(beta) if beta else product
    return out


def _order_batch(d):
    """(C-contiguous array, transposed) for a 3-D array; a batch of one matrix repeated becomes a batch of one."""
    if d.strides[0] == 0 and d.shape[0] > 1:
        d = d[:1]
    if d.flags.c_contiguous:
        return d, False
    turned = d.swapaxes(1, 2)
    if turned.flags.c_contiguous:
        return turned, True
    return np.ascontiguousarray(d), False


def _bmm(a, b, alpha=1.0, out=None, beta=0.0):
    """alpha * a[i] @ b[i] + beta * out[i] for 3-D arrays of one dtype."""
    if out is None:
        out = empty((a.shape[0], a.shape[1], b.shape[2]), a.dtype)
    if out.dtype.kind != "f":
        return _mm_integer(a, b, alpha, out, beta)
    a, ta = _order_batch(a)
    b, tb = _order_batch(b)
    kernels.gemm_batched(ta, tb, alpha, a, b, beta, out)
    return out


# ---------------------------------------------------------------- checks

_NAMES = {"float32": "float", "float64": "double", "float16": "c10::Half", "int64": "long int", "int32": "int"}


def _check_dtypes(function, a, b):
    if a._data.dtype is not b._data.dtype and a._data.dtype != b._data.dtype:
        raise RuntimeError(f"{function}: expected both matrices to have one dtype, but got {a.dtype} and {b.dtype}")
    if a._data.dtype == np.bool_:
        raise NotImplementedError(f"\"{function}\" not implemented for 'Bool'")


def _check_matrices(function, a, b):
    for argument, t, position in (("self", a, 1), ("mat2", b, 2)):
        check_tensor(function, argument, t, position)
        if t._data.ndim != 2:
            raise RuntimeError(f"{function}: {argument} must be a matrix, got a tensor of shape {list(t._data.shape)}")
    _check_product(a._data.shape, b._data.shape)
    _check_dtypes(function, a, b)


def _check_product(a, b):
    if a[1] != b[0]:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {b[0]}x{b[1]})")


def _check_batches(function, a, b):
    for argument, t, position in (("batch1", a, 1), ("batch2", b, 2)):
        check_tensor(function, argument, t, position)
        if t._data.ndim != 3:
            raise RuntimeError(f"{function}: {argument} must be a 3D tensor, got shape {list(t._data.shape)}")
    x, y = a._data.shape, b._data.shape
    if x[0] != y[0] or x[2] != y[1]:
        raise RuntimeError(
            f"{function}: Expected size for first two dimensions of batch2 tensor to be: [{x[0]}, {x[2]}] but got: "
            f"[{y[0]}, {y[1]}]."
        )
    _check_dtypes(function, a, b)


def _number(value):
    """alpha and beta as float."""
    return value if type(value) is float else float(value)


# ---------------------------------------------------------------- matrices


class Mm(Node):
    __slots__ = ()

    def backward(self, grad):
        a, b = self.saved_tensors()
        ga = mm(grad, b.t()) if self.needs(0) else None
        gb = mm(a.t(), grad) if self.needs(1) else None
        return ga, gb


@half_as_float32(autocast="lower", alike=True)
def mm(input, mat2, *, out=None):
    """The matrix product ``y[i, j] = sum_k input[i, k] mat2[k, j]``.

    Args:
        input: (n, k).
        mat2: (k, m), of the same dtype.
        out: takes the result.

    Shape:
        (n, k) and (k, m) give (n, m).

    Raises:
        RuntimeError: an operand is not a matrix, the inner sizes differ, or the dtypes do, or ``out`` cannot hold the
            result.
    """
    _check_matrices("mm", input, mat2)
    result = wrap(_mm(input._data, mat2._data))
    if (input._rg or mat2._rg) and mode.grad:
        node = Mm(input, mat2)
        node.attach(result)
        node.save(input if mat2._rg else None, mat2 if input._rg else None)
    return result if out is None else into(out, result, "mm")


class Addmm(Node):
    __slots__ = ("alpha", "beta", "like")

    def backward(self, grad):
        a, b = self.saved_tensors()
        gi = ga = gb = None
        if self.needs(0):
            gi = sum_to(grad if self.beta == 1 else grad * self.beta, self.like)
        if self.needs(1):
            ga = mm(grad, b.t())
            ga = ga if self.alpha == 1 else ga * self.alpha
        if self.needs(2):
            gb = mm(a.t(), grad)
            gb = gb if self.alpha == 1 else gb * self.alpha
        return gi, ga, gb


class Baddbmm(Addmm):
    __slots__ = ()

    def backward(self, grad):
        a, b = self.saved_tensors()
        gi = ga = gb = None
        if self.needs(0):
            gi = sum_to(grad if self.beta == 1 else grad * self.beta, self.like)
        if self.needs(1):
            ga = bmm(grad, b.transpose(1, 2))
            ga = ga if self.alpha == 1 else ga * self.alpha
        if self.needs(2):
            gb = bmm(a.transpose(1, 2), grad)
            gb = gb if self.alpha == 1 else gb * self.alpha
        return gi, ga, gb


def _start(function, input, shape, beta, like):
    """A new array of ``shape`` with ``input`` broadcast into it, or anything where beta is 0."""
    if input._data.dtype != like._data.dtype:
        raise RuntimeError(f"{function}: expected input to have the matrices' dtype {like.dtype}, got {input.dtype}")
    try:
        spread = np.broadcast_to(input._data, shape)
    except ValueError:
        raise RuntimeError(
            f"{function}: The expanded size of the tensor {list(shape)} must match the existing size of input "
            f"{list(input._data.shape)}"
        ) from None
    out = empty(shape, like._data.dtype)
    if beta:
        np.copyto(out, spread)
    return out


def _with_added(kind, product, input, a, b, shape, alpha, beta, function):
    check_tensor(function, "input", input, 1)
    alpha, beta = _number(alpha), _number(beta)
    result = wrap(product(a._data, b._data, alpha, _start(function, input, shape, beta, a), beta))
    if (input._rg or a._rg or b._rg) and mode.grad:
        node = kind(input, a, b)
        node.alpha, node.beta = alpha, beta
        node.like = wrap(np.broadcast_to(np.zeros((), input._data.dtype), input._data.shape))
        node.attach(result)
        node.save(a if b._rg else None, b if a._rg else None)
    return result


@half_as_float32(autocast="lower", alike=True)
def addmm(input, mat1, mat2, *old, beta=1, alpha=1, out=None):
    """``beta * input + alpha * (mat1 @ mat2)``; where beta is 0, ``input`` is ignored, NaN included.

    Args:
        input: broadcasts to (n, m).
        mat1, mat2: (n, k) and (k, m).
        old: what is left in the old order ``addmm(beta, input, alpha, mat1, mat2)``, which warns.
        beta, alpha: numbers.
        out: takes the result.

    Shape:
        output (n, m).

    Raises:
        RuntimeError: sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    if old:
        return in_new_order(addmm, 3, ("beta", "alpha"), (input, mat1, mat2, *old), out=out)
    _check_matrices("addmm", mat1, mat2)
    shape = (mat1._data.shape[0], mat2._data.shape[1])
    result = _with_added(Addmm, _mm, input, mat1, mat2, shape, alpha, beta, "addmm")
    return into(out, result, "addmm", input, mat1, mat2)


class Bmm(Node):
    __slots__ = ()

    def backward(self, grad):
        a, b = self.saved_tensors()
        ga = bmm(grad, b.transpose(1, 2)) if self.needs(0) else None
        gb = bmm(a.transpose(1, 2), grad) if self.needs(1) else None
        return ga, gb


@half_as_float32(autocast="lower", alike=True)
def bmm(input, mat2, *, out=None):
    """The product of each pair of matrices in two batches.

    Args:
        input: (b, n, k).
        mat2: (b, k, m), of the same dtype.
        out: takes the result, (b, n, m).

    Shape:
        (b, n, k) and (b, k, m) give (b, n, m).

    Raises:
        RuntimeError: an operand is not 3-D, sizes do not fit, or dtypes differ, or ``out`` cannot hold the result.
    """
    _check_batches("bmm", input, mat2)
    result = wrap(_bmm(input._data, mat2._data))
    if (input._rg or mat2._rg) and mode.grad:
        node = Bmm(input, mat2)
        node.attach(result)
        node.save(input if mat2._rg else None, mat2 if input._rg else None)
    return result if out is None else into(out, result, "bmm")


@half_as_float32(autocast="lower", alike=True)
def baddbmm(input, batch1, batch2, *old, beta=1, alpha=1, out=None):
    """``beta * input + alpha * bmm(batch1, batch2)``; where beta is 0, ``input`` is ignored.

    Args:
        input: broadcasts to (b, n, m).
        batch1, batch2: (b, n, k) and (b, k, m).
        old: what is left in the old order ``baddbmm(beta, input, alpha, batch1, batch2)``, which warns.
        beta, alpha: numbers.
        out: takes the result.

    Shape:
        output (b, n, m).

    Raises:
        RuntimeError: sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    if old:
        return in_new_order(baddbmm, 3, ("beta", "alpha"), (input, batch1, batch2, *old), out=out)
    _check_batches("baddbmm", batch1, batch2)
    shape = (*batch1._data.shape[:2], batch2._data.shape[2])
    result = _with_added(Baddbmm, _bmm, input, batch1, batch2, shape, alpha, beta, "baddbmm")
    return into(out, result, "baddbmm", input, batch1, batch2)


def addbmm(input, batch1, batch2, *old, beta=1, alpha=1, out=None):
    """``beta * input + alpha * sum_i batch1[i] @ batch2[i]``.

    Args:
        input: broadcasts to (n, m).
        batch1, batch2: (b, n, k) and (b, k, m).
        old: what is left in the old order ``addbmm(beta, input, alpha, batch1, batch2)``, which warns.
        beta, alpha: numbers.
        out: takes the result.

    Shape:
        output (n, m).

    Raises:
        RuntimeError: sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    if old:
        return in_new_order(addbmm, 3, ("beta", "alpha"), (input, batch1, batch2, *old), out=out)
    _check_batches("addbmm", batch1, batch2)
    b, n, k = batch1._data.shape
    wide = batch1.transpose(0, 1).reshape(n, b * k)
    result = addmm(input, wide, batch2.reshape(b * k, batch2._data.shape[2]), beta=beta, alpha=alpha)
    return into(out, result, "addbmm", input, batch1, batch2)


# ---------------------------------------------------------------- vectors


@casts("keep")
def mv(input, vec, *, out=None):
    """The product of a matrix and a vector: ``y[i] = sum_j input[i, j] * vec[j]``.

    Args:
        input: (n, m).
        vec: (m,), of the matrix's dtype.
        out: tensor to write the result to, or None.

    Shape:
        output (n,).

    Raises:
        TypeError: ``input`` or ``vec`` is not a tensor.
        RuntimeError: the operands are not a matrix and a vector, sizes do not fit, or dtypes differ, or ``out`` cannot
            hold the result.
    """
    check_tensor("mv", "input", input, 1)
    check_tensor("mv", "vec", vec, 2)
    if input._data.ndim != 2 or vec._data.ndim != 1:
        raise RuntimeError(
            "vector + matrix @ vector expected, got "
            f"1, {input._data.ndim}, {vec._data.ndim} dimensions"
        )
    if input._data.shape[1] != vec._data.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input._data.shape[0]}), mat ({input._data.shape[0]}x{input._data.shape[1]}), "
            f"vec ({vec._data.shape[0]})"
        )
    return into(out, mm(input, vec.unsqueeze(1)).squeeze(1), "mv")


@casts("keep")
def addmv(input, mat, vec, *old, beta=1, alpha=1, out=None):
    """``beta * input + alpha * (mat @ vec)``, ``input`` broadcast to (n,).

    Args:
        input: broadcasts to (n,).
        mat, vec: (n, m) and (m,), of one dtype.
        old: what is left in the old order ``addmv(beta, input, alpha, mat, vec)``, which warns.
        beta, alpha: numbers.
        out: tensor to write the result to, or None.

    Shape:
        output (n,).

    Raises:
        TypeError: ``input``, ``mat`` or ``vec`` is not a tensor.
        RuntimeError: the operands are not a matrix and a vector, sizes do not fit, or dtypes differ, or ``out`` cannot
            hold the result.
    """
    if old:
        return in_new_order(addmv, 3, ("beta", "alpha"), (input, mat, vec, *old), out=out)
    check_tensor("addmv", "input", input, 1)
    check_tensor("addmv", "mat", mat, 2)
    check_tensor("addmv", "vec", vec, 3)
    if mat._data.ndim != 2 or vec._data.ndim != 1 or input._data.ndim > 1:
        raise RuntimeError(
            "vector + matrix @ vector expected, got "
            f"{input._data.ndim}, {mat._data.ndim}, {vec._data.ndim} dimensions"
        )
    result = addmm(input.unsqueeze(-1), mat, vec.unsqueeze(1), beta=beta, alpha=alpha).squeeze(1)
    return into(out, result, "addmv", input, mat, vec)


class Dot(Node):
    __slots__ = ()

    def backward(self, grad):
        a, b = self.saved_tensors()
        return (grad * b if self.needs(0) else None), (grad * a if self.needs(1) else None)


@half_as_float32(autocast="keep", alike=True)
def dot(input, tensor, *, out=None):
    """The sum of the products of two vectors: ``sum_i input[i] * tensor[i]``.

    Args:
        input, tensor: (n,) both, of one dtype.
        out: tensor to write the result to, or None.

    Shape:
        output ().

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: an operand is not a vector, or lengths or dtypes differ, or ``out`` cannot hold the result.
    """
    check_tensor("dot", "input", input, 1)
    check_tensor("dot", "tensor", tensor, 2)
    a, b = input._data, tensor._data
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {input.dtype.torch_name} and "
            f"{tensor.dtype.torch_name}"
        )
    if a.size != b.size:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.size}] and src [{b.size}] to have the same number of "
            f"elements, but got {a.size} and {b.size} elements respectively"
        )
    _check_dtypes("dot", input, tensor)
    result = wrap(_mm(np.ascontiguousarray(a)[None], np.ascontiguousarray(b)[:, None]).reshape(()))
    if (input._rg or tensor._rg) and mode.grad:
        node = Dot(input, tensor)
        node.attach(result)
        node.save(input if tensor._rg else None, tensor if input._rg else None)
    return result if out is None else into(out, result, "dot")


def vdot(input, other, *, out=None):
    """The sum of the products of two vectors, ``sum_i input[i] * other[i]``: as :func:`dot`, there being no complex
    numbers.

    Args:
        input, other: (n,) both, of one dtype.
        out: tensor to write the result to, or None.

    Shape:
        output ().

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: an operand is not a vector, or lengths or dtypes differ, or ``out`` cannot hold the result.
    """
    return into(out, dot(input, other), "vdot")


def outer(input, vec2, *, out=None):
    """``y[i, j] = input[i] * vec2[j]`` for two vectors.

    Args:
        input, vec2: (n,) and (m,); their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        output (n, m).

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: an operand is not a vector, or ``out`` cannot hold the result.
    """
    for argument, t in (("input", input), ("vec2", vec2)):
        check_tensor("outer", argument, t)
        if t._data.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {argument}, but got {t._data.ndim}-D")
    return into(out, input.unsqueeze(1) * vec2, "outer")


def ger(input, vec2, *, out=None):
    """``y[i, j] = input[i] * vec2[j]`` for two vectors.

    Args:
        input, vec2: (n,) and (m,); their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        output (n, m).

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: an operand is not a vector, or ``out`` cannot hold the result.
    """
    return outer(input, vec2, out=out)


def addr(input, vec1, vec2, *old, beta=1, alpha=1, out=None):
    """``beta * input + alpha * outer(vec1, vec2)``; where beta is 0, ``input`` is ignored.

    Args:
        input: broadcasts to (n, m).
        vec1, vec2: (n,) and (m,).
        old: what is left in the old order ``addr(beta, input, alpha, vec1, vec2)``, which warns.
        beta, alpha: numbers.
        out: tensor to write the result to, or None.

    Shape:
        output (n, m).

    Raises:
        TypeError: ``input``, ``vec1`` or ``vec2`` is not a tensor.
        RuntimeError: an operand is not a vector, or ``input`` does not broadcast, or ``out`` cannot hold the result; a
            factor is a float and the operands are integers.
    """
    if old:
        return in_new_order(addr, 3, ("beta", "alpha"), (input, vec1, vec2, *old), out=out)
    check_tensor("addr", "input", input, 1)
    check_tensor("addr", "vec1", vec1, 2)
    check_tensor("addr", "vec2", vec2, 3)
    operands = input, vec1, vec2
    for name, factor in (("beta", beta), ("alpha", alpha)):
        if isinstance(factor, float) and not any(t.dtype.is_floating_point for t in operands):
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    if all(t.dtype is dtypes.bool for t in operands):
        beta, alpha = bool(beta), bool(alpha)
    product = outer(vec1, vec2)
    if alpha != 1:
        product = product * alpha
    shape = product._data.shape
    if np.broadcast_shapes(input._data.shape, shape) != shape:
        raise RuntimeError(f"addr: input of shape {list(input._data.shape)} does not broadcast to {list(shape)}")
    if beta != 0:
        product = product + (input if beta == 1 else input * beta)
    return into(out, product, "addr", input, vec1, vec2)


# ---------------------------------------------------------------- any number of dimensions


def matmul(input, other, *, out=None):
    """The matrix product of tensors of any dimension.

    Two vectors give their dot product. A vector counts as one row on the left, as one column on the right, and that
    dimension is dropped from the result. Dimensions before the last two are batches and broadcast.

    Args:
        input: (..., n, k) or (k,).
        other: (..., k, m) or (k,).
        out: takes the result.

    Shape:
        (*, n, k) and (*, k, m) give (*, n, m); vectors give up their dimension.

    Raises:
        RuntimeError: an operand has no dimension, sizes do not fit, or dtypes differ, or ``out`` cannot hold the
            result.

    >>> import tnn
    >>> tnn.matmul(tnn.ones(5, 1, 2, 3), tnn.ones(4, 3, 2)).shape
    tnn.Size([5, 4, 2, 2])
    """
    if active.n and state.enabled and out is None:
        return run("lower", matmul, (input, other), {})
    check_tensor("matmul", "input", input, 1)
    check_tensor("matmul", "other", other, 2)
    result = _matmul(input, other)
    if out is None:
        return result
    case = "matmul" if other._data.ndim > 1 else "matmul.mv" if input._data.ndim > 1 else "matmul.dot"
    return into(out, result, case)


def _matmul(a, b):
    x, y = a._data.ndim, b._data.ndim
    if x == 2 and y == 2:
        return mm(a, b)
    if x == 0 or y == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {x}D and {y}D"
        )
    if x == 1 and y == 1:
        return dot(a, b)
    if x == 1:
        return _matmul(a.unsqueeze(0), b).squeeze(-2)
    if y == 1:
        if x == 2:
            return mv(a, b)
        return _matmul(a, b.unsqueeze(1)).squeeze(-1)
    if y == 2:
        shape = a._data.shape
        if shape[-1] != b._data.shape[0]:
            _check_product((math.prod(shape[:-1]), shape[-1]), b._data.shape)
        return mm(a.reshape(math.prod(shape[:-1]), shape[-1]), b).reshape((*shape[:-1], b._data.shape[1]))
    return _matmul_batches(a, b)


def _matmul_batches(a, b):
    sa, sb = a._data.shape, b._data.shape
    if sa[-1] != sb[-2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [.., {sa[-1]}] but got: [.., {sb[-2]}]."
        )
    try:
        lead = np.broadcast_shapes(sa[:-2], sb[:-2])
    except ValueError:
        raise RuntimeError(f"matmul: the batch dimensions of {list(sa)} and {list(sb)} do not broadcast") from None
    n = math.prod(lead)
    out = bmm(_one_batch(a, lead, n), _one_batch(b, lead, n))
    return out if len(lead) == 1 else out.reshape((*lead, sa[-2], sb[-1]))


def _one_batch(t, lead, n):
    """(n, rows, columns): a single matrix is expanded without a copy."""
    shape = t._data.shape
    if len(shape) == 3 and shape[:1] == lead:
        return t
    if math.prod(shape[:-2]) == 1:
        return t.reshape((1, *shape[-2:])).expand((n, *shape[-2:]))
    if shape[:-2] != lead:
        t = t.expand((*lead, *shape[-2:]))
    return t.reshape((n, *shape[-2:]))


def op_matmul(self, other):
    """``self @ other``."""
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def op_rmatmul(self, other):
    """``other @ self``."""
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


# ---------------------------------------------------------------- layers


class Linear(Node):
    __slots__ = ("shape",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        if len(self.next) == 3:
            return "AddmmBackward0" if len(self.shape) == 2 else "ViewBackward0"
        return "UnsafeViewBackward0" if len(self.shape) > 2 else "MmBackward0"

    def backward(self, grad):
        x, w = self.saved_tensors()
        gx = gw = gb = None
        shape = grad._data.shape
        if mode.grad:
            g = grad.reshape(math.prod(shape[:-1]), shape[-1])
            if self.needs(0):
                gx = mm(g, w).reshape(self.shape)
            if self.needs(1):
                gw = mm(g.t(), x.reshape(g._data.shape[0], self.shape[-1]))
        else:
            flat = len(shape) == 2
            g = grad if flat else wrap(dense(grad).reshape(math.prod(shape[:-1]), shape[-1]))
            if w is not None:
                d = _mm(g._data, w._data)
                gx = wrap(d if flat else d.reshape(self.shape))
            if x is not None:
                d = x._data if flat else dense(x).reshape(g._data.shape[0], self.shape[-1])
                gw = wrap(_turned_mm(g._data, d))
        if len(self.next) == 2:
            return gx, gw
        if self.next[2] is not None:
            d = None if mode.grad else small.COLUMN_SUMS.call(g._data, 1.0)
            gb = g.sum(0) if d is None else wrap(d)
        return gx, gw, gb


def _turned_mm(a, b):
    """a.T @ b for 2-D arrays of one floating-point dtype."""
    out = small.TURNED_PRODUCT.call(a, b)
    if out is None:
        small.TURNED_PRODUCT.prepare(a.dtype)
        out = _mm(a.T, b)
    return out


def linear(input, weight, bias=None):
    """``y = x W^T + b``, over the last dimension of ``input``.

    Args:
        input: (..., in_features).
        weight: (out_features, in_features), or (in_features,), which gives a result without the last dimension.
        bias: (out_features,), a shape that broadcasts to the result, or None.

    Shape:
        (*, in_features) gives (*, out_features).

    Raises:
        RuntimeError: sizes do not fit, or dtypes differ.

    >>> import tnn
    >>> tnn.nn.functional.linear(tnn.ones(2, 3), tnn.ones(4, 3)).shape
    tnn.Size([2, 4])
    """
    if active.n and state.enabled:
        return run("lower", linear, (input, weight, bias), {})
    y = None
    if isinstance(input, Tensor) and isinstance(weight, Tensor) and (bias is None or isinstance(bias, Tensor)):
        y = small.LINEAR.call(input._data, weight._data, None if bias is None else bias._data)
    if y is None:
        check_tensor("linear", "input", input, 1)
        check_tensor("linear", "weight", weight, 2)
        y = _linear_data(input, weight, bias)
        if y is None:
            return _linear_slow(input, weight, bias)
    out = wrap(y)
    if (input._rg or weight._rg or (bias is not None and bias._rg)) and mode.grad:
        node = Linear(input, weight) if bias is None else Linear(input, weight, bias)
        node.shape = input._data.shape
        out._rg, out._node = True, node
        node.save(input if weight._rg else None, weight if input._rg else None)
    return out


# From this many results on, relu in the store of the product saves more than the choice costs.
_MANY = 16384


def linear_relu(input, weight, bias):
    """``relu(linear(input, weight, bias))``, relu applied where the product is stored, and recorded as those two.

    Args:
        input, weight, bias: as those of :func:`linear`, which raises where they do not fit.

    Returns:
        The result, or None where the two operations have to be called: small results, no bias, other dtypes, autocast.
    """
    if bias is None or (active.n and state.enabled):
        return None
    shape = weight._data.shape
    if len(shape) != 2 or not shape[1] or input._data.size // shape[1] * shape[0] < _MANY:
        return None
    y = _linear_data(input, weight, bias, kernels.BIAS_COLUMNS | kernels.RELU)
    if y is None:
        return None
    out = wrap(y)
    if (input._rg or weight._rg or bias._rg) and mode.grad:
        # nobody reads the values of what stands between the two
        between = wrap(y)
        node = Linear(input, weight, bias)
        node.shape = input._data.shape
        between._rg, between._node = True, node
        node.save(input if weight._rg else None, weight if input._rg else None)
        record1(relu_node, between, out)
    return out


def _linear_data(input, weight, bias, flags=1):
    """The ndarray of :func:`linear`, or None for any other shape and dtype than a layer's. flags: what happens to a
    product with a bias before it is stored, see `mode` in kernels/_gemm.py."""
    x, w = input._data, weight._data
    dtype = x.dtype
    if (
        (dtype is not F32 and dtype is not F64 and dtype != F32 and dtype != F64)
        or (w.dtype is not dtype and w.dtype != dtype)
        or w.ndim != 2
        or x.ndim == 0
        or not (bias is None or isinstance(bias, Tensor) and bias._data.dtype == dtype)
        or (bias is not None and bias._data.shape != w.shape[:1])
    ):
        return None
    small.LINEAR.prepare(dtype)
    shape = x.shape
    if shape[-1] != w.shape[1]:
        _check_product((math.prod(shape[:-1]), shape[-1]), (w.shape[1], w.shape[0]))
    n = w.shape[0]
    if not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)
    flat = x if x.ndim == 2 else x.reshape(math.prod(shape[:-1]), shape[-1])
    y = empty((flat.shape[0], n), dtype)
    w, tb = _order(w)
    if bias is None:
        kernels.gemm(False, not tb, 1.0, flat, w, 0.0, y)
    else:
        b = bias._data
        b = b if b.flags.c_contiguous else np.ascontiguousarray(b)
        kernels.gemm_bias_act(False, not tb, 1.0, flat, w, 0.0, y, b, flags if n else 0)
    return y if x.ndim == 2 else y.reshape((*shape[:-1], n))


@half_as_float32(alike=True)
def _linear_slow(input, weight, bias):
    """Any other shape and dtype."""
    _check_dtypes("linear", input, weight)
    if bias is not None:
        check_tensor("linear", "bias", bias, 3)
        if bias._data.dtype != input._data.dtype:
            raise RuntimeError(f"linear: expected bias to have dtype {input.dtype} as input has, got {bias.dtype}")
    if weight._data.ndim == 2 and input._data.ndim >= 1:
        if input._data.dtype in (F32, F64) and (bias is None or bias._data.shape == weight._data.shape[:1]):
            return linear(input, weight, bias)
        y = matmul(input, weight.t())
    elif weight._data.ndim == 1 and input._data.ndim >= 1:
        y = matmul(input, weight)
    else:
        raise RuntimeError(
            f"linear: expected input of at least one and weight of one or two dimensions, got "
            f"{list(input._data.shape)} and {list(weight._data.shape)}"
        )
    return y if bias is None else y + bias


@half_as_float32(autocast="keep", alike=True)
def bilinear(input1, input2, weight, bias=None):
    """``y[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j] + bias[o]``.

    Args:
        input1: (..., in1_features).
        input2: (..., in2_features), with the same leading sizes.
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,) or None.

    Shape:
        (*, in1) and (*, in2) give (*, out).

    Raises:
        RuntimeError: sizes do not fit.
    """
    for argument, t in (("input1", input1), ("input2", input2), ("weight", weight)):
        check_tensor("bilinear", argument, t)
    s1, s2, sw = input1._data.shape, input2._data.shape, weight._data.shape
    if len(s1) != len(s2) or s1[:-1] != s2[:-1]:
        raise RuntimeError(f"bilinear(): input batch dimensions do not match: got {list(s1)} and {list(s2)}")
    if len(sw) != 3 or not s1 or s1[-1] != sw[1] or s2[-1] != sw[2]:
        raise RuntimeError(
            f"bilinear(): weight of shape {list(sw)} does not fit inputs of shape {list(s1)} and {list(s2)}: expected "
            "(out, input1's last size, input2's last size)"
        )
    if bias is not None:
        check_tensor("bilinear", "bias", bias, 4)
    if bias is not None and bias._data.shape != sw[:1]:
        raise RuntimeError(f"bilinear(): expected bias of size {list(sw[:1])}, but got {list(bias._data.shape)}")
    n = math.prod(s1[:-1])
    left = mm(input1.reshape(n, sw[1]), weight.permute(1, 0, 2).reshape(sw[1], sw[0] * sw[2]))
    y = bmm(left.reshape(n, sw[0], sw[2]), input2.reshape(n, sw[2], 1)).reshape((*s1[:-1], sw[0]))
    return y if bias is None else y + bias
