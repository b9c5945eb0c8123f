"""The generator and its distributions against values that PyTorch 2.13's CPU generator gives for the same seed."""

import math
import zlib

import numpy as np
import pytest

from tnn.kernels import random as kernels

# (distribution, dtype, seed, n, CRC-32 of the bytes of the first and of the second draw of n numbers)
EXACT = [
    ("uniform", "float32", 0, 1, [1239907787, 136654595]),
    ("uniform", "float64", 0, 1, [1261458175, 1003006285]),
    ("integers_10", "int64", 0, 1, [2844319735, 2739787502]),
    ("integers_2**40", "int64", 0, 1, [3334612303, 184048453]),
    ("permutation", "int64", 0, 1, [1696784233, 1696784233]),
    ("geometric", "float64", 0, 1, [3354924009, 3354924009]),
    ("bernoulli", "uint8", 0, 1, [3523407757, 3523407757]),
    ("poisson_3", "float64", 0, 1, [2447705760, 3676771569]),
    ("poisson_50", "float64", 0, 1, [3396026484, 4166853366]),
    ("uniform", "float32", 0, 16, [3926510315, 3938353817]),
    ("normal", "float32", 0, 16, [1655640054, 893205090]),
    ("uniform", "float64", 0, 16, [1438829690, 1593881877]),
    ("integers_10", "int64", 0, 16, [2535146374, 1187764031]),
    ("integers_2**40", "int64", 0, 16, [2127148834, 1516926837]),
    ("permutation", "int64", 0, 16, [2260307687, 4116863742]),
    ("geometric", "float64", 0, 16, [2345414657, 2687576964]),
    ("bernoulli", "uint8", 0, 16, [2557346415, 3964656965]),
    ("poisson_3", "float64", 0, 16, [2217815675, 1436381535]),
    ("poisson_50", "float64", 0, 16, [354943846, 167791245]),
    ("multinomial", "int64", 0, 16, [3670420054, 4237832811]),
    ("uniform", "float32", 0, 700, [2088105315, 4033219105]),
    ("normal", "float32", 0, 700, [3099890235, 4038697442]),
    ("uniform", "float64", 0, 700, [2395323088, 2858775517]),
    ("integers_10", "int64", 0, 700, [173650403, 2300621594]),
    ("integers_2**40", "int64", 0, 700, [2699485464, 140703697]),
    ("permutation", "int64", 0, 700, [272107939, 2006589914]),
    ("geometric", "float64", 0, 700, [2271715193, 1947380225]),
    ("bernoulli", "uint8", 0, 700, [1052945153, 3152045110]),
    ("poisson_3", "float64", 0, 700, [2987827594, 3991617882]),
    ("poisson_50", "float64", 0, 700, [3452316512, 1740815481]),
    ("multinomial", "int64", 0, 700, [1317714383, 591106533]),
    ("uniform", "float32", 0, 10007, [447772813, 3361977268]),
    ("normal", "float32", 0, 10007, [344665595, 3677624786]),
    ("uniform", "float64", 0, 10007, [1908914980, 2350479518]),
    ("integers_10", "int64", 0, 10007, [1387876519, 1072291130]),
    ("integers_2**40", "int64", 0, 10007, [2749216041, 960545575]),
    ("permutation", "int64", 0, 10007, [4196152980, 1949228722]),
    ("geometric", "float64", 0, 10007, [3868665501, 67881182]),
    ("bernoulli", "uint8", 0, 10007, [2655005462, 2196012033]),
    ("poisson_3", "float64", 0, 10007, [2928280007, 2972013313]),
    ("poisson_50", "float64", 0, 10007, [132730386, 663331792]),
    ("multinomial", "int64", 0, 10007, [3421087008, 2479167701]),
    ("uniform", "float32", 123456789, 1, [1401273125, 4087855407]),
    ("uniform", "float64", 123456789, 1, [3173655876, 2854731164]),
    ("integers_10", "int64", 123456789, 1, [767742221, 1667356769]),
    ("integers_2**40", "int64", 123456789, 1, [3584829035, 741286351]),
    ("permutation", "int64", 123456789, 1, [1696784233, 1696784233]),
    ("geometric", "float64", 123456789, 1, [1497140392, 3354924009]),
    ("bernoulli", "uint8", 123456789, 1, [2768625435, 3523407757]),
    ("poisson_3", "float64", 123456789, 1, [3676771569, 335453945]),
    ("poisson_50", "float64", 123456789, 1, [3547361589, 2898675515]),
    ("uniform", "float32", 123456789, 16, [3499529830, 2004593729]),
    ("normal", "float32", 123456789, 16, [1115278204, 3031605161]),
    ("uniform", "float64", 123456789, 16, [593954554, 1559782249]),
    ("integers_10", "int64", 123456789, 16, [3590209605, 2860972963]),
    ("integers_2**40", "int64", 123456789, 16, [519870514, 2587584647]),
    ("permutation", "int64", 123456789, 16, [4088128974, 866585277]),
    ("geometric", "float64", 123456789, 16, [3188114645, 3930088647]),
    ("bernoulli", "uint8", 123456789, 16, [1876661350, 1448045770]),
    ("poisson_3", "float64", 123456789, 16, [2132796207, 1886212463]),
    ("poisson_50", "float64", 123456789, 16, [276833986, 2536801207]),
    ("multinomial", "int64", 123456789, 16, [1853456809, 1075835318]),
    ("uniform", "float32", 123456789, 700, [937547663, 4065122263]),
    ("normal", "float32", 123456789, 700, [1379669653, 2758284244]),
    ("uniform", "float64", 123456789, 700, [292869171, 1850764565]),
    ("integers_10", "int64", 123456789, 700, [493072700, 1658618916]),
    ("integers_2**40", "int64", 123456789, 700, [1265907151, 2945618141]),
    ("permutation", "int64", 123456789, 700, [4100477127, 673064291]),
    ("geometric", "float64", 123456789, 700, [2390909809, 1637055210]),
    ("bernoulli", "uint8", 123456789, 700, [824806205, 4111606983]),
    ("poisson_3", "float64", 123456789, 700, [868018036, 2232890368]),
    ("poisson_50", "float64", 123456789, 700, [378467809, 4178524524]),
    ("multinomial", "int64", 123456789, 700, [3750220925, 1904483410]),
    ("uniform", "float32", 123456789, 10007, [4079668606, 2783891535]),
    ("normal", "float32", 123456789, 10007, [1256408, 3820065124]),
    ("uniform", "float64", 123456789, 10007, [1320256488, 3004386522]),
    ("integers_10", "int64", 123456789, 10007, [2929965543, 501870252]),
    ("integers_2**40", "int64", 123456789, 10007, [174032054, 2437832350]),
    ("permutation", "int64", 123456789, 10007, [20319910, 2301255896]),
    ("geometric", "float64", 123456789, 10007, [2772436662, 514462957]),
    ("bernoulli", "uint8", 123456789, 10007, [4059411766, 3315116596]),
    ("poisson_3", "float64", 123456789, 10007, [3780007602, 2670675161]),
    ("poisson_50", "float64", 123456789, 10007, [2954359374, 1007762220]),
    ("multinomial", "int64", 123456789, 10007, [395750542, 3895518344]),
]

