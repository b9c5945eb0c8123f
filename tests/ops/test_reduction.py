"""Sums, means, products, variances, extremes: values against NumPy, gradients against differences."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

DIMS = [None, 0, -1, 1, (0, 2), (1, 2), (0, 1, 2)]


def draw(*shape, dtype=np.float64, requires_grad=False):
    return tnn.tensor(np.random.RandomState(sum(shape)).randn(*shape).astype(dtype), requires_grad=requires_grad)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
def test_values(dim, keepdim):
    x = draw(3, 4, 5)
    a = x.numpy()
    kw = {"axis": dim, "keepdims": keepdim}
    pairs = [
        (x.sum(dim, keepdim), a.sum(**kw)),
        (x.mean(dim, keepdim), a.mean(**kw)),
        (x.var(dim, keepdim=keepdim), a.var(ddof=1, **kw)),
        (x.std(dim, correction=0, keepdim=keepdim), a.std(**kw)),
        (tnn.var_mean(x, dim, correction=2, keepdim=keepdim)[0], a.var(ddof=2, **kw)),
        (tnn.std_mean(x, dim, keepdim=keepdim)[1], a.mean(**kw)),
        (x.amax(dim, keepdim), a.max(**kw)),
        (x.amin(dim, keepdim), a.min(**kw)),
        (x.logsumexp(dim, keepdim), np.log(np.exp(a).sum(**kw))),
        (x.all(dim, keepdim), a.all(**kw)),
        ((x > 1).any(dim, keepdim), (a > 1).any(**kw)),
        ((x > 0).sum(dim, keepdim), (a > 0).sum(**kw)),
    ]
    if not isinstance(dim, tuple):
        pairs += [
            (
                x.prod(dim, keepdim) if dim is not None else x.prod(),
                a.prod(axis=dim, keepdims=keepdim and dim is not None),
            ),
            (x.argmax(dim, keepdim), a.argmax(axis=dim, keepdims=keepdim)),
            (x.argmin(dim, keepdim), a.argmin(axis=dim, keepdims=keepdim)),
        ]
    for out, want in pairs:
        assert out.shape == want.shape
        np.testing.assert_allclose(out.numpy(), want, rtol=1e-12)


@pytest.mark.parametrize(
    "op",
    [
        lambda x: x.sum(1),
        lambda x: x.mean((0, 2), True),
        lambda x: x.prod(1),
        lambda x: x.prod(),
        lambda x: x.var((0, 2), correction=0),
        lambda x: x.std(),
        lambda x: tnn.var_mean(x, 1),
        lambda x: x.amax((0, 2)),
        lambda x: x.max(),
        lambda x: tuple(x.aminmax(dim=0)),
        lambda x: x.min(1, True)[0],
        lambda x: x.logsumexp(1),
        lambda x: x.logsumexp((0, 2)),
        lambda x: x.nanmean(2),
    ],
)
def test_first_and_second_derivatives(op):
    x = draw(2, 3, 2, requires_grad=True)
    assert gradcheck(op, (x,)) and gradgradcheck(op, (x,))


def test_gradients_of_products_with_zeros():
    for values in ([2.0, 0.0, 3.0], [0.0, 0.0, 3.0]):
        x = tnn.tensor(values, requires_grad=True)
        x.prod().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [np.delete(values, i).prod() for i in range(3)])


def test_equal_extremes_share_the_gradient_and_an_index_takes_it():
    x = tnn.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]], requires_grad=True)
    x.amax(1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0.5, 0.5], [0.5, 0.5, 0]])
    x.grad = None
    out = x.max(1)
    assert out.indices.tolist() == [1, 0] and out.values is out[0]
    out.values.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 1, 0], [1, 0, 0]])


def test_dtypes():
    small, flags = tnn.tensor([100, 100], dtype=tnn.uint8), tnn.tensor([True, False])
    assert small.sum().item() == 200 and small.sum().dtype is tnn.int64
    assert small.sum(dtype=tnn.float32).dtype is tnn.float32
    assert small.prod().item() == 10000 and flags.sum().item() == 1
    assert small.all().dtype is tnn.uint8 and flags.any().dtype is tnn.bool
    assert small.amax().dtype is tnn.uint8
    for half in (tnn.bfloat16, tnn.float16):
        x = tnn.ones(3000, dtype=half)
        assert x.sum().dtype is half and x.sum().item() == pytest.approx(3000, rel=0.01)
        assert x.mean().item() == 1 and x.std().item() == 0
    with pytest.raises(RuntimeError, match="floating point"):
        small.mean()
    with pytest.raises(RuntimeError, match="floating point"):
        small.std()
    with pytest.raises(RuntimeError, match="bool"):
        flags.argmax()


def test_bad_arguments():
    x = draw(2, 3)
    with pytest.raises(IndexError, match=r"\[-2, 1\]"):
        x.sum(2)
    with pytest.raises(RuntimeError, match="appears multiple times"):
        x.sum((0, -2))
    with pytest.raises(TypeError):
        x.sum("rows")
    with pytest.raises(TypeError, match="must be Tensor"):
        tnn.sum([1.0])
    with pytest.raises(TypeError):
        x.prod((0, 1))
    with pytest.raises(TypeError):
        x.var(0, True, correction=1)
    none = tnn.zeros(2, 0)
    for function in (none.max, none.min, none.amax, none.aminmax):
        with pytest.raises(RuntimeError):
            function()
    for function in (none.argmax, none.max, none.amin):
        with pytest.raises(IndexError, match="non-zero size"):
            function(1)
    assert none.sum().item() == 0 and none.prod(1).tolist() == [1, 1] and none.mean().isnan().item()
    assert none.amax(0).shape == (0,)


def test_nan_and_infinity():
    x = tnn.tensor([1.0, float("nan"), 3.0])
    assert x.max().isnan() and x.argmax().item() == 1 and x.sum().isnan()
    assert x.nansum().item() == 4 and x.nanmean().item() == 2
    assert tnn.tensor([-np.inf, -np.inf]).logsumexp(0).item() == -np.inf
    assert tnn.tensor([1.0]).std().isnan()


def test_any_layout_and_numpys_names():
    a = np.random.RandomState(0).randn(4, 6, 5).astype(np.float32)
    x = tnn.tensor(a)
    turned = x.permute(2, 0, 1)
    np.testing.assert_allclose(
        turned.sum(axis=1, keepdims=True).numpy(), a.transpose(2, 0, 1).sum(1, keepdims=True), rtol=1e-5
    )
    np.testing.assert_allclose(turned[::2].amax().item(), a[:, :, ::2].max())
    np.testing.assert_allclose(x[:, 1:2].expand(4, 3, 5).sum().item(), 3 * a[:, 1].sum(), rtol=1e-4)
    out = tnn.empty(0)
    assert tnn.sum(x, 0, out=out) is out and out.shape == (6, 5)


def test_counts():
    x = tnn.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert x.count_nonzero().item() == 3 and x.count_nonzero(0).tolist() == [1, 2]
    assert tnn.zeros(2, 2).any(dim=()).shape == (2, 2)


def test_sums_of_few_wide_rows_and_gradients_of_products():
    x = tnn.randn(3, 5000, dtype=tnn.float64)
    np.testing.assert_allclose(x.sum(0).numpy(), x.numpy().sum(0), 1e-12)
    for n in (5, 64, 200):
        x = (tnn.rand(4, n, dtype=tnn.float64) + 0.5).requires_grad_()
        with tnn.no_grad():
            x[1, 3] = 0.0
            x[2, :2] = 0.0
        x.prod(1).sum().backward()
        d = x.detach().numpy()
        expected = [[np.prod(np.delete(row, k)) for k in range(n)] for row in d]
        np.testing.assert_allclose(x.grad.numpy(), expected, 1e-10)
    x = (tnn.rand(7, dtype=tnn.float64) + 0.5).requires_grad_()
    for power in (2, 3, 0, 1):
        assert tnn.autograd.gradcheck(lambda t, p=power: t**p, (x,))


@pytest.mark.parametrize(("shape", "dim"), [((3,), 0), ((3, 2), 0), ((600,), 0), ((40, 3), 1), ((5, 700), 1)])
def test_gradient_of_logsumexp_of_infinities(shape, dim):
    inf, nan = np.inf, np.nan
    for values, expected in [
        ((1.0, inf, 2.0), (0.0, nan, 0.0)), ((inf, inf, 1.0), (nan, nan, 0.0)), ((-inf, 1.0, -inf), (0.0, 1.0, 0.0)),
        ((-inf, -inf, -inf), (nan, nan, nan)), ((nan, 1.0, 2.0), (nan, nan, nan)),
    ]:  # fmt: skip
        for dtype in (np.float32, np.float64):
            line, slope = np.full(shape[dim], values[2], dtype), np.full(shape[dim], expected[2], dtype)
            line[:3], slope[:3] = values, expected
            lead = (slice(None),) + (None,) * (len(shape) - 1) if dim == 0 else (None, slice(None))
            x = tnn.tensor(np.broadcast_to(line[lead], shape).copy()).requires_grad_()
            x.logsumexp(dim).sum().backward()
            np.testing.assert_array_equal(x.grad.numpy(), np.broadcast_to(slope[lead], shape))
