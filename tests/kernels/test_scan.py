"""Running reductions against NumPy; their gradients against differences."""

import numpy as np
import pytest

from tnn.kernels import scan as K

SHAPES = [(3, 5, 1), (3, 5, 4), (300, 40, 5), (1, 1, 3), (2, 0, 3)]


def scan(x, kind, reverse=False):
    y = np.empty_like(x)
    K.scan_forward(x, y, kind, reverse)
    return y


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_sums_and_products(shape):
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(scan(x, K.CUMSUM), wide.cumsum(1), rtol=2e-7)
    np.testing.assert_allclose(scan(x, K.CUMSUM, True), wide[:, ::-1].cumsum(1)[:, ::-1], rtol=2e-7)
    np.testing.assert_allclose(scan(x, K.CUMPROD), wide.cumprod(1), rtol=2e-7)
    np.testing.assert_allclose(scan(x, K.LOGCUMSUMEXP), np.log(np.exp(wide).cumsum(1)), rtol=2e-7)


def test_running_logsumexp_of_infinities():
    x = np.array([-np.inf, -np.inf, 1.0, np.inf, 2.0, np.nan, 1.0]).reshape(1, -1, 1)
    y = scan(x, K.LOGCUMSUMEXP).ravel()
    np.testing.assert_array_equal(y, [-np.inf, -np.inf, 1.0, np.inf, np.inf, np.nan, np.nan])


def test_running_extremes():
    x = np.array([3.0, 1.0, 3.0, np.nan, 5.0]).reshape(1, -1, 1)
    values, indices = np.empty_like(x), np.empty(x.shape, np.int64)
    K.cumextreme_forward(x, values, indices, 1.0)
    np.testing.assert_array_equal(values.ravel(), [3, 3, 3, np.nan, np.nan])
    np.testing.assert_array_equal(indices.ravel(), [0, 0, 2, 3, 3])
    K.cumextreme_forward(x, values, indices, -1.0)
    np.testing.assert_array_equal(values.ravel(), [3, 1, 1, np.nan, np.nan])
    np.testing.assert_array_equal(indices.ravel(), [0, 1, 1, 3, 3])
    g, dx = np.arange(5.0).reshape(1, 5, 1), np.empty((1, 5, 1))
    K.cumextreme_backward(g, indices, dx)
    np.testing.assert_array_equal(dx.ravel(), [0, 3, 0, 7, 0])


@pytest.mark.parametrize("kind", [K.CUMPROD, K.LOGCUMSUMEXP])
@pytest.mark.parametrize("shape", [(2, 5, 1), (2, 4, 3), (300, 11, 10)], ids=str)
def test_gradients(kind, shape):
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal(shape), rng.standard_normal(shape)
    if kind == K.CUMPROD:
        x[:, 2] = 0
    y, dx = scan(x, kind), np.empty(shape)
    if kind == K.CUMPROD:
        K.cumprod_backward(g, x, dx)
    else:
        K.logcumsumexp_backward(g, x, y, dx)
    for k in range(shape[1]):
        step = np.zeros(shape)
        step[:, k] = 1e-6
        slope = (g * (scan(x + step, kind) - scan(x - step, kind))).sum(1) / 2e-6
        np.testing.assert_allclose(dx[:, k], slope, atol=1e-7)
