"""Largest and smallest elements and where they are, over some or all dimensions."""

import builtins

import numpy as np

from .. import dtypes, return_types
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import reduction as kernels
from ..kernels._along import FOUND, REDUCED, Along
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_tensor, dense, into, wrap_dim
from .cast import cast
from .reduction import _Reduction, as_three, in_memory_order, kept_shape, numpy_names, reduced_dims, runs_of

_max = return_types.max
_min = return_types.min
_aminmax = return_types.aminmax

# By entries: the extremes of small tensors, and where they are.
_SMALL = {k: Along(kernels.extreme_forward, REDUCED, k) for k in (kernels.MAX, kernels.MIN)}
_SMALL_ARG = {k: Along(kernels.arg_forward, FOUND, k) for k in (kernels.MAX, kernels.MIN)}
_NUMPY = {kernels.MAX: np.max, kernels.MIN: np.min}
_NUMPY_ARG = {kernels.MAX: np.argmax, kernels.MIN: np.argmin}


def extreme_array(d, dims, kind):
    """The MAX, MIN, ABSMAX or ABSMIN of a C-contiguous float array over ``dims``, which stay with size 1."""
    runs = runs_of(dims)
    if not runs:
        d, runs = d.reshape(*d.shape, 1), [[d.ndim, d.ndim + 1]]
    for first, past in runs:
        outer, n, inner = as_three(d.shape, first, past)
        y = empty(d.shape[:first] + (1,) * (past - first) + d.shape[past:], d.dtype)
        kernels.extreme_forward(d.reshape(outer, n, inner), y.reshape(outer, inner), kind)
        d, kind = y, {kernels.ABSMAX: kernels.MAX, kernels.ABSMIN: kernels.MIN}.get(kind, kind)
    return d


class Amax(_Reduction):
    __slots__ = ()

    def backward(self, grad):
        x, y = self.saved_tensors()
        if not mode.grad and len(runs_of(self.dims)) == 1:
            d = dense(x)
            outer, n, inner = as_three(d.shape, *runs_of(self.dims)[0])
            dx = empty(d.shape, d.dtype)
            g, best = dense(grad).reshape(outer, inner), dense(y).reshape(outer, inner)
            kernels.extreme_backward(g, d.reshape(outer, n, inner), best, dx.reshape(outer, n, inner))
            return wrap(dx)
        best = self.kept(y)._data
        mask = wrap((x._data == best) | (np.isnan(x._data) & np.isnan(best)))
        count = mask.sum(self.dims, True) if self.dims else mask.sum()
        return (self.kept(grad) / count) * mask


class Amin(Amax):
    __slots__ = ()


class Max(Amax):
    __slots__ = ()

    def name(self):
        return type(self).__name__ + "Backward1"


class Min(Max):
    __slots__ = ()


def _small(input, dim, keepdim, kind):
    """amax or amin of a small tensor where nothing is recorded, along one dimension or (None, ()) of all; else None."""
    if not isinstance(input, Tensor) or (input._rg and mode.grad):
        return None
    data = _SMALL[kind](input._data, None if type(dim) is tuple and not dim else dim, True if keepdim else None)
    return None if data is None else wrap(data)


def _extreme(input, dims, keepdim, kind, node_type):
    d = input._data
    if d.dtype in HALF:
        return cast(_extreme(cast(input, dtypes.float32), dims, keepdim, kind, node_type), input.dtype)
    shape = kept_shape(d.shape, dims, keepdim)
    if d.dtype is not F32 and d.dtype is not F64:
        return wrap(np.asarray(_NUMPY[kind](d, axis=dims), d.dtype).reshape(shape))
    if len(dims) == d.ndim:
        y = empty(shape, d.dtype)
        kernels.extreme_forward(in_memory_order(input).reshape(1, d.size, 1), y.reshape(1, 1), kind)
    else:
        y = extreme_array(dense(input), dims, kind).reshape(shape)
    out = wrap(y)
    if input._rg and mode.grad:
        node = node_type(input)
        node.record(out, input, dims, keepdim)
        node.save(input, out)
    return out


def _dims(function, input, dim):
    """The dimensions of amax and its kin, which must hold elements."""
    check_tensor(function, "input", input, 1)
    dims = reduced_dims(dim, input._data.ndim)
    if input._data.size:
        return dims
    if dim is None or dim == ():
        raise RuntimeError(
            f"{function}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the 'dim' argument."
        )
    for i in dims:
        if input._data.shape[i] == 0:
            raise IndexError(f"{function}(): Expected reduction dim {i} to have non-zero size.")
    return dims


@numpy_names
def amax(input, dim=(), keepdim=False, *, out=None):
    """The largest element over all or some dimensions; equal ones share the gradient. A NaN is larger than any number.

    Args:
        input: tensor of any dtype.
        dim: a dimension or a tuple of them; empty: all.
        keepdim: keep the dimensions with size 1.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or one of size 0.
        RuntimeError: a dimension appears twice, or ``out`` cannot hold the result.
    """
    if out is None:
        result = _small(input, dim, keepdim, kernels.MAX)
        if result is not None:
            return result
    return into(out, _extreme(input, _dims("amax", input, dim), keepdim, kernels.MAX, Amax), "amax")


