"""copy_, fill_, zero_."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

from .views import leaf, sample

A = sample(2, 3)


def test_values():
    x = tnn.zeros(2, 3)
    assert x.copy_(tnn.tensor([[1], [2]])) is x and x.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert x.t().fill_(3).tolist() == [[3, 3]] * 3 and x[0].zero_().tolist() == [0, 0, 0] and x.sum().item() == 9
    assert x.fill_(tnn.tensor(2)).tolist() == [[2, 2, 2]] * 2
    i = tnn.zeros(2, dtype=tnn.int32)
    assert i.copy_(tnn.tensor([1.9, -1.9])).tolist() == [1, -1] and i.fill_(2.7).tolist() == [2, 2]
    assert tnn.zeros(2, dtype=tnn.bfloat16).fill_(1.5).tolist() == [1.5, 1.5]
    assert tnn.zeros(1, dtype=tnn.bool).copy_(tnn.tensor([3.0])).tolist() == [True]
    assert tnn.zeros(0, 3).copy_(tnn.ones(3)).shape == (0, 3)


def test_overlapping_copies():
    x = tnn.arange(5.0)
    x[1:].copy_(x[:-1].clone())
    assert x.tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda y, v: y.copy_(v * 2), lambda y, v: y[0].copy_(v[1] * v[0]), lambda y, v: y.copy_(v[:, :1]),
        lambda y, v: y.fill_(v.sum()), lambda y, v: y[:, 1].fill_(v[0, 0] * 3), lambda y, v: y[1].zero_(),
        lambda y, v: y.t()[0].fill_(4),
    ],
)  # fmt: skip
def test_gradients(change):
    def op(x, v):
        y = x * x
        change(y, v)
        return y * v

    inputs = leaf(A), leaf(sample(2, 3, seed=2))
    gradcheck(op, inputs)
    gradgradcheck(op, inputs)


def test_gradient_of_another_dtype():
    v = tnn.ones(2, dtype=tnn.bfloat16, requires_grad=True)
    y = tnn.zeros(3, 2)
    y.copy_(v)
    y.sum().backward()
    assert v.grad.dtype is tnn.bfloat16 and v.grad.tolist() == [3, 3]
    z = tnn.zeros(2, dtype=tnn.int64)
    z.copy_(v)
    assert not z.requires_grad


def test_errors():
    x = tnn.zeros(2, 3)
    for op, error, text in [
        (lambda: x.copy_(tnn.zeros(2)), RuntimeError, r"shape \[2, 3\]"),
        (lambda: x.copy_(tnn.zeros(1, 2, 3)), RuntimeError, r"\[1, 2, 3\]"),
        (lambda: x.copy_(3), TypeError, "must be Tensor"),
        (lambda: x.fill_(tnn.zeros(1)), RuntimeError, "0-dimension"),
        (lambda: tnn.zeros(1, dtype=tnn.int8).fill_(300), RuntimeError, "without overflow"),
        (lambda: tnn.zeros(1).expand(3).zero_(), RuntimeError, "single memory location"),
        (lambda: tnn.zeros(1, requires_grad=True).zero_(), RuntimeError, "leaf"),
    ]:
        with pytest.raises(error, match=text):
            op()
    np.testing.assert_array_equal(x.numpy(), np.zeros((2, 3)))


WRITERS = {
    "fill_": lambda x, v: x.fill_(v),
    "masked_fill": lambda x, v: x.masked_fill(x == x, v),
    "index_fill": lambda x, v: x.index_fill(0, tnn.tensor([0]), v),
    "scatter": lambda x, v: x.scatter(0, tnn.tensor([0]), v),
    "full_like": lambda x, v: tnn.full_like(x, v),
    "setitem": lambda x, v: x.__setitem__(0, v) or x,
    "setitem by a tensor": lambda x, v: x.__setitem__([0], v) or x,
    "setitem by a mask": lambda x, v: x.__setitem__(x == x, v) or x,
}


@pytest.mark.parametrize("name", WRITERS)
def test_numbers_that_do_not_fit_the_dtype(name):
    write = WRITERS[name]
    assert [write(tnn.zeros(1, dtype=tnn.uint8), v).item() for v in (-1, -255, 2.7, True)] == [255, 1, 2, 1]
    assert write(tnn.zeros(1, dtype=tnn.int8), -1.5).item() == -1 and write(tnn.zeros(1, dtype=tnn.bool), -0.5).item()
    too_large = {
        tnn.uint8: (-256, 256, -0.5, 3e9), tnn.int8: (128, -129, 1e30), tnn.int32: (2**31, float("nan")),
        tnn.int64: (2**63, float("inf")), tnn.float32: (1e39, -1e39),
    }  # fmt: skip
    for dtype, values in too_large.items():
        for value in values:
            with pytest.raises(RuntimeError, match=f"converted to type {dtype.name} without overflow"):
                write(tnn.zeros(1, dtype=dtype), value)
    x = tnn.zeros(1, dtype=tnn.float16)
    if name in ("masked_fill", "index_fill", "scatter"):
        with pytest.raises(RuntimeError, match="without overflow"):
            write(x, -1e9)
    else:
        assert write(x, -1e9).item() == -float("inf")
    assert write(tnn.zeros(1), float("inf")).item() == float("inf")
