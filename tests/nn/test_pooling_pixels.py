"""Pooling of tensors whose channels lie side by side: the same as of contiguous ones, element by element."""

import numpy as np
import pytest

import tnn
from tnn.nn import functional as F


def both(x):
    """A contiguous tensor and one with its channels last in memory, of the same values; both want gradients."""
    return tnn.tensor(x, requires_grad=True), tnn.tensor(np.moveaxis(x, 1, -1).copy()).movedim(-1, 1).requires_grad_()


def drawn(shape, dtype, seed=0):
    """Integers, of which some are equal, and so that sums and quotients by powers of two are exact."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(dtype)


def pooled(function, x):
    given, turned = both(x)
    y, z = function(given), function(turned)
    assert not z.is_contiguous() or y.numel() == y.shape[0] * y.shape[1]
    seed = drawn(y.shape, x.dtype, 1)
    y.backward(tnn.tensor(seed))
    z.backward(both(seed)[1].detach())
    again = both(x)[1]
    function(again).backward(tnn.tensor(seed))  # a contiguous gradient
    np.testing.assert_array_equal(again.grad.numpy(), turned.grad.numpy())
    with tnn.no_grad():
        np.testing.assert_array_equal(function(turned).numpy(), z.detach().numpy())
    return (y.detach().numpy(), given.grad.numpy()), (z.detach().numpy(), turned.grad.numpy())


MAXIMA = {
    "1d": ((2, 9, 13), lambda x: F.max_pool1d(x, 3, 2, 1)),
    "2": ((3, 16, 8, 8), lambda x: F.max_pool2d(x, 2)),
    "3s1": ((2, 20, 9, 7), lambda x: F.max_pool2d(x, 3, 1, 1)),
    "3s2": ((2, 33, 11, 9), lambda x: F.max_pool2d(x, 3, 2, 1)),
    "3s3": ((2, 16, 11, 9), lambda x: F.max_pool2d(x, 3)),
    "ceil": ((1, 8, 6, 7), lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)),
    "dilated": ((1, 16, 7, 9), lambda x: F.max_pool2d(x, (2, 3), 1, 1, 2)),
    "large": ((1, 16, 20, 20), lambda x: F.max_pool2d(x, 17, 2, 8)),
    "3d": ((2, 16, 4, 6, 5), lambda x: F.max_pool3d(x, 2, 1, 1)),
    "adaptive1d": ((2, 16, 13), lambda x: F.adaptive_max_pool1d(x, 5)),
    "adaptive": ((2, 20, 11, 8), lambda x: F.adaptive_max_pool2d(x, (3, 4))),
    "global": ((1, 256, 33, 40), lambda x: F.adaptive_max_pool2d(x, 1)),
    "adaptive3d": ((2, 16, 4, 6, 5), lambda x: F.adaptive_max_pool3d(x, (2, 4, 1))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MAXIMA)
def test_maxima(name, dtype):
    shape, function = MAXIMA[name]
    x = drawn(shape, dtype)
    x[np.random.default_rng(2).random(shape) < 0.05] = np.nan
    x[np.random.default_rng(3).random(shape) < 0.3] = -np.inf
    for wanted, found in zip(*pooled(function, x), strict=True):
        np.testing.assert_array_equal(found, wanted)


MEANS = {
    "1d": ((2, 9, 13), lambda x: F.avg_pool1d(x, 4, 2, 1)),
    "2": ((3, 16, 8, 8), lambda x: F.avg_pool2d(x, 2)),
    "4s1": ((2, 20, 9, 7), lambda x: F.avg_pool2d(x, 4, 1, 2)),
    "inside": ((2, 33, 11, 9), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
    "divisor": ((2, 16, 11, 9), lambda x: F.avg_pool2d(x, 3, 3, 1, divisor_override=4)),
    "3d": ((2, 16, 4, 6, 5), lambda x: F.avg_pool3d(x, 2, 1, 1)),
    "adaptive1d": ((2, 16, 13), lambda x: F.adaptive_avg_pool1d(x, 5)),
    "adaptive": ((2, 20, 11, 8), lambda x: F.adaptive_avg_pool2d(x, (3, 4))),
    "global": ((1, 256, 33, 40), lambda x: F.adaptive_avg_pool2d(x, 1)),
    "adaptive3d": ((2, 16, 4, 6, 5), lambda x: F.adaptive_avg_pool3d(x, (2, 4, 1))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MEANS)
def test_means(name, dtype):
    for wanted, found in zip(*pooled(MEANS[name][1], drawn(MEANS[name][0], dtype)), strict=True):
        # Sums of shares of up to 8 may be near 0.
        np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", [*MAXIMA, *MEANS])
def test_few_planes_and_many(name):
    shape, function = {**MAXIMA, **MEANS}[name]
    x = drawn((4, 8, *shape[2:]), np.float32)
    many, few = tnn.tensor(x, requires_grad=True), tnn.tensor(x[3:, 5:].copy(), requires_grad=True)
    y, z = function(many), function(few)
    seed = drawn(y.shape, np.float32, 1)
    y.backward(tnn.tensor(seed))
    z.backward(tnn.tensor(seed[3:, 5:].copy()))
    exact = dict(rtol=1e-6, atol=1e-6) if name in MEANS else dict(rtol=0, atol=0)
    np.testing.assert_allclose(y.detach().numpy()[3:, 5:], z.detach().numpy(), **exact)
    np.testing.assert_allclose(many.grad.numpy()[3:, 5:], few.grad.numpy(), **exact)


@pytest.mark.parametrize("pool", [
    lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), lambda x: F.max_pool2d(x, 3, return_indices=True),
    lambda x: F.adaptive_max_pool2d(x, 3, return_indices=True),
])  # fmt: skip
def test_indices(pool):
    given, turned = both(drawn((2, 16, 9, 11), np.float32))
    (y, i), (z, j) = pool(given), pool(turned)
    np.testing.assert_array_equal(z.detach().numpy(), y.detach().numpy())
    np.testing.assert_array_equal(j.numpy(), i.numpy())
    assert j.dtype is tnn.int64


@pytest.mark.parametrize("pool", [
    lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1), lambda x: F.adaptive_max_pool2d(x, 3),
    lambda x: F.adaptive_avg_pool2d(x, 3),
])  # fmt: skip
def test_second_order(pool):
    found = []
    for x in both(drawn((2, 16, 7, 6), np.float64)):
        (g,) = tnn.autograd.grad((pool(x) ** 3).sum(), x, create_graph=True)
        (h,) = tnn.autograd.grad((g ** 2).sum(), x)
        found.append(h.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-13)


def test_number_of_threads_changes_nothing():
    x = np.random.default_rng(0).standard_normal((3, 64, 40, 40)).astype(np.float32)
    results = []
    for threads in (1, 2):
        before = tnn.get_num_threads()
        tnn.set_num_threads(threads)
        try:
            results.append([pooled(f, x)[1] for f in (lambda x: F.avg_pool2d(x, 3, 1, 1),
                                                      lambda x: F.adaptive_avg_pool2d(x, 1))])  # fmt: skip
        finally:
            tnn.set_num_threads(before)
    np.testing.assert_equal(results[0], results[1])
