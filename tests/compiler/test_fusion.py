"""Fused kernels: loops of generated source give what the single kernels give, bit for bit."""

import re

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.compiler import effects, fusion, recorder
from tnn.kernels import _chain

F = nn.functional
KINDS = {"float32": tnn.float32, "float64": tnn.float64}


def bits(t):
    """A tensor's bits; which NaN a NaN is, arithmetic leaves open."""
    x = t.detach().numpy().copy() if t.is_floating_point() and t.element_size() > 2 else t.detach().clone().numpy()
    if x.dtype.kind == "f" and x.itemsize > 2:
        x[np.isnan(x)] = np.nan
    return x.tobytes()


def replayed(function, *args, calls=5):
    """The compiled function, after calls that all gave what the function itself gives."""
    fast = tnn.compile(function)
    for _ in range(calls):
        assert flat(fast(*args)) == flat(function(*args))
    assert fast.reason is None
    return fast


def flat(result):
    return [bits(t) for t in (result if isinstance(result, tuple) else (result,))]


def plan_of(fast):
    return [plan for kind in fast._kinds.values() for plan in kind.plans][-1]


def native(fast):
    """The calls that a replay makes, as text."""
    return fast.source().partition("def native():")[2].partition("# around it")[0]


def numbers(seed, *shapes, dtype=tnn.float32):
    """Normal numbers with some that are special."""
    g = np.random.default_rng(seed)
    out = []
    for shape in shapes:
        x = np.array(g.standard_normal(shape) * 3)
        for value in (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-30):
            x[g.random(shape) < 0.01] = value
        out.append(tnn.from_numpy(x.astype(dtype.np)))
    return out


