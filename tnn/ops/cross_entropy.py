"""Classification losses: negative log-likelihood, cross entropy of classes and of distributions."""

import functools
import math

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _small_losses as small
from ..kernels import cross_entropy as kernels
from ..kernels._jit import GRAIN
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, check_floating, check_tensor, composed_backward, dense, half_as_float32
from .loss import reduction_of


def _positions(shape):
    """(N, C, L) for an input (C,), (N, C) or (N, C, d1, ...)."""
    if len(shape) == 1:
        return 1, shape[0], 1
    return shape[0], shape[1], math.prod(shape[2:])


def _check_classes(function, input, target, weight, ignore_index, reduction):
    """Checks shapes, dtypes and the targets' range; returns target (N, L), weight (C,) and the factor of the sum."""
    t, w = _check_shapes(function, input, target, weight)
    total = empty((1,), F64)
    found = kernels.scan_targets(t.reshape(-1), w.size, ignore_index, w, weight is not None, total)
    if found >= 0:
        raise _no_class(t, found, w.size)
    return t, w, _scale(reduction, t, weight, found, total)


def _scale(reduction, target, weight, found, total):
    """What a sum of losses is multiplied by; found and total: see kernels.scan_targets."""
    if reduction != "mean":
        return 1.0
    if weight is None and found == -1:  # known from the shape alone
        return 1.0 / target.size if target.size else math.nan
    return 1.0 / total[0] if total[0] != 0 else math.inf


_REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}


def _no_class(t, position, classes):
    return IndexError(f"Target {t.reshape(-1)[position]} is out of bounds: expected 0 <= target < {classes} classes.")


def _check_shapes(function, input, target, weight):
    """Checks shapes and dtypes; returns (target (N, L), weight (C,))."""
    x, t = input._data, target._data
    if x.ndim < 1:
        raise ValueError(f"Expected 1 or more dimensions (got {x.ndim})")
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"{function}: expected target of dtype int64 (class indices), got {target.dtype}")
    if x.ndim == 1:
        if t.ndim > 1 or t.size != 1:
            raise ValueError(f"{function}: for a 1D input a 0D target is expected, got target of shape {list(t.shape)}")
    else:
        want = x.shape[:1] + x.shape[2:] if x.ndim > 2 else (x.shape[0],)
        if t.shape != want:
            if t.ndim == 0 or t.shape[0] != x.shape[0]:
                raise ValueError(
                    f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
                    f"({t.shape[0] if t.ndim else 1})."
                )
            raise RuntimeError(f"Expected target size {list(want)}, got {list(t.shape)}")
    n, c, positions = _positions(x.shape)
    t = dense(target) if t.dtype == np.int64 else np.ascontiguousarray(t, np.int64)
    return t.reshape(n, positions), _class_weight(function, weight, c, x.dtype)


@functools.lru_cache(64)
def _ones(n, np_dtype):
    """Weights of 1, which nobody writes."""
    return np.ones(n, np_dtype)


def _class_weight(function, weight, classes, np_dtype):
    if weight is None:
        return _ones(classes, np_dtype)
    check_tensor(function, "weight", weight)
    if weight._data.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight._data.shape)}"
        )
    if weight._data.dtype != np_dtype:
        raise RuntimeError(f"{function}: expected weight of dtype {np_dtype}, got {weight.dtype}")
    return dense(weight)


def _finish(loss, reduction, scale, shape):
    """The losses (N, L) as the output: of ``shape``, or reduced."""
    if reduction == "none":
        return loss.reshape(shape)
    out = empty((1,), loss.dtype)
    kernels.total_forward(loss.reshape(-1), float(scale) if reduction == "mean" else 1.0, out)
    return out.reshape(())


def _flat_grad(grad, n, positions, reduction):
    g = dense(grad)
    return g.reshape(n, positions) if reduction == "none" else g.reshape(1, 1)


class NllLoss(Node):
    __slots__ = ("ignore", "rank", "reduction", "scale", "given")

    def name(self):
        return "NllLossBackward0" if self.rank < 3 else "NllLoss2DBackward0"

    def backward(self, grad):
        x, t, w = self.saved_tensors()
        n, c, positions = _positions(x._data.shape)
        if mode.grad:
            return composed_backward(lambda x: _nll_composed(x, t, w, self), (x,), grad)
        gx = empty(x._data.shape, x._data.dtype)
        g = _flat_grad(grad, n, positions, self.reduction)
        kernels.nll_backward(
            g, t._data, w._data, self.ignore, x._data.dtype.type(self.scale), gx.reshape(n, c, positions)
        )
        return wrap(gx)


