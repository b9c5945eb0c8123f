"""Spatial transformers: sampling at given points, and the points of an affine map (Jaderberg et
al., arXiv 1506.02025)."""

import math
import warnings
from functools import lru_cache

import numpy as np

from ..autograd.grad_mode import mode as grad_mode
from ..autograd.node import Node
from ..dtypes import as_dtype
from ..kernels import grid_sample as kernels
from ..kernels import grid_sample_lanes as lanes
from ..kernels._pool import empty
from ..tensor import wrap, wrap_zeros
from ._common import F32, F64, callers_level, check_floating, check_tensor, composed_backward, dense, half_as_float32
from .ranges import linspace

_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADS = {"zeros": 0, "border": 1, "reflection": 2}


class GridSampler2D(Node):
    __slots__ = ("options",)

    def backward(self, grad):
        x, grid = self.saved_tensors()
        if grad_mode.grad:
            return composed_backward(lambda x, grid: _composed(x, grid, self.options), (x, grid), grad)
        return _sample_backward(grad, x, grid, self.options, self.needs(0), self.needs(1))


class GridSampler3D(GridSampler2D):
    __slots__ = ()


def _weights(t, mode):
    """The taps' weights from the fraction t (Keys' cubic, a = -0.75)."""
    if mode == 1:
        return [t * 0 + 1]
    if mode == 0:
        return [1 - t, t]
    near = [((1.25 * u - 2.25) * u * u + 1) for u in (t, 1 - t)]
    far = [((-0.75 * u + 3.75) * u - 6) * u + 3 for u in (t + 1, 2 - t)]
    return [far[0], *near, far[1]]


def _composed(x, grid, options):
    """The same from differentiable operations: a gather for each combination of the axes' taps."""
    mode, pad, align = options
    n, channels, *size = x._data.shape
    count = math.prod(grid._data.shape[1:-1])
    flat, points = x.reshape(n, channels, math.prod(size)), grid.reshape(n, count, len(size))
    combinations = [(0, None)]
    for j, length in enumerate(size):
        g = points.select(2, len(size) - 1 - j)
        a = np.ascontiguousarray(g._data).reshape(-1)
        at, t, slope = np.empty((a.size, 4), np.int64), np.empty_like(a), np.empty_like(a)
        kernels.grid_sample_taps(a, length, mode, pad, align, at, t, slope)
        finite = g.nan_to_num(0.0, 0.0, 0.0)
        fraction = wrap(t.reshape(n, count)) + (finite - finite.detach()) * wrap(slope.reshape(n, count))
        combinations = [
            (i * length + np.maximum(at[:, k], 0), own if w is None else w * own)
            for i, w in combinations
            for k, own in enumerate(
                v * wrap((at[:, k] >= 0).reshape(n, count).astype(a.dtype))
                for k, v in enumerate(_weights(fraction, mode))
            )
        ]
    total = None
    for i, w in combinations:
        index = wrap(i.reshape(n, 1, count)).expand(n, channels, count)
        part = flat.gather(2, index) * w.unsqueeze(1)
        total = part if total is None else total + part
    return total.reshape(n, channels, *grid._data.shape[1:-1])


def _arrays(x, grid):
    """x as (N, C, D, H, W) and grid as (N, P, 2 or 3)."""
    g = grid.reshape(grid.shape[0], math.prod(grid.shape[1:-1]), grid.shape[-1])
    return x.reshape(*x.shape[:2], 1, *x.shape[2:]) if x.ndim == 4 else x, g


def _linear_images(x, options):
    """Whether the kernels for images and linear sampling serve."""
    return x.ndim == 4 and options[0] == 0


def _image(x):
    """Room for x with its channels in vectors."""
    return empty(lanes.vectors(x, math.prod(x.shape[2:]) + lanes.SPARE), x.dtype)


# Taps of a point: of cubic sampling of images, of linear sampling of volumes.
_CUBIC, _LINEAR = 16, 8


