"""The marks that model code puts for TorchScript. tnn runs Python: the marked functions and modules stay what they
are."""

from typing import Final

__all__ = [
    "Final", "annotate", "export", "ignore", "interface", "is_scripting", "is_tracing", "script",
    "script_if_tracing", "unused",
]  # fmt: skip


def is_scripting():
    """False."""
    return False


def is_tracing():
    """False."""
    return False


def annotate(the_type, the_value):
    """The value."""
    return the_value


def _unchanged(obj):
    """What is given."""
    return obj


export = unused = interface = script_if_tracing = _unchanged


def ignore(drop=False, **kwargs):
    """A decorator, with or without parentheses, that changes nothing."""
    return drop if callable(drop) else _unchanged


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """The function, class or module itself: it runs as Python and gives the same values."""
    return obj


def _overload_method(function):
    return function


_overload = _script_if_tracing = _overload_method
