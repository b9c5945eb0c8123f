"""Arithmetic of two operands: values, gradients, broadcasting, type promotion, errors."""

import math

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

# name: (NumPy's function, draws of the two operands from (low, high))
FLOAT = {
    "add": (np.add, (-2, 2), (-2, 2)),
    "sub": (np.subtract, (-2, 2), (-2, 2)),
    "mul": (np.multiply, (-2, 2), (-2, 2)),
    "div": (np.divide, (-2, 2), (0.5, 2)),
    "floor_divide": (np.floor_divide, (-9, 9), (0.5, 2)),
    "remainder": (np.remainder, (-9, 9), (0.5, 2)),
    "fmod": (np.fmod, (-9, 9), (0.5, 2)),
    "pow": (np.power, (0.2, 2), (-2, 2)),
    "float_power": (np.float_power, (0.2, 2), (-2, 2)),
    "maximum": (np.maximum, (-2, 2), (-2, 2)),
    "minimum": (np.minimum, (-2, 2), (-2, 2)),
    "fmax": (np.fmax, (-2, 2), (-2, 2)),
    "fmin": (np.fmin, (-2, 2), (-2, 2)),
    "atan2": (np.arctan2, (-2, 2), (-2, 2)),
    "hypot": (np.hypot, (-2, 2), (0.1, 2)),
    "logaddexp": (np.logaddexp, (-2, 2), (-2, 2)),
    "logaddexp2": (np.logaddexp2, (-2, 2), (-2, 2)),
    "copysign": (np.copysign, (0.1, 2), (-2, 2)),
    "nextafter": (np.nextafter, (-2, 2), (-2, 2)),
    "heaviside": (np.heaviside, (-2, 2), (-2, 2)),
    "xlogy": (lambda x, y: x * np.log(y), (-2, 2), (0.1, 2)),
    "xlog1py": (lambda x, y: x * np.log1p(y), (-2, 2), (0.1, 2)),
    "ldexp": (lambda x, y: x * 2.0**y, (-2, 2), (-2, 2)),
}
DIFFERENTIABLE = [n for n in FLOAT if n not in ("floor_divide", "nextafter", "heaviside", "ldexp", "xlog1py")]
TENSORS_ONLY = "maximum minimum fmax fmin atan2 hypot logaddexp logaddexp2 heaviside".split()


def op(name):
    from tnn.ops import pointwise_functions

    return getattr(tnn, name, None) or getattr(pointwise_functions, name)


def operands(name, a=(3, 4), b=(4,), dtype=np.float64):
    rng = np.random.default_rng(3)
    _, first, second = FLOAT[name]
    return rng.uniform(*first, a).astype(dtype), rng.uniform(*second, b).astype(dtype)


@pytest.mark.parametrize("name", FLOAT)
def test_values(name):
    reference = FLOAT[name][0]
    for dtype, rtol in ((np.float64, 1e-13), (np.float32, 2e-6)):
        for shapes in (((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (2,)), ((0, 3), (3,)), ((), ())):
            x, y = operands(name, *shapes, dtype)
            out = op(name)(tnn.tensor(x), tnn.tensor(y))
            want = np.asarray(reference(x, y))
            assert out.shape == want.shape
            assert out.dtype is (
                tnn.float64 if name == "float_power" else tnn.float32 if dtype == np.float32 else tnn.float64
            )
            np.testing.assert_allclose(out.numpy(), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", FLOAT)
def test_strided_and_repeated_operands(name):
    x, y = operands(name, (4, 3), (4, 3))
    a, b = tnn.tensor(x), tnn.tensor(y)
    want = op(name)(a, b).t()
    np.testing.assert_array_equal(op(name)(a.t(), b.t()).numpy(), want.numpy())
    row = tnn.tensor(y[0]).expand(4, 3)
    np.testing.assert_array_equal(op(name)(a, row).numpy(), op(name)(a, row.contiguous()).numpy())
    np.testing.assert_array_equal(
        op(name)(row.abs(), row).numpy(), op(name)(row.contiguous().abs(), row.contiguous()).numpy()
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name):
    x, y = operands(name, (2, 3), (3,))
    a, b = tnn.tensor(x, requires_grad=True), tnn.tensor(y, requires_grad=True)
    assert gradcheck(op(name), (a, b))
    assert gradgradcheck(op(name), (a, b))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "remainder", "fmod", "pow", "copysign", "xlogy"])
