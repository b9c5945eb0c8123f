"""Initial values of parameters. Every function changes its tensor in place, unrecorded, and returns it.

The streams of random numbers are PyTorch's: one seed gives the same weights in both libraries.
"""

import functools
import inspect
import math
import warnings

import numpy as np

from ..autograd.grad_mode import no_grad
from ..kernels._copy import fill as _fill
from ..ops.creation import check_number
from ..ops.factor import qr_arrays as _qr_arrays
from ..ops.random import normal_ as _fill_normal
from ..ops.random import uniform_ as _fill_uniform
from ..ops.sampling import randperm
from ..tensor import wrap

_LINEAR = {
    "linear",
    "sigmoid",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
}


def _write(tensor, values):
    with no_grad():
        tensor._check_inplace()
        if isinstance(values, int | float):
            _fill(tensor._data, values)
        else:
            np.copyto(tensor._data, values, casting="unsafe")
        tensor._bump()
    return tensor


def calculate_gain(nonlinearity, param=None):
    """The factor by which a nonlinearity asks for larger weights.

    1 for linear and convolution layers and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for
    leaky_relu, 3/4 for selu.

    Args:
        nonlinearity: its name in ``tnn.nn.functional``.
        param: the negative slope of leaky_relu, by default 0.01.

    Raises:
        ValueError: the name is not known, or the slope is no number.

    >>> calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        if isinstance(param, bool) or not isinstance(param, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


# ---------------------------------------------------------------- one distribution, one value


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fills the tensor with uniform numbers of [a, b).

    Args:
        tensor: the tensor to fill, of a floating-point dtype and any shape; it is returned.
        a, b: the bounds.
        generator: where the numbers come from; the default generator if None.

    Raises:
        RuntimeError: ``a`` is larger than ``b``.

    >>> import tnn
    >>> tnn.nn.init.uniform_(tnn.empty(3, 5), -1, 1).shape
    tnn.Size([3, 5])
    """
    with no_grad():
        return _fill_uniform(tensor, a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fills the tensor with normal numbers.

    Args:
        tensor: the tensor to fill, of a floating-point dtype and any shape; it is returned.
        mean, std: of the distribution.
        generator: where the numbers come from; the default generator if None.

    Raises:
        RuntimeError: ``std`` is negative.
    """
    with no_grad():
        return _fill_normal(tensor, mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fills the tensor with normal numbers that lie within [a, b].

    Where the interval holds more than 0.3 of the distribution, numbers outside are drawn again; else uniform candidates
    are accepted with the density at their place, relative to its peak.

    Warns:
        UserWarning: the mean lies more than 2 std outside [a, b].

    Args:
        tensor: the tensor to fill, of a floating-point dtype and any shape; it is returned.
        mean, std: of the distribution before it is cut.
        a, b: the bounds.
        generator: where the numbers come from; the default generator if None.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )

    def cdf(x):
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    draw = _redraw_outside if cdf(b) - cdf(a) > 0.3 else _accept_by_density
    return _write(tensor, draw(tensor._data, mean, std, a, b, generator))


def _redraw_outside(data, mean, std, a, b, generator):
    low, high = np.asarray(a, data.dtype), np.asarray(b, data.dtype)

    def draw():
        return _fill_normal(wrap(np.empty_like(data)), mean, std, generator=generator)._data

    values = draw()
    outside = (values < low) | (values > high)
    while outside.any():
        values = np.where(outside, draw(), values)
        outside = (values < low) | (values > high)
    return values


def _accept_by_density(data, mean, std, a, b, generator):
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2

    def draw(low=0.0, high=1.0):
        return _fill_uniform(wrap(np.empty_like(data)), low, high, generator=generator)._data

    def rejected():
        chance = np.log(draw())
        # In the tensor's dtype, step by step, so that the same candidates are taken as in PyTorch.
        one = data.dtype.type
        density = ((candidates - one(mean)) / one(std)) ** 2 * one(-0.5) - one(peak)
        return chance > density

    with np.errstate(divide="ignore"):
        values = candidates = draw(a, b)
        pending = rejected()
        while pending.any():
            candidates = draw(a, b)
            values = np.where(pending, candidates, values)
            pending = pending & rejected()
    return values


def constant_(tensor, val):
    """Fills the tensor with one value.

    Args:
        tensor: the tensor to fill, of any dtype and shape; it is returned.
        val: a number.

    Raises:
        TypeError: ``val`` is no number.
        RuntimeError: it does not fit an integer dtype.
    """
    return _write(tensor, check_number(val, tensor.dtype, "constant_"))


def ones_(tensor):
    """Fills the tensor with ones.

    Args:
        tensor: the tensor to fill, of any dtype and shape; it is returned.
    """
    return _write(tensor, 1)


def zeros_(tensor):
    """Fills the tensor with zeros.

    Args:
        tensor: the tensor to fill, of any dtype and shape; it is returned.
    """
    return _write(tensor, 0)


# ---------------------------------------------------------------- structured values


def eye_(tensor):
    """Fills a matrix with the identity.

    Args:
        tensor: (n, m), of any dtype; it is returned.

    Raises:
        ValueError: the tensor has not two dimensions.
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    with no_grad():
        zeros_(tensor)
        np.fill_diagonal(tensor._data, 1)
    return tensor


def dirac_(tensor, groups=1):
    """Fills the weights of a convolution with the identity: as many input channels as possible pass unchanged.

    Args:
        tensor: (out_channels, in_channels, *kernel) with one to three kernel dimensions.
        groups: groups of output channels that are identities of their own.

    Raises:
        ValueError: another number of dimensions, or out_channels is not divisible by groups.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {list(tensor.shape)}")
    shape = tuple(tensor.shape)
    if shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {shape[0]} and groups={groups}")
    values = np.zeros(shape)
    each = shape[0] // groups
    centre = tuple(n // 2 for n in shape[2:])
    for g in range(groups):
        for i in range(min(each, shape[1])):
            values[(g * each + i, i, *centre)] = 1
    return _write(tensor, values)


def orthogonal_(tensor, gain=1, generator=None):
    """Fills the tensor with a random (semi-)orthogonal matrix times ``gain``; dimensions after the first count as one.

    The matrix is Q of the QR decomposition of normal numbers, with signs that make R's diagonal positive. From: Saxe et
    al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2013; Mezzadri, How to
    generate random matrices from the classical compact groups, 2006.

    Args:
        tensor: the tensor to fill, of a floating-point dtype and at least two dimensions; it is returned.
        gain: a factor.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: the tensor has less than two dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got shape {list(tensor.shape)}")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    flat = _fill_normal(wrap(np.empty((rows, tensor.numel() // rows), tensor._data.dtype)), generator=generator)._data
    wide = flat.shape[0] < flat.shape[1]
    q, r = _qr_arrays("orthogonal_", flat.T if wide else flat, "reduced")
    q = q * np.sign(np.diagonal(r))
    values = q.T if wide else q
    return _write(tensor, values.reshape(tensor.shape) * values.dtype.type(gain))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fills a matrix with normal numbers, and sets the fraction ``sparsity`` of every column to zero.

    From: Martens, Deep learning via Hessian-free optimization, 2010.

    Args:
        tensor: (n, m), of a floating-point dtype; it is returned.
        sparsity: between 0 and 1.
        std: of the numbers that are not zero.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: the tensor has not two dimensions.
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {list(tensor.shape)}")
    rows, cols = tensor.shape
    n = math.ceil(sparsity * rows)
    normal_(tensor, 0, std, generator)
    for j in range(cols):
        tensor._data[randperm(rows)._data[:n], j] = 0
    return tensor


# ---------------------------------------------------------------- scaled by the number of connections


def _calculate_fan_in_and_fan_out(tensor):
    """How many inputs a unit has, and how many outputs an input reaches."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, "
            f"got shape {list(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor, mode):
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fills the tensor with uniform numbers of [-c, c), c = gain sqrt(6 / (fan_in + fan_out)).

    From: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.

    Args:
        tensor: the tensor to fill, of a floating-point dtype and at least two dimensions; it is returned.
        gain: a factor, as :func:`calculate_gain` gives it.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: the tensor has less than two dimensions.
    """
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fills the tensor with normal numbers of std gain sqrt(2 / (fan_in + fan_out)).

    From: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.

    Args:
        tensor: the tensor to fill, of a floating-point dtype and at least two dimensions; it is returned.
        gain: a factor, as :func:`calculate_gain` gives it.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: the tensor has less than two dimensions.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor)))), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def _warn_if_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills the tensor with uniform numbers of [-c, c), c = gain sqrt(3 / fan).

    From: He et al., Delving deep into rectifiers, 2015.

    Args:
        tensor: weights of at least two dimensions: outputs, inputs, kernel.
        a: the negative slope, for leaky_relu.
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
        nonlinearity: what follows the layer; see :func:`calculate_gain`.
        generator: where the numbers come from.

    Raises:
        ValueError: the tensor has less than two dimensions, or a name is not known.
    """
    if _warn_if_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills the tensor with normal numbers of std gain / sqrt(fan).

    From: He et al., Delving deep into rectifiers, 2015.

    Args:
        tensor: the tensor to fill, of a floating-point dtype and at least two dimensions; it is returned.
        a: the negative slope of the leaky relu that follows.
        mode: ``"fan_in"`` or ``"fan_out"``: whose number of connections is the fan.
        nonlinearity: what follows, a name as :func:`calculate_gain` takes it.
        generator: where the numbers come from; the default generator if None.

    Raises:
        ValueError: fewer than two dimensions, another mode or another nonlinearity.
    """
    if _warn_if_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


# ---------------------------------------------------------------- old names


# Older names of the same, which layers outside this package import.
_no_grad_uniform_, _no_grad_normal_, _no_grad_trunc_normal_ = uniform_, normal_, trunc_normal_
_no_grad_fill_, _no_grad_zero_ = constant_, zeros_


def _old_name(function):
    name = function.__name__[:-1]

    @functools.wraps(function)
    def deprecated(*args, **kwargs):
        warnings.warn(
            f"`nn.init.{name}` is now deprecated in favor of `nn.init.{function.__name__}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = name
    doc = inspect.cleandoc(function.__doc__).partition(">>>")[0].rstrip()
    deprecated.__doc__ = f"Old name of :func:`{function.__name__}`.\n\n{doc}"
    return deprecated


uniform = _old_name(uniform_)
normal = _old_name(normal_)
constant = _old_name(constant_)
eye = _old_name(eye_)
dirac = _old_name(dirac_)
xavier_uniform = _old_name(xavier_uniform_)
xavier_normal = _old_name(xavier_normal_)
kaiming_uniform = _old_name(kaiming_uniform_)
kaiming_normal = _old_name(kaiming_normal_)
orthogonal = _old_name(orthogonal_)
sparse = _old_name(sparse_)
