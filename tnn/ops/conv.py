"""Convolutions in one, two and three dimensions.

Three operations are each other's derivatives, all bilinear, with one geometry: ``convolve(x, w)`` gives y,
``convolve_transposed(y, w)`` gives x, ``correlate(x, y)`` gives w. So backward is written with them, and differentiable
any number of times.
"""

import functools

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..dtypes import int64
from ..kernels import conv as kernels
from ..kernels import conv_depthwise as depthwise
from ..kernels import conv_direct as direct
from ..kernels import conv_direct_weight as direct_weight
from ..kernels import conv_grouped as grouped
from ..kernels import conv_lanes as lanes
from ..kernels import conv_patches as patches
from ..kernels import conv_subpixel as subpixel
from ..kernels import conv_winograd as winograd
from ..kernels import conv_winograd_nested as nested
from ..kernels import conv_winograd_weight as winograd_weight
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import check_floating, check_tensor, dense, half_as_float32, in_float64


def _first(modules, name, numbers, otherwise=None, geometry="geometry"):
    """The kernel of this name from the first module that takes these numbers, with its geometry."""
    for module in modules:
        if (geo := getattr(module, geometry)(*numbers)) is not None:
            return getattr(module, name), geo
    return otherwise


class Plan:
    """A checked convolution: the shapes of x, w and y, and the kernels' geometry."""

    __slots__ = ("x", "w", "y", "geo", "kernels", "forward", "mirror", "input", "weight")

    def __init__(self, x, w, y, stride, padding, dilation, groups):
        self.x, self.w, self.y = x, w, y
        lead = 5 - len(x)
        ones, zeros = (1,) * lead, (0,) * lead
        numbers = (
            x[0], x[1], ones + x[2:], w[0], ones + y[2:], ones + w[2:], ones + stride, ones + dilation, zeros + padding,
            groups,
        )  # fmt: skip
        self.geo = kernels.geometry(*numbers)
        self.kernels = depthwise if depthwise.suits(self.geo) else kernels
        if lanes.suits(self.geo):
            self.kernels = lanes
        weight = depthwise if self.kernels is kernels and depthwise.suits_weight(self.geo) else self.kernels
        own = self.kernels.conv_forward, weight.conv_backward_weight, self.kernels.conv_backward_input
        self.forward = _first((patches, grouped, winograd, nested, direct), "conv_forward", numbers, (own[0], self.geo))
        weights = grouped, winograd_weight, direct_weight
        self.weight = _first(weights, "conv_backward_weight", numbers, (own[1], self.geo))
        self.input = _first((subpixel,), "conv_backward_input", numbers, (own[2], self.geo))
        # The input gradient as a convolution, if there is one.
        self.mirror = _first((grouped, winograd, nested, direct), "conv_forward", numbers, geometry="mirror")
        if self.mirror is None and (self.kernels is kernels or depthwise.mirrors(self.geo)):
            geo = kernels.mirror(*numbers)
            if geo is not None and (self.kernels is not lanes or lanes.suits(geo)):
                self.mirror = (self.kernels.conv_forward, geo)


plan = functools.lru_cache(4096)(Plan)
_NONE = {np.dtype(t): np.zeros(1, t) for t in (np.float32, np.float64)}


class Convolution(Node):
    __slots__ = ("plan",)

    def backward(self, grad):
        x, w = self.saved_tensors()
        gx = convolve_transposed(grad, w, None, self.plan) if self.needs(0) else None
        gw = correlate(x, grad, self.plan) if self.needs(1) else None
        return (gx, gw, _sum_channels(grad) if self.needs(2) else None) if len(self.next) == 3 else (gx, gw)


def _sum_channels(grad):
    return grad.sum((0, *range(2, grad._data.ndim)))


def _record(kind, out, inputs, bias, p):
    a, b = inputs
    node = kind(a, b) if bias is None else kind(a, b, bias)
    node.plan = p
    node.attach(out)
    node.save(a if b._rg else None, b if a._rg else None)


def convolve(x, w, bias, p):
    """y of plan ``p`` from tensors of its shapes; ``bias`` may be None."""
    dx, dw = dense(x), dense(w)
    y = empty(p.y, dx.dtype)
    if y.size:
        b, flags = (_NONE[dx.dtype], 0) if bias is None else (dense(bias), 2)
        kernel, geo = p.forward
        kernel(dx.reshape(-1), dw.reshape(-1), b, y.reshape(-1), geo, flags)
    out = wrap(y)
    if mode.grad and (x._rg or w._rg or (bias is not None and bias._rg)):
        _record(Convolution, out, (x, w), bias, p)
    return out


