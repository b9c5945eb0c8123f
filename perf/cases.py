"""What is timed: one table, used by versus.py (against PyTorch), roofline.py, gate.py and the asv suite.

A case makes its inputs for a library (``tnn`` or ``torch``: their names are the same) and returns a function without
arguments that runs it once; making.py says how. ``layer`` adds two rows, forward and forward with backward; ``only``
one, for what has no gradient; ``add`` a row of any other kind. ``moves=(read, written)`` gives the bytes where they are
not those of inputs, parameters and outputs, and ``flops`` the operations of products that no module shows.
"""

from functools import partial
from math import prod

from making import (
    CASES,
    Attention,
    Case,
    Given,
    Output,
    Permuted,
    add,
    digits_model,
    encoder,
    encoder_step,
    forward,
    gpt_step,
    inference,
    last_step,
    layer,
    lenet,
    mlp,
    only,
    optimizer_step,
    packed,
    sdpa,
    steps,
    training_step,
    two_blocks,
    wide_mlp,
)

__all__ = ["CASES", "Case"]


def product(m, n, k, batch=(), left=False, right=False, dtype="float32"):
    """Rows for ``matmul`` of (m, k) and (k, n): as they lie, the right one transposed, the left one transposed."""
    name = f"gemm {m}x{n}x{k}" if not m == n == k else f"gemm {n}"
    name = " ".join([name, *(f"batch {b}" for b in batch), *([dtype] if dtype != "float32" else [])])
    a, b = (*batch, m, k), (*batch, k, n)
    more = {"dtype": dtype, "flops": 2 * m * n * k * prod(batch)}
    add(name, "gemm", forward(lambda lib: lib.matmul, a, b, **more))
    if right:
        turned = (*batch, n, k)
        add(f"{name} A B.T", "gemm", forward(lambda lib: lambda a, b: a @ b.mT, a, turned, **more))
    if left:
        turned = (*batch, k, m)
        add(f"{name} A.T B", "gemm", forward(lambda lib: lambda a, b: a.mT @ b, turned, b, **more))


# -- products ------------------------------------------------------------------------------------------------------

for n in (16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048):
    product(n, n, n, left=n in (16, 32, 64, 128, 256, 1024), right=n in (16, 32, 64, 128, 256, 1024))
for shape in ((32, 1024, 1024), (4096, 64, 64), (4096, 16, 16), (64, 64, 4096), (1, 1024, 1024), (1024, 1, 1024)):
    product(*shape, left=True, right=True)
product(65536, 2, 3)
product(2048, 10, 64, left=True, right=True)
product(32, 32, 32, (64,), left=True, right=True)
product(128, 128, 64, (8,), left=True, right=True)
for n in (32, 256, 1024):
    product(n, n, n, dtype="float64")
layer("linear 64x512->512", "linear", lambda lib: lib.nn.Linear(512, 512), (64, 512))
layer("linear 64x512->512", "linear", lambda lib: lib.nn.Linear(512, 512), (64, 512), dtype="float64")
layer("linear 1024x1024->1024", "linear", lambda lib: lib.nn.Linear(1024, 1024), (1024, 1024))
layer("bilinear 64x32,32->32", "linear", lambda lib: lib.nn.Bilinear(32, 32, 32), (64, 32), (64, 32))

# -- element by element --------------------------------------------------------------------------------------------

for name in ("ReLU", "GELU", "Tanh", "Sigmoid", "SiLU"):
    layer(f"{name.lower()} 512x1024", "pointwise", lambda lib, name=name: getattr(lib.nn, name)(), (512, 1024))
layer("tanh 512x1024", "pointwise", lambda lib: lib.nn.Tanh(), (512, 1024), dtype="float64")
for name in ("ReLU", "Tanh"):
    layer(f"{name.lower()} 64x512", "pointwise", lambda lib, name=name: getattr(lib.nn, name)(), (64, 512))
layer("relu 2048x4096", "pointwise", lambda lib: lib.nn.ReLU(), (2048, 4096))
layer("exp 512x1024", "pointwise", lambda lib: lib.exp, (512, 1024))
layer("lgamma 512x1024", "pointwise", lambda lib: lib.lgamma, (512, 1024))
layer("pow 4 512x1024", "pointwise", lambda lib: lambda x: x**4, (512, 1024))
only("erfinv 512x1024", "pointwise", lambda lib: Given(lib.erfinv, lib.rand(512, 1024)))
layer("add 512x1024", "pointwise", lambda lib: lib.add, (512, 1024), (512, 1024))
layer("mul row 512x1024", "pointwise", lambda lib: lib.mul, (512, 1024), (1024,))
only("where 512x1024", "pointwise", lambda lib: lambda x, y: lib.where(x > 0, x, y), (512, 1024), (512, 1024))
layer("GLU 64x800", "pointwise", lambda lib: lib.nn.GLU(), (64, 800))
layer("GLU 1024x1024", "pointwise", lambda lib: lib.nn.GLU(), (1024, 1024))
layer("PReLU channels 16x64x32x32", "pointwise", lambda lib: lib.nn.PReLU(64), (16, 64, 32, 32))
layer("relu6 transposed 1000x1000", "pointwise", lambda lib: lambda x: lib.nn.functional.relu6(x.t()), (1000, 1000))
for inner in ("ReLU", "ReLU6", "SiLU"):
    layer(
        f"add, {inner} in place 16x64x32x32",
        "pointwise",
        lambda lib, inner=inner: lambda x, y: getattr(lib.nn, inner)(inplace=True)(x + y),
        *[(16, 64, 32, 32)] * 2,
    )
layer("RReLU 8", "small", lambda lib: lib.nn.RReLU(), (8,))
layer("relu 8", "small", lambda lib: lib.nn.ReLU(), (8,))
layer("add 8", "small", lambda lib: lib.add, (8,), (8,))
layer("mul 8", "small", lambda lib: lib.mul, (8,), (8,))
layer("tanh 8", "small", lambda lib: lib.tanh, (8,))
layer("linear 1x8->8", "small", lambda lib: lib.nn.Linear(8, 8), (1, 8))
layer("softmax 512x1000", "softmax", lambda lib: lib.nn.Softmax(-1), (512, 1000))
layer("softmax 2x8", "softmax", lambda lib: lib.nn.Softmax(-1), (2, 8))
layer("softmax 64x512", "softmax", lambda lib: lib.nn.Softmax(-1), (64, 512))
layer("softmax dim 1 16x64x32x32", "softmax", lambda lib: lib.nn.Softmax(1), (16, 64, 32, 32))
layer("log_softmax 512x1000", "softmax", lambda lib: lib.nn.LogSoftmax(-1), (512, 1000))
layer("log_softmax 512x1000", "softmax", lambda lib: lib.nn.LogSoftmax(-1), (512, 1000), dtype="float64")
layer("gumbel_softmax 64x800", "softmax", lambda lib: lib.nn.functional.gumbel_softmax, (64, 800))
layer("dropout 512x1024", "dropout", lambda lib: lib.nn.Dropout(0.1), (512, 1024))
layer("dropout 8", "dropout", lambda lib: lib.nn.Dropout(0.1), (8,))
layer("dropout2d 16x64x32x32", "dropout", lambda lib: lib.nn.Dropout2d(0.1), (16, 64, 32, 32))

# In place; each leaves numbers that the next run can work on.
for name, change, shapes in (
    ("add_", lambda x, y: x.add_(y), ((512, 1024), (512, 1024))),
    ("mul_ number", lambda x: x.mul_(1.0), ((512, 1024),)),
    ("sub_ row", lambda x, y: x.sub_(y), ((512, 1024), (1024,))),
    ("addcmul_", lambda x, y, z: x.addcmul_(y, z, value=0.5), ((512, 1024),) * 3),
    ("lerp_", lambda x, y: x.lerp_(y, 0.1), ((512, 1024), (512, 1024))),
    ("clamp_", lambda x: x.clamp_(-1, 1), ((512, 1024),)),
    ("zero_", lambda x: x.zero_(), ((512, 1024),)),
    ("fill_", lambda x: x.fill_(2.0), ((512, 1024),)),
    ("copy_ transposed", lambda x, y: x.copy_(y.t()), ((1024, 1024), (1024, 1024))),
    ("slice mul_", lambda x: x[:, 1:].mul_(1.0), ((512, 1024),)),
    ("add_", lambda x, y: x.add_(y), ((8,), (8,))),
    ("lerp_", lambda x, y: x.lerp_(y, 0.1), ((8,), (8,))),
):
    only(f"{name} " + "x".join(map(str, shapes[0])), "pointwise", lambda lib, change=change: change, *shapes)
