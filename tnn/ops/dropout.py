"""Dropout in its forms: of elements, of whole features, and alpha dropout of both."""

import functools
import math
import warnings

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import dropout as kernels
from ..kernels._pool import empty
from ..random import current_generator
from ..tensor import wrap
from ._common import check_tensor, dense, half_as_float32, memory_order, row_major

# The limit of SELU for x -> -inf, negated: what alpha dropout sets dropped elements to, before the affine correction.
_ALPHA = 1.7580993408473766
_MASK = np.dtype(np.uint8)


@functools.lru_cache(maxsize=256)
def _factors(p, alpha, np_dtype):
    """The multiplier of kept elements, and what is added to kept and to dropped ones."""
    if p == 1:
        return np.zeros(3, np_dtype)
    if alpha:
        a = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
        b = _ALPHA * a * p
        return np.array([a, b, b - _ALPHA * a], np_dtype)
    return np.array([np_dtype.type(1) / np_dtype.type(1 - p), 0, 0], np_dtype)


class NativeDropout(Node):
    __slots__ = ("mask", "axes", "multiplier")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "MulBackward0"

    def backward(self, grad):
        return _masked(grad, self.mask, self.axes, self.multiplier)


def _masked(grad, mask, axes, multiplier):
    """grad * mask * multiplier, for a mask over the elements in the order ``axes``, or over the rows (axes None)."""
    g = grad._data
    if axes is None or axes == ():
        g = dense(grad)
    else:
        g = np.ascontiguousarray(g.transpose(axes))
    out = empty(g.shape, g.dtype)
    if out.size:
        rows = (1, -1) if axes is not None else (mask.size, -1)
        kernels.dropout_backward(g.reshape(rows), mask, out.reshape(rows), multiplier)
    result = wrap(out.transpose(np.argsort(axes)) if axes else out)
    if grad._rg and mode.grad:
        _record(grad, result, mask, axes, multiplier)
    return result


def _record(input, result, mask, axes, multiplier):
    node = NativeDropout(input)
    node.mask, node.axes, node.multiplier = mask, axes, multiplier
    node.attach(result)


@half_as_float32
def _drop(input, p, feature, alpha):
    d = input._data
    if d.dtype.kind != "f":
        raise RuntimeError(f"result type Float can't be cast to the desired output type {input.dtype.torch_name}")
    factors = _factors(p, alpha, d.dtype)
    axes = None
    if not feature:
        # Numbers are drawn in the order that the elements have in memory, as PyTorch draws them.
        order = None if d.flags.c_contiguous else memory_order(d.shape, d.strides)
        axes = () if order is None else order[0]
        x = d.transpose(axes) if axes else d
        x = x if x.flags.c_contiguous else row_major(x)
        rows, shape = d.size, (-1,)
    else:
        x = dense(input)
        rows = d.shape[0] * d.shape[1]
        shape = (rows, -1)
    y, mask = empty(x.shape, x.dtype), empty((rows,), _MASK)
    if p == 1:
        mask[:] = 0
        rows = (mask.size, -1) if feature else (1, -1)
        kernels.dropout_backward(x.reshape(rows), mask, y.reshape(rows), factors[:1])
    elif feature:
        kernels.bernoulli_forward(current_generator()._state, mask, 1.0 - p)
        kernels.dropout_backward(x.reshape(shape), mask, y.reshape(shape), factors)
    else:
        kernels.dropout_forward(current_generator()._state, x.reshape(shape), mask, y.reshape(shape), 1.0 - p, factors)
    out = wrap(y.transpose(np.argsort(axes)) if axes else y)
    if input._rg and mode.grad:
        _record(input, out, mask, axes, factors[:1])
    return out


def _dropout(function, input, p, training, inplace, feature=False, alpha=False):
    """What every form does: checks, and the input itself where nothing is to be dropped."""
    check_tensor(function, "input", input, 1)
    check_probability(p)
    if not training or p == 0 or not input._data.size:
        return input
    if feature and input._data.ndim < 2:
        raise RuntimeError(
            f"Feature dropout requires at least 2 dimensions in the input, but got shape {list(input._data.shape)}"
        )
    if not inplace:
        return _drop(input, float(p), feature, alpha)
    input._check_inplace()
    return input._write(_drop(input, float(p), feature, alpha))


