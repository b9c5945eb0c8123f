"""Rows of a softmax as vectors: the largest element, exp with the sum, and the gradient.

Every function takes a pointer and a length that is a multiple of ``vector_len``: a caller pads its rows with -inf. So
there is no scalar remainder, which on rows of a few vectors would cost more than the vectors. ``exp`` is that of
``_math_exp``, the same polynomial and reduction; NaN stays NaN, and -inf gives 0.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._math_exp import _EXP32, _EXPM1_64, _LN2_HI32, _LN2_HI64, _LN2_LO32, _LN2_LO64, _LOG2E
from ._simd import I64, PATH, Emit, new_function

# (log2 e, ln 2 in two parts, polynomial, lower and upper end, rounding constant, its bits, mantissa bits, bias)
_EXP = {
    4: (_LOG2E, _LN2_HI32, _LN2_LO32, _EXP32, -105.0, 89.0, 12582912.0, 0x4B400000, 23, 127),
    8: (_LOG2E, _LN2_HI64, _LN2_LO64, _EXPM1_64, -746.0, 710.0, 6755399441055744.0, 0x4338000000000000, 52, 1023),
}


def _exp(e, x):
    """e^x of a vector."""
    log2e, high, low, coefficients, least, most, magic, magic_bits, mantissa, bias = _EXP[e.size]
    b = e.builder

    def real(value):
        return ir.Constant(e.vec, [float(value)] * e.lanes)

    whole = ir.VectorType(ir.IntType(8 * e.size), e.lanes)

    def integer(value):
        return ir.Constant(whole, [value] * e.lanes)

    # Ordered comparisons: a NaN is not below and not above, and stays.
    x = b.select(b.fcmp_ordered("<", x, real(least)), real(least), x)
    x = b.select(b.fcmp_ordered(">", x, real(most)), real(most), x)
    shifted = e.fma(x, real(log2e), real(magic))
    n = b.fsub(shifted, real(magic))
    r = e.fma(n, real(-low), e.fma(n, real(-high), x))
    p = real(coefficients[0])
    for c in coefficients[1:]:
        p = e.fma(p, r, real(c))
    p = b.fadd(e.fma(b.fmul(r, r), p, r), real(1.0))
    k = b.sub(b.bitcast(shifted, whole), integer(magic_bits))
    half = b.ashr(k, integer(1))
    for part in (half, b.sub(k, half)):
        p = b.fmul(p, b.bitcast(b.shl(b.add(part, integer(bias)), integer(mantissa)), e.vec))
    return p


def _total(e, x, combine):
    """One number of a vector's lanes, halving it."""
    step = e.lanes
    while step > 1:
        step //= 2
        x = combine(x, e.shuffle(x, x, [(lane + step) % e.lanes for lane in range(e.lanes)]))
    return e.builder.extract_element(x, ir.Constant(ir.IntType(32), 0))


def _function(module, scalar, name, result, parts, build):
    """The shared function ``name``; ``build(e, args, loop)`` writes it and returns its result or None.

    ``loop(start, step)`` runs ``step(offset, vector)`` over the vectors of a row of the last argument's length and
    returns the last value of the vector that it carries.
    """
    e = Emit(module, scalar)
    fn, new = new_function(module, f"tnn_{name}_{PATH}_{e.suffix}", result, parts)
    if not new:
        return fn
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))

    def loop(start, step):
        cell = cgutils.alloca_once_value(b, start)
        with cgutils.for_range(b, b.sdiv(fn.args[-1], ir.Constant(I64, e.lanes))) as i:
            b.store(step(b.mul(i.index, ir.Constant(I64, e.lanes)), b.load(cell)), cell)
        return b.load(cell)

    out = build(e, fn.args, loop)
    if out is None:
        b.ret_void()
    else:
        b.ret(out)
    return fn


def _larger(e):
    # Takes b where it is NaN. Where only a is NaN, that is lost here, but not in the exponentials.
    return lambda x, y: e.builder.select(e.builder.fcmp_ordered(">=", x, y), x, y)


def _emit_max(module, scalar):
    def build(e, args, loop):
        x, start, _ = args
        larger = _larger(e)
        return _total(e, loop(e.splat(start), lambda at, m: larger(m, e.load(x, at))), larger)

    return _function(module, scalar, "row_max", scalar, [scalar.as_pointer(), scalar, I64], build)


def _emit_exp(module, scalar):
    def build(e, args, loop):
        x, top, _ = args
        m = e.splat(top)

        def step(at, total):
            y = _exp(e, e.builder.fsub(e.load(x, at), m))
            e.store(y, x, at)
            return e.builder.fadd(total, y)

        return _total(e, loop(e.zero(), step), e.builder.fadd)

    return _function(module, scalar, "row_exp", scalar, [scalar.as_pointer(), scalar, I64], build)


def _emit_grad(module, scalar):
    def build(e, args, loop):
        x, g, top, mean, _ = args
        m, d = e.splat(top), e.splat(mean)

        def step(at, unused):
            y = _exp(e, e.builder.fsub(e.load(x, at), m))
            e.store(y, x, at)
            e.store(e.builder.fmul(y, e.builder.fsub(e.load(g, at), d)), g, at)
            return unused

        loop(e.zero(), step)

    p = scalar.as_pointer()
    return _function(module, scalar, "row_grad", ir.VoidType(), [p, p, scalar, scalar, I64], build)


@intrinsic
def row_max(typingctx, x, start, n):
    """max(start, x[0], ..., x[n-1]); n a multiple of vector_len."""

    def codegen(context, builder, sig, args):
        return builder.call(_emit_max(builder.module, context.get_value_type(x.dtype)), args)

    return x.dtype(x, x.dtype, types.intp), codegen


@intrinsic
def row_exp(typingctx, x, top, n):
    """x[i] = exp(x[i] - top) for i < n, a multiple of vector_len; returns their sum."""

    def codegen(context, builder, sig, args):
        return builder.call(_emit_exp(builder.module, context.get_value_type(x.dtype)), args)

    return x.dtype(x, x.dtype, types.intp), codegen


@intrinsic
def row_grad(typingctx, x, g, top, mean, n):
    """x[i] = exp(x[i] - top) and g[i] = x[i] * (g[i] - mean) for i < n, a multiple of vector_len."""

    def codegen(context, builder, sig, args):
        builder.call(_emit_grad(builder.module, context.get_value_type(x.dtype)), args)
        return context.get_dummy_value()

    return types.void(x, x, x.dtype, x.dtype, types.intp), codegen


@intrinsic
def pointer_at(typingctx, address, like):
    """The integer ``address`` as a pointer of ``like``'s type."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(like))

    return like(types.intp, like), codegen
