"""Reductions along many rows of any length, a vector's worth of rows at once, and what follows from their results.

A loop over a row of 16 elements takes most of its time to begin and to end: the lanes of its one vector are added up in
four steps. Here the last vector of a row is a masked one, and the lanes of 16 rows' vectors are added up together, in
15 steps. All is done in one call, so that the processor works on several rows at a time: softmax of 4096 x 16 floats
took 114 us on one thread and takes 34.

Functions take pointers, the number of rows, which lie one behind the other, and their length: ``LONGEST`` elements at
most, as sums are kept in the rows' own dtype.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ._math_exp import _EXP32, _EXPM1_64, _LN2_HI32, _LN2_HI64, _LN2_LO32, _LN2_LO64, _LOG2E
from ._simd import I64, PATH, Emit, new_function
from ._simd_rows import MASKS
from ._simd_softmax import _POWER, _larger

# The longest rows for which these functions are; none without vectors that have masks.
LONGEST = 512 if MASKS and not config.DISABLE_JIT else -1

# The size of an element: (polynomial, ln 2 in two parts, below which e^x counts as 0).
_EXP = {4: (_EXP32, _LN2_HI32, _LN2_LO32, -87.0), 8: (_EXPM1_64, _LN2_HI64, _LN2_LO64, -708.0)}


def _real(e, value):
    return ir.Constant(e.vec, [float(value)] * e.lanes)


def _exp(e, x):
    """e^x of a vector, for x up to 1; see _math_exp.py."""
    coefficients, high, low, least = _EXP[e.size]
    _, magic, mantissa, bias, _ = _POWER[e.size]
    b, whole = e.builder, ir.VectorType(ir.IntType(8 * e.size), e.lanes)
    shifted = e.fma(x, _real(e, _LOG2E), _real(e, magic + bias))
    n = b.fsub(shifted, _real(e, magic + bias), flags=["contract"])
    r = e.fma(n, _real(e, -low), e.fma(n, _real(e, -high), x))
    terms = [*map(float, coefficients), 1.0, 1.0]
    p = _real(e, terms[0])
    for term in terms[1:]:
        p = e.fma(p, r, _real(e, term))
    scale = b.bitcast(b.shl(b.bitcast(shifted, whole), ir.Constant(whole, [mantissa] * e.lanes)), e.vec)
    # An ordered comparison: a NaN is not below, and stays.
    return b.select(b.fcmp_ordered("<", x, _real(e, least)), e.zero(), b.fmul(p, scale))


def _masked(e, pointer, mask, offset, filler):
    """A masked load with a vector for what is left out."""
    target = e._cast(e.at(pointer, offset))
    kinds = [target.type, ir.IntType(32), e.mask, e.vec]
    load = e.named(f"llvm.masked.load.{e.suffix}.p0", e.vec, kinds)
    return e.builder.call(load, [target, ir.Constant(ir.IntType(32), e.size), mask, filler])


def _over_lanes(e, vectors, combine):
    """A vector whose lane i combines the lanes of vector i, of as many vectors as there are lanes."""
    s = len(vectors) // 2
    while s:
        low = [j if not j & s else e.lanes + j - s for j in range(e.lanes)]
        high = [j + s if not j & s else e.lanes + j for j in range(e.lanes)]
        pairs = zip(vectors[:s], vectors[s : 2 * s], strict=True)
        vectors = [combine(e.shuffle(x, y, low), e.shuffle(x, y, high)) for x, y in pairs]
        s //= 2
    return vectors[0]


def _each_vector(e, n, do):
    """do(offset, mask) for the vectors of a row of n elements; mask None for whole ones."""
    b, lanes = e.builder, ir.Constant(I64, e.lanes)
    whole = b.sdiv(n, lanes)
    with cgutils.for_range(b, whole) as i:
        do(b.mul(i.index, lanes), None)
    done = b.mul(whole, lanes)
    with b.if_then(b.icmp_signed("<", done, n)):
        do(done, e.lanes_below(b.sub(n, done)))


def _whole(e, n):
    """n, rounded up to whole vectors."""
    b, lanes = e.builder, ir.Constant(I64, e.lanes)
    return b.mul(b.sdiv(b.add(n, b.sub(lanes, ir.Constant(I64, 1))), lanes), lanes)


def _reduction(module, scalar, name, rows_in, numbers, build, count=1, apart=False):
    """Function (rows, n, rows..., numbers..., results...): ``count`` results for each row.

    ``build(e, lines, numbers)`` gives for each result what to begin with, how to combine, and a function (offset, mask)
    of what to combine. apart: rows of all arrays but the first are whole vectors.
    """
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    parts = [I64, I64, *[p] * (rows_in + numbers + count)]
    fn, new = new_function(module, f"tnn_short_{name}_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    rows, n, *rest = fn.args
    arrays, numbers, results = rest[:rows_in], rest[rows_in : rows_in + numbers], rest[rows_in + numbers :]
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes, one = ir.Constant(I64, e.lanes), ir.Constant(I64, 1)
    found = [cgutils.alloca_once(b, e.vec, size=lanes) for _ in results]
    with cgutils.for_range(b, b.sdiv(b.add(rows, b.sub(lanes, one)), lanes)) as block:
        first = b.mul(block.index, lanes)
        left = b.sub(rows, first)
        some = b.select(b.icmp_signed("<", left, lanes), left, lanes)
        with cgutils.for_range(b, some) as row:
            r = b.add(first, row.index)
            lines = [e.at(arrays[0], b.mul(r, n))]
            lines += [e.at(a, b.mul(r, _whole(e, n) if apart else n)) for a in arrays[1:]]
            starts, combines, do = build(e, lines, [e.splat(e.scalar_at(v, r)) for v in numbers])
            cells = [cgutils.alloca_once_value(b, start) for start in starts]

            def step(offset, mask, cells=cells, combines=combines, do=do):
                for cell, combine, value in zip(cells, combines, do(offset, mask), strict=True):
                    b.store(combine(b.load(cell), value), cell)

            for cell, start in zip(cells, starts, strict=True):
                b.store(start, cell)
            _each_vector(e, n, step)
            for cell, place in zip(cells, found, strict=True):
                b.store(b.load(cell), b.gep(place, [row.index]))
        for place, result, combine in zip(found, results, combines, strict=True):
            vectors = [b.load(b.gep(place, [ir.Constant(I64, i)])) for i in range(e.lanes)]
            e.masked_store(_over_lanes(e, vectors, combine), result, e.lanes_below(left), first)
    b.ret_void()
    return fn


def _load(e, pointer, offset, mask, filler=None):
    if mask is None:
        return e.load(pointer, offset)
    return _masked(e, pointer, mask, offset, e.zero() if filler is None else filler)


def _store(e, value, pointer, offset, mask):
    if mask is None:
        e.store(value, pointer, offset)
    else:
        e.masked_store(value, pointer, mask, offset)


def _emit_max(module, scalar):
    def build(e, lines, numbers):
        low = _real(e, -math.inf)
        return [low], [_larger(e)], lambda at, mask: [_load(e, lines[0], at, mask, low)]

    return _reduction(module, scalar, "max", 1, 0, build)


def _emit_exp(module, scalar, keep):
    def build(e, lines, numbers):
        def do(at, mask):
            x = _exp(e, e.builder.fsub(_load(e, lines[0], at, mask, _real(e, -math.inf)), numbers[0]))
            if keep:
                e.store(x, lines[1], at)
            return [x]

        return [e.zero()], [e.builder.fadd], do

    return _reduction(module, scalar, "exp_keep" if keep else "exp", 1 + keep, 1, build, apart=True)


def _map(module, scalar, name, rows_in, numbers, build, apart=False, shared=0):
    """Function (rows, n, rows..., numbers..., out rows): ``build(e, lines, numbers, at, mask)`` gives a vector of out.

    apart: rows of what is read are whole vectors. shared: the last arrays of ``rows`` are one row for all.
    """
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(
        module, f"tnn_short_{name}_{PATH}_{e.suffix}", ir.VoidType(), [I64, I64, *[p] * (rows_in + numbers + 1)]
    )
    if not new:
        return fn
    rows, n, *rest = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    with cgutils.for_range(b, rows) as row:
        lines = [e.at(a, b.mul(row.index, _whole(e, n) if apart else n)) for a in rest[: rows_in - shared]]
        lines += rest[rows_in - shared : rows_in]
        lines.append(e.at(rest[-1], b.mul(row.index, n)))
        values = [e.splat(e.scalar_at(v, row.index)) for v in rest[rows_in:-1]]
        _each_vector(e, n, lambda at, mask: _store(e, build(e, lines, values, at, mask), lines[-1], at, mask))
    b.ret_void()
    return fn


def _emit_scale(module, scalar):
    def build(e, lines, numbers, at, mask):
        return e.builder.fmul(_load(e, lines[0], at, mask), numbers[0])

    return _map(module, scalar, "scale", 1, 1, build, apart=True)


def _emit_less(module, scalar):
    def build(e, lines, numbers, at, mask):
        return e.builder.fsub(e.builder.fsub(_load(e, lines[0], at, mask), numbers[0]), numbers[1])

    return _map(module, scalar, "less", 1, 2, build)


def _emit_sum(module, scalar):
    def build(e, lines, numbers):
        return [e.zero()], [e.builder.fadd], lambda at, mask: [_load(e, lines[0], at, mask)]

    return _reduction(module, scalar, "sum", 1, 0, build)


def _emit_dot(module, scalar):
    def build(e, lines, numbers):
        def do(at, mask):
            return [e.builder.fmul(*(_load(e, line, at, mask) for line in lines))]

        return [e.zero()], [e.builder.fadd], do

    return _reduction(module, scalar, "dot", 2, 0, build)


def _emit_slope(module, scalar):
    def build(e, lines, numbers, at, mask):
        g, y = (_load(e, line, at, mask) for line in lines[:2])
        return e.builder.fmul(y, e.builder.fsub(g, numbers[0]))

    return _map(module, scalar, "slope", 2, 1, build)


def _emit_log_slope(module, scalar):
    def build(e, lines, numbers, at, mask):
        g, y = (_load(e, line, at, mask) for line in lines[:2])
        return e.builder.fsub(g, e.builder.fmul(_exp(e, y), numbers[0]))

    return _map(module, scalar, "log_slope", 2, 1, build)


def _emit_class_slope(module, scalar):
    def build(e, lines, numbers, at, mask):
        lse, p, q = numbers
        x, w = (_load(e, line, at, mask) for line in lines[:2])
        power = _exp(e, e.builder.fsub(x, lse))
        return e.builder.fsub(e.builder.fmul(p, power), e.builder.fmul(q, w))

    return _map(module, scalar, "class_slope", 2, 3, build, shared=1)


def _call(emit, rows, n, *pointers):
    """What an intrinsic returns: a call of the function that ``emit`` makes."""

    def codegen(context, builder, sig, args):
        builder.call(emit(builder.module, context.get_value_type(pointers[0].dtype)), args)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, *[pointers[0]] * len(pointers)), codegen


@intrinsic
def row_tops(typingctx, rows, n, x, m):
    """m[r] = the largest element of row r of x; where there is a NaN, any other one."""
    return _call(_emit_max, rows, n, x, m)


@intrinsic
def row_exps(typingctx, rows, n, x, y, m, s):
    """y = exp(x - m[r]), s[r] = the sum of row r of y. No x may be larger than m. Rows of y are whole vectors."""
    return _call(lambda *args: _emit_exp(*args, True), rows, n, x, y, m, s)


@intrinsic
def row_exp_sums(typingctx, rows, n, x, m, s):
    """s[r] = the sum of exp(x - m[r]) over row r. No x may be larger than m."""
    return _call(lambda *args: _emit_exp(*args, False), rows, n, x, m, s)


@intrinsic
def row_sums(typingctx, rows, n, x, s):
    """s[r] = the sum of row r of x."""
    return _call(_emit_sum, rows, n, x, s)


@intrinsic
def row_dots(typingctx, rows, n, x, y, s):
    """s[r] = the sum of x y over row r."""
    return _call(_emit_dot, rows, n, x, y, s)


@intrinsic
def scale_rows(typingctx, rows, n, x, s, y):
    """y = x s[r]; rows of x are whole vectors, and y may be x where its rows are, too: what a masked store leaves out
    would hold up reading the next row."""
    return _call(_emit_scale, rows, n, x, s, y)


@intrinsic
def less_rows(typingctx, rows, n, x, a, b, y):
    """y = (x - a[r]) - b[r]."""
    return _call(_emit_less, rows, n, x, a, b, y)


@intrinsic
def softmax_slopes(typingctx, rows, n, g, y, s, dx):
    """dx = y (g - s[r])."""
    return _call(_emit_slope, rows, n, g, y, s, dx)


@intrinsic
def log_softmax_slopes(typingctx, rows, n, g, y, s, dx):
    """dx = g - exp(y) s[r]. No y may be larger than 0."""
    return _call(_emit_log_slope, rows, n, g, y, s, dx)


@intrinsic
def class_slopes(typingctx, rows, n, x, w, lse, p, q, dx):
    """dx[r, k] = p[r] exp(x[r, k] - lse[r]) - q[r] w[k]. No x may be larger than lse by 1."""
    return _call(_emit_class_slope, rows, n, x, w, lse, p, q, dx)
