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
    "normal_cdf", "gelu_slope", "lgamma", "digamma", "trigamma", "erfinv", "i0", "i1",
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


# Values to 40 digits by mpmath, rounded: around each limit between two formulas, near zeros, large and negative.
SPECIAL = {
    "lgamma": [
        (1e-300, 690.7755278982137), (1e-05, 11.512919692895826), (0.4375, 0.7054761459854453),
        (0.5, 0.5723649429247001), (0.75, 0.20328095143129538), (0.9990234375, 0.0005644719118551234),
        (1.0009765625, -0.0005629031799912047), (1.46875, -0.12146183058765041), (1.5, -0.12078223763524522),
        (1.9990234375, -0.0004125677359714894), (2.25, 0.1248717148923966), (2.5, 0.2846828704729192),
        (3.5, 1.2009736023470743), (4.5, 2.4537365708424423), (5.5, 3.9578139676187165), (6.25, 5.219603986990229),
        (6.5, 5.662562059857142), (30.0, 71.25703896716801), (1000.5, 5908.674175848678), (-0.125, 2.16530024890517),
        (-1.5, 0.860047015376481), (-3.75, -1.3172679424463636), (-6.75, -6.534154920186611),
        (-20.0625, -39.745471845482484), (-1e-05, 11.512931237209125),
    ],
    "digamma": [
        (1e-300, -9.999999999999999e+299), (0.125, -8.388492663295855), (1.0, -0.5772156649015329),
        (1.25, -0.22745353337626542), (2.0, 0.42278433509846713), (6.75, 1.8336434145461975), (7.0, 1.8727843350984672),
        (8.5, 2.08009081757942), (1000.0, 6.907255195648812), (-0.125, 7.195982928452304), (-1.5, 0.7031566406452432),
        (-9.75, -0.8139190159811147), (-30.0625, 19.213671182267394),
    ],
    "trigamma": [
        (1e-100, 1e+200), (0.125, 65.38813344498803), (1.0, 1.6449340668482264), (6.75, 0.15966166524738132),
        (7.0, 0.15354517795933756), (1000.0, 0.0010005001666666333), (-0.125, 66.00574095792491),
        (-1.5, 9.379246644989124), (-9.75, 19.641724953976865),
    ],
    "erfinv": [
        (1e-300, 8.86226925452758e-301), (0.0009765625, 0.0008654561979671376), (-0.125, -0.11123545184094996),
        (0.5, 0.4769362762044699), (0.875, 1.0847870400692832), (0.9921875, 1.8809517454731395),
        (-0.9970703125, -2.103657331704408), (0.998046875, 2.190099968353768), (0.9999990463256836, 3.465505025803331),
        (0.9999999403953552, 3.832506856900711), (-0.9999999850988388, -4.004131885114475),
        (0.9999999990686774, 4.328028275800946), (0.9999999999999716, 5.377767781541279),
        (0.9999999999999999, 5.8635847487551676),
    ],
    "i0": [
        (1e-10, 1.0), (0.5, 1.0634833707413236), (-3.0, 4.8807925858650245), (7.75, 338.5137537472759),
        (8.0, 427.5641157218048), (8.25, 540.325079074807), (-20.0, 43558282.559553534), (80.0, 2.4751784043341704e+33),
        (700.0, 1.5295933476718737e+302), (713.0, 6.705128263670996e+307),
    ],
    "i1": [
        (1e-10, 5e-11), (0.5, 0.2578943053908963), (-3.0, -3.9533702174026093), (7.75, 315.85248092400343),
        (8.0, 399.8731367825601), (8.25, 506.4338383076455), (-20.0, -42454973.38512777), (80.0, 2.459659579567541e+33),
        (700.0, 1.5285003902339006e+302), (-713.0, -6.700424559186402e+307),
    ],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions(name):
    body = loop(name)
    x, want = np.array(SPECIAL[name]).T
    for dtype, rtol in ((np.float64, 2e-15), (np.float32, 2.5e-7)):
        exact = x.astype(dtype) == x
        points = x[exact].astype(dtype)
        out = np.empty_like(points)
        body(points, out)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(out, want[exact].astype(dtype), rtol=rtol)


def test_special_functions_at_the_ends():
    inf, nan = np.inf, np.nan
    x = np.array([0.0, -0.0, -1.0, -2.0, inf, -inf, nan, -1e30])
    want = {
        "lgamma": [inf, inf, inf, inf, inf, inf, nan, inf], "digamma": [-inf, inf, nan, nan, inf, nan, nan, nan],
        "trigamma": [inf, inf, inf, inf, 0.0, nan, nan, inf], "i0": [1.0, 1.0, None, None, inf, inf, nan, inf],
        "i1": [0.0, -0.0, None, None, inf, -inf, nan, -inf],
        "erfinv": [0.0, -0.0, -inf, nan, nan, nan, nan, nan],
    }  # fmt: skip
    for name, values in want.items():
        for dtype in (np.float32, np.float64):
            out = np.empty(x.size, dtype)
            with np.errstate(over="ignore"):
                loop(name)(x.astype(dtype), out)
            pairs = [(a, b) for a, b in zip(out.tolist(), values, strict=True) if b is not None]
            assert [repr(a) for a, _ in pairs] == [repr(b) for _, b in pairs], name


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
