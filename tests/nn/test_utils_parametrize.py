"""Parametrizations: the mechanism."""

import copy
import pickle

import pytest

import tnn
from tnn import nn
from tnn.nn.utils import parametrize


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(tnn.tensor([[1.0, 2.0], [3.0, 4.0]]))
        self.register_buffer("scale", tnn.ones(2))


class Double(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


class PlusOne(nn.Module):
    def forward(self, x):
        return x + 1


class Split(nn.Module):
    """The sum of two tensors."""

    def forward(self, a, b):
        return a + b

    def right_inverse(self, x):
        return x / 4, x * 0.75


def test_register_replaces_the_parameter():
    m = Layer()
    original = m.weight
    assert parametrize.register_parametrization(m, "weight", PlusOne()) is m
    assert m.weight.tolist() == [[2.0, 3.0], [4.0, 5.0]] and m.weight.requires_grad and not m.weight.is_leaf
    assert m.parametrizations.weight.original is original and type(m).__name__ == "ParametrizedLayer"
    assert isinstance(m, Layer) and parametrize.type_before_parametrizations(m) is Layer
    assert parametrize.is_parametrized(m) and parametrize.is_parametrized(m, "weight")
    assert not parametrize.is_parametrized(m, "scale") and not parametrize.is_parametrized(Layer())
    assert list(m.state_dict()) == ["scale", "parametrizations.weight.original"]
    m.weight.sum().backward()
    assert original.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(RuntimeError, match="right_inverse"):
        m.weight = tnn.zeros(2, 2)
    assert type(Layer().weight) is nn.Parameter, "other instances are as before"


def test_right_inverse_gives_the_original():
    m = parametrize.register_parametrization(Layer(), "weight", Double())
    assert m.weight.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert m.parametrizations.weight.original.tolist() == [[0.5, 1.0], [1.5, 2.0]]
    m.weight = tnn.full((2, 2), 8.0)
    assert m.parametrizations.weight.original.tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert isinstance(m.parametrizations.weight.original, nn.Parameter)


def test_several_parametrizations_are_applied_in_order():
    m = parametrize.register_parametrization(Layer(), "weight", PlusOne())
    parametrize.register_parametrization(m, "weight", Double())
    assert m.weight.tolist() == [[4.0, 6.0], [8.0, 10.0]] and len(m.parametrizations.weight) == 2
    parametrize.register_parametrization(m, "scale", PlusOne())
    assert m.scale.tolist() == [2.0, 2.0] and not m.scale.requires_grad
    assert "parametrizations.scale.original" in dict(m.named_buffers())
    assert "(parametrizations): ModuleDict" in repr(m)


def test_several_originals():
    m = parametrize.register_parametrization(Layer(), "weight", Split())
    entry = m.parametrizations.weight
    assert entry.ntensors == 2 and not entry.is_tensor
    assert list(dict(m.named_parameters())) == [
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
    assert m.weight.tolist() == [[1.0, 2.0], [3.0, 4.0]] and entry.original0.requires_grad
    m.weight = tnn.full((2, 2), 4.0)
    assert entry.original0.tolist() == [[1.0, 1.0], [1.0, 1.0]] and entry.original1.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    with pytest.raises(ValueError, match="sequence"):
        parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(m, "weight")
    assert type(m.weight) is nn.Parameter and m.weight.tolist() == [[4.0, 4.0], [4.0, 4.0]]


def test_remove():
    m = Layer()
    original = m.weight
    parametrize.register_parametrization(m, "weight", PlusOne())
    parametrize.register_parametrization(m, "scale", PlusOne())
    parametrize.remove_parametrizations(m, "weight")
    assert m.weight is original and m.weight.tolist() == [[2.0, 3.0], [4.0, 5.0]] and parametrize.is_parametrized(m)
    parametrize.remove_parametrizations(m, "scale", leave_parametrized=False)
    assert m.scale.tolist() == [1.0, 1.0] and type(m) is Layer and not hasattr(m, "parametrizations")
    assert list(m.state_dict()) == ["weight", "scale"]
    with pytest.raises(ValueError, match="does not have a parametrization"):
        parametrize.remove_parametrizations(m, "weight")


def test_cached_computes_once():
    class Count(nn.Module):
        n = 0

        def forward(self, x):
            Count.n += 1
            return x + 0

    m = parametrize.register_parametrization(Layer(), "weight", Count(), unsafe=True)
    Count.n = 0
    m.weight, m.weight  # noqa: B018
    assert Count.n == 2
    with parametrize.cached():
        assert m.weight is m.weight
        with parametrize.cached():
            m.weight  # noqa: B018
    assert Count.n == 3
    m.weight  # noqa: B018
    assert Count.n == 4


class Wrong(nn.Module):
    def __init__(self, forward, inverse=None):
        super().__init__()
        self.f = forward
        if inverse is not None:
            self.right_inverse = inverse

    def forward(self, *x):
        return self.f(*x)


@pytest.mark.parametrize(
    "module",
    [
        Wrong(lambda x: [x]),
        Wrong(lambda x: x.double()),
        Wrong(lambda x: x[0]),
        Wrong(lambda x: x, lambda x: x.double()),
        Wrong(lambda x: x, lambda x: 3),
        Wrong(lambda x, y: x, lambda x: (x, 3)),
    ],
)
def test_checks_of_the_first_parametrization(module):
    m = Layer()
    with pytest.raises(ValueError):
        parametrize.register_parametrization(m, "weight", module)
    assert type(m) is Layer and "weight" in m._parameters


@pytest.mark.parametrize(
    "module",
    [
        Wrong(lambda x: [x]),
        Wrong(lambda x: x.double()),
        Wrong(lambda x: x[0]),
        Wrong(lambda x: x, lambda x: x.double()),
        Wrong(lambda x: x, lambda x: 3),
        Wrong(lambda x: x, lambda x: x[0]),
    ],
)
def test_checks_of_a_further_parametrization(module):
    m = parametrize.register_parametrization(Layer(), "weight", PlusOne())
    with pytest.raises(ValueError):
        parametrize.register_parametrization(m, "weight", module)
    assert len(m.parametrizations.weight) == 1
    parametrize.register_parametrization(m, "weight", Wrong(lambda x: x[0]), unsafe=True)
    assert m.weight.shape == (2,) and m.parametrizations.weight.unsafe


def test_what_cannot_be_parametrized():
    with pytest.raises(ValueError, match="with name 'other'"):
        parametrize.register_parametrization(Layer(), "other", PlusOne())
    with pytest.raises(ValueError, match="one or more"):
        parametrize.ParametrizationList([], tnn.zeros(1))


def test_a_parametrization_without_an_inverse_takes_the_tensor_as_it_is():
    def refuse(x):
        raise NotImplementedError

    m = parametrize.register_parametrization(Layer(), "weight", Wrong(lambda x: x * 3, refuse))
    assert m.weight.tolist() == [[3.0, 6.0], [9.0, 12.0]]


def test_state_dict_and_copies():
    m = parametrize.register_parametrization(Layer(), "weight", Double())
    new = parametrize.register_parametrization(Layer(), "weight", Double())
    with tnn.no_grad():
        m.parametrizations.weight.original.fill_(3.0)
    new.load_state_dict(m.state_dict())
    assert new.weight.tolist() == [[6.0, 6.0], [6.0, 6.0]]
    twin = copy.deepcopy(m)
    with tnn.no_grad():
        twin.parametrizations.weight.original.fill_(5.0)
    assert twin.weight[0, 0].item() == 10 and m.weight[0, 0].item() == 6
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(m)


def test_training_mode_is_passed_on():
    m = Layer().eval()
    parametrization = PlusOne()
    parametrize.register_parametrization(m, "weight", parametrization)
    assert not parametrization.training


def test_transfer():
    a = parametrize.register_parametrization(Layer(), "weight", Double())
    parametrize.register_parametrization(a, "scale", Split(), unsafe=True)
    b = Layer()
    assert parametrize.transfer_parametrizations_and_params(a, b) is b
    assert b.parametrizations.weight.original is a.parametrizations.weight.original
    assert b.parametrizations.scale.original1 is a.parametrizations.scale.original1
    c = nn.Module()
    parametrize.transfer_parametrizations_and_params(a, c, "weight")
    assert c.weight.tolist() == a.weight.tolist() and not parametrize.is_parametrized(c, "scale")
    plain = Layer()
    assert parametrize.transfer_parametrizations_and_params(Layer(), plain) is plain
