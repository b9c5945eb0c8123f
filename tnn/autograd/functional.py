"""Derivatives of functions as a whole: Jacobians, Hessians, and their products with vectors.

A function takes tensors and returns a tensor or a tuple of them. Results are nested as the function's outputs and
inputs are: a tensor for one of each, a tuple where there is a tuple. ``strict=True`` raises where an output does not
depend on an input, or its derivative does not, in place of giving zeros.
"""

from ..tensor import Tensor, wrap_zeros
from . import grad as gradients
from .grad_mode import enable_grad, mode

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(values, what, function):
    """(a tuple of tensors, whether it was one)."""
    several = isinstance(values, tuple | list)
    out = tuple(values) if several else (values,)
    for i, t in enumerate(out):
        if not isinstance(t, Tensor):
            place = f"one at index {i} of the {what}" if several else f"the {what}"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but {place} has type "
                f"{type(t)}."
            )
    return out, several


def _prepared(inputs, create_graph):
    """The inputs as tensors to differentiate by: leaves of their own, or aliases on the caller's tape."""
    return tuple(
        t.view_as(t) if create_graph and t._rg else t.detach().requires_grad_() for t in inputs
    )


def _called(func, inputs, function):
    return _as_tuple(func(*inputs), "outputs of the user-provided function", function)


def _vectors(v, like, what, several, function):
    """The tuple of vectors, checked against the tensors that they belong to; ones where ``v`` is None."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if {what} contains a single element, got "
                f"{[list(t.shape) for t in like]} in {function}."
            )
        one = wrap_zeros(like[0]._data.shape, like[0]._data.dtype)
        one._data[...] = 1
        return (one,)
    out, _ = _as_tuple(v, "vector v", function)
    if len(out) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(out)}.")
    for i, (a, b) in enumerate(zip(out, like, strict=True)):
        if a.shape != b.shape:
            raise RuntimeError(f"v[{i}] has invalid size: should be {b.shape} but got {a.shape}.")
    return out


def _grads(outputs, inputs, vectors, keep, strict, what):
    """Gradients with zeros where there is no dependence; ``keep`` records them."""
    live = [(o, g) for o, g in zip(outputs, vectors, strict=True) if o._rg]
    if strict and len(live) != len(outputs):
        raise RuntimeError(f"{what} does not depend on the inputs. This is not allowed in strict mode.")
    found = [None] * len(inputs)
    if live:
        found = gradients(
            [o for o, _ in live], inputs, [g for _, g in live], retain_graph=True, create_graph=keep, allow_unused=True
        )
    out = []
    for i, (g, t) in enumerate(zip(found, inputs, strict=True)):
        if g is None:
            if strict:
                raise RuntimeError(f"{what} is independent of input {i}. This is not allowed in strict mode.")
            g = wrap_zeros(t._data.shape, t._data.dtype)
        out.append(g)
    return tuple(out)


def _finished(tensors, several, create_graph):
    if not create_graph:
        tensors = tuple(t.detach() for t in tensors)
    return tuple(tensors) if several else tensors[0]


def _outer(create_graph):
    """Whether the caller's own recording is on: without it nothing recorded leaves these functions."""
    return create_graph and mode.grad


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """The outputs, and the vector ``v`` times the Jacobian.

    Args:
        func: takes the inputs, returns a tensor or a tuple of them.
        inputs: a tensor or a tuple of them.
        v: of the outputs' shapes; may be left out for a single element.
        create_graph: record the result for further derivatives.
        strict: raise where an output does not depend on an input.

    >>> import tnn
    >>> x = tnn.tensor([1.0, 2.0])
    >>> tnn.autograd.functional.vjp(lambda x: x * x, x, tnn.ones(2))[1]
    tensor([2., 4.])
    """
    create_graph = _outer(create_graph)
    given, several = _as_tuple(inputs, "inputs", "vjp")
    with enable_grad():
        names = _prepared(given, create_graph)
        outputs, many = _called(func, names, "vjp")
        vectors = _vectors(v, outputs, "the user-provided function's output", many, "vjp")
        found = _grads(outputs, names, vectors, create_graph, strict, "The output of the user-provided function")
    return _finished(outputs, many, create_graph), _finished(found, several, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """The outputs, and the Jacobian times the vector ``v``, which has the inputs' shapes.

    The product is the derivative, by the vector u, of u times the Jacobian: two backward passes. Arguments as for
    :func:`vjp`.
    """
    create_graph = _outer(create_graph)
    given, _ = _as_tuple(inputs, "inputs", "jvp")
    vectors = _vectors(v, given, "the input", True, "jvp")
    with enable_grad():
        names = _prepared(given, create_graph)
        outputs, many = _called(func, names, "jvp")
        dual = [wrap_zeros(o._data.shape, o._data.dtype).requires_grad_() for o in outputs]
        found = _grads(outputs, names, dual, True, strict, "The output of the user-provided function")
        result = _grads(found, dual, vectors, create_graph, False, "The product")
    return _finished(outputs, many, create_graph), _finished(result, many, create_graph)


def _single(func, inputs, function):
    out, several = _called(func, inputs, function)
    if several or out[0].numel() != 1:
        raise RuntimeError(
            f"The function given to {function} should return a single Tensor with a single element, got "
            f"{[list(t.shape) for t in out]}."
        )
    return out[0].reshape(())


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """The value of a scalar function, and the vector ``v`` times its Hessian. Arguments as for :func:`vjp`."""
    create_graph = _outer(create_graph)
    given, several = _as_tuple(inputs, "inputs", "vhp")
    vectors = _vectors(v, given, "the input", several, "vhp")
    with enable_grad():
        names = _prepared(given, create_graph)
        output = _single(func, names, "vhp")
        first = _grads((output,), names, (None,), True, strict, "The output of the user-provided function")
        found = _grads(first, names, vectors, create_graph, strict, "The Jacobian of the user-provided function")
    return _finished((output,), False, create_graph), _finished(found, several, create_graph)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """The value of a scalar function, and its Hessian times ``v``: as :func:`vhp`, the Hessian being symmetric."""
    return vhp(func, inputs, v, create_graph, strict)


def _check_strategy(vectorize, strategy, argument):
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f'Expected {argument} to be either "reverse-mode" or "forward-mode", got {strategy!r}')
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(f'{argument}="forward-mode" is supported only with vectorize=True')


