"""Joining tensors and taking them apart: cat, stack, split, unbind, and what is made of them."""

from math import prod
from operator import index as as_int

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import shape as kernels
from ..kernels._copy import BITS, assign
from ..kernels._join import joined
from ..kernels._pool import empty, zeros
from ..tensor import Tensor, view_of, wrap
from ._common import check_tensor, into, numpy_names, wrap_dim
from .cast import convert
from .part import narrow
from .shape import expand, reshape, unsqueeze

# -- joining


class Cat(Node):
    __slots__ = ("dim", "dtypes", "sizes")

    def backward(self, grad):
        grads, start = [], 0
        for i, (n, dtype) in enumerate(zip(self.sizes, self.dtypes, strict=True)):
            g = None
            if self.needs(i):
                g = narrow(grad, self.dim, start, n) if n is not None else wrap(zeros((0,), dtype.np))
                if g._data.dtype != dtype.np:
                    g = g.to(dtype)
            start += n or 0
            grads.append(g)
        return tuple(grads)


def _as_list(function, tensors, empty_error):
    if isinstance(tensors, Tensor) or not isinstance(tensors, tuple | list):
        raise TypeError(
            f"{function}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    tensors = list(tensors)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    if not tensors:
        raise empty_error
    return tensors


def _common_dtype(tensors):
    first = tensors[0]._data.dtype
    if all(t._data.dtype == first for t in tensors):
        return first
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = dtypes.promote_types(dtype, t.dtype)
    return dtype.np


def _check_cat(arrays, dim):
    """Raises RuntimeError unless all shapes agree but for ``dim``; arrays of shape (0,) fit to everything."""
    first = None
    for i, d in enumerate(arrays):
        if d.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
        if d.shape == (0,):
            continue
        if first is None:
            first = d
        if d.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {d.ndim}")
        for axis, (a, b) in enumerate(zip(first.shape, d.shape, strict=True)):
            if a != b and axis != dim:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but got size {b} for "
                    "tensor "
                    f"number {i} in the list."
                )


def cat(tensors, dim=0, *, out=None, axis=None):
    """Joins tensors along an existing dimension. Dtypes are promoted; tensors of shape (0,) are left out.

    Args:
        tensors: a list or tuple of tensors whose shapes agree but for ``dim``.
        dim: the dimension.
        out: tensor to write the result to, or None.
        axis: another name of ``dim``.

    Shape:
        the tensors', with the sum of their sizes along ``dim``.

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        ValueError: the list is empty.
        IndexError: there is no such dimension.
        RuntimeError: the shapes do not fit.

    >>> import tnn
    >>> tnn.cat([tnn.zeros(1, 2), tnn.ones(2, 2)])
    tensor([[0., 0.],
            [1., 1.],
            [1., 1.]])
    """
    if axis is not None:  # NumPy's name
        dim = axis
    data = _cat_alike(tensors, dim)
    if data is not None:
        result = wrap(data)
        if mode.grad and any([t._rg for t in tensors]):
            if out is None:
                node = Cat(*tensors)
                node.dim = dim = dim + data.ndim if dim < 0 else dim
                node.dtypes = (tensors[0].dtype,) * len(tensors)
                node.sizes = [t._data.shape[dim] for t in tensors]
                node.attach(result)
            else:
                result._rg = True
        return result if out is None else into(out, result, "cat", *tensors)
    tensors = _as_list("cat", tensors, ValueError("cat(): expected a non-empty list of Tensors"))
    arrays = [t._data for t in tensors]
    ndim = max((d.ndim for d in arrays if d.shape != (0,)), default=1)
    dim = wrap_dim(dim, ndim)
    _check_cat(arrays, dim)
    dtype = _common_dtype(tensors)
    kept = [d for d in arrays if d.ndim == ndim and (d.shape != (0,) or ndim == 1)]
    shape = list(kept[0].shape)
    shape[dim] = sum(d.shape[dim] for d in kept)
    data = empty(tuple(shape), dtype)
    np.concatenate([d if d.dtype == dtype else convert(d, dtype) for d in kept], dim, out=data)
    result = wrap(data)
    if mode.grad and any(t._rg for t in tensors) and out is None:
        node = Cat(*tensors)
        node.dim, node.dtypes = dim, [t.dtype for t in tensors]
        node.sizes = [d.shape[dim] if d.ndim == ndim else None for d in arrays]
        node.attach(result)
    elif out is not None:
        result._rg = any(t._rg for t in tensors) and mode.grad
    return into(out, result, "cat", *tensors)


