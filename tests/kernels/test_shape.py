"""Triangles, fills and copies, serial and parallel."""

import numpy as np
import pytest

from tnn.kernels import _entry
from tnn.kernels import shape as kernels
from tnn.kernels._copy import contiguous_copy, fill, flipped_rows, in_zeros, repeated, rolled

pytestmark = [pytest.mark.boundscheck, pytest.mark.nojit]


def bits(*shape):
    return np.random.RandomState(0).randint(1, 2**31, shape).astype(np.uint32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (2, 5, 3), (3, 110, 101)])
def test_triangle(shape):
    x = bits(*shape)
    for diagonal in (-shape[1], -1, 0, 2, shape[2]):
        for upper, reference in ((False, np.tril), (True, np.triu)):
            y = np.full_like(x, 7)
            kernels.triangle(x, y, diagonal, upper)
            np.testing.assert_array_equal(y, reference(x, diagonal))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40000), (3, 5), (300, 120)])
def test_place(shape):
    x = bits(*shape)
    y = np.zeros((shape[0], shape[1] + 7), np.uint32)
    kernels.place(x, y, 4)
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (4, 3))))


DTYPES = [np.uint8, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 121), (2, 3, 21, 34), (2, 40001)])
def test_reversed_and_turned_rows(shape, dtype):
    x = (bits(*shape) % 1000).astype(dtype)
    np.testing.assert_array_equal(flipped_rows(x), x[..., ::-1])
    for dim in range(len(shape)):
        for turn in (0, 1, -2, shape[dim] + 3):
            np.testing.assert_array_equal(rolled(x, turn, dim), np.roll(x, turn, dim))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 121), (2, 3, 21, 34), (2, 40001)])
def test_a_part_in_zeros(shape, dtype):
    x = (bits(*shape) % 1000).astype(dtype)
    for dim, n in enumerate(shape):
        for start, stop in ((0, 1), (n - 1, n), (n // 3, n), (0, n), (n // 2, n // 2 + 1)):
            key = (slice(None),) * dim + (slice(start, stop),)
            expected = np.zeros_like(x)
            expected[key] = x[key]
            result = in_zeros(np.ascontiguousarray(x[key]), shape, dim, start)
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("repeats", [(3,), (1, 2), (2, 1, 2), (2, 3, 1)])
@pytest.mark.parametrize("shape", [(5,), (7, 1), (1, 9), (50, 200), (33000,)])
def test_repeated(shape, repeats, dtype):
    repeats = (1,) * (len(shape) - len(repeats)) + repeats
    x = (bits(*shape) % 1000).astype(dtype)
    expected = np.tile(x, repeats)
    np.testing.assert_array_equal(repeated(x, repeats, expected.shape), expected)


@pytest.mark.parametrize(
    ("shape", "order"),
    [((70, 65), (1, 0)), ((2, 3, 700), (0, 2, 1)), ((3, 64, 2, 32), (0, 1, 3, 2)), ((8, 5, 7, 40), (0, 2, 1, 3)),
     ((2, 300, 129), (2, 1, 0)), ((3, 4, 5, 6, 16), (4, 1, 3, 0, 2)), ((7, 600, 2), (0, 2, 1)), ((4, 2, 2, 33, 31),
     (0, 3, 1, 4, 2))],
)  # fmt: skip
def test_contiguous_copy_of_permuted_dimensions(shape, order):
    for dtype in (np.uint32, np.float64):
        d = bits(*shape).astype(dtype).transpose(order)
        copy = contiguous_copy(d)
        assert copy.flags.c_contiguous and copy.dtype == d.dtype
        np.testing.assert_array_equal(copy, d)


def test_contiguous_copy_of_steps_parts_and_repetitions():
    x = bits(60, 50, 40)
    repeated = np.broadcast_to(bits(50, 1), (90, 50, 40)).transpose(2, 0, 1)
    parts = x[::2, 3:45, ::3], x[:, :, 5], x[5:, ::-1], x[:, 1:40, 1:]
    for d in (*parts, repeated, repeated[:, :, ::2], x, repeated[:1, :1, :1]):
        np.testing.assert_array_equal(contiguous_copy(d), d)
    one = np.broadcast_to(bits(1, 1), (300, 200))
    rows = np.broadcast_to(bits(300, 1), (300, 200))
    for d in (one, rows, rows.T):
        np.testing.assert_array_equal(contiguous_copy(d), d)
    mask = (x > 2**30).transpose(2, 0, 1)
    np.testing.assert_array_equal(contiguous_copy(mask), mask)


FILLED = [(np.uint8, 255), (np.float16, -1.5), (np.int32, -7), (np.float64, np.nan), (np.float64, 1e-300)]
FILLED += [(np.float32, v) for v in (0, 0.0, -0.0, 7, True, np.inf)]


@pytest.mark.parametrize("n", [0, 5, 300_003])
@pytest.mark.parametrize(("dtype", "value"), FILLED)
def test_fill(dtype, value, n):
    y = np.ones(n + 2, dtype)
    fill(y[1:-1], value)
    expected = np.ones(n + 2, dtype)
    expected[1:-1] = value
    assert y.tobytes() == expected.tobytes()


def test_fill_without_a_dispatcher(monkeypatch):
    monkeypatch.setattr(_entry, "PATIENCE", 0)
    for dtype in (np.float32, np.float64, np.int64, np.uint8, np.float16):
        x = np.zeros((130, 1100), dtype)
        for value in (3, 0, 2.5 if x.dtype.kind == "f" else 7, -1 if dtype != np.uint8 else 255, -0.0):
            fill(x, value)
            expected = np.full(x.shape, value).astype(dtype)
            np.testing.assert_array_equal(x, expected)
            assert x.dtype.kind != "f" or (np.signbit(x) == np.signbit(expected)).all()
