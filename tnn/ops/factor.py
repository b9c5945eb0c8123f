"""Factorizations of matrices: Cholesky, QR, eigenvalues of symmetric matrices, singular values, LU.

Cholesky, LU, QR and eigenvalues alone are kernels, with one for Cholesky's gradient; the other factors come from
``numpy.linalg``, and their gradients are differentiable operations. Symbols: A^T is the transpose, sym(X) = X + X^T
halved, * the elementwise product.
"""

from math import prod

import numpy as np

from .. import return_types
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import eigen, factor
from ..kernels import linalg as kernels
from ..kernels._pool import empty
from ..tensor import Tensor, wrap
from ._common import F32, F64, check_tensor, check_tensors, dense, into, recording

PIVOTS = np.dtype(np.int32)
NOTHING = {k: np.empty((0, 0, 0), k) for k in (F32, F64)}


class LinAlgError(RuntimeError):
    """A matrix that has no such factorization, inverse or solution."""


Slogdet = return_types.linalg_slogdet
Lstsq = return_types.linalg_lstsq
_QR = return_types.linalg_qr
_SVD = return_types.svd
_SVDh = return_types.linalg_svd
_Eigh = return_types.linalg_eigh
_LU = return_types.linalg_lu
_LUFactor = return_types.linalg_lu_factor
_CholeskyEx = return_types.linalg_cholesky_ex
_Geqrf = return_types.geqrf


def check_matrix(function, A, floating=True):
    """Raises unless A is a Tensor of at least 2 dimensions and of float32 or float64."""
    check_tensor(function, "A", A, 1)
    if A._data.ndim < 2:
        raise RuntimeError(f"{function}: The input tensor A must have at least 2 dimensions.")
    if floating and A._data.dtype not in (F32, F64):
        raise RuntimeError(f"{function}: Expected a float32 or float64 tensor, got {A.dtype}")


def check_square(function, A, floating=True):
    """Raises unless A is a Tensor of square matrices, as :func:`check_matrix` does."""
    check_matrix(function, A, floating)
    if A._data.shape[-1] != A._data.shape[-2]:
        raise RuntimeError(
            f"{function}: A must be batches of square matrices, but they are {A._data.shape[-2]} by "
            f"{A._data.shape[-1]} "
            "matrices"
        )


def computed(function, factor, *arrays):
    """Calls a function of ``numpy.linalg`` and names the operation where it fails.

    Raises:
        LinAlgError: the matrix is singular, not positive-definite, or there was no convergence.
    """
    try:
        out = factor(*arrays)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{function}: {error}") from None
    return np.asarray(out) if isinstance(out, np.ndarray | np.floating) else tuple(map(np.asarray, out))


def transposed(t):
    """The transposed matrices, a view."""
    return t.transpose(-2, -1)


def _eye(t):
    return wrap(np.eye(t._data.shape[-1], dtype=t._data.dtype))


def _solve(a, b, left=True):
    from .linalg import solve

    return solve(a, b, left=left)


def batched(d):
    """An array of matrices as (batch, m, n)."""
    return d if d.ndim == 3 else d.reshape(prod(d.shape[:-2]), *d.shape[-2:])


def batch_element(info):
    """How messages name the first matrix of which ``info`` is not 0, and that number of it."""
    at = np.flatnonzero(info)[0]
    return f"(Batch element {at}): " if info.ndim else "", info.flat[at]


class LinalgCholeskyEx(Node):
    __slots__ = ()

    def backward(self, grad):
        (lower,) = self.saved_tensors()
        if mode.grad:
            inner = transposed(lower).matmul(grad).tril()
            inner = (inner + transposed(inner.tril(-1))) * 0.5
            return _solve(lower, _solve(transposed(lower), inner), left=False)
        x = batched(dense(lower))
        out = empty(x.shape, x.dtype)
        kernels.cholesky_backward(x, batched(dense(grad)), empty(x.shape, x.dtype), out)
        return wrap(out.reshape(lower._data.shape))


def _cholesky(A, upper):
    """L or U, and an array that says for each matrix whether it has such a factor; see the kernel."""
    a = batched(dense(A))
    x, info = empty(a.shape, a.dtype), np.zeros(a.shape[0], np.int32)
    kernels.cholesky_forward(a, upper, x, x if upper else empty(a.shape, a.dtype), info)
    result = wrap(x.reshape(A._data.shape))
    if recording(A):
        lower = wrap(np.swapaxes(result._data, -1, -2)) if upper else result
        node = LinalgCholeskyEx(A)
        node.attach(lower)
        node.save(lower)
        result = transposed(lower) if upper else lower
    return result, info.reshape(A._data.shape[:-2])


