"""Views: the same memory under another shape. Each shares storage and version counter with its source."""

import functools
from math import prod
from operator import index as as_int

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node, keep_retaining
from ..formats import contiguous_format
from ..kernels._copy import contiguous_copy
from ..kernels._pool import empty
from ..tensor import Size, Tensor, view_of, wrap
from ._common import check_tensor, check_tensors, in_memory_order, inplace_doc, wrap_dim


def sizes_of(args, what="shape"):
    """Sizes given as ``(2, 3)`` or ``2, 3`` as a tuple of ints (0-d integer tensors are taken too)."""
    if len(args) == 1 and isinstance(args[0], tuple | list):
        args = args[0]
    try:
        return tuple(map(as_int, args))
    except TypeError:
        got = [type(a).__name__ for a in args]
        raise TypeError(f"{what} must be a tuple of ints, but got elements of types {got}") from None


def dims_of(dim, ndim):
    """One dimension or several, as a tuple of different numbers from 0.

    Raises:
        IndexError: there is no such dimension.
        RuntimeError: one appears twice.
    """
    dims = tuple(wrap_dim(as_int(d), ndim) for d in (dim if isinstance(dim, tuple | list) else (dim,)))
    for i, d in enumerate(dims):
        if d in dims[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return dims


def _check_shape(shape, numel):
    """Raises RuntimeError where ``numel`` elements cannot take a shape that may hold one -1."""
    for i, n in enumerate(shape):
        if n < -1:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(shape)}")
    unknown = shape.count(-1)
    if unknown > 1:
        raise RuntimeError("only one dimension can be inferred")
    known = prod(n for n in shape if n != -1)
    if unknown and known == 0 and numel == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
            "can be "
            "any value and is ambiguous"
        )
    if (numel != known) if not unknown else (known == 0 or numel % known):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def _bare(data):
    """A gradient that is a view of another one, as a tensor that does not keep that one: a leaf can then take it over
    without a copy, where nobody else has it."""
    return wrap(data)


class View(Node):
    __slots__ = ("shape",)

    def backward(self, grad):
        return reshaped_gradient(grad, self.shape)


def reshaped_gradient(grad, shape):
    """A gradient in another shape; see :func:`_bare`."""
    d = grad._data
    if grad._rg or mode.grad or not d.flags.c_contiguous:
        return reshape(grad, shape)
    return _bare(d.reshape(shape))


def _reshaped(input, data):
    out = view_of(input, data)
    if input._rg and mode.grad:
        node = View(input)
        node.shape = input._data.shape
        node.attach(out)
    return out


