"""Pruning: masks, hooks, containers of rules, global pruning."""

import copy
import pickle

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn.utils import prune

VALUES = [[3.0, -1.0, 0.5], [-4.0, 2.0, 0.25]]


class Layer(nn.Module):
    def __init__(self, values=VALUES):
        super().__init__()
        self.weight = nn.Parameter(tnn.tensor(values))

    def forward(self, x):
        return (self.weight * x).sum()


def mask_of(module):
    return module.weight_mask.int().tolist()


def test_l1_unstructured_prunes_the_smallest():
    m = prune.l1_unstructured(Layer(), "weight", amount=2)
    assert mask_of(m) == [[1, 1, 0], [1, 1, 0]] and m.weight.tolist() == [[3.0, -1.0, 0.0], [-4.0, 2.0, 0.0]]
    assert list(m.state_dict()) == ["weight_orig", "weight_mask"] and "weight" not in m._parameters
    assert isinstance(m.weight_orig, nn.Parameter) and m.weight_orig.tolist() == VALUES
    m(tnn.ones(2, 3)).backward()
    assert m.weight_orig.grad.tolist() == [[1, 1, 0], [1, 1, 0]]
    assert prune.is_pruned(nn.Sequential(m)) and not prune.is_pruned(Layer())


@pytest.mark.parametrize("dtype", [tnn.float64, tnn.float16, tnn.bfloat16])
def test_dtypes(dtype):
    m = Layer()
    m.to(dtype)
    prune.l1_unstructured(m, "weight", amount=0.5)
    assert mask_of(m) == [[1, 0, 0], [1, 1, 0]] and m.weight_mask.dtype is dtype and m.weight.dtype is dtype


