"""Losses: the checks of every layer, references in NumPy, and errors."""

import numpy as np
import pytest
from check_layer import LayerCase, check_layer

import tnn
from tnn import nn
from tnn.nn import functional as F


def unit(rng, shape):
    return rng.uniform(0.05, 0.95, shape)


CLASSES = tnn.tensor([2, 0, 1])
PIXELS = tnn.tensor([[[0, 2], [1, 1]], [[2, -100], [0, 1]]])

CASES = [
    LayerCase("l1", lambda: nn.L1Loss(), ((3, 4), (3, 4))),
    LayerCase("mse", lambda: nn.MSELoss(), ((3, 4), (3, 4)), double=True),
    LayerCase("mse_none", lambda: nn.MSELoss(reduction="none"), ((3, 4), (3, 4)), double=True),
    LayerCase("smooth_l1", lambda: nn.SmoothL1Loss(beta=0.4), ((3, 4), (3, 4))),
    LayerCase("huber", lambda: nn.HuberLoss(delta=0.6, reduction="sum"), ((3, 4), (3, 4))),
    LayerCase("bce", lambda: nn.BCELoss(), ((3, 4), (3, 4)), draw=unit, double=True),
    LayerCase("bce_logits", lambda: nn.BCEWithLogitsLoss(), ((3, 4), (3, 4)), draw=unit, double=True),
    LayerCase("kl", lambda: nn.KLDivLoss(reduction="batchmean"), ((3, 4), (3, 4)), draw=unit, double=True),
    LayerCase("kl_log", lambda: nn.KLDivLoss(reduction="sum", log_target=True), ((3, 4), (3, 4)), double=True),
    LayerCase("poisson", lambda: nn.PoissonNLLLoss(), ((3, 4), (3, 4)), draw=unit, double=True),
    LayerCase("poisson_full", lambda: nn.PoissonNLLLoss(log_input=False, full=True), ((3, 4), (3, 4)), draw=unit),
    LayerCase("gaussian", lambda: nn.GaussianNLLLoss(), ((3, 4), (3, 4), (3, 4)), draw=unit, double=True),
    LayerCase("soft_margin", lambda: nn.SoftMarginLoss(), ((3, 4), (3, 4)), double=True),
    LayerCase("nll", lambda: nn.NLLLoss(weight=tnn.tensor([1.0, 2.0, 0.5])), ((3, 3),), (CLASSES,), double=True),
    LayerCase("nll_2d", lambda: nn.NLLLoss(reduction="none"), ((2, 3, 2, 2),), (PIXELS,), double=True),
    LayerCase("cross_entropy", lambda: nn.CrossEntropyLoss(), ((3, 3),), (CLASSES,), double=True),
    LayerCase("cross_entropy_smooth", lambda: nn.CrossEntropyLoss(tnn.tensor([1.0, 2.0, 0.5]), label_smoothing=0.2),
              ((2, 3, 2, 2),), (PIXELS,), double=True),
    LayerCase("cross_entropy_soft", lambda: nn.CrossEntropyLoss(label_smoothing=0.1), ((3, 4), (3, 4)), draw=unit,
              double=True),
    LayerCase("linear_cross_entropy", lambda: nn.LinearCrossEntropyLoss(4, 3, bias=True), ((3, 4),), (CLASSES,),
              half=False),
    LayerCase("multi_margin", lambda: nn.MultiMarginLoss(p=2), ((3, 3),), (CLASSES,), double=True),
    LayerCase("multilabel_margin", lambda: nn.MultiLabelMarginLoss(), ((2, 3),),
              (tnn.tensor([[2, 0, -1], [1, -1, 0]]),)),
    LayerCase("multilabel_soft", lambda: nn.MultiLabelSoftMarginLoss(), ((3, 4), (3, 4)), draw=unit),
    LayerCase("ranking", lambda: nn.MarginRankingLoss(0.3), ((4,), (4,)), (tnn.tensor([1.0, -1.0, 1.0, -1.0]),),
              half=False, empty=False),
    LayerCase("hinge", lambda: nn.HingeEmbeddingLoss(), ((4,),), (tnn.tensor([1.0, -1.0, 1.0, -1.0]),), half=False),
    LayerCase("cosine", lambda: nn.CosineEmbeddingLoss(0.1), ((3, 4), (3, 4)), (tnn.tensor([1, -1, 1]),)),
    LayerCase("triplet", lambda: nn.TripletMarginLoss(swap=True), ((3, 4), (3, 4), (3, 4))),
    LayerCase("triplet_distance", lambda: nn.TripletMarginWithDistanceLoss(), ((3, 4), (3, 4), (3, 4))),
    LayerCase("cosine_similarity", lambda: nn.CosineSimilarity(), ((3, 4), (3, 4)), double=True),
    LayerCase("pairwise", lambda: nn.PairwiseDistance(p=3), ((3, 4), (3, 4))),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_layer(case):
    check_layer(case)


def log_softmax(x, axis):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smooth", [0.0, 0.3])
def test_cross_entropy_follows_its_formula(reduction, smooth):
    rng = np.random.RandomState(0)
    x, t = rng.standard_normal((4, 5, 70)), rng.randint(0, 5, (4, 70))
    t[0, :3] = 1
    w = rng.uniform(0.5, 2, 5)
    logp = log_softmax(x, 1)
    q = np.eye(5)[t].transpose(0, 2, 1) * (1 - smooth) * w[t][:, None] + smooth / 5 * w[None, :, None]
    loss = -(q * logp).sum(1) * (t != 1)
    options = {"ignore_index": 1, "reduction": reduction, "label_smoothing": smooth}
    got = F.cross_entropy(tnn.tensor(x), tnn.tensor(t), tnn.tensor(w), **options)
    want = {"none": loss, "sum": loss.sum(), "mean": loss.sum() / (w[t] * (t != 1)).sum()}[reduction]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10)


