"""Sliding blocks: against loops, against each other, gradients, errors."""

import itertools

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck
from tnn.nn import functional as F

CASES = [
    # shape, kernel, dilation, padding, stride
    ((2, 3, 5, 6), (2, 3), (1, 1), (0, 0), (1, 1)),
    ((1, 2, 7, 5), (3, 2), (2, 1), (1, 2), (2, 3)),
    ((2, 1, 4, 4), (4, 4), (1, 1), (2, 1), (3, 1)),
    ((3, 40, 12, 12), (3, 3), (1, 1), (1, 1), (1, 1)),
]


def blocks(size, kernel, dilation, padding, stride):
    zipped = zip(size, kernel, dilation, padding, stride, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zipped)


def plain_unfold(x, kernel, dilation, padding, stride):
    n, c, h, w = x.shape
    rows, cols = blocks((h, w), kernel, dilation, padding, stride)
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    out = np.empty((n, c, *kernel, rows, cols), x.dtype)
    for i, j, a, b in itertools.product(*map(range, (*kernel, rows, cols))):
        out[:, :, i, j, a, b] = x[:, :, a * stride[0] + i * dilation[0], b * stride[1] + j * dilation[1]]
    return out.reshape(n, c * kernel[0] * kernel[1], rows * cols)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_values(case, dtype):
    shape, *window = case
    x = tnn.tensor(np.random.RandomState(0).uniform(-1, 1, shape).astype(dtype))
    col = F.unfold(x, *window)
    np.testing.assert_array_equal(col.numpy(), plain_unfold(x.numpy(), *window))
    np.testing.assert_array_equal(F.unfold(x[0], *window).numpy(), col[0].numpy())
    # fold adds each element as often as a block reads it
    counts = F.fold(tnn.ones_like(col), shape[2:], *window)
    np.testing.assert_allclose(F.fold(col, shape[2:], *window).numpy(), (counts * x).numpy(), rtol=1e-5)
    image = F.fold(col, shape[2:], *window)[0]
    np.testing.assert_array_equal(F.fold(col[0], shape[2:], *window).numpy(), image.numpy())


@pytest.mark.parametrize("case", CASES[1:3])
def test_gradients(case):
    shape, *window = case
    x = tnn.tensor(np.random.RandomState(0).uniform(-1, 1, shape), requires_grad=True)
    gradcheck(lambda t: F.unfold(t, *window), x)
    gradgradcheck(lambda t: F.unfold(t, *window) ** 2, x)
    col = F.unfold(x, *window).detach().requires_grad_()
    gradcheck(lambda t: F.fold(t, shape[2:], *window), col)


def test_layouts_and_empty_batch():
    x = tnn.tensor(np.random.RandomState(0).uniform(-1, 1, (5, 6, 3, 2))).permute(3, 2, 0, 1)
    np.testing.assert_array_equal(F.unfold(x, 2).numpy(), F.unfold(x.contiguous(), 2).numpy())
    assert F.unfold(tnn.zeros(0, 3, 5, 5), 3).shape == (0, 27, 9)
    assert F.fold(tnn.zeros(0, 27, 9), 5, 3).shape == (0, 3, 5, 5)


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: F.unfold(tnn.ones(5, 5), 2), RuntimeError, "Expected 3D or 4D"),
        (lambda: F.unfold(tnn.ones(1, 2, 3, 3), 4), RuntimeError, "at least one"),
        (lambda: F.unfold(tnn.ones(1, 2, 3, 3), 0), RuntimeError, "kernel size should be greater than zero"),
        (lambda: F.unfold(tnn.ones(1, 2, 3, 3), 2, stride=-1), RuntimeError, "stride should be greater than zero"),
        (lambda: F.unfold(tnn.ones(1, 2, 3, 3), 2, padding=-1), RuntimeError, "padding should be non-negative"),
        (lambda: F.unfold(tnn.ones(1, 2, 3, 3), "a"), TypeError, "must be tuple of ints"),
        (lambda: F.fold(tnn.ones(1, 5, 9), 4, 2), RuntimeError, "divisible by the product of kernel_size"),
        (lambda: F.fold(tnn.ones(1, 8, 8), 4, 2), RuntimeError, "match the number of sliding blocks"),
        (lambda: F.fold(tnn.ones(8), 4, 2), RuntimeError, "Expected 2D or 3D"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_unfold_of_bool():
    x = tnn.eye(3, dtype=tnn.bool)[None]
    assert F.unfold(x, 2).dtype is tnn.bool and F.unfold(x, 2)[:, 0].tolist() == [True, False, False, True]
