"""What the elementary functions are made of: their jit flags, choice by type, bit casts, polynomials.

F, D, J and L are short names of the types: float32, float64, int32, int64.
"""

from fractions import Fraction

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

# No reassoc and no nsz: see `_math`. Inlining is what lets a caller's loop vectorise.
MATH = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}

F = np.float32
D = np.float64
J = np.int32
L = np.int64

helper = njit(**MATH)


def coefficients_in(kind, *values):
    """A polynomial's coefficients in one type, for `poly`."""
    return tuple(kind(v) for v in values)


def by_type(single, double):
    """One function from a float32 and a float64 version: compiled code picks by type; so does a call from Python."""
    compiled32, compiled64 = helper(single), helper(double)

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


def bits(x):
    """The bits of a float as a signed integer of its width."""
    return x.view(J) if isinstance(x, F) else D(x).view(L)


def from_bits(x):
    """The float with these bits, an int32 or int64."""
    return x.view(F) if isinstance(x, J) else L(x).view(D)


@overload(bits, jit_options=MATH)
@overload(from_bits, jit_options=MATH)
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


def _copysign32(x, y):
    return from_bits(J((bits(x) & J(0x7FFFFFFF)) | (bits(y) & J(-0x80000000))))


def _copysign64(x, y):
    return from_bits(L((bits(x) & L(0x7FFFFFFFFFFFFFFF)) | (bits(y) & L(-0x8000000000000000))))


def copysign(x, y):
    """|x| with the sign bit of y; both of one float type."""
    return F(copysign32(x, y)) if isinstance(x, F) else D(copysign64(D(x), D(y)))


@overload(copysign, jit_options=MATH)
def _overload_copysign(x, y):
    if x == y == types.float32:
        return _copysign32
    return _copysign64 if x == y == types.float64 else None


@intrinsic
def _fma(typingctx, x, y, z):
    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return (x(x, y, z), codegen) if x == y == z and isinstance(x, types.Float) else None


def fused(x, y, z):
    """x y + z, rounded once; finite numbers of one float type."""
    return type(x)(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))


@overload(fused, jit_options=MATH)
def _overload_fused(x, y, z):
    return lambda x, y, z: _fma(x, y, z)


copysign32 = helper(_copysign32)
copysign64 = helper(_copysign64)


@helper
def clamp(x, low, high):
    """x within [low, high]; NaN stays NaN."""
    x = low if x < low else x
    return high if x > high else x


def _next32(x, y):
    up = bits(x) + J(1 if (x < y) == (x > 0) else -1)
    stepped = from_bits(J(up)) if x != 0 else copysign(from_bits(J(1)), y)
    return y if x == y else stepped if x == x and y == y else x + y


def _next64(x, y):
    up = bits(x) + L(1 if (x < y) == (x > 0) else -1)
    stepped = from_bits(L(up)) if x != 0 else copysign(from_bits(L(1)), y)
    return y if x == y else stepped if x == x and y == y else x + y


def nextafter(x, y):
    """The number after x in the direction of y; both of one float type."""
    return np.nextafter(x, y)


@overload(nextafter, jit_options=MATH)
def _overload_nextafter(x, y):
    if x == y == types.float32:
        return _next32
    return _next64 if x == y == types.float64 else None


def _whole32(x):
    return F(8388608.0)


def _whole64(x):
    """Below this all whole numbers, and those with a half, are numbers of x's type."""
    return D(4503599627370496.0)


whole_below = by_type(_whole32, _whole64)
