"""Views of a part of a tensor: slices, diagonals, windows, and views by strides."""

from operator import index as as_int

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..autograd.view import scatter_window
from ..kernels._copy import assign, in_zeros
from ..kernels._pool import zeros
from ..tensor import Tensor, view_of, wrap
from ._common import check_tensor, numpy_names, wrap_dim
from .shape import in_place_view, reshape, sizes_of


class Slice(Node):
    __slots__ = ("key", "shape")

    def backward(self, grad):
        return part_to_zeros(grad, self.key, self.shape)


class Select(Slice):
    __slots__ = ()


class Getitem(Slice):
    """A view by several indices, or by one that is no integer; PyTorch takes a step for each."""

    __slots__ = ()

    def name(self):
        """The name of the last step that there is: a slice of a whole dimension is none."""
        if len(self.key) == 2 and isinstance(self.key[0], slice):
            return "SliceBackward0"
        last, dim = "Alias", 0
        taken = sum(k is not None and k is not Ellipsis for k in self.key)
        for k in self.key:
            if k is Ellipsis:
                dim += len(self.shape) - taken
            elif k is None:
                last = "Unsqueeze"
            else:
                if not isinstance(k, slice):
                    last = "Select"
                elif k.indices(self.shape[dim]) != (0, self.shape[dim], 1):
                    last = "Slice"
                dim += 1
        return f"{last}Backward0"


class PartToZeros(Node):
    __slots__ = ("key",)

    def backward(self, grad):
        return part(grad, self.key)


def part_to_zeros(grad, key, shape):
    """Zeros of ``shape`` in which the part under a basic index is ``grad``: the gradient of :func:`part`."""
    g = grad._data
    span = _span(key, shape) if g.size >= _MANY and g.flags.c_contiguous else None
    if span is not None:
        data = in_zeros(g, shape, *span)
    else:
        data = zeros(shape, g.dtype)
        if g.size < _MANY:
            data[key] = g
        else:
            assign(data[key], g)
    out = wrap(data)
    if grad._rg and mode.grad:
        node = PartToZeros(grad)
        node.key = key
        node.attach(out)
    return out


# From this many elements on, threads copy faster than NumPy.
_MANY = 4096


def _span(key, shape):
    """(dimension, first) where a basic index takes neighbouring elements of one dimension and all of the others; None
    for another one."""
    found, dim = None, 0
    for k in key:
        if k is Ellipsis:
            break
        if k is None:
            return None
        n = shape[dim]
        if type(k) is int:
            first = k % n
        else:
            first, stop, step = k.indices(n)
            if step != 1 and stop - first > 1:
                return None
            if stop - first == n:
                dim += 1
                continue
        if found is not None:
            return None
        found = dim, first
        dim += 1
    return found


def part(input, key, node_type=Slice):
    """The view under a good basic index: a tuple of ints, slices and None that ends with ``...``."""
    d = input._data
    out = view_of(input, d[key])
    if input._rg and mode.grad:
        node = node_type(input)
        node.key, node.shape = key, d.shape
        node.attach(out)
    return out


@numpy_names
def select(input, dim, index):
    """The slice at ``index`` along ``dim``, without that dimension.

    Args:
        input: tensor of any dtype with at least one dimension.
        dim: the dimension.
        index: place along it; negative ones count from the end.

    Shape:
        (d_0, ..., d_dim, ..., d_n) to the same without d_dim; a view.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension or index, or the tensor has no dimensions.
    """
    if not isinstance(input, Tensor):
        check_tensor("select", "input", input, 1)
    shape = input._data.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = wrap_dim(dim, len(shape)), as_int(index)
    n = shape[dim]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {dim}")
    return part(input, (slice(None),) * dim + (index, ...), Select)


@numpy_names
def narrow(input, dim, start, length):
    """The elements from ``start`` to ``start + length`` along ``dim``.

    Args:
        input: tensor of any dtype with at least one dimension.
        dim: the dimension.
        start: first element, an integer or a tensor of one; negative ones count from the end.
        length: number of elements.

    Shape:
        that of the input with ``length`` along ``dim``; a view.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: they reach beyond the end, or the tensor has no dimensions.
        IndexError: there is no such dimension or start.
    """
    if not isinstance(input, Tensor):
        check_tensor("narrow", "input", input, 1)
    shape = input._data.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and (start._data.ndim or start.dtype.kind != 1):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    dim, start, length = wrap_dim(dim, len(shape)), as_int(start), as_int(length)
    n = shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    start += n if start < 0 else 0
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return part(input, (slice(None),) * dim + (slice(start, start + length), ...))


class Diagonal(Node):
    __slots__ = ("args", "shape")

    def backward(self, grad):
        return diagonal_to_zeros(grad, self.shape, *self.args)


class DiagonalToZeros(Node):
    __slots__ = ("args",)

    def backward(self, grad):
        return diagonal(grad, *self.args)


def _diagonal(d, offset, dim1, dim2):
    out = d.diagonal(offset, dim1, dim2)
    if d.flags.writeable:
        out.flags.writeable = True
    return out


def diagonal_to_zeros(grad, shape, offset, dim1, dim2):
    """Zeros of ``shape`` with ``grad`` on a diagonal: the gradient of :func:`diagonal`."""
    data = zeros(shape, grad._data.dtype)
    _diagonal(data, offset, dim1, dim2)[...] = grad._data
    out = wrap(data)
    if grad._rg and mode.grad:
        node = DiagonalToZeros(grad)
        node.args = offset, dim1, dim2
        node.attach(out)
    return out


def _two_dims(dim1, dim2, ndim):
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return first, second


