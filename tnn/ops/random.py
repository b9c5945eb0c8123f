"""Filling a tensor with random numbers in place. New random tensors are in ``sampling.py``.

Every function takes ``generator=``, a :class:`tnn.Generator`; the default one is used otherwise.
"""

import operator

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import random as kernels
from ..kernels._pool import empty as _empty
from ..random import Generator, current_generator
from ..tensor import Tensor
from ._common import F32, F64, HALF, in_memory_order
from .cast import convert

# ---------------------------------------------------------------- what the fillers share


def generator_of(function, generator):
    """The generator to draw from: the default one for None.

    Raises:
        TypeError: it is no Generator.
    """
    if generator is None:
        return current_generator()
    if not isinstance(generator, Generator):
        raise TypeError(f"{function}(): argument 'generator' must be tnn.Generator, not {type(generator).__name__}")
    return generator


def _fill(data, draw, np_dtype=None):
    """Runs ``draw(flat)`` on a flat array over the memory of ``data``, or on a buffer that is copied there: numbers are
    drawn in the order that the elements have in memory."""
    ordered, _ = in_memory_order(data)
    if ordered.flags.c_contiguous and (np_dtype is None or np_dtype == data.dtype):
        draw(ordered.reshape(-1))
        return
    flat = _empty((data.size,), data.dtype if np_dtype is None else np_dtype)
    draw(flat)
    ordered[...] = convert(flat, data.dtype).reshape(ordered.shape)


class RandomFill(Node):
    """A tensor that was overwritten with numbers: nothing flows back from them."""

    __slots__ = ()

    def backward(self, grad):
        return ()


def _changed(tensor):
    tensor._bump()
    if mode.grad and tensor._rg:
        tensor._rebase(RandomFill(), 0)
    return tensor


