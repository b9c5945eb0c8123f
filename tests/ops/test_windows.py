"""Windows, numerical derivatives, special functions, and functions that PyTorch has a second time. Numbers without a
formula are PyTorch 2.13's."""

import numpy as np
import pytest

import tnn
from tnn.nn import functional as F

A = [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    "call,want",
    [
        (lambda: tnn.hann_window(5), [0.0, 0.345492, 0.904508, 0.904508, 0.345492]),
        (lambda: tnn.hann_window(5, False), [0, 0.5, 1, 0.5, 0]),
        (lambda: tnn.hamming_window(4), [0.08, 0.54, 1, 0.54]),
        (lambda: tnn.hamming_window(4, True, 0.5, 0.5), [0, 0.5, 1, 0.5]),
        (lambda: tnn.blackman_window(4), [0, 0.34, 1, 0.34]),
        (lambda: tnn.bartlett_window(5), [0, 0.4, 0.8, 0.8, 0.4]),
        (lambda: tnn.bartlett_window(4, False), [0, 2 / 3, 2 / 3, 0]),
        (lambda: tnn.kaiser_window(4), [5.2773e-05, 0.21567, 1, 0.21567]),
        (lambda: tnn.kaiser_window(4, False, 3.0), [0.2049, 0.87118, 0.87118, 0.2049]),
    ],
)
def test_windows(call, want):
    assert call().dtype is tnn.float32
    np.testing.assert_allclose(call().tolist(), want, rtol=1e-4, atol=1e-7)


def test_short_windows_and_errors():
    for name in ("hann", "hamming", "blackman", "bartlett", "kaiser"):
        make = getattr(tnn, name + "_window")
        assert make(0).shape == (0,) and make(1).tolist() == [1.0]
        assert make(3, dtype=tnn.float64, requires_grad=True).requires_grad
        with pytest.raises(RuntimeError, match="non-negative"):
            make(-1)
        with pytest.raises(RuntimeError, match="floating point"):
            make(3, dtype=tnn.int64)


def test_gradient():
    a, uneven = tnn.tensor(A), tnn.tensor([0.0, 1, 3, 4])
    for kwargs, want in (
        ({}, [1, 1.5, 3, 4]),
        ({"spacing": 2.0}, [0.5, 0.75, 1.5, 2]),
        ({"spacing": (uneven,)}, [1, 1, 3, 4]),
        ({"edge_order": 2}, [0.5, 1.5, 3, 5]),
        ({"spacing": (uneven,), "edge_order": 2}, [1, 1, 3, 5]),
    ):
        np.testing.assert_allclose(tnn.gradient(a, **kwargs)[0].tolist(), want, rtol=1e-6)
    rows, columns = tnn.gradient(a.reshape(2, 2).long())
    assert rows.tolist() == [[3, 6], [3, 6]] and columns.tolist() == [[1, 1], [4, 4]]
    x = np.cumsum(np.random.RandomState(0).uniform(0.5, 1, (4, 5)), 1)
    (got,) = tnn.gradient(tnn.tensor(x), spacing=[tnn.tensor(x[0])], dim=1, edge_order=2)
    np.testing.assert_allclose(got.numpy(), np.gradient(x, x[0], axis=1, edge_order=2), rtol=1e-10)
    assert tnn.autograd.gradgradcheck(
        lambda x: tnn.gradient(x, edge_order=2), (tnn.tensor(x[:3, :3], requires_grad=True),)
    )
    for kwargs in ({"edge_order": 3}, {"spacing": (1.0, 2.0)}, {"spacing": (uneven[:3],)}):
        with pytest.raises(RuntimeError, match="gradient"):
            tnn.gradient(a, **kwargs)
    with pytest.raises(RuntimeError, match="edge_order"):
        tnn.gradient(a[:2], edge_order=2)


def test_special_functions():
    x = tnn.tensor([-0.5, 0.25, 2.0], dtype=tnn.float64)
    np.testing.assert_allclose(tnn.special.ndtr(x).tolist(), [0.3085375387, 0.5987063257, 0.9772498681], rtol=1e-8)
    np.testing.assert_allclose(tnn.special.ndtri(tnn.special.ndtr(x)).tolist(), x.tolist(), rtol=1e-8)
    assert tnn.special.entr(x).tolist() == [-np.inf, -0.25 * np.log(0.25), -2 * np.log(2.0)]
    assert all(hasattr(tnn.special, name) for name in tnn.special.__all__)
    positive = tnn.tensor([0.25, 0.75], dtype=tnn.float64, requires_grad=True)
    for f in (tnn.special.entr, tnn.special.ndtr, tnn.special.ndtri):
        assert tnn.autograd.gradcheck(f, (positive,))


