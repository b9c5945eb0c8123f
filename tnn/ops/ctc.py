"""Connectionist temporal classification."""

import numpy as np

from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import ctc as kernels
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import check_floating, check_tensor, composed_backward, dense, half_as_float32
from .joining import cat, stack
from .loss import reduction_of
from .pointwise_select import where

_NEVER = -1e30  # stands for log(0): sums of it stay finite, and so do their derivatives


class CtcLoss(Node):
    __slots__ = ("arguments", "alpha", "zero_infinity")

    def backward(self, grad):
        x, loss = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda x: self.compose(x, loss._data), (x,), grad)
        a = dense(x)
        gx = empty(a.shape, a.dtype)
        kernels.ctc_backward(dense(grad), a, *self.arguments, self.alpha, loss._data, self.zero_infinity, gx)
        return wrap(gx)

    def compose(self, x, loss):
        """A function with the same gradient from differentiable operations, one step in time after the other."""
        targets, start, steps, lengths, blank = self.arguments
        total, n = x._data.shape[:2]
        states = 2 * int(lengths.max(initial=0)) + 1
        place = np.arange(states)
        labels = np.full((n, states), blank)
        for i in range(n):
            labels[i, 1 : 2 * lengths[i] : 2] = targets[start[i] : start[i] + lengths[i]]
        ways = np.zeros((n, states), bool)  # the two states before one's own may be left out
        ways[:, 2:] = (place[2:] % 2 == 1) & (labels[:, 2:] != labels[:, :-2])
        emitted = x.gather(2, wrap(np.broadcast_to(labels, (total, n, states)).copy())).clamp_min(_NEVER)
        first = (place < 2) & (place < 2 * lengths[:, None] + 1)
        alpha = emitted.select(0, 0).masked_fill(wrap(~first), _NEVER)
        nothing = x.new_full((n, 2), _NEVER)
        for t in range(1, total):
            before = cat([nothing, alpha], 1)
            skip = before.narrow(1, 0, states).masked_fill(wrap(~ways), _NEVER)
            new = emitted.select(0, t) + stack([alpha, before.narrow(1, 1, states), skip]).logsumexp(0)
            alpha = where(wrap((t < steps)[:, None]), new, alpha)
        last = alpha.gather(1, wrap(np.stack([2 * lengths, np.maximum(2 * lengths - 1, 0)], 1)))
        last = last.masked_fill(wrap((lengths == 0)[:, None] & np.array([False, True])), _NEVER)
        seen = wrap((np.arange(total)[:, None] < steps)[:, :, None])
        # log-probabilities count as normalized: sum(exp(x)) adds nothing to the loss but its gradient
        value = x.exp().masked_fill(~seen, 0.0).sum((0, 2)) - last.logsumexp(1)
        value = value.masked_fill(wrap(steps == 0), 0.0)
        impossible = np.isinf(loss) & (steps > 0)
        return (
            value.masked_fill(wrap(impossible), 0.0)
            if self.zero_infinity
            else value * wrap(np.where(impossible, np.nan, 1.0).astype(loss.dtype))
        )


def _lengths(name, value, n):
    if isinstance(value, Tensor):
        if value.dtype.kind != 1:
            raise RuntimeError(f"{name} must be integral, got {value.dtype}")
        value = value._data.reshape(-1)
    out = np.array(value, np.int64).reshape(-1)
    if out.size != n:
        raise RuntimeError(f"{name} must be of size batch_size: expected {n}, got {out.size}")
    return out


def _refuse(t, start, inputs, lengths, steps, classes):
    """Raises the error that the lengths or the targets, an ndarray, ask for."""
    for name, value in (("input_lengths", inputs), ("target_lengths", lengths)):
        if value.min() < 0:
            raise RuntimeError(f"{name} must be non-negative, got {value.min()}")
    if t.ndim == 1 and t.size != lengths.sum():
        raise RuntimeError(
            f"ctc_loss: expected targets of size {lengths.sum()} (the sum of target_lengths), got {t.size}"
        )
    if t.ndim == 2 and lengths.max() > t.shape[1]:
        raise RuntimeError(
            f"Expected tensor to have size at least {lengths.max()} at dimension 1, but got size {t.shape[1]} for "
            "targets"
        )
    if inputs.max() > steps:
        raise RuntimeError(f"Expected input_lengths to have value at most {steps}, but got value {inputs.max()}")
    flat = t.reshape(-1)
    part = np.concatenate([flat[a : a + n] for a, n in zip(start, lengths, strict=True)])
    raise RuntimeError(f"ctc_loss: targets must lie in [0, {classes}), got {part.min()}..{part.max()}")


