"""Transposed convolution layers."""

from ...ops import conv_transpose as ops
from .conv import KERNELS, SIZES, LazyConv, _ConvNd
from .module import weight_and_bias

__all__ = [
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]  # fmt: skip


class _ConvTransposeNd(_ConvNd):
    _transposed = True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        self._setup(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self._output_padding(input, output_size)
        return self._function(
            input, *weight_and_bias(self), self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _output_padding(self, input, output_size):
        """The output padding that makes the output ``output_size``, which may have the leading sizes too."""
        nd = self._dims
        wanted = list(output_size)
        lead = input.dim() - nd
        if len(wanted) == lead + nd:
            wanted = wanted[lead:]
        if len(wanted) != nd:
            raise ValueError(
                f"{type(self).__name__}: for {input.dim()}D input, output_size must have {nd} or {lead + nd} elements "
                f"(got {len(wanted)})"
            )
        extra = []
        for i in range(nd):
            least = (input.size(i + lead) - 1) * self.stride[i] - 2 * self.padding[i]
            least += self.dilation[i] * (self.kernel_size[i] - 1) + 1
            most = least + self.stride[i] - 1
            if not least <= wanted[i] <= most:
                raise ValueError(
                    f"requested an output size of {wanted}, but dimension {i} of it must be from {least} to {most} "
                    f"(for an input of {list(input.shape[lead:])})"
                )
            extra.append(wanted[i] - least)
        return tuple(extra)


_DOC = """

    ``x[n, c, p] * weight[c, o, t]`` is added to ``y[n, o, p * stride - padding + t * dilation]``. Weight and bias start
    uniform in ``[-k, k]``, ``k = 1 / sqrt(out_channels / groups * taps)``.

    Args:
        in_channels, out_channels: channels of input and output, multiples of ``groups``.
        kernel_size, stride, padding, dilation: of the convolution, an int or a tuple of {nd}.
        output_padding: added to the output's size at the far end, smaller than stride or dilation.
        groups: channels are split into so many independent groups.
        bias: whether to add a bias.
        padding_mode: "zeros".
        device: the CPU, or None.
        dtype: of the parameters; the default dtype if None.

    Shape:
        (N, in_channels, {sizes}) or (in_channels, {sizes}) becomes (N, out_channels, ...), where a size L becomes
        ``(L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1``. ``forward`` takes an
        ``output_size`` in place of ``output_padding``.

    Attributes:
        weight: (in_channels, out_channels / groups, {kernel}).
        bias: (out_channels,) or None.

    Raises:
        ValueError: channels are not multiples of ``groups``, the padding mode is not "zeros", or no output padding
            gives the ``output_size``.
    """


def _documented(cls):
    """Appends what the three classes have in common to their docstrings."""
    nd = cls._dims
    cls.__doc__ = (cls.__doc__ or "") + _DOC.format(nd=nd, sizes=SIZES[nd - 1], kernel=KERNELS[nd - 1])
    return cls


@_documented
class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of the convolution of signals, as the gradient of Conv1d, with learned kernels."""

    _dims = 1
    _function = staticmethod(ops.conv_transpose1d)


@_documented
class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of the convolution of images, as the gradient of Conv2d, with learned kernels."""

    _dims = 2
    _function = staticmethod(ops.conv_transpose2d)


@_documented
class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of the convolution of volumes, as the gradient of Conv3d, with learned kernels."""

    _dims = 3
    _function = staticmethod(ops.conv_transpose3d)


class _LazyConvTranspose(LazyConv):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            0, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
            device, dtype,
        )  # fmt: skip


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A ConvTranspose1d that learns ``in_channels`` from its first input, and is a ConvTranspose1d from then on.

    Args:
        out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype:
            as of :class:`ConvTranspose1d`.

    Shape:
        as of :class:`ConvTranspose1d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`ConvTranspose1d`.
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A ConvTranspose2d that learns ``in_channels`` from its first input, and is a ConvTranspose2d from then on.

    Args:
        out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype:
            as of :class:`ConvTranspose2d`.

    Shape:
        as of :class:`ConvTranspose2d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`ConvTranspose2d`.
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A ConvTranspose3d that learns ``in_channels`` from its first input, and is a ConvTranspose3d from then on.

    Args:
        out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype:
            as of :class:`ConvTranspose3d`.

    Shape:
        as of :class:`ConvTranspose3d`.

    Raises:
        TypeError: the input is not a tensor.
        RuntimeError, ValueError: as of :class:`ConvTranspose3d`.
    """

    cls_to_become = ConvTranspose3d