def test_functions_with_arguments_by_position():
    x, w, b = tnn.randn(2, 4, 3), tnn.rand(4), tnn.rand(4)
    m, v = tnn.zeros(4), tnn.ones(4)
    im, grid, t = tnn.randn(1, 2, 3, 3), tnn.rand(1, 2, 2, 2), tnn.rand(2, 4, 3)
    same = [
        (tnn.layer_norm(x, (3,), None, None, 1e-5, True), F.layer_norm(x, (3,))),
        (tnn.rms_norm(x, (3,)), F.rms_norm(x, (3,))),
        (tnn.group_norm(x, 2, w, b, 1e-5, True), F.group_norm(x, 2, w, b)),
        (tnn.batch_norm(x, w, b, m, v, False, 0.1, 1e-5, False), F.batch_norm(x, m, v, w, b)),
        (tnn.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, False), F.instance_norm(x, None, None, w, b)),
        (tnn.kl_div(x, t, 2), F.kl_div(x, t, reduction="sum")),
        (tnn.poisson_nll_loss(x, t, True, False, 1e-8, 0), F.poisson_nll_loss(x, t, reduction="none")),
        (tnn.binary_cross_entropy_with_logits(x, t), F.binary_cross_entropy_with_logits(x, t)),
        (tnn.grid_sampler(im, grid, 1, 2, False), F.grid_sample(im, grid, "nearest", "reflection", False)),
        (tnn.constant_pad_nd(x, (1, 0), 2.0), F.pad(x, (1, 0), value=2.0)),
        (tnn.convolution(x, x[:, :, :2], None, 1, 0, 1, False, 0, 1), F.conv1d(x, x[:, :, :2])),
        (tnn.convolution(x, x[0, :, None], None, 2, 0, 1, True, 1, 1),
         F.conv_transpose1d(x, x[0, :, None], None, 2, 0, 1)),
        (tnn.affine_grid_generator(im[:, 0, :2], (1, 1, 2, 2), False), F.affine_grid(im[:, 0, :2], (1, 1, 2, 2))),
        (tnn.norm_except_dim(x, 2, 1), x.transpose(0, 1).reshape(4, -1).norm(dim=1).reshape(1, 4, 1)),
        (tnn.frobenius_norm(x, [1, 2]), x.norm(dim=(1, 2))),
        (tnn.nuclear_norm(x), tnn.linalg.matrix_norm(x, "nuc")),
        (tnn.dropout(x, 0.5, False), x), (tnn.alpha_dropout(x, 0.5, False), x),
        (tnn.feature_alpha_dropout(x, 0.5, False), x), (tnn.feature_dropout(x, 0.5, False), x),
    ]  # fmt: skip
    for got, want in same:
        np.testing.assert_allclose(got.tolist(), want.tolist(), rtol=1e-6)
    dropped = tnn.feature_dropout(tnn.ones(4, 8, 5), 0.5, True)
    assert set(dropped.mean(2).flatten().tolist()) == {0.0, 2.0}
    for call in (
        lambda: tnn.kl_div(x, t, 3), lambda: tnn.grid_sampler(im, grid, 3, 0, False),
        lambda: tnn.feature_dropout(w, 0.5, True), lambda: tnn.convolution(w, w, None, 1, 0, 1, False, 0, 1),
    ):  # fmt: skip
        with pytest.raises((ValueError, RuntimeError)):
            call()


def test_methods_as_functions():
    x = tnn.tensor([-1.5, 4.0])
    assert tnn.abs_(x) is x and tnn.sqrt_(x).tolist()[1] == 2.0
    assert tnn.clamp_(x, max=1.0).tolist()[1] == 1.0 and tnn.zero_(x).tolist() == [0, 0]
    assert not tnn.is_inference(x) and not tnn.detach(x.requires_grad_()).requires_grad
    missing = [n for n in tnn._METHODS if not callable(getattr(tnn, n))]
    assert not missing
