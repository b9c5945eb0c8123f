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
from ._simd_rows import MASKS

_I32, _F64 = ir.IntType(32), ir.DoubleType()
_LANES = min(4, VL64)
_SUMS = 8
_WIDE = ir.VectorType(_F64, _LANES)
# Whether there are functions for many rows at once.
MANY = MASKS and not config.DISABLE_JIT


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


# Vectors of a row that stay in registers while rows are added up.
_BLOCKS = 8, 1


class _Wide:
    """Vectors of _LANES elements, converted to float64."""

    def __init__(self, builder, module, scalar, one):
        self.b, self.module, self.scalar = builder, module, scalar
        self.narrow = ir.VectorType(scalar, _LANES)
        first = builder.insert_element(ir.Constant(_WIDE, ir.Undefined), one, _I32(0))
        self.ones = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES))

    def cell(self):
        cell = cgutils.alloca_once(self.b, _WIDE)
        self.b.store(ir.Constant(_WIDE, [0.0] * _LANES), cell)
        return cell

    def mask(self, count):
        """The lanes below a count."""
        many = ir.VectorType(I64, _LANES)
        one = self.b.insert_element(ir.Constant(many, ir.Undefined), count, _I32(0))
        limit = self.b.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES))
        return self.b.icmp_signed("<", ir.Constant(many, list(range(_LANES))), limit)

    def _masked(self, way, kinds, kind, args, result):
        size = 4 if kind.element == ir.FloatType() else 8
        name = f"llvm.masked.{way}.v{_LANES}f{8 * size}.p0"
        fn = self.module.globals.get(name) or ir.Function(self.module, ir.FunctionType(result, kinds), name)
        return self.b.call(fn, args)

    def load(self, p, at, mask=None):
        """Elements from p[at] on, as float64; 0 for those that a mask leaves out."""
        place = self.b.bitcast(self.b.gep(p, [at]), self.narrow.as_pointer())
        size = 4 if self.scalar == ir.FloatType() else 8
        if mask is None:
            x = self.b.load(place, align=size)
        else:
            zero = ir.Constant(self.narrow, [0.0] * _LANES)
            args = [place, _I32(size), mask, zero]
            x = self._masked("load", [a.type for a in args], self.narrow, args, self.narrow)
        return x if self.scalar == _F64 else self.b.fpext(x, _WIDE)

    def store(self, x, p, at, mask=None):
        """x to p[at] and on, in p's type."""
        kind = ir.VectorType(p.type.pointee, _LANES)
        place = self.b.bitcast(self.b.gep(p, [at]), kind.as_pointer())
        x = x if kind == _WIDE else self.b.fptrunc(x, kind)
        size = 8 if kind == _WIDE else 4
        if mask is None:
            self.b.store(x, place, align=size)
        else:
            args = [x, place, _I32(size), mask]
            self._masked("store", [a.type for a in args], kind, args, ir.VoidType())

    def fused(self, x, y, z):
        if not HAS_FMA:
            return self.b.fadd(self.b.fmul(x, y), z)
        name = f"llvm.fma.v{_LANES}f64"
        fn = self.module.globals.get(name) or ir.Function(self.module, ir.FunctionType(_WIDE, [_WIDE] * 3), name)
        return self.b.call(fn, [x, y, z])

    def add(self, cell, x):
        """Adds x to a cell, as a fused multiplication by one."""
        self.b.store(self.fused(x, self.ones, self.b.load(cell)), cell)


def _emit_columns(module, scalar, result):
    """Function (rows, pitch, n, p, one, scale, y)."""
    name = f"tnn_column_sums_{PATH}_{scalar}_{result}"
    kinds = [I64, I64, I64, scalar.as_pointer(), _F64, _F64, result.as_pointer()]
    fn, new = new_function(module, name, ir.VoidType(), kinds)
    if not new:
        return fn
    rows, pitch, n, p, one, scale, y = fn.args
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    w, factor = _Wide(b, module, scalar, one), _Wide(b, module, scalar, scale).ones

    def columns(at, count, mask=None):
        cells = [w.cell() for _ in range(count)]
        with cgutils.for_range(b, rows) as row:
            here = b.add(at, b.mul(row.index, pitch))
            for k, cell in enumerate(cells):
                w.add(cell, w.load(p, b.add(here, I64(k * _LANES)), mask))
        for k, cell in enumerate(cells):
            w.store(b.fmul(b.load(cell), factor), y, b.add(at, I64(k * _LANES)), mask)

    done = I64(0)
    for count in _BLOCKS:
        step = I64(count * _LANES)
        turns = b.sdiv(b.sub(n, done), step)
        with cgutils.for_range(b, turns) as i:
            columns(b.add(done, b.mul(i.index, step)), count)
        done = b.add(done, b.mul(turns, step))
    left = b.sub(n, done)
    with b.if_then(b.icmp_signed(">", left, I64(0))):
        columns(done, 1, w.mask(left))
    b.ret_void()
    return fn


