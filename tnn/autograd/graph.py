"""Looking at the tape, and changing how it keeps tensors."""

import threading
import weakref
from typing import Any, NamedTuple

from ..tensor import CopyBackwards, Tensor, wrap
from .grad_mode import mode
from .node import Node, RemovableHandle

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """An edge of the tape: a node, which output of it, and what keeps it alive."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor):
    """The edge that gradients of a tensor flow along.

    Raises:
        RuntimeError: the tensor does not require gradients.
    """
    if not tensor._rg:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node = tensor.grad_fn
    if node is None:
        from .node import AccumulateGrad

        node = AccumulateGrad(tensor)
    return GradientEdge(node, tensor._nr)


def increment_version(tensor):
    """Counts a change in place of a tensor, or of each of several, that the tape did not see."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        t._bump()


# ---------------------------------------------------------------- hooks on what is kept


class _State(threading.local):
    hooks = ()
    refusal = None


_state = _State()
_plain_save, _plain_unpacked = Node.save, Node.unpacked


class _Packed:
    """What a pack hook made of a tensor, and where the tensor stood on the tape."""

    __slots__ = ("packed", "unpack", "rg", "node", "nr", "leaf")

    _version = None

    def __init__(self, tensor, pack, unpack, node):
        own = tensor._node is node
        self.packed = pack(tensor.detach())
        self.unpack = unpack
        self.rg, self.nr = tensor._rg, tensor._nr
        self.node = weakref.ref(node) if own else tensor._node
        self.leaf = tensor if tensor._rg and tensor._node is None else None

    def get(self):
        t = self.unpack(self.packed)
        if not isinstance(t, Tensor):
            raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got {type(t)}")
        t = wrap(t._data)
        if not (self.rg and mode.grad):
            return t
        if self.leaf is not None:
            return CopyBackwards(self.leaf).attach(t)
        node = self.node() if isinstance(self.node, weakref.ref) else self.node
        return t if node is None else node.attach(t, self.nr)


def _save(self, *tensors):
    if not _state.hooks:
        return _plain_save(self, *tensors)
    pack, unpack = _state.hooks[-1]
    before, _state.hooks = _state.hooks, ()
    try:
        self.saved = [
            None if t is None else (_Packed(t, pack, unpack, self), None, 0, None) for t in tensors
        ]
    finally:
        _state.hooks = before


def _unpacked(self, entry):
    return entry[0].get() if type(entry[0]) is _Packed else _plain_unpacked(self, entry)


class saved_tensors_hooks:
    """A region in which operations keep ``pack_hook(tensor)`` for backward, which gets ``unpack_hook`` of it back.

    Args:
        pack_hook: takes a tensor, returns anything.
        unpack_hook: takes that, returns a tensor of the same values.

    >>> import tnn
    >>> x = tnn.ones(2, requires_grad=True)
    >>> with tnn.autograd.graph.saved_tensors_hooks(lambda t: t.bfloat16(), lambda t: t.float()):
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self, pack_hook, unpack_hook):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        if _state.refusal is not None:
            raise RuntimeError(_state.refusal)
        Node.save, Node.unpacked = _save, _unpacked  # from the first region on
        _state.hooks = (*_state.hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *exc):
        _state.hooks = _state.hooks[:-1]


class save_on_cpu(saved_tensors_hooks):
    """A region in which tensors are kept on the CPU: where they are anyway."""

    def __init__(self, pin_memory=False, device_type="cpu"):
        super().__init__(lambda t: t, lambda t: t)


class disable_saved_tensors_hooks:
    """A region in which :class:`saved_tensors_hooks` raises RuntimeError with a message."""

    def __init__(self, error_message):
        self.message = error_message

    def __enter__(self):
        self._before = _state.refusal
        _state.refusal = self.message

    def __exit__(self, *exc):
        _state.refusal = self._before


class _Handles:
    """Several handles as one."""

    def __init__(self, handles):
        self.handles = handles

    def remove(self):
        """Takes all hooks away."""
        for h in self.handles:
            h.remove()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def register_multi_grad_hook(tensors, fn, *, mode="all"):
    """Calls ``fn`` when gradients of the tensors are known.

    Args:
        tensors: tensors that require gradients.
        fn: with mode "all", ``fn(gradients)`` once all are there; with "any", ``fn(gradient)`` at the first.

    Returns:
        A handle whose ``remove()`` takes the hook away.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    found: dict[int, Any] = {}

    def hook_of(i):
        def hook(grad):
            if mode == "any":
                if not found:
                    fn(grad)
            found[i] = grad
            if len(found) == len(tensors):
                grads = [found[j] for j in range(len(tensors))]
                found.clear()
                if mode == "all":
                    fn(grads)

        return hook

    handles: list[RemovableHandle] = [t.register_hook(hook_of(i)) for i, t in enumerate(tensors)]
    return _Handles(handles)
