"""What all optimizers share: groups, errors, hooks, state dicts."""

import copy
import pickle

import numpy as np
import pytest

import tnn
from tnn import optim
from tnn.optim import optimizer as base

SIMPLE = [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD", "Adafactor",
]  # fmt: skip


def param(*values):
    return tnn.nn.Parameter(tnn.tensor(np.array(values or (1.0, 2.0))))


def stepped(name, p, n=2, **options):
    opt = getattr(optim, name)([p], **options)
    for k in range(n):
        p.grad = tnn.tensor(np.full(p._data.shape, 1.0 + k))
        opt.step()
    return opt


# -- groups


def test_groups_have_options_of_their_own():
    a, b = param(1.0), param(1.0)
    opt = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    assert [g["lr"] for g in opt.param_groups] == [0.1, 0.5]
    a.grad = b.grad = tnn.tensor(np.ones(1))
    opt.step()
    assert (a.item(), b.item()) == (0.9, 0.5)
    c = param(3.0)
    opt.add_param_group({"params": (p for p in [c]), "momentum": 0.9})
    assert opt.param_groups[2]["params"] == [c] and opt.param_groups[2]["lr"] == 0.1


def test_default_options_are_pytorchs():
    want = {
        "lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-08, "weight_decay": 0, "amsgrad": False, "maximize": False,
        "foreach": None, "capturable": False, "differentiable": False, "fused": None, "decoupled_weight_decay": False,
    }  # fmt: skip
    assert list(optim.Adam([param()]).defaults.items()) == list(want.items())
    assert optim.AdamW([param()]).defaults["weight_decay"] == 0.01
    assert optim.SGD([param()]).defaults["lr"] == 0.001
    assert optim.Rprop([param()]).defaults["step_sizes"] == (1e-6, 50)
    assert optim.LBFGS([param()]).defaults["max_eval"] == 25
    assert optim.Muon([tnn.nn.Parameter(tnn.zeros(2, 2))]).defaults["ns_coefficients"] == (3.4445, -4.775, 2.0315)


def test_repr_lists_options():
    want = (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    fused: None\n"
        "    lr: 0.1\n    maximize: False\n    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)"
    )
    assert repr(optim.SGD([param()], lr=0.1)) == want
    two = repr(optim.SGD([{"params": [param()]}, {"params": [param()], "lr": 1.0}]))
    assert "weight_decay: 0\n\nParameter Group 1\n    dampening" in two


def test_named_parameters():
    a, b = param(), param()
    opt = optim.SGD([("a", a), ("b", b)])
    assert opt.param_groups[0]["param_names"] == ["a", "b"] and opt.param_groups[0]["params"] == [a, b]
    assert opt.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="without names"):
        opt.add_param_group({"params": [param()]})
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.SGD([("a", a), b])


def test_what_is_no_parameter_list_raises():
    a = param()
    with pytest.raises(TypeError, match="iterable of Tensors or dicts"):
        optim.SGD(a)
    with pytest.raises(ValueError, match="empty parameter list"):
        optim.SGD([])
    with pytest.raises(TypeError, match="can only optimize Tensors, but one of the params is int"):
        optim.SGD([3])
    with pytest.raises(TypeError, match="ordered collections"):
        optim.SGD([{"params": {a}}])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [a]}, {"params": [a]}])
    with pytest.raises(ValueError, match="non-leaf"):
        optim.SGD([a.view(2, 1)])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([a, a])
    with pytest.raises(TypeError, match="must be a dict"):
        optim.SGD([a]).add_param_group([param()])


