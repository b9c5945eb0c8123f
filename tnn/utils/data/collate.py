"""From a list of samples to a batch."""

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence

import numpy as np

from ...dtypes import float64
from ...ops.creation import as_tensor, tensor
from ...ops.joining import stack
from ...tensor import Tensor

_FOUND = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def _holds_no_numbers(array):
    return array.dtype.kind in "SaUO"


def _rebuilt(data, pairs):
    """A mapping of the type of ``data`` with these items, or a dict where that type cannot be made so."""
    try:
        if isinstance(data, MutableMapping):
            clone = copy.copy(data)
            clone.update(pairs)
            return clone
        return type(data)(pairs)
    except TypeError:
        return pairs


def _relisted(data, items):
    """A sequence of the type of ``data`` with these items, or a list where that type cannot be made so."""
    try:
        if isinstance(data, MutableSequence):
            clone = copy.copy(data)
            for i, item in enumerate(items):
                clone[i] = item
            return clone
        return type(data)(items)
    except TypeError:
        return items


def default_convert(data):
    """Makes tensors of the NumPy arrays and numbers in a sample; everything else stays as it is.

    Args:
        data: a sample: an array, or mappings and sequences of them.

    >>> default_convert(np.array([0, 1]))
    tensor([0, 1])
    """
    if isinstance(data, Tensor | str | bytes):
        return data
    if isinstance(data, np.ndarray):
        return data if _holds_no_numbers(data) else as_tensor(data)
    if isinstance(data, np.generic):
        return as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        items = [default_convert(d) for d in data]
        return type(data)(*items) if hasattr(data, "_fields") else items
    if isinstance(data, Sequence):
        return _relisted(data, [default_convert(d) for d in data])
    return data


def collate(batch, *, collate_fn_map=None):
    """Batches samples by their type.

    Args:
        batch: a list of samples.
        collate_fn_map: for types, or tuples of types, functions ``(batch, collate_fn_map=...)``. Mappings, named tuples
            and sequences whose type is not there are batched field by field.

    Raises:
        TypeError: nothing batches this type.
        RuntimeError: sequences differ in length.
    """
    elem = batch[0]
    kinds = collate_fn_map or {}
    function = kinds.get(type(elem)) or next((f for kind, f in kinds.items() if isinstance(elem, kind)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(elem, Mapping):
        return _rebuilt(elem, {k: collate([d[k] for d in batch], collate_fn_map=collate_fn_map) for k in elem})
    if isinstance(elem, Sequence):
        named = isinstance(elem, tuple) and hasattr(elem, "_fields")
        if not named and any(len(e) != len(elem) for e in batch):
            raise RuntimeError(
                f"each element in list of batch should be of equal size, got sizes {sorted({len(e) for e in batch})}"
            )
        items = [collate(samples, collate_fn_map=collate_fn_map) for samples in zip(*batch, strict=False)]
        if named:
            return type(elem)(*items)
        return items if isinstance(elem, tuple) else _relisted(elem, items)
    raise TypeError(_FOUND.format(type(elem)))


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """Stacks tensors."""
    if batch[0].is_sparse:
        raise RuntimeError("default_collate does not stack sparse tensors; provide a custom collate_fn")
    return stack(list(batch), 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """Makes tensors of arrays and stacks them."""
    if _holds_no_numbers(batch[0]):
        raise TypeError(_FOUND.format(batch[0].dtype))
    return collate([as_tensor(b) for b in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """A 1-D tensor of NumPy numbers, of their dtype."""
    return as_tensor(np.array(batch))


def collate_float_fn(batch, *, collate_fn_map=None):
    """A 1-D float64 tensor of floats."""
    return tensor(batch, dtype=float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """A 1-D tensor of ints or bools."""
    return tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """Strings stay a list."""
    return batch


default_collate_fn_map = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch):
    """Batches a list of samples: tensors and arrays are stacked, numbers become 1-D tensors, strings a list, and
    mappings, named tuples and sequences are batched field by field.

    Args:
        batch: the samples.

    Raises:
        TypeError: a sample is of another type.
        RuntimeError: sequences differ in length.

    >>> default_collate([(0, "a"), (1, "b")])
    [tensor([0, 1]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
