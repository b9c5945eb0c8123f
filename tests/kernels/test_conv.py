"""Convolution kernels on every SIMD path that this machine can run (their values: tests/ops/test_conv.py)."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.kernels.test_gemm import FORCED, HOST
from tnn.kernels import conv, conv_direct, conv_patches, conv_slab, conv_winograd, conv_winograd_nested

RUN = """
import numpy as np
import tnn
from tnn.kernels import _simd, conv_winograd_nested as nested
from tnn.nn import functional as F
assert _simd.PATH == PATH, _simd.PATH
rng = np.random.default_rng(0)
small, images, wide, many = (2, 6, 9, 21), (8, 32, 6, 7), (2, 32, 9, 21), (6, 32, 24, 21)
for shape, stride, groups, cout in (
    (small, 1, 1, 5), (small, 2, 1, 9), (small, 1, 6, 6), (small, 2, 6, 6),
    (images, 1, 1, 24), (wide, 2, 1, 46), (images, 1, 32, 32), (wide, 2, 32, 32), (many, 1, 1, 39),
    (many, 1, 8, 4 * _simd.VL32), (many, 2, 16, 4 * _simd.VL32),
):
    x = rng.standard_normal(shape).astype("float32")
    w = rng.standard_normal((cout, shape[1] // groups, 3, 3)).astype("float32")
    a, b = tnn.tensor(x, requires_grad=True), tnn.tensor(w, requires_grad=True)
    y = F.conv2d(a, b, None, stride, 1, 1, groups)
    g = rng.standard_normal(y.shape).astype("float32")
    y.backward(tnn.tensor(g))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::stride, ::stride]
    want = np.zeros(y.shape)
    dw = np.zeros(w.shape)
    for o in range(cout):
        first = o * groups // cout * w.shape[1]
        c = slice(first, first + w.shape[1])
        want[:, o] = np.einsum("nchwij,cij->nhw", windows[:, c], w[o])
        dw[o] = np.einsum("nchwij,nhw->cij", windows[:, c], g[:, o])
    assert abs(y.detach().numpy() - want).max() < 1e-4
    assert abs(b.grad.numpy() - dw).max() < 1e-3
    # the input gradient is the transpose of the forward pass
    assert abs((a.grad.numpy().astype(float) * x).sum() - (want * g).sum()) < 1e-2
    one = np.zeros_like(x)
    one[1, 2, -1, -1] = 1
    z = F.conv2d(tnn.tensor(one), b.detach(), None, stride, 1, 1, groups).numpy()
    assert abs(float((z * g).sum()) - a.grad.numpy()[1, 2, -1, -1]) < 1e-4
geo = nested.geometry(2, 12, (1, 25, 40), 41, (1, 12, 20), (1, 4, 4), (1, 2, 2), (1, 1, 1), (0, 1, 1), 1, least=0)
x, w = rng.standard_normal((2, 12, 25, 40)).astype("float32"), rng.standard_normal((41, 12, 4, 4)).astype("float32")
y = np.full((2, 41, 12, 20), np.nan, "float32")
nested.conv_forward(x.ravel(), w.ravel(), np.ones(41, "float32"), y.ravel(), geo, 2)
want = F.conv2d(tnn.tensor(x).double(), tnn.tensor(w).double(), None, 2, 1).numpy() + 1
assert abs(y - want).max() < 1e-4
"""


@pytest.mark.parametrize("path", HOST)
def test_every_simd_path(path):
    name, features = FORCED[path]
    env = dict(os.environ, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, TNN_NUM_THREADS="1")
    code = RUN.replace("== PATH", f"== {path!r}")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("module", [conv, conv_direct, conv_winograd, conv_winograd_nested, conv_patches])
@pytest.mark.parametrize("mirrored", [False, True])
def test_weights_packed_beforehand(module, dtype, mirrored):
    """Packed once and for several calls: the same bits, and nothing written past the end."""
    rng, guard, seen = np.random.default_rng(0), 64, 0
    for batch, cin, size, cout, kernel, stride, padding, groups in (
        (1, 3, 9, 5, 3, 1, 1, 1), (2, 40, 12, 35, 3, 1, 1, 1), (3, 32, 30, 48, 3, 1, 1, 1), (1, 64, 16, 65, 3, 1, 1, 1),
        (9, 32, 4, 128, 3, 1, 1, 1), (2, 64, 10, 64, 3, 1, 1, 2), (2, 100, 9, 30, 2, 1, 0, 1), (2, 6, 9, 9, 3, 2, 1, 3),
        (1, 300, 5, 17, 3, 1, 1, 1), (4, 5, 48, 40, 16, 16, 0, 1),
        (2, 32, 34, 48, 5, 1, 2, 1),
    ):  # fmt: skip
        out = (size + 2 * padding - kernel) // stride + 1
        numbers = (
            batch, cin, (1, size, size), cout, (1, out, out), (1, kernel, kernel), (1, stride, stride), (1, 1, 1),
            (0, padding, padding), groups,
        )  # fmt: skip
        make = getattr(module, "mirror", None) if mirrored else module.geometry
        geo = make(*numbers) if make else None
        if geo is None:
            continue
        seen += 1
        shapes = (batch, cin, size, size), (batch, cout, out, out)
        x = rng.standard_normal(shapes[mirrored]).astype(dtype).reshape(-1)
        w = rng.standard_normal((cout, cin // groups, kernel, kernel)).astype(dtype).reshape(-1)
        bias = rng.standard_normal(max(cin, cout)).astype(dtype)
        want, got = (np.full(shapes[not mirrored], np.nan, dtype).reshape(-1) for _ in range(2))
        mode = 2 + 16 * mirrored
        module.conv_forward(x, w, bias, want, geo, mode)
        n = module.packed_size(geo, w.itemsize)
        if not n:
            continue
        room = np.full(n + guard, 7.0, dtype)
        module.conv_pack(w, room[:n], geo, mode & 16)
        assert (room[n:] == 7).all()
        module.conv_forward(x, room[:n], bias, got, geo, mode | conv_slab.READY)
        assert got.tobytes() == want.tobytes(), numbers
    assert seen or (mirrored and module is conv_patches)