def test_cross_entropy_of_large_logits_stays_finite():
    x = tnn.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    loss = F.cross_entropy(x, tnn.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 1000.0 and x.grad.tolist() == [[0.0, 0.0], [-0.5, 0.5]]


def test_mean_over_ignored_targets_alone_is_nan():
    loss = F.cross_entropy(tnn.zeros(2, 3), tnn.tensor([-100, -100]))
    assert np.isnan(loss.item())


def test_weighted_regression_means_divide_by_the_weights():
    x, t, w = tnn.tensor([1.0, 2.0]), tnn.tensor([0.0, 0.0]), tnn.tensor([1.0, 3.0])
    assert F.mse_loss(x, t, weight=w).item() == pytest.approx(13 / 4)
    assert F.l1_loss(x, t, weight=w, reduction="sum").item() == pytest.approx(7)


def test_reductions_of_large_inputs_are_the_same_for_any_number_of_threads():
    x = tnn.tensor(np.random.RandomState(0).standard_normal(200_001).astype(np.float32), requires_grad=True)
    before, results = tnn.get_num_threads(), []
    try:
        for threads in (1, 2):
            tnn.set_num_threads(threads)
            x.grad = None
            loss = F.mse_loss(x, tnn.zeros(200_001))
            loss.backward()
            results.append((loss.item(), x.grad.numpy().copy()))
    finally:
        tnn.set_num_threads(before)
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][0] == pytest.approx(float((x.detach().numpy().astype(np.float64) ** 2).mean()), rel=1e-6)


def ctc_by_enumeration(x, target, blank=0):
    """-log of the sum over all paths that collapse to the target."""
    from itertools import product

    steps, classes = x.shape
    total = 0.0
    for path in product(range(classes), repeat=steps):
        collapsed = [k for i, k in enumerate(path) if k != blank and (i == 0 or path[i - 1] != k)]
        if collapsed == list(target):
            total += np.exp(sum(x[t, k] for t, k in enumerate(path)))
    return -np.log(total) if total else np.inf


