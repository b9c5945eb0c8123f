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

# The size of an element: (polynomial, ln 2 in two parts, below which e^x is 0).
_EXP = {4: (_EXP32, _LN2_HI32, _LN2_LO32, -104.0), 8: (_EXPM1_64, _LN2_HI64, _LN2_LO64, -746.0)}
# Powers of two by which results are made too large, and divided at the end: those below the normal numbers are not 0.
_LIFT = 64


def _real(e, value):
    return ir.Constant(e.vec, [float(value)] * e.lanes)


def _exp(e, x):
    """e^x of a vector, for x up to 1; see _math_exp.py."""
    coefficients, high, low, least = _EXP[e.size]
    _, magic, mantissa, bias, _ = _POWER[e.size]
    b, whole = e.builder, ir.VectorType(ir.IntType(8 * e.size), e.lanes)
    shifted = e.fma(x, _real(e, _LOG2E), _real(e, magic + bias + _LIFT))
    n = b.fsub(shifted, _real(e, magic + bias + _LIFT), flags=["contract"])
    r = e.fma(n, _real(e, -low), e.fma(n, _real(e, -high), x))
    terms = [*map(float, coefficients), 1.0, 1.0]
    p = _real(e, terms[0])
    for term in terms[1:]:
        p = e.fma(p, r, _real(e, term))
    scale = b.bitcast(b.shl(b.bitcast(shifted, whole), ir.Constant(whole, [mantissa] * e.lanes)), e.vec)
    # An ordered comparison: a NaN is not below, and stays.
    power = b.fmul(b.fmul(p, scale, flags=["contract"]), _real(e, 2.0**-_LIFT), flags=["contract"])
    return b.select(b.fcmp_ordered("<", x, _real(e, least)), e.zero(), power)


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


def _reduction(module, scalar, name, rows_in, numbers, build, count=1, apart=False, shared=0):
    """Function (rows, n, rows..., numbers..., results...): ``count`` results for each row.

    ``build(e, lines, numbers)`` gives for each result what to begin with, how to combine, and a function (offset, mask)
    of what to combine; or, of other values than the results, also a function that makes these of them, and how to
    combine their lanes. apart: rows of all arrays but the first are whole vectors. shared: the last ``shared`` arrays
    of ``rows`` are one row for all.
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
            lines += [e.at(a, b.mul(r, _whole(e, n) if apart else n)) for a in arrays[1 : rows_in - shared]]
            lines += arrays[rows_in - shared :]
            starts, combines, do, *end = build(e, lines, [e.splat(e.scalar_at(v, r)) for v in numbers])
            cells = [cgutils.alloca_once_value(b, start) for start in starts]

            def step(offset, mask, cells=cells, combines=combines, do=do):
                for cell, combine, value in zip(cells, combines, do(offset, mask), strict=True):
                    b.store(combine(b.load(cell), value), cell)

            for cell, start in zip(cells, starts, strict=True):
                b.store(start, cell)
            _each_vector(e, n, step)
            values = [b.load(cell) for cell in cells]
            values, combines = end[0](values) if end else (values, combines)
            for value, place in zip(values, found, strict=True):
                b.store(value, b.gep(place, [row.index]))
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

    apart: rows of what is read are whole vectors. shared: the last ``shared`` arrays of ``rows`` are one row for all.
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


def _emit_product(module, scalar):
    def build(e, lines, numbers):
        one = _real(e, 1.0)
        return [one], [e.builder.fmul], lambda at, mask: [_load(e, lines[0], at, mask, one)]

    return _reduction(module, scalar, "product", 1, 0, build)


def _emit_extreme(module, scalar, sign, largest):
    """sign: of the comparison by which an element takes the place of another one."""

    def build(e, lines, numbers):
        b = e.builder
        start = _real(e, -math.inf if largest else math.inf)

        def combine(x, y):
            return b.select(b.fcmp_ordered(sign, x, y), x, y)

        def do(at, mask):
            # Whether there is a NaN on the side: 1024 x 257 took 23 us more with llvm.maximum, which looks at both.
            x = _load(e, lines[0], at, mask, start)
            return [x, b.fcmp_unordered("uno", x, x)]

        def end(values):
            nan = _real(e, math.nan)
            propagate = e.named(f"llvm.{'maximum' if largest else 'minimum'}.{e.suffix}", e.vec, [e.vec] * 2)
            return [b.select(values[1], nan, values[0])], [lambda x, y: b.call(propagate, [x, y])]

        none = ir.Constant(e.mask, [0] * e.lanes)
        return [start, none], [lambda old, new: combine(new, old), b.or_], do, end

    return _reduction(module, scalar, "largest" if largest else "smallest", 1, 0, build)


def _emit_norm(module, scalar, weight, bias):
    def build(e, lines, numbers, at, mask):
        y = e.builder.fmul(e.builder.fsub(_load(e, lines[0], at, mask), numbers[0]), numbers[1])
        if weight:
            y = e.builder.fmul(y, _load(e, lines[1], at, mask))
        return e.builder.fadd(y, _load(e, lines[1 + weight], at, mask)) if bias else y

    shared = weight + bias
    return _map(module, scalar, f"norm{weight}{bias}", 1 + shared, 2, build, shared=shared)


def _emit_norm_sums(module, scalar, weight):
    def build(e, lines, numbers):
        def do(at, mask):
            h, x = (_load(e, line, at, mask) for line in lines[:2])
            if weight:
                h = e.builder.fmul(h, _load(e, lines[2], at, mask))
            return [h, e.builder.fmul(h, e.builder.fsub(x, numbers[0]))]

        return [e.zero()] * 2, [e.builder.fadd] * 2, do

    return _reduction(module, scalar, f"norm_sums{weight}", 2 + weight, 1, build, 2, shared=weight)


def _emit_norm_slope(module, scalar, weight):
    def build(e, lines, numbers, at, mask):
        b, (mean, rstd, p, q) = e.builder, numbers
        h, x = (_load(e, line, at, mask) for line in lines[:2])
        if weight:
            h = b.fmul(h, _load(e, lines[2], at, mask))
        return b.fmul(rstd, b.fsub(b.fsub(h, p), b.fmul(b.fsub(x, mean), q)))

    return _map(module, scalar, f"norm_slope{weight}", 2 + weight, 4, build, shared=weight)


def _emit_column_sums(module, scalar):
    """Function (rows, n, g, x, mean, rstd, dw, db)."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_short_columns_{PATH}_{e.suffix}", ir.VoidType(), [I64, I64, *[p] * 6])
    if not new:
        return fn
    rows, n, g, x, mean, rstd, dw, db = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))

    def columns(at, mask):
        cells = [cgutils.alloca_once(b, e.vec) for _ in range(2)]
        for cell, place in zip(cells, (dw, db), strict=True):
            b.store(_load(e, place, at, mask), cell)
        with cgutils.for_range(b, rows) as row:
            here = b.add(at, b.mul(row.index, n))
            up, value = _load(e, g, here, mask), _load(e, x, here, mask)
            m, r = (e.splat(e.scalar_at(v, row.index)) for v in (mean, rstd))
            b.store(e.fma(up, b.fmul(b.fsub(value, m), r), b.load(cells[0])), cells[0])
            b.store(b.fadd(up, b.load(cells[1])), cells[1])
        for cell, place in zip(cells, (dw, db), strict=True):
            _store(e, b.load(cell), place, at, mask)

    _each_vector(e, n, columns)
    b.ret_void()
    return fn


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
def row_maxima(typingctx, rows, n, x, s):
    """s[r] = the largest element of row r; NaN where there is one."""
    return _call(lambda *args: _emit_extreme(*args, ">", True), rows, n, x, s)


