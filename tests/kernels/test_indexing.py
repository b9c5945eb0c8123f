"""take, put, gather, scatter: against NumPy, serial and parallel."""

import numpy as np
import pytest

from tnn.kernels import indexing as kernels

pytestmark = [pytest.mark.boundscheck, pytest.mark.nojit]

# (outer, k, n, inner): the last three are large enough for the parallel paths
SHAPES = [(1, 5, 7, 1), (2, 3, 4, 3), (3, 1, 2, 2), (4, 9, 300, 30), (1, 50, 500, 70), (1100, 30, 30, 1)]


def data(outer, k, n, inner):
    rng = np.random.RandomState(0)
    x, g = rng.rand(outer, k, inner), rng.rand(outer, n, inner)
    return x, g, rng.randint(0, k, n), rng.randint(0, k, (outer, n, inner))


def grid(index):
    o, _, i = np.indices(index.shape)
    return o, index, i


@pytest.mark.parametrize("shape", SHAPES)
def test_take_and_put(shape):
    x, g, index, _ = data(*shape)
    y = np.zeros_like(g)
    kernels.take_forward(x.view(np.uint64), index, y.view(np.uint64))
    np.testing.assert_array_equal(y, x[:, index])
    dx = x.copy()
    kernels.take_backward(g, index, dx)
    expected = x.copy()
    np.add.at(expected, (slice(None), index), g)
    np.testing.assert_allclose(dx, expected, rtol=1e-13)
    expected = x.copy()
    for j, k in enumerate(index):
        expected[:, k] = g[:, j]
    for scratch in (0, shape[1]):
        y = x.copy()
        kernels.put_forward(g.view(np.uint64), index, np.empty(scratch, np.int64), y.view(np.uint64))
        np.testing.assert_array_equal(y, expected)
    y = x.copy()
    kernels.put_number(np.array([7.0]).view(np.uint64), index, y.view(np.uint64))
    expected = np.where(np.isin(np.arange(shape[1]), index)[:, None], 7.0, x)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_gather_and_scatter(shape):
    x, g, _, index = data(*shape)
    y = np.zeros_like(g)
    kernels.gather_forward(x.view(np.uint64), index, y.view(np.uint64))
    np.testing.assert_array_equal(y, np.take_along_axis(x, index, 1))
    dx = x.copy()
    kernels.gather_backward(g, index, dx, False)
    expected = x.copy()
    np.add.at(expected, grid(index), g)
    np.testing.assert_allclose(dx, expected, rtol=1e-13)
    y = x.copy()
    assert not kernels.scatter_within(g.view(np.uint64), index, y.view(np.uint64), False)
    expected = x.copy()
    for j in range(shape[2]):
        np.put_along_axis(expected, index[:, j : j + 1], g[:, j : j + 1], 1)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("shape", SHAPES[:4])
@pytest.mark.parametrize("op", [kernels.SUM, kernels.PROD, kernels.AMAX, kernels.AMIN])
def test_scatter_reduce(shape, op):
    x, g, _, index = data(*shape)
    combine = {kernels.SUM: np.add, kernels.PROD: np.multiply, kernels.AMAX: np.maximum, kernels.AMIN: np.minimum}[op]
    neutral = {kernels.SUM: 0, kernels.PROD: 1, kernels.AMAX: -np.inf, kernels.AMIN: np.inf}[op]
    for include in (True, False):
        y, first = x.copy(), np.full(x.shape, not include)
        kernels.scatter_reduce_forward(g, index, y, first, op)
        expected = x.copy()
        if not include:
            expected[grid(index)] = neutral
        combine.at(expected, grid(index), g)
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_wrap_indices():
    for n in (4, 40000):
        index = np.resize(np.array([0, -1, 4, -5], np.int64), n)
        out = np.zeros_like(index)
        assert not kernels.wrap_indices(index, -5, 5, out) and kernels.wrap_indices(index, 0, 5, out)
        assert out[:4].tolist() == [0, 4, 4, 0] and out[-1] == 0
        for bad in (5, -6, 2**62, -(2**62)):
            wrong = index.copy()
            wrong[n // 2] = bad
            assert kernels.wrap_indices(wrong, -5, 5, out) and kernels.outside(wrong, -5, 5)
        assert not kernels.outside(index, -5, 5) and kernels.outside(index, -4, 5) and kernels.outside(index, -5, 4)


def test_result_does_not_depend_on_threads():
    from tnn import get_num_threads, set_num_threads

    _, g, index, _ = data(1, 5, 3000, 70)
    before, results = get_num_threads(), []
    try:
        for threads in (1, before):
            set_num_threads(threads)
            dx = np.zeros((1, 5, 70))
            kernels.take_backward(g, index, dx)
            results.append(dx)
    finally:
        set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("shape", [(1, 700, 300, 70), (2, 40, 900, 16), (900, 40, 30, 1)])
def test_gradients_written_anew(shape):
    outer, k, n, inner = shape
    _, g, index, full = data(*shape)
    taken, gathered = np.zeros((outer, k, inner)), np.zeros((outer, k, inner))
    np.add.at(taken, (slice(None), index), g)
    np.add.at(gathered, grid(full), g)
    dx = np.full((outer, k, inner), np.nan)
    scratch = np.empty(k, np.int64), np.empty(n, np.int64)
    kernels.add_forward(np.empty((0, 0, 0)), g, index, *scratch, dx)
    np.testing.assert_allclose(dx, taken, rtol=1e-12, atol=1e-14)
    x = np.arange(1.0, 1.0 + dx.size).reshape(dx.shape)
    kernels.add_forward(x, g, index, *scratch, dx)
    np.testing.assert_allclose(dx, x + taken, rtol=1e-12, atol=1e-14)
    dx[:] = np.nan
    kernels.gather_backward(g, full, dx, True)
    np.testing.assert_allclose(dx, gathered, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 9, 300, 30), (500, 20, 10, 1)])
def test_gather_checked(shape):
    x, _, _, index = data(*shape)
    y, kept, nothing = np.zeros(index.shape), np.zeros_like(index), np.zeros((0, 0, 0), np.int64)
    bits = x.view(np.uint64), y.view(np.uint64)
    assert not kernels.gather_checked_forward(bits[0], index, kept, bits[1])
    np.testing.assert_array_equal(y, np.take_along_axis(x, index, 1))
    np.testing.assert_array_equal(kept, index)
    for wrong in (-1, shape[1]):
        index[-1, -1, -1] = wrong
        assert kernels.gather_checked_forward(bits[0], index, nothing, bits[1])
