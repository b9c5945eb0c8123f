"""JIT flags shared by every kernel, and the threads that they run on."""

from __future__ import annotations

import ctypes
import glob
import math
import os
import sys
from pathlib import Path

from numba.core import config
from numba.np.ufunc import parallel

from . import _cache

# Below this many elements a kernel runs its loop on the calling thread.
GRAIN = 32768
# Elements in one chunk of a parallel loop over a flat array: fixed, so that results do not depend on the thread count.
CHUNK = 16384

# -- threading layer -----------------------------------------------------------------------------------------------


def _preload_tbb() -> bool:
    """Load the TBB library that pip puts into the environment's lib folder, where the linker would not find it."""
    names = {"linux": "lib/libtbb.so.12", "darwin": "lib/libtbb.12.dylib", "win32": "Library/bin/tbb12.dll"}
    name = names.get(sys.platform)
    if name is None:
        return False
    for path in (*glob.glob(os.path.join(sys.prefix, name)), os.path.basename(name)):
        try:
            library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            if library.TBB_runtime_interface_version() >= 12060:
                return True
        except (OSError, AttributeError):
            continue
    return False


def _importable(layer: str) -> bool:
    """Whether Numba will be able to use a threading layer."""
    if layer == "tbb":
        return _preload_tbb()
    if layer == "omp":
        try:
            from numba.np.ufunc import omppool  # noqa: F401
        except ImportError:
            return False
    return True


def _expected_layer() -> str:
    """The layer that Numba will take at the first parallel launch; the user's NUMBA_THREADING_LAYER stands."""
    asked = str(config.THREADING_LAYER).lower()
    if parallel._is_initialized:
        return str(parallel.threading_layer())
    if asked in ("tbb", "omp", "workqueue"):
        candidates = [asked]
    else:
        allowed = {"safe": ("tbb",), "threadsafe": ("tbb", "omp"), "forksafe": ("tbb", "workqueue")}
        candidates = [c for c in config.THREADING_LAYER_PRIORITY if c in allowed.get(asked, (c,))]
    for layer in candidates:
        if _importable(layer):
            return layer
    return candidates[-1]


THREADING_LAYER = _expected_layer()

JIT = {
    "cache": True,
    # The workqueue layer aborts when two threads launch at once: there, a kernel keeps the interpreter's lock.
    "nogil": THREADING_LAYER != "workqueue",
    "error_model": "numpy",
    # Never nnan or ninf: a NaN stays a NaN, and attention masks are -inf.
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}

_cache.install()

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
    parallel._set_num_threads(n)


def get_num_threads() -> int:
    """Number of threads that a kernel called from this thread may use."""
    return parallel._get_num_threads() if parallel._is_initialized else parallel.NUM_THREADS