def test_ctc_sums_over_all_alignments():
    rng = np.random.RandomState(0)
    x = log_softmax(rng.standard_normal((4, 2, 3)), 2)
    targets = [[1, 2], [1, 1]]
    loss = F.ctc_loss(tnn.tensor(x), tnn.tensor(targets), [4, 3], [2, 2], reduction="none")
    want = [ctc_by_enumeration(x[:, 0], targets[0]), ctc_by_enumeration(x[:3, 1], targets[1])]
    np.testing.assert_allclose(loss.numpy(), want, rtol=1e-10)


def test_ctc_gradient_and_infinite_losses():
    rng = np.random.RandomState(0)
    logits = tnn.tensor(rng.standard_normal((5, 2, 4)), requires_grad=True)
    targets = tnn.tensor([1, 2, 3, 3])

    def loss(z):
        return F.ctc_loss(z.log_softmax(2), targets, tnn.tensor([5, 4]), tnn.tensor([2, 2]), reduction="sum")

    assert tnn.autograd.gradcheck(loss, (logits,))
    short = logits.detach()[:1].requires_grad_()
    out = F.ctc_loss(short.log_softmax(2), targets, [1, 1], [2, 2], zero_infinity=True)
    out.backward()
    assert out.item() == 0 and not short.grad.numpy().any()
    assert F.ctc_loss(short.detach().log_softmax(2), targets, [1, 1], [2, 2]).item() == np.inf


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, float("inf")])
def test_cdist_and_pdist_follow_the_norm(p):
    rng = np.random.RandomState(0)
    a, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4))
    d = np.abs(a[:, :, None] - b[:, None])
    want = (d != 0).sum(-1) if p == 0 else d.max(-1) if p == float("inf") else (d**p).sum(-1) ** (1 / p)
    np.testing.assert_allclose(tnn.cdist(tnn.tensor(a), tnn.tensor(b), p).numpy(), want, rtol=1e-9)
    square = tnn.cdist(tnn.tensor(a[0]), tnn.tensor(a[0]), p).numpy()
    np.testing.assert_allclose(F.pdist(tnn.tensor(a[0]), p).numpy(), square[np.triu_indices(3, 1)], rtol=1e-9)
    if p >= 1:
        x, y = tnn.tensor(a, requires_grad=True), tnn.tensor(b, requires_grad=True)
        assert tnn.autograd.gradcheck(lambda x, y: tnn.cdist(x, y, p), (x, y))
        assert tnn.autograd.gradcheck(lambda x: F.pdist(x[0], p), (x,))


@pytest.mark.parametrize(
    "call,error",
    [
        (lambda x: F.cross_entropy(x, tnn.tensor([0, 3])), IndexError),
        (lambda x: F.cross_entropy(x, tnn.tensor([0, -1])), IndexError),
        (lambda x: F.cross_entropy(x, tnn.tensor([0])), ValueError),
        (lambda x: F.cross_entropy(x, tnn.tensor([0, 1]), weight=tnn.ones(2)), RuntimeError),
        (lambda x: F.cross_entropy(x, tnn.tensor([0, 1]), label_smoothing=2.0), RuntimeError),
        (lambda x: F.nll_loss(x, tnn.tensor([0.0, 1.0])), RuntimeError),
        (lambda x: F.mse_loss(x, x, reduction="median"), ValueError),
        (lambda x: F.mse_loss(x, tnn.zeros(3, 2)), RuntimeError),
        (lambda x: F.binary_cross_entropy(x + 2, x), RuntimeError),
        (lambda x: F.binary_cross_entropy(x, x[:1]), ValueError),
        (lambda x: F.huber_loss(x, x, delta=0.0), RuntimeError),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), RuntimeError),
        (lambda x: F.multi_margin_loss(x, tnn.tensor([0, 3])), RuntimeError),
        (lambda x: F.multi_margin_loss(x, tnn.tensor([0, 1]), p=3), ValueError),
        (lambda x: F.multilabel_margin_loss(x, tnn.tensor([[0, 3, -1]] * 2)), RuntimeError),
        (lambda x: F.gaussian_nll_loss(x, x, -x - 1), ValueError),
        (lambda x: F.triplet_margin_loss(x, x, x, margin=-1), ValueError),
        (lambda x: F.ctc_loss(x[:, None], tnn.tensor([1, 7]), [2], [2]), RuntimeError),
        (lambda x: F.ctc_loss(x[:, None], tnn.tensor([1, 2]), [3], [2]), RuntimeError),
        (lambda x: tnn.cdist(x, tnn.zeros(2, 5)), RuntimeError),
        (lambda x: tnn.cdist(x, x, -1.0), RuntimeError),
        (lambda x: F.mse_loss(x.numpy(), x), TypeError),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_bad_arguments_raise(call, error):
    with pytest.raises(error):
        call(tnn.zeros(2, 3))