for name, function, shapes in (
    ("pow 2", lambda x: x**2, ((512, 1024),)),
    ("fmod", lambda x, y: x.fmod(y), ((512, 1024), (512, 1024))),
    ("remainder number", lambda x: x % 2.0, ((512, 1024),)),
    ("halves", lambda x: x[:, :512] * x[:, 512:], ((512, 1024),)),
    ("nan_to_num", lambda x: x.nan_to_num(), ((512, 1024),)),
    ("clamp", lambda x: x.clamp(-1, 1), ((512, 1024),)),
    ("add row of 4", lambda x, y: x + y, ((131072, 4), (4,))),
    ("mul 256x1x4 by", lambda x, y: x * y, ((256, 64, 1), (256, 1, 4))),
):
    layer(f"{name} " + "x".join(map(str, shapes[0])), "pointwise", lambda lib, function=function: function, *shapes)


def whole(function, count=1, high=100):
    """A function of one or two tensors of integers, 512 x 1024."""
    return lambda lib: Given(function, *(lib.randint(0, high, (512, 1024)) for _ in range(count)))


for name, function, count in (
    ("add int64", lambda x, y: x + y, 2),
    ("clamp int64", lambda x: x.clamp(10, 50), 1),
    ("to float32 int64", lambda x: x.float(), 1),
):
    only(f"{name} 512x1024", "pointwise", whole(function, count), moves=(count * 2**22, 2**22))
only("add out 512x1024", "pointwise", lambda lib: lambda x, y, z: lib.add(x, y, out=z), *((512, 1024),) * 3)
for kind in ("float16", "bfloat16"):
    only(f"to {kind} 512x1024", "pointwise",
         lambda lib, kind=kind: lambda x: x.to(getattr(lib, kind)), (512, 1024), moves=(2**21, 2**20))  # fmt: skip
    only("add 512x1024", "pointwise", lambda lib: lib.add, (512, 1024), (512, 1024), dtype=kind)

# -- normalization, pooling, convolution ---------------------------------------------------------------------------

layer("layer_norm 512x1024", "normalization", lambda lib: lib.nn.LayerNorm(1024), (512, 1024))
layer("layer_norm 2x8", "normalization", lambda lib: lib.nn.LayerNorm(8), (2, 8))
layer("group_norm 2x4x4x4", "normalization", lambda lib: lib.nn.GroupNorm(2, 4), (2, 4, 4, 4))
layer("batch_norm 1x4x8x8", "normalization", lambda lib: lib.nn.BatchNorm2d(4), (1, 4, 8, 8))
layer("layer_norm 64x512", "normalization", lambda lib: lib.nn.LayerNorm(512), (64, 512))
layer("rms_norm 512x1024", "normalization", lambda lib: lib.nn.RMSNorm(1024), (512, 1024))
layer("batch_norm 16x64x28x28", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (16, 64, 28, 28))
layer("batch_norm 16x64x28x28", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (16, 64, 28, 28), dtype="float64")
layer("batch_norm 4x4", "normalization", lambda lib: lib.nn.BatchNorm1d(4), (4, 4))
layer("batch_norm 1024x1000", "normalization", lambda lib: lib.nn.BatchNorm1d(1000), (1024, 1000))
layer("layer_norm 3 dims 16x64x16x16", "normalization", lambda lib: lib.nn.LayerNorm((64, 16, 16)), (16, 64, 16, 16))
layer("batch_norm 2x64x16x16", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (2, 64, 16, 16))
layer("group_norm 16x64x28x28", "normalization", lambda lib: lib.nn.GroupNorm(8, 64), (16, 64, 28, 28))
layer("instance_norm 16x64x28x28", "normalization", lambda lib: lib.nn.InstanceNorm2d(64), (16, 64, 28, 28))
layer("max_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.MaxPool2d(2), (16, 64, 32, 32))
layer("max_pool2d 1x4x8x8", "pooling", lambda lib: lib.nn.MaxPool2d(2), (1, 4, 8, 8))
layer("max_pool2d 1x64x32x32", "pooling", lambda lib: lib.nn.MaxPool2d(2), (1, 64, 32, 32))
layer("max_pool2d 3x3 s2 16x64x32x32", "pooling", lambda lib: lib.nn.MaxPool2d(3, 2, 1), (16, 64, 32, 32))
layer("avg_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.AvgPool2d(2), (16, 64, 32, 32))
layer("avg_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.AvgPool2d(2), (16, 64, 32, 32), dtype="float64")
layer("adaptive_avg_pool2d 16x64x32x32", "pooling", lambda lib: lib.nn.AdaptiveAvgPool2d(1), (16, 64, 32, 32))
layer("conv2d 64->64 3x3 8x64x32x32", "conv", lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1), (8, 64, 32, 32))
layer("conv2d 1x1 128->128 8x128x16x16", "conv", lambda lib: lib.nn.Conv2d(128, 128, 1), (8, 128, 16, 16))
layer(
    "conv2d depthwise 64 8x64x32x32",
    "conv",
    lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1, groups=64),
    (8, 64, 32, 32),
)
layer("conv2d 3->32 7x7 s2 8x3x64x64", "conv", lambda lib: lib.nn.Conv2d(3, 32, 7, stride=2, padding=3), (8, 3, 64, 64))
layer("conv2d 4->4 3x3 1x4x8x8", "conv", lambda lib: lib.nn.Conv2d(4, 4, 3, padding=1), (1, 4, 8, 8))
layer("conv2d 64->64 3x3 1x64x16x16", "conv", lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1), (1, 64, 16, 16))
layer("conv2d 1x1 64->64 1x64x16x16", "conv", lambda lib: lib.nn.Conv2d(64, 64, 1), (1, 64, 16, 16))
layer("conv2d 16->32 5x5 8x16x32x32", "conv", lambda lib: lib.nn.Conv2d(16, 32, 5, padding=2), (8, 16, 32, 32))
layer("conv2d groups 4 64->64 8x64x32x32", "conv", lambda lib: lib.nn.Conv2d(64, 64, 3, 1, 1, 1, 4), (8, 64, 32, 32))
layer("conv2d dilation 2 32->32 8x32x32x32", "conv", lambda lib: lib.nn.Conv2d(32, 32, 3, 1, 2, 2), (8, 32, 32, 32))
layer("conv2d 32->32 3x3 4x32x32x32", "conv", lambda lib: lib.nn.Conv2d(32, 32, 3, padding=1), (4, 32, 32, 32),
      dtype="float64")  # fmt: skip
for name, inner, shape in (
    ("256->256 3x3", (256, 256, 3, 1, 1), (8, 256, 14, 14)),
    ("512->512 3x3", (512, 512, 3, 1, 1), (8, 512, 7, 7)),
    ("64->128 3x3 s2", (64, 128, 3, 2, 1), (8, 64, 56, 56)),
    ("1x1 512->512", (512, 512, 1), (8, 512, 7, 7)),
    ("6->16 5x5", (6, 16, 5), (64, 6, 14, 14)),
    ("depthwise 256 3x3", (256, 256, 3, 1, 1, 1, 256), (8, 256, 14, 14)),
    ("depthwise 512 3x3", (512, 512, 3, 1, 1, 1, 512), (8, 512, 7, 7)),
    ("depthwise 128 3x3 s2", (128, 128, 3, 2, 1, 1, 128), (8, 128, 28, 28)),
    ("depthwise 96 7x7", (96, 96, 7, 1, 3, 1, 96), (8, 96, 28, 28)),
    ("groups 32 256->256", (256, 256, 3, 1, 1, 1, 32), (8, 256, 14, 14)),
):
    layer(f"conv2d {name} " + "x".join(map(str, shape)), "conv", lambda lib, inner=inner: lib.nn.Conv2d(*inner), shape)
layer("conv1d 64->64 5 16x64x256", "conv", lambda lib: lib.nn.Conv1d(64, 64, 5, padding=2), (16, 64, 256))
layer("conv3d 16->16 3x3x3 2x16x16x16x16", "conv", lambda lib: lib.nn.Conv3d(16, 16, 3, padding=1), (2, 16, 16, 16, 16))
for inner, shape in (((64, 32, 4, 2, 1), (8, 64, 16, 16)), ((4, 4, 3), (1, 4, 8, 8))):
    name = "conv_transpose2d {}->{} {k}x{k} ".format(*inner, k=inner[2]) + "x".join(map(str, shape))
    layer(name, "conv_transpose", lambda lib, inner=inner: lib.nn.ConvTranspose2d(*inner), shape)
