"""Elementary functions of one tensor, rounding, and tests of the elements."""

import math

import numpy as np

from .. import dtypes, return_types
from ..autograd.grad_mode import mode
from ..kernels import pointwise_unary as kernels
from ..kernels.pointwise_select import nan_to_num_forward
from ..tensor import Tensor, wrap
from ._common import F32, HALF, WITHIN, check_tensor, inplace, into
from ._elementwise import (
    as_array,
    by_threads,
    finite_float,
    predicate_op,
    record1,
    run3,
    run_float,
    straight1,
    to_float,
    unary_node,
    unary_op,
    working,
)
from ._within import bools_within, open_array
from .cast import convert

_LN2, _LN10 = math.log(2), math.log(10)
_ERF = 2 / math.sqrt(math.pi)


def _zero(g, _):
    return g * 0.0


# ---------------------------------------------------------------------------------------------- exponential, logarithms

exp = unary_op("exp", kernels.exp_forward, "o", lambda g, y: g * y, "e^input.")
exp2 = unary_op("exp2", kernels.exp2_forward, "o", lambda g, y: g * (y * _LN2), "2^input.")
expm1 = unary_op("expm1", kernels.expm1_forward, "o", lambda g, y: g * (y + 1.0), "e^input - 1, exact for small input.")
log = unary_op(
    "log", kernels.log_forward, "a", lambda g, x: g / x, "Natural logarithm ln(input); -inf at 0, NaN below."
)
log2 = unary_op(
    "log2", kernels.log2_forward,
    "a", lambda g, x: g / (x * _LN2), "Logarithm to base 2: ln(input) / ln(2); -inf at 0, NaN below.",
)  # fmt: skip
log10 = unary_op(
    "log10", kernels.log10_forward,
    "a", lambda g, x: g / (x * _LN10), "Logarithm to base 10: ln(input) / ln(10); -inf at 0, NaN below.",
)  # fmt: skip
log1p = unary_op(
    "log1p", kernels.log1p_forward, "a", lambda g, x: g / (x + 1.0), "log(1 + input), exact for small input."
)

# ---------------------------------------------------------------------------------------------- powers

sqrt = unary_op("sqrt", kernels.sqrt_forward, "o", lambda g, y: g / (y * 2.0), "Square root input^(1/2); NaN below 0.")
rsqrt = unary_op(
    "rsqrt", kernels.rsqrt_forward, "o", lambda g, y: g * (y * y * y) * -0.5, "1 / sqrt(input); inf at 0, NaN below."
)
reciprocal = unary_op(
    "reciprocal", kernels.reciprocal_forward, "o", lambda g, y: -g * (y * y), "1 / input; infinite at 0."
)


def _integer_square(x):
    return np.square(x.astype(np.int64) if x.dtype == np.bool_ else x)


square = unary_op("square", kernels.square_forward, "a", lambda g, x: g * (x * 2.0), "input^2.", _integer_square)

# ---------------------------------------------------------------------------------- trigonometric, hyperbolic

