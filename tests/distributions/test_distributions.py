"""Distributions: PyTorch 2.13's samples for the same seed, densities that sum to one, gradients, errors."""

import math

import numpy as np
import pytest

import tnn
from tnn import distributions as D
from tnn.autograd import gradcheck


def t(*values):
    return tnn.tensor(values)


# (distribution, its sample and log-probability after manual_seed(7)): PyTorch 2.13's
DRAWN = [
    (lambda: D.Normal(t(0.0, 1.0), t(1.0, 2.0)), [-0.1468, 2.57228], [-0.92971, -1.92109]),
    (lambda: D.LogNormal(t(0.0, 0.5), 0.5), [0.92923, 2.44262], [-0.16317, -1.42787]),
    (lambda: D.Uniform(t(0.0, 1.0), t(2.0, 3.0)), [1.06985, 1.39761], [-0.69315, -0.69315]),
    (lambda: D.Exponential(t(0.5, 2.0)), [0.65529, 0.15989], [-1.02079, 0.37336]),
    (lambda: D.Laplace(t(0.0, 1.0), t(1.0, 2.0)), [0.0724, -0.84458], [-0.76555, -2.30859]),
    (lambda: D.Gamma(t(0.5, 3.0), t(1.0, 2.0)), [0.45487, 3.67302], [-0.63336, -3.35771]),
    (lambda: D.Beta(t(0.5, 2.0), t(1.5, 3.0)), [0.08581, 0.58036], [0.73139, 0.20409]),
    (lambda: D.Dirichlet(t(0.5, 1.0, 2.0)), [0.06812, 0.58581, 0.34607], 0.91074),
    (lambda: D.Gumbel(t(0.0, 1.0), 1.0), [0.46899, 0.52039], [-1.09462, -1.13583]),
    (lambda: D.StudentT(t(3.0, 5.0)), [-0.11332, 1.30625], [-1.00943, -1.84944]),
    (lambda: D.Bernoulli(t(0.3, 0.8)), [0.0, 1.0], [-0.35667, -0.22314]),
    (lambda: D.Categorical(t(0.1, 0.3, 0.6)), 1.0, -1.20397),
    (lambda: D.OneHotCategorical(logits=t(0.1, 0.3, 0.6)), [0.0, 1.0, 0.0], -1.15329),
    (lambda: D.Poisson(t(0.5, 12.0)), [0.0, 16.0], [-0.5, -2.91335]),
    (lambda: D.Geometric(t(0.2, 0.7)), [2.0, 1.0], [-2.05573, -1.56065]),
    (lambda: D.MultivariateNormal(t(0.0, 1.0), t(2.0, 0.5, 0.5, 1.0).view(2, 2)), [-0.2076, 1.68347], -2.43747),
    (lambda: D.Independent(D.Normal(tnn.zeros(2), tnn.ones(2)), 1), [-0.1468, 0.78614], -2.15766),
    (
        lambda: D.MixtureSameFamily(D.Categorical(tnn.ones(3)), D.Normal(tnn.arange(3.0), tnn.ones(3))),
        -0.88407,
        -2.16645,
    ),
    (lambda: D.RelaxedOneHotCategorical(0.5, t(0.2, 0.8)), [0.29413, 0.70587], -0.72439),
    (lambda: D.HalfNormal(t(1.0, 2.0)), [0.1468, 1.57228], [-0.23657, -1.22795]),
    (lambda: D.HalfCauchy(t(1.0, 2.0)), [0.83056, 1.72241], [-0.97621, -1.69957]),
    (lambda: D.Weibull(t(1.0, 2.0), 1.5), [0.47526, 0.93526], [-0.29412, -0.9875]),
    (lambda: D.Pareto(t(1.0, 2.0), t(3.0, 4.0)), [1.1154, 2.16646], [0.66175, 0.29342]),
    (lambda: D.InverseGamma(t(3.0, 2.5), t(1.0, 2.0)), [0.41084, 0.56464], [0.43104, -0.09341]),
    (lambda: D.LogisticNormal(t(0.0, 1.0), t(1.0, 0.5)), [0.30155, 0.55952, 0.13893], 2.28874),
    (lambda: D.Kumaraswamy(t(1.0, 2.0), t(3.0, 4.0)), [0.18824, 0.57642], [0.68152, 0.31695]),
    (
        lambda: D.TransformedDistribution(D.Normal(t(0.0, 1.0), 1.0), [D.TanhTransform(cache_size=1)]),
        [-0.14575, 0.94535],
        [-0.90824, 1.01345],
    ),
    (
        lambda: D.TransformedDistribution(
            D.Normal(t(0.0, 1.0), 1.0), [D.AffineTransform(1.0, t(2.0, -3.0)), D.SigmoidTransform()]
        ),
        [0.66961, 0.01264],
        [-0.11432, 2.0573],
    ),
    (
        lambda: D.TransformedDistribution(D.Independent(D.Normal(t(0.0, 1.0), 1.0), 1), D.ExpTransform()),
        [0.86347, 5.96639],
        -3.79701,
    ),
    (
        lambda: D.TransformedDistribution(
            D.Uniform(t(0.0), 1.0), [D.SigmoidTransform().inv, D.AffineTransform(1.0, 2.0)]
        ),
        [1.27984],
        [-2.08433],
    ),
    (lambda: D.Binomial(10, t(0.3, 0.9)), [3.0, 8.0], [-1.32115, -1.64139]),
    (lambda: D.Binomial(t(100.0, 1000.0), t(0.3, 0.9)), [27.0, 888.0], [-2.63153, -3.99243]),
    (lambda: D.Binomial(50, logits=t(0.3, -2.0).double()), [31.0, 8.0], [-2.3721, -2.24512]),
    (lambda: D.NegativeBinomial(5.0, t(0.3, 0.6)), [3.0, 5.0], [-1.83994, -2.2993]),
    (lambda: D.Multinomial(6, t(0.2, 0.3, 0.5)), [0.0, 2.0, 4.0], -2.47248),
    (lambda: D.RelaxedBernoulli(t(0.5), t(0.3, 0.8)), [0.19548, 0.49625], [-0.23454, -1.14389]),
]


