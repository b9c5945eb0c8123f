"""Triangles and transposed copies, serial and parallel."""

import numpy as np
import pytest

from tnn.kernels import shape as kernels

pytestmark = [pytest.mark.boundscheck, pytest.mark.nojit]


def bits(*shape):
    return np.random.RandomState(0).randint(1, 2**31, shape).astype(np.uint32)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (2, 5, 3), (3, 110, 101)])
def test_triangle(shape):
    x = bits(*shape)
    for diagonal in (-shape[1], -1, 0, 2, shape[2]):
        for upper, reference in ((False, np.tril), (True, np.triu)):
            y = np.full_like(x, 7)
            kernels.triangle(x, y, diagonal, upper)
            np.testing.assert_array_equal(y, reference(x, diagonal))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40000), (3, 5), (300, 120)])
def test_place(shape):
    x = bits(*shape)
    y = np.zeros((shape[0], shape[1] + 7), np.uint32)
    kernels.place(x, y, 4)
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (4, 3))))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 120)])
def test_reverse_rows(shape):
    x = bits(*shape)
    y = np.zeros_like(x)
    kernels.reverse_rows(x, y)
    np.testing.assert_array_equal(y, x[:, ::-1])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 70), (3, 64, 32), (2, 129, 130)])
def test_transpose(shape):
    x = bits(*shape)
    y = np.zeros((shape[0], shape[2], shape[1]), np.uint32)
    kernels.transpose(x, y)
    np.testing.assert_array_equal(y, x.swapaxes(1, 2))
