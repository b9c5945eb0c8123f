"""The threads that parallel kernels run on.

Numba cuts a `prange` into blocks of iterations and hands these to `numba_parallel_for`. Its own layers (TBB, OpenMP,
workqueue) give each thread one block. With TBB a worker is woken so slowly that the caller has done kernels of up to
0.2 ms alone; with OpenMP it spins for milliseconds after each kernel, and a busy neighbour makes every kernel wait for
the slower thread. This layer, on systems with POSIX threads:

- cuts into up to `BLOCKS` blocks a thread. A thread begins with its own share, so that the same part of an array stays
  in the same core's cache from kernel to kernel, and then takes from the others' shares what is left there;
- goes through each share from its end to its beginning in every second kernel: what the kernel before touched last is
  met first, while the core's own cache still has it. relu of 0.5 M floats takes 17.6 us where it took 22. After a
  kernel of which a thread did several blocks of another's share the direction stays: the other one begins with those
  that it did itself, which its cache has, and gets further each time. Without that, where two cores share no cache (as
  those of a virtual machine seem to at times), a chain of kernels on 4 MiB took 1.8 ms, and 1.2 so;
- keeps a worker polling for some 0.2 ms after its last block, giving way to other processes, before it sleeps;
- runs a kernel on the calling thread alone when the workers are at work for another thread, or are the callers
  themselves: kernels may be called from any thread, and from inside kernels;
- starts anew in a forked child.

How a job is handed over: the caller writes the job's fields, one ticket for each thread (job number, end and next block
of its share) and last the job's number. A block belongs to whoever raises a ticket by one with compare-and-swap; the
job number within the ticket makes a late worker's swap fail. The job is over when all blocks are done. Which thread
takes a block changes nothing in the results, since chunks of work depend on sizes alone.

Measured on two cores, against TBB: exp of 0.5 M floats 42 us where it was 79, sum 13.6 where it was 24.
"""

import atexit
import ctypes
import os
import platform
import threading
import traceback
from ctypes import CDLL, CFUNCTYPE, addressof, byref, c_char, c_int64, c_void_p, cast

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic

BLOCKS = 8
MOST_THREADS = 256
MOST_BLOCKS = 0xFFFF
PAUSES, YIELDS = 400, 400  # measured: about 20 us of pauses, then 0.2 ms of yields

# Where things lie in the state, in words of 8 bytes; those that different threads write are on different cache lines.
_BUSY, _NUMBER, _DONE, _ASLEEP, _STOP, _JOB, _MUTEX, _CONDITION, _TICKETS = 0, 8, 16, 24, 32, 40, 56, 72, 88
_STARTED = _STOP + 1  # how many threads there are, the caller counted
_SELVES = _TICKETS + 8 * MOST_THREADS  # what pthread_self says in each worker
_STARTS = _SELVES + MOST_THREADS
_SIZE = _STARTS + MOST_THREADS
# fields of the job
_FUNCTION, _ARGS, _DIMS, _STEPS, _DATA, _INNER, _COUNT, _THREADS, _REVERSED = range(_JOB, _JOB + 9)
_STRAYED = _STARTED + 1  # how many blocks of a job were run by another thread than that whose share they are

_LAYER = {"cache": True, "nogil": True, "error_model": "numpy"}
_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_X86, _ARM = platform.machine() in ("x86_64", "AMD64"), platform.machine() in ("aarch64", "arm64")


# ------------------------------------------------------------------------------------------- words of the state


def _word_at(builder, index):
    state = builder.module.globals.get("tnn_threads_state")
    if state is None:
        state = ir.GlobalVariable(builder.module, ir.ArrayType(_WORD, _SIZE), "tnn_threads_state")
        state.linkage = "external"
    return builder.gep(state, [ir.Constant(_WORD, 0), index])