layer("conv_transpose1d 64->32 4 s2 16x64x128", "conv_transpose", lambda lib: lib.nn.ConvTranspose1d(64, 32, 4, 2, 1),
      (16, 64, 128))  # fmt: skip

# What networks for images and sound are made of.
for dims, name, inner, shape in (
    (2, "64->64 3x3", (64, 64, 3, 1, 1), (1, 64, 56, 56)),
    (2, "64->64 3x3", (64, 64, 3, 1, 1), (8, 64, 56, 56)),
    (2, "128->128 3x3", (128, 128, 3, 1, 1), (1, 128, 28, 28)),
    (2, "512->512 3x3", (512, 512, 3, 1, 1), (1, 512, 7, 7)),
    (2, "256->512 3x3 s2", (256, 512, 3, 2, 1), (8, 256, 14, 14)),
    (2, "1x1 s2 256->512", (256, 512, 1, 2), (8, 256, 28, 28)),
    (2, "1x1 256->64", (256, 64, 1), (8, 256, 56, 56)),
    (2, "1x1 64->256", (64, 256, 1), (1, 64, 56, 56)),
    (2, "3->64 7x7 s2", (3, 64, 7, 2, 3), (1, 3, 224, 224)),
    (2, "3->64 3x3", (3, 64, 3, 1, 1), (8, 3, 32, 32)),
    (2, "1->32 3x3", (1, 32, 3, 1), (16, 1, 28, 28)),
    (2, "3->32 3x3 s2", (3, 32, 3, 2, 1), (1, 3, 224, 224)),
    (2, "1x1 32->192", (32, 192, 1), (4, 32, 28, 28)),
    (2, "1x1 960->160", (960, 160, 1), (4, 960, 7, 7)),
    (2, "depthwise 192 3x3 s2", (192, 192, 3, 2, 1, 1, 192), (4, 192, 56, 56)),
    (2, "depthwise 32 3x3", (32, 32, 3, 1, 1, 1, 32), (1, 32, 112, 112)),
    (2, "depthwise 240 5x5", (240, 240, 5, 1, 2, 1, 240), (4, 240, 14, 14)),
    (2, "dilation 4 64->64 3x3", (64, 64, 3, 1, 4, 4), (2, 64, 32, 32)),
    (2, "patches 3->192 16x16", (3, 192, 16, 16), (4, 3, 224, 224)),
    (2, "64->3 3x3", (64, 3, 3, 1, 1), (4, 64, 64, 64)),
    (2, "groups 2 96->96 3x3", (96, 96, 3, 1, 1, 1, 2), (4, 96, 28, 28)),
    (2, "512->512 3x3", (512, 512, 3, 1, 1), (1, 512, 14, 14)),
    (2, "wide 64->64 3x3", (64, 64, 3, 1, 1), (1, 64, 40, 600)),
    (2, "dilation 2 512->512 3x3", (512, 512, 3, 1, 2, 2), (1, 512, 28, 28)),
    (2, "dilation 6 256->256 3x3", (256, 256, 3, 1, 6, 6), (1, 256, 33, 33)),
    (2, "1x1 s2 512->1024", (512, 1024, 1, 2), (1, 512, 28, 28)),
    (2, "1x1 320->1280", (320, 1280, 1), (1, 320, 7, 7)),
    (2, "3->96 4x4 s4", (3, 96, 4, 4), (1, 3, 224, 224)),
    (2, "4->32 8x8 s4", (4, 32, 8, 4), (32, 4, 84, 84)),
    (2, "64->128 4x4 s2", (64, 128, 4, 2, 1), (16, 64, 32, 32)),
    (2, "128->128 1x7", (128, 128, (1, 7), 1, (0, 3)), (4, 128, 17, 17)),
    (2, "128->128 7x1", (128, 128, (7, 1), 1, (3, 0)), (4, 128, 17, 17)),
    (1, "1->64 80 s4", (1, 64, 80, 4), (4, 1, 16000)),
    (1, "64->128 9", (64, 128, 9, 1, 4), (8, 64, 500)),
    (1, "80->256 3", (80, 256, 3, 1, 1), (4, 80, 400)),
    (1, "dilation 8 32->64 2", (32, 64, 2, 1, 8, 8), (4, 32, 2000)),
    (1, "80->384 3", (80, 384, 3, 1, 1), (1, 80, 1500)),
    (1, "384->384 3 s2", (384, 384, 3, 2, 1), (1, 384, 1500)),
    (1, "64->128 2", (64, 128, 2), (1, 64, 4000)),
    (1, "1x1 256->512", (256, 512, 1), (4, 256, 200)),
    (1, "depthwise 128 31", (128, 128, 31, 1, 15, 1, 128), (4, 128, 400)),
    (3, "3->32 3x3x3 s2", (3, 32, 3, 2, 1), (2, 3, 16, 56, 56)),
    (3, "32->32 3x3x3", (32, 32, 3, 1, 1), (1, 32, 8, 28, 28)),
):
    name = f"conv{dims}d {name} " + "x".join(map(str, shape))
    layer(name, "conv", lambda lib, d=dims, inner=inner: getattr(lib.nn, f"Conv{d}d")(*inner), shape)
for dims, name, inner, shape in (
    (2, "100->256 4x4", (100, 256, 4), (16, 100, 1, 1)),
    (2, "256->128 4x4 s2", (256, 128, 4, 2, 1), (16, 256, 8, 8)),
    (2, "64->3 4x4 s2", (64, 3, 4, 2, 1), (16, 64, 32, 32)),
    (2, "64->64 3x3", (64, 64, 3, 1, 1), (4, 64, 32, 32)),
    (2, "128->64 2x2 s2", (128, 64, 2, 2), (2, 128, 32, 32)),
    (2, "64->64 3x3 s2", (64, 64, 3, 2, 1, 1), (4, 64, 28, 28)),
    (1, "128->64 16 s8", (128, 64, 16, 8, 4), (4, 128, 100)),
    (3, "32->16 4x4x4 s2", (32, 16, 4, 2, 1), (2, 32, 8, 8, 8)),
):
    name = f"conv_transpose{dims}d {name} " + "x".join(map(str, shape))
    layer(name, "conv_transpose", lambda lib, d=dims, inner=inner: getattr(lib.nn, f"ConvTranspose{d}d")(*inner), shape)
