"""Walking through arrays with a loop that is given by its address: flat ones, broadcast ones, such with gaps.

What cuts arrays into chunks, spreads these over threads and steps from row to row is compiled once for all loops;
`_elementwise` makes loops of formulas, and says what their arguments are.
"""

from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from . import _small
from ._jit import CHUNK, GRAIN, JIT
from ._simd import keep, load, shift, store
from ._words import pointer8, pointer16, pointer32, pointer64


@intrinsic
def _call(typingctx, loop, out, a, b, c, first, n, strides, p, q):
    """Call the compiled loop at address `loop` on n elements; first: offsets in out, a, b, c; strides: of a, b, c."""

    def codegen(context, builder, signature, args):
        kinds = signature.args
        pointer = ir.IntType(8).as_pointer()
        word = ir.IntType(64)
        offsets = cgutils.unpack_tuple(builder, args[5])
        data = []
        for value, kind, offset in zip(args[1:5], kinds[1:5], offsets, strict=True):
            array = context.make_array(kind)(context, builder, value)
            data.append(builder.bitcast(builder.gep(array.data, [offset]), pointer))
        # Numba's own calling convention: where the (empty) result and an exception would go, then the arguments.
        nothing = cgutils.alloca_once(builder, pointer)
        raised = cgutils.alloca_once(builder, pointer)
        leading = [builder.bitcast(nothing, pointer), builder.bitcast(raised, pointer)]
        kind = ir.FunctionType(ir.IntType(32), [pointer] * 6 + [word] * 4 + [ir.DoubleType()] * 2)
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [*leading, *data, args[6], *cgutils.unpack_tuple(builder, args[7]), args[8], args[9]])
        return context.get_dummy_value()

    return types.void(loop, out, a, b, c, first, n, strides, p, q), codegen


# Without the compiler the address of a loop is a number in this table.
_plain: dict = {}

if config.DISABLE_JIT:

    def _call(loop, out, a, b, c, first, n, strides, p, q):
        o, x, y, z = first
        with np.errstate(all="ignore"):
            _plain[loop](out[o:], a[x:], b[y:], c[z:], n, *strides, p, q)


@njit(parallel=True, **JIT)
def _flat1(loop, out, a, p, q):
    """out[i] = f(a[i], p, q) over 1-D arrays of one size."""
    n = out.size
    if n < GRAIN:
        _call(loop, out, a, a, a, (0, 0, 0, 0), n, (1, 1, 1), p, q)
    else:
        for k in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(k) * CHUNK
            _call(loop, out, a, a, a, (lo, lo, lo, lo), min(CHUNK, n - lo), (1, 1, 1), p, q)


@njit(parallel=True, **JIT)
def _flat2(loop, out, a, b, p, q):
    """out[i] = f(a[i], b[i], p, q)."""
    n = out.size
    if n < GRAIN:
        _call(loop, out, a, b, b, (0, 0, 0, 0), n, (1, 1, 1), p, q)
    else:
        for k in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(k) * CHUNK
            _call(loop, out, a, b, b, (lo, lo, lo, lo), min(CHUNK, n - lo), (1, 1, 1), p, q)


