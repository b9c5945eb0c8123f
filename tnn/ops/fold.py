"""Sliding blocks of a batch of images, as columns and back."""

from functools import lru_cache

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import fold as kernels
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import check_floating, check_tensor, dense, half_as_float32


def _pair(function, argument, value):
    """Two ints from an int or a sequence of one or two."""
    if type(value) is int:
        return value, value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is int and type(value[1]) is int:
        return value
    try:
        many = isinstance(value, list | tuple)
        out = tuple(v.__index__() for v in (value if many else (value,)))
    except (TypeError, AttributeError):
        raise TypeError(f"{function}(): argument '{argument}' must be tuple of ints, not {value!r}") from None
    if len(out) not in (1, 2):
        raise RuntimeError(f"{function}: It is expected {argument} equals to 2, but got size {len(out)}")
    return out * 2 if len(out) == 1 else out


class _Blocks:
    """Checked numbers of the sliding blocks."""

    __slots__ = ("size", "kernel", "rows", "cols", "geo")

    def __init__(self, function, size, kernel, dilation, padding, stride):
        for name, value, least in (
            ("kernel size", kernel, 1), ("dilation", dilation, 1), ("stride", stride, 1), ("padding", padding, 0),
        ):  # fmt: skip
            if min(value) < least:
                what = "greater than zero" if least else "non-negative"
                raise RuntimeError(f"{function}: {name} should be {what}, but got {list(value)}")
        self.rows, self.cols = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
        )
        self.size, self.kernel = size, kernel
        if self.rows < 1 or self.cols < 1:
            raise RuntimeError(
                f"{function}: Given input with spatial size {list(size)}, kernel_size={list(kernel)}, "
                f"dilation={list(dilation)}, padding={list(padding)}, stride={list(stride)}, calculated shape of the "
                f"array of sliding blocks as ({self.rows}, {self.cols}), but its components must be at least one."
            )
        self.geo = np.array((*size, *kernel, *stride, *dilation, *padding, self.rows, self.cols), np.intp)


_kept_blocks = lru_cache(1024)(_Blocks)


def _blocks(function, size, kernel_size, dilation, padding, stride):
    """The blocks of some sizes and arguments, checked once: that takes longer than unfolding 4 x 4 images."""
    kernel, dilation = _pair(function, "kernel_size", kernel_size), _pair(function, "dilation", dilation)
    padding, stride = _pair(function, "padding", padding), _pair(function, "stride", stride)
    return _kept_blocks(function, size, kernel, dilation, padding, stride)


class Im2Col(Node):
    __slots__ = ("blocks",)

    def backward(self, grad):
        return _fold(grad, self.blocks)


class Col2Im(Node):
    __slots__ = ("blocks",)

    def backward(self, grad):
        return _unfold(grad, self.blocks)


def _unfold(x, blocks):
    """(N, C, H, W) -> (N, C kh kw, L)."""
    d = dense(x)
    n, c = d.shape[:2]
    taps, count = blocks.kernel[0] * blocks.kernel[1], blocks.rows * blocks.cols
    col = empty((n, c * taps, count), d.dtype)
    kernels.unfold_forward(d.reshape(n * c, d.shape[2] * d.shape[3]), col.reshape(n * c, taps * count), blocks.geo)
    return _recorded(Im2Col, wrap(col), x, blocks)


def _fold(col, blocks):
    """(N, C kh kw, L) -> (N, C, H, W)."""
    d = dense(col)
    taps, count = blocks.kernel[0] * blocks.kernel[1], blocks.rows * blocks.cols
    n, c = d.shape[0], d.shape[1] // taps
    x = empty((n, c, *blocks.size), d.dtype)
    kernels.fold_forward(d.reshape(n * c, taps * count), x.reshape(n * c, blocks.size[0] * blocks.size[1]), blocks.geo)
    return _recorded(Col2Im, wrap(x), col, blocks)


def _recorded(kind, out, source, blocks):
    if source._rg and mode.grad:
        node = kind(source)
        node.blocks = blocks
        node.attach(out)
    return out


@half_as_float32
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Sliding blocks as columns: ``y[n, (c, i, j), (a, b)] = x[n, c, a s + i d - p, b s + j d - p]``, zero outside.

    Args:
        input: (N, C, H, W) or (C, H, W), of floating point or bool.
        kernel_size, dilation, padding, stride: an int or a tuple of two.

    Shape:
        output (N, C kh kw, L) or (C kh kw, L), L the number of blocks.

    Raises:
        TypeError: ``input`` is not a tensor, or a size not an int or a tuple of them.
        RuntimeError: the numbers, the shape or the dtype do not fit.
    """
    check_tensor("unfold", "input", input, 1)
    if input.dtype is dtypes.bool:
        return unfold(input.float(), kernel_size, dilation, padding, stride).bool()
    check_floating("unfold", input)
    shape = input._data.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    blocks = _blocks("unfold", shape[-2:], kernel_size, dilation, padding, stride)
    if len(shape) == 3:
        return _unfold(input.unsqueeze(0), blocks).squeeze(0)
    return _unfold(input, blocks)


@half_as_float32
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The sum of columns into images, the transpose of :func:`unfold`: ``y[n, c, a s + i d - p, b s + j d - p] += x[n,
    (c, i, j), (a, b)]``, what falls outside being dropped.

    Args:
        input: (N, C kh kw, L) or (C kh kw, L), of floating point.
        output_size: (H, W) of the images, an int or a tuple of two.
        kernel_size, dilation, padding, stride: an int or a tuple of two.

    Shape:
        output (N, C, H, W) or (C, H, W).

    Raises:
        TypeError: ``input`` is not a tensor, or a size not an int or a tuple of them.
        RuntimeError: the numbers, the shape or the dtype do not fit.
    """
    check_tensor("fold", "input", input, 1)
    check_floating("fold", input)
    shape = input._data.shape
    size = _pair("fold", "output_size", output_size)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    if min(size) < 1:
        raise RuntimeError(f"fold: expected output_size of positive numbers, but got {list(size)}")
    blocks = _blocks("fold", size, kernel_size, dilation, padding, stride)
    taps = blocks.kernel[0] * blocks.kernel[1]
    if shape[-2] % taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={list(blocks.kernel)}."
        )
    if shape[-1] != blocks.rows * blocks.cols:
        raise RuntimeError(
            f"Given output_size={list(size)} and the other arguments, expected size of input's dimension 2 to match "
            f"the number of sliding blocks {blocks.rows} * {blocks.cols} = {blocks.rows * blocks.cols}, but got "
            f"input.size(2)={shape[-1]}."
        )
    if len(shape) == 2:
        return _fold(input.unsqueeze(0), blocks).squeeze(0)
    return _fold(input, blocks)
