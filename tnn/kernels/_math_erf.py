"""erf, erfc and erfinv; the normal distribution function; lgamma and digamma."""

import math

import numpy as np
from numba import njit

from ._math_base import D, F, L, bits, by_type, clamp, coefficients_in, copysign32, copysign64, from_bits, helper, poly
from ._math_exp import _exp64, exp_parts32, exp_parts64

# ---------------------------------------------------------------------------------------------------- erf, erfc

# erf(x)/x - 1 in x^2 for |x| <= 1: 2^-29.6 and 2^-56.7 of erf(x)
_ERF32 = coefficients_in(
    F, 7.8521654359065e-05, -0.0008009636658243835, 0.005188257433474064, -0.026853768154978752, 0.1128358393907547,
    -0.3761262595653534, 0.1283791670955126 - 1.4291340333372204e-09,
)  # fmt: skip
_ERF64 = coefficients_in(
    D, -7.777657249651333e-10, 1.3709933432301139e-08, -1.6206050470857844e-07, 1.644709380358016e-06,
    -1.4924708897395735e-05, 0.00012055293376596895, -0.0008548325921580419, 0.005223977605926403,
    -0.02686617064308227, 0.11283791670943938, -0.3761263890318351, 0.1283791670955126,
)  # fmt: skip
# log(erfc(x)) for 0.9 <= x <= 4: 2^-34.5 of erf(x)
_ERFC_LOG32 = coefficients_in(
    F, -7.360022209468298e-07, -1.133097248384729e-05, 0.0003789640904869884, -0.0039944760501384735,
    0.024775266647338867, -0.10785916447639465, -0.6336625814437866, -1.1293821334838867, 0.0001506713015260175,
)  # fmt: skip
# (1 + 2 x) e^(x^2) erfc(x) in t = (x - 3.75) / (x + 3.75) for 0 <= x <= 27.3: 2^-56.4
_ERFCX64 = coefficients_in(
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
    p, s, t = exp_parts32(poly(a, _ERFC_LOG32))
    large = copysign32(F(1.0) - p * s * t, x)
    return large if a > F(0.95) else small


@helper
def _erfc_positive64(a):
    """erfc(a) for a >= 0, a^2 being split so that its rounding error is not scaled up."""
    a = 28.0 if a > 28.0 else a
    high = from_bits(L(bits(a) & L(-0x8000000)))
    p, s, t = exp_parts64(-high * high, -(a - high) * (a + high))
    return p * (poly((a - 3.75) / (a + 3.75), _ERFCX64) / (1.0 + 2.0 * a)) * s * t


def _erf64(x):
    """Error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    small = x + x * poly(x * x, _ERF64)
    a = abs(x)
    large = copysign64(1.0 - _erfc_positive64(a), x)
    return large if a > 1.0 else small


_erf_helper64 = helper(_erf64)
erf = by_type(_erf32, _erf64)


def _erfc64(x):
    """1 - erf(x), without cancellation for large x."""
    tail = _erfc_positive64(abs(x))
    small = 1.0 - (x + x * poly(x * x, _ERF64))
    return small if abs(x) < 0.5 else (2.0 - tail if x < 0.0 else tail)


_erfc_helper = helper(_erfc64)


def _erfc32(x):
    return F(_erfc_helper(D(x)))


erfc = by_type(_erfc32, _erfc64)

# ------------------------------------------------------------------------------------------ normal distribution

# (Phi(x) - 1/2) / x as P / Q in x^2 for |x| <= 5.5, where Phi reaches 1: 2^-25.6 of Phi
_CDF_P32 = coefficients_in(
    F, 1.1175475822522429e-10, -2.2081716011257413e-08, 3.2409375307906885e-06, 0.00017036675126291811,
    0.004509123973548412, 0.03592165187001228, 0.39894214272499084,
)  # fmt: skip
_CDF_Q32 = coefficients_in(
    F, 6.232367741176859e-05, 0.0018306055571883917, 0.029091157019138336, 0.2567068040370941, 1.0
)
# (Phi(x) + x phi(x) - 1/2) / x for |x| <= 6: 2^-27.6
_SLOPE_P32 = coefficients_in(
    F, -2.888009623114307e-11, 1.3002850351995221e-08, 1.1219043472010526e-06, 3.202715015504509e-05,
    0.0002852129109669477, 0.013569033704698086, -0.018038636073470116, 0.7978845238685608,
)  # fmt: skip
_SLOPE_Q32 = coefficients_in(
    F, 3.636282883690001e-07, 1.0812084838107694e-05, 0.00025860333698801696, 0.004150187596678734,
    0.04558258876204491, 0.31072476506233215, 1.0,
)  # fmt: skip


# One quotient where erf takes two polynomials, one of them below an exponential: gelu in half the time.
def _normal_cdf32(x):
    a = clamp(x, F(-5.5), F(5.5))
    z = a * a
    return F(0.0) if x < F(-5.5) else F(0.5) + a * (poly(z, _CDF_P32) / poly(z, _CDF_Q32))


def _normal_cdf64(x):
    """Phi(x), the normal distribution function (1 + erf(x / sqrt(2))) / 2."""
    return 0.5 * (1.0 + _erf_helper64(x * 0.7071067811865476))


normal_cdf = by_type(_normal_cdf32, _normal_cdf64)


def _gelu_slope32(x):
    a = clamp(x, F(-6.0), F(6.0))
    z = a * a
    return F(0.0) if x < F(-6.0) else F(0.5) + a * (poly(z, _SLOPE_P32) / poly(z, _SLOPE_Q32))


def _gelu_slope64(x):
    """Derivative of x Phi(x): Phi(x) + x phi(x), phi the normal density."""
    return _normal_cdf_helper64(x) + x * (_exp_helper64(-0.5 * x * x) * 0.3989422804014327)


_normal_cdf_helper64, _exp_helper64 = helper(_normal_cdf64), helper(_exp64)
gelu_slope = by_type(_gelu_slope32, _gelu_slope64)

# ---------------------------------------------------------------------------------- lgamma, digamma, erfinv


def _lgamma32(x):
    return F(math.lgamma(D(x)))


def _lgamma64(x):
    """Logarithm of |Gamma(x)|; infinite at zero and the negative integers."""
    return math.lgamma(x)


lgamma = by_type(_lgamma32, _lgamma64)


def _digamma64(x):
    """Derivative of lgamma: recurrence up to 10, then the asymptotic series; reflection below zero."""
    if x == 0.0:
        return -copysign64(np.inf, x)
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
_DIGAMMA = coefficients_in(
    D, 1.0 / 12.0, -691.0 / 32760.0, 1.0 / 132.0, -1.0 / 240.0, 1.0 / 252.0, -1.0 / 120.0, 1.0 / 12.0
)
_digamma_helper = njit(nogil=True, error_model="numpy")(_digamma64)


def _digamma32(x):
    return F(_digamma_helper(D(x)))


digamma = by_type(_digamma32, _digamma64)


def _erfinv64(y):
    """Inverse of erf: Winitzki's closed approximation, then Halley steps; infinite at 1 and -1, NaN outside."""
    a = abs(y)
    if not a < 1.0:
        return copysign64(np.inf, y) if a == 1.0 else np.nan
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
    return copysign64(x, y)


_erfinv_helper = njit(nogil=True, error_model="numpy")(_erfinv64)


def _erfinv32(x):
    return F(_erfinv_helper(D(x)))


def _erfinv_double(x):
    return _erfinv_helper(x)


_erfinv_double.__name__, _erfinv_double.__doc__ = "erfinv64", _erfinv64.__doc__
erfinv = by_type(_erfinv32, _erfinv_double)
