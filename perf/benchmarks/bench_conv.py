"""Convolution: kernel sizes, groups, dilation, one to three dimensions."""

from . import common


class Conv(common.Rows):
    """Convolution: kernel sizes, groups, dilation, one to three dimensions."""

    params = [common.rows("conv"), common.THREADS]
