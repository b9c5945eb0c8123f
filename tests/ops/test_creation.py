"""Making tensors: values, inferred dtypes, sharing of memory, errors."""

import math

import ml_dtypes
import naive
import numpy as np
import pytest

import tnn

# (call, shape, dtype, elements): dtypes and values are PyTorch 2.13's.
MADE = [
    (lambda: tnn.tensor(1.5), (), tnn.float32, [1.5]),
    (lambda: tnn.tensor([True, 2]), (2,), tnn.int64, [1, 2]),
    (lambda: tnn.tensor([1, 2.5]), (2,), tnn.float32, [1, 2.5]),
    (lambda: tnn.tensor([[1, 2], [3, 4]], dtype=tnn.bfloat16), (2, 2), tnn.bfloat16, [1, 2, 3, 4]),
    (lambda: tnn.tensor([]), (0,), tnn.float32, []),
    (lambda: tnn.tensor([[], []]), (2, 0), tnn.float32, []),
    (lambda: tnn.tensor(range(3)), (3,), tnn.int64, [0, 1, 2]),
    (lambda: tnn.tensor(np.float64(2)), (), tnn.float64, [2]),
    (lambda: tnn.tensor([np.float64(1), 2]), (2,), tnn.float64, [1, 2]),
    (lambda: tnn.tensor([np.float32(1), 2]), (2,), tnn.float32, [1, 2]),
    (lambda: tnn.tensor(np.array(3, np.int32)), (), tnn.int32, [3]),
    (lambda: tnn.tensor([np.array([1.0, 2.0]), np.array([3.0, 4.0])]), (2, 2), tnn.float64, [1, 2, 3, 4]),
    (lambda: tnn.tensor([tnn.tensor(1), tnn.tensor(2.5)]), (2,), tnn.float32, [1, 2.5]),
    (lambda: tnn.tensor(np.array([1, 2], ml_dtypes.bfloat16)), (2,), tnn.bfloat16, [1, 2]),
    (lambda: tnn.tensor(-1, dtype=tnn.uint8), (), tnn.uint8, [255]),
    (lambda: tnn.tensor(1.7, dtype=tnn.int64), (), tnn.int64, [1]),
    (lambda: tnn.tensor([1.5], dtype=float), (1,), tnn.float64, [1.5]),
    (lambda: tnn.tensor([1.0, 2**70]), (2,), tnn.float32, [1, 2.0**70]),
    (lambda: tnn.tensor([0.5, 0], dtype=tnn.bool), (2,), tnn.bool, [1, 0]),
    (lambda: tnn.tensor(bytearray(b"ab")), (2,), tnn.int64, [97, 98]),
    (lambda: tnn.as_tensor([1.5], dtype=tnn.float64), (1,), tnn.float64, [1.5]),
    (lambda: tnn.asarray(np.array([1.0])), (1,), tnn.float64, [1]),
    (lambda: tnn.scalar_tensor(3), (), tnn.float32, [3]),
    (lambda: tnn.zeros(2, 3, dtype=tnn.int32), (2, 3), tnn.int32, [0] * 6),
    (lambda: tnn.zeros([]), (), tnn.float32, [0]),
    (lambda: tnn.zeros((2, 0)), (2, 0), tnn.float32, []),
    (lambda: tnn.ones(size=(2,)), (2,), tnn.float32, [1, 1]),
    (lambda: tnn.ones(tnn.tensor(2), 1, dtype=tnn.bool), (2, 1), tnn.bool, [1, 1]),
    (lambda: tnn.full((2,), 3), (2,), tnn.int64, [3, 3]),
    (lambda: tnn.full((2,), True), (2,), tnn.bool, [1, 1]),
    (lambda: tnn.full((), 5.5), (), tnn.float32, [5.5]),
    (lambda: tnn.full((1,), tnn.tensor(3.0)), (1,), tnn.float32, [3]),
    (lambda: tnn.full((1,), math.inf, dtype=tnn.float16), (1,), tnn.float16, [math.inf]),
    (lambda: tnn.zeros_like(tnn.ones(2, dtype=tnn.int8)), (2,), tnn.int8, [0, 0]),
    (lambda: tnn.ones_like(tnn.tensor([1, 2]), dtype=tnn.float32), (2,), tnn.float32, [1, 1]),
    (lambda: tnn.full_like(tnn.tensor([1, 2]), 2.5), (2,), tnn.int64, [2, 2]),
    (lambda: tnn.arange(5), (5,), tnn.int64, range(5)),
    (lambda: tnn.arange(3.0), (3,), tnn.float32, [0, 1, 2]),
    (lambda: tnn.arange(5, 1, -2), (2,), tnn.int64, [5, 3]),
    (lambda: tnn.arange(1, 2, 0.25), (4,), tnn.float32, [1, 1.25, 1.5, 1.75]),
    (lambda: tnn.arange(0.5, 3.5, dtype=tnn.int64), (3,), tnn.int64, [0, 1, 2]),
    (lambda: tnn.arange(start=1, end=3), (2,), tnn.int64, [1, 2]),
    (lambda: tnn.arange(tnn.tensor(3)), (3,), tnn.int64, [0, 1, 2]),
    (lambda: tnn.arange(0), (0,), tnn.int64, []),
    (lambda: tnn.range(1, 4), (4,), tnn.float32, [1, 2, 3, 4]),
    (lambda: tnn.linspace(0, 1, 5), (5,), tnn.float32, [0, 0.25, 0.5, 0.75, 1]),
    (lambda: tnn.linspace(0, 10, 4, dtype=tnn.int64), (4,), tnn.int64, [0, 3, 6, 10]),
    (lambda: tnn.linspace(3, 4, 1), (1,), tnn.float32, [3]),
    (lambda: tnn.linspace(3, 4, 0), (0,), tnn.float32, []),
    (lambda: tnn.logspace(0, 2, 3), (3,), tnn.float32, [1, 10, 100]),
    (lambda: tnn.logspace(0, 2, 5, base=2, dtype=tnn.int64), (5,), tnn.int64, [1, 1, 2, 2, 4]),
    (lambda: tnn.eye(2, 3, dtype=tnn.int32), (2, 3), tnn.int32, [1, 0, 0, 0, 1, 0]),
    (lambda: tnn.eye(2), (2, 2), tnn.float32, [1, 0, 0, 1]),
    (lambda: tnn.tril_indices(2, 3, 1), (2, 5), tnn.int64, [0, 0, 1, 1, 1, 0, 1, 0, 1, 2]),
    (lambda: tnn.triu_indices(2, 3, 1), (2, 3), tnn.int64, [0, 0, 1, 1, 2, 2]),
    (lambda: tnn.frombuffer(b"abc", dtype=tnn.uint8, offset=1), (2,), tnn.uint8, [98, 99]),
    (lambda: tnn.zeros(1).new_tensor([1, 2]), (2,), tnn.float32, [1, 2]),
    (lambda: tnn.zeros(1).new_tensor(np.array([1, 2])), (2,), tnn.int64, [1, 2]),
    (lambda: tnn.zeros(1, dtype=tnn.int64).new_full((2,), 3.7), (2,), tnn.int64, [3, 3]),
    (lambda: tnn.zeros(1, dtype=tnn.int8).new_zeros(1, 2), (1, 2), tnn.int8, [0, 0]),
    (lambda: tnn.zeros(1).new_ones((2,), dtype=tnn.int64), (2,), tnn.int64, [1, 1]),
    (lambda: tnn.zeros(1).new([3, 4]), (2,), tnn.float32, [3, 4]),
    (lambda: tnn.zeros(1).new(), (0,), tnn.float32, []),
]


