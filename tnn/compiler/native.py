"""The flat list as machine code: one function that calls the compiled kernels one after the other.

Each kernel was compiled by Numba; here is only the way from one to the next. Arrays are put together from addresses,
shapes and strides, which are constants; addresses that differ from call to call come from a table.
"""

import ctypes
import itertools
import sys

import numpy as np
from llvmlite import ir
from numba.core import callconv, cgutils, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from .records import AddNumber, Copy, Decide, Fill, KernelCall, Place, Ref, Scalar

# Where an ndarray object keeps the address of its data, in bytes from the object's own.
DATA = 16
_WORD = ir.IntType(64)
_BYTE = ir.IntType(8)
_names = itertools.count()
_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64)


def usable():
    """Whether this interpreter and NumPy keep objects where DATA says, and Numba compiles."""
    x = np.empty(1)
    return (
        not config.DISABLE_JIT
        and sys.implementation.name == "cpython"
        and ctypes.c_int64.from_address(id(x) + DATA).value == x.ctypes.data
    )


def supported(operation):
    """Whether an operation can be part of the native list."""
    if isinstance(operation, Copy):
        a, b = operation.target, operation.source
        return a.dtype == b.dtype and a.dtype.itemsize in (1, 2, 4, 8) and len(b.shape) <= len(a.shape)
    return isinstance(operation, KernelCall | Fill | Decide | AddNumber)


