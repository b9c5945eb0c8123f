"""Matrix products: every shape class, every flag, every SIMD path."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tnn.kernels import _gemm, _jit, _simd

SHAPES = [
    # m, n, k
    (1, 1, 1), (3, 5, 7), (14, 32, 16), (15, 33, 17), (28, 16, 5), (1, 40, 30), (40, 1, 30), (1, 1, 300), (2, 70, 9),
    (33, 2, 600), (100, 150, 300), (130, 31, 257),
]  # fmt: skip
TOLERANCE = {"float32": 2e-6, "float64": 4e-15}


def product(ta, tb, alpha, a, b, beta, c, bias=None, mode=0):
    """float64 reference and the magnitude that its rounding errors scale with."""
    a, b = (x.astype(np.float64) for x in (a, b))
    a, b = (a.swapaxes(-1, -2) if ta else a), (b.swapaxes(-1, -2) if tb else b)
    out, size = alpha * (a @ b), abs(alpha) * (abs(a) @ abs(b)) + 1
    if beta:
        out, size = out + beta * c, size + abs(beta * c)
    if mode & 3:
        extra = bias[: c.shape[1]] if mode & 1 else bias[: c.shape[0], None]
        out, size = out + extra, size + abs(extra)
    return (np.maximum(out, 0) if mode & 8 else out), size


def operands(m, n, k, ta, tb, dtype, batch=()):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    shapes = (k, m) if ta else (m, k), (n, k) if tb else (k, n), (m, n)
    return [rng.standard_normal(batch + s).astype(dtype) for s in shapes]


def check(got, ref, size, dtype, what):
    np.testing.assert_array_less(abs(got - ref), size * TOLERANCE[np.dtype(dtype).name], err_msg=str(what))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_shapes_scales_and_epilogues(dtype, ta, tb):
    for m, n, k in SHAPES:
        a, b, c = operands(m, n, k, ta, tb, dtype)
        bias = np.linspace(-2, 2, max(m, n)).astype(dtype)
        for mode in (0, 1, 2, 8, 9, 10):
            for alpha, beta in ((1.0, 0.0), (1.0, 1.0), (0.5, 2.0), (-1.0, 1.0)):
                got = c.copy() if beta else np.full_like(c, np.nan)
                _gemm.gemm_bias_act(ta, tb, alpha, a, b, beta, got, bias, mode)
                ref, size = product(ta, tb, alpha, a, b, beta, c, bias, mode)
                check(got, ref, size, dtype, (m, n, k, mode, alpha, beta))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_products_and_vectors_in_chunks(dtype):
    # Products whose right operand is packed beforehand, more columns than one chunk takes, more depth than one block;
    # then products with a vector, whose chunks are of another kind.
    for m, n, k in ((230, 1100, 530), (300, 130, 1030), (1, 1500, 700), (1500, 1, 700)):
        for ta, tb in ((False, False), (False, True), (True, False)):
            a, b, c = operands(m, n, k, ta, tb, dtype)
            bias = np.linspace(-2, 2, max(m, n)).astype(dtype)
            for mode, alpha, beta in ((0, 1.0, 0.0), (9, 0.5, 2.0), (2, 1.0, 1.0)):
                got = c.copy() if beta else np.full_like(c, np.nan)
                _gemm.gemm_bias_act(ta, tb, alpha, a, b, beta, got, bias, mode)
                check(got, *product(ta, tb, alpha, a, b, beta, c, bias, mode), dtype, (m, n, k, ta, tb, mode))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_empty_dimensions(dtype):
    for m, n in ((0, 3), (3, 0), (0, 0)):
        _gemm.gemm(False, False, 1.0, np.ones((m, 4), dtype), np.ones((4, n), dtype), 0.0, np.ones((m, n), dtype))
    a, b = np.ones((3, 0), dtype), np.ones((0, 40), dtype)
    c = np.full((3, 40), np.nan, dtype)
    _gemm.gemm(False, False, 1.0, a, b, 0.0, c)
    assert (c == 0).all()
    c[:] = 3
    _gemm.gemm(False, False, 1.0, a, b, 0.5, c)
    assert (c == 1.5).all()
    bias = np.arange(40).astype(dtype)
    _gemm.gemm_bias_act(False, False, 1.0, a, b, 0.0, c, bias, 1)
    assert (c == bias).all()


def test_neighbours_are_neither_read_nor_written():
    m, n, k = 17, 37, 19
    a, b, c = operands(m, n, k, False, False, "float32")
    padded = [np.full(x.size + 64, np.nan, np.float32) for x in (a, b, c)]
    inner = [p[32 : 32 + x.size].reshape(x.shape) for p, x in zip(padded, (a, b, c), strict=True)]
    for view, x in zip(inner, (a, b, c), strict=True):
        view[...] = x
    _gemm.gemm(False, False, 1.0, inner[0], inner[1], 0.0, inner[2])
    check(inner[2], *product(False, False, 1.0, a, b, 0.0, c), "float32", "padded")
    assert np.isnan(padded[2][:32]).all() and np.isnan(padded[2][-32:]).all()


def test_nan_and_infinity_pass():
    a, b = np.ones((20, 40), np.float32), np.ones((40, 50), np.float32)
    a[3, 5], a[7, 1] = np.nan, -np.inf
    c = np.empty((20, 50), np.float32)
    _gemm.gemm_bias_act(False, False, 1.0, a, b, 0.0, c, c[0], 8)
    assert np.isnan(c[3]).all() and (c[7] == 0).all() and (c[0] == 40).all()
    c = np.empty((20, 1), np.float32)
    _gemm.gemm_bias_act(False, False, 1.0, a, np.ascontiguousarray(b[:, :1]), 0.0, c, c[0], 8)
    assert np.isnan(c[3]).all() and (c[7] == 0).all() and (c[0] == 40).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches(dtype):
    for batch, m, n, k in ((0, 2, 2, 2), (3, 4, 5, 6), (5, 60, 70, 80), (40, 33, 31, 40), (2, 3, 4, 0)):
        for ta, tb in ((False, False), (False, True), (True, False), (True, True)):
            a, b, c = operands(m, n, k, ta, tb, dtype, (batch,))
            for x, y in ((a, b), (a[:1], b), (a, b[:1])):
                if batch and (len(x) or len(y)):
                    got = c.copy()
                    _gemm.gemm_batched(ta, tb, 0.5, x, y, 2.0, got)
                    check(got, *product(ta, tb, 0.5, x, y, 2.0, c), dtype, (batch, m, n, k, ta, tb))


def test_results_do_not_depend_on_the_number_of_threads():
    before = _jit.get_num_threads()
    a, b, _ = operands(300, 270, 520, False, True, "float32")
    large = operands(400, 290, 600, True, False, "float32")
    row, right, _ = operands(1, 2000, 900, False, False, "float32")
    batch = operands(130, 140, 150, False, False, "float32", (3,))
    results = []
    try:
        for threads in (1, 2, 4):
            _jit.set_num_threads(threads)
            c, d = np.empty((300, 270), np.float32), np.empty((3, 130, 140), np.float32)
            _gemm.gemm(False, True, 1.0, a, b, 0.0, c)
            _gemm.gemm_batched(False, False, 1.0, batch[0], batch[1], 0.0, d)
            e, f = np.empty((400, 290), np.float32), np.empty((1, 2000), np.float32)
            _gemm.gemm(True, False, 1.0, large[0], large[1], 0.0, e)
            _gemm.gemm(False, False, 1.0, row, right, 0.0, f)
            results.append(b"".join(x.tobytes() for x in (c, d, e, f)))
    finally:
        _jit.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# CPU model and features that Numba is told to compile for, and the path that they must lead to on x86-64.
FORCED = {
    "generic": ("x86-64", ""),
    "avx2": ("haswell", "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"),
    "avx512": (
        "skylake-avx512",
        "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd",
    ),
}
NEEDS = {
    "generic": {"sse2"},
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512cd"},
}
HOST = [name for name, needs in NEEDS.items() if needs <= _simd.cpu_features()]
FORCED_RUN = """
import numpy as np
from tnn.kernels import _gemm, _simd
assert _simd.PATH == PATH, _simd.PATH
for dtype, tolerance in (("float32", 1e-4), ("float64", 1e-12)):
    for m, n, k in ((1, 1, 1), (6, 16, 8), (7, 17, 9), (29, 67, 33), (2, 9, 40), (60, 40, 300), (230, 260, 600)):
        for ta in (False, True):
            for tb in (False, True):
                rng = np.random.default_rng(0)
                a = rng.standard_normal((k, m) if ta else (m, k)).astype(dtype)
                b = rng.standard_normal((n, k) if tb else (k, n)).astype(dtype)
                c, bias = np.ones((m, n), dtype), np.arange(m).astype(dtype)
                _gemm.gemm_bias_act(ta, tb, 0.5, a, b, 2.0, c, bias, 2)
                ref = 0.5 * (a.T if ta else a) @ (b.T if tb else b) + 2 + bias[:, None]
                assert abs(c - ref).max() < tolerance, (dtype, m, n, k, ta, tb)
                _gemm.gemm_bias_act(ta, tb, 1.0, a, b, 0.0, c, bias, 0)
                assert abs(c - (a.T if ta else a) @ (b.T if tb else b)).max() < tolerance, (dtype, m, n, k, ta, tb)
