"""The functions of gates."""

import numpy as np
import pytest
from numba import njit

from tnn.kernels._jit import JIT
from tnn.kernels._math_gates import gate, squash


@njit(**{**JIT, "cache": False})
def _gates(x, y):
    for i in range(x.shape[0]):
        y[i] = gate(x[i])


@njit(**{**JIT, "cache": False})
def _squashes(x, y):
    for i in range(x.shape[0]):
        y[i] = squash(x[i])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype, limit", [(np.float32, 87), (np.float64, 700)])
def test_functions_of_gates(dtype, limit):
    rng = np.random.default_rng(0)
    small = 10.0 ** rng.uniform(-30, 0, 20_000) * rng.choice([-1, 1], 20_000)
    x = np.concatenate([rng.uniform(-limit, limit, 50_000), rng.normal(size=50_000), small]).astype(dtype)
    y, wide = np.empty_like(x), x.astype(np.longdouble)
    for loop, reference in ((_gates, 1 / (1 + np.exp(-wide))), (_squashes, np.tanh(wide))):
        loop(x, y)
        spacing = np.spacing(abs(reference).astype(dtype)).astype(np.longdouble)
        assert float((abs(y - reference) / spacing).max()) < 3.5
    edges = np.array([0, np.inf, -np.inf, np.nan, 1e30, -1e30], dtype)
    y = np.empty_like(edges)
    _gates(edges, y)
    np.testing.assert_allclose(y, [0.5, 1, 0, np.nan, 1, 0], atol=2e-38)
    _squashes(edges, y)
    np.testing.assert_array_equal(y, np.array([0, 1, -1, np.nan, 1, -1], dtype))
