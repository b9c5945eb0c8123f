"""The micro-kernel of direct convolution, the order of its weights, and the transposed store of what it leaves.

``reduce_tile`` is ``_simd.tile`` with one operand found through a table: step k of the sum reads a few consecutive
elements at ``a[off[k]]``, wherever that is, so that nothing has to be gathered into a panel before (a batch-reduce
GEMM: E. Georganas et al., "High-performance deep learning via a single building block", arXiv:1906.06440).
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ._jit import JIT
from ._simd import I64, MR, NV, PATH, Emit, _turned, new_function, shared_code

_ARGS = "rows vectors n1 n2 gap a off b c ldc add".split()


def _types(scalar):
    p = scalar.as_pointer()
    return [I64, I64, I64, p, I64.as_pointer(), p, p, I64, I64]


def _emit_reduce(module, scalar, rows, vectors):
    """Function of ``_ARGS[2:]``: rows x (vectors * lanes) elements of C in registers over both loops."""
    e = Emit(module, scalar)
    name = f"tnn_reduce_{PATH}_{e.suffix}_{rows}x{vectors}"
    fn, new = new_function(module, name, ir.VoidType(), _types(scalar))
    if not new:
        return fn
    n1, n2, gap, a, off, b_in, c, ldc, add = fn.args
    names = "entry outer loop skip done old end".split()
    entry, outer, loop, skip, done, old, end = (fn.append_basic_block(n) for n in names)
    b = e.builder = ir.IRBuilder(entry)
    one, wide = ir.Constant(I64, 1), ir.Constant(I64, vectors * e.lanes)
    cells = [(r, v) for r in range(rows) for v in range(vectors)]
    lines = [e.at(c, b.mul(ldc, ir.Constant(I64, r))) for r in range(rows)]
    jump = b.mul(gap, wide)
    b.branch(outer)

    b.position_at_end(outer)
    turns, off1, b1 = b.phi(I64), b.phi(off.type), b.phi(b_in.type)
    acc1 = [b.phi(e.vec) for _ in cells]
    b.branch(loop)

    b.position_at_end(loop)
    count, off2, b2 = b.phi(I64), b.phi(off.type), b.phi(b_in.type)
    acc2 = [b.phi(e.vec) for _ in cells]
    right = [e.load(b2, v * e.lanes) for v in range(vectors)]
    here = b.gep(a, [b.load(off2)])
    out = []
    for r in range(rows):
        left = e.splat(e.scalar_at(here, r))
        out += [e.fma(left, right[v], acc2[r * vectors + v]) for v in range(vectors)]
    off3, b3, left_over = b.gep(off2, [one]), b.gep(b2, [wide]), b.sub(count, one)
    b.cbranch(b.icmp_signed(">", left_over, ir.Constant(I64, 0)), loop, skip)

    b.position_at_end(skip)
    off4, b4, fewer = b.gep(off3, [gap]), b.gep(b3, [jump]), b.sub(turns, one)
    b.cbranch(b.icmp_signed(">", fewer, ir.Constant(I64, 0)), outer, done)
    zeros = [e.zero()] * len(cells)
    for phi, x, later in [(turns, n1, fewer), (off1, off, off4), (b1, b_in, b4), *zip(acc1, zeros, out, strict=True)]:
        phi.add_incoming(x, entry)
        phi.add_incoming(later, skip)
    for phi, x, later in [(count, n2, left_over), (off2, off1, off3), (b2, b1, b3), *zip(acc2, acc1, out, strict=True)]:
        phi.add_incoming(x, outer)
        phi.add_incoming(later, loop)

    # What was there is added last: a sum of short sums, more exact than a long one.
    b.position_at_end(done)
    b.cbranch(b.icmp_signed("!=", add, ir.Constant(I64, 0)), old, end)
    b.position_at_end(old)
    both = [b.fadd(e.load(lines[r], v * e.lanes), x) for (r, v), x in zip(cells, out, strict=True)]
    b.branch(end)
    b.position_at_end(end)
    for (r, v), x, y in zip(cells, out, both, strict=True):
        phi = b.phi(e.vec)
        phi.add_incoming(x, done)
        phi.add_incoming(y, old)
        both[r * vectors + v] = phi
    for (r, v), x in zip(cells, both, strict=True):
        e.store(x, lines[r], v * e.lanes)
    b.ret_void()
    return fn


def _signature(real):
    n, pointer = types.intp, types.CPointer(real)
    return n, n, n, n, n, pointer, types.CPointer(types.intp), pointer, pointer, n, n


@intrinsic
def _reduce_here(typingctx, rows, vectors, n1, n2, gap, a, off, b, c, ldc, add):
    def codegen(context, builder, sig, args):
        scalar, here = context.get_value_type(a.dtype), builder.function
        out = here.append_basic_block("tiles_done")
        key = builder.add(builder.mul(args[0], ir.Constant(I64, NV)), args[1])
        switch = builder.switch(key, out)
        for height in range(1, MR + 1):
            for width in range(1, NV + 1):
                block = here.append_basic_block("tile")
                switch.add_case(ir.Constant(I64, height * NV + width), block)
                builder.position_at_end(block)
                builder.call(_emit_reduce(builder.module, scalar, height, width), args[2:])
                builder.branch(out)
        builder.position_at_end(out)
        return context.get_dummy_value()

    return types.void(*_signature(a.dtype)), codegen


@njit(**JIT)
def _reduce_body(rows, vectors, n1, n2, gap, a, off, b, c, ldc, add):
    _reduce_here(rows, vectors, n1, n2, gap, a, off, b, c, ldc, add)


_REDUCE = {
    real: shared_code(slot, _reduce_body, types.void(*_signature(real)))
    for slot, real in ((10, types.float32), (11, types.float64))
}


@intrinsic
def reduce_tile(typingctx, rows, vectors, n1, n2, gap, a, off, b, c, ldc, add):
    """c[r*ldc + j] = sum_s a[off[s] + r] * b[s*width + j] (+ c[r*ldc + j] if ``add``), width = vectors * vector_len.

    For r < rows <= MR and j < width; s takes ``n1`` runs of ``n2`` steps, ``gap`` steps between two runs, n1 and n2 at
    least 1. C is read and written whole.
    """
    emit = _REDUCE[a.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return types.void(*_signature(a.dtype)), codegen


# ---------------------------------------------------------------- transposed store


def butterfly(e, rows):
    """The rows of a square block, transposed."""
    n = e.lanes
    s = n // 2
    while s:
        low = [j if not j & s else n + j - s for j in range(n)]
        high = [j + s if not j & s else n + j for j in range(n)]
        for i in range(n):
            if not i & s:
                x, y = rows[i], rows[i + s]
                rows[i], rows[i + s] = e.shuffle(x, y, low), e.shuffle(x, y, high)
        s //= 2
    return rows


def _emit_turn_out(module, scalar):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    name = f"tnn_turn_out_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [p, I64, I64, p, I64, I64, p, I64])
    if not new:
        return fn
    src, lds, last, dst, ldd, count, bias, mode = fn.args
    entry, whole, plain, added, general = (fn.append_basic_block(x) for x in "entry whole plain added general".split())
    b = e.builder = ir.IRBuilder(entry)
    n, full = e.lanes, ir.Constant(I64, e.lanes)
    enough = b.and_(b.icmp_signed(">=", last, ir.Constant(I64, n - 1)), b.icmp_signed(">=", count, full))
    b.cbranch(enough, whole, general)
    # Whole squares without relu take half as long without masks: 75 cycles where they took 148.
    b.position_at_end(whole)
    switch = b.switch(b.and_(mode, ir.Constant(I64, 2 + 8)), general)
    for bits, block in ((0, plain), (2, added)):
        switch.add_case(ir.Constant(I64, bits), block)
        b.position_at_end(block)
        rows = [e.load(src, b.mul(lds, ir.Constant(I64, i))) for i in range(n)]
        for i, x in enumerate(butterfly(e, rows)):
            x = b.fadd(x, e.splat(e.scalar_at(bias, i))) if bits else x
            e.store(x, dst, b.mul(ldd, ir.Constant(I64, i)))
        b.ret_void()
    b.position_at_end(general)
    adds, relu = (b.icmp_signed("!=", b.and_(mode, ir.Constant(I64, bit)), ir.Constant(I64, 0)) for bit in (2, 8))
    rows = []
    for i in range(n):
        index = ir.Constant(I64, i)
        index = b.select(b.icmp_signed("<", index, last), index, last)
        rows.append(e.load(src, b.mul(index, lds)))
    rows = butterfly(e, rows)
    mask = e.lanes_below(b.add(last, ir.Constant(I64, 1)))
    zero = ir.Constant(I64, 0)
    for i in range(n):
        with b.if_then(b.icmp_signed("<", ir.Constant(I64, i), count)):
            extra = e.scalar_at(bias, b.select(adds, ir.Constant(I64, i), zero))
            x = b.fadd(rows[i], e.splat(b.select(adds, extra, ir.Constant(scalar, 0.0))))
            # NaN < 0 is false: a NaN stays.
            below = b.and_(b.fcmp_ordered("<", x, e.zero()), e.splat(relu))
            e.masked_store(b.select(below, e.zero(), x), dst, mask, b.mul(ldd, ir.Constant(I64, i)))
    b.ret_void()
    return fn


@intrinsic
def turn_out(typingctx, src, lds, last, dst, ldd, count, bias, mode):
    """dst[j*ldd + i] = src[i*lds + j] (+ bias[j] if ``mode`` has 2) (relu if it has 8) for i <= last, j < count.

    Both are below vector_len. Whole vectors of src are read, nothing else of dst is touched.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        fn = _emit_turn_out(builder.module, context.get_value_type(src.dtype))
        builder.call(fn, args)
        return context.get_dummy_value()

    return types.void(pointer, n, n, pointer, n, n, pointer, n), codegen


