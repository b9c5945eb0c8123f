"""nonzero, masks, counting, unique, searchsorted."""

import numpy as np
import pytest

import tnn

from .views import check, leaf, sample

A = sample(3, 4)
M = np.random.RandomState(1).rand(3, 4) > 0.5


def test_nonzero():
    for a in (M, A * M, (A * M).astype(np.int32), M[None], M[:, :0]):
        x = tnn.tensor(a)
        np.testing.assert_array_equal(x.nonzero().numpy(), np.argwhere(a))
        np.testing.assert_array_equal(tnn.argwhere(x).numpy(), np.argwhere(a))
        for i, j in zip(x.nonzero(as_tuple=True), a.nonzero(), strict=True):
            np.testing.assert_array_equal(i.numpy(), j)
    assert tnn.tensor(1.0).nonzero().shape == (1, 0) and tnn.tensor(0.0).nonzero().shape == (0, 0)
    assert tnn.tensor(1.0).nonzero(as_tuple=True)[0].tolist() == [0]
    assert tnn.nonzero_static(tnn.tensor([0, 5, 6]), size=4).tolist() == [[1], [2], [-1], [-1]]
    with pytest.raises(RuntimeError, match="non-negative"):
        tnn.nonzero_static(tnn.tensor([1]), size=-1)


@pytest.mark.parametrize("shape", [(30000,), (3, 10000), (70, 3, 11, 9), (9000, 3), (3000, 1, 1)])
def test_nonzero_of_many(shape):
    rng = np.random.RandomState(0)
    for share in (0.0, 0.01, 0.6, 1.0):
        a = rng.rand(*shape) < share
        for x in (a, a * np.float32(-2), np.where(a, np.nan, -0.0), a.T):
            found = tnn.tensor(x).nonzero()
            assert found.numpy().flags.c_contiguous
            np.testing.assert_array_equal(found.numpy(), np.argwhere(x))
            for i, j in zip(tnn.tensor(x).nonzero(as_tuple=True), x.nonzero(), strict=True):
                np.testing.assert_array_equal(i.numpy(), j)


def test_masked_select_and_scatter():
    check(lambda x: x.masked_select(tnn.tensor(M)), lambda a: a[M], A, view=False)
    check(lambda x: x.masked_select(tnn.tensor(M[0])), lambda a: a[np.broadcast_to(M[0], a.shape)], A, view=False)
    check(
        lambda x: tnn.masked_select(x[:1], tnn.tensor(M)), lambda a: np.broadcast_to(a[:1], M.shape)[M], A, view=False
    )

    def scattered(a, s):
        a = a.copy()
        a[M] = s.reshape(-1)[: M.sum()]
        return a

    check(lambda x, s: x.masked_scatter(tnn.tensor(M), s), scattered, A, sample(3, 4, seed=2), view=False)
    x = tnn.zeros(3)
    assert x.masked_scatter_(tnn.tensor([True, False, True]), tnn.tensor([1.0, 2.0])).tolist() == [1, 0, 2]
    half = tnn.ones(2, dtype=tnn.bfloat16, requires_grad=True)
    half.masked_select(tnn.tensor([True, False])).sum().backward()
    assert half.grad.tolist() == [1, 0]
    for op, text in [
        (lambda: x.masked_select(x), "BoolTensor"), (lambda: x.masked_scatter(x, x), "boolean masks"),
        (lambda: x.masked_scatter(x > -1, x[:1]), "source < number of ones"),
        (lambda: x.masked_scatter(x > -1, x.int()), "same dtypes"),
        (lambda: x.masked_select(tnn.tensor([True, False])), "size of tensor"),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match=text):
            op()


def test_bincount():
    i = np.array([1, 5, 1, 0, 5, 5])
    for dtype in (np.int64, np.int32, np.uint8):
        assert tnn.bincount(tnn.tensor(i.astype(dtype))).tolist() == np.bincount(i).tolist()
    assert tnn.bincount(tnn.tensor(i), minlength=8).tolist() == [1, 2, 0, 0, 0, 3, 0, 0]
    w = np.arange(6, dtype=np.float32)
    weighted = tnn.tensor(i).bincount(tnn.tensor(w))
    assert weighted.dtype is tnn.float32 and weighted.tolist() == np.bincount(i, w).tolist()
    assert tnn.tensor(i).bincount(tnn.tensor(i)).dtype is tnn.float64
    assert tnn.bincount(tnn.zeros(0, dtype=tnn.int64)).shape == (0,)
    for op, text in [
        (lambda: tnn.bincount(tnn.tensor([1, -1])), "non-negative"), (lambda: tnn.bincount(tnn.tensor([[1]])), "1-d"),
        (lambda: tnn.bincount(tnn.tensor([1]), minlength=-1), "minlength"),
        (lambda: tnn.bincount(tnn.tensor([1]), tnn.ones(2)), "same length"),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match=text):
            op()
    with pytest.raises(NotImplementedError, match="Float"):
        tnn.bincount(tnn.tensor([1.0]))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize(("n", "most"), [(5003, 7), (70001, 100), (70001, 250), (5000, 4000)])
