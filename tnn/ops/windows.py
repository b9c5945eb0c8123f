"""Windows of signals, and the numerical derivative of sampled values."""

import math

from .. import dtypes
from ..tensor import Tensor
from ._common import check_tensor
from .creation import dtype_for
from .joining import cat
from .ranges import arange


def _cosines(function, window_length, periodic, weights, dtype, device, requires_grad):
    """``sum_j w_j cos(2 pi j k / N)`` for k below the length; N is the length, less one where it is not periodic."""
    d, n = _checked(function, window_length, dtype, device)
    if n == 1:
        weights = (1.0,)
    k = arange(n, dtype=dtypes.float64) * (2 * math.pi / max(n if periodic else n - 1, 1))
    out = sum((k * j).cos() * w for j, w in enumerate(weights))
    return out.to(d).requires_grad_(requires_grad)


def _checked(function, window_length, dtype, device):
    """The window's dtype and length."""
    d = dtype_for(function, dtype, None, device, None)
    if not d.is_floating_point:
        raise RuntimeError(f"{function} expects floating point dtypes, got: {d}")
    if window_length < 0:
        raise RuntimeError(f"{function} requires non-negative window_length, got window_length={window_length}")
    return d, int(window_length)


def hann_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):  # fmt: skip
    """Hann's window: ``w_k = (1 - cos(2 pi k / N)) / 2``.

    Args:
        window_length: N, not negative.
        periodic: one period of a periodic function; False: symmetric, N being one less in the equation.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (window_length,).

    Raises:
        RuntimeError: ``window_length`` is negative, or the dtype is not a floating-point one.

    >>> import tnn
    >>> tnn.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _cosines("hann_window", window_length, periodic, (0.5, -0.5), dtype, device, requires_grad)


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Hamming's window: ``w_k = alpha - beta cos(2 pi k / N)``.

    Args:
        window_length: N, not negative.
        periodic: one period of a periodic function; False: symmetric, N being one less in the equation.
        alpha, beta: numbers.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (window_length,).

    Raises:
        RuntimeError: ``window_length`` is negative, or the dtype is not a floating-point one.
    """
    return _cosines("hamming_window", window_length, periodic, (alpha, -beta), dtype, device, requires_grad)


def blackman_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):  # fmt: skip
    """Blackman's window: ``w_k = 0.42 - 0.5 cos(2 pi k / N) + 0.08 cos(4 pi k / N)``.

    Args:
        window_length: N, not negative.
        periodic: one period of a periodic function; False: symmetric, N being one less in the equation.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (window_length,).

    Raises:
        RuntimeError: ``window_length`` is negative, or the dtype is not a floating-point one.
    """
    return _cosines("blackman_window", window_length, periodic, (0.42, -0.5, 0.08), dtype, device, requires_grad)


def bartlett_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):  # fmt: skip
    """Bartlett's triangle: ``w_k = 1 - |2 k / N - 1|``.

    Args:
        window_length: N, not negative.
        periodic: one period of a periodic function; False: symmetric, N being one less in the equation.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (window_length,).

    Raises:
        RuntimeError: ``window_length`` is negative, or the dtype is not a floating-point one.
    """
    d, n = _checked("bartlett_window", window_length, dtype, device)
    k = arange(n, dtype=dtypes.float64) * (2 / max(n if periodic else n - 1, 1))
    out = 1 - (k - 1).abs() if n != 1 else k + 1
    return out.to(d).requires_grad_(requires_grad)