# ---------------------------------------------------------------- weights


def _emit_turn_places(module, scalar):
    """Function (src, lds, last, dst, places, count, whole)."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    name = f"tnn_turn_places_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [p, I64, I64, p, I64.as_pointer(), I64, I64])
    if not new:
        return fn
    src, lds, last, dst, places, count, whole = fn.args
    entry, free, masked, both = (fn.append_basic_block(x) for x in "entry free masked both".split())
    b = e.builder = ir.IRBuilder(entry)
    n = e.lanes

    def row(i):
        index = ir.Constant(I64, i)
        return b.mul(b.select(b.icmp_signed("<", index, last), index, last), lds)

    b.cbranch(b.icmp_signed("!=", whole, ir.Constant(I64, 0)), free, masked)
    b.position_at_end(free)
    fast = _turned(e, src, row)
    b.branch(both)
    b.position_at_end(masked)
    mask = e.lanes_below(count)
    slow = butterfly(e, [e.masked_load(src, mask, row(i)) for i in range(n)])
    b.branch(both)
    b.position_at_end(both)
    columns = []
    for x, y in zip(fast, slow, strict=True):
        columns.append(b.phi(e.vec))
        columns[-1].add_incoming(x, free)
        columns[-1].add_incoming(y, masked)
    for i, column in enumerate(columns):
        with b.if_then(b.icmp_signed("<", ir.Constant(I64, i), count)):
            e.store(column, e.at(dst, b.load(e.at(places, i))))
    b.ret_void()
    return fn


@intrinsic
def turn_places(typingctx, src, lds, last, dst, places, count, whole):
    """dst[places[j] + i] = src[min(i, last)*lds + j] for i < vector_len and j < count <= vector_len.

    If ``whole``, whole vectors of src are read, which takes half the time.
    """
    n, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        fn = _emit_turn_places(builder.module, context.get_value_type(src.dtype))
        builder.call(fn, args)
        return context.get_dummy_value()

    return types.void(pointer, n, n, pointer, types.CPointer(types.intp), n, n), codegen
