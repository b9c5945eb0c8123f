"""What the rows of cases.py are made with.

A row's ``make`` takes a library (``tnn`` or ``torch``: their names are the same), makes layer and inputs, and returns a
function without arguments that runs them once. The function carries ``work``, a function that says what such a run has
to do at least: see `Work`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Case:
    """One row: its name, its family, and ``make(lib)``, which returns the function to time."""

    name: str
    family: str
    make: Callable


@dataclass(frozen=True)
class Work:
    """What a run has to do at least: floating-point operations, bytes to read and bytes to write, kernels to start.

    Operations are counted where they are products of matrices in disguise (linear, convolution, attention...); what is
    done for each element counts by the bytes of the element. Bytes are those of inputs, parameters and outputs: read
    once each and written once each, and again on the way back.
    """

    flops: float
    read: float
    written: float
    launches: int


CASES: list[Case] = []


def add(name, family, make):
    """Adds a row to the table."""
    if any(c.name == name for c in CASES):
        raise ValueError(f"the table has a row {name!r} already")
    CASES.append(Case(name, family, make))


# -- how much work a row is ----------------------------------------------------------------------------------------


def _bytes(tensors):
    """Bytes of the elements of tensors, counted in the library's own way."""
    return sum(t.numel() * t.element_size() for t in tensors)


def _outputs(result):
    """All tensors in a layer's result."""
    if hasattr(result, "numel"):
        return [result]
    return [t for part in result for t in _outputs(part)] if isinstance(result, (tuple, list)) else []


def _module_flops(module, inputs, output):
    """Multiplications and additions of one call of a module with weights; 0 where elements are worked on singly."""
    kind = type(module).__name__
    if kind.startswith("ConvTranspose"):
        return 2 * inputs[0].numel() * module.weight.numel() // module.in_channels
    if kind.startswith("Conv"):
        return 2 * output.numel() * module.weight.numel() // module.out_channels
    if kind == "Linear":
        return 2 * inputs[0].numel() * module.out_features
    if kind == "Bilinear":
        return 2 * inputs[0].numel() // module.in1_features * module.weight.numel()
    if kind in ("RNN", "LSTM", "GRU"):
        weights = sum(p.numel() for n, p in module.named_parameters() if n.startswith("weight"))
        return 2 * inputs[0].numel() // module.input_size * weights
    if kind == "MultiheadAttention":
        query, key = inputs[:2]
        products = 4 * query.numel() * key.shape[1 if module.batch_first else 0]
        return 2 * query.numel() * 4 * module.embed_dim + products
    return 0


def counted(model, inputs):
    """Floating-point operations of one forward call of a module, by its parts."""
    if not hasattr(model, "modules"):
        return 0
    found = []
    handles = [
        m.register_forward_hook(lambda m, given, result: found.append(_module_flops(m, given, result)))
        for m in model.modules()
    ]
    model(*inputs)
    for handle in handles:
        handle.remove()
    return sum(found)


def forward_work(layer, inputs, parameters, flops=None, moves=None):
    """What a forward run does: reads inputs and parameters, writes outputs, unless ``moves`` says (read, written)."""
    result = _outputs(layer(*inputs))
    read, written = moves or (_bytes(inputs) + _bytes(parameters), _bytes(result))
    return Work(counted(layer, inputs) if flops is None else flops, read, written, 1)


def both_work(layer, inputs, parameters, flops=None, moves=None):
    """Forward, then: reads the outputs' gradients, the inputs and the parameters, and writes the gradients of both."""
    once = forward_work(layer, inputs, parameters, flops)
    read, written = moves or (2 * once.read + once.written, once.written + once.read)
    return Work(3 * once.flops, read, written, 3)


# -- rows ----------------------------------------------------------------------------------------------------------


def _made(lib, build, shapes, dtype, grad):
    lib.manual_seed(0)
    layer = build(lib)
    kind = getattr(lib, dtype)
    if dtype != "float32" and hasattr(layer, "to"):
        layer = layer.to(kind)
    inputs = [lib.randn(*s, dtype=kind, requires_grad=grad) for s in shapes]
    parameters = list(layer.parameters()) if hasattr(layer, "parameters") else []
    return layer, inputs, parameters


