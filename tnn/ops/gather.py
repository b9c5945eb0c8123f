"""gather and scatter: an index for every element."""

import numpy as np

from .. import dtypes
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import indexing as kernels
from ..kernels._copy import BITS, contiguous_copy
from ..kernels._jit import GRAIN
from ..kernels._pick import AMAX, AMIN, PROD, SET, SUM, picked, placed
from ..kernels._pool import empty, zeros
from ..tensor import Tensor, wrap
from ._common import HALF, WITHIN, as_number, check_tensor, dense, into, numpy_names, wrap_dim
from ._within import open_array, open_run
from .indexing import as_element, collapsed, wrapped
from .pointwise_select import where
from .rearrange import as_bits
from .shape import broadcast_shapes, clone, expand, reshape

# From so many indices on they are checked as they are used: a column of 1024 rows took 52 us, and takes 10.
_SOME = 64
INTEGER = (np.dtype(np.int64), np.dtype(np.int32))


class Gather(Node):
    __slots__ = ("dim", "index", "shape")

    def backward(self, grad):
        return gather_backward(grad, self.index, self.dim, self.shape)


class GatherBackward(Node):
    __slots__ = ("dim", "index")

    def backward(self, grad):
        return _gather(grad, self.index, self.dim)


def _same_but(a, b, dim):
    return a[:dim] == b[:dim] and a[dim + 1 :] == b[dim + 1 :]


def _part(d, index, dim):
    """The part of an ndarray that an index reaches: its own size along ``dim``, the index's along the others."""
    if _same_but(d.shape, index.shape, dim):
        return d
    return d[tuple(slice(None) if i == dim else slice(0, n) for i, n in enumerate(index.shape))]


def _views(index, dim, *arrays):
    """Arrays as (outer, k, inner), of which ``dim`` is k."""
    outer, _, inner = collapsed(index.shape, dim, 1)
    return [a.reshape(outer, a.shape[dim], inner) for a in (index, *arrays)]


def _gather_once(input, dim, index):
    """gather of many elements along ``dim``, checked on the way; None if it is not of the plain kind, or an index is
    out of range."""
    d, i = input._data, index._data
    if i.dtype != INTEGER[0] or i.ndim != d.ndim or not (i.flags.c_contiguous and d.flags.c_contiguous):
        return None
    dim = wrap_dim(dim, d.ndim)
    if not _same_but(d.shape, i.shape, dim):
        return None
    data, recorded = empty(i.shape, d.dtype), input._rg and mode.grad
    kept = empty(i.shape if recorded else (0,) * i.ndim, i.dtype)
    i3, x3, y3 = _views(i, dim, as_bits(d), as_bits(data))
    if kernels.gather_checked_forward(x3, i3, kept.reshape(i3.shape if recorded else (0, 0, 0)), y3):
        return None
    out = wrap(data)
    if recorded:
        node = Gather(input)
        node.index, node.dim, node.shape = kept, dim, d.shape
        node.attach(out)
    return out


def _gather(input, index, dim):
    """gather with a checked int64 ndarray."""
    x = _part(input._data, index, dim)
    data = picked(x, dim, index, 0)
    if data is None:
        # not NumPy's copy: 512 x 1024 transposed took 1.4 ms with it, 0.11 of PyTorch's speed
        x = x if x.flags.c_contiguous else contiguous_copy(x)
        data = empty(index.shape, x.dtype)
        if data.size:
            i3, x3, y3 = _views(index, dim, as_bits(x), as_bits(data))
            kernels.gather_forward(x3, i3, y3)
    out = wrap(data)
    if input._rg and mode.grad:
        node = Gather(input)
        node.index, node.dim, node.shape = index, dim, input._data.shape
        node.attach(out)
    return out


