"""Every function of ``nn.functional`` on input that does not fit: an exception of PyTorch's kind before a kernel runs.

Each case is a call that works. It is repeated with one tensor after the other replaced: by something else than a
tensor, by integers, by another number of dimensions, by other sizes, and, where it holds indices, by indices out of
range.
"""

import warnings

import numpy as np
import pytest

import tnn
import tnn.nn.functional as F

pytestmark = pytest.mark.filterwarnings("ignore")

KINDS = (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError, AssertionError)


def f(*shape):
    """Floating-point numbers from 0.1 to 0.9."""
    return tnn.tensor(np.linspace(0.1, 0.9, int(np.prod(shape)), dtype=np.float32).reshape(shape))


def i(*values):
    """Integers that serve as indices."""
    return tnn.tensor(values)


V, M, S, IM, VO = (3,), (2, 3), (2, 3, 6), (2, 3, 6, 6), (1, 2, 4, 4, 4)
UNARY = (
    "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 rrelu selu sigmoid "
    "silu softplus softshrink softsign tanh tanhshrink dropout alpha_dropout feature_alpha_dropout normalize"
).split()
CASES = {name: (getattr(F, name), f(*M)) for name in UNARY}
CASES |= {
    "threshold": (F.threshold, f(*M), 0.1, 0.0),
    "prelu": (F.prelu, f(*M), f(3)),
    "glu": (F.glu, f(2, 4)),
    "softmax": (F.softmax, f(*M), 1),
    "softmin": (F.softmin, f(*M), 1),
    "log_softmax": (F.log_softmax, f(*M), 1),
    "gumbel_softmax": (F.gumbel_softmax, f(*M)),
    "linear": (F.linear, f(*M), f(4, 3), f(4)),
    "bilinear": (F.bilinear, f(*M), f(2, 4), f(5, 3, 4), f(5)),
    "conv1d": (F.conv1d, f(*S), f(4, 3, 2), f(4)),
    "conv2d": (F.conv2d, f(*IM), f(4, 3, 2, 2), f(4)),
    "conv3d": (F.conv3d, f(*VO), f(3, 2, 2, 2, 2), f(3)),
    "conv_transpose1d": (F.conv_transpose1d, f(*S), f(3, 4, 2), f(4)),
    "conv_transpose2d": (F.conv_transpose2d, f(*IM), f(3, 4, 2, 2), f(4)),
    "conv_transpose3d": (F.conv_transpose3d, f(*VO), f(2, 3, 2, 2, 2), f(3)),
    "conv_tbc": (F.conv_tbc, f(5, 2, 3), f(2, 3, 4), f(4)),
    "unfold": (F.unfold, f(*IM), 2),
    "fold": (F.fold, f(2, 12, 9), (4, 4), 2),
    "pad": (F.pad, f(*IM), (1, 1)),
    "pad reflect": (lambda x: F.pad(x, (1, 1), mode="reflect"), f(*S)),
    "dropout1d": (F.dropout1d, f(*S)),
    "dropout2d": (F.dropout2d, f(*IM)),
    "dropout3d": (F.dropout3d, f(*VO)),
    "embedding": (F.embedding, i(0, 2, 1), f(4, 3)),
    "embedding_bag": (F.embedding_bag, i(0, 2, 1), f(4, 3), i(0, 2)),
    "one_hot": (lambda t: F.one_hot(t, 4), i(0, 2, 1)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (3,), w, b), f(*M), f(3), f(3)),
    "rms_norm": (lambda x, w: F.rms_norm(x, (3,), w), f(*M), f(3)),
    "group_norm": (lambda x, w, b: F.group_norm(x, 3, w, b), f(*S), f(3), f(3)),
    "batch_norm": (lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b), f(*S), f(3), f(3), f(3), f(3)),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, None, None, w, b), f(*S), f(3), f(3)),
    "local_response_norm": (F.local_response_norm, f(*S), 2),
    "cosine_similarity": (F.cosine_similarity, f(*M), f(*M)),
    "pairwise_distance": (F.pairwise_distance, f(*M), f(*M)),
    "pdist": (F.pdist, f(*M)),
    "l1_loss": (F.l1_loss, f(*M), f(*M)),
    "mse_loss": (F.mse_loss, f(*M), f(*M)),
    "smooth_l1_loss": (F.smooth_l1_loss, f(*M), f(*M)),
    "huber_loss": (F.huber_loss, f(*M), f(*M)),
    "binary_cross_entropy": (F.binary_cross_entropy, f(*M), f(*M), f(*M)),
    "with_logits": (F.binary_cross_entropy_with_logits, f(*M), f(*M), f(*M)),
    "kl_div": (F.kl_div, f(*M), f(*M)),
    "poisson_nll_loss": (F.poisson_nll_loss, f(*M), f(*M)),
    "gaussian_nll_loss": (F.gaussian_nll_loss, f(*M), f(*M), f(*M)),
    "soft_margin_loss": (F.soft_margin_loss, f(*M), f(*M)),
    "cross_entropy": (F.cross_entropy, f(*M), i(0, 2), f(3)),
    "nll_loss": (F.nll_loss, f(*M), i(0, 2), f(3)),
    "nll_loss images": (F.nll_loss, f(2, 3, 2, 2), i(0, 2, 1, 0, 1, 2, 1, 0).reshape(2, 2, 2)),
    "multi_margin_loss": (F.multi_margin_loss, f(*M), i(0, 2)),
    "multilabel_margin_loss": (F.multilabel_margin_loss, f(*M), i(0, 2, -1, 1, -1, -1).reshape(2, 3)),
    "multilabel_soft_margin_loss": (F.multilabel_soft_margin_loss, f(*M), f(*M)),
    "margin_ranking_loss": (F.margin_ranking_loss, f(*M), f(*M), f(*M)),
    "hinge_embedding_loss": (F.hinge_embedding_loss, f(*M), f(*M)),
    "cosine_embedding_loss": (F.cosine_embedding_loss, f(*M), f(*M), f(2)),
    "triplet_margin_loss": (F.triplet_margin_loss, f(*M), f(*M), f(*M)),
    "triplet_with_distance": (F.triplet_margin_with_distance_loss, f(*M), f(*M), f(*M)),
    "ctc_loss": (F.ctc_loss, f(5, 2, 4), i(1, 2, 3, 1).reshape(2, 2), i(5, 4), i(2, 2)),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2), f(*IM)),
    "bilinear resize": (lambda x: F.interpolate(x, size=(3, 4), mode="bilinear"), f(*IM)),
    "grid_sample": (F.grid_sample, f(*IM), f(2, 4, 4, 2)),
    "affine_grid": (lambda t: F.affine_grid(t, (2, 3, 4, 4)), f(2, 2, 3)),
    "pixel_shuffle": (F.pixel_shuffle, f(1, 4, 2, 2), 2),
    "pixel_unshuffle": (F.pixel_unshuffle, f(1, 1, 4, 4), 2),
    "channel_shuffle": (F.channel_shuffle, f(1, 4, 2, 2), 2),
    "attention": (F.scaled_dot_product_attention, f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4), f(3, 5)),
    "max_unpool1d": (F.max_unpool1d, f(1, 2, 3), i(0, 2, 4, 1, 3, 5).reshape(1, 2, 3), 2),
    "max_unpool2d": (F.max_unpool2d, f(1, 1, 2, 2), i(0, 2, 8, 15).reshape(1, 1, 2, 2), 2),
}
for nd, shape in ((1, S), (2, IM), (3, VO)):
    for kind in ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool"):
        CASES[f"{kind}{nd}d"] = (getattr(F, f"{kind}{nd}d"), f(*shape), 2)
    CASES[f"lp_pool{nd}d"] = (getattr(F, f"lp_pool{nd}d"), f(*shape), 2.0, 2)