def _sample_backward(grad, input, grid, options, for_input, for_grid):
    if _linear_images(input._data, options):
        x, g = dense(input), dense(grid)
        n, m = g.shape[0], math.prod(g.shape[1:-1])
        gx, gg = empty(x.shape if for_input else (0,) * 4, x.dtype), empty((n, m, 2) if for_grid else (0,) * 3, g.dtype)
        scratch = empty((n, 4, m), np.dtype(np.int32)), empty((n, 4, m), x.dtype)
        given = dense(grad).reshape(*x.shape[:2], m), x, g.reshape(n, m, 2), *options[1:]
        if x.shape[1] >= lanes.FEWEST:
            turned = empty(lanes.vectors(x, m), x.dtype)
            lanes.lanes_backward(*given, _image(x), turned, *scratch, gx, gg)
        else:
            kernels.bilinear_backward(*given, *scratch, gx, gg)
        return wrap(gx) if for_input else None, wrap(gg.reshape(g.shape)) if for_grid else None
    x, g = _arrays(dense(input), dense(grid))
    d, (kind, pad, align) = dense(grad).reshape(*x.shape[:2], g.shape[1]), options
    if kind == 1:
        gx = empty(x.shape, x.dtype) if for_input else None
        if for_input:
            kernels.nearest_backward(d, x, g, pad, align, empty(g.shape[:2], np.dtype(np.int32)), gx)
        gg = wrap_zeros(grid._data.shape, g.dtype) if for_grid else None
        return wrap(gx.reshape(input._data.shape)) if for_input else None, gg
    gx = empty(x.shape if for_input else (0,) * 5, x.dtype)
    gg = empty(g.shape if for_grid else (0,) * 3, g.dtype)
    count = _CUBIC if kind == 2 else _LINEAR
    lanes.taps_backward(d, x, g, kind, pad, align, count, _image(x), _image(x), gx, gg)
    return (
        wrap(gx.reshape(input._data.shape)) if for_input else None,
        wrap(gg.reshape(grid._data.shape)) if for_grid else None,
    )


@lru_cache(1024)
def _shapes(x, g, mode, padding_mode):
    """Checks shapes and modes; returns the numbers of modes and the shapes of the output and, for kernels, of that, of
    x and of the grid."""
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if len(x) not in (4, 5) or len(g) != len(x):
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have the same number of dimensions, 4 or "
            f"5, but got input with sizes {list(x)} and grid with sizes {list(g)}"
        )
    if g[0] != x[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got input with sizes {list(x)} and "
            f"grid with sizes {list(g)}"
        )
    if g[-1] != len(x) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(x) - 2} in last dimension, but got "
            f"grid with sizes {list(g)}"
        )
    if 0 in x[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(x)}"
        )
    if mode == "bicubic" and len(x) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if math.prod(x[2:]) >= 2**31 - 64:
        raise RuntimeError(f"grid_sampler(): expected planes of less than 2**31 elements, got sizes {list(x)}")
    points = math.prod(g[1:-1])
    volume = x if len(x) == 5 else (*x[:2], 1, *x[2:])
    return _MODES[mode], _PADS[padding_mode], x[:2] + g[1:-1], (*x[:2], points), volume, (g[0], points, g[-1])


