"""Sparse gradients: the rows that they name change as with dense gradients, the others do not."""

import numpy as np
import pytest

import tnn
from tnn import optim


class Rows(tnn.Tensor):
    """As much of a sparse gradient as an optimizer asks for."""

    is_sparse = True

    def coalesce(self):
        rows = np.unique(self.rows)
        values = np.stack([self.values[self.rows == r].sum(0) for r in rows]) if rows.size else self.values[:0]
        return make(self.n, rows, values)

    def _indices(self):
        return tnn.tensor(self.rows[None])

    def _values(self):
        return tnn.tensor(self.values)

    def to_dense(self):
        out = np.zeros((self.n, self.values.shape[1]))
        np.add.at(out, self.rows, self.values)
        return tnn.tensor(out)


def make(n, rows, values):
    g = Rows()
    g.n, g.rows, g.values = n, np.asarray(rows, np.int64), np.asarray(values)
    return g


def table():
    return tnn.nn.Parameter(tnn.tensor(np.arange(12.0).reshape(4, 3) / 10))


GRADS = [make(4, [2, 0, 2], np.arange(9.0).reshape(3, 3)), make(4, [0, 2], -np.ones((2, 3)) / 3)]


def both(name, dense_name, options):
    a, b = table(), table()
    for p, which in ((a, name), (b, dense_name)):
        opt = getattr(optim, which)([p], **options)
        for g in GRADS:
            p.grad = g if p is a else g.to_dense()
            opt.step()
    return a.detach().numpy(), b.detach().numpy()


@pytest.mark.parametrize(
    "name, dense_name, options",
    [
        ("SGD", "SGD", {"lr": 0.1}),
        ("SGD", "SGD", {"lr": 0.1, "momentum": 0.9}),
        ("SGD", "SGD", {"lr": 0.1, "maximize": True}),
        ("Adagrad", "Adagrad", {"lr": 0.1, "lr_decay": 0.2}),
        ("SparseAdam", "Adam", {"lr": 0.1, "eps": 1e-30}),
        ("SparseAdam", "Adam", {"lr": 0.1, "eps": 1e-30, "maximize": True}),
    ],
)
def test_as_with_dense_gradients(name, dense_name, options):
    # the rows are the same in both steps, so that no moment decays unseen; Adam's two forms put eps at different places
    got, want = both(name, dense_name, options)
    np.testing.assert_allclose(got, want, rtol=1e-9)
    if "momentum" not in options:
        assert np.array_equal(got[[1, 3]], table().detach().numpy()[[1, 3]])


def test_many_rows_in_parallel():
    rng = np.random.default_rng(0)
    rows, values = rng.permutation(3000)[:2000], rng.standard_normal((2000, 32))
    for name, dense in (("SGD", "SGD"), ("Adagrad", "Adagrad"), ("SparseAdam", "Adam")):
        out = []
        for which in (name, dense):
            p = tnn.nn.Parameter(tnn.tensor(np.ones((3000, 32))))
            g = make(3000, rows, values)
            p.grad = g if which == name and len(out) == 0 else g.to_dense()
            options = {} if which == "SGD" else {"eps": 1e-30}
            getattr(optim, which)([p], lr=0.1, **options).step()
            out.append(p.detach().numpy())
        np.testing.assert_allclose(out[0], out[1], rtol=1e-6)


def test_sparse_adam_state():
    p = table()
    opt = optim.SparseAdam([p])
    p.grad = GRADS[0]
    opt.step()
    assert opt.state[p]["step"] == 1 and set(opt.state[p]) == {"step", "exp_avg", "exp_avg_sq"}
    assert opt.state[p]["exp_avg"].numpy()[1].tolist() == [0.0, 0.0, 0.0]
    p.grad = make(4, [], np.zeros((0, 3)))
    opt.step()
    assert opt.state[p]["step"] == 2


def test_what_takes_no_sparse_or_no_dense_gradients():
    p = table()
    p.grad = GRADS[0]
    with pytest.raises(RuntimeError, match="Adam does not support sparse gradients, please consider SparseAdam"):
        optim.Adam([p]).step()
    for name in ("Adamax", "RMSprop", "Rprop", "NAdam", "Adafactor", "Muon"):
        with pytest.raises(RuntimeError, match=f"{name} does not support sparse gradients"):
            getattr(optim, name)([p]).step()
    for name in ("SGD", "Adagrad"):
        with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse gradients"):
            getattr(optim, name)([p], weight_decay=0.1).step()
    p.grad = GRADS[0].to_dense()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        optim.SparseAdam([p]).step()


def test_rows_out_of_range_and_misfits_raise():
    p = table()
    for bad, text in (
        (make(4, [4], np.ones((1, 3))), r"places from \[4\] to \[4\] in sizes \(4,\)"),
        (make(4, [-1], np.ones((1, 3))), r"places from \[-1\] to \[-1\]"),
        (make(4, [0], np.ones((1, 2))), r"values of shape \[1, 3\], got \[1, 2\]"),
    ):
        p.grad = bad
        with pytest.raises(RuntimeError, match=text):
            optim.SGD([p]).step()
    p = tnn.nn.Parameter(tnn.tensor(np.ones((3, 4))).t())
    p.grad = make(4, [0], np.ones((1, 3)))
    with pytest.raises(RuntimeError, match="contiguous"):
        optim.SGD([p]).step()


@pytest.mark.parametrize("name, dense_name", [("SGD", "SGD"), ("Adagrad", "Adagrad"), ("SparseAdam", "Adam")])
def test_places_in_every_dimension(name, dense_name):
    g = tnn.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.5], [0.0, 0.0, 0.0]], dtype=tnn.float64)
    a, b = table(), table()
    a.grad, b.grad = g.to_sparse(), g
    options = {} if name == "SGD" else {"eps": 1e-300}  # SparseAdam adds it in another place
    getattr(optim, name)([a], lr=0.1, **options).step()
    getattr(optim, dense_name)([b], lr=0.1, **options).step()
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)
