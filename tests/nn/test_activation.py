"""Activation layers."""

import numpy as np
import pytest

import tnn
from tests.check_layer import LayerCase, check_layer
from tnn import nn


def draw(rng, shape):
    # away from the kinks
    return rng.choice([-3.7, -2.2, -1.1, -0.43, -0.21, 0.13, 0.33, 0.9, 1.2, 2.4, 4.1, 7.3], shape)


LAYERS = {
    "ReLU()": nn.ReLU,
    "ReLU6()": nn.ReLU6,
    "LeakyReLU(negative_slope=0.2)": lambda: nn.LeakyReLU(0.2),
    "PReLU(num_parameters=3)": lambda: nn.PReLU(3),
    "RReLU(lower=0.1, upper=0.3)": lambda: nn.RReLU(0.1, 0.3).eval(),
    "Threshold(threshold=0.5, value=-1.0)": lambda: nn.Threshold(0.5, -1.0),
    "Hardtanh(min_val=-1.0, max_val=1.0)": nn.Hardtanh,
    "Hardsigmoid()": nn.Hardsigmoid,
    "Hardswish()": nn.Hardswish,
    "Hardshrink(0.5)": nn.Hardshrink,
    "Softshrink(0.5)": nn.Softshrink,
    "ELU(alpha=1.5)": lambda: nn.ELU(1.5),
    "CELU(alpha=1.0)": nn.CELU,
    "SELU()": nn.SELU,
    "GELU(approximate='none')": nn.GELU,
    "GELU(approximate='tanh')": lambda: nn.GELU("tanh"),
    "SiLU()": nn.SiLU,
    "Mish()": nn.Mish,
    "Softplus(beta=2.0, threshold=20.0)": lambda: nn.Softplus(2.0),
    "Softsign()": nn.Softsign,
    "Tanh()": nn.Tanh,
    "Tanhshrink()": nn.Tanhshrink,
    "Sigmoid()": nn.Sigmoid,
    "LogSigmoid()": nn.LogSigmoid,
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    assert repr(LAYERS[name]()) == name
    check_layer(LayerCase(name, LAYERS[name], ((2, 3, 2),), draw=draw, double=True))


INPLACE = "ReLU ReLU6 LeakyReLU RReLU Hardtanh ELU CELU SELU SiLU Mish Hardsigmoid Hardswish".split()


def test_glu_layer():
    assert repr(nn.GLU(1)) == "GLU(dim=1)"
    check_layer(LayerCase("GLU", lambda: nn.GLU(1), ((2, 4, 3),), double=True))


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_layers(name):
    layer = getattr(nn, name)(inplace=True).eval()
    assert ("inplace=True" in repr(layer)) == (name not in ("Hardsigmoid", "Hardswish"))
    x = tnn.tensor([-1.0, 0.3, 7.0])
    want = getattr(nn, name)().eval()(x)
    assert layer(x) is x
    np.testing.assert_array_equal(x.numpy(), want.numpy())


def test_parameters_and_errors():
    layer = nn.PReLU(2, init=0.1, dtype=tnn.float64)
    assert layer.weight.dtype is tnn.float64 and layer.weight.tolist() == [0.1, 0.1]
    assert list(layer.state_dict()) == ["weight"]
    with pytest.raises(AssertionError, match="max_val must be larger"):
        nn.Hardtanh(1, -1)
    assert nn.Hardtanh(min_value=-3, max_value=3).min_val == -3
