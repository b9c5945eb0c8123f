"""Reduction kernels against NumPy, on shapes that take every way through them."""

import numpy as np
import pytest

from tnn.kernels import reduction as K
from tnn.kernels._jit import default_num_threads, set_num_threads

# contiguous and strided; small, many short rows, one long row, narrow columns, wide columns, nothing
SHAPES = [
    (3, 5, 1), (7000, 10, 1), (2, 40000, 1), (300, 200, 1), (0, 4, 1), (3, 0, 1),
    (2, 5, 3), (1, 20000, 3), (40, 300, 7), (2, 3, 20000), (1, 70000, 1), (2, 300, 1030), (0, 4, 3),
]  # fmt: skip


def total(x, kind=K.SUM, p=1.0, shift=None, scale=1.0, root=1.0):
    y = np.empty((x.shape[0], x.shape[2]), x.dtype)
    if x.shape[2] == 1:
        shift = np.empty(0, x.dtype) if shift is None else shift.reshape(-1)
        K.sum_rows(x.reshape(x.shape[:2]), y.reshape(-1), kind, p, shift, scale, root)
    else:
        K.sum_columns(x, y, kind, p, np.empty((0, 0), x.dtype) if shift is None else shift, scale, root)
    return y


def extreme(x, kind):
    y = np.empty((x.shape[0], x.shape[2]), x.dtype)
    K.extreme_forward(x, y, kind)
    return y


def arg(x, kind):
    y = np.empty((x.shape[0], x.shape[2]), x.dtype)
    i = np.empty(y.shape, np.int64)
    K.arg_forward(x, y, i, kind)
    return y, i


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wide = x.astype(np.float64)
    n = max(1, shape[1])
    np.testing.assert_allclose(total(x), wide.sum(1), rtol=2e-7, atol=1e-5)
    np.testing.assert_allclose(total(x, scale=1 / n), wide.sum(1) / n, rtol=2e-7, atol=1e-9)
    np.testing.assert_allclose(total(x, K.ABS), abs(wide).sum(1), rtol=2e-7)
    np.testing.assert_allclose(total(x, K.SQUARE, root=0.5), np.sqrt((wide**2).sum(1)), rtol=2e-7)
    np.testing.assert_allclose(total(x, K.POWER, 3.0, root=1 / 3), (abs(wide) ** 3).sum(1) ** (1 / 3), rtol=3e-7)
    mean = total(x, scale=1 / n)
    spread = ((wide - mean[:, None]) ** 2).sum(1)
    np.testing.assert_allclose(total(x, K.SQUARE, shift=mean, scale=0.5), 0.5 * spread, rtol=2e-7)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[1] > 0], ids=str)
def test_extremes_and_where_they_are(shape):
    x = np.random.default_rng(1).integers(-50, 50, shape).astype(np.float32)
    np.testing.assert_array_equal(extreme(x, K.MAX), x.max(1))
    np.testing.assert_array_equal(extreme(x, K.MIN), x.min(1))
    np.testing.assert_array_equal(extreme(x, K.ABSMAX), abs(x).max(1))
    np.testing.assert_array_equal(extreme(x, K.ABSMIN), abs(x).min(1))
    for kind, best in ((K.MAX, np.argmax), (K.MIN, np.argmin)):
        values, indices = arg(x, kind)
        np.testing.assert_array_equal(indices, best(x, 1))
        np.testing.assert_array_equal(values, np.take_along_axis(x, best(x, 1)[:, None], 1)[:, 0])


@pytest.mark.parametrize("shape", [(2, 300, 1), (1, 50000, 1), (2, 300, 3)], ids=str)
def test_the_first_nan_is_the_extreme(shape):
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    x[0, 250] = x[0, 7] = np.nan
    for kind in (K.MAX, K.MIN):
        values, indices = arg(x, kind)
        assert np.isnan(extreme(x, kind)[0]).all() and np.isnan(values[0]).all()
        assert (indices[0] == 7).all()
        np.testing.assert_array_equal(values[1:], x[1:].max(1) if kind == K.MAX else x[1:].min(1))


def test_sums_of_infinities_and_nan():
    x = np.array([[1, np.inf], [np.inf, -np.inf], [np.nan, 0], [-np.inf, 2]], np.float32)[:, :, None]
    np.testing.assert_array_equal(total(x)[:, 0], [np.inf, np.nan, np.nan, -np.inf])
    np.testing.assert_array_equal(extreme(x, K.MAX)[:, 0], [np.inf, np.inf, np.nan, 2])


def test_a_long_float32_sum_is_rounded_once():
    x = np.random.default_rng(3).random(10_000_000, np.float32)
    assert total(x.reshape(1, -1, 1))[0, 0] == np.float32(x.sum(dtype=np.float64))


@pytest.mark.parametrize("shape", [(3, 5, 1), (3, 5, 4), (600, 9, 11), (2, 1, 3), (2, 0, 3)], ids=str)
def test_products(shape):
    rng = np.random.default_rng(4)
    x = rng.uniform(0.5, 1.5, shape)
    x.reshape(-1)[::7] = 0
    g = rng.standard_normal((shape[0], shape[2]))
    np.testing.assert_allclose(extreme(x, K.PROD), x.prod(1))
    dx = np.empty(shape)
    K.prod_backward(g, x, dx)
    for k in range(shape[1]):
        np.testing.assert_allclose(dx[:, k], g * np.delete(x, k, 1).prod(1), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5, 1), (3, 5, 4), (600, 30, 2)], ids=str)
def test_gradients_of_extremes(shape):
    rng = np.random.default_rng(5)
    x = rng.integers(0, 3, shape).astype(np.float64)
    g = rng.standard_normal((shape[0], shape[2]))
    y, dx = extreme(x, K.MAX), np.empty(shape)
    K.extreme_backward(g, x, y, dx)
    hit = x == y[:, None]
    np.testing.assert_allclose(dx, hit * (g / hit.sum(1))[:, None])
    values, indices = arg(x, K.MIN)
    K.arg_backward(g, indices, dx)
    want = np.zeros(shape)
    np.put_along_axis(want, indices[:, None], g[:, None], 1)
    np.testing.assert_array_equal(dx, want)


def test_the_number_of_threads_does_not_change_a_bit():
    x = np.random.default_rng(6).standard_normal((3, 50000, 2)).astype(np.float32)
    results = []
    for n in (1, 2):
        set_num_threads(n)
        results.append([total(x).tobytes(), total(x.reshape(1, -1, 1)).tobytes(), extreme(x, K.PROD).tobytes()])
    set_num_threads(default_num_threads())
    assert results[0] == results[1]
