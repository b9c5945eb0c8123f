"""Solving, inverting and measuring matrices: determinants, inverses, linear systems, powers, statistics of variables.

Inverses, solutions and determinants come from LU, and so do their gradients, which are written with differentiable
operations too, so that higher derivatives exist. What factors a matrix into several stands in ``factor.py``.
"""

import math
from operator import index as as_int

import numpy as np

from .. import dtypes, return_types
from ..autograd.autocast import casts
from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..kernels import _gemm
from ..kernels import linalg as kernels
from ..kernels._pool import empty
from ..tensor import wrap
from ._common import (
    F32,
    F64,
    check_same_dtype,
    check_tensor,
    check_tensors,
    dense,
    half_as_float32,
    into,
    recording,
    wrap_dim,
)
from .factor import (
    LinAlgError,
    Lstsq,
    Slogdet,
    batch_element,
    batched,
    check_matrix,
    check_square,
    computed,
    factored,
    linalg_qr,
    lu_unpack,
    qr_arrays,
    solved,
    svd,
    svdvals,
    transposed,
)
from .sampling import randn


class LinalgInvEx(Node):
    __slots__ = ()

    def backward(self, grad):
        (y,) = self.saved_tensors()
        if mode.grad:
            y = transposed(y)
            return -(y.matmul(grad).matmul(y))
        d, g = batched(dense(y)), batched(dense(grad))
        half, out = empty(d.shape, d.dtype), empty(d.shape, d.dtype)
        _gemm.gemm_batched(True, False, 1.0, d, g, 0.0, half)
        _gemm.gemm_batched(False, True, -1.0, half, d, 0.0, out)
        return wrap(out.reshape(y._data.shape))


def _inverse(A):
    """The inverses, and 0 or the number of the first zero on U's diagonal for each."""
    a = A._data
    packed, pivots, info = factored(a)
    result = wrap(solved(packed, pivots, None, a.shape[-1]).reshape(a.shape))
    if recording(A):
        node = LinalgInvEx(A)
        node.attach(result)
        node.save(result)
    return result, info.reshape(a.shape[:-2])


def _check_inverse(function, info):
    if np.count_nonzero(info):
        which, k = batch_element(info)
        raise LinAlgError(
            f"{function}: {which}The diagonal element {k} is zero, the inversion could not be completed because the "
            "input matrix is singular."
        )


@casts("float32")
def inv(A, *, out=None):
    """The inverse of square matrices (*, n, n).

    Args:
        A: square matrices, float32 or float64.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: ``A`` is not a tensor.
        LinAlgError: a matrix is singular (a subclass of RuntimeError).
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.inv", A)
    result, info = _inverse(A)
    _check_inverse("linalg.inv", info)
    return into(out, result, "linalg_inv")


@casts("float32")
def inverse(input, *, out=None):
    """The inverse of square matrices (*, n, n): ``input @ inverse(input) = 1``.

    Args:
        input: square matrices, float32 or float64.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: a matrix is singular (a subclass of RuntimeError).
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    return inv(input, out=out)


@casts("float32")
def inv_ex(A, *, check_errors=False, out=None):
    """:func:`inv` and, for each matrix, 0 or the number of the first zero on the diagonal of its U: ``(inverse,
    info)``. A singular matrix gives infinities and NaN, unless ``check_errors``.

    Args:
        A: square matrices, float32 or float64.
        check_errors: raise for a singular matrix.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple (inverse, info), of (*, n, n) and int32 (*).

    Raises:
        TypeError: ``A`` is not a tensor.
        LinAlgError: a matrix is singular, with ``check_errors``.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.inv_ex", A)
    result, info = _inverse(A)
    if check_errors:
        _check_inverse("linalg.inv_ex", info)
    return into(out, return_types.linalg_inv_ex(result, wrap(info)), "linalg_inv_ex")


class LinalgSolveEx(Node):
    __slots__ = ("is_vector", "factors")

    def release(self):
        """Drops the factors."""
        super().release()
        self.factors = None

    def backward(self, grad):
        a, x = self.saved_tensors()
        if mode.grad:
            g = solve(transposed(a), grad)
            if not self.needs(0):
                return None, g
            return (-(g.unsqueeze(-1) * x.unsqueeze(-2)) if self.is_vector else -(g.matmul(transposed(x)))), g
        shape = x._data.shape
        columns = 1 if self.is_vector else shape[-1]
        packed, pivots = self.factors
        flat = *packed.shape[:2], columns
        g = solved(packed, pivots, dense(grad).reshape(flat), columns, True)
        da = None
        if self.needs(0):
            da = empty(packed.shape, packed.dtype)
            _gemm.gemm_batched(False, True, -1.0, g, dense(x).reshape(flat), 0.0, da)
            da = wrap(da.reshape(a._data.shape))
        return da, wrap(g.reshape(shape))


def _is_vector(a, b):
    """Whether ``b`` holds one vector for each matrix of ``a``, as linalg.solve understands it."""
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


@casts("float32")
def solve(A, B, *, left=True, out=None):
    """X with ``A X = B``, or with ``left=False`` ``X A = B``; A of (*, n, n), B of (*, n, k) or of vectors (*, n).

    Args:
        A: square matrices, float32 or float64.
        B: right-hand sides, of A's dtype.
        left: whether A stands on the left.
        out: tensor to write the result to, or None.

    Shape:
        A (*, n, n), B (*, n, k) or (*, n), or with ``left=False`` (*, k, n); the result has B's.

    Raises:
        TypeError: ``A`` or ``B`` is not a tensor.
        LinAlgError: a matrix is singular.
        RuntimeError: A is not square, B does not fit, or the dtypes do not, or ``out`` cannot hold the result.
    """
    result, info = _solutions(A, B, left)
    _check_solved("linalg.solve", info)
    return into(out, result, "linalg_solve")


def _check_solved(function, info):
    if np.count_nonzero(info):
        which, _ = batch_element(info)
        raise LinAlgError(f"{function}: {which}The solver failed because the input matrix is singular.")


def _solutions(A, B, left):
    """What ``solve`` gives, and 0 or the number of the first zero on U's diagonal for each matrix."""
    check_square("linalg.solve", A)
    check_tensor("linalg.solve", "B", B, 2)
    if A._data.dtype != B._data.dtype:
        raise RuntimeError(f"linalg.solve: Expected A and B to have the same dtype, but found {A.dtype} and {B.dtype}")
    vector = _is_vector(A._data, B._data)
    if not left:
        if vector:
            raise RuntimeError(
                "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False"
            )
        result, info = _solutions(transposed(A), transposed(B), True)
        return transposed(result), info
    n = A._data.shape[-1]
    if B._data.shape[-1 if vector else -2] != n:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({list(A.shape)} and "
            f"{list(B.shape)})"
        )
    if not vector:
        lead = A._data.shape[:-2]
        if lead != B._data.shape[:-2]:
            lead = np.broadcast_shapes(lead, B._data.shape[:-2])
            A, B = A.expand((*lead, n, n)), B.expand((*lead, *B._data.shape[-2:]))
    elif A._data.shape[:-2] != B._data.shape[:-1]:
        B = B.expand(A._data.shape[:-1])
    shape = B._data.shape
    columns = 1 if vector else shape[-1]
    packed, pivots, info = factored(A._data)
    x = solved(packed, pivots, dense(B).reshape(packed.shape[0], n, columns), columns)
    result = wrap(x.reshape(shape))
    if recording(A, B):
        node = LinalgSolveEx(A, B)
        node.is_vector, node.factors = vector, (packed, pivots)
        node.attach(result)
        node.save(A, result)
    return result, info.reshape(A._data.shape[:-2])