"""


@pytest.mark.parametrize("path", HOST)
def test_every_simd_path(path):
    name, features = FORCED[path]
    env = dict(os.environ, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, TNN_NUM_THREADS="1")
    code = FORCED_RUN.replace("== PATH", f"== {path!r}")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tb", [False, True])
def test_right_operands_packed_beforehand(dtype, tb):
    """Packed once and for several products: the same bits, and nothing written past the end."""
    guard = 64
    for m, n, k in [*SHAPES[1:], (70, 65, 784), (300, 200, 20), (3, 129, 2000), (2, 2, 2), (1100, 260, 1030)]:
        if min(m, n, k) < 2:
            continue  # these have kernels of their own
        a, b, c = operands(m, n, k, False, tb, dtype)
        columns = _gemm.packed_columns(n, a.itemsize)
        room = np.full(k * columns + guard, 7.0, dtype)
        packed = room[: k * columns].reshape(k, columns)
        _gemm.gemm_pack(tb, b, packed)
        assert (room[k * columns :] == 7).all()
        bias = np.linspace(-2, 2, max(m, n)).astype(dtype)
        for mode in (0, 9):
            for ta in (False, True):
                left = np.ascontiguousarray(a.T) if ta else a
                want, got = c.copy(), c.copy()
                _gemm.gemm_bias_act(ta, tb, 1.0, left, b, 1.0, want, bias, mode)
                _gemm.gemm_bias_act(ta, False, 1.0, left, packed, 1.0, got, bias, mode | _gemm.PACKED)
                assert got.tobytes() == want.tobytes(), (m, n, k, mode, ta)
