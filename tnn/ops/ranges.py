"""Making tensors that count: ranges, evenly spaced numbers, the identity, indices of a triangle."""

import math
import operator

import numpy as np

from .. import dtypes
from ..kernels import ranges as kernels
from ..kernels._pool import empty as _empty
from ..kernels._pool import zeros as _zeros
from ..tensor import Tensor, wrap
from .cast import convert
from .creation import dtype_for, finish


def _number(x, function):
    if isinstance(x, Tensor | np.ndarray | np.generic):
        x = x.item()
    if not isinstance(x, bool | int | float):
        raise TypeError(f"{function}(): expected a number, but got {type(x).__name__}")
    return x


# Below this many numbers NumPy makes them faster than a kernel is called.
_FEW = 4096
_COUNTED = {t.np for t in (dtypes.float32, dtypes.float64, dtypes.int64, dtypes.int32)}


def _counted(n, start, step, dtype):
    """start, start + step, ... as an array of a dtype: computed in int64 if that is an integer, else in float64."""
    real = dtype.kind != 1
    exact = not real or (start.is_integer() and step.is_integer())
    if (n < _FEW and exact) or dtype.np not in _COUNTED:
        data = np.arange(n, dtype=np.float64) * step + start if real else np.arange(n, dtype=np.int64) * step + start
        return _rounded(data, dtype) if real else data.astype(dtype.np, copy=False)
    out = _empty((n,), dtype.np)
    (kernels.arange_real_forward if real else kernels.arange_forward)(out, start, step)
    return out


def _rounded(data, d):
    """float64 values in dtype ``d``: truncated to an integer, or rounded."""
    return data if data.dtype == d.np else convert(data, d.np)


