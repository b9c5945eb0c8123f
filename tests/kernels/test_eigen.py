"""Eigenvalues of symmetric matrices: against NumPy, and of matrices whose eigenvalues are known."""

import numpy as np
import pytest

from tnn.kernels.eigen import symmetric_values

RNG = np.random.default_rng(3)


def values_of(a, lower=True):
    out = np.empty(a.shape[:-1], a.dtype)
    return out, symmetric_values(np.ascontiguousarray(a), lower, out)


def kinds(n):
    x = RNG.standard_normal((n, n))
    yield x + x.T
    yield x @ x.T
    yield np.zeros((n, n))
    yield np.eye(n)
    yield np.outer(x[0], x[0])
    q, spread = np.linalg.qr(x)[0], np.logspace(-12, 0, n)
    a = q @ (spread[:, None] * q.T)
    yield (a + a.T) / 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17, 40])
def test_agrees_with_numpy(n, dtype):
    a = np.stack(list(kinds(n))).astype(dtype)
    for lower in (True, False):
        # what stands in the other triangle is not read
        half = np.tril(a) if lower else np.triu(a)
        half[:, *((0, n - 1) if lower else (n - 1, 0))] += np.nan if n > 1 else 0
        got, bad = values_of(half, lower)
        assert bad == 0
        want = np.linalg.eigvalsh(a.astype(np.float64))
        size = abs(want).max(1, keepdims=True)
        assert (abs(got - want) <= (n + 8) * np.finfo(dtype).eps * size).all()


def test_known_eigenvalues():
    n = 50
    chain = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    want = 2 - 2 * np.cos(np.arange(1, n + 1) * np.pi / (n + 1))
    np.testing.assert_allclose(values_of(chain[None])[0][0], want, rtol=0, atol=2e-14)
    # blocks, and diagonals that vanish
    path = np.eye(n, k=1) + np.eye(n, k=-1)
    path[20, 21] = path[21, 20] = 0.0
    want = np.sort(np.concatenate([2 * np.cos(np.arange(1, m + 1) * np.pi / (m + 1)) for m in (21, 29)]))
    np.testing.assert_allclose(values_of(path[None])[0][0], want, rtol=0, atol=2e-14)
    block = np.kron(np.eye(5), np.array([[0.0, 2.0], [2.0, 3.0]]))
    np.testing.assert_allclose(values_of(block[None])[0][0], [-1.0] * 5 + [4.0] * 5, rtol=0, atol=1e-14)


def test_size_does_not_matter():
    x = RNG.standard_normal((1, 9, 9))
    a = x + x.transpose(0, 2, 1)
    want = values_of(a)[0]
    for power in (-1000, -600, 0, 600, 1000):
        got, bad = values_of(np.ldexp(a, power))
        assert bad == 0
        np.testing.assert_allclose(np.ldexp(got, -power), want, rtol=1e-13)


def test_numbers_that_are_not_finite():
    a = np.stack([np.eye(3)] * 3)
    a[1, 2, 0], a[2, 1, 1] = np.inf, np.nan
    got, bad = values_of(a)
    assert bad == 2 and got[0].tolist() == [1.0] * 3
