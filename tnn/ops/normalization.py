"""Normalization of each sample by its own statistics: layer, RMS, group, instance and local response norm."""

import math

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _small_norms as small
from ..kernels import local_response as response_kernels
from ..kernels import normalization as kernels
from ..kernels._pool import empty
from ..tensor import Size, Tensor, wrap
from ._common import (
    F32,
    F64,
    HALF,
    check_floating,
    check_tensor,
    composed_backward,
    dense,
    half_as_float32,
    into,
    recording,
    wrap_dim,
)
from .batchnorm import NO_VECTOR, batch_norm, check_batch, check_features, in_one_dtype, vector
from .cast import cast
from .reduction import as_three


class NativeLayerNorm(Node):
    __slots__ = ("stats", "n", "eps")
    center = True

    def _by_entry(self, grad, x, w):
        d, edges = x._data, self.next
        dw = None if edges[1] is None else np.empty(d.shape[-1:], d.dtype)
        db = None if edges[2] is None else np.empty(d.shape[-1:], d.dtype)
        scale, center = None if w is None else w._data, 1.0 if self.center else 0.0
        dx = small.LAYER_BACKWARD.call(grad._data, d, scale, self.stats, dw, db, center)
        if dx is None:
            small.LAYER_BACKWARD.prepare(d.dtype)
            return None
        return wrap(dx), None if dw is None else wrap(dw), None if db is None else wrap(db)

    def backward(self, grad):
        x, w = self.saved_tensors()
        if self.n == 1 and self.next[0] is not None and not mode.grad:
            grads = self._by_entry(grad, x, w)
            if grads is not None:
                return grads
        needs = [self.needs(i) for i in range(3)]
        lead = x.ndim - self.n
        if mode.grad:
            db = (grad.sum(tuple(range(lead))) if lead else grad) if needs[2] else None
            return *composed_backward(self.compose, (x, w), grad), db
        d, g = dense(x), dense(grad)
        shape, none = d.shape[lead:], NO_VECTOR[d.dtype]
        rows, n = math.prod(d.shape[:lead]), math.prod(shape)
        dx = empty(d.shape if needs[0] else (0, 0), d.dtype)
        dw, db = (empty((n,), d.dtype) if need else none for need in needs[1:])
        if n and rows:
            dx2 = dx.reshape(rows, n) if needs[0] else dx
            kernels.layer_norm_backward(
                g.reshape(rows, n), d.reshape(rows, n), vector(w, d), *self.stats, dx2, dw, db, self.center
            )
        else:
            dw.fill(0)
            db.fill(0)
        return tuple(
            wrap(a.reshape(s)) if need else None
            for a, s, need in zip((dx, dw, db), (dx.shape, shape, shape), needs, strict=True)
        )

    def compose(self, x, w):
        """The same from differentiable operations, without the bias."""
        dims = tuple(range(x.ndim - self.n, x.ndim))
        if self.center:
            x = x - x.mean(dims, True)
        y = x * ((x * x).mean(dims, True) + self.eps).rsqrt()
        return y if w is None else y * w


class FusedRmsNorm(NativeLayerNorm):
    __slots__ = ()
    center = False


def _recorded(node_type, out, input, weight, bias, stats, n, eps):
    """The result, recorded if need be."""
    if mode.grad and (input._rg or (weight is not None and weight._rg) or (bias is not None and bias._rg)):
        node = node_type(input, weight, bias)
        node.stats, node.n, node.eps = stats, n, eps
        node.attach(out)
        node.save(input, weight)
    return out