@pytest.mark.parametrize("make, sample, log_prob", DRAWN)
def test_samples_and_log_probabilities(make, sample, log_prob):
    d = make()
    tnn.manual_seed(7)
    x = d.sample()
    assert np.allclose(x.numpy(), sample, 1e-4, 1e-5)
    assert np.allclose(d.log_prob(x).numpy(), log_prob, 1e-3, 1e-4)
    assert d.expand((3, *d.batch_shape)).sample((2,)).shape == (2, 3, *d.batch_shape, *d.event_shape)


@pytest.mark.parametrize(
    "d", [D.Normal(0.3, 0.7), D.Laplace(0.0, 0.5), D.Gumbel(0.0, 0.5), D.Gamma(t(2.0)[0], 3.0), D.StudentT(9.0)]
)
def test_densities_have_area_one_and_the_entropy_they_say(d):
    x = tnn.linspace(-12, 12, 4801, dtype=tnn.float64)
    x = x[x > 0] if isinstance(d, D.Gamma) else x
    p = d.log_prob(x).exp()
    assert math.isclose(tnn.trapezoid(p, x).item(), 1, abs_tol=1e-3)
    assert math.isclose(tnn.trapezoid(p * x, x).item(), d.mean.item(), abs_tol=1e-2)
    if not isinstance(d, D.Gumbel | D.StudentT):
        assert math.isclose(-tnn.trapezoid(p * p.log(), x).item(), d.entropy().item(), abs_tol=2e-2)


