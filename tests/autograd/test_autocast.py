"""Autocast: which dtype each operation takes, gradients through the casts, the setting itself, and the scaler."""

import threading
import warnings

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F
from tnn.amp import GradScaler

rng = np.random.RandomState(0)


def _t(*shape):
    return tnn.tensor(rng.uniform(0.1, 0.9, shape).astype(np.float32))


SQUARE = _t(4, 4) + 4 * tnn.eye(4)
X, IMAGE, VOLUME = _t(2, 4), _t(2, 4, 6, 6), _t(1, 2, 4, 4, 4)
INDEX = tnn.tensor([1, 2])

LOWER = {
    "linear": lambda c: F.linear(c(X), c(SQUARE), c(_t(4))),
    "mm": lambda c: tnn.mm(c(X), c(SQUARE)),
    "matmul": lambda c: c(X) @ c(SQUARE),
    "matmul of vectors": lambda c: tnn.matmul(c(_t(4)), c(_t(4))),
    "matmul with a vector": lambda c: tnn.matmul(c(X), c(_t(4))),
    "bmm": lambda c: tnn.bmm(c(X)[:, None], c(SQUARE).expand(2, 4, 4)),
    "addmm": lambda c: tnn.addmm(c(_t(4)), c(X), c(SQUARE)),
    "baddbmm": lambda c: tnn.baddbmm(c(_t(1)), c(X)[None], c(SQUARE)[None]),
    "addbmm": lambda c: tnn.addbmm(c(_t(1)), c(X)[None], c(SQUARE)[None]),
    "einsum": lambda c: tnn.einsum("ij,jk->ik", c(X), c(SQUARE)),
    "conv2d": lambda c: F.conv2d(c(IMAGE), c(_t(3, 4, 2, 2)), c(_t(3))),
    "conv_transpose2d": lambda c: F.conv_transpose2d(c(IMAGE), c(_t(4, 3, 2, 2))),
    "prelu": lambda c: F.prelu(c(X), c(_t(1))),
    "attention": lambda c: F.scaled_dot_product_attention(c(IMAGE), c(IMAGE), c(IMAGE)),
}
FLOAT32 = {
    "mse_loss": lambda c: F.mse_loss(c(X), c(X)),
    "l1_loss": lambda c: F.l1_loss(c(X), c(X)),
    "cross_entropy": lambda c: F.cross_entropy(c(X), INDEX),
    "nll_loss": lambda c: F.nll_loss(c(X), INDEX),
    "binary_cross_entropy": lambda c: F.binary_cross_entropy(c(X), c(X)),
    "with logits": lambda c: F.binary_cross_entropy_with_logits(c(X), c(X)),
    "kl_div": lambda c: F.kl_div(c(X), c(X), reduction="sum"),
    "margin_ranking_loss": lambda c: F.margin_ranking_loss(c(X), c(X), c(X)),
    "hinge_embedding_loss": lambda c: F.hinge_embedding_loss(c(X), c(X).sign()),
    "cosine_embedding_loss": lambda c: F.cosine_embedding_loss(c(X), c(X), INDEX),
    "triplet_margin_loss": lambda c: F.triplet_margin_loss(c(X), c(X), c(X)),
    "prod": lambda c: c(X).prod(),
    "trace": lambda c: tnn.trace(c(SQUARE)),
    "inverse": lambda c: tnn.inverse(c(SQUARE)),
    "cdist": lambda c: tnn.cdist(c(X), c(X)),
    "quantile": lambda c: tnn.quantile(c(X), 0.5),
    "max_pool3d": lambda c: F.max_pool3d(c(VOLUME), 2),
    "avg_pool3d": lambda c: F.avg_pool3d(c(VOLUME), 2),
    "reflect": lambda c: F.pad(c(IMAGE), (1, 1, 1, 1), mode="reflect"),
}
AS_IT_COMES = {
    "sum": lambda c: c(X).sum(),
    "softmax": lambda c: F.softmax(c(X), 1),
    "relu": lambda c: F.relu(c(X)),
    "mv": lambda c: tnn.mv(c(SQUARE), c(_t(4))),
    "dot": lambda c: tnn.dot(c(_t(4)), c(_t(4))),
    "bilinear": lambda c: F.bilinear(c(X), c(X), c(_t(3, 4, 4))),
    "circular": lambda c: F.pad(c(IMAGE), (1, 1, 1, 1), mode="circular"),
}