@intrinsic
def row_minima(typingctx, rows, n, x, s):
    """s[r] = the smallest element of row r; NaN where there is one."""
    return _call(lambda *args: _emit_extreme(*args, "<", False), rows, n, x, s)


@intrinsic
def row_products(typingctx, rows, n, x, s):
    """s[r] = the product of row r."""
    return _call(_emit_product, rows, n, x, s)


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


@intrinsic
def norm_rows(typingctx, rows, n, x, w, b, m, s, y):
    """y = (x - m[r]) s[r] w + b."""
    return _call(lambda *args: _emit_norm(*args, True, True), rows, n, x, w, b, m, s, y)


@intrinsic
def norm_rows_scaled(typingctx, rows, n, x, w, m, s, y):
    """y = (x - m[r]) s[r] w."""
    return _call(lambda *args: _emit_norm(*args, True, False), rows, n, x, w, m, s, y)


@intrinsic
def norm_rows_plain(typingctx, rows, n, x, m, s, y):
    """y = (x - m[r]) s[r]."""
    return _call(lambda *args: _emit_norm(*args, False, False), rows, n, x, m, s, y)


@intrinsic
def norm_sums(typingctx, rows, n, g, x, w, m, s1, s2):
    """s1[r] and s2[r] = the sums of h and h (x - m[r]) over row r, h = g w."""
    return _call(lambda *args: _emit_norm_sums(*args, True), rows, n, g, x, w, m, s1, s2)


@intrinsic
def norm_sums_plain(typingctx, rows, n, g, x, m, s1, s2):
    """s1[r] and s2[r] = the sums of g and g (x - m[r]) over row r."""
    return _call(lambda *args: _emit_norm_sums(*args, False), rows, n, g, x, m, s1, s2)


@intrinsic
def norm_slopes(typingctx, rows, n, g, x, w, m, s, p, q, dx):
    """dx = s[r] (g w - p[r] - (x - m[r]) q[r])."""
    return _call(lambda *args: _emit_norm_slope(*args, True), rows, n, g, x, w, m, s, p, q, dx)


@intrinsic
def norm_slopes_plain(typingctx, rows, n, g, x, m, s, p, q, dx):
    """dx = s[r] (g - p[r] - (x - m[r]) q[r])."""
    return _call(lambda *args: _emit_norm_slope(*args, False), rows, n, g, x, m, s, p, q, dx)


@intrinsic
def norm_columns(typingctx, rows, n, g, x, m, s, dw, db):
    """dw[k] += the sum of g (x - m[r]) s[r] over the rows, db[k] += the sum of g."""
    return _call(_emit_column_sums, rows, n, g, x, m, s, dw, db)
