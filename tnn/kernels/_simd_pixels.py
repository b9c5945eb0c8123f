"""Pooling where a pixel's channels lie side by side, as vectors: maxima and sums of pixels, and gradients of maxima."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function

_I32 = ir.IntType(32)
# Pixels of a run, or vectors of one, that are in registers together: a comparison waits for the one before it.
_HIGH = 4


def _emit(module, scalar, kind, bits):
    """Function of the arguments of ``max_pixels``, ``sum_pixels`` or ``spread_pixels``; bits of a tap's number, 0 where
    there are none."""
    e = Emit(module, scalar)
    p, words, small = scalar.as_pointer(), I64.as_pointer(), ir.IntType(bits or 8)
    each = p if kind == "sum" else _I32.as_pointer()
    args = [I64, words, each, p, I64, p, I64, small.as_pointer(), I64, I64, I64, *([scalar] if kind == "sum" else [])]
    fn, new = new_function(module, f"tnn_{kind}_pixels{bits}_{PATH}_{e.suffix}", ir.VoidType(), args)
    if not new:
        return fn
    count, offsets, numbers, src, lds, dst, ldd, taps, n, rows, on, *by = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    few = ir.VectorType(small, e.lanes)
    low = ir.Constant(e.vec, [float("-inf")] * e.lanes)
    again = b.icmp_signed("!=", on, ir.Constant(I64, 0))
    if by:
        # A division takes as long as ten sums; the reciprocal of a power of two is exact.
        word = ir.IntType(8 * e.size)
        fraction = b.and_(b.bitcast(by[0], word), ir.Constant(word, (1 << (23 if e.size == 4 else 52)) - 1))
        exact = b.icmp_unsigned("==", fraction, ir.Constant(word, 0))
        divisor, factor = e.splat(by[0]), e.splat(b.fdiv(ir.Constant(scalar, 1.0), by[0]))

    def floats(pointer, at, mask):
        return e.load(pointer, at) if mask is None else e.masked_load(pointer, mask, at)

    def place(at):
        return b.bitcast(b.gep(taps, [at]), few.as_pointer())

    def get_taps(at, mask):
        if mask is None:
            return b.load(place(at), align=bits // 8)
        fn = e.named(f"llvm.masked.load.v{e.lanes}i{bits}.p0", few, [few.as_pointer(), _I32, e.mask, few])
        return b.call(fn, [place(at), ir.Constant(_I32, bits // 8), mask, ir.Constant(few, [0] * e.lanes)])

    def put_taps(value, at, mask):
        if mask is None:
            b.store(value, place(at), align=bits // 8)
            return
        fn = e.named(f"llvm.masked.store.v{e.lanes}i{bits}.p0", ir.VoidType(), [few, few.as_pointer(), _I32, e.mask])
        b.call(fn, [value, place(at), ir.Constant(_I32, bits // 8), mask])

    def number_of(tap):
        value = b.load(b.gep(numbers, [tap]), align=4)
        return e.splat(value if bits == 32 else b.trunc(value, small))

    def block(high, wide, first, at, mask):
        """``wide`` vectors of ``high`` pixels, over all taps."""
        near, far = [], []
        for r in range(high):
            for v in range(wide):
                skip = b.add(at, ir.Constant(I64, v * e.lanes))
                near.append(b.add(b.mul(b.add(first, ir.Constant(I64, r)), ldd), skip))
                far.append(b.add(b.mul(b.add(first, ir.Constant(I64, r)), lds), skip))
        cells, which = [], []
        before = [b.select(again, floats(dst, to, mask), low if kind == "max" else e.zero()) for to in near]
        for to, old in zip(near, before, strict=True):
            # Sums of sums are more exact.
            cells.append(cgutils.alloca_once_value(b, old if kind == "max" else e.zero()))
            if kind == "max" and bits:
                start = b.select(again, get_taps(to, mask), number_of(ir.Constant(I64, 0)))
                which.append(cgutils.alloca_once_value(b, start))
        with cgutils.for_range(b, count) as tap:
            offset = b.load(b.gep(offsets, [tap.index]))
            if kind == "sum":
                weight = e.splat(e.scalar_at(numbers, tap.index))
            elif bits:
                number = number_of(tap.index)
            for r, cell in enumerate(cells):
                at_source = b.add(far[r], offset)
                x, old = floats(src, at_source, mask), b.load(cell)
                if kind == "sum":
                    b.store(e.fma(weight, x, old), cell)
                elif kind == "spread":
                    mine = b.icmp_unsigned("==", get_taps(at_source, mask), number)
                    b.store(b.fadd(b.select(mine, x, e.zero()), old), cell)
                else:
                    # A NaN wins, and nothing but another NaN wins against it.
                    win = b.or_(b.fcmp_ordered(">", x, old), b.fcmp_unordered("uno", x, x))
                    b.store(b.select(win, x, old), cell)
                    if bits:
                        b.store(b.select(win, number, b.load(which[r])), which[r])
        for r, to in enumerate(near):
            found = b.load(cells[r]) if kind == "max" else b.fadd(b.load(cells[r]), before[r])
            if by:
                with b.if_else(exact) as (times, over):
                    with times:
                        b.store(b.fmul(found, factor), cells[r])
                    with over:
                        b.store(b.fdiv(found, divisor), cells[r])
                found = b.load(cells[r])
            if mask is None:
                e.store(found, dst, to)
            else:
                e.masked_store(found, dst, mask, to)
            if which:
                put_taps(b.load(which[r]), to, mask)

    def vectors(high, wide, first):
        done = ir.Constant(I64, 0)
        for some in sorted({wide, 1}, reverse=True):
            step = ir.Constant(I64, some * e.lanes)
            times = b.sdiv(b.sub(n, done), step)
            with cgutils.for_range(b, times) as i:
                block(high, some, first, b.add(done, b.mul(i.index, step)), None)
            done = b.add(done, b.mul(times, step))
        rest = b.sub(n, done)
        with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
            block(high, 1, first, done, e.lanes_below(rest))

    turns = b.sdiv(rows, ir.Constant(I64, _HIGH))
    with cgutils.for_range(b, turns) as i:
        vectors(_HIGH, 1, b.mul(i.index, ir.Constant(I64, _HIGH)))
    done = b.mul(turns, ir.Constant(I64, _HIGH))
    with cgutils.for_range(b, b.sub(rows, done)) as i:
        vectors(1, _HIGH, b.add(done, i.index))
    b.ret_void()
    return fn


def _call(kind, numbers, src, tap):
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        bits = tap.dtype.bitwidth if tap is not None else 0
        args = list(args)
        if tap is None:
            args.insert(7, ir.Constant(ir.IntType(8).as_pointer(), None))
        builder.call(_emit(builder.module, context.get_value_type(src.dtype), kind, bits), args)
        return context.get_dummy_value()

    taps = [] if tap is None else [types.CPointer(tap.dtype)]
    by = [src.dtype] if kind == "sum" else []
    given = k, types.CPointer(k), types.CPointer(numbers), pointer, k, pointer, k, *taps, k, k, k, *by
    return types.void(*given), codegen


@intrinsic
def max_pixels(typingctx, count, offsets, numbers, src, lds, dst, ldd, tap, n, rows, on):
    """dst[r*ldd + c] = max over t < count of src[offsets[t] + r*lds + c] and tap[r*ldd + c] = numbers[t], for c < n and
    r < rows.

    The first of equal elements, or the last NaN; numbers[0] where no element is above -inf. ``on``: what dst and tap
    hold comes first. Nothing else is read or written, here and below.
    """
    return _call("max", types.int32, src, tap)


@intrinsic
def top_pixels(typingctx, count, offsets, numbers, src, lds, dst, ldd, n, rows, on):
    """As ``max_pixels``, without the taps."""
    return _call("max", types.int32, src, None)


@intrinsic
def sum_pixels(typingctx, count, offsets, weights, src, lds, dst, ldd, n, rows, on, divisor):
    """dst[r*ldd + c] = sum over t < count of weights[t] * src[offsets[t] + r*lds + c], added to dst with ``on``, by the
    divisor."""
    return _call("sum", src.dtype, src, None)


@intrinsic
def spread_pixels(typingctx, count, offsets, numbers, src, lds, dst, ldd, tap, n, rows, on):
    """dst[r*ldd + c] = sum over t < count of those src[offsets[t] + r*lds + c] whose tap is numbers[t], added to dst
    with ``on``."""
    return _call("spread", types.int32, src, tap)