@pytest.mark.parametrize("i", range(len(MADE)))
def test_made(i):
    call, shape, dtype, values = MADE[i]
    t = call()
    assert (t.shape, t.dtype) == (shape, dtype)
    assert t.numpy().astype(float).reshape(-1).tolist() == list(map(float, values))
    assert t.is_contiguous() and not t.requires_grad


ERRORS = [
    (ValueError, "length 2 at dim 1", lambda: tnn.tensor([[1, 2], [3]])),
    (ValueError, "only one element", lambda: tnn.tensor([tnn.ones(2), tnn.ones(2)])),
    (ValueError, "too large for int64", lambda: tnn.tensor([2**63])),
    (TypeError, "'str'", lambda: tnn.tensor("a")),
    (TypeError, "where a number", lambda: tnn.tensor((1, (2,)))),
    (TypeError, "complex", lambda: tnn.tensor(1j)),
    (RuntimeError, "NoneType", lambda: tnn.tensor([None])),
    (RuntimeError, "int32 without overflow", lambda: tnn.tensor(2**40, dtype=tnn.int32)),
    (RuntimeError, "uint8 without overflow", lambda: tnn.tensor([300], dtype=tnn.uint8)),
    (RuntimeError, "int64 without overflow", lambda: tnn.tensor(math.nan, dtype=tnn.int64)),
    (RuntimeError, "floating point", lambda: tnn.tensor([1], requires_grad=True)),
    (RuntimeError, "non-negative, but got -1", lambda: tnn.zeros(2, -1)),
    (TypeError, "'size'.*float", lambda: tnn.zeros(2.5)),
    (TypeError, "missing", lambda: tnn.ones()),
    (TypeError, "'sizes'", lambda: tnn.zeros(2, sizes=3)),
    (TypeError, "not int", lambda: tnn.full(2, 3)),
    (TypeError, "number", lambda: tnn.full((2,), "a")),
    (TypeError, "must be Tensor", lambda: tnn.zeros_like(3)),
    (RuntimeError, "runs on the CPU", lambda: tnn.zeros(2, device="cuda")),
    (RuntimeError, "does not match dtype of out", lambda: tnn.zeros(2, out=tnn.zeros(2), dtype=tnn.int64)),
    (RuntimeError, "step must be nonzero", lambda: tnn.arange(0, 5, 0)),
    (RuntimeError, "inconsistent with step", lambda: tnn.arange(5, 1)),
    (RuntimeError, "unsupported range", lambda: tnn.arange(0, math.inf)),
    (NotImplementedError, "Bool", lambda: tnn.arange(3, dtype=tnn.bool)),
    (TypeError, "arange", lambda: tnn.arange()),
    (TypeError, "arange", lambda: tnn.arange(1, 2, 3, 4)),
    (RuntimeError, "non-negative", lambda: tnn.linspace(0, 1, -1)),
    (TypeError, "'steps'", lambda: tnn.linspace(0, 1, 2.5)),
    (RuntimeError, "m must be", lambda: tnn.eye(2, -1)),
    (RuntimeError, "row must be", lambda: tnn.tril_indices(-1, 2)),
    (RuntimeError, "strides and shape", lambda: tnn.empty_strided((2, 3), (1,))),
    (TypeError, "expected np.ndarray", lambda: tnn.from_numpy([1])),
    (TypeError, "can't convert", lambda: tnn.from_numpy(np.array(["a"]))),
    (ValueError, "stride.*negative", lambda: tnn.from_numpy(np.arange(3)[::-1])),
    (ValueError, "byte order", lambda: tnn.from_numpy(np.arange(3, dtype=">i4"))),
    (ValueError, "copy=False", lambda: tnn.asarray([1, 2], copy=False)),
]