def join(arrays, out, dim=0):
    """Writes arrays of one dtype and number of dimensions to ``out``, one after the other along ``dim``; returns it."""
    return np.concatenate(arrays, dim, out=out) if out.size < _PARALLEL else _place_all(arrays, dim, out)


def _cat_alike(tensors, dim):
    """The joined array for tensors that agree in dtype and number of dimensions; None where there is more to see to."""
    if not isinstance(tensors, tuple | list):
        return None
    try:
        arrays = [t._data for t in tensors]
        data = joined(arrays, dim, False)
        if data is not None:
            return data
        first = arrays[0]
        shape, dtype, total = first.shape, first.dtype, 0
        for d in arrays:
            if d.dtype is not dtype or d.ndim != len(shape):
                return None
            total += d.shape[dim]
        dim = dim + len(shape) if dim < 0 else dim
        data = empty((*shape[:dim], total, *shape[dim + 1 :]), dtype)
        return join(arrays, data, dim)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


# From this many elements on, threads copy faster than NumPy.
_PARALLEL = 65536
# Elements of a row from which on a loop over rows of contiguous arrays is faster: `assign` asks for addresses first.
_WIDE = 64


def _place_all(arrays, dim, data):
    """Writes the arrays side by side along a dimension; raises ValueError where another dimension differs."""
    rows, start, before = prod(data.shape[:dim]), 0, (slice(None),) * dim
    bits, inner = BITS.get(data.itemsize), prod(data.shape[dim + 1 :])
    for d in arrays:
        if d.shape[:dim] != data.shape[:dim] or d.shape[dim + 1 :] != data.shape[dim + 1 :]:
            raise ValueError
        end = start + d.shape[dim]
        if bits and d.flags.c_contiguous and d.shape[dim] * inner >= _WIDE:
            kernels.place(d.view(bits).reshape(rows, -1), data.view(bits).reshape(rows, -1), start * inner)
        else:
            assign(data[(*before, slice(start, end))], d)
        start = end
    return data


concat = concatenate = cat


class Stack(Node):
    __slots__ = ("dim", "dtypes")

    def backward(self, grad):
        return tuple(
            (g if g._data.dtype == t.np else g.to(t)) if self.needs(i) else None
            for i, (g, t) in enumerate(zip(unbind(grad, self.dim), self.dtypes, strict=True))
        )


def stack(tensors, dim=0, *, out=None, axis=None):
    """Joins tensors of one shape along a new dimension.

    Args:
        tensors: a list or tuple of tensors of one shape; their dtypes are promoted.
        dim: the place of the new dimension.
        out: tensor to write the result to, or None.
        axis: another name of ``dim``.

    Shape:
        the tensors', with their number inserted at ``dim``.

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        IndexError: there is no such dimension.
        RuntimeError: the list is empty, or the shapes differ.
    """
    if axis is not None:  # NumPy's name
        dim = axis
    data = None
    if isinstance(tensors, tuple | list):
        try:
            data = joined([t._data for t in tensors], dim, True)
        except AttributeError:
            pass
    if data is None:
        tensors = _as_list("stack", tensors, RuntimeError("stack expects a non-empty TensorList"))
        data = _stacked(tensors, dim)
    result = wrap(data)
    if mode.grad and any([t._rg for t in tensors]):
        node = Stack(*tensors)
        node.dim = dim + data.ndim if dim < 0 else dim
        node.dtypes = [t.dtype for t in tensors]
        node.attach(result)
    return result if out is None else into(out, result, "stack")


