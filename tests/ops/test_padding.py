"""Padding against numpy.pad, gradients of both orders, cropping, errors; the layers over it."""

import numpy as np
import pytest

import tnn
from tnn import nn
from tnn.nn import functional as F

NUMPY = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}

# (shape, pads that are not negative): rows and blocks, one to three dimensions, with and without a batch.
SHAPES = [
    ((3, 5), (1, 2)),
    ((2, 3, 5), (4, 0)),
    ((2, 3, 5), (0, 2, 1, 2)),
    ((2, 2, 4, 30), (3, 2, 0, 1)),
    ((2, 3, 4, 5), (1, 2, 3, 1, 2, 0)),
    ((2, 2, 3, 4, 26), (2, 1, 2, 1, 1, 2)),
]


def numpy_pad(x, pad, mode, value=0):
    width = [(0, 0)] * (x.ndim - len(pad) // 2) + [pad[i : i + 2] for i in range(len(pad) - 2, -1, -2)]
    return np.pad(x, width, NUMPY[mode], **({"constant_values": value} if mode == "constant" else {}))


@pytest.mark.parametrize(("shape", "pad"), SHAPES)
@pytest.mark.parametrize("mode", NUMPY)
def test_against_numpy(shape, pad, mode):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(F.pad(tnn.tensor(x), pad, mode).numpy(), numpy_pad(x, pad, mode))


@pytest.mark.parametrize("shape", [(60, 70, 11), (9, 4000, 3), (3, 2, 150, 100)])
@pytest.mark.parametrize("mode", NUMPY)
def test_large_tensors_take_the_parallel_way(shape, mode):
    """Rows and blocks, forward and backward; the gradient of a sum of squares weighted by place."""
    x = np.random.RandomState(0).randn(*shape).astype(np.float32)
    t = tnn.tensor(x, requires_grad=True)
    y = F.pad(t, (2, 1), mode) if len(shape) == 3 else F.pad(t, (2, 1, 1, 3), mode)
    expected = numpy_pad(x, (2, 1) if len(shape) == 3 else (2, 1, 1, 3), mode)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = np.random.RandomState(1).randn(*expected.shape).astype(np.float32)
    y.backward(tnn.tensor(g))
    where = numpy_pad(np.arange(x.size).reshape(shape), (2, 1) if len(shape) == 3 else (2, 1, 1, 3), mode, -1)
    gx = np.zeros(x.size)
    np.add.at(gx, where[where >= 0], g[where >= 0])
    np.testing.assert_allclose(t.grad.numpy(), gx.reshape(shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [tnn.bool, tnn.uint8, tnn.int16, tnn.int64, tnn.float16, tnn.bfloat16, tnn.float64])
def test_dtypes(dtype):
    x = tnn.tensor([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    y = F.pad(x, (1, 1), value=1)
    assert y.dtype is dtype
    assert y.float().tolist() == [[1, 0, 1, 1, 1], [1, 1, 0, 1, 1]]
    assert F.pad(x, (1, 1), "reflect").float().tolist() == [[1, 0, 1, 1, 1], [0, 1, 0, 1, 0]]


def test_constant_in_many_dimensions():
    x = np.arange(2 * 3 * 2 * 2 * 3 * 2, dtype=np.float64).reshape(2, 3, 2, 2, 3, 2)
    pad = (1, 0, 0, 1, 2, 0, 1, 1, 0, 2, 1, 0)
    np.testing.assert_array_equal(F.pad(tnn.tensor(x), pad, value=-1.5).numpy(), numpy_pad(x, pad, "constant", -1.5))


@pytest.mark.parametrize("mode", NUMPY)
def test_negative_pads_crop(mode):
    x = tnn.arange(6.0).reshape(1, 6)
    assert F.pad(x, (-1, -2), mode).tolist() == [[1, 2, 3]]
    right = {"constant": [0, 0], "reflect": [4, 3], "replicate": [5, 5], "circular": [2, 3]}[mode]
    assert F.pad(x, (-2, 2), mode).tolist() == [[2, 3, 4, 5, *right]]


@pytest.mark.parametrize(
    ("shape", "pad", "mode"),
    [
        *[((2, 3, 4), (2, 1, 1, 2), mode) for mode in NUMPY],
        *[((1, 2, 2, 3, 3), (1, 2, 1, 1, 1, 1), mode) for mode in ("reflect", "replicate", "circular")],
        *[((1, 2, 2, 24), (1, 2, 1, 1), mode) for mode in NUMPY],
        ((1, 2, 3, 2, 2), (1, 0, 0, 1, 1, 1, 1, 0), "constant"),
        *[((1, 4, 5), (-1, 2, 1, -2), mode) for mode in NUMPY],
    ],
)
def test_gradients(shape, pad, mode):
    if np.prod(shape) < 40:
        x = tnn.tensor(np.random.RandomState(0).randn(*shape), requires_grad=True)
        assert tnn.autograd.gradcheck(lambda x: F.pad(x, pad, mode), (x,))
        assert tnn.autograd.gradgradcheck(lambda x: F.pad(x, pad, mode), (x,))
        return
    # Padding is linear: its gradient is its transpose, and the gradient of that is padding again.
    x = tnn.tensor(np.random.RandomState(0).randn(*shape), requires_grad=True)
    y = F.pad(x, pad, mode)
    g = tnn.tensor(np.random.RandomState(1).randn(*y.shape), requires_grad=True)
    (gx,) = tnn.autograd.grad(y, x, g, create_graph=True)
    assert (gx.detach().numpy() * x.detach().numpy()).sum() == pytest.approx(
        (g.detach().numpy() * y.detach().numpy()).sum()
    )
    (gg,) = tnn.autograd.grad(gx, g, x.detach())
    np.testing.assert_allclose(gg.numpy(), y.detach().numpy(), rtol=1e-12)


def test_gradient_of_half_precision():
    x = tnn.ones(1, 4, dtype=tnn.bfloat16, requires_grad=True)
    y = F.pad(x, (2, 1), "replicate")
    y.backward(tnn.ones_like(y))
    assert x.grad.dtype is tnn.bfloat16 and x.grad.float().tolist() == [[3, 1, 1, 2]]


def test_names_of_grad_fn():
    x = tnn.ones(1, 2, 3, requires_grad=True)
    names = [F.pad(x, (1, 1, 1, 1), mode).grad_fn.name() for mode in ("constant", "reflect", "replicate")]
    assert names == ["ConstantPadNdBackward0", "ReflectionPad2DBackward0", "ReplicationPad2DBackward0"]


def test_empty_and_unpadded():
    assert F.pad(tnn.ones(0), (1, 1)).tolist() == [0, 0]
    assert F.pad(tnn.ones(0, 3), (1, 1)).shape == (0, 5)
    assert F.pad(tnn.ones(2, 3), (-2, -1)).shape == (2, 0)
    for mode in NUMPY:
        assert F.pad(tnn.ones(0, 2, 5), (1, 1), mode).shape == (0, 2, 7)
    x = tnn.ones(2, 2)
    y = F.pad(x, (0, 0))
    assert y is not x and y.data_ptr() != x.data_ptr() and y.tolist() == x.tolist()
    assert F.pad(tnn.tensor(3.0), ()).item() == 3
    g = tnn.ones(0, 3, requires_grad=True)
    F.pad(g, (0, 0, 1, 1)).backward(tnn.ones(2, 3))
    assert g.grad.shape == (0, 3)


ERRORS = [
    (RuntimeError, "divisible by 2", (2, 3), (1,), "constant", None),
    (RuntimeError, "padding length 6 and input of dimension 2", (2, 3), (1,) * 6, "constant", None),
    (RuntimeError, "crops more than dimension 1", (2, 3), (-2, -2), "constant", None),
    (RuntimeError, "crops more than dimension 0", (2, 3), (0, 0, -4, 4), "constant", None),
    (NotImplementedError, "Unrecognised padding mode", (2, 3), (1, 1), "mirror", None),
    (RuntimeError, "value argument, but got 1", (2, 3), (1, 1), "reflect", 1),
    (NotImplementedError, "1D input", (3,), (1, 1), "circular", None),
    (NotImplementedError, "Padding size 2 .* 4D", (2, 2, 2, 3), (1, 1), "reflect", None),
    (RuntimeError, "less than the corresponding", (2, 3), (3, 1), "reflect", None),
    (RuntimeError, "more than once", (2, 3), (4, 1), "circular", None),
    (RuntimeError, "empty dimension", (2, 5), (-3, -3), "circular", None),
    (RuntimeError, "empty dimension", (2, 5), (-5, 5), "circular", None),
    (RuntimeError, "too small", (2, 5), (-3, -2), "replicate", None),
    (RuntimeError, "other non-zero", (2, 0, 5), (1, 1), "reflect", None),
    (TypeError, "not int", (2, 3), 1, "constant", None),
    (TypeError, "float at pos 1", (2, 3), (1, 1.5), "constant", None),
    (TypeError, "number", (2, 3), (1, 1), "constant", "a"),
]


@pytest.mark.parametrize(("error", "message", "shape", "pad", "mode", "value"), ERRORS)
def test_errors(error, message, shape, pad, mode, value):
    with pytest.raises(error, match=message):
        F.pad(tnn.ones(shape), pad, mode, value)


def test_errors_of_dtypes():
    with pytest.raises(RuntimeError, match="without overflow"):
        F.pad(tnn.ones(2, dtype=tnn.uint8), (1, 1), value=300)
    with pytest.raises(TypeError, match="must be Tensor"):
        F.pad([1.0], (1, 1))


LAYERS = [
    (f"{name}Pad{n}d", mode, n)
    for name, mode in (
        ("Zero", "constant"),
        ("Constant", "constant"),
        ("Reflection", "reflect"),
        ("Replication", "replicate"),
        ("Circular", "circular"),
    )
    for n in (1, 2, 3)
]


@pytest.mark.parametrize(("name", "mode", "n"), LAYERS)
def test_layers(name, mode, n):
    value = (2.5,) if name.startswith("Constant") else ()
    x = tnn.arange(2.0 * 3 * 3**n).reshape(2, 3, *[3] * n)
    sides = (1, 2, 0, 1, 2, 1)[: 2 * n]
    for padding, full in ((1, (1,) * 2 * n), (sides, sides), (list(sides), sides)):
        m = getattr(nn, name)(padding, *value)
        assert m.padding == full
        np.testing.assert_array_equal(m(x).numpy(), F.pad(x, full, mode, *value).numpy())
        text = f"padding={full}, value=2.5" if value else f"{full}"
        assert repr(m) == f"{name}({text})"


def test_circular_layers_check_dimensions():
    with pytest.raises(ValueError, match="expected 3D or 4D input"):
        nn.CircularPad2d(1)(tnn.ones(3, 3))
