"""What stays from call to call: operations on nothing but weights and constants run once, and again when one of the
weights was written.

A replay of a network in evaluation does the same with its weights every time: matrix products and convolutions pack
them in the order in which they read them, normalization takes roots of running variances. Operations that read only
constants and tensors from outside that the call does not write, and what others of these made of them, are taken out of
the flat list; products and convolutions get their weights packed beforehand by such operations.

This is for parameters and buffers of modules. Such a tensor counts as watched if everybody who may write its memory
changes its version counter: nobody held the memory but the tensor itself when the call was recorded, and it was not
handed out since by other ways than views (``Version.loose``: as an ndarray, by ``.data``), or nobody holds it any more.
As long as somebody does, weights are packed at every call, as without ``tnn.compile``.
"""

import sys
import weakref

import numpy as np

from ..kernels import _gemm, _guards, conv, conv_direct, conv_patches, conv_slab, conv_winograd, conv_winograd_nested
from ..kernels._pool import pooled
from ..tensor import Tensor
from . import effects
from .around import _OFFSETS
from .native import arena, supported
from .records import Buffer, Call, Fill, KernelCall, Ref

# Bytes of packed weights that one plan may keep; what does not fit is packed at every call.
MOST = 1 << 28
_CONVOLUTIONS = {m.conv_forward: m for m in (conv, conv_direct, conv_patches, conv_winograd, conv_winograd_nested)}
_data = Tensor.__dict__["_data"]
_plans: weakref.WeakSet = weakref.WeakSet()


# ---------------------------------------------------------------------------------------------- whose memory it is


def holders(d):
    """How many there are, besides the tensor that the caller got it from, that hold an array, plans not counted."""
    # the tensor, the caller's variable, this function's and getrefcount's own
    return sys.getrefcount(d) - 4 - sum(plan.holds.get(id(d), 0) for plan in _plans)


def alone(d, others):
    """Whether an array's memory is its own, and nobody else holds it."""
    if others == 0 and type(d.base) is np.ndarray and sys.getrefcount(d.base) == 2:
        d = d.base
    return others == 0 and (d.base is None or pooled(d))


def note(plan, counts):
    """Counts what a new plan holds itself.

    Args:
        plan: the plan; gets an attribute ``holds``.
        counts: ``{id of a tensor: holders before}``.
    """
    held = {}
    for t in [t for t, _, _ in plan.outside if id(t) in counts]:
        d = _data.__get__(t)
        held[id(d)] = holders(d) - counts[id(t)]
    plan.holds = held
    _plans.add(plan)


# ---------------------------------------------------------------------------------------------- what stays


def _buffers(operation):
    return list({id(b): b for b in operation.buffers()}.values())


def split(operations, all_operations):
    """The operations that have to run once only, and the others.

    Args:
        operations: those that run once it is known that the call goes on as recorded, in order.
        all_operations: these and those before.
    """
    writers, touched = {}, {}
    for op in all_operations:
        for b in effects.written_buffers(op):
            writers.setdefault(id(b), []).append(op)
            touched[id(b)] = b
    outside = [b for b in touched.values() if not b.alone]

    def stays(buffer):
        if buffer.kind == "constant":
            return True
        return buffer.kind == "outside" and buffer.watched and not any(effects.clash(buffer, b) for b in outside)

    known = {}
    once = {id(op): op for op in operations if _may(op)}
    while True:
        leave = []
        for key, op in once.items():
            for b in _buffers(op):
                if b.kind == "temporary":
                    fine = not b.output and all(id(w) in once for w in writers.get(id(b), ()))
                else:
                    fine = known[id(b)] if id(b) in known else known.setdefault(id(b), stays(b))
                if not fine:
                    leave.append(key)
                    break
        if not leave:
            break
        for key in leave:
            del once[key]
    made = {id(b): b for op in once.values() for b in effects.written_buffers(op)}
    total = sum(b.nbytes for b in made.values())
    if total > MOST:
        return [], operations

    def settled(ref):
        b = ref.buffer
        if b.kind == "temporary":
            return id(b) in made
        return known[id(b)] if id(b) in known else known.setdefault(id(b), stays(b))

    first = [op for op in operations if id(op) in once]
    rest, packs = _packed([op for op in operations if id(op) not in once], settled, total)
    # constants alone are no reason to look at versions
    if not packs and not any(b.kind == "outside" for op in first for b in op.buffers()):
        return [], operations
    return first + packs, rest


