"""Normalization functions: values by their equations, derivatives by differences, checks of the arguments."""

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F
from tnn.autograd import gradcheck, gradgradcheck


def draw(*shape, seed=0, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape) + seed).randn(*shape), requires_grad=requires_grad)


def normal(a, axes, eps=1e-5):
    return (a - a.mean(axes, keepdims=True)) / np.sqrt(a.var(axes, keepdims=True) + eps)


def test_batch_norm_moves_the_running_statistics():
    x, mean, var = draw(5, 3, 4), tnn.zeros(3, dtype=tnn.float64), tnn.ones(3, dtype=tnn.float64)
    y = F.batch_norm(x, mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(y.numpy(), normal(x.numpy(), (0, 2)))
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.numpy().mean((0, 2)))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.numpy().var((0, 2), ddof=1))
    z = F.batch_norm(x, mean, var, eps=0.5)
    np.testing.assert_allclose(z.numpy(), (x.numpy() - mean.numpy()[:, None]) / np.sqrt(var.numpy()[:, None] + 0.5))


def test_values():
    x, w, b = draw(2, 4, 3), draw(4), draw(4, seed=1)
    a, w4, b4 = x.numpy(), w.numpy()[:, None], b.numpy()[:, None]
    grouped = normal(a.reshape(2, 2, 6), 2).reshape(a.shape)
    np.testing.assert_allclose(F.group_norm(x, 2, w, b).numpy(), grouped * w4 + b4)
    np.testing.assert_allclose(F.instance_norm(x, weight=w, bias=b).numpy(), normal(a, 2) * w4 + b4)
    np.testing.assert_allclose(F.layer_norm(x, (4, 3)).numpy(), normal(a, (1, 2)))
    rms = np.sqrt((a * a).mean(2, keepdims=True) + 0.1)
    np.testing.assert_allclose(F.rms_norm(x, (3,), eps=0.1).numpy(), a / rms)
    np.testing.assert_allclose(
        F.normalize(x, 3, (1, 2)).numpy(), a / np.linalg.norm(a.reshape(2, -1), 3, 1)[:, None, None]
    )


@pytest.mark.parametrize(
    "op, shapes",
    [
        (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(3, 2, 2), (2,), (2,)]),
        (lambda x, w: F.batch_norm(x, None, None, w, None, True), [(4, 2), (2,)]),
        (lambda x, w, b: F.batch_norm(x, draw(2), draw(2) ** 2 + 1, w, b), [(2, 2, 2), (2,), (2,)]),
        (lambda x, w, b: F.layer_norm(x, (3,), w, b), [(2, 3), (3,), (3,)]),
        (lambda x: F.layer_norm(x, (2, 2)), [(2, 2, 2)]),
        (lambda x, w: F.rms_norm(x, (3,), w), [(2, 3), (3,)]),
        (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 2), (4,), (4,)]),
        (lambda x, w, b: F.instance_norm(x, None, None, w, b), [(2, 2, 3), (2,), (2,)]),
        (lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 1.0), [(1, 4, 2)]),
        (lambda x: F.local_response_norm(x, 4, 0.5, 0.75, 1.0), [(1, 3, 2)]),
        (lambda x: F.normalize(x, dim=0), [(3, 2)]),
    ],
)
def test_first_and_second_derivatives(op, shapes):
    tensors = [draw(*s, seed=i, requires_grad=True) for i, s in enumerate(shapes)]
    assert gradcheck(op, tensors) and gradgradcheck(op, tensors)


def test_only_wanted_gradients_are_computed():
    x, w = draw(4, 3), draw(3, requires_grad=True)
    for y in (
        F.layer_norm(x, (3,), w),
        F.rms_norm(x, (3,), w),
        F.batch_norm(x, None, None, w, training=True),
        F.group_norm(x.unsqueeze(2), 1, w),
    ):
        w.grad = None
        y.sum().backward()
        assert w.grad.shape == (3,) and x.grad is None


def test_instance_norm_running_statistics():
    x, mean, var = draw(2, 3, 5), tnn.zeros(3, dtype=tnn.float64), tnn.ones(3, dtype=tnn.float64)
    F.instance_norm(x, mean, var, momentum=0.5)
    np.testing.assert_allclose(mean.numpy(), 0.5 * x.numpy().mean((0, 2)))
    np.testing.assert_allclose(var.numpy(), 0.5 + 0.5 * x.numpy().var(2, ddof=1).mean(0))


def test_half_precision_goes_with_float32_parameters():
    x, w = draw(3, 4).bfloat16(), tnn.ones(4)
    for y in (F.layer_norm(x, (4,), w, w), F.rms_norm(x, (4,)), F.batch_norm(x, w, w, w), F.group_norm(x, 2, w)):
        assert y.dtype is tnn.bfloat16
    with pytest.raises(RuntimeError, match="dtype"):
        F.layer_norm(draw(3, 4), (4,), w)
    with pytest.raises(NotImplementedError):
        F.layer_norm(tnn.ones(3, 4, dtype=tnn.int64), (4,))


