"""Running sums, products and extremes along a dimension; differences and trapezoids."""

import numpy as np

from .. import dtypes, return_types
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import scan as kernels
from ..kernels._along import RUNNING, Along
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_tensor, dense, half_as_float32, into, numpy_names, out_dtype, wrap_dim
from .cast import cast
from .reduction import as_three

# By entries: running sums and products of small tensors.
_SMALL = {k: Along(kernels.scan_forward, RUNNING, k) for k in (kernels.CUMSUM, kernels.CUMPROD)}

_cummax = return_types.cummax
_cummin = return_types.cummin


class _Scan(Node):
    __slots__ = ("dim", "reverse")


class Cumsum(_Scan):
    __slots__ = ()

    def backward(self, grad):
        return _scan(grad, self.dim, kernels.CUMSUM, Cumsum, not self.reverse)


class Cumprod(_Scan):
    __slots__ = ()

    def backward(self, grad):
        (x,) = self.saved_tensors()
        return cumprod_backward(grad, x, self.dim)


class Logcumsumexp(_Scan):
    __slots__ = ()

    def backward(self, grad):
        x, y = self.saved_tensors()
        return logcumsumexp_backward(grad, x, y, self.dim)


def _three(t, dim):
    """A tensor's data as (outer, n, inner) around one dimension."""
    d = dense(t)
    return d.reshape(as_three(d.shape, dim, dim + 1)) if d.ndim else d.reshape(1, 1, 1)


def cumprod_backward(grad, x, dim):
    """``dx_k = (prod_{j < k} x_j) r_k`` with ``r_k = grad_k + x_{k+1} r_{k+1}``."""
    if not (mode.grad and (grad._rg or x._rg)):
        dx = empty(x._data.shape, x._data.dtype)
        kernels.cumprod_backward(_three(grad, dim), _three(x, dim), _three(wrap(dx), dim))
        return wrap(dx)
    if not x._data.ndim:
        return grad
    from .joining import stack

    xs, gs = x.unbind(dim), grad.unbind(dim)
    before, after = [xs[0].new_ones(xs[0].shape)], [gs[-1]]
    for k in range(len(xs) - 1):
        before.append(before[-1] * xs[k])
        after.append(gs[-2 - k] + xs[-1 - k] * after[-1])
    return stack([a * b for a, b in zip(before, reversed(after), strict=True)], dim)


def logcumsumexp_backward(grad, x, y, dim):
    """``dx_k = exp(x_k - y_k) t_k`` with ``t_k = grad_k + exp(y_k - y_{k+1}) t_{k+1}``."""
    if not (mode.grad and (grad._rg or x._rg)):
        dx = empty(x._data.shape, x._data.dtype)
        kernels.logcumsumexp_backward(_three(grad, dim), _three(x, dim), _three(y, dim), _three(wrap(dx), dim))
        return wrap(dx)
    if not x._data.ndim:
        return grad
    from .joining import stack

    ys, gs = y.unbind(dim), grad.unbind(dim)
    t = [gs[-1]]
    for k in range(len(ys) - 2, -1, -1):
        t.append(gs[k] + (ys[k] - ys[k + 1]).exp() * t[-1])
    return (x - y).exp() * stack(t[::-1], dim)


def _scan(input, dim, kind, node_type, reverse=False):
    y = empty(input._data.shape, input._data.dtype)
    if y.size:
        kernels.scan_forward(_three(input, dim), _three(wrap(y), dim), kind, reverse)
    out = wrap(y)
    if input._rg and mode.grad:
        node = node_type(input)
        node.dim, node.reverse = dim, reverse
        node.attach(out)
        if node_type is Cumprod:
            node.save(input)
        elif node_type is Logcumsumexp:
            node.save(input, out)
    return out


def _cumulative(function, input, dim, dtype, out, kind, node_type, numpy):
    if out is None and dtype is None and isinstance(input, Tensor) and not (input._rg and mode.grad):
        data = _SMALL[kind](input._data, dim)
        if data is not None:
            return wrap(data)
    check_tensor(function, "input", input, 1)
    dtype = out_dtype(function, dtype, out)
    if dtype is not None:
        if dtype is dtypes.bool and input._data.ndim and input._data.size:
            raise NotImplementedError(f"\"{function}_out_cpu\" not implemented for 'Bool'")
        input = cast(input, dtype)
    d = input._data
    dim = wrap_dim(dim, d.ndim)
    if d.dtype in (F32, F64):
        return into(out, _scan(input, dim, kind, node_type), function, input)
    if d.dtype in HALF:
        return into(out, cast(_scan(cast(input, dtypes.float32), dim, kind, node_type), input.dtype), function, input)
    dtypes.refuse_float8(f"{function}_out_cpu", d.dtype)
    result = numpy(d.reshape(d.shape or (1,)), axis=dim, dtype=np.int64 if dtype is None else dtype.np)
    return into(out, wrap(result.reshape(d.shape)), function, input)


