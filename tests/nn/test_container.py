"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict; Flatten and Unflatten."""

import copy
import pickle
from collections import OrderedDict

import pytest

import tnn
from tnn import nn


class Tag(nn.Module):
    """Appends its tag to a tuple."""

    def __init__(self, tag="a"):
        super().__init__()
        self.tag = tag

    def forward(self, x):
        return (*x, self.tag)

    def extra_repr(self):
        return self.tag


def tags(modules):
    return "".join(m.tag for m in modules)


def seq(text):
    return nn.Sequential(*map(Tag, text))


# -- Sequential


def test_sequential_runs_in_order():
    assert seq("abc")(()) == ("a", "b", "c")
    named = nn.Sequential(OrderedDict([("x", Tag("a")), ("y", Tag("b"))]))
    assert named(()) == ("a", "b") and named.x.tag == "a" and list(named.state_dict()) == []
    assert nn.Sequential()(1) == 1


def test_sequential_indexing():
    s = seq("abcd")
    assert s[0].tag == "a" and s[-1].tag == "d" and len(s) == 4 and tags(s) == "abcd"
    part = s[1:3]
    assert type(part) is nn.Sequential and tags(part) == "bc" and [n for n, _ in part.named_children()] == ["1", "2"]
    s[1] = Tag("x")
    assert tags(s) == "axcd"
    del s[0]
    assert tags(s) == "xcd" and list(s._modules) == ["0", "1", "2"]
    del s[0:2]
    assert tags(s) == "d"
    for i in (1, -2):
        with pytest.raises(IndexError):
            s[i]
    with pytest.raises(TypeError):
        s["0"]


def test_sequential_list_methods():
    s = seq("ab")
    assert s.append(Tag("c")) is s and s.extend(seq("de")) is s and tags(s) == "abcde"
    assert s.insert(0, Tag("x")) is s and s.insert(-1, Tag("y")) is s and tags(s) == "xabcdye"
    assert s.insert(len(s), Tag("z")) is s
    assert s.pop(0).tag == "x" and tags(s.pop(slice(0, 2))) == "ab" and tags(s) == "cdyez"
    with pytest.raises(IndexError):
        s.insert(9, Tag())
    with pytest.raises(AssertionError):
        s.insert(0, 3)
    assert "0" not in dir(s) and "append" in dir(s)


def test_sequential_operators():
    s = seq("ab")
    assert tags(s + seq("c")) == "abc" and tags(s * 2) == "abab" and tags(2 * s) == "abab" and tags(s) == "ab"
    same = s
    s += seq("c")
    s *= 2
    assert s is same and tags(s) == "abcabc"
    s += s
    assert len(s) == 12
    for bad, error in [
        (lambda: s + [Tag()], ValueError),
        (lambda: s * 1.5, TypeError),
        (lambda: s * 0, ValueError),
        (lambda: s.__iadd__([Tag()]), ValueError),
        (lambda: s.__imul__("a"), TypeError),
        (lambda: s.__imul__(-1), ValueError),
    ]:
        with pytest.raises(error):
            bad()


# -- ModuleList


def test_module_list():
    m = nn.ModuleList(map(Tag, "abc"))
    assert m[0].tag == "a" and m[-1].tag == "c" and len(m) == 3 and tags(m[1:]) == "bc" and type(m[1:]) is nn.ModuleList
    m[0] = Tag("x")
    m.insert(1, Tag("y"))
    assert tags(m) == "xybc" and m.append(Tag("z")) is m and m.extend([Tag("w")]) is m and tags(m) == "xybczw"
    assert m.pop(-1).tag == "w" and tags(m + [Tag("q")]) == "xybczq" and len(m) == 5
    del m[0], m[1:3]
    assert tags(m) == "yz" and list(m._modules) == ["0", "1"]
    m += [Tag("k")]
    assert tags(m) == "yzk" and "0" not in dir(m)
    with pytest.raises(IndexError):
        m[3]
    with pytest.raises(TypeError):
        m.extend(3)
    with pytest.raises(TypeError):
        m.append(3)
    with pytest.raises(NotImplementedError):
        m(1)


def test_module_list_repr_joins_equal_neighbours():
    assert repr(nn.ModuleList()) == "ModuleList()"
    m = nn.ModuleList([Tag("a"), Tag("a"), seq("b"), Tag("a")])
    assert repr(m) == ("ModuleList(\n  (0-1): 2 x Tag(a)\n  (2): Sequential(\n    (0): Tag(b)\n  )\n  (3): Tag(a)\n)")


