"""Half precisions: dtype, value and gradient of each operation, against the same in float32.

A result is what float32 gives, rounded once (a few operations are made of several that round); a gradient has its
input's dtype. Dtypes are PyTorch 2.13's.
"""

import warnings
from importlib import import_module

import numpy as np
import pytest

import tnn as T
from tests.check_layer import LayerCase
from tnn.ops.cast import convert

# x, y: (4, 6) in [0.1, 0.9]; m: (4, 4); v: (6,); s: (2, 4, 6); im: (2, 4, 6, 6); vo: (1, 2, 4, 4, 4); b: bool (4, 6);
# k: (4,) indices.
SAME = [
    "x.exp()", "x.exp2()", "x.expm1()", "x.log()", "x.log2()", "x.log10()", "x.log1p()", "x.sqrt()", "x.rsqrt()",
    "x.reciprocal()", "x.square()", "x.sin()", "x.cos()", "x.tan()", "x.asin()", "x.acos()", "x.atan()", "x.sinh()",
    "x.cosh()", "x.asinh()", "x.atanh()", "x.deg2rad()", "x.rad2deg()", "x.sinc()", "x.erf()", "x.erfc()",
    "x.erfinv()", "x.lgamma()", "x.digamma()", "x.i0()", "x.logit()", "x.abs()", "x.neg()", "x.sign()", "x.floor()",
    "x.ceil()", "x.trunc()", "x.frac()", "x.round()", "x.nan_to_num()", "x.sigmoid()", "x.tanh()", "x.relu()",
    "x.sum()", "x.mean()", "x.prod()", "x.std()", "x.var()", "x.norm()", "x.nansum()", "T.nanmean(x)",
    "x.logsumexp(1)", "x.amax()", "x.amin()", "x.max()", "x.min()", "x.cumsum(1)", "x.cumprod(1)",
    "x.logcumsumexp(1)", "x.diff()", "x.softmax(1)", "x.log_softmax(1)", "x.clamp(0.3,0.6)", "x.pow(2)",
    "x.pow(2.5)", "x.add(1.5)", "x.mul(2)", "x.div(3)", "x.sub(1)", "x.remainder(0.3)", "x.fmod(0.3)", "x.t()",
    "x.flip(0)", "x.roll(1)", "x.tril()", "x.triu()", "x.diag()", "x.repeat(2,1)", "x.unfold(1,2,1)",
    "x.reshape(6,4)", "x.sort(1)[0]", "x.topk(2)[0]", "x.median(1)[0]", "x.kthvalue(2)[0]", "x.mode(1)[0]",
    "x.cummax(1)[0]", "x.cummin(1)[0]", "x.max(1)[0]", "x.min(1)[0]", "x.renorm(2,0,1.0)", "x.select(0,1)",
    "x.narrow(1,1,2)", "x.unsqueeze(0)", "x.clone()", "x.contiguous()", "x.masked_fill(b,0.5)",
    "x.index_select(1,k)", "x.gather(1,k[:,None])", "x.sgn()", "T.var_mean(x,1)[0]", "x.aminmax()[0]", "x.histc(5)",
    "x.frexp()[0]", "x.std(1)", "x.var(1)", "x.mean(1)", "x.sum(1)", "x.prod(1)", "x.norm(dim=1)", "x.mvlgamma(1)",
    "T.add(x, y)", "T.sub(x, y)", "T.mul(x, y)", "T.div(x, y)", "T.pow(x, y)", "T.atan2(x, y)", "T.hypot(x, y)",
    "T.maximum(x, y)", "T.minimum(x, y)", "T.fmax(x, y)", "T.fmin(x, y)", "T.fmod(x, y)", "T.remainder(x, y)",
    "T.copysign(x, y)", "T.logaddexp(x, y)", "T.logaddexp2(x, y)", "T.xlogy(x, y)", "T.nextafter(x, y)",
    "T.floor_divide(x, y)", "T.heaviside(x, y)", "T.true_divide(x, y)", "T.igamma(x, y)", "1.5 + x", "1 / x",
    "2 ** x", "x + k[0]", "x + T.tensor(1.5)", "T.where(b, x, y)", "T.where(b, x, 0.5)", "T.lerp(x, y, 0.3)",
    "T.addcmul(x, x, y)", "T.addcdiv(x, x, y)", "T.mm(x, y.t())", "s @ x.t()", "T.bmm(s, s.transpose(1, 2))",
    "T.addmm(m, x, y.t())", "T.baddbmm(m, s, s.transpose(1, 2))", "T.mv(x, v)", "T.dot(v, v)", "T.outer(v, v)",
    "T.einsum('ij,kj->ik', x, y)", "F.linear(x, y, m[0])", "T.addmv(m[0], x, v)",
    "F.bilinear(x, y, vo[0,:,:,:,0].reshape(2,16)[:,:6,None].expand(2,6,6))", "T.cat([x, y])", "T.stack([x, y])",
    "T.kron(m, m)", "T.cross(s[:, :3], s[:, :3], dim=1)", "T.cdist(x, y)", "x.scatter_add(1, k[:, None], y)",
    "x.scatter_reduce(1, k[:, None], y, 'amax')", "x.index_add(1, k, y[:, :4])", "x.index_put((k,), y)",
    "x.index_copy(0, k, y)", "x[k]", "x[b]", "x.put(k, m[0])", "x.take(k)", "x.index_fill(1, k, 0.5)",
    "x.masked_scatter(b, y)", "T.tensordot(x, y, dims=2)", "T.trapezoid(x)", "T.unique(x)", "T.dist(x, y)",
    "T.cov(x)", "T.polygamma(1, x)", "T.meshgrid(v, v, indexing='ij')[0]", "T.trace(m)", "F.celu(x)", "F.elu(x)",
    "F.gelu(x)", "F.hardshrink(x)", "F.hardsigmoid(x)", "F.hardswish(x)", "F.hardtanh(x)", "F.leaky_relu(x)",
    "F.logsigmoid(x)", "F.mish(x)", "F.relu6(x)", "F.selu(x)", "F.silu(x)", "F.softplus(x)", "F.softshrink(x)",
    "F.softsign(x)", "F.tanhshrink(x)", "F.normalize(x)", "F.threshold(x, 0.5, 0.2)", "F.prelu(x, v)", "F.glu(x)",
    "F.softmin(x, 1)", "F.conv1d(s, m[:, :, None])", "F.conv2d(im, im[:, :, :2, :2])",
    "F.conv3d(vo, vo[:, :, :2, :2, :2])", "F.conv_transpose2d(im, im[:, :, :2, :2].transpose(0, 1))",
    "F.unfold(im, 2)", "F.fold(s, (3, 4), (2, 2)[:1] * 2)", "F.pad(x, (1, 1))", "F.pad(s, (1, 1), mode='reflect')",
    "F.embedding(k, x)", "F.embedding_bag(k[None], x)", "F.layer_norm(x, (6,), v, v)", "F.rms_norm(x, (6,), v)",
    "F.group_norm(s, 2, m[0], m[0])", "F.batch_norm(s, None, None, m[0], m[0], training=True)",
    "F.batch_norm(s, m[0], m[1], m[0], m[0])", "F.instance_norm(s)", "F.local_response_norm(s, 2)",
    "F.cosine_similarity(x, y)", "F.pairwise_distance(x, y)", "F.l1_loss(x, y)", "F.mse_loss(x, y)",
    "F.smooth_l1_loss(x, y)", "F.huber_loss(x, y)", "F.binary_cross_entropy(x, y)",
    "F.binary_cross_entropy_with_logits(x, y)", "F.kl_div(x, y, reduction='sum')", "F.poisson_nll_loss(x, y)",
    "F.gaussian_nll_loss(x, y, y)", "F.soft_margin_loss(x, y)", "F.cross_entropy(x, k)", "F.cross_entropy(x, y)",
    "F.nll_loss(x, k)", "F.multi_margin_loss(x, k)", "F.margin_ranking_loss(x, y, y)",
    "F.hinge_embedding_loss(x, y.sign())", "F.cosine_embedding_loss(x, y, y[:, 0].sign())",
    "F.triplet_margin_loss(x, y, y * 0.5)", "F.multilabel_soft_margin_loss(x, y)",
    "F.interpolate(im, scale_factor=2)", "F.interpolate(im, size=(3, 4), mode='bilinear')",
    "F.interpolate(im, size=(3, 4), mode='bicubic')", "F.grid_sample(im, im[..., :2], align_corners=False)",
    "F.affine_grid(s[:, :2, :3], (2, 3, 4, 4), align_corners=False)", "F.pixel_shuffle(im, 2)",
    "F.scaled_dot_product_attention(im, im, im)", "F.scaled_dot_product_attention(im, im, im, im[:, :1, :6, :6])",
    "F.max_pool2d(im, 2)", "F.avg_pool2d(im, 2)", "F.lp_pool2d(im, 2.0, 2)", "F.adaptive_avg_pool2d(im, 4)",
    "F.adaptive_max_pool2d(im, 4)", "F.max_pool1d(s, 2)", "F.max_pool3d(vo, 2)", "F.avg_pool3d(vo, 2)",
    "F.avg_pool1d(s, 2)", "T.zeros_like(x)", "T.full_like(x, 2)", "x.new_zeros(3)",
]  # fmt: skip
OTHER = {
    "x.float_power(2)": "float64", "x.argsort()": "int64", "x.isnan()": "bool", "x.isfinite()": "bool",
    "x.argmax()": "int64", "x.all()": "bool", "x.any()": "bool", "x.nonzero()": "int64", "x.logical_not()": "bool",
    "x.signbit()": "bool", "T.eq(x, y)": "bool", "T.lt(x, y)": "bool", "T.isclose(x, y)": "bool",
    "T.searchsorted(v, x)": "int64", "T.bucketize(x, v)": "int64", "F.one_hot(k)": "int64",
}  # fmt: skip
# half inputs beside others
MIXED = {
    "F.layer_norm(x, (6,), v.float(), v.float())": "same", "F.group_norm(s, 2, m[0].float(), m[0].float())": "same",
    "F.batch_norm(s, m[0].float(), m[1].float(), m[0].float(), m[0].float())": "same",
    "F.instance_norm(s, None, None, m[0].float(), m[0].float())": "same",
    "F.binary_cross_entropy_with_logits(x, y.float())": "float32", "F.mse_loss(x, y.float())": "float32",
    "x + y.float()": "float32", "T.cat([x, y.float()])": "float32", "T.where(b, x, y.float())": "float32",
    "x * y.double()": "float64", "x.bfloat16() + y.half()": "float32", "F.rms_norm(x, (6,), v.float())": "same",
    "F.cosine_similarity(x, y.float())": "float32", "T.addcmul(x,y.float(),y)": "float32",
    "F.kl_div(x,y.float(),reduction='sum')": "float32",
}  # fmt: skip
NO_GRADIENT = {"T.floor_divide(x, y)", "T.heaviside(x, y)", "T.igamma(x, y)"}
ROUNDS_OFTEN = {"T.nextafter(x, y)", "T.trapezoid(x)"}  # each type has neighbours of its own; composed