# Pieces of chains: functions of what came before and of another operand.
PIECES = (
    lambda a, b: a * b, lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a / b, lambda a, b: a * 1.7,
    lambda a, b: 0.3 - a, lambda a, b: a.tanh(), lambda a, b: a.sigmoid() * a, lambda a, b: F.silu(a),
    lambda a, b: F.gelu(a), lambda a, b: F.gelu(a, approximate="tanh"), lambda a, b: F.leaky_relu(a, 0.3),
    lambda a, b: a.relu() + b, lambda a, b: tnn.maximum(a, b), lambda a, b: F.softplus(a, 2.0), lambda a, b: a * a + b,
    lambda a, b: tnn.where(a > b, a, b * 2.0), lambda a, b: F.elu(a), lambda a, b: a.exp().log1p(),
    lambda a, b: tnn.add(a, b, alpha=-0.7), lambda a, b: F.mish(a), lambda a, b: a.sqrt(), lambda a, b: a.abs() ** b,
    lambda a, b: a.clamp(-1.5, 2.0),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_chains(kind, seed):
    g = np.random.default_rng(seed)
    pieces = [PIECES[i] for i in g.integers(0, len(PIECES), 6)]
    others = g.integers(0, 3, 6).tolist()

    def function(x, y, w):
        out = x
        for piece, other in zip(pieces, others, strict=True):
            out = piece(out, (x, y, w)[other])
        return out

    fast = replayed(function, *numbers(seed, (40, 1000), (40, 1000), (1000,), dtype=KINDS[kind]))
    assert len(re.findall(r"\bchain_\d+\(", native(fast))) == 1 and "_flat" not in native(fast)


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_and_a_sum_are_rounded_each(kind):
    x, y, w = numbers(0, (5000,), (5000,), (5000,), dtype=KINDS[kind])
    replayed(lambda x, y, w: (x * y + w, x * y - w), x, y, w)
    u, v, z = (a.numpy() for a in (x, y, w))
    with np.errstate(all="ignore"):
        wanted = u * v + z
    fast = replayed(lambda x, y, w: x * y + w, x, y, w)
    assert np.array_equal(fast(x, y, w).numpy(), wanted, equal_nan=True)


def test_what_formulas_have_in_common():
    x, y = numbers(1, (3000,), (3000,))
    replayed(lambda x, y: (F.silu(x), x.sigmoid() * y, x * y, x * y + x), x, y)
    replayed(lambda x, y: (tnn.addcmul(x, x, y, value=0.7), x * y, tnn.addcmul(y, x, y, value=0.7), -(x * y) + x), x, y)


def test_products_behind_choices():
    x, y = numbers(14, (3000,), (3000,))
    replayed(lambda x, y: (x * y).relu() + x, x, y)
    replayed(lambda x, y: x - (-(x * y)).clamp(-2.0, 2.0).abs(), x, y)
    replayed(lambda x, y: tnn.where(x > y, x * y, x / y) + tnn.maximum(x * x, y * 3.0), x, y)
    fast = replayed(lambda x, y: (x * 2.0 + y).relu() * y + 1.0, x, y)
    assert fast.source().count("apart(") == 2


@pytest.mark.parametrize(
    "shapes",
    [((4, 300), (300,)), ((4, 300), (4, 1)), ((4, 300), ()), ((3, 5, 9, 11), (5, 1, 1)), ((1, 300), (4, 1)),
     ((7, 1), (1, 300)), ((2, 3, 200), (3, 1)), ((6, 70), (6, 70)), ((0, 5), (5,))],
)  # fmt: skip
def test_broadcast_operands(shapes):
    x, y = numbers(2, *shapes)
    replayed(lambda x, y: ((x + y) * y).tanh() - x * 2.0, x, y)


def test_threads_change_nothing():
    x, y, w = numbers(3, (300, 517), (300, 517), (517,))
    before = tnn.get_num_threads()
    fast = replayed(lambda x, y, w: F.gelu(x * y + w) * w.sigmoid(), x, y, w)
    found = []
    try:
        for n in (1, 2, 3):
            tnn.set_num_threads(n)
            found.append(bits(fast(x, y, w)))
    finally:
        tnn.set_num_threads(before)
    assert fast.reason is None and found[0] == found[1] == found[2]


def test_only_what_is_read_is_written():
    x, y = numbers(4, (70, 800), (70, 800))
    fast = replayed(lambda x, y: F.gelu(x * y + 1.0) - y, x, y)
    assert plan_of(fast).temporary_bytes < 4096
    text = fast.source()
    assert text.count("y0[i] =") == 1 and "y1" not in text and "gelu_forward(apart(b, z0))" in text
    assert "add_forward(apart(a, z0), p0)" in text

    def both(x, y):
        a = x * y
        return a, F.gelu(a + 1.0)

    fast = replayed(both, x, y)
    assert "y0[i] = a" in fast.source() and "y1[i] = c" in fast.source()


def test_in_place():
    def function(x, y):
        a = x * 2.0
        a.add_(y).relu_()
        b = a * y
        a.mul_(b)
        return a, b

    replayed(function, *numbers(5, (900,), (900,)))

    def shifted(x, y):
        a = x * y
        a[1:] += a[:-1]
        return a * 2.0 + y

    fast = tnn.compile(shifted)
    x, y = numbers(6, (900,), (900,))
    for _ in range(5):
        assert bits(fast(x, y)) == bits(shifted(x, y))


def test_arguments_that_share_memory():
    parameter = nn.Parameter(tnn.ones(500))

    def function(x):
        with tnn.no_grad():
            a = x * 2.0
            parameter.mul_(3.0)
            return a + x * 5.0

    def left(run):
        with tnn.no_grad():
            parameter.fill_(1.0)
            return [bits(run(parameter.detach())) for _ in range(6)]

    assert left(tnn.compile(function)) == left(function)


@pytest.mark.parametrize("dtype", [tnn.bfloat16, tnn.float16, tnn.int64])
def test_other_types_are_left_alone(dtype):
    x = (tnn.arange(600) % 7).to(dtype)
    fast = tnn.compile(lambda x: (x * x + x) * 3 - x)
    for _ in range(5):
        y = fast(x)
    assert bits(y) == bits((x * x + x) * 3 - x)
    assert fast.reason is None
    assert "chain_" not in native(fast)


def test_dropout_and_masks():
    drop = nn.Dropout(0.4)
    features = nn.Dropout2d(0.3)

    def function(x, y):
        return drop(x.relu() + 1.0) * y + x, features(x * y).tanh()

    fast = tnn.compile(function)
    x, y = numbers(7, (4, 6, 10, 100), (4, 6, 10, 100))
    for i in range(6):
        tnn.manual_seed(i)
        wanted, after = flat(function(x, y)), bits(tnn.get_rng_state())
        tnn.manual_seed(i)
        assert flat(fast(x, y)) == wanted and bits(tnn.get_rng_state()) == after
    assert fast.reason is None
    assert native(fast).count("chain_") == 1 and native(fast).count("bernoulli_forward(") == 2
    assert "masked(" in fast.source()


def test_dropout_alone_stays_one_kernel():
    drop = nn.Dropout(0.4)
    fast = tnn.compile(lambda x: drop(x))
    for _ in range(5):
        fast(tnn.ones(300))
    assert fast.reason is None and "dropout_forward(" in native(fast) and "chain_" not in native(fast)


@pytest.mark.parametrize("size", [8, 2])
def test_normalization_and_relu(size):
    norm = nn.BatchNorm2d(5)
    with tnn.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    norm.eval()
    (x,) = numbers(8, (3, 5, size, size))
    fast = replayed(lambda x: (norm(x).detach() + x).relu() * 2.0, x)
    assert ("normalized(" in fast.source()) is (size == 8)
    fast = replayed(lambda x: norm(x).detach().relu() * 2.0, x)
    assert "relu_forward" not in fast.source() and re.search(r"batch_norm_apply\(.*, True\)", native(fast))


def test_relu_is_done_by_the_product():
    model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5), nn.Unflatten(1, (1, 1, 5)),
                          nn.Conv2d(1, 2, (1, 3)), nn.ReLU())  # fmt: skip
    (x,) = numbers(9, (12, 20))
    with tnn.no_grad():
        fast = replayed(model, x)
    assert "relu_forward" not in native(fast)
    assert re.search(r"gemm_bias_act\(.*, 25\)", native(fast)) and re.search(r"conv_forward\(.*, 10\)", native(fast))

    without = nn.Sequential(nn.Linear(20, 30, bias=False), nn.ReLU())
    with tnn.no_grad():
        assert "relu_forward" in native(replayed(without, x))
        shared = replayed(lambda x: (model[0](x), model[0](x).relu(), model[0](x).relu()), x)
    assert native(shared).count(", 25)") == 2


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.gate, self.down = nn.Linear(12, 24), nn.Linear(12, 24), nn.Linear(24, 4)
        self.scale = nn.Parameter(tnn.rand(24))

    def forward(self, x):
        return self.down(F.dropout(F.gelu(self.up(x)) * self.scale + F.silu(self.gate(x)).tanh(), 0.1, self.training))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_step(kind):
    def left(compiled):
        tnn.manual_seed(0)
        model = Gated().to(KINDS[kind])
        opt = tnn.optim.Adam(model.parameters(), 1e-2)

        def step(x, y):
            opt.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            opt.step()
            return loss

        run = tnn.compile(step) if compiled else step
        losses = [run(*batch) for batch in batches]
        return [bits(t) for t in [*losses, *model.parameters(), *(p.grad for p in model.parameters())]], run

    g = np.random.default_rng(0)
    batches = [
        [tnn.from_numpy(g.standard_normal((9, n)).astype(KINDS[kind].np)) for n in (12, 4)] for _ in range(8)
    ]  # fmt: skip
    mine, run = left(True)
    assert mine == left(False)[0]
    assert run.reason is None and "chain_" in native(run)
    assert re.search(r"gelu_backward\(.*apart", run.source())


