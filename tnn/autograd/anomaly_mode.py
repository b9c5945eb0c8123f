"""Finding the operation whose backward goes wrong.

Inside a region each recorded operation remembers where it was called, which costs much; outside, nothing does.
"""

import threading
import traceback
import warnings
import weakref

import numpy as np

from .grad_mode import _Switch
from .node import Node


class _State(threading.local):
    enabled = False
    check_nan = True


class _Ever:
    """Whether any thread has ever searched: what every backward asks first, since it costs less than ``state``."""

    enabled = False


state = _State()
ever = _Ever()
_plain_init = Node.__init__
_traces: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _init(self, *inputs):
    _plain_init(self, *inputs)
    if state.enabled:
        _traces[self] = traceback.format_stack()[:-1]


def _set(enabled, check_nan):
    if enabled:
        ever.enabled = True
        Node.__init__ = _init  # stays: a thread that is outside pays one test from now on
    state.enabled, state.check_nan = enabled, check_nan


def note(node):
    """Warns with the place where a node's operation was called, if it is known."""
    trace = _traces.get(node)
    if trace is None:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during "
            "forward pass for more information.",
            stacklevel=2,
        )
    else:
        warnings.warn(
            f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{''.join(trace)}",
            stacklevel=2,
        )


def applied(node, call, *grads):
    """``call(*grads)``, a node's backward, with its results looked at.

    Raises:
        RuntimeError: a gradient is NaN.
    """
    try:
        out = call(*grads)
    except Exception:
        note(node)
        raise
    if state.check_nan:
        for i, g in enumerate(out if isinstance(out, tuple) else (out,)):
            if g is None or g.is_sparse or not g.is_floating_point():
                continue
            if np.isnan(g._data.astype(np.float32) if g._data.itemsize == 2 else g._data).any():
                note(node)
                raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
    return out


class set_detect_anomaly(_Switch):
    """Turns the search for anomalies on or off in this thread: as a function, or for a region.

    Args:
        mode: True to search.
        check_nan: raise where a backward gives NaN.
    """

    def __init__(self, mode, check_nan=True):
        self._was = [(state.enabled, state.check_nan)]
        self.setting = (bool(mode), check_nan)
        _set(*self.setting)

    def clone(self):
        """A fresh region with the same setting."""
        return type(self)(*self.setting)

    def __enter__(self):
        _set(*self.setting)
        return self

    def __exit__(self, *exc):
        _set(*self._was[0])


class detect_anomaly(_Switch):
    """A region in which a backward that raises, or gives NaN, says which call made its operation.

    Args:
        check_nan: raise where a backward gives NaN.

    >>> import tnn
    >>> with tnn.autograd.detect_anomaly():
    ...     x = tnn.ones(1, requires_grad=True)
    ...     (x * 2).backward()
    """

    def __init__(self, check_nan=True):
        self.check_nan = check_nan
        self._was = []

    def clone(self):
        """A fresh region with the same setting."""
        return type(self)(self.check_nan)

    def __enter__(self):
        self._was.append((state.enabled, state.check_nan))
        _set(True, self.check_nan)
        return self

    def __exit__(self, *exc):
        _set(*self._was.pop())


def is_anomaly_enabled():
    """Whether this thread searches for anomalies."""
    return state.enabled
