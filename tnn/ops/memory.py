"""What a tensor says of its memory, and of features that tnn's tensors do not have (complex numbers, pinned memory)."""

import numpy as np

from ..storage import TypedStorage, UntypedStorage
from ..tensor import Tensor, wrap
from ._common import check_tensor, check_tensors, into
from .part import as_strided
from .shape import reshape


def untyped_storage(input):
    """The bytes that the tensor shares with its views.

    Args:
        input: tensor of any dtype.

    Raises:
        RuntimeError: its memory runs backwards.

    >>> import tnn
    >>> x = tnn.zeros(2, 3)
    >>> x[1].untyped_storage().nbytes(), x[1].untyped_storage().data_ptr() == x.data_ptr()
    (24, True)
    """
    d = (input if input._base is None else input._base.base)._data
    input._hand_out()
    if d.flags.c_contiguous:
        return UntypedStorage(d.reshape(-1).view(np.uint8))
    low, high = np.lib.array_utils.byte_bounds(d)
    if min(d.strides) < 0:
        raise RuntimeError("untyped_storage: the tensor's memory runs backwards; clone() it first")
    first = np.lib.stride_tricks.as_strided(d, ((high - low) // d.itemsize,), (d.itemsize,))
    return UntypedStorage(first.view(np.uint8))


def storage(input):
    """The elements of the memory that the tensor shares with its views, as they lie there.

    Args:
        input: tensor of any dtype.

    Raises:
        RuntimeError: its memory runs backwards.
    """
    return TypedStorage(wrap_storage=untyped_storage(input), dtype=input.dtype)


def set_(input, source=None, storage_offset=0, size=None, stride=None):
    """Lets the tensor show the memory of another tensor or of a storage, in place.

    Args:
        input: a tensor that is not part of a graph.
        source: a tensor or a storage; None: an empty one.
        storage_offset: the first element.
        size, stride: None: all of the memory in one dimension, or of a tensor its own.

    Raises:
        TypeError: ``source`` is neither a tensor nor a storage.
        RuntimeError: the dtypes differ, or the view would reach beyond the memory.
    """
    if source is None:
        input._data = np.empty((0,), input._data.dtype)
        return input
    if isinstance(source, Tensor):
        if source._data.dtype != input._data.dtype:
            raise RuntimeError(f"set_: expected a tensor of dtype {input.dtype}, got {source.dtype}")
        if size is not None:
            source = as_strided(source.detach(), size, stride or _row_major(size), storage_offset)
        input._data = source._data
        return input
    raw = source.untyped() if isinstance(source, TypedStorage) else source
    if not isinstance(raw, UntypedStorage):
        raise TypeError(f"set_: source must be a Tensor or a storage, not {type(source).__name__}")
    flat = wrap(raw._bytes[: raw.nbytes() // input.itemsize * input.itemsize].view(input._data.dtype))
    size = (flat.numel() - storage_offset,) if size is None else tuple(size)
    input._data = as_strided(flat, size, stride or _row_major(size), storage_offset)._data
    return input


def _row_major(size):
    strides, step = [], 1
    for n in reversed(tuple(size)):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def dim_order(input, ambiguity_check=False):
    """The dimensions from the one with the largest stride to the one with the smallest.

    Args:
        input: tensor of any dtype.
        ambiguity_check: not used.
    """
    strides = input._data.strides
    return tuple(sorted(range(len(strides)), key=lambda i: -strides[i]))


def const_data_ptr(input):
    """The address of the first element.

    Args:
        input: tensor of any dtype.
    """
    return input.data_ptr()


def numel(input):
    """The number of elements.

    Args:
        input: tensor of any shape and dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("numel", "input", input, 1)
    return input._data.size


def is_same_size(input, other):
    """Whether both have the same shape.

    Args:
        input, other: tensors of any shape and dtype.

    Raises:
        TypeError: an argument is not a tensor.
    """
    check_tensors("is_same_size", input=input, other=other)
    return input._data.shape == other._data.shape


def is_nonzero(input):
    """Whether the one element of a tensor is not zero.

    Args:
        input: tensor of one element and any dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the tensor has another number of elements.
    """
    check_tensor("is_nonzero", "input", input, 1)
    return bool(input)


def is_floating_point(input):
    """Whether the dtype is a floating-point one.

    Args:
        input: tensor of any dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("is_floating_point", "input", input, 1)
    return input.dtype.is_floating_point


def is_complex(input):
    """Always False: there are no complex dtypes.

    Args:
        input: tensor of any dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("is_complex", "input", input, 1)
    return False


def resize(input, *sizes):
    """The elements in another shape of as many elements.

    Args:
        input: tensor of any dtype.
        sizes: the new shape, one by one or as a tuple.

    Raises:
        RuntimeError: the number of elements differs.
    """
    return reshape(input, *sizes)


def resize_as(input, tensor):
    """The elements in the shape of another tensor: ``input.resize(tensor.size())``.

    Args:
        input: tensor of any dtype.
        tensor: the tensor whose shape it takes.

    Raises:
        RuntimeError: the number of elements differs.
    """
    return reshape(input, tensor._data.shape)


def apply_(input, callable):
    """Replaces each element by what a Python function makes of it: slow.

    Args:
        input: tensor of any dtype.
        callable: takes an element as a Python number and returns one.

    Raises:
        RuntimeError: the tensor requires gradients.
    """
    if input._rg:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    input._check_inplace()
    d = input._data
    for place in np.ndindex(d.shape):
        d[place] = callable(d[place].item())
    input._bump()
    return input


def map_(input, tensor, callable):
    """Replaces each element by ``callable(element, element of tensor)``: slow.

    Args:
        input: tensor of any dtype.
        tensor: tensor whose shape broadcasts to the input's.
        callable: takes both elements as Python numbers and returns one.

    Raises:
        RuntimeError: a tensor requires gradients.
        ValueError: the shape does not broadcast.
    """
    if input._rg or tensor._rg:
        raise RuntimeError("Can't call map_() on Variable that requires grad. Use var.detach().map_() instead.")
    input._check_inplace()
    d, other = input._data, np.broadcast_to(tensor._data, input._data.shape)
    for place in np.ndindex(d.shape):
        d[place] = callable(d[place].item(), other[place].item())
    input._bump()
    return input


def as_subclass(input, cls):
    """The same memory as a tensor of a subclass of Tensor.

    Args:
        input: tensor.
        cls: the subclass.

    Raises:
        TypeError: ``cls`` is no subclass of Tensor.
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass expects a subclass of Tensor, got {cls!r}")
    out = object.__new__(cls)
    view = input.view_as(input)
    for name in ("_data", "_rg", "_nr", "_node", "_grad", "_version", "_base", "_hooks"):
        setattr(out, name, getattr(view, name))
    return out


def _itself(name, what):
    def op(input, *args, **kwargs):
        check_tensor(name, "input", input, 1)
        return input

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""The tensor itself: {what}.

    Args:
        input: tensor of any shape and dtype.
        args, kwargs: not used.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    return op


def _never(name, what):
    def op(input):
        check_tensor(name, "input", input, 1)
        return False

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""Always False: {what}.

    Args:
        input: tensor of any shape and dtype.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    return op


def conj_physical(input, *, out=None):
    """The tensor itself: all numbers are real.

    Args:
        input: tensor of any shape and dtype.
        out: tensor of the input's dtype to write a copy to, or None.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the copy.
    """
    check_tensor("conj_physical", "input", input, 1)
    return into(out, input, "conj_physical", input)


_REAL = "all numbers are real"
conj, resolve_conj, resolve_neg = (_itself(name, _REAL) for name in ("conj", "resolve_conj", "resolve_neg"))
is_conj, is_neg = _never("is_conj", _REAL), _never("is_neg", _REAL)
pin_memory = _itself("pin_memory", "there is no other device whose copies could be faster")
is_distributed = _never("is_distributed", "a tensor lives in one process")
real = property(_itself("real", _REAL))
