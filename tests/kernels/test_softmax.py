"""Softmax kernels against NumPy in float64."""

import numpy as np
import pytest

from tnn.kernels import softmax as K

SHAPES = [(3, 5, 1), (3, 5, 4), (90, 1000, 1), (2000, 10, 1), (3, 21, 1500), (2, 1, 1), (0, 3, 2), (300, 33, 1)]


def reference(x):
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def rows_forward(x, y, take_log):
    (K.softmax_short_forward if K.short(x.shape[1]) else K.softmax_rows_forward)(x, y, take_log)


def rows_backward(g, y, dx, took_log):
    (K.softmax_short_backward if K.short(g.shape[1]) else K.softmax_rows_backward)(g, y, dx, took_log)


def forward(x, take_log=False):
    y = np.empty_like(x)
    if x.shape[2] == 1:
        rows_forward(x[:, :, 0], y[:, :, 0], take_log)
    else:
        K.softmax_columns_forward(x, y, take_log)
    return y


def backward(g, y, took_log):
    dx = np.empty_like(g)
    if g.shape[2] == 1:
        rows_backward(g[:, :, 0], y[:, :, 0], dx[:, :, 0], took_log)
    else:
        K.softmax_columns_backward(g, y, dx, took_log)
    return dx


def logsumexp(x):
    y = np.empty((x.shape[0], x.shape[2]), x.dtype)
    if x.shape[2] == 1 and K.short(x.shape[1]):
        K.logsumexp_short_forward(x[:, :, 0], y[:, 0])
    else:
        K.logsumexp_forward(x, y)
    return y


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(shape):
    rng = np.random.default_rng(0)
    x, g = (3 * rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    s = reference(x)
    y, log_y = forward(x), forward(x, True)
    np.testing.assert_allclose(y, s, rtol=2e-6)
    np.testing.assert_allclose(log_y, np.log(s), rtol=1e-6, atol=1e-6)
    dx = backward(g, y, False)
    np.testing.assert_allclose(dx, s * (g - (g * s).sum(1, keepdims=True)), atol=3e-6)
    dx = backward(g, log_y, True)
    np.testing.assert_allclose(dx, g - s * g.sum(1, keepdims=True, dtype=np.float64), rtol=1e-6, atol=2e-5)
    top = logsumexp(x)
    np.testing.assert_allclose(top, np.log(np.exp(x.astype(np.float64)).sum(1)), rtol=1e-6, atol=1e-6)
    back = K.logsumexp_short_backward if shape[2] == 1 and K.short(shape[1]) else K.logsumexp_backward
    back(np.ascontiguousarray(g[:, 0]), x, top, dx)
    np.testing.assert_allclose(dx, g[:, :1] * s, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inner", [1, 2])
def test_infinities_and_nan(inner):
    inf, nan = np.inf, np.nan
    rows = np.array([[-inf, -inf, -inf], [0, -inf, 0], [inf, 0, 0], [nan, 0, 0], [1e38, -1e38, 0]], np.float32)
    x = np.repeat(rows[:, :, None], inner, 2)
    y = forward(x)[:, :, inner - 1]
    assert np.isnan(y[[0, 3]]).all() and np.isnan(y[2, 0])
    np.testing.assert_array_equal(y[1], [0.5, 0, 0.5])
    np.testing.assert_array_equal(y[4], [1, 0, 0])
    np.testing.assert_allclose(forward(x, True)[1, :, 0], [-np.log(2), -inf, -np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(logsumexp(x)[:, 0], [-inf, np.log(2), inf, nan, 1e38], rtol=1e-6)


def test_the_place_of_arrays_does_not_change_a_bit():
    memory, results = np.empty(4000), set()
    values = np.random.default_rng(2).standard_normal(12)
    for gap in range(0, 40):
        x, y = memory[:12].reshape(3, 4), memory[12 + gap : 24 + gap].reshape(3, 4)
        x.reshape(-1)[:] = values
        K.softmax_rows_forward(x, y, False)
        results.add(y.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("n", [1, 7, 16, 31, 64, 100])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
def test_short_rows_touch_nothing_else(n, rows):
    rng = np.random.default_rng(n)
    x, g = (rng.standard_normal((rows, n)).astype(np.float32) for _ in range(2))
    for log in (False, True):
        memory = np.full(rows * n + 64, 7, np.float32)
        y = memory[32 : 32 + rows * n].reshape(rows, n)
        rows_forward(x, y, log)
        assert (memory[:32] == 7).all() and (memory[32 + rows * n :] == 7).all()
        s = reference(x[:, :, None])[:, :, 0]
        np.testing.assert_allclose(y, np.log(s) if log else s, rtol=2e-6, atol=1e-6 if log else 0)
        kept = y.copy()
        rows_backward(g, kept, y, log)
        assert (memory[:32] == 7).all() and (memory[32 + rows * n :] == 7).all()
        both = (g if log else g * s).sum(1, keepdims=True, dtype=np.float64)
        np.testing.assert_allclose(y, g - s * both if log else s * (g - both), rtol=1e-5, atol=1e-5)


def test_float64():
    x = np.random.default_rng(1).standard_normal((4, 7, 3))
    np.testing.assert_allclose(forward(x), reference(x), rtol=1e-14)
