r"""Scaled dot-product attention in blocks: the matrix of weights is never held.

    s_ij = scale q_i . k_j + mask_ij      p_ij = exp(s_ij - m_i)      l_i = sum_j p_ij      o_i = sum_j p_ij v_j / l_i

ROWS queries meet KEYS keys at a time. A running maximum m_i lets the sums be corrected as later keys arrive:

    m' = max(m, max_j s_ij)
    l' = l exp(m - m') + sum_j exp(s_ij - m')
    o' = o exp(m - m') + sum_j exp(s_ij - m') v_j

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

from ._entry import ARRAY, F32, F64, OWN, builtin, declined, held, ndim, own_words
from ._gemm import _pack_b
from ._jit import JIT, PLAIN
from ._math import exp, log
from ._simd import MR, NV, copy_rows, keep, load, number, ptr, scratch, shift, store, tile, vector_len
from ._simd_softmax import pointer_at, row_exp, row_grad, row_max
from ._words import DATA, DTYPE, STRIDES, TYPE, put, word
from .random import LEFT, WORDS, _twist, bernoulli_forward

ROWS = 64
KEYS = 128
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


@njit(**JIT)
def _operand(spec, which, b, h, like):
    """Pointer to an operand's matrix of batch b and head h."""
    return shift(pointer_at(spec[which], like), b * spec[which + 1] + h * spec[which + 2])


@njit(**JIT)
def _multiply(m, n, k, alpha, a, ars, acs, b, brs, panel, c, ldc, add, padded, band, diagonal):
    """C (m, n) = alpha A B, or C += where ``add``. Columns of B lie in panels of NR, ``panel`` elements apart.

    ``padded``: C has room for whole vectors. ``band`` says what the causal limit cuts, where row i of the block sees
    the columns up to i + diagonal: 1 columns of C (left as they are), 2 the end of the sum, 3 (A transposed) its
    beginning.
    """
    vl = vector_len(a)
    width = NV * vl
    one, zero = number(a, 1), number(a, 0)
    tiles = (m + MR - 1) // MR
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
                alpha, one, c, 4 if add else 0, zero,
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
def _add_mask(spec, row, count, mask, minus_inf):
    """row[j] += mask[j], or -inf where a bool mask is False, for j < count."""
    step = spec[MASK + 4]
    if step == 1:
        for j in range(count):
            store(row, j, load(row, j) + load(mask, j))
    else:
        for j in range(count):
            store(row, j, load(row, j) + load(mask, j * step))


@njit(**JIT)
def _apply_bool(spec, row, count, mask, minus_inf):
    step = spec[MASK + 4]
    for j in range(count):
        if load(mask, j * step) == 0:
            store(row, j, minus_inf)