# (distribution, dtype, seed, n, the last two numbers of the second draw of n): these go through the maths library's
# log, sine and cosine, which may differ in the last place.
CLOSE = [
    ("normal", "float32", 0, 1, [-0.3988291323184967]),
    ("normal", "float64", 0, 1, [-0.39882913979360884]),
    ("exponential", "float64", 0, 1, [0.9464498185997513]),
    ("cauchy", "float64", 0, 1, [1.19419743748767]),
    ("log_normal", "float64", 0, 1, [0.9492199974886653]),
    ("normal", "float64", 0, 16, [-0.6623068680094668, -1.4147051597902538]),
    ("normal", "float64", 0, 700, [3.089166277753965, 0.2230794934657699]),
    ("exponential", "float64", 0, 700, [0.13036978729400836, 1.5305342665546724]),
    ("cauchy", "float64", 0, 700, [-2.238630660819474, 3.0377850821054126]),
    ("log_normal", "float64", 0, 700, [5.126076321666668, 9.849536351488725]),
    ("normal", "float64", 0, 10007, [1.2946569000898045, 3.283234529796413]),
    ("normal", "float32", 123456789, 1, [3.84130859375]),
    ("normal", "float64", 123456789, 1, [3.841308550763562]),
    ("exponential", "float64", 123456789, 1, [1.8675187495973682]),
    ("cauchy", "float64", 123456789, 1, [4.769151844064659]),
    ("log_normal", "float64", 123456789, 1, [18.933326627771336]),
    ("normal", "float64", 123456789, 16, [-1.5171963655982208, -3.044025156291555]),
    ("normal", "float64", 123456789, 700, [2.3427462483074977, 0.520478806048689]),
    ("exponential", "float64", 123456789, 700, [0.34131182704545093, 0.816689575408244]),
    ("cauchy", "float64", 123456789, 700, [-0.42000690026204957, 0.8837793831095333]),
    ("log_normal", "float64", 123456789, 700, [0.4490823016643175, 5.253274054928966]),
    ("normal", "float64", 123456789, 10007, [-0.9871981672068784, 0.18827751507213736]),
]


def seeded(seed):
    state = np.zeros(kernels.STATE_SIZE, np.uint32)
    kernels.seed_forward(state, np.uint64(seed))
    return state, np.zeros(2)