def solve_ex(A, B, *, left=True, check_errors=False, out=None):
    """X with ``A X = B`` and, for each matrix, 0 or the number of the first zero on the diagonal of its U: ``(result,
    info)``. A singular matrix gives infinities and NaN, unless ``check_errors``.

    Args:
        A: square matrices, float32 or float64.
        B: right-hand sides, of A's dtype.
        left: whether A stands on the left.
        check_errors: raise for a singular matrix.
        out: a tuple of two tensors to write the results to, or None.

    Shape:
        A (*, n, n), B (*, n, k) or (*, n); the result has B's, info is int32 (*).

    Raises:
        TypeError: ``A`` or ``B`` is not a tensor.
        LinAlgError: a matrix is singular, with ``check_errors``.
        RuntimeError: A is not square, B does not fit, or the dtypes do not, or ``out`` cannot hold the result.
    """
    check_tensor("solve_ex", "A", A, 1)
    check_tensor("solve_ex", "B", B, 2)
    result, info = _solutions(A, B, left)
    if check_errors:
        _check_solved("linalg.solve_ex", info)
    return into(out, return_types.linalg_solve_ex(result, wrap(info)), "linalg_solve_ex")


class LinalgSolveTriangular(Node):
    __slots__ = ("upper", "unit")

    def backward(self, grad):
        a, x = self.saved_tensors()
        g = solve_triangular(transposed(a), grad, upper=not self.upper, unitriangular=self.unit)
        if not self.needs(0):
            return None, g
        da = -(g.matmul(transposed(x)))
        below = 1 if self.unit else 0
        return (da.triu(below) if self.upper else da.tril(-below)), g


def solve_triangular(input, B, *, upper, left=True, unitriangular=False, out=None):
    """X with ``A X = B`` (``X A = B`` with ``left=False``), A the upper or lower triangle of input.

    Args:
        input: square matrices, float32 or float64.
        B: right-hand sides, of input's dtype.
        upper: whether the upper triangle is read, or else the lower.
        left: whether input stands on the left.
        unitriangular: take the diagonal as ones.
        out: tensor to write the result to, or None.

    Shape:
        input (*, n, n), B (*, n, k), or with ``left=False`` (*, k, n); the result has B's.

    Raises:
        TypeError: ``input`` or ``B`` is not a tensor.
        RuntimeError: input is not square, B does not fit, or the dtypes do not, or ``out`` cannot hold the result.
    """
    check_square("linalg.solve_triangular", input)
    check_tensor("linalg.solve_triangular", "B", B, 2)
    a, b = input._data, B._data
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"linalg.solve_triangular: Expected A and B to have the same dtype, but found {input.dtype} and {B.dtype}"
        )
    if b.ndim < 2 or a.shape[-1] != b.shape[-2 if left else -1]:
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({list(input.shape)} and {list(B.shape)})"
        )
    if not left:
        x = solve_triangular(transposed(input), transposed(B), upper=not upper, unitriangular=unitriangular)
        return into(out, transposed(x), "linalg_solve_triangular")
    if a.shape[:-2] != b.shape[:-2]:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        input, B = input.expand((*lead, *a.shape[-2:])), B.expand((*lead, *b.shape[-2:]))
        a, b = input._data, B._data
    turned = not a.flags.c_contiguous and np.swapaxes(a, -1, -2).flags.c_contiguous
    t = batched(np.swapaxes(a, -1, -2) if turned else dense(input))
    x = empty((len(t), *b.shape[-2:]), b.dtype)
    x.reshape(b.shape)[...] = b
    kernels.triangular_solve(t, x, upper != turned, unitriangular, turned)
    result = wrap(x.reshape(b.shape))
    if recording(input, B):
        node = LinalgSolveTriangular(input, B)
        node.upper, node.unit = upper, unitriangular
        node.attach(result)
        node.save(input, result)
    return into(out, result, "linalg_solve_triangular")


