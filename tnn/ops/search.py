"""Finding and counting: nonzero, masks, unique, bincount, one_hot, searchsorted."""

import math

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import indexing as indexing_kernels
from ..kernels import search as kernels
from ..kernels import sort as sort_kernels
from ..kernels._copy import contiguous_copy
from ..kernels._jit import CHUNK
from ..kernels._mask import found, masked, selected
from ..kernels._pool import empty, zeros
from ..tensor import Tensor, wrap
from ._common import HALF, WITHIN, check_tensor, check_tensors, dense, into, recording, wrap_dim
from ._elementwise import is_number
from ._within import open_run
from .indexing import put_rows, put_zeros, take_rows, wrapped
from .rearrange import as_bits
from .shape import broadcast_tensors, reshape

_I64 = dtypes.int64.np
# Below this many elements NumPy finds nonzero ones faster.
_FEW = 256


def nonzero(input, *, out=None, as_tuple=False):
    """The indices of the elements that are not zero: N x dimensions, or (``as_tuple``) one vector for each
    dimension.

    Args:
        input: tensor of any shape and dtype.
        out: int64 tensor to write the result to, or None.
        as_tuple: give one vector for each dimension.

    Shape:
        output (number of elements that are not 0, dimensions), int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("nonzero", "input", input, 1)
    d = input._data
    if out is None:
        data = found(d, True if as_tuple else None)
        if data is not None:
            return tuple([wrap(row) for row in data]) if as_tuple else wrap(data)
    if as_tuple:
        return tuple(map(wrap, _indices(np.atleast_1d(d), True)))
    if d.ndim == 0:
        return into(out, wrap(np.empty((int(bool(d)), 0), _I64)), "nonzero")
    return into(out, wrap(_indices(d, False)), "nonzero")


def _indices(d, by_dimension):
    """The indices of an ndarray's elements that are not zero: (dimensions, number), or (number, dimensions)."""
    if d.size < _FEW:
        return np.stack(d.nonzero(), 0 if by_dimension else 1)
    mask = np.ascontiguousarray(d if d.dtype == bool else d != 0).reshape(-1).view(np.uint8)
    ends = np.empty(-(-mask.size // CHUNK), _I64)
    kernels.nonzero_ends(mask, ends)
    n, count = int(ends[-1]), d.ndim
    found = empty((count, n) if by_dimension else (n, count), _I64)
    steps = (1, n) if by_dimension else (count, 1)
    kernels.nonzero_indices(mask, np.array(d.shape, _I64), ends, found.reshape(-1), *steps)
    return found


def argwhere(input):
    """The indices of the elements that are not zero: N x dimensions.

    Args:
        input: tensor of any shape and dtype.

    Shape:
        output (number of elements that are not 0, dimensions), int64.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    return nonzero(input)


def nonzero_static(input, *, size, fill_value=-1, out=None):
    """The indices of the first ``size`` elements that are not zero; missing rows hold ``fill_value``.

    Args:
        input: tensor of any shape and dtype.
        size: number of rows, not negative.
        fill_value: a number.
        out: int64 tensor to write the result to, or None.

    Shape:
        output (size, dimensions), int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``size`` is negative, or ``out`` cannot hold the result.
    """
    check_tensor("nonzero_static", "input", input, 1)
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, got {size}")
    found = nonzero(input)._data[:size]
    data = np.full((size, found.shape[1]), fill_value, _I64)
    data[: len(found)] = found
    return into(out, wrap(data), "nonzero_static")


class MaskedSelect(Node):
    __slots__ = ("index", "shape")

    def backward(self, grad):
        flat = put_zeros(grad, self.index, 0, 1, (int(np.prod(self.shape, dtype=_I64)),))
        return reshape(flat, self.shape)


def masked_select(input, mask, *, out=None):
    """The elements where a bool mask is True, as a vector; input and mask are broadcast.

    Args:
        input: tensor of any dtype.
        mask: bool tensor.
        out: tensor to write the result to, or None.

    Shape:
        output (number of True in the broadcast mask,).

    Raises:
        TypeError: ``input`` or ``mask`` is not a tensor.
        RuntimeError: the mask is not of dtype bool, or the shapes do not fit, or ``out`` cannot hold the result.
    """
    if out is None and isinstance(input, Tensor) and isinstance(mask, Tensor) and not (mode.grad and input._rg):
        data = selected(input._data, mask._data)
        if data is not None:
            return wrap(data)
    check_tensor("masked_select", "input", input, 1)
    check_tensor("masked_select", "mask", mask, 2)
    if mask._data.dtype != bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    x, m = broadcast_tensors(input, mask)
    index = np.flatnonzero(m._data)
    result = take_rows(reshape(x.detach(), (-1,)), index, 0, 1)
    if x._rg and mode.grad:
        node = MaskedSelect(x)
        node.index, node.shape = index, x._data.shape
        node.attach(result)
    return into(out, result, "masked_select", input, mask)


class MaskedScatter(Node):
    __slots__ = ("index", "mask", "source")

    def backward(self, grad):
        gx = grad.masked_fill(wrap(self.mask), 0) if self.needs(0) else None
        gs = None
        if self.needs(1):
            taken = take_rows(reshape(grad, (-1,)), self.index, 0, 1)
            count = int(np.prod(self.source, dtype=_I64))
            gs = reshape(put_zeros(taken, np.arange(self.index.size), 0, 1, (count,)), self.source)
        return gx, gs


def masked_scatter(input, mask, source):
    """A copy of the input in which the places where the mask is True hold the first elements of ``source``, in order.

    Args:
        input: tensor of any dtype.
        mask: bool tensor; input and mask are broadcast.
        source: tensor of the input's dtype with at least as many elements as the mask has True.

    Shape:
        that to which ``input`` and ``mask`` broadcast.

    Raises:
        TypeError: ``input``, ``mask`` or ``source`` is not a tensor.
        RuntimeError: the mask is not bool, the dtypes differ, or ``source`` has too few elements.
    """
    check_tensors("masked_scatter", input=input, mask=mask, source=source)
    if not recording(input, source):
        data = masked(input._data, mask._data, source._data)
        if data is not None:
            return wrap(data)
    if mask._data.dtype != bool:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype.torch_name}"
        )
    if source._data.dtype != input._data.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{input.dtype.torch_name} and {source.dtype.torch_name}"
        )
    x, m = broadcast_tensors(input, mask)
    index = np.flatnonzero(m._data)
    if source._data.size < index.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    data = contiguous_copy(x._data)
    _put_first(data, index, source)
    out = wrap(data)
    if mode.grad and (x._rg or source._rg):
        node = MaskedScatter(x, source)
        node.index, node.mask, node.source = index, np.array(m._data), source._data.shape
        node.attach(out)
    return out


def _put_first(data, index, source):
    """Writes the first elements of a tensor into a contiguous ndarray at flat positions."""
    if index.size:
        first = np.ascontiguousarray(source._data.reshape(-1)[: index.size]).reshape(1, -1, 1)
        put_rows(as_bits(first), index, as_bits(data).reshape(1, -1, 1))


def _masked_scatter_within(self, mask, source):
    """The short way of masked_scatter."""
    d = open_run(self)
    if d is None or not isinstance(mask, Tensor) or not isinstance(source, Tensor):
        return False
    m, s = mask._data, source._data
    if not (source._rg and mode.grad) and masked(d, m, s, None) is not None:
        self._bump()
        return True
    if m.dtype != bool or m.shape != d.shape or s.dtype is not d.dtype or (source._rg and mode.grad):
        return False
    if np.may_share_memory(d, s):
        return False
    index = np.flatnonzero(m)
    if s.size < index.size:
        return False
    _put_first(d, index, source)
    self._bump()
    return True


WITHIN[masked_scatter] = _masked_scatter_within


# -- counting


# Below this many elements NumPy counts as fast.
_FEW = 4096


def bincount(input, weights=None, minlength=0):
    """How often each value from 0 on occurs in a vector of integers, or the sum of its weights.

    Args:
        input: integers that are not negative.
        weights: a vector of the same length.
        minlength: the least number of bins.

    Shape:
        output (max(largest value + 1, minlength),): int64, or the weights' dtype.

    Raises:
        RuntimeError: a value is negative, or the shapes do not fit.
    """
    check_tensor("bincount", "input", input, 1)
    d = input._data
    if d.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{input.dtype.torch_name}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    low, high = (0, -1) if d.ndim != 1 or not d.size else _extent(d)
    if d.ndim != 1 or low < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(_counted(d, 0, max(high + 1, minlength)))
    check_tensor("bincount", "weights", weights, 2)
    w = weights._data
    if w.shape != d.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    w = dense(weights) if w.dtype in dtypes.COMPUTE else w.astype(np.float64)
    data = zeros((1, max(high + 1, minlength), 1), w.dtype)
    if d.size:
        indexing_kernels.take_backward(w.reshape(1, -1, 1), np.ascontiguousarray(d, _I64), data)
    return wrap(data.reshape(-1))


def _extent(d):
    """The least and the greatest of a vector of integers, as Python's."""
    if d.dtype != _I64 or d.size < _FEW:
        return int(d.min()), int(d.max())
    return kernels.extent(np.ascontiguousarray(d))


def _counted(d, low, size):
    """How often each of ``size`` numbers from ``low`` on occurs in a vector of integers, none of which lies outside."""
    if d.size < _FEW:
        d = d if low == 0 else d.astype(_I64) - low
        return np.bincount(d, minlength=size) if d.size else zeros((size,), _I64)
    out = empty((size,), _I64)
    parts = min(8, d.size // (4 * CHUNK)) if 64 * size <= d.size else 0
    scratch = empty((parts, 4 if parts else 0, size if parts else 0), _I64)
    kernels.count_values(np.ascontiguousarray(d, _I64), low, scratch, out)
    return out


def one_hot(tensor, num_classes=-1):
    """A new last dimension in which a 1 stands at each element's value.

    Args:
        tensor: int64 class numbers.
        num_classes: the size of the new dimension; -1: one more than the largest value.

    Shape:
        (*) gives (*, num_classes), int64.

    Raises:
        TypeError: ``tensor`` is not a tensor.
        RuntimeError: the dtype is not int64, or a value lies outside the classes.
    """
    check_tensor("one_hot", "tensor", tensor, 1)
    d = tensor._data
    if d.dtype != _I64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not d.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(empty((*d.shape, num_classes), _I64))
    if d.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(d.max()) + 1
    elif d.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    data = zeros((d.size, num_classes), _I64)
    data[np.arange(d.size), d.reshape(-1)] = 1
    return wrap(data.reshape(*d.shape, num_classes))


# -- unique


def _comparable(d):
    """An ndarray of a type that NumPy sorts: bfloat16 as float32."""
    return d.astype(np.float32) if d.dtype in HALF else d


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements in ascending order, or (``dim``) the different slices.

    Args:
        input: any tensor.
        sorted: accepted; the result is always sorted.
        return_inverse: also give the position in the result of each element.
        return_counts: also give how often each occurs.
        dim: compare slices along this dimension instead of elements.

    Returns:
        A tensor, or a tuple of it and what else was asked for.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    check_tensor("unique", "input", input, 1)
    d = _comparable(input._data)
    if dim is not None:
        dim = wrap_dim(dim, d.ndim)
    else:
        d = d.reshape(-1)
    found = _unique_of_few(d, return_inverse) if dim is None and d.dtype.kind in "iu" and d.size else None
    if found is not None:
        values, inverse, counts = found
    else:
        # only what is asked for: the inverse makes NumPy sort positions instead of numbers
        found = np.unique(d, False, return_inverse, return_counts, dim, equal_nan=False)
        found = list(found) if isinstance(found, tuple) else [found]
        values, inverse, counts = found[0], found[1] if return_inverse else None, found[-1]
    if return_inverse:
        inverse = inverse.reshape(input._data.shape if dim is None else -1)
    return _unique_result(input, values, inverse, counts, return_inverse, return_counts)


def _unique_of_few(d, inverse):
    """The different integers of a vector, their positions in it and how often each occurs, by counting them: 2^20 of
    100 numbers take 2 ms, sorted 60. None where they lie too far apart."""
    low, high = _extent(d)
    if high - low > 2 * d.size:
        return None
    every = _counted(d, low, high - low + 1)
    there = np.flatnonzero(every)
    places = None
    if inverse:
        table = np.empty(every.size, _I64)
        table[there] = np.arange(there.size)
        places = table[d.astype(_I64) - low]
    return (there + low).astype(d.dtype), places, every[there]


def _unique_result(input, values, inverse, counts, return_inverse, return_counts):
    out = [wrap(np.ascontiguousarray(values.astype(input._data.dtype)).reshape(values.shape))]
    if return_inverse:
        out.append(wrap(np.ascontiguousarray(inverse, _I64).reshape(inverse.shape)))
    if return_counts:
        out.append(wrap(np.ascontiguousarray(counts, _I64)))
    return out[0] if len(out) == 1 else tuple(out)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (or slices along ``dim``) without those that equal the one before.

    Args:
        input: tensor of any dtype.
        return_inverse: also give the position in the result of each element.
        return_counts: also give how many each stands for.
        dim: compare slices along this dimension instead of elements.

    Returns:
        A tensor, or a tuple of it, the position in it of each element and how many each stands for, as asked for.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    check_tensor("unique_consecutive", "input", input, 1)
    d = input._data
    if dim is None:
        rows = d.reshape(-1, 1)
    else:
        dim = wrap_dim(dim, d.ndim)
        rows = np.moveaxis(d, dim, 0).reshape(d.shape[dim], -1) if d.size else np.empty((d.shape[dim], 0))
    n = rows.shape[0]
    new = np.ones(n, bool)
    if n > 1:
        if dim is None:
            np.not_equal(d.reshape(-1)[1:], d.reshape(-1)[:-1], out=new[1:])
        else:
            new[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(new) if dim is not None or return_counts else new
    inverse = np.cumsum(new) - 1 if return_inverse else starts
    counts = np.diff(starts, append=n) if return_counts else starts
    values = masked_select(wrap(d), wrap(new.reshape(d.shape)))._data if dim is None else d.take(starts, dim)
    return _unique_result(
        input, values, inverse.reshape(d.shape) if dim is None and return_inverse else inverse, counts,
        return_inverse, return_counts,
    )


# -- sorted boundaries


def _check_sorted(name, boundaries, values, right, side, sorter):
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(f"{name}(): side and right can't be set to opposites, got side of left while right was True")
    b = boundaries._data
    if sorter is not None:
        check_tensor(name, "sorter", sorter)
        if sorter._data.shape != b.shape:
            raise RuntimeError(
                f"{name}(): boundary and sorter must have the same size, but got boundary tensor {list(b.shape)} and "
                "got "
                f"sorter tensor {list(sorter._data.shape)}"
            )
        if sorter._data.dtype != _I64:
            raise RuntimeError(f"{name}(): sorter must be a tensor of long dtype but got dtype {sorter.dtype}")
        s = sorter._data
        if s.size and (s.min() < 0 or s.max() >= b.shape[-1]):
            raise RuntimeError(f"{name}(): sorter index out of range")
    if b.ndim == 0:
        raise RuntimeError(f"{name}(): boundaries tensor should have positive dimension, but got 0 dimension")
    v = values._data
    if b.ndim != 1 and (v.ndim != b.ndim or v.shape[:-1] != b.shape[:-1]):
        raise RuntimeError(
            f"{name}(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            "input "
            f"value tensor must match, but we got boundaries tensor {list(b.shape)} and input value tensor "
            f"{list(v.shape)}"
        )


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, out=None, sorter=None):
    """Where numbers would have to be inserted to keep the last dimension sorted: ``s[i-1] < v <= s[i]``, or with
    ``right``: ``s[i-1] <= v < s[i]``.

    Args:
        sorted_sequence: one sequence, or as many as ``input`` has rows.
        input: a tensor or a number.
        out_int32: give int32 instead of int64.
        right, side: which of equal elements' sides: ``side="right"`` is ``right=True``.
        out: tensor to write the result to, or None.
        sorter: the order that sorts the sequence, int64.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``sorted_sequence`` is not a tensor, or ``input`` neither that nor a number.
        RuntimeError: the shapes do not fit, ``side`` and ``right`` contradict each other, or ``sorter`` holds an index
            out of range, or ``out`` cannot hold the result.
    """
    check_tensor("searchsorted", "sorted_sequence", sorted_sequence, 1)
    if not isinstance(input, Tensor):
        if not is_number(input):
            raise TypeError(f"searchsorted(): argument 'input' must be Tensor or Number, not {type(input).__name__}")
        input = wrap(np.asarray(input, sorted_sequence._data.dtype if sorted_sequence.dtype.kind == 2 else None))
        if sorted_sequence._data.ndim != 1:
            raise RuntimeError(
                "searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
                f"boundaries tensor dim({sorted_sequence._data.ndim})"
            )
    dtypes.refuse_float8("searchsorted_out_cpu", sorted_sequence._data.dtype)
    _check_sorted("searchsorted", sorted_sequence, input, right, side, sorter)
    right = right or side == "right"
    b, v = sorted_sequence._data, input._data
    if b.dtype == v.dtype == np.float32:
        kind = np.float32
    elif b.dtype.kind in "iub" and v.dtype.kind in "iub":
        kind = np.int64
    else:
        kind = np.float64
    if sorter is not None:
        b = np.take_along_axis(b, sorter._data, -1)
    b = np.ascontiguousarray(b, kind).reshape(math.prod(b.shape[:-1]), b.shape[-1])
    n = v.shape[-1] if v.ndim and b.shape[0] > 1 else v.size
    rows = np.ascontiguousarray(v, kind).reshape(b.shape[0], n) if v.size else np.empty((b.shape[0], 0), kind)
    data = empty(v.shape, _I64)
    if v.size:
        sort_kernels.search_rows(b, rows, data.reshape(rows.shape), right)
    if out_int32:
        return into(out, wrap(data.astype(np.int32)), "searchsorted.int32")
    return into(out, wrap(data), "searchsorted")


def bucketize(input, boundaries, *, out_int32=False, right=False, out=None):
    """The number of the bucket between ``boundaries`` (a sorted vector) that each value falls in.

    Args:
        input: a tensor or a number.
        boundaries: vector in rising order.
        out_int32: give int32 instead of int64.
        right: which bucket a boundary itself falls in: the one above it.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``boundaries`` is not a tensor, or ``input`` neither that nor a number.
        RuntimeError: ``boundaries`` is no vector, or ``out`` cannot hold the result.
    """
    check_tensor("bucketize", "boundaries", boundaries, 1)
    if boundaries._data.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._data.ndim})")
    result = searchsorted(boundaries, input, out_int32=out_int32, right=right)
    return into(out, result, "bucketize.int32" if out_int32 else "bucketize")


def isin(elements, test_elements, *, assume_unique=False, invert=False, out=None):
    """Whether each element is among ``test_elements``; either may be a number.

    Args:
        elements: a tensor or a number.
        test_elements: a tensor or a number.
        assume_unique: accepted; it could only save time.
        invert: whether each is not among them.
        out: bool tensor to write the result to, or None.

    Shape:
        that of ``elements``; the result is of bool dtype.

    Raises:
        TypeError: an argument is neither a tensor nor a number.
        RuntimeError: ``out`` is not of bool dtype.
    """
    for argument, value in (("elements", elements), ("test_elements", test_elements)):
        if not isinstance(value, Tensor) and not is_number(value):
            raise TypeError(f"isin(): argument '{argument}' must be Tensor or Number, not {type(value).__name__}")
    given = [e._data if isinstance(e, Tensor) else np.asarray(e) for e in (elements, test_elements)]
    a, b = (_comparable(d) for d in given)
    return into(out, wrap(np.asarray(np.isin(a, b, invert=invert))), "isin")


def unravel_index(indices, shape):
    """The index in each dimension of positions in a flattened tensor of ``shape``.

    Args:
        indices: integer tensor of any shape.
        shape: the sizes, a tuple or a number.

    Shape:
        a tuple of int64 tensors of the shape of ``indices``.

    Raises:
        ValueError: a position is out of range, or a size is negative.
        TypeError: the indices are no integer tensor.
    """
    check_tensor("unravel_index", "indices", indices, 1)
    if indices._data.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be of an integer dtype, but got {indices.dtype}")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if min(shape, default=0) < 0:
        raise ValueError(f"'shape' cannot have negative values, but got {shape}")
    size = int(np.prod(shape, dtype=_I64))
    message = f"index {{}} is out of range for a tensor of shape {shape}"
    i = wrapped(indices._data, size, lambda v: ValueError(message.format(v)))
    return tuple(wrap(np.ascontiguousarray(a, _I64).reshape(i.shape)) for a in np.unravel_index(i, shape))
