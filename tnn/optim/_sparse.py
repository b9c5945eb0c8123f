"""What optimizers need of a sparse gradient: the rows it names, each once, and their values."""

import numpy as np

from ..tensor import Tensor


def _array(x):
    return x._data if isinstance(x, Tensor) else np.asarray(x)


def rows_of(p, grad):
    """The rows that a sparse gradient of ``p`` names, for the kernels in ``kernels.optim_rows``.

    Args:
        p: a contiguous float32 or float64 parameter of shape (n, ...).
        grad: an object with ``coalesce()``, ``_indices()`` (k row numbers) and ``_values()`` of shape (k, ...).

    Returns:
        ``(rows, values, table)``: distinct int64 row numbers (k,), values (k, width), and the parameter's memory as (n,
            width).

    Raises:
        RuntimeError: a row number is out of range, or the values do not fit the parameter.
    """
    grad = grad.coalesce()
    rows = np.ascontiguousarray(_array(grad._indices()).reshape(-1), np.int64)
    table = table_of(p)
    n, width = table.shape
    values = _array(grad._values())
    if values.size != rows.size * width:
        raise RuntimeError(
            f"a sparse gradient of shape {list(p.shape)} needs values of shape {[rows.size, *p.shape[1:]]}, "
            f"got {list(values.shape)}"
        )
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise RuntimeError(f"a sparse gradient names rows {rows.min()} to {rows.max()}, the parameter has {n} rows")
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
