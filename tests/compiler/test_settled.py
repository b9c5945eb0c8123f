"""Weights that are packed once: replays follow every way in which a weight may change."""

import copy
import gc

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.compiler import settled
from tnn.compiler.records import KernelCall

F = nn.functional


def bits(t):
    return t.detach().numpy().tobytes()


def plan_of(fast):
    compiled = fast._compiled if isinstance(fast, nn.Module) else fast
    return [plan for kind in compiled._kinds.values() for plan in kind.plans][-1]


class Runs:
    """A compiled model in evaluation, and how often its weights were packed."""

    def __init__(self, model, x):
        self.model, self.x, self.fast = model.eval(), x, tnn.compile(model)
        for _ in range(4):
            self.same()
        assert self.fast.reason is None
        self.plan = plan_of(self.fast)
        self.count, run = 0, self.plan.watch.function

        def counted():
            self.count += 1
            return run()

        self.plan.watch.function = counted

    def same(self):
        """Whether a call was replayed; its result is the model's own."""
        with tnn.no_grad():
            y = self.fast(self.x)
            reason = self.fast.reason
            assert bits(y) == bits(self.model(self.x))
        return reason is None

    def packed(self, calls=1):
        """How often the weights are packed in some replayed calls."""
        before = self.count
        assert all([self.same() for _ in range(calls)])
        return self.count - before


def mlp():
    return nn.Sequential(nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 70))


def test_packed_once():
    runs = Runs(mlp(), tnn.randn(12, 24))
    assert [op.name for op in runs.plan.once] == ["gemm_pack"] * 2
    assert runs.packed(3) == 0
    text = runs.fast.source()
    assert f"{runs.plan.kept_bytes} bytes of packed weights" in text
    assert "gemm_pack(" in text.partition("def once():")[2].partition("def native():")[0]
    assert "gemm_pack(" not in text.partition("def native():")[2].partition("# around it")[0]


# Every way to change a weight of the first layer, and whether the same plan goes on.
CHANGES = {
    "in place": (lambda m: m[0].weight.mul_(2), True),
    "by a view": (lambda m: m[0].weight[3:5].zero_(), True),
    "by its transpose": (lambda m: m[0].weight.t().add_(1.0), True),
    "detached": (lambda m: m[0].weight.detach().mul_(0.5), True),
    "by .data": (lambda m: m[0].weight.data.mul_(2), True),
    "by a part of .data": (lambda m: m[0].weight.data[1].fill_(3.0), True),
    "by numpy()": (lambda m: m[0].weight.detach().numpy().__imul__(3.0), True),
    "by __array__": (lambda m: np.asarray(m[0].weight.detach()).__imul__(3.0), True),
    "by dlpack": (lambda m: np.from_dlpack(m[0].weight.detach()).__imul__(3.0), True),
    "by its storage": (lambda m: m[0].weight.untyped_storage().fill_(0), True),
    "by an element": (lambda m: m[0].weight.__setitem__((0, 0), 7.0), True),
    "by init": (lambda m: nn.init.xavier_normal_(m[0].weight), True),
    "by load_state_dict": (lambda m: m.load_state_dict(mlp().state_dict()), True),
    "by a state dict's array": (lambda m: m.state_dict()["0.weight"].numpy().fill(0.25), True),
    "by vector_to_parameters": (
        lambda m: nn.utils.vector_to_parameters(tnn.randn(24 * 40 + 40 + 40 * 70 + 70), m.parameters()), False,
    ),
    "by .data =": (lambda m: setattr(m[0].weight, "data", tnn.randn(40, 24)), False),
    "another parameter": (lambda m: setattr(m[0], "weight", nn.Parameter(tnn.randn(40, 24))), False),
    "another layer": (lambda m: m.__setitem__(0, nn.Linear(24, 40)), False),
}  # fmt: skip


@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.parametrize("quick", [True, False])
def test_a_weight_that_changes(way, quick, monkeypatch):
    if not quick:
        monkeypatch.setattr("tnn.kernels._guards._versions_count", lambda: False)
    runs = Runs(mlp(), tnn.randn(12, 24))
    change, goes_on = CHANGES[way]
    before = bits(runs.model[0].weight)
    with tnn.no_grad():
        change(runs.model)
    assert bits(runs.model[0].weight) != before
    assert runs.same() is goes_on
    for _ in range(5):
        runs.same()
    assert runs.fast.reason is None


