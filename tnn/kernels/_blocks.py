"""The pool's blocks: large pieces of memory that wait for reuse, by size class.

All of this runs inside entries (_entry.py) or where CPython ends an object, so the interpreter's lock is held and
nothing else guards the lists. A block is memory inside an ndarray of bytes, which owns it. In the 64 bytes before its
data stand the next block that waits, its size class and its owner. An array on a block has a capsule as its base;
CPython calls `_end` when the capsule is gone, that is when the last array that looks at the block is.
"""

import ctypes

import numpy as np
from numba import njit, types

from ._jit import PLAIN
from ._words import DATA, HELD, call, call_new, function_of_python, put, room, word

SMALL = 65536  # arrays of fewer bytes have memory of their own
ALIGN = 64
_CARRAY = 0x1 | 0x100 | 0x400  # NumPy's flags of an array in row-major order, aligned and writeable

# The state: words of one array. Functions of CPython and NumPy and objects by address, then for each size class the
# first block that waits, how many do, and when the class was given one last.
LIMIT, IDLE, CLOCK, NEW, ARRAY, BYTE, HOLD, DROP, CAPSULE, SET_BASE, FORGET, END = range(12)
CLASSES = 360
HEADS = 16
COUNTS = HEADS + CLASSES
GIVEN = COUNTS + CLASSES
state = np.zeros(GIVEN + CLASSES, np.int64)
STATE = state.ctypes.data

# Before a block's data, in bytes.
_NEXT, _CLASS, _OWNER, _STATE = -64, -56, -48, -40


@njit(**PLAIN)
def size_class(nbytes):
    """(which class holds blocks for so many bytes, from SMALL on; the size of its blocks): sizes have at most four
    significant bits, so there are eight classes between powers of two and at most 1/8 of a block is unused."""
    shift = 12
    while nbytes >> shift > 15:
        shift += 1
    leading = (nbytes + (1 << shift) - 1) >> shift
    return 8 * shift + leading - 8, leading << shift


@njit(**PLAIN)
def _size_of(index):
    shift = index // 8
    return (index - 8 * shift + 8) << shift


@njit(**PLAIN)
def _pop(state, index):
    """A waiting block of a class, or 0."""
    head = state + 8 * (HEADS + index)
    block = word(head)
    if block:
        put(head, word(block + _NEXT))
        put(state + 8 * (COUNTS + index), word(state + 8 * (COUNTS + index)) - 1)
        put(state + 8 * IDLE, word(state + 8 * IDLE) - _size_of(index))
    return block


@njit(**PLAIN)
def trim(state, limit, last):
    """Give blocks back to the system until at most `limit` bytes wait: those of the class `last` after all others, and
    of the others first what was given back longest ago."""
    while word(state + 8 * IDLE) > limit:
        chosen, when = last, word(state + 8 * CLOCK) + 1
        for index in range(CLASSES):
            given = word(state + 8 * (GIVEN + index))
            if index != last and given < when and word(state + 8 * (HEADS + index)):
                chosen, when = index, given
        block = _pop(state, chosen)
        if block == 0:
            return
        call(word(state + 8 * DROP), (word(block + _OWNER),))


@njit(**PLAIN)
def give(state, block):
    """Take a block back."""
    index = word(block + _CLASS)
    head = state + 8 * (HEADS + index)
    put(block + _NEXT, word(head))
    put(head, block)
    put(state + 8 * (COUNTS + index), word(state + 8 * (COUNTS + index)) + 1)
    put(state + 8 * CLOCK, word(state + 8 * CLOCK) + 1)
    put(state + 8 * (GIVEN + index), word(state + 8 * CLOCK))
    put(state + 8 * IDLE, word(state + 8 * IDLE) + _size_of(index))
    if word(state + 8 * IDLE) > word(state + 8 * LIMIT):
        trim(state, word(state + 8 * LIMIT), index)


@njit(**PLAIN)
def _owner(state, size):
    """A new ndarray of bytes; 0 where there is no memory for it."""
    dims = room()
    put(dims, size)
    call(word(state + 8 * HOLD), (word(state + 8 * BYTE),))  # NumPy takes over a reference
    return call_new(word(state + 8 * NEW), word(state + 8 * ARRAY), word(state + 8 * BYTE), 1, dims, 0, 0)


@njit(**PLAIN)
def _take(state, nbytes):
    """A block for so many bytes, a waiting one or a new one; 0 where there is no memory for it."""
    index, size = size_class(nbytes)
    block = _pop(state, index)
    if block == 0:
        owner = _owner(state, size + 2 * ALIGN)
        if owner == 0:
            call(word(state + 8 * FORGET), (0,))
            trim(state, 0, index)
            owner = _owner(state, size + 2 * ALIGN)
        if owner != 0:
            block = (word(owner + DATA) + 2 * ALIGN - 1) & -ALIGN
            put(block + _CLASS, index)
            put(block + _OWNER, owner)
            put(block + _STATE, state)
    return block


@njit(**PLAIN)
def array(state, dtype, n, dims, nbytes):
    """A new array on a block, of the dtype at an address and with n dimensions at an address; 0 where there is no
    memory for it."""
    block = _take(state, nbytes)
    if block == 0:
        return 0
    call(word(state + 8 * HOLD), (dtype,))
    out = call_new(word(state + 8 * NEW), word(state + 8 * ARRAY), dtype, n, dims, block, _CARRAY)
    capsule = 0
    if out != 0:
        capsule = call(word(state + 8 * CAPSULE), (block, 0, word(state + 8 * END)))
    if capsule == 0:
        give(state, block)
        if out != 0:
            call(word(state + 8 * DROP), (out,))
        return 0
    # takes over the capsule, also where it fails
    if call(word(state + 8 * SET_BASE), (out, capsule)) & 0xFFFFFFFF != 0:
        call(word(state + 8 * DROP), (out,))
        return 0
    return out


@njit(**PLAIN)
def _end(capsule):
    """What CPython calls when nobody looks at a block any more."""
    block = word(capsule + HELD)
    give(word(block + _STATE), block)
    return 0


def prepare(new, hold, drop, set_base):
    """Fill in the state: addresses of functions, two of NumPy's and two of CPython's."""
    if state[END]:
        return
    signature = (types.intp,)
    _end.compile(signature)
    made = _end.overloads[signature]
    # Arrays may end after this module does.
    for kept in (made, state):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))

    state[[NEW, HOLD, DROP, SET_BASE]] = new, hold, drop, set_base
    state[[ARRAY, BYTE]] = id(np.ndarray), id(np.dtype(np.uint8))
    state[[CAPSULE, FORGET]] = [*map(function_of_python, ("PyCapsule_New", "PyErr_Clear"))]
    state[END] = made.library.get_pointer_to_function(made.fndesc.llvm_cfunc_wrapper_name)
