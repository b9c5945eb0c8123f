"""Random tensors: PyTorch 2.13's numbers for the same seed (the distributions themselves are tested in the kernels'
tests), the order in memory, arguments and errors."""

import copy
import pickle
import zlib

import numpy as np
import pytest

import tnn


def flat(t):
    return t.float().numpy().reshape(-1).tolist()


def test_rand_and_randn_continue_one_stream():
    tnn.manual_seed(0)
    assert tnn.rand(3).tolist() == pytest.approx([0.49625658988952637, 0.7682217955589294, 0.08847743272781372], abs=0)
    tnn.manual_seed(2)
    assert tnn.randperm(8).tolist() == [0, 4, 7, 2, 6, 5, 1, 3]
    assert tnn.randint(-5, 5, (6,)).tolist() == [0, -5, -4, -5, -4, 4]
    assert tnn.randint(2**40, (2,)).tolist() == [324782295765, 203150469951]


def test_numbers_are_drawn_in_the_order_of_memory():
    tnn.manual_seed(2)
    x = tnn.empty(2, 3).t().uniform_()
    expected = [0.6146950721740723, 0.47446107864379883, 0.38101285696029663, 0.7135938405990601, 0.6371143460273743]
    assert flat(x) == [*expected, 0.6190363764762878]
    expected = [-2.140873432159424, -0.08147940039634705, -0.5534339547157288, -0.1632867008447647, -0.4999529719352722]
    np.testing.assert_allclose(flat(tnn.empty(2, 3).t().normal_()), [*expected, 1.527650237083435], rtol=1e-6)


def test_a_view_with_gaps_is_filled_and_nothing_else():
    base = tnn.zeros(4, 6)
    base.narrow(1, 1, 3).uniform_(1, 2)
    x = base.numpy()
    assert (x[:, 1:4] >= 1).all() and (x[:, 0] == 0).all() and (x[:, 4:] == 0).all()


def test_half_precision():
    tnn.manual_seed(2)
    x = flat(tnn.empty(18, dtype=tnn.float16).normal_())
    np.testing.assert_allclose(x[:4], [-1.041015625, 0.91650390625, -1.5068359375, -0.45849609375], rtol=1e-3)
    np.testing.assert_allclose(x[-2:], [0.315185546875, 1.7529296875], rtol=1e-3)
    assert flat(tnn.rand(3, dtype=tnn.bfloat16)) == [0.6171875, 0.828125, 0.5234375]
    assert (tnn.empty(5000, dtype=tnn.bfloat16).uniform_(1, 2).float().numpy() < 2).all()


def test_normal_with_tensors_poisson_bernoulli():
    tnn.manual_seed(2)
    a = tnn.normal(tnn.arange(3.0), tnn.arange(3.0))
    np.testing.assert_allclose(flat(a), [0.0, 0.7764359712600708, 1.3609994649887085], rtol=1e-6)
    np.testing.assert_allclose(
        flat(tnn.normal(1.0, 2.0, (3,))), [-1.410074234008789, 3.0889270305633545, -0.2664554715156555], rtol=1e-6
    )
    assert tnn.poisson(tnn.tensor([0.5, 5.0, 50.0])).tolist() == [0.0, 4.0, 52.0]
    assert tnn.bernoulli(tnn.tensor([0.2, 0.5, 0.9])).tolist() == [0.0, 1.0, 1.0]


def test_multinomial():
    tnn.manual_seed(2)
    p = tnn.tensor([1.0, 2.0, 3.0, 4.0])
    assert tnn.multinomial(p, 4).tolist() == [1, 3, 2, 0]
    both = tnn.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    assert tnn.multinomial(both, 6, True).tolist() == [[3, 2, 1, 1, 3, 2], [0, 1, 1, 2, 2, 0]]
    assert p.multinomial(1, True).tolist() == [3]


def test_random_takes_the_range_of_its_dtype():
    tnn.manual_seed(2)
    assert tnn.empty(3, dtype=tnn.int64).random_().tolist() == [
        8042686386972756495,
        478254495130285640,
        916110987799460139,
    ]
    assert tnn.empty(3, dtype=tnn.int32).random_().tolist() == [1869695442, 2081981515, 1805465960]
    assert tnn.empty(3, dtype=tnn.uint8).random_().tolist() == [7, 162, 177]
    assert tnn.empty(3).random_().tolist() == [6543915.0, 15247769.0, 8948279.0]
    assert tnn.empty(3, dtype=tnn.bool).random_().tolist() == [True, True, True]
    assert tnn.empty(3).random_(-5, None).tolist() == [5163325.0, 16455113.0, 171197.0]


