"""Module: registration, attributes, hooks, modes, conversion, state_dict, printing, copies."""

import copy
import gc
import pickle
import warnings
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn.modules import module as module_file


def param(*values):
    return nn.Parameter(tnn.tensor(values))


class Scale(nn.Module):
    """y = factor * x + shift, with a persistent and a non-persistent buffer."""

    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = param(factor)
        self.register_buffer("shift", tnn.zeros(1))
        self.register_buffer("calls", tnn.zeros(1), persistent=False)

    def forward(self, x, bias=0.0):
        return self.factor * x + self.shift + bias


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Scale(2.0)
        self.second = Scale(3.0)

    def forward(self, x):
        return self.second(self.first(x))


# -- registration and attributes


def test_parameters_buffers_and_modules_are_registered_by_assignment():
    m = nn.Module()
    m.w = param(1.0)
    m.b = nn.Buffer(tnn.zeros(2))
    m.t = nn.Buffer(tnn.ones(2), persistent=False)
    m.child = Scale()
    assert list(m._parameters) == ["w"] and list(m._buffers) == ["b", "t"] and list(m._modules) == ["child"]
    assert "w" not in m.__dict__
    assert set(m.state_dict()) == {"w", "b", "child.factor", "child.shift"}
    assert {"w", "b", "child", "training", "forward"} <= set(dir(m))


def test_an_attribute_moves_between_the_tables():
    m = nn.Module()
    m.x = 3
    m.x = param(1.0)
    assert "x" not in m.__dict__ and "x" in m._parameters
    m.z = 3
    m.z = Scale()
    assert "z" not in m.__dict__ and "z" in m._modules
    m.z = param(1.0)
    assert "z" not in m._modules and "z" in m._parameters
    m.y = nn.Buffer(tnn.zeros(1), persistent=False)
    m.y = param(1.0)
    assert "y" not in m._buffers and not m._non_persistent_buffers_set


def test_none_keeps_the_name_and_leaves_the_state_dict():
    m = Scale()
    m.factor = None
    m.shift = None
    assert m.factor is None and "factor" in m._parameters and list(m.state_dict()) == []
    assert list(m.parameters()) == []
    m.factor = param(4.0)
    assert list(m.state_dict()) == ["factor"]


def test_a_buffer_takes_plain_tensors_and_keeps_its_persistence():
    m = Scale()
    m.calls = tnn.ones(1)
    assert list(m.state_dict()) == ["factor", "shift"] and m.calls.item() == 1
    m.calls = nn.Buffer(tnn.ones(1))
    assert "calls" in m.state_dict()


@pytest.mark.parametrize("name, value", [("factor", tnn.zeros(1)), ("shift", 3), ("child", tnn.zeros(1))])
def test_assignment_of_the_wrong_kind(name, value):
    m = Scale()
    m.child = Scale()
    with pytest.raises(TypeError, match=name):
        setattr(m, name, value)


def test_assignment_before_init():
    class Early(nn.Module):
        def __init__(self, what):
            self.x = what

    for what in (param(1.0), Scale()):
        with pytest.raises(AttributeError, match="__init__"):
            Early(what)


@pytest.mark.parametrize("method", ["register_buffer", "register_parameter", "add_module", "register_module"])
def test_registration_checks_the_name(method):
    m = Scale()
    register = getattr(m, method)
    with pytest.raises(TypeError):
        register(3, None)
    for name in ("a.b", "", "forward"):
        with pytest.raises(KeyError):
            register(name, None)
    register("fine", None)
    register("fine", None)


def test_registration_checks_the_value():
    m = Scale()
    with pytest.raises(TypeError, match="'int' object to buffer 'b'"):
        m.register_buffer("b", 3)
    with pytest.raises(TypeError, match="to parameter 'p'"):
        m.register_parameter("p", tnn.zeros(1))
    with pytest.raises(TypeError, match="is not a Module"):
        m.add_module("m", 3)
    p = param(1.0).double()
    assert p.grad_fn is not None
    child = nn.Module()
    with pytest.raises(TypeError):
        child.register_parameter("p", p)


