"""Words of memory, and calls by address: what entries (_entry.py) and blocks (_blocks.py) are made of.

Addresses are integers. Nothing here checks one.
"""

import ctypes

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD = ir.IntType(64)
INT = ir.IntType(32)

# Where the fields of an object lie, in bytes: any object's type, a float's value, an array's fields, a tuple's, the
# size of a dtype's elements, and what a capsule holds.
TYPE, VALUE = 8, 16
DATA, NDIM, DIMS, STRIDES, DTYPE, FLAGS = 16, 24, 32, 40, 56, 64
LENGTH, ITEMS = 16, 24
BYTES = 40
HELD = 16


_word_at = ctypes.c_ssize_t.from_address
_some = np.zeros(1)


if _word_at(id(_some) + DATA).value == _some.ctypes.data:

    def address(x):
        """Where an ndarray's elements begin. (0.2 us, ``x.ctypes.data`` takes 1.1.)"""
        return _word_at(id(x) + DATA).value

else:  # another Python than CPython, or other fields

    def address(x):
        """Where an ndarray's elements begin."""
        return x.ctypes.data


def function_of_python(name):
    """The address of a function of CPython's."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


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
        return builder.sext(builder.load(builder.inttoptr(args[0], INT.as_pointer())), WORD)

    return types.intp(types.intp), codegen


@intrinsic
def double(typingctx, address):
    """The float64 at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.DoubleType().as_pointer()))

    return types.float64(types.intp), codegen


def _pointer_to(kind):
    @intrinsic
    def pointer(typingctx, address):
        """An address as a pointer."""

        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.intp), codegen

    return pointer


pointer8, pointer16 = _pointer_to(types.uint8), _pointer_to(types.uint16)
pointer32, pointer64 = _pointer_to(types.float32), _pointer_to(types.float64)
pointer_to_words, pointer32_unsigned = _pointer_to(types.int64), _pointer_to(types.uint32)


@intrinsic
def call_new(typingctx, function, kind, dtype, ndim, dims, data, flags):
    """NumPy's PyArray_NewFromDescr, its address first: an array on memory at an address, or on its own (data 0)."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(WORD, [WORD, WORD, INT, WORD, WORD, WORD, INT, WORD])
        function = builder.inttoptr(args[0], kind.as_pointer())
        _, array, dtype, ndim, dims, data, flags = args
        none = WORD(0)
        passed = [array, dtype, builder.trunc(ndim, INT), dims, none, data, builder.trunc(flags, INT), none]
        return builder.call(function, passed)

    return types.intp(*[types.intp] * 7), codegen


@intrinsic
def call(typingctx, function, args):
    """A C function by its address, of up to six words that give a word."""

    def codegen(context, builder, signature, values):
        passed = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(WORD, [WORD] * len(passed))
        return builder.call(builder.inttoptr(values[0], kind.as_pointer()), passed)

    return types.intp(types.intp, args), codegen


@intrinsic
def room(typingctx):
    """The address of room for 64 words, as many as an array has dimensions; until the function that asks returns."""

    def codegen(context, builder, signature, args):
        return builder.ptrtoint(cgutils.alloca_once(builder, WORD, size=64), WORD)

    return types.intp(), codegen


@intrinsic
def put(typingctx, address, value):
    """Write a word."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], WORD.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen
