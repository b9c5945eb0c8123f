"""Derivatives as functions, maps over a batch, ensembles. Numbers are PyTorch 2.13's where no formula gives them."""

import math

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
    vmap,
)

X = tnn.tensor([0.3, -0.7, 1.1], dtype=tnn.float64)
A = tnn.tensor([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]], dtype=tnn.float64)


def test_grad():
    assert grad(lambda x: x.sin())(tnn.tensor(0.0)).item() == 1
    assert grad(grad(grad(lambda x: x**4)))(tnn.tensor(2.0)).item() == 48
    both, value = grad_and_value(lambda x, y: x * y * y, argnums=(0, 1))(tnn.tensor(2.0), tnn.tensor(3.0))
    assert [t.item() for t in both] == [9, 12] and value.item() == 18
    found, aux = grad(lambda p: (p["a"] * p["b"][0], "aux"), has_aux=True)(
        {"a": tnn.tensor(2.0), "b": [tnn.tensor(5.0)]}
    )
    assert found["a"].item() == 5 and found["b"][0].item() == 2 and aux == "aux"
    assert grad(lambda x, *, k: x * k)(tnn.tensor(2.0), k=3).item() == 3
    assert grad(lambda x, y: y * 1.0, argnums=0)(tnn.tensor(2.0), tnn.tensor(1.0)).item() == 0


def test_what_leaves_is_on_the_callers_tape_alone():
    x, w = tnn.tensor(2.0), tnn.tensor(3.0, requires_grad=True)
    assert not grad(lambda x: x * x)(x).requires_grad and x.grad is None and not x.requires_grad
    found = grad(lambda x: w * x * x)(x)  # the function holds a tensor that the caller differentiates by
    found.backward()
    assert w.grad.item() == 4
    g = grad(lambda y: y**3)(w)
    assert tnn.autograd.grad(g, w)[0].item() == 18
    assert grad(lambda x: grad(lambda y: x * x * y)(tnn.tensor(1.0)))(tnn.tensor(5.0)).item() == 10
    with tnn.no_grad():
        assert not grad(lambda x: w * x)(x).requires_grad


def test_products_with_vectors():
    output, back = vjp(lambda x: (A @ x).tanh(), X)
    jacobian = (1 - np.tanh(A.numpy() @ X.numpy()) ** 2)[:, None] * A.numpy()
    v, u = tnn.tensor([1.0, -2.0], dtype=tnn.float64), tnn.tensor([0.5, 2.0, 1.0], dtype=tnn.float64)
    (found,) = back(v)
    np.testing.assert_allclose(found.numpy(), v.numpy() @ jacobian)
    output, tangent = jvp(lambda x: (A @ x).tanh(), (X,), (u,))
    np.testing.assert_allclose(tangent.numpy(), jacobian @ u.numpy())
    again, along = linearize(lambda x: (A @ x).tanh(), X)
    np.testing.assert_allclose(along(u).numpy(), tangent.numpy())
    np.testing.assert_allclose(again.numpy(), output.numpy())
    out, back, aux = vjp(lambda x, y: ({"s": x * y}, 7), X, X, has_aux=True)
    assert aux == 7 and [t.tolist() for t in back({"s": tnn.ones_like(X)})] == [X.tolist(), X.tolist()]
    value, tangent, aux = jvp(lambda x: (x[0] * 2, x), (X,), (u,), has_aux=True)
    assert tangent.item() == 1 and aux.tolist() == X.tolist()
    assert jvp(lambda x: tnn.ones(2), (X,), (u,))[1].tolist() == [0, 0]


def test_jacobians():
    jacobian = (1 - np.tanh(A.numpy() @ X.numpy()) ** 2)[:, None] * A.numpy()
    for transform in (jacrev, jacfwd):
        np.testing.assert_allclose(transform(lambda x: (A @ x).tanh())(X).numpy(), jacobian)
    found, aux = jacrev(lambda p, s: ((p["x"] * s, p["x"].sum()), "aux"), argnums=(0, 1), has_aux=True)(
        {"x": X}, tnn.tensor(2.0, dtype=tnn.float64)
    )
    assert aux == "aux" and [[tuple(f[0]["x"].shape), tuple(f[1].shape)] for f in found] == [
        [(3, 3), (3,)], [(3,), ()],
    ]  # fmt: skip
    np.testing.assert_allclose(hessian(lambda x: (x**3).sum())(X).numpy(), np.diag(6 * X.numpy()))
    blocks = hessian(lambda x, y: (x * y * y).sum(), argnums=(0, 1))(X, X)
    np.testing.assert_allclose(blocks[1][0].numpy(), np.diag(2 * X.numpy()))
    assert jacrev(lambda x: x[:0])(X).shape == (0, 3)


def test_vmap():
    x = tnn.arange(6.0).reshape(3, 2)
    assert vmap(tnn.dot)(x, x).tolist() == [1, 13, 41]
    assert vmap(tnn.dot, in_dims=(1, None))(x, tnn.tensor([1.0, 0, 1])).tolist() == [4, 6]
    assert vmap(lambda r, s: (r * 2, {"s": r + s["k"]}), in_dims=(0, {"k": None}), out_dims=(1, 0))(
        x, {"k": tnn.ones(2)}
    )[0].shape == (2, 3)
    assert vmap(lambda a, b: a + b, in_dims=(-1, 0))(x, tnn.zeros(2)).shape == (2, 3)
    assert vmap(vmap(lambda a: a * a))(x).tolist() == (x * x).tolist()
    assert vmap(lambda a, scale: a * scale, in_dims=(0, None))(x, 2.0).tolist() == (x * 2).tolist()
    assert vmap(lambda a, k=None: a + k)(x, k=x).tolist() == (x * 2).tolist()
    assert vmap(lambda a: a.sum(), chunk_size=2)(tnn.zeros(0, 4)).shape == (0,)
    assert tnn.vmap(lambda a: (a, tnn.ones(1)), out_dims=(0, None))(x)[1].shape == (1,)


