"""Sums, means, products and variances over some or all dimensions, counts and truth over them, logsumexp."""

import builtins
import math

import numpy as np

from .. import dtypes
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _small_products as small
from ..kernels import reduction as kernels
from ..kernels import softmax as softmax_kernels
from ..kernels._jit import GRAIN
from ..kernels._pool import empty
from ..kernels.pointwise_select import nan_to_num_forward
from ..tensor import wrap
from ._common import (
    F32,
    F64,
    HALF,
    check_tensor,
    dense,
    half_as_float32,
    into,
    numpy_names,
    out_dtype,
    recording,
    wrap_dim,
)
from ._elementwise import run3
from .cast import cast
from .shape import dims_of

# Elements side by side from which on sums over two to four are taken in one pass.
_WIDE = 64
_NONE = {(k, n): np.empty((0,) * n, k) for k in (F32, F64) for n in (1, 2)}


def reduced_dims(dim, ndim):
    """The dimensions that an argument ``dim`` names, as a tuple: all for None and for an empty sequence."""
    if dim.__class__ is int and ndim:
        if not -ndim <= dim < ndim:
            wrap_dim(dim, ndim)
        return (dim + ndim if dim < 0 else dim,)
    if dim is None or (dim.__class__ in (tuple, list) and not dim):
        return tuple(range(ndim))
    dims = dims_of(dim, ndim)
    return dims if ndim else ()


def kept_shape(shape, dims, keepdim):
    """The shape after a reduction over ``dims``."""
    if len(dims) == 1:
        d = dims[0]
        return (*shape[:d], 1, *shape[d + 1 :]) if keepdim else shape[:d] + shape[d + 1 :]
    if keepdim:
        return tuple([1 if i in dims else n for i, n in enumerate(shape)])
    return tuple([n for i, n in enumerate(shape) if i not in dims])


def runs_of(dims):
    """Neighbouring dimensions as pairs (first, past the last), the last pair first: (0, 2, 3) is (2, 4), (0, 1)."""
    if len(dims) == 1:
        return ((dims[0], dims[0] + 1),)
    out = []
    for d in sorted(dims, reverse=True):
        if out and out[-1][0] == d + 1:
            out[-1][0] = d
        else:
            out.append([d, d + 1])
    return out


def as_three(shape, first, past):
    """Sizes before, within and after the dimensions from ``first`` to ``past``."""
    return math.prod(shape[:first]), math.prod(shape[first:past]), math.prod(shape[past:])


def in_memory_order(t):
    """An array with the tensor's elements in any order, without a copy where they lie densely."""
    d = t._data
    if d.flags.c_contiguous:
        return d
    if d.flags.f_contiguous:
        return d.T
    return dense(t)


def sum_array(d, dims, kind=kernels.SUM, p=1.0, scale=1.0, root=1.0):
    """``(scale * sum f(x)) ** root`` of a C-contiguous float array over ``dims``, which stay with size 1; f and p as
    for ``kernels.reduction.sum_rows``."""
    runs = runs_of(dims)
    if not runs:
        d, runs = d.reshape(*d.shape, 1), [[d.ndim, d.ndim + 1]]
    for i, (first, past) in enumerate(runs):
        last = i == len(runs) - 1
        outer, n, inner = as_three(d.shape, first, past)
        y = empty(d.shape[:first] + (1,) * (past - first) + d.shape[past:], d.dtype)
        end = (scale, root) if last else (1.0, 1.0)
        if inner == 1:
            kernels.sum_rows(d.reshape(outer, n), y.reshape(outer), kind, p, _NONE[d.dtype, 1], *end)
        elif kind == kernels.SUM and 2 <= n <= 4 and inner >= _WIDE and d.size >= GRAIN and end[1] == 1.0:
            kernels.add_few(d.reshape(outer, n, inner), y.reshape(outer, inner), end[0])
        else:
            kernels.sum_columns(d.reshape(outer, n, inner), y.reshape(outer, inner), kind, p, _NONE[d.dtype, 2], *end)
        d, kind = y, kernels.SUM
    return d


def spread(grad, dims, keepdim, shape):
    """The gradient of a reduction, repeated over the dimensions that went."""
    g = grad._data
    if not mode.grad and (g.dtype is F32 or g.dtype is F64) and g.size:
        g = dense(grad)
        strides, step = [0] * len(shape), g.itemsize
        for i in range(len(shape) - 1, -1, -1):
            if i not in dims:
                strides[i] = step
                step *= shape[i]
        return wrap(np.ndarray(shape, g.dtype, g, 0, strides))
    if not keepdim and shape:
        grad = grad.reshape(kept_shape(shape, dims, True))
    return grad.expand(shape)


