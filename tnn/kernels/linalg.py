"""LU factorization with partial pivoting, the one decomposition that numpy.linalg does not hand out."""

import numpy as np
from numba import njit

from ._jit import JIT


@njit(**JIT)
def lu_factor(a, pivots):
    """Factors each matrix of a (batch, m, n) in place into L (unit lower, below the diagonal) and U (above and on it).

    pivots: (batch, min(m, n)) of int32, written: row that step k swapped with row k, from 1. A column of zeros is left.
    """
    batch, m, n = a.shape
    for b in range(batch):
        for k in range(min(m, n)):
            p = k
            for i in range(k + 1, m):
                if abs(a[b, i, k]) > abs(a[b, p, k]):
                    p = i
            pivots[b, k] = np.int32(p + 1)
            if a[b, p, k] == 0.0:
                continue
            if p != k:
                for j in range(n):
                    a[b, k, j], a[b, p, j] = a[b, p, j], a[b, k, j]
            top = a[b, k]
            for i in range(k + 1, m):
                row = a[b, i]
                row[k] /= top[k]
                f = row[k]
                for j in range(k + 1, n):
                    row[j] -= f * top[j]
