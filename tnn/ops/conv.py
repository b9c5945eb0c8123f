"""Convolutions in one, two and three dimensions.

Three operations are each other's derivatives, all bilinear, with one geometry: ``convolve(x, w)`` gives y,
``convolve_transposed(y, w)`` gives x, ``correlate(x, y)`` gives w. So backward is written with them, and differentiable
any number of times.
"""

import functools
import math

import numpy as np

from ..autograd.autocast import active
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..dtypes import int64
from ..kernels import _planned as planned
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
from ..kernels._small_products import CHANNEL_SUMS
from ..tensor import Tensor, wrap
from ._common import F32, F64, check_floating, check_tensor, half_as_float32, in_float64, row_major


def _first(modules, name, numbers, otherwise=None, geometry="geometry"):
    """The kernel of this name from the first module that takes these numbers, with its geometry."""
    for module in modules:
        if (geo := getattr(module, geometry)(*numbers)) is not None:
            return getattr(module, name), geo
    return otherwise


class Plan:
    """A checked convolution: the shapes of x, w and y, and the kernels' geometry."""

    __slots__ = ("x", "w", "y", "geo", "kernels", "forward", "mirror", "input", "weight", "entry")

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
        # What the entry is given for each of the three operations, of float32 and then of float64.
        self.entry = [None] * 6

    def _of(self, operation):
        """The shape of an operation's result, its kernel, the geometry, and the modes without and with a bias."""
        if operation == _FORWARD:
            return self.y, *self.forward, (0, 2)
        if operation == _WEIGHT:
            return self.w, *self.weight, None
        if self.mirror is not None and math.prod(self.y):
            return self.x, *self.mirror, (16, 18)
        return self.x, *self.input, (0, 1)

    def run(self, operation, a, b, bias):
        """The result of an operation on tensors, an ndarray; bias may be None."""
        a, b = a._data, b._data
        dtype = a.dtype
        at = operation if dtype is F32 else operation + 3
        ready = self.entry[at]
        if ready is not None:
            out = planned.PLANNED.call(a, b, None if bias is None else bias._data, *ready)
            if out is not None:
                return out
        shape, kernel, geo, modes = self._of(operation)
        a, b = _flat(a), _flat(b)
        out = empty(shape, dtype)
        if not out.size:
            return out
        if modes is None:
            kernel(a, b, out.reshape(-1), geo)
        else:
            third = _NONE[dtype] if bias is None else _flat(bias._data)
            kernel(a, b, third, out.reshape(-1), geo, modes[bias is not None])
        if ready is None and a.size and b.size and (dtype is F32 or dtype is F64):
            order, sizes = planned.TWO if modes is None else planned.BIASED, (a.size, b.size, shape[1])
            self.entry[at] = planned.plan_for(kernel, order, (dtype, dtype), sizes, shape, geo, *(modes or ()))
        return out


_FORWARD, _INPUT, _WEIGHT = range(3)


def _flat(d):
    """The elements of an ndarray in one dimension."""
    return (d if d.flags.c_contiguous else row_major(d)).reshape(-1)


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
    if not mode.grad:
        sums = CHANNEL_SUMS.call(grad._data)
        if sums is not None:
            return wrap(sums)
        CHANNEL_SUMS.prepare(grad._data.dtype)
    return grad.sum((0, *range(2, grad._data.ndim)))


def _record(kind, out, inputs, bias, p):
    a, b = inputs
    node = kind(a, b) if bias is None else kind(a, b, bias)
    node.plan = p
    node.attach(out)
    node.save(a if b._rg else None, b if a._rg else None)


def convolve(x, w, bias, p):
    """y of plan ``p`` from tensors of its shapes; ``bias`` may be None."""
    out = wrap(p.run(_FORWARD, x, w, bias))
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
    out = wrap(p.run(_INPUT, y, w, bias))
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
    out = wrap(p.run(_WEIGHT, x, y, None))
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


def _of_one_float(input, weight, bias):
    """Whether these are tensors of float32 or of float64, the bias perhaps None."""
    if not (isinstance(input, Tensor) and isinstance(weight, Tensor)):
        return False
    dtype = input._data.dtype
    if (dtype is not F32 and dtype is not F64) or weight._data.dtype is not dtype:
        return False
    return bias is None or (isinstance(bias, Tensor) and bias._data.dtype is dtype)


def _documented(nd, sizes, kernel):
    """Appends what the three functions have in common to their docstrings, and gives them a short way."""

    def decorate(fn):
        name, rank = fn.__name__, nd + 2
        fn.__doc__ = (fn.__doc__ or "") + _DOC.format(nd=nd, sizes=sizes, kernel=kernel)
        general = half_as_float32(autocast="lower", alike=True)(fn)

        @functools.wraps(fn)
        def op(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
            # What a layer asks for: 8.1 us by the general way with its checks of each argument, 3.3 by this one.
            if not active.n and type(groups) is int and _of_one_float(input, weight, bias):
                xs, ws = input._data.shape, weight._data.shape
                if len(xs) == len(ws) == rank and (bias is None or bias._data.shape == ws[:1]):
                    if type(padding) is not str:
                        padding = ints(name, "padding", padding, nd)
                    stride, dilation = ints(name, "stride", stride, nd), ints(name, "dilation", dilation, nd)
                    p = _conv_plan(name, nd, xs, ws, stride, padding, dilation, groups)
                    return convolve(input, weight, bias, p)
            return general(input, weight, bias, stride, padding, dilation, groups)

        return op

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
