"""Linear layers."""

import numpy as np
import pytest

import tnn
from tests.check_layer import LayerCase, check_layer
from tnn import nn

GOLDEN_ROW = [-0.0037434101, 0.2682218, -0.41152257, -0.36796951]
GOLDEN_BIAS = [-0.47767425, -0.33114105, -0.20611155]

CASES = [
    LayerCase("Linear", lambda: nn.Linear(3, 4), ((2, 3),), double=True),
    LayerCase("Linear without bias", lambda: nn.Linear(3, 4, bias=False), ((2, 5, 3),)),
    LayerCase("Bilinear", lambda: nn.Bilinear(3, 2, 4), ((2, 3), (2, 2)), double=True),
    LayerCase("Identity", lambda: nn.Identity("anything", goes=True), ((2, 3),), double=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def test_initial_values():
    tnn.manual_seed(0)
    m = nn.Linear(4, 3)
    # what the same seed gives in PyTorch 2.13
    np.testing.assert_allclose(m.weight.detach().numpy()[0], GOLDEN_ROW, rtol=1e-6)
    np.testing.assert_allclose(m.bias.detach().numpy(), GOLDEN_BIAS, rtol=1e-6)


def test_lazy():
    m = nn.LazyLinear(5)
    assert m.has_uninitialized_params()
    y = m(tnn.ones(2, 3))
    assert type(m) is nn.Linear and y.shape == (2, 5) and m.in_features == 3
    assert repr(m) == "Linear(in_features=3, out_features=5, bias=True)"


def test_errors():
    with pytest.raises(ValueError, match="in1_features must be > 0, but got 0"):
        nn.Bilinear(0, 2, 3)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        nn.Linear(3, 4)(tnn.ones(2, 5))
