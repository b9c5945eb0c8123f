"""``_pair`` and its like, which layers that users write import: one number becomes a tuple of n."""

from collections.abc import Iterable


def _ntuple(n, name="parse"):
    """A function that repeats a number n times and makes a tuple of a sequence."""

    def parse(x):
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")
