"""Every optimizer against PyTorch's results, and what its kernels promise: dtypes, gaps in memory, threads."""

import math

import numpy as np
import pytest

import tnn
from tnn import optim
from tnn.kernels import optim as kernels

# name, options, the parameter after four steps: PyTorch 2.13, float64
GOLDEN = [
    (
        "SGD",
        {"lr": 0.1},
        [-0.04903357315605, 0.17248780588365, 0.56959196417327, 1.18723806626693, 1.04905068174125, 0.57149268774256],
    ),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01},
        [-0.37430749905106, -0.1363403918747, 0.61161341636626, 1.5277462487459, 1.08909134648824, 0.26046862151313],
    ),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01, "maximize": True},
        [0.38734020944314, 1.10701465350549, 0.97660476133592, 0.26420712969761, 0.42145184346588, 0.91539771941541],
    ),
    (
        "Adam",
        {"lr": 0.1},
        [-0.26189828720006, 0.01809663873589, 0.74776102164621, 1.35275881144114, 0.92196428069374, 0.35416705826139],
    ),
    (
        "Adam",
        {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
        [0.25821914133394, 0.75611759080085, 0.65932212650618, 0.6246426381316, 0.77305133995746, 0.82370790784681],
    ),
    (
        "Adam",
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.3, 0.9)},
        [-0.10242234958232, 0.03463438501043, 0.5570703124514, 1.24159667278233, 1.01881018126391, 0.49603391944528],
    ),
    (
        "AdamW",
        {"lr": 0.1, "amsgrad": True},
        [-0.26134538683421, 0.01714961508614, 0.74457475561395, 1.34820363973152, 0.91871062205354, 0.35231777699925],
    ),
    (
        "Adamax",
        {"lr": 0.1, "weight_decay": 0.1},
        [-0.22313795549199, 0.08308085316537, 0.74487256388991, 1.28309619915283, 0.85131675789467, 0.38037935441004],
    ),
    (
        "NAdam",
        {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.01},
        [-0.08252398254267, 0.10369904528432, 0.5923211350409, 1.21274603431939, 0.98641275002053, 0.5192368634509],
    ),
    (
        "NAdam",
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
        [-0.08158900497392, 0.09397514994532, 0.58493594667291, 1.18711895070879, 0.97428054889994, 0.5119834150654],
    ),
    (
        "RAdam",
        {"lr": 0.1, "weight_decay": 0.1},
        [-0.22297007745026, 0.13114322158925, 0.69157505523475, 1.219430396754, 0.89634088159647, 0.36874145406948],
    ),
    (
        "RAdam",
        {"lr": 0.1, "betas": (0.9, 0.7), "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        [0.22085303366372, 0.61515264168674, 0.68694130551626, 0.68754337164636, 0.76186688594287, 0.77885586999309],
    ),
    (
        "RMSprop",
        {"lr": 0.1, "weight_decay": 0.1},
        [-0.49144342218006, -1.81564718694757, -0.36205013653461, 2.59170965235955, 1.88113390044314, 0.13075778096232],
    ),
    (
        "RMSprop",
        {"lr": 0.1, "momentum": 0.5},
        [-1.90852524043173, -3.92322620631978, 0.0156517356955, 4.76534016391263, 2.21540343847888, -1.06979976737552],
    ),
    (
        "RMSprop",
        {"lr": 0.1, "centered": True},
        [-0.74022311447531, -2.09778431533836, -0.137269014964, 3.06561870347544, 2.05991598385919, 0.01811313033481],
    ),
    (
        "RMSprop",
        {"lr": 0.1, "centered": True, "momentum": 0.5, "maximize": True},
        [1.92465136290221, 4.73748747312821, 1.41569381979143, -2.81278832107307, -0.49090046422205, 2.28172660257819],
    ),
    (
        "Rprop",
        {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (0.05, 0.12)},
        [-0.17, 0.04941834230865, 0.69235609089952, 1.33166481045247, 0.88820936664887, 0.42847214410396],
    ),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 0.2},
        [-0.09114809058229, 0.23250536275831, 0.69905048782805, 1.12843902609765, 0.88680373130752, 0.50874499171908],
    ),
    (
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1},
        [-0.0004203346894, 0.38551689532943, 0.71439471638741, 0.99428888431347, 0.86622581816629, 0.59810385599688],
    ),
    (
        "ASGD",
        {"lr": 0.1, "lambd": 0.1, "t0": 1, "weight_decay": 0.1},
        [-0.04313144950098, 0.15225756910483, 0.51737535306065, 1.10128679754915, 0.97757243896037, 0.53061761041994],
    ),
    (
        "Adafactor",
        {"lr": 0.1, "weight_decay": 0.1},
        [-0.0156619705658, 0.13726538010768, 0.53426170981743, 1.10658346668539, 0.98061651972605, 0.5586264795002],
    ),
    (
        "Adafactor",
        {"lr": 0.1, "eps": (0.001, 0.01), "d": 1.5, "beta2_decay": -0.5, "maximize": True},
        [0.01349478210658, 0.62638229864973, 0.87646280601, 0.82487502329345, 0.71453509452877, 0.62797280386732],
    ),
]
DIFFERENTIABLE = [c for c in GOLDEN if c[0] != "Adafactor"]


