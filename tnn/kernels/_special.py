"""Special functions of float64 numbers, one at a time: loops that stop when the terms no longer count.

Power series and continued fractions: M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions", 6.4, 6.5
and 23.2.
"""

import math

import numpy as np
from numba import njit

_function = njit(nogil=True, error_model="numpy")


# B_2k / (2k)!, k = 8..1
_ZETA = tuple(
    np.float64(b)
    for b in (
        -3617 / 510 / 20922789888000, 7 / 6 / 87178291200, -691 / 2730 / 479001600, 5 / 66 / 3628800, -1 / 30 / 40320,
        1 / 42 / 720, -1 / 30 / 24, 1 / 6 / 2,
    )
)  # fmt: skip


@_function
def hurwitz_zeta(s, x):
    """Sum of (x + k)^-s over k >= 0: the first terms as they are, the rest by the Euler-Maclaurin formula."""
    if s <= 1.0 or x != x:
        return np.inf if s == 1.0 else np.nan
    if x <= 0.0 and np.floor(x) == x:
        return np.inf
    total = 0.0
    while x < 12.0:
        total += x**-s
        x += 1.0
    total += x ** (1.0 - s) / (s - 1.0) + 0.5 * x**-s
    factor = s * x ** (-s - 1.0)
    for k in range(1, 9):
        total += _ZETA[8 - k] * factor
        factor *= (s + 2 * k - 1) * (s + 2 * k) / (x * x)
    return total


@_function
def polygamma(x, n):
    """Derivative number n + 1 of log Gamma, n >= 1: (-1)^(n + 1) n! zeta(n + 1, x)."""
    sign = 1.0 if n % 2.0 == 1.0 else -1.0
    return sign * math.gamma(n + 1.0) * hurwitz_zeta(n + 1.0, x)


@_function
def _gamma_factor(a, x):
    """x^a e^-x / Gamma(a)."""
    return math.exp(a * math.log(x) - x - math.lgamma(a))


@_function
def _gamma_series(a, x):
    """The lower incomplete gamma function, regularised, for x < a + 1."""
    term = 1.0 / a
    total = term
    n = a
    while abs(term) > 1e-17 * abs(total):
        n += 1.0
        term *= x / n
        total += term
    return total * _gamma_factor(a, x)


@_function
def _gamma_fraction(a, x):
    """The upper one for x >= a + 1: Lentz's form of the continued fraction."""
    b = x + 1.0 - a
    c = 1e300
    d = 1.0 / b
    total = d
    for i in range(1, 10000):
        t = -i * (i - a)
        b += 2.0
        d = t * d + b
        c = b + t / c
        d = 1.0 / (d if d != 0.0 else 1e-300)
        c = c if c != 0.0 else 1e-300
        total *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return total * _gamma_factor(a, x)


@_function
def gamma_lower(a, x):
    """Regularised lower incomplete gamma function P(a, x)."""
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (a == np.inf and x == np.inf):
        return np.nan
    if x == 0.0 or a == np.inf:
        return 0.0
    if a == 0.0 or x == np.inf:
        return 1.0
    return _gamma_series(a, x) if x < a + 1.0 else 1.0 - _gamma_fraction(a, x)


@_function
def gamma_upper(a, x):
    """Regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x)."""
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (a == np.inf and x == np.inf):
        return np.nan
    if x == 0.0 or a == np.inf:
        return 1.0
    if a == 0.0 or x == np.inf:
        return 0.0
    return 1.0 - _gamma_series(a, x) if x < a + 1.0 else _gamma_fraction(a, x)
