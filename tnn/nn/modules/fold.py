"""Fold and Unfold."""

from ...ops import fold as ops
from .module import Module

__all__ = ["Fold", "Unfold"]


class Fold(Module):
    """Sums columns of sliding blocks into images, the transpose of :class:`Unfold`: ``y[n, c, a s + i d - p, b s + j d
    - p] += x[n, (c, i, j), (a, b)]``.

    Args:
        output_size: (H, W) of the images.
        kernel_size, dilation, padding, stride: of the sliding blocks, an int or a tuple of two.

    Shape:
        (N, C kh kw, L) or (C kh kw, L), floating point, becomes (N, C, H, W) or (C, H, W).

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: the numbers, the shape or the dtype do not fit.

    >>> import tnn
    >>> tnn.nn.Fold(output_size=(4, 5), kernel_size=(2, 2))(tnn.randn(1, 3 * 2 * 2, 12)).shape
    tnn.Size([1, 3, 4, 5])
    """

    __constants__ = ["output_size", "kernel_size", "dilation", "padding", "stride"]

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return ops.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Unfold(Module):
    """Sliding blocks of images as columns: ``y[n, (c, i, j), (a, b)] = x[n, c, a s + i d - p, b s + j d - p]``, zero
    outside.

    Args:
        kernel_size, dilation, padding, stride: of the sliding blocks, an int or a tuple of two.

    Shape:
        (N, C, H, W) or (C, H, W), floating point, becomes (N, C kh kw, L) or (C kh kw, L), L the number of blocks.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: the numbers, the shape or the dtype do not fit.

    >>> import tnn
    >>> tnn.nn.Unfold(kernel_size=(2, 3))(tnn.randn(2, 5, 3, 4)).shape
    tnn.Size([2, 30, 4])
    """

    __constants__ = ["kernel_size", "dilation", "padding", "stride"]

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input):
        return ops.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
