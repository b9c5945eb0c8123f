"""One look at all the memory that has to be what it was: what a replay of tnn.compile asks before it starts.

A table of words is compared with the memory: fields of objects, elements of lists. Of a dict it is the version that
CPython changes with every assignment; a dict that was assigned to may still hold the same, so versions are taken over
anew once Python has looked. (Modules of the digits network: 0.3 us where Python's expressions took 19.)
"""

import ctypes
from functools import lru_cache

import numpy as np
from numba import njit

from ._entry import FALSE, OWN, TRUE, builtin, decline, held, own_words
from ._jit import PLAIN
from ._words import put, word

# Where a list keeps its length and its elements' address, a set its length, a dict its version; in bytes.
LENGTH, ELEMENTS, USED, VERSION = 16, 24, 24, 24


@njit(**PLAIN)
def _same(own, args, count):
    words = own_words(own)
    versions, n = word(words + 8 * OWN), word(words + 8 * (OWN + 1))
    same = True
    for k in range(n):  # rows of (address, what was found, what is found)
        row = versions + 24 * k
        found = word(word(row))
        put(row + 16, found)
        same = same and found == word(row + 8)
    table, n = word(words + 8 * (OWN + 2)), word(words + 8 * (OWN + 3))
    for k in range(n):  # rows of (address, -1 or where to look from what lies there, what was found)
        row = table + 24 * k
        found = word(word(row))
        further = word(row + 8)
        if further >= 0:
            found = word(found + further)
        if found != word(row + 16):
            same = False
            break  # the elements of a list are only there if it is as long as it was
    return held(words, word(words + 8 * (TRUE if same else FALSE)))


@njit(**PLAIN)
def _note(own, args, count):
    words = own_words(own)
    versions, n = word(words + 8 * OWN), word(words + 8 * (OWN + 1))
    for k in range(n):
        put(versions + 24 * k + 8, word(versions + 24 * k + 16))
    return held(words, word(words + 8 * TRUE))


def look(versions, table):
    """Functions of no arguments: whether memory is as it was, and one that takes over the dicts' versions which that
    one has found, and returns True; and what has to live as long as they do. None where Python keeps objects in
    another way.

    Args:
        versions: ids of dicts.
        table: ``(address, -1 or offset, word)``: the word at the address, or at the offset from where that leads.
    """
    if not _versions_count():
        return None
    first = np.array([(d + VERSION, -1, -1) for d in versions] or [(0, 0, 0)], np.int64)
    second = np.array(list(table) or [(0, 0, 0)], np.int64)
    words = [first.ctypes.data, len(versions), second.ctypes.data, len(table)]
    same, note = (builtin(f, f.__name__[1:], words)[0] for f in (_same, _note))
    return None if same is decline else (same, note, (first, second))


class _Object:
    pass


@lru_cache(1)
def _versions_count():
    """Whether dicts have versions that change with every assignment, and lists and sets lie as expected."""

    def at(address):
        return ctypes.c_int64.from_address(address).value

    holder = _Object()
    holder.x = 1
    plain, own, numbers, letters = {"x": 1}, vars(holder), [1, 2, 3], {"a", "b"}
    seen = [at(id(plain) + VERSION), at(id(own) + VERSION)]
    for change in ("plain['x'] = 2", "plain['y'] = 3", "del plain['x']", "plain.clear()", "plain.update(x=1)"):
        exec(change)
        seen.append(at(id(plain) + VERSION))
    holder.x = 2
    seen.append(at(id(own) + VERSION))
    holder.y = 2
    seen.append(at(id(own) + VERSION))
    return (
        len(set(seen)) == len(seen)
        and at(id(numbers) + LENGTH) == 3
        and at(at(id(numbers) + ELEMENTS) + 8) == id(2)
        and at(id(letters) + USED) == 2
    )
