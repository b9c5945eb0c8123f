"""Batch normalization: statistics of each channel over the batch and the positions."""

import math

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _small_norms as small
from ..kernels import batchnorm as kernels
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_tensor, composed_backward, dense, recording
from ._pixels import ahead, gradient_in_pixels, in_pixels
from .cast import cast

NO_VECTOR = {k: np.empty(0, k) for k in (F32, F64)}


def in_one_dtype(function, input, *others):
    """Checks that an operation gets floating-point operands of one dtype, and widens half precisions.

    Returns:
        The tensors, input first, in float32 or float64 (None stays None).

    Raises:
        NotImplementedError: the input is not of a floating-point dtype.
        RuntimeError: an operand has another dtype. (Half precisions go with float32.)
    """
    d = input._data.dtype
    if d is F32 or d is F64:
        wide = d
    elif d in HALF:
        wide = F32
        input = input.float()
    elif d in (F32, F64):
        wide = d
    else:
        raise NotImplementedError(f"\"{function}\" not implemented for '{input.dtype.torch_name}'")
    out = [input]
    for t in others:
        if t is not None and t._data.dtype is not wide:
            if d in HALF and t._data.dtype in HALF:
                t = t.float()
            elif t._data.dtype != wide:
                raise RuntimeError(
                    f"{function}: mixed dtype: expected parameters of dtype {input.dtype}, got {t.dtype}"
                )
        out.append(t)
    return out


def check_features(n, **tensors):
    """Raises RuntimeError unless every tensor (None allowed) has ``n`` elements."""
    for name, t in tensors.items():
        if t is not None and (not isinstance(t, Tensor) or t._data.size != n):
            check_tensor("batch_norm", name, t)
            raise RuntimeError(f"{name} should contain {n} elements not {t._data.size}")


def vector(t, like):
    """A parameter's contiguous 1-D array, or an empty one for None."""
    if t is None:
        return NO_VECTOR[like.dtype]
    d = t._data
    return d if d.ndim == 1 and d.flags.c_contiguous else dense(t).reshape(-1)


class NativeBatchNorm(Node):
    __slots__ = ("mean", "rstd", "training", "eps")

    def backward(self, grad):
        x, w = self.saved_tensors()
        needs = [self.needs(i) for i in range(3)]
        if mode.grad:
            db = grad.sum([i for i in range(grad.ndim) if i != 1]) if needs[2] else None
            dx, dw = composed_backward(self.compose, (x, w), grad)
            return dx, dw, db
        turned = in_pixels(x, x._data.ndim)
        if turned is None:
            d, g = dense(x), dense(grad)
            shape = (*d.shape[:2], math.prod(d.shape[2:]))
        else:
            d, g = turned, gradient_in_pixels(grad)
            shape = (-1, d.shape[-1], 1)
        dw, db = empty(self.mean.shape, d.dtype), empty(self.mean.shape, d.dtype)
        dx = None
        if not d.size:
            dw.fill(0)
            db.fill(0)
            return wrap(empty(x._data.shape, d.dtype)), wrap(dw) if needs[1] else None, wrap(db) if needs[2] else None
        d3, g3 = d.reshape(shape), g.reshape(shape)
        if needs[1] or needs[2] or self.training:
            kernels.batch_norm_reduce(g3, d3, self.mean, self.rstd, dw, db, 0.0, 0.0, True)
        if needs[0]:
            dx = empty(d.shape, d.dtype)
            kernels.batch_norm_backward(
                g3, d3, self.mean, self.rstd, vector(w, d), dw, db, dx.reshape(shape), self.training
            )
            dx = wrap(dx if turned is None else ahead(dx))
        return dx, wrap(dw) if needs[1] else None, wrap(db) if needs[2] else None

    def compose(self, x, w):
        """The same from differentiable operations, without the bias."""
        shape = (1, -1) + (1,) * (x.ndim - 2)
        if self.training:
            dims = [i for i in range(x.ndim) if i != 1]
            centred = x - x.mean(dims, True)
            y = centred * ((centred * centred).mean(dims, True) + self.eps).rsqrt()
        else:
            y = (x - wrap(self.mean.reshape(x.shape[1], *shape[2:]))) * wrap(self.rstd.reshape(x.shape[1], *shape[2:]))
        return y if w is None else y * w.reshape(shape)


