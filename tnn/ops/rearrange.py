"""Elements in another order or number: flip, roll, repeat, triangles, diagonals into matrices, parts overwritten."""

from math import prod
from operator import index as as_int

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import shape as kernels
from ..kernels._copy import BITS, assign, contiguous_copy, flipped_rows, repeated, rolled
from ..kernels._pool import empty, zeros
from ..tensor import Tensor, wrap
from ._common import WITHIN, check_tensor, check_tensors, dense, into, numpy_names, wrap_dim
from ._within import open_run
from .part import _diagonal, _two_dims, as_strided, diagonal, narrow, select
from .shape import clone, dims_of, reshape, reshaped_gradient, sizes_of, transpose


def as_bits(d):
    """An ndarray's elements as unsigned integers of their size."""
    return d.view(BITS[d.itemsize])


# Below this many elements NumPy's reversed copy is as fast as a kernel.
_SMALL = 1024


# -- order


class Flip(Node):
    __slots__ = ("dims",)

    def backward(self, grad):
        return flip(grad, self.dims)


def flip(input, *args, dims=None):
    """The order of the elements reversed along the given dimensions (a copy).

    Args:
        input: tensor of any dtype.
        args, dims: the dimensions, one by one or as a tuple.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: a dimension appears twice.
        IndexError: there is no such dimension.
    """
    if not isinstance(input, Tensor):
        check_tensor("flip", "input", input, 1)
    d = input._data
    if dims is None and len(args) == 1 and type(args[0]) is int and -d.ndim <= args[0] < d.ndim:
        dims = (args[0] % d.ndim,)
    else:
        dims = dims_of(sizes_of(args, "dims") if dims is None else sizes_of((dims,), "dims"), d.ndim)
    out = wrap(_flipped(d, dims))
    if input._rg and mode.grad:
        node = Flip(input)
        node.dims = dims
        node.attach(out)
    return out


def _flipped(d, dims):
    last = d.ndim - 1
    if dims == (last,) and d.flags.c_contiguous:
        return flipped_rows(d)
    if last not in dims or d.size < _SMALL:
        return contiguous_copy(np.flip(d, dims if d.ndim else ()))
    d = np.flip(d, [i for i in dims if i != last])
    return flipped_rows(d if d.flags.c_contiguous else contiguous_copy(d))


def fliplr(input):
    """Columns in reverse order: ``flip`` along dimension 1.

    Args:
        input: tensor of any dtype with at least two dimensions.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions.
    """
    check_tensor("fliplr", "input", input, 1)
    if input._data.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


def flipud(input):
    """Rows in reverse order: ``flip`` along dimension 0.

    Args:
        input: tensor of any dtype with at least one dimension.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: it has no dimensions.
    """
    check_tensor("flipud", "input", input, 1)
    if input._data.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def rot90(input, k=1, dims=(0, 1)):
    """Rotates by 90 degrees ``k`` times in the plane of two dimensions, from the first towards the second.

    Args:
        input: tensor of any dtype with at least two dimensions.
        k: number of quarter turns; negative ones turn back.
        dims: the two dimensions of the plane.

    Shape:
        that of the input; for odd ``k`` with the two sizes exchanged.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``dims`` are not two different dimensions, or the tensor has fewer than two.
    """
    check_tensor("rot90", "input", input, 1)
    dims, ndim = list(dims), input._data.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    a, b = (wrap_dim(d, ndim) for d in dims)
    k %= 4
    if k == 0:
        return clone(input)
    if k == 2:
        return flip(input, (a, b))
    return clone(transpose(flip(input, b if k == 1 else a), a, b))


class Roll(Node):
    __slots__ = ("dims", "shifts")

    def backward(self, grad):
        return roll(grad, tuple(-s for s in self.shifts), self.dims)


