"""Padding layers."""

from ...ops.padding import pad
from .module import Module


def _edges(padding, n):
    return tuple(padding) if isinstance(padding, tuple | list) else (padding,) * n


class _PadNd(Module):
    __constants__ = ["padding"]
    dims = 1
    mode = "constant"

    def __init__(self, padding):
        super().__init__()
        self.padding = _edges(padding, 2 * self.dims)

    def forward(self, input):
        return pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    __constants__ = ["padding", "value"]

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class _CircularPadNd(_PadNd):
    mode = "circular"

    def forward(self, input):
        n = self.dims + 1
        if input.dim() not in (n, n + 1):
            raise ValueError(f"expected {n}D or {n + 1}D input (got {input.dim()}D input)")
        return pad(input, self.padding, self.mode)


class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with a value.

    Args:
        padding: an int for all sides, or (left, right); negative numbers crop.
        value: what the padding consists of.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads the last two dimensions with a value.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); negative numbers crop.
        value: what the padding consists of.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads the last three dimensions with a value.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); negative numbers crop.
        value: what the padding consists of.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 3


class ZeroPad1d(_PadNd):
    """Pads the last dimension with zeros.

    Args:
        padding: an int for all sides, or (left, right); negative numbers crop.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 1


class ZeroPad2d(_PadNd):
    """Pads the last two dimensions with zeros.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); negative numbers crop.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 2


class ZeroPad3d(_PadNd):
    """Pads the last three dimensions with zeros.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); negative numbers crop.

    Shape:
        any with at least that many dimensions, of any dtype; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: too few dimensions, or a size would become negative.
    """

    dims = 3


class ReflectionPad1d(_PadNd):
    """Pads the last dimension with the reflection of the input, ``y[-i] = x[i]``.

    Args:
        padding: an int for all sides, or (left, right); negative numbers crop.

    Shape:
        (N, C, L) or (C, L), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is not smaller than the size.
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Pads the last two dimensions with the reflection of the input, ``y[-i] = x[i]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); negative numbers crop.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is not smaller than the size.
    """

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Pads the last three dimensions with the reflection of the input, ``y[-i] = x[i]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); negative numbers crop.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is not smaller than the size.
    """

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Pads the last dimension with copies of the edge, ``y[-i] = x[0]``.

    Args:
        padding: an int for all sides, or (left, right); negative numbers crop.

    Shape:
        (N, C, L) or (C, L), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or a size would become negative or is 0.
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Pads the last two dimensions with copies of the edge, ``y[-i] = x[0]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); negative numbers crop.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or a size would become negative or is 0.
    """

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Pads the last three dimensions with copies of the edge, ``y[-i] = x[0]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); negative numbers crop.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or a size would become negative or is 0.
    """

    dims = 3
    mode = "replicate"


class CircularPad1d(_CircularPadNd):
    """Pads the last dimension as on a circle, ``y[-i] = x[n - i]``.

    Args:
        padding: an int for all sides, or (left, right); negative numbers crop.

    Shape:
        (N, C, L) or (C, L), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is larger than the size.
        ValueError: another number of dimensions.
    """

    dims = 1


class CircularPad2d(_CircularPadNd):
    """Pads the last two dimensions as on a circle, ``y[-i] = x[n - i]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); negative numbers crop.

    Shape:
        (N, C, H, W) or (C, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is larger than the size.
        ValueError: another number of dimensions.
    """

    dims = 2


class CircularPad3d(_CircularPadNd):
    """Pads the last three dimensions as on a circle, ``y[-i] = x[n - i]``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); negative numbers crop.

    Shape:
        (N, C, D, H, W) or (C, D, H, W), floating point; every padded size grows by the sum of its two sides.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError: another number of dimensions, or the padding is larger than the size.
        ValueError: another number of dimensions.
    """

    dims = 3
