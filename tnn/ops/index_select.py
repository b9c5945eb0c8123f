"""Slices and elements by a vector of indices: index_select and its kin, take and put."""

import numpy as np

from .. import dtypes
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import indexing as kernels
from ..kernels._copy import contiguous_copy
from ..kernels._pick import NEGATIVE, ROWS, SET, SUM, picked, placed
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import HALF, WITHIN, as_number, check_tensor, check_tensors, dense, into, numpy_names, recording, wrap_dim
from ._within import open_run
from .gather import ADDED, COMBINED, INTEGER, REDUCTIONS, at_least_1d, placed_within, reduce_by_index
from .indexing import I64, Index, add_rows, as_element, collapsed, put_rows, put_zeros, take_rows, wrapped
from .rearrange import as_bits
from .shape import clone, reshape


class IndexSelect(Index):
    __slots__ = ()


def _row_index(name, index, error):
    check_tensor(name, "index", index, 3)
    if index._data.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index._data.dtype not in INTEGER:
        raise error
    return index._data.reshape(-1)


@numpy_names
def index_select(input, dim, index, *, out=None):
    """The slices along ``dim`` whose numbers are in a vector: a copy.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        index: vector of int64 or int32.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input`` with the number of indices along ``dim``.

    Raises:
        TypeError: ``input`` or ``index`` is not a tensor.
        IndexError: there is no such dimension, an index is out of range (negative ones are), or the index is not a
            vector.
        RuntimeError: the index is not int64 or int32, or ``out`` cannot hold the result.
    """
    if out is None and isinstance(input, Tensor) and isinstance(index, Tensor) and index._data.ndim == 1:
        d, i = input._data, index._data
        data = picked(d, dim, i, ROWS)
        if data is not None:
            result = wrap(data)
            if input._rg and mode.grad:
                node = IndexSelect(input)
                node.index, node.lead, node.count, node.shape = i.copy(), dim % d.ndim, 1, d.shape
                node.attach(result)
            return result
    check_tensor("index_select", "input", input, 1)
    shape = input._data.shape
    dim = wrap_dim(dim, len(shape))
    i = _row_index("index_select", index, RuntimeError("index_select(): Expected dtype int32 or int64 for index"))
    x = at_least_1d(input)
    i = wrapped(i, x._data.shape[dim], lambda v: f"index out of range in self: {v}", False, x._rg)
    result = take_rows(x, i, dim, 1, IndexSelect)
    return into(out, result if shape else reshape(result, ()), "index_select", input)


def _rows_small(input, dim, index, source, how):
    """A copy of a small tensor into which slices are put by index, or combined with its own; None where it is not
    plain: see :func:`placed`. Nothing is recorded."""
    if not isinstance(input, Tensor) or not isinstance(index, Tensor) or index._data.ndim != 1:
        return None
    source = source._data if isinstance(source, Tensor) else source
    data = placed(input._data, dim, index._data, source, ROWS | how)
    return None if data is None else wrap(data)


class IndexAdd(Node):
    __slots__ = ("alpha", "dim", "index", "shape")

    def backward(self, grad):
        gs = None
        if self.needs(1):
            gs = take_rows(grad, self.index, self.dim, 1)
            gs = gs if self.alpha == 1 else gs * self.alpha
            if gs._data.shape != self.shape:  # a view would be copied into the leaf's gradient
                gs = reshape(gs, self.shape)
        return grad, gs


