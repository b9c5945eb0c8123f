"""``tnn.compile``: calls that are recorded once and replayed from then on, as one piece of machine code."""

from .compiled import Compiled, CompiledModule

__all__ = ["Compiled", "CompiledModule", "disable", "is_compiling", "is_dynamo_compiling"]


def is_compiling():
    """False: what runs is always Python, or a recording of it."""
    return False


is_dynamo_compiling = is_compiling


def disable(fn=None, recursive=True, *, reason=None):
    """A decorator that changes nothing: a recording that a function does not allow falls back to Python by itself."""
    return fn if callable(fn) else lambda fn: fn
