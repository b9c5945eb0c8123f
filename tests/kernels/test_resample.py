"""Resampling a plane in each lane gives what resampling row by row does."""

import numpy as np
import pytest

from tnn.kernels import resample, resample_lanes
from tnn.ops.resample import _taps

CASES = (
    ("linear", (11,), (23,), 24), ("linear", (40,), (13,), 5), ("bilinear", (5, 6), (10, 12), 17),
    ("bilinear", (1, 1), (3, 2), 16), ("bilinear", (80, 90), (60, 170), 33), ("bilinear", (14, 14), (4, 5), 7),
    ("bicubic", (9, 7), (18, 14), 32), ("bicubic", (13, 17), (4, 40), 16), ("trilinear", (3, 4, 5), (6, 9, 10), 20),
    ("trilinear", (8, 6, 7), (3, 3, 3), 16), ("bilinear", (13, 11), (4, 6), 40),
)  # fmt: skip


@pytest.mark.parametrize("dtype, close", [(np.float32, 4e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("mode, size, out, planes", CASES)
def test_lanes(mode, size, out, planes, dtype, close):
    random = np.random.default_rng(0)
    three = (1,) * (3 - len(size))
    x = random.standard_normal((planes, *three, *size)).astype(dtype)
    g = random.standard_normal((planes, *three, *out)).astype(dtype)
    for align, smooth in ((False, False), (True, False), (False, len(size) == 2)):
        tables = _taps(mode, size, out, (None,) * len(size), align, smooth, x.dtype).tables
        y, want, gx, back = np.empty_like(g), np.empty_like(g), np.empty_like(x), np.empty_like(x)
        resample.resample_forward(x, want, *tables)
        resample.resample_backward(g, back, *tables)
        for cuts in {1, min(3, y.shape[1] * y.shape[2])}:
            resample_lanes.lanes_forward(x, y, *tables[:6], cuts)
            np.testing.assert_allclose(y, want, atol=close * abs(want).max())
        resample_lanes.lanes_backward(g, gx, *tables[:6])
        np.testing.assert_allclose(gx, back, atol=close * abs(back).max())


def test_an_absent_tap_reads_nothing():
    x = np.ones((20, 1, 30, 30), np.float32)
    x[:, :, 0, 0] = np.inf
    tables = _taps("bilinear", (30, 30), (10, 10), (None, None), False, True, x.dtype).tables
    y = np.empty((20, 1, 10, 10), np.float32)
    resample_lanes.lanes_forward(x, y, *tables[:6], 1)
    assert np.isinf(y[:, :, 0, 0]).all() and np.isfinite(y[:, :, 3:, 3:]).all()


def test_which_planes_suit():
    images = np.empty((64, 1, 14, 14), np.float32)
    assert resample_lanes.suits(images, 4, 28) and not resample_lanes.suits(images, 1, 28)
    assert not resample_lanes.suits(images[:2], 4, 28)
    assert not resample_lanes.suits(np.empty((64, 1, 1024, 1024), np.float32), 4, 2048)
    assert resample_lanes.strips(images, 28) == 2 and resample_lanes.strips(images[:, :, :4, :4], 8) == 1
