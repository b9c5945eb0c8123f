"""Convolutions: strides, paddings, dilations and groups against a plain reference, gradients, errors."""

import itertools

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck
from tnn.kernels import _jit, conv_winograd, conv_winograd_nested, conv_winograd_weight
from tnn.nn import functional as F
from tnn.ops import conv as ops


def plain_conv(x, w, stride, front, dilation, groups, out):
    """Direct sum over taps; x (N, C, *size), w (O, C/groups, *kernel)."""
    nd = x.ndim - 2
    spans = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(out, stride, w.shape[2:], dilation, strict=True)]
    pads = [(p, max(0, n - p - size)) for p, n, size in zip(front, spans, x.shape[2:], strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    y = np.zeros((x.shape[0], w.shape[0], *out))
    per_in, per_out = w.shape[1], w.shape[0] // groups
    for tap in itertools.product(*map(range, w.shape[2:])):
        window = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in zip(tap, dilation, out, stride, strict=True)
        )
        part = x[(slice(None), slice(None), *window)]
        for g in range(groups):
            c, o = slice(g * per_in, (g + 1) * per_in), slice(g * per_out, (g + 1) * per_out)
            letters = "xyz"[:nd]
            y[:, o] += np.einsum(f"nc{letters},oc->no{letters}", part[:, c], w[(o, slice(None), *tap)])
    return y


def tensors(*shapes, dtype=np.float64, grad=False):
    rng = np.random.RandomState(len(shapes))
    return [tnn.tensor(rng.uniform(-1, 1, s).astype(dtype), requires_grad=grad) for s in shapes]


def out_sizes(size, kernel, stride, padding, dilation):
    zipped = zip(size, kernel, stride, padding, dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zipped]


CASES = [
    # input, weight, stride, padding, dilation, groups
    ((2, 3, 9), (4, 3, 3), (1,), (0,), (1,), 1),
    ((2, 4, 9), (6, 2, 2), (2,), (1,), (3,), 2),
    ((1, 5, 40), (5, 1, 5), (3,), (2,), (2,), 5),
    ((2, 3, 7, 6), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 4, 7, 9), (6, 2, 3, 2), (2, 3), (1, 0), (1, 2), 2),
    ((3, 4, 8, 5), (8, 1, 3, 3), (2, 1), (1, 2), (1, 1), 4),
    ((2, 6, 5, 5), (7, 6, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 6, 5, 5), (4, 3, 1, 1), (2, 2), (0, 0), (1, 1), 2),
    ((1, 3, 6, 8), (2, 3, 1, 2), (1, 1), (2, 3), (1, 1), 1),
    ((2, 1, 6, 6), (1, 1, 6, 6), (1, 1), (0, 0), (1, 1), 1),
    ((2, 3, 4, 5, 6), (4, 3, 2, 3, 2), (1, 1, 1), (0, 1, 1), (1, 1, 1), 1),
    ((1, 4, 5, 6, 7), (4, 2, 3, 2, 3), (2, 1, 3), (1, 0, 1), (1, 2, 1), 2),
    ((1, 2, 4, 5, 6), (4, 1, 2, 2, 2), (1, 2, 1), (1, 1, 0), (2, 1, 1), 2),
    # windows side by side, with elements left over at the end and without
    ((2, 4, 2053), (64, 4, 16), (16,), (0,), (1,), 1),
    ((2, 2, 66, 90), (64, 2, 4, 8), (4, 8), (0, 0), (1, 1), 1),
    ((2, 2, 5, 17, 64), (64, 2, 2, 2, 8), (2, 2, 8), (0, 0, 0), (1, 1, 1), 1),
    # channels in plenty: direct convolution, and depthwise convolution with a channel in each lane
    ((2, 12, 6, 7, 8), (12, 12, 3, 2, 2), (1, 1, 1), (1, 1, 1), (1, 2, 1), 1),
    ((2, 24, 12, 13), (24, 12, 3, 3), (1, 1), (2, 2), (2, 2), 2),
    ((2, 30, 21, 22), (30, 30, 2, 2), (2, 3), (1, 0), (1, 1), 1),
    ((2, 16, 9, 8), (16, 1, 3, 3), (2, 3), (1, 1), (1, 2), 16),
    # several groups in a vector
    ((2, 32, 9, 10), (32, 8, 3, 3), (1, 1), (1, 1), (1, 1), 4),
    ((1, 24, 33, 60), (32, 3, 3, 2), (2, 3), (0, 2), (2, 1), 8),
    ((2, 32, 400), (32, 8, 5), (1,), (3,), (2,), 4),
    # input gradients phase by phase: phases of one size and of several, without taps, without positions
    ((2, 15, 11, 8), (48, 15, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((1, 24, 19, 16), (100, 12, 3, 4), (2, 3), (4, 1), (3, 1), 2),
    ((2, 13, 50), (160, 13, 2), (3,), (0,), (1,), 1),
    ((1, 12, 7, 6, 5), (40, 12, 2, 3, 2), (2, 1, 2), (1, 0, 1), (1, 2, 2), 1),
    ((2, 31, 2, 9), (400, 31, 1, 4), (3, 5), (0, 3), (1, 1), 1),
    # Winograd's filtering, planes with an odd number of rows and columns
    ((3, 30, 24, 23), (31, 30, 3, 3), (1, 1), (1, 0), (1, 1), 1),
    ((3, 64, 23, 31), (64, 32, 3, 3), (1, 1), (0, 2), (1, 1), 2),
    # rows of several units, one of them all padding
    ((2, 20, 1501), (24, 20, 3), (2,), (1,), (1,), 1),
    ((1, 24, 1400), (46, 24, 2), (1,), (600,), (700,), 1),
    ((2, 23, 2000), (46, 23, 4), (3,), (5,), (2,), 1),
    # columns four apart
    ((2, 12, 9, 85), (16, 12, 3, 5), (2, 4), (1, 3), (1, 2), 1),
    ((2, 12, 150), (16, 12, 9), (4,), (0,), (1,), 1),
]
FORWARD = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_values(case, dtype):
    xs, ws, stride, padding, dilation, groups = case
    nd = len(xs) - 2
    x, w, b = tensors(xs, ws, (ws[0],), dtype=dtype)
    out = out_sizes(xs[2:], ws[2:], stride, padding, dilation)
    want = plain_conv(x.numpy(), w.numpy(), stride, padding, dilation, groups, out)
    tolerance = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    got = FORWARD[nd](x, w, None, stride, padding, dilation, groups)
    assert got.numpy().dtype == dtype
    np.testing.assert_allclose(got.numpy(), want, **tolerance)
    got = FORWARD[nd](x, w, b, stride, padding, dilation, groups)
    np.testing.assert_allclose(got.numpy(), want + b.numpy().reshape(-1, *[1] * nd), **tolerance)
    one, batch = (FORWARD[nd](t, w, b, stride, padding, dilation, groups) for t in (x[0], x[:1]))
    np.testing.assert_array_equal(one.numpy(), batch[0].numpy())


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_transpose(case):
    """<conv(x, w), g> is bilinear: it equals <x, dx> and <w, dw>."""
    xs, ws, stride, padding, dilation, groups = case
    nd = len(xs) - 2
    x, w, b = tensors(xs, ws, (ws[0],), grad=True)
    y = FORWARD[nd](x, w, b, stride, padding, dilation, groups)
    g = tensors(y.shape)[0]
    y.backward(g)
    dot = float(((y - b.reshape(-1, *[1] * nd)) * g).sum())
    np.testing.assert_allclose(float((x * x.grad).sum()), dot, rtol=1e-10)
    np.testing.assert_allclose(float((w * w.grad).sum()), dot, rtol=1e-10)
    np.testing.assert_allclose(b.grad.numpy(), g.numpy().sum((0, *range(2, nd + 2))), rtol=1e-10)


SMALL = [
    ((1, 2, 5), (2, 1, 2), (2,), (1,), (2,), 2),
    ((1, 2, 4, 3), (2, 2, 2, 2), (2, 1), (1, 0), (1, 2), 1),
    ((1, 2, 4, 4), (2, 1, 3, 2), (1, 2), (1, 1), (1, 1), 2),
    ((1, 2, 2, 3), (3, 2, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 1, 2, 3, 2), (1, 1, 2, 2, 1), (1, 1, 1), (0, 1, 0), (1, 1, 1), 1),
]


@pytest.mark.parametrize("case", SMALL)
def test_gradcheck(case):
    xs, ws, stride, padding, dilation, groups = case
    nd = len(xs) - 2

    def forward(x, w, b):
        return FORWARD[nd](x, w, b, stride, padding, dilation, groups)

    gradcheck(forward, tensors(xs, ws, (ws[0],), grad=True))
    gradgradcheck(forward, tensors(xs, ws, (ws[0],), grad=True))


@pytest.mark.parametrize("case", SMALL)
def test_transposed_gradcheck(case):
    xs, ws, stride, padding, dilation, groups = case
    nd = len(xs) - 2

    def forward(x, w, b):
        return TRANSPOSED[nd](x, w, b, stride, padding, 0, groups, dilation)

    shapes = (xs[0], ws[0], *xs[2:]), ws, (ws[1] * groups,)
    gradcheck(forward, tensors(*shapes, grad=True))
    gradgradcheck(forward, tensors(*shapes, grad=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_transposed_values(case, dtype):
    """Written out: each input element adds the kernel, scaled, to a window of the output."""
    xs, ws, stride, padding, dilation, groups = case
    nd = len(xs) - 2
    extra = tuple(max(s, d) - 1 for s, d in zip(stride, dilation, strict=True))
    per = ws[0] // groups
    x, w, b = tensors((xs[0], ws[0], *xs[2:]), ws, (ws[1] * groups,), dtype=dtype)
    size = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(xs[2:], stride, padding, dilation, ws[2:], extra, strict=True)
    ]
    full = np.zeros((xs[0], ws[1] * groups, *[n + 2 * p for n, p in zip(size, padding, strict=True)]))
    for tap in itertools.product(*map(range, ws[2:])):
        window = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, xs[2:], stride, strict=True)
        )
        for g in range(groups):
            c, o = slice(g * per, (g + 1) * per), slice(g * ws[1], (g + 1) * ws[1])
            letters = "xyz"[:nd]
            full[(slice(None), o, *window)] += np.einsum(
                f"nc{letters},co->no{letters}", x.numpy()[:, c], w.numpy()[(c, slice(None), *tap)]
            )
    want = full[(slice(None), slice(None), *[slice(p, p + n) for p, n in zip(padding, size, strict=True)])]
    want = want + b.numpy().reshape(-1, *[1] * nd)
    got = TRANSPOSED[nd](x, w, b, stride, padding, extra, groups, dilation)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.numpy(), want, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)
    one, batch = (TRANSPOSED[nd](t, w, b, stride, padding, extra, groups, dilation) for t in (x[0], x[:1]))
    np.testing.assert_array_equal(one.numpy(), batch[0].numpy())


