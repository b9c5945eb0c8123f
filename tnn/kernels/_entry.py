"""Built-in functions made of Numba code: the short way in for small arrays.

A call of a Numba function spends 0.05 us on each array before the kernel runs, and NumPy as much again on making the
array for the result. On eight elements that is the whole cost. An entry is a function for the Python interpreter
itself, as C extensions have them, written in Python and compiled by Numba. It is given the addresses of its arguments,
looks at the arrays where they lie, runs the kernel's loop and returns a new array: measured 0.05 us all told for relu
on eight elements, where dispatcher, `empty` and `ravel` took 0.6 us.

An entry is a function (own, args, count) of integers: the address of its array of own words, the address of the
arguments' addresses, and how many there are. It returns the address of a new reference to its result. What it cannot
do (another dtype, an array with gaps) it declines by returning None, and its caller goes the general way:

    out = kernel.small(x)
    if out is None:
        ...

Entries hold the interpreter's lock: for work that is worth other threads they let it go (`leave`, `enter`), or decline.
Where objects do not lie as expected, or Numba does not compile, there are no entries: `builtin` gives a function that
declines everything.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from . import _blocks
from ._jit import PLAIN
from ._words import (
    BYTES,
    DATA,
    DIMS,
    DTYPE,
    FLAGS,
    HELD,
    INT,
    ITEMS,
    LENGTH,
    NDIM,
    STRIDES,
    TYPE,
    VALUE,
    WORD,
    call,
    call_new,
    function_of_python,
    half_word,
    put,
    room,
    word,
)

_CONTIGUOUS = 0x1 | 0x100  # flags: row-major and aligned
_TURNED = 0x2 | 0x100  # flags: column-major and aligned

# The first own words of every entry: addresses of objects and of functions of CPython and NumPy.
NONE, TRUE, FALSE, ARRAY, FLOAT, TUPLE, F32, F64, I64, NEW, HOLD, DROP, POOL, LEAVE, ENTER, OWN = range(16)

# ---------------------------------------------------------------- kernels


@intrinsic
def invoke(typingctx, address, args):
    """Call a compiled kernel, which returns nothing: its address, and a tuple of integers, floats and bools.

    Numba takes an array apart into words: `vector`, `matrix` and `cube` give them. The result is 0 unless the kernel
    raised, as it does where there is no memory for what it packs.
    """

    def codegen(context, builder, signature, values):
        pointer = ir.IntType(8).as_pointer()
        nothing = cgutils.alloca_once(builder, pointer)
        raised = cgutils.alloca_once(builder, pointer)
        passed = [builder.bitcast(nothing, pointer), builder.bitcast(raised, pointer)]
        for value, kind in zip(cgutils.unpack_tuple(builder, values[1]), args.types, strict=True):
            passed.append(builder.zext(value, ir.IntType(8)) if kind == types.boolean else value)
        kind = ir.FunctionType(INT, [v.type for v in passed])
        return builder.sext(builder.call(builder.inttoptr(values[0], kind.as_pointer()), passed), WORD)

    return types.intp(address, args), codegen


@njit(**PLAIN)
def vector(data, n, item):
    """A contiguous array (n,) of elements of `item` bytes for `invoke`."""
    return (0, 0, n, item, data, n, item)


@njit(**PLAIN)
def matrix(data, n, m, item):
    """An array (n, m)."""
    return (0, 0, n * m, item, data, n, m, m * item, item)


@njit(**PLAIN)
def cube(data, n, m, k, item):
    """An array (n, m, k)."""
    return (0, 0, n * m * k, item, data, n, m, k, m * k * item, k * item, item)


# ---------------------------------------------------------------- objects


@njit(**PLAIN)
def own_words(own):
    """The address of an entry's own words."""
    return word(own + DATA)


@njit(**PLAIN)
def held(words, address):
    """An object as a result: with a reference of the caller's own."""
    call(word(words + 8 * HOLD), (address,))
    return address


