"""Softmax layers."""

from ...ops import softmax as ops
from .module import Module


class _Softmax(Module):
    __constants__ = ["dim"]

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def __setstate__(self, state):
        super().__setstate__(state)
        if not hasattr(self, "dim"):
            self.dim = None

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_Softmax):
    """Makes the elements along a dimension positive with sum 1: ``y_k = exp(x_k) / sum_j exp(x_j)``.

    Args:
        dim: the dimension along which the results add up to 1.

    Shape:
        any, of a floating-point dtype; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        IndexError: there is no such dimension.
        NotImplementedError: the dtype is not a floating-point one.

    >>> import tnn
    >>> tnn.nn.Softmax(dim=1)(tnn.zeros(1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def forward(self, input):
        return ops.softmax(input, self.dim, 5)


class Softmin(_Softmax):
    """``y_k = exp(-x_k) / sum_j exp(-x_j)`` along a dimension.

    Args:
        dim: the dimension along which the results add up to 1.

    Shape:
        any, of a floating-point dtype; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        IndexError: there is no such dimension.
        NotImplementedError: the dtype is not a floating-point one.
    """

    def forward(self, input):
        return ops.softmin(input, self.dim, 5)


class LogSoftmax(_Softmax):
    """The logarithm of softmax: ``y_k = x_k - log sum_j exp(x_j)`` along a dimension.

    Args:
        dim: the dimension along which the exponentials of the results add up to 1.

    Shape:
        any, of a floating-point dtype; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        IndexError: there is no such dimension.
        NotImplementedError: the dtype is not a floating-point one.
    """

    def forward(self, input):
        return ops.log_softmax(input, self.dim, 5)


class Softmax2d(Module):
    """Softmax over the channels at each position of an image: ``y_c = exp(x_c) / sum_d exp(x_d)``.

    Args:
        args, kwargs: not used.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the output has the input's.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: the input is neither 3-D nor 4-D.
    """

    def forward(self, input):
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return ops.softmax(input, -3, 5)
