"""Comparisons, logical and bitwise operations."""

import math

import numpy as np
import pytest

import tnn

COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    x = np.array([[1.0, 2.0, math.nan, -math.inf]])
    y = np.array([[1.0], [2.0], [math.inf]])
    reference = COMPARISONS[name]
    for kind in (np.float64, np.float32):
        a, b = tnn.tensor(x.astype(kind)), tnn.tensor(y.astype(kind))
        out = getattr(tnn, name)(a, b)
        assert out.dtype is tnn.bool
        np.testing.assert_array_equal(out.numpy(), reference(x, y))
        np.testing.assert_array_equal(getattr(a, name)(2).numpy(), reference(x, 2))
    i = tnn.tensor([1, 2, 3])
    np.testing.assert_array_equal(getattr(tnn, name)(i, 2.5).numpy(), reference([1, 2, 3], 2.5))
    np.testing.assert_array_equal(
        getattr(tnn, name)(i, tnn.tensor([1, 1, 9], dtype=tnn.int8)).numpy(), reference([1, 2, 3], [1, 1, 9])
    )
    h = tnn.tensor([1.0, 2.0]).bfloat16()
    np.testing.assert_array_equal(getattr(tnn, name)(h, 1.0).numpy(), reference([1, 2], 1))
    with pytest.raises(TypeError, match="'input'"):
        getattr(tnn, name)(1, i)


def test_operators():
    x = tnn.tensor([1.0, 2.0])
    assert (x == 1).tolist() == [True, False] and (x != 1).tolist() == [False, True]
    assert (2 > x).tolist() == [True, False] and (x >= 2).tolist() == [False, True]
    assert (x == None) is False and (x != "a") is True  # noqa: E711
    with pytest.raises(TypeError):
        sorted([x, "a"])
    a, b = tnn.tensor([True, True, False]), tnn.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False] and (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False] and (~a).tolist() == [False, False, True]
    i = tnn.tensor([6, -5])
    assert (i & 3).tolist() == [2, 3] and (3 | i).tolist() == [7, -5] and (3 ^ i).tolist() == [5, -8]
    assert (i << 2).tolist() == [24, -20] and (i >> 1).tolist() == [3, -3] and (~i).tolist() == [-7, 4]
    i &= 7
    i |= 8
    i <<= 1
    assert i.tolist() == [28, 22]
    for bad in (lambda: x & x, lambda: ~x, lambda: x << 1):
        with pytest.raises(NotImplementedError):
            bad()


def test_shifts_beyond_the_width():
    x = tnn.tensor([1, -1, 127], dtype=tnn.int8)
    assert (x << 9).tolist() == [0, 0, 0] and (x >> 9).tolist() == [0, -1, 0]
    assert (x << 1).tolist() == [2, -2, -2]


def test_logical():
    x, y = tnn.tensor([0.0, 2.0, math.nan]), tnn.tensor([1, 0, 1])
    assert tnn.logical_and(x, y).tolist() == [False, False, True]
    assert tnn.logical_or(x, y).tolist() == [True, True, True]
    assert tnn.logical_xor(x, y).tolist() == [True, True, False]
    out = tnn.empty(3, dtype=tnn.bool)
    assert tnn.logical_and(x, y, out=out) is out
    with pytest.raises(TypeError):
        tnn.logical_and(x, 1)
    with pytest.raises(RuntimeError):
        tnn.logical_or(tnn.ones(2), tnn.ones(3))


def test_closeness():
    x = tnn.tensor([1.0, math.nan, math.inf, -math.inf, 1.0])
    y = tnn.tensor([1.0 + 5e-6, math.nan, math.inf, math.inf, 1.1])
    assert tnn.isclose(x, y).tolist() == [True, False, True, False, False]
    assert tnn.isclose(x, y, equal_nan=True).tolist() == [True, True, True, False, False]
    assert tnn.isclose(tnn.tensor([10]), tnn.tensor([11]), atol=1).tolist() == [True]
    assert tnn.allclose(x[:1], y[:1]) is True and tnn.allclose(x[:1], y[:1], rtol=0, atol=1e-8) is False
    assert tnn.equal(x[2:], x[2:]) is True and tnn.equal(x, x) is False and tnn.equal(x, x[:2]) is False
    with pytest.raises(RuntimeError, match="did not match"):
        tnn.isclose(x, x.double())
    with pytest.raises(RuntimeError, match="negative"):
        tnn.isclose(x, y, rtol=-1)
    with pytest.raises(TypeError):
        tnn.equal(x, 1.0)