def check_probability(p):
    """Raises ValueError unless 0 <= p <= 1."""
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input, p=0.5, training=True, inplace=False):
    """Sets elements to zero with probability p and multiplies the others by 1 / (1 - p).

        y_i = x_i m_i / (1 - p),    m_i = 1 with probability 1 - p, else 0

    From: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014.

    Args:
        input: a floating-point tensor of any shape.
        p: probability of an element to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers.
    """
    return _dropout("dropout", input, p, training, inplace)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean 0 and variance 1, for networks with SELU activations: ``y_i = a (x_i m_i - alpha' (1 -
    m_i)) + b`` with ``alpha' = 1.7580993408473766``, ``a = ((alpha'^2 p + 1) (1 - p))^(-1/2)`` and ``b = alpha' a p``.
    From: Klambauer et al., Self-normalizing neural networks, 2017.

    Args:
        input: a floating-point tensor of any shape.
        p: probability of an element to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input holds integers.
    """
    return _dropout("alpha_dropout", input, p, training, inplace, alpha=True)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Alpha dropout of whole features: one draw for each [n, c], as in :func:`alpha_dropout`.

    Args:
        input: a floating-point tensor (N, C, ...).
        p: probability of a feature to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input has less than two dimensions, or holds integers.
    """
    return _dropout("feature_alpha_dropout", input, p, training, inplace, feature=True, alpha=True)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for each channel. From: Tompson et al.,
    Efficient object localization using convolutional networks, 2015.

    Args:
        input: a floating-point tensor (N, C, L) or (C, L).
        p: probability of a channel to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input has neither 2 nor 3 dimensions, or holds integers.
    """
    check_tensor("dropout1d", "input", input, 1)
    check_probability(p)
    ndim = input._data.ndim
    if ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {ndim}D input of shape {list(input._data.shape)}"
        )
    return _channels("dropout1d", input, p, training, inplace, ndim == 3)


def _channels(function, input, p, training, inplace, batched):
    if batched:
        return _dropout(function, input, p, training, inplace, feature=True)
    if inplace:
        _dropout(function, input.unsqueeze(0), p, training, True, feature=True)
        return input
    return _dropout(function, input.unsqueeze(0), p, training, False, feature=True).squeeze(0)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for each channel. From: Tompson et al.,
    Efficient object localization using convolutional networks, 2015.

    Args:
        input: a floating-point tensor (N, C, H, W) or (N, C, L).
        p: probability of a channel to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input has less than two dimensions, or holds integers.
    """
    check_tensor("dropout2d", "input", input, 1)
    check_probability(p)
    ndim = input._data.ndim
    if ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {ndim}-D input to dropout2d, which is deprecated and will result in an error in a "
            "future release.",
            stacklevel=2,
        )
    if ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is "
            "desired. Input is interpreted as shape (N, C, L); use dropout1d for it.",
            stacklevel=2,
        )
    return _dropout("dropout2d", input, p, training, inplace, feature=True)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels: ``y_nc = x_nc m_nc / (1 - p)`` with one draw m for each channel. From: Tompson et al.,
    Efficient object localization using convolutional networks, 2015.

    Args:
        input: a floating-point tensor (N, C, D, H, W) or (C, D, H, W).
        p: probability of a channel to be dropped.
        training: without it, the input is returned.
        inplace: write to the input.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: p is not within [0, 1].
        RuntimeError: the input has less than one dimension, or holds integers.
    """
    check_tensor("dropout3d", "input", input, 1)
    check_probability(p)
    ndim = input._data.ndim
    if ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {ndim}-D input to dropout3d, which is deprecated and will result in an error in a "
            "future release.",
            stacklevel=2,
        )
    return _channels("dropout3d", input, p, training, inplace, ndim == 5)
