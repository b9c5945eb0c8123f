"""Padding: of the last dimensions, with a value or with elements of the tensor; negative padding crops."""

import functools
import math
import operator

import numpy as np

from ..autograd.autocast import active, as_float32
from ..autograd.grad_mode import mode as grad_mode
from ..autograd.node import Node
from ..kernels import padding as kernels
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import check_tensor, dense, half_as_float32
from .creation import check_number

# The unsigned integer of an element's size: moving elements needs no other type. And the float, for vectors.
_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_FLOATS = {4: np.float32, 8: np.float64} if kernels.VECTORS else {}

_NAMES = {
    "constant": "ConstantPad",
    "reflect": "ReflectionPad",
    "replicate": "ReplicationPad",
    "circular": "CircularPad",
}


# Blocks of at most this many elements, with rows shorter than the second number, go by one table; and where rows are
# moved as vectors.
_BLOCK, _ROW = 16384, 24
_VECTOR_BLOCK, _VECTOR_ROW = 128, 12


class _Plan:
    """How blocks of (D, H, W) = sizes are padded with sides ((left, right), ...): shapes of the tensors (shape, padded)
    and of the kernels' arrays (x, y), and the kernels' tables and numbers."""

    __slots__ = (
        "kind",
        "mode",
        "shape",
        "padded",
        "sizes",
        "sides",
        "value",
        "x",
        "y",
        "table",
        "readers",
        "numbers",
        "back",
        "itemsize",
        "vectors",
        "plain",
    )

    def __init__(self, kind, mode, shape, padded, sizes, sides, value, itemsize):
        self.kind, self.mode, self.shape, self.padded = kind, mode, shape, padded
        self.sizes, self.sides, self.value, self.back = sizes, sides, value, None
        self.itemsize = itemsize
        index = [_index(mode, n, *side) for n, side in zip(sizes, sides, strict=True)]
        out = [i.size for i in index]
        self.vectors = False
        block, row = (_VECTOR_BLOCK, _VECTOR_ROW) if itemsize in _FLOATS else (_BLOCK, _ROW)
        if out[2] < row and math.prod(out) <= block:
            d, h, w = np.ix_(*index)
            table = np.where((d < 0) | (h < 0) | (w < 0), -1, (d * sizes[1] + h) * sizes[2] + w).reshape(-1)
            readers = []
            self.x, self.y = (-1, math.prod(sizes)), (-1, table.size)
            self.numbers = (0,) * 6
        else:
            table = np.concatenate(index)
            (start_d, place_d), (start_h, place_h) = (_readers(index[i], sizes[i]) for i in (0, 1))
            readers = np.concatenate([start_d, start_h, place_d, place_h])
            self.x, self.y = (-1, sizes[2]), (-1, out[2])
            self.vectors = itemsize in _FLOATS
            self.plain = mode == "constant" and not value.view(np.uint8).any()
            lo = max(sides[2][0], 0)
            self.numbers = (*sizes[:2], *out[:2], lo, max(lo, out[2] - max(sides[2][1], 0)))
        self.table, self.readers = table.astype(np.int64), np.asarray(readers, np.int64)

    def inverse(self):
        """The plan of a constant padding's gradient: it crops what was padded, and pads what was cropped with zeros."""
        if self.back is None:
            sizes = tuple(n + left + right for n, (left, right) in zip(self.sizes, self.sides, strict=True))
            sides = tuple((-left, -right) for left, right in self.sides)
            self.back = _Plan(self.kind, self.mode, self.padded, self.shape, sizes, sides, np.zeros(1, np.uint64),
                              self.itemsize)  # fmt: skip
        return self.back


def _index(mode, n, left, right):
    """What each place of a padded dimension reads; -1 for the value."""
    x = np.arange(-left, n + right)
    if mode == "constant":
        return np.where((x < 0) | (x >= n), -1, x)
    if mode == "reflect":
        x = np.abs(x)
        return np.where(x >= n, 2 * (n - 1) - x, x)
    if mode == "replicate":
        return np.clip(x, 0, n - 1)
    # What is cropped takes no part in the circle.
    first = max(-left, 0)
    return first + (x - first) % max(n - first - max(-right, 0), 1)


