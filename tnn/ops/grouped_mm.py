"""Products of matrices in groups of different sizes, as a mixture of experts needs them."""

import numpy as np

from .. import dtypes
from ._common import check_tensor
from .joining import cat, stack
from .linear import bmm, mm


def _bounds(offs, n):
    """[(first, past)] of the groups."""
    check_tensor("grouped_mm", "offs", offs)
    if offs.dtype is not dtypes.int32:
        raise RuntimeError(f"grouped_mm: Offsets have to be int32, got {offs.dtype}")
    if offs._data.ndim != 1:
        raise RuntimeError(f"grouped_mm: offs has to be 1-D, got shape {list(offs._data.shape)}")
    ends = offs._data.astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]]) if ends.size else ends
    if (ends < starts).any() or (ends.size and ends[-1] > n):
        raise RuntimeError(f"grouped_mm: offs must not fall and must end within {n}, got {ends.tolist()}")
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def grouped_mm(mat_a, mat_b, *, offs=None, bias=None, out_dtype=None):
    """A product of matrices for each group; 2-D operands hold the groups side by side, 3-D ones each in a matrix.

        (n, k) and (g, k, m)      rows of ``mat_a`` are grouped: (n, m); rows past the last group are 0
        (g, n, k) and (k, m)      columns of ``mat_b`` are grouped: (n, m)
        (n, k) and (k, m)         the summed dimension is grouped: (g, n, m)
        (g, n, k) and (g, k, m)   no offsets: as ``bmm``

    Args:
        mat_a, mat_b: of one dtype: float32, bfloat16 or float16.
        offs: where each group ends in the grouped dimension, int32.
        bias, out_dtype: None, or the operands' dtype for the latter.

    Shape:
        as above.

    Raises:
        RuntimeError: shapes, dtypes or offsets do not fit, or a bias is given.

    >>> import tnn
    >>> offs = tnn.tensor([1, 3], dtype=tnn.int32)
    >>> tnn.nn.functional.grouped_mm(tnn.ones(3, 2), tnn.ones(2, 2, 4), offs=offs).shape
    tnn.Size([3, 4])
    """
    check_tensor("grouped_mm", "mat_a", mat_a, 1)
    check_tensor("grouped_mm", "mat_b", mat_b, 2)
    if bias is not None:
        raise RuntimeError("grouped_mm: Bias not supported yet")
    if mat_a.dtype not in (dtypes.float32, dtypes.bfloat16, dtypes.float16) or mat_b.dtype is not mat_a.dtype:
        raise RuntimeError(
            "grouped_mm: expected float32, bfloat16 or float16 matrices of one dtype, got "
            f"{mat_a.dtype} and {mat_b.dtype}"
        )
    if out_dtype is not None and out_dtype is not mat_a.dtype:
        raise RuntimeError("grouped_mm: Grouped gemm output dtype must match `mat_a` dtype")
    a, b = mat_a._data.shape, mat_b._data.shape
    if len(a) not in (2, 3) or len(b) not in (2, 3):
        raise RuntimeError(f"grouped_mm: matrices have to be 2-D or 3-D, got shapes {list(a)} and {list(b)}")
    if (offs is None) != (len(a) == len(b) == 3):
        raise RuntimeError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
    if a[-1] != b[-2]:
        raise RuntimeError(f"contraction dimension of mat_a and mat_b must match, got shapes {list(a)} and {list(b)}")
    if offs is None:
        return bmm(mat_a, mat_b)
    groups = _bounds(offs, b[1] if len(a) == 3 else a[0] if len(b) == 3 else a[1])
    for shape in (a, b):
        if len(shape) == 3 and shape[0] != len(groups):
            raise RuntimeError(f"matrix batch sizes have to match: {shape[0]} matrices for {len(groups)} groups")
    past = groups[-1][1] if groups else 0
    if len(a) == 2 and len(b) == 2:
        parts = [mm(mat_a[:, i:j], mat_b[i:j]) for i, j in groups]
        return stack(parts) if parts else mat_a.new_zeros(0, a[0], b[1])
    if len(b) == 3:
        parts = [mm(mat_a[i:j], mat_b[g]) for g, (i, j) in enumerate(groups)]
        return cat([*parts, mat_a.new_zeros(a[0] - past, b[2])])
    parts = [mm(mat_a[g], mat_b[:, i:j]) for g, (i, j) in enumerate(groups)]
    return cat([*parts, mat_a.new_zeros(a[1], b[1] - past)], 1)