def _may(operation):
    if isinstance(operation, KernelCall):
        return operation.expect is None and operation.name in effects.WRITES
    return not isinstance(operation, Call) and supported(operation) and not (
        isinstance(operation, Fill) and operation.addresses
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- packed weights


def _new(shape, dtype):
    memory, start = arena(int(np.prod(shape)) * dtype.itemsize)
    offset = start - memory.__array_interface__["data"][0]
    array = np.ndarray(shape, dtype, memory, offset)
    return Ref(Buffer("temporary", array), array)


def _call(kernel, *args):
    """A call of a kernel with refs and numbers."""
    examples = [a.buffer.array if isinstance(a, Ref) else a for a in args]
    examples = [_like(e, a) if isinstance(a, Ref) else e for e, a in zip(examples, args, strict=True)]
    signature = tuple(map(kernel.typeof_pyval, examples))
    if signature not in kernel.overloads:
        kernel.compile(signature)
    return KernelCall(kernel, kernel.overloads[signature], args)


def _like(array, ref):
    return np.ndarray(ref.shape, ref.dtype, array, ref.offset, ref.strides)


def _product(operation, settled):
    """The packing of a product's right operand: the kernel, its arguments, and how the call changes; or None."""
    ta, tb, _, a, b, _, c = operation.args[:7]
    m, n = c.shape
    k = b.shape[1] if tb else b.shape[0]
    # what is read as it lies, and what has kernels of its own
    if operation.args[8] & _gemm.PACKED or min(m, n, k) < 2 or not (tb or m > 8 * _gemm.MR) or not settled(b):
        return None
    shape = k, _gemm.packed_columns(n, b.dtype.itemsize)

    def changed(packed):
        args = list(operation.args)
        args[1], args[4], args[8] = False, packed, args[8] | _gemm.PACKED
        return args

    return _gemm.gemm_pack, (tb, b), shape, (), changed


def _convolution(operation, settled):
    module = _CONVOLUTIONS[operation.dispatcher]
    w, geo, mode = (operation.args[i] for i in (1, 4, 5))
    if mode & conv_slab.READY or geo.buffer.kind != "constant" or not settled(w):
        return None
    size = module.packed_size(_like(geo.buffer.array, geo), w.dtype.itemsize)
    if not size:
        return None

    def changed(packed):
        args = list(operation.args)
        args[1], args[5] = packed, mode | conv_slab.READY
        return args

    return module.conv_pack, (w,), (size,), (geo, mode & 16), changed


def _packed(operations, settled, total):
    """The operations with their weights packed, and the operations that pack them."""
    out, packs, known = [], [], {}
    for op in operations:
        made = None
        if isinstance(op, KernelCall):
            if op.name == "gemm_bias_act":
                made = _product(op, settled)
            elif op.dispatcher in _CONVOLUTIONS:
                made = _convolution(op, settled)
        if made is None:
            out.append(op)
            continue
        kernel, (*front, w), shape, behind, changed = made
        key = kernel, id(w.buffer), w.offset, w.shape, tuple(front), tuple(
            id(v.buffer) if isinstance(v, Ref) else v for v in behind
        )  # fmt: skip
        if key not in known:
            nbytes = int(np.prod(shape)) * w.dtype.itemsize
            if total + nbytes > MOST:
                out.append(op)
                continue
            total += nbytes
            known[key] = _new(shape, w.dtype)
            packs.append(_call(kernel, *front, w, known[key], *behind))
        out.append(KernelCall(op.dispatcher, op.compiled, tuple(changed(known[key]))))
    return out, packs


# ---------------------------------------------------------------------------------------------- when to do it again


class Watched:
    """Runs what has to run once, at the first replay and after each change of a watched tensor.

    Args:
        tensors: the tensors.
        function: what to run; returns 0.

    Attributes:
        same: a function: whether nothing has changed.
    """

    def __init__(self, tensors, function):
        self.tensors, self.function = tensors, function
        self.versions = [t._version for t in tensors]
        tables = [vars(v) for v in self.versions]
        words = [(id(t) + _OFFSETS["_version"], -1, id(v)) for t, v in zip(tensors, self.versions, strict=True)]
        look = _guards.look([id(table) for table in tables], words) if _OFFSETS else None
        if look is None:
            self.same, self._note, self.kept, self.seen = self._as_seen, self._see, tables, None
        else:
            self.same, self._note, self.kept = look

    def _now(self):
        return [(t._version is v, v.n) for t, v in zip(self.tensors, self.versions, strict=True)]

    def _as_seen(self):
        return self.seen is not None and self.seen == self._now() and not any(v.loose for v in self.versions)

    def _see(self):
        self.seen = self._now()

    def again(self):
        """Runs it; returns whether it failed."""
        if self.function():
            return True
        if not any([_is_loose(t) for t in self.tensors]):
            self.same()  # what it finds is what is noted
            self._note()
        return False


def _is_loose(t):
    """Whether somebody who does not count may still write a tensor's memory."""
    if t._version.loose:
        d = _data.__get__(t)
        others = holders(d)  # not as an argument beside d, which would count
        t._version.loose = not alone(d, others)
    return t._version.loose
