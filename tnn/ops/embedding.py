"""Tables of vectors: embedding and embedding_bag."""

import math
from functools import lru_cache

import numpy as np

from ..autograd.grad_mode import mode as grad_mode
from ..autograd.node import Node
from ..kernels import embedding as kernels
from ..kernels._pick import ROWS, picked
from ..kernels._pool import empty
from ..sparse import SparseTensor
from ..tensor import Tensor, wrap
from ._common import check_floating, check_tensor, dense, half_as_float32

_NONE = -1
_INTEGER = (np.dtype(np.int64), np.dtype(np.int32))


def _check_index(function, input, rows):
    """The indices as a flat int64 array, checked."""
    check_tensor(function, "input", input, 1)
    if input._data.dtype not in _INTEGER:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{input.dtype} instead (while checking arguments for {function})"
        )
    index = np.ascontiguousarray(input._data, np.int64).reshape(-1)
    bad = kernels.invalid_index(index, rows)
    if bad >= 0:
        raise IndexError(f"index out of range in self: {function} got index {index[bad]}, expected 0 <= index < {rows}")
    return index


def _padding(padding_idx, rows):
    if padding_idx is None:
        return _NONE
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings: got {padding_idx} for {rows} rows")
    return padding_idx + rows if padding_idx < 0 else padding_idx


def _renorm(weight, index, max_norm, norm_type):
    """Bounds the norms of the rows that are looked up, in place and unrecorded."""
    if weight._data.flags.c_contiguous:
        kernels.renorm_rows(weight._data, np.unique(index), float(norm_type), float(max_norm))
    else:
        data = np.ascontiguousarray(weight._data)
        kernels.renorm_rows(data, np.unique(index), float(norm_type), float(max_norm))
        weight._data[...] = data
    weight._bump()


def _scale(index, rows, scale, by_freq):
    """A factor for each index: given ones, divided by how often the index is asked for."""
    if by_freq and index.size:
        count = np.empty(rows, np.int64)
        kernels.count_rows(index, count)
        scale = (scale / count[index]).astype(scale.dtype)
    return scale


class Rows(Node):
    """The gradient of a table's rows; shared by embedding and the sums and means of embedding_bag."""

    __slots__ = ("index", "source", "scale", "pad", "shape", "sparse")


class EmbeddingBackward(Rows):
    """Gathers back what :func:`_to_rows` scattered."""

    __slots__ = ()

    def backward(self, grad):
        picked = embedding(wrap(self.index), grad) * wrap(np.where(self.index == self.pad, 0, self.scale)[:, None])
        out = wrap(np.zeros((int(self.source.max(initial=-1)) + 1, self.shape[1]), self.scale.dtype))
        return out.index_add(0, wrap(self.source), picked)


def _to_rows(grad, node):
    """The table's gradient from ``grad`` (m, D): row source[i] times scale[i] goes to row index[i]."""
    g = dense(grad)
    if node.sparse:
        keep = node.index != node.pad
        rows = node.index[keep]
        return SparseTensor(rows, g[node.source[keep]] * node.scale[keep][:, None], node.shape)
    gw = empty(node.shape, g.dtype)
    kernels.add_rows(g, node.source, node.scale, node.index, node.pad, gw)
    out = wrap(gw)
    if grad._rg and grad_mode.grad:
        again = EmbeddingBackward(grad)
        for name in ("index", "source", "scale", "pad", "shape", "sparse"):
            setattr(again, name, getattr(node, name))
        again.attach(out)
    return out


class Embedding(Rows):
    __slots__ = ()

    def backward(self, grad):
        return _to_rows(grad.reshape(math.prod(grad.shape[:-1]), self.shape[1]), self)


