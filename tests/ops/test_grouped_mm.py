"""Grouped products of matrices."""

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F

rng = np.random.RandomState(0)


def _t(*shape):
    return tnn.tensor(rng.uniform(-1, 1, shape).astype(np.float32), requires_grad=True)


def _offs(*ends):
    return tnn.tensor(ends, dtype=tnn.int32)


def test_values_and_gradients():
    a, b = _t(6, 3), _t(2, 3, 4)
    y = F.grouped_mm(a, b, offs=_offs(2, 5))
    want = np.zeros((6, 4), np.float32)
    want[:2] = a.detach().numpy()[:2] @ b.detach().numpy()[0]
    want[2:5] = a.detach().numpy()[2:5] @ b.detach().numpy()[1]
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-5, atol=1e-6)
    y.sum().backward()
    rows = b.detach().numpy().sum(2)
    np.testing.assert_allclose(a.grad.numpy(), [*rows[[0, 0, 1, 1, 1]], [0, 0, 0]], rtol=1e-5)
    p, q = _t(2, 5, 3), _t(3, 6)
    y = F.grouped_mm(p, q, offs=_offs(4, 6)).detach().numpy()
    np.testing.assert_allclose(y[:, :4], p.detach().numpy()[0] @ q.detach().numpy()[:, :4], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[:, 4:], p.detach().numpy()[1] @ q.detach().numpy()[:, 4:], rtol=1e-5, atol=1e-6)
    u, v = _t(2, 6), _t(6, 4)
    y = F.grouped_mm(u, v, offs=_offs(1, 1, 6)).detach().numpy()
    assert y.shape == (3, 2, 4) and not y[1].any()
    np.testing.assert_allclose(y[0] + y[2], u.detach().numpy() @ v.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert F.grouped_mm(p, _t(2, 3, 4)).shape == (2, 5, 4)
    assert F.grouped_mm(a.bfloat16(), b.bfloat16(), offs=_offs(2, 5)).dtype is tnn.bfloat16


def test_errors():
    a, b = _t(6, 3), _t(2, 3, 4)
    for kwargs, message in (
        ({}, "Have to provide offsets"),
        (dict(offs=tnn.tensor([2, 5])), "int32"),
        (dict(offs=_offs(2, 7)), "within 6"),
        (dict(offs=_offs(3, 2)), "must not fall"),
        (dict(offs=_offs(1, 2, 3)), "batch sizes"),
        (dict(offs=_offs(2, 5), bias=b), "Bias"),
        (dict(offs=_offs(2, 5), out_dtype=tnn.bfloat16), "output dtype"),
    ):
        with pytest.raises(RuntimeError, match=message):
            F.grouped_mm(a, b, **kwargs)
    with pytest.raises(RuntimeError, match="one dtype"):
        F.grouped_mm(a.double(), b.double(), offs=_offs(2, 5))
    with pytest.raises(RuntimeError, match="contraction dimension"):
        F.grouped_mm(a, _t(2, 2, 4), offs=_offs(2, 5))
    with pytest.raises(TypeError, match="'mat_a'"):
        F.grouped_mm("a", b)
