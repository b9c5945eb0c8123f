"""Softmax layers."""

import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn

CASES = [
    LayerCase("Softmax", lambda: nn.Softmax(1), ((3, 4),), double=True),
    LayerCase("Softmax-strided", lambda: nn.Softmax(dim=0), ((3, 4),), empty=False),
    LayerCase("LogSoftmax", lambda: nn.LogSoftmax(-1), ((2, 3, 2),), double=True),
    LayerCase("Softmin", lambda: nn.Softmin(1), ((3, 4),)),
    LayerCase("Softmax2d", nn.Softmax2d, ((2, 3, 2, 2),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def test_softmax2d_wants_images():
    assert nn.Softmax2d()(tnn.zeros(2, 3, 4)).sum(0).tolist() == tnn.ones(3, 4).tolist()
    with pytest.raises(ValueError, match="3D or 4D"):
        nn.Softmax2d()(tnn.zeros(2, 3))