sin = unary_op("sin", kernels.sin_forward, "a", lambda g, x: g * cos(x), "Sine sin(input), of radians.")
cos = unary_op("cos", kernels.cos_forward, "a", lambda g, x: -g * sin(x), "Cosine cos(input), of radians.")
tan = unary_op(
    "tan", kernels.tan_forward, "o", lambda g, y: g * (y * y + 1.0), "Tangent sin(input) / cos(input), of radians."
)
asin = unary_op(
    "asin", kernels.asin_forward, "a", lambda g, x: g * rsqrt(1.0 - x * x),
    "Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1].",
)
acos = unary_op(
    "acos", kernels.acos_forward, "a", lambda g, x: -g * rsqrt(1.0 - x * x),
    "Inverse cosine, in [0, pi]; NaN outside [-1, 1].",
)
atan = unary_op("atan", kernels.atan_forward, "a", lambda g, x: g / (x * x + 1.0), "Inverse tangent, in [-pi/2, pi/2].")
sinh = unary_op("sinh", kernels.sinh_forward, "a", lambda g, x: g * cosh(x), "Hyperbolic sine (e^x - e^-x) / 2.")
cosh = unary_op("cosh", kernels.cosh_forward, "a", lambda g, x: g * sinh(x), "Hyperbolic cosine (e^x + e^-x) / 2.")
asinh = unary_op(
    "asinh", kernels.asinh_forward,
    "a", lambda g, x: g * rsqrt(x * x + 1.0), "Inverse hyperbolic sine ln(x + sqrt(x^2 + 1)).",
)  # fmt: skip
acosh = unary_op(
    "acosh", kernels.acosh_forward, "a", lambda g, x: g * rsqrt(x * x - 1.0),
    "Inverse hyperbolic cosine ln(x + sqrt(x^2 - 1)); NaN below 1.",
)
atanh = unary_op(
    "atanh", kernels.atanh_forward,
    "a", lambda g, x: g / (1.0 - x * x), "Inverse hyperbolic tangent ln((1 + x) / (1 - x)) / 2; NaN outside [-1, 1].",
)  # fmt: skip
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh

deg2rad = unary_op(
    "deg2rad", kernels.deg2rad_forward, "", lambda g, _: g * (math.pi / 180), "Degrees as radians: input * pi / 180."
)
rad2deg = unary_op(
    "rad2deg", kernels.rad2deg_forward, "", lambda g, _: g * (180 / math.pi), "Radians as degrees: input * 180 / pi."
)


def _sinc_derivative(g, x):
    half = x.dtype if x._data.dtype in HALF else None
    if half is not None:  # the difference below cancels
        g, x = g.float(), x.float()
    z = x * math.pi
    out = (g * ((z * cos(z) - sin(z)) / (x * z))).masked_fill(x * z == 0, 0.0)
    return out if half is None else out.to(half)


sinc = unary_op("sinc", kernels.sinc_forward, "a", _sinc_derivative, "sin(pi input) / (pi input); 1 at 0.")

# ---------------------------------------------------------------------------------------------- special functions

erf = unary_op(
    "erf", kernels.erf_forward, "a", lambda g, x: g * (exp(-(x * x)) * _ERF),
    "Error function: 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to input.",
)  # fmt: skip
erfc = unary_op(
    "erfc", kernels.erfc_forward, "a", lambda g, x: g * (exp(-(x * x)) * -_ERF), "1 - erf(input), exact in its tail."
)
erfinv = unary_op(
    "erfinv", kernels.erfinv_forward, "a", lambda g, x: g * (exp(square(erfinv(x))) / _ERF),
    "Inverse of the error function: y with erf(y) = input; infinite at -1 and 1, NaN outside.",
)
lgamma = unary_op(
    "lgamma", kernels.lgamma_forward,
    "a", lambda g, x: g * digamma(x), "ln |Gamma(input)|, Gamma(x) being the integral of t^(x - 1) e^-t from 0 on.",
)  # fmt: skip
digamma = unary_op(
    "digamma", kernels.digamma_forward, "a", lambda g, x: g * polygamma(1, x),
    "Derivative of ln Gamma(input): Gamma'(x) / Gamma(x).",
)
i0 = unary_op(
    "i0", kernels.i0_forward, "a", lambda g, x: g * i1(x),
    "Modified Bessel function I0: the sum of (x^2 / 4)^k / (k!)^2 over k from 0 on.",
)


def _i1_derivative(g, x):
    zero = x == 0
    return g * (i0(x) - i1(x) / x.masked_fill(zero, 1.0)).masked_fill(zero, 0.5)


i1 = unary_op(
    "i1", kernels.i1_forward,
    "a", _i1_derivative, "Modified Bessel function I1: x / 2 times the sum of (x^2 / 4)^k / (k! (k + 1)!) over k.",
)  # fmt: skip


