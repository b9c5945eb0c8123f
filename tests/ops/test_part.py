"""Views of parts: select, narrow, diagonal, unfold, as_strided."""

import numpy as np
import pytest

import tnn
from tnn.autograd import gradcheck, gradgradcheck

from .views import check, check_view_updates, leaf, sample

A = sample(3, 4, 5)


def windows(a, dim, size, step):
    return np.lib.stride_tricks.sliding_window_view(a, size, dim)[(slice(None),) * dim + (slice(None, None, step),)]


CASES = {
    "select": (lambda x: x.select(1, -2), lambda a: a[:, -2]),
    "select of numbers": (lambda x: tnn.select(x, 0, 2), lambda a: a[2]),
    "narrow": (lambda x: x.narrow(2, 1, 3), lambda a: a[:, :, 1:4]),
    "narrow from the end": (lambda x: tnn.narrow(x, -1, -2, 2), lambda a: a[:, :, -2:]),
    "narrow to nothing": (lambda x: x.narrow(0, 3, 0), lambda a: a[3:]),
    "diagonal": (lambda x: x.diagonal(), lambda a: a.diagonal()),
    "diagonal below": (lambda x: x.diagonal(-1, 1, 2), lambda a: a.diagonal(-1, 1, 2)),
    "diagonal of reversed dims": (lambda x: tnn.diagonal(x, 2, -1, 0), lambda a: a.diagonal(2, -1, 0)),
    "diagonal outside": (lambda x: x.diagonal(9), lambda a: a.diagonal(9)),
    "unfold": (lambda x: x.unfold(1, 2, 1), lambda a: windows(a, 1, 2, 1)),
    "unfold with gaps": (lambda x: x.unfold(2, 2, 3), lambda a: windows(a, 2, 2, 3)),
    "as_strided": (
        lambda x: x.as_strided((2, 3), (20, 2), 1), lambda a: a.reshape(-1)[1 + np.add.outer([0, 20], [0, 2, 4])],
    ),
    "as_strided with overlap": (
        lambda x: tnn.as_strided(x, (3, 3), (1, 1)), lambda a: a.reshape(-1)[np.add.outer(range(3), range(3))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_numpy_with_gradients(name):
    check(*CASES[name], A, view=True)


@pytest.mark.parametrize("name", ["select", "narrow", "diagonal below", "unfold with gaps", "as_strided"])
def test_changes_in_place_reach_the_base(name):
    check_view_updates(CASES[name][0], A)


def test_as_strided_of_a_view_starts_from_the_storage():
    x = leaf(A)
    v = (x * 1)[1]
    assert v.as_strided((2,), (1,)).tolist() == A.reshape(-1)[20:22].tolist()
    assert v.as_strided((2,), (1,), 0).tolist() == A.reshape(-1)[:2].tolist()
    v.as_strided((2, 2), (1, 1)).sum().backward()
    assert x.grad.reshape(-1)[19:24].tolist() == [0, 1, 2, 1, 0]
    y = leaf(A)
    (y * 1).mT.as_strided((2,), (3,), 1).sum().backward()
    assert y.grad.reshape(-1)[:6].tolist() == [0, 1, 0, 0, 1, 0]


def test_as_strided_in_place():
    x = tnn.arange(6)
    assert x.as_strided_((2, 2), (3, 1)).tolist() == [[0, 1], [3, 4]]


def test_unfold_without_dimensions():
    assert tnn.tensor(2.0).unfold(0, 1, 1).tolist() == [2] and tnn.tensor(2.0).unfold(0, 0, 1).shape == (0,)


def test_gradient_of_several_views():
    x = leaf(A)
    op = lambda x: x[0] * x.select(0, 1) + x.narrow(0, 2, 1).squeeze(0) * x.diagonal(0, 0, 1).sum()  # noqa: E731
    gradcheck(op, (x,))
    gradgradcheck(op, (x,))


@pytest.mark.parametrize(
    ("op", "error", "text"),
    [
        (lambda x: x.select(0, 3), IndexError, r"index 3 out of range for tensor of size \[3, 4, 5\] at dimension 0"),
        (lambda x: x.select(0, -4), IndexError, "index -4 out of range"),
        (lambda x: tnn.tensor(1.0).select(0, 0), IndexError, "0-dim"),
        (lambda x: x.narrow(0, 2, 2), RuntimeError, r"start \(2\) \+ length \(2\) exceeds dimension size \(3\)"),
        (lambda x: x.narrow(0, 0, -1), RuntimeError, "non-negative"),
        (lambda x: x.narrow(0, 4, 0), IndexError, "start out of range"),
        (lambda x: x.narrow(0, tnn.tensor(1.0), 1), RuntimeError, "integral"),
        (lambda x: tnn.tensor(1.0).narrow(0, 0, 0), RuntimeError, "0-dim"),
        (lambda x: x.diagonal(0, 1, 1), RuntimeError, "identical"),
        (lambda x: x[0, 0].diagonal(), IndexError, "Dimension out of range"),
        (lambda x: x.unfold(0, 4, 1), RuntimeError, "maximum size for tensor at dimension 0 is 3 but size is 4"),
        (lambda x: x.unfold(0, 2, 0), RuntimeError, "step is 0"),
        (lambda x: x.unfold(0, -1, 1), RuntimeError, "size is -1"),
        (lambda x: x.as_strided((2, 2), (1,)), RuntimeError, "mismatch in length"),
        (lambda x: x.as_strided((8, 8), (8, 1)), RuntimeError, "out of bounds for storage"),
        (lambda x: x.as_strided((2,), (1,), 59), RuntimeError, "out of bounds for storage"),
        (lambda x: x.as_strided((2,), (1,), -1), RuntimeError, "out of bounds for storage"),
        (lambda x: x.as_strided((2, 2), (-1, 1)), RuntimeError, "Negative strides"),
    ],
)  # fmt: skip
def test_bad_arguments(op, error, text):
    with pytest.raises(error, match=text):
        op(tnn.zeros(3, 4, 5))