def _check_positive(function, info):
    if np.count_nonzero(info):
        which, order = batch_element(info)
        raise LinAlgError(
            f"{function}: {which}The factorization could not be completed because the input is not positive-definite "
            f"(the leading minor of order {order} is not positive-definite)."
        )


@casts("float32")
def linalg_cholesky(input, *, upper=False, out=None):
    """``linalg.cholesky``: the lower L with ``input = L L^T`` of symmetric positive-definite matrices, or the upper
    ``L^T``.

    Args:
        input: symmetric positive-definite matrices, float32 or float64; the lower triangle is read.
        upper: give the upper factor.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: a matrix is not positive-definite.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.cholesky", input)
    result, info = _cholesky(input, upper)
    _check_positive("linalg.cholesky", info)
    return into(out, result, "linalg_cholesky")


@casts("float32")
def cholesky(input, upper=False, *, out=None):
    """The lower L with ``input = L L^T``, or the upper ``L^T``: see ``linalg.cholesky``.

    Args:
        input: symmetric positive-definite matrices, float32 or float64.
        upper: give the upper factor.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: a matrix is not positive-definite.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    return into(out, linalg_cholesky(input, upper=upper), "cholesky")


@casts("float32")
def cholesky_ex(input, *, upper=False, check_errors=False, out=None):
    """The lower L with ``input = L L^T``, or the upper ``L^T``, and for each matrix 0 or the order of the first leading
    minor that is not positive: ``(L, info)``. What follows in L is then of no meaning.

    Args:
        input: symmetric matrices, float32 or float64.
        upper: give the upper factor.
        check_errors: raise where a matrix is not positive-definite.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple of (*, n, n) and int32 (*).

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: a matrix is not positive-definite and ``check_errors`` is set.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.cholesky_ex", input)
    result, info = _cholesky(input, upper)
    if check_errors:
        _check_positive("linalg.cholesky_ex", info)
    return into(out, _CholeskyEx(result, wrap(info)), "linalg_cholesky_ex")


class LinalgQr(Node):
    __slots__ = ("mode",)

    def backward(self, gq, gr):
        q, r = self.saved_tensors()
        if self.mode == "complete" and q.shape[-2] != r.shape[-1]:
            raise RuntimeError("linalg.qr: the derivative is not implemented for mode 'complete' where m > n")
        m, n = q.shape[-2], r.shape[-1]
        if m >= n:
            return _qr_backward(q, r, gq, gr)
        # A = Q [R1 R2]: R2 = Q^T A2 has a gradient of its own
        r1, g1, g2 = r.narrow(-1, 0, m), gr.narrow(-1, 0, m), gr.narrow(-1, m, n - m)
        a2 = q.matmul(r.narrow(-1, m, n - m))
        from .joining import cat

        return cat([_qr_backward(q, r1, gq + a2.matmul(transposed(g2)), g1), q.matmul(g2)], -1)


def _qr_backward(q, r, gq, gr):
    """(gq + q copyltu(r gr^T - gq^T q)) r^-T for square or tall matrices, copyltu the symmetric matrix of a lower
    triangle."""
    m = r.matmul(transposed(gr)) - transposed(gq).matmul(q)
    m = m.tril() + transposed(m.tril(-1))
    return _solve(transposed(r), gq + q.matmul(m), left=False)


def qr_arrays(function, a, mode):
    """Q, or None where ``mode`` is ``'r'``, and R of matrices a (*, m, n)."""
    if a.size == 0 or a.dtype not in (F32, F64):
        found = computed(function, lambda a: np.linalg.qr(a, mode=mode), a)
        return (None, found) if mode == "r" else found
    m, n = a.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    given = batched(np.ascontiguousarray(a))
    q, r = empty((*a.shape[:-1], 0 if mode == "r" else k), a.dtype), empty((*a.shape[:-2], k, n), a.dtype)
    factor.qr_forward(given, q.reshape(len(given), m, q.shape[-1]), r.reshape(len(given), k, n))
    return (None if mode == "r" else q), r


@casts("float32")
def linalg_qr(A, mode="reduced", *, out=None):
    """``linalg.qr``: ``A = Q R`` with orthonormal columns Q and upper triangular R, as ``(Q, R)``.

    Args:
        A: matrices (*, m, n), float32 or float64.
        mode: ``'reduced'``, ``'complete'`` (square Q) or ``'r'`` (Q empty, not differentiable).
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple (Q, R) of (*, m, k) and (*, k, n), k = min(m, n), or m with ``'complete'``.

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: another mode, fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out``
            cannot hold the result.
    """
    check_matrix("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    if mode == "r":
        r = wrap(qr_arrays("linalg.qr", A._data, mode)[1])
        return into(out, _QR(wrap(np.empty(0, A._data.dtype)), r), "linalg_qr")
    q, r = (wrap(x) for x in qr_arrays("linalg.qr", A._data, mode))
    if recording(A):
        node = LinalgQr(A)
        node.mode = mode
        node.attach_all((q, r))
        node.save(q, r)
    return into(out, _QR(q, r), "linalg_qr")


@casts("float32")
def qr(input, some=True, *, out=None):
    """``input = Q R`` with orthonormal columns Q and upper triangular R, as ``(Q, R)``: see ``linalg.qr``.

    Args:
        input: matrices (*, m, n), float32 or float64.
        some: give min(m, n) columns; False: a square Q.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple (Q, R).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    return into(out, linalg_qr(input, "reduced" if some else "complete"), "qr")


