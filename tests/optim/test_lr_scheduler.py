"""Learning rate schedules against PyTorch's rates."""

import copy
import warnings

import numpy as np
import pytest

import tnn
from tnn.optim import SGD, Adam, swa_utils
from tnn.optim import lr_scheduler as sched


def optimizer(**options):
    """Two groups, with rates 0.1 and 0.5."""
    a, b = (tnn.nn.Parameter(tnn.tensor([1.0])) for _ in range(2))
    return SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1, **options)


def trajectory(opt, scheduler, n=7, key="lr"):
    rows = []
    for _ in range(n):
        rows.append([g[key] for g in opt.param_groups])
        opt.step()
        scheduler.step()
    return np.array(rows)


MAKE = {
    "StepLR": lambda o: sched.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: sched.MultiStepLR(o, [1, 3, 3], 0.5),
    "ConstantLR": lambda o: sched.ConstantLR(o, 0.5, 3),
    "LinearLR": lambda o: sched.LinearLR(o, 0.25, 0.75, 4),
    "ExponentialLR": lambda o: sched.ExponentialLR(o, 0.5),
    "PolynomialLR": lambda o: sched.PolynomialLR(o, 4, 2.0),
    "CosineAnnealingLR": lambda o: sched.CosineAnnealingLR(o, 3, 0.01),
    "LambdaLR": lambda o: sched.LambdaLR(o, [lambda e: 1 / (1 + e), lambda e: 0.9**e]),
    "MultiplicativeLR": lambda o: sched.MultiplicativeLR(o, lambda e: 0.9),
    "CosineAnnealingWarmRestarts": lambda o: sched.CosineAnnealingWarmRestarts(o, 2, 2, 0.01),
    "CyclicLR": lambda o: sched.CyclicLR(o, 0.1, [0.4, 0.6], 2, 3, mode="triangular2", cycle_momentum=False),
    "CyclicLR-exp": lambda o: sched.CyclicLR(o, 0.1, 0.4, 2, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "OneCycleLR": lambda o: sched.OneCycleLR(o, 0.4, total_steps=8, cycle_momentum=False),
    "OneCycleLR-three": lambda o: sched.OneCycleLR(
        o, [0.4, 0.8], epochs=2, steps_per_epoch=5, three_phase=True, anneal_strategy="linear", cycle_momentum=False
    ),
    "SequentialLR": lambda o: sched.SequentialLR(
        o, [sched.LinearLR(o, 0.5, total_iters=2), sched.ExponentialLR(o, 0.5)], [3]
    ),
    "ChainedScheduler": lambda o: sched.ChainedScheduler([sched.StepLR(o, 2, 0.5), sched.ExponentialLR(o, 0.9)]),
    "SWALR": lambda o: swa_utils.SWALR(o, [0.05, 0.2], 3),
    "SWALR-linear": lambda o: swa_utils.SWALR(o, 0.05, 2, "linear"),
}

# the rates of both groups over seven epochs: PyTorch 2.13
RATES = {
    "StepLR": ([0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125], [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]),
    "MultiStepLR": ([0.1, 0.05, 0.05] + [0.0125] * 4, [0.5, 0.25, 0.25] + [0.0625] * 4),
    "ConstantLR": ([0.05] * 3 + [0.1] * 4, [0.25] * 3 + [0.5] * 4),
    "LinearLR": (
        [0.025, 0.0375, 0.05, 0.0625, 0.075, 0.075, 0.075],
        [0.125, 0.1875, 0.25, 0.3125, 0.375, 0.375, 0.375],
    ),
    "ExponentialLR": (
        [0.1, 0.05, 0.025, 0.0125, 0.00625, 0.003125, 0.0015625],
        [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
    ),
    "PolynomialLR": ([0.1, 0.05625, 0.025, 0.00625, 0, 0, 0], [0.5, 0.28125, 0.125, 0.03125, 0, 0, 0]),
    "CosineAnnealingLR": (
        [0.1, 0.0775, 0.0325, 0.01, 0.0325, 0.0775, 0.1],
        [0.5, 0.3775, 0.1325, 0.01, 0.1325, 0.3775, 0.5],
    ),
    "LambdaLR": (
        [0.1, 0.05, 0.033333333333, 0.025, 0.02, 0.016666666667, 0.014285714286],
        [0.5, 0.45, 0.405, 0.3645, 0.32805, 0.295245, 0.2657205],
    ),
    "MultiplicativeLR": (
        [0.1, 0.09, 0.081, 0.0729, 0.06561, 0.059049, 0.0531441],
        [0.5, 0.45, 0.405, 0.3645, 0.32805, 0.295245, 0.2657205],
    ),
    "CosineAnnealingWarmRestarts": (
        [0.1, 0.055, 0.1, 0.086819805153, 0.055, 0.023180194847, 0.1],
        [0.5, 0.255, 0.5, 0.428241161391, 0.255, 0.081758838609, 0.5],
    ),
    "CyclicLR": (
        [0.1, 0.25, 0.4, 0.3, 0.2, 0.1, 0.175],
        [0.1, 0.35, 0.6, 0.433333333333, 0.266666666667, 0.1, 0.225],
    ),
    "CyclicLR-exp": ([0.1, 0.235, 0.343, 0.20935, 0.1, 0.1885735, 0.2594323],) * 2,
    "OneCycleLR": (
        [0.016, 0.327710041957, 0.388776710955, 0.32469826158, 0.222393605649, 0.113224399283, 0.030656637534],
    ) * 2,
    "OneCycleLR-three": (
        [0.016, 0.208, 0.4, 0.208, 0.016, 0.01280032, 0.00960064],
        [0.032, 0.416, 0.8, 0.416, 0.032, 0.02560064, 0.01920128],
    ),
    "SequentialLR": ([0.05, 0.075, 0.1, 0.1, 0.05, 0.025, 0.0125], [0.25, 0.375, 0.5, 0.5, 0.25, 0.125, 0.0625]),
    "ChainedScheduler": (
        [0.1, 0.09, 0.0405, 0.03645, 0.0164025, 0.01476225, 0.0066430125],
        [0.5, 0.45, 0.2025, 0.18225, 0.0820125, 0.07381125, 0.0332150625],
    ),
    "SWALR": ([0.1, 0.0875, 0.0625] + [0.05] * 4, [0.5, 0.425, 0.275] + [0.2] * 4),
    "SWALR-linear": ([0.1, 0.075] + [0.05] * 5, [0.5, 0.275] + [0.05] * 5),
}  # fmt: skip

CLOSED = {
    "StepLR": [0.05, 0.1, 0.025],
    "MultiStepLR": [0.0125, 0.05, 0.0125],
    "ConstantLR": [0.1, 0.05, 0.1],
    "LinearLR": [0.0625, 0.0375, 0.075],
    "ExponentialLR": [0.0125, 0.05, 0.003125],
    "PolynomialLR": [0.00625, 0.05625, 0.0],
    "CosineAnnealingLR": [0.01, 0.0775, 0.0775],
}


@pytest.mark.parametrize("name", list(MAKE))
def test_rates(name):
    opt = optimizer()
    s = MAKE[name](opt)
    np.testing.assert_allclose(trajectory(opt, s).T, RATES[name], rtol=1e-9, atol=1e-11)
    assert s.get_last_lr() == [g["lr"] for g in opt.param_groups]


@pytest.mark.parametrize("name", list(CLOSED))
def test_closed_form(name):
    opt = optimizer()
    s = MAKE[name](opt)
    opt.step()
    got = []
    for epoch in (3, 1, 5):
        with pytest.warns(UserWarning, match="epoch parameter"):
            s.step(epoch)
        got.append(opt.param_groups[0]["lr"])
    np.testing.assert_allclose(got, CLOSED[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(MAKE))
def test_state_dict_goes_on_alike(name):
    opt = optimizer()
    s = MAKE[name](opt)
    trajectory(opt, s, 3)
    state = copy.deepcopy(s.state_dict())
    assert "optimizer" not in state
    other = optimizer()
    t = MAKE[name](other)
    other.load_state_dict(opt.state_dict())
    t.load_state_dict(state)
    np.testing.assert_allclose(trajectory(other, t, 4).T, np.array(RATES[name])[:, 3:], rtol=1e-9, atol=1e-11)
    assert state.keys() == s.state_dict().keys()


def test_momentum_goes_the_other_way():
    opt = optimizer(momentum=0.9)
    got = trajectory(opt, sched.OneCycleLR(opt, 0.4, total_steps=8), key="momentum")[:, 0]
    want = [0.95, 0.868825509907, 0.852805833485, 0.868825509907, 0.894401776195, 0.921694186956, 0.942336209961]
    np.testing.assert_allclose(got, want, rtol=1e-9)
    opt = optimizer(momentum=0.9)
    got = trajectory(opt, sched.CyclicLR(opt, 0.1, 0.4, 2), key="momentum")[:, 1]
    np.testing.assert_allclose(got, [0.9, 0.85, 0.8, 0.85, 0.9, 0.85, 0.8], rtol=1e-9)
    opt = Adam([tnn.nn.Parameter(tnn.tensor([1.0]))])
    s = sched.CyclicLR(opt, 0.1, 0.4, 2)
    opt.step()
    s.step()
    assert opt.param_groups[0]["betas"] == (pytest.approx(0.85), 0.999)


def test_going_on_from_an_epoch():
    opt = optimizer()
    with pytest.raises(KeyError, match="initial_lr"):
        sched.StepLR(opt, 3, last_epoch=4)
    for g in opt.param_groups:
        g["initial_lr"] = 1.0
    s = sched.CosineAnnealingLR(opt, 10, last_epoch=4)
    assert s.last_epoch == 5 and s.base_lrs == [1.0, 1.0]


def test_tensor_rates_keep_their_identity():
    lr = tnn.tensor(0.5)
    opt = SGD([tnn.nn.Parameter(tnn.tensor([1.0]))], lr=lr)
    s = sched.ExponentialLR(opt, 0.5)
    opt.step()
    s.step()
    assert opt.param_groups[0]["lr"] is lr and lr.item() == 0.25
    assert opt.param_groups[0]["initial_lr"].item() == 0.5


def test_order_of_calls():
    opt = optimizer()
    s = sched.StepLR(opt, 2)
    with pytest.warns(UserWarning, match="call of .lr_scheduler.step"):
        s.step()
    opt = optimizer()
    s = sched.StepLR(opt, 2)
    opt.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden"):
        s.step()
    opt = optimizer()
    s = sched.StepLR(opt, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step()
        s.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        s.get_lr()


def test_hooks_and_closures_still_work_under_a_scheduler():
    opt = optimizer()
    sched.StepLR(opt, 2)
    calls = []
    opt.register_step_post_hook(lambda *a: calls.append(1))
    assert opt.step(lambda: 3) == 3 and calls == [1]


def test_plateau():
    opt = optimizer()
    s = sched.ReduceLROnPlateau(opt, factor=0.5, patience=1, cooldown=1, min_lr=[0.04, 0.2])
    rates = []
    for metric in (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1):
        s.step(tnn.tensor(metric, dtype=tnn.float64))
        rates.append(opt.param_groups[0]["lr"])
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.04]
    assert opt.param_groups[1]["lr"] == 0.2 and s.get_last_lr() == [0.04, 0.2]
    other = sched.ReduceLROnPlateau(optimizer(), patience=9)
    other.load_state_dict(s.state_dict())
    assert other.best == 0.1 and other.patience == 1


@pytest.mark.parametrize(
    "mode, threshold_mode, metric, better",
    [
        ("min", "rel", 0.95, False), ("min", "rel", 0.85, True), ("min", "abs", 0.95, False), ("min", "abs", 0.85,
        True), ("max", "rel", 1.05, False), ("max", "rel", 1.15, True), ("max", "abs", 1.05, False), ("max", "abs",
        1.15, True),
    ],
)  # fmt: skip
def test_what_counts_as_better(mode, threshold_mode, metric, better):
    s = sched.ReduceLROnPlateau(optimizer(), mode, threshold=0.1, threshold_mode=threshold_mode)
    s.step(1.0)
    s.step(metric)
    assert (s.best == metric) is better and s.num_bad_epochs == (not better)


def test_plateau_after_a_group_was_added():
    opt = optimizer()
    s = sched.ReduceLROnPlateau(opt, patience=0)
    t = sched.ReduceLROnPlateau(opt, patience=0, min_lr=[0.0, 0.0])
    opt.add_param_group({"params": [tnn.nn.Parameter(tnn.tensor([1.0]))]})
    s.step(1.0)
    s.step(2.0)
    assert opt.param_groups[2]["lr"] == pytest.approx(0.01)
    t.step(1.0)
    with pytest.raises(RuntimeError, match="number of param groups"):
        t.step(2.0)


def test_warm_restarts_at_any_time():
    opt = optimizer()
    s = sched.CosineAnnealingWarmRestarts(opt, 2, 2)
    for epoch, current, length in ((0.5, 0.5, 2), (3, 1, 4), (6.5, 0.5, 8), (1, 1, 2)):
        s.step(epoch)
        assert (s.T_cur, s.T_i, s.last_epoch) == (current, length, int(epoch))
    with pytest.raises(ValueError, match="non-negative epoch"):
        s.step(-1)


class Half:
    """A callable object with state."""

    def __init__(self):
        self.base = 0.5

    def __call__(self, epoch):
        return self.base**epoch


def test_state_of_callable_objects_is_kept():
    for make in (
        lambda o, f: sched.LambdaLR(o, [f, lambda e: 1.0]),
        lambda o, f: sched.CyclicLR(o, 0.1, 0.4, 2, scale_fn=f, cycle_momentum=False),
    ):
        f, g = Half(), Half()
        s = make(optimizer(), f)
        f.base = 0.25
        make(optimizer(), g).load_state_dict(copy.deepcopy(s.state_dict()))
        assert g.base == 0.25


ERRORS = [
    (TypeError, "is not an Optimizer", lambda o: sched.StepLR(3, 1)),
    (TypeError, "is not an Optimizer", lambda o: sched.ReduceLROnPlateau(3)),
    (ValueError, "Expected 2 lr_lambdas, but got 1", lambda o: sched.LambdaLR(o, [abs])),
    (TypeError, "should be a function, but got float", lambda o: sched.MultiplicativeLR(o, [0.5, 0.5])),
    (ValueError, "between 0 and 1", lambda o: sched.ConstantLR(o, 1.1)),
    (ValueError, "greater than 0", lambda o: sched.LinearLR(o, 0)),
    (ValueError, "Ending multiplicative factor", lambda o: sched.LinearLR(o, 0.5, 1.5)),
    (ValueError, "positive integer T_0", lambda o: sched.CosineAnnealingWarmRestarts(o, 0)),
    (ValueError, "T_mult >= 1, but got 0", lambda o: sched.CosineAnnealingWarmRestarts(o, 1, 0)),
    (ValueError, "eta_min", lambda o: sched.CosineAnnealingWarmRestarts(o, 1, 1, "x")),
    (ValueError, "mode is invalid", lambda o: sched.CyclicLR(o, 0.1, 0.2, mode="x")),
    (ValueError, "same length", lambda o: sched.CyclicLR(o, [0.1], 0.2)),
    (ValueError, "either total_steps OR", lambda o: sched.OneCycleLR(o, 0.1)),
    (ValueError, "positive integer total_steps", lambda o: sched.OneCycleLR(o, 0.1, total_steps=-1)),
    (ValueError, "positive integer epochs", lambda o: sched.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=1)),
    (ValueError, "pct_start, but got 1.1", lambda o: sched.OneCycleLR(o, 0.1, total_steps=9, pct_start=1.1)),
    (ValueError, "instead got CATS", lambda o: sched.OneCycleLR(o, 0.1, total_steps=9, anneal_strategy="CATS")),
    (ValueError, "Factor should be < 1.0", lambda o: sched.ReduceLROnPlateau(o, factor=1.1)),
    (ValueError, "expected 2 min_lrs, got 1", lambda o: sched.ReduceLROnPlateau(o, min_lr=[0.1])),
    (ValueError, "mode x is unknown", lambda o: sched.ReduceLROnPlateau(o, "x")),
    (ValueError, "threshold mode x", lambda o: sched.ReduceLROnPlateau(o, threshold_mode="x")),
    (ValueError, "at least one scheduler", lambda o: sched.SequentialLR(o, [], [])),
    (ValueError, "one more than", lambda o: sched.SequentialLR(o, [sched.StepLR(o, 1)], [1])),
    (ValueError, "same optimizer", lambda o: sched.SequentialLR(o, [sched.StepLR(optimizer(), 1)], [])),
    (ValueError, "ReduceLROnPlateau", lambda o: sched.SequentialLR(o, [sched.ReduceLROnPlateau(o)], [])),
    (TypeError, "`optimizer` as its attribute", lambda o: sched.SequentialLR(o, [3], [])),
    (ValueError, "at least one scheduler", lambda o: sched.ChainedScheduler([])),
    (ValueError, "same optimizer", lambda o: sched.ChainedScheduler([sched.StepLR(optimizer(), 1)], o)),
    (TypeError, "`optimizer` as its attribute", lambda o: sched.ChainedScheduler([3])),
    (ValueError, "instead got exponential", lambda o: swa_utils.SWALR(o, 0.1, anneal_strategy="exponential")),
    (ValueError, "anneal_epochs must be", lambda o: swa_utils.SWALR(o, 0.1, anneal_epochs=-1)),
    (ValueError, "same length", lambda o: swa_utils.SWALR(o, [0.1])),
    (NotImplementedError, None, lambda o: sched.LRScheduler(o)),
]


@pytest.mark.parametrize("kind, text, make", ERRORS)
def test_errors(kind, text, make):
    with pytest.raises(kind, match=text):
        make(optimizer())


def test_more_errors():
    adagrad = tnn.optim.Adagrad([tnn.nn.Parameter(tnn.tensor([1.0]))])
    with pytest.raises(ValueError, match="momentum or beta1"):
        sched.CyclicLR(adagrad, 0.1, 0.2)
    opt = optimizer()
    s = sched.OneCycleLR(opt, 0.1, total_steps=2, cycle_momentum=False)
    opt.step()
    s.step()
    s.step()
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        s.step()