@casts("float32")
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """X with ``A X = input`` for a triangular A, and A: ``(solution, cloned_coefficient)``.

    Args:
        input: right-hand sides (*, n, k), float32 or float64.
        A: triangular matrices (*, n, n), of the same dtype.
        upper: whether the upper triangle is read, or else the lower.
        transpose: solve with A transposed.
        unitriangular: take the diagonal as ones.

    Returns:
        a named tuple (solution, cloned_coefficient), of the shapes of input and A.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: A is not square, input does not fit, or the dtypes do not.
    """
    a = transposed(A) if transpose else A
    x = solve_triangular(a, input, upper=upper != transpose, unitriangular=unitriangular)
    return return_types.triangular_solve(x, A.clone())


def _determinants(a, logs):
    """The factors of an array of matrices, their determinants, signs and logarithms; the last two if ``logs``."""
    packed, pivots, _ = factored(a)
    shape = a.shape[:-2]
    det = np.empty(len(packed), a.dtype)
    sign, size = (np.empty(len(packed), a.dtype) for _ in range(2)) if logs else (det[:0], det[:0])
    kernels.determinant(packed, pivots, det, sign, size)
    return (packed, pivots), *(x.reshape(shape) for x in (det, sign, size)[: 3 if logs else 1])


class _OfFactors(Node):
    """A function of the determinant: its gradient comes from A^-T."""

    __slots__ = ("factors",)

    def release(self):
        """Drops the factors."""
        super().release()
        self.factors = None

    def inverse_transposed(self, a):
        """A^-T, differentiable where that is asked for."""
        if mode.grad:
            return transposed(inv(a))
        return wrap(solved(*self.factors, None, a._data.shape[-1], True).reshape(a._data.shape))


class LinalgDet(_OfFactors):
    __slots__ = ()

    def backward(self, grad):
        a, det = self.saved_tensors()
        if np.all(det._data != 0):
            return (grad * det).unsqueeze(-1).unsqueeze(-1) * self.inverse_transposed(a)
        # cofactors from the singular values: det(U) det(V) U diag(products of the others) V^T
        if mode.grad:
            raise RuntimeError("linalg.det: the second derivative at a singular matrix is not implemented")
        u, s, vh = np.linalg.svd(a._data)
        n = s.shape[-1]
        others = np.stack([np.delete(s, i, -1).prod(-1) for i in range(n)], -1)
        sign = np.linalg.det(u) * np.linalg.det(vh)
        return grad.unsqueeze(-1).unsqueeze(-1) * wrap((u * (others * sign[..., None])[..., None, :]) @ vh)


