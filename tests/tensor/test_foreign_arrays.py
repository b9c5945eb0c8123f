"""Arrays whose dtype equals NumPy's and is another object, as unpickled ones have it."""

import pickle

import numpy as np
import pytest

import tnn


def unpickled(array):
    array = pickle.loads(pickle.dumps(array))
    assert array.dtype is not np.dtype(np.float32)
    return array


@pytest.mark.parametrize("make", [tnn.from_numpy, tnn.tensor, tnn.as_tensor, tnn.Tensor])
def test_operations_take_them(make):
    t = make(unpickled(np.full((2, 3), 2.0, np.float32)))
    assert t._data.dtype is np.dtype(np.float32)
    assert (t * tnn.ones(2, 3)).sum().item() == 12 and (t * tnn.ones(2, 3)).dtype is tnn.float32


def test_memory_is_still_shared():
    array = unpickled(np.zeros((4, 4), np.float32))[:, ::2]
    tnn.from_numpy(array).fill_(3.0)
    assert array.sum() == 24


def test_unpickled_tensors_compute():
    t = pickle.loads(pickle.dumps(tnn.full((3,), 2.0, requires_grad=True)))
    (t * t).sum().backward()
    assert t.grad.tolist() == [4.0, 4.0, 4.0]
    result = pickle.loads(pickle.dumps(t * 2))
    assert result.is_leaf and result.requires_grad


def test_a_detached_tensor_may_be_changed_in_place():
    base = tnn.zeros(4, requires_grad=True)
    base.detach().fill_(3.0)
    part = base[1:].detach()
    part.mul_(2.0)
    assert base.tolist() == [3.0, 6.0, 6.0, 6.0] and part.storage_offset() == 1 and not part.requires_grad
    y = base * base
    base.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()