class Polygamma(unary_node("polygamma", "a", _zero)):
    __slots__ = ("n",)

    def backward(self, grad):
        (x,) = self.saved_tensors()
        return grad * polygamma(self.n + 1, x)


def polygamma(n, input, *, out=None):
    """The derivative number n of digamma: (-1)^(n + 1) n! times the sum of 1 / (input + k)^(n + 1) over k from 0 on.

    Args:
        n: order, an integer from 0 on.
        input: tensor of any shape; integers and bool are computed in the default floating-point dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``n`` is negative, or ``out`` cannot hold the result.
    """
    if isinstance(n, Tensor):
        n, input = input, n
    check_tensor("polygamma", "input", input, 2)
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(input, out=out)
    kernel = kernels.trigamma_forward if n == 1 else kernels.polygamma_forward
    return _with_parameters("polygamma", kernel, Polygamma, input, out, float(n), n=n)


def polygamma_method(self, n):
    """The derivative number n of digamma, of the tensor's elements: see :func:`polygamma`.

    Args:
        n: order, an integer from 0 on.

    Shape:
        that of the tensor.

    Raises:
        RuntimeError: ``n`` is negative.
    """
    return polygamma(n, self)


polygamma_ = inplace(polygamma_method)


def _with_parameters(name, kernel, node, input, out, p, q=0.0, **context):
    """A one-operand operation with numbers as parameters; ``context`` goes into the node's slots."""
    dtype = to_float(input.dtype)
    if out is not None and straight1(kernel, out, input, p, q):
        return out
    result = wrap(run_float(kernel, as_array(input, dtype.np), p, q))
    if mode.grad and input._rg:
        record1(node, input, result)
        for slot, value in context.items():
            setattr(result._node, slot, value)
    return result if out is None else into(out, result, name, input)


def mvlgamma(input, p, *, out=None):
    """Logarithm of the multivariate gamma function: p (p - 1) / 4 ln(pi) + the sum of lgamma(input - j / 2) over j = 0
    ... p - 1.

    Args:
        input: tensor of any shape with elements above (p - 1) / 2; integers are computed in floating point.
        p: dimension, an integer from 1 on.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``p`` is below 1, or ``out`` cannot hold the result.
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    total = lgamma(input) + 0.25 * p * (p - 1) * math.log(math.pi)
    for j in range(1, p):
        total = total + lgamma(input - 0.5 * j)
    return total if out is None else into(out, total, "mvlgamma")


class Logit(unary_node("logit", "a", _zero)):
    __slots__ = ("eps",)

    def backward(self, grad):
        (x,) = self.saved_tensors()
        d = grad / (x * (1.0 - x))
        if self.eps is None:
            return d.masked_fill((x < 0) | (x > 1), math.nan)
        return d.masked_fill((x < self.eps) | (x > 1 - self.eps), 0.0)


def logit(input, eps=None, *, out=None):
    """ln(z / (1 - z)), z being input clamped to [eps, 1 - eps]; NaN outside [0, 1] where nothing is clamped.

    Args:
        input: tensor of any shape; integers and bool are computed in the default floating-point dtype.
        eps: None (nothing is clamped) or a small number.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("logit", "input", input, 1)
    low, high = (-math.inf, math.inf) if eps is None else (float(eps), 1.0 - float(eps))
    return _with_parameters("logit", kernels.logit_forward, Logit, input, out, low, high, eps=eps)


# ---------------------------------------------------------------------------------------------- signs and rounding


def _no_bool(name, function):
    def checked(x):
        if x.dtype == np.bool_:
            raise RuntimeError(
                f"Negation, the `-` operator, on a bool tensor is not supported ({name}): use the `~` operator"
            )
        return function(x)

    return checked


def _refuse_bool(name, function=np.copy):
    def checked(x):
        if x.dtype == np.bool_:
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
        return function(x)

    return checked