class LinalgEigh(Node):
    __slots__ = ()
    materialize = False

    def backward(self, gl, gv):
        values, vectors = self.saved_tensors()
        vt = transposed(vectors)
        if gv is None:
            return None if gl is None else (vectors * gl.unsqueeze(-2)).matmul(vt)
        gap = values.unsqueeze(-2) - values.unsqueeze(-1)
        eye = _eye(vectors)
        inner = vt.matmul(gv) / gap.masked_fill(wrap(eye._data != 0), np.inf)
        inner = inner if gl is None else inner + eye * gl.unsqueeze(-1)
        g = vectors.matmul(inner).matmul(vt)
        return (g + transposed(g)) * 0.5


@casts("float32")
def eigh(input, UPLO="L", *, out=None):
    """Eigenvalues in ascending order and orthonormal eigenvectors of symmetric matrices, ``(eigenvalues,
    eigenvectors)``.

    Args:
        input: symmetric matrices (*, n, n), float32 or float64.
        UPLO: which triangle is read, ``'L'`` or ``'U'``.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple of (*, n) and (*, n, n), the eigenvectors in columns.

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: there was no convergence.
        RuntimeError: another UPLO, the matrices are not square, or the dtype is neither float32 nor float64, or ``out``
            cannot hold the result.
    """
    check_square("linalg.eigh", input)
    if str(UPLO).upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    pair = [wrap(x) for x in computed("linalg.eigh", lambda a: tuple(np.linalg.eigh(a, UPLO.upper())), input._data)]
    if recording(input):
        node = LinalgEigh(input)
        node.attach_all(pair)
        node.save(*pair)
    return into(out, _Eigh(*pair), "linalg_eigh")


# Larger matrices than this go to LAPACK, which works on blocks.
_UNBLOCKED = 256


def _symmetric_values(input, UPLO):
    """Eigenvalues by kernels; None where those have no result, of which NumPy is to say why, or matrices are large."""
    d = dense(input)
    *batch, _, n = d.shape
    if not d.size or n > _UNBLOCKED:
        return None
    values = empty((*batch, n), d.dtype)
    bad = eigen.symmetric_values(d.reshape(-1, n, n), UPLO == "L", values.reshape(-1, n))
    return None if bad else wrap(values)


@casts("float32")
def eigvalsh(input, UPLO="L", *, out=None):
    """The eigenvalues of symmetric matrices in ascending order; see :func:`eigh`.

    Args:
        input: symmetric matrices, float32 or float64.
        UPLO: which triangle is read, ``'L'`` or ``'U'``.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n) gives (*, n).

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: there was no convergence.
        RuntimeError: another UPLO, the matrices are not square, or the dtype is neither float32 nor float64, or ``out``
            cannot hold the result.
    """
    if isinstance(input, Tensor) and input._data.ndim > 1 and UPLO in ("L", "U") and not recording(input):
        check_square("linalg.eigh", input)
        values = _symmetric_values(input, UPLO)
        if values is None:
            values = wrap(computed("linalg.eigh", lambda a: np.linalg.eigvalsh(a, UPLO), input._data))
    else:
        values = eigh(input, UPLO)[0]
    return into(out, values, "linalg_eigvalsh")


