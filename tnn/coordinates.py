"""Sparse tensors as coordinates and values: building, densifying, and products with dense matrices."""

import math

import numpy as np

from . import dtypes, formats
from .printing import tensor_str
from .sparse import _Absent
from .tensor import Tensor, _new, check_device, wrap


class CooTensor(Tensor):
    """A tensor that is zero but at given places; places named more than once add up.

    Made by :func:`sparse_coo_tensor` or ``tensor.to_sparse()``.

    Args:
        indices: ndarray (sparse dimensions, n) int64, checked.
        values: a Tensor (n, ...); gradients flow to it.
        shape: the whole tensor's shape.
    """

    __slots__ = ("_places", "_numbers", "_coalesced")

    is_sparse = True
    layout = formats.sparse_coo

    def __new__(cls, indices, values, shape, coalesced=False):
        t = _new(cls)
        t._data = _Absent(shape, values._data.dtype)
        t._rg = False
        t._nr = 0
        t._node = t._grad = t._version = t._base = t._hooks = None
        t._places, t._numbers, t._coalesced = indices, values, coalesced
        return t

    def _indices(self):
        """The places, (sparse dimensions, n) int64."""
        return wrap(self._places)

    def _values(self):
        """The values, (n, ...)."""
        return self._numbers

    def indices(self):
        """The places of a coalesced tensor."""
        self._need_coalesced("indices")
        return self._indices()

    def values(self):
        """The values of a coalesced tensor."""
        self._need_coalesced("values")
        return self._numbers

    def _need_coalesced(self, what):
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    def _nnz(self):
        """How many places are named."""
        return self._places.shape[1]

    def sparse_dim(self):
        """The number of dimensions that places are given for."""
        return self._places.shape[0]

    def dense_dim(self):
        """The number of a value's dimensions."""
        return self._data.ndim - self._places.shape[0]

    def is_coalesced(self):
        """Whether the places are distinct and in order."""
        return self._coalesced

    def _flat(self):
        lead = self._data.shape[: self._places.shape[0]]
        return np.ravel_multi_index(tuple(self._places), lead) if self._nnz() else np.zeros(0, np.int64), lead

    def coalesce(self):
        """The same tensor with distinct places in order."""
        if self._coalesced:
            return self
        flat, lead = self._flat()
        places, inverse = np.unique(flat, return_inverse=True)
        v = self._numbers
        total = v.new_zeros(len(places), *v.shape[1:]).index_add(0, wrap(inverse.astype(np.int64)), v)
        indices = np.stack(np.unravel_index(places, lead)).astype(np.int64)
        return CooTensor(indices, total, self._data.shape, True)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The tensor with its zeros; gradients flow to the values."""
        flat, lead = self._flat()
        v = self._numbers
        full = v.new_zeros(math.prod(lead), *v.shape[1:]).index_add(0, wrap(flat.astype(np.int64)), v)
        out = full.reshape(self._data.shape)
        return out if dtype is None else out.to(dtype)

    def t(self):
        """The transposed matrix."""
        if self._data.ndim != 2 or self.sparse_dim() != 2:
            raise RuntimeError(f"t(): expected a sparse matrix, got shape {list(self._data.shape)}")
        return CooTensor(np.ascontiguousarray(self._places[::-1]), self._numbers, self._data.shape[::-1])

    def _with(self, values):
        return CooTensor(self._places, values, self._data.shape, self._coalesced)

    def to(self, *args, **kwargs):
        """The tensor with another dtype."""
        return self._with(self._numbers.to(*args, **kwargs))

    def float(self):
        """The tensor cast to float32."""
        return self._with(self._numbers.float())

    def double(self):
        """The tensor cast to float64."""
        return self._with(self._numbers.double())

    def detach(self):
        """The tensor with values outside the tape."""
        return self._with(self._numbers.detach())

    def clone(self, *, memory_format=None):
        """A copy."""
        return CooTensor(self._places.copy(), self._numbers.clone(), self._data.shape, self._coalesced)

    def mul(self, other):
        """The tensor times a number."""
        return self._with(self._numbers * other)

    __mul__ = __rmul__ = mul

    def div(self, other):
        """The tensor divided by a number."""
        return self._with(self._numbers / other)

    __truediv__ = div

    def matmul(self, other):
        """The product with a dense matrix or vector, dense."""
        if isinstance(other, Tensor) and other._data.ndim == 1:
            return mm(self, other.unsqueeze(1)).squeeze(1)
        return mm(self, other)

    __matmul__ = mm = spmm = matmul

    def __repr__(self):
        indices = tensor_str(self._indices(), "tensor(indices=tensor(")
        values = tensor_str(self._numbers, "       values=tensor(")
        return f"{indices},\n{values},\n       size={tuple(self._data.shape)}, nnz={self._nnz()}, layout={self.layout})"

    def __deepcopy__(self, memo):
        return self.detach().clone()

    def __reduce_ex__(self, protocol):
        return CooTensor, (self._places, self._numbers.detach(), tuple(self._data.shape), self._coalesced)


def sparse_coo_tensor(
    indices, values, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False,
    check_invariants=None, is_coalesced=None,
):  # fmt: skip
    """A sparse tensor from coordinates and values.

    Args:
        indices: (sparse dimensions, n) integers.
        values: (n, ...).
        size: the shape; the smallest that holds all places unless given.
        dtype: of the values.

    Raises:
        RuntimeError: shapes do not fit, or a place lies outside ``size``.

    >>> import tnn
    >>> tnn.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    from .ops.creation import as_tensor

    check_device(device)
    i, v = as_tensor(indices)._data, as_tensor(values, dtype=dtype)
    if i.size and i.dtype.kind not in "iu":
        raise RuntimeError(f"indices must be an int64 tensor, but got {dtypes.of(i.dtype)}")
    if i.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(i.shape)}")
    if v._data.ndim == 0 or v._data.shape[0] != i.shape[1]:
        raise RuntimeError(f"indices and values must have same nnz, got {i.shape[1]} and shape {list(v.shape)}")
    i = np.ascontiguousarray(i, np.int64)
    lead = tuple((i.max(1) + 1).tolist()) if i.size else (0,) * i.shape[0]
    shape = (*lead, *v._data.shape[1:]) if size is None else tuple(int(n) for n in size)
    if len(shape) != i.shape[0] + v._data.ndim - 1 or shape[i.shape[0] :] != v._data.shape[1:]:
        raise RuntimeError(
            f"sizes do not fit: size {list(shape)}, {i.shape[0]} sparse dimensions, values {list(v.shape)}"
        )
    for axis, n in enumerate(shape[: i.shape[0]]):
        if i.shape[1] and not (0 <= i[axis].min() and i[axis].max() < n):
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {axis}, size is {n} but found index "
                f"{i[axis].min() if i[axis].min() < 0 else i[axis].max()}"
            )
    if requires_grad:
        v = v.requires_grad_()
    return CooTensor(i, v, shape, bool(is_coalesced))


