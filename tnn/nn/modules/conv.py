"""Convolution layers."""

import math

from ...ops import conv as ops
from ...ops import creation
from ...ops.padding import pad
from .. import init
from ..parameter import Parameter, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module, weight_and_bias

__all__ = ["Conv1d", "Conv2d", "Conv3d", "LazyConv1d", "LazyConv2d", "LazyConv3d"]


def several(value, n):
    """``n`` numbers from one, or a tuple of those given."""
    return tuple(value) if isinstance(value, list | tuple) else (value,) * n


class _ConvNd(Module):
    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "output_padding", "in_channels", "out_channels",
        "kernel_size",
    ]  # fmt: skip

    _dims: int
    _transposed = False

    def _setup(
        self, in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
        padding_mode, device, dtype,
    ):  # fmt: skip
        nd = self._dims
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        if in_channels % groups:
            raise ValueError(f"in_channels must be divisible by groups, got {in_channels} and {groups}")
        if out_channels % groups:
            raise ValueError(f"out_channels must be divisible by groups, got {out_channels} and {groups}")
        modes = ("zeros",) if self._transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            if self._transposed:
                name = type(self).__name__
                raise ValueError(f'Only "zeros" padding mode is supported for {name}, got {padding_mode!r}')
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode={padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = several(kernel_size, nd)
        self.stride = several(stride, nd)
        self.dilation = several(dilation, nd)
        self.padding = padding if isinstance(padding, str) else several(padding, nd)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of ('same', 'valid')")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        self.transposed = self._transposed
        self.output_padding = several(output_padding, nd)
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = self._pad_argument()
        if self._transposed:
            shape = (in_channels, out_channels // groups, *self.kernel_size)
        else:
            shape = (out_channels, in_channels // groups, *self.kernel_size)
        self._make(shape, bias, device, dtype)
        self.reset_parameters()

    def _make(self, shape, bias, device, dtype):
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(self.out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)

    def _pad_argument(self):
        """The padding as ``pad`` takes it: in front and behind, the last dimension first."""
        if self.padding == "valid":
            return [0] * (2 * self._dims)
        if self.padding == "same":
            both = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [p for b in reversed(both) for p in (b // 2, b - b // 2)]
        return [p for q in reversed(self.padding) for p in (q, q)]

    def reset_parameters(self):
        """Draws new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def forward(self, input):
        return self._conv_forward(input, *weight_and_bias(self))

    def _conv_forward(self, input, weight, bias):
        if self.padding_mode == "zeros":
            return self._function(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        input = pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return self._function(input, weight, bias, self.stride, 0, self.dilation, self.groups)

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")

    def extra_repr(self):
        s = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        nothing = (0,) * self._dims
        if self.padding != nothing:
            s += f", padding={self.padding}"
        if self.dilation != (1,) * self._dims:
            s += f", dilation={self.dilation}"
        if self.output_padding != nothing:
            s += f", output_padding={self.output_padding}"
        if self.groups != 1:
            s += f", groups={self.groups}"
        if self.bias is None:
            s += ", bias=False"
        if self.padding_mode != "zeros":
            s += f", padding_mode={self.padding_mode}"
        return s


SIZES = ("L", "H, W", "D, H, W")
KERNELS = ("K", "KH, KW", "KD, KH, KW")
_DOC = """

    ``y[n, o] = bias[o] + sum_c corr(weight[o, c], x[n, c])``, c over the input channels of o's group. Weight and bias
    start uniform in ``[-k, k]``, ``k = 1 / sqrt(in_channels / groups * taps)``.

    Args:
        in_channels, out_channels: channels of input and output, multiples of ``groups``.
        kernel_size, stride, dilation: an int or a tuple of {nd}.
        padding: an int, a tuple of {nd}, "valid" (none) or "same" (the output has the input's size; stride 1 only).
        groups: channels are split into so many independent groups.
        bias: whether to add a bias.
        padding_mode: what stands outside: "zeros", "reflect", "replicate" or "circular".
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        (N, in_channels, {sizes}) or (in_channels, {sizes}) becomes (N, out_channels, ...), where a size L becomes
        ``floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``.

    Attributes:
        weight: (out_channels, in_channels / groups, {kernel}).
        bias: (out_channels,) or None.

    Raises:
        ValueError: channels are not multiples of ``groups``, or a padding is unknown or does not go with the stride.
    """


def _documented(cls):
    """Appends what the three classes have in common to their docstrings."""
    nd = cls._dims
    cls.__doc__ = (cls.__doc__ or "") + _DOC.format(nd=nd, sizes=SIZES[nd - 1], kernel=KERNELS[nd - 1])
    return cls


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip


@_documented
class Conv1d(_Conv):
    """Cross-correlation of signals with learned kernels."""

    _dims = 1
    _function = staticmethod(ops.conv1d)


@_documented
class Conv2d(_Conv):
    """Cross-correlation of images with learned kernels."""

    _dims = 2
    _function = staticmethod(ops.conv2d)


@_documented
class Conv3d(_Conv):
    """Cross-correlation of volumes with learned kernels."""

    _dims = 3
    _function = staticmethod(ops.conv3d)


class LazyConv(LazyModuleMixin):
    """What the lazy forms of all convolutions share: ``in_channels`` is the first input's."""

    def _make(self, shape, bias, device, dtype):
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)
        else:
            self.register_parameter("bias", None)

    def reset_parameters(self):
        """Draws new initial values, once the sizes are known."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs):
        """Gives the parameters their shapes."""
        if not self.has_uninitialized_params():
            return
        nd = self._dims
        if input.dim() not in (nd + 1, nd + 2):
            raise RuntimeError(
                f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {type(self).__name__}, but got input "
                f"of size: {list(input.shape)}"
            )
        self.in_channels = input.shape[-nd - 1]
        if self.in_channels % self.groups:
            raise ValueError(f"in_channels must be divisible by groups, got {self.in_channels} and {self.groups}")
        a, b = self.out_channels, self.in_channels
        if self.transposed:
            a, b = b, a
        self.weight.materialize((a, b // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(LazyConv):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            0, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )


class LazyConv1d(_LazyConv, Conv1d):
    """A Conv1d that learns ``in_channels`` from its first input, and is a Conv1d from then on.

    Args:
        out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype: as of
            :class:`Conv1d`.

    Shape:
        as of :class:`Conv1d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`Conv1d`.
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A Conv2d that learns ``in_channels`` from its first input, and is a Conv2d from then on.

    Args:
        out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype: as of
            :class:`Conv2d`.

    Shape:
        as of :class:`Conv2d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`Conv2d`.
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A Conv3d that learns ``in_channels`` from its first input, and is a Conv3d from then on.

    Args:
        out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype: as of
            :class:`Conv3d`.

    Shape:
        as of :class:`Conv3d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`Conv3d`.
    """

    cls_to_become = Conv3d