class LinalgSvd(Node):
    __slots__ = ()
    materialize = False

    def backward(self, gu, gs, gvh):
        u, s, vh = self.saved_tensors()
        k = s.shape[-1]
        # of square U and V only the columns that have a singular value count
        u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
        m, n = u.shape[-2], vh.shape[-1]
        ut, eye = transposed(u), wrap(np.eye(k, dtype=s._data.dtype))
        inner = None if gs is None else eye * gs.unsqueeze(-1)
        if gu is None and gvh is None:
            return None if gs is None else u.matmul(inner).matmul(vh)
        square = s * s
        gap = (square.unsqueeze(-2) - square.unsqueeze(-1)).masked_fill(wrap(eye._data != 0), np.inf)
        if gu is not None:
            gu = gu.narrow(-1, 0, k)
            left = ut.matmul(gu)
            inner = _plus(inner, (left - transposed(left)) / gap * s.unsqueeze(-2))
        if gvh is not None:
            gv = transposed(gvh.narrow(-2, 0, k))
            right = vh.matmul(gv)
            inner = _plus(inner, s.unsqueeze(-1) * ((right - transposed(right)) / gap))
        g = u.matmul(inner).matmul(vh)
        if gu is not None and m > k:
            rest = gu / s.unsqueeze(-2)
            g = g + (rest - u.matmul(ut.matmul(rest))).matmul(vh)
        if gvh is not None and n > k:
            rest = transposed(gv / s.unsqueeze(-2))
            g = g + u.matmul(rest - rest.matmul(transposed(vh)).matmul(vh))
        return g


def _plus(a, b):
    """a + b, where a may be None."""
    return b if a is None else a + b


@casts("float32")
def linalg_svd(A, full_matrices=True, *, driver=None, out=None):
    """``linalg.svd``: ``A = U diag(S) Vh`` with orthonormal U, V and descending S, as ``(U, S, Vh)``.

    Args:
        A: matrices (*, m, n), float32 or float64.
        full_matrices: give square U and Vh (of which the first columns are differentiable).
        driver: accepted.
        out: a tuple of three tensors to write the results to, or None.

    Returns:
        a named tuple (U, S, Vh) of (*, m, m), (*, k) and (*, n, n), or of (*, m, k), (*, k) and (*, k, n); k = min(m,
            n).

    Raises:
        TypeError: ``A`` is not a tensor.
        LinAlgError: there was no convergence.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    check_matrix("linalg.svd", A)
    out3 = computed("linalg.svd", lambda a: tuple(np.linalg.svd(a, full_matrices=full_matrices)), A._data)
    out3 = [wrap(x) for x in out3]
    if recording(A):
        node = LinalgSvd(A)
        node.attach_all(out3)
        node.save(*out3)
    return into(out, _SVDh(*out3), "linalg_svd")


@casts("float32")
def svd(input, some=True, compute_uv=True, *, out=None):
    """``input = U diag(S) V^T`` with orthonormal U, V and descending S, as ``(U, S, V)``.

    Args:
        input: matrices (*, m, n), float32 or float64.
        some: give min(m, n) columns; False: square U and V.
        compute_uv: False: U and V are zeros.
        out: a tuple of three tensors to write the results to, or None.

    Returns:
        a named tuple (U, S, V).

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: there was no convergence.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    u, s, vh = linalg_svd(input, not some)
    if not compute_uv:
        return into(out, _SVD(u.detach() * 0, s, transposed(vh).detach() * 0), "svd")
    return into(out, _SVD(u, s, transposed(vh)), "svd")


