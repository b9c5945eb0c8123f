"""The entries that take and put by index: against NumPy, and what they decline."""

import math

import numpy as np
import pytest

import tnn
from tnn.kernels import _entry
from tnn.kernels._mask import found, joined, masked, selected
from tnn.kernels._pick import AMAX, AMIN, NEGATIVE, PROD, ROWS, SET, SUM, picked, placed

RNG = np.random.RandomState(0)
DTYPES = [np.float32, np.float64, np.int64, np.int32, np.int16, np.uint8, np.bool_]
SHAPES = [((5,), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 5), 1), ((2, 3, 5), -1), ((2, 3, 0), 1)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(_entry, "PATIENCE", 0)


def some(dtype, shape):
    return RNG.randint(-9, 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_takes_as_numpy_does(dtype, shape, dim):
    x, k = some(dtype, shape), shape[dim]
    many = list(shape)
    many[dim] = 7
    index = RNG.randint(0, k, many)
    np.testing.assert_array_equal(picked(x, dim, index, 0), np.take_along_axis(x, index, dim))
    part = tuple(slice(0, max(1, n - 1) if i != dim % len(shape) else n) for i, n in enumerate(shape))
    less = np.ascontiguousarray(index[part])
    for d in (x, np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        np.testing.assert_array_equal(picked(d, dim, index, 0), np.take_along_axis(x, index, dim))
        np.testing.assert_array_equal(picked(d, dim, less, 0), np.take_along_axis(x[part], less, dim))
    for rows in (RNG.randint(-k, k, 7), RNG.randint(-k, k, (2, 3)), np.empty(0, np.int64), np.array(-1)):
        result = picked(x, dim, rows, ROWS | NEGATIVE)
        assert result.dtype == dtype and result.flags.c_contiguous
        np.testing.assert_array_equal(result, np.take(x, rows, dim))
    if x.size:
        flat = RNG.randint(-x.size, x.size, (2, 3))
        np.testing.assert_array_equal(picked(x, None, flat, ROWS | NEGATIVE), np.take(x, flat))


COMBINED = (lambda old, v: v, lambda old, v: old + v, lambda old, v: old * v, max, min)


def by_hand(x, dim, index, src, op, rows):
    """The same, element by element."""
    y = x.copy()
    for at in np.ndindex(*src.shape):
        to = list(at)
        to[dim] = index[at[dim]] if rows else index[at]
        v, old = src[at], y[tuple(to)]
        y[tuple(to)] = COMBINED[op](old, v)
    return y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_puts_as_by_hand(dtype, shape, dim):
    x, k = some(dtype, shape), shape[dim]
    many = list(shape)
    many[dim] = 7
    src, index, rows = some(dtype, many), RNG.randint(0, k, many), RNG.randint(-k, k, 7)
    for op in (SET, SUM, PROD, AMAX, AMIN):
        if op != SET and dtype not in (np.float32, np.float64, np.int64):
            assert placed(x, dim, index, src, op) is None
            continue
        np.testing.assert_array_equal(placed(x, dim, index, src, op), by_hand(x, dim, index, src, op, False))
        part = tuple(slice(0, max(1, n - 1)) for n in index.shape)
        less = np.ascontiguousarray(index[part])
        want = by_hand(x, dim, less, src[part], op, False)
        for s in (src, np.asfortranarray(src), src[part]):
            np.testing.assert_array_equal(placed(x, dim, less, s, op), want)
        y = x.copy()
        assert placed(y, dim, less, src, op, None) is y
        np.testing.assert_array_equal(y, want)
        want = by_hand(x, dim, rows, src, op, True)
        np.testing.assert_array_equal(placed(x, dim, rows, src, ROWS | NEGATIVE | op), want)
        y = x.copy()
        assert placed(y, dim, rows, src, ROWS | NEGATIVE | op, None) is y
        np.testing.assert_array_equal(y, want)
    if dtype in (np.float32, np.float64, np.int64):
        want = by_hand(x, dim, index, np.full(many, 3, dtype), SET, False)
        np.testing.assert_array_equal(placed(x, dim, index, 3, SET), want)
        if x.size:
            y = x.copy()
            y.reshape(-1)[[-1, 0]] = [7, 8]
            given = np.array([7, 8], dtype)
            np.testing.assert_array_equal(placed(x, None, np.array([-1, 0]), given, ROWS | NEGATIVE | SET), y)


def test_nan_counts_as_extremum():
    x, src = np.array([1.0, np.nan, 3.0]), np.array([np.nan, 5.0, 2.0])
    i = np.arange(3)
    np.testing.assert_array_equal(placed(x, 0, i, src, AMAX), [np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(placed(x, 0, i, src, AMIN), [np.nan, np.nan, 2.0])


def test_declines_what_does_not_fit():
    x, i, r = np.zeros((2, 3), np.float32), np.zeros((2, 1), np.int64), np.array([0, 1])
    assert picked(x, 1, i, 0) is not None and picked(x, 0, r, ROWS) is not None
    for args in (
        (x, 2, i, 0), (x, -3, i, 0), (x, 2**70, i, 0), (x, "1", i, 0), (x, 1.0, i, 0), (x, 1, i.astype(np.int32), 0),
        (x, 1, i - 1, 0), (x, 1, i + 3, 0), (x, 0, r - 1, ROWS), (x, 0, r - 3, ROWS | NEGATIVE),
        (x, 1, np.zeros((3, 1), int), 0),
        (x, 0, r + 1, ROWS), (x, 1, r, 0), (x.T, 0, r, ROWS), (x[:, ::2], 0, r, ROWS), (x, 0, r[::-1], ROWS),
        (x[0, 0], 0, r, ROWS), (np.zeros(()), 0, r, ROWS), (np.zeros((2, 40000)), 0, r, ROWS), (None, 0, r, ROWS),
        (x, 0, None, ROWS), (x, 0, r, None), (x[:0], 0, r, ROWS), (x.astype(complex), 0, r, ROWS),
    ):  # fmt: skip
        assert picked(*args) is None, args[1:]
    src, rows, still = np.ones((2, 1), np.float32), np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    still.flags.writeable = False
    assert placed(x, 1, i, src, SET) is not None and placed(x, 0, r, rows, ROWS) is not None
    for args in (
        (x, 2, i, src, SET), (x, 1, i - 1, src, SET), (x, 1, i + 3, src, SET), (x, 1, i, src.astype(float), SET),
        (x, 1, i, src[:1], SET), (x, 1, i, src.T, SET), (x, 1, np.zeros((3, 1), int), src, SET),
        (x, 1, i, "1", SET), (x, 1, i, 1e39, SET), (x, 1, i, True, SET), (x, 1, i, None, SET),
        (x, 0, r - 1, rows, ROWS), (x, 0, i, rows, ROWS), (x, 0, r, rows[:1], ROWS), (x, None, r, src, SET),
        (x.T, 0, r, rows, ROWS), (still, 0, r, rows, ROWS, None), (x, 0, r, x, ROWS, None), (x, None, r, rows, ROWS),
        (x.astype(np.int64), 0, r, 1.5, ROWS), (r, 0, r, r, ROWS, None), (x.astype(np.int32), 0, r, 1, ROWS),
    ):  # fmt: skip
        assert placed(*args) is None, args[1:]
    assert not still.any() and r.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 0), (2, 3, 5), (40, 50)])
def test_masks(dtype, shape):
    x, mask = some(dtype, shape), RNG.rand(*shape) < 0.5
    for m in (mask, np.zeros_like(mask), np.ones_like(mask)):
        np.testing.assert_array_equal(selected(x, m), x[m])
        src, want = some(dtype, (x.size + 2,)), x.copy()
        want[m] = src[: m.sum()]
        np.testing.assert_array_equal(masked(x, m, src), want)
        y = x.copy()
        assert masked(y, m, src, None) is y
        np.testing.assert_array_equal(y, want)
        if dtype in (np.float32, np.float64, np.int64):
            want[m] = -3
            np.testing.assert_array_equal(masked(x, m, -3), want)
        for z in (m, np.where(m, x, 0)):
            if z.dtype in (np.float32, np.float64, np.int64, np.bool_):
                np.testing.assert_array_equal(found(z), np.argwhere(z))
                np.testing.assert_array_equal(found(z, True), np.array(z.nonzero()))


def test_masks_that_are_declined():
    x, m = np.zeros((2, 3), np.float32), np.ones((2, 3), bool)
    nan = np.array([np.nan, 0.0, -0.0, np.inf])
    assert found(nan).tolist() == [[0], [3]] and masked(x, m, -np.inf)[0, 0] == -np.inf
    for args in ((x, m[0]), (x, m.T), (x.T, m), (x, x), (None, m), (x, None), (x[:, ::2], m[:, ::2])):
        assert selected(*args) is None and masked(*args, 1.0) is None
    for src in (np.zeros(6), np.zeros(5, np.float32), 1e39, True, None, "1"):
        assert masked(x, m, src) is None
    assert masked(x, m, x, None) is None and masked(m.copy(), m, 1) is None
    assert found(x.astype(np.int16)) is None and found(x.T) is None and found(np.zeros(())) is None


def test_pairs_of_indices():
    x = some(np.float32, (4, 6, 2))
    for i, j in (
        ([1, -1], [0, 5]), ([[1], [-4]], [0, -6, 2]), ([1], [[2], [3]]), (np.arange(4)[::-2], [[1, 2], [3, 4]]),
    ):  # fmt: skip
        i, j = np.array(i), np.array(j)
        rows, columns = np.broadcast_arrays(i % 4, j % 6)
        np.testing.assert_array_equal(joined(i, j, x), rows * 6 + columns)
    a = np.array([0, 1])
    for i, j in (([4, 0], a), (a, [0, 6]), ([-5, 0], a), (a, [-7, 0])):
        assert joined(np.array(i), np.array(j), x).size == 0
    for i, j in ((a, a.astype(np.int32)), (a, np.arange(3)), (a, a[:0]), (a, None), (None, a), (a, np.array(1))):
        assert joined(i, j, x) is None
    assert joined(a, a, x[0, 0]) is None


def test_operations_find_them(monkeypatch):
    """What operations give by the entries is what they give without, gradients too."""
    x = tnn.randn(4, 6)
    i, r, flat = tnn.randint(0, 6, (4, 3)), tnn.randint(0, 4, (5,)), tnn.randint(-24, 24, (3,))
    src, rows, m = tnn.randn(4, 3), tnn.randn(5, 6), tnn.randn(4, 6) < 0

    def assign(key, value):
        def call(t, s, v):
            y = t * 1
            y[key] = value
            return y

        return call

    calls = [
        lambda t, s, v: t.gather(1, i), lambda t, s, v: t.scatter(1, i, s), lambda t, s, v: t.scatter(1, i, 2.0),
        lambda t, s, v: t.scatter_add(1, i, s), lambda t, s, v: t.scatter_reduce(1, i, s, "amax"),
        lambda t, s, v: t.index_select(0, r), lambda t, s, v: t.index_add(0, r, v), lambda t, s, v: t[r],
        lambda t, s, v: t.index_copy(0, r, v), lambda t, s, v: t.index_fill(0, r, 3.0), lambda t, s, v: t.take(flat),
        lambda t, s, v: tnn.nn.functional.embedding(r, t), lambda t, s, v: (t * 1).scatter_(1, i, s),
        lambda t, s, v: (t * 1).index_add_(0, r, v), lambda t, s, v: (t * 1).put_(flat, s[0]),
        lambda t, s, v: t[m], lambda t, s, v: t[m[:, 0]], lambda t, s, v: t.masked_select(m), lambda t, s, v: t[:, r],
        lambda t, s, v: t.masked_fill(m, 2.0), lambda t, s, v: t.masked_scatter(m, v),
        lambda t, s, v: t[r[:4], i[:, 0]], lambda t, s, v: t[r[:4, None], i[:, 0]],
        lambda t, s, v: (t * 1).masked_scatter_(m, v), assign(m, 4.0),
        lambda t, s, v: (t * 1).masked_fill_(m, -math.inf), assign((r[:4], i[:, 0]), 4.0),
        assign((r, flat[:1] % 6), 1.0), lambda t, s, v: t.index_put((r,), v),
        lambda t, s, v: t.index_put((r,), v, True), lambda t, s, v: t.take_along_dim(i, 1),
        lambda t, s, v: t.index_reduce(0, r, v, "prod"), lambda t, s, v: (t * 1).index_put_((r,), v, True),
    ]  # fmt: skip

    def results(grad):
        values = []
        for call in calls:
            leaves = [a.clone().requires_grad_(grad) for a in (x, src, rows)]
            out = call(*leaves)
            values.append(out.tolist())
            if grad:
                (out * tnn.arange(out.numel()).reshape(out.shape)).sum().backward()
                values += [None if leaf.grad is None else leaf.grad.tolist() for leaf in leaves]
        return values

    short = [results(grad) for grad in (False, True)]
    for name in ("gather", "index_select", "indexing", "embedding", "search", "pointwise_select"):
        module = __import__(f"tnn.ops.{name}", fromlist=["x"])
        for entry in ("picked", "placed", "selected", "masked", "found", "joined"):
            if hasattr(module, entry):
                monkeypatch.setattr(module, entry, lambda *args: None)
    assert short == [results(grad) for grad in (False, True)]
