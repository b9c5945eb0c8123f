"""Losses that ask for a margin: between classes, between distances, between rankings."""

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import loss as fused
from ..kernels import margin_loss as kernels
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import F32, F64, check_floating, check_tensor, check_tensors, composed_backward, dense, half_as_float32
from .cross_entropy import _class_weight
from .distance import cosine_rows
from .loss import _pointwise, reduced, reduction_of
from .pointwise_select import where


def _rows(function, input, target, target_ndim):
    """Checks an input (N, C) or (C,) and its target; returns them with the batch dimension."""
    check_tensor(function, "input", input, 1)
    check_tensor(function, "target", target, 2)
    check_floating(function, input)
    x, t = input._data, target._data
    if x.ndim > 2 or (x.ndim and x.shape[-1] == 0):
        raise RuntimeError(
            f"{function}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
        )
    if t.dtype != np.int64:
        raise RuntimeError(f"{function}: expected target of dtype int64, got {target.dtype}")
    want = x.shape if target_ndim == 2 else x.shape[:-1]
    if t.shape != want and not (target_ndim == 1 and x.ndim == 1 and t.size == 1):
        raise RuntimeError(f"{function}: inconsistent target size: {list(t.shape)} for input of size: {list(x.shape)}")
    rows = x.shape[0] if x.ndim == 2 else 1
    classes = x.shape[-1] if x.ndim else 1
    return dense(input).reshape(rows, classes), dense(target).reshape((rows, classes) if target_ndim == 2 else rows)


def _alike(x, y):
    """Whether two tensors have one shape and one of the dtypes that kernels have."""
    a, b = x._data, y._data
    return a.shape == b.shape and a.dtype == b.dtype and a.dtype in (F32, F64)


def _results(x, reduction):
    """Room for the losses of rows and for what they are reduced to."""
    return empty((x.shape[0],), x.dtype), empty((0 if reduction == "none" else 1,), x.dtype)


class MultiMarginLoss(Node):
    __slots__ = ("p", "margin", "scale", "reduction", "shape")

    def backward(self, grad):
        x, t, w = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda x: self.compose(x, t, w), (x,), grad)
        a = dense(x).reshape(t._data.size, w._data.size)
        gx = empty(x._data.shape, x._data.dtype)
        kernels.multi_margin_backward(
            dense(grad).reshape(-1), a, t._data, w._data, self.p, self.margin, self.scale, gx.reshape(a.shape)
        )
        return wrap(gx)

    def compose(self, x, t, w):
        """The loss by differentiable operations."""
        rows = x.reshape(t._data.size, w._data.size)
        z = (self.margin - rows.gather(1, wrap(t._data[:, None])) + rows).clamp(min=0)
        other = np.arange(rows._data.shape[1]) != t._data[:, None]
        factor = other * w._data[t._data][:, None] / rows._data.shape[1]
        loss = ((z if self.p == 1 else z * z) * wrap(factor.astype(x._data.dtype))).sum(1)
        return loss.reshape(self.shape) if self.reduction == "none" else loss.sum() * self.scale