def _nll_composed(x, t, w, node):
    n, c, positions = _positions(x._data.shape)
    valid = t._data != node.ignore
    index = np.where(valid, t._data, 0)
    factor = wrap(np.where(valid, w._data[index], 0).astype(x._data.dtype))
    loss = x.reshape(n, c, positions).gather(1, wrap(index[:, None])).squeeze(1) * -factor
    shape = () if x._data.ndim == 1 else x._data.shape[:1] + x._data.shape[2:]
    return loss.reshape(shape) if node.reduction == "none" else loss.sum() * node.scale


@half_as_float32(autocast="float32", alike=True)
def nll_loss(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):  # fmt: skip
    """The negative log-likelihood ``-w[t] x[t]`` of classes t under log-probabilities x.

    Args:
        input: (C,), (N, C) or (N, C, d1, ...), floating point.
        target: () , (N,) or (N, d1, ...), integers in [0, C).
        weight: (C,), a factor for each class; the mean is divided by the weights of the targets.
        ignore_index: a target that counts for nothing.
        reduction: 'mean', 'sum' or 'none'.
        size_average, reduce: old forms of ``reduction``, with a warning.

    Shape:
        output (), or that of the classes with 'none'.

    Raises:
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit.
        TypeError: ``input`` or ``target`` is not a tensor.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensor("nll_loss", "input", input, 1)
    check_tensor("nll_loss", "target", target, 2)
    check_floating("nll_loss", input)
    n, c, positions = _positions(input._data.shape if input._data.ndim else (0,))
    if target._data.size < GRAIN:
        # One pass on the calling thread: 4 x 8 in 9.5 us by four kernels, 6.5 us so.
        t, w = _check_shapes("nll_loss", input, target, weight)
        x = dense(input)
        result, total = empty((1,) if reduction != "none" else (t.size,), x.dtype), empty((1,), F64)
        how = _REDUCTIONS[reduction]
        found = kernels.nll_total(x.reshape(n, c, positions), t, w, ignore_index, how, result, total)
        if found >= 0:
            raise _no_class(t, found, c)
        scale = _scale(reduction, t, weight, found, total)
        out = wrap(result.reshape(target._data.shape if reduction == "none" else ()))
    else:
        t, w, scale = _check_classes("nll_loss", input, target, weight, ignore_index, reduction)
        x = dense(input)
        loss = empty((n, positions), x.dtype)
        kernels.nll_forward(x.reshape(n, c, positions), t, w, ignore_index, loss)
        out = wrap(_finish(loss, reduction, scale, target._data.shape))
    if input._rg and mode.grad:
        node = NllLoss(input)
        node.rank = input._data.ndim
        node.ignore, node.reduction, node.scale = ignore_index, reduction, scale
        node.save(input, wrap(t), wrap(w))
        node.attach(out)
    return out


class CrossEntropy(Node):
    # total: the sum of the classes' weights, where the entry for small inputs can do this backward; else None
    __slots__ = ("ignore", "rank", "reduction", "scale", "smooth", "soft", "total")

    def name(self):
        if self.soft:
            return "DivBackward1" if self.reduction == "mean" else "NegBackward0"
        if self.smooth:
            return "AddBackward0"
        return "NllLossBackward0" if self.rank < 3 else "NllLoss2DBackward0"

    def backward(self, grad):
        x, t, w, lse = self.saved_tensors()
        if self.total is not None and not mode.grad:
            d = small.BACKWARD.call(grad._data, x._data, lse._data, t._data, w._data, self.total, self.scale)
            if d is not None:
                return wrap(d), None
            small.BACKWARD.prepare(x._data.dtype)
        n, c, positions = _positions(x._data.shape)
        if mode.grad or self.next[1] is not None:
            return _composed(self, x, t, w, grad)
        a = dense(x).reshape(n, c, positions)
        gx = empty(x._data.shape, x._data.dtype)
        out = gx.reshape(n, c, positions)
        g = _flat_grad(grad, n, positions, self.reduction)
        if self.soft:
            target = dense(t).reshape(n, c, positions)
            kernels.soft_backward(g, a, lse._data, target, w._data, self.smooth, self.scale, out)
        else:
            total = float(w._data.sum())
            kernels.cross_entropy_backward(
                g, a, lse._data, t._data, w._data, total, self.ignore, self.smooth, self.scale, out
            )
        return wrap(gx), None


def _composed(node, x, t, w, grad):
    """Gradients by way of differentiable operations: for second derivatives, and for targets that require gradients."""

    def compose(x, q):
        n, c, positions = _positions(x._data.shape)
        logp = x.reshape(n, c, positions).log_softmax(1)
        weight = wrap(w._data).reshape(1, c, 1)
        keep, share = 1 - node.smooth, node.smooth / c
        if node.soft:
            loss = -((q.reshape(n, c, positions) * keep + share) * weight * logp).sum(1)
        else:
            valid = t._data != node.ignore
            index = np.where(valid, t._data, 0)
            factor = np.zeros((n, c, positions), x._data.dtype)
            np.put_along_axis(factor, index[:, None], (keep * w._data[index])[:, None], 1)
            factor = (factor + share * w._data[None, :, None]) * valid[:, None]
            loss = -(logp * wrap(factor.astype(x._data.dtype))).sum(1)
        shape = () if x._data.ndim == 1 else x._data.shape[:1] + x._data.shape[2:]
        return loss.reshape(shape) if node.reduction == "none" else loss.sum() * node.scale

    before = mode.grad
    mode.grad = True
    try:
        out = composed_backward(compose, (x, t if node.soft else None), grad)
    finally:
        mode.grad = before
    return out if mode.grad else tuple(None if g is None else g.detach() for g in out)


def _small_classes(input, target, reduction):
    """The cross entropy of a small (N, C) with classes (N,), by one call; None for anything else."""
    x = input._data
    shape = x.shape
    if len(shape) != 2 or not 0 < shape[0] * shape[1] < small.MOST:
        return None
    n, c = shape
    w = _ones(c, x.dtype)
    loss = np.empty((), x.dtype)
    scale = 1.0 / n if reduction == "mean" else 1.0
    lse = small.FORWARD.call(x, target._data, w, scale, loss)
    if lse is None:
        if x.dtype is F32 or x.dtype is F64:
            small.FORWARD.prepare(x.dtype)
        return None
    out = wrap(loss)
    if input._rg and mode.grad:
        node = CrossEntropy(input, None)
        node.ignore, node.reduction, node.scale = small.IGNORE, reduction, scale
        node.rank, node.smooth, node.soft, node.total = 2, 0.0, False, float(c)
        node.save(input, wrap(target._data.reshape(n, 1)), wrap(w), wrap(lse))
        node.attach(out)
    return out


@half_as_float32(autocast="float32", alike=("input", "weight"))
def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):  # fmt: skip
    r"""The cross entropy of ``softmax(input)`` with target classes or distributions, in one pass.

    ``loss = -sum_c w_c q_c log_softmax(x)_c`` with q the distribution, or 1 at the class; with label smoothing e:
    ``q' = (1 - e) q + e / C`` (Szegedy et al., arXiv 1512.00567).

    Args:
        input: logits (C,), (N, C) or (N, C, d1, ...), floating point.
        target: classes (), (N,) or (N, d1, ...), integers in [0, C); or distributions of the input's shape.
        weight: (C,), a factor for each class.
        ignore_index: a target class that counts for nothing.
        reduction: 'mean' (over the weights of the target classes; over the batch for distributions), 'sum' or 'none'.
        label_smoothing: e in [0, 1].
        size_average, reduce: old forms of ``reduction``, with a warning.

    Shape:
        output (), or that of the classes with 'none'.

    Raises:
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit, or label_smoothing lies outside [0, 1].
        TypeError: ``input`` or ``target`` is not a tensor.

    >>> import tnn
    >>> tnn.nn.functional.cross_entropy(tnn.zeros(1, 4), tnn.tensor([2]))
    tensor(1.3863)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    plain = weight is None and ignore_index == small.IGNORE and label_smoothing == 0 and reduction != "none"
    if plain and isinstance(input, Tensor) and isinstance(target, Tensor):
        out = _small_classes(input, target, reduction)
        if out is not None:
            return out
    check_tensor("cross_entropy_loss", "input", input, 1)
    check_tensor("cross_entropy_loss", "target", target, 2)
    check_floating("cross_entropy_loss", input)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    soft = target._data.dtype.kind == "f" or (target._data.shape == input._data.shape and input._data.ndim > 1)
    n, c, positions = _positions(input._data.shape if input._data.ndim else (0,))
    if soft:
        if target._data.dtype.kind != "f":
            raise RuntimeError(
                f"Expected floating point type for target with class probabilities, got {target.dtype.torch_name}"
            )
        if target._data.dtype != input._data.dtype:
            input, target = input.double(), target.double()
        if target._data.shape != input._data.shape:
            raise RuntimeError(
                f"cross_entropy_loss: target with class probabilities must have the input's shape "
                f"{list(input._data.shape)}, got {list(target._data.shape)}"
            )
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        w = _class_weight("cross_entropy_loss", weight, c, input._data.dtype)
        t = dense(target).reshape(n, c, positions)
    else:
        t, w, scale = _check_classes("cross_entropy_loss", input, target, weight, ignore_index, reduction)
    x = dense(input)
    a = x.reshape(n, c, positions)
    loss, lse = empty((n, positions), x.dtype), empty((n, positions), x.dtype)
    if soft:
        kernels.soft_forward(a, t, w, label_smoothing, loss, lse)
        scale = 1.0
        if reduction == "mean":
            scale = 1.0 / (n * positions) if n * positions else math.nan
        shape = () if x.ndim == 1 else x.shape[:1] + x.shape[2:]
    else:
        kernels.cross_entropy_forward(a, t, w, ignore_index, float(label_smoothing), loss, lse)
        shape = target._data.shape
    out = wrap(_finish(loss, reduction, scale, shape))
    if mode.grad and (input._rg or (soft and target._rg)):
        node = CrossEntropy(input, target if soft else None)
        node.ignore, node.reduction, node.scale = ignore_index, reduction, scale
        node.rank, node.smooth, node.soft, node.total = x.ndim, float(label_smoothing), soft, None
        node.save(input, target if soft else wrap(t), wrap(w), wrap(lse))
        node.attach(out)
    return out


