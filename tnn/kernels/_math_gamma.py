"""lgamma and its first two derivatives, digamma and trigamma: without branches, so that loops over them vectorise.

Below a limit the recurrence leads to where a series holds: lgamma(x + 1) = lgamma(x) + log(x), by the logarithm of one
product; digamma(x + 1) = digamma(x) + 1/x, by one quotient. From there on Stirling's series. Negative x by reflection,
with r the distance to the nearest integer:

    lgamma(x) + lgamma(-x) = -log(|x sin(pi r)| / pi)
    digamma(1 - x) - digamma(x) = pi cot(pi r)            trigamma(1 - x) + trigamma(x) = (pi / sin(pi r))^2

float32 is computed in float64 throughout.
"""

import numpy as np

from ._math_base import D, F, by_type, coefficients_in, copysign64, helper, poly
from ._math_exp import log64

# lgamma(2 + e) / e for |e| <= 1/2: 2^-57.5 and 2^-29.8
_GAMMA64 = coefficients_in(
    D, 2.7475390051909663e-07, -5.811277768921246e-07, 9.242852225162277e-07, -1.9743106888421067e-06,
    4.3828545383846665e-06, -9.45628851510172e-06, 2.050601970174762e-05, -4.4923727564247656e-05,
    9.945761692157133e-05, -0.00022315497746292723, 0.0005096695196526673, -0.0011927539009983087, 0.002890510330865901,
    -0.007385551028935545, 0.02058080842778338, -0.06735230105319563, 0.3224670334241132, 0.42278433509846713,
)  # fmt: skip
_GAMMA32 = coefficients_in(
    D, -0.00025056202146086636, 0.0005702512502829781, -0.0011874848136699278, 0.00287886868374075,
    -0.007385920884783578, 0.0205816254365885, -0.06735229409087408, 0.3224670180454995, 0.42278433509846713,
)  # fmt: skip
# (lgamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2) x in 1/x^2 for x >= 6.5: 2^-56.5 and 2^-32
_STIRLING64 = coefficients_in(
    D, 0.0045368906301007815, -0.0018619001080884038, 0.000840891399401838, -0.0005952311428421684,
    0.0007936507665900421, -0.0027777777777380146, 0.08333333333333333,
)  # fmt: skip
_STIRLING32 = coefficients_in(D, 0.0007732731869351053, -0.002777598774073095, 0.0833333330983815)
# sin(pi r) / r in r^2 for |r| <= 1/2: 2^-60.4 and 2^-34.1
_SINE64 = coefficients_in(
    D, 7.697826768224191e-07, -2.1903497074626018e-05, 0.0004662998161898394, -0.007370430505916944, 0.0821458865731029,
    -0.5992645293189447, 2.5501640398773007, -5.167712780049969, 3.141592653589793,
)  # fmt: skip
_SINE32 = coefficients_in(
    D, -0.007028303855203096, 0.08205035020147247, -0.599252186531583, 2.550163317938427, -5.167712764593,
    3.141592653536132,
)  # fmt: skip
# pi r cot(pi r) in r^2 for |r| <= 1/2: 2^-54.6
_COTANGENT = coefficients_in(
    D, -16.010441564381928, 14.009136332706397, -11.319882625220572, 1.3837144431658985, -2.8304611339513164,
    -1.8569926328744886, -2.01757120800584, -1.9985909241396362, -2.0005860738980754, -2.001985221658275,
    -2.0081548192608167, -2.034686122223896, -2.1646464674371577, -3.289868133696403, 1.0,
)  # fmt: skip
# (log(x) - 1/(2x) - digamma(x)) x^2 and (trigamma(x) - 1/x - 1/(2x^2)) x^3 in 1/x^2 for x >= 7: 2^-54.1 and 2^-50.2
_DIGAMMA = coefficients_in(
    D, 0.05899121349877741, -0.02046861015161549, 0.007567436616382221, -0.004166608606792311, 0.003968253773360873,
    -0.008333333333086381, 0.08333333333333329,
)  # fmt: skip
_TRIGAMMA = coefficients_in(
    D, 0.7885465026066979, -0.24352274207487526, 0.07563038412232145, -0.033332448347928124, 0.023809520843535024,
    -0.033333333329578066, 0.16666666666666588,
)  # fmt: skip