def test_numbers_and_their_gradients(name):
    x, y = operands(name, (2, 3), (2, 3))
    reference = FLOAT[name][0]
    a = tnn.tensor(x, requires_grad=True)
    np.testing.assert_allclose(op(name)(a, 1.5).detach().numpy(), reference(x, 1.5), rtol=1e-14)
    assert gradcheck(lambda t: op(name)(t, 1.5), (a,))
    assert gradgradcheck(lambda t: op(name)(t, 1.5), (a,))
    b = tnn.tensor(y, requires_grad=True)
    if name in ("fmod", "copysign"):
        with pytest.raises(TypeError, match="'input'"):
            op(name)(1.5, b)
        return
    np.testing.assert_allclose(op(name)(1.5, b).detach().numpy(), reference(1.5, y), rtol=1e-14)
    assert gradcheck(lambda t: op(name)(1.5, t), (b,))
    assert gradgradcheck(lambda t: op(name)(1.5, t), (b,))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 0.5, -0.5, -1, -2, 2.5])
def test_pow_with_a_number(exponent):
    x = np.array([0.5, 1.0, 2.0])
    a = tnn.tensor(x, requires_grad=True)
    np.testing.assert_allclose((a**exponent).detach().numpy(), x**exponent, rtol=1e-15)
    assert gradcheck(lambda t: t**exponent, (a,)) and gradgradcheck(lambda t: t**exponent, (a,))


def test_pow_gradients_at_zero():
    a = tnn.tensor([0.0, 0.0, 2.0], requires_grad=True)
    b = tnn.tensor([0.0, 2.0, 0.0], requires_grad=True)
    (a**b).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [0, 0, 0])
    np.testing.assert_allclose(b.grad.numpy(), [0, 0, math.log(2)], rtol=1e-6)


@pytest.mark.parametrize("name", TENSORS_ONLY)
def test_operations_on_tensors_only(name):
    x = tnn.ones(2)
    with pytest.raises(TypeError, match="'other'"):
        op(name)(x, 2.0)
    with pytest.raises(TypeError, match="'input'"):
        op(name)(2.0, x)


def test_alpha_and_rounding():
    x, y = np.array([7.0, -7.0, 6.0]), np.array([2.0, 2.0, -4.0])
    a, b = tnn.tensor(x, requires_grad=True), tnn.tensor(y, requires_grad=True)
    np.testing.assert_array_equal(tnn.add(a, b, alpha=3).detach().numpy(), x + 3 * y)
    np.testing.assert_array_equal(tnn.sub(a, b, alpha=3).detach().numpy(), x - 3 * y)
    np.testing.assert_array_equal(tnn.rsub(a, b, alpha=3).detach().numpy(), y - 3 * x)
    np.testing.assert_array_equal(tnn.rsub(a, 1.0).detach().numpy(), 1 - x)
    assert gradcheck(lambda s, t: tnn.add(s, t, alpha=3), (a, b)) and gradcheck(
        lambda s, t: tnn.sub(s, t, alpha=3), (a, b)
    )
    np.testing.assert_array_equal(tnn.div(a, b, rounding_mode="floor").detach().numpy(), [3, -4, -2])
    out = tnn.div(a, b, rounding_mode="trunc")
    np.testing.assert_array_equal(out.detach().numpy(), [3, -3, -1])
    out.sum().backward()
    assert not a.grad.any() and not b.grad.any()
    i = tnn.tensor([7, -7, 6])
    assert tnn.div(i, 4, rounding_mode="trunc").tolist() == [1, -1, 1]
    assert tnn.div(i, 4, rounding_mode="floor").tolist() == [1, -2, 1]
    with pytest.raises(RuntimeError, match="rounding_mode"):
        tnn.div(a, b, rounding_mode="up")
    with pytest.raises(RuntimeError, match="alpha"):
        tnn.add(i, i, alpha=0.5)
    with pytest.raises(TypeError, match="alpha"):
        tnn.add(i, i, alpha="a")


