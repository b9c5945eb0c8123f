"""Transposed convolutions in one, two and three dimensions: the gradient of a convolution as an operation."""

from functools import lru_cache, partial

from ..dtypes import int64
from ..tensor import Tensor
from ._common import half_as_float32, in_float64
from .conv import check_bias, check_numbers, check_operands, convolve_transposed, ints, plan


@lru_cache(4096)
def _transposed_plan(ys, ws, stride, padding, extra, groups, dilation):
    """The plan for checked types; what is asked once for some sizes is not asked again."""
    check_numbers(stride, padding, dilation, groups)
    if min(extra) < 0:
        raise RuntimeError(f"negative output_padding is not supported, got output_padding={list(extra)}")
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={list(extra)}, "
            f"stride={list(stride)}, dilation={list(dilation)}"
        )
    if ys[1] != ws[0] or ws[0] % groups:
        raise RuntimeError(
            f"Given transposed=True, groups={groups}, weight of size {list(ws)}, expected input{list(ys)} to have "
            f"{ws[0]} channels, divisible by groups, but got {ys[1]} channels instead"
        )
    out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(ys[2:], stride, padding, dilation, ws[2:], extra, strict=True)
    )
    if min(ys[2:]) < 1 or min(out) < 1 or min(ws[2:]) < 1:
        raise RuntimeError(
            f"Given input size per channel: {list(ys[2:])}. Calculated output size per channel: {list(out)}. "
            "Output size is too small"
        )
    return plan((ys[0], ws[1] * groups, *out), ws, ys, stride, padding, dilation, groups)


def _conv_transpose(function, nd, input, weight, bias, stride, padding, output_padding, groups, dilation):
    if isinstance(input, Tensor) and input.dtype is int64:
        rest = weight, bias, stride, padding, output_padding, groups, dilation
        return in_float64(partial(_conv_transpose, function, nd), input, *rest)
    batched = check_operands(function, nd, input, weight, bias)
    stride = ints(function, "stride", stride, nd)
    padding = ints(function, "padding", padding, nd)
    extra = ints(function, "output_padding", output_padding, nd)
    dilation = ints(function, "dilation", dilation, nd)
    if type(groups) is not int:
        check_numbers(stride, padding, dilation, groups)
        groups = int(groups)
    ys, ws = input._data.shape, weight._data.shape
    p = _transposed_plan(ys if batched else (1, *ys), ws, stride, padding, extra, groups, dilation)
    check_bias(weight, bias, p.x[1])
    if batched:
        return convolve_transposed(input, weight, bias, p)
    return convolve_transposed(input.unsqueeze(0), weight, bias, p).squeeze(0)


_DOC = """

    ``input[n, c, p] * weight[c, o, t]`` is added to ``y[n, o, p * stride - padding + t * dilation]``.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        weight: (C, O / groups, {kernel}).
        bias: (O,) or None.
        stride, padding, output_padding, dilation: an int or a tuple of {nd}; output_padding makes the output larger at
            the far end and is smaller than stride or dilation.
        groups: input and output channels are split into so many independent groups.

    Shape:
        a size L becomes ``(L - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1``.

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit; the message names them.
    """


def _documented(nd, sizes, kernel):
    """Appends what the three functions have in common to their docstrings."""

    def decorate(fn):
        fn.__doc__ = (fn.__doc__ or "") + _DOC.format(nd=nd, sizes=sizes, kernel=kernel)
        return half_as_float32(autocast="lower", alike=True)(fn)

    return decorate


@_documented(1, "L", "K")
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of a signal's convolution, as the gradient of conv1d, plus a bias."""
    args = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose("conv_transpose1d", 1, input, weight, bias, *args)


@_documented(2, "H, W", "KH, KW")
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of a image's convolution, as the gradient of conv2d, plus a bias."""
    args = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose("conv_transpose2d", 2, input, weight, bias, *args)


@_documented(3, "D, H, W", "KD, KH, KW")
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of a volume's convolution, as the gradient of conv3d, plus a bias."""
    args = (stride, padding, output_padding, groups, dilation)
    return _conv_transpose("conv_transpose3d", 3, input, weight, bias, *args)
