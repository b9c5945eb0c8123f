"""Storages, set_, apply_ and what tensors say of features that they do not have."""

import numpy as np
import pytest

import tnn
from tnn.storage import UntypedStorage


def test_untyped_storage_is_shared_with_views():
    x = tnn.arange(6.0).reshape(2, 3)
    s = x[1].untyped_storage()
    assert s.nbytes() == s.size() == len(s) == 24 and s.data_ptr() == x.data_ptr() and s.element_size() == 1
    assert x.t().untyped_storage().data_ptr() == s.data_ptr() and x.clone().untyped_storage().data_ptr() != s.data_ptr()
    s[20:24].copy_(tnn.tensor([7.0]).untyped_storage())
    assert x[1, 2].item() == 7 and s[23] == 0x40 and list(s)[:4] == [0, 0, 0, 0]
    copy = s.clone().fill_(1)
    assert copy.tolist() == [1] * 24 and x[0, 1].item() == 1
    assert not s.is_shared() and s.cpu() is s and "of size 24" in repr(s)
    s[0] = 1
    assert x[0, 0].item() > 0
    with pytest.raises(RuntimeError, match="24 bytes, got 4"):
        s.copy_(UntypedStorage(4))
    with pytest.raises(TypeError, match="number of bytes"):
        UntypedStorage("a")
    assert UntypedStorage(0).data_ptr() == 0


def test_typed_storage():
    s = tnn.arange(4.0)[1:].storage()
    assert s.tolist() == [0, 1, 2, 3] == list(s) and len(s) == s.size() == 4 and s.dtype is tnn.float32 and s[2] == 2
    s[0] = 9
    assert s.untyped().nbytes() == s.nbytes() == 16 and s.element_size() == 4 and s.data_ptr() and "float32" in repr(s)


def test_storage_of_strided_memory():
    x = tnn.from_numpy(np.arange(12.0).reshape(3, 4)[:, 1:3])
    assert x.untyped_storage().nbytes() == 10 * 8
    assert x.storage().tolist() == list(range(1, 11))


def test_set():
    x, y = tnn.arange(6.0), tnn.zeros(0)
    assert y.set_(x).data_ptr() == x.data_ptr()
    assert y.set_(x, 1, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]] and y.set_(x, 2, (2, 2)).tolist() == [
        [2, 3],
        [4, 5],
    ]
    assert y.set_(x.untyped_storage()).tolist() == x.tolist() and y.set_(x.storage(), 4).tolist() == [4, 5]
    assert y.set_().shape == (0,)
    for args, error in [((x.int(),), RuntimeError), ((x, 5, (2,)), RuntimeError), ((3,), TypeError)]:
        with pytest.raises(error, match="set_|storage"):
            y.set_(*args)


def test_elementwise_python_functions():
    x = tnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.apply_(lambda v: v * 2) is x and x.tolist() == [[2, 4], [6, 8]]
    assert (
        x.t().map_(tnn.tensor([1.0, 10.0]), lambda a, b: a + b).tolist() == [[3, 16], [5, 18]] and x[0, 0].item() == 3
    )
    for op in (lambda: x.requires_grad_().apply_(abs), lambda: x.map_(x, max)):
        with pytest.raises(RuntimeError, match="requires grad"):
            op()


def test_small_questions():
    x = tnn.ones(2, 3, requires_grad=True)
    assert x.dim_order() == (0, 1) and x.t().dim_order() == (1, 0) and x.const_data_ptr() == x.data_ptr()
    assert x.is_same_size(tnn.zeros(2, 3)) and not x.is_same_size(x.t()) and tnn.tensor(3).is_nonzero()
    with pytest.raises(RuntimeError, match="ambiguous"):
        x.is_nonzero()
    assert tnn.is_floating_point(x) and not tnn.is_floating_point(x.int()) and not tnn.is_complex(x)
    assert tnn.arange(2).conj_physical_().tolist() == [0, 1]
    for same in (x.conj(), x.real, x.resolve_conj(), x.resolve_neg(), x.conj_physical(), x.pin_memory()):
        assert same is x
    assert not (x.is_conj() or x.is_neg() or x.is_distributed())
    assert x.resize(3, 2).shape == (3, 2) and x.resize_as(tnn.zeros(6)).shape == (6,)


def test_as_subclass():
    class Mine(tnn.Tensor):
        __slots__ = ()

    x = tnn.ones(2, requires_grad=True)
    y = x.as_subclass(Mine)
    assert type(y) is Mine and y.data_ptr() == x.data_ptr()
    (y * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    with pytest.raises(TypeError, match="subclass of Tensor"):
        x.as_subclass(int)