def sample(kind, dtype, state, cache, n):
    out = np.empty(n, dtype)
    real = np.empty(n)
    name, _, number = kind.partition("_")
    if name == "uniform":
        {"float32": kernels.uniform32_forward, "float64": kernels.uniform64_forward}[dtype](state, out, -0.3, 0.7)
    elif name == "normal" and n >= 16:
        {"float32": kernels.normal32_forward, "float64": kernels.normal64_forward}[dtype](state, out, 0.1, 1.7)
    elif name == "normal":
        kernels.normal_scalar_forward(state, cache, real, 0.1, 1.7)
        out[:] = real
    elif name == "integers":
        span = 2**40 if number == "2**40" else int(number)
        kernels.integers_forward(state, out, np.uint64(span), -3, span >= 2**28)
    elif name == "permutation":
        kernels.permutation_forward(state, out, False)
    elif name == "bernoulli":
        kernels.bernoulli_forward(state, out, 0.3)
    elif name == "poisson":
        kernels.poisson_forward(state, np.full(n, float(number)), out)
    elif name == "multinomial":
        kernels.multinomial_forward(state, np.arange(1.0, 21.0)[None], np.empty(20), out[None])
    elif name == "exponential":
        kernels.exponential_forward(state, out, 1.3, False)
    else:
        a, b = {"geometric": (0.3, 0.0), "cauchy": (0.2, 1.3), "log": (0.3, 1.2)}[name]
        code = {"geometric": kernels.GEOMETRIC, "cauchy": kernels.CAUCHY}
        kernels.transform_forward(state, cache, out, code.get(name, kernels.LOG_NORMAL), a, b)
    return out


@pytest.mark.parametrize(("kind", "dtype", "seed", "n", "sums"), EXACT)
def test_same_bits_as_pytorch(kind, dtype, seed, n, sums):
    state, cache = seeded(seed)
    assert [zlib.crc32(sample(kind, dtype, state, cache, n).tobytes()) for _ in sums] == sums


@pytest.mark.parametrize(("kind", "dtype", "seed", "n", "last"), CLOSE)
def test_same_numbers_as_pytorch(kind, dtype, seed, n, last):
    state, cache = seeded(seed)
    sample(kind, dtype, state, cache, n)
    got = sample(kind, dtype, state, cache, n)[-2:]
    np.testing.assert_allclose(got, last, rtol=1e-7 if dtype == "float32" else 1e-13)


def test_exponential_numbers_of_both_types_and_gumbel_noise():
    draws = {}
    for dtype in (np.float32, np.float64):
        for gumbel in (False, True):
            state, _ = seeded(5)
            draws[dtype, gumbel] = np.empty(5000, dtype)
            kernels.exponential_forward(state, draws[dtype, gumbel], 1.0, gumbel)
    state, _ = seeded(5)
    u = np.empty(5000)
    kernels.uniform64_forward(state, u, 0.0, 1.0)
    np.testing.assert_allclose(draws[np.float64, False], -np.log1p(-u), rtol=4e-16)
    np.testing.assert_array_equal(draws[np.float32, False], draws[np.float64, False].astype(np.float32))
    for dtype, rtol in ((np.float32, 2e-7), (np.float64, 4e-16)):
        np.testing.assert_allclose(draws[dtype, True], -np.log(draws[dtype, False]), rtol=rtol, atol=rtol)


def test_slopes_are_drawn_where_an_element_needs_one():
    state, _ = seeded(5)
    x = np.where(np.arange(9000) % 3 == 0, -1.0, 1.0)
    x[:3] = 0.0, np.nan, -np.inf
    slope = np.empty(9000)
    kernels.slopes_forward(state, x, slope, 0.25, 0.5)
    again, _ = seeded(5)
    drawn = np.empty(int((x <= 0).sum()))
    kernels.uniform64_forward(again, drawn, 0.25, 0.5)
    expected = np.ones(9000)
    expected[x <= 0] = drawn
    np.testing.assert_array_equal(slope, expected)
    np.testing.assert_array_equal(state, again)


def test_words_are_mt19937():
    state, _ = seeded(42)
    got = np.empty(3000, np.uint32)
    for lo, hi in ((0, 1), (1, 624), (624, 625), (625, 2000), (2000, 3000)):
        kernels.draw(state, got[lo:hi])
    np.testing.assert_array_equal(got, np.random.RandomState(42).randint(0, 2**32, 3000, dtype=np.uint32))


