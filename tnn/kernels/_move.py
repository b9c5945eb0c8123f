"""Copies between arrays of any strides, row by row, by several threads.

What loops over slices lose on short rows is the way into each: 8,192 rows of 32 floats, permuted 0213, took 36 us on
two threads with slices and take 22 here, where a row is whole vectors and one masked one.
"""

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import CHUNK, GRAIN, JIT
from ._simd import I64, PATH, Emit, load, new_function, shift, store
from ._words import pointer8, pointer16, pointer32, pointer64, pointer_to_words


def _emit_rows(module, scalar):
    """Function (count, src, lds, dst, ldd, n): rows of n elements, nothing but these written."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_move_{PATH}_{e.suffix}", ir.VoidType(), [I64, p, I64, p, I64, I64])
    if not new:
        return fn
    count, src, lds, dst, ldd, n = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    four, step = b.sdiv(n, ir.Constant(I64, 4 * e.lanes)), ir.Constant(I64, 4 * e.lanes)
    start = b.mul(four, step)
    whole = b.sdiv(b.sub(n, start), lanes)
    done = b.add(start, b.mul(whole, lanes))
    rest = b.sub(n, done)
    mask, left_over = e.lanes_below(rest), b.icmp_signed(">", rest, ir.Constant(I64, 0))
    with cgutils.for_range(b, count) as row:
        source, target = e.at(src, b.mul(row.index, lds)), e.at(dst, b.mul(row.index, ldd))
        with cgutils.for_range(b, four) as column:
            at = b.mul(column.index, step)
            left, right = e.at(source, at), e.at(target, at)
            for v, x in enumerate([e.load(left, v * e.lanes) for v in range(4)]):
                e.store(x, right, v * e.lanes)
        with cgutils.for_range(b, whole) as column:
            at = b.add(start, b.mul(column.index, lanes))
            e.store(e.load(source, at), target, at)
        with b.if_then(left_over):
            e.masked_store(e.masked_load(source, mask, done), target, mask, done)
    b.ret_void()
    return fn


@intrinsic
def move_rows(typingctx, count, src, lds, dst, ldd, n):
    """dst[r*ldd + j] = src[r*lds + j] for r < count, j < n."""
    size, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_rows(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(size, pointer, size, pointer, size, size), codegen


# Elements of a row that are copied to all their places before the next ones are: they stay in the cache. In pieces
# of 8,192, 512 x 1024 expanded to three took 77 us on two threads and 138 on one, and takes 55 and 105.
_AGAIN = 2048


@njit(**JIT)
def copy_bytes(target, source, count):
    """Copy bytes from one address to another. 2 MiB in rows of 4 KiB: 92 us on one thread, by memcpy 98."""
    to, of, words = pointer_to_words(target), pointer_to_words(source), count // 8
    for i in range(words):
        store(to, i, load(of, i))
    last, rest = pointer8(target + 8 * words), pointer8(source + 8 * words)
    for i in range(count - 8 * words):
        store(last, i, load(rest, i))


@njit(**JIT)
def offsets(outer, index):
    """Where, in the source and in the copy, the part of number ``index`` begins; outer: for each dimension its size and
    its strides in both, the last one fastest."""
    source, target = np.intp(0), np.intp(0)
    for d in range(outer.shape[0] - 1, -1, -1):
        i = index % outer[d, 0]
        index //= outer[d, 0]
        source += i * outer[d, 1]
        target += i * outer[d, 2]
    return source, target


@njit(**JIT)
def _loop(n, x, step, y, apart):
    for j in range(n):
        store(y, j * apart, load(x, j * step))


@njit(**JIT)
def _row(n, x, step, y, apart):
    """y[j*apart] = x[j*step], j < n; the cases that vectorise by themselves."""
    if step == 0 and apart == 1:
        value = load(x, 0)
        for j in range(n):
            store(y, j, value)
    elif step == 1 and apart == 1:
        _loop(n, x, 1, y, 1)
    elif step == 2 and apart == 1:
        _loop(n, x, 2, y, 1)
    elif apart == 1:
        _loop(n, x, step, y, 1)
    else:
        _loop(n, x, step, y, apart)


@njit(**JIT)
def _some(x, y, outer, step, apart, first, last, begin, width):
    """Columns from ``begin`` on, ``width`` of them, of the rows ``first`` to ``last``; floats."""
    size, lds, ldd = outer[-1]
    while first < last:
        source, target = offsets(outer, first)
        rows = min(last - first, size - first % size)
        src, dst = shift(x, source + begin * step), shift(y, target + begin * apart)
        if step == 1 and apart == 1:
            move_rows(rows, src, lds, dst, ldd, width)
        else:
            for r in range(rows):
                _row(width, shift(src, r * lds), step, shift(dst, r * ldd), apart)
        first += rows


@njit(**JIT)
def _some_short(x, y, outer, step, apart, first, last, begin, width):
    """The same for elements of one or two bytes."""
    for row in range(first, last):
        source, target = offsets(outer, row)
        _row(width, shift(x, source + begin * step), step, shift(y, target + begin * apart), apart)


@njit(**JIT)
def _task(x, y, item, outer, step, apart, first, last, begin, width):
    if item == 4:
        _some(pointer32(x), pointer32(y), outer, step, apart, first, last, begin, width)
    elif item == 8:
        _some(pointer64(x), pointer64(y), outer, step, apart, first, last, begin, width)
    elif item == 2:
        _some_short(pointer16(x), pointer16(y), outer, step, apart, first, last, begin, width)
    else:
        _some_short(pointer8(x), pointer8(y), outer, step, apart, first, last, begin, width)


@njit(parallel=True, **JIT)
def move(x, y, item, outer, width, step, apart):
    """Copies rows of ``width`` elements of ``item`` (1, 2, 4 or 8) bytes from address x to address y.

    outer: for each dimension of rows its size and its strides in source and target, in elements, the last one fastest.
    Elements of a row lie ``step`` apart in the source and ``apart`` in the target.
    """
    rows = 1
    for d in range(outer.shape[0]):
        rows *= outer[d, 0]
    times = outer[-1, 0] if outer[-1, 1] == 0 else 1
    if rows * width < GRAIN:
        _task(x, y, item, outer, step, apart, 0, rows, 0, width)
    elif width <= (2 * CHUNK if times == 1 else _AGAIN):
        block = max(1, CHUNK // width)
        for c in prange((rows + block - 1) // block):
            low = np.intp(c) * block
            _task(x, y, item, outer, step, apart, low, min(rows, low + block), 0, width)
    else:
        parts, some = (width + CHUNK - 1) // CHUNK, CHUNK if times == 1 else _AGAIN
        for c in prange(rows // times * parts):
            row, begin = np.intp(c) // parts * times, np.intp(c) % parts * CHUNK
            for at in range(begin, min(width, begin + CHUNK), some):
                _task(x, y, item, outer, step, apart, row, row + times, at, min(some, width - at))
