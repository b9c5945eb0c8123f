"""MultiheadAttention and the Transformer: the checks of every layer, PyTorch's initial weights, references, errors."""

import inspect

import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn import functional as F

HIDDEN = tnn.tensor([[False, False, True], [False, True, True]])


class Attention(nn.MultiheadAttention):
    """MultiheadAttention whose arguments after the inputs are fixed: what a case table can say."""

    def __init__(self, *args, call=None, same=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.call, self.same = call or {}, same

    def forward(self, query, *others):
        return super().forward(*((query,) * 3 if self.same else (query, *others)), **self.call)


def no_weights(**more):
    return {"need_weights": False, **more}


CAUSAL = nn.Transformer.generate_square_subsequent_mask(3)
SEQUENCES = ((3, 2, 4), (3, 2, 4), (3, 2, 4))
CASES = [
    LayerCase("weights", lambda: Attention(4, 2), SEQUENCES, empty=False),
    LayerCase("no_weights", lambda: Attention(4, 2, call=no_weights()), SEQUENCES, empty=False),
    LayerCase("self", lambda: Attention(4, 2, same=True, call=no_weights()), ((3, 2, 4),), double=True, empty=False),
    LayerCase("self_causal", lambda: Attention(4, 2, bias=False, same=True, batch_first=True,
              call=no_weights(attn_mask=CAUSAL, is_causal=True)), ((2, 3, 4),)),
    LayerCase("unbatched", lambda: Attention(4, 2, batch_first=True, call=no_weights(attn_mask=CAUSAL.bool())),
              ((3, 4), (3, 4), (3, 4)), empty=False),
    LayerCase("features", lambda: Attention(4, 2, kdim=3, vdim=2), ((3, 2, 4), (5, 2, 3), (5, 2, 2)), empty=False),
    LayerCase("more_keys", lambda: Attention(4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True,
              call={"key_padding_mask": HIDDEN}), ((2, 3, 4),) * 3, empty=False),
    LayerCase("heads_weights", lambda: Attention(4, 2, call={"average_attn_weights": False, "attn_mask": CAUSAL != 0}),
              SEQUENCES, empty=False),
    LayerCase("encoder_layer", lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.3, batch_first=True), ((2, 3, 4),),
              half=False),
    LayerCase("encoder_layer_norm_first", lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.0, "gelu", norm_first=True),
              ((3, 2, 4),), double=True, empty=False),
    LayerCase("decoder_layer", lambda: nn.TransformerDecoderLayer(4, 2, 5, 0.0, F.silu), ((3, 2, 4), (5, 2, 4)),
              empty=False),
    LayerCase("decoder_layer_norm_first",
              lambda: nn.TransformerDecoderLayer(4, 2, 5, 0.0, norm_first=True, bias=False, batch_first=True),
              ((2, 3, 4), (2, 5, 4))),
    LayerCase("transformer", lambda: nn.Transformer(4, 2, 1, 1, 5, 0.0, batch_first=True), ((1, 3, 4), (1, 2, 4)),
              half=False),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def attention(q, k, v, mask=0.0):
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + mask
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_follows_its_formula(need_weights):
    tnn.manual_seed(0)
    layer = nn.MultiheadAttention(6, 3, dtype=tnn.float64)
    nn.init.normal_(layer.in_proj_bias)
    x, y = tnn.randn(4, 2, 6, dtype=tnn.float64), tnn.randn(5, 2, 6, dtype=tnn.float64)
    mask = np.random.RandomState(0).standard_normal((4, 5))
    got, weights = layer(x, y, y, attn_mask=tnn.tensor(mask), need_weights=need_weights)
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    parts = [a.numpy() @ w[6 * i : 6 * i + 6].T + b[6 * i : 6 * i + 6] for i, a in enumerate((x, y, y))]
    q, k, v = (p.reshape(len(p), 2, 3, 2).transpose(1, 2, 0, 3) for p in parts)
    heads = attention(q, k, v, mask).transpose(2, 0, 1, 3).reshape(4, 2, 6)
    want = heads @ layer.out_proj.weight.detach().numpy().T
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-10)
    if need_weights:
        each = np.stack([attention(q, k, np.broadcast_to(np.eye(5), (2, 3, 5, 5)), mask)])[0]
        np.testing.assert_allclose(weights.detach().numpy(), each.mean(1), rtol=1e-10)
    else:
        assert weights is None


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_gradients_with_weights(batch_first, cross):
    """Of the result and of the weights, also of gradients: small attention with weights is one operation."""
    tnn.manual_seed(3)
    layer = nn.MultiheadAttention(4, 2, batch_first=batch_first, dtype=tnn.float64)
    x = tnn.randn(3, 2, 4, dtype=tnn.float64, requires_grad=True)
    shape = (3, 4, 4) if batch_first else (4, 2, 4)
    y = tnn.randn(*shape, dtype=tnn.float64, requires_grad=True) if cross else x

    def both(x, y=None):
        return layer(x, x if y is None else y, x if y is None else y, average_attn_weights=False)

    leaves = (x, y) if cross else (x,)
    assert tnn.autograd.gradcheck(both, leaves)
    assert tnn.autograd.gradgradcheck(both, leaves)
    for i in range(2):
        assert tnn.autograd.gradcheck(lambda *leaves, i=i: both(*leaves)[i], leaves)
    assert layer(x, y, y)[0].shape == x.shape