def _stacked(tensors, dim):
    """The stacked array, whatever the dtypes and strides; raises where the shapes or the dimension do not fit."""
    shape = tensors[0]._data.shape
    dim = wrap_dim(dim, len(shape) + 1)
    for i, t in enumerate(tensors):
        if t._data.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t._data.shape)} at "
                f"entry {i}"
            )
    dtype = _common_dtype(tensors)
    data = empty((*shape[:dim], len(tensors), *shape[dim:]), dtype)
    arrays = [t._data if t._data.dtype == dtype else convert(t._data, dtype) for t in tensors]
    if data.size < _PARALLEL:
        lead = (slice(None),) * dim
        for i, d in enumerate(arrays):
            data[(*lead, i, ...)] = d
    else:
        _place_all([d[(slice(None),) * dim + (None,)] for d in arrays], dim, data)
    return data


def hstack(tensors, *, out=None):
    """Joins along the second dimension; along the first for tensors of one dimension.

    Args:
        tensors: a list or tuple of tensors whose shapes agree but for that dimension; their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        (d_0, ..., d_n) each, to (d_0, the sum of the d_1, ..., d_n).

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        RuntimeError: the list is empty, or the shapes do not fit.
    """
    tensors = atleast_1d(_as_list("hstack", tensors, RuntimeError("hstack expects a non-empty TensorList")))
    return cat(tensors, 0 if tensors[0]._data.ndim == 1 else 1, out=out)


def vstack(tensors, *, out=None):
    """Joins along the first dimension, with at least two dimensions.

    Args:
        tensors: a list or tuple of tensors whose shapes agree but for that dimension; their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        (d_0, ..., d_n) each, to (the sum of the d_0, ..., d_n); vectors are rows.

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        RuntimeError: the list is empty, or the shapes do not fit.
    """
    return cat(
        atleast_2d(_as_list("vstack", tensors, RuntimeError("vstack expects a non-empty TensorList"))), 0, out=out
    )


row_stack = vstack


def dstack(tensors, *, out=None):
    """Joins along the third dimension, with at least three dimensions.

    Args:
        tensors: a list or tuple of tensors whose shapes agree but for that dimension; their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        (d_0, d_1, d_2, ...) each, to (d_0, d_1, the sum of the d_2, ...); vectors are (1, n, 1), matrices (m, n, 1).

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        RuntimeError: the list is empty, or the shapes do not fit.
    """
    return cat(
        atleast_3d(_as_list("dstack", tensors, RuntimeError("dstack expects a non-empty TensorList"))), 2, out=out
    )


def column_stack(tensors, *, out=None):
    """Joins along the second dimension; tensors of fewer than two dimensions are taken as columns.

    Args:
        tensors: a list or tuple of tensors with as many rows; their dtypes are promoted.
        out: tensor to write the result to, or None.

    Shape:
        (m, n_i) each, or (m,), to (m, the sum of the n_i).

    Raises:
        TypeError: ``tensors`` is not a list or tuple of tensors, or ``out`` cannot hold the result.
        RuntimeError: the list is empty, or the shapes do not fit.
    """
    tensors = _as_list("column_stack", tensors, RuntimeError("column_stack expects a non-empty TensorList"))
    return cat([reshape(t, (t._data.size, 1)) if t._data.ndim < 2 else t for t in tensors], 1, out=out)


class BlockDiag(Node):
    __slots__ = ("blocks",)

    def backward(self, grad):
        grads, row, column = [], 0, 0
        for i, (shape, dtype) in enumerate(self.blocks):
            rows, columns = (1, 1, *shape)[-2:] if len(shape) < 2 else shape
            block = narrow(narrow(grad, 0, row, rows), 1, column, columns)
            grads.append(reshape(block, shape).to(dtype) if self.needs(i) else None)
            row, column = row + rows, column + columns
        return tuple(grads)


