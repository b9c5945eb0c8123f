"""What optimizers need of a sparse gradient: the rows it names, each once, and their values."""

import math

import numpy as np

from ..tensor import Tensor


def _array(x):
    return x._data if isinstance(x, Tensor) else np.asarray(x)


def rows_of(p, grad):
    """The rows that a sparse gradient of ``p`` names, for the kernels in ``kernels.optim_rows``.

    Args:
        p: a contiguous float32 or float64 parameter of shape (n, ...).
        grad: an object with ``coalesce()``, ``_indices()`` (d, k), k places in the first d dimensions of ``p``, and
            ``_values()`` (k, ...).

    Returns:
        ``(rows, values, table)``: distinct int64 row numbers (k,), values (k, width), and the parameter's memory as
            (rows, width), where the first d dimensions count as one.

    Raises:
        RuntimeError: a row number is out of range, or the values do not fit the parameter.
    """
    grad = grad.coalesce()
    places = np.asarray(_array(grad._indices()), np.int64)
    places = places.reshape(places.shape[0] if places.ndim == 2 else 1, -1)
    lead, rest = p._data.shape[: len(places)], p._data.shape[len(places) :]
    n, width = math.prod(lead), math.prod(rest)
    table = table_of(p).reshape(n, width)
    values = _array(grad._values())
    if places.size and (places.min(1) < 0).any() or (places.max(1, initial=-1) >= lead).any():
        raise RuntimeError(f"a sparse gradient names places from {places.min(1)} to {places.max(1)} in sizes {lead}")
    rows = np.ravel_multi_index(tuple(places), lead).astype(np.int64) if places.size else np.zeros(0, np.int64)
    if values.size != rows.size * width:
        raise RuntimeError(
            f"a sparse gradient of shape {list(p.shape)} needs values of shape {[rows.size, *rest]}, "
            f"got {list(values.shape)}"
        )
    return rows, np.ascontiguousarray(values, table.dtype).reshape(rows.size, width), table


def table_of(t):
    """A tensor's memory as (rows, width).

    Raises:
        RuntimeError: it is not contiguous, of a half precision or has no rows.
    """
    d = t._data
    if d.ndim == 0 or not d.flags.c_contiguous or d.dtype.char not in "fd":
        raise RuntimeError(
            "sparse gradients need a contiguous float32 or float64 parameter with rows, "
            f"got {t.dtype} of shape {list(d.shape)}, strides {d.strides}"
        )
    return d.reshape(d.shape[0], -1) if d.size else d.reshape(d.shape[0], int(np.prod(d.shape[1:])))
