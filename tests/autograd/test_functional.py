"""Jacobians, Hessians, products with vectors; the tape's graph module; anomaly detection."""

import numpy as np
import pytest

import tnn
from tnn.autograd import functional as AF
from tnn.autograd import graph

A = tnn.tensor([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], dtype=tnn.float64)
X = tnn.tensor([0.3, -0.7, 1.1], dtype=tnn.float64)
Y = tnn.tensor([0.9, 0.2], dtype=tnn.float64)


def _vector(x):
    return (A @ x).tanh()


def _scalar(x, y):
    return (x * x * x).sum() * y[0] + (y * y).sum() * x[1]


def test_jacobian():
    want = (1 - np.tanh(A.numpy() @ X.numpy()) ** 2)[:, None] * A.numpy()
    np.testing.assert_allclose(AF.jacobian(_vector, X).numpy(), want)
    jac = AF.jacobian(lambda x, y: (x.sum() * y, x), (X, Y))
    assert [[tuple(t.shape) for t in row] for row in jac] == [[(2, 3), (2, 2)], [(3, 3), (3, 2)]]
    np.testing.assert_allclose(jac[0][0].numpy(), np.repeat(Y.numpy()[:, None], 3, 1))
    np.testing.assert_allclose(jac[1][1].numpy(), 0)
    assert AF.jacobian(lambda x: x[:0], X).shape == (0, 3)
    with pytest.raises(RuntimeError, match="independent of input 1"):
        AF.jacobian(lambda x, y: x * 2, (X, Y), strict=True)
    with pytest.raises(RuntimeError, match="does not depend"):
        AF.jacobian(lambda x: tnn.ones(2), X, strict=True)
    with pytest.raises(NotImplementedError, match="vectorize"):
        AF.jacobian(_vector, X, strategy="forward-mode")
    with pytest.raises(TypeError, match="inputs given to jacobian"):
        AF.jacobian(_vector, 3.0)


def test_products_with_vectors():
    jac = AF.jacobian(_vector, X).numpy()
    out, got = AF.vjp(_vector, X, Y)
    np.testing.assert_allclose(out.numpy(), np.tanh(A.numpy() @ X.numpy()))
    np.testing.assert_allclose(got.numpy(), Y.numpy() @ jac)
    assert not got.requires_grad
    v = tnn.tensor([1.0, -2.0, 0.5], dtype=tnn.float64)
    np.testing.assert_allclose(AF.jvp(_vector, X, v)[1].numpy(), jac @ v.numpy())
    with pytest.raises(RuntimeError, match="can only be None"):
        AF.vjp(_vector, X)
    with pytest.raises(RuntimeError, match="invalid size"):
        AF.vjp(_vector, X, v)


def test_hessian():
    x, y = X.numpy(), Y.numpy()
    h = AF.hessian(_scalar, (X, Y))
    xy = np.outer(3 * x * x, [1, 0]) + np.outer([0, 1, 0], 2 * y)
    for got, want in zip(
        (h[0][0], h[0][1], h[1][0], h[1][1]), (np.diag(6 * x) * y[0], xy, xy.T, 2 * np.eye(2) * x[1]), strict=True
    ):
        np.testing.assert_allclose(got.numpy(), want)
    vx, vy = X * 2, Y + 1
    for fn in (AF.hvp, AF.vhp):
        value, (px, py) = fn(_scalar, (X, Y), (vx, vy))
        np.testing.assert_allclose(value.numpy(), _scalar(X, Y).numpy())
        np.testing.assert_allclose(px.numpy(), h[0][0].numpy() @ vx.numpy() + xy @ vy.numpy())
        np.testing.assert_allclose(py.numpy(), xy.T @ vx.numpy() + h[1][1].numpy() @ vy.numpy())
    with pytest.raises(RuntimeError, match="single element"):
        AF.hessian(_vector, X)


def test_create_graph():
    x = X.clone().requires_grad_()
    AF.jacobian(lambda t: t**3, x, create_graph=True).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * X.numpy())


def test_saved_tensors_hooks():
    seen = []

    def pack(t):
        seen.append(t.shape)
        return t.numpy().copy()

    x = X.clone().requires_grad_()
    with graph.saved_tensors_hooks(pack, tnn.from_numpy):
        y = (x * x).exp()
    assert seen
    g = tnn.autograd.grad(y.sum(), x, create_graph=True)[0]
    np.testing.assert_allclose(g.detach().numpy(), (2 * X * (X * X).exp()).numpy())
    (second,) = tnn.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(second.numpy(), ((2 + 4 * X * X) * (X * X).exp()).numpy())
    with graph.save_on_cpu(pin_memory=True):
        y = x.sin()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(X.numpy()))
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        with graph.saved_tensors_hooks(pack, pack):
            pass


def test_edges_versions_and_hooks():
    x = X.clone().requires_grad_()
    y = x * 2
    assert graph.get_gradient_edge(y).node is y.grad_fn and isinstance(y.grad_fn, graph.Node)
    assert graph.get_gradient_edge(x).node.variable is x
    with pytest.raises(RuntimeError, match="does not require"):
        graph.get_gradient_edge(X)
    z = x * x
    with tnn.no_grad():
        graph.increment_version(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    a, b = X.clone().requires_grad_(), X.clone().requires_grad_()
    seen = []
    handle = graph.register_multi_grad_hook((a, b), seen.append)
    first = graph.register_multi_grad_hook((a, b), seen.append, mode="any")
    (a * b).sum().backward()
    assert len(seen) == 2 and sorted(isinstance(s, list) for s in seen) == [False, True]
    handle.remove()
    first.remove()
    (a * b).sum().backward()
    assert len(seen) == 2
    with pytest.raises(ValueError, match="'all', 'any'"):
        graph.register_multi_grad_hook((a,), print, mode="some")


def test_anomalies():
    x = tnn.zeros(2, requires_grad=True)
    (x / x).sum().backward()
    with tnn.autograd.detect_anomaly():
        y = (x / x).sum()
        with pytest.warns(UserWarning, match="(?s)DivBackward0.*test_anomalies"):
            with pytest.raises(RuntimeError, match="Function 'DivBackward0' returned nan values in its 1th output"):
                y.backward()
        with tnn.autograd.set_detect_anomaly(False):
            (x / x).sum().backward()
    with tnn.autograd.detect_anomaly(check_nan=False):
        (x / x).sum().backward()
    tnn.autograd.set_detect_anomaly(True)
    assert tnn.autograd.anomaly_mode.is_anomaly_enabled()
    with pytest.warns(UserWarning), pytest.raises(RuntimeError):
        (x / x).sum().backward()
    tnn.autograd.set_detect_anomaly(False)
    (x / x).sum().backward()


def test_old_names():
    v = tnn.autograd.variable([1.0, 2.0], requires_grad=True)
    assert v.requires_grad and isinstance(v, tnn.autograd.Variable)
    with tnn.autograd.set_multithreading_enabled(False), tnn.autograd.enforce_grad_layout_policy():
        v.sum().backward()
    assert issubclass(tnn.autograd.NestedIOFunction, tnn.autograd.Function)