@pytest.mark.parametrize("name", [*LOWER, *FLOAT32, *AS_IT_COMES])
def test_dtypes(name):
    fn = {**LOWER, **FLOAT32, **AS_IT_COMES}[name]
    for dtype in (tnn.float32, tnn.bfloat16):
        with tnn.autocast("cpu"):
            out = fn(lambda t, dtype=dtype: t.to(dtype))
        want = tnn.bfloat16 if name in LOWER else tnn.float32 if name in FLOAT32 else dtype
        assert out.dtype is want
    assert fn(lambda t: t).dtype is tnn.float32


def test_values_are_those_of_the_lower_precision():
    w = _t(5, 4)
    with tnn.autocast("cpu"):
        y = F.linear(X, w)
    want = (X.bfloat16().float() @ w.bfloat16().float().t()).bfloat16()
    assert y.equal(want)


def test_float64_is_left_alone():
    with tnn.autocast("cpu"):
        assert (X.double() @ SQUARE.double()).dtype is tnn.float64
        assert F.mse_loss(X.double(), X.double()).dtype is tnn.float64


def test_widest():
    with tnn.autocast("cpu"):
        assert tnn.cat([X, X.bfloat16()]).dtype is tnn.float32
        assert tnn.stack([X, X.bfloat16()]).dtype is tnn.float32
        assert tnn.index_copy(X, 0, tnn.tensor([0]), X[1:].bfloat16()).dtype is tnn.float32