@intrinsic
def column_sums(typingctx, rows, pitch, n, p, one, scale, y):
    """y[j] = scale * the sum of p[r * pitch + j] over the rows, for j < n. one: 1.0, which LLVM must not know."""

    def codegen(context, builder, sig, args):
        scalar, result = (context.get_value_type(kind.dtype) for kind in (p, y))
        builder.call(_emit_columns(builder.module, scalar, result), args)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, p, types.float64, types.float64, y), codegen


def _emit_rows(module, scalar, square):
    """Function (rows, n, p, shifts, one, sums): sums[r] of row r, or of (row r - shifts[r]) ** 2."""
    p_type = scalar.as_pointer()
    name = f"tnn_row_{'squares' if square else 'sums'}_{PATH}_{scalar}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, I64, p_type, p_type, _F64, _F64.as_pointer()])
    if not new:
        return fn
    rows, n, p, shifts, one, sums = fn.args
    b = ir.IRBuilder(fn.append_basic_block("entry"))
    w = _Wide(b, module, scalar, one)
    place = cgutils.alloca_once(b, _WIDE, size=I64(_LANES))
    lanes, at_once = I64(_LANES), 4
    with cgutils.for_range(b, b.sdiv(b.add(rows, I64(_LANES - 1)), lanes)) as block:
        first = b.mul(block.index, lanes)
        left = b.sub(rows, first)
        some = b.select(b.icmp_signed("<", left, lanes), left, lanes)
        with cgutils.for_range(b, some) as row:
            r = b.add(first, row.index)
            start, cells = b.mul(r, n), [w.cell() for _ in range(at_once)]
            shift = None
            if square:
                number = b.load(b.gep(shifts, [r]))
                shift = _Wide(b, module, scalar, number if scalar == _F64 else b.fpext(number, _F64)).ones

            def more(cell, at, mask=None, start=start, shift=shift):
                x = w.load(p, b.add(start, at), mask)
                if not square:
                    w.add(cell, x)
                    return
                x = b.fsub(x, shift)
                if mask is not None:
                    x = b.select(mask, x, ir.Constant(_WIDE, [0.0] * _LANES))
                b.store(w.fused(x, x, b.load(cell)), cell)

            done = I64(0)
            for count in (at_once, 1):
                step = I64(count * _LANES)
                turns = b.sdiv(b.sub(n, done), step)
                with cgutils.for_range(b, turns) as i:
                    for k, cell in enumerate(cells[:count]):
                        more(cell, b.add(done, b.add(b.mul(i.index, step), I64(k * _LANES))))
                done = b.add(done, b.mul(turns, step))
            rest = b.sub(n, done)
            with b.if_then(b.icmp_signed(">", rest, I64(0))):
                more(cells[1], done, w.mask(rest))
            values = [b.load(cell) for cell in cells]
            b.store(b.fadd(b.fadd(*values[:2]), b.fadd(*values[2:])), b.gep(place, [row.index]))
        vectors, s = [b.load(b.gep(place, [I64(i)])) for i in range(_LANES)], _LANES // 2
        while s:
            low = [j if not j & s else _LANES + j - s for j in range(_LANES)]
            high = [j + s if not j & s else _LANES + j for j in range(_LANES)]
            low, high = (ir.Constant(ir.VectorType(_I32, _LANES), side) for side in (low, high))
            pairs = zip(vectors[:s], vectors[s : 2 * s], strict=True)
            vectors = [b.fadd(b.shuffle_vector(x, y, low), b.shuffle_vector(x, y, high)) for x, y in pairs]
            s //= 2
        w.store(vectors[0], sums, first, w.mask(left))
    b.ret_void()
    return fn


@intrinsic
def rows_sums(typingctx, rows, n, p, one, sums):
    """sums[r] (float64) = the sum of row r, rows of n elements one behind the other. one: as in column_sums."""

    def codegen(context, builder, sig, args):
        rows, n, p, one, sums = args
        fn = _emit_rows(builder.module, context.get_value_type(sig.args[2].dtype), False)
        builder.call(fn, [rows, n, p, ir.Constant(p.type, None), one, sums])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, p, types.float64, sums), codegen


@intrinsic
def rows_squares(typingctx, rows, n, p, shifts, one, sums):
    """sums[r] (float64) = the sum of (x - shifts[r]) ** 2 over row r."""

    def codegen(context, builder, sig, args):
        fn = _emit_rows(builder.module, context.get_value_type(p.dtype), True)
        builder.call(fn, args)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, p, p, types.float64, sums), codegen


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
