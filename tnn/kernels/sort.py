"""Sorting rows, the largest or smallest of rows, and binary search.

Elements are compared by unsigned keys of their own size: the order of the keys is that of the numbers, -0 equals +0,
and NaN is larger than all else. For a descending order the keys are inverted; equal keys keep their order either way.

Long rows are sorted by radix (digit by digit from the lowest, each pass stable, passes in which all digits agree left
out), short ones by insertion: below about 100 elements the histograms cost more than the comparisons.
"""

import numpy as np
from numba import njit, prange

from ._jit import GRAIN, JIT

FLOAT, SIGNED, UNSIGNED = 0, 1, 2
# Rows up to this length are sorted by insertion.
_SHORT = 96
# Up to this k, topk keeps a sorted list while it reads the row.
SMALL_K = 64


@njit(**JIT)
def _key_row(bits, keys, kind, descending):
    """Writes the keys of a row of elements, given as unsigned integers of their size."""
    one = bits.dtype.type(1)
    width = bits.itemsize * 8
    sign = bits.dtype.type(one << bits.dtype.type(width - 1))
    ones = bits.dtype.type(~bits.dtype.type(0))
    # the bits of infinity: exponent all ones
    infinity = bits.dtype.type(0x7F800000) if width == 32 else bits.dtype.type(0x7FF0000000000000)
    for i in range(bits.shape[0]):
        b = bits[i]
        if kind == FLOAT:
            if (b & ~sign) > infinity:
                key = ones
            elif b == sign:
                key = sign
            elif b & sign:
                key = ~b
            else:
                key = b | sign
        elif kind == SIGNED:
            key = b ^ sign
        else:
            key = b
        keys[i] = ~key if descending else key


@njit(**JIT)
def _insertion(keys, order):
    for i in range(1, keys.shape[0]):
        key, place = keys[i], order[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            order[j] = order[j - 1]
            j -= 1
        keys[j] = key
        order[j] = place


@njit(**JIT)
def _radix(keys, order, other_keys, other_order, counts):
    """Sorts a row; `order` then holds the result. The scratch arrays have the row's length, counts (digits, 256)."""
    n = keys.shape[0]
    digits = keys.itemsize
    counts[:] = 0
    for i in range(n):
        key = keys[i]
        for d in range(digits):
            counts[d, np.intp((key >> keys.dtype.type(8 * d)) & keys.dtype.type(255))] += 1
    a, b, oa, ob = keys, other_keys, order, other_order
    swapped = False
    for d in range(digits):
        shift = keys.dtype.type(8 * d)
        if counts[d, np.intp((a[0] >> shift) & keys.dtype.type(255))] == n:
            continue
        total = 0
        for v in range(256):
            count = counts[d, v]
            counts[d, v] = total
            total += count
        for i in range(n):
            key = a[i]
            v = np.intp((key >> shift) & keys.dtype.type(255))
            place = counts[d, v]
            counts[d, v] = place + 1
            b[place] = key
            ob[place] = oa[i]
        a, b, oa, ob = b, a, ob, oa
        swapped = not swapped
    if swapped:
        for i in range(n):
            order[i] = oa[i]


@njit(**JIT)
def _sort_rows(bits, order, values, kind, descending, low, high):
    n = bits.shape[1]
    keys = np.empty(n, bits.dtype)
    long = n > _SHORT
    other = np.empty(n if long else 0, bits.dtype)
    places = np.empty(n if long else 0, np.int64)
    counts = np.empty((bits.itemsize if long else 0, 256), np.int64)
    for r in range(low, high):
        row = order[r]
        for i in range(n):
            row[i] = i
        _key_row(bits[r], keys, kind, descending)
        if long:
            _radix(keys, row, other, places, counts)
        else:
            _insertion(keys, row)
        if values.shape[0] > 0:
            source, target = bits[r], values[r]
            for i in range(n):
                target[i] = source[np.uint64(row[i])]


@njit(parallel=True, **JIT)
def sort_rows(bits, order, values, kind, descending):
    """Writes order (rows, n): for each row of bits (rows, n) the positions of its elements in sorted order, stable;
    and values (rows, n), the elements in this order, unless it has no rows."""
    rows, n = bits.shape
    if rows * n < GRAIN // 8 or rows == 1:
        _sort_rows(bits, order, values, kind, descending, 0, rows)
    else:
        step = max(1, GRAIN // 8 // n)
        for c in prange((rows + step - 1) // step):
            low = np.intp(c) * step
            _sort_rows(bits, order, values, kind, descending, low, min(rows, low + step))


@njit(**JIT)
def _top_rows(bits, order, kind, descending, low, high):
    n, k = bits.shape[1], order.shape[1]
    keys = np.empty(n, bits.dtype)
    best = np.empty(k, bits.dtype)
    for r in range(low, high):
        row = order[r]
        _key_row(bits[r], keys, kind, descending)
        for i in range(k):
            best[i] = keys[i]
            row[i] = i
        _insertion(best, row)
        last = best[k - 1]
        for i in range(k, n):
            key = keys[i]
            if key < last:
                j = k - 1
                while j > 0 and best[j - 1] > key:
                    best[j] = best[j - 1]
                    row[j] = row[j - 1]
                    j -= 1
                best[j] = key
                row[j] = i
                last = best[k - 1]


@njit(parallel=True, **JIT)
def top_rows(bits, order, kind, descending):
    """Writes order (rows, k): the first k positions that sorting each row of bits (rows, n) would give."""
    rows, n = bits.shape
    if rows * n < GRAIN or rows == 1:
        _top_rows(bits, order, kind, descending, 0, rows)
    else:
        step = max(1, GRAIN // n)
        for c in prange((rows + step - 1) // step):
            low = np.intp(c) * step
            _top_rows(bits, order, kind, descending, low, min(rows, low + step))


@njit(**JIT)
def _search(b, v, out, right):
    for j in range(v.shape[0]):
        x = v[j]
        low, high = 0, b.shape[0]
        while low < high:
            middle = (low + high) >> 1
            # written so that a NaN goes to the end
            before = not (b[middle] > x) if right else not (b[middle] >= x)
            if before:
                low = middle + 1
            else:
                high = middle
        out[j] = low


@njit(parallel=True, **JIT)
def search_rows(b, v, out, right):
    """Writes out (rows, n): where each v (rows, n) belongs in the sorted row of b (rows, m)."""
    rows, n = v.shape
    if rows * n < GRAIN // 16:
        for r in range(rows):
            _search(b[r], v[r], out[r], right)
    elif rows == 1:
        step = GRAIN // 16
        for c in prange((n + step - 1) // step):
            low = np.intp(c) * step
            _search(b[0], v[0, low : low + step], out[0, low : low + step], right)
    else:
        for t in prange(rows):
            r = np.intp(t)
            _search(b[r], v[r], out[r], right)