def start(dtype=np.float64):
    """The parameter of the golden values."""
    return np.array([[math.sin(1.7 * i + 0.4 * j) for j in range(3)] for i in range(2)], dtype)


def gradient(k, dtype=np.float64):
    """The gradient of step k."""
    return np.array([[math.cos(2.3 * i - 1.1 * j + 0.9 * k) for j in range(3)] for i in range(2)], dtype)


def run(name, options, p, grads):
    opt = getattr(optim, name)([p], **options)
    for g in grads:
        p.grad = g
        opt.step()
    return opt


def ids(case):
    return case[0] + "-" + "-".join(k for k in case[1] if k != "lr")


@pytest.mark.parametrize("case", GOLDEN, ids=ids)
def test_matches_pytorch(case):
    name, options, want = case
    p = tnn.nn.Parameter(tnn.tensor(start()))
    run(name, options, p, [tnn.tensor(gradient(k)) for k in range(4)])
    np.testing.assert_allclose(p.detach().numpy().reshape(-1), want, rtol=1e-9, atol=1e-10)


def test_float32_matches_float64():
    for name, options, want in GOLDEN[1:5]:
        p = tnn.nn.Parameter(tnn.tensor(start(np.float32)))
        run(name, options, p, [tnn.tensor(gradient(k, np.float32)) for k in range(4)])
        assert p.dtype is tnn.float32
        np.testing.assert_allclose(p.detach().numpy().reshape(-1), want, rtol=1e-5, atol=1e-6)


def test_adafactor_of_a_vector_and_of_a_stack_of_matrices():
    p = tnn.nn.Parameter(tnn.tensor(start()[0]))
    run("Adafactor", {"lr": 0.1}, p, [tnn.tensor(gradient(k)[0]) for k in range(4)])
    want = [-0.017087724653421198, 0.24027884693929624, 0.6243586463372476]
    np.testing.assert_allclose(p.detach().numpy(), want, rtol=1e-9)

    # two equal matrices in a stack take the steps of one, but for the norm of the update, which is common to both
    one, two = tnn.nn.Parameter(tnn.tensor(start())), tnn.nn.Parameter(tnn.tensor(np.stack([start()] * 2)))
    run("Adafactor", {}, one, [tnn.tensor(gradient(k)) for k in range(3)])
    opt = run("Adafactor", {}, two, [tnn.tensor(np.stack([gradient(k)] * 2)) for k in range(3)])
    np.testing.assert_allclose(two.detach().numpy(), np.stack([one.detach().numpy()] * 2), rtol=1e-12)
    assert opt.state[two]["row_var"].shape == (2, 2, 1)
    assert opt.state[two]["col_var"].shape == (2, 1, 3)


def test_adafactor_in_parallel_matches_plain_numpy():
    rng = np.random.default_rng(0)
    for shape in ((300, 200), (60000,)):
        x, g = rng.standard_normal((2, *shape))
        p = tnn.nn.Parameter(tnn.tensor(x))
        run("Adafactor", {"lr": 0.1}, p, [tnn.tensor(g)])
        # at the first step the moments are the present ones
        v = g * g
        if g.ndim == 2:
            row, col = v.mean(1, keepdims=True), v.mean(0, keepdims=True)
            v = row * col / row.mean()
        u = g / np.sqrt(v)
        alpha = max(1e-3, np.sqrt((x * x).mean())) * 0.1
        want = x - alpha / max(1.0, np.sqrt((u * u).mean())) * u
        np.testing.assert_allclose(p.detach().numpy(), want, rtol=1e-10, atol=1e-12)


