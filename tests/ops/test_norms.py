"""Norms against NumPy's, their derivatives against differences."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

INF = float("inf")


def draw(*shape, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape)).randn(*shape), requires_grad=requires_grad)


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -1, -1.5, INF, -INF])
def test_vector_norms(p):
    x = draw(3, 4)
    for dim in (0, 1):
        want = np.linalg.norm(x.numpy(), p, dim)
        np.testing.assert_allclose(x.norm(p, dim).numpy(), want)
        np.testing.assert_allclose(tnn.linalg.norm(x, p, dim, keepdim=True).numpy().squeeze(dim), want)
    np.testing.assert_allclose(x.norm(p).item(), np.linalg.norm(x.numpy().ravel(), p))


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, INF, -INF])
def test_matrix_norms(order):
    x = draw(3, 4)
    want = np.linalg.norm(x.numpy(), order)
    np.testing.assert_allclose(tnn.linalg.matrix_norm(x, order).item(), want)
    np.testing.assert_allclose(tnn.linalg.norm(x, order).item(), want)
    y = draw(3, 2, 4)
    want = np.linalg.norm(y.numpy(), order, (2, 0), keepdims=True)
    np.testing.assert_allclose(tnn.linalg.matrix_norm(y, order, (2, 0), True).numpy(), want)


@pytest.mark.parametrize("p", [1, 2, 3, 1.5, 0.5, -1, INF, -INF])
def test_first_and_second_derivatives(p):
    x = draw(3, 2, requires_grad=True)
    assert gradcheck(lambda x: x.norm(p, 0), (x,)) and gradgradcheck(lambda x: x.norm(p, 0), (x,))


@pytest.mark.parametrize("order", ["nuc", 2, 1, INF])
def test_derivatives_of_matrix_norms(order):
    x = draw(3, 2, requires_grad=True)
    assert gradcheck(lambda x: tnn.linalg.matrix_norm(x, order), (x,))


def test_gradients_at_zero_are_zero():
    for p in (1, 2, 3, 1.5):
        x = tnn.zeros(3, requires_grad=True)
        x.norm(p).backward()
        assert x.grad.tolist() == [0, 0, 0]
    x = tnn.ones(3, requires_grad=True)
    x.norm(0).backward()
    assert x.grad is None


def test_large_and_small_values_neither_overflow_nor_vanish():
    x = tnn.tensor([3e30, 4e30])
    assert x.norm().item() == pytest.approx(5e30) and (x * 1e-60 * 1e-1).norm().item() >= 0


def test_dist_and_renorm():
    x, y = draw(3, 4), draw(4)
    np.testing.assert_allclose(x.dist(y, 3).item(), np.linalg.norm((x.numpy() - y.numpy()).ravel(), 3))
    z = tnn.renorm(x, 2, 0, 1.0)
    np.testing.assert_allclose(z.norm(2, 1).numpy(), np.minimum(x.norm(2, 1).numpy(), 1), rtol=1e-6)


def test_errors():
    x = draw(2, 3)
    for call in (
        lambda: x.norm("bad"),
        lambda: tnn.linalg.matrix_norm(x, 5),
        lambda: tnn.linalg.matrix_norm(draw(3)),
        lambda: tnn.linalg.norm(draw(2, 3, 4), 2),
        lambda: tnn.linalg.vector_norm(tnn.tensor([1])),
        lambda: tnn.linalg.vector_norm(tnn.zeros(0), INF),
        lambda: x.norm(2, dtype=tnn.float32),
        lambda: tnn.renorm(x, 2, 0, -1.0),
        lambda: tnn.renorm(draw(3), 2, 0, 1.0),
    ):
        with pytest.raises(RuntimeError):
            call()


def test_matrix_norms_of_nothing():
    for shape in ((0, 0), (5, 0), (0, 5)):
        x = tnn.zeros(shape)
        for ord in (2, 1, INF, "nuc", "fro"):
            assert tnn.linalg.matrix_norm(x, ord).item() == 0, (shape, ord)
            assert tnn.linalg.norm(x, ord, keepdim=True).shape == (1, 1)
    with pytest.raises(IndexError):
        tnn.linalg.norm(tnn.zeros(0, 5), -2)


def test_renorm_in_place_keeps_its_input():
    x = draw(3, 2, requires_grad=True)
    assert gradcheck(lambda x: x.clone().renorm_(2, 0, 0.5), (x,))