# -- ModuleDict


def test_module_dict():
    m = nn.ModuleDict({"b": Tag("b"), "a": Tag("a")})
    assert list(m) == ["b", "a"] == list(m.keys()) and tags(m.values()) == "ba" and len(m) == 2
    assert "a" in m and m["a"].tag == "a" and [k for k, _ in m.items()] == ["b", "a"]
    m["c"] = Tag("c")
    m.update([("a", Tag("x")), ("d", Tag("d"))])
    assert tags(m.values()) == "bxcd" and m.pop("b").tag == "b"
    del m["c"]
    m.update(nn.ModuleDict({"e": Tag("e")}))
    m.update(OrderedDict(f=Tag("f")))
    assert list(m) == ["a", "d", "e", "f"]
    m.clear()
    assert len(m) == 0
    for bad, error in [
        (3, TypeError),
        ([3], TypeError),
        ([("a",)], ValueError),
        ({"a": 3}, TypeError),
        ({"pop": Tag()}, KeyError),
    ]:
        with pytest.raises(error):
            m.update(bad)
    with pytest.raises(KeyError):
        m["none"]


def test_container_is_deprecated():
    with pytest.warns(FutureWarning):
        c = nn.Container(a=Tag("a"))
    assert c.a.tag == "a"


# -- ParameterList and ParameterDict


def test_parameter_list():
    m = nn.ParameterList([tnn.zeros(2), nn.Parameter(tnn.ones(3)), "text"])
    assert all(isinstance(p, nn.Parameter) for p in m[:2]) and m[2] == "text" and len(m) == 3
    assert [n for n, _ in m.named_parameters()] == ["0", "1"] and type(m[0:2]) is nn.ParameterList
    m[0] = tnn.ones(4)
    assert m[0].shape == (4,) and m.append(tnn.zeros(1)) is m and m.extend([1, 2]) is m and len(m) == 6
    m += [tnn.zeros(5)]
    assert m[-1].shape == (5,) and len(list(m)) == 7 and "0" not in dir(m)
    assert list(m.state_dict()) == ["0", "1", "3", "6"]
    with pytest.raises(IndexError):
        m[7]
    with pytest.raises(TypeError):
        m.extend(tnn.zeros(2))
    with pytest.raises(TypeError):
        m.extend(3)
    with pytest.raises(RuntimeError):
        m()
    assert repr(nn.ParameterList([tnn.zeros(2, 3), 5])) == (
        "ParameterList(\n    (0): Parameter containing: [tnn.float32 of size 2x3]\n    (1): Object of type: int\n)"
    )


def test_parameter_dict():
    m = nn.ParameterDict({"b": tnn.zeros(2), "a": tnn.ones(1)})
    assert list(m) == ["a", "b"], "a plain dict is sorted"
    m = nn.ParameterDict(OrderedDict([("b", tnn.zeros(2)), ("a", tnn.ones(1))]))
    assert list(m.keys()) == ["b", "a"] and list(reversed(m)) == ["a", "b"] and len(m) == 2 and "a" in m
    assert isinstance(m["a"], nn.Parameter) and m.get("z") is None and m.get("z", 4) == 4 and m.get("a") is m["a"]
    m["n"] = 5
    assert [k for k, _ in m.items()] == ["b", "a", "n"] and list(m.values())[2] == 5
    assert m.setdefault("n", 7) == 5 and m.setdefault("k") is None and m.setdefault("t", tnn.zeros(3)).shape == (3,)
    assert m.popitem()[0] == "t" and m.pop("n") == 5
    del m["k"]
    other = nn.ParameterDict([("c", tnn.zeros(1))])
    assert list(m | other) == ["b", "a", "c"] and list(m) == ["b", "a"]
    m |= other
    assert list(m) == ["b", "a", "c"] and list(m.copy()) == list(m) and m.copy()["a"] is m["a"]
    assert list(m.fromkeys(["x", "y"], 3)) == ["x", "y"] and m.fromkeys(["x"], 3)["x"] == 3
    m.clear()
    assert len(m) == 0 and list(m.parameters()) == []
    for bad, error in [(3, TypeError), ([3], TypeError), ([("a",)], ValueError), ({1: 2}, TypeError)]:
        with pytest.raises(error):
            m.update(bad)
    with pytest.raises(KeyError):
        m.popitem()
    with pytest.raises(RuntimeError):
        m()


