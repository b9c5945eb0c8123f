"""Sorting rows, the first of rows, and binary search."""

import numpy as np
import pytest

from tnn.kernels import sort as kernels

pytestmark = [pytest.mark.boundscheck, pytest.mark.nojit]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 96), (2, 97), (1, 500), (60, 100)])
def test_sort_rows(shape, dtype):
    x = (np.random.RandomState(0).randn(*shape) * 10).astype(dtype)  # as integers, with many equal ones
    kind = kernels.FLOAT if x.dtype.kind == "f" else kernels.SIGNED
    for descending in (False, True):
        order = np.full(shape, -1, np.int64)
        bits, values = x.view(f"u{x.itemsize}"), np.zeros_like(x)
        kernels.sort_rows(bits, order, values.view(bits.dtype), kind, descending)
        np.testing.assert_array_equal(values, np.take_along_axis(x, order, 1))
        expected = np.argsort(-x if descending else x, 1, kind="stable")
        np.testing.assert_array_equal(order, expected)
        k = min(shape[1], 5)
        top = np.full((shape[0], k), -1, np.int64)
        kernels.top_rows(x.view(f"u{x.itemsize}"), top, kind, descending)
        np.testing.assert_array_equal(top, expected[:, :k])


def test_unsigned_and_special():
    x = np.array([[3, 2**32 - 1, 0, 2**31]], np.uint32)
    order = np.zeros((1, 4), np.int64)
    kernels.sort_rows(x, order, x[:0], kernels.UNSIGNED, False)
    assert order.tolist() == [[2, 0, 3, 1]]
    f = np.array([[np.nan, -np.inf, 0.0, -0.0, np.inf, -np.nan]], np.float32)
    order = np.zeros((1, 6), np.int64)
    kernels.sort_rows(f.view(np.uint32), order, f.view(np.uint32)[:0], kernels.FLOAT, False)
    assert order.tolist() == [[1, 2, 3, 4, 0, 5]]
    kernels.sort_rows(f.view(np.uint32), order, f.view(np.uint32)[:0], kernels.FLOAT, True)
    assert order.tolist() == [[0, 5, 4, 2, 3, 1]]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("n", [5, 3000])
def test_search_rows(rows, n):
    rng = np.random.RandomState(0)
    b, v = (
        np.sort(rng.randint(0, 20, (rows, 9)), 1).astype(np.float64),
        rng.randint(-1, 21, (rows, n)).astype(np.float64),
    )
    for right in (False, True):
        out = np.full(v.shape, -1, np.int64)
        kernels.search_rows(b, v, out, right)
        for r in range(rows):
            np.testing.assert_array_equal(out[r], np.searchsorted(b[r], v[r], "right" if right else "left"))
