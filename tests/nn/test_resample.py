"""Resampling, shuffles, grid sampling."""

import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn import functional as F

CASES = [
    LayerCase("nearest", lambda: nn.Upsample(scale_factor=2), ((1, 2, 3, 2),), double=True),
    LayerCase("linear", lambda: nn.Upsample(size=7, mode="linear"), ((2, 2, 4),), double=True),
    LayerCase("bilinear", lambda: nn.Upsample(size=(5, 3), mode="bilinear"), ((1, 2, 3, 4),), double=True),
    LayerCase("bilinear_corners", lambda: nn.UpsamplingBilinear2d(scale_factor=2), ((1, 2, 3, 4),)),
    LayerCase("bicubic", lambda: nn.Upsample(size=(6, 5), mode="bicubic"), ((1, 2, 4, 4),)),
    LayerCase("trilinear", lambda: nn.Upsample(scale_factor=1.5, mode="trilinear"), ((1, 1, 2, 3, 2),)),
    LayerCase("pixel_shuffle", lambda: nn.PixelShuffle(2), ((1, 8, 2, 3),), double=True),
    LayerCase("pixel_unshuffle", lambda: nn.PixelUnshuffle(2), ((1, 2, 4, 6),)),
    LayerCase("channel_shuffle", lambda: nn.ChannelShuffle(3), ((1, 6, 2, 2),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def test_linear_interpolation_hits_known_values():
    x = tnn.tensor([[[0.0, 2.0, 4.0]]])
    assert F.interpolate(x, 6, mode="linear").tolist() == [[[0.0, 0.5, 1.5, 2.5, 3.5, 4.0]]]
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[0.0, 1.0, 2.0, 3.0, 4.0]]]
    assert F.interpolate(x, 6, mode="nearest").tolist() == [[[0.0, 0.0, 2.0, 2.0, 4.0, 4.0]]]
    assert F.interpolate(x, 2, mode="nearest-exact").tolist() == [[[0.0, 4.0]]]


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias_keeps_the_mean_of_a_constant(mode):
    y = F.interpolate(tnn.full((1, 1, 17, 13), 3.0), (4, 5), mode=mode, antialias=True)
    np.testing.assert_allclose(y.numpy(), 3.0, rtol=1e-6)


def test_shuffles_invert_each_other():
    x = tnn.randn(2, 8, 3, 5)
    assert np.array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).numpy(), x.numpy())
    assert np.array_equal(F.channel_shuffle(F.channel_shuffle(x, 2), 4).numpy(), x.numpy())


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("align", [True, False])
def test_the_identity_grid_gives_the_image_back(mode, align):
    x = tnn.tensor(np.random.RandomState(0).standard_normal((2, 3, 4, 5)))
    theta = tnn.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, dtype=tnn.float64)
    y = F.grid_sample(x, F.affine_grid(theta, (2, 3, 4, 5), align), mode, align_corners=align)
    np.testing.assert_allclose(y.numpy(), x.numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [True, False])
def test_grid_sample_gradients(mode, padding, align):
    rng = np.random.RandomState(1)
    x = tnn.tensor(rng.standard_normal((1, 2, 4, 3)), requires_grad=True)
    grid = tnn.tensor(rng.uniform(-1.3, 1.3, (1, 2, 3, 2)), requires_grad=True)
    assert tnn.autograd.gradcheck(lambda x, g: F.grid_sample(x, g, mode, padding, align), (x, grid))


def test_grid_sample_of_volumes_and_wild_points():
    rng = np.random.RandomState(1)
    x = tnn.tensor(rng.standard_normal((1, 2, 3, 4, 3)), requires_grad=True)
    grid = tnn.tensor(rng.uniform(-1, 1, (1, 2, 1, 2, 3)), requires_grad=True)
    assert tnn.autograd.gradcheck(lambda x, g: F.grid_sample(x, g), (x, grid))
    wild = tnn.tensor([[[[float("nan"), 0.0], [float("inf"), 1e30], [-1e30, 0.0]]]])
    for padding in ("zeros", "border", "reflection"):
        assert F.grid_sample(tnn.ones(1, 1, 4, 4), wild, padding_mode=padding).shape == (1, 1, 1, 3)


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda x: F.interpolate(x), ValueError),
        (lambda x: F.interpolate(x, 2, 2.0), ValueError),
        (lambda x: F.interpolate(x, (2, 2, 2)), ValueError),
        (lambda x: F.interpolate(x, 2, align_corners=True), ValueError),
        (lambda x: F.interpolate(x, 2, mode="linear"), NotImplementedError),
        (lambda x: F.interpolate(x, 2, mode="cubic"), NotImplementedError),
        (lambda x: F.interpolate(x, 0), RuntimeError),
        (lambda x: F.interpolate(x, 2, mode="nearest", antialias=True), ValueError),
        (lambda x: F.pixel_shuffle(x, 2), RuntimeError),
        (lambda x: F.pixel_unshuffle(x, 3), RuntimeError),
        (lambda x: F.channel_shuffle(x, 2), RuntimeError),
        (lambda x: F.grid_sample(x, tnn.zeros(1, 2, 2, 3)), RuntimeError),
        (lambda x: F.grid_sample(x, tnn.zeros(1, 2, 2, 2), mode="cubic"), ValueError),
        (lambda x: F.affine_grid(x, (1, 1, 2, 2)), ValueError),
    ],
)
def test_bad_arguments_raise(call, error):
    with pytest.raises(error):
        call(tnn.zeros(1, 3, 4, 4))