def test_parameter_dict_repr():
    m = nn.ParameterDict({"w": tnn.zeros(2, 3), "n": 5})
    assert repr(m) == (
        "ParameterDict(\n    (n): Object of type: int\n    (w): Parameter containing: [tnn.FloatTensor of size 2x3]\n)"
    )


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_containers_can_be_copied(make):
    m = nn.ModuleDict({"s": seq("ab"), "l": nn.ModuleList([Tag("c")])})
    m["p"] = nn.ParameterList([tnn.ones(2)])
    m["d"] = nn.ParameterDict({"w": tnn.ones(3)})
    new = make(m)
    assert tags(new["s"]) == "ab" and tags(new["l"]) == "c" and repr(new) == repr(m)
    assert new["p"][0].tolist() == [1.0, 1.0] and new["d"]["w"] is not m["d"]["w"]
    assert new["d"]["w"].requires_grad


# -- Flatten and Unflatten


def test_flatten_and_unflatten():
    x = tnn.arange(24).reshape(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12) and nn.Flatten(0)(x).shape == (24,)
    assert nn.Flatten(0, 1)(x).shape == (6, 4) and nn.Flatten(-2, -1)(x).shape == (2, 12)
    y = nn.Unflatten(1, (3, -1))(nn.Flatten()(x))
    assert y.shape == (2, 3, 4) and y.tolist() == x.tolist()
    assert nn.Unflatten(-1, [2, 2])(x).shape == (2, 3, 2, 2)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert repr(nn.Unflatten(1, (2, 3))) == "Unflatten(dim=1, unflattened_size=(2, 3))"
    for size in (3, "ab", (2, 1.5)):
        with pytest.raises(TypeError, match="unflattened_size"):
            nn.Unflatten(1, size)
    with pytest.raises(RuntimeError):
        nn.Unflatten(1, (2, 2))(x)
    with pytest.raises(IndexError):
        nn.Flatten(5)(x)


def test_flatten_passes_the_gradient():
    x = tnn.zeros(2, 2, requires_grad=True)
    nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (4, 1)))(x).backward(tnn.ones(4, 1))
    assert x.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def _hidden(inplace=False, bias=True):
    tnn.manual_seed(5)
    return nn.Sequential(nn.Linear(64, 300, bias=bias), nn.ReLU(inplace), nn.Linear(300, 4))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_relu_after_a_linear_layer(inplace, bias):
    model = _hidden(inplace, bias)
    x = tnn.randn(70, 64, requires_grad=True)
    h = nn.functional.linear(x, model[0].weight, model[0].bias).relu()
    expected = nn.functional.linear(h, model[2].weight, model[2].bias)
    out = model(x)
    assert tnn.equal(out, expected)
    seed = tnn.randn(70, 4)
    leaves = [x, *model.parameters()]
    for a, b in zip(
        tnn.autograd.grad(out, leaves, seed), tnn.autograd.grad(expected, leaves, seed), strict=True
    ):
        assert tnn.equal(a, b)


def test_relu_after_a_linear_layer_is_recorded_as_itself():
    out = _hidden()[:2](tnn.randn(70, 64))
    node = out.grad_fn
    assert node.name() == "ReluBackward0" and node.next_functions[0][0].name() == "AddmmBackward0"
    x = tnn.randn(70, 64, requires_grad=True)
    (g,) = tnn.autograd.grad(_hidden()[:2](x).sum(), x, create_graph=True)
    assert g.requires_grad
    with tnn.no_grad():
        assert _hidden()[:2](x).grad_fn is None


def test_relu_after_a_linear_layer_with_hooks():
    model, seen = _hidden(), []
    x = tnn.randn(70, 64)
    handle = model[0].register_forward_hook(lambda module, args, out: seen.append(out.min().item()))
    out = model(x)
    handle.remove()
    assert len(seen) == 1 and seen[0] < 0  # the layer's own result, before relu
    assert tnn.equal(out, model(x))
    model[1].forward = lambda input: input * 0
    assert tnn.equal(model(x), model[2](tnn.zeros(70, 300)))


def test_relu_after_a_linear_layer_of_other_kinds():
    model = _hidden()
    assert model(tnn.randn(2, 35, 64)).shape == (2, 35, 4)
    with pytest.raises(RuntimeError):
        model(tnn.randn(70, 63))
    with tnn.autocast("cpu"):
        assert model(tnn.randn(70, 64)).dtype is tnn.bfloat16
    assert model.double()(tnn.randn(70, 64).double()).dtype is tnn.float64
    assert model.bfloat16()(tnn.randn(70, 64).bfloat16()).dtype is tnn.bfloat16
