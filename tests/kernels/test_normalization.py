"""Normalization kernels against the equations in float64."""

import numpy as np
import pytest

from tnn.kernels import batchnorm as B
from tnn.kernels import local_response as R
from tnn.kernels import normalization as K

NONE = np.empty(0, np.float32)


def draw(*shape, seed=0, shift=0.0):
    return (np.random.default_rng(seed).standard_normal(shape) + shift).astype(np.float32)


def normal(x, axes, eps, center=True):
    x = x.astype(np.float64)
    mean = x.mean(axes, keepdims=True) if center else 0.0
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
    return (x - mean) * rstd, rstd


def gradient(h, xhat, rstd, axes, center=True):
    return rstd * (h - h.mean(axes, keepdims=True) * center - xhat * (h * xhat).mean(axes, keepdims=True))


def check_close(a, b, tol=2e-6):
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1.0, abs(b).max() if b.size else 1.0))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("rows, n", [(3, 5), (300, 700), (5000, 20), (1, 1), (70, 100)])
def test_layer_norm(rows, n, affine, center):
    x, g = draw(rows, n, shift=2.0), draw(rows, n, seed=1)
    w, b = (draw(n, seed=2), draw(n, seed=3)) if affine else (NONE, NONE)
    y, dx, dw, db = np.empty_like(x), np.empty_like(x), np.empty_like(w), np.empty_like(b)
    mean, rstd = np.empty(rows, np.float32), np.empty(rows, np.float32)
    K.layer_norm_forward(x, y, w, b, mean, rstd, 1e-3, center)
    K.layer_norm_backward(g, x, w, mean, rstd, dx, dw, db, center)
    xhat, r = normal(x, 1, 1e-3, center)
    weight = w.astype(np.float64) if affine else 1.0
    check_close(y, xhat * weight + (b if affine else 0))
    check_close(dx, gradient(g * weight, xhat, r, 1, center), 5e-6)
    if affine:
        check_close(dw, (g * xhat).sum(0))
        check_close(db, g.sum(0, dtype=np.float64))
        before = dw.copy()
        K.layer_norm_backward(g, x, w, mean, rstd, NONE.reshape(0, 0), dw, NONE, center)
        np.testing.assert_array_equal(dw, before)


@pytest.mark.parametrize("batch, groups, depth, length", [(2, 3, 2, 5), (2, 2, 3, 1), (4, 8, 4, 400)])
def test_group_norm(batch, groups, depth, length):
    x, g = draw(batch * groups, depth, length, shift=2.0), draw(batch * groups, depth, length, seed=1)
    w, b = draw(groups * depth, seed=2), draw(groups * depth, seed=3)
    rows = batch * groups
    y, dx, dw, db = np.empty_like(x), np.empty_like(x), np.empty_like(w), np.empty_like(w)
    mean, rstd, var = (np.empty(rows, np.float32) for _ in range(3))
    K.group_norm_forward(x, y, w, b, mean, rstd, var, groups, 1e-3)
    K.group_norm_backward(g, x, w, mean, rstd, dx, dw, db, groups)
    xhat, r = normal(x, (1, 2), 1e-3)
    channel = np.tile(w.reshape(groups, depth, 1), (batch, 1, 1)).astype(np.float64)
    check_close(y, xhat * channel + np.tile(b.reshape(groups, depth, 1), (batch, 1, 1)))
    check_close(var, x.astype(np.float64).var((1, 2)))
    check_close(dx, gradient(g * channel, xhat, r, (1, 2)), 5e-6)
    check_close(dw, (g * xhat).reshape(batch, -1, length).sum((0, 2)))
    check_close(db, g.reshape(batch, -1, length).sum((0, 2), dtype=np.float64))
    K.group_norm_forward(x, y, NONE, NONE, mean, rstd, NONE, groups, 1e-3)
    check_close(y, xhat)


