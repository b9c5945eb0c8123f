"""Elementary functions of one tensor: values, gradients, other dtypes, errors."""

import math

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

_gamma = np.frompyfunc(math.lgamma, 1, 1)

# name: (reference, low, high)
FLOAT = {
    "exp": (np.exp, -2, 2),
    "exp2": (np.exp2, -2, 2),
    "expm1": (np.expm1, -2, 2),
    "log": (np.log, 0.1, 3),
    "log2": (np.log2, 0.1, 3),
    "log10": (np.log10, 0.1, 3),
    "log1p": (np.log1p, -0.9, 3),
    "sqrt": (np.sqrt, 0.1, 3),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 0.1, 3),
    "reciprocal": (np.reciprocal, 0.1, 3),
    "square": (np.square, -2, 2),
    "sin": (np.sin, -4, 4),
    "cos": (np.cos, -4, 4),
    "tan": (np.tan, -1, 1),
    "asin": (np.arcsin, -0.9, 0.9),
    "acos": (np.arccos, -0.9, 0.9),
    "atan": (np.arctan, -2, 2),
    "sinh": (np.sinh, -2, 2),
    "cosh": (np.cosh, -2, 2),
    "asinh": (np.arcsinh, -2, 2),
    "acosh": (np.arccosh, 1.1, 3),
    "atanh": (np.arctanh, -0.9, 0.9),
    "deg2rad": (np.deg2rad, -90, 90),
    "rad2deg": (np.rad2deg, -2, 2),
    "sinc": (np.sinc, 0.1, 2),
    "erf": (np.frompyfunc(math.erf, 1, 1), -2, 2),
    "erfc": (np.frompyfunc(math.erfc, 1, 1), -2, 2),
    "lgamma": (_gamma, 0.2, 5),
    "i0": (np.i0, 0.1, 5),
    "abs": (np.abs, -2, 2),
    "neg": (np.negative, -2, 2),
    "sign": (np.sign, -2, 2),
    "sgn": (np.sign, -2, 2),
    "floor": (np.floor, -3, 3),
    "ceil": (np.ceil, -3, 3),
    "trunc": (np.trunc, -3, 3),
    "round": (np.round, -3, 3),
    "frac": (lambda x: x - np.trunc(x), -3, 3),
    "logit": (lambda x: np.log(x / (1 - x)), 0.1, 0.9),
}


def draw(name, shape=(2, 3), dtype=np.float64):
    _, low, high = FLOAT[name]
    return np.random.default_rng(4).uniform(low, high, shape).astype(dtype)


@pytest.mark.parametrize("name", FLOAT)
def test_values(name):
    for dtype, rtol in ((np.float64, 1e-13), (np.float32, 3e-6)):
        for shape in ((2, 3), (), (0, 2)):
            x = draw(name, shape, dtype)
            out = getattr(tnn, name)(tnn.tensor(x))
            assert out.shape == shape and out.numpy().dtype == dtype
            np.testing.assert_allclose(out.numpy(), np.asarray(FLOAT[name][0](x)).astype(float), rtol=rtol, atol=rtol)
    x = tnn.tensor(draw(name, (3, 4)))
    np.testing.assert_array_equal(getattr(x.t(), name)().numpy(), getattr(x, name)().numpy().T)


@pytest.mark.parametrize("name", [n for n in FLOAT if n != "i0"] + ["digamma", "erfinv"])
def test_gradients(name):
    x = draw(name) if name in FLOAT else np.array([0.3, 0.7, -0.4])
    t = tnn.tensor(x, requires_grad=True)
    assert gradcheck(getattr(tnn, name), (t,))
    assert gradgradcheck(getattr(tnn, name), (t,))


def test_gradient_names():
    t = tnn.ones(1, requires_grad=True)
    for name, node in {
        "exp": "Exp",
        "log1p": "Log1P",
        "expm1": "Expm1",
        "abs": "Abs",
        "nan_to_num": "NanToNum",
    }.items():
        assert repr(getattr(tnn, name)(t).grad_fn).startswith(f"<{node}Backward0 object at 0x")


@pytest.mark.parametrize("name", ["exp", "log", "sin", "sqrt", "erf", "lgamma", "rsqrt", "deg2rad", "sigmoid", "tanh"])
def test_integers_become_floating_point(name):
    for dtype in (tnn.int64, tnn.uint8, tnn.bool):
        t = tnn.tensor([1, 1, 1]).to(dtype)
        out = getattr(tnn, name)(t)
        assert out.dtype is tnn.float32
        np.testing.assert_array_equal(out.numpy(), getattr(tnn, name)(tnn.ones(3)).numpy())


