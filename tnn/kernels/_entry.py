"""Built-in functions made of Numba code: the short way in for small arrays.

A call of a Numba function spends 0.05 us on each array before the kernel runs, and NumPy as much again on making the
array for the result. On eight elements that is the whole cost. An entry is a function for the Python interpreter
itself, as C extensions have them, written in Python and compiled by Numba. It is given the addresses of its arguments,
looks at the arrays where they lie, runs the kernel's loop and returns a new array: measured 0.05 us all told for relu
on eight elements, where dispatcher, `empty` and `ravel` took 0.6 us.

An entry is a function (own, args, count) of integers: the address of its array of own words, the address of the
arguments' addresses, and how many there are. It returns the address of a new reference to its result. What it cannot
do (another dtype, an array with gaps, large arrays) it declines by returning None, and its caller goes the general way:

    out = kernel.small(x)
    if out is None:
        ...

Entries hold the interpreter's lock, so they decline work that is worth other threads. Where objects do not lie as
expected, or Numba does not compile, there are no entries: `builtin` gives a function that declines everything.
"""

from __future__ import annotations

import ctypes

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import config
from numba.extending import intrinsic

WORD = ir.IntType(64)
_INT = ir.IntType(32)

# Without reassociation: an entry does sizes and addresses.
PLAIN = {"cache": True, "nogil": True, "error_model": "numpy"}

# Where the fields of an object lie, in bytes: any object's type, a float's value, an array's fields.
TYPE, VALUE = 8, 16
DATA, NDIM, DIMS, STRIDES, DTYPE, FLAGS = 16, 24, 32, 40, 56, 64
_CONTIGUOUS = 0x1 | 0x100  # flags: row-major and aligned

# The first own words of every entry: addresses of objects and of functions of CPython and NumPy.
NONE, ARRAY, FLOAT, F32, F64, BOOL, I64, NEW, HOLD, OWN = range(10)

# ---------------------------------------------------------------- memory


@intrinsic
def word(typingctx, address):
    """The 8 bytes at an address, as an integer."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], WORD.as_pointer()))

    return types.intp(types.intp), codegen


@intrinsic
def half_word(typingctx, address):
    """The 4 bytes at an address, as an integer."""

    def codegen(context, builder, signature, args):
        return builder.sext(builder.load(builder.inttoptr(args[0], _INT.as_pointer())), WORD)

    return types.intp(types.intp), codegen


@intrinsic
def double(typingctx, address):
    """The float64 at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.DoubleType().as_pointer()))

    return types.float64(types.intp), codegen


@intrinsic
def pointer32(typingctx, address):
    """An address as a pointer to float32."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.intp), codegen


@intrinsic
def pointer64(typingctx, address):
    """An address as a pointer to float64."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.intp), codegen


@intrinsic
def _call_new(typingctx, function, kind, dtype, ndim, dims):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(WORD, [WORD, WORD, _INT, WORD, WORD, WORD, _INT, WORD])
        function = builder.inttoptr(args[0], kind.as_pointer())
        none = WORD(0)
        return builder.call(
            function, [args[1], args[2], builder.trunc(args[3], _INT), args[4], none, none, _INT(0), none]
        )

    return types.intp(*[types.intp] * 5), codegen


@intrinsic
def _call_hold(typingctx, function, address):
    def codegen(context, builder, signature, args):
        function = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [WORD]).as_pointer())
        builder.call(function, [args[1]])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


# ---------------------------------------------------------------- objects


@njit(**PLAIN)
def own_words(own):
    """The address of an entry's own words."""
    return word(own + DATA)


@njit(**PLAIN)
def held(words, address):
    """An object as a result: with a reference of the caller's own."""
    _call_hold(word(words + 8 * HOLD), address)
    return address


@njit(**PLAIN)
def declined(words):
    """The result of an entry that cannot do what it is asked."""
    return held(words, word(words + 8 * NONE))


@njit(**PLAIN)
def is_array(words, x):
    """Whether an object is an ndarray in row-major order."""
    return word(x + TYPE) == word(words + 8 * ARRAY) and half_word(x + FLAGS) & _CONTIGUOUS == _CONTIGUOUS


@njit(**PLAIN)
def is_float(words, x):
    """Whether an object is a Python float."""
    return word(x + TYPE) == word(words + 8 * FLOAT)