def test_deletion_and_missing_attributes():
    m = Pair()
    m.first.plain = 1
    del m.first.plain, m.first.factor, m.first.calls, m.second
    assert list(m.first._parameters) == [] and list(m._modules) == ["first"]
    assert not m.first._non_persistent_buffers_set
    for name in ("factor", "second", "plain"):
        with pytest.raises(AttributeError, match=name):
            getattr(m.first, name)
    with pytest.raises(AttributeError):
        del m.nothing


def test_init_takes_no_arguments_unless_it_calls_super():
    with pytest.raises(TypeError, match="positional"):
        nn.Module(1)
    with pytest.raises(TypeError, match="keyword argument 'a'"):
        nn.Module(a=1)

    class Other:
        def __init__(self, a):
            self.a = a

    class Both(nn.Module, Other):
        call_super_init = True

    assert Both(a=5).a == 5


def test_a_subclass_may_override_register_buffer_without_persistent():
    class Old(nn.Module):
        def register_buffer(self, name, tensor):
            super().register_buffer(name, tensor)

    m = Old()
    m.b = nn.Buffer(tnn.zeros(1))
    assert "b" in m.state_dict()
    with pytest.raises(RuntimeError, match="persistent"):
        m.c = nn.Buffer(tnn.zeros(1), persistent=False)


def test_registration_hooks_see_and_replace_what_is_registered():
    seen = []
    other = param(9.0)
    handles = [
        module_file.register_module_parameter_registration_hook(lambda m, n, p: other if n == "w" else None),
        module_file.register_module_buffer_registration_hook(lambda m, n, b: seen.append(n)),
        module_file.register_module_module_registration_hook(lambda m, n, c: seen.append(n)),
    ]
    try:
        m = nn.Module()
        m.w = param(1.0)
        m.register_buffer("b", None)
        m.c = nn.Module()
        m.add_module("d", None)
    finally:
        for h in handles:
            h.remove()
    assert m.w is other and seen == ["b", "c", "d"]
    m.register_buffer("e", None)
    assert len(seen) == 3


# -- walking


def test_named_members_and_duplicates():
    m = Pair()
    m.second.factor = m.first.factor
    m.again = m.first
    assert [n for n, _ in m.named_parameters()] == ["first.factor"]
    names = [n for n, _ in m.named_parameters(remove_duplicate=False)]
    assert names == ["first.factor", "second.factor", "again.factor"]
    assert [n for n, _ in m.named_parameters("model", recurse=False)] == []
    assert [n for n, _ in m.first.named_parameters("model")] == ["model.factor"]
    assert [n for n, _ in m.named_buffers()] == ["first.shift", "first.calls", "second.shift", "second.calls"]
    assert len(list(m.buffers())) == 4 and len(list(m.parameters())) == 1
    assert [n for n, _ in m.named_modules()] == ["", "first", "second"]
    assert [n for n, _ in m.named_modules(prefix="p", remove_duplicate=False)] == [
        "p",
        "p.first",
        "p.second",
        "p.again",
    ]
    assert [n for n, _ in m.named_children()] == ["first", "second"] and len(list(m.children())) == 2
    assert len(list(m.modules(remove_duplicate=False))) == 4


def test_access_by_dotted_name():
    m = Pair()
    m.second.inner = Scale(5.0)
    assert m.get_submodule("") is m and m.get_submodule("second.inner") is m.second.inner
    assert m.get_parameter("second.inner.factor").item() == 5 and m.get_buffer("first.shift") is m.first.shift
    for method, path in [
        ("get_submodule", "third"),
        ("get_submodule", "first.factor"),
        ("get_parameter", "first.nothing"),
        ("get_parameter", "first.shift"),
        ("get_parameter", "third.factor"),
        ("get_buffer", "first.factor"),
        ("get_buffer", "first.nothing"),
    ]:
        with pytest.raises(AttributeError):
            getattr(m, method)(path)


