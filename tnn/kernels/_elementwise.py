"""Elementwise kernels from one-line formulas.

A formula is a plain function of scalars under a decorator that makes a kernel of it:

    @binary
    def silu_backward(g, x):
        s = sigmoid(x)
        return g * s * (1.0 + x * (1.0 - s))

    silu_backward(g, x, out)        # arrays: 1-D, C-contiguous, all float32 or all float64; out is written

A formula takes one to three elements and then up to two parameters, floats that are the same for all elements. Its
float constants are read in the type of the elements, so that float32 stays float32. Functions from `_math` may be
called, and formulas of one's own under `@scalar`.

For each formula and type the loop over a run of elements is compiled, at its first use, as a serial function. What
walks through arrays is compiled once for all formulas: `_flat1` ... `_flat3` and `_strided` of _walk.py get the address
of a loop and call it. A cold formula costs 0.1 s where a parallel kernel of its own would cost 0.5 s.
"""

import inspect
import types as pytypes
from functools import lru_cache

import ml_dtypes
import numpy as np
from numba import njit, types
from numba.core import config
from numba.extending import overload

from . import _small
from ._entry import address_for, builtin, decline, due
from ._jit import JIT
from ._math import MATH
from ._walk import _flat1, _flat2, _flat3, _plain, _strided, strided_at
from ._words import address
from .cast import brain_of_float, float_of_brain, float_of_half, half_of_float

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
# The other types that loops are made for: those over addresses, `strided_at`'s. A bool is a byte of 0 or 1.
WHOLE = {
    np.dtype(np.int64): types.int64,
    np.dtype(np.int32): types.int32,
    np.dtype(np.uint8): types.uint8,
    np.dtype(np.bool_): types.uint8,
}
ELEMENTS = {F32: types.float32, F64: types.float64, **WHOLE}
# Half precisions: their loops, over addresses too, take bits, compute in float32 and round. How to do both.
HALVES = {
    np.dtype(np.float16): (float_of_half, half_of_float),
    np.dtype(ml_dtypes.bfloat16): (float_of_brain, brain_of_float),
}

# Elementwise arithmetic is to give IEEE's results: no reassociation, no reciprocals in place of divisions.
_LOOP = {"cache": True, "nogil": JIT["nogil"], "error_model": "numpy", "fastmath": {"contract"}}

KERNELS = []


def _in_type(formula, kind):
    """The formula with its float constants in one type, np.float32 or np.float64."""
    code = formula.__code__
    constants = tuple(kind(c) if type(c) is float else c for c in code.co_consts)
    typed = pytypes.FunctionType(
        code.replace(co_consts=constants), formula.__globals__, formula.__name__, None, formula.__closure__
    )
    typed.__module__, typed.__qualname__ = formula.__module__, formula.__qualname__
    return typed


def scalar(formula):
    """Lets other formulas call this one."""

    def choose(*args):
        if isinstance(args[0], types.Float):
            return _in_type(formula, np.float32 if args[0].bitwidth == 32 else np.float64)
        return None

    overload(formula, jit_options=MATH, strict=False)(choose)
    return formula


# (elements, parameters) of a formula -> the same formula with three elements and two parameters
_FULL = {
    (1, 0): lambda f: lambda a, b, c, p, q: f(a),
    (1, 1): lambda f: lambda a, b, c, p, q: f(a, p),
    (1, 2): lambda f: lambda a, b, c, p, q: f(a, p, q),
    (2, 0): lambda f: lambda a, b, c, p, q: f(a, b),
    (2, 1): lambda f: lambda a, b, c, p, q: f(a, b, p),
    (2, 2): lambda f: lambda a, b, c, p, q: f(a, b, p, q),
    (3, 0): lambda f: lambda a, b, c, p, q: f(a, b, c),
    (3, 1): lambda f: lambda a, b, c, p, q: f(a, b, c, p),
    (3, 2): lambda f: lambda a, b, c, p, q: f(a, b, c, p, q),
}


def _through(f, up, down, first):
    """The same on elements that `up` makes numbers of; `down` is for the result. first: the first element is one."""
    if first:
        return lambda a, b, c, p, q: down(f(a, up(b), up(c), p, q))
    return lambda a, b, c, p, q: down(f(up(a), up(b), up(c), p, q))


def _number_right(f):
    return lambda a, b, c, p, q: f(a, p)


def _number_left(f):
    return lambda a, b, c, p, q: f(p, a)