@half_as_float32(autocast="float32", alike=True)
def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """``w_t / C sum over c != t of max(0, margin - x_t + x_c) ** p`` for the class t of each row x.

    Args:
        input: (N, C) or (C,), floating point.
        target: (N,) or (), int64 in [0, C).
        p: 1 or 2.
        margin: a number.
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: another p, or unknown reduction.
        RuntimeError: a target lies outside [0, C), or the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    x, t = _rows("multi_margin_loss", input, target, 1)
    w = _class_weight("multi_margin_loss", weight, x.shape[1], x.dtype)
    scale = 1.0 / x.shape[0] if reduction == "mean" and x.shape[0] else 1.0
    loss, total = _results(x, reduction)
    bad = kernels.multi_margin_forward(x, t, w, int(p), float(margin), loss, scale, total)
    if bad >= 0:
        raise RuntimeError(f"multi_margin_loss: target out of range: expected 0 <= target < {x.shape[1]}, got {t[bad]}")
    shape = target._data.shape
    out = wrap(loss.reshape(shape) if reduction == "none" else total.reshape(()))
    if input._rg and mode.grad:
        node = MultiMarginLoss(input)
        node.shape = shape
        node.p, node.margin, node.scale, node.reduction = int(p), float(margin), scale, reduction
        node.save(input, wrap(t), wrap(w))
        node.attach(out)
    return out


class MultilabelMarginLoss(Node):
    __slots__ = ("scale", "reduction")

    def backward(self, grad):
        x, t, mark = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda x: self.compose(x, t, mark), (x,), grad)
        a = dense(x).reshape(t._data.shape)
        gx = empty(x._data.shape, x._data.dtype)
        kernels.multilabel_margin_backward(
            dense(grad).reshape(-1), a, t._data, mark._data, self.scale, gx.reshape(a.shape)
        )
        return wrap(gx)

    def compose(self, x, t, mark):
        """The loss by differentiable operations."""
        rows = x.reshape(t._data.shape)
        classes = t._data.shape[1]
        valid = np.cumsum(t._data < 0, axis=1) == 0
        z = (1 - (rows.gather(1, wrap(np.where(valid, t._data, 0))).unsqueeze(2) - rows.unsqueeze(1))).clamp(min=0)
        factor = valid[:, :, None] * (mark._data == 0)[:, None, :] / classes
        loss = (z * wrap(factor.astype(x._data.dtype))).sum((1, 2))
        return loss.reshape(x._data.shape[:-1]) if self.reduction == "none" else loss.sum() * self.scale


@half_as_float32(autocast="float32")
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """``1 / C sum over targets t and other classes c of max(0, 1 - (x_t - x_c))`` for each row x.

    Args:
        input: (N, C) or (C,), floating point.
        target: of the input's shape, int64: a row's target classes come first, then -1.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: unknown reduction.
        RuntimeError: a target lies outside [-1, C), or the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x, t = _rows("multilabel_margin_loss", input, target, 2)
    scale = 1.0 / x.shape[0] if reduction == "mean" and x.shape[0] else 1.0
    (loss, total), mark = _results(x, reduction), empty(x.shape, np.dtype(np.uint8))
    bad = kernels.multilabel_margin_forward(x, t, mark, loss, scale, total)
    if bad >= 0:
        raise RuntimeError(
            f"multilabel_margin_loss: argument 'target' is out of range: expected -1 <= target < {x.shape[1]}, "
            f"got {t.reshape(-1)[bad]}"
        )
    out = wrap(loss.reshape(input._data.shape[:-1]) if reduction == "none" else total.reshape(()))
    if input._rg and mode.grad:
        node = MultilabelMarginLoss(input)
        node.scale, node.reduction = scale, reduction
        node.save(input, wrap(t), wrap(mark))
        node.attach(out)
    return out


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """``-1/C sum_c w_c (t_c log sigmoid(x_c) + (1 - t_c) log sigmoid(-x_c))`` for each row x of (N, C).

    Args:
        input, target: (N, C) or (C,), floating point.
        weight: (C,), a factor for each class.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        TypeError: ``input`` or ``target`` is not a tensor.
        ValueError: unknown reduction.
        RuntimeError: the shapes do not fit.
    """
    from .activation import logsigmoid

    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multilabel_soft_margin_loss", input=input, target=target)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input.size(-1), reduction)


