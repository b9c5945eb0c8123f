"""``x[...]``: basic indexing as views, indexing by tensors and masks as copies, and the same on the left of ``=``."""

import builtins
from math import prod
from operator import index as as_int

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import indexing as kernels
from ..kernels._copy import copy_into, fill
from ..kernels._jit import GRAIN
from ..kernels._mask import found, joined, masked, selected
from ..kernels._pick import NEGATIVE, ROWS, SET, SUM, picked, placed
from ..kernels._pool import empty, zeros
from ..kernels.pointwise_select import where_forward
from ..tensor import Tensor, view_of, wrap
from ._common import F32, F64, HALF, as_number, check_tensors, dense, inplace_doc, recording
from ._within import open_array, open_run, run_within
from .cast import convert
from .part import Getitem, Select, part
from .rearrange import as_bits
from .shape import clone, expand, permute, reshape, sum_to_size

I64, _BOOL = dtypes.int64.np, dtypes.bool.np
_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))
_FULL = slice(None)
_WIDE, _ROWS = 16, 64  # elements in a row, and rows, from which on sums by row pay for grouping the indices
_OUT_OF_BOUNDS = "index {} is out of bounds for dimension {} with size {}"


def wrapped(index, size, message=None, negative=True, copy=True):
    """Integer indices as a C-contiguous int64 ndarray from 0 to ``size - 1``.

    Args:
        index: an ndarray of integers of any shape.
        size: the number that indices may not reach.
        message: a function from the offending index to the IndexError's text, or to another error.
        negative: whether negative indices count from the end.
        copy: False: the array itself may be returned, for a caller that does not keep it.
    """
    if index.dtype is not I64 or not index.flags.c_contiguous:
        index = np.ascontiguousarray(index, I64).reshape(index.shape)
    flat = index.reshape(-1)
    low = -size if negative else 0
    out = index
    if copy or negative:
        out = empty(index.shape, I64)
        bad = kernels.wrap_indices(flat, low, size, out.reshape(-1))
    else:
        bad = kernels.outside(flat, low, size)
    if bad:
        value = int(flat[(flat < low) | (flat >= size)][0])
        error = message(value) if message else f"index {value} is out of range for a dimension of size {size}"
        raise error if isinstance(error, Exception) else IndexError(error)
    return out


def as_element(value, np_dtype):
    """A number that a dtype can hold, as an ndarray (1,)."""
    with np.errstate(over="ignore"):
        return np.array([value]).astype(np_dtype)


# -- rows by number: one collapsed dimension


class Index(Node):
    __slots__ = ("count", "index", "lead", "shape")

    def backward(self, grad):
        return put_zeros(grad, self.index, self.lead, self.count, self.shape)


class IndexBackward(Node):
    __slots__ = ("count", "index", "lead")

    def backward(self, grad):
        return take_rows(grad, self.index, self.lead, self.count)


def collapsed(shape, lead, count):
    """(outer, k, inner) of a shape in which ``count`` dimensions from ``lead`` on count as one."""
    return prod(shape[:lead]), prod(shape[lead : lead + count]), prod(shape[lead + count :])


def take_rows(input, index, lead, count, node_type=Index):
    """``input`` with the ``count`` dimensions from ``lead`` on replaced by those of ``index``, an int64 ndarray of
    checked positions in them, counted in row-major order."""
    d = input._data
    shape = d.shape
    outer, k, inner = collapsed(shape, lead, count)
    data = empty((*shape[:lead], *index.shape, *shape[lead + count :]), d.dtype)
    if not d.flags.c_contiguous and count == 1 and 2 * index.size < k:  # spares a copy of all of it
        data[...] = d[(_FULL,) * lead + (index,)]
    elif data.size:
        d = dense(input)
        n = index.size
        kernels.take_forward(
            as_bits(d).reshape(outer, k, inner), index.reshape(-1), as_bits(data).reshape(outer, n, inner)
        )
    out = wrap(data)
    if input._rg and mode.grad:
        node = node_type(input)
        node.index, node.lead, node.count, node.shape = index, lead, count, shape
        node.attach(out)
    return out