@intrinsic
def _load(typingctx, index):
    """Word `index` of the state; nothing later in the program is read before it."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_word_at(builder, args[0]), "seq_cst", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _store(typingctx, index, value):
    """Write word `index`; all that was written before it is seen by whoever reads it."""

    def codegen(context, builder, signature, args):
        builder.store_atomic(args[1], _word_at(builder, args[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def _add(typingctx, index, value):
    """Add to word `index`; its value before."""

    def codegen(context, builder, signature, args):
        return builder.atomic_rmw("add", _word_at(builder, args[0]), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _swap(typingctx, index, old, new):
    """Write `new` if word `index` is `old`; whether it was."""

    def codegen(context, builder, signature, args):
        result = builder.cmpxchg(_word_at(builder, args[0]), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(result, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


# ---------------------------------------------------------------------------------------------- waiting and calling


@intrinsic
def _pause(typingctx):
    """Tell the processor that this is a waiting loop."""

    def codegen(context, builder, signature, args):
        nothing, number = ir.VoidType(), ir.IntType(32)
        if _X86:
            kind = ir.FunctionType(nothing, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif _ARM:
            kind = ir.FunctionType(nothing, [number])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint"), [number(1)])
        return context.get_dummy_value()

    return types.void(), codegen


def _library(name, *words):
    """An intrinsic that calls a function of the system's thread library with addresses of words of the state."""

    @intrinsic
    def call(typingctx):
        def codegen(context, builder, signature, args):
            kind = ir.FunctionType(ir.IntType(32), [_BYTES] * len(words))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            places = [_word_at(builder, ir.Constant(_WORD, w)) for w in words]
            builder.call(function, [builder.bitcast(p, _BYTES) for p in places])
            return context.get_dummy_value()

        return types.void(), codegen

    return call


_yield = _library("sched_yield")
_lock = _library("pthread_mutex_lock", _MUTEX)
_unlock = _library("pthread_mutex_unlock", _MUTEX)
_sleep = _library("pthread_cond_wait", _CONDITION, _MUTEX)
_wake = _library("pthread_cond_broadcast", _CONDITION)


@intrinsic
def _run(typingctx, function, args, dims, steps, data, inner, count, first, blocks):
    """Call function(args, dims, steps, data) for `blocks` blocks from `first` on; dims[0] counts blocks, dims[1:] are
    `inner` further sizes, and args are `count` addresses that move on by steps for each block."""

    def codegen(context, builder, signature, values):
        function, args, dims, steps, data, inner, count, first, blocks = values
        words, places = _WORD.as_pointer(), _BYTES.as_pointer()
        args, dims = builder.inttoptr(args, places), builder.inttoptr(dims, words)
        steps, data = builder.inttoptr(steps, words), builder.inttoptr(data, _BYTES)
        module, nothing = builder.module, ir.VoidType()
        stack = cgutils.get_or_insert_function(module, ir.FunctionType(_BYTES, []), "llvm.stacksave.p0")
        unstack = cgutils.get_or_insert_function(module, ir.FunctionType(nothing, [_BYTES]), "llvm.stackrestore.p0")
        before = builder.call(stack, [])
        moved = builder.alloca(_BYTES, size=count)
        sizes = builder.alloca(_WORD, size=builder.add(inner, ir.Constant(_WORD, 1)))
        builder.store(blocks, sizes)
        with cgutils.for_range(builder, inner) as k:
            at = builder.add(k.index, ir.Constant(_WORD, 1))
            builder.store(builder.load(builder.gep(dims, [at])), builder.gep(sizes, [at]))
        with cgutils.for_range(builder, count) as k:
            offset = builder.mul(first, builder.load(builder.gep(steps, [k.index])))
            place = builder.gep(builder.load(builder.gep(args, [k.index])), [offset])
            builder.store(place, builder.gep(moved, [k.index]))
        kind = ir.FunctionType(nothing, [places, words, words, _BYTES])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [moved, sizes, steps, data])
        builder.call(unstack, [before])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), codegen


@intrinsic
def _word(typingctx, address):
    """The 8-byte word at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _WORD.as_pointer()))

    return types.int64(types.int64), codegen


@intrinsic
def _self(typingctx):
    """What tells this thread from others."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_WORD, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "pthread_self"), [])

    return types.int64(), codegen