def _update(input, mean, rstd, running_mean, running_var, momentum, eps):
    """Takes the statistics of the batch and moves the running ones."""
    if running_mean is None:
        none = NO_VECTOR[mean.dtype]
        kernels.batch_norm_reduce(input, input, mean, rstd, none, none, momentum, eps, False)
        return
    m, v = running_mean._data, running_var._data
    if m.dtype is v.dtype is mean.dtype and m.ndim == v.ndim == 1 and m.flags.c_contiguous and v.flags.c_contiguous:
        kernels.batch_norm_reduce(input, input, mean, rstd, m, v, momentum, eps, False)
    else:
        new = [np.array(a.reshape(-1), mean.dtype) for a in (m, v)]
        kernels.batch_norm_reduce(input, input, mean, rstd, *new, momentum, eps, False)
        m[...], v[...] = (a.reshape(m.shape) for a in new)
    running_mean._bump()
    running_var._bump()


def check_batch(shape):
    """Raises ValueError where a channel has a single value."""
    if shape[0] * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):  # fmt: skip
    """Normalizes each channel: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        input: tensor of a floating-point dtype.
        running_mean, running_var: of (C,). In evaluation they are the statistics; in training they are moved in place,
            ``r = (1 - momentum) r + momentum s``, where s is the batch's mean and unbiased variance. Both may be None
            in training.
        weight, bias: of (C,), or None.
        training: take the statistics of the batch (mean, biased variance).
        momentum: share of the new statistics in the running ones.
        eps: is added to the variance.

    Shape:
        (N, C) or (N, C, ...); the output has the input's.

    Raises:
        ValueError: training with one value for each channel; eps out of range; one running statistic without the other.
        RuntimeError: wrong number of elements, mixed dtypes, or no running statistics in evaluation.
        TypeError: ``input`` is not a tensor.

    S. Ioffe and C. Szegedy, "Batch normalization" (2015).
    """
    check_tensor("batch_norm", "input", input, 1)
    d = input._data
    shape = d.shape
    if training:
        check_batch(shape if shape else (0,))
        if eps <= 0.0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    if shape == (0,):
        return input.clone()
    if len(shape) < 2:
        raise RuntimeError(
            f"batch_norm expects input of at least 2 dimensions (N, C, ...), but got shape {list(shape)}"
        )
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not training and running_mean is None:
        raise RuntimeError("running_mean must be defined in evaluation mode")
    channels = shape[1]
    check_features(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    half = input.dtype if d.dtype in HALF else None
    if not _all_of(d.dtype, weight, bias, running_mean, running_var):
        input, weight, bias = in_one_dtype("batch_norm", input, weight, bias)
        in_one_dtype("batch_norm", input, *(t for t in (running_mean, running_var) if t is not None and half is None))
    d = input._data
    stats = np.empty((2, channels), d.dtype)
    y = small.BATCH.call(
        d, None if weight is None else weight._data, None if bias is None else bias._data, stats,
        None if running_mean is None else running_mean._data, None if running_var is None else running_var._data,
        float(momentum or 0.0) if training else None, eps,
    )  # fmt: skip
    if y is not None:
        if training and running_mean is not None:
            running_mean._bump()
            running_var._bump()
        out = _recorded(wrap(y), input, weight, bias, stats, training, eps)
        return out if half is None else cast(out, half)
    small.BATCH.prepare(d.dtype)
    turned = in_pixels(input, len(shape))
    if turned is None:
        d = dense(input)
        x = d.reshape(shape[0], channels, math.prod(shape[2:]))
    else:
        d = turned
        x = d.reshape(-1, channels, 1)
    y, (mean, rstd) = empty(d.shape, d.dtype), stats
    if training:
        if d.size:
            _update(x, mean, rstd, running_mean, running_var, float(momentum or 0.0), float(eps))
    else:
        mean[...] = running_mean._data.reshape(-1)
        kernels.batch_norm_rstd(np.ascontiguousarray(running_var._data.reshape(-1), d.dtype), rstd, float(eps))
    if d.size:
        kernels.batch_norm_apply(x, y.reshape(x.shape), mean, rstd, vector(weight, d), vector(bias, d), False)
    out = _recorded(wrap(y if turned is None else ahead(y)), input, weight, bias, stats, training, eps)
    return out if half is None else cast(out, half)


def _recorded(out, input, weight, bias, stats, training, eps):
    if recording(input, weight, bias):
        node = NativeBatchNorm(input, weight, bias)
        (node.mean, node.rstd), node.training, node.eps = stats, training, eps
        node.attach(out)
        node.save(input, weight)
    return out


def _all_of(kind, *tensors):
    """Whether ``kind`` is float32 or float64 and every tensor (None allowed) is of it."""
    if kind is not F32 and kind is not F64:
        return False
    for t in tensors:
        if t is not None and t._data.dtype is not kind:
            return False
    return True


def count_batch(counter):
    """Adds 1 to ``num_batches_tracked`` and returns the new count, its array."""
    n = counter._data
    n += 1
    counter._bump()
    return n