@numpy_names
def amin(input, dim=(), keepdim=False, *, out=None):
    """The smallest element over all or some dimensions; equal ones share the gradient. A NaN is smaller than any
    number.

    Args:
        input: tensor of any dtype.
        dim: a dimension or a tuple of them; empty: all.
        keepdim: keep the dimensions with size 1.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or one of size 0.
        RuntimeError: a dimension appears twice, or ``out`` cannot hold the result.
    """
    if out is None:
        result = _small(input, dim, keepdim, kernels.MIN)
        if result is not None:
            return result
    return into(out, _extreme(input, _dims("amin", input, dim), keepdim, kernels.MIN, Amin), "amin")


@numpy_names
def aminmax(input, *, dim=None, keepdim=False, out=None):
    """The smallest and the largest element, of all or along one dimension, as a named tuple ``(min, max)``.

    Args:
        input: tensor of any dtype.
        dim: the dimension; None: all elements.
        keepdim: keep the dimension with size 1.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        that of ``input`` without the dimension, both results.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or it has size 0.
        RuntimeError: there are no elements, or ``out`` cannot hold the result.
    """
    check_tensor("aminmax", "input", input, 1)
    if dim is None and input.numel() == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    return into(
        out,
        _aminmax(amin(input, () if dim is None else dim, keepdim), amax(input, () if dim is None else dim, keepdim)),
        "aminmax",
    )


class _AtIndices(Node):
    """Values picked along one dimension: the gradient goes back to where they came from."""

    __slots__ = ("shape", "dim", "keepdim", "indices")

    def backward(self, grad, _=None):
        indices = wrap(self.indices)
        if not self.shape:
            return grad.reshape(())
        if not mode.grad:
            outer, n, inner = as_three(self.shape, self.dim, self.dim + 1)
            dx = empty(self.shape, grad._data.dtype)
            where = self.indices.reshape(outer, inner)
            kernels.arg_backward(dense(grad).reshape(outer, inner), where, dx.reshape(outer, n, inner))
            return wrap(dx)
        if not self.keepdim:
            grad, indices = grad.unsqueeze(self.dim), indices.unsqueeze(self.dim)
        return grad.new_zeros(self.shape).scatter(self.dim, indices, grad)


class MaxDim(_AtIndices):
    __slots__ = ()

    def name(self):
        return "MaxBackward0"


class MinDim(_AtIndices):
    __slots__ = ()

    def name(self):
        return "MinBackward0"


def picked(node_type, input, values, indices, dim, keepdim):
    """Tensors of values that were picked along ``dim`` and of their indices, recorded."""
    out, where = wrap(values), wrap(indices)
    if input._rg and mode.grad:
        node = node_type(input)
        node.shape, node.dim, node.keepdim, node.indices = input._data.shape, dim, keepdim, indices
        node.attach_all((out, where))
    return out, where


def arg_array(d, dim, kind):
    """Extreme values and their first indices along ``dim``, which is gone, of an array of any dtype."""
    shape = d.shape[:dim] + d.shape[dim + 1 :]
    if d.dtype not in (F32, F64):
        indices = np.asarray(_NUMPY_ARG[kind](d, axis=dim), np.int64)
        return np.take_along_axis(d, np.expand_dims(indices, dim), dim).reshape(shape), indices
    outer, n, inner = as_three(d.shape, dim, dim + 1)
    values, indices = empty(shape, d.dtype), empty(shape, np.dtype(np.int64))
    x = np.ascontiguousarray(d).reshape(outer, n, inner)
    if x.size:
        kernels.arg_forward(x, values.reshape(outer, inner), indices.reshape(outer, inner), kind)
    return values, indices


def _with_indices(function, input, dim, keepdim, kind, node_type, result_type):
    d = input._data
    dim = wrap_dim(dim, d.ndim)
    if d.ndim and d.shape[dim] == 0:
        raise IndexError(f"{function}(): Expected reduction dim {dim} to have non-zero size.")
    values, indices = arg_array(d.reshape(1) if d.ndim == 0 else d, dim, kind)
    if keepdim and d.ndim:
        values, indices = np.expand_dims(values, dim), np.expand_dims(indices, dim)
    return result_type(*picked(node_type, input, values, indices, dim, keepdim))