def test_divergences():
    pairs = [
        (D.Normal(0.0, 1.0), D.Normal(1.0, 2.0), 0.4431),
        (D.Gamma(t(2.0), t(1.0)), D.Gamma(t(1.0), t(3.0)), 3.3242),
        (D.Beta(t(2.0), t(1.0)), D.Beta(t(1.0), t(3.0)), 2.0945),
        (D.Bernoulli(t(0.3)), D.Bernoulli(t(0.6)), 0.1838),
        (D.Categorical(t(0.2, 0.8)), D.Categorical(t(0.5, 0.5)), 0.1927),
        (D.Laplace(0.0, 1.0), D.Laplace(1.0, 2.0), 0.3771),
        (D.MultivariateNormal(tnn.zeros(2), tnn.eye(2)), D.MultivariateNormal(tnn.ones(2), tnn.eye(2) * 2), 0.6931),
    ]
    for p, q, expected in pairs:
        assert math.isclose(D.kl_divergence(p, q).item(), expected, abs_tol=2e-4), p
    with pytest.raises(NotImplementedError, match="No KL"):
        D.kl_divergence(D.Poisson(t(1.0)), D.Cauchy(0.0, 1.0))


def test_reparametrized_samples_have_gradients():
    a = tnn.tensor([2.0, 0.7], requires_grad=True)
    tnn.manual_seed(1)
    x = D.Gamma(a, t(1.0)).rsample()
    x.sum().backward()
    assert np.allclose(x.detach().numpy(), [2.6746, 1.2891], 1e-4)
    assert np.allclose(a.grad.numpy(), [1.2521, 1.6758], 1e-3)
    mean, spread = (tnn.ones(2, dtype=tnn.float64, requires_grad=True) for _ in range(2))

    def drawn(mean, spread):
        tnn.manual_seed(0)
        return D.Normal(mean, spread).rsample((3,))

    assert gradcheck(drawn, (mean, spread))
    assert gradcheck(lambda m, s: D.Normal(m, s).log_prob(t(0.5, 2.0).double()), (mean, spread))


def test_policy_gradient_with_a_categorical():
    logits = tnn.zeros(2, 3, requires_grad=True)
    d = D.Categorical(logits=logits)
    (-d.log_prob(tnn.tensor([0, 2])) - d.entropy()).sum().backward()
    assert np.allclose(logits.grad.numpy(), [[-2 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, -2 / 3]])
    assert d.enumerate_support().shape == (3, 2) and d.mode.shape == (2,)


@pytest.mark.parametrize(
    "call",
    [
        lambda: D.Normal(0.0, -1.0),
        lambda: D.Normal(t(0.0), t(1.0)).log_prob(t(math.nan)),
        lambda: D.Normal(tnn.zeros(2), 1.0).log_prob(tnn.zeros(3)),
        lambda: D.Categorical(t(-1.0, 2.0)),
        lambda: D.Categorical(t(0.5, 0.5)).log_prob(tnn.tensor(3)),
        lambda: D.Bernoulli(t(2.0)),
        lambda: D.Bernoulli(),
        lambda: D.Uniform(1.0, 0.0),
    ],
)
def test_bad_parameters_and_values_raise(call):
    with pytest.raises(ValueError):
        call()


def test_modules_of_single_classes():
    from tnn.distributions.categorical import Categorical
    from tnn.distributions.multivariate_normal import MultivariateNormal
    from tnn.distributions.normal import Normal

    assert (Categorical, MultivariateNormal, Normal) == (D.Categorical, D.MultivariateNormal, D.Normal)


TRANSFORMS = [
    (lambda: D.ExpTransform(), (2,)), (lambda: D.PowerTransform(2.5), (2,)), (lambda: D.SigmoidTransform(), (2,)),
    (lambda: D.SoftplusTransform(), (2,)), (lambda: D.TanhTransform(), (2,)),
    (lambda: D.AffineTransform(1.0, -2.0), (2,)), (lambda: D.AffineTransform(t(1.0, 2.0), t(-2.0, 3.0)), (2,)),
    (lambda: D.StickBreakingTransform(), (3,)), (lambda: D.ReshapeTransform((4,), (2, 2)), (4,)),
    (lambda: D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.TanhTransform()]), (2,)),
    (lambda: D.IndependentTransform(D.ExpTransform(), 1), (2,)), (lambda: D.TanhTransform().inv.inv, (2,)),
]  # fmt: skip


