"""Chains: loops from generated source that compute several elementwise formulas at once, see tnn/compiler/fusion.py.

A chain is one serial loop over a run of elements, like those of `_elementwise`, but with any number of operands:

    def chain(x0, x1, y0, n, z0):
        for i in range(n):
            a = add_forward(x0[i], x1[i])
            b = gelu_forward(apart(a, z0))
            y0[i] = b

`run_chain`, compiled once for all chains, cuts arrays into chunks, spreads these over threads and walks through
broadcast dimensions.

Results are those of the single kernels, bit for bit. A multiplication at the end of one formula and an addition at the
beginning of the next could become one fused operation with one rounding; and what two formulas have in common could be
computed once, which changes what is fused within them. ``apart(a, z)`` prevents both: it is a, by way of an exclusive
or with an integer that is 0, which the compiler does not know.
"""

import hashlib
import linecache
import os

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from . import _cache
from ._elementwise import _LOOP, _in_type
from ._jit import CHUNK, GRAIN, JIT
from ._math import MATH
from ._words import WORD, pointer8, pointer32, pointer64, put, room

MOST = 48  # operands of a chain, those of `apart` too; `room` holds 64


@intrinsic
def apart(typingctx, value, zero):
    """A float as it is, which no optimization sees through; ``zero``: the integer 0, unknown to the compiler."""

    def codegen(context, builder, signature, args):
        bits = ir.IntType(signature.return_type.bitwidth)
        mask = builder.trunc(args[1], bits) if bits.width < 64 else args[1]
        return builder.bitcast(builder.xor(builder.bitcast(args[0], bits), mask), args[0].type)

    return (value(value, types.int64), codegen) if isinstance(value, types.Float) else None


_POINTERS = {types.uint8: pointer8, types.float32: pointer32, types.float64: pointer64}


@intrinsic
def _call(typingctx, loop, at, offsets, n, numbers):
    """Call the chain at address `loop` on n elements: at, the addresses of its operands; offsets, bytes to add to
    each; numbers, its parameters."""

    def codegen(context, builder, signature, args):
        kinds = signature.args
        count = cgutils.alloca_once(builder, WORD)
        moved = cgutils.alloca_once(builder, WORD, size=WORD(MOST))
        base = context.make_array(kinds[1])(context, builder, args[1])
        steps = builder.inttoptr(args[2], WORD.as_pointer())
        builder.store(base.nitems, count)
        with cgutils.for_range(builder, base.nitems) as k:
            address = builder.load(builder.gep(base.data, [k.index]))
            address = builder.add(address, builder.load(builder.gep(steps, [k.index])))
            builder.store(address, builder.gep(moved, [k.index]))
        pointer = ir.IntType(8).as_pointer()
        nothing, raised = (cgutils.alloca_once(builder, pointer) for _ in range(2))
        leading = [builder.bitcast(p, pointer) for p in (nothing, raised, moved)]
        values = builder.bitcast(context.make_array(kinds[4])(context, builder, args[4]).data, pointer)
        kind = ir.FunctionType(ir.IntType(32), [pointer] * 3 + [WORD, pointer])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [*leading, args[3], values])
        return context.get_dummy_value()

    return types.void(loop, at, offsets, n, numbers), codegen


@njit(**JIT)
def _piece(loop, at, dims, row, lo, n, numbers):
    """n elements of one innermost row, from element lo on."""
    last = dims.shape[0] - 1
    offsets = room()
    for k in range(at.size):
        offset = lo * dims[last, k + 1]
        rest = row
        for d in range(last - 1, -1, -1):
            offset += rest % dims[d, 0] * dims[d, k + 1]
            rest //= dims[d, 0]
        put(offsets + 8 * k, offset)
    _call(loop, at, offsets, n, numbers)


@njit(parallel=True, **JIT)
def run_chain(loop, at, dims, numbers):
    """Runs the chain at address ``loop`` over all elements.

    at: int64[k], the addresses of its operands, at most `MOST`, and zeros. dims: int64[d, 1 + k], for each dimension,
    the innermost last, its size and the bytes from one element to the next in each operand. numbers: float64, the
    parameters of its formulas.
    """
    rows = 1
    for d in range(dims.shape[0] - 1):
        rows *= dims[d, 0]
    width = dims[dims.shape[0] - 1, 0]
    total = rows * width
    if total == 0:
        return
    if total < GRAIN:
        for row in range(rows):
            _piece(loop, at, dims, row, 0, width, numbers)
    elif width >= CHUNK:
        pieces = (width + CHUNK - 1) // CHUNK
        for k in prange(rows * pieces):
            t = np.intp(k)
            lo = t % pieces * CHUNK
            _piece(loop, at, dims, t // pieces, lo, min(CHUNK, width - lo), numbers)
    else:
        step = CHUNK // width
        for k in prange((rows + step - 1) // step):
            start = np.intp(k) * step
            for row in range(start, min(rows, start + step)):
                _piece(loop, at, dims, row, 0, width, numbers)


def _loop_without_aliases(function):
    """A serial loop whose pointers lead to separate memory: else the compiler would compare them all, or give up."""
    made = njit(**_LOOP)(function)
    plain = made._compiler._customize_flags

    def flags(given):
        given = plain(given)
        given.noalias = True
        return given

    made._compiler._customize_flags = flags
    return made


@njit(**MATH)
def masked(x, mask, multiplier, kept, dropped):
    """What dropout does to an element, see dropout.py."""
    return x * (multiplier if mask != 0 else multiplier * 0) + (kept if mask != 0 else dropped)


@njit(**MATH)
def normalized(x, mean, rstd, w, b):
    """What batch normalization does to an element, see batchnorm.py."""
    return (x - mean) * (rstd * w) + b


_compiled: dict = {}  # (text, formulas, kind) -> (address, what has to stay alive)


def chain(text, kernels, kind):
    """The address of the machine code of a chain.

    Args:
        text: source of the functions ``chain``, the loop, and ``chain_at``, which gets addresses; the compile cache
            keeps it by content.
        kernels: the elementwise kernels whose formulas it calls, by name.
        kind: np.float32 or np.float64.
    """
    key = text, tuple((k, id(v)) for k, v in kernels.items()), kind
    if key not in _compiled:
        path = os.path.join(_cache.KERNELS, "_chains", hashlib.sha256(text.encode()).hexdigest()[:16], "chain.py")
        _cache.adopt(path, text, __file__)
        linecache.cache[path] = len(text), None, text.splitlines(True), path
        real = types.float32 if kind is np.float32 else types.float64
        space = {
            "__name__": f"{__package__}._chain", "loop": _loop_without_aliases, "entry": njit(**_LOOP), "real": real,
            "pointer": _POINTERS[real], "pointer8": _POINTERS[types.uint8], "apart": apart, "masked": masked,
            "normalized": normalized,
            **{k: njit(**MATH)(_in_type(v.formula, kind)) for k, v in kernels.items()},
        }  # fmt: skip
        exec(compile(text, path, "exec"), space)
        function = space["chain_at"]
        signature = types.CPointer(types.int64), types.intp, types.CPointer(types.float64)
        function.compile(signature)
        made = function.overloads[signature]
        _compiled[key] = made.library.get_pointer_to_function(made.fndesc.llvm_func_name), space
    return _compiled[key][0]