@intrinsic
def _chunk_size(typingctx):
    """What numba.set_parallel_chunksize was told; 0 if nothing."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(_WORD, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "get_parallel_chunksize"), [])

    return types.int64(), codegen


@njit(**_LAYER)
def _work(number, me, function, args, dims, steps, data, inner, count, threads):
    """Take blocks of job `number` and run them, first of the share of thread `me`, until none is left."""
    for k in range(threads):
        share = (me + k) % threads
        ticket = _TICKETS + 8 * share
        while True:
            value = _load(ticket)
            block = value & 0xFFFF
            if (value >> 32) != (number & 0x7FFFFFFF) or block >= ((value >> 16) & 0xFFFF):
                break
            if _swap(ticket, value, value + 1):
                if _load(_REVERSED) != 0:
                    start, end = _load(_STARTS + share), (value >> 16) & 0xFFFF
                    block = start + end - 1 - block
                if k > 0:
                    _add(_STRAYED, 1)
                _run(function, args, dims, steps, data, inner, count, block, 1)
                _add(_DONE, 1)


def _worker(me):
    """What worker `me`, from 1 on, does until it is told to stop."""
    _store(_SELVES + me, _self())
    seen = 0
    idle = 0
    while True:
        number = _load(_NUMBER)
        if _load(_STOP) != 0:
            return 0
        if number != seen:
            seen = number
            threads = _load(_THREADS)
            if me < threads:
                _work(number, me, _load(_FUNCTION), _load(_ARGS), _load(_DIMS), _load(_STEPS), _load(_DATA),
                      _load(_INNER), _load(_COUNT), threads)  # fmt: skip
                idle = 0
            continue
        idle += 1
        if idle < PAUSES:
            _pause()
        elif idle < PAUSES + YIELDS:
            _yield()
        else:
            _lock()
            _add(_ASLEEP, 1)
            while _load(_NUMBER) == seen and _load(_STOP) == 0:
                _sleep()
            _add(_ASLEEP, -1)
            _unlock()
            idle = 0


def _parallel_for(function, args, dims, steps, data, inner, count, threads):
    """What a parallel loop of Numba's calls: function(args, dims, steps, data) for the dims[0] blocks of a loop."""
    total = _word(dims)
    threads = min(threads & 0xFFFF, _load(_STARTED), total)
    if threads < 2 or total > MOST_BLOCKS or not _swap(_BUSY, 0, 1):
        _run(function, args, dims, steps, data, inner, count, 0, total)
        return
    number = _load(_NUMBER) + 1
    _store(_FUNCTION, function)
    _store(_ARGS, args)
    _store(_DIMS, dims)
    _store(_STEPS, steps)
    _store(_DATA, data)
    _store(_INNER, inner)
    _store(_COUNT, count)
    _store(_THREADS, threads)
    _store(_DONE, 0)
    if _load(_STRAYED) < threads:  # one for each thread but one is chance
        _store(_REVERSED, 1 - _load(_REVERSED))
    _store(_STRAYED, 0)
    for k in range(threads):
        start, end = k * total // threads, (k + 1) * total // threads
        _store(_STARTS + k, start)
        _store(_TICKETS + 8 * k, ((number & 0x7FFFFFFF) << 32) | (end << 16) | start)
    _store(_NUMBER, number)
    if _load(_ASLEEP) != 0:
        _lock()
        _wake()
        _unlock()
    _work(number, 0, function, args, dims, steps, data, inner, count, threads)
    waited = 0
    while _load(_DONE) != total:
        waited += 1
        if waited < PAUSES:
            _pause()
        else:
            _yield()
    _store(_BUSY, 0)


def _thread_id():
    """Which of a job's threads this is."""
    me = _self()
    for k in range(1, _load(_STARTED)):
        if _load(_SELVES + k) == me:
            return k
    return 0


