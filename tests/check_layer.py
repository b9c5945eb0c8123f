"""One set of checks that every layer passes: ``check_layer(case)``."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tnn
from tnn.autograd import gradcheck, gradgradcheck


@dataclass
class LayerCase:
    """A layer and inputs for it.

    Attributes:
        name: the test's name.
        make: returns the layer.
        shapes: the shapes of the floating-point inputs, which are drawn from [-1, 1] or by ``draw``.
        extra: further positional arguments (targets, indices).
        draw: makes an input, ``draw(rng, shape)``.
        double: check second derivatives too.
        half: check bfloat16.
        empty: check an empty batch (first dimension 0 of every input).
        differentiable: check gradients.
    """

    name: str
    make: Callable[[], Any]
    shapes: tuple = ((2, 3),)
    extra: tuple = ()
    draw: Callable = field(default=lambda rng, shape: rng.uniform(-1, 1, shape))
    double: bool = False
    half: bool = True
    empty: bool = True
    differentiable: bool = True


def _first(out):
    return out[0] if isinstance(out, tuple) else out


def _tensors(case, dtype, requires_grad=False):
    rng = np.random.RandomState(0)
    return [tnn.tensor(case.draw(rng, s).astype(dtype), requires_grad=requires_grad) for s in case.shapes]


def _layer(case, dtype):
    tnn.manual_seed(0)
    return case.make().to(dtype)


def check_layer(case):
    """Runs every check that the case does not opt out of."""
    layer = _layer(case, tnn.float64)
    inputs = _tensors(case, np.float64)
    tnn.manual_seed(1)
    want = _first(layer(*inputs, *case.extra)).detach().numpy().copy()
    assert want.dtype == np.float64
    _check_gradients(case)
    _check_dtypes(case, want)
    _check_strides(case, want)
    if case.empty:
        _check_empty(case)
    _check_copies(case, want)


def _check_gradients(case):
    if not case.differentiable:
        return
    layer = _layer(case, tnn.float64)
    inputs = _tensors(case, np.float64, True)
    parameters = list(layer.parameters())

    def run(*tensors):
        tnn.manual_seed(1)
        return _first(layer(*tensors[: len(inputs)], *case.extra))

    assert gradcheck(run, (*inputs, *parameters))
    if case.double:
        assert gradgradcheck(run, (*inputs, *parameters))


def _check_dtypes(case, want):
    layer = _layer(case, tnn.float32)
    tnn.manual_seed(1)
    out = _first(layer(*_tensors(case, np.float32), *case.extra))
    assert out.dtype is tnn.float32
    np.testing.assert_allclose(out.detach().numpy(), want, rtol=1e-4, atol=1e-5)
    if case.half:
        layer = _layer(case, tnn.bfloat16)
        tnn.manual_seed(1)
        out = _first(layer(*[t.bfloat16() for t in _tensors(case, np.float32)], *case.extra))
        assert out.dtype is tnn.bfloat16
        np.testing.assert_allclose(out.detach().float().numpy(), want, rtol=0.05, atol=0.05)


def _check_strides(case, want):
    layer = _layer(case, tnn.float64)
    loose = []
    for t in _tensors(case, np.float64):
        a = t.numpy()
        apart = np.zeros(tuple(2 * n for n in a.shape))[tuple(slice(None, None, 2) for _ in a.shape)]
        apart[...] = a
        loose.append(tnn.from_numpy(apart))
    tnn.manual_seed(1)
    np.testing.assert_allclose(_first(layer(*loose, *case.extra)).detach().numpy(), want, rtol=1e-12, atol=1e-12)


def _check_empty(case):
    layer = _layer(case, tnn.float32)
    layer.eval()
    inputs = [tnn.zeros(0, *s[1:], requires_grad=case.differentiable) for s in case.shapes]
    extra = [e[:0] if isinstance(e, tnn.Tensor) else e for e in case.extra]
    out = _first(layer(*inputs, *extra))
    if case.differentiable:
        out.sum().backward()
        for t in inputs:
            assert t.grad is None or t.grad.shape == t.shape


def _check_copies(case, want):
    layer = _layer(case, tnn.float64)
    assert repr(layer).startswith(type(layer).__name__ + "(")
    tnn.manual_seed(7)
    fresh = case.make().to(tnn.float64)
    fresh.load_state_dict(layer.state_dict())
    for twin in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        tnn.manual_seed(1)
        out = _first(twin(*_tensors(case, np.float64), *case.extra)).detach().numpy()
        np.testing.assert_array_equal(out, want)
