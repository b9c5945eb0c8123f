"""gather, scatter, scatter_add, scatter_reduce, take_along_dim."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

from .views import check, leaf, sample

A = sample(3, 4, 2)
RNG = np.random.RandomState(3)
# (dim, index): smaller than the input, larger along dim, with equal indices
INDICES = [(0, RNG.randint(0, 3, (5, 4, 2))), (1, RNG.randint(0, 4, (2, 3, 2))), (2, RNG.randint(0, 2, (3, 2, 4)))]


def grid(index, dim):
    """What indexes, in NumPy, the elements that gather takes."""
    out = list(np.indices(index.shape))
    out[dim] = index
    return tuple(out)


@pytest.mark.parametrize(("dim", "index"), INDICES)
def test_gather(dim, index):
    check(lambda x: x.gather(dim, tnn.tensor(index)), lambda a: a[grid(index, dim)], A, view=False)
    narrow = tnn.tensor(index.astype(np.int32))
    np.testing.assert_array_equal(tnn.gather(tnn.tensor(A), dim, narrow).numpy(), A[grid(index, dim)])


@pytest.mark.parametrize(("dim", "index"), INDICES)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(name, dim, index, include_self):
    src = sample(*(n + 1 for n in index.shape), seed=7) + 0.125

    def reference(a, s):
        out, count = a.copy(), np.full(a.shape, int(include_self))
        for place in np.ndindex(index.shape):
            target = list(place)
            target[dim] = index[place]
            target = tuple(target)
            v = s[place]
            if not count[target]:
                out[target] = v
            elif name in ("sum", "mean"):
                out[target] += v
            elif name == "prod":
                out[target] *= v
            else:
                out[target] = max(out[target], v) if name == "amax" else min(out[target], v)
            count[target] += 1
        if name != "mean":
            return out
        count = np.maximum(count, 1)
        return out // count if out.dtype.kind == "i" else out / count

    op = lambda x, s: x.scatter_reduce(dim, tnn.tensor(index), s, name, include_self=include_self)  # noqa: E731
    check(op, reference, A, src, view=False)


def test_scatter_reduce_with_one_zero():
    index = tnn.tensor([0, 0, 1, 1, 1])
    op = lambda x, s: x.scatter_reduce(0, index, s, "prod")  # noqa: E731
    for x, s in (([2.0, 0.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0]), ([2.0, 3.0, 4.0], [0.0, 2.0, 3.0, 4.0, 5.0])):
        gradcheck(op, (leaf(x), leaf(s)))
        gradgradcheck(op, (leaf(x), leaf(s)))


def test_scatter_reduce_of_zeros_and_ties():
    index = tnn.tensor([0, 0, 1, 1, 1])
    op = lambda x, s: x.scatter_reduce(0, index, s, "prod")  # noqa: E731
    x, s = leaf([0.0, 2.0, 1.0]), leaf([3.0, 4.0, 0.0, 5.0, 0.0])
    op(x, s).sum().backward()
    assert x.grad.tolist() == [12, 0, 1] and s.grad.tolist() == [0, 0, 0, 0, 0]
    (g,) = tnn.autograd.grad(op(x, s).sum(), s, create_graph=True)
    with pytest.raises(RuntimeError, match="more than one zero"):
        g.sum().backward()
    x, s = leaf([5.0, 2.0]), leaf([5.0, 1.0, 2.0, 2.0])
    x.scatter_reduce(0, tnn.tensor([0, 0, 1, 1]), s, "amax").sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.5, 1 / 3])
    np.testing.assert_allclose(s.grad.numpy(), [0.5, 0, 1 / 3, 1 / 3])
    nan = tnn.zeros(1).scatter_reduce(0, tnn.tensor([0, 0]), tnn.tensor([float("nan"), 1.0]), "amax")
    assert np.isnan(nan.item())


@pytest.mark.parametrize(("dim", "index"), INDICES)
def test_scatter_add(dim, index):
    def reference(a, s):
        out = a.copy()
        np.add.at(out, grid(index, dim), s)
        return out

    check(lambda x, s: x.scatter_add(dim, tnn.tensor(index), s), reference, A, sample(*index.shape, seed=8), view=False)


def different(shape, dim, seed=0):
    """Indices that are all different along a dimension."""
    return np.argsort(np.random.RandomState(seed).rand(*shape), dim)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_scatter(dim):
    index = different(A.shape, dim)[:2, :2, :2] if dim != 1 else different(A.shape, dim)[:2, :, :1]

    def reference(a, s):
        out = a.copy()
        out[grid(index, dim)] = s[: index.shape[0], : index.shape[1], : index.shape[2]]
        return out

    op = lambda x, s: x.scatter(dim, tnn.tensor(index), s)  # noqa: E731
    src = sample(3, 4, 2, seed=9)
    gradcheck(op, (leaf(A), leaf(src)))
    gradgradcheck(op, (leaf(A), leaf(src)))
    np.testing.assert_array_equal(op(tnn.tensor(A), tnn.tensor(src)).numpy(), reference(A, src))
    check(lambda x: x.scatter(dim, tnn.tensor(index), 3), lambda a: reference(a, np.full(A.shape, 3)), A, view=False)


def test_scatter_with_reduction_and_in_place():
    index = tnn.tensor([[0, 1, 0]])
    x = tnn.ones(2, 3)
    assert x.scatter(0, index, tnn.full((1, 3), 2.0), reduce="add").tolist() == [[3, 1, 3], [1, 3, 1]]
    assert x.scatter(0, index, 5, reduce="multiply").tolist() == [[5, 1, 5], [1, 5, 1]]
    assert x.scatter(0, index, value=4).tolist() == [[4, 1, 4], [1, 4, 1]]
    assert x.scatter_(0, index, 0) is x and x.tolist() == [[0, 1, 0], [1, 0, 1]]
    assert x.scatter_add_(0, index, tnn.ones(1, 3)).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert x.scatter_reduce_(0, index, tnn.full((1, 3), 3.0), "amax").tolist() == [[3, 1, 3], [1, 3, 1]]


def test_dtypes():
    index = tnn.tensor([1, 0, 1])
    for dtype in tnn.dtypes.ALL:
        x = tnn.tensor(np.array([0, 1, 1]).astype(dtype.np))
        assert x.gather(0, index).dtype is dtype and x.gather(0, index).tolist() == [
            x[1].item(),
            x[0].item(),
            x[1].item(),
        ]
        if dtype is not tnn.bool:
            total = tnn.zeros(2, dtype=dtype).scatter_add(0, index, tnn.ones(3, dtype=dtype))
            assert total.dtype is dtype and total.tolist() == [1, 2]
    h = tnn.ones(2, dtype=tnn.float16, requires_grad=True)
    h.gather(0, index).sum().backward()
    assert h.grad.dtype is tnn.float16 and h.grad.tolist() == [1, 2]
    mean = tnn.zeros(2, dtype=tnn.bfloat16).scatter_reduce(0, index, tnn.ones(3, dtype=tnn.bfloat16), "mean")
    assert mean.dtype is tnn.bfloat16


def test_no_dimensions_and_no_elements():
    x = tnn.tensor(5.0, requires_grad=True)
    assert x.gather(0, tnn.tensor(0)).shape == () and x.gather(0, tnn.tensor([0, 0])).tolist() == [5, 5]
    x.gather(0, tnn.tensor([0, 0])).sum().backward()
    assert x.grad.item() == 2
    assert tnn.tensor(1.0).scatter(0, tnn.tensor(0), 3).item() == 3
    assert tnn.zeros(2, 3).gather(1, tnn.zeros(0, dtype=tnn.int64)).shape == (0,)
    assert tnn.ones(2).scatter_add(0, tnn.zeros(0, dtype=tnn.int64), tnn.ones(2)).tolist() == [1, 1]


def test_index_may_change_before_backward():
    x, index = leaf(A[0]), tnn.tensor([[0, 1]])
    y = x.gather(0, index).sum() + x.index_select(0, index[0]).sum() + x[index[0]].sum()
    index.fill_(3)
    y.backward()
    assert x.grad.tolist() == [[3, 2], [2, 3], [0, 0], [0, 0]]


def test_take_along_dim():
    index = np.array([[[0], [3], [-1]]])
    check(
        lambda x: x.take_along_dim(tnn.tensor(index), 1),
        lambda a: np.take_along_axis(a, np.broadcast_to(index, (3, 3, 2)), 1), A,
    )  # fmt: skip
    check(lambda x: tnn.take_along_dim(x, tnn.tensor([5, 0])), lambda a: a.reshape(-1)[[5, 0]], A)


def test_large():
    """Enough elements for the parallel kernels; dimensions first and last."""
    a = np.random.RandomState(0).rand(300, 200)
    for dim in (0, 1):
        index = np.random.RandomState(1).randint(0, 200, (300, 200))
        x = leaf(a)
        y = x.gather(dim, tnn.tensor(index))
        np.testing.assert_array_equal(y.detach().numpy(), np.take_along_axis(a, index, dim))
        (y * tnn.tensor(a)).sum().backward()
        expected = np.zeros_like(a)
        np.add.at(expected, grid(index, dim), a)
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)
        order = different(a.shape, dim)
        out = tnn.zeros(300, 200, dtype=tnn.float64).scatter(dim, tnn.tensor(order), tnn.tensor(a))
        expected = np.zeros_like(a)
        np.put_along_axis(expected, order, a, dim)
        np.testing.assert_array_equal(out.numpy(), expected)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (lambda x, i: x.gather(1, i + 4), "index 4 is out of bounds for dimension 1 with size 4"),
        (lambda x, i: x.gather(1, i - 1), "index -1 is out of bounds"),
        (lambda x, i: x.gather(0, i[0]), "same number of dimensions as input"),
        (lambda x, i: x.gather(1, tnn.zeros(9, 1, dtype=tnn.int64)), "Size does not match at dimension 0"),
        (lambda x, i: x.gather(1, i.float()), "int32/int64"),
        (lambda x, i: x.scatter(0, i + 3, x), "index 3 is out of bounds"),
        (lambda x, i: x.scatter(0, i, x[:0]), "no larger size than src"),
        (lambda x, i: x.scatter(0, i, x[0]), "same number of dimensions as src"),
        (lambda x, i: x.scatter(0, i, x.int()), "self.dtype to be equal to src.dtype"),
        (lambda x, i: x.scatter(0, i, x, reduce="zz"), "add or multiply"),
        (lambda x, i: x.scatter_add(0, i, x.double()), "equal to src.dtype"),
        (lambda x, i: x.scatter_add(0, i + 9, x), "out of bounds"),
        (lambda x, i: x.scatter_reduce(0, i, x, "zz"), "got zz"),
        (lambda x, i: x.scatter_reduce(0, i - 1, x, "sum"), "out of bounds"),
        (lambda x, i: x.take_along_dim(i[0], 0), "same number of dimensions"),
        (lambda x, i: x.take_along_dim(i.int(), 0), "should be Long but got Int"),
        (lambda x, i: x.take_along_dim(i + 3, 0), "out of bounds"),
    ],
)  # fmt: skip
def test_bad_arguments(op, text):
    with pytest.raises(RuntimeError, match=text):
        op(tnn.zeros(3, 4), tnn.zeros(3, 4, dtype=tnn.int64))
    with pytest.raises(IndexError, match="Dimension out of range"):
        tnn.zeros(3, 4).gather(2, tnn.zeros(3, 4, dtype=tnn.int64))


@pytest.mark.parametrize(
    "op",
    [
        lambda x, i, v: x.scatter_add(0, i, v),
        lambda x, i, v: x.scatter_add_(0, i, v),
        lambda x, i, v: x.scatter_reduce(0, i, v, "sum"),
        lambda x, i, v: x.scatter_reduce_(0, i, v, "prod"),
    ],
)
def test_a_number_is_no_source(op):
    x, i = tnn.zeros(3, 4), tnn.zeros(3, 4, dtype=tnn.int64)
    for _ in range(120):  # the entry is there, too
        op(x, i, tnn.ones(3, 4))
    with pytest.raises(TypeError, match="argument 'src' .* must be Tensor, not float"):
        op(x, i, 2.0)


@pytest.mark.parametrize("shape", [(80, 600), (3, 200, 90)])
def test_many_into_a_copy(shape):
    rng = np.random.default_rng(1)
    x, src = rng.normal(size=shape), rng.normal(size=shape)
    for dim in range(len(shape)):
        index = rng.integers(0, shape[dim], shape)
        grid = list(np.indices(shape))
        grid[dim] = index
        want = x.copy()
        np.add.at(want, tuple(grid), src)
        leaves = [tnn.tensor(v, requires_grad=True) for v in (x, src)]
        got = leaves[0].scatter_add(dim, tnn.tensor(index), leaves[1])
        np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-13, atol=1e-13)
        up = rng.normal(size=shape)
        got.backward(tnn.tensor(up))
        np.testing.assert_array_equal(leaves[0].grad.numpy(), up)
        np.testing.assert_array_equal(leaves[1].grad.numpy(), np.take_along_axis(up, index, dim))
        want_last = x.copy()  # of equals the last stays
        for at in np.ndindex(*shape):
            to = list(at)
            to[dim] = index[at]
            want_last[tuple(to)] = src[at]
        got = tnn.tensor(x).scatter(dim, tnn.tensor(index), tnn.tensor(src))
        np.testing.assert_array_equal(got.numpy(), want_last)
        with pytest.raises(RuntimeError, match="out of bounds"):
            tnn.tensor(x).scatter_add(dim, tnn.tensor(index + 1), tnn.tensor(src))