def test_like():
    x = tnn.zeros(3, 4, dtype=tnn.float64).t()
    for made in (tnn.rand_like(x), tnn.randn_like(x), tnn.randint_like(x, 5), tnn.randint_like(x, 2, 5)):
        assert made.shape == (4, 3) and made.dtype is tnn.float64 and made.stride() == x.stride()
    assert tnn.rand_like(x, dtype=tnn.float32).dtype is tnn.float32


def test_out_dtype_and_requires_grad():
    out = tnn.empty(0)
    assert tnn.rand(2, 3, out=out) is out and out.shape == (2, 3)
    assert tnn.randn(2, requires_grad=True).requires_grad
    assert tnn.randint(3, (4,), dtype=tnn.float32).dtype is tnn.float32
    assert tnn.randperm(4, dtype=tnn.int32).dtype is tnn.int32
    assert tnn.randint(low=1, high=2, size=[3]).tolist() == [1, 1, 1]


def test_nothing_flows_back_from_random_numbers():
    x = tnn.ones(3, requires_grad=True)
    y = x.clone()
    y.uniform_()
    y.backward(tnn.ones(3))
    assert x.grad is None or x.grad.tolist() == [0, 0, 0]
    p = tnn.full((3,), 0.5, requires_grad=True)
    tnn.bernoulli(p).backward(tnn.ones(3))
    assert p.grad.tolist() == [0, 0, 0]


ERRORS = [
    (NotImplementedError, "'Long'", lambda: tnn.zeros(2, dtype=tnn.int64).uniform_()),
    (NotImplementedError, "'Long'", lambda: tnn.zeros(2, dtype=tnn.int64).normal_()),
    (NotImplementedError, "'Long'", lambda: tnn.bernoulli(tnn.tensor([1, 0]))),
    (NotImplementedError, "'Bool'", lambda: tnn.randperm(3, dtype=tnn.bool)),
    (RuntimeError, "from=1.0 > to=0.0", lambda: tnn.zeros(2).uniform_(1, 0)),
    (RuntimeError, "out of bounds", lambda: tnn.zeros(2).uniform_(0, 1e39)),
    (RuntimeError, "std -1", lambda: tnn.zeros(2).normal_(0, -1)),
    (RuntimeError, "p=1.5", lambda: tnn.zeros(2).bernoulli_(1.5)),
    (RuntimeError, r"\[0, 1\]", lambda: tnn.bernoulli(tnn.tensor([0.5, 1.5]))),
    (RuntimeError, r"\[0, 1\]", lambda: tnn.bernoulli(tnn.tensor([0.5, float("nan")]))),
    (RuntimeError, "lambda=0", lambda: tnn.zeros(2).exponential_(0)),
    (RuntimeError, "sigma=0", lambda: tnn.zeros(2).cauchy_(0, 0)),
    (RuntimeError, "p=1", lambda: tnn.zeros(2).geometric_(1)),
    (RuntimeError, "std=0", lambda: tnn.zeros(2).log_normal_(0, 0)),
    (RuntimeError, "from=3 >= to=3", lambda: tnn.randint(3, 3, (2,))),
    (RuntimeError, "out of bounds for uint8", lambda: tnn.randint(300, (2,), dtype=tnn.uint8)),
    (RuntimeError, "negative dimension -1", lambda: tnn.randperm(-1)),
    (RuntimeError, "too large", lambda: tnn.randperm(300, dtype=tnn.uint8)),
    (RuntimeError, "leaf Variable", lambda: tnn.zeros(2, requires_grad=True).uniform_()),
    (RuntimeError, "single memory location", lambda: tnn.zeros(1).expand(3).uniform_()),
    (RuntimeError, "without replacement", lambda: tnn.multinomial(tnn.ones(3), 4)),
    (RuntimeError, "n_sample <= 0", lambda: tnn.multinomial(tnn.ones(3), 0)),
    (RuntimeError, "1 or 2 dim", lambda: tnn.multinomial(tnn.ones(2, 2, 2), 1)),
    (RuntimeError, "element < 0", lambda: tnn.multinomial(tnn.tensor([1.0, -1.0]), 2, True)),
    (RuntimeError, "nan", lambda: tnn.multinomial(tnn.tensor([1.0, float("nan")]), 1)),
    (RuntimeError, "sum of probabilities", lambda: tnn.multinomial(tnn.zeros(2), 1)),
    (RuntimeError, "non-negative", lambda: tnn.poisson(tnn.tensor([-1.0]))),
    (TypeError, "'size'", lambda: tnn.randint(5)),
    (TypeError, "'high'", lambda: tnn.randint(1.5, (2,))),
    (TypeError, "'generator'", lambda: tnn.rand(2, generator=3)),
    (TypeError, "'size'", lambda: tnn.rand(2.5)),
    (TypeError, "'size'", lambda: tnn.normal(0.0, 1.0)),
]


