"""flip, roll, repeat, triangles, diagonals, and parts overwritten."""

import itertools

import numpy as np
import pytest

import tnn

from .views import check, sample

A = sample(3, 4)
C = sample(2, 3, 4)


def changed(a, key, b):
    a = a.copy()
    a[key] = b
    return a


CASES = {
    "flip": (lambda x: x.flip(0), lambda a: a[::-1]),
    "flip both": (lambda x: tnn.flip(x, (0, 1)), lambda a: a[::-1, ::-1]),
    "flip none": (lambda x: x.flip(()), lambda a: a),
    "fliplr": (lambda x: x.fliplr(), np.fliplr),
    "flipud": (lambda x: tnn.flipud(x), np.flipud),
    "rot90": (lambda x: x.rot90(), np.rot90),
    "rot90 back": (lambda x: tnn.rot90(x, -1, (1, 0)), lambda a: np.rot90(a, -1, (1, 0))),
    "rot90 twice": (lambda x: x.rot90(2), lambda a: np.rot90(a, 2)),
    "rot90 never": (lambda x: x.rot90(4), lambda a: a),
    "roll": (lambda x: x.roll(1, 0), lambda a: np.roll(a, 1, 0)),
    "roll flat": (lambda x: tnn.roll(x, -5), lambda a: np.roll(a, -5)),
    "roll both": (lambda x: x.roll((1, -7), (0, 1)), lambda a: np.roll(a, (1, -7), (0, 1))),
    "roll twice": (lambda x: x.roll((1, 2), (1, 1)), lambda a: np.roll(a, 3, 1)),
    "repeat": (lambda x: x.repeat(2, 3), lambda a: np.tile(a, (2, 3))),
    "repeat in front": (lambda x: x.repeat(2, 1, 2), lambda a: np.tile(a, (2, 1, 2))),
    "repeat never": (lambda x: x.repeat(0, 1), lambda a: a[:0]),
    "tile": (lambda x: x.tile(2), lambda a: np.tile(a, 2)),
    "repeat_interleave": (lambda x: x.repeat_interleave(2), lambda a: np.repeat(a, 2)),
    "repeat_interleave dim": (lambda x: tnn.repeat_interleave(x, 3, 1), lambda a: np.repeat(a, 3, 1)),
    "repeat_interleave each": (
        lambda x: x.repeat_interleave(tnn.tensor([0, 2, 1]), 0), lambda a: np.repeat(a, [0, 2, 1], 0),
    ),
    "tril": (lambda x: x.tril(), np.tril),
    "tril above": (lambda x: tnn.tril(x, 2), lambda a: np.tril(a, 2)),
    "tril far below": (lambda x: x.tril(-9), lambda a: np.tril(a, -9)),
    "triu": (lambda x: x.triu(), np.triu),
    "triu below": (lambda x: x.triu(-1), lambda a: np.triu(a, -1)),
    "triu of strides": (lambda x: x.t().triu(1), lambda a: np.triu(a.T, 1)),
    "diag": (lambda x: x.diag(1), lambda a: np.diag(a, 1)),
    "diag of a vector": (lambda x: x[0].diag(-1), lambda a: np.diag(a[0], -1)),
    "diagflat": (lambda x: tnn.diagflat(x, 1), lambda a: np.diagflat(a, 1)),
    "diag_embed": (lambda x: x.diag_embed(), lambda a: np.stack([np.diag(r) for r in a])),
    "diag_embed dims": (
        lambda x: tnn.diag_embed(x, 1, 0, 2), lambda a: np.stack([np.diag(r, 1) for r in a]).transpose(1, 0, 2),
    ),
    "combinations": (
        lambda x: tnn.combinations(x[0]), lambda a: np.array(list(itertools.combinations(a[0], 2))),
    ),
    "combinations of three": (
        lambda x: tnn.combinations(x[0], 3, True),
        lambda a: np.array(list(itertools.combinations_with_replacement(a[0], 3))),
    ),
    "narrow_copy": (lambda x: x.narrow_copy(1, 1, 2), lambda a: a[:, 1:3]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_numpy_with_gradients(name):
    check(*CASES[name], A, view=False)


SCATTERS = {
    "select_scatter": (lambda x, y: x.select_scatter(y[0], 0, 1), lambda a, b: changed(a, 1, b[0])),
    "slice_scatter": (
        lambda x, y: x.slice_scatter(y[:, :2], 1, 0, None, 2), lambda a, b: changed(a, np.s_[:, ::2], b[:, :2]),
    ),
    "diagonal_scatter": (
        lambda x, y: x.diagonal_scatter(y[0, :3], 1), lambda a, b: changed(a, ([0, 1, 2], [1, 2, 3]), b[0, :3]),
    ),
    "as_strided_scatter": (
        lambda x, y: x.as_strided_scatter(y[0, :2], (2,), (5,), 1), lambda a, b: changed(a, ([0, 1], [1, 2]), b[0, :2]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCATTERS)
def test_parts_overwritten(name):
    check(*SCATTERS[name], A, sample(3, 4, seed=3), view=False)


def test_triangles_of_batches_and_dtypes():
    for dtype in (np.float32, np.int8, np.int16, bool):
        a = C.astype(dtype)
        assert tnn.tensor(a).tril(1).numpy().dtype == dtype
        np.testing.assert_array_equal(tnn.tensor(a).tril(1).numpy(), np.tril(a, 1))
        np.testing.assert_array_equal(tnn.tensor(a).triu(-1).numpy(), np.triu(a, -1))
    big = sample(2, 150, 170)
    np.testing.assert_array_equal(tnn.tensor(big).tril(3).numpy(), np.tril(big, 3))
    half = tnn.tensor(A).to(tnn.bfloat16)
    assert half.triu().tolist() == np.triu(half.float().numpy()).tolist()
    nan = tnn.full((2, 2), float("nan"))
    assert nan.tril()[0, 1].item() == 0 and tnn.zeros(0, 3).tril().shape == (0, 3)
    x = tnn.tensor(A)
    assert x.tril_() is x and x.tolist() == np.tril(A).tolist()


def test_large_flip():
    a = sample(20, 30, 40)
    for dims in [(2,), (0, 2), (0, 1, 2), (1,)]:
        np.testing.assert_array_equal(tnn.tensor(a).flip(dims).numpy(), np.flip(a, dims))


def test_fill_diagonal():
    assert tnn.zeros(3, 2).fill_diagonal_(1).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert tnn.zeros(5, 2).fill_diagonal_(1, wrap=True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0], [0, 1]]
    cube = tnn.zeros(2, 2, 2).fill_diagonal_(3)
    assert cube.sum().item() == 6 and cube[0, 0, 0].item() == cube[1, 1, 1].item() == 3


def test_repeat_interleave_of_counts():
    assert tnn.repeat_interleave(tnn.tensor([1, 0, 2])).tolist() == [0, 2, 2]
    assert tnn.tensor(3.0).repeat_interleave(2).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (lambda x: x.flip(0, 0), RuntimeError, "appears multiple times"),
        (lambda x: x.flip(3), IndexError, "Dimension out of range"),
        (lambda x: x[0].fliplr(), RuntimeError, ">= 2-d"),
        (lambda x: tnn.tensor(1.0).flipud(), RuntimeError, ">= 1-d"),
        (lambda x: x.rot90(1, (0, 0)), RuntimeError, "different"),
        (lambda x: x.rot90(1, (0,)), RuntimeError, "== 2"),
        (lambda x: x.roll((1, 2), (0,)), RuntimeError, "must align"),
        (lambda x: x.roll((1, 2)), RuntimeError, "must align"),
        (lambda x: tnn.tensor(1.0).roll(1, 0), IndexError, "no dimensions"),
        (lambda x: x.repeat(2), RuntimeError, "can not be smaller"),
        (lambda x: x.repeat(-1, 2), RuntimeError, "negative dimension"),
        (lambda x: x.repeat_interleave(-2), RuntimeError, "non-negative"),
        (lambda x: x.repeat_interleave(tnn.tensor([1, 2]), 0), RuntimeError, "same size as input along dim"),
        (lambda x: x.repeat_interleave(tnn.tensor([1.0, 2, 1]), 0), NotImplementedError, "Float"),
        (lambda x: x.repeat_interleave(tnn.tensor([1, -2, 1]), 0), RuntimeError, "can not be negative"),
        (lambda x: x.repeat_interleave(2, output_size=5), RuntimeError, "output_size"),
        (lambda x: x[0].tril(), RuntimeError, "at least 2 dimensions"),
        (lambda x: tnn.zeros(2, 2, 2).diag(), RuntimeError, "Got 3D"),
        (lambda x: x.diag_embed(0, 1, 1), RuntimeError, "identical"),
        (lambda x: x.select_scatter(x, 0, 1), RuntimeError, "expected src"),
        (lambda x: x.slice_scatter(x, 0, step=0), RuntimeError, "positive"),
        (lambda x: tnn.combinations(x), RuntimeError, "1D vector"),
        (lambda x: tnn.combinations(x[0], -1), RuntimeError, "non-negative"),
        (lambda x: x[0].fill_diagonal_(1), RuntimeError, "larger than 1"),
        (lambda x: tnn.zeros(2, 2, 3).fill_diagonal_(1), RuntimeError, "equal length"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error, text):
    with pytest.raises(error, match=text):
        op(tnn.zeros(3, 4))


def test_parts_overwritten_in_half_precision():
    x, part = (tnn.zeros(s, dtype=tnn.bfloat16, requires_grad=True) for s in ((2, 3), (3,)))
    tnn.select_scatter(x, part, 0, 1).sum().backward()
    assert x.grad.tolist() == [[1, 1, 1], [0, 0, 0]] and part.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [tnn.float32, tnn.float64, tnn.int16, tnn.uint8])
def test_large_copies(dtype):
    a = np.random.RandomState(0).randint(0, 200, (130, 3, 259)).astype(dtype.np)
    x = tnn.tensor(a)
    y = tnn.tensor(a[:, :, :1].copy())
    for got, want in (
        (x.roll(5, 2), np.roll(a, 5, 2)),
        (x.roll((-1, 7), (0, 2)), np.roll(a, (-1, 7), (0, 2))),
        (x.roll(11), np.roll(a, 11)),
        (x.flip(0), a[::-1]),
        (x.flip(2), a[..., ::-1]),
        (x.flip(0, 1, 2), a[::-1, ::-1, ::-1]),
        (tnn.stack((x, x + 1), -1), np.stack((a, a + 1), -1)),
        (tnn.stack((x, x + 1), 1), np.stack((a, a + 1), 1)),
        (tnn.cat((x, y, x), 2), np.concatenate((a, a[:, :, :1], a), 2)),
        (tnn.cat((x.mT, x.mT), 1), np.concatenate((a.swapaxes(1, 2),) * 2, 1)),
        (tnn.cat((x, x[:1]), 0), np.concatenate((a, a[:1]), 0)),
        (x.repeat(2, 1, 3), np.tile(a, (2, 1, 3))),
        (y.expand(130, 3, 259).contiguous(), np.broadcast_to(a[:, :, :1], a.shape)),
        (x[:1].expand(130, 3, 259).contiguous(), np.broadcast_to(a[:1], a.shape)),
        (x[:, :, 3:200].contiguous(), a[:, :, 3:200]),
        (x[::2, :, ::3].contiguous(), a[::2, :, ::3]),
        (x.permute(1, 0, 2).contiguous(), a.transpose(1, 0, 2)),
        (x.permute(2, 1, 0).contiguous(), a.transpose(2, 1, 0)),
        (x.reshape(390, 259).tril(-3), np.tril(a.reshape(390, 259), -3)),
        (x.reshape(390, 259).triu(7), np.triu(a.reshape(390, 259), 7)),
    ):
        assert got.is_contiguous()
        np.testing.assert_array_equal(got.numpy(), want)
