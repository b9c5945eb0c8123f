"""New random tensors. What fills a tensor in place is in ``random.py``.

Every function takes ``generator=``, a :class:`tnn.Generator`; the default one is used otherwise.
"""

import math
import operator

import numpy as np

from .. import dtypes
from ..autograd.node import Node
from ..kernels import random as kernels
from ..kernels._pool import empty as _empty
from ..random import current_generator
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_tensor, into, recording
from .cast import convert
from .creation import dtype_for, finish, like, shape_of, size_keyword
from .random import DIGITS, bernoulli_, generator_of, normal_, not_implemented, random_, uniform_
from .shape import broadcast_shapes
from .sort import topk


class Bernoulli(Node):
    __slots__ = ("shapes",)

    def backward(self, grad):
        zeros = tuple(grad.new_zeros(shape) for shape in self.shapes)
        return zeros if len(zeros) > 1 else zeros[0]


class Poisson(Bernoulli):
    __slots__ = ()


class Normal(Bernoulli):
    __slots__ = ()


def _no_gradient(node_class, out, *parameters):
    # A draw's gradient with respect to its parameters counts as zero.
    if recording(*parameters) and out.dtype.is_floating_point:
        node = node_class(*parameters)
        node.shapes = [t._data.shape for t in parameters]
        node.attach(out)
    return out


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probability at its place in ``input`` (or ``p``, a number), else 0; of the dtype of ``input``.

    Args:
        input: probabilities in [0, 1], floating point; with ``p`` any tensor.
        p: a number in [0, 1], or None.
        generator: where the numbers come from; the default generator if None.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: a probability is outside [0, 1].
        NotImplementedError: ``input`` holds integers.
    """
    check_tensor("bernoulli", "input", input, 1)
    result = wrap(_empty(input._data.shape, input._data.dtype))
    bernoulli_(result, input.detach() if p is None else p, generator=generator)
    return into(out, _no_gradient(Bernoulli, result, input), "bernoulli", input)


def binomial(count, prob, generator=None):
    """Numbers of successes among ``count`` trials of probability ``prob``.

    Args:
        count, prob: tensors of one floating-point dtype; their shapes broadcast.
        generator: where the numbers come from; the default generator if None.

    Shape:
        that to which both broadcast.

    Raises:
        TypeError: an argument is no tensor.
        RuntimeError: the dtypes differ, or a number is NaN or infinite, or the shapes do not broadcast.
        NotImplementedError: the dtype is not of floating point.
    """
    check_tensor("binomial", "count", count, 1)
    check_tensor("binomial", "prob", prob, 2)
    g = generator_of("binomial", generator)
    if prob.dtype.kind != 2:
        raise not_implemented("binomial_cpu", prob.dtype)
    if count.dtype is not prob.dtype:
        raise RuntimeError(f"binomial: expected count and prob of one dtype, got {count.dtype} and {prob.dtype}")
    shape = broadcast_shapes(count._data.shape, prob._data.shape)
    n, p = (np.array(np.broadcast_to(convert(t._data, F64), shape)) for t in (count, prob))
    if not (np.isfinite(n) & np.isfinite(p)).all():
        raise RuntimeError("binomial: count and prob must be finite")
    drawn = _empty(n.shape, F64)
    kernels.binomial_forward(g._state, n.reshape(-1), p.reshape(-1), prob._data.dtype != F64, drawn.reshape(-1))
    return wrap(convert(drawn, prob._data.dtype))


def poisson(input, generator=None):
    """Poisson numbers with the rates in ``input``, of its dtype.

    Args:
        input: rates, not negative, floating point.
        generator: where the numbers come from; the default generator if None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: a rate is negative.
        NotImplementedError: ``input`` is not of a floating-point dtype.
    """
    check_tensor("poisson", "input", input, 1)
    g = generator_of("poisson", generator)
    d = input._data
    if input.dtype.kind != 2:
        raise not_implemented("poisson_cpu", input.dtype)
    rate = convert(d, F64)
    if not (rate >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    drawn = _empty(rate.shape, F64)
    kernels.poisson_forward(g._state, rate.reshape(-1), drawn.reshape(-1))
    return _no_gradient(Poisson, wrap(convert(drawn, d.dtype)), input)


# ---------------------------------------------------------------- multinomial


def _check_weights(p):
    if not ((p >= 0) & (p < math.inf)).all():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (p.sum(-1) == 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Categories drawn with the weights in ``input``.

    Args:
        input: weights >= 0, of shape [categories] or [rows, categories]; they need not add up to 1; floating point.
        num_samples: how many to draw (from each row).
        replacement: whether a category may be drawn more than once.
        generator: where the numbers come from; the default generator if None.
        out: tensor to write the result to, or None.

    Returns:
        int64 numbers of categories, [num_samples] or [rows, num_samples].

    Raises:
        RuntimeError: more samples than categories without replacement; weights that are negative, not finite or all
            zero; another number of dimensions or dtype, or ``out`` cannot hold the result.
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("multinomial", "input", input, 1)
    g = generator_of("multinomial", generator)
    d = input._data
    if d.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, but got shape {list(d.shape)}")
    if input.dtype.kind != 2:
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {input.dtype.torch_name}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got num_samples={num_samples}")
    categories = d.shape[-1]
    if not replacement and num_samples > categories:
        raise RuntimeError(
            f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {num_samples} > {categories}"
        )
    if categories > 2**24:
        raise RuntimeError(f"number of categories cannot exceed 2^24, got {categories}")
    p = convert(d, F32) if d.dtype in HALF else np.ascontiguousarray(d)
    p = p.reshape(-1, categories)
    result = _empty((p.shape[0], num_samples), np.int64)
    if result.size:
        _check_weights(p)
        if replacement and num_samples > 1:
            kernels.multinomial_forward(g._state, p, _empty((categories,), p.dtype), result)
        else:
            # The order of p / q with q exponential is a draw without replacement (the Gumbel trick).
            q = _empty(p.shape, F64)
            kernels.exponential_forward(g._state, q.reshape(-1), 1.0, False)
            with np.errstate(divide="ignore", invalid="ignore"):
                score = (p / convert(q, d.dtype).astype(p.dtype)).astype(d.dtype).astype(p.dtype)
            # the largest ones, of equals the first; a NaN (0 / 0) comes last
            score[np.isnan(score)] = -1
            result[...] = topk(wrap(score), num_samples)[1]._data
    return into(out, wrap(result if d.ndim == 2 else result[0]), "multinomial")


# ---------------------------------------------------------------- new tensors


def rand(
    *size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, **kw
):
    """Uniform numbers of [0, 1).

    Args:
        size: the shape: integers, or one sequence of them.
        generator: where the numbers come from; the default generator if None.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, or another device than the CPU.
        NotImplementedError: the dtype is not a floating-point one.

    >>> import tnn
    >>> _ = tnn.manual_seed(0)
    >>> tnn.rand(2)
    tensor([0.4963, 0.7682])
    """
    if kw or generator is not None or out is not None or dtype is not None or device is not None:
        return _new("rand", uniform_, (), size, kw, generator, out, dtype, device, requires_grad)
    d = dtypes.get_default_dtype().np
    if d != F32 and d != F64:
        return _new("rand", uniform_, (), size, kw, generator, out, dtype, device, requires_grad)
    data = _empty(shape_of("rand", size), d)
    if data.size:
        fill = kernels.uniform32_forward if d == F32 else kernels.uniform64_forward
        fill(current_generator()._state, data.reshape(-1), 0.0, 1.0)
    return finish(data, requires_grad)


def randn(
    *size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, **kw
):
    """Normal numbers of mean 0 and variance 1.

    Args:
        size: the shape: integers, or one sequence of them.
        generator: where the numbers come from; the default generator if None.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, by default ``tnn.get_default_dtype()``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size is negative, or another device than the CPU.
        NotImplementedError: the dtype is not a floating-point one.
    """
    return _new("randn", normal_, (), size, kw, generator, out, dtype, device, requires_grad)


def _new(function, fill, args, size, keywords, generator, out, dtype, device, requires_grad, default=None):
    d = dtype_for(function, dtype, out, device, default)
    t = wrap(_empty(shape_of(function, size, size_keyword(keywords, function)), d.np))
    fill(t, *args, generator=generator)
    return finish(t._data, requires_grad, out, function)


def _integer(function, name, value):
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{function}(): argument '{name}' must be int, not {type(value).__name__}")
    return operator.index(value)


def _ends(function, args, keywords):
    """low and high from ``(high)`` or ``(low, high)``, each by position or by name."""
    args = list(args)
    low, high = keywords.pop("low", None), keywords.pop("high", None)
    if high is None and not args:
        raise TypeError(f"{function}() missing required argument 'high'")
    high = args.pop() if high is None else high
    low = args.pop() if low is None and args else low
    if args:
        raise TypeError(f"{function}() takes (low, high), but got {len(args)} more arguments")
    return _integer(function, "low", 0 if low is None else low), _integer(function, "high", high)


def randint(*args, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, **kw):
    """``randint(high, size)`` or ``randint(low, high, size)``: integers of [low, high), int64 by default.

    Args:
        args: high and size; or low, high and size: integers, and a sequence of them, also by these names; low is 0 by
            default.
        generator: where the numbers come from; the default generator if None.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, int64 by default.
        layout: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output ``size``.

    Raises:
        RuntimeError: low >= high, or out of the dtype's range.
        TypeError: an argument is no integer, or there is no size.
    """
    kw.pop("pin_memory", None)
    if "size" not in kw and len(args) > ("high" not in kw):
        *args, kw["size"] = args
    if not isinstance(kw.get("size"), tuple | list):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(kw.get('size')).__name__}")
    ends = _ends("randint", args, kw)
    default = dtypes.int64
    return _new("randint", random_, ends, (), kw, generator, out, dtype, device, requires_grad, default)


def randperm(
    n,
    *,
    generator=None,
    out=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """The integers 0 ... n - 1 in random order, int64 by default.

    Args:
        n: an integer.
        generator: where the numbers come from; the default generator if None.
        out: a tensor to write to, which takes the shape.
        dtype: the element type, int64 by default.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.

    Shape:
        output (n,).

    Raises:
        RuntimeError: n is negative, or too large for the dtype.
    """
    n = _integer("randperm", "n", n)
    g = generator_of("randperm", generator)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    d = dtype_for("randperm", dtype, out, device, dtypes.int64)
    if d.kind == 0:
        raise not_implemented("randperm", d)
    if n - 1 > (1 << DIGITS[d] if d.kind == 2 else int(np.iinfo(d.np).max)):
        raise RuntimeError(f"randperm: n={n} is too large for dtype {d.name}")
    data = _empty((n,), np.int64)
    # Beyond this, a 32-bit word modulo n would favour small numbers.
    kernels.permutation_forward(g._state, data, n >= (2**32 - 1) // 20)
    return finish(data if d is dtypes.int64 else convert(data, d.np), requires_grad, out, "randperm")


def normal(mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None, **kw):
    """Normal numbers with means and standard deviations that are tensors or numbers.

    Args:
        mean, std: tensors that broadcast together, or numbers.
        size: the shape, where both are numbers.
        generator, out, dtype, layout, device: as :func:`rand`.

    Shape:
        that to which mean and std broadcast, or ``size``.

    Raises:
        RuntimeError: a standard deviation is negative, or the shapes do not broadcast.
        TypeError: two numbers, and no size.
        NotImplementedError: ``out`` cannot hold the result.
    """
    kw.pop("pin_memory", None)
    requires_grad = kw.pop("requires_grad", False)
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if not isinstance(size, tuple | list):
            raise TypeError(f"normal(): argument 'size' must be tuple of ints, not {type(size).__name__}")
        args = (float(mean), float(std))
        return _new("normal", normal_, args, (tuple(size),), kw, generator, out, dtype, device, requires_grad)
    means = mean._data if isinstance(mean, Tensor) else np.asarray(mean, std._data.dtype)
    shape, d = means.shape, (mean if isinstance(mean, Tensor) else std).dtype
    if isinstance(std, Tensor):
        if std._data.size and not (std._data >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
        shape = np.broadcast_shapes(shape, std._data.shape)
    z = wrap(_empty(shape, d.np))
    if isinstance(std, Tensor):
        normal_(z, generator=generator)
        z._data *= std._data
    else:
        normal_(z, 0.0, std, generator=generator)
    z._data += means
    result = _no_gradient(Normal, z, *(t for t in (mean, std) if isinstance(t, Tensor)))
    return into(out, result, "normal.tensor", mean, std)


# ---------------------------------------------------------------- like another tensor


def _new_like(function, fill, args, input, dtype, device, requires_grad, memory_format, generator):
    check_tensor(function, "input", input, 1)
    d = dtype_for(function, dtype, None, device, input.dtype)
    t = wrap(like(input._data, d.np, memory_format))
    fill(t, *args, generator=generator)
    return finish(t._data, requires_grad)


def rand_like(
    input,
    *,
    generator=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
    pin_memory=False,
):
    """Uniform numbers of [0, 1) with the shape and dtype of ``input``.

    Args:
        input: the tensor to follow.
        generator: where the numbers come from; the default generator if None.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: another device than the CPU.
        NotImplementedError: the dtype is not a floating-point one.
    """
    return _new_like("rand_like", uniform_, (), input, dtype, device, requires_grad, memory_format, generator)


def randn_like(
    input,
    *,
    generator=None,
    dtype=None,
    layout=None,
    device=None,
    requires_grad=False,
    memory_format=None,
    pin_memory=False,
):
    """Normal numbers of mean 0 and variance 1 with the shape and dtype of ``input``.

    Args:
        input: the tensor to follow.
        generator: where the numbers come from; the default generator if None.
        dtype: the element type, by default that of ``input``.
        layout, pin_memory: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: another device than the CPU.
        NotImplementedError: the dtype is not a floating-point one.
    """
    return _new_like("randn_like", normal_, (), input, dtype, device, requires_grad, memory_format, generator)


def randint_like(
    input, *args, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, **kw
):
    """``randint_like(input, high)`` or ``randint_like(input, low, high)``: integers of [low, high) with the shape and
    dtype of ``input``.

    Args:
        input: the tensor to follow.
        args: high; or low and high: integers, also by these names; low is 0 by default.
        generator: where the numbers come from; the default generator if None.
        dtype: the element type, by default that of ``input``.
        layout: ignored.
        device: the CPU.
        requires_grad: whether gradients are computed for it.
        memory_format: ``tnn.contiguous_format``: row-major order; else the order of ``input``.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor, or a bound not an integer.
        RuntimeError: low >= high, or out of the dtype's range.
    """
    kw.pop("pin_memory", None)
    ends = _ends("randint_like", args, kw)
    if kw:
        raise TypeError(f"randint_like() got an unexpected keyword argument {next(iter(kw))!r}")
    return _new_like("randint_like", random_, ends, input, dtype, device, requires_grad, memory_format, generator)