def gather_backward(grad, index, dim, shape):
    """Zeros of ``shape`` to which ``grad`` is added where ``gather`` took it from."""
    if grad._data.dtype in HALF:
        return gather_backward(grad.float(), index, dim, shape).to(grad.dtype)
    g = dense(grad)
    if g.size and g.dtype in dtypes.COMPUTE and _same_but(shape, index.shape, dim):
        data = empty(shape, g.dtype)
        i3, g3, x3 = _views(index, dim, g, data)
        kernels.gather_backward(g3, i3, x3, True)
    else:
        data = zeros(shape, g.dtype)
        _add_by_index(data, index, g, dim)
    out = wrap(data)
    if grad._rg and mode.grad:
        node = GatherBackward(grad)
        node.index, node.dim = index, dim
        node.attach(out)
    return out


def _add_by_index(data, index, src, dim):
    """Adds ``src``, of the index's shape, into an ndarray, in place."""
    if not index.size:
        return
    part = _part(data, index, dim)
    dense_part = part if part.flags.c_contiguous else np.ascontiguousarray(part)
    if data.dtype in dtypes.COMPUTE:
        i3, g3, x3 = _views(index, dim, src, dense_part)
        kernels.gather_backward(g3, i3, x3, False)
    else:
        grid = [np.arange(n).reshape((-1,) + (1,) * (index.ndim - i - 1)) for i, n in enumerate(index.shape)]
        grid[dim] = index
        np.add.at(dense_part, tuple(grid), src)
    if dense_part is not part:
        part[...] = dense_part


def _prepare(name, input, dim, index, src=None, negative=False):
    """The checks of gather and scatter: returns the dimension and the index as an int64 ndarray, None if empty."""
    check_tensor(name, "input", input, 1)
    check_tensor(name, "index", index, 3)
    if index._data.dtype not in INTEGER and index._data.size:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    d, i = input._data, index._data
    dim = wrap_dim(dim, d.ndim)
    if i.size == 0:
        return dim, None
    if src is None and i.ndim == d.ndim > 0 and _same_but(i.shape, d.shape, dim):
        return dim, _checked(i, dim, d.shape[dim], negative, input._rg)
    what = "input" if name == "gather" else "self"
    if max(d.ndim, 1) != max(i.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {what} tensor")
    i = np.atleast_1d(i)
    for axis, (a, b) in enumerate(zip(i.shape, np.atleast_1d(d).shape, strict=True)):
        if axis != dim and a > b:
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {list(i.shape)} to be no larger than self "
                f"{list(d.shape)} apart from dimension {dim}"
            )
    if src is not None:
        s = np.atleast_1d(src._data)
        if s.ndim != i.ndim:
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if any(a > b for a, b in zip(i.shape, s.shape, strict=True)):
            raise RuntimeError(
                f"Expected index {list(i.shape)} to be no larger than self {list(d.shape)} apart from dimension {dim} "
                "and to "
                f"be no larger size than src {list(s.shape)}"
            )
    return dim, _checked(i, dim, np.atleast_1d(d).shape[dim], negative, input._rg or (src is not None and src._rg))


def _checked(index, dim, size, negative, keep):
    message = f"index {{}} is out of bounds for dimension {dim} with size {size}"
    return wrapped(index, size, lambda v: RuntimeError(message.format(v)), negative, keep)