def test_changed_input_is_noticed():
    x = draw(3, 4, requires_grad=True)
    z = x * 1
    y = F.layer_norm(z, (4,))
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_empty_batches():
    for y in (
        F.layer_norm(tnn.zeros(0, 3, requires_grad=True), (3,), tnn.ones(3, requires_grad=True)),
        F.group_norm(tnn.zeros(0, 4, 2, requires_grad=True), 2, tnn.ones(4, requires_grad=True)),
        F.batch_norm(tnn.zeros(0, 3, requires_grad=True), tnn.zeros(3), tnn.ones(3), tnn.ones(3, requires_grad=True)),
    ):
        y.sum().backward()
        assert y.shape[0] == 0


def test_bad_arguments():
    x, three = draw(2, 3, 4).float(), tnn.zeros(3)
    for error, call in (
        (RuntimeError, lambda: F.batch_norm(x, None, None)),
        (RuntimeError, lambda: F.batch_norm(x, tnn.zeros(4), tnn.ones(4))),
        (RuntimeError, lambda: F.batch_norm(x, three, three, tnn.ones(2))),
        (ValueError, lambda: F.batch_norm(x[:1, :, :1], three, three, training=True)),
        (ValueError, lambda: F.batch_norm(x, three, None, training=True)),
        (ValueError, lambda: F.batch_norm(x, three, three, eps=-1.0)),
        (RuntimeError, lambda: F.batch_norm(three, three, three)),
        (RuntimeError, lambda: F.layer_norm(x, (3,))),
        (RuntimeError, lambda: F.layer_norm(x, (4,), three)),
        (RuntimeError, lambda: F.layer_norm(x, ())),
        (TypeError, lambda: F.layer_norm(x, 4)),
        (RuntimeError, lambda: F.rms_norm(x, (2, 3, 4, 5))),
        (RuntimeError, lambda: F.group_norm(x, 2)),
        (RuntimeError, lambda: F.group_norm(x, 3, tnn.ones(2))),
        (RuntimeError, lambda: F.group_norm(three, 3)),
        (ValueError, lambda: F.group_norm(tnn.zeros(1, 3), 3)),
        (ValueError, lambda: F.instance_norm(x[:, :, :1])),
        (RuntimeError, lambda: F.instance_norm(x, use_input_stats=False)),
        (ValueError, lambda: F.local_response_norm(x[0], 2)),
        (ValueError, lambda: F.local_response_norm(x, 0)),
    ):
        with pytest.raises(error):
            call()


def test_batch_norm_of_a_vector_of_nothing():
    x = tnn.zeros(0, requires_grad=True)
    assert F.batch_norm(x, tnn.zeros(0), tnn.ones(0), training=True).shape == (0,)


def test_layer_norm_of_wide_rows():
    """Rows from which on the gradients of weight and bias are summed by columns."""
    rng = np.random.default_rng(0)
    x, g, w = rng.normal(size=(9, 4100)), rng.normal(size=(9, 4100)), rng.normal(size=4100)
    t, weight, bias = (tnn.tensor(a, requires_grad=True) for a in (x, w, 0 * w))
    F.layer_norm(t, (4100,), weight, bias).backward(tnn.tensor(g))
    hat = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(weight.grad.numpy(), (g * hat).sum(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(bias.grad.numpy(), g.sum(0), rtol=1e-12, atol=1e-14)
    h = g * w
    rstd = 1 / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    dx = rstd * (h - h.mean(1, keepdims=True) - hat * (h * hat).mean(1, keepdims=True))
    np.testing.assert_allclose(t.grad.numpy(), dx, rtol=1e-9, atol=1e-12)


def test_batch_norm_of_rows():
    """(N, C) with more rows than are added up at a time, and some left over."""
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=(11, 3)) + 100, rng.normal(size=(11, 3))
    t, w, b = tnn.tensor(x, requires_grad=True), tnn.ones(3).double().requires_grad_(), tnn.zeros(3).double()
    y = F.batch_norm(t, None, None, w, b.requires_grad_(), True)
    hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    np.testing.assert_allclose(y.detach().numpy(), hat, rtol=1e-9, atol=1e-12)
    y.backward(tnn.tensor(g))
    np.testing.assert_allclose(w.grad.numpy(), (g * hat).sum(0), rtol=1e-9)
    np.testing.assert_allclose(b.grad.numpy(), g.sum(0), rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (2000, 8), (2, 3, 40), (3, 2, 3, 3)])
def test_gradient_of_batch_norm_in_evaluation_does_not_depend_on_the_input(shape):
    for dtype in (tnn.float32, tnn.float64):
        x = tnn.randn(*shape, dtype=dtype)
        x.view(-1)[:3] = tnn.tensor([np.inf, -np.inf, np.nan], dtype=dtype)
        x.requires_grad_()
        mean, var = tnn.zeros(shape[1], dtype=dtype), tnn.full(shape[1:2], 3.0, dtype=dtype)
        F.batch_norm(x, mean, var, eps=1.0).sum().backward()
        assert (x.grad == 0.5).all()
