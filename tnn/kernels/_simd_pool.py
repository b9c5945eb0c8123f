"""Row operations of pooling, as vectors: the largest of shifted rows and which it was, sums of rows."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function

_I32 = ir.IntType(32)


def _turns(b, n, lanes):
    """How many vectors hold ``n`` elements."""
    return b.sdiv(b.add(n, ir.Constant(I64, lanes - 1)), ir.Constant(I64, lanes))


def _emit_largest(module, scalar, bits):
    """Function of the arguments of ``max_rows``; bits of a tap's number, 0 if the numbers are not wanted."""
    e = Emit(module, scalar)
    p, words, numbers = scalar.as_pointer(), I64.as_pointer(), _I32.as_pointer()
    kind = ir.IntType(bits or 8)
    parts = [I64, words, p, I64, I64, numbers, p, I64, kind.as_pointer(), I64, I64]
    fn, new = new_function(module, f"tnn_largest{bits}_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    count, offsets, src, lds, base, first, dst, ldd, taps, n, rows = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    ints, few = ir.VectorType(_I32, e.lanes), ir.VectorType(kind, e.lanes)
    low = ir.Constant(e.vec, [float("-inf")] * e.lanes)
    lanes = ir.Constant(I64, e.lanes)

    def whole(value, kind):
        none = ir.Constant(ir.VectorType(kind, e.lanes), ir.Undefined)
        one = b.insert_element(none, value, ir.Constant(_I32, 0))
        return b.shuffle_vector(one, none, ir.Constant(ints, [0] * e.lanes))

    def block(high, left, out, numbers, at, mask):
        """``high`` rows of one vector in registers over all taps."""
        best = [cgutils.alloca_once_value(b, low) for _ in range(high)]
        which = []
        if bits:
            place = b.bitcast(b.gep(first, [at]), ints.as_pointer())
            start = b.add(b.load(place, align=4), whole(b.trunc(base, _I32), _I32))
            which = [cgutils.alloca_once_value(b, start) for _ in range(high)]
        with cgutils.for_range(b, count) as tap:
            here = e.at(left, b.load(b.gep(offsets, [tap.index])))
            number = whole(b.trunc(tap.index, _I32), _I32) if bits else None
            for r, cell in enumerate(best):
                x, old = e.load(here, b.mul(lds, ir.Constant(I64, r))), b.load(cell)
                # A NaN wins, and nothing but another NaN wins against it.
                win = b.or_(b.fcmp_ordered(">", x, old), b.fcmp_unordered("uno", x, x))
                b.store(b.select(win, x, old), cell)
                if bits:
                    b.store(b.select(win, number, b.load(which[r])), which[r])
        for r, cell in enumerate(best):
            far = b.mul(ldd, ir.Constant(I64, r))
            e.masked_store(b.load(cell), out, mask, far)
            if bits:
                value = b.load(which[r])
                value = value if bits == 32 else b.trunc(value, few)
                target = b.bitcast(b.gep(numbers, [far]), few.as_pointer())
                name = f"llvm.masked.store.v{e.lanes}i{bits}.p0"
                store = e.named(name, ir.VoidType(), [few, target.type, _I32, e.mask])
                b.call(store, [value, target, ir.Constant(_I32, bits // 8), mask])

    # Two rows at a time: a comparison waits for the one before it.
    with cgutils.for_range(b, _turns(b, n, e.lanes)) as i:
        at = b.mul(i.index, lanes)
        mask = e.lanes_below(b.sub(n, at))
        pairs = b.sdiv(rows, ir.Constant(I64, 2))
        with cgutils.for_range(b, pairs) as j:
            row = b.mul(j.index, ir.Constant(I64, 2))
            near, far = b.add(at, b.mul(row, ldd)), b.add(at, b.mul(row, lds))
            block(2, e.at(src, far), e.at(dst, near), b.gep(taps, [near]), at, mask)
        row = b.mul(pairs, ir.Constant(I64, 2))
        with b.if_then(b.icmp_signed("<", row, rows)):
            near, far = b.add(at, b.mul(row, ldd)), b.add(at, b.mul(row, lds))
            block(1, e.at(src, far), e.at(dst, near), b.gep(taps, [near]), at, mask)
    b.ret_void()
    return fn


def _largest(src, tap, wanted):
    k, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        bits = tap.dtype.bitwidth if wanted else 0
        *given, taps, n, rows = args
        if not wanted:
            taps = builder.bitcast(taps, ir.IntType(8).as_pointer())
        fn = _emit_largest(builder.module, context.get_value_type(src.dtype), bits)
        builder.call(fn, [*given, taps, n, rows])
        return context.get_dummy_value()

    given = k, words, pointer, k, k, types.CPointer(types.int32), pointer, k, types.CPointer(tap.dtype), k, k
    return types.void(*given), codegen


@intrinsic
def max_rows(typingctx, count, offsets, src, lds, base, first, dst, ldd, tap, n, rows):
    """dst[r*ldd + i] = max over t < count of src[offsets[t] + r*lds + i] and tap[r*ldd + i] the t, for i < n, r < rows.

    The first of equal elements, or the last NaN; ``base + first[i]`` where no element is above -inf. Up to one vector
    past the last element of src and of ``first`` is read.
    """
    return _largest(src, tap, True)


@intrinsic
def top_rows(typingctx, count, offsets, src, lds, base, first, dst, ldd, tap, n, rows):
    """As ``max_rows``, without a tap."""
    return _largest(src, tap, False)


def _emit_add_rows(module, scalar):
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    fn, new = new_function(module, f"tnn_add_rows_{PATH}_{e.suffix}", ir.VoidType(), [I64, words, p, p, I64])
    if not new:
        return fn
    count, offsets, src, dst, n = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)

    def block(at, mask):
        cell = cgutils.alloca_once_value(b, e.zero())
        with cgutils.for_range(b, count) as row:
            here = e.at(src, b.load(b.gep(offsets, [row.index])))
            x = e.load(here, at) if mask is None else e.masked_load(here, mask, at)
            b.store(b.fadd(x, b.load(cell)), cell)
        if mask is None:
            e.store(b.load(cell), dst, at)
        else:
            e.masked_store(b.load(cell), dst, mask, at)

    # What a store with a mask wrote cannot be read before it has reached the cache: masks for the last elements alone.
    whole = b.sdiv(n, lanes)
    with cgutils.for_range(b, whole) as i:
        block(b.mul(i.index, lanes), None)
    done = b.mul(whole, lanes)
    rest = b.sub(n, done)
    with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
        block(done, e.lanes_below(rest))
    b.ret_void()
    return fn


@intrinsic
def add_rows(typingctx, count, offsets, src, dst, n):
    """dst[i] = sum over t < count of src[offsets[t] + i] for i < n; nothing else is read or written."""
    k, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_add_rows(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(k, words, pointer, pointer, k), codegen


# Vectors of outputs of a signal, of windows one apart, that are in registers together (16 x 64 signals of 1000, windows
# of 3, two threads: 148 us where each tap of each vector was checked for the ends, 81 so).
_TOGETHER = 4


def _emit_top_signals(module, scalar, step):
    """Function of the arguments of ``top_signals``, for windows ``step`` (1 to 4) apart."""
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    kinds = [I64, p, I64, p, I64, I64, I64, I64]
    fn, new = new_function(module, f"tnn_top_signals{step}_{PATH}_{e.suffix}", ir.VoidType(), kinds)
    if not new:
        return fn
    rows, src, size, dst, n, taps, apart, pad = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    low, lanes = ir.Constant(e.vec, [float("-inf")] * e.lanes), ir.Constant(I64, e.lanes)
    evens = [2 * lane for lane in range(e.lanes)]
    together = _TOGETHER if step == 1 else 1
    parts = [ir.Constant(I64, part * e.lanes) for part in range(step)]
    reach = b.sub(b.mul(b.sub(taps, ir.Constant(I64, 1)), apart), pad)

    def gathered(vectors):
        if step == 3:
            places = [3 * lane for lane in range(e.lanes)]
            two = e.shuffle(*vectors[:2], [place if place < 2 * e.lanes else 0 for place in places])
            return e.shuffle(two, vectors[2], [i if place < 2 * e.lanes else place - e.lanes
                                               for i, place in enumerate(places)])  # fmt: skip
        while len(vectors) > 1:
            vectors = [e.shuffle(*vectors[i : i + 2], evens) for i in range(0, len(vectors), 2)]
        return vectors[0]

    def first_element(first, tap):
        return b.add(b.sub(b.mul(first, ir.Constant(I64, step)), pad), b.mul(tap, apart))

    def inside(first, wide):
        """Whether the windows of ``wide`` vectors lie in the signal."""
        start = b.mul(first, ir.Constant(I64, step))
        past = b.add(b.add(start, reach), ir.Constant(I64, step * wide * e.lanes))
        return b.and_(b.icmp_signed(">=", start, pad), b.icmp_signed("<=", past, size))

    def whole(line, out, first, wide):
        # That some element is a NaN is found apart: a maximum then takes one instruction.
        best = [cgutils.alloca_once_value(b, low) for _ in range(wide)]
        broken = [cgutils.alloca_once_value(b, e.zero()) for _ in range(wide)]
        for cell, bad in zip(best, broken, strict=True):
            b.store(low, cell)
            b.store(e.zero(), bad)
        with cgutils.for_range(b, taps) as tap:
            at = first_element(first, tap.index)
            for v, (cell, bad) in enumerate(zip(best, broken, strict=True)):
                skip = ir.Constant(I64, v * step * e.lanes)
                x = gathered([e.load(line, b.add(b.add(at, skip), part)) for part in parts])
                old = b.load(cell)
                b.store(b.select(b.fcmp_ordered(">", x, old), x, old), cell)
                b.store(b.select(b.fcmp_unordered("uno", x, x), x, b.load(bad)), bad)
        for v, (cell, bad) in enumerate(zip(best, broken, strict=True)):
            found = b.load(bad)
            value = b.select(b.fcmp_unordered("uno", found, found), found, b.load(cell))
            e.store(value, out, b.add(first, ir.Constant(I64, v * e.lanes)))

    best, taken = cgutils.alloca_once_value(b, low), cgutils.alloca_once_value(b, low)

    def edge(line, out, first, mask):
        b.store(low, best)
        with cgutils.for_range(b, taps) as tap:
            at, found = first_element(first, tap.index), []
            past = b.add(at, ir.Constant(I64, step * e.lanes))
            there = b.and_(b.icmp_signed(">=", at, ir.Constant(I64, 0)), b.icmp_signed("<=", past, size))
            with b.if_else(there) as (yes, no):
                with yes:
                    b.store(gathered([e.load(line, b.add(at, part)) for part in parts]), taken)
                with no:
                    for part in parts:
                        place = b.add(at, part)
                        some = e.lanes_below(b.sub(size, place))
                        some = b.and_(some, b.not_(e.lanes_below(b.neg(place))))
                        found.append(b.select(some, e.masked_load(line, some, place), low))
                    b.store(gathered(found), taken)
            x, old = b.load(taken), b.load(best)
            win = b.or_(b.fcmp_ordered(">", x, old), b.fcmp_unordered("uno", x, x))
            b.store(b.select(win, x, old), best)
        if mask is None:
            e.store(b.load(best), out, first)
        else:
            e.masked_store(b.load(best), out, mask, first)

    def single(line, out, first):
        with b.if_else(inside(first, 1)) as (yes, no):
            with yes:
                whole(line, out, first, 1)
            with no:
                edge(line, out, first, None)

    blocks = b.sdiv(n, lanes)
    with cgutils.for_range(b, rows) as row:
        line, out = e.at(src, b.mul(row.index, size)), e.at(dst, b.mul(row.index, n))
        groups = b.sdiv(blocks, ir.Constant(I64, together))
        with cgutils.for_range(b, groups) as group:
            first = b.mul(group.index, ir.Constant(I64, together * e.lanes))
            with b.if_else(inside(first, together)) as (yes, no):
                with yes:
                    whole(line, out, first, together)
                with no, cgutils.for_range(b, ir.Constant(I64, together)) as block:
                    single(line, out, b.add(first, b.mul(block.index, lanes)))
        grouped = b.mul(groups, ir.Constant(I64, together))
        with cgutils.for_range(b, b.sub(blocks, grouped)) as block:
            single(line, out, b.mul(b.add(grouped, block.index), lanes))
        done = b.mul(blocks, lanes)
        rest = b.sub(n, done)
        with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
            # The last vector overlaps the one before, if there is one.
            with b.if_else(b.icmp_signed(">=", n, lanes)) as (yes, no):
                with yes:
                    single(line, out, b.sub(n, lanes))
                with no:
                    edge(line, out, done, e.lanes_below(rest))
    b.ret_void()
    return fn


@intrinsic
def top_signals(typingctx, step, rows, src, size, dst, n, taps, apart, pad):
    """dst[r*n + i] = max over t < taps of src[r*size + i*step - pad + t*apart] for i < n and r < rows; ``step`` is 1 to
    4. What lies outside a row counts as -inf; NaN wins."""
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        for number in (1, 2, 3, 4):
            with builder.if_then(builder.icmp_signed("==", args[0], ir.Constant(I64, number))):
                builder.call(_emit_top_signals(builder.module, scalar, number), args[1:])
        return context.get_dummy_value()

    return types.void(k, k, pointer, k, pointer, k, k, k, k), codegen


def _folded(e, value):
    """The sum of a vector's lanes, in the order of a tree."""
    b, lanes = e.builder, e.lanes
    while lanes > 1:
        lanes //= 2
        value = b.fadd(e.shuffle(value, value, list(range(lanes))),
                       e.shuffle(value, value, list(range(lanes, 2 * lanes))))  # fmt: skip
    return b.extract_element(value, ir.Constant(_I32, 0))


def _emit_row_totals(module, scalar):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_row_totals_{PATH}_{e.suffix}", ir.VoidType(), [p, I64, I64, p])
    if not new:
        return fn
    src, rows, n, dst = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    wide, lanes = ir.Constant(I64, 4 * e.lanes), ir.Constant(I64, e.lanes)
    blocks = b.sdiv(n, wide)
    rest = b.sub(n, b.mul(blocks, wide))
    with cgutils.for_range(b, rows) as row:
        line = e.at(src, b.mul(row.index, n))
        cells = [cgutils.alloca_once_value(b, e.zero()) for _ in range(4)]
        with cgutils.for_range(b, blocks) as i:
            at = b.mul(i.index, wide)
            for v, cell in enumerate(cells):
                b.store(b.fadd(e.load(line, b.add(at, ir.Constant(I64, v * e.lanes))), b.load(cell)), cell)
        end = e.at(line, b.mul(blocks, wide))
        with cgutils.for_range(b, _turns(b, rest, e.lanes)) as i:
            at = b.mul(i.index, lanes)
            x = e.masked_load(end, e.lanes_below(b.sub(rest, at)), at)
            b.store(b.fadd(x, b.load(cells[0])), cells[0])
        a, c, d, f = (b.load(cell) for cell in cells)
        b.store(_folded(e, b.fadd(b.fadd(a, c), b.fadd(d, f))), e.at(dst, row.index), align=e.size)
    b.ret_void()
    return fn


@intrinsic
def row_totals(typingctx, src, rows, n, dst):
    """dst[r] = sum over i < n of src[r*n + i], for r < rows; nothing else is read or written."""
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_row_totals(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(pointer, k, k, pointer), codegen


def _emit_row_fill(module, scalar):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_row_fill_{PATH}_{e.suffix}", ir.VoidType(), [p, I64, I64, scalar, p])
    if not new:
        return fn
    src, rows, n, scale, dst = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    whole = b.sdiv(n, lanes)
    rest = b.sub(n, b.mul(whole, lanes))
    mask = e.lanes_below(rest)
    with cgutils.for_range(b, rows) as row:
        line = e.at(dst, b.mul(row.index, n))
        value = e.splat(b.fdiv(e.scalar_at(src, row.index), scale))
        with cgutils.for_range(b, whole) as i:
            e.store(value, line, b.mul(i.index, lanes))
        with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
            e.masked_store(value, line, mask, b.mul(whole, lanes))
    b.ret_void()
    return fn


@intrinsic
def row_fill(typingctx, src, rows, n, scale, dst):
    """dst[r*n + i] = src[r] / scale for i < n, r < rows."""
    k, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_row_fill(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(pointer, k, k, src.dtype, pointer), codegen


def _emit_row_max(module, scalar):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    kind = I64 if e.size == 8 else _I32
    fn, new = new_function(module, f"tnn_row_max_{PATH}_{e.suffix}", ir.VoidType(), [p, I64, p, I64.as_pointer()])
    if not new:
        return fn
    src, n, best, place = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    ints = ir.VectorType(kind, e.lanes)
    lanes = ir.Constant(I64, e.lanes)
    low = ir.Constant(e.vec, [float("-inf")] * e.lanes)
    step = ir.Constant(ints, [e.lanes] * e.lanes)
    here = cgutils.alloca_once_value(b, ir.Constant(ints, list(range(e.lanes))))
    top, where = cgutils.alloca_once_value(b, low), cgutils.alloca_once_value(b, ir.Constant(ints, [0] * e.lanes))
    with cgutils.for_range(b, _turns(b, n, e.lanes)) as i:
        at = b.mul(i.index, lanes)
        inside = e.lanes_below(b.sub(n, at))
        x = b.select(inside, e.masked_load(src, inside, at), low)
        old, number = b.load(top), b.load(here)
        win = b.or_(b.fcmp_ordered(">", x, old), b.fcmp_unordered("uno", x, x))
        b.store(b.select(win, x, old), top)
        b.store(b.select(win, number, b.load(where)), where)
        b.store(b.add(number, step), here)
    e.store(b.load(top), best)
    wide = ir.VectorType(I64, e.lanes)
    found = b.load(where)
    b.store(found if kind is I64 else b.zext(found, wide), b.bitcast(place, wide.as_pointer()), align=8)
    b.ret_void()
    return fn


@intrinsic
def row_max(typingctx, src, n, best, place):
    """best[l] = max of src[i] over i = l (mod vector_len), i < n, and place[l] where, for l < vector_len.

    The first of equal elements, or the last NaN; place 0 where no element is above -inf.
    """
    pointer = types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_row_max(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer, types.CPointer(types.intp)), codegen