@pytest.mark.parametrize(
    "name, options, text",
    [
        ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
        ("SGD", {"momentum": -0.5}, "Invalid momentum value: -0.5"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ("SGD", {"lr": "two"}, "Tensor lr must be 1-element"),
        ("Adam", {"betas": (1.0, 0.5)}, "Invalid beta parameter at index 0: 1.0"),
        ("Adam", {"betas": (0.5, -1.0)}, "Invalid beta parameter at index 1: -1.0"),
        ("Adam", {"betas": (0, 0.5)}, "betas must be either both floats or both Tensors"),
        ("Adam", {"lr": "one", "foreach": True}, "lr as a Tensor is not supported"),
        ("Adamax", {"eps": -1}, "Invalid epsilon value: -1"),
        ("NAdam", {"momentum_decay": -0.2}, "Invalid momentum_decay value: -0.2"),
        ("RAdam", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ("RMSprop", {"alpha": -1.0}, "Invalid alpha value: -1.0"),
        ("Rprop", {"etas": (1.0, 0.5)}, "Invalid eta values: 1.0, 0.5"),
        ("Adagrad", {"lr_decay": -0.5}, "Invalid lr_decay value: -0.5"),
        ("Adadelta", {"rho": 1.1}, "Invalid rho value: 1.1"),
        ("ASGD", {"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
        ("Adafactor", {"d": 0.0}, "Clipping threshold d should be >= 1 but is: 0.0"),
        ("Adafactor", {"beta2_decay": 0.8}, "beta2_decay should be <= 0 but is: 0.8"),
        ("Adafactor", {"eps": (-1, 1)}, "epsilon1 should be >= 0 but is: -1"),
        ("Adafactor", {"eps": (None, -1)}, "epsilon2 should be >= 0 but is: -1"),
        ("Adafactor", {"weight_decay": -1}, "weight_decay should be >= 0 but is: -1"),
        ("SparseAdam", {"lr": 0}, "Invalid learning rate: 0"),
        ("SparseAdam", {"eps": 0}, "Invalid epsilon value: 0"),
        ("Muon", {}, "only supports 2D parameters"),
        ("Muon", {"momentum": -1}, "momentum should be >= 0 but is: -1"),
        ("Muon", {"weight_decay": -1}, "weight decay should be >= 0 but is: -1"),
        ("Muon", {"adjust_lr_fn": "x"}, "Adjust learning rate function x is not supported"),
        ("LBFGS", {"lr": -1}, "Invalid learning rate: -1"),
    ],
)
def test_options_out_of_range(name, options, text):
    tensors = {"two": tnn.tensor([0.1, 0.2]), "one": tnn.tensor(0.1)}
    options = {k: tensors[v] if k == "lr" and isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(ValueError, match=text.replace("(", r"\(").replace(")", r"\)")):
        getattr(optim, name)([param()], **options)


def test_fused_excludes_foreach_and_differentiable():
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        with pytest.raises(RuntimeError, match="differentiable"):
            getattr(optim, name)([param()], fused=True, differentiable=True)
        with pytest.raises(RuntimeError, match="foreach"):
            getattr(optim, name)([param()], fused=True, foreach=True)


def test_required_options():
    class Needy(optim.Optimizer):
        def __init__(self, params, **options):
            super().__init__(params, {"lr": base.required, **options})

    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Needy([param()])
    assert Needy([{"params": [param()], "lr": 1}]).param_groups[0]["lr"] == 1


# -- step


def test_step_returns_the_closures_loss_and_records_in_it():
    p = param()
    opt = optim.SGD([p], lr=0.1)
    modes = []

    def closure():
        modes.append(tnn.is_grad_enabled())
        p.grad = tnn.tensor(np.ones(2))
        return 7

    with tnn.no_grad():
        assert opt.step(closure) == 7
    assert modes == [True] and p.tolist() == [0.9, 1.9]
    assert opt.step() is None


def test_parameters_without_gradient_rest():
    a, b = param(), param()
    opt = optim.Adam([a, b])
    b.grad = tnn.tensor(np.ones(2))
    opt.step()
    assert a.tolist() == [1.0, 2.0] and a not in opt.state
    assert list(opt.state) == [b]


def test_zero_grad():
    p = param()
    opt = optim.SGD([p])
    p.grad = g = tnn.tensor(np.ones(2))
    opt.zero_grad(set_to_none=False)
    assert p.grad is g and g.tolist() == [0.0, 0.0]
    opt.zero_grad()
    assert p.grad is None


def test_a_subclass_of_ones_own():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr=1.0):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data._data[...] -= group["lr"] * np.sign(p.grad.numpy())

    p = param()
    opt = Sign([p], lr=0.5)
    calls = []
    opt.register_step_post_hook(lambda *a: calls.append(1))
    p.grad = tnn.tensor(np.array([3.0, -3.0]))
    opt.step()
    assert p.tolist() == [0.5, 2.5] and calls == [1]
    with pytest.raises(NotImplementedError):
        optim.Optimizer([param()], {}).step()


# -- hooks


def test_step_hooks_run_in_order_and_can_be_removed():
    p = param()
    opt = optim.SGD([p])
    calls = []

    def note(name):
        return lambda o, args, kwargs: calls.append((name, o is opt, args[1:]))

    handles = [
        base.register_optimizer_step_pre_hook(note("global pre")),
        base.register_optimizer_step_post_hook(note("global post")),
        opt.register_step_pre_hook(note("pre")),
        opt.register_step_post_hook(note("post")),
    ]
    opt.step()
    assert [c[0] for c in calls] == ["global pre", "pre", "post", "global post"]
    assert all(c[1] and c[2] == () for c in calls)
    for h in handles:
        h.remove()
    opt.step()
    assert len(calls) == 4


def test_pre_hook_changes_the_arguments():
    p = param()
    opt = optim.SGD([p])
    handle = opt.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 5), {}))
    assert opt.step() == 5
    handle.remove()
    opt.register_step_pre_hook(lambda *a: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        opt.step()


def test_state_dict_hooks():
    p = param()
    opt = optim.SGD([p])
    order = []
    opt.register_state_dict_pre_hook(lambda o: order.append("second"))
    opt.register_state_dict_pre_hook(lambda o: order.append("first"), prepend=True)
    opt.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1})
    state = opt.state_dict()
    assert order == ["first", "second"] and state["extra"] == 1
    opt.register_load_state_dict_pre_hook(lambda o, d: {**d, "param_groups": [{**d["param_groups"][0], "lr": 9.0}]})
    opt.register_load_state_dict_post_hook(lambda o: order.append("loaded"))
    opt.load_state_dict(state)
    assert opt.param_groups[0]["lr"] == 9.0 and order[-1] == "loaded"