def test_set_submodule():
    m = Pair()
    new = Scale(7.0)
    m.set_submodule("first", new)
    m.set_submodule("second.inner", new)
    assert m.first is new and m.second.inner is new
    m.set_submodule("second.inner", Scale(), strict=True)
    with pytest.raises(AttributeError):
        m.set_submodule("second.other", new, strict=True)
    with pytest.raises(AttributeError):
        m.set_submodule("third.inner", new)
    with pytest.raises(AttributeError):
        m.set_submodule("first.factor", new)
    for target, value in [("", new), ("first", 3)]:
        with pytest.raises(ValueError):
            m.set_submodule(target, value)


def test_apply_goes_bottom_up():
    m, seen = Pair(), []
    assert m.apply(lambda s: seen.append(type(s).__name__)) is m
    assert seen == ["Scale", "Scale", "Pair"]


# -- modes and gradients


def test_train_and_eval():
    m = Pair()
    assert m.eval() is m and not m.first.training and not m.training
    m.train()
    assert m.second.training
    with pytest.raises(ValueError):
        m.train(1)


def test_requires_grad_and_zero_grad():
    m = Pair()
    m(tnn.ones(1)).backward()
    assert m.first.factor.grad.item() == 3 and m.second.factor.grad.item() == 2
    grad = m.first.factor.grad
    m.zero_grad(set_to_none=False)
    assert m.first.factor.grad is grad and grad.item() == 0
    m.zero_grad()
    assert m.first.factor.grad is None
    assert m.requires_grad_(False) is m and not any(p.requires_grad for p in m.parameters())


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="Module"):
        nn.Module()(1)


def test_compile_needs_a_compiler(monkeypatch):
    m = Scale()
    monkeypatch.setattr(tnn, "compile", lambda fn, *args, **kwargs: lambda *a, **k: fn(*a, **k) * 10, raising=False)
    m.compile()
    assert m(tnn.ones(1)).item() == 20
    assert "_compiled_call_impl" not in m.__getstate__()


# -- forward hooks


def test_forward_hooks_change_input_and_output():
    m = Scale()
    x = tnn.ones(1)
    h1 = m.register_forward_pre_hook(lambda mod, args: args[0] * 10)
    h2 = m.register_forward_hook(lambda mod, args, out: out + args[0])
    assert m(x).item() == 30
    h1.remove()
    assert m(x).item() == 3
    with m.register_forward_hook(lambda mod, args, out: out * 100):
        assert m(x).item() == 300
    h2.remove()
    h2.remove()
    assert m(x).item() == 2 and not m._forward_hooks


def test_hooks_with_kwargs_and_order():
    m, order = Scale(), []
    m.register_forward_pre_hook(lambda mod, args, kw: (args, {"bias": kw["bias"] + 1}), with_kwargs=True)
    m.register_forward_pre_hook(lambda mod, args: order.append("second"))
    m.register_forward_pre_hook(lambda mod, args: order.append("first"), prepend=True)
    m.register_forward_hook(lambda mod, args, kw, out: order.append(kw["bias"]), with_kwargs=True)
    m.register_forward_hook(lambda mod, args, out: order.append("early"), prepend=True)
    assert m(tnn.ones(1), bias=4.0).item() == 7
    assert order == ["first", "second", "early", 5.0]


def test_a_pre_hook_with_kwargs_must_return_a_pair():
    m = Scale()
    m.register_forward_pre_hook(lambda mod, args, kw: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="new_args, new_kwargs"):
        m(tnn.ones(1))


def test_always_called_hooks_run_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    m, seen = Broken(), []
    m.register_forward_hook(lambda mod, args, out: seen.append("never"))
    m.register_forward_hook(lambda mod, args, out: seen.append(out), always_call=True)
    with pytest.raises(KeyError, match="broken"):
        m(1)
    assert seen == [None]

    def fails(mod, args, out):
        raise ValueError("hook")

    m.register_forward_hook(fails, always_call=True)
    with pytest.warns(UserWarning, match="silenced"), pytest.raises(KeyError):
        m(1)