class ConvolutionTransposed(Node):
    __slots__ = ("plan",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "ConvolutionBackward0"

    def backward(self, grad):
        y, w = self.saved_tensors()
        gy = convolve(grad, w, None, self.plan) if self.needs(0) else None
        gw = correlate(grad, y, self.plan) if self.needs(1) else None
        return (gy, gw, _sum_channels(grad) if self.needs(2) else None) if len(self.next) == 3 else (gy, gw)


def convolve_transposed(y, w, bias, p):
    """x of plan ``p``: the gradient of ``convolve`` with respect to x, plus ``bias`` or None."""
    dy, dw = dense(y), dense(w)
    x = empty(p.x, dy.dtype)
    if x.size:
        b, flag = (_NONE[dy.dtype], 0) if bias is None else (dense(bias), 1)
        if p.mirror is not None and dy.size:
            kernel, geo = p.mirror
            kernel(dy.reshape(-1), dw.reshape(-1), b, x.reshape(-1), geo, 16 + 2 * flag)
        else:
            kernel, geo = p.input
            kernel(dy.reshape(-1), dw.reshape(-1), b, x.reshape(-1), geo, flag)
    out = wrap(x)
    if mode.grad and (y._rg or w._rg or (bias is not None and bias._rg)):
        _record(ConvolutionTransposed, out, (y, w), bias, p)
    return out


class Correlation(Node):
    __slots__ = ("plan",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "ConvolutionBackwardBackward0"

    def backward(self, grad):
        x, y = self.saved_tensors()
        gx = convolve_transposed(y, grad, None, self.plan) if self.needs(0) else None
        gy = convolve(x, grad, None, self.plan) if self.needs(1) else None
        return gx, gy


def correlate(x, y, p):
    """w of plan ``p``: the gradient of ``convolve`` with respect to w, for an output gradient ``y``."""
    dx, dy = dense(x), dense(y)
    w = empty(p.w, dx.dtype)
    if w.size:
        kernel, geo = p.weight
        kernel(dx.reshape(-1), dy.reshape(-1), w.reshape(-1), geo)
    out = wrap(w)
    if mode.grad and (x._rg or y._rg):
        _record(Correlation, out, (x, y), None, p)
    return out


# ---------------------------------------------------------------- checks


def ints(function, argument, value, n):
    """A tuple of ``n`` ints from an int or a sequence of 1 or ``n`` ints.

    Raises:
        TypeError: the value is neither.
        RuntimeError: the sequence has another length.
    """
    if type(value) is int:
        return (value,) * n
    if type(value) is tuple and len(value) == n and n < 4:
        # Without a loop: 0.1 us where a generator takes 0.7, four times a call.
        if type(value[0]) is int and type(value[-1]) is int and type(value[n // 2]) is int:
            return value
    try:
        many = isinstance(value, list | tuple)
        out = tuple(v.__index__() for v in (value if many else (value,)))
    except (TypeError, AttributeError):
        raise TypeError(f"{function}(): argument '{argument}' must be tuple of ints, not {value!r}") from None
    if len(out) == 1:
        return out * n
    if len(out) != n:
        raise RuntimeError(
            f"{function}: expected {argument} to be a single integer value or a list of {n} values to match the "
            f"convolution dimensions, but got {argument}={list(out)}"
        )
    return out


def check_operands(function, nd, input, weight, bias):
    """Checks types, dtypes and ranks that all convolutions share; returns whether the input is a batch."""
    check_tensor(function, "input", input, 1)
    check_tensor(function, "weight", weight, 2)
    if bias is not None:
        check_tensor(function, "bias", bias, 3)
    x, w = input._data, weight._data
    if w.ndim != nd + 2 or x.ndim not in (nd + 1, nd + 2):
        if w.ndim == nd + 2:
            raise RuntimeError(
                f"Expected {nd + 1}D (unbatched) or {nd + 2}D (batched) input to {function}, but got input of size: "
                f"{list(x.shape)}"
            )
        raise RuntimeError(
            f"{function}: expected weight to have {nd + 2} dimensions, but got weight of size {list(w.shape)}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._data.dtype != x.dtype:
            raise RuntimeError(f"Input type ({input.dtype}) and {name} type ({t.dtype}) should be the same")
    check_floating(function, input)
    return x.ndim == nd + 2


def check_numbers(stride, padding, dilation, groups):
    """Raises RuntimeError for a stride, padding, dilation or number of groups out of range."""
    if not isinstance(groups, int) or isinstance(groups, bool):
        raise TypeError(f"argument 'groups' must be int, not {type(groups).__name__}")
    if groups <= 0:
        raise RuntimeError(f"non-positive groups is not supported, got groups={groups}")
    if min(stride) <= 0:
        raise RuntimeError(f"non-positive stride is not supported, got stride={list(stride)}")
    if min(padding) < 0:
        raise RuntimeError(f"negative padding is not supported, got padding={list(padding)}")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, got dilation={list(dilation)}")


def check_bias(weight, bias, channels):
    """Raises RuntimeError unless bias is None or (channels,)."""
    if bias is not None and bias._data.shape != (channels,):
        raise RuntimeError(
            f"Given weight of size {list(weight._data.shape)}, expected bias to be 1-dimensional with {channels} "
            f"elements, but got bias of size {list(bias._data.shape)} instead"
        )


def _paddings(function, padding, nd, kernel, stride, dilation):
    """(padding in front, padding in front and behind) for numbers, 'valid' and 'same'."""
    if not isinstance(padding, str):
        front = ints(function, "padding", padding, nd)
        return front, tuple(2 * p for p in front)
    if padding == "valid":
        return (0,) * nd, (0,) * nd
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}': expected 'valid' or 'same'")
    if max(stride) > 1:
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    both = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    return tuple(b // 2 for b in both), both


@functools.lru_cache(4096)
def _conv_plan(function, nd, xs, ws, stride, padding, dilation, groups):
    """The plan for checked types; what is asked once for some sizes is not asked again."""
    kernel = ws[2:]
    front, both = _paddings(function, padding, nd, kernel, stride, dilation)
    check_numbers(stride, front, dilation, groups)
    if ws[0] < groups or ws[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size {list(ws)} instead"
        )
    if xs[1] != ws[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(ws)}, expected input{list(xs)} to have {ws[1] * groups} "
            f"channels, but got {xs[1]} channels instead"
        )
    if min(kernel) <= 0:
        raise RuntimeError(f"{function}: kernel size should be greater than zero, but got {list(kernel)}")
    out = []
    for n, k, s, b, d in zip(xs[2:], kernel, stride, both, dilation, strict=True):
        if n + b < d * (k - 1) + 1:
            padded = " x ".join(str(n + b) for n, b in zip(xs[2:], both, strict=True))
            spread = " x ".join(str(d * (k - 1) + 1) for d, k in zip(dilation, kernel, strict=True))
            raise RuntimeError(
                f"Calculated padded input size per channel: ({padded}). Kernel size: ({spread}). Kernel size can't be "
                "greater than actual input size"
            )
        out.append((n + b - d * (k - 1) - 1) // s + 1)
    return plan(xs, ws, (xs[0], ws[0], *out), stride, front, dilation, groups)


def _conv(function, nd, input, weight, bias, stride, padding, dilation, groups):
    if isinstance(input, Tensor) and input.dtype is int64:
        rest = weight, bias, stride, padding, dilation, groups
        return in_float64(functools.partial(_conv, function, nd), input, *rest)
    batched = check_operands(function, nd, input, weight, bias)
    stride = ints(function, "stride", stride, nd)
    dilation = ints(function, "dilation", dilation, nd)
    if not isinstance(padding, str):
        padding = ints(function, "padding", padding, nd)
    if type(groups) is not int:
        check_numbers(stride, stride, dilation, groups)
        groups = int(groups)
    xs, ws = input._data.shape, weight._data.shape
    p = _conv_plan(function, nd, xs if batched else (1, *xs), ws, stride, padding, dilation, groups)
    check_bias(weight, bias, ws[0])
    if batched:
        return convolve(input, weight, bias, p)
    return convolve(input.unsqueeze(0), weight, bias, p).squeeze(0)


_DOC = """

    ``y[n, o] = bias[o] + sum_c corr(weight[o, c], input[n, c])``, c over the input channels of o's group.

    Args:
        input: (N, C, {sizes}) or (C, {sizes}).
        weight: (O, C / groups, {kernel}).
        bias: (O,) or None.
        stride, padding, dilation: an int or a tuple of {nd}. Padding may be "valid" (none) or "same" (the output has
            the input's size; stride 1 only, and an odd number of zeros puts the extra one behind).
        groups: input and output channels are split into so many independent groups.

    Shape:
        a size L becomes ``floor((L + 2 padding - dilation (kernel - 1) - 1) / stride + 1)``.

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
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of a signal with a kernel."""
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@_documented(2, "H, W", "KH, KW")
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of an image with a kernel."""
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@_documented(3, "D, H, W", "KD, KH, KW")
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of a volume with a kernel."""
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_tbc(input, weight, bias, pad=0):
    """One-dimensional convolution of (time, batch, channels) with a weight (kernel, in, out) and a bias (out,).

    Args:
        input: (T, N, C), floating point.
        weight: (K, C, C_out), of the input's dtype.
        bias: (C_out,).
        pad: zeros at both ends.

    Shape:
        output (T + 2 pad - K + 1, N, C_out).

    Raises:
        TypeError: an argument is not a tensor.
        RuntimeError: shapes or dtypes do not fit.
    """
    for argument, t in (("input", input), ("weight", weight)):
        check_tensor("conv_tbc", argument, t)
        if t._data.ndim != 3:
            raise RuntimeError(f"conv_tbc: expected {argument} with 3 dimensions, got shape {list(t._data.shape)}")
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad).permute(2, 0, 1)
