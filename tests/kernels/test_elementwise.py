"""Kernels made from formulas: types, chunks, broadcasting, cached compilation."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit, types

from tnn.kernels import _elementwise, activation, pointwise, pointwise_compare, pointwise_select, pointwise_unary
from tnn.kernels._elementwise import F32, KERNELS, Unary, _in_type, binary, scalar, unary
from tnn.kernels._jit import CHUNK, GRAIN
from tnn.kernels._math import MATH
from tnn.kernels._walk import plan

MODULES = (activation, pointwise, pointwise_compare, pointwise_select, pointwise_unary)


@scalar
def third(x):
    return x / 3.0


@unary
def shifted(x, p, q):
    return third(x) * p + q


@binary
def difference(x, y):
    return x - y


@pytest.mark.parametrize("n", [0, 1, 7, GRAIN - 1, GRAIN, 2 * CHUNK + 5, GRAIN + CHUNK + 1])
def test_flat_arrays_of_every_size(n):
    x = np.arange(n, dtype=np.float32)
    out = np.full(n, np.nan, np.float32)
    shifted(x, out, 3.0, 1.0)
    np.testing.assert_allclose(out, x + 1, rtol=1e-6)
    difference(out, x, out2 := np.empty_like(x))
    np.testing.assert_array_equal(out2, out - x)


def test_numbers_as_operands():
    x = np.array([1.0, 2.0])
    out = np.empty_like(x)
    difference.right(x, out, 5.0)
    np.testing.assert_array_equal(out, [-4, -3])
    difference.left(x, out, 5.0)
    np.testing.assert_array_equal(out, [4, 3])


SHAPES = [
    ((3, 4), (4,)), ((3, 4), (3, 1)), ((3, 1), (1, 4)), ((2, 3, 4, 5), (3, 1, 1)), ((2, 1, 4, 1), (3, 1, 5)),
    ((1,), (2, 3)), ((), (2, 3)), ((2, 3), ()), ((0, 3), (1, 3)), ((1, 1), (1, 1)), ((5, 1, 1), (1, 1, 7)),
    ((2, CHUNK + 3), (2, 1)), ((200, 300), (300,)), ((GRAIN * 2, 1), (1, 2)),
    ((GRAIN, 3), (3,)), ((GRAIN, 3), (GRAIN, 1)), ((5, 700, 1), (5, 1, 31)), ((40, 300, 17), (300, 1)),
    ((3, 90, 4), (3, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_broadcasting(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.random(a, np.float32), rng.random(b, np.float32)
    want = x - y
    out = np.empty(want.shape, np.float32)
    flat = y.reshape(-1)
    difference.strided(out.reshape(-1), x.reshape(-1), flat, flat, plan(want.shape, a, b))
    np.testing.assert_array_equal(out, want)


def test_broadcasting_three_operands():
    rng = np.random.default_rng(0)
    for shapes in [
        ((4, 5), (5,), (4, 1)),
        ((4, 5), (), ()),
        ((4, 5), (4, 5), ()),
        ((), (4, 5), ()),
        ((1, 5), (4, 1), ()),
    ]:
        x, y, z = (rng.random(s) for s in shapes)
        want = x + 2.0 * (y * z)
        out = np.empty(want.shape)
        flat = [a.reshape(-1) for a in (x, y, z)]
        pointwise_select.addcmul_forward.strided(out.reshape(-1), *flat, plan(want.shape, *shapes), 2.0)
        np.testing.assert_allclose(out, want, rtol=1e-15)


def test_plan_merges_dimensions():
    np.testing.assert_array_equal(plan((2, 3, 4), (2, 3, 4), (2, 3, 4)), [[24, 1, 1, 1]])
    np.testing.assert_array_equal(plan((2, 3, 4), (2, 3, 4), (4,)), [[6, 4, 0, 0], [4, 1, 1, 1]])
    np.testing.assert_array_equal(plan((), (), ()), [[1, 0, 0, 0]])


def test_float32_formulas_stay_in_float32():
    allowed = {"polygamma_forward", "igamma_forward", "igammac_forward", "i0_forward", "i1_forward"}
    for module in MODULES:
        for name, kernel in vars(module).items():
            if not isinstance(kernel, _elementwise.Kernel) or name in allowed:
                continue
            formula = njit(**MATH)(_in_type(kernel.formula, np.float32))
            count = len(inspect.signature(kernel.formula).parameters)
            arguments = [types.float32] * count
            if kernel.first is np.bool_:
                arguments[0] = types.uint8
            formula.compile(tuple(arguments))
            result = formula.overloads[tuple(arguments)].signature.return_type
            assert result == (types.boolean if kernel.result is np.bool_ else types.float32), name


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="float32 and float64, not on int64"):
        shifted(np.arange(3), np.arange(3))


def test_kernels_are_listed_and_named():
    assert shifted in KERNELS and repr(shifted) == "<kernel shifted>"
    assert isinstance(shifted, Unary) and shifted.address(F32) == shifted.f32
    for module in MODULES:
        for name, kernel in vars(module).items():
            if isinstance(kernel, _elementwise.Kernel):
                assert kernel.name == name and kernel.__doc__, name


def test_sin_beyond_the_limit_of_its_fast_form():
    x = np.array([1.0, 1e8, 3e9, -1e15, 1e300, np.inf, np.nan])
    out = np.empty_like(x)
    with np.errstate(invalid="ignore"):
        pointwise_unary.sin_forward(x, out)
        np.testing.assert_allclose(out, np.sin(x), rtol=1e-15)
        pointwise_unary.cos_forward(x, out)
        np.testing.assert_allclose(out, np.cos(x), rtol=1e-15)


WITHOUT_COMPILER = """
import numpy as np
from tnn.kernels import activation, pointwise, pointwise_unary
x = np.array([-1.5, 0.0, 0.3, 9.0], np.float32)
for kernel in (activation.gelu_forward, activation.mish_forward, pointwise_unary.exp_forward,
               pointwise_unary.sin_forward):
    out = np.empty_like(x)
    kernel(x, out)
    print(*(float(v).hex() for v in out))
out = np.empty(16, np.float32)
from tnn.kernels._walk import plan
pointwise.sub_forward.strided(out, x, x, x, plan((4, 4), (4, 1), (4,)))
print(*(float(v).hex() for v in out))
"""


def test_formulas_run_without_the_compiler():
    answers = []
    for off in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": off}
        run = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        answers.append([[float.fromhex(v) for v in line.split()] for line in run.stdout.splitlines()])
    for compiled, plain in zip(*answers, strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=3e-7)