@casts("float32")
def svdvals(A, *, driver=None, out=None):
    """The singular values of matrices in descending order.

    Args:
        A: matrices, float32 or float64.
        driver: accepted.
        out: tensor to write the result to, or None.

    Shape:
        (*, m, n) gives (*, min(m, n)).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    if isinstance(A, Tensor) and A._data.ndim > 1 and not recording(A):
        check_matrix("linalg.svd", A)
        s = wrap(computed("linalg.svd", lambda a: np.linalg.svd(a, compute_uv=False), A._data))
    else:
        s = linalg_svd(A, False)[1]
    return into(out, s, "linalg_svdvals")


def lu_factor(A, *, pivot=True, out=None):
    """``linalg.lu_factor``: L and U in one matrix, and the pivots (rows from 1), as ``(LU, pivots)``; see
    :func:`linalg_lu`.

    Args:
        A: matrices (*, m, n), float32 or float64.
        pivot: has to be True.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple of (*, m, n) and int32 (*, min(m, n)).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: ``pivot`` is False, fewer than two dimensions, or the dtype is neither float32 nor float64, or
            ``out`` cannot hold the result.
    """
    check_matrix("linalg.lu_factor", A)
    if pivot and not recording(A):
        return into(out, _LUFactor(*map(wrap, _lu_arrays(A._data))), "linalg_lu_factor")
    _, lower, upper = linalg_lu(A, pivot=pivot)
    k = min(A._data.shape[-2:])
    return into(out, _LUFactor(_packed(lower, upper, k), wrap(_lu_arrays(A._data)[1])), "linalg_lu_factor")


def _packed(lower, upper, k):
    """L without its ones, and U, in one matrix."""
    m, n = lower._data.shape[-2], upper._data.shape[-1]
    from .joining import cat

    low = lower.tril(-1)
    if n > k:
        low = cat([low, low.new_zeros((*low.shape[:-1], n - k))], -1)
    if m > k:
        upper = cat([upper, upper.new_zeros((*upper.shape[:-2], m - k, n))], -2)
    return low + upper


def _lu_arrays(a):
    """The packed factors and the pivots of matrices."""
    m, n = a.shape[-2:]
    packed, pivots, _ = factored(a)
    return packed.reshape(a.shape), pivots.reshape(*a.shape[:-2], min(m, n))


def factored(a):
    """The packed factors of an array of matrices, as (batch, m, n), the pivots, (batch, the smaller of m and n), and
    for each matrix 0 or the number, from 1, of the first zero on U's diagonal."""
    packed = empty((prod(a.shape[:-2]), *a.shape[-2:]), a.dtype)
    packed.reshape(a.shape)[...] = a
    pivots = empty((packed.shape[0], min(packed.shape[1:])), PIVOTS)
    info = np.empty(len(packed), PIVOTS)
    kernels.lu_factor(packed, pivots, info)
    return packed, pivots, info


def solved(packed, pivots, b, columns, turn=False):
    """X with A X = B, or A^T X = B, as (batch, n, columns); b is None for unit matrices."""
    shape = *packed.shape[:2], columns
    x = empty(shape, packed.dtype)
    work = empty(shape, packed.dtype) if turn else x
    kernels.lu_solve(packed, pivots, NOTHING[packed.dtype] if b is None else b, work, x, turn)
    return x


def _check_pivots(function, pivots, shape, m):
    if pivots.dtype != np.int32 or pivots.shape != shape:
        raise RuntimeError(
            f"{function}: expected LU_pivots to be an int32 tensor of shape {list(shape)}, got {pivots.dtype} of "
            f"{list(pivots.shape)}"
        )
    if pivots.size and (pivots.min() < 1 or pivots.max() > m):
        raise RuntimeError(f"{function}: expected LU_pivots between 1 and {m}, got {pivots.min()} to {pivots.max()}")


def _permutation(pivots, m, dtype):
    """The matrices P of pivots: A = P L U."""
    flat = pivots.reshape(prod(pivots.shape[:-1]), pivots.shape[-1])
    out = np.zeros((flat.shape[0], m, m), dtype)
    for b, row in enumerate(flat):
        order = list(range(m))
        for k, p in enumerate(row):
            order[k], order[p - 1] = order[p - 1], order[k]
        out[b, order, range(m)] = 1
    return out.reshape(*pivots.shape[:-1], m, m)


