"""Changing an image's size: interpolate and its modes, pixel and channel shuffles."""

import math
import warnings
from functools import lru_cache
from math import prod

import numpy as np

from ..autograd.grad_mode import mode as grad_mode
from ..autograd.node import Node
from ..dtypes import uint8
from ..kernels import resample as kernels
from ..kernels import resample_lanes as lanes
from ..kernels._copy import contiguous_copy
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import check_floating, check_tensor, dense, half_as_float32, in_float64
from .pooling import as_planes

_INTERPOLATING = ("linear", "bilinear", "bicubic", "trilinear")
_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


class Taps:
    """The tables of one resampling: for three dimensions an index array and a weight array, and the sizes."""

    __slots__ = ("tables", "size", "out", "count")

    def __init__(self, size, out, tables, np_dtype):
        self.size, self.out = tuple(size), tuple(out)
        unit = (np.zeros((1, 1), np.int64), np.ones((1, 1), np_dtype))
        full = [unit] * (3 - len(size)) + [(i, w.astype(np_dtype)) for i, w in tables]
        columns, m = full[2][0], 2 * self.size[-1]
        first = {1: np.arange(m) // 2, 2: np.maximum(np.arange(m) - 1, 0) // 2}.get(columns.shape[1])
        twice = len(columns) == m > 2 and first is not None and bool((columns[:, 0] == first).all())
        self.tables = [*(a for pair in full for a in pair), twice]
        self.count = prod(index.shape[1] for index, _ in full)


def _nearest_taps(n, m, scale, exact):
    """In float32, where PyTorch takes the floor."""
    o = np.arange(m)
    if n == m and not exact:
        index = o
    elif m == 2 * n and not exact:
        index = o >> 1
    else:
        step = np.float32(1.0 / scale if scale else np.float32(n) / np.float32(m))
        where = (o.astype(np.float32) + np.float32(0.5)) * step if exact else o.astype(np.float32) * step
        index = np.minimum(np.floor(where).astype(np.int64), n - 1)
    return index[:, None].astype(np.int64), np.ones((m, 1))


def _step(n, m, scale, align_corners, kind):
    if align_corners:
        return kind(n - 1) / kind(m - 1) if m > 1 else kind(0)
    return kind(1.0 / scale) if scale else kind(n) / kind(m)


def _positions(n, m, scale, align_corners, kind, clamp):
    step = _step(n, m, scale, align_corners, kind)
    o = np.arange(m).astype(kind)
    if align_corners:
        return o * step
    where = step * (o + kind(0.5)) - kind(0.5)
    return np.maximum(where, 0) if clamp else where


def _linear_taps(n, m, scale, align_corners, kind):
    if n == m:
        index = np.arange(m)[:, None]
        return index, np.ones((m, 1))
    where = _positions(n, m, scale, align_corners, kind, True)
    first = np.minimum(where.astype(np.int64), n - 1)
    second = np.minimum(first + 1, n - 1)
    part = np.clip(where - first, 0, 1)
    return np.stack([first, second], 1), np.stack([1 - part, part], 1)


def _cubic(t, a):
    """The four weights of cubic convolution at fraction t (Keys, 1981)."""

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return np.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], -1)


def _cubic_taps(n, m, scale, align_corners, kind):
    where = _positions(n, m, scale, align_corners, kind, False)
    first = np.floor(where)
    part = np.clip(where - first, 0, 1)
    index = np.clip(first.astype(np.int64)[:, None] + np.arange(-1, 3), 0, n - 1)
    return index, _cubic(part, kind(-0.75))


