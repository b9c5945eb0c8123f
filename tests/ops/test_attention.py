"""Scaled dot-product attention against NumPy: masks, dropout, grouped heads, layouts, gradients, threads, memory."""

import tracemalloc

import numpy as np
import pytest

import tnn
from tnn.kernels import _pool
from tnn.nn import functional as F
from tnn.nn.attention import (
    SDPBackend,
    activate_flash_attention_impl,
    current_flash_attention_impl,
    list_flash_attention_impls,
    register_flash_attention_impl,
    restore_flash_attention_impl,
    sdpa_kernel,
)

sdpa = F.scaled_dot_product_attention


def reference(q, k, v, mask=None, causal=False, scale=None):
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    s = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    if causal:
        s = np.where(np.tri(*s.shape[-2:], dtype=bool), s, -np.inf)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    return e / np.where(top == -np.inf, 1, e.sum(-1, keepdims=True)) @ v


def draw(*shapes, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


# (query, key, value): every size around the blocks of 64 queries and 128 keys, and widths around whole vectors
SHAPES = [
    ((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6)),
    ((1, 2, 64, 16), (1, 2, 128, 16), (1, 2, 128, 16)),
    ((1, 2, 65, 32), (1, 2, 129, 32), (1, 2, 129, 48)),
    ((1, 1, 200, 17), (1, 1, 300, 17), (1, 1, 300, 33)),
    ((1, 20, 70, 8), (1, 20, 150, 8), (1, 20, 150, 8)),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1)),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_forward_and_gradients(shapes, causal):
    arrays = draw(*shapes)
    leaves = [tnn.tensor(x, requires_grad=True) for x in arrays]
    out = sdpa(*leaves, is_causal=causal)
    np.testing.assert_allclose(out.detach().numpy(), reference(*arrays, causal=causal), rtol=1e-10, atol=1e-12)
    (g,) = draw(out.shape, seed=1)
    out.backward(tnn.tensor(g))
    twins = [tnn.tensor(x, requires_grad=True) for x in arrays]
    with sdpa_kernel(SDPBackend.MATH):
        other = sdpa(*twins, is_causal=causal)
    other.backward(tnn.tensor(g))
    for a, b in zip(leaves, twins, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_float32_and_bfloat16():
    arrays = draw((2, 2, 70, 24), (2, 2, 140, 24), (2, 2, 140, 24), dtype=np.float32)
    want = reference(*arrays)
    single = [tnn.tensor(x, requires_grad=True) for x in arrays]
    out = sdpa(*single)
    assert out.dtype is tnn.float32
    np.testing.assert_allclose(out.detach().numpy(), want, atol=2e-6)
    out.sum().backward()
    half = [t.detach().bfloat16().requires_grad_() for t in single]
    out = sdpa(*half)
    assert out.dtype is tnn.bfloat16
    np.testing.assert_allclose(out.detach().float().numpy(), want, atol=0.02)
    out.sum().backward()
    assert half[0].grad.dtype is tnn.bfloat16
    np.testing.assert_allclose(half[2].grad.float().numpy(), single[2].grad.numpy(), atol=0.1)


MASKS = {
    "bool": ((70, 140), bool),
    "bool_keys": ((2, 1, 1, 140), bool),
    "bool_queries": ((70, 1), bool),
    "added": ((2, 3, 70, 140), np.float64),
    "added_heads": ((1, 3, 70, 140), np.float64),
    "added_keys": ((2, 1, 1, 140), np.float64),
    "added_single": ((70, 140), np.float32),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_masks(name, causal):
    shape, dtype = MASKS[name]
    rng = np.random.RandomState(3)
    mask = rng.uniform(size=shape) < 0.6 if dtype is bool else rng.standard_normal(shape).astype(dtype)
    if dtype is not bool:
        mask[rng.uniform(size=shape) < 0.3] = -np.inf
    arrays = draw((2, 3, 70, 8), (2, 3, 140, 8), (2, 3, 140, 8))
    got = sdpa(*map(tnn.tensor, arrays), attn_mask=tnn.tensor(mask), is_causal=causal)
    np.testing.assert_allclose(got.numpy(), reference(*arrays, mask, causal), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["bool", "added"])
def test_rows_without_a_key_give_zero_and_no_gradient(kind):
    arrays = draw((1, 1, 3, 4), (1, 1, 5, 4), (1, 1, 5, 4))
    sees = np.ones((3, 5), bool)
    sees[1] = False
    mask = sees if kind == "bool" else np.where(sees, 0, -np.inf)
    for ways in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        leaves = [tnn.tensor(x, requires_grad=True) for x in arrays]
        with sdpa_kernel(ways):
            out = sdpa(*leaves, attn_mask=tnn.tensor(mask))
            out.sum().backward()
        np.testing.assert_allclose(out.detach().numpy(), reference(*arrays, mask), rtol=1e-12)
        assert not out[0, 0, 1].any() and not leaves[0].grad[0, 0, 1].any()
        assert all(np.isfinite(t.grad.numpy()).all() for t in leaves)


def test_infinities_and_nan():
    q, k, v = draw((1, 1, 3, 4), (1, 1, 40, 4), (1, 1, 40, 4), dtype=np.float32)
    q[0, 0, 1, 2] = np.nan
    out = sdpa(*map(tnn.tensor, (q, k, v))).numpy()[0, 0]
    assert np.isnan(out[1]).all() and np.isfinite(out[[0, 2]]).all()
    mask = np.full((3, 40), -np.inf, np.float32)
    mask[:, 0] = 0
    np.testing.assert_array_equal(sdpa(*map(tnn.tensor, (q, k, v)), tnn.tensor(mask)).numpy()[0, 0, 0], v[0, 0, 0])
    large = sdpa(*(tnn.tensor(x * s) for x, s in ((np.nan_to_num(q), 1e4), (k, 1e4), (v, 1))))
    assert np.isfinite(large.numpy()).all()


def test_empty_sizes():
    assert sdpa(tnn.zeros(0, 2, 3, 4), tnn.zeros(0, 2, 5, 4), tnn.zeros(0, 2, 5, 4)).shape == (0, 2, 3, 4)
    assert not sdpa(tnn.ones(1, 2, 3, 4), tnn.ones(1, 2, 0, 4), tnn.ones(1, 2, 0, 4)).any()
    assert sdpa(tnn.ones(1, 2, 0, 4), tnn.ones(1, 2, 3, 4), tnn.ones(1, 2, 3, 4)).shape == (1, 2, 0, 4)
    v = tnn.tensor([[1.0], [3.0]])
    np.testing.assert_array_equal(sdpa(tnn.ones(3, 0), tnn.ones(2, 0), v).numpy(), np.full((3, 1), 2.0))
    leaves = [tnn.ones(1, 1, n, 4, requires_grad=True) for n in (0, 3, 3)]
    sdpa(*leaves).sum().backward()
    assert not leaves[1].grad.any() and leaves[0].grad.shape == (1, 1, 0, 4)


GRADIENTS = {
    "plain": (((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3)), {}),
    "causal": (((2, 3, 4), (2, 3, 4), (2, 3, 4)), {"is_causal": True}),
    "matrices": (((3, 4), (5, 4), (5, 2)), {"scale": -0.3}),
    "grouped": (((1, 4, 3, 2), (1, 2, 5, 2), (1, 1, 5, 2)), {"enable_gqa": True}),
    "spread": (((2, 1, 3, 2), (1, 2, 3, 2), (1, 1, 3, 2)), {}),
    "dropout": (((1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 2)), {"dropout_p": 0.4}),
    "five": (((2, 1, 2, 3, 2), (2, 1, 2, 3, 2), (2, 1, 2, 3, 2)), {"attn_mask": tnn.tensor(np.tri(3, dtype=bool))}),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradcheck(name):
    shapes, options = GRADIENTS[name]
    leaves = [tnn.tensor(x, requires_grad=True) for x in draw(*shapes)]

    def call(*tensors):
        tnn.manual_seed(4)
        return sdpa(*tensors, **options)

    assert tnn.autograd.gradcheck(call, leaves)
    assert tnn.autograd.gradgradcheck(call, leaves)


def test_gradient_of_the_mask():
    x, mask = (tnn.tensor(a, requires_grad=True) for a in draw((1, 2, 3, 2), (3, 3)))
    assert tnn.autograd.gradcheck(lambda x, m: sdpa(x, x, x, m), (x, mask))


def test_dropout_draws_the_numbers_that_pytorch_draws():
    x = (tnn.arange(24.0) / 10).reshape(1, 2, 3, 4)
    tnn.manual_seed(5)
    got = sdpa(x, x, x, dropout_p=0.5)[0, :, :, 0].tolist()
    want = [[0.8638468980789185, 0.25025469064712524, 0.0], [3.686445951461792, 3.663059711456299, 3.839359760284424]]
    np.testing.assert_allclose(got, want, rtol=1e-6)
    tnn.manual_seed(5)
    v = tnn.arange(5.0)[None, None, :, None].expand(1, 2, 5, 4)
    got = sdpa(tnn.ones(1, 2, 70, 4), tnn.ones(1, 2, 5, 4), v, dropout_p=0.5)[0, :, ::23, 0]
    np.testing.assert_allclose(got.tolist(), [[4.0, 0.0, 0.0, 2.4], [2.8, 0.4, 0.4, 1.2]], rtol=1e-6)
    following = tnn.rand(1).item()
    tnn.manual_seed(5)
    F.dropout(tnn.ones(1, 2, 70, 5), 0.5)
    assert tnn.rand(1).item() == following
    assert not sdpa(x, x, x, dropout_p=1.0).any()


def test_dropout_of_several_blocks_is_the_same_in_both_ways():
    arrays = draw((2, 2, 130, 8), (2, 2, 150, 8), (2, 2, 150, 8))
    results = []
    for way in (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH):
        leaves = [tnn.tensor(x, requires_grad=True) for x in arrays]
        tnn.manual_seed(1)
        with sdpa_kernel(way):
            out = sdpa(*leaves, dropout_p=0.3, is_causal=True)
        (out * out).sum().backward()
        results.append([out.detach().numpy(), *(t.grad.numpy() for t in leaves)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_layouts_of_parts_of_larger_arrays():
    """Queries, keys and values as a projection leaves them, and memory that no kernel can take as it is."""
    packed = draw((9, 2, 3 * 4 * 8))[0]
    parts = packed.reshape(9, 2, 3, 4, 8).transpose(2, 1, 3, 0, 4)
    want = reference(*(np.ascontiguousarray(p) for p in parts))
    t = tnn.tensor(packed, requires_grad=True)
    views = t.reshape(9, 2, 3, 4, 8).permute(2, 1, 3, 0, 4).unbind(0)
    np.testing.assert_allclose(sdpa(*views).detach().numpy(), want, rtol=1e-10)
    turned = [tnn.tensor(np.ascontiguousarray(p.swapaxes(-1, -2))).transpose(-1, -2) for p in parts]
    np.testing.assert_allclose(sdpa(*turned).numpy(), want, rtol=1e-10)
    sdpa(*views).sum().backward()
    twins = [tnn.tensor(np.ascontiguousarray(p), requires_grad=True) for p in parts]
    sdpa(*twins).sum().backward()
    apart = np.stack([x.grad.numpy() for x in twins]).transpose(3, 1, 0, 2, 4).reshape(9, 2, -1)
    np.testing.assert_allclose(t.grad.numpy(), apart, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 2, 300, 32), (4, 8, 128, 32)], ids=str)
@pytest.mark.parametrize("options", [{}, {"is_causal": True, "dropout_p": 0.2}], ids=["plain", "causal_dropout"])
def test_results_are_the_same_for_any_number_of_threads(shape, options):
    arrays = draw(shape, shape, shape, dtype=np.float32)
    before, results = tnn.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            tnn.set_num_threads(threads)
            leaves = [tnn.tensor(x, requires_grad=True) for x in arrays]
            tnn.manual_seed(0)
            out = sdpa(*leaves, **options)
            out.backward(tnn.ones_like(out))
            results.append([out.detach().numpy(), *(t.grad.numpy() for t in leaves)])
    finally:
        tnn.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def peak(length, **options):
    """Bytes that forward and backward at this length hold at most."""
    leaves = [tnn.tensor(x, requires_grad=True) for x in draw(*[(1, 1, length, 16)] * 3, dtype=np.float32)]
    sdpa(*leaves, **options).sum().backward()
    _pool.clear()
    tracemalloc.start()
    out = sdpa(*leaves, **options)
    out.sum().backward()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_grows_with_the_length_and_not_with_its_square():
    short, long = peak(1024), peak(8192)
    assert long < 9 * short and long < 8192 * 8192 * 4 / 10
    assert peak(8192, is_causal=True, dropout_p=0.1) < 8192 * 8192 * 4 / 10


ERRORS = {
    "type": (lambda x: sdpa(1, x, x), TypeError),
    "one_dimension": (lambda x: sdpa(x[0, 0, 0], x, x), RuntimeError),
    "dtypes": (lambda x: sdpa(x, x.double(), x), RuntimeError),
    "integers": (lambda x: sdpa(x.long(), x.long(), x.long()), RuntimeError),
    "depth": (lambda x: sdpa(x, x[..., :3], x), RuntimeError),
    "length": (lambda x: sdpa(x, x, x[:, :, :2]), RuntimeError),
    "batch": (lambda x: sdpa(x, tnn.zeros(1, 3, 3, 4), x), RuntimeError),
    "mask_dtype": (lambda x: sdpa(x, x, x, tnn.zeros(3, 3).double()), RuntimeError),
    "mask_integers": (lambda x: sdpa(x, x, x, tnn.zeros(3, 3).long()), RuntimeError),
    "mask_shape": (lambda x: sdpa(x, x, x, tnn.zeros(2, 3)), RuntimeError),
    "mask_larger": (lambda x: sdpa(x, x, x, tnn.zeros(2, 1, 3, 3)), RuntimeError),
    "mask_dimensions": (lambda x: sdpa(x, x, x, tnn.zeros(3)), IndexError),
    "dropout": (lambda x: sdpa(x, x, x, dropout_p=1.5), RuntimeError),
    "heads": (lambda x: sdpa(x, tnn.zeros(1, 3, 3, 4), tnn.zeros(1, 3, 3, 4), enable_gqa=True), RuntimeError),
    "no_heads": (lambda x: sdpa(x[0, 0], x[0, 0], x[0, 0], enable_gqa=True), IndexError),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error = ERRORS[name]
    with pytest.raises(error):
        call(tnn.zeros(1, 2, 3, 4))


def test_backends():
    x = tnn.ones(1, 1, 2, 4)
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
        assert sdpa(x, x, x).sum().item() == 8
    with pytest.raises(RuntimeError, match="No viable backend"), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        sdpa(x, x, x)
    assert sdpa(x, x, x).sum().item() == 8
    with pytest.raises(AssertionError), sdpa_kernel("math"):
        pass


def test_registered_implementations():
    class Handle:
        removed = False

        def remove(self):
            self.removed = True

    handle = Handle()
    register_flash_attention_impl("mine", register_fn=lambda: handle)
    assert "mine" in list_flash_attention_impls() and current_flash_attention_impl() is None
    activate_flash_attention_impl("mine")
    assert current_flash_attention_impl() == "mine"
    restore_flash_attention_impl()
    assert handle.removed and current_flash_attention_impl() is None
    with pytest.raises(ValueError, match="nothing"):
        activate_flash_attention_impl("nothing")