def test_muon():
    p = tnn.nn.Parameter(tnn.tensor(start(np.float32)))
    run("Muon", {"lr": 0.1}, p, [tnn.tensor(gradient(k, np.float32)) for k in range(4)])
    want = [[-0.018437577, 0.157175183, 0.511783242], [1.152552247, 0.822275162, 0.368511230]]
    np.testing.assert_allclose(p.detach().numpy(), want, atol=2e-3)  # bfloat16 inside


@pytest.mark.parametrize("tall", [False, True])
def test_muon_makes_the_update_nearly_orthogonal(tall):
    g = np.random.default_rng(0).standard_normal((12, 5) if tall else (5, 12)).astype(np.float32)
    p = tnn.nn.Parameter(tnn.zeros(*g.shape))
    run("Muon", {"lr": 1.0, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}, p, [tnn.tensor(g)])
    singular = np.linalg.svd(p.detach().numpy() / (0.2 * math.sqrt(12)), compute_uv=False)
    assert 0.6 < singular.min() and singular.max() < 1.3


def test_tensor_lr_rounds_as_a_float32_tensor():
    p = tnn.nn.Parameter(tnn.tensor(start()))
    run("Adam", {"lr": tnn.tensor(0.1)}, p, [tnn.tensor(gradient(k)) for k in range(4)])
    want = [
        [-0.2618982946016951, 0.018096626778632774, 0.7477610183895327],
        [1.3527588230758583, 0.9219642877213713, 0.35416705167726514],
    ]
    np.testing.assert_allclose(p.detach().numpy(), want, rtol=1e-10)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adadelta", "NAdam"])
def test_maximize_is_minimizing_the_negative(name):
    a, b = (tnn.nn.Parameter(tnn.tensor(start())) for _ in range(2))
    run(name, {"maximize": True}, a, [tnn.tensor(gradient(k)) for k in range(3)])
    run(name, {}, b, [tnn.tensor(-gradient(k)) for k in range(3)])
    assert np.array_equal(a.detach().numpy(), b.detach().numpy())


def test_foreach_fused_and_capturable_are_the_same_path():
    want = None
    for option in ({}, {"foreach": True}, {"fused": True}, {"capturable": True}):
        p = tnn.nn.Parameter(tnn.tensor(start()))
        run("Adam", option, p, [tnn.tensor(gradient(0))])
        want = p.detach().numpy() if want is None else want
        assert np.array_equal(p.detach().numpy(), want)


def test_large_parameters_do_not_depend_on_threads():
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal((2, 100_003))
    results = []
    before = tnn.get_num_threads()
    for threads in (1, 2):
        tnn.set_num_threads(threads)
        for name, options in (("SGD", {"momentum": 0.9}), ("Adam", {}), ("Adam", {"amsgrad": True}), ("NAdam", {})):
            p = tnn.nn.Parameter(tnn.tensor(x))
            run(name, options, p, [tnn.tensor(g), tnn.tensor(-g)])
            results.append(p.detach().numpy())
    tnn.set_num_threads(before)
    for one, two in zip(results[:4], results[4:], strict=True):
        assert np.array_equal(one, two)
    # and no element was left out
    m, v = 0.1 * g, 0.001 * g * g
    first = x - 1e-3 * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
    m, v = 0.9 * m - 0.1 * g, 0.999 * v + 0.001 * g * g
    second = first - 1e-3 * (m / (1 - 0.81)) / (np.sqrt(v / (1 - 0.999**2)) + 1e-8)
    np.testing.assert_allclose(results[1], second, rtol=1e-9, atol=1e-12)


def test_dot_scale_axpy_and_lerp_on_large_arrays():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 70_001))
    np.testing.assert_allclose(kernels.dot(x, y), x @ y, rtol=1e-9)
    z = y.copy()
    kernels.axpy(x, 0.5, z)
    np.testing.assert_allclose(z, y + 0.5 * x, rtol=1e-12)
    kernels.scale(x, -2.0, z)
    assert np.array_equal(z, -2.0 * x)
    z = y.copy()
    kernels.lerp(z, x, 0.75)
    np.testing.assert_allclose(z, 0.25 * y + 0.75 * x, rtol=1e-9, atol=1e-12)


