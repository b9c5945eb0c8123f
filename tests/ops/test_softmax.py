"""Softmax functions."""

import warnings

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F
from tnn.autograd import gradcheck, gradgradcheck


def draw(*shape, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape)).randn(*shape), requires_grad=requires_grad)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_values(dim):
    x = draw(3, 4, 5)
    e = np.exp(x.numpy())
    want = e / e.sum(dim, keepdims=True)
    np.testing.assert_allclose(x.softmax(dim).numpy(), want)
    np.testing.assert_allclose(tnn.log_softmax(x, dim).numpy(), np.log(want))
    np.testing.assert_allclose(F.softmin(-x, dim).numpy(), want)
    np.testing.assert_allclose(
        x.permute(2, 0, 1).softmax((dim + 1) % 3 if dim >= 0 else 0).numpy(), want.transpose(2, 0, 1)
    )


@pytest.mark.parametrize("op", [F.softmax, F.log_softmax, F.softmin])
def test_first_and_second_derivatives(op):
    x = draw(2, 3, requires_grad=True)
    for dim in (0, 1):
        assert gradcheck(lambda x: op(x, dim), (x,)) and gradgradcheck(lambda x: op(x, dim), (x,))  # noqa: B023


def test_dtypes():
    x = tnn.tensor([0, 0])
    assert x.softmax(0, tnn.float64).tolist() == [0.5, 0.5]
    assert F.softmax(x, 0, dtype=tnn.float32).dtype is tnn.float32
    half = tnn.zeros(4, dtype=tnn.bfloat16).softmax(0)
    assert half.dtype is tnn.bfloat16 and half.tolist() == [0.25] * 4
    with pytest.raises(NotImplementedError, match="Long"):
        x.softmax(0)
    with pytest.raises(IndexError):
        tnn.zeros(2).softmax(1)
    assert tnn.tensor(3.0).softmax(0).item() == 1 and tnn.zeros(0, 2).softmax(1).shape == (0, 2)


def test_the_implicit_dimension_warns():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        y = F.softmax(tnn.zeros(2, 4))
    assert "Implicit dimension" in str(caught[0].message) and y[0, 0].item() == 0.25


def test_masks_of_minus_infinity():
    x = tnn.tensor([[0.0, -np.inf, 0.0], [-np.inf, -np.inf, -np.inf]], requires_grad=True)
    y = x.softmax(1)
    assert y[0].tolist() == [0.5, 0.0, 0.5] and y[1].isnan().all()
    y[0, 0].backward()
    np.testing.assert_allclose(x.grad[0].numpy(), [0.25, 0, -0.25])


def test_gumbel_softmax():
    tnn.manual_seed(0)
    logits = tnn.tensor([[1.0, 2.0, 3.0]] * 500, requires_grad=True)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(1).detach().numpy(), 1, rtol=1e-5)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.detach().numpy().round(5))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0).detach().numpy(), [0.09, 0.245, 0.665], atol=0.06)
    hard.sum().backward()
    assert logits.grad.shape == logits.shape
    # PyTorch's numbers for the same seed
    tnn.manual_seed(0)
    y = F.gumbel_softmax(tnn.tensor([[1.0, 2.0, 3.0], [0.5, -0.5, 0.0]]), tau=0.7, dim=0)
    expected = [[0.56221211, 0.96528882, 0.99639183], [0.43778789, 0.03471117, 0.00360812]]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5)
    assert F.gumbel_softmax(tnn.zeros(()), hard=True).item() == 1.0
    assert F.gumbel_softmax(tnn.zeros(3, 0), dim=0, hard=True).shape == (3, 0)
    assert F.gumbel_softmax(tnn.zeros(4, 2, 3).transpose(0, 2), dim=1, hard=True).sum(1).tolist() == [[1.0] * 4] * 3
    assert F.gumbel_softmax(tnn.zeros(2, 3).bfloat16(), hard=True).dtype is tnn.bfloat16
    with pytest.raises(IndexError, match="non-zero size"):
        F.gumbel_softmax(tnn.zeros(3, 0), hard=True)


@pytest.mark.parametrize("n", [5, 16, 40, 600])
def test_what_lies_below_the_normal_numbers_is_kept(n):
    depths_of = {tnn.float32: (80.0, 90.0, 100.0, 103.0, 120.0), tnn.float64: (700.0, 720.0, 744.0, 760.0)}
    for dtype, depths in depths_of.items():
        for depth in depths:
            x = tnn.full((20, n), -depth, dtype=dtype)
            x[:, 2] = 0.0
            small = np.exp(np.float64(-depth)) if dtype is tnn.float32 else np.exp(-np.longdouble(depth))
            step = np.nextafter(x.numpy().dtype.type(0), 1)
            got = x.softmax(1)[:, 0].numpy()
            np.testing.assert_allclose(got, float(small), rtol=2e-6, atol=float(step))
            assert (got > 0).all() == (got.dtype.type(small) > 0)
