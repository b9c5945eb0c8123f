"""What tests of models use: :func:`assert_close` and :func:`make_tensor`."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from . import dtypes
from .dtypes import finfo, iinfo
from .ops.creation import as_tensor, empty
from .ops.sampling import randint
from .tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

_TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True,
    check_dtype=True, check_layout=True, check_stride=False, msg=None,
):  # fmt: skip
    """Raises AssertionError unless ``|actual - expected| <= atol + rtol |expected|`` everywhere.

    Args:
        actual, expected: tensors, arrays or numbers, or sequences or mappings of them that nest alike.
        allow_subclasses: whether the two may be of different types.
        rtol, atol: both or none; by default what fits the dtypes.
        equal_nan: whether NaN equals NaN.
        check_device, check_layout: accepted: there is one device, and sparse tensors are compared densely.
        check_dtype: whether dtypes must be the same.
        check_stride: whether strides must be the same.
        msg: the error's text, or a function that makes it of the usual text.

    Raises:
        AssertionError: they are not close, or differ in shape, dtype, stride, length or keys.
        ValueError: one of rtol and atol is given without the other.
        TypeError: the two cannot be compared.
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no '{missing}'.")
    problem = _difference(
        actual, expected, "", allow_subclasses, None if rtol is None else (rtol, atol), equal_nan, check_dtype,
        check_stride,
    )  # fmt: skip
    if problem is not None:
        raise AssertionError(problem if msg is None else msg(problem) if callable(msg) else msg)


def _difference(actual, expected, where, allow_subclasses, tolerances, equal_nan, check_dtype, check_stride):
    """What differs first, or None."""
    options = allow_subclasses, tolerances, equal_nan, check_dtype, check_stride
    text = str | bytes
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys of the mappings do not match{where}: {list(actual)} and {list(expected)}"
        pairs = [(actual[k], expected[k], f"{where}[{k!r}]") for k in actual]
    elif all(isinstance(x, Sequence) and not isinstance(x, text) for x in (actual, expected)):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}"
        pairs = [(a, e, f"{where}[{i}]") for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    elif actual is None and expected is None:
        return None
    else:
        return _values(actual, expected, where, *options)
    for a, e, place in pairs:
        found = _difference(a, e, place, *options)
        if found is not None:
            return found
    return None


def _values(actual, expected, where, allow_subclasses, tolerances, equal_nan, check_dtype, check_stride):
    item = f" for item {where}" if where else ""
    numbers = bool | int | float
    kinds = [next((k for k in (numbers, Tensor, np.ndarray | np.generic) if isinstance(x, k)), None) for x in (
        actual, expected
    )]  # fmt: skip
    if kinds[0] is None or kinds[0] != kinds[1] or not (allow_subclasses or type(actual) is type(expected)):
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    plain = kinds[0] == numbers
    if plain and check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}{item}."
    a, e = (x if isinstance(x, Tensor) else as_tensor(x, dtype=dtypes.float64 if plain else None) for x in (
        actual, expected
    ))  # fmt: skip
    if a.shape != e.shape:
        return f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}{item}."
    if check_dtype and a.dtype is not e.dtype:
        return f"The values for attribute 'dtype' do not match: {a.dtype} != {e.dtype}{item}."
    if check_stride and a.stride() != e.stride():
        return f"The values for attribute 'stride()' do not match: {a.stride()} != {e.stride()}{item}."
    rtol, atol = tolerances or (
        max(_TOLERANCES.get(t.dtype.name, (0.0, 0.0))[i] for t in (a, e)) for i in (0, 1)
    )
    x, y = (t.detach().to_dense().to(dtypes.float64 if t.dtype.is_floating_point else t.dtype).numpy() for t in (a, e))
    with np.errstate(all="ignore"):
        x, y = (d.astype(np.float64) if d.dtype != np.int64 or rtol or atol else d for d in (x, y))
        close = (x == y) | (np.isfinite(x) & np.isfinite(y) & (np.abs(x - y) <= atol + rtol * np.abs(y)))
        if equal_nan:
            close |= np.isnan(x) & np.isnan(y)
        if close.all():
            return None
        gap = np.where(close, 0.0, np.nan_to_num(np.abs(x - y), nan=math.inf))
    word = "close" if rtol or atol else "equal"
    if not close.ndim:
        return f"Scalars are not {word}!\n\nExpected {y.item()} but got {x.item()}{item} (rtol {rtol}, atol {atol})."
    at = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    wrong = int(close.size - close.sum())
    return (
        f"Tensor-likes are not {word}!\n\n"
        f"Mismatched elements: {wrong} / {close.size} ({100 * wrong / close.size:.1f}%)\n"
        f"Greatest absolute difference: {gap[at]} at index {at} (up to {atol} allowed, rtol {rtol})\n"
        f"Expected {y[at]} but got {x[at]}{item}."
    )


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """The old form of :func:`assert_close`: dtypes may differ, NaN equals NaN."""
    warnings.warn("`assert_allclose` is deprecated; use `assert_close` instead.", FutureWarning, stacklevel=2)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False, msg=msg or None
    )  # fmt: skip


def make_tensor(
    *shape, dtype, device="cpu", low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False,
    memory_format=None,
):  # fmt: skip
    """A tensor of uniform random numbers in [low, high).

    Args:
        shape: sizes, or one sequence of them.
        low, high: by default -9 and 9, for integers -9 (0 for unsigned ones) and 10; limited to the dtype's range.
        noncontiguous: whether elements are to lie apart in memory, where there are two or more.
        exclude_zero: put 1, or the smallest normal number, in the place of zeros.

    Raises:
        ValueError: low is not below high, one of them is NaN, or integers are to require a gradient.
    """
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = tuple(shape[0])
    floating = dtype.is_floating_point
    if requires_grad and not floating:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    if noncontiguous and memory_format is not None:
        raise ValueError("The parameters `noncontiguous` and `memory_format` are mutually exclusive")
    if dtype is dtypes.bool:
        lowest, highest, low, high = 0, 2, 0 if low is None else low, 2 if high is None else high
    else:
        limits = finfo(dtype) if floating else iinfo(dtype)
        lowest, highest = limits.min, limits.max + (not floating and dtype is not dtypes.int64)
        low, high = -9 if low is None else low, (9 if floating else 10) if high is None else high
    if math.isnan(low) or math.isnan(high) or low > high or (low == high and not floating):
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    low, high = (min(max(v, lowest), highest) for v in (low, high))
    apart = noncontiguous and math.prod(shape) > 1
    size = (*shape[:-1], 2 * shape[-1]) if apart else shape
    if not floating:
        result = randint(math.ceil(low), math.ceil(high), size, dtype=dtype, device=device)
    elif high - low >= finfo(dtype).max:
        result = empty(size, dtype=dtype, device=device).uniform_(low / 2, high / 2).mul_(2)
    else:
        result = empty(size, dtype=dtype, device=device).uniform_(low, high)
    if apart:
        result = result[..., 1::2]
    if exclude_zero:
        result[result == 0] = finfo(dtype).tiny if floating else 1
    return result.requires_grad_() if requires_grad else result