def _readers(index, n):
    """The places that read each of n indices: where each one's list begins, and the lists end to end."""
    order = np.argsort(index, kind="stable")
    place = order[index[order] >= 0]
    return np.searchsorted(index[place], np.arange(n + 1)), place


class _Pad(Node):
    __slots__ = ("plan",)

    def backward(self, grad):
        plan = self.plan
        return _pad(grad, plan.inverse()) if plan.mode == "constant" else _pad_backward(grad, plan)

    def name(self):
        return f"{self.plan.kind}Backward0"


class _PadBackward(Node):
    __slots__ = ("plan",)

    def backward(self, grad):
        return _pad(grad, self.plan)

    def name(self):
        return f"{self.plan.kind}BackwardBackward0"


def _pad(input, plan):
    d = dense(input)
    y = empty(plan.padded, d.dtype)
    if y.size:
        bits = _FLOATS[d.itemsize] if plan.vectors and d.size else _BITS[d.itemsize]
        rows = y.view(bits).reshape(plan.y)
        x = d.view(bits).reshape(plan.x) if d.size else np.empty((rows.shape[0], 0), bits)
        if bits is _FLOATS.get(d.itemsize):
            kernels.pad_rows_forward(x, rows, plan.table, plan.value.view(bits), plan.plain, *plan.numbers)
        else:
            kernels.pad_forward(x, rows, plan.table, plan.value.view(bits), *plan.numbers)
    out = wrap(y)
    if input._rg and grad_mode.grad:
        node = _Pad(input)
        node.plan = plan
        node.attach(out)
    return out


@half_as_float32
def _pad_backward(grad, plan):
    g = dense(grad)
    gx = empty(plan.shape, g.dtype)
    if gx.size and g.size:
        kernel = kernels.pad_rows_backward if plan.vectors else kernels.pad_backward
        kernel(g.reshape(plan.y), gx.reshape(plan.x), plan.table, plan.readers, *plan.numbers)
    else:
        gx.fill(0)
    out = wrap(gx)
    if grad._rg and grad_mode.grad:
        node = _PadBackward(grad)
        node.plan = plan
        node.attach(out)
    return out


def _integers(pad):
    if not isinstance(pad, tuple | list):
        raise TypeError(f"pad(): argument 'pad' (position 2) must be tuple of ints, not {type(pad).__name__}")
    out = []
    for i, n in enumerate(pad):
        if type(n) is not int:
            if isinstance(n, bool) or not hasattr(n, "__index__"):
                raise TypeError(
                    f"pad(): argument 'pad' (position 2) must be tuple of ints, but found element of type "
                    f"{type(n).__name__} at pos {i}"
                )
            n = operator.index(n)
        out.append(n)
    return tuple(out)