def test_integers_that_stay():
    t = tnn.tensor([-2, 0, 3])
    for name, want in {
        "abs": [2, 0, 3],
        "neg": [2, 0, -3],
        "sign": [-1, 0, 1],
        "square": [4, 0, 9],
        "floor": [-2, 0, 3],
    }.items():
        out = getattr(tnn, name)(t)
        assert out.dtype is tnn.int64 and out.tolist() == want
    assert tnn.round(t, decimals=2).tolist() == [-2, 0, 3] and tnn.nan_to_num(t).tolist() == [-2, 0, 3]
    assert tnn.signbit(t).tolist() == [True, False, False] and tnn.isnan(t).tolist() == [False] * 3
    flags = tnn.tensor([True, False])
    assert tnn.sign(flags).tolist() == [True, False] and tnn.logical_not(flags).tolist() == [False, True]
    for name in ("abs", "floor", "round", "neg"):
        with pytest.raises(RuntimeError):
            getattr(tnn, name)(flags)
    with pytest.raises(NotImplementedError, match="frac"):
        tnn.frac(t)
    with pytest.raises(RuntimeError, match="bool"):
        tnn.positive(flags)


def test_half_precision():
    for dtype in (tnn.bfloat16, tnn.float16):
        x = tnn.tensor([0.5, 1.0, 2.0]).to(dtype).requires_grad_()
        y = x.exp()
        assert y.dtype is dtype and y.tolist() == x.detach().float().exp().to(dtype).tolist()
        y.sum().backward()
        assert x.grad.dtype is dtype
        np.testing.assert_allclose(x.grad.float().numpy(), np.exp([0.5, 1, 2]), rtol=1e-2)


def test_rounding_goes_to_even():
    x = tnn.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 2.345, 1250.0])
    assert tnn.round(x).tolist() == [0.0, 2.0, 2.0, -0.0, -2.0, 2.0, 1250.0]
    np.testing.assert_allclose(tnn.round(x, decimals=2).numpy()[5], 2.34, atol=0.006)
    assert tnn.round(x, decimals=-2)[6].item() == 1200.0
    t = tnn.tensor([1.234], requires_grad=True)
    tnn.round(t, decimals=1).sum().backward()
    assert t.grad.tolist() == [0.0]


def test_special_values():
    inf, nan = math.inf, math.nan
    x = tnn.tensor([0.0, -0.0, inf, -inf, nan])
    np.testing.assert_array_equal(tnn.exp(x).numpy(), [1, 1, inf, 0, nan])
    np.testing.assert_array_equal(tnn.log(x).numpy(), [-inf, -inf, inf, nan, nan])
    np.testing.assert_array_equal(tnn.rsqrt(x).numpy(), [inf, -inf, 0, nan, nan])
    np.testing.assert_array_equal(tnn.erf(x).numpy(), [0, 0, 1, -1, nan])
    np.testing.assert_array_equal(tnn.sinc(tnn.tensor([0.0])).numpy(), [1])
    np.testing.assert_array_equal(tnn.angle(tnn.tensor([1.0, -1.0, nan])).numpy(), np.float32([0, math.pi, nan]))
    assert np.signbit(tnn.sqrt(x).numpy()[1]) and np.signbit(tnn.tanh(x).numpy()[1])