def test_masks_in_their_forms_agree():
    tnn.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = tnn.randn(2, 3, 4)
    later = CAUSAL == -float("inf")
    wanted, _ = layer(x, x, x, attn_mask=later, key_padding_mask=HIDDEN)
    both = (later[None] | HIDDEN[:, None]).repeat_interleave(2, 0)
    for mask in (both, both.float() * -1e30):
        for need_weights in (True, False):
            got, _ = layer(x, x, x, attn_mask=mask, need_weights=need_weights)
            np.testing.assert_allclose(got.detach().numpy(), wanted.detach().numpy(), atol=1e-6)
    sides = layer(x, x, x, attn_mask=later, need_weights=False)[0], layer(
        x, x, x, attn_mask=later, need_weights=False, is_causal=True
    )[0]
    np.testing.assert_allclose(sides[0].detach().numpy(), sides[1].detach().numpy(), atol=1e-6)
    with pytest.warns(UserWarning, match="mismatched key_padding_mask"):
        layer(x, x, x, attn_mask=CAUSAL, key_padding_mask=HIDDEN)


def test_initial_weights_are_those_of_pytorch():
    tnn.manual_seed(0)
    state = nn.MultiheadAttention(4, 2, add_bias_kv=True).state_dict()
    assert list(state) == ["in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"]
    heads = {
        "in_proj_weight": [0.22242416441440582, 0.508506715297699, -0.12602636218070984],
        "bias_k": [-1.1093896627426147, 0.12949226796627045, -0.5148510932922363],
        "bias_v": [0.1366838663816452, -0.4590499997138977, -0.020210543647408485],
        "out_proj.weight": [-0.003743410110473633, 0.26822179555892944, -0.4115225672721863],
    }
    for name, values in heads.items():
        np.testing.assert_allclose(state[name].flatten()[:3].tolist(), values, rtol=1e-6)
    tnn.manual_seed(0)
    state = nn.MultiheadAttention(4, 2, kdim=3, vdim=2).state_dict()
    np.testing.assert_allclose(state["v_proj_weight"].flatten()[0].item(), -0.4434950351715088, rtol=1e-6)
    tnn.manual_seed(0)
    model = nn.Transformer(4, 2, 1, 1, 6, batch_first=True)
    sums = [p.double().sum().item() for p in model.parameters() if p.dim() > 1]
    golden = [
        4.446019105613232, 1.3132953494787216, 3.5415175929665565, -1.4717749170958996, -1.862638046965003,
        0.43383013643324375, -0.5876111738616601, -0.22303788736462593, -0.5095160864293575, 1.2190916873514652,
    ]  # fmt: skip
    np.testing.assert_allclose(sums, golden, rtol=1e-5)
    names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    prefix = "decoder.layers.0.multihead_attn."
    assert [k for k in model.state_dict() if k.startswith(prefix)] == [prefix + n for n in names]


