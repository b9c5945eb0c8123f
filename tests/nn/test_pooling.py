"""Pooling layers: the checks of every layer, plain references, and errors."""

import naive
import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn import functional as F


def distinct(rng, shape):
    """Values that lie apart, so that a step of a difference quotient does not change which one is the largest."""
    n = int(np.prod(shape))
    return rng.permutation(n).reshape(shape) / n - 0.5


CASES = [
    LayerCase("max1d", lambda: nn.MaxPool1d(3, stride=2, padding=1), ((2, 2, 7),), draw=distinct, double=True),
    LayerCase("max2d", lambda: nn.MaxPool2d(2), ((2, 2, 5, 4),), draw=distinct, double=True),
    LayerCase("max2d_odd", lambda: nn.MaxPool2d(2), ((1, 2, 5, 7),), draw=distinct, half=False),
    LayerCase("max2d_ceil", lambda: nn.MaxPool2d(2, ceil_mode=True), ((1, 2, 5, 7),), draw=distinct, half=False),
    LayerCase("avg2d_halves", lambda: nn.AvgPool2d(2), ((1, 2, 5, 7),), half=False),
    LayerCase("avg2d_ceil", lambda: nn.AvgPool2d(2, ceil_mode=True), ((1, 2, 5, 7),), half=False),
    LayerCase("max2d_dilated", lambda: nn.MaxPool2d(2, 1, dilation=2, ceil_mode=True), ((1, 2, 5, 5),), draw=distinct),
    LayerCase("max3d", lambda: nn.MaxPool3d(2, stride=1), ((1, 2, 3, 3, 3),), draw=distinct),
    LayerCase("avg1d", lambda: nn.AvgPool1d(3, stride=2, padding=1), ((2, 2, 7),), double=True),
    LayerCase("avg2d", lambda: nn.AvgPool2d(3, 2, 1, True, False), ((2, 2, 5, 4),), double=True),
    LayerCase("avg3d", lambda: nn.AvgPool3d(2, 1, divisor_override=3), ((1, 2, 3, 3, 3),)),
    LayerCase("lp2d", lambda: nn.LPPool2d(2, 2), ((2, 2, 4, 4),)),
    LayerCase("adaptive_avg2d", lambda: nn.AdaptiveAvgPool2d((3, None)), ((2, 2, 5, 4),), double=True),
    LayerCase("adaptive_avg3d", lambda: nn.AdaptiveAvgPool3d(2), ((1, 2, 3, 4, 5),)),
    LayerCase("adaptive_max1d", lambda: nn.AdaptiveMaxPool1d(3), ((2, 2, 7),), draw=distinct, double=True),
    LayerCase("adaptive_max2d", lambda: nn.AdaptiveMaxPool2d(2), ((2, 2, 5, 4),), draw=distinct),
    LayerCase("fractional2d", lambda: nn.FractionalMaxPool2d(2, output_size=3), ((2, 2, 6, 6),), draw=distinct,
              half=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


@pytest.mark.parametrize("k,s,p,d", [(2, 2, 0, 1), (3, 1, 1, 1), (3, 2, 1, 2), (5, 3, 2, 1)])
def test_max_pool2d_is_the_largest_of_each_window(k, s, p, d):
    x = np.random.RandomState(0).standard_normal((2, 3, 11, 9)).astype(np.float32)
    y, i = F.max_pool2d(tnn.tensor(x), k, s, p, d, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), naive.max_pool2d(x, k, s, p, d))
    found = np.take_along_axis(x.reshape(2, 3, -1), i.numpy().reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(found, y.numpy().reshape(2, 3, -1))


@pytest.mark.parametrize("k,s,p,include", [(2, 2, 0, True), (3, 2, 1, True), (3, 2, 1, False)])
def test_avg_pool2d_is_the_mean_of_each_window(k, s, p, include):
    x = np.random.RandomState(0).standard_normal((2, 3, 11, 9))
    y = F.avg_pool2d(tnn.tensor(x), k, s, p, count_include_pad=include)
    np.testing.assert_allclose(y.numpy(), naive.avg_pool2d(x, k, s, p, include), rtol=1e-12, atol=1e-12)


def test_max_pool_lets_nan_and_infinity_through():
    x = tnn.tensor([[[1.0, float("nan"), 2.0, -float("inf"), -float("inf"), 3.0]]])
    y, i = F.max_pool1d(x, 2, return_indices=True)
    assert np.isnan(y.numpy()[0, 0, 0]) and y.numpy()[0, 0, 1:].tolist() == [2.0, 3.0]
    assert i.tolist() == [[[1, 2, 5]]]
    y, i = F.max_pool1d(tnn.full((1, 1, 2), -float("inf")), 2, return_indices=True)
    assert y.item() == -float("inf") and i.item() == 0


def test_unpooling_inverts_pooling():
    x = tnn.tensor(np.random.RandomState(0).standard_normal((1, 2, 6, 6)))
    y, i = F.max_pool2d(x, 2, return_indices=True)
    z = F.max_unpool2d(y, i, 2)
    assert z.shape == x.shape
    np.testing.assert_array_equal(F.max_pool2d(z, 2).numpy(), np.maximum(y.numpy(), 0))
    assert nn.MaxUnpool2d(2)(y, i, output_size=(1, 2, 7, 7)).shape == (1, 2, 7, 7)


def test_pooling_is_the_same_for_any_number_of_threads():
    x = tnn.tensor(np.random.RandomState(0).standard_normal((4, 8, 40, 40)).astype(np.float32), requires_grad=True)
    results = []
    before = tnn.get_num_threads()
    try:
        for threads in (1, 2):
            tnn.set_num_threads(threads)
            x.grad = None
            y = F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1)
            (y * y).sum().backward()
            results.append((y.detach().numpy().copy(), x.grad.numpy().copy()))
    finally:
        tnn.set_num_threads(before)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda x: F.max_pool2d(x, 0), RuntimeError),
        (lambda x: F.max_pool2d(x, 2, 0), RuntimeError),
        (lambda x: F.max_pool2d(x, 2, padding=2), RuntimeError),
        (lambda x: F.max_pool2d(x, 9), RuntimeError),
        (lambda x: F.max_pool2d(x, "2"), TypeError),
        (lambda x: F.max_pool2d(x.bool(), 2), RuntimeError),
        (lambda x: F.max_pool2d(x[0, 0], 2), RuntimeError),
        (lambda x: F.max_pool2d(x.numpy(), 2), TypeError),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), RuntimeError),
        (lambda x: F.adaptive_avg_pool2d(x, (2, 2, 2)), RuntimeError),
        (lambda x: F.max_unpool2d(x, tnn.full(x.shape, 99), 2), RuntimeError),
        (lambda x: F.max_unpool2d(x, x, 2), RuntimeError),
        (lambda x: F.max_unpool2d(x, tnn.zeros(1, dtype=tnn.int64), 2), RuntimeError),
        (lambda x: F.fractional_max_pool2d(x, 2), ValueError),
        (lambda x: F.fractional_max_pool2d(x, 2, output_size=9), RuntimeError),
        (lambda x: nn.FractionalMaxPool2d(2, output_ratio=2.0), ValueError),
    ],
)
def test_bad_arguments_raise(call, error):
    with pytest.raises(error):
        call(tnn.zeros(1, 2, 4, 4))


def test_integers():
    x = tnn.tensor([[[1, -5, 3, 4], [2, 7, -8, -9]]])
    y, index = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[7, 4]]] and y.dtype is tnn.int64 and index.tolist() == [[[5, 3]]]
    assert F.max_pool2d(x.to(tnn.uint8), 2).dtype is tnn.uint8
    assert F.avg_pool2d(x, 2).tolist() == [[[1, -2]]]