def block_diag(*tensors):
    """A matrix with the given matrices along its diagonal and zeros elsewhere; vectors are rows, numbers 1 x 1.

    Args:
        tensors: tensors of at most two dimensions, one by one; their dtypes are promoted.

    Shape:
        (m_i, n_i) each, to (the sum of the m_i, the sum of the n_i).

    Raises:
        TypeError: one is not a tensor.
        RuntimeError: a tensor has more than two dimensions.
    """
    tensors = list(tensors)
    for i, t in enumerate(tensors):
        check_tensor("block_diag", "tensors", t, i + 1)
        if t._data.ndim > 2:
            raise RuntimeError(
                f"block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {t._data.ndim} dimensions"
            )
    if not tensors:
        return wrap(zeros((1, 0), dtypes.get_default_dtype().np))
    dtype = _common_dtype(tensors)
    blocks = [np.atleast_2d(t._data) for t in tensors]
    data = zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)), dtype)
    row = column = 0
    for b in blocks:
        data[row : row + b.shape[0], column : column + b.shape[1]] = b if b.dtype == dtype else convert(b, dtype)
        row, column = row + b.shape[0], column + b.shape[1]
    out = wrap(data)
    if mode.grad and any(t._rg for t in tensors):
        node = BlockDiag(*tensors)
        node.blocks = [(t._data.shape, t.dtype) for t in tensors]
        node.attach(out)
    return out


def meshgrid(*tensors, indexing=None):
    """Coordinate grids of vectors: tensor i varies along dimension i (``"ij"``; with ``"xy"`` the first two exchanged).

    Args:
        tensors: tensors of one dtype and at most one dimension, one by one or as one tuple.
        indexing: ``"ij"`` (also for None) or ``"xy"``.

    Returns:
        a tuple of views of shape (n_0, ..., n_k), or (n_1, n_0, ..., n_k) with ``"xy"``.

    Raises:
        TypeError: one is not a tensor.
        RuntimeError: there is none, a tensor has more than one dimension, the dtypes differ, or ``indexing`` is
            unknown.
    """
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tensors[0]
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for i, t in enumerate(tensors):
        check_tensor("meshgrid", "tensors", t, i + 1)
        if t._data.ndim > 1:
            raise RuntimeError(
                f"meshgrid: Expected 0D or 1D tensor in the tensor list but got shape {list(t._data.shape)}"
            )
        if t._data.dtype != tensors[0]._data.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    indexing = "ij" if indexing is None else indexing
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape, n = tuple(t._data.size for t in tensors), len(tensors)
    grids = [expand(reshape(t, (1,) * i + (-1,) + (1,) * (n - i - 1)), shape) for i, t in enumerate(tensors)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors):
    """All combinations of elements of several vectors, one in each row.

    Args:
        tensors: vectors of one dtype, one by one.

    Shape:
        (n_i,) each, to (the product of the n_i, the number of vectors); one vector as it is.

    Raises:
        TypeError: one is not a tensor.
        RuntimeError: one is not a vector, or the dtypes differ.
    """
    for i, t in enumerate(tensors):
        check_tensor("cartesian_prod", "tensors", t, i + 1)
        if t._data.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t._data.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(g, (-1,)) for g in meshgrid(*tensors)], 1)


# -- taking apart


class _Parts(Node):
    """Views that a tensor was cut into along one dimension."""

    __slots__ = ("dim",)


class Split(_Parts):
    __slots__ = ()

    def backward(self, *grads):
        return cat(grads, self.dim)


class SplitWithSizes(Split):
    __slots__ = ()


class Unbind(_Parts):
    __slots__ = ()

    def backward(self, *grads):
        return stack(grads, self.dim) if len(grads) > 1 else unsqueeze(grads[0], self.dim)


def _views(input, arrays, node_type, dim):
    outs = tuple([view_of(input, d) for d in arrays])
    if input._rg and mode.grad and outs:
        node = node_type(input)
        node.dim = dim
        node.attach_all(outs)
    return outs


