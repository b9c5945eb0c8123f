"""Operations that users define: a forward, and the backward that belongs to it."""

import functools

from .grad_mode import mode, no_grad
from .node import Node


class FunctionCtx:
    """What a Function's forward hands to its backward."""

    def save_for_backward(self, *tensors):
        """Keeps tensors (inputs or outputs) for backward, where ``saved_tensors`` gives them back."""
        self._to_save = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *args):
        """Says that these inputs were changed in place (and are returned)."""
        self._dirty = args

    def mark_non_differentiable(self, *args):
        """Says that these outputs carry no gradient."""
        self._non_differentiable = args

    def set_materialize_grads(self, value):
        """Whether gradients that are missing arrive in backward as zeros (the default) or as None."""
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """The tensors given to ``save_for_backward``."""
        return tuple(self._node.saved_tensors()) if self._node is not None else tuple(self._to_save)


class _FunctionNode(Node):
    __slots__ = ("ctx", "cls")

    materialize = False

    def name(self):
        return self.cls.__name__ + "Backward"

    def __repr__(self):
        return f"<tnn.autograd.function.{self.name()} object at {id(self):#x}>"

    def backward(self, *grads):
        if self.ctx.materialize_grads:
            from ..tensor import wrap_zeros

            grads = [wrap_zeros(*self.outs[i]) if g is None else g for i, g in enumerate(grads)]
        self.ctx._node = self
        out = self.cls.backward(self.ctx, *grads)
        out = out if isinstance(out, tuple | list) else (out,)
        n = len(self.next)
        if len(out) > n and any(g is not None for g in out[n:]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {n}, got {len(out)})"
            )
        if len(out) < n:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {n}, got {len(out)})"
            )
        return tuple(out[:n])


class Function:
    """Base of user-defined differentiable operations.

    A subclass defines static ``forward(ctx, *args)`` and ``backward(ctx, *grad_outputs)``, or ``forward(*args)`` with
    ``setup_context(ctx, inputs, output)``. It is called through ``apply``. What backward computes with Tensor
    operations
    is differentiable again.

    >>> import tnn
    >>> class Exp(tnn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         y, = ctx.saved_tensors
    ...         return grad * y
    >>> x = tnn.zeros(2, requires_grad=True)
    >>> Exp.apply(x).sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the outputs; to be overridden."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Fills ``ctx`` where ``forward`` takes none."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Computes the inputs' gradients, one for each argument of forward (None for what is no tensor)."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    def __init__(self, *args, **kwargs):
        raise RuntimeError(f"{type(self)} should not be instantiated. Methods on autograd functions are all static.")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward without recording it, and records this operation instead."""
        from ..tensor import Tensor

        ctx = FunctionCtx()
        ctx._node, ctx._to_save, ctx._dirty, ctx._non_differentiable = None, (), (), ()
        ctx.materialize_grads = True
        tensors = [a if isinstance(a, Tensor) else None for a in args]
        recording = mode.grad and any(t is not None and t._rg for t in tensors)
        ctx.needs_input_grad = tuple(t is not None and t._rg for t in tensors)
        node = _FunctionNode(*tensors) if recording else None
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                out = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, out)
            else:
                out = cls.forward(ctx, *args, **kwargs)
        if node is None:
            return out
        node.ctx, node.cls = ctx, cls
        single = not isinstance(out, tuple | list)
        outs = [out] if single else list(out)
        dirty = {id(t) for t in ctx._dirty}
        fixed = {id(t) for t in ctx._non_differentiable}
        given = {id(t) for t in tensors if t is not None}
        was = list(outs)
        node.n_out = len(outs)
        node.outs = [(o._data.shape, o._data.dtype) if isinstance(o, Tensor) else None for o in outs]
        for i, o in enumerate(outs):
            if not isinstance(o, Tensor) or id(o) in fixed or not o.dtype.is_floating_point:
                continue
            if id(o) in dirty:
                o._check_inplace()
                o._rebase(node, i)
                continue
            if id(o) in given or o._node is not None or o._rg:
                o = outs[i] = o._alias()
            node.attach(o, i)
        renamed = {id(a): b for a, b in zip(was, outs, strict=True)}
        node.save(*(renamed.get(id(t), t) for t in ctx._to_save))
        return outs[0] if single else tuple(outs)


def once_differentiable(fn):
    """Marks a Function's backward as one that cannot be differentiated again."""

    class _Refuse(Node):
        __slots__ = ("fn_name",)

        def backward(self, *grads):
            raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

    @functools.wraps(fn)
    def wrapped(ctx, *grads):
        from ..tensor import Tensor

        with no_grad():
            out = fn(ctx, *grads)
        if not mode.grad or not any(isinstance(g, Tensor) and g._rg for g in grads):
            return out
        outs = out if isinstance(out, tuple) else (out,)
        refuse = _Refuse(*(g if isinstance(g, Tensor) else None for g in grads))
        outs = tuple(None if o is None else o.detach() for o in outs)
        real = [o for o in outs if o is not None]
        refuse.attach_all(real)
        return outs if isinstance(out, tuple) else outs[0]

    return wrapped


class NestedIOFunction(Function):
    """The old name of a :class:`Function` whose inputs and outputs are nested; use Function."""


class InplaceFunction(Function):
    """The old base of operations with an ``inplace`` option; use Function."""
