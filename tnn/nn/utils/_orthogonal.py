"""The linear algebra of orthogonal parametrizations, differentiable as it is composed of Tensor operations."""

import numpy as np

from ...ops.joining import cat
from ...tensor import wrap


def _eye_like(A):
    return wrap(np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype.np), tuple(A.shape)).copy())


def matrix_exp(A):
    """exp(A) of square matrices; half precisions in float32."""
    from ...ops.linalg import matrix_exp

    return matrix_exp(A) if A.dtype.np in (np.float32, np.float64) else matrix_exp(A.float()).to(A.dtype)


def cayley(A):
    """(I - A/2)^-1 (I + A/2) of square matrices."""
    from ...ops.linalg import solve

    eye = _eye_like(A)
    return solve(eye - A * 0.5, eye + A * 0.5)


def pad_columns(X, n):
    """``X`` with ``n`` columns of zeros at its right."""
    return cat([X, X.new_zeros(*X.shape[:-1], n)], dim=-1)


def random_columns(X, n):
    """``X`` with ``n`` columns of normal random numbers at its right."""
    return cat([X, X.new_empty(*X.shape[:-1], n).normal_()], dim=-1)


def product_of_reflections(V, tau):
    """The first k columns of H_1 ... H_k with H_i = I - tau_i v_i v_i^T.

    Args:
        V: (..., n, k), n >= k; column i holds v_i below the diagonal, where v_i is 1, and 0 above.
        tau: (..., k).
    """
    n, k = V.shape[-2:]
    V = V.tril(-1) + wrap(np.eye(n, k, dtype=V.dtype.np))
    Q = wrap(np.broadcast_to(np.eye(n, k, dtype=V.dtype.np), tuple(V.shape)).copy())
    for i in reversed(range(k)):
        v = V[..., i : i + 1]
        Q = Q - (v * tau[..., i : i + 1].unsqueeze(-1)).matmul(v.mT.matmul(Q))
    return Q


def householder(X):
    """The product of the reflections at X's columns (below the diagonal), with the signs on X's diagonal."""
    A = X.tril(-1)
    tau = 2.0 / ((A * A).sum(dim=-2) + 1.0)
    signs = X.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)
    return product_of_reflections(A, tau) * signs


def _qr(Q):
    """LAPACK's geqrf: R and the reflections in one array, and tau."""
    array = Q._data if Q._data.dtype in (np.float32, np.float64) else Q._data.astype(np.float32)
    h, tau = np.linalg.qr(array, mode="raw")
    a = np.ascontiguousarray(np.swapaxes(h, -2, -1), dtype=array.dtype)
    return wrap(a).to(Q.dtype), wrap(np.ascontiguousarray(tau, dtype=array.dtype)).to(Q.dtype)


def reflectors(Q):
    """What :func:`householder` takes to Q's orthogonal factor: reflections below the diagonal, signs on it."""
    A, tau = _qr(Q)
    k = A.shape[-1]
    diagonal = A._data[..., range(k), range(k)]
    sign = np.sign(diagonal)
    # a reflection that is none leaves the sign as it is
    A._data[..., range(k), range(k)] = np.where(tau._data == 0, -sign, sign)
    return A


def orthonormalize(A):
    """The orthogonal factor of A = QR whose R has a positive diagonal."""
    X, tau = _qr(A)
    return product_of_reflections(X, tau) * X.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def is_orthogonal(Q):
    """Whether Q^T Q is the identity, up to rounding."""
    n, k = Q.shape[-2:]
    eps = float(np.finfo(Q.dtype.np).eps) if Q.dtype.np.kind == "f" else 2.0**-7
    gram = Q.mT.matmul(Q)._data
    return bool(np.allclose(gram, np.eye(k, dtype=gram.dtype), atol=10.0 * n * eps, rtol=1e-5))


def minus_identity(X):
    """-I in the shape of ``X``."""
    eye = np.eye(*X.shape[-2:], dtype=X.dtype.np)
    return wrap(np.broadcast_to(-eye, tuple(X.shape)).copy())