def test_type_promotion():
    half, single, double = tnn.ones(2, dtype=tnn.float16), tnn.ones(2), tnn.ones(2, dtype=tnn.float64)
    brain, small, long, byte, flag = (
        tnn.ones(2, dtype=d) for d in (tnn.bfloat16, tnn.int8, tnn.int64, tnn.uint8, tnn.bool)
    )
    zero = tnn.tensor(1.0, dtype=tnn.float64)
    assert (single + double).dtype is tnn.float64
    assert (single + zero).dtype is tnn.float32
    assert (half + brain).dtype is tnn.float32
    assert (half * long).dtype is tnn.float16
    assert (small + byte).dtype is tnn.int16
    assert (flag + 1).dtype is tnn.int64
    assert (flag + flag).tolist() == [True, True]
    assert (small + 1.5).dtype is tnn.float32
    assert (small + 1000).tolist() == [-23, -23]
    assert (long / 2).dtype is tnn.float32
    assert (long * zero).dtype is tnn.float64
    assert (2**long).dtype is tnn.int64
    assert tnn.result_type(single, double) is tnn.float64 and tnn.result_type(small, 1.0) is tnn.float32
    assert tnn.maximum(long, small).dtype is tnn.int64
    for value in (1.0, np.float64(1.0)):
        assert (single + value).dtype is tnn.float32
    with pytest.raises(RuntimeError, match="bool"):
        flag - flag


def test_half_precision_is_rounded_once():
    x = tnn.tensor([1.0, 3.0, 1e-3]).bfloat16().requires_grad_()
    y = (x * 3.0 + 1.0) / x
    assert y.dtype is tnn.bfloat16
    y.sum().backward()
    assert x.grad.dtype is tnn.bfloat16
    exact = (x.detach().float() * 1.3).bfloat16()
    assert (x.detach() * 1.3).tolist() == exact.tolist()


def test_gradients_of_mixed_types():
    a = tnn.ones(2, 3, requires_grad=True)
    b = tnn.full((3,), 2.0, dtype=tnn.float64, requires_grad=True)
    (a * b).sum().backward()
    assert a.grad.dtype is tnn.float32 and b.grad.dtype is tnn.float64
    assert a.grad.tolist() == [[2.0] * 3] * 2 and b.grad.tolist() == [2.0] * 3


