"""Reshapes, permutations, expansion: views and their errors."""

import numpy as np
import pytest

import tnn

from .views import check, check_view_updates, sample

A = sample(2, 3, 4)

CASES = {
    "reshape": (lambda x: x.reshape(4, -1), lambda a: a.reshape(4, -1), True),
    "reshape tuple": (lambda x: tnn.reshape(x, (2, 12)), lambda a: a.reshape(2, 12), True),
    "reshape of a transpose": (
        lambda x: x.transpose(0, 2).reshape(8, 3),
        lambda a: a.swapaxes(0, 2).reshape(8, 3),
        False,
    ),
    "view": (lambda x: x.view(6, 2, 2), lambda a: a.reshape(6, 2, 2), True),
    "view of strides": (lambda x: x[:, :, ::2].view(6, 2), lambda a: a[:, :, ::2].reshape(6, 2), True),
    "view_as": (lambda x: x.view_as(tnn.zeros(8, 3)), lambda a: a.reshape(8, 3), True),
    "reshape_as": (lambda x: x.reshape_as(tnn.zeros(8, 3)), lambda a: a.reshape(8, 3), True),
    "flatten": (lambda x: x.flatten(), lambda a: a.reshape(-1), True),
    "flatten some": (lambda x: tnn.flatten(x, 1), lambda a: a.reshape(2, 12), True),
    "ravel": (lambda x: tnn.ravel(x), np.ravel, True),
    "unflatten": (lambda x: x.unflatten(2, (2, -1)), lambda a: a.reshape(2, 3, 2, 2), True),
    "unsqueeze": (lambda x: x.unsqueeze(-2), lambda a: a[:, :, None], True),
    "squeeze": (lambda x: x[:, :1].squeeze(1), lambda a: a[:, 0], True),
    "squeeze all": (lambda x: x[:1, :1].squeeze(), lambda a: a[0, 0], True),
    "squeeze some": (lambda x: x[:1, :1].squeeze((0, 2)), lambda a: a[0, :1], True),
    "permute": (lambda x: x.permute(2, 0, -2), lambda a: a.transpose(2, 0, 1), True),
    "transpose": (lambda x: x.transpose(0, -1), lambda a: a.swapaxes(0, 2), True),
    "swapaxes": (lambda x: x.swapaxes(0, 1), lambda a: a.swapaxes(0, 1), True),
    "swapdims": (lambda x: x.swapdims(0, 1), lambda a: a.swapaxes(0, 1), True),
    "t": (lambda x: x[0].t(), lambda a: a[0].T, True),
    "T": (lambda x: x[1].T, lambda a: a[1].T, True),
    "mT": (lambda x: x.mT, lambda a: a.swapaxes(1, 2), True),
    "mH": (lambda x: x.mH, lambda a: a.swapaxes(1, 2), True),
    "H": (lambda x: x[0].H, lambda a: a[0].T, True),
    "adjoint": (lambda x: x.adjoint(), lambda a: a.swapaxes(1, 2), True),
    "movedim": (lambda x: x.movedim((0, 1), (-1, 0)), lambda a: np.moveaxis(a, (0, 1), (-1, 0)), True),
    "moveaxis": (lambda x: tnn.moveaxis(x, 2, 0), lambda a: np.moveaxis(a, 2, 0), True),
    "expand": (lambda x: x[:, :1].expand(-1, 3, 4), lambda a: np.broadcast_to(a[:, :1], (2, 3, 4)), True),
    "expand in front": (lambda x: x.expand(2, 2, 3, 4), lambda a: np.broadcast_to(a, (2, 2, 3, 4)), True),
    "expand_as": (lambda x: x[:1].expand_as(x), lambda a: np.broadcast_to(a[:1], (2, 3, 4)), True),
    "broadcast_to": (lambda x: tnn.broadcast_to(x[0, 0], (3, 4)), lambda a: np.broadcast_to(a[0, 0], (3, 4)), True),
    "sum_to_size": (lambda x: x.sum_to_size(3, 1), lambda a: a.sum((0, 2)).reshape(3, 1), False),
    "clone": (lambda x: x.clone(), lambda a: a, False),
    "clone of a transpose": (lambda x: x.mT.clone(), lambda a: a.swapaxes(1, 2), False),
    "contiguous": (lambda x: x.permute(2, 0, 1).contiguous(), lambda a: a.transpose(2, 0, 1), False),
    "contiguous already": (lambda x: x.contiguous() * 1, lambda a: a, False),
}


