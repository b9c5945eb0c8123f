"""Pooling to an output of a given size: adaptive and fractional."""

import math
from functools import lru_cache

import numpy as np

from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import adaptive_pooling as kernels
from ..kernels import pooling, pooling_pixels
from ..kernels._pool import empty
from ..kernels.conv_slab import geometry
from ..kernels.random import uniform32_forward, uniform64_forward
from ..random import current_generator
from ..tensor import wrap
from ._common import F64, check_tensor, dense, half_as_float32
from ._pixels import ahead, behind, gradient_in_pixels, in_pixels
from .pooling import (
    NO_PLACES,
    PIXELS,
    PLANES,
    TURNED,
    as_planes,
    check_planes,
    pool_name,
    pool_pixels,
    pool_turned,
    spread,
    taps_of_planes,
    tuple_of,
    turned_taps,
)


def _target(function, output_size, size):
    nd = len(size)
    if isinstance(output_size, int | np.integer):
        out = (int(output_size),) * nd
    else:
        if len(output_size) != nd:
            raise RuntimeError(f"{function}: output_size must have {nd} elements, got {list(output_size)}")
        out = tuple(n if o is None else int(o) for o, n in zip(output_size, size, strict=True))
    if min(out) < 0:
        raise RuntimeError(f"{function}: elements of output_size must be greater than or equal to 0, got {list(out)}")
    return out