FACTOR = 2.0


def test_guards():
    global FACTOR
    x, y = numbers(10, (400,), (400,))
    fast = replayed(lambda x, y: (x * FACTOR + y).relu() * y, x, y)
    FACTOR = 3.0
    assert bits(fast(x, y)) == bits((x * 3.0 + y).relu() * y) and fast.reason is not None
    FACTOR = 2.0
    for shape in ((400,), (20, 20), (7, 3)):
        a, b = numbers(11, shape, shape)
        for _ in range(5):
            assert bits(fast(a, b)) == bits((a * 2.0 + b).relu() * b)


def test_without_the_compiler_of_chains(monkeypatch):
    def fails(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(_chain, "chain", fails)
    x, y = numbers(12, (400,), (400,))
    fast = replayed(lambda x, y: (x + y).relu() * y, x, y)
    assert "chain_" not in native(fast) and "_flat2" in native(fast)


def test_a_loop_that_comes_out_otherwise(monkeypatch):
    right = fusion._Source.text
    monkeypatch.setattr(fusion._Source, "text", lambda self: right(self).replace("y0[i] = c", "y0[i] = b"))
    x, y = numbers(13, (400,), (400,))
    fast = replayed(lambda x, y: (x + y).relu() * y, x, y, calls=7)
    assert "chain_" not in native(fast)


def test_kernels_write_what_is_listed(monkeypatch):
    """The table in effects.py, for the kernels of some networks."""
    run, seen = recorder._run, set()

    def checked(dispatcher, *args):
        name = dispatcher.py_func.__name__
        arrays = [a if isinstance(a, np.ndarray) else None for a in args]
        before = [None if a is None else a.copy() for a in arrays]
        result = run(dispatcher, *args)
        if name in effects.WRITES:
            seen.add(name)
            mine = [arrays[i] for i in effects.WRITES[name]]
            for i, (a, b) in enumerate(zip(arrays, before, strict=True)):
                if a is not None and not any(np.shares_memory(a, m) for m in mine):
                    assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (name, i)
        return result

    monkeypatch.setattr(recorder, "_run", checked)
    image = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2), nn.Tanh(),
        nn.Conv2d(4, 4, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.LayerNorm(4), nn.Linear(4, 4),
        nn.Softmax(-1),
    )  # fmt: skip

    def trained(opt):
        def step(x, y):
            opt.zero_grad()
            out = image(x)
            loss = F.cross_entropy(out, y) + F.nll_loss(out, y)
            loss.backward()
            opt.step()
            return loss

        fast = tnn.compile(step)
        for i in range(4):
            x = tnn.nan_to_num(numbers(i, (6, 1, 8, 8))[0], posinf=1.0, neginf=1.0)
            fast(x, tnn.arange(6) % 4)

    trained(tnn.optim.SGD(image.parameters(), 0.1))
    trained(tnn.optim.SGD(image.parameters(), 0.1, momentum=0.9))
    trained(tnn.optim.Adam(image.parameters(), 0.1))

    words = nn.Sequential(nn.Embedding(9, 4, scale_grad_by_freq=True), nn.utils.parametrizations.weight_norm(
        nn.Linear(4, 3)))  # fmt: skip
    opt = tnn.optim.SGD(words.parameters(), 0.1)

    def read(x, y):
        opt.zero_grad()
        F.cross_entropy(words(x), y).backward()
        nn.utils.clip_grad_norm_(words.parameters(), 0.1)
        opt.step()

    fast = tnn.compile(read)
    for _ in range(4):
        fast(tnn.arange(6), tnn.arange(6) % 3)
    assert len(seen) > 25
