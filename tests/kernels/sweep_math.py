"""Errors of kernels/_math.py in units in the last place; as a script, over every one of the 2^32 float32 numbers.

python -m tests.kernels.sweep_math exp tanh      # names; all of them without an argument
"""

import math
import sys

import numpy as np
from numba import njit

from tnn.kernels import _math
from tnn.kernels._jit import JIT


def _elementwise(function):
    def safe(value):
        try:
            return function(value)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return lambda x: np.frompyfunc(safe, 1, 1)(x).astype(np.float64).reshape(x.shape)


def _sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _softplus(x):
    return np.where(x < 0, 0, x) + np.log1p(np.exp(-np.abs(x)))


# name: (reference, bound in float32, bound in float64)
FUNCTIONS = {
    "exp": (np.exp, 1.1, 1.1),
    "exp2": (np.exp2, 1.1, 1.1),
    "expm1": (np.expm1, 1.6, 1.8),
    "log": (np.log, 0.9, 0.9),
    "log2": (np.log2, 0.6, 1.7),
    "log10": (np.log10, 0.6, 1.7),
    "log1p": (np.log1p, 1.5, 1.5),
    "sigmoid": (_sigmoid, 2.5, 2.4),
    "softplus": (_softplus, 1.8, 1.8),
    "tanh": (np.tanh, 1.5, 1.5),
    "sinh": (np.sinh, 0.6, 2.4),
    "cosh": (np.cosh, 0.6, 1.6),
    "asinh": (np.arcsinh, 0.6, 1.8),
    "atanh": (np.arctanh, 0.6, 2.1),
    "sin_small": (np.sin, 1.6, 0.9),
    "cos_small": (np.cos, 1.6, 0.9),
    "tan_small": (np.tan, 0.6, 2.4),
    "sin": (np.sin, 1.6, 0.9),
    "cos": (np.cos, 1.6, 0.9),
    "tan": (np.tan, 0.6, 2.4),
    "asin": (np.arcsin, 0.6, 2.5),
    "acos": (np.arccos, 0.6, 2.5),
    "atan": (np.arctan, 0.6, 1.9),
    "acosh": (np.arccosh, 0.6, 2.5),
    "erf": (_elementwise(math.erf), 1.1, 2.0),
    "erfc": (_elementwise(math.erfc), 0.6, 5.0),
}


def loop(name):
    """A kernel that applies the function of this name to every element, with the flags kernels have."""
    function = getattr(_math, name)

    @njit(nogil=True, error_model=JIT["error_model"], fastmath=JIT["fastmath"])
    def body(x, y):
        for i in range(x.shape[0]):
            y[i] = function(x[i])

    return body


def errors(got, want):
    """|got - want| in units of got's last place; 0 where both round to the same, inf where NaN or sign differ."""
    rounded = want.astype(got.dtype)
    unit = np.spacing(np.abs(rounded)).astype(want.dtype)
    with np.errstate(all="ignore"):
        error = (np.abs(got.astype(want.dtype) - want) / unit).astype(np.float64)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    error = np.where(same, np.where(np.isfinite(error), error, 0.0), np.where(np.isnan(error), np.inf, error))
    return np.where((got == 0) & (rounded == 0) & (np.signbit(got) != np.signbit(rounded)), np.inf, error)


def worst(name, body, x):
    """(largest error, its argument) of a function over x; the reference is the next wider type."""
    reference, bound32, bound64 = FUNCTIONS[name]
    if name.endswith("_small"):
        x = x[~(np.abs(x) > _math.TRIG_LIMIT)]
    y = np.empty_like(x)
    body(x, y)
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        want = np.asarray(reference(x.astype(wide))).astype(wide)
    error = errors(y, want)
    k = int(np.argmax(error))
    return error[k], x[k]


def main(names):
    """Sweep all float32 numbers, in blocks."""
    for name in names or FUNCTIONS:
        body, largest = loop(name), (0.0, None)
        for start in range(0, 2**32, 2**24):
            x = np.arange(start, start + 2**24, dtype=np.uint64).astype(np.uint32).view(np.float32)
            largest = max(largest, worst(name, body, x), key=lambda pair: pair[0])
        print(f"{name:10s} {largest[0]:.3f} ulp at {largest[1]!r}, bound {FUNCTIONS[name][1]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
