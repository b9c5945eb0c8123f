"""Row operations of convolution, as vectors: gathering and scattering runs, sums over taps, and their gradients."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import I64, PATH, Emit, new_function

# Vectors with a mask cost no more than others here; elsewhere LLVM takes them apart, and plain loops do better.
MASKS = PATH in ("avx512", "avx2")


def _emit_move(e, add, offsets, count, left, right, ldd, vectors, mask):
    """For each row: ``vectors`` vectors (the lanes of ``mask``, if given) from left to right, or added to left."""
    b = e.builder
    with cgutils.for_range(b, count) as row:
        far = e.at(left, b.load(b.gep(offsets, [row.index])))
        near = e.at(right, b.mul(row.index, ldd))
        for v in range(vectors):
            skip = v * e.lanes
            x = e.load(far, skip) if mask is None else e.masked_load(far, mask, skip)
            if add:
                x = b.fadd(x, e.load(near, skip) if mask is None else e.masked_load(near, mask, skip))
            out = far if add else near
            if mask is None:
                e.store(x, out, skip)
            else:
                e.masked_store(x, out, mask, skip)


def _emit_elements(e, add, offsets, count, left, right, ldd, length):
    b = e.builder
    with cgutils.for_range(b, count) as row:
        far = e.at(left, b.load(b.gep(offsets, [row.index])))
        near = e.at(right, b.mul(row.index, ldd))
        with cgutils.for_range(b, length) as i:
            x = e.scalar_at(far, i.index)
            if add:
                x = b.fadd(x, e.scalar_at(near, i.index))
            b.store(x, e.at(far if add else near, i.index), align=e.size)


def _emit_segments(module, scalar, add):
    """Function (count, offsets, src, pieces, table, dst, ldd): see ``copy_segments`` and ``add_segments``."""
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    name = f"tnn_{'add' if add else 'copy'}_segments_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, words, p, I64, words, p, I64])
    if not new:
        return fn
    count, offsets, src, pieces, table, dst, ldd = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    # Rows innermost: the mask and both starts stay in registers.
    with cgutils.for_range(b, pieces) as piece:
        entry = b.gep(table, [b.mul(piece.index, ir.Constant(I64, 3))])
        left = e.at(src, b.load(entry))
        right = e.at(dst, b.load(b.gep(entry, [ir.Constant(I64, 1)])))
        length = b.load(b.gep(entry, [ir.Constant(I64, 2)]))
        done = ir.Constant(I64, 0)
        for vectors in (2, 1):
            wide = ir.Constant(I64, vectors * e.lanes)
            times = b.sdiv(b.sub(length, done), wide)
            with cgutils.for_range(b, times) as i:
                at = b.add(done, b.mul(i.index, wide))
                _emit_move(e, add, offsets, count, e.at(left, at), e.at(right, at), ldd, vectors, None)
            done = b.add(done, b.mul(times, wide))
        rest = b.sub(length, done)
        with b.if_then(b.icmp_signed(">", rest, ir.Constant(I64, 0))):
            ends = e.at(left, done), e.at(right, done)
            if MASKS:
                _emit_move(e, add, offsets, count, *ends, ldd, 1, e.lanes_below(rest))
            else:
                _emit_elements(e, add, offsets, count, *ends, ldd, rest)
    b.ret_void()
    return fn


def _segments(src, add):
    n, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_segments(builder.module, context.get_value_type(src.dtype), add), args)
        return context.get_dummy_value()

    return types.void(n, words, pointer, n, words, pointer, n), codegen


@intrinsic
def copy_segments(typingctx, count, offsets, src, pieces, table, dst, ldd):
    """dst[r*ldd + t + j] = src[offsets[r] + s + j] for r < count, j < length, each (s, t, length) in the table.

    ``table`` holds ``pieces`` triples. Nothing past an end is read or written.
    """
    return _segments(src, False)


@intrinsic
def add_segments(typingctx, count, offsets, src, pieces, table, dst, ldd):
    """src[offsets[r] + s + j] += dst[r*ldd + t + j], the reverse of ``copy_segments``.

    Rows that overlap in src should not be neighbours: a load just behind an overlapping store waits for it.
    """
    return _segments(src, True)


def _emit_sums(module, scalar):
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    parts = [I64, words, p, p, I64, scalar, p, I64, I64, I64]
    fn, new = new_function(module, f"tnn_sums_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    count, offsets, weights, src, lds, base, dst, ldd, n, rows = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    start = e.splat(base)
    lanes = ir.Constant(I64, e.lanes)

    def block(left, out, high, vectors, mask):
        """``high`` rows of ``vectors`` vectors in registers."""
        cells = [[cgutils.alloca_once_value(b, start) for _ in range(vectors)] for _ in range(high)]
        steps = [b.mul(lds, ir.Constant(I64, r)) for r in range(high)]
        with cgutils.for_range(b, count) as tap:
            row = e.at(left, b.load(b.gep(offsets, [tap.index])))
            weight = e.splat(e.scalar_at(weights, tap.index))
            for step, line in zip(steps, cells, strict=True):
                here = e.at(row, step)
                for v, cell in enumerate(line):
                    b.store(e.fma(weight, e.load(here, v * e.lanes), b.load(cell)), cell)
        for r, line in enumerate(cells):
            here = e.at(out, b.mul(ldd, ir.Constant(I64, r)))
            for v, cell in enumerate(line):
                if mask is None:
                    e.store(b.load(cell), here, v * e.lanes)
                else:
                    e.masked_store(b.load(cell), here, mask, v * e.lanes)

    four = ir.Constant(I64, 4)
    with b.if_else(b.icmp_signed(">=", rows, four)) as (tall, flat):
        with tall:
            # The last four rows overlap those before, rather than to be fewer.
            most = b.sub(rows, four)
            with cgutils.for_range(b, b.sdiv(b.add(n, ir.Constant(I64, e.lanes - 1)), lanes)) as i:
                at = b.mul(i.index, lanes)
                mask = e.lanes_below(b.sub(n, at))
                with cgutils.for_range(b, b.sdiv(b.add(rows, ir.Constant(I64, 3)), four)) as j:
                    row = b.mul(j.index, four)
                    row = b.select(b.icmp_signed("<", row, most), row, most)
                    left, out = e.at(src, b.add(at, b.mul(row, lds))), e.at(dst, b.add(at, b.mul(row, ldd)))
                    block(left, out, 4, 1, mask)
        with flat, cgutils.for_range(b, rows) as j:
            left, out = e.at(src, b.mul(j.index, lds)), e.at(dst, b.mul(j.index, ldd))
            wide = ir.Constant(I64, 4 * e.lanes)
            whole = b.sdiv(n, wide)
            with cgutils.for_range(b, whole) as i:
                at = b.mul(i.index, wide)
                block(e.at(left, at), e.at(out, at), 1, 4, None)
            done = b.mul(whole, wide)
            rest = b.sub(n, done)
            with cgutils.for_range(b, b.sdiv(b.add(rest, ir.Constant(I64, e.lanes - 1)), lanes)) as i:
                at = b.mul(i.index, lanes)
                mask, at = e.lanes_below(b.sub(rest, at)), b.add(done, at)
                block(e.at(left, at), e.at(out, at), 1, 1, mask)
    b.ret_void()
    return fn


@intrinsic
def sum_rows(typingctx, count, offsets, weights, src, lds, base, dst, ldd, n, rows):
    """dst[r*ldd + i] = base + sum_t weights[t] * src[offsets[t] + r*lds + i] for r < rows, i < n, t < count.

    Up to one vector past the last element of src is read.
    """
    number, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_sums(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    given = number, words, pointer, pointer, number, src.dtype, pointer, number, number, number
    return types.void(*given), codegen


# Taps that ``some_dots`` takes at a time.
DOTS = 5


def _emit_dots(module, scalar):
    e = Emit(module, scalar)
    p, words = scalar.as_pointer(), I64.as_pointer()
    parts = [words, p, I64, p, I64, I64, I64, p]
    fn, new = new_function(module, f"tnn_dots_{PATH}_{e.suffix}", ir.VoidType(), parts)
    if not new:
        return fn
    offsets, src, lds, dy, ldd, lines, n, sums = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    cells = [cgutils.alloca_once_value(b, e.load(sums, t * e.lanes)) for t in range(DOTS)]
    rows = [e.at(src, b.load(b.gep(offsets, [ir.Constant(I64, t)]))) for t in range(DOTS)]
    with cgutils.for_range(b, b.sdiv(b.add(n, ir.Constant(I64, e.lanes - 1)), lanes)) as i:
        at = b.mul(i.index, lanes)
        mask = e.lanes_below(b.sub(n, at))
        with cgutils.for_range(b, lines) as line:
            near, far = b.add(b.mul(line.index, ldd), at), b.add(b.mul(line.index, lds), at)
            grad = e.masked_load(dy, mask, near)
            for row, cell in zip(rows, cells, strict=True):
                x = e.masked_load(row, mask, far)
                b.store(e.fma(grad, x, b.load(cell)), cell)
    for t, cell in enumerate(cells):
        e.store(b.load(cell), sums, t * e.lanes)
    b.ret_void()
    return fn


@intrinsic
def some_dots(typingctx, offsets, src, lds, dy, ldd, lines, n, sums):
    """sums[t, i % vector_len] += sum over lines l, i < n of dy[l*ldd + i] * src[offsets[t] + l*lds + i], for t < DOTS.

    ``sums``: DOTS vectors, of which the caller adds the elements.
    """
    number, pointer, words = types.intp, types.CPointer(src.dtype), types.CPointer(types.intp)

    def codegen(context, builder, sig, args):
        builder.call(_emit_dots(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(words, pointer, number, pointer, number, number, number, pointer), codegen


def _emit_put(module, scalar):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    fn, new = new_function(module, f"tnn_put_{PATH}_{e.suffix}", ir.VoidType(), [I64, p, I64, I64, I64, p, I64, I64])
    if not new:
        return fn
    rows, src, lds, lo, hi, dst, ldd, n = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    with cgutils.for_range(b, b.sdiv(b.add(n, ir.Constant(I64, e.lanes - 1)), lanes)) as i:
        at = b.mul(i.index, lanes)
        free = b.and_(b.icmp_signed(">=", at, lo), b.icmp_signed("<=", b.add(at, lanes), hi))
        free = b.and_(free, b.icmp_signed("<=", b.add(at, lanes), n))
        with b.if_else(free) as (whole, part):
            for masked, side in ((False, whole), (True, part)):
                with side:
                    _emit_part_rows(e, rows, src, lds, lo, hi, dst, ldd, n, at, [at], masked, 1)
    b.ret_void()
    return fn


@intrinsic
def put_rows(typingctx, rows, src, lds, lo, hi, dst, ldd, n):
    """dst[r*ldd + i] = src[r*lds + i] if lo <= i < hi else 0, for i < n and r < rows; only where ``MASKS`` is true."""
    number, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_put(builder.module, context.get_value_type(src.dtype)), args)
        return context.get_dummy_value()

    return types.void(number, pointer, number, number, number, pointer, number, number), codegen


def alternate(e, width):
    """(even, odd): which of the elements of two vectors are in runs of ``width`` of an even and of an odd number."""
    lanes = [2 * i - i % width for i in range(e.lanes)]
    return lanes, [i + width for i in lanes]


def _parts(e, vectors, width):
    """The runs of ``width`` elements of some vectors, dealt out to as many vectors in turn."""
    if len(vectors) == 1:
        return vectors
    sides = []
    for chosen in alternate(e, width):
        half = [e.shuffle(x, y, chosen) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        sides.append(_parts(e, half, width))
    return [x for pair in zip(*sides, strict=True) for x in pair]


def _emit_part(module, scalar, width, ways=2):
    e = Emit(module, scalar)
    p = scalar.as_pointer()
    name = f"tnn_part{ways}_{width}_{PATH}_{e.suffix}"
    fn, new = new_function(module, name, ir.VoidType(), [I64, p, I64, I64, I64, p, I64, I64])
    if not new:
        return fn
    rows, src, lds, lo, hi, dst, ldd, n = fn.args
    b = e.builder = ir.IRBuilder(fn.append_basic_block("entry"))
    lanes = ir.Constant(I64, e.lanes)
    with cgutils.for_range(b, b.sdiv(b.add(n, ir.Constant(I64, e.lanes - 1)), lanes)) as i:
        at = b.mul(i.index, lanes)
        places = [b.add(b.mul(at, ir.Constant(I64, ways)), ir.Constant(I64, p * e.lanes)) for p in range(ways)]
        # Where all of it lies inside there are no masks to make: a row of 3000, by two, takes half the time.
        after = b.add(places[-1], lanes)
        free = b.and_(b.icmp_signed(">=", places[0], lo), b.icmp_signed("<=", after, hi))
        free = b.and_(free, b.icmp_signed("<=", b.add(at, lanes), n))
        with b.if_else(free) as (whole, part):
            for masked, side in ((False, whole), (True, part)):
                with side:
                    _emit_part_rows(e, rows, src, lds, lo, hi, dst, ldd, n, at, places, masked, width)
    b.ret_void()
    return fn


def _emit_part_rows(e, rows, src, lds, lo, hi, dst, ldd, n, at, places, masked, width):
    """One vector of each part, in all rows."""
    b = e.builder
    if masked:
        mask = e.lanes_below(b.sub(n, at))
        insides = [b.and_(e.lanes_below(b.sub(hi, p)), b.not_(e.lanes_below(b.sub(lo, p)))) for p in places]
    with cgutils.for_range(b, rows) as row:
        far, near = b.mul(row.index, lds), b.add(at, b.mul(row.index, ldd))
        if masked:
            found = [e.masked_load(src, m, b.add(far, place)) for m, place in zip(insides, places, strict=True)]
        else:
            found = [e.load(src, b.add(far, place)) for place in places]
        for phase, x in enumerate(_parts(e, found, width)):
            to = b.add(near, b.mul(n, ir.Constant(I64, phase))) if phase else near
            if masked:
                e.masked_store(x, dst, mask, to)
            else:
                e.store(x, dst, to)


def by_width(builder, module, scalar, width, emit, args):
    """Calls the function that ``emit`` makes for ``width``, a divisor of the lanes; does nothing for other widths."""
    here, out = builder.function, builder.function.append_basic_block("width_done")
    switch = builder.switch(width, out)
    some = 1
    while some <= Emit(module, scalar).lanes:
        block = here.append_basic_block("width")
        switch.add_case(ir.Constant(I64, some), block)
        builder.position_at_end(block)
        builder.call(emit(module, scalar, some), args)
        builder.branch(out)
        some *= 2
    builder.position_at_end(out)


@intrinsic
def part_rows(typingctx, rows, src, lds, lo, hi, dst, ldd, n):
    """dst[r*ldd + i] = src[r*lds + 2i], dst[r*ldd + n + i] = src[r*lds + 2i + 1] for i < n and r < rows.

    0 for indices of a row outside lo..hi; only where ``MASKS`` is true.
    """
    number, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_part(builder.module, context.get_value_type(src.dtype), 1), args)
        return context.get_dummy_value()

    return types.void(number, pointer, number, number, number, pointer, number, number), codegen


@intrinsic
def part_rows_by_four(typingctx, rows, src, lds, lo, hi, dst, ldd, n):
    """As ``part_rows``, by remainders modulo four."""
    number, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_part(builder.module, context.get_value_type(src.dtype), 1, 4), args)
        return context.get_dummy_value()

    return types.void(number, pointer, number, number, number, pointer, number, number), codegen


@intrinsic
def part_rows_by_eight(typingctx, rows, src, lds, lo, hi, dst, ldd, n):
    """As ``part_rows``, by remainders modulo eight."""
    number, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        builder.call(_emit_part(builder.module, context.get_value_type(src.dtype), 1, 8), args)
        return context.get_dummy_value()

    return types.void(number, pointer, number, number, number, pointer, number, number), codegen


@intrinsic
def part_runs(typingctx, rows, src, lds, lo, hi, dst, ldd, n, width):
    """As ``part_rows`` with runs of ``width`` elements instead of single ones; ``width`` divides vector_len."""
    number, pointer = types.intp, types.CPointer(src.dtype)

    def codegen(context, builder, sig, args):
        scalar = context.get_value_type(src.dtype)
        by_width(builder, builder.module, scalar, args[8], _emit_part, args[:8])
        return context.get_dummy_value()

    return types.void(number, pointer, number, number, number, pointer, number, number, number), codegen