def test_a_weight_that_somebody_holds():
    """Whoever has the memory may write to it at any time: then it is packed at every call."""
    for hold in (lambda p: p.data, lambda p: p.detach().numpy(), lambda p: p.detach().numpy()[2:5],
                 lambda p: p.detach().untyped_storage()):  # fmt: skip
        runs = Runs(mlp(), tnn.randn(12, 24))
        held = hold(runs.model[0].weight)
        assert runs.packed(3) == 3
        for number in range(3):
            held.fill_(number) if hasattr(held, "fill_") else held.fill(number)
            assert runs.packed() == 1
        del held
        gc.collect()
        assert runs.packed(3) == 1  # the last writes, then never again


def test_memory_from_elsewhere():
    """A weight made of an array that somebody else holds, or that lies in other memory, is never packed beforehand."""
    array, shared = np.ones((40, 24), np.float32), np.zeros(40 * 24 * 4, np.uint8)
    for memory in (array, shared.view(np.float32).reshape(40, 24), np.frombuffer(bytearray(3840), np.float32)):
        model = mlp()
        model[0].weight = nn.Parameter(tnn.from_numpy(memory.reshape(40, 24)))
        fast, x = tnn.compile(model.eval()), tnn.randn(12, 24)
        with tnn.no_grad():
            for number in range(7):
                memory[...] = number
                assert bits(fast(x)) == bits(model(x))
        assert fast.reason is None
        assert [op.name for op in plan_of(fast).once] == ["gemm_pack"]  # the other layer's
        del fast


def test_an_array_nobody_holds():
    model = mlp()
    model[0].weight = nn.Parameter(tnn.from_numpy(np.ones((40, 24), np.float32)))
    assert len(Runs(model, tnn.randn(12, 24)).plan.once) == 2


def test_training_between():
    model, x = mlp(), tnn.randn(12, 24)
    runs, opt = Runs(model, x), tnn.optim.AdamW(model.parameters(), 0.1)

    def step(x):
        opt.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        opt.step()
        return loss

    train = tnn.compile(step)
    for call in (step, train):
        for _ in range(5):
            call(x)
            assert runs.packed(3) == 1
    assert train.reason is None
    # weights that the call writes are never packed beforehand
    assert not plan_of(train).once


def test_two_plans_of_one_model():
    """One plan's hold on a weight is not somebody else's."""
    model = mlp()
    runs = Runs(model, tnn.randn(12, 24))
    other = Runs(model, tnn.randn(7, 24))
    for one in (runs, other):
        assert len(one.plan.once) == 2 and one.packed(2) == 0
    with tnn.no_grad():
        model[0].weight.neg_()
    assert runs.packed(2) == other.packed(2) == 1


def test_shared_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(20, 20), nn.Linear(20, 20)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.one(self.other(self.one(x).relu()))

    runs = Runs(Tied(), tnn.randn(9, 20))
    assert len(runs.plan.once) == 1
    with tnn.no_grad():
        runs.model.other.weight.mul_(0.5)
    assert runs.packed(2) == 1


def convolutions(dtype=tnn.float32):
    """One for each of the kernels whose weights are packed, a transposed one, and normalization."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, dtype=dtype), nn.BatchNorm2d(8, dtype=dtype), nn.ReLU(),
        nn.Conv2d(8, 32, 3, padding=1, dtype=dtype), nn.BatchNorm2d(32, dtype=dtype), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, dtype=dtype), nn.ConvTranspose2d(32, 32, 3, padding=1, dtype=dtype), nn.GELU(),
        nn.Conv2d(32, 32, 8, stride=8, dtype=dtype), nn.Flatten(), nn.Linear(32 * 9, 5, dtype=dtype),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64])
@pytest.mark.parametrize("batch", [1, 9])
def test_convolutions(dtype, batch):
    model = convolutions(dtype)
    with tnn.no_grad():
        model(tnn.randn(4, 3, 24, 24, dtype=dtype))  # moves the statistics
    runs = Runs(model, tnn.randn(batch, 3, 24, 24, dtype=dtype))
    names = [op.name for op in runs.plan.once if isinstance(op, KernelCall)]
    assert names.count("conv_pack") >= 4 and names.count("batch_norm_rstd") == 2
    assert runs.packed(2) == 0
    with tnn.no_grad():
        for layer in (0, 3, 6, 7, 9):
            model[layer].weight.mul_(0.5)
            assert runs.packed(2) == 1
        model[1].running_var.mul_(2.0)
        assert runs.packed(2) == 1
        model[4].running_mean.data += 1.0
        assert runs.packed(2) == 1


def test_weights_of_weights():
    """What is made of weights alone is made once."""
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(24, 40)), nn.Tanh(), nn.Linear(40, 3))
    runs = Runs(model, tnn.randn(12, 24))
    assert len(runs.plan.once) > 2 and runs.packed(2) == 0
    with tnn.no_grad():
        model[0].parametrizations.weight.original0.mul_(3.0)
    assert runs.packed(2) == 1


def test_what_is_no_weight_is_read_every_time():
    """A tensor of the user's own that a call reads is not taken for a weight."""
    matrix, x = tnn.randn(30, 40), tnn.randn(12, 30)
    fast = tnn.compile(lambda x: (x @ matrix.exp(), F.linear(x, matrix.t())))
    for _ in range(5):
        fast(x)
    assert fast.reason is None and not plan_of(fast).once