def roll(input, shifts, dims=None):
    """Moves the elements along dimensions by ``shifts``; those that leave at one end come in at the other. Without
    ``dims`` the tensor is rolled as if it were flat.

    Args:
        input: tensor of any dtype.
        shifts: an integer or a tuple of them.
        dims: as many dimensions, or None.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``shifts`` and ``dims`` differ in length.
    """
    if not isinstance(input, Tensor):
        check_tensor("roll", "input", input, 1)
    d = input._data
    if type(shifts) is int and type(dims) is int and -d.ndim <= dims < d.ndim:
        shifts, dims = (shifts,), (dims % d.ndim,)
    else:
        shifts = sizes_of((shifts,), "shifts")
        dims = () if dims is None else sizes_of((dims,), "dims")
        if not dims and len(shifts) == 1:
            return reshape(roll(reshape(input, (-1,)), shifts, 0), d.shape) if d.size else clone(input)
        if not shifts:
            raise RuntimeError("`shifts` required")
        if len(shifts) != len(dims):
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
        if d.ndim == 0:
            raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
        dims = tuple(wrap_dim(i, d.ndim) for i in dims)
    if len(dims) == 1 and d.flags.c_contiguous:
        data = rolled(d, shifts[0], dims[0])
    else:
        data = empty(d.shape, d.dtype)
        if d.size:
            _roll_into(d, data, shifts, dims)
    out = wrap(data)
    if input._rg and mode.grad:
        node = Roll(input)
        node.shifts, node.dims = shifts, dims
        node.attach(out)
    return out


def _roll_into(source, target, shifts, dims):
    """Copies block by block: each dimension falls into two parts that exchange places."""
    total = dict.fromkeys(dims, 0)
    for s, dim in zip(shifts, dims, strict=True):
        total[dim] = (total[dim] + s) % source.shape[dim]
    pairs = [((slice(None),) * source.ndim, (slice(None),) * source.ndim)]
    for dim, s in total.items():
        if not s:
            continue
        n, new = source.shape[dim], []
        for a, b in pairs:
            for take, put in ((slice(0, n - s), slice(s, n)), (slice(n - s, n), slice(0, s))):
                new.append(((*a[:dim], take, *a[dim + 1 :]), (*b[:dim], put, *b[dim + 1 :])))
        pairs = new
    for take, put in pairs:
        assign(target[put], source[take])


# -- repetition


class Repeat(Node):
    __slots__ = ("repeats", "shape")

    def backward(self, grad):
        if 0 in self.repeats:
            return wrap(zeros(self.shape, grad._data.dtype))
        shape = (1,) * (len(self.repeats) - len(self.shape)) + self.shape
        parts = [n for pair in zip(self.repeats, shape, strict=True) for n in pair]
        dims = tuple(2 * i for i, r in enumerate(self.repeats) if r != 1)
        grad = reshape(grad, tuple(parts))
        return reshaped_gradient(grad.sum(dims), self.shape) if dims else reshape(grad, self.shape)


def repeat(input, *args, repeats=None):
    """The tensor laid side by side: ``repeats[i]`` times along dimension i; surplus repeats add dimensions in front.

    Args:
        input: tensor of any dtype.
        args, repeats: at least as many numbers as dimensions, one by one or as a tuple.

    Shape:
        output[i] = repeats[i] * input[i] for the sizes.

    Raises:
        RuntimeError: fewer repeats than dimensions, or a negative one.
    """
    if not isinstance(input, Tensor):
        check_tensor("repeat", "input", input, 1)
    repeats = sizes_of(args, "repeats") if repeats is None else sizes_of((repeats,), "repeats")
    d = input._data
    if len(repeats) < d.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    shape = d.shape if len(repeats) == d.ndim else (1,) * (len(repeats) - d.ndim) + d.shape
    full = tuple([r * n for r, n in zip(repeats, shape, strict=True)])
    if repeats and min(repeats) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(full)}: {list(full)}")
    out = wrap(repeated(dense(input), repeats, full))
    if input._rg and mode.grad:
        node = Repeat(input)
        node.repeats, node.shape = repeats, d.shape
        node.attach(out)
    return out


def tile(input, *args, dims=None):
    """The tensor laid side by side: as :func:`repeat`, with missing repeats taken as 1 in front.

    Args:
        input: tensor of any dtype.
        args, dims: the numbers of repeats, one by one or as a tuple.

    Shape:
        output[i] = dims[i] * input[i] for the sizes.

    Raises:
        TypeError: ``input`` is not a tensor, or a number not an integer.
        RuntimeError: a number is negative.
    """
    check_tensor("tile", "input", input, 1)
    dims = sizes_of(args, "dims") if dims is None else sizes_of((dims,), "dims")
    return repeat(input, (1,) * (input._data.ndim - len(dims)) + dims)


