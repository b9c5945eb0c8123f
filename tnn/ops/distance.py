"""Distances and similarities between vectors."""

import math

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import distance as kernels
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import check_floating, check_same_dtype, check_tensor, composed_backward, dense, half_as_float32


def _at_least(norm, eps):
    """A norm bounded from below, whose gradient passes as if it were not."""
    return norm + (norm.clamp(min=eps) - norm).detach()


@half_as_float32
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """``x1 . x2 / (max(||x1||, eps) max(||x2||, eps))`` along ``dim``.

    Args:
        x1, x2: floating-point tensors whose shapes broadcast.
        dim: the dimension that is summed over.
        eps: the least norm.

    Raises:
        RuntimeError: the dtypes are not floating point.
        IndexError: there is no such dimension.
    """
    check_tensor("cosine_similarity", "x1", x1, 1)
    check_tensor("cosine_similarity", "x2", x2, 2)
    for t in (x1, x2):
        if not t.dtype.is_floating_point:
            raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {t.dtype}")
    shape = np.broadcast_shapes(x1._data.shape, x2._data.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    n1 = _at_least(x1.norm(2, dim, True), eps)
    n2 = _at_least(x2.norm(2, dim, True), eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


@half_as_float32
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Args:
        x1, x2: (N, D) or (D,), or shapes that broadcast.
        p: the norm's degree.
        eps: keeps the gradient finite where the vectors are equal.
        keepdim: keep the last dimension, with size 1.
    """
    check_tensor("pairwise_distance", "x1", x1, 1)
    check_tensor("pairwise_distance", "x2", x2, 2)
    d = x1 - x2 + eps
    return d.norm(p, d.dim() - 1 if d.dim() else 0, keepdim)


class Cdist(Node):
    __slots__ = ("p", "shapes")

    def backward(self, grad):
        a, b, y = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda a, b: (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(self.p, -1), (a, b), grad)
        da, db, g = dense(a), dense(b), dense(grad)
        ga = gb = None
        if self.needs(0):
            ga = empty(da.shape, da.dtype)
            kernels.cdist_backward(g, da, db, self.p, y._data, False, ga)
            ga = wrap(ga)
        if self.needs(1):
            gb = empty(db.shape, db.dtype)
            kernels.cdist_backward(g, db, da, self.p, y._data, True, gb)
            gb = wrap(gb)
        return ga, gb


def _cdist3(a, b, p):
    da, db = dense(a), dense(b)
    y = empty((da.shape[0], da.shape[1], db.shape[1]), da.dtype)
    kernels.cdist_forward(da, db, p, y)
    out = wrap(y)
    if mode.grad and (a._rg or b._rg):
        node = Cdist(a, b)
        node.p = p
        node.attach(out)
        node.save(a, b, out)
    return out


@half_as_float32(autocast="float32")
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distances between all rows of two matrices, in batches.

    Args:
        x1: (..., P, M).
        x2: (..., R, M); the batch dimensions broadcast.
        p: the norm's degree, at least 0; ``inf`` for the largest difference.
        compute_mode: accepted as in PyTorch; the differences are always taken directly, which loses no digits.

    Returns:
        (..., P, R).

    Raises:
        RuntimeError: p is negative, or the shapes or dtypes do not fit.
    """
    check_tensor("cdist", "x1", x1, 1)
    check_tensor("cdist", "x2", x2, 2)
    check_floating("cdist", x1, x2)
    check_same_dtype("cdist", x1=x1, x2=x2)
    if x1.dim() < 2 or x2.dim() < 2:
        raise RuntimeError(f"cdist only supports at least 2D tensors, X1 got: {x1.dim()}D, X2 got: {x2.dim()}D")
    if x1._data.shape[-1] != x2._data.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1._data.shape[-1]} X2: {x2._data.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes and compute_mode is not None:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    batch = np.broadcast_shapes(x1._data.shape[:-2], x2._data.shape[:-2])
    n, (rows, width), others = math.prod(batch), x1._data.shape[-2:], x2._data.shape[-2]
    a = x1.expand(batch + (rows, width)).reshape(n, rows, width)
    b = x2.expand(batch + (others, width)).reshape(n, others, width)
    return _cdist3(a, b, float(p)).reshape(batch + (rows, others))


class PdistForward(Node):
    __slots__ = ("p",)

    def backward(self, grad):
        a, y = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda a: _pdist_composed(a, self.p), (a,), grad)[0]
        da = dense(a)
        ga = empty(da.shape, da.dtype)
        kernels.pdist_backward(dense(grad), da, self.p, y._data, ga)
        return wrap(ga)


def _pdist_composed(a, p):
    first, second = np.triu_indices(a._data.shape[0], 1)
    return (a.index_select(0, wrap(first)) - a.index_select(0, wrap(second))).norm(p, -1)


@half_as_float32
def pdist(input, p=2.0):
    """The p-norm distances between the rows r < s of a matrix, in row-major order.

    Args:
        input: (N, M), floating point.
        p: the norm's degree, at least 0; ``inf`` for the largest difference.

    Returns:
        (N (N - 1) / 2,).

    Raises:
        RuntimeError: p is negative, or the input is not a matrix of floating-point numbers.
    """
    check_tensor("pdist", "input", input, 1)
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    a = dense(input)
    y = empty(max(0, a.shape[0] * (a.shape[0] - 1) // 2), a.dtype)
    kernels.pdist_forward(a, float(p), y)
    out = wrap(y)
    if input._rg and mode.grad:
        node = PdistForward(input)
        node.p = float(p)
        node.attach(out)
        node.save(input, out)
    return out