def forward(build, *shapes, dtype="float32", flops=None, moves=None):
    """Times ``build(lib)(*inputs)`` without recording."""

    def make(lib):
        layer, inputs, parameters = _made(lib, build, shapes, dtype, False)

        def run():
            with lib.no_grad():
                return layer(*inputs)

        run.work = lambda: forward_work(layer, inputs, parameters, flops, moves)
        return run

    return make


def both(build, *shapes, dtype="float32", flops=None, moves=None):
    """Times forward and backward, to all inputs and parameters."""

    def make(lib):
        layer, inputs, parameters = _made(lib, build, shapes, dtype, True)
        leaves = inputs + parameters
        seed = lib.ones_like(layer(*inputs).detach())

        def run():
            for t in leaves:
                t.grad = None
            layer(*inputs).backward(seed)

        run.work = lambda: both_work(layer, inputs, parameters, flops, moves)
        return run

    return make


def layer(name, family, build, *shapes, dtype="float32", flops=None, moves=None, both_moves=None):
    """Two rows: forward, and forward with backward."""
    if dtype != "float32":
        name = f"{name} {dtype}"
    add(f"{name} forward", family, forward(build, *shapes, dtype=dtype, flops=flops, moves=moves))
    add(f"{name} forward+backward", family, both(build, *shapes, dtype=dtype, flops=flops, moves=both_moves))


def only(name, family, build, *shapes, dtype="float32", flops=None, moves=None):
    """One row, forward alone: for what has no gradient."""
    if dtype != "float32":
        name = f"{name} {dtype}"
    add(name, family, forward(build, *shapes, dtype=dtype, flops=flops, moves=moves))


class Output:
    """A layer's first output."""

    def __init__(self, layer):
        self.layer = layer
        self.parameters = layer.parameters
        self.modules = layer.modules

    def __call__(self, *inputs):
        return self.layer(*inputs)[0]


class Given:
    """A layer or function that gets more than its differentiable inputs: targets, indices, sizes."""

    def __init__(self, layer, *extra, first=False):
        self.layer, self.extra, self.first = layer, extra, first
        if hasattr(layer, "parameters"):
            self.parameters = layer.parameters

    def __call__(self, *inputs):
        return self.layer(*self.extra, *inputs) if self.first else self.layer(*inputs, *self.extra)


class Permuted:
    """A layer whose inputs come with their channels last and are permuted: in memory they stay there."""

    def __init__(self, layer):
        self.layer, self.parameters, self.modules = layer, layer.parameters, layer.modules

    def __call__(self, x):
        return self.layer(x.movedim(-1, 1))


# -- whole steps ---------------------------------------------------------------------------------------------------


def step_work(model, inputs, states):
    """A step reads and writes parameters, gradients and ``states`` more of them, and runs forward and backward."""
    once = forward_work(model, inputs, [])
    weights = _bytes(p for p in model.parameters())
    modules = sum(1 for m in model.modules() if not list(m.children()))
    read = 2 * once.read + once.written + (4 + states) * weights
    return Work(3 * once.flops, read, once.written + (2 + states) * weights, 3 * modules + 2)


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

        run.work = lambda: step_work(model, [x], 2)
        return run

    return make


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

        run.work = lambda: step_work(model, [x], 2)
        return run

    return make


def gpt_step():
    """Times an AdamW step of the model of examples/char_gpt.py, with its clipping of the gradient."""

    def make(lib):
        lib.manual_seed(0)
        nn, width, context, letters = lib.nn, 128, 128, 96

        class GPT(nn.Module):
            def __init__(self):
                super().__init__()
                self.tokens, self.places = nn.Embedding(letters, width), nn.Embedding(context, width)
                layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
                self.body = nn.TransformerEncoder(layer, 4, nn.LayerNorm(width), enable_nested_tensor=False)
                mask = nn.Transformer.generate_square_subsequent_mask(context)
                self.register_buffer("mask", mask, persistent=False)

            def forward(self, x):
                y = self.body(self.tokens(x) + self.places.weight, mask=self.mask, is_causal=True)
                return nn.functional.linear(y, self.tokens.weight)

        model = GPT()
        x, y = (lib.randint(0, letters, (32, context)) for _ in range(2))
        opt = lib.optim.AdamW(model.parameters(), lr=1e-3)

        def run():
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x).reshape(-1, letters), y.reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            return loss

        run.work = lambda: step_work(model, [x], 2)
        return run

    return make