@pytest.mark.parametrize("make, shape", TRANSFORMS)
def test_transforms(make, shape):
    f = make()
    x = tnn.tensor(np.random.RandomState(0).uniform(0.2, 0.9, shape), requires_grad=True)
    y = f(x)
    assert tuple(y.shape) == tuple(f.forward_shape(shape)) and tuple(f.inverse_shape(y.shape)) == shape
    np.testing.assert_allclose(f.inv(y).tolist(), x.tolist(), rtol=1e-6)
    jacobian = tnn.autograd.functional.jacobian(f, x.detach())
    size = tnn.linalg.slogdet(jacobian.reshape(y.numel(), x.numel())[: x.numel()]).logabsdet
    given = f.log_abs_det_jacobian(x, y)
    np.testing.assert_allclose(given.sum().item(), size.item(), atol=1e-6)
    np.testing.assert_allclose(f.inv.log_abs_det_jacobian(y, x).tolist(), (-given).tolist())
    assert f.bijective and f.inv.inv is f and f == make() and f != D.AbsTransform()
    assert bool(f.domain.check(x).all()) and bool(f.codomain.check(y).all())


def test_transformed():
    cached = D.TanhTransform(cache_size=1)
    x = t(20.0)
    assert cached.inv(cached(x)) is x and math.isinf(D.TanhTransform().inv(cached(x)).item())
    assert D.ExpTransform().with_cache()._cache_size == 1 and repr(D.ExpTransform().inv) == (
        "_InverseTransform(ExpTransform())"
    )
    base = D.Normal(tnn.zeros(2, 3), 1.0)
    d = D.TransformedDistribution(D.Independent(base, 1), [D.AffineTransform(0.0, 2.0, event_dim=1), D.ExpTransform()])
    assert (d.batch_shape, d.event_shape, d.support.event_dim) == ((2,), (3,), 1) and d.has_rsample
    assert d.expand((4, 2)).sample((5,)).shape == (5, 4, 2, 3)
    wide = D.TransformedDistribution(D.Normal(tnn.zeros(1), 1.0), D.AffineTransform(tnn.zeros(3), 1.0))
    assert wide.batch_shape == (3,) and wide.sample().shape == (3,)
    turned = D.TransformedDistribution(D.Normal(0.0, 1.0), D.AffineTransform(1.0, -2.0))
    np.testing.assert_allclose(turned.cdf(t(1.0, 3.0)).tolist(), [0.5, D.Normal(0.0, 1.0).cdf(t(1.0)).item()])
    np.testing.assert_allclose(turned.icdf(t(0.3)).item(), 1 + 2 * D.Normal(0.0, 1.0).icdf(t(0.3)).item(), rtol=1e-5)
    loc = tnn.zeros(2, requires_grad=True)
    d = D.TransformedDistribution(D.Normal(loc, 1.0), [cached])
    d.log_prob(d.rsample()).sum().backward()
    assert loc.grad.abs().sum() > 0
    p, q = (D.TransformedDistribution(D.Normal(m, 1.0), D.ExpTransform()) for m in (0.0, 2.0))
    assert D.kl_divergence(p, q).item() == D.kl_divergence(p.base_dist, q.base_dist).item() == 2.0
    with pytest.raises(NotImplementedError):
        D.kl_divergence(p, turned)
    for bad in (
        lambda: D.TransformedDistribution(base, 3), lambda: D.ReshapeTransform((2,), (3,)), lambda: D.Transform(2),
        lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform()), lambda: D.HalfNormal(-1.0),
        lambda: D.HalfNormal(1.0).log_prob(t(-1.0)), lambda: D.Pareto(1.0, 1.0).log_prob(t(0.5)),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            bad()


