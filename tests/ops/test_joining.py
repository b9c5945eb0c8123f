"""cat, stack, split and what is made of them."""

import numpy as np
import pytest

import tnn

from .views import check, check_view_updates, leaf, sample

A, B = sample(2, 3, seed=1), sample(2, 3, seed=2)

CASES = {
    "cat": (lambda x, y: tnn.cat([x, y]), lambda a, b: np.concatenate([a, b])),
    "cat of one twice": (lambda x, y: tnn.cat((x, y, x), 1), lambda a, b: np.concatenate([a, b, a], 1)),
    "cat of strides": (lambda x, y: tnn.cat([x.t(), y.t()], -1), lambda a, b: np.concatenate([a.T, b.T], 1)),
    "stack": (lambda x, y: tnn.stack([x, y]), lambda a, b: np.stack([a, b])),
    "stack at the end": (lambda x, y: tnn.stack([x, y, x], -1), lambda a, b: np.stack([a, b, a], -1)),
    "hstack": (lambda x, y: tnn.hstack([x, y]), lambda a, b: np.hstack([a, b])),
    "vstack": (lambda x, y: tnn.vstack([x, y[0]]), lambda a, b: np.vstack([a, b[0]])),
    "dstack": (lambda x, y: tnn.dstack([x, y]), lambda a, b: np.dstack([a, b])),
    "column_stack": (lambda x, y: tnn.column_stack([x[:, 0], y]), lambda a, b: np.column_stack([a[:, 0], b])),
    "block_diag": (
        lambda x, y: tnn.block_diag(x, y[0]),
        lambda a, b: np.block([[a, np.zeros((2, 3))], [np.zeros((1, 3)), b[:1]]]).astype(a.dtype),
    ),
    "meshgrid": (
        lambda x, y: tnn.meshgrid(x[:, 0], y[0], indexing="ij"),
        lambda a, b: tuple(np.meshgrid(a[:, 0], b[0], indexing="ij")),
    ),
    "meshgrid xy": (
        lambda x, y: tnn.meshgrid([x[:, 0], y[0]], indexing="xy"), lambda a, b: tuple(np.meshgrid(a[:, 0], b[0])),
    ),
    "cartesian_prod": (
        lambda x, y: tnn.cartesian_prod(x[:, 0], y[0]), lambda a, b: np.array([[i, j] for i in a[:, 0] for j in b[0]]),
    ),
    "split": (lambda x, y: x.split(2, 1), lambda a, b: tuple(np.split(a, [2], 1))),
    "split of sizes": (lambda x, y: tnn.split(x, [1, 0, 2], 1), lambda a, b: (a[:, :1], a[:, :0], a[:, 1:])),
    "chunk": (lambda x, y: x.chunk(2, -1), lambda a, b: (a[:, :2], a[:, 2:])),
    "unbind": (lambda x, y: x.unbind(1), lambda a, b: (a[:, 0], a[:, 1], a[:, 2])),
    "unbind into one": (lambda x, y: x[:1].unbind(), lambda a, b: (a[0],)),
    "tensor_split": (lambda x, y: tnn.tensor_split(x, 2, 1), lambda a, b: (a[:, :2], a[:, 2:])),
    "tensor_split at": (
        lambda x, y: x.tensor_split((1, 5, 2), 1), lambda a, b: (a[:, :1], a[:, 1:], a[:, 3:], a[:, 2:]),
    ),
    "hsplit": (lambda x, y: x.hsplit(3), lambda a, b: tuple(np.hsplit(a, 3))),
    "vsplit": (lambda x, y: x.vsplit(2), lambda a, b: tuple(np.vsplit(a, 2))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_numpy_with_gradients(name):
    op, reference = CASES[name]
    if name.startswith(("split", "chunk", "unbind", "tensor_split", "hsplit", "vsplit")):
        check(lambda x: op(x, None), lambda a: reference(a, None), A, view=True)
    else:
        check(op, reference, A, B)


def test_changes_in_place_of_a_part():
    check_view_updates(lambda x: x.split(2, 1)[0], A)
    check_view_updates(lambda x: x.unbind(1)[1], A)


def test_dtypes_are_promoted():
    x, i = tnn.ones(2, requires_grad=True), tnn.tensor([1, 2])
    for op in (tnn.cat, tnn.stack):
        y = op([i, x, tnn.ones(2, dtype=tnn.bfloat16)])
        assert y.dtype is tnn.float32
        y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    h = tnn.ones(2, dtype=tnn.bfloat16, requires_grad=True)
    tnn.cat([h, x]).sum().backward()
    assert h.grad.dtype is tnn.bfloat16 and h.grad.tolist() == [1, 1]
    assert tnn.cat([h, tnn.ones(1, dtype=tnn.float16)]).dtype is tnn.float32


def test_empty_parts():
    x, e = leaf(A), tnn.zeros(0, dtype=tnn.float64, requires_grad=True)
    y = tnn.cat([e, x, e], 1)
    y.sum().backward()
    assert y.shape == (2, 3) and e.grad.shape == (0,) and x.grad.tolist() == np.ones((2, 3)).tolist()
    assert tnn.cat([e, e]).shape == (0,)
    assert [p.shape for p in tnn.zeros(0, 2).split(0)] == [(0, 2)]
    assert [p.shape for p in tnn.zeros(0, 2).chunk(3)] == [(0, 2)] * 3


def test_large():
    """Enough elements for the parallel kernel."""
    a, b = sample(40, 30, 50, seed=1), sample(40, 30, 50, seed=2)
    x, y = tnn.tensor(a), tnn.tensor(b.swapaxes(1, 2).copy()).mT
    for dim in range(3):
        np.testing.assert_array_equal(tnn.cat([x, y[:, :, :50]], dim).numpy(), np.concatenate([a, b], dim))
        np.testing.assert_array_equal(tnn.stack([y, x], dim).numpy(), np.stack([b, a], dim))
    np.testing.assert_array_equal(tnn.stack([y, x], -1).numpy(), np.stack([b, a], -1))
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        tnn.cat([x, y[:, :20]], 2)


def test_only_wanted_gradients():
    x, y = leaf(A), tnn.tensor(B)
    tnn.stack([x, y]).sum().backward()
    tnn.cat([y, x]).sum().backward()
    assert x.grad.tolist() == np.full((2, 3), 2.0).tolist() and y.grad is None
    parts = x.unbind()
    parts[0].sum().backward()
    assert x.grad.tolist() == [[3, 3, 3], [2, 2, 2]]


def test_out():
    out = tnn.zeros(4, 3, dtype=tnn.float64)
    assert tnn.cat([tnn.tensor(A), tnn.tensor(B)], out=out) is out
    np.testing.assert_array_equal(out.numpy(), np.concatenate([A, B]))
    with pytest.raises(RuntimeError, match="out="):
        tnn.cat([leaf(A)], out=out)


def test_at_least():
    s, v, m = tnn.tensor(1.0), tnn.zeros(2), tnn.zeros(2, 3)
    assert tnn.atleast_1d(s).shape == (1,) and tnn.atleast_1d(m) is m
    assert [t.shape for t in tnn.atleast_2d(s, v, m)] == [(1, 1), (1, 2), (2, 3)]
    assert [t.shape for t in tnn.atleast_3d([s, v, m])] == [(1, 1, 1), (1, 2, 1), (2, 3, 1)]


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (lambda x: tnn.cat([]), ValueError, "non-empty list"),
        (lambda x: tnn.cat([x, 1]), TypeError, "element 1 in argument 0, but got int"),
        (lambda x: tnn.cat(x), TypeError, "must be tuple of Tensors, not Tensor"),
        (lambda x: tnn.cat([x, x[0]]), RuntimeError, "same number of dimensions: got 2 and 1"),
        (lambda x: tnn.cat([x, x.t()]), RuntimeError, "Expected size 3 but got size 2 for tensor number 1"),
        (lambda x: tnn.cat([x, x], 2), IndexError, "Dimension out of range"),
        (lambda x: tnn.cat([tnn.tensor(1.0)]), RuntimeError, "zero-dimensional"),
        (lambda x: tnn.stack([]), RuntimeError, "non-empty"),
        (lambda x: tnn.stack([x, x.t()]), RuntimeError, r"got \[2, 3\] at entry 0 and \[3, 2\] at entry 1"),
        (lambda x: tnn.block_diag(x[None]), RuntimeError, "2 or fewer dimensions"),
        (lambda x: tnn.meshgrid(x), RuntimeError, "0D or 1D"),
        (lambda x: tnn.meshgrid(x[0], x[0].int()), RuntimeError, "same dtype"),
        (lambda x: tnn.meshgrid(x[0], indexing="zz"), RuntimeError, "zz"),
        (lambda x: tnn.cartesian_prod(x), RuntimeError, "1D vector"),
        (lambda x: x.split(0), RuntimeError, "split_size can only be 0"),
        (lambda x: x.split(-1), RuntimeError, "non-negative"),
        (lambda x: x.split([1, 3]), RuntimeError, "sum exactly to 2"),
        (lambda x: x.split([3, -1]), RuntimeError, "non-negative entries"),
        (lambda x: tnn.tensor(1.0).split(1), RuntimeError, "1-dimensional"),
        (lambda x: x.chunk(0), RuntimeError, "greater than 0"),
        (lambda x: x.tensor_split(0), RuntimeError, "larger than 0"),
        (lambda x: x.hsplit(2), RuntimeError, "not divisible"),
        (lambda x: x.dsplit(2), RuntimeError, "at least 3 dimension"),
        (lambda x: tnn.tensor(1.0).unbind(), RuntimeError, "no dimensions"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error, text):
    with pytest.raises(error, match=text):
        op(tnn.zeros(2, 3))


def test_out_must_have_memory_of_its_own():
    x, index = tnn.arange(6.0).reshape(2, 3), tnn.tensor([[0, 1]])
    twice = tnn.zeros(1, 3).expand(2, 3)
    writes = [
        lambda out: tnn.cat([x], out=out),
        lambda out: tnn.gather(x, 1, index, out=out),
        lambda out: tnn.index_select(x, 0, tnn.tensor([1]), out=out),
        lambda out: tnn.masked_select(x, x > 2, out=out),
    ]
    for write in writes:
        with pytest.raises(RuntimeError, match="written-to tensor"):
            write(x)
        with pytest.raises(RuntimeError, match="more than one element"):
            write(twice)
    with pytest.raises(RuntimeError, match="some elements of the input"):
        empty = tnn.zeros(0)
        tnn.cat([empty, x], out=empty)
    with pytest.raises(RuntimeError, match="out tensor to have dtype"):
        tnn.gather(x, 1, index, out=tnn.zeros(1, 2, dtype=tnn.float64))
    assert tnn.add(x, 1, out=x) is x