@numpy_names
def gather(input, dim, index, *, sparse_grad=False, out=None):
    """``out[i][j] = input[index[i][j]][j]`` for ``dim=0``, and so on: one element for each index.

    Args:
        input: tensor of any dtype.
        dim: the dimension that the indices refer to.
        index: int64 or int32, with as many dimensions, in the others no larger than the input.
        sparse_grad: not used: the gradient is dense.
        out: tensor of the input's dtype to write the result to, or None.

    Shape:
        that of ``index``.

    Raises:
        TypeError: ``input`` or ``index`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: an index is out of range, or the shapes or dtypes do not fit, or ``out`` cannot hold the result.

    >>> import tnn
    >>> tnn.tensor([[1, 2], [3, 4]]).gather(1, tnn.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    if out is None and isinstance(input, Tensor) and isinstance(index, Tensor):
        d, i = input._data, index._data
        data = picked(d, dim, i, 0)
        if data is not None:
            result = wrap(data)
            if input._rg and mode.grad:
                node = Gather(input)
                node.index, node.dim, node.shape = i.copy(), dim % d.ndim, d.shape
                node.attach(result)
            return result
        if i.size >= _SOME:
            result = _gather_once(input, dim, index)
            if result is not None:
                return result
    result = _gather_checked(input, *_prepare("gather", input, dim, index), index)
    return into(out, result, "gather", input, index)


def _gather_checked(input, dim, i, index):
    if i is None:
        i = np.empty(index._data.shape, np.int64)
    if not i.size:
        result = _gather_nothing(input, i)
    elif input._data.ndim == 0:
        result = reshape(_gather(reshape(input, (1,)), i, 0), index._data.shape)
    else:
        result = _gather(input, i, dim)
        if index._data.ndim == 0:
            result = reshape(result, ())
    return result


def _gather_nothing(input, index):
    """The result for an empty index, which need not have the input's number of dimensions."""
    out = wrap(empty(index.shape, input._data.dtype))
    if input._rg and mode.grad:
        node = GatherNothing(input)
        node.shape = input._data.shape
        node.attach(out)
    return out


class GatherNothing(Node):
    __slots__ = ("shape",)

    def name(self):
        return "GatherBackward0"

    def backward(self, grad):
        return wrap(zeros(self.shape, grad._data.dtype))


def take_along_dim(input, indices, dim=None, *, out=None):
    """:func:`gather` with input and indices broadcast against each other; without ``dim`` both are taken as flat.

    Args:
        input: tensor of any dtype.
        indices: int64 tensor with as many dimensions.
        dim: the dimension that the indices refer to, or None.
        out: tensor to write the result to, or None.

    Shape:
        that of ``indices`` with the sizes other than ``dim`` broadcast to the input's; without ``dim`` (n,).

    Raises:
        TypeError: ``input`` or ``indices`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: the numbers of dimensions differ, the indices are not int64 or out of range, or the shapes do not
            broadcast, or ``out`` cannot hold the result.
    """
    if out is None and isinstance(input, Tensor) and isinstance(indices, Tensor) and dim is not None:
        d, i = input._data, indices._data
        if d.ndim == i.ndim and _same_but(d.shape, i.shape, wrap_dim(dim, d.ndim)) and not (mode.grad and input._rg):
            data = picked(d, dim, i, 0)
            if data is not None:
                return wrap(data)
    check_tensor("take_along_dim", "input", input, 1)
    check_tensor("take_along_dim", "indices", indices, 2)
    if indices._data.dtype != np.int64:
        raise RuntimeError(f"take_along_dim(): dtype of indices should be Long but got {indices.dtype.torch_name}")
    if dim is None:
        input, indices, dim = reshape(input, (-1,)), reshape(indices, (-1,)), 0
    if input._data.ndim != indices._data.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._data.ndim} dimensions for input, and {indices._data.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, input._data.ndim)
    shape, index_shape = list(input._data.shape), list(indices._data.shape)
    rest = [[*s[:dim], 1, *s[dim + 1 :]] for s in (shape, index_shape)]
    others = list(broadcast_shapes(*rest))
    full = [*others[:dim], shape[dim], *others[dim + 1 :]]
    index_full = [*others[:dim], index_shape[dim], *others[dim + 1 :]]
    input, indices = expand(input, full), expand(indices, index_full)
    result = _gather_checked(input, *_prepare("gather", input, dim, indices, None, True), indices)
    return into(out, result, "take_along_dim", input, indices)


class Scatter(Node):
    __slots__ = ("dim", "index", "src")

    def backward(self, grad):
        gx = _scatter(grad, self.dim, self.index, 0.0) if self.needs(0) else None
        gs = _to_src(_gather(grad, self.index, self.dim), self.src) if len(self.next) > 1 and self.needs(1) else None
        return gx, gs


