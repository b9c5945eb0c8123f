"""The order of dimensions in memory: pointwise results have that of their operands. Strides are PyTorch's."""

import numpy as np
import pytest

import tnn
from tnn.nn import functional as F
from tnn.ops._common import memory_order

TURNED = tnn.arange(120.0).reshape(4, 5, 6).permute(2, 0, 1)  # shape (6, 4, 5)

ONE = {
    "exp": tnn.exp, "relu": F.relu, "gelu": F.gelu, "float64": lambda x: x.double(),
    "half": lambda x: x.half() + x.half(), "bfloat16": lambda x: F.gelu(x.bfloat16()), "scaled": lambda x: x * 2,
    "compared": lambda x: x > 3, "with itself": lambda x: x + x, "with a row": lambda x: x + tnn.ones(5),
    "row first": lambda x: tnn.ones(5) - x,
    "where": lambda x: tnn.where(x > 3, x, tnn.zeros(1)), "clone": lambda x: x.clone(), "zeros": tnn.zeros_like,
    "random": tnn.rand_like, "dropout": lambda x: F.dropout(tnn.relu(x), 0.5), "clamp": lambda x: x.clamp(1, 2),
    "integers": lambda x: x.long() * 2, "power": lambda x: x**2, "addcmul": lambda x: tnn.addcmul(x, x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_results_have_the_operands_order(name):
    out = ONE[name](TURNED)
    assert out.shape == (6, 4, 5) and out.stride() == (1, 30, 6)
    if name not in ("random", "dropout"):
        assert tnn.equal(out, ONE[name](TURNED.contiguous()))


def test_the_first_operand_decides():
    rows = tnn.ones(6, 4, 5)
    assert (TURNED + rows).stride() == (1, 30, 6)
    assert (rows + TURNED).stride() == (20, 5, 1)
    assert tnn.equal(rows + TURNED, TURNED.contiguous() + 1)


def test_gaps_and_repeated_elements():
    x = tnn.arange(48.0).reshape(6, 8)[:, ::2].t()
    assert x.stride() == (2, 8) and x.exp().stride() == (1, 4)
    x = tnn.arange(5.0).reshape(5, 1).expand(5, 4).t()
    assert x.stride() == (0, 1) and tnn.equal(x * 1, x)
    x = tnn.ones(4, 1, 5).permute(2, 1, 0)
    assert (x + 0).stride() == (1, 5, 5)
    assert tnn.equal(tnn.ones(5, 1, 4) + x, tnn.full((5, 1, 4), 2.0))


def test_rows_can_be_asked_for():
    assert TURNED.contiguous().is_contiguous()
    assert TURNED.clone(memory_format=tnn.contiguous_format).is_contiguous()
    assert TURNED.relu().reshape(-1).tolist() == TURNED.contiguous().reshape(-1).tolist()
    with pytest.raises(RuntimeError):
        TURNED.relu().view(-1)


def test_gradients():
    x = tnn.arange(12.0).reshape(3, 4).requires_grad_()
    (x.t().sigmoid() * x.t()).sum().backward()
    s = 1 / (1 + np.exp(-x.detach().numpy()))
    np.testing.assert_allclose(x.grad.numpy(), s + x.detach().numpy() * s * (1 - s), rtol=1e-5)


@pytest.mark.parametrize(
    "shape, strides, order",
    [
        ((2, 3), [(3, 1)], None),
        ((2, 3), [(1, 2)], ((1, 0), (1, 0))),
        ((2, 3), [(0, 1), (1, 2)], ((1, 0), (1, 0))),
        ((2, 3), [(3, 1), (1, 2)], None),
        ((6, 4, 5), [(1, 30, 6)], ((1, 2, 0), (2, 0, 1))),
        ((3,), [(2,)], None),
        ((), [()], None),
    ],
)
def test_memory_order(shape, strides, order):
    assert memory_order(shape, *strides) == order


@pytest.mark.parametrize("shape", [(3, 4), (80, 70)])
def test_gradients_of_turned_operands(shape):
    x = tnn.randn(*shape, requires_grad=True)
    seed = tnn.randn(*shape[::-1])
    kept = seed.clone()
    for turn in (lambda x: x.t(), lambda x: x.permute(1, 0)):
        x.grad = None
        F.relu6(turn(x)).backward(seed)
        assert x.grad.is_contiguous() and tnn.equal(x.grad, seed.t() * ((x > 0) & (x < 6)))
        x.grad = None
        F.relu6(x).t().backward(seed)
        assert x.grad.is_contiguous() and tnn.equal(x.grad, seed.t() * ((x > 0) & (x < 6)))
        x.grad = None
        turn(x).backward(seed)
        x.grad.zero_()
        assert tnn.equal(seed, kept)  # a leaf takes over no gradient that others have


def test_a_gradient_kept_on_the_way_stays():
    x = tnn.randn(3, 4, requires_grad=True)
    y = x * 1
    for view in (y.t(), y.permute(1, 0), y.reshape(4, 3)):
        view.retain_grad()
        x.grad = None
        (view * 2).sum().backward(retain_graph=True)
        x.grad.zero_()
        assert tnn.equal(view.grad, tnn.full((4, 3), 2.0))
    z = x.t()
    z.retain_grad()
    x.grad = None
    (z * 2).sum().backward()
    x.grad.zero_()
    assert tnn.equal(z.grad, tnn.full((4, 3), 2.0))
