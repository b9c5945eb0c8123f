"""Views under in-place changes: how a change of a view reaches its base's history, and the base's history its views."""

import gc
import sys

import numpy as np

from .grad_mode import mode
from .node import Node


def _offset(view, base):
    return view.__array_interface__["data"][0] - base.__array_interface__["data"][0]


def window(array, geometry):
    """The part of a C-contiguous array that a view with this geometry (offset, shape, strides in bytes) shows."""
    offset, shape, strides = geometry
    if array.size == 0 or 0 in shape:
        return np.empty(shape, array.dtype)
    bits = array.view(f"u{array.itemsize}")  # half precisions have no buffer protocol
    return np.ndarray(shape, array.dtype, bits.data if array.flags.writeable else bits, offset, strides)


def _geometry(view, base):
    """Where a view lies in its base, for a C-contiguous copy of the base."""
    b = base._data
    if b.flags.c_contiguous:
        return _offset(view._data, b), view._data.shape, view._data.strides
    raise RuntimeError(
        "in-place operations on a view of a non-contiguous base are not supported; clone() the base first"
    )


class AsStrided(Node):
    """A view's way to its base, after the base was changed in place."""

    __slots__ = ("geometry", "shape")

    def backward(self, grad):
        return scatter_window(grad, self.geometry, self.shape)


class _ScatterWindow(Node):
    __slots__ = ("geometry",)

    def backward(self, grad):
        return take_window(grad, self.geometry)


class _CopySlices(Node):
    """A base of which a part was overwritten: inputs are the base as it was and the new part."""

    __slots__ = ("geometry",)

    def name(self):
        return "CopySlices"

    def backward(self, grad):
        return clear_window(grad, self.geometry), take_window(grad, self.geometry)


def take_window(t, geometry):
    """A copy of the part of ``t`` that the geometry names."""
    from ..tensor import wrap

    out = wrap(window(np.ascontiguousarray(t._data), geometry).copy())
    if t._rg and mode.grad:
        node = AsStrided(t)
        node.geometry, node.shape = geometry, t._data.shape
        node.attach(out)
    return out


def scatter_window(t, geometry, shape):
    """Zeros of ``shape`` with ``t`` added into the part that the geometry names."""
    from ..tensor import wrap

    full = np.zeros(shape, t._data.dtype)
    offset, small, strides = geometry
    if t._data.size:
        offsets = np.full(small, offset, np.intp)
        for axis, (n, s) in enumerate(zip(small, strides, strict=True)):
            step = np.arange(n) * s
            offsets += step.reshape((-1,) + (1,) * (len(small) - axis - 1))
        np.add.at(full.reshape(-1), (offsets // full.itemsize).reshape(-1), t._data.reshape(-1))
    out = wrap(full)
    if t._rg and mode.grad:
        node = _ScatterWindow(t)
        node.geometry = geometry
        node.attach(out)
    return out


class _ClearWindow(Node):
    __slots__ = ("geometry",)

    def backward(self, grad):
        return clear_window(grad, self.geometry)


def clear_window(t, geometry):
    """A copy of ``t`` with zeros in the part that the geometry names."""
    from ..tensor import wrap

    data = np.array(t._data, order="C")
    window(data, geometry)[...] = 0
    out = wrap(data)
    if t._rg and mode.grad:
        node = _ClearWindow(t)
        node.geometry = geometry
        node.attach(out)
    return out


class ViewOf:
    """What a view knows of its base: ``base`` is the tensor whose memory it shows, ``seen`` the version at which the
    view's own history was made."""

    __slots__ = ("base", "seen")

    def __init__(self, base, seen):
        self.base = base
        self.seen = seen

    def stale(self, view):
        """Whether the base was written in place, with recording, since the view's history was made."""
        return view._version.n != self.seen and self.base._node is not None and self.base._rg

    def refresh(self, view):
        """Makes the view's history anew, from its base's."""
        self.seen = view._version.n
        node = AsStrided(self.base)
        node.geometry, node.shape = _geometry(view, self.base), self.base._data.shape
        node.attach(view)


def rebase(view, result):
    """Gives ``view``'s base, and the view, a history in which ``result`` replaced the part that the view shows."""
    base = view._base.base
    geometry = _geometry(view, base)
    node = _CopySlices(base, result)
    node.geometry = geometry
    first = not base._rg
    node.attach(base)
    view._base.refresh(view)
    # base, view and the local below hold the counter: more holders are other views, which now need gradients too
    version = view._version
    if first and sys.getrefcount(version) > 4:
        for other in gc.get_referrers(version):
            link = getattr(other, "_base", None)
            if type(link) is ViewOf and link.base is base and other is not view and not other._rg:
                link.refresh(other)
