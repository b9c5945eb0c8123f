"""JIT flags shared by every kernel, and the threads that they run on."""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import sys
import threading
from pathlib import Path

from llvmlite import binding
from numba.core import config
from numba.np.ufunc import parallel

from . import _cache

# Below this many elements a kernel runs its loop on the calling thread.
GRAIN = 32768
# Elements in one chunk of a parallel loop over a flat array: fixed, so that results do not depend on the thread count.
CHUNK = 8192

JIT = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    # Never nnan or ninf: a NaN stays a NaN, and attention masks are -inf.
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}

# Without reassociation: sizes and addresses.
PLAIN = {name: value for name, value in JIT.items() if name != "fastmath"}

_cache.install()

# -- threading layer -----------------------------------------------------------------------------------------------
# Numba takes the first of TBB, OpenMP and its own workqueue that loads, at the first parallel compilation or load.
# Unless NUMBA_THREADING_LAYER names one, the layer of `_threads` then takes its place where there are POSIX threads.


def _preload_tbb() -> None:
    """Load the TBB library that pip puts into the environment's lib folder, where the linker would not find it."""
    name = {"linux": "lib/libtbb.so.12", "darwin": "lib/libtbb.12.dylib", "win32": "Library/bin/tbb12.dll"}
    path = os.path.join(sys.prefix, name.get(sys.platform, "lib/libtbb.so.12"))
    if os.path.isfile(path):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            return  # a damaged library or one for another machine: Numba goes on to OpenMP


def _serialise(parallel_for: int) -> None:
    """Let one launch of the workqueue layer wait for another: it ends the process when two threads meet in it."""
    launch = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5, *[ctypes.c_size_t] * 2, ctypes.c_int)
    inner = launch(parallel_for)
    lock = threading.Lock()

    def one_at_a_time(*args):
        with lock:
            inner(*args)

    callback = launch(one_at_a_time)
    _kept.append(callback)
    binding.add_symbol("numba_parallel_for", ctypes.cast(callback, ctypes.c_void_p).value)


_kept: list[object] = []  # what compiled code points at
_numba_launch_threads = parallel._launch_threads


def _own_layer() -> bool:
    return str(config.THREADING_LAYER).lower() == "default" and os.name == "posix" and not config.DISABLE_JIT


def _threads():
    # No import statement: machine code of kernels, which the cache keeps by what a file imports, does not depend on it.
    return importlib.import_module("._threads", __package__)


def _launch_threads() -> None:
    _numba_launch_threads()
    if _own_layer():
        _threads().install(parallel.NUM_THREADS)
    elif parallel._threading_layer == "workqueue" and not _kept:
        from numba.np.ufunc import workqueue

        _serialise(workqueue.parallel_for)


if str(config.THREADING_LAYER).lower() not in ("omp", "workqueue") and not _own_layer():
    _preload_tbb()
parallel._launch_threads = _launch_threads

# -- number of threads ---------------------------------------------------------------------------------------------


def _quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> float:
    """CPUs that the control groups of this process may use: the smallest quota on the way up; inf where none is set."""
    least = math.inf
    try:
        lines = Path(membership).read_text().splitlines()
    except OSError:
        return least
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, read = Path(root), _quota_v2
        elif "cpu" in controllers.split(","):
            base, read = Path(root) / "cpu", _quota_v1
        else:
            continue
        folder = base / group.lstrip("/")
        for place in (folder, *folder.parents):
            least = min(least, read(place))
            if place == base:
                break
    return least


def _quota_v2(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def _quota_v1(folder: Path) -> float:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def default_num_threads() -> int:
    """Threads that kernels use unless told otherwise.

    The first of TNN_NUM_THREADS, NUMBA_NUM_THREADS and OMP_NUM_THREADS that holds a positive number, else the CPUs that
    this process may run on, by affinity and by its control group's quota.
    """
    for name in ("TNN_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0].strip()
        if value.isdigit() and int(value) > 0:
            return int(value)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _quota())))


if not parallel._is_initialized:
    # The size that the pool gets when the first parallel kernel starts it.
    parallel.NUM_THREADS = default_num_threads()


def set_num_threads(n: int) -> None:
    """Set how many threads a kernel may use.

    Before the first parallel kernel the number holds for every thread of the process; afterwards for the calling
    thread. Results do not depend on it, bit for bit. Numba's workqueue layer cannot grow: there, a number above the
    pool's size means the pool's size.

    Args:
        n: number of threads, at least 1.

    Raises:
        TypeError: `n` is not an integer.
        ValueError: `n` is below 1.
    """
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    n = n.__index__()
    if n < 1:
        raise ValueError(f"set_num_threads expects a positive number of threads, but got {n}")
    if not parallel._is_initialized:
        parallel.NUM_THREADS = n
        return
    if parallel.threading_layer() == "workqueue":
        n = min(n, parallel.NUM_THREADS)
    if _own_layer():
        _threads().start(n)
    parallel._set_num_threads(n)


def threading_layer() -> str:
    """Name of the threading layer: tnn for this library's own, else what Numba calls it."""
    if _own_layer():
        return "tnn"
    parallel._launch_threads()
    return parallel.threading_layer()


def get_num_threads() -> int:
    """Number of threads that a kernel called from this thread may use."""
    return parallel._get_num_threads() if parallel._is_initialized else parallel.NUM_THREADS