for name, build, shape in (
    ("max_pool2d 3x3 s2", lambda lib: lib.nn.MaxPool2d(3, 2, 1), (1, 64, 112, 112)),
    ("max_pool2d 3x3 s1", lambda lib: lib.nn.MaxPool2d(3, 1, 1), (4, 64, 28, 28)),
    ("max_pool2d 5x5 s1", lambda lib: lib.nn.MaxPool2d(5, 1, 2), (1, 256, 20, 20)),
    ("max_pool2d 2x2", lambda lib: lib.nn.MaxPool2d(2), (64, 16, 10, 10)),
    ("max_pool1d 2", lambda lib: lib.nn.MaxPool1d(2), (16, 64, 512)),
    ("max_pool1d 3 s2", lambda lib: lib.nn.MaxPool1d(3, 2, 1), (16, 64, 512)),
    ("max_pool3d 2", lambda lib: lib.nn.MaxPool3d(2), (2, 16, 16, 32, 32)),
    ("avg_pool2d 3x3 s1", lambda lib: lib.nn.AvgPool2d(3, 1, 1), (4, 64, 28, 28)),
    ("avg_pool2d 3x3 s2", lambda lib: lib.nn.AvgPool2d(3, 2, 1), (4, 64, 56, 56)),
    ("avg_pool2d 2", lambda lib: lib.nn.AvgPool2d(2), (1, 4, 8, 8)),
    ("avg_pool1d 4", lambda lib: lib.nn.AvgPool1d(4), (16, 64, 512)),
    ("avg_pool3d 2", lambda lib: lib.nn.AvgPool3d(2), (2, 16, 16, 32, 32)),
    ("adaptive_avg_pool2d 1", lambda lib: lib.nn.AdaptiveAvgPool2d(1), (8, 512, 7, 7)),
    ("adaptive_avg_pool2d 7", lambda lib: lib.nn.AdaptiveAvgPool2d(7), (8, 64, 28, 28)),
    ("adaptive_avg_pool2d 1", lambda lib: lib.nn.AdaptiveAvgPool2d(1), (1, 4, 8, 8)),
    ("adaptive_max_pool2d 1", lambda lib: lib.nn.AdaptiveMaxPool2d(1), (8, 256, 14, 14)),
    ("adaptive_max_pool2d 7", lambda lib: lib.nn.AdaptiveMaxPool2d(7), (8, 64, 28, 28)),
    ("adaptive_avg_pool1d 1", lambda lib: lib.nn.AdaptiveAvgPool1d(1), (16, 64, 500)),
    ("lp_pool2d 2", lambda lib: lib.nn.LPPool2d(2, 2), (8, 64, 16, 16)),
    ("max_pool1d 3 s3", lambda lib: lib.nn.MaxPool1d(3), (16, 64, 1000)),
    ("max_pool1d 3 s1", lambda lib: lib.nn.MaxPool1d(3, 1), (16, 64, 1000)),
    ("max_pool2d 3x3 s3", lambda lib: lib.nn.MaxPool2d(3), (8, 32, 14, 14)),
    ("avg_pool2d 3x3 s3", lambda lib: lib.nn.AvgPool2d(3), (8, 32, 14, 14)),
    ("adaptive_max_pool1d 3", lambda lib: lib.nn.AdaptiveMaxPool1d(3), (16, 64, 1000)),
    ("adaptive_max_pool2d 2", lambda lib: lib.nn.AdaptiveMaxPool2d(2), (16, 64, 32, 32)),
    ("adaptive_max_pool3d 2", lambda lib: lib.nn.AdaptiveMaxPool3d(2), (2, 16, 8, 14, 14)),
    ("fractional_max_pool2d 3", lambda lib: lib.nn.FractionalMaxPool2d(3, output_ratio=0.5), (8, 32, 14, 14)),
):
    layer(f"{name} " + "x".join(map(str, shape)), "pooling", build, shape)

for name, family, build, shape in (
    ("max_pool2d 3x3 s2", "pooling", lambda lib: lib.nn.MaxPool2d(3, 2, 1), (8, 56, 56, 64)),
    ("max_pool2d 2x2", "pooling", lambda lib: lib.nn.MaxPool2d(2), (8, 14, 14, 32)),
    ("avg_pool2d 2x2", "pooling", lambda lib: lib.nn.AvgPool2d(2), (8, 32, 32, 64)),
    ("avg_pool2d 3x3 s1", "pooling", lambda lib: lib.nn.AvgPool2d(3, 1, 1), (4, 30, 30, 20)),
    ("adaptive_avg_pool2d 1", "pooling", lambda lib: lib.nn.AdaptiveAvgPool2d(1), (8, 7, 7, 512)),
    ("adaptive_max_pool2d 3", "pooling", lambda lib: lib.nn.AdaptiveMaxPool2d(3), (8, 32, 32, 64)),
    ("batch_norm2d", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (8, 32, 32, 64)),
    ("conv2d 64->64 3x3", "conv", lambda lib: lib.nn.Conv2d(64, 64, 3, padding=1), (4, 28, 28, 64)),
    ("conv2d 128->64 1x1", "conv", lambda lib: lib.nn.Conv2d(128, 64, 1), (8, 14, 14, 128)),
):
    name = f"{name} channels last " + "x".join(map(str, shape))
    layer(name, family, lambda lib, build=build: Permuted(build(lib)), shape)

# -- images and sequences rearranged -------------------------------------------------------------------------------

for name in ("ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d"):
    layer(f"{name} 2 16x64x32x32", "padding", lambda lib, name=name: getattr(lib.nn, name)(2), (16, 64, 32, 32))
layer("ReflectionPad2d 1 1x2x4x4", "padding", lambda lib: lib.nn.ReflectionPad2d(1), (1, 2, 4, 4))
layer("ReflectionPad2d 2 16x64x32x32", "padding", lambda lib: lib.nn.ReflectionPad2d(2), (16, 64, 32, 32),
      dtype="float64")  # fmt: skip
for name, amount, shape in (
    ("ReflectionPad1d", (8,), (16, 64, 500)),
    ("ReplicationPad3d", (1,), (2, 16, 8, 16, 16)),
    ("CircularPad2d", (1,), (8, 32, 28, 28)),
    ("ConstantPad1d", ((0, 1), 0.5), (16, 64, 100)),
    ("ZeroPad2d", (1,), (8, 64, 56, 56)),
    ("ZeroPad2d", (1,), (1, 4, 8, 8)),
    ("ZeroPad2d", ((0, 1, 0, 1),), (16, 64, 14, 14)),
):
    layer(f"{name} {amount[0]} " + "x".join(map(str, shape)), "padding",
          lambda lib, name=name, amount=amount: getattr(lib.nn, name)(*amount), shape)  # fmt: skip
layer("unfold 3x3 8x32x32x32", "fold", lambda lib: lib.nn.Unfold(3, padding=1), (8, 32, 32, 32))
layer("fold 3x3 8x32x32x32", "fold", lambda lib: lib.nn.Fold((32, 32), 3, padding=1), (8, 288, 1024))
layer("unfold 2x2 1x2x4x4", "fold", lambda lib: lib.nn.Unfold(2), (1, 2, 4, 4))
layer("unfold 16x16 4x3x224x224", "fold", lambda lib: lib.nn.Unfold(16, stride=16), (4, 3, 224, 224))
layer("fold 2x2 4x64x1024", "fold", lambda lib: lib.nn.Fold((64, 64), 2, stride=2), (4, 64, 1024))
layer("fold 2x2 1x8x9", "fold", lambda lib: lib.nn.Fold((4, 4), 2), (1, 8, 9))
for mode in ("nearest", "bilinear", "bicubic"):
    layer(f"upsample {mode} x2 8x32x32x32", "resample", lambda lib, mode=mode: lib.nn.Upsample(None, 2, mode),
          (8, 32, 32, 32))  # fmt: skip
layer("upsample bilinear x2 1x2x4x4", "resample", lambda lib: lib.nn.Upsample(None, 2, "bilinear"), (1, 2, 4, 4))
layer("upsample bilinear x2 8x32x32x32", "resample", lambda lib: lib.nn.Upsample(None, 2, "bilinear"), (8, 32, 32, 32),
      dtype="float64")  # fmt: skip
for name, options, shape in (
    ("bilinear 64 to 32", {"size": 32, "mode": "bilinear"}, (4, 32, 64, 64)),
    ("bilinear corners x2", {"scale_factor": 2, "mode": "bilinear", "align_corners": True}, (4, 32, 32, 32)),
    ("bilinear antialias 64 to 24", {"size": 24, "mode": "bilinear", "antialias": True}, (4, 32, 64, 64)),
    ("nearest 64 to 32", {"size": 32, "mode": "nearest"}, (4, 32, 64, 64)),
    ("nearest x2", {"scale_factor": 2, "mode": "nearest"}, (1, 2, 4, 4)),
    ("nearest-exact 32 to 48", {"size": 48, "mode": "nearest-exact"}, (4, 32, 32, 32)),
    ("area 64 to 16", {"size": 16, "mode": "area"}, (4, 32, 64, 64)),
    ("linear x2", {"scale_factor": 2, "mode": "linear"}, (16, 32, 256)),
    ("trilinear x2", {"scale_factor": 2, "mode": "trilinear"}, (1, 8, 16, 16, 16)),
):
    layer(f"interpolate {name} " + "x".join(map(str, shape)), "resample",
          lambda lib, options=options: partial(lib.nn.functional.interpolate, **options), shape)  # fmt: skip
layer("pixel_shuffle 3 4x36x32x32", "resample", lambda lib: lib.nn.PixelShuffle(3), (4, 36, 32, 32))
layer("pixel_shuffle 2 1x4x4x4", "resample", lambda lib: lib.nn.PixelShuffle(2), (1, 4, 4, 4))
layer("pixel_unshuffle 2 8x16x64x64", "resample", lambda lib: lib.nn.PixelUnshuffle(2), (8, 16, 64, 64))
layer("channel_shuffle 4 8x64x28x28", "resample", lambda lib: lib.nn.ChannelShuffle(4), (8, 64, 28, 28))
layer("pixel_shuffle 2 8x64x32x32", "resample", lambda lib: lib.nn.PixelShuffle(2), (8, 64, 32, 32))
layer(
    "grid_sample 8x16x32x32",
    "resample",
    lambda lib: lambda x, g: lib.nn.functional.grid_sample(x, g, align_corners=False),
    (8, 16, 32, 32),
    (8, 32, 32, 2),
)