def test_counts_of_many(n, most, dtype):
    i = np.random.RandomState(0).randint(3, min(most, 250) if dtype == np.uint8 else most, n).astype(dtype)
    assert tnn.bincount(tnn.tensor(i), minlength=most).tolist() == np.bincount(i, minlength=most).tolist()
    for shift in (0, 50) if dtype == np.int64 else (0,):
        values, inverse, counts = tnn.tensor(i - shift).unique(return_inverse=True, return_counts=True)
        expected = np.unique(i - shift, return_inverse=True, return_counts=True)
        for have, want in zip((values, inverse, counts), expected, strict=True):
            np.testing.assert_array_equal(have.numpy(), want)
    i = i.astype(np.int64)
    i[n // 2] = -1
    with pytest.raises(RuntimeError, match="non-negative"):
        tnn.bincount(tnn.tensor(i))


def test_one_hot():
    one_hot = tnn.nn.functional.one_hot
    assert one_hot(tnn.tensor([[0, 2]])).tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert one_hot(tnn.tensor(1), 3).tolist() == [0, 1, 0] and one_hot(tnn.zeros(0, 2, dtype=tnn.int64), 3).shape == (
        0,
        2,
        3,
    )
    for x, n, text in [
        ([0, 2], 2, "smaller than num_classes"), ([0, -2], -1, "non-negative"), ([0.0], -1, "LongTensor"),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match=text):
            one_hot(tnn.tensor(x), n)
    with pytest.raises(RuntimeError, match="empty tensor"):
        one_hot(tnn.zeros(0, dtype=tnn.int64))


def test_unique():
    a = np.random.RandomState(0).randint(0, 5, (4, 6))
    for x in (tnn.tensor(a), tnn.tensor(a.astype(np.float32)), tnn.tensor(a).to(tnn.bfloat16)):
        values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
        expected = np.unique(a, return_inverse=True, return_counts=True)
        assert values.dtype is x.dtype and values.tolist() == expected[0].tolist()
        assert inverse.tolist() == expected[1].reshape(a.shape).tolist() and counts.tolist() == expected[2].tolist()
    b = np.array([[1, 2], [0, 5], [1, 2]])
    rows, counts = tnn.unique(tnn.tensor(b), dim=0, return_counts=True)
    assert rows.tolist() == [[0, 5], [1, 2]] and counts.tolist() == [1, 2]
    assert tnn.unique(tnn.tensor(b.T.copy()), dim=1, return_inverse=True)[1].tolist() == [1, 0, 1]
    assert tnn.unique(tnn.tensor([1.0, np.nan, np.nan])).shape == (3,)
    assert tnn.unique(tnn.zeros(0)).shape == (0,)


def test_unique_consecutive():
    x = tnn.tensor([3, 1, 1, 3, 3])
    values, inverse, counts = tnn.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([3, 1, 3], [0, 1, 1, 2, 2], [1, 2, 2])
    rows = tnn.tensor([[1, 2], [1, 2], [1, 3]])
    assert rows.unique_consecutive(dim=0).tolist() == [[1, 2], [1, 3]]
    assert rows.t().unique_consecutive(dim=1, return_counts=True)[1].tolist() == [2, 1]
    assert tnn.unique_consecutive(tnn.zeros(0)).shape == (0,)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_searchsorted(right, dtype):
    rng = np.random.RandomState(0)
    b, v = np.sort(rng.randint(0, 9, 6)).astype(dtype), rng.randint(-1, 10, (3, 5)).astype(dtype)
    side = "right" if right else "left"
    expected = np.searchsorted(b, v, side)
    assert tnn.searchsorted(tnn.tensor(b), tnn.tensor(v), right=right).tolist() == expected.tolist()
    assert tnn.bucketize(tnn.tensor(v), tnn.tensor(b), right=right).tolist() == expected.tolist()
    rows = np.sort(rng.randint(0, 9, (3, 6)), 1).astype(dtype)
    found = tnn.searchsorted(tnn.tensor(rows), tnn.tensor(v), side=side, out_int32=True)
    assert found.dtype is tnn.int32
    assert found.tolist() == [np.searchsorted(r, x, side).tolist() for r, x in zip(rows, v, strict=True)]
    many = rng.rand(5000) * 9
    np.testing.assert_array_equal(
        tnn.bucketize(tnn.tensor(many), tnn.tensor(b), right=right).numpy(), np.searchsorted(b, many, side)
    )


def test_searchsorted_corners():
    b = tnn.tensor([1.0, 2.0, 3.0])
    assert tnn.searchsorted(b, 2).item() == 1 and tnn.searchsorted(b, 2, right=True).item() == 2
    assert tnn.searchsorted(b, tnn.tensor([float("nan"), -float("inf")])).tolist() == [3, 0]
    assert tnn.searchsorted(tnn.tensor([3.0, 1.0]), tnn.tensor([2.0]), sorter=tnn.tensor([1, 0])).tolist() == [1]
    assert tnn.searchsorted(b, tnn.zeros(0)).shape == (0,) and tnn.bucketize(5, b).item() == 3
    for op, text in [
        (lambda: tnn.searchsorted(b, b, right=True, side="left"), "opposites"),
        (lambda: tnn.searchsorted(b, b, side="up"), "can only be 'left' or 'right'"),
        (lambda: tnn.searchsorted(b[None], b), "first N-1 dimensions"),
        (lambda: tnn.searchsorted(b[None], 2), "scalar only"),
        (lambda: tnn.searchsorted(b, b, sorter=tnn.tensor([0, 1, 3])), "out of range"),
        (lambda: tnn.searchsorted(b, b, sorter=tnn.tensor([0, 1])), "same size"),
        (lambda: tnn.searchsorted(b, b, sorter=b), "long dtype"),
        (lambda: tnn.bucketize(b, b[None]), "1 dimension"),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match=text):
            op()


def test_isin_and_unravel_index():
    assert tnn.isin(tnn.tensor([[1, 2], [3, 4]]), tnn.tensor([2, 4])).tolist() == [[False, True], [False, True]]
    assert tnn.isin(tnn.tensor([1.0, 2.0], dtype=tnn.bfloat16), 2, invert=True).tolist() == [True, False]
    assert tnn.isin(3, tnn.tensor([3])).item() is True
    rows, columns = tnn.unravel_index(tnn.tensor([[5, -1]]), (3, 4))
    assert rows.tolist() == [[1, 2]] and columns.tolist() == [[1, 3]]
    assert tnn.unravel_index(tnn.tensor(2), 5)[0].item() == 2
    for args, error in [((tnn.tensor([12]), (3, 4)), ValueError), ((tnn.tensor([1.0]), (3,)), TypeError),
                        ((tnn.tensor([1]), (-3,)), ValueError)]:  # fmt: skip
        with pytest.raises(error):
            tnn.unravel_index(*args)


def test_mask_of_a_view_of_a_leaf():
    x = leaf(A)
    x.t().masked_select(tnn.tensor(M.T.copy())).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), M.astype(float))