@njit(**JIT)
def _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, bytes_like):
    """Adds the mask to a block of scores and fills each row up to a whole vector with -inf."""
    vl = vector_len(s)
    kind = spec[MASK_KIND]
    minus_inf = number(s, -np.inf)
    for i in range(rows):
        row = shift(s, i * lds)
        count = min(kc, diagonal + i + 1)
        if kind != NO_MASK and count > 0:
            at = (i0 + i) * spec[MASK + 3] + j0 * spec[MASK + 4]
            if kind == BOOL_MASK:
                _apply_bool(spec, row, count, shift(_operand(spec, MASK, b, h, bytes_like), at), minus_inf)
            else:
                _add_mask(spec, row, count, shift(_operand(spec, MASK, b, h, s), at), minus_inf)
        for j in range(max(0, count), _up(max(0, count), vl)):
            store(row, j, minus_inf)


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
def _softmax_block(rows, kc, diagonal, s, lds, m, sums, o, ldo, width, first):
    """Scores to weights; corrects the running maximum, sum and output of each row."""
    vl = vector_len(s)
    zero = number(s, 0)
    for i in range(rows):
        count = min(kc, diagonal + i + 1)
        row, n = shift(s, i * lds), _up(max(0, count), vl)
        # What the product below reads past this row's end, for the sake of later rows of its tile.
        _fill(row, n, min(_up(kc, vl), _up(max(0, count + MR), vl)), zero)
        if count <= 0:
            continue
        old = load(m, i)
        top = row_max(row, old, n)
        store(m, i, top)
        # A row of -inf alone: exp(-inf - 0) = 0, where -inf - -inf would be NaN.
        base = zero if top == -np.inf else top
        total = row_exp(row, base, n)
        if not first and old != base:
            factor = exp(old - base)
            total += load(sums, i) * factor
            _times(shift(o, i * ldo), width, factor)
        elif not first:
            total += load(sums, i)
        store(sums, i, total)


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
    q = _operand(spec, Q, b, h, one)
    k, ldk = _operand(spec, K, b, h // spec[K_SHARE], one), spec[K + 3]
    v, ldv = _operand(spec, V, b, h // spec[V_SHARE], one), spec[V + 3]
    o, ldo = _operand(spec, OUT, b, h, one), spec[OUT + 3]
    wide, deep, lds = _up(width, vl), _up(depth, vl), min(KEYS, _up(keys, nr)) + vl
    copied = wide != width
    size = like.itemsize
    room = _up(keys, nr) * depth + (keys * wide if copied else 0) + ROWS * (lds + deep) + 2 * ROWS + 8 * nr
    buffer = np.empty(room * size + 64, np.uint8)
    turned = scratch(buffer, one)
    s = shift(turned, _up(keys, nr) * depth + nr)
    rows_q = shift(s, ROWS * lds + nr)
    m = shift(rows_q, ROWS * deep + nr)
    sums = shift(m, ROWS)
    if copied:
        padded = shift(sums, ROWS + nr)
        copy_rows(keys, v, ldv, padded, wide, wide // vl, width)
        v, ldv = padded, wide
    first, last = _run_of(spec, group)
    seen = keys
    if causal:
        i0, rows = _block(spec, last - 1)
        seen = min(keys, i0 + rows)
    _transposed(seen, depth, k, ldk, turned)
    drop = states.size > 0
    mask = np.empty(ROWS * keys if drop else 1, np.uint8)
    factor = number(one, 1.0 / keep_rate if keep_rate > 0 else 0.0)
    for index in range(first, last):
        i0, rows = _block(spec, index)
        if drop:
            _draw(states, head * spec[BLOCKS] + index, keep_rate, mask[: rows * keys])
        copy_rows(rows, shift(q, i0 * spec[Q + 3]), spec[Q + 3], rows_q, deep, deep // vl, depth)
        _fill(m, 0, rows, number(one, -np.inf))
        _fill(sums, 0, rows, number(one, 0))
        out = shift(o, i0 * ldo)
        for j0 in range(0, keys, KEYS):
            kc = min(KEYS, keys - j0)
            diagonal = i0 - j0 if causal else _FAR
            if diagonal + rows <= 0:
                break
            panels = shift(turned, j0 * depth)
            _multiply(rows, kc, depth, scale, rows_q, deep, 1, panels, nr, nr * depth, s, lds, False, True, 1, diagonal)
            _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, ptr(buffer, 0))
            _softmax_block(rows, kc, diagonal, s, lds, m, sums, out, ldo, width, j0 == 0)
            if drop:
                for i in range(rows):
                    _drop(shift(s, i * lds), min(kc, diagonal + i + 1), mask[i * keys + j0 :], factor)
            here = shift(v, j0 * ldv)
            _multiply(rows, width, kc, number(one, 1), s, lds, 1, here, ldv, nr, out, ldo, j0 > 0, False, 2, diagonal)
        for i in range(rows):
            total, top = load(sums, i), load(m, i)
            if total == 0:
                _fill(out, i * ldo, i * ldo + width, number(one, 0))
                lse[head, i0 + i] = np.inf
            else:
                _times(shift(out, i * ldo), width, number(one, 1) / total)
                lse[head, i0 + i] = (number(one, 0) if top == -np.inf else top) + log(total)
    keep(buffer)


@njit(parallel=True, **JIT)
def attention_forward(spec, like, lse, states, keep_rate, scale):
    """Write the output (spec's OUT) and lse (float[batch * heads, queries]) from q, k, v and the mask.

    states: uint32[batch * heads * blocks, 626] from ``note_states``, empty without dropout. keep_rate: float64, the
    probability to be kept. scale: float64.
    """
    heads = spec[BATCH] * spec[HEADS]
    tasks = heads * spec[GROUPS]
    factor = like.dtype.type(scale)
    if heads * spec[QUERIES] * spec[DEPTH_KEYS] * (spec[DEPTH] + spec[WIDTH]) < SERIAL:
        for task in range(tasks):
            _forward_task(spec, like, lse, states, keep_rate, factor, task)
    else:
        for task in prange(tasks):
            _forward_task(spec, like, lse, states, keep_rate, factor, np.intp(task))


# ---------------------------------------------------------------- backward


@njit(**JIT)
def _grad_block(rows, kc, diagonal, s, g, lds, lse, delta, drop, mask, keys, factor):
    """Scores s to weights (dropped ones in forward to 0), and their gradients g to those of the scores."""
    vl = vector_len(s)
    zero = number(s, 0)
    for i in range(rows):
        count = min(kc, diagonal + i + 1)
        n = max(0, _up(max(0, count), vl))
        row, grad = shift(s, i * lds), shift(g, i * lds)
        if count > 0:
            _fill(grad, count, n, zero)
            if drop:
                _drop(grad, count, mask[i * keys :], factor)
            row_grad(row, grad, lse[i], load(delta, i), n)
            if drop:
                _drop(row, count, mask[i * keys :], factor)
        _fill(row, n, _up(kc, vl), zero)
        _fill(grad, n, _up(kc, vl), zero)


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
    zero, unit = number(one, 0), number(one, 1)
    q, o, do = _operand(spec, Q, b, h, one), _operand(spec, OUT, b, h, one), _operand(spec, DO, b, h, one)
    k, ldk = _operand(spec, K, b, h // spec[K_SHARE], one), spec[K + 3]
    v, ldv = _operand(spec, V, b, h // spec[V_SHARE], one), spec[V + 3]
    dq = _operand(spec, DQ, b, h, one)
    dk, lddk, dv, lddv = _operand(spec, DK, b, h, one), spec[DK + 3], _operand(spec, DV, b, h, one), spec[DV + 3]
    if partial_k.size:
        dk, lddk = ptr(partial_k, task * keys * depth), depth
    if partial_v.size:
        dv, lddv = ptr(partial_v, task * keys * width), width
    wide, deep, lds = _up(width, vl), _up(depth, vl), min(KEYS, _up(keys, nr)) + vl
    copied = deep != depth
    room = _up(keys, nr) * (depth + width) + ROWS * (2 * lds + deep + wide + 1) + 16 * nr
    room += keys * deep if copied else 0
    buffer = np.empty(room * like.itemsize + 64, np.uint8)
    turned_k = scratch(buffer, one)
    turned_v = shift(turned_k, _up(keys, nr) * depth + nr)
    s = shift(turned_v, _up(keys, nr) * width + nr)
    g = shift(s, ROWS * lds + nr)
    rows_q = shift(g, ROWS * lds + nr)
    rows_do = shift(rows_q, ROWS * deep + nr)
    delta = shift(rows_do, ROWS * wide + nr)
    first, last = _run_of(spec, group)
    seen = keys
    if causal:
        i0, rows = _block(spec, last - 1)
        seen = min(keys, i0 + rows)
    _transposed(seen, depth, k, ldk, turned_k)
    _transposed(seen, width, v, ldv, turned_v)
    if copied:
        padded = shift(delta, ROWS + nr)
        copy_rows(keys, k, ldk, padded, deep, deep // vl, depth)
        k, ldk = padded, deep
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
        copy_rows(rows, shift(q, i0 * spec[Q + 3]), spec[Q + 3], rows_q, deep, deep // vl, depth)
        copy_rows(rows, shift(do, i0 * spec[DO + 3]), spec[DO + 3], rows_do, wide, wide // vl, width)
        for i in range(rows):
            a, c, total = shift(rows_do, i * wide), shift(o, (i0 + i) * spec[OUT + 3]), zero
            for d in range(width):
                total += load(a, d) * load(c, d)
            store(delta, i, total)
        out = shift(dq, i0 * spec[DQ + 3])
        for j0 in range(0, keys, KEYS):
            kc = min(KEYS, keys - j0)
            diagonal = i0 - j0 if causal else _FAR
            if diagonal + rows <= 0:
                break
            panels = shift(turned_k, j0 * depth)
            _multiply(rows, kc, depth, scale, rows_q, deep, 1, panels, nr, nr * depth, s, lds, False, True, 1, diagonal)
            _finish_scores(spec, b, h, i0, j0, rows, kc, diagonal, s, lds, ptr(buffer, 0))
            panels = shift(turned_v, j0 * width)
            _multiply(rows, kc, width, unit, rows_do, wide, 1, panels, nr, nr * width, g, lds, False, True, 1, diagonal)
            _grad_block(rows, kc, diagonal, s, g, lds, lse[head, i0:], delta, drop, mask[j0:], keys, factor)
            here = shift(dv, j0 * lddv)
            _multiply(kc, width, rows, unit, s, 1, lds, rows_do, wide, nr, here, lddv, True, False, 3, diagonal)
            here = shift(dk, j0 * lddk)
            _multiply(kc, depth, rows, scale, g, 1, lds, rows_q, deep, nr, here, lddk, True, False, 3, diagonal)
            here = shift(k, j0 * ldk)
            _multiply(rows, depth, kc, scale, g, lds, 1, here, ldk, nr, out, spec[DQ + 3], j0 > 0, False, 2, diagonal)
    keep(buffer)


@njit(parallel=True, **JIT)
def attention_backward(spec, like, lse, states, keep_rate, scale, partial_k, partial_v):
    """Write dq, dk and dv (spec's DQ, DK, DV) from q, k, v, the output, lse and the output's gradient (spec's DO).

    Where ``partial_k`` (float[batch * heads * groups, keys, depth]) is not empty, each task's share of dk goes there
    instead; ``partial_v`` (.., width) likewise. The rest as in ``attention_forward``.
    """
    heads = spec[BATCH] * spec[HEADS]
    tasks = heads * spec[GROUPS]
    factor = like.dtype.type(scale)
    if heads * spec[QUERIES] * spec[DEPTH_KEYS] * (spec[DEPTH] + spec[WIDTH]) < SERIAL // 2:
        for task in range(tasks):
            _backward_task(spec, like, lse, states, keep_rate, factor, partial_k, partial_v, task)
    else:
        for task in prange(tasks):
            _backward_task(spec, like, lse, states, keep_rate, factor, partial_k, partial_v, np.intp(task))


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
