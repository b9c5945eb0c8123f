"""Derivatives of functions, as functions: ``grad``, ``vjp``, ``jvp``, Jacobians and Hessians.

Each takes a function of tensors, or of nested tuples, lists and dicts of them, by one or several of whose positional
arguments it differentiates (``argnums``). All go by backward passes; a forward product is the derivative of a backward
one. They nest, and what they return is on the caller's tape where it depends on a tensor there.
"""

import functools

from ..autograd import grad as gradients
from ..autograd.grad_mode import enable_grad, mode
from ..autograd.node import Node
from ..ops.joining import stack
from ..tensor import Tensor, wrap_zeros
from .tree import flatten

__all__ = ["functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


def _tensors(leaves, what, function):
    for t in leaves:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"{function}: expected {what} to hold Tensors only, got {type(t).__name__}")
    return leaves


def _inputs(leaves, function):
    """Names for the tensors to differentiate by: leaves, or aliases of those on the caller's tape."""
    for t in _tensors(leaves, "the inputs to differentiate by", function):
        if not t.dtype.is_floating_point:
            raise RuntimeError(f"{function}: only floating-point tensors have derivatives, got one of {t.dtype}")
    return [t.view_as(t) if t._rg else t.detach().requires_grad_() for t in leaves]


def _reaches_outside(outputs, names):
    """Whether the outputs' graph has a leaf that is none of ``names``."""
    own = {id(t) for t in names if t._node is None}
    if len(own) < len(names):
        return True
    ahead = [t._node or t for t in outputs if t._rg]
    seen = set()
    while ahead:
        at = ahead.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if not isinstance(at, Node):
            if id(at) not in own:
                return True
            continue
        ahead.extend(edge[0] for edge in at.next if edge is not None)
    return False


class _Run:
    """A call of ``func`` with names of its own for the arguments that it is differentiated by."""

    def __init__(self, function, func, args, kwargs, argnums, has_aux):
        self.function, self.recorded = function, mode.grad
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        for place in places:
            if not isinstance(place, int) or not -len(args) <= place < len(args):
                raise RuntimeError(f"{function}: got argnum={place}, but only {len(args)} positional inputs")
        if not places or len({p % len(args) for p in places}) < len(places):
            raise RuntimeError(f"{function}: argnums must name different arguments, got {argnums}")
        chosen = args[argnums] if isinstance(argnums, int) else tuple(args[p] for p in places)
        leaves, self.build = flatten(chosen)
        with enable_grad():
            self.names = _inputs(leaves, function)
            new, args = self.build(self.names), list(args)
            for p, value in zip(places, (new,) if isinstance(argnums, int) else new, strict=True):
                args[p] = value
            result = func(*args, **kwargs)
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise RuntimeError(f"{function}: with has_aux the function must return (output, aux)")
            result, self.aux = result
        leaves, self.build_outputs = flatten(result)
        self.outputs = _tensors(leaves, "the function's result", function)
        self.keep = self.recorded and _reaches_outside(self.outputs, self.names)
        if has_aux:
            extra, build = flatten(self.aux)
            self.aux = build([self.leave(t) if isinstance(t, Tensor) else t for t in extra])

    def leave(self, t):
        """A result as the caller gets it: off this call's tape unless the caller records."""
        return t if self.keep else t.detach()

    def result(self):
        """What the function returned."""
        return self.build_outputs([self.leave(t) for t in self.outputs])

    def pull(self, outputs, vectors, record):
        """The sum of each vector times the derivative of its output, for each name; zeros where there is none."""
        live = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o._rg]
        found = [None] * len(self.names)
        if live:
            found = gradients(
                [o for o, _ in live], self.names, [v for _, v in live], retain_graph=True, create_graph=record,
                allow_unused=True,
            )  # fmt: skip
        return [
            wrap_zeros(t._data.shape, t._data.dtype) if g is None else g for g, t in zip(found, self.names, strict=True)
        ]

    def push(self):
        """The function from the names' tangents to the outputs' tangents, as the derivative of a backward pass."""
        with enable_grad():
            dual = [wrap_zeros(o._data.shape, o._data.dtype).requires_grad_() for o in self.outputs]
            first = self.pull(self.outputs, dual, True)

        def tangents(vectors):
            with enable_grad():
                live = [(g, v) for g, v in zip(first, vectors, strict=True) if g._rg]
                found = [None] * len(dual)
                if live:
                    found = gradients(
                        [g for g, _ in live], dual, [v for _, v in live], retain_graph=True, create_graph=self.recorded,
                        allow_unused=True,
                    )  # fmt: skip
            found = [
                wrap_zeros(o._data.shape, o._data.dtype) if t is None else t
                for t, o in zip(found, self.outputs, strict=True)
            ]
            outside = self.keep or any(v._rg for v in vectors)
            return [t if outside and self.recorded else t.detach() for t in found]

        return tangents