def put_zeros(grad, index, lead, count, shape):
    """Zeros of ``shape`` to which ``grad`` is added where :func:`take_rows` took it from."""
    if grad._data.dtype in HALF:
        return put_zeros(grad.float(), index, lead, count, shape).to(grad.dtype)
    g = dense(grad)
    outer, k, inner = collapsed(shape, lead, count)
    if g.size and inner >= _WIDE and outer * k >= _ROWS and outer * k * inner >= GRAIN:
        data = empty(shape, g.dtype)
        end, order = empty((k,), I64), empty((index.size,), I64)
        rows = g.reshape(outer, index.size, inner), index.reshape(-1)
        kernels.add_forward(empty((0, 0, 0), g.dtype), *rows, end, order, data.reshape(outer, k, inner))
    else:
        data = zeros(shape, g.dtype)
        if g.size:
            kernels.take_backward(g.reshape(outer, index.size, inner), index.reshape(-1), data.reshape(outer, k, inner))
    out = wrap(data)
    if grad._rg and mode.grad:
        node = IndexBackward(grad)
        node.index, node.lead, node.count = index, lead, count
        node.attach(out)
    return out


def add_rows(g, index, y):
    """Adds g (outer, n, inner) to y (outer, k, inner) at index (n,), in place."""
    n, (outer, k, inner) = index.size, y.shape
    if inner >= _WIDE and outer * n * inner >= GRAIN and k <= 8 * n:
        kernels.add_within(g, index, empty((k,), I64), empty((n,), I64), y)
    else:
        kernels.take_backward(g, index, y)


def put_rows(src, index, y):
    """Writes src (outer, n, inner) into y (outer, k, inner) at index (n,), in place; of equal indices the last stays.
    Both are unsigned integers of the elements' size."""
    n, (outer, k, inner) = index.size, y.shape
    parallel = inner >= _WIDE and outer * n * inner >= GRAIN and k <= 64 * n
    kernels.put_forward(src, index, empty((k if parallel else 0,), I64), y)


# -- reading


def _plain(key):
    """Whether a tuple holds only ints, slices, None and at most one ``...``; negative steps raise."""
    dots = 0
    for k in key:
        if type(k) not in _BASIC:
            return False
        if type(k) is slice:
            if k.step is not None and type(k.step) is int and k.step <= 0:
                raise ValueError("slice step cannot be zero" if k.step == 0 else "step must be greater than zero")
            if not _int_slice(k):
                return False
        elif k is Ellipsis:
            dots += 1
    return dots < 2


def _int_slice(k):
    return (
        (k.start is None or type(k.start) is int)
        and (k.stop is None or type(k.stop) is int)
        and (k.step is None or type(k.step) is int)
    )


def getitem(self, key):
    """``self[key]``: a view for integers, slices, ``None`` and ``...``; a copy for tensors, lists and masks.

    Raises:
        IndexError: too many indices, one out of range, or one of a wrong type.
        ValueError: a slice with a step that is not positive.
    """
    d = self._data
    kind = type(key)
    node_type = Getitem
    if kind is int:
        key, node_type = (key, ...), Select
    elif kind is tuple and _plain(key):
        if Ellipsis not in key:
            key = (*key, ...)
    elif kind in _BASIC and _plain((key,)):
        key = (key, ...) if key is not Ellipsis else (...,)
    elif isinstance(key, Tensor) and key._data.ndim and d.ndim:
        return _by_tensor(self, key)
    else:
        if kind is tuple and len(key) == 2 and not (self._rg and mode.grad):
            data = _pair(d, *key)
            if data is not None:
                return wrap(data)
        rows = _numbered(d.shape, key) if kind is tuple else None
        return _advanced(self, key) if rows is None else take_rows(self, *rows)
    try:
        data = d[key]
    except IndexError:
        raise _index_error(d.shape, key) from None
    out = view_of(self, data)
    if self._rg and mode.grad:
        node = node_type(self)
        node.key, node.shape = key, d.shape
        node.attach(out)
    return out


def _pair(d, i, j):
    """``d[i, j]`` of a small ndarray for two int64 tensors, or ``d[:, j]``; None where it is not that."""
    if not isinstance(j, Tensor):
        return None
    if isinstance(i, Tensor):
        at = joined(i._data, j._data, d)
        if at is None or not at.size:
            return None
        if d.ndim == 2:
            return picked(d, None, at, ROWS)
        return picked(d.reshape(d.shape[0] * d.shape[1], *d.shape[2:]), 0, at, ROWS)
    return picked(d, 1, j._data, ROWS | NEGATIVE) if type(i) is slice and i == _FULL and d.ndim > 1 else None