def _integer_sign(x):
    return x if x.dtype == np.bool_ else np.sign(x)


abs = unary_op(
    "abs", kernels.abs_forward, "a", lambda g, x: g * sgn(x), "Absolute value |input|.",
    _refuse_bool("abs", by_threads(kernels.abs_forward, np.abs)),
)  # fmt: skip
neg = unary_op(
    "neg", kernels.neg_forward, "", lambda g, _: -g, "The negative: -input.",
    _no_bool("neg", by_threads(kernels.neg_forward, np.negative)),
)  # fmt: skip
sign = unary_op("sign", kernels.sign_forward, "", _zero, "-1, 0 or 1: the sign of each element.", _integer_sign)
sgn = unary_op("sgn", kernels.sign_forward, "", _zero, "-1, 0 or 1: the sign of each element.", _integer_sign)
floor = unary_op("floor", kernels.floor_forward, "", _zero, "The largest integer up to input.", _refuse_bool("floor"))
ceil = unary_op("ceil", kernels.ceil_forward, "", _zero, "The smallest integer from input on.", _refuse_bool("ceil"))
trunc = unary_op(
    "trunc", kernels.trunc_forward, "", _zero, "The integer part: input rounded towards 0.", _refuse_bool("trunc")
)
frac = unary_op("frac", kernels.frac_forward, "", lambda g, _: g, "input - trunc(input).", None)
_round = unary_op("round", kernels.round_forward, "", _zero, "", _refuse_bool("round"))
absolute, negative, fix = abs, neg, trunc


def positive(input):
    """The tensor itself: +input.

    Args:
        input: tensor of any shape and of any dtype but bool.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: it is of bool type.
    """
    check_tensor("positive", "input", input, 1)
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


class Round(unary_node("round", "", _zero)):
    __slots__ = ()


def round(input, *, decimals=0, out=None):
    """The nearest integer, or the nearest number with so many decimals; ties go to the even one.

    Args:
        input: tensor of any shape and of any dtype but bool; integers stay as they are.
        decimals: digits to keep after the point; negative ones round to tens, hundreds ...
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is of bool type.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("round", "input", input, 1)
    if decimals == 0 or not input.dtype.is_floating_point:
        return _round(input, out=out)
    kernel = kernels.round_decimals_forward if decimals > 0 else kernels.round_tens_forward
    return _with_parameters("round", kernel, Round, input, out, 10.0 ** math.fabs(decimals))


WITHIN[round] = lambda self, *, decimals=0: decimals == 0 and WITHIN[_round](self)


def angle(input, *, out=None):
    """0 for positive elements, pi for negative ones, NaN for NaN.

    Args:
        input: tensor of any shape; integers and bool are computed in the default floating-point dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("angle", "input", input, 1)
    x = as_array(input, to_float(input.dtype).np)
    data = np.where(x < 0, np.pi, np.where(x == x, 0.0, x)).astype(x.dtype)
    result = wrap(data)
    if mode.grad and input._rg:
        record1(_Angle, input, result)
    return result if out is None else into(out, result, "angle", input)


_Angle = unary_node("angle", "", _zero)


def frexp(input, *, out=None):
    """Mantissa and exponent: input = mantissa * 2^exponent with 0.5 <= |mantissa| < 1.

    Args:
        input: tensor of any shape and of a floating-point dtype.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple (mantissa, exponent), both of input's shape; the exponents are int32.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: it is not of a floating-point dtype, or ``out`` cannot hold the results.
    """
    check_tensor("frexp", "input", input, 1)
    if not input.dtype.is_floating_point:
        raise RuntimeError("frexp() only supports floating-point dtypes")
    x = convert(input._data, F32) if input._data.dtype in HALF else input._data
    mantissa, exponent = np.frexp(x)
    mantissa = wrap(convert(np.asarray(mantissa), input._data.dtype))
    exponent = wrap(np.asarray(exponent, np.int32))
    if mode.grad and input._rg:
        node = Frexp(input)
        node.save(exponent)
        node.attach(mantissa)
    result = return_types.frexp(mantissa, exponent)
    return result if out is None else return_types.frexp(*into(out, result, "frexp", input))


