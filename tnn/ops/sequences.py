"""Sequences of several lengths in one padded array, and tensors one after the other in one vector."""

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels._pool import empty
from ..tensor import wrap
from .joining import join


class PadSequence(Node):
    __slots__ = ("places",)

    def backward(self, grad):
        return tuple(grad[place] if self.needs(i) else None for i, place in enumerate(self.places))


def padded(sequences, steps, batch_first, value, left):
    """Sequences (L_i, ...) of one dtype and alike but for their first dimension, side by side in (steps, batch, ...),
    or (batch, steps, ...) if ``batch_first``; ``left``: what is missing is in front."""
    first = sequences[0]._data
    shape = (len(sequences), steps) if batch_first else (steps, len(sequences))
    data = empty(shape + first.shape[1:], first.dtype)
    data[...] = value
    places = []
    for i, s in enumerate(sequences):
        n = s._data.shape[0]
        span = slice(steps - n, steps) if left else slice(0, n)
        place = (i, span) if batch_first else (span, i)
        data[place] = s._data
        places.append(place)
    out = wrap(data)
    if mode.grad and any(s._rg for s in sequences):
        node = PadSequence(*sequences)
        node.places = places
        node.attach(out)
    return out


class Flattened(Node):
    __slots__ = ("shapes",)

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "CatBackward0"

    def backward(self, grad):
        parts, start = [], 0
        for i, shape in enumerate(self.shapes):
            n = int(np.prod(shape))
            parts.append(grad[start : start + n].reshape(shape) if self.needs(i) else None)
            start += n
        return tuple(parts)


def flattened(tensors):
    """Tensors of one dtype, flattened and joined to one vector."""
    arrays = [t._data for t in tensors]
    out = empty((sum(d.size for d in arrays),), arrays[0].dtype)
    result = wrap(join([d.reshape(-1) for d in arrays], out))
    if mode.grad and any(t._rg for t in tensors):
        node = Flattened(*tensors)
        node.shapes = [d.shape for d in arrays]
        node.attach(result)
    return result