LARGE = [
    # batch, channels in, height, width, channels out, kernel, stride, padding, groups: each cut into several units
    (3, 8, 40, 37, 24, 3, 1, 1, 1),
    (1, 3, 90, 80, 32, 7, 2, 3, 1),
    (2, 300, 6, 7, 40, 3, 1, 1, 1),
    (2, 40, 30, 30, 48, 1, 1, 0, 2),
    (2, 40, 30, 30, 40, 3, 2, 1, 40),
    (20, 2, 12, 12, 20, 5, 1, 0, 1),
    # images interleaved; channels in lanes; few output channels; a plane in one tap
    (17, 33, 5, 6, 31, 3, 1, 2, 1),
    (9, 64, 7, 6, 64, 5, 2, 1, 64),
    (9, 16, 11, 12, 6, 5, 1, 4, 1),
    (3, 130, 7, 7, 40, 1, 1, 0, 1),
    (2, 46, 40, 37, 130, 3, 2, 1, 1),
    (3, 64, 30, 37, 64, 3, 1, 1, 8),
    # one tap that reads x where it lies, part by part; rows of several units; weights of which no thread packs all
    (2, 130, 29, 29, 1010, 1, 1, 0, 1),
    (2, 40, 1, 1300, 48, 3, 1, 1, 1),
    (7, 200, 9, 8, 190, 3, 2, 1, 1),
    # windows side by side: some of several images in a unit, and one alone in the last
    (5, 3, 112, 97, 40, 16, 16, 0, 1),
    (5, 3, 272, 31, 40, 16, 16, 0, 1),
    # Winograd's filtering: lines of several images in a unit, and several units an image
    (3, 128, 14, 12, 120, 3, 1, 1, 2),
    (5, 64, 14, 15, 90, 3, 1, 1, 1),
    (2, 32, 33, 61, 40, 3, 1, 2, 2),
    # its lines cut
    (1, 66, 8, 560, 64, 3, 1, 1, 1),
]


