"""Winograd's filtering for kernels of any size, strided or not, in one and two dimensions.

Along a dimension a kernel falls apart: the taps of one remainder modulo the stride s meet inputs s apart and are a
kernel of stride 1, and a long kernel is a sum of short ones. For two neighbouring outputs, kernels g of three, two and
one taps take 4, 3 and 2 products with inputs d, s apart, instead of 6, 4 and 2:

    d0-d2, d1+d2, d2-d1, d1-d3  times  g0, (g0+g1+g2)/2, (g0-g1+g2)/2, g2
    d0-d1, d1, d1-d2            times  g0, g0+g1, g1
    d0, d1                      times  g0, -g0

All of them end in y0 = m0 + m1 + m2, y1 = m1 - m2 - m3, where mi sums up the i-th kind of products of all the short
kernels (those of two taps have no m2, those of one neither m1 nor m2). So kinds, not products, are what is left of the
sums over channels: for a tile of 2 x 2 outputs at most 16 matrix products, as deep as there are channels and products
of that kind in both dimensions, and one transform of what they leave, as in ``conv_winograd``. A 3 x 3 kernel of stride
2 takes 25 products for a tile instead of 36, 4 x 4 of stride 2 36 instead of 64, 5 x 5 49 instead of 100, nine taps in
one dimension 12 instead of 18.

Measured on Zen 4, two threads, PyTorch 2.13's time by tnn's as a direct convolution and so: 3 x 3 of stride 2, 64 ->
128 channels, 56 x 56 1.01 and 1.22; 4 x 4 of stride 2 1.00 and 1.43; 7 x 7 of stride 2, 3 channels 1.02 and 1.40; 16
channels, 5 x 5 1.94 and 2.77; in one dimension three taps, 80 channels 0.96 and 1.41; nine taps, 64 channels 1.03 and
1.34; 80 taps of stride 4, 1 channel 1.04 and 1.26.

Rounding errors are 1.0 to 1.5 times those of a direct convolution (root mean square); infinities are as there. (S.
Winograd, "Arithmetic complexity of computations", 1980; J. Yepez, S. Ko, "Stride 2 1-D, 2-D, and 3-D Winograd for
convolutional neural networks", IEEE TVLSI 28, 2020.)
"""

import functools

import numpy as np
from numba import njit, prange

from ._gemm import SERIAL
from ._jit import JIT
from ._simd import (
    MR,
    NV,
    VECTOR_BYTES,
    VL32,
    keep,
    load,
    number,
    ptr,
    scratch,
    shift,
    store,
    tile,
    turn,
    turn_exact,
    vector_len,
)
from ._simd_rows import MASKS, part_rows, part_rows_by_eight, part_rows_by_four
from ._simd_winograd import winograd_pairs, winograd_tiles, winograd_weights
from .conv_slab import BATCH, CIN, COUT, GROUPS, OH, OW, PH, PW, READY, H, W, ceil_div

# Elements of the inputs and sums of a unit that are aimed at, and that there are at most: as in ``conv_winograd``.
WANTED, MOST = 13 << 14, 1 << 18
# Steps of a sum in one go: short sums make up for some of what the transforms cost in precision. (64 channels, 4 x 4 of
# stride 2: 2.1 times the error of a direct convolution if 256 are added up, 1.5 times so.)
STEPS = 128
# Elements between the kinds of products: else they would meet in the same sets of the first-level cache.
SKEW = 7 * VL32

(
    LINES, PARTS, CHUNKS, PITCH, SEGMENTS, SPAN, HIGH, STEP, REACH, WAYS, WQ, KH, KW, ELEMENTS, CLASSES, TERMS,
    TALL, WIDE, BLOCK, AT_ROWS, AT_CLASSES, AT_TABLE, AT_FACTORS, FIRST,
) = range(22, 46)  # fmt: skip
# What there is for each kind of products in both dimensions.
SLOT, START, COUNT, LINE, TERM = range(5)

