"""Accuracy, special values and vectorisation of kernels/_math.py."""

import math

import numpy as np
import pytest

from tests.kernels.sweep_math import FUNCTIONS, loop, worst
from tnn.kernels import _math

SLOW_REFERENCE = {"erf", "erfc"}
VECTORISED = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid", "softplus", "tanh", "erf", "erfc", "sin_small",
    "cos_small", "tan_small", "asin", "acos", "atan", "acosh", "sinh", "cosh", "asinh", "atanh",
    "normal_cdf", "gelu_slope",
]  # fmt: skip
EDGES = [
    0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e-45, -1e-45, 1.2e-38, 88.7, 88.73, -87.4, -103.9,
    -104.0, 709.78, 709.79, -745.0, -746.0, 0.5, -0.5, 2.0, 1e9, -1e9, 1e10, 3.4e38, -3.4e38,
]  # fmt: skip


def inputs(dtype, name):
    """All magnitudes (a stride through the bit patterns), the usual range densely, and the edges."""
    rng = np.random.default_rng(5)
    count = 20_000 if name in SLOW_REFERENCE else 1_000_000 if dtype == np.float32 else 100_000
    integer = np.uint32 if dtype == np.float32 else np.uint64
    step = np.iinfo(integer).max // count
    sweep = (np.arange(count, dtype=np.uint64) * np.uint64(step)).astype(integer).view(dtype)
    usual = [np.linspace(-20, 20, count // 4), rng.normal(size=count // 4), rng.uniform(-800, 800, 20_000)]
    return np.concatenate([sweep, *(part.astype(dtype) for part in usual), np.array(EDGES).astype(dtype)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_stays_within_its_bound(name, dtype):
    if dtype == np.float64 and np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        dtype = np.float32  # no wider type here to measure against
    error, at = worst(name, loop(name), inputs(dtype, name))
    assert error <= FUNCTIONS[name][1 if dtype == np.float32 else 2], at


@pytest.mark.parametrize("name", VECTORISED)
def test_loops_vectorise(name):
    body = loop(name)
    x = np.linspace(-1, 1, 64, dtype=np.float32)
    body(x, np.empty_like(x))
    code = next(iter(body.inspect_llvm().values()))
    assert "x float>" in code or "x double>" in code


def pairs(values):
    grid = np.array(values)
    return np.repeat(grid, grid.size), np.tile(grid, grid.size)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pow():
    from numba import njit

    @njit(fastmath={"contract", "reassoc", "nsz", "arcp", "afn"}, error_model="numpy")
    def body(x, y, out):
        for i in range(x.shape[0]):
            out[i] = _math.pow(x[i], y[i])

    rng = np.random.default_rng(0)
    a, b = pairs([0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40, 1e5 + 1])
    x = np.concatenate([a, rng.uniform(0, 50, 20_000), np.exp(rng.uniform(-80, 80, 20_000))]).astype(np.float32)
    y = np.concatenate([b, rng.uniform(-20, 20, 20_000), rng.uniform(-1, 1, 20_000)]).astype(np.float32)
    out = np.empty_like(x)
    body(x, y, out)
    want = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(np.signbit(out[~np.isnan(out)]), np.signbit(want[~np.isnan(want)]))
    np.testing.assert_allclose(out, want, rtol=1.2e-7, atol=2e-45)
    assert _math.pow(np.float64(2), np.float64(0.5)) == math.sqrt(2)


def test_atan2():
    from numba import njit

    @njit(fastmath={"contract", "reassoc", "nsz", "arcp", "afn"}, error_model="numpy")
    def body(y, x, out):
        for i in range(x.shape[0]):
            out[i] = _math.atan2(y[i], x[i])

    a, b = pairs([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-40])
    rng = np.random.default_rng(0)
    y, x = np.concatenate([a, rng.normal(size=50_000)]), np.concatenate([b, rng.normal(size=50_000)])
    for dtype, rtol in ((np.float32, 6e-8), (np.float64, 4e-16)):
        first, second = y.astype(dtype), x.astype(dtype)
        out = np.empty_like(first)
        body(first, second, out)
        want = np.arctan2(first.astype(np.float64), second.astype(np.float64)).astype(dtype)
        np.testing.assert_allclose(out, want, rtol=rtol, atol=1e-44)
        np.testing.assert_array_equal(np.signbit(out[~np.isnan(out)]), np.signbit(want[~np.isnan(want)]))
    big = np.array([1.7e308, -1.7e308]), np.array([1.5e308, 1.6e308])
    out = np.empty(2)
    body(*big, out)
    np.testing.assert_allclose(out, np.arctan2(*big), rtol=4e-16)
    assert _math.atan2(np.float64(1), np.float64(-1)) == np.arctan2(1, -1)


def test_digamma_lgamma_and_erfinv():
    psi = loop("digamma")
    x = np.array([1.0, 0.5, 10.0, 100.0, -0.5, -1.5, 0.0, -0.0, -3.0, np.inf, np.nan])
    out = np.empty_like(x)
    psi(x, out)
    gamma = 0.5772156649015329
    want = [-gamma, -gamma - 2 * math.log(2), 2.251752589066721, 4.600161852738087, 0.03648997397857652,
            0.7031566406452432, -np.inf, np.inf, np.nan, np.inf, np.nan]  # fmt: skip
    np.testing.assert_allclose(out, want, rtol=1e-14)

    gammas = loop("lgamma")
    x = np.array([1.0, 2.0, 0.5, 30.0, 1e-5, -0.5, 0.0, -2.0, np.inf, np.nan])
    out = np.empty_like(x)
    gammas(x, out)
    want = [0.0, 0.0, 0.5 * math.log(math.pi), math.log(math.factorial(29)), 11.512919692895825,
            math.log(2 * math.sqrt(math.pi)), np.inf, np.inf, np.inf, np.nan]  # fmt: skip
    np.testing.assert_allclose(out, want, rtol=1e-14, atol=1e-15)

    inverse = loop("erfinv")
    y = np.concatenate([np.linspace(-0.999999, 0.999999, 2001), [0.0, 1e-300, 1 - 2**-53, 1.0, -1.0, 1.5, np.nan]])
    x = np.empty_like(y)
    inverse(y, x)
    back = np.array([math.erf(v) for v in x[:2002]])
    np.testing.assert_allclose(back, y[:2002], rtol=7e-16, atol=1e-300)
    np.testing.assert_array_equal(x[-4:], [np.inf, -np.inf, np.nan, np.nan])
    assert math.isclose(x[-5], 5.863584748755167, rel_tol=1e-14)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2.5e-7), (np.float64, 5e-16)])
def test_normal_distribution(dtype, bound):
    x = np.concatenate([np.linspace(-12, 12, 20_001), [-np.inf, np.inf, -0.0, 1e-30]]).astype(dtype)
    cdf = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.astype(float)])
    density = np.exp(-0.5 * x.astype(float) ** 2) / math.sqrt(2 * math.pi)
    finite = np.where(np.isinf(x), 0, x)
    out = np.empty_like(x)
    loop("normal_cdf")(x, out)
    assert np.abs(out - cdf).max() < bound and (np.abs(out - cdf)[np.abs(x) > 6] <= 1e-9).all()
    slopes = np.empty_like(x[:-4])
    loop("gelu_slope")(x[:-4], slopes)
    assert np.abs(slopes - (cdf + finite * density)[:-4]).max() < 2 * bound
    for name in ("normal_cdf", "gelu_slope"):
        loop(name)(np.array([np.nan], dtype), slopes[:1])
        assert np.isnan(slopes[0])


def test_signs_and_polynomials():
    assert math.copysign(1, _math.copysign(np.float32(2), np.float32(-0.0))) == -1
    assert _math.copysign(np.float64(-2), np.float64(0.0)) == 2
    coefficients = (np.float64(2), np.float64(3), np.float64(4))
    assert _math.poly(np.float64(10), coefficients) == 234
    body = loop("exp")
    x = np.array([1.0], np.float32)
    body(x, x)
    assert x[0] == np.float32(math.e)
    assert _math.exp(np.float32(1)) == x[0] and _math.exp(np.float32(1)).dtype == np.float32
