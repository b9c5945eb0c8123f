"""Entries of elementwise kernels: `kernel.small(x, ...)` returns a new array, or None for what it leaves to others.

Small arrays go through a kernel's loop right here, large ones through the parallel driver that the general way uses
too (see _elementwise.py), without the interpreter's lock: measured 5 us for relu of 32,768 floats, where it took 8.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._entry import (
    ARRAY,
    F32,
    F64,
    OWN,
    TRUE,
    declined,
    dim,
    enter,
    held,
    invoke,
    is_array,
    is_float,
    leave,
    matrix,
    ndim,
    new_like,
    own_words,
    same_shape,
    size,
    vector,
)
from ._jit import GRAIN, PLAIN
from ._words import DATA, DTYPE, FLAGS, TYPE, VALUE, WORD, double, half_word, put, room, word

# Own words: the loops for float32 and float64 (0: not compiled yet), the dtypes of the first operand and of the result
# where these are not that of the other elements (0: they are), the drivers of flat arrays and of broadcast ones for
# float32 and float64 (0: not compiled yet).
LOOP32, LOOP64, FIRST, RESULT, FLAT32, FLAT64, STRIDED32, STRIDED64 = range(OWN, OWN + 8)
# Those of `within` begin alike; then the driver for addresses, and whether the last operand is the one to overwrite.
DRIVER, LAST = OWN + 4, OWN + 6


@intrinsic
def run_at(typingctx, loop, out, a, b, c, n, sa, sb, sc, p, q):
    """Call the compiled loop at address `loop` on addresses; see `_call` in _walk.py."""

    def codegen(context, builder, signature, args):
        pointer = ir.IntType(8).as_pointer()
        nothing = cgutils.alloca_once(builder, pointer)
        raised = cgutils.alloca_once(builder, pointer)
        leading = [builder.bitcast(nothing, pointer), builder.bitcast(raised, pointer)]
        kind = ir.FunctionType(ir.IntType(32), [pointer] * 6 + [WORD] * 4 + [ir.DoubleType()] * 2)
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [*leading, *(builder.inttoptr(a, pointer) for a in args[1:5]), *args[5:]])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9, types.float64, types.float64), codegen


@njit(**PLAIN)
def _loop_for(words, dtype):
    """The loop for the dtype at an address; 0 where there is none."""
    if dtype == word(words + 8 * F32):
        return word(words + 8 * LOOP32)
    if dtype == word(words + 8 * F64):
        return word(words + 8 * LOOP64)
    return 0


@njit(**PLAIN)
def _driver_for(words, dtype, first):
    """The driver for the dtype at an address; `first`: FLAT32 or STRIDED32. 0 where there is none."""
    return word(words + 8 * (first if dtype == word(words + 8 * F32) else first + 1))


@njit(**PLAIN)
def _sizes(words, dtype):
    """Bytes in an element of the result, of the first operand, and of the others; what is special is a bool."""
    item = 4 if dtype == word(words + 8 * F32) else 8
    return 1 if word(words + 8 * RESULT) else item, 1 if word(words + 8 * FIRST) else item, item


@njit(**PLAIN)
def _driven(words, driver, sizes, loop, out, a, b, n, na, nb, dims, rows, p, q):
    """The driver of broadcast operands on addresses, with as many elements as each has; dims: the address of rows of
    (size, stride in a, in b, in c), see `plan` in _walk.py."""
    thread = leave(words)
    x, y = vector(a, na, sizes[1]), vector(b, nb, sizes[2])
    invoke(driver, (loop,) + vector(out, n, sizes[0]) + x + y + y + matrix(dims, rows, 4, 8) + (p, q))
    enter(words, thread)


@njit(**PLAIN)
def _put_row(dims, row, size, a, b, c):
    at = dims + 32 * row
    put(at, size)
    put(at + 8, a)
    put(at + 16, b)
    put(at + 24, c)


@njit(**PLAIN)
def _parameters(words, args, first, count):
    """(whether the arguments from `first` on are floats, the first of them, the second); 0 in place of missing ones."""
    p = q = 0.0
    good = count <= first + 2
    if good and count > first:
        x = word(args + 8 * first)
        good = is_float(words, x)
        if good:
            p = double(x + VALUE)
    if good and count > first + 1:
        x = word(args + 8 * first + 8)
        good = is_float(words, x)
        if good:
            q = double(x + VALUE)
    return good, p, q


@njit(**PLAIN)
def _result(words, like, dtype):
    """A new array for the result."""
    special = word(words + 8 * RESULT)
    return new_like(words, like, special if special else dtype)


@njit(**PLAIN)
def unary(own, args, count):
    """small(a, p, q)"""
    words = own_words(own)
    if count < 1:
        return declined(words)
    a = word(args)
    if not is_array(words, a):
        return declined(words)
    good, p, q = _parameters(words, args, 1, count)
    n, dtype = size(a), word(a + DTYPE)
    loop, flat = _loop_for(words, dtype), _driver_for(words, dtype, FLAT32)
    if not good or loop == 0 or (n >= GRAIN and flat == 0):
        return declined(words)
    out = _result(words, a, dtype)
    if out:
        x, sizes = word(a + DATA), _sizes(words, dtype)
        if n < GRAIN:
            run_at(loop, word(out + DATA), x, x, x, n, 1, 1, 1, p, q)
        else:
            thread = leave(words)
            invoke(flat, (loop,) + vector(word(out + DATA), n, sizes[0]) + vector(x, n, sizes[1]) + (p, q))
            enter(words, thread)
    return out


@njit(**PLAIN)
def _ends_with(x, y):
    """Whether the last dimensions of x are those of y, but for leading ones of size 1 in y."""
    nx, ny = ndim(x), ndim(y)
    if ny > nx:
        return False
    k = 0
    while k < ny and dim(y, k) == 1:
        k += 1
    same = True
    for i in range(k, ny):
        same = same and dim(y, i) == dim(x, nx - ny + i)
    return same


@njit(**PLAIN)
def _column_of(x, y):
    """Whether y has the dimensions of x, but for the last, which is 1."""
    n = ndim(x)
    same = n == ndim(y) and n > 0 and dim(y, n - 1) == 1
    if same:
        for i in range(n - 1):
            same = same and dim(y, i) == dim(x, i)
    return same


@njit(**PLAIN)
def _rows(words, loop, out, like, a, b, dtype, width, step_a, step_b, sa, sb, p, q):
    """The loop on rows of `width` elements of arrays a and b, with strides sa and sb; from row to row a and b move on
    by step_a and step_b elements. The result is out, of the size of `like`; returns out."""
    if out == 0:
        return out
    n, sizes = size(like), _sizes(words, dtype)
    to, x, y = word(out + DATA), word(a + DATA), word(b + DATA)
    if n < GRAIN:
        for i in range(n // width):
            v, w = x + i * step_a * sizes[2], y + i * step_b * sizes[2]
            run_at(loop, to + i * width * sizes[0], v, w, w, width, sa, sb, sb, p, q)
    else:
        dims = room()
        _put_row(dims, 0, n // width, step_a, step_b, step_b)
        _put_row(dims, 1, width, sa, sb, sb)
        driver = _driver_for(words, dtype, STRIDED32)
        _driven(words, driver, sizes, loop, to, x, y, n, size(a), size(b), dims, 2, p, q)
    return out


@njit(**PLAIN)
def binary(own, args, count):
    """small(a, b, p, q), for one shape and for operands that are repeated as a whole or along their last dimension."""
    words = own_words(own)
    if count < 2:
        return declined(words)
    a, b = word(args), word(args + 8)
    if not (is_array(words, a) and is_array(words, b)):
        return declined(words)
    good, p, q = _parameters(words, args, 2, count)
    n, m, dtype = size(a), size(b), word(b + DTYPE)
    loop = _loop_for(words, dtype)
    if not good or loop == 0 or word(a + DTYPE) != dtype:
        return declined(words)
    if same_shape(a, b):
        flat = _driver_for(words, dtype, FLAT32)
        if n >= GRAIN and flat == 0:
            return declined(words)
        out = _result(words, a, dtype)
        if out:
            to, x, y, sizes = word(out + DATA), word(a + DATA), word(b + DATA), _sizes(words, dtype)
            if n < GRAIN:
                run_at(loop, to, x, y, y, n, 1, 1, 1, p, q)
            else:
                thread = leave(words)
                operands = vector(to, n, sizes[0]) + vector(x, n, sizes[1]) + vector(y, n, sizes[2])
                invoke(flat, (loop,) + operands + (p, q))
                enter(words, thread)
        return out
    large = n >= GRAIN or m >= GRAIN
    if n == 0 or m == 0 or (large and _driver_for(words, dtype, STRIDED32) == 0):
        return declined(words)
    if _ends_with(a, b):
        width, step, stride = (n, 0, 0) if m == 1 else (m, m, 1)
        return _rows(words, loop, _result(words, a, dtype), a, a, b, dtype, width, step, 0, 1, stride, p, q)
    if _ends_with(b, a):
        width, step, stride = (m, 0, 0) if n == 1 else (n, n, 1)
        return _rows(words, loop, _result(words, b, dtype), b, a, b, dtype, width, 0, step, stride, 1, p, q)
    if _column_of(a, b):
        k = n // m
        return _rows(words, loop, _result(words, a, dtype), a, a, b, dtype, k, k, 1, 1, 0, p, q)
    if _column_of(b, a):
        k = m // n
        return _rows(words, loop, _result(words, b, dtype), b, a, b, dtype, k, 1, k, 0, 1, p, q)
    return declined(words)


@njit(**PLAIN)
def ternary(own, args, count):
    """small(a, b, c, p, q), for operands of one shape, those of one element repeated."""
    words = own_words(own)
    if count < 3:
        return declined(words)
    a, b, c = word(args), word(args + 8), word(args + 16)
    if not (is_array(words, a) and is_array(words, b) and is_array(words, c)):
        return declined(words)
    good, p, q = _parameters(words, args, 3, count)
    dtype, first = word(c + DTYPE), word(words + 8 * FIRST)
    loop = _loop_for(words, dtype)
    if not good or loop == 0 or word(b + DTYPE) != dtype or word(a + DTYPE) != (first if first else dtype):
        return declined(words)
    full = a
    for x in (b, c):
        if size(x) > size(full) or (size(x) == size(full) and ndim(x) > ndim(full)):
            full = x
    n = size(full)
    for x in (a, b, c):
        good = good and (same_shape(x, full) or (size(x) == 1 and ndim(x) <= ndim(full)))
    driver = _driver_for(words, dtype, STRIDED32)
    if not good or (n >= GRAIN and driver == 0):
        return declined(words)
    out = _result(words, full, dtype)
    if out:
        sa, sb, sc = size(a) == n, size(b) == n, size(c) == n
        to, x, y, z = word(out + DATA), word(a + DATA), word(b + DATA), word(c + DATA)
        if n < GRAIN:
            run_at(loop, to, x, y, z, n, sa, sb, sc, p, q)
        else:
            dims, sizes = room(), _sizes(words, dtype)
            _put_row(dims, 0, n, sa, sb, sc)
            thread = leave(words)
            first, second = vector(x, size(a), sizes[1]), vector(y, size(b), sizes[2])
            operands = first + second + vector(z, size(c), sizes[2])
            invoke(driver, (loop,) + vector(to, n, sizes[0]) + operands + matrix(dims, 1, 4, 8) + (p, q))
            enter(words, thread)
    return out


_WRITEABLE = 0x400


@njit(**PLAIN)
def _fits(out, x):
    """How an operand lies under out: 1 one element for each, 2 one for all, 3 a row for all, 4 one for each row; 0 in
    another way."""
    if same_shape(out, x):
        return 1
    if ndim(x) > ndim(out) or size(x) == 0:
        return 0
    if size(x) == 1:
        return 2
    if _ends_with(out, x):
        return 3
    return 4 if _column_of(out, x) else 0


@njit(**PLAIN)
def _apart(out, x, fit, item, own):
    """Whether an operand is out itself, or none of out's memory."""
    at, start = word(out + DATA), word(x + DATA)
    if at == start and fit == 1 and item == own:
        return True
    return start + size(x) * item <= at or at + size(out) * own <= start