def test_nan_and_infinity_stay_what_they_are():
    x = np.array([math.nan, math.inf, 1.0])
    p = tnn.nn.Parameter(tnn.tensor(x))
    run("SGD", {"lr": 0.5}, p, [tnn.tensor(np.zeros(3))])
    assert np.array_equal(p.detach().numpy(), x, equal_nan=True)
    for name, options in (("Adam", {"amsgrad": True}), ("Adamax", {})):
        p = tnn.nn.Parameter(tnn.tensor(np.ones(3)))
        run(name, options, p, [tnn.tensor(np.array([math.nan, 1.0, -1.0]))])
        assert np.isnan(p.detach().numpy()).tolist() == [True, False, False]


def test_parameters_with_gaps_in_memory():
    base = tnn.tensor(np.ascontiguousarray(start().T))
    p = tnn.nn.Parameter(base.t())
    assert not p.is_contiguous()
    opt = run("Adam", {"lr": 0.1}, p, [tnn.tensor(gradient(k)) for k in range(4)])
    np.testing.assert_allclose(p.detach().numpy().reshape(-1), GOLDEN[3][2], rtol=1e-9)
    np.testing.assert_allclose(base.numpy().T, p.detach().numpy())
    assert opt.state[p]["exp_avg"].shape == (2, 3)


@pytest.mark.parametrize("dtype", [tnn.bfloat16, tnn.float16])
def test_half_parameters_round_once(dtype):
    p = tnn.nn.Parameter(tnn.tensor(start()).to(dtype))
    wide = tnn.nn.Parameter(p.detach().to(tnn.float32))
    g = tnn.tensor(gradient(0)).to(dtype)
    opt = run("Adam", {"lr": 0.1}, p, [g])
    run("Adam", {"lr": 0.1}, wide, [g.to(tnn.float32)])
    assert p.dtype is dtype and opt.state[p]["exp_avg"].dtype is dtype
    assert p.tolist() == wide.detach().to(dtype).tolist()


def test_empty_and_zero_dimensional_parameters():
    for shape in ((0,), (), (3, 0)):
        for name in ("SGD", "Adam", "Adafactor"):
            p = tnn.nn.Parameter(tnn.tensor(np.ones(shape)))
            run(name, {}, p, [tnn.tensor(np.ones(shape))])
            assert p.shape == shape


def test_a_state_of_another_shape_raises_before_the_kernel():
    p = tnn.nn.Parameter(tnn.tensor(start()))
    opt = run("Adam", {}, p, [tnn.tensor(gradient(0))])
    opt.state[p]["exp_avg"] = tnn.zeros(2)
    with pytest.raises(RuntimeError, match=r"shape \[2\].*\[2, 3\]"):
        opt.step()


def test_integer_parameters_are_refused():
    p = tnn.tensor([1, 2])
    opt = optim.SGD([p])
    p.grad = tnn.tensor([1, 1])
    with pytest.raises(RuntimeError, match="floating point"):
        opt.step()


def test_a_step_counts_as_a_change_in_place():
    p = tnn.nn.Parameter(tnn.tensor(start()))
    seen = p.detach()
    before = seen._version_number
    run("SGD", {}, p, [tnn.tensor(gradient(0))])
    assert seen._version_number > before


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_differentiable_form_agrees(case):
    name, options, want = case
    leaf = tnn.tensor(start(), requires_grad=True)
    p = leaf.clone()
    g = [tnn.tensor(gradient(k), requires_grad=True) for k in range(4)]
    run(name, {**options, "differentiable": True}, p, g)
    np.testing.assert_allclose(p.detach().numpy().reshape(-1), want, rtol=1e-9, atol=1e-10)
    p.sum().backward()
    assert leaf.grad is not None
    assert name == "Rprop" or g[1].grad is not None


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_gradient_through_steps(name):
    def loss(x):
        p = tnn.tensor(x, requires_grad=True)
        q = p.clone()
        run(name, {"lr": 0.1, "differentiable": True, "weight_decay": 0.1}, q, [p * p, p * 3])
        return p, (q * tnn.tensor(gradient(2))).sum()

    x = start() + 0.5  # away from the root's infinite slope at 0
    p, out = loss(x)
    out.backward()
    for i, j in ((0, 0), (1, 2)):
        step = np.zeros((2, 3))
        step[i, j] = 1e-6
        slope = (loss(x + step)[1].item() - loss(x - step)[1].item()) / 2e-6
        assert p.grad[i, j].item() == pytest.approx(slope, rel=1e-5, abs=1e-7)