def test_integers():
    x, y = np.array([7, -7, 6, -6]), np.array([2, 2, -4, -4])
    a, b = tnn.tensor(x), tnn.tensor(y)
    assert (a // b).tolist() == (x // y).tolist() and (a % b).tolist() == (x % y).tolist()
    assert tnn.fmod(a, b).tolist() == [1, -1, 2, -2]
    assert (a**2).tolist() == [49, 49, 36, 36]
    assert tnn.tensor([2, 1, -1, -1]).pow(tnn.tensor([-1, -1, -1, -2])).tolist() == [0, 1, -1, 1]
    assert tnn.gcd(a, b).tolist() == [1, 1, 2, 2] and tnn.lcm(a, b).tolist() == [14, 14, 12, 12]
    assert tnn.heaviside(a, b).tolist() == [1, 0, 1, 0]
    for divide in (tnn.floor_divide, tnn.remainder, tnn.fmod):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            divide(a, 0)
    with pytest.raises(RuntimeError, match="negative integer powers"):
        a**-1
    with pytest.raises(NotImplementedError, match="hypot"):
        tnn.hypot(a, b)
    with pytest.raises(NotImplementedError, match="gcd"):
        tnn.gcd(tnn.ones(2), tnn.ones(2))


def test_operators():
    x = np.array([1.0, -2.0, 3.5])
    t = tnn.tensor(x)
    pairs = [
        (t + 2, x + 2), (2 + t, 2 + x), (t - 2, x - 2), (2 - t, 2 - x), (t * 2, x * 2), (2 * t, 2 * x), (t / 2, x / 2),
        (2 / t, 2 / x), (t // 2, x // 2), (7 // t, 7 // x), (t % 2, x % 2), (7 % t, 7 % x), (t**2, x**2), (2**t, 2**x),
        (-t, -x), (+t, x), (abs(t), abs(x)),
    ]  # fmt: skip
    for got, want in pairs:
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-15)
    for bad in ("a", None, [1.0, 2.0, 3.0]):
        with pytest.raises(TypeError):
            t + bad
    with pytest.raises(TypeError):
        t += "a"


def test_in_place():
    x = tnn.tensor([1.0, 2.0])
    same = x
    x += 1
    x *= tnn.tensor([2.0, 3.0])
    x -= 1
    x /= 2
    x **= 2
    x //= 1
    x %= 3
    assert same is x and x.tolist() == [2.0, 1.0]
    assert x.add_(x, alpha=2) is x and x.tolist() == [6.0, 3.0]
    with pytest.raises(RuntimeError, match="broadcast shape"):
        x.add_(tnn.ones(2, 2))
    with pytest.raises(RuntimeError, match="can't be cast"):
        tnn.tensor([1, 2]).div_(2)


def test_in_place_keeps_what_backward_needs():
    a = tnn.tensor([1.0, 2.0], dtype=tnn.float64, requires_grad=True)
    b = tnn.tensor([3.0, 4.0], dtype=tnn.float64, requires_grad=True)

    def chain(a, b):
        y = a * 1.0
        y.mul_(b)
        y.pow_(2)
        y.sin_()
        return y

    assert gradcheck(chain, (a, b)) and gradgradcheck(chain, (a, b))


def test_out():
    x, y = tnn.tensor([1.0, 2.0]), tnn.tensor([3.0, 4.0])
    out = tnn.empty(0)
    assert tnn.add(x, y, out=out) is out and out.tolist() == [4.0, 6.0]
    assert tnn.pow(x, 2, out=out).tolist() == [1.0, 4.0]
    with pytest.raises(RuntimeError, match="can't be cast"):
        tnn.add(x, y, out=tnn.empty(2, dtype=tnn.int64))


def test_shapes_that_do_not_broadcast():
    with pytest.raises(RuntimeError, match=r"\(3\).*\(4\).*dimension 1: shapes \[2, 3\], \[4\]"):
        tnn.ones(2, 3) + tnn.ones(4)
    with pytest.raises(RuntimeError, match="must match"):
        tnn.ones(2, 3, dtype=tnn.int64) * tnn.ones(4, dtype=tnn.int64)


def test_a_derivative_that_is_missing_names_itself():
    x = tnn.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="HeavisideBackward0"):
        tnn.heaviside(x, x).sum().backward()
    with pytest.raises(RuntimeError, match="IgammaBackward0"):
        tnn.igamma(x, x.detach()).sum().backward()


def test_incomplete_gamma():
    a, x = np.array([0.5, 1.0, 3.0, 10.0]), np.array([0.3, 2.0, 2.5, 14.0])
    lower = tnn.igamma(tnn.tensor(a), tnn.tensor(x)).numpy()
    # P(1/2, x) = erf(sqrt(x)); P(1, x) = 1 - e^-x; P(n, x) = 1 - e^-x sum x^k / k!
    want = [math.erf(math.sqrt(0.3)), 1 - math.exp(-2)]
    want += [1 - math.exp(-x) * sum(x**k / math.factorial(k) for k in range(n)) for n, x in ((3, 2.5), (10, 14.0))]
    np.testing.assert_allclose(lower, want, rtol=1e-13)
    np.testing.assert_allclose(tnn.igammac(tnn.tensor(a), tnn.tensor(x)).numpy(), 1 - lower, rtol=1e-12)
    t = tnn.tensor(x, requires_grad=True)
    for function in (tnn.igamma, tnn.igammac):
        assert gradcheck(lambda t, f=function: f(tnn.tensor(a), t), (t,))


def test_nan_and_infinity():
    nan, inf = math.nan, math.inf
    x, y = tnn.tensor([nan, 1.0, inf, -inf]), tnn.tensor([1.0, nan, inf, -inf])
    np.testing.assert_array_equal(tnn.maximum(x, y).numpy(), [nan, nan, inf, -inf])
    np.testing.assert_array_equal(tnn.fmin(x, y).numpy(), [1, 1, inf, -inf])
    np.testing.assert_array_equal(tnn.logaddexp(x, y).numpy(), [nan, nan, inf, -inf])
    np.testing.assert_array_equal((x - y).numpy(), [nan, nan, nan, nan])