@pytest.mark.parametrize("loss", ["l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.parametrize("n", [5, 70_000])
def test_gradient_of_target(loss, n):
    rng = np.random.RandomState(0)
    x, t = (tnn.tensor(rng.standard_normal(n), requires_grad=True) for _ in range(2))
    g = tnn.tensor(rng.standard_normal(n))
    (getattr(F, loss)(x, t, reduction="none") * g).sum().backward()
    np.testing.assert_array_equal(t.grad.numpy(), -x.grad.numpy())
    alone = t.detach().requires_grad_()
    getattr(F, loss)(x.detach(), alone).backward()
    expected = getattr(F, loss)(x, alone.detach())
    x.grad = None
    expected.backward()
    np.testing.assert_array_equal(alone.grad.numpy(), -x.grad.numpy())


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "use_mm_for_euclid_dist_if_necessary"])
def test_cdist_by_product(mode):
    rng = np.random.RandomState(0)
    a, b = rng.standard_normal((2, 40, 6)), rng.standard_normal((2, 33, 6))
    b[0, 0] = a[0, 0]
    found = {}
    for how in (mode, "donot_use_mm_for_euclid_dist"):
        x, y = tnn.tensor(a, requires_grad=True), tnn.tensor(b, requires_grad=True)
        d = tnn.cdist(x, y, compute_mode=how)
        (d * d.detach().cos()).sum().backward()
        found[how] = d.detach().numpy(), x.grad.numpy()[1], y.grad.numpy()[1]
    for got, expected in zip(found[mode], found["donot_use_mm_for_euclid_dist"], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("n", [3, 3000])
def test_cosine_of_rows(n):
    rng = np.random.RandomState(0)
    a, b, g = rng.standard_normal((n, 16)), rng.standard_normal((n, 16)), rng.standard_normal(n)
    a[0] = 0
    found = []
    for dim, turn in ((1, lambda t: t), (0, lambda t: t.t())):
        x, y = tnn.tensor(a, requires_grad=True), tnn.tensor(b, requires_grad=True)
        c = F.cosine_similarity(turn(x), turn(y), dim)
        c.backward(tnn.tensor(g))
        found.append((c.detach().numpy(), x.grad.numpy()[1:], y.grad.numpy()))
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_weight_of_another_precision():
    target = tnn.tensor([0, 1])
    for f in (F.nll_loss, F.cross_entropy, F.multi_margin_loss):
        for kinds in ((tnn.float32, tnn.float16), (tnn.bfloat16, tnn.float32), (tnn.float16, tnn.bfloat16)):
            with pytest.raises(RuntimeError, match="dtype"):
                f(tnn.ones(2, 3, dtype=kinds[0]), target, weight=tnn.ones(3, dtype=kinds[1]))
        with tnn.autocast("cpu"):
            loss = f(tnn.ones(2, 3, dtype=tnn.bfloat16), target, weight=tnn.ones(3))
        assert loss.dtype is tnn.float32


def test_poisson_nll_loss_of_counts():
    x = tnn.tensor([1, 2])
    np.testing.assert_allclose(F.poisson_nll_loss(x, x).item(), 2.5536690, rtol=1e-6)
    assert F.poisson_nll_loss(x, x, log_input=False, reduction="none").dtype is tnn.float32


def test_integers_are_not_implemented():
    for f in (F.mse_loss, F.huber_loss):
        with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
            f(tnn.tensor([1, 2]), tnn.tensor([1, 2]))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smooth", [0.0, 0.2])
def test_cross_entropy_of_many_positions(reduction, smooth):
    """More positions than one task takes, against operations on tensors."""
    tnn.manual_seed(0)
    x, w = tnn.randn(2, 5, 300, dtype=tnn.float64, requires_grad=True), tnn.rand(5, dtype=tnn.float64)
    t = tnn.randint(0, 5, (2, 300))
    t[0, 7], t[1, 299] = 3, 3
    q = tnn.randn(2, 5, 300, dtype=tnn.float64).softmax(1)
    logp = x.log_softmax(1)
    one_hot = F.one_hot(t, 5).movedim(-1, 1).double()
    keep = t != 3
    wanted = {
        "classes": (-((1 - smooth) * one_hot + smooth / 5) * w.reshape(5, 1) * logp).sum(1) * keep,
        "soft": (-((1 - smooth) * q + smooth / 5) * w.reshape(5, 1) * logp).sum(1),
    }
    for kind, target in (("classes", t), ("soft", q)):
        options = {"ignore_index": 3} if kind == "classes" else {}
        y = F.cross_entropy(x, target, w, reduction=reduction, label_smoothing=smooth, **options)
        loss = wanted[kind]
        if reduction == "sum":
            loss = loss.sum()
        elif reduction == "mean":
            loss = loss.sum() / (w[t] * keep).sum() if kind == "classes" else loss.sum() / 600
        np.testing.assert_allclose(y.detach().numpy(), loss.detach().numpy(), rtol=1e-12)
        g = tnn.rand(y.shape, dtype=tnn.float64)
        (ours,) = tnn.autograd.grad(y, x, g, retain_graph=True)
        (theirs,) = tnn.autograd.grad(loss, x, g, retain_graph=True)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-11, atol=1e-15)