@pytest.mark.parametrize("n", [1, 7, 64, 1000])
def test_selection_agrees_with_sorting(n):
    values = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    values[:: max(1, n // 5)] = 0.125
    for k in {1, n // 2, n} - {0}:
        for largest in (False, True):
            keep = prune._keep(tnn.from_numpy(values), k, largest).numpy()
            order = np.argsort(-np.abs(values) if largest else np.abs(values), kind="stable")
            expected = np.ones(n, bool)
            expected[order[:k]] = False
            assert np.array_equal(keep, expected), (k, largest)


def test_a_forward_recomputes_the_weight():
    m = prune.l1_unstructured(Layer(), "weight", amount=2)
    with tnn.no_grad():
        m.weight_orig.fill_(10.0)
    assert m(tnn.ones(2, 3)).item() == 40


def test_importance_scores_and_amounts():
    scores = tnn.arange(6).reshape(2, 3)
    m = prune.l1_unstructured(Layer(), "weight", amount=0.34, importance_scores=scores)
    assert mask_of(m) == [[0, 0, 1], [1, 1, 1]]
    with pytest.raises(AssertionError, match="same shape"):
        prune.l1_unstructured(Layer(), "weight", amount=1, importance_scores=tnn.zeros(3))
    assert prune.l1_unstructured(Layer(), "weight", amount=0).weight_mask.all()
    for amount, error in [("a", TypeError), (-1, ValueError), (1.5, ValueError), (-0.1, ValueError)]:
        with pytest.raises(error, match="amount"):
            prune.L1Unstructured(amount)
    m = Layer()
    with pytest.raises(ValueError, match="amount=7"):
        prune.l1_unstructured(m, "weight", amount=7)
    assert list(m._parameters) == ["weight"] and m.weight.tolist() == VALUES, (
        "a failed pruning leaves the module as it was"
    )


def test_random_pruning_prunes_as_many_as_asked():
    tnn.manual_seed(0)
    m = prune.random_unstructured(Layer(np.ones((20, 10), np.float32).tolist()), "weight", amount=0.3)
    assert (m.weight_mask == 0).sum().item() == 60
    m = prune.random_structured(Layer(np.ones((8, 5), np.float32).tolist()), "weight", amount=3, dim=0)
    rows = m.weight_mask.sum(1)
    assert sorted(rows.tolist()) == [0, 0, 0, 5, 5, 5, 5, 5]
    tnn.manual_seed(0)
    again = prune.random_unstructured(Layer(np.ones((20, 10), np.float32).tolist()), "weight", amount=0.3)
    assert (again.weight_mask == 0).sum().item() == 60


ROW, FIRST, MIDDLE = [[0, 0, 0], [1, 1, 1]], [[1, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    "amount, n, dim, expected",
    [
        (1, 1, 0, ROW),
        (0.67, 2, 1, FIRST),
        (1, float("inf"), 0, ROW),
        (2, float("-inf"), -1, MIDDLE),
        (1, 0, 0, ROW),
        (0.5, "fro", -2, ROW),
    ],
)
def test_ln_structured(amount, n, dim, expected):
    m = Layer([[0.0, -3.0, 3.0], [4.0, 2.0, 0.25]])
    assert mask_of(prune.ln_structured(m, "weight", amount=amount, n=n, dim=dim)) == expected


def test_structured_pruning_checks_the_tensor():
    for call in (
        lambda m: prune.ln_structured(m, "weight", 1, 2, 0),
        lambda m: prune.random_structured(m, "weight", 1, 0),
    ):
        with pytest.raises(ValueError, match="multidimensional"):
            call(Layer([1.0, 2.0]))
    with pytest.raises(IndexError):
        prune.random_structured(Layer(), "weight", 1, 2)


def test_rules_on_one_tensor_add_up():
    m = Layer()
    prune.l1_unstructured(m, "weight", amount=2)
    prune.l1_unstructured(m, "weight", amount=1)
    assert mask_of(m) == [[1, 0, 0], [1, 1, 0]]
    prune.ln_structured(m, "weight", amount=1, n=2, dim=1)
    assert mask_of(m) == [[1, 0, 0], [1, 0, 0]]
    (container,) = m._forward_pre_hooks.values()
    assert isinstance(container, prune.PruningContainer) and len(container) == 3
    assert isinstance(container[2], prune.LnStructured) and len(list(container)) == 3
    prune.custom_from_mask(m, "weight", tnn.tensor([[0, 1, 1], [1, 1, 1]]))
    assert mask_of(m) == [[0, 0, 0], [1, 0, 0]]


def test_container_checks():
    c = prune.PruningContainer()
    c._tensor_name = "weight"
    method = prune.L1Unstructured(1)
    method._tensor_name = "bias"
    with pytest.raises(ValueError, match="Found 'bias'"):
        c.add_pruning_method(method)
    with pytest.raises(TypeError):
        c.add_pruning_method(3)

    class Odd(prune.BasePruningMethod):
        PRUNING_TYPE = "odd"

        def compute_mask(self, t, default_mask):
            return default_mask

    odd = Odd()
    odd._tensor_name = "weight"
    c.add_pruning_method(odd)
    with pytest.raises(ValueError, match="PRUNING_TYPE odd"):
        c.compute_mask(tnn.ones(2), tnn.ones(2))
    odd.PRUNING_TYPE = "structured"
    with pytest.raises(AttributeError, match="dim"):
        c.compute_mask(tnn.ones(2), tnn.ones(2))
    odd.dim = -3
    with pytest.raises(IndexError):
        c.compute_mask(tnn.ones(2), tnn.ones(2))
    with pytest.raises(TypeError):
        prune.BasePruningMethod()


def test_identity_and_remove():
    m = prune.identity(Layer(), "weight")
    assert m.weight_mask.all() and m.weight.tolist() == VALUES
    prune.l1_unstructured(m, "weight", amount=3)
    assert prune.remove(m, "weight") is m
    assert list(m._parameters) == ["weight"] and not m._buffers and not m._forward_pre_hooks
    assert m.weight.tolist() == [[3.0, 0.0, 0.0], [-4.0, 2.0, 0.0]] and m.weight.is_leaf and m.weight.requires_grad
    with pytest.raises(ValueError, match="has to be pruned"):
        prune.remove(m, "weight")
    with pytest.raises(AssertionError):
        prune.L1Unstructured(1).remove(m)
    with pytest.raises(AssertionError):
        prune.L1Unstructured(1).apply_mask(m)


def test_custom_mask_of_another_shape():
    with pytest.raises(AssertionError, match="must match"):
        prune.custom_from_mask(Layer(), "weight", tnn.ones(2))


def test_prune_a_tensor():
    t = tnn.tensor([1.0, -5.0, 3.0])
    assert prune.L1Unstructured(1).prune(t).tolist() == [0.0, -5.0, 3.0]
    method = prune.L1Unstructured(1)
    assert method.prune(t, default_mask=tnn.tensor([1.0, 1.0, 0.0])).tolist() == [0.0, -5.0, 0.0]
    assert method.prune(t, importance_scores=tnn.tensor([3.0, 2.0, 1.0])).tolist() == [1.0, -5.0, 0.0]
    with pytest.raises(AssertionError):
        method.prune(t, importance_scores=tnn.zeros(2))


def test_global_unstructured():
    a, b = Layer([1.0, 8.0, -2.0]), Layer([[0.5], [4.0]])
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=3)
    assert mask_of(a) == [0, 1, 0] and mask_of(b) == [[0], [1]]
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=1)
    assert mask_of(a) == [0, 1, 0] and mask_of(b) == [[0], [0]]
    a, b = Layer([1.0, 8.0]), Layer([2.0])
    scores = {(a, "weight"): tnn.tensor([9.0, 0.1])}
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, scores, amount=1)
    assert mask_of(a) == [1, 0] and mask_of(b) == [1]
    for bad in (
        lambda: prune.global_unstructured(3, prune.L1Unstructured, amount=1),
        lambda: prune.global_unstructured([(a, "weight")], prune.L1Unstructured, [1], amount=1),
        lambda: prune.global_unstructured([(b, "weight")], prune.RandomStructured, amount=1),
    ):
        with pytest.raises(TypeError):
            bad()


@pytest.mark.parametrize("make", [lambda m: pickle.loads(pickle.dumps(m)), lambda m: _loaded(m)])
def test_pruned_modules_are_saved(make):
    m = prune.l1_unstructured(Layer(), "weight", amount=2)
    new = make(m)
    assert mask_of(new) == mask_of(m) and new(tnn.ones(2, 3)).item() == m(tnn.ones(2, 3)).item()


def _loaded(m):
    new = prune.identity(Layer(), "weight")
    new.load_state_dict(copy.copy(m.state_dict()))
    return new
