"""tanh, sinh, cosh, asinh, atanh, acosh."""

import numpy as np

from ._math_base import D, F, by_type, clamp, coefficients_in, copysign32, copysign64, helper, poly
from ._math_exp import LN2, exp_parts32, exp_parts64, expm1_64, log1p_64

# ---------------------------------------------------------------------------------------------------- tanh, sinh, cosh

# (tanh(x) - x) / x^3 in x^2 for |x| <= 0.625: 2^-27.8 and 2^-61.3 of tanh(x)
_TANH32 = coefficients_in(
    F, -0.0057169669307768345, 0.02065056562423706, -0.05374351516366005, 0.13331492245197296, -0.3333328366279602
)
_TANH64 = coefficients_in(
    D, 6.056304883356547e-06, -3.0219601537871377e-05, 9.159153922093294e-05, -0.00023703117764428398,
    0.0005894590276463316, -0.001455727718814836, 0.0035921142882787546, -0.008863234343341483, 0.02186948847077791,
    -0.053968253966139204, 0.133333333333299, -0.33333333333333315,
)  # fmt: skip


def _tanh64(x):
    """Hyperbolic tangent."""
    z = x * x
    a = clamp(abs(x), 0.0, 20.0)
    small = a + a * (z * poly(z, _TANH64))
    p, s, t = exp_parts64(a + a, 0.0)
    large = 1.0 - 2.0 / (p * s * t + 1.0)
    return copysign64(large if a >= 0.625 else small, x)


def _tanh32(x):
    z = x * x
    a = clamp(abs(x), F(0.0), F(10.0))
    small = a + a * (z * poly(z, _TANH32))
    p, s, t = exp_parts32(a + a)
    large = F(1.0) - F(2.0) / (p * s * t + F(1.0))
    return copysign32(large if a >= F(0.625) else small, x)


tanh = by_type(_tanh32, _tanh64)


def _sinh32(x):
    return F(_sinh_helper(D(x)))


def _sinh64(x):
    """Hyperbolic sine."""
    a = abs(x)
    e = expm1_64(a if a < 709.0 else 0.0)
    small = 0.5 * (e + e / (e + 1.0))
    p, s, t = exp_parts64(clamp(a, 0.0, 711.0), 0.0)
    return copysign64(small if a < 22.0 else (0.5 * p) * s * t, x)


_sinh_helper = helper(_sinh64)
sinh = by_type(_sinh32, _sinh64)


def _cosh32(x):
    return F(_cosh_helper(D(x)))


def _cosh64(x):
    """Hyperbolic cosine."""
    a = abs(x)
    p, s, t = exp_parts64(clamp(a, 0.0, 711.0), 0.0)
    half = (0.5 * p) * s * t
    return half + 0.25 / half


_cosh_helper = helper(_cosh64)
cosh = by_type(_cosh32, _cosh64)


def _asinh32(x):
    return F(_asinh_helper(D(x)))


def _asinh64(x):
    """Inverse hyperbolic sine."""
    a = abs(x)
    b = 1.0 if a > 1e150 else a
    z = b * b
    argument = a if a > 1e150 else b + z / (1.0 + np.sqrt(z + 1.0))
    return copysign64(log1p_64(argument) + (LN2 if a > 1e150 else 0.0), x)


_asinh_helper = helper(_asinh64)
asinh = by_type(_asinh32, _asinh64)


def _atanh32(x):
    return F(_atanh_helper(D(x)))


def _atanh64(x):
    """Inverse hyperbolic tangent."""
    a = abs(x)
    return copysign64(0.5 * log1p_64((a + a) / (1.0 - a)), x)


_atanh_helper = helper(_atanh64)
atanh = by_type(_atanh32, _atanh64)


def _acosh32(x):
    return F(_acosh_helper(D(x)))


def _acosh64(x):
    """Inverse hyperbolic cosine; NaN below 1."""
    large = x > 1e150
    t = (1.0 if large else x) - 1.0
    y = log1p_64(x if large else t + np.sqrt(t * (t + 2.0))) + (LN2 if large else 0.0)
    return np.nan if x < 1.0 else y


_acosh_helper = helper(_acosh64)
acosh = by_type(_acosh32, _acosh64)