def optimizer_step(optimizer, sizes, states, **options):
    """Times an optimizer's step over parameters of the given shapes, whose gradients stay."""

    def make(lib):
        lib.manual_seed(0)
        parameters = [lib.nn.Parameter(lib.randn(*s)) for s in sizes]
        for p in parameters:
            p.grad = lib.randn(*p.shape)
        opt = getattr(lib.optim, optimizer)(parameters, **options)
        weights = 4 * sum(map(prod, sizes))
        run = opt.step

        def step():
            run()

        step.work = lambda: Work(0, (2 + states) * weights, (1 + states) * weights, 1)
        return step

    return make


def inference(build, *batch):
    """Times a model's forward run in evaluation mode without recording; ``model`` and ``x`` can be had from it."""

    def make(lib):
        lib.manual_seed(0)
        model = build(lib).eval()
        x = lib.randn(*batch)

        def run():
            with lib.no_grad():
                return model(x)

        run.model, run.x = model, x
        run.work = lambda: forward_work(model, [x], list(model.parameters()))
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


def last_step(lib, inputs, hidden, classes):
    """An LSTM with a linear layer on the output of the last step."""

    class Model(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = lib.nn.LSTM(inputs, hidden, batch_first=True)
            self.head = lib.nn.Linear(hidden, classes)

        def forward(self, x):
            return self.head(self.body(x)[0][:, -1])

    return Model()


def mlp(lib):
    """A multi-layer perceptron 8-16-4."""
    nn = lib.nn
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def wide_mlp(lib):
    """A multi-layer perceptron 784-512-256-10."""
    nn = lib.nn
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def two_blocks(lib):
    """Two convolution blocks with batch norm, for 32 x 32 colour images."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 64, 10),
    )  # fmt: skip


def encoder(lib):
    """Two encoder layers of width 128."""
    nn = lib.nn
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True), 2)


def sdpa(causal=False, mask=None):
    """Scaled dot-product attention; ``mask``: the shape of a mask of bools, four in five of them True."""

    def build(lib):
        attend, given = lib.nn.functional.scaled_dot_product_attention, mask and lib.rand(*mask) < 0.8
        return lambda q, k, v: attend(q, k, v, attn_mask=given, is_causal=causal)

    return build


class Attention:
    """Multi-head attention of a sequence to itself or to another one, without the weights; ``mask``: as for sdpa."""

    def __init__(self, lib, width, heads, mask=None):
        self.layer = lib.nn.MultiheadAttention(width, heads, batch_first=True)
        self.parameters, self.modules = self.layer.parameters, self.layer.modules
        self.mask = mask and lib.rand(*mask) > 0.8

    def __call__(self, x, memory=None):
        memory = x if memory is None else memory
        return self.layer(x, memory, memory, attn_mask=self.mask, need_weights=False)[0]


class Steps:
    """A recurrent cell applied to the same input again and again."""

    def __init__(self, cell, times):
        self.cell, self.times = cell, times
        self.parameters, self.modules = cell.parameters, cell.modules

    def __call__(self, x):
        state = None
        for _ in range(self.times):
            state = self.cell(x, state)
        return state[0] if isinstance(state, tuple) else state


def steps(name, inputs, hidden, times):
    """A loop over a cell."""
    return lambda lib: Steps(getattr(lib.nn, name)(inputs, hidden), times)


class Packed:
    """A recurrent layer on sequences of falling lengths."""

    def __init__(self, lib, layer):
        self.lib, self.layer = lib, layer
        self.parameters, self.modules = layer.parameters, layer.modules

    def __call__(self, x):
        lengths = [x.shape[0] - i % x.shape[0] for i in range(x.shape[1])]
        packed = self.lib.nn.utils.rnn.pack_padded_sequence(x, lengths)
        return self.layer(packed)[0].data


def packed(inputs, hidden):
    """An LSTM on packed sequences."""
    return lambda lib: Packed(lib, lib.nn.LSTM(inputs, hidden))