class _Reduction(Node):
    __slots__ = ("shape", "dims", "keepdim")

    def record(self, out, input, dims, keepdim):
        """Attaches the output and remembers what was reduced."""
        self.shape, self.dims, self.keepdim = input._data.shape, dims, keepdim
        return self.attach(out)

    def spread(self, t):
        """``t`` repeated over the dimensions that went."""
        return spread(t, self.dims, self.keepdim, self.shape)

    def kept(self, t):
        """``t`` with the dimensions that went as dimensions of size 1, so that it broadcasts."""
        return t if self.keepdim or not self.shape else t.reshape(kept_shape(self.shape, self.dims, True))

    def name(self):
        """As PyTorch's, which ends in 1 for a reduction over given dimensions."""
        overload = type(self).overloads and (len(self.dims) < len(self.shape))
        return f"{type(self).__name__}Backward{int(overload)}"

    overloads = False


class Sum(_Reduction):
    __slots__ = ()
    overloads = True

    def backward(self, grad):
        return self.spread(grad)


class Mean(_Reduction):
    __slots__ = ()
    overloads = True

    def backward(self, grad):
        n = math.prod([self.shape[d] for d in self.dims])
        return self.spread(grad * (1.0 / n) if n else grad)


def _total(input, dim, keepdim, node_type, mean):
    """The sum or mean of a float32 or float64 tensor."""
    d = input._data
    dims = reduced_dims(dim, d.ndim)
    n = math.prod([d.shape[i] for i in dims])
    scale = (1.0 / n if n else math.nan) if mean else 1.0
    whole, y = len(dims) == d.ndim, None
    if whole or dims == (d.ndim - 1,):
        y = small.SUMS.call(d, scale) if whole else small.SUMS.call(d, scale, None)
        if y is None:
            small.SUMS.prepare(d.dtype)
    elif d.ndim == 2:
        y = small.COLUMN_SUMS.call(d, scale)
        if y is None and d.shape[1] > 1:
            small.COLUMN_SUMS.prepare(d.dtype)
    if y is not None:
        y = y.reshape(kept_shape(d.shape, dims, True)) if keepdim else y
    elif whole:
        x = in_memory_order(input)
        y = np.empty((1,) * d.ndim if keepdim else (), d.dtype)
        kernels.sum_rows(x.reshape(1, d.size), y.reshape(1), kernels.SUM, 1.0, _NONE[d.dtype, 1], scale, 1.0)
    else:
        y = sum_array(dense(input), dims, scale=scale).reshape(kept_shape(d.shape, dims, keepdim))
    out = wrap(y)
    if input._rg and mode.grad:
        node_type(input).record(out, input, dims, keepdim)
    return out


@numpy_names
def sum(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The sum of all elements, or over one or several dimensions.

    Args:
        input: tensor of any dtype.
        dim: an int, a tuple of ints, or None (or an empty tuple) for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: the dtype in which to add, by default that of ``out``; without one, integers and bools add up in int64.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Float sums are accumulated in float64 and rounded once.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice, or ``out`` is of another dtype than asked for.
    """
    check_tensor("sum", "input", input, 1)
    dtype = out_dtype("sum", dtype, out)
    if dtype is not None:
        input = cast(input, dtype)
    kind = input._data.dtype
    if kind is F32 or kind is F64:
        result = _total(input, dim, keepdim, Sum, False)
    elif kind in HALF:
        result = cast(_total(cast(input, dtypes.float32), dim, keepdim, Sum, False), input.dtype)
    else:
        dtypes.refuse_float8("sum_cpu", kind)
        dims = reduced_dims(dim, input._data.ndim)
        kind = dtypes.int64 if dtype is None else dtype
        result = wrap(np.asarray(input._data.sum(axis=dims, dtype=kind.np, keepdims=builtins.bool(keepdim))))
    return into(out, result, "sum")


@numpy_names
def mean(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The mean ``sum(x) / n`` of all elements, or over one or several dimensions.

    Args:
        input: tensor of a floating-point dtype, unless ``dtype`` is given.
        dim: an int, a tuple of ints, or None (or an empty tuple) for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: the dtype in which to compute, a floating-point one; by default that of ``out``, or else the input's.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, a dimension appears twice, or ``out`` cannot hold the
            result.
    """
    check_tensor("mean", "input", input, 1)
    case = "mean" if dim is not None else "mean.all"
    if dtype is not None:
        case = "mean.dtype"
    elif out is not None and input.dtype.is_floating_point and out_dtype("mean", None, out).is_floating_point:
        dtype = out.dtype
    if dtype is not None:
        input = cast(input, dtype)
    kind = input._data.dtype
    if kind is F32 or kind is F64:
        result = _total(input, dim, keepdim, Mean, True)
    elif kind in HALF:
        result = cast(_total(cast(input, dtypes.float32), dim, keepdim, Mean, True), input.dtype)
    else:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point dtype. Got: "
            f"{input.dtype.torch_name}"
        )
    return into(out, result, case)