@pytest.mark.parametrize(
    "shape", [(6, 3, 1), (6, 3, 5), (6, 3, 40), (3000, 20, 1), (3001, 7, 1), (901, 10, 4), (20, 9, 300), (2, 2, 40000)]
)
def test_batch_norm(shape):
    batch, channels, length = shape
    x, g = draw(*shape, shift=2.0), draw(*shape, seed=1)
    w, b = draw(channels, seed=2), draw(channels, seed=3)
    y, dx = np.empty_like(x), np.empty_like(x)
    mean, rstd, dw, db = (np.empty(channels, np.float32) for _ in range(4))
    running_mean, running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    B.batch_norm_reduce(x, x, mean, rstd, running_mean, running_var, 0.25, 1e-3, False)
    B.batch_norm_apply(x, y, mean, rstd, w, b, False)
    B.batch_norm_reduce(g, x, mean, rstd, dw, db, 0.0, 0.0, True)
    B.batch_norm_backward(g, x, mean, rstd, w, dw, db, dx, True)
    xhat, r = normal(x, (0, 2), 1e-3)
    check_close(running_mean, 0.25 * x.mean((0, 2), dtype=np.float64))
    check_close(running_var, 0.75 + 0.25 * x.astype(np.float64).var((0, 2), ddof=1))
    check_close(y, xhat * w[:, None] + b[:, None])
    check_close(dw, (g * xhat).sum((0, 2)))
    check_close(db, g.sum((0, 2), dtype=np.float64))
    check_close(dx, gradient(g * w[:, None].astype(np.float64), xhat, r, (0, 2)), 5e-6)
    B.batch_norm_backward(g, x, mean, rstd, w, dw, db, dx, False)
    check_close(dx, g * (w[:, None] * r))
    B.batch_norm_rstd(running_var, rstd, 1e-3)
    check_close(rstd, 1 / np.sqrt(running_var + 1e-3))
    B.batch_norm_apply(x, y, running_mean, rstd, NONE, NONE, False)
    check_close(y, (x - running_mean[:, None]) * rstd[:, None])


def test_rows_far_from_zero_keep_their_variance():
    x = (np.arange(64, dtype=np.float32) % 4 + 100000.0).reshape(1, 64)
    y, mean, rstd = np.empty_like(x), np.empty(1, np.float32), np.empty(1, np.float32)
    K.layer_norm_forward(x, y, NONE, NONE, mean, rstd, 0.0, True)
    check_close(y, (x - 100001.5) / np.sqrt(1.25), 1e-6)
    sums = np.empty((2, 1), np.float32)
    x3 = x.reshape(1, 1, 64)
    B.batch_norm_reduce(x3, x3, sums[0], sums[1], NONE, NONE, 0.0, 0.0, False)
    check_close(sums[1], 1 / np.sqrt(np.array([1.25])))


@pytest.mark.parametrize("shape, size, before", [((2, 5, 3), 3, 1), ((2, 4, 300), 4, 2), ((1, 2, 7), 5, 2)])
def test_local_response_norm(shape, size, before):
    x, g = draw(*shape).astype(np.float64), draw(*shape, seed=1).astype(np.float64)
    alpha, beta, k = 0.3, 0.75, 1.5

    def forward(x):
        s = np.empty_like(x)
        for c in range(shape[1]):
            s[:, c] = k + alpha * (x[:, max(0, c - before) : c - before + size] ** 2).sum(1)
        return x * s**-beta, s

    y, s, dx = np.empty(shape), np.empty(shape), np.empty(shape)
    after = size - 1 - before
    R.local_response_forward(x, y, s, before, after, False, alpha, beta, k)
    R.local_response_backward(g, x, s, dx, after, before, alpha, beta)
    np.testing.assert_allclose(y, forward(x)[0], rtol=1e-13)
    np.testing.assert_allclose(s, forward(x)[1], rtol=1e-13)
    for c in range(shape[1]):
        step = np.zeros(shape)
        step[:, c, 0] = 1e-6
        slope = (g * (forward(x + step)[0] - forward(x - step)[0]))[:, :, 0].sum(1) / 2e-6
        np.testing.assert_allclose(dx[:, c, 0], slope, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 5, 1), (3, 5, 4), (500, 40, 2)])
def test_normalize(shape):
    x, g = draw(*shape), draw(*shape, seed=1)
    x[0] *= 1e-4
    y, dx, size = np.empty_like(x), np.empty_like(x), np.empty((shape[0], shape[2]), np.float32)
    K.normalize_forward(x, y, size, 0.01)
    K.normalize_backward(g, y, size, dx, 0.01)
    norm = np.sqrt((x.astype(np.float64) ** 2).sum(1, keepdims=True))
    s = np.maximum(norm, 0.01)
    check_close(y, x / s)
    check_close(dx, (g - (norm > 0.01) * y * (g * y).sum(1, keepdims=True)) / s, 1e-5)


def test_the_place_of_arrays_does_not_change_a_bit():
    memory, results = np.empty(4000, np.float32), set()
    values = draw(6, 20)
    for gap in range(0, 64, 3):
        x, y = memory[:120].reshape(6, 20), memory[120 + gap : 240 + gap].reshape(6, 20)
        x[...] = values
        mean, rstd = np.empty(6, np.float32), np.empty(6, np.float32)
        K.layer_norm_forward(x, y, NONE, NONE, mean, rstd, 1e-3, True)
        results.add(y.tobytes() + rstd.tobytes())
    assert len(results) == 1