@numpy_names
def unbind(input, dim=0):
    """The slices along a dimension, as a tuple of views without it.

    Args:
        input: tensor of any dtype with at least one dimension.
        dim: the dimension.

    Returns:
        a tuple of as many tensors as the dimension's size.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the tensor has no dimensions.
    """
    if not isinstance(input, Tensor):
        check_tensor("unbind", "input", input, 1)
    d = input._data
    if d.ndim == 0:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, d.ndim)
    lead = (slice(None),) * dim
    return _views(input, [d[(*lead, i, ...)] for i in range(d.shape[dim])], Unbind, dim)


def _cut(input, dim, sizes, node_type):
    d = input._data
    lead, start, arrays = (slice(None),) * dim, 0, []
    for n in sizes:
        arrays.append(d[(*lead, slice(start, start + n))])
        start += n
    return _views(input, arrays, node_type, dim)


def split(tensor, split_size_or_sections, dim=0):
    """Views of ``split_size`` elements along a dimension (the last may be smaller), or of the sizes in a list.

    Args:
        tensor: tensor of any dtype with at least one dimension.
        split_size_or_sections: the size of each part, or a list of their sizes.
        dim: the dimension.

    Returns:
        a tuple of views.

    Raises:
        TypeError: ``tensor`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the sizes are negative or do not add up to the dimension's, or the tensor has no dimensions.
    """
    check_tensor("split", "tensor", tensor, 1)
    if isinstance(split_size_or_sections, tuple | list):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    shape, size = tensor._data.shape, as_int(split_size_or_sections)
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    if size == 0 and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max(-(-n // size), 1) if size else 1
    return _cut(tensor, dim, [size] * (count - 1) + [n - size * (count - 1)], Split)


def split_with_sizes(input, split_sizes, dim=0):
    """Views of the given sizes along a dimension.

    Args:
        input: tensor of any dtype with at least one dimension.
        split_sizes: a list of sizes.
        dim: the dimension.

    Returns:
        a tuple of views.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the sizes are negative or do not add up to the dimension's, or the tensor has no dimensions.
    """
    check_tensor("split_with_sizes", "input", input, 1)
    shape, sizes = input._data.shape, [as_int(n) for n in split_sizes]
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, len(shape))
    if min(sizes, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
        )
    if sum(sizes) != shape[dim]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[dim]} (input tensor's size at dimension "
            f"{dim}), but "
            f"got split_sizes={sizes}"
        )
    return _cut(input, dim, sizes, SplitWithSizes)


def chunk(input, chunks, dim=0, *, axis=None):
    """At most ``chunks`` views of one size along a dimension; the last may be smaller.

    Args:
        input: tensor of any dtype with at least one dimension.
        chunks: the number of parts, at least 1.
        dim: the dimension.
        axis: another name of ``dim``.

    Returns:
        a tuple of views.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``chunks`` is not positive, or the tensor has no dimensions.
    """
    check_tensor("chunk", "input", input, 1)
    if axis is not None:  # NumPy's name
        dim = axis
    shape = input._data.shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    size = -(-n // chunks)
    if size == 0:
        return split_with_sizes(input, [0] * chunks, dim)
    return split(input, size, dim)


@numpy_names
def tensor_split(input, indices_or_sections=None, dim=0, *, indices=None, sections=None):
    """Views along a dimension: a number of parts (the first ones larger by one where it does not divide), or parts that
    end at the given indices.

    Args:
        input: tensor of any dtype with at least one dimension.
        indices_or_sections: the number of parts, or a sequence of indices, or a tensor of either.
        dim: the dimension.
        indices, sections: the same by name.

    Returns:
        a tuple of views.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the number of sections is not positive, or the tensor has no dimensions.
    """
    check_tensor("tensor_split", "input", input, 1)
    given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    shape = input._data.shape
    if not shape:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = wrap_dim(dim, len(shape))
    n = shape[dim]
    if isinstance(given, Tensor):
        if given._data.ndim > 1 or given._data.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional int64 "
                "tensor, but "
                f"got {given._data.ndim} dims of {given.dtype}"
            )
        given = given._data.tolist()
    if isinstance(given, tuple | list):
        ends = [as_int(i) for i in given]
        cuts = [slice(a, b) for a, b in zip([None, *ends], [*ends, None], strict=True)]
        parts = [range(n)[c] for c in cuts]
        bounds = [(p.start, max(len(p), 0)) for p in parts]
    else:
        sections = as_int(given)
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        size, extra = divmod(n, sections)
        lengths = [size + (i < extra) for i in range(sections)]
        bounds = [(sum(lengths[:i]), length) for i, length in enumerate(lengths)]
    return tuple(narrow(input, dim, min(start, n), length) for start, length in bounds)