def _to_src(grad, shape):
    """The gradient of a source of which only the first elements along each dimension were used."""
    if grad._data.shape == shape:
        return grad
    if not shape:
        return reshape(grad, ())
    from .part import part_to_zeros

    return part_to_zeros(grad, (*(slice(0, n) for n in grad._data.shape), ...), shape)


def _scatter(input, dim, index, src):
    """scatter with a checked int64 ndarray; ``src`` is a Tensor or a number."""
    data = contiguous_copy(input._data)
    part = _part(data, index, dim)
    dense_part = part if part.flags.c_contiguous else np.ascontiguousarray(part)
    if isinstance(src, Tensor):
        s = np.ascontiguousarray(np.atleast_1d(src._data)[tuple(slice(0, n) for n in index.shape)])
    else:
        s = as_element(src, data.dtype).reshape((1,) * index.ndim)
    i3, y3 = _views(index, dim, as_bits(dense_part))
    kernels.scatter_within(as_bits(s).reshape(i3.shape if s.size == index.size else (1, 1, 1)), i3, y3, False)
    if dense_part is not part:
        part[...] = dense_part
    out = wrap(data)
    src_grad = isinstance(src, Tensor) and src._rg
    if mode.grad and (input._rg or src_grad):
        node = Scatter(input, src) if isinstance(src, Tensor) else Scatter(input)
        node.index, node.dim, node.src = index, dim, src._data.shape if isinstance(src, Tensor) else None
        node.attach(out)
    return out


def _scatter_small(input, dim, index, src, how, node_type):
    """scatter and its kin of int64 indices in the plain form, by an entry, or of many in one pass; None if not that.

    Args:
        how: what :func:`placed` is to do.
        node_type: the node that records it, or None: what is to be recorded goes the general way.
    """
    if not isinstance(input, Tensor) or not isinstance(index, Tensor):
        return None
    tensor = isinstance(src, Tensor)
    recorded = mode.grad and (input._rg or (tensor and src._rg))
    if recorded and node_type is None:
        return None
    d, i = input._data, index._data
    data = placed(d, dim, i, src._data if tensor else src, how)
    if data is None and how in (SET, SUM) and tensor:
        data = _scatter_many(d, dim, i, src._data, how == SUM)
    if data is None:
        return None
    out = wrap(data)
    if recorded:
        node = node_type(input, src) if tensor else node_type(input)
        # many through the pool: fresh memory costs its page faults
        node.index = i.copy() if i.size < GRAIN else contiguous_copy(i)
        node.dim, node.src = dim % d.ndim, src._data.shape if tensor else None
        node.attach(out)
    return out


def _scatter_many(d, dim, i, s, add):
    """A copy of an ndarray into which others of the index's shape are put or added along a dimension, in one pass; None
    if they are not of the plain kind, or an index is out of range."""
    if type(d) is not np.ndarray or type(i) is not np.ndarray or type(dim) is not int or i.size < GRAIN:
        return None
    if i.dtype != INTEGER[0] or s.dtype is not d.dtype or i.ndim != d.ndim or not -d.ndim <= dim < d.ndim or not d.size:
        return None
    dim %= d.ndim
    if not _same_but(d.shape, i.shape, dim) or s.shape != i.shape or (add and d.dtype not in ADDED):
        return None
    if not (d.flags.c_contiguous and i.flags.c_contiguous and s.flags.c_contiguous) or d.itemsize not in BITS:
        return None
    y = empty(d.shape, d.dtype)
    arrays = (s, d, y) if add else map(as_bits, (s, d, y))
    i3, s3, x3, y3 = _views(i, dim, *arrays)
    return None if kernels.scatter_forward(x3, s3, i3, y3, add) else y


def placed_within(self, dim, index, src, how):
    """Puts or adds into a small tensor in place where nothing is to be recorded; returns whether it could."""
    d = open_array(self)
    if d is None or not isinstance(index, Tensor):
        return False
    if isinstance(src, Tensor):
        if src._rg and mode.grad:
            return False
        src = src._data
    if placed(d, dim, index._data, src, how, None) is None:
        return False
    self._bump()
    return True


