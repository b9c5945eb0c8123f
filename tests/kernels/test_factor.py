"""QR factorization, against what it has to satisfy and against LAPACK."""

import numpy as np
import pytest

from tnn.kernels import factor
from tnn.ops.factor import qr_arrays

SHAPES = ((1, 1), (1, 5), (5, 1), (3, 3), (7, 4), (4, 7), (32, 32), (33, 31), (64, 64), (100, 37), (37, 100), (129, 65))


@pytest.mark.parametrize("dtype, close", [(np.float32, 2e-6), (np.float64, 4e-15)])
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr(dtype, close, mode):
    random = np.random.default_rng(0)
    for m, n in SHAPES:
        a = random.standard_normal((2, m, n)).astype(dtype)
        q, r = qr_arrays("qr", a, mode)
        k = m if mode == "complete" else min(m, n)
        assert r.shape == (2, k, n) and r.dtype == dtype and not np.tril(r, -1).any()
        # LAPACK's signs
        want = np.linalg.qr(a.astype(np.float64), mode="r")
        np.testing.assert_allclose(r[:, : min(m, n)], want, atol=close * 20 * np.sqrt(m * n))
        assert not r[:, min(m, n) :].any()
        if mode != "r":
            assert q.shape == (2, m, k) and q.dtype == dtype
            np.testing.assert_allclose(q @ r, a, atol=close * 4 * np.sqrt(m))
            np.testing.assert_allclose(q.swapaxes(1, 2) @ q, np.stack([np.eye(k)] * 2), atol=close * 4 * np.sqrt(m))


def test_qr_of_few_ranks_and_extreme_sizes():
    a = np.outer(np.arange(1.0, 41.0), np.ones(35))
    a[:, 3] = 0
    for scale in (1.0, 1e-300, 1e300, 0.0):
        q, r = qr_arrays("qr", a * scale, "reduced")
        np.testing.assert_allclose(q.T @ q, np.eye(35), atol=1e-13)
        np.testing.assert_allclose((q @ r) / (scale or 1.0), a if scale else 0 * a, atol=1e-11)
    assert np.isnan(qr_arrays("qr", np.full((4, 3), np.nan), "reduced")[1]).any()
    one = np.eye(4)[:, :3]
    one[2, 0] = np.nan  # among zeros
    assert np.isnan(qr_arrays("qr", one, "r")[1][0, 0])
    single = np.full((5, 2), 1e-40, np.float32)
    np.testing.assert_allclose(qr_arrays("qr", single, "r")[1][0, 0], -np.sqrt(5) * 1e-40, rtol=1e-3)


@pytest.mark.parametrize("dtype, close", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_householder(dtype, close):
    random = np.random.default_rng(1)
    for m, n, k in ((1, 1, 1), (5, 3, 2), (70, 40, 40), (64, 64, 33)):
        a, tau = random.standard_normal((2, m, n)).astype(dtype) / m, random.random((2, k)).astype(dtype)
        q = np.empty((2, m, n), dtype)
        factor.householder(a, tau, q)
        for b in range(2):
            want = np.eye(m, n)
            for j in range(k - 1, -1, -1):
                v = np.concatenate([np.zeros(j), [1], a[b, j + 1 :, j].astype(np.float64)])
                want -= tau[b, j] * np.outer(v, v @ want)
            np.testing.assert_allclose(q[b], want, atol=close)