@pytest.mark.parametrize("case", LARGE)
def test_large_and_the_number_of_threads(case):
    n, c, h, w, o, k, s, p, groups = case
    x, weight, b = tensors((n, c, h, w), (o, c // groups, k, k), (o,), dtype=np.float32, grad=True)
    before = _jit.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            _jit.set_num_threads(threads)
            x.grad = weight.grad = b.grad = None
            y = F.conv2d(x, weight, b, s, p, 1, groups)
            g = tensors(y.shape, dtype=np.float32)[0]
            y.backward(g)
            results.append([t.detach().numpy().copy() for t in (y, x.grad, weight.grad, b.grad)])
    finally:
        _jit.set_num_threads(before)
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, second)
    y, dx, dw, _ = results[0]
    out = out_sizes((h, w), (k, k), (s, s), (p, p), (1, 1))
    wide = [t.detach().numpy().astype(np.float64) for t in (x, weight, b)]
    want = plain_conv(wide[0], wide[1], (s, s), (p, p), (1, 1), groups, out)
    np.testing.assert_allclose(y, want + wide[2][:, None, None], rtol=0, atol=1e-4)
    gradient = float((want * g.numpy()).sum())
    scale = 1e-6 * float(abs(want * g.numpy()).sum())
    np.testing.assert_allclose(float((dx * wide[0]).sum()), gradient, rtol=0, atol=scale)
    np.testing.assert_allclose(float((dw * wide[1]).sum()), gradient, rtol=0, atol=scale)


@pytest.mark.parametrize(
    "case,weight_too",
    [*((case, False) for case in LARGE[-4:-1]), ((8, 64, 31, 33, 64, 3, 1, 0, 1), True)],
)
def test_winograds_filtering(case, weight_too):
    """It is taken, and as exact as a direct sum; NaN goes where a kernel can reach it; relu is applied."""
    n, c, h, w, o, k, s, p, groups = case
    plan = ops._conv_plan("conv2d", 2, (n, c, h, w), (o, c // groups, k, k), (s, s), (p, p), (1, 1), groups)
    assert plan.forward[0] is conv_winograd.conv_forward and plan.mirror[0] is conv_winograd.conv_forward
    assert (plan.weight[0] is conv_winograd_weight.conv_backward_weight) == weight_too
    x, weight, b = tensors((n, c, h, w), (o, c // groups, k, k), (o,), dtype=np.float32)
    wide = x.double(), weight.double(), b.double()
    for t in wide[:2]:
        t.requires_grad_()
    want = F.conv2d(*wide, s, p, 1, groups)
    g = tensors(want.shape, dtype=np.float32)[0]
    want.backward(g.double())
    dw, dx = (np.empty(t.shape, np.float32) for t in (weight, x))
    kernel, geo = plan.weight
    kernel(x.numpy().ravel(), g.numpy().ravel(), dw.ravel(), geo)
    kernel, geo = plan.mirror
    kernel(g.numpy().ravel(), weight.numpy().ravel(), b.numpy(), dx.ravel(), geo, 16)
    y = np.empty(plan.y, np.float32)
    kernel, geo = plan.forward
    kernel(x.numpy().ravel(), weight.numpy().ravel(), b.numpy(), y.ravel(), geo, 2 + 8)
    for got, exact in ((y, want.detach().relu()), (dw, wide[1].grad), (dx, wide[0].grad)):
        np.testing.assert_allclose(got, exact.numpy(), rtol=0, atol=5e-7 * float(exact.abs().max()))
    x[-1, 1, 5, 8] = float("nan")
    nan = np.isnan(F.conv2d(x, weight, None, s, p, 1, groups).numpy())
    per = o // groups
    assert nan[-1, :per, 3 + p : 6 + p, 6 + p : 9 + p].all() and nan.sum() == 9 * per


@pytest.mark.parametrize(
    "size,dilation,padding,groups",
    [
        ((40, 47), (2, 2), (2, 1), 1),
        ((31, 45), (1, 4), (1, 7), 2),
        ((50, 52), (3, 3), (3, 3), 1),
        # its lines cut
        ((14, 530), (2, 8), (0, 0), 1),
    ],
)
def test_winograds_filtering_dilated(size, dilation, padding, groups):
    ones, c, o = (1, 1), 96 * groups, 66 * groups
    plan = ops._conv_plan("conv2d", 2, (1, c, *size), (o, c // groups, 3, 3), ones, padding, dilation, groups)
    assert plan.forward[0] is conv_winograd.conv_forward and plan.mirror[0] is conv_winograd.conv_forward
    x, w, b = tensors((1, c, *size), (o, c // groups, 3, 3), (o,), dtype=np.float32, grad=True)
    y = F.conv2d(x, w, b, 1, padding, dilation, groups)
    g = tensors(y.shape, dtype=np.float32)[0]
    y.backward(g)
    wide = [t.detach().numpy().astype(np.float64) for t in (x, w, b, g)]
    want = plain_conv(*wide[:2], ones, padding, dilation, groups, y.shape[2:]) + wide[2][:, None, None]
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=0, atol=5e-7 * abs(want).max())
    turned = wide[1].reshape(groups, 66, 96, 3, 3).swapaxes(1, 2).reshape(c, 66, 3, 3)[..., ::-1, ::-1]
    front = tuple(2 * d - p for d, p in zip(dilation, padding, strict=True))
    want = plain_conv(wide[3], turned, ones, front, dilation, groups, size)
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=0, atol=5e-7 * abs(want).max())


# input, output channels, kernel, stride, padding, groups
NESTED = [
    # lines of three images, one row each, cut and whole; the last tile has one output
    ((3, 64, 301), 64, (9,), (1,), (4,), 1),
    ((2, 16, 2501), 30, (3,), (1,), (0,), 1),
    ((1, 48, 1203), 70, (3,), (2,), (1,), 1),
    ((2, 5, 3000), 32, (24,), (4,), (10,), 1),
    # rows of one tap
    ((2, 24, 9, 33), 96, (1, 7), (1, 1), (0, 3), 1),
    ((2, 32, 10, 33), 64, (5, 5), (1, 1), (2, 1), 2),
    ((3, 16, 27, 28), 35, (3, 3), (2, 2), (1, 1), 1),
    ((2, 16, 35, 33), 32, (3, 4), (1, 2), (1, 2), 1),
    ((3, 64, 17, 18), 32, (4, 4), (2, 2), (1, 1), 1),
    ((2, 3, 51, 63), 40, (7, 7), (2, 2), (3, 3), 1),
    ((4, 4, 44, 43), 46, (8, 8), (4, 4), (0, 3), 1),
    # windows that do not overlap from row to row, and a single row of them
    ((2, 16, 24, 130), 48, (2, 3), (2, 1), (0, 1), 1),
    ((4, 32, 3, 130), 48, (3, 3), (1, 1), (0, 1), 1),
]


@pytest.mark.parametrize("case", NESTED)
def test_nested_filtering(case):
    """Nearly as exact as a direct sum, the same for any number of threads; relu is applied; NaN goes where a kernel can
    reach it."""
    xs, o, kernel, stride, padding, groups = case
    nd, lead = len(kernel), (1,) * (3 - len(kernel))
    ws, out = (o, xs[1] // groups, *kernel), out_sizes(xs[2:], kernel, stride, padding, (1,) * nd)
    front, size = (0,) * (3 - nd) + padding, lead + xs[2:]
    geo = conv_winograd_nested.geometry(
        *xs[:2], size, o, (*lead, *out), lead + kernel, lead + stride, (1, 1, 1), front, groups, least=0
    )
    x, w, b = (t.numpy() for t in tensors(xs, ws, (o,), dtype=np.float32))

    def run(x, mode):
        y = np.full((xs[0], o, *out), np.nan, np.float32)
        conv_winograd_nested.conv_forward(x.ravel(), w.ravel(), b, y.ravel(), geo, mode)
        return y

    want = plain_conv(x.astype(np.float64), w.astype(np.float64), stride, padding, (1,) * nd, groups, out)
    want += b.astype(np.float64).reshape(-1, *(1,) * nd)
    y = run(x, 2)
    assert abs(y - want).max() < 1e-6 * abs(want).max()
    assert np.square(y - want).mean() < 4.5e-7**2 * np.square(want).mean()
    np.testing.assert_array_equal(run(x, 2 + 8), np.maximum(y, 0))
    before = _jit.get_num_threads()
    try:
        for threads in (1, 3):
            _jit.set_num_threads(threads)
            np.testing.assert_array_equal(run(x, 2), y)
    finally:
        _jit.set_num_threads(before)
    x[-1, 1, ..., 11] = np.nan
    reached = plain_conv(np.isnan(x).astype(float), np.ones(ws), stride, padding, (1,) * nd, groups, out) > 0
    np.testing.assert_array_equal(np.isnan(run(x, 0)), reached)


@pytest.mark.parametrize("dtype,tolerance", [(np.float32, 8e-7), (np.float64, 2e-15)])
def test_nested_filtering_of_gradients(dtype, tolerance):
    """The input gradient with stride 1 is such a convolution too, with the weight as it lies."""
    w, g = (t.numpy() for t in tensors((48, 32, 5, 5), (2, 48, 18, 31), dtype=dtype))
    numbers = (2, 64, (1, 20, 33), 48, (1, 18, 31), (1, 5, 5), (1, 1, 1), (1, 1, 1), (0, 1, 1), 2)
    geo = conv_winograd_nested.mirror(*numbers, least=0)
    dx = np.full((2, 64, 20, 33), np.nan, dtype)
    conv_winograd_nested.conv_forward(g.ravel(), w.ravel(), w[0, 0, 0], dx.ravel(), geo, 16)
    turned = w.astype(np.float64).reshape(2, 24, 32, 5, 5).swapaxes(1, 2).reshape(64, 24, 5, 5)[..., ::-1, ::-1]
    want = plain_conv(g.astype(np.float64), turned, (1, 1), (3, 3), (1, 1), 2, (20, 33))
    np.testing.assert_allclose(dx, want, rtol=0, atol=tolerance * abs(want).max())


def test_few_channels_and_wide_dilation():
    """An input gradient of few channels is scattered; taps in the padding are left out of rows too."""
    for xs, ws, padding, dilation in (
        ((3, 6, 14, 15), (16, 6, 5, 5), (0, 1), (1, 1)),
        ((1, 32, 20, 29), (48, 32, 2, 3), (1, 6), (3, 6)),
    ):
        x, w = tensors(xs, ws, dtype=np.float32, grad=True)
        plan = ops._conv_plan("conv2d", 2, xs, ws, (1, 1), padding, dilation, 1)
        assert (plan.mirror is None) == (xs[1] == 6)
        y = F.conv2d(x, w, None, 1, padding, dilation)
        g = tensors(y.shape, dtype=np.float32)[0]
        y.backward(g)
        wide = [t.detach().numpy().astype(np.float64) for t in (x, w, g)]
        want = plain_conv(*wide[:2], (1, 1), padding, dilation, 1, y.shape[2:])
        np.testing.assert_allclose(y.detach().numpy(), want, rtol=0, atol=5e-7 * abs(want).max())
        turned = wide[1].swapaxes(0, 1)[..., ::-1, ::-1]
        front = tuple(d * (k - 1) - p for d, k, p in zip(dilation, ws[2:], padding, strict=True))
        want = plain_conv(wide[2], turned, (1, 1), front, dilation, 1, xs[2:])
        np.testing.assert_allclose(x.grad.numpy(), want, rtol=0, atol=5e-7 * abs(want).max())


def test_padding_by_name():
    x, w = tensors((2, 3, 7, 8), (4, 3, 3, 4))
    y = F.conv2d(x, w, padding="same", dilation=(2, 1))
    assert y.shape == (2, 4, 7, 8)
    want = plain_conv(x.numpy(), w.numpy(), (1, 1), (2, 1), (2, 1), 1, (7, 8))
    np.testing.assert_allclose(y.numpy(), want, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(F.conv2d(x, w, padding="valid").numpy(), F.conv2d(x, w).numpy())


def test_operands_of_any_layout():
    x, w = tensors((8, 7, 2, 3), (3, 3, 3, 4))
    a, b = x.permute(2, 3, 0, 1), w.permute(3, 2, 0, 1)
    assert not a.is_contiguous()
    want = F.conv2d(a.contiguous(), b.contiguous(), padding=1)
    np.testing.assert_array_equal(F.conv2d(a, b, padding=1).numpy(), want.numpy())
    a = a[:, :, ::2]
    np.testing.assert_array_equal(F.conv2d(a, b).numpy(), F.conv2d(a.contiguous(), b).numpy())


def test_empty_batch():
    x, w, b = tensors((0, 3, 5, 5), (4, 3, 3, 3), (4,), grad=True)
    y = F.conv2d(x, w, b)
    assert y.shape == (0, 4, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any() and not b.grad.numpy().any()
    x, w = tensors((0, 3, 5, 5), (3, 4, 3, 3), grad=True)
    assert F.conv_transpose2d(x, w).shape == (0, 4, 7, 7)


def test_half_precision_is_computed_in_float32():
    x, w, b = tensors((2, 3, 6, 6), (4, 3, 3, 3), (4,), dtype=np.float32)
    x, w, b = (t.to(tnn.bfloat16) for t in (x, w, b))
    want = F.conv2d(*(t.to(tnn.float32) for t in (x, w, b)), padding=1).to(tnn.bfloat16)
    got = F.conv2d(x, w, b, padding=1)
    assert got.dtype == tnn.bfloat16 and got.tolist() == want.tolist()


def test_nan_stays_where_it_can_reach():
    x, w = tensors((1, 1, 6, 6), (1, 1, 3, 3), dtype=np.float32)
    x[0, 0, 0, 0] = float("nan")
    y = F.conv2d(x, w, padding=1).numpy()[0, 0]
    assert np.isnan(y[:2, :2]).all() and np.isfinite(y[2:]).all() and np.isfinite(y[:, 2:]).all()


def test_conv_tbc():
    x, w, b = tensors((7, 2, 3), (3, 3, 4), (4,))
    want = F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b, padding=1).permute(2, 0, 1)
    np.testing.assert_array_equal(F.conv_tbc(x, w, b, 1).numpy(), want.numpy())


X, W_, B = tensors((2, 4, 5, 5), (6, 2, 3, 3), (6,))


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: F.conv2d(X, W_), RuntimeError, r"expected input\[2, 4, 5, 5\] to have 2 channels, but got 4"),
        (lambda: F.conv2d(X, W_, groups=4), RuntimeError, "divisible by 4"),
        (lambda: F.conv2d(X[0, 0], W_, groups=2), RuntimeError, r"3D \(unbatched\) or 4D \(batched\)"),
        (lambda: F.conv2d(X, W_[0], groups=2), RuntimeError, "weight to have 4 dimensions"),
        (lambda: F.conv2d(X, W_, B[:3], groups=2), RuntimeError, "1-dimensional with 6 elements"),
        (lambda: F.conv2d(X, W_, stride=0, groups=2), RuntimeError, "non-positive stride"),
        (lambda: F.conv2d(X, W_, padding=-1, groups=2), RuntimeError, "negative padding"),
        (lambda: F.conv2d(X, W_, dilation=0, groups=2), RuntimeError, "dilation should be greater"),
        (lambda: F.conv2d(X, W_, dilation=3, groups=2), RuntimeError, "can't be greater than actual input size"),
        (lambda: F.conv2d(X, W_, stride=(1, 2, 3), groups=2), RuntimeError, "a list of 2 values"),
        (lambda: F.conv2d(X, W_, stride="a", groups=2), TypeError, "'stride' must be tuple of ints"),
        (lambda: F.conv2d(X, W_, padding="full", groups=2), RuntimeError, "Invalid padding string"),
        (lambda: F.conv2d(X, W_, padding="same", stride=2, groups=2), RuntimeError, "strided"),
        (lambda: F.conv2d(X, W_.float(), groups=2), RuntimeError, "should be the same"),
        (lambda: F.conv2d(X.int(), W_.int(), groups=2), RuntimeError, "not implemented"),
        (lambda: F.conv2d(3, W_), TypeError, "must be Tensor, not int"),
        (lambda: F.conv_transpose2d(X, W_), RuntimeError, "to have 6 channels"),
        (lambda: F.conv_transpose2d(X, W_[:4], output_padding=1), RuntimeError, "output padding must be smaller"),
        (lambda: F.conv_transpose2d(X, W_[:4], padding=9), RuntimeError, "Output size is too small"),
        (lambda: F.conv_transpose2d(X, W_[:4], B), RuntimeError, "1-dimensional with 2 elements"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_integers():
    r = np.random.RandomState(0)
    x, w = r.randint(-9, 9, (2, 2, 5, 5)), r.randint(-9, 9, (4, 2, 3, 3))
    y = F.conv2d(tnn.tensor(x), tnn.tensor(w), padding=1)
    assert y.dtype is tnn.int64
    assert np.array_equal(y.numpy(), plain_conv(x, w, (1, 1), (1, 1), (1, 1), 1, (5, 5)))
    t = F.conv_transpose2d(tnn.tensor(x), tnn.tensor(w.swapaxes(0, 1)))
    assert t.dtype is tnn.int64
    with pytest.raises(RuntimeError, match="expected scalar type Long"):
        F.conv2d(tnn.tensor(x), tnn.tensor(w).float())