@njit(**PLAIN)
def ndim(x):
    """An array's number of dimensions."""
    return half_word(x + NDIM)


@njit(**PLAIN)
def dim(x, i):
    """The size of an array's dimension."""
    return word(word(x + DIMS) + 8 * i)


@njit(**PLAIN)
def size(x):
    """An array's number of elements."""
    n = 1
    for i in range(ndim(x)):
        n *= dim(x, i)
    return n


@njit(**PLAIN)
def same_shape(x, y):
    """Whether two arrays have one shape."""
    n = ndim(x)
    same = n == ndim(y)
    if same:
        for i in range(n):
            same = same and dim(x, i) == dim(y, i)
    return same


@njit(**PLAIN)
def new(words, dtype, n, dims):
    """A new array of the dtype at an address, with n dimensions at an address; 0 where there is no memory for it."""
    _call_hold(word(words + 8 * HOLD), dtype)  # NumPy takes over a reference
    return _call_new(word(words + 8 * NEW), word(words + 8 * ARRAY), dtype, n, dims)


@njit(**PLAIN)
def new_like(words, x, dtype):
    """A new array of the shape of x and the dtype at an address; 0 where there is no memory for it."""
    return new(words, dtype, half_word(x + NDIM), word(x + DIMS))


# ---------------------------------------------------------------- making entries


class _MethodDef(ctypes.Structure):
    """CPython's description of a built-in function."""

    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("doc", ctypes.c_char_p)]  # fmt: skip


_FASTCALL = 0x80
_NEW_FROM_DESCR = 94  # in NumPy's table of functions, which only ever grows
_kept: list[object] = []
_entries: dict[str, int] = {}


def decline(*args):
    """The entry that can do nothing."""


def _function_of_numpy(number):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer(np._core.multiarray._ARRAY_API, None)
    return ctypes.c_void_p.from_address(table + number * ctypes.sizeof(ctypes.c_void_p)).value


def _shared_words():
    return [
        id(None), id(np.ndarray), id(float), *(id(np.dtype(d)) for d in ("f4", "f8", "?", "i8")),
        _function_of_numpy(_NEW_FROM_DESCR), ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value,
    ]  # fmt: skip


def _as_expected():
    """Whether objects lie in memory as this file takes them to."""
    if config.DISABLE_JIT or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False

    def at(address, kind=ctypes.c_int64):
        return kind.from_address(address).value

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y, number = x.T, 2.5
    return (
        object.__basicsize__ == 16
        and at(id(x) + TYPE) == id(np.ndarray)
        and at(id(x) + DATA) == x.ctypes.data
        and at(id(x) + NDIM, ctypes.c_int32) == 2
        and [at(at(id(x) + DIMS) + 8 * i) for i in (0, 1)] == [2, 3]
        and [at(at(id(x) + STRIDES) + 8 * i) for i in (0, 1)] == [12, 4]
        and at(id(x) + DTYPE) == id(x.dtype) == id(np.dtype(np.float32))
        and at(id(x) + FLAGS, ctypes.c_int32) & _CONTIGUOUS == _CONTIGUOUS
        and at(id(y) + FLAGS, ctypes.c_int32) & _CONTIGUOUS == 0x100
        and at(id(number) + TYPE) == id(float)
        and at(id(number) + VALUE, ctypes.c_double) == 2.5
    )


_usable: bool | None = None


def builtin(function, name, words=()):
    """The built-in function of an entry.

    Args:
        function: the entry; compiled at its first use here.
        name: what the built-in function is called.
        words: the entry's own words, from word `OWN` on: integers.

    Returns:
        The function, and its words as an array that may be changed.
    """
    global _usable
    if _usable is None:
        _usable = _as_expected()
    if not _usable:
        return decline, np.zeros(OWN + len(words), np.int64)
    own = np.array([*_shared_words(), *words], np.int64)
    key = f"{function.__module__}.{function.__qualname__}"
    if key not in _entries:
        signature = (types.intp,) * 3
        function.compile(signature)
        made = function.overloads[signature]
        _kept.append(made)
        _entries[key] = made.library.get_pointer_to_function(made.fndesc.llvm_cfunc_wrapper_name)
    method = _MethodDef(name.encode(), _entries[key], _FASTCALL, None)
    _kept.append(method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(method), own, None), own
