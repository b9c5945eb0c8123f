"""exp, log and what is made of one of them: exp2, expm1, log2, log10, log1p, sigmoid, softplus; pow."""

import numpy as np
from numba import types
from numba.extending import overload

from ._math_base import MATH, D, F, J, L, bits, by_type, clamp, coefficients_in, copysign64, from_bits, helper, poly

# ---------------------------------------------------------------------------------------------------- exp, expm1

LN2 = D(0.6931471805599453)
_LOG2E = D(1.4426950408889634)
_LOG2E_LO = D(2.0355273740931033e-17)

# ln 2 in two parts; the high one has few enough bits for n * high to be exact.
_LN2_HI32, _LN2_LO32 = F(0.693145751953125), F(1.4286068203094173e-06)
_LN2_HI64, _LN2_LO64 = D(0.6931471805582987), D(1.6465949582897082e-12)

# (e^r - 1 - r) / r^2 for |r| <= ln(2)/2: 2^-28.2 of e^r
_EXP32 = coefficients_in(F, 0.0013950649881735444, 0.008368953131139278, 0.04166620224714279, 0.166665181517601, 0.5)
# the same: 2^-31.9 and 2^-61.7 of e^r - 1
_EXPM1_32 = coefficients_in(
    F, 0.00019845589122269303, 0.0013940721983090043, 0.008333390578627586, 0.04166635870933533, 0.1666666567325592, 0.5
)
_EXPM1_64 = coefficients_in(
    D, 2.0875320665998783e-09, 2.5109082188547836e-08, 2.755740297546056e-07, 2.755724410179904e-06,
    2.480158717178385e-05, 0.00019841269886210463, 0.0013888888888962947, 0.008333333333321606, 0.041666666666666505,
    0.16666666666666677, 0.5,
)  # fmt: skip

# Adding 1.5 * 2^23 (2^52) rounds to the nearest integer and leaves that integer in the low bits.
_MAGIC32, _MAGIC_BITS32 = F(12582912.0), J(0x4B400000)
MAGIC64, _MAGIC_BITS64 = D(6755399441055744.0), L(0x4338000000000000)


@helper
def _scale32(n):
    """2^n as a product of two normal numbers, for -252 <= n <= 254."""
    half = J(n >> J(1))
    return from_bits(J(J(half + J(127)) << J(23))), from_bits(J(J(J(n - half) + J(127)) << J(23)))


@helper
def _scale64(n):
    """2^n as a product of two normal numbers, for -2044 <= n <= 2046."""
    half = n >> L(1)
    return from_bits(L((half + L(1023)) << L(52))), from_bits(L((n - half + L(1023)) << L(52)))


@helper
def exp_parts32(x):
    """(p, s, t) with e^x = p * s * t; x within the range where e^x is finite and not zero."""
    shifted = x * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (x - n * _LN2_HI32) - n * _LN2_LO32
    s, t = _scale32(J(bits(shifted) - _MAGIC_BITS32))
    return F(1.0) + (r + r * r * poly(r, _EXP32)), s, t


@helper
def exp_parts64(x, low):
    """(p, s, t) with e^(x + low) = p * s * t."""
    shifted = x * _LOG2E + MAGIC64
    n = shifted - MAGIC64
    r = (x - n * _LN2_HI64) + (low - n * _LN2_LO64)
    s, t = _scale64(bits(shifted) - _MAGIC_BITS64)
    return 1.0 + (r + r * r * poly(r, _EXPM1_64)), s, t


def _exp32(x):
    p, s, t = exp_parts32(clamp(x, F(-105.0), F(89.0)))
    return p * s * t


def _exp64(x):
    """e^x."""
    p, s, t = exp_parts64(clamp(x, -746.0, 710.0), 0.0)
    return p * s * t


exp = by_type(_exp32, _exp64)


def _exp2_32(x):
    x = clamp(x, F(-151.0), F(129.0))
    shifted = x + _MAGIC32
    r = (x - (shifted - _MAGIC32)) * F(LN2)
    s, t = _scale32(J(bits(shifted) - _MAGIC_BITS32))
    return (F(1.0) + (r + r * r * poly(r, _EXP32))) * s * t


def _exp2_64(x):
    """2^x."""
    x = clamp(x, -1076.0, 1025.0)
    shifted = x + MAGIC64
    r = (x - (shifted - MAGIC64)) * LN2
    s, t = _scale64(bits(shifted) - _MAGIC_BITS64)
    return (1.0 + (r + r * r * poly(r, _EXPM1_64))) * s * t


exp2 = by_type(_exp2_32, _exp2_64)


def _expm1_32(x):
    a = clamp(x, F(-20.0), F(89.0))
    shifted = a * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (a - n * _LN2_HI32) - n * _LN2_LO32
    p = r + r * r * poly(r, _EXPM1_32)
    # 2^(n - 1) is finite where 2^n is not.
    s = from_bits(J(J(bits(shifted) - _MAGIC_BITS32 + J(126)) << J(23)))
    y = F(2.0) * (s * p + (s - F(0.5)))
    return x if abs(x) < F(1e-8) else y