def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None,
    label_smoothing=0.0, options=None,
):  # fmt: skip
    """The cross entropy of ``softmax(linear(input, linear_weight, linear_bias))``: see :func:`cross_entropy`.

    Args:
        input: (in_features,) or (N, in_features).
        linear_weight: (C, in_features), or (C, d1, ..., dK, in_features) for K-dimensional targets.
        target: classes (), (N,) or (N, d1, ..., dK), or distributions (C,), (N, C) or (N, C, d1, ..., dK).
        linear_bias: (C,) or (C, d1, ..., dK).
        options: how PyTorch would cut the work into chunks; accepted, the result is the same.
        weight, reduction, ignore_index, label_smoothing: as for :func:`cross_entropy`.

    Shape:
        output (), or that of the classes with 'none'.

    Raises:
        TypeError: ``input``, ``linear_weight`` or ``target`` is not a tensor.
        IndexError: a target lies outside [0, C).
        ValueError, RuntimeError: the shapes or dtypes do not fit.
    """
    check_tensor("linear_cross_entropy", "input", input, 1)
    check_tensor("linear_cross_entropy", "linear_weight", linear_weight, 2)
    check_tensor("linear_cross_entropy", "target", target, 3)
    extra = linear_weight._data.shape[1:-1]
    if extra and input._data.ndim != 2:
        raise RuntimeError(
            "linear_cross_entropy: multi-dimensional linear_weight "
            f"{list(linear_weight._data.shape)} expects a 2-D input, "
            f"got {list(input._data.shape)}"
        )
    features = linear_weight._data.shape[-1]
    if input._data.ndim not in (1, 2) or input._data.shape[-1] != features:
        raise RuntimeError(
            f"linear_cross_entropy: expected input (N, {features}) or ({features},), got {list(input._data.shape)}"
        )
    from .linear import linear

    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape(-1, features), bias)
    if extra:
        logits = logits.reshape(input._data.shape[0], linear_weight._data.shape[0], *extra)
    return cross_entropy(
        logits, target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
        label_smoothing=label_smoothing,
    )  # fmt: skip
