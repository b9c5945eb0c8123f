"""Rows of a softmax as vectors: the largest elements, powers of two with their sums, and the gradients.

Every function takes some rows, ``lds`` elements apart, whose length is a multiple of ``vector_len``: a caller pads them
with -inf. So there is no scalar remainder, which on rows of a few vectors would cost more than the vectors. All rows
are done in one call, so that the processor works on one row while another waits for the sum of its lanes: 64 rows of
128 floats took 3.9 us a row at a time, and take 1.9.

Powers are of two: a caller multiplies the scores' factor by log2 e, which saves the reduction by a rounded ln 2. The
polynomial is that of ``exp`` in ``_math_exp``, as exact. NaN stays NaN; -inf, and what is below 2^-126, gives 0.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._math_exp import _EXP32, _EXPM1_64, LN2
from ._simd import I64, PATH, Emit, new_function

# The size of an element: (polynomial for e^r, see _math_exp; rounding constant; mantissa bits; bias; least exponent).
# Adding the constant rounds to an integer and leaves it, plus the bias of an exponent, in the low bits.
_POWER = {4: (_EXP32, 12582912.0, 23, 127, -126.0), 8: (_EXPM1_64, 6755399441055744.0, 52, 1023, -1022.0)}
# Vectors of a row that are worked on at a time.
_AT_ONCE = 4


def _power(e, x):
    """2^x of a vector, for x up to 1."""
    coefficients, magic, mantissa, bias, least = _POWER[e.size]
    b = e.builder
    whole = ir.VectorType(ir.IntType(8 * e.size), e.lanes)

    def real(value):
        return ir.Constant(e.vec, [float(value)] * e.lanes)

    # With flags of their own they keep the order: Numba gives all others leave to change it.
    shifted = b.fadd(x, real(magic + bias), flags=["contract"])
    r = b.fsub(x, b.fsub(shifted, real(magic + bias), flags=["contract"]), flags=["contract"])
    # 2^r = 1 + r (ln 2 + r (ln 2)^2 (c_0 + ...))
    ln2 = float(LN2)
    degree = len(coefficients) + 1
    terms = [float(c) * ln2 ** (degree - i) for i, c in enumerate(coefficients)] + [ln2, 1.0]
    p = real(terms[0])
    for term in terms[1:]:
        p = e.fma(p, r, real(term))
    scale = b.bitcast(b.shl(b.bitcast(shifted, whole), ir.Constant(whole, [mantissa] * e.lanes)), e.vec)
    # An ordered comparison: a NaN is not below, and stays.
    return b.select(b.fcmp_ordered("<", x, real(least)), e.zero(), b.fmul(p, scale))


def _total(e, x, combine):
    """One number of a vector's lanes, halving it."""
    step = e.lanes
    while step > 1:
        step //= 2
        x = combine(x, e.shuffle(x, x, [(lane + step) % e.lanes for lane in range(e.lanes)]))
    return e.builder.extract_element(x, ir.Constant(ir.IntType(32), 0))


def _larger(e):
    # Takes b where it is NaN. Where only a is NaN, that is lost here, but not in the exponentials.
    return lambda x, y: e.builder.select(e.builder.fcmp_ordered(">=", x, y), x, y)


def _over_row(e, n, starts, combine, step):
    """``combine`` over what ``step(offset)`` gives for the vectors of a row, beginning with ``starts``.

    ``starts`` are _AT_ONCE vectors, or None where there is nothing to combine.
    """
    b = e.builder
    cells = [cgutils.alloca_once_value(b, start) for start in starts or ()]
    vectors = b.sdiv(n, ir.Constant(I64, e.lanes))
    groups = b.sdiv(vectors, ir.Constant(I64, _AT_ONCE))

    def one(at, k):
        value = step(at)
        if starts:
            b.store(combine(b.load(cells[k]), value), cells[k])

    with cgutils.for_range(b, groups) as group:
        for k in range(_AT_ONCE):
            one(b.add(b.mul(group.index, ir.Constant(I64, _AT_ONCE * e.lanes)), ir.Constant(I64, k * e.lanes)), k)
    with cgutils.for_range(b, vectors, b.mul(groups, ir.Constant(I64, _AT_ONCE))) as left:
        one(b.mul(left.index, ir.Constant(I64, e.lanes)), 0)
    if not starts:
        return None
    values = [b.load(cell) for cell in cells]
    while len(values) > 1:
        values = [combine(x, y) for x, y in zip(values[::2], values[1::2], strict=True)]
    return _total(e, values[0], combine)