def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Kaiser's window: ``w_k = I0(beta sqrt(1 - (2 k / N - 1)^2)) / I0(beta)``.

    Args:
        window_length: N, not negative.
        periodic: one period of a periodic function; False: symmetric, N being one less in the equation.
        beta: how narrow it is.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (window_length,).

    Raises:
        RuntimeError: ``window_length`` is negative, or the dtype is not a floating-point one.
    """
    d, n = _checked("kaiser_window", window_length, dtype, device)
    k = arange(n, dtype=dtypes.float64) * (2 / max(n if periodic else n - 1, 1)) - 1
    top = (beta * (1 - k * k).clamp_min(0.0).sqrt()).i0()
    out = top / (top.new_ones(()) * beta).i0() if n != 1 else k * 0 + 1
    return out.to(d).requires_grad_(requires_grad)


def _spacings(spacing, dims, several, x):
    """For each dimension a distance, or a tensor of coordinates."""
    if not isinstance(spacing, tuple | list):
        spacing = [spacing] * len(dims)
    if len(spacing) != len(dims):
        raise RuntimeError(
            f"gradient expected spacing to be unspecified, a scalar, or a list of length {len(dims)}, as many as "
            f"dimensions {'were given' if several else 'there are'}, but got a list of length {len(spacing)}"
        )
    for s, dim in zip(spacing, dims, strict=True):
        if isinstance(s, Tensor) and s.ndim and tuple(s.shape) != (x.shape[dim],):
            raise RuntimeError(
                f"gradient expected each coordinate tensor to be of size {x.shape[dim]} for dimension {dim}, got "
                f"{list(s.shape)}"
            )
    return spacing


def _along(x, dim, spacing, edge_order):
    n = x.shape[dim]
    low, mid, high = x.narrow(dim, 0, n - 2), x.narrow(dim, 1, n - 2), x.narrow(dim, 2, n - 2)

    def edge(a, b, c, near, far):
        """The derivative at a from a, b and c; ``near`` from a to b, ``far`` from b to c."""
        if edge_order == 1:
            return (b - a) / near
        return (
            b * ((near + far) / (near * far)) - a * ((2 * near + far) / (near * (near + far)))
            - c * (near / (far * (near + far)))
        )  # fmt: skip

    def element(i):
        return x.narrow(dim, i % n, 1)

    if isinstance(spacing, Tensor) and spacing.ndim:
        steps = spacing.diff()
        shape = [1] * x.ndim
        shape[dim] = n - 2
        before, after = steps[:-1].reshape(shape), steps[1:].reshape(shape)
        inner = (
            high * (before / (after * (before + after))) + mid * ((after - before) / (before * after))
            - low * (after / (before * (before + after)))
        )  # fmt: skip
        first, last = [steps[i] for i in (0, min(1, n - 2))], [steps[-1], steps[max(n - 3, 0)]]
    else:
        inner, first, last = (high - low) / (2 * spacing), [spacing, spacing], [spacing, spacing]
    begin = edge(element(0), element(1), element(2), *first)
    end = -edge(element(-1), element(-2), element(-3), *last)
    return cat([begin, inner, end], dim)


def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """The derivative of sampled values along dimensions, by central differences of second order.

    Within: ``(x_{i+1} - x_{i-1}) / (2 h)``, or the parabola's slope where the coordinates are uneven; at the edges the
    one-sided difference of ``edge_order``.

    Args:
        input: any dtype; integers count as floating point.
        spacing: the distance h, one for each dimension, or a 1-D tensor of coordinates for each.
        dim: an int or several; all by default.
        edge_order: 1 or 2.

    Returns:
        A tuple with a tensor of the input's shape for each dimension.

    Raises:
        RuntimeError: another edge order, a dimension of fewer than ``edge_order + 1`` elements, or spacing that does
            not fit.
        IndexError: no such dimension.

    >>> import tnn
    >>> tnn.gradient(tnn.tensor([1.0, 4.0, 9.0, 16.0]), edge_order=2)
    (tensor([2., 4., 6., 8.]),)
    """
    from ._common import wrap_dim

    check_tensor("gradient", "input", input, 1)
    if edge_order not in (1, 2):
        raise RuntimeError(f"gradient only supports edge_order=1 and edge_order=2, got {edge_order}")
    x = input if input.dtype.is_floating_point else input.to(dtypes.get_default_dtype())
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = [wrap_dim(d, x.ndim) for d in dims]
    spacing = _spacings(spacing, dims, dim is not None, x)
    for d in dims:
        if not x.ndim or x.shape[d] < edge_order + 1:
            raise RuntimeError(
                f"gradient expected each dimension size to be at least edge_order+1 = {edge_order + 1}, got "
                f"{list(x.shape)}"
            )
    return tuple(_along(x, d, s, edge_order) for d, s in zip(dims, spacing, strict=True))
