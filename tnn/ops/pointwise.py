"""Arithmetic of two operands, with broadcasting and type promotion."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..kernels import pointwise as kernels
from ..kernels import pointwise_unary as unary_kernels
from ..tensor import Tensor, wrap
from ._common import F32, F64, into
from ._elementwise import Rule, binary_op, by_numpy, inplace_operator, is_number, operator, promoted, run1, run2
from ._elementwise import result_type as result_type
from .pointwise_unary import square

_BROADCAST = """

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, or there is no such operation for the dtype.
    """


# ---------------------------------------------------------------------------------------------- + - * /


class Add(Rule):
    __slots__ = ()

    def da(self, g, a, b, out):
        return g

    db = da


class AddScaled(Rule):
    __slots__ = ("alpha",)

    def name(self):
        return "AddBackward0"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return g * self.alpha


class Sub(Rule):
    __slots__ = ()

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g


class Mul(Rule):
    __slots__ = ()
    uses_a, uses_b = "b", "a"

    def da(self, g, a, b, out):
        return g * b

    def db(self, g, a, b, out):
        return g * a


class Div(Rule):
    __slots__ = ()
    uses_a, uses_b = "b", "ab"

    def da(self, g, a, b, out):
        return g / b

    def db(self, g, a, b, out):
        return -g * ((a / b) / b)


class DivRounded(Rule):
    """Piecewise constant: zero gradients."""

    __slots__ = ()

    def name(self):
        return "DivBackward1"

    def da(self, g, a, b, out):
        return g * 0.0

    db = da


class FloorDivide(Rule):
    __slots__ = ()


def _no_zero(function):
    """Integer division that refuses a divisor of zero."""

    def divide(x, y):
        if not y.all():
            raise RuntimeError("ZeroDivisionError")
        return function(x, y)

    return divide


def _integer_trunc_divide(x, y):
    quotient = np.floor_divide(x, y)
    return np.where((quotient < 0) & (quotient * y != x), quotient + 1, quotient)


def _no_bool_minus(x, y):
    if x.dtype == np.bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator "
            "instead."
        )
    return np.subtract(x, y)


_add = binary_op("add", kernels.add_forward, np.add, Add, "input + other.")
_sub = binary_op("sub", kernels.sub_forward, _no_bool_minus, Sub, "input - other.")
mul = binary_op("mul", kernels.mul_forward, np.multiply, Mul, "input * other." + _BROADCAST)
true_divide = binary_op(
    "true_divide", kernels.div_forward, None, Div, "input / other; integers give floating point." + _BROADCAST,
    always_float=True,
)  # fmt: skip
floor_divide = binary_op(
    "floor_divide", kernels.floor_divide_forward, _no_zero(np.floor_divide), FloorDivide,
    "The largest integer up to input / other." + _BROADCAST,
)  # fmt: skip
_floor_rounded = binary_op("div", kernels.floor_divide_forward, _no_zero(np.floor_divide), DivRounded, "")
_trunc_rounded = binary_op("div", kernels.trunc_divide_forward, _no_zero(_integer_trunc_divide), DivRounded, "")


def _scaled(name, plain, input, other, alpha, out):
    if not is_number(alpha):
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    dtype = promoted(input, other)
    if isinstance(alpha, float) and dtype.kind < 2:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, bool) and dtype.kind > 0:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    sign = -1 if name == "sub" else 1
    both = isinstance(input, Tensor) and isinstance(other, Tensor)
    if not both or input._data.dtype is not other._data.dtype or input._data.dtype not in (F32, F64):
        return plain(input, mul(other, alpha) if isinstance(other, Tensor) else other * alpha, out=out)
    alpha = float(alpha) * sign
    result = wrap(run2(kernels.add_scaled_forward, input._data, other._data, alpha))
    if mode.grad and (input._rg or other._rg):
        node = AddScaled(input, other)
        node.alpha = alpha
        node.record(input, other, result)
    return result if out is None else into(out, result)


def add(input, other, *, alpha=1, out=None):
    """input + alpha * other.

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        alpha: number that multiplies ``other``.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, or ``alpha`` is not of the operands' kind.
    """
    if type(alpha) is int and alpha == 1:
        return _add(input, other, out=out)
    return _scaled("add", _add, input, other, alpha, out)


def sub(input, other, *, alpha=1, out=None):
    """input - alpha * other.

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        alpha: number that multiplies ``other``.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, both are of bool type, or ``alpha`` is not of the operands' kind.
    """
    if type(alpha) is int and alpha == 1:
        return _sub(input, other, out=out)
    return _scaled("sub", _sub, input, other, alpha, out)


def rsub(input, other, *, alpha=1):
    """other - alpha * input."""
    if not isinstance(other, Tensor):
        return _sub(other, input if alpha == 1 else mul(input, alpha))
    return sub(other, input, alpha=alpha)


def div(input, other, *, rounding_mode=None, out=None):
    """input / other, rounded if asked.

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        rounding_mode: None: true division, where integers give floating point; ``"trunc"``: rounded towards zero;
            ``"floor"``: rounded down. Both keep the operands' dtype.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast.

    Raises:
        RuntimeError: the rounding mode is another one, the shapes do not broadcast, or an integer is divided by zero.
    """
    if rounding_mode is None:
        return true_divide(input, other, out=out)
    if rounding_mode == "floor":
        return _floor_rounded(input, other, out=out)
    if rounding_mode == "trunc":
        return _trunc_rounded(input, other, out=out)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


subtract, multiply, divide = sub, mul, div


class Remainder(Rule):
    __slots__ = ()
    uses_b = "ab"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g * div(a, b, rounding_mode="floor")


class Fmod(Rule):
    __slots__ = ()
    uses_b = "ab"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g * div(a, b, rounding_mode="trunc")


remainder = binary_op(
    "remainder", kernels.remainder_forward, _no_zero(np.remainder), Remainder,
    "What input leaves when divided by other, with the sign of other: input - other * floor(input / other)." + _BROADCAST,
)  # fmt: skip
fmod = binary_op(
    "fmod", kernels.fmod_forward, _no_zero(np.fmod), Fmod,
    "What input leaves when divided by other, with the sign of input: input - other * trunc(input / other)." + _BROADCAST, numbers="other")  # fmt: skip


# ---------------------------------------------------------------------------------------------- powers


class Pow(Rule):
    __slots__ = ()
    uses_a, uses_b = "ab", "abo"

    def name(self):
        return "PowBackward1" if self.b is None or isinstance(self.b, tuple) else "PowBackward0"

    def da(self, g, a, b, out):
        if not isinstance(b, Tensor):
            return g * 0.0 if b == 0 else g * (pow(a, b - 1) * b)
        return (g * (b * pow(a, b - 1))).masked_fill(b == 0, 0.0)

    def db(self, g, a, b, out):
        if not isinstance(a, Tensor):
            return (g * out * np.log(a)) if a > 0 else (g * out * 0.0).masked_fill(b < 0, np.nan)
        zero = (a == 0) & (b >= 0)
        return (g * (out * a.log())).masked_fill(zero, 0.0)


def _integer_pow(x, y):
    if y.dtype.kind == "i" and (y < 0).any():
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return np.power(x, y)


_pow = binary_op("pow", kernels.pow_forward, _integer_pow, Pow, "")

# Exponents with a kernel of their own.
_POWERS = {
    2: unary_kernels.square_forward,
    3: unary_kernels.cube_forward,
    0.5: unary_kernels.sqrt_forward,
    -0.5: unary_kernels.rsqrt_forward,
    -1: unary_kernels.reciprocal_forward,
    -2: unary_kernels.inverse_square_forward,
}


def pow(input, exponent, *, out=None):
    """input to the power exponent: NaN for a negative number to a broken power.

    Args:
        input, exponent: tensors or numbers, at least one a tensor; their shapes broadcast.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        RuntimeError: the shapes do not broadcast, or an integer tensor is raised to a negative integer number.
    """
    if is_number(exponent) and isinstance(input, Tensor):
        kind = input._data.dtype
        kernel = _POWERS.get(exponent)
        if kernel is not None and (kind is F32 or kind is F64):
            result = wrap(run1(kernel, input._data))
            if input._rg and mode.grad:
                Pow(input, None).record(input, exponent, result)
            return result if out is None else into(out, result)
        if kind.kind in "iu" and isinstance(exponent, int | np.integer) and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _pow(input, exponent, out=out)


def float_power(input, exponent, *, out=None):
    """input to the power exponent, in float64.

    Args:
        input, exponent: tensors or numbers, at least one a tensor; their shapes broadcast.
        out: tensor to write the result to.
    """

    def double(x):
        return x.to(dtypes.float64) if isinstance(x, Tensor) else float(x)

    return pow(double(input), double(exponent), out=out)


def ldexp(input, other, *, out=None):
    """input * 2 ** other; integers give floating point."""
    return mul(input, pow(2.0, other), out=out)


# ---------------------------------------------------------------------------------------------- the larger, the smaller


class Maximum(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return (g * (1.0 - (a == b).to(g.dtype) * 0.5)).masked_fill(a < b, 0.0)

    def db(self, g, a, b, out):
        return (g * (1.0 - (a == b).to(g.dtype) * 0.5)).masked_fill(b < a, 0.0)


class Minimum(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return (g * (1.0 - (a == b).to(g.dtype) * 0.5)).masked_fill(a > b, 0.0)

    def db(self, g, a, b, out):
        return (g * (1.0 - (a == b).to(g.dtype) * 0.5)).masked_fill(b > a, 0.0)


class Fmax(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return g.masked_fill(~((a >= b) | b.isnan()), 0.0)

    def db(self, g, a, b, out):
        return g.masked_fill((a >= b) | b.isnan(), 0.0)


class Fmin(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return g.masked_fill(~((a <= b) | b.isnan()), 0.0)

    def db(self, g, a, b, out):
        return g.masked_fill((a <= b) | b.isnan(), 0.0)


maximum = binary_op(
    "maximum",
    kernels.maximum_forward,
    np.maximum,
    Maximum,
    "The larger element; NaN if either is." + _BROADCAST,
    numbers="",
)
minimum = binary_op(
    "minimum",
    kernels.minimum_forward,
    np.minimum,
    Minimum,
    "The smaller element; NaN if either is." + _BROADCAST,
    numbers="",
)
fmax = binary_op(
    "fmax",
    kernels.fmax_forward,
    np.maximum,
    Fmax,
    "The larger element; the other one where one is NaN." + _BROADCAST,
    numbers="",
)
fmin = binary_op(
    "fmin",
    kernels.fmin_forward,
    np.minimum,
    Fmin,
    "The smaller element; the other one where one is NaN." + _BROADCAST,
    numbers="",
)


# ---------------------------------------------------------------------------------------------- functions of two


class Atan2(Rule):
    __slots__ = ()
    uses_a = uses_b = "ab"

    def da(self, g, a, b, out):
        return g * (b / (square(a) + square(b)))

    def db(self, g, a, b, out):
        return g * (-a / (square(a) + square(b)))


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


class Igamma(Rule):
    __slots__ = ()
    uses_b = "ab"
    sign = 1.0

    def da(self, g, a, b, out):
        raise RuntimeError(f"{self.name()}: the derivative with respect to the first argument is not implemented")

    def db(self, g, a, b, out):
        return g * ((a - 1.0) * b.log() - b - a.lgamma()).exp() * self.sign


class Igammac(Igamma):
    __slots__ = ()
    sign = -1.0


def _integer_heaviside(x, y):
    return np.where(x == 0, y, (x > 0).astype(x.dtype))


atan2 = binary_op(
    "atan2", kernels.atan2_forward, None, Atan2,
    "The angle of the point (other, input) seen from the origin, in (-pi, pi]." + _BROADCAST, always_float=True, numbers="")  # fmt: skip
hypot = binary_op("hypot", kernels.hypot_forward, None, Hypot, "sqrt(input^2 + other^2)." + _BROADCAST, numbers="")
logaddexp = binary_op(
    "logaddexp",
    kernels.logaddexp_forward,
    None,
    Logaddexp,
    "log(e^input + e^other), without overflow." + _BROADCAST,
    numbers="",
)
logaddexp2 = binary_op(
    "logaddexp2",
    kernels.logaddexp2_forward,
    None,
    Logaddexp2,
    "log2(2^input + 2^other), without overflow." + _BROADCAST,
    numbers="",
)
copysign = binary_op(
    "copysign", kernels.copysign_forward, None, Copysign, "|input| with the sign of other." + _BROADCAST,
    always_float=True, numbers="other")  # fmt: skip
xlogy = binary_op(
    "xlogy",
    kernels.xlogy_forward,
    None,
    Xlogy,
    "input * log(other); 0 where input is 0." + _BROADCAST,
    always_float=True,
)
xlog1py = binary_op(
    "xlog1py", kernels.xlog1py_forward, None, SpecialXlog1Py, "input * log(1 + other); 0 where input is 0." + _BROADCAST,
    always_float=True,
)  # fmt: skip
heaviside = binary_op(
    "heaviside", kernels.heaviside_forward, _integer_heaviside, Heaviside,
    "0 where input is negative, 1 where it is positive, other where it is zero." + _BROADCAST, numbers="")  # fmt: skip
igamma = binary_op(
    "igamma", kernels.igamma_forward, None, Igamma,
    "Regularised lower incomplete gamma function P(input, other), input > 0, other >= 0." + _BROADCAST, numbers="")  # fmt: skip
igammac = binary_op(
    "igammac", kernels.igammac_forward, None, Igammac,
    "Regularised upper incomplete gamma function Q(input, other) = 1 - P(input, other)." + _BROADCAST, numbers="")  # fmt: skip
gammainc, gammaincc, arctan2 = igamma, igammac, atan2


def nextafter(input, other, *, out=None):
    """The next floating-point number after input in the direction of other."""
    result = by_numpy("nextafter", np.nextafter, input, other, out, (2,))
    if mode.grad and (input._rg or other._rg):
        Nextafter(input, other).attach(result)
    return result


def gcd(input, other, *, out=None):
    """The greatest common divisor of integers."""
    return by_numpy("gcd", np.gcd, input, other, out, (1,))


def lcm(input, other, *, out=None):
    """The least common multiple of integers."""
    return by_numpy("lcm", np.lcm, input, other, out, (1,))


# ---------------------------------------------------------------------------------------------- operators

op_add, op_radd = operator(add), operator(add, True)
op_sub, op_rsub = operator(sub), operator(sub, True)
op_mul, op_rmul = operator(mul), operator(mul, True)
op_truediv, op_rtruediv = operator(true_divide), operator(true_divide, True)
op_floordiv, op_rfloordiv = operator(floor_divide), operator(floor_divide, True)
op_mod, op_rmod = operator(remainder), operator(remainder, True)
op_pow, op_rpow = operator(pow), operator(pow, True)
op_iadd, op_isub, op_imul, op_itruediv = map(inplace_operator, (add, sub, mul, true_divide))
op_ifloordiv, op_imod, op_ipow = map(inplace_operator, (floor_divide, remainder, pow))
