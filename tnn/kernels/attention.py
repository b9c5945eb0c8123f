r"""Scaled dot-product attention in blocks: the matrix of weights is never held.

    s_ij = scale q_i . k_j + mask_ij      p_ij = exp(s_ij - m_i)      l_i = sum_j p_ij      o_i = sum_j p_ij v_j / l_i

(powers and lse are to base 2: all that goes into s is multiplied by log2 e before).

ROWS queries meet KEYS keys at a time. A running maximum m_i lets the sums be corrected as later keys arrive:

    m' = max(m, max_j s_ij)
    l' = l exp(m - m') + sum_j exp(s_ij - m')
    o' = o exp(m - m') + sum_j exp(s_ij - m') v_j      (nothing to do for o where m' = m)

(M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", 2018; T. Dao et al., "FlashAttention",
2022.)
Backward computes the weights again from lse_i = m_i + log l_i:

    p_ij = exp(s_ij - lse_i)      dp_ij = do_i . v_j      ds_ij = p_ij (dp_ij - do_i . o_i)
    dv_j = sum_i p_ij do_i        dq_i = scale sum_j ds_ij k_j        dk_j = scale sum_i ds_ij q_i

Dropout multiplies p_ij, after l_i has been summed, by 0 or 1 / keep, and dp_ij in backward. A row without any key left
gives 0 and no gradient; its lse is kept as +inf. With ``causal``, query i sees the keys j <= i, and what no query of a
tile sees is skipped.

A task is a head and one of ``groups`` runs of query blocks; the number of groups follows from the sizes. Where several
tasks add to one dk and dv (several groups, or several query heads on one key head), each has its own partial sums, and
``reduce_partial`` adds them in order. So results are the same for any number of threads.

``spec`` (int64) says where everything lies, since attention's inputs are mostly parts of larger arrays: the numbers
named below, then for each operand its address and its strides, in elements, along batch, head and row (masks: and
column); the last dimension of the others is contiguous. ``like`` is any array of the operands' dtype.
"""

import numpy as np
from numba import njit, prange

from ._callees import ahead
from ._entry import ARRAY, F32, F64, OWN, builtin, declined, held, ndim, own_words
from ._gemm import _pack_b, _pack_panels
from ._jit import JIT, PLAIN
from ._math import log2
from ._simd import MR, NV, copy_rows, keep, load, number, ptr, scratch, shift, store, tile, vector_len
from ._simd_softmax import pointer_at, rows_grad, rows_max, rows_power
from ._words import DATA, DTYPE, STRIDES, TYPE, put, word
from .random import LEFT, WORDS, _twist, bernoulli_forward

ROWS = 64
KEYS = 128
# Rows of a tile: sums of 64 to 128 terms are short, and the stores of lower tiles hide behind the next one. 64 x 128 x
# 64 with AVX-512: 9.2 us with 6 to 10 rows, 9.4 with 14.
HEIGHT = min(MR, 9)
# Fewer multiplications than this stay on the calling thread.
SERIAL = 1 << 19
# Tasks that a call is cut into, at least, where there are enough query blocks.
TASKS = 16

# What spec holds: sizes, then operands of FIELDS numbers each.
BATCH, HEADS, QUERIES, DEPTH_KEYS, DEPTH, WIDTH, CAUSAL, MASK_KIND, K_SHARE, V_SHARE, GROUPS, BLOCKS = range(12)
FIELDS = 5
Q, K, V, OUT, MASK, DO, DQ, DK, DV = range(12, 12 + 9 * FIELDS, FIELDS)
SPEC_SIZE = 12 + 9 * FIELDS
NO_MASK, BOOL_MASK, FLOAT_MASK = 0, 1, 2

# Where the causal limit lies for a product without one.
_FAR = 1 << 40
_LOG2E = 1.4426950408889634


@njit(**JIT)
def _operand(spec, which, b, h, like):
    """Pointer to an operand's matrix of batch b and head h."""
    return shift(pointer_at(spec[which], like), b * spec[which + 1] + h * spec[which + 2])