@numpy_names
def cumsum(input, dim, *, dtype=None, out=None):
    """``y_k = sum_{j <= k} x_j`` along ``dim``; integers and bools add up in int64.

    Args:
        input: any dtype.
        dim: the dimension.
        dtype: the result's, by default that of ``out``; the input is cast to it first.
        out: where to write the result.

    Shape:
        (*); the result has the same.

    Raises:
        IndexError: no such dimension.
        RuntimeError: ``out`` is of another dtype than asked for.
        NotImplementedError: that dtype is bool.
    """
    return _cumulative("cumsum", input, dim, dtype, out, kernels.CUMSUM, Cumsum, np.cumsum)


@numpy_names
def cumprod(input, dim, *, dtype=None, out=None):
    """``y_k = prod_{j <= k} x_j`` along ``dim``; integers and bools multiply in int64.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        dtype: the dtype to multiply in, by default that of ``out``.
        out: tensor to write the result to, or None.

    Shape:
        (*); the result has the same.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: ``out`` is of another dtype than asked for.
        NotImplementedError: that dtype is bool.
    """
    return _cumulative("cumprod", input, dim, dtype, out, kernels.CUMPROD, Cumprod, np.cumprod)


@numpy_names
@half_as_float32
def logcumsumexp(input, dim, *, out=None):
    """``y_k = ln sum_{j <= k} exp(x_j)`` along ``dim``, without overflow.

    Args:
        input: tensor of a floating-point dtype.
        dim: the dimension.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        NotImplementedError: the dtype is not a floating-point one.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("logcumsumexp", "input", input, 1)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{input.dtype.torch_name}'")
    dim = wrap_dim(dim, input._data.ndim)
    return into(out, _scan(input, dim, kernels.LOGCUMSUMEXP, Logcumsumexp), "logcumsumexp", input)


class _CumExtreme(Node):
    __slots__ = ("dim", "indices")

    def backward(self, grad, _=None):
        if not grad._data.ndim:
            return grad
        if not mode.grad and grad._data.dtype in (F32, F64):
            dx = wrap(empty(grad._data.shape, grad._data.dtype))
            kernels.cumextreme_backward(
                _three(grad, self.dim), _three(wrap(self.indices), self.dim), _three(dx, self.dim)
            )
            return dx
        return grad.new_zeros(grad.shape).scatter_add(self.dim, wrap(self.indices), grad)


class Cummax(_CumExtreme):
    __slots__ = ()


class Cummin(_CumExtreme):
    __slots__ = ()


def _cumextreme(function, input, dim, sign, node_type, result_type):
    check_tensor(function, "input", input, 1)
    d = input._data
    dim = wrap_dim(dim, d.ndim)
    x = dense(input)
    if d.dtype not in (F32, F64):
        x = x.astype(np.float32 if d.dtype in HALF else np.float64)
    values, indices = empty(d.shape, x.dtype), empty(d.shape, np.dtype(np.int64))
    if d.size:
        shape = as_three(d.shape, dim, dim + 1) if d.ndim else (1, 1, 1)
        kernels.cumextreme_forward(x.reshape(shape), values.reshape(shape), indices.reshape(shape), sign)
    if x.dtype != d.dtype:
        values = np.take_along_axis(d, indices, dim) if d.ndim else d.copy()
    out, where = wrap(values), wrap(indices)
    if input._rg and mode.grad:
        node = node_type(input)
        node.dim, node.indices = dim, indices
        node.attach_all((out, where))
    return result_type(out, where)


@numpy_names
def cummax(input, dim, *, out=None):
    """The running maximum along ``dim`` and the index of its last occurrence so far, as ``(values, indices)``.

    Args:
        input: any dtype.
        dim: the dimension.
        out: where to write values and indices.

    Shape:
        (*); values and indices have the same.

    Raises:
        IndexError: no such dimension.
        RuntimeError: ``out`` cannot hold the result.
    """
    return into(out, _cumextreme("cummax", input, dim, 1.0, Cummax, _cummax), "cummax")


@numpy_names
def cummin(input, dim, *, out=None):
    """The running minimum along ``dim`` and the index of its last occurrence so far, as ``(values, indices)``.

    Args, Shape and errors: as :func:`cummax`.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        both results have that of ``input``; the indices are int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: ``out`` cannot hold the result.
    """
    return into(out, _cumextreme("cummin", input, dim, -1.0, Cummin, _cummin), "cummin")


class Diff(Node):
    __slots__ = ("dim",)

    def name(self):
        return "SubBackward0"

    def backward(self, grad):
        return _undiff(grad, self.dim)


class DiffBackward(Node):
    __slots__ = ("dim",)

    def backward(self, grad):
        return _diff(grad, self.dim)


def _diff(input, dim):
    """The first difference of float32 or float64, of a size of at least 2 along the dimension."""
    d = dense(input)
    shape = d.shape
    outer, n, inner = as_three(shape, dim, dim + 1)
    data = empty((*shape[:dim], n - 1, *shape[dim + 1 :]), d.dtype)
    if data.size:
        kernels.diff_forward(d.reshape(outer, n * inner), data.reshape(outer, (n - 1) * inner), inner)
    out = wrap(data)
    if input._rg and mode.grad:
        node = Diff(input)
        node.dim = dim
        node.attach(out)
    return out


def _undiff(grad, dim):
    """The gradient of :func:`_diff`."""
    g = dense(grad)
    shape = g.shape
    outer, m, inner = as_three(shape, dim, dim + 1)
    data = empty((*shape[:dim], m + 1, *shape[dim + 1 :]), g.dtype)
    if data.size:
        kernels.diff_backward(g.reshape(outer, m * inner), data.reshape(outer, (m + 1) * inner), inner)
    out = wrap(data)
    if grad._rg and mode.grad:
        node = DiffBackward(grad)
        node.dim = dim
        node.attach(out)
    return out


@numpy_names
def diff(input, n=1, dim=-1, prepend=None, append=None, *, out=None):
    """The n-th forward difference along ``dim``: ``y_k = x_{k+1} - x_k``, n times.

    Args:
        input: tensor of at least one dimension; bools are combined by exclusive or.
        n: how often.
        dim: the dimension.
        prepend, append: tensors put before and after the input first, or None.
        out: tensor to write the result to, or None.

    Shape:
        that of the input with size d - n along ``dim``, at least 0.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        RuntimeError: the input is 0-d, n is negative, or the shapes do not fit, or ``out`` cannot hold the result.
    """
    if not isinstance(input, Tensor):
        check_tensor("diff", "input", input, 1)
    if not input._data.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = wrap_dim(dim, input._data.ndim)
    parts = [t for t in (prepend, input, append) if t is not None]
    if len(parts) > 1 and n:
        from .joining import cat

        input = cat(parts, dim)
    for _ in range(min(n, input._data.shape[dim])):
        size = input._data.shape[dim] - 1
        if size > 0 and (input._data.dtype is F32 or input._data.dtype is F64):
            input = _diff(input, dim)
            continue
        after, before = input.narrow(dim, 1, size), input.narrow(dim, 0, size)
        input = after.logical_xor(before) if input.dtype is dtypes.bool else after - before
    return into(out, input, "diff") if n else into(out, input.clone(), "diff.clone")


def _trapezoids(function, y, x, dx, dim):
    """The areas of the single trapezoids along ``dim``."""
    check_tensor(function, "y", y, 1)
    if x is not None:
        check_tensor(function, "x", x, 2)
    if x is not None and dx is not None:
        raise TypeError(f"{function}() takes 'x' or 'dx', not both")
    dim = wrap_dim(dim, y._data.ndim)
    n = y.shape[dim]
    if n == 0:
        return y.narrow(dim, 0, 0)
    heights = y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)
    if x is None:
        return heights * ((1.0 if dx is None else dx) / 2.0)
    if x._data.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(
                f"{function}(): There must be one `x` value for each sample point, got {x.shape[0]} and {n}"
            )
        return heights * diff(x).reshape(tuple(n - 1 if i == dim else 1 for i in range(y._data.ndim))) / 2.0
    return heights * diff(x, dim=dim - y._data.ndim) / 2.0


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral of y along ``dim`` by the trapezoidal rule, at points ``x`` or with spacing ``dx`` (default 1).

    Args:
        y: the values.
        x: their places, (n,) or of the shape of y.
        dx: their distance, in place of ``x``.
        dim: the dimension.

    Shape:
        (*, n) gives (*).

    Raises:
        TypeError: an argument is no tensor, or both ``x`` and ``dx`` are given.
        IndexError: no such dimension.
    """
    if x is None and isinstance(y, Tensor) and y._data.ndim and y._data.shape[wrap_dim(dim, y._data.ndim)]:
        ends = y.select(dim, 0) + y.select(dim, -1)
        return (y.sum(dim) - ends * 0.5) * (1.0 if dx is None else dx)
    areas = _trapezoids("trapezoid", y, x, dx, dim)
    return areas.sum(dim)


trapz = trapezoid


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The running integral of y along ``dim`` by the trapezoidal rule, at points ``x`` or with spacing ``dx``.

    Args and errors: as :func:`trapezoid`.

    Args:
        y: tensor of the values.
        x: tensor of the points, of the same shape or a vector; or None.
        dx: the spacing between points, a number, by default 1.
        dim: the dimension.

    Shape:
        (*, n) gives (*, n - 1).

    Raises:
        TypeError: ``y`` or ``x`` is not a tensor, or both ``x`` and ``dx`` are given.
        IndexError: no such dimension.
        RuntimeError: the shapes do not fit.
    """
    return cumsum(_trapezoids("cumulative_trapezoid", y, x, dx, dim), dim)