@pytest.mark.parametrize("name", CASES)
def test_against_numpy_with_gradients(name):
    op, reference, view = CASES[name]
    check(op, reference, A, view=view)


@pytest.mark.parametrize("name", ["reshape", "view of strides", "permute", "squeeze", "mT", "movedim", "unflatten"])
def test_changes_in_place_reach_the_base(name):
    check_view_updates(CASES[name][0], A)


def test_broadcast_tensors():
    check(lambda x, y: tnn.broadcast_tensors(x, y), lambda a, b: tuple(np.broadcast_arrays(a, b)), A[0], A[0, :1, :1])
    assert tnn.broadcast_shapes((2, 1), (3,), 1) == (2, 3) and type(tnn.broadcast_shapes((2,))) is tnn.Size
    with pytest.raises(RuntimeError, match="non-singleton dimension 1"):
        tnn.broadcast_tensors(tnn.zeros(3, 4), tnn.zeros(5))
    with pytest.raises(RuntimeError, match="Mismatching argument"):
        tnn.broadcast_shapes((2, 1), (3, 4), 5)


@pytest.mark.parametrize(
    ("op", "error"),
    [
        (lambda x: x.view(5, 2), "shape '\\[5, 2\\]' is invalid for input of size 24"),
        (lambda x: x.view(-1, -1), "only one dimension can be inferred"),
        (lambda x: x.view(-2, 12), "invalid shape dimension -2 at index 0"),
        (lambda x: x.mT.view(24), "not compatible with input tensor's size and stride"),
        (lambda x: x.reshape(7), "invalid for input of size 24"),
        (lambda x: tnn.zeros(0, 3).view(-1, 0), "ambiguous"),
        (lambda x: x.flatten(1, 0), "start_dim cannot come after end_dim"),
        (lambda x: x.unflatten(2, (2, 3)), "don't multiply up to the size of dim 2"),
        (lambda x: x.unflatten(2, ()), "non-empty"),
        (lambda x: x.squeeze((0, 0)), "appears multiple times"),
        (lambda x: x.permute(0), "number of dimensions"),
        (lambda x: x.permute(0, 0, 1), "duplicate dims"),
        (lambda x: x.t(), "<= 2 dimensions, but self is 3D"),
        (lambda x: x[0, 0].mT, "Got 1-D tensor"),
        (lambda x: x[0, 0].adjoint(), "Got 1-D tensor"),
        (lambda x: x.H, "only supported on matrices"),
        (lambda x: x.movedim((0, 1), 1), "same number of dims"),
        (lambda x: x.movedim((0, 0), (1, 0)), "repeated dim in `source`"),
        (lambda x: x.expand(3), "number of sizes provided"),
        (lambda x: x.expand(2, 3, 5), r"expanded size of the tensor \(5\) must match the existing size \(4\)"),
        (lambda x: x.expand(-1, 2, 3, 4), "leading, non-existing dimension 0"),
        (lambda x: x.view(tnn.int64), "divisible|int64"),
        (lambda x: x.mT.view(tnn.int16), "must be 1 to view Float as Short"),
        (lambda x: tnn.tensor(1.0).view(tnn.int16), "cannot be 0 to view Float as Short"),
        (lambda x: x.requires_grad_().resize_(2), "require grad"),
        (lambda x: x.sum_to_size(5), "not expandable"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error):
    with pytest.raises(RuntimeError, match=error):
        op(tnn.zeros(2, 3, 4)[:, :, :3] if "divisible" in error else tnn.zeros(2, 3, 4))


@pytest.mark.parametrize(
    "op",
    [
        lambda x: x.flatten(5), lambda x: x.squeeze(5), lambda x: x.unsqueeze(5), lambda x: x.permute(0, 1, 3),
        lambda x: x.transpose(0, 3), lambda x: x.movedim(0, 5), lambda x: x.unflatten(3, (1,)),
    ],
)  # fmt: skip
def test_dimension_out_of_range(op):
    with pytest.raises(IndexError, match="Dimension out of range"):
        op(tnn.zeros(2, 3, 4))


def test_view_as_another_dtype():
    x = tnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    bits = x.view(tnn.int32)
    assert bits.tolist() == [[0x3F800000, 0x40000000], [0x40400000, 0x40800000]]
    bits[0, 0] = 0
    assert x[0, 0].item() == 0
    assert x.view(tnn.uint8).shape == (2, 8) and x.view(tnn.float64).shape == (2, 1)


def test_no_dimensions_and_no_elements():
    x = tnn.tensor(3.0)
    assert x.flatten().shape == (1,) and x.squeeze(0).shape == () and x.t().shape == ()
    assert x.reshape(1, 1).shape == (1, 1) and x.expand(2).tolist() == [3, 3] and x.transpose(0, -1).shape == ()
    e = tnn.zeros(0, 3)
    assert e.reshape(3, 0).shape == (3, 0) and e.ravel().shape == (0,) and e.flatten().shape == (0,)
    assert e.unsqueeze(1).expand(0, 4, 3).shape == (0, 4, 3)
    assert tnn.zeros(1, 0).expand(3, 0).shape == (3, 0)


def test_in_place_views():
    x = tnn.tensor(A)
    memory = x.data_ptr()
    assert x.unsqueeze_(0).shape == (1, 2, 3, 4) and x.squeeze_().shape == (2, 3, 4)
    assert x.transpose_(0, 1).shape == (3, 2, 4) and x.swapaxes_(0, 1).shape == (2, 3, 4)
    assert x.data_ptr() == memory
    np.testing.assert_array_equal(x.numpy(), A)
    y = leaf_product()
    y[0].t_()[0].sum().backward()
    assert y[1].grad.tolist() == [[2, 0], [2, 0]]
    with pytest.raises(RuntimeError, match="leaf"):
        tnn.ones(2, 2, requires_grad=True).t_()


def leaf_product():
    x = tnn.ones(2, 2, requires_grad=True)
    return x * 2, x


def test_resize():
    x = tnn.arange(6.0)
    assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
    assert x.resize_(3, 3).shape == (3, 3) and x.reshape(-1)[:4].tolist() == [0, 1, 2, 3]
    assert x.resize_as_(tnn.zeros(2)).tolist() == [0, 1]


def test_large_transposed_copies():
    """Large copies of permuted memory go through a kernel of their own."""
    x = tnn.tensor(np.arange(3 * 40 * 50 * 6, dtype=np.float32).reshape(3, 40, 50, 6))
    for order in [(0, 1, 3, 2), (0, 3, 1, 2), (1, 2, 3, 0), (3, 2, 1, 0), (0, 2, 1, 3), (2, 0, 1, 3)]:
        np.testing.assert_array_equal(x.permute(order).contiguous().numpy(), x.numpy().transpose(order))
    half = x.to(tnn.bfloat16).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(half.contiguous().float().numpy(), half.float().numpy())


def test_integer_like_sizes():
    x = tnn.zeros(6)
    assert x.reshape(tnn.tensor(2), np.int64(3)).shape == (2, 3)
    with pytest.raises(TypeError, match="ints"):
        x.reshape(2.0, 3)
    with pytest.raises(TypeError, match="dims"):
        tnn.zeros(2).permute()


def test_leaf_views_share_versions():
    x = tnn.zeros(4)
    v = x.view(2, 2)
    saved = v.clone().requires_grad_()
    product = (saved * v).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_names_of_nodes():
    x = tnn.ones(2, 3, requires_grad=True)
    names = {
        "ViewBackward0": x.view(6), "PermuteBackward0": x.permute(1, 0), "TransposeBackward0": x.transpose(0, 1),
        "TBackward0": x.t(), "ExpandBackward0": x.expand(2, 2, 3), "UnsqueezeBackward0": x.unsqueeze(0),
        "SqueezeBackward0": x.squeeze(), "CloneBackward0": x.clone(),
    }  # fmt: skip
    for name, y in names.items():
        assert y.grad_fn.name() == name


def test_gradients_in_another_shape_are_taken_over():
    for make in (lambda x: x.repeat(2, 1, 1), lambda x: x.expand(2, 3, 200, 300), lambda x: (x * 2).reshape(-1, 300)):
        x = tnn.ones(3, 200, 300, requires_grad=True)
        make(x).backward(tnn.ones_like(make(x).detach()))
        assert x.grad._base is None and x.grad.tolist() == np.full(x.shape, 2.0).tolist()
    x, g = tnn.ones(4, 3, requires_grad=True), tnn.ones(12)
    x.reshape(-1).backward(g)
    g.zero_()
    assert x.grad.tolist() == np.ones((4, 3)).tolist()
