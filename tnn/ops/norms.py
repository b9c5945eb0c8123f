"""Norms of vectors and matrices, the distance of two tensors, renorm."""

import math

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..kernels import reduction as kernels
from ..tensor import wrap
from ._common import HALF, check_tensor, dense, half_as_float32, into, numpy_names, wrap_dim
from .cast import cast
from .extreme import extreme_array
from .reduction import _Reduction, kept_shape, reduced_dims, sum_array

_INF = math.inf


class LinalgVectorNorm(_Reduction):
    __slots__ = ("p",)

    def backward(self, grad):
        p = self.p
        if p == 0:
            return None
        x, y = self.saved_tensors()
        if p == 1:
            return x.sign() * self.kept(grad)
        if p == 2:
            return x * self.kept(_where_not_zero(grad / y, y))
        size = x.abs()
        if abs(p) == _INF:
            y = self.kept(y)
            hit = wrap((size._data == y._data) | np.isnan(size._data) & np.isnan(y._data))
            return x.sign() * (self.kept(grad) / hit.sum(self.dims, True)) * hit
        if p < 2:
            share = _where_not_zero(x.sign() * size.pow(p - 1), x)
            return share * self.kept(_where_not_zero(grad * y.pow(1 - p), y))
        return x * (size if p == 3 else size.pow(p - 2)) * self.kept(_where_not_zero(grad / y.pow(p - 1), y))


def _where_not_zero(t, y):
    """``t``, with 0 where ``y`` is 0."""
    return t if y._data.all() else t.masked_fill(y == 0, 0.0)


def _norm_array(d, dims, p):
    """The p-norm of a C-contiguous float array over ``dims``, which stay with size 1."""
    if p == 0:
        return np.asarray((d != 0).sum(axis=dims, keepdims=True), d.dtype)
    if p == _INF:
        return extreme_array(d, dims, kernels.ABSMAX)
    if p == -_INF:
        return extreme_array(d, dims, kernels.ABSMIN)
    if p == 1:
        return sum_array(d, dims, kernels.ABS)
    if p == 2:
        return sum_array(d, dims, kernels.SQUARE, root=0.5)
    return sum_array(d, dims, kernels.POWER, float(p), root=1.0 / p)


