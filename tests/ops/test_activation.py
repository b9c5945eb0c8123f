"""Activations: values, first and second derivatives, in-place forms, dtypes, errors."""

import math

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F
from tnn.autograd import gradcheck, gradgradcheck

_erf = np.frompyfunc(math.erf, 1, 1)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


# name: (keywords, NumPy reference)
CASES = {
    "relu": ({}, lambda x: np.maximum(x, 0)),
    "relu6": ({}, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": ({"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
    "threshold": ({"threshold": 0.5, "value": -3.0}, lambda x: np.where(x > 0.5, x, -3)),
    "hardtanh": ({"min_val": -1.5, "max_val": 0.7}, lambda x: np.clip(x, -1.5, 0.7)),
    "hardsigmoid": ({}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hardswish": ({}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hardshrink": ({"lambd": 0.6}, lambda x: np.where(np.abs(x) > 0.6, x, 0)),
    "softshrink": ({"lambd": 0.6}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.6, 0)),
    "elu": ({"alpha": 1.3}, lambda x: np.where(x > 0, x, 1.3 * np.expm1(x))),
    "celu": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    "selu": ({}, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "softplus": ({"beta": 2.0, "threshold": 3.0}, lambda x: np.where(2 * x > 3, x, np.log1p(np.exp(2 * x)) / 2)),
    "softsign": ({}, lambda x: x / (1 + np.abs(x))),
    "tanhshrink": ({}, lambda x: x - np.tanh(x)),
    "logsigmoid": ({}, lambda x: -np.log1p(np.exp(-x))),
    "sigmoid": ({}, _sigmoid),
    "tanh": ({}, np.tanh),
    "silu": ({}, lambda x: x * _sigmoid(x)),
    "mish": ({}, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "gelu": ({}, lambda x: x * (1 + np.asarray(_erf(x / math.sqrt(2)), float)) / 2),
    "gelu tanh": (
        {"approximate": "tanh"},
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
}
INPLACE = ["relu", "leaky_relu", "threshold", "hardtanh", "elu", "celu", "selu"]


def case(name):
    keywords, reference = CASES[name]
    function = getattr(F, name.split()[0])
    return (lambda x: function(x, **keywords)), reference


def draw(shape=(3, 5), dtype=np.float64):
    # away from the kinks at 0, 0.5, 0.6, 0.7, 1.5, 3
    x = np.random.default_rng(2).choice([-3.7, -2.2, -1.1, -0.43, -0.21, 0.13, 0.33, 0.9, 1.2, 2.4, 4.1, 7.3], shape)
    return x.astype(dtype)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    function, reference = case(name)
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 2e-6)):
        for shape in ((3, 5), (), (0, 2)):
            x = draw(shape, dtype)
            out = function(tnn.tensor(x))
            assert out.shape == shape and out.numpy().dtype == dtype
            np.testing.assert_allclose(out.numpy(), reference(x.astype(float)), rtol=tolerance, atol=tolerance)
    x = tnn.tensor(draw())
    np.testing.assert_array_equal(function(x.t()).numpy(), function(x).numpy().T)
    np.testing.assert_array_equal(function(x[:, ::2]).numpy(), function(x).numpy()[:, ::2])


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    function, _ = case(name)
    x = tnn.tensor(draw((2, 3)), requires_grad=True)
    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))
    assert gradcheck(lambda t: function(t.t()).t(), (x,))
    # third derivatives: what the second is composed of is differentiable too
    first = tnn.autograd.grad(function(x).sum(), x, create_graph=True)[0]
    if first.requires_grad:
        second = tnn.autograd.grad((first * first).sum(), x, create_graph=True)[0]
        if second.requires_grad:
            second.sum().backward()
            assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("name", CASES)
def test_half_precision_and_repeated_gradients(name):
    function, reference = case(name)
    for dtype in (tnn.bfloat16, tnn.float16):
        x = tnn.tensor(draw()).to(dtype).requires_grad_()
        y = function(x)
        assert y.dtype is dtype
        np.testing.assert_array_equal(
            y.detach().float().numpy(), function(x.detach().float()).to(dtype).float().numpy()
        )
        y.sum().backward()  # the gradient of a sum is one number, repeated
        assert x.grad.dtype is dtype and np.isfinite(x.grad.float().numpy()).all()