def test_stacks_copy_their_layer_and_find_the_causal_mask():
    tnn.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 5, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(4)).eval()
    assert all(a is not layer for a in encoder.layers)
    np.testing.assert_array_equal(encoder.layers[1].linear1.weight.detach(), layer.linear1.weight.detach())
    x = tnn.randn(2, 3, 4)
    by_layers = x
    for one in encoder.layers:
        by_layers = one(by_layers, src_mask=CAUSAL, is_causal=True)
    got = encoder(x, mask=CAUSAL)
    np.testing.assert_array_equal(got.detach(), encoder.norm(by_layers).detach())
    np.testing.assert_allclose(got.detach(), encoder(x, mask=CAUSAL, is_causal=False).detach(), atol=1e-6)
    changed = x.clone()
    changed[:, 2] += 1
    np.testing.assert_array_equal(encoder(changed, mask=CAUSAL)[:, :2].detach(), got[:, :2].detach())


def test_padding_at_the_end_gives_zeros_in_evaluation_as_in_pytorch():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 1).eval()
    x = tnn.randn(2, 3, 4)
    with tnn.no_grad():
        out = encoder(x, src_key_padding_mask=HIDDEN)
        assert not out[0, 2].any() and not out[1, 1:].any() and out[0, :2].all()
        assert encoder(x, src_key_padding_mask=HIDDEN.flip(1)).all()
    recorded = encoder(x, src_key_padding_mask=HIDDEN)
    assert recorded.all()
    np.testing.assert_allclose(recorded[0, :2].detach(), out[0, :2], atol=1e-6)
    with pytest.warns(UserWarning, match="norm_first was True"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True), 1)


def test_activations():
    layer = nn.TransformerEncoderLayer(4, 2, 5, 0.0, activation=nn.GELU())
    named = nn.TransformerEncoderLayer(4, 2, 5, 0.0, activation=F.gelu)
    named.load_state_dict(layer.state_dict())
    x = tnn.randn(3, 2, 4)
    np.testing.assert_array_equal(layer(x).detach(), named(x).detach())
    assert nn.TransformerDecoderLayer(4, 2, 5, activation="gelu").activation is F.gelu
    assert (layer.activation_relu_or_gelu, nn.TransformerEncoderLayer(4, 2).activation_relu_or_gelu) == (2, 1)


def test_causal_mask():
    mask = nn.Transformer.generate_square_subsequent_mask(2, dtype=tnn.float64)
    assert mask.dtype is tnn.float64 and mask.tolist() == [[0.0, -float("inf")], [0.0, 0.0]]


def heads(**kwargs):
    return nn.MultiheadAttention(4, 2, **kwargs)