def _check_targets(targets, lengths, classes, steps, input_lengths, blank):
    """Targets as a 1-D array, where each sample's begin, and the largest length."""
    t = targets._data
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"ctc_loss: targets must be of an integer dtype, got {targets.dtype}")
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in label range [0, {classes}), got {blank}")
    n = lengths.size
    if t.ndim != 1 and (t.ndim != 2 or t.shape[0] != n):
        raise RuntimeError(
            f"ctc_loss: expected targets of shape ({n}, S) or (sum(target_lengths),), got {list(t.shape)}"
        )
    flat = np.ascontiguousarray(t, np.int64).reshape(-1)
    start = np.empty(n, np.int64)
    columns = t.shape[1] if t.ndim == 2 else -1
    longest = kernels.fits(flat, columns, input_lengths, lengths, steps, classes, start) if n else 0
    if longest < 0:
        _refuse(t, start, input_lengths, lengths, steps, classes)
    if not n and t.ndim == 1 and t.size:
        raise RuntimeError(f"ctc_loss: expected targets of size 0 (the sum of target_lengths), got {t.size}")
    return flat, start, longest


@half_as_float32
def _losses(log_probs, flat, start, steps, lengths, blank, zero_infinity, longest):
    x = dense(log_probs)
    n = x.shape[1]
    alpha = empty((n, x.shape[0], 2 * longest + 1), x.dtype)
    loss = empty(n, x.dtype)
    kernels.ctc_forward(x, flat, start, steps, lengths, blank, alpha, loss)
    out = wrap(np.where(np.isinf(loss), 0, loss).astype(x.dtype)) if zero_infinity else wrap(loss)
    if log_probs._rg and mode.grad:
        node = CtcLoss(log_probs)
        node.arguments = (flat, start, steps, lengths, blank)
        node.alpha, node.zero_infinity = alpha, zero_infinity
        node.save(log_probs, wrap(loss))
        node.attach(out)
    return out


@casts("float32")
def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):  # fmt: skip
    """The negative log-probability of label sequences under all their alignments (Graves et al., ICML 2006).

    Args:
        log_probs: (T, N, C) or (T, C), log-probabilities (as ``log_softmax`` gives them).
        targets: (N, S), or all targets in a row (sum of target_lengths,); integers in [0, C), not ``blank``.
        input_lengths, target_lengths: (N,) or (), integers.
        blank: the class that stands for no label.
        reduction: 'mean' (each loss is divided by its target's length first), 'sum' or 'none'.
        zero_infinity: count losses of targets that do not fit, and their gradients, as 0.

    Shape:
        output (), or (N,) with 'none'.

    Raises:
        RuntimeError: shapes, lengths, labels or dtypes do not fit.
    """
    check_tensor("ctc_loss", "log_probs", log_probs, 1)
    check_tensor("ctc_loss", "targets", targets, 2)
    check_floating("ctc_loss", log_probs)
    reduction = reduction_of(None, None, reduction)
    single = log_probs.dim() == 2
    if log_probs.dim() not in (2, 3):
        raise RuntimeError(f"ctc_loss: expected log_probs (T, N, C) or (T, C), got {list(log_probs._data.shape)}")
    if single:
        log_probs = log_probs.unsqueeze(1)
    steps, n, classes = log_probs._data.shape
    inputs, lengths = _lengths("input_lengths", input_lengths, n), _lengths("target_lengths", target_lengths, n)
    flat, start, longest = _check_targets(targets, lengths, classes, steps, inputs, blank)
    loss = _losses(log_probs, flat, start, inputs, lengths, int(blank), bool(zero_infinity), longest)
    if reduction == "mean":
        return (loss / wrap(np.maximum(lengths, 1).astype(loss._data.dtype))).mean()
    if reduction == "sum":
        return loss.sum()
    return loss.squeeze(0) if single else loss
