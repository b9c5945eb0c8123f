"""Matrix products, float32 and float64: C = act(alpha * op(A) op(B) + beta * C + bias).

Three ways in, from the most convenient to the most flexible:

1. ``gemm``, ``gemm_bias_act``, ``gemm_batched``: parallel, on arrays, called from Python.
2. ``gemm_serial(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)``: one thread, on pointers, called from a
   kernel's own ``prange``.
3. ``gemm_strided(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode)``: the same with any strides, a
   bias and relu.

For example, a kernel that multiplies every matrix of a batch by one matrix:

    from ._gemm import gemm_serial
    from ._simd import ptr

    @njit(parallel=True, **JIT)
    def times(x, w, y):                         # (batch, m, k), (k, n) -> (batch, m, n)
        batch, m, k = x.shape
        n = w.shape[1]
        for i in prange(batch):
            i = np.intp(i)
            gemm_serial(False, False, m, n, k, 1.0, ptr(x, i * m * k), k, ptr(w, 0), n, 0.0, ptr(y, i * m * n), n)

Pointers come from ``_simd.ptr(array, offset in elements)``; take them inside the prange (Numba cannot pass a pointer
into a parallel body). The array has to outlive them: arguments do, a local array needs ``keep(array)`` after the
call. Nothing checks bounds. ``alpha`` and ``beta`` take any number; where beta is 0, C is not read. C must not overlap
A or B. Work memory (at most about half a megabyte) is allocated inside. The code is compiled once for each element
type and shared by all callers, so a call adds next to nothing to the compile time of the kernel around it.

How it works (K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008): K is
cut into blocks of at most DEPTH; A into blocks of rows that fit the second-level cache, packed so that the micro-kernel
(``_simd.tile``) reads them in order; of B one panel of NR columns at a time is packed, or, in large products, all
panels beforehand for all threads. Small operands, and those already in the order in which they are read, are used where
they lie. Rows are dealt out evenly over the tiles of a block: each height has its own micro-kernel, so there is no
padding.

Every element of C is a sum over k in ascending order, cut at places that depend on k alone: results do not depend on
the number of threads, on the chunk or on the tile an element falls in. (Products with a single row or column have
kernels of their own, with an order of their own.)
"""

import numpy as np
from numba import njit, prange, types
from numba.extending import intrinsic

from ._jit import JIT
from ._simd import (
    DEPTH,
    MR,
    NV,
    VECTOR_BYTES,
    copy_rows,
    keep,
    load,
    number,
    ptr,
    scratch,
    shared_code,
    shared_kernel,
    shift,
    stack_panel,
    store,
    tile,
    turn,
    vector_len,
)

# Depth of a block in kernels that pack for themselves (conv.py): a panel of B (32 KiB with AVX-512) and the rows of A
# in a tile share the first-level cache. Here it is DEPTH: the panel comes from the second-level cache, at no cost
# beside the multiplications, and C is read and written half as often (2048 x 2048 x 2048: +8 %).
KC = 256
# Bytes of A packed at a time: half of a second-level cache of 1 MiB.
A_BYTES = 448 * 1024
# Rows of C in one chunk of a large product: C's rows and those of A stay in the second-level cache.
TALL = 8 * MR
# Multiplications below which a product stays on one thread, and the least for one chunk of a parallel one, of two and
# of more chunks. Measured on two threads, 96 x 96 x 96: 103 GFLOP/s on one, 169 in two chunks.
SERIAL = 1 << 19
HALF_WORK = 1 << 18
CHUNK_WORK = 1 << 20
# Multiplications and columns from which B is packed as a whole, and the columns in one chunk then. Below, it pays in
# some processes and costs in others, by where the memory lies: 512 x 512 x 512 on two threads 1.25 or 1.47 ms, and 1.22
# to 1.27 if each chunk packs what it reads. Of A.T B, whose chunks are packed alike on both sides, four times as many:
# 256 x 256 x 4096 on one thread 92 -> 107 GFLOP/s, 1024 x 256 x 2048 94 -> 105.
LARGE = 1 << 28
LARGE_COLUMNS = 128
WIDE = 512
# Rows of an operand that are packed at a time. 32 rows, 2048 bytes apart, do not stay in the first-level cache: A.T B,
# 512 x 128 x 4096 on one thread 86 -> 97 GFLOP/s with 16.
SLICE = 16
# Bytes from one row of A in memory to the next from which A is packed for two panels; half of it for A.T.
FAR = 4096

