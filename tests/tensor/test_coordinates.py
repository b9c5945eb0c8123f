"""Sparse tensors as coordinates and values."""

import pickle

import numpy as np
import pytest

import tnn

DENSE = tnn.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, -1.0]])


def test_there_and_back():
    s = DENSE.to_sparse()
    assert s.is_sparse and s.shape == (2, 3) and s._nnz() == 3 and s.is_coalesced() and s.layout is tnn.sparse_coo
    assert s.indices().tolist() == [[0, 1, 1], [1, 0, 2]] and s.values().tolist() == [2.0, 3.0, -1.0]
    assert s.to_dense().equal(DENSE) and s.t().to_dense().equal(DENSE.t())
    assert (s * 2).to_dense().equal(DENSE * 2) and s.double().dtype is tnn.float64
    assert DENSE.to_dense() is DENSE and DENSE.to_sparse(1).dense_dim() == 1
    assert DENSE.to_sparse(1).to_dense().equal(DENSE)
    assert pickle.loads(pickle.dumps(s)).to_dense().equal(DENSE)
    assert "nnz=3" in repr(s)


def test_places_named_twice_add_up():
    v = tnn.tensor([1.0, 2.0, 4.0], requires_grad=True)
    s = tnn.sparse_coo_tensor(tnn.tensor([[0, 1, 0], [2, 0, 2]]), v, (2, 3))
    assert s.to_dense().tolist() == [[0.0, 0.0, 5.0], [2.0, 0.0, 0.0]]
    c = s.coalesce()
    assert c.indices().tolist() == [[0, 1], [2, 0]] and c.values().tolist() == [5.0, 2.0]
    with pytest.raises(RuntimeError, match="uncoalesced"):
        s.indices()
    (s.to_dense() * DENSE).sum().backward()
    assert v.grad.tolist() == [0.0, 3.0, 0.0]


def test_products():
    x = tnn.tensor(np.arange(6.0, dtype=np.float32).reshape(3, 2), requires_grad=True)
    for y in (tnn.sparse.mm(DENSE.to_sparse(), x), DENSE.to_sparse() @ x):
        np.testing.assert_allclose(y.detach().numpy(), DENSE.numpy() @ x.detach().numpy())
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), DENSE.numpy().T @ np.ones((2, 2)))
    assert (DENSE.to_sparse() @ tnn.ones(3)).tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        DENSE.to_sparse() @ tnn.ones(2, 2)
    assert tnn.sparse.mm(DENSE, x).tolist() == (DENSE @ x).tolist()


def test_errors():
    with pytest.raises(RuntimeError, match="for dim 1, size is 2 but found index 2"):
        tnn.sparse_coo_tensor([[0], [2]], [1.0], (2, 2))
    with pytest.raises(RuntimeError, match="found index -1"):
        tnn.sparse_coo_tensor([[-1]], [1.0], (2,))
    with pytest.raises(RuntimeError, match="same nnz"):
        tnn.sparse_coo_tensor([[0, 1]], [1.0])
    with pytest.raises(RuntimeError, match="sparse_dim x nnz"):
        tnn.sparse_coo_tensor([0, 1], [1.0, 2.0])
    assert tnn.sparse_coo_tensor([[0, 4]], [1, 2], dtype=tnn.float64).shape == (5,)


def test_asked_of_dense_tensors():
    assert DENSE.sparse_dim() == 0 and DENSE.dense_dim() == 2 and DENSE.dequantize() is DENSE
    assert not DENSE.is_sparse_csr and not DENSE.is_xla
    for name in ("coalesce", "is_coalesced", "indices", "values"):
        with pytest.raises(RuntimeError, match=f"{name} expected sparse"):
            getattr(DENSE, name)()
    for name in ("cuda", "xpu", "ipu", "mtia"):
        with pytest.raises(RuntimeError, match=f"no {name.upper()} device"):
            getattr(DENSE, name)()


def test_printing():
    s = tnn.sparse_coo_tensor(tnn.tensor([[0, 1, 1], [2, 0, 2]]), tnn.tensor([3.0, 4.0, 5.0]), (2, 3))
    assert repr(s) == (
        "tensor(indices=tensor([[0, 1, 1],\n                       [2, 0, 2]]),\n       values=tensor([3., 4., 5.]),\n"
        "       size=(2, 3), nnz=3, layout=tnn.sparse_coo)"
    )