@njit(**PLAIN)
def drop(words, address):
    """Gives an object back that is not needed any more."""
    call(word(words + 8 * DROP), (address,))


@njit(**PLAIN)
def declined(words):
    """The result of an entry that cannot do what it is asked."""
    return held(words, word(words + 8 * NONE))


@njit(**PLAIN)
def is_array(words, x):
    """Whether an object is an ndarray in row-major order."""
    return word(x + TYPE) == word(words + 8 * ARRAY) and half_word(x + FLAGS) & _CONTIGUOUS == _CONTIGUOUS


@njit(**PLAIN)
def is_turned(words, x):
    """Whether an object is an ndarray in column-major order."""
    return word(x + TYPE) == word(words + 8 * ARRAY) and half_word(x + FLAGS) & _TURNED == _TURNED


@njit(**PLAIN)
def is_none(words, x):
    """Whether an object is None."""
    return x == word(words + 8 * NONE)


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
    """A new array of the dtype at an address, with n dimensions at an address, from the pool where it is large; 0 where
    there is no memory for it."""
    nbytes = word(dtype + BYTES)
    for i in range(n):
        nbytes *= word(dims + 8 * i)
    if nbytes >= _blocks.SMALL:
        return _blocks.array(word(words + 8 * POOL), dtype, n, dims, nbytes)
    call(word(words + 8 * HOLD), (dtype,))  # NumPy takes over a reference
    return call_new(word(words + 8 * NEW), word(words + 8 * ARRAY), dtype, n, dims, 0, 0)


@njit(**PLAIN)
def new_like(words, x, dtype):
    """A new array of the shape of x and the dtype at an address; 0 where there is no memory for it."""
    return new(words, dtype, half_word(x + NDIM), word(x + DIMS))


@njit(**PLAIN)
def new_last(words, x, dtype, last):
    """As new_like, with another size of the last dimension."""
    dims, n = room(), ndim(x)
    for i in range(n - 1):
        put(dims + 8 * i, dim(x, i))
    put(dims + 8 * (n - 1), last)
    return new(words, dtype, n, dims)


@njit(**PLAIN)
def new_matrix(words, dtype, n, m):
    """A new array (n, m)."""
    dims = room()
    put(dims, n)
    put(dims + 8, m)
    return new(words, dtype, 2, dims)


@njit(**PLAIN)
def leave(words):
    """Let the interpreter's lock go; what `enter` has to be given."""
    return call(word(words + 8 * LEAVE), (0,))


@njit(**PLAIN)
def enter(words, thread):
    """Take the interpreter's lock again."""
    call(word(words + 8 * ENTER), (thread,))


# ---------------------------------------------------------------- making entries


class _MethodDef(ctypes.Structure):
    """CPython's description of a built-in function."""

    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("doc", ctypes.c_char_p)]  # fmt: skip


_FASTCALL = 0x80
_NEW_FROM_DESCR, _SET_BASE_OBJECT = 94, 282  # in NumPy's table of functions, which only ever grows
_kept: list[object] = []
_entries: dict[str, int] = {}


def decline(*args):
    """The entry that can do nothing."""


def _pointer_in(capsule):
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, None)


def _function_of_numpy(number):
    table = _pointer_in(np._core.multiarray._ARRAY_API)
    return ctypes.c_void_p.from_address(table + number * ctypes.sizeof(ctypes.c_void_p)).value


@lru_cache(1)
def _shared_words():
    new, hold, drop = _function_of_numpy(_NEW_FROM_DESCR), *map(function_of_python, ("Py_IncRef", "Py_DecRef"))
    _blocks.prepare(new, hold, drop, _function_of_numpy(_SET_BASE_OBJECT))
    return [
        *map(id, (None, True, False, np.ndarray, float, tuple, *map(np.dtype, (np.float32, np.float64, np.int64)))),
        *(new, hold, drop, _blocks.STATE),
        *map(function_of_python, ("PyEval_SaveThread", "PyEval_RestoreThread")),
    ]


