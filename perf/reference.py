"""What a machine can do, measured with kernels of this file alone: a change in tnn does not move them.

``fma`` keeps a dozen vectors in registers and does nothing but fused multiply-adds: the peak of one core. ``read``,
``write``, ``copy`` and ``triad`` move arrays; which level of the memory they measure depends on the arrays' size.
``interpreter`` is a loop of plain Python of the kind that dispatches an operation.

The kernels are serial and release the interpreter's lock: for n threads n Python threads run one each.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

I64 = ir.IntType(64)
FLAGS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}


def features():
    """The CPU's features that Numba compiles for."""
    flat = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()
    return {f[1:] for f in flat.split(",") if f.startswith("+")}


def path():
    """The name of the widest vectors with a fused multiply-add, and their bytes."""
    have = features()
    if "avx512f" in have:
        return "avx512", 64
    if "avx2" in have and "fma" in have:
        return "avx2", 32
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return "neon", 16
    return "generic", 16


# Chains of dependent multiply-adds that run side by side: latency (4 cycles) times units (2), and some to spare.
CHAINS = 12
NAME, BYTES = path()


@intrinsic
def fma_chains(typingctx, start, times):
    """``times`` rounds of CHAINS multiply-adds on vectors of start's type; the sum of one element of each chain."""
    lanes = BYTES // (start.bitwidth // 8)

    def codegen(context, builder, signature, args):
        scalar = args[0].type
        vector = ir.VectorType(scalar, lanes)
        kind = ir.FunctionType(vector, [vector] * 3)
        short = "f32" if isinstance(scalar, ir.FloatType) else "f64"
        name = f"llvm.fma.v{lanes}{short}"
        fma = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)

        def spread(value):
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        factor = spread(builder.fmul(args[0], ir.Constant(scalar, 0.5)))
        first = [spread(builder.fadd(args[0], ir.Constant(scalar, 0.01 * i))) for i in range(CHAINS)]
        before = builder.block
        loop = builder.append_basic_block("chains")
        after = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(I64)
        sums = [builder.phi(vector) for _ in first]
        ahead = [builder.call(fma, [s, factor, factor]) for s in sums]
        more = builder.add(count, ir.Constant(I64, 1))
        for phi, old, new in zip([count, *sums], [ir.Constant(I64, 0), *first], [more, *ahead], strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", more, args[1]), loop, after)
        builder.position_at_end(after)
        total = ir.Constant(scalar, 0.0)
        for vec in ahead:
            total = builder.fadd(total, builder.extract_element(vec, ir.Constant(ir.IntType(32), 0)))
        return total

    return start(start, types.int64), codegen


@njit(**FLAGS)
def fma(start, times):
    """Runs ``times`` (at least 1) rounds of multiply-adds of start's type."""
    return fma_chains(start, times)


def flops_of_round(dtype):
    """Floating-point operations in one round of ``fma``."""
    return 2 * CHAINS * BYTES // np.dtype(dtype).itemsize


@njit(**FLAGS)
def read(x, times):
    """Adds up a vector, ``times`` times."""
    total = x[0]
    for _ in range(times):
        part = x.dtype.type(0)
        for i in range(x.size):
            part += x[i]
        total = max(total, part)
        x[0] = total - total  # a changed element keeps the next pass from being left out
    return total


@njit(**FLAGS)
def write(x, times):
    """Fills a vector, ``times`` times."""
    for t in range(times):
        value = x.dtype.type(t)
        for i in range(x.size):
            x[i] = value


@njit(**FLAGS)
def copy(x, y, times):
    """Copies x to y, ``times`` times."""
    for _ in range(times):
        for i in range(y.size):
            y[i] = x[i]
        x[0] += 1


@njit(**FLAGS)
def triad(x, y, z, times):
    """Writes x + 3 y to z, ``times`` times."""
    three = x.dtype.type(3)
    for _ in range(times):
        for i in range(z.size):
            z[i] = x[i] + three * y[i]
        x[0] += 1


def aligned(size, offset=0):
    """Ones in float32 that begin ``offset`` bytes after a page does: copying takes up to 1.2 times longer elsewhere."""
    memory = np.empty(4 * size + 8192, np.uint8)
    start = -memory.ctypes.data % 4096 + offset
    x = memory[start : start + 4 * size].view(np.float32)
    x[:] = 1
    return x


def interpreter(times):
    """Calls, attribute look-ups and small objects: what Python does around a kernel."""

    class Node:
        __slots__ = ("inputs", "shape")

        def __init__(self, inputs, shape):
            self.inputs = inputs
            self.shape = shape

    node = Node((), (8,))
    for i in range(times):
        if isinstance(node, Node) and len(node.shape) == 1:
            node = Node((node.shape, i), tuple(node.shape))
    return node


def best(run, seconds=0.2, least=3):
    """The shortest of as many runs as fit into the time; the first one, which may compile, does not count."""
    run()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def on_threads(runs):
    """A function that runs all of ``runs`` at once, on a thread each, and comes back when all have ended."""
    if len(runs) == 1:
        return runs[0]
    pool = ThreadPoolExecutor(len(runs) - 1)

    def together():
        others = [pool.submit(r) for r in runs[1:]]
        runs[0]()
        for other in others:
            other.result()

    return together


def caches():
    """Bytes of the caches: level 2 of one core and level 3; 1 and 32 MiB where the system does not say."""
    sizes = {"L2": 1 << 20, "L3": 32 << 20}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level = "L" + (folder / "level").read_text().strip()
            size = (folder / "size").read_text().strip()
        except OSError:
            continue
        if level in sizes and size.endswith("K"):
            sizes[level] = int(size[:-1]) << 10
    return sizes


@cache
def fma_peak(threads=1, dtype="float32"):
    """Floating-point operations a second of the given number of threads."""
    start, times = np.dtype(dtype).type(0.1), 400_000
    fma(start, 1)
    seconds = best(on_threads([lambda: fma(start, times)] * threads))
    return threads * times * flops_of_round(dtype) / seconds


@cache
def launch():
    """Seconds to call a compiled kernel with two small arrays from Python."""
    x, y = np.ones(8, np.float32), np.ones(8, np.float32)

    def run():
        for _ in range(1000):
            copy(x, y, 1)

    return best(run) / 1000


# Arrays that each way of moving data reads and writes.
WAYS = {"read": (read, 1, 0), "write": (write, 0, 1), "copy": (copy, 1, 1), "triad": (triad, 2, 1)}
LEVELS = ("L2", "L3", "memory")


def working_set(level, threads=1):
    """Bytes that a measurement of a level touches: half the cache, or four times the last one."""
    sizes = caches()
    return {"L2": sizes["L2"] // 2 * threads, "L3": sizes["L3"] // 2, "memory": 4 * sizes["L3"]}[level]


@cache
def bandwidth(way, level, threads=1):
    """Bytes a second that one of WAYS moves between the core and a level, reads and writes counted once each."""
    kernel, reads, writes = WAYS[way]
    arrays = reads + writes
    size = working_set(level, threads) // (arrays * threads * 4)
    times = max(1, (32 << 20) // (size * arrays * 4 * threads))
    runs = []
    for _ in range(threads):
        data = [aligned(size, 1024 * i) for i in range(arrays)]
        kernel(*data, 1)
        runs.append(lambda data=data: kernel(*data, times))
    return threads * times * size * arrays * 4 / best(on_threads(runs), 0.3)


def way_of(reads, writes):
    """The way of moving data that is most like a row's."""
    if writes < 0.2 * reads:
        return "read"
    if reads < 0.2 * writes:
        return "write"
    return "triad" if reads > 1.4 * writes else "copy"


def level_of(moved, threads=1):
    """The level where a working set of so many bytes stays between two runs."""
    sizes = caches()
    if moved <= sizes["L2"] * threads:
        return "L2"
    return "L3" if moved <= sizes["L3"] else "memory"


def available_threads():
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
