"""Arithmetic of two operands, with broadcasting and type promotion."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..kernels import pointwise as kernels
from ..kernels import pointwise_unary as unary_kernels
from ..tensor import Tensor, wrap
from ._common import F32, F64, WITHIN, check_tensor, check_tensors, inplace, into
from ._elementwise import (
    WITHOUT_BOOLS,
    Rule,
    binary_op,
    inplace_operator,
    is_number,
    operator,
    promoted,
    run1,
    run2,
)
from ._elementwise import result_type as result_type
from ._old_order import in_new_order
from ._within import open_array, run_within

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

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "RsubBackward1" if is_number(self.a) else "SubBackward0"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g


class Mul(Rule):
    __slots__ = ()
    uses_a, uses_b = "b", "a"

    def da(self, g, a, b, out):
        return mul(g, b)

    def db(self, g, a, b, out):
        return mul(g, a)


class Div(Rule):
    __slots__ = ()
    uses_a, uses_b = "b", "ab"

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "MulBackward0" if is_number(self.a) else "DivBackward0"

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
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    return np.subtract(x, y)


WITHOUT_BOOLS[_no_bool_minus] = np.subtract
_add = binary_op("add", kernels.add_forward, np.add, Add, "input + other.")
_sub = binary_op("sub", kernels.sub_forward, _no_bool_minus, Sub, "input - other.")
mul = binary_op("mul", kernels.mul_forward, np.multiply, Mul, "input * other.")
true_divide = binary_op(
    "true_divide", kernels.div_forward, None, Div, "input / other; integers give floating point.",
    always_float=True,
)  # fmt: skip
floor_divide = binary_op(
    "floor_divide", kernels.floor_divide_forward, _no_zero(np.floor_divide), FloorDivide,
    "The largest integer up to input / other.",
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
    return result if out is None else into(out, result, name, input, other)


def add(input, other, *old, alpha=1, out=None):
    """input + alpha * other.

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        old: ``other`` in the old order ``add(input, alpha, other)``, which warns.
        alpha: number that multiplies ``other``.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, or ``alpha`` is not of the operands' kind, or ``out`` cannot hold the
            result.
    """
    if old:
        return in_new_order(add, 2, ("alpha",), (input, other, *old), out=out)
    if type(alpha) is int and alpha == 1:
        return _add(input, other, out=out)
    return _scaled("add", _add, input, other, alpha, out)


def sub(input, other, *old, alpha=1, out=None):
    """input - alpha * other.

    Args:
        input, other: tensors or numbers, at least one a tensor; their shapes broadcast.
        old: ``other`` in the old order ``sub(input, alpha, other)``, which warns.
        alpha: number that multiplies ``other``.
        out: tensor to write the result to.

    Shape: that to which the operands broadcast. Their dtypes are promoted.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, both are of bool type, or ``alpha`` is not of the operands' kind, or
            ``out`` cannot hold the result.
    """
    if old:
        return in_new_order(sub, 2, ("alpha",), (input, other, *old), out=out)
    if type(alpha) is int and alpha == 1:
        return _sub(input, other, out=out)
    return _scaled("sub", _sub, input, other, alpha, out)


def rsub(input, other, *, alpha=1):
    """other - alpha * input.

    Args:
        input: tensor.
        other: tensor or number; the shapes broadcast.
        alpha: number that multiplies ``input``.

    Shape:
        that to which the operands broadcast; their dtypes are promoted.

    Raises:
        TypeError: ``input`` is not a tensor, ``other`` or ``alpha`` neither that nor a number.
        RuntimeError: the shapes do not broadcast, both are of bool type, or ``alpha`` is not of the operands' kind.
    """
    check_tensor("rsub", "input", input, 1)
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

    Shape:
        that to which the operands broadcast.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the rounding mode is another one, the shapes do not broadcast, or an integer is divided by zero,
            or ``out`` cannot hold the result.
    """
    if rounding_mode is None:
        return true_divide(input, other, out=out)
    if rounding_mode == "floor":
        return _floor_rounded(input, other, out=out)
    if rounding_mode == "trunc":
        return _trunc_rounded(input, other, out=out)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