def _function(module, scalar, name, pointers, build):
    """The shared function ``name`` of some pointers, lds, the number of rows and their length.

    ``build(e, pointers, at, i, n)`` writes what happens to row i, which begins at element ``at``.
    """
    e = Emit(module, scalar)
    parts = [scalar.as_pointer()] * pointers + [I64] * 3
    fn, new = new_function(module, f"tnn_{name}_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lds, rows, n = fn.args[pointers:]
    with cgutils.for_range(b, rows) as row:
        build(e, fn.args[:pointers], b.mul(row.index, lds), row.index, n)
    b.ret_void()
    return fn


def _emit_max(module, scalar):
    def build(e, pointers, at, i, n):
        s, m = pointers
        x = e.at(s, at)
        start = e.splat(e.scalar_at(m, i))
        top = _over_row(e, n, [start] * _AT_ONCE, _larger(e), lambda j: e.load(x, j))
        e.builder.store(top, e.at(m, i))

    return _function(module, scalar, "rows_max", 2, build)


def _base(e, m, i):
    """Element i of m as a vector, 0 in place of -inf: -inf - 0 gives a power of 0, where -inf - -inf would be NaN."""
    b = e.builder
    top = e.scalar_at(m, i)
    low = b.fcmp_ordered("==", top, ir.Constant(e.scalar, -math.inf))
    return e.splat(b.select(low, ir.Constant(e.scalar, 0.0), top))


def _emit_power(module, scalar):
    def build(e, pointers, at, i, n):
        s, m, sums = pointers
        b, x, base = e.builder, e.at(s, at), _base(e, m, i)

        def step(j):
            y = _power(e, b.fsub(e.load(x, j), base))
            e.store(y, x, j)
            return y

        b.store(_over_row(e, n, [e.zero()] * _AT_ONCE, b.fadd, step), e.at(sums, i))

    return _function(module, scalar, "rows_power", 3, build)


def _emit_grad(module, scalar):
    def build(e, pointers, at, i, n):
        s, g, lse, delta = pointers
        b, x, grad = e.builder, e.at(s, at), e.at(g, at)
        top, mean = e.splat(e.scalar_at(lse, i)), e.splat(e.scalar_at(delta, i))

        def step(j):
            y = _power(e, b.fsub(e.load(x, j), top))
            e.store(y, x, j)
            e.store(b.fmul(y, b.fsub(e.load(grad, j), mean)), grad, j)

        _over_row(e, n, None, None, step)

    return _function(module, scalar, "rows_grad", 4, build)


@intrinsic
def rows_max(typingctx, s, m, lds, rows, n):
    """m[i] = max(m[i], row i of s) for i < rows; n a multiple of vector_len."""

    def codegen(context, builder, sig, args):
        builder.call(_emit_max(builder.module, context.get_value_type(s.dtype)), args)
        return context.get_dummy_value()

    return types.void(s, s, types.intp, types.intp, types.intp), codegen


@intrinsic
def rows_power(typingctx, s, m, sums, lds, rows, n):
    """s[i, j] = 2^(s[i, j] - m[i]) for i < rows and j < n, a multiple of vector_len; sums[i] = the sum of row i.

    An m of -inf counts as 0. What is subtracted has to be as large as any element of the row, or nearly so.
    """

    def codegen(context, builder, sig, args):
        builder.call(_emit_power(builder.module, context.get_value_type(s.dtype)), args)
        return context.get_dummy_value()

    return types.void(s, s, s, types.intp, types.intp, types.intp), codegen


@intrinsic
def rows_grad(typingctx, s, g, lse, delta, lds, rows, n):
    """s[i, j] = 2^(s[i, j] - lse[i]) and g[i, j] = s[i, j] * (g[i, j] - delta[i]); n a multiple of vector_len."""

    def codegen(context, builder, sig, args):
        builder.call(_emit_grad(builder.module, context.get_value_type(s.dtype)), args)
        return context.get_dummy_value()

    return types.void(s, s, s, s, types.intp, types.intp, types.intp), codegen


@intrinsic
def pointer_at(typingctx, address, like):
    """The integer ``address`` as a pointer of ``like``'s type."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(like))

    return like(types.intp, like), codegen