def det(A, *, out=None):
    """The determinant of square matrices (*, n, n).

    Args:
        A: square matrices, float32 or float64.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n) gives (*).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.det", A)
    factors, result = _determinants(A._data, False)
    result = wrap(result)
    if recording(A):
        node = LinalgDet(A)
        node.factors = factors
        node.attach(result)
        node.save(A, result)
    return into(out, result, "linalg_det")


class LinalgSlogdet(_OfFactors):
    __slots__ = ()

    def backward(self, _, grad):
        (a,) = self.saved_tensors()
        return grad.unsqueeze(-1).unsqueeze(-1) * self.inverse_transposed(a)


def slogdet(A, *, out=None):
    """Sign and logarithm of the absolute value of the determinant, as ``(sign, logabsdet)``.

    Args:
        A: square matrices, float32 or float64.
        out: a tuple of two tensors to write the results to, or None.

    Returns:
        a named tuple (sign, logabsdet) of (*) for (*, n, n); sign 0 and -inf for a singular matrix.

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64, or ``out`` cannot hold
            the result.
    """
    check_square("linalg.slogdet", A)
    factors, _, *pair = _determinants(A._data, True)
    pair = [wrap(x) for x in pair]
    if recording(A):
        node = LinalgSlogdet(A)
        node.factors = factors
        node.attach_all(pair)
        node.save(A)
    return into(out, Slogdet(*pair), "linalg_slogdet")


def logdet(input):
    """The natural logarithm of the determinant: NaN where it is negative, -inf where it is 0.

    Args:
        input: square matrices, float32 or float64.

    Shape:
        (*, n, n) gives (*).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the matrices are not square, or the dtype is neither float32 nor float64.
    """
    sign, size = slogdet(input)
    return size.masked_fill(sign == -1, math.nan) if np.any(sign._data == -1) else size


def matrix_power(input, n, *, out=None):
    """The n-th power of square matrices; a negative n takes the inverse's.

    Args:
        input: square matrices.
        n: an integer; 0 gives the identity.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: n is negative and a matrix singular.
        RuntimeError: the matrices are not square, or ``out`` cannot hold the result.
    """
    check_square("linalg.matrix_power", input, floating=False)
    if n < 0:
        return into(out, matrix_power(inv(input), -n), "linalg_matrix_power")
    case = "linalg_matrix_power" if n > 1 else "linalg_matrix_power.copy"
    result = None
    while n:
        if n & 1:
            result = input if result is None else result.matmul(input)
        n >>= 1
        if n:
            input = input.matmul(input)
    if result is None:
        result = input.clone().copy_(wrap(np.eye(input._data.shape[-1], dtype=input._data.dtype)))
    return into(out, result.clone() if result is input else result, case)


def matrix_exp(input):
    """The matrix exponential ``sum_k A^k / k!`` of input by a Taylor series of A scaled below norm 1/2, squared back.

    C. Moler and C. Van Loan, "Nineteen dubious ways to compute the exponential of a matrix" (2003).

    Args:
        input: square matrices, float32 or float64.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        RuntimeError: the matrices are not square, or of another dtype.
    """
    check_square("linalg.matrix_exp", input)
    d = input._data
    if not d.size:
        return input.clone()
    size = float(abs(d).sum(-2).max())
    degree, most = next((pair for pair in _TAYLOR[d.dtype] if size <= pair[1]), _TAYLOR[d.dtype][-1])
    times = max(0, math.ceil(math.log2(size / most))) if most < size < math.inf else 0
    y = _taylor(input / float(2**times) if times else input, degree)
    for _ in range(times):
        y = y.matmul(y)
    return y


# The degree of the Taylor polynomial, and the largest norm up to which it is exact to the dtype's precision.
_TAYLOR = {
    F32: ((1, 1.1e-7), (4, 5.1e-2), (8, 5.8e-1), (12, 1.46)),
    F64: ((1, 2.2e-16), (4, 3.3e-4), (8, 4.9e-2), (12, 2.9e-1), (16, 7.8e-1)),
}


def _taylor(x, degree):
    """The polynomial by a few products more than the root of its degree: M. Paterson, L. Stockmeyer, "On the number of
    nonscalar multiplications necessary to evaluate polynomials", SIAM J. Comput. 2 (1973)."""
    count = {1: 1, 4: 2}.get(degree, 4)
    powers = [wrap(np.broadcast_to(np.eye(x._data.shape[-1], dtype=x._data.dtype), x._data.shape).copy()), x]
    while len(powers) <= count:
        half = len(powers) // 2
        powers.append(powers[half].matmul(powers[len(powers) - half]))

    def block(start, terms):
        total = powers[0] / float(math.factorial(start))
        for i in range(1, terms):
            total = total + powers[i] / float(math.factorial(start + i))
        return total

    start = degree - count
    y = block(start, count + 1)
    while start:
        start -= count
        y = y.matmul(powers[count]) + block(start, count)
    return y