def _prepare_rows(name, input, dim, index, source, wrong):
    """The checks of index_add and its kin: the dimension, the index and both tensors in at least one dimension."""
    check_tensor(name, "source", source, 4)
    dim = wrap_dim(dim, input._data.ndim)
    if index._data.ndim > 1:
        raise IndexError(f"{name}_(): Index should have dimension 1 or 0 (got {index._data.ndim})")
    if index._data.dtype not in INTEGER:
        raise RuntimeError(f"{name}_(): Expected dtype int32/int64 for index but got: {index.dtype.torch_name}")
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            f"{name}_(): self ({input.dtype.torch_name}) and source ({source.dtype.torch_name}) must have the same "
            "scalar type"
        )
    x, i = at_least_1d(input), index._data.reshape(-1)
    s = at_least_1d(source) if x._data.ndim == 1 else source
    have = s._data.shape
    if s._data.ndim == 0 or have[dim] != i.size:
        raise wrong(
            f"{name}_(): Number of indices ({i.size}) should be equal to source.size(dim): "
            f"({have[dim] if have else 1}), for dim: {dim}"
        )
    expected = (*x._data.shape[:dim], i.size, *x._data.shape[dim + 1 :])
    if have != expected:
        raise RuntimeError(
            f"{name}_(): source must have the shape of self but for dim {dim}: expected {list(expected)}, got "
            f"{list(have)}"
        )
    return dim, i, x, s


