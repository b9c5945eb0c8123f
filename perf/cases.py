"""What is timed: one table, used by versus.py (against PyTorch), gate.py and the asv suite.

A case makes its inputs for a library (``tnn`` or ``torch``: their names are the same) and returns a function without
arguments that runs it once.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One row: its name, its family, and ``make(lib)``, which returns the function to time."""

    name: str
    family: str
    make: Callable


CASES: list[Case] = []


def add(name, family, make):
    """Adds a row to the table."""
    CASES.append(Case(name, family, make))


def forward(build, *shapes, dtype="float32"):
    """Times ``build(lib)(*inputs)`` without recording."""

    def make(lib):
        lib.manual_seed(0)
        layer = build(lib)
        inputs = [lib.randn(*s, dtype=getattr(lib, dtype)) for s in shapes]

        def run():
            with lib.no_grad():
                return layer(*inputs)

        return run

    return make


def both(build, *shapes, dtype="float32"):
    """Times forward and backward, to all inputs and parameters."""

    def make(lib):
        lib.manual_seed(0)
        layer = build(lib)
        inputs = [lib.randn(*s, dtype=getattr(lib, dtype), requires_grad=True) for s in shapes]
        leaves = inputs + (list(layer.parameters()) if hasattr(layer, "parameters") else [])
        seed = lib.ones_like(layer(*inputs).detach())

        def run():
            for t in leaves:
                t.grad = None
            layer(*inputs).backward(seed)

        return run

    return make


def layer(name, family, build, *shapes, dtype="float32"):
    """Two rows: forward, and forward with backward."""
    add(f"{name} forward", family, forward(build, *shapes, dtype=dtype))
    add(f"{name} forward+backward", family, both(build, *shapes, dtype=dtype))


class Output:
    """A layer's first output."""

    def __init__(self, layer):
        self.layer = layer
        self.parameters = layer.parameters

    def __call__(self, *inputs):
        return self.layer(*inputs)[0]


def training_step(build, batch, classes, optimizer="Adam"):
    """Times zero_grad, forward, cross entropy, backward and the optimizer's step."""

    def make(lib):
        lib.manual_seed(0)
        model = build(lib)
        x = lib.randn(*batch)
        y = lib.randint(0, classes, (batch[0],))
        opt = getattr(lib.optim, optimizer)(model.parameters(), lr=1e-3)
        loss_of = lib.nn.CrossEntropyLoss()

        def run():
            opt.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            opt.step()
            return loss

        return run

    return make