def pinv(input, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """The Moore-Penrose pseudoinverse of matrices (*, m, n): singular values up to ``max(atol, rtol * largest)`` count
    as 0.

    Args:
        input: matrices, float32 or float64.
        rcond: an older name of ``rtol``.
        hermitian: input is symmetric: only its lower triangle is read.
        atol: singular values up to it count as 0.
        rtol: default ``max(m, n)`` times the machine epsilon, or 0 where atol is given.
        out: tensor to write the result to, or None.

    Shape:
        (*, m, n) gives (*, n, m).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    check_matrix("linalg.pinv", input)
    result = wrap(_pinv_array(input._data, rcond if rtol is None else rtol, atol, hermitian))
    if recording(input):
        node = LinalgPinv(input)
        node.attach(result)
        node.save(input, result)
    return into(out, result, "linalg_pinv")


def _pinv_array(a, rtol, atol, hermitian):
    if hermitian:
        values, u = computed("linalg.pinv", np.linalg.eigh, a)
        s, vh = abs(values), np.swapaxes(u, -1, -2) * np.sign(values)[..., None]
    else:
        u, s, vh = computed("linalg.pinv", lambda x: np.linalg.svd(x, full_matrices=False), a)
    keep = s > _tolerance(a, s, atol, rtol)
    r = np.divide(1, s, out=np.zeros_like(s), where=keep)
    return np.ascontiguousarray((np.swapaxes(vh, -1, -2) * r[..., None, :]) @ np.swapaxes(u, -1, -2))


def _tolerance(a, s, atol, rtol):
    """The largest singular value that counts as 0."""
    if rtol is None:
        rtol = (
            0.0
            if atol is not None and np.all(np.asarray(_plain(atol)) > 0)
            else np.finfo(a.dtype).eps * max(a.shape[-2:])
        )
    top = s.max(-1, keepdims=True) if s.shape[-1] else np.zeros((*s.shape[:-1], 1), s.dtype)
    rtol, atol = (np.asarray(0.0 if t is None else _plain(t), a.dtype)[..., None] for t in (rtol, atol))
    return np.maximum(atol, rtol * top)


def _plain(x):
    return x._data if hasattr(x, "_data") else x


class LinalgPinv(Node):
    __slots__ = ()

    def backward(self, grad):
        a, p = self.saved_tensors()
        g, pt = transposed(grad), transposed(p)
        if a.shape[-2] <= a.shape[-1]:
            k = g.matmul(p)
            kp = k.matmul(pt)
            return -transposed(p.matmul(k)) + kp - a.matmul(p).matmul(kp) + pt.matmul(p).matmul(g - k.matmul(a))
        k = p.matmul(g)
        pk = pt.matmul(k)
        return -transposed(k.matmul(p)) + (g - a.matmul(k)).matmul(p).matmul(pt) + pk - pk.matmul(p).matmul(a)


@casts("float32")
def pinverse(input, rcond=1e-15):
    """The Moore-Penrose pseudoinverse, with singular values up to ``rcond * largest`` as 0; see :func:`pinv`.

    Args:
        input: matrices, float32 or float64.
        rcond: a number.

    Shape:
        (*, m, n) gives (*, n, m).

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64.
    """
    return pinv(input, rcond)


@casts("float32")
def matrix_rank(input, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
    """How many singular values are above ``max(atol, rtol * largest)``.

    Args:
        input: matrices, float32 or float64.
        tol: an older name of ``atol``.
        hermitian: input is symmetric.
        atol: singular values up to it count as 0.
        rtol: default ``max(m, n)`` times the machine epsilon, or 0 where atol is given.
        out: tensor to write the result to, or None.

    Shape:
        (*, m, n) gives (*), int64.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: fewer than two dimensions, or the dtype is neither float32 nor float64, or ``out`` cannot hold the
            result.
    """
    check_matrix("linalg.matrix_rank", input)
    s = abs(np.linalg.eigvalsh(input._data)) if hermitian else np.linalg.svd(input._data, compute_uv=False)
    rank = (s > _tolerance(input._data, s, atol if tol is None else tol, rtol)).sum(-1)
    return into(out, wrap(np.asarray(rank)), "linalg_matrix_rank")


@casts("float32")
def cond(input, p=None, *, out=None):
    """The condition number ``||A|| ||A^-1||`` in the norm p (None: 2, the ratio of the extreme singular values).

    Args:
        input: matrices, float32 or float64; square ones but for p of None, 2 and -2.
        p: None, 2, -2, 1, -1, inf, -inf, ``'fro'`` or ``'nuc'``, as in :func:`matrix_norm`.
        out: tensor to write the result to, or None.

    Shape:
        (*, m, n) gives (*).

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: a matrix is singular, for norms other than 2 and -2.
        RuntimeError: the shape or the dtype does not fit, or there is no such norm, or ``out`` cannot hold the result.
    """
    check_matrix("linalg.cond", input)
    from .norms import matrix_norm

    if p is None or p in (2, -2):
        s = svdvals(input)
        big, small = s.select(-1, 0), s.select(-1, s.shape[-1] - 1)
        return into(out, small / big if p == -2 else big / small, "linalg_cond")
    return into(out, matrix_norm(input, p) * matrix_norm(inv(input), p), "linalg_cond")


def _by_qr(input, b):
    """The solution of least squares with at least as many rows as columns by Q and R, in a fourth of the time that
    singular values take; None unless all of R's diagonal is far from 0 (then R tells the rank)."""
    q, r = qr_arrays("linalg.lstsq", input._data, "reduced")
    diagonal = abs(np.diagonal(r, axis1=-2, axis2=-1))
    if not diagonal.size or not (diagonal.min(-1) > 1e-3 * diagonal.max(-1)).all():
        return None
    return solve_triangular(wrap(r), transposed(wrap(q)).matmul(b), upper=True)


@casts("float32")
def lstsq(input, b, rcond=None, *, driver=None):
    """Least squares: X that minimizes ``||input X - b||``; ``(solution, residuals, rank, singular_values)``.

    Args:
        input: matrices (*, m, n), float32 or float64.
        b: right-hand sides (*, m, k), of input's dtype.
        rcond: singular values up to ``rcond * largest`` count as 0.
        driver: ``'gelsy'`` (None), ``'gels'``, ``'gelsd'`` or ``'gelss'``. All of them work with singular values here;
            the name tells, as in LAPACK, which of the other results are given and which are empty.

    Returns:
        a named tuple (solution, residuals, rank, singular_values); the solution is (*, n, k).

    Raises:
        TypeError: ``input`` or ``b`` is not a tensor.
        RuntimeError: another driver, or sizes or dtypes that do not fit.
    """
    check_matrix("linalg.lstsq", input)
    check_tensor("linalg.lstsq", "b", b, 2)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got {driver}"
        )
    vector = _is_vector(input._data, b._data)
    b = b.unsqueeze(-1) if vector else b
    m, n = input._data.shape[-2:]
    if b._data.shape[-2] != m:
        raise RuntimeError(f"linalg.lstsq: input {list(input.shape)} and b {list(b.shape)} do not fit")
    least = np.finfo(input._data.dtype).eps * max(m, n)
    rcond = least if rcond is None else rcond
    whole = driver == "gels" or (driver in (None, "gelsy") and rcond <= least)
    if recording(input, b) or b._data.dtype != input._data.dtype:
        x = pinv(input, rcond).matmul(b)
        s = np.linalg.svd(input._data, compute_uv=False)
    elif whole and m >= n and (found := _by_qr(input, b)) is not None:
        rank = np.full(input._data.shape[:-2], n)
        rest = wrap(np.empty(0, input._data.dtype))
        if m > n and driver == "gels":
            rest = (input.matmul(found) - b).square().sum(-2)
        found = found.squeeze(-1) if vector else found
        rank, none = (np.empty(0, np.int64) if driver == "gels" else rank), np.empty(0, input._data.dtype)
        return Lstsq(found, rest, wrap(rank), wrap(none))
    else:
        u, s, vh = computed("linalg.lstsq", lambda a: np.linalg.svd(a, full_matrices=False), input._data)
        kept = np.divide(1, s, out=np.zeros_like(s), where=s > rcond * s[..., :1])[..., None]
        x = transposed(wrap(vh)).matmul(transposed(wrap(u)).matmul(b) * wrap(kept))
    rank = np.asarray((s > rcond * s[..., :1]).sum(-1))
    none = np.empty(0, input._data.dtype)
    rest = wrap(none)
    if m > n and driver in ("gels", "gelsd", "gelss") and np.all(rank == n):
        rest = (input.matmul(x) - b).square().sum(-2)
    return Lstsq(
        x.squeeze(-1) if vector else x,
        rest,
        wrap(np.empty(0, np.int64) if driver == "gels" else rank),
        wrap(s if driver in ("gelsd", "gelss") else none),
    )


