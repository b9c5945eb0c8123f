"""Vector code that plain loops do not reach: Numba intrinsics that emit LLVM vectors through llvmlite.

Everything here works on bare pointers (``types.CPointer``), so that one compiled body serves arrays of any
rank, layout and mutability:

- ``ptr(array, offset)``: address of ``array``'s element ``offset`` in memory order. The array must outlive the
  pointer: arguments of the compiled function do; a local array needs ``keep(array)`` after the last use.
- ``shift(p, i)``, ``load(p, i)``, ``store(p, i, x)``: address, read and write of element ``i``.
- ``tile(...)``: the GEMM micro-kernel. A block of up to ``rows(dtype)`` x ``cols(dtype)`` elements of C stays in
  registers during the whole loop over k.
- ``copy_rows(...)`` and ``turn(...)``: the two inner steps of packing (rows as they are; a square block transposed).

The shape of the register tile follows the CPU that Numba compiles for (``NUMBA_CPU_NAME`` and
``NUMBA_CPU_FEATURES`` count): 14 rows of two 64-byte vectors with AVX-512 (28 of 32 registers hold C), 6 rows of
two 32-byte vectors with AVX2 (12 of 16), 8 rows of two 16-byte vectors on AArch64, 6 rows of two elsewhere.
"""

import ctypes
import os
import threading
import traceback

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

from ._jit import JIT

I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_I1 = ir.IntType(1)


def cpu_features():
    """Names of the CPU features that Numba compiles for, as a set of strings such as "avx2"."""
    flat = config.CPU_FEATURES
    if flat is None:
        flat = get_host_cpu_features()
    return {name[1:] for name in flat.split(",") if name.startswith("+")}


def _pick():
    """Register tile of this CPU: (name, bytes in a vector, rows, vectors in a row, fused multiply-add)."""
    features = cpu_features()
    if "avx512f" in features and "avx512vl" in features and "avx512dq" in features:
        return "avx512", 64, 14, 2, True
    if "avx2" in features and "fma" in features:
        return "avx2", 32, 6, 2, True
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return "neon", 16, 8, 2, True
    return "generic", 16, 6, 2, False


PATH, VECTOR_BYTES, MR, NV, HAS_FMA = _pick()
# Elements of one vector and columns of one register tile.
VL32 = VECTOR_BYTES // 4
VL64 = VECTOR_BYTES // 8
# Depth of the deepest panel of B that ``stack_panel`` has room for, and its size with one vector to spare.
DEPTH = 512
PANEL_BYTES = (DEPTH * NV + 1) * VECTOR_BYTES
NR32 = VL32 * NV
NR64 = VL64 * NV


# ---------------------------------------------------------------- pointers


