"""Second derivatives: of operations one by one, and in training that needs them. Numbers are PyTorch 2.13's of the same
seed."""

import warnings

import numpy as np
import pytest

import tnn as T
from tnn import nn
from tnn.autograd import gradgradcheck

F = nn.functional

# x, y: (2, 3) in [0.2, 0.8]; m: (3, 3); v: (3,); s: (2, 2, 4); im: (1, 2, 4, 4); vo: (1, 1, 3, 3, 3); k: (2,) classes.
EXPRESSIONS = [
    # pointwise
    "x * y", "x / y", "x ** y", "x ** 3", "2 ** x", "T.atan2(x, y)", "T.hypot(x, y)", "T.logaddexp(x, y)",
    "T.lerp(x, y, x)", "T.addcmul(x, x, y)", "T.addcdiv(x, x, y)", "T.where(x > y, x * x, y)",
    "x.clamp(0.3, 0.6) * x", "T.maximum(x, y) * x", "x.sinc()", "x.erfinv()", "x.lgamma()", "x.xlogy(y)",
    "T.logit(x)",
    # reductions and scans
    "x.prod()", "x.prod(1)", "x.std(1)", "x.var()", "x.norm()", "x.norm(3, 1)", "x.logsumexp(1)", "(x * y).amax(1)",
    "x.cumsum(1) * y", "x.cumprod(1)", "x.logcumsumexp(1)", "T.var_mean(x, 1)[0]", "x.cummax(1)[0] * y",
    "x.renorm(2, 0, 0.5)",
    # shapes and indices
    "T.cat([x * y, x]).t()", "T.stack([x, y]) * x", "x.flip(1).roll(1, 0) * x", "x[:, k] * y[:, k]",
    "(x * x).gather(1, k[:, None])", "(x * x).index_add(0, k, y[:, :3] * y)", "(x * y).unfold(1, 2, 1)",
    "(x * y).tril()", "(x * y).repeat(2, 2)", "(x * x).scatter_add(1, k[:, None], y * y)", "(x * y).diag()",
    "(x * x).masked_fill(x > 0.5, 0.0)", "(x * x).expand(2, 2, 3)",
    # products
    "x @ m @ x.t()", "T.bmm(s, s.transpose(1, 2))", "T.baddbmm(s @ s.transpose(1, 2), s, s.transpose(1, 2))",
    "T.einsum('ij,ik->jk', x, y)", "T.addmv(x @ v, x, v)", "T.dot(v, v * v)", "F.linear(x * x, m, v)",
    "F.bilinear(x, y, m[:, :, None] * v)", "T.kron(x, y)", "T.linalg.inv(m + 2 * T.eye(3, dtype=m.dtype)) * m",
    "T.cdist(x, y + 1)",
    # convolutions, pooling, resampling, padding
    "F.conv1d(s * s, s[:, :, :2])", "F.conv2d(im, im[:, :, :2, :2], padding=1)",
    "F.conv_transpose2d(im, im[:, :, :2, :2].transpose(0, 1))", "F.conv3d(vo, vo[:, :, :2, :2, :2])",
    "F.conv2d(im * im, im[:, :1, :3, :3].transpose(0, 1).expand(2, 1, 3, 3), groups=2)", "F.avg_pool2d(im * im, 2)",
    "F.max_pool2d(im * im, 2)", "F.lp_pool2d(im, 3.0, 2)", "F.adaptive_avg_pool2d(im * im, 3)",
    "F.interpolate(im * im, size=(3, 5), mode='bilinear')", "F.interpolate(im * im, size=(3, 5), mode='bicubic')",
    "F.pad(im * im, (1, 1, 1, 1), mode='reflect')", "F.pixel_shuffle(im.repeat(1, 2, 1, 1) ** 2, 2)",
    "F.unfold(im * im, 2)",
    # activations and softmax
    "F.gelu(x)", "F.gelu(x, approximate='tanh')", "F.silu(x)", "F.mish(x)", "F.softplus(x)", "F.elu(-x)",
    "F.celu(-x)", "F.selu(-x)", "F.hardswish(x)", "F.logsigmoid(x)", "F.softsign(x)", "F.tanhshrink(x)",
    "F.prelu(-x, v)", "F.glu(s)", "F.leaky_relu(-x) * x", "F.softmax(x, 1)", "F.log_softmax(x, 0)", "F.softmin(x, 1)",
    "F.scaled_dot_product_attention(s, s, s * s)",
    # normalization
    "F.layer_norm(x, (3,), v, v)", "F.rms_norm(x, (3,), v)", "F.group_norm(im, 1, im[0, :, 0, 0], im[0, :, 1, 1])",
    "F.batch_norm(x, None, None, v, v, training=True)", "F.instance_norm(im)", "F.local_response_norm(s, 2)",
    "F.normalize(x)",
    # losses
    "F.mse_loss(x, y)", "F.smooth_l1_loss(x, y, beta=2.0)", "F.huber_loss(x, y, delta=2.0)",
    "F.binary_cross_entropy(x, y)", "F.binary_cross_entropy_with_logits(x, y)", "F.kl_div(x, y, reduction='sum')",
    "F.poisson_nll_loss(x, y)", "F.gaussian_nll_loss(x, y, y)", "F.soft_margin_loss(x, y)", "F.cross_entropy(x, k)",
    "F.cross_entropy(x, y, label_smoothing=0.1)", "F.nll_loss(x * x, k)", "F.multi_margin_loss(x * x, k)",
    "F.margin_ranking_loss(x * x, y, y)", "F.cosine_similarity(x, y)", "F.pairwise_distance(x, y)",
    "F.cosine_embedding_loss(x, y, k - 0.0)", "F.triplet_margin_loss(x, y, x * y)",
    "F.hinge_embedding_loss(x * x, k[:, None] * 2 - 1)", "F.multilabel_soft_margin_loss(x, y)",
    "F.embedding(k, x * y[:2])", "F.embedding_bag(k[None], x * y, mode='max')",
    "F.embedding_bag(k[None], x * y, mode='mean')",
    "F.embedding_bag(k[None], x, mode='sum', per_sample_weights=x[:1, :2])",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_second_derivatives(expression):
    rng = np.random.RandomState(0)
    shapes = dict(x=(2, 3), y=(2, 3), m=(3, 3), v=(3,), s=(2, 2, 4), im=(1, 2, 4, 4), vo=(1, 1, 3, 3, 3))
    values = {n: T.tensor(rng.uniform(0.2, 0.8, shape)) for n, shape in shapes.items()}
    code = compile(expression, "expression", "eval")
    used = [n for n in values if n in code.co_names]

    def run(*tensors):
        names = {**values, "k": T.tensor([1, 0]), **dict(zip(used, tensors, strict=True))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return eval(code, {"T": T, "F": F}, names)

    assert gradgradcheck(run, tuple(values[n].clone().requires_grad_() for n in used))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_cross_map_lrn(size):
    layer = nn.CrossMapLRN2d(size, alpha=0.5, k=1.3)
    x = T.tensor(np.random.RandomState(0).standard_normal((2, 7, 1, 2)), requires_grad=True)
    plain = T.autograd.grad(layer(x).sin().sum(), x)[0]
    recorded = T.autograd.grad(layer(x).sin().sum(), x, create_graph=True)[0]
    np.testing.assert_allclose(recorded.tolist(), plain.tolist(), atol=1e-12)
    assert gradgradcheck(layer, (x,))


@pytest.mark.parametrize("shape", [(1, 2, 4, 3), (2, 1, 2, 3, 2)])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, shape):
    if mode == "bicubic" and len(shape) == 5:
        mode = "bilinear"
    rng = np.random.RandomState(3)
    points = (shape[0], *(2,) * (len(shape) - 2), len(shape) - 2)
    x, grid = (T.tensor(a, requires_grad=True) for a in (rng.standard_normal(shape), rng.uniform(-1.3, 1.3, points)))
    for padding in ("zeros", "border", "reflection"):
        for align in (False, True):

            def run(x, grid, *options):
                return F.grid_sample(x, grid, mode, *options)

            options = padding, align
            out = run(x, grid, *options)
            plain = T.autograd.grad(out, (x, grid), T.ones_like(out), retain_graph=True)
            recorded = T.autograd.grad(out, (x, grid), T.ones_like(out), create_graph=True)
            for a, b in zip(plain, recorded, strict=True):
                np.testing.assert_allclose(a.tolist(), b.tolist(), atol=1e-12)
            assert gradgradcheck(run, (x, grid, *options))


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_loss(zero_infinity):
    """Against a plain backward: the gradient of lengths that fit, and what is given where none fits."""
    T.manual_seed(0)
    x = T.randn(5, 4, 4, dtype=T.float64, requires_grad=True)
    targets, steps, lengths = T.tensor([[1, 2], [3, 3], [1, 1], [2, 0]]), (5, 4, 2, 3), (2, 2, 2, 0)

    def run(x, n=4):
        of = targets[:n], steps[:n], lengths[:n]
        return F.ctc_loss(x[:, :n].log_softmax(-1), *of, reduction="none", zero_infinity=zero_infinity)

    weight = T.tensor([1.0, 2.0, 3.0, 4.0], dtype=T.float64)
    (plain,) = T.autograd.grad(run(x), x, weight)
    (recorded,) = T.autograd.grad(run(x), x, weight, create_graph=True)
    np.testing.assert_allclose(recorded.tolist(), plain.tolist(), atol=1e-12)
    assert np.isnan(plain[:2, 2].tolist()).all() != zero_infinity
    fits = T.tensor([0, 1, 3])
    assert gradgradcheck(lambda x: run(x)[fits], (x,)) if zero_infinity else gradgradcheck(lambda x: run(x, 2), (x,))


def _norms(model):
    return [None if p.grad is None else p.grad.double().norm().item() for p in model.parameters()]


def _penalty(critic, x):
    """(|| d critic / dx || - 1) ** 2 of each row (Gulrajani et al., arXiv 1704.00028)."""
    score = critic(x)
    (g,) = T.autograd.grad(score, x, T.ones_like(score), create_graph=True)
    return ((g.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def test_gradient_penalty():
    T.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    real, fake, a = T.randn(6, 4), T.randn(6, 4), T.rand(6, 1)
    penalty = _penalty(critic, (a * real + (1 - a) * fake).requires_grad_())
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
    loss.backward()
    np.testing.assert_allclose([loss.item(), penalty.item()], [9.112197875976562, 0.9132978320121765], rtol=1e-6)
    want = [1.371574638652916, 0.07192506991611423, 5.730473534322447, 0.18717838368292616, 3.698010696915856, 0.0]
    np.testing.assert_allclose(_norms(critic), want, rtol=1e-5, atol=1e-6)
    row = [0.41281309723854065, 0.1065940335392952, 0.15901198983192444, -0.14823003113269806]
    np.testing.assert_allclose(critic[0].weight.grad[0].tolist(), row, rtol=1e-5)


def test_gradient_penalty_of_convolutions():
    T.manual_seed(1)
    critic = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.InstanceNorm2d(4, affine=True),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(16, 1),
    )
    penalty = _penalty(critic, T.randn(3, 2, 4, 4, requires_grad=True))
    penalty.backward()
    np.testing.assert_allclose(penalty.item(), 0.27063706517219543, rtol=1e-5)
    *norms, last = _norms(critic)
    want = [2.789575498893438, 0.0, 0.3137903816402894, 0.1346333990986057, 1.1836978311280586]
    np.testing.assert_allclose(norms, want, rtol=1e-5, atol=1e-6)
    assert last is None  # the last bias does not enter the gradient


def test_learning_to_learn():
    """Two inner steps whose gradients are differentiated (Finn et al., arXiv 1703.03400)."""
    T.manual_seed(2)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    meta = 0.0
    for _ in range(2):
        xs, ys, xq, yq = (T.randn(5, 1) for _ in range(4))
        fast = dict(net.named_parameters())
        for _ in range(2):
            inner = F.mse_loss(T.func.functional_call(net, fast, (xs,)), ys)
            grads = T.autograd.grad(inner, list(fast.values()), create_graph=True)
            fast = {name: p - 0.4 * g for (name, p), g in zip(fast.items(), grads, strict=True)}
        meta = meta + F.mse_loss(T.func.functional_call(net, fast, (xq,)), yq)
    meta.backward()
    np.testing.assert_allclose(meta.item(), 3.884519338607788, rtol=1e-6)
    want = [2.1281044045227993, 1.3327691651540978, 3.484800276034185, 2.078601360321045]
    np.testing.assert_allclose(_norms(net), want, rtol=1e-5)
    first = [0.9288108348846436, -0.3024323284626007, 0.5643451809883118]
    np.testing.assert_allclose(net[0].weight.grad.flatten()[:3].tolist(), first, rtol=1e-5)


def test_group_norm_of_no_elements():
    x = T.zeros(0, 2, 3, dtype=T.float64, requires_grad=True)
    (g,) = T.autograd.grad(F.group_norm(x, 2).sum(), x, create_graph=True)
    assert g.shape == (0, 2, 3)


def test_elu_bends_at_zero():
    x = T.zeros(1, dtype=T.float64, requires_grad=True)
    for f in (F.elu, F.celu, F.selu):
        (g,) = T.autograd.grad(f(x).sum(), x, create_graph=True)
        assert T.autograd.grad(g.sum(), x)[0].tolist() == [0.0]