for nd, shape in ((2, IM), (3, VO)):
    CASES[f"fractional_max_pool{nd}d"] = (getattr(F, f"fractional_max_pool{nd}d"), f(*shape), 2, 2)

INDICES = {  # case -> the arguments that hold indices
    "embedding": (0,), "embedding_bag": (0, 2), "one_hot": (0,), "cross_entropy": (1,), "nll_loss": (1,),
    "nll_loss images": (1,), "multi_margin_loss": (1,), "multilabel_margin_loss": (1,), "ctc_loss": (1, 2, 3),
    "max_unpool1d": (1,), "max_unpool2d": (1,),
}  # fmt: skip


def _spoiled(t):
    """What else could stand in a tensor's place."""
    yield "a string", "x"
    yield "an array", t.numpy()
    yield "None in a list", [None]
    yield "integers", t.long() if t.is_floating_point() else t.float()
    yield "bools", t.bool()
    yield "no dimension", t.reshape(-1)[0]
    yield "three more dimensions", t[None, None, None]
    yield "a longer last dimension", tnn.cat([t, t[..., :1]], -1)
    if t.ndim > 1:
        yield "a longer first dimension", tnn.cat([t, t[:1]])
        yield "a longer second dimension", tnn.cat([t, t[:, :1]], 1)
        yield "one dimension less", t[0]
    yield "no elements", t[:0]
    yield "no last elements", t[..., :0]


def _raises_well(fn, args, what):
    """The exception's type, None where the call went through; fails for an exception of no known kind."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fn(*args)
    except KINDS as e:
        assert type(e).__module__ == "builtins" and str(e), f"{what}: {e!r}"
        return type(e)
    return None


@pytest.mark.boundscheck
@pytest.mark.parametrize("name", CASES)
def test_bad_input(name):
    fn, *args = CASES[name]
    fn(*args)
    for at, t in enumerate(args):
        if not isinstance(t, tnn.Tensor):
            continue
        for what, other in _spoiled(t):
            bad = [*args[:at], other, *args[at + 1 :]]
            kind = _raises_well(fn, bad, f"{name}, argument {at}: {what}")
            if not isinstance(other, tnn.Tensor) and not (name == "ctc_loss" and at > 1):
                assert kind is TypeError, f"{name}, argument {at}: {what}: {kind}"


@pytest.mark.boundscheck
@pytest.mark.parametrize("name", INDICES)
def test_indices_out_of_range(name):
    fn, *args = CASES[name]
    for at in INDICES[name]:
        for value in (-7, 1000, 2**40, -(2**40)):
            bad = args[at].clone()
            bad.reshape(-1)[-1] = value
            call = [*args[:at], bad, *args[at + 1 :]]
            kind = _raises_well(fn, call, f"{name}: {value}")
            assert kind in (IndexError, RuntimeError, ValueError), (name, at, value)
