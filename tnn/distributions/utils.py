"""What classes of distributions outside this package import."""

import functools

from ..autograd.grad_mode import enable_grad
from ..dtypes import finfo
from .distribution import broadcast_all
from .transforms import sum_rightmost as _sum_rightmost

__all__ = ["_sum_rightmost", "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits"]


def clamp_probs(probs):
    """Probabilities no nearer to 0 and 1 than the dtype's eps."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def logits_to_probs(logits, is_binary=False):
    """The sigmoid of log-odds, or the softmax over the last dimension."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs, is_binary=False):
    """Log-odds, or logarithms, of probabilities clamped by :func:`clamp_probs`."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:
    """A method as an attribute that is computed at first use."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