def _scaled_within(plain, sign):
    """The short way of add and sub: with ``alpha``."""

    def within(self, other, *old, alpha=1):
        if type(alpha) is int and alpha == 1 and not old:
            return WITHIN[plain](self, other)
        d = open_array(self)
        if d is None or old or not isinstance(other, Tensor) or (other._rg and mode.grad) or not is_number(alpha):
            return False
        y = other._data
        if d.dtype not in (F32, F64) or not run_within(kernels.add_scaled_forward, d, y, y, float(alpha) * sign):
            return False
        self._bump()
        return True

    return within


WITHIN[add], WITHIN[sub] = _scaled_within(_add, 1), _scaled_within(_sub, -1)
WITHIN[div] = lambda self, other, *, rounding_mode=None: rounding_mode is None and WITHIN[true_divide](self, other)
subtract, multiply, divide = sub, mul, div


class Remainder(Rule):
    __slots__ = ()
    uses_b = "ab"

    def name(self):
        """The name that ``grad_fn`` prints."""
        return f"RemainderBackward{int(not is_number(self.b))}"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g * div(a, b, rounding_mode="floor")


class Fmod(Rule):
    __slots__ = ()
    uses_b = "ab"

    def name(self):
        """The name that ``grad_fn`` prints."""
        return f"FmodBackward{int(not is_number(self.b))}"

    def da(self, g, a, b, out):
        return g

    def db(self, g, a, b, out):
        return -g * div(a, b, rounding_mode="trunc")


remainder = binary_op(
    "remainder", kernels.remainder_forward, _no_zero(np.remainder), Remainder,
    "What input leaves when divided by other, with the sign of other: input - other floor(input / other).",
)  # fmt: skip
fmod = binary_op(
    "fmod", kernels.fmod_forward, _no_zero(np.fmod), Fmod,
    "What input leaves when divided by other, with the sign of input: input - other trunc(input / other).",
    numbers="other",
)  # fmt: skip


# ---------------------------------------------------------------------------------------------- powers


class Pow(Rule):
    __slots__ = ()
    uses_a, uses_b = "ab", "abo"

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "PowBackward2" if is_number(self.a) else "PowBackward0" if is_number(self.b) else "PowBackward1"

    def da(self, g, a, b, out):
        if not isinstance(b, Tensor):
            if b == 2:
                return mul(g, a) * 2.0
            return g * 0.0 if b == 0 else g * (pow(a, b - 1) * b)
        return (g * (b * pow(a, b - 1))).masked_fill(b == 0, 0.0)

    def db(self, g, a, b, out):
        if not isinstance(a, Tensor):
            return (g * out * np.log(a)) if a > 0 else (g * out * 0.0).masked_fill(b < 0, np.nan)
        zero = (a == 0) & (b >= 0)
        return (g * (out * a.log())).masked_fill(zero, 0.0)


def _integer_pow(x, y):
    if x.dtype == np.bool_:
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if x.dtype.kind == "i" and (y < 0).any():
        # The integer part of 1 / x^-y: zero but for 1 and -1.
        return np.where(y < 0, np.where(np.abs(x) == 1, np.power(x, y % 2), 0), np.power(x, np.maximum(y, 0)))
    return np.power(x, y)


_pow = binary_op("pow", kernels.pow_forward, _integer_pow, Pow, "")