def diagonal(input, offset=0, dim1=0, dim2=1):
    """A view of the elements with index ``dim2 - dim1 == offset``, as the last dimension.

    Args:
        input: tensor of any dtype with at least two dimensions.
        offset: 0 the main diagonal, positive above it, negative below.
        dim1, dim2: the two dimensions of the matrices.

    Shape:
        that of the input without ``dim1`` and ``dim2``, and the diagonal's length as the last size; a view.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: both dimensions are the same.
    """
    if not isinstance(input, Tensor):
        check_tensor("diagonal", "input", input, 1)
    d = input._data
    dim1, dim2 = _two_dims(dim1, dim2, d.ndim)
    out = view_of(input, _diagonal(d, offset, dim1, dim2))
    if input._rg and mode.grad:
        node = Diagonal(input)
        node.args, node.shape = (offset, dim1, dim2), d.shape
        node.attach(out)
    return out


# -- any view of the memory


class AsStrided(Node):
    __slots__ = ("geometry", "shape")

    def backward(self, grad):
        return scatter_window(grad, self.geometry, self.shape)


def as_strided(input, size, stride, storage_offset=None):
    """A view of the input's memory with sizes, strides and offset (in elements) of your own.

    Args:
        input: tensor of any dtype.
        size, stride: tuples of one length; strides count elements.
        storage_offset: the first element; None: the input's own.

    Shape:
        output ``size``.

    Raises:
        TypeError: ``input`` is not a tensor, or a number not an integer.
        RuntimeError: the view would reach beyond the memory, a stride is negative, or size and stride differ in length.
    """
    if not isinstance(input, Tensor):
        check_tensor("as_strided", "input", input, 1)
    size, stride = sizes_of((size,), "size"), sizes_of((stride,), "stride")
    base = input if input._base is None else input._base.base
    d = base._data
    if not d.flags.c_contiguous:
        raise RuntimeError("as_strided: tnn needs a tensor whose base is contiguous; clone() it first")
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if min(stride, default=0) < 0:
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    offset = input.storage_offset() if storage_offset is None else as_int(storage_offset)
    needed = 0 if 0 in size else offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    step = d.itemsize
    if offset < 0 or min(size, default=0) < 0 or needed > d.size:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and itemsize {step} "
            "requiring "
            f"a storage size of {needed * step} are out of bounds for storage of size {d.nbytes}"
        )
    strides = tuple(s * step for s in stride)
    start = d.reshape(-1)[offset:] if 0 not in size else d.reshape(-1)[:0]
    out = view_of(input, np.lib.stride_tricks.as_strided(start, size, strides))
    if input._rg and mode.grad:
        _record_strides(input, base, (offset, size, strides), needed).attach(out)
    return out


def _record_strides(input, base, geometry, needed):
    """The node of a view by strides: from the input where the view lies within it, else from its base."""
    offset, size, strides = geometry
    own = input.storage_offset()
    if input._data.flags.c_contiguous and offset >= own and needed - own <= input._data.size:
        source, offset = input, offset - own
    elif base._rg:
        source = base
    else:
        raise RuntimeError("as_strided: cannot record a view of memory outside of a tensor that requires grad")
    node = AsStrided(source)
    node.geometry, node.shape = (offset * source._data.itemsize, size, strides), source._data.shape
    return node


class Unfold(Node):
    __slots__ = ("dim", "shape", "size", "step")

    def backward(self, grad):
        return unfold_backward(grad, self.shape, self.dim, self.size, self.step)


class UnfoldBackward(Node):
    __slots__ = ("dim", "size", "step")

    def backward(self, grad):
        return unfold(grad, self.dim, self.size, self.step)


def _windows(d, dim, size, step):
    n = (d.shape[dim] - size) // step + 1
    shape = (*d.shape[:dim], n, *d.shape[dim + 1 :], size)
    strides = (*d.strides[:dim], d.strides[dim] * step, *d.strides[dim + 1 :], d.strides[dim])
    return np.lib.stride_tricks.as_strided(d, shape, strides)


def unfold(input, dimension, size, step):
    """A view of all windows of ``size`` elements along a dimension, ``step`` apart; they become the last dimension.

    Args:
        input: tensor of any dtype.
        dimension: the dimension.
        size: elements in a window.
        step: from one window to the next.

    Shape:
        (..., d, ...) to (..., (d - size) // step + 1, ..., size); a view.

    Raises:
        IndexError: there is no such dimension.
        RuntimeError: a window is larger than the dimension, or ``step`` is not positive.
    """
    if not isinstance(input, Tensor):
        check_tensor("unfold", "input", input, 1)
    if input._data.ndim == 0:
        input = reshape(input, (1,))
        if size == 0:
            return narrow(input, 0, 0, 0)
        dimension, zero_dim = 0, True
    else:
        zero_dim = False
    d = input._data
    dim = wrap_dim(dimension, d.ndim)
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > d.shape[dim]:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {d.shape[dim]} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if zero_dim:
        return input
    out = view_of(input, _windows(d, dim, size, step))
    if input._rg and mode.grad:
        node = Unfold(input)
        node.dim, node.shape, node.size, node.step = dim, d.shape, size, step
        node.attach(out)
    return out


def unfold_backward(grad, input_sizes, dim, size, step):
    """The windows added back where :func:`unfold` took them from."""
    data = zeros(tuple(input_sizes), grad._data.dtype)
    g = grad._data
    n = g.shape[dim]
    lead = (slice(None),) * dim
    for j in range(size):  # one element of every window at a time: these do not overlap
        data[(*lead, slice(j, j + (n - 1) * step + 1, step))] += g[..., j]
    out = wrap(data)
    if grad._rg and mode.grad:
        node = UnfoldBackward(grad)
        node.dim, node.size, node.step = dim, size, step
        node.attach(out)
    return out


as_strided_ = in_place_view(as_strided)
