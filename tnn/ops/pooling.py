"""Pooling over fixed windows, and its inverse: max, average, power average, unpooling."""

import functools
import math

import numpy as np

from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..dtypes import int64
from ..kernels import _planned as planned
from ..kernels import pooling as kernels
from ..kernels import pooling_pixels as pixels
from ..kernels._pool import empty
from ..kernels.adaptive_pooling import windows_max_forward
from ..kernels.conv_slab import geometry
from ..tensor import Tensor, wrap
from ._common import F32, F64, check_floating, check_tensor, dense, half_as_float32, in_float64, row_major
from ._pixels import COLUMNS, ahead, behind, gradient_in_pixels, in_pixels


def tuple_of(function, argument, value, n):
    """A tuple of ``n`` ints from an int or a sequence of 1 or ``n`` ints.

    Raises:
        RuntimeError: the sequence has another length.
        TypeError: the value is neither an int nor a sequence of ints.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return (int(value),) * n
    try:
        if isinstance(value, str):
            raise TypeError
        out = tuple(int(v) for v in value if v == int(v))
        length = len(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{function}(): argument '{argument}' must be an int or a tuple of {n} ints, got {value!r}"
        ) from None
    if length == 1 and n > 1:
        return out * n
    if length != n or len(out) != n:
        raise RuntimeError(f"{function}: {argument} must either be a single int, or a tuple of {n} ints, got {value!r}")
    return out


def output_size(n, k, s, p, d, ceil_mode):
    """The number of windows along one dimension: ``floor((n + 2p - d(k-1) - 1) / s) + 1``, or with ceil; a last window
    that starts in the far padding is left out."""
    span = n + 2 * p - d * (k - 1) - 1
    out = (-(-span // s) if ceil_mode else span // s) + 1
    if ceil_mode and (out - 1) * s >= n + p:
        out -= 1
    return out


class Window:
    """A checked window: the geometry of a plane for the kernels, the sizes before and after, and the window's own.

    ``bounds``: the windows' first and last-plus-one inputs where windows are 3 and more apart in several dimensions,
    else None. There a slab is in the way of a plane's few outputs (the maximum of 3 x 3 of 8 x 32 images of 14 x 14:
    114 us with it, 40 without).
    """

    __slots__ = ("geo", "size", "out", "taps", "bounds", "numbers", "tables", "entry", "plane", "signal")

    def __init__(self, function, size, kernel_size, stride, padding, dilation, ceil_mode):
        nd = len(size)
        k = tuple_of(function, "kernel_size", kernel_size, nd)
        empty_stride = stride is None or (isinstance(stride, list | tuple) and not stride)
        s = k if empty_stride else tuple_of(function, "stride", stride, nd)
        p = tuple_of(function, "padding", padding, nd)
        d = tuple_of(function, "dilation", dilation, nd)
        if min(k) <= 0:
            raise RuntimeError(f"{function}: kernel_size must be greater than zero, but got {list(k)}")
        if min(s) <= 0:
            raise RuntimeError(f"{function}: stride must be greater than zero, but got {list(s)}")
        if min(d) <= 0:
            raise RuntimeError(f"{function}: dilation must be greater than zero, but got {list(d)}")
        if min(p) < 0:
            raise RuntimeError(f"{function}: padding must be non-negative, but got {list(p)}")
        for ki, pi, di in zip(k, p, d, strict=True):
            if pi > ((ki - 1) * di + 1) // 2:
                raise RuntimeError(
                    f"{function}: pad should be at most half of effective kernel size, but got "
                    f"pad={pi}, kernel_size={ki} "
                    f"and dilation={di}"
                )
        self.size = size
        self.out = tuple(output_size(*args, ceil_mode) for args in zip(self.size, k, s, p, d, strict=True))
        if min(self.out) < 1:
            raise RuntimeError(
                f"{function}: given input size {list(self.size)}, calculated output size "
                f"{list(self.out)}: output size is too small"
            )
        n, m, k, s, d = ((1,) * (3 - nd) + v for v in (self.size, self.out, k, s, d))
        p = (0,) * (3 - nd) + p
        self.geo = geometry(1, 1, n, 1, m, k, s, d, p, 1)
        self.numbers, self.tables = (n, m, k, s, p, d), {}
        self.taps = math.prod(k)
        # A plane's elements if planes may be turned: there is a faster way for 2 x 2 blocks, and for maxima of signals.
        blocks = nd == 2 and k == s == (1, 2, 2) and p == (0, 0, 0) and 2 * m[2] <= n[2] and 2 * m[1] <= n[1]
        self.plane = math.prod(n) if not blocks and n[2] <= COLUMNS else 0
        self.signal = nd == 1 and s[2] <= 4
        self.entry = {}  # what the entry is given, by kernel, dtype and numbers
        self.bounds = None
        if nd > 1 and max(s) > 2 and max(d) == 1:
            first = [np.arange(b) * c - e for b, c, e in zip(m, s, p, strict=True)]
            self.bounds = np.zeros((1, 3, max(m)), np.int64), np.zeros((1, 3, max(m)), np.int64)
            for j, (begin, count, length) in enumerate(zip(first, k, n, strict=True)):
                self.bounds[0][0, j, : begin.size] = np.maximum(begin, 0)
                self.bounds[1][0, j, : begin.size] = np.minimum(begin + count, length)

    def pixels(self, include_pad=True, divisor=0):
        """The tables of ``kernels.pooling_pixels``."""
        found = self.tables.get((include_pad, divisor))
        if found is None:
            found = self.tables[include_pad, divisor] = pixels.window_taps(*self.numbers, include_pad, divisor)
        return found

    def turns(self, x):
        """Whether the planes of an ndarray are better turned: see ``kernels.pooling_pixels``."""
        return self.plane > 0 and pixels.turns(self.plane, x.size, x.itemsize)

    def run(self, kernel, order, x, other, shape, p=0, q=0):
        """The result of a kernel for ndarrays x and, unless it is None, other; of the shape."""
        key = kernel, x.dtype is F32, p, q
        ready = self.entry.get(key)
        if ready is not None:
            y = planned.PLANNED.call(x, other, None, *ready)
            if y is not None:
                return y
        if not x.flags.c_contiguous:
            x = row_major(x)
        y = empty(shape, x.dtype)
        if not y.size:
            return y
        a, to = x.reshape(-1), y.reshape(-1)
        if order == planned.ONE:
            kernel(a, to, self.geo, bool(p), q)
        elif order == planned.TWO:
            kernel(a, other.reshape(-1), to, self.geo)
        else:
            kernel(a, to, other.reshape(-1), self.geo)
        if ready is None and (x.dtype is F32 or x.dtype is F64):
            operands = (x,) if other is None else (x, other)
            dtypes, sizes = tuple([d.dtype for d in operands]), tuple([d.size for d in operands])
            self.entry[key] = planned.plan_for(kernel, order, dtypes, sizes, shape, self.geo, p, q)
        return y


@functools.lru_cache(1024, typed=True)
def _kept_window(function, nd, shape, *rest):
    return Window(function, check_shape(function, shape, nd), *rest)


def _window(function, nd, input, *rest):
    """A window for an input, made once for each shape and arguments: checks take as long as pooling 8 x 8 images."""
    if type(input) is not Tensor or input._data.dtype not in (F32, F64):
        check_tensor(function, "input", input, 1)
        check_floating(function, input)
    try:
        return _kept_window(function, nd, input._data.shape, *rest)
    except TypeError:  # a list
        return _kept_window.__wrapped__(function, nd, input._data.shape, *rest)


def as_planes(data, size):
    """A C-contiguous ndarray whose last dimensions are ``size`` as (planes, D, H, W)."""
    return data.reshape(_planes_shape(data.shape, tuple(size)))


@functools.lru_cache(1024)
def _planes_shape(shape, size):
    n = math.prod(size)
    return (math.prod(shape) // n if n else 0,) + (1,) * (3 - len(size)) + size


def check_planes(function, input, nd):
    """The spatial sizes of an input (N, C, ...) or (C, ...); checks dtype, rank and that only the
    batch may be empty."""
    check_tensor(function, "input", input, 1)
    check_floating(function, input)
    return check_shape(function, input._data.shape, nd)


def check_shape(function, shape, nd):
    """The spatial sizes of the shape (N, C, ...) or (C, ...), of which only the batch may be empty."""
    if len(shape) not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"{function}: Expected {nd + 1}D or {nd + 2}D (batch mode) tensor for input, but got: {list(shape)}"
        )
    if 0 in shape[-nd:] or (len(shape) == nd + 2 and shape[1] == 0) or (len(shape) == nd + 1 and shape[0] == 0):
        raise RuntimeError(
            f"{function}: Expected {nd + 1}D or {nd + 2}D (batch mode) tensor with optional 0 dim "
            "batch size for input, "
            f"but got: {list(shape)}"
        )
    return shape[-nd:]


# What the number of a tap is kept in: a byte, unless there are more taps. Without a gradient none is kept.
_BYTE, _INT, _INT64 = np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.int64)
_NO_TAPS, NO_PLACES = np.empty(0, np.uint8), np.empty((0, 0, 0, 0), np.int64)


def pool_pixels(kind, source, size, table, tap=_NO_TAPS):
    """What ``kernels.pooling_pixels`` makes of (N, ..., C): an array (N, *size, C)."""
    n, c = source.shape[0], source.shape[-1]
    target = empty((n, *size, c), source.dtype)
    if target.size:
        pixels.pool_pixels(source.reshape(-1), target.reshape(-1), tap.reshape(-1), table, kind, n, c, 0)
    return target


def pool_turned(kind, source, shape, nd, table, tap=_NO_TAPS):
    """What ``kernels.pooling_pixels`` makes of contiguous planes of ``nd`` dimensions by turning them: an array of
    ``shape``."""
    target = empty(shape, source.dtype)
    planes, vl = math.prod(shape[:-nd]), pixels.lanes(source.itemsize)
    pixels.pool_pixels(source.reshape(-1), target.reshape(-1), tap, table, kind, -(-planes // vl), vl, planes)
    return target


def turned_taps(shape, nd, itemsize, dtype):
    """An array for the taps of ``pool_turned``."""
    planes, vl = math.prod(shape[:-nd]), pixels.lanes(itemsize)
    return empty((-(-planes // vl) * vl * math.prod(shape[-nd:]),), dtype)


def taps_of_planes(tap, shape, nd, itemsize):
    """Taps of ``pool_turned`` in the order of the planes, as an array of ``shape``."""
    count, vl = math.prod(shape[-nd:]), pixels.lanes(itemsize)
    planes = tap.reshape(-1, count, vl).transpose(0, 2, 1).reshape(-1, count)
    return planes[: math.prod(shape[:-nd])].reshape(shape)


def pool_name(nd, name):
    """The name of a pooling's node; in one dimension PyTorch pools images of one row and squeezes the result."""
    return "SqueezeBackward1" if nd == 1 else name.format(nd) + "Backward0"