@njit(parallel=True, **JIT)
def _flat3(loop, out, a, b, c, p, q):
    """out[i] = f(a[i], b[i], c[i], p, q)."""
    n = out.size
    if n < GRAIN:
        _call(loop, out, a, b, c, (0, 0, 0, 0), n, (1, 1, 1), p, q)
    else:
        for k in prange((n + CHUNK - 1) // CHUNK):
            lo = np.intp(k) * CHUNK
            _call(loop, out, a, b, c, (lo, lo, lo, lo), min(CHUNK, n - lo), (1, 1, 1), p, q)


@njit(**JIT)
def _offsets(dims, row, lo):
    """Where element lo of an innermost row lies in three operands."""
    last = dims.shape[0] - 1
    x, y, z = lo * dims[last, 1], lo * dims[last, 2], lo * dims[last, 3]
    rest = row
    for d in range(last - 1, -1, -1):
        i = rest
        if d > 0:
            i = rest % dims[d, 0]
            rest //= dims[d, 0]
        x += i * dims[d, 1]
        y += i * dims[d, 2]
        z += i * dims[d, 3]
    return x, y, z


@njit(**JIT)
def _task(loop, out, a, b, c, dims, row, lo, n, p, q):
    """n elements of one innermost row, from element lo on."""
    last = dims.shape[0] - 1
    x, y, z = _offsets(dims, row, lo)
    strides = dims[last, 1], dims[last, 2], dims[last, 3]
    _call(loop, out, a, b, c, (row * dims[last, 0] + lo, x, y, z), n, strides, p, q)


@njit(**JIT)
def _rows_left(dims, row, stop):
    """How many rows from `row` on, and before `stop`, lie at equal steps from each other."""
    last = dims.shape[0] - 1
    return min(stop - row, dims[last - 1, 0] - row % dims[last - 1, 0]) if last > 0 else 1


# Innermost rows of fewer elements are put side by side first, `_PIECE` elements at a time: a call of a loop for each
# takes 4 ns. (131,072 rows of 4 elements times a row, on one thread: 520 us, side by side 136; times a column, 660 and
# 160.)
_NARROW = 0 if config.DISABLE_JIT else 32
_PIECE = 2048
_LANES = 16


@intrinsic
def _fill_vector(typingctx, pointer, offset, value):
    """pointer[offset + i] = value for i < _LANES."""

    def codegen(context, builder, signature, args):
        place, word = builder.gep(args[0], [args[1]]), ir.IntType(32)
        kind = ir.VectorType(args[2].type, _LANES)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), args[2], word(0))
        all_of_it = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(word, _LANES), [0] * _LANES))
        builder.store(all_of_it, builder.bitcast(place, kind.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), codegen


@intrinsic
def _copy_vector(typingctx, pointer, source, target):
    """pointer[target + i] = pointer[source + i] for i < _LANES; the two do not overlap."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(context.get_value_type(pointer.dtype), _LANES).as_pointer()
        source, target = (builder.bitcast(builder.gep(args[0], [at]), kind) for at in args[1:])
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.void(pointer, types.intp, types.intp), codegen


@njit(**JIT)
def _spread(x, step, stride, rows, width, buffer):
    """Writes rows of `width` elements at a pointer one after the other into a buffer."""
    if step == 0:
        once = min(rows, (_LANES + width - 1) // width) * width
        for i in range(once):
            store(buffer, i, load(x, i % width * stride))
        for i in range(once, rows * width, _LANES):
            _copy_vector(buffer, i - once, i)
        return
    if stride == 0 and width <= _LANES:
        for r in range(rows):
            # a whole vector: the next row overwrites what is too much
            _fill_vector(buffer, r * width, load(x, r * step))
    else:
        for r in range(rows):
            row, to = shift(x, r * step), shift(buffer, r * width)
            for j in range(width):
                store(to, j, load(row, j * stride))


@njit(**JIT)
def _side_by_side(x, item, first, dims, column, rows, buffer):
    """The address of `rows` innermost rows without gaps, of elements of `item` bytes from address x on: x itself, or a
    buffer's, where they are already if this is not the first piece and rows are alike."""
    last = dims.shape[0] - 1
    width, step, stride = dims[last, 0], dims[last - 1, column], dims[last, column]
    if stride == 1 and step == width:
        return x
    if first or step != 0:
        if item == 4:
            _spread(pointer32(x), step, stride, rows, width, pointer32(buffer))
        elif item == 8:
            _spread(pointer64(x), step, stride, rows, width, pointer64(buffer))
        elif item == 2:
            _spread(pointer16(x), step, stride, rows, width, pointer16(buffer))
        else:
            _spread(pointer8(x), step, stride, rows, width, pointer8(buffer))
    return buffer


@njit(**JIT)
def _narrow(dims, rows):
    """Whether to put as many innermost rows side by side: they are narrow, and each operand's are without gaps already,
    or alike, or each one element again and again."""
    last = dims.shape[0] - 1
    width = dims[last, 0]
    good = width < _NARROW and last > 0
    if good:
        good = min(dims[last - 1, 0], rows) * width > 4 * _NARROW
        for k in range(1, 4):
            step, stride = dims[last - 1, k], dims[last, k]
            good = good and (step == 0 or (stride == 1 and step == width) or (stride == 0 and width <= _LANES))
    return good


@njit(**JIT)
def _narrow_rows(loop, out, a, b, c, items, dims, row, stop, p, q):
    """Innermost rows before `stop` for addresses, as `_rows_at`, several put side by side at a time."""
    last = dims.shape[0] - 1
    width, per = dims[last, 0], _PIECE // dims[last, 0]
    memory = np.empty(3 * 8 * (_PIECE + _LANES), np.uint8)
    u = memory.ctypes.data
    v = u + items[1] * (_PIECE + _LANES)
    w = v + items[2] * (_PIECE + _LANES)
    alike = b == c and (dims[:, 2] == dims[:, 3]).all()
    while row < stop:
        x, y, z = _offsets(dims, row, 0)
        count = _rows_left(dims, row, stop)
        for done in range(0, count, per):
            m = min(per, count - done)
            x1 = a + (x + done * dims[last - 1, 1]) * items[1]
            y1 = b + (y + done * dims[last - 1, 2]) * items[2]
            z1 = c + (z + done * dims[last - 1, 3]) * items[2]
            x1 = _side_by_side(x1, items[1], done == 0, dims, 1, m, u)
            y1 = _side_by_side(y1, items[2], done == 0, dims, 2, m, v)
            z1 = y1 if alike else _side_by_side(z1, items[2], done == 0, dims, 3, m, w)
            _small.run_at(loop, out + (row + done) * width * items[0], x1, y1, z1, m * width, 1, 1, 1, p, q)
        row += count
    keep(memory)


@njit(**JIT)
def _rows(loop, out, a, b, c, dims, row, stop, p, q):
    """Innermost rows before `stop`. Their places follow from each other: computed anew, from two divisions for each
    dimension, they took as long as the work on 512 elements."""
    last = dims.shape[0] - 1
    width, above = dims[last, 0], max(last - 1, 0)
    if _narrow(dims, stop - row):
        items = out.itemsize, a.itemsize, c.itemsize
        _narrow_rows(loop, out.ctypes.data, a.ctypes.data, b.ctypes.data, c.ctypes.data, items, dims, row, stop, p, q)
        return
    strides = dims[last, 1], dims[last, 2], dims[last, 3]
    while row < stop:
        x, y, z = _offsets(dims, row, 0)
        count = _rows_left(dims, row, stop)
        for i in range(count):
            first = (row + i) * width, x + i * dims[above, 1], y + i * dims[above, 2], z + i * dims[above, 3]
            _call(loop, out, a, b, c, first, width, strides, p, q)
        row += count


@njit(parallel=True, **JIT)
def _strided(loop, out, a, b, c, dims, p, q):
    """As _flat3 for operands that are broadcast; dims: rows of (size, stride in a, in b, in c), the innermost last."""
    width = dims[dims.shape[0] - 1, 0]
    total = out.size
    if total == 0:
        return
    rows = total // width
    if total < GRAIN:
        _rows(loop, out, a, b, c, dims, 0, rows, p, q)
    elif width >= CHUNK:
        pieces = (width + CHUNK - 1) // CHUNK
        for k in prange(rows * pieces):
            t = np.intp(k)
            lo = t % pieces * CHUNK
            _task(loop, out, a, b, c, dims, t // pieces, lo, min(CHUNK, width - lo), p, q)
    else:
        step = CHUNK // width
        for k in prange((rows + step - 1) // step):
            start = np.intp(k) * step
            _rows(loop, out, a, b, c, dims, start, min(rows, start + step), p, q)


@njit(**JIT)
def _task_at(loop, out, a, b, c, items, dims, row, lo, n, p, q):
    """As _task, for addresses; where out is 0 the loop writes into an operand of its own."""
    last = dims.shape[0] - 1
    x, y, z = _offsets(dims, row, lo)
    to = out + (row * dims[last, 0] + lo) * items[0] if out else 0
    _small.run_at(loop, to, a + x * items[1], b + y * items[2], c + z * items[2], n,
                  dims[last, 1], dims[last, 2], dims[last, 3], p, q)  # fmt: skip


@njit(**JIT)
def _rows_at(loop, out, a, b, c, items, dims, row, stop, p, q):
    """As _rows, for addresses."""
    last = dims.shape[0] - 1
    width, above = dims[last, 0], max(last - 1, 0)
    if out and _narrow(dims, stop - row):
        _narrow_rows(loop, out, a, b, c, items, dims, row, stop, p, q)
        return
    dx, dy, dz = dims[above, 1] * items[1], dims[above, 2] * items[2], dims[above, 3] * items[2]
    while row < stop:
        x, y, z = _offsets(dims, row, 0)
        x, y, z = a + x * items[1], b + y * items[2], c + z * items[2]
        count = _rows_left(dims, row, stop)
        for i in range(count):
            to = out + (row + i) * width * items[0] if out else 0
            _small.run_at(loop, to, x + i * dx, y + i * dy, z + i * dz, width,
                          dims[last, 1], dims[last, 2], dims[last, 3], p, q)  # fmt: skip
        row += count


@njit(parallel=True, **JIT)
def strided_at(loop, out, a, b, c, items, total, dims, p, q):
    """As _strided, for the addresses of arrays: out, contiguous, of `total` elements, and of operands with any strides,
    but for the innermost dimension, where they are 0 or 1. items: bytes of an element of out, of a, of b and c. out 0:
    the loop is one that writes into an operand."""
    width = dims[dims.shape[0] - 1, 0]
    rows = total // width
    if total < GRAIN:
        _rows_at(loop, out, a, b, c, items, dims, 0, rows, p, q)
    elif width >= CHUNK:
        pieces = (width + CHUNK - 1) // CHUNK
        for k in prange(rows * pieces):
            t = np.intp(k)
            lo = t % pieces * CHUNK
            _task_at(loop, out, a, b, c, items, dims, t // pieces, lo, min(CHUNK, width - lo), p, q)
    else:
        step = CHUNK // width
        for k in prange((rows + step - 1) // step):
            start = np.intp(k) * step
            _rows_at(loop, out, a, b, c, items, dims, start, min(rows, start + step), p, q)


def merged(sizes, *columns):
    """Dimensions of size 1 dropped, and neighbours put together where all operands allow: rows of a size and each
    operand's stride, the innermost last; columns: each operand's strides."""
    rows: list[list[int]] = []
    for size, *strides in zip(sizes, *columns, strict=True):
        if size == 1:
            continue
        if rows and all(s == t * size for s, t in zip(rows[-1][1:], strides, strict=True)):
            rows[-1] = [rows[-1][0] * size, *strides]
        else:
            rows.append([size, *strides])
    return rows


@lru_cache(4096)
def plan(shape, *operands):
    """How to walk through broadcast C-contiguous operands: rows of (size, stride in each of three operands), see
    :func:`merged`."""
    operands = (*operands, *(operands[-1],) * (3 - len(operands)))
    columns = []
    for operand in operands:
        strides, step = [], 1
        for size in reversed(operand):
            strides.append(0 if size == 1 else step)
            step *= size
        columns.append([0] * (len(shape) - len(operand)) + strides[::-1])
    return np.array(merged(shape, *columns) or [[1, 0, 0, 0]], np.int64)


@lru_cache(4096)
def plan_at(shape, *operands):
    """As :func:`plan`, for operands with gaps: each a shape, strides in bytes and the size of an element. None where
    an operand's elements do not lie side by side along the innermost dimension, or not in whole elements."""
    operands = (*operands, *(operands[-1],) * (3 - len(operands)))
    columns = []
    for sizes, strides, item in operands:
        if any(s % item for s in strides):
            return None
        steps = [0 if n == 1 else s // item for n, s in zip(sizes, strides, strict=True)]
        columns.append([0] * (len(shape) - len(sizes)) + steps)
    rows = merged(shape, *columns) or [[1, 0, 0, 0]]
    return np.array(rows, np.int64) if all(s in (0, 1) for s in rows[-1][1:]) else None