@half_as_float32
def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):  # fmt: skip
    """The rows of a table: ``y[...] = weight[input[...]]``.

    Args:
        input: (*), int64 or int32 in [0, V).
        weight: (V, D), floating point.
        padding_idx: a row that gets no gradient.
        max_norm: rows that are looked up and whose norm exceeds it are first scaled down to it, in place.
        norm_type: the degree of that norm.
        scale_grad_by_freq: divide gradients by how often a row is looked up.
        sparse: give the weight a sparse gradient, of the rows alone.

    Returns:
        (*, D).

    Raises:
        IndexError: an index lies outside [0, V).
        RuntimeError: the indices are no integers, or the weight is no matrix.
        AssertionError: ``padding_idx`` lies outside the table.

    >>> import tnn
    >>> tnn.nn.functional.embedding(tnn.tensor([1, 0]), tnn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    check_tensor("embedding", "weight", weight, 2)
    if weight.dim() != 2:
        raise RuntimeError(f"'weight' must be 2-D, got {list(weight._data.shape)}")
    rows, width = weight._data.shape
    pad = _padding(padding_idx, rows)
    if max_norm is None and isinstance(input, Tensor) and not (weight._rg and grad_mode.grad):
        data = picked(weight._data, 0, input._data, ROWS)
        if data is not None:
            return wrap(data)
    index = _check_index("embedding", input, rows)
    if max_norm is not None:
        _renorm(weight, index, max_norm, norm_type)
    w = dense(weight)
    y = empty(input._data.shape + (width,), w.dtype)
    kernels.embedding_forward(w, index, y.reshape(index.size, width))
    out = wrap(y)
    if weight._rg and grad_mode.grad:
        node = Embedding(weight)
        node.index, node.pad, node.shape, node.sparse = index, pad, w.shape, sparse
        node.source = np.arange(index.size)
        node.scale = _scale(index, rows, np.ones(index.size, w.dtype), scale_grad_by_freq)
        node.attach(out)
    return out


class EmbeddingBag(Rows):
    """Sums and means; the second input is the weight of each sample."""

    __slots__ = ()

    def backward(self, grad):
        w, s = self.saved_tensors()
        if self.next[1] is None:
            return _to_rows(grad, self), None
        if grad_mode.grad:
            return self.composed(grad, w, s)
        gw = _to_rows(grad, self) if self.needs(0) else None
        gs = empty(self.index.size, w._data.dtype)
        kernels.bag_weight_backward(dense(grad), dense(w), self.index, self.source, self.pad, gs)
        return gw, wrap(gs)

    def composed(self, grad, w, s):
        """Both gradients by differentiable operations."""
        index, keep = wrap(self.index), wrap((self.index != self.pad).astype(w._data.dtype))
        rows = grad.index_select(0, wrap(self.source)) * keep.unsqueeze(1)
        gw = wrap(np.zeros(self.shape, w._data.dtype)).index_add(0, index, rows * s.unsqueeze(1))
        return gw, (rows * w.index_select(0, index)).sum(1)


class EmbeddingBagMax(Node):
    __slots__ = ("shape",)

    def name(self):
        return "EmbeddingBagBackward0"

    def backward(self, grad):
        (best,) = self.saved_tensors()
        gw = empty(self.shape, grad._data.dtype)
        kernels.bag_max_backward(dense(grad), best._data, gw)
        out = wrap(gw)
        if grad._rg and grad_mode.grad:
            again = EmbeddingBagMaxBackward(grad)
            again.best = best
            again.attach(out)
        return out


class EmbeddingBagMaxBackward(Node):
    """Gathers back what was scattered to the largest rows."""

    __slots__ = ("best",)

    def backward(self, grad):
        return grad.gather(0, self.best.clamp_min(0)) * (self.best >= 0)


@lru_cache(64)
def _even_bounds(batch, length):
    return np.arange(batch + 1, dtype=np.int64) * length


@lru_cache(64)
def _even_source(batch, length):
    return np.repeat(np.arange(batch), length)


@lru_cache(64)
def _ones(n, np_dtype):
    return np.ones(n, np_dtype)


def _bounds(input, offsets, include_last_offset):
    """The flat indices' bag limits (B + 1,)."""
    n = input._data.size
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        batch, length = input._data.shape
        return _even_bounds(batch, length)
    if input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    check_tensor("embedding_bag", "offsets", offsets)
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if offsets.dtype.kind != 1:
        raise RuntimeError(f"offsets must be of an integer dtype, got {offsets.dtype}")
    o = np.ascontiguousarray(offsets._data, np.int64)
    if include_last_offset and not o.size:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if o.size and o[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {o[0]}"
        )
    if o.size and (o[-1] > n or (np.diff(o) < 0).any()):
        raise RuntimeError(f"offsets must not decrease nor exceed the input's length {n}, got {o.tolist()}")
    return o if include_last_offset else np.append(o, n)


