"""Transposed convolution."""

from . import common


class ConvTranspose(common.Rows):
    """Transposed convolution."""

    params = [common.rows("conv_transpose"), common.THREADS]
