"""Functions of two operands: angles, logarithms of sums, special functions, divisors."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..kernels import pointwise as kernels
from ..tensor import Tensor, wrap
from ._common import check_tensors
from ._elementwise import Rule, binary_op, by_numpy, run2
from .pointwise_unary import square


class Atan2(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        r = square(a) + square(b)
        return (g * (b / r)).masked_fill(r == 0, 0.0)

    def db(self, g, a, b, out):
        r = square(a) + square(b)
        return (g * (-a / r)).masked_fill(r == 0, 0.0)


class Hypot(Rule):
    __slots__ = ()
    uses_a, uses_b = "ao", "bo"

    def da(self, g, a, b, out):
        return g * (a / out)

    def db(self, g, a, b, out):
        return g * (b / out)


class Logaddexp(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return g * (a - b).sigmoid()

    def db(self, g, a, b, out):
        return g * (b - a).sigmoid()


class Logaddexp2(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return g * ((a - b) * np.log(2.0)).sigmoid()

    def db(self, g, a, b, out):
        return g * ((b - a) * np.log(2.0)).sigmoid()


class Copysign(Rule):
    __slots__ = ()
    uses_a = "ao"

    def da(self, g, a, b, out):
        return (g * (out / a)).masked_fill(a == 0, 0.0)

    def db(self, g, a, b, out):
        return g * 0.0


class Xlogy(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        b = b if isinstance(b, Tensor) else g * 0.0 + b
        return (g * b.log()).masked_fill((a == 0) & (b <= 0), 0.0)

    def db(self, g, a, b, out):
        return g * (a / b)


class SpecialXlog1Py(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def name(self):
        return "SpecialXlog1PyBackward0"

    def da(self, g, a, b, out):
        b = b if isinstance(b, Tensor) else g * 0.0 + b
        return (g * b.log1p()).masked_fill((a == 0) & (b <= -1), 0.0)

    def db(self, g, a, b, out):
        return g * (a / (b + 1.0))


class Heaviside(Rule):
    __slots__ = ()


class Nextafter(Rule):
    __slots__ = ()
    uses_a = "ab"

    def da(self, g, a, b, out):
        return g.masked_fill(a == b, 0.0)

    def db(self, g, a, b, out):
        return g * 0


class Igamma(Rule):
    __slots__ = ()
    uses_b = "ab"
    sign = 1.0

    def db(self, g, a, b, out):
        return g * ((a - 1.0) * b.log() - b - a.lgamma()).exp() * self.sign


class Igammac(Igamma):
    __slots__ = ()
    sign = -1.0


def _integer_heaviside(x, y):
    return np.where(x == 0, y, (x > 0).astype(x.dtype))


atan2 = binary_op(
    "atan2", kernels.atan2_forward, None, Atan2,
    "The angle of the point (other, input) seen from the origin, in (-pi, pi].",
    always_float=True, numbers="",
)  # fmt: skip
hypot = binary_op("hypot", kernels.hypot_forward, None, Hypot, "sqrt(input^2 + other^2).", numbers="")
logaddexp = binary_op(
    "logaddexp",
    kernels.logaddexp_forward,
    None,
    Logaddexp,
    "log(e^input + e^other), without overflow.",
    numbers="",
)
logaddexp2 = binary_op(
    "logaddexp2",
    kernels.logaddexp2_forward,
    None,
    Logaddexp2,
    "log2(2^input + 2^other), without overflow.",
    numbers="",
)
copysign = binary_op(
    "copysign", kernels.copysign_forward, None, Copysign, "|input| with the sign of other.",
    always_float=True, numbers="other")  # fmt: skip
xlogy = binary_op(
    "xlogy",
    kernels.xlogy_forward,
    None,
    Xlogy,
    "input * log(other); 0 where input is 0.",
    always_float=True,
)
xlog1py = binary_op(
    "xlog1py", kernels.xlog1py_forward, None, SpecialXlog1Py, "input * log(1 + other); 0 where input is 0.",
    always_float=True,
)  # fmt: skip
_heaviside = binary_op(
    "heaviside", kernels.heaviside_forward, _integer_heaviside, Heaviside,
    "0 where input is negative, 1 where it is positive, other where it is zero.", numbers="")  # fmt: skip
igamma = binary_op(
    "igamma", kernels.igamma_forward, None, Igamma,
    "Regularised lower incomplete gamma function P(input, other), input > 0, other >= 0.",
    numbers="",
)  # fmt: skip
igammac = binary_op(
    "igammac", kernels.igammac_forward, None, Igammac,
    "Regularised upper incomplete gamma function Q(input, other) = 1 - P(input, other).",
    numbers="",
)  # fmt: skip
gammainc, gammaincc, arctan2 = igamma, igammac, atan2


def heaviside(input, values, *, out=None):
    """The step function: 0 where ``input < 0``, 1 where ``input > 0``, and ``values`` where it is 0.

    Args:
        input, values: tensors of one dtype; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast, in their dtype.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    return _heaviside(input, values, out=out)


def nextafter(input, other, *, out=None):
    """The next floating-point number after input in the direction of other.

    Args:
        input, other: tensors that promote to a floating-point dtype; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast.

    Raises:
        TypeError: an operand is not a tensor.
        NotImplementedError: the dtype is not a floating-point one.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    check_tensors("nextafter", input=input, other=other)
    kind = input._data.dtype
    if out is None and kind is other._data.dtype and kind in dtypes.COMPUTE:
        result = wrap(run2(kernels.nextafter_forward, input._data, other._data))
    else:
        result = by_numpy("nextafter", np.nextafter, input, other, out, (2,))
    if mode.grad and (input._rg or other._rg):
        Nextafter(input, other).record(input, other, result)
    return result


def gcd(input, other, *, out=None):
    """The greatest common divisor of input and other, element by element; 0 for two zeros.

    Args:
        input, other: tensors of integer dtypes; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast; the dtype is that to which theirs promote.

    Raises:
        TypeError: an operand is not a tensor.
        NotImplementedError: the dtype is not an integer one.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    check_tensors("gcd", input=input, other=other)
    return by_numpy("gcd", np.gcd, input, other, out, (1,))


def lcm(input, other, *, out=None):
    """The least common multiple of input and other, |input other| / gcd(input, other), element by element; 0 where
    either is.

    Args:
        input, other: tensors of integer dtypes; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast; the dtype is that to which theirs promote.

    Raises:
        TypeError: an operand is not a tensor.
        NotImplementedError: the dtype is not an integer one.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    check_tensors("lcm", input=input, other=other)
    return by_numpy("lcm", np.lcm, input, other, out, (1,))
