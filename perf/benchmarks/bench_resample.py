"""Upsampling, pixel shuffle and grid sampling."""

from . import common


class Resample(common.Rows):
    """Upsampling, pixel shuffle and grid sampling."""

    params = [common.rows("resample"), common.THREADS]