@pytest.mark.parametrize(("error", "message", "call"), ERRORS)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call()


def test_tensor_copies_and_the_others_share():
    a = np.zeros(3, np.float32)
    for share in (tnn.from_numpy, tnn.as_tensor, tnn.asarray, tnn.from_dlpack):
        t = share(a)
        a[0] += 1
        assert t.numpy()[0] == a[0], share
    t = tnn.tensor(a)
    a[0] += 1
    assert t.numpy()[0] != a[0]
    assert tnn.as_tensor(t) is t and tnn.as_tensor(t, dtype=tnn.float64) is not t
    assert tnn.asarray(a, copy=True).data_ptr() != a.ctypes.data


def test_an_array_that_cannot_be_written_is_copied():
    a = np.zeros(3)
    a.flags.writeable = False
    t = tnn.from_numpy(a)
    t.uniform_(1, 2)
    assert (a == 0).all() and t.numpy().min() >= 1


def test_a_tensor_of_a_tensor_is_a_leaf_of_its_own():
    x = tnn.ones(2, requires_grad=True)
    y = tnn.tensor(x)
    assert not y.requires_grad and y.data_ptr() != x.data_ptr()


def test_default_dtype():
    tnn.set_default_dtype(tnn.float64)
    try:
        made = [tnn.tensor(1.5), tnn.zeros(1), tnn.arange(2.0), tnn.full((1,), 2.0), tnn.eye(1), tnn.rand(1)]
        assert {t.dtype for t in made} == {tnn.float64}
    finally:
        tnn.set_default_dtype(tnn.float32)


def test_requires_grad():
    for t in (tnn.tensor([1.0], requires_grad=True), tnn.zeros(1, requires_grad=True), tnn.eye(2, requires_grad=True)):
        assert t.requires_grad and t.is_leaf


def test_like_keeps_the_order_in_memory():
    x = tnn.zeros(2, 3, 4).permute(2, 0, 1)
    assert tnn.empty_like(x).stride() == x.stride() == (1, 12, 4)
    assert tnn.zeros_like(x, memory_format=tnn.contiguous_format).is_contiguous()
    assert tnn.ones_like(tnn.zeros(3).expand(2, 3)).numpy().tolist() == [[1, 1, 1], [1, 1, 1]]


def test_out():
    out = tnn.empty(0, dtype=tnn.float64)
    assert tnn.arange(3, out=out) is out and out.tolist() == [0, 1, 2]
    assert tnn.eye(2, out=tnn.zeros(3)).shape == (2, 2)