@njit(**JIT)
def _multiply(m, n, k, a, ars, acs, b, brs, panel, c, ldc, add, padded, band, diagonal):
    """C (m, n) = A B, or C += where ``add``. Columns of B lie in panels of NR, ``panel`` elements apart.

    ``padded``: C has room for whole vectors. ``band`` says what the causal limit cuts, where row i of the block sees
    the columns up to i + diagonal: 1 columns of C (left as they are), 2 the end of the sum, 3 (A transposed) its
    beginning.
    """
    vl = vector_len(a)
    width = NV * vl
    one, zero = number(a, 1), number(a, 0)
    tiles = (m + HEIGHT - 1) // HEIGHT
    for p in range((n + width - 1) // width):
        nc = min(width, n - p * width)
        vectors = (nc + vl - 1) // vl
        columns = vectors * vl if padded else nc
        right = shift(b, p * panel)
        for t in range(tiles):
            lo, hi = m * t // tiles, m * (t + 1) // tiles
            first, last = 0, k
            if band == 1:
                if p * width > diagonal + hi - 1:
                    continue
            elif band == 2:
                last = max(0, min(k, diagonal + hi))
            elif band == 3:
                first = min(k, max(0, lo - diagonal))
            if last <= first and add:
                continue
            left = shift(a, lo * ars + first * acs)
            out = shift(c, lo * ldc + p * width)
            tile(
                hi - lo, vectors, last - first, left, ars, acs, shift(right, first * brs), brs, out, ldc, columns,
                one, one, c, 4 if add else 0, zero,
            )  # fmt: skip


@njit(**JIT)
def _transposed(rows, depth, x, ldx, dst):
    """Panels of NR rows of x, each transposed: dst[p*NR*depth + d*NR + j] = x[(p*NR + j)*ldx + d]."""
    width = NV * vector_len(x)
    for p in range((rows + width - 1) // width):
        at, count = p * width, min(width, rows - p * width)
        _pack_b(depth, count, shift(x, at * ldx), 1, ldx, shift(dst, at * depth), width)


@njit(**JIT)
def _up(n, step):
    return (n + step - 1) // step * step


@njit(**JIT)
def _ordered(rows, columns, x, ldx, width, dst):
    """(pointer, row stride) of rows of x one after the other, ``width`` elements each: x itself or a copy in dst."""
    if ldx == columns and columns == width:
        return x, ldx
    copy_rows(rows, x, ldx, dst, width, width // vector_len(x), columns)
    return dst, width


@njit(**JIT)
def _in_panels(rows, columns, x, ldx, dst):
    """(pointer, row stride, panel stride) of x as panels of NR columns: x itself or a copy in dst.

    Rows far apart get in each other's way in the cache, and the last vector of a row has to be whole.
    """
    vl = vector_len(x)
    if ldx <= 8 * vl and columns % vl == 0:
        return x, ldx, NV * vl
    _pack_panels(rows, columns, x, ldx, 1, dst, NV * vl)
    return dst, NV * vl, NV * vl * rows


@njit(**JIT)
def _add_mask(spec, row, count, mask):
    """row[j] += log2 e mask[j] for j < count."""
    step, factor = spec[MASK + 4], number(row, _LOG2E)
    if step == 1:
        for j in range(count):
            store(row, j, load(row, j) + factor * load(mask, j))
    else:
        for j in range(count):
            store(row, j, load(row, j) + factor * load(mask, j * step))


@njit(**JIT)
def _apply_bool(spec, row, count, mask, minus_inf):
    """row[j] = -inf where mask[j] is False, for j < count."""
    step = spec[MASK + 4]
    for j in range(count):
        if load(mask, j * step) == 0:
            store(row, j, minus_inf)


@njit(**JIT)
def _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, bytes_like):
    """Adds the mask to a block of scores, sets what the causal limit hides to -inf, and fills up to whole vectors.

    Returns the length of the rows: beyond it no row has anything.
    """
    vl = vector_len(s)
    kind = spec[MASK_KIND]
    minus_inf = number(s, -np.inf)
    most = min(kc, diagonal + rows)
    n = _up(most, vl)
    if kind == NO_MASK and diagonal >= kc and n == kc:
        return n
    for i in range(rows):
        row = shift(s, i * lds)
        count = max(0, min(kc, diagonal + i + 1))
        if kind != NO_MASK and count > 0:
            at = (i0 + i) * spec[MASK + 3] + j0 * spec[MASK + 4]
            if kind == BOOL_MASK:
                _apply_bool(spec, row, count, shift(_operand(spec, MASK, b, h, bytes_like), at), minus_inf)
            else:
                _add_mask(spec, row, count, shift(_operand(spec, MASK, b, h, s), at))
        _fill(row, count, n, minus_inf)
    return n


@njit(**JIT)
def _fill(p, first, last, value):
    for j in range(first, last):
        store(p, j, value)


@njit(**JIT)
def _times(p, n, factor):
    for j in range(n):
        store(p, j, load(p, j) * factor)


@njit(**JIT)
def _drop(p, n, mask, factor):
    """p[j] = p[j] * factor where mask (uint8) is 1, else 0."""
    zero = number(p, 0)
    for j in range(n):
        store(p, j, load(p, j) * (factor if mask[j] != 0 else zero))


@njit(**JIT)
def _draw(states, index, keep_rate, mask):
    """The dropout mask (uint8[n]) of a query block, from the generator's state that was noted for it."""
    if keep_rate == 0.0:
        mask[:] = 0
    else:
        bernoulli_forward(states[index].copy(), mask, keep_rate)


@njit(**JIT)
def _block(spec, index):
    """First query of a block and their number: blocks are as even as can be."""
    n, blocks = spec[QUERIES], spec[BLOCKS]
    lo = n * index // blocks
    return lo, n * (index + 1) // blocks - lo


@njit(**JIT)
def _run_of(spec, group):
    """Query blocks first <= i < last of a group. Cheap and dear groups of a causal call take turns."""
    groups, blocks = spec[GROUPS], spec[BLOCKS]
    at = group // 2 if group % 2 == 0 else groups - 1 - group // 2
    return blocks * at // groups, blocks * (at + 1) // groups


# ---------------------------------------------------------------- forward


@njit(**JIT)
def _softmax_block(rows, n, s, lds, m, sums, more, o, ldo, width, first):
    """Scores to weights; corrects the running maximum, sum and output of each row.

    ``more`` has room for two numbers for each row and one.
    """
    if first:
        rows_max(s, m, lds, rows, n)
        rows_power(s, m, sums, lds, rows, n)
        return
    vl = vector_len(s)
    factors, fresh, none = more, shift(more, ROWS), shift(more, 2 * ROWS)
    zero, one = number(s, 0), number(s, 1)
    _copy(rows, m, factors)
    rows_max(s, m, lds, rows, n)
    for i in range(rows):
        top = load(m, i)
        store(factors, i, load(factors, i) - (zero if top == -np.inf else top))
    _fill(factors, rows, _up(rows, vl), zero)
    store(none, 0, zero)
    rows_power(factors, none, fresh, 0, 1, _up(rows, vl))
    rows_power(s, m, fresh, lds, rows, n)
    for i in range(rows):
        factor = load(factors, i)
        store(sums, i, load(sums, i) * factor + load(fresh, i))
        if factor != one:
            _times(shift(o, i * ldo), width, factor)


@njit(**JIT)
def _copy(n, x, y):
    for j in range(n):
        store(y, j, load(x, j))


@ahead
@njit(**JIT)
def _finish_sums(n, m, sums, lse):
    """lse[i] = m[i] + log2 sums[i], then sums[i] = 1 / sums[i]; a sum of 0 stays, its lse is +inf."""
    for i in range(n):
        total = load(sums, i)
        store(lse, i, load(m, i) + log2(total) if total != 0 else number(m, np.inf))
    for i in range(n):
        total = load(sums, i)
        store(sums, i, number(m, 1) / total if total != 0 else total)


@njit(**JIT)
def _forward_task(spec, like, lse, states, keep_rate, scale, task):
    """One head and one run of query blocks."""
    heads, groups, depth, width = spec[HEADS], spec[GROUPS], spec[DEPTH], spec[WIDTH]
    head, group = task // groups, task % groups
    b, h = head // heads, head % heads
    keys, causal = spec[DEPTH_KEYS], spec[CAUSAL] != 0
    one = ptr(like, 0)
    vl = vector_len(one)
    nr = NV * vl
    q, ldq = _operand(spec, Q, b, h, one), spec[Q + 3]
    o, ldo = _operand(spec, OUT, b, h, one), spec[OUT + 3]
    deep, lds = _up(depth, vl), min(KEYS, _up(keys, nr)) + vl
    turned_size, panels_size = _up(keys, nr) * depth + nr, _up(width, nr) * keys + nr
    room = turned_size + panels_size + ROWS * (lds + deep) + 5 * ROWS + 4 * nr
    buffer = np.empty(room * like.itemsize + 64, np.uint8)
    turned = scratch(buffer, one)
    values = shift(turned, turned_size)
    s = shift(values, panels_size)
    rows_q = shift(s, ROWS * lds + nr)
    m = shift(rows_q, ROWS * deep + nr)
    sums, more = shift(m, ROWS), shift(m, 2 * ROWS)
    first, last = _run_of(spec, group)
    seen = keys
    if causal:
        i0, rows = _block(spec, last - 1)
        seen = min(keys, i0 + rows)
    _transposed(seen, depth, _operand(spec, K, b, h // spec[K_SHARE], one), spec[K + 3], turned)
    # Factors other than 1 cost more in the store of a tile.
    _times(turned, _up(seen, nr) * depth, scale)
    v, ldv, panel = _in_panels(seen, width, _operand(spec, V, b, h // spec[V_SHARE], one), spec[V + 3], values)
    drop = states.size > 0
    mask = np.empty(ROWS * keys if drop else 1, np.uint8)
    factor = number(one, 1.0 / keep_rate if keep_rate > 0 else 0.0)
    for index in range(first, last):
        i0, rows = _block(spec, index)
        if drop:
            _draw(states, head * spec[BLOCKS] + index, keep_rate, mask[: rows * keys])
        left, ldl = _ordered(rows, depth, shift(q, i0 * ldq), ldq, deep, rows_q)
        _fill(m, 0, rows, number(one, -np.inf))
        out = shift(o, i0 * ldo)
        for j0 in range(0, keys, KEYS):
            kc = min(KEYS, keys - j0)
            diagonal = i0 - j0 if causal else _FAR
            if diagonal + rows <= 0:
                break
            _multiply(
                rows, kc, depth, left, ldl, 1, shift(turned, j0 * depth), nr, nr * depth, s, lds, False, True, 1,
                diagonal,
            )  # fmt: skip
            n = _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, ptr(buffer, 0))
            _softmax_block(rows, n, s, lds, m, sums, more, out, ldo, width, j0 == 0)
            if drop:
                for i in range(rows):
                    _drop(shift(s, i * lds), min(kc, diagonal + i + 1), mask[i * keys + j0 :], factor)
            _multiply(
                rows, width, kc, s, lds, 1, shift(v, j0 * ldv), ldv, panel, out, ldo, j0 > 0, False, 2, diagonal
            )
        _finish_sums(rows, m, sums, ptr(lse, head * spec[QUERIES] + i0))
        for i in range(rows):
            total = load(sums, i)
            if total == 0:
                _fill(out, i * ldo, i * ldo + width, number(one, 0))
            else:
                _times(shift(out, i * ldo), width, total)
    keep(buffer)


@njit(parallel=True, **JIT)
def attention_forward(spec, like, lse, states, keep_rate, scale):
    """Write the output (spec's OUT) and lse (float[batch * heads, queries]) from q, k, v and the mask.

    states: uint32[batch * heads * blocks, 626] from ``note_states``, empty without dropout. keep_rate: float64, the
    probability to be kept. scale: float64.
    """
    heads = spec[BATCH] * spec[HEADS]
    tasks = heads * spec[GROUPS]
    factor = like.dtype.type(scale * _LOG2E)
    if heads * spec[QUERIES] * spec[DEPTH_KEYS] * (spec[DEPTH] + spec[WIDTH]) < SERIAL:
        for task in range(tasks):
            _forward_task(spec, like, lse, states, keep_rate, factor, task)
    else:
        for task in prange(tasks):
            _forward_task(spec, like, lse, states, keep_rate, factor, np.intp(task))


# ---------------------------------------------------------------- backward


@njit(**JIT)
def _grad_block(rows, kc, n, diagonal, s, g, lds, lse, delta, drop, mask, keys, factor):
    """Scores s to weights (dropped ones in forward to 0), and their gradients g to those of the scores."""
    zero = number(s, 0)
    if drop or diagonal < kc or n != kc:
        for i in range(rows):
            count = max(0, min(kc, diagonal + i + 1))
            _fill(shift(g, i * lds), count, n, zero)
            if drop:
                _drop(shift(g, i * lds), count, mask[i * keys :], factor)
    rows_grad(s, g, lse, delta, lds, rows, n)
    if drop:
        for i in range(rows):
            _drop(shift(s, i * lds), max(0, min(kc, diagonal + i + 1)), mask[i * keys :], factor)


@njit(**JIT)
def _dots(rows, width, x, ldx, y, ldy, factor, out):
    """out[i] = factor * (row i of x) . (row i of y)."""
    for i in range(rows):
        a, c, total = shift(x, i * ldx), shift(y, i * ldy), number(out, 0)
        for d in range(width):
            total += load(a, d) * load(c, d)
        store(out, i, total * factor)


@njit(**JIT)
def _backward_task(spec, like, lse, states, keep_rate, scale, partial_k, partial_v, task):
    """One head and one run of query blocks: its rows of dq, and its share of dk and dv."""
    heads, groups, depth, width = spec[HEADS], spec[GROUPS], spec[DEPTH], spec[WIDTH]
    head, group = task // groups, task % groups
    b, h = head // heads, head % heads
    keys, causal = spec[DEPTH_KEYS], spec[CAUSAL] != 0
    one = ptr(like, 0)
    vl = vector_len(one)
    nr = NV * vl
    zero = number(one, 0)
    q, o, do = _operand(spec, Q, b, h, one), _operand(spec, OUT, b, h, one), _operand(spec, DO, b, h, one)
    k, ldk = _operand(spec, K, b, h // spec[K_SHARE], one), spec[K + 3]
    dq = _operand(spec, DQ, b, h, one)
    dk, lddk, dv, lddv = _operand(spec, DK, b, h, one), spec[DK + 3], _operand(spec, DV, b, h, one), spec[DV + 3]
    if partial_k.size:
        dk, lddk = ptr(partial_k, task * keys * depth), depth
    if partial_v.size:
        dv, lddv = ptr(partial_v, task * keys * width), width
    wide, deep, lds = _up(width, vl), _up(depth, vl), min(KEYS, _up(keys, nr)) + vl
    size_k, size_v, size_panels = _up(keys, nr) * depth + nr, _up(keys, nr) * width + nr, _up(depth, nr) * keys + nr
    room = size_k + size_v + size_panels + ROWS * (2 * lds + deep + wide + 1) + 8 * nr
    buffer = np.empty(room * like.itemsize + 64, np.uint8)
    turned_k = scratch(buffer, one)
    turned_v = shift(turned_k, size_k)
    panels = shift(turned_v, size_v)
    s = shift(panels, size_panels)
    g = shift(s, ROWS * lds + nr)
    copy_q = shift(g, ROWS * lds + nr)
    copy_do = shift(copy_q, ROWS * deep + nr)
    delta = shift(copy_do, ROWS * wide + nr)
    first, last = _run_of(spec, group)
    seen = keys
    if causal:
        i0, rows = _block(spec, last - 1)
        seen = min(keys, i0 + rows)
    _transposed(seen, depth, k, ldk, turned_k)
    _transposed(seen, width, _operand(spec, V, b, h // spec[V_SHARE], one), spec[V + 3], turned_v)
    k, ldk, panel = _in_panels(seen, depth, k, ldk, panels)
    # dp and delta times scale, and so ds, dq and dk: factors other than 1 cost more in the store of a tile.
    _times(turned_k, _up(seen, nr) * depth, number(one, scale * _LOG2E))
    _times(turned_v, _up(seen, nr) * width, number(one, scale))
    if causal:
        for j in range(keys):
            _fill(dk, j * lddk, j * lddk + depth, zero)
            _fill(dv, j * lddv, j * lddv + width, zero)
    drop = states.size > 0
    mask = np.empty(ROWS * keys if drop else 1, np.uint8)
    factor = number(one, 1.0 / keep_rate if keep_rate > 0 else 0.0)
    for index in range(first, last):
        i0, rows = _block(spec, index)
        if drop:
            _draw(states, head * spec[BLOCKS] + index, keep_rate, mask[: rows * keys])
        rows_q, ldq = _ordered(rows, depth, shift(q, i0 * spec[Q + 3]), spec[Q + 3], deep, copy_q)
        rows_do, lddo = _ordered(rows, width, shift(do, i0 * spec[DO + 3]), spec[DO + 3], wide, copy_do)
        here = shift(o, i0 * spec[OUT + 3])
        _dots(rows, width, rows_do, lddo, here, spec[OUT + 3], number(one, scale), delta)
        out = shift(dq, i0 * spec[DQ + 3])
        add = causal or index > first
        for j0 in range(0, keys, KEYS):
            kc = min(KEYS, keys - j0)
            diagonal = i0 - j0 if causal else _FAR
            if diagonal + rows <= 0:
                break
            here = shift(turned_k, j0 * depth)
            _multiply(rows, kc, depth, rows_q, ldq, 1, here, nr, nr * depth, s, lds, False, True, 1, diagonal)
            n = _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, ptr(buffer, 0))
            here = shift(turned_v, j0 * width)
            _multiply(rows, kc, width, rows_do, lddo, 1, here, nr, nr * width, g, lds, False, True, 1, diagonal)
            tops = ptr(lse, head * spec[QUERIES] + i0)
            _grad_block(rows, kc, n, diagonal, s, g, lds, tops, delta, drop, mask[j0:], keys, factor)
            # Weights that no query of this block has were not computed: what follows sees the first n keys alone.
            kc = min(kc, n)
            here = shift(dv, j0 * lddv)
            _multiply(kc, width, rows, s, 1, lds, rows_do, lddo, nr, here, lddv, add, False, 3, diagonal)
            here = shift(dk, j0 * lddk)
            _multiply(kc, depth, rows, g, 1, lds, rows_q, ldq, nr, here, lddk, add, False, 3, diagonal)
            here = shift(k, j0 * ldk)
            _multiply(rows, depth, kc, g, lds, 1, here, ldk, panel, out, spec[DQ + 3], j0 > 0, False, 2, diagonal)
    keep(buffer)


@njit(parallel=True, **JIT)
def attention_backward(spec, like, lse, states, keep_rate, scale, partial_k, partial_v):
    """Write dq, dk and dv (spec's DQ, DK, DV) from q, k, v, the output, lse and the output's gradient (spec's DO).

    Where ``partial_k`` (float[batch * heads * groups, keys, depth]) is not empty, each task's share of dk goes there
    instead; ``partial_v`` (.., width) likewise. The rest as in ``attention_forward``.
    """
    heads = spec[BATCH] * spec[HEADS]
    tasks = heads * spec[GROUPS]
    if heads * spec[QUERIES] * spec[DEPTH_KEYS] * (spec[DEPTH] + spec[WIDTH]) < SERIAL // 2:
        for task in range(tasks):
            _backward_task(spec, like, lse, states, keep_rate, scale, partial_k, partial_v, task)
    else:
        for task in prange(tasks):
            _backward_task(spec, like, lse, states, keep_rate, scale, partial_k, partial_v, np.intp(task))


@njit(**JIT)
def _sum_shares(spec, like, partial, which, heads, share, index):
    """One matrix of dk or dv: the sum of ``share`` partial matrices."""
    rows, columns = partial.shape[1], partial.shape[2]
    out = _operand(spec, which, index // heads, index % heads, ptr(like, 0))
    for r in range(rows):
        line = shift(out, r * spec[which + 3])
        for d in range(columns):
            store(line, d, partial[index * share, r, d])
        for p in range(1, share):
            for d in range(columns):
                store(line, d, load(line, d) + partial[index * share + p, r, d])


@njit(parallel=True, **JIT)
def reduce_partial(spec, like, partial, which, heads, share):
    """Write spec's operand ``which`` (DK or DV), of ``heads`` heads, as sums over ``share`` successive matrices.

    partial: float[batch * heads * share, keys, columns].
    """
    for index in prange(partial.shape[0] // share):
        _sum_shares(spec, like, partial, which, heads, share, np.intp(index))


# ---------------------------------------------------------------- addresses


@njit(**PLAIN)
def _place(own, args, count):
    """An entry, (spec, *arrays): writes address and strides, in elements, of 4-D arrays into spec (int64[SPEC_SIZE])
    from the place on that its own word says; the result is spec."""
    words = own_words(own)
    spec = word(args)
    to = word(words + 8 * OWN)
    for i in range(1, count):
        x = word(args + 8 * i)
        item = 4 if word(x + DTYPE) == word(words + 8 * F32) else 8
        if (
            word(x + TYPE) != word(words + 8 * ARRAY)
            or ndim(x) != 4
            or (item == 8 and word(x + DTYPE) != word(words + 8 * F64))
        ):
            return declined(words)
        at = word(spec + DATA) + 8 * (to + FIELDS * (i - 1))
        put(at, word(x + DATA))
        for d in range(4):
            put(at + 8 * (d + 1), word(word(x + STRIDES) + 8 * d) // item)
    return held(words, spec)


class _Placing:
    """The entry for the operands from number `first` on, made at its first use: addresses in 0.1 us, where NumPy's
    `__array_interface__` takes 0.8 us for each array."""

    def __init__(self, first):
        self.first, self.entry = first, None

    def __call__(self, spec, *arrays):
        if self.entry is None:
            self.entry, _ = builtin(_place, "place", [self.first])
        return self.entry(spec, *arrays)


place, place_gradients = _Placing(Q), _Placing(DO)

# ---------------------------------------------------------------- dropout


@njit(**(JIT | {"nogil": False}))
def note_states(state, states, heads, queries, keys, blocks):
    """Write to ``states`` (uint32[heads * blocks, 626]) the generator's state before each query block's numbers.

    ``state`` advances by two words for each of heads * queries * keys weights, in row-major order.
    """
    for head in range(heads):
        for index in range(blocks):
            states[head * blocks + index] = state
            rows = queries * (index + 1) // blocks - queries * index // blocks
            count = 2 * rows * keys
            while count > 0:
                if state[LEFT] == 1:
                    _twist(state)
                    state[LEFT] = WORDS + 1
                    state[LEFT + 1] = 0
                step = min(count, np.intp(state[LEFT]) - 1)
                state[LEFT] = np.uint32(np.intp(state[LEFT]) - step)
                state[LEFT + 1] = np.uint32(np.intp(state[LEFT + 1]) + step)
                count -= step