def test_global_forward_hooks():
    m, seen = Pair(), []
    handles = [
        module_file.register_module_forward_pre_hook(lambda mod, args: seen.append(("pre", type(mod).__name__))),
        module_file.register_module_forward_hook(lambda mod, args, out: seen.append(("post", type(mod).__name__))),
        module_file.register_module_forward_hook(
            lambda mod, args, kw, out: seen.append(kw), with_kwargs=True, always_call=True
        ),
    ]
    try:
        m(tnn.ones(1))
    finally:
        for h in handles:
            h.remove()
    scale = [("pre", "Scale"), ("post", "Scale"), {}]
    assert seen == [("pre", "Pair"), *scale, *scale, ("post", "Pair"), {}]
    m(tnn.ones(1))
    assert len(seen) == 9


def test_a_hook_is_not_kept_alive_by_its_module_and_the_module_not_by_its_hook():
    m = Scale()
    m.register_load_state_dict_pre_hook(lambda *args: None)
    ref = weakref.ref(m)
    del m
    gc.collect()
    assert ref() is None


# -- backward hooks


def test_full_backward_hooks_see_and_change_gradients():
    m, seen = Scale(), []
    m.register_full_backward_pre_hook(lambda mod, go: seen.append(("pre", go[0].item())))
    m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 2,), prepend=True)

    def hook(mod, grad_input, grad_output):
        seen.append((grad_input[0].item(), grad_output[0].item()))
        return (grad_input[0] * 10,)

    m.register_full_backward_hook(hook)
    x = tnn.ones(1, requires_grad=True)
    m(x).backward()
    assert seen == [("pre", 2.0), (4.0, 2.0)]
    assert x.grad.item() == 40 and m.factor.grad.item() == 2


def test_full_backward_hooks_with_several_inputs_and_outputs():
    class Two(nn.Module):
        def forward(self, a, text, b):
            return a * b, text, a + b

    m, seen = Two(), []
    m.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go)))
    a, b = tnn.ones(1, requires_grad=True), tnn.full((1,), 3.0)
    out = m(a, "text", b)
    assert out[1] == "text" and "BackwardHookFunction" in repr(out[0].grad_fn)
    out[0].backward()
    grad_input, grad_output = seen[0]
    assert grad_input[0].item() == 3 and grad_input[1] is None and grad_input[2].item() == 0
    assert grad_output[0].item() == 1 and grad_output[1:] == (None, None)
    assert a.grad.item() == 3


def test_full_backward_hook_without_gradient_at_the_input():
    m, seen = Scale(), []
    m.register_full_backward_hook(lambda mod, gi, go: seen.append((gi, go[0].item())))
    with pytest.warns(UserWarning, match="Full backward hook"):
        m(tnn.ones(1)).backward()
    assert seen == [((None,), 1.0)] and m.factor.grad.item() == 1
    m.register_full_backward_hook(lambda mod, gi, go: (tnn.ones(1),))
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="no input requires"):
        warnings.simplefilter("ignore")
        m(tnn.ones(1)).backward()


def test_backward_hooks_must_return_as_many_gradients():
    for register in ("register_full_backward_hook", "register_full_backward_pre_hook"):
        m = Scale()
        getattr(m, register)(lambda *args: (None, None))
        with pytest.raises(RuntimeError, match="got 2, but expected 1"):
            m(tnn.ones(1, requires_grad=True)).backward()


def test_full_and_legacy_backward_hooks_exclude_each_other():
    m = Scale()
    m.register_full_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="single Module"):
        m.register_backward_hook(lambda *args: None)
    m = Scale()
    m.register_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="single Module"):
        m.register_full_backward_hook(lambda *args: None)


def test_legacy_backward_hook_sees_the_last_operation():
    class Square(nn.Module):
        def forward(self, x):
            return x * x

    m, seen = Square(), []
    m.register_backward_hook(lambda mod, gi, go: seen.append((mod is m, go[0].item())))
    x = tnn.full((1,), 3.0, requires_grad=True)
    with pytest.warns(FutureWarning):
        y = m(x)
    y.backward()
    assert seen == [(True, 1.0)] and x.grad.item() == 6


def test_legacy_backward_hook_warns_where_it_misses_something():
    m = Pair()
    m.register_backward_hook(lambda mod, gi, go: None)
    with pytest.warns(FutureWarning, match="several operations"):
        m(tnn.ones(1, requires_grad=True))


