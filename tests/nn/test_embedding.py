"""Embeddings, bags, and sparse gradients."""

import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn import functional as F

INDEX = tnn.tensor([[0, 2, 2], [4, 1, 0]])


class Lookup(nn.Module):
    """An embedding under a float input, so that check_layer can drive it."""

    def __init__(self, inner, *args):
        super().__init__()
        self.inner = inner
        self.args = args

    def forward(self, x):
        return self.inner(*self.args) * x


CASES = [
    LayerCase("embedding", lambda: Lookup(nn.Embedding(5, 2), INDEX), ((2, 3, 2),), double=True, empty=False),
    LayerCase("padding", lambda: Lookup(nn.Embedding(5, 2, padding_idx=2), INDEX), ((2, 3, 2),), empty=False,
              differentiable=False),
    LayerCase("bag_mean", lambda: Lookup(nn.EmbeddingBag(5, 2), INDEX), ((2, 2),), double=True, empty=False),
    LayerCase("bag_sum", lambda: Lookup(nn.EmbeddingBag(5, 2, mode="sum"), INDEX), ((2, 2),), empty=False),
    LayerCase("bag_max", lambda: Lookup(nn.EmbeddingBag(5, 2, mode="max"), INDEX), ((2, 2),), empty=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


@pytest.mark.parametrize("width", [3, 200])
def test_gradient_adds_up_over_equal_indices(width):
    rng = np.random.RandomState(0)
    index = rng.randint(0, 7, (40, 9))
    w = tnn.tensor(rng.standard_normal((7, width)), requires_grad=True)
    g = rng.standard_normal((40, 9, width))
    F.embedding(tnn.tensor(index), w, padding_idx=3).backward(tnn.tensor(g))
    want = np.zeros((7, width))
    np.add.at(want, index, g)
    want[3] = 0
    np.testing.assert_allclose(w.grad.numpy(), want, rtol=1e-10)


def test_scale_grad_by_freq_divides_by_the_count():
    w = tnn.zeros(4, 1, requires_grad=True)
    F.embedding(tnn.tensor([1, 1, 1, 2]), w, scale_grad_by_freq=True).sum().backward()
    assert w.grad.flatten().tolist() == pytest.approx([0, 1, 1, 0])


def test_max_norm_scales_rows_in_place():
    w = tnn.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    F.embedding(tnn.tensor([0, 1]), w, max_norm=1.0)
    np.testing.assert_allclose(w.numpy(), [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]], rtol=1e-6)


def test_bags_reduce_their_rows():
    w = tnn.arange(10.0).reshape(5, 2)
    index, offsets = tnn.tensor([0, 1, 4, 2]), tnn.tensor([0, 0, 3])
    total = F.embedding_bag(index, w, offsets, mode="sum")
    assert total.tolist() == [[0, 0], [10, 13], [4, 5]]
    assert F.embedding_bag(index, w, offsets, mode="mean", padding_idx=4).tolist() == [[0, 0], [1, 2], [4, 5]]
    assert F.embedding_bag(index, w, offsets, mode="max").tolist() == [[0, 0], [8, 9], [4, 5]]
    last = tnn.tensor([0, 1, 4])
    assert F.embedding_bag(index, w, last, mode="sum", include_last_offset=True).tolist() == [[0, 1], [14, 17]]


def test_per_sample_weights_have_gradients():
    rng = np.random.RandomState(0)
    w = tnn.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    s = tnn.tensor(rng.standard_normal((2, 3)), requires_grad=True)

    def bag(w, s):
        return F.embedding_bag(INDEX, w, mode="sum", per_sample_weights=s)

    assert tnn.autograd.gradcheck(bag, (w, s)) and tnn.autograd.gradgradcheck(bag, (w, s))


def test_sparse_gradient_holds_the_rows_alone():
    w = tnn.ones(6, 2, requires_grad=True)
    (F.embedding(tnn.tensor([1, 4, 1]), w, sparse=True) * 2).sum().backward()
    assert w.grad.is_sparse and w.grad.shape == (6, 2)
    assert w.grad._indices().tolist() == [[1, 4, 1]]
    even = w.grad.coalesce()
    assert even.indices().tolist() == [[1, 4]] and even.values().tolist() == [[4, 4], [2, 2]]
    assert w.grad.to_dense().tolist() == [[0, 0], [4, 4], [0, 0], [0, 0], [2, 2], [0, 0]]
    (F.embedding(tnn.tensor([0]), w, sparse=True)).sum().backward()
    assert w.grad.is_sparse and w.grad.to_dense().tolist()[0] == [1, 1]
    with pytest.raises(RuntimeError):
        w.grad.indices()


def test_sparse_and_dense_training_agree():
    results = []
    for sparse in (False, True):
        tnn.manual_seed(0)
        table = nn.Embedding(10, 4, sparse=sparse)
        opt = tnn.optim.SGD(table.parameters(), lr=0.1)
        for k in range(3):
            opt.zero_grad()
            (table(tnn.tensor([k, 5, 5])) ** 2).sum().backward()
            opt.step()
        results.append(table.weight.detach().numpy().copy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_from_pretrained_is_frozen_by_default():
    w = tnn.randn(4, 3)
    table = nn.Embedding.from_pretrained(w)
    assert not table.weight.requires_grad and table(tnn.tensor([2])).tolist() == w[2:3].tolist()
    assert nn.EmbeddingBag.from_pretrained(w, freeze=False).weight.requires_grad
    assert not nn.Embedding(4, 3, padding_idx=-1).weight[3].detach().numpy().any()


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda w: F.embedding(tnn.tensor([5]), w), IndexError),
        (lambda w: F.embedding(tnn.tensor([-1]), w), IndexError),
        (lambda w: F.embedding(tnn.tensor([1.0]), w), RuntimeError),
        (lambda w: F.embedding(tnn.tensor([1]), w, padding_idx=5), AssertionError),
        (lambda w: F.embedding(tnn.tensor([1]), w[0]), RuntimeError),
        (lambda w: F.embedding_bag(tnn.tensor([1]), w), ValueError),
        (lambda w: F.embedding_bag(tnn.tensor([[1]]), w, tnn.tensor([0])), ValueError),
        (lambda w: F.embedding_bag(tnn.tensor([1]), w, tnn.tensor([1])), RuntimeError),
        (lambda w: F.embedding_bag(tnn.tensor([1]), w, tnn.tensor([0, 2])), RuntimeError),
        (lambda w: F.embedding_bag(tnn.tensor([5]), w, tnn.tensor([0])), IndexError),
        (lambda w: F.embedding_bag(tnn.tensor([1]), w, tnn.tensor([0]), mode="median"), ValueError),
        (lambda w: F.embedding_bag(tnn.tensor([1]), w, tnn.tensor([0]), mode="max",
                                   per_sample_weights=tnn.ones(1)), NotImplementedError),
    ],
)  # fmt: skip
def test_bad_arguments_raise(call, error):
    with pytest.raises(error):
        call(tnn.zeros(5, 2))


def test_vectors_without_elements():
    weight = tnn.ones(3, 0).requires_grad_()
    y = F.embedding(tnn.tensor([[0, 2]]), weight)
    assert y.shape == (1, 2, 0)
    y.sum().backward()
    assert weight.grad.shape == (3, 0)
