"""Order: sort, topk, kthvalue, median, mode, quantile, histc. NaN counts as larger than every number."""

from math import prod

import numpy as np

from .. import dtypes, return_types
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode as grad_mode
from ..autograd.node import Node
from ..kernels import indexing as index_kernels
from ..kernels import sort as kernels
from ..kernels._copy import BITS
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, HALF, check_tensor, dense, into, numpy_names, recording, wrap_dim
from .gather import gather_backward
from .rearrange import as_bits
from .shape import reshape

_I64 = dtypes.int64.np
# what the kernels compare as it is
_COMPARED = {F32: kernels.FLOAT, F64: kernels.FLOAT, _I64: kernels.SIGNED, dtypes.int32.np: kernels.SIGNED}

SortResult = return_types.sort
TopkResult = return_types.topk
HistogramResult = return_types.histogram
KthvalueResult = return_types.kthvalue
MedianResult = return_types.median
NanmedianResult = return_types.nanmedian
ModeResult = return_types.mode


class Sort(Node):
    __slots__ = ("dim", "index", "keepdim", "shape")

    def backward(self, grad, _=None):
        if not self.keepdim:
            grad = grad.unsqueeze(self.dim)
        return gather_backward(grad, self.index, self.dim, self.shape)


class Topk(Sort):
    __slots__ = ()


class Kthvalue(Sort):
    __slots__ = ()


class Median(Sort):
    __slots__ = ()

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "MedianBackward1"


class Mode(Sort):
    __slots__ = ()


