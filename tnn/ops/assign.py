"""Writing over a whole tensor in place: copy_, fill_, zero_."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels._copy import copy_into, fill
from ..kernels._pool import empty
from ..tensor import Tensor, wrap, wrap_zeros
from ._common import as_number, check_tensor
from ._within import open_array
from .cast import convert
from .shape import sum_to_size

# What NumPy converts to float32 and float64 in one pass, as it copies.
_CAST = frozenset(map(np.dtype, (np.float32, np.float64, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)))


class CopyBackwards(Node):
    __slots__ = ("dtype", "like", "shape")

    def name(self):
        return "CopyBackwards"

    def backward(self, grad):
        gx = wrap_zeros(*self.like) if self.needs(0) else None
        gs = None
        if self.needs(1):
            gs = sum_to_size(grad, self.shape)
            gs = gs if gs._data.dtype == self.dtype.np else gs.to(self.dtype)
        return gx, gs


def copy_(self, src, non_blocking=False):
    """Copies the elements of ``src``, broadcast and cast to this tensor's shape and dtype, into this tensor.

    Args:
        src: tensor of any dtype whose shape broadcasts to this one's.
        non_blocking: not used.

    Raises:
        TypeError: ``src`` is not a tensor.
        RuntimeError: ``src`` cannot be broadcast to the shape, or the tensor may not be changed in place.
    """
    check_tensor("copy_", "src", src, 1)
    mine, theirs = self._data, src._data
    if theirs.shape != mine.shape:
        lead = mine.ndim - theirs.ndim
        if lead < 0 or any(n not in (1, m) for n, m in zip(theirs.shape, mine.shape[lead:], strict=True)):
            raise RuntimeError(
                f"output with shape {list(mine.shape)} doesn't match the broadcast shape of the source, "
                f"{list(theirs.shape)}"
            )
    self._check_inplace()
    recorded = mode.grad and (self._rg or src._rg) and self.dtype.is_floating_point
    if theirs.dtype != mine.dtype:
        if not recorded and type(mine) is np.ndarray and mine.dtype in dtypes.COMPUTE and theirs.dtype in _CAST:
            with np.errstate(over="ignore"):
                np.copyto(mine, theirs, casting="unsafe")
            self._bump()
            return self
        theirs = convert(theirs, mine.dtype)
    if not recorded:
        copy_into(mine, theirs)
        self._bump()
        return self
    result = wrap(empty(mine.shape, mine.dtype))
    np.copyto(result._data, theirs)
    node = CopyBackwards(self, src)
    node.like, node.shape, node.dtype = (mine.shape, mine.dtype), src._data.shape, src.dtype
    node.attach(result)
    return self._write(result)


class Fill(Node):
    __slots__ = ("like",)

    def backward(self, grad):
        gx = wrap_zeros(*self.like) if self.needs(0) else None
        return gx, grad.sum() if len(self.next) > 1 and self.needs(1) else None


def fill_(self, value):
    """Writes one value, a number or a tensor without dimensions, into every element.

    Args:
        value: a number, or a tensor without dimensions; it is cast to this tensor's dtype.

    Shape:
        kept.

    Raises:
        RuntimeError: ``value`` has dimensions or is too large for the dtype, or the tensor may not be changed in place.
    """
    kind = type(value)
    if (kind is float or kind is int) and -1e38 < value < 1e38:
        d = open_array(self)
        if d is not None and d.dtype in dtypes.COMPUTE and d.flags.c_contiguous:
            fill(d, value)
            self._bump()
            return self
    check_tensor("fill_", "input", self, 1)
    tensor = value if isinstance(value, Tensor) else None
    if tensor is not None:
        if tensor._data.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {tensor._data.ndim} dimensions."
            )
        value = convert(tensor._data, self._data.dtype) if tensor._data.dtype != self._data.dtype else tensor._data
    elif isinstance(value, int | float):
        value = as_number(value, self.dtype, half_too=False)
    self._check_inplace()
    d = self._data
    if not (mode.grad and (self._rg or (tensor is not None and tensor._rg)) and self.dtype.is_floating_point):
        if tensor is None:
            fill(d, value)
        else:
            d.fill(value)
        self._bump()
        return self
    result = wrap(empty(d.shape, d.dtype))
    result._data.fill(value)
    node = Fill(self) if tensor is None else Fill(self, tensor)
    node.like = d.shape, d.dtype
    node.attach(result)
    return self._write(result)


def zero_(self):
    """Writes zero into every element.

    Shape:
        kept.

    Raises:
        RuntimeError: the tensor may not be changed in place.
    """
    d = open_array(self)
    if d is None or not d.flags.c_contiguous:
        return fill_(self, 0)
    fill(d, 0)
    self._bump()
    return self