R = tnn.zeros
ERRORS = {
    "dims": (lambda: heads()(R(3, 1, 4), R(3, 4), R(3, 1, 4)), AssertionError),
    "query_dims": (lambda: heads()(R(4), R(4), R(4)), AssertionError),
    "batch": (lambda: heads()(R(3, 1, 4), R(3, 2, 4), R(3, 2, 4)), RuntimeError),
    "lengths": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(4, 1, 4)), AssertionError),
    "separate_lengths": (lambda: heads(kdim=3)(R(3, 1, 4), R(3, 1, 3), R(4, 1, 4)), AssertionError),
    "features": (lambda: heads()(R(3, 1, 5), R(3, 1, 5), R(3, 1, 5)), AssertionError),
    "mask_shape": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), attn_mask=R(2, 3)), RuntimeError),
    "mask_shape_3d": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), attn_mask=R(1, 3, 3)), RuntimeError),
    "mask_dims": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), attn_mask=R(3)), AssertionError),
    "unbatched_mask": (lambda: heads()(R(3, 4), R(3, 4), R(3, 4), attn_mask=R(3, 3, 3)), AssertionError),
    "padding_batch": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), R(2, 3)), AssertionError),
    "padding_length": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), R(1, 4)), AssertionError),
    "padding_dims": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), R(3)), AssertionError),
    "mask_dtype": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), attn_mask=R(3, 3).long()), AssertionError),
    "causal": (lambda: heads()(R(3, 1, 4), R(3, 1, 4), R(3, 1, 4), is_causal=True), RuntimeError),
    "divisible": (lambda: nn.MultiheadAttention(5, 2), AssertionError),
    "positive": (lambda: nn.MultiheadAttention(0, 2), ValueError),
    "activation": (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), RuntimeError),
    "transformer_batch": (lambda: nn.Transformer(4, 2, 1, 1, 6)(R(3, 2, 4), R(3, 1, 4)), RuntimeError),
    "transformer_features": (lambda: nn.Transformer(4, 2, 1, 1, 6)(R(3, 2, 4), R(3, 2, 5)), RuntimeError),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error = ERRORS[name]
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error


def test_static_keys_and_their_errors():
    layer = heads()
    parts = (layer.in_proj_weight, layer.in_proj_bias)
    out = (layer.out_proj.weight, layer.out_proj.bias)
    x, k, v = tnn.randn(3, 1, 4), tnn.randn(2, 5, 2), tnn.randn(2, 5, 2)

    def call(static_k, static_v, bias=(None, None)):
        return F.multi_head_attention_forward(
            x, x, x, 4, 2, *parts, *bias, False, 0.0, *out, static_k=static_k, static_v=static_v
        )

    got, weights = call(k, v)
    assert got.shape == (3, 1, 4) and weights.shape == (1, 3, 5)
    w = layer.in_proj_weight.detach().numpy()[:4]
    q = (x.numpy()[:, 0] @ w.T).reshape(3, 2, 2).transpose(1, 0, 2)
    want = attention(q, k.numpy(), v.numpy()).transpose(1, 0, 2).reshape(3, 4)
    want = want @ layer.out_proj.weight.detach().numpy().T
    np.testing.assert_allclose(got[:, 0].detach(), want, atol=1e-6)
    for bad in ((tnn.zeros(3, 5, 2), v), (tnn.zeros(2, 5, 3), v)):
        with pytest.raises(AssertionError, match="static_k"):
            call(*bad)
    with pytest.raises(AssertionError, match="bias_v is None"):
        call(None, None, (tnn.zeros(1, 1, 4), None))
    with pytest.raises(AssertionError, match="static key"):
        call(k, v, (tnn.zeros(1, 1, 4), tnn.zeros(1, 1, 4)))


def test_signatures_are_those_of_pytorch():
    names = list(inspect.signature(nn.MultiheadAttention.forward).parameters)[4:]
    assert names == ["key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal"]
    names = list(inspect.signature(nn.Transformer).parameters)
    assert names[5:9] == ["dropout", "activation", "custom_encoder", "custom_decoder"]


def test_custom_parts():
    model = nn.Transformer(4, 2, custom_encoder=nn.Identity(), custom_decoder=nn.Identity())
    assert isinstance(model.encoder, nn.Identity) and isinstance(model.decoder, nn.Identity)


@pytest.mark.parametrize(
    "batch_first, norm_first, expected",
    [
        (True, True, [2.62431, 2.5605, 2.45776]),
        (True, False, [2.02077, 2.0251, 1.97412]),
    ],
)
def test_dropout_draws_as_pytorch_does(batch_first, norm_first, expected):
    tnn.manual_seed(3)
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.2, batch_first=batch_first, norm_first=norm_first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    optimizer = tnn.optim.SGD(model.parameters(), lr=0.1)
    x, y = tnn.randn(5, 7, 32), tnn.randn(5, 7, 32)
    losses = []
    for _ in expected:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, expected, atol=2e-5)
