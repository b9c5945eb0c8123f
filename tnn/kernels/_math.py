"""Elementary functions that vectorise: what kernels call instead of math.exp and its kin.

A call of `math.exp` inside a compiled loop is a scalar libm call. The functions here are range reduction, a polynomial
and bit casts, with selects in place of branches, so that LLVM turns a loop over them into vector code. Each takes a
float32 or a float64 and answers in the same type, with correct NaN, infinities, signed zeros and subnormals.

    within 1 to 2 ulp (erfc in float64: 4), vectorising:
        exp exp2 expm1 log log2 log10 log1p sigmoid softplus tanh erf erfc sinh cosh asinh acosh atanh asin acos atan
        atan2
        sin_small cos_small tan_small   |x| <= TRIG_LIMIT, else meaningless: for a loop that mends the rest afterwards
        pow                             float32; float64 calls libm
    within 2e-7 (float32) and 5e-16, vectorising:
        normal_cdf gelu_slope
    within a few ulp away from zeros, vectorising:
        lgamma digamma trigamma erfinv i0 i1
    scalar, for rare use: sin cos tan (any x)

The polynomials are minimax fits (Remez exchange in 240-bit arithmetic, rounded to the working precision) of the
functions named beside them, the quotients weighted least-squares fits (Lawson's iteration); the error of a fit stands
with it. Reductions: W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980); erfc: M. M.
Shepherd and J. G. Laframboise, Math. Comp. 36 (1981) 249-253.

Sums that carry a rounding error along (x - n*hi - n*lo) would be destroyed by reassociation, so these functions are
compiled with their own flags (`_math_base.MATH`). Fast-math flags belong to single instructions and survive inlining
into a kernel.
"""

from ._math_atan import acos, asin, atan, atan2
from ._math_base import MATH, copysign, poly
from ._math_bessel import i0, i1
from ._math_erf import erf, erfc, erfinv, gelu_slope, normal_cdf
from ._math_exp import exp, exp2, expm1, log, log1p, log2, log10, pow, sigmoid, softplus
from ._math_gamma import digamma, lgamma, trigamma
from ._math_hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from ._math_trig import TRIG_LIMIT, cos, cos_small, sin, sin_small, tan, tan_small

__all__ = [
    "MATH", "TRIG_LIMIT", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "copysign", "cos", "cos_small",
    "cosh", "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "gelu_slope", "i0", "i1", "lgamma", "log",
    "log10", "log1p", "log2", "normal_cdf", "poly", "pow", "sigmoid", "sin", "sin_small", "sinh", "softplus", "tan",
    "tan_small", "tanh", "trigamma",
]  # fmt: skip
