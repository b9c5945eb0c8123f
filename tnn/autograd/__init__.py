"""Automatic differentiation: backward, grad, grad modes, user-defined Functions, numerical checks."""

from . import engine
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function, FunctionCtx, NestedIOFunction, once_differentiable
from .grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .node import Node
from .variable import Variable

__all__ = [
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "Node",
    "Variable",
    "NestedIOFunction",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "enforce_grad_layout_policy",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "variable",
]


def __getattr__(name):
    if name in ("anomaly_mode", "functional", "graph"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def variable(data, requires_grad=False):
    """The old name for a tensor of ``data``: use ``tnn.tensor``."""
    from ..ops.creation import tensor
    from ..tensor import Tensor

    out = data.detach() if isinstance(data, Tensor) else tensor(data)
    return out.requires_grad_(requires_grad)


def _sequence(tensors):
    from ..tensor import Tensor

    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _start(outputs, grads):
    """A gradient for each output."""
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    return [engine.start(t, g) for t, g in zip(outputs, grads, strict=True)]


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Computes the sum of the tensors' gradients with respect to the leaves, and adds it to the leaves' ``grad``.

    Args:
        tensors: a tensor or a sequence of them.
        grad_tensors: dL/dt for each; None for one with a single element.
        retain_graph: keep the graph for another backward (default: ``create_graph``).
        create_graph: record the backward itself.
        inputs: accumulate only into these tensors.

    Raises:
        RuntimeError: a tensor does not require gradients, or a gradient is missing or of another shape.
    """
    outputs = _sequence(tensors)
    grads = (None,) * len(outputs) if grad_tensors is None else _sequence(grad_tensors)
    if inputs is not None:
        inputs = _sequence(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if retain_graph is None:
        retain_graph = create_graph
    engine.run(outputs, _start(outputs, grads), retain_graph, create_graph, inputs, True)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True, allow_unused=None,
    is_grads_batched=False, materialize_grads=False,
):  # fmt: skip
    """The gradients of the outputs' sum with respect to the inputs, which may be leaves or not.

    Args:
        outputs, inputs: tensors or sequences of tensors.
        grad_outputs: dL/doutput for each output; None for one with a single element.
        retain_graph: keep the graph (default: ``create_graph``).
        create_graph: record the backward, so that the result can be differentiated again.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.
        materialize_grads: give zeros in place of None.

    Returns:
        A tuple with a gradient for each input.

    >>> import tnn
    >>> x = tnn.tensor(3.0, requires_grad=True)
    >>> g, = tnn.autograd.grad(x ** 3, x, create_graph=True)
    >>> tnn.autograd.grad(g, x)
    (tensor(18.),)
    """
    outputs, inputs = _sequence(outputs), _sequence(inputs)
    if is_grads_batched:
        raise RuntimeError("is_grads_batched=True is not supported")
    if allow_unused is None:
        allow_unused = materialize_grads
    if materialize_grads and not allow_unused:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    grads = (None,) * len(outputs) if grad_outputs is None else _sequence(grad_outputs)
    if retain_graph is None:
        retain_graph = create_graph
    for t in inputs:
        if not t._rg:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    results = engine.run(outputs, _start(outputs, grads), retain_graph, create_graph, inputs, False)
    for i, (g, t) in enumerate(zip(results, inputs, strict=True)):
        if g is None:
            if not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
            if materialize_grads:
                from ..tensor import wrap_zeros

                results[i] = wrap_zeros(t._data.shape, t._data.dtype)
    return tuple(results)