# -- state dicts


STATES = {
    "SGD": set(),
    "Adam": {"step", "exp_avg", "exp_avg_sq"},
    "AdamW": {"step", "exp_avg", "exp_avg_sq"},
    "Adamax": {"step", "exp_avg", "exp_inf"},
    "NAdam": {"step", "mu_product", "exp_avg", "exp_avg_sq"},
    "RAdam": {"step", "exp_avg", "exp_avg_sq"},
    "RMSprop": {"step", "square_avg"},
    "Rprop": {"step", "prev", "step_size"},
    "Adagrad": {"step", "sum"},
    "Adadelta": {"step", "square_avg", "acc_delta"},
    "ASGD": {"step", "eta", "mu", "ax"},
    "Adafactor": {"step", "variance"},
}


@pytest.mark.parametrize("name", SIMPLE)
def test_state_dict_round_trip_goes_on_alike(name):
    options = {"momentum": 0.9} if name == "SGD" else {}
    p = param()
    opt = stepped(name, p, **options)
    state = opt.state_dict()
    names = STATES[name] or {"momentum_buffer"}
    assert set(state["state"]) == {0} and set(state["state"][0]) == names
    if "step" in names:
        step = state["state"][0]["step"]
        assert step.shape == () and step.dtype is tnn.float32 and step.item() == 2.0
    assert state["param_groups"][0]["params"] == [0]

    q = param(*p.tolist())
    other = getattr(optim, name)([q])
    other.load_state_dict(copy.deepcopy(state))
    for a, o in ((p, opt), (q, other)):
        a.grad = tnn.tensor(np.array([0.3, -0.7]))
        o.step()
    # loading casts mu_product to float64, as PyTorch does, so that its next product rounds otherwise
    np.testing.assert_allclose(q.tolist(), p.tolist(), rtol=1e-6 if name == "NAdam" else 0)


