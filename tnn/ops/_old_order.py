"""Calls from before 2019, with the factor as a positional argument before what it multiplies: ``add(x, alpha, y)``."""

import warnings

from ..tensor import Tensor
from ._common import callers_level
from ._elementwise import is_number

# What stands where, t for a tensor and n for a number, by the count of tensors and of numbers that there can be. A
# method's factors follow its tensor, a function's first one stands before it.
_ORDERS = {(2, 1): ("tnt",), (3, 1): ("tntt",), (3, 2): ("tntt", "tnntt", "nttt", "ntntt")}


def in_new_order(op, tensors, numbers, args, **kwargs):
    """The operation's result for arguments in the old order.

    Args:
        op: the operation, which takes its tensors in the order in which they stand in ``args``.
        tensors: how many tensors it takes.
        numbers: the names of its numbers, in their order.
        args: all positional arguments of the call.

    Raises:
        TypeError: ``args`` is not in the old order either.
    """
    kinds = "".join("t" if isinstance(a, Tensor) else "n" if is_number(a) else "?" for a in args)
    if kinds not in _ORDERS[tensors, len(numbers)]:
        got = ", ".join(type(a).__name__ for a in args)
        raise TypeError(f"{op.__name__}() takes {tensors} positional arguments, got ({got})")
    named = dict(zip(numbers, (a for a in args if not isinstance(a, Tensor)), strict=False))
    warnings.warn(  # without the values: loops whose factor changes warn once
        f"This overload of {op.__name__} is deprecated: give {' and '.join(named)} by name, after the tensors",
        stacklevel=callers_level(),
    )
    return op(*(a for a in args if isinstance(a, Tensor)), **named, **kwargs)
