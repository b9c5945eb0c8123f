"""sin, cos, tan and their inverses."""

import math

import numpy as np
from numba.extending import intrinsic, overload

from ._math_base import MATH, D, F, J, L, bits, by_type, coefficients_in, from_bits, helper, poly
from ._math_exp import MAGIC64

# ---------------------------------------------------------------------------------------------------- sin, cos, tan

# Up to here three parts of pi/2 reduce the argument to full accuracy.
TRIG_LIMIT = 1e9

_TWO_OVER_PI = D(0.6366197723675814)
_PIO2_A, _PIO2_B, _PIO2_C = D(1.5707963267948966), D(6.123233995736766e-17), D(-1.4973849048591698e-33)

# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2 for |r| <= pi/4: 2^-28.0, 2^-33.3, 2^-58.0, 2^-64.2
_SIN32 = coefficients_in(F, -0.00019516654720064253, 0.008332173340022564, -0.16666655242443085)
_COS32 = coefficients_in(F, 2.4437749743810855e-05, -0.001388736185617745, 0.04166664555668831)
_SIN64 = coefficients_in(
    D, 1.589651780311997e-10, -2.5050753552671073e-08, 2.755731366440733e-06, -0.00019841269829733675,
    0.008333333333322328, -0.16666666666666632,
)  # fmt: skip
_COS64 = coefficients_in(
    D, -1.1359454209893429e-11, 2.0875719681220216e-09, -2.755731432709078e-07, 2.480158728939935e-05,
    -0.0013888888888874, 0.0416666666666666,
)  # fmt: skip


@intrinsic
def _fma(typingctx, x, y, z):
    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return x(x, x, x), codegen


def _fused(x, y, z):
    """x y + z, rounded once."""
    return D(np.longdouble(x) * y + z)


@overload(_fused, jit_options=MATH)
def _overload_fused(x, y, z):
    return lambda x, y, z: _fma(x, y, z)


@helper
def _quadrant(x):
    """(q, r, low): x = q pi/2 + r + low with |r| <= pi/4, q an int64 of which the last two bits count."""
    shifted = x * _TWO_OVER_PI + MAGIC64
    n = shifted - MAGIC64
    # The first step is exact; the second leaves a rounding error, which `low` carries.
    first = _fused(-n, _PIO2_A, x)
    r = _fused(-n, _PIO2_B, first)
    low = _fused(-n, _PIO2_C, _fused(-n, _PIO2_B, first - r))
    return bits(shifted), r, low


@helper
def _sine_quadrant32(x, turn):
    """sin(x + turn * pi/2), |x| <= TRIG_LIMIT."""
    q, r, _ = _quadrant(D(x))
    q = J(q) + J(turn)
    r = F(r)
    z = r * r
    s = r + r * (z * poly(z, _SIN32))
    c = F(1.0) - (F(0.5) * z - z * z * poly(z, _COS32))
    y = c if J(q & J(1)) != J(0) else s
    return from_bits(J(bits(y) ^ J(J(q & J(2)) << J(30))))


@helper
def _sine_quadrant64(x, turn):
    q, r, low = _quadrant(x)
    q = q + L(turn)
    z = r * r
    s = r + (r * (z * poly(z, _SIN64)) + low * (1.0 - 0.5 * z))
    half = 0.5 * z
    w = 1.0 - half
    c = w + (((1.0 - w) - half) + (z * z * poly(z, _COS64) - r * low))
    y = c if (q & L(1)) != 0 else s
    return from_bits(L(bits(y) ^ ((q & L(2)) << L(62))))


def _sin_small32(x):
    return x if x == F(0.0) else _sine_quadrant32(x, 0)


def _sin_small64(x):
    """sin(x) for |x| <= TRIG_LIMIT (and NaN); vectorises."""
    return x if x == 0.0 else _sine_quadrant64(x, 0)


def _cos_small32(x):
    return _sine_quadrant32(x, 1)


def _cos_small64(x):
    """cos(x) for |x| <= TRIG_LIMIT (and NaN); vectorises."""
    return _sine_quadrant64(x, 1)


sin_small = by_type(_sin_small32, _sin_small64)
cos_small = by_type(_cos_small32, _cos_small64)


def _sin32(x):
    return F(math.sin(x)) if abs(x) > F(TRIG_LIMIT) else _sin_small_helper32(x)


def _sin64(x):
    """Sine of any x; a branch keeps it from vectorising."""
    return math.sin(x) if abs(x) > TRIG_LIMIT else _sin_small_helper64(x)


def _cos32(x):
    return F(math.cos(x)) if abs(x) > F(TRIG_LIMIT) else _sine_quadrant32(x, 1)


def _cos64(x):
    """Cosine of any x; a branch keeps it from vectorising."""
    return math.cos(x) if abs(x) > TRIG_LIMIT else _sine_quadrant64(x, 1)


@helper
def _tangent(x):
    """tan(x), |x| <= TRIG_LIMIT."""
    q, r, low = _quadrant(x)
    z = r * r
    s = r + (r * (z * poly(z, _SIN64)) + low * (1.0 - 0.5 * z))
    c = 1.0 - (0.5 * z - (z * z * poly(z, _COS64) - r * low))
    odd = (q & L(1)) != 0
    y = (-c if odd else s) / (s if odd else c)
    return x if x == 0.0 else y


def _tan_small32(x):
    return F(_tangent(D(x)))


def _tan_small64(x):
    """tan(x) for |x| <= TRIG_LIMIT (and NaN); vectorises."""
    return _tangent(x)


def _tan32(x):
    return F(math.tan(D(x))) if abs(x) > F(TRIG_LIMIT) else F(_tangent(D(x)))


def _tan64(x):
    """Tangent of any x; a branch keeps it from vectorising."""
    return math.tan(x) if abs(x) > TRIG_LIMIT else _tangent(x)


_sin_small_helper32 = helper(_sin_small32)
_sin_small_helper64 = helper(_sin_small64)
sin = by_type(_sin32, _sin64)
cos = by_type(_cos32, _cos64)
tan_small = by_type(_tan_small32, _tan_small64)
tan = by_type(_tan32, _tan64)
