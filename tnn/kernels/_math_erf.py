"""erf, erfc and erfinv; the normal distribution function."""

import numpy as np

from ._math_base import D, F, L, bits, by_type, clamp, coefficients_in, copysign32, copysign64, from_bits, helper, poly
from ._math_exp import _exp64, _log32, exp_parts32, exp_parts64, log64

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


_normal_cdf_helper64, _exp_helper64, _log_helper32 = helper(_normal_cdf64), helper(_exp64), helper(_log32)
gelu_slope = by_type(_gelu_slope32, _gelu_slope64)

# ---------------------------------------------------------------------------------------------------- erfinv

# erfinv(y) / y in w = -log(1 - y^2), less the middle of the range: w <= 6.25, 2^-57.0; w <= 5, 2^-26.2
_INVERSE64 = coefficients_in(
    D, -3.5932028927020693e-22, 3.194015548136271e-21, 1.999259988861535e-20, -3.4734793888538036e-19,
    6.075050702072414e-19, 1.5510787009902526e-17, -1.2215637192404172e-16, -3.94018812230432e-17,
    6.521333511502239e-15, -4.0020031087558496e-14, -8.07192593899004e-14, 2.6305268312595183e-12,
    -1.2978805369932565e-11, -5.414303283919504e-11, 1.051223377050429e-09, -4.1126604371632185e-09,
    -2.907039127564132e-08, 4.23478816822246e-07, -1.3654691758785656e-06, -1.3882523393957483e-05,
    0.00018673420801981186, -0.0007407025341546431, -0.006033670871426851, 0.24015818242558834, 1.6536545626831027,
)  # fmt: skip
_INVERSE32 = coefficients_in(
    F, -8.931925970244222e-09, 2.3335967195708108e-08, 4.6813134805534123e-07, -3.4639852676333717e-06,
    -4.9724196894547514e-06, 0.00021834938623976644, -0.001252726391773229, -0.004177392875203149, 0.24664027905463662,
    1.501409360450329,
)  # fmt: skip
# the same in sqrt(w), to 4, to 6.1 and, for float32, to 4.05: 2^-57.9, 2^-60.7 and 2^-25.1
_INVERSE_TAIL64 = coefficients_in(
    D, 7.680200479077053e-09, -1.5305397964152548e-08, -2.091453334773126e-08, 1.3158663683192966e-07,
    -2.4549818963339823e-07, -2.761716223816241e-08, 1.4815977874022539e-06, -3.985705945648173e-06,
    2.93257845538535e-06, 1.2465028224217455e-05, -4.732068066544697e-05, 6.828711739251955e-05,
    2.4031512865758357e-05, -0.0003550378137852452, 0.0009532893415794137, -0.0016882755354488555,
    0.00249144209795696, -0.0037512085082247342, 0.005370914553555033, 1.0052589676941655, 3.0838856104922208,
)  # fmt: skip
_INVERSE_END64 = coefficients_in(
    D, -9.134081581623503e-13, 5.927721732823349e-12, -1.584506454604612e-11, 1.4499303963797641e-11,
    5.991370408598422e-11, -3.8028749742186137e-10, 1.3274153570048515e-09, -3.534714380584454e-09,
    7.813198330281326e-09, -1.5213267280580667e-08, 2.9022362878984995e-08, -6.757290081475566e-08,
    2.2905178849098781e-07, -9.930254566848684e-07, 4.52605269123395e-06, -1.968177120053988e-05,
    7.599527808324032e-05, -0.00021503011979895082, -0.0001387193183797138, 1.0103004648645448, 4.849906401408584,
)  # fmt: skip
_INVERSE_TAIL32 = coefficients_in(
    F, 0.00012038586342031332, -0.00031371557214023157, -6.295263263725584e-05, 0.0014898368981133764,
    -0.003594595006255951, 0.005685348036517603, -0.0076377741029420914, 0.00944544034395216, 1.0016749887158993,
    2.8329767990604657,
)  # fmt: skip


def _erfinv32(x):
    a = abs(x)
    w = -_log_helper32((F(1.0) - a) * (F(1.0) + a))
    tail = poly(np.sqrt(w) - F(3.0), _INVERSE_TAIL32)
    y = x * (poly(w - F(2.5), _INVERSE32) if w < F(5.0) else tail)
    return copysign32(F(np.inf), x) if a == F(1.0) else y


def _erfinv64(x):
    """Inverse of erf; infinite at 1 and -1, NaN outside."""
    a = abs(x)
    w = -log64((1.0 - a) * (1.0 + a))
    s = np.sqrt(w)
    tail = poly(s - 3.25, _INVERSE_TAIL64) if s < 4.0 else poly(s - 5.0, _INVERSE_END64)
    y = x * (poly(w - 3.125, _INVERSE64) if w < 6.25 else tail)
    return copysign64(np.inf, x) if a == 1.0 else y


erfinv = by_type(_erfinv32, _erfinv64)