def _as_expected():
    """Whether objects lie in memory as this file takes them to."""
    if config.DISABLE_JIT or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False

    def at(address, kind=ctypes.c_int64):
        return kind.from_address(address).value

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y, number, pair = x.T, 2.5, (x, None)
    dtypes = [np.dtype(d) for d in (np.float32, np.float64, np.int64, np.bool_)]
    capsule = np._core.multiarray._ARRAY_API
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
        and [at(id(d) + BYTES) for d in dtypes] == [4, 8, 8, 1]
        and at(id(capsule) + HELD) == _pointer_in(capsule)
        and [at(id(pair) + LENGTH), at(id(pair) + ITEMS), at(id(pair) + ITEMS + 8)] == [2, id(x), id(None)]
    )


_usable: bool | None = None

# Calls that want an entry before it is compiled: it takes 0.2-0.6 s to compile and saves a call some microseconds. With
# an empty cache the first step of a small network took 15.6 s, 4.3 of them for entries.
PATIENCE = 100
_SIGNATURE = (types.intp,) * 3
_wanted: dict[str, int] = {}


def _key(function):
    return f"{function.__module__}.{function.__qualname__}"


def due(function) -> bool:
    """Whether to have an entry now: it is compiled, here or in the cache, or was asked for often enough."""
    key = _key(function)
    if key in _entries or config.DISABLE_JIT:
        return True
    asked = _wanted[key] = _wanted.get(key, 0) + 1
    return asked > PATIENCE or (asked == 1 and function._cache.holds(_SIGNATURE, function.targetctx))


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
    key = _key(function)
    if key not in _entries:
        function.compile(_SIGNATURE)
        made = function.overloads[_SIGNATURE]
        _kept.append(made)
        _entries[key] = made.library.get_pointer_to_function(made.fndesc.llvm_cfunc_wrapper_name)
    method = _MethodDef(name.encode(), _entries[key], _FASTCALL, None)
    _kept.append(method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(method), own, None), own


def address_for(kernel, examples):
    """The address of a kernel's machine code for arguments of the types of these; compiles it first."""
    signature = tuple(map(typeof, examples))
    if signature not in kernel.overloads:
        kernel.compile(signature)
    made = kernel.overloads[signature]
    return made.library.get_pointer_to_function(made.fndesc.llvm_func_name)


class Shortcut:
    """An entry that calls kernels: `call(...)` gives a new array or None.

    It declines what is not of a dtype for which `prepare` was called; the general way does that.

    Args:
        entry: its own words are, from `OWN` on, for each kernel its address for float32 and that for float64.
        kernels: pairs of a kernel and a function of a dtype: arguments of the types with which the kernel is called.
    """

    def __init__(self, entry, *kernels):
        self.entry, self.kernels = entry, kernels
        self.call, self._words = decline, None
        self.ready: set = set()

    def prepare(self, dtype):
        """Have the entry take arrays of a dtype, float32 or float64, once it is due."""
        if dtype in self.ready or config.DISABLE_JIT or not due(self.entry):
            return
        self.ready.add(dtype)
        addresses = [address_for(kernel, examples(dtype)) for kernel, examples in self.kernels]
        if self._words is None:
            self.call, self._words = builtin(self.entry, self.entry.__name__, [0] * (2 * len(addresses)))
        for i, address in enumerate(addresses):
            self._words[OWN + 2 * i + (dtype != np.float32)] = address


@njit(**PLAIN)
def kernel_for(words, dtype, i=0):
    """A shortcut's i-th kernel for the dtype at an address; 0 where there is none."""
    if dtype == word(words + 8 * F32):
        return word(words + 8 * (OWN + 2 * i))
    if dtype == word(words + 8 * F64):
        return word(words + 8 * (OWN + 2 * i + 1))
    return 0


@njit(**PLAIN)
def bytes_of(words, dtype):
    """How many bytes an element has, of float32 or float64."""
    return 4 if dtype == word(words + 8 * F32) else 8