def test_randomness_of_vmap():
    x = tnn.zeros(4)
    same = vmap(lambda a: a + tnn.rand(()), randomness="same")(x)
    different = vmap(lambda a: a + tnn.rand(()), randomness="different")(x)
    assert len(set(same.tolist())) == 1 and len(set(different.tolist())) == 4
    with pytest.raises(RuntimeError, match="random operation"):
        vmap(lambda a: a + tnn.rand(()))(x)


def test_gradients_of_each_sample():
    tnn.manual_seed(0)
    model, x, t = nn.Linear(3, 2), tnn.randn(4, 3), tnn.tensor([0, 1, 1, 0])
    parameters = {n: p.detach() for n, p in model.named_parameters()}

    def loss(p, x, t):
        return nn.functional.cross_entropy(functional_call(model, p, (x[None],)), t[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, x, t)
    assert found["weight"].shape == (4, 2, 3)
    nn.functional.cross_entropy(model(x), t).backward()
    np.testing.assert_allclose(found["weight"].mean(0).numpy(), model.weight.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_ensembles():
    models = [nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval() for _ in range(3)]
    parameters, buffers = stack_module_state(models)
    assert parameters["0.weight"].is_leaf and parameters["0.weight"].requires_grad
    assert buffers["1.running_mean"].shape == (3, 2) and not buffers["1.running_mean"].requires_grad
    x = tnn.randn(5, 3)
    out = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    np.testing.assert_allclose(out.detach().numpy(), tnn.stack([m(x) for m in models]).detach().numpy(), rtol=1e-5)
    out.sum().backward()
    assert parameters["0.weight"].grad.shape == (3, 2, 3)
    assert replace_all_batch_norm_modules_(models[0])[1].running_var is None
    with pytest.raises(RuntimeError, match="same class"):
        stack_module_state([nn.Linear(1, 1), nn.Bilinear(1, 1, 1)])
    with pytest.raises(RuntimeError, match="training/eval"):
        stack_module_state([nn.Linear(1, 1), nn.Linear(1, 1).eval()])


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda x: grad(lambda x: x)(x), RuntimeError),
        (lambda x: grad(lambda x: (x.sum(), x.sum()))(x), RuntimeError),
        (lambda x: grad(lambda x: x.sum(), argnums=1)(x), RuntimeError),
        (lambda x: grad(lambda x: x.sum(), argnums=(0, 0))(x), RuntimeError),
        (lambda x: grad(lambda x: x.sum())(x.long()), RuntimeError),
        (lambda x: grad(lambda x: x.sum())(2.0), RuntimeError),
        (lambda x: grad(lambda x: 2.0)(x), RuntimeError),
        (lambda x: grad(lambda x: x.sum(), has_aux=True)(x), RuntimeError),
        (lambda x: vjp(lambda x: x, x)[1](tnn.ones(2)), RuntimeError),
        (lambda x: vjp(lambda x: x, x)[1]((x, x)), RuntimeError),
        (lambda x: jvp(lambda x: x, x, x), RuntimeError),
        (lambda x: jvp(lambda x: x, (x,), (tnn.ones(2),)), RuntimeError),
        (lambda x: linearize(lambda: 0), RuntimeError),
        (lambda x: vmap(lambda x: x)(), ValueError),
        (lambda x: vmap(lambda x: x, in_dims=None)(x), ValueError),
        (lambda x: vmap(lambda x: x, in_dims=1)(x), ValueError),
        (lambda x: vmap(lambda x: x, in_dims=(0, 0))(x), ValueError),
        (lambda x: vmap(lambda x, y: x)(x, tnn.ones(2)), ValueError),
        (lambda x: vmap(lambda x: 1.0)(x), ValueError),
        (lambda x: vmap(lambda x: x, out_dims=2)(x), ValueError),
        (lambda x: vmap(lambda x: x, chunk_size=0), ValueError),
        (lambda x: vmap(lambda x: x, randomness="none"), RuntimeError),
        (lambda x: functionalize(lambda x: x, remove="views"), RuntimeError),
        (lambda x: replace_all_batch_norm_modules_(x), TypeError),
        (lambda x: stack_module_state([]), RuntimeError),
    ],
)
def test_bad_arguments(call, error):
    with pytest.raises(error):
        call(tnn.ones(3))


def test_a_function_of_its_own_derivative():
    """The pendulum's x'' = -sin(x) from its Lagrangian, by Euler and Lagrange."""

    def lagrangian(x, v):
        return 0.5 * v * v + x.cos()

    def acceleration(x, v):
        mass = grad(grad(lagrangian, 1), 1)(x, v)
        return (grad(lagrangian, 0)(x, v) - grad(grad(lagrangian, 1), 0)(x, v) * v) / mass

    assert acceleration(tnn.tensor(0.5), tnn.tensor(2.0)).item() == pytest.approx(-math.sin(0.5), rel=1e-6)