# Parts of ``mode``: what happens to alpha * op(A) op(B) before it is stored.
BIAS_COLUMNS, BIAS_ROWS, ADD_C, RELU = 1, 2, 4, 8
# Part of ``mode`` that says how B lies: all blocks of k, one after the other, each as ``_pack_panels`` leaves it.
PACKED = 16


# ---------------------------------------------------------------- packing


@njit(**JIT)
def _pack_b(kc, nc, b, brs, bcs, dst, width):
    """dst[p*width + j] = b[p*brs + j*bcs] for p < kc, j < nc; the rest of the width is filled with anything."""
    vl = vector_len(b)
    if bcs == 1:
        copy_rows(kc, b, brs, dst, width, width // vl, nc)
        return
    whole = kc // vl * vl if brs == 1 else 0
    for j in range(0, width, vl):
        last = min(vl, nc - j) - 1
        source = shift(b, j * bcs)
        for p in range(0, whole, vl):
            turn(shift(source, p), bcs, last, shift(dst, p * width + j), width)
        for p in range(whole, kc):
            for i in range(vl):
                store(dst, p * width + j + i, load(source, p * brs + min(i, last) * bcs))


@njit(**JIT)
def _pack_panels(kc, cols, b, brs, bcs, dst, width):
    """Panels of ``width`` columns, one after the other, the last one filled up with anything; see _pack_b."""
    if bcs == 1:
        # SLICE rows of all panels at a time: where rows lie a power of two apart, a cache keeps few of their lines
        # until the next panel asks for the other half.
        for p in range(0, kc, SLICE):
            count = min(SLICE, kc - p)
            for j in range(0, cols, width):
                left, right = shift(b, p * brs + j), shift(dst, j * kc + p * width)
                copy_rows(count, left, brs, right, width, NV, cols - j)
        return
    for j in range(0, cols, width):
        _pack_b(kc, min(width, cols - j), shift(b, j * bcs), brs, bcs, shift(dst, j * kc), width)


@njit(**JIT)
def _pack_a(rows, kc, a, ars, acs, dst):
    """dst[p*rows + i] = a[i*ars + p*acs] for p < kc, i < rows; up to one vector past the end is overwritten."""
    vl = vector_len(a)
    if ars == 1:
        copy_rows(kc, a, acs, dst, rows, (rows + vl - 1) // vl, rows)
        return
    whole = kc // vl * vl if acs == 1 else 0
    first = (rows - 1) // vl * vl
    for p in range(0, whole, vl):
        # Right to left: what a block writes past a row's end is then mended by the block that owns it.
        for i in range(first, -1, -vl):
            turn(shift(a, i * ars + p), ars, min(vl, rows - i) - 1, shift(dst, p * rows + i), rows)
    for p in range(whole, kc):
        for i in range(rows):
            store(dst, p * rows + i, load(a, i * ars + p * acs))


@njit(**JIT)
def _pack_tiles(mc, kc, a, ars, acs, dst):
    """``mc`` rows of A, tile by tile as ``_blocks`` deals them out; up to one vector past the end is overwritten."""
    tiles = (mc + MR - 1) // MR
    if ars == 1:
        # As in _pack_panels. A row's last vector runs into the next row, which is written later; the last row's would
        # run into the next tile, so that one goes element by element.
        vl = vector_len(a)
        for p in range(0, kc, SLICE):
            count = min(SLICE, kc - 1 - p)
            for t in range(tiles):
                lo = mc * t // tiles
                rows = mc * (t + 1) // tiles - lo
                left, right = shift(a, p * acs + lo), shift(dst, lo * kc + p * rows)
                copy_rows(count, left, acs, right, rows, (rows + vl - 1) // vl, rows)
                if count < SLICE:
                    for i in range(rows):
                        store(right, count * rows + i, load(left, count * acs + i))
        return
    for t in range(tiles):
        lo = mc * t // tiles
        _pack_a(mc * (t + 1) // tiles - lo, kc, shift(a, lo * ars), ars, acs, shift(dst, lo * kc))


# ---------------------------------------------------------------- special shapes


@njit(**JIT)
def _finish(x, y, i, old, beta, bias, step, mode):
    """y[i] = x + beta*y[i] + bias[step], as ``mode`` says."""
    if mode & 4:
        x += beta * old
    if mode & 3:
        x += load(bias, step)
    if mode & 8 and x < 0:
        x = number(y, 0)
    store(y, i, x)


@njit(**JIT)
def _no_depth(m, n, zero, beta, c, ldc, bias, mode):
    """k = 0: C = beta * C + bias."""
    for i in range(m):
        for j in range(n):
            at = i * ldc + j
            _finish(zero, c, at, load(c, at), beta, bias, i if mode & 2 else j, mode)


@njit(**JIT)
def _gemv_rows(rows, k, alpha, mat, rs, x, beta, y, ys, bias, bias_step, mode):
    """y[i] = alpha * dot(mat row i, x), both contiguous: four rows at a time share the loads of x."""
    zero = number(y, 0)
    i = 0
    while i + 4 <= rows:
        r0, r1 = shift(mat, i * rs), shift(mat, (i + 1) * rs)
        r2, r3 = shift(mat, (i + 2) * rs), shift(mat, (i + 3) * rs)
        s0, s1, s2, s3 = zero, zero, zero, zero
        for p in range(k):
            v = load(x, p)
            s0 += load(r0, p) * v
            s1 += load(r1, p) * v
            s2 += load(r2, p) * v
            s3 += load(r3, p) * v
        for q, s in enumerate((s0, s1, s2, s3)):
            at = (i + q) * ys
            _finish(alpha * s, y, at, load(y, at), beta, bias, (i + q) * bias_step, mode)
        i += 4
    while i < rows:
        r0 = shift(mat, i * rs)
        s0 = zero
        for p in range(k):
            s0 += load(r0, p) * load(x, p)
        _finish(alpha * s0, y, i * ys, load(y, i * ys), beta, bias, i * bias_step, mode)
        i += 1


@njit(**JIT)
def _gemv_columns(n, k, alpha, mat, rs, x, xs, beta, y, ys, bias, bias_step, mode):
    """y[j] = alpha * sum_p x[p] * mat[p, j], the rows of ``mat`` contiguous: eight rows pass at a time."""
    zero = number(y, 0)
    block = 2048
    buffer = np.empty(min(n, block) * 8 + 64, np.uint8)
    total = scratch(buffer, y)
    for j0 in range(0, n, block):
        nc = min(block, n - j0)
        for j in range(nc):
            store(total, j, zero)
        p = 0
        while p + 8 <= k:
            r0 = shift(mat, p * rs + j0)
            r1, r2, r3 = shift(r0, rs), shift(r0, 2 * rs), shift(r0, 3 * rs)
            r4, r5, r6, r7 = shift(r0, 4 * rs), shift(r0, 5 * rs), shift(r0, 6 * rs), shift(r0, 7 * rs)
            x0, x1, x2, x3 = load(x, p * xs), load(x, (p + 1) * xs), load(x, (p + 2) * xs), load(x, (p + 3) * xs)
            x4, x5, x6, x7 = load(x, (p + 4) * xs), load(x, (p + 5) * xs), load(x, (p + 6) * xs), load(x, (p + 7) * xs)
            for j in range(nc):
                s = x0 * load(r0, j) + x1 * load(r1, j) + x2 * load(r2, j) + x3 * load(r3, j)
                t = x4 * load(r4, j) + x5 * load(r5, j) + x6 * load(r6, j) + x7 * load(r7, j)
                store(total, j, load(total, j) + (s + t))
            p += 8
        while p < k:
            r0, x0 = shift(mat, p * rs + j0), load(x, p * xs)
            for j in range(nc):
                store(total, j, load(total, j) + x0 * load(r0, j))
            p += 1
        for j in range(nc):
            at = (j0 + j) * ys
            _finish(alpha * load(total, j), y, at, load(y, at), beta, bias, (j0 + j) * bias_step, mode)
    keep(buffer)


# ---------------------------------------------------------------- the blocked algorithm


@njit(**JIT)
def _is_vector(m, n, k, ars, acs, brs, bcs):
    """Whether a product with one row or one column has a kernel of its own."""
    if n == 1 and ((acs == 1 and (brs == 1 or k == 1)) or (ars == 1 and m >= 16)):
        return True
    return m == 1 and ((brs == 1 and (acs == 1 or k == 1)) or (bcs == 1 and n >= 16))


@njit(**JIT)
def _vector_body(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode):
    """See ``gemm_strided``: no depth, or ``_is_vector``."""
    # One call of each: Numba compiles a callee into each place that calls it.
    if k <= 0 or alpha == 0:
        _no_depth(m, n, number(a, 0), beta, c, ldc, bias, mode)
        return
    column = n == 1 and ((acs == 1 and (brs == 1 or k == 1)) or (ars == 1 and m >= 16))
    dots = (acs == 1 and (brs == 1 or k == 1)) if column else (brs == 1 and (acs == 1 or k == 1))
    each = (mode >> 1) & 1 if column else mode & 1
    count, mat, x, ys = (m, a, b, ldc) if column else (n, b, a, 1)
    if dots:
        _gemv_rows(count, k, alpha, mat, ars if column else bcs, x, beta, c, ys, bias, each, mode)
    else:
        rs, xs = (acs, brs) if column else (brs, acs)
        _gemv_columns(count, k, alpha, mat, rs, x, xs, beta, c, ys, bias, each, mode)


@njit(**JIT)
def _packed_body(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode):
    """See ``gemm_strided``: A is packed."""
    vl = vector_len(a)
    size = VECTOR_BYTES // vl
    depth = _depth(k)
    most = max(MR, A_BYTES // (size * depth))
    groups = (m + most - 1) // most
    panel = stack_panel(a)
    buffer = np.empty(((m + groups - 1) // groups * depth + vl + 16) * size + 64, np.uint8)
    packed = scratch(buffer, a)
    _blocks(m, n, k, groups, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode, panel, packed)
    keep(buffer)


def _signature(real):
    n, p = types.intp, types.CPointer(real)
    return types.void(n, n, n, real, p, n, n, p, n, n, real, p, n, p, n)


def _emits(function, first):
    pairs = enumerate((types.float32, types.float64), first)
    return {real: shared_code(slot, function, _signature(real)) for slot, real in pairs}


def _shared(function, first):
    """A function of gemm_strided's arguments as an intrinsic, compiled at its first call."""
    emits = _emits(function, first)

    @intrinsic
    def shared(typingctx, m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode):
        def codegen(context, builder, sig, args):
            return emits[a.dtype](context, builder, args)

        return _signature(a.dtype), codegen

    return shared


_vector, _packed = _shared(_vector_body, 20), _shared(_packed_body, 22)


@njit(**JIT)
def _gemm_body(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode):
    """See ``gemm_strided``."""
    if m <= 0 or n <= 0:
        return
    if beta != 0:
        mode |= 4
    if k <= 0 or alpha == 0 or (mode & 16 == 0 and _is_vector(m, n, k, ars, acs, brs, bcs)):
        _vector(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode)
        return
    vl = vector_len(a)
    # Packing A pays when its rows are read for many panels, or for some and lie pages apart, so that few of their lines
    # fit into the first-level cache. In an encoder layer's step, A.T B of 2048 x 128 x 1024: 6.6 ms, was 7.1.
    if m > 1 and (n > 4 * NV * vl or (n > NV * vl and max(ars, 2 * acs) * (VECTOR_BYTES // vl) >= FAR)):
        _packed(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode)
        return
    panel = stack_panel(a)
    _blocks(m, n, k, 1, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode, panel, None)


@njit(**JIT)
def _depth(k):
    """Depth of the deepest block that k is cut into."""
    blocks = (k + DEPTH - 1) // DEPTH
    return (k + blocks - 1) // blocks


@njit(**JIT)
def _blocks(m, n, k, groups, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode, panel, packed):
    """The loops around the tile: blocks of k, ``groups`` groups of rows, panels of columns, tiles; packed: room for A,
    or None where it is read as it lies."""
    vl = vector_len(a)
    width = NV * vl
    zero, one = number(a, 0), number(a, 1)
    ready = mode & 16
    # Packing a panel of B pays when many tiles read it; and it must be turned, or filled up to whole vectors.
    pack_b = ready == 0 and (bcs != 1 or m > 8 * MR)
    blocks = (k + DEPTH - 1) // DEPTH
    for block in range(blocks):
        p0 = k * block // blocks
        kc = k * (block + 1) // blocks - p0
        flags = mode & 15 if block == 0 else (mode & 15 | 4)
        scale = beta if block == 0 else one
        if block < blocks - 1:
            flags &= 4
        for group in range(groups):
            i0 = m * group // groups
            mc = m * (group + 1) // groups - i0
            tiles = (mc + MR - 1) // MR
            top = shift(a, i0 * ars + p0 * acs)
            if packed is not None:
                _pack_tiles(mc, kc, top, ars, acs, packed)
            for j in range(0, n, width):
                nc = min(width, n - j)
                vectors = (nc + vl - 1) // vl
                if ready:
                    right, step = shift(b, p0 * brs + (bcs + j) * kc), width
                elif pack_b or nc < vectors * vl:
                    step = vectors * vl
                    _pack_b(kc, nc, shift(b, p0 * brs + j * bcs), brs, bcs, panel, step)
                    right = panel
                else:
                    right, step = shift(b, p0 * brs + j * bcs), brs
                for t in range(tiles):
                    lo = mc * t // tiles
                    rows = mc * (t + 1) // tiles - lo
                    left, lrs, lcs = shift(top, lo * ars), ars, acs
                    if packed is not None:
                        left, lrs, lcs = shift(packed, lo * kc), 1, rows
                    out = shift(c, (i0 + lo) * ldc + j)
                    extra = shift(bias, (i0 + lo) if flags & 2 else (j if flags & 1 else 0))
                    tile(rows, vectors, kc, left, lrs, lcs, right, step, out, ldc, nc, alpha, scale, extra, flags, zero)


_GEMM = _emits(_gemm_body, 2)


@intrinsic
def gemm_strided(typingctx, m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, bias, mode):
    """c[i*ldc + j] = f(alpha * sum_p a[i*ars + p*acs] * b[p*brs + j*bcs] + beta * c[i*ldc + j] + bias).

    On one thread, for i < m, j < n, p < k; a, b, c, bias are pointers to float32 or all to float64. ``mode`` is a sum
    of 1 (bias[j] is added), 2 (bias[i] is added), 8 (f is relu, else nothing); ``bias`` must point to at least one
    element whatever the mode: pass ``c`` where there is none. Strides may be 0 or anything else that stays in bounds.

    With 16 in ``mode``, B is packed: ``brs`` is the width of all panels together, ``bcs`` the column to begin with (a
    multiple of a panel's width).
    """
    emit = _GEMM[a.dtype]

    def codegen(context, builder, sig, args):
        return emit(context, builder, args)

    return _signature(a.dtype), codegen


@njit(**JIT)
def gemm_serial(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """C = alpha * op(A) op(B) + beta * C on one thread, from pointers with leading dimensions (row-major).

    op(A) is (m, k): a[i*lda + p], or a[p*lda + i] if ta. op(B) is (k, n): b[p*ldb + j], or b[j*ldb + p] if tb. C is
    (m, n): c[i*ldc + j]. If beta is 0, C is not read. k = 0 leaves beta * C.
    """
    ars, acs = (1, lda) if ta else (lda, 1)
    brs, bcs = (1, ldb) if tb else (ldb, 1)
    gemm_strided(m, n, k, alpha, a, ars, acs, b, brs, bcs, beta, c, ldc, c, 0)


# ---------------------------------------------------------------- parallel


@njit(**JIT)
def _work(m, n, k):
    """Multiplications, at least as many as take as long as a tile's narrow rows do: 65536 x 3 times 3 x 2 stayed on one
    thread."""
    return m * n * max(k, 1) if min(m, n) == 1 else m * max(n, 16) * max(k, 4)


@njit(**JIT)
def _halved(m, n, k, rows, cols, most, along_rows):
    """(rows, cols) with one of them doubled until there are ``most`` chunks, or chunks get small."""
    work = _work(m, n, k)
    while rows * cols < most and work // (2 * rows * cols) >= (CHUNK_WORK if rows * cols > 1 else HALF_WORK):
        # Chunks of 32 rows are tiles of 11, and 32 columns half a panel. Two threads, of the peak, with halves of
        # 32 and so: A.T B, 128 x 512 x 4096 87 % and 92 %, 256 x 256 x 256 92 and 95, A B, 200 x 200 x 200 80 and 90.
        if (m // rows if along_rows else n // cols) < (8 * MR if rows * cols > 1 else 64):
            break
        if along_rows:
            rows *= 2
        else:
            cols *= 2
    return rows, cols


@njit(**JIT)
def _grid(ta, m, n, k):
    """Chunks of C along the rows and along the columns: by size alone, whatever the number of threads."""
    if m == 1 or n == 1:
        # Bound by memory: 512 elements of the result at a time, or fewer where each takes long, and two parts at least
        # (1 x 512 x 784 on two threads 20.9 us as one part, 10.2 so).
        long = max(m, n)
        parts = min(max((long + 511) // 512, min(16, max(2, long * k >> 19))), (long + 63) // 64)
        return (1, parts) if m == 1 else (parts, 1)
    # Chunks are cut along one side, if that is long enough: those side by side pack the same part of A, those one below
    # the other the same part of B. On two threads, GFLOP/s with both sides cut and so: A B.T, 128 x 784 x 512 196 and
    # 220, 1024 x 128 x 384 187 and 216; A B, 1024 x 128 x 512 187 and 218; A.T B, 512 x 128 x 784 187 and 215.
    rows, cols = (m + 511) // 512, (n + 1023) // 1024
    most = 16 if _work(m, n, k) >= 1 << 26 else 8
    rows, cols = _halved(m, n, k, rows, cols, most, ta)
    return _halved(m, n, k, rows, cols, 8, not ta)


@njit(**JIT)
def _column(n, part, parts, vl):
    """The first of the columns in one of several parts, which are whole vectors."""
    return min(n, (n + vl - 1) // vl * part // parts * vl)


_NO_BIAS = {np.dtype(t): np.zeros(1, t) for t in (np.float32, np.float64)}


def gemm(ta, tb, alpha, a, b, beta, c):
    """c (m, n) = alpha * op(a) op(b) + beta * c; C-contiguous 2-D arrays, op(a) (m, k) and op(b) (k, n).

    op transposes if ``ta``, ``tb`` (bools) say so. ``alpha`` and ``beta`` are floats; if beta is 0, c is not read.
    """
    gemm_bias_act(ta, tb, alpha, a, b, beta, c, _NO_BIAS[c.dtype], 0)


@njit(**JIT)
def _steps_of(ta, tb, a, b):
    """Strides of op(a) and of op(b): from row to row, from column to column."""
    ars, acs = (1, a.shape[1]) if ta else (a.shape[1], 1)
    brs, bcs = (1, b.shape[1]) if tb else (b.shape[1], 1)
    return ars, acs, brs, bcs


@njit(parallel=True, **JIT)
def _gemm_parallel(ta, tb, alpha, a, b, beta, c, bias, mode):
    """See ``gemm_bias_act``."""
    m, n = c.shape
    k = a.shape[0] if ta else a.shape[1]
    ars, acs, brs, bcs = _steps_of(ta, tb, a, b)
    work = m * n * max(k, 1)
    ready = mode & PACKED
    if work >= (4 * LARGE if ta else LARGE) and m >= 2 * TALL and n >= LARGE_COLUMNS and alpha != 0 and ready == 0:
        # B is packed once for all chunks: before, each chunk of rows packed it again. Measured on one thread, GFLOP/s:
        # float32, 1024: 219 -> 243, 2048: 190 -> 220; float64, 1024: 82 -> 117.
        # Units and chunks count down the rows first: mostly the thread that has packed columns multiplies with them
        # (two threads, 1024: 10.4 -> 10.1 ms, 2048: 87 -> 81).
        width = NV * vector_len(ptr(b, 0))
        panels, blocks = (n + width - 1) // width, (k + DEPTH - 1) // DEPTH
        room = np.empty((k * panels * width) * c.itemsize + 64, np.uint8)
        groups = (panels + 3) // 4
        for unit in prange(blocks * groups):
            block, j = np.intp(unit) % blocks, np.intp(unit) // blocks * 4 * width
            p = k * block // blocks
            kc = k * (block + 1) // blocks - p
            target = shift(scratch(room, ptr(c, 0)), p * panels * width + j * kc)
            _pack_panels(kc, min(4 * width, n - j), ptr(b, p * brs + j * bcs), brs, bcs, target, width)
        cols = (n + WIDE - 1) // WIDE
        rows = (m + 4 * TALL - 1) // (4 * TALL) * 4
        for chunk in prange(rows * cols):
            r, s = np.intp(chunk) % rows, np.intp(chunk) // rows
            i, j = m * r // rows, panels * s // cols * width
            end = min(n, panels * (s + 1) // cols * width)
            gemm_strided(
                m * (r + 1) // rows - i, end - j, k, alpha, ptr(a, i * ars), ars, acs,
                scratch(room, ptr(c, 0)), panels * width, j, beta, ptr(c, i * n + j), n,
                ptr(bias, i if mode & 2 else (j if mode & 1 else 0)), mode | PACKED,
            )  # fmt: skip
        keep(room)
        return
    rows, cols = _grid(ta, m, n, k)
    for chunk in prange(rows * cols):
        r, s = np.intp(chunk) // cols, np.intp(chunk) % cols
        step = vector_len(ptr(c, 0)) * (NV if ready else 1)
        i, j = m * r // rows, _column(n, s, cols, step)
        gemm_strided(
            m * (r + 1) // rows - i, _column(n, s + 1, cols, step) - j, k, alpha, ptr(a, i * ars), ars, acs,
            ptr(b, 0 if ready else j * bcs), brs, j if ready else bcs, beta, ptr(c, i * n + j), n,
            ptr(bias, i if mode & 2 else (j if mode & 1 else 0)), mode,
        )  # fmt: skip


def _arguments(real):
    matrix = types.Array(real, 2, "C")
    flag, number, row = types.boolean, types.float64, types.Array(real, 1, "C")
    return flag, flag, number, matrix, matrix, number, matrix, row, types.intp


_in_parallel = shared_kernel(24, _gemm_parallel, _arguments)


@njit(**JIT)
def gemm_bias_act(ta, tb, alpha, a, b, beta, c, bias, mode):
    """c (m, n) = f(alpha * op(a) op(b) + beta * c + bias), op(a) (m, k), op(b) (k, n), C-contiguous 2-D arrays.

    ``mode``: 0 no bias (pass any array of one element or more), 1 bias (n,) added to each row, 2 bias (m,) added to
    each column; plus 8 for relu; plus 16 if ``b`` is op(b) as ``gemm_pack`` leaves it (then ``tb`` is False).
    """
    m, n = c.shape
    k = a.shape[0] if ta else a.shape[1]
    if _work(m, n, k) >= (SERIAL if min(m, n) > 1 else SERIAL // 2):
        _in_parallel((ta, tb, alpha, a, b, beta, c, bias, mode))
        return
    ars, acs, brs, bcs = _steps_of(ta, tb, a, b)
    bcs = 0 if mode & PACKED else bcs
    gemm_strided(m, n, k, alpha, ptr(a, 0), ars, acs, ptr(b, 0), brs, bcs, beta, ptr(c, 0), n, ptr(bias, 0), mode)


def packed_columns(n, itemsize):
    """The columns of ``gemm_pack``'s result: whole panels."""
    width = NV * VECTOR_BYTES // itemsize
    return -(-n // width) * width


@njit(parallel=True, **JIT)
def gemm_pack(tb, b, packed):
    """packed (k, ``packed_columns``) = op(b) (k, n), in the order in which products read it; see ``gemm_bias_act``."""
    k, n = b.shape[1] if tb else b.shape[0], b.shape[0] if tb else b.shape[1]
    brs, bcs = (1, b.shape[1]) if tb else (b.shape[1], 1)
    width = NV * vector_len(ptr(b, 0))
    panels, blocks = packed.shape[1] // width, (k + DEPTH - 1) // DEPTH
    for unit in prange(blocks * panels):
        block, j = np.intp(unit) // panels, np.intp(unit) % panels * width
        p = k * block // blocks
        kc = k * (block + 1) // blocks - p
        target = ptr(packed, p * panels * width + j * kc)
        _pack_panels(kc, min(width, n - j), ptr(b, p * brs + j * bcs), brs, bcs, target, width)


@njit(parallel=True, **JIT)
def gemm_batched(ta, tb, alpha, a, b, beta, c):
    """c[i] (m, n) = alpha * op(a[i]) op(b[i]) + beta * c[i]; C-contiguous 3-D arrays.

    ``a`` or ``b`` may have a first dimension of 1, which stands for every i. op transposes the last two dimensions if
    ``ta``, ``tb`` (bools) say so. ``alpha`` and ``beta`` are floats; if beta is 0, c is not read.
    """
    batch, m, n = c.shape
    k = a.shape[1] if ta else a.shape[2]
    ars, acs = (1, a.shape[2]) if ta else (a.shape[2], 1)
    brs, bcs = (1, b.shape[2]) if tb else (b.shape[2], 1)
    abs_ = m * k if a.shape[0] > 1 else 0
    bbs = k * n if b.shape[0] > 1 else 0
    if batch * _work(m, n, k) < SERIAL:
        for i in range(batch):
            left, right, out = ptr(a, i * abs_), ptr(b, i * bbs), ptr(c, i * m * n)
            gemm_strided(m, n, k, alpha, left, ars, acs, right, brs, bcs, beta, out, n, out, 0)
        return
    rows, cols = (1, 1) if batch >= 16 else _grid(ta, m, n, k)
    for chunk in prange(batch * rows * cols):
        i, r, s = np.intp(chunk) // (rows * cols), np.intp(chunk) // cols % rows, np.intp(chunk) % cols
        vl = vector_len(ptr(c, 0))
        x, y = m * r // rows, _column(n, s, cols, vl)
        left, right, out = ptr(a, i * abs_ + x * ars), ptr(b, i * bbs + y * bcs), ptr(c, (i * m + x) * n + y)
        mc, nc = m * (r + 1) // rows - x, _column(n, s + 1, cols, vl) - y
        gemm_strided(mc, nc, k, alpha, left, ars, acs, right, brs, bcs, beta, out, n, out, 0)
