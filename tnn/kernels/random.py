"""Random numbers: the Mersenne Twister and the distributions drawn from it.

The generator is mt19937 (Matsumoto and Nishimura, 1998), consumed as PyTorch's CPU generator consumes it, so one seed
gives one stream in both libraries: the same uniforms and integers bit for bit, normals bit for bit where the maths
library agrees.

``state`` is uint32[626] in every kernel: 624 words, the number of words left before the next twist plus one, and the
index of the next word. ``cache`` is float64[2]: the normal sample held back by the scalar Box-Muller transform, and
1.0 while it is valid. Every kernel advances ``state`` in place.

    uniform   x (high - low) + low, x = (word mod 2^24) / 2^24 (float32) or (64 bits mod 2^53) / 2^53 (float64)
    normal    r = sqrt(-2 ln u1), t = 2 pi u2, (r cos t, r sin t) (Box and Muller, 1958)
    integer   low + word mod range, or 64 bits mod range where range >= 2^28

These loops are compiled without fast-math flags and fuse multiply and add only where ``fma`` says so: the stream must
not depend on what a compiler likes to reassociate.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from ._jit import JIT
from ._math import log

# No reassociation and no implicit contraction: see the module docstring. The interpreter's lock is kept: it guards the
# state.
EXACT = {key: value for key, value in JIT.items() if key != "fastmath"} | {"nogil": False}

WORDS = 624
LEFT = 624
NEXT = 625
STATE_SIZE = 626
# Words drawn at a time into a scratch array: 32 KiB stays in the first-level cache.
BLOCK = 8192

GEOMETRIC, CAUCHY, LOG_NORMAL = 0, 2, 3

_TWO_PI_32 = np.float32(2.0 * math.pi)
_TO_UNIT_32 = np.float32(1.0 / (1 << 24))
_TO_UNIT_64 = 1.0 / (1 << 53)


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, a, a), codegen


@intrinsic
def _bits_to_float(typingctx, word):
    """The float32 whose bits are ``word``."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), codegen