def _rows(d, dim):
    """An ndarray as C-contiguous rows (rows, n) along a dimension, of a type that the kernels compare."""
    if d.ndim == 0:
        d = d.reshape(1)
    moved = d if dim == d.ndim - 1 else np.moveaxis(d, dim, -1)
    if moved.dtype in HALF:
        moved = moved.astype(np.float32)
    elif moved.dtype.itemsize < 4:
        moved = moved.astype(np.int32)
    n = moved.shape[-1]
    return np.ascontiguousarray(moved).reshape(moved.size // n if n else 0, n)


def _kind(rows):
    return {"f": kernels.FLOAT, "i": kernels.SIGNED, "u": kernels.UNSIGNED}[rows.dtype.kind]


def _order(d, dim, k, descending):
    """int64 positions along a dimension of the first ``k`` elements of the sorted order, with the dimension in
    place."""
    rows = _rows(d, dim)
    shape = d.shape[:dim] + d.shape[dim + 1 :]
    n = rows.shape[1]
    order = empty((rows.shape[0], k), _I64)
    if order.size:
        if k <= kernels.SMALL_K and k < n:
            kernels.top_rows(as_bits(rows), order, _kind(rows), descending)
        else:
            full = order if k == n else empty(rows.shape, _I64)
            bits = as_bits(rows)
            kernels.sort_rows(bits, full, bits[:0], _kind(rows), descending)
            order = full if k == n else np.ascontiguousarray(full[:, :k])
    order = order.reshape(*shape, k)
    return np.ascontiguousarray(np.moveaxis(order, -1, dim)) if dim < d.ndim - 1 else order


def _taken(d, index, dim):
    """The elements at positions along a dimension."""
    if not d.ndim or not d.flags.c_contiguous:
        d = np.ascontiguousarray(d)
    out = empty(index.shape, d.dtype)
    if out.size:
        outer, inner = prod(d.shape[:dim]), prod(d.shape[dim + 1 :])
        source, index, target = (a.reshape(outer, -1, inner) for a in (as_bits(d), index, as_bits(out)))
        index_kernels.gather_forward(source, index, target)
    return out


def _selected(input, index, dim, keepdim, node_type):
    """The pair (values, indices) for positions along a dimension, recorded."""
    d = input._data
    values = _taken(d, index, dim)
    shape = values.shape if keepdim else values.shape[:dim] + values.shape[dim + 1 :]
    if d.ndim == 0:
        shape = ()
    values, indices = wrap(values.reshape(shape)), wrap(index.reshape(shape))
    if input._rg and grad_mode.grad:
        node = node_type(input)
        node.index, node.dim, node.keepdim, node.shape = index, dim, keepdim and d.ndim > 0, d.shape or (1,)
        if d.ndim == 0:
            node.keepdim = False
            node = _scalar_node(node)
        node.attach_all((values, indices))
    return values, indices


class _Scalar(Node):
    """Of a tensor without dimensions there is one element to choose."""

    __slots__ = ("inner",)

    def name(self):
        return self.inner.name()

    def backward(self, grad, _=None):
        return grad


def _scalar_node(node):
    outer = _Scalar()
    outer.next, outer.inner = node.next, node
    return outer


def _sorted_rows(input, d, n, descending):
    """The pair (values, indices) along the last dimension of a C-contiguous array, values written with indices."""
    order, values = empty(d.shape, _I64), empty(d.shape, d.dtype)
    uint, rows = BITS[d.itemsize], (d.size // n, n)
    bits, sorted_bits = d.view(uint).reshape(rows), values.view(uint).reshape(rows)
    kernels.sort_rows(bits, order.reshape(rows), sorted_bits, _COMPARED[d.dtype], descending)
    values, indices = wrap(values), wrap(order)
    if input._rg and grad_mode.grad:
        node = Sort(input)
        node.index, node.dim, node.keepdim, node.shape = order, d.ndim - 1, True, d.shape
        node.attach_all((values, indices))
    return values, indices


@numpy_names
def sort(input, *args, stable=None, dim=None, descending=None, out=None):
    """Sorts along a dimension; equal elements keep their order.

    Args:
        input: tensor of any dtype.
        args: ``dim`` and ``descending``, or ``stable``, ``dim`` and ``descending``, by position.
        dim: the dimension, the last by default.
        descending: from the largest to the smallest.
        stable: accepted; the order is always stable.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        both results have that of ``input``; the indices are int64.

    Returns:
        A named tuple (values, indices).

    Raises:
        TypeError: ``input`` is not a tensor, or ``out`` no tuple of two.
        IndexError: there is no such dimension.
        RuntimeError: ``out`` cannot hold the result.

    >>> import tnn
    >>> tnn.sort(tnn.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    check_tensor("sort", "input", input, 1)
    dim, descending = _dim_and_flag("sort", args, dim, descending)
    dim = wrap_dim(dim, input._data.ndim)
    n = input._data.shape[dim] if input._data.ndim else 1
    d = input._data
    if d.ndim and dim == d.ndim - 1 and d.size and d.flags.c_contiguous and d.dtype in _COMPARED:
        result = _sorted_rows(input, d, n, descending)
    else:
        result = _selected(input, _order(d, dim, n, descending), dim, True, Sort)
    return SortResult(*(into(out, result, "sort", input) if out is not None else result))


def _dim_and_flag(name, args, dim, flag):
    if len(args) > 2:
        raise TypeError(f"{name}() takes a dimension and a flag, but got {len(args)} positional arguments")
    if len(args) == 2:
        dim, flag = args
    elif args and isinstance(args[0], bool):
        flag = args[0]
    elif args:
        dim = args[0]
    return -1 if dim is None else dim, bool(flag)


@numpy_names
def argsort(input, dim=-1, descending=False, *, stable=False):
    """The indices that sort along a dimension: ``input.gather(dim, argsort(input, dim))`` is sorted.

    Args:
        input: tensor of any dtype.
        dim: the dimension.
        descending: from the largest to the smallest.
        stable: accepted; the order is always stable.

    Shape:
        that of ``input``, int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
    """
    check_tensor("argsort", "input", input, 1)
    if isinstance(dim, bool):
        dim, descending = -1, dim
    dim = wrap_dim(dim, input._data.ndim)
    n = input._data.shape[dim] if input._data.ndim else 1
    order = _order(input._data, dim, n, bool(descending))
    return wrap(order.reshape(input._data.shape))


def msort(input, *, out=None):
    """The input sorted along its first dimension.

    Args:
        input: tensor of any dtype.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("msort", "input", input, 1)
    return into(out, sort(input, 0).values, "msort", input)


@numpy_names
def topk(input, k, dim=-1, largest=True, sorted=True, *, out=None):
    """The ``k`` largest (or smallest) elements along a dimension, in order.

    Args:
        input: tensor of any dtype.
        k: how many.
        dim: the dimension, the last by default.
        largest: the largest, or else the smallest.
        sorted: accepted; the result is always sorted.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        (..., n, ...) to (..., k, ...), both results.

    Returns:
        A named tuple (values, indices).

    Raises:
        TypeError: ``input`` is not a tensor, or ``out`` no tuple of two.
        IndexError: there is no such dimension.
        RuntimeError: ``k`` is negative or larger than the dimension, or ``out`` cannot hold the result.
    """
    check_tensor("topk", "input", input, 1)
    d = input._data
    dim, k = wrap_dim(dim, d.ndim), int(k)
    if not 0 <= k <= (d.shape[dim] if d.ndim else 1):
        raise RuntimeError("selected index k out of range")
    result = _selected(input, _order(d, dim, k, bool(largest)), dim, True, Topk)
    return TopkResult(*(into(out, result, "topk") if out is not None else result))


@numpy_names
def kthvalue(input, k, dim=-1, keepdim=False, *, out=None):
    """The ``k``-th smallest element along a dimension, counted from 1.

    Args:
        input: tensor of any dtype.
        k: which, from 1 on.
        dim: the dimension, the last by default.
        keepdim: keep the dimension with size 1.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        (*, n) gives (*), or (*, 1) with ``keepdim``.

    Returns:
        A named tuple (values, indices).

    Raises:
        TypeError: ``input`` is not a tensor, or ``out`` no tuple of two.
        IndexError: there is no such dimension, or it has size 0.
        RuntimeError: ``k`` is out of range, or ``out`` cannot hold the result.
    """
    check_tensor("kthvalue", "input", input, 1)
    d = input._data
    dim = wrap_dim(dim, d.ndim)
    n = d.shape[dim] if d.ndim else 1
    if not 1 <= k <= n:
        if n == 0:
            raise IndexError(f"kthvalue(): Expected reduction dim {dim} to have non-zero size.")
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    order = _order(d, dim, k, False)
    index = np.ascontiguousarray(order.take([k - 1], dim if d.ndim else 0))
    result = _selected(input, index, dim, keepdim, Kthvalue)
    return KthvalueResult(*(into(out, result, "kthvalue", input) if out is not None else result))


# -- median and mode


class MedianAll(Node):
    """Of the median of all elements: the gradient is shared by the elements that equal it."""

    __slots__ = ()

    def name(self):
        return "MedianBackward0"

    def backward(self, grad):
        x, value = self.saved_tensors()
        d, v = x._data, value._data
        same = np.isnan(d) if np.isnan(v) else d == v
        return wrap(same.astype(d.dtype)) * (grad * (1 / float(same.sum())))


def _middle(d, dim, ignore_nan):
    """Positions, with the dimension kept at size 1, of the lower median; of the first NaN unless those are ignored."""
    n = d.shape[dim]
    order = _order(d, dim, n, False)
    if d.dtype.kind in "iub":
        return np.ascontiguousarray(order.take([(n - 1) // 2], dim))
    nan = np.isnan(d.astype(np.float32) if d.dtype in HALF else d)
    count = (~nan).sum(dim, keepdims=True)
    if ignore_nan:
        place = np.maximum(count - 1, 0) // 2
    else:  # in ascending order the NaNs come last, the first of them first
        place = np.where(count < n, count, (n - 1) // 2)
    return np.ascontiguousarray(np.take_along_axis(order, place, dim))


def _median(name, input, dim, keepdim, ignore_nan, result_type):
    check_tensor(name, "input", input, 1)
    d = input._data
    if dim is None:
        flat = d.reshape(-1)
        if not flat.size:
            value = wrap(np.full((), np.nan if d.dtype.kind not in "iub" else np.iinfo(d.dtype).min, d.dtype))
            return value
        if ignore_nan or (d.dtype is not F32 and d.dtype is not F64):
            value = _taken(flat, _middle(flat, 0, ignore_nan), 0)
        else:
            middle = (flat.size - 1) // 2
            value = np.partition(flat, middle)[middle : middle + 1]
            if np.isnan(flat).any():
                value = np.full(1, np.nan, d.dtype)
        value = wrap(value.reshape(()))
        if input._rg and grad_mode.grad:
            node = MedianAll(input)
            node.attach(value)
            node.save(input, value)
        return value
    dim = wrap_dim(dim, d.ndim)
    if d.ndim and d.shape[dim] == 0:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    index = _middle(np.atleast_1d(d), dim, ignore_nan)
    return result_type(*_selected(input, index, dim, keepdim, Median))


@numpy_names
def median(input, dim=None, keepdim=False, *, out=None):
    """The median: of an even number of elements the lower of the two in the middle; NaN if one is NaN.

    Args:
        input: tensor of any dtype.
        dim: the dimension; without one, the median of all elements is given as a single tensor.
        keepdim: keep the dimension with size 1.
        out: with ``dim``, a tuple of two tensors to write the results to, or None.

    Returns:
        A tensor, or with ``dim`` a named tuple (values, indices).

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension, or it has size 0.
        RuntimeError: ``out`` cannot hold the result.
    """
    result = _median("median", input, dim, keepdim, False, MedianResult)
    return result if out is None else MedianResult(*into(out, result, "median"))


@numpy_names
def nanmedian(input, dim=None, keepdim=False, *, out=None):
    """The median of the elements that are not NaN: of an even number of elements the lower of the two in the middle.

    Args:
        input: tensor of any dtype.
        dim: the dimension; without one, the median of all elements is given as a single tensor.
        keepdim: keep the dimension with size 1.
        out: with ``dim``, a tuple of two tensors to write the results to, or None.

    Returns:
        A tensor, or with ``dim`` a named tuple (values, indices).

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension, or it has size 0.
        RuntimeError: ``out`` cannot hold the result.
    """
    result = _median("nanmedian", input, dim, keepdim, True, NanmedianResult)
    return result if out is None else NanmedianResult(*into(out, result, "nanmedian"))


@numpy_names
def mode(input, dim=-1, keepdim=False, *, out=None):
    """The most frequent element along a dimension, the smallest of several.

    Args:
        input: any dtype.
        dim: the dimension.
        keepdim: keep it, with size 1.
        out: where to write values and indices.

    Returns:
        A named tuple (values, indices); the index is that of its last occurrence.

    Raises:
        IndexError: no such dimension, or it is empty.
        RuntimeError: ``out`` cannot hold the result.
    """
    check_tensor("mode", "input", input, 1)
    d = input._data
    dim = wrap_dim(dim, d.ndim)
    n = d.shape[dim] if d.ndim else 1
    if n == 0:
        raise IndexError(f"mode(): Expected reduction dim {dim} to have non-zero size.")
    order = np.moveaxis(_order(d, dim, n, False), dim, -1)
    x = np.moveaxis(np.atleast_1d(d), dim, -1)
    if x.dtype in HALF:
        x = x.astype(np.float32)
    values = np.take_along_axis(x, order, -1)
    place = np.arange(n)
    new = np.ones(values.shape, bool)
    new[..., 1:] = values[..., 1:] != values[..., :-1]
    start = np.maximum.accumulate(np.where(new, place, 0), -1)  # where the run of equal elements begins
    best = (place - start).argmax(-1)[..., None]  # the first run that becomes longest; its last element
    index = np.ascontiguousarray(np.moveaxis(np.take_along_axis(order, best, -1), -1, dim))
    result = _selected(input, index, dim, keepdim, Mode)
    return ModeResult(*(into(out, result, "mode") if out is not None else result))


# -- quantiles

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(name, input, q, dim, keepdim, interpolation, ignore_nan):
    check_tensor(name, "input", input, 1)
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    d = input._data
    if d.dtype not in dtypes.COMPUTE:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if not d.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if isinstance(q, Tensor):
        if q._data.dtype != d.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        if q._data.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        probabilities, q = q._data, reshape(q, (-1,))
    else:
        probabilities = np.asarray(q, d.dtype)
        q = wrap(probabilities.reshape(-1))
    if probabilities.size and not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    ndim = d.ndim
    x = reshape(input, (-1,)) if dim is None else (input if ndim else reshape(input, (1,)))
    axis = 0 if dim is None else wrap_dim(dim, ndim)
    ordered = sort(x.movedim(axis, -1) if x._data.ndim > 1 else x, -1).values
    result = _interpolate(ordered, q, interpolation, ignore_nan)
    lead = (probabilities.size,) if probabilities.ndim else ()
    rest = list(ordered._data.shape[:-1])
    if keepdim:
        rest = [1] * ndim if dim is None else (rest[:axis] + [1] + rest[axis:] if ndim else rest)
    return reshape(result, (*lead, *rest))


def _interpolate(ordered, fractions, interpolation, ignore_nan):
    """(number of fractions, ...) values between the elements of sorted rows (..., n)."""
    d = ordered._data
    n, kind = d.shape[-1], d.dtype
    nan = np.isnan(d)
    count = (~nan).sum(-1) if ignore_nan else np.full(d.shape[:-1], n)
    last = np.maximum(count - 1, 0)
    column, last = (-1,) + (1,) * last.ndim, last.astype(kind)
    rank = fractions._data.reshape(column) * last
    if not ignore_nan:
        rank = np.where(nan.any(-1), kind.type(n - 1), rank)
    if interpolation == "nearest":
        rank = np.round(rank)
    elif interpolation == "lower":
        rank = np.floor(rank)
    elif interpolation == "higher":
        rank = np.ceil(rank)
    low, high = np.floor(rank), np.ceil(rank)
    weight = np.full(rank.shape, 0.5, kind) if interpolation == "midpoint" else (rank - low).astype(kind)
    low_value, high_value = (
        ordered.gather(-1, wrap(np.ascontiguousarray(np.moveaxis(r, 0, -1), _I64))).movedim(-1, 0) for r in (low, high)
    )
    if interpolation in ("lower", "higher", "nearest"):
        return low_value
    weight = wrap(weight)
    if recording(fractions) and interpolation == "linear":
        weight = reshape(fractions, column) * wrap(last) - wrap(low)
    return low_value.lerp(high_value, weight)


@numpy_names
@casts("float32")
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """The values below which the fractions ``q`` of the elements lie; NaN where an element is NaN.

    Args:
        input: float32 or float64.
        q: a number or a vector of numbers from 0 to 1, of the input's dtype; a vector adds a first dimension.
        dim: the dimension, or all elements.
        keepdim: keep the dimension with size 1.
        interpolation: between two elements: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` or ``"nearest"``.
        out: tensor to write the result to, or None.

    Shape:
        that of the input without ``dim`` (or with size 1), behind the size of ``q`` if that is a vector.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``q`` is out of range, there are no elements, or dtypes do not fit, or ``out`` cannot hold the
            result.
    """
    return into(out, _quantile("quantile", input, q, dim, keepdim, interpolation, False), "quantile")


@numpy_names
@casts("float32")
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", out=None):
    """The values below which the fractions ``q`` of the elements that are not NaN lie.

    Args:
        input: float32 or float64.
        q: a number or a vector of numbers from 0 to 1, of the input's dtype; a vector adds a first dimension.
        dim: the dimension, or all elements.
        keepdim: keep the dimension with size 1.
        interpolation: between two elements: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` or ``"nearest"``.
        out: tensor to write the result to, or None.

    Shape:
        that of the input without ``dim`` (or with size 1), behind the size of ``q`` if that is a vector.

    Raises:
        TypeError: ``input`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: ``q`` is out of range, there are no elements, or dtypes do not fit, or ``out`` cannot hold the
            result.
    """
    return into(out, _quantile("nanquantile", input, q, dim, keepdim, interpolation, True), "nanquantile")


def histc(input, bins=100, min=0, max=0, *, out=None):
    """How many elements fall in each of equal bins between ``min`` and ``max`` (both 0: those of the input).

    Args:
        input: floating point, any shape.
        bins: how many.
        min, max: the limits; elements outside do not count.
        out: where to write the result.

    Shape:
        (*) gives (bins,), of the dtype of the input.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the numbers or the dtype do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("histc", "input", input, 1)
    d = input._data
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{input.dtype.torch_name}'")
    x = dense(input).reshape(-1).astype(np.float64)
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("max must be larger than min")
    x = x[(x >= low) & (x <= high)]
    place = np.minimum(((x - low) * bins / (high - low)).astype(_I64), bins - 1)
    return into(out, wrap(np.bincount(place, minlength=bins).astype(d.dtype)), "histc")


def histogram(input, bins, *, range=None, weight=None, density=False, out=None):
    """How many elements fall in each bin; the last bin holds its right edge too.

    Args:
        input: float32 or float64.
        bins: their number, or a tensor of their edges in rising order.
        range: (lowest, highest) edge where ``bins`` is a number; those of the input unless given.
        weight: what each element counts, of the input's shape and dtype.
        density: divide by the total and the bins' widths.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        A named tuple (hist, bin_edges).

    Raises:
        TypeError: ``input`` is not a tensor.
        NotImplementedError: it is of another dtype.
        RuntimeError: dtypes, shapes or edges do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("histogram", "input", input, 1)
    d = input._data
    if d.dtype not in (F32, F64):
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{input.dtype.torch_name}'")
    if weight is not None:
        check_tensor("histogram", "weight", weight)
    if weight is not None and (weight._data.shape != d.shape or weight._data.dtype != d.dtype):
        raise RuntimeError(
            f"histogram(): expected weight of shape {list(d.shape)} and dtype {input.dtype}, got "
            f"{list(weight._data.shape)} and {weight.dtype}"
        )
    if isinstance(bins, Tensor):
        edges = bins._data
        if edges.ndim != 1 or edges.size < 2 or edges.dtype != d.dtype:
            raise RuntimeError(f"histogram(): bins must be a vector of at least two edges of dtype {input.dtype}")
    else:
        if bins <= 0:
            raise RuntimeError(f"histogram(): bins must be > 0, got {bins}")
        low, high = range if range is not None else (d.min(), d.max()) if d.size else (0.0, 1.0)
        if not (np.isfinite(low) and np.isfinite(high)) or low > high:
            raise RuntimeError(f"histogram(): range [{low}, {high}] is not finite and rising")
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1).astype(d.dtype)
    x, n = d.reshape(-1), edges.size - 1
    place = np.searchsorted(edges, x, "right") - 1
    place[x == edges[-1]] = n - 1
    inside = (place >= 0) & (place < n) & (x <= edges[-1])
    counts = None if weight is None else weight._data.reshape(-1)[inside]
    hist = np.bincount(place[inside], counts, n).astype(d.dtype)
    if density:
        hist = hist / (hist.sum() * np.diff(edges))
    result = HistogramResult(wrap(hist), wrap(np.array(edges)))
    return result if out is None else HistogramResult(*into(out, tuple(result), "histogram"))