class Frexp(unary_node("frexp", "", _zero)):
    __slots__ = ()

    def backward(self, grad):
        (exponent,) = self.saved_tensors()
        return grad * exp2(-exponent.to(grad.dtype))


_NanToNum = unary_node("nan_to_num", "a", lambda g, x: g.masked_fill(~isfinite(x), 0.0))
_NanToNum.__name__ = "NanToNum"


def nan_to_num(input, nan=0.0, posinf=None, neginf=None, *, out=None):
    """Numbers in place of NaN and infinities.

    Args:
        input: tensor of any shape and dtype; integers and bool stay as they are.
        nan: what replaces NaN.
        posinf, neginf: what replaces the infinities; None: the largest and the lowest finite number of the dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``, in its dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("nan_to_num", "input", input, 1)
    if not input.dtype.is_floating_point:
        data = np.array(input._data)
    else:
        info = dtypes.finfo(input.dtype)
        nan = 0.0 if nan is None else finite_float(nan)
        low, high = (
            limit if given is None else finite_float(given)
            for limit, given in ((info.min, neginf), (info.max, posinf))
        )
        if low == info.min and high == info.max and nan == 0.0 and math.copysign(1.0, nan) > 0:
            if out is not None and straight1(kernels.to_finite_forward, out, input, low, high):
                return out
            data = run_float(kernels.to_finite_forward, input._data, low, high)
        else:
            x = as_array(input, working(input._data.dtype))
            data = run3(nan_to_num_forward, x, np.asarray(low, x.dtype), np.asarray(high, x.dtype), nan)
            data = data if data.dtype == input._data.dtype else convert(data, input._data.dtype)
    result = wrap(data)
    if mode.grad and input._rg:
        record1(_NanToNum, input, result)
    return result if out is None else into(out, result, "nan_to_num", input)


# ---------------------------------------------------------------------------------------------- tests


def _always(value):
    return lambda x: np.full(x.shape, value)


isnan = predicate_op("isnan", kernels.isnan_forward, _always(False), "Whether each element is NaN.")
isinf = predicate_op("isinf", kernels.isinf_forward, _always(False), "Whether each element is infinite.")
isfinite = predicate_op(
    "isfinite", kernels.isfinite_forward, _always(True), "Whether each element is neither infinite nor NaN."
)
isposinf = predicate_op(
    "isposinf", kernels.isposinf_forward, _always(False), "Whether each element is +inf.", with_out=True
)
isneginf = predicate_op(
    "isneginf", kernels.isneginf_forward, _always(False), "Whether each element is -inf.", with_out=True
)
signbit = predicate_op(
    "signbit", kernels.signbit_forward, lambda x: x < 0, "Whether each element has its sign bit set.", with_out=True
)
_logical_not = predicate_op("logical_not", kernels.logical_not_forward, np.logical_not, "")


def isreal(input):
    """Whether each element is real: always True.

    Args:
        input: tensor of any shape and dtype.

    Shape:
        that of ``input``; the result is of bool dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("isreal", "input", input, 1)
    return wrap(np.ones(input._data.shape, np.bool_))


def logical_not(input, *, out=None):
    """Whether each element is zero (for bool: False).

    Args:
        input: tensor of any shape and dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``; the result is of bool dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` repeats memory.
    """
    result = _logical_not(input)
    return result if out is None else into(out, result, "logical_not", input)


def _logical_not_within(self):
    """The short way of logical_not_, of bools."""
    d = open_array(self)
    if d is None or not bools_within(np.logical_not, d):
        return False
    self._bump()
    return True


WITHIN[logical_not] = _logical_not_within
