"""Pooling layers over windows of a fixed size."""

from ...ops import pooling as ops
from .module import Module


class _MaxPoolNd(Module):
    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The maximum of each window of a signal: ``y[o] = max_t x[o * stride - padding + t * dilation]``.

    Args:
        kernel_size, stride, padding, dilation: an int or a tuple of one int; stride defaults to kernel_size.
        return_indices: also return where each maximum lies, for :class:`MaxUnpool1d`.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, L) or (C, L);
        a size L becomes ``floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.

    >>> import tnn
    >>> tnn.nn.MaxPool1d(3, stride=2)(tnn.randn(2, 4, 9)).shape
    tnn.Size([2, 4, 4])
    """

    def forward(self, input):
        return ops.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool2d(_MaxPoolNd):
    """The maximum of each window of an image: ``y[o] = max_t x[o * stride - padding + t * dilation]``.

    Args:
        kernel_size, stride, padding, dilation: an int or a tuple of two ints; stride defaults to kernel_size.
        return_indices: also return where each maximum lies, for :class:`MaxUnpool2d`.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, H, W) or (C, H, W);
        a size L becomes ``floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.

    >>> import tnn
    >>> tnn.nn.MaxPool2d(3, stride=2)(tnn.randn(2, 4, 9, 9)).shape
    tnn.Size([2, 4, 4, 4])
    """

    def forward(self, input):
        return ops.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool3d(_MaxPoolNd):
    """The maximum of each window of a volume: ``y[o] = max_t x[o * stride - padding + t * dilation]``.

    Args:
        kernel_size, stride, padding, dilation: an int or a tuple of three ints; stride defaults to kernel_size.
        return_indices: also return where each maximum lies, for :class:`MaxUnpool3d`.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, D, H, W) or (C, D, H, W);
        a size L becomes ``floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.

    >>> import tnn
    >>> tnn.nn.MaxPool3d(3, stride=2)(tnn.randn(2, 4, 9, 9, 9)).shape
    tnn.Size([2, 4, 4, 4, 4])
    """

    def forward(self, input):
        return ops.max_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class _MaxUnpoolNd(Module):
    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        n = self._dims
        self.kernel_size = ops.tuple_of(type(self).__name__, "kernel_size", kernel_size, n)
        self.stride = ops.tuple_of(type(self).__name__, "stride", stride if stride is not None else kernel_size, n)
        self.padding = ops.tuple_of(type(self).__name__, "padding", padding, n)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts the values of max pooling back where they were found, and zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling, an int or a tuple of one int.

    Shape:
        (N, C, L) or (C, L);
        a size L becomes ``(L - 1) stride - 2 padding + kernel_size`` unless ``output_size`` says otherwise.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """

    _dims = 1

    def forward(self, input, indices, output_size=None):
        return ops.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts the values of max pooling back where they were found, and zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling, an int or a tuple of two ints.

    Shape:
        (N, C, H, W) or (C, H, W);
        a size L becomes ``(L - 1) stride - 2 padding + kernel_size`` unless ``output_size`` says otherwise.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """

    _dims = 2

    def forward(self, input, indices, output_size=None):
        return ops.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts the values of max pooling back where they were found, and zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling, an int or a tuple of three ints.

    Shape:
        (N, C, D, H, W) or (C, D, H, W);
        a size L becomes ``(L - 1) stride - 2 padding + kernel_size`` unless ``output_size`` says otherwise.

    Raises:
        TypeError: the input is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """

    _dims = 3

    def forward(self, input, indices, output_size=None):
        return ops.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPoolNd(Module):
    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """The mean of each window of a signal: ``y[o] = sum_t x[o * stride - padding + t] / divisor``.

    Args:
        kernel_size, stride, padding: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.
        count_include_pad: whether the divisor counts the zeros of the padding.

    Shape:
        (N, C, L) or (C, L);
        a size L becomes ``floor((L + 2 padding - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):  # fmt: skip
        super().__init__()
        self.kernel_size = ops.tuple_of("AvgPool1d", "kernel_size", kernel_size, 1)
        self.stride = ops.tuple_of("AvgPool1d", "stride", stride if stride is not None else kernel_size, 1)
        self.padding = ops.tuple_of("AvgPool1d", "padding", padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input):
        return ops.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class AvgPool2d(_AvgPoolNd):
    """The mean of each window of an image: ``y[o] = sum_t x[o * stride - padding + t] / divisor``.

    Args:
        kernel_size, stride, padding: an int or a tuple of two ints; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.
        count_include_pad: whether the divisor counts the zeros of the padding.
        divisor_override: replaces the window's size as the divisor.

    Shape:
        (N, C, H, W) or (C, H, W);
        a size L becomes ``floor((L + 2 padding - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        return ops.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of a volume: ``y[o] = sum_t x[o * stride - padding + t] / divisor``.

    Args:
        kernel_size, stride, padding: an int or a tuple of three ints; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.
        count_include_pad: whether the divisor counts the zeros of the padding.
        divisor_override: replaces the window's size as the divisor.

    Shape:
        (N, C, D, H, W) or (C, D, H, W);
        a size L becomes ``floor((L + 2 padding - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input):
        return ops.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _LPPoolNd(Module):
    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """The p-norm of each window of a signal: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        norm_type: p.
        kernel_size, stride: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, L) or (C, L);
        a size L becomes ``floor((L - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPoolNd):
    """The p-norm of each window of an image: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        norm_type: p.
        kernel_size, stride: an int or a tuple of two ints; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, H, W) or (C, H, W);
        a size L becomes ``floor((L - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPoolNd):
    """The p-norm of each window of a volume: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        norm_type: p.
        kernel_size, stride: an int or a tuple of three ints; stride defaults to kernel_size.
        ceil_mode: round the number of windows up.

    Shape:
        (N, C, D, H, W) or (C, D, H, W);
        a size L becomes ``floor((L - kernel_size) / stride + 1)``.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """

    def forward(self, input):
        return ops.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
