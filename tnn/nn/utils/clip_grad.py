"""Clipping of gradients by their norm or by value."""

import functools
import types
import warnings

import numpy as np

from ... import dtypes
from ...autograd.grad_mode import no_grad
from ...kernels import clip_grad as kernels
from ...tensor import Tensor, wrap

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

_KINDS = {
    2.0: kernels.SQUARE,
    1.0: kernels.ABS,
    0.0: kernels.NONZERO,
    float("inf"): kernels.MAX,
    float("-inf"): kernels.MIN,
}


def _as_list(tensors):
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters):
    return [p.grad for p in parameters if p.grad is not None]


def _flat(t):
    """The elements as a 1-D array that a kernel may change, or None where they do not lie so."""
    d = t._data
    return d.reshape(-1) if d.flags.c_contiguous and d.dtype in dtypes.COMPUTE else None


def _power_sum(t, kind, p, out):
    x = _flat(t)
    if x is None:
        x = _flat(t.to(dtypes.promote_types(t.dtype, dtypes.float32)).contiguous())
    if x.size == 0:
        out[...] = 0.0
        return
    partial = np.empty(-(-x.size // kernels.CHUNK), np.float64)
    kernels.power_sum_forward(x, kind, p, partial, out)


@no_grad()
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    r"""The norm of all tensors taken together, as if they were one vector: :math:`(\sum_i |x_i|^p)^{1/p}`.

    Args:
        tensors: a Tensor or an iterable of Tensors.
        norm_type: p; ``inf`` is the largest magnitude.
        error_if_nonfinite: raise where the norm is NaN or infinite.
        foreach: of no meaning here.

    Returns:
        A 0-d Tensor.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite`` is set.

    >>> import tnn
    >>> tnn.nn.utils.get_total_norm([tnn.tensor([3.0]), tnn.tensor([4.0])])
    tensor(5.)
    """
    tensors = _as_list(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return wrap(np.zeros((), np.float32))
    kind = _KINDS.get(norm_type, kernels.POWER)
    dtype = functools.reduce(dtypes.promote_types, (t.dtype for t in tensors))
    sums, total = np.empty(len(tensors), np.float64), np.empty(1, np.float64)
    for i, t in enumerate(tensors):
        _power_sum(t, kind, norm_type, sums[i : i + 1])
    if norm_type == 0.0:
        sums = (sums != 0).astype(np.float64)
    kernels.norm_forward(sums, kind, norm_type, total)
    if error_if_nonfinite and not np.isfinite(total[0]):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite ({total[0]}), so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return wrap(total.astype(dtype.np).reshape(()))


@no_grad()
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Multiplies the gradients by ``max_norm / (total_norm + 1e-6)`` where that is below 1, in place.

    Args:
        parameters: a Tensor or an iterable of Tensors, whose ``grad`` is scaled.
        max_norm: the largest norm that the gradients shall have.
        total_norm: the norm that they have, a Tensor.
        foreach: of no meaning here.

    Raises:
        TypeError: ``parameters`` holds something else than tensors.
    """
    grads = _grads(_as_list(parameters))
    if not grads:
        return
    norm = total_norm._data if isinstance(total_norm, Tensor) else np.asarray(total_norm, np.float32)
    if norm.dtype not in dtypes.COMPUTE:
        norm = norm.astype(np.float32)
    norm, most = norm.reshape(1), float(max_norm)
    for g in grads:
        x = _flat(g)
        if x is None:
            work = g.to(dtypes.promote_types(g.dtype, dtypes.float32)).contiguous()
            kernels.clip_forward(_flat(work), norm, most)
            g.copy_(work)
        else:
            kernels.clip_forward(x, norm, most)
            g._bump()


@no_grad()
def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales the gradients of parameters in place, so that their norm, taken together, is at most ``max_norm``.

    Args:
        parameters: a Tensor or an iterable of Tensors.
        max_norm: the largest norm that the gradients shall have.
        norm_type: p of the p-norm; ``inf`` is the largest magnitude.
        error_if_nonfinite: raise where the norm is NaN or infinite.
        foreach: of no meaning here.

    Returns:
        The norm before clipping, a 0-d Tensor.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite`` is set.
    """
    empty = isinstance(parameters, types.GeneratorType)
    parameters = _as_list(parameters)
    if empty and not parameters:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    total_norm = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total_norm, foreach)
    return total_norm


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales the gradients to a norm of at most ``max_norm``, in place; deprecated: the old name of
    :func:`clip_grad_norm_`.

    Args:
        parameters: a Tensor or an iterable of Tensors.
        max_norm: the largest norm that the gradients shall have.
        norm_type: the order of the norm.
        error_if_nonfinite: raise where the norm is infinite or NaN.
        foreach: of no meaning here.

    Returns:
        the norm that they had, a tensor without dimensions.

    Raises:
        RuntimeError: the norm is not finite, with ``error_if_nonfinite``.
    """
    warnings.warn(
        "`tnn.nn.utils.clip_grad_norm` is now deprecated in favor of `tnn.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamps every element of the gradients of parameters to ``[-clip_value, clip_value]``, in place.

    Args:
        parameters: a Tensor or an iterable of Tensors.
        clip_value: the largest magnitude that an element shall have.
        foreach: of no meaning here.
    """
    clip_value = float(clip_value)
    for g in _grads(_as_list(parameters)):
        x = _flat(g)
        if x is None:
            g.clamp_(-clip_value, clip_value)
        else:
            kernels.clamp_forward(x, x.dtype.type(-clip_value), x.dtype.type(clip_value))
            g._bump()