def _antialias_taps(n, m, scale, align_corners, kind, cubic):
    """A filter stretched by the scale, normalised at the borders, as in Pillow."""
    step = _step(n, m, scale, align_corners, kind)
    radius = kind(2 if cubic else 1)
    support = radius * step if step >= 1 else radius
    inverse = 1 / step if step >= 1 else kind(1)
    center = step * (np.arange(m).astype(kind) + kind(0.5))
    lo = np.maximum((center - support + kind(0.5)).astype(np.int64), 0)
    hi = np.minimum((center + support + kind(0.5)).astype(np.int64), n)
    taps = np.arange(max(1, int((hi - lo).max())))
    index = lo[:, None] + taps
    inside = index < hi[:, None]
    x = np.abs((index - center[:, None] + kind(0.5)) * inverse)
    if cubic:
        a = kind(-0.5)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = (((x - 5) * x + 8) * x - 4) * a
        weight = np.where(x < 1, near, np.where(x < 2, far, 0))
    else:
        weight = np.where(x < 1, 1 - x, 0)
    weight = np.where(inside, weight, 0)
    # taps that count 0 are at an element that counts: elsewhere a NaN or an infinity would make them NaN
    return np.minimum(index, hi[:, None] - 1), weight / weight.sum(1, keepdims=True)


@lru_cache(64)
def _taps(mode, size, out, scales, align_corners, antialias, np_dtype):
    kind = np_dtype.type
    tables = []
    for n, m, s in zip(size, out, scales, strict=True):
        if mode in ("nearest", "nearest-exact"):
            tables.append(_nearest_taps(n, m, s, mode != "nearest"))
        elif antialias:
            tables.append(_antialias_taps(n, m, s, align_corners, kind, mode == "bicubic"))
        elif mode == "bicubic":
            tables.append(_cubic_taps(n, m, s, align_corners, kind))
        else:
            tables.append(_linear_taps(n, m, s, align_corners, kind))
    return Taps(size, out, tables, np_dtype)


class Upsample(Node):
    __slots__ = ("taps", "label")

    def name(self):
        """The name that ``grad_fn`` prints."""
        return self.label

    def backward(self, grad):
        return _shrink(grad, self.taps)


class UpsampleBackward(Node):
    __slots__ = ("taps",)

    def backward(self, grad):
        return _resample(grad, self.taps)


def _resample(input, taps, label="UpsampleBackward0"):
    x = dense(input)
    y = empty(x.shape[:2] + taps.out, x.dtype)
    planes, out = as_planes(x, taps.size), as_planes(y, taps.out)
    if lanes.suits(planes, taps.count, taps.out[-1]):
        lanes.lanes_forward(planes, out, *taps.tables[:6], lanes.strips(planes, out.shape[1] * out.shape[2]))
    else:
        kernels.resample_forward(planes, out, *taps.tables)
    out = wrap(y)
    if input._rg and grad_mode.grad:
        node = Upsample(input)
        node.taps, node.label = taps, label
        node.attach(out)
    return out


def _shrink(grad, taps):
    g = dense(grad)
    gx = empty(g.shape[:2] + taps.size, g.dtype)
    planes = as_planes(gx, taps.size)
    if lanes.suits(planes, taps.count, taps.out[-1]):
        lanes.lanes_backward(as_planes(g, taps.out), planes, *taps.tables[:6])
    else:
        kernels.resample_backward(as_planes(g, taps.out), planes, *taps.tables)
    out = wrap(gx)
    if grad._rg and grad_mode.grad:
        node = UpsampleBackward(grad)
        node.taps = taps
        node.attach(out)
    return out


def _sizes(shape, size, scale_factor, recompute_scale_factor):
    """The output's sizes, and for each dimension the scale to use in place of their ratio, or None."""
    nd, spatial = len(shape) - 2, shape[2:]
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        out = tuple(size) if isinstance(size, list | tuple) else (size,) * nd
        if len(out) != nd:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input "
                "with spatial dimensions "
                f"of {list(spatial)} and output size of {size}."
            )
        if not all(isinstance(v, int | np.integer) for v in out):
            raise TypeError(f"expected size to be one of int or Tuple[int], but got size with types {size!r}")
        return tuple(int(v) for v in out), (None,) * nd
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if type(scale_factor) in (int, float, tuple):
        return _scaled_sizes(spatial, scale_factor, recompute_scale_factor)
    return _scaled_sizes.__wrapped__(spatial, scale_factor, recompute_scale_factor)


