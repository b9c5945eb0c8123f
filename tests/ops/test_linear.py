"""Products of matrices and vectors as operations: values against NumPy, gradients, errors."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck
from tnn.nn import functional as F


def rand(*shape, dtype=np.float64, grad=False):
    rng = np.random.RandomState(sum(shape) + len(shape))
    return tnn.tensor(rng.uniform(-1, 1, shape).astype(dtype), requires_grad=grad)


def close(got, want, dtype=np.float64):
    assert got.detach().numpy().dtype == dtype
    assert got.shape == want.shape
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


MATMUL = [
    ((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 5)), ((4, 3), (3, 5)), ((2, 4, 3), (3, 5)), ((2, 4, 3), (3,)),
    ((3,), (2, 3, 5)), ((4, 3), (2, 3, 5)), ((2, 4, 3), (2, 3, 5)), ((2, 1, 4, 3), (6, 3, 5)), ((1, 4, 3), (7, 3, 5)),
    ((0, 3), (3, 5)), ((4, 0), (0, 5)), ((2, 0, 3), (2, 3, 4)), ((0, 4, 3), (0, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("a,b", MATMUL)
def test_matmul(a, b):
    for dtype in (np.float32, np.float64):
        x, y = rand(*a, dtype=dtype), rand(*b, dtype=dtype)
        want = np.matmul(x.numpy(), y.numpy())
        close(tnn.matmul(x, y), want, dtype)
        close(x @ y, want, dtype)


@pytest.mark.parametrize("a,b", [c for c in MATMUL if 0 not in c[0]])
def test_matmul_gradients(a, b):
    gradcheck(tnn.matmul, (rand(*a, grad=True), rand(*b, grad=True)))


def test_matmul_second_derivatives():
    gradgradcheck(tnn.mm, (rand(2, 3, grad=True), rand(3, 2, grad=True)))
    gradgradcheck(tnn.bmm, (rand(2, 2, 3, grad=True), rand(2, 3, 1, grad=True)))
    gradgradcheck(F.linear, (rand(2, 2, 3, grad=True), rand(2, 3, grad=True), rand(2, grad=True)))
    gradgradcheck(F.bilinear, (rand(2, 2, grad=True), rand(2, 3, grad=True), rand(2, 2, 3, grad=True)))


def test_operands_of_any_layout():
    x, y = rand(8, 6), rand(9, 8)
    for a, b in ((x.t(), y.t()), (x[::2].t(), y[:, ::2].t()), (x[:, 1:4].t(), y[2:5].t()), (x.flip(0).t(), y.t())):
        close(a @ b, a.numpy() @ b.numpy())
    a, b = rand(4, 3, 5).transpose(0, 1), rand(3, 6, 4).transpose(1, 2)[:, ::2]
    c = rand(3, 5, 2).transpose(1, 2)
    close(c @ a.transpose(1, 2), np.matmul(c.numpy(), a.numpy().swapaxes(1, 2)))
    close(b @ rand(3, 6, 2), np.matmul(b.numpy(), rand(3, 6, 2).numpy()))


def test_integers():
    a, b = tnn.arange(6).reshape(2, 3), tnn.arange(12).reshape(3, 4)
    assert (a @ b).tolist() == [[20, 23, 26, 29], [56, 68, 80, 92]]
    assert tnn.dot(tnn.arange(4), tnn.arange(4)).item() == 14
    assert tnn.addmm(tnn.ones(2, 4, dtype=tnn.int64), a, b, beta=2, alpha=3)[0].tolist() == [62, 71, 80, 89]


def test_half_precision_is_computed_in_float32():
    a, b = rand(5, 40, dtype=np.float32), rand(40, 3, dtype=np.float32)
    for dtype in (tnn.bfloat16, tnn.float16):
        x, y = a.to(dtype), b.to(dtype)
        want = (x.to(tnn.float32) @ y.to(tnn.float32)).to(dtype)
        assert (x @ y).dtype == dtype
        assert (x @ y).tolist() == want.tolist()
        assert F.linear(x, y.t()).tolist() == want.tolist()


@pytest.mark.parametrize("shape", [(3, 5), (5,), (3, 1), (1,), ()])
def test_addmm(shape):
    x, a, b = rand(*shape, grad=True), rand(3, 4, grad=True), rand(4, 5, grad=True)
    want = 0.5 * x.detach().numpy() + 2 * (a.detach().numpy() @ b.detach().numpy())
    close(tnn.addmm(x, a, b, beta=0.5, alpha=2), want)
    gradcheck(lambda x, a, b: tnn.addmm(x, a, b, beta=0.5, alpha=2), (x, a, b))


def test_sums_with_products():
    x, a, b = rand(3, 5), rand(2, 3, 4), rand(2, 4, 5)
    close(tnn.baddbmm(x, a, b, beta=2, alpha=3), 2 * x.numpy() + 3 * np.matmul(a.numpy(), b.numpy()))
    close(tnn.addbmm(x, a, b, beta=2, alpha=3), 2 * x.numpy() + 3 * np.matmul(a.numpy(), b.numpy()).sum(0))
    close(tnn.addmv(rand(3), a[0], rand(4), alpha=2), rand(3).numpy() + 2 * a[0].numpy() @ rand(4).numpy())
    outer = np.outer(rand(3).numpy(), rand(5).numpy())
    close(tnn.addr(x, rand(3), rand(5), beta=0.5, alpha=2), 0.5 * x.numpy() + 2 * outer)
    close(tnn.outer(rand(3), rand(5)), outer)
    x, a, b = (t.requires_grad_() for t in (x, a, b))
    gradcheck(lambda x, a, b: tnn.baddbmm(x, a, b, beta=2, alpha=3), (x, a, b))
    gradcheck(lambda x, a, b: tnn.addbmm(x, a, b, beta=2, alpha=3), (x, a, b))
    gradcheck(tnn.addmv, (rand(3, grad=True), rand(3, 4, grad=True), rand(4, grad=True)))


def test_addr_of_bools_and_integers():
    v, m = tnn.tensor([True, False]), tnn.tensor([[False, True], [False, False]])
    for factors, expected in (
        ({}, [[True, True], [False, False]]),
        ({"beta": 2}, [[True, True], [False, False]]),
        ({"alpha": 0}, [[False, True], [False, False]]),
        ({"beta": 0}, [[True, False], [False, False]]),
    ):
        assert tnn.addr(m, v, v, **factors).tolist() == expected
    with pytest.raises(RuntimeError, match="argument beta must not be a floating point number"):
        tnn.addr(m, v, v, beta=0.5)


def test_beta_zero_ignores_the_input():
    nan = tnn.full((3, 5), float("nan"))
    a, b = rand(3, 4, dtype=np.float32), rand(4, 5, dtype=np.float32)
    close(tnn.addmm(nan, a, b, beta=0), a.numpy() @ b.numpy(), np.float32)
    close(tnn.baddbmm(nan, a[None], b[None], beta=0), (a.numpy() @ b.numpy())[None], np.float32)


def test_in_place_and_out():
    x, a, b = rand(3, 5), rand(3, 4), rand(4, 5)
    want = x.numpy() + a.numpy() @ b.numpy()
    out = tnn.empty(3, 5, dtype=tnn.float64)
    assert tnn.mm(a, b, out=out) is out
    close(out, a.numpy() @ b.numpy())
    assert x.addmm_(a, b) is x
    close(x, want)


@pytest.mark.parametrize("shape", [(4, 3), (3,), (2, 5, 3), (0, 3), (2, 0, 3)])
def test_linear(shape):
    w, b = rand(6, 3, grad=True), rand(6, grad=True)
    x = rand(*shape, grad=True)
    want = x.detach().numpy() @ w.detach().numpy().T
    close(F.linear(x, w), want)
    close(F.linear(x, w, b), want + b.detach().numpy())
    y = F.linear(x, w, b)
    y.backward(tnn.ones_like(y))
    flat = x.detach().numpy().reshape(-1, 3)
    close(w.grad, np.ones((6, len(flat))) @ flat)
    close(b.grad, np.full(6, float(len(flat))))
    close(x.grad, np.ones((*shape[:-1], 6)) @ w.detach().numpy())


def test_linear_gradients():
    w, b = rand(6, 3, grad=True), rand(6, grad=True)
    gradcheck(F.linear, (rand(2, 2, 3, grad=True), w, b))
    gradcheck(F.linear, (rand(3, grad=True), w))
    gradcheck(F.linear, (rand(4, 3, grad=True), rand(3, grad=True)))
    gradcheck(F.linear, (rand(4, 3, grad=True), w, rand(1, grad=True)))


def test_linear_of_any_layout():
    x, w = rand(3, 7).t(), rand(3, 5).t()
    close(F.linear(x, w), x.numpy() @ w.numpy().T)
    x = rand(2, 6, 4)[:, ::2, :3]
    close(F.linear(x, rand(5, 3)), x.numpy() @ rand(5, 3).numpy().T)


def test_bilinear():
    x, y, w, b = rand(4, 3), rand(4, 2), rand(5, 3, 2), rand(5)
    want = np.einsum("ni,oij,nj->no", x.numpy(), w.numpy(), y.numpy()) + b.numpy()
    close(F.bilinear(x, y, w, b), want)
    gradcheck(F.bilinear, tuple(t.requires_grad_() for t in (x, y, w, b)))


@pytest.mark.parametrize(
    "call,error,message",
    [
        (lambda: tnn.mm(rand(2, 3), rand(4, 5)), RuntimeError, r"cannot be multiplied \(2x3 and 4x5\)"),
        (lambda: tnn.mm(rand(2, 3), rand(3)), RuntimeError, "mat2 must be a matrix"),
        (lambda: tnn.mm(rand(2, 3), rand(3, 4, dtype=np.float32)), RuntimeError, "one dtype"),
        (lambda: tnn.mm(rand(2, 3), 3.0), TypeError, "must be Tensor, not float"),
        (lambda: tnn.bmm(rand(2, 3, 4), rand(2, 3, 4)), RuntimeError, r"\[2, 4\] but got: \[2, 3\]"),
        (lambda: tnn.bmm(rand(3, 4), rand(2, 3, 4)), RuntimeError, "batch1 must be a 3D tensor"),
        (lambda: tnn.dot(rand(3), rand(4)), RuntimeError, "same number of elements"),
        (lambda: tnn.dot(rand(3, 1), rand(3)), RuntimeError, "1D tensors expected"),
        (lambda: tnn.mv(rand(3, 2), rand(3)), RuntimeError, "size mismatch"),
        (lambda: tnn.matmul(rand(3), tnn.tensor(1.0)), RuntimeError, "at least 1D"),
        (lambda: tnn.matmul(rand(2, 3, 4), rand(3, 4, 5)), RuntimeError, "do not broadcast"),
        (lambda: tnn.matmul(rand(2, 3, 4), rand(2, 3, 5)), RuntimeError, "4.* but got.* 3"),
        (lambda: tnn.matmul(rand(2, 3, 4), rand(3, 5)), RuntimeError, r"\(6x4 and 3x5\)"),
        (lambda: tnn.addmm(rand(2, 2), rand(3, 4), rand(4, 5)), RuntimeError, "expanded size"),
        (lambda: tnn.outer(rand(2, 2), rand(3)), RuntimeError, "Expected 1-D argument input"),
        (lambda: F.linear(rand(2, 3), rand(4, 5)), RuntimeError, r"\(2x3 and 5x4\)"),
        (lambda: F.linear(rand(2, 3), rand(4, 3, dtype=np.float32)), RuntimeError, "one dtype"),
        (lambda: F.bilinear(rand(2, 3), rand(3, 4), rand(5, 3, 4)), RuntimeError, "batch dimensions do not match"),
        (lambda: F.bilinear(rand(2, 3), rand(2, 4), rand(5, 4, 4)), RuntimeError, "does not fit"),
        (lambda: F.bilinear(rand(2, 3), rand(2, 4), rand(5, 3, 4), rand(4)), RuntimeError, "expected bias"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_changed_operand_is_noticed():
    a, b = rand(2, 3, grad=True), rand(3, 2, grad=True)
    c = b * 1
    y = a @ c
    c.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("dtype", [tnn.int64, tnn.int32], ids=str)
def test_products_of_integers(dtype):
    shapes = ((7, 9), (9, 5)), ((3, 7, 9), (9, 5)), ((2, 1, 4, 6), (3, 6, 2)), ((40, 70), (70, 90)), ((5,), (5, 3))
    for a, b in shapes:
        x, y = tnn.randint(-99, 99, a, dtype=dtype), tnn.randint(-99, 99, b, dtype=dtype)
        np.testing.assert_array_equal((x @ y).numpy(), x.numpy() @ y.numpy())
    x = tnn.randint(-99, 99, (6, 6), dtype=dtype)
    np.testing.assert_array_equal((x.T @ x[:, ::2]).numpy(), x.numpy().T @ x.numpy()[:, ::2])
    big = tnn.full((2, 2), tnn.iinfo(dtype).max, dtype=dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal((big @ big).numpy(), big.numpy() @ big.numpy())


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("size", [1, 9, 4000, 2**20, 2**26, 2**30])
def test_many_integers_are_exact(dtype, size):
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-size, size + 1, shape).astype(dtype) for shape in ((40, 50), (50, 33)))
    a[0], b[:, 0] = size, -size
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal((tnn.tensor(a) @ tnn.tensor(b)).numpy(), a @ b)
    batch = np.stack([a, a[::-1]])
    np.testing.assert_array_equal((tnn.tensor(batch) @ tnn.tensor(b)).numpy(), batch @ b)
    np.testing.assert_array_equal(tnn.bmm(tnn.tensor(batch), tnn.tensor(np.stack([b, b]))).numpy(), batch @ b)
    low = np.full((40, 40), np.iinfo(dtype).min)
    np.testing.assert_array_equal((tnn.tensor(low) @ tnn.tensor(low)).numpy(), low @ low)
