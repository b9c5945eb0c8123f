"""The fused weight normalisation against its formula, and its gradients."""

import numpy as np
import pytest

import tnn
from tnn.ops.weight_norm import norm_except_dim, weight_norm

rng = np.random.default_rng(0)


def expected(v, g, dim):
    axes = None if dim == -1 else tuple(d for d in range(v.ndim) if d != dim)
    return v * (g / np.sqrt((v * v).sum(axis=axes, keepdims=dim != -1)))


def operands(shape, dim):
    v = rng.standard_normal(shape)
    g = rng.standard_normal(() if dim == -1 else [n if d == dim else 1 for d, n in enumerate(shape)])
    return v, g


@pytest.mark.parametrize("shape, dim", [((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((3, 4), -1), ((5,), 0)])
def test_forward_and_gradients(shape, dim):
    v, g = operands(shape, dim)
    np.testing.assert_allclose(weight_norm(tnn.tensor(v), tnn.tensor(g), dim).numpy(), expected(v, g, dim), rtol=1e-12)
    inputs = [tnn.tensor(a, requires_grad=True) for a in (v, g)]
    assert tnn.autograd.gradcheck(lambda v, g: weight_norm(v, g, dim), inputs)
    if shape == (3, 4):
        assert tnn.autograd.gradgradcheck(lambda v, g: weight_norm(v, g, dim), inputs)


@pytest.mark.parametrize("shape, dim", [((300, 200), 0), ((300, 200), 1), ((20, 70, 40), 1), ((300, 200), -1)])
def test_large_arrays_are_cut_into_blocks(shape, dim):
    v, g = operands(shape, dim)
    a, b = tnn.tensor(v, requires_grad=True), tnn.tensor(g, requires_grad=True)
    w = weight_norm(a, b, dim)
    np.testing.assert_allclose(w.detach().numpy(), expected(v, g, dim), rtol=1e-12)
    cotangent = tnn.tensor(rng.standard_normal(shape))
    w.backward(cotangent)
    c, d = tnn.tensor(v, requires_grad=True), tnn.tensor(g, requires_grad=True)
    (c * (d / norm_except_dim(c, 2, dim))).backward(cotangent)
    np.testing.assert_allclose(a.grad.numpy(), c.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), d.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_views_and_other_dtypes():
    v, g = operands((3, 4), 1)
    a, b = tnn.tensor(v), tnn.tensor(g)
    np.testing.assert_allclose(weight_norm(a.t(), b.t(), 0).numpy(), expected(v, g, 1).T, rtol=1e-12)
    half = weight_norm(a.half(), b.half(), 1)
    assert half.dtype is tnn.float16
    np.testing.assert_allclose(half.float().numpy(), expected(v, g, 1), rtol=2e-2, atol=1e-2)
    with pytest.raises(IndexError):
        weight_norm(a, b, 2)