@numpy_names
def nansum(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The sum of the elements that are not NaN.

    Args:
        input: tensor of any dtype.
        dim: an int, a tuple of ints, or None (or an empty tuple) for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: the dtype in which to add, by default that of ``out``; without one, integers and bools add up in int64.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice, or ``out`` is of another dtype than asked for.
        NotImplementedError: ``out`` is of an integer dtype and the input of a floating-point one.
    """
    check_tensor("nansum", "input", input, 1)
    case = "nansum.float" if input.dtype.is_floating_point else "nansum"
    dtype = out_dtype("nansum", dtype, out)
    if dtype is not None:
        if not dtype.is_floating_point and input.dtype.is_floating_point:
            raise NotImplementedError(f"\"nansum_cpu\" not implemented for '{dtype.torch_name}'")
        input = cast(input, dtype)
    if (input._data.dtype is F32 or input._data.dtype is F64) and not recording(input):
        low, high = (np.asarray(limit, input._data.dtype) for limit in (-np.inf, np.inf))
        input = wrap(run3(nan_to_num_forward, input._data, low, high, 0.0))
    elif input.dtype.is_floating_point:
        input = input.masked_fill(wrap(np.isnan(input._data)), 0.0)
    return into(out, sum(input, dim, keepdim, dtype=dtype), case)


@numpy_names
def nanmean(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The mean of the elements that are not NaN; NaN where there is none.

    Args:
        input: tensor of a floating-point dtype.
        dim: an int, a tuple of ints, or None (or an empty tuple) for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: the dtype in which to compute; by default that of ``out``, or else the input's.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, or a dimension appears twice.
        NotImplementedError: ``out`` is not of a floating-point dtype.
    """
    check_tensor("nanmean", "input", input, 1)
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"nanmean(): expected input to have floating point dtype but got {input.dtype.torch_name}")
    if dtype is None and out is not None and out_dtype("nanmean", None, out).is_floating_point:
        dtype = out.dtype
    dims = reduced_dims(dim, input._data.ndim)
    count = np.asarray((~np.isnan(input._data)).sum(axis=dims, keepdims=builtins.bool(keepdim)))
    return into(out, nansum(input, dim, keepdim, dtype=dtype) / wrap(count), "nanmean")


class Prod(_Reduction):
    __slots__ = ()
    overloads = True

    def backward(self, grad):
        (x,) = self.saved_tensors()
        return prod_backward(grad, x, self.dims, self.keepdim)


def prod_backward(grad, input, dims, keepdim):
    """``dx_k = grad * prod_{j != k} x_j``, right where some x are 0."""
    shape = input._data.shape
    if mode.grad and (grad._rg or input._rg):
        # products before each element times products after it
        flat = len(dims) != 1
        x = input.reshape(-1) if flat else input
        dim = 0 if flat else dims[0]
        one = x.new_ones(tuple([1 if i == dim else n for i, n in enumerate(x.shape)]))
        n = x.shape[dim]
        from .joining import cat

        before = cat([one, x.narrow(dim, 0, n - 1)], dim).cumprod(dim) if n else x
        after = cat([one, x.flip(dim).narrow(dim, 0, n - 1)], dim).cumprod(dim).flip(dim) if n else x
        return spread(grad, dims, keepdim, shape) * (before * after).reshape(shape)
    d = dense(input)
    outer, n, inner = as_three(shape, dims[0], dims[-1] + 1) if dims else (1, 1, 1)
    g, dx = dense(grad), empty(shape, d.dtype)
    kernels.prod_backward(g.reshape(outer, inner), d.reshape(outer, n, inner), dx.reshape(outer, n, inner))
    return wrap(dx)