@pytest.mark.parametrize(("error", "message", "call"), ERRORS)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------- generators


def test_state_has_pytorchs_bytes():
    tnn.manual_seed(5)
    tnn.rand(700)
    tnn.randn(3)
    state = tnn.get_rng_state()
    assert state.shape == (5056,) and state.dtype is tnn.uint8
    assert zlib.crc32(state.numpy().tobytes()) == 3149077771
    np.testing.assert_allclose(tnn.randn(2).tolist(), [2.7862348556518555, 0.4669322371482849], rtol=1e-6)
    tnn.set_rng_state(state)
    np.testing.assert_allclose(tnn.randn(2).tolist(), [2.7862348556518555, 0.4669322371482849], rtol=1e-6)


def test_generator():
    g = tnn.Generator()
    assert g.initial_seed() == 67280421310721
    assert g.manual_seed(-1) is g and g.initial_seed() == 2**64 - 1
    g.manual_seed(3)
    first = tnn.rand(5, generator=g).tolist()
    assert first == tnn.rand(5, generator=tnn.Generator().manual_seed(3)).tolist()
    for other in (g.clone_state(), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert tnn.rand(4, generator=other).tolist() == tnn.rand(4, generator=g.clone_state()).tolist()
    assert g.seed() == g.initial_seed() != 3
    assert str(g.device) == "cpu"


def test_a_generator_leaves_the_default_one_alone():
    before = tnn.get_rng_state().numpy().copy()
    tnn.randn(5, generator=tnn.Generator())
    assert (tnn.get_rng_state().numpy() == before).all()


def test_fork_rng():
    tnn.manual_seed(1)
    expected = tnn.rand(3).tolist()
    tnn.manual_seed(1)
    with tnn.random.fork_rng():
        tnn.rand(100)
    assert tnn.rand(3).tolist() == expected
    assert tnn.manual_seed(7) is tnn.default_generator and tnn.initial_seed() == 7
    assert tnn.seed() == tnn.initial_seed()


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ValueError, lambda: tnn.manual_seed(2**64)),
        (RuntimeError, lambda: tnn.Generator().manual_seed(1.5)),
        (RuntimeError, lambda: tnn.Generator("cuda")),
        (TypeError, lambda: tnn.set_rng_state(tnn.zeros(5056))),
        (RuntimeError, lambda: tnn.set_rng_state(tnn.zeros(3, dtype=tnn.uint8))),
        (RuntimeError, lambda: tnn.set_rng_state(tnn.zeros(5056, dtype=tnn.uint8))),
    ],
)
def test_generator_errors(error, call):
    with pytest.raises(error):
        call()


def test_a_state_that_would_read_past_its_end_is_refused():
    state = tnn.Generator().get_state()
    words = state.numpy()
    words[8:12] = np.frombuffer(np.int32(600).tobytes(), np.uint8)
    words[16:24] = np.frombuffer(np.int64(600).tobytes(), np.uint8)
    with pytest.raises(RuntimeError, match="Invalid"):
        tnn.set_rng_state(state)


def test_normal_numbers_count_as_constant():
    mean, std = (tnn.ones(3, requires_grad=True) for _ in range(2))
    tnn.normal(mean, std).sum().backward()
    assert mean.grad.tolist() == std.grad.tolist() == [0, 0, 0]
