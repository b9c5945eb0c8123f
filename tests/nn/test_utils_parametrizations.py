"""Ready-made parametrizations and the older weight_norm and spectral_norm. Golden values: PyTorch 2.13."""

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn import utils
from tnn.nn.utils import parametrizations, parametrize


def values(n, k):
    x = np.arange(n * k, dtype=np.float64).reshape(n, k)
    return np.sin(x * x + 1)


class Layer(nn.Module):
    def __init__(self, n=3, k=4, factor=1.0):
        super().__init__()
        self.weight = nn.Parameter(tnn.from_numpy(values(n, k) * factor))

    def forward(self, x):
        return self.weight.mv(x)


def array(t):
    return t.detach().numpy()


# -- orthogonal

FULL = {
    (3, 3): [
        [0.7066013, 0.07878792, 0.70321197],
        [-0.45682623, -0.70814477, 0.53836863],
        [-0.54039282, 0.70165765, 0.46438362],
    ],
    (4, 2): [
        [0.48859719, 0.55731049],
        [-0.55679603, -0.24563127],
        [-0.55823209, 0.78872524],
        [-0.37366817, -0.08356315],
    ],
    (2, 4): [
        [0.50739012, 0.54828811, -0.5782121, -0.32803382],
        [-0.8545572, 0.40538199, -0.30901318, -0.09954034],
    ],
}
PLAIN = {
    ("matrix_exp", 3, 3): (
        [
            [-0.08768905, 0.34616419, 0.9340669],
            [-0.86342736, 0.44122195, -0.24457388],
            [-0.49679354, -0.82794537, 0.2601973],
        ],
        [[0, 0, 0], [-0.43156455, 0, 0], [1.62797484, -0.63908512, 0]],
    ),
    ("matrix_exp", 2, 4): (
        [
            [-0.6203615, -0.62352256, -0.4186211, -0.22611412],
            [-0.57873116, -0.04085515, 0.66274712, 0.47346314],
        ],
        [[0, -0.45496862, 0.682109, 0.20947081], [0, 0, -0.03814468, -0.03493397]],
    ),
    ("cayley", 4, 2): (
        [
            [-0.25999219, 0.68299929],
            [-0.1769607, 0.04854641],
            [-0.84638453, 0.14294412],
            [-0.4297932, -0.7146483],
        ],
        [[0, 0], [-0.25855377, 0], [0.45521628, 0.31300194], [0.7538401, -0.05493745]],
    ),
    ("householder", 4, 2): (
        FULL[4, 2],
        [[0, 0], [0.01491278, 0], [-0.57323363, 0.69924112], [2.57106587, -0.94407332]],
    ),
    ("householder", 2, 4): (
        FULL[2, 4],
        [[0, -0.06516898, -0.58241778, -1.52191943], [0, 0, 1.32423719, 1.02091222]],
    ),
}


def cotangent(n, k):
    return tnn.from_numpy(np.cos(np.arange(n * k, dtype=np.float64)).reshape(n, k))


@pytest.mark.parametrize("case", PLAIN)
def test_orthogonal_without_trivialization(case):
    name, n, k = case
    m = Layer(n, k, 1.0 if name == "householder" else 2.0)
    parametrizations.orthogonal(m, "weight", name, use_trivialization=False)
    weight, grad = PLAIN[case]
    np.testing.assert_allclose(array(m.weight), weight, atol=1e-7)
    (m.weight * cotangent(n, k)).sum().backward()
    np.testing.assert_allclose(array(m.parametrizations.weight.original.grad), grad, atol=1e-7)
    if name != "householder":
        with pytest.raises(NotImplementedError):
            m.weight = m.weight.detach()