for mode, shape, grid in (
    ("nearest", (8, 16, 24, 24), (8, 24, 24, 2)),
    ("bicubic", (8, 16, 24, 24), (8, 24, 24, 2)),
    ("bilinear", (2, 8, 8, 12, 12), (2, 8, 12, 12, 3)),
):
    layer(f"grid_sample {mode} " + "x".join(map(str, shape)), "resample",
          lambda lib, mode=mode: lambda x, g: lib.nn.functional.grid_sample(x, g, mode, align_corners=False),
          shape, grid)  # fmt: skip
layer("affine_grid 16x64x64", "resample",
      lambda lib: Given(lambda t, n: lib.nn.functional.affine_grid(t, n, align_corners=False), (16, 3, 64, 64)),
      (16, 2, 3))  # fmt: skip
for shape in ((16, 64, 500), (2, 8, 8, 10, 10)):
    layer("nearest x2 " + "x".join(map(str, shape)), "resample", lambda lib: lib.nn.Upsample(scale_factor=2), shape)


def embedding(count, width, indices):
    """An embedding with its indices: what moves is the rows looked up and, on the way back, the whole gradient."""
    return lambda lib: Given(lib.nn.Embedding(count, width), lib.randint(0, count, indices))


EMBEDDED = 64 * 128 * 128 * 4
layer("embedding 10000x128 64x128", "embedding", embedding(10000, 128, (64, 128)), moves=(EMBEDDED, EMBEDDED),
      both_moves=(3 * EMBEDDED, 2 * EMBEDDED + 10000 * 128 * 4))  # fmt: skip
layer("embedding 10x4 8", "embedding", embedding(10, 4, (8,)))
layer("embedding_bag 10000x128 64x32", "embedding",
      lambda lib: Given(lib.nn.EmbeddingBag(10000, 128, mode="sum"), lib.randint(0, 10000, (64, 32))),
      moves=(64 * 32 * 512, 64 * 512), both_moves=(64 * 32 * 512 * 2, 64 * 512 + 10000 * 512))  # fmt: skip

# -- losses and distances ------------------------------------------------------------------------------------------

layer("cross_entropy 512x1000", "loss", lambda lib: Given(lib.nn.CrossEntropyLoss(), lib.randint(0, 1000, (512,))),
      (512, 1000))  # fmt: skip
layer("cross_entropy 512x1000", "loss", lambda lib: Given(lib.nn.CrossEntropyLoss(), lib.randint(0, 1000, (512,))),
      (512, 1000), dtype="float64")  # fmt: skip
layer("cross_entropy 4x4", "loss", lambda lib: Given(lib.nn.CrossEntropyLoss(), lib.randint(0, 4, (4,))), (4, 4))
for name in ("MSELoss", "SmoothL1Loss"):
    layer(f"{name} 512x1024", "loss", lambda lib, name=name: getattr(lib.nn, name)(), (512, 1024), (512, 1024))
for name, options in (("BCEWithLogitsLoss", {}), ("KLDivLoss", {"reduction": "batchmean"})):
    layer(f"{name} 512x1024", "loss",
          lambda lib, name=name, options=options: Given(getattr(lib.nn, name)(**options), lib.rand(512, 1024)),
          (512, 1024))  # fmt: skip
layer("MSELoss 8", "loss", lambda lib: lib.nn.MSELoss(), (8,), (8,))


def classes(name, count, *shape, **options):
    """A loss with targets that are classes."""
    return lambda lib: Given(getattr(lib.nn, name)(**options), lib.randint(0, count, shape))


def signs(name, *shape):
    """A loss with targets 1 and -1."""
    return lambda lib: Given(getattr(lib.nn, name)(), (lib.rand(*shape) < 0.5) * 2.0 - 1.0)


layer("NLLLoss 4x8", "loss", classes("NLLLoss", 8, 4), (4, 8))
layer("cross_entropy 4x21x40x40", "loss", classes("CrossEntropyLoss", 21, 4, 40, 40), (4, 21, 40, 40))
layer("cross_entropy smooth 4x21x40x40", "loss", classes("CrossEntropyLoss", 21, 4, 40, 40, label_smoothing=0.1),
      (4, 21, 40, 40))  # fmt: skip
layer("cross_entropy distributions 64x800", "loss",
      lambda lib: Given(lib.nn.CrossEntropyLoss(), lib.randn(64, 800).softmax(1)), (64, 800))  # fmt: skip
layer("MultiMarginLoss 64x800", "loss", classes("MultiMarginLoss", 800, 64), (64, 800))
layer("MultiLabelMarginLoss 64x50", "loss", classes("MultiLabelMarginLoss", 50, 64, 50), (64, 50))
layer("MarginRankingLoss 64x800", "loss", signs("MarginRankingLoss", 64, 800), (64, 800), (64, 800))
layer("HingeEmbeddingLoss 8", "loss", signs("HingeEmbeddingLoss", 8), (8,))
layer("CosineEmbeddingLoss 64x800", "loss", signs("CosineEmbeddingLoss", 64), (64, 800), (64, 800))
layer("TripletMarginLoss 64x800", "loss", lambda lib: lib.nn.TripletMarginLoss(), *[(64, 800)] * 3)
layer("BCEWithLogitsLoss pos_weight 64x800", "loss",
      lambda lib: Given(lib.nn.BCEWithLogitsLoss(pos_weight=lib.rand(800)), lib.rand(64, 800)), (64, 800))  # fmt: skip


def ctc(length, batch, classes, target):
    """Connectionist temporal classification with log probabilities from normal numbers."""

    def build(lib):
        targets = lib.randint(1, classes, (batch, target))
        lengths = lib.full((batch,), length, dtype=lib.long), lib.full((batch,), target, dtype=lib.long)
        loss = lib.nn.CTCLoss()
        return lambda x: loss(x.log_softmax(-1), targets, *lengths)

    return build


layer("ctc 128x16x32", "ctc", ctc(128, 16, 32, 20), (128, 16, 32))
layer("ctc 8x1x4", "ctc", ctc(8, 1, 4, 2), (8, 1, 4))
layer("ctc 128x16x32", "ctc", ctc(128, 16, 32, 20), (128, 16, 32), dtype="float64")
layer("cdist 256x64,256x64", "distance", lambda lib: lib.cdist, (256, 64), (256, 64), flops=2 * 256 * 256 * 64)
layer("cdist 4x4,4x4", "distance", lambda lib: lib.cdist, (4, 4), (4, 4))
layer("cdist p=1 256x64,256x64", "distance", lambda lib: Given(lib.cdist, 1.0), (256, 64), (256, 64),
      flops=3 * 256 * 256 * 64)  # fmt: skip
layer("cosine_similarity 4096x128", "distance", lambda lib: lib.nn.CosineSimilarity(), (4096, 128), (4096, 128))
layer("pairwise_distance p=3 64x800", "distance", lambda lib: lib.nn.PairwiseDistance(3.0), (64, 800), (64, 800))
layer("pairwise_distance 4096x128", "distance", lambda lib: lib.nn.PairwiseDistance(), (4096, 128), (4096, 128))

# -- reductions, indices, shapes -----------------------------------------------------------------------------------

layer("sum 512x1024", "reduction", lambda lib: lambda x: x.sum(), (512, 1024))
layer("sum 8", "reduction", lambda lib: lambda x: x.sum(), (8,))
layer("sum 2048x4096", "reduction", lambda lib: lambda x: x.sum(), (2048, 4096))
layer("sum dim 0 512x1024", "reduction", lambda lib: lambda x: x.sum(0), (512, 1024))
layer("mean dim 1 512x1024", "reduction", lambda lib: lambda x: x.mean(1), (512, 1024))
layer("mean dim 1 512x1024", "reduction", lambda lib: lambda x: x.mean(1), (512, 1024), dtype="float64")
layer("var dim 1 512x1024", "reduction", lambda lib: lambda x: x.var(1), (512, 1024))
layer("amax dim 1 512x1024", "reduction", lambda lib: lambda x: x.amax(1), (512, 1024))
layer("cumsum 512x1024", "reduction", lambda lib: lambda x: x.cumsum(1), (512, 1024))
only("argmax dim 1 512x1024", "reduction", lambda lib: lambda x: x.argmax(1), (512, 1024))