def _vector_norm(input, p, dim, keepdim, dtype, function="linalg.vector_norm"):
    check_tensor(function, "input", input, 1)
    if isinstance(p, str) or not isinstance(p, int | float | np.number):
        raise TypeError(f"{function}(): the order must be a number, not {type(p).__name__}")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{function}: Expected a floating point tensor as input. Got {input.dtype.torch_name}")
    if dtype is not None:
        if not dtype.is_floating_point:
            raise RuntimeError(f"{function}: dtype should be floating point, but got {dtype}")
        if dtypes.promote_types(input.dtype, dtype) is not dtype:
            raise RuntimeError(
                f"{function}: the dtype of the input ({input.dtype}) should be convertible without narrowing to the "
                f"specified dtype ({dtype})"
            )
        input = cast(input, dtype)
    half = input.dtype if input._data.dtype in HALF else None
    if half is not None:
        input = cast(input, dtypes.float32)
    p = float(p)
    d = input._data
    dims = reduced_dims(dim, d.ndim)
    if (p < 0 or p == _INF) and any(d.shape[i] == 0 for i in dims):
        raise RuntimeError(
            f"{function} cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    out = wrap(_norm_array(dense(input), dims, p).reshape(kept_shape(d.shape, dims, keepdim)))
    if input._rg and mode.grad:
        node = LinalgVectorNorm(input)
        node.record(out, input, dims, keepdim)
        node.p = p
        node.save(input, out)
    return out if half is None else cast(out, half)


def vector_norm(input, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """``(sum |input|^ord)^(1/ord)`` over the dimensions ``dim``, or of the flattened tensor.

    Args:
        input: tensor of a floating-point dtype.
        ord: any number; 0 counts what is not 0, inf and -inf are the largest and smallest absolute value.
        dim: a dimension, a tuple of them, or None for all elements.
        keepdim: keep the dimensions with size 1.
        dtype: cast input to this dtype first.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the dtype is not a floating-point one, or there is no element where the norm needs one, or ``out``
            cannot hold the result.
    """
    return into(out, _vector_norm(input, ord, dim, keepdim, dtype), "linalg_vector_norm")


def matrix_norm(input, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """A norm of matrices, which lie in the two dimensions ``dim``.

    Args:
        input: tensor of at least two dimensions, float32 or float64.
        ord: ``'fro'`` (Frobenius), ``'nuc'`` (sum of the singular values), inf, -inf (largest, smallest row sum of
            absolute values), 1, -1 (column sum), 2, -2 (largest, smallest singular value).
        dim: the two dimensions of the matrices.
        keepdim: keep the dimensions with size 1.
        dtype: cast input to this dtype first.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the two dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: not a float tensor of at least 2 dimensions, not two dimensions, or another order, or ``out``
            cannot hold the result.
    """
    check_tensor("linalg.matrix_norm", "input", input, 1)
    if input._data.ndim < 2:
        raise RuntimeError(
            f"linalg.matrix_norm: The input tensor must have at least 2 dimensions, got {input._data.ndim}"
        )
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"linalg.matrix_norm: Expected a floating point input. Got {input.dtype.torch_name}")
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    rows, columns = (wrap_dim(d, input._data.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if dtype is not None:
        input = cast(input, dtype)
    if input._data.dtype in HALF and ord in ("nuc", 2, -2):
        raise RuntimeError(f"linalg.matrix_norm: Low precision dtypes not supported. Got {input.dtype.torch_name}")
    return into(out, _matrix_norm(input, ord, rows, columns, keepdim), "linalg_matrix_norm")


def _or_zero(values, dim, ord):
    """Values to take the largest of: a zero where there are none; a smallest one does not exist then."""
    return values.sum(dim, True) if ord in (1, 2, _INF) and not values.shape[dim] else values


@half_as_float32
def _matrix_norm(A, ord, rows, columns, keepdim):
    if ord == "fro":
        return _vector_norm(A, 2.0, (rows, columns), keepdim, None)
    if ord == "nuc" or ord in (2, -2):
        from .linalg import svdvals

        values = svdvals(A.movedim((rows, columns), (-2, -1)))
        values = _or_zero(values, values.ndim - 1, ord)
        y = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
    elif isinstance(ord, int | float) and abs(ord) in (1, _INF):
        first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = _or_zero(_vector_norm(A, 1.0, first, True, None), second, ord)
        y = sums.amax(second, True) if ord > 0 else sums.amin(second, True)
        return y if keepdim else y.squeeze((rows, columns))
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    return y.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else y


@numpy_names
def linalg_norm(input, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """``linalg.norm``: a vector or a matrix norm, as ``ord`` and ``dim`` say.

    Without ``ord`` it is the 2-norm of the flattened tensor, or over ``dim``. With ``ord``: :func:`vector_norm` where
    ``dim`` is one dimension (or the input 1-D), :func:`matrix_norm` where it is two (or the input 2-D).

    Args:
        input: tensor of a floating-point dtype.
        ord: None, or an order of :func:`vector_norm` or :func:`matrix_norm`.
        dim: None, one dimension or two.
        keepdim: keep the dimensions with size 1.
        out: tensor to write the result to, or None.
        dtype: cast input to this dtype first.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: an order without dimensions for a tensor that is neither 1-D nor 2-D, or no such order, or ``out``
            cannot hold the result.
    """
    check_tensor("linalg.norm", "input", input, 1)
    dims = (dim,) if isinstance(dim, int) else dim
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if ord is None:
        return into(out, _vector_norm(input, 2.0, dims, keepdim, dtype, "linalg.norm"), "linalg_norm")
    n = input._data.ndim
    if dims is None:
        if n not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {n}D."
            )
        dims = tuple(range(n))
    if len(dims) == 2:
        return into(out, matrix_norm(input, ord, dims, keepdim, dtype=dtype), "linalg_norm")
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: Order {ord} not supported for vectors.")
    return into(out, _vector_norm(input, ord, dims, keepdim, dtype, "linalg.norm"), "linalg_norm")


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """The p-norm ``(sum |x|^p)^(1/p)`` of a tensor: over ``dim``, or of the flattened tensor.

    Args:
        input: tensor of a floating-point dtype.
        p: a number, ``'fro'`` (the 2-norm) or ``'nuc'`` (nuclear norm of matrices); None is ``'fro'``.
        dim: an int or a tuple of ints; exactly two for ``'nuc'``, at most two for ``'fro'``.
        keepdim: keep the dimensions with size 1.
        out: tensor to write the result to, or None.
        dtype: cast the input to this dtype first.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the dtype is not a floating-point one, or an order that does not exist, or ``out`` cannot hold the
            result.
    """
    check_tensor("norm", "input", input, 1)
    if isinstance(p, str):
        if p == "nuc":
            if dim is None and input._data.ndim != 2:
                raise RuntimeError(f"norm: the nuclear norm without dim needs a 2-D tensor, got {input._data.ndim}-D")
            return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype, out=out)
        if p != "fro":
            raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
        if isinstance(dim, tuple | list) and len(dim) > 2:
            raise RuntimeError(f"norm: the Frobenius norm takes one or two dimensions, got {list(dim)}")
        p = 2.0
    return into(out, _vector_norm(input, 2.0 if p is None else p, dim, keepdim, dtype, "linalg.vector_norm"), "norm")


def dist(input, other, p=2):
    """The p-norm of ``input - other``, which may be broadcast.

    Args:
        input, other: tensors of floating point; their shapes broadcast.
        p: the norm's degree.

    Shape:
        output ().

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the shapes do not broadcast, or the dtype is not a floating-point one.
    """
    check_tensor("dist", "input", input, 1)
    check_tensor("dist", "other", other, 2)
    return norm(input - other, p)


@half_as_float32
def renorm(input, p, dim, maxnorm, *, out=None):
    """Scales each slice along ``dim`` whose p-norm is above ``maxnorm`` down to that norm.

    Args:
        input: tensor of at least two dimensions, of floating point.
        p: the norm's degree, above 0.
        dim: the slices along this dimension are scaled.
        maxnorm: the largest norm that a slice may have.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: fewer than two dimensions, ``p`` is not positive, or ``maxnorm`` is negative, or ``out`` cannot
            hold the result.
    """
    check_tensor("renorm", "input", input, 1)
    if p <= 0:
        raise RuntimeError("renorm: non-positive norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    n = input._data.ndim
    if n < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {n} dimensions")
    dim = wrap_dim(dim, n)
    size = _vector_norm(input, p, [i for i in range(n) if i != dim], True, None)
    factor = (maxnorm / (size + 1e-7)).masked_fill(wrap(size._data <= maxnorm), 1.0)
    return into(out, input * factor, "renorm", input)
