"""What a tensor is: dtypes, NumPy interchange, printing, copies, casts."""

import copy
import math
import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest

import tnn


def test_numpy_shares_memory_both_ways():
    a = np.arange(6.0)
    t = tnn.from_numpy(a)
    a[0] = 9
    assert t[0].item() == 9 and t.numpy() is a
    t.add_(1)
    assert a[1] == 2
    assert np.asarray(t) is a
    assert np.shares_memory(np.from_dlpack(t), a)
    assert np.shares_memory(tnn.from_dlpack(a).numpy(), a)
    with pytest.raises(RuntimeError):
        tnn.ones(1, requires_grad=True).numpy()
    with pytest.raises(TypeError):
        tnn.from_numpy(np.zeros(2, complex))


def test_tensor_copies_and_infers_dtypes():
    a = np.zeros(2)
    assert not np.shares_memory(tnn.tensor(a).numpy(), a)
    assert tnn.tensor(1.5).dtype is tnn.float32 and tnn.tensor([1, 2]).dtype is tnn.int64
    assert tnn.tensor([True]).dtype is tnn.bool and tnn.tensor(a).dtype is tnn.float64
    assert tnn.tensor([1, 2], dtype=tnn.bfloat16).numpy().dtype == ml_dtypes.bfloat16


PROMOTIONS = [
    ("uint8", "int8", "int16"), ("uint8", "int64", "int64"), ("int32", "float16", "float16"),
    ("bool", "uint8", "uint8"), ("float16", "bfloat16", "float32"), ("bfloat16", "float32", "float32"),
    ("int64", "float32", "float32"),
    ("float32", "float64", "float64"), ("bool", "bool", "bool"),
]  # fmt: skip


@pytest.mark.parametrize("a,b,want", PROMOTIONS)
def test_promote_types(a, b, want):
    get = lambda n: getattr(tnn, n)  # noqa: E731
    assert tnn.promote_types(get(a), get(b)) is get(want) is tnn.promote_types(get(b), get(a))


def test_promotion_in_arithmetic():
    f, d, i, b = tnn.ones(2), tnn.ones(2).double(), tnn.ones(2).long(), tnn.ones(2).bool()
    zero_d = tnn.tensor(1.0, dtype=tnn.float64)
    assert (f + d).dtype is tnn.float64 and (f + zero_d).dtype is tnn.float32
    assert (i + 1.5).dtype is tnn.float32 and (i + zero_d).dtype is tnn.float64 and (b + 1).dtype is tnn.int64
    assert (i / i).dtype is tnn.float32 and (b + b).dtype is tnn.bool and (f.bfloat16() + 1.5).dtype is tnn.bfloat16
    assert tnn.result_type(i, 1.0) is tnn.float32
    with pytest.raises(RuntimeError, match="can't be cast"):
        i.add_(1.5)


def test_finfo_and_iinfo():
    assert tnn.finfo(tnn.float32).eps == np.finfo(np.float32).eps
    assert tnn.finfo(tnn.bfloat16).max == float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
    assert tnn.iinfo(tnn.int8).min == -128
    with pytest.raises(TypeError):
        tnn.finfo(tnn.int32)
    with pytest.raises(TypeError):
        tnn.iinfo(tnn.float32)


def test_default_dtype():
    tnn.set_default_dtype(tnn.float64)
    try:
        assert tnn.tensor(1.0).dtype is tnn.float64 and tnn.zeros(1).dtype is tnn.float64
    finally:
        tnn.set_default_dtype(tnn.float32)
    with pytest.raises(TypeError):
        tnn.set_default_dtype(tnn.int64)


def test_every_bfloat16_survives_the_way_through_float32():
    bits = np.arange(2**16, dtype=np.uint16)
    t = tnn.from_numpy(bits.view(ml_dtypes.bfloat16))
    back = t.float().bfloat16().numpy().view(np.uint16)
    nan = np.isnan(t.float().numpy())
    np.testing.assert_array_equal(back[~nan], bits[~nan])
    assert np.isnan(tnn.from_numpy(back.view(ml_dtypes.bfloat16)).float().numpy()[nan]).all()


def test_rounding_to_bfloat16_is_to_nearest_even():
    rng = np.random.RandomState(0)
    x = rng.randint(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    got = tnn.from_numpy(x).bfloat16().numpy()
    with np.errstate(over="ignore"):
        want = x.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))


def test_casts_and_their_gradients():
    x = tnn.tensor([1.7, -2.7], requires_grad=True)
    assert x.detach().int().tolist() == [1, -2] and x.detach().long().dtype is tnn.int64
    x.double().sum().backward()
    assert x.grad.dtype is tnn.float32 and x.grad.tolist() == [1.0, 1.0]
    assert x.to(tnn.float32) is x and x.to("cpu") is x and x.to(x.double()).dtype is tnn.float64
    assert x.to(tnn.float32, copy=True) is not x
    assert x.type() == "tnn.FloatTensor" and x.type_as(tnn.ones(1).half()).dtype is tnn.float16
    for bad in ("cuda", "cuda:0", "mps"):
        with pytest.raises(RuntimeError, match="CPU"):
            x.to(bad)
    with pytest.raises(RuntimeError, match="CPU"):
        x.cuda()


def test_shape_queries():
    t = tnn.zeros(2, 3, 4)
    assert t.shape == (2, 3, 4) == t.size() and t.size(-1) == 4 and t.dim() == t.ndim == 3 and t.numel() == 24
    assert isinstance(t.shape, tnn.Size) and t.shape.numel() == 24 and isinstance(t.shape[1:], tnn.Size)
    assert t.stride() == (12, 4, 1) and t.stride(0) == 12 and t.is_contiguous()
    assert not t.transpose(0, 1).is_contiguous()
    assert t[1].storage_offset() == 12 and t.element_size() == 4 and t.nbytes == 96
    with pytest.raises(IndexError):
        t.size(3)