layer("prod dim 1 512x1024", "reduction", lambda lib: lambda x: x.prod(1), (512, 1024))
layer("logsumexp 512x1024", "reduction", lambda lib: lambda x: x.logsumexp(1), (512, 1024))
layer("cumprod 512x1024", "reduction", lambda lib: lambda x: x.cumprod(1), (512, 1024))
layer("expand 3x512x1024", "reduction", lambda lib: lambda x: x.expand(3, 512, 1024).contiguous(), (512, 1024))
only("cummax 512x1024", "reduction", lambda lib: lambda x: x.cummax(1), (512, 1024), moves=(2**21, 3 * 2**21))
only("any 512x1024", "reduction", lambda lib: Given(lambda m: m.any(1), lib.randn(512, 1024) > 9), moves=(2**19, 512))
only("unique 524288", "reduction", whole(lambda x: x.unique()), moves=(2**22, 800))
only("bincount 524288", "reduction", whole(lambda x: x.reshape(-1).bincount()), moves=(2**22, 800))

for name, reduce in (
    ("argmax", lambda x: x.argmax(1)),
    ("max", lambda x: x.max(1)),
    ("cumsum", lambda x: x.cumsum(1)),
):
    only(f"{name} 4x8", "reduction", lambda lib, reduce=reduce: reduce, (4, 8))

PICKED = 2048 * 512 * 4
layer("index_select 4096x512 2048", "indexing",
      lambda lib: Given(lambda x, i: x.index_select(0, i), lib.randint(0, 4096, (2048,))), (4096, 512),
      moves=(PICKED, PICKED), both_moves=(3 * PICKED, PICKED + 4 * PICKED))  # fmt: skip
layer("index_add 4096x512 2048", "indexing",
      lambda lib: Given(lambda x, s, i: x.index_add(0, i, s), lib.randint(0, 4096, (2048,))), (4096, 512), (2048, 512))
only("nonzero 1024x1024", "indexing", lambda lib: Given(lambda m: m.nonzero(), lib.randn(1024, 1024) > 0),
     moves=(2**20, 2**23))
layer("gather 512x1024 512x256", "indexing",
      lambda lib: Given(lambda x, i: x.gather(1, i), lib.randint(0, 1024, (512, 256))), (512, 1024))  # fmt: skip
layer("x[i] 4096x512 2048", "indexing", lambda lib: Given(lambda x, i: x[i], lib.randint(0, 4096, (2048,))),
      (4096, 512), moves=(PICKED, PICKED), both_moves=(3 * PICKED, PICKED + 4 * PICKED))  # fmt: skip
layer("x[2:6] 8", "indexing", lambda lib: lambda x: x[2:6], (8,))
for name, change in (
    ("index_add_", lambda x, s, i: x.index_add_(0, i, s)),
    ("index_copy_", lambda x, s, i: x.index_copy_(0, i, s)),
    ("index_fill_", lambda x, s, i: x.index_fill_(0, i, 1.0)),
    ("x[i] = y", lambda x, s, i: x.__setitem__(i, s)),
):
    only(f"{name} 4096x512 2048", "indexing",
         lambda lib, change=change: Given(change, lib.randint(0, 4096, (2048,))),
         (4096, 512), (2048, 512), moves=(2 * PICKED, PICKED))  # fmt: skip
for name, change in (
    ("scatter_", lambda x, s, i: x.scatter_(1, i, s)),
    ("scatter_ number", lambda x, s, i: x.scatter_(1, i, 1.0)),
    ("scatter_add_", lambda x, s, i: x.scatter_add_(1, i, s)),
):
    only(f"{name} 512x1024 512x256", "indexing",
         lambda lib, change=change: Given(change, lib.randint(0, 1024, (512, 256))),
         (512, 1024), (512, 256))  # fmt: skip
layer("scatter_add 512x1024 512x1024", "indexing",
      lambda lib: Given(lambda x, s, i: x.scatter_add(1, i, s), lib.randint(0, 1024, (512, 1024))),
      (512, 1024), (512, 1024))  # fmt: skip
layer("x[:, i] 512x1024 256", "indexing", lambda lib: Given(lambda x, i: x[:, i], lib.randint(0, 1024, (256,))),
      (512, 1024))  # fmt: skip
layer("x[i, j] 512x1024 4096", "indexing",
      lambda lib: Given(lambda x, i, j: x[i, j], lib.randint(0, 512, (4096,)), lib.randint(0, 1024, (4096,))),
      (512, 1024), moves=(2**14, 2**14))  # fmt: skip
only("x[2:6] = 0 8", "indexing", lambda lib: lambda x: x.__setitem__(slice(2, 6), 0.0), (8,), moves=(0, 16))
layer("masked_fill 512x1024", "indexing",
      lambda lib: Given(lambda x, m: x.masked_fill(m, 0.0), lib.rand(512, 1024) < 0.5), (512, 1024))  # fmt: skip

for name, pick in (
    ("gather", lambda x, s, i: x.gather(1, i)),
    ("scatter_add", lambda x, s, i: x.scatter_add(1, i, s)),
    ("scatter_reduce amax", lambda x, s, i: x.scatter_reduce(1, i, s, "amax")),
    ("index_select", lambda x, s, i: x.index_select(1, i[0])),
    ("take", lambda x, s, i: x.take(i)),
    ("masked_select", lambda x, s, i: x.masked_select(x > s)),
    ("x[i, j]", lambda x, s, i: x[i, i]),
):
    only(f"{name} 4x4", "indexing", lambda lib, pick=pick: Given(pick, lib.randint(0, 4, (4, 4))), (4, 4), (4, 4))

layer("transpose 1024x1024", "shape", lambda lib: lambda x: x.t().contiguous(), (1024, 1024))
layer("transpose 1024x1024", "shape", lambda lib: lambda x: x.t().contiguous(), (1024, 1024), dtype="float64")
layer("permute 0213 16x128x8x64", "shape", lambda lib: lambda x: x.permute(0, 2, 1, 3).contiguous(), (16, 128, 8, 64))
layer("permute 0231 16x64x32x32", "shape", lambda lib: lambda x: x.permute(0, 2, 3, 1).contiguous(), (16, 64, 32, 32))
layer("cat 2 x 512x1024", "shape", lambda lib: lambda x, y: lib.cat((x, y), 1), (512, 1024), (512, 1024))
layer("clone 2048x4096", "shape", lambda lib: lambda x: x.clone(), (2048, 4096))
layer("reshape 8", "shape", lambda lib: lambda x: x.reshape(2, 4), (8,))
layer("flip 512x1024", "shape", lambda lib: lambda x: x.flip(1), (512, 1024))

for name, function in (
    ("roll", lambda x: x.roll(1, 1)),
    ("repeat", lambda x: x.repeat(2, 1)),
    ("repeat_interleave", lambda x: x.repeat_interleave(2, 0)),
    ("diff", lambda x: x.diff()),
):
    layer(f"{name} 512x1024", "shape", lambda lib, function=function: function, (512, 1024))
only("stack 64 x 3x32x32", "shape", lambda lib: lambda *xs: lib.stack(xs), *[(3, 32, 32)] * 64)

only("sort 512x1024", "sort", lambda lib: lambda x: x.sort(1), (512, 1024))
only("sort 262144", "sort", lambda lib: lambda x: x.sort(), (262144,))
only("sort 8", "sort", lambda lib: lambda x: x.sort(), (8,))
only("topk 10 512x1024", "sort", lambda lib: lambda x: x.topk(10), (512, 1024))
only("argsort 512x1024", "sort", lambda lib: lambda x: x.argsort(1), (512, 1024), dtype="float64")

# -- linear algebra, creation, random numbers ----------------------------------------------------------------------


def positive(n):
    """A function of a symmetric positive definite matrix of size n, made of its argument."""
    return lambda lib, solve: lambda x: solve(lib.linalg, x @ x.mT / n + lib.eye(n, dtype=x.dtype))


for lead, n, dtype in (
    ((), 8, "float32"),
    ((), 128, "float32"),
    ((), 128, "float64"),
    ((), 512, "float32"),
    ((64,), 16, "float32"),
):
    for name, solve, cubes in (
        ("cholesky", lambda linalg, a: linalg.cholesky(a), 1 / 3),
        ("inv", lambda linalg, a: linalg.inv(a), 2),
        ("solve", lambda linalg, a: linalg.solve(a, a), 8 / 3),
        ("det", lambda linalg, a: linalg.det(a), 2 / 3),
    ):
        layer(f"{name} {n}" + "".join(f" batch {b}" for b in lead), "linalg",
              lambda lib, n=n, solve=solve: positive(n)(lib, solve), (*lead, n, n), dtype=dtype,
              flops=(cubes + 2) * n**3 * prod(lead))  # fmt: skip