def multi_dot(tensors, *, out=None):
    """The product of two or more matrices in the order that costs least; the first and last may be vectors.

    T. H. Cormen et al., "Introduction to Algorithms", matrix-chain multiplication.

    Args:
        tensors: a sequence of matrices of one dtype.
        out: tensor to write the result to, or None.

    Shape:
        (n_0, n_1), (n_1, n_2), ..., (n_k-1, n_k) give (n_0, n_k), without the sizes of vectors.

    Raises:
        TypeError: one is not a tensor.
        RuntimeError: fewer than two tensors, or sizes that do not fit, or ``out`` cannot hold the result.
    """
    ts = list(tensors)
    for t in ts:
        check_tensor("multi_dot", "tensors", t)
    if len(ts) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(ts)}")
    first, last = ts[0].ndim == 1, ts[-1].ndim == 1
    ts[0] = ts[0].unsqueeze(0) if first else ts[0]
    ts[-1] = ts[-1].unsqueeze(1) if last else ts[-1]
    for t in ts:
        if t.ndim != 2:
            raise RuntimeError(f"multi_dot(): expected matrices (vectors only first and last), got a {t.ndim}-D tensor")
    for a, b in zip(ts, ts[1:], strict=False):
        if a.shape[1] != b.shape[0]:
            raise RuntimeError(f"multi_dot(): shapes {list(a.shape)} and {list(b.shape)} cannot be multiplied")
    sizes = [t.shape[0] for t in ts] + [ts[-1].shape[1]]
    n = len(ts)
    cost, cut = {(i, i): 0 for i in range(n)}, {}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        return ts[i] if i == j else product(i, cut[i, j]).matmul(product(cut[i, j] + 1, j))

    y = product(0, n - 1)
    if first:
        y = y.squeeze(0)
    return into(out, y.squeeze(-1) if last else y, "linalg_multi_dot")


@casts("float32")
def cholesky_solve(input, input2, upper=False, *, out=None):
    """X with ``A X = input``, from the Cholesky factor input2 (or upper factor) of A.

    Args:
        input: right-hand sides, float32 or float64.
        input2: Cholesky factors, triangular, of the same dtype.
        upper: they are upper triangles.
        out: tensor to write the result to, or None.

    Shape:
        input (*, n, k), input2 (*, n, n); the result has input's.

    Raises:
        TypeError: ``input`` or ``input2`` is not a tensor.
        RuntimeError: the matrices are not square or singular, or the sizes do not fit, or ``out`` cannot hold the
            result.
    """
    check_tensor("cholesky_solve", "input", input, 1)
    check_tensor("cholesky_solve", "input2", input2, 2)
    a = transposed(input2).matmul(input2) if upper else input2.matmul(transposed(input2))
    return into(out, solve(a, input), "cholesky_solve")


@casts("float32")
def cholesky_inverse(input, upper=False, *, out=None):
    """The inverse of the matrix whose Cholesky factor (lower, or upper) is input.

    Args:
        input: Cholesky factors, triangular, float32 or float64.
        upper: they are upper triangles.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, n); the result has the same.

    Raises:
        TypeError: input is no tensor.
        RuntimeError: the matrices are not square or singular, or ``out`` cannot hold the result.
    """
    check_tensor("cholesky_inverse", "input", input, 1)
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError(f"cholesky_inverse: input must be batches of square matrices, got shape {list(input.shape)}")
    result = inv(transposed(input).matmul(input) if upper else input.matmul(transposed(input)))
    return into(out, result, "cholesky_inverse")


def linalg_lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """``linalg.lu_solve``: X with ``A X = B`` from what ``linalg.lu_factor`` gives.

    Args:
        LU, pivots: as ``linalg.lu_factor`` gives them, (*, n, n) and (*, n) int32.
        B: right-hand sides, of LU's dtype.
        left: whether A stands on the left.
        adjoint: solve with A transposed.
        out: tensor to write the result to, or None.

    Shape:
        B (*, n, k), or with ``left=False`` (*, k, n); the result has B's.

    Raises:
        TypeError: ``LU``, ``pivots`` or ``B`` is not a tensor.
        LinAlgError: A is singular.
        RuntimeError: the sizes or dtypes do not fit, or a pivot is out of range, or ``out`` cannot hold the result.
    """
    check_tensors("linalg.lu_solve", LU=LU, pivots=pivots, B=B)
    p, lower, upper = lu_unpack(LU, pivots)
    a = p.matmul(lower).matmul(upper)
    return into(out, solve(transposed(a) if adjoint else a, B, left=left), "linalg_lu_solve")


@casts("float32")
def lu_solve(input, LU_data, LU_pivots, *, out=None):
    """X with ``A X = input``, from the LU factorization of A: ``lu_solve(b, LU_data, LU_pivots)``.

    Args:
        input: right-hand sides (*, n, k).
        LU_data, LU_pivots: as ``linalg.lu_factor`` gives them, (*, n, n) and (*, n) int32.
        out: tensor to write the result to, or None.

    Shape:
        that of ``input``.

    Raises:
        TypeError: an operand is not a tensor.
        LinAlgError: A is singular.
        RuntimeError: the sizes or dtypes do not fit, or a pivot is out of range, or ``out`` cannot hold the result.
    """
    check_tensors("lu_solve", input=input, LU_data=LU_data, LU_pivots=LU_pivots)
    return into(out, linalg_lu_solve(LU_data, LU_pivots, input), "lu_solve")