@pytest.mark.parametrize("name", INPLACE)
def test_in_place(name):
    keywords, _ = CASES[name]
    x = tnn.tensor(draw((2, 3)), requires_grad=True)
    function = getattr(F, name)
    want = function(x, **keywords)

    def run(t):
        y = t * 1.0
        assert function(y, **keywords, inplace=True) is y
        return y

    np.testing.assert_array_equal(run(x).detach().numpy(), want.detach().numpy())
    assert gradcheck(run, (x,)) and gradgradcheck(run, (x,))
    under = getattr(F, name + "_")
    y = x.detach().clone()
    assert under(y, *keywords.values()) is y
    np.testing.assert_array_equal(y.numpy(), want.detach().numpy())
    with pytest.raises(RuntimeError, match="leaf Variable"):
        under(x, *keywords.values())


def test_in_place_forms_by_keyword_only():
    for name in ("relu6", "hardsigmoid", "hardswish", "silu", "mish"):
        x = tnn.tensor(draw())
        want = getattr(F, name)(x)
        assert getattr(F, name)(x, inplace=True) is x
        np.testing.assert_array_equal(x.numpy(), want.numpy())


def test_nan_and_infinity():
    nan, inf = math.nan, math.inf
    for name in CASES:
        function, _ = case(name)
        out = function(tnn.tensor([nan, 1.0])).numpy()
        assert np.isnan(out[0]) == (name != "threshold" or np.isnan(out[0])), name
    x = tnn.tensor([inf, -inf])
    for name, want in {
        "relu": [inf, 0], "sigmoid": [1, 0], "tanh": [1, -1], "softplus": [inf, 0], "logsigmoid": [0, -inf],
        "elu": [inf, -1], "hardtanh": [1, -1], "hardswish": [inf, nan],
    }.items():  # fmt: skip
        np.testing.assert_array_equal(getattr(F, name)(x).numpy(), want, name)


def test_extremes_do_not_overflow():
    x = np.array([-1000.0, -100.0, 100.0, 1000.0])
    t = tnn.tensor(x, requires_grad=True)
    for name in ("sigmoid", "tanh", "logsigmoid", "softplus", "silu", "mish", "elu", "selu", "celu", "gelu"):
        t.grad = None
        out = getattr(F, name)(t)
        out.sum().backward()
        assert np.isfinite(out.detach().numpy()).all() and np.isfinite(t.grad.numpy()).all(), name
    np.testing.assert_allclose(F.logsigmoid(t).detach().numpy(), [-1000, -100, -math.exp(-100), 0], rtol=1e-12)
    np.testing.assert_allclose(F.softplus(t, threshold=1e9).detach().numpy()[:2], [0, math.exp(-100)], rtol=1e-12)


def test_node_names():
    x = tnn.ones(2, requires_grad=True)
    names = {
        "relu": "Relu", "relu6": "Hardtanh", "selu": "Elu", "silu": "Silu", "gelu": "Gelu", "logsigmoid": "LogSigmoid",
        "leaky_relu": "LeakyRelu", "softplus": "Softplus", "sigmoid": "Sigmoid", "tanh": "Tanh",
    }  # fmt: skip
    for name, node in names.items():
        assert getattr(F, name)(x).grad_fn.name() == node + "Backward0"


def test_prelu():
    rng = np.random.default_rng(0)
    for shape, weights in (((2, 3, 4), 3), ((2, 3, 4), 1), ((4, 3), 3), ((5,), 1), ((), 1)):
        x = rng.normal(size=shape)
        w = rng.uniform(0.1, 0.5, weights)
        a, b = tnn.tensor(x, requires_grad=True), tnn.tensor(w, requires_grad=True)
        spread = w.reshape([-1 if i == 1 else 1 for i in range(x.ndim)]) if x.ndim > 1 else w[0]
        np.testing.assert_allclose(F.prelu(a, b).detach().numpy(), np.where(x > 0, x, spread * x), rtol=1e-15)
        assert gradcheck(F.prelu, (a, b)) and gradgradcheck(F.prelu, (a, b))
    x = tnn.ones(2, 3)
    for args, match in (
        ((x, tnn.ones(4)), "parameter numbers = 4 and channel"),
        ((x, tnn.ones(3, dtype=tnn.float64)), "promoting"),
        ((x, tnn.ones(1, 3)), "scalar or 1D"),
        ((tnn.tensor(1.0), tnn.ones(3)), "zero-dim"),
    ):
        with pytest.raises(RuntimeError, match=match):
            F.prelu(*args)
    with pytest.raises(TypeError, match="'weight'"):
        F.prelu(x, 0.25)
    assert F.prelu(x.bfloat16(), tnn.ones(1).bfloat16()).dtype is tnn.bfloat16


