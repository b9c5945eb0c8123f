"""Where arrays come from: `empty`, `empty_like` and `zeros`, with large blocks reused.

The system hands out a large block as fresh pages and clears each at first touch, which costs a memory-bound kernel as
much as its own work. So blocks of 64 KiB and more come from a pool, by size class, and return to it when the last array
that looks at them is gone. Nothing has to be given back by hand: an array handed out is a plain ndarray whose base is a
`_Block`, views of it keep that alive, and the `_Block`'s end returns the memory. (NumPy shortens chains of bases, but
not past an array of another type. Hence `_Raw`: were the memory a plain ndarray, NumPy would step over the `_Block`.)

Idle memory is limited to a quarter of what the process may use, or to ``$TNN_POOL_LIMIT`` MiB (0: no pool); the classes
that were used longest ago go first.
"""

from __future__ import annotations

import os
import threading
from math import prod
from pathlib import Path

import numpy as np

SMALL = 65536
# With fewer elements than this no dtype reaches SMALL.
FEW = SMALL // 16
ALIGN = 64

_new = np.ndarray.__new__
_float32 = np.dtype(np.float32)
_uint8 = np.dtype(np.uint8)


class Pool:
    """Idle blocks by size; all methods may be called from any thread."""

    def __init__(self, limit: int):
        self.limit = limit
        self.reset()

    def reset(self) -> None:
        """Start empty and unlocked; also what a forked child does, whose parent may have been at work in here."""
        # Reentrant: the collector may end a block while this thread is inside.
        self.lock = threading.RLock()
        self.idle: dict[int, list[_Raw]] = {}
        self.idle_bytes = 0

    def take(self, size: int) -> _Raw:
        """A block of a size class, reused or new."""
        with self.lock:
            blocks = self.idle.get(size)
            if blocks:
                self.idle_bytes -= size
                return blocks.pop()
        try:
            return _allocate(size)
        except MemoryError:
            self.clear()
            return _allocate(size)

    def give(self, block: _Raw) -> None:
        """Take a block back."""
        size = block.size
        with self.lock:
            blocks = self.idle.get(size)
            if blocks is None:
                blocks = self.idle[size] = []
            blocks.append(block)
            self.idle_bytes += size
            if self.idle_bytes > self.limit:
                self.trim(size)

    def trim(self, last: int) -> None:
        """Drop idle blocks until the limit holds, those of size class `last` after all others."""
        order = [size for size in self.idle if size != last] + [last]
        for size in order:
            blocks = self.idle[size]
            while blocks and self.idle_bytes > self.limit:
                del blocks[0]
                self.idle_bytes -= size
            # To the end: the next trim starts with the classes that have not grown for longest.
            self.idle[size] = self.idle.pop(size)
            if self.idle_bytes <= self.limit:
                return

    def clear(self) -> None:
        """Give all idle memory back to the system."""
        with self.lock:
            self.idle = {}
            self.idle_bytes = 0


class _Raw(np.ndarray):
    """The memory of a block, for as long as the pool keeps it."""


def _allocate(size: int) -> _Raw:
    memory = np.empty(size + ALIGN, _uint8)
    start = -memory.ctypes.data % ALIGN
    return memory[start : start + size].view(_Raw)


def _size_class(nbytes: int) -> int:
    """The next size with at most four significant bits: eight classes between powers of two, at most 1/8 unused."""
    shift = nbytes.bit_length() - 4
    return -(-nbytes >> shift) << shift


def _memory() -> int:
    """Bytes of memory that this process may use."""
    try:
        least = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        least = 8 << 30
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            least = min(least, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue
    return least


def _default_limit() -> int:
    asked = os.environ.get("TNN_POOL_LIMIT", "")
    return int(asked) << 20 if asked.isdigit() else _memory() // 4


_pool = Pool(_default_limit())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.reset)


class _Block(np.ndarray):
    """A loan: one object per loan, base of every array that looks at the block."""

    # Bound here, so that it is still there while the interpreter shuts down.
    def __del__(self, give=_pool.give):
        give(self.base)


def empty(shape, dtype=_float32) -> np.ndarray:
    """An uninitialised C-contiguous array; 64-byte aligned and from the pool where it is large."""
    n = prod(shape) if type(shape) is tuple else prod(np.atleast_1d(shape).tolist())
    if n < FEW:
        return np.empty(shape, dtype)
    dtype = np.dtype(dtype)
    nbytes = n * dtype.itemsize
    if nbytes < SMALL or dtype.hasobject:
        return np.empty(shape, dtype)
    return _new(np.ndarray, shape, dtype, _pool.take(_size_class(nbytes)).view(_Block))


def empty_like(x: np.ndarray, dtype=None) -> np.ndarray:
    """An uninitialised C-contiguous array of the shape of `x` and, unless another is given, its dtype."""
    return empty(x.shape, x.dtype if dtype is None else dtype)


def zeros(shape, dtype=_float32) -> np.ndarray:
    """A C-contiguous array of zeros; 64-byte aligned and from the pool where it is large."""
    n = prod(shape) if type(shape) is tuple else FEW
    if n < FEW:
        return np.zeros(shape, dtype)
    from ._copy import fill

    x = empty(shape, dtype)
    fill(x, 0)
    return x


def clear() -> None:
    """Give idle memory back to the system; arrays in use stay."""
    _pool.clear()


def idle_bytes() -> int:
    """Bytes that wait in the pool."""
    return _pool.idle_bytes


def set_limit(nbytes: int) -> None:
    """Set the most bytes that may wait in the pool; 0 turns reuse off."""
    if nbytes < 0:
        raise ValueError(f"set_limit expects a number of bytes that is not negative, but got {nbytes}")
    _pool.limit = nbytes
    with _pool.lock:
        if _pool.idle_bytes > nbytes:
            _pool.clear()
