"""Pooling layers to an output of a given size: adaptive and fractional."""

from ...ops import adaptive_pooling as ops
from ...ops.pooling import tuple_of
from .module import Module


class _AdaptiveAvgPoolNd(Module):
    __constants__ = ["output_size"]

    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


class _AdaptiveMaxPoolNd(Module):
    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The mean over windows that divide a signal into ``output_size`` parts.

    ``y[o] = mean(x[floor(o L / m) : ceil((o + 1) L / m)])`` along each dimension of size L, for m outputs.

    Args:
        output_size: an int or a tuple of one int; None keeps a dimension's size.

    Shape:
        (N, C, L) or (C, L), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The maximum over windows that divide a signal into ``output_size`` parts, as in :class:`AdaptiveAvgPool1d`.

    Args:
        output_size: an int or a tuple of one int; None keeps a dimension's size.
        return_indices: also return where each maximum lies.

    Shape:
        (N, C, L) or (C, L), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The mean over windows that divide an image into ``output_size`` parts.

    ``y[o] = mean(x[floor(o L / m) : ceil((o + 1) L / m)])`` along each dimension of size L, for m outputs.

    Args:
        output_size: an int or a tuple of two ints; None keeps a dimension's size.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The maximum over windows that divide an image into ``output_size`` parts, as in :class:`AdaptiveAvgPool2d`.

    Args:
        output_size: an int or a tuple of two ints; None keeps a dimension's size.
        return_indices: also return where each maximum lies.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The mean over windows that divide a volume into ``output_size`` parts.

    ``y[o] = mean(x[floor(o L / m) : ceil((o + 1) L / m)])`` along each dimension of size L, for m outputs.

    Args:
        output_size: an int or a tuple of three ints; None keeps a dimension's size.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The maximum over windows that divide a volume into ``output_size`` parts, as in :class:`AdaptiveAvgPool3d`.

    Args:
        output_size: an int or a tuple of three ints; None keeps a dimension's size.
        return_indices: also return where each maximum lies.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _FractionalMaxPoolNd(Module):
    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        name, n = type(self).__name__, self._dims
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError(f"only one of output_size and output_ratio may be specified for {name}")
        self.kernel_size = tuple_of(name, "kernel_size", kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else tuple_of(name, "output_size", output_size, n)
        self.output_ratio = (output_ratio,) * n if isinstance(output_ratio, int | float) else output_ratio
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maximum over pseudo-random windows (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        kernel_size: an int or a tuple of two ints.
        output_size: how many windows, an int or a tuple; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: also return where each maximum lies.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        ValueError: neither or both of output_size and output_ratio are given, or a ratio is out of range.
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    _dims = 2

    def forward(self, input):
        return ops.fractional_max_pool2d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """The maximum over pseudo-random windows (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        kernel_size: an int or a tuple of three ints.
        output_size: how many windows, an int or a tuple; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: also return where each maximum lies.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; the spatial sizes become ``output_size``.

    Raises:
        ValueError: neither or both of output_size and output_ratio are given, or a ratio is out of range.
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    _dims = 3

    def forward(self, input):
        return ops.fractional_max_pool3d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )
