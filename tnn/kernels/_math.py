"""Elementary functions that vectorise: what kernels call instead of math.exp and its kin.

A call of `math.exp` inside a compiled loop is a scalar libm call. The functions here are range reduction, a polynomial
and bit casts, with selects in place of branches, so that LLVM turns a loop over them into vector code. Each takes a
float32 or a float64 and answers in the same type, with correct NaN, infinities, signed zeros and subnormals.

    within 1 to 2 ulp (erfc in float64: 4), vectorising:
        exp exp2 expm1 log log2 log10 log1p sigmoid softplus tanh erf erfc sinh cosh asinh atanh
        sin_small cos_small     |x| <= TRIG_LIMIT, otherwise meaningless: for a loop that mends the rest afterwards
        pow                     float32; float64 calls libm
    scalar, for rare use: sin cos tan (any x), asin acos atan acosh lgamma digamma erfinv

The polynomials are minimax fits (Remez exchange in 240-bit arithmetic, rounded to the working precision) of the
functions named beside them; the error of a fit stands with it. Reductions: W. J. Cody and W. Waite, "Software Manual
for the Elementary Functions" (1980); erfc: M. M. Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249-253.

Sums that carry a rounding error along (x - n*hi - n*lo) would be destroyed by reassociation, so these functions are
compiled with their own flags. Fast-math flags belong to single instructions and survive inlining into a kernel.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

__all__ = [
    "MATH", "TRIG_LIMIT", "acos", "acosh", "asin", "asinh", "atan", "atanh", "copysign", "cos", "cos_small", "cosh",
    "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "lgamma", "log", "log10", "log1p", "log2", "poly",
    "pow", "sigmoid", "sin", "sin_small", "sinh", "softplus", "tan", "tanh",
]  # fmt: skip

# No reassoc and no nsz: see the module's docstring. Inlining is what lets a caller's loop vectorise.
MATH = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}

F = np.float32
D = np.float64
J = np.int32
L = np.int64

_helper = njit(**MATH)


def _coefficients(kind, *values):
    return tuple(kind(v) for v in values)


def _by_type(single, double):
    """One function from a float32 and a float64 version: compiled code picks by type; so does a call from Python."""
    compiled32, compiled64 = _helper(single), _helper(double)

    def function(x):
        return F(compiled32(x)) if isinstance(x, F) else D(compiled64(D(x)))

    def choose(x):
        if isinstance(x, types.Float):
            return single if x.bitwidth == 32 else double
        return None

    overload(function, jit_options=MATH)(choose)
    name = double.__name__.removesuffix("64").strip("_")
    function.__name__ = function.__qualname__ = name
    function.__doc__ = double.__doc__
    return function


@intrinsic
def _horner(typingctx, x, coefficients):
    def codegen(context, builder, signature, args):
        value, table = args
        count = signature.args[1].count
        total = builder.extract_value(table, 0)
        for k in range(1, count):
            total = builder.fadd(builder.fmul(total, value), builder.extract_value(table, k))
        return total

    if isinstance(x, types.Float) and isinstance(coefficients, types.UniTuple) and coefficients.dtype == x:
        return x(x, coefficients), codegen
    return None


@intrinsic
def _reinterpret(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(signature.return_type))

    pairs = {types.float32: types.int32, types.float64: types.int64}
    pairs.update({v: k for k, v in pairs.items()})
    return pairs[x](x), codegen


def _bits(x):
    """The bits of a float as a signed integer of its width."""
    return x.view(J if isinstance(x, F) else L)


def _float(x):
    """The float with these bits, an int32 or int64."""
    return x.view(F if isinstance(x, J) else D)


@overload(_bits, jit_options=MATH)
@overload(_float, jit_options=MATH)
def _overload_reinterpret(x):
    return lambda x: _reinterpret(x)


def poly(x, coefficients):
    """The polynomial with these coefficients (a tuple in x's type, highest power first) at x, by Horner's rule."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


@overload(poly, jit_options=MATH)
def _overload_poly(x, coefficients):
    return lambda x, coefficients: _horner(x, coefficients)


# ---------------------------------------------------------------------------------------------------- signs


def _copysign32(x, y):
    return _float(J((_bits(x) & J(0x7FFFFFFF)) | (_bits(y) & J(-0x80000000))))


def _copysign64(x, y):
    return _float(L((_bits(x) & L(0x7FFFFFFFFFFFFFFF)) | (_bits(y) & L(-0x8000000000000000))))


def copysign(x, y):
    """|x| with the sign bit of y; both of one float type."""
    return F(_copysign32_helper(x, y)) if isinstance(x, F) else D(_copysign64_helper(D(x), D(y)))


@overload(copysign, jit_options=MATH)
def _overload_copysign(x, y):
    if x == y == types.float32:
        return _copysign32
    return _copysign64 if x == y == types.float64 else None


_copysign32_helper = _helper(_copysign32)
_copysign64_helper = _helper(_copysign64)

# ---------------------------------------------------------------------------------------------------- exp, expm1

_LN2 = D(0.6931471805599453)
_LOG2E = D(1.4426950408889634)
_LOG2E_LO = D(2.0355273740931033e-17)

# ln 2 in two parts; the high one has few enough bits for n * high to be exact.
_LN2_HI32, _LN2_LO32 = F(0.693145751953125), F(1.4286068203094173e-06)
_LN2_HI64, _LN2_LO64 = D(0.6931471805582987), D(1.6465949582897082e-12)

# (e^r - 1 - r) / r^2 for |r| <= ln(2)/2: 2^-28.2 of e^r
_EXP32 = _coefficients(F, 0.0013950649881735444, 0.008368953131139278, 0.04166620224714279, 0.166665181517601, 0.5)
# the same: 2^-31.9 and 2^-61.7 of e^r - 1
_EXPM1_32 = _coefficients(
    F, 0.00019845589122269303, 0.0013940721983090043, 0.008333390578627586, 0.04166635870933533, 0.1666666567325592, 0.5
)
_EXPM1_64 = _coefficients(
    D, 2.0875320665998783e-09, 2.5109082188547836e-08, 2.755740297546056e-07, 2.755724410179904e-06,
    2.480158717178385e-05, 0.00019841269886210463, 0.0013888888888962947, 0.008333333333321606, 0.041666666666666505,
    0.16666666666666677, 0.5,
)  # fmt: skip

# Adding 1.5 * 2^23 (2^52) rounds to the nearest integer and leaves that integer in the low bits.
_MAGIC32, _MAGIC_BITS32 = F(12582912.0), J(0x4B400000)
_MAGIC64, _MAGIC_BITS64 = D(6755399441055744.0), L(0x4338000000000000)


@_helper
def _scale32(n):
    """2^n as a product of two normal numbers, for -252 <= n <= 254."""
    half = J(n >> J(1))
    return _float(J(J(half + J(127)) << J(23))), _float(J(J(J(n - half) + J(127)) << J(23)))


@_helper
def _scale64(n):
    """2^n as a product of two normal numbers, for -2044 <= n <= 2046."""
    half = n >> L(1)
    return _float(L((half + L(1023)) << L(52))), _float(L((n - half + L(1023)) << L(52)))


@_helper
def _exp_parts32(x):
    """(p, s, t) with e^x = p * s * t; x within the range where e^x is finite and not zero."""
    shifted = x * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (x - n * _LN2_HI32) - n * _LN2_LO32
    s, t = _scale32(J(_bits(shifted) - _MAGIC_BITS32))
    return F(1.0) + (r + r * r * poly(r, _EXP32)), s, t


@_helper
def _exp_parts64(x, low):
    """(p, s, t) with e^(x + low) = p * s * t."""
    shifted = x * _LOG2E + _MAGIC64
    n = shifted - _MAGIC64
    r = (x - n * _LN2_HI64) + (low - n * _LN2_LO64)
    s, t = _scale64(_bits(shifted) - _MAGIC_BITS64)
    return 1.0 + (r + r * r * poly(r, _EXPM1_64)), s, t


@_helper
def _clamp(x, low, high):
    """x within [low, high]; NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


def _exp32(x):
    p, s, t = _exp_parts32(_clamp(x, F(-105.0), F(89.0)))
    return p * s * t


def _exp64(x):
    """e^x."""
    p, s, t = _exp_parts64(_clamp(x, -746.0, 710.0), 0.0)
    return p * s * t


exp = _by_type(_exp32, _exp64)


def _exp2_32(x):
    x = _clamp(x, F(-151.0), F(129.0))
    shifted = x + _MAGIC32
    r = (x - (shifted - _MAGIC32)) * F(_LN2)
    s, t = _scale32(J(_bits(shifted) - _MAGIC_BITS32))
    return (F(1.0) + (r + r * r * poly(r, _EXP32))) * s * t


def _exp2_64(x):
    """2^x."""
    x = _clamp(x, -1076.0, 1025.0)
    shifted = x + _MAGIC64
    r = (x - (shifted - _MAGIC64)) * _LN2
    s, t = _scale64(_bits(shifted) - _MAGIC_BITS64)
    return (1.0 + (r + r * r * poly(r, _EXPM1_64))) * s * t


exp2 = _by_type(_exp2_32, _exp2_64)


def _expm1_32(x):
    a = _clamp(x, F(-20.0), F(89.0))
    shifted = a * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (a - n * _LN2_HI32) - n * _LN2_LO32
    p = r + r * r * poly(r, _EXPM1_32)
    # 2^(n - 1) is finite where 2^n is not.
    s = _float(J(J(_bits(shifted) - _MAGIC_BITS32 + J(126)) << J(23)))
    y = F(2.0) * (s * p + (s - F(0.5)))
    return x if abs(x) < F(1e-8) else y


def _expm1_64(x):
    """e^x - 1, exact to the last digit for small x too."""
    a = _clamp(x, -40.0, 710.0)
    shifted = a * _LOG2E + _MAGIC64
    n = shifted - _MAGIC64
    r = (a - n * _LN2_HI64) - n * _LN2_LO64
    p = r + r * r * poly(r, _EXPM1_64)
    s = _float(L((_bits(shifted) - _MAGIC_BITS64 + L(1022)) << L(52)))
    y = 2.0 * (s * p + (s - 0.5))
    return x if abs(x) < 1e-17 else y


expm1 = _by_type(_expm1_32, _expm1_64)

# ---------------------------------------------------------------------------------------------------- log, log1p

# (log(1 + f) - f + f^2/2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2): 2^-27.4 of log(1 + f)
_LOG32 = _coefficients(
    F, -0.07634896785020828, 0.12761802971363068, -0.13160119950771332, 0.1420171707868576, -0.1662336140871048,
    0.20001229643821716, -0.2500081956386566, 0.3333333134651184,
)  # fmt: skip
# (2 atanh(s) - 2 s) / s^3 in s^2, s = f / (2 + f): 2^-58.5
_LOG64 = _coefficients(
    D, 0.1479726996357051, 0.15313929385349134, 0.18183568630105817, 0.2222219849875874, 0.2857142874303207,
    0.39999999999412134, 0.6666666666666735,
)  # fmt: skip
_SQRT_HALF_BITS32 = J(0x3F3504F3)
_SQRT_HALF_BITS64 = L(0x3FE6A09E667F3BCD)
_TINY32, _TINY64 = F(1.1754944e-38), D(2.2250738585072014e-308)


@_helper
def _log_split32(x):
    """(n, m) with x = 2^n m and sqrt(1/2) <= m < sqrt(2), for normal x > 0; n as a float."""
    n = J(J(_bits(x) - _SQRT_HALF_BITS32) >> J(23))
    return F(n), _float(J(_bits(x) - J(n << J(23))))


@_helper
def _log_split64(x):
    n = L(_bits(x) - _SQRT_HALF_BITS64) >> L(52)
    return D(n), _float(L(_bits(x) - (n << L(52))))


@_helper
def _log_tail32(f):
    """log(1 + f) - f."""
    z = f * f
    return f * z * poly(f, _LOG32) - F(0.5) * z


@_helper
def _log_tail64(f):
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return s * (half + z * poly(z, _LOG64)) - half


@_helper
def _log_special32(x, y):
    y = -F(np.inf) if x == F(0.0) else y
    y = F(np.nan) if x < F(0.0) else y
    return y if x < F(np.inf) else x


@_helper
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


@_helper
def _log_parts64(x):
    """(n, f) with x = 2^n (1 + f), for x > 0."""
    small = x < _TINY64
    n, m = _log_split64(x * 4503599627370496.0 if small else x)
    return n - 52.0 if small else n, m - 1.0


def _log64(x):
    """Natural logarithm."""
    n, f = _log_parts64(x)
    return _log_special64(x, n * _LN2_HI64 + (f + (_log_tail64(f) + n * _LN2_LO64)))


log = _by_type(_log32, _log64)

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


_log2_helper = _helper(_log2_64)
_log10_helper = _helper(_log10_64)


def _log2_32(x):
    return F(_log2_helper(D(x)))


def _log10_32(x):
    return F(_log10_helper(D(x)))


log2 = _by_type(_log2_32, _log2_64)
log10 = _by_type(_log10_32, _log10_64)


def _log1p_32(x):
    u = F(1.0) + x
    # What the rounding of 1 + x lost; for x >= 1 the larger term is x.
    lost = F(1.0) - (u - x) if x > F(1.0) else x - (u - F(1.0))
    n, m = _log_split32(u)
    f = (m - F(1.0)) + lost * _float(J(J(J(127) - J(_clamp(n, F(-1.0), F(126.0)))) << J(23)))
    y = n * _LN2_HI32 + (f + (_log_tail32(f) + n * _LN2_LO32))
    y = x if abs(x) < F(1e-8) else y
    return _log_special32(u, y) if u <= F(0.0) or not x < F(np.inf) else y


def _log1p_64(x):
    """log(1 + x), exact to the last digit for small x too."""
    u = 1.0 + x
    lost = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    n, m = _log_split64(u)
    f = (m - 1.0) + lost * _float(L((L(1023) - L(_clamp(n, -1.0, 1022.0))) << L(52)))
    y = n * _LN2_HI64 + (f + (_log_tail64(f) + n * _LN2_LO64))
    y = x if abs(x) < 1e-17 else y
    return _log_special64(u, y) if u <= 0.0 or not x < np.inf else y


log1p = _by_type(_log1p_32, _log1p_64)

# ---------------------------------------------------------------------------------------------------- sigmoid, softplus

_exp_helper32 = _helper(_exp32)
_exp_helper64 = _helper(_exp64)
_expm1_helper32 = _helper(_expm1_32)
_expm1_helper64 = _helper(_expm1_64)
_log1p_helper32 = _helper(_log1p_32)
_log1p_helper64 = _helper(_log1p_64)


def _sigmoid32(x):
    p, s, t = _exp_parts32(_clamp(-abs(x), F(-105.0), F(0.0)))
    e = p * s * t
    return (F(1.0) if x >= F(0.0) else e) / (F(1.0) + e)


def _sigmoid64(x):
    """1 / (1 + e^-x)."""
    p, s, t = _exp_parts64(_clamp(-abs(x), -746.0, 0.0), 0.0)
    e = p * s * t
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


sigmoid = _by_type(_sigmoid32, _sigmoid64)


def _softplus32(x):
    positive = F(0.0) if x < F(0.0) else x
    return positive + _log1p_helper32(_exp_helper32(-abs(x)))


def _softplus64(x):
    """log(1 + e^x), without overflow."""
    positive = 0.0 if x < 0.0 else x
    return positive + _log1p_helper64(_exp_helper64(-abs(x)))


softplus = _by_type(_softplus32, _softplus64)

# ---------------------------------------------------------------------------------------------------- tanh, sinh, cosh

# (tanh(x) - x) / x^3 in x^2 for |x| <= 0.625: 2^-27.8 and 2^-61.3 of tanh(x)
_TANH32 = _coefficients(
    F, -0.0057169669307768345, 0.02065056562423706, -0.05374351516366005, 0.13331492245197296, -0.3333328366279602
)
_TANH64 = _coefficients(
    D, 6.056304883356547e-06, -3.0219601537871377e-05, 9.159153922093294e-05, -0.00023703117764428398,
    0.0005894590276463316, -0.001455727718814836, 0.0035921142882787546, -0.008863234343341483, 0.02186948847077791,
    -0.053968253966139204, 0.133333333333299, -0.33333333333333315,
)  # fmt: skip


def _tanh64(x):
    """Hyperbolic tangent."""
    z = x * x
    a = _clamp(abs(x), 0.0, 20.0)
    small = a + a * (z * poly(z, _TANH64))
    p, s, t = _exp_parts64(a + a, 0.0)
    large = 1.0 - 2.0 / (p * s * t + 1.0)
    return _copysign64_helper(large if a >= 0.625 else small, x)


def _tanh32(x):
    z = x * x
    a = _clamp(abs(x), F(0.0), F(10.0))
    small = a + a * (z * poly(z, _TANH32))
    p, s, t = _exp_parts32(a + a)
    large = F(1.0) - F(2.0) / (p * s * t + F(1.0))
    return _copysign32_helper(large if a >= F(0.625) else small, x)


tanh = _by_type(_tanh32, _tanh64)


def _sinh32(x):
    return F(_sinh_helper(D(x)))


def _sinh64(x):
    """Hyperbolic sine."""
    a = abs(x)
    e = _expm1_helper64(a if a < 709.0 else 0.0)
    small = 0.5 * (e + e / (e + 1.0))
    p, s, t = _exp_parts64(_clamp(a, 0.0, 711.0), 0.0)
    return _copysign64_helper(small if a < 22.0 else (0.5 * p) * s * t, x)


_sinh_helper = _helper(_sinh64)
sinh = _by_type(_sinh32, _sinh64)


def _cosh32(x):
    return F(_cosh_helper(D(x)))


def _cosh64(x):
    """Hyperbolic cosine."""
    a = abs(x)
    p, s, t = _exp_parts64(_clamp(a, 0.0, 711.0), 0.0)
    half = (0.5 * p) * s * t
    return half + 0.25 / half


_cosh_helper = _helper(_cosh64)
cosh = _by_type(_cosh32, _cosh64)


def _asinh32(x):
    return F(_asinh_helper(D(x)))


def _asinh64(x):
    """Inverse hyperbolic sine."""
    a = abs(x)
    b = 1.0 if a > 1e150 else a
    z = b * b
    argument = a if a > 1e150 else b + z / (1.0 + np.sqrt(z + 1.0))
    return _copysign64_helper(_log1p_helper64(argument) + (_LN2 if a > 1e150 else 0.0), x)


_asinh_helper = _helper(_asinh64)
asinh = _by_type(_asinh32, _asinh64)


def _atanh32(x):
    return F(_atanh_helper(D(x)))


def _atanh64(x):
    """Inverse hyperbolic tangent."""
    a = abs(x)
    return _copysign64_helper(0.5 * _log1p_helper64((a + a) / (1.0 - a)), x)


_atanh_helper = _helper(_atanh64)
atanh = _by_type(_atanh32, _atanh64)

# ---------------------------------------------------------------------------------------------------- erf, erfc

# erf(x)/x - 1 in x^2 for |x| <= 1: 2^-29.6 and 2^-56.7 of erf(x)
_ERF32 = _coefficients(
    F, 7.8521654359065e-05, -0.0008009636658243835, 0.005188257433474064, -0.026853768154978752, 0.1128358393907547,
    -0.3761262595653534, 0.1283791670955126 - 1.4291340333372204e-09,
)  # fmt: skip
_ERF64 = _coefficients(
    D, -7.777657249651333e-10, 1.3709933432301139e-08, -1.6206050470857844e-07, 1.644709380358016e-06,
    -1.4924708897395735e-05, 0.00012055293376596895, -0.0008548325921580419, 0.005223977605926403,
    -0.02686617064308227, 0.11283791670943938, -0.3761263890318351, 0.1283791670955126,
)  # fmt: skip
# log(erfc(x)) for 0.9 <= x <= 4: 2^-34.5 of erf(x)
_ERFC_LOG32 = _coefficients(
    F, -7.360022209468298e-07, -1.133097248384729e-05, 0.0003789640904869884, -0.0039944760501384735,
    0.024775266647338867, -0.10785916447639465, -0.6336625814437866, -1.1293821334838867, 0.0001506713015260175,
)  # fmt: skip
# (1 + 2 x) e^(x^2) erfc(x) in t = (x - 3.75) / (x + 3.75) for 0 <= x <= 27.3: 2^-56.4
_ERFCX64 = _coefficients(
    D, -2.2431170788931606e-09, -4.149745221875388e-10, 3.275765150571071e-08, 1.4737724325875418e-08,
    -2.531487099185684e-07, -4.672621108582547e-08, 1.7491040685774713e-06, -9.810494367091506e-07,
    -1.1443775804570081e-05, 2.2387577188971898e-05, 5.164926670460717e-05, -0.000290155031758951,
    0.00029371357043149265, 0.0017556260245715602, -0.009746579537753743, 0.02836227740015133, -0.058693398591776885,
    0.09230432116152014, -0.10880393014164261, 0.0822767384901131, 0.003585415485462491, -0.1402405985855467,
    1.2375126308378275,
)  # fmt: skip


def _erf32(x):
    z = x * x
    small = x + x * poly(z, _ERF32)
    a = abs(x)
    a = F(4.0) if a > F(4.0) else a
    p, s, t = _exp_parts32(poly(a, _ERFC_LOG32))
    large = _copysign32_helper(F(1.0) - p * s * t, x)
    return large if a > F(0.95) else small


@_helper
def _erfc_positive64(a):
    """erfc(a) for a >= 0, a^2 being split so that its rounding error is not scaled up."""
    a = 28.0 if a > 28.0 else a
    high = _float(L(_bits(a) & L(-0x8000000)))
    p, s, t = _exp_parts64(-high * high, -(a - high) * (a + high))
    return p * (poly((a - 3.75) / (a + 3.75), _ERFCX64) / (1.0 + 2.0 * a)) * s * t


def _erf64(x):
    """Error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    small = x + x * poly(x * x, _ERF64)
    a = abs(x)
    large = _copysign64_helper(1.0 - _erfc_positive64(a), x)
    return large if a > 1.0 else small


_erf_helper64 = _helper(_erf64)
erf = _by_type(_erf32, _erf64)


def _erfc64(x):
    """1 - erf(x), without cancellation for large x."""
    tail = _erfc_positive64(abs(x))
    small = 1.0 - (x + x * poly(x * x, _ERF64))
    return small if abs(x) < 0.5 else (2.0 - tail if x < 0.0 else tail)


_erfc_helper = _helper(_erfc64)


def _erfc32(x):
    return F(_erfc_helper(D(x)))


erfc = _by_type(_erfc32, _erfc64)

# ---------------------------------------------------------------------------------------------------- sin, cos, tan

# Up to here three parts of pi/2 reduce the argument to full accuracy.
TRIG_LIMIT = 1e9

_TWO_OVER_PI = D(0.6366197723675814)
_PIO2_A, _PIO2_B, _PIO2_C = D(1.5707963267948966), D(6.123233995736766e-17), D(-1.4973849048591698e-33)

# (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2 for |r| <= pi/4: 2^-28.0, 2^-33.3, 2^-58.0, 2^-64.2
_SIN32 = _coefficients(F, -0.00019516654720064253, 0.008332173340022564, -0.16666655242443085)
_COS32 = _coefficients(F, 2.4437749743810855e-05, -0.001388736185617745, 0.04166664555668831)
_SIN64 = _coefficients(
    D, 1.589651780311997e-10, -2.5050753552671073e-08, 2.755731366440733e-06, -0.00019841269829733675,
    0.008333333333322328, -0.16666666666666632,
)  # fmt: skip
_COS64 = _coefficients(
    D, -1.1359454209893429e-11, 2.0875719681220216e-09, -2.755731432709078e-07, 2.480158728939935e-05,
    -0.0013888888888874, 0.0416666666666666,
)  # fmt: skip


@intrinsic
def _fused(typingctx, x, y, z):
    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return x(x, x, x), codegen


@_helper
def _quadrant(x):
    """(q, r, low): x = q pi/2 + r + low with |r| <= pi/4, q an int64 of which the last two bits count."""
    shifted = x * _TWO_OVER_PI + _MAGIC64
    n = shifted - _MAGIC64
    # The first step is exact; the second leaves a rounding error, which `low` carries.
    first = _fused(-n, _PIO2_A, x)
    r = _fused(-n, _PIO2_B, first)
    low = _fused(-n, _PIO2_C, _fused(-n, _PIO2_B, first - r))
    return _bits(shifted), r, low


@_helper
def _sine_quadrant32(x, turn):
    """sin(x + turn * pi/2), |x| <= TRIG_LIMIT."""
    q, r, _ = _quadrant(D(x))
    q = J(q) + J(turn)
    r = F(r)
    z = r * r
    s = r + r * (z * poly(z, _SIN32))
    c = F(1.0) - (F(0.5) * z - z * z * poly(z, _COS32))
    y = c if J(q & J(1)) != J(0) else s
    return _float(J(_bits(y) ^ J(J(q & J(2)) << J(30))))


@_helper
def _sine_quadrant64(x, turn):
    q, r, low = _quadrant(x)
    q = q + L(turn)
    z = r * r
    s = r + (r * (z * poly(z, _SIN64)) + low * (1.0 - 0.5 * z))
    half = 0.5 * z
    w = 1.0 - half
    c = w + (((1.0 - w) - half) + (z * z * poly(z, _COS64) - r * low))
    y = c if (q & L(1)) != 0 else s
    return _float(L(_bits(y) ^ ((q & L(2)) << L(62))))


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


sin_small = _by_type(_sin_small32, _sin_small64)
cos_small = _by_type(_cos_small32, _cos_small64)


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


def _tan32(x):
    return F(math.tan(D(x)))


def _tan64(x):
    """Tangent."""
    return math.tan(x)


_sin_small_helper32 = _helper(_sin_small32)
_sin_small_helper64 = _helper(_sin_small64)
sin = _by_type(_sin32, _sin64)
cos = _by_type(_cos32, _cos64)
tan = _by_type(_tan32, _tan64)

# ---------------------------------------------------------------------------------------------------- pow


@_helper
def _pow_special(x, y, r):
    """x ** y from r = |x| ** y as exp and log give it: signs, and the cases where one of the two is special."""
    whole = np.trunc(y) == y
    odd = whole and np.trunc(0.5 * y) != 0.5 * y
    r = -r if odd and x < 0.0 else r
    r = np.nan if x < 0.0 and not whole and x > -np.inf else r
    r = _copysign64_helper(r, x) if odd and x == 0.0 else r
    r = 1.0 if abs(x) == 1.0 and abs(y) == np.inf else r
    return 1.0 if x == 1.0 or y == 0.0 else r


_log_helper64 = _helper(_log64)


def _pow32(x, y):
    a, b = D(x), D(y)
    return F(_pow_special(a, b, _exp_helper64(b * _log_helper64(abs(a)))))


def _pow64(x, y):
    return x**y


_pow32_helper = _helper(_pow32)
_pow64_helper = _helper(_pow64)


def pow(x, y):
    """x to the power y, both of one float type: NaN for negative x and broken y; 1 for y = 0 and for x = 1."""
    return F(_pow32_helper(x, y)) if isinstance(x, F) else D(_pow64_helper(D(x), D(y)))


@overload(pow, jit_options=MATH)
def _overload_pow(x, y):
    if x == y == types.float32:
        return _pow32
    return _pow64 if x == y == types.float64 else None


# ---------------------------------------------------------------------------------------------------- scalar functions


def _asin32(x):
    return F(math.asin(D(x)))


def _asin64(x):
    """Inverse sine; NaN outside [-1, 1]."""
    return math.asin(x)


def _acos32(x):
    return F(math.acos(D(x)))


def _acos64(x):
    """Inverse cosine; NaN outside [-1, 1]."""
    return math.acos(x)


def _atan32(x):
    return F(math.atan(D(x)))


def _atan64(x):
    """Inverse tangent."""
    return math.atan(x)


def _acosh32(x):
    return F(math.acosh(D(x)))


def _acosh64(x):
    """Inverse hyperbolic cosine; NaN below 1."""
    return math.acosh(x)


def _lgamma32(x):
    return F(math.lgamma(D(x)))


def _lgamma64(x):
    """Logarithm of |Gamma(x)|; infinite at zero and the negative integers."""
    return math.lgamma(x)


asin = _by_type(_asin32, _asin64)
acos = _by_type(_acos32, _acos64)
atan = _by_type(_atan32, _atan64)
acosh = _by_type(_acosh32, _acosh64)
lgamma = _by_type(_lgamma32, _lgamma64)


def _digamma64(x):
    """Derivative of lgamma: recurrence up to 10, then the asymptotic series; reflection below zero."""
    if x == 0.0:
        return -_copysign64_helper(np.inf, x)
    if x < 0.0 and np.floor(x) == x:
        return np.nan
    y = 0.0
    if x < 0.0:
        y = -np.pi / math.tan(np.pi * (x - np.rint(x)))
        x = 1.0 - x
    while x < 10.0:
        y -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    return y + math.log(x) - 0.5 / x - z * poly(z, _DIGAMMA)


# B_2k / (2k), k = 7..1
_DIGAMMA = _coefficients(
    D, 1.0 / 12.0, -691.0 / 32760.0, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0
)
_digamma_helper = njit(nogil=True, error_model="numpy")(_digamma64)


def _digamma32(x):
    return F(_digamma_helper(D(x)))


digamma = _by_type(_digamma32, _digamma64)


def _erfinv64(y):
    """Inverse of erf: Winitzki's closed approximation, then Halley steps; infinite at 1 and -1, NaN outside."""
    a = abs(y)
    if not a < 1.0:
        return _copysign64_helper(np.inf, y) if a == 1.0 else np.nan
    if a < 0.1:
        x = a * 0.886226925452758
    else:
        w = math.log((1.0 - a) * (1.0 + a))
        t = 4.3307467508 + 0.5 * w
        x = math.sqrt(math.sqrt(t * t - w / 0.147) - t)
    for _ in range(3):
        error = _erf_helper64(x) - a if a < 0.5 else (1.0 - a) - _erfc_helper(x)
        step = error * 0.886226925452758 * math.exp(x * x)
        x -= step / (1.0 + x * step)
    return _copysign64_helper(x, y)


_erfinv_helper = njit(nogil=True, error_model="numpy")(_erfinv64)


def _erfinv32(x):
    return F(_erfinv_helper(D(x)))


def _erfinv_double(x):
    return _erfinv_helper(x)


_erfinv_double.__name__, _erfinv_double.__doc__ = "erfinv64", _erfinv64.__doc__
erfinv = _by_type(_erfinv32, _erfinv_double)