def _jacobians(func, names, keep, strict, function):
    """(a tuple over outputs of tuples over inputs, whether there are several outputs)."""
    outputs, many = _called(func, names, function)
    rows = []
    for output in outputs:
        flat = output.reshape(-1)
        parts = []
        for j in range(flat.numel()):
            parts.append(_grads((flat[j],), names, (None,), keep, strict, "The output of the user-provided function"))
        row = []
        for i, t in enumerate(names):
            shape = (*output.shape, *t.shape)
            if parts:
                from ..ops.joining import stack

                row.append(stack([p[i] for p in parts]).reshape(shape))
            else:
                row.append(wrap_zeros(shape, t._data.dtype))
        rows.append(tuple(row))
    return rows, many


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian: for each output and input a tensor of shape ``(*output.shape, *input.shape)``.

    Args:
        func, inputs, create_graph, strict: as for :func:`vjp`.
        vectorize, strategy: accepted; rows are computed one after another.

    >>> import tnn
    >>> tnn.autograd.functional.jacobian(lambda x: x * x, tnn.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy(vectorize, strategy, "strategy")
    create_graph = _outer(create_graph)
    given, several = _as_tuple(inputs, "inputs", "jacobian")
    with enable_grad():
        names = _prepared(given, create_graph)
        rows, many = _jacobians(func, names, create_graph, strict, "jacobian")
    rows = [_finished(row, several, create_graph) for row in rows]
    return tuple(rows) if many else rows[0]


def hessian(
    func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"
):  # fmt: skip
    """The Hessian of a scalar function: for each pair of inputs a tensor of shape ``(*a.shape, *b.shape)``.

    Args: as for :func:`jacobian`.

    >>> import tnn
    >>> tnn.autograd.functional.hessian(lambda x: (x ** 3).sum(), tnn.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    _check_strategy(vectorize, outer_jacobian_strategy, "outer_jacobian_strategy")
    create_graph = _outer(create_graph)
    given, several = _as_tuple(inputs, "inputs", "hessian")

    def first(*names):
        output = _single(func, names, "hessian")
        return _grads((output,), names, (None,), True, strict, "The output of the user-provided function")

    with enable_grad():
        rows, _ = _jacobians(first, _prepared(given, create_graph), create_graph, strict, "hessian")
    rows = [_finished(row, several, create_graph) for row in rows]
    return tuple(rows) if several else rows[0]
