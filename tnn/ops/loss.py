"""Losses taken element by element: absolute and squared error and their mixtures, cross entropies, divergences."""

import math
import warnings

import numpy as np

from .. import dtypes
from ..autograd.autocast import active, as_float32
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import loss as kernels
from ..kernels._jit import CHUNK
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_floating, check_tensor, composed_backward, dense, half_as_float32
from ._elementwise import broadcast, run3
from .cast import convert
from .pointwise_select import where


def reduction_of(size_average, reduce, reduction):
    """The reduction that the arguments ask for; ``size_average`` and ``reduce`` are the old form.

    Raises:
        ValueError: not one of 'none', 'mean', 'sum'.
    """
    if size_average is not None or reduce is not None:
        size_average = True if size_average is None else size_average
        reduce = True if reduce is None else reduce
        reduction = "none" if not reduce else "mean" if size_average else "sum"
        warnings.warn(
            f"size_average and reduce args are deprecated, please use reduction='{reduction}' instead.", stacklevel=3
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(loss, reduction):
    """A tensor of losses, reduced."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


# The last operation of losses that PyTorch makes of several.
_LAST = {"L1Loss": "Abs", "KlDiv": "Sub", "PoissonNll": "Sub", "Ranking": "ClampMin", "Triplet": "ClampMin",
         "Hinge": "Add", "Cosine": "Add"}  # fmt: skip


class PointwiseLoss(Node):
    """A fused loss; ``compose`` is the same written with differentiable operations."""

    __slots__ = ("kind", "p", "scale", "reduction", "compose", "label")

    def name(self):
        """The name that ``grad_fn`` prints; PyTorch makes some of these losses of several operations."""
        last = _LAST.get(self.label)
        if last and self.reduction != "none":
            last = self.reduction.capitalize()
        return (last or self.label) + "Backward0"

    def backward(self, grad):
        x, t = self.saved_tensors()
        both = self.needs(1)
        if mode.grad or (both and self.kind not in kernels.OF_DIFFERENCE):
            with_reduction = _reduce_composed(self.compose, self.reduction)
            return composed_backward(with_reduction, (x, t), grad) if mode.grad else _both(with_reduction, x, t, grad)
        a, b, g = dense(x), dense(t), dense(grad)
        gx = empty(a.shape, a.dtype)
        gt = empty(a.shape, a.dtype) if both else gx.reshape(-1)[:0]
        kernels.loss_backward(
            self.kind, g.reshape(-1), a.reshape(-1), b.reshape(-1), self.p, gx.reshape(-1), gt.reshape(-1), self.scale
        )
        return wrap(gx) if self.needs(0) else None, wrap(gt) if both else None


def _reduce_composed(compose, reduction):
    return lambda x, t: reduced(compose(x, t), reduction)


def _both(compose, x, t, grad):
    """Gradients of both inputs by the composed form, unrecorded outside."""
    before = mode.grad
    mode.grad = True
    try:
        names = [a.detach() for a in (x, t)]
        for name, a in zip(names, (x, t), strict=True):
            name._rg = a._rg
        out = composed_backward(compose, names, grad)
    finally:
        mode.grad = before
    return tuple(None if g is None else g.detach() for g in out)


def _promote(function, input, target):
    """Both tensors in their common floating dtype and shape."""
    if active.n:
        input, target = as_float32(input, target)
    check_tensor(function, "input", input, 1)
    check_tensor(function, "target", target, 2)
    if input._data.dtype != target._data.dtype:
        common = dtypes.promote_types(input.dtype, target.dtype)
        input, target = input.to(common), target.to(common)
    if input._data.shape != target._data.shape:
        try:
            shape = np.broadcast_shapes(input._data.shape, target._data.shape)
        except ValueError:
            raise RuntimeError(
                f"{function}: The size of input {list(input._data.shape)} must match the size of target "
                f"{list(target._data.shape)}, or be broadcastable to it"
            ) from None
        input, target = input.expand(shape), target.expand(shape)
    check_floating(function, input)
    return input, target


@half_as_float32
def _pointwise(function, kind, label, input, target, p, reduction, compose):
    x, t = dense(input), dense(target)
    n = x.size
    scale = 1.0
    if reduction == "none":
        y, partial = empty(x.shape, x.dtype), np.empty(0)
    else:
        y, partial = empty((), x.dtype), np.empty((n + CHUNK - 1) // CHUNK)
        if reduction == "mean":
            scale = 1.0 / n if n else math.nan
    kernels.loss_forward(kind, x.reshape(-1), t.reshape(-1), p, y.reshape(-1), partial, scale)
    if reduction == "mean" and not n:
        y[...] = math.nan
    out = wrap(y)
    if mode.grad and (input._rg or target._rg):
        node = PointwiseLoss(input, target)
        node.kind, node.p, node.scale, node.reduction = kind, p, scale, reduction
        node.compose, node.label = compose, label
        node.save(input, target)
        node.attach(out)
    return out


def _weighted(loss, weight, reduction):
    """Losses times weights; the mean is taken over the weights' sum."""
    if weight is None:
        return reduced(loss, reduction)
    check_tensor("loss", "weight", weight)
    if weight._data.size != loss._data.size:
        raise ValueError(
            "Weights and input must have the same size, but got weight of shape "
            f"{list(weight._data.shape)} for losses of "
            f"shape {list(loss._data.shape)}"
        )
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else reduced(loss, reduction)


def _warn_broadcast(input, target):
    if isinstance(input, Tensor) and isinstance(target, Tensor) and input._data.shape != target._data.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _regression(function, kind, label, input, target, p, reduction, compose, weight=None):
    _warn_broadcast(input, target)
    input, target = _promote(function, input, target)
    loss = _pointwise(function, kind, label, input, target, p, "none" if weight is not None else reduction, compose)
    return loss if weight is None else _weighted(loss, weight, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The absolute error ``|x - t|``.

    Args:
        input, target: floating-point tensors of one shape (else broadcast, with a warning).
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        weight: a factor for each element; the mean is then divided by the weights' sum.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _regression(
        "l1_loss", kernels.L1, "L1Loss", input, target, 0.0, reduction, lambda x, t: (x - t).abs(), weight
    )


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The squared error ``(x - t) ** 2``.

    Args:
        input, target: floating-point tensors of one shape (else broadcast, with a warning).
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        weight: a factor for each element; the mean is then divided by the weights' sum.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _regression(
        "mse_loss", kernels.MSE, "MseLoss", input, target, 0.0, reduction, lambda x, t: (x - t) * (x - t), weight
    )


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """``d ** 2 / (2 beta)`` where ``d = |x - t| < beta``, else ``d - beta / 2`` (Girshick, Fast R-CNN, arXiv
    1504.08083).

    Args:
        input, target: floating-point tensors of one shape (else broadcast, with a warning).
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        beta: where the parabola ends; 0 gives :func:`l1_loss`.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another reduction.
        RuntimeError: ``beta`` is negative, or the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)

    def compose(x, t):
        d = (x - t).abs()
        return where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta)

    return _regression(
        "smooth_l1_loss", kernels.SMOOTH_L1, "SmoothL1Loss", input, target, float(beta), reduction, compose
    )


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """``d ** 2 / 2`` where ``d = |x - t| <= delta``, else ``delta (d - delta / 2)`` (Huber, 1964).

    Args:
        input, target: floating point.
        reduction: 'mean', 'sum' or 'none'.
        delta: where the square ends, positive.
        weight: a factor for each element; means divide by their sum.

    Shape:
        All (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        RuntimeError: ``delta`` is not positive, or the shapes do not fit.
    """
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")

    def compose(x, t):
        d = (x - t).abs()
        return where(d <= delta, d * d * 0.5, (d - 0.5 * delta) * delta)

    return _regression(
        "huber_loss", kernels.HUBER, "HuberLoss", input, target, float(delta), reduction, compose, weight
    )


def _check_same_size(function, input, target):
    check_tensor(function, "input", input, 1)
    check_tensor(function, "target", target, 2)
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"{function}: Using a target size ({target.shape}) that is different to the input size ({input.shape}) is "
            "not supported. Please ensure they have the same size."
        )


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """``-(t log x + (1 - t) log(1 - x))`` for probabilities x; a logarithm counts as at least -100.

    Args:
        input, target: floating-point tensors of one shape; the input's elements lie in [0, 1].
        weight: a factor for each element, broadcast.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: the shapes differ, or another reduction.
        RuntimeError: an element of the input lies outside [0, 1], or the dtypes differ.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if active.n:
        input, target = as_float32(input, target)
    _check_same_size("binary_cross_entropy", input, target)
    if weight is not None:
        check_tensor("binary_cross_entropy", "weight", weight, 3)
    if input._data.dtype != target._data.dtype:
        raise RuntimeError(f"binary_cross_entropy: found dtype {target.dtype} of target but expected {input.dtype}")
    check_floating("binary_cross_entropy", input)
    if input._data.dtype in HALF:
        inside = kernels.in_unit(convert(dense(input), F32).reshape(-1))
    else:
        inside = kernels.in_unit(dense(input).reshape(-1))
    if not inside:
        raise RuntimeError("all elements of input should be between 0 and 1")

    def compose(x, t):
        # the derivative by x keeps PyTorch's guard x (1 - x) >= 1e-12 by way of a clamped denominator
        return -(t * x.log().clamp(min=-100) + (1 - t) * (-x).log1p().clamp(min=-100))

    how = "none" if weight is not None else reduction
    loss = _pointwise("binary_cross_entropy", kernels.BCE, "BinaryCrossEntropy", input, target, 0.0, how, compose)
    return loss if weight is None else reduced(loss * weight, reduction)


class BinaryCrossEntropyWithLogits(Node):
    """With a weight for the positive part; the target and that weight want no gradients."""

    __slots__ = ()

    def backward(self, grad):
        x, t, w = self.saved_tensors()
        if mode.grad:
            return grad * ((1 - t) - ((w - 1) * t + 1) * (-x).sigmoid())
        return grad * wrap(run3(kernels.bce_weighted_backward, x._data, t._data, w._data))


def _all_alike(x, *others):
    """Whether tensors are of one dtype that kernels have, and do not widen the first one's shape."""
    kind, shape = x._data.dtype, x._data.shape
    return kind in (F32, F64) and all(
        t._data.dtype == kind and broadcast(shape, t._data.shape) == shape for t in others
    )


def _positive_weighted(input, target, weight):
    out = wrap(run3(kernels.bce_weighted_forward, input._data, target._data, weight._data))
    if input._rg and mode.grad:
        node = BinaryCrossEntropyWithLogits(input)
        node.save(input, target, weight)
        node.attach(out)
    return out


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):  # fmt: skip
    """:func:`binary_cross_entropy` of ``sigmoid(x)``, stable for large x: ``(1 - t) x + softplus(-x)``.

    Args:
        input, target: floating-point tensors of one shape.
        weight: a factor for each element, broadcast.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.
        pos_weight: a factor for the positive part, broadcast: ``(1 - t) x + (1 + (pos_weight - 1) t) softplus(-x)``.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: the shapes differ, or another reduction.
        RuntimeError: a weight does not broadcast.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensor("binary_cross_entropy_with_logits", "input", input, 1)
    check_tensor("binary_cross_entropy_with_logits", "target", target, 2)
    for argument, t in (("weight", weight), ("pos_weight", pos_weight)):
        if t is not None:
            check_tensor("binary_cross_entropy_with_logits", argument, t)
    if input._data.shape != target._data.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    input, target = _promote("binary_cross_entropy_with_logits", input, target)

    def softplus(x):
        return (-x).clamp(min=0) + (-x.abs()).exp().log1p()

    def compose(x, t):
        return (1 - t) * x + softplus(x)

    if pos_weight is not None and _all_alike(input, target, pos_weight) and not (target._rg or pos_weight._rg):
        loss = _positive_weighted(input, target, pos_weight)
    elif pos_weight is not None:
        loss = (1 - target) * input + ((pos_weight - 1) * target + 1) * softplus(input)
    else:
        how = "none" if weight is not None else reduction
        loss = _pointwise(
            "binary_cross_entropy_with_logits", kernels.BCE_LOGITS, "BinaryCrossEntropyWithLogits", input, target, 0.0,
            how, compose,
        )  # fmt: skip
        if weight is None:
            return loss
    return reduced(loss if weight is None else loss * weight, reduction)


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """The Kullback-Leibler divergence ``t (log t - x)`` of log-probabilities x from t (0 where t is 0).

    Args:
        input: log-probabilities x, floating point.
        target: probabilities t, of the input's shape.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum', 'none' or 'batchmean': the sum divided by the first size, which is the mathematical
            mean.
        log_target: t holds log-probabilities: ``exp(t) (t - x)``.

    Shape:
        Both (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is no tensor.
        RuntimeError: the shapes do not fit.
        ValueError: another reduction.
    """
    check_tensor("kl_div", "input", input, 1)
    check_tensor("kl_div", "target", target, 2)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. 'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    batch = reduction == "batchmean" and size_average is None and reduce is None
    how = "sum" if batch else reduction_of(size_average, reduce, reduction)

    def compose(x, t):
        return t.exp() * (t - x) if log_target else t.xlogy(t) - t * x

    size = input._data.shape[0] if batch and input._data.ndim else 1
    input, target = _promote("kl_div", input, target)
    kind = kernels.KL_LOG if log_target else kernels.KL
    loss = _pointwise("kl_div", kind, "KlDiv", input, target, 0.0, how, compose)
    return loss / size if batch else loss


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):  # fmt: skip
    """The negative log-likelihood of counts t under a Poisson distribution: ``exp(x) - t x``, or ``x - t log(x +
    eps)``.

    Args:
        input: rates x or their logarithms, floating point.
        target: counts t, of the input's shape.
        log_input: x is the logarithm of the rate.
        full: add Stirling's term ``t log t - t + log(2 pi t) / 2`` where t > 1.
        size_average, reduce: old forms of ``reduction``, with a warning.
        eps: keeps the logarithm finite.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        Both (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is no tensor.
        RuntimeError: the shapes do not fit.
        ValueError: another reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)

    def compose(x, t):
        return x.exp() - t * x if log_input else x - t * (x + eps).log()

    if isinstance(input, Tensor) and not input.dtype.is_floating_point:
        input = input.to(dtypes.get_default_dtype())
    input, target = _promote("poisson_nll_loss", input, target)
    kind = kernels.POISSON_LOG if log_input else kernels.POISSON
    loss = _pointwise(
        "poisson_nll_loss", kind, "PoissonNll", input, target, float(eps), "none" if full else reduction, compose
    )
    if not full:
        return loss
    stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
    return reduced(loss + stirling.masked_fill(target <= 1, 0), reduction)


@half_as_float32
def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """The negative log-likelihood under a normal distribution: ``(log v + (x - t) ** 2 / v) / 2``, v = max(var, eps).

    Args:
        input: means x, floating point.
        target: observations t, of the input's shape.
        var: the variance, a number, or a tensor of the input's shape, or one with a last size of 1 or without it.
        full: add ``log(2 pi) / 2``.
        eps: least variance.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        both (*); the result is (), or (*) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor, or ``var`` neither that nor a number.
        ValueError: ``var`` is negative or of a shape that does not fit, or the reduction is unknown.
    """
    check_tensor("gaussian_nll_loss", "input", input, 1)
    check_tensor("gaussian_nll_loss", "target", target, 2)
    if not isinstance(var, Tensor):
        if not isinstance(var, int | float):
            raise TypeError(f"gaussian_nll_loss(): var must be a Tensor or a float, not {type(var).__name__}")
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = wrap(np.full(input._data.shape, var, input._data.dtype))
    shape, v = input._data.shape, var._data.shape
    if v != shape:
        if shape[:-1] == v:
            var = var.unsqueeze(-1)
        elif not (len(shape) == len(v) and all(b in (a, 1) for a, b in zip(shape, v, strict=True))):
            raise ValueError(f"var is of incorrect size: got {list(v)}, expected {list(shape)}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    if var._data.size and var._data.min() < 0:
        raise ValueError("var has negative entry/entries")
    # the clamp counts for the value alone: gradients pass as if it were not there
    bounded = var + (var.clamp(min=eps) - var).detach()
    d = input - target
    loss = (bounded.log() + d * d / bounded) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """``log(1 + exp(-t x))`` for targets t of 1 or -1.

    Args:
        input: floating point.
        target: 1 or -1.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        Both (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is no tensor.
        RuntimeError: the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = _promote("soft_margin_loss", input, target)

    def compose(x, t):
        z = -t * x
        return z.clamp(min=0) + (-z.abs()).exp().log1p()

    return _pointwise("soft_margin_loss", kernels.SOFT_MARGIN, "SoftMarginLoss", input, target, 0.0, reduction, compose)
