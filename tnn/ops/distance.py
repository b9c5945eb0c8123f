"""Distances and similarities between vectors."""

import math

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import distance as kernels
from ..kernels._gemm import gemm_batched
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import F32, F64, check_floating, check_same_dtype, check_tensor, composed_backward, dense, half_as_float32


def _at_least(norm, eps):
    """A norm bounded from below, whose gradient passes as if it were not."""
    return norm + (norm.clamp(min=eps) - norm).detach()


class CosineSimilarity(Node):
    """Of rows: along the last dimension of two tensors of one shape."""

    __slots__ = ("eps", "more", "norms")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "SumBackward1"

    def backward(self, grad):
        a, b, y = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda a, b: _cosine_composed(a, b, -1, self.eps, self.more), (a, b), grad)
        da, db = dense(a), dense(b)
        ga, gb = empty(da.shape, da.dtype), empty(db.shape, db.dtype)
        rows = y._data.size, da.shape[-1]
        kernels.cosine_backward(
            dense(grad).reshape(-1), da.reshape(rows), db.reshape(rows), self.eps, y._data.reshape(-1), self.norms,
            ga.reshape(rows), gb.reshape(rows),
        )  # fmt: skip
        return wrap(ga) if self.needs(0) else None, wrap(gb) if self.needs(1) else None


def _cosine_composed(x1, x2, dim, eps, more=0.0):
    if more:
        return (x1 * x2).sum(dim) / (((x1 * x1).sum(dim) + more) * ((x2 * x2).sum(dim) + more)).sqrt()
    n1 = _at_least(x1.norm(2, dim, True), eps)
    n2 = _at_least(x2.norm(2, dim, True), eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


def cosine_rows(x1, x2, eps, more=0.0):
    """The cosines along the last dimension of two tensors of one shape and dtype; ``more`` is added to the squares of
    their norms, which count as at least ``eps``."""
    a, b = dense(x1), dense(x2)
    y = empty(a.shape[:-1], a.dtype)
    rows, norms = (y.size, a.shape[-1]), empty((y.size, 2), a.dtype)
    kernels.cosine_forward(a.reshape(rows), b.reshape(rows), eps, more, y.reshape(-1), norms)
    out = wrap(y)
    if mode.grad and (x1._rg or x2._rg):
        node = CosineSimilarity(x1, x2)
        node.eps, node.more, node.norms = eps, more, norms
        node.attach(out)
        node.save(x1, x2, out)
    return out


@half_as_float32
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """``x1 . x2 / (max(||x1||, eps) max(||x2||, eps))`` along ``dim``.

    Args:
        x1, x2: floating-point tensors whose shapes broadcast.
        dim: the dimension that is summed over.
        eps: the least norm.

    Shape:
        that to which both broadcast, without ``dim``.

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
    if dim in (-1, len(shape) - 1) and shape and x1._data.dtype == x2._data.dtype:
        return cosine_rows(x1, x2, float(eps))
    return _cosine_composed(x1, x2, dim, eps)


@half_as_float32
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Args:
        x1, x2: (N, D) or (D,), or shapes that broadcast; floating point.
        p: the norm's degree.
        eps: keeps the gradient finite where the vectors are equal.
        keepdim: keep the last dimension, with size 1.

    Shape:
        (N, D) gives (N,), or (N, 1) with ``keepdim``.

    Raises:
        TypeError: ``x1`` or ``x2`` is not a tensor.
        RuntimeError: the shapes do not broadcast.
    """
    check_tensor("pairwise_distance", "x1", x1, 1)
    check_tensor("pairwise_distance", "x2", x2, 2)
    a, b = x1._data, x2._data
    alike = a.shape == b.shape and a.dtype == b.dtype and a.dtype in (F32, F64)
    if alike and p in (1, 2) and a.ndim and a.size and isinstance(eps, int | float):
        return _pairwise(x1, x2, float(p), float(eps), keepdim)
    d = x1 - x2 + eps
    return d.norm(p, d.dim() - 1 if d.dim() else 0, keepdim)


class PairwiseDistance(Node):
    """Of rows: along the last dimension of two tensors of one shape."""

    __slots__ = ("p", "eps")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "LinalgVectorNormBackward0"

    def backward(self, grad):
        a, b, y = self.saved_tensors()
        if mode.grad:
            keep = y._data.ndim == a._data.ndim
            return composed_backward(lambda a, b: (a - b + self.eps).norm(self.p, -1, keep), (a, b), grad)
        da, db = dense(a), dense(b)
        rows, both = (y._data.size, da.shape[-1]), self.needs(1)
        ga, gb = empty(da.shape, da.dtype), empty(db.shape if both else (0, 0), db.dtype)
        kernels.pairwise_backward(
            dense(grad).reshape(-1), da.reshape(rows), db.reshape(rows), self.p, self.eps, dense(y).reshape(-1),
            ga.reshape(rows), gb.reshape(rows if both else (0, 0)),
        )  # fmt: skip
        return wrap(ga) if self.needs(0) else None, wrap(gb) if both else None


def _pairwise(x1, x2, p, eps, keepdim):
    a, b = dense(x1), dense(x2)
    y = empty(a.shape[:-1] + ((1,) if keepdim else ()), a.dtype)
    rows = y.size, a.shape[-1]
    kernels.pairwise_forward(a.reshape(rows), b.reshape(rows), p, eps, y.reshape(-1))
    out = wrap(y)
    if mode.grad and (x1._rg or x2._rg):
        node = PairwiseDistance(x1, x2)
        node.p, node.eps = p, eps
        node.attach(out)
        node.save(x1, x2, out)
    return out


class Cdist(Node):
    __slots__ = ("p", "product")

    def backward(self, grad):
        a, b, y = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda a, b: (a.unsqueeze(-2) - b.unsqueeze(-3)).norm(self.p, -1), (a, b), grad)
        da, db, g = _matrices(dense(a)), _matrices(dense(b)), _matrices(dense(grad))
        ga = gb = None
        if self.product:
            ga, gb = _by_product_backward(g, da, db, _matrices(y._data), self.needs(1))
        else:
            if self.needs(0):
                ga = empty(da.shape, da.dtype)
                kernels.cdist_backward(g, da, db, self.p, _matrices(y._data), False, ga)
            if self.needs(1):
                gb = empty(db.shape, db.dtype)
                kernels.cdist_backward(g, db, da, self.p, _matrices(y._data), True, gb)
        return (
            wrap(ga.reshape(a._data.shape)) if self.needs(0) else None,
            wrap(gb.reshape(b._data.shape)) if self.needs(1) else None,
        )


