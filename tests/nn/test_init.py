"""Initial values: PyTorch 2.13's numbers for the same seed, and the properties that each method promises."""

import math

import numpy as np
import pytest

import tnn
from tnn.nn import init

# What PyTorch gives for a (3, 2) float32 tensor after manual_seed(1), and the next uniform number of the stream.
GOLDEN = {
    "trunc_normal": (
        lambda t: init.trunc_normal_(t, 0.0, 1.0, -1.0, 1.0),
        [0.6613521575927734, 0.266924113035202, 0.06167725846171379, 0.6213173270225525, -0.4519059658050537, -0.16613022983074188],
        0.6826140880584717,
    ),
    "trunc_normal_far_tail": (
        lambda t: init.trunc_normal_(t, 0.0, 1.0, 1.5, 3.0),
        [1.7651851177215576, 1.8156483173370361, 1.5289589166641235, 2.1824793815612793, 1.5439223051071167, 1.7523142099380493],
        0.19761419296264648,
    ),
    "xavier_uniform": (
        init.xavier_uniform_,
        [0.5644425749778748, -0.48350563645362854, -0.21236462891101837, 0.5141679048538208, -1.03129243850708, 0.6569573879241943],
        0.3971373438835144,
    ),
    "xavier_normal": (
        init.xavier_normal_,
        [0.4182758331298828, 0.16881762444972992, 0.03900812193751335, 0.39295557141304016, -0.2858104407787323, -0.10506998747587204],
        0.6826140880584717,
    ),
    "kaiming_normal": (
        lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
        [0.5399917960166931, 0.21794261038303375, 0.050359271466732025, 0.5073034763336182, -0.36897966265678406, -0.13564476370811462],
        0.6826140880584717,
    ),
    "orthogonal": (
        init.orthogonal_,
        [0.8232183456420898, -0.05065270513296127, 0.0767727866768837, 0.9967954158782959, -0.562510073184967, 0.06191626563668251],
        0.6826140880584717,
    ),
    "sparse": (
        lambda t: init.sparse_(t, 0.4),
        [0.006613521836698055, 0.0, 0.0, 0.0, 0.0, -0.001661302288994193],
        0.5724719762802124,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_same_numbers_as_pytorch(name):
    fill, expected, following = GOLDEN[name]
    tnn.manual_seed(1)
    t = tnn.empty(3, 2)
    assert fill(t) is t
    np.testing.assert_allclose(t.numpy().reshape(-1), expected, rtol=1e-6, atol=1e-7)
    assert tnn.rand(1).item() == following


def test_weights_of_linear_and_conv2d_start_as_in_pytorch():
    tnn.manual_seed(0)
    weight = init.kaiming_uniform_(tnn.empty(2, 3), a=math.sqrt(5))
    bias = init.uniform_(tnn.empty(2), -1 / math.sqrt(3), 1 / math.sqrt(3))
    expected = [
        -0.004322517663240433,
        0.3097158372402191,
        -0.4751853346824646,
        -0.4248946011066437,
        -0.2223689705133438,
    ]
    assert weight.numpy().reshape(-1).tolist() == [*expected, 0.15482072532176971]
    assert bias.tolist() == [-0.011439144611358643, 0.45777493715286255]
    tnn.manual_seed(0)
    weight = init.kaiming_uniform_(tnn.empty(2, 2, 1, 3), a=math.sqrt(5))
    bias = init.uniform_(tnn.empty(2), -1 / math.sqrt(6), 1 / math.sqrt(6))
    assert weight.numpy()[1, 1, 0].tolist() == [0.1080276295542717, -0.1233779713511467, -0.08024748414754868]
    assert bias.tolist() == [-0.39001941680908203, -0.2703755497932434]


def test_a_parameter_is_changed_in_place_and_keeps_its_flags():
    t = tnn.zeros(4, 3, requires_grad=True)
    for fill in (init.ones_, init.kaiming_uniform_, init.orthogonal_, init.eye_, lambda t: init.constant_(t, 2.5)):
        assert fill(t) is t
        assert t.requires_grad and t.is_leaf and t.grad_fn is None
    np.testing.assert_array_equal(t.detach().numpy(), np.full((4, 3), 2.5))


def test_a_change_is_seen_by_what_was_saved_before():
    w = tnn.ones(3, requires_grad=True)
    y = w * w
    init.zeros_(w)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward(tnn.ones(3))


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal(shape):
    q = init.orthogonal_(tnn.empty(*shape, dtype=tnn.float64), gain=2.0).numpy().reshape(shape[0], -1)
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_of_nothing_draws_nothing():
    before = tnn.get_rng_state()
    init.orthogonal_(tnn.empty(0, 3))
    assert (tnn.get_rng_state().numpy() == before.numpy()).all()


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_channels_on(groups):
    w = init.dirac_(tnn.ones(4, 3, 3, 4), groups).numpy()
    expected = np.zeros((4, 3, 3, 4))
    for o in range(4):
        i = o % (4 // groups)
        if i < 3:
            expected[o, i, 1, 2] = 1
    np.testing.assert_array_equal(w, expected)


@pytest.mark.parametrize(("a", "b"), [(-1.0, 1.0), (-0.1, 0.1), (2.0, 4.0)])
def test_trunc_normal_stays_inside(a, b):
    x = init.trunc_normal_(tnn.empty(3000), 0.0, 1.0, a, b).numpy()
    assert x.min() >= a and x.max() <= b
    # The mean of the truncated distribution.
    density = [math.exp(-0.5 * v * v) / math.sqrt(2 * math.pi) for v in (a, b)]
    mass = 0.5 * (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2)))
    assert abs(x.mean() - (density[0] - density[1]) / mass) < 0.05


def test_sparse_zeroes_a_share_of_every_column():
    x = init.sparse_(tnn.empty(10, 6), 0.25).numpy()
    assert ((x == 0).sum(0) == 3).all()


@pytest.mark.parametrize(
    ("name", "param", "expected"),
    [
        ("linear", None, 1),
        ("conv_transpose3d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 1, 1.0),
        ("selu", None, 0.75),
    ],
)
def test_calculate_gain(name, param, expected):
    assert init.calculate_gain(name, param) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.calculate_gain("gelu"), "Unsupported nonlinearity gelu"),
        (lambda: init.calculate_gain("leaky_relu", True), "not a valid number"),
        (lambda: init.kaiming_uniform_(tnn.empty(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_uniform_(tnn.empty(3, 3), mode="fan"), "Mode fan not supported"),
        (lambda: init.xavier_normal_(tnn.empty(3)), "fewer than 2 dimensions"),
        (lambda: init.eye_(tnn.empty(3)), "2 dimensions"),
        (lambda: init.dirac_(tnn.empty(3, 3)), "3, 4, or 5 dimensions"),
        (lambda: init.dirac_(tnn.empty(3, 3, 3), 2), "divisible by groups"),
        (lambda: init.orthogonal_(tnn.empty(3)), "2 or more dimensions"),
        (lambda: init.sparse_(tnn.empty(3), 0.1), "2 dimensions"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_warnings():
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_normal_(tnn.empty(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(tnn.empty(3), 5.0, 1.0, 0.0, 2.0)
    with pytest.warns(FutureWarning, match="deprecated in favor of `nn.init.xavier_uniform_`"):
        init.xavier_uniform(tnn.empty(3, 3))


def test_generator_is_used():
    a = init.xavier_normal_(tnn.empty(3, 3), generator=tnn.Generator().manual_seed(5))
    b = init.xavier_normal_(tnn.empty(3, 3), generator=tnn.Generator().manual_seed(5))
    assert (a.numpy() == b.numpy()).all()
