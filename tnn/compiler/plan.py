"""From a recording to something that can be run again: order, memory, machine code, and what is left behind."""

import contextlib
import ctypes
import threading
from array import array

import numpy as np

from ..autograd.grad_mode import mode
from ..autograd.node import Node
from ..tensor import Tensor
from . import around, effects, fusion, native, settled, steps
from .records import Call, Copy, Decide, Fill, KernelCall, Ref
from .traced import Traced

_data, _grad = Tensor.__dict__["_data"], Tensor.__dict__["_grad"]


class Unsuitable(Exception):
    """A recording cannot be replayed; the message says why."""


class Replayed(Node):
    """Stands for the graph behind a tensor that a replayed call returns: used up, as eager's is after backward."""

    __slots__ = ("title",)

    def __init__(self, title):
        super().__init__()
        self.title, self.saved = title, None

    def name(self):
        """The name of the operation that it stands for."""
        return self.title

    def backward(self, *grads):
        """Raises RuntimeError: what the graph had saved is freed."""
        return self.saved_tensors()


def leaves(value):
    """The tensors and constants in tuples, lists and dicts, in order."""
    if isinstance(value, tuple | list):
        for v in value:
            yield from leaves(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from leaves(v)
    else:
        yield value


def rebuilt(value, new):
    """A tree of the same kind with other leaves, from an iterator."""
    if isinstance(value, tuple):
        parts = [rebuilt(v, new) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, list):
        return [rebuilt(v, new) for v in value]
    if isinstance(value, dict):
        return type(value)((k, rebuilt(v, new)) for k, v in value.items())
    return next(new)


def used_up(tensor):
    """Whether the graph behind a tensor was freed by a backward."""
    stack, seen = [tensor._node], set()
    while stack:
        node = stack.pop()
        if not isinstance(node, Node) or id(node) in seen:
            continue
        seen.add(id(node))
        if node.saved is None:
            return True
        stack += [edge[0] for edge in node.next if edge is not None]
    return False


class _Grad:
    """A gradient that a replay leaves in a parameter's ``grad``."""

    __slots__ = ("owner", "buffer", "shape", "dtype", "entry")

    def __init__(self, owner, ref):
        self.owner, self.buffer, self.shape, self.dtype = owner, ref.buffer, ref.shape, ref.dtype


class Plan:
    """A call that can be replayed.

    Args:
        recorder: the recording, finished.
        result: what the call returned, its tensors still traced.
        checks: what else has to stay as it is; see around.py.
        weights: tensors that stay from call to call; see settled.py.
        fuse: whether to fuse kernels.

    Attributes:
        replay, stands, run: the functions that :func:`tnn.compiler.around.written` makes; ``text`` is their source.
    """

    def __init__(self, recorder, result, checks, weights, fuse=True):
        if recorder.failure is not None:
            raise Unsuitable(recorder.failure)
        self.trusted = False  # until a replay has come out as the call itself
        self.rules = recorder.rules
        self.generator = recorder.generator if recorder.draws else None
        self.outside = [(t, d, traced.buffer) for t, d, traced in recorder.outside.values()]
        self.operations = _ordered(recorder.operations)
        self._check_outside()
        self.guards = [(t, d, t._rg) for t, d, b in self.outside if b.kind == "outside"]
        self._plan_grads(recorder)
        self._plan_result(recorder, result)
        self._settle(weights)
        self.fused = fuse
        if fuse:
            self._fuse()
        self.bumps = []
        for t, _, b in self.outside:
            n = t._version.n - recorder.versions[id(t)]
            if n and b.kind == "argument":
                raise Unsuitable("the call writes to an argument")
            if n:
                self.bumps.append((t, n))
        self.expected_grads = []
        known = {id(t) for t, _, _ in self.outside}
        for t, g in recorder.grads_read.values():
            self.expected_grads.append((t, g is None, g if g is not None and id(g) in known else None))
        self.grad_mode = mode.grad, mode.inference
        self.argument_kinds = [(t._data.shape, t._data.dtype, t._data.strides) for t in recorder.argument_tensors]
        self.grad_tensors, self.lock = [None] * len(self.grads), threading.Lock()
        self._place()
        self._compile()
        self.text, functions = around.written(self, checks)
        self.replay, self.stands, self.run = (functions[name] for name in ("replay", "stands", "run"))

    def _check_outside(self):
        for t, _, buffer in self.outside:
            if buffer.kind == "argument":
                continue
            if t._hooks is not None or t._node is not None:
                raise Unsuitable("a tensor from outside has hooks or a history")
        written = {id(r.buffer): r.buffer for operation in self.operations for r in effects.written(operation)}
        for operation in self.operations:
            if operation.early and any(b.kind == "outside" and _touches(b, written) for b in operation.buffers()):
                raise Unsuitable("how the call goes on depends on computed data")

    def _settle(self, weights):
        known = set(map(id, weights))
        for t, _, b in self.outside:
            b.watched = b.watched and id(t) in known
        early, late = ([op for op in self.operations if op.early is first] for first in (True, False))
        self.once, late = settled.split(late, self.operations)
        self.operations = early + late
        buffers = {id(b): b for op in self.once for b in op.buffers()}.values()
        self.kept = [b for b in buffers if b.kind == "temporary"]
        self.kept_bytes = sum(b.nbytes for b in self.kept)
        self.kept = {id(b) for b in self.kept}
        used = {id(b) for b in buffers if b.kind == "outside"}
        self.watched = [t for t, _, b in self.outside if id(b) in used]

    def _fuse(self):
        late = [op for op in self.operations if not op.early]
        with contextlib.suppress(Exception):  # it is an improvement, no condition
            self.operations = [op for op in self.operations if op.early] + fusion.improved(late)

    # -- what remains afterwards

    def _plan_grads(self, recorder):
        self.grads, self.cleared = [], []
        mine = {id(b): b for op in self.operations for b in op.buffers()}
        for t, _, buffer in self.outside:
            if id(t) not in recorder.grads_set:
                continue
            g = _grad.__get__(t)
            if g is None:
                self.cleared.append(t)
                continue
            d = _data.__get__(g)
            if type(d) is not Traced:
                if id(g) in recorder.outside:
                    continue
                raise Unsuitable("a gradient is set to a tensor from outside")
            ref = recorder.ref(d)
            if buffer.kind == "argument":
                raise Unsuitable("an argument gets a gradient")
            if not ref.whole() or id(ref.buffer) not in mine or ref.buffer.output or g._rg or g._hooks is not None:
                raise Unsuitable("a gradient shares memory with something else")
            ref.buffer.output = True
            self.grads.append(_Grad(t, ref))
        for t in recorder.grads_set.values():
            if id(t) not in recorder.outside and _grad.__get__(t) is None:
                self.cleared.append(t)
            elif id(t) not in recorder.outside:
                raise Unsuitable("a tensor that the call does not use gets a gradient")

    def _plan_result(self, recorder, result):
        self.tree, self.parts, self.fresh = result, [], []
        places = {id(t): i for i, t in enumerate(recorder.argument_tensors)}
        taken = {id(g.buffer) for g in self.grads}
        fresh = {}
        for leaf in leaves(result):
            if not isinstance(leaf, Tensor):
                if leaf is not None and not isinstance(leaf, bool | int | float | str):
                    raise Unsuitable(f"the call returns a {type(leaf).__name__}")
                self.parts.append(("constant", leaf, None, None))
                continue
            if id(leaf) in places:
                self.parts.append(("argument", places[id(leaf)], None, None))
                continue
            if id(leaf) in recorder.outside:
                self.parts.append(("constant", leaf, None, None))
                continue
            d = _data.__get__(leaf)
            if type(d) is not Traced or type(leaf) is not Tensor:
                raise Unsuitable("the call returns a tensor that was not made by recorded operations")
            buffer = d.buffer
            if buffer.kind != "temporary" or id(buffer) in taken:
                raise Unsuitable("the call returns a view of an argument or of a tensor from outside")
            if leaf._rg and (leaf._node is None or not used_up(leaf)):
                raise Unsuitable("the result requires gradients: compile the whole step, with its backward")
            if leaf._hooks is not None or leaf._grad is not None:
                raise Unsuitable("the result has hooks or a gradient")
            buffer.output = True
            if id(buffer) not in fresh:
                fresh[id(buffer)] = len(self.fresh)
                self.fresh.append(buffer)
            node = Replayed(leaf._node.name()) if leaf._rg else None
            self.parts.append(("tensor", fresh[id(buffer)], recorder.ref(d), node))

    # -- memory

    def _place(self):
        lives, order = {}, []
        for i, operation in enumerate(self.operations):
            for buffer in operation.buffers():
                if buffer.kind == "temporary" and not buffer.output and id(buffer) not in self.kept:
                    if id(buffer) not in lives:
                        lives[id(buffer)] = [i, i]
                        order.append(buffer)
                    lives[id(buffer)][1] = i
        offsets, total = native.planned([(b.nbytes, *lives[id(b)]) for b in order])
        self.memory, start = native.arena(total)
        self.temporary_bytes = total
        self.places = {id(b): start + o for b, o in zip(order, offsets, strict=True)}
        self.keep = [b.array for b in order[:0]]
        # the table: objects whose arrays differ from call to call
        entries = {}
        self.n_arguments = 0
        for _, _, buffer in self.outside:
            if buffer.kind == "argument":
                entries[id(buffer)] = buffer.place
                self.n_arguments = max(self.n_arguments, buffer.place + 1)
        n = self.n_arguments
        for buffer in self.fresh:
            entries[id(buffer)] = n
            n += 1
        for grad in self.grads:
            grad.entry = entries[id(grad.buffer)] = n
            n += 1
        self.table = array("q", [0] * max(n, 1))
        self.entries = entries
        self.scalars, self.scalar_places = steps.room(self.rules)

    def _where(self, buffer):
        """The fixed address of a buffer, or that of the table's entry."""
        entry = self.entries.get(id(buffer))
        if entry is not None:
            return None, self.table.buffer_info()[0] + 8 * entry
        if buffer.kind == "temporary" and id(buffer) not in self.kept:
            place = self.places.get(id(buffer))
            return (0 if place is None else place), None
        return buffer.start, None

    def _number(self, scalar):
        return self.scalars.buffer_info()[0] + 8 * (self.scalar_places[scalar.rule] + scalar.index)

    # -- code

    def _compile(self):
        self.segments, run, early = [], [], True
        self.constants = [
            r.buffer.array for op in self.operations for r in op.refs() if r.buffer.kind in ("constant", "outside")
        ]  # fmt: skip

        def flush():
            if run:
                function, kept = native.compiled(list(run), self._where, self._number)
                self.segments.append((early, True, function, kept))
                run.clear()

        for operation in self.operations:
            if operation.early != early:
                flush()
                early = operation.early
            if native.supported(operation):
                run.append(operation)
            else:
                flush()
                self.segments.append((early, False, self._by_python(operation), None))
        flush()
        self.watch = None
        if self.once:
            function, kept = native.compiled(self.once, self._where, self._number)
            self.watch = settled.Watched(self.watched, function)
            self.segments.append((False, True, function, kept))
        self.early = [f for is_early, _, f, _ in self.segments if is_early]
        self.late = [f for is_early, _, f, _ in self.segments if not is_early]
        if self.once:
            self.late.pop()

    def _by_python(self, operation):
        """A function of no arguments that does with NumPy what the native list cannot."""
        if isinstance(operation, Call):
            function, args, kwargs, target = operation.function, operation.args, operation.kwargs, operation.target
        else:
            function, args, kwargs, target = (lambda a: a), (operation.source,), {}, operation.target
        get_args, get_kwargs, get_target = map(self._getter, (args, kwargs, target))

        def run():
            with np.errstate(all="ignore"):
                np.copyto(get_target(), function(*get_args(), **get_kwargs()), casting="unsafe")
            return 0

        return run

    def _getter(self, value):
        if isinstance(value, Ref):
            fixed, _ = self._where(value.buffer)
            if fixed is not None:
                made = _array_at(fixed, value, self)
                return lambda: made
            entry = self.entries[id(value.buffer)]
            return lambda: _array_at(_address_at(self.table[entry]), value, self)
        if isinstance(value, tuple | list):
            parts, kind = [self._getter(v) for v in value], type(value)
            return lambda: kind(p() for p in parts)
        if isinstance(value, dict):
            table = {k: self._getter(v) for k, v in value.items()}
            return lambda: {k: p() for k, p in table.items()}
        return lambda: value

    def memories(self):
        """The arrays outside that a replay may write to."""
        found = {id(b): b.array for op in self.operations for b in op.buffers() if b.kind in ("outside", "argument")}
        for _, d, b in self.outside:
            found[id(b)] = d
        return list(found.values())

    def forget_grads(self):
        """Lets the next replay make new arrays for gradients."""
        self.grad_tensors[:] = [None] * len(self.grads)


def _ordered(operations):
    """The operations with those first on which it depends whether the rest may run."""
    needed = set()
    for operation in reversed(operations):
        decides = isinstance(operation, Decide) or (isinstance(operation, KernelCall) and operation.expect is not None)
        buffers = operation.buffers()
        if decides or any(id(b) in needed for b in buffers):
            operation.early = True
            needed.update(id(b) for b in buffers if b.kind == "temporary")
    used = {}
    for operation in operations:
        for buffer in operation.buffers():
            used[id(buffer)] = used.get(id(buffer), 0) + 1
    kept = [
        op for op in operations
        if not (isinstance(op, Fill) and used[id(op.target.buffer)] == 1 and not op.target.buffer.output)
        and not (isinstance(op, Fill | Copy | Call) and op.target.size == 0)
    ]  # fmt: skip
    return [op for op in kept if op.early] + [op for op in kept if not op.early]


def _touches(buffer, others):
    return any(effects.clash(buffer, other) for other in others.values())


def _address_at(number):
    return ctypes.c_int64.from_address(number + native.DATA).value


def _array_at(address, ref, owner):
    if not ref.size:
        return np.empty(ref.shape, ref.dtype)
    low = sum(s * (n - 1) for n, s in zip(ref.shape, ref.strides, strict=True) if s < 0)
    high = sum(s * (n - 1) for n, s in zip(ref.shape, ref.strides, strict=True) if s > 0) + ref.dtype.itemsize
    raw = (ctypes.c_char * (high - low)).from_address(address + ref.offset + low)
    return np.ndarray(ref.shape, ref.dtype, raw, -low, ref.strides)