for name, function in (
    ("qr", lambda linalg, a, b: linalg.qr(a)),
    ("svdvals", lambda linalg, a, b: linalg.svdvals(a)),
    ("eigvalsh", lambda linalg, a, b: linalg.eigvalsh(a)),
    ("lstsq", lambda linalg, a, b: linalg.lstsq(a, b)),
):
    only(f"{name} 64", "linalg", lambda lib, f=function: partial(f, lib.linalg), (64, 64), (64, 64), flops=2 * 64**3)
only("eigvalsh 128", "linalg", lambda lib: lib.linalg.eigvalsh, (128, 128), dtype="float64", flops=4 / 3 * 128**3)
only("matmul int64 128", "linalg", lambda lib: Given(lib.matmul, *lib.randint(0, 99, (2, 128, 128))),
     flops=2 * 128**3)  # fmt: skip

for name in ("zeros", "ones", "empty"):
    only(f"{name} 512x1024", "creation", lambda lib, name=name: lambda: getattr(lib, name)(512, 1024),
         moves=(0, 0 if name == "empty" else 512 * 1024 * 4))  # fmt: skip
only("tril_indices 512x512", "creation", lambda lib: lambda: lib.tril_indices(512, 512))
only("zeros 8", "creation", lambda lib: lambda: lib.zeros(8))
only("arange 524288", "creation", lambda lib: lambda: lib.arange(524288))
only("full 512x1024 float64", "creation", lambda lib: lambda: lib.full((512, 1024), 0.5, dtype=lib.float64))
for name in ("rand", "randn"):
    only(f"{name} 512x1024", "random", lambda lib, name=name: lambda: getattr(lib, name)(512, 1024))
only("rand 8", "random", lambda lib: lambda: lib.rand(8))
only("randn 512x1024 float64", "random", lambda lib: lambda: lib.randn(512, 1024, dtype=lib.float64))
only("randint 524288", "random", lambda lib: lambda: lib.randint(0, 1000, (524288,)))
only("bernoulli_ 512x1024", "random", lambda lib: lambda x: x.bernoulli_(0.5), (512, 1024), moves=(0, 2**21))
only("multinomial 4 of 64x1024", "random", lambda lib: lambda x: lib.multinomial(x.abs(), 4), (64, 1024))
only("randperm 65536", "random", lambda lib: lambda: lib.randperm(65536))

# -- sequences -----------------------------------------------------------------------------------------------------

for name in ("LSTM", "GRU"):
    layer(
        f"{name.lower()} 64->128 32x40",
        "recurrent",
        lambda lib, name=name: Output(getattr(lib.nn, name)(64, 128)),
        (40, 32, 64),
    )
layer("lstm 64->64 1x20", "recurrent", lambda lib: Output(lib.nn.LSTM(64, 64)), (20, 1, 64))
layer("lstm 32->32 16x20", "recurrent", lambda lib: Output(lib.nn.LSTM(32, 32)), (20, 16, 32))
layer("rnn 64->128 32x40", "recurrent", lambda lib: Output(lib.nn.RNN(64, 128)), (40, 32, 64))
layer("lstm 32->32 16x20", "recurrent", lambda lib: Output(lib.nn.LSTM(32, 32, dtype=lib.float64)), (20, 16, 32),
      dtype="float64")  # fmt: skip

for name, module, inner, options, shape in (
    ("lstm 2 layers both ways 128->256 16x50", "LSTM", (128, 256, 2), {"bidirectional": True}, (50, 16, 128)),
    ("lstm 512->512 8x32", "LSTM", (512, 512), {}, (32, 8, 512)),
    ("lstm batch first 64->128 32x40", "LSTM", (64, 128), {"batch_first": True}, (32, 40, 64)),
    ("gru 2 layers both ways 128->256 16x50", "GRU", (128, 256, 2), {"bidirectional": True}, (50, 16, 128)),
):
    layer(name, "recurrent", lambda lib, m=module, i=inner, o=options: Output(getattr(lib.nn, m)(*i, **o)), shape)
for name in ("LSTMCell", "GRUCell"):
    layer(f"{name} 64->128 32, 20 steps", "recurrent", steps(name, 64, 128, 20), (32, 64),
          flops=20 * 2 * 32 * (64 + 128) * 128 * (4 if name == "LSTMCell" else 3))  # fmt: skip
