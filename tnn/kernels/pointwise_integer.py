"""Operations of integers or bools, on arrays that `Kernel.apart` and `Kernel.into` walk through."""

from ._elementwise import binary, ternary


@binary
def and_forward(x, y):
    """x & y."""
    return x & y


@binary
def or_forward(x, y):
    """x | y."""
    return x | y


@binary
def xor_forward(x, y):
    """x ^ y."""
    return x ^ y


@binary
def larger_forward(x, y):
    """The larger one."""
    return x if x > y else y


@binary
def smaller_forward(x, y):
    """The smaller one."""
    return x if x < y else y


@ternary
def between_forward(x, low, high):
    """x within [low, high], high where low > high."""
    y = low if x < low else x
    return high if y > high else y