def _blocks(threads, ndim, starts, ends):
    """Into how many blocks a loop is cut; starts, ends: the addresses of its bounds, both inclusive."""
    total = 1
    for k in range(ndim):
        total *= _word(ends + 8 * k) - _word(starts + 8 * k) + 1
    chunk = _chunk_size()
    if chunk != 0:
        return max(threads, total // chunk)
    return 1 if threads < 2 else max(1, min(total, BLOCKS * threads))


# --------------------------------------------------------------------------------------------- starting and stopping

_state = None
_workers = []
_entries = {}
_asked = 1  # threads wanted before there are any
_filling = threading.Lock()

# What stands behind Numba's symbols. It takes 0.9 s to compile, and a process whose arrays are all small needs none of
# it: the symbols are doors, which compile it when the first loop comes.
_SYMBOLS = [
    ("numba_parallel_for", _parallel_for, types.void, 8),
    ("get_thread_id", _thread_id, types.int64, 0),
    ("get_sched_size", _blocks, types.int64, 4),
]
_ADDRESSES = (c_int64 * len(_SYMBOLS))()


def _fill(number):
    try:
        with _filling:
            if not _ADDRESSES[number]:
                made = [_entry(function, returns, count) for _, function, returns, count in _SYMBOLS]
                _entries["worker"] = _entry(_worker, types.int64, 1)
                start(_asked)
                _ADDRESSES[:] = made
        return _ADDRESSES[number]
    except BaseException:
        # The caller is compiled code that cannot raise and has nothing to call.
        traceback.print_exc()
        os.abort()


_FILL = CFUNCTYPE(c_int64, c_int64)(_fill)


@global_compiler_lock
def _doors():
    """Addresses of functions that call those at _ADDRESSES."""
    library = cpu_target.target_context.codegen().create_library("tnn_threads")
    module = library.create_ir_module("tnn_threads")
    fill = ir.Constant(_WORD, cast(_FILL, c_void_p).value)
    for i, (name, _, _, count) in enumerate(_SYMBOLS):
        function = ir.Function(module, ir.FunctionType(_WORD, [_WORD] * count), f"tnn_{name}")
        builder = ir.IRBuilder(function.append_basic_block("start"))
        cell = ir.Constant(_WORD, addressof(_ADDRESSES) + 8 * i).inttoptr(_WORD.as_pointer())
        known = builder.load(cell)
        start_block = builder.block
        with builder.if_then(builder.icmp_signed("==", known, ir.Constant(_WORD, 0)), likely=False):
            kind = ir.FunctionType(_WORD, [_WORD])
            made = builder.call(builder.inttoptr(fill, kind.as_pointer()), [ir.Constant(_WORD, i)])
            fill_block = builder.block
        address = builder.phi(_WORD)
        address.add_incoming(known, start_block)
        address.add_incoming(made, fill_block)
        target = builder.inttoptr(address, function.type)
        builder.ret(builder.call(target, function.args, tail=True))
    library.add_ir_module(module)
    library.finalize()
    _entries["doors"] = library
    return [library.get_pointer_to_function(f"tnn_{name}") for name, *_ in _SYMBOLS]


def _entry(function, returns, count):
    """Address of the machine code of a function of `count` integers, to be called as a C function."""
    compiled = njit(**_LAYER)(function)
    signature = (types.int64,) * count
    compiled.compile(returns(*signature))
    made = compiled.overloads[signature]
    _entries[function.__name__] = compiled
    return made.library.get_pointer_to_function(made.fndesc.llvm_cfunc_wrapper_name)


def install(threads):
    """Put this layer in the place of the one that Numba has loaded, with workers for this many threads; at the first
    call."""
    global _state, _asked
    if _state is not None:
        return
    _asked = threads
    memory = (c_char * (8 * _SIZE + 64))()
    _state = (memory, addressof(memory) + -addressof(memory) % 64)
    binding.add_symbol("tnn_threads_state", _state[1])
    _prepare()
    for (name, *_), address in zip(_SYMBOLS, _doors(), strict=True):
        binding.add_symbol(name, address)
    atexit.register(stop)
    os.register_at_fork(after_in_child=_after_fork)


def _word_of(index):
    return ctypes.c_int64.from_address(_state[1] + 8 * index)


def _prepare():
    ctypes.memset(_state[1], 0, 8 * _SIZE)
    system = CDLL(None)
    system.pthread_mutex_init(c_void_p(_state[1] + 8 * _MUTEX), None)
    system.pthread_cond_init(c_void_p(_state[1] + 8 * _CONDITION), None)
    _word_of(_STARTED).value = 1


def start(threads):
    """See to it that there are workers for this many threads, the caller counted; from the first loop on."""
    global _asked
    if "worker" not in _entries:
        _asked = max(_asked, threads)
        return
    system = CDLL(None)
    while len(_workers) + 1 < min(threads, MOST_THREADS):
        handle = c_void_p()
        if system.pthread_create(byref(handle), None, c_void_p(_entries["worker"]), c_void_p(len(_workers) + 1)) != 0:
            return
        _workers.append(handle)
        _word_of(_STARTED).value = len(_workers) + 1


def stop():
    """End the workers; kernels run on the calling thread from then on."""
    if not _workers:
        return
    system = CDLL(None)
    _word_of(_STARTED).value = 1
    mutex, condition = c_void_p(_state[1] + 8 * _MUTEX), c_void_p(_state[1] + 8 * _CONDITION)
    system.pthread_mutex_lock(mutex)
    _word_of(_STOP).value = 1
    system.pthread_cond_broadcast(condition)
    system.pthread_mutex_unlock(mutex)
    while _workers:
        system.pthread_join(_workers.pop(), None)
    _word_of(_STOP).value = 0


def _after_fork():
    threads = len(_workers) + 1
    _workers.clear()
    _prepare()
    start(threads)