def test_in_place_and_out_are_not_cast():
    with tnn.autocast("cpu"):
        a, b = SQUARE.clone(), tnn.empty(4, 4)
        a.addmm_(SQUARE, SQUARE)
        tnn.mm(SQUARE, SQUARE, out=b)
    np.testing.assert_allclose(b.numpy(), SQUARE.numpy() @ SQUARE.numpy(), rtol=1e-6)
    np.testing.assert_allclose(a.numpy(), SQUARE.numpy() + b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("inside", [True, False])
def test_gradients_have_the_parameters_dtype(inside):
    model = tnn.nn.Sequential(tnn.nn.Linear(4, 5), tnn.nn.LayerNorm(5), tnn.nn.Linear(5, 3))
    x = X.clone().requires_grad_()
    with tnn.autocast("cpu"):
        out = model(x)
        loss = F.cross_entropy(out, INDEX)
        assert out.dtype is tnn.bfloat16 and loss.dtype is tnn.float32
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    plain = [p.grad.clone() for p in model.parameters()]
    assert all(g.dtype is tnn.float32 for g in plain) and x.grad.dtype is tnn.float32
    model.zero_grad()
    F.cross_entropy(model(X), INDEX).backward()
    for g, p in zip(plain, model.parameters(), strict=True):
        np.testing.assert_allclose(g.numpy(), p.grad.numpy(), rtol=0.1, atol=0.02)


def _cast_of_weight(y):
    """The node that cast the product's second operand to the lower precision."""
    product = y.grad_fn.next_functions[0][0]
    return product.next_functions[1][0].next_functions[0][0]


def test_a_parameter_is_cast_once_in_a_region():
    w = SQUARE.clone().requires_grad_()
    with tnn.autocast("cpu"):
        a, b = X @ w, X @ w
        assert _cast_of_weight(a) is _cast_of_weight(b)
        with tnn.no_grad():
            w.mul_(2)
        np.testing.assert_allclose((X @ w).detach().float().numpy(), 2 * a.detach().float().numpy())
    with tnn.autocast("cpu", cache_enabled=False):
        a, b = X @ w, X @ w
        assert _cast_of_weight(a) is not _cast_of_weight(b)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent(kind):
    # as PyTorch 2.13: LSTM and RNN come out in the lower precision, GRU in the input's
    layer = getattr(tnn.nn, kind)(4, 3)
    with tnn.autocast("cpu"):
        single, half = layer(_t(5, 2, 4))[0], layer(_t(5, 2, 4).bfloat16())[0]
        half.float().sum().backward()
    assert half.dtype is tnn.bfloat16
    assert single.dtype is (tnn.float32 if kind == "GRU" else tnn.bfloat16)
    assert all(p.grad.dtype is tnn.float32 for p in layer.parameters())


def test_nesting_and_dtype():
    assert not tnn.is_autocast_enabled() and tnn.get_autocast_dtype("cpu") is tnn.bfloat16
    with tnn.autocast("cpu", dtype=tnn.float16):
        assert tnn.is_autocast_enabled("cpu") and tnn.get_autocast_dtype() is tnn.float16
        assert (X @ SQUARE).dtype is tnn.float16
        with tnn.autocast("cpu", enabled=False):
            assert not tnn.is_autocast_cpu_enabled()
            assert (X @ SQUARE).dtype is tnn.float32
        assert (X @ SQUARE).dtype is tnn.float16
    assert not tnn.is_autocast_enabled() and tnn.get_autocast_dtype("cpu") is tnn.bfloat16
    assert (X @ SQUARE).dtype is tnn.float32
    with pytest.raises(KeyError), tnn.autocast("cpu"):
        raise KeyError
    assert not tnn.is_autocast_enabled()


def test_decorator():
    @tnn.amp.autocast("cpu")
    def product(a, b):
        """Doc."""
        return a @ b

    assert product(X, SQUARE).dtype is tnn.bfloat16 and product.__doc__ == "Doc."
    assert (X @ SQUARE).dtype is tnn.float32


def test_one_setting_for_each_thread():
    seen = []
    with tnn.autocast("cpu"):
        t = threading.Thread(target=lambda: seen.append((tnn.is_autocast_enabled(), (X @ SQUARE).dtype)))
        t.start()
        t.join()
    assert seen == [(False, tnn.float32)]


def test_other_devices():
    with pytest.warns(UserWarning, match="disabled"), tnn.autocast("cuda"):
        assert (X @ SQUARE).dtype is tnn.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tnn.autocast("cuda", enabled=False)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'abacus'"):
        tnn.autocast("abacus")
    with pytest.raises(ValueError, match="type `str`"):
        tnn.autocast(tnn.float16)
    with pytest.warns(UserWarning, match="only supports dtypes"), tnn.autocast("cpu", dtype=tnn.float64):
        assert (X @ SQUARE).dtype is tnn.float32


def test_custom_functions():
    class Product(tnn.autograd.Function):
        @staticmethod
        @tnn.amp.custom_fwd(device_type="cpu", cast_inputs=tnn.float32)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @tnn.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g @ b.t(), a.t() @ g

    a = X.bfloat16().requires_grad_()
    with tnn.autocast("cpu"):
        y = Product.apply(a, SQUARE)
    y.sum().backward()
    assert y.dtype is tnn.float32 and a.grad.dtype is tnn.bfloat16


# ---------------------------------------------------------------- the scaler


def _model():
    tnn.manual_seed(0)
    model = tnn.nn.Linear(4, 2)
    return model, tnn.optim.SGD(model.parameters(), lr=0.1)


def test_scaled_steps_are_plain_steps():
    model, opt = _model()
    other, plain = _model()
    scaler = GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for _ in range(4):
        for m, o, s in ((model, opt, scaler), (other, plain, GradScaler(enabled=False))):
            o.zero_grad()
            s.scale(F.cross_entropy(m(X), tnn.tensor([0, 1]))).backward()
            s.unscale_(o)
            tnn.nn.utils.clip_grad_norm_(m.parameters(), 0.5)
            s.step(o)
            s.update()
    assert model.weight.equal(other.weight)
    assert scaler.get_scale() == 4096.0


def test_overflow_skips_the_step():
    model, opt = _model()
    before = model.weight.detach().clone()
    scaler = GradScaler("cpu", init_scale=8.0)
    scaler.scale(model(X).sum() * float("inf")).backward()
    assert scaler.step(opt) is None
    scaler.update()
    assert model.weight.equal(before) and scaler.get_scale() == 4.0
    scaler.update(16.0)
    assert scaler.get_scale() == 16.0


def test_scaler_errors_and_state():
    model, opt = _model()
    scaler = GradScaler("cpu", init_scale=8.0)
    scaler.scale(model(X).sum()).backward()
    with pytest.raises(RuntimeError, match="No inf checks"):
        scaler.update()
    scaler.unscale_(opt)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(opt)
    scaler.step(opt)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(opt)
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(opt, closure=lambda: None)
    scaler.update()
    assert scaler.state_dict() == {
        "scale": 8.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 1,
    }  # fmt: skip
    twin = GradScaler("cpu")
    twin.load_state_dict(scaler.state_dict())
    assert twin.get_scale() == 8.0
    with pytest.raises(RuntimeError, match="empty"):
        twin.load_state_dict({})
    with pytest.warns(UserWarning, match="disabled"):
        off = GradScaler("cuda")
    assert not off.is_enabled() and off.get_scale() == 1.0 and off.scale(X) is X
    with pytest.raises(ValueError, match="> 1.0"):
        GradScaler("cpu", growth_factor=1.0)
    assert [t.dtype for t in scaler.scale([X, (X.half(),)][0:1])] == [tnn.float32]
