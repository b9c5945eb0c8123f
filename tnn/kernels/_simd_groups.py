"""Vector code for grouped convolution with fewer channels in a group than a vector has lanes.

Some groups share a vector: lane o * groups + g is output channel o of group g. Inputs of the groups lie side by side,
so that one load fills a vector with them, over and over.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ._jit import JIT
from ._simd import I64, MR, PATH, Emit, new_function, shared_code
from ._simd_reduce import butterfly

# How many groups share a vector.
SHARED = 1, 2, 4
# On these processors a load that repeats 8 bytes keeps units busy that are to multiply, unless it is an operand of a
# logical operation, which other units can do: a step of 14 rows takes 14.5 cycles instead of 19.0.
ZEN = (config.CPU_NAME or llvm.get_host_cpu_name()).startswith("znver")
_I32 = ir.IntType(32)


def _cases(builder, groups, emit):
    """Calls ``emit(number)`` in the branch where ``groups`` is that number."""
    here = builder.function
    end = here.append_basic_block("groups_done")
    switch = builder.switch(groups, end)
    for number in SHARED:
        block = here.append_basic_block(f"groups_{number}")
        switch.add_case(ir.Constant(I64, number), block)
        builder.position_at_end(block)
        emit(number)
        builder.branch(end)
    builder.position_at_end(end)


# ---------------------------------------------------------------- planes side by side


def _emit_zip(module, scalar, groups):
    e = Emit(module, scalar)
    p, n = scalar.as_pointer(), e.lanes
    name = f"tnn_zip_{PATH}_{e.suffix}_{groups}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, p, I64, I64, I64, I64, p, I64, I64])
    if not new:
        return fn
    count, src, lds, far, lo, hi, dst, ldd, columns = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    vectors = b.sdiv(b.add(columns, ir.Constant(I64, n - 1)), ir.Constant(I64, n))
    with cgutils.for_range(b, count) as row:
        left, right = e.at(src, b.mul(row.index, lds)), e.at(dst, b.mul(row.index, ldd))
        with cgutils.for_range(b, vectors) as column:
            start = b.mul(column.index, ir.Constant(I64, n))
            mask = b.and_(e.lanes_below(b.sub(hi, start)), b.not_(e.lanes_below(b.sub(lo, start))))
            parts = []
            for g in range(groups):
                parts.append(e.masked_load(e.at(left, b.mul(far, ir.Constant(I64, g))), mask, start))
            # Each level puts the first halves of two vectors side by side, element by element, and the second ones.
            step = groups // 2
            while step:
                low = [i // 2 + n * (i % 2) for i in range(n)]
                high = [n // 2 + i // 2 + n * (i % 2) for i in range(n)]
                pairs = [(parts[i], parts[i + len(parts) // 2]) for i in range(len(parts) // 2)]
                parts = [e.shuffle(x, y, lanes) for x, y in pairs for lanes in (low, high)]
                step //= 2
            out = b.mul(start, ir.Constant(I64, groups))
            for i, x in enumerate(parts):
                e.store(x, e.at(right, out), i * n)
    b.ret_void()
    return fn


@intrinsic
def zip_rows(typingctx, groups, count, src, lds, far, lo, hi, dst, ldd, columns):
    """dst[r*ldd + q*groups + g] = src[r*lds + g*far + q] if lo <= q < hi else 0.

    For r < count, g < groups and q < columns. Rows are written in order and in whole vectors: up to ``groups`` of them
    beyond a row's end.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        _cases(builder, args[0], lambda g: builder.call(_emit_zip(builder.module, scalar, g), args[1:]))
        return context.get_dummy_value()

    return types.void(n, n, pointer, n, n, n, n, pointer, n, n), codegen


# ---------------------------------------------------------------- the micro-kernel