class _Target:
    """How planes of a size are pooled to ``out``: for the kernels a geometry where all windows are alike (``geo``; taps
    in ``dtype``), first and last-plus-one inputs (``bounds``) where they are not or windows are large, neither where
    there is one window."""

    __slots__ = ("size", "out", "geo", "bounds", "dtype", "taps", "plane")

    def __init__(self, size, out):
        self.size, self.out, self.geo, self.bounds, self.taps = size, out, None, None, {}
        lead = (1,) * (3 - len(size))
        n, m = lead + size, lead + out
        self.plane = 0
        if 0 in m or max(m) == 1:
            return
        # A plane's elements if planes may be turned: there is a faster way for 2 x 2 blocks, and windows of long rows
        # are summed in vectors (16 x 64 planes of 32 x 32 to 3 x 3: 124 us, turned 220; 8 x 32 of 14 x 14: 33 and 12).
        blocks = len(size) == 2 and size == (2 * out[0], 2 * out[1])
        self.plane = math.prod(size) if not blocks and math.prod(size) <= _TURNED else 0
        if not any(a % b for a, b in zip(n, m, strict=True)):
            window = tuple(a // b for a, b in zip(n, m, strict=True))
            self.dtype = np.dtype(np.uint8 if math.prod(window) < 255 else np.int32)
            self.geo = geometry(1, 1, n, 1, m, window, window, (1, 1, 1), (0, 0, 0), 1)
            if math.prod(window) <= _FEW:
                return
        lo, hi = np.zeros((3, max(m)), np.int64), np.zeros((3, max(m)), np.int64)
        for j, (a, b) in enumerate(zip(n, m, strict=True)):
            o = np.arange(b)
            lo[j, :b] = o * a // b
            hi[j, :b] = -((-(o + 1) * a) // b)
        self.bounds = lo, hi

    def turns(self, x):
        """Whether the planes of an ndarray are better turned: see ``kernels.pooling_pixels``."""
        return self.plane > 0 and pooling_pixels.turns(self.plane, x.size, x.itemsize)

    def pixels(self, numbers=None):
        """The tables of ``kernels.pooling_pixels``."""
        if numbers not in self.taps:
            lead = (1,) * (3 - len(self.size))
            self.taps[numbers] = pooling_pixels.adaptive_taps(lead + self.size, lead + self.out, numbers)
        return self.taps[numbers]


# Elements of a window up to which maxima are taken as of any pooling with a stride.
_FEW = 4
# Elements of a plane up to which it is turned.
_TURNED = 400

_target_of = lru_cache(256)(_Target)


class AdaptiveAvgPool(Node):
    __slots__ = ("target", "shape", "way")

    def name(self):
        """The name that ``grad_fn`` prints."""
        out = self.target.out
        if len(out) > 1 and set(out) == {1}:
            return "MeanBackward1"
        return pool_name(len(out), "AdaptiveAvgPool{}D")

    def backward(self, grad):
        return _avg_backward(grad, self.target, self.shape, self.way)


class AdaptiveAvgPoolBackward(Node):
    __slots__ = ("target",)

    def backward(self, grad):
        return _avg_forward(grad, self.target)


def _avg_backward(grad, t, shape, way):
    if way == TURNED:
        gx = pool_turned(pooling_pixels.GIVE, dense(grad), shape, len(t.size), t.pixels().backward)
    elif way == PIXELS:
        gx = ahead(pool_pixels(pooling_pixels.GIVE, gradient_in_pixels(grad), t.size, t.pixels().backward))
    else:
        gx = _avg_backward_planes(dense(grad), t, shape)
    out = wrap(gx)
    if grad._rg and mode.grad:
        node = AdaptiveAvgPoolBackward(grad)
        node.target = t
        node.attach(out)
    return out


def _avg_backward_planes(g, t, shape):
    gx = empty(shape, g.dtype)
    if t.geo is not None:
        pooling.avg_pool_backward(g.reshape(-1), gx.reshape(-1), t.geo, True, 0)
    elif t.bounds is not None:
        kernels.adaptive_avg_pool_backward(as_planes(g, t.out), as_planes(gx, t.size), *t.bounds)
    elif g.size:
        kernels.global_avg_pool_backward(g.reshape(-1), gx.reshape(g.size, -1))
    else:
        gx.fill(0)
    return gx


def _avg_forward(input, t):
    nd, way = len(t.size), PLANES
    turned = in_pixels(input, nd + 2)
    if turned is not None:
        way = PIXELS
        y = ahead(pool_pixels(pooling_pixels.MEAN, turned, t.out, t.pixels().forward))
    elif t.turns(input._data):
        way, x = TURNED, dense(input)
        y = pool_turned(pooling_pixels.MEAN, x, x.shape[: x.ndim - nd] + t.out, nd, t.pixels().forward)
    else:
        y = _avg_planes(dense(input), t)
    out = wrap(y)
    if input._rg and mode.grad:
        node = AdaptiveAvgPool(input)
        node.target, node.shape, node.way = t, input._data.shape, way
        node.attach(out)
    return out


def _avg_planes(x, t):
    y = empty(x.shape[: x.ndim - len(t.size)] + t.out, x.dtype)
    if y.size:
        if t.geo is not None:
            pooling.avg_pool_forward(x.reshape(-1), y.reshape(-1), t.geo, True, 0)
        elif t.bounds is not None:
            kernels.adaptive_avg_pool_forward(as_planes(x, t.size), as_planes(y, t.out), *t.bounds)
        else:
            kernels.global_avg_pool_forward(x.reshape(y.size, -1), y.reshape(-1))
    return y


@half_as_float32(at=2)
def _adaptive_avg(function, nd, input, output_size):
    size = check_planes(function, input, nd)
    return _avg_forward(input, _target_of(size, _target(function, output_size, size)))


class IndexedMax(Node):
    """Max pooling of any kind that keeps flat indices."""

    __slots__ = ("nd", "shape", "kind")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return pool_name(self.nd, self.kind + "MaxPool{}D")

    def backward(self, grad, _=None):
        (index,) = self.saved_tensors()
        return spread(grad, index, self.nd, self.shape)


def _record_max(input, y, index, nd, kind):
    out, indices = wrap(y), wrap(index)
    if input._rg and mode.grad:
        node = IndexedMax(input)
        node.nd, node.shape, node.kind = nd, input._data.shape, kind
        node.save(indices)
        node.attach(out)
    return out, indices


@half_as_float32(at=2)
def _adaptive_max(function, nd, input, output_size, return_indices):
    size = check_planes(function, input, nd)
    t = _target_of(size, _target(function, output_size, size))
    turned = in_pixels(input, nd + 2)
    if turned is not None:
        return _adaptive_max_pixels(input, turned, t, return_indices)
    x = dense(input)
    shape = x.shape[: x.ndim - nd] + t.out
    if t.turns(x):
        return _adaptive_max_turned(input, x, shape, t, return_indices)
    y = empty(shape, x.dtype)
    as_strided = t.geo is not None and t.bounds is None
    values = not return_indices and not (input._rg and mode.grad)
    if y.size and values and (as_strided or (t.bounds and nd > 1)):
        if as_strided:
            pooling.max_pool_forward(x.reshape(-1), y.reshape(-1), empty((0,), t.dtype), t.geo)
        else:
            bounds = t.bounds[0][None], t.bounds[1][None]
            kernels.windows_max_forward(as_planes(x, t.size), as_planes(y, t.out), NO_PLACES, *bounds)
        return wrap(y)
    index = empty(shape, np.dtype(np.int64))
    if y.size:
        if as_strided:
            tap = empty((y.size,), t.dtype)
            pooling.max_pool_forward(x.reshape(-1), y.reshape(-1), tap, t.geo)
            pooling.flat_index(tap, index.reshape(-1), t.geo)
        elif t.bounds is not None:
            planes = as_planes(y, t.out), as_planes(index, t.out)
            kernels.windows_max_forward(as_planes(x, t.size), *planes, t.bounds[0][None], t.bounds[1][None])
        else:
            kernels.global_max_pool_forward(x.reshape(y.size, -1), y.reshape(-1), index.reshape(-1))
    out = _record_max(input, y, index, nd, "Adaptive")
    return out if return_indices else out[0]


class PixelMax(Node):
    """Adaptive max pooling of pixels, with flat indices of int32."""

    __slots__ = ("size",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        return pool_name(len(self.size), "AdaptiveMaxPool{}D")

    def backward(self, grad, _=None):
        (index,) = self.saved_tensors()
        if mode.grad and grad._rg:
            wide = wrap(np.ascontiguousarray(index._data, np.int64))
            return spread(grad, wide, len(self.size), (*index._data.shape[:2], *self.size))
        g, places = gradient_in_pixels(grad), behind(index._data)
        gx = empty((g.shape[0], *self.size, g.shape[-1]), g.dtype)
        rest = g.shape[0], g.shape[-1]
        pooling_pixels.scatter_pixels(g.reshape(-1), places.reshape(-1), gx.reshape(-1), *rest)
        return wrap(ahead(gx))


def _adaptive_max_pixels(input, x, t, return_indices):
    record = input._rg and mode.grad
    if not (record or return_indices):
        return wrap(ahead(pool_pixels(pooling_pixels.TOP, x, t.out, t.pixels().forward)))
    index = empty((x.shape[0], *t.out, x.shape[-1]), np.dtype(np.int32))
    out = wrap(ahead(pool_pixels(pooling_pixels.MAX, x, t.out, t.pixels("plane").forward, index)))
    index = ahead(index)
    if record:
        node = PixelMax(input)
        node.size = t.size
        node.save(wrap(index))
        node.attach(out)
    return (out, wrap(np.ascontiguousarray(index, np.int64))) if return_indices else out


def _adaptive_max_turned(input, x, shape, t, return_indices):
    nd = len(t.size)
    if not return_indices and not (input._rg and mode.grad):
        return wrap(pool_turned(pooling_pixels.TOP, x, shape, nd, t.pixels().forward))
    places = turned_taps(shape, nd, x.itemsize, np.dtype(np.int32))
    y = pool_turned(pooling_pixels.MAX, x, shape, nd, t.pixels("plane").forward, places)
    index = taps_of_planes(places, shape, nd, x.itemsize).astype(np.int64)
    out = _record_max(input, y, index, nd, "Adaptive")
    return out if return_indices else out[0]


def adaptive_avg_pool1d(input, output_size):
    """The mean over windows that divide a signal into ``output_size`` parts.

    ``y[o] = mean(x[floor(o * L / m) : ceil((o + 1) * L / m)])`` with m the output size.

    Args:
        input: (N, C, L) or (C, L), floating point.
        output_size: an int, or a tuple of one int or None (None: the input's size).

    Shape:
        output (N, C, L) or (C, L) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The mean over windows that divide an image into ``output_size`` parts: in each dimension ``x[floor(o n / m) :
    ceil((o + 1) n / m)]`` with m the output size.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        output_size: an int, or a tuple of two ints or None (None: the input's size).

    Shape:
        output (N, C, H, W) or (C, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


@casts("float32")
def adaptive_avg_pool3d(input, output_size):
    """The mean over windows that divide a volume into ``output_size`` parts: in each dimension ``x[floor(o n / m) :
    ceil((o + 1) n / m)]`` with m the output size.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        output_size: an int, or a tuple of three ints or None (None: the input's size).

    Shape:
        output (N, C, D, H, W) or (C, D, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The maximum over windows that divide a signal into ``output_size`` parts, as in :func:`adaptive_avg_pool1d`.

    Args:
        input: (N, C, L) or (C, L), floating point.
        output_size: an int, or a tuple of one int or None (None: the input's size).
        return_indices: also return where each maximum lies, flat (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, L) or (C, L) with the sizes
            of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The maximum over windows that divide an image into ``output_size`` parts, as in :func:`adaptive_avg_pool2d`.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        output_size: an int, or a tuple of two ints or None (None: the input's size).
        return_indices: also return where each maximum lies, flat (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, H, W) or (C, H, W) with the
            sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


@casts("float32")
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The maximum over windows that divide a volume into ``output_size`` parts, as in :func:`adaptive_avg_pool3d`.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        output_size: an int, or a tuple of three ints or None (None: the input's size).
        return_indices: also return where each maximum lies, flat (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, D, H, W) or (C, D, H, W) with
            the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _adaptive_max("adaptive_max_pool3d", 3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """The maximum over windows that divide a signal into ``output_size`` parts, as in :func:`adaptive_avg_pool1d`, and
    where it lies.

    Args:
        input: (N, C, L) or (C, L), floating point.
        output_size: an int, or a tuple of one int or None (None: the input's size).
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, L) or (C, L) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """The maximum over windows that divide an image into ``output_size`` parts, as in :func:`adaptive_avg_pool2d`, and
    where it lies.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        output_size: an int, or a tuple of two ints or None (None: the input's size).
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, H, W) or (C, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """The maximum over windows that divide a volume into ``output_size`` parts, as in :func:`adaptive_avg_pool3d`, and
    where it lies.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        output_size: an int, or a tuple of three ints or None (None: the input's size).
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, D, H, W) or (C, D, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return adaptive_max_pool3d(input, output_size, True)


@lru_cache(256)
def _fractional_target(function, size, kernel_size, output_size, output_ratio):
    """Checks windows; returns the output's sizes and, for the kernel, three sizes each of input, output and window."""
    nd = len(size)
    k = tuple_of(function, "kernel_size", kernel_size, nd)
    if output_size is None:
        ratio = (output_ratio,) * nd if isinstance(output_ratio, float | int) else tuple(output_ratio)
        if len(ratio) != nd:
            raise ValueError(f"{function} requires output_ratio to either be a single float or a tuple of {nd} floats")
        target = tuple(int(n * r) for n, r in zip(size, ratio, strict=True))
    else:
        target = tuple_of(function, "output_size", output_size, nd)
    spare = 1 if nd == 3 else 0  # PyTorch wants volumes to be larger by one
    for n, ki, m in zip(size, k, target, strict=True):
        if ki <= 0 or m <= 0 or m + ki - 1 + spare > n:
            raise RuntimeError(
                f"{function}: kernel_size {list(k)} and output_size {list(target)} do not fit the "
                f"input's size {list(size)}"
            )
    lead = (1,) * (3 - nd)
    return target, tuple(np.array(lead + sizes, np.int64) for sizes in (size, target, k))


@half_as_float32
def _fractional(function, nd, input, kernel_size, output_size, output_ratio, return_indices, random_samples):
    if output_size is None and output_ratio is None:
        raise ValueError(f"{function} requires specifying either an output_size or an output_ratio")
    size = check_planes(function, input, nd)
    try:
        target, three = _fractional_target(function, size, kernel_size, output_size, output_ratio)
    except TypeError:  # a list
        rest = kernel_size, output_size, output_ratio
        target, three = _fractional_target.__wrapped__(function, size, *rest)
    x = dense(input)
    shape = x.shape
    batch, channels = (1, shape[0]) if len(shape) == nd + 1 else shape[:2]
    planes = batch * channels
    if random_samples is None:
        u = empty((planes, nd), x.dtype)
        (uniform64_forward if x.dtype == F64 else uniform32_forward)(
            current_generator()._state, u.reshape(-1), 0.0, 1.0
        )
    else:
        check_tensor(function, "_random_samples", random_samples)
        samples = random_samples._data
        fits = samples.ndim == 3 and samples.shape[0] >= batch and samples.shape[1:] == (channels, nd)
        if not fits or samples.dtype != x.dtype:
            raise RuntimeError(
                f"{function}: expected _random_samples of shape {[batch, channels, nd]} and dtype {input.dtype}, "
                f"got {list(samples.shape)} and {random_samples.dtype}"
            )
        u = np.ascontiguousarray(samples[:batch]).reshape(planes, nd)
    lo, hi = (empty((planes, 3, max(target)), np.dtype(np.int64)) for _ in range(2))
    # images take the samples in the order (width, height), volumes in the order (depth, height, width)
    if not kernels.fractional_windows(u, nd == 2, *three, lo, hi):
        raise RuntimeError(f"{function}: _random_samples must lie in [0, 1)")
    y, index = empty(shape[:-nd] + target, x.dtype), empty(shape[:-nd] + target, np.dtype(np.int64))
    kernels.windows_max_forward(as_planes(x, size), as_planes(y, target), as_planes(index, target), lo, hi)
    out = _record_max(input, y, index, nd, "Fractional")
    return out if return_indices else out[0]


@casts("float32")
def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):  # fmt: skip
    """The maximum over pseudo-random windows (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size: the windows' size, an int or a tuple of two.
        output_size: how many windows, an int or a tuple of two; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: also return where each maximum lies, flat (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, H, W) or (C, H, W) with the
            sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: neither output_size nor output_ratio is given, or a ratio is out of range.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _fractional(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


@casts("float32")
def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):  # fmt: skip
    """The maximum over pseudo-random windows (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size: the windows' size, an int or a tuple of three.
        output_size: how many windows, an int or a tuple of three; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: also return where each maximum lies, flat (int64).

    Returns:
        the maxima, or with ``return_indices`` a tuple of them and their places, of (N, C, D, H, W) or (C, D, H, W) with
            the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: neither output_size nor output_ratio is given, or a ratio is out of range.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return _fractional(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):  # fmt: skip
    """The maximum over pseudo-random windows and where it lies (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size: the windows' size, an int or a tuple of two.
        output_size: how many windows, an int or a tuple of two; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, H, W) or (C, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: neither output_size nor output_ratio is given, or a ratio is out of range.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):  # fmt: skip
    """The maximum over pseudo-random windows and where it lies (Graham, Fractional Max-Pooling, arXiv 1412.6071).

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size: the windows' size, an int or a tuple of three.
        output_size: how many windows, an int or a tuple of three; or
        output_ratio: their number as a share of the input's size, between 0 and 1.
        return_indices: not used.

    Returns:
        a tuple of the maxima and their places, of (N, C, D, H, W) or (C, D, H, W) with the sizes of ``output_size``.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: neither output_size nor output_ratio is given, or a ratio is out of range.
        RuntimeError: rank, dtype or sizes do not fit.
    """
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples)