@casts("float32")
def tensorinv(input, ind=2, *, out=None):
    """The inverse of the linear map that tensordot with input makes: the first ``ind`` dimensions against the rest.

    Args:
        input: float32 or float64; the product of its first ``ind`` sizes is that of the others.
        ind: how many dimensions, at least 1.
        out: tensor to write the result to, or None.

    Shape:
        (a_1, ..., a_ind, b_1, ..., b_k) gives (b_1, ..., b_k, a_1, ..., a_ind).

    Raises:
        TypeError: ``input`` is not a tensor.
        LinAlgError: the map is singular.
        RuntimeError: ``ind`` is not positive, or the sizes do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("tensorinv", "input", input, 1)
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', got {ind}")
    rows, columns = input._data.shape[:ind], input._data.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), got "
            f"{list(input.shape)}"
        )
    return into(out, inv(input.reshape(math.prod(rows), -1)).reshape(*columns, *rows), "linalg_tensorinv")


@casts("float32")
def tensorsolve(input, other, dims=None, *, out=None):
    """X with ``tensordot(input, X, X.ndim) = other``; ``dims`` of input are moved to its end first.

    Args:
        input: float32 or float64, with the sizes of other first.
        other: of input's dtype.
        dims: dimensions of input to move to its end, or None.
        out: tensor to write the result to, or None.

    Shape:
        input (b_1, ..., b_k, x_1, ..., x_l), other (b_1, ..., b_k) give (x_1, ..., x_l).

    Raises:
        TypeError: ``input`` or ``other`` is not a tensor.
        LinAlgError: the map is singular.
        RuntimeError: the sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("tensorsolve", "input", input, 1)
    check_tensor("tensorsolve", "other", other, 2)
    if dims is not None:
        moved = [wrap_dim(d, input.ndim) for d in dims]
        input = input.permute([i for i in range(input.ndim) if i not in moved] + moved)
    shape = tuple(input._data.shape[other.ndim :])
    return into(out, solve(input.reshape(other.numel(), -1), other.reshape(-1)).reshape(shape), "linalg_tensorsolve")


def vecdot(x, y, *, dim=-1, out=None):
    """The sum of products of x and y along ``dim``.

    Args:
        x, y: tensors of one dtype; their shapes broadcast.
        dim: the dimension that is summed over.
        out: tensor to write the result to, or None.

    Shape:
        (*, n) and (*, n) give (*).

    Raises:
        TypeError: an operand is no tensor.
        RuntimeError: the shapes do not fit, or ``out`` cannot hold the result.
    """
    check_tensor("linalg_vecdot", "x", x, 1)
    check_tensor("linalg_vecdot", "y", y, 2)
    check_same_dtype("linalg.vecdot", x=x, y=y)
    return into(out, (x * y).sum(dim), "linalg_vecdot")


@casts("float32")
def trace(input):
    """The sum of a matrix's diagonal.

    Args:
        input: a matrix of any dtype.

    Shape:
        (n, m) gives ().

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: the input is not 2-D.
    """
    check_tensor("trace", "input", input, 1)
    if input._data.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._data.ndim}")
    return input.diagonal().sum()


def linalg_diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """``linalg.diagonal``: a view of the diagonals, of the last two dimensions by default.

    Args:
        A: tensor of any dtype with at least two dimensions.
        offset: 0 the main diagonal, positive above it, negative below.
        dim1, dim2: the two dimensions of the matrices.

    Shape:
        that of A without ``dim1`` and ``dim2``, and the diagonal's length as the last size.

    Raises:
        TypeError: ``A`` is not a tensor.
        IndexError: there is no such dimension.
        RuntimeError: both dimensions are the same.
    """
    check_tensor("linalg.diagonal", "A", A, 1)
    return A.diagonal(offset, dim1, dim2)


def matmul(input, other, *, out=None):
    """``linalg.matmul``: the matrix product ``y[i, j] = sum_k input[i, k] * other[k, j]``; see ``tnn.matmul``.

    Args:
        input, other: tensors of at least one dimension and of one dtype; dimensions before the last two broadcast.
        out: tensor to write the result to, or None.

    Shape:
        (*, n, k) and (*, k, m) give (*, n, m); vectors give up their dimension.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: sizes or dtypes do not fit, or ``out`` cannot hold the result.
    """
    check_tensors("linalg.matmul", input=input, other=other)
    return into(out, input.matmul(other), "linalg_matmul")


def vander(x, N=None, increasing=False):
    """The Vandermonde matrix of x: column powers falling from N - 1 to 0, or rising.

    Args:
        x: (n,), of any dtype.
        N: number of columns; None: n.
        increasing: whether the powers rise.

    Shape:
        output (n, N).

    Raises:
        TypeError: ``x`` is not a tensor.
        RuntimeError: x is not 1-D.
    """
    check_tensor("vander", "x", x, 1)
    if x._data.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    y = linalg_vander(x, N=x.shape[0] if N is None else N)
    return y if increasing else y.flip(1)