def _repeat(e, at, groups, nothing):
    """A vector of the ``groups`` elements at ``at``, over and over; ``nothing`` is a vector of zeros."""
    b = e.builder
    if groups == 1:
        return e.splat(e.scalar_at(at))
    if groups * e.size == 8 and e.lanes * e.size == 64 and ZEN:
        pair = b.load(b.bitcast(at, I64.as_pointer()), align=e.size)
        none, lanes = ir.Constant(nothing.type, ir.Undefined), ir.Constant(ir.VectorType(_I32, 8), [0] * 8)
        pairs = b.shuffle_vector(b.insert_element(none, pair, ir.Constant(_I32, 0)), none, lanes)
        return b.bitcast(b.or_(pairs, nothing), e.vec)
    few = ir.VectorType(e.scalar, groups)
    some = b.load(b.bitcast(at, few.as_pointer()), align=e.size)
    lanes = ir.Constant(ir.VectorType(_I32, e.lanes), [i % groups for i in range(e.lanes)])
    return b.shuffle_vector(some, ir.Constant(few, ir.Undefined), lanes)


def _emit_tile(module, scalar, groups, rows):
    """As ``_simd_reduce._emit_reduce`` with one vector, and ``groups`` elements of a for each row."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    name = f"tnn_group_tile_{PATH}_{e.suffix}_{groups}_{rows}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, p, I64.as_pointer(), I64, p, p, I64, I64])
    if not new:
        return fn
    count, a, off, step, b_in, c, ldc, add = fn.args
    entry, loop, done, old, end = (fn.append_basic_block(n) for n in "entry loop done old end".split())
    b = e.builder = ir.IRBuilder(entry)
    # As in _simd._emit_tile: one pointer for three rows.
    steps = [ir.Constant(I64, 0), step, b.shl(step, ir.Constant(I64, 1))]
    heads = [e.at(a, b.mul(step, ir.Constant(I64, r))) for r in range(0, rows, 3)]
    lines = [e.at(c, b.mul(ldc, ir.Constant(I64, r))) for r in range(rows)]
    nothing = ir.Constant(ir.VectorType(I64, 8), ir.Undefined)
    for i in range(8):
        # Zero, since ``add`` is 0 or 1; LLVM does not see it.
        nothing = b.insert_element(nothing, b.lshr(add, ir.Constant(I64, 1 + i % 2)), ir.Constant(_I32, i))
    b.branch(loop)

    b.position_at_end(loop)
    left_over, here, weights = b.phi(I64), b.phi(off.type), b.phi(b_in.type)
    acc = [b.phi(e.vec) for _ in range(rows)]
    right, place = e.load(weights), b.load(here)
    out = []
    for r in range(rows):
        at = e.at(e.at(heads[r // 3], place), steps[r % 3])
        left = _repeat(e, at, groups, nothing)
        out.append(e.fma(left, right, acc[r]))
    fewer = b.sub(left_over, ir.Constant(I64, 1))
    after, later = b.gep(here, [ir.Constant(I64, 1)]), e.at(weights, e.lanes)
    b.cbranch(b.icmp_signed(">", fewer, ir.Constant(I64, 0)), loop, done)
    pairs = [(left_over, count, fewer), (here, off, after), (weights, b_in, later)]
    for phi, first, then in [*pairs, *((x, e.zero(), y) for x, y in zip(acc, out, strict=True))]:
        phi.add_incoming(first, entry)
        phi.add_incoming(then, loop)

    b.position_at_end(done)
    b.cbranch(b.icmp_signed("!=", add, ir.Constant(I64, 0)), old, end)
    b.position_at_end(old)
    both = [b.fadd(e.load(line), x) for line, x in zip(lines, out, strict=True)]
    b.branch(end)
    b.position_at_end(end)
    total = [b.phi(e.vec) for _ in lines]
    for line, phi, x, y in zip(lines, total, out, both, strict=True):
        phi.add_incoming(x, done)
        phi.add_incoming(y, old)
        e.store(phi, line)
    b.ret_void()
    return fn


@intrinsic
def _tile_here(typingctx, groups, rows, count, a, off, step, b, c, ldc, add):
    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(a.dtype)

        def emit(number):
            here = builder.function
            out = here.append_basic_block("tiles_done")
            switch = builder.switch(args[1], out)
            for height in range(1, MR + 1):
                block = here.append_basic_block("tile")
                switch.add_case(ir.Constant(I64, height), block)
                builder.position_at_end(block)
                builder.call(_emit_tile(builder.module, scalar, number, height), args[2:])
                builder.branch(out)
            builder.position_at_end(out)

        _cases(builder, args[0], emit)
        return context.get_dummy_value()

    return types.void(*_signature(a.dtype)), codegen


def _signature(real):
    n, pointer = types.intp, types.CPointer(real)
    return n, n, n, pointer, types.CPointer(types.intp), n, pointer, pointer, n, n


@njit(**JIT)
def _tile_body(groups, rows, count, a, off, step, b, c, ldc, add):
    _tile_here(groups, rows, count, a, off, step, b, c, ldc, add)


_TILE = {
    real: shared_code(slot, _tile_body, types.void(*_signature(real)))
    for slot, real in ((18, types.float32), (19, types.float64))
}


@intrinsic
def group_tile(typingctx, groups, rows, count, a, off, step, b, c, ldc, add):
    """c[r*ldc + j] = sum_s a[off[s] + r*step + j % groups] * b[s*lanes + j] (+ c[r*ldc + j] if ``add``).

    For r < rows <= MR and j < lanes, the lanes of a vector; ``count``, at least 1, is the number of steps s.
    """
    emit = _TILE[a.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return types.void(*_signature(a.dtype)), codegen


# ---------------------------------------------------------------- lanes to channels and back


def _emit_spread(module, scalar, groups):
    """Function (src, lds, last, dst, ldd, bias, with_bias): a square block transposed on the way to the channels."""
    e = Emit(module, scalar)
    p, n = scalar.as_pointer(), e.lanes
    name = f"tnn_spread_{PATH}_{e.suffix}_{groups}"
    fn, new = new_function(module, name, ir.VoidType(), [p, I64, I64, p, I64, p, I64])
    if not new:
        return fn
    src, lds, last, dst, ldd, bias, with_bias = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    rows = []
    for i in range(n):
        index = ir.Constant(I64, i)
        index = b.select(b.icmp_signed("<", index, last), index, last)
        rows.append(e.load(src, b.mul(index, lds)))
    mask = e.lanes_below(b.add(last, ir.Constant(I64, 1)))
    adds = b.icmp_signed("!=", with_bias, ir.Constant(I64, 0))
    for j, x in enumerate(butterfly(e, rows)):
        channel = ir.Constant(I64, j // groups + j % groups * (n // groups))
        extra = e.scalar_at(bias, b.select(adds, channel, ir.Constant(I64, 0)))
        x = b.fadd(x, e.splat(b.select(adds, extra, ir.Constant(scalar, 0.0))))
        e.masked_store(x, dst, mask, b.mul(ldd, channel))
    b.ret_void()
    return fn


@intrinsic
def spread_out(typingctx, groups, src, lds, last, dst, ldd, bias, with_bias):
    """dst[channel(j)*ldd + i] = src[i*lds + j] (+ bias[channel(j)]) for i <= last, below a vector's lanes, and all j.

    Lane j is channel ``j // groups + j % groups * (lanes / groups)``.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        _cases(builder, args[0], lambda g: builder.call(_emit_spread(builder.module, scalar, g), args[1:]))
        return context.get_dummy_value()

    return types.void(n, pointer, n, n, pointer, n, pointer, n), codegen