# How maxima and means were taken, and their gradients are.
PLANES, PIXELS, TURNED = range(3)


class MaxPool(Node):
    __slots__ = ("window", "shape", "way")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return pool_name(len(self.window.size), "MaxPool{}DWithIndices")

    def backward(self, grad):
        (tap,) = self.saved_tensors()
        if self.window.bounds is not None and self.way == PLANES:
            return spread(grad, tap, len(self.window.size), self.shape)
        return _max_backward(grad, tap, self.window, self.shape, self.way)


class MaxPoolBackward(Node):
    __slots__ = ("window", "shape")

    def backward(self, grad):
        (tap,) = self.saved_tensors()
        w = self.window
        out = tap._data.shape
        index = _flat_index(tap, w)
        return pick(grad, wrap(index.reshape(out)), len(w.size))


def _flat_index(tap, w):
    index = np.empty(tap._data.shape, np.int64)
    kernels.flat_index(tap._data.reshape(-1), index.reshape(-1), w.geo)
    return index


def _max_backward(grad, tap, w, shape, way):
    nd = len(w.size)
    if way == TURNED:
        g = dense(grad)
        out = wrap(pool_turned(pixels.SPREAD, g, shape, nd, w.pixels().backward, tap._data))
        if grad._rg and mode.grad:
            tap = wrap(taps_of_planes(tap._data, g.shape, nd, g.itemsize))
    elif way == PIXELS:
        g = gradient_in_pixels(grad)
        out = wrap(ahead(pool_pixels(pixels.SPREAD, g, w.size, w.pixels().backward, behind(tap._data))))
    else:
        out = wrap(w.run(kernels.max_pool_backward, planned.TWO, grad._data, tap._data, shape))
    if grad._rg and mode.grad:
        node = MaxPoolBackward(grad)
        node.window, node.shape = w, shape
        node.save(tap)
        node.attach(out)
    return out