@intrinsic
def _float_to_bits(typingctx, x):
    """The bits of a float32 as uint32."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), codegen


# ---------------------------------------------------------------- the generator


def seed_forward(state, seed):
    """Write to ``state`` (uint32[626]) the state that ``seed`` (its low 32 bits count) starts.

    Plain Python, 0.1 ms: the default generator is seeded at import, which shall compile and load nothing.
    """
    word = int(seed) & 0xFFFFFFFF
    words = [word]
    for i in range(1, WORDS):
        word = (1812433253 * (word ^ (word >> 30)) + i) & 0xFFFFFFFF
        words.append(word)
    state[:WORDS] = words
    state[LEFT] = 1
    state[NEXT] = 0


@njit(**EXACT)
def _twisted(upper, lower):
    mixed = (upper & np.uint32(0x80000000)) | (lower & np.uint32(0x7FFFFFFF))
    odd = np.uint32(0) - (lower & np.uint32(1))
    return np.uint32((mixed >> np.uint32(1)) ^ (odd & np.uint32(0x9908B0DF)))


@njit(**EXACT)
def _twist(state):
    # The indices are unsigned so that no negative-index test stands in the way of the vectoriser.
    for i in range(np.uint64(0), np.uint64(227)):
        state[i] = state[i + np.uint64(397)] ^ _twisted(state[i], state[i + np.uint64(1)])
    for i in range(np.uint64(227), np.uint64(623)):
        state[i] = state[i - np.uint64(227)] ^ _twisted(state[i], state[i + np.uint64(1)])
    state[623] = state[396] ^ _twisted(state[623], state[0])


@njit(**EXACT)
def _temper(words, out):
    for i in range(out.size):
        y = words[i]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        out[i] = y ^ (y >> np.uint32(18))


@njit(**EXACT)
def draw(state, out):
    """Write the next ``out.size`` words of the stream to ``out`` (uint32[n])."""
    done = 0
    while done < out.size:
        if state[LEFT] == 1:
            _twist(state)
            state[NEXT] = 0
            state[LEFT] = WORDS + 1
        first = np.intp(state[NEXT])
        count = min(out.size - done, np.intp(state[LEFT]) - 1)
        _temper(state[first : first + count], out[done : done + count])
        state[NEXT] = np.uint32(first + count)
        state[LEFT] = np.uint32(np.intp(state[LEFT]) - count)
        done += count


# ---------------------------------------------------------------- uniform


@njit(**EXACT)
def _uniform_32(words, out, low, span):
    for i in range(out.size):
        out[i] = fma(np.float32(words[i] & np.uint32(0xFFFFFF)) * _TO_UNIT_32, span, low)


@njit(**EXACT)
def _uniform_64(words, out, low, span):
    for i in range(out.size):
        bits = (np.uint64(words[2 * i]) << np.uint64(32)) | np.uint64(words[2 * i + 1])
        out[i] = fma(np.float64(bits & np.uint64(0x1FFFFFFFFFFFFF)) * _TO_UNIT_64, span, low)


@njit(**EXACT)
def uniform32_forward(state, out, low, high):
    """Write to ``out`` (float32[n]) n uniform numbers of [low, high); one word each. low, high: float64."""
    words = np.empty(min(BLOCK, out.size), np.uint32)
    start, stop = np.float32(low), np.float32(high)
    for lo in range(0, out.size, BLOCK):
        part = out[lo : lo + BLOCK]
        draw(state, words[: part.size])
        _uniform_32(words[: part.size], part, start, stop - start)
        # Rounding may reach the excluded end.
        for i in range(part.size):
            part[i] = start if part[i] == stop else part[i]


@njit(**EXACT)
def uniform64_forward(state, out, low, high):
    """Write to ``out`` (float64[n]) n uniform numbers of [low, high); two words each. low, high: float64."""
    words = np.empty(min(BLOCK, 2 * out.size), np.uint32)
    for lo in range(0, out.size, BLOCK // 2):
        part = out[lo : lo + BLOCK // 2]
        draw(state, words[: 2 * part.size])
        _uniform_64(words[: 2 * part.size], part, low, high - low)
        for i in range(part.size):
            part[i] = low if part[i] == high else part[i]


# ---------------------------------------------------------------- normal


@njit(**EXACT)
def _log(x):
    # Cephes' logf for a normal positive float32: x = m * 2^e, m in [sqrt(1/2), sqrt(2)), then a polynomial in m - 1.
    bits = _float_to_bits(x)
    e = np.float32(np.int32(np.uint32(bits >> np.uint32(23)))) - np.float32(126.0)
    m = _bits_to_float(np.uint32((bits & np.uint32(0x007FFFFF)) | np.uint32(0x3F000000)))
    small = m < np.float32(0.707106781186547524)
    e = e - (np.float32(1.0) if small else np.float32(0.0))
    m = (m - np.float32(1.0)) + (m if small else np.float32(0.0))
    z = m * m
    y = fma(np.float32(7.0376836292e-2), m, np.float32(-1.1514610310e-1))
    y = fma(y, m, np.float32(1.1676998740e-1))
    y = fma(y, m, np.float32(-1.2420140846e-1))
    y = fma(y, m, np.float32(1.4249322787e-1))
    y = fma(y, m, np.float32(-1.6668057665e-1))
    y = fma(y, m, np.float32(2.0000714765e-1))
    y = fma(y, m, np.float32(-2.4999993993e-1))
    y = fma(y, m, np.float32(3.3333331174e-1))
    y = fma(y * m, z, e * np.float32(-2.12194440e-4))
    y = fma(z, np.float32(-0.5), y)
    return fma(e, np.float32(0.693359375), m + y)


@njit(**EXACT)
def _sincos(x):
    # Cephes' sinf and cosf for 0 <= x < 2 pi: the octant j, x - j pi/4 in three parts, then two polynomials.
    j = np.int32((np.int32(x * np.float32(1.27323954473516)) + np.int32(1)) & np.int32(-2))
    k = np.float32(j)
    x = fma(k, np.float32(-0.78515625), x)
    x = fma(k, np.float32(-2.4187564849853515625e-4), x)
    x = fma(k, np.float32(-3.77489497744594108e-8), x)
    z = x * x
    c = fma(np.float32(2.443315711809948e-5), z, np.float32(-1.388731625493765e-3))
    c = fma(c, z, np.float32(4.166664568298827e-2))
    c = fma(c * z, z, z * np.float32(-0.5)) + np.float32(1.0)
    s = fma(np.float32(-1.9515295891e-4), z, np.float32(8.3321608736e-3))
    s = fma(s, z, np.float32(-1.6666654611e-1))
    s = fma(s * z, x, x)
    swap = (j & np.int32(2)) != 0
    sine = c if swap else s
    cosine = s if swap else c
    sine = -sine if (j & np.int32(4)) != 0 else sine
    cosine = -cosine if ((j - np.int32(2)) & np.int32(4)) == 0 else cosine
    return sine, cosine


@njit(**EXACT)
def _box_muller_32(u, out, mean, std):
    # u, out: float32[16 k]; in each group of 16 the first 8 uniforms give radii, the last 8 angles.
    half = u.size // 2
    radius = np.empty(half, np.float32)
    angle = np.empty(half, np.float32)
    for i in range(half // 8):
        group = u[16 * i : 16 * i + 16]
        for j in range(8):
            radius[8 * i + j] = group[j]
            angle[8 * i + j] = group[j + 8]
    for i in range(half):
        r = math.sqrt(np.float32(-2.0) * _log(np.float32(1.0) - radius[i]))
        sine, cosine = _sincos(_TWO_PI_32 * angle[i])
        radius[i] = fma(r * cosine, std, mean)
        angle[i] = fma(r * sine, std, mean)
    for i in range(half // 8):
        group = out[16 * i : 16 * i + 16]
        for j in range(8):
            group[j] = radius[8 * i + j]
            group[j + 8] = angle[8 * i + j]


@njit(**EXACT)
def _box_muller_64(u, out, mean, std):
    for i in range(0, u.size, 16):
        for j in range(i, i + 8):
            r = math.sqrt(-2.0 * math.log(1.0 - u[j]))
            t = 2.0 * math.pi * u[j + 8]
            out[j], out[j + 8] = fma(r * math.cos(t), std, mean), fma(r * math.sin(t), std, mean)


@njit(**EXACT)
def normal32_forward(state, out, mean, std):
    """Write to ``out`` (float32[n], n >= 16) n normal numbers by the transform of 16 at a time. mean, std: float64."""
    n = out.size
    words = np.empty(min(BLOCK, n), np.uint32)
    m, s = np.float32(mean), np.float32(std)
    zero, one = np.float32(0.0), np.float32(1.0)
    for lo in range(0, n, BLOCK):
        part = out[lo : lo + BLOCK]
        draw(state, words[: part.size])
        _uniform_32(words[: part.size], part, zero, one)
        whole = part[: part.size // 16 * 16]
        _box_muller_32(whole, whole, m, s)
    if n % 16 != 0:
        tail = out[n - 16 :]
        draw(state, words[:16])
        _uniform_32(words[:16], tail, zero, one)
        _box_muller_32(tail, tail, m, s)


@njit(**EXACT)
def normal64_forward(state, out, mean, std):
    """Write to ``out`` (float64[n], n >= 16) n normal numbers by the transform of 16 at a time. mean, std: float64."""
    n = out.size
    words = np.empty(min(BLOCK, 2 * n), np.uint32)
    for lo in range(0, n, BLOCK // 2):
        part = out[lo : lo + BLOCK // 2]
        draw(state, words[: 2 * part.size])
        _uniform_64(words[: 2 * part.size], part, 0.0, 1.0)
        whole = part[: part.size // 16 * 16]
        _box_muller_64(whole, whole, mean, std)
    if n % 16 != 0:
        tail = out[n - 16 :]
        draw(state, words[:32])
        _uniform_64(words[:32], tail, 0.0, 1.0)
        _box_muller_64(tail, tail, mean, std)


@njit(**EXACT)
def _double(state, two):
    draw(state, two)
    bits = (np.uint64(two[0]) << np.uint64(32)) | np.uint64(two[1])
    return np.float64(bits & np.uint64(0x1FFFFFFFFFFFFF)) * _TO_UNIT_64


@njit(**EXACT)
def _next_normal(state, cache, two):
    # Two samples a transform: the second one waits in the cache.
    if cache[1] != 0.0:
        cache[1] = 0.0
        return cache[0]
    u1 = _double(state, two)
    u2 = _double(state, two)
    r = math.sqrt(-2.0 * math.log1p(-u2))
    t = 2.0 * math.pi * u1
    cache[0] = r * math.sin(t)
    cache[1] = 1.0
    return r * math.cos(t)


@njit(**EXACT)
def normal_scalar_forward(state, cache, out, mean, std):
    """Write to ``out`` (float64[n]) n normal numbers one by one: fewer than 16, or for a non-contiguous tensor.

    ``cache`` (float64[2]) is read and written as well as ``state``.
    """
    two = np.empty(2, np.uint32)
    for i in range(out.size):
        out[i] = fma(_next_normal(state, cache, two), std, mean)


@njit(**EXACT)
def transform_forward(state, cache, out, kind, a, b):
    """Write to ``out`` (float64[n]) n numbers of the distribution ``kind`` (int).

    GEOMETRIC: ceil(ln u / ln(1 - a)). CAUCHY: a + b tan(pi (u - 1/2)). LOG_NORMAL: exp(a + b z) with z normal
    (``cache`` is read and written then).
    """
    two = np.empty(2, np.uint32)
    for i in range(out.size):
        if kind == LOG_NORMAL:
            out[i] = math.exp(fma(_next_normal(state, cache, two), b, a))
            continue
        u = _double(state, two)
        if kind == CAUCHY:
            out[i] = fma(b, math.tan(math.pi * (u - 0.5)), a)
        else:
            out[i] = math.ceil(math.log(u) / math.log1p(-a))


@njit(**EXACT)
def _unit(words, i):
    """The i-th number of [0, 1) that pairs of words give."""
    bits = (np.uint64(words[2 * i]) << np.uint64(32)) | np.uint64(words[2 * i + 1])
    return np.float64(bits & np.uint64(0x1FFFFFFFFFFFFF)) * _TO_UNIT_64


@njit(**EXACT)
def exponential_forward(state, out, rate, gumbel):
    """Write to ``out`` (float32[n] or float64[n]) n numbers -ln(1 - u) / rate; with ``gumbel`` (bool) their -ln.

    1 - u is exact, so a logarithm that vectorises may take log1p's place: 27 to 4 ns a number.
    """
    words = np.empty(min(BLOCK, 2 * out.size), np.uint32)
    scale = -1.0 / rate
    for lo in range(0, out.size, BLOCK // 2):
        part = out[lo : lo + BLOCK // 2]
        draw(state, words[: 2 * part.size])
        for i in range(part.size):
            part[i] = scale * log(1.0 - _unit(words, i))
        if gumbel:
            for i in range(part.size):
                part[i] = -log(part[i])


@njit(**EXACT)
def slopes_forward(state, x, slope, low, high):
    """Write 1 to ``slope`` and, where x <= 0, a uniform number of [low, high), which is drawn only there.

    x, slope: float32[n] or float64[n]. low, high: float64.
    """
    words = np.empty(min(BLOCK, 2 * x.size) + 2, np.uint32)
    for lo in range(0, x.size, BLOCK // 2):
        part, drawn = x[lo : lo + BLOCK // 2], slope[lo : lo + BLOCK // 2]
        count = 0
        for i in range(part.size):
            count += part[i] <= 0
        draw(state, words[: 2 * count])
        # Without a branch, which random signs make the processor guess wrongly; the last pair of words is read in vain.
        k = 0
        for i in range(part.size):
            below = part[i] <= 0
            number = x.dtype.type(fma(_unit(words, k), high - low, low))
            drawn[i] = number if below else x.dtype.type(1.0)
            k += below


# ---------------------------------------------------------------- integers


@njit(**EXACT)
def _remainders(words, out, span, low):
    # Word mod span for a span below 2^28, in float64, where it is exact and, unlike an integer division, vectorises.
    inverse = 1.0 / span
    for i in range(out.size):
        word = np.float64(words[i])
        rest = word - math.floor(word * inverse) * span
        rest = rest + span if rest < 0.0 else rest
        rest = rest - span if rest >= span else rest
        out[i] = np.int64(np.int32(rest)) + low


@njit(**EXACT)
def integers_forward(state, out, span, low, wide):
    """Write to ``out`` (int64[n]) low + (draw mod span); a draw is 64 bits where ``wide``, else one word.

    span: uint64, at most 2^31 unless ``wide``, and 0 for 2^64. low: int64. wide: bool.
    """
    words = np.empty(min(BLOCK, 2 * out.size), np.uint32)
    step = BLOCK // 2 if wide else BLOCK
    for lo in range(0, out.size, step):
        part = out[lo : lo + step]
        if wide:
            draw(state, words[: 2 * part.size])
            for i in range(part.size):
                bits = (np.uint64(words[2 * i]) << np.uint64(32)) | np.uint64(words[2 * i + 1])
                bits = bits if span == 0 else bits % span
                part[i] = np.int64(bits) + low
        else:
            draw(state, words[: part.size])
            if span >= 2**28:
                for i in range(part.size):
                    part[i] = np.int64(np.uint32(words[i] % np.uint32(span))) + low
            else:
                _remainders(words, part, np.float64(span), low)


@njit(**EXACT)
def permutation_forward(state, out, wide):
    """Write to ``out`` (int64[n]) a random permutation of 0 .. n - 1 (Fisher and Yates).

    ``wide`` (bool): draw 64 bits a swap and build the permutation inside out, for an n that a word cannot cover evenly.
    """
    n = out.size
    if wide:
        two = np.empty(2, np.uint32)
        for i in range(n):
            draw(state, two)
            bits = (np.uint64(two[0]) << np.uint64(32)) | np.uint64(two[1])
            z = np.intp(bits % np.uint64(i + 1))
            out[i] = i
            out[i] = out[z]
            out[z] = i
        return
    for i in range(n):
        out[i] = i
    words = np.empty(min(BLOCK, n), np.uint32)
    for lo in range(0, n - 1, BLOCK):
        hi = min(lo + BLOCK, n - 1)
        draw(state, words[: hi - lo])
        for i in range(lo, hi):
            z = np.intp(words[i - lo] % np.uint32(n - i)) + i
            out[i], out[z] = out[z], out[i]


# ---------------------------------------------------------------- bernoulli and what builds on it


@njit(**EXACT)
def bernoulli_forward(state, out, p):
    """Write to ``out`` (uint8[n]) 1 with probability ``p`` (float64), else 0; two words each."""
    # u < p for u = k / 2^53 is k < ceil(p 2^53): the same draw without a conversion.
    bound = np.uint64(math.ceil(p * 9007199254740992.0))
    words = np.empty(min(BLOCK // 2, out.size), np.uint64)
    for lo in range(0, out.size, BLOCK // 2):
        part = out[lo : lo + BLOCK // 2]
        pairs = words[: part.size]
        draw(state, pairs.view(np.uint32))
        for i in range(part.size):
            # The first word of a pair is the upper half.
            k = ((pairs[i] << np.uint64(32)) | (pairs[i] >> np.uint64(32))) & np.uint64(0x1FFFFFFFFFFFFF)
            part[i] = 1 if k < bound else 0


@njit(**EXACT)
def bernoulli32_forward(state, out, p):
    """Write to ``out`` (uint8[n]) 1 with the probability at its place in ``p`` (float32[n]); one word each."""
    u = np.empty(min(BLOCK, out.size), np.float32)
    for lo in range(0, out.size, BLOCK):
        part = out[lo : lo + BLOCK]
        chance = p[lo : lo + BLOCK]
        uniform32_forward(state, u[: part.size], 0.0, 1.0)
        for i in range(part.size):
            part[i] = 1 if u[i] < chance[i] else 0


@njit(**EXACT)
def bernoulli64_forward(state, out, p):
    """Write to ``out`` (uint8[n]) 1 with the probability at its place in ``p`` (float64[n]); two words each."""
    u = np.empty(min(BLOCK // 2, out.size), np.float64)
    for lo in range(0, out.size, BLOCK // 2):
        part = out[lo : lo + BLOCK // 2]
        chance = p[lo : lo + BLOCK // 2]
        uniform64_forward(state, u[: part.size], 0.0, 1.0)
        for i in range(part.size):
            part[i] = 1 if u[i] < chance[i] else 0


@njit(**EXACT)
def multinomial_forward(state, p, cumulative, out):
    """Write to ``out`` (int64[rows, samples]) categories drawn with replacement, weights ``p`` (float[rows, n]).

    ``cumulative`` (float[n], p's dtype) is scratch. The weights of a row are finite, not negative and not all 0.
    """
    n = p.shape[1]
    two = np.empty(2, np.uint32)
    for row in range(p.shape[0]):
        total = p[row, 0] * 0
        for j in range(n):
            total += p[row, j]
            cumulative[j] = total
        for j in range(n):
            cumulative[j] /= total
        cumulative[n - 1] = 1
        for k in range(out.shape[1]):
            u = _double(state, two)
            left, right = 0, n
            while left < right:
                middle = left + (right - left) // 2
                if cumulative[middle] < u:
                    left = middle + 1
                else:
                    right = middle
            out[row, k] = left


@njit(**EXACT)
def _poisson_one(state, two, rate):
    # Large rates: transformed rejection (Hoermann, 1993). Small ones: count uniforms until their product falls below
    # exp(-rate).
    if rate == 0.0:
        return 0
    if rate < 10.0:
        floor = math.exp(-rate)
        k, product = 0, _double(state, two)
        while product > floor:
            k += 1
            product *= _double(state, two)
        return k
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = _double(state, two) - 0.5
        v = _double(state, two)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        bound = -rate + k * log_rate - math.lgamma(k + 1.0)
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b) <= bound:
            return k


@njit(**EXACT)
def poisson_forward(state, rate, out):
    """Write to ``out`` (float64[n]) Poisson numbers with the rates (>= 0) at their places in ``rate`` (float64[n])."""
    two = np.empty(2, np.uint32)
    for i in range(out.size):
        out[i] = _poisson_one(state, two, rate[i])


@njit(**EXACT)
def _gamma_one(state, cache, two, alpha):
    # Squeezed rejection from a normal number (Marsaglia and Tsang, 2000), below 1 by a power of a uniform one.
    scale = 1.0
    if alpha < 1.0:
        if alpha == 0.0:
            return 0.0
        scale = (1.0 - _double(state, two)) ** (1.0 / alpha)
        alpha += 1.0
    d = alpha - np.float64(np.float32(1.0) / np.float32(3.0))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = _next_normal(state, cache, two)
        y = 1.0 + c * x
        while y <= 0.0:
            x = _next_normal(state, cache, two)
            y = 1.0 + c * x
        v = y * y * y
        u = 1.0 - _double(state, two)
        xx = x * x
        if u < 1.0 - np.float64(np.float32(0.0331)) * xx * xx:
            return scale * d * v
        if math.log(u) < 0.5 * xx + d * (1.0 - v + math.log(v)):
            return scale * d * v


@njit(**EXACT)
def gamma_forward(state, cache, alpha, out):
    """Write to ``out`` (float64[n]) gamma numbers of rate 1 with the shapes in ``alpha`` (float64[n])."""
    two = np.empty(2, np.uint32)
    for i in range(out.size):
        out[i] = _gamma_one(state, cache, two, alpha[i])


@njit(**EXACT)
def _rounded(x, single):
    return np.float64(np.float32(x)) if single else x


# The first ten errors of Stirling's approximation of log(k!).
_STIRLING = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


@njit(**EXACT)
def _stirling_tail(k):
    if k <= 9.0:
        return _STIRLING[np.intp(k)]
    square = (k + 1.0) * (k + 1.0)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1.0)


@njit(**EXACT)
def _few_successes(state, two, count, p, single):
    """How many geometric waiting times fit into ``count`` trials."""
    log_miss = _rounded(math.log1p(-p), single)
    trials, found = 0.0, 0.0
    while True:
        trials += math.ceil(math.log(_double(state, two)) / log_miss)
        if not trials <= count:
            return found
        found += 1.0


@njit(**EXACT)
def _many_successes(state, two, count, p, single):
    # Transformed rejection with a squeeze (Hoermann, 1993).
    mean = _rounded(count * p, single)
    deviation = _rounded(math.sqrt(_rounded(mean * _rounded(1.0 - p, single), single)), single)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = mean + 0.5
    v_r = 0.92 - 4.2 / b
    r = _rounded(p / _rounded(1.0 - p, single), single)
    alpha = (2.83 + 5.1 / b) * deviation
    m = math.floor(_rounded((count + 1.0) * p, single))
    while True:
        u = _double(state, two) - 0.5
        v = _double(state, two)
        us = 0.5 - abs(u)
        k = float(math.floor((2.0 * a / us + b) * u + c))
        if us >= 0.07 and v <= v_r:
            return k
        if not 0.0 <= k <= count:
            continue
        bound = (
            (m + 0.5) * math.log((m + 1.0) / (r * (count - m + 1.0)))
            + (count + 1.0) * math.log((count - m + 1.0) / (count - k + 1.0))
            + (k + 0.5) * math.log(r * (count - k + 1.0) / (k + 1.0))
            + _stirling_tail(m) + _stirling_tail(count - m) - _stirling_tail(k) - _stirling_tail(count - k)
        )  # fmt: skip
        if math.log(v * alpha / (a / (us * us) + b)) <= bound:
            return k


@njit(**EXACT)
def binomial_forward(state, count, p, single, out):
    """Write to ``out`` binomial numbers of ``count`` trials of probability ``p``; all are float64[n].

    single: compute in float32 what PyTorch computes so for parameters in float32.
    """
    two = np.empty(2, np.uint32)
    for i in range(out.size):
        n, q = count[i], p[i]
        if n <= 0.0 or q <= 0.0:
            out[i] = 0.0
        elif q >= 1.0:
            out[i] = n
        else:
            rare = q if q <= 0.5 else _rounded(1.0 - q, single)
            if _rounded(n * rare, single) >= 10.0:
                k = _many_successes(state, two, n, rare, single)
            else:
                k = _few_successes(state, two, n, rare, single)
            out[i] = k if q <= 0.5 else n - k