def test_two_numbers():
    # PyTorch 2.13 takes them for the arithmetic of the operators alone
    made = [tnn.add(2, 3), tnn.sub(2.0, 3), tnn.mul(2, 3), tnn.div(2, 4), tnn.floor_divide(7, 2)]
    made.append(tnn.add(1, 2, alpha=3))
    assert [t.item() for t in made] == [5, -1.0, 6, 0.5, 3, 7] and made[0].dtype is tnn.int64
    for op in (tnn.pow, tnn.remainder, tnn.fmod, tnn.maximum, tnn.eq):
        with pytest.raises(TypeError):
            op(2, 3)


@pytest.mark.parametrize("name", ["gcd", "lcm", "nextafter", "isclose", "ldexp"])
def test_operands_that_must_be_tensors(name):
    x = tnn.tensor([1, 2])
    for operands in ((x, 2), (2, x)):
        with pytest.raises(TypeError, match="must be Tensor, not int"):
            getattr(tnn, name)(*operands)
    with pytest.raises(TypeError, match="must be Tensor"):
        tnn.rsub(2, x)


def test_float_power_in_place():
    x = tnn.tensor([2.0, 3.0], dtype=tnn.float64)
    assert x.float_power_(2).tolist() == [4.0, 9.0]
    with pytest.raises(RuntimeError, match="dtype"):
        tnn.ones(2).float_power_(2)


def test_heaviside_by_keyword():
    assert tnn.heaviside(tnn.tensor([-1.0, 0.0, 2.0]), values=tnn.tensor(0.5)).tolist() == [0.0, 0.5, 1.0]


def test_nextafter_gradient():
    a = tnn.tensor([0.0, 1.0, 1.0], dtype=tnn.float64, requires_grad=True)
    tnn.nextafter(a, tnn.tensor([0.0, 1.0, 2.0], dtype=tnn.float64)).sum().backward()
    assert a.grad.tolist() == [0.0, 0.0, 1.0]


def test_out_of_no_elements_and_of_half_precision():
    out = tnn.full((0, 3), 1.0)
    assert tnn.cosh(tnn.zeros(0, 3), out=out) is out
    for dtype in (tnn.float16, tnn.bfloat16):
        out, m = tnn.zeros(2, 2, dtype=dtype), tnn.eye(2, dtype=dtype)
        assert tnn.mm(m, m, out=out) is out and out.tolist() == [[1.0, 0.0], [0.0, 1.0]]
        assert tnn.addmm(m, m, m, out=out) is out and out.tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_numpys_arrays_beside_tensors():
    # PyTorch's results: NumPy computes, and the result is a tensor again
    t, n, i = tnn.tensor([1.0, 2.0]), np.array([3.0, 4.0]), tnn.tensor([1, 2])
    for got, want in (
        (t + n, [4.0, 6.0]), (t * n, [3.0, 8.0]), (t - n, [-2.0, -2.0]), (t / n, [1 / 3, 0.5]), (t**n, [1.0, 16.0]),
        (n / t, [3.0, 2.0]), (t @ n, 11.0), (np.exp(i), np.exp([1.0, 2.0]).tolist()), (np.maximum(t, n), [3.0, 4.0]),
    ):  # fmt: skip
        assert isinstance(got, tnn.Tensor) and got.dtype is tnn.float64
        np.testing.assert_allclose(got.tolist(), want)
    assert np.add(t, 1).tolist() == [2.0, 3.0] and np.add(t, 1).dtype is tnn.float32
    assert np.greater(t, 1).tolist() == [0, 1] and np.isnan(t).dtype is tnn.uint8
    assert (t == n).tolist() == (n == t).tolist() == [False, False] and (t != n).dtype is tnn.bool
    for scalar in (np.int64(3), np.int8(3), np.uint64(3)):
        assert (i * scalar).tolist() == (scalar * i).tolist() == [3, 6] and (i * scalar).dtype is tnn.int64
    for bad in (lambda: n + t, lambda: n * t, lambda: n - t, lambda: n**t, lambda: n @ t, lambda: t > n, lambda: t @ 3):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sin(t.requires_grad_())


def positive(*shape, dtype):
    return tnn.rand(*shape, dtype=dtype) + 0.5


