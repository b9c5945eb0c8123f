"""The tape's node: an operation that was recorded, with what its backward needs.

An operation subclasses :class:`Node`, keeps tensors through :meth:`Node.save` and other values in slots of its own, and
defines ``backward(self, grad)``, written with Tensor operations: so it can be recorded itself (``create_graph=True``).
"""

from typing import Any

from .grad_mode import mode

wrap: Any = None  # set by tensor.py, which imports this module


class Version:
    """How often a memory was written in place; shared by all tensors that are views of it.

    Attributes:
        n: how often.
        loose: whether the memory was handed out to somebody who does not count.
    """

    n = 0
    loose = False


class Node:
    """One recorded operation.

    Attributes:
        next: for each input, ``(target, output number)`` or None where no gradient is wanted. The target is the
            Node that
            made the input, or the leaf tensor itself.
        n_out: how many outputs the operation has.
    """

    __slots__ = ("next", "saved", "hooks", "n_out", "outs", "__weakref__")

    materialize = True  # missing gradients of a multi-output node arrive as zeros

    def __init__(self, *inputs):
        self.next = edges = []
        for t in inputs:
            if t is None or not t._rg:
                edges.append(None)
            else:
                if t._base is not None and t._base.stale(t):
                    t._base.refresh(t)
                node = t._node
                edges.append((t, 0) if node is None else (node, t._nr))
        self.saved = ()
        self.hooks = None
        self.n_out = 1

    def needs(self, i):
        """Whether the gradient of input ``i`` is wanted."""
        return self.next[i] is not None

    def save(self, *tensors):
        """Keeps tensors for backward (None allowed). An output of this node must be attached first.

        Of an output its array alone is kept: the tensor would hold this node, and the two would be a reference cycle.
        """
        saved = []
        for t in tensors:
            if t is None:
                saved.append(None)
            elif t._node is self:
                v = t._version
                if v is None:
                    v = t._version = Version()
                saved.append((t._data, v, v.n, t._nr))
            else:
                v = t._version
                saved.append((t, v, 0 if v is None else v.n, None))
        self.saved = saved

    def saved_tensors(self):
        """The tensors given to :meth:`save`.

        Raises:
            RuntimeError: the graph was freed by an earlier backward, or a kept tensor was changed in place since.
        """
        if self.saved is None:
            self._already_freed()
        out = []
        for entry in self.saved:
            out.append(None if entry is None else self.unpacked(entry))
        return out

    def saved_tensor(self):
        """The only tensor given to :meth:`save`; see :meth:`saved_tensors`."""
        if self.saved is None:
            self._already_freed()
        return self.unpacked(self.saved[0])

    def unpacked(self, entry):
        """The tensor of an entry of ``saved``."""
        t, version, n, nr = entry
        if nr is not None:
            t = wrap(t)
            t._version = version
            if mode.grad:
                t._rg, t._node, t._nr = True, self, nr
        elif version is None:
            version = t._version
        if version is not None and version.n != n:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[tensor of shape {list(t._data.shape)}] is at version {version.n}; expected version {n} instead "
                f"(needed by {self.name()})."
            )
        return t

    def _already_freed(self):
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors after they have "
            "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
            "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time."
        )

    def attach(self, out, nr=0):
        """Makes ``out`` this node's output number ``nr`` and returns it."""
        if out._node is not None:
            keep_retaining(out, self, nr)
        out._rg = True
        out._node = self
        out._nr = nr
        return out

    def attach_all(self, outs, differentiable=None):
        """Makes several tensors this node's outputs; those of integer or bool type, or marked
        False, carry no gradient."""
        self.n_out = len(outs)
        self.outs = [(t._data.shape, t._data.dtype) for t in outs]
        for i, t in enumerate(outs):
            if differentiable[i] if differentiable is not None else t.dtype.is_floating_point:
                self.attach(t, i)
        return outs

    def backward(self, *grads):
        """Gradients of the inputs, a Tensor or a tuple, None where none is wanted, from those of the outputs."""
        raise RuntimeError(f"{self.name()}: derivative is not implemented")

    def release(self):
        """Drops what was kept, after a backward without ``retain_graph``."""
        if self.saved:
            self.saved = None

    def name(self):
        """The name that ``grad_fn`` prints."""
        return type(self).__name__ + "Backward0"

    @property
    def next_functions(self):
        """As PyTorch's: ``((node, output number), ...)`` with an AccumulateGrad node for a leaf."""
        out = []
        for e in self.next:
            if e is None:
                out.append((None, 0))
            else:
                out.append(e if isinstance(e[0], Node) else (AccumulateGrad(e[0]), 0))
        return tuple(out)

    def register_hook(self, hook):
        """Calls ``hook(grad_inputs, grad_outputs)`` after this node's backward; what it returns
        replaces grad_inputs."""
        return self._hooks().add(self._hooks().post, hook)

    def register_prehook(self, hook):
        """Calls ``hook(grad_outputs)`` before this node's backward; what it returns replaces grad_outputs."""
        return self._hooks().add(self._hooks().pre, hook)

    def _hooks(self):
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks

    def __repr__(self):
        return f"<{self.name()} object at {id(self):#x}>"


def keep_retaining(tensor, node, nr):
    """Lets a tensor that keeps its gradient keep that of its new history, output ``nr`` of a node (None allowed),
    which it is about to get."""
    old = tensor._node
    if old is None or old is node or old.hooks is None:
        return
    retain = old.hooks.retain
    kept = retain.get(tensor._nr)
    if kept is not None and kept() is tensor:
        del retain[tensor._nr]
        if node is not None:
            node._hooks().retain[nr] = kept


class NodeHooks:
    """Hooks of a node: on the gradient of one output (``tensor``), before (``pre``) and after
    (``post``) its backward."""

    __slots__ = ("tensor", "pre", "post", "retain", "__weakref__")

    def __init__(self):
        self.tensor = {}
        self.pre = {}
        self.post = {}
        self.retain = {}

    def add(self, table, hook):
        """Registers a hook in one of the tables and returns its handle."""
        return RemovableHandle(table, hook)


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away; also a context manager."""

    next_id = 0

    def __init__(self, table, hook, extra=()):
        self.table, self.extra = table, extra
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        table[self.id] = hook

    def remove(self):
        """Takes the hook away; a second call does nothing."""
        self.table.pop(self.id, None)
        for table in self.extra:
            table.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


class AccumulateGrad:
    """Stands for a leaf in ``grad_fn.next_functions``; ``variable`` is the leaf."""

    next_functions = ()

    def __init__(self, variable):
        self.variable = variable

    def name(self):
        """The name that ``grad_fn`` prints."""
        return "tnn::autograd::AccumulateGrad"

    def __eq__(self, other):
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self):
        return id(self.variable)

    def __repr__(self):
        return f"<AccumulateGrad object at {id(self):#x}>"
