"""Winograd's small transforms, a tile in each lane of a vector. See ``conv_winograd`` for what they are for.

Each is Y = L X L^T with one of the matrices below; an element of X or Y is a vector.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function
from ._simd_rows import by_width

# 3 x 3 kernels with 2 x 2 outputs: y = OUTPUT [(KERNEL g) * (INPUT d)]; 2 x 2 gradients with 3 x 3 outputs, the same
# way: dw = TAPS [(GRADIENT dy) * (INPUT d)].
INPUT = (1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)
KERNEL = (1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)
OUTPUT = (1, 1, 1, 0), (0, 1, -1, -1)
GRADIENT = (1, 0), (0.5, 0.5), (0.5, -0.5), (0, 1)
TAPS = (1, 1, 1, 0), (0, 1, -1, 0), (0, 1, 1, -1)


def _combine(e, row, vectors):
    """The sum of ``vectors`` with the factors of a matrix's row, which are 0 or of one size."""
    b, total, size = e.builder, None, max(abs(f) for f in row)
    for factor, x in zip(row, vectors, strict=True):
        if factor and total is None:
            total = x if factor > 0 else b.fsub(e.zero(), x)
        elif factor:
            total = b.fadd(total, x) if factor > 0 else b.fsub(total, x)
    return total if size == 1 else b.fmul(total, ir.Constant(e.vec, [size] * e.lanes))


def _transform(e, matrix, x):
    """L X L^T, both as lists of rows."""
    lines = [[_combine(e, row, line) for row in matrix] for line in x]
    columns = list(zip(*lines, strict=True))
    return [[_combine(e, row, column) for column in columns] for row in matrix]