@casts("float32")
@numpy_names
def prod(input, dim=None, keepdim=False, *, dtype=None, out=None):
    """The product of all elements, or over one dimension.

    Args:
        input: tensor of any dtype.
        dim: an int, or None for all.
        keepdim: keep the reduced dimension with size 1.
        dtype: the dtype in which to multiply, by default that of ``out``; without one, that is int64 for integers and
            bools.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimension.

    Raises:
        TypeError: ``input`` is not a tensor, or ``dim`` several dimensions.
        IndexError: no such dimension.
        RuntimeError: ``out`` is of another dtype than asked for.
    """
    check_tensor("prod", "input", input, 1)
    dtype = out_dtype("prod", dtype, out)
    if dtype is not None:
        input = cast(input, dtype)
    half = input.dtype if input._data.dtype in HALF else None
    if half is not None:
        input = cast(input, dtypes.float32)
    d = input._data
    dims = reduced_dims(dim, d.ndim)
    if d.dtype not in (F32, F64):
        dtypes.refuse_float8("prod_cpu", d.dtype)
        kind = dtypes.int64 if dtype is None else dtype
        return into(out, wrap(np.asarray(d.prod(axis=dims, dtype=kind.np, keepdims=builtins.bool(keepdim)))), "prod")
    if len(dims) > 1 and dim is not None:
        raise TypeError(f"prod() takes one dimension, got {dim!r}")
    outer, n, inner = as_three(d.shape, dims[0], dims[-1] + 1) if dims else (1, 1, 1)
    y = empty(kept_shape(d.shape, dims, keepdim), d.dtype)
    kernels.extreme_forward(dense(input).reshape(outer, n, inner), y.reshape(outer, inner), kernels.PROD)
    result = wrap(y)
    if input._rg and mode.grad:
        node = Prod(input)
        node.record(result, input, dims, keepdim)
        node.save(input)
    return into(out, result if half is None else cast(result, half), "prod")


class Var(_Reduction):
    __slots__ = ("correction", "whole", "mean")

    def backward(self, grad):
        (x,) = self.saved_tensors()
        return var_backward(grad, x, self)


class Std(Var):
    __slots__ = ()

    def backward(self, grad):
        x, y = self.saved_tensors()
        grad = grad / (y * 2)
        if not y._data.all():
            grad = grad.masked_fill(y == 0, 0.0)
        return var_backward(grad, x, self)


def var_backward(grad, x, node):
    """``2 (x - mean) / (n - correction) * grad``; infinite where there are no degrees of freedom."""
    dims = node.dims
    left = math.prod([x._data.shape[d] for d in dims]) - node.correction
    grad = node.kept(grad)
    centred = x - (mean(x, dims, True) if mode.grad and dims else wrap(node.mean))
    if node.whole and left <= 0:
        return grad * wrap(np.where(centred._data == 0, np.nan, np.inf).astype(x._data.dtype))
    return centred * (grad * (2.0 / left if left else math.inf))


def _spread_arguments(dim, unbiased, correction):
    """``(dim, correction)`` of ``var(dim, unbiased, keepdim, correction=)``, where a bool in the first place is
    unbiased."""
    if isinstance(dim, builtins.bool):
        if unbiased is not None:
            raise TypeError("var() and std() received 'unbiased' twice")
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError("var() and std() take 'unbiased' or 'correction', not both")
        correction = 1.0 if unbiased else 0.0
    return dim, 1.0 if correction is None else float(correction)


def _check_spread(function, input):
    check_tensor(function, "input", input, 1)
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"{function}: only supports floating point dtypes, got {input.dtype}")


def mean_and_spread(d, dims, correction, root):
    """The mean over ``dims`` of a C-contiguous float array and ``(sum (x - mean)^2 / (n - correction)) ** root``; the
    reduced dimensions stay with size 1."""
    shape = kept_shape(d.shape, dims, True)
    runs = runs_of(dims)
    if len(runs) > 1:
        rest = [i for i in range(d.ndim) if i not in dims]
        d = np.ascontiguousarray(d.transpose(*rest, *sorted(dims)))
        runs = [[len(rest), d.ndim]]
    outer, n, inner = as_three(d.shape, *runs[0]) if runs else (d.size, 1, 1)
    average, y = empty((outer, inner), d.dtype), empty((outer, inner), d.dtype)
    left = n - correction
    share = 1.0 / n if n else math.nan
    scale = 1.0 / left if left > 0 else math.inf
    if inner == 1:
        x, m, v = d.reshape(outer, n), average.reshape(outer), y.reshape(outer)
        kernels.sum_rows(x, m, kernels.SUM, 1.0, _NONE[d.dtype, 1], share, 1.0)
        kernels.sum_rows(x, v, kernels.SQUARE, 1.0, m, scale, root)
    else:
        x = d.reshape(outer, n, inner)
        kernels.sum_columns(x, average, kernels.SUM, 1.0, _NONE[d.dtype, 2], share, 1.0)
        kernels.sum_columns(x, y, kernels.SQUARE, 1.0, average, scale, root)
    return average.reshape(shape), y.reshape(shape)