@half_as_float32(autocast="float32", alike=True)
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The input's values at the points of a grid.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W), floating point.
        grid: (N, H', W', 2) or (N, D', H', W', 3): points (x, y) or (x, y, z) in units where the input spans [-1, 1].
        mode: 'bilinear', 'nearest', or 'bicubic' for images.
        padding_mode: what lies outside: 'zeros', 'border' or 'reflection'.
        align_corners: whether -1 and 1 are the corner elements' centers, or (default) their outer edges.

    Returns:
        (N, C, H', W') or (N, C, D', H', W').

    Raises:
        ValueError: unknown mode or padding mode.
        RuntimeError: the shapes or dtypes do not fit.
    """
    check_tensor("grid_sample", "input", input, 1)
    check_tensor("grid_sample", "grid", grid, 2)
    x, g = input._data, grid._data
    kind, pad, shape, flat, volume, row = _shapes(x.shape, g.shape, mode, padding_mode)
    check_floating("grid_sampler", input, grid)
    if x.dtype != g.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype} and grid has {grid.dtype}"
        )
    options = kind, pad, _aligned(align_corners)
    y = empty(shape, x.dtype)
    planes = y.reshape(flat)
    if _linear_images(x, options):
        given = dense(input), dense(grid).reshape(row), *options[1:]
        if x.shape[1] >= lanes.FEWEST:
            lanes.lanes_forward(*given, _image(x), planes)
        else:
            kernels.bilinear_forward(*given, planes)
    else:
        a, points = dense(input).reshape(volume), dense(grid).reshape(row)
        if kind == 1:
            kernels.nearest_forward(a, points, *options[1:], planes)
        else:
            lanes.taps_forward(a, points, *options, _CUBIC if kind == 2 else _LINEAR, _image(a), planes)
    out = wrap(y)
    if grad_mode.grad and (input._rg or grid._rg):
        node = (GridSampler2D if x.ndim == 4 else GridSampler3D)(input, grid)
        node.options = options
        node.save(input, grid)
        node.attach(out)
    return out


def _axis(n, align_corners, np_dtype):
    """The positions of n elements from -1 to 1, with PyTorch's rounding of every step: under a map that moves little,
    points lie on centers, where a bit decides between neighbours."""
    if n <= 1:
        return np.zeros(n, np_dtype)
    points = linspace(-1, 1, n, dtype=as_dtype(np_dtype))._data
    return points if align_corners else points * np_dtype.type(n - 1) / np_dtype.type(n)


_bases: dict = {}
_KEPT_BYTES = 1 << 20


def _base(size, aligned, np_dtype):
    """The points (x, y, 1) of each element, (N, P, 3), or (N, P, 4): kept for the last small sizes, as they take longer
    to make than the product does."""
    key = size, aligned, np_dtype
    base = _bases.get(key)
    if base is None:
        axes = [_axis(n, aligned, F64 if np_dtype == F64 else F32) for n in size[1:]]
        mesh = np.meshgrid(*axes, indexing="ij")
        base = np.stack([*mesh[::-1], np.ones(size[1:])], -1).reshape(1, -1, len(size)).astype(np_dtype)
        base = np.repeat(base, size[0], 0)
        if type(base) is np.ndarray and base.nbytes <= _KEPT_BYTES:  # not while operations are recorded
            if len(_bases) >= 8:
                _bases.clear()
            _bases[key] = base
    return base


def _aligned(align_corners):
    """Whether corners are aligned; warns where the caller did not say."""
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
            "specify align_corners=True if the old behavior is desired.",
            stacklevel=callers_level(),
        )
    return bool(align_corners)


def affine_grid(theta, size, align_corners=None):
    """The points of an affine map, for :func:`grid_sample`: ``theta @ (x, y, 1)`` at each output element.

    Args:
        theta: (N, 2, 3) or (N, 3, 4), floating point.
        size: the output's size, (N, C, H, W) or (N, C, D, H, W).
        align_corners: as for :func:`grid_sample`.

    Returns:
        (N, H, W, 2) or (N, D, H, W, 3).

    Raises:
        ValueError: theta is not floating point, or shapes do not fit.
        NotImplementedError: a size of another length.
    """
    check_tensor("affine_grid", "theta", theta, 1)
    if not theta.dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = tuple(int(s) for s in size)
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {list(size)}."
        )
    nd = len(size) - 2
    if theta.dim() != 3 or theta._data.shape[-2:] != (nd, nd + 1):
        raise ValueError(
            f"Expected a batch of {nd}D affine matrices of shape Nx{nd}x{nd + 1} for size {list(size)}. "
            f"Got {list(theta._data.shape)}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(size)}")
    if theta._data.shape[0] != size[0]:
        raise RuntimeError(f"Expected theta to have batch size {size[0]}, got {theta._data.shape[0]}")
    base = _base((size[0], *size[2:]), _aligned(align_corners), theta._data.dtype)
    points = wrap(base).matmul(theta.transpose(1, 2))
    return points.reshape(size[0], *size[2:], nd)