@pytest.mark.parametrize("pieces", [[4096, 4096, 1808], [9999, 1], [10000]])
def test_uniform_stream_does_not_depend_on_how_it_is_cut(pieces):
    whole, _ = seeded(7)
    expected = np.empty(10000)
    kernels.uniform64_forward(whole, expected, 0.0, 1.0)
    state, _ = seeded(7)
    parts = [np.empty(n) for n in pieces]
    for part in parts:
        kernels.uniform64_forward(state, part, 0.0, 1.0)
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    np.testing.assert_array_equal(state, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_matches_box_muller_in_numpy(dtype):
    n = 100
    fill = {"float32": kernels.normal32_forward, "float64": kernels.normal64_forward}[dtype]
    uniform = {"float32": kernels.uniform32_forward, "float64": kernels.uniform64_forward}[dtype]
    state, _ = seeded(3)
    got = np.empty(n, dtype)
    fill(state, got, 0.5, 2.0)
    state, _ = seeded(3)
    u, tail = np.empty(n, dtype), np.empty(16, dtype)
    uniform(state, u, 0.0, 1.0)
    uniform(state, tail, 0.0, 1.0)

    def transform(group):
        radius = np.sqrt(-2 * np.log(1 - group[:8].astype(float)))
        angle = 2 * math.pi * group[8:].astype(float)
        return 0.5 + 2.0 * np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])

    expected = np.concatenate([transform(u[i : i + 16]) for i in range(0, 96, 16)] + [np.zeros(4)])
    expected[-16:] = transform(tail)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 if dtype == "float32" else 1e-14)


def test_normal_moments():
    state, _ = seeded(1)
    x = np.empty(1 << 18, np.float32)
    kernels.normal32_forward(state, x, 0.0, 1.0)
    assert abs(x.mean()) < 0.01
    assert abs(x.var() - 1) < 0.01
    assert abs((x.astype(float) ** 4).mean() - 3) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_stays_below_high(dtype):
    state, _ = seeded(5)
    out = np.empty(5000, dtype)
    fill = {"float32": kernels.uniform32_forward, "float64": kernels.uniform64_forward}[dtype]
    fill(state, out, 1.0, float(np.nextafter(np.asarray(1.0, dtype), np.asarray(2.0, dtype))))
    assert (out == 1.0).all()
    fill(state, out, -2.0, -2.0)
    assert (out == -2.0).all()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_permutation_holds_every_index_once(n, wide):
    state, _ = seeded(9)
    out = np.empty(n, np.int64)
    kernels.permutation_forward(state, out, wide)
    assert sorted(out.tolist()) == list(range(n))


@pytest.mark.parametrize(
    ("p_dtype", "kernel"), [(np.float32, "bernoulli32_forward"), (np.float64, "bernoulli64_forward")]
)
def test_bernoulli_compares_a_uniform_with_each_probability(p_dtype, kernel):
    p = np.linspace(0, 1, 9001).astype(p_dtype)
    state, _ = seeded(11)
    out = np.empty(p.size, np.uint8)
    getattr(kernels, kernel)(state, out, p)
    state, _ = seeded(11)
    u = np.empty(p.size, p_dtype)
    (kernels.uniform32_forward if p_dtype == np.float32 else kernels.uniform64_forward)(state, u, 0.0, 1.0)
    np.testing.assert_array_equal(out, u < p)


def test_multinomial_never_draws_a_zero_weight():
    p = np.array([[0.0, 2.0, 0.0, 1.0], [5.0, 0.0, 0.0, 0.0]], np.float32)
    state, _ = seeded(2)
    out = np.empty((2, 3000), np.int64)
    kernels.multinomial_forward(state, p, np.empty(4, np.float32), out)
    assert set(out[0].tolist()) == {1, 3}
    assert abs((out[0] == 1).mean() - 2 / 3) < 0.05
    assert (out[1] == 0).all()


def test_integers_cover_the_whole_range():
    state, _ = seeded(4)
    out = np.empty(4000, np.int64)
    kernels.integers_forward(state, out, np.uint64(7), -3, False)
    assert set(out.tolist()) == set(range(-3, 4))
    kernels.integers_forward(state, out, np.uint64(0), np.int64(-(2**63)), True)
    assert (out < 0).any() and (out > 0).any()


@pytest.mark.parametrize("span", [1, 2, 3, 7, 1000, 65537, 12345677, 2**28 - 1, 2**31])
def test_integers_are_words_modulo_the_span(span):
    state, _ = seeded(span)
    words = np.empty(20000, np.uint32)
    kernels.draw(state, words)
    state, _ = seeded(span)
    out = np.empty(20000, np.int64)
    kernels.integers_forward(state, out, np.uint64(span), 0, False)
    np.testing.assert_array_equal(out, words.astype(np.int64) % span)


def test_poisson_mean_is_its_rate():
    state, _ = seeded(8)
    for rate in (0.0, 0.5, 20.0):
        out = np.empty(20000)
        kernels.poisson_forward(state, np.full(out.size, rate), out)
        assert abs(out.mean() - rate) <= 0.03 * rate
        assert (out == np.floor(out)).all() and (out >= 0).all()