# Products of a short kernel: (kind, input, added input, subtracted input, {tap: factor}).
_SHORT = {
    1: [(0, 0, None, None, {0: 1}), (3, 1, None, None, {0: -1})],
    2: [(0, 0, None, 1, {0: 1}), (1, 1, None, None, {0: 1, 1: 1}), (3, 1, None, 2, {1: 1})],
    3: [
        (0, 0, None, 2, {0: 1}),
        (1, 1, 2, None, {0: 0.5, 1: 0.5, 2: 0.5}),
        (2, 2, None, 1, {0: 0.5, 1: -0.5, 2: 0.5}),
        (3, 1, None, 3, {2: 1}),
    ],
}


def _products(taps, stride, pairs):
    """[(kind, input, added, subtracted, {tap: factor})] along one dimension, by kind; not ``pairs``: single outputs."""
    if not pairs:
        return [(0, t, None, None, {t: 1}) for t in range(taps)]
    found = []
    for phase in range(min(stride, taps)):
        left, at = len(range(phase, taps, stride)), phase
        while left:
            # 3 + 1 taps take as many products as 2 + 2, and are more exact.
            some = min(left, 3)
            for kind, first, plus, minus, factors in _SHORT[some]:
                inputs = [None if d is None else at + d * stride for d in (first, plus, minus)]
                found.append((kind, *inputs, {at + t * stride: f for t, f in factors.items()}))
            left, at = left - some, at + some * stride
    return sorted(found, key=lambda p: p[0])