# Exponents with a kernel of their own.
_POWERS = {
    2: unary_kernels.square_forward,
    3: unary_kernels.cube_forward,
    4: unary_kernels.fourth_forward,
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
        TypeError: an operand is neither a tensor nor a number.
        NotImplementedError: both are of bool type.
        RuntimeError: the shapes do not broadcast, or an integer tensor is raised to a negative integer number, or
            ``out`` cannot hold the result.
    """
    if is_number(exponent) and isinstance(input, Tensor):
        kind = input._data.dtype
        kernel = _POWERS.get(exponent)
        if kernel is not None and (kind is F32 or kind is F64):
            result = wrap(run1(kernel, input._data))
            if input._rg and mode.grad:
                Pow(input, None).record(input, exponent, result)
            return result if out is None else into(out, result, "pow", input, exponent)
        if kind.kind in "iu" and isinstance(exponent, int | np.integer) and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _pow(input, exponent, out=out)


def _pow_within(self, exponent):
    """The short way of pow."""
    kernel = None if isinstance(exponent, Tensor) or not is_number(exponent) else _POWERS.get(exponent)
    if kernel is None:
        return WITHIN[_pow](self, exponent)
    d = open_array(self)
    if d is None or not run_within(kernel, d, d, d):
        return False
    self._bump()
    return True


WITHIN[pow] = _pow_within


def float_power(input, exponent, *, out=None):
    """input to the power exponent, in float64.

    Args:
        input, exponent: tensors or numbers, at least one a tensor; their shapes broadcast.
        out: tensor to write the result to.

    Shape:
        that to which the operands broadcast; the result is of float64.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """

    def double(x):
        if isinstance(x, str):
            raise TypeError(f"float_power(): expected a Tensor or a number, not {x!r}")
        return x.to(dtypes.float64) if isinstance(x, Tensor) else float(x)

    return into(out, pow(double(input), double(exponent)), "float_power", input, exponent)


def float_power_(self, exponent):
    """In-place form of :func:`float_power`, of float64 tensors alone.

    Args:
        exponent: number or tensor; the shapes broadcast.

    Shape:
        kept.

    Raises:
        TypeError: ``exponent`` is neither a tensor nor a number.
        RuntimeError: the tensor is not of float64, or the shapes do not broadcast to its own.
    """
    if self.dtype is not dtypes.float64:
        raise RuntimeError(f"the base given to float_power_ has dtype {self.dtype} but the result has dtype float64")
    return _float_power_(self, exponent)


_float_power_ = inplace(float_power)


def ldexp(input, other, *, out=None):
    """input * 2^other.

    Args:
        input, other: tensors; their shapes broadcast.
        out: tensor to write the result to, or None.

    Shape:
        that to which the operands broadcast; integers give floating point.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the shapes do not broadcast, or ``out`` cannot hold the result.
    """
    check_tensors("ldexp", input=input, other=other)
    return into(out, mul(input, pow(2.0, other)), "ldexp", input, other)


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
    "The larger element; NaN if either is.",
    numbers="",
)
minimum = binary_op(
    "minimum",
    kernels.minimum_forward,
    np.minimum,
    Minimum,
    "The smaller element; NaN if either is.",
    numbers="",
)
fmax = binary_op(
    "fmax",
    kernels.fmax_forward,
    np.maximum,
    Fmax,
    "The larger element; the other one where one is NaN.",
    numbers="",
)
fmin = binary_op(
    "fmin",
    kernels.fmin_forward,
    np.minimum,
    Fmin,
    "The smaller element; the other one where one is NaN.",
    numbers="",
)


# ---------------------------------------------------------------------------------------------- operators

op_add, op_radd = operator(add), operator(add, True)
op_sub, op_rsub = operator(sub), operator(sub, True)
op_mul, op_rmul = operator(mul), operator(mul, True)
op_truediv, _rtruediv = operator(true_divide), operator(true_divide, True)


def op_rtruediv(self, other):
    """``other / self``, where other may be an array of NumPy."""
    return self.reciprocal() * other if isinstance(other, np.ndarray) else _rtruediv(self, other)


op_floordiv, op_rfloordiv = operator(floor_divide), operator(floor_divide, True)
op_mod, op_rmod = operator(remainder), operator(remainder, True)
op_pow, op_rpow = operator(pow), operator(pow, True)
op_iadd, op_isub, op_imul, op_itruediv = map(inplace_operator, (add, sub, mul, true_divide))
op_ifloordiv, op_imod, op_ipow = map(inplace_operator, (floor_divide, remainder, pow))
