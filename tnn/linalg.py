"""``torch.linalg``: re-exports of :mod:`tnn.ops`, and no bodies."""

from .ops.einsum import linalg_cross as cross
from .ops.factor import LinAlgError, cholesky_ex, eigh, eigvalsh, householder_product, lu_factor, svdvals
from .ops.factor import linalg_cholesky as cholesky
from .ops.factor import linalg_lu as lu
from .ops.factor import linalg_qr as qr
from .ops.factor import linalg_svd as svd
from .ops.linalg import (
    cond,
    det,
    inv,
    inv_ex,
    lstsq,
    matmul,
    matrix_exp,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
    vecdot,
)
from .ops.linalg import linalg_diagonal as diagonal
from .ops.linalg import linalg_lu_solve as lu_solve
from .ops.linalg import linalg_vander as vander
from .ops.norms import linalg_norm as norm
from .ops.norms import matrix_norm, vector_norm

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh",
    "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_solve", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex",
    "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
