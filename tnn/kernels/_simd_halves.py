"""Maxima of the 2 x 2 blocks of narrow images, as vectors: a vector of outputs has all of some pairs of lines.

Four vectors of x are parted into the even and the odd columns of their lines, and these into upper and lower lines;
backward the same the other way round. (64 images of 64 x 8 x 8 on two threads, where loops over lines of four outputs
took 50 and 187 us: see pooling.py.)
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function

WIDTHS = (2, 4, 8, 16)  # of lines of x; those up to two vectors are done here


def _upper(lanes, width):
    """Which of two vectors' elements lie in upper lines, in order; those below them are half a width further on."""
    half = width // 2
    return [i // half * width + i % half for i in range(lanes)]


def _integers(builder, e, kind, pointer, at):
    wide = ir.VectorType(kind, e.lanes)
    return builder.bitcast(builder.gep(pointer, [at]), wide.as_pointer())


def _emit(module, scalar, bits, width, backward):
    """Function of (blocks, x or its gradient, y or its gradient, taps); bits of a tap, 0 where none are wanted."""
    e = Emit(module, scalar)
    p, kind = scalar.as_pointer(), ir.IntType(bits or 8)
    name = f"tnn_halves{bits}_{width}{'_back' if backward else ''}_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, p, p, kind.as_pointer()])
    if not new:
        return fn
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes, half = e.lanes, width // 2
    upper = _upper(lanes, width)
    lower = [i + half for i in upper]
    blocks, x, y, taps = fn.args
    wide = ir.VectorType(kind, lanes)

    def number(n):
        return ir.Constant(wide, [n] * lanes)

    def largest(at, left):
        v = [e.load(left, k * lanes) for k in range(4)]
        parts = []
        for odd in (0, 1):
            near, far = (e.shuffle(v[k], v[k + 1], list(range(odd, 2 * lanes, 2))) for k in (0, 2))
            parts.append([e.shuffle(near, far, row) for row in (upper, lower)])
        (best, third), (second, fourth) = parts
        which = number(0)
        for n, value in enumerate((second, third, fourth), 1):
            # A NaN wins, and nothing but another NaN wins against it.
            win = b.or_(b.fcmp_ordered(">", value, best), b.fcmp_unordered("uno", value, value))
            best = b.select(win, value, best)
            which = b.select(win, number(n), which)
        e.store(best, y, at)
        if bits:
            b.store(which, _integers(b, e, kind, taps, at), align=bits // 8)

    def spread(at, left):
        g, which = e.load(y, at), b.load(_integers(b, e, kind, taps, at), align=bits // 8)
        one, two, three, four = (b.select(b.icmp_unsigned("==", which, number(n)), g, e.zero()) for n in range(4))
        lines = [i // width * half + i % half + (lanes if i % width >= half else 0) for i in range(2 * lanes)]
        for k in (0, 1):
            mine = lines[k * lanes : (k + 1) * lanes]
            even, odd = e.shuffle(one, three, mine), e.shuffle(two, four, mine)
            for j in (0, 1):
                turns = [(j * lanes + i) // 2 + (lanes if i % 2 else 0) for i in range(lanes)]
                e.store(e.shuffle(even, odd, turns), left, (2 * k + j) * lanes)

    with cgutils.for_range(b, blocks) as i:
        at = b.mul(i.index, ir.Constant(I64, lanes))
        (spread if backward else largest)(at, e.at(x, b.mul(at, ir.Constant(I64, 4))))
    b.ret_void()
    return fn


def _call(width, blocks, x, y, tap, wanted, backward):
    k, pointer = types.intp, types.CPointer(x.dtype)

    def codegen(context, builder, sig, args):
        bits = tap.dtype.bitwidth if wanted else 0
        *given, taps = args[1:]
        if not wanted:
            taps = builder.bitcast(taps, ir.IntType(8).as_pointer())
        scalar = context.get_value_type(x.dtype)
        for number in WIDTHS:
            if number <= 2 * Emit(builder.module, scalar).lanes:
                with builder.if_then(builder.icmp_signed("==", args[0], ir.Constant(I64, number))):
                    builder.call(_emit(builder.module, scalar, bits, number, backward), [*given, taps])
        return context.get_dummy_value()

    return types.void(k, k, pointer, pointer, types.CPointer(tap.dtype)), codegen


@intrinsic
def max_halves(typingctx, width, blocks, x, y, tap):
    """y and tap, ``blocks`` vectors each, from the 2 x 2 blocks of lines of ``width`` elements of x.

    ``width`` is one of `WIDTHS` and at most two vectors long.
    """
    return _call(width, blocks, x, y, tap, True, False)


@intrinsic
def top_halves(typingctx, width, blocks, x, y, tap):
    """As ``max_halves``, without a tap."""
    return _call(width, blocks, x, y, tap, False, False)


@intrinsic
def spread_halves(typingctx, width, blocks, x, y, tap):
    """The other way: x from y and tap, 0 where another element won."""
    return _call(width, blocks, x, y, tap, True, True)
