"""Softmax and its kin along one dimension."""

import warnings

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import softmax as kernels
from ..kernels._pool import empty
from ..kernels.random import exponential_forward
from ..kernels.reduction import MAX, arg_backward
from ..random import current_generator
from ..tensor import wrap
from ._common import F32, F64, HALF, check_tensor, dense, wrap_dim
from .cast import cast, convert
from .extreme import arg_array
from .reduction import as_three


class Softmax(Node):
    __slots__ = ("dim",)

    def backward(self, grad):
        (y,) = self.saved_tensors()
        if mode.grad:
            return y * (grad - (grad * y).sum(self.dim, True))
        return _softmax_backward(grad, y, self.dim, False)


class LogSoftmax(Node):
    __slots__ = ("dim",)

    def backward(self, grad):
        (y,) = self.saved_tensors()
        if mode.grad:
            return grad - y.exp() * grad.sum(self.dim, True)
        return _softmax_backward(grad, y, self.dim, True)


def _softmax_backward(grad, y, dim, took_log):
    d, g = dense(y), dense(grad)
    outer, n, inner = as_three(d.shape, dim, dim + 1) if d.ndim else (1, 1, 1)
    dx = empty(d.shape, d.dtype)
    if d.size:
        if inner == 1:
            rows = (outer, n)
            backward = kernels.softmax_short_backward if kernels.short(n) else kernels.softmax_rows_backward
            backward(g.reshape(rows), d.reshape(rows), dx.reshape(rows), took_log)
        else:
            shape = (outer, n, inner)
            kernels.softmax_columns_backward(g.reshape(shape), d.reshape(shape), dx.reshape(shape), took_log)
    return wrap(dx)


def _softmax(function, input, dim, stack_level, dtype, take_log, node_type):
    check_tensor(function, "input", input, 1)
    if isinstance(stack_level, dtypes.dtype):
        dtype = stack_level
    if dtype is not None:
        input = cast(input, dtype)
    kind = input._data.dtype
    if kind is not F32 and kind is not F64:
        if kind in HALF:
            wide = _softmax(function, cast(input, dtypes.float32), dim, 3, None, take_log, node_type)
            return cast(wide, input.dtype)
        raise NotImplementedError(f"\"{function}_kernel_impl\" not implemented for '{input.dtype.torch_name}'")
    d = dense(input)
    n = d.ndim
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {function} has been deprecated. Change the call to include dim=X as an "
            "argument.",
            stacklevel=4,
        )
        dim = 0 if n in (0, 1, 3) else 1
    dim = wrap_dim(dim, n)
    outer, n, inner = as_three(d.shape, dim, dim + 1) if n else (1, 1, 1)
    y = empty(d.shape, kind)
    if d.size:
        if inner == 1:
            forward = kernels.softmax_short_forward if kernels.short(n) else kernels.softmax_rows_forward
            forward(d.reshape(outer, n), y.reshape(outer, n), take_log)
        else:
            kernels.softmax_columns_forward(d.reshape(outer, n, inner), y.reshape(outer, n, inner), take_log)
    out = wrap(y)
    if input._rg and mode.grad:
        node = node_type(input)
        node.dim = dim
        node.attach(out)
        node.save(out)
    return out


def softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None):
    """``y_k = exp(x_k) / sum_j exp(x_j)`` along ``dim``.

    Args:
        input: tensor of a floating-point dtype, unless ``dtype`` is given.
        dim: the dimension along which the results add up to 1. (None is deprecated: 0 for 0-d, 1-d and 3-d input, else
            1.)
        dtype: cast the input to this dtype first.
        axis: another name of ``dim``.

    Shape:
        any; the output has the input's. A slice of nothing but ``-inf`` gives NaN.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        NotImplementedError: the dtype is not a floating-point one.

    >>> import tnn
    >>> tnn.nn.functional.softmax(tnn.tensor([0.0, 0.0]), dim=0).tolist()
    [0.5, 0.5]
    """
    if axis is not None:  # NumPy's name
        dim = axis
    return _softmax("softmax", input, dim, _stacklevel, dtype, False, Softmax)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None, *, axis=None):
    """``y_k = x_k - ln sum_j exp(x_j)`` along ``dim``.

    Args:
        input: tensor of a floating-point dtype, unless ``dtype`` is given.
        dim: the dimension along which the results' exponentials add up to 1; None as for :func:`softmax`.
        dtype: cast the input to this dtype first.
        axis: another name of ``dim``.

    Shape:
        any; the output has the input's.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        NotImplementedError: the dtype is not a floating-point one.
    """
    if axis is not None:  # NumPy's name
        dim = axis
    return _softmax("log_softmax", input, dim, _stacklevel, dtype, True, LogSoftmax)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """``y_k = exp(-x_k) / sum_j exp(-x_j)`` along ``dim``.

    Args:
        input: tensor of a floating-point dtype, unless ``dtype`` is given.
        dim: the dimension along which the results add up to 1; None as for :func:`softmax`.
        dtype: cast the input to this dtype first.

    Shape:
        any; the output has the input's.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: no such dimension.
        NotImplementedError: the dtype is not a floating-point one.
    """
    check_tensor("softmin", "input", input, 1)
    return _softmax("softmin", -input, dim, _stacklevel, dtype, False, Softmax)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A sample from the Gumbel-Softmax distribution: ``softmax((logits + g) / tau)`` with Gumbel noise g.

    Args:
        logits: tensor of unnormalized log-probabilities, of floating point.
        tau: temperature; towards 0 the samples approach one-hot vectors.
        hard: return one-hot vectors, which are differentiated as if they were the soft samples.
        eps: not used.
        dim: the dimension of the classes.

    Shape:
        that of ``logits``.

    Raises:
        TypeError: ``logits`` is not a tensor.
        IndexError: no such dimension.
        NotImplementedError: the dtype is not a floating-point one.

    E. Jang, S. Gu and B. Poole, "Categorical reparameterization with Gumbel-Softmax" (2017).
    """
    check_tensor("gumbel_softmax", "logits", logits, 1)
    kind = logits._data.dtype
    if kind is not F32 and kind is not F64:
        noise = -wrap(np.empty_like(dense(logits))).exponential_().log()
    else:
        data = empty(logits._data.shape, kind)
        exponential_forward(current_generator()._state, data.ravel(), 1.0, True)
        noise = wrap(data)
    sample = logits + noise
    soft = softmax(sample if tau == 1 else sample / tau, dim)
    if not hard:
        return soft
    y = convert(soft._data, F32) if kind in HALF else soft._data
    y = y if y.ndim else y.reshape(1)
    dim = wrap_dim(dim, y.ndim)
    if y.shape[dim] == 0:
        raise IndexError(f"max(): Expected reduction dim {dim} to have non-zero size.")
    outer, n, inner = as_three(y.shape, dim, dim + 1)
    ones, places = arg_array(y, dim, MAX)
    ones.fill(1.0)
    one_hot = empty(soft._data.shape, y.dtype)
    arg_backward(ones.reshape(outer, inner), places.reshape(outer, inner), one_hot.reshape(outer, n, inner))
    return wrap(convert(one_hot, kind) if kind in HALF else one_hot) - soft.detach() + soft
