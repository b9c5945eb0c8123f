"""Convolution layers, plain and transposed, and Fold and Unfold."""

import numpy as np
import pytest

import tnn
from tests.check_layer import LayerCase, check_layer
from tnn import nn
from tnn.nn import functional as F

GOLDEN_ROW = [-0.0026469906, 0.18966144, -0.29099038, -0.26019374, -0.13617262, 0.094807945, -0.0070050168, 0.28032875]
GOLDEN_BIAS = [-0.056986921, 0.037410934, 0.32013419]

CASES = [
    LayerCase("Conv1d", lambda: nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), ((2, 2, 5),), double=True),
    LayerCase("Conv2d", lambda: nn.Conv2d(2, 3, (2, 3), padding=(1, 0), dilation=(1, 2)), ((2, 2, 3, 6),), double=True),
    LayerCase("Conv2d same", lambda: nn.Conv2d(1, 2, 2, padding="same", bias=False), ((2, 1, 3, 4),)),
    LayerCase("Conv3d", lambda: nn.Conv3d(1, 2, 2), ((2, 1, 3, 2, 3),)),
    LayerCase("Conv2d reflect", lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), ((2, 1, 3, 4),)),
    LayerCase("Conv2d circular", lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), ((2, 1, 3, 4),)),
    LayerCase("Conv1d replicate", lambda: nn.Conv1d(1, 2, 3, padding=2, padding_mode="replicate"), ((2, 1, 4),)),
    LayerCase("ConvTranspose1d", lambda: nn.ConvTranspose1d(4, 2, 3, 2, 1, 1, groups=2), ((2, 4, 3),), double=True),
    LayerCase("ConvTranspose2d", lambda: nn.ConvTranspose2d(2, 3, 2, stride=2, bias=False), ((2, 2, 2, 3),)),
    LayerCase("ConvTranspose3d", lambda: nn.ConvTranspose3d(1, 2, 2), ((2, 1, 2, 2, 2),)),
    LayerCase("Unfold", lambda: nn.Unfold(2, padding=1, stride=2), ((2, 2, 4, 4),), double=True),
    LayerCase("Fold", lambda: nn.Fold((3, 4), 2), ((2, 8, 6),), double=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def test_initial_values():
    tnn.manual_seed(0)
    m = nn.Conv2d(2, 3, 2)
    # what the same seed gives in PyTorch 2.13
    np.testing.assert_allclose(m.weight.detach().numpy()[0].ravel(), GOLDEN_ROW, rtol=1e-6)
    np.testing.assert_allclose(m.bias.detach().numpy(), GOLDEN_BIAS, rtol=1e-6)


def test_representation():
    assert repr(nn.Conv2d(2, 4, 3)) == "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))"
    long = nn.Conv1d(2, 4, 3, 2, "valid", 1, 2, False, "reflect")
    assert repr(long) == (
        "Conv1d(2, 4, kernel_size=(3,), stride=(2,), padding=valid, groups=2, bias=False, padding_mode=reflect)"
    )
    assert repr(nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, dilation=2)) == (
        "ConvTranspose1d(2, 4, kernel_size=(3,), stride=(2,), padding=(1,), dilation=(2,), output_padding=(1,))"
    )


def test_padding_modes_pad_first():
    x = tnn.tensor(np.random.RandomState(0).uniform(-1, 1, (2, 2, 5, 6)))
    for mode in ("reflect", "replicate", "circular"):
        m = nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode=mode, dtype=tnn.float64)
        want = F.conv2d(F.pad(x, (1, 1, 2, 2), mode=mode), m.weight, m.bias)
        np.testing.assert_array_equal(m(x).detach().numpy(), want.detach().numpy())


def test_output_size():
    m = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = tnn.ones(1, 1, 4, 4)
    assert m(x).shape == (1, 1, 7, 7)
    assert m(x, output_size=(8, 7)).shape == (1, 1, 8, 7)
    assert m(x, output_size=tnn.Size([1, 1, 8, 8])).shape == (1, 1, 8, 8)
    assert m(x[0], output_size=[8, 8]).shape == (1, 8, 8)
    with pytest.raises(ValueError, match="must be from 7 to 8"):
        m(x, output_size=(9, 8))
    with pytest.raises(ValueError, match="2 or 4 elements"):
        m(x, output_size=(8,))


@pytest.mark.parametrize(
    "lazy,plain,shape",
    [
        (nn.LazyConv1d, nn.Conv1d, (2, 4, 6)),
        (nn.LazyConv2d, nn.Conv2d, (4, 6, 6)),
        (nn.LazyConv3d, nn.Conv3d, (2, 4, 4, 4, 4)),
        (nn.LazyConvTranspose1d, nn.ConvTranspose1d, (2, 4, 6)),
        (nn.LazyConvTranspose2d, nn.ConvTranspose2d, (2, 4, 6, 6)),
        (nn.LazyConvTranspose3d, nn.ConvTranspose3d, (4, 4, 4, 4)),
    ],
)
def test_lazy(lazy, plain, shape):
    m = lazy(6, 3, groups=2)
    assert m.has_uninitialized_params() and m.in_channels == 0
    y = m(tnn.ones(*shape))
    assert type(m) is plain and m.in_channels == 4
    nd = m._dims
    assert m.weight.shape == ((4, 3) if m.transposed else (6, 2)) + (3,) * nd
    assert y.shape[-nd - 1] == 6
    with pytest.raises(RuntimeError, match="unbatched"):
        lazy(6, 3)(tnn.ones(3))


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=0), "groups must be a positive integer"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "out_channels must be divisible"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), "Invalid padding string"),
        (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), "strided"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "Only \"zeros\" padding mode"),
    ],
)
def test_constructor_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