@lru_cache(256)
def _scaled_sizes(spatial, scale_factor, recompute_scale_factor):
    nd = len(spatial)
    scales = tuple(scale_factor) if isinstance(scale_factor, list | tuple) else (scale_factor,) * nd
    if len(scales) != nd:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input "
            "with spatial dimensions "
            f"of {list(spatial)} and scale_factor of shape {scale_factor}."
        )
    out = tuple(math.floor(float(n * s)) for n, s in zip(spatial, scales, strict=True))
    return out, (None,) * nd if recompute_scale_factor else tuple(float(s) for s in scales)


@lru_cache(256, typed=True)
def _plan(shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, np_dtype):
    """Checks what :func:`interpolate` was given; returns the output's sizes, the tables and the node's name, the last
    two None for areas. Made once for each shape and arguments: it takes as long as a small image."""
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | "
                "bilinear | bicubic | trilinear"
            )
    align_corners = bool(align_corners)
    if len(shape) < 3:
        raise NotImplementedError(f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {len(shape)}D)")
    out, scales = _sizes(shape, size, scale_factor, recompute_scale_factor)
    if antialias and not (mode in ("bilinear", "bicubic") and len(shape) == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    nd = len(shape) - 2
    if nd > 3 or mode not in (*_INTERPOLATING, "nearest", "nearest-exact", "area"):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{len(shape)}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | "
            f"area | nearest-exact (got {mode})"
        )
    if _DIMS.get(mode, nd) != nd:
        raise NotImplementedError(f"Got {len(shape)}D input, but {mode} mode needs {_DIMS[mode] + 2}D input")
    spatial = shape[2:]
    if min(out) <= 0 or min(spatial) <= 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {list(spatial)} and output {list(out)}"
        )
    if shape[1] == 0:
        raise RuntimeError(f"Non-empty data tensor expected but got a tensor with sizes {list(shape)}")
    if mode == "area":
        return out, None, None
    kind = "".join(word.capitalize() for word in mode.split("-"))
    label = f"Upsample{kind}{nd}D{'Aa' if antialias else ''}Backward0"
    return out, _taps(mode, spatial, out, scales, align_corners, antialias, np_dtype), label


@half_as_float32
def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
    antialias=False,
):  # fmt: skip
    """Resamples a signal, image or volume to another size.

    Output o reads the input around ``(o + 0.5) n_in / n_out - 0.5``, or with ``align_corners`` around
    ``o (n_in - 1) / (n_out - 1)``.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating point or uint8.
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.
        mode: 'nearest', 'nearest-exact', 'linear' (3-D input), 'bilinear', 'bicubic' (4-D), 'trilinear' (5-D) or
            'area'.
        align_corners: whether the corner elements keep their places; for the interpolating modes alone.
        recompute_scale_factor: use the ratio of the sizes in place of ``scale_factor``.
        antialias: widen the filter when shrinking ('bilinear' and 'bicubic').

    Shape:
        output the input's with other spatial sizes.

    Raises:
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode does not fit the input's rank.
        RuntimeError: a size is not positive.
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("interpolate", "input", input, 1)
    if input.dtype is uint8:  # pixels: in the interpolating modes rounded, and kept from overflow
        rest = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        return in_float64(interpolate, input, *rest, cut=lambda d: np.clip(np.floor(d + 0.5), 0, 255))
    check_floating("interpolate", input)
    given = input._data.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    try:
        out, taps, label = _plan(*given, input._data.dtype)
    except TypeError:  # a list
        out, taps, label = _plan.__wrapped__(*given, input._data.dtype)
    if taps is None:
        from . import adaptive_pooling

        return getattr(adaptive_pooling, f"adaptive_avg_pool{len(out)}d")(input, out)
    return _resample(input, taps, label)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The old name of :func:`interpolate`, which gives the equation.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating point or uint8.
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.
        mode: 'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'.
        align_corners: whether the corner elements keep their places.

    Shape:
        output the input's with other spatial sizes.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode does not fit the input's rank.
        RuntimeError: a size is not positive.
    """
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """The old name of :func:`interpolate` in mode 'nearest': each output takes the input that covers it.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating point or uint8.
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.

    Shape:
        output the input's with other spatial sizes.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode does not fit the input's rank.
        RuntimeError: a size is not positive.
    """
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """The old name of :func:`interpolate` in mode 'bilinear' with aligned corners.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating point or uint8.
        size: the output's spatial sizes, an int or a tuple; or
        scale_factor: their ratio to the input's.

    Shape:
        output the input's with other spatial sizes.

    Raises:
        TypeError: ``input`` is not a tensor.
        ValueError: the arguments contradict each other.
        NotImplementedError: the mode does not fit the input's rank.
        RuntimeError: a size is not positive.
    """
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


