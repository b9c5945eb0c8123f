"""Comparisons of two operands: bool results, broadcast as in `pointwise`."""

from ._elementwise import comparison


@comparison
def eq_forward(x, y):
    """x == y."""
    return x == y


@comparison
def ne_forward(x, y):
    """x != y."""
    return x != y


@comparison
def lt_forward(x, y):
    """x < y."""
    return x < y


@comparison
def le_forward(x, y):
    """x <= y."""
    return x <= y


@comparison
def gt_forward(x, y):
    """x > y."""
    return x > y


@comparison
def ge_forward(x, y):
    """x >= y."""
    return x >= y


@comparison
def isclose_forward(x, y, relative, absolute):
    """|x - y| <= absolute + relative |y|, or x == y."""
    return x == y or (abs(x - y) <= absolute + abs(relative * y) and abs(x - y) - abs(x - y) == 0.0)


@comparison
def isclose_nan_forward(x, y, relative, absolute):
    """As isclose_forward, and NaN is close to NaN."""
    close = abs(x - y) <= absolute + abs(relative * y) and abs(x - y) - abs(x - y) == 0.0
    return x == y or (x != x and y != y) or close