def test_margin_losses_follow_their_formulas():
    rng = np.random.default_rng(3)
    a, b, t = rng.normal(size=40), rng.normal(size=40), np.where(rng.random(40) < 0.5, 1.0, -1.0)
    a[0] = np.nan
    p, q, s = (tnn.tensor(v) for v in (a, b, t))
    ranking = F.margin_ranking_loss(p, q, s, margin=0.3, reduction="none")
    np.testing.assert_allclose(ranking.numpy(), np.maximum(-t * (a - b) + 0.3, 0), rtol=1e-14)
    hinge = F.hinge_embedding_loss(p, s, margin=0.5, reduction="none")
    np.testing.assert_allclose(hinge.numpy(), np.where(t == 1, a, np.maximum(0.5 - a, 0)), rtol=1e-14)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 6))
    x[1] = 0
    cos = (x * y).sum(1) / np.sqrt(((x * x).sum(1) + 1e-12) * ((y * y).sum(1) + 1e-12))
    got = F.cosine_embedding_loss(tnn.tensor(x), tnn.tensor(y), s, margin=0.1, reduction="none")
    np.testing.assert_allclose(got.numpy(), np.where(t == 1, 1 - cos, np.maximum(cos - 0.1, 0)), rtol=1e-12)
    z = rng.normal(size=(40, 6))
    near, far = (np.sqrt(((x - v + 1e-6) ** 2).sum(1)) for v in (y, z))
    got = F.triplet_margin_loss(*map(tnn.tensor, (x, y, z)), reduction="none")
    np.testing.assert_allclose(got.numpy(), np.maximum(near - far + 1, 0), rtol=1e-12)