def _layer_norm(function, input, normalized_shape, weight, bias, eps, node_type):
    if (
        isinstance(input, Tensor)
        and type(normalized_shape) is tuple
        and len(normalized_shape) == 1
        and input._data.shape[-1:] == normalized_shape
        and input._data.size
        and (weight is None or isinstance(weight, Tensor))
        and (bias is None or isinstance(bias, Tensor))
    ):
        # rows of 8, forward: 5.7 us by what follows, 2.4 by the entry
        d = input._data
        stats = np.empty((2, d.size // normalized_shape[0]), d.dtype)
        y = small.LAYER.call(
            d, None if weight is None else weight._data, None if bias is None else bias._data, stats, eps,
            1.0 if node_type.center else 0.0,
        )  # fmt: skip
        if y is not None:
            return _recorded(node_type, wrap(y), input, weight, bias, stats, 1, eps)
        if d.dtype is F32 or d.dtype is F64:
            small.LAYER.prepare(d.dtype)
    check_tensor(function, "input", input, 1)
    if not isinstance(normalized_shape, tuple | list):
        raise TypeError(
            f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type(normalized_shape).__name__}"
        )
    shape = tuple(normalized_shape)
    size = input._data.shape
    if not shape:
        raise RuntimeError(
            f"{function}: Expected normalized_shape to be at least 1-dimensional, but got normalized_shape = []"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and (not isinstance(t, Tensor) or t._data.shape != shape):
            check_tensor(function, name, t)
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(t._data.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    if size[max(0, len(size) - len(shape)) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            "got "
            f"input of size{list(size)}"
        )
    half = input.dtype if input._data.dtype in HALF else None
    input, weight, bias = in_one_dtype(function, input, weight, bias)
    d = dense(input)
    n = math.prod(shape)
    rows = math.prod(size[: len(size) - len(shape)])
    y, stats = empty(size, d.dtype), np.empty((2, rows), d.dtype)
    if n and rows:
        x2, y2, w, b = d.reshape(rows, n), y.reshape(rows, n), vector(weight, d), vector(bias, d)
        kernels.layer_norm_forward(x2, y2, w, b, *stats, float(eps), node_type.center)
    out = _recorded(node_type, wrap(y), input, weight, bias, stats, len(shape), eps)
    return out if half is None else cast(out, half)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalizes over the last dimensions: ``y = (x - mean) / sqrt(var + eps) * weight + bias``, var the biased
    variance.

    Args:
        input: tensor of a floating-point dtype.
        normalized_shape: a tuple of the sizes of those dimensions.
        weight, bias: tensors of that shape, or None.
        eps: is added to the variance.

    Shape:
        (*, normalized_shape); the output has the input's.

    Raises:
        TypeError: ``input`` is not a tensor, or ``normalized_shape`` not a tuple.
        RuntimeError: the input does not end in ``normalized_shape``, weight or bias has another shape, or a dtype does
            not fit.

    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization" (2016).
    """
    return _layer_norm("layer_norm", input, normalized_shape, weight, bias, eps, NativeLayerNorm)


_EPSILON = dtypes.finfo(dtypes.float32).eps, dtypes.finfo(dtypes.float64).eps


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divides by the root mean square over the last dimensions: ``y = x / sqrt(mean(x^2) + eps) * weight``.

    Args:
        input: tensor of a floating-point dtype.
        normalized_shape: a tuple of the sizes of those dimensions.
        weight: a tensor of that shape, or None.
        eps: None is the machine epsilon of the input's dtype.

    Shape:
        (*, normalized_shape); the output has the input's.

    Raises:
        RuntimeError: the input does not end in ``normalized_shape``, or weight has another shape.
        TypeError: ``input`` or ``weight`` is not a tensor.

    B. Zhang and R. Sennrich, "Root mean square layer normalization" (2019).
    """
    check_tensor("rms_norm", "input", input, 1)
    if eps is None:
        # half precisions are computed in float32, and that is whose epsilon counts
        eps = _EPSILON[input._data.dtype is F64]
    if isinstance(weight, Tensor) and weight._data.dtype is not input._data.dtype and weight.dtype.is_floating_point:
        if input._data.dtype in (F32, F64):
            weight = weight.to(input.dtype)
    return _layer_norm("rms_norm", input, normalized_shape, weight, None, eps, FusedRmsNorm)


class NativeGroupNorm(Node):
    __slots__ = ("stats", "groups", "eps")

    def backward(self, grad):
        x, w = self.saved_tensors()
        needs = [self.needs(i) for i in range(3)]
        if mode.grad:
            db = grad.sum([i for i in range(grad.ndim) if i != 1]) if needs[2] else None
            return *composed_backward(self.compose, (x, w), grad), db
        d, g = dense(x), dense(grad)
        channels = d.shape[1]
        shape = _grouped(d.shape, self.groups)
        dx = empty(d.shape if needs[0] else (0, 0, 0), d.dtype)
        dw, db = (empty((channels,), d.dtype) if need else NO_VECTOR[d.dtype] for need in needs[1:])
        if d.size:
            dx3 = dx.reshape(shape) if needs[0] else dx
            kernels.group_norm_backward(
                g.reshape(shape), d.reshape(shape), vector(w, d), *self.stats, dx3, dw, db, self.groups
            )
        else:
            dw.fill(0)
            db.fill(0)
        return tuple(wrap(a) if need else None for a, need in zip((dx, dw, db), needs, strict=True))

    def compose(self, x, w):
        """The same from differentiable operations, without the bias."""
        rows = x.reshape(x.shape[0], self.groups, math.prod(x.shape[1:]) // self.groups)
        rows = rows - rows.mean(2, True)
        y = (rows * ((rows * rows).mean(2, True) + self.eps).rsqrt()).reshape(x.shape)
        return y if w is None else y * w.reshape((1, -1) + (1,) * (x.ndim - 2))


def _grouped(shape, groups):
    """(N, C, ...) as (N * groups, channels in a group, positions)."""
    return shape[0] * groups, shape[1] // groups, math.prod(shape[2:])


def _group_norm(input, groups, weight, bias, eps, running=None, momentum=0.0):
    """Group norm of a float32 or float64 tensor; ``running`` (mean, variance) are moved as instance norm does."""
    stats = np.empty((2, input._data.shape[0] * groups), input._data.dtype)
    if running is None:
        w, b = None if weight is None else weight._data, None if bias is None else bias._data
        y = small.GROUP.call(input._data, w, b, stats, float(groups), eps)
        if y is not None:
            return _group_recorded(wrap(y), input, weight, bias, stats, groups, eps)
        small.GROUP.prepare(input._data.dtype)
    d = dense(input)
    shape = _grouped(d.shape, groups)
    rows = shape[0]
    y = empty(d.shape, d.dtype)
    mean, rstd = stats
    var = NO_VECTOR[d.dtype] if running is None else np.empty(rows, d.dtype)
    if d.size:
        kernels.group_norm_forward(
            d.reshape(shape), y.reshape(shape), vector(weight, d), vector(bias, d), mean, rstd, var, groups, float(eps)
        )
        if running is not None:
            arrays = [np.array(t._data, d.dtype) for t in running]
            m = shape[1] * shape[2]
            kernels.instance_norm_running(
                mean.reshape(-1, groups), var.reshape(-1, groups), *arrays, float(momentum), m / (m - 1.0)
            )
            for t, a in zip(running, arrays, strict=True):
                t._data[...] = a
                t._bump()
    return _group_recorded(wrap(y), input, weight, bias, stats, groups, eps)


def _group_recorded(out, input, weight, bias, stats, groups, eps):
    if recording(input, weight, bias):
        node = NativeGroupNorm(input, weight, bias)
        node.stats, node.groups, node.eps = stats, groups, eps
        node.attach(out)
        node.save(input, weight)
    return out


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalizes each sample's groups of channels: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        input: tensor of a floating-point dtype.
        num_groups: groups that the channels are divided into; mean and biased variance are taken over a group's
            channels and positions.
        weight, bias: of (C,), or None.
        eps: is added to the variance.

    Shape:
        (N, C) or (N, C, ...); the output has the input's.

    Raises:
        RuntimeError: fewer than 2 dimensions, C is not a multiple of num_groups, or weight or bias is not of (C,).
        ValueError: a group has a single value.
        TypeError: ``input``, ``weight`` or ``bias`` is not a tensor.

    Y. Wu and K. He, "Group normalization" (2018).
    """
    check_tensor("group_norm", "input", input, 1)
    size = input._data.shape
    if len(size) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(size)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    check_batch((size[0] * size[1] // num_groups, num_groups, *size[2:]))
    if size[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(size)} and num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and (not isinstance(t, Tensor) or t._data.shape != size[1:2]):
            check_tensor("group_norm", name, t)
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                "shape "
                f"{list(t._data.shape)} and input of shape {list(size)}"
            )
    half = input.dtype if input._data.dtype in HALF else None
    input, weight, bias = in_one_dtype("group_norm", input, weight, bias)
    out = _group_norm(input, num_groups, weight, bias, eps)
    return out if half is None else cast(out, half)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):  # fmt: skip
    """Normalizes each channel of each sample: ``y = (x - mean) / sqrt(var + eps) * weight + bias``.

    Args:
        input: tensor of a floating-point dtype.
        running_mean, running_var: of (C,), or None. With ``use_input_stats`` they are moved by ``momentum`` towards the
            averages over the batch of mean and unbiased variance, else they are the statistics.
        weight, bias: of (C,), or None.
        use_input_stats: take the statistics of the input.
        momentum: share of the new statistics in the running ones.
        eps: is added to the variance.

    Shape:
        (N, C, ...); the output has the input's.

    Raises:
        ValueError: a channel has a single position.
        RuntimeError: wrong number of elements, or no running statistics where they are needed.
        TypeError: ``input`` is not a tensor.

    D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance normalization" (2016).
    """
    check_tensor("instance_norm", "input", input, 1)
    size = input._data.shape
    if use_input_stats and math.prod(size[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {Size(size)}")
    if len(size) < 2:
        raise RuntimeError(f"instance_norm expects input of at least 2 dimensions (N, C, ...), but got {list(size)}")
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    check_features(size[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    half = input.dtype if input._data.dtype in HALF else None
    input, weight, bias = in_one_dtype("instance_norm", input, weight, bias)
    running = None if running_mean is None else (running_mean, running_var)
    out = _group_norm(input, size[1], weight, bias, eps, running, momentum)
    return out if half is None else cast(out, half)


class LocalResponseNorm(Node):
    __slots__ = ("forward_window", "backward_window", "alpha", "beta", "k")

    def backward(self, grad):
        x, s = self.saved_tensors()
        if mode.grad:
            return composed_backward(self.compose, (x,), grad)
        d = dense(x)
        shape = (*d.shape[:2], math.prod(d.shape[2:]))
        dx, number = empty(d.shape, d.dtype), d.dtype.type
        response_kernels.local_response_backward(
            dense(grad).reshape(shape), d.reshape(shape), dense(s).reshape(shape), dx.reshape(shape),
            *self.backward_window, number(self.alpha), number(self.beta),
        )  # fmt: skip
        return wrap(dx)

    def compose(self, x):
        """The same from differentiable operations."""
        before, after, _ = self.forward_window
        return x * (_window_sum(x * x, before, after) * self.alpha + self.k) ** (-self.beta)


def _window_sum(x, before, after):
    """The sums over channels c - before to c + after, from differentiable operations."""
    from .joining import cat

    channels = x.shape[1]
    edge = [x.new_zeros((x.shape[0], n, *x.shape[2:])) for n in (before, after)]
    padded = cat([edge[0], x, edge[1]], 1)
    total = padded.narrow(1, 0, channels)
    for i in range(1, before + after + 1):
        total = total + padded.narrow(1, i, channels)
    return total


class CrossMapLRN2d(LocalResponseNorm):
    __slots__ = ()

    def backward(self, grad):
        if not mode.grad:
            return super().backward(grad)
        # the gradient is not the exact derivative of the output: its own formula, from differentiable operations
        x = self.saved_tensors()[0]
        before, after, _ = self.forward_window
        square = x * x
        past = (np.arange(x.shape[1]) > before).astype(x._data.dtype).reshape(-1, 1, 1)
        s = (_window_sum(square, before, after) + square.narrow(1, 0, 1) * wrap(past)) * self.alpha + self.k
        power = grad * s ** (-self.beta)
        return power - x * _window_sum(power * x / s, *self.backward_window) * (2 * self.alpha * self.beta)


@half_as_float32
def _across_channels(input, windows, alpha, beta, k, node_type):
    check_floating("local_response_norm", input)
    d = dense(input)
    shape = (*d.shape[:2], math.prod(d.shape[2:]))
    y, s, number = empty(d.shape, d.dtype), empty(d.shape, d.dtype), d.dtype.type
    response_kernels.local_response_forward(
        d.reshape(shape), y.reshape(shape), s.reshape(shape), *windows[0], number(alpha), number(beta), number(k)
    )
    out = wrap(y)
    if input._rg and mode.grad:
        node = node_type(input)
        (node.forward_window, node.backward_window), node.alpha, node.beta, node.k = windows, alpha, beta, k
        node.attach(out)
        node.save(input, wrap(s))
    return out


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divides by a power of the energy of neighbouring channels: ``y_c = x_c (k + alpha / size sum_j x_j^2) ** -beta``.

    The sum goes over ``size`` channels, from ``c - size // 2`` on; channels outside count as 0.

    Args:
        input: tensor of a floating-point dtype.
        size: how many channels.
        alpha, beta, k: numbers.

    Shape:
        (N, C, ...), at least 3-D; the output has the input's.

    Raises:
        ValueError: the input has fewer than 3 dimensions, or size is not positive.
        TypeError: ``input`` is not a tensor.

    A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural networks" (2012).
    """
    check_tensor("local_response_norm", "input", input, 1)
    if input._data.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input._data.ndim} dimensions)")
    if size < 1:
        raise ValueError(f"local_response_norm: size must be positive, got {size}")
    if not input._data.size:
        return input
    before, after = size // 2, (size - 1) // 2
    windows = (before, after, False), (after, before)
    return _across_channels(input, windows, alpha / size, beta, k, LocalResponseNorm)


def cross_map_lrn2d(input, size, alpha=1e-4, beta=0.75, k=1):
    """:func:`local_response_norm` of images (N, C, H, W) in the older form of ``CrossMapLRN2d``, kept number for
    number.

    The window of channel c goes from ``c - h`` to ``c + h``, ``h = (size - 1) // 2``, and channel 0 stays in the
    windows that have moved past it; the gradient sums over ``size`` channels from ``c - (size + 1) // 2`` on. So the
    gradient is not the exact derivative: for new models take :func:`local_response_norm`.

    Raises:
        ValueError: the input is not 4-D, or size is not positive.
    """
    check_tensor("cross_map_lrn2d", "input", input, 1)
    if input._data.ndim != 4:
        raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input._data.ndim}D instead.")
    if size < 1:
        raise ValueError(f"CrossMapLRN2d: size must be positive, got {size}")
    if not input._data.size:
        return input
    half = (size - 1) // 2
    back = (size + 1) // 2
    windows = (half, half, True), ((back, size - 1 - back) if size > 1 else (0, 0))
    return _across_channels(input, windows, alpha / size, beta, k, CrossMapLRN2d)


class Normalize(Node):
    __slots__ = ("dim", "size", "eps")

    def backward(self, grad):
        x, y = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda x: x / x.norm(2.0, self.dim, True).clamp_min(self.eps), (x,), grad)
        shape = as_three(y._data.shape, self.dim, self.dim + 1)
        dx = empty(y._data.shape, y._data.dtype)
        kernels.normalize_backward(
            dense(grad).reshape(shape), dense(y).reshape(shape), self.size, dx.reshape(shape), self.eps
        )
        return wrap(dx)

    def name(self):
        """As PyTorch's, where the last step is a division."""
        return "DivBackward0"


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Divides by the p-norm along ``dim``: ``y = x / max(||x||_p, eps)``.

    Args:
        input: tensor of a floating-point dtype.
        p: exponent of the norm.
        dim: an int or a tuple of ints.
        eps: least norm to divide by.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the dtype is not a floating-point one, or ``out`` cannot hold the result.
    """
    check_tensor("normalize", "input", input, 1)
    d = input._data
    if d.dtype in HALF:
        return into(out, normalize(input.float(), p, dim, eps).to(input.dtype), "normalize", input)
    if p != 2 or dim.__class__ is not int or d.dtype not in dtypes.COMPUTE or not d.ndim or not d.size:
        return into(out, input / input.norm(p, dim, keepdim=True).clamp_min(eps), "normalize", input)
    d, dim = dense(input), wrap_dim(dim, d.ndim)
    shape = as_three(d.shape, dim, dim + 1)
    y, size = empty(d.shape, d.dtype), empty((shape[0], shape[2]), d.dtype)
    kernels.normalize_forward(d.reshape(shape), y.reshape(shape), size, float(eps))
    result = wrap(y)
    if input._rg and mode.grad:
        node = Normalize(input)
        node.dim, node.size, node.eps = dim, size, float(eps)
        node.attach(result)
        node.save(input, result)
    return into(out, result, "normalize", input)