@intrinsic
def ptr(typingctx, array, offset):
    """Pointer to the element that lies ``offset`` elements after ``array``'s first one in memory."""
    result = types.CPointer(array.dtype)

    def codegen(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.gep(struct.data, [args[1]])

    return result(array, types.intp), codegen


@intrinsic
def shift(typingctx, pointer, offset):
    """``pointer + offset``, counted in elements."""

    def codegen(context, builder, signature, args):
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic
def load(typingctx, pointer, offset):
    """``pointer[offset]``."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.gep(args[0], [args[1]]))

    return pointer.dtype(pointer, types.intp), codegen


@intrinsic
def store(typingctx, pointer, offset, value):
    """``pointer[offset] = value``."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), codegen


@intrinsic
def keep(typingctx, array):
    """Does nothing, but counts as a use: ``array`` lives at least until here."""

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return types.void(array), codegen


@intrinsic
def scratch(typingctx, array, like):
    """Pointer of ``like``'s type to the first address in the uint8 ``array`` that is a multiple of 64."""

    def codegen(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.add(builder.ptrtoint(struct.data, I64), ir.Constant(I64, 63))
        address = builder.and_(address, ir.Constant(I64, -64))
        return builder.inttoptr(address, context.get_value_type(like))

    return like(array, like), codegen


@intrinsic
def stack_panel(typingctx, like):
    """Pointer of ``like``'s type to PANEL_BYTES of the calling function's stack, at a multiple of 64."""

    def codegen(context, builder, signature, args):
        room = cgutils.alloca_once(builder, ir.IntType(8), size=ir.Constant(I64, PANEL_BYTES + 64))
        address = builder.and_(builder.add(builder.ptrtoint(room, I64), ir.Constant(I64, 63)), ir.Constant(I64, -64))
        return builder.inttoptr(address, context.get_value_type(like))

    return like(like), codegen


@intrinsic
def number(typingctx, pointer, value):
    """``value`` in the pointer's element type."""

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[1], signature.args[1], signature.return_type)

    return pointer.dtype(pointer, value), codegen


@intrinsic
def vector_len(typingctx, pointer):
    """Elements of the pointer's type in one vector register, as a constant."""
    size = VECTOR_BYTES // (pointer.dtype.bitwidth // 8)

    def codegen(context, builder, signature, args):
        return context.get_constant(types.intp, size)

    return types.intp(pointer), codegen


# ---------------------------------------------------------------- pieces of LLVM


class Emit:
    """Vector instructions of one element type, written through one builder."""

    def __init__(self, module, scalar):
        self.module = module
        self.scalar = scalar
        self.size = 4 if isinstance(scalar, ir.FloatType) else 8
        self.lanes = VECTOR_BYTES // self.size
        self.vec = ir.VectorType(scalar, self.lanes)
        self.mask = ir.VectorType(_I1, self.lanes)
        self.suffix = f"v{self.lanes}f{self.size * 8}"
        self.builder = None

    def named(self, name, result, args):
        """An LLVM function declared by its full name (llvmlite refuses vector types in declare_intrinsic)."""
        found = self.module.globals.get(name)
        return found or ir.Function(self.module, ir.FunctionType(result, args), name=name)

    def zero(self):
        return ir.Constant(self.vec, [0.0] * self.lanes)

    def splat(self, value):
        undef = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(undef, value, ir.Constant(_I32, 0))
        zeros = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, undef, zeros)

    def at(self, pointer, offset):
        offset = ir.Constant(I64, offset) if isinstance(offset, int) else offset
        return self.builder.gep(pointer, [offset])

    def scalar_at(self, pointer, offset=0):
        return self.builder.load(self.at(pointer, offset), align=self.size)

    def load(self, pointer, offset=0):
        return self.builder.load(self._cast(self.at(pointer, offset)), align=self.size)

    def store(self, value, pointer, offset=0):
        self.builder.store(value, self._cast(self.at(pointer, offset)), align=self.size)

    def _cast(self, pointer):
        return self.builder.bitcast(pointer, self.vec.as_pointer())

    def prefetch(self, pointer, offset=0):
        """Asks for the cache line of an element that will be written; any address may be given."""
        target = self.builder.bitcast(self.at(pointer, offset), ir.IntType(8).as_pointer())
        fn = self.named("llvm.prefetch.p0", ir.VoidType(), [target.type, _I32, _I32, _I32])
        self.builder.call(fn, [target, *(ir.Constant(_I32, v) for v in (1, 3, 1))])

    def lanes_below(self, count):
        """Mask of the lanes whose number is below ``count``."""
        iota = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", iota, self.splat(count))

    def masked_load(self, pointer, mask, offset=0):
        target = self._cast(self.at(pointer, offset))
        fn = self.named(f"llvm.masked.load.{self.suffix}.p0", self.vec, [target.type, _I32, self.mask, self.vec])
        return self.builder.call(fn, [target, ir.Constant(_I32, self.size), mask, self.zero()])

    def masked_store(self, value, pointer, mask, offset=0):
        target = self._cast(self.at(pointer, offset))
        args = [self.vec, target.type, _I32, self.mask]
        fn = self.named(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), args)
        self.builder.call(fn, [value, target, ir.Constant(_I32, self.size), mask])

    def fma(self, a, b, c):
        """a * b + c; two roundings where the CPU has no fused instruction (a libm call would cost 50x)."""
        if HAS_FMA:
            fn = self.named(f"llvm.fma.{self.suffix}", self.vec, [self.vec] * 3)
            return self.builder.call(fn, [a, b, c])
        return self.builder.fadd(self.builder.fmul(a, b), c)

    def shuffle(self, a, b, lanes):
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def new_function(module, name, result, args):
    """(function, is new): a function that modules may share and that is never copied into its callers."""
    found = module.globals.get(name)
    if found is not None:
        return found, False
    function = ir.Function(module, ir.FunctionType(result, args), name=name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function, True


# ---------------------------------------------------------------- the GEMM micro-kernel

_TILE_ARGS = "k a ars acs b brs c ldc ncols alpha beta bias mode floor".split()


def _tile_types(scalar):
    p = scalar.as_pointer()
    return [I64, p, I64, I64, p, I64, p, I64, I64, scalar, scalar, p, I64, scalar]


def _emit_tile(module, scalar, rows, vectors):
    """Function of ``_TILE_ARGS``: rows x (vectors * lanes) elements of C in registers over the loop on k."""
    e = Emit(module, scalar)
    name = f"tnn_tile_{PATH}_{e.suffix}_{rows}x{vectors}"
    fn, new = new_function(module, name, ir.VoidType(), _tile_types(scalar))
    if not new:
        return fn
    arg = dict(zip(_TILE_ARGS, fn.args, strict=True))
    entry, loop, done = (fn.append_basic_block(n) for n in ("entry", "loop", "done"))
    b = e.builder = ir.IRBuilder(entry)
    # One moving pointer for three rows of A: the other two are reached by the stride with scale 1 and 2.
    step = [ir.Constant(I64, 0), arg["ars"], b.shl(arg["ars"], ir.Constant(I64, 1))]
    heads = [arg["a"]]
    for _ in range(3, rows, 3):
        heads.append(e.at(heads[-1], b.add(step[1], step[2])))
    # C is needed at the very end: its cache lines come while the sum runs.
    row = arg["c"]
    for _ in range(rows):
        for v in range(vectors):
            e.prefetch(row, v * e.lanes)
        row = e.at(row, arg["ldc"])
    b.cbranch(b.icmp_signed(">", arg["k"], ir.Constant(I64, 0)), loop, done)

    b.position_at_end(loop)
    count = b.phi(I64)
    moving = [b.phi(h.type) for h in heads]
    row_b = b.phi(arg["b"].type)
    acc = [[b.phi(e.vec) for _ in range(vectors)] for _ in range(rows)]
    right = [e.load(row_b, v * e.lanes) for v in range(vectors)]
    out = []
    for r in range(rows):
        left = e.splat(e.scalar_at(moving[r // 3], step[r % 3]))
        out.append([e.fma(left, right[v], acc[r][v]) for v in range(vectors)])
    left_over = b.sub(count, ir.Constant(I64, 1))
    moved = [e.at(h, arg["acs"]) for h in moving]
    moved_b = e.at(row_b, arg["brs"])
    b.cbranch(b.icmp_signed(">", left_over, ir.Constant(I64, 0)), loop, done)
    for phi, first, later in [
        (count, arg["k"], left_over),
        (row_b, arg["b"], moved_b),
        *zip(moving, heads, moved, strict=True),
        *((acc[r][v], e.zero(), out[r][v]) for r in range(rows) for v in range(vectors)),
    ]:
        phi.add_incoming(first, entry)
        phi.add_incoming(later, loop)

    b.position_at_end(done)
    total = []
    for r in range(rows):
        total.append([])
        for v in range(vectors):
            phi = b.phi(e.vec)
            phi.add_incoming(e.zero(), entry)
            phi.add_incoming(out[r][v], loop)
            total[r].append(phi)
    _emit_store(e, arg, total)
    return fn


# What most products do, in short: nothing, bias along columns, along rows, bias and relu, beta * c with a beta of 1.
_SHORT = (0, 1, 2, 9, 4)


def _emit_store(e, arg, total):
    """c = max(floor, alpha * total + beta * c + bias), for the first ncols columns."""
    b, vectors = e.builder, len(total[0])
    one = ir.Constant(e.scalar, 1.0)
    uses_c = b.icmp_signed("!=", b.and_(arg["mode"], ir.Constant(I64, 4)), ir.Constant(I64, 0))
    whole = b.icmp_signed(">=", arg["ncols"], ir.Constant(I64, vectors * e.lanes))
    beta = b.or_(b.fcmp_ordered("==", arg["beta"], one), b.not_(uses_c))
    units = b.and_(b.fcmp_ordered("==", arg["alpha"], one), beta)
    blocks = {mode: b.append_basic_block(f"mode{mode}") for mode in _SHORT}
    short, general = b.append_basic_block("short"), b.append_basic_block("general")
    b.cbranch(b.and_(whole, units), short, general)
    b.position_at_end(short)
    switch = b.switch(arg["mode"], general)
    for mode, block in blocks.items():
        switch.add_case(ir.Constant(I64, mode), block)
        b.position_at_end(block)
        _emit_short_store(e, arg, total, mode)
    b.position_at_end(general)
    # C is not loaded where it is not added, and else all of it before any is stored: a load waits for a masked store to
    # the same cache line. 65536 x 3 times 3 x 15 took 10.3 ns a row with loads under an empty mask, 2.5 without.
    with b.if_else(uses_c) as (added, fresh):
        with added:
            _emit_general_store(e, arg, total, True)
        with fresh:
            _emit_general_store(e, arg, total, False)
    b.ret_void()


def _emit_short_store(e, arg, total, mode):
    """One of the modes _SHORT, where alpha and beta are 1 and all columns are stored: half the time of the general."""
    b, vectors = e.builder, len(total[0])
    adds = [e.load(arg["bias"], v * e.lanes) if mode & 1 else None for v in range(vectors)]
    floor = e.splat(arg["floor"])
    row = arg["c"]
    for r, values in enumerate(total):
        for v, x in enumerate(values):
            if mode & 1:
                x = b.fadd(x, adds[v])
            if mode & 2:
                x = b.fadd(x, e.splat(e.scalar_at(arg["bias"], r)))
            if mode & 4:
                x = b.fadd(x, e.load(row, v * e.lanes))
            if mode & 8:
                x = b.select(b.fcmp_ordered("<", x, floor), floor, x)
            e.store(x, row, v * e.lanes)
        row = e.at(row, arg["ldc"])
    b.ret_void()


def _emit_general_store(e, arg, total, uses_c):
    """Any mode, any number of columns."""
    b, vectors = e.builder, len(total[0])
    # mode: bit 0 bias along the columns, bit 1 bias along the rows, bit 3 apply the floor.
    bit = [b.icmp_signed("!=", b.and_(arg["mode"], ir.Constant(I64, 1 << i)), ir.Constant(I64, 0)) for i in range(4)]
    alpha, beta, floor = (e.splat(arg[name]) for name in ("alpha", "beta", "floor"))
    masks, adds = [], []
    for v in range(vectors):
        mask = e.lanes_below(b.sub(arg["ncols"], ir.Constant(I64, v * e.lanes)))
        masks.append(mask)
        adds.append(e.masked_load(arg["bias"], b.and_(mask, e.splat(bit[0])), v * e.lanes))
    along_rows = b.zext(bit[1], I64)
    zero = ir.Constant(e.scalar, 0.0)
    row, bias = arg["c"], arg["bias"]
    stores = []
    for values in total:
        extra = e.splat(b.select(bit[1], e.scalar_at(bias), zero))
        for v, value in enumerate(values):
            x = e.fma(value, alpha, b.fadd(adds[v], extra))
            if uses_c:
                x = e.fma(e.masked_load(row, masks[v], v * e.lanes), beta, x)
            # NaN < floor is false: a NaN stays.
            below = b.and_(b.fcmp_ordered("<", x, floor), e.splat(bit[3]))
            stores.append((b.select(below, floor, x), row, masks[v], v * e.lanes))
        row, bias = e.at(row, arg["ldc"]), e.at(bias, along_rows)
    for store in stores:
        e.masked_store(*store)


# Heights of tiles that are compiled together. All 28 tiles at once took 1.4 s; a small product needs one or two.
_HEIGHTS = 4


def _tiles(heights, vectors):
    """The function (address, like) that writes the addresses of tiles, by rows and vectors, to memory at an address."""

    @intrinsic
    def put(typingctx, address, like):
        def codegen(context, builder, sig, args):
            scalar = context.get_value_type(like.dtype)
            nothing, new = new_function(builder.module, "tnn_no_tile", ir.VoidType(), [])
            if new:
                ir.IRBuilder(nothing.append_basic_block("entry")).ret_void()
            out = builder.inttoptr(args[0], I64.as_pointer())
            for rows in heights:
                tile = _emit_tile(builder.module, scalar, rows, vectors) if rows and vectors else nothing
                at = builder.gep(out, [ir.Constant(I64, rows * (NV + 1) + vectors)])
                builder.store(builder.ptrtoint(tile, I64), at)
            return context.get_dummy_value()

        return types.void(types.intp, like), codegen

    @njit(**JIT)
    def tile_addresses(address, like):
        put(address, ptr(like, 0))

    return tile_addresses


_FILLERS = {
    (heights[0], vectors): _tiles(heights, vectors)
    for heights in [(0,), *(tuple(range(i, min(i + _HEIGHTS, MR + 1))) for i in range(1, MR + 1, _HEIGHTS))]
    for vectors in range(NV + 1)
}


# ---------------------------------------------------------------- shared code
#
# Numba copies the machine code of every callee into every caller and compiles it again there. The tiles take a second
# to compile, so they (and the GEMM around them) are compiled once per element type and process, cached on disk like any
# other compiled function, and called through a table of addresses. What only some calls of a kernel need, such as the
# parallel loop for large arrays, is called so too: it is compiled when the first call needs it. A caller's code, cached
# or not, finds the table by name; an entry that is still empty is filled by a call back into Python. Tiles of each size
# have entries of their own: a call takes 4 ns, and took 16 through a Numba function that chooses among them.

_SLOTS = 40
_SIZES = (MR + 1) * (NV + 1)
_TABLE = (ctypes.c_void_p * (_SLOTS + 2 * _SIZES))()
_MAKERS = {}
_LOCK = threading.Lock()


def _fill(slot):
    try:
        with _LOCK:
            if not _TABLE[slot]:
                _TABLE[slot] = _MAKERS[slot]()
        return _TABLE[slot]
    except BaseException:
        # The caller is compiled code that cannot raise and has nothing to call.
        traceback.print_exc()
        os.abort()


_FILL = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(_fill)
llvm.add_symbol("tnn_simd_table", ctypes.addressof(_TABLE))
llvm.add_symbol("tnn_simd_fill", ctypes.cast(_FILL, ctypes.c_void_p).value)


def shared_code(slot, function, signature):
    """Registers the jitted ``function`` for ``slot`` and returns ``emit(context, builder, args)``, which calls it.

    ``slot`` is a number below ``_SLOTS``, fixed for one purpose; ``signature`` is the Numba signature that the function
    is compiled for at its first call.
    """

    def make():
        function.compile(signature.args)
        compiled = function.overloads[signature.args]
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)

    _MAKERS[slot] = make

    def emit(context, builder, args):
        kind = context.call_conv.get_function_type(signature.return_type, signature.args)
        callee = _shared_address(builder, ir.Constant(I64, slot), kind)
        status, _ = context.call_conv.call_function(builder, callee, signature.return_type, signature.args, args)
        with builder.if_then(status.is_error, likely=False):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return emit


def shared_kernel(slot, function, arguments):
    """What a kernel calls ``function``, a kernel of arrays, by: ``call((x, ...))``, with all arguments in one tuple.

    ``slot`` and the next one are places in the table; ``arguments(real)`` are the types for float32 and float64.
    """
    if config.DISABLE_JIT:
        return lambda args: function(*args)
    emits = {
        real: shared_code(slot + i, function, types.void(*arguments(real)))
        for i, real in enumerate((types.float32, types.float64))
    }

    @intrinsic
    def call(typingctx, args):
        real = next(kind.dtype for kind in args if isinstance(kind, types.Array))
        kinds = arguments(real)
        for given, kind in zip(args, kinds, strict=True):
            if isinstance(kind, types.Array) and given.copy(readonly=False) != kind:
                raise TypingError(f"{function.__name__} expects {kind}, but got {given}")

        def codegen(context, builder, sig, values):
            passed = []
            for value, given, kind in zip(cgutils.unpack_tuple(builder, values[0]), args, kinds, strict=True):
                array = isinstance(kind, types.Array)
                passed.append(value if array else context.cast(builder, value, given, kind))
            return emits[real](context, builder, passed)

        return types.void(args), codegen

    return call


def _shared_address(builder, slot, kind):
    """The entry of the table as a pointer to a function of type ``kind``."""
    module, word = builder.module, ir.IntType(8).as_pointer()
    table = module.globals.get("tnn_simd_table")
    if table is None:
        table = ir.GlobalVariable(module, ir.ArrayType(word, len(_TABLE)), "tnn_simd_table")
        table.linkage = "external"
    fill = cgutils.get_or_insert_function(module, ir.FunctionType(word, [I64]), "tnn_simd_fill")
    found = builder.load(builder.gep(table, [ir.Constant(I64, 0), slot]))
    start = builder.block
    with builder.if_then(cgutils.is_null(builder, found), likely=False):
        made = builder.call(fill, [slot])
        block = builder.block
    address = builder.phi(word)
    address.add_incoming(found, start)
    address.add_incoming(made, block)
    return builder.bitcast(address, kind.as_pointer())


def _share_tiles(first, real):
    """Registers the tiles of a type for the entries from ``first`` on, of which several are filled together."""

    def make(slot):
        rows, vectors = divmod(slot - first, NV + 1)
        fill = _FILLERS[(rows - 1) // _HEIGHTS * _HEIGHTS + 1 if rows else 0, vectors]
        fill(ctypes.addressof(_TABLE) + first * ctypes.sizeof(ctypes.c_void_p), np.empty(0, as_dtype(real)))
        return _TABLE[slot]

    for slot in range(first, first + _SIZES):
        _MAKERS[slot] = lambda slot=slot: make(slot)
    return first


_TILE = {real: _share_tiles(_SLOTS + i * _SIZES, real) for i, real in enumerate((types.float32, types.float64))}


@intrinsic
def tile(typingctx, rows, vectors, k, a, ars, acs, b, brs, c, ldc, ncols, alpha, beta, bias, mode, floor):
    """One tile of C, held in registers over the loop on k.

    c[i, j] = alpha * sum_p a[i*ars + p*acs] * b[p*brs + j] (+ beta * c[i, j]) (+ bias), c at c[i*ldc + j],
    for i < rows <= MR and j < ncols <= vectors * vector_len. All ``vectors * vector_len`` columns of ``b`` are read;
    only ``ncols`` columns of ``c`` are read and written. ``mode`` is a sum of 1 (bias[j]), 2 (bias[i]), 4 (beta * c)
    and 8 (max(floor, .)); ``bias`` must point to at least one element, whatever the mode. Fastest are an alpha of 1 and
    a beta, if used, of 1.
    """
    first, n, p = _TILE[a.dtype], types.intp, types.CPointer(a.dtype)

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.VoidType(), _tile_types(context.get_value_type(a.dtype)))
        slot = builder.add(builder.mul(args[0], ir.Constant(I64, NV + 1)), args[1])
        callee = _shared_address(builder, builder.add(slot, ir.Constant(I64, first)), kind)
        builder.call(callee, args[2:])
        return context.get_dummy_value()

    return types.void(n, n, n, p, n, n, p, n, p, n, n, a.dtype, a.dtype, p, n, a.dtype), codegen


# ---------------------------------------------------------------- packing


def _emit_copy_rows(module, scalar):
    """Function (count, src, lds, dst, ldd, vectors, ncols): rows of up to NV vectors, missing columns as zeros."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_rows_{PATH}_{e.suffix}", ir.VoidType(), [I64, p, I64, p, I64, I64, I64])
    if not new:
        return fn
    count, src, lds, dst, ldd, vectors, ncols = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    with cgutils.for_range(b, count) as row:
        left, right = e.at(src, b.mul(row.index, lds)), e.at(dst, b.mul(row.index, ldd))
        with cgutils.for_range(b, vectors) as column:
            start = b.mul(column.index, ir.Constant(I64, e.lanes))
            mask = e.lanes_below(b.sub(ncols, start))
            e.store(e.masked_load(left, mask, start), right, start)
    b.ret_void()
    return fn


@intrinsic
def copy_rows(typingctx, count, src, lds, dst, ldd, vectors, ncols):
    """dst[r*ldd + j] = src[r*lds + j] if j < ncols else 0, for r < count and j < vectors * vector_len.

    Rows are written whole and in order, so that a later row may overwrite what an earlier one wrote past its end.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_copy_rows(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(n, pointer, n, pointer, n, n, n), codegen


def _emit_turn(module, scalar, exact):
    """Function (src, lds, last, dst, ldd, count): a square block of one vector's length, transposed."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    name = f"tnn_turn_{'exact_' if exact else ''}{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [p, I64, I64, p, I64, I64])
    if not new:
        return fn
    src, lds, last, dst, ldd, count = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    n = e.lanes

    def row(i):
        index = ir.Constant(I64, i)
        return b.mul(b.select(b.icmp_signed("<", index, last), index, last), lds)

    if not exact:
        for i, column in enumerate(_turned(e, src, row)):
            e.store(column, dst, b.mul(ldd, ir.Constant(I64, i)))
        b.ret_void()
        return fn
    rows = [e.masked_load(src, e.lanes_below(count), row(i)) for i in range(n)]
    # Butterfly: at distance s, rows i and i+s exchange the off-diagonal blocks of size s.
    s = n // 2
    while s:
        low = [j if not j & s else n + j - s for j in range(n)]
        high = [j + s if not j & s else n + j for j in range(n)]
        for i in range(n):
            if not i & s:
                x, y = rows[i], rows[i + s]
                rows[i], rows[i + s] = e.shuffle(x, y, low), e.shuffle(x, y, high)
        s //= 2
    mask = e.lanes_below(b.add(last, ir.Constant(I64, 1)))
    for i in range(n):
        with b.if_then(b.icmp_signed("<", ir.Constant(I64, i), count)):
            e.masked_store(rows[i], dst, mask, b.mul(ldd, ir.Constant(I64, i)))
    b.ret_void()
    return fn


def _turned(e, src, row):
    """The columns of the square block at ``src`` whose row i lies at ``row(i)``.

    A vector is put together of 16 bytes each of the rows i, i + w, i + 2w ..., w being how many elements that is; what
    is left to turn are then blocks of w x w, each in its own part of the vectors: the loads do half of the work.
    """
    b, n = e.builder, e.lanes
    w = 16 // e.size
    part = ir.VectorType(e.scalar, w).as_pointer()
    vectors = [[] for _ in range(n // w)]
    for i in range(w):
        starts = [e.at(src, row(i + k)) for k in range(0, n, w)]
        for block, made in enumerate(vectors):
            parts = [b.load(b.bitcast(e.at(p, block * w), part), align=e.size) for p in starts]
            while len(parts) > 1:
                both = list(range(2 * parts[0].type.count))
                parts = [e.shuffle(x, y, both) for x, y in zip(parts[::2], parts[1::2], strict=True)]
            made.append(parts[0])
    columns = []
    for made in vectors:
        s = 1
        while s < w:
            # Runs of s elements of two vectors in turn, from the lower and from the upper half of each part.
            low = [(j // w * w + j % w // (2 * s) * s + j % s) + (n if j & s else 0) for j in range(n)]
            pairs = [(made[k], made[k + s]) for k in range(w) if not k & s]
            made = [e.shuffle(x, y, [j + up for j in low]) for x, y in pairs for up in (0, w // 2)]
            s *= 2
        columns += made
    return columns


@intrinsic
def turn(typingctx, src, lds, last, dst, ldd):
    """dst[j*ldd + i] = src[min(i, last)*lds + j] for i, j < vector_len; the rows of dst are written in order."""
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        fn = _emit_turn(builder.module, context.get_value_type(src.dtype), False)
        builder.call(fn, [*args, ir.Constant(I64, 0)])
        return context.get_dummy_value()

    return types.void(pointer, n, n, pointer, n), codegen


@intrinsic
def turn_exact(typingctx, src, lds, last, dst, ldd, count):
    """dst[j*ldd + i] = src[i*lds + j] for i <= last, j < count, both below vector_len; nothing else is touched."""
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        fn = _emit_turn(builder.module, context.get_value_type(src.dtype), True)
        builder.call(fn, args)
        return context.get_dummy_value()

    return types.void(pointer, n, n, pointer, n, n), codegen