class LinalgLu(Node):
    __slots__ = ()

    def backward(self, _, gl, gu):
        # In a square matrix, with P = 1: L^-1 dA U^-1 = L^-1 dL + dU U^-1, a strictly lower and an upper triangle. What
        # a wide matrix has on the right is L U2, what a tall one has below is L2 U.
        from .joining import cat

        p, lower, upper = self.saved_tensors()
        m, n = lower.shape[-2], upper.shape[-1]
        k = min(m, n)
        top, left = lower.narrow(-2, 0, k), upper.narrow(-1, 0, k)
        low = transposed(top).matmul(gl.narrow(-2, 0, k))
        up = gu.narrow(-1, 0, k).matmul(transposed(left))
        if m < n:
            right, g2 = upper.narrow(-1, k, n - k), gu.narrow(-1, k, n - k)
            low = low - g2.matmul(transposed(right))
        elif m > n:
            bottom, g2 = lower.narrow(-2, k, m - k), gl.narrow(-2, k, m - k)
            up = up - transposed(bottom).matmul(g2)
        g = _solve(transposed(top), _solve(transposed(left), low.tril(-1) + up.triu(), left=False))
        if m < n:
            g = cat([g, _solve(transposed(top), g2)], -1)
        elif m > n:
            g = cat([g, _solve(transposed(left), g2, left=False)], -2)
        return p.matmul(g)


def linalg_lu(A, *, pivot=True, out=None):
    """``linalg.lu``: ``A = P L U`` with a permutation P, unit lower triangular L and upper triangular U, ``(P, L, U)``.

    Args:
        A: matrices (*, m, n), float32 or float64.
        pivot: has to be True.
        out: a tuple of three tensors to write the results to, or None.

    Returns:
        a named tuple of (*, m, m), (*, m, k) and (*, k, n), k = min(m, n).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: ``pivot`` is False, fewer than two dimensions, or the dtype is neither float32 nor float64, or
            ``out`` cannot hold the result.
    """
    check_matrix("linalg.lu", A)
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented on the CPU")
    packed, pivots = _lu_arrays(A._data)
    factors = lu_unpack(wrap(packed), wrap(pivots))
    if recording(A):
        node = LinalgLu(A)
        node.attach_all(factors, (False, True, True))
        node.save(*factors)
    return into(out, factors, "linalg_lu")


@casts("float32")
def lu(A, pivot=True, get_infos=False, out=None):
    """L and U in one matrix, and the pivots, as ``(LU, pivots)``: see ``linalg.lu_factor``.

    Args:
        A: matrices (*, m, n), float32 or float64.
        pivot: has to be True.
        get_infos: also give a tensor of zeros.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a tuple of (*, m, n) and int32 (*, min(m, n)).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: ``pivot`` is False, fewer than two dimensions, or the dtype is neither float32 nor float64, or
            ``out`` cannot hold the result.
    """
    packed, pivots = lu_factor(A, pivot=pivot)
    result = (packed, pivots) + ((wrap(np.zeros(A._data.shape[:-2], np.int32)),) if get_infos else ())
    return into(out, result, "lu")