@half_as_float32(autocast="float32")
def margin_ranking_loss(
    input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """``max(0, -t (x1 - x2) + margin)``: t is 1 where the first input is to rank higher, else -1.

    Args:
        input1, input2: floating point.
        target: 1 or -1.
        margin: by how much the first is to lead.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        All (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        RuntimeError: the inputs differ in their number of dimensions.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, "
            f"input2: {input2.shape}, target: {target.shape} "
        )
    d = input1 - input2
    if _alike(d, target):
        return _pointwise(
            "margin_ranking_loss", fused.RANKING, "Ranking", d, target, float(margin), reduction,
            lambda d, t: (-t * d + margin).clamp(min=0),
        )  # fmt: skip
    return reduced((-target * d + margin).clamp(min=0), reduction)


@half_as_float32(autocast="float32")
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """``x`` where the target is 1, ``max(0, margin - x)`` where it is -1.

    Args:
        input: floating point.
        target: 1 or -1.
        margin: up to where the input counts.
        size_average, reduce, reduction: 'mean', 'sum' or 'none'; the first two are the old form.

    Shape:
        All (*), or shapes that broadcast; the result is (), or (*) with 'none'.

    Raises:
        TypeError: an argument is no tensor.
        RuntimeError: the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("hinge_embedding_loss", input=input, target=target)

    def compose(x, t):
        zero = wrap(np.zeros((), x._data.dtype))
        return where(t != 1, (margin - x).clamp(min=0), zero) + where(t != -1, x, zero)

    if _alike(input, target):
        return _pointwise(
            "hinge_embedding_loss", fused.HINGE, "Hinge", input, target, float(margin), reduction, compose
        )
    return reduced(compose(input, target), reduction)


@half_as_float32(autocast="float32")
def cosine_embedding_loss(
    input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """``1 - cos(x1, x2)`` where the target is 1, ``max(0, cos(x1, x2) - margin)`` where it is -1.

    Args:
        input1, input2: (N, D) or (D,), floating point.
        target: (N,) or (), of 1 and -1.
        margin: a number.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or that of ``target`` with 'none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: unknown reduction.
        RuntimeError: the shapes do not fit.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    if target.dim() not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dim() == 1 and (input1.dim() != 2 or input2.dim() != 2):
        raise RuntimeError(
            f"1D target tensor expects 2D input tensors, but found inputs with sizes {list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    if target.dim() == 0 and (input1.dim() != 1 or input2.dim() != 1):
        raise RuntimeError(
            f"0D target tensor expects 1D input tensors, but found inputs with sizes {list(input1.shape)} and "
            f"{list(input2.shape)}."
        )
    if _alike(input1, input2):
        cos = cosine_rows(input1, input2, 0.0, 1e-12)
    else:
        dim = target.dim()
        size1 = (input1 * input1).sum(dim) + 1e-12
        size2 = (input2 * input2).sum(dim) + 1e-12
        cos = (input1 * input2).sum(dim) / (size1 * size2).sqrt()

    def compose(x, t):
        zero = wrap(np.zeros((), x._data.dtype))
        return where(t == 1, 1 - x, zero) + where(t == -1, (x - margin).clamp(min=0), zero)

    if _alike(cos, target):
        return _pointwise(
            "cosine_embedding_loss", fused.COSINE, "Cosine", cos, target, float(margin), reduction, compose
        )
    return reduced(compose(cos, target), reduction)


@half_as_float32(autocast="float32")
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """``max(0, d(a, p) - d(a, n) + margin)`` with d the p-norm distance (Balntas, Riba et al., 2016).

    Args:
        anchor, positive, negative: (N, D) or (D,), floating point.
        margin: a number above 0.
        p: the norm's degree.
        eps: keeps the gradient finite where vectors are equal.
        swap: use ``d(p, n)`` in place of ``d(a, n)`` where it is smaller.
        size_average, reduce: old forms of ``reduction``, with a warning.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: the margin is not positive, or unknown reduction.
        RuntimeError: the inputs differ in their number of dimensions.
    """
    from .distance import pairwise_distance

    reduction = reduction_of(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_triplet(anchor, positive, negative)
    return _triplet(lambda a, b: pairwise_distance(a, b, p, eps), anchor, positive, negative, margin, swap, reduction)


def _check_triplet(anchor, positive, negative):
    check_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    dims = [t.dim() for t in (anchor, positive, negative)]
    if len(set(dims)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )


def _triplet(distance, anchor, positive, negative, margin, swap, reduction):
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    if _alike(near, far):
        return _pointwise(
            "triplet_margin_loss", fused.TRIPLET, "Triplet", near, far, float(margin), reduction,
            lambda a, b: (a - b + margin).clamp(min=0),
        )  # fmt: skip
    return reduced((near - far + margin).clamp(min=0), reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):  # fmt: skip
    """``max(0, d(a, p) - d(a, n) + margin)`` with a distance d of the caller's.

    Args:
        anchor, positive, negative: (N, D) or (D,), floating point.
        distance_function: takes two of them and returns (N,); None: ``pairwise_distance``.
        margin: a number above 0.
        swap: use ``d(p, n)`` in place of ``d(a, n)`` where it is smaller.
        reduction: 'mean', 'sum' or 'none'.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        TypeError: an argument is not a tensor.
        ValueError: the margin is not positive, or unknown reduction.
        RuntimeError: the inputs differ in their number of dimensions.
    """
    from .distance import pairwise_distance

    reduction = reduction_of(None, None, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_triplet(anchor, positive, negative)
    return _triplet(distance_function or pairwise_distance, anchor, positive, negative, margin, swap, reduction)
