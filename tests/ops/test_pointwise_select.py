"""where, masked_fill, clamp, lerp, addcmul, addcdiv."""

import math

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck


def leaf(*shape, seed=0):
    return tnn.tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), requires_grad=True)


def both(function, inputs):
    assert gradcheck(function, inputs) and gradgradcheck(function, inputs)


def test_where():
    c = tnn.tensor([[True], [False]])
    x, y = leaf(2, 3), leaf(3, seed=1)
    want = np.where(c.numpy(), x.detach().numpy(), y.detach().numpy())
    np.testing.assert_array_equal(tnn.where(c, x, y).detach().numpy(), want)
    both(lambda a, b: tnn.where(c, a, b), (x, y))
    both(lambda a: tnn.where(c, a, 2.0), (x,))
    assert tnn.where(c, 1, 2).dtype is tnn.int64 and tnn.where(c, 1.0, tnn.tensor([1, 2])).dtype is tnn.float32
    assert tnn.where(c, tnn.tensor([1]), tnn.tensor([2])).tolist() == [[1], [2]]
    assert tnn.where(tnn.tensor([1, 0], dtype=tnn.uint8), 1.0, 2.0).tolist() == [1.0, 2.0]
    assert [t.tolist() for t in tnn.where(c)] == [[0], [0]]
    with pytest.raises(RuntimeError, match="boolean tensor"):
        tnn.where(x, x, x)
    with pytest.raises(TypeError, match="'other'"):
        tnn.where(c, x, "a")
    with pytest.raises(RuntimeError, match="broadcast"):
        tnn.where(c, x, tnn.ones(4))


def test_masked_fill():
    m = tnn.tensor([True, False, True])
    x, v = leaf(2, 3), leaf(seed=1)
    assert x.masked_fill(m, 0.0).detach().numpy()[:, 1].tolist() == x.detach().numpy()[:, 1].tolist()
    both(lambda a, b: a.masked_fill(m, b), (x, v))
    both(lambda a: a.masked_fill(m, -1.0), (x,))
    i = tnn.tensor([1, 2, 3])
    assert i.masked_fill(m, 9).tolist() == [9, 2, 9] and i.masked_fill_(m, 0) is i
    assert tnn.ones(3).bfloat16().masked_fill(m, -math.inf).tolist() == [-math.inf, 1.0, -math.inf]
    for bad, error in (((i, 1), RuntimeError), ((m, tnn.ones(2)), RuntimeError), ((m, "a"), TypeError)):
        with pytest.raises(error, match="masked_fill"):
            x.masked_fill(*bad)
    with pytest.raises(RuntimeError, match="cannot be converted"):
        i.masked_fill(m, math.inf)


def test_clamp_with_numbers():
    x = tnn.tensor([-2.0, 0.5, 3.0, math.nan], requires_grad=True)
    y = x.clamp(-1, 1)
    np.testing.assert_array_equal(y.detach().numpy(), [-1, 0.5, 1, math.nan])
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert x.detach().clamp(2, 1).tolist()[:3] == [1.0, 1.0, 1.0]
    for limits in ((math.nan, 1.0), (-1.0, math.nan), (math.nan, None), (-math.inf, math.nan)):
        assert tnn.isnan(x.detach().clamp(*limits)).all() and tnn.isnan(x.detach().clone().clamp_(*limits)).all()
    assert tnn.clamp_min(tnn.tensor([1, 5]), 3).tolist() == [3, 5] and tnn.clip(tnn.tensor([1, 5]), max=3).tolist() == [
        1,
        3,
    ]
    assert tnn.clamp(tnn.tensor([1, 5]), 1.5).dtype is tnn.float32
    with pytest.raises(RuntimeError, match="must not be None"):
        x.clamp()
    with pytest.raises(TypeError, match="'min'"):
        x.clamp("a")
    with pytest.raises(TypeError, match="'input'"):
        tnn.clamp_max(1, x)