def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """The factors ``(P, L, U)`` of what ``linalg.lu_factor`` gives.

    Args:
        LU_data, LU_pivots: (*, m, n) and int32 (*, min(m, n)).
        unpack_data: False: L and U are empty.
        unpack_pivots: False: P is empty.
        out: a tuple of three tensors to write the results to, or None.

    Returns:
        a named tuple of (*, m, m), (*, m, k) and (*, k, n), k = min(m, n).

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: a pivot is out of range, or shapes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    check_tensors("lu_unpack", LU_data=LU_data, LU_pivots=LU_pivots)
    check_matrix("lu_unpack", LU_data)
    m, n = LU_data._data.shape[-2:]
    k = min(m, n)
    nothing = wrap(np.empty(0, LU_data._data.dtype))
    p, lower, upper = nothing, nothing, nothing
    if unpack_pivots:
        _check_pivots("lu_unpack", LU_pivots._data, (*LU_data._data.shape[:-2], k), m)
        p = wrap(_permutation(LU_pivots._data, m, LU_data._data.dtype))
    if unpack_data:
        lower = LU_data.narrow(-1, 0, k).tril(-1) + wrap(np.eye(m, k, dtype=LU_data._data.dtype))
        upper = LU_data.narrow(-2, 0, k).triu()
    return into(out, _LU(p, lower, upper), "lu_unpack")


@casts("float32")
def householder_product(input, tau, *, out=None):
    """The first columns of the product of the Householder reflections that :func:`geqrf` gives.

    Args:
        input: matrices (*, m, n) whose columns hold the reflections below the diagonal, float32 or float64.
        tau: (*, k), k at most n, their factors.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` or ``tau`` is not a tensor.
        RuntimeError: the shapes do not fit, or the dtypes are not float32 or not float64, or ``out`` cannot hold the
            result.
    """
    check_tensor("householder_product", "input", input, 1)
    check_tensor("householder_product", "tau", tau, 2)
    check_matrix("linalg.householder_product", input)
    m, n = input._data.shape[-2:]
    k = tau._data.shape[-1] if tau._data.ndim else 0
    if m < n or tau._data.shape != (*input._data.shape[:-2], k) or k > n or tau._data.dtype != input._data.dtype:
        raise RuntimeError(
            "linalg.householder_product: expected input (*, m, n) with m >= n, tau (*, k) with n >= k, and one dtype, "
            f"got {list(input._data.shape)} of {input.dtype} and {list(tau._data.shape)} of {tau.dtype}"
        )
    if not recording(input, tau):
        q = empty(input._data.shape, input._data.dtype)
        three = (prod(q.shape[:-2]), m, n)
        factor.householder(dense(input).reshape(three), dense(tau).reshape(three[0], k), q.reshape(three))
        return into(out, wrap(q), "linalg_householder_product")
    v = input.narrow(-1, 0, k).tril(-1) + wrap(np.eye(m, k, dtype=input._data.dtype))
    q = wrap(np.broadcast_to(np.eye(m, n, dtype=input._data.dtype), input._data.shape).copy())
    for i in range(k - 1, -1, -1):
        column = v.narrow(-1, i, 1)
        q = q - column.matmul(transposed(column).matmul(q)) * tau.narrow(-1, i, 1).unsqueeze(-1)
    return into(out, q, "linalg_householder_product")


@casts("float32")
def orgqr(input, tau):
    """The first columns of the product of Householder reflections: as :func:`householder_product`.

    Args:
        input: matrices (*, m, n) whose columns hold the reflections below the diagonal, float32 or float64.
        tau: (*, k), k at most n, their factors.

    Shape:
        that of ``input``.

    Raises:
        TypeError: ``input`` or ``tau`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64.
    """
    return householder_product(input, tau)


@casts("float32")
def geqrf(input, *, out=None):
    """The Householder form of the QR factorization, ``(a, tau)``: R above the diagonal and the reflections below.

    Args:
        input: matrices (*, m, n), float32 or float64.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple of (*, m, n) and (*, min(m, n)).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    check_matrix("geqrf", input)
    m, n = input._data.shape[-2:]
    if not m or not n:
        tau = np.empty((*input._data.shape[:-2], 0), input._data.dtype)
        return into(out, _Geqrf(input.detach().clone(), wrap(tau)), "geqrf")
    flat = input._data.reshape(-1, m, n) if input._data.size else ()
    pairs = [np.linalg.qr(a, mode="raw") for a in flat]
    a = np.stack([h.T for h, _ in pairs]).reshape(input._data.shape) if pairs else input._data.copy()
    tau = np.stack([t for _, t in pairs]) if pairs else np.empty((0, min(m, n)), input._data.dtype)
    tau = tau.reshape(*input._data.shape[:-2], min(m, n))
    return into(out, _Geqrf(wrap(np.ascontiguousarray(a)), wrap(tau)), "geqrf")


@casts("float32")
def ormqr(input, input2, input3, left=True, transpose=False, *, out=None):
    """``Q input3`` (``input3 Q``, or with Q transposed) for the square Q of (input, input2), :func:`geqrf`'s result.

    Args:
        input, input2: (*, m, n) and (*, k), as :func:`geqrf` gives them.
        input3: matrices (*, m, l), or (*, l, m) with ``left=False``.
        left: whether Q stands on the left.
        transpose: whether Q is transposed.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input3``.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("ormqr", "input", input, 1)
    check_tensor("ormqr", "input2", input2, 2)
    check_tensor("ormqr", "input3", input3, 3)
    check_matrix("ormqr", input)
    check_matrix("ormqr", input3)
    m, n = input._data.shape[-2:]
    from .joining import cat

    full = input if n >= m else cat([input, input.new_zeros((*input.shape[:-1], m - n))], -1)
    q = householder_product(full.narrow(-1, 0, m), input2)
    q = transposed(q) if transpose else q
    return into(out, q.matmul(input3) if left else input3.matmul(q), "ormqr")
