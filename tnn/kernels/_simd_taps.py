"""Sums over four vectors found through a table, for images whose pixels are vectors: a lane for each channel.

``image`` holds a vector for each pixel. A point has four taps: rows of ``at`` (4, m) say which pixels, rows of
``weight`` (4, m) by how much they count.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function
from ._simd_pool import _folded

_I32 = ir.IntType(32)


def _start(module, name, scalar, *kinds):
    """(Emit, function, is new) of a function with arguments of these kinds: n, a number; i, numbers; p, elements."""
    e = Emit(module, scalar)
    kind = {"n": I64, "i": _I32.as_pointer(), "p": scalar.as_pointer()}
    fn, new = new_function(module, f"tnn_{name}_{PATH}_{e.suffix}", ir.VoidType(), [kind[k] for k in kinds])
    if new:
        e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    return e, fn, new


def _pixels(e, image, at, m, i):
    """Where the four taps of point i lie in the image."""
    b, lanes = e.builder, ir.Constant(I64, e.lanes)
    places = [b.load(b.gep(at, [b.add(i, b.mul(m, ir.Constant(I64, t)))])) for t in range(4)]
    return [e.at(image, b.mul(b.sext(place, I64), lanes)) for place in places]


def _weights(e, weight, m, i):
    b = e.builder
    return [e.splat(e.scalar_at(weight, b.add(i, b.mul(m, ir.Constant(I64, t))))) for t in range(4)]


def _emit_take(module, scalar):
    e, fn, new = _start(module, "take_taps", scalar, *"npipnp")
    if not new:
        return fn
    n, image, at, weight, m, dst = fn.args
    b = e.builder
    with cgutils.for_range(b, n) as point:
        p, q, r, s = map(e.load, _pixels(e, image, at, m, point.index))
        wp, wq, wr, ws = _weights(e, weight, m, point.index)
        upper, lower = e.fma(q, wq, b.fmul(p, wp)), e.fma(s, ws, b.fmul(r, wr))
        e.store(b.fadd(upper, lower), dst, b.mul(point.index, ir.Constant(I64, e.lanes)))
    b.ret_void()
    return fn


def _emit_add(module, scalar):
    e, fn, new = _start(module, "add_taps", scalar, *"nppipn")
    if not new:
        return fn
    n, src, image, at, weight, m = fn.args
    b = e.builder
    with cgutils.for_range(b, n) as point:
        x = e.load(src, b.mul(point.index, ir.Constant(I64, e.lanes)))
        pixels, factors = _pixels(e, image, at, m, point.index), _weights(e, weight, m, point.index)
        for pixel, factor in zip(pixels, factors, strict=True):
            e.store(e.fma(x, factor, e.load(pixel)), pixel)
    b.ret_void()
    return fn


def _emit_slopes(module, scalar):
    e, fn, new = _start(module, "slope_taps", scalar, *"nppinpnpp")
    if not new:
        return fn
    n, src, image, at, m, fraction, apart, across, down = fn.args
    b = e.builder
    one = ir.Constant(e.vec, [1.0] * e.lanes)
    with cgutils.for_range(b, n) as point:
        i = point.index
        x = e.load(src, b.mul(i, ir.Constant(I64, e.lanes)))
        p, q, r, s = map(e.load, _pixels(e, image, at, m, i))
        fx, fy = (e.splat(e.scalar_at(fraction, b.add(i, offset))) for offset in (ir.Constant(I64, 0), apart))
        for out, low, high, f in ((across, b.fsub(q, p), b.fsub(s, r), fy), (down, b.fsub(r, p), b.fsub(s, q), fx)):
            slope = e.fma(high, f, b.fmul(low, b.fsub(one, f)))
            place = e.at(out, i)
            total = b.fadd(b.load(place), _folded(e, b.fmul(x, slope)))
            b.store(total, place)
    b.ret_void()
    return fn


@intrinsic
def take_taps(typingctx, n, image, at, weight, m, dst):
    """dst[i] = sum over t < 4 of weight[t, i] * image[at[t, i]] for i < n; dst and image of vectors, at of int32."""
    pointer, places = types.CPointer(weight.dtype), types.CPointer(types.int32)

    def codegen(context, builder, sig, args):
        builder.call(_emit_take(builder.module, context.get_value_type(weight.dtype)), args)
        return context.get_dummy_value()

    return types.void(types.intp, pointer, places, pointer, types.intp, pointer), codegen


@intrinsic
def add_taps(typingctx, n, src, image, at, weight, m):
    """image[at[t, i]] += weight[t, i] * src[i] for i < n, t < 4, one point after the other."""
    pointer, places = types.CPointer(weight.dtype), types.CPointer(types.int32)

    def codegen(context, builder, sig, args):
        builder.call(_emit_add(builder.module, context.get_value_type(weight.dtype)), args)
        return context.get_dummy_value()

    return types.void(types.intp, pointer, pointer, places, pointer, types.intp), codegen


@intrinsic
def slope_taps(typingctx, n, src, image, at, m, fraction, apart, across, down):
    """Adds to across[i] and down[i] the derivatives of sum over lanes of src[i] times point i's sample by its column
    and its row; its taps p q / r s lie around it, it is fraction[i] right of p and fraction[apart + i] below."""
    pointer, places = types.CPointer(src.dtype), types.CPointer(types.int32)

    def codegen(context, builder, sig, args):
        builder.call(_emit_slopes(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(types.intp, pointer, pointer, places, types.intp, pointer, types.intp, pointer, pointer), codegen