def _index_error(shape, key):
    """The IndexError of a basic index that does not fit."""
    if not shape and any(type(k) is int for k in key):
        return IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert a 0-dim tensor to a number")
    used = sum(type(k) in (int, slice) for k in key)
    if used > len(shape):
        return IndexError(f"too many indices for tensor of dimension {len(shape)}")
    dim = 0
    for k in key:
        if k is Ellipsis:
            dim += len(shape) - used
        elif type(k) is int:
            if not -shape[dim] <= k < shape[dim]:
                return IndexError(f"index {k} is out of bounds for dimension {dim} with size {shape[dim]}")
            dim += 1
        elif type(k) is slice:
            dim += 1
    return IndexError(f"index {key} does not fit a tensor of shape {list(shape)}")


def _as_tuple(key):
    if isinstance(key, tuple):
        return key
    if isinstance(key, list) and len(key) < 32:
        if any(k is None or k is Ellipsis or isinstance(k, slice | list | tuple | Tensor | np.ndarray) for k in key):
            return tuple(key)
    return (key,)


def _element(k):
    """One element of an index in its simplest form: int, bool, slice, None, Ellipsis, or an ndarray of integers or
    booleans."""
    if k is None or k is Ellipsis or type(k) in (int, bool):
        return k
    if isinstance(k, slice):
        start, stop, step = (None if v is None else as_int(v) for v in (k.start, k.stop, k.step))
        if step is not None and step <= 0:
            raise ValueError("slice step cannot be zero" if step == 0 else "step must be greater than zero")
        return slice(start, stop, step)
    if isinstance(k, Tensor):
        k = k._data
    elif isinstance(k, str):
        raise TypeError(f"an index must be made of numbers, got {k!r}")
    elif isinstance(k, list | tuple | range):
        k = np.array([v._data if isinstance(v, Tensor) else v for v in k]) if len(k) else np.empty(0, I64)
    if isinstance(k, np.bool_):
        return bool(k)
    if isinstance(k, np.integer):
        return int(k)
    if not isinstance(k, np.ndarray):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
            f"{type(k).__name__})"
        )
    if k.dtype == np.uint8:
        k = k.astype(bool)
    if k.dtype != bool and k.dtype not in (np.int64, np.int32):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if k.ndim == 0:
        return bool(k) if k.dtype == bool else int(k)
    return k