def test_searchsorted_in_nothing():
    assert tnn.searchsorted(tnn.zeros(0), tnn.ones(2)).tolist() == [0, 0]
    assert tnn.searchsorted(tnn.zeros(0, 3), tnn.ones(0, 2)).shape == (0, 2)


def test_searchsorted_by_keyword():
    s = tnn.tensor([1.0, 3.0, 5.0])
    assert tnn.searchsorted(sorted_sequence=s, input=tnn.tensor([2.0, 5.0])).tolist() == [1, 2]
    assert tnn.searchsorted(s, input=5, right=True).item() == 3


def test_different_elements():
    for values in ([3, 1, 3, 7, -2, 7], [10**15, -(10**15), 5, 5, 10**15, 5]):
        x = tnn.tensor(values)
        v, inverse, counts = tnn.unique(x, return_inverse=True, return_counts=True)
        expected = np.unique(values, return_inverse=True, return_counts=True)
        for got, wanted in zip((v, inverse, counts), expected, strict=True):
            assert got.tolist() == wanted.tolist()
        assert tnn.unique(x).tolist() == expected[0].tolist()
        assert [t.tolist() for t in tnn.unique(x, return_counts=True)] == [expected[0].tolist(), expected[2].tolist()]
    x = tnn.tensor([[1, 1], [2, 2], [1, 1]])
    v, inverse, counts = tnn.unique_consecutive(x, return_inverse=True, return_counts=True)
    assert (v.tolist(), inverse.tolist(), counts.tolist()) == ([1, 2, 1], [[0, 0], [1, 1], [2, 2]], [2, 2, 2])
    assert tnn.unique_consecutive(x).tolist() == [1, 2, 1]
    assert tnn.unique_consecutive(x, return_counts=True)[1].tolist() == [2, 2, 2]