@half_as_float32(alike=True)
def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Sums, means or maxima of a table's rows over bags of indices, without the rows in between.

    Args:
        input: (B, n) for bags of one length, or (n,) with ``offsets``; int64 or int32 in [0, V).
        weight: (V, D), floating point.
        offsets: (B,), where each bag starts.
        mode: 'sum', 'mean' or 'max'; an empty bag gives zeros.
        per_sample_weights: a factor for each index, of the input's shape; with mode 'sum' alone.
        include_last_offset: offsets has one more element, the last bag's end.
        padding_idx: a row that does not count.
        max_norm, norm_type, scale_grad_by_freq, sparse: as for :func:`embedding`.

    Returns:
        (B, D).

    Raises:
        IndexError: an index lies outside [0, V).
        ValueError, RuntimeError, NotImplementedError: the arguments contradict each other.
    """
    check_tensor("embedding_bag", "input", input, 1)
    check_tensor("embedding_bag", "weight", weight, 2)
    check_floating("embedding_bag", weight)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if weight.dim() != 2:
        raise RuntimeError(f"embedding_bag: weight must be 2-D, got {list(weight._data.shape)}")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode='{mode}')."
            )
        if per_sample_weights._data.shape != input._data.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, "
                "then it must have the same "
                f"shape as the input ({input.shape})"
            )
        if per_sample_weights._data.dtype != weight._data.dtype:
            raise RuntimeError(
                f"embedding_bag: expected per_sample_weights of dtype {weight.dtype}, got {per_sample_weights.dtype}"
            )
    if mode == "max" and (sparse or scale_grad_by_freq):
        raise ValueError("max mode does not support sparse weights or scaling the gradient by the frequency")
    bounds = _bounds(input, offsets, include_last_offset)
    rows, width = weight._data.shape
    pad = _padding(padding_idx, rows)
    index = _check_index("embedding_bag", input, rows)
    if max_norm is not None:
        _renorm(weight, index, max_norm, norm_type)
    w = dense(weight)
    bags = bounds.size - 1
    factor = _ones(index.size, w.dtype) if per_sample_weights is None else dense(per_sample_weights).reshape(-1)
    y, count = empty((bags, width), w.dtype), np.empty(bags, np.int64)
    best = np.empty((bags if mode == "max" else 0, width), np.int64)
    kernels.bag_forward(w, index, bounds, factor, ("sum", "mean", "max").index(mode), pad, y, best, count)
    out = wrap(y)
    recorded = grad_mode.grad and (weight._rg or (per_sample_weights is not None and per_sample_weights._rg))
    if recorded and mode == "max":
        node = EmbeddingBagMax(weight)
        node.shape = w.shape
        node.save(wrap(best))
        node.attach(out)
    elif recorded:
        flat = None if per_sample_weights is None else per_sample_weights.reshape(-1)
        node = EmbeddingBag(weight, flat)
        even = offsets is None
        node.source = _even_source(*input._data.shape) if even else np.repeat(np.arange(bags), np.diff(bounds))
        scale = factor / np.maximum(count, 1)[node.source] if mode == "mean" else factor
        node.scale = _scale(index, rows, scale.astype(w.dtype, copy=False), scale_grad_by_freq)
        node.index, node.pad, node.shape, node.sparse = index, pad, w.shape, sparse
        node.save(*((weight, flat) if flat is not None and flat._rg else (None, None)))
        node.attach(out)
    return out
