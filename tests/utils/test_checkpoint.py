"""Checkpointing: the same gradients from a second run of forward."""

import pytest

import tnn
from tnn.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_and_random_numbers_are_those_without_checkpoint(reentrant):
    layer, x = tnn.nn.Linear(3, 4), tnn.randn(2, 3, requires_grad=True)
    runs = []

    def stretch(t):
        runs.append(1)
        return tnn.nn.functional.dropout(layer(t).tanh(), 0.5).exp()

    results = []
    for call in (stretch, lambda t: checkpoint(stretch, t, use_reentrant=reentrant)):
        tnn.manual_seed(3)
        layer.zero_grad()
        x.grad = None
        out = call(x)
        tail = tnn.rand(1)
        out.sum().backward()
        results.append((out.tolist(), tail.item(), x.grad.tolist(), layer.weight.grad.tolist(), tnn.rand(1).item()))
    assert results[0] == results[1] and len(runs) == 3


def test_without_a_tape_inside_grad_and_second_derivatives_work():
    x = tnn.tensor([0.5, 1.0], dtype=tnn.float64, requires_grad=True)
    (g,) = tnn.autograd.grad(checkpoint(lambda t: (t * t).sin(), x, use_reentrant=False).sum(), x, create_graph=True)
    (h,) = tnn.autograd.grad(g.sum(), x)
    y = x.detach()
    assert tnn.allclose(g, 2 * y * (y * y).cos())
    assert tnn.allclose(h, 2 * (y * y).cos() - 4 * y * y * (y * y).sin())


def test_a_second_run_that_differs_raises():
    calls = []

    def shrinks(t):
        calls.append(1)
        return t.sin() if len(calls) > 1 else t.sin().exp()

    out = checkpoint(shrinks, tnn.ones(2, requires_grad=True), use_reentrant=False)
    with pytest.raises(CheckpointError, match="different number"):
        out.sum().backward()
    with pytest.raises(ValueError, match="keyword"):
        checkpoint(tnn.sin, tnn.ones(1), use_reentrant=True, dim=1)


def test_sequential_in_segments_computes_the_same():
    net = tnn.nn.Sequential(tnn.nn.Linear(2, 2), tnn.nn.Tanh(), tnn.nn.Linear(2, 2), tnn.nn.Tanh(), tnn.nn.Linear(2, 1))
    x = tnn.randn(3, 2, requires_grad=True)
    out = checkpoint_sequential(net, 2, x, use_reentrant=False)
    assert out.tolist() == net(x).tolist()
    (a,), (b,) = tnn.autograd.grad(out.sum(), x), tnn.autograd.grad(net(x).sum(), x)
    assert a.tolist() == b.tolist()
