"""Gated linear unit: one half of a tensor, gated by the other."""

from math import prod

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import activation as kernels
from ..kernels._pool import empty
from ..tensor import wrap, wrap_zeros
from ._common import check_tensor, dense, half_as_float32, wrap_dim
from .activation import sigmoid


class Glu(Node):
    __slots__ = ("dim",)

    def backward(self, grad):
        (x,) = self.saved_tensors()
        if mode.grad:
            a, b = x.chunk(2, self.dim)
            s = sigmoid(b)
            return _join(grad * s, grad * a * (s * (1.0 - s)), self.dim)
        if not x._data.size:
            return wrap_zeros(x._data.shape, x._data.dtype)
        flat, half, rows = _halves(dense(x), self.dim)
        g = dense(grad).ravel()
        dx = empty(x._data.shape, x._data.dtype)
        parts = dx.reshape(-1, 2, half)
        part = empty(g.shape, g.dtype)
        kernels.glu_forward.strided(part, g, flat[half:], flat[half:], rows[1])
        parts[:, 0] = part.reshape(-1, half)
        kernels.glu_backward_gate.strided(part, g, flat, flat[half:], rows[1])
        parts[:, 1] = part.reshape(-1, half)
        return wrap(dx)


def _join(a, b, dim):
    from .joining import cat

    return cat((a, b), dim)


def _halves(x, dim):
    """A contiguous array split along ``dim``: flat, the run of elements in each half, and the dimensions of two walks:
    over halves alone, and over a whole first operand beside halves."""
    half = prod(x.shape[dim:]) // 2
    outer = prod(x.shape[:dim])

    def rows(*wide):
        return np.array([[outer, *(2 * half if w else half for w in wide)], [half, 1, 1, 1]], np.int64)

    return x.ravel(), half, (rows(True, True, True), rows(False, True, True))


@half_as_float32
def glu(input, dim=-1):
    """a * sigmoid(b), a and b being the halves of input along ``dim`` (Dauphin et al., 2017).

    Args:
        input: tensor of floating point with an even size along ``dim``.
        dim: the dimension that is halved.

    Shape:
        (..., 2 n, ...) to (..., n, ...).

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is not of floating point.
        RuntimeError: the tensor has no dimensions, or an odd size there.
        IndexError: there is no such dimension.
    """
    check_tensor("glu", "input", input, 1)
    x = input._data
    if x.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = wrap_dim(dim, x.ndim)
    if x.shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {x.shape[dim]}")
    if input.dtype.kind < 2:
        raise NotImplementedError(f"\"glu\" not implemented for '{input.dtype.torch_name}'")
    out = empty((*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :]), x.dtype)
    if out.size:
        flat, half, rows = _halves(dense(input), dim)
        kernels.glu_forward.strided(out.ravel(), flat, flat[half:], flat[half:], rows[0])
    result = wrap(out)
    if input._rg and mode.grad:
        node = Glu(input)
        node.dim = dim
        node.attach(result)
        node.save(input)
    return result