def _is_float(input):
    """Whether this is a tensor of float32 or float64."""
    return isinstance(input, Tensor) and (input._data.dtype is F32 or input._data.dtype is F64)


@half_as_float32(at=2)
def _max_pool_of_any(function, nd, input, *rest):
    if nd > 1 and isinstance(input, Tensor) and input.dtype.kind == 1:
        return in_float64(functools.partial(_max_pool_of_any, function, nd), input, *rest)
    return _max_pool_of_floats(function, nd, input, *rest)


def _max_pool(function, nd, input, *rest):
    pool = _max_pool_of_floats if _is_float(input) else _max_pool_of_any
    return pool(function, nd, input, *rest)


def _max_pool_of_floats(function, nd, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    w = _window(function, nd, input, kernel_size, stride, padding, dilation, ceil_mode)
    record = input._rg and mode.grad
    turned = in_pixels(input, nd + 2)
    x = input._data
    shape = x.shape[: x.ndim - nd] + w.out
    way = PLANES
    if turned is not None:
        kind, tap, way = pixels.TOP, _NO_TAPS, PIXELS
        if record or return_indices:
            kind = pixels.MAX
            tap = empty((x.shape[0], *w.out, x.shape[1]), _BYTE if w.taps < 255 else _INT)
        y = ahead(pool_pixels(kind, turned, w.out, w.pixels().forward, tap))
        tap = ahead(tap) if tap.size else tap
    elif w.turns(x) and not (w.signal and not record):
        kind, tap, way = pixels.TOP, _NO_TAPS, TURNED
        if record or return_indices:
            kind, tap = pixels.MAX, turned_taps(shape, nd, x.itemsize, _BYTE if w.taps < 255 else _INT)
        y = pool_turned(kind, dense(input), shape, nd, w.pixels().forward, tap)
    elif w.bounds is not None:
        x, y, wanted = dense(input), empty(shape, x.dtype), record or return_indices
        tap = empty(shape, _INT64) if wanted else NO_PLACES
        if y.size:
            places = as_planes(tap, w.out) if wanted else tap
            windows_max_forward(as_planes(x, w.size), as_planes(y, w.out), places, *w.bounds)
    else:
        tap = empty(shape, _BYTE if w.taps < 255 else _INT) if record or return_indices else _NO_TAPS
        y = w.run(kernels.max_pool_forward, planned.BETWEEN, x, tap, shape, tap is not _NO_TAPS)
    out = wrap(y)
    if not (record or return_indices):
        return out
    taps = wrap(tap)
    if record:
        node = MaxPool(input)
        node.window, node.shape, node.way = w, input._data.shape, way
        node.save(taps)
        node.attach(out)
    if return_indices:
        if way == TURNED:
            taps = wrap(taps_of_planes(tap, shape, nd, x.itemsize))
        return out, taps if w.bounds is not None and way == PLANES else wrap(_flat_index(taps, w))
    return out


class Pick(Node):
    __slots__ = ("nd", "shape")

    def backward(self, grad):
        (index,) = self.saved_tensors()
        return spread(grad, index, self.nd, self.shape)


class Spread(Node):
    __slots__ = ("nd",)

    def backward(self, grad):
        (index,) = self.saved_tensors()
        return pick(grad, index, self.nd)


def _rows(data, nd):
    n = math.prod(data.shape[data.ndim - nd :])
    return data.reshape(data.size // n if n else 0, n)


def pick(input, index, nd):
    """The elements of each plane (the last ``nd`` dimensions, flattened) at ``index``, whose values must be valid."""
    x = dense(input)
    y = empty(index._data.shape, x.dtype)
    kernels.gather_plane(_rows(x, nd), _rows(index._data, nd), _rows(y, nd))
    out = wrap(y)
    if input._rg and mode.grad:
        node = Pick(input)
        node.nd, node.shape = nd, x.shape
        node.save(index)
        node.attach(out)
    return out


def spread(grad, index, nd, shape):
    """The transpose of :func:`pick`: zeros of ``shape`` with each element added at its index in its plane."""
    g = dense(grad)
    gx = empty(shape, g.dtype)
    kernels.scatter_plane(_rows(g, nd), _rows(index._data, nd), _rows(gx, nd))
    out = wrap(gx)
    if grad._rg and mode.grad:
        node = Spread(grad)
        node.nd = nd
        node.save(index)
        node.attach(out)
    return out


class AvgPool(Node):
    __slots__ = ("window", "shape", "include_pad", "divisor", "way")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return pool_name(len(self.window.size), "AvgPool{}D")

    def backward(self, grad):
        return _avg_backward(grad, self.window, self.shape, self.include_pad, self.divisor, self.way)


class AvgPoolBackward(Node):
    __slots__ = ("window", "include_pad", "divisor")

    def backward(self, grad):
        return _avg_forward(grad, self.window, self.include_pad, self.divisor)


def _avg_backward(grad, w, shape, include_pad, divisor, way):
    if way == TURNED:
        table = w.pixels(include_pad, divisor).backward
        out = wrap(pool_turned(pixels.GIVE, dense(grad), shape, len(w.size), table))
    elif way == PIXELS:
        table = w.pixels(include_pad, divisor).backward
        out = wrap(ahead(pool_pixels(pixels.GIVE, gradient_in_pixels(grad), w.size, table)))
    else:
        out = wrap(w.run(kernels.avg_pool_backward, planned.ONE, grad._data, None, shape, include_pad, divisor))
    if grad._rg and mode.grad:
        node = AvgPoolBackward(grad)
        node.window, node.include_pad, node.divisor = w, include_pad, divisor
        node.attach(out)
    return out


def _avg_forward(input, w, include_pad, divisor):
    x, nd, way = input._data, len(w.size), PLANES
    turned = in_pixels(input, nd + 2)
    shape = x.shape[: x.ndim - nd] + w.out
    if turned is not None:
        way = PIXELS
        out = wrap(ahead(pool_pixels(pixels.MEAN, turned, w.out, w.pixels(include_pad, divisor).forward)))
    elif w.turns(x):
        way = TURNED
        out = wrap(pool_turned(pixels.MEAN, dense(input), shape, nd, w.pixels(include_pad, divisor).forward))
    else:
        out = wrap(w.run(kernels.avg_pool_forward, planned.ONE, x, None, shape, include_pad, divisor))
    if input._rg and mode.grad:
        node = AvgPool(input)
        node.window, node.shape, node.include_pad, node.divisor = w, input._data.shape, include_pad, divisor
        node.way = way
        node.attach(out)
    return out


@half_as_float32(at=2)
def _avg_pool_of_any(function, nd, input, *rest):
    if isinstance(input, Tensor) and input.dtype is int64:
        return in_float64(functools.partial(_avg_pool_of_any, function, nd), input, *rest)
    return _avg_pool_of_floats(function, nd, input, *rest)


def _avg_pool(function, nd, input, *rest):
    pool = _avg_pool_of_floats if _is_float(input) else _avg_pool_of_any
    return pool(function, nd, input, *rest)


def _avg_pool_of_floats(
    function, nd, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
):
    if divisor_override is not None and divisor_override == 0:
        raise RuntimeError(f"{function}: divisor must be not zero")
    w = _window(function, nd, input, kernel_size, stride, padding, 1, ceil_mode)
    return _avg_forward(input, w, bool(count_include_pad), int(divisor_override or 0))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    r"""The maximum of each window of a signal.

    ``y[n, c, o] = max over 0 <= t < kernel_size of x[n, c, o * stride - padding + t * dilation]``; padding counts
    as -inf.

    Args:
        input: (N, C, L) or (C, L), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: also return where each maximum lies (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, L) or (C, L) with ``floor((n
            + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of each window of an image, padding counting as -inf; the places are flat in it.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of two; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: also return where each maximum lies (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, H, W) or (C, H, W) with
            ``floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@casts("float32")
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The maximum of each window of a volume, padding counting as -inf; the places are flat in it.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of three; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: also return where each maximum lies (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, D, H, W) or (C, D, H, W) with
            ``floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The maximum of each window of a signal and where it lies, as a tuple.

    Args:
        input: (N, C, L) or (C, L), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, L) or (C, L) with ``floor((n + 2 padding - dilation
            (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The maximum of each window of an image and where it lies, as a tuple.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of two; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, H, W) or (C, H, W) with ``floor((n + 2 padding - dilation
            (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The maximum of each window of a volume and where it lies, as a tuple.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size, stride, padding, dilation: an int or a tuple of three; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, D, H, W) or (C, D, H, W) with ``floor((n + 2 padding -
            dilation (kernel_size - 1) - 1) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window of a signal.

    ``y[n, c, o] = sum over 0 <= t < kernel_size of x[n, c, o * stride - padding + t] / divisor``; padding counts as 0.

    Args:
        input: (N, C, L) or (C, L), floating point.
        kernel_size, stride, padding: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        count_include_pad: whether padding counts as zeros in the mean, or not at all.

    Shape:
        output (N, C, L) or (C, L) with ``floor((n + 2 padding - kernel_size) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):  # fmt: skip
    """The mean of each window of an image.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size, stride, padding: an int or a tuple of two; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        count_include_pad: whether padding counts as zeros in the mean, or not at all.
        divisor_override: replaces the window's size as the divisor.

    Shape:
        output (N, C, H, W) or (C, H, W) with ``floor((n + 2 padding - kernel_size) / stride) + 1`` windows for each
        size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@casts("float32")
def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):  # fmt: skip
    """The mean of each window of a volume.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size, stride, padding: an int or a tuple of three; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.
        count_include_pad: whether padding counts as zeros in the mean, or not at all.
        divisor_override: replaces the window's size as the divisor.

    Shape:
        output (N, C, D, H, W) or (C, D, H, W) with ``floor((n + 2 padding - kernel_size) / stride) + 1`` windows for
        each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@half_as_float32
def _lp_pool(function, nd, pool, input, norm_type, kernel_size, stride, ceil_mode):
    check_planes(function, input, nd)
    k = tuple_of(function, "kernel_size", kernel_size, nd)
    mean = pool(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (mean.sign() * mean.abs().clamp(min=0)).mul(math.prod(k)).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of a signal: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        input: (N, C, L) or (C, L), floating point.
        norm_type: p.
        kernel_size, stride: an int or a tuple of one int; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.

    Shape:
        output (N, C, L) or (C, L) with ``floor((n - kernel_size) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _lp_pool("lp_pool1d", 1, avg_pool1d, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of an image: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        norm_type: p.
        kernel_size, stride: an int or a tuple of two; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.

    Shape:
        output (N, C, H, W) or (C, H, W) with ``floor((n - kernel_size) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _lp_pool("lp_pool2d", 2, avg_pool2d, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of a volume: ``y = (sum over the window of x ** p) ** (1 / p)``.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        norm_type: p.
        kernel_size, stride: an int or a tuple of three; stride defaults to kernel_size.
        ceil_mode: round the numbers of windows up.

    Shape:
        output (N, C, D, H, W) or (C, D, H, W) with ``floor((n - kernel_size) / stride) + 1`` windows for each size n.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _lp_pool("lp_pool3d", 3, avg_pool3d, input, norm_type, kernel_size, stride, ceil_mode)


class MaxUnpool(Node):
    __slots__ = ("nd",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        return pool_name(self.nd, "MaxUnpool{}D")

    def backward(self, grad):
        (index,) = self.saved_tensors()
        return pick(grad, index, self.nd)


def _unpool_size(function, shape, k, s, p, output_size):
    """The sizes to unpool to: those asked for, within one stride of the ones that pooling without rounding gives."""
    nd = len(k)
    default = [(n - 1) * si - 2 * pi + ki for n, ki, si, pi in zip(shape[-nd:], k, s, p, strict=True)]
    if output_size is None:
        return tuple(default)
    size = list(output_size)
    if len(size) == nd + 2:
        size = size[2:]
    if len(size) != nd:
        raise ValueError(
            f"{function}: output_size should have {nd} or {nd + 2} elements, but it has {len(output_size)}"
        )
    for got, want, si in zip(size, default, s, strict=True):
        if not want - si < got < want + si:
            raise ValueError(
                f"{function}: invalid output_size {list(size)} (each must lie within one stride of {default})"
            )
    return tuple(int(v) for v in size)


@half_as_float32
def _max_unpool(function, nd, input, indices, kernel_size, stride, padding, output_size):
    check_tensor(function, "input", input, 1)
    check_tensor(function, "indices", indices, 2)
    k = tuple_of(function, "kernel_size", kernel_size, nd)
    s = k if stride is None else tuple_of(function, "stride", stride, nd)
    p = tuple_of(function, "padding", padding, nd)
    if indices._data.dtype != np.int64:
        raise RuntimeError(f"{function}: elements in indices should be type int64 but got: {indices.dtype}")
    if input._data.shape != indices._data.shape:
        raise RuntimeError(
            f"{function}: Expected shape of indices to be same as that of the input tensor "
            f"({list(input._data.shape)}), "
            f"but got indices tensor with shape: {list(indices._data.shape)}"
        )
    check_planes(function, input, nd)
    size = _unpool_size(function, input._data.shape, k, s, p, output_size)
    if min(size) <= 0:
        raise RuntimeError(f"{function}: output sizes must be positive, got {list(size)}")
    x, index = dense(input), dense(indices)
    n = math.prod(size)
    if index.size and (index.min() < 0 or index.max() >= n):
        bad = index.min() if index.min() < 0 else index.max()
        raise RuntimeError(f"{function}: found an invalid max index: {bad} (output volumes are of size {list(size)})")
    y = empty(x.shape[: x.ndim - nd] + size, x.dtype)
    kernels.unpool_plane(_rows(x, nd), _rows(index, nd), _rows(y, nd))
    out = wrap(y)
    if input._rg and mode.grad:
        node = MaxUnpool(input)
        node.nd = nd
        node.save(indices)
        node.attach(out)
    return out


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back where max pooling found it, and zeros elsewhere.

    Args:
        input: (N, C, L) or (C, L), floating point.
        indices: places, flat in a signal, int64, of the input's shape.
        kernel_size, stride, padding: those of the pooling; stride defaults to kernel_size.
        output_size: the sizes to give; None: ``(n - 1) stride - 2 padding + kernel_size`` for each size n.

    Shape:
        output (N, C, L) or (C, L).

    Raises:
        TypeError: ``input`` or ``indices`` is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@casts("float32")
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back where max pooling found it in an image, and zeros elsewhere.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        indices: places, flat in an image, int64, of the input's shape.
        kernel_size, stride, padding: those of the pooling; stride defaults to kernel_size.
        output_size: the sizes to give; None: ``(n - 1) stride - 2 padding + kernel_size`` for each size n.

    Shape:
        output (N, C, H, W) or (C, H, W).

    Raises:
        TypeError: ``input`` or ``indices`` is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@casts("float32")
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts each value back where max pooling found it in a volume, and zeros elsewhere.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        indices: places, flat in a volume, int64, of the input's shape.
        kernel_size, stride, padding: those of the pooling; stride defaults to kernel_size.
        output_size: the sizes to give; None: ``(n - 1) stride - 2 padding + kernel_size`` for each size n.

    Shape:
        output (N, C, D, H, W) or (C, D, H, W).

    Raises:
        TypeError: ``input`` or ``indices`` is not a tensor.
        ValueError: ``output_size`` does not fit.
        RuntimeError: rank, dtype or sizes do not fit, or an index is out of range.
    """
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