def test_load_casts_states_but_not_step():
    p = param()
    state = stepped("Adam", p).state_dict()
    q = tnn.nn.Parameter(tnn.tensor(np.ones(2, np.float32)))
    opt = optim.Adam([q])
    opt.load_state_dict(state)
    assert opt.state[q]["exp_avg"].dtype is tnn.float32 and opt.state[q]["step"].item() == 2.0


def test_old_state_dicts_with_numbers_and_fewer_options():
    p = param()
    opt = stepped("Adam", p)
    state = copy.deepcopy(opt.state_dict())
    state["state"][0]["step"] = 2
    for key in ("foreach", "maximize", "fused", "decoupled_weight_decay"):
        del state["param_groups"][0][key]
    opt.load_state_dict(state)
    assert opt.state[p]["step"].item() == 2.0 and opt.param_groups[0]["maximize"] is False
    state = copy.deepcopy(optim.AdamW([p]).state_dict())
    del state["param_groups"][0]["decoupled_weight_decay"]
    other = optim.AdamW([p])
    other.load_state_dict(state)
    assert other.param_groups[0]["decoupled_weight_decay"] is True


def test_load_checks_groups():
    a, b = param(), param()
    state = optim.SGD([a, b]).state_dict()
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group: group 0 has 2"):
        optim.SGD([a]).load_state_dict(state)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.SGD([{"params": a}, {"params": b}]).load_state_dict(state)


def test_states_of_what_is_no_parameter_are_kept():
    p = param()
    opt = optim.SGD([p])
    opt.state["note"] = {"x": 1}
    state = opt.state_dict()
    assert state["state"] == {"note": {"x": 1}}
    opt.load_state_dict(state)
    assert opt.state["note"] == {"x": 1}


def test_pickle_and_deepcopy():
    p = param()
    opt = stepped("Adam", p, lr=0.1)
    for again in (pickle.loads(pickle.dumps(opt)), copy.deepcopy(opt)):
        q = again.param_groups[0]["params"][0]
        assert q is not p and q.tolist() == p.tolist()
        q.grad = p.grad = tnn.tensor(np.ones(2))
        before = p.tolist()
        again.step()
        assert p.tolist() == before and again.state[q]["step"].item() == 3.0


def test_scalar_states_follow_the_default_dtype():
    tnn.set_default_dtype(tnn.float64)
    try:
        assert stepped("ASGD", p := param()).state[p]["eta"].dtype is tnn.float64
    finally:
        tnn.set_default_dtype(tnn.float32)


# -- swapping


def test_swap_in_other_parameters():
    p, q = param(1.0), param(5.0)
    opt = stepped("SGD", p, n=1, lr=0.5, momentum=0.9)
    state = copy.deepcopy(opt.state_dict())
    state["param_groups"][0]["lr"] = 0.1
    before = p.item()
    with optim.swap_in_optimizer_params_and_state(opt, {"q": q}, state):
        q.grad = tnn.tensor(np.ones(1))
        opt.step()
    assert q.item() == pytest.approx(5.0 - 0.1 * 1.9) and p.item() == before
    assert opt.param_groups[0]["params"] == [p] and opt.param_groups[0]["lr"] == 0.5
    assert opt.state[p]["momentum_buffer"].item() == 1.0


def test_swap_checks_what_it_gets():
    p = param(1.0)
    swap = optim.swap_in_optimizer_params_and_state
    with pytest.raises(RuntimeError, match="initialized"), swap(optim.SGD([p]), {}, {}):
        pass
    opt = stepped("SGD", p, momentum=0.9)
    good = opt.state_dict()
    for bad in (
        {},
        {**good, "param_groups": []},
        {**good, "param_groups": [3]},
        {**good, "param_groups": [{"params": [0]}]},
        {**good, "param_groups": [{**good["param_groups"][0], "params": [0, 1]}]},
        {**good, "state": {7: {}}},
        {**good, "state": {0: 3}},
    ):
        with pytest.raises(RuntimeError), swap(opt, {"p": p}, bad):
            pass
    with pytest.raises(RuntimeError, match="expected 1 parameters"), swap(opt, {}, good):
        pass