def _matrices(d):
    """A C-contiguous ndarray as (batch, rows, columns)."""
    shape = d.shape
    return d.reshape(math.prod(shape[:-2]), *shape[-2:])


def _by_product(a, b, y):
    gemm_batched(False, True, -2.0, a, b, 0.0, y)
    kernels.euclidean_forward(a, b, empty(b.shape[:2], b.dtype), y)


def _by_product_backward(g, a, b, y, both):
    ratio, ga, gb = empty(g.shape, g.dtype), empty(a.shape, a.dtype), empty(b.shape if both else (0, 0, 0), b.dtype)
    kernels.euclidean_backward(g, y, a, b, ratio, ga, gb)
    gemm_batched(False, False, -1.0, ratio, b, 1.0, ga)
    if both:
        gemm_batched(True, False, -1.0, ratio, a, 1.0, gb)
    return ga, gb


def _cdist(x1, x2, p, product):
    """Distances of tensors with the same batch dimensions."""
    da, db = dense(x1), dense(x2)
    y = empty(da.shape[:-1] + (db.shape[-2],), da.dtype)
    product = product and y.size > 0 and da.size > 0
    a, b, out = _matrices(da), _matrices(db), _matrices(y)
    if product:
        _by_product(a, b, out)
    else:
        kernels.cdist_forward(a, b, p, out)
    out = wrap(y)
    if mode.grad and (x1._rg or x2._rg):
        node = Cdist(x1, x2)
        node.p, node.product = p, product
        node.attach(out)
        node.save(x1, x2, out)
    return out


_MODES = {
    None: None,
    "use_mm_for_euclid_dist_if_necessary": None,
    "use_mm_for_euclid_dist": True,
    "donot_use_mm_for_euclid_dist": False,
}
_MANY = 25  # rows from which on Euclidean distances come from a matrix product unless told otherwise


@half_as_float32(autocast="float32", alike=True)
def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norm distances between all rows of two matrices, in batches.

    Args:
        x1: (..., P, M).
        x2: (..., R, M); the batch dimensions broadcast.
        p: the norm's degree, at least 0; ``inf`` for the largest difference.
        compute_mode: for p = 2, 'use_mm_for_euclid_dist' takes ``|a|^2 - 2 a.b + |b|^2`` from a matrix product, which
            is fast but loses digits where rows are close to each other; 'donot_use_mm_for_euclid_dist' takes
            differences; 'use_mm_for_euclid_dist_if_necessary' (default) the product for more than 25 rows.

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
    if compute_mode not in _MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    a, b = x1._data.shape, x2._data.shape
    product = _MODES[compute_mode]
    if p != 2:
        product = False
    elif product is None:
        product = a[-2] > _MANY or b[-2] > _MANY
    if a[:-2] != b[:-2]:
        batch = np.broadcast_shapes(a[:-2], b[:-2])
        x1, x2 = x1.expand(batch + a[-2:]), x2.expand(batch + b[-2:])
    return _cdist(x1, x2, float(p), product)


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