def _cut(lines, across, most, groups):
    """Lines of tiles in a unit: those that waste the fewest lanes, in an even number of units."""

    def loss(rows):
        units = ceil_div(lines, rows)
        return ceil_div(rows * across, VL32) * ceil_div(units * groups, 2), -rows

    return min(range(1, max(1, min(lines, most // across)) + 1), key=loss)


def _kind(product):
    """0: of one input, 1: of a sum, 2: of a difference."""
    return 1 if product[2] is not None else 2 if product[3] is not None else 0


def _gain(taps, positions, terms, elements, channels, couts, vectors, parts, chunks, lines, fills, sums, high):
    """Cycles of a direct convolution over those of this one, as measured.

    ``vectors`` of tiles, ``lines`` of them to transform, ``fills`` and ``sums`` for each of these before the products'
    inputs.
    """
    direct = 1.1 * taps * channels * couts * positions / VL32
    products = elements * channels * couts * (1.04 * vectors + parts / 4)
    inputs = chunks * channels * lines * (20 + 5 * fills + 6 * (sums + elements))
    outputs = couts * lines * (50 if high > 1 else 30)
    return direct / (products + inputs + outputs + channels * couts / VL32 * (4.5 * terms + 7 * elements) + 10000)


def _two(product):
    """Both inputs of a product, or the only one twice."""
    _, first, plus, minus, _ = product
    return first, next((d for d in (plus, minus) if d is not None), first)


@functools.lru_cache(4096)
def geometry(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups, least=1.05):
    """As ``conv_slab.geometry``, or None if these kernels are not the right ones: if they gain less than ``least``."""
    (d, h, w), (od, oh, ow), (_, kh, kw) = size, out, kernel
    (_, sh, sw), (pd, ph, pw) = stride, padding
    channels, couts, taps = cin // groups, cout // groups, kh * kw
    if d > 1 or od > 1 or kernel[0] > 1 or pd or min(padding) < 0 or max(dilation) > 1 or max(padding) > 1 << 20:
        return None
    if min(batch, channels, oh, ow) < 1 or sw not in (1, 2, 4) or kw <= sw or max(kh, kw) > 128 or taps > 256:
        return None
    if batch * oh * ow * channels * couts * groups * taps < SERIAL or couts < MR:
        return None
    high = 2 if oh > 1 and kh > sh else 1
    tall, wide = _products(kh, sh, high > 1), _products(kw, sw, True)
    elements, ways = len(tall) * len(wide), 2 * sw
    across, lines = ceil_div(ow, 2), ceil_div(oh, high)
    wanted, total = max(2 * VL32, WANTED // (elements * channels + 16 * MR)), batch * lines
    # Lines that are too long are cut, and those that would leave a thread without work.
    few = min(ceil_div(4, total * groups), across // (4 * VL32))
    segments = max(ceil_div(across, wanted), few) if max(across - wanted, few - 1) > 0 else 1
    span = ceil_div(ceil_div(across, segments), VL32) * VL32 if segments > 1 else across
    segments = ceil_div(across, span)
    rows = _cut(total, span, max(wanted, span), groups) if segments == 1 else 1
    parts = ceil_div(total, rows) * segments
    pitch = ceil_div(rows * span + (VL32 - 1 if span % VL32 else 0), VL32) * VL32
    if (elements * channels + 16 * MR) * pitch > MOST:
        return None
    reach, far = (max(x for p in side for x in p[1:4] if x is not None) for side in (tall, wide))
    wq = span + far // ways
    # Each chunk of output channels transforms the inputs anew.
    chunks = min(ceil_div(couts, MR), ceil_div(4, parts * groups))
    terms = sum(len(p[4]) for p in tall) * sum(len(p[4]) for p in wide)
    vectors, lane_lines = ceil_div(rows * span, VL32) * parts, total * ceil_div(across, VL32)
    # Of a direct convolution, which leaves out taps outside of x in whole rows.
    inside = sum(0 <= o * sh + t - ph < h for o in range(oh) for t in range(kh)) * kw / oh
    step = high * sh
    gain = _gain(
        inside, batch * oh * ow, terms, elements, channels, couts, vectors, parts, chunks, lane_lines, step * ways,
        step * len(wide) if len(tall) > 1 else 0, high,
    )  # fmt: skip
    if gain < least:
        return None

    # Tables; see ``winograd_pairs``, ``winograd_weights`` and the constants above.
    classes, weights, factors, place = [], [], [], {}
    for a in sorted({p[0] for p in tall}):
        for b in sorted({p[0] for p in wide}):
            rows_a = [i for i, p in enumerate(tall) if p[0] == a]
            columns_b = [i for i, p in enumerate(wide) if p[0] == b]
            many, start = len(rows_a) * len(columns_b), len(place)
            entry = [a * 4 + b, start, many, len(weights), len(factors)]
            for n, (i, j) in enumerate((i, j) for i in rows_a for j in columns_b):
                place[i, j] = ((start * channels + n) * pitch + len(classes) // 5 * SKEW, many * pitch)
                found = [(s * kw + t, f * g) for s, f in tall[i][4].items() for t, g in wide[j][4].items()]
                weights += [len(found), *(t for t, _ in found)]
                factors += [round(4 * f) for _, f in found]
            classes += entry
    # Sums of columns are laid out by the row's remainder modulo a tile's height, so that the tiles of all lines follow
    # each other; only then rows are added. (8 images of 16 channels, 32 x 32, 5 x 5, one
    # thread: 0.39 ms with all additions at once, 0.23 so.)
    block = (rows + reach // step) * span + VL32
    down, along = [[], [], []], [[], [], []]
    for j, q in enumerate(wide):
        a, b = _two(q)
        to = place[0, j] if len(tall) == 1 else (j * step * block, 0)
        along[_kind(q)].append((a % ways * wq + a // ways, b % ways * wq + b // ways, *to))
        for i, p in enumerate(tall):
            a, b = ((j * step + y % step) * block + y // step * span for y in _two(p))
            down[_kind(p)].append((a, b, *place[i, j]))
    table, table_rows = ([*map(len, t), *(n for group in t for entry in group for n in entry)] for t in (along, down))
    at_rows = FIRST + len(table)
    at_classes = at_rows + len(table_rows)
    at_table = at_classes + len(classes)
    numbers = (
        batch, cin, 1, h, w, cout, 1, oh, ow, 1, kh, kw, 1, sh, sw, 1, 1, 1, 0, ph, pw, groups,
        rows, parts, chunks, pitch, segments, span, high, high * sh, reach + 1, ways, wq, kh, kw, elements,
        len(classes) // 5, len(factors), len(tall), len(wide), block,
        at_rows, at_classes, at_table, at_table + len(weights),
        *table, *table_rows, *classes, *weights, *factors,
    )  # fmt: skip
    return np.array(numbers, np.intp)


@functools.lru_cache(4096)
def mirror(batch, cin, size, cout, out, kernel, stride, dilation, padding, groups, least=1.05):
    """The geometry of the input gradient as a convolution, or None; arguments as ``geometry``'s."""
    front = tuple(k - 1 - p for k, p in zip(kernel, padding, strict=True))
    if max(stride) > 1 or max(dilation) > 1 or min(front) < 0:
        return None
    return geometry(batch, cout, out, cin, size, kernel, stride, dilation, front, groups, least)


@njit(**JIT)
def _pack(w, out, geo, factors, mirrored, unit):
    """Transforms the weights of one tile of output channels: out[element, output channel], as the tiles read them."""
    cin, cout, taps = geo[CIN] // geo[GROUPS], geo[COUT] // geo[GROUPS], geo[KH] * geo[KW]
    tiles, vl = (cout + MR - 1) // MR, vector_len(w)
    group, t = unit // tiles, unit % tiles
    lo = cout * t // tiles
    rows = cout * (t + 1) // tiles - lo
    source, size = shift(w, group * cout * cin * taps), cin * taps * vl
    # What ends vl elements before w's end may be read in whole vectors: it takes half the time.
    end = cout * cin * taps - vl
    buffer = np.empty(((MR + vl - 1) // vl * size + vl * vl) * (64 // vl) + 64, np.uint8)
    turned = scratch(buffer, w)
    for r in range(0, rows, vl):
        last, square = min(vl, rows - r) - 1, shift(turned, r * cin * taps)
        if mirrored:
            for c in range(cin):
                line = shift(source, (c * cout + lo + r) * taps)
                for i in range(0, taps, vl):
                    target = shift(square, (c * taps + taps - 1 - i) * vl)
                    turn_exact(shift(line, i), taps, last, target, -vl, min(vl, taps - i))
            continue
        line = (lo + r) * cin * taps
        for i in range(0, cin * taps, vl):
            start, target = shift(source, line + i), shift(square, i * vl)
            if i + vl <= cin * taps and line + last * cin * taps + i <= end:
                turn(start, cin * taps, last, target, vl)
            else:
                turn_exact(start, cin * taps, last, target, vl, min(vl, cin * taps - i))
    # A vector that reaches past its row is mended by what follows, hence from right to left.
    for k in range(geo[CLASSES]):
        at = geo[AT_CLASSES] + 5 * k
        count, table, factor = geo[at + COUNT], geo[AT_TABLE] + geo[at + LINE], geo[at + TERM]
        first = shift(out, geo[at + START] * cin * rows)
        for c in range(cin):
            for r in range((rows - 1) // vl * vl, -1, -vl):
                left, target = shift(turned, r * cin * taps + c * taps * vl), shift(first, c * count * rows + r)
                winograd_weights(ptr(geo, table), ptr(factors, factor), count, left, target, rows)
    keep(buffer)


@njit(**JIT)
def _fill(geo, source, top, rows, first, slab):
    """Rows ``top``.. of a plane from the tile ``first`` on: columns sorted by their remainder modulo a tile's width."""
    h, w, ways, wq = geo[H], geo[W], geo[WAYS], geo[WQ]
    left, row, zero = ways * first - geo[PW], ways * wq, number(source, 0)
    # Rows ja..jb lie inside.
    ja = min(rows, max(0, -top))
    jb = max(ja, min(rows, h - top))
    for q in range(ja * row):
        store(slab, q, zero)
    for q in range(jb * row, rows * row):
        store(slab, q, zero)
    line, start = shift(slab, ja * row), shift(source, (top + ja) * w + left)
    if MASKS and ways == 2:
        part_rows(jb - ja, start, w, -left, w - left, line, row, wq)
    elif MASKS and ways == 4:
        part_rows_by_four(jb - ja, start, w, -left, w - left, line, row, wq)
    elif MASKS and ways == 8:
        part_rows_by_eight(jb - ja, start, w, -left, w - left, line, row, wq)
    else:
        for j in range(jb - ja):
            for phase in range(ways):
                out, near = shift(line, j * row + phase * wq), shift(start, j * w + phase)
                for q in range(wq):
                    column = left + phase + q * ways
                    store(out, q, load(near, q * ways) if 0 <= column < w else zero)


@njit(**JIT)
def _transform_inputs(x, geo, group, first, last, q0, across, slab, sums, out):
    """Products' inputs out[element, tile], for ``across`` tiles from q0 on of lines first..last."""
    channels, vl = geo[CIN] // geo[GROUPS], vector_len(out)
    size, high, step, row = geo[H] * geo[W], geo[HIGH], geo[STEP], geo[WAYS] * geo[WQ]
    lines = (geo[OH] + high - 1) // high
    for c in range(channels):
        at = first
        while at < last:
            image, line = at // lines, at % lines
            many = min(lines - line, last - at)
            source = ptr(x, (image * geo[CIN] + group * channels + c) * size)
            rows = (many - 1) * step + geo[REACH]
            _fill(geo, source, line * step - geo[PH], rows, q0, slab)
            place, vectors = shift(out, (at - first) * across), (across + vl - 1) // vl
            if geo[TALL] == 1:
                winograd_pairs(ptr(geo, FIRST), slab, place, c, many, step * row, across, vectors)
            else:
                for r in range(min(step, rows)):
                    near, target = shift(slab, r * row), shift(sums, r * geo[BLOCK])
                    winograd_pairs(ptr(geo, FIRST), near, target, 0, (rows - r + step - 1) // step, step * row, across,
                                   vectors)  # fmt: skip
                winograd_pairs(ptr(geo, geo[AT_ROWS]), sums, place, c, 1, 0, 0, (many * across + vl - 1) // vl)
            at += many


@njit(**JIT)
def _unit(x, packed, bias, y, geo, mode, unit):
    """Some lines of tiles, one group and some output channels; the weights as ``_pack`` leaves them."""
    chunks, groups, parts = geo[CHUNKS], geo[GROUPS], geo[PARTS]
    part, chunk, group = unit % parts, unit // parts % chunks, unit // (parts * chunks)
    cin, cout, oh, ow, pitch, high = geo[CIN] // groups, geo[COUT] // groups, geo[OH], geo[OW], geo[PITCH], geo[HIGH]
    lines, segments = (oh + high - 1) // high, geo[SEGMENTS]
    total = geo[BATCH] * lines
    pieces = parts // segments
    first, last = total * (part // segments) // pieces, total * (part // segments + 1) // pieces
    q0 = part % segments * geo[SPAN]
    q1 = min(q0 + geo[SPAN], (ow + 1) // 2)
    across, vl = q1 - q0, vector_len(packed)
    vectors, wide, stretch = ((last - first) * across + vl - 1) // vl, MR * pitch, geo[ELEMENTS] * cin * MR + vl
    slab_size = ((geo[LINES] - 1) * geo[STEP] + geo[REACH]) * geo[WAYS] * geo[WQ] + 2 * VL32
    inputs_size = geo[ELEMENTS] * cin * pitch + geo[CLASSES] * SKEW
    kinds = 16 if high > 1 else 4
    most = max(kinds * wide, geo[WIDE] * geo[STEP] * geo[BLOCK] + vl)
    need = inputs_size + most + slab_size
    buffer = np.empty(need * x.itemsize + 64, np.uint8)
    inputs = scratch(buffer, packed)
    sums = shift(inputs, inputs_size)
    slab = shift(sums, most)
    zero, one = number(packed, 0), number(packed, 1)
    _transform_inputs(x, geo, group, first, last, q0, across, slab, sums, inputs)
    # Kinds that there are none of.
    for i in range(kinds * wide):
        store(sums, i, zero)
    tiles = (cout + MR - 1) // MR
    for t in range(tiles * chunk // chunks, tiles * (chunk + 1) // chunks):
        lo = cout * t // tiles
        rows = cout * (t + 1) // tiles - lo
        weights = shift(packed, (group * tiles + t) * stretch)
        for k in range(geo[CLASSES]):
            at = geo[AT_CLASSES] + 5 * k
            start, depth = geo[at + START] * cin, geo[at + COUNT] * cin
            blocks, out = (depth + STEPS - 1) // STEPS, shift(sums, geo[at + SLOT] * wide)
            for block in range(blocks):
                p0 = depth * block // blocks
                kc = depth * (block + 1) // blocks - p0
                left, right = shift(weights, (start + p0) * rows), shift(inputs, (start + p0) * pitch + k * SKEW)
                for v in range(0, vectors, NV):
                    some = min(NV, vectors - v)
                    tile(
                        rows, some, kc, left, 1, rows, shift(right, v * vl), pitch, shift(out, v * vl), pitch,
                        some * vl, one, one, left, 4 if block else 0, zero,
                    )  # fmt: skip
        for r in range(rows):
            o = group * cout + lo + r
            extra = bias[o] if mode & 2 else zero
            for at in range(first, last):
                top = at % lines * high
                source = shift(sums, r * pitch + (at - first) * across)
                line = ptr(y, ((at // lines * geo[COUT] + o) * oh + top) * ow)
                for q in range(0, across, vl):
                    # The last line of tiles may have one row.
                    winograd_tiles(high, shift(source, q), wide, shift(line, 2 * (q0 + q)), ow,
                                   min(ow - 2 * (q0 + q), 2 * (across - q)), oh - top, extra, mode & 8)  # fmt: skip
    keep(buffer)


@njit(**JIT)
def _factors(geo, like):
    """What the terms of the transformed weights are multiplied with."""
    factors = np.empty(geo[TERMS], like.dtype)
    for i in range(geo[TERMS]):
        factors[i] = geo[geo[AT_FACTORS] + i] * like.dtype.type(0.25)
    return factors


@njit(parallel=True, **JIT)
def conv_forward(x, w, bias, y, geo, mode):
    """Writes y; as ``conv.conv_forward``."""
    groups, vl = geo[GROUPS], vector_len(ptr(x, 0))
    cin, tiles = geo[CIN] // groups, (geo[COUT] // groups + MR - 1) // MR
    stretch, ready = geo[ELEMENTS] * cin * MR + vl, mode & READY
    factors = _factors(geo, x)
    # Two copies, each for one half of the units: mostly a thread reads weights that it has packed itself, as they are
    # slow to come from another core. (Two threads, 64 channels, 1000 positions, three taps: 0.174 ms, with two copies
    # 0.139; 16 images of 64 channels, 32 x 32, 4 x 4 of stride 2: 3.7 to 5.1 ms, 3.4.)
    each, units = groups * tiles, geo[PARTS] * groups * geo[CHUNKS]
    copies = 0 if ready else 2 if geo[PARTS] > 1 and groups * geo[CHUNKS] == 1 else 1
    storage = np.empty(copies * each * stretch * x.itemsize + 64, np.uint8)
    for unit in prange(copies * each):
        out = shift(scratch(storage, ptr(x, 0)), np.intp(unit) * stretch)
        _pack(ptr(w, 0), out, geo, factors, mode & 16, np.intp(unit) % each)
    for unit in prange(units):
        copy = np.intp(unit) * copies // units
        packed = ptr(w, 0) if ready else shift(scratch(storage, ptr(x, 0)), copy * each * stretch)
        _unit(x, packed, bias, y, geo, mode, np.intp(unit))
    keep(storage)


def packed_size(geo, itemsize):
    """The number of elements that ``conv_pack`` writes."""
    groups = int(geo[GROUPS])
    stretch = int(geo[ELEMENTS] * geo[CIN]) // groups * MR + VECTOR_BYTES // itemsize
    return groups * ceil_div(int(geo[COUT]) // groups, MR) * stretch


@njit(parallel=True, **JIT)
def conv_pack(w, packed, geo, mode):
    """The weights as ``conv_forward`` in the same mode reads them."""
    cin, tiles = geo[CIN] // geo[GROUPS], (geo[COUT] // geo[GROUPS] + MR - 1) // MR
    stretch, factors = geo[ELEMENTS] * cin * MR + vector_len(ptr(w, 0)), _factors(geo, w)
    for unit in prange(geo[GROUPS] * tiles):
        _pack(ptr(w, 0), ptr(packed, np.intp(unit) * stretch), geo, factors, mode & 16, np.intp(unit))