def _max_or_min(function, input, dim, keepdim, out, kind, other):
    if out is None and isinstance(input, Tensor) and not (input._rg and mode.grad):
        if dim is None:
            result = _small(input, None, False, kind)
            if result is not None:
                return result
        else:
            pair = _SMALL_ARG[kind](input._data, dim, True if keepdim else None)
            if pair is not None:
                return (_max if kind == kernels.MAX else _min)(wrap(pair[0]), wrap(pair[1]))
    check_tensor(function, "input", input, 1)
    if isinstance(dim, Tensor):
        return getattr(input, other)(dim) if out is None else getattr(input, other)(dim, out=out)
    whole, along, result_type = (Max, MaxDim, _max) if kind == kernels.MAX else (Min, MinDim, _min)
    if dim is not None:
        if isinstance(dim, builtins.bool | float | str):
            raise TypeError(
                f"{function}() received an invalid combination of arguments: dim must be an int, got {dim!r}"
            )
        if input._data.dtype in HALF:
            wide = _with_indices(function, input.to(dtypes.float32), dim, keepdim, kind, along, result_type)
            return into(out, result_type(wide[0].to(input.dtype), wide[1]), function)
        return into(out, _with_indices(function, input, dim, keepdim, kind, along, result_type), function)
    if input.numel() == 0:
        raise RuntimeError(
            f"{function}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
            "with the 'dim' argument."
        )
    return into(out, _extreme(input, tuple(range(input._data.ndim)), False, kind, whole), function)


@numpy_names
def max(input, dim=None, keepdim=False, *, other=None, out=None):
    """``max(input)``: the largest element. ``max(input, dim)``: the largest along a dimension and its first index, as a
    named tuple ``(values, indices)``. ``max(input, other)``: :func:`maximum`. A NaN is larger than any number.

    Args:
        input: tensor of any dtype.
        dim: the dimension, or a tensor to compare with; None: all elements.
        keepdim: keep the dimension with size 1.
        other: a tensor to compare with.
        out: a tensor, or with ``dim`` a tuple of two, to write the results to, or None.

    Shape:
        (), or that of ``input`` without the dimension, or that to which both broadcast; indices are int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or it has size 0.
        RuntimeError: there are no elements, or the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return _max_or_min("max", input, dim if other is None else other, keepdim, out, kernels.MAX, "maximum")


@numpy_names
def min(input, dim=None, keepdim=False, *, other=None, out=None):
    """``min(input)``: the smallest element. ``min(input, dim)``: the smallest along a dimension and its first index, as
    a named tuple ``(values, indices)``. ``min(input, other)``: :func:`minimum`. A NaN is smaller than any number.

    Args:
        input: tensor of any dtype.
        dim: the dimension, or a tensor to compare with; None: all elements.
        keepdim: keep the dimension with size 1.
        other: a tensor to compare with.
        out: a tensor, or with ``dim`` a tuple of two, to write the results to, or None.

    Shape:
        (), or that of ``input`` without the dimension, or that to which both broadcast; indices are int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or it has size 0.
        RuntimeError: there are no elements, or the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return _max_or_min("min", input, dim if other is None else other, keepdim, out, kernels.MIN, "minimum")


def _arg(function, input, dim, keepdim, out, kind):
    if out is None and isinstance(input, Tensor):
        pair = _SMALL_ARG[kind](input._data, dim, True if keepdim else None)
        if pair is not None:
            return wrap(pair[1])
    check_tensor(function, "input", input, 1)
    d = input._data
    if d.dtype in HALF:
        d = d.astype(np.float32)
    if d.dtype == np.bool_:
        raise RuntimeError(f"{function}(): does not support bool input")
    if dim is None:
        if d.size == 0:
            raise IndexError(f"{function}(): Expected reduction dim to be specified for input.numel() == 0.")
        result = arg_array(d.reshape(-1), 0, kind)[1].reshape((1,) * d.ndim if keepdim else ())
        return into(out, wrap(result), function)
    dim = wrap_dim(dim, d.ndim)
    if d.ndim == 0:
        return into(out, wrap(np.zeros((), np.int64)), function)
    if d.shape[dim] == 0:
        raise IndexError(f"{function}(): Expected reduction dim {dim} to have non-zero size.")
    result = arg_array(d, dim, kind)[1]
    return into(out, wrap(np.expand_dims(result, dim) if keepdim else result), function)


@numpy_names
def argmax(input, dim=None, keepdim=False, *, out=None):
    """The index of the first largest element, along a dimension or (None) in the flattened tensor.

    Args:
        input: tensor of any dtype.
        dim: the dimension, or None.
        keepdim: keep the dimension with size 1.
        out: int64 tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimension, or (); int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or there are no elements.
        RuntimeError: ``out`` cannot hold the result.
    """
    return _arg("argmax", input, dim, keepdim, out, kernels.MAX)


@numpy_names
def argmin(input, dim=None, keepdim=False, *, out=None):
    """The index of the first smallest element, along a dimension or (None) in the flattened tensor.

    Args:
        input: tensor of any dtype.
        dim: the dimension, or None.
        keepdim: keep the dimension with size 1.
        out: int64 tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimension, or (); int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension, or there are no elements.
        RuntimeError: ``out`` cannot hold the result.
    """
    return _arg("argmin", input, dim, keepdim, out, kernels.MIN)