def _check_edges(shape, pads, mode):
    """Raises where a mode other than constant cannot pad: see :func:`pad`."""
    k, ndim = len(pads), len(shape)
    if k not in (1, 2, 3) or ndim not in (k + 1, k + 2):
        raise NotImplementedError(
            f"Padding size {2 * k} is not supported for {ndim}D input tensor. Supported combinations for non-constant "
            "padding: 2 for 2D or 3D input, 4 for 3D or 4D input, 6 for 4D or 5D input"
        )
    if mode != "circular" and 0 in shape[-k - 1 :]:
        raise RuntimeError(
            f"Expected {k + 1}D or {k + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    for i, (left, right) in enumerate(pads):
        n = shape[-1 - i]
        where = f"padding {(left, right)} at dimension {ndim - 1 - i} of input {list(shape)}"
        if mode == "reflect" and max(left, right) >= n:
            raise RuntimeError(f"Padding size should be less than the corresponding input dimension, but got: {where}")
        if mode == "circular":
            if max(left, right) > n:
                raise RuntimeError(f"Padding value causes wrapping around more than once: {where}")
            core = n - max(-left, 0) - max(-right, 0)
            if n + left + right < 0 or (core <= 0 < max(left, right)):
                raise RuntimeError(f"Negative padding value is resulting in an empty dimension: {where}")
        elif n + left + right < 1:
            raise RuntimeError(f"input is too small: {where} gives size {n + left + right}")


def pad(input, pad, mode="constant", value=None):
    """Pads the last dimensions of a tensor.

        constant    y = value outside the tensor
        reflect     y[-i] = x[i]            (the edge is not repeated)
        replicate   y[-i] = x[0]
        circular    y[-i] = x[n - i]

    Args:
        input: a tensor of any dtype.
        pad: (left, right) of the last dimension, then of the one before, and so on. A negative number crops.
        mode: "constant" for any number of dimensions; "reflect", "replicate" and "circular" for the last one of a 2-d
            or 3-d tensor, the last two of a 3-d or 4-d, the last three of a 4-d or 5-d one.
        value: what a constant padding consists of, by default 0.

    Shape:
        that of ``input``, each padded size grown by the sum of its two numbers.

    Raises:
        RuntimeError: an odd number of pads, more of them than dimensions, a crop of more than there is, a reflection of
            as many elements as there are, more than one turn of a circle, or a value with a mode that takes none.
        NotImplementedError: the mode is not known, or does not take this number of dimensions.
        TypeError: ``pad`` is no sequence of integers.

    >>> import tnn
    >>> tnn.nn.functional.pad(tnn.arange(3.0), (1, 2), value=9)
    tensor([9., 0., 1., 2., 9., 9.])
    """
    check_tensor("pad", "input", input, 1)
    if active.n and (mode == "reflect" and len(pad) <= 4 or mode == "replicate"):
        (input,) = as_float32(input)
    d = input._data
    if isinstance(value, Tensor):
        value = value.item()
    for plan in _plans(d.shape, input.dtype, _integers(pad), mode, value):
        input = _pad(input, plan)
    return input


@functools.lru_cache(maxsize=512)
def _plans(shape, dtype, pad, mode, value):
    """Checks the arguments of :func:`pad`, and says what to do one after another."""
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pad)} numbers")
    pads = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    if len(pads) > len(shape):
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {len(shape)}"
        )
    if mode not in _NAMES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if mode != "constant":
        if value is not None and value != 0:
            raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument, but got {value}')
        _check_edges(shape, pads, mode)
    for i, (left, right) in enumerate(pads, 1):
        if max(-left, 0) + max(-right, 0) > shape[-i]:
            raise RuntimeError(
                f"pad: length must be non-negative, but padding {(left, right)} crops more than dimension "
                f"{len(shape) - i} of input {list(shape)} has"
            )
    # Eight bytes of zero are the zero of every type.
    value = np.zeros(1, np.uint64) if not value else np.array([check_number(value, dtype, "pad")]).astype(dtype.np)
    kind = f"{_NAMES[mode]}{'Nd' if mode == 'constant' else f'{len(pads)}D'}"
    plans, done = [], 0
    # Three dimensions at first; then the ones before, two at a time, over rows of all that was padded already.
    while done < max(len(pads), 1):
        k = 2 if done else 3
        part = pads[done : done + k]
        sizes = ((1,) * k + shape[: len(shape) - done])[-k:]
        sides = tuple(reversed((part + [(0, 0)] * k)[:k]))
        if done:
            sizes += (math.prod(shape[len(shape) - done :]),)
            sides += ((0, 0),)
        padded = list(shape)
        for i, (left, right) in enumerate(part, done + 1):
            padded[-i] += left + right
        plans.append(_Plan(kind, mode, shape, tuple(padded), sizes, sides, value, dtype.np.itemsize))
        shape = tuple(padded)
        done += k
    return plans
