"""The entry that joins lists of arrays: against NumPy."""

import numpy as np
import pytest

from tnn.kernels import _entry, _join

RNG = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(_entry, "PATIENCE", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16, np.uint8, np.bool_])
@pytest.mark.parametrize(("shape", "dim"), [
    ((7,), 0), ((3, 4), 1), ((3, 4), -2), ((2, 3, 5), 1), ((2, 0, 5), 0), ((300, 90), 0), ((300, 90), 1),
    ((300, 9, 11), -1),
])  # fmt: skip
def test_joins_as_numpy_does(dtype, shape, dim):
    arrays = []
    for n in (3, 1, 0, 20, 6):
        size = list(shape)
        size[dim] = n
        arrays.append(RNG.randint(-99, 99, size).astype(dtype))
    result = _join.joined(arrays, dim, False)
    np.testing.assert_array_equal(result, np.concatenate(arrays, dim))
    arrays = tuple(RNG.randint(-99, 99, shape).astype(dtype) for _ in range(4))
    for dim in range(-len(shape) - 1, len(shape) + 1):
        result = _join.joined(arrays, dim, True)
        assert result.dtype == dtype and result.flags.c_contiguous
        np.testing.assert_array_equal(result, np.stack(arrays, dim))


def test_declines_what_does_not_fit():
    x = np.zeros((2, 3))
    assert _join.joined([x, x], 0, False) is not None
    for arrays, dim in (
        ([], 0), ([x, x], 2), ([x, x], -3), ([x, x], 2**70), ([x, x], None), ([x, None], 0), ([None], 0), (x, 0),
        ([x, x.T], 0), ([x, x[:, ::2]], 1), ([x, x[0]], 0), ([x, x.astype(np.float32)], 0), ([np.zeros(())], 0),
        ([x, np.zeros((2, 4))], 0),
    ):  # fmt: skip
        assert _join.joined(arrays, dim, False) is None
    for arrays, dim in (([x, x], 3), ([x, x], -4), ([x, x[:1]], 0), ([x, np.zeros((3, 2))], 0)):
        assert _join.joined(arrays, dim, True) is None


def test_many_parts():
    arrays = [np.full((4,), i, np.float32) for i in range(5000)]
    np.testing.assert_array_equal(_join.joined(arrays, 0, False), np.concatenate(arrays))
    np.testing.assert_array_equal(_join.joined(arrays, 1, True), np.stack(arrays, 1))