def linalg_vander(x, *, N=None):
    """``linalg.vander``: ``V[..., i, j] = x[..., i] ** j`` for j < N (default: as many as x has elements).

    Args:
        x: tensor of any dtype; a number counts as one element.
        N: number of columns, at least 2.

    Shape:
        (*, n) gives (*, n, N).

    Raises:
        TypeError: ``x`` is not a tensor.
        RuntimeError: N, or the number of elements in its place, is below 2.
    """
    check_tensor("linalg.vander", "x", x, 1)
    if not x._data.ndim:
        x = x.reshape(1)
    n = x._data.shape[-1] if N is None else as_int(N)
    if n <= 1:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, got {n}")
    ones = x.new_ones((*x.shape, 1))
    from .joining import cat

    powers = x.unsqueeze(-1).expand((*x.shape, n - 1)).cumprod(-1)
    return cat([ones if ones.dtype is powers.dtype else ones.to(powers.dtype), powers], -1)


@half_as_float32
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance of variables (rows) over observations (columns): ``C[i, j] = sum_k w_k (x_ik - m_i) (x_jk - m_j) /
    n``.

    Args:
        input: (variables, observations), or (observations,).
        correction: what is taken from the number of observations to divide by.
        fweights: how often each observation was made, integers (observations,).
        aweights: relative weights (observations,), floating point.

    Shape:
        output (variables, variables), or ().

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: more than 2 dimensions, or weights that do not fit.
    """
    check_tensor("cov", "input", input, 1)
    if input._data.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input._data.ndim} dimensions"
        )
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input.reshape(1, -1) if input._data.ndim < 2 else input
    x = x if x.dtype.is_floating_point else x.float()
    n = x.shape[1]
    w = None
    for name, t in (("fweights", fweights), ("aweights", aweights)):
        if t is not None:
            check_tensor("cov", name, t)
            if t._data.ndim > 1 or t.numel() != n:
                raise RuntimeError(
                    f"cov(): expected {name} to have one element for each of {n} observations, got {list(t.shape)}"
                )
            if name == "fweights" and t.dtype.kind != 1 or name == "aweights" and t.dtype.kind != 2:
                kind = "integral" if name == "fweights" else "floating point"
                raise RuntimeError(
                    f"cov(): expected {name} to have {kind} dtype but got {name} with {t.dtype.torch_name} dtype"
                )
            if np.any(t._data < 0):
                raise RuntimeError(f"cov(): {name} cannot be negative")
            w = t if w is None else w * t
    total = float(n) if w is None else w.sum()
    mean = x.mean(1, True) if w is None else (x * w).sum(1, True) / total
    if w is None or correction == 0:
        left = total - correction
    elif aweights is None:
        left = total - correction
    else:
        left = total - correction * (w * aweights).sum() / total
    centred = x - mean
    other = centred if w is None else centred * w
    left = max(left, 0.0) if isinstance(left, float) else left.clamp_min(0)
    y = other.matmul(centred.t()) / left
    return y.squeeze()


def corrcoef(input):
    """The correlation coefficients ``C_ij / sqrt(C_ii C_jj)`` of variables (rows) over observations (columns), within
    [-1, 1].

    Args:
        input: (variables, observations), or (observations,).

    Shape:
        output (variables, variables), or ().

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: more than 2 dimensions.
    """
    c = cov(input)
    if not c._data.ndim:
        return c / c
    d = c.diagonal().sqrt()
    return (c / d.unsqueeze(1) / d.unsqueeze(0)).clamp(-1.0, 1.0)


def _range_basis(A, q, niter):
    """Orthonormal columns, q of them, that nearly span the range of tall matrices: random sums of the columns, drawn
    towards the large singular values by ``niter`` rounds of power iteration."""
    q_columns = linalg_qr(A.matmul(randn(A.shape[-1], q, dtype=A.dtype))).Q
    for _ in range(niter):
        q_columns = linalg_qr(transposed(A).matmul(q_columns)).Q
        q_columns = linalg_qr(A.matmul(q_columns)).Q
    return q_columns


def svd_lowrank(A, q=6, niter=2, M=None):
    """About the first q singular values and vectors ``(U, S, V)`` of A, or of A - M.

    Args:
        A: matrices (*, m, n), floating point.
        q: how many, a little more than the rank that is looked for.
        niter: rounds of power iteration; more are more precise.
        M: what is taken from A, of a shape that broadcasts to A's; or None.

    Returns:
        a tuple (U, S, V) of (*, m, q), (*, q) and (*, n, q).

    Raises:
        TypeError: ``A`` is not a tensor.
        RuntimeError: the shapes do not fit.

    N. Halko et al., "Finding structure with randomness" (2009).
    """
    check_tensor("svd_lowrank", "A", A, 1)
    A = A if M is None else A - M
    wide = A.shape[-2] < A.shape[-1]
    tall = transposed(A) if wide else A
    basis = _range_basis(tall, 6 if q is None else q, niter)
    u, s, v = svd(transposed(basis).matmul(tall))
    u = basis.matmul(u)
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A, q=None, center=True, niter=2):
    """About the first q principal components ``(U, S, V)`` of observations (rows): :func:`svd_lowrank` of A less the
    columns' means.

    Args:
        A: matrices (*, m, n), floating point.
        q: how many; None: 6, or as many as there are.
        center: whether the columns' means are taken off.
        niter: rounds of power iteration; more are more precise.

    Returns:
        a tuple (U, S, V) of (*, m, q), (*, q) and (*, n, q).

    Raises:
        TypeError: ``A`` is not a tensor.
        ValueError: q is not between 0 and the smaller dimension, or niter is negative.
    """
    check_tensor("pca_lowrank", "A", A, 1)
    least = min(A.shape[-2:])
    q = min(6, least) if q is None else q
    if not 0 <= q <= least:
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={least}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, True) if center else A, q, niter)