def test_clamp_with_tensors():
    x = tnn.tensor([[-2.0, 0.5, 3.0, 0.7]], dtype=tnn.float64, requires_grad=True)
    low = tnn.tensor([-1.0, -1.0, 2.0, 0.9], dtype=tnn.float64, requires_grad=True)
    high = tnn.tensor([1.0, 1.0, 1.0, 2.0], dtype=tnn.float64, requires_grad=True)
    np.testing.assert_array_equal(x.clamp(low, high).detach().numpy(), [[-1, 0.5, 1, 0.9]])
    both(lambda a, b, c: a.clamp(b, c), (x, low, high))
    both(lambda a, b: a.clamp_min(b), (x, low))
    both(lambda a, b: a.clamp_max(b), (x, high))
    both(lambda a, b: a.clamp(b, 0.8), (x, low))


def test_lerp():
    x, y, w = leaf(2, 3), leaf(3, seed=1), leaf(2, 1, seed=2)
    a, b, c = (t.detach().numpy() for t in (x, y, w))
    np.testing.assert_allclose(tnn.lerp(x, y, w).detach().numpy(), a + c * (b - a), rtol=1e-14)
    both(tnn.lerp, (x, y, w))
    both(lambda a, b: a.lerp(b, 0.7), (x, y))
    assert tnn.lerp(x, y, 1.0).tolist()[0] == y.tolist()
    with pytest.raises(RuntimeError, match="expected dtype"):
        tnn.lerp(x, y.float(), 0.5)
    with pytest.raises(NotImplementedError, match="lerp"):
        tnn.lerp(tnn.tensor([1]), tnn.tensor([2]), 0.5)


def test_addcmul_and_addcdiv():
    x, y, z = leaf(2, 3), leaf(3, seed=1), leaf(2, 1, seed=2)
    a, b, c = (t.detach().numpy() for t in (x, y, z))
    np.testing.assert_allclose(tnn.addcmul(x, y, z, value=0.5).detach().numpy(), a + 0.5 * b * c, rtol=1e-14)
    np.testing.assert_allclose(tnn.addcdiv(x, y, z, value=0.5).detach().numpy(), a + 0.5 * b / c, rtol=1e-14)
    for function in (tnn.addcmul, tnn.addcdiv):
        both(lambda s, t, u, f=function: f(s, t, u, value=0.5), (x, y, z))
        half = function(x.detach().bfloat16(), y.detach().bfloat16(), z.detach().bfloat16())
        assert half.dtype is tnn.bfloat16
    i = tnn.tensor([1, 2])
    assert tnn.addcmul(i, i, i, value=3).tolist() == [4, 14]
    with pytest.raises(RuntimeError, match="Integer division"):
        tnn.addcdiv(tnn.ones(2), i, i)
    with pytest.raises(RuntimeError, match="value"):
        tnn.addcmul(i, i, i, value=0.5)
    with pytest.raises(TypeError, match="'tensor1'"):
        tnn.addcmul(x, 1.0, y)
    t = tnn.ones(2)
    assert t.addcmul_(t, t, value=2) is t and t.tolist() == [3.0, 3.0]


def test_masked_fill_cuts_the_value_to_the_dtype():
    mask = tnn.tensor([True, False])
    fill = [(tnn.bool, 10, True), (tnn.bool, 0.5, True), (tnn.int64, 2.5, 2), (tnn.uint8, -1, 255)]
    for dtype, value, expected in fill:
        assert tnn.zeros(2, dtype=dtype).masked_fill(mask, value).tolist() == [expected, 0]
    for value in (300, 1e30, math.nan):
        with pytest.raises(RuntimeError, match="without overflow"):
            tnn.zeros(2, dtype=tnn.uint8).masked_fill(mask, value)


def test_clamp_gradient_of_nan():
    x = tnn.tensor([-1.0, 0.5, math.nan, 2.0], requires_grad=True)
    calls = {
        "ClampBackward1": x.clamp(0.0, 1.0), "ClampMinBackward0": x.clamp_min(0.0),
        "ClampMaxBackward0": x.clamp_max(1.0),
        "ClampBackward0": x.clamp(tnn.zeros(4), tnn.ones(4)), "ClampMinBackward1": tnn.clamp_min(x, tnn.zeros(4)),
        "ClampMaxBackward1": tnn.clamp_max(x, tnn.ones(4)),
    }  # fmt: skip
    for name, y in calls.items():
        assert y.grad_fn.name() == name and math.isnan(y[2].item())
        (g,) = tnn.autograd.grad(y.sum(), x)
        assert g.tolist() == [float("Max" in name), 1.0, 0.0, float("Min" in name)]
