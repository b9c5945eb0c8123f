"""Weight normalisation: a tensor scaled so that its slices along one dimension have given norms."""

from math import prod

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import weight_norm as kernels
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import F32, F64, composed_backward, dense, recording, wrap_dim


def norm_except_dim(v, pow=2, dim=0):
    """The norm of order ``pow`` of each slice of ``v`` along ``dim``, in a shape that broadcasts with ``v``; of all of
    it, without dimensions, for -1."""
    if dim == -1:
        return v.norm(pow)
    if v.dim() == 1:
        return v.abs()
    dim = wrap_dim(dim, v.dim())
    return v.norm(pow, dim=[d for d in range(v.dim()) if d != dim], keepdim=True)


def _composed(v, g, dim):
    return v * (g / norm_except_dim(v, 2, dim))


def _rows(shape, dim):
    """The shape (outer, n * inner) in which the kernels take an array, and inner; all is one channel for -1."""
    if dim == -1:
        return (1, prod(shape)), prod(shape)
    return (prod(shape[:dim]), prod(shape[dim:])), prod(shape[dim + 1 :])


class WeightNormInterface(Node):
    """The tape's node of :func:`weight_norm`."""

    __slots__ = ("dim", "norm", "scale")

    def backward(self, grad):
        """Gradients of v and g; composed of differentiable operations where this is recorded."""
        v, g = self.saved_tensors()
        if mode.grad:
            return composed_backward(lambda v, g: _composed(v, g, self.dim), (v, g), grad)
        shape, inner = _rows(v._data.shape, self.dim)
        dv, dg = empty(v._data.shape, v._data.dtype), empty(g._data.shape, g._data.dtype)
        kernels.weight_norm_backward(
            dense(grad).reshape(shape), dense(v).reshape(shape), self.scale, self.norm, inner, dv.reshape(shape),
            dg.reshape(-1),
        )  # fmt: skip
        return wrap(dv), wrap(dg)


def weight_norm(v, g, dim=0):
    r"""``v`` scaled to the norms ``g``: :math:`w = g \, v / \|v\|` (arXiv 1602.07868).

    Args:
        v: the direction.
        g: the norms, one for each index of ``dim``, of a shape that broadcasts with ``v``; without dimensions for -1.
        dim: the dimension along which norms are apart; -1: one norm for all of ``v``.

    Shape:
        v: any with at least one dimension; the result has the same.

    Raises:
        IndexError: ``v`` has no such dimension.
    """
    dim = dim if dim == -1 else wrap_dim(dim, v.dim())
    n = 1 if dim == -1 else v._data.shape[dim] if v._data.ndim else 1
    dtype = v._data.dtype
    if (dtype is not F32 and dtype is not F64) or g._data.dtype != dtype or g._data.size != n or not v._data.size:
        return _composed(v, g, dim)
    shape, inner = _rows(v._data.shape, dim)
    w, norm, scale = empty(v._data.shape, dtype), np.empty(n, dtype), np.empty(n, dtype)
    kernels.weight_norm_forward(dense(v).reshape(shape), dense(g).reshape(-1), inner, w.reshape(shape), norm, scale)
    out = wrap(w)
    if recording(v, g):
        node = WeightNormInterface(v, g)
        node.dim, node.norm, node.scale = dim, norm, scale
        node.attach(out)
        node.save(v, g)
    return out
