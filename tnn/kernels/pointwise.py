"""Arithmetic of two operands, broadcast or of one shape.

Each kernel is called as kernel(x, y, out) on flat arrays of one size, `out` being written; `kernel.strided` takes
broadcast operands.
"""

import numpy as np

from . import _math
from ._elementwise import MendedBinary, binary, scalar
from ._math import copysign
from ._math_base import fused, nextafter, whole_below
from ._minmax import maximum, minimum
from ._special import gamma_lower, gamma_upper


@binary
def add_forward(x, y):
    """x + y."""
    return x + y


@binary
def sub_forward(x, y):
    """x - y."""
    return x - y


@binary
def mul_forward(x, y):
    """x y."""
    return x * y


@binary
def div_forward(x, y):
    """x / y."""
    return x / y


@binary
def add_scaled_forward(x, y, alpha):
    """x + alpha y."""
    return x + alpha * y


@binary
def trunc_divide_forward(x, y):
    """trunc(x / y)."""
    return np.trunc(x / y)


# A remainder by way of the quotient, exact where that is a number below 2^23 (2^52): its product with y is subtracted
# in one rounding, and a quotient that was rounded up to the next integer shows in the sign. The C library's function,
# which does not vectorise, takes the rest.


@scalar
def _fmod(x, y):
    quotient = np.trunc(x / y)
    r = fused(-quotient, y, x)
    r = r + copysign(y, x) if r != 0.0 and (r < 0.0) != (x < 0.0) else r
    return copysign(r, x) if r == 0.0 else r


@scalar
def _remainder(x, y):
    r = _fmod(x, y)
    return r + y if r != 0.0 and (r < 0.0) != (y < 0.0) else r


@scalar
def _any_remainder(x, y):
    r = np.fmod(x, y)
    return r + y if r != 0.0 and (r < 0.0) != (y < 0.0) else r


@scalar
def _quotient(x, y, r):
    # By way of the remainder: floor(x / y) is off by one where the quotient is rounded up to an integer.
    quotient = (x - r) / y
    quotient = quotient - 1.0 if r != 0.0 and (r < 0.0) != (y < 0.0) else quotient
    whole = np.floor(quotient)
    whole = whole + 1.0 if quotient - whole > 0.5 else whole
    whole = copysign(0.0, x / y) if quotient == 0.0 else whole
    return x / y if y == 0.0 else whole


def _holds(x, y):
    return (abs(x / y) < whole_below(x)) & (abs(y) < np.inf)


def _fmod_of_all(x, y):
    return np.fmod(x, y)


def _floor_divide_of_all(x, y):
    return _quotient(x, y, np.fmod(x, y))


def _mended(rest):
    return lambda formula: MendedBinary(formula, rest, _holds)


@_mended(_floor_divide_of_all)
def floor_divide_forward(x, y):
    """floor(x / y)."""
    return _quotient(x, y, _fmod(x, y))


@_mended(_any_remainder)
def remainder_forward(x, y):
    """x - floor(x / y) y: the remainder with the sign of y."""
    return _remainder(x, y)


@_mended(_fmod_of_all)
def fmod_forward(x, y):
    """x - trunc(x / y) y: the remainder with the sign of x."""
    return _fmod(x, y)


@binary
def pow_forward(x, y):
    """x to the power y."""
    return _math.pow(x, y)


@binary
def maximum_forward(x, y):
    """The larger of the two; NaN if either is."""
    return maximum(x, y)


@binary
def minimum_forward(x, y):
    """The smaller of the two; NaN if either is."""
    return minimum(x, y)


@binary
def fmax_forward(x, y):
    """The larger of the two; the other one if one is NaN."""
    return y if x != x else (x if y != y or x > y else y)


@binary
def fmin_forward(x, y):
    """The smaller of the two; the other one if one is NaN."""
    return y if x != x else (x if y != y or x < y else y)


@binary
def atan2_forward(x, y):
    """The angle of the point (y, x), in (-pi, pi]."""
    return _math.atan2(x, y)


@binary
def hypot_forward(x, y):
    """sqrt(x^2 + y^2), without overflow."""
    a, b = abs(x), abs(y)
    larger, smaller = maximum(a, b), minimum(a, b)
    ratio = smaller / larger
    result = larger * np.sqrt(1.0 + ratio * ratio)
    # The larger is 0 or infinite: the ratio is NaN; infinity counts even beside NaN.
    result = larger if larger == 0.0 else result
    return (a if a == np.inf else b) if a == np.inf or b == np.inf else result


@binary
def logaddexp_forward(x, y):
    """log(e^x + e^y)."""
    larger = maximum(x, y)
    return larger if x == y and abs(x) == np.inf else larger + _math.log1p(_math.exp(-abs(x - y)))


@binary
def logaddexp2_forward(x, y):
    """log2(2^x + 2^y)."""
    larger = maximum(x, y)
    tail = _math.log1p(_math.exp2(-abs(x - y))) * 1.4426950408889634
    return larger if x == y and abs(x) == np.inf else larger + tail


@binary
def copysign_forward(x, y):
    """|x| with the sign of y."""
    return copysign(x, y)


@binary
def heaviside_forward(x, y):
    """0 for negative x (and NaN), 1 for positive x, y for zero."""
    return y if x == 0.0 else (1.0 if x > 0.0 else 0.0)


@binary
def xlogy_forward(x, y):
    """x log(y); 0 where x is 0, NaN where y is."""
    return y if y != y else (0.0 if x == 0.0 else x * _math.log(y))


@binary
def xlog1py_forward(x, y):
    """x log(1 + y); 0 where x is 0, NaN where y is."""
    return y if y != y else (0.0 if x == 0.0 else x * _math.log1p(y))


@binary
def igamma_forward(x, y):
    """Regularised lower incomplete gamma function P(x, y)."""
    return gamma_lower(np.float64(x), np.float64(y))


@binary
def igammac_forward(x, y):
    """Regularised upper incomplete gamma function Q(x, y)."""
    return gamma_upper(np.float64(x), np.float64(y))


@binary
def nextafter_forward(x, y):
    """The number after x in the direction of y."""
    return nextafter(x, y)