def test_rrelu():
    x = tnn.tensor(np.full(20_000, -1.0), requires_grad=True)
    tnn.manual_seed(0)
    y = F.rrelu(x, 0.2, 0.4, training=True)
    slopes = -y.detach().numpy()
    assert 0.2 <= slopes.min() < 0.201 and 0.399 < slopes.max() <= 0.4 and abs(slopes.mean() - 0.3) < 0.002
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), slopes)
    np.testing.assert_allclose(F.rrelu(x, 0.2, 0.4).detach().numpy(), -0.3)
    z = tnn.ones(3)
    assert F.rrelu_(z, training=True) is z and z.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError, match="Lower bound"):
        F.rrelu(x, 0.5, 0.1)


def test_glu():
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    t = tnn.tensor(x, requires_grad=True)
    for dim in (0, 1, 2, -1):
        a, b = np.split(x, 2, dim)
        np.testing.assert_allclose(F.glu(t, dim).detach().numpy(), a * _sigmoid(b), rtol=1e-14)
        assert gradcheck(lambda s, d=dim: F.glu(s, d), (t,)) and gradgradcheck(lambda s, d=dim: F.glu(s, d), (t,))
    loose = tnn.tensor(x).transpose(0, 1)
    np.testing.assert_array_equal(F.glu(loose, 0).numpy(), F.glu(loose.contiguous(), 0).numpy())
    empty = tnn.zeros(0, 4, requires_grad=True)
    F.glu(empty).sum().backward()
    assert empty.grad.shape == (0, 4) and F.glu(tnn.ones(2, 4).bfloat16()).dtype is tnn.bfloat16
    with pytest.raises(RuntimeError, match="dimension 1 is size 3"):
        F.glu(tnn.ones(2, 3))
    with pytest.raises(RuntimeError, match="0-dimensional"):
        F.glu(tnn.tensor(1.0))
    with pytest.raises(IndexError):
        F.glu(tnn.ones(2), 1)


def test_integers():
    i = tnn.tensor([-3, 0, 9])
    assert (
        F.relu(i).tolist() == [0, 0, 9]
        and F.relu6(i).tolist() == [0, 0, 6]
        and F.hardtanh(i, -1, 2).tolist() == [-1, 0, 2]
    )
    assert F.threshold(i, 1, 5).tolist() == [5, 5, 9] and F.softsign(i).dtype is tnn.float32
    for name in ("gelu", "silu", "leaky_relu", "elu", "softplus"):
        with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
            getattr(F, name)(i)
    with pytest.raises(RuntimeError, match="Boolean"):
        F.relu(tnn.tensor([True]))
    with pytest.raises(RuntimeError, match="unsigned"):
        F.hardtanh(tnn.tensor([1], dtype=tnn.uint8))


def test_errors():
    x = tnn.ones(2)
    with pytest.raises(ValueError, match="min_val cannot be greater"):
        F.hardtanh(x, 1, -1)
    with pytest.raises(RuntimeError, match="lambda"):
        F.softshrink(x, -0.1)
    with pytest.raises(RuntimeError, match="alpha cannot be 0"):
        F.celu(x, 0.0)
    with pytest.raises(RuntimeError, match="approximate"):
        F.gelu(x, "sigmoid")
    for name in CASES:
        with pytest.raises(TypeError, match="'input'"):
            case(name)[0](1.0)


def test_rrelu_draws_for_the_elements_that_need_a_slope():
    tnn.manual_seed(0)
    y = F.rrelu(tnn.tensor([-1.0, 2, -1, -1, 0, math.inf]), training=True)
    np.testing.assert_allclose(y.numpy(), [-0.32709438, 2.0, -0.27246249, -0.22070478, 0.0, math.inf], rtol=1e-6)
    assert tnn.rand(1).item() == pytest.approx(0.455627977848053)
