"""Inverse trigonometric functions: asin, acos, atan, atan2. float32 is computed in float64."""

import numpy as np
from numba import types
from numba.extending import overload

from ._math_base import MATH, D, F, by_type, coefficients_in, copysign64, helper, poly

_PIO4, _PIO4_LO = D(0.7853981633974483), D(3.061616997868383e-17)
_PIO2, _PIO2_LO = D(1.5707963267948966), D(6.123233995736766e-17)
_PI, _PI_LO = D(3.141592653589793), D(1.2246467991473532e-16)

# (atan(t) - t) / t^3 in t^2 for |t| <= tan(pi/8): 2^-64.2 of atan(t)
_ATAN = coefficients_in(
    D, 0.015208098309057057, -0.033487336005035326, 0.045041089145854835, -0.05218543667095712, 0.05877043716047552,
    -0.0666622902612182, 0.0769228291444135, -0.09090908151514054, 0.11111111088374008, -0.14285714285391196,
    0.19999999999997695, -0.33333333333333326,
)  # fmt: skip


@helper
def _angle(y, x):
    """The angle in [0, pi/2] of the point (x, y), neither negative: turned back by 0, pi/4 or pi/2 it is below pi/8."""
    low = y <= 0.4142135623730951 * x
    high = y > 2.414213562373095 * x
    t = (y if low else (-x if high else y - x)) / (x if low else (y if high else y + x))
    t = 0.0 if y == 0.0 and x == 0.0 else t
    z = t * t
    turn = 0.0 if low else (_PIO2 if high else _PIO4)
    turn_low = 0.0 if low else (_PIO2_LO if high else _PIO4_LO)
    return turn + (t + (t * (z * poly(z, _ATAN)) + turn_low))


@helper
def _atan_of(x):
    return copysign64(_angle(abs(x), 1.0), x)


@helper
def _asin_of(x):
    a = abs(x)
    return copysign64(_angle(a, np.sqrt((1.0 - a) * (1.0 + a))), x)


@helper
def _acos_of(x):
    a = abs(x)
    y = _angle(np.sqrt((1.0 - a) * (1.0 + a)), a)
    return (_PI - (y - _PI_LO)) if x < 0.0 else y


@helper
def _atan2_of(y, x):
    a, b = abs(y), abs(x)
    both = a == np.inf and b == np.inf
    # The sum of the two must not overflow.
    scale = 0.25 if a > 1e300 or b > 1e300 else 1.0
    r = _angle(1.0 if both else a * scale, 1.0 if both else b * scale)
    r = (_PI - (r - _PI_LO)) if copysign64(1.0, x) < 0.0 else r
    return copysign64(r, y)


def _atan32(x):
    return F(_atan_of(D(x)))


def _atan64(x):
    """Inverse tangent."""
    return _atan_of(x)


def _asin32(x):
    return F(_asin_of(D(x)))


def _asin64(x):
    """Inverse sine; NaN outside [-1, 1]."""
    return _asin_of(x)


def _acos32(x):
    return F(_acos_of(D(x)))


def _acos64(x):
    """Inverse cosine; NaN outside [-1, 1]."""
    return _acos_of(x)


asin = by_type(_asin32, _asin64)
acos = by_type(_acos32, _acos64)
atan = by_type(_atan32, _atan64)


def _atan2_32(y, x):
    return F(_atan2_of(D(y), D(x)))


def _atan2_64(y, x):
    return _atan2_of(y, x)


def atan2(y, x):
    """The angle of the point (x, y) in (-pi, pi], both of one float type."""
    return F(_atan2_of(D(y), D(x))) if isinstance(y, F) else D(_atan2_of(D(y), D(x)))


@overload(atan2, jit_options=MATH)
def _overload_atan2(y, x):
    if x == y == types.float32:
        return _atan2_32
    return _atan2_64 if x == y == types.float64 else None