@numpy_names
def index_add(input, dim, index, source, *, alpha=1, out=None):
    """A copy of the input to which ``alpha * source`` is added: slice j of the source to slice ``index[j]``.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        index: vector of int64 or int32.
        source: tensor of the input's dtype and shape, but for ``dim``, where it has as many slices as there are
            indices.
        alpha: number that multiplies ``source``.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``source`` is not a tensor.
        IndexError: there is no such dimension, or the index is not a vector.
        RuntimeError: an index is out of range, or the shapes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    if out is None and alpha == 1 and isinstance(source, Tensor):
        result = _rows_small(input, dim, index, source, SUM)
        if result is not None:
            if mode.grad and (input._rg or source._rg):
                node = IndexAdd(input, source)
                node.index, node.dim, node.alpha = index._data.copy(), dim % input._data.ndim, alpha
                node.shape = source._data.shape
                node.attach(result)
            return result
    check_tensors("index_add", input=input, index=index, source=source)
    dim, i, x, s = _prepare_rows("index_add", input, dim, index, source, RuntimeError)
    size = x._data.shape[dim]
    message = f"index {{}} is out of bounds for dimension {dim} with size {size}"
    i = wrapped(i, size, lambda v: RuntimeError(message.format(v)), negative=False)
    result = _index_add(x, dim, i, s, alpha)
    if result._data.shape != input._data.shape:
        result = reshape(result, input._data.shape)
    return into(out, result, "index_add", input, source)


def _index_add(x, dim, index, source, alpha):
    if x._data.dtype in HALF:
        return _index_add(x.float(), dim, index, source.float(), alpha).to(x.dtype)
    s = dense(source)
    if alpha != 1:
        s = (source.detach() * alpha)._data
    if s.size and s.dtype in dtypes.COMPUTE:
        d, n = dense(x), index.size
        outer, k, inner = collapsed(d.shape, dim, 1)
        data, end, order = empty(d.shape, d.dtype), empty((k,), index.dtype), empty((n,), index.dtype)
        rows = d.reshape(outer, k, inner), s.reshape(outer, n, inner)
        kernels.add_forward(*rows, index, end, order, data.reshape(outer, k, inner))
    else:
        data = contiguous_copy(x._data)
        if s.size:
            np.add.at(data, (slice(None),) * dim + (index,), s)
    out = wrap(data)
    if mode.grad and (x._rg or source._rg):
        node = IndexAdd(x, source)
        node.index, node.dim, node.alpha, node.shape = index, dim, alpha, source._data.shape
        node.attach(out)
    return out


# -- in place


def _rows_within(self, dim, index, source=None):
    """The ndarrays of index_add_ and its kin as (outer, k, inner) where nothing is to be recorded or converted: the
    tensor's own, the index and the source's; None where it is not so, or an index is out of range."""
    d = open_run(self)
    if d is None or type(dim) is not int or not isinstance(index, Tensor) or not d.ndim:
        return None
    i = index._data
    if i.dtype is not I64 or i.ndim != 1 or not i.flags.c_contiguous or not -d.ndim <= dim < d.ndim:
        return None
    dim %= d.ndim
    shape = d.shape
    outer, k, inner = collapsed(shape, dim, 1)
    s = None
    if source is not None:
        if not isinstance(source, Tensor) or (source._rg and mode.grad):
            return None
        s = source._data
        if s.dtype is not d.dtype or not s.flags.c_contiguous or s.shape != (*shape[:dim], i.size, *shape[dim + 1 :]):
            return None
        if np.may_share_memory(d, s):
            return None
        s = s.reshape(outer, i.size, inner)
    if not i.size or np.may_share_memory(d, i) or kernels.outside(i, 0, k):
        return None
    return d.reshape(outer, k, inner), i, s


def _index_add_within(self, dim, index, source, *, alpha=1):
    if alpha == 1 and isinstance(source, Tensor) and placed_within(self, dim, index, source, ROWS | SUM):
        return True
    found = _rows_within(self, dim, index, source)
    if found is None or found[0].dtype not in ADDED or type(alpha) not in (int, float):
        return False
    y, i, s = found
    if alpha != 1:
        if type(alpha) is float and s.dtype.kind != "f":
            return False
        s = (source.detach() * alpha)._data.reshape(s.shape)
    add_rows(s, i, y)
    self._bump()
    return True


def _index_copy_within(self, dim, index, source):
    if isinstance(source, Tensor) and placed_within(self, dim, index, source, ROWS | SET):
        return True
    found = _rows_within(self, dim, index, source)
    if found is None:
        return False
    y, i, s = found
    put_rows(as_bits(s), i, as_bits(y))
    self._bump()
    return True


def _index_fill_within(self, dim, index, value):
    if not isinstance(value, Tensor) and placed_within(self, dim, index, value, ROWS | NEGATIVE | SET):
        return True
    found = None if isinstance(value, Tensor) else _rows_within(self, dim, index)
    if found is None or not isinstance(value, int | float):
        return False
    y, i, _ = found
    kernels.put_number(as_bits(as_element(as_number(value, self.dtype), y.dtype)), i, as_bits(y))
    self._bump()
    return True


WITHIN[index_add] = _index_add_within


class IndexCopy(Node):
    __slots__ = ("dim", "index")

    def backward(self, grad):
        gx = _fill_rows(grad, self.dim, self.index, 0.0) if self.needs(0) else None
        return gx, take_rows(grad, self.index, self.dim, 1) if self.needs(1) else None


@casts("widest")
def index_copy(input, dim, index, source, *, out=None):
    """A copy of the input in which slice ``index[j]`` is slice j of the source.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        index: vector of int64 or int32.
        source: tensor of the input's dtype and shape, but for ``dim``, where it has as many slices as there are
            indices.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``source`` is not a tensor.
        IndexError: there is no such dimension, an index is out of range, or the number of indices is wrong.
        RuntimeError: the dtypes or shapes do not fit, or ``out`` cannot hold the result.
    """
    if out is None and isinstance(source, Tensor):
        result = _rows_small(input, dim, index, source, SET)
        if result is not None:
            if mode.grad and (input._rg or source._rg):
                node = IndexCopy(input, source)
                node.index, node.dim = index._data.copy(), dim % input._data.ndim
                node.attach(result)
            return result
    check_tensors("index_copy", input=input, index=index, source=source)
    dim, i, x, s = _prepare_rows("index_copy", input, dim, index, source, IndexError)
    size = x._data.shape[dim]
    message = f"index_copy_(): index {{}} is out of bounds for dimension {dim} with size {size}"
    i = wrapped(i, size, message.format, negative=False)
    data = contiguous_copy(x._data)
    if s._data.size:
        outer, k, inner = collapsed(data.shape, dim, 1)
        y = as_bits(data).reshape(outer, k, inner)
        put_rows(as_bits(dense(s)).reshape(outer, i.size, inner), i, y)
    result = wrap(data)
    if mode.grad and (x._rg or s._rg):
        node = IndexCopy(x, s)
        node.index, node.dim = i, dim
        node.attach(result)
    if result._data.shape != input._data.shape:
        result = reshape(result, input._data.shape)
    return into(out, result, "index_copy", input, source)


WITHIN[index_copy] = _index_copy_within


class IndexFill(Node):
    __slots__ = ("dim", "index")

    def backward(self, grad):
        gx = _fill_rows(grad, self.dim, self.index, 0.0) if self.needs(0) else None
        gv = None
        if len(self.next) > 1 and self.needs(1):
            gv = take_rows(grad, np.unique(self.index), self.dim, 1).sum()
        return gx, gv


def _fill_rows(x, dim, index, value):
    """A copy of ``x`` in which the slices at ``index`` hold ``value``, a number or a 0-d Tensor."""
    data = contiguous_copy(x._data)
    tensor = value if isinstance(value, Tensor) else None
    if data.size and index.size:
        number = as_number(value, x.dtype) if tensor is None else tensor._data
        y = as_bits(data).reshape(collapsed(data.shape, dim, 1))
        kernels.put_number(as_bits(as_element(number, data.dtype)), index, y)
    out = wrap(data)
    if mode.grad and (x._rg or (tensor is not None and tensor._rg)):
        node = IndexFill(x) if tensor is None else IndexFill(x, tensor)
        node.index, node.dim = index, dim
        node.attach(out)
    return out


def index_fill(input, dim, index, value):
    """A copy of the input in which the slices whose numbers are in ``index`` hold one value, a number or a 0-d tensor.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        index: vector of int64 or int32.
        value: a number or a 0-d tensor.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` or ``index`` is not a tensor.
        IndexError: there is no such dimension, or an index is out of range or not int64 or int32.
        RuntimeError: ``value`` has dimensions or is too large for the dtype.
    """
    if not isinstance(value, Tensor) and not (mode.grad and isinstance(input, Tensor) and input._rg):
        result = _rows_small(input, dim, index, value, NEGATIVE | SET)
        if result is not None:
            return result
    check_tensors("index_fill", input=input, index=index)
    if isinstance(value, Tensor) and value._data.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value._data.ndim} "
            "dimension(s)."
        )
    i = _row_index("index_fill", index, IndexError("index_fill_(): Expected dtype int64 for index."))
    dim, x = wrap_dim(dim, input._data.ndim), at_least_1d(input)
    size = x._data.shape[dim]
    i = wrapped(i, size, f"index {{}} is out of bounds for dimension {dim} with size {size}".format)
    result = _fill_rows(x, dim, i, value)
    return result if input._data.ndim else reshape(result, ())


WITHIN[index_fill] = _index_fill_within


def index_reduce(input, dim, index, source, reduce, *, include_self=True, out=None):
    """A copy of the input in which the slices of the source that go to one place are combined there.

    Args:
        input: any tensor.
        dim: the dimension that the indices refer to.
        index: a vector of int64 or int32.
        source: as many slices along ``dim`` as there are indices.
        reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the input's own elements take part.
        out: tensor of the input's dtype to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``source`` is not a tensor.
        RuntimeError: ``reduce`` is unknown, the shapes or dtypes do not fit, or ``out`` cannot hold the result.
        IndexError: an index is out of range, or the number of indices is wrong.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    check_tensors("index_reduce", input=input, index=index, source=source)
    if include_self and out is None and reduce != "mean" and not recording(input, source):
        result = _rows_small(input, dim, index, source, COMBINED[reduce])
        if result is not None:
            return result
    dim, i, x, s = _prepare_rows("index_reduce", input, dim, index, source, IndexError)
    size = x._data.shape[dim]
    i = wrapped(i, size, f"index_reduce(): index {{}} is out of bounds for size {size}".format, negative=False)
    if include_self and reduce != "mean" and x._data.dtype in dtypes.COMPUTE and not recording(input, source):
        if not i.size or not s._data.size:
            return into(out, clone(input), "index_reduce", input, source)
        data = contiguous_copy(x._data)
        outer, k, inner = collapsed(data.shape, dim, 1)
        rows = dense(s).reshape(outer, i.size, inner)
        kernels.reduce_rows(rows, i, data.reshape(outer, k, inner), REDUCTIONS[reduce])
        return into(out, wrap(data.reshape(input._data.shape)), "index_reduce", input, source)
    full = np.ascontiguousarray(
        np.broadcast_to(i.reshape((-1,) + (1,) * (x._data.ndim - dim - 1)), s._data.shape), np.int64
    )
    if not full.size:
        return into(out, clone(input), "index_reduce", input, source)
    result = reshape(reduce_by_index(x, dim, full, s, reduce, include_self), input._data.shape)
    return into(out, result, "index_reduce", input, source)


# -- positions in the flat tensor


class Take(Node):
    __slots__ = ("index", "shape")

    def backward(self, grad):
        flat = put_zeros(reshape(grad, (-1,)), self.index.reshape(-1), 0, 1, (int(np.prod(self.shape, dtype=int)),))
        return reshape(flat, self.shape)


def _flat_index(name, input, index):
    if index._data.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index.dtype.torch_name}")
    size = input._data.size
    if index._data.size and not size:
        raise IndexError(f"{name}(): tried to take from an empty tensor")
    message = f"out of range: tried to access index {{}} on a tensor of {size} elements."
    return wrapped(index._data, size, message.format)


def take(input, index, *, out=None):
    """The elements at positions of the flattened input, in the index's shape.

    Args:
        input: tensor of any dtype, taken as flat.
        index: int64 tensor of any shape; negative positions count from the end.
        out: tensor to write the result to, or None.

    Shape:
        that of ``index``.

    Raises:
        TypeError: ``input`` or ``index`` is not a tensor.
        IndexError: a position is out of range.
        RuntimeError: the index is not int64, or ``out`` cannot hold the result.
    """
    if out is None and isinstance(input, Tensor) and isinstance(index, Tensor) and not (mode.grad and input._rg):
        data = picked(input._data, None, index._data, ROWS | NEGATIVE)
        if data is not None:
            return wrap(data)
    check_tensors("take", input=input, index=index)
    i = _flat_index("take", input, index)
    result = wrap(take_rows(reshape(input.detach(), (-1,)), i.reshape(-1), 0, 1)._data.reshape(i.shape))
    if input._rg and mode.grad:
        node = Take(input)
        node.index, node.shape = i, input._data.shape
        node.attach(result)
    return into(out, result, "take", input, index)


def put(input, index, source, accumulate=False):
    """A copy of the input with the elements of ``source`` at positions of the flattened tensor, or added there.

    Args:
        input: tensor of any dtype, taken as flat.
        index: int64 tensor; negative positions count from the end.
        source: tensor of the input's dtype with as many elements.
        accumulate: add to what stands there.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``source`` is not a tensor.
        IndexError: a position is out of range, or the numbers of elements differ.
        RuntimeError: the dtypes do not fit.
    """
    check_tensors("put", input=input, index=index, source=source)
    i = _flat_index("put_", input, index).reshape(-1)
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{input.dtype.torch_name} and source.dtype = {source.dtype.torch_name}"
        )
    if source._data.size != i.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._data.size}, index.numel() = {i.size}"
        )
    x, s = reshape(input, (-1,)), reshape(source, (-1,))
    if not i.size:
        return clone(input) + s.sum() if recording(source) else clone(input)
    out = _index_add(x, 0, i, s, 1) if accumulate else index_copy(x, 0, wrap(i), s)
    return reshape(out, input._data.shape)


def _put_within(self, index, source, accumulate=False):
    """The short way of put."""
    if isinstance(source, Tensor) and placed_within(
        self, None, index, source, ROWS | NEGATIVE | (SUM if accumulate else SET)
    ):
        return True
    d = open_run(self)
    if d is None or not isinstance(index, Tensor) or not isinstance(source, Tensor):
        return False
    i, s = index._data, source._data
    if i.dtype is not I64 or s.dtype is not d.dtype or s.size != i.size or not i.size:
        return False
    if np.may_share_memory(d, s) or (source._rg and mode.grad) or (accumulate and d.dtype not in dtypes.COMPUTE):
        return False
    i, s, y = _flat_index("put_", self, index).reshape(-1), dense(source).reshape(1, -1, 1), d.reshape(1, -1, 1)
    if accumulate:
        kernels.take_backward(s, i, y)
    else:
        put_rows(as_bits(s), i, as_bits(y))
    self._bump()
    return True


WITHIN[put] = _put_within
