"""Entries of elementwise kernels: `kernel.small(x, ...)` returns a new array, or None for what it leaves to others."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._entry import (
    DATA,
    DTYPE,
    F32,
    F64,
    OWN,
    PLAIN,
    VALUE,
    WORD,
    declined,
    dim,
    double,
    is_array,
    is_float,
    ndim,
    new_like,
    own_words,
    same_shape,
    size,
    word,
)
from ._jit import GRAIN

# Own words: the loops for float32 and float64 (0: not compiled yet), the dtypes of the first operand and of the result
# where these are not that of the other elements (0: they are).
LOOP32, LOOP64, FIRST, RESULT = range(OWN, OWN + 4)


@intrinsic
def _run(typingctx, loop, out, a, b, c, n, sa, sb, sc, p, q):
    """Call the compiled loop at address `loop` on addresses; see `_call` in _elementwise.py."""

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
    loop = _loop_for(words, dtype)
    if not good or loop == 0 or n >= GRAIN:
        return declined(words)
    out = _result(words, a, dtype)
    if out:
        x = word(a + DATA)
        _run(loop, word(out + DATA), x, x, x, n, 1, 1, 1, p, q)
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
def _rows(loop, out, a, b, n, width, sizes, step_a, step_b, sa, sb, p, q):
    """The loop on rows of `width` elements; from row to row a and b move on by step_a and step_b elements. sizes: bytes
    in an element of out, and of a and b."""
    for i in range(n // width):
        x, y = a + i * step_a * sizes[1], b + i * step_b * sizes[1]
        _run(loop, out + i * width * sizes[0], x, y, y, width, sa, sb, sb, p, q)


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
    if not good or loop == 0 or n >= GRAIN or m >= GRAIN or word(a + DTYPE) != dtype:
        return declined(words)
    if same_shape(a, b):
        out = _result(words, a, dtype)
        if out:
            _run(loop, word(out + DATA), word(a + DATA), word(b + DATA), word(b + DATA), n, 1, 1, 1, p, q)
        return out
    if n == 0 or m == 0:
        return declined(words)
    item = 4 if dtype == word(words + 8 * F32) else 8
    sizes = (1 if word(words + 8 * RESULT) else item, item)  # a special result is a bool
    if _ends_with(a, b):
        out = _result(words, a, dtype)
        if out and m == 1:
            _run(loop, word(out + DATA), word(a + DATA), word(b + DATA), word(b + DATA), n, 1, 0, 0, p, q)
        elif out:
            _rows(loop, word(out + DATA), word(a + DATA), word(b + DATA), n, m, sizes, m, 0, 1, 1, p, q)
        return out
    if _ends_with(b, a):
        out = _result(words, b, dtype)
        if out and n == 1:
            _run(loop, word(out + DATA), word(a + DATA), word(b + DATA), word(b + DATA), m, 0, 1, 1, p, q)
        elif out:
            _rows(loop, word(out + DATA), word(a + DATA), word(b + DATA), m, n, sizes, 0, n, 1, 1, p, q)
        return out
    if _column_of(a, b):
        out = _result(words, a, dtype)
        if out:
            _rows(loop, word(out + DATA), word(a + DATA), word(b + DATA), n, n // m, sizes, n // m, 1, 1, 0, p, q)
        return out
    if _column_of(b, a):
        out = _result(words, b, dtype)
        if out:
            _rows(loop, word(out + DATA), word(a + DATA), word(b + DATA), m, m // n, sizes, 1, m // n, 0, 1, p, q)
        return out
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
    if not good or n >= GRAIN:
        return declined(words)
    out = _result(words, full, dtype)
    if out:
        sa, sb, sc = size(a) == n, size(b) == n, size(c) == n
        _run(loop, word(out + DATA), word(a + DATA), word(b + DATA), word(c + DATA), n, sa, sb, sc, p, q)
    return out
