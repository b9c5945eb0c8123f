"""Arithmetic and selection of three operands, broadcast or of one shape.

Each kernel is called as kernel(x, y, z, out) on flat arrays of one size, `out` being written; `kernel.strided` takes
broadcast operands.
"""

import numpy as np

from ._elementwise import selection, ternary
from ._minmax import maximum, minimum


@ternary
def lerp_forward(x, y, w):
    """x + w (y - x), exact at w = 0 and w = 1."""
    return x + w * (y - x) if abs(w) < 0.5 else y - (y - x) * (1.0 - w)


@ternary
def addcmul_forward(x, y, z, value):
    """x + value y z."""
    return x + value * (y * z)


@ternary
def addcdiv_forward(x, y, z, value):
    """x + value y / z."""
    return x + value * (y / z)


@ternary
def clamp_forward(x, low, high):
    """x within [low, high], high where low > high; NaN in any operand stays NaN."""
    return minimum(maximum(x, low), high)


@selection
def where_forward(condition, x, y):
    """x where condition holds, y elsewhere."""
    return x if condition else y


@ternary
def nan_to_num_forward(x, low, high, nan):
    """nan in place of NaN, low and high in place of the infinities."""
    return nan if x != x else low if x == -np.inf else high if x == np.inf else x