def to_sparse(self, sparse_dim=None):
    """The tensor as coordinates and values of what is not zero, in its first ``sparse_dim`` dimensions (or all)."""
    d = self._data
    n = d.ndim if sparse_dim is None else sparse_dim
    if not 0 < n <= d.ndim:
        raise RuntimeError(f"sparse_dim argument must be in [1, {d.ndim}], but got {n}")
    there = d != 0
    if n < d.ndim:
        there = there.reshape(*d.shape[:n], -1).any(-1)
    places = np.stack(np.nonzero(there)).astype(np.int64)
    values = self[tuple(wrap(p) for p in places)]
    return CooTensor(places, values, d.shape, True)


def mm(sparse, dense):
    """The product of a sparse matrix (n, k) (or a dense one) and a dense one (k, m), dense; both get gradients.

    Raises:
        TypeError: the operands are not such tensors.
        RuntimeError: they are not matrices, or sizes do not fit.
    """
    if type(sparse) is type(dense) is Tensor:  # spmm takes what adjacency matrices there are
        return sparse.mm(dense)
    if not isinstance(sparse, CooTensor) or not isinstance(dense, Tensor) or dense.is_sparse:
        raise TypeError(f"sparse mm(): expected a sparse and a dense tensor, got {type(sparse)} and {type(dense)}")
    a, b = sparse._data.shape, dense._data.shape
    if len(a) != 2 or sparse.sparse_dim() != 2 or len(b) != 2 or a[1] != b[0]:
        raise RuntimeError(f"sparse mm(): shapes {list(a)} and {list(b)} cannot be multiplied")
    rows, columns = (wrap(np.ascontiguousarray(p)) for p in sparse._places)
    terms = sparse._numbers.unsqueeze(1) * dense.index_select(0, columns)
    return terms.new_zeros(a[0], b[1]).index_add(0, rows, terms)