@numpy_names
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Repeats each element along a dimension: all ``repeats`` times, or each by its own number in a tensor. Without
    ``dim`` the tensor is taken as flat. ``repeat_interleave(repeats)`` alone gives index i ``repeats[i]`` times.

    Args:
        input: tensor of any dtype; alone, the numbers of repeats.
        repeats: an integer, or an integer tensor of one element or of as many as the dimension's size.
        dim: the dimension.
        output_size: the sum of the repeats, which is checked.

    Shape:
        that of the input with the sum of the repeats along ``dim``; one dimension without ``dim``.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        NotImplementedError: ``repeats`` is of another dtype than int32 and int64.
        RuntimeError: a number is negative, there are too few of them, or ``output_size`` is another number.
    """
    if not isinstance(input, Tensor):
        check_tensor("repeat_interleave", "input", input, 1)
    if type(repeats) is int and type(dim) is int and output_size is None and repeats > 0:
        if -input._data.ndim <= dim < input._data.ndim:
            return _each_repeated(input, repeats, dim % input._data.ndim)
    if repeats is None:
        check_tensor("repeat_interleave", "repeats", input, 1)
        return wrap(np.repeat(np.arange(input._data.size), _counts(input)).astype(input._data.dtype))
    x = input
    if dim is None:
        x, dim = reshape(input, (-1,)) if input._data.size else reshape(input, (0,)), 0
    if x._data.ndim == 0:
        x = reshape(x, (1,))
    dim = wrap_dim(dim, x._data.ndim)
    shape = x._data.shape
    if isinstance(repeats, Tensor):
        counts = _counts(repeats)
        if repeats._data.ndim == 1 and counts.size != 1 and counts.size != shape[dim]:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{counts.size} and input.size({dim}) = {shape[dim]}"
            )
        index = np.repeat(np.arange(shape[dim]), counts if counts.size == shape[dim] else counts.reshape(-1)[0])
        _check_total(output_size, index.size)
        return x.index_select(dim, wrap(index))
    repeats = as_int(repeats)
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    _check_total(output_size, repeats * shape[dim])
    return _each_repeated(x, repeats, dim)


class RepeatEach(Node):
    __slots__ = ("dim", "repeats", "shape")

    def backward(self, grad):
        shape, dim = self.shape, self.dim + 1
        grad = reshape(grad, (*shape[:dim], self.repeats, *shape[dim:]))
        return grad.sum(dim) if self.repeats != 1 else reshape(grad, shape)

    def name(self):
        """PyTorch's name of the last of its steps."""
        return "CloneBackward0" if self.repeats == 1 else "ViewBackward0"


def _each_repeated(input, repeats, dim):
    """``repeat_interleave`` by one number along a good dimension."""
    d, shape = dense(input), input._data.shape
    n = prod(shape[: dim + 1])
    full = (*shape[:dim], shape[dim] * repeats, *shape[dim + 1 :])
    inner = d.size // max(n, 1)
    out = wrap(repeated(d.reshape(n, 1, inner), (1, repeats, 1), (n, repeats, inner)).reshape(full))
    if input._rg and mode.grad:
        node = RepeatEach(input)
        node.repeats, node.dim, node.shape = repeats, dim, shape
        node.attach(out)
    return out


def _counts(repeats):
    d = repeats._data
    if d.dtype not in (np.int64, np.int32):
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{repeats.dtype.torch_name}'")
    if d.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if d.size and d.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return d


def _check_total(output_size, total):
    if output_size is not None and output_size != total:
        raise RuntimeError(f"repeat_interleave: output_size is {output_size}, but the repeats add up to {total}")


# -- triangles and diagonals


class Tril(Node):
    __slots__ = ("diagonal",)

    def backward(self, grad):
        return tril(grad, self.diagonal)


class Triu(Node):
    __slots__ = ("diagonal",)

    def backward(self, grad):
        return triu(grad, self.diagonal)


def _triangle(input, diagonal, upper, out, node_type):
    name = node_type.__name__.lower()
    check_tensor(name, "input", input, 1)
    x = dense(input)
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    diagonal = as_int(diagonal)
    data = empty(x.shape, x.dtype)
    if x.size:
        flat = (prod(x.shape[:-2]), *x.shape[-2:])
        limit = min(max(diagonal, -x.shape[-2]), x.shape[-1])
        kernels.triangle(as_bits(x).reshape(flat), as_bits(data).reshape(flat), limit, upper)
    result = wrap(data)
    if input._rg and mode.grad:
        node = node_type(input)
        node.diagonal = diagonal
        node.attach(result)
    return into(out, result, name)