def test_a_limit(monkeypatch):
    monkeypatch.setattr(settled, "MOST", 24 * 64 * 4)
    runs = Runs(mlp(), tnn.randn(12, 24))
    assert len(runs.plan.once) == 1 and runs.plan.kept_bytes <= settled.MOST


def test_threads_change_nothing():
    model, x = convolutions().eval(), tnn.randn(3, 3, 24, 24)
    wide = nn.Sequential(nn.Linear(300, 500), nn.ReLU(), nn.Linear(500, 65)).eval()
    rows, results = tnn.randn(70, 300), []
    threads = tnn.get_num_threads()
    for n in (1, 2):
        tnn.set_num_threads(n)
        fast = tnn.compile(model), tnn.compile(wide)
        with tnn.no_grad():
            for _ in range(5):
                out = fast[0](x), fast[1](rows)
        results.append([bits(t) for t in out])
    tnn.set_num_threads(threads)
    assert results[0] == results[1]


def test_a_copy_of_a_model_has_weights_of_its_own():
    runs = Runs(mlp(), tnn.randn(12, 24))
    twin = copy.deepcopy(runs.model)
    with tnn.no_grad():
        twin[0].weight.zero_()
    assert runs.packed(2) == 0
    assert len(Runs(twin, runs.x).plan.once) == 2


# Functions that are no methods too; the rest of tnn's are settings, constructors and the like.
FUNCTIONS = {
    "Tensor", "as_tensor", "asarray", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "cat",
    "from_dlpack", "meshgrid", "stack", "tensor",
}  # fmt: skip
ARGUMENTS = [
    (), (0,), (1,), (0, 1), ((0, 1),), ((4, 6),), (4, 6), (tnn.float32,), (tnn.int32,), (2, 0), (0, 0, 2), (0, 2, 1),
    ([1, 2],), (24,), ((24,),), ((6, 4), (1, 6)),
]  # fmt: skip


def tensors_in(value):
    if isinstance(value, tnn.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for v in value:
            yield from tensors_in(v)


@pytest.mark.parametrize("space", [tnn.Tensor, tnn])
@pytest.mark.filterwarnings("ignore")
def test_nobody_gets_memory_unseen(space):
    """What shares a tensor's memory shares its version counter, or the counter says that it was handed out."""
    views, unseen = set(), set()
    with tnn.no_grad():
        for name in dir(space):
            if name.startswith("__") or (space is tnn and name not in FUNCTIONS and not hasattr(tnn.Tensor, name)):
                continue
            for rest in ARGUMENTS:
                p = nn.Parameter(tnn.ones(4, 6))
                try:
                    member = getattr(space, name)
                    out = member(p, *rest) if callable(member) else getattr(p, name)
                except Exception:
                    continue  # not what it takes
                for t in tensors_in(out):
                    d = getattr(t, "_data", None)
                    if t is not p and isinstance(d, np.ndarray) and np.shares_memory(d, settled._data.__get__(p)):
                        views.add(name)
                        if t._version is not p._version and not p._version.loose:
                            unseen.add((name, rest))
    assert not unseen
    assert len(views) > (30 if space is tnn.Tensor else 20)