def arange(*args, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **kw):
    """``start, start + step, ...`` below ``end``: ceil((end - start) / step) numbers.

    ``arange(end)``, ``arange(start, end)``, ``arange(start, end, step)``, by name too.

    Args:
        args: end; start and end; or start, end and step: numbers, by default start 0 and step 1, also by these names.
            All integers give int64, else the default dtype.
        out: a tensor to write to, which takes the shape.
        dtype: the element type.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (ceil((end - start) / step),).

    Raises:
        RuntimeError: step is 0 or leads away from end, or a number is not finite.
        TypeError: an argument is no number.
    """
    if len(args) == 1 and not kw and type(args[0]) is int and args[0] >= 0 and dtype is out is device is None:
        n = args[0]
        data = np.arange(n, dtype=np.int64) if n < _FEW else _counted(n, 0, 1, dtypes.int64)
        return finish(data, requires_grad)
    if not kw and {int} == {*map(type, args)} and len(args) < 4 and dtype is out is device is None:
        start, end, step = (*args, 1) if len(args) == 2 else args if len(args) == 3 else (0, *args, 1)
        if step and (end - start) * step >= 0:
            return finish(_counted(-((start - end) // step), start, step, dtypes.int64), requires_grad)
    names = ("end",) if len(args) == 1 and "end" not in kw else ("start", "end", "step")[: len(args)]
    given = dict(zip(names, args, strict=False))
    unknown = any(k in given or k not in ("start", "end", "step") for k in kw)
    if len(args) > 3 or unknown or "end" not in {**given, **kw}:
        raise TypeError(f"arange() takes end, or start, end and step; got {len(args)} positional and {sorted(kw)}")
    given.update(kw)
    start, end, step = (_number(given.get(k, v), "arange") for k, v in (("start", 0), ("end", 0), ("step", 1)))
    integral = not any(isinstance(v, float) for v in (start, end, step))
    d = dtype_for("arange", dtype, out, device, dtypes.int64 if integral else None)
    if d is dtypes.bool:
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool'")
    if not all(math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    span = (float(end) - float(start)) / float(step) if step else 0.0
    if d.kind == 1:
        start, end, step = int(start), int(end), int(step)
    if step == 0 or math.isnan(step):
        raise RuntimeError("step must be nonzero")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if d.kind == 1:
        n = -((start - end) // step) if d is dtypes.int64 else math.ceil(span)
        data = _counted(n, start, step, d)
    else:
        n = math.ceil((end - start) / step)
        data = _counted(n, float(start), float(step), d)
    return finish(data, requires_grad, out, "arange")


def range(start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False):
    """``start, start + step, ...`` up to and including ``end``, of the default dtype; prefer :func:`arange`.

    Args:
        start, end, step: numbers.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (floor((end - start) / step) + 1,).

    Raises:
        TypeError: an argument is no number.
        RuntimeError: step is 0 or leads away from end.
    """
    if end is None:
        start, end = 0, start
    start, end, step = (_number(v, "range") for v in (start, end, step))
    d = dtype_for("range", dtype, out, device)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    n = math.floor((end - start) / step) + 1
    real = d if d.kind != 1 else dtypes.float64
    return finish(_rounded(_counted(n, float(start), float(step), real), d), requires_grad, out, "range")


def _steps(function, steps):
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise TypeError(f"{function}(): argument 'steps' must be int, not {type(steps).__name__}")
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, but got {steps}")
    return steps


def _spaced(start, end, steps, d):
    """Evenly spaced numbers for the dtype ``d``, in floating point, from both ends to the middle, exact at the ends."""
    real = np.float32 if d is dtypes.float32 else np.float64
    if d.kind == 1:
        start, end = int(start), int(end)
    if steps == 1:
        return np.full(1, start, real)
    start, end = real(start), real(end)
    step = (end - start) / real(max(steps - 1, 1))
    out = _empty((steps,), real)
    kernels.linspace_forward(out, start, end, step)
    return out


def linspace(
    start, end, steps, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False
):
    """``steps`` numbers evenly spaced from ``start`` to ``end``, both included.

    Args:
        start, end: numbers.
        steps: how many.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (steps,).

    Raises:
        RuntimeError: ``steps`` is negative.
        TypeError: an argument is no number, or ``steps`` no integer.
    """
    steps = _steps("linspace", steps)
    d = dtype_for("linspace", dtype, out, device)
    data = _spaced(_number(start, "linspace"), _number(end, "linspace"), steps, d)
    return finish(_rounded(data, d), requires_grad, out, "linspace")


def logspace(
    start,
    end,
    steps,
    base=10.0,
    *,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
):
    """Powers of ``base`` with evenly spaced exponents: base^start ... base^end, both included.

    Args:
        start, end: the exponents, numbers.
        steps: how many.
        base: a number.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (steps,).

    Raises:
        RuntimeError: ``steps`` is negative.
        TypeError: an argument is no number, or ``steps`` no integer.
    """
    steps = _steps("logspace", steps)
    d = dtype_for("logspace", dtype, out, device)
    powers = _spaced(_number(start, "logspace"), _number(end, "logspace"), steps, d)
    with np.errstate(over="ignore", invalid="ignore"):
        data = np.power(powers.dtype.type(int(base) if d.kind == 1 else base), powers)
    return finish(_rounded(data, d), requires_grad, out, "logspace")


def eye(n, m=None, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Ones on the diagonal of n x m zeros; m is n by default.

    Args:
        n, m: the numbers of rows and columns.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (n, m).

    Raises:
        TypeError: n or m is not an integer.
        RuntimeError: n or m is negative.
    """
    for name, value in (("n", n), ("m", n if m is None else m)):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"eye(): argument '{name}' must be int, not {type(value).__name__}")
        if value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    d = dtype_for("eye", dtype, out, device)
    data = _zeros((operator.index(n), operator.index(n if m is None else m)), d.np)
    np.fill_diagonal(data, 1)
    return finish(data, requires_grad, out, "eye")


def _triangle(function, upper, row, col, offset, dtype, device):
    for name, value in (("row", row), ("col", col)):
        if value < 0:
            raise RuntimeError(f"{name} must be non-negative, got {value}")
    d = dtype_for(function, dtype, None, device, dtypes.int64)
    row, col, offset = map(operator.index, (row, col, offset))
    offset = min(max(offset, -row - 1), col + 1)
    edges = np.clip(np.arange(row, dtype=np.int64) + (offset if upper else offset + 1), 0, col)
    ends = np.cumsum(col - edges if upper else edges)
    data = _empty((2, int(ends[-1]) if row else 0), dtypes.int64.np)
    if data.size:
        kernels.triangle_forward(ends, offset if upper else 0, 1 if upper else 0, data)
    return wrap(data if d is dtypes.int64 else convert(data, d.np))


def tril_indices(row, col, offset=0, *, dtype=None, layout=None, device=None, pin_memory=False):
    """Row and column numbers, int64[2, n], of the elements on and below a diagonal of a row x col matrix.

    Args:
        row, col: the matrix's size.
        offset: the last diagonal: 0 the main one, positive above it, negative below.
        dtype: the element type, int64 by default.
        layout, pin_memory: ignored.
        device: the CPU.

    Shape:
        output (2, number of elements).

    Raises:
        RuntimeError: a size is negative.
    """
    return _triangle("tril_indices", False, row, col, offset, dtype, device)


def triu_indices(row, col, offset=0, *, dtype=None, layout=None, device=None, pin_memory=False):
    """Row and column numbers, int64[2, n], of the elements on and above a diagonal of a row x col matrix.

    Args:
        row, col: the matrix's size.
        offset: the first diagonal: 0 the main one, positive above it, negative below.
        dtype: the element type, int64 by default.
        layout, pin_memory: ignored.
        device: the CPU.

    Shape:
        output (2, number of elements).

    Raises:
        RuntimeError: a size is negative.
    """
    return _triangle("triu_indices", True, row, col, offset, dtype, device)