def _spread_of(input, dim, keepdim, correction, node_type, root, want_mean=False):
    """Tensors of the mean and of the variance (or deviation) of a float tensor."""
    d = input._data
    dims = reduced_dims(dim, d.ndim)
    centre, y = mean_and_spread(dense(input), dims, correction, root)
    shape = kept_shape(d.shape, dims, keepdim)
    average, out = wrap(centre.reshape(shape)), wrap(y.reshape(shape))
    if input._rg and mode.grad:
        node = node_type(input)
        node.record(out, input, dims, keepdim)
        node.correction, node.whole, node.mean = correction, dim is None or not dims, centre
        node.save(*((input, out) if node_type is Std else (input,)))
        if want_mean:
            Mean(input).record(average, input, dims, keepdim)
    return average, out


@numpy_names
@half_as_float32
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None):
    """The variance ``sum (x - mean)^2 / (n - correction)`` over all elements or over dimensions.

    Args:
        input: tensor of a floating-point dtype.
        dim: an int, a tuple of ints, or None for all.
        unbiased: True is ``correction=1``, the default, and False is ``correction=0``.
        keepdim: keep the reduced dimensions with size 1.
        correction: what is taken from the number of elements, 1 by default.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions; NaN where there are no more elements than ``correction``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, or a dimension appears twice, or ``out`` cannot hold the
            result.
    """
    _check_spread("var", input)
    dim, correction = _spread_arguments(dim, unbiased, correction)
    return into(out, _spread_of(input, dim, keepdim, correction, Var, 1.0)[1], "var")


@numpy_names
@half_as_float32
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None, out=None):
    """The standard deviation ``sqrt(sum (x - mean)^2 / (n - correction))`` over all elements or over dimensions.

    Args:
        input: tensor of a floating-point dtype.
        dim: an int, a tuple of ints, or None for all.
        unbiased: True is ``correction=1``, the default, and False is ``correction=0``.
        keepdim: keep the reduced dimensions with size 1.
        correction: what is taken from the number of elements, 1 by default.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions; NaN where there are no more elements than ``correction``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, or a dimension appears twice, or ``out`` cannot hold the
            result.
    """
    _check_spread("std", input)
    dim, correction = _spread_arguments(dim, unbiased, correction)
    return into(out, _spread_of(input, dim, keepdim, correction, Std, 0.5)[1], "std")


@numpy_names
@half_as_float32
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance ``sum (x - mean)^2 / (n - correction)`` and the mean, as a tuple.

    Args:
        input: tensor of a floating-point dtype.
        dim: an int, a tuple of ints, or None for all.
        unbiased: True is ``correction=1``, the default, and False is ``correction=0``.
        keepdim: keep the reduced dimensions with size 1.
        correction: what is taken from the number of elements, 1 by default.

    Shape:
        that of ``input`` without the dimensions, both results.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, or a dimension appears twice.
    """
    _check_spread("var_mean", input)
    dim, correction = _spread_arguments(dim, unbiased, correction)
    average, y = _spread_of(input, dim, keepdim, correction, Var, 1.0, True)
    return y, average


@numpy_names
@half_as_float32
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation ``sqrt(sum (x - mean)^2 / (n - correction))`` and the mean, as a tuple.

    Args:
        input: tensor of a floating-point dtype.
        dim: an int, a tuple of ints, or None for all.
        unbiased: True is ``correction=1``, the default, and False is ``correction=0``.
        keepdim: keep the reduced dimensions with size 1.
        correction: what is taken from the number of elements, 1 by default.

    Shape:
        that of ``input`` without the dimensions, both results.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the dtype is not a floating-point one, or a dimension appears twice.
    """
    _check_spread("std_mean", input)
    dim, correction = _spread_arguments(dim, unbiased, correction)
    average, y = _spread_of(input, dim, keepdim, correction, Std, 0.5, True)
    return y, average


