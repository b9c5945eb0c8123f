"""Gradients that touch few rows of a table: the rows' numbers and their values."""

import numpy as np

from . import formats
from .printing import tensor_str
from .tensor import Tensor, _new, wrap


class _Absent:
    """Stands for the dense array that a sparse tensor does not have: knows shape and dtype, computes nothing."""

    __slots__ = ("shape", "dtype", "ndim", "size", "itemsize")

    def __init__(self, shape, dtype):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape))
        self.itemsize = dtype.itemsize


class SparseTensor(Tensor):
    """A tensor whose rows are zero but for some: what ``Embedding(sparse=True)`` gives as its weight's gradient.

    Rows may be named more than once; their values add up (``coalesce`` does so).

    Args:
        rows: ndarray (n,) int64.
        values: ndarray (n, ...).
        shape: the whole tensor's shape.
    """

    __slots__ = ("_rows", "_row_values", "_coalesced")

    is_sparse = True
    layout = formats.sparse_coo

    def __new__(cls, rows, values, shape, coalesced=False):
        t = _new(cls)
        t._data = _Absent(shape, values.dtype)
        t._rg = False
        t._nr = 0
        t._node = t._grad = t._version = t._base = t._hooks = None
        t._rows, t._row_values, t._coalesced = rows, values, coalesced
        return t

    def _indices(self):
        """The rows' numbers, (1, n) int64."""
        return wrap(self._rows[None])

    def _values(self):
        """The rows' values, (n, ...)."""
        return wrap(self._row_values)

    def indices(self):
        """The rows' numbers of a coalesced tensor."""
        self._need_coalesced("indices")
        return self._indices()

    def values(self):
        """The rows' values of a coalesced tensor."""
        self._need_coalesced("values")
        return self._values()

    def _need_coalesced(self, what):
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    def _nnz(self):
        """How many rows are named."""
        return self._rows.size

    def sparse_dim(self):
        """1: rows alone are sparse."""
        return 1

    def dense_dim(self):
        """The number of a row's dimensions."""
        return self._data.ndim - 1

    def is_coalesced(self):
        """Whether the rows are distinct and in order."""
        return self._coalesced

    def coalesce(self):
        """The same tensor with distinct rows in order."""
        if self._coalesced:
            return self
        rows, inverse = np.unique(self._rows, return_inverse=True)
        values = np.zeros((rows.size,) + self._row_values.shape[1:], self._row_values.dtype)
        np.add.at(values, inverse, self._row_values)
        return SparseTensor(rows, values, self._data.shape, True)

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The tensor with its zeros."""
        full = np.zeros(self._data.shape, self._data.dtype)
        np.add.at(full, self._rows, self._row_values)
        out = wrap(full)
        return out if dtype is None else out.to(dtype)

    def _with(self, values):
        return SparseTensor(self._rows, values, self._data.shape, self._coalesced)

    def detach(self):
        """The tensor itself: sparse tensors are not recorded."""
        return self

    def clone(self, *, memory_format=None):
        """A copy."""
        return self._with(self._row_values.copy())

    def to(self, dtype, *args, **kwargs):
        """The tensor with another dtype."""
        return self._with(self._row_values.astype(getattr(dtype, "np", self._row_values.dtype)))

    def neg(self):
        """The negated tensor."""
        return self._with(-self._row_values)

    __neg__ = neg

    def mul(self, other):
        """The tensor times a number."""
        return self._with((self._row_values * float(other)).astype(self._row_values.dtype))

    __mul__ = __rmul__ = mul

    def div(self, other):
        """The tensor divided by a number."""
        return self._with((self._row_values / float(other)).astype(self._row_values.dtype))

    __truediv__ = div

    def mul_(self, other):
        """Multiplies by a number in place."""
        self._row_values *= float(other)
        return self

    def div_(self, other):
        """Divides by a number in place."""
        self._row_values /= float(other)
        return self

    def zero_(self):
        """Makes the tensor zero, in place."""
        self._rows, self._row_values = self._rows[:0], self._row_values[:0]
        return self

    def add(self, other, *, alpha=1):
        """The sum with a sparse tensor (sparse) or a dense one (dense)."""
        if isinstance(other, SparseTensor):
            rows = np.concatenate([self._rows, other._rows])
            values = np.concatenate([self._row_values, other._row_values * self._row_values.dtype.type(alpha)])
            return SparseTensor(rows, values, self._data.shape)
        return self.to_dense() + other * alpha

    __add__ = add

    def __radd__(self, other):
        full = np.array(other._data)
        np.add.at(full, self._rows, self._row_values)
        return wrap(full)

    def norm(self, p=2, *args, **kwargs):
        """The p-norm of all elements."""
        return wrap(self.coalesce()._row_values.reshape(-1)).norm(p)

    def __repr__(self):
        indices = tensor_str(self._indices(), "tensor(indices=tensor(")
        values = tensor_str(self._values(), "       values=tensor(")
        return f"{indices},\n{values},\n       size={tuple(self._data.shape)}, nnz={self._nnz()}, layout={self.layout})"

    def __deepcopy__(self, memo):
        return self.clone()

    def __reduce_ex__(self, protocol):
        return SparseTensor, (self._rows, self._row_values, self._data.shape, self._coalesced)


def __getattr__(name):
    if name == "mm":
        from .coordinates import mm

        return mm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
