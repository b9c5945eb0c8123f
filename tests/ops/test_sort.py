"""sort, topk, kthvalue, median, mode, quantile, histc."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

from .views import leaf, sample

A = sample(3, 5, 4)
NAN, INF = float("nan"), float("inf")


def reference_order(a, dim, descending):
    """Stable positions, NaN the largest of all."""
    key = a.astype(np.float64)
    rank = np.where(np.isnan(key), 2, np.where(key == INF, 1, 0))
    finite = np.where(rank > 0, 0, key)
    sign = -1 if descending else 1
    place = np.indices(a.shape)[dim]
    return np.lexsort((place, sign * finite, sign * rank), axis=dim)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bfloat16", "float16", "int64", "int32", "int8", "uint8", "bool"]
)
@pytest.mark.parametrize("n", [1, 7, 300])
def test_sort_of_every_dtype(dtype, n):
    d = getattr(tnn, dtype)
    a = (np.random.RandomState(n).randn(4, n) * 3).astype(np.float32).round()
    if dtype in ("uint8", "bool"):
        a = np.abs(a)
    x = tnn.tensor(a).to(d)
    values = x.float().numpy()
    for descending in (False, True):
        order = reference_order(values, 1, descending)
        result = x.sort(descending=descending)
        assert result.values.dtype is d and result.indices.dtype is tnn.int64
        np.testing.assert_array_equal(result.indices.numpy(), order)
        np.testing.assert_array_equal(result.values.float().numpy(), np.take_along_axis(values, order, 1))
        np.testing.assert_array_equal(x.argsort(1, descending).numpy(), order)
        k = min(n, 5)
        top = x.topk(k, largest=descending)
        np.testing.assert_array_equal(top.values.float().numpy(), np.take_along_axis(values, order, 1)[:, :k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    a = np.array([[1, NAN, -INF, INF, -0.0, 0.0, NAN, -1, 5e-324 if dtype is np.float64 else 1e-45]], dtype)
    x = tnn.tensor(a)
    for descending in (False, True):
        np.testing.assert_array_equal(x.argsort(descending=descending).numpy(), reference_order(a, 1, descending))
    assert x.topk(3).indices.tolist() == [[1, 6, 3]] and x.topk(2, largest=False).indices.tolist() == [[2, 7]]
    assert x.kthvalue(2).values.item() == -1 and np.isnan(x.kthvalue(9).values.item())
    big = tnn.tensor(np.array([2**31 - 1, -(2**31), 0, -1], np.int32))
    assert big.sort().values.tolist() == [-(2**31), -1, 0, 2**31 - 1]
    unsigned = tnn.tensor(np.array([2**32 - 1, 0, 2**31], np.uint32))
    assert unsigned.sort().values.tolist() == [0, 2**31, 2**32 - 1]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_every_dimension(dim):
    x = tnn.tensor(A)
    np.testing.assert_array_equal(x.sort(dim).values.numpy(), np.sort(A, dim))
    np.testing.assert_array_equal(x.topk(2, dim).values.numpy(), np.flip(np.sort(A, dim), dim).take([0, 1], dim))
    np.testing.assert_array_equal(x.kthvalue(2, dim).values.numpy(), np.sort(A, dim).take(1, dim))
    np.testing.assert_array_equal(x.kthvalue(2, dim, True).values.numpy(), np.sort(A, dim).take([1], dim))
    assert (x.gather(dim, x.kthvalue(3, dim, keepdim=True).indices) == x.kthvalue(3, dim, keepdim=True).values).all()
    n = A.shape[dim]
    np.testing.assert_array_equal(x.median(dim).values.numpy(), np.sort(A, dim).take((n - 1) // 2, dim))


def test_gradients():
    x, y = leaf(A), leaf(A)
    for op in (
        lambda x: x.sort(1, True).values, lambda x: x.topk(2, 1).values, lambda x: x.kthvalue(3, 1).values,
        lambda x: x.median(1, True).values, lambda x: x.nanmedian(-1).values, lambda x: x.median(), lambda x: x.msort(),
        lambda x: x.mode(0).values, lambda x: x.quantile(0.3, 1), lambda x: x.quantile(leaf([0.2, 0.7]), keepdim=True),
    ):  # fmt: skip
        gradcheck(op, (x,))
        gradgradcheck(lambda a, b, op=op: op(a) * op(b), (x, y))
    half = tnn.tensor([2.0, 1.0], dtype=tnn.bfloat16, requires_grad=True)
    half.sort().values[0].backward()
    assert half.grad.tolist() == [0, 1] and half.grad.dtype is tnn.bfloat16


def test_gradient_of_median_is_shared():
    x = tnn.tensor([1.0, 2.0, 2.0, 5.0], requires_grad=True)
    x.median().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 0]


def test_median_with_nan():
    a = np.array([[1, NAN, 3, 2], [4, 1, 2, 3]])
    x = tnn.tensor(a)
    result = x.median(1)
    assert np.isnan(result.values[0].item()) and result.indices.tolist()[0] == 1 and result.values[1].item() == 2
    assert x.nanmedian(1).values.tolist() == [2, 2] and np.isnan(x.median().item()) and x.nanmedian().item() == 2
    assert np.isnan(tnn.full((2, 2), NAN).nanmedian(1).values.numpy()).all()
    assert np.isnan(tnn.zeros(0).median().item())


def test_mode():
    x = tnn.tensor([[3, 1, 1, 3, 2], [5, 5, 4, 4, 4]])
    result = x.mode()
    assert result.values.tolist() == [1, 4] and result.indices.tolist() == [2, 4]
    assert x.mode(0, True).values.tolist() == [[3, 1, 1, 3, 2]]


def test_no_dimensions():
    x = tnn.tensor(3.0, requires_grad=True)
    for result in (x.sort(), x.topk(1), x.kthvalue(1), x.median(0), x.mode()):
        assert result.values.shape == () and result.indices.item() == 0
    x.sort().values.backward()
    assert x.grad.item() == 1
    assert tnn.zeros(0, 3).sort(0).values.shape == (0, 3) and tnn.zeros(3, 0).argsort().shape == (3, 0)
    assert tnn.zeros(2, 3).topk(0).values.shape == (2, 0)


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantile(interpolation):
    q = np.array([0.0, 0.13, 0.5, 1.0])
    x = tnn.tensor(A)
    for dim in (None, 0, 2):
        for keepdim in (False, True):
            expected = np.quantile(A, q, dim, method=interpolation, keepdims=keepdim)
            np.testing.assert_allclose(
                x.quantile(tnn.tensor(q), dim, keepdim, interpolation=interpolation).numpy(), expected
            )
    np.testing.assert_allclose(
        x.quantile(0.4, interpolation=interpolation).item(), np.quantile(A, 0.4, method=interpolation)
    )
    b = A.copy()
    b[0, :, 1] = NAN
    b[1, 2] = NAN
    y = tnn.tensor(b)
    np.testing.assert_allclose(
        y.nanquantile(tnn.tensor(q), 1, interpolation=interpolation).numpy(),
        np.stack([[[np.nan if np.isnan(r).all() else np.quantile(r[~np.isnan(r)], p, method=interpolation) for r in m.T]
                   for m in b] for p in q]),
    )  # fmt: skip
    assert np.isnan(y.quantile(0.5, 1, interpolation=interpolation).numpy()).sum() == 4 + 1


def test_histc():
    x = tnn.tensor([1.0, 2.0, 1.0, 5.0, 2.5])
    assert x.histc(4, 1, 5).tolist() == [2, 2, 0, 1] and x.histc(4).tolist() == [2, 2, 0, 1]
    assert x.histc(2, 2, 3).tolist() == [1, 1] and tnn.ones(3).histc(2).tolist() == [0, 3]
    assert tnn.histc(x.double(), bins=2).dtype is tnn.float64


def test_out_and_names():
    values, indices = tnn.zeros(3), tnn.zeros(3, dtype=tnn.int64)
    result = tnn.sort(tnn.tensor([3.0, 1.0, 2.0]), out=(values, indices))
    assert values.tolist() == [1, 2, 3] and result.values is values and result.indices is indices
    assert tnn.topk(values, 1)._fields == ("values", "indices") and type(values.median(0)).__name__ == "median"
    x = tnn.ones(2, requires_grad=True)
    assert x.sort().values.grad_fn.name() == "SortBackward0" and not x.sort().indices.requires_grad
    assert x.topk(1).values.grad_fn.name() == "TopkBackward0"


def test_large_rows_use_threads_and_agree():
    a = np.random.RandomState(0).randn(40, 3000).astype(np.float32)
    x = tnn.tensor(a)
    np.testing.assert_array_equal(x.sort().values.numpy(), np.sort(a, 1))
    np.testing.assert_array_equal(x.topk(7).values.numpy(), -np.sort(-a, 1)[:, :7])
    np.testing.assert_array_equal(x.topk(100).values.numpy(), -np.sort(-a, 1)[:, :100])


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (lambda x: x.sort(2), IndexError, "Dimension out of range"),
        (lambda x: x.topk(4), RuntimeError, "out of range"),
        (lambda x: x.topk(-1), RuntimeError, "out of range"),
        (lambda x: x.kthvalue(0), RuntimeError, "out of range"),
        (lambda x: x.kthvalue(4), RuntimeError, "out of range"),
        (lambda x: x[:, :0].median(1), IndexError, "non-zero size"),
        (lambda x: x[:, :0].kthvalue(1), IndexError, "non-zero size"),
        (lambda x: x[:, :0].mode(), IndexError, "non-zero size"),
        (lambda x: x.quantile(1.5), RuntimeError, r"\[0, 1\]"),
        (lambda x: x.int().quantile(0.5), RuntimeError, "float or double"),
        (lambda x: x.quantile(tnn.ones(1, dtype=tnn.float64)), RuntimeError, "same dtype"),
        (lambda x: x.quantile(tnn.ones(1, 1)), RuntimeError, "scalar or 1D"),
        (lambda x: x.quantile(0.5, interpolation="cubic"), RuntimeError, "cubic"),
        (lambda x: x[:0].quantile(0.5), RuntimeError, "non-empty"),
        (lambda x: x.histc(0), RuntimeError, "bins"),
        (lambda x: x.histc(3, 2, 1), RuntimeError, "larger than min"),
        (lambda x: tnn.tensor([NAN]).histc(3), RuntimeError, "not finite"),
        (lambda x: x.int().histc(3), NotImplementedError, "Int"),
        (lambda x: tnn.sort([1]), TypeError, "must be Tensor"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error, text):
    with pytest.raises(error, match=text):
        op(tnn.zeros(2, 3))


def test_histogram():
    x = tnn.tensor([0.1, 0.5, 0.9, 2.0, -1.0])
    h = x.histogram(3)
    assert h.hist.tolist() == [1.0, 3.0, 1.0]
    np.testing.assert_allclose(h.bin_edges.numpy(), [-1, 0, 1, 2], atol=1e-7)
    hist, edges = x.histogram(2, range=(0.0, 1.0), weight=tnn.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert hist.tolist() == [1.0, 5.0] and edges.tolist() == [0.0, 0.5, 1.0]
    hist = x.histogram(tnn.tensor([-1.0, 0.5, 2.0]), density=True).hist
    np.testing.assert_allclose(hist.numpy(), np.histogram(x.numpy(), [-1, 0.5, 2.0], density=True)[0], rtol=1e-6)
    with pytest.raises(RuntimeError, match="bins must be > 0"):
        x.histogram(0)
    with pytest.raises(RuntimeError, match="expected weight of shape"):
        x.histogram(2, weight=tnn.ones(2))


def test_quantile_has_a_gradient_of_its_fractions():
    x, q = leaf(sample(2, 5)), leaf(np.array([0.1, 0.6]))
    assert gradcheck(lambda a, b: tnn.quantile(a, b, 1), (x, q))
    assert gradcheck(lambda a, b: tnn.nanquantile(a, b), (x, q))


def test_edges_of_a_histogram_of_nothing():
    assert tnn.histogram(tnn.zeros(0), 2).bin_edges.tolist() == [0, 0.5, 1]


def test_median_of_all():
    for n in (1, 2, 9, 1000):
        for dtype in (tnn.float32, tnn.float64):
            x = tnn.randn(n, dtype=dtype)
            assert x.median().item() == sorted(x.tolist())[(n - 1) // 2]
            x[n // 2] = float("nan")
            assert x.median().isnan()