def test_global_backward_hooks(monkeypatch):
    monkeypatch.setattr(module_file.GlobalHooks, "full_backward", None)
    m, seen = Scale(), []
    pre = module_file.register_module_full_backward_pre_hook(lambda mod, go: seen.append("pre"))
    post = module_file.register_module_full_backward_hook(lambda mod, gi, go: seen.append("post"))
    try:
        m(tnn.ones(1, requires_grad=True)).backward()
        with pytest.raises(RuntimeError, match="global"):
            module_file.register_module_backward_hook(lambda *args: None)
    finally:
        pre.remove()
        post.remove()
    assert seen == ["pre", "post"]


# -- state_dict


def test_state_dict_round_trip_and_metadata():
    a, b = Pair(), Pair()
    with tnn.no_grad():
        a.first.factor.fill_(7.0)
        a.second.shift.fill_(1.0)
    state = a.state_dict()
    assert list(state) == ["first.factor", "first.shift", "second.factor", "second.shift"]
    assert state._metadata == {"": {"version": 1}, "first": {"version": 1}, "second": {"version": 1}}
    assert not state["first.factor"].requires_grad and a.state_dict(keep_vars=True)["first.factor"] is a.first.factor
    result = b.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>" and result.missing_keys == []
    assert b.first.factor.item() == 7 and b.second.shift.item() == 1 and b.first.factor.requires_grad
    state["first.factor"].fill_(8.0)
    assert a.first.factor.item() == 8, "the state_dict shares memory"


def test_state_dict_destination_and_prefix():
    into = OrderedDict()
    out = Scale().state_dict(destination=into, prefix="net.")
    assert out is into and list(out) == ["net.factor", "net.shift"] and not hasattr(into, "_metadata")
    with pytest.warns(FutureWarning, match="Positional"):
        assert list(Scale().state_dict({}, "p.", True)) == ["p.factor", "p.shift"]


def test_load_state_dict_reports_everything_at_once():
    m = Pair()
    state = m.state_dict()
    state["third.factor"] = tnn.zeros(1)
    state["first.other"] = tnn.zeros(1)
    del state["second.factor"]
    state["first.factor"] = tnn.zeros(2, 3)
    state["first.shift"] = 3
    with pytest.raises(RuntimeError) as error:
        m.load_state_dict(state)
    text = str(error.value)
    assert text.startswith("Error(s) in loading state_dict for Pair:\n\tMissing key(s) in state_dict: ")
    for part in (
        'Missing key(s) in state_dict: "second.factor". ',
        "Unexpected key(s) in state_dict: ",
        '"third.factor"',
        '"first.other"',
        "size mismatch for first.factor: copying a param with shape tnn.Size([2, 3]) from checkpoint, "
        "the shape in current model is tnn.Size([1]).",
        "first.shift",
    ):
        assert part in text, part