def reshape(input, *args, shape=None):
    """The elements, in row-major order, in another shape; one size may be -1. A view where the strides allow it.

    Args:
        input: tensor of any dtype.
        args, shape: the sizes, one by one or as a tuple; one may be -1.

    Shape:
        output as given, with as many elements as the input.

    Raises:
        TypeError: ``input`` is not a tensor, or a size not an integer.
        RuntimeError: the number of elements does not fit, or more than one size is -1.

    >>> import tnn
    >>> tnn.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if not isinstance(input, Tensor):
        check_tensor("reshape", "input", input, 1)
    shape = sizes_of(args) if shape is None else sizes_of((shape,))
    d = input._data
    try:
        if min(shape, default=0) < -1:
            raise ValueError
        if d.flags.c_contiguous:
            return _reshaped(input, d.reshape(shape))
        new = d.reshape(shape, copy=False)
    except ValueError:
        _check_shape(shape, d.size)
        input = clone(input, memory_format=contiguous_format)
        new = input._data.reshape(shape)
    return _reshaped(input, new)


def view(input, *args, size=None, dtype=None):
    """The same memory in another shape, or read as another dtype: never a copy.

    Args:
        input: tensor of any dtype.
        args, size: the sizes, one by one or as a tuple; one may be -1. Or a dtype.
        dtype: read the memory as this dtype.

    Shape:
        output as given; with a dtype the last dimension grows or shrinks by the ratio of the element sizes.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: the number of elements, the strides or the element sizes do not allow it.
    """
    if not isinstance(input, Tensor):
        check_tensor("view", "input", input, 1)
    if dtype is not None or (len(args) == 1 and isinstance(args[0], dtypes.dtype)):
        return _view_dtype(input, args[0] if dtype is None else dtype)
    shape = sizes_of(args, "size") if size is None else sizes_of((size,), "size")
    d = input._data
    try:
        if min(shape, default=0) < -1:
            raise ValueError
        new = d.reshape(shape) if d.flags.c_contiguous else d.reshape(shape, copy=False)
    except ValueError:
        _check_shape(shape, d.size)
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        ) from None
    return _reshaped(input, new)


def _view_dtype(input, dtype):
    d, old = input._data, input.dtype
    if dtype.itemsize != old.itemsize:
        what = f"to view {old.torch_name} as {dtype.torch_name} (different element sizes)"
        if d.ndim == 0:
            raise RuntimeError(f"self.dim() cannot be 0 {what}")
        if d.shape[-1] > 1 and d.strides[-1] != d.itemsize:
            raise RuntimeError(f"self.stride(-1) must be 1 {what}, but got {d.strides[-1] // d.itemsize}")
        ratio, rest = divmod(dtype.itemsize, old.itemsize)
        if ratio > 1:
            strides = ((f"stride({i})", s // d.itemsize) for i, s in enumerate(d.strides[:-1]))
            for name, n in (("size(-1)", d.shape[-1]), *strides):
                if n % ratio:
                    raise RuntimeError(f"self.{name} must be divisible by {ratio} {what}, but got {n}")
    return view_of(input, d.view(dtype.np))


def view_as(input, other):
    """The same memory in the shape of another tensor: ``input.view(other.size())``.

    Args:
        input: tensor of any dtype.
        other: tensor with as many elements.

    Raises:
        RuntimeError: the number of elements or the strides do not allow it.
    """
    check_tensors("view_as", input=input, other=other)
    return view(input, other._data.shape)


def reshape_as(input, other):
    """The elements in the shape of another tensor: ``input.reshape(other.size())``.

    Args:
        input: tensor of any dtype.
        other: tensor with as many elements.

    Raises:
        RuntimeError: the number of elements does not fit.
    """
    check_tensors("reshape_as", input=input, other=other)
    return reshape(input, other._data.shape)


def flatten(input, start_dim=0, end_dim=-1):
    """Merges the dimensions from ``start_dim`` to ``end_dim`` into one.

    Args:
        input: tensor of any dtype.
        start_dim, end_dim: the first and the last dimension to merge.

    Shape:
        (..., d_start, ..., d_end, ...) to (..., d_start * ... * d_end, ...); a tensor without dimensions to (1,).

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``start_dim`` comes after ``end_dim``.
    """
    if not isinstance(input, Tensor):
        check_tensor("flatten", "input", input, 1)
    d = input._data
    shape = d.shape
    if start_dim == 1 and end_dim == -1 and len(shape) > 2 and d.size and d.flags.c_contiguous:
        return _reshaped(input, d.reshape(shape[0], -1))  # in front of a linear layer: 3.0 us by what follows, 1.3
    start, end = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    return reshape(input, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


def ravel(input):
    """All elements in one dimension; a copy only where the memory is not contiguous.

    Args:
        input: tensor of any dtype.

    Shape:
        any to (n,), n the number of elements.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    check_tensor("ravel", "input", input, 1)
    return reshape(input, (-1,)) if input._data.size else reshape(input, (0,))