def _axis_split(name, ndim, axis):
    def op(input, indices_or_sections=None, *, indices=None, sections=None):
        given = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        check_tensor(name, "input", input, 1)
        shape = input._data.shape
        if len(shape) < ndim:
            raise RuntimeError(
                f"{name} requires a tensor with at least {ndim} dimension, but got a tensor with {len(shape)} "
                "dimensions!"
            )
        dim = 0 if len(shape) == 1 else axis
        if not isinstance(given, tuple | list | Tensor):
            if not hasattr(given, "__index__"):
                got = type(given).__name__
                raise TypeError(f"{name}(): argument 'indices_or_sections' must be int or tuple of ints, not {got}")
            if given <= 0 or shape[dim] % given:
                raise RuntimeError(
                    f"{name} attempted to split along dimension {dim}, but the size of the dimension {shape[dim]} is "
                    "not "
                    f"divisible by the split_size {given}!"
                )
        return tensor_split(input, given, dim)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"""Views along dimension {axis}: as many parts of one size, or parts that end at the given indices.

    Args:
        input: tensor of any dtype with at least {ndim} dimension{"s" if ndim > 1 else ""}.
        indices_or_sections: the number of parts, which divides the size, or a sequence of indices.
        indices, sections: the same by name.

    Returns:
        a tuple of views.

    Raises:
        TypeError: ``input`` is not a tensor, or a number not an integer.
        RuntimeError: the tensor has too few dimensions, or the number of parts does not divide the size.
    """
    return op


hsplit = _axis_split("hsplit", 1, 1)
vsplit = _axis_split("vsplit", 2, 0)
dsplit = _axis_split("dsplit", 3, 2)
unsafe_chunk, unsafe_split, unsafe_split_with_sizes = chunk, split, split_with_sizes


_GROWN = {
    1: "a number becomes (1,)",
    2: "a number becomes (1, 1), a vector (1, n)",
    3: "a number becomes (1, 1, 1), a vector (1, n, 1), a matrix (m, n, 1)",
}


def _atleast(n):
    def grow(x):
        shape = x._data.shape
        if len(shape) >= n:
            return x
        if n == 3 and len(shape) == 2:
            return reshape(x, (*shape, 1))
        return reshape(x, {1: (1,), 2: (1, *(shape or (1,))), 3: (1, *(shape or (1,)), 1)}[n])

    def op(*tensors):
        if len(tensors) == 1:
            if isinstance(tensors[0], Tensor):
                return grow(tensors[0])
            tensors = tensors[0]
        for i, x in enumerate(tensors):
            check_tensor(op.__name__, "tensors", x, i + 1)
        return tuple(grow(x) for x in tensors)

    op.__name__ = op.__qualname__ = f"atleast_{n}d"
    op.__doc__ = f"""Views with at least {n} dimension{"s" if n > 1 else ""}: {_GROWN[n]}.

    Args:
        tensors: one tensor, several, or a tuple of them, of any shapes and dtypes.

    Returns:
        a tensor for one tensor, else a tuple of them.

    Raises:
        TypeError: one is not a tensor.
    """
    return op


atleast_1d, atleast_2d, atleast_3d = _atleast(1), _atleast(2), _atleast(3)