def _names(dtype):
    g = np.random.RandomState(0)
    shapes = dict(x=(4, 6), y=(4, 6), m=(4, 4), v=(6,), im=(2, 4, 6, 6), vo=(1, 2, 4, 4, 4), s=(2, 4, 6))
    names = {}
    for name, shape in shapes.items():
        names[name] = T.tensor(g.uniform(0.1, 0.9, shape).astype(np.float32)).to(dtype).requires_grad_()
    names["b"], names["k"] = T.tensor(g.uniform(size=(4, 6)) > 0.5), T.tensor([2, 0, 3, 1])
    return names


def _value(expression, names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(expression, {"T": T, "F": T.nn.functional}, names)


@pytest.mark.parametrize("dtype", [T.bfloat16, T.float16], ids=str)
@pytest.mark.parametrize("expression", SAME)
def test_rounds_once(expression, dtype):
    names = _names(dtype)
    wide = {n: t.detach().float().requires_grad_() if t.is_floating_point() else t for n, t in names.items()}
    got, want = _value(expression, names), _value(expression, wide)
    assert got.dtype is dtype
    a, b = got.detach().float().numpy(), want.detach().to(dtype).float().numpy()
    eps = T.finfo(dtype).eps
    np.testing.assert_allclose(a, b, rtol=2 * eps if expression in ROUNDS_OFTEN else 0)
    if not got.requires_grad or expression in NO_GRADIENT:
        return
    got.sum().backward()
    want.sum().backward()
    for name, t in names.items():
        if t.grad is not None:
            a, b = t.grad, wide[name].grad.numpy()
            assert a.dtype is dtype
            np.testing.assert_allclose(a.float().numpy(), b, rtol=0, atol=2 * eps * np.abs(b).max() + 1e-6)


@pytest.mark.parametrize("dtype", [T.bfloat16, T.float16], ids=str)
@pytest.mark.parametrize("expression", OTHER)
def test_other_results(expression, dtype):
    names = _names(dtype)
    wide = {n: t.detach().float() if t.is_floating_point() else t for n, t in names.items()}
    got, want = _value(expression, names), _value(expression, wide)
    assert got.dtype is getattr(T, OTHER[expression])
    np.testing.assert_array_equal(got.detach().numpy(), want.numpy())


@pytest.mark.parametrize("dtype", [T.bfloat16, T.float16], ids=str)
@pytest.mark.parametrize("expression", MIXED)
def test_mixed(expression, dtype):
    got = _value(expression, _names(dtype))
    want = MIXED[expression]
    assert got.dtype is (dtype if want == "same" else getattr(T, want))


def _layers():
    for family in ("conv", "linear", "loss", "normalization", "pooling", "resample", "softmax"):
        module = import_module(f"tests.nn.test_{family}")
        for case in module.CASES:
            if isinstance(case, LayerCase) and case.half and case.differentiable:
                yield pytest.param(case, id=f"{family} {case.name}")


@pytest.mark.parametrize("case", _layers())
def test_layer_in_float16(case):
    """Dtypes of the result and of all gradients, and values near those of float32."""
    outs = []
    for dtype in (T.float16, T.float32):
        T.manual_seed(0)
        layer = case.make().to(T.float16).to(dtype)
        rng = np.random.RandomState(0)
        inputs = [T.tensor(case.draw(rng, s).astype(np.float16)).to(dtype).requires_grad_() for s in case.shapes]
        T.manual_seed(1)
        out = layer(*inputs, *case.extra)
        out = out[0] if isinstance(out, tuple) else out
        assert out.dtype is dtype
        out.sum().backward()
        assert all(t.grad is None or t.grad.dtype is dtype for t in (*inputs, *layer.parameters()))
        outs.append(out.detach().float().numpy())
    np.testing.assert_allclose(*outs, rtol=4e-3, atol=4e-3 * max(1.0, float(np.abs(outs[1]).max(initial=0))))


UNALIKE = [
    ("F.linear", (2, 3), (4, 3)), ("F.linear", (2, 3), (4, 3), (4,)), ("F.conv1d", (1, 2, 5), (3, 2, 2)),
    ("F.conv2d", (1, 2, 5, 5), (3, 2, 2, 2), (3,)), ("F.conv_transpose2d", (1, 2, 5, 5), (2, 3, 2, 2)),
    ("T.mm", (2, 3), (3, 2)), ("T.bmm", (1, 2, 3), (1, 3, 2)), ("T.matmul", (2, 3), (3, 2)), ("T.mv", (2, 3), (3,)),
    ("T.dot", (3,), (3,)), ("T.addmm", (2, 2), (2, 3), (3, 2)), ("T.baddbmm", (1, 2, 2), (1, 2, 3), (1, 3, 2)),
    ("T.addmv", (2,), (2, 3), (3,)), ("F.bilinear", (2, 3), (2, 3), (2, 3, 3)), ("F.prelu", (2, 3), (3,)),
    ("T.cdist", (2, 3), (2, 3)), ("T.conv_tbc", (3, 1, 2), (2, 2, 2), (2,)), ("T.linalg.cross", (3,), (3,)),
    ("T.linalg.vecdot", (3,), (3,)), ("F.grid_sample", (1, 1, 2, 2), (1, 2, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize("name, first, rest", [(n, s[0], s[1:]) for n, *s in UNALIKE])
def test_half_precision_beside_another_dtype_is_refused(name, first, rest):
    function = eval(name, {"T": T, "F": T.nn.functional})
    for a, b in ((T.bfloat16, T.float32), (T.float32, T.float16), (T.bfloat16, T.float16)):
        with pytest.raises(RuntimeError, match="dtype"):
            function(T.ones(first, dtype=a), *(T.ones(shape, dtype=b) for shape in rest))
    with T.autocast("cpu"):
        if name.startswith("F.linear"):
            assert function(T.ones(first, dtype=T.bfloat16), *map(T.ones, rest)).dtype is T.bfloat16


def test_mixed_dtypes_that_fit():
    F = T.nn.functional
    logits, shares = T.zeros(2, 4), T.full((2, 4), 0.25, dtype=T.float64)
    for dtype, result in ((T.float64, T.float64), (T.bfloat16, T.float32)):
        loss = F.cross_entropy(logits, shares.to(dtype))
        assert loss.dtype is result
        np.testing.assert_allclose(loss.item(), np.log(4), rtol=1e-6)
    assert F.cross_entropy(logits.double(), shares.float()).dtype is T.float64
    assert F.rms_norm(T.ones(2, 3), (3,), T.ones(3, dtype=T.bfloat16)).dtype is T.float32
    assert F.rms_norm(T.ones(2, 3), (3,), T.ones(3, dtype=T.float64)).dtype is T.float32


def test_float16_by_bits():
    from tnn.ops.cast import convert

    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = convert(every, np.dtype(np.float32))
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 1 << 18, dtype=np.uint64).astype(np.uint32)
    near = (rng.integers(0x38000000, 0x47900000, 1 << 18, dtype=np.int64)).astype(np.uint32)  # halves' own range
    small = (rng.integers(0x32000000, 0x39000000, 1 << 16, dtype=np.int64)).astype(np.uint32)
    x = np.concatenate([bits, near, near | np.uint32(1 << 31), small]).view(np.float32)
    with np.errstate(all="ignore"):
        expected = x.astype(np.float16)
    got = convert(x, np.dtype(np.float16))
    np.testing.assert_array_equal(got, expected)
    kept = ~np.isnan(expected)
    np.testing.assert_array_equal(got.view(np.uint16)[kept], expected.view(np.uint16)[kept])


def test_bfloat16_is_rounded_to_even():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 1 << 18, dtype=np.uint64).astype(np.uint32)
    small = np.arange(1 << 18, dtype=np.uint32)  # without a leading 1
    ties = (rng.integers(0, 1 << 16, 1 << 14, dtype=np.int64) << 16 | 0x8000).astype(np.uint32)
    x = np.concatenate([bits, small, small | np.uint32(1 << 31), ties])
    got = convert(x.view(np.float32), T.bfloat16.np).view(np.uint16)
    wide = x.astype(np.uint64)
    kept = ~np.isnan(x.view(np.float32))
    np.testing.assert_array_equal(got[kept], ((wide + 0x7FFF + (wide >> 16 & 1)) >> 16)[kept])
    assert np.isnan(convert(got[~kept].view(T.bfloat16.np), np.dtype(np.float32))).all()


@pytest.mark.parametrize("dtype", [T.bfloat16, T.float16], ids=str)
def test_elementwise_operations_round_once(dtype):
    for shape in ((1,), (7,), (3, 5), (33, 1000)):
        x, y = (T.randn(*shape).to(dtype) for _ in range(2))
        for op in (
            lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a - b, lambda a, b: a * 2.5,
            lambda a, b: a + 1, lambda a, b: a * T.tensor(1.5, dtype=a.dtype), lambda a, b: a.exp(),
            lambda a, b: a.abs(), lambda a, b: a.sqrt(),
            lambda a, b: T.nn.functional.relu(a), lambda a, b: T.nn.functional.gelu(a), lambda a, b: a**2,
            lambda a, b: a.sin(), lambda a, b: a.fmod(b), lambda a, b: T.maximum(a, b), lambda a, b: a + b[..., :1],
            lambda a, b: a.mT + b.mT if a.ndim > 1 else a, lambda a, b: a * b[:1],
            lambda a, b: a.movedim(-1, 0)[::2] + b.movedim(-1, 0)[::2],
            lambda a, b: a[..., 1:] - b[..., 1:], lambda a, b: a.clamp(-0.5, 0.25), lambda a, b: a % 0.75,
            lambda a, b: (a < b).to(a.dtype), lambda a, b: a.isnan().to(a.dtype),
        ):  # fmt: skip
            got, wanted = op(x, y), op(x.float(), y.float()).to(dtype)
            assert got.dtype is dtype
            np.testing.assert_array_equal(got.float().numpy(), wanted.float().numpy())