def digits_model(lib):
    """The network of examples/digits.py."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout2d(0.1),
        nn.Conv2d(64, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, 10),
    )  # fmt: skip


def lenet(lib):
    """LeNet-5 for 28 x 28 images."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def mlp(lib):
    """A multi-layer perceptron 8-16-4."""
    nn = lib.nn
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def two_blocks(lib):
    """Two convolution blocks with batch norm, for 32 x 32 colour images."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 64, 10),
    )  # fmt: skip


def product(m, n, k, batch=(), left=False, right=False, dtype="float32"):
    """Rows for ``matmul`` of (m, k) and (k, n): as they lie, the right one transposed, the left one transposed."""
    name = f"gemm {m}x{n}x{k}" if not m == n == k else f"gemm {n}"
    name = " ".join([name, *(f"batch {b}" for b in batch), *([dtype] if dtype != "float32" else [])])
    a, b = (*batch, m, k), (*batch, k, n)
    add(name, "gemm", forward(lambda lib: lib.matmul, a, b, dtype=dtype))
    if right:
        turned = (*batch, n, k)
        add(f"{name} A B.T", "gemm", forward(lambda lib: lambda a, b: a @ b.mT, a, turned, dtype=dtype))
    if left:
        turned = (*batch, k, m)
        add(f"{name} A.T B", "gemm", forward(lambda lib: lambda a, b: a.mT @ b, turned, b, dtype=dtype))


for n in (16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048):
    product(n, n, n, left=n in (16, 32, 64, 128, 256, 1024), right=n in (16, 32, 64, 128, 256, 1024))
for shape in ((32, 1024, 1024), (4096, 64, 64), (4096, 16, 16), (64, 64, 4096), (1, 1024, 1024), (1024, 1, 1024)):
    product(*shape, left=True, right=True)
product(32, 32, 32, (64,), left=True, right=True)
product(128, 128, 64, (8,), left=True, right=True)
for n in (32, 256, 1024):
    product(n, n, n, dtype="float64")
layer("linear 64x512->512", "linear", lambda lib: lib.nn.Linear(512, 512), (64, 512))

for name in ("ReLU", "GELU", "Tanh", "Sigmoid", "SiLU"):
    layer(f"{name.lower()} 512x1024", "pointwise", lambda lib, name=name: getattr(lib.nn, name)(), (512, 1024))
layer("relu 8", "small", lambda lib: lib.nn.ReLU(), (8,))
layer("add 8", "small", lambda lib: lib.add, (8,), (8,))
layer("mul 8", "small", lambda lib: lib.mul, (8,), (8,))
layer("tanh 8", "small", lambda lib: lib.tanh, (8,))
layer("linear 1x8->8", "small", lambda lib: lib.nn.Linear(8, 8), (1, 8))
layer("softmax 512x1000", "softmax", lambda lib: lib.nn.Softmax(-1), (512, 1000))
layer("log_softmax 512x1000", "softmax", lambda lib: lib.nn.LogSoftmax(-1), (512, 1000))
layer("layer_norm 512x1024", "normalization", lambda lib: lib.nn.LayerNorm(1024), (512, 1024))
layer("batch_norm 16x64x28x28", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (16, 64, 28, 28))
layer("max_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.MaxPool2d(2), (16, 64, 32, 32))
layer("avg_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.AvgPool2d(2), (16, 64, 32, 32))
layer("conv2d 64->64 3x3 8x64x32x32", "conv", lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1), (8, 64, 32, 32))
layer("conv2d 1x1 128->128 8x128x16x16", "conv", lambda lib: lib.nn.Conv2d(128, 128, 1), (8, 128, 16, 16))
layer(
    "conv2d depthwise 64 8x64x32x32",
    "conv",
    lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1, groups=64),
    (8, 64, 32, 32),
)
layer("conv2d 3->32 7x7 s2 8x3x64x64", "conv", lambda lib: lib.nn.Conv2d(3, 32, 7, stride=2, padding=3), (8, 3, 64, 64))
layer("sum 512x1024", "reduction", lambda lib: lambda x: x.sum(), (512, 1024))

for name in ("LSTM", "GRU"):
    layer(
        f"{name.lower()} 64->128 32x40",
        "recurrent",
        lambda lib, name=name: Output(getattr(lib.nn, name)(64, 128)),
        (40, 32, 64),
    )
layer("lstm 64->64 1x20", "recurrent", lambda lib: Output(lib.nn.LSTM(64, 64)), (20, 1, 64))


def sdpa(causal=False):
    """Scaled dot-product attention."""
    return lambda lib: (
        lambda q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    )


def encoder_step(dropout):
    """Times an AdamW step of a two-layer encoder with a linear layer on top: a class for each place."""

    def make(lib):
        lib.manual_seed(0)
        nn = lib.nn
        one = nn.TransformerEncoderLayer(128, 4, 512, dropout, batch_first=True)
        model = nn.Sequential(nn.TransformerEncoder(one, 2), nn.Linear(128, 64))
        x, y = lib.randn(16, 64, 128), lib.randint(0, 64, (16 * 64,))
        opt = lib.optim.AdamW(model.parameters(), lr=1e-3)

        def run():
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x).reshape(16 * 64, 64), y)
            loss.backward()
            opt.step()
            return loss

        return run

    return make


layer("sdpa 8x8x128x64", "attention", sdpa(), *[(8, 8, 128, 64)] * 3)
layer("sdpa causal 2x8x512x64", "attention", sdpa(causal=True), *[(2, 8, 512, 64)] * 3)
for rate in (0.1, 0.0):
    layer(
        f"encoder layer d=128 16x64 dropout {rate}",
        "attention",
        lambda lib, rate=rate: lib.nn.TransformerEncoderLayer(128, 4, dropout=rate, batch_first=True),
        (16, 64, 128),
    )
    add(f"step two-layer encoder d=128 16x64 dropout {rate}", "attention", encoder_step(rate))

add("step digits CNN batch 64", "step", training_step(digits_model, (64, 1, 8, 8), 10))
add("step MLP 8-16-4 batch 16", "step", training_step(mlp, (16, 8), 4))
add("step LeNet batch 64", "step", training_step(lenet, (64, 1, 28, 28), 10))
add("step two-block CNN batch 32", "step", training_step(two_blocks, (32, 3, 32, 32), 10))