def _check_vectors(vectors, like, what, function):
    if len(vectors) != len(like):
        raise RuntimeError(f"{function}: expected {len(like)} {what}, got {len(vectors)}")
    for v, t in zip(vectors, like, strict=True):
        if v._data.shape != t._data.shape:
            raise RuntimeError(
                f"{function}: expected {what} of the shapes {[list(t.shape) for t in like]}, got "
                f"{[list(v.shape) for v in vectors]}"
            )


def grad_and_value(func, argnums=0, has_aux=False):
    """As :func:`grad`; the new function returns ``(gradient, value)``, or ``(gradient, (value, aux))``.

    >>> import tnn
    >>> tnn.func.grad_and_value(lambda x: x ** 3)(tnn.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        run = _Run("grad", func, args, kwargs, argnums, has_aux)
        if (
            len(run.outputs) != 1
            or run.outputs[0] is not run.result()
            and isinstance(run.result(), tuple | list | dict)
        ):
            raise RuntimeError("grad: expected the function to return one tensor; vjp and jacrev take several")
        (output,) = run.outputs
        if output.ndim:
            raise RuntimeError(
                f"grad: expected the function to return a scalar tensor, got shape {list(output.shape)}; vjp and "
                "jacrev take others"
            )
        with enable_grad():
            found = run.build([run.leave(g) for g in run.pull([output], [None], run.keep)])
        value = run.leave(output)
        return (found, (value, run.aux)) if has_aux else (found, value)

    return wrapper


def grad(func, argnums=0, has_aux=False):
    """The gradient of a scalar function, as a function.

    Args:
        func: returns a 0-d tensor; with ``has_aux`` a pair of it and of something else, which is passed on.
        argnums: the positional argument to differentiate by, or a tuple of several. Each is a tensor or nested tuples,
            lists and dicts of tensors.
        has_aux: see ``func``; the new function returns ``(gradient, aux)``.

    Returns:
        A function of the same arguments. The gradient nests as the argument does; for a tuple of argnums there is a
        tuple.

    Raises (when called):
        RuntimeError: the result is no scalar, or an argument is not of floating point.

    >>> import tnn
    >>> tnn.func.grad(tnn.func.grad(lambda x: x ** 3))(tnn.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return wrapper


def vjp(func, *primals, has_aux=False):
    """The value of a function, and the function that multiplies a vector with the Jacobian.

    Args:
        func: takes the primals; returns tensors, nested or not.
        primals: tensors, nested or not.
        has_aux: ``func`` returns ``(output, aux)``.

    Returns:
        ``(output, vjp_fn)``, or ``(output, vjp_fn, aux)``. ``vjp_fn(cotangents)`` returns a tuple with the gradient
        for each of the primals.

    Raises:
        RuntimeError: no primals, or ones that are not of floating point; cotangents that do not fit the output.

    >>> import tnn
    >>> output, back = tnn.func.vjp(tnn.sin, tnn.zeros(2))
    >>> back(tnn.ones(2))
    (tensor([1., 1.]),)
    """
    if not primals:
        raise RuntimeError("vjp: expected at least one primal")
    run = _Run("vjp", func, primals, {}, tuple(range(len(primals))), has_aux)

    def vjp_fn(cotangents, retain_graph=True, create_graph=None):
        vectors = _tensors(flatten(cotangents)[0], "the cotangents", "vjp")
        _check_vectors(vectors, run.outputs, "cotangents", "vjp")
        record = mode.grad and (run.keep or any(v._rg for v in vectors))
        with enable_grad():
            found = run.pull(run.outputs, vectors, record if create_graph is None else create_graph)
        return run.build(found if record else [g.detach() for g in found])

    return (run.result(), vjp_fn, run.aux) if has_aux else (run.result(), vjp_fn)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """The value of a function, and its Jacobian times a vector.

    Args:
        func: takes the primals; returns tensors, nested or not.
        primals: a tuple of tensors, nested or not.
        tangents: of the primals' shapes.
        has_aux: ``func`` returns ``(output, aux)``.

    Returns:
        ``(output, tangent)``, or ``(output, tangent, aux)``.

    Raises:
        RuntimeError: primals and tangents do not fit each other.

    >>> import tnn
    >>> tnn.func.jvp(lambda x: x * x, (tnn.tensor([1.0, 2.0]),), (tnn.tensor([1.0, 10.0]),))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    if not isinstance(primals, tuple) or not primals:
        raise RuntimeError(f"jvp: expected primals to be a non-empty tuple, got {type(primals).__name__}")
    run = _Run("jvp", func, primals, {}, tuple(range(len(primals))), has_aux)
    vectors = _tensors(flatten(tangents)[0], "the tangents", "jvp")
    _check_vectors(vectors, run.names, "tangents", "jvp")
    out = run.result(), run.build_outputs(run.push()(vectors))
    return (*out, run.aux) if has_aux else out


def linearize(func, *primals):
    """The value of a function, and the linear function that is its derivative there.

    Returns:
        ``(output, jvp_fn)``; ``jvp_fn(*tangents)`` is the Jacobian times the tangents.

    Raises:
        RuntimeError: no primals, or tangents that do not fit them.

    >>> import tnn
    >>> output, along = tnn.func.linearize(lambda x: x * x, tnn.tensor(3.0))
    >>> output, along(tnn.tensor(1.0))
    (tensor(9.), tensor(6.))
    """
    if not primals:
        raise RuntimeError("linearize: expected at least one primal")
    run = _Run("linearize", func, primals, {}, tuple(range(len(primals))), False)
    push = run.push()

    def jvp_fn(*tangents):
        vectors = _tensors(flatten(tangents)[0], "the tangents", "linearize")
        _check_vectors(vectors, run.names, "tangents", "linearize")
        return run.build_outputs(push(vectors))

    return run.result(), jvp_fn


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """The Jacobian of a function, as a function: a tensor ``(*output.shape, *input.shape)`` for each pair.

    Args:
        func: returns tensors, nested or not.
        argnums: the positional argument, or a tuple of several; each may nest.
        has_aux: ``func`` returns ``(output, aux)``, and so does the new function.
        chunk_size: accepted; rows are computed one after the other.

    Returns:
        A function of the same arguments; its result nests as the output does, and within as the arguments do.

    >>> import tnn
    >>> tnn.func.jacrev(lambda x: x * x)(tnn.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        run = _Run("jacrev", func, args, kwargs, argnums, has_aux)
        rows = []
        with enable_grad():
            for output in run.outputs:
                flat = output.reshape(-1)
                parts = [run.pull([flat[j]], [None], run.keep) for j in range(flat.numel())]
                row = []
                for i, t in enumerate(run.names):
                    shape = (*output._data.shape, *t._data.shape)
                    whole = stack([p[i] for p in parts]) if parts else wrap_zeros(shape, t._data.dtype)
                    row.append(run.leave(whole.reshape(shape)))
                rows.append(run.build(row))
        found = run.build_outputs(rows)
        return (found, run.aux) if has_aux else found

    return wrapper


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """The same as :func:`jacrev`; ``randomness`` is accepted.

    >>> import tnn
    >>> tnn.func.jacfwd(lambda x, y: x * y, argnums=1)(tnn.tensor(3.0), tnn.tensor(2.0))
    tensor(3.)
    """
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func, argnums=0):
    """The Hessian of a function, as a function: :func:`jacrev` twice.

    >>> import tnn
    >>> tnn.func.hessian(lambda x: (x ** 3).sum())(tnn.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def functionalize(func, *, remove="mutations"):
    """The function itself: here its own operations need no rewriting.

    Raises:
        RuntimeError: ``remove`` is neither 'mutations' nor 'mutations_and_views'.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(f"functionalize: remove must be 'mutations' or 'mutations_and_views', got {remove!r}")
    return func