def test_nan_to_num():
    inf, nan = math.inf, math.nan
    x = tnn.tensor([1.0, nan, inf, -inf], requires_grad=True)
    info = tnn.finfo(tnn.float32)
    assert tnn.nan_to_num(x).tolist() == [1.0, 0.0, info.max, info.min]
    y = tnn.nan_to_num(x, nan=inf, posinf=2.0, neginf=-3.0)
    assert y.tolist() == [1.0, inf, 2.0, -3.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    for n in (1, 2000):
        h = tnn.tensor([inf, nan, -inf, 0.5] * n).half()
        assert tnn.nan_to_num(h).tolist() == [65504.0, 0.0, -65504.0, 0.5] * n
    assert np.signbit(tnn.nan_to_num(x.detach(), nan=-0.0).numpy()[1])


def test_predicates():
    inf, nan = math.inf, math.nan
    x = tnn.tensor([1.0, nan, inf, -inf, -0.0])
    assert tnn.isnan(x).tolist() == [False, True, False, False, False]
    assert tnn.isinf(x).tolist() == [False, False, True, True, False]
    assert tnn.isfinite(x).tolist() == [True, False, False, False, True]
    assert tnn.isposinf(x).tolist() == [False, False, True, False, False]
    assert tnn.isneginf(x).tolist() == [False, False, False, True, False]
    assert tnn.isreal(x).tolist() == [True] * 5
    assert tnn.signbit(x).tolist()[2:] == [False, True, True]
    assert tnn.logical_not(x).tolist() == [False, False, False, False, True]
    assert x.bfloat16().isnan().tolist() == [False, True, False, False, False]


def test_polygamma_and_mvlgamma():
    x = tnn.tensor([0.4, 1.0, 2.5, 20.0], dtype=tnn.float64, requires_grad=True)
    # psi_1(1) = pi^2 / 6, psi_2(1) = -2 zeta(3), psi_3(1) = pi^4 / 15
    for n, want in {1: math.pi**2 / 6, 2: -2.4041138063191885, 3: math.pi**4 / 15}.items():
        assert math.isclose(tnn.polygamma(n, x)[1].item(), want, rel_tol=1e-14)
    assert tnn.polygamma(0, x).tolist() == tnn.digamma(x).tolist()
    assert x.polygamma(1).tolist() == tnn.polygamma(1, x).tolist()
    assert gradcheck(lambda t: tnn.polygamma(1, t), (x,)) and gradcheck(lambda t: tnn.polygamma(2, t), (x,))
    with pytest.raises(RuntimeError, match="negative n"):
        tnn.polygamma(-1, x)
    y = tnn.tensor([2.5, 4.0], dtype=tnn.float64, requires_grad=True)
    want = [0.5 * math.log(math.pi) + math.lgamma(v) + math.lgamma(v - 0.5) for v in (2.5, 4.0)]
    np.testing.assert_allclose(tnn.mvlgamma(y, 2).detach().numpy(), want, rtol=1e-14)
    assert gradcheck(lambda t: tnn.mvlgamma(t, 2), (y,))
    with pytest.raises(RuntimeError, match="greater than or equal to 1"):
        tnn.mvlgamma(y, 0)


def test_bessel():
    x = np.array([0.0, 0.5, -3.0, 29.9, 30.1, 100.0])
    want = np.i0(x)
    t = tnn.tensor(x, requires_grad=True)
    np.testing.assert_allclose(tnn.i0(t).detach().numpy(), want, rtol=1e-13)
    small = tnn.tensor(x[:3], requires_grad=True)
    assert gradcheck(tnn.i0, (small,)) and gradgradcheck(
        tnn.i0, (tnn.tensor([0.5, -3.0], dtype=tnn.float64, requires_grad=True),)
    )


def test_logit_limits():
    x = tnn.tensor([-0.1, 0.0, 0.3, 1.0, 1.2], dtype=tnn.float64, requires_grad=True)
    y = tnn.logit(x, 0.1)
    np.testing.assert_allclose(y.detach().numpy(), np.log(np.array([1 / 9, 1 / 9, 3 / 7, 9, 9])), rtol=1e-13)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 1 / 0.21, 0, 0], rtol=1e-13)
    assert gradgradcheck(tnn.logit, (tnn.tensor([0.3, 0.8], dtype=tnn.float64, requires_grad=True),))


def test_frexp():
    x = tnn.tensor([0.3, -5.0, 0.0, 8.0], requires_grad=True)
    m, e = tnn.frexp(x)
    assert e.dtype is tnn.int32 and e.tolist() == [-1, 3, 0, 4]
    np.testing.assert_allclose((m * tnn.exp2(e.float())).detach().numpy(), x.detach().numpy())
    m.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2.0 ** -e.numpy())
    with pytest.raises(RuntimeError, match="floating-point"):
        tnn.frexp(tnn.ones(2, dtype=tnn.int64))


def test_in_place_and_out():
    x = tnn.tensor([1.0, 4.0])
    assert x.sqrt_() is x and x.tolist() == [1.0, 2.0]
    assert x.neg_().abs_().log_().exp_().round_().tolist() == [1.0, 2.0]
    out = tnn.empty(2)
    assert tnn.square(x, out=out) is out and out.tolist() == [1.0, 4.0]
    t = tnn.tensor([0.5], dtype=tnn.float64, requires_grad=True)

    def chain(t):
        y = t * 2.0
        y.sin_()
        y.abs_()
        y.square_()
        return y.sigmoid_()

    assert gradcheck(chain, (t,)) and gradgradcheck(chain, (t,))


def test_what_is_no_tensor():
    for name in ("exp", "abs", "isnan"):
        with pytest.raises(TypeError, match="must be Tensor, not float"):
            getattr(tnn, name)(1.0)


def test_polygamma_as_method():
    x = tnn.tensor([1.0, 2.0], dtype=tnn.float64)
    want = tnn.polygamma(1, x).tolist()
    assert x.polygamma(1).tolist() == x.polygamma(n=1).tolist() == tnn.polygamma(n=1, input=x).tolist() == want
    assert x.polygamma_(n=1) is x and x.tolist() == want


def test_numbers_in_place_of_nan():
    inf, nan = float("inf"), float("nan")
    for dtype in (tnn.float32, tnn.float64):
        x = tnn.tensor([1.0, nan, inf, -inf, -0.0], dtype=dtype)
        top = tnn.finfo(dtype).max
        assert x.nan_to_num().tolist() == [1.0, 0.0, top, -top, 0.0]
        assert x.nan_to_num(inf, 2.0, -2.0).tolist() == [1.0, inf, 2.0, -2.0, 0.0]