def _expm1_64(x):
    """e^x - 1, exact to the last digit for small x too."""
    a = clamp(x, -40.0, 710.0)
    shifted = a * _LOG2E + MAGIC64
    n = shifted - MAGIC64
    r = (a - n * _LN2_HI64) - n * _LN2_LO64
    p = r + r * r * poly(r, _EXPM1_64)
    s = from_bits(L((bits(shifted) - _MAGIC_BITS64 + L(1022)) << L(52)))
    y = 2.0 * (s * p + (s - 0.5))
    return x if abs(x) < 1e-17 else y


expm1 = by_type(_expm1_32, _expm1_64)

# ---------------------------------------------------------------------------------------------------- log, log1p

# (log(1 + f) - f + f^2/2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2): 2^-27.4 of log(1 + f)
_LOG32 = coefficients_in(
    F, -0.07634896785020828, 0.12761802971363068, -0.13160119950771332, 0.1420171707868576, -0.1662336140871048,
    0.20001229643821716, -0.2500081956386566, 0.3333333134651184,
)  # fmt: skip
# (2 atanh(s) - 2 s) / s^3 in s^2, s = f / (2 + f): 2^-58.5
_LOG64 = coefficients_in(
    D, 0.1479726996357051, 0.15313929385349134, 0.18183568630105817, 0.2222219849875874, 0.2857142874303207,
    0.39999999999412134, 0.6666666666666735,
)  # fmt: skip
_SQRT_HALF_BITS32 = J(0x3F3504F3)
_SQRT_HALF_BITS64 = L(0x3FE6A09E667F3BCD)
_TINY32, _TINY64 = F(1.1754944e-38), D(2.2250738585072014e-308)


@helper
def _log_split32(x):
    """(n, m) with x = 2^n m and sqrt(1/2) <= m < sqrt(2), for normal x > 0; n as a float."""
    n = J(J(bits(x) - _SQRT_HALF_BITS32) >> J(23))
    return F(n), from_bits(J(bits(x) - J(n << J(23))))


@helper
def _log_split64(x):
    n = L(bits(x) - _SQRT_HALF_BITS64) >> L(52)
    return D(n), from_bits(L(bits(x) - (n << L(52))))


@helper
def _log_tail32(f):
    """log(1 + f) - f."""
    z = f * f
    return f * z * poly(f, _LOG32) - F(0.5) * z


@helper
def _log_tail64(f):
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return s * (half + z * poly(z, _LOG64)) - half


@helper
def _log_special32(x, y):
    y = -F(np.inf) if x == F(0.0) else y
    y = F(np.nan) if x < F(0.0) else y
    return y if x < F(np.inf) else x


@helper
def _log_special64(x, y):
    """y, the logarithm of an ordinary x, or what takes its place for zero, negative x, infinity and NaN."""
    y = -np.inf if x == 0.0 else y
    y = np.nan if x < 0.0 else y
    return y if x < np.inf else x


def _log32(x):
    small = x < _TINY32
    n, m = _log_split32(x * F(8388608.0) if small else x)
    n = n - F(23.0) if small else n
    f = m - F(1.0)
    return _log_special32(x, n * _LN2_HI32 + (f + (_log_tail32(f) + n * _LN2_LO32)))


@helper
def _log_parts64(x):
    """(n, f) with x = 2^n (1 + f), for x > 0."""
    small = x < _TINY64
    n, m = _log_split64(x * 4503599627370496.0 if small else x)
    return n - 52.0 if small else n, m - 1.0


def _log64(x):
    """Natural logarithm."""
    n, f = _log_parts64(x)
    return _log_special64(x, n * _LN2_HI64 + (f + (_log_tail64(f) + n * _LN2_LO64)))


log = by_type(_log32, _log64)

_LOG10E, _LOG10E_LO = D(0.4342944819032518), D(1.098319650216765e-17)
_LOG10_2_HI, _LOG10_2_LO = D(0.30102999566224753), D(1.7336659603752853e-12)


def _log2_64(x):
    """Logarithm to base 2; exact for powers of two."""
    n, f = _log_parts64(x)
    y = f + _log_tail64(f)
    return _log_special64(x, n + (y * _LOG2E + y * _LOG2E_LO))


def _log10_64(x):
    """Logarithm to base 10."""
    n, f = _log_parts64(x)
    y = f + _log_tail64(f)
    return _log_special64(x, n * _LOG10_2_HI + (y * _LOG10E + (y * _LOG10E_LO + n * _LOG10_2_LO)))


_log2_helper = helper(_log2_64)
_log10_helper = helper(_log10_64)


def _log2_32(x):
    return F(_log2_helper(D(x)))


def _log10_32(x):
    return F(_log10_helper(D(x)))


log2 = by_type(_log2_32, _log2_64)
log10 = by_type(_log10_32, _log10_64)