def at_least_1d(input):
    """The input, with one dimension if it has none."""
    return input if input._data.ndim else reshape(input, (1,))


@numpy_names
def scatter(input, dim, index, src=None, *, value=None, reduce=None, out=None):
    """A copy of the input in which ``out[index[i][j]][j] = src[i][j]`` for ``dim=0``, and so on.

    Args:
        input: tensor of any dtype.
        dim: the dimension that the indices refer to.
        index: int64 or int32, with as many dimensions; empty: a plain copy.
        src: a tensor no smaller than the index, of the input's dtype, or a number.
        value: a number in place of ``src``.
        reduce: ``"add"`` or ``"multiply"``: combine with what stands there.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` or ``index`` is not a tensor, or there is neither ``src`` nor ``value``.
        IndexError: there is no such dimension.
        RuntimeError: an index is out of range, ``reduce`` is unknown, or the shapes or dtypes do not fit, or ``out``
            cannot hold the result.
    """
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter() missing 1 required argument: 'src' or 'value'")
    if reduce is not None and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    tensor = src if isinstance(src, Tensor) else None
    if reduce is None and out is None:
        result = _scatter_small(input, dim, index, src, SET, Scatter)
        if result is not None:
            return result
    if isinstance(src, int | float) and isinstance(input, Tensor):
        src = as_number(src, input.dtype)
    dim, i = _prepare("scatter", input, dim, index, tensor)
    if tensor is not None and tensor._data.dtype != input._data.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if i is None:
        return into(out, clone(input), "scatter", input, src)
    if reduce is not None:
        src = wrap(np.full(i.shape, src, input._data.dtype)) if tensor is None else src
        result = reduce_by_index(input, dim, i, src, "sum" if reduce == "add" else "prod", True)
        return into(out, result, "scatter", input, src)
    return into(out, reshape(_scatter(at_least_1d(input), dim, i, src), input._data.shape), "scatter", input, src)


def _scatter_within(self, dim, index, src, add):
    """Writes or adds into a tensor in place where nothing is to be recorded or converted; returns whether it could."""
    if placed_within(self, dim, index, src, SUM if add else SET):
        return True
    d = open_run(self)
    if d is None or type(dim) is not int or not isinstance(index, Tensor):
        return False
    i, ndim = index._data, d.ndim
    if i.dtype != INTEGER[0] or i.ndim != ndim or not i.size or not -ndim <= dim < ndim:
        return False
    dim %= ndim
    if not _same_but(d.shape, i.shape, dim):
        return False
    if isinstance(src, Tensor):
        s = src._data
        if s.shape != i.shape or s.dtype is not d.dtype or (src._rg and mode.grad) or np.may_share_memory(d, s):
            return False
        s = np.ascontiguousarray(s)
    elif isinstance(src, int | float) and not add:
        s = as_element(as_number(src, self.dtype), d.dtype)
    else:
        return False
    if add and d.dtype not in ADDED:
        return False
    i = np.ascontiguousarray(i)
    outer, k, inner = collapsed(d.shape, dim, 1)
    s = s.reshape((outer, i.shape[dim], inner) if s.size == i.size else (1, 1, 1))
    d, i = d.reshape(outer, k, inner), i.reshape(outer, -1, inner)
    if not add:
        d, s = as_bits(d), as_bits(s)
    if np.may_share_memory(d, i) or kernels.scatter_within(s, i, d, add):
        return False
    self._bump()
    return True


def _scatter_number_within(self, dim, index, src=None, *, value=None, reduce=None):
    src = value if src is None else src
    return reduce is None and src is not None and _scatter_within(self, dim, index, src, False)


# What the kernels that add by index take.
ADDED = (*dtypes.COMPUTE, np.dtype(np.int64))
WITHIN[scatter] = _scatter_number_within


