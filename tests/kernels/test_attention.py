"""Rows of scores as vectors: powers of two and their sums, the largest elements, gradients."""

import numpy as np
import pytest
from numba import njit

from tnn.kernels._jit import JIT
from tnn.kernels._simd import ptr
from tnn.kernels._simd_softmax import rows_grad, rows_max, rows_power

MADE = JIT | {"cache": False}


@njit(**MADE)
def run(s, g, m, sums, delta):
    """All three on copies: the maxima stay in m, the powers in s, the gradients in g."""
    rows, n = s.shape
    again = s.copy()
    rows_max(ptr(s, 0), ptr(m, 0), n, rows, n)
    rows_power(ptr(s, 0), ptr(m, 0), ptr(sums, 0), n, rows, n)
    rows_grad(ptr(again, 0), ptr(g, 0), ptr(m, 0), ptr(delta, 0), n, rows, n)
    return again


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows(dtype):
    rng = np.random.default_rng(3)
    # from a vector to more than four, and powers down to where they vanish
    for n in (16, 64, 80, 144, 1600):
        s = (rng.uniform(-1, 0, (6, n)) * [[1], [30], [300], [3000], [1], [1]]).astype(dtype)
        s[4] = -np.inf
        s[5, 3] = np.nan
        g, delta = rng.standard_normal((6, n)).astype(dtype), rng.standard_normal(6).astype(dtype)
        m, sums = np.full(6, -np.inf, dtype), np.empty(6, dtype)
        given, grad = s.copy(), g.copy()
        again = run(s, g, m, sums, delta)
        top = given.max(1)
        np.testing.assert_array_equal(m[:5], top[:5])
        exact = np.exp2(given[:4].astype(np.longdouble) - top[:4, None])
        normal = given[:4] - top[:4, None] > np.log2(np.finfo(dtype).tiny)
        error = abs(s[:4] - exact) / np.spacing(exact.astype(dtype))
        # what is subtracted rounds the difference: half a unit in the last place of up to 3000
        room = np.finfo(dtype).eps / 2 * abs(given[:4] - top[:4, None]) * exact / np.spacing(exact.astype(dtype))
        assert (error - room)[normal].max() < 0.9
        assert not s[:4][~normal].any()
        assert not s[4].any() and sums[4] == 0
        assert np.isnan(s[5, 3]) and np.isnan(sums[5])
        np.testing.assert_allclose(sums[:4], s[:4].astype(np.float64).sum(1), rtol=20 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(again[:4], s[:4])
        np.testing.assert_array_equal(g[:4], s[:4] * (grad[:4] - delta[:4, None]))