def _loop1(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        for i in range(n):
            out[i] = f(a[i], a[i], a[i], p, q)

    return loop


def _loop2(f, kind):
    # A contiguous run of a broadcast operand is either elements in a row or one element again and again.
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        if sb == 0:
            y = b[0]
            if sa == 0:
                x = a[0]
                for i in range(n):
                    out[i] = f(x, y, y, p, q)
            else:
                for i in range(n):
                    out[i] = f(a[i], y, y, p, q)
        elif sa == 0:
            x = a[0]
            for i in range(n):
                out[i] = f(x, b[i], x, p, q)
        else:
            for i in range(n):
                out[i] = f(a[i], b[i], b[i], p, q)

    return loop


def _loop3(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        if sa == 1 and sb == 1 and sc == 1:
            for i in range(n):
                out[i] = f(a[i], b[i], c[i], p, q)
        elif sa == 1 and sb == 1:
            z = c[0]
            for i in range(n):
                out[i] = f(a[i], b[i], z, p, q)
        elif sa == 1 and sc == 1:
            y = b[0]
            for i in range(n):
                out[i] = f(a[i], y, c[i], p, q)
        elif sa == 1:
            y, z = b[0], c[0]
            for i in range(n):
                out[i] = f(a[i], y, z, p, q)
        else:
            for i in range(n):
                out[i] = f(a[i * sa], b[i * sb], c[i * sc], p, q)

    return loop


_LOOPS = (_loop1, _loop2, _loop3)


# Loops that write where an operand lies. They do not get its address twice: a loop that has to expect that its arrays
# overlap does not vectorise, and one whose result goes through other memory first took twice as long.


def _own1(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        for i in range(n):
            a[i] = f(a[i], a[i], a[i], p, q)

    return loop


def _own2(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        if sb == 0:
            y = b[0]
            for i in range(n):
                a[i] = f(a[i], y, y, p, q)
        else:
            for i in range(n):
                a[i] = f(a[i], b[i], b[i], p, q)

    return loop


def _own3(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        if sb == 1 and sc == 1:
            for i in range(n):
                a[i] = f(a[i], b[i], c[i], p, q)
        elif sb == 1:
            z = c[0]
            for i in range(n):
                a[i] = f(a[i], b[i], z, p, q)
        else:
            y = b[0]
            for i in range(n):
                a[i] = f(a[i], y, c[i * sc], p, q)

    return loop


def _own_last(f, kind):
    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        p, q = kind(p), kind(q)
        if sa == 1 and sb == 0:
            y = b[0]
            for i in range(n):
                c[i] = f(a[i], y, c[i], p, q)
        else:
            for i in range(n):
                c[i] = f(a[i * sa], b[i * sb], c[i], p, q)

    return loop


_OWN = (_own1, _own2, _own3)


def _loop_mended(f, rest, up, down, kind, limit):
    limit = kind(limit)

    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        beyond = 0
        for i in range(n):
            beyond += abs(up(a[i])) > limit
        if beyond == 0:
            for i in range(n):
                out[i] = down(f(up(a[i])))
        else:
            for i in range(n):
                out[i] = down(rest(up(a[i])))

    return loop


def _loop2_mended(f, rest, holds, up, down):
    """A loop of two elements whose formula vectorises but holds only for some pairs: a run with another one goes
    through `rest`."""

    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        beyond = 0
        if sb == 0:
            y = up(b[0])
            for i in range(n):
                beyond += not holds(up(a[i * sa]), y)
            if beyond == 0:
                for i in range(n):
                    out[i] = down(f(up(a[i * sa]), y))
        elif sa == 0:
            x = up(a[0])
            for i in range(n):
                beyond += not holds(x, up(b[i]))
            if beyond == 0:
                for i in range(n):
                    out[i] = down(f(x, up(b[i])))
        else:
            for i in range(n):
                beyond += not holds(up(a[i]), up(b[i]))
            if beyond == 0:
                for i in range(n):
                    out[i] = down(f(up(a[i]), up(b[i])))
        if beyond:
            for i in range(n):
                out[i] = down(rest(up(a[i * sa]), up(b[i * sb])))

    return loop


def _loop1_mended(f, rest, holds, up, down, kind, left):
    """The same with a number for one of the two."""

    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        y = kind(p)
        beyond = 0
        if left:
            for i in range(n):
                beyond += not holds(y, up(a[i]))
            if beyond == 0:
                for i in range(n):
                    out[i] = down(f(y, up(a[i])))
            else:
                for i in range(n):
                    out[i] = down(rest(y, up(a[i])))
        else:
            for i in range(n):
                beyond += not holds(up(a[i]), y)
            if beyond == 0:
                for i in range(n):
                    out[i] = down(f(up(a[i]), y))
            else:
                for i in range(n):
                    out[i] = down(rest(up(a[i]), y))

    return loop


def _head(loop, *items_and_own):
    """What `_small.drive` wants to know of a loop."""
    return np.array([loop, *items_and_own, *[0] * (4 - len(items_and_own))], np.int64)


def _arguments(target, a, b, c, head, dims, p, q):
    """Those of `strided_at`."""
    loop, *items, own = head.tolist()
    places = 0 if own else address(target), address(a), address(b), address(c)
    return loop, *places, tuple(items), target.size, dims, p, q


_entry = [decline]


def _drive(*args):
    """`strided_at` on ndarrays, by way of an entry once that is due."""
    if _entry[0](*args) is None:
        given = _arguments(*args)
        strided_at(*given)
        if _entry[0] is decline and due(_small.drive):
            _entry[0] = builtin(_small.drive, "drive", [address_for(strided_at, given)])[0]


@njit(**MATH)
def _same(x):
    return x


def _numbers(dtype):
    """In which type the loop for a dtype computes, and what makes it of an element and an element of it; None where
    that is the element itself."""
    if dtype in HALVES:
        return np.float32, *HALVES[dtype]
    return np.uint8 if dtype == np.bool_ else dtype.type, None, None


class Kernel:
    """An elementwise kernel, called with its arrays (1-D, C-contiguous, one size), the array to write and parameters.

    Args:
        formula: the function of scalars.
        first, result: the type of the first operand and of the result where it is not that of the other elements
            (np.bool_ for the condition of `where` and for comparisons).
    """

    count = 1  # how many of the formula's arguments are elements; the rest are parameters

    def __init__(self, formula, first=None, result=None, full=None):
        self.formula, self.first, self.result = formula, first, result
        self.full = full or _FULL[self.count, len(inspect.signature(formula).parameters) - self.count]
        self.name = formula.__name__
        self.__doc__ = formula.__doc__
        self.f32 = self.f64 = 0
        # the entry for small arrays, see _small.py: small(a, ..., p, q) returns a new array, or None where it has no
        # way; before the first loop is compiled it never has
        self.small, self._words = decline, None
        # the entry that overwrites an operand, see _small.py: within(a, b, c, p, q) returns True where it did
        self.within, self._own = decline, None
        # for each dtype, what `_drive` is to be given: of loops with an array for the result, and of those without
        self._heads, self._own_heads = {}, {}
        self._keep = []
        self._driven = set(), set()  # for which dtypes the entry knows the driver of flat arrays, of broadcast ones
        KERNELS.append(self)

    def strided(self, out, a, b, c, dims, p=0.0, q=0.0):
        """out = f(a, b, c, p, q) on broadcast operands, flat arrays each, with the dimensions that `plan` gives; an
        operand that the formula has not is not read."""
        kind = c.dtype
        loop = (self.f32 if kind is F32 else self.f64) or self.address(kind)
        _strided(loop, out, a, b, c, dims, p, q)
        if kind not in self._driven[1]:
            self._drive(1, kind, _strided, loop, out, a, b, c, dims, p, q)

    def _address_of_any(self, dtype):
        """As `address`, for the types of WHOLE and HALVES too: their loops run over addresses alone."""
        if dtype not in WHOLE and dtype not in HALVES:
            return self.address(dtype)
        return self._compile(dtype)

    def apart(self, out, a, b, c, dims, p=0.0, q=0.0):
        """As `strided`, but the operands are any ndarrays, with the dimensions that `plan_at` gives for them."""
        kind = c.dtype
        head = self._heads.get(kind)
        if head is None:
            head = _head(self._address_of_any(kind), out.itemsize, a.itemsize, c.itemsize)
            self._heads[kind] = head
        _drive(out, a, b, c, head, dims, p, q)

    # Whether there are loops that overwrite an operand, and whether that is the last one.
    overwrites, last = True, False

    def into(self, a, b, c, dims, p=0.0, q=0.0):
        """As `apart`, into the first operand, or the last where the kernel is made for that."""
        target = c if self.last else a
        kind = target.dtype
        head = self._own_heads.get(kind)
        if head is None:
            number, up, down = _numbers(kind)
            loop = (_own_last if self.last else _OWN[self.count - 1])(self._full_formula(number, up, down), number)
            made = self._compiled(loop, kind)
            head = self._own_heads[kind] = _head(made, target.itemsize, a.itemsize, c.itemsize, True)
            if self._own is None:
                special = 0 if self.first is None else id(np.dtype(self.first))
                self.within, self._own = builtin(_small.within, self.name, [0, 0, special, 0, 0, 0, self.last])
            if kind is F32 or kind is F64:
                self._own[_small.LOOP32 + (kind is F64)] = made
            self._own[_small.DRIVER] = address_for(strided_at, _arguments(target, a, b, c, head, dims, p, q))
        _drive(target, a, b, c, head, dims, p, q)

    def _drive(self, which, kind, driver, *args):
        """Tell the entry, once it is due, where the driver lies that has just been called: it takes large arrays too
        from then on."""
        if type(args[1]) is not np.ndarray or not self._enter():
            return
        self._driven[which].add(kind)
        if self.small is not decline:
            first = (_small.FLAT32, _small.STRIDED32)[which]
            self._words[first + (kind != F32)] = address_for(driver, args)

    def address(self, dtype):
        """Where the machine code of the loop for float32 or float64 lies; compiles it first.

        Raises:
            TypeError: there is no kernel for this dtype.
        """
        if dtype == F32:
            if not self.f32:
                self.f32 = self._compile(F32)
                self._enter()
            return self.f32
        if dtype == F64:
            if not self.f64:
                self.f64 = self._compile(F64)
                self._enter()
            return self.f64
        raise TypeError(f"kernel {self.name} works on float32 and float64, not on {dtype}")

    def _enter(self):
        if self._words is None:
            entry = (_small.unary, _small.binary, _small.ternary)[self.count - 1]
            if not due(entry):
                return False
            special = [0 if kind is None else id(np.dtype(kind)) for kind in (self.first, self.result)]
            self.small, self._words = builtin(entry, self.name, [0, 0, *special, 0, 0, 0, 0])
        self._words[_small.LOOP32], self._words[_small.LOOP64] = self.f32, self.f64
        return True

    def _full_formula(self, kind, up, down):
        inline = njit(**MATH)
        formula = inline(self.full(inline(_in_type(self.formula, kind))))
        if up is None:
            return formula
        return inline(_through(formula, up, _same if self.result is not None else down, self.first is not None))

    def _loop(self, kind, up, down):
        return _LOOPS[self.count - 1](self._full_formula(kind, up, down), kind)

    def _compile(self, dtype):
        return self._compiled(self._loop(*_numbers(dtype)), dtype)

    def _compiled(self, loop, dtype):
        loop.__name__ = loop.__qualname__ = self.name
        compiled = njit(**_LOOP)(loop)
        if config.DISABLE_JIT:
            _plain[id(loop)] = loop
            return id(loop)

        element = types.uint16 if dtype in HALVES else ELEMENTS[dtype]

        def pointer(special):
            return types.CPointer(types.uint8 if special is np.bool_ else element)

        signature = (pointer(self.result), pointer(self.first), *(types.CPointer(element),) * 2, *(types.intp,) * 4)
        signature = (*signature, types.float64, types.float64)
        compiled.compile(signature)
        self._keep.append(compiled)
        result = compiled.overloads[signature]
        return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)

    def __repr__(self):
        return f"<kernel {self.name}>"


class Unary(Kernel):
    """kernel(a, out, p, q)."""

    count = 1

    def __call__(self, a, out, p=0.0, q=0.0):
        kind = a.dtype
        loop = (self.f32 if kind is F32 else self.f64) or self.address(kind)
        _flat1(loop, out, a, p, q)
        if kind not in self._driven[0]:
            self._drive(0, kind, _flat1, loop, out, a, p, q)


class Mended(Unary):
    """A kernel of one array whose formula vectorises but holds only up to a limit: a run of elements with a larger one
    (or a smaller than -limit) goes through `rest` instead."""

    overwrites = False

    def __init__(self, formula, rest, limit):
        super().__init__(formula)
        self.rest, self.limit = rest, limit

    def _loop(self, kind, up, down):
        inline = njit(**MATH)
        parts = (inline(_in_type(f, kind)) for f in (self.formula, self.rest))
        return _loop_mended(*parts, up or _same, down or _same, kind, self.limit)


class WithNumber(Unary):
    """A formula of two elements of which one is a number: kernel(a, out, number)."""

    def __init__(self, formula, result, full):
        Kernel.__init__(self, formula, result=result, full=full)


class Binary(Kernel):
    """kernel(a, b, out, p, q). With a number for an operand, where the formula has no parameters:
    kernel.right(a, out, number) is f(a, number), kernel.left(a, out, number) is f(number, a)."""

    count = 2

    def __init__(self, formula, first=None, result=None):
        super().__init__(formula, first, result)
        if len(inspect.signature(formula).parameters) == 2:
            self.right = WithNumber(formula, result, _number_right)
            self.left = WithNumber(formula, result, _number_left)

    def __call__(self, a, b, out, p=0.0, q=0.0):
        kind = a.dtype
        loop = (self.f32 if kind is F32 else self.f64) or self.address(kind)
        _flat2(loop, out, a, b, p, q)
        if kind not in self._driven[0]:
            self._drive(0, kind, _flat2, loop, out, a, b, p, q)


class MendedWithNumber(Unary):
    """A mended formula of two elements of which one is a number."""

    overwrites = False

    def __init__(self, formula, rest, holds, left):
        Kernel.__init__(self, formula, full=_number_left if left else _number_right)
        self.rest, self.holds, self.on_left = rest, holds, left

    def _loop(self, kind, up, down):
        inline = njit(**MATH)
        parts = (inline(_in_type(f, kind)) for f in (self.formula, self.rest, self.holds))
        return _loop1_mended(*parts, up or _same, down or _same, kind, self.on_left)


class MendedBinary(Binary):
    """A kernel of two arrays whose formula vectorises but holds only for pairs for which `holds` does: a run of
    elements with others goes through `rest` instead."""

    overwrites = False

    def __init__(self, formula, rest, holds):
        super().__init__(formula)
        self.rest, self.holds = rest, holds
        self.right = MendedWithNumber(formula, rest, holds, False)
        self.left = MendedWithNumber(formula, rest, holds, True)

    def _loop(self, kind, up, down):
        inline = njit(**MATH)
        parts = (inline(_in_type(f, kind)) for f in (self.formula, self.rest, self.holds))
        return _loop2_mended(*parts, up or _same, down or _same)


class Ternary(Kernel):
    """kernel(a, b, c, out, p, q)."""

    count = 3

    def __call__(self, a, b, c, out, p=0.0, q=0.0):
        kind = c.dtype
        _flat3((self.f32 if kind is F32 else self.f64) or self.address(kind), out, a, b, c, p, q)
        if self.small is decline:
            self._enter()


def unary(formula):
    """A kernel of one array: kernel(x, out, ...)."""
    return Unary(formula)


def binary(formula):
    """A kernel of two arrays: kernel(x, y, out, ...)."""
    return Binary(formula)


def ternary(formula):
    """A kernel of three arrays: kernel(x, y, z, out, ...)."""
    return Ternary(formula)


def predicate(formula):
    """A kernel of one array with a bool result."""
    return Unary(formula, result=np.bool_)


def comparison(formula):
    """A kernel of two arrays with a bool result."""
    return Binary(formula, result=np.bool_)


def selection(formula):
    """A kernel of three arrays, the first of them bool; in place, the last one is overwritten."""
    kernel = Ternary(formula, first=np.bool_)
    kernel.last = True
    return kernel


@lru_cache(64)
def _cast_loop(source, target):
    """The compiled loop that converts elements, and what `_drive` is given; None without the compiler."""
    if config.DISABLE_JIT:
        return None
    to_bool = target == np.bool_
    number = np.uint8 if to_bool else target.type

    def loop(out, a, b, c, n, sa, sb, sc, p, q):
        for i in range(n):
            out[i] = number(a[i] != 0) if to_bool else number(a[i])

    loop.__name__ = loop.__qualname__ = f"cast_{source.name}_{target.name}"
    compiled = njit(**_LOOP)(loop)
    pointer = types.CPointer(ELEMENTS[source])
    signature = (types.CPointer(ELEMENTS[target]), *(pointer,) * 3, *(types.intp,) * 4, *(types.float64,) * 2)
    compiled.compile(signature)
    result = compiled.overloads[signature]
    place = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    return compiled, _head(place, target.itemsize, source.itemsize, source.itemsize)


@lru_cache(1024)
def _flat(size):
    return np.array([[size, 1, 1, 1]], np.int64)


def cast_to(a, out):
    """Writes the elements of an ndarray, converted, into another one of its shape, both C-contiguous; returns whether
    it could: for float32, float64 and the types of WHOLE, with several threads for many elements."""
    found = None
    if a.dtype in ELEMENTS and out.dtype in ELEMENTS and a.size:
        found = _cast_loop(a.dtype, out.dtype)
    if found is None:
        return False
    _drive(out, a, a, a, found[1], _flat(a.size), 0.0, 0.0)
    return True
