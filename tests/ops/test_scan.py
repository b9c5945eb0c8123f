"""Running sums and the like: values against NumPy, derivatives against differences."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck


def draw(*shape, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape)).randn(*shape), requires_grad=requires_grad)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_values(dim):
    x = draw(3, 4, 2)
    a = x.numpy()
    np.testing.assert_allclose(x.cumsum(dim).numpy(), a.cumsum(dim))
    np.testing.assert_allclose(x.cumprod(dim).numpy(), a.cumprod(dim))
    np.testing.assert_allclose(x.logcumsumexp(dim).numpy(), np.log(np.exp(a).cumsum(dim)))
    np.testing.assert_array_equal(x.cummax(dim).values.numpy(), np.maximum.accumulate(a, dim))
    np.testing.assert_array_equal(x.cummin(dim)[0].numpy(), np.minimum.accumulate(a, dim))
    np.testing.assert_allclose(x.diff(n=2, dim=dim).numpy(), np.diff(a, 2, dim))
    np.testing.assert_allclose(tnn.trapezoid(x, dx=0.5, dim=dim).numpy(), np.trapezoid(a, dx=0.5, axis=dim))


@pytest.mark.parametrize(
    "op",
    [
        lambda x: x.cumsum(1),
        lambda x: x.cumprod(1),
        lambda x: x.logcumsumexp(0),
        lambda x: x.cummax(1)[0],
        lambda x: x.cummin(0)[0],
        lambda x: x.diff(n=2),
        lambda x: tnn.trapezoid(x, draw(4)),
        lambda x: tnn.cumulative_trapezoid(x, dx=0.5),
    ],
)
def test_first_and_second_derivatives(op):
    x = draw(2, 4, requires_grad=True)
    assert gradcheck(op, (x,)) and gradgradcheck(op, (x,))


def test_product_gradient_past_zeros():
    x = tnn.tensor([2.0, 0.0, 3.0, 0.0], dtype=tnn.float64, requires_grad=True)
    assert gradcheck(lambda x: x.cumprod(0), (x,)) and gradgradcheck(lambda x: x.cumprod(0), (x,))


def test_dtypes_and_errors():
    flags = tnn.tensor([True, True])
    assert flags.cumsum(0).tolist() == [1, 2] and flags.cumsum(0).dtype is tnn.int64
    assert tnn.tensor([2, 3]).cumprod(0, dtype=tnn.float32).tolist() == [2.0, 6.0]
    assert tnn.ones(3, dtype=tnn.bfloat16).cumsum(0).dtype is tnn.bfloat16
    out = tnn.tensor([3, 1, 3]).cummax(0)
    assert out.values.tolist() == [3, 3, 3] and out.indices.tolist() == [0, 0, 2]
    assert flags.diff().tolist() == [False]
    x = tnn.tensor([1.0, 2.0])
    assert x.cumsum_(0) is x and x.tolist() == [1.0, 3.0]
    with pytest.raises(IndexError):
        x.cumsum(1)
    with pytest.raises(NotImplementedError):
        tnn.tensor([1]).logcumsumexp(0)
    with pytest.raises(RuntimeError, match="one `x` value"):
        tnn.trapezoid(draw(2, 3), draw(2))
    with pytest.raises(RuntimeError, match="one-dimensional"):
        tnn.tensor(1.0).diff()
    assert tnn.zeros(0, 3).cumsum(0).shape == (0, 3) and tnn.tensor(2.0).cumprod(0).item() == 2


def test_diff_of_order_0_is_the_input():
    x = draw(3)
    assert tnn.diff(x, 0, prepend=x, append=x).tolist() == x.tolist()


def test_running_extremes_and_products_of_rows():
    x = tnn.randn(5, 70, dtype=tnn.float64)
    x[1, 3], x[2, 5], x[2, 6] = float("nan"), 1e3, 1e3
    for op, accumulate in ((tnn.cummax, np.maximum.accumulate), (tnn.cummin, np.minimum.accumulate)):
        values, indices = op(x, 1)
        np.testing.assert_array_equal(values.numpy(), accumulate(x.numpy(), 1))
        turned, places = op(x.T, 0)
        np.testing.assert_array_equal(values.numpy(), turned.T.numpy())
        np.testing.assert_array_equal(indices.numpy(), places.T.numpy())
    assert tnn.cummax(x, 1)[1][2, 8] == 6  # of equals the last one
    z = (tnn.rand(3, 9, dtype=tnn.float64) + 0.5).requires_grad_()
    assert tnn.autograd.gradcheck(lambda t: t.cumprod(1), (z,))


def test_trapezoids_of_even_spacing():
    y = tnn.randn(4, 9, dtype=tnn.float64)
    for dim in (0, 1, -1):
        points = tnn.arange(y.shape[dim], dtype=tnn.float64)
        np.testing.assert_allclose(tnn.trapezoid(y, dim=dim).numpy(), tnn.trapezoid(y, points, dim=dim).numpy(), 1e-12)
        np.testing.assert_allclose(tnn.trapezoid(y, dx=0.5, dim=dim).numpy(), np.trapezoid(y.numpy(), dx=0.5, axis=dim))
    assert tnn.trapezoid(y[:, :1]).tolist() == [0.0] * 4
    assert tnn.trapezoid(y[:, :0]).tolist() == [0.0] * 4
    z = y.clone().requires_grad_()
    assert tnn.autograd.gradcheck(lambda t: tnn.trapezoid(t, dx=2.0), (z,))
