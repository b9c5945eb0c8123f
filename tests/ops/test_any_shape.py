"""Operations on shapes that hypothesis makes up, against NumPy and plain references: values, shapes and gradients."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tnn
from tnn.nn import functional as F

pytestmark = pytest.mark.boundscheck

settings.register_profile("shapes", max_examples=40, deadline=None, derandomize=True, database=None)
settings.load_profile("shapes")

SIZES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def numbers(shape, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def gradient(function, *arrays):
    """The gradients of ``(function(*arrays) * w).sum()`` for fixed w, and w."""
    tensors = [tnn.tensor(a, requires_grad=True) for a in arrays]
    out = function(*tensors)
    w = numbers(out.shape, 9)
    (out * tnn.tensor(w)).sum().backward()
    return [t.grad.numpy() for t in tensors], w


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4))
def test_arithmetic_broadcasts(shapes):
    (a, b), result = shapes.input_shapes, shapes.result_shape
    x, y = numbers(a), numbers(b, 1) + 2
    for ours, theirs in ((tnn.add, np.add), (tnn.mul, np.multiply), (tnn.div, np.divide), (tnn.maximum, np.maximum)):
        out = ours(tnn.tensor(x), tnn.tensor(y))
        assert out.shape == result
        np.testing.assert_allclose(out.numpy(), theirs(x, y), rtol=1e-12)
    (gx, gy), w = gradient(tnn.mul, x, y)
    spread = w * np.broadcast_to(y, result)
    lead = tuple(range(len(result) - len(a)))
    own = tuple(i + len(lead) for i, n in enumerate(a) if n == 1)
    np.testing.assert_allclose(gx, spread.sum(lead + own, keepdims=True).reshape(a), rtol=1e-10, atol=1e-12)
    assert gy.shape == b


@given(SIZES.filter(lambda s: len(s) > 0), st.data())
def test_reductions_over_any_dimensions(shape, data):
    dims = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    keep = data.draw(st.booleans())
    x = numbers(shape)
    np.testing.assert_allclose(
        tnn.tensor(x).sum(dims, keepdim=keep).numpy(), x.sum(tuple(dims), keepdims=keep), rtol=1e-10, atol=1e-12
    )
    if all(shape):
        np.testing.assert_array_equal(tnn.tensor(x).amax(dims, keepdim=keep).numpy(), x.max(tuple(dims), keepdims=keep))
        np.testing.assert_allclose(
            tnn.tensor(x).mean(dims, keepdim=keep).numpy(), x.mean(tuple(dims), keepdims=keep), rtol=1e-10, atol=1e-12
        )
    (g,), w = gradient(lambda t: t.sum(dims, keepdim=True), x)
    np.testing.assert_array_equal(g, np.broadcast_to(w, shape))


@given(SIZES, st.data())
def test_views_show_what_numpy_shows(shape, data):
    x = numbers(shape)
    t = tnn.tensor(x)
    order = data.draw(st.permutations(range(len(shape))))
    np.testing.assert_array_equal(t.permute(order).numpy(), x.transpose(order))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True).filter(_forward))
    want = x[index]
    got = t[index]
    assert got.shape == np.shape(want)
    np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(t.permute(order).reshape(-1).numpy(), x.transpose(order).reshape(-1))


def _forward(index):
    """Whether no slice goes backwards, which tensors do not allow."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(not isinstance(p, slice) or p.step is None or p.step > 0 for p in parts)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 40), st.booleans(), st.booleans())
def test_matrix_products_of_any_size(m, n, k, first, second):
    a, b = numbers((k, m) if first else (m, k)), numbers((n, k) if second else (k, n), 1)
    x, y = tnn.tensor(a), tnn.tensor(b)
    out = (x.t() if first else x) @ (y.t() if second else y)
    np.testing.assert_allclose(out.numpy(), (a.T if first else a) @ (b.T if second else b), rtol=1e-9, atol=1e-12)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3), st.integers(1, 4), st.integers(0, 4))
def test_batched_products_broadcast(shapes, m, k):
    a, b = numbers(shapes.input_shapes[0] + (m, k)), numbers(shapes.input_shapes[1] + (k, 3), 1)
    np.testing.assert_allclose(tnn.matmul(tnn.tensor(a), tnn.tensor(b)).numpy(), a @ b, rtol=1e-9, atol=1e-12)


@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(3, 8), st.integers(3, 8), st.integers(1, 3), st.integers(1, 2),
    st.integers(0, 2), st.integers(1, 2),
)  # fmt: skip
def test_convolution_of_any_size(n, c, h, w, k, stride, padding, dilation):
    span = dilation * (k - 1) + 1
    x, weight = numbers((n, c, h, w)), numbers((2, c, k, k), 1)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    if min(padded.shape[2:]) < span:
        with pytest.raises(RuntimeError):
            F.conv2d(tnn.tensor(x), tnn.tensor(weight), None, stride, padding, dilation)
        return
    windows = naive._windows(x, k, stride, padding, dilation, 0)
    out = F.conv2d(tnn.tensor(x), tnn.tensor(weight), None, stride, padding, dilation)
    np.testing.assert_allclose(out.numpy(), np.einsum("nchwij,ocij->nohw", windows, weight), rtol=1e-9, atol=1e-12)


@given(st.integers(1, 2), st.integers(2, 9), st.integers(2, 9), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))
def test_pooling_of_any_size(n, h, w, k, stride, padding):
    x = numbers((n, 2, h, w))
    if padding > k // 2 or min(h, w) + 2 * padding < k:
        with pytest.raises(RuntimeError):
            F.max_pool2d(tnn.tensor(x), k, stride, padding)
        return
    np.testing.assert_array_equal(
        F.max_pool2d(tnn.tensor(x), k, stride, padding).numpy(), naive.max_pool2d(x, k, stride, padding, 1)
    )
    mean = naive.avg_pool2d(x, k, stride, padding, True)
    np.testing.assert_allclose(F.avg_pool2d(tnn.tensor(x), k, stride, padding).numpy(), mean, rtol=1e-10)


@given(SIZES.filter(lambda s: len(s) > 0 and all(s)), st.data())
def test_softmax_sums_to_one_along_any_dimension(shape, data):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = numbers(shape) * 50
    out = tnn.tensor(x).softmax(dim).numpy()
    np.testing.assert_allclose(out.sum(dim), 1, rtol=1e-12)
    np.testing.assert_allclose(np.log(out), tnn.tensor(x).log_softmax(dim).numpy(), rtol=1e-9, atol=1e-9)
