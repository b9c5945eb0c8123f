"""Lazy modules and uninitialized parameters."""

import copy
import pickle

import pytest

import tnn
from tnn import nn
from tnn.nn.modules.lazy import LazyModuleMixin
from tnn.nn.parameter import is_lazy


class Dense(nn.Module):
    """Adds a weight of the width of the input."""

    def __init__(self, width, dtype=None):
        super().__init__()
        self.weight = nn.Parameter(tnn.zeros(width, dtype=dtype))
        self.register_buffer("seen", tnn.zeros(width))

    def forward(self, x, scale=1):
        return x.shape[-1], self.weight.shape[0] * scale


class LazyDense(LazyModuleMixin, Dense):
    cls_to_become = Dense

    def __init__(self, dtype=None):
        super().__init__(0)
        self.weight = nn.UninitializedParameter(dtype=dtype)
        self.seen = nn.UninitializedBuffer()

    def initialize_parameters(self, x, scale=1):
        if self.has_uninitialized_params():
            self.weight.materialize((x.shape[-1],))
            self.seen.materialize((x.shape[-1],))


def test_the_first_call_makes_an_ordinary_module():
    m = LazyDense(tnn.float64)
    weight = m.weight
    assert m.has_uninitialized_params() and is_lazy(weight)
    assert m(tnn.zeros(2, 5), scale=2) == (5, 10)
    assert type(m) is Dense and m.weight is weight and type(weight) is nn.Parameter
    assert weight.dtype is tnn.float64 and weight.requires_grad and m.seen.shape == (5,)
    assert not m._forward_pre_hooks and not m._load_state_dict_pre_hooks
    assert not hasattr(m, "_initialize_hook") and not hasattr(m, "_load_hook")
    assert isinstance(m.seen, nn.Buffer) and not m.seen.requires_grad


def test_a_module_that_stays_uninitialized_raises():
    class Half(LazyDense):
        def initialize_parameters(self, x):
            self.weight.materialize((1,))

    with pytest.raises(RuntimeError, match="Half has not been fully initialized"):
        Half()(tnn.zeros(1))

    class Nothing(LazyModuleMixin, nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Nothing"):
        Nothing()(1)
    with pytest.raises(RuntimeError, match="DataParallel"):
        LazyDense()._replicate_for_data_parallel()


def test_state_dict_of_a_lazy_module():
    lazy = LazyDense()
    state = lazy.state_dict()
    assert state["weight"] is lazy.weight and state["seen"] is lazy.seen
    other = LazyDense()
    other.load_state_dict(state)
    assert other.has_uninitialized_params()


def test_loading_gives_the_shapes():
    lazy, full = LazyDense(), Dense(4)
    full.weight.data = tnn.arange(4).float()
    lazy.load_state_dict(full.state_dict())
    assert lazy.weight.tolist() == [0.0, 1.0, 2.0, 3.0] and type(lazy.weight) is nn.Parameter
    assert type(lazy) is LazyDense
    assert lazy(tnn.zeros(4)) == (4, 4) and type(lazy) is Dense


def test_an_initialized_module_cannot_load_a_lazy_state():
    with pytest.raises(RuntimeError, match="uninitialized"):
        Dense(3).load_state_dict(LazyDense().state_dict())


def test_hooks_that_were_copied_still_initialize():
    for new in (copy.deepcopy(LazyDense()), pickle.loads(pickle.dumps(LazyDense()))):
        assert new.has_uninitialized_params()
        assert new(tnn.zeros(3)) == (3, 3)
        assert type(new) is Dense and not new._forward_pre_hooks


@pytest.mark.parametrize("kind", [nn.UninitializedParameter, nn.UninitializedBuffer])
def test_uninitialized_tensors(kind):
    p = kind(dtype=tnn.float64)
    assert repr(p) == f"<{kind.__name__}>" and p.dtype is tnn.float64 and p.is_floating_point()
    with pytest.raises(RuntimeError, match="shape"):
        p.shape  # noqa: B018
    with pytest.raises(RuntimeError):
        p.share_memory_()
    for use in (lambda: p.numel(), lambda: p.reshape(-1), lambda: p.tolist(), lambda: len(p), lambda: p.sum()):
        with pytest.raises(ValueError, match="uninitialized"):
            use()
    for new in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(new) is kind and new.dtype is tnn.float64 and new.requires_grad == p.requires_grad
    p.materialize((2, 3), dtype=tnn.float32)
    assert p.shape == (2, 3) and p.dtype is tnn.float32 and type(p) is kind.cls_to_become
    with pytest.raises(RuntimeError):
        kind(device="cuda")
    with pytest.raises(RuntimeError):
        kind().materialize((1,), device="cuda")


def test_a_lazy_module_can_be_converted():
    m = LazyDense().double()
    assert m.weight.dtype is tnn.float64 and m.has_uninitialized_params()
    m.to(tnn.float16)
    m(tnn.zeros(2))
    assert m.weight.dtype is tnn.float16
