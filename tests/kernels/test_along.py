"""The entry of kernels that work along one dimension: against NumPy, and what it declines."""

import numpy as np
import pytest

import tnn
from tnn.kernels import _entry, reduction, scan
from tnn.kernels._along import FOUND, REDUCED, RUNNING, Along

RNG = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(_entry, "PATIENCE", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 4), (2, 3, 5), (40, 50)])
def test_agrees_with_numpy(dtype, shape):
    x = RNG.randint(-9, 9, shape).astype(dtype)
    most, place = Along(reduction.extreme_forward, REDUCED, reduction.MAX), Along(reduction.arg_forward, FOUND, 1)
    assert reduction.MIN == 1
    total = Along(scan.scan_forward, RUNNING, scan.CUMSUM)
    for dim in (None, *range(-len(shape), len(shape))):
        for keep in (None, True):
            keepdims = keep is not None
            got = most(x, dim, keep)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, x.max(dim, keepdims=keepdims))
            least, index = place(x, dim, keep)
            np.testing.assert_array_equal(least, x.min(dim, keepdims=keepdims))
            np.testing.assert_array_equal(index, x.argmin(dim, keepdims=keepdims))
            assert index.dtype == np.int64
        if dim is None:
            assert total(x, dim) is None
        else:
            np.testing.assert_array_equal(total(x, dim), np.cumsum(x, dim))


def test_declines_what_does_not_fit():
    most = Along(reduction.extreme_forward, REDUCED, reduction.MAX)
    x = np.zeros((3, 4), np.float32)
    assert most(x, 0) is not None
    for given in (
        (x, 2), (x, -3), (x, 1.0), (x, True), (x, (0,)), (x.T, 0), (x[:, ::2], 0), (x[:0], 0), (x[0, 0], 0),
        (x.astype(np.int64), 0), (x.astype(np.float16), 0), (np.zeros((200, 200)), 0), (None, 0),
    ):  # fmt: skip
        assert most(*given) is None, given[1:]


def test_operations_find_it():
    x = tnn.tensor([[1.0, np.nan, 3.0], [4.0, 2.0, 4.0]])
    for _ in range(3):
        assert x.argmax(1).tolist() == [1, 0] and x[1].argmin().item() == 1
        assert x.argmax(0, keepdim=True).shape == (1, 3)
        values, indices = x[1:].max(1)
        assert type(x.max(1)).__name__ == "max" and (values.tolist(), indices.tolist()) == ([4.0], [0])
        assert x[1].max().item() == 4.0 and x.amin(0).tolist()[::2] == [1.0, 3.0] and x.amax().isnan().item()
        assert x.cumsum(0).tolist()[1][::2] == [5.0, 7.0] and x[1].cumprod(0).tolist() == [4.0, 8.0, 32.0]
        for wrong in (lambda: x.argmax(2), lambda: x.max(2), lambda: x.amax(-3), lambda: x.cumsum(2)):
            with pytest.raises(IndexError):
                wrong()
    leaf = x.clone().requires_grad_()
    assert leaf.max(1)[0].grad_fn is not None and leaf.cumsum(0).grad_fn is not None and leaf.amax(0).requires_grad