def test_empty_strided():
    t = tnn.empty_strided((2, 3), (1, 2))
    assert t.stride() == (1, 2) and t.shape == (2, 3)
    assert tnn.empty_strided((0, 3), (1, 2)).numel() == 0


def test_linspace_meets_both_ends():
    x = tnn.linspace(-0.1, 0.3, 101).numpy()
    assert x[0] == np.float32(-0.1) and x[-1] == np.float32(0.3)
    np.testing.assert_allclose(x, np.linspace(-0.1, 0.3, 101), rtol=0, atol=3e-8)


def test_the_bits_of_fractional_ranges():
    """PyTorch's: one rounding for the product and the sum, and in long ranges of float32 another every 8."""
    made = (
        tnn.arange(-1, 1, 0.1)[8:11], tnn.arange(-1, 1, 0.1, dtype=tnn.float64)[9:12],
        tnn.linspace(-1, 1, 7)[1:4], tnn.linspace(-3.3, 9.1, 5, dtype=tnn.float64)[:3],
    )  # fmt: skip
    bits = (
        ["-0x1.99999a0000000p-3", "-0x1.99999a0000000p-4", "-0x1.99999a0000000p-29"],
        ["-0x1.9999999999996p-4", "0x1.0000000000000p-54", "0x1.999999999999ep-4"],
        ["-0x1.5555540000000p-1", "-0x1.5555540000000p-2", "-0x1.0000000000000p-25"],
        ["-0x1.a666666666666p+1", "-0x1.99999999999a0p-3", "0x1.7333333333334p+1"],
    )
    for numbers, want in zip(made, bits, strict=True):
        assert [x.hex() for x in numbers.tolist()] == want


def test_ranges_of_integers():
    # PyTorch 2.13's: the length from the numbers as they are, the elements from whole ones
    assert tnn.arange(1.0, 5.000001, 2.0, dtype=tnn.int32).tolist() == [1, 3, 5]
    assert tnn.arange(2.1, -2.9, -1.0, dtype=tnn.int32).tolist() == [2, 1, 0, -1, -2]
    assert tnn.arange(3.1, dtype=tnn.int32).tolist() == [0, 1, 2, 3]
    assert tnn.arange(3.1, dtype=tnn.int64).tolist() == [0, 1, 2]
    assert tnn.arange(1, end=4).tolist() == [1, 2, 3]
    assert tnn.linspace(4.3, 0, 5, dtype=tnn.int64).tolist() == [4, 3, 2, 1, 0]
    assert tnn.logspace(0, 1.2, 2, base=5.0, dtype=tnn.int64).tolist() == [1, 5]
    assert tnn.logspace(4.3, 0, 2, base=2.0, dtype=tnn.int32).tolist() == [16, 1]


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64, tnn.int64, tnn.int32, tnn.int16])
def test_long_ranges(dtype):
    for start, end, step in ((0, 50_000, 1), (3, 100_000, 2), (7, -40_000, -1)):
        want = np.arange(start, end, step, dtype=np.int64).astype(dtype.np)
        np.testing.assert_array_equal(tnn.arange(start, end, step, dtype=dtype).numpy(), want)
        np.testing.assert_array_equal(tnn.arange(start, end, step).numpy(), np.arange(start, end, step))
    if dtype.is_floating_point:
        got = tnn.arange(0.1, 5000.0, 0.1, dtype=dtype).numpy()
        np.testing.assert_array_equal(got, naive.arange(0.1, 0.1, len(got), dtype.np))
        for n in (2, 5, 50_001):
            got = tnn.linspace(-1, 2, n, dtype=dtype).numpy()
            np.testing.assert_allclose(got, np.linspace(-1, 2, n), rtol=0, atol=4 * np.finfo(dtype.np).eps)
            assert got[0] == -1 and got[-1] == 2
    assert tnn.zeros_like(tnn.ones(300, 300, dtype=dtype)).sum() == 0
    assert (tnn.full_like(tnn.ones(300, 300, dtype=dtype), 3) == 3).all()


@pytest.mark.parametrize(("row", "col"), [(0, 3), (3, 0), (1, 1), (4, 7), (7, 4), (300, 200)])
def test_indices_of_triangles(row, col):
    for offset in (0, 1, -1, 3, -4, 50, -1000, 1000, 2**40, -(2**40)):
        near = min(max(offset, -2000), 2000)
        for made, expected in ((tnn.tril_indices, np.tril_indices), (tnn.triu_indices, np.triu_indices)):
            result = made(row, col, offset)
            assert result.dtype is tnn.int64
            np.testing.assert_array_equal(result.numpy(), np.stack(expected(row, near, col)))
    assert tnn.triu_indices(3, 3, 1, dtype=tnn.int32).tolist() == [[0, 0, 1], [1, 2, 2]]
