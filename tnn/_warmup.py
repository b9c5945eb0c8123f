"""Small calls that between them compile the kernels: what ``python -m tnn warmup`` runs, a family at a time.

A row is ``(text, *inputs)``. The text is evaluated with ``tnn``, ``nn``, ``F``, `step` and `packed` in reach and gives
something to call: a module or a function. An input is a shape (a float tensor of it, with values in (0.1, 0.9), that
requires a gradient), or ``ints(high, *shape)``, or ``plain(*shape)`` (a float tensor without gradient), or any other
value as it is. The row is called, and each floating-point output is summed and differentiated.

Kernels are compiled for dtypes, not for sizes, so a row for each kernel and mode is enough. An operation that is added
gets its rows here; the tests run them all, with bounds checks too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tnn
from tnn import nn
from tnn.nn import functional as F


class ints:
    """An input of integers from 0 to `high` - 1."""

    def __init__(self, high: int, *shape: int):
        self.high, self.shape = high, shape


class plain:
    """An input of floats that requires no gradient."""

    def __init__(self, *shape: int):
        self.shape = shape


def step(optimizer: type, **options: Any):
    """A call that takes two steps of an optimizer on a matrix and a vector."""

    def call(x, y):
        leaves = [x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()]
        one = optimizer(leaves, **options)
        for _ in range(2):
            one.zero_grad()
            sum((leaf * leaf).sum() for leaf in leaves).backward()
            one.step()

    return call


def packed(module: nn.Module):
    """A call of a module in evaluation, compiled: its weights are packed beforehand."""

    def call(x):
        fast = tnn.compile(module.to(x.dtype).eval())
        with tnn.no_grad():
            for _ in range(3):
                fast(x)

    return call


def each(names: str, *inputs: Any, before: str = "tnn.") -> list[tuple]:
    """Rows for functions that take the same inputs."""
    return [(before + name, *inputs) for name in names.split()]


ROWS: dict[str, list[tuple]] = {
    "linear": [
        ("nn.Linear(5, 3)", (4, 5)),
        ("nn.Bilinear(3, 4, 2)", (5, 3), (5, 4)),
        ("packed(nn.Linear(5, 3))", plain(4, 5)),
        *each("matmul", (3, 4), (4, 5)),
        *each("matmul", (2, 3, 4), (2, 4, 5)),
        *each("mv", (3, 4), (4,)),
        *each("dot", (4,), (4,)),
        *each("addmm", (3, 5), (3, 4), (4, 5)),
        *each("baddbmm", (2, 3, 5), (2, 3, 4), (2, 4, 5)),
    ],
    "conv": [
        ("nn.Conv1d(4, 6, 3, padding=1)", (2, 4, 9)),
        ("nn.Conv2d(3, 4, 3)", (2, 3, 8, 8)),
        ("nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4)", (2, 4, 8, 8)),
        ("nn.Conv2d(4, 6, 1, groups=2, dilation=2)", (2, 4, 5, 5)),
        ("nn.Conv2d(16, 16, 3, padding=1, groups=2)", (1, 16, 12, 12)),
        ("nn.Conv3d(2, 3, 2)", (1, 2, 4, 4, 4)),
        ("nn.Conv2d(3, 32, 16, stride=16)", (2, 3, 64, 64)),
        *[(f"packed({conv})", plain(*shape)) for conv, shape in (
            ("nn.Conv2d(3, 4, 3)", (2, 3, 8, 8)), ("nn.Conv2d(16, 16, 3, groups=2)", (1, 16, 12, 12)),
            ("nn.Conv2d(32, 32, 3, padding=1)", (1, 32, 24, 24)), ("nn.Conv2d(3, 32, 16, 16)", (2, 3, 64, 64)),
        )],
        ("nn.Conv1d(32, 32, 9, padding=4)", (1, 32, 1024)),
    ],
    "conv_transpose": [
        ("nn.ConvTranspose1d(4, 6, 3, stride=2)", (2, 4, 7)),
        ("nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2)", (2, 4, 5, 5)),
        ("nn.ConvTranspose2d(112, 12, 2, stride=2)", (2, 112, 6, 5)),
        ("nn.ConvTranspose3d(2, 3, 2)", (1, 2, 3, 3, 3)),
    ],
    "pooling": [
        *[(f"nn.{kind}Pool{n}d(2)", (2, 3) + (6,) * n) for kind in ("Max", "Avg") for n in (1, 2, 3)],
        *[(f"nn.Adaptive{kind}Pool{n}d(2)", (2, 3) + (5,) * n) for kind in ("Max", "Avg") for n in (1, 2, 3)],
        ("nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)", (2, 3, 7, 7)),
        ("nn.LPPool2d(2, 2)", (2, 3, 6, 6)),
        ("nn.FractionalMaxPool2d(2, output_size=3)", (2, 3, 7, 7)),
        ("nn.MaxPool2d(3)", (2, 3, 7, 7)),
        *[(f"lambda x: nn.{kind}Pool2d(2)(x.movedim(-1, 1))", (2, 6, 6, 9))
          for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg")],
        ("lambda x: nn.MaxUnpool2d(2)(*nn.MaxPool2d(2, return_indices=True)(x))", (2, 3, 6, 6)),
    ],
    "padding": [
        *[(f"nn.{kind}Pad{n}d(1)", (2, 3) + (4,) * n)
          for kind in ("Reflection", "Replication", "Circular") for n in (1, 2, 3)],
        ("nn.ConstantPad2d(1, 2.0)", (2, 3, 4, 4)),
    ],
    "pointwise": [
        *each("add sub mul div maximum minimum atan2 pow fmod remainder", (3, 4), (3, 4)),
        *each("add mul", (3, 4), (4,)),
        *each("exp expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh", (3, 4)),
        *each("sigmoid erf erfc abs neg reciprocal square floor ceil round sign trunc", (3, 4)),
        *each("relu elu selu celu gelu silu mish softplus softsign tanhshrink logsigmoid", (3, 4), before="F."),
        *each("leaky_relu hardtanh relu6 hardswish hardsigmoid hardshrink softshrink", (3, 4), before="F."),
        ("lambda x: F.threshold(x, 0.5, 0.1)", (3, 4)),
        ("lambda x: F.gelu(x, approximate='tanh')", (3, 4)),
        ("nn.PReLU(4)", (3, 4)),
        ("nn.RReLU()", (3, 4)),
        ("nn.GLU()", (3, 4)),
        ("lambda x: tnn.clamp(x, 0.2, 0.5)", (3, 4)),
        ("lambda x, y: tnn.where(x > y, x, y)", (3, 4), (3, 4)),
        *each("eq ne lt le gt ge", plain(3, 4), plain(3, 4)),
        ("lambda x, y: x.add_(y).mul_(2.0).exp_().masked_fill_(y > 0.5, 1.0)", plain(3, 4), plain(3, 4)),
        ("lambda x: x[:, :10] + x[:, 1:]", plain(3, 11)),
        ("lambda x: x.half().float()", plain(30, 4)),
    ],
    "softmax": [
        *[(f"nn.{name}(dim={dim})", (3, 4, 5)) for name in ("Softmax", "LogSoftmax", "Softmin") for dim in (1, -1)],
        *[(f"nn.{name}(dim=-1)", (2, 600)) for name in ("Softmax", "LogSoftmax")],
        *[(f"lambda x: tnn.logsumexp(x, {dim})", (3, 4, 5)) for dim in (1, -1)],
        ("lambda x: F.gumbel_softmax(x, hard=True)", (3, 4)),
    ],
    "normalization": [
        *[(f"nn.BatchNorm{n}d(3)", (4, 3) + (5,) * n) for n in (1, 2)],
        ("nn.BatchNorm2d(3).eval()", (4, 3, 5, 5)),
        ("nn.InstanceNorm2d(3, affine=True)", (4, 3, 5, 5)),
        ("nn.LayerNorm(6)", (4, 6)),
        ("nn.GroupNorm(2, 4)", (2, 4, 5, 5)),
        ("nn.RMSNorm(6)", (4, 6)),
        ("nn.LocalResponseNorm(2)", (2, 4, 5, 5)),
        ("F.normalize", (4, 6)),
    ],
    "dropout": [
        *[(f"nn.{kind}(0.5)", (2, 3, 4, 4)) for kind in "Dropout Dropout2d AlphaDropout FeatureAlphaDropout".split()],
    ],
    "embedding": [
        ("nn.Embedding(10, 4)", ints(10, 3, 5)),
        ("nn.Embedding(10, 4, padding_idx=0, max_norm=1.0)", ints(10, 3, 5)),
        *[(f"nn.EmbeddingBag(10, 4, mode={mode!r})", ints(10, 3, 5)) for mode in ("sum", "mean", "max")],
        ("lambda i: F.one_hot(i, 10)", ints(10, 3)),
    ],
    "fold": [
        ("nn.Unfold(2)", (2, 3, 5, 5)),
        ("nn.Fold((4, 4), 2)", (2, 12, 9)),
    ],
    "loss": [
        *each("mse_loss l1_loss smooth_l1_loss huber_loss", (3, 4), plain(3, 4), before="F."),
        *each("binary_cross_entropy binary_cross_entropy_with_logits kl_div", (3, 4), plain(3, 4), before="F."),
        *each("poisson_nll_loss soft_margin_loss multilabel_soft_margin_loss", (3, 4), plain(3, 4), before="F."),
        *each("cross_entropy nll_loss multi_margin_loss", (3, 4), ints(4, 3), before="F."),
        ("F.cross_entropy", (2, 4, 3), ints(4, 2, 3)),
        ("F.cross_entropy", (3, 4), plain(3, 4)),
        ("lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w)", (3, 4), plain(3, 4), plain(4)),
        ("F.gaussian_nll_loss", (3, 4), plain(3, 4), plain(3, 4)),
        ("F.triplet_margin_loss", (3, 4), (3, 4), (3, 4)),
        ("lambda x, y: F.hinge_embedding_loss(x, y.sign())", (3, 4), plain(3, 4)),
        ("lambda x, y, z: F.margin_ranking_loss(x, y, z.sign())", (4,), (4,), plain(4)),
        ("lambda x, y: F.cosine_embedding_loss(x, y, tnn.ones(3))", (3, 4), (3, 4)),
        ("F.multilabel_margin_loss", (3, 4), ints(4, 3, 4)),
    ],
    "ctc": [
        ("lambda x, y: F.ctc_loss(x.log_softmax(2), y + 1, (6, 6), (3, 3))", (6, 2, 5), ints(4, 2, 3)),
    ],
    "distance": [
        *each("cosine_similarity pairwise_distance", (3, 4), (3, 4), before="F."),
        ("tnn.cdist", (3, 4), (5, 4)),
        ("F.pdist", (4, 3)),
    ],
    "resample": [
        *[(f"nn.Upsample(scale_factor=2, mode={mode!r})", (2, 3, 4, 4)) for mode in ("nearest", "bilinear", "bicubic")],
        ("nn.Upsample(scale_factor=2, mode='linear')", (2, 3, 4)),
        ("nn.Upsample(scale_factor=2, mode='trilinear')", (1, 2, 3, 3, 3)),
        ("nn.PixelShuffle(2)", (2, 4, 3, 3)),
        ("nn.PixelUnshuffle(2)", (2, 1, 4, 4)),
        ("nn.ChannelShuffle(2)", (2, 4, 3, 3)),
        *[(f"lambda x, g: F.grid_sample(x, g, mode={mode!r}, align_corners=False)", (2, 3, 4, 4), (2, 3, 3, 2))
          for mode in ("bilinear", "nearest", "bicubic")],
        ("lambda x, g: F.grid_sample(x, g, align_corners=False)", (2, 6, 4, 4), (2, 3, 3, 2)),
        ("lambda x, g: F.grid_sample(x, g, align_corners=False)", (2, 3, 4, 4, 4), (2, 3, 3, 3, 3)),
        ("lambda t: F.affine_grid(t, (2, 1, 3, 3), align_corners=False)", (2, 2, 3)),
    ],
    "recurrent": [
        *[(f"nn.{name}(3, 4)", (5, 2, 3)) for name in ("RNN", "LSTM", "GRU")],
        ("nn.RNN(3, 4, nonlinearity='relu', bidirectional=True, num_layers=2)", (5, 2, 3)),
        *[(f"nn.{name}Cell(3, 4)", (batch, 3)) for name in ("RNN", "LSTM", "GRU") for batch in (2, 8)],
    ],
    "attention": [
        ("F.scaled_dot_product_attention", (2, 2, 5, 4), (2, 2, 6, 4), (2, 2, 6, 4)),
        ("lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True, dropout_p=0.1)", (2, 2, 5, 4)),
        ("lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True)", (2, 2, 5, 4), (2, 1, 5, 4)),
        ("nn.MultiheadAttention(8, 2)", (3, 2, 8), (4, 2, 8), (4, 2, 8)),
        ("nn.TransformerEncoderLayer(8, 2, 16)", (3, 2, 8)),
        ("nn.TransformerDecoderLayer(8, 2, 16)", (3, 2, 8), (4, 2, 8)),
    ],
    "reduction": [
        *each("sum mean prod std var amax amin norm", (3, 4)),
        *[(f"lambda x: x.{name}(1)", (3, 4, 5))
          for name in "sum mean prod std var amax amin max min argmax argmin logsumexp cumsum cumprod".split()],
        ("lambda x: x.sum(0)", (3, 4)),
        *each("any all", ints(2, 3, 4)),
    ],
    "indexing": [
        ("lambda x, i: x[i]", (5, 4), ints(5, 3)),
        ("lambda x, i: x.index_select(0, i)", (5, 4), ints(5, 3)),
        ("lambda x, i: x.gather(1, i)", (5, 4), ints(4, 5, 2)),
        ("lambda x, i, s: x.scatter(1, i, s)", (5, 4), ints(1, 5, 1), (5, 1)),
        ("lambda x, i, s: x.scatter_add(1, i, s)", (5, 4), ints(4, 5, 2), (5, 2)),
        ("lambda x, i, s: x.index_add(0, i, s)", (5, 4), ints(5, 3), (3, 4)),
        ("lambda x, i, s: x.index_add_(0, i, s).index_copy_(0, i, s).index_fill_(0, i, 2)", plain(5, 4), ints(5, 3),
         plain(3, 4)),
        ("lambda x, i, s: x.scatter_(1, i, s).scatter_add_(1, i, s).scatter_(0, i, 2.0)", plain(5, 4), ints(4, 5, 2),
         plain(5, 2)),
        ("lambda x, i, j: x[i, j] * 2.0", (5, 4), ints(5, 3), ints(4, 3)),
        ("lambda x: x.nonzero()", (50, 41)),
        ("lambda x: x.masked_fill(x > 0.5, 0.0)", (5, 4)),
        ("lambda x: x.masked_select(x > 0.5)", (5, 4)),
    ],
    "shape": [
        ("lambda x: tnn.cat([x, x], 1)", (3, 4)),
        ("lambda x: tnn.stack([x, x]).permute(2, 0, 1).contiguous()", (3, 4)),
        ("lambda x: x.flip(0).roll(1, 1).repeat(2, 1)", (3, 4)),
        ("lambda x: x.tril() + x.triu()", (4, 4)),
    ],
    "sort": [
        *[(f"lambda x: x.{call}", (3, 5)) for call in "sort()[0] topk(2)[0] kthvalue(2)[0] median() argsort()".split()],
    ],
    "linalg": [
        ("lambda x: tnn.linalg.cholesky(x @ x.mT + tnn.eye(3, dtype=x.dtype))", (3, 3)),
        ("lambda x: tnn.linalg.inv(x + tnn.eye(3, dtype=x.dtype))", (3, 3)),
        ("lambda x, y: tnn.linalg.solve(x @ x.mT + tnn.eye(3, dtype=x.dtype), y)", (3, 3), (3, 2)),
        ("lambda x, y: tnn.linalg.solve_triangular(x + tnn.eye(3, dtype=x.dtype), y, upper=True)", (3, 3), (3, 2)),
        *each("det slogdet", (3, 3), before="tnn.linalg."),
        ("lambda x: tnn.linalg.householder_product(*tnn.geqrf(x))", plain(4, 3)),
        ("tnn.linalg.eigvalsh", plain(4, 4)),
        ("lambda i: i @ i", ints(5, 3, 3)),
    ],
    "random": [
        ("lambda: tnn.rand(3, 4) + tnn.randn(3, 4)",),
        ("lambda: tnn.randint(0, 5, (3,)) + tnn.randperm(3)",),
        *each("bernoulli", plain(3, 4)),
        ("lambda x: tnn.multinomial(x, 2)", plain(3, 4)),
    ],
    "optim": [
        *[(f"step(tnn.optim.{name})", plain(3, 4), plain(5))
          for name in "Adam AdamW NAdam RAdam Adamax Adagrad Adadelta ASGD RMSprop Rprop Adafactor".split()],
        ("step(tnn.optim.SGD, lr=0.1)", plain(3, 4), plain(5)),
        ("step(tnn.optim.SGD, lr=0.1, momentum=0.9, nesterov=True)", plain(3, 4), plain(5)),
        ("lambda m: tnn.nn.utils.clip_grad_norm_([m], 1.0)", (3, 4)),
    ],
}  # fmt: skip


def _tensor(spec: Any, dtype: Any, rng: np.random.Generator) -> Any:
    if isinstance(spec, ints):
        return tnn.tensor(rng.integers(0, spec.high, spec.shape))
    if isinstance(spec, (tuple, plain)):
        shape = spec if isinstance(spec, tuple) else spec.shape
        return tnn.tensor(rng.uniform(0.1, 0.9, shape), dtype=dtype, requires_grad=isinstance(spec, tuple))
    return spec


def _leaves(output: Any) -> Iterator[Any]:
    """The floating-point tensors in an output that have a history."""
    if isinstance(output, (tuple, list)):
        for one in output:
            yield from _leaves(one)
    elif isinstance(output, tnn.Tensor) and output.requires_grad:
        yield output


def run_row(row: tuple, dtype: Any) -> None:
    """Call one row, forward and backward."""
    call = eval(row[0], {"tnn": tnn, "nn": nn, "F": F, "step": step, "packed": packed})
    if isinstance(call, nn.Module):
        call = call.to(dtype)
    rng = np.random.default_rng(0)
    for leaf in _leaves(call(*[_tensor(spec, dtype, rng) for spec in row[1:]])):
        leaf.sum().backward(retain_graph=True)