def test_pixels_of_uint8():
    x = tnn.tensor([[[[0, 255], [10, 20]]]], dtype=tnn.uint8)
    y = F.interpolate(x, scale_factor=2)
    assert y.dtype is tnn.uint8 and y[0, 0].tolist() == [[0, 0, 255, 255]] * 2 + [[10, 10, 20, 20]] * 2
    y = F.interpolate(x, size=(2, 3), mode="bilinear", align_corners=True)
    assert y.dtype is tnn.uint8 and y[0, 0].tolist() == [[0, 128, 255], [10, 15, 20]]


@pytest.mark.parametrize("channels", [3, 16, 19])
@pytest.mark.parametrize("pad", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_grid_sample_images_as_volumes(channels, pad, align):
    rng = np.random.RandomState(0)
    x, grid = rng.standard_normal((2, channels, 5, 7)), 1.3 * rng.standard_normal((2, 3, 200, 2))
    grid[0, 0, :4] = [[np.nan, 0.0], [0.1, np.inf], [1.0, -1.0], [-1.0, 1.0]]
    g = rng.rand(2, channels, 3, 200)
    volume, flat = x[:, :, None], np.concatenate([grid, np.zeros_like(grid[..., :1])], -1)[:, None]
    found = []
    for inputs, grad in (((x, grid), g), ((volume, flat), g[:, :, None])):
        inputs = [tnn.tensor(a, requires_grad=True) for a in inputs]
        y = F.grid_sample(*inputs, padding_mode=pad, align_corners=align)
        gx, ggrid = tnn.autograd.grad(y, inputs, tnn.tensor(grad), retain_graph=True)
        for only, expected in zip(inputs, (gx, ggrid), strict=True):
            (single,) = tnn.autograd.grad(y, only, tnn.tensor(grad), retain_graph=True)
            assert np.array_equal(single.numpy(), expected.numpy(), equal_nan=True)
        found.append([y.detach().numpy(), gx.numpy(), ggrid.numpy()[..., :2]])
    (y, gx, ggrid), (expected, expected_gx, expected_ggrid) = found
    expected, expected_ggrid = expected[:, :, 0], expected_ggrid[:, 0]
    if pad == "zeros":  # images say NaN where volumes say 0
        assert not expected[0, :, 0, :2].any()
        expected[0, :, 0, :2] = expected_ggrid[0, 0, 0, 1] = expected_ggrid[0, 0, 1, 0] = np.nan
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gx, expected_gx[:, :, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ggrid, expected_ggrid, rtol=1e-12, atol=1e-11)


def test_grid_sample_at_nan():
    # PyTorch 2.13: zeros give NaN in images sampled linearly, else 0; with other paddings images take the first element
    nan = float("nan")
    image = tnn.arange(1.0, 10.0).view(1, 1, 3, 3).requires_grad_()
    grid = tnn.tensor([[[[nan, 0.0], [0.5, nan], [0.3, 0.4]]]], requires_grad=True)
    out = F.grid_sample(image, grid, align_corners=True)
    np.testing.assert_allclose(out.flatten().tolist(), [nan, nan, 6.5], rtol=1e-6)
    gi, gg = tnn.autograd.grad(out.sum(), (image, grid))
    np.testing.assert_allclose(gg.flatten().tolist(), [0.0, nan, nan, 0.0, 1.0, 3.0], rtol=1e-5)
    np.testing.assert_allclose(gi.flatten().tolist(), [0, 0, 0, 0, 0.42, 0.18, 0, 0.28, 0.12], atol=1e-6)
    for padding in ("border", "reflection"):
        out = F.grid_sample(image, grid, padding_mode=padding, align_corners=True)
        np.testing.assert_allclose(out.flatten().tolist(), [4.0, 2.5, 6.5], rtol=1e-6)
        out = F.grid_sample(image, grid, "nearest", padding, align_corners=True)
        assert out.flatten().tolist() == [4.0, 3.0, 5.0]
    assert F.grid_sample(image, grid, "nearest", align_corners=True).flatten().tolist() == [0.0, 0.0, 5.0]
    volume = tnn.arange(1.0, 28.0).view(1, 1, 3, 3, 3)
    grid = tnn.tensor([[[[[nan, 0.0, 0.1], [0.5, nan, 0.1], [0.3, 0.4, nan], [0.2, 0.3, 0.1]]]]])
    assert F.grid_sample(volume, grid, align_corners=True).flatten().tolist()[:3] == [0.0, 0.0, 0.0]


def test_bicubic_grid_sample_far_away():
    inf, nan = float("inf"), float("nan")
    image = tnn.arange(1.0, 13.0).view(1, 1, 3, 4)
    grid = tnn.tensor([[[[1e10, 0.0], [-1e10, 0.0], [1e20, 0.0], [nan, 0.0], [inf, 0.0], [-inf, 0.0]]]])
    for padding, first in (("zeros", [0.0, 0.0, 0.0]), ("border", [8.0, 5.0, 8.0])):
        out = F.grid_sample(image, grid, "bicubic", padding, align_corners=False)
        np.testing.assert_allclose(out.flatten().tolist(), [*first, nan, nan, nan], atol=1e-6)


def test_antialiasing_spreads_no_infinity():
    x = tnn.ones(1, 1, 4, 6)
    x[0, 0, 0, 0], x[0, 0, 2, 0] = float("inf"), float("nan")
    plain = tnn.ones(1, 1, 4, 6)
    for size in ((8, 12), (8, 5), (2, 3)):
        for mode in ("bilinear", "bicubic"):
            out, expected = (F.interpolate(t, size, mode=mode, antialias=True) for t in (x, plain))
            assert tnn.equal(out[..., -1], expected[..., -1])


def test_the_sides_on_which_an_identity_grid_lies():
    """The signs are PyTorch 2.13's: points at pixels' centers, between which rounding decides."""
    sides = {
        (12, False): [0, -1, 1, -1, 1, -1, -1, -1, 1, -1, 1, -1], (9, False): [0, 1, 1, -1, 1, -1, 1, -1, 0],
        (12, True): [1, -1, 1, -1, 1, -1, -1, -1, 1, -1, 1, -1],
    }  # fmt: skip
    for (n, align), want in sides.items():
        grid = F.affine_grid(tnn.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, n, n), align_corners=align).requires_grad_()
        image = (tnn.arange(n) % 2).float().expand(1, 1, n, n).contiguous()
        F.grid_sample(image, grid, align_corners=align).sum().backward()
        assert grid.grad[0, n // 2, :, 0].sign().tolist() == want


def test_grids_say_where_the_default_has_changed():
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0"):
        grid = F.affine_grid(tnn.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0") as caught:
        F.grid_sample(tnn.ones(1, 1, 2, 2), grid)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("mode", ["nearest", "bicubic", "volume"])
def test_grid_sample_of_many_channels_is_that_of_each(mode):
    """More channels than a vector holds, and more points than a task takes."""
    tnn.manual_seed(0)
    volume = mode == "volume"
    x = tnn.randn(2, 18, *((3, 4, 5) if volume else (4, 5)))
    grid = tnn.randn(2, *((6, 10, 10, 3) if volume else (24, 25, 2)))
    options = {"mode": "bilinear" if volume else mode, "padding_mode": "zeros", "align_corners": False}
    a, g = x.clone().requires_grad_(), grid.clone().requires_grad_()
    y = F.grid_sample(a, g, **options)
    seed = tnn.randn(*y.shape)
    y.backward(seed)
    total = tnn.zeros(*grid.shape)
    for c in range(18):
        b, h = x[:, c : c + 1].clone().requires_grad_(), grid.clone().requires_grad_()
        one = F.grid_sample(b, h, **options)
        np.testing.assert_allclose(one[:, 0].detach().numpy(), y[:, c].detach().numpy(), rtol=1e-5, atol=1e-6)
        one.backward(seed[:, c : c + 1])
        np.testing.assert_allclose(b.grad[:, 0].numpy(), a.grad[:, c].numpy(), rtol=1e-5, atol=1e-5)
        total += h.grad
    np.testing.assert_allclose(total.numpy(), g.grad.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 3, 7), (1, 2, 3, 20), (1, 2, 2, 3, 4)])
def test_nearest_of_twice_the_size_repeats(shape):
    x = tnn.arange(float(np.prod(shape))).reshape(shape).requires_grad_()
    y = F.interpolate(x, scale_factor=2)
    expected = x.detach().numpy()
    for axis in range(2, len(shape)):
        expected = np.repeat(expected, 2, axis)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    seed = tnn.arange(float(expected.size)).reshape(expected.shape)
    y.backward(seed)
    blocks = seed.numpy().reshape(*shape[:2], *(k for n in shape[2:] for k in (n, 2)))
    np.testing.assert_array_equal(x.grad.numpy(), blocks.sum(tuple(range(3, blocks.ndim, 2))))


@pytest.mark.parametrize("align", [False, True])
def test_linear_interpolation_of_long_rows(align):
    x = np.random.default_rng(0).normal(size=(2, 2, 70))
    y = F.interpolate(tnn.tensor(x), scale_factor=2.0, mode="linear", align_corners=align).numpy()
    o = np.arange(140)
    at = o * 69 / 139 if align else np.maximum((o + 0.5) / 2 - 0.5, 0)
    expected = np.stack([np.interp(at, np.arange(70), row) for row in x.reshape(4, 70)]).reshape(y.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