layer("lstm packed 64->128 32x40", "recurrent", packed(64, 128), (40, 32, 64),
      flops=2 * (40 + 9) // 2 * 32 * (64 + 128) * 512)  # fmt: skip

layer("pad_sequence 5, 7, 3 of 8", "recurrent", lambda lib: lambda *x: lib.nn.utils.rnn.pad_sequence(x),
      (5, 8), (7, 8), (3, 8))  # fmt: skip

layer("sdpa 8x8x128x64", "attention", sdpa(), *[(8, 8, 128, 64)] * 3, flops=4 * 64 * 128 * 128 * 64)
layer("sdpa causal 2x8x512x64", "attention", sdpa(causal=True), *[(2, 8, 512, 64)] * 3, flops=2 * 16 * 512 * 512 * 64)
layer("sdpa 1x1x4x4", "attention", sdpa(), *[(1, 1, 4, 4)] * 3)
layer("sdpa 1x4x64x64", "attention", sdpa(), *[(1, 4, 64, 64)] * 3, flops=4 * 4 * 64 * 64 * 64)
layer("sdpa 2x4x128x64", "attention", sdpa(), *[(2, 4, 128, 64)] * 3, dtype="float64", flops=4 * 8 * 128 * 128 * 64)
layer("sdpa masked 4x8x128x64", "attention", sdpa(mask=(128, 128)), *[(4, 8, 128, 64)] * 3,
      flops=4 * 32 * 128 * 128 * 64)  # fmt: skip
layer("sdpa 1x8x1024x64", "attention", sdpa(), *[(1, 8, 1024, 64)] * 3, flops=4 * 8 * 1024 * 1024 * 64)
for width in (32, 80, 128):
    layer(f"sdpa 4x4x128x{width}", "attention", sdpa(), *[(4, 4, 128, width)] * 3, flops=4 * 16 * 128 * 128 * width)
layer("multihead 256 8 heads 16x64", "attention", lambda lib: Attention(lib, 256, 8), (16, 64, 256))
layer("multihead cross masked 256 8 heads 16x64", "attention", lambda lib: Attention(lib, 256, 8, (64, 48)),
      (16, 64, 256), (16, 48, 256))  # fmt: skip
layer(
    "decoder layer d=128 16x32",
    "attention",
    lambda lib: lib.nn.TransformerDecoderLayer(128, 4, 512, 0.0, batch_first=True),
    (16, 32, 128),
    (16, 48, 128),
)
for rate in (0.1, 0.0):
    layer(
        f"encoder layer d=128 16x64 dropout {rate}",
        "attention",
        lambda lib, rate=rate: lib.nn.TransformerEncoderLayer(128, 4, dropout=rate, batch_first=True),
        (16, 64, 128),
    )
    add(f"step two-layer encoder d=128 16x64 dropout {rate}", "attention", encoder_step(rate))
add("step GPT 4 layers d=128 32x128", "attention", gpt_step())

# -- chains: what a compiler can fuse ------------------------------------------------------------------------------


def gated(lib):
    """A chain of elementwise operations with a broadcast row."""
    gelu, sigmoid = lib.nn.functional.gelu, lib.sigmoid
    return lambda x, y, w: gelu(x * y + w) * sigmoid(x) - 2.5


def clipped(lib):
    """A chain of cheap elementwise operations, which memory binds."""
    return lambda x, y, w: ((x * 2.0 + w).relu() * y + 1.0).clamp(0.0, 3.0) + x


def feed_forward(lib):
    """A gated perceptron with GELU, as in transformers, and a residual."""
    nn = lib.nn
    up, gate, down = nn.Linear(256, 512), nn.Linear(256, 512), nn.Linear(512, 256)
    return lambda x: x + down(nn.functional.gelu(gate(x)) * up(x)) * 0.5


only("chain gelu 512x1024", "chain", gated, (512, 1024), (512, 1024), (1024,))
only("chain relu 512x1024", "chain", clipped, (512, 1024), (512, 1024), (1024,))
only("chain relu 512x1024", "chain", clipped, (512, 1024), (512, 1024), (1024,), dtype="float64")
only("chain relu 8", "chain", clipped, (8,), (8,), (8,))
only("chain gated MLP 256-512-256 batch 512", "chain", feed_forward, (512, 256))

# -- optimizers, whole steps, inference ----------------------------------------------------------------------------

for name, states, options in (
    ("SGD", 0, {"lr": 0.01}),
    ("SGD", 1, {"lr": 0.01, "momentum": 0.9}),
    ("Adam", 2, {"lr": 0.01}),
    ("AdamW", 2, {"lr": 0.01}),
    ("RMSprop", 1, {"lr": 0.01}),
    ("Adagrad", 1, {"lr": 0.01}),
    ("Adadelta", 2, {}),
    ("NAdam", 2, {"lr": 0.01}),
):
    title = f"{name} momentum" if "momentum" in options else name
    sizes = [(512, 512), (512,)] * 4
    add(f"{title} 4 x 512x512", "optim", optimizer_step(name, sizes, states, **options))
    add(f"{title} 8 small", "optim", optimizer_step(name, [(8, 8), (8,)] * 4, states, **options))

add("step digits CNN batch 64", "step", training_step(digits_model, (64, 1, 8, 8), 10))
add("step MLP 8-16-4 batch 16", "step", training_step(mlp, (16, 8), 4))
add("step LeNet batch 64", "step", training_step(lenet, (64, 1, 28, 28), 10))
add("step two-block CNN batch 32", "step", training_step(two_blocks, (32, 3, 32, 32), 10))
add("step MLP 784-512-256-10 batch 128", "step", training_step(wide_mlp, (128, 784), 10, "SGD"))
# Small batches: what one operation costs all told counts more than its kernel.
add("step MLP 8-16-4 batch 1", "step", training_step(mlp, (1, 8), 4))
for batch in (1, 8):
    add(f"step LeNet batch {batch}", "step", training_step(lenet, (batch, 1, 28, 28), 10))
add("step digits CNN batch 8", "step", training_step(digits_model, (8, 1, 8, 8), 10))
add("step LSTM 8->16 4x8", "step", training_step(lambda lib: last_step(lib, 8, 16, 4), (4, 8, 8), 4))
for name, model, shape in (
    ("MLP 784-512-256-10", wide_mlp, (784,)),
    ("digits CNN", digits_model, (1, 8, 8)),
    ("LeNet", lenet, (1, 28, 28)),
    ("two-block CNN", two_blocks, (3, 32, 32)),
    ("two-layer encoder", encoder, (64, 128)),
):
    for batch in (1, 64):
        add(f"inference {name} batch {batch}", "inference", inference(model, batch, *shape))

# -- many short rows -----------------------------------------------------------------------------------------------

for name, family, build, *shapes in (
    ("softmax 4096x16", "softmax", lambda lib: lib.nn.Softmax(-1), (4096, 16)),
    ("log_softmax 1024x100", "softmax", lambda lib: lib.nn.LogSoftmax(-1), (1024, 100)),
    ("layer_norm 4096x16", "normalization", lambda lib: lib.nn.LayerNorm(16), (4096, 16)),
    ("rms_norm 8192x64", "normalization", lambda lib: lib.nn.RMSNorm(64), (8192, 64)),
    ("batch_norm 4096x8", "normalization", lambda lib: lib.nn.BatchNorm1d(8), (4096, 8)),
    ("normalize 4096x32", "normalization", lambda lib: lib.nn.functional.normalize, (4096, 32)),
    ("cross_entropy 4096x16", "loss", classes("CrossEntropyLoss", 16, 4096), (4096, 16)),
    ("logsumexp 4096x33", "reduction", lambda lib: lambda x: x.logsumexp(1), (4096, 33)),
    ("sum dim 1 32768x8", "reduction", lambda lib: lambda x: x.sum(1), (32768, 8)),
    ("amax dim 1 4096x10", "reduction", lambda lib: lambda x: x.amax(1), (4096, 10)),
):
    layer(name, family, build, *shapes)

# -- beyond the level 3 cache --------------------------------------------------------------------------------------

for name, family, build, *shapes in (
    ("gelu 4096x4096", "pointwise", lambda lib: lib.nn.GELU(), (4096, 4096)),
    ("tanh 4096x4096", "pointwise", lambda lib: lib.nn.Tanh(), (4096, 4096)),
    ("add 4096x4096", "pointwise", lambda lib: lib.add, (4096, 4096), (4096, 4096)),
    ("mul row 4096x4096", "pointwise", lambda lib: lib.mul, (4096, 4096), (4096,)),
    ("softmax 4096x4096", "softmax", lambda lib: lib.nn.Softmax(-1), (4096, 4096)),
    ("softmax dim 1 64x64x64x64", "softmax", lambda lib: lib.nn.Softmax(1), (64, 64, 64, 64)),
    ("log_softmax 16384x1000", "softmax", lambda lib: lib.nn.LogSoftmax(-1), (16384, 1000)),
    ("dropout 4096x4096", "dropout", lambda lib: lib.nn.Dropout(0.1), (4096, 4096)),
    ("layer_norm 16384x1024", "normalization", lambda lib: lib.nn.LayerNorm(1024), (16384, 1024)),
    ("rms_norm 16384x1024", "normalization", lambda lib: lib.nn.RMSNorm(1024), (16384, 1024)),
    ("batch_norm 64x64x64x64", "normalization", lambda lib: lib.nn.BatchNorm2d(64), (64, 64, 64, 64)),
    ("group_norm 64x64x64x64", "normalization", lambda lib: lib.nn.GroupNorm(8, 64), (64, 64, 64, 64)),
    ("max_pool2d 64x64x64x64", "pooling", lambda lib: lib.nn.MaxPool2d(2), (64, 64, 64, 64)),
    ("max_pool2d 3x3 s2 64x64x64x64", "pooling", lambda lib: lib.nn.MaxPool2d(3, 2, 1), (64, 64, 64, 64)),
    ("mse_loss 4096x4096", "loss", lambda lib: lib.nn.MSELoss(), (4096, 4096), (4096, 4096)),
):
    layer(name, family, build, *shapes)
layer("cross_entropy 16384x1000", "loss",
      lambda lib: Given(lib.nn.CrossEntropyLoss(), lib.randint(0, 1000, (16384,))), (16384, 1000))  # fmt: skip
MOVED = 4 * 65536 * 256
layer("embedding 50000x256 65536", "embedding", embedding(50000, 256, (65536,)), moves=(MOVED, MOVED),
      both_moves=(2 * MOVED, MOVED + 4 * 50000 * 256))  # fmt: skip

# Of these the way back reads nothing but the gradient.
for name, family, build, change, *shapes in (
    ("avg_pool2d 64x64x64x64", "pooling", lambda lib: lib.nn.AvgPool2d(2), 1 / 4, (64, 64, 64, 64)),
    ("ZeroPad2d 1 64x64x64x64", "padding", lambda lib: lib.nn.ZeroPad2d(1), 66**2 / 64**2, (64, 64, 64, 64)),
    ("upsample nearest x2 64x32x32x32", "resample", lambda lib: lib.nn.Upsample(None, 2), 4, (64, 32, 32, 32)),
    ("upsample bilinear x2 64x32x32x32", "resample", lambda lib: lib.nn.Upsample(None, 2, "bilinear"), 4,
     (64, 32, 32, 32)),
    ("pixel_shuffle 2 64x64x64x64", "resample", lambda lib: lib.nn.PixelShuffle(2), 1, (64, 64, 64, 64)),
    ("permute 0213 64x256x16x64", "shape", lambda lib: lambda x: x.permute(0, 2, 1, 3).contiguous(), 1,
     (64, 256, 16, 64)),
    ("transpose 4096x4096", "shape", lambda lib: lambda x: x.t().contiguous(), 1, (4096, 4096)),
    ("cat 2 x 4096x2048", "shape", lambda lib: lambda x, y: lib.cat([x, y], 1), 1, (4096, 2048), (4096, 2048)),
):  # fmt: skip
    given = 4 * sum(map(prod, shapes))
    moved = (1 + change) * given
    layer(name, family, build, *shapes, both_moves=(moved, moved))
