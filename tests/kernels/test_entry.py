"""The short way in for small arrays: the same results as the general way, None for all that it leaves to others."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tnn.kernels import _entry
from tnn.kernels._elementwise import plan
from tnn.kernels.pointwise import add_scaled_forward, mul_forward
from tnn.kernels.pointwise_compare import lt_forward
from tnn.kernels.pointwise_select import where_forward
from tnn.kernels.pointwise_unary import exp_forward

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
    assert exp_forward.small(np.zeros(40000, np.float32)) is None
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
