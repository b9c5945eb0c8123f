"""Pooling layers: the checks of every layer, plain references, and errors."""

import subprocess
import sys

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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("height", [2, 6, 7])
@pytest.mark.parametrize("width", [2, 3, 4, 8, 16, 32])
def test_max_pool2d_of_narrow_images(width, height, dtype):
    g = np.random.default_rng(width)
    x = g.integers(-2, 3, (5, 3, height, width)).astype(dtype)  # with equal elements
    x[g.random(x.shape) < 0.1] = np.nan
    x[g.random(x.shape) < 0.1] = -np.inf
    rows, columns = height // 2, width // 2
    blocks = x[:, :, : 2 * rows, : 2 * columns].reshape(5, 3, rows, 2, columns, 2).swapaxes(3, 4)
    blocks = blocks.reshape(5, 3, rows, columns, 4)
    # The last NaN wins, or else the first of the largest.
    won = np.where(np.isnan(blocks).any(-1), 3 - np.isnan(blocks)[..., ::-1].argmax(-1), blocks.argmax(-1))
    given = tnn.tensor(x, requires_grad=True)
    y, index = F.max_pool2d(given, 2, return_indices=True)
    np.testing.assert_array_equal(y.detach().numpy(), np.take_along_axis(blocks, won[..., None], -1)[..., 0])
    with tnn.no_grad():
        np.testing.assert_array_equal(F.max_pool2d(given, 2).numpy(), y.detach().numpy())
    place = (2 * np.arange(rows)[:, None] + won // 2) * width + 2 * np.arange(columns) + won % 2
    np.testing.assert_array_equal(index.numpy(), place)
    seed = g.standard_normal(y.shape).astype(dtype)
    y.backward(tnn.tensor(seed))
    wanted = np.zeros((5, 3, height * width), dtype)
    np.put_along_axis(wanted, place.reshape(5, 3, -1), seed.reshape(5, 3, -1), 2)
    np.testing.assert_array_equal(given.grad.numpy(), wanted.reshape(x.shape))


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
        (lambda x: F.fractional_max_pool3d(tnn.zeros(1, 1, 5, 5, 5), 2, output_size=4), RuntimeError),
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


def windows(x, k, s, p, d, out):
    """Each window of the last dimensions: (position of the output, flat places in a plane, a row of planes each)."""
    size = x.shape[2:]
    planes = x.reshape(x.shape[0] * x.shape[1], -1)
    for o in np.ndindex(*out):
        first = [oi * si - pi for oi, si, pi in zip(o, s, p, strict=True)]
        taps = [tuple(f + t * di for f, t, di in zip(first, tap, d, strict=True)) for tap in np.ndindex(*k)]
        inside = [t for t in taps if all(0 <= i < n for i, n in zip(t, size, strict=True))]
        places = [int(np.ravel_multi_index(t, size)) for t in inside]
        yield o, places, planes[:, places]


WINDOWS = [
    ((23,), (3,), (2,), (1,), (1,)),
    ((9, 23), (1, 5), (2, 3), (0, 2), (1, 1)),
    ((1, 23), (1, 5), (2, 3), (0, 2), (1, 1)),
    ((40, 21), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((12, 20), (4, 4), (4, 4), (0, 0), (1, 1)),
    ((18, 17), (3, 2), (1, 1), (1, 0), (2, 3)),
    ((5, 6, 7), (2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 1, 1)),
]


@pytest.mark.parametrize("size,k,s,p,d", WINDOWS)
def test_max_pool_in_any_number_of_dimensions(size, k, s, p, d):
    rng = np.random.RandomState(0)
    x = rng.randint(-4, 4, (2, 3, *size)).astype(np.float32)
    x[rng.rand(*x.shape) < 0.05] = np.nan
    x[rng.rand(*x.shape) < 0.3] = -np.inf
    t = tnn.tensor(x, requires_grad=True)
    pool = getattr(F, f"max_pool{len(size)}d")
    y, index = pool(t, k, s, p, d, return_indices=True)
    with tnn.no_grad():
        np.testing.assert_array_equal(pool(t, k, s, p, d).numpy(), y.detach().numpy())
    given = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(tnn.tensor(given))
    found = y.detach().numpy()
    expected = np.zeros((6, x[0, 0].size))
    for o, places, values in windows(x, k, s, p, d, y.shape[2:]):
        for plane, row in enumerate(values):
            at = np.flatnonzero(np.isnan(row))[-1] if np.isnan(row).any() else int(np.argmax(row))
            n, c = divmod(plane, 3)
            np.testing.assert_array_equal(found[(n, c, *o)], row[at])
            assert index.numpy()[(n, c, *o)] == places[at]
            expected[plane, places[at]] += given[(n, c, *o)]
    np.testing.assert_allclose(t.grad.numpy().reshape(6, -1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("size,k,s,p,d", [w for w in WINDOWS if max(w[4]) == 1])
def test_avg_pool_in_any_number_of_dimensions(size, k, s, p, d, include):
    rng = np.random.RandomState(0)
    x = rng.standard_normal((2, 3, *size))
    t = tnn.tensor(x, requires_grad=True)
    y = getattr(F, f"avg_pool{len(size)}d")(t, k, s, p, count_include_pad=include)
    given = rng.standard_normal(y.shape)
    y.backward(tnn.tensor(given))
    expected = np.zeros((6, x[0, 0].size))
    for o, places, values in windows(x, k, s, p, d, y.shape[2:]):
        n = np.prod(k) if include else len(places)
        found = y.detach().numpy()[(..., *o)].reshape(6)
        np.testing.assert_allclose(found, values.sum(1) / n, rtol=1e-12, atol=1e-14)
        expected[:, places] += given[(..., *o)].reshape(6, 1) / n
    np.testing.assert_allclose(t.grad.numpy().reshape(6, -1), expected, rtol=1e-12, atol=1e-14)


def test_windows_with_more_taps_than_a_byte_counts():
    x = np.random.RandomState(0).standard_normal((1, 2, 40, 33)).astype(np.float32)
    y, index = F.max_pool2d(tnn.tensor(x), (19, 17), 3, return_indices=True)
    for i, j in np.ndindex(8, 6):
        largest = x[:, :, 3 * i : 3 * i + 19, 3 * j : 3 * j + 17].max((2, 3))
        np.testing.assert_array_equal(y.numpy()[:, :, i, j], largest)
    np.testing.assert_array_equal(np.take_along_axis(x.reshape(1, 2, -1), index.numpy().reshape(1, 2, -1), 2),
                                  y.numpy().reshape(1, 2, -1))  # fmt: skip


def test_a_window_without_an_element_leaves_memory_alone():
    x = tnn.randn(1, 1, 1, requires_grad=True)
    y, i = F.max_pool1d(x, 2, 1, 1, 2, return_indices=True)
    assert y.item() == -float("inf") and i.item() == 0
    y.backward()
    assert x.grad.item() == 0


@pytest.mark.parametrize("size,out", [((7, 9), 1), ((8, 12), (4, 3)), ((7, 9), (3, 4)), ((65,), 1)])
def test_adaptive_pooling_is_pooling_of_the_parts(size, out):
    rng = np.random.RandomState(0)
    x = rng.standard_normal((3, 5, *size))
    x[0, 1] = -np.inf
    x[1, 2].flat[[3, 5]] = np.nan
    nd = len(size)
    out = (out,) * nd if isinstance(out, int) else out
    y = getattr(F, f"adaptive_avg_pool{nd}d")(tnn.tensor(x), out)
    z, index = getattr(F, f"adaptive_max_pool{nd}d")(tnn.tensor(x), out, return_indices=True)
    for o in np.ndindex(*out):
        part = tuple(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(o, size, out, strict=True))
        axes = tuple(range(2, 2 + nd))
        np.testing.assert_allclose(y.numpy()[(..., *o)], x[(..., *part)].mean(axes), rtol=1e-12)
        np.testing.assert_array_equal(z.numpy()[(..., *o)], x[(..., *part)].max(axes))
    places = np.take_along_axis(x.reshape(3, 5, -1), index.numpy().reshape(3, 5, -1), 2)
    np.testing.assert_array_equal(places, z.numpy().reshape(3, 5, -1))


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64])
def test_signals_alone_are_pooled_as_with_indices(dtype):
    rng = np.random.RandomState(0)
    for length in (3, 15, 16, 17, 33, 70, 130):
        x = tnn.tensor(rng.standard_normal((3, 2, length)), dtype=dtype)
        x[0, 0, length // 2], x[0, 1], x[1, 1, -1] = float("nan"), -float("inf"), float("nan")
        for step in (1, 2, 3, 4):
            for taps, padding, apart in ((1, 0, 1), (2, 1, 1), (3, 1, 1), (3, 0, 1), (2, 0, 2), (5, 2, 1), (4, 2, 7)):
                for ceil in (False, True):
                    if length + 2 * padding > (taps - 1) * apart:
                        args = x, taps, step, padding, apart, ceil
                        expected, _ = F.max_pool1d(*args, return_indices=True)
                        np.testing.assert_array_equal(F.max_pool1d(*args).numpy(), expected.numpy())


def windows_max(x, bounds):
    """The maximum of each window of a volume and its flat place: the first of equal ones, the last NaN."""
    shape = [len(b) for b in bounds]
    values, places = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for out in np.ndindex(*shape):
        spans = [range(*bounds[j][o]) for j, o in enumerate(out)]
        best, at = -np.inf, None
        for place in ((d, r, c) for d in spans[0] for r in spans[1] for c in spans[2]):
            v = x[place]
            if at is None or v > best or v != v:
                best, at = v, place
        values[out], places[out] = best, np.ravel_multi_index(at, x.shape)
    return values, places


@pytest.mark.parametrize(("size", "out"), [((5, 9, 70), (2, 2, 3)), ((9, 70), (2, 3)), ((9, 8), (3, 2)), ((70,), (3,))])
def test_adaptive_maxima_with_ties_and_nan(size, out):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (2, 3, *size)).astype(np.float32)
    x[0, 1][rng.random(size) < 0.1] = np.nan
    x[1, 0] = -np.inf
    bounds = [[(o * n // m, -(-(o + 1) * n // m)) for o in range(m)] for n, m in zip(size, out, strict=True)]
    full = [[(0, 1)]] * (3 - len(size)) + bounds
    pool = getattr(F, f"adaptive_max_pool{len(size)}d")
    y, index = pool(tnn.tensor(x), out, return_indices=True)
    np.testing.assert_array_equal(pool(tnn.tensor(x), out).numpy(), y.numpy())
    for n, c in np.ndindex(2, 3):
        values, places = windows_max(x[n, c].reshape((1,) * (3 - len(size)) + size), full)
        np.testing.assert_array_equal(y[n, c].numpy(), values.reshape(out))
        np.testing.assert_array_equal(index[n, c].numpy(), places.reshape(out))


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": (3, 4)}, {"padding": 1, "ceil_mode": True}])
def test_maxima_of_windows_far_apart(options):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 5, (2, 2, 11, 20)).astype(np.float64)
    x[0, 0][rng.random((11, 20)) < 0.1] = np.nan
    t = tnn.tensor(x, requires_grad=True)
    y, index = F.max_pool2d(t, 3, **options, return_indices=True)
    p, s = options.get("padding", 0), options.get("stride", (3, 3))
    bounds = [[(max(0, o * q - p), min(n, o * q - p + 3)) for o in range(m)]
              for n, m, q in zip((11, 20), y.shape[2:], s, strict=True)]  # fmt: skip
    for n, c in np.ndindex(2, 2):
        values, places = windows_max(x[n, c][None], [[(0, 1)], *bounds])
        np.testing.assert_array_equal(y[n, c].detach().numpy(), values[0])
        np.testing.assert_array_equal(index[n, c].numpy(), places[0])
    np.testing.assert_array_equal(F.max_pool2d(t.detach(), 3, **options).numpy(), y.detach().numpy())
    y.nan_to_num().sum().backward()
    count = np.zeros((2, 2, 220))
    np.add.at(count, (*np.indices(index.shape)[:2], index.numpy()), ~np.isnan(y.detach().numpy()))
    np.testing.assert_array_equal(t.grad.numpy().reshape(2, 2, 220), count)


@pytest.mark.parametrize("n", [3, 50, 121])
def test_maxima_of_signals_three_apart(n):
    x = np.random.default_rng(2).normal(size=(2, 2, n)).astype(np.float32)
    x[0, 0, n // 2] = np.nan
    for k, p in ((3, 0), (2, 1), (5, 2)):
        if n + 2 * p >= k:
            y = F.max_pool1d(tnn.tensor(x), k, 3, p).numpy()
            wide = np.pad(x, ((0, 0), (0, 0), (p, p)), constant_values=-np.inf)
            expected = [np.max(wide[..., i : i + k], -1) for i in range(0, wide.shape[-1] - k + 1, 3)]
            np.testing.assert_array_equal(y, np.stack(expected, -1))


# An image that ends where the memory does: reading one element more ends the process.
AT_THE_END = """
import ctypes, mmap
import subprocess
import sys

import numpy as np
import tnn
from tnn.nn import functional as F

size = mmap.PAGESIZE
room = mmap.mmap(-1, 2 * size)
start = ctypes.addressof(ctypes.c_char.from_buffer(room))
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), ctypes.c_size_t(size), 0) == 0
for shape in ((9, 1, 2, 2), (1, 5, 3, 1), (2, 3, 1, 5), (1, 2, 9, 7)):
    count = int(np.prod(shape))
    x = np.frombuffer(room, np.float32, count, size - 4 * count).reshape(shape)
    x[...] = np.arange(count).reshape(shape)
    image = tnn.from_numpy(x).requires_grad_()
    for m in (1, 2, 3, 7):
        y = F.adaptive_max_pool2d(image, m)
        assert y.max().item() == count - 1
        y.sum().backward()
        F.adaptive_max_pool2d(image.detach(), m), F.adaptive_avg_pool2d(image, m).sum().backward()
    F.max_pool2d(image, 3, 3, 1).sum().backward()


def at_the_end(*shape):
    count = int(np.prod(shape))
    x = np.frombuffer(room, np.float32, count, size - 4 * count).reshape(shape)
    x[...] = 1
    return tnn.from_numpy(x)


# Planes that are turned, pixels of channels side by side, signals.
for x in (at_the_end(1, 13, 7, 11), at_the_end(1, 6, 7, 13).movedim(-1, 1), at_the_end(1, 3, 3, 33).movedim(-1, 1)):
    x.requires_grad_()
    for options in ((2, 1), (3, 2, 1), (3, 3)):
        F.max_pool2d(x.detach(), *options)
        F.max_pool2d(x, *options).sum().backward()
        F.avg_pool2d(x, *options).sum().backward()
    F.adaptive_max_pool2d(x, (2, 3)).sum().backward()
    F.adaptive_avg_pool2d(x, (2, 3)).sum().backward()
for n in (5, 40, 100, 300):
    for step in (1, 2, 3, 4):
        F.max_pool1d(at_the_end(1, 3, n), 3, step, 1)
"""


def test_nothing_behind_an_image_is_read():
    assert subprocess.run([sys.executable, "-c", AT_THE_END], timeout=300).returncode == 0