def _read(e, n, src, rs, cs, ks):
    b = e.builder
    out = []
    for i in range(n):
        row = e.at(src, b.mul(rs, ir.Constant(I64, i)))
        out.append([])
        for j in range(n):
            at = b.add(b.mul(cs, ir.Constant(I64, j % 2)), b.mul(ks, ir.Constant(I64, j // 2)))
            out[-1].append(e.load(row, at))
    return out


def _emit(module, scalar, name, matrix):
    """Function (src, rs, cs, ks, dst, step): element (i, j) lies at src[i*rs + j%2*cs + j//2*ks]."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    parts = [p, I64, I64, I64, p, I64]
    fn, new = new_function(module, f"tnn_winograd_{name}_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    src, rs, cs, ks, dst, step = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    y = _transform(e, matrix, _read(e, len(matrix[0]), src, rs, cs, ks))
    for i, row in enumerate(y):
        for j, x in enumerate(row):
            e.store(x, dst, b.mul(step, ir.Constant(I64, i * len(row) + j)))
    b.ret_void()
    return fn


def _intrinsic(name, matrix, doc):
    def transform(typingctx, src, rs, cs, ks, dst, step):
        k, pointer = types.intp, types.CPointer(src.dtype)

        def codegen(context, builder, sig, args):
            builder.call(_emit(builder.module, context.get_value_type(src.dtype), name, matrix), args)
            return context.get_dummy_value()

        return types.void(pointer, k, k, k, pointer, k), codegen

    transform.__name__ = f"winograd_{name}"
    transform.__doc__ = f"""{doc}: dst[(i*m + j)*step] = (L X L^T)[i, j], X[i, j] = src[i*rs + j%2*cs + j//2*ks].

    All vectors, m the rows of L; dst is written in ascending order.
    """
    return intrinsic(transform)


winograd_input = _intrinsic("input", INPUT, "4 x 4 inputs to 4 x 4")
winograd_kernel = _intrinsic("kernel", KERNEL, "3 x 3 weights to 4 x 4")
winograd_gradient = _intrinsic("gradient", GRADIENT, "2 x 2 gradients to 4 x 4")
winograd_taps = _intrinsic("taps", TAPS, "4 x 4 sums to 3 x 3")


def _emit_output(module, scalar, width, high=2):
    """``high`` 1: of 4 products only, to outputs of a single row."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    parts = [p, I64, p, I64, I64, I64, scalar, I64]
    fn, new = new_function(module, f"tnn_winograd_output{width}_{high}_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    src, step, dst, ldd, columns, rows, bias, relu = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    if high == 2:
        y = _transform(e, OUTPUT, _read(e, 4, src, b.mul(step, ir.Constant(I64, 4)), step, b.add(step, step)))
    else:
        x = [e.load(src, b.mul(step, ir.Constant(I64, i))) for i in range(4)]
        y = [[_combine(e, row, x) for row in OUTPUT]]
    extra, flag = e.splat(bias), e.splat(b.icmp_signed("!=", relu, ir.Constant(I64, 0)))
    n = e.lanes
    masks = [e.lanes_below(columns), e.lanes_below(b.sub(columns, ir.Constant(I64, n)))]

    def line(pair, out):
        sides = []
        for x in pair:
            x = b.fadd(x, extra)
            # NaN < 0 is false: a NaN stays.
            sides.append(b.select(b.and_(b.fcmp_ordered("<", x, e.zero()), flag), e.zero(), x))
        for half, mask in enumerate(masks):
            places = range(half * n, half * n + n)
            lanes = [i // width % 2 * n + i // (2 * width) * width + i % width for i in places]
            e.masked_store(e.shuffle(*sides, lanes), out, mask, half * n)

    line(y[0], dst)
    if high == 2:
        with b.if_then(b.icmp_signed(">", rows, ir.Constant(I64, 1))):
            line(y[1], e.at(dst, ldd))
    b.ret_void()
    return fn


@intrinsic
def winograd_output(typingctx, src, step, dst, ldd, columns, rows, bias, relu, width):
    """4 x 4 products to 2 x 2 outputs of neighbouring tiles: dst[i*ldd + 2*lane + j] = Y[i, j] + bias, or its relu.

    X[i, j] = src[(4*i + j)*step]. Only the first ``rows`` (1 or 2) and ``columns`` of dst are written. Runs of
    ``width`` lanes, a divisor of vector_len, take turns: dst[i*ldd + 2*lane - lane%width + j*width].
    """
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        by_width(builder, builder.module, scalar, args[8], _emit_output, args[:8])
        return context.get_dummy_value()

    return types.void(pointer, k, pointer, k, k, k, src.dtype, k, k), codegen


@intrinsic
def winograd_tiles(typingctx, high, src, step, dst, ldd, columns, rows, bias, relu):
    """``winograd_output`` with a width of 1; if ``high`` is 1, of a single row: dst[2*lane + j] = Y[j] + bias,
    X[j] = src[j*step]."""
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        one = builder.icmp_signed("==", args[0], ir.Constant(I64, 1))
        with builder.if_else(one) as (line, square):
            for side, height in ((line, 1), (square, 2)):
                with side:
                    builder.call(_emit_output(builder.module, scalar, 1, height), args[1:])
        return context.get_dummy_value()

    return types.void(k, pointer, k, pointer, k, k, k, src.dtype, k), codegen


# ---------------------------------------------------------------- transforms by tables


def _emit_pairs(module, scalar):
    """Function (table, src, dst, channel, lines, src_step, dst_step, vectors)."""
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    name = f"tnn_winograd_pairs_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [words, p, p, I64, I64, I64, I64, I64])
    if not new:
        return fn
    table, src, dst, channel, lines, src_step, dst_step, vectors = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    start = b.gep(table, [ir.Constant(I64, 3)])
    for kind in range(3):
        count = b.load(b.gep(table, [ir.Constant(I64, kind)]))
        with cgutils.for_range(b, count) as i:
            entry = b.gep(start, [b.mul(i.index, ir.Constant(I64, 4))])
            first, second, to, each = (b.load(b.gep(entry, [ir.Constant(I64, j)])) for j in range(4))
            left, right, out = e.at(src, first), e.at(src, second), e.at(dst, b.add(to, b.mul(each, channel)))
            with cgutils.for_range(b, lines) as j:
                near, far = b.mul(j.index, dst_step), b.mul(j.index, src_step)
                with cgutils.for_range(b, vectors) as v:
                    skip = b.mul(v.index, ir.Constant(I64, e.lanes))
                    x = e.load(left, b.add(far, skip))
                    if kind:
                        x = (b.fadd, b.fsub)[kind - 1](x, e.load(right, b.add(far, skip)))
                    e.store(x, out, b.add(near, skip))
        start = b.gep(start, [b.mul(count, ir.Constant(I64, 4))])
    b.ret_void()
    return fn


@intrinsic
def winograd_pairs(typingctx, table, src, dst, channel, lines, src_step, dst_step, vectors):
    """Sums of two vectors, dst[c + channel*d] = src[a] (+ or - src[b]), for entries (a, b, c, d) of ``table``.

    The same for the next vectors, and for ``lines`` lines, ``src_step`` and ``dst_step`` apart. The table begins with
    the numbers of entries that copy, add and subtract, and has them in this order.
    """
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_pairs(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(types.CPointer(k), pointer, pointer, k, k, k, k, k), codegen


def _emit_weights(module, scalar):
    """Function (table, factors, sums, src, dst, step)."""
    e = Emit(module, scalar)
    p, table = scalar.as_pointer(), I64.as_pointer()
    name = f"tnn_winograd_weights_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [table, p, I64, p, p, I64])
    if not new:
        return fn
    places, factors, sums, src, dst, step = fn.args
    entry, outer, loop, done, end = (fn.append_basic_block(x) for x in "entry outer loop done end".split())
    b = e.builder = ir.IRBuilder(entry)
    one = ir.Constant(I64, 1)
    b.branch(outer)
    b.position_at_end(outer)
    left, line, factor1, out = b.phi(I64), b.phi(places.type), b.phi(p), b.phi(p)
    count, first = b.load(line), b.gep(line, [one])
    b.branch(loop)
    b.position_at_end(loop)
    todo, place, factor, total = b.phi(I64), b.phi(places.type), b.phi(p), b.phi(e.vec)
    x = e.load(src, b.mul(b.load(place), ir.Constant(I64, e.lanes)))
    added = e.fma(x, e.splat(e.scalar_at(factor)), total)
    fewer, place2, factor2 = b.sub(todo, one), b.gep(place, [one]), b.gep(factor, [one])
    b.cbranch(b.icmp_signed(">", fewer, ir.Constant(I64, 0)), loop, done)
    inner = [(todo, count, fewer), (place, first, place2), (factor, factor1, factor2), (total, e.zero(), added)]
    for phi, a, c in inner:
        phi.add_incoming(a, outer)
        phi.add_incoming(c, loop)
    b.position_at_end(done)
    e.store(added, out)
    left2, out2 = b.sub(left, one), b.gep(out, [step])
    b.cbranch(b.icmp_signed(">", left2, ir.Constant(I64, 0)), outer, end)
    for phi, a, c in [(left, sums, left2), (line, places, place2), (factor1, factors, factor2), (out, dst, out2)]:
        phi.add_incoming(a, entry)
        phi.add_incoming(c, done)
    b.position_at_end(end)
    b.ret_void()
    return fn


@intrinsic
def winograd_weights(typingctx, table, factors, sums, src, dst, step):
    """dst[i*step] = sum_j factors[.. + j] * src[table[.. + 1 + j] * vector_len] for i < sums, vectors.

    ``table``: for each sum the number of its terms and then their places; ``factors``: one for each term.
    """
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_weights(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(types.CPointer(k), pointer, k, pointer, pointer, k), codegen