class _Writer:
    """Writes one function.

    Args:
        place: a function of a buffer that gives ``(address, None)`` where it stays, ``(None, address of the table's
            entry)`` where that holds the address of an ndarray object, whose data it is.
        number: a function of a :class:`Scalar` that gives the address of its value.
    """

    def __init__(self, place, number):
        self.place, self.number = place, number
        self.context = cpu_target.target_context
        self.kept, self.slots = [], {}

    def address(self, buffer, offset=0):
        """A buffer's address plus an offset, as an integer."""
        fixed, entry = self.place(buffer)
        if fixed is not None:
            return _WORD(fixed + offset)
        holder = self.builder.load(self.builder.inttoptr(_WORD(entry), _WORD.as_pointer()))
        field = self.builder.add(holder, _WORD(DATA))
        base = self.builder.load(self.builder.inttoptr(field, _WORD.as_pointer()))
        return self.builder.add(base, _WORD(offset)) if offset else base

    def pointer(self, ref, kind=_BYTE):
        """A ref's first element."""
        return self.builder.inttoptr(self.address(ref.buffer, ref.offset), kind.as_pointer())

    def flat(self, kind, value, wanted):
        """An argument as Numba passes it: an array is its owner (none), sizes, data, shape and strides, one by one.

        Args:
            kind: the argument's type in Numba.
            value: a :class:`Ref`, a :class:`Place`, a :class:`Scalar`, a number or a tuple of these.
            wanted: an iterator of the types in machine code.
        """
        if isinstance(value, Ref):
            numbers = (value.size, value.dtype.itemsize, None, *value.shape, *value.strides)
            owner, parent = next(wanted), next(wanted)
            yield owner(None)
            yield parent(None)
            for number in numbers:
                want = next(wanted)
                if number is None:
                    yield self.builder.inttoptr(self.address(value.buffer, value.offset), want)
                else:
                    yield want(number)
        elif isinstance(value, Place):
            next(wanted)
            yield self.address(value.ref.buffer, value.ref.offset)
        elif isinstance(value, Scalar):
            yield self.builder.load(self.builder.inttoptr(_WORD(self.number(value)), next(wanted).as_pointer()))
        elif isinstance(value, tuple):
            for k, v in zip(kind, value, strict=True):
                yield from self.flat(k, v, wanted)
        else:
            want = next(wanted)
            yield want(float(value) if isinstance(want, ir.FloatType | ir.DoubleType) else int(value))

    def slot(self, kind):
        """Memory on the stack for a value of a type; every call may use the same."""
        key = str(kind)
        if key not in self.slots:
            with self.builder.goto_entry_block():
                self.slots[key] = self.builder.alloca(kind)
        return self.slots[key]

    def kernel_call(self, operation, number):
        """A call; leaves the function where the kernel fails or returns something else than it should."""
        builder, made = self.builder, operation.compiled
        description = made.fndesc
        kind = self.context.call_conv.get_function_type(description.restype, description.argtypes)
        address = made.library.get_pointer_to_function(description.llvm_func_name)
        self.kept.append(made)
        result, raised = (self.slot(k.pointee) for k in kind.args[:2])
        builder.store(kind.args[1].pointee(None), raised)
        wanted = iter(kind.args[2:])
        arguments = [
            a for k, v in zip(description.argtypes, operation.args, strict=True) for a in self.flat(k, v, wanted)
        ]  # fmt: skip
        status = builder.call(builder.inttoptr(_WORD(address), kind.as_pointer()), [result, raised, *arguments])
        fine = builder.or_(
            builder.icmp_signed("==", status, callconv.RETCODE_OK),
            builder.icmp_signed("==", status, callconv.RETCODE_NONE),
        )
        with builder.if_then(builder.not_(fine), likely=False):
            builder.ret(_WORD(number + 1))
        if operation.expect is not None:
            found = builder.load(result)
            floats = isinstance(found.type, ir.DoubleType | ir.FloatType)
            expect = found.type(float(operation.expect) if floats else int(operation.expect))
            differs = (builder.fcmp_unordered if floats else builder.icmp_signed)("!=", found, expect)
            with builder.if_then(differs, likely=False):
                builder.ret(_WORD(-number - 1))

    def memcpy(self, target, source, nbytes):
        """Copies bytes between addresses."""
        cgutils.raw_memcpy(self.builder, target, source, _WORD(nbytes), 1)

    def fill(self, operation):
        """Constants into a buffer."""
        self.kept.append(operation.content)
        target, content = operation.target, operation.content
        source = Ref.__new__(Ref)
        source.offset, source.shape, source.strides, source.dtype = 0, content.shape, content.strides, content.dtype
        fixed = self.builder.inttoptr(_WORD(content.__array_interface__["data"][0]), _BYTE.as_pointer())
        if target.contiguous():
            self.memcpy(self.pointer(target), fixed, content.nbytes)
        else:
            self.loops(target, source, self.pointer(target), fixed)
        for position, ref in operation.addresses.items():
            entry = self.address(target.buffer, target.offset + 8 * position)
            self.builder.store(
                self.address(ref.buffer, ref.offset), self.builder.inttoptr(entry, _WORD.as_pointer())
            )  # fmt: skip

    def copy(self, operation):
        """A copy between refs of one dtype, broadcast where the shapes differ."""
        target, source = operation.target, operation.source
        if target.shape == source.shape and target.contiguous() and source.contiguous():
            self.memcpy(self.pointer(target), self.pointer(source), target.size * target.dtype.itemsize)
        else:
            self.loops(target, source, self.pointer(target), self.pointer(source))

    def loops(self, target, source, to, origin):
        """Element by element."""
        builder, lead = self.builder, len(target.shape) - len(source.shape)
        strides = [0] * lead + [
            0 if n == 1 and m != 1 else s
            for n, m, s in zip(source.shape, target.shape[lead:], source.strides, strict=True)
        ]
        kind = ir.IntType(8 * target.dtype.itemsize).as_pointer()

        def level(d, to, origin):
            if d == len(target.shape):
                builder.store(builder.load(builder.bitcast(origin, kind), align=1), builder.bitcast(to, kind), align=1)
                return
            with cgutils.for_range(builder, _WORD(target.shape[d])) as loop:
                forth = builder.gep(to, [builder.mul(loop.index, _WORD(target.strides[d]))])
                back = builder.gep(origin, [builder.mul(loop.index, _WORD(strides[d]))])
                level(d + 1, forth, back)

        if target.size:
            level(0, to, origin)

    def add(self, operation):
        """A number added to integers."""
        target, builder = operation.target, self.builder
        kind = ir.IntType(8 * target.dtype.itemsize)
        start = self.pointer(target, kind)
        with cgutils.for_range(builder, _WORD(target.size)) as loop:
            at = builder.gep(start, [loop.index])
            builder.store(builder.add(builder.load(at), kind(operation.number)), at)

    def decide(self, operation, number):
        """Leaves the function where a bool is not what it was."""
        found = self.builder.load(self.pointer(operation.source))
        wanted = self.builder.icmp_unsigned("!=", found, _BYTE(0))
        if operation.expect:
            wanted = self.builder.not_(wanted)
        with self.builder.if_then(wanted, likely=False):
            self.builder.ret(_WORD(-number - 1))

    def write(self, operations):
        """Compiles the operations into a function without arguments.

        It returns 0; or n + 1 where operation n failed; or -n - 1 where its result was not what it had been.
        """
        name = f"tnn_replay_{next(_names)}"
        with global_compiler_lock:
            library = self.context.codegen().create_library(name)
            module = library.create_ir_module(name)
            function = ir.Function(module, ir.FunctionType(_WORD, []), name)
            self.builder = ir.IRBuilder(function.append_basic_block("entry"))
            for number, operation in enumerate(operations):
                if isinstance(operation, KernelCall):
                    self.kernel_call(operation, number)
                elif isinstance(operation, Fill):
                    self.fill(operation)
                elif isinstance(operation, Copy):
                    self.copy(operation)
                elif isinstance(operation, AddNumber):
                    self.add(operation)
                else:
                    self.decide(operation, number)
            self.builder.ret(_WORD(0))
            library.add_ir_module(module)
            library.finalize()
            address = library.get_pointer_to_function(name)
        self.kept.append(library)
        return _PROTOTYPE(address)


def compiled(operations, place, number):
    """A Python function of the operations, and what has to stay alive for it."""
    writer = _Writer(place, number)
    function = writer.write(operations)
    return function, writer.kept


def planned(lifetimes):
    """Places for blocks of memory that live for a while each: a first fit, largest first.

    Args:
        lifetimes: ``[(size, first, last)]``.

    Returns:
        The offset of each, and the size of the whole.
    """
    order = sorted(range(len(lifetimes)), key=lambda i: -lifetimes[i][0])
    offsets, placed, total = [0] * len(lifetimes), [], 0
    for i in order:
        size, first, last = lifetimes[i]
        size = -(-size // 64) * 64
        taken = sorted((o, o + s) for o, s, f, e in placed if f <= last and first <= e)
        at = 0
        for low, high in taken:
            if at + size <= low:
                break
            at = max(at, high)
        offsets[i] = at
        placed.append((at, size, first, last))
        total = max(total, at + size)
    return offsets, total


def arena(size):
    """Memory for planned blocks, aligned to 64 bytes: the array and its address."""
    memory = np.empty(size + 64, np.uint8)
    return memory, -(-memory.__array_interface__["data"][0] // 64) * 64
