"""Gated linear unit: one half of a tensor, gated by the other."""

from math import prod

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
        dx = empty(x._data.shape, x._data.dtype)
        rows, half = _rows(x._data.shape, self.dim)
        kernels.glu_backward(
            dense(grad).reshape(rows, half), dense(x).reshape(rows, 2 * half), dx.reshape(rows, 2 * half)
        )
        return wrap(dx)


def _join(a, b, dim):
    from .joining import cat

    return cat((a, b), dim)


def _rows(shape, dim):
    """How many pairs of halves there are, and the elements of a half, which lie in one run."""
    return prod(shape[:dim]), prod(shape[dim:]) // 2


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
        rows, half = _rows(x.shape, dim)
        kernels.glu_forward(dense(input).reshape(rows, 2 * half), out.reshape(rows, half))
    result = wrap(out)
    if input._rg and mode.grad:
        node = Glu(input)
        node.dim = dim
        node.attach(result)
        node.save(input)
    return result