def test_python_conversions():
    assert tnn.tensor([[2.5]]).item() == 2.5 and float(tnn.tensor(2.5)) == 2.5 and int(tnn.tensor([3])) == 3
    assert bool(tnn.tensor([True])) and len(tnn.zeros(4, 2)) == 4 and [1, 2][tnn.tensor(1)] == 2
    assert [r.tolist() for r in tnn.arange(4).reshape(2, 2)] == [[0, 1], [2, 3]]
    assert 3 in tnn.arange(5) and f"{tnn.tensor(1.23456):.2f}" == "1.23"
    with pytest.raises(RuntimeError):
        tnn.zeros(2).item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(tnn.zeros(2))
    with pytest.raises(TypeError):
        len(tnn.tensor(1))
    with pytest.raises(TypeError):
        [1, 2][tnn.tensor(1.0)]


PRINTED = [
    (lambda: tnn.tensor([1.0, 2.5, -3.0]), "tensor([ 1.0000,  2.5000, -3.0000])"),
    (lambda: tnn.tensor([1.0, 2.0]), "tensor([1., 2.])"),
    (lambda: tnn.tensor(3.5), "tensor(3.5000)"),
    (lambda: tnn.tensor([1, 20]), "tensor([ 1, 20])"),
    (lambda: tnn.tensor([True, False]), "tensor([ True, False])"),
    (lambda: tnn.tensor([1e-8, 1.0]), "tensor([1.0000e-08, 1.0000e+00])"),
    (lambda: tnn.zeros(0, 3), "tensor([], size=(0, 3))"),
    (lambda: tnn.tensor([1.0], dtype=tnn.float64), "tensor([1.], dtype=tnn.float64)"),
    (lambda: tnn.tensor([float("nan"), float("inf")]), "tensor([nan, inf])"),
    (lambda: tnn.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: tnn.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (lambda: tnn.zeros(2, 2), "tensor([[0., 0.],\n        [0., 0.]])"),
    (lambda: tnn.tensor([[0.0, -math.inf], [0.0, 0.0]]), "tensor([[0., -inf],\n        [0., 0.]])"),
    (lambda: tnn.tensor([1.0, -0.0, math.nan]), "tensor([1., -0., nan])"),
    (lambda: tnn.tensor([1.5, -math.inf]), "tensor([1.5000,   -inf])"),
    (lambda: tnn.tensor([5e-324, 1e300], dtype=tnn.float64), "tensor([4.9407e-324, 1.0000e+300], dtype=tnn.float64)"),
    (lambda: tnn.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
]


@pytest.mark.parametrize("make,text", PRINTED)
def test_printing(make, text):
    assert repr(make()) == text


def test_copies_and_pickles():
    x = tnn.tensor([1.0, 2.0], requires_grad=True)
    x.sum().backward()
    twin = copy.deepcopy(x)
    assert twin.requires_grad and twin.grad.tolist() == [1.0, 1.0] and twin.data_ptr() != x.data_ptr()
    assert pickle.loads(pickle.dumps(x)).tolist() == [1.0, 2.0]
    p = tnn.nn.Parameter(tnn.ones(2))
    assert type(copy.deepcopy(p)) is tnn.nn.Parameter is type(pickle.loads(pickle.dumps(p)))
    with pytest.raises(RuntimeError):
        copy.deepcopy(x * 2)


def test_data_and_grad_assignment():
    x = tnn.ones(2, requires_grad=True)
    x.data.mul_(3)
    assert x.tolist() == [3.0, 3.0]
    x.data = tnn.zeros(2)
    assert x.tolist() == [0.0, 0.0] and x.requires_grad
    x.grad = tnn.ones(2)
    for bad in (tnn.ones(3), tnn.ones(2).double()):
        with pytest.raises(RuntimeError):
            x.grad = bad
    with pytest.raises(TypeError):
        x.grad = 1.0
    with pytest.raises(RuntimeError):
        tnn.ones(2, dtype=tnn.int64).requires_grad = True


def test_attributes_of_the_users_own():
    x = tnn.ones(2)
    x.note = "mine"
    assert x.note == "mine" and hash(x) == hash(x) and x in {x: 1}


def test_types_print_under_their_public_names():
    x = tnn.ones(2)
    printed = [str(type(v)) for v in (x, x.shape, x.dtype, x.device, x.layout)]
    assert printed == [f"<class 'tnn.{name}'>" for name in ("Tensor", "Size", "dtype", "device", "layout")]
    for value in (x.shape, x.dtype, x.device, x.layout):
        assert pickle.loads(pickle.dumps(value)) == value
    assert pickle.loads(pickle.dumps(type(x))) is tnn.Tensor


def test_only_one_element_is_a_number():
    for t in (tnn.ones(2), tnn.zeros(0)):
        for convert in (float, int, math.floor):
            with pytest.raises(ValueError, match="only one element tensors can be converted to Python scalars"):
                convert(t)
    with pytest.raises(RuntimeError, match="cannot be converted to Scalar"):
        tnn.ones(2).item()


def test_a_number_with_a_gradient_says_so():
    loss = tnn.tensor(2.5, requires_grad=True)
    for convert, number in ((float, 2.5), (int, 2), (math.sqrt, 2.5**0.5)):
        with pytest.warns(UserWarning, match="requires_grad=True to a scalar") as caught:
            assert convert(loss) == number
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(loss.detach()) == loss.item() == 2.5 and f"{loss:.1f}" == "2.5"
