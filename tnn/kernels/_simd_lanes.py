"""Sums with a channel in each lane of a vector: the inner loops of depthwise convolution of small planes.

Arrays hold vectors: the same position of ``vector_len`` channels, one next to the other.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function


def _emit_lane_sums(module, scalar):
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    parts = [I64, words, p, p, I64, I64, p, p, I64, I64, I64, I64]
    fn, new = new_function(module, f"tnn_lane_sums_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    count, offsets, weights, src, lds, step, base, dst, ldd, dstep, n, rows = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    start = e.load(base)

    def tiles(high):
        """Rows in tiles of ``high`` positions; the last one overlaps those before."""
        size = ir.Constant(I64, high)
        turns = b.sdiv(b.add(n, ir.Constant(I64, high - 1)), size)
        with cgutils.for_range(b, rows) as row, cgutils.for_range(b, turns) as i:
            first = b.mul(i.index, size)
            most = b.sub(n, size)
            first = b.select(b.icmp_signed("<", first, most), first, most)
            left = e.at(src, b.add(b.mul(row.index, lds), b.mul(first, step)))
            out = e.at(dst, b.add(b.mul(row.index, ldd), b.mul(first, dstep)))
            cells = [cgutils.alloca_once_value(b, start) for _ in range(high)]
            with cgutils.for_range(b, count) as tap:
                here = e.at(left, b.load(b.gep(offsets, [tap.index])))
                weight = e.load(weights, b.mul(tap.index, lanes))
                for r, cell in enumerate(cells):
                    x = e.load(here, b.mul(step, ir.Constant(I64, r)))
                    b.store(e.fma(weight, x, b.load(cell)), cell)
            for r, cell in enumerate(cells):
                e.store(b.load(cell), out, b.mul(dstep, ir.Constant(I64, r)))

    fits = b.icmp_signed("==", b.srem(n, ir.Constant(I64, 7)), ir.Constant(I64, 0))
    seven = b.or_(b.icmp_signed(">=", n, ir.Constant(I64, 21)), fits)
    with b.if_else(seven) as (yes, no):
        with yes:
            tiles(7)
        with no, b.if_else(b.icmp_signed(">=", n, ir.Constant(I64, 4))) as (wide, narrow):
            with wide:
                tiles(4)
            with narrow:
                tiles(1)
    b.ret_void()
    return fn


@intrinsic
def lane_sums(typingctx, count, offsets, weights, src, lds, step, base, dst, ldd, dstep, n, rows):
    """dst[r*ldd + i*dstep] = base + sum_t weights[t*vector_len] * src[offsets[t] + r*lds + i*step], all vectors.

    For r < rows, i < n, t < count.
    """
    k, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_lane_sums(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(k, words, pointer, pointer, k, k, pointer, pointer, k, k, k, k), codegen


# Taps that ``lane_dots`` takes at a time.
DOTS = 5


def _emit_lane_dots(module, scalar):
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    fn, new = new_function(
        module, f"tnn_lane_dots_{PATH}_{e.suffix}", ir.VoidType(), [words, p, I64, I64, p, I64, I64, p]
    )
    if not new:
        return fn
    offsets, src, lds, step, dy, n, rows, sums = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    cells = [cgutils.alloca_once_value(b, e.zero()) for _ in range(DOTS)]
    taps = [e.at(src, b.load(b.gep(offsets, [ir.Constant(I64, t)]))) for t in range(DOTS)]
    with cgutils.for_range(b, rows) as row:
        near = e.at(dy, b.mul(b.mul(row.index, n), ir.Constant(I64, e.lanes)))
        with cgutils.for_range(b, n) as i:
            at = b.add(b.mul(row.index, lds), b.mul(i.index, step))
            grad = e.load(near, b.mul(i.index, ir.Constant(I64, e.lanes)))
            for tap, cell in zip(taps, cells, strict=True):
                b.store(e.fma(grad, e.load(tap, at), b.load(cell)), cell)
    for t, cell in enumerate(cells):
        e.store(b.fadd(e.load(sums, t * e.lanes), b.load(cell)), sums, t * e.lanes)
    b.ret_void()
    return fn


@intrinsic
def lane_dots(typingctx, offsets, src, lds, step, dy, n, rows, sums):
    """sums[t*vector_len] += sum_{r, i} dy[(r*n + i)*vector_len] * src[offsets[t] + r*lds + i*step], all vectors.

    For r < rows, i < n, t < DOTS. The sum is added to what was there at the end: a sum of short sums is more exact.
    """
    k, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_lane_dots(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(words, pointer, k, k, pointer, k, k, pointer), codegen