def _emit_gather(module, scalar, groups):
    """Function (src, lds, count, dst): a square block transposed on the way from the channels."""
    e = Emit(module, scalar)
    p, n = scalar.as_pointer(), e.lanes
    name = f"tnn_gather_{PATH}_{e.suffix}_{groups}"
    fn, new = new_function(module, name, ir.VoidType(), [p, I64, I64, p])
    if not new:
        return fn
    src, lds, count, dst = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    mask = e.lanes_below(count)
    channels = [ir.Constant(I64, j // groups + j % groups * (n // groups)) for j in range(n)]
    rows = butterfly(e, [e.masked_load(src, mask, b.mul(lds, channel)) for channel in channels])
    for i, x in enumerate(rows):
        with b.if_then(b.icmp_signed("<", ir.Constant(I64, i), count)):
            e.store(x, dst, i * n)
    b.ret_void()
    return fn


@intrinsic
def gather_in(typingctx, groups, src, lds, count, dst):
    """dst[i*lanes + j] = src[channel(j)*lds + i] for i < count, at most a vector's lanes, and all lanes j.

    The channel of a lane is ``spread_out``'s.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        _cases(builder, args[0], lambda g: builder.call(_emit_gather(builder.module, scalar, g), args[1:]))
        return context.get_dummy_value()

    return types.void(n, pointer, n, n, pointer), codegen