def same(a, b):
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64], ids=str)
def test_operands_with_gaps(dtype):
    x = positive(40, 3, 64, dtype=dtype)
    y = positive(80, 3, 128, dtype=dtype)
    mask = tnn.rand(40, 3, 80) < 0.5
    parts = lambda t: t[:40, :, :64], lambda t: t[::2, :, 64:], lambda t: t[:40, :1, 1:65], lambda t: t[0, :, :64]
    for part in parts:
        d = part(y).contiguous()
        for first, second in ((x, part(y)), (part(y), x)):
            for op in (tnn.add, tnn.mul, tnn.atan2, tnn.fmod, tnn.lt):
                same(op(first, second), op(first.contiguous(), second.contiguous()))
        same(tnn.exp(part(y)), tnn.exp(d))
        same(part(y) * 2.0, d * 2.0)
        same(tnn.addcmul(x, part(y), x), tnn.addcmul(x, d, x))
        same(tnn.where(mask[..., 16:], part(y), x), tnn.where(mask[..., 16:].contiguous(), d, x))
    for wide in (x[:, :, :1].expand(40, 3, 64), x[:1].expand(40, 3, 64), x[0, 0, 0].expand(40, 3, 64)):
        d = wide.contiguous()
        same(tnn.exp(wide), tnn.exp(d))
        same(wide * 3.0, d * 3.0)
        same(wide.fmod(0.3), d.fmod(0.3))
        same(wide + x, d + x)
    turned = y.permute(2, 0, 1)[:64]
    same(turned + turned, (turned.contiguous() + turned.contiguous()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders(dtype):
    rng = np.random.default_rng(0)
    edges = [0.0, -0.0, 1.0, -1.0, 5.0, -5.0, 6.0, -6.0, 7.5, np.inf, -np.inf, np.nan, 1e30, -3e-38]
    a = np.array([*rng.standard_normal(3000) * 10 ** rng.uniform(-3, 3, 3000), *edges], dtype)
    b = np.array([*rng.standard_normal(3000) * 10 ** rng.uniform(-3, 3, 3000), *np.resize([3.0, -3, 2.5], 14)], dtype)
    a[:500], b[:500] = rng.integers(-50, 50, 500), rng.integers(1, 9, 500)
    b_with_all = np.concatenate([b, [0.0, np.inf, -np.inf, np.nan]]).astype(dtype)
    a_with_all = np.concatenate([a, [2.0, 2.0, -2.0, 2.0]]).astype(dtype)
    numbers = (a[:3000], dtype(2.5)), (dtype(7.3), b[:3000])
    for x, y in ((a[:3000], b[:3000]), (a, b), (a_with_all, b_with_all), *numbers):
        with np.errstate(all="ignore"):
            expected = np.fmod(x, y)
            signed = np.where((expected != 0) & ((expected < 0) != (y < 0)), expected + y, expected).astype(dtype)
        first, second = (tnn.from_numpy(v) if isinstance(v, np.ndarray) else float(v) for v in (x, y))
        for op, wanted in ((tnn.fmod, expected), (tnn.remainder, signed)):
            if op is tnn.fmod and not isinstance(first, tnn.Tensor):
                continue
            got = op(first, second).numpy()
            np.testing.assert_array_equal(got, wanted)
            assert (np.signbit(got) == np.signbit(wanted))[~np.isnan(wanted)].all()
    whole = tnn.from_numpy(a[:500]) // tnn.from_numpy(b[:500])
    np.testing.assert_array_equal(whole.numpy(), np.floor_divide(a[:500].astype(np.int64), b[:500].astype(np.int64)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours(dtype):
    info = np.finfo(dtype)
    edges = [0.0, -0.0, 1, -1, 1.5, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, -3e5]
    x, y = (v.reshape(-1).copy() for v in np.meshgrid(np.array(edges, dtype), np.array(edges, dtype)))
    with np.errstate(over="ignore"):
        wanted = np.nextafter(x, y)
    got = tnn.nextafter(tnn.from_numpy(x), tnn.from_numpy(y)).numpy()
    np.testing.assert_array_equal(got, wanted)
    assert (np.signbit(got) == np.signbit(wanted))[~np.isnan(wanted)].all()


INTEGERS = {
    "add": np.add, "mul": np.multiply, "sub": np.subtract, "maximum": np.maximum, "minimum": np.minimum,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "ge": np.greater_equal, "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("name", INTEGERS)
def test_many_integers(name, dtype):
    """So many that kernels take the place of NumPy."""
    if dtype is np.bool_ and name == "sub":
        return
    rng = np.random.default_rng(0)
    high = 2 if dtype is np.bool_ else 200
    a, b = (rng.integers(0, high, (200, 300)).astype(dtype) for _ in range(2))
    x = tnn.from_numpy(a)
    for other in (b, b[0], b[:, :1], b[:1, :1]):
        expected, y = INTEGERS[name](a, other), tnn.from_numpy(np.ascontiguousarray(other))
        got = getattr(tnn, name)(x, y).numpy()
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
        if expected.dtype == dtype and hasattr(x, name + "_"):
            np.testing.assert_array_equal(getattr(x.clone(), name + "_")(y).numpy(), expected)
    if dtype is not np.bool_ and name in ("add", "mul", "eq", "lt"):
        np.testing.assert_array_equal(getattr(tnn, name)(x, 3).numpy(), INTEGERS[name](a, dtype(3)))


def test_many_clamped_integers():
    for dtype in (tnn.int64, tnn.int32, tnn.uint8):
        x = tnn.randint(0, 100, (200, 300), dtype=dtype)
        expected = x.numpy().clip(10, 50)
        same(x.clamp(10, 50), tnn.from_numpy(expected))
        same(x.clone().clamp_(10, 50), tnn.from_numpy(expected))
        same(x.t().clamp(10, 50), tnn.from_numpy(expected.T))
        same(x.clamp(50, 10), tnn.full_like(x, 10))
        low = tnn.randint(0, 50, (300,), dtype=dtype)
        same(x.clamp(low, low + 20), tnn.from_numpy(x.numpy().clip(low.numpy(), low.numpy() + 20)))
        same(x.clamp(max=7), tnn.from_numpy(x.numpy().clip(None, 7)))


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_many_integers_of_one_operand(dtype):
    x = tnn.randint(0, 100, (200, 300), dtype=getattr(tnn, dtype)) - 50
    x[0, 0] = np.iinfo(dtype).min
    for turn in (lambda x: x, lambda x: x.t(), lambda x: x[:, ::2]):
        a = turn(x).numpy()
        np.testing.assert_array_equal(turn(x).abs().numpy(), np.abs(a))
        np.testing.assert_array_equal((-turn(x)).numpy(), np.negative(a))
        np.testing.assert_array_equal((turn(x) - turn(x).flip(0)).numpy(), np.subtract(a, a[::-1]))
        assert (-turn(x)).dtype is x.dtype


def test_bools_in_place():
    a, b = (np.random.default_rng(i).random((20, 30)) < 0.5 for i in range(2))
    for name, function in (("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("ge", np.greater_equal)):
        for other in (b, b[0], b[:, :1]):
            x = tnn.tensor(a)
            assert getattr(x, name + "_")(tnn.tensor(other)) is x
            np.testing.assert_array_equal(x.numpy(), function(a, other))
    x = tnn.tensor(a)
    assert x.logical_not_() is x and tnn.equal(x, tnn.tensor(~a))
    with pytest.raises(RuntimeError, match="single memory location"):
        tnn.tensor([True]).expand(3).logical_not_()
    y = tnn.tensor([1.5, 0.0]).logical_not_()
    assert y.dtype is tnn.float32 and y.tolist() == [0.0, 1.0]


KINDS = ("float32", "float64", "int64", "int32", "uint8", "bool")


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_many_converted(source, target):
    rng = np.random.default_rng(0)
    a = (rng.random((130, 300)) * 100).astype(source)
    if source in ("float32", "float64") and target != "uint8":
        a[::2] *= -1
    a[0] = 0
    wanted, x = a.astype(target), tnn.from_numpy(a)
    np.testing.assert_array_equal(x.to(getattr(tnn, target)).numpy(), wanted)
    np.testing.assert_array_equal(x.T.to(getattr(tnn, target)).numpy(), wanted.T)
    np.testing.assert_array_equal(x[:, ::2].to(getattr(tnn, target)).numpy(), wanted[:, ::2])
