"""Sums of contiguous elements in float64, converted as they are read.

On Zen 4, converting and adding share two of the four vector units, and LLVM's own loop converts 64 bytes at a time,
which takes them twice as long as two halves: 512 x 1024 floats on one thread in 36 us. Here additions are fused
multiplications by a 1.0 that LLVM does not know, on the other two units, in vectors of 32 bytes: 21 us.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ._jit import JIT
from ._simd import HAS_FMA, I64, PATH, VL64, new_function, ptr

_I32, _F64 = ir.IntType(32), ir.DoubleType()
_LANES = min(4, VL64)
_SUMS = 8
_WIDE = ir.VectorType(_F64, _LANES)


def _emit(module, scalar, square):
    """Function (p, n, factor): the sum of factor * p[i], or of (p[i] - factor) ** 2."""
    name = f"tnn_wide_{'squares' if square else 'sum'}_{PATH}_{scalar}"
    fn, new = new_function(module, name, _F64, [scalar.as_pointer(), I64, _F64])
    if not new:
        return fn
    p, n, factor = fn.args
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    one = b.insert_element(ir.Constant(_WIDE, ir.Undefined), factor, _I32(0))
    factors = b.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES))

    def fused(x, y, z):
        if not HAS_FMA:
            return b.fadd(b.fmul(x, y), z)
        full = f"llvm.fma.{f'v{_LANES}' if x.type == _WIDE else ''}f64"
        found = module.globals.get(full)
        return b.call(found or ir.Function(module, ir.FunctionType(x.type, [x.type] * 3), full), [x, y, z])

    def more(total, at, kind, factor):
        """total and the element or vector at a place."""
        source = kind if scalar == _F64 else ir.FloatType() if kind == _F64 else ir.VectorType(scalar, _LANES)
        x = b.load(b.bitcast(b.gep(p, [at]), source.as_pointer()), align=4 if scalar != _F64 else 8)
        x = x if scalar == _F64 else b.fpext(x, kind)
        if square:
            x = b.fsub(x, factor)
            return fused(x, x, total)
        return fused(x, factor, total)

    cells = [cgutils.alloca_once_value(b, ir.Constant(_WIDE, [0.0] * _LANES)) for _ in range(_SUMS)]
    done = I64(0)
    for count in (_SUMS, 1):
        step = I64(count * _LANES)
        turns = b.sdiv(b.sub(n, done), step)
        with cgutils.for_range(b, turns) as i:
            at = b.add(done, b.mul(i.index, step))
            for k, cell in enumerate(cells[:count]):
                b.store(more(b.load(cell), b.add(at, I64(k * _LANES)), _WIDE, factors), cell)
        done = b.add(done, b.mul(turns, step))
    totals = [b.load(cell) for cell in cells]
    while len(totals) > 1:
        totals = [b.fadd(*totals[i : i + 2]) if i + 1 < len(totals) else totals[i] for i in range(0, len(totals), 2)]
    total = _F64(0.0)
    for lane in range(_LANES):
        total = b.fadd(total, b.extract_element(totals[0], _I32(lane)))
    cell = cgutils.alloca_once_value(b, total)
    with cgutils.for_range(b, b.sub(n, done)) as i:
        b.store(more(b.load(cell), b.add(done, i.index), _F64, factor), cell)
    b.ret(b.load(cell))
    return fn


def _intrinsic(square):
    @intrinsic
    def function(typingctx, p, n, factor):
        def codegen(context, builder, sig, args):
            return builder.call(_emit(builder.module, context.get_value_type(p.dtype), square), args)

        return types.float64(types.CPointer(p.dtype), types.intp, types.float64), codegen

    return function


_wide_sum, _wide_squares = _intrinsic(False), _intrinsic(True)


@njit(**JIT)
def row_sum(x, factor):
    """The sum of factor * x[i], x a contiguous vector of float32 or float64."""
    return _wide_sum(ptr(x, 0), x.size, factor)


@njit(**JIT)
def row_squares(x, shift):
    """The sum of (x[i] - shift) ** 2, x a contiguous vector of float32 or float64."""
    return _wide_squares(ptr(x, 0), x.size, shift)


if config.DISABLE_JIT:  # then there are no intrinsics

    def row_sum(x, factor):
        total = 0.0
        for value in x:
            total += float(value) * factor
        return total

    def row_squares(x, shift):
        total = 0.0
        for value in x:
            total += (float(value) - shift) ** 2
        return total
