"""The short way in for small arrays: the same results as the general way, None for all that it leaves to others."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba import types

from tnn.kernels import _entry, _planned, batchnorm, normalization, pooling
from tnn.kernels import _small_losses as losses
from tnn.kernels import _small_norms as norms
from tnn.kernels import _small_products as products
from tnn.kernels._elementwise import unary
from tnn.kernels._small_steps import Step
from tnn.kernels._walk import plan
from tnn.kernels.optim import sgd
from tnn.kernels.pointwise import add_scaled_forward, mul_forward
from tnn.kernels.pointwise_compare import lt_forward
from tnn.kernels.pointwise_select import where_forward
from tnn.kernels.pointwise_unary import cos_forward, exp_forward, isnan_forward
from tnn.ops.pooling import Window

SHAPES = [(), (1,), (4,), (3, 4), (1, 4), (3, 1), (2, 3, 4), (2, 3, 1), (0,), (3, 0)]


def filled(shape, dtype=np.float32, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    for kernel in (mul_forward, mul_forward.right, lt_forward, exp_forward, where_forward, add_scaled_forward):
        kernel.address(np.dtype(np.float32))


@pytest.mark.parametrize("shape", SHAPES)
def test_one_operand(shape):
    x = filled(shape)
    out = exp_forward.small(x)
    expected = np.empty(shape, np.float32)
    exp_forward(x.ravel(), expected.reshape(-1))
    assert out.shape == shape and out.dtype is np.dtype(np.float32) and out.flags.c_contiguous and out.flags.owndata
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("first", SHAPES)
@pytest.mark.parametrize("second", SHAPES)
@pytest.mark.parametrize("kernel", [mul_forward, lt_forward])
def test_two_operands(kernel, first, second):
    a, b = filled(first), filled(second, seed=1)
    out = kernel.small(a, b)
    if first == second:
        assert out is not None
    if out is None:
        return
    expected = np.empty(np.broadcast_shapes(first, second), kernel.result or np.float32)
    y = b.ravel()
    kernel.strided(expected.reshape(-1), a.ravel(), y, y, plan(expected.shape, first, second))
    assert out.shape == expected.shape and out.dtype == expected.dtype
    assert np.array_equal(out, expected)


def test_rows_and_columns_are_repeated():
    for shapes in (((3, 4), (4,)), ((4,), (3, 4)), ((3, 4), (3, 1)), ((3, 1), (3, 4)), ((3, 4), ()), ((1,), (3, 4))):
        assert mul_forward.small(*map(filled, shapes)) is not None, shapes


def test_three_operands():
    condition, x, y = filled((3, 4)) > 0, filled((3, 4), seed=1), filled((3, 4), seed=2)
    assert np.array_equal(where_forward.small(condition, x, y), np.where(condition, x, y))
    assert np.array_equal(where_forward.small(condition, x, y[:1, :1]), np.where(condition, x, y[0, 0]))
    assert where_forward.small(x, x, y) is None
    assert where_forward.small(condition, x, y[0]) is None


LARGE = [
    ((200, 300), (200, 300)), ((200, 300), (300,)), ((300,), (200, 300)), ((200, 300), (200, 1)),
    ((200, 1), (200, 300)), ((200, 300), (1,)), ((), (200, 300)), ((2, 20_000), (20_000,)), ((2, 1), (2, 20_000)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", LARGE)
@pytest.mark.parametrize("kernel", [mul_forward, lt_forward])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_of_two_operands(kernel, shapes, dtype):
    a, b = filled(shapes[0], dtype), filled(shapes[1], dtype, seed=1)
    expected = np.empty(np.broadcast_shapes(*shapes), kernel.result or dtype)
    x, y = a.ravel(), b.ravel()
    if shapes[0] == shapes[1]:
        kernel(x, y, expected.reshape(-1))
    else:
        kernel.strided(expected.reshape(-1), x, y, y, plan(expected.shape, *shapes))
    out = kernel.small(a, b)
    assert out.shape == expected.shape and out.dtype == expected.dtype
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("kernel", [exp_forward, isnan_forward])
def test_large_arrays_of_one_operand(kernel):
    x = filled((200, 300), np.float64)
    x[0, 0] = np.nan
    expected = np.empty(x.shape, kernel.result or x.dtype)
    kernel(x.ravel(), expected.reshape(-1))
    assert np.array_equal(kernel.small(x), expected, equal_nan=True)


def test_large_arrays_of_three_operands():
    condition, x, y = filled((200, 300)) > 0, filled((200, 300), seed=1), filled((1,), seed=2)
    expected = np.where(condition, x, y)
    out = np.empty_like(expected)
    where_forward.strided(out.ravel(), condition.ravel(), x.ravel(), y, plan(x.shape, x.shape, x.shape, y.shape))
    assert np.array_equal(out, expected)
    assert np.array_equal(where_forward.small(condition, x, y), expected)
    assert np.array_equal(where_forward.small(condition, x, x[:1, :1]), np.where(condition, x, x[0, 0]))


def test_the_interpreters_lock_is_free_while_a_large_array_is_worked_on():
    x = np.zeros((16, 1 << 20), np.float32)
    exp_forward(x[0], x[1])
    stop, turns = threading.Event(), []

    def count():
        while not stop.is_set():
            turns.append(0)
            time.sleep(1e-4)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody is asked to give the lock up
    try:
        thread = threading.Thread(target=count)
        thread.start()
        seen = len(turns)
        for _ in range(5):
            assert exp_forward.small(x) is not None
        assert len(turns) > seen
    finally:
        stop.set()
        sys.setswitchinterval(before)
        thread.join()


def test_parameters():
    x, y = filled((5,)), filled((5,), seed=1)
    assert np.array_equal(add_scaled_forward.small(x, y, 2.0), x + 2 * y)
    assert np.array_equal(mul_forward.right.small(x, 3.0), x * 3)
    for wrong in (3, True, np.float32(3), None, "3"):
        assert mul_forward.right.small(x, wrong) is None


def test_what_is_declined():
    x = filled((4, 4))
    assert mul_forward.small(x, x) is not None
    assert mul_forward.small(x.T, x) is None
    assert mul_forward.small(x, x.astype(np.float16)) is None
    assert mul_forward.small(x, x.astype(np.int32)) is None
    assert mul_forward.small(x, x.view(type("Sub", (np.ndarray,), {}))) is None
    assert mul_forward.small(x, x[:3]) is None
    assert mul_forward.small(x, 2.0) is None
    assert mul_forward.small(x) is None
    assert mul_forward.small() is None
    assert mul_forward.small(x, x, 0.0, 0.0, 0.0) is None
    fresh = unary(cos_forward.formula)
    fresh.address(np.dtype(np.float32))
    assert fresh.small(np.zeros(4, np.float32)) is not None
    assert fresh.small(np.zeros(40000, np.float32)) is None  # whose driver nobody has called
    assert exp_forward.small(None) is None
    unaligned = np.frombuffer(bytes(17), np.uint8)[1:].view(np.float32)
    assert exp_forward.small(unaligned) is None


def test_references_are_kept_right():
    x = filled((8,))
    held = [np.dtype(np.float32), None, x]
    before = [sys.getrefcount(h) for h in held]
    for _ in range(1000):
        exp_forward.small(x)
        exp_forward.small(None)
        mul_forward.small(x, x)
    after = [sys.getrefcount(h) for h in held]
    assert all(abs(a - b) < 50 for a, b in zip(after, before, strict=True))


def test_without_the_compiler_there_are_no_entries():
    code = (
        "import numpy as np, tnn; from tnn.kernels.pointwise import mul_forward as m; from tnn.kernels import _entry; "
        "x = tnn.ones(3); assert (x * x).tolist() == [1, 1, 1]; assert m.small is _entry.decline"
    )
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_objects_lie_as_expected():
    assert _entry._as_expected()


def test_products_of_matrices():
    a, b, bias = filled((5, 8)), filled((6, 8), seed=1), filled((6,), seed=2)
    for entry in (products.PRODUCT, products.TURNED_PRODUCT, products.LINEAR, products.COLUMN_SUMS, products.SUMS):
        entry.prepare(np.dtype(np.float32))
    near = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(products.PRODUCT.call(a, b.T), a @ b.T, **near)
    np.testing.assert_allclose(products.PRODUCT.call(a.T, a), a.T @ a, **near)
    np.testing.assert_allclose(products.TURNED_PRODUCT.call(a, a), a.T @ a, **near)
    np.testing.assert_allclose(products.TURNED_PRODUCT.call(np.asfortranarray(a), a), a.T @ a, **near)
    np.testing.assert_allclose(products.LINEAR.call(a, b, bias), a @ b.T + bias, **near)
    np.testing.assert_allclose(products.LINEAR.call(a.reshape(5, 1, 8), b, None), (a @ b.T).reshape(5, 1, 6), **near)
    np.testing.assert_allclose(products.COLUMN_SUMS.call(a, 0.5), a.sum(0) / 2, **near)
    np.testing.assert_allclose(products.SUMS.call(a, 0.5), a.sum() / 2, **near)
    for declined in (
        products.PRODUCT.call(a, b), products.PRODUCT.call(a, b.T.astype(np.float64)), products.PRODUCT.call(a[0], b.T),
        products.PRODUCT.call(a[:, ::2], b.T[:4]), products.PRODUCT.call(a[:0], b.T), products.PRODUCT.call(a),
        products.LINEAR.call(a, b.T, bias),
        products.LINEAR.call(a, b, bias[:5]), products.LINEAR.call(a[0, 0], b, bias),
        products.LINEAR.call(a, b, a), products.LINEAR.call(a, b), products.COLUMN_SUMS.call(a[0], 1.0),
        products.COLUMN_SUMS.call(a[:, :1], 1.0), products.COLUMN_SUMS.call(a),
        products.SUMS.call(a, 1), products.SUMS.call(a[:0], 1.0),
    ):  # fmt: skip
        assert declined is None


def test_sums_of_channels():
    x = filled((3, 4, 5, 2))
    products.CHANNEL_SUMS.prepare(np.dtype(np.float32))
    for n in (1, 3):
        np.testing.assert_allclose(products.CHANNEL_SUMS.call(x[:n]), x[:n].sum((0, 2, 3)), rtol=1e-5, atol=1e-5)
    for wrong in (x[0, 0], x[:0], x[:, ::2], x.astype(np.float16), np.zeros((200, 200, 1), np.float32)):
        assert products.CHANNEL_SUMS.call(wrong) is None


F32 = np.dtype(np.float32)


def test_kernels_of_plans():
    x = filled((2, 3, 4, 4))
    window = Window("avg_pool2d", (4, 4), 2, None, 0, 1, False)
    kernel, shape = pooling.avg_pool_forward, (2, 3, 2, 2)
    expected = np.empty(shape, np.float32)
    kernel(x.reshape(-1), expected.reshape(-1), window.geo, True, 0)
    _planned.PLANNED.prepare(F32)
    ready = _planned.plan_for(kernel, _planned.ONE, (F32,), (x.size,), shape, window.geo, True)
    assert np.array_equal(_planned.PLANNED.call(x, None, None, *ready), expected)
    for wrong in (
        (x[:1], None, None, *ready), (x.astype(np.float64), None, None, *ready), (x.T, None, None, *ready),
        (x, None, x, *ready), (x, None, None, ready[0]), (x, None, None, None, None),
    ):  # fmt: skip
        assert _planned.PLANNED.call(*wrong) is None


@pytest.mark.parametrize("with_weights", [True, False])
def test_layer_and_group_norm(with_weights):
    x, g = filled((6, 8)), filled((6, 8), seed=1)
    w, b = (filled((8,), seed=2), filled((8,), seed=3)) if with_weights else (None, None)
    none = np.empty(0, np.float32)
    kept = [none if v is None else v for v in (w, b)]
    for entry in (norms.LAYER, norms.LAYER_BACKWARD, norms.GROUP):
        entry.prepare(F32)
    for center in (True, False):
        expected, stats, written = np.empty_like(x), np.empty((2, 6), np.float32), np.empty((2, 6), np.float32)
        normalization.layer_norm_forward(x, expected, *kept, *stats, 1e-5, center)
        assert np.array_equal(norms.LAYER.call(x, w, b, written, 1e-5, float(center)), expected)
        assert np.array_equal(written[not center :], stats[not center :])
        grads = [np.empty_like(x), *np.empty((4, 8), np.float32)]
        normalization.layer_norm_backward(g, x, kept[0], *stats, *grads[:3], center)
        assert np.array_equal(norms.LAYER_BACKWARD.call(g, x, w, stats, *grads[3:], float(center)), grads[0])
        assert np.array_equal(grads[3], grads[1]) and np.array_equal(grads[4], grads[2])
    expected, stats = np.empty_like(x), np.empty((2, 12), np.float32)
    cut = x.reshape(12, 4, 1)
    normalization.group_norm_forward(cut, expected.reshape(cut.shape), *kept, *stats, none, 2, 1e-5)
    assert np.array_equal(norms.GROUP.call(x, w, b, np.empty_like(stats), 2.0, 1e-5), expected)
    for wrong in (
        norms.LAYER.call(x[:5], w, b, written, 1e-5, 1.0), norms.LAYER.call(x[:, :7], w, b, written, 1e-5, 1.0),
        norms.LAYER.call(x, x, b, written, 1e-5, 1.0), norms.LAYER.call(x, g[0, :7], b, written, 1e-5, 1.0),
        norms.LAYER.call(x, w, b, written, 1, 1.0), norms.LAYER.call(x[:0], w, b, written, 1e-5, 1.0),
        norms.LAYER_BACKWARD.call(g[:5], x, w, written, None, None, 1.0),
        norms.LAYER_BACKWARD.call(g, x, w, written, g, None, 1.0),
        norms.GROUP.call(x, w, b, stats, 3.0, 1e-5), norms.GROUP.call(x, w, b, written, 2.0, 1e-5),
        norms.GROUP.call(x, w, b, stats, 0.0, 1e-5), norms.GROUP.call(x, w, b, stats, 2, 1e-5),
    ):  # fmt: skip
        assert wrong is None


def test_batch_norm():
    x, w, b = filled((5, 3, 4)), filled((3,), seed=2), filled((3,), seed=3)
    norms.BATCH.prepare(F32)
    running, expected, stats = np.ones((2, 3), np.float32), np.empty_like(x), np.empty((2, 3), np.float32)
    batchnorm.batch_norm_reduce(x, x, *stats, *running, 0.1, 1e-5, False)
    batchnorm.batch_norm_apply(x, expected, *stats, w, b, False)
    mean, var = np.ones((2, 3), np.float32)
    written = np.empty_like(stats)
    assert np.array_equal(norms.BATCH.call(x, w, b, written, mean, var, 0.1, 1e-5), expected)
    assert np.array_equal(written, stats) and np.array_equal((mean, var), running)
    assert np.array_equal(norms.BATCH.call(x, w, b, written, None, None, 0.1, 1e-5), expected)
    y = norms.BATCH.call(x, None, None, written, mean, var, None, 1e-5)
    np.testing.assert_allclose(y, (x - mean[:, None]) / np.sqrt(var[:, None] + 1e-5), rtol=1e-5, atol=1e-6)
    fixed = mean.copy()
    fixed.flags.writeable = False
    for wrong in (
        (x, w[:2], b, written, mean, var, 0.1, 1e-5), (x, w, b, written, mean, None, 0.1, 1e-5),
        (x, w, b, written, None, None, None, 1e-5), (x, w, b, written[:, :2], mean, var, 0.1, 1e-5),
        (x, w, b, written, fixed, var, 0.1, 1e-5), (x[:0], w, b, written, mean, var, 0.1, 1e-5),
        (x, w, b, written, mean, var, 1, 1e-5), (x[0, 0], w, b, written, mean, var, 0.1, 1e-5),
    ):  # fmt: skip
        assert norms.BATCH.call(*wrong) is None


def test_steps_of_optimizers():
    p, g = filled((3, 4)), filled((3, 4), seed=1)
    step = Step(sgd)
    scalars = (1.0, 0.0, 0.5)
    assert step.call(p, (g,), scalars) is None
    step.prepare(np.dtype(np.float32), (g,), scalars)
    expected = p - np.float32(0.5) * g
    assert step.call(p, (g,), scalars) is True
    np.testing.assert_allclose(p, expected, rtol=1e-6)
    for wrong in (
        (p, (g[0],), scalars), (p, (g, g), scalars), (p, [g], scalars), (p, (g,), (1.0, 0.0)), (p, (g,), (1, 0.0, 0.5)),
        (p.T, (g.T,), scalars),
        (p, (g.astype(np.float64),), scalars), (p, (None,), scalars), (p[:0], (g[:0],), scalars),
    ):  # fmt: skip
        assert step.call(*wrong) is None
    np.testing.assert_allclose(p, expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [4, -1, -100])
def test_cross_entropy_of_classes(bad):
    x, target, w = filled((5, 4)), np.array([0, 3, 1, 2, 2]), np.ones(4, np.float32)
    losses.FORWARD.prepare(np.dtype(np.float32))
    losses.BACKWARD.prepare(np.dtype(np.float32))
    loss = np.empty((), np.float32)
    lse = losses.FORWARD.call(x, target, w, 0.2, loss)
    expected = np.log(np.exp(x).sum(1))
    np.testing.assert_allclose(lse[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(loss, (expected - x[np.arange(5), target]).mean(), rtol=1e-5)
    slope = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    slope[np.arange(5), target] -= 1
    g = np.full((), 2, np.float32)
    gx = losses.BACKWARD.call(g, x, lse, target, w, 4.0, 0.2)
    np.testing.assert_allclose(gx, slope * 0.4, rtol=1e-4, atol=1e-6)
    target[2] = bad
    assert losses.FORWARD.call(x, target, w, 0.2, loss) is None
    assert losses.BACKWARD.call(g, x, lse, target, w, 4.0, 0.2) is None
    assert losses.FORWARD.call(x, target[:4], w, 0.2, loss) is None
    assert losses.FORWARD.call(x, target.astype(np.int32), w, 0.2, loss) is None


def test_an_entry_waits_until_it_was_wanted_often(monkeypatch):
    for name, value in (("_entries", {}), ("_wanted", {}), ("PATIENCE", 2)):
        monkeypatch.setattr(_entry, name, value)
    monkeypatch.setattr(products.linear._cache, "holds", lambda *args: False)
    assert [_entry.due(products.linear) for _ in range(4)] == [False, False, True, True]
    _entry._wanted.clear()
    monkeypatch.setattr(products.linear._cache, "holds", lambda *args: True)
    assert _entry.due(products.linear)


def test_the_cache_says_what_it_holds():
    compiled, cache = products.linear, products.linear._cache
    products.LINEAR.prepare(np.dtype(np.float32))
    assert cache.holds(_entry._SIGNATURE, compiled.targetctx)
    assert not cache.holds((types.intp,) * 2, compiled.targetctx)


def test_without_an_entry_the_general_way_gives_the_same():
    code = """
import numpy as np
import tnn
from tnn.kernels import _entry
from tnn.kernels import _small_products as products

_entry.due = lambda function: False
x, w, b = tnn.randn(5, 3), tnn.randn(4, 3), tnn.randn(4)
for _ in range(3):
    y = tnn.nn.functional.linear(x, w, b).relu()
assert products.LINEAR.call(x._data, w._data, b._data) is None
print(np.abs(y.numpy() - np.maximum(x.numpy() @ w.numpy().T + b.numpy(), 0)).max() < 1e-5)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "True", done.stderr