def tril(input, diagonal=0, *, out=None):
    """The lower triangle of each matrix, up to and with a diagonal; zeros above it.

    Args:
        input: tensor of any dtype with at least two dimensions.
        diagonal: the last diagonal to keep: 0 the main one, positive above it, negative below.
        out: tensor to write the result to, or None.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or ``out`` cannot hold the result.
    """
    return _triangle(input, diagonal, False, out, Tril)


def triu(input, diagonal=0, *, out=None):
    """The upper triangle of each matrix, from a diagonal on; zeros below it.

    Args:
        input: tensor of any dtype with at least two dimensions.
        diagonal: the first diagonal to keep: 0 the main one, positive above it, negative below.
        out: tensor to write the result to, or None.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or ``out`` cannot hold the result.
    """
    return _triangle(input, diagonal, True, out, Triu)


def _triangle_within(upper):
    def within(self, diagonal=0):
        d = open_run(self)
        if d is None or type(diagonal) is not int or d.ndim < 2:
            return False
        m, n = d.shape[-2:]
        kernels.clear_triangle(as_bits(d).reshape(-1, m, n), min(max(diagonal, -m), n), upper)
        self._bump()
        return True

    return within


WITHIN[tril], WITHIN[triu] = _triangle_within(False), _triangle_within(True)


_main_diagonal = diagonal  # where an argument hides the name


class DiagEmbed(Node):
    __slots__ = ("args",)

    def backward(self, grad):
        return diagonal(grad, *self.args)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Square matrices of zeros with the input's last dimension on a diagonal; ``dim1`` and ``dim2`` are their places.

    Args:
        input: tensor of any dtype with at least one dimension.
        offset: which diagonal: 0 the main one, positive above it, negative below.
        dim1, dim2: where the matrices' dimensions stand in the result.

    Shape:
        (..., n) to (..., n + |offset|, n + |offset|).

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension, or the input has none.
        RuntimeError: both dimensions are the same.
    """
    check_tensor("diag_embed", "input", input, 1)
    d = input._data
    first, second = _two_dims(dim1, dim2, d.ndim + 1)
    side = d.shape[-1] + abs(offset)
    shape = list(d.shape[:-1])
    for dim in sorted((first, second)):
        shape.insert(dim, side)
    data = zeros(tuple(shape), d.dtype)
    _diagonal(data, offset, first, second)[...] = d
    out = wrap(data)
    if input._rg and mode.grad:
        node = DiagEmbed(input)
        node.args = offset, first, second
        node.attach(out)
    return out


def diag(input, diagonal=0, *, out=None):
    """A matrix with a vector on its diagonal; or the diagonal of a matrix, as a copy.

    Args:
        input: tensor of any dtype and one or two dimensions.
        diagonal: which diagonal: 0 the main one, positive above it, negative below.
        out: tensor to write the result to, or None.

    Shape:
        (n,) to (n + |diagonal|, n + |diagonal|); (m, n) to the diagonal's length.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: neither one nor two dimensions, or ``out`` cannot hold the result.
    """
    check_tensor("diag", "input", input, 1)
    n = input._data.ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    if n == 1:
        return into(out, diag_embed(input, diagonal), "diag.vector")
    return into(out, clone(_main_diagonal(input, diagonal)), "diag")


def diagflat(input, offset=0):
    """A matrix with all elements of the input on a diagonal.

    Args:
        input: tensor of any shape and dtype.
        offset: which diagonal: 0 the main one, positive above it, negative below.

    Shape:
        any to (n + |offset|, n + |offset|), n the number of elements.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("diagflat", "input", input, 1)
    return diag_embed(reshape(input, (-1,)), offset)


# -- parts overwritten


def _with_part(input, src, view, *args):
    out = clone(input)
    target = view(out, *args)
    if target._data.shape != src._data.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the part that it replaces: {list(target._data.shape)}, but got "
            f"{list(src._data.shape)}"
        )
    target.copy_(src)
    return out