@njit(**PLAIN)
def within(own, args, count):
    """within(a, b, c, p, q): overwrites a, or c. Returns True."""
    words = own_words(own)
    if count != 5:
        return declined(words)
    out, first = word(args + 16) if word(words + 8 * LAST) else word(args), word(words + 8 * FIRST)
    good, p, q = _parameters(words, args, 3, count)
    if not good or not is_array(words, out) or half_word(out + FLAGS) & _WRITEABLE == 0:
        return declined(words)
    dtype, n = word(out + DTYPE), size(out)
    loop, driver, sizes = _loop_for(words, dtype), word(words + 8 * DRIVER), _sizes(words, dtype)
    if n == 0 or loop == 0 or driver == 0:
        return declined(words)
    width = n
    for i in range(3):
        x = word(args + 8 * i)
        if x == out:
            continue
        special = first != 0 and i == 0
        if not is_array(words, x) or word(x + DTYPE) != (first if special else dtype):
            return declined(words)
        fit = _fits(out, x)
        if fit == 0 or not _apart(out, x, fit, sizes[1] if special else sizes[2], sizes[2]):
            return declined(words)
        if fit > 2:
            wanted = size(x) if fit == 3 else n // size(x)
            if width != n and width != wanted:
                return declined(words)
            width = wanted
    dims = room()
    put(dims, n // width)
    put(dims + 32, width)
    for i in range(3):
        fit = _fits(out, word(args + 8 * i))
        put(dims + 8 + 8 * i, width if fit == 1 else 1 if fit == 4 else 0)
        put(dims + 40 + 8 * i, 1 if fit == 1 or fit == 3 else 0)
    a, b, c = (word(word(args) + DATA), word(word(args + 8) + DATA), word(word(args + 16) + DATA))
    if n < GRAIN:
        for r in range(n // width):
            x, y = a + r * word(dims + 8) * sizes[1], b + r * word(dims + 16) * sizes[2]
            z = c + r * word(dims + 24) * sizes[2]
            run_at(loop, 0, x, y, z, width, word(dims + 40), word(dims + 48), word(dims + 56), p, q)
    else:
        thread = leave(words)
        items = (sizes[2], sizes[1], sizes[2])
        invoke(driver, (loop, 0, a, b, c) + items + (n,) + matrix(dims, 2, 4, 8) + (p, q))
        enter(words, thread)
    return held(words, word(words + 8 * TRUE))


# Own word of `drive`: the driver for addresses.
AT = OWN


@njit(**PLAIN)
def drive(own, args, count):
    """drive(target, a, b, c, head, dims, p, q): the driver for addresses on ndarrays with any strides, under which dims
    lies (see `plan_at` in _walk.py). head: words, the loop, bytes of an element of the target, of a, of b and c,
    and whether the loop writes into an operand, which the target then is. Returns True. (From Python the driver alone
    takes 3 us.)"""
    words = own_words(own)
    if count != 8:
        return declined(words)
    for i in range(6):
        if word(word(args + 8 * i) + TYPE) != word(words + 8 * ARRAY):
            return declined(words)
    target, head, dims = word(args), word(word(args + 32) + DATA), word(args + 40)
    good, p, q = _parameters(words, args, 6, count)
    if not good:
        return declined(words)
    thread = leave(words)
    to = 0 if word(head + 32) else word(target + DATA)
    operands = (word(word(args + 8) + DATA), word(word(args + 16) + DATA), word(word(args + 24) + DATA))
    items = (word(head + 8), word(head + 16), word(head + 24))
    plan = matrix(word(dims + DATA), dim(dims, 0), 4, 8)
    invoke(word(words + 8 * AT), (word(head), to) + operands + items + (size(target),) + plan + (p, q))
    enter(words, thread)
    return held(words, word(words + 8 * TRUE))
