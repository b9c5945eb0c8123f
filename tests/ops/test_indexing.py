"""x[...] on both sides of the equals sign."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

from .views import check, leaf, sample

A = sample(3, 4, 5)
MASK = np.random.RandomState(0).rand(3, 4, 5) > 0.6
ROWS = np.array([True, False, True])

# index -> the NumPy index with the same meaning (their rules differ where an int stands beside separated arrays)
VIEWS = {
    "int": 1,
    "negative int": (-1, 2),
    "slice": slice(1, None),
    "slices": (slice(None), slice(1, 3), slice(None, None, 2)),
    "slice beyond": (slice(-9, 9), slice(5, 7)),
    "none": None,
    "ellipsis": Ellipsis,
    "mixed": (0, None, Ellipsis, slice(1, 4, 2), None),
    "numpy int": (np.int64(1), slice(None)),
    "all": (1, 2, 3),
    "empty tuple": (),
}
COPIES = {
    "list": [0, 2, 2],
    "lists": ([0, 2], [1, 3]),
    "array": (slice(None), np.array([[0, 1], [-1, 0]])),
    "last": (Ellipsis, np.array([4, 0])),
    "broadcast": (np.array([[0], [2]]), np.array([1, 3])),
    "separated": (np.array([0, 2]), slice(None), np.array([1, -1])),
    "middle": (slice(None), np.array([0, 2]), np.array([1, 3])),
    "new dimension": (slice(0, 2), None, np.array([0, 2])),
    "mask": MASK,
    "mask of rows": ROWS,
    "mask in the middle": (slice(None), np.array([True, False, True, True])),
    "mask of two": (slice(None), MASK[0]),
    "mask and array": (ROWS, np.array([1, 2])),
    "range": (range(2),),
    "empty": np.array([], np.int64),
    "nothing true": np.zeros((3, 4, 5), bool),
    "true": True,
    "false": False,
}


def as_tensors(key):
    """The index with tensors in place of arrays."""
    if isinstance(key, tuple):
        return tuple(as_tensors(k) for k in key)
    return tnn.tensor(key) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("name", VIEWS)
def test_views(name):
    key = VIEWS[name]
    check(lambda x: x[key], lambda a: a[key], A, view=True)


@pytest.mark.parametrize("name", COPIES)
def test_copies(name):
    key = COPIES[name]
    if name == "range":
        check(lambda x: x[key], lambda a: a[[0, 1]], A, view=False)
        return
    check(lambda x: x[as_tensors(key)], lambda a: a[key], A, view=False)
    np.testing.assert_array_equal(tnn.tensor(A)[key].numpy(), A[key])


def test_an_int_is_applied_before_tensors():
    x, a = tnn.arange(120).reshape(2, 3, 4, 5), np.arange(120).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(x[:, 0, :, [0, 1]].numpy(), a[:, 0][:, :, [0, 1]])
    np.testing.assert_array_equal(x[0, :, [0, 1]].numpy(), a[0][:, [0, 1]])
    np.testing.assert_array_equal(x[0, [0, 1], :, [0, 1]].numpy(), a[0][[0, 1], :, [0, 1]])
    np.testing.assert_array_equal(x[tnn.tensor(1), 2].numpy(), a[1, 2])
    assert x[True, [0, 1]].shape == (2, 3, 4, 5)
    assert x[[slice(0, 1)]].shape == (1, 3, 4, 5) and x[[[0, 1], [1, 2]]].shape == (2, 4, 5)


def test_index_dtypes():
    x = tnn.arange(3)
    for dtype in (tnn.int64, tnn.int32):
        assert x[tnn.tensor([2, 0], dtype=dtype)].tolist() == [2, 0]
    assert x[tnn.tensor([1, 0, 1], dtype=tnn.uint8)].tolist() == [0, 2]
    assert x[tnn.tensor(True)].shape == (1, 3) and x[tnn.tensor(2)].item() == 2
    for dtype in (tnn.int16, tnn.float32):
        with pytest.raises(IndexError, match="must be long, int, byte or bool"):
            x[tnn.tensor([1, 0], dtype=dtype)]


def test_dtypes_of_elements():
    for dtype in tnn.dtypes.ALL:
        x = tnn.tensor(np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype.np))
        assert x[[2, 0]].dtype is dtype and x[[2, 0]].tolist() == [x[2].tolist(), x[0].tolist()]
    h = tnn.tensor([1.0, 2.0], dtype=tnn.bfloat16, requires_grad=True)
    h[[0, 0, 1]].sum().backward()
    assert h.grad.dtype is tnn.bfloat16 and h.grad.tolist() == [2, 1]


def test_equal_indices_add_up_in_the_gradient():
    x = leaf(A)
    (x[[0, 0, 2]] * tnn.tensor(A)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.stack([A[0] + A[1], 0 * A[0], A[2]]))


def test_large_gradient_is_the_sum():
    """Enough elements for the parallel kernels."""
    index = np.random.RandomState(0).randint(0, 50, 3000)
    g = np.random.RandomState(1).rand(3000, 70)
    x = leaf(np.zeros((50, 70)))
    (x[tnn.tensor(index)] * tnn.tensor(g)).sum().backward()
    expected = np.zeros((50, 70))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)
    np.testing.assert_array_equal(tnn.tensor(g)[tnn.tensor(index)].numpy(), g[index])
    strided = tnn.tensor(g).t()
    np.testing.assert_array_equal(strided[:, index[:5]].numpy(), g.T[:, index[:5]])


ERRORS = {
    "too large": (3, IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    "too small": (-4, IndexError, "index -4 is out of bounds"),
    "second": ((1, 9), IndexError, "index 9 is out of bounds for dimension 1 with size 4"),
    "behind dots": ((Ellipsis, 9), IndexError, "index 9 is out of bounds for dimension 2"),
    "too many": ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
    "too many with list": ((0, 0, 0, [0]), IndexError, "too many indices"),
    "float": (1.0, IndexError, "got float"),
    "text": ("a", TypeError, "'a'"),
    "text inside": ((0, "a"), TypeError, "'a'"),
    "negative step": (slice(None, None, -1), ValueError, "greater than zero"),
    "zero step": (slice(None, None, 0), ValueError, "cannot be zero"),
    "float slice": (slice(0, 1.5), TypeError, "integer"),
    "list": ([0, 3], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    "list below": ([0, -4], IndexError, "index -4 is out of bounds"),
    "int beside list": (([0], 9), IndexError, "index 9 is out of bounds for dimension 1"),
    "shapes": (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast together with shapes \[2\], \[3\]"),
    "mask": (np.array([True, False]), IndexError, r"shape of the mask \[2\] at index 0 does not match"),
    "wide mask": (np.ones((3, 3), bool), IndexError, r"mask \[3, 3\] at index 1 .* tensor \[3, 4, 5\] at index 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    key, error, text = ERRORS[name]
    x = tnn.zeros(3, 4, 5)
    with pytest.raises(error, match=text):
        x[key]
    with pytest.raises(error, match=text):
        x[key] = 1.0
    assert (x.numpy() == 0).all()


def test_errors_without_elements_or_dimensions():
    with pytest.raises(IndexError, match="0-dim tensor"):
        tnn.tensor(1.0)[0]
    with pytest.raises(IndexError, match="out of bounds for dimension with size 0"):
        tnn.zeros(0, 3)[[0]]
    assert tnn.zeros(3, 0)[[0]].shape == (1, 0) and tnn.zeros(0, 3)[:, [1]].shape == (0, 1)
    rows, columns = tnn.tensor([0, 1]), tnn.tensor([1])
    for shape in [(3, 2), (3, 2, 0), (3, 2, 4, 0)] * 40:
        assert tnn.zeros(shape)[rows, columns].shape == (2, *shape[2:])


# -- writing


@pytest.mark.parametrize("name", {**VIEWS, **COPIES})
def test_assignment(name):
    key = {**VIEWS, **COPIES}[name]
    numpy_key = [0, 1] if name == "range" else key
    for value in (7.0, sample(*A[numpy_key].shape, seed=4) + 10):
        a, x = A.copy(), tnn.tensor(A)
        a[numpy_key] = value
        x[as_tensors(key)] = tnn.tensor(value) if isinstance(value, np.ndarray) else value
        np.testing.assert_array_equal(x.numpy(), a)


@pytest.mark.parametrize("name", ["int", "mixed", "mask", "list", "separated", "broadcast", "mask and array", "last"])
def test_gradient_of_assignment(name):
    key = {**VIEWS, **COPIES}[name]

    def op(x, v):
        y = x * 1
        y[as_tensors(key)] = v * 2
        return y * x

    shape = np.unique(np.arange(60).reshape(3, 4, 5)[key]).size
    if name == "list":
        key, shape = [0, 2], 40  # equal indices leave the last value: not a smooth function
    x, v = leaf(A), leaf(sample(*A[key].shape, seed=5) if A[key].size == shape else np.zeros(A[key].shape))
    gradcheck(op, (x, v))
    gradgradcheck(op, (x, v))
    narrow = leaf(np.ones(1))
    gradcheck(op, (x, narrow))


def test_assigned_values_are_broadcast_and_cast():
    x = tnn.zeros(2, 3)
    x[0] = tnn.ones(1, 1, 3, dtype=tnn.int64)
    x[1] = tnn.tensor(2.0, dtype=tnn.float64)
    x[:, [2]] = tnn.tensor(5)
    assert x.tolist() == [[1, 1, 5], [2, 2, 5]]
    x[x > 4] = -1
    assert x.tolist() == [[1, 1, -1], [2, 2, -1]]
    h = tnn.zeros(2, dtype=tnn.bfloat16)
    h[0] = 1.5
    h[[1]] = 2.5
    assert h.tolist() == [1.5, 2.5]
    b = tnn.zeros(2, dtype=tnn.bool)
    b[1] = True
    assert b.tolist() == [False, True]


def test_assignment_errors():
    x = tnn.zeros(3, 4)
    for key, value, error, text in [
        (0, tnn.ones(3), RuntimeError, "shape"), (0, tnn.ones(2, 4), RuntimeError, "shape"),
        ([0, 1], tnn.ones(3), RuntimeError, r"value tensor of shape \[3\] cannot be broadcast"),
        (x > -1, tnn.zeros(5), RuntimeError, "cannot be broadcast"),
        ([0, 1], tnn.ones(4, dtype=tnn.float64), RuntimeError, "got Float for the destination and Double"),
        (0, [1, 2, 3, 4], TypeError, "can't assign a list"), (0, None, TypeError, "NoneType"),
        (0, "a", TypeError, "str"),
    ]:  # fmt: skip
        with pytest.raises(error, match=text):
            x[key] = value
    leaf_tensor = tnn.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        leaf_tensor[0] = 1
    with tnn.no_grad():
        leaf_tensor[0] = 1
    assert leaf_tensor.tolist() == [1, 0, 0]
    with pytest.raises(RuntimeError, match="single memory location"):
        tnn.zeros(1).expand(3)[[0]] = 1
    saved = tnn.ones(3, requires_grad=True)
    y = saved * 2
    z = (y * y).sum()
    y[0] = 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_views_see_an_assignment():
    x = leaf(A)
    base = x * 1
    row = base[1]
    base[1, 2] = 0
    (row * row).sum().backward()
    expected = np.zeros_like(A)
    expected[1] = 2 * A[1]
    expected[1, 2] = 0
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_index_put():
    i, j = np.array([0, 2, 0]), np.array([1, 3, 1])
    put = lambda x, v: x.index_put((tnn.tensor(i), tnn.tensor(j)), v, accumulate=True)  # noqa: E731

    def reference(a, v):
        a = a.copy()
        np.add.at(a, (i, j), v)
        return a

    check(put, reference, A, sample(3, 5, seed=6))
    check(lambda x, v: x.index_put([None, tnn.tensor([3])], v), lambda a, v: _changed(a, v), A, sample(5, seed=6))
    x = tnn.zeros(4)
    assert x.index_put_((tnn.tensor([1, 1]),), tnn.ones(2), accumulate=True) is x and x.tolist() == [0, 2, 0, 0]
    x.index_put_((tnn.tensor([True, False, False, True]),), tnn.tensor(3.0))
    assert x.tolist() == [3, 2, 0, 3]
    y = tnn.ones(2, requires_grad=True)
    z = y * 1
    z.index_put_((tnn.tensor([0]),), y[1:] * 3)
    z.sum().backward()
    assert y.grad.tolist() == [0, 4]
    with pytest.raises(RuntimeError, match="dtypes match"):
        x.index_put((tnn.tensor([0]),), tnn.tensor(1))
    with pytest.raises(IndexError, match="out of bounds"):
        x.index_put_((tnn.tensor([4]),), tnn.tensor(1.0))
    with pytest.raises(TypeError, match="tuple of Tensors"):
        x.index_put(tnn.tensor([0]), tnn.tensor(1.0))
    for indices in (tnn.tensor([0, 1]), 3):
        with pytest.raises(TypeError, match=r"index_put_\(\): argument 'indices' must be tuple of Tensors"):
            x.index_put_(indices, tnn.tensor(1.0))


def _changed(a, v):
    a = a.copy()
    a[:, [3]] = v
    return a