class _Rearranged(Node):
    __slots__ = ("inverse",)

    def backward(self, grad):
        return self.inverse(grad)


class PixelShuffle(_Rearranged):
    __slots__ = ()


class PixelUnshuffle(_Rearranged):
    __slots__ = ()


class ChannelShuffle(_Rearranged):
    __slots__ = ()


def _rearranged(node_type, input, parts, order, shape, inverse):
    """A copy in ``shape`` of the input seen in the shape ``parts`` with its dimensions in ``order``."""
    out = wrap(contiguous_copy(dense(input).reshape(parts).transpose(order)).reshape(shape))
    if input._rg and grad_mode.grad:
        node = node_type(input)
        node.inverse = inverse
        node.attach(out)
    return out


def pixel_shuffle(input, upscale_factor):
    """(..., C r^2, H, W) to (..., C, H r, W r): channels become pixels (Shi et al., arXiv 1609.05158).

    Args:
        input: tensor of any dtype with at least 3 dimensions.
        upscale_factor: r, an int.

    Shape:
        (..., C r^2, H, W) to (..., C, H r, W r).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than 3 dimensions, a factor that is not positive, or channels that it does not divide.
    """
    check_tensor("pixel_shuffle", "input", input, 1)
    r = upscale_factor
    if input.dim() < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.dim()} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *batch, c, h, w = input._data.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            "upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    n = prod(batch)
    parts, shape = (n, c // (r * r), r, r, h, w), (*batch, c // (r * r), h * r, w * r)
    return _rearranged(PixelShuffle, input, parts, (0, 1, 4, 2, 5, 3), shape, lambda g: pixel_unshuffle(g, r))


def pixel_unshuffle(input, downscale_factor):
    """(..., C, H r, W r) to (..., C r^2, H, W): the inverse of :func:`pixel_shuffle`.

    Args:
        input: tensor of any dtype with at least 3 dimensions.
        downscale_factor: r, an int.

    Shape:
        (..., C, H r, W r) to (..., C r^2, H, W).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than 3 dimensions, a factor that is not positive, or sizes that it does not divide.
    """
    check_tensor("pixel_unshuffle", "input", input, 1)
    r = downscale_factor
    if input.dim() < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{input.dim()} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *batch, c, h, w = input._data.shape
    for name, n in (("height", h), ("width", w)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but {n} is not divisible by {r}"
            )
    n = prod(batch)
    parts, shape = (n, c, h // r, r, w // r, r), (*batch, c * r * r, h // r, w // r)
    return _rearranged(PixelUnshuffle, input, parts, (0, 1, 3, 5, 2, 4), shape, lambda g: pixel_shuffle(g, r))


def channel_shuffle(input, groups):
    """Interleaves the channels of ``groups`` groups (Zhang et al., ShuffleNet, arXiv 1707.01083).

    Args:
        input: (N, C, ...), of any dtype.
        groups: an int that divides C.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than 3 dimensions, or groups that do not divide the channels.
    """
    check_tensor("channel_shuffle", "input", input, 1)
    if input.dim() < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input._data.shape)}"
        )
    n, c, *rest = input._data.shape
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    parts, shape = (n, groups, c // groups, prod(rest)), input._data.shape
    return _rearranged(ChannelShuffle, input, parts, (0, 2, 1, 3), shape, lambda g: channel_shuffle(g, c // groups))


native_channel_shuffle = channel_shuffle
