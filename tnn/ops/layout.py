"""What sparse tensors have, asked of dense ones."""


def to_sparse(self, sparse_dim=None):
    """The tensor as coordinates and values of what is not zero: see :func:`tnn.coordinates.to_sparse`.

    Args:
        sparse_dim: how many dimensions the coordinates cover; None: all.

    Raises:
        RuntimeError: there are fewer dimensions.
    """
    from ..coordinates import to_sparse

    return to_sparse(self, sparse_dim)


to_sparse_coo = to_sparse


def dequantize(self):
    """The tensor itself: it is not quantized."""
    return self


def to_dense(self, dtype=None, *, masked_grad=None):
    """The tensor itself: it is dense.

    Args:
        dtype: the dtype to cast to; None: none.
        masked_grad: not used.
    """
    return self if dtype is None else self.to(dtype)


def sparse_dim(self):
    """0: a dense tensor has no sparse dimensions."""
    return 0


def dense_dim(self):
    """The number of dimensions."""
    return self._data.ndim


def _sparse_only(name):
    def method(self):
        raise RuntimeError(f"{name} expected sparse coordinate tensor layout but got Strided")

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "For sparse tensors alone.\n\n    Raises:\n        RuntimeError: the tensor is dense."
    return method


coalesce, is_coalesced, indices, values = map(_sparse_only, ("coalesce", "is_coalesced", "indices", "values"))
