"""Operations of two integers or bools, on arrays that `Kernel.apart` and `Kernel.into` walk through."""

from ._elementwise import binary


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