@pytest.mark.parametrize("shape", FULL)
@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder", None])
def test_orthogonal_keeps_the_nearest_and_takes_assignments(shape, name):
    m = parametrizations.orthogonal(Layer(*shape), "weight", name)
    np.testing.assert_allclose(array(m.weight), FULL[shape], atol=1e-7)
    given = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0][: shape[0], : shape[1]]
    u, _, vt = np.linalg.svd(given, full_matrices=False)
    m.weight = tnn.from_numpy(u @ vt)
    np.testing.assert_allclose(np.abs(array(m.weight)), np.abs(u @ vt), atol=1e-7)
    with tnn.no_grad():
        m.parametrizations.weight.original.add_(tnn.from_numpy(values(*shape)))
    w = array(m.weight)
    gram = w @ w.T if shape[0] < shape[1] else w.T @ w
    if name != "householder" and (name or shape[0] == shape[1]):
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-10)
    m.weight.sum().backward()
    with pytest.raises(ValueError, match="shape"):
        m.weight = tnn.zeros(5, 5, dtype=tnn.float64)


def test_orthogonal_checks():
    for call in (
        lambda: parametrizations.orthogonal(Layer(), "other"),
        lambda: parametrizations.orthogonal(Layer(), "weight", "nonsense"),
    ):
        with pytest.raises(ValueError):
            call()
    m = Layer()
    m.bias = nn.Parameter(tnn.zeros(3))
    with pytest.raises(ValueError, match="1 dimensions"):
        parametrizations.orthogonal(m, "bias")


# -- weight_norm


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim):
    m = parametrizations.weight_norm(Layer(), dim=dim)
    entry = m.parametrizations.weight
    np.testing.assert_allclose(array(m.weight), values(3, 4), rtol=1e-12)
    axis = {0: 1, 1: 0, None: None}[dim]
    np.testing.assert_allclose(
        array(entry.original0), np.linalg.norm(values(3, 4), axis=axis, keepdims=dim is not None)
    )
    with tnn.no_grad():
        entry.original0.mul_(2.0)
        entry.original1.mul_(5.0)
    np.testing.assert_allclose(array(m.weight), 2 * values(3, 4), rtol=1e-12)
    m.weight.sum().backward()
    np.testing.assert_allclose((array(entry.original1) * array(entry.original1.grad)).sum(axis), 0.0, atol=1e-12)
    parametrize.remove_parametrizations(m, "weight")
    assert list(m.state_dict()) == ["weight"]