class Logsumexp(_Reduction):
    __slots__ = ()

    def backward(self, grad):
        x, y = self.saved_tensors()
        if not mode.grad and len(runs_of(self.dims)) == 1:
            d = dense(x)
            outer, n, inner = as_three(d.shape, self.dims[0], self.dims[-1] + 1)
            dx = empty(d.shape, d.dtype)
            g, top = dense(grad).reshape(outer, inner), dense(y).reshape(outer, inner)
            short = inner == 1 and softmax_kernels.short(n)
            backward = softmax_kernels.logsumexp_short_backward if short else softmax_kernels.logsumexp_backward
            backward(g, d.reshape(outer, n, inner), top, dx.reshape(outer, n, inner))
            return wrap(dx)
        if np.isinf(y._data).any():
            y = y.masked_fill(wrap(np.isinf(y._data)), 0.0)
        return self.kept(grad) * (x - self.kept(y)).exp()


@numpy_names
@half_as_float32
def logsumexp(input, dim, keepdim=False, *, out=None):
    """``ln sum exp(x)`` over one or several dimensions, without overflow.

    Args:
        input: tensor; integers are taken as floating point.
        dim: an int or a tuple of ints.
        keepdim: keep the reduced dimensions with size 1.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice, or ``out`` cannot hold the result.
    """
    check_tensor("logsumexp", "input", input, 1)
    if not input.dtype.is_floating_point:
        input = cast(input, dtypes.get_default_dtype())
    d = input._data
    dims = tuple(sorted(reduced_dims(dim, d.ndim)))
    x = dense(input)
    runs = runs_of(dims)
    if len(runs) > 1:
        rest = [i for i in range(d.ndim) if i not in dims]
        x = np.ascontiguousarray(d.transpose(*rest, *dims))
        runs = [[len(rest), d.ndim]]
    outer, n, inner = as_three(x.shape, *runs[0]) if runs else (1, 1, 1)
    y = empty(kept_shape(d.shape, dims, keepdim), d.dtype)
    if inner == 1 and softmax_kernels.short(n):
        softmax_kernels.logsumexp_short_forward(x.reshape(outer, n), y.reshape(outer))
    else:
        softmax_kernels.logsumexp_forward(x.reshape(outer, n, inner), y.reshape(outer, inner))
    result = wrap(y)
    if input._rg and mode.grad:
        node = Logsumexp(input)
        node.record(result, input, dims, keepdim)
        node.save(input, result)
    return into(out, result, "logsumexp")


def _truth(function, input, dim, keepdim, out, reduce):
    check_tensor(function, "input", input, 1)
    d = input._data
    # here an empty tuple of dimensions reduces nothing
    dims = () if dim.__class__ in (tuple, list) and not dim else reduced_dims(dim, d.ndim)
    result = reduce(d if d.dtype not in HALF else d != 0, axis=dims, keepdims=builtins.bool(keepdim))
    kind = np.uint8 if d.dtype == np.uint8 else np.bool_
    if out is not None and out_dtype(function, None, out).np in (np.uint8, np.bool_):
        kind = out._data.dtype
    return into(out, wrap(np.asarray(result, kind)), function)


@numpy_names
def all(input, dim=None, keepdim=False, *, out=None):
    """Whether all elements are true (not 0), or all along dimensions; bool, but uint8 for uint8.

    Args:
        input: tensor of any dtype.
        dim: an int, a tuple of ints, or None for all.
        keepdim: keep the reduced dimensions with size 1.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice, or ``out`` cannot hold the result.
    """
    return _truth("all", input, dim, keepdim, out, np.all)


@numpy_names
def any(input, dim=None, keepdim=False, *, out=None):
    """Whether any element is true (not 0), or any along dimensions; bool, but uint8 for uint8.

    Args:
        input: tensor of any dtype.
        dim: an int, a tuple of ints, or None for all.
        keepdim: keep the reduced dimensions with size 1.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice, or ``out`` cannot hold the result.
    """
    return _truth("any", input, dim, keepdim, out, np.any)


@numpy_names
def count_nonzero(input, dim=None):
    """How many elements are not 0, in all or along dimensions, as int64.

    Args:
        input: tensor of any dtype.
        dim: an int, a tuple of ints, or None for all.

    Shape:
        that of ``input`` without the dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: a dimension appears twice.
    """
    check_tensor("count_nonzero", "input", input, 1)
    dims = reduced_dims(dim, input._data.ndim)
    return wrap(np.asarray(np.count_nonzero(input._data != 0, axis=dims or None), np.int64))