def test_moments_of_transformed():
    # PyTorch 2.13's
    for d, mean, variance, entropy in (
        (D.HalfNormal(2.0), 1.595769, 1.453521, 1.418939), (D.Weibull(2.0, 1.5), 1.805491, 1.502762, 1.480087),
        (D.Pareto(2.0, 3.0), 3.0, 3.0, 0.927868), (D.InverseGamma(3.0, 2.0), 1.0, 1.0, 0.695158),
        (D.Kumaraswamy(2.0, 3.0), 0.457143, 0.041020, -0.208426),
    ):  # fmt: skip
        given = d.mean.item(), d.variance.item(), d.entropy().item()
        np.testing.assert_allclose(given, (mean, variance, entropy), rtol=2e-5)
    assert math.isnan(D.Kumaraswamy(0.5, 3.0).mode.item()) and D.Pareto(2.0, 3.0).mode.item() == 2.0
    np.testing.assert_allclose(D.Weibull(2.0, 1.5).mode.item(), 2 * (1 / 3) ** (2 / 3), rtol=1e-6)
    np.testing.assert_allclose(D.HalfCauchy(2.0).icdf(D.HalfCauchy(2.0).cdf(t(1.5))).item(), 1.5, rtol=1e-5)
    np.testing.assert_allclose(D.LogNormal(1.0, 2.0).icdf(t(0.3)).item(), math.exp(1 + 2 * -0.5244005), rtol=1e-5)


def test_tools_for_other_distributions():
    from tnn.distributions.utils import lazy_property, logits_to_probs, probs_to_logits

    class Once:
        calls = 0

        @lazy_property
        def value(self):
            self.calls += 1
            return 3

    once = Once()
    assert once.value == once.value == 3 and once.calls == 1
    np.testing.assert_allclose(logits_to_probs(probs_to_logits(t(0.2, 0.8))).tolist(), [0.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(logits_to_probs(probs_to_logits(t(0.2), True), True).tolist(), [0.2], rtol=1e-6)
    assert math.isfinite(probs_to_logits(t(0.0)).item())


def test_counts():
    # PyTorch 2.13's
    b, n, m = D.Binomial(6, t(0.3)), D.NegativeBinomial(4.0, t(0.3)), D.Multinomial(4, t(0.3, 0.7))
    moments = [b.mean, b.variance, b.mode, b.entropy(), n.mean, n.variance, n.mode]
    want = [1.8, 1.26, 2.0, 1.510978, 1.714286, 2.448980, 1.0]
    np.testing.assert_allclose([x.item() for x in moments], want, rtol=1e-5)
    np.testing.assert_allclose(m.mean.tolist(), [1.2, 2.8], rtol=1e-6)
    np.testing.assert_allclose(m.entropy().item(), 1.2940, rtol=1e-4)
    assert m.sample((3,)).sum(-1).tolist() == [4.0] * 3 and b.enumerate_support().shape == (7, 1)
    np.testing.assert_allclose(b.log_prob(b.enumerate_support()).exp().sum().item(), 1.0, rtol=1e-6)
    assert D.NegativeBinomial(0.0, 0.3).log_prob(t(0.0)).item() == 0.0
    with pytest.raises(NotImplementedError):
        D.Multinomial(t(2.0), t(0.3, 0.7))
    with pytest.raises(ValueError):
        m.log_prob(t(5.0, 1.0))


def test_binomial_numbers():
    n, p = tnn.tensor([0.0, 5.0, 7.0, 40.0]), tnn.tensor([0.5, 0.0, 1.0, 0.5])
    drawn = tnn.stack([tnn.binomial(n, p) for _ in range(200)])
    assert drawn[:, :3].amax(0).tolist() == drawn[:, :3].amin(0).tolist() == [0.0, 0.0, 7.0]
    assert abs(drawn[:, 3].mean().item() - 20) < 1 and abs(drawn[:, 3].var().item() - 10) < 3
    with pytest.raises(RuntimeError, match="one dtype"):
        tnn.binomial(n, p.double())
    with pytest.raises(RuntimeError, match="finite"):
        tnn.binomial(n * math.inf, p)
    with pytest.raises(NotImplementedError):
        tnn.binomial(n.long(), p.long())