def test_weight_norm_reads_the_older_state_dict():
    with pytest.warns(FutureWarning, match="parametrizations.weight_norm"):
        old = utils.weight_norm(Layer())
    with tnn.no_grad():
        old.weight_g.mul_(3.0)
    new = parametrizations.weight_norm(Layer())
    new.load_state_dict(old.state_dict())
    np.testing.assert_allclose(array(new.weight), 3 * values(3, 4), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_older_weight_norm():
    m = utils.weight_norm(Layer())
    assert list(m.state_dict()) == ["weight_g", "weight_v"]
    np.testing.assert_allclose(array(m.weight_g).ravel(), [1.65842997, 1.41023488, 1.11121558], atol=1e-8)
    with tnn.no_grad():
        m.weight_g.mul_(2.0)
    x = tnn.ones(4, dtype=tnn.float64)
    np.testing.assert_allclose(array(m(x)), 2 * values(3, 4).sum(1))
    m(x).sum().backward()
    assert m.weight_g.grad is not None and m.weight_v.grad is not None
    with pytest.raises(RuntimeError, match="two weight_norm hooks"):
        utils.weight_norm(m)
    utils.remove_weight_norm(m)
    assert list(m.state_dict()) == ["weight"] and not m._forward_pre_hooks
    np.testing.assert_allclose(array(m.weight), 2 * values(3, 4))
    with pytest.raises(ValueError, match="not found"):
        utils.remove_weight_norm(m)
    lazy = nn.Module()
    lazy.weight = nn.UninitializedParameter()
    for norm in (utils.weight_norm, utils.spectral_norm):
        with pytest.raises(ValueError, match="uninitialized"):
            norm(lazy)


# -- spectral_norm


@pytest.mark.parametrize("dim", [0, 1])
def test_spectral_norm_finds_the_largest_singular_value(dim):
    tnn.manual_seed(0)
    m = parametrizations.spectral_norm(Layer(), n_power_iterations=30, dim=dim)
    sigma = np.linalg.norm(values(3, 4), 2)
    np.testing.assert_allclose(array(m.weight), values(3, 4) / sigma, rtol=1e-6)
    assert list(m.state_dict()) == [
        "parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v",
    ]  # fmt: skip
    m.eval()
    u = m.parametrizations.weight[0]._u.clone()
    assert np.array_equal(array(m.weight), array(m.weight)) and np.array_equal(
        array(u), array(m.parametrizations.weight[0]._u)
    )
    m.train()
    first, second = m.weight.sum(), m.weight.sum()
    (first + second).backward()
    assert m.parametrizations.weight.original.grad.isfinite().all()


def test_spectral_norm_of_a_vector_and_checks():
    m = nn.Module()
    m.weight = nn.Parameter(tnn.tensor([3.0, 4.0]))
    parametrizations.spectral_norm(m)
    np.testing.assert_allclose(array(m.weight), [0.6, 0.8], rtol=1e-6)
    with pytest.raises(IndexError):
        parametrizations.spectral_norm(Layer(), dim=2)
    with pytest.raises(ValueError):
        parametrizations.spectral_norm(Layer(), n_power_iterations=0)
    with pytest.raises(ValueError):
        parametrizations.spectral_norm(Layer(), "other")


def test_older_spectral_norm():
    m = utils.spectral_norm(Layer())
    assert list(m.state_dict()) == ["weight_orig", "weight_u", "weight_v"]
    assert m.state_dict()._metadata[""]["spectral_norm"] == {"weight.version": 1}
    m.weight_u.copy_(tnn.full((3,), 3**-0.5))
    m.weight_v.copy_(tnn.full((4,), 0.5))
    m(tnn.ones(4, dtype=tnn.float64))
    expected = [
        [0.50147, 0.5418908, -0.57146565, -0.32420639],
        [-0.57293955, 0.45444251, -0.38351301, -0.15636085],
        [0.492744, 0.18666697, 0.26938228, 0.29720536],
    ]
    np.testing.assert_allclose(array(m.weight), expected, atol=1e-7)
    (m.weight * tnn.from_numpy(np.cos(values(3, 4)))).sum().backward()
    grad = [
        [0.29977754, 0.09274378, 0.50072555, 0.55227835],
        [0.29720739, 0.30764352, 0.54818039, 0.59465534],
        [0.38945124, 0.52726928, 0.55908571, 0.52950783],
    ]
    np.testing.assert_allclose(array(m.weight_orig.grad), grad, atol=1e-7)
    other = utils.spectral_norm(Layer(factor=0.1))
    other.load_state_dict(m.state_dict())
    other.load_state_dict(dict(m.state_dict()))
    m.eval(), other.eval()
    x = tnn.ones(4, dtype=tnn.float64)
    np.testing.assert_allclose(array(other(x)), array(m(x)))
    with pytest.raises(RuntimeError, match="two spectral_norm hooks"):
        utils.spectral_norm(m)
    weight = array(m.weight)
    utils.remove_spectral_norm(m)
    assert list(m.state_dict()) == ["weight"] and not m._state_dict_hooks and not m._load_state_dict_pre_hooks
    np.testing.assert_allclose(array(m.weight), weight)
    with pytest.raises(ValueError, match="not found"):
        utils.remove_spectral_norm(m)
    with pytest.raises(ValueError):
        utils.spectral_norm(Layer(), n_power_iterations=0)
    m.none = None
    m.register_parameter("empty", None)
    with pytest.raises(ValueError, match="is None"):
        utils.spectral_norm(m, "empty")


def test_older_spectral_norm_reads_version_0():
    m = utils.spectral_norm(Layer())
    state = m.state_dict()
    for _ in range(30):
        m(tnn.ones(4, dtype=tnn.float64))
    state["weight"] = m.weight.detach().clone()
    del state["weight_v"], state._metadata
    new = utils.spectral_norm(Layer(factor=0.3))
    new.load_state_dict(state)
    new.eval()(tnn.ones(4, dtype=tnn.float64))
    np.testing.assert_allclose(array(new.weight), array(state["weight"]), rtol=1e-6)
    del state["weight_u"], state["weight"]
    with pytest.raises(RuntimeError, match="weight_u"):
        new.load_state_dict(state)
