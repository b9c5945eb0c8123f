"""Dropout: PyTorch 2.13's masks for the same seed, gradients, in-place forms, errors; the layers over it."""

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn import functional as F

FORMS = {
    "dropout": (F.dropout, nn.Dropout, (4, 5)),
    "alpha_dropout": (F.alpha_dropout, nn.AlphaDropout, (4, 5)),
    "dropout1d": (F.dropout1d, nn.Dropout1d, (3, 4, 5)),
    "dropout2d": (F.dropout2d, nn.Dropout2d, (3, 4, 2, 3)),
    "dropout3d": (F.dropout3d, nn.Dropout3d, (2, 3, 2, 1, 2)),
    "feature_alpha_dropout": (F.feature_alpha_dropout, nn.FeatureAlphaDropout, (3, 4, 2)),
}
BOTH = [(name, dtype) for name in FORMS for dtype in (tnn.float32, tnn.float64)]

ALPHA = 1.7580993408473766


def seeded(x, form, p=0.4, inplace=False, seed=2):
    tnn.manual_seed(seed)
    return FORMS[form][0](x, p, True, inplace)


# (form, p, shape of ones, what PyTorch gives after manual_seed(2))
GOLDEN = [
    ("dropout", 0.25, (12,), [0, 4 / 3, 4 / 3, 4 / 3, 0, 4 / 3, 4 / 3, 4 / 3, 4 / 3, 4 / 3, 4 / 3, 4 / 3]),
    ("alpha_dropout", 0.25, (5,), [-1.1435441882094726, *[1.2484393199277575] * 3, -1.1435441882094726]),
    ("dropout2d", 0.5, (2, 3, 1, 2), [0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
    (
        "feature_alpha_dropout",
        0.5,
        (2, 3, 2),
        [*[-0.7791939305180315] * 2, *[1.6655988251839635] * 2, *[-0.7791939305180315] * 8],
    ),
]


@pytest.mark.parametrize(("form", "p", "shape", "expected"), GOLDEN)
def test_same_mask_as_pytorch(form, p, shape, expected):
    y = seeded(tnn.ones(shape, dtype=tnn.float64), form, p)
    np.testing.assert_allclose(y.numpy().reshape(-1), expected, rtol=1e-14)


def test_a_transposed_input_is_drawn_in_the_order_of_memory():
    x = tnn.ones(3, 4).t()
    y = seeded(x, "dropout", 0.5)
    assert y.numpy().reshape(-1).tolist() == [0, 0, 0, 2, 0, 2, 0, 2, 2, 0, 2, 0]
    assert y.stride() == x.stride()


@pytest.mark.parametrize(("form", "dtype"), BOTH)
def test_forward_against_a_mask(form, dtype):
    """The result is what the mask (read off a draw over ones) says for any input."""
    shape, p = FORMS[form][2], 0.4
    kept = seeded(tnn.ones(shape, dtype=dtype), form, p).numpy() > 0.5
    assert kept.any() and not kept.all()
    if form in ("dropout", "alpha_dropout"):
        assert len(np.unique(kept.reshape(-1, shape[-1]), axis=0)) > 1
    else:
        rows = kept.reshape(shape[0] * shape[1], -1)
        assert (rows == rows[:, :1]).all()
    x = tnn.tensor(np.random.RandomState(0).randn(*shape), dtype=dtype)
    y = seeded(x, form, p).numpy()
    if "alpha" in form:
        a = ((ALPHA**2 * p + 1) * (1 - p)) ** -0.5
        expected = a * np.where(kept, x.numpy(), -ALPHA) + ALPHA * a * p
    else:
        expected = np.where(kept, x.numpy() / (1 - p), 0)
    np.testing.assert_allclose(y, expected, rtol=1e-12 if dtype is tnn.float64 else 1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_gradients(form):
    x = tnn.tensor(np.random.RandomState(0).randn(*FORMS[form][2]), requires_grad=True)
    assert tnn.autograd.gradcheck(lambda x: seeded(x, form), (x,))
    assert tnn.autograd.gradgradcheck(lambda x: seeded(x, form), (x,))


def test_gradient_of_a_transposed_input():
    x = tnn.tensor(np.random.RandomState(0).randn(3, 4), requires_grad=True)
    assert tnn.autograd.gradcheck(lambda x: seeded(x.t(), "dropout"), (x,))


@pytest.mark.parametrize("form", FORMS)
def test_inplace(form):
    data = np.random.RandomState(0).randn(*FORMS[form][2])
    expected = seeded(tnn.tensor(data), form)
    x = tnn.tensor(data)
    assert seeded(x, form, inplace=True) is x
    assert (x.numpy() == expected.numpy()).all()
    leaf = tnn.tensor(data, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        seeded(leaf, form, inplace=True)
    z = seeded(leaf.clone(), form, inplace=True)
    z.backward(tnn.ones_like(z))
    other = tnn.tensor(data, requires_grad=True)
    seeded(other, form).backward(tnn.ones_like(z))
    assert (leaf.grad.numpy() == other.grad.numpy()).all() and other.grad.numpy().any()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_happens_outside_training_and_for_p_0(form):
    function, layer, shape = FORMS[form]
    x = tnn.ones(shape, requires_grad=True)
    state = tnn.get_rng_state().numpy().copy()
    assert function(x, 0.5, False) is x and function(x, 0.0, True) is x and layer(0.5).eval()(x) is x
    assert (tnn.get_rng_state().numpy() == state).all()


@pytest.mark.parametrize("form", FORMS)
def test_p_1_gives_zeros(form):
    x = tnn.ones(FORMS[form][2], requires_grad=True)
    y = seeded(x, form, 1.0)
    y.backward(tnn.ones_like(y))
    assert (y.detach().numpy() == 0).all() and (x.grad.numpy() == 0).all()


def test_a_dropped_infinity_is_nan():
    assert np.isnan(F.dropout(tnn.tensor([float("inf")]), 1.0).numpy()).all()


@pytest.mark.parametrize("dtype", [tnn.float16, tnn.bfloat16])
def test_half_precision(dtype):
    x = tnn.tensor(np.random.RandomState(0).randn(40), dtype=dtype)
    y = seeded(x, "dropout", 0.5)
    assert y.dtype is dtype
    assert (y.float().numpy() == seeded(x.float(), "dropout", 0.5).numpy()).all()


def test_large_input_takes_the_parallel_backward():
    x = tnn.ones(300, 300, requires_grad=True)
    y = F.dropout(x, 0.3)
    y.backward(tnn.ones_like(y))
    assert (x.grad.numpy() == y.detach().numpy()).all()
    assert abs(y.detach().numpy().mean() - 1) < 0.02
    x = tnn.ones(300, 40, 10, requires_grad=True)
    y = F.dropout1d(x, 0.3)
    y.backward(tnn.ones_like(y))
    assert (x.grad.numpy() == y.detach().numpy()).all()


def test_unbatched_and_empty():
    assert F.dropout1d(tnn.ones(4, 5)).shape == (4, 5)
    y = seeded(tnn.ones(6, 2, 2, 2), "dropout3d", 0.5).numpy().reshape(6, -1)
    assert (y == y[:, :1]).all() and len(np.unique(y[:, 0])) == 2
    assert F.dropout(tnn.ones(0, 3)).shape == (0, 3)
    assert F.dropout2d(tnn.ones(0, 3, 2, 2)).shape == (0, 3, 2, 2)
    assert F.dropout(tnn.ones(())).shape == ()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "between 0 and 1, but got 1.5", lambda: F.dropout(tnn.ones(2), 1.5)),
        (ValueError, "between 0 and 1, but got -0.1", lambda: F.dropout2d(tnn.ones(2, 3, 1, 1), -0.1)),
        (ValueError, "between 0 and 1, but got 2", lambda: nn.Dropout(2)),
        (RuntimeError, "Long", lambda: F.dropout(tnn.ones(2, dtype=tnn.int64))),
        (RuntimeError, "2D or 3D", lambda: F.dropout1d(tnn.ones(2, 3, 4, 5))),
        (RuntimeError, "at least 2 dimensions", lambda: F.feature_alpha_dropout(tnn.ones(2), 0.5, True)),
        (TypeError, "must be Tensor", lambda: F.dropout([1.0])),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_odd_numbers_of_dimensions_warn():
    with pytest.warns(UserWarning, match="3D input"):
        F.dropout2d(tnn.ones(2, 3, 4))
    with pytest.warns(UserWarning, match="3-D input"):
        F.dropout3d(tnn.ones(2, 3, 4))


@pytest.mark.parametrize("form", FORMS)
def test_layers(form):
    function, layer, shape = FORMS[form]
    m = layer(0.3)
    x = tnn.ones(shape)
    tnn.manual_seed(4)
    y = m(x)
    tnn.manual_seed(4)
    assert (y.numpy() == function(x, 0.3, True).numpy()).all()
    assert repr(m) == f"{layer.__name__}(p=0.3, inplace=False)"
    assert not list(m.parameters()) and not m.state_dict()


@pytest.mark.boundscheck
@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (1, 1, 300, 300)])
def test_a_single_feature_is_kept_or_dropped_as_a_whole(shape):
    """One draw for all of it, in a small array and in one that threads share; the gradient likewise."""
    seen = set()
    for seed in range(8):
        x = tnn.ones(shape, requires_grad=True)
        y = seeded(x, "dropout2d", 0.5, seed=seed)
        values = set(y.detach().flatten().tolist())
        assert len(values) == 1
        seen |= values
        y.sum().backward()
        assert x.grad.tolist() == y.tolist()
    assert seen == {0.0, 2.0}


def test_features_of_nothing():
    for shape in ((0, 2, 3), (2, 0, 3), (2, 3, 0)):
        assert tnn.feature_dropout(tnn.ones(shape), 0.5, True).shape == shape
