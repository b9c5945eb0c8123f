"""Softmax and its logarithm."""

from . import common


class Softmax(common.Rows):
    """Softmax and its logarithm."""

    params = [common.rows("softmax"), common.THREADS]