def test_margin_losses_have_both_derivatives():
    tnn.manual_seed(1)
    a, b, c = (tnn.randn(5, 4, dtype=tnn.float64, requires_grad=True) for _ in range(3))
    s = tnn.tensor([1.0, -1.0, 1.0, -1.0, 1.0], dtype=tnn.float64)
    for loss, inputs in (
        (lambda a, b: F.margin_ranking_loss(a, b, s[:, None].expand(5, 4), 0.3), (a, b)),
        (lambda a: F.hinge_embedding_loss(a, s[:, None].expand(5, 4)), (a,)),
        (lambda a, b: F.cosine_embedding_loss(a, b, s, 0.1), (a, b)),
        (lambda a, b, c: F.triplet_margin_loss(a, b, c, 2.0), (a, b, c)),
        (lambda a, b, c: F.triplet_margin_loss(a, b, c, 2.0, swap=True), (a, b, c)),
        (lambda a, b: F.pairwise_distance(a, b, keepdim=True), (a, b)),
        (lambda a, b: F.pairwise_distance(a, b, 1.0), (a, b)),
        (lambda a, b: F.pairwise_distance(a, b, 3.0), (a, b)),
        (lambda a: F.binary_cross_entropy_with_logits(a, (b > 0).double(), pos_weight=c[0].detach() ** 2), (a,)),
    ):
        assert tnn.autograd.gradcheck(loss, inputs) and tnn.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("dtype, large", [(tnn.float32, 1e6), (tnn.float64, 1e15)])
def test_pairwise_distance_keeps_eps_beside_large_numbers(p, dtype, large):
    a = tnn.full((3, 37), large, dtype=dtype, requires_grad=True)
    distances = F.pairwise_distance(a, a.detach().clone(), p)
    distances.sum().backward()
    np.testing.assert_allclose(distances.detach().numpy(), 1e-6 * 37 ** (1 / p), rtol=1e-6)
    np.testing.assert_allclose(a.grad.numpy(), 37 ** (1 / p - 1), rtol=1e-6)



def test_nll_loss_names_a_target_that_is_no_class():
    for target in ([0, 5], [-1, 0]):
        for reduction in ("mean", "none"):
            with pytest.raises(IndexError, match="out of bounds"):
                F.nll_loss(tnn.zeros(2, 5), tnn.tensor(target), reduction=reduction)
    for loss, shape in ((F.multi_margin_loss, (2,)), (F.multilabel_margin_loss, (2, 5))):
        with pytest.raises(RuntimeError, match="out of range"):
            loss(tnn.zeros(2, 5), tnn.full(shape, 5))


@pytest.mark.parametrize("target", [3, -1, -(2**63), 2**63 - 1])
def test_multi_margin_loss_of_no_class(target):
    with pytest.raises(RuntimeError, match="target out of range: expected 0 <= target < 3"):
        F.multi_margin_loss(tnn.zeros(2, 3), tnn.tensor([0, target]))


def test_hinges_of_infinities_are_zero():
    inf = float("inf")
    x, zero, one = tnn.tensor([inf, 3.0]), tnn.zeros(2), tnn.ones(2)
    for loss in (
        F.margin_ranking_loss(x, zero, one, reduction="none"),
        F.hinge_embedding_loss(x, -one, reduction="none"),
        F.triplet_margin_with_distance_loss(
            zero, zero, x, distance_function=lambda a, b: (a - b).abs(), reduction="none"
        ),
    ):
        assert loss.tolist() == [0.0, 0.0]
        assert not np.signbit(loss.numpy()).any()


@pytest.mark.parametrize("n", [3, 64])
def test_triplet_margin_loss_keeps_the_margin_beside_large_distances(n):
    far = tnn.full((n,), 1e8, requires_grad=True)
    loss = F.triplet_margin_with_distance_loss(
        far, far, far.detach(), distance_function=lambda a, b: (a + b) / 2, margin=1.0, reduction="none"
    )
    assert loss.tolist() == [1.0] * n
    loss.sum().backward()
    assert far.grad.tolist() == [0.5] * n


@pytest.mark.boundscheck
def test_cross_entropy_of_no_classes():
    x = tnn.zeros(2, 0, 3, requires_grad=True)
    F.cross_entropy(x, tnn.full((2, 3), -100)).backward()
    assert x.grad.shape == (2, 0, 3)