class _Plan:
    """An index taken apart: the basic part, the dimensions that remain to be indexed, and positions in them."""

    __slots__ = ("arrays", "basic", "dims")

    def __init__(self, key, shape):
        elements = [_element(k) for k in _as_tuple(key)]
        used = sum(
            k.ndim if isinstance(k, np.ndarray) and k.dtype == bool else type(k) not in (type(None), type(...), bool)
            for k in elements
        )
        if used > len(shape):
            if not shape:
                raise IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` to convert it to a number")
            raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
        self.basic, self.dims, self.arrays = [], [], []
        position = dim = 0  # dimension of the result of the basic part, and of the tensor
        free = len(shape) - used
        for k in elements:
            if k is Ellipsis:
                self.basic += [_FULL] * free
                position, dim, free = position + free, dim + free, 0
            elif type(k) is int:
                if not -shape[dim] <= k < shape[dim]:
                    raise IndexError(f"index {k} is out of bounds for dimension {dim} with size {shape[dim]}")
                self.basic.append(k)
                dim += 1
            elif type(k) is slice:
                self.basic.append(k)
                position, dim = position + 1, dim + 1
            elif k is None or type(k) is bool:
                self.basic.append(None)
                if k is not None:
                    self._add(position, np.zeros(1 if k else 0, I64))
                position += 1
            else:
                count = self._add_tensor(k, position, dim, shape)
                self.basic += [_FULL] * count
                position, dim = position + count, dim + count
        self.basic.append(Ellipsis)

    def _add(self, position, array):
        self.dims.append(position)
        self.arrays.append(array)

    def _add_tensor(self, k, position, dim, shape):
        if k.dtype != bool:
            size = shape[dim]
            if size == 0 and k.size:
                raise IndexError("index is out of bounds for dimension with size 0")
            self._add(position, wrapped(k, size, _OUT_OF_BOUNDS.format("{}", dim, size).format))
            return 1
        for i, (a, b) in enumerate(zip(k.shape, shape[dim:], strict=False)):
            if a != b:
                raise IndexError(
                    f"The shape of the mask {list(k.shape)} at index {i} does not match the shape of the indexed "
                    "tensor "
                    f"{list(shape)} at index {dim + i}"
                )
        for i, array in enumerate(k.nonzero()):
            self._add(position + i, array)
        return k.ndim

    @property
    def trivial(self):
        """Whether the basic part changes nothing."""
        return all(k is Ellipsis or (type(k) is slice and k == _FULL) for k in self.basic)

    def broadcast(self):
        """The index arrays in one shape."""
        try:
            return np.broadcast_arrays(*self.arrays)
        except ValueError:
            shapes = ", ".join(str(list(a.shape)) for a in self.arrays)
            raise IndexError(
                f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
            ) from None

    def order(self, ndim):
        """The permutation that brings the indexed dimensions side by side, and where they then begin."""
        first = self.dims[0]
        if self.dims == list(range(first, first + len(self.dims))):
            return None, first
        return (*self.dims, *(i for i in range(ndim) if i not in self.dims)), 0


def _linear(arrays, sizes):
    """Row-major positions from one index array for each dimension."""
    linear = arrays[0]
    for a, n in zip(arrays[1:], sizes[1:], strict=True):
        linear = linear * n + a
    return np.ascontiguousarray(linear)


def _numbered(shape, key):
    """The common kinds of an index with tensors, as positions in one dimension or two that count as one: ``[..., i]``
    with full slices before i, and ``[i, j]``, of int64 tensors.

    Returns:
        (positions, the first of the dimensions, how many there are), or None for another kind of index, or one with a
        position out of range.
    """
    last, n = key[-1], len(key)
    if not isinstance(last, Tensor) or last._data.dtype is not I64 or not last._data.ndim or n > len(shape):
        return None
    i = last._data
    if n == 2 and isinstance(key[0], Tensor):
        j, i = i, key[0]._data
        if i.dtype is not I64 or i.shape != j.shape:
            return None
        out = empty(i.shape, I64)
        flat = (np.ascontiguousarray(x).reshape(-1) for x in (i, j))
        return None if kernels.join_indices(*flat, shape[0], shape[1], out.reshape(-1)) else (out, 0, 2)
    if n > 1 and not all(type(k) is slice and k == _FULL for k in key[:-1]):
        return None
    size = shape[n - 1]
    return wrapped(i, size, _OUT_OF_BOUNDS.format("{}", n - 1, size).format), n - 1, 1


def _by_tensor(self, key):
    """``self[key]`` for one index tensor or mask."""
    i, d = key._data, self._data
    if not (self._rg and mode.grad):
        mask = i.dtype is _BOOL
        data = selected(d, i) if mask else picked(d, 0, i, ROWS | NEGATIVE)
        if data is None and mask and i.ndim == 1 and d.ndim and i.shape[0] == d.shape[0]:
            rows = found(i, True)
            data = None if rows is None else picked(d, 0, rows[0], ROWS)
        if data is not None:
            return wrap(data)
    if i.dtype is I64 and d.shape[0]:
        size = d.shape[0]
        return take_rows(self, wrapped(i, size, _OUT_OF_BOUNDS.format("{}", 0, size).format), 0, 1)
    if i.dtype == bool and i.shape == d.shape:
        return take_rows(self, np.flatnonzero(i), 0, d.ndim)
    return _advanced(self, key)


def _advanced(self, key):
    plan = _Plan(key, self._data.shape)
    x = self if plan.trivial and plan.dims else part(self, tuple(plan.basic))
    if not plan.dims:
        return x
    arrays = plan.broadcast()
    order, lead = plan.order(x._data.ndim)
    if order is not None:
        x = permute(x, order)
    count = len(arrays)
    return take_rows(x, _linear(arrays, x._data.shape[lead : lead + count]), lead, count)


# -- writing


def _value(self, value):
    """What is to be assigned, as a Tensor of the right dtype or a Python number."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, builtins.bool | builtins.int | builtins.float | np.bool_ | np.integer | np.floating):
        value = as_number(value, self.dtype, half_too=False)
        return wrap(np.asarray(value, self._data.dtype)) if self._data.dtype.kind != "V" else wrap(_half(value, self))
    raise TypeError(f"can't assign a {type(value).__name__} to a tnn.{self.dtype.torch_name}Tensor")


def _half(value, like):
    return np.asarray(value, np.float32).astype(like._data.dtype)


def _fit(value, shape, message):
    """The value's array without surplus leading dimensions of size 1; raises where it cannot be broadcast to the
    shape."""
    v = value._data
    while v.ndim > len(shape) and v.shape[0] == 1:
        v = v[0, ...]
        value = reshape(value, v.shape) if value._rg else wrap(v)
    if v.ndim > len(shape) or any(a not in (1, b) for a, b in zip(v.shape, shape[len(shape) - v.ndim :], strict=True)):
        raise RuntimeError(message(value._data.shape))
    return value


def setitem(self, key, value):
    """``self[key] = value``: the value is broadcast to the part that is indexed; gradients flow to it and past it.

    Raises:
        IndexError: as for reading.
        RuntimeError: the value does not fit, or the tensor may not be changed in place.
        TypeError: the value is neither a tensor nor a number.
    """
    kind = type(key)
    if _set_part(self, key, value) or _set_rows(self, key, value):
        return
    if isinstance(key, Tensor) and (_fill_mask(self, key, value) or _set_mask(self, key, value)):
        return
    if kind is int or (kind is tuple and _plain(key)) or (kind in _BASIC and _plain((key,))):
        plan = None
        basic = key if kind is tuple else (key,)
        basic = basic if Ellipsis in basic else (*basic, ...)
    else:
        plan = _Plan(key, self._data.shape)
        basic = tuple(plan.basic)
    value = _value(self, value)
    record = mode.grad and (self._rg or value._rg)
    if plan is None or not plan.dims:
        try:
            target = self._data[basic]
        except IndexError:
            raise _index_error(self._data.shape, basic) from None
        value = _fit(value, target.shape, lambda s: _no_fit(s, target.shape))
        if record:
            part(self, basic)._write(expand(value.to(self.dtype), target.shape))
            return
        self._check_inplace()
        target[...] = value._data if value._data.dtype == target.dtype else convert(value._data, target.dtype)
        self._bump()
        return
    if value._data.dtype != self._data.dtype:
        if value._data.ndim:
            raise _dtype_mismatch(self, value)
        value = value.to(self.dtype)
    if record:
        self._write(_index_put(self, plan, value, False))
    else:
        self._check_inplace()
        _assign(self._data, plan, value, False)
        self._bump()


def _set_part(self, key, value):
    """``self[key] = value`` for integers and slices where nothing is recorded, of a number, or of a tensor of the same
    dtype whose shape broadcasts; returns whether it was that."""
    kind, d = type(key), open_array(self)
    if d is None or type(d) is not np.ndarray or not _plain(key if kind is tuple else (key,)):
        return False
    number = type(value) is float or type(value) is int
    if not number:
        if not isinstance(value, Tensor) or value._data.dtype is not d.dtype or (value._rg and mode.grad):
            return False
    elif d.dtype is F32:
        if not -1e38 < value < 1e38:
            return False
    elif d.dtype is not F64 and (d.dtype is not I64 or type(value) is not int or not -(1 << 62) < value < 1 << 62):
        return False
    if 0 in d.strides:
        self._check_inplace()
    try:
        target = d[key if kind is not tuple or Ellipsis in key else (*key, ...)]
        if type(target) is not np.ndarray:
            if not number and value._data.ndim:
                return False
            d[key] = value if number else value._data
        elif number:
            fill(target, value)
        else:
            copy_into(target, value._data)
    except (IndexError, ValueError):
        return False
    self._bump()
    return True


def _set_rows(self, key, value):
    """``self[i] = value`` for int64 tensors (see :func:`_numbered`) where nothing is recorded, of a number or a tensor
    of just the shape; returns whether it was that."""
    if not isinstance(key, Tensor) and type(key) is not tuple:
        return False
    d = open_run(self)
    if d is None or (type(key) is tuple and (not key or not isinstance(key[-1], Tensor))):
        return False
    if isinstance(key, Tensor) or len(key) == 1:
        i = (key if isinstance(key, Tensor) else key[0])._data
        tensor = isinstance(value, Tensor)
        if i.ndim == 1 and (not tensor or not (value._rg and mode.grad)):
            if placed(d, 0, i, value._data if tensor else value, ROWS | NEGATIVE | SET, None) is not None:
                self._bump()
                return True
    elif len(key) == 2 and isinstance(key[0], Tensor) and d.ndim == 2:
        tensor = isinstance(value, Tensor)
        at = joined(key[0]._data, key[1]._data, d)
        if at is not None and at.size and not (tensor and ((value._rg and mode.grad) or value._data.shape != at.shape)):
            if placed(d, None, at, value._data if tensor else value, ROWS | SET, None) is not None:
                self._bump()
                return True
    rows = _numbered(d.shape, key if type(key) is tuple else (key,))
    if rows is None:
        return False
    index, lead, count = rows
    shape = d.shape[:lead] + index.shape + d.shape[lead + count :]
    y = as_bits(d).reshape(collapsed(d.shape, lead, count))
    if isinstance(value, Tensor):
        v = value._data
        if v.dtype is not d.dtype or v.shape != shape or (value._rg and mode.grad) or np.may_share_memory(d, v):
            return False
        if index.size:
            source = as_bits(dense(value)).reshape(y.shape[0], index.size, y.shape[2])
            put_rows(source, index.reshape(-1), y)
    elif type(value) in (int, float):
        number = as_number(value, self.dtype, half_too=False)
        kernels.put_number(as_bits(as_element(number, d.dtype)), index.reshape(-1), y)
    else:
        return False
    self._bump()
    return True


def _add_rows(self, key, value):
    """As :func:`_set_rows`, but adds a tensor; returns whether it did."""
    d, v = open_run(self), value._data
    if d is None or d.dtype not in dtypes.COMPUTE:
        return False
    if len(key) == 1 and isinstance(key[0], Tensor) and key[0]._data.ndim == 1:
        if placed(d, 0, key[0]._data, v, ROWS | NEGATIVE | SUM, None) is not None:
            self._bump()
            return True
    rows = _numbered(d.shape, key) if key else None
    if rows is None or v.dtype is not d.dtype or np.may_share_memory(d, v):
        return False
    index, lead, count = rows
    if v.shape != d.shape[:lead] + index.shape + d.shape[lead + count :] or not index.size:
        return False
    y = d.reshape(collapsed(d.shape, lead, count))
    add_rows(dense(value).reshape(y.shape[0], index.size, y.shape[2]), index.reshape(-1), y)
    self._bump()
    return True


def _fill_mask(self, mask, value):
    """``self[mask] = number`` where nothing is recorded; returns whether it was that."""
    d, m = self._data, mask._data
    if m.dtype != bool or m.shape != d.shape or (mode.grad and self._rg) or not isinstance(value, int | float):
        return False
    if open_array(self) is not None and masked(d, m, value, None) is not None:
        self._bump()
        return True
    self._check_inplace()
    value = as_number(value, self.dtype, half_too=False)
    inside = (d.dtype is F32 or d.dtype is F64) and not (mode.grad and self._base is not None)
    if not inside or not run_within(where_forward, m, np.asarray(value, d.dtype), d):
        np.copyto(d, value, where=m, casting="unsafe")
    self._bump()
    return True


def _set_mask(self, mask, value):
    """``self[mask] = value`` where nothing is recorded, of a vector with an element for each True; returns whether it
    was that."""
    d, m = open_run(self), mask._data
    if d is None or m.dtype != bool or m.shape != d.shape or not isinstance(value, Tensor):
        return False
    v = value._data
    if v.ndim != 1 or v.dtype is not d.dtype or (value._rg and mode.grad) or np.may_share_memory(d, v):
        return False
    index = np.flatnonzero(m)
    if index.size != v.size:
        return False
    if index.size:
        put_rows(as_bits(dense(value)).reshape(1, -1, 1), index, as_bits(d).reshape(1, -1, 1))
    self._bump()
    return True


def _no_fit(have, shape):
    return (
        f"shape mismatch: value tensor of shape {list(have)} cannot be broadcast to indexing result of shape "
        f"{list(shape)}"
    )


def _dtype_mismatch(self, value):
    return RuntimeError(
        "Index put requires the source and destination dtypes match, got "
        f"{self.dtype.torch_name} for the destination and {value.dtype.torch_name} for the source."
    )


def _assign(d, plan, value, accumulate):
    """Writes or adds a value into an ndarray under an index with tensors, in place."""
    x = d if plan.trivial else d[tuple(plan.basic)]
    arrays = plan.broadcast()
    order, lead = plan.order(x.ndim)
    if order is not None:
        x = x.transpose(order)
    count = len(arrays)
    shape = (*x.shape[:lead], *arrays[0].shape, *x.shape[lead + count :])
    value = _fit(value, shape, lambda s: _no_fit(s, shape))
    v = value._data
    if not prod(shape):
        return shape
    if accumulate and x.dtype in dtypes.COMPUTE and x.flags.c_contiguous:
        index = _linear(arrays, x.shape[lead : lead + count]).reshape(-1)
        outer, k, inner = collapsed(x.shape, lead, count)
        g = np.ascontiguousarray(np.broadcast_to(v, shape)).reshape(outer, index.size, inner)
        add_rows(g, index, x.reshape(outer, k, inner))
    elif accumulate:
        np.add.at(x, (_FULL,) * lead + tuple(arrays), v)
    else:
        x[(_FULL,) * lead + tuple(arrays)] = v
    return shape


class IndexPut(Node):
    __slots__ = ("accumulate", "plan", "result", "value")

    def backward(self, grad):
        plan = self.plan
        gx = gv = None
        if self.needs(0):
            gx = grad if self.accumulate else _index_put(grad, plan, wrap(np.zeros((), grad._data.dtype)), False)
        if self.needs(1):
            x = grad if plan.trivial else part(grad, tuple(plan.basic))
            arrays = plan.broadcast()
            order, lead = plan.order(x._data.ndim)
            x = x if order is None else permute(x, order)
            count = len(arrays)
            gv = take_rows(x, _linear(arrays, x._data.shape[lead : lead + count]), lead, count)
            gv = reshape(sum_to_size(gv, _padded(self.value, gv._data.ndim)), self.value)
        return gx, gv


def _padded(shape, ndim):
    """A shape without its surplus leading ones."""
    return shape[max(len(shape) - ndim, 0) :]


def _index_put(input, plan, value, accumulate):
    """A copy of the input with the value under the index."""
    with_grad = mode.grad and (input._rg or value._rg)
    before = input._data
    out = wrap(empty(before.shape, before.dtype))
    np.copyto(out._data, before)
    _assign(out._data, plan, value, accumulate)
    if with_grad:
        node = IndexPut(input, value)
        node.plan, node.accumulate, node.value = plan, accumulate, value._data.shape
        node.attach(out)
    return out


def _put_key(function, input, indices, values):
    """The arguments of index_put checked, and its index as one of ``input[...]``."""
    check_tensors(function, input=input, values=values)
    if values._data.dtype != input._data.dtype:
        raise _dtype_mismatch(input, values)
    if not isinstance(indices, tuple | list):
        raise TypeError(f"{function}(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}")
    return tuple(slice(None) if i is None else i for i in indices)


def index_put(input, indices, values, accumulate=False):
    """A copy of the input with ``values`` at the positions that a tuple of index tensors names.

    Args:
        input: any tensor.
        indices: a tuple of integer or bool tensors, None where a dimension is not indexed.
        values: a tensor that can be broadcast to the indexed part, of the input's dtype.
        accumulate: add instead of replacing; equal indices then add up.

    Shape:
        that of ``input``.

    Raises:
        IndexError: an index is out of range, or there are too many.
        RuntimeError: ``values`` do not fit or have another dtype.
        TypeError: ``input`` or ``values`` is not a tensor.
    """
    key = _put_key("index_put", input, indices, values)
    if len(key) == 1 and isinstance(key[0], Tensor) and not recording(input, values):
        i = key[0]._data
        data = placed(input._data, 0, i, values._data, ROWS | NEGATIVE | (SUM if accumulate else SET))
        if data is not None:
            return wrap(data)
    plan = _Plan(key, input._data.shape)
    if not plan.dims:
        out = clone(input)
        setitem(out, tuple(indices), values)
        return out
    return _index_put(input, plan, values, accumulate)


def index_put_(input, indices, values, accumulate=False):
    """:func:`index_put` in place; see there for the arguments.

    Raises:
        IndexError, TypeError: as :func:`index_put`.
        RuntimeError: as :func:`index_put`, or a leaf that requires gradients is written.
    """
    key = _put_key("index_put_", input, indices, values)
    input._check_inplace()
    if mode.grad and (input._rg or values._rg):
        return input._write(index_put(input, indices, values, accumulate))
    if (_add_rows if accumulate else _set_rows)(input, key, values):
        return input
    plan = _Plan(key, input._data.shape)
    if plan.dims:
        _assign(input._data, plan, values, accumulate)
        input._bump()
        return input
    return input._write(index_put(input, indices, values, accumulate))


index_put_.__doc__ = inplace_doc(index_put)
