"""index_select, index_add, index_copy, index_fill, index_reduce, take, put."""

import numpy as np
import pytest

import tnn

from .views import check, leaf, sample

A = sample(3, 4, 2)
I = np.array([2, 0, 2])  # noqa: E741


def added(a, s, alpha=1):
    out = np.moveaxis(a, 1, 0).copy()
    np.add.at(out, I, alpha * np.moveaxis(s, 1, 0))
    return np.moveaxis(out, 0, 1)


def changed(a, key, v):
    a = a.copy()
    a[key] = v
    return a


S = sample(3, 3, 2, seed=5)
CASES = {
    "index_select": (lambda x: x.index_select(1, tnn.tensor(I)), lambda a: a[:, I], (A,)),
    "index_select last": (lambda x: tnn.index_select(x, -1, tnn.tensor([1])), lambda a: a[..., [1]], (A,)),
    "index_select of one": (lambda x: x.index_select(0, tnn.tensor(1)), lambda a: a[[1]], (A,)),
    "index_select of nothing": (
        lambda x: x.index_select(1, tnn.zeros(0, dtype=tnn.int64)), lambda a: a[:, :0], (A,),
    ),
    "index_add": (lambda x, s: x.index_add(1, tnn.tensor(I), s), added, (A, S)),
    "index_add scaled": (
        lambda x, s: x.index_add(1, tnn.tensor(I), s, alpha=2), lambda a, s: added(a, s, 2), (A, S),
    ),
    "index_copy": (
        lambda x, s: x.index_copy(1, tnn.tensor([3, 0, 1]), s), lambda a, s: changed(a, np.s_[:, [3, 0, 1]], s), (A, S),
    ),
    "index_fill": (lambda x: x.index_fill(1, tnn.tensor([2, -4]), 5), lambda a: changed(a, np.s_[:, [2, 0]], 5), (A,)),
    "take": (lambda x: x.take(tnn.tensor([[0, 23], [-1, 5]])), lambda a: a.reshape(-1)[[[0, 23], [-1, 5]]], (A,)),
    "put": (
        lambda x, s: x.put(tnn.tensor([3, -1]), s[0, 0]),
        lambda a, s: changed(a.reshape(-1), [3, 23], s[0, 0]).reshape(a.shape), (A, S),
    ),
    "put and add": (
        lambda x, s: tnn.put(x, tnn.tensor([3, 3]), s[0, 0], accumulate=True),
        lambda a, s: changed(a.reshape(-1), 3, a.reshape(-1)[3] + s[0, 0].sum()).reshape(a.shape), (A, S),
    ),
    "index_reduce": (
        lambda x, s: x.index_reduce(1, tnn.tensor([0, 3, 0]), s, "amax"),
        lambda a, s: np.stack(
            [np.maximum(a[:, 0], s[:, [0, 2]].max(1)), a[:, 1], a[:, 2], np.maximum(a[:, 3], s[:, 1])], 1
        ),
        (A, S + 0.125),
    ),
    "index_reduce without self": (
        lambda x, s: x.index_reduce(1, tnn.tensor([0, 3, 0]), s, "prod", include_self=False),
        lambda a, s: np.stack([s[:, 0] * s[:, 2], a[:, 1], a[:, 2], s[:, 1]], 1), (A, S + 0.125),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_numpy_with_gradients(name):
    op, reference, arrays = CASES[name]
    check(op, reference, *arrays, view=False)


def test_value_of_index_fill_has_a_gradient():
    x, v = leaf(A), leaf(np.array(2.0))
    x.index_fill(1, tnn.tensor([0, 1]), v).sum().backward()
    assert v.grad.item() == 12 and x.grad[:, :2].sum().item() == 0 and x.grad[:, 2:].sum().item() == 12


def test_in_place():
    x = tnn.zeros(3)
    i = tnn.tensor([0, 2])
    assert x.index_add_(0, i, tnn.ones(2)) is x and x.tolist() == [1, 0, 1]
    assert x.index_copy_(0, i, tnn.tensor([5.0, 6.0])).tolist() == [5, 0, 6]
    assert x.index_fill_(0, i, 2).tolist() == [2, 0, 2]
    assert x.index_reduce_(0, i, tnn.tensor([3.0, 4.0]), "prod").tolist() == [6, 0, 8]
    assert x.put_(tnn.tensor([1]), tnn.tensor([9.0])).tolist() == [6, 9, 8]


def test_dtypes_and_dimensions():
    for dtype in (tnn.int32, tnn.int8, tnn.bfloat16, tnn.float16, tnn.uint8):
        x = tnn.ones(3, dtype=dtype).index_add(0, tnn.tensor([0, 0]), tnn.ones(2, dtype=dtype))
        assert x.dtype is dtype and x.tolist() == [3, 1, 1]
    assert tnn.ones(2, dtype=tnn.bool).index_select(0, tnn.tensor([1, 1, 0])).tolist() == [True, True, True]
    assert tnn.tensor(4.0).index_select(0, tnn.tensor([0])).shape == ()
    assert tnn.tensor(4.0).index_add(0, tnn.tensor([0]), tnn.tensor([2.0])).item() == 6
    assert tnn.tensor(4.0).index_fill(0, tnn.tensor([0]), 1).item() == 1
    assert tnn.tensor(4.0).take(tnn.tensor(0)).item() == 4
    half = tnn.ones(2, dtype=tnn.bfloat16, requires_grad=True)
    half.index_select(0, tnn.tensor([0, 0])).sum().backward()
    assert half.grad.tolist() == [2, 0] and half.grad.dtype is tnn.bfloat16


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (lambda x, i: x.index_select(0, i + 2), IndexError, "out of range in self"),
        (lambda x, i: x.index_select(0, i - 1), IndexError, "out of range in self"),
        (lambda x, i: x.index_select(0, i[None]), IndexError, "vector"),
        (lambda x, i: x.index_select(0, i.float()), RuntimeError, "int32 or int64"),
        (lambda x, i: x.index_add(0, i + 2, x[:2]), RuntimeError, "index 3 is out of bounds"),
        (lambda x, i: x.index_add(0, i, x), RuntimeError, r"Number of indices \(2\)"),
        (lambda x, i: x.index_add(0, i, x[:2, :1]), RuntimeError, "shape of self"),
        (lambda x, i: x.index_add(0, i, x[:2].int()), RuntimeError, "same scalar type"),
        (lambda x, i: x.index_add(0, i.float(), x[:2]), RuntimeError, "int32/int64"),
        (lambda x, i: x.index_copy(0, i + 2, x[:2]), IndexError, "index 3 is out of bounds"),
        (lambda x, i: x.index_copy(0, i, x), IndexError, "Number of indices"),
        (lambda x, i: x.index_copy(0, i, x[:2].double()), RuntimeError, "same scalar type"),
        (lambda x, i: x.index_fill(0, i + 2, 1.0), IndexError, "out of bounds"),
        (lambda x, i: x.index_fill(0, i, x[0]), RuntimeError, "0-dimensional value"),
        (lambda x, i: x.index_fill(0, i.float(), 1.0), IndexError, "int64"),
        (lambda x, i: x.index_reduce(0, i, x[:2], "sum"), RuntimeError, "got sum"),
        (lambda x, i: x.index_reduce(0, i + 2, x[:2], "prod"), IndexError, "out of bounds"),
        (lambda x, i: x.take(i + 11), IndexError, "index 12 on a tensor of 12"),
        (lambda x, i: x.take(i.int()), RuntimeError, "long tensor"),
        (lambda x, i: tnn.zeros(0).take(i), IndexError, "empty"),
        (lambda x, i: x.put(i, x[0]), IndexError, "same number of elements"),
        (lambda x, i: x.put(i + 11, x[0, :2]), IndexError, "index 12"),
        (lambda x, i: x.put(i, i), RuntimeError, "same dtype"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error, text):
    with pytest.raises(error, match=text):
        op(tnn.zeros(3, 4), tnn.tensor([0, 1]))


@pytest.mark.parametrize(
    "op",
    [
        lambda x, i, v: x.index_add(0, i, v),
        lambda x, i, v: x.index_add_(0, i, v),
        lambda x, i, v: x.index_copy(0, i, v),
        lambda x, i, v: x.index_copy_(0, i, v),
        lambda x, i, v: x.index_reduce(0, i, v, "prod"),
        lambda x, i, v: x.index_reduce_(0, i, v, "amax"),
    ],
)
def test_a_number_is_no_source(op):
    x, i = tnn.zeros(3, 4), tnn.tensor([0, 1])
    for _ in range(120):  # the entry is there, too
        op(x, i, tnn.ones(2, 4))
    with pytest.raises(TypeError, match="argument 'source' must be Tensor, not float"):
        op(x, i, 2.0)


def test_index_fill_counts_a_repeated_index_once():
    value = tnn.tensor(2.0, requires_grad=True)
    tnn.zeros(2, 3).index_fill(1, tnn.tensor([0, 2, 0]), value).sum().backward()
    assert value.grad.item() == 4


def test_put_of_nothing_has_a_gradient():
    source = leaf(np.zeros(0))
    tnn.put(tnn.zeros(2, dtype=tnn.float64), tnn.tensor([], dtype=tnn.int64), source).sum().backward()
    assert source.grad.shape == (0,)


def test_index_reduce_in_place_keeps_its_input():
    x = tnn.tensor(3.0, requires_grad=True)
    y = x.clone()
    y.index_reduce_(0, tnn.tensor([0]), tnn.tensor(2.0), "prod").backward()
    assert y.item() == 6 and x.grad.item() == 2


def test_take_writes_to_out():
    out = tnn.empty(2)
    assert tnn.take(tnn.arange(4.0), tnn.tensor([3, 1]), out=out) is out and out.tolist() == [3, 1]