@helper
def _lgamma(x, near, far, sine):
    a = abs(x)
    # 2 + e = a - k with |e| <= 1/2, and lgamma(a) = e near(e) + sign log(product)
    small = a < 6.5
    b = a if small else 6.5
    nearest = np.rint(b)
    e, k = b - nearest, nearest - 2.0
    product = b - 1.0 if k > 0.5 else 1.0
    product = product * (b - 2.0) if k > 1.5 else product
    product = product * (b - 3.0) if k > 2.5 else product
    product = product * (b - 4.0) if k > 3.5 else product
    product = b if k < -0.5 else product
    product = b * (b + 1.0) if k < -1.5 else product
    logarithm = log64(product if small else a)
    inverse = 1.0 / a
    series = inverse * poly(inverse * inverse, far)
    large = (a - 0.5) * (logarithm - 1.0) + (0.4189385332046727 + series)
    y = (e * poly(e, near) + (-logarithm if k < 0.0 else logarithm)) if small else large
    y = y if a < np.inf else a
    r = a - np.rint(a)
    whole = r == 0.0
    s = abs(r) * poly(r * r, sine)
    below = -log64(s * a * 0.3183098861837907) - y
    # |x| is its own sine where its square would be lost
    below = y if a < 1e-100 else below
    below = np.inf if whole or a == np.inf else below
    return below if x < 0.0 else y


def _lgamma32(x):
    return F(_lgamma(D(x), _GAMMA32, _STIRLING32, _SINE32))


def _lgamma64(x):
    """Logarithm of |Gamma(x)|; infinite at zero and the negative integers."""
    return _lgamma(x, _GAMMA64, _STIRLING64, _SINE64)


lgamma = by_type(_lgamma32, _lgamma64)


@helper
def _digamma(x):
    a = 1.0 - x if x < 0.0 else x
    small = a < 7.0
    # 1/b + 1/(b + 1) + ... + 1/(b + 6) as one quotient
    b = a if small else 1.0
    over, under = 1.0, b
    over, under = over * (b + 1.0) + under, under * (b + 1.0)
    over, under = over * (b + 2.0) + under, under * (b + 2.0)
    over, under = over * (b + 3.0) + under, under * (b + 3.0)
    over, under = over * (b + 4.0) + under, under * (b + 4.0)
    over, under = over * (b + 5.0) + under, under * (b + 5.0)
    over, under = over * (b + 6.0) + under, under * (b + 6.0)
    c = a + 7.0 if small else a
    inverse = 1.0 / c
    z = inverse * inverse
    y = log64(c) - (0.5 * inverse + z * poly(z, _DIGAMMA))
    y = y - over / under if small else y
    r = x - np.rint(x)
    y = y - poly(r * r, _COTANGENT) / r if x < 0.0 else y
    y = np.nan if r == 0.0 and x < 0.0 else y
    return -copysign64(np.inf, x) if x == 0.0 else y


def _digamma32(x):
    return F(_digamma(D(x)))


def _digamma64(x):
    """Derivative of lgamma; infinite at zero, NaN at the negative integers."""
    return _digamma(x)


digamma = by_type(_digamma32, _digamma64)


@helper
def _trigamma(x):
    a = 1.0 - x if x < 0.0 else x
    small = a < 7.0
    # 1/b^2 + 1/(b + 1)^2 + ... + 1/(b + 6)^2
    b = a if small else 1.0
    over, under = 1.0, b * b
    s = (b + 1.0) * (b + 1.0)
    over, under = over * s + under, under * s
    s = (b + 2.0) * (b + 2.0)
    over, under = over * s + under, under * s
    s = (b + 3.0) * (b + 3.0)
    over, under = over * s + under, under * s
    s = (b + 4.0) * (b + 4.0)
    over, under = over * s + under, under * s
    s = (b + 5.0) * (b + 5.0)
    over, under = over * s + under, under * s
    s = (b + 6.0) * (b + 6.0)
    over, under = over * s + under, under * s
    inverse = 1.0 / (a + 7.0 if small else a)
    z = inverse * inverse
    y = inverse + (0.5 * z + inverse * z * poly(z, _TRIGAMMA))
    y = y + over / under if small else y
    r = x - np.rint(x)
    s = r * poly(r * r, _SINE64)
    y = 9.869604401089358 / (s * s) - y if x < 0.0 else y
    y = np.inf if r == 0.0 and x <= 0.0 else y
    return np.nan if x == -np.inf else y


def _trigamma32(x):
    return F(_trigamma(D(x)))


def _trigamma64(x):
    """Derivative of digamma; infinite at zero and the negative integers."""
    return _trigamma(x)


trigamma = by_type(_trigamma32, _trigamma64)