class ScatterAdd(Node):
    __slots__ = ("dim", "index", "src")

    def backward(self, grad):
        return grad, _to_src(_gather(grad, self.index, self.dim), self.src) if self.needs(1) else None


@numpy_names
def scatter_add(input, dim, index, src, *, out=None):
    """A copy of the input to which ``src`` is added: ``out[index[i][j]][j] += src[i][j]`` for ``dim=0``, and so on.

    Args:
        input: tensor of any dtype.
        dim: the dimension that the indices refer to.
        index: int64 or int32, with as many dimensions; empty: a plain copy.
        src: a tensor no smaller than the index, of the input's dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``src`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: an index is out of range, or the shapes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("scatter_add", "src", src, 4)
    if out is None:
        result = _scatter_small(input, dim, index, src, SUM, ScatterAdd)
        if result is not None:
            return result
    dim, i = _prepare("scatter_add", input, dim, index, src)
    if src._data.dtype != input._data.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if i is None:
        return into(out, clone(input), "scatter_add", input, src)
    result = reshape(_scatter_add(at_least_1d(input), dim, i, src), input._data.shape)
    return into(out, result, "scatter_add", input, src)


def _scatter_add(input, dim, index, src):
    if input._data.dtype in HALF:
        return _scatter_add(input.float(), dim, index, src.float()).to(input.dtype)
    data = contiguous_copy(input._data)
    s = np.ascontiguousarray(np.atleast_1d(src._data)[tuple(slice(0, n) for n in index.shape)])
    _add_by_index(data, index, s, dim)
    out = wrap(data)
    if mode.grad and (input._rg or src._rg):
        node = ScatterAdd(input, src)
        node.index, node.dim, node.src = index, dim, src._data.shape
        node.attach(out)
    return out


def _scatter_add_within(self, dim, index, src):
    return isinstance(src, Tensor) and _scatter_within(self, dim, index, src, True)


WITHIN[scatter_add] = _scatter_add_within

COMBINED = {"sum": SUM, "prod": PROD, "amax": AMAX, "amin": AMIN}
REDUCTIONS = {"sum": kernels.SUM, "mean": kernels.SUM, "prod": kernels.PROD, "amax": kernels.AMAX, "amin": kernels.AMIN}


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True, out=None):
    """A copy of the input in which the elements of ``src`` that go to one place are combined there.

    Args:
        input: tensor of any dtype.
        dim: the dimension that the indices refer to.
        index: int64 or int32, with as many dimensions; empty: a plain copy.
        src: a tensor no smaller than the index, of the input's dtype.
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the input's own elements take part.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input``, ``index`` or ``src`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: an index is out of range, ``reduce`` is unknown, or the shapes or dtypes do not fit, or ``out``
            cannot hold the result.
    """
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    check_tensor("scatter_reduce", "src", src, 4)
    if include_self and out is None and reduce in COMBINED:
        result = _scatter_small(input, dim, index, src, COMBINED[reduce], None)
        if result is not None:
            return result
    dim, i = _prepare("scatter_reduce", input, dim, index, src)
    if src._data.dtype != input._data.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if i is None:
        return into(out, clone(input), "scatter_reduce", input, src)
    return into(out, reduce_by_index(input, dim, i, src, reduce, include_self), "scatter_reduce", input, src)


def reduce_by_index(input, dim, index, src, reduce, include_self):
    """scatter_reduce with a checked int64 ndarray."""
    if input._data.dtype in HALF:
        return reduce_by_index(input.float(), dim, index, src.float(), reduce, include_self).to(input.dtype)
    shape = input._data.shape
    input, src = at_least_1d(input), at_least_1d(src)
    data = contiguous_copy(input._data)
    work, kind = data, data.dtype
    if kind not in dtypes.COMPUTE:
        work = data.astype(np.int64)
    part = _part(work, index, dim)
    y = part if part.flags.c_contiguous else np.ascontiguousarray(part)
    s = np.ascontiguousarray(src._data[tuple(slice(0, n) for n in index.shape)], work.dtype)
    first = np.empty((0,) * y.ndim, bool) if include_self and y.size else np.full(y.shape, True)
    i3, s3, y3 = _views(index, dim, s, y)
    f3 = first.reshape(y3.shape if first.size else (0, 0, 0))
    kernels.scatter_reduce_forward(s3, i3, y3, f3, REDUCTIONS[reduce])
    if reduce == "mean":
        count = np.full(y.shape, float(include_self))
        c3 = _views(index, dim, count)[1]
        kernels.gather_backward(np.ones(i3.shape), i3, c3, False)
        count = np.maximum(count, 1)
        y[...] = y / count if kind in dtypes.COMPUTE else y // count.astype(np.int64)
    if y is not part:
        part[...] = y
    if work is not data:
        data = work.astype(kind)
    out = wrap(data)
    if mode.grad and (input._rg or src._rg):
        node = ScatterReduce(input, src)
        node.attach(out)
        node.save(input, src, out)
        node.args = index, dim, reduce, include_self
    return out if out._data.shape == shape else reshape(out, shape)


class ScatterReduce(Node):
    __slots__ = ("args",)

    def backward(self, grad):
        x, src, result = self.saved_tensors()
        index, dim, reduce, include_self = self.args
        taken = _part_tensor(src, index.shape)
        if reduce == "sum":
            gx, gs = grad, _gather(grad, index, dim)
        elif reduce == "mean":
            count = wrap(np.full(x._data.shape, float(include_self), x._data.dtype))
            count = _scatter_add(count, dim, index, wrap(np.ones(index.shape, x._data.dtype))).clamp(min=1)
            gx = grad / count
            gs = _gather(grad / count, index, dim)
        elif reduce == "prod":
            gx, gs = _prod_gradients(grad, x, taken, result, index, dim, include_self)
        else:
            gx, gs = _extremum_gradients(grad, x, taken, result, index, dim, include_self)
        if not include_self:
            gx = _scatter(gx, dim, index, 0.0)
        return gx if self.needs(0) else None, _to_src(gs, src._data.shape) if self.needs(1) else None


def _part_tensor(src, shape):
    from .part import part

    return src if src._data.shape == shape else part(src, (*(slice(0, n) for n in shape), ...))


class ScatterReduceZeros(Node):
    """Where two or more zeros go to one place the formula of the gradient is right, but its own derivative is not."""

    __slots__ = ()

    def backward(self, grad):
        raise RuntimeError(
            "scatter_reduce(): double backward is unsupported for src where more than one zero goes to the same place"
        )


def _prod_gradients(grad, x, src, result, index, dim, include_self):
    """d(product)/d(factor): the product of the others, which is product / factor unless the factor is zero."""
    gx = grad
    if include_self:
        factor = x.masked_fill(x == 0, 1.0)
        gx = grad * reduce_by_index(factor, dim, index, src, "prod", True) / factor
    zero = src == 0
    zeros_there = _scatter_add(wrap(np.zeros(x._data.shape, x._data.dtype)), dim, index, zero.to(x.dtype))
    count = _gather(zeros_there, index, dim)
    single = zero & (count == 1)
    rest = reduce_by_index(x, dim, index, src.masked_fill(single, 1.0), "prod", include_self)
    gs = _gather(grad * result, index, dim) / src.masked_fill(zero, 1.0)
    gs = where(single, _gather(grad * rest, index, dim), gs)
    if mode.grad and gs._rg and (count._data > 1).any():
        gs = ScatterReduceZeros(gs).attach(wrap(gs._data))
    return gx, gs


def _extremum_gradients(grad, x, src, result, index, dim, include_self):
    """The gradient is shared evenly by all that equal the result."""
    mine = (x == result).to(x.dtype)
    theirs = (src == _gather(result, index, dim)).to(x.dtype)
    count = _scatter_add(mine if include_self else mine * 0, dim, index, theirs).clamp(min=1)
    share = grad / count
    return share * mine if include_self else grad, _gather(share, index, dim) * theirs