def not_implemented(kernel, dtype):
    """The exception of a kernel that does not take a dtype."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{dtype.torch_name}'")


# ---------------------------------------------------------------- uniform and normal


def _fill_uniform(data, low, high, g):
    fill = kernels.uniform64_forward if data.dtype == F64 else kernels.uniform32_forward
    if data.dtype not in HALF:
        _fill(data, lambda flat: fill(g._state, flat, low, high))
        return

    def draw(flat):
        fill(g._state, flat, low, high)
        # Rounding to half precision may reach the excluded end.
        ends = convert(np.array([low, high], F32), data.dtype).astype(F32)
        flat[convert(flat, data.dtype).astype(F32) == ends[1]] = ends[0]

    _fill(data, draw, F32)


def uniform_(self, from_=0.0, to=1.0, *, generator=None, **kw):
    """Fills the tensor with uniform numbers of [from, to).

    Args:
        from_, to: the bounds; ``from`` is the first one's name in a call.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        TypeError: a bound is no number, or ``generator`` no Generator.
        RuntimeError: from > to, or out of the dtype's range.
        NotImplementedError: the tensor is not of a floating-point dtype.
    """
    low, high = float(kw.pop("from", from_)), float(to)
    if kw:
        raise TypeError(f"uniform_() got an unexpected keyword argument {next(iter(kw))!r}")
    g = generator_of("uniform_", generator)
    self._check_inplace()
    d = self.dtype
    if d.kind != 2:
        raise not_implemented("check_uniform_bounds", d)
    limit = dtypes.finfo(d).max
    for name, value in (("from", low), ("to", high)):
        if not abs(value) <= limit:
            raise RuntimeError(f"uniform_: {name}={value} is out of bounds for {d.name}")
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    if high - low > limit:
        raise RuntimeError(f"uniform_ expects to - from <= {limit} ({d.name}), but found to={high} and from={low}")
    if self._data.size:
        _fill_uniform(self._data, low, high, g)
    return _changed(self)


def _fill_normal(data, mean, std, g):
    if data.size < 16 or not data.flags.c_contiguous:
        _fill(data, lambda flat: kernels.normal_scalar_forward(g._state, g._cache, flat, mean, std), F64)
        return
    flat = data.reshape(-1)
    if data.dtype not in HALF:
        fill = kernels.normal32_forward if data.dtype == F32 else kernels.normal64_forward
        fill(g._state, flat, mean, std)
        return
    # Whole groups of 16 first, then the last 16 anew.
    buffer = _empty((data.size,), F32)
    kernels.normal32_forward(g._state, buffer[: data.size // 16 * 16], mean, std)
    if data.size % 16:
        kernels.normal32_forward(g._state, buffer[-16:], mean, std)
    flat[:] = convert(buffer, data.dtype)


def normal_(self, mean=0.0, std=1.0, *, generator=None):
    """Fills the tensor with normal numbers: of density exp(-(x - mean)^2 / (2 std^2)) / (std sqrt(2 pi)).

    Args:
        mean, std: numbers, ``std`` not negative.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: std < 0.
        NotImplementedError: the tensor is not of a floating-point dtype.
    """
    g = generator_of("normal_", generator)
    self._check_inplace()
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if self.dtype.kind != 2:
        raise not_implemented("normal_kernel_cpu", self.dtype)
    if self._data.size:
        _fill_normal(self._data, float(mean), float(std), g)
    return _changed(self)


# ---------------------------------------------------------------- further distributions


def _transform_(self, name, kind, a, b, generator):
    g = generator_of(name, generator)
    self._check_inplace()
    draw = kernels.transform_forward
    if self._data.size:
        _fill(self._data, lambda flat: draw(g._state, g._cache, flat, kind, float(a), float(b)), F64)
    return _changed(self)


def exponential_(self, lambd=1.0, *, generator=None):
    """Fills the tensor with numbers of density lambd exp(-lambd x).

    Args:
        lambd: a number above 0.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: lambd <= 0, or the tensor is not of a floating-point dtype.
    """
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    if self.dtype.kind != 2:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype.torch_name}"
        )
    g = generator_of("exponential_", generator)
    self._check_inplace()
    if self._data.size:
        kind = self._data.dtype
        _fill(
            self._data,
            lambda flat: kernels.exponential_forward(g._state, flat, float(lambd), False),
            F64 if kind in HALF else kind,
        )
    return _changed(self)


def cauchy_(self, median=0.0, sigma=1.0, *, generator=None):
    """Fills the tensor with numbers of density sigma / (pi (sigma^2 + (x - median)^2)).

    Args:
        median, sigma: numbers, ``sigma`` above 0.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: sigma <= 0, or the tensor is not of a floating-point dtype.
    """
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    if self.dtype.kind != 2:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {self.dtype.torch_name}"
        )
    return _transform_(self, "cauchy_", kernels.CAUCHY, median, sigma, generator)


def log_normal_(self, mean=1.0, std=2.0, *, generator=None):
    """Fills the tensor with the exponentials of normal numbers.

    Args:
        mean, std: of the logarithms, ``std`` above 0.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: std <= 0.
        NotImplementedError: the tensor is not of a floating-point dtype.
    """
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    if self.dtype.kind != 2:
        raise not_implemented("log_normal_cpu", self.dtype)
    return _transform_(self, "log_normal_", kernels.LOG_NORMAL, mean, std, generator)


def geometric_(self, p, *, generator=None):
    """Fills the tensor with k = 1, 2, ... of probability (1 - p)^(k - 1) p.

    Args:
        p: a number within (0, 1).
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: p is not within (0, 1).
        NotImplementedError: the tensor is of dtype bool.
    """
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    if self.dtype.kind == 0:
        raise not_implemented("geometric_cpu", self.dtype)
    return _transform_(self, "geometric_", kernels.GEOMETRIC, p, 0.0, generator)


# ---------------------------------------------------------------- integers

# Numbers of mantissa bits: the integers that a floating-point dtype counts without gaps.
DIGITS = {dtypes.float64: 53, dtypes.float32: 24, dtypes.float16: 11, dtypes.bfloat16: 8}


def _fill_integers(data, span, low, wide, g):
    draw = kernels.integers_forward
    _fill(data, lambda flat: draw(g._state, flat, np.uint64(span), low, wide), dtypes.int64.np)


def _bounds(d, low, high):
    """A range [low, high) for floating point: its ends move to numbers that do not round out of it."""
    digits = DIGITS[d]

    def rounded(x):
        return int(convert(np.array(x, F64), d.np))

    if rounded(low + 1) < low:
        low = rounded(low + 1) + (1 << (abs(low + 1).bit_length() - digits))
    if rounded(high - 1) >= high:
        high = rounded(high - 1) - (1 << (abs(high - 1).bit_length() - digits))
    return low, high


def _check_fits(d, low, last):
    if d.kind == 2:
        limit = dtypes.finfo(d).max
        least = -limit
    else:
        least, limit = (0, 1) if d.kind == 0 else (np.iinfo(d.np).min, np.iinfo(d.np).max)
    for name, value in (("from", low), ("to - 1", last)):
        if not least <= value <= limit:
            raise RuntimeError(f"{name} is out of bounds for {d.name}: expected [{least}, {limit}], but got {value}")


def random_(self, *args, generator=None, **kw):
    """Fills the tensor with integers: ``random_()`` of [0, largest], ``random_(to)`` of [0, to), ``random_(from, to)``
    of [from, to). The largest is the integer dtype's, and 2^mantissa for floating point.

    Args:
        args: nothing, ``to``, or ``from`` and ``to``: integers, also by these names.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: from >= to, or out of the dtype's range.
    """
    g = generator_of("random_", generator)
    self._check_inplace()
    if len(args) == 1:
        low, high = 0, args[0]
    else:
        low, high = (*args, kw.pop("from", None), None)[0], (*args[1:], kw.pop("to", None))[0]
    data, d = self._data, self.dtype
    if low is None and high is None:
        if d.kind == 2:
            span, wide = (1 << DIGITS[d]) + 1, d is dtypes.float64
        else:
            span, wide = 2 if d.kind == 0 else int(np.iinfo(d.np).max) + 1, d is dtypes.int64
        if data.size:
            _fill_integers(data, span, 0, wide, g)
        return _changed(self)
    low = 0 if low is None else operator.index(low)
    if high is None:
        if low == -(2**63):
            if data.size:
                _fill_integers(data, 0, 0, True, g)
            return _changed(self)
        last = 1 << DIGITS[d] if d.kind == 2 else 1 if d.kind == 0 else int(np.iinfo(d.np).max)
        high = last + 1
    else:
        high = operator.index(high)
        if low >= high:
            raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
        if d.kind == 2:
            low, high = _bounds(d, low, high)
    _check_fits(d, low, high - 1)
    if data.size:
        span = high - low
        _fill_integers(data, span % 2**64, low, span >= 2**28, g)
    return _changed(self)


# ---------------------------------------------------------------- bernoulli


def _bernoulli_of(p, size, g):
    """0 and 1 (uint8[size]) for probabilities ``p``, a flat float array, or one float."""
    out = _empty((size,), np.uint8)
    if isinstance(p, float):
        kernels.bernoulli_forward(g._state, out, p)
        return out
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError("bernoulli expects every probability to be in [0, 1]")
    (kernels.bernoulli64_forward if p.dtype == F64 else kernels.bernoulli32_forward)(g._state, out, p)
    return out


def _fill_bernoulli(data, p, g):
    ordered, turned = in_memory_order(data)
    if not isinstance(p, float):
        p = np.broadcast_to(p, data.shape)
        if turned is not None:
            p = p.transpose(np.argsort(turned))
        p = np.ascontiguousarray(p).reshape(-1)
        p = convert(p, F32) if p.dtype in HALF else p
    ordered[...] = _bernoulli_of(p, data.size, g).reshape(ordered.shape)


def bernoulli_(self, p=0.5, *, generator=None):
    """Fills the tensor with 1 with probability ``p`` (a number or a tensor that broadcasts), else 0.

    Args:
        p: a number in [0, 1], or a floating-point tensor of them that broadcasts.
        generator: where the numbers come from; the default generator if None.

    Shape:
        kept.

    Raises:
        RuntimeError: a probability is outside [0, 1].
        NotImplementedError: ``p`` is a tensor of integers.
    """
    g = generator_of("bernoulli_", generator)
    self._check_inplace()
    if isinstance(p, Tensor):
        if p.dtype.kind != 2:
            raise not_implemented("bernoulli_tensor_cpu_p_", p.dtype)
        p = p._data
    else:
        p = float(p)
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    if self._data.size:
        _fill_bernoulli(self._data, p, g)
    return _changed(self)