def select_scatter(input, src, dim, index):
    """A copy of the input in which the slice at ``index`` along ``dim`` is ``src``.

    Args:
        input: tensor of any dtype with at least one dimension.
        src: tensor of the slice's shape, cast to the input's dtype.
        dim: the dimension.
        index: place along it.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` or ``src`` is not a tensor.
        IndexError: there is no such dimension or index.
        RuntimeError: ``src`` has another shape than the slice.
    """
    check_tensors("select_scatter", input=input, src=src)
    return _with_part(input, src, select, dim, index)


def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of the input in which the elements ``start:end:step`` along ``dim`` are ``src``.

    Args:
        input: tensor of any dtype with at least one dimension.
        src: tensor of the part's shape, cast to the input's dtype.
        dim: the dimension.
        start, end, step: the part, as in a Python slice; ``step`` is positive.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` or ``src`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``src`` has another shape than the slice, or ``step`` is not positive.
    """
    check_tensors("slice_scatter", input=input, src=src)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    dim = wrap_dim(dim, input._data.ndim)
    return _with_part(input, src, lambda x: x[(slice(None),) * dim + (slice(start, end, step),)])


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of the input in which a diagonal is ``src``.

    Args:
        input: tensor of any dtype with at least two dimensions.
        src: tensor of the diagonal's shape, cast to the input's dtype.
        offset, dim1, dim2: which diagonal, as in :func:`diagonal`.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` or ``src`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``src`` has another shape than the diagonal.
    """
    check_tensors("diagonal_scatter", input=input, src=src)
    return _with_part(input, src, diagonal, offset, dim1, dim2)


def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of the input in which the part under ``as_strided(size, stride, storage_offset)`` is ``src``.

    Args:
        input: tensor of any dtype.
        src: tensor of shape ``size``, cast to the input's dtype.
        size, stride, storage_offset: which part, as in :func:`as_strided`.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` or ``src`` is not a tensor.
        RuntimeError: ``src`` has another shape than ``size``, or the part reaches beyond the memory.
    """
    check_tensor("as_strided_scatter", "input", input, 1)
    check_tensor("as_strided_scatter", "src", src, 2)
    return _with_part(input, src, as_strided, size, stride, storage_offset)


def fill_diagonal_(input, fill_value, wrap=False):
    """Writes a value on the main diagonal, in place.

    Args:
        input: tensor of any dtype, of two dimensions, or of more that are all of one size.
        fill_value: a number.
        wrap: for matrices with more rows than columns: begin the diagonal anew below each square.

    Raises:
        RuntimeError: fewer than two dimensions, or more that differ in size.
    """
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    starts = range(0, shape[0], shape[1] + 1) if wrap and len(shape) == 2 and shape[0] > shape[1] else (0,)
    if len(shape) > 2:
        view = input
        while view._data.ndim > 1:
            view = diagonal(view, 0, 0, 1) if view._data.ndim == 2 else diagonal(view, 0, 0, view._data.ndim - 1)
        view.fill_(fill_value)
        return input
    for start in starts:
        diagonal(input, -start).fill_(fill_value)
    return input


def narrow_copy(input, dim, start, length):
    """A copy of the elements from ``start`` to ``start + length`` along ``dim``: of :func:`narrow`.

    Args:
        input: tensor of any dtype with at least one dimension.
        dim: the dimension.
        start: first element; negative ones count from the end.
        length: number of elements.

    Shape:
        that of the input with ``length`` along ``dim``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: they reach beyond the end, or the tensor has no dimensions.
        IndexError: there is no such dimension or start.
    """
    check_tensor("narrow_copy", "input", input, 1)
    return clone(narrow(input, dim, start, length))


def combinations(input, r=2, with_replacement=False):
    """All selections of ``r`` elements of a vector, one in each row, in the order of their positions.

    Args:
        input: vector of any dtype.
        r: elements in a row.
        with_replacement: whether an element may be chosen again.

    Shape:
        (n,) to (number of selections, r).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the input is no vector, or ``r`` is negative.
    """
    check_tensor("combinations", "input", input, 1)
    from itertools import combinations as some
    from itertools import combinations_with_replacement as repeated

    if input._data.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._data.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(empty((0,), input._data.dtype))
    rows = list((repeated if with_replacement else some)(range(input._data.size), r))
    index = np.array(rows, dtypes.int64.np).reshape(-1, r)
    return reshape(input.index_select(0, wrap(index.reshape(-1))), index.shape)
