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
        [0.661352158, 0.266924113, 0.0616772585, 0.621317327, -0.451905966, -0.16613023],
        0.682614088,
    ),
    "trunc_normal_far_tail": (
        lambda t: init.trunc_normal_(t, 0.0, 1.0, 1.5, 3.0),
        [1.76518512, 1.81564832, 1.52895892, 2.18247938, 1.54392231, 1.75231421],
        0.197614193,
    ),
    "xavier_uniform": (
        init.xavier_uniform_,
        [0.564442575, -0.483505636, -0.212364629, 0.514167905, -1.03129244, 0.656957388],
        0.397137344,
    ),
    "xavier_normal": (
        init.xavier_normal_,
        [0.418275833, 0.168817624, 0.0390081219, 0.392955571, -0.285810441, -0.105069987],
        0.682614088,
    ),
    "kaiming_normal": (
        lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
        [0.539991796, 0.21794261, 0.0503592715, 0.507303476, -0.368979663, -0.135644764],
        0.682614088,
    ),
    "orthogonal": (
        init.orthogonal_,
        [0.823218346, -0.0506527051, 0.0767727867, 0.996795416, -0.562510073, 0.0619162656],
        0.682614088,
    ),
    "sparse": (
        lambda t: init.sparse_(t, 0.4),
        [0.00661352184, 0.0, 0.0, 0.0, 0.0, -0.00166130229],
        0.572471976,
    ),
}  # fmt: skip


def f32(values):
    return np.array(values, np.float32).tolist()


@pytest.mark.parametrize("name", GOLDEN)
def test_same_numbers_as_pytorch(name):
    fill, expected, following = GOLDEN[name]
    tnn.manual_seed(1)
    t = tnn.empty(3, 2)
    assert fill(t) is t
    np.testing.assert_allclose(t.numpy().reshape(-1), expected, rtol=1e-6, atol=1e-7)
    assert tnn.rand(1).item() == pytest.approx(following, rel=1e-7)


def test_linear_and_conv2d_start_with_pytorchs_weights():
    tnn.manual_seed(0)
    layer = tnn.nn.Linear(3, 2)
    first = [-0.00432251766, 0.309715837, -0.475185335, -0.424894601, -0.222368971, 0.154820725]
    assert layer.weight.detach().numpy().reshape(-1).tolist() == f32(first)
    assert layer.bias.tolist() == f32([-0.0114391446, 0.457774937])
    tnn.manual_seed(0)
    layer = tnn.nn.Conv2d(2, 2, (1, 3))
    assert layer.weight.detach().numpy()[1, 1, 0].tolist() == f32([0.10802763, -0.123377971, -0.0802474841])
    assert layer.bias.tolist() == f32([-0.390019417, -0.27037555])


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