def test_load_state_dict_not_strict():
    m = Pair()
    result = m.load_state_dict({"first.factor": tnn.full((1,), 5.0), "more": tnn.zeros(1)}, strict=False)
    assert m.first.factor.item() == 5 and result.unexpected_keys == ["more"]
    assert result.missing_keys == ["first.shift", "second.factor", "second.shift"]
    assert "missing_keys" in repr(result)
    with pytest.raises(RuntimeError, match="size mismatch"):
        m.load_state_dict({"first.factor": tnn.zeros(2)}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        m.load_state_dict([1])


def test_load_state_dict_with_assign():
    m = Scale()
    given = tnn.full((1,), 5.0, dtype=tnn.float64)
    m.factor.requires_grad_(False)
    m.load_state_dict({"factor": given, "shift": given}, assign=True)
    assert m.factor.dtype is tnn.float64 and isinstance(m.factor, nn.Parameter) and not m.factor.requires_grad
    assert m.shift is given
    m.load_state_dict({"factor": tnn.ones(1), "shift": tnn.ones(1)})
    assert m.factor.dtype is tnn.float64, "a copy keeps the module's dtype"


def test_a_scalar_takes_a_tensor_of_one_element():
    m = nn.Module()
    m.p = nn.Parameter(tnn.tensor(1.0))
    m.load_state_dict({"p": tnn.full((1,), 4.0)})
    assert m.p.item() == 4 and m.p.shape == ()


def test_extra_state():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    outer = nn.Module()
    outer.counter = Counter()
    outer.counter.count = 5
    state = outer.state_dict()
    assert state == {"counter._extra_state": {"count": 5}}
    outer.counter.count = 0
    outer.load_state_dict(state)
    assert outer.counter.count == 5
    with pytest.raises(RuntimeError, match="Missing.*_extra_state"):
        outer.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected.*_extra_state"):
        nn.Module().load_state_dict({"_extra_state": 1})
    with pytest.raises(RuntimeError):
        nn.Module().get_extra_state()
    with pytest.raises(RuntimeError):
        nn.Module().set_extra_state(None)


def test_state_dict_hooks():
    m, seen = Pair(), []
    m.register_state_dict_pre_hook(lambda mod, prefix, keep_vars: seen.append((prefix, keep_vars)))
    m.first.register_state_dict_post_hook(lambda mod, sd, prefix, meta: sd.update({prefix + "extra": meta["version"]}))
    state = m.state_dict()
    assert seen == [("", False)] and state["first.extra"] == 1

    def bad(mod, sd, prefix, meta):
        return sd

    m.register_state_dict_post_hook(bad)
    with pytest.raises(RuntimeError, match="must return None"):
        m.state_dict()
    with pytest.raises(RuntimeError):
        m._register_state_dict_hook(bad)
    other = Pair()
    other._register_state_dict_hook(lambda mod, sd, prefix, meta: {"only": 1})
    assert other.state_dict() == {"only": 1}


def test_load_state_dict_hooks():
    m = Pair()

    def rename(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        assert module is m.first and strict and prefix == "first."
        state_dict[prefix + "factor"] = state_dict.pop(prefix + "old")

    m.first.register_load_state_dict_pre_hook(rename)
    m.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    assert m.load_state_dict({"first.old": tnn.full((1,), 6.0)}).missing_keys == []
    assert m.first.factor.item() == 6
    m.register_load_state_dict_post_hook(lambda module, keys: keys)
    with pytest.raises(AssertionError):
        m.load_state_dict({"first.old": tnn.zeros(1)})


def test_versions_reach_the_loader():
    class Versioned(Scale):
        _version = 3

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
            self.saw = local_metadata.get("version")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    m = Versioned()
    m.load_state_dict(Scale().state_dict())
    assert m.saw == 1
    m.load_state_dict(dict(m.state_dict()))
    assert m.saw is None


# -- conversion


def test_conversion_keeps_parameters_the_same_objects():
    m = Pair()
    m.register_buffer("index", tnn.arange(3))
    p = m.first.factor
    m(tnn.ones(1)).backward()
    for convert, dtype in [
        (m.double, tnn.float64),
        (m.half, tnn.float16),
        (m.bfloat16, tnn.bfloat16),
        (m.float, tnn.float32),
        (lambda: m.to(tnn.float64), tnn.float64),
        (lambda: m.to("cpu", tnn.float32), tnn.float32),
        (lambda: m.to(tnn.zeros(1, dtype=tnn.float64)), tnn.float64),
        (lambda: m.to(device="cpu", dtype=tnn.float32, non_blocking=True), tnn.float32),
    ]:
        assert convert() is m
        assert m.first.factor is p and p.dtype is dtype and p.grad.dtype is dtype and m.first.shift.dtype is dtype
        assert m.index.dtype is tnn.int64 and p.requires_grad
    m.type("tnn.DoubleTensor")
    assert m.index.dtype is tnn.float64
    assert m.share_memory() is m and m.cpu() is m and m.to("cpu") is m and m.to() is m


def test_conversion_errors():
    m = Scale()
    for args, error in [((tnn.int64,), TypeError), ((1, 2, 3, 4, 5), TypeError), (("cuda",), RuntimeError)]:
        with pytest.raises(error):
            m.to(*args)
    for kwargs in ({"nonsense": 1}, {"dtype": 3}):
        with pytest.raises(TypeError):
            m.to(**kwargs)
    with pytest.raises(TypeError):
        m.to(tnn.float32, dtype=tnn.float32)
    for device in ("cuda", "xpu", "ipu", "mtia"):
        with pytest.raises(RuntimeError, match="CPU"):
            getattr(m, device)()


def test_to_empty_keeps_shapes():
    m = Pair()
    m.second.factor = nn.Parameter(tnn.zeros(2, 3))
    assert m.to_empty(device="cpu") is m and m.second.factor.shape == (2, 3)
    with pytest.raises(RuntimeError):
        m.to_empty(device="cuda")


# -- printing, copies, parameters


def test_repr():
    class Named(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    m = Pair()
    assert repr(nn.Module()) == "Module()" and repr(m.first) == "Scale()"
    assert repr(m) == "Pair(\n  (first): Scale()\n  (second): Scale()\n)"
    assert repr(Named()) == "Named(\n  a=1\n  b=2\n)"
    m.first.inner = Named()
    assert repr(m) == (
        "Pair(\n  (first): Scale(\n    (inner): Named(\n      a=1\n      b=2\n    )\n  )\n  (second): Scale()\n)"
    )


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_keep_ties(make):
    m = Pair()
    m.second.factor = m.first.factor
    m(tnn.ones(1)).backward()
    new = make(m)
    assert new.first.factor is new.second.factor and new.first.factor is not m.first.factor
    assert type(new.first.factor) is nn.Parameter and new.first.factor.requires_grad
    with tnn.no_grad():
        new.first.factor.fill_(0.0)
    assert m.first.factor.item() == 2 and new(tnn.ones(1)).item() == 0


def test_hooks_registered_after_a_copy_do_not_replace_those_that_came_with_it():
    m = Scale()
    m._forward_hooks[10**6] = None
    new = copy.deepcopy(m)
    handle = new.register_forward_hook(lambda *args: None)
    assert handle.id > 10**6


def test_an_old_state_gets_the_tables_that_it_lacks():
    m = Scale()
    state = {k: v for k, v in m.__dict__.items() if not k.startswith(("_forward", "_state", "_load", "_non", "_is"))}
    new = Scale.__new__(Scale)
    new.__setstate__(state)
    assert new(tnn.ones(1)).item() == 2 and len(new.state_dict()) == 3


def test_parameter():
    base = tnn.zeros(2)
    p = nn.Parameter(base)
    base.fill_(1.0)
    assert p.requires_grad and p.is_leaf and p.tolist() == [1.0, 1.0] and isinstance(p, tnn.Tensor)
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert not nn.Parameter(base, requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    with tnn.no_grad():
        assert nn.Parameter(base).requires_grad
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(tnn.arange(3))
    assert not nn.Parameter(tnn.arange(3), requires_grad=False).requires_grad
    with pytest.raises(TypeError):
        nn.Parameter([1.0])
    assert type(p * 2) is tnn.Tensor and (p * 2).requires_grad
    p.note = "kept"
    p.grad = tnn.ones(2)
    new = copy.deepcopy(p)
    assert type(new) is nn.Parameter and new.note == "kept" and new.grad is None and p.grad is not None
    again = pickle.loads(pickle.dumps(p))
    assert type(again) is nn.Parameter and again.requires_grad and again.tolist() == [1.0, 1.0]


def test_buffer():
    b = nn.Buffer(tnn.ones(2), persistent=False)
    assert isinstance(b, tnn.Tensor) and not b.requires_grad and not b.persistent
    assert np.array_equal(b.numpy(), [1.0, 1.0])
    assert pickle.loads(pickle.dumps(b)).persistent is False


def test_replicas_share_all_but_the_tables():
    m = Pair()
    replica = m._replicate_for_data_parallel()
    assert replica._modules is not m._modules and replica.first is m.first and not replica._parameters
    with pytest.warns(UserWarning, match="DataParallel"):
        replica.zero_grad()