def unflatten(input, dim, sizes):
    """Splits a dimension into several; one of ``sizes`` may be -1.

    Args:
        input: tensor of any dtype.
        dim: the dimension to split.
        sizes: a tuple of integers, of which one may be -1.

    Shape:
        (..., d, ...) to (..., *sizes, ...).

    Raises:
        TypeError: ``input`` is not a tensor, or a size not an integer.
        IndexError: there is no such dimension.
        RuntimeError: the sizes do not multiply up to the dimension's, or there are none.
    """
    sizes = sizes_of((sizes,), "sizes") if isinstance(sizes, tuple | list) else sizes_of((sizes,), "sizes")
    shape = input._data.shape
    dim = wrap_dim(dim, len(shape))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    n = shape[dim]
    known = prod(s for s in sizes if s != -1)
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if known != n if -1 not in sizes else (known == 0 or n % known):
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({n}) in the input "
            "tensor"
        )
    sizes = tuple(n // known if s == -1 else s for s in sizes)
    d = input._data
    if d.flags.c_contiguous:
        return _reshaped(input, d.reshape(*shape[:dim], *sizes, *shape[dim + 1 :]))
    return view(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


class Unsqueeze(View):
    __slots__ = ()


class Squeeze(View):
    __slots__ = ()


class SqueezeDim(View):
    """Of one dimension."""

    __slots__ = ()

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "SqueezeBackward1"


class SqueezeDims(View):
    """Of several dimensions."""

    __slots__ = ()

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "SqueezeBackward2"


def _with_shape(input, data, node_type):
    out = view_of(input, data)
    if input._rg and mode.grad:
        node = node_type(input)
        node.shape = input._data.shape
        node.attach(out)
    return out


def unsqueeze(input, dim=None, *, axis=None):
    """Inserts a dimension of size 1 at ``dim``.

    Args:
        input: tensor of any dtype.
        dim: the place of the new dimension.
        axis: another name of ``dim``.

    Shape:
        (d_0, ..., d_n) to (d_0, ..., 1, ..., d_n).

    Raises:
        TypeError: ``input`` is not a tensor, or ``dim`` is missing.
        IndexError: ``dim`` is not in ``[-input.dim() - 1, input.dim()]``.
    """
    if not isinstance(input, Tensor):
        check_tensor("unsqueeze", "input", input, 1)
    if axis is not None:  # NumPy's name
        dim = axis
    d = input._data
    dim = wrap_dim(dim, d.ndim + 1)
    return _with_shape(input, d[(slice(None),) * dim + (None, ...)], Unsqueeze)


def squeeze(input, dim=None, *, axis=None):
    """Takes away the dimensions of size 1: all, or those among ``dim`` (an int or a tuple).

    Args:
        input: tensor of any dtype.
        dim: a dimension or a tuple of them; those of another size than 1 stay. None: all.
        axis: another name of ``dim``.

    Shape:
        that of the input without those dimensions.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: a dimension is named twice.
    """
    if not isinstance(input, Tensor):
        check_tensor("squeeze", "input", input, 1)
    if axis is not None:  # NumPy's name
        dim = axis
    d = input._data
    if dim is None:
        return _with_shape(input, d.squeeze(), Squeeze)
    if type(dim) is int and d.ndim:
        dim = wrap_dim(dim, d.ndim)
        return _with_shape(input, d.squeeze(dim) if d.shape[dim] == 1 else d[...], SqueezeDim)
    gone = tuple([i for i in dims_of(dim, d.ndim) if i < d.ndim and d.shape[i] == 1])
    return _with_shape(input, d.squeeze(gone) if gone else d[...], SqueezeDim if isinstance(dim, int) else SqueezeDims)


class Permute(Node):
    __slots__ = ("dims",)

    def backward(self, grad):
        back = [0] * len(self.dims)
        for i, d in enumerate(self.dims):
            back[d] = i
        return permute(grad, tuple(back)) if mode.grad else _bare(grad._data.transpose(back))


def permute(input, *args, dims=None):
    """Reorders the dimensions: dimension i of the result is ``dims[i]`` of the input.

    Args:
        input: tensor of any dtype.
        args, dims: all dimensions in their new order, one by one or as a tuple.

    Shape:
        output[i] = input[dims[i]] for the sizes.

    Raises:
        TypeError: ``input`` is not a tensor, or there are no ``dims``.
        IndexError: there is no such dimension.
        RuntimeError: ``dims`` has another length than the tensor dimensions, or names one twice.
    """
    if not isinstance(input, Tensor):
        check_tensor("permute", "input", input, 1)
    if not args and dims is None:
        raise TypeError('permute() missing 1 required positional arguments: "dims"')
    given = sizes_of(args, "dims") if dims is None else sizes_of((dims,), "dims")
    d = input._data
    if len(given) != d.ndim:
        raise RuntimeError(
            "permute(): number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {d.ndim} is not equal to len(dims) = {len(given)}"
        )
    given = tuple(wrap_dim(i, d.ndim) for i in given)
    if len(set(given)) != len(given):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    out = view_of(input, d.transpose(given) if given else d[...])
    if input._rg and mode.grad:
        node = Permute(input)
        node.dims = given
        node.attach(out)
    return out


class Transpose(Node):
    __slots__ = ("dim0", "dim1")

    def backward(self, grad):
        if not mode.grad and grad._data.ndim:
            return _bare(grad._data.swapaxes(self.dim0, self.dim1))
        return transpose(grad, self.dim0, self.dim1)


class T_(Transpose):  # noqa: N801
    __slots__ = ()

    def name(self):
        return "TBackward0"


def transpose(input, dim0, dim1, node_type=Transpose):
    """Exchanges two dimensions: a view.

    Args:
        input: tensor of any dtype.
        dim0, dim1: the two dimensions.
        node_type: what is recorded.

    Shape:
        that of the input with the two sizes exchanged.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    if not isinstance(input, Tensor):
        check_tensor("transpose", "input", input, 1)
    d = input._data
    dim0, dim1 = wrap_dim(dim0, d.ndim), wrap_dim(dim1, d.ndim)
    out = view_of(input, d.swapaxes(dim0, dim1) if d.ndim else d[...])
    if input._rg and mode.grad:
        node = node_type(input)
        node.dim0, node.dim1 = dim0, dim1
        node.attach(out)
    return out


def swapaxes(input, axis0, axis1):
    """Exchanges two dimensions, as :func:`transpose`.

    Args:
        input: tensor of any dtype.
        axis0, axis1: the two dimensions.

    Shape:
        that of the input with the two sizes exchanged.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    check_tensor("swapaxes", "input", input, 1)
    return transpose(input, axis0, axis1)


def swapdims(input, dim0, dim1):
    """Exchanges two dimensions, as :func:`transpose`.

    Args:
        input: tensor of any dtype.
        dim0, dim1: the two dimensions.

    Shape:
        that of the input with the two sizes exchanged.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    check_tensor("swapdims", "input", input, 1)
    return transpose(input, dim0, dim1)


def t(input):
    """The transpose of a matrix; a tensor with fewer dimensions as it is.

    Args:
        input: tensor of at most two dimensions and any dtype.

    Shape:
        (m, n) to (n, m).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: more than two dimensions.
    """
    if not isinstance(input, Tensor):
        check_tensor("t", "input", input, 1)
    n = input._data.ndim
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return transpose(input, 0, n - 1 if n else 0, T_)


def _reverse(input):
    """``x.T``: all dimensions in reverse order."""
    return permute(input, tuple(range(input._data.ndim))[::-1])


def _matrix_transpose(name):
    def op(input):
        n = input._data.ndim
        if n < 2:
            raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got {n}-D tensor.")
        return transpose(input, -2, -1)

    op.__name__ = name
    op.__doc__ = f"""``x.{name}``: the last two dimensions exchanged, (..., m, n) to (..., n, m).

    Raises:
        RuntimeError: fewer than two dimensions.
    """
    return op


def adjoint(input):
    """The last two dimensions exchanged (tnn has no complex numbers to conjugate).

    Args:
        input: tensor of at least two dimensions, or of none, and any dtype.

    Shape:
        (..., m, n) to (..., n, m).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: it has one dimension.
    """
    check_tensor("adjoint", "input", input, 1)
    n = input._data.ndim
    if n < 2:
        raise RuntimeError(f"tensor.adjoint() is only supported on matrices or batches of matrices. Got {n}-D tensor.")
    return transpose(input, -2, -1)


def _h(input):
    """``x.H``: the transpose of a matrix."""
    n = input._data.ndim
    if n not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {n}-D tensor.")
    return transpose(input, 0, 1) if n else input


T = property(_reverse)
mT = property(_matrix_transpose("mT"))
mH = property(_matrix_transpose("mH"))
H = property(_h)


def movedim(input, source, destination):
    """Moves the dimensions ``source`` (an int or a tuple) to the positions ``destination``; the others keep order.

    Args:
        input: tensor of any dtype.
        source, destination: a dimension, or tuples of as many of them.

    Shape:
        that of the input, reordered.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the tuples differ in length or name a dimension twice.
    """
    check_tensor("movedim", "input", input, 1)
    n = input._data.ndim
    source = source if isinstance(source, tuple | list) else (source,)
    destination = destination if isinstance(destination, tuple | list) else (destination,)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same number "
            "of "
            f"dims as destination ({list(destination)} dims)"
        )
    src, dst = [wrap_dim(i, n) for i in source], [wrap_dim(i, n) for i in destination]
    for name, given, dims in (("source", source, src), ("destination", destination, dst)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if n == 0:
        return view_of(input, input._data) if not input._rg else reshape(input, ())
    rest = iter(i for i in range(n) if i not in src)
    back = dict(zip(dst, src, strict=True))
    return permute(input, tuple(back[i] if i in back else next(rest) for i in range(n)))


def moveaxis(input, source, destination):
    """Moves dimensions to other places, as :func:`movedim`.

    Args:
        input: tensor of any dtype.
        source, destination: a dimension, or tuples of as many of them.

    Shape:
        that of the input, reordered.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the tuples differ in length or name a dimension twice.
    """
    return movedim(input, source, destination)


class Expand(Node):
    __slots__ = ("shape",)

    def backward(self, grad):
        return sum_to_size(grad, self.shape)


def sum_to_size(input, *size):
    """Sums the dimensions along which ``size`` would be broadcast to the input's shape.

    Args:
        input: tensor of any dtype.
        size: the sizes, one by one or as a tuple.

    Shape:
        output ``size``.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: ``size`` cannot be broadcast to the input's shape.
    """
    check_tensor("sum_to_size", "input", input, 1)
    shape = sizes_of(size, "size")
    full = input._data.shape
    if full == shape:
        return input
    lead = len(full) - len(shape)
    if lead < 0 or any(s not in (1, f) for s, f in zip(shape, full[lead:], strict=True)):
        raise RuntimeError(f"size {list(shape)} is not expandable to size {list(full)}.")
    dims = (*range(lead), *(i + lead for i, s in enumerate(shape) if s == 1 and full[i + lead] != 1))
    if dims:
        return reshaped_gradient(input.sum(dims, keepdim=True), shape)
    return reshape(input, shape)


def expand(input, *args, size=None, implicit=False):
    """A view in which dimensions of size 1 are repeated without a copy; -1 keeps a size, new dimensions come in front.

    Args:
        input: tensor of any dtype.
        args, size: the sizes, one by one or as a tuple.
        implicit: not used.

    Shape:
        output as given.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: a size other than 1 differs, or there are too few.
    """
    if not isinstance(input, Tensor):
        check_tensor("expand", "input", input, 1)
    given = sizes_of(args, "size") if size is None else sizes_of((size,), "size")
    d = input._data
    shape, lead = d.shape, len(given) - d.ndim
    if lead >= 0 and shape == given[lead:] and (not lead or min(given) > 0):
        return _expanded(input, given)
    if lead < 0:
        raise RuntimeError(
            f"expand(tnn.{input.dtype.torch_name}Tensor{{{list(shape)}}}, size={list(given)}): the number of sizes "
            "provided "
            f"({len(given)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    full = list(given)
    for i, n in enumerate(given):
        if i < lead:
            if n < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
                )
            continue
        have = shape[i - lead]
        if n == -1:
            full[i] = have
        elif n != have and (have != 1 or n < 0):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton "
                f"dimension {i}."
                f"  Target sizes: {list(given)}.  Tensor sizes: {list(shape)}"
            )
    return _expanded(input, tuple(full))


def _expanded(input, shape):
    out = view_of(input, _broadcast(input._data, shape))
    if input._rg and mode.grad:
        node = Expand(input)
        node.shape = input._data.shape
        node.attach(out)
    return out


def _broadcast(d, shape):
    if d.shape == shape:
        return d[...]
    if prod(shape) == d.size and d.size:  # only dimensions of size 1 are new
        return d[(None,) * (len(shape) - d.ndim) + (...,)]
    if 0 in shape:
        return np.empty(shape, d.dtype)
    lead = len(shape) - d.ndim
    strides = (0,) * lead + tuple(
        [0 if n != full else s for n, full, s in zip(d.shape, shape[lead:], d.strides, strict=True)]
    )
    if d.flags.c_contiguous:
        return np.ndarray(shape, d.dtype, d, 0, strides)
    return np.lib.stride_tricks.as_strided(d, shape, strides)


def expand_as(input, other):
    """A view broadcast to the shape of another tensor: ``input.expand(other.size())``.

    Args:
        input: tensor of any dtype.
        other: the tensor whose shape it takes.

    Raises:
        RuntimeError: the shape does not broadcast to it.
    """
    check_tensors("expand_as", input=input, other=other)
    return expand(input, other._data.shape)


def broadcast_to(input, size):
    """A view broadcast to a shape: ``input.expand(size)``.

    Args:
        input: tensor of any dtype.
        size: the shape.

    Shape:
        output ``size``.

    Raises:
        TypeError: ``input`` is not a tensor, or a size not an integer.
        RuntimeError: the shape does not broadcast to ``size``.
    """
    check_tensor("broadcast_to", "input", input, 1)
    return expand(input, size)


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes are broadcast to.

    Args:
        shapes: each an int or a sequence of them.

    Returns:
        a Size.

    Raises:
        RuntimeError: they do not fit together.
    """
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    out = [1] * max((len(s) for s in shapes), default=0)
    for number, shape in enumerate(shapes):
        for i in range(-1, -1 - len(shape), -1):
            if shape[i] < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({shape[i]}): ({shape[i]})")
            if shape[i] != 1 and out[i] not in (1, shape[i]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[i]} at {i}! Mismatching argument at index "
                    f"{number} "
                    f"had {shape}; but expected shape should be broadcastable to {out}"
                )
            if out[i] == 1:
                out[i] = shape[i]
    return Size(out)


def broadcast_tensors(*tensors):
    """The tensors expanded to their common shape.

    Args:
        tensors: tensors of any dtype, one by one or as one tuple.

    Returns:
        a tuple of views of the common shape.

    Raises:
        TypeError: one is not a tensor.
        RuntimeError: the shapes do not fit together.
    """
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tensors[0]
    for t in tensors:
        check_tensor("broadcast_tensors", "tensors", t)
    try:
        shape = np.broadcast_shapes(*(t._data.shape for t in tensors))
    except ValueError:
        _mismatch([t._data.shape for t in tensors])
    return tuple(expand(t, shape) for t in tensors)


def _mismatch(shapes):
    have = [1] * max(map(len, shapes))
    for shape in shapes:
        for i in range(-1, -1 - len(shape), -1):
            if shape[i] != 1 and have[i] not in (1, shape[i]):
                raise RuntimeError(
                    f"The size of tensor a ({have[i]}) must match the size of tensor b ({shape[i]}) at non-singleton "
                    f"dimension {len(have) + i}"
                )
            if shape[i] != 1:
                have[i] = shape[i]


# -- copies


class Clone(Node):
    __slots__ = ()

    def backward(self, grad):
        return grad


def clone(input, *, memory_format=None):
    """A copy, through which gradients flow.

    Args:
        input: tensor of any dtype.
        memory_format: ``tnn.contiguous_format`` for row-major order; else dimensions keep the order that they have in
            memory.

    Shape:
        that of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
    """
    if not isinstance(input, Tensor):
        check_tensor("clone", "input", input, 1)
    d, turned = (input._data, None) if memory_format is contiguous_format else in_memory_order(input._data)
    d = contiguous_copy(d)
    out = wrap(d if turned is None else d.transpose(turned))
    if input._rg and mode.grad:
        Clone(input).attach(out)
    return out


def contiguous(input, memory_format=None):
    """The tensor itself if it is contiguous in row-major order, else a copy that is.

    Args:
        input: tensor of any dtype.
        memory_format: not used.

    Shape:
        that of the input.
    """
    if not isinstance(input, Tensor):
        check_tensor("contiguous", "input", input, 1)
    if input._data.flags.c_contiguous:
        return input
    return clone(input, memory_format=contiguous_format)


# -- in-place changes of the shape


def in_place_view(op):
    """The in-place form of a view operation: the tensor itself shows its memory in the new way."""

    @functools.wraps(op)
    def method(self, *args, **kwargs):
        if not isinstance(self, Tensor):
            check_tensor(method.__name__, "input", self, 1)
        self._check_inplace()
        old = self._alias()
        old._rg, old._node, old._nr = self._rg, self._node, self._nr
        new = op(old, *args, **kwargs)
        self._data = new._data
        self._bump()
        if new._rg:
            keep_retaining(self, new._node, new._nr)
            self._rg, self._node, self._nr = True, new._node, new._nr
        return self

    method.__name__ = method.__qualname__ = op.__name__ + "_"
    method.__doc__ = inplace_doc(op, "the tensor itself takes the new shape and is returned.")
    return method


squeeze_ = in_place_view(squeeze)
unsqueeze_ = in_place_view(unsqueeze)
transpose_ = in_place_view(transpose)
swapaxes_ = in_place_view(swapaxes)
swapdims_ = in_place_view(swapdims)
t_ = in_place_view(t)


def resize_(input, *sizes, memory_format=None):
    """Gives the tensor another shape, in place; new elements beyond its memory are uninitialised.

    Args:
        input: tensor of any dtype.
        sizes: the new shape, one by one or as a tuple.
        memory_format: not used.

    Raises:
        TypeError: a size is not an integer.
        RuntimeError: the tensor requires gradients, or a size is negative.
    """
    check_tensor("resize_", "input", input, 1)
    shape = sizes_of(sizes, "size")
    if input._rg:
        raise RuntimeError("cannot resize variables that require grad")
    if min(shape, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    count, d = prod(shape), input._data
    if count <= d.size and d.flags.c_contiguous:
        input._data = d.reshape(-1)[:count].reshape(shape)
    else:
        data = empty(shape, d.dtype)
        data.reshape(-1)[: d.size] = d.reshape(-1)[:count]
        input._data = data
    return input


def resize_as_(input, the_template, memory_format=None):
    """Gives the tensor the shape of another, in place: ``input.resize_(the_template.size())``.

    Args:
        input: tensor of any dtype.
        the_template: the tensor whose shape it takes.
        memory_format: not used.

    Raises:
        TypeError: an argument is not a tensor.
        RuntimeError: the tensor requires gradients.
    """
    check_tensors("resize_as_", input=input, the_template=the_template)
    return resize_(input, the_template._data.shape)