def _log1p_32(x):
    u = F(1.0) + x
    # What the rounding of 1 + x lost; for x >= 1 the larger term is x.
    lost = F(1.0) - (u - x) if x > F(1.0) else x - (u - F(1.0))
    n, m = _log_split32(u)
    f = (m - F(1.0)) + lost * from_bits(J(J(J(127) - J(clamp(n, F(-1.0), F(126.0)))) << J(23)))
    y = n * _LN2_HI32 + (f + (_log_tail32(f) + n * _LN2_LO32))
    y = x if abs(x) < F(1e-8) else y
    return _log_special32(u, y) if u <= F(0.0) or not x < F(np.inf) else y


def _log1p_64(x):
    """log(1 + x), exact to the last digit for small x too."""
    u = 1.0 + x
    lost = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    n, m = _log_split64(u)
    f = (m - 1.0) + lost * from_bits(L((L(1023) - L(clamp(n, -1.0, 1022.0))) << L(52)))
    y = n * _LN2_HI64 + (f + (_log_tail64(f) + n * _LN2_LO64))
    y = x if abs(x) < 1e-17 else y
    return _log_special64(u, y) if u <= 0.0 or not x < np.inf else y


log1p = by_type(_log1p_32, _log1p_64)

# ---------------------------------------------------------------------------------------------------- sigmoid, softplus

exp64 = helper(_exp64)
log64 = helper(_log64)
expm1_64 = helper(_expm1_64)
log1p_64 = helper(_log1p_64)


def _sigmoid32(x):
    p, s, t = exp_parts32(clamp(-abs(x), F(-105.0), F(0.0)))
    e = p * s * t
    return (F(1.0) if x >= F(0.0) else e) / (F(1.0) + e)


def _sigmoid64(x):
    """1 / (1 + e^-x)."""
    p, s, t = exp_parts64(clamp(-abs(x), -746.0, 0.0), 0.0)
    e = p * s * t
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


sigmoid = by_type(_sigmoid32, _sigmoid64)


# (log(1 + e) - e) / e^2 for 0 <= e <= 1: 2^-27.5 and 2^-56.6 of log(1 + e)
_SOFTPLUS32 = coefficients_in(
    F, -0.0033202487975358963, 0.020213207229971886, -0.057681743055582047, 0.10682407766580582, -0.15356534719467163,
    0.1969580352306366, -0.24958664178848267, 0.3333051800727844, -0.49999934434890747,
)  # fmt: skip
_SOFTPLUS64 = coefficients_in(
    D, 2.5329918748149933e-05, -0.0002917609244256316, 0.0015957393176206317, -0.00554310249559347,
    0.013838573804058313, -0.026743932391719474, 0.042300066610923136, -0.05750195461953477, 0.07035536730921883,
    -0.08081208121443591, 0.0901315214028854, -0.0998101442813135, 0.11107505876980306, -0.12499479591790895,
    0.14285658894560813, -0.16666662498267434, 0.1999999979130909, -0.24999999993676095, 0.3333333333323504,
    -0.4999999999999946,
)  # fmt: skip


def _softplus32(x):
    p, s, t = exp_parts32(clamp(-abs(x), F(-105.0), F(0.0)))
    e = p * s * t
    return (F(0.0) if x < F(0.0) else x) + (e + e * (e * poly(e, _SOFTPLUS32)))


def _softplus64(x):
    """log(1 + e^x), without overflow."""
    p, s, t = exp_parts64(clamp(-abs(x), -746.0, 0.0), 0.0)
    e = p * s * t
    return (0.0 if x < 0.0 else x) + (e + e * (e * poly(e, _SOFTPLUS64)))


softplus = by_type(_softplus32, _softplus64)

# ---------------------------------------------------------------------------------------------------- pow


@helper
def _pow_special(x, y, r):
    """x ** y from r = |x| ** y as exp and log give it: signs, and the cases where one of the two is special."""
    whole = np.trunc(y) == y
    odd = whole and np.trunc(0.5 * y) != 0.5 * y
    r = -r if odd and x < 0.0 else r
    r = np.nan if x < 0.0 and not whole and x > -np.inf else r
    r = copysign64(r, x) if odd and x == 0.0 else r
    r = 1.0 if abs(x) == 1.0 and abs(y) == np.inf else r
    return 1.0 if x == 1.0 or y == 0.0 else r


def _pow32(x, y):
    a, b = D(x), D(y)
    return F(_pow_special(a, b, exp64(b * log64(abs(a)))))


def _pow64(x, y):
    return x**y


_pow32_helper = helper(_pow32)
_pow64_helper = helper(_pow64)


def pow(x, y):
    """x to the power y, both of one float type: NaN for negative x and broken y; 1 for y = 0 and for x = 1."""
    return F(_pow32_helper(x, y)) if isinstance(x, F) else D(_pow64_helper(D(x), D(y)))


@overload(pow, jit_options=MATH)
def _overload_pow(x, y):
    if x == y == types.float32:
        return _pow32
    return _pow64 if x == y == types.float64 else None
